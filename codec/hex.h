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

/* All ones if low <= c <= high, else zero. Both differences stay below 2^31 only then. */
static inline unsigned hex_within(unsigned c, unsigned low, unsigned high)
{
    return (((c - low) | (high - c)) >> 31) - 1;
}

/* The value of a digit; -1: it is none. */
static inline int hex_value(uint8_t c)
{
    unsigned decimal = hex_within(c, '0', '9'), upper = hex_within(c, 'A', 'F'), lower = hex_within(c, 'a', 'f');
    return (int)((decimal & (c - '0' + 0u)) | (upper & (c - 'A' + 10u)) | (lower & (c - 'a' + 10u)) |
                 ~(decimal | upper | lower));
}

/* The value of two digits; -1: they are not two. */
static inline int hex_octet(const uint8_t digits[static 2])
{
    int high = hex_value(digits[0]), low = hex_value(digits[1]);
    return ((high & 15) << 4 | (low & 15)) | -((high | low) < 0);
}

/* Pairs of digits, to at most max octets. False: there is something else, or more; ret is not to be used then. */
static inline bool hex_read(struct bytes digits, uint8_t *ret, size_t max, size_t *ret_len)
{
    int all = 0;
    if (digits.len % 2 || digits.len / 2 > max)
        return false;
    for (size_t i = 0; i < digits.len / 2; i++) {
        int octet = hex_octet(digits.ptr + 2 * i);
        all |= octet;
        ret[i] = (uint8_t)octet;
    }
    *ret_len = digits.len / 2;
    return all >= 0;
}
