// SPDX-License-Identifier: GPL-3.0-or-later
/* Compressed payloads and their bounds. The streams were made with Python's zlib.compress. */
#include "codec/inflate.h"

#include "tests/unit/codec/support.h"

/* [[0,16,1137],[2,17,1437,3164],[4,19,1412,3077]] */
#define ROWS "789c0dc8b10d00300803b087321082887a0be2ff378a47cf04d820e5c52468b064885d1705be0b2614f6ee07fa2b0a6a"
/* The letter a 8192 times, 256 times the 32 octets of the stream; and 8193 times, in 32 octets too. */
#define FITS "789cedc1010d000000c2a0acef5fc21c6e400100000000000000ef068eff20b5"
#define BOMB "789cedc1010d000000c2a0acef5fc21c6e400100000000000000f706b0152116"
/* gzip: a, b, and nothing. */
#define GZIP_A "1f8b08000000000000034b040043beb7e801000000"
#define GZIP_B "1f8b08000000000000034b0200f9efbe7101000000"
#define GZIP_NOTHING "1f8b080000000000000303000000000000000000"
#define ZLIB_A "789c4b040000620062"

static const char *inflated(const char *hex, size_t max_bytes, struct arena *arena)
{
    struct bytes ret = BYTES_LITERAL("untouched");
    struct refusal refusal;
    /* Of exactly its size, for AddressSanitizer. */
    if (!inflate_whole(hex_bytes(arena, hex), max_bytes, arena, &ret, &refusal)) {
        cr_assert(bytes_equal_text(ret, "untouched"));
        return outcome_row(refusal.outcome)->slug;
    }
    return arena_text(arena, ret);
}

Test(inflate, streams)
{
    static const struct expectation table[] = {
        {ROWS, "[[0,16,1137],[2,17,1437,3164],[4,19,1412,3077]]"},
        {"789c030000000001", ""},
        {"789c4b040000620062", "a"},
        {"", "malformed"},
        {"78", "malformed"},
        {ROWS "00", "malformed"}, /* something behind it */
        /* The checksum. */
        {"789c0dc8b10d00300803b087321082887a0be2ff378a47cf04d820e5c52468b064885d1705be0b2614f6ee07fa2b0a6b", "malformed"},
        /* The end is missing. */
        {"789c0dc8b10d00300803b087321082887a0be2ff378a47cf04d820e5c52468b064885d1705be0b2614f6ee07fa2b0a", "malformed"},
        {"78bb062c0215cb001100062c0215", "malformed"}, /* wants a dictionary */
        {GZIP_A, "a"},
        {"1f8b08000000000000034b040043beb7e8010000", "malformed"},  /* its length is cut */
        {"5b5d", "malformed"},
        {BOMB, "too-large"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        cr_expect_str_eq(inflated(table[i].payload, 65536, arena), table[i].result, "%s", table[i].payload);
        arena_free(arena);
    }
}

Test(inflate, bounds)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_eq(strlen(inflated(FITS, 65536, arena)), 8192);
    cr_expect_eq(strlen(inflated(FITS, 8192, arena)), 8192);
    cr_expect_str_eq(inflated(FITS, 8191, arena), "too-large");
    cr_expect_str_eq(inflated(BOMB, 8193, arena), "too-large");
    cr_expect_str_eq(inflated(BOMB, 8192, arena), "too-large");
    cr_expect_str_eq(inflated(ROWS, 0, arena), "too-large");
    arena_free(arena);
}

Test(inflate, gzip_of_several_members)
{
    static const struct expectation table[] = {
        {GZIP_A GZIP_B, "ab"},
        {GZIP_A GZIP_NOTHING GZIP_B GZIP_NOTHING, "ab"},
        {GZIP_NOTHING GZIP_NOTHING, ""},
        {GZIP_A "00", "malformed"},
        {GZIP_A "1f", "malformed"},
        {GZIP_A "1f8b", "malformed"},
        {GZIP_A ZLIB_A, "malformed"},
        {ZLIB_A GZIP_A, "malformed"},
        {ZLIB_A ZLIB_A, "malformed"},
        {GZIP_A "1f8b08000000000000034b0200f9efbe7001000000", "malformed"}, /* the checksum of the second */
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        cr_expect_str_eq(inflated(table[i].payload, 65536, arena), table[i].result, "%s", table[i].payload);
        arena_free(arena);
    }
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_str_eq(inflated(GZIP_A GZIP_B, 2, arena), "ab");
    cr_expect_str_eq(inflated(GZIP_A GZIP_B, 1, arena), "too-large", "the bound is of all members");
    cr_expect_str_eq(inflated(GZIP_A GZIP_NOTHING, 1, arena), "a");
    arena_free(arena);
}

Test(inflate, no_memory)
{
    for (size_t limit = 256; limit <= 4096; limit *= 2) {
        struct arena *arena = arena_new(limit);
        cr_expect_str_eq(inflated(ROWS, 65536, arena), "out-of-memory");
        arena_free(arena);
    }
}
