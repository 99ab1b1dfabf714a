// SPDX-License-Identifier: GPL-3.0-or-later
/* Decimal digits: a text of nothing else as a number, and those that numbers keep (codec/decimal) put into a text. */
#pragma once

#include "codec/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define DIGITS_MAX 19 /* that 64 bits hold, whichever they are */

/* 1 to max digits, of which 64 bits hold DIGITS_MAX. False: it is something else, and ret is untouched. */
static inline bool digits_read(struct bytes text, size_t max, uint64_t *ret)
{
    uint64_t number = 0;
    if (text.len == 0 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = 10 * number + (uint64_t)(text.ptr[i] - '0');
    }
    *ret = number;
    return true;
}

/* Each of these returns the place behind what it put. */
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
