// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Hexadecimal, with small letters. Digits are computed and not looked up, so that no cache line depends on a key that
 * is written.
 */
#pragma once

#include "codec/bytes.h"

/* Of the low four bits. */
static inline char hex_digit(unsigned value)
{
    value &= 15;
    return (char)('0' + value + ((9 - value) >> 31) * ('a' - '0' - 10));
}

/* Two digits for each octet, no NUL. How many characters that are. */
static inline size_t hex_write(struct bytes octets, char *ret)
{
    for (size_t i = 0; i < octets.len; i++) {
        ret[2 * i] = hex_digit(octets.ptr[i] >> 4);
        ret[2 * i + 1] = hex_digit(octets.ptr[i]);
    }
    return 2 * octets.len;
}

/* 16 digits, no NUL. */
static inline void hex_write_number(uint64_t number, char *ret)
{
    for (unsigned i = 0; i < 16; i++)
        ret[i] = hex_digit((unsigned)(number >> (60 - 4 * i)));
}
