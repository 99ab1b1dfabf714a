// SPDX-License-Identifier: GPL-3.0-or-later
/* Known answers of xoshiro256** and the bounds of random_below. */
#include "gateway/rt/random.h"

#include <criterion/criterion.h>
#include <string.h>

Test(random, is_xoshiro256_starstar)
{
    /* The first outputs for the state 1, 2, 3, 4, as in the tests of other implementations (rand_xoshiro). */
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    struct random random;
    random_seed(&random, (const uint64_t[4]){1, 2, 3, 4});
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(random_next(&random), expected[i]);
}

Test(random, an_empty_seed_still_moves)
{
    struct random random;
    random_seed(&random, (const uint64_t[4]){0});
    uint64_t seen = 0;
    for (unsigned i = 0; i < 8; i++)
        seen |= random_next(&random);
    cr_assert_neq(seen, 0);
}

Test(random, below_stays_below_and_reaches_all)
{
    struct random random;
    random_seed(&random, (const uint64_t[4]){9, 8, 7, 6});
    unsigned counts[10] = {0};
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t n = random_below(&random, 10);
        cr_assert_lt(n, 10);
        counts[n]++;
    }
    for (unsigned i = 0; i < 10; i++)
        cr_assert(counts[i] > 800 && counts[i] < 1200);
    cr_assert_eq(random_below(&random, 0), 0);
    cr_assert_eq(random_below(&random, 1), 0);
    uint64_t huge = UINT64_MAX / 2 + 2;
    for (unsigned i = 0; i < 100; i++)
        cr_assert_lt(random_below(&random, huge), huge);
}

Test(random, kernel_bytes_fill_the_buffer)
{
    uint8_t a[64] = {0}, b[64] = {0}, zero[32] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    cr_assert(memcmp(a, b, sizeof a) != 0);
    cr_assert(memcmp(a + 32, zero, 32) != 0);
    random_bytes(a, 0);
}
