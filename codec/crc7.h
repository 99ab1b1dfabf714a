// SPDX-License-Identifier: GPL-3.0-or-later
/* The checksum of OpenTRV's radio frames: 7 bits, polynomial 0x37 (Koopman 0x5b), most significant bit first. */
#pragma once

#include "codec/bytes.h"

#define CRC7_FRAME_START 0x7f    /* secureable frames: over the length octet to the last octet of the body */
#define CRC7_RAW_JSON_START 0x7b /* raw JSON: '{' itself, over the octets behind it */
#define CRC7_ZERO_SENT 0x80      /* what is sent for 0 */

/* 0..0x7f; crc7(crc7(start, a), b) is that of a then b. */
uint8_t crc7(uint8_t crc, struct bytes data);
