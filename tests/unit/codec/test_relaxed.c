// SPDX-License-Identifier: GPL-3.0-or-later
/* Numbers as printf and people write them. */
#include "codec/relaxed.h"

#include "tests/unit/codec/support.h"

Test(relaxed, numbers)
{
    static const struct expectation table[] = {
        {"21.50", "21.50"},
        {"-0", "-0"},
        {"1E5", "1e5"},
        {"+5", "5"},
        {"05", "5"},
        {"-007.250", "-7.250"},
        {"00", "0"},
        {".5", "0.5"},
        {"-.5", "-0.5"},
        {"5.", "5"},
        {"+0.", "0"},
        {"5.e3", "5e3"},
        {".5E+03", "0.5e03"},
        {"05e-2", "5e-2"},
        {"", "bad-value"},
        {".", "bad-value"},
        {"-", "bad-value"},
        {"+-5", "bad-value"},
        {"e5", "bad-value"},
        {"5e", "bad-value"},
        {"5e+", "bad-value"},
        {"1.2.3", "bad-value"},
        {"1,5", "bad-value"},
        {" 5", "bad-value"},
        {"nan", "bad-value"},
        {"NaN", "bad-value"},
        {"inf", "bad-value"},
        {"0x10", "bad-value"},
        {"1e309", "bad-value"},
        {"+1e9999", "bad-value"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct number number;
        struct decimal decimal;
        struct refusal refusal;
        struct bytes text;
        cr_assert(arena_copy(arena, bytes_of_text(table[i].payload), &text));
        bool good = relaxed_number(text, arena, &number, &refusal);
        const char *result = good ? arena_text(arena, number.text) : outcome_row(refusal.outcome)->slug;
        cr_expect_str_eq(result, table[i].result, "%s gives %s", table[i].payload, result);
        if (good)
            cr_expect(relaxed_decimal(text, &decimal, &refusal));
        arena_free(arena);
    }
}

static bool reads(const char *digits, size_t zeros, char sign)
{
    char text[400] = {sign};
    struct decimal decimal;
    struct refusal refusal;
    memset(text + 1, '0', zeros);
    strcpy(text + 1 + zeros, digits);
    return relaxed_decimal(bytes_of_text(text), &decimal, &refusal);
}

Test(relaxed, zeros_in_front_are_no_digits)
{
    cr_expect(reads("1234567890123456789012345678901234567890123456789012345678901234", 300, '+'));
    cr_expect(!reads("12345678901234567890123456789012345678901234567890123456789012345", 0, '+'));
}

Test(relaxed, bounds_of_what_is_written_anew)
{
    char text[256];
    struct decimal decimal;
    struct refusal refusal;
    memset(text, '0', sizeof(text));
    memcpy(text, "+1.", 3);
    cr_expect(relaxed_decimal(bytes_of(text, 40), &decimal, &refusal));
    cr_expect(!relaxed_decimal(bytes_of(text, 256), &decimal, &refusal));
}

Test(relaxed, trim)
{
    cr_expect(bytes_equal_text(relaxed_trim(BYTES_LITERAL(" \t\r\n a b\n ")), "a b"));
    cr_expect_eq(relaxed_trim(BYTES_LITERAL(" \n ")).len, 0);
    cr_expect_eq(relaxed_trim((struct bytes){0}).len, 0);
}
