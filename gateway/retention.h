// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Trims streams to the retention that the registry has of them, and watches the memory of Redis.
 *
 * Runs in the main loop, on connections of its own, every retention_period_s. Nothing is trimmed of a stream without a
 * record, and nothing that a consumer group which the record asks for has not read and acknowledged; what a group
 * holds up is counted (weir_stream_trim_blocked) and logged.
 *
 * Several gateways may do this to one Redis: wherever a group is asked, entries go by MINID, below an id that the group
 * had already read, and the same id twice removes nothing more; where nobody is asked, MAXLEN leaves what the record
 * says however often it comes.
 */
#pragma once

#include "gateway/redis.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/metrics.h"
#include "registry/registry.h"

struct retention;

struct retention_config {
    const struct store_target *redis; /* copied */
    const struct registry *registry; /* the calling thread is its writer */
    struct metrics *metrics;         /* of the calling thread */
    uint64_t period_ms;
    uint64_t random_seed[4];
};

/* NULL: out of memory. */
struct retention *retention_new(struct loop *loop, const struct retention_config *config);
void retention_free(struct retention *retention);
