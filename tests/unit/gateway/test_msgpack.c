// SPDX-License-Identifier: GPL-3.0-or-later
/* Against the encodings of the MessagePack specification, at the borders of its forms. */
#include "gateway/msgpack.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

static void expect(const struct msgpack *out, const void *octets, size_t len)
{
    cr_assert(!out->failed);
    cr_expect_eq(out->len, len);
    cr_expect(out->len >= len && memcmp(out->ptr, octets, len) == 0);
}

#define EXPECT(out, literal) expect(out, literal, sizeof literal - 1)

Test(msgpack, whole_numbers_take_the_shortest_form)
{
    static const struct {
        uint64_t number;
        const char *octets;
        size_t len;
    } cases[] = {
        {0, "\0", 1},
        {127, "\x7f", 1},
        {128, "\xcc\x80", 2},
        {255, "\xcc\xff", 2},
        {256, "\xcd\x01\x00", 3},
        {65535, "\xcd\xff\xff", 3},
        {65536, "\xce\x00\x01\x00\x00", 5},
        {UINT32_MAX, "\xce\xff\xff\xff\xff", 5},
        {UINT64_C(4294967296), "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {(UINT64_C(1) << 53) - 1, "\xcf\x00\x1f\xff\xff\xff\xff\xff\xff", 9},
        {UINT64_MAX, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct msgpack out = {0};
        msgpack_uint(&out, cases[i].number);
        expect(&out, cases[i].octets, cases[i].len);
        msgpack_deinit(&out);
    }
}

static void check_string(size_t len, const char *head, size_t head_len)
{
    struct msgpack out = {0};
    uint8_t *text = malloc(len + 1);
    memset(text, 0xa5, len + 1);
    msgpack_string(&out, bytes_of(text, len));
    cr_assert_eq(out.len, head_len + len, "%zu", len);
    cr_expect_eq(memcmp(out.ptr, head, head_len), 0, "%zu", len);
    cr_expect_eq(memcmp(out.ptr + head_len, text, len), 0, "%zu", len);
    msgpack_deinit(&out);
    free(text);
}

Test(msgpack, strings_of_all_lengths)
{
    check_string(0, "\xa0", 1);
    check_string(1, "\xa1", 1);
    check_string(31, "\xbf", 1);
    check_string(32, "\xd9\x20", 2);
    check_string(255, "\xd9\xff", 2);
    check_string(256, "\xda\x01\x00", 3);
    check_string(65535, "\xda\xff\xff", 3);
    check_string(65536, "\xdb\x00\x01\x00\x00", 5);
}

Test(msgpack, arrays_of_all_lengths)
{
    struct msgpack out = {0};
    msgpack_array(&out, 0);
    msgpack_array(&out, 15);
    msgpack_array(&out, 16);
    msgpack_array(&out, 65535);
    msgpack_array(&out, 65536);
    EXPECT(&out, "\x90\x9f\xdc\x00\x10\xdc\xff\xff\xdd\x00\x01\x00\x00");
    msgpack_deinit(&out);
}

Test(msgpack, what_is_packed_is_copied)
{
    struct msgpack out = {0};
    msgpack_array(&out, 2);
    msgpack_raw(&out, BYTES_LITERAL("\xa1x"));
    msgpack_raw(&out, (struct bytes){0});
    msgpack_uint(&out, 5);
    EXPECT(&out, "\x92\xa1x\x05");
    msgpack_deinit(&out);
}

Test(msgpack, a_large_buffer_is_not_kept)
{
    struct msgpack out = {0};
    uint8_t *large = calloc(1, 100000);
    msgpack_uint(&out, 1);
    uint8_t *kept = out.ptr;
    msgpack_clear(&out, 65536);
    cr_expect_eq(out.len, 0);
    cr_expect_eq(out.ptr, kept);
    msgpack_string(&out, bytes_of(large, 100000));
    msgpack_clear(&out, 65536);
    cr_expect_null(out.ptr);
    cr_expect_eq(out.room, 0);
    msgpack_uint(&out, 2);
    EXPECT(&out, "\x02");
    msgpack_deinit(&out);
    free(large);
}

Test(msgpack, a_refusal_of_memory_stays)
{
    struct msgpack out = {0};
    msgpack_uint(&out, 1);
    out.failed = true;
    msgpack_uint(&out, 2);
    msgpack_raw(&out, BYTES_LITERAL("x"));
    msgpack_string(&out, BYTES_LITERAL("x"));
    cr_expect_eq(out.len, 1);
    msgpack_clear(&out, 65536);
    cr_expect(!out.failed);
    msgpack_deinit(&out);
}
