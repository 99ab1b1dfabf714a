// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A chained hash table of devices that have a session; a device that has none has no entry. Each entry holds its
 * sessions in order of age, at most one more than allowed for the length of presence_add.
 */
#include "gateway/presence.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64

struct entry {
    struct entry *next;
    uint64_t hash;
    char tenant[SCHEMA_TENANT_MAX + 1];
    char device[SCHEMA_DEVICE_MAX + 1];
    unsigned count;
    struct presence_ref refs[]; /* oldest first */
};

struct presence {
    pthread_mutex_t mutex;
    struct hash_key key;
    unsigned limit;
    struct entry **buckets;
    size_t bucket_count, count;
};

struct presence *presence_new(const struct hash_key *key, unsigned sessions_per_device)
{
    struct presence *presence = calloc(1, sizeof *presence);
    if (!presence)
        return NULL;
    presence->key = *key;
    presence->limit = sessions_per_device;
    presence->bucket_count = BUCKETS_FIRST;
    presence->buckets = calloc(BUCKETS_FIRST, sizeof(struct entry *));
    if (!presence->buckets) {
        free(presence);
        return NULL;
    }
    pthread_mutex_init(&presence->mutex, NULL);
    return presence;
}

void presence_free(struct presence *presence)
{
    if (!presence)
        return;
    for (size_t i = 0; i < presence->bucket_count; i++)
        while (presence->buckets[i]) {
            struct entry *next = presence->buckets[i]->next;
            free(presence->buckets[i]);
            presence->buckets[i] = next;
        }
    pthread_mutex_destroy(&presence->mutex);
    free(presence->buckets);
    free(presence);
}

static struct entry **slot_of(struct presence *presence, uint64_t hash, const struct identity *who)
{
    struct entry **slot = &presence->buckets[hash & (presence->bucket_count - 1)];
    while (*slot && ((*slot)->hash != hash || strcmp((*slot)->device, who->device) != 0 ||
                     strcmp((*slot)->tenant, who->tenant) != 0))
        slot = &(*slot)->next;
    return slot;
}

static void grow(struct presence *presence)
{
    size_t count = presence->bucket_count * 2;
    struct entry **buckets = calloc(count, sizeof(struct entry *));
    if (!buckets)
        return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < presence->bucket_count; i++)
        for (struct entry *entry = presence->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (count - 1)];
            buckets[entry->hash & (count - 1)] = entry;
        }
    free(presence->buckets);
    presence->buckets = buckets;
    presence->bucket_count = count;
}

static struct entry *entry_new(struct presence *presence, uint64_t hash, const struct identity *who)
{
    struct entry *entry = calloc(1, sizeof *entry + (presence->limit + 1) * sizeof entry->refs[0]);
    if (!entry)
        return NULL;
    entry->hash = hash;
    memcpy(entry->tenant, who->tenant, sizeof entry->tenant);
    memcpy(entry->device, who->device, sizeof entry->device);
    if (presence->count >= presence->bucket_count)
        grow(presence);
    struct entry **bucket = &presence->buckets[hash & (presence->bucket_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    presence->count++;
    return entry;
}

static void drop_ref(struct entry *entry, unsigned index)
{
    entry->count--;
    memmove(&entry->refs[index], &entry->refs[index + 1], (entry->count - index) * sizeof entry->refs[0]);
}

static uint64_t hash_of(const struct presence *presence, const struct identity *who)
{
    return hash_pair(&presence->key, bytes_of_text(who->tenant), bytes_of_text(who->device));
}

bool presence_add(struct presence *presence, const struct identity *who, struct presence_ref ref, bool *ret_evicts,
                  struct presence_ref *ret_evict)
{
    uint64_t hash = hash_of(presence, who);
    pthread_mutex_lock(&presence->mutex);
    struct entry *entry = *slot_of(presence, hash, who);
    if (!entry)
        entry = entry_new(presence, hash, who);
    if (entry) {
        entry->refs[entry->count++] = ref;
        *ret_evicts = entry->count > presence->limit;
        if (*ret_evicts) {
            *ret_evict = entry->refs[0];
            drop_ref(entry, 0);
        }
    }
    pthread_mutex_unlock(&presence->mutex);
    return entry != NULL;
}

void presence_remove(struct presence *presence, const struct identity *who, struct presence_ref ref)
{
    pthread_mutex_lock(&presence->mutex);
    struct entry **slot = slot_of(presence, hash_of(presence, who), who), *entry = *slot;
    for (unsigned i = 0; entry && i < entry->count; i++)
        if (entry->refs[i].worker == ref.worker && entry->refs[i].serial == ref.serial)
            drop_ref(entry, i);
    if (entry && entry->count == 0) {
        *slot = entry->next;
        presence->count--;
        free(entry);
    }
    pthread_mutex_unlock(&presence->mutex);
}

unsigned presence_count(struct presence *presence, const struct identity *who)
{
    pthread_mutex_lock(&presence->mutex);
    const struct entry *entry = *slot_of(presence, hash_of(presence, who), who);
    unsigned count = entry ? entry->count : 0;
    pthread_mutex_unlock(&presence->mutex);
    return count;
}
