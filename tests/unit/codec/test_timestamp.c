// SPDX-License-Identifier: GPL-3.0-or-later
/* Exact times: parsing, the relative rule, rounding, text. */
#include "codec/timestamp.h"

#include "tests/unit/codec/support.h"

static const char *absolute(const char *text)
{
    static char out[TIMESTAMP_TEXT_MAX + 1];
    struct decimal decimal;
    timestamp_atto atto;
    struct timestamp time;
    cr_assert_eq(decimal_parse(bytes_of_text(text), &decimal), DECIMAL_OK);
    if (!timestamp_from_decimal(&decimal, &atto) || !timestamp_from_atto(atto, &time))
        return "refused";
    cr_assert_lt(time.ns, 1000000000);
    out[timestamp_write(time, out)] = '\0';
    return out;
}

Test(timestamp, keeps_every_digit_to_the_nanosecond)
{
    static const char *const cases[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"0e300", "0"},
        {"1276020076.001", "1276020076.001"},
        {"1.276020076001e+09", "1276020076.001"},
        {"1276020076.123456789", "1276020076.123456789"},
        {"1276020076.1234567894", "1276020076.123456789"},
        {"1276020076.1234567895", "1276020076.12345679"},
        {"-1.5", "-1.5"},
        {"-0.000000001", "-0.000000001"},
        {"-1.0000000004", "-1"},
        {"0.9999999999", "1"},
        {"1e-300", "0"},
        {"1e15", "1000000000000000"},
        {"-1e15", "-1000000000000000"},
        {"1000000000000000.1", "refused"},
        {"1e16", "refused"},
        {"1e400", "refused"},
        {"12345678901234567890", "refused"},
        {"1276020076.00100000000000000000000000000000000001", "1276020076.001"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_str_eq(absolute(cases[i][0]), cases[i][1], "%s gives %s", cases[i][0], absolute(cases[i][0]));
}

static const char *resolved(const char *text)
{
    static char out[TIMESTAMP_TEXT_MAX + 2];
    struct decimal decimal;
    timestamp_atto atto;
    struct timestamp time;
    enum time_source source;
    cr_assert_eq(decimal_parse(bytes_of_text(text), &decimal), DECIMAL_OK);
    cr_assert(timestamp_from_decimal(&decimal, &atto));
    if (!timestamp_resolve(atto, NOW, &time, &source))
        return "refused";
    size_t len = timestamp_write(time, out);
    out[len] = (char)source;
    out[len + 1] = '\0';
    return out;
}

Test(timestamp, is_relative_below_two_to_the_28)
{
    cr_expect_str_eq(resolved("0"), "1763692800.125r");
    cr_expect_str_eq(resolved("-0.125"), "1763692800r");
    cr_expect_str_eq(resolved("-1763692801"), "-0.875r");
    cr_expect_str_eq(resolved("268435455.999999999"), "2032128256.124999999r");
    cr_expect_str_eq(resolved("268435456"), "268435456d");
    cr_expect_str_eq(resolved("-1e15"), "-999998236307199.875r");
}

Test(timestamp, refuses_what_leaves_the_limit_after_adding)
{
    struct timestamp time;
    enum time_source source;
    struct timestamp far = {-TIMESTAMP_LIMIT_S, 0};
    cr_assert_not(timestamp_resolve(-1000000000, far, &time, &source));
}

Test(timestamp, compares)
{
    struct timestamp a = {-2, 500000000}, b = {-1, 0}, c = {-1, 1};
    cr_assert_lt(timestamp_compare(a, b), 0);
    cr_assert_gt(timestamp_compare(c, b), 0);
    cr_assert_eq(timestamp_compare(c, c), 0);
}

Test(timestamp, there_and_back)
{
    static const struct timestamp times[] = {
        {0, 0}, {1276020076, 1000000}, {1276020076, 999999999}, {-1, 500000000}, {TIMESTAMP_LIMIT_S, 0},
    };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct timestamp back = {77, 77};
        cr_expect(timestamp_from_atto(timestamp_to_atto(times[i]), &back));
        cr_expect_eq(timestamp_compare(back, times[i]), 0, "%lld.%09u", (long long)back.s, back.ns);
    }
    cr_expect(timestamp_to_atto((struct timestamp){-1, 500000000}) == -(timestamp_atto)500000000 * 1000000000);
}
