// SPDX-License-Identifier: GPL-3.0-or-later
/* Exact decimals: grammar and bounds, the way to and from doubles (vectors parse-number), sums. */
#include "codec/decimal.h"

#include "tests/unit/codec/support.h"

#include <float.h>
#include <locale.h>
#include <math.h>

static struct decimal parsed(const char *text)
{
    struct decimal decimal;
    cr_assert_eq(decimal_parse(bytes_of_text(text), &decimal), DECIMAL_OK, "%s", text);
    return decimal;
}

static const char *written(const struct decimal *decimal)
{
    static char text[DECIMAL_TEXT_MAX + 1];
    text[decimal_write(decimal, text)] = '\0';
    return text;
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

Test(decimal, takes_the_grammar_of_json)
{
    static const char *const good[] = {"0", "-0", "0.0", "1", "-1", "10", "1.5", "1e5", "1E+5", "1e-5", "0e0",
                                       "0.00e+00", "-12.340e-07", "1e400", "1e-400"};
    static const char *const bad[] = {"", "-", "+1", ".5", "5.", "01", "-01", "00", "1e", "1e+", "1.e5", "0x10", "1 ",
                                      " 1", "NaN", "Infinity", "-Infinity", "1,5", "1e5.0", "1_000", "--1", "1.2.3",
                                      "1e 5", "\xd9\xa1"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        parsed(good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct decimal decimal;
        cr_assert_eq(decimal_parse(bytes_of_text(bad[i]), &decimal), DECIMAL_MALFORMED, "%s", bad[i]);
    }
}

Test(decimal, is_bounded)
{
    struct decimal decimal;
    char text[300];
    memset(text, '9', sizeof(text));
    cr_assert_eq(decimal_parse(bytes_of(text, 64), &decimal), DECIMAL_OK);
    cr_assert_eq(decimal_parse(bytes_of(text, 65), &decimal), DECIMAL_TOO_LONG);
    cr_assert_eq(decimal_parse(bytes_of(text, 300), &decimal), DECIMAL_TOO_LONG);
    static const char *const far[] = {"1e401", "1e-401", "1e99999999999999999999", "1.5e-400", "0e-1000000"};
    for (size_t i = 0; i < COUNT_OF(far); i++)
        cr_assert_eq(decimal_parse(bytes_of_text(far[i]), &decimal), DECIMAL_TOO_LONG, "%s", far[i]);
}

Test(decimal, writes_by_the_text_rule)
{
    static const char *const pairs[][2] = {
        {"21.50", "21.50"},  {"-0", "-0"},         {"0.00", "0.00"},     {"1e3", "1000"},
        {"1e20", "100000000000000000000"},         {"1e21", "1e21"},     {"-1.5e300", "-15e299"},
        {"5e-324", "5e-324"}, {"1e-7", "0.0000001"}, {"12.5e1", "125"},  {"0e5", "0"},
        {"1234567890123456789012345", "1234567890123456789012345"},      {"0.125e-2", "0.00125"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct decimal decimal = parsed(pairs[i][0]);
        cr_expect_str_eq(written(&decimal), pairs[i][1]);
    }
}

/*
 * Lines "f16 f32 f64 text" in hexadecimal; texts that are no JSON numbers or beyond the bounds are counted.
 */
static void check_vectors(const char *file, size_t expect_checked)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_text(arena, vector_file(arena, file));
    size_t checked = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        struct decimal decimal;
        uint64_t expected = strtoull(line + 14, NULL, 16);
        if (decimal_parse(bytes_of_text(line + 31), &decimal) != DECIMAL_OK)
            continue;
        double number = 0;
        bool finite = decimal_to_double(&decimal, &number);
        cr_assert_eq(finite, expected << 1 < (uint64_t)0x7ff << 53, "%s", line);
        if (finite)
            cr_assert_eq(bits_of(number), expected, "%s gives %016llx", line, (unsigned long long)bits_of(number));
        checked++;
    }
    cr_assert_geq(checked, expect_checked, "only %zu lines were numbers", checked);
    arena_free(arena);
}

Test(decimal, reads_doubles_as_the_vectors_say)
{
    check_vectors("parse-number/more-test-cases.txt", 10);
    check_vectors("parse-number/freetype-2-7.txt", 3000);
}

Test(decimal, does_not_depend_on_the_locale)
{
    struct decimal decimal;
    double number;
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    for (size_t i = 0; i < COUNT_OF(comma); i++) {
        if (setlocale(LC_ALL, comma[i]))
            break;
    }
    decimal = parsed("1.2345678901234567890123");
    cr_assert(decimal_to_double(&decimal, &number));
    cr_assert_eq(number, 1.2345678901234567890123);
    cr_assert(decimal_from_double(0x1.921fb54442d18p+1, &decimal));
    cr_assert_str_eq(written(&decimal), "3.141592653589793");
}

Test(decimal, refuses_what_is_not_finite)
{
    struct decimal decimal = parsed("1e309");
    double number = 7;
    cr_assert_not(decimal_to_double(&decimal, &number));
    cr_assert_eq(number, 7);
    decimal = parsed("-17976931348623159e292");
    cr_assert_not(decimal_to_double(&decimal, &number));
    cr_assert_not(decimal_from_double((double)NAN, &decimal));
    cr_assert_not(decimal_from_double((double)INFINITY, &decimal));
    cr_assert_not(decimal_from_double((double)-INFINITY, &decimal));
}

/* The fewest digits that printf needs to round-trip. */
static int fewest_digits(double number)
{
    char text[40];
    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, number);
        if (strtod(text, NULL) == number)
            return digits;
    }
    return 17;
}

static void check_shortest(double number)
{
    struct decimal decimal;
    double again;
    cr_assert(decimal_from_double(number, &decimal));
    cr_assert(decimal_to_double(&decimal, &again));
    cr_assert_eq(bits_of(again), bits_of(number), "%.17g gives %s", number, written(&decimal));
    int digits = decimal.count;
    while (digits > 1 && decimal.digits[digits - 1] == 0)
        digits--;
    if (number != 0)
        cr_assert_eq(digits, fewest_digits(number), "%.17g gives %s", number, written(&decimal));
    struct decimal reread = parsed(written(&decimal));
    cr_assert(decimal_to_double(&reread, &again));
    cr_assert_eq(bits_of(again), bits_of(number));
}

Test(decimal, writes_the_shortest_text_of_a_double)
{
    static const double chosen[] = {0.0, -0.0, 0.1, 0.3, 23.1, 120.1, 1e15, 1e21, 1e22, 1e23, 123456789012345678.0,
                                    DBL_MAX, DBL_MIN, 5e-324, -2.5e-310, 1276020076.001, 9007199254740993.0,
                                    999999999999999.9, 0.000001, 1e-7};
    uint64_t random = 3;
    for (size_t i = 0; i < COUNT_OF(chosen); i++)
        check_shortest(chosen[i]);
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = next_random(&random);
        double number;
        memcpy(&number, &bits, sizeof(number));
        if (isfinite(number))
            check_shortest(number);
        check_shortest((double)(int64_t)(next_random(&random) % 2000000000 - 1000000000) / 1000);
        check_shortest((double)(next_random(&random) % 100000) / 64);
    }
}

/* The decimal nearest to a power of two may be one that reads back as the double below, and the next one up be as short. */
Test(decimal, shortest_powers_of_two)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0x1p-1017, "7.120236347223045e-307"}, {0x1p-44, "5.684341886080802e-14"}, {0x1p-1074, "5e-324"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct decimal decimal, expected;
        cr_assert_eq(decimal_parse(bytes_of_text(cases[i].text), &expected), DECIMAL_OK);
        cr_assert(decimal_from_double(cases[i].number, &decimal));
        cr_expect_eq(decimal.count, expected.count);
        cr_expect_arr_eq(decimal.digits, expected.digits, expected.count);
        cr_expect_eq(decimal.exponent, expected.exponent);
    }
}

Test(decimal, texts_of_any_length)
{
    char text[600];
    double number;
    memset(text, '0', sizeof(text));
    memcpy(text, "9007199254740993.", 17);
    strcpy(text + 500, "1");
    cr_assert(decimal_text_to_double(text, &number));
    cr_expect_eq(number, 9007199254740994.0);
    cr_assert(decimal_text_to_double("-1e-99999999999999999999", &number));
    cr_expect(number == 0 && signbit(number));
    cr_expect_not(decimal_text_to_double("1e309", &number));
}

Test(decimal, goes_to_binary_integers_and_back)
{
    static const struct {
        const char *hex;
        const char *text;
    } cases[] = {
        {"", "0"},
        {"00", "0"},
        {"01", "1"},
        {"0000ff", "255"},
        {"ffffffffffffffff", "18446744073709551615"},
        {"010000000000000000", "18446744073709551616"},
    };
    struct arena *arena = arena_new(10000);
    uint8_t magnitude[DECIMAL_MAGNITUDE_MAX];
    struct decimal decimal;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert(decimal_from_magnitude(hex_bytes(arena, cases[i].hex), false, &decimal));
        cr_assert_str_eq(written(&decimal), cases[i].text);
        struct bytes bytes = hex_bytes(arena, cases[i].hex);
        while (bytes.len && bytes.ptr[0] == 0)
            bytes = bytes_of(bytes.ptr + 1, bytes.len - 1);
        size_t len = decimal_to_magnitude(&decimal, magnitude);
        cr_assert(bytes_equal(bytes_of(magnitude, len), bytes));
    }
    uint8_t largest[DECIMAL_MAGNITUDE_MAX + 1];
    memset(largest, 0xff, sizeof(largest));
    cr_assert_not(decimal_from_magnitude(bytes_of(largest, sizeof(largest)), false, &decimal));
    cr_assert_not(decimal_from_magnitude(bytes_of(largest, DECIMAL_MAGNITUDE_MAX), false, &decimal));
    decimal = parsed("9999999999999999999999999999999999999999999999999999999999999999");
    size_t len = decimal_to_magnitude(&decimal, magnitude);
    struct decimal again;
    cr_assert(decimal_from_magnitude(bytes_of(magnitude, len), false, &again));
    cr_assert_eq(memcmp(again.digits, decimal.digits, 64), 0);
    arena_free(arena);
}

static const char *sum_of(const char *a, const char *b)
{
    struct decimal x = parsed(a), y = parsed(b), sum;
    return decimal_add(&x, &y, &sum) ? written(&sum) : "refused";
}

Test(decimal, adds_exactly)
{
    cr_expect_str_eq(sum_of("0.1", "0.2"), "0.3");
    cr_expect_str_eq(sum_of("1276020076.001", "-5"), "1276020071.001");
    cr_expect_str_eq(sum_of("20", "1.50"), "21.50");
    cr_expect_str_eq(sum_of("1e3", "1"), "1001");
    cr_expect_str_eq(sum_of("-1", "1.00"), "0.00");
    cr_expect_str_eq(sum_of("0", "-2.5e1"), "-25");
    cr_expect_str_eq(sum_of("1e300", "0"), "1e300");
    cr_expect_str_eq(sum_of("1e300", "1"), "refused");
    cr_expect_str_eq(sum_of("1e300", "1e299"), "11e299");
    cr_expect_str_eq(sum_of("18446744073709551615", "1"), "18446744073709551616");
    cr_expect_str_eq(sum_of("9999999999999999999999999999999999999999999999999999999999999999", "1"), "refused");
    cr_expect_str_eq(sum_of("-3", "0.5"), "-2.5");
    cr_expect_str_eq(sum_of("3", "-0.5"), "2.5");
}

Test(decimal, adds_as_integers_do)
{
    uint64_t random = 11;
    for (int i = 0; i < 20000; i++) {
        int64_t a = (int64_t)next_random(&random) >> (next_random(&random) % 60 + 2);
        int64_t b = (int64_t)next_random(&random) >> (next_random(&random) % 60 + 2);
        char x[32], y[32], sum[32];
        snprintf(x, sizeof(x), "%lld", (long long)a);
        snprintf(y, sizeof(y), "%lld", (long long)b);
        snprintf(sum, sizeof(sum), "%lld", (long long)(a + b));
        cr_assert_str_eq(sum_of(x, y), sum);
    }
}

static const char *product_of(const char *a, const char *b)
{
    struct decimal x = parsed(a), y = parsed(b), product;
    return decimal_multiply(&x, &y, &product) ? written(&product) : NULL;
}

static const char *quotient_of(const char *a, const char *b)
{
    struct decimal x = parsed(a), y = parsed(b), quotient;
    return decimal_divide(&x, &y, &quotient) ? written(&quotient) : NULL;
}

Test(decimal, multiplies_exactly)
{
    static const char *const triples[][3] = {
        {"2", "3", "6"},
        {"21.5", "100", "2150.0"},
        {"272", "0.1", "27.2"},
        {"-0.1", "0.2", "-0.02"},
        {"-1.5", "-1e3", "1500"},
        {"0", "-5", "0"},
        {"0.00", "0.5", "0.000"},
        {"9999999999", "9999999999", "99999999980000000001"},
        {"12345678901234567890123456789", "98765432109876543210987654321",
         "1219326311370217952261850327336229233322374638011112635269"},
        {"1e300", "1e100", "1e400"},
    };
    for (size_t i = 0; i < COUNT_OF(triples); i++)
        cr_expect_str_eq(product_of(triples[i][0], triples[i][1]), triples[i][2]);
    cr_expect_null(product_of("1e300", "1e101"));
    cr_expect_null(product_of("1e-300", "1e-101"));
}

Test(decimal, multiplies_up_to_its_digits_and_no_further)
{
    char ones[65];
    memset(ones, '1', 64);
    ones[64] = '\0';
    cr_expect_str_eq(product_of(ones, "9"), "9999999999999999999999999999999999999999999999999999999999999999");
    cr_expect_null(product_of(ones, "11"));
    /* Zeros at the end need no digits. */
    cr_expect_str_eq(product_of(ones, "100"), "1111111111111111111111111111111111111111111111111111111111111111e2");
}

Test(decimal, divides_exactly_where_it_ends)
{
    static const char *const triples[][3] = {
        {"272", "10", "27.2"},
        {"100", "100", "1"},
        {"2150", "100", "21.5"},
        {"2150.0", "100", "21.5"},
        {"1", "8", "0.125"},
        {"-7", "2", "-3.5"},
        {"36", "3.6", "10"},
        {"1", "1e-3", "1000"},
        {"6e5", "3e-5", "20000000000"},
        {"0.00", "4", "0.00"},
        {"0", "-4", "0"},
        {"12193263114799573113362292332.089315664", "987654321098765432", "12345678902.345678902"},
        {"9999999999999999989999999999999999999999999999000000000000000001", "999999999999999999",
         "9999999999999999999999999999999999999999999999"},
        {"1", "4294967296", "0.00000000023283064365386962890625"},
    };
    for (size_t i = 0; i < COUNT_OF(triples); i++)
        cr_expect_str_eq(quotient_of(triples[i][0], triples[i][1]), triples[i][2]);
    cr_expect_null(quotient_of("1", "0"));
    cr_expect_null(quotient_of("0", "0.0"));
    cr_expect_null(quotient_of("1e-400", "2"));
    cr_expect_null(quotient_of("1", "1234567890123456789"));
}

Test(decimal, rounds_where_it_does_not_end)
{
    static const char *const triples[][3] = {
        {"1", "3", "0.33333333333333333333"},
        {"-2", "3", "-0.66666666666666666667"},
        {"1", "3.6", "0.27777777777777777778"},
        {"2e10", "3", "6666666666.6666666667"},
        {"1e20", "368934881474191033", "271.05054312137610800"}, /* 271.050543121376108002... */
        {"299999999999999999999", "3", "100000000000000000000"},   /* the nines are carried out in front */
    };
    for (size_t i = 0; i < COUNT_OF(triples); i++)
        cr_expect_str_eq(quotient_of(triples[i][0], triples[i][1]), triples[i][2]);
}

static struct decimal some_decimal(uint64_t *state, unsigned digits_max)
{
    char text[DECIMAL_TEXT_MAX];
    size_t len = 0;
    unsigned digits = 1 + (unsigned)(next_random(state) % digits_max);
    if (next_random(state) % 2)
        text[len++] = '-';
    text[len++] = (char)('1' + next_random(state) % 9);
    for (unsigned i = 1; i < digits; i++)
        text[len++] = (char)('0' + next_random(state) % 10);
    text[len++] = 'e';
    len += (size_t)snprintf(text + len, sizeof(text) - len, "%d", (int)(next_random(state) % 61) - 30);
    text[len] = '\0';
    return parsed(text);
}

static bool same_value(const struct decimal *a, const struct decimal *b)
{
    struct decimal minus = *b, difference;
    minus.negative = !minus.negative;
    return decimal_add(a, &minus, &difference) && decimal_is_zero(&difference);
}

Test(decimal, divides_what_it_multiplied)
{
    uint64_t state = 8;
    for (unsigned round = 0; round < 3000; round++) {
        struct decimal a = some_decimal(&state, 46), b = some_decimal(&state, DECIMAL_FACTOR_MAX), product, again;
        cr_assert(decimal_multiply(&a, &b, &product));
        cr_assert(decimal_divide(&product, &b, &again));
        cr_assert(same_value(&a, &again));
        cr_assert(decimal_multiply(&b, &a, &again));
        cr_assert(same_value(&product, &again));
        cr_assert_eq(decimal_parse(bytes_of_text(written(&product)), &again), DECIMAL_OK);
    }
}

/* A rounded quotient differs by at most half of its last place: |q * b - a| * 2 <= |b| * 10^exponent. */
Test(decimal, rounds_to_the_nearest)
{
    uint64_t state = 9;
    for (unsigned round = 0; round < 3000; round++) {
        struct decimal a = some_decimal(&state, 40), b = some_decimal(&state, DECIMAL_FACTOR_MAX);
        struct decimal quotient, back, difference, doubled, half;
        cr_assert(decimal_divide(&a, &b, &quotient));
        cr_assert(decimal_multiply(&quotient, &b, &back));
        if (same_value(&back, &a))
            continue;
        cr_assert_leq(quotient.count, DECIMAL_ROUNDED_DIGITS);
        back.negative = !back.negative;
        cr_assert(decimal_add(&a, &back, &difference));
        cr_assert(decimal_add(&difference, &difference, &doubled));
        half = b;
        half.exponent += quotient.exponent;
        half.negative = true;
        doubled.negative = false;
        cr_assert(decimal_add(&doubled, &half, &difference));
        cr_assert(difference.negative || decimal_is_zero(&difference));
    }
}

Test(decimal, drops_zeros_behind_the_point)
{
    static const char *const pairs[][2] = {
        {"21.50", "21.5"}, {"2.00", "2"},   {"100", "100"}, {"1e2", "100"},
        {"0.00", "0"},     {"-0.0", "-0"},  {"0e7", "0"},   {"100.00", "100"},
        {"1.0000000000000000000000000000", "1"},
        {"-12345678901234567890.10", "-12345678901234567890.1"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct decimal decimal = parsed(pairs[i][0]);
        decimal_normalise(&decimal);
        cr_expect_str_eq(written(&decimal), pairs[i][1]);
        struct decimal one = parsed("1"), same;
        cr_assert(decimal_multiply(&decimal, &one, &same)); /* goes by the small integer beside the digits */
        if (!decimal_is_zero(&decimal))
            cr_expect_str_eq(written(&same), pairs[i][1]);
    }
}
