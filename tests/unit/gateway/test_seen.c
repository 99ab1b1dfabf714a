// SPDX-License-Identifier: GPL-3.0-or-later
/* States as function.lua packs them: ">dd" of highest and low, two octets a mark, newest first. */
#include "gateway/seen.h"

#include <criterion/criterion.h>
#include <stdio.h>

static uint8_t state[256];

static void put_double(uint8_t *at, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(bits >> (56 - 8 * i));
}

/* marks: "x" seen, "." unseen, newest first. */
static struct bytes make(double highest, double low, const char *marks)
{
    put_double(state, highest);
    put_double(state + 8, low);
    size_t len = 16;
    for (; *marks; marks++, len += 2)
        memcpy(state + len, *marks == 'x' ? "\x12\x00" : "\x00\x00", 2);
    return bytes_of(state, len);
}

Test(seen, a_run_without_gaps_misses_nothing)
{
    struct seen seen = {0};
    cr_assert(seen_add_state(&seen, make(3, 1, "xxx")));
    cr_expect_eq(seen.highest, 3);
    cr_expect_eq(seen.lowest, 1);
    cr_expect_eq(seen.missing, 0);
    cr_expect_eq(seen.range_count, 0);
}

Test(seen, what_was_jumped_over_is_missing)
{
    struct seen seen = {0};
    cr_assert(seen_add_state(&seen, make(6, 1, "x...xx")));
    cr_expect_eq(seen.missing, 3);
    cr_assert_eq(seen.range_count, 1);
    cr_expect_eq(seen.ranges[0].lo, 3);
    cr_expect_eq(seen.ranges[0].hi, 5);
}

Test(seen, holes_and_window_rise_and_touch)
{
    struct seen seen = {0};
    cr_assert(seen_add_hole(&seen, BYTES_LITERAL("5-7")));
    cr_assert(seen_add_hole(&seen, BYTES_LITERAL("100-136")));
    cr_assert(seen_add_state(&seen, make(200, 1, "x...............................................................")));
    cr_expect_eq(seen.missing, 3 + 37 + 63);
    cr_assert_eq(seen.range_count, 2);
    cr_expect_eq(seen.ranges[1].lo, 100);
    cr_expect_eq(seen.ranges[1].hi, 199);
}

Test(seen, only_the_first_ranges_are_kept_but_all_are_counted)
{
    struct seen seen = {0};
    for (unsigned i = 0; i < SEEN_RANGES_MAX + 5; i++) {
        char hole[32];
        int len = snprintf(hole, sizeof hole, "%u-%u", 10 * i, 10 * i + 1);
        cr_assert(seen_add_hole(&seen, bytes_of(hole, (size_t)len)));
    }
    cr_expect_eq(seen.missing, 2 * (SEEN_RANGES_MAX + 5));
    cr_expect_eq(seen.range_count, SEEN_RANGES_MAX);
    cr_expect_eq(seen.ranges[0].lo, 0);
}

Test(seen, other_texts_are_not_holes)
{
    static const char *const bad[] = {"", "-", "5", "5-", "-5", "7-5", "5-7x", " 5-7", "5--7",
                                      "99999999999999999999-99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct seen seen = {0};
        cr_expect_not(seen_add_hole(&seen, bytes_of_text(bad[i])), "%s", bad[i]);
    }
}

Test(seen, other_octets_are_not_states)
{
    struct seen seen = {0};
    cr_expect_not(seen_add_state(&seen, (struct bytes){0}));
    cr_expect_not(seen_add_state(&seen, make(3, 1, "")));
    cr_expect_not(seen_add_state(&seen, make(-1, -1, "x")));
    cr_expect_not(seen_add_state(&seen, make(1, 2, "x")));
    cr_expect_not(seen_add_state(&seen, make(1.5, 1, "x")));
    cr_expect_not(seen_add_state(&seen, make(1e300, 1, "x")));
    cr_expect_not(seen_add_state(&seen, make(0.0 / 0.0, 1, "x")));
    cr_expect_not(seen_add_state(&seen, make(1, 0, "xxx")), "more marks than numbers");
    struct bytes odd = make(3, 1, "xx");
    cr_expect_not(seen_add_state(&seen, bytes_of(odd.ptr, odd.len - 1)));
}
