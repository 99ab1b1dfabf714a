// SPDX-License-Identifier: GPL-3.0-or-later
#include "codec/crc32c.h"

#include <criterion/criterion.h>

static void expect(struct bytes data, uint32_t expected)
{
    cr_assert_eq(crc32c(0, data), expected);
    cr_assert_eq(crc32c_by_table(0, data), expected);
}

/* RFC 3720 B.4; the octets of a CRC are printed there in the order of the wire, least significant first. */
Test(crc32c, vectors_of_rfc_3720)
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
    };
    uint8_t data[32];
    memset(data, 0, sizeof data);
    expect(bytes_of(data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    expect(bytes_of(data, sizeof data), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    expect(bytes_of(data, sizeof data), 0x46dd794e);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(31 - i);
    expect(bytes_of(data, sizeof data), 0x113fdb5c);
    expect(bytes_of(read_command, sizeof read_command), 0xd9963a56);
    expect(BYTES_LITERAL("123456789"), 0xe3069283);
    expect((struct bytes){0}, 0);
}

Test(crc32c, continues_at_any_border_and_alignment)
{
    uint8_t data[61];
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 11);
    for (size_t from = 0; from < 9; from++) {
        struct bytes all = bytes_of(data + from, sizeof data - from);
        for (size_t cut = 0; cut <= all.len; cut++) {
            struct bytes head = bytes_of(all.ptr, cut), tail = bytes_of(all.ptr + cut, all.len - cut);
            cr_assert_eq(crc32c(crc32c(0, head), tail), crc32c_by_table(0, all));
            cr_assert_eq(crc32c_by_table(crc32c_by_table(0, head), tail), crc32c(0, all));
        }
    }
}
