// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys of durable messages: found again, the first content wins, they expire, and there is a bound. */
#include "gateway/recent.h"

#include <criterion/criterion.h>
#include <pthread.h>

#define WAYS 8

static const uint8_t *key_of(uint64_t number, uint8_t ret[static RECENT_KEY_BYTES])
{
    memset(ret, 0, RECENT_KEY_BYTES);
    memcpy(ret, &number, sizeof number);
    return ret;
}

static const uint8_t *key_in_one_set(uint64_t number, uint8_t ret[static RECENT_KEY_BYTES])
{
    memset(ret, 0, RECENT_KEY_BYTES);
    memcpy(ret + 8, &number, sizeof number);
    return ret;
}

Test(recent, found_with_its_content)
{
    struct recent *recent = recent_new(1024);
    uint8_t key[RECENT_KEY_BYTES];
    cr_expect_eq(recent_find(recent, key_of(1, key), 5, 0), RECENT_UNKNOWN);
    recent_put(recent, key_of(1, key), 5, RECENT_FOR_EVER);
    cr_expect_eq(recent_find(recent, key_of(1, key), 5, UINT64_C(1) << 42), RECENT_SAME);
    cr_expect_eq(recent_find(recent, key_of(1, key), 6, 0), RECENT_OTHER_CONTENT);
    cr_expect_eq(recent_find(recent, key_of(2, key), 5, 0), RECENT_UNKNOWN);
    recent_free(recent);
}

Test(recent, the_first_content_wins)
{
    struct recent *recent = recent_new(1024);
    uint8_t key[RECENT_KEY_BYTES];
    recent_put(recent, key_of(1, key), 5, RECENT_FOR_EVER);
    recent_put(recent, key_of(1, key), 6, RECENT_FOR_EVER);
    cr_expect_eq(recent_find(recent, key_of(1, key), 5, 0), RECENT_SAME);
    cr_expect_eq(recent_find(recent, key_of(1, key), 6, 0), RECENT_OTHER_CONTENT);
    recent_free(recent);
}

Test(recent, keys_expire)
{
    struct recent *recent = recent_new(1024);
    uint8_t key[RECENT_KEY_BYTES];
    recent_put(recent, key_of(1, key), 5, 60000);
    cr_expect_eq(recent_find(recent, key_of(1, key), 5, 59999), RECENT_SAME);
    cr_expect_eq(recent_find(recent, key_of(1, key), 5, 60000), RECENT_UNKNOWN);
    recent_put(recent, key_of(1, key), 5, 120000);
    cr_expect_eq(recent_find(recent, key_of(1, key), 5, 119999), RECENT_SAME);
    recent_free(recent);
}

Test(recent, what_is_for_ever_can_be_forgotten)
{
    struct recent *recent = recent_new(1024);
    uint8_t key[RECENT_KEY_BYTES];
    for (uint32_t round = 0; round < 3; round++) {
        recent_put(recent, key_in_one_set(1, key), 5 + round, RECENT_FOR_EVER);
        recent_put(recent, key_in_one_set(2, key), 5, 60000);
        recent_dispute(recent, key_in_one_set(3, key));
        cr_expect_eq(recent_find(recent, key_in_one_set(1, key), 5 + round, 0), RECENT_SAME);
        cr_expect_eq(recent_find(recent, key_in_one_set(1, key), 4 + round, 0), RECENT_OTHER_CONTENT);
        recent_forget(recent);
        cr_expect_eq(recent_find(recent, key_in_one_set(1, key), 5 + round, 0), RECENT_UNKNOWN);
        cr_expect_eq(recent_find(recent, key_in_one_set(1, key), 4 + round, 0), RECENT_UNKNOWN);
        cr_expect_eq(recent_find(recent, key_in_one_set(2, key), 5, 59999), RECENT_SAME, "others are not concerned");
        cr_expect_eq(recent_find(recent, key_in_one_set(2, key), 5, 60000), RECENT_UNKNOWN);
        cr_expect_eq(recent_find(recent, key_in_one_set(3, key), 1, 0), RECENT_UNKNOWN);
        recent_put(recent, key_in_one_set(3, key), 1, RECENT_FOR_EVER);
        cr_expect_eq(recent_find(recent, key_in_one_set(3, key), 1, 0), RECENT_UNKNOWN, "and is in dispute as before");
    }
    recent_free(recent);
}

Test(recent, disputed_content_is_unknown_for_good)
{
    struct recent *recent = recent_new(1024);
    uint8_t key[RECENT_KEY_BYTES];
    recent_put(recent, key_in_one_set(1, key), 5, RECENT_FOR_EVER);
    recent_put(recent, key_in_one_set(2, key), 5, RECENT_FOR_EVER);
    recent_put(recent, key_in_one_set(3, key), 5, 60000);
    recent_dispute(recent, key_in_one_set(1, key)); /* put before */
    recent_dispute(recent, key_in_one_set(3, key));
    recent_dispute(recent, key_in_one_set(4, key)); /* never put */
    recent_dispute(recent, key_in_one_set(4, key));
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t i = 1; i <= 4; i++)
            for (uint32_t fingerprint = 1; fingerprint < 8 && i != 2; fingerprint++)
                cr_expect_eq(recent_find(recent, key_in_one_set(i, key), fingerprint, 0), RECENT_UNKNOWN);
        cr_expect_eq(recent_find(recent, key_in_one_set(2, key), 5, 0), RECENT_SAME, "others are not concerned");
        cr_expect_eq(recent_find(recent, key_in_one_set(2, key), 6, 0), RECENT_OTHER_CONTENT);
        recent_put(recent, key_in_one_set(1, key), 5 + round, RECENT_FOR_EVER);
        recent_put(recent, key_in_one_set(3, key), 5, 60000);
        recent_put(recent, key_in_one_set(4, key), 5, round ? 60000 : RECENT_FOR_EVER);
    }
    recent_free(recent);
}

Test(recent, a_dispute_takes_one_place)
{
    struct recent *recent = recent_new(1024);
    uint8_t key[RECENT_KEY_BYTES];
    for (uint64_t i = 0; i < WAYS; i++)
        recent_put(recent, key_in_one_set(i, key), 5, RECENT_FOR_EVER);
    recent_dispute(recent, key_in_one_set(WAYS, key));
    recent_put(recent, key_in_one_set(WAYS, key), 5, RECENT_FOR_EVER);
    cr_expect_eq(recent_find(recent, key_in_one_set(WAYS, key), 5, 0), RECENT_UNKNOWN);
    for (uint64_t i = 0; i < WAYS; i++)
        cr_expect_eq(recent_find(recent, key_in_one_set(i, key), 5, 0), i ? RECENT_SAME : RECENT_UNKNOWN);
    recent_free(recent);
}

Test(recent, a_full_set_forgets_its_oldest)
{
    struct recent *recent = recent_new(1024);
    uint8_t key[RECENT_KEY_BYTES];
    for (uint64_t i = 0; i < WAYS; i++)
        recent_put(recent, key_in_one_set(i, key), 5, RECENT_FOR_EVER);
    for (uint64_t i = 0; i < WAYS; i++)
        cr_expect_eq(recent_find(recent, key_in_one_set(i, key), 5, 0), RECENT_SAME);
    for (uint64_t i = WAYS; i < 3 * WAYS; i++) {
        recent_put(recent, key_in_one_set(i, key), 5, RECENT_FOR_EVER);
        cr_expect_eq(recent_find(recent, key_in_one_set(i - WAYS, key), 5, 0), RECENT_UNKNOWN);
        cr_expect_eq(recent_find(recent, key_in_one_set(i - WAYS + 1, key), 5, 0), RECENT_SAME);
    }
    recent_free(recent);
}

Test(recent, bounded)
{
    struct recent *recent = recent_new(4096);
    uint8_t key[RECENT_KEY_BYTES];
    size_t known = 0;
    for (uint64_t i = 0; i < 100000; i++)
        recent_put(recent, key_of(i, key), 5, RECENT_FOR_EVER);
    for (uint64_t i = 0; i < 100000; i++)
        known += recent_find(recent, key_of(i, key), 5, 0) == RECENT_SAME;
    cr_expect_eq(known, 4096);
    for (uint64_t i = 100000 - 4096; i < 100000; i++)
        cr_expect_eq(recent_find(recent, key_of(i, key), 5, 0), RECENT_SAME);
    recent_free(recent);
}

static void *worker(void *ctx)
{
    uint8_t key[RECENT_KEY_BYTES];
    for (uint64_t i = 0; i < 20000; i++) {
        recent_put(ctx, key_of(i % 64, key), (uint32_t)(i % 64 + 1), RECENT_FOR_EVER);
        cr_assert_eq(recent_find(ctx, key_of(i % 64, key), (uint32_t)(i % 64 + 1), 0), RECENT_SAME);
    }
    return NULL;
}

Test(recent, several_workers)
{
    struct recent *recent = recent_new(1024);
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, worker, recent);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    recent_free(recent);
}
