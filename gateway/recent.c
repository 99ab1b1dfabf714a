// SPDX-License-Identifier: GPL-3.0-or-later
/* Asked for each message before the spool and told after it: two short critical sections, of 64 locks. */
#include "gateway/recent.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WAYS 8
#define STRIPES 64
/* Instead of a time: for ever, and the round of forgetting in which it was put. */
#define FOR_EVER_S (UINT32_C(1) << 31)
#define ROUNDS (UINT32_MAX - FOR_EVER_S)
#define DISPUTED_S UINT32_MAX

struct entry {
    uint8_t key[RECENT_KEY_BYTES];
    uint32_t fingerprint; /* 0: empty */
    uint32_t expires_s;
};

struct set {
    struct entry entries[WAYS];
};

struct recent {
    size_t mask; /* sets - 1 */
    struct set *sets;
    uint8_t *oldest; /* of each set: where the next key goes */
    _Atomic uint32_t round;
    pthread_mutex_t locks[STRIPES];
};

struct recent *recent_new(size_t entries_max)
{
    struct recent *recent = calloc(1, sizeof *recent);
    if (!recent)
        return NULL;
    size_t sets = STRIPES;
    while (sets * 2 * WAYS <= entries_max)
        sets *= 2;
    recent->mask = sets - 1;
    recent->sets = calloc(sets, sizeof *recent->sets);
    recent->oldest = calloc(sets, sizeof *recent->oldest);
    for (unsigned i = 0; i < STRIPES; i++)
        pthread_mutex_init(&recent->locks[i], NULL);
    if (!recent->sets || !recent->oldest) {
        recent_free(recent);
        return NULL;
    }
    return recent;
}

void recent_free(struct recent *recent)
{
    if (!recent)
        return;
    for (unsigned i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&recent->locks[i]);
    free(recent->oldest);
    free(recent->sets);
    free(recent);
}

static size_t set_of(const struct recent *recent, const uint8_t *key)
{
    uint64_t start;
    memcpy(&start, key, sizeof start);
    return (size_t)start & recent->mask;
}

static struct entry *find(struct set *set, const uint8_t *key)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (set->entries[i].fingerprint && memcmp(set->entries[i].key, key, RECENT_KEY_BYTES) == 0)
            return &set->entries[i];
    return NULL;
}

static uint32_t for_ever(struct recent *recent)
{
    return FOR_EVER_S + atomic_load(&recent->round) % ROUNDS;
}

enum recent_result recent_find(struct recent *recent, const uint8_t key[static RECENT_KEY_BYTES], uint32_t fingerprint,
                               uint64_t now_ms)
{
    size_t at = set_of(recent, key);
    enum recent_result result = RECENT_UNKNOWN;
    pthread_mutex_lock(&recent->locks[at % STRIPES]);
    const struct entry *entry = find(&recent->sets[at], key);
    if (entry && (entry->expires_s == for_ever(recent) ||
                  (entry->expires_s < FOR_EVER_S && entry->expires_s > now_ms / 1000)))
        result = entry->fingerprint == fingerprint ? RECENT_SAME : RECENT_OTHER_CONTENT;
    pthread_mutex_unlock(&recent->locks[at % STRIPES]);
    return result;
}

/* The lock of the set is held. */
static struct entry *take(struct recent *recent, size_t at, const uint8_t *key, uint32_t fingerprint)
{
    struct entry *entry = &recent->sets[at].entries[recent->oldest[at]];
    recent->oldest[at] = (uint8_t)((recent->oldest[at] + 1) % WAYS);
    *entry = (struct entry){.fingerprint = fingerprint};
    memcpy(entry->key, key, RECENT_KEY_BYTES);
    return entry;
}

void recent_dispute(struct recent *recent, const uint8_t key[static RECENT_KEY_BYTES])
{
    size_t at = set_of(recent, key);
    pthread_mutex_lock(&recent->locks[at % STRIPES]);
    struct entry *entry = find(&recent->sets[at], key);
    if (!entry)
        entry = take(recent, at, key, 1);
    entry->expires_s = DISPUTED_S;
    pthread_mutex_unlock(&recent->locks[at % STRIPES]);
}

void recent_put(struct recent *recent, const uint8_t key[static RECENT_KEY_BYTES], uint32_t fingerprint,
                uint64_t expires_ms)
{
    size_t at = set_of(recent, key);
    pthread_mutex_lock(&recent->locks[at % STRIPES]);
    struct entry *entry = find(&recent->sets[at], key);
    if (!entry)
        entry = take(recent, at, key, fingerprint); /* of the first that was durable: the one that will be stored */
    uint32_t expires_s = expires_ms == RECENT_FOR_EVER ? for_ever(recent) : (uint32_t)(expires_ms / 1000);
    if (entry->expires_s >= FOR_EVER_S && entry->expires_s != DISPUTED_S && entry->expires_s != expires_s)
        entry->fingerprint = fingerprint; /* the other content was forgotten */
    if (entry->expires_s != DISPUTED_S)
        entry->expires_s = expires_s;
    pthread_mutex_unlock(&recent->locks[at % STRIPES]);
}

void recent_forget(struct recent *recent)
{
    atomic_fetch_add(&recent->round, 1);
}
