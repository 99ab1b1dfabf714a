// SPDX-License-Identifier: GPL-3.0-or-later
/* Digits and nothing else are a number. */
#include "codec/digits.h"

#include <criterion/criterion.h>
#include <inttypes.h>

Test(digits, a_number_is_digits_and_nothing_else)
{
    static const struct {
        const char *text;
        size_t max;
        bool good;
        uint64_t number;
    } cases[] = {
        {"0", 1, true, 0},       {"007", 3, true, 7}, {"9999999999999999999", DIGITS_MAX, true, 9999999999999999999u},
        {"1000", 4, true, 1000}, {"1000", 3, false, 0}, {"", 4, false, 0},   {"-1", 4, false, 0}, {"+1", 4, false, 0},
        {"1 ", 4, false, 0},     {"1.0", 4, false, 0},  {"0x1", 4, false, 0}, {"/", 4, false, 0}, {":", 4, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t number = 5;
        cr_expect_eq(digits_read(bytes_of_text(cases[i].text), cases[i].max, &number), cases[i].good, "%s", cases[i].text);
        cr_expect_eq(number, cases[i].good ? cases[i].number : 5, "%s: %" PRIu64, cases[i].text, number);
    }
}
