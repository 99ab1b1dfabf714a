// SPDX-License-Identifier: GPL-3.0-or-later
/* The checksum of OpenTRV against the vectors of its projects. */
#include "codec/crc7.h"

#include "tests/unit/codec/support.h"

Test(crc7, vectors)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_eq(crc7(CRC7_FRAME_START, hex_bytes(arena, "084f028081020001")), 0x23);
    cr_expect_eq(crc7(CRC7_FRAME_START, hex_bytes(arena, "0e4f028081087f117b2262223a31")), 0x61);
    cr_expect_eq(crc7(CRC7_RAW_JSON_START, hex_bytes(arena, "fd")), 56);
    arena_free(arena);
}

Test(crc7, is_a_remainder_and_goes_on)
{
    struct bytes text = BYTES_LITERAL("{\"@\":\"cdfb\"}");
    for (size_t i = 0; i <= text.len; i++) {
        uint8_t begun = crc7(CRC7_FRAME_START, bytes_of(text.ptr, i));
        cr_expect_eq(crc7(begun, bytes_of(text.ptr + i, text.len - i)), crc7(CRC7_FRAME_START, text));
        cr_expect_lt(begun, 0x80);
    }
    /* One wrong bit is always seen. */
    for (size_t bit = 0; bit < 8 * text.len; bit++) {
        uint8_t copy[64];
        memcpy(copy, text.ptr, text.len);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_expect_neq(crc7(CRC7_FRAME_START, bytes_of(copy, text.len)), crc7(CRC7_FRAME_START, text));
    }
}
