// SPDX-License-Identifier: GPL-3.0-or-later
/* Exact products with fixed scales. */
#include "codec/scale.h"

#include "tests/unit/codec/support.h"

Test(scale, is_exact_and_drops_zeros_behind_the_point)
{
    static const struct {
        const char *raw;
        struct scale scale;
        const char *result;
    } table[] = {
        {"272", {1, -1}, "27.2"},         {"2150", {1, -2}, "21.5"},      {"100", {1, -2}, "1"},
        {"255", {625, -4}, "15.9375"},    {"-76", {625, -4}, "-4.75"},    {"0", {1, -3}, "0"},
        {"2", {3600, 0}, "7200"},         {"100", {10, 0}, "1000"},       {"21.50", {1, -2}, "0.215"},
        {"1234", {980665, -8}, "12.1014061"}, {"4294967295", {3600, 0}, "15461882262000"},
        {"-0", {1, -1}, "0"},             {"1e3", {1, -2}, "10"},
    };
    struct arena *arena = arena_new(ARENA_BYTES);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct decimal raw;
        struct number number;
        struct refusal refusal;
        cr_assert_eq(decimal_parse(bytes_of_text(table[i].raw), &raw), DECIMAL_OK);
        cr_assert(scale_number(&raw, table[i].scale, arena, &number, &refusal));
        cr_expect_str_eq(arena_text(arena, number.text), table[i].result);
        cr_expect_eq(number.approx, strtod(table[i].result, NULL));
    }
    arena_free(arena);
}

Test(scale, has_the_bounds_of_decimals)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct decimal raw;
    struct number number;
    struct refusal refusal;
    cr_assert_eq(decimal_parse(BYTES_LITERAL("1e-400"), &raw), DECIMAL_OK);
    cr_expect_not(scale_number(&raw, (struct scale){1, -1}, arena, &number, &refusal));
    cr_expect_eq(refusal.outcome, OUTCOME_BAD_VALUE);
    cr_assert_eq(decimal_parse(BYTES_LITERAL("1e308"), &raw), DECIMAL_OK);
    cr_expect_not(scale_number(&raw, (struct scale){3600, 0}, arena, &number, &refusal));
    cr_expect_eq(refusal.outcome, OUTCOME_BAD_VALUE);
    arena_free(arena);
}
