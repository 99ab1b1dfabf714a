// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/presence.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

static const struct hash_key key = {3, 4};

static struct identity device(const char *tenant, unsigned number)
{
    struct identity who = {.kind = IDENTITY_DEVICE, .evidence = EVIDENCE_PSK};
    snprintf(who.tenant, sizeof who.tenant, "%s", tenant);
    snprintf(who.device, sizeof who.device, "d%u", number);
    return who;
}

Test(presence, the_oldest_session_of_the_same_device_has_to_go)
{
    struct presence *presence = presence_new(&key, 2);
    struct identity a = device("acme", 1), same_name = device("other", 1);
    for (uint64_t serial = 1; serial <= 5; serial++) {
        bool evicts = true;
        struct presence_ref oldest = {0};
        cr_assert(presence_add(presence, &a, (struct presence_ref){(unsigned)serial % 2, serial}, &evicts, &oldest));
        cr_assert_eq(evicts, serial > 2);
        if (evicts) {
            cr_assert_eq(oldest.serial, serial - 2);
            cr_assert_eq(oldest.worker, (unsigned)(serial - 2) % 2);
        }
        cr_assert(presence_add(presence, &same_name, (struct presence_ref){0, 100 + serial}, &evicts, &oldest));
        cr_assert_not(evicts && oldest.serial < 100, "tenants are apart");
    }
    presence_free(presence);
}

Test(presence, a_session_that_ended_does_not_count)
{
    struct presence *presence = presence_new(&key, 1);
    struct identity a = device("acme", 1);
    for (uint64_t serial = 1; serial <= 100; serial++) {
        bool evicts = true;
        struct presence_ref oldest;
        cr_assert(presence_add(presence, &a, (struct presence_ref){0, serial}, &evicts, &oldest));
        cr_assert_not(evicts);
        presence_remove(presence, &a, (struct presence_ref){1, serial}); /* of another worker: not this one */
        presence_remove(presence, &a, (struct presence_ref){0, serial});
        presence_remove(presence, &a, (struct presence_ref){0, serial}); /* twice is fine */
    }
    presence_free(presence);
}

Test(presence, many_devices_are_kept_apart)
{
    struct presence *presence = presence_new(&key, 1);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 5000; i++) {
            struct identity who = device("acme", i);
            bool evicts;
            struct presence_ref oldest;
            cr_assert(presence_add(presence, &who, (struct presence_ref){0, round * 5000 + i}, &evicts, &oldest));
            cr_assert_eq(evicts, round == 1);
            if (evicts)
                cr_assert_eq(oldest.serial, i);
        }
    for (unsigned i = 0; i < 5000; i++) {
        struct identity who = device("acme", i);
        presence_remove(presence, &who, (struct presence_ref){0, 5000 + i});
    }
    presence_free(presence);
}

static void *add_and_remove(void *presence)
{
    for (uint64_t i = 0; i < 2000; i++) {
        struct identity who = device("acme", (unsigned)i % 7);
        struct presence_ref self = {(unsigned)(uintptr_t)pthread_self(), i}, oldest;
        bool evicts;
        presence_add(presence, &who, self, &evicts, &oldest);
        presence_remove(presence, &who, self);
    }
    return NULL;
}

Test(presence, workers_share_it)
{
    struct presence *presence = presence_new(&key, 2);
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, add_and_remove, presence), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    presence_free(presence);
}

Test(presence, sessions_are_counted)
{
    struct presence *presence = presence_new(&key, 2);
    struct identity who = device("acme", 1);
    struct presence_ref oldest;
    bool evicts;
    cr_expect_eq(presence_count(presence, &who), 0);
    for (uint64_t i = 0; i < 3; i++)
        cr_assert(presence_add(presence, &who, (struct presence_ref){0, i}, &evicts, &oldest));
    cr_expect_eq(presence_count(presence, &who), 2, "the oldest has gone");
    presence_remove(presence, &who, (struct presence_ref){0, 1});
    cr_expect_eq(presence_count(presence, &who), 1);
    presence_free(presence);
}
