// SPDX-License-Identifier: GPL-3.0-or-later
/* See the header. */
#include "gateway/limiter.h"

#include <stddef.h>

void limiter_init(struct limiter *limiter, uint64_t count, uint64_t period_ms)
{
    *limiter = (struct limiter){.interval_us = period_ms * 1000 / count, .period_us = period_ms * 1000};
}

static const struct limiter_slot *find(const struct limiter *limiter, uint64_t key)
{
    const struct limiter_slot *set = limiter->slots[key % LIMITER_SETS];
    for (unsigned way = 0; way < LIMITER_WAYS; way++)
        if (set[way].key == key)
            return &set[way];
    return NULL;
}

/* The key's slot, or that of whoever will be missed least. */
static struct limiter_slot *claim(struct limiter *limiter, uint64_t key)
{
    struct limiter_slot *set = limiter->slots[key % LIMITER_SETS], *idlest = set;
    for (unsigned way = 0; way < LIMITER_WAYS; way++) {
        if (set[way].key == key)
            return &set[way];
        if (set[way].due_us < idlest->due_us)
            idlest = &set[way];
    }
    *idlest = (struct limiter_slot){.key = key};
    return idlest;
}

bool limiter_allows(const struct limiter *limiter, uint64_t key, uint64_t now_ms)
{
    const struct limiter_slot *slot = find(limiter, key);
    uint64_t now_us = now_ms * 1000, due_us = slot && slot->due_us > now_us ? slot->due_us : now_us;
    return due_us + limiter->interval_us <= now_us + limiter->period_us;
}

void limiter_take(struct limiter *limiter, uint64_t key, uint64_t now_ms)
{
    struct limiter_slot *slot = claim(limiter, key);
    uint64_t now_us = now_ms * 1000;
    slot->due_us = (slot->due_us > now_us ? slot->due_us : now_us) + limiter->interval_us;
}
