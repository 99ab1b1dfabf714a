// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One set-associative table for both kinds of memory, told apart by their hashes. In a full set the slot that was used
 * longest ago goes.
 */
#include "gateway/dtls_choice.h"

#include <pthread.h>
#include <stdlib.h>

#define SETS 1024
#define WAYS 4

struct slot {
    uint64_t key; /* 0: free */
    uint64_t value;
    uint64_t used; /* by the count of uses */
};

struct dtls_choice {
    struct hash_key key;
    pthread_mutex_t lock;
    uint64_t uses;
    struct slot slots[SETS][WAYS];
};

struct dtls_choice *dtls_choice_new(const struct hash_key *key)
{
    struct dtls_choice *choice = calloc(1, sizeof *choice);
    if (!choice)
        return NULL;
    choice->key = *key;
    pthread_mutex_init(&choice->lock, NULL);
    return choice;
}

void dtls_choice_free(struct dtls_choice *choice)
{
    if (!choice)
        return;
    pthread_mutex_destroy(&choice->lock);
    free(choice);
}

const struct hash_key *dtls_choice_key(const struct dtls_choice *choice)
{
    return &choice->key;
}

struct dtls_choice_who dtls_choice_who(const struct dtls_choice *choice, struct bytes tenant, struct bytes device,
                                       uint64_t network)
{
    struct bytes parts[] = {tenant, device, bytes_of(&network, sizeof network)};
    /* Odd, so that none is 0. */
    return (struct dtls_choice_who){hash_parts(&choice->key, parts, 2) | 1, hash_parts(&choice->key, parts, 3) | 1};
}

static struct slot *find(struct dtls_choice *choice, uint64_t key)
{
    struct slot *set = choice->slots[key >> 32 & (SETS - 1)];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

static uint64_t value_of(struct dtls_choice *choice, uint64_t key)
{
    struct slot *slot = find(choice, key);
    if (!slot)
        return 0;
    slot->used = ++choice->uses;
    return slot->value;
}

static void set_value(struct dtls_choice *choice, uint64_t key, uint64_t value)
{
    struct slot *set = choice->slots[key >> 32 & (SETS - 1)], *slot = find(choice, key);
    if (!slot) {
        slot = set;
        for (size_t i = 1; i < WAYS; i++)
            if (set[i].used < slot->used)
                slot = &set[i];
    }
    *slot = (struct slot){key, value, ++choice->uses};
}

struct dtls_choice_state dtls_choice_read(struct dtls_choice *choice, struct dtls_choice_who who)
{
    pthread_mutex_lock(&choice->lock);
    struct dtls_choice_state state = {value_of(choice, who.device), (unsigned)value_of(choice, who.place)};
    pthread_mutex_unlock(&choice->lock);
    return state;
}

void dtls_choice_tried(struct dtls_choice *choice, struct dtls_choice_who who)
{
    pthread_mutex_lock(&choice->lock);
    set_value(choice, who.place, value_of(choice, who.place) + 1);
    pthread_mutex_unlock(&choice->lock);
}

void dtls_choice_proved(struct dtls_choice *choice, struct dtls_choice_who who, uint64_t credential)
{
    pthread_mutex_lock(&choice->lock);
    set_value(choice, who.device, credential);
    set_value(choice, who.place, 0);
    pthread_mutex_unlock(&choice->lock);
}
