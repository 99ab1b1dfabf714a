// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From the spool to Redis: one thread that reads the log behind the writer and calls the Redis Function in batches.
 *
 * Order: the records of a lane (gateway/parcel.h) are sent in the order of their LSNs over one connection, a batch
 * only holds one lane of one tenant, and each call names the LSN that it expects Redis to have reached in that lane.
 * So whatever was lost, repeated or overtaken on the way is noticed by the Function, and the push goes back to what
 * Redis has said that it has. That Redis itself went back in time (crash, failover, restore) is noticed the same
 * way, and for lanes that are silent after each connect; what the spool still holds is pushed again.
 *
 * Bounded: a few batches in flight per connection and lane. While Redis is away nothing is read; the spool grows
 * until gateway/shed refuses. A lane that Redis refuses (a key of another type, no memory) is tried again after a
 * growing pause and does not stop the others.
 *
 * What all lanes have confirmed is the cursor; once a second it is saved and segments that are older than the safety
 * tail are unlinked.
 */
#pragma once

#include "gateway/recent.h"
#include "gateway/redis_check.h"
#include "gateway/spool.h"

#include <stdatomic.h>

struct push;

struct push_config {
    struct spool *spool;
    const struct settings *settings;
    const struct store_target *redis;
    const struct redis_facts *facts; /* whether Redis answers from its disk; NULL: nobody waits for that */
    uint64_t incarnation; /* of this process */
    struct recent *recent;
    uint64_t lost; /* messages that the recovery of the spool could not find again */
    uint64_t random_seed[4];
};

/* Reads the spool once: which lanes are how far, and the recent keys. Call before the workers start. NULL: no
 * memory. */
struct push *push_new(const struct push_config *config, uint64_t cursor_lsn);
bool push_start(struct push *push);
/* Waits a moment for what is in flight, saves the cursor, ends the thread. */
void push_stop(struct push *push);
void push_free(struct push *push);

/* Any thread: the LSN up to which Redis had confirmed everything at the last tick. */
uint64_t push_confirmed_lsn(const struct push *push);
/* Any thread. */
const struct metrics *push_metrics(const struct push *push);
/* NULL: Redis takes what is pushed; else a static sentence. */
const char *push_why_not(const struct push *push);
/* Whether that will not go away by itself. */
bool push_needs_operator(const struct push *push);
/* Whether a level above spooled can be hoped for. */
bool push_reaches_redis(const struct push *push);
