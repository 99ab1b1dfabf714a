// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/limiter.h"

#include <criterion/criterion.h>

static struct limiter limiter;

static unsigned take_all(uint64_t key, uint64_t now_ms)
{
    unsigned taken = 0;
    while (taken < 1000 && limiter_allows(&limiter, key, now_ms)) {
        limiter_take(&limiter, key, now_ms);
        taken++;
    }
    return taken;
}

Test(limiter, a_whole_period_may_come_at_once_and_then_one_by_one)
{
    limiter_init(&limiter, 10, 1000);
    cr_assert_eq(take_all(7, 5000), 10);
    cr_assert_eq(take_all(7, 5099), 0);
    cr_assert_eq(take_all(7, 5100), 1);
    cr_assert_eq(take_all(7, 5300), 2);
    cr_assert_eq(take_all(7, 100000), 10);
}

Test(limiter, asking_takes_nothing)
{
    limiter_init(&limiter, 1, 1000);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(limiter_allows(&limiter, 1, 10));
    cr_assert_eq(take_all(1, 10), 1);
}

/* However many others have used up theirs, in the same set or not. */
Test(limiter, nobody_is_refused_for_what_others_did)
{
    limiter_init(&limiter, 5, 60000);
    for (uint64_t other = 1; other < 20000; other++)
        take_all(other * 1024 + other % 3, 1000);
    for (uint64_t key = 0; key < 1024; key++)
        cr_assert(limiter_allows(&limiter, (1ull << 40) + key, 1000));
    cr_assert_eq(take_all(1ull << 40, 1000), 5);
}

Test(limiter, a_busy_key_is_not_forgotten_for_idle_ones)
{
    limiter_init(&limiter, 4, 1000);
    cr_assert_eq(take_all(8, 1000), 4);
    for (uint64_t other = 1; other < 100; other++)
        limiter_take(&limiter, 8 + 1024 * other, 1000);
    cr_assert_eq(take_all(8, 1000), 0);
}
