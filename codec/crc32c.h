// SPDX-License-Identifier: GPL-3.0-or-later
/* CRC-32C (Castagnoli; RFC 3720 12.1), by the processor's instruction where it has one. Against accidents only. */
#pragma once

#include "codec/bytes.h"

/* Begin with 0; crc32c(crc32c(0, a), b) is that of a then b. */
uint32_t crc32c(uint32_t crc, struct bytes data);
/* The same without the instruction; for its test. */
uint32_t crc32c_by_table(uint32_t crc, struct bytes data);
