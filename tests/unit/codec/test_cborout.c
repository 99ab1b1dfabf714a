// SPDX-License-Identifier: GPL-3.0-or-later
/* Deterministic CBOR: heads, floats (columns f16 and f32 of parse-number), decimals. */
#include "codec/cborout.h"

#include "tests/unit/codec/support.h"

#include <math.h>

static const char *double_hex(double number, struct arena *arena)
{
    struct builder out;
    struct bytes bytes;
    builder_init(&out, arena, 16);
    cborout_double(&out, number);
    cr_assert(builder_finish(&out, &bytes));
    return to_hex(arena, bytes);
}

Test(cborout, writes_the_shortest_float)
{
    static const struct {
        double number;
        const char *hex;
    } cases[] = {
        {0.0, "f90000"},
        {-0.0, "f98000"},
        {1.5, "f93e00"},
        {65504.0, "f97bff"},
        {65505.0, "fa477fe100"},
        {65536.0, "fa47800000"},
        {5.960464477539063e-8, "f90001"},
        {0x1p-25, "fa33000000"},
        {6.103515625e-5, "f90400"},
        {6.097555160522461e-5, "f903ff"},
        {3.4028234663852886e+38, "fa7f7fffff"},
        {1e300, "fb7e37e43c8800759c"},
        {0.1, "fb3fb999999999999a"},
        {(double)INFINITY, "f97c00"},
        {(double)-INFINITY, "f9fc00"},
        {(double)NAN, "f97e00"},
        {1.401298464324817e-45, "fa00000001"},
    };
    struct arena *arena = arena_new(ARENA_BYTES);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_str_eq(double_hex(cases[i].number, arena), cases[i].hex);
    arena_free(arena);
}

/* Each line's text, converted, must use the f16 column where that is the same number, else f32, else f64. */
Test(cborout, floats_agree_with_the_vectors)
{
    struct arena *arena = arena_new(ARENA_BYTES * 8);
    char *text = arena_text(arena, vector_file(arena, "parse-number/freetype-2-7.txt"));
    size_t checked = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        uint64_t bits = strtoull(line + 14, NULL, 16);
        uint32_t single_bits = (uint32_t)strtoul(line + 5, NULL, 16);
        double number;
        float single;
        memcpy(&number, &bits, sizeof(number));
        memcpy(&single, &single_bits, sizeof(single));
        if ((double)single != number)
            continue;
        const char *hex = double_hex(number, arena);
        char half[5], expected[16];
        snprintf(half, sizeof(half), "%.4s", line);
        for (int i = 0; i < 4; i++)
            half[i] = (char)(half[i] >= 'A' && half[i] <= 'F' ? half[i] + 32 : half[i]);
        snprintf(expected, sizeof(expected), "f9%s", half);
        if (strlen(hex) == 6)
            cr_assert_str_eq(hex, expected, "%s", line);
        checked++;
    }
    cr_assert_gt(checked, 30);
    arena_free(arena);
}

static const char *decimal_hex(const char *text, struct arena *arena)
{
    struct builder out;
    struct bytes bytes;
    struct decimal decimal;
    cr_assert_eq(decimal_parse(bytes_of_text(text), &decimal), DECIMAL_OK);
    builder_init(&out, arena, 16);
    cborout_decimal(&out, bytes_of_text(text), &decimal);
    cr_assert(builder_finish(&out, &bytes));
    return to_hex(arena, bytes);
}

Test(cborout, writes_decimals_exactly)
{
    static const char *const cases[][2] = {
        {"0", "00"},
        {"23", "17"},
        {"24", "1818"},
        {"255", "18ff"},
        {"256", "190100"},
        {"65536", "1a00010000"},
        {"4294967296", "1b0000000100000000"},
        {"18446744073709551615", "1bffffffffffffffff"},
        {"18446744073709551616", "c249010000000000000000"},
        {"-1", "20"},
        {"-256", "38ff"},
        {"-257", "390100"},
        {"-18446744073709551616", "3bffffffffffffffff"},
        {"-18446744073709551617", "c349010000000000000000"},
        {"-0", "f98000"},
        {"-0.0", "f98000"},
        {"21.5", "f94d60"},
        {"23.1", "fb403719999999999a"},
        {"20.0", "c4822018c8"},
        {"-20.0", "c4822038c7"},
        {"0.0", "c4822000"},
        {"1e3", "c4820301"},
        {"1e400", "c48219019001"},
        {"0.10000000000000000000000000000000001", "c4823822c24f01ed09bead87c0378d8e6400000001"},
    };
    struct arena *arena = arena_new(ARENA_BYTES);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_str_eq(decimal_hex(cases[i][0], arena), cases[i][1], "%s gives %s", cases[i][0],
                         decimal_hex(cases[i][0], arena));
    arena_free(arena);
}

Test(cborout, writes_heads_and_strings)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct builder out;
    struct bytes bytes;
    builder_init(&out, arena, 4);
    cborout_array(&out, 3);
    cborout_map(&out, 24);
    cborout_tag(&out, 55799);
    cborout_text(&out, BYTES_LITERAL("\xc3\xbc"));
    cborout_bytes(&out, BYTES_LITERAL("\x01"));
    cborout_bool(&out, true);
    cborout_bool(&out, false);
    cborout_int(&out, INT64_MIN);
    cr_assert(builder_finish(&out, &bytes));
    cr_assert_str_eq(to_hex(arena, bytes), "83b818d9d9f762c3bc4101f5f43b7fffffffffffffff");
    arena_free(arena);
}
