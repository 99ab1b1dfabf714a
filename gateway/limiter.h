// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Rates of many at once in a fixed amount of memory: "so many per period" for each key (a device, a network), as a
 * generic cell rate (ITU-T I.371): one moment per key, no refill work, bursts of a whole period allowed.
 *
 * The table is set-associative. When a set is full, the key that has most of its allowance left is forgotten: under
 * attack somebody may get more than his rate, but nobody is ever refused for what another one did.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LIMITER_SETS 1024
#define LIMITER_WAYS 4

struct limiter_slot {
    uint64_t key;
    uint64_t due_us; /* when the allowance will be whole again */
};

/* 64 KiB; lives in its owner. */
struct limiter {
    uint64_t interval_us, period_us;
    struct limiter_slot slots[LIMITER_SETS][LIMITER_WAYS];
};

/* count per period_ms, count > 0. */
void limiter_init(struct limiter *limiter, uint64_t count, uint64_t period_ms);
/* Whether the key has something left; takes nothing. The key is a hash that peers cannot choose. */
bool limiter_allows(const struct limiter *limiter, uint64_t key, uint64_t now_ms);
/* Takes one; to be called after limiter_allows. */
void limiter_take(struct limiter *limiter, uint64_t key, uint64_t now_ms);
