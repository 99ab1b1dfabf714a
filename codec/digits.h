// SPDX-License-Identifier: GPL-3.0-or-later
/* Decimal digits as numbers keep them (codec/decimal), put into a text. Each returns the place behind what it put. */
#pragma once

#include <stdint.h>

static inline char *digits_put(char *at, const uint8_t *digits, int count)
{
    for (int i = 0; i < count; i++)
        *at++ = (char)('0' + digits[i]);
    return at;
}

static inline char *digits_put_zeros(char *at, int count)
{
    for (int i = 0; i < count; i++)
        *at++ = '0';
    return at;
}
