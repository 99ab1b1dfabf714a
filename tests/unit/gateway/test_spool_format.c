// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/spool_format.h"

#include "codec/crc32c.h"

#include <criterion/criterion.h>

static uint8_t file[SPOOL_RECORDS_AT];

static struct spool_head encode_head(void)
{
    struct spool_head head = {
        .gateway = 0x0807060504030201,
        .incarnation = 0x1817161514131211,
        .first_lsn = 0x191817161514,
        .serial = 0x24232221,
        .reserved = (uint64_t)0x28272625 * SPOOL_PAGE,
        .encrypted = true,
        .after_failure = true,
        .key_check = "checked",
    };
    spool_head_encode(&head, file);
    return head;
}

Test(spool_format, header_has_the_documented_bytes)
{
    static const uint8_t expected[60] = {
        'w', 'e', 'i', 'r', 's', 'p', 'o', 'l', 1, 0, 0, 0, 3, 0, 0, 0,
        1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
        0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0, 0, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
        'c', 'h', 'e', 'c', 'k', 'e', 'd', 0, 0, 0, 0, 0,
    };
    struct spool_head head = encode_head();
    cr_assert_eq(memcmp(file, expected, sizeof expected), 0);
    cr_assert_eq(spool_get_32(file + 60), crc32c(0, bytes_of(expected, 60)));
    cr_assert_eq(head.crc, spool_get_32(file + 60));
    cr_assert_eq(memcmp(file, file + SPOOL_HEAD_COPY_AT, SPOOL_HEAD_BYTES), 0);
}

static void expect_head(size_t len)
{
    struct spool_head head = {0}, expected = {.gateway = 0x0807060504030201, .incarnation = 0x1817161514131211};
    cr_assert(spool_head_decode(bytes_of(file, len), &head));
    cr_assert(head.gateway == expected.gateway && head.incarnation == expected.incarnation);
    cr_assert(head.first_lsn == 0x191817161514 && head.serial == 0x24232221);
    cr_assert_eq(head.reserved, (uint64_t)0x28272625 * SPOOL_PAGE);
    cr_assert(head.encrypted && head.after_failure && memcmp(head.key_check, "checked", 8) == 0);
    cr_assert_eq(head.crc, spool_get_32(file + 60) ? spool_get_32(file + 60) : head.crc);
}

Test(spool_format, either_header_is_enough_and_none_is_not)
{
    struct spool_head head;
    encode_head();
    expect_head(SPOOL_HEAD_BYTES);
    for (size_t at = 0; at < SPOOL_HEAD_BYTES; at++) {
        uint8_t before = file[at];
        file[at] ^= 0x10;
        cr_assert_not(spool_head_decode(bytes_of(file, SPOOL_HEAD_COPY_AT + SPOOL_HEAD_BYTES - 1), &head));
        cr_assert(spool_head_decode(bytes_of(file, SPOOL_HEAD_COPY_AT + SPOOL_HEAD_BYTES), &head));
        cr_assert_eq(head.first_lsn, 0x191817161514);
        file[at] = before;
    }
    memset(file, 0, SPOOL_HEAD_COPY_AT); /* a page */
    expect_head(sizeof file);
    memset(file, 0, sizeof file);
    cr_assert_not(spool_head_decode(bytes_of(file, sizeof file), &head));
    cr_assert_not(spool_head_decode((struct bytes){0}, &head));
}

Test(spool_format, a_header_without_identity_or_of_another_version_does_not_count)
{
    struct spool_head heads[] = {
        {.gateway = 0, .incarnation = 1, .first_lsn = 1},
        {.gateway = 1, .incarnation = 0, .first_lsn = 1},
        {.gateway = 1, .incarnation = 1, .first_lsn = 0},
        {.gateway = 1, .incarnation = 1, .first_lsn = SPOOL_LSN_MAX + 1},
    }, head;
    for (unsigned i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        spool_head_encode(&heads[i], file);
        cr_assert_not(spool_head_decode(bytes_of(file, sizeof file), &head));
    }
    static const unsigned refused[] = {8, 12}; /* version, flags */
    for (unsigned i = 0; i < 2; i++) {
        encode_head();
        file[refused[i]] = 4;
        spool_put_32(file + 60, crc32c(0, bytes_of(file, 60)));
        cr_assert_not(spool_head_decode(bytes_of(file, SPOOL_HEAD_BYTES), &head));
    }
}

Test(spool_format, names_are_of_one_form)
{
    static const char *const others[] = {
        "00000001-0000000000000001.se", "00000001-0000000000000001.segx", "0000001-0000000000000001.seg",
        "00000001-00000000000000001.seg", "0000000A-0000000000000001.seg", "00000001-000000000000001.seg",
        "-0000001-0000000000000001.seg", " 0000001-0000000000000001.seg", "cursor", "",
    };
    char name[SPOOL_NAME_BYTES];
    uint32_t serial;
    uint64_t first_lsn;
    spool_segment_name(0xffffffff, SPOOL_LSN_MAX, name);
    cr_assert_str_eq(name, "ffffffff-001fffffffffffff.seg");
    cr_assert(spool_segment_name_parse(name, &serial, &first_lsn));
    cr_assert(serial == 0xffffffff && first_lsn == SPOOL_LSN_MAX);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_not(spool_segment_name_parse(others[i], &serial, &first_lsn), "%s", others[i]);
}

static size_t encode_entry(uint8_t *at, uint32_t crc, uint64_t lsn, const char *body)
{
    spool_entry_begin(lsn, strlen(body), at);
    memcpy(at + SPOOL_RECORD_HEAD, body, strlen(body));
    spool_entry_finish(crc, at);
    return spool_entry_octets(strlen(body));
}

Test(spool_format, record_has_the_documented_bytes)
{
    static const uint8_t expected[] = {'w', 'r', 'e', 'c', 5, 0, 0, 0, 0x21, 0x22, 0x23, 0, 0, 0, 0, 0};
    uint8_t octets[64];
    memset(octets, 0xee, sizeof octets);
    cr_assert_eq(encode_entry(octets, 77, 0x232221, "hello"), 32);
    cr_assert_eq(memcmp(octets, expected, sizeof expected), 0);
    cr_assert_eq(spool_get_32(octets + 16), crc32c(0, BYTES_LITERAL("hello")));
    cr_assert_eq(spool_get_32(octets + 20), crc32c(77, bytes_of(octets, 20)));
    cr_assert_eq(memcmp(octets + 24, "hello\0\0\0\xee", 9), 0);
}

/* Every bit of header and body; the padding says nothing. */
Test(spool_format, a_record_with_a_wrong_bit_does_not_count)
{
    uint8_t octets[64];
    struct spool_entry entry;
    size_t len = encode_entry(octets, 77, 9, "hello");
    cr_assert_eq(spool_entry_decode(77, bytes_of(octets, len), &entry), SPOOL_COUNTS);
    cr_assert(entry.lsn == 9 && entry.octets == 32 && bytes_equal_text(entry.body, "hello"));
    for (size_t bit = 0; bit < 8 * len; bit++) {
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum spool_check expected = bit / 8 < SPOOL_RECORD_HEAD + 5 ? SPOOL_DAMAGED : SPOOL_COUNTS;
        cr_assert_eq(spool_entry_decode(77, bytes_of(octets, len), &entry), expected, "bit %zu", bit);
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_eq(spool_entry_decode(78, bytes_of(octets, len), &entry), SPOOL_DAMAGED);
}

Test(spool_format, a_record_that_is_cut_short_says_how_long_it_is)
{
    uint8_t octets[64];
    struct spool_entry entry = {0};
    encode_entry(octets, 1, 9, "hello");
    for (size_t len = 0; len < SPOOL_RECORD_HEAD; len++)
        cr_assert_eq(spool_entry_decode(1, bytes_of(octets, len), &entry), SPOOL_DAMAGED);
    for (size_t len = SPOOL_RECORD_HEAD; len < SPOOL_RECORD_HEAD + 5; len++) {
        cr_assert_eq(spool_entry_decode(1, bytes_of(octets, len), &entry), SPOOL_CUT_SHORT);
        cr_assert(entry.octets == 32 && entry.lsn == 9);
    }
    cr_assert_eq(spool_entry_decode(1, bytes_of(octets, SPOOL_RECORD_HEAD + 5), &entry), SPOOL_COUNTS);
}

Test(spool_format, a_seal_with_a_wrong_bit_is_none)
{
    static const uint8_t expected[] = {'w', 'e', 'n', 'd', 0, 0, 0, 0, 0x21, 0x22, 0x23, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint8_t octets[SPOOL_SEAL_BYTES];
    struct spool_entry entry;
    spool_seal_encode(77, 0x232221, octets);
    cr_assert_eq(memcmp(octets, expected, sizeof expected), 0);
    cr_assert_eq(spool_get_32(octets + 20), crc32c(77, bytes_of(octets, 20)));
    cr_assert_eq(spool_seal_decode(77, bytes_of(octets, sizeof octets)), 0x232221);
    cr_assert_eq(spool_seal_decode(77, bytes_of(octets, sizeof octets - 1)), 0);
    cr_assert_eq(spool_seal_decode(78, bytes_of(octets, sizeof octets)), 0);
    cr_assert_eq(spool_entry_decode(77, bytes_of(octets, sizeof octets), &entry), SPOOL_DAMAGED);
    for (size_t bit = 0; bit < 8 * sizeof octets; bit++) {
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(spool_seal_decode(77, bytes_of(octets, sizeof octets)), 0, "bit %zu", bit);
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

Test(spool_format, a_length_beyond_the_maximum_is_damage_even_with_a_right_crc)
{
    uint8_t octets[SPOOL_RECORD_HEAD];
    struct spool_entry entry;
    spool_entry_begin(1, SPOOL_STORED_MAX + 1, octets);
    spool_put_32(octets + 16, 0);
    spool_put_32(octets + 20, crc32c(1, bytes_of(octets, 20)));
    cr_assert_eq(spool_entry_decode(1, bytes_of(octets, sizeof octets), &entry), SPOOL_DAMAGED);
}

Test(spool_format, the_next_record_is_looked_for_at_multiples_of_8)
{
    uint8_t octets[96] = {0};
    cr_assert_eq(spool_entry_find(bytes_of(octets, sizeof octets)), sizeof octets);
    encode_entry(octets + 44, 1, 1, "x");
    cr_assert_eq(spool_entry_find(bytes_of(octets, sizeof octets)), sizeof octets);
    encode_entry(octets + 64, 1, 1, "x");
    cr_assert_eq(spool_entry_find(bytes_of(octets, sizeof octets)), 64);
    cr_assert_eq(spool_entry_find(bytes_of(octets, 67)), 67);
    cr_assert_eq(spool_entry_find(bytes_of(octets, 68)), 64);
    cr_assert_eq(spool_entry_find((struct bytes){0}), 0);
}
