// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Whether Redis keeps what an acknowledgement promises: asked at every connect and every 10 s, of every primary, in
 * the main loop on connections of its own. (Reliability notes, R6)
 *
 * A maxmemory-policy that deletes keys makes /ready say no; the rest is warned of once per change, because the operator
 * may have replication or a battery: no append-only file, fsync not before the answer. Who may not ask CONFIG GET
 * learns what INFO tells.
 */
#pragma once

#include "gateway/rt/loop.h"
#include "gateway/store_target.h"

#include <stdatomic.h>

enum redis_fact { REDIS_UNKNOWN, REDIS_NO, REDIS_YES };

/* What is known of Redis; written by the check, read by any thread. Of a cluster the worst of its primaries;
 * of several, run is the one asked last. Zero-initialised: nothing is known. */
struct redis_facts {
    _Atomic int appendonly;         /* enum redis_fact */
    _Atomic int appendfsync_always; /* with no-appendfsync-on-rewrite no */
    _Atomic int noeviction;
    _Atomic uint32_t version;       /* 70015 is 7.0.15 */
    _Atomic uint64_t run;           /* the first 16 digits of its run_id: another one is another process */
    _Atomic uint64_t used_memory, maxmemory; /* bytes, of a cluster the sum; maxmemory 0: no limit */
};

struct redis_check;

/* facts must outlive it. NULL: out of memory. */
struct redis_check *redis_check_new(struct loop *loop, const struct store_target *redis, struct redis_facts *facts,
                                    const uint64_t random_seed[4]);
void redis_check_free(struct redis_check *check);
