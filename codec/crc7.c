// SPDX-License-Identifier: GPL-3.0-or-later
/* Bit by bit: at most 255 octets, of senders that speak once a minute. */
#include "codec/crc7.h"

#define POLYNOMIAL 0x37
#define TOP_BIT 0x40

uint8_t crc7(uint8_t crc, struct bytes data)
{
    for (size_t i = 0; i < data.len; i++) {
        for (unsigned bit = 0x80; bit; bit >>= 1) {
            bool flip = ((crc & TOP_BIT) != 0) != ((data.ptr[i] & bit) != 0);
            crc = (uint8_t)((crc << 1) ^ (flip ? POLYNOMIAL : 0));
        }
        crc &= 0x7f;
    }
    return crc;
}
