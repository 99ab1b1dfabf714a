// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Where observations become stream entries: the only place that knows how and when one is safe.
 *
 * One XADD per record, all records of a message in one MULTI/EXEC (a single record needs none), fields in the order
 * of registry/schema.h. Messages of one loop turn are pipelined and spread over the worker's connections. A message
 * is confirmed only after Redis has answered every one of its XADDs; the private Redis answers after its fsync.
 * Redis away: OUTCOME_STORE_AWAY at once. An answer that never comes: OUTCOME_STORE_TIMEOUT, the record may or may
 * not be there. Full: OUTCOME_OVERLOADED.
 */
#pragma once

#include "codec/observation.h"
#include "codec/outcome.h"
#include "gateway/identity.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/metrics.h"
#include "gateway/settings.h"

/* What a refused sender is told to wait: Max-Age of a 5.03, Retry-After of a 503. */
#define SINK_RETRY_S 5

struct sink;

struct sink_record {
    struct bytes device;
    const struct observation *observation;
};

/* All records of one message; borrowed until sink_append returns. */
struct sink_message {
    struct bytes tenant;
    const struct sink_record *records;
    size_t count;
    char class;               /* t, a, e, c: docs/streams.md */
    enum evidence evidence;
    struct bytes brought_by;  /* the device that spoke, if one did; written where the record is not its own */
};

/* Called once, never from within sink_append. */
typedef void sink_done_fn(void *ctx, enum outcome outcome);

struct sink *sink_new(struct loop *loop, const struct settings *settings, const char *redis_address,
                      struct metrics *metrics, const uint64_t random_seed[4]);
void sink_free(struct sink *sink);
/* OUTCOME_CHANGED: taken, done will be called. Anything else: refused at once, done will not be called. */
enum outcome sink_append(struct sink *sink, const struct sink_message *message, sink_done_fn *done, void *ctx);
/* Sends what was collected; the worker calls it after each turn. */
void sink_flush(struct sink *sink);
