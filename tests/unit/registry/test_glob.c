// SPDX-License-Identifier: GPL-3.0-or-later
/* Patterns: a table, a naive matcher to compare with, and patterns that kill a matcher which tries again. */
#include "registry/glob.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

Test(glob, table)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},          {"", "a", false},         {"*", "", true},          {"*", "anything", true},
        {"**", "", true},        {"a", "a", true},         {"a", "b", false},        {"a", "aa", false},
        {"a*", "a", true},       {"a*", "abc", true},      {"a*", "ba", false},      {"*a", "a", true},
        {"*a", "ba", true},      {"*a", "ab", false},      {"a*c", "abc", true},     {"a*c", "ac", true},
        {"a*c", "acb", false},   {"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false},  {"*ab*", "xxabyy", true},
        {"*ab*", "ab", true},    {"*ab*", "a-b", false},   {"aa*aa", "aaa", false},  {"aa*aa", "aaaa", true},
        {"*aa*aa", "aaa", false}, {"boiler-*:temp*", "boiler-7:temp1", true},        {"*.temp", "a.b.temp", true},
        {"a?c", "abc", false},   {"[a]", "a", false},      {"*ab*ab", "abab", true}, {"*ab*ab", "ab", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(glob_matches(bytes_of_text(cases[i].pattern), bytes_of_text(cases[i].text)), cases[i].matches,
                     "%s with %s", cases[i].pattern, cases[i].text);
    cr_expect(glob_matches(bytes_of(NULL, 0), bytes_of(NULL, 0)));
    cr_expect(glob_matches(BYTES_LITERAL("*"), bytes_of(NULL, 0)));
    cr_expect_not(glob_matches(BYTES_LITERAL("*a*"), bytes_of(NULL, 0)));
}

static bool naive(const char *pattern, const char *text)
{
    if (!*pattern)
        return !*text;
    if (*pattern == '*')
        return naive(pattern + 1, text) || (*text && naive(pattern, text + 1));
    return *pattern == *text && naive(pattern + 1, text + 1);
}

/* All patterns of up to 6 of a, b, * against all texts of up to 6 of a, b. */
Test(glob, agrees_with_a_naive_matcher)
{
    static const char letters[] = "ab*";
    for (unsigned p = 0; p < 729; p++)
        for (unsigned t = 0; t < 64; t++)
            for (unsigned len = 0; len <= 6; len++) {
                char pattern[7] = "", text[7] = "";
                for (unsigned i = 0, rest = p; i < 6; i++, rest /= 3)
                    pattern[i] = letters[rest % 3];
                for (unsigned i = 0; i < len; i++)
                    text[i] = t >> i & 1 ? 'b' : 'a';
                pattern[p % 7] = '\0';
                cr_assert_eq(glob_matches(bytes_of_text(pattern), bytes_of_text(text)), naive(pattern, text),
                             "%s with %s", pattern, text);
            }
}

/* With trying again this is some 10^20 steps: the test ends or the time-out ends it. */
Test(glob, adversarial_patterns_are_linear, .timeout = 20)
{
    size_t len = 1 << 20;
    char *text = malloc(len);
    memset(text, 'a', len);
    cr_expect_not(glob_matches(BYTES_LITERAL("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), bytes_of(text, len)));
    cr_expect_not(glob_matches(BYTES_LITERAL("*aaaaaaaaaaaaaaaaaaaaaaaaaaab*aaaaaaaaaaaaaab"), bytes_of(text, len)));
    cr_expect(glob_matches(BYTES_LITERAL("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*"), bytes_of(text, len)));
    free(text);
}
