// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Where observations become durable: the only place that knows how and when one is safe.
 *
 * Two ways behind one contract: over the spool (gateway/sink_spool, the default) and straight to Redis
 * (gateway/sink_direct, settings.spool off). All records of a message are taken together or not at all.
 */
#pragma once

#include "codec/observation.h"
#include "codec/outcome.h"
#include "gateway/delivery.h"
#include "gateway/identity.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/metrics.h"
#include "gateway/settings.h"
#include "registry/record.h"

/* What a refused sender is told to wait: Max-Age of a 5.03, Retry-After of a 503. */
#define SINK_RETRY_S 5

struct sink;

struct sink_record {
    struct bytes device;
    const struct observation *observation;
    struct bytes stream;             /* suffix of a stream of its own (registry rule); empty: the tenant's obs */
    const struct record_field *tags; /* constant fields behind the fixed ones, at most RECORD_RULE_TAGS_MAX */
    size_t tag_count;
};

/* Digest by which a message without a sequence is recognised. */
#define SINK_KEY_BYTES 16

/* A signed message as it was received: kept in weir:{T}:evidence beside its records, under the same message id, so that
 * anybody who has the public key can check it again. */
struct sink_proof {
    struct bytes kid;    /* id of the credential that it was checked with; empty: a key derived from a group's */
    struct bytes device; /* whose key that is */
    int content_format;  /* of the octets: says which form it is */
    struct bytes octets;
};

/* All records of one message; borrowed until sink_append returns. Without any, over the spool only: its sequence
 * number is remembered. */
struct sink_message {
    struct bytes tenant;
    const struct sink_record *records;
    size_t count;
    char class;               /* t, a, e, c: docs/streams.md */
    enum evidence evidence;
    const struct sink_proof *proof; /* of a signed message; NULL: the transport vouches */
    struct bytes brought_by;  /* the device that spoke, if one did; written where the record is not its own */

    /* How it is recognised when it comes again. */
    enum delivery_class identity_class;
    struct bytes speaker;        /* the device that counts: who was authenticated; mapped network: the first record's */
    struct sequence sequence;    /* CLASS_EXACT: of the speaker */
    uint8_t key[SINK_KEY_BYTES]; /* CLASS_WINDOWED, CLASS_TRANSPORT; else zero */
    uint32_t fingerprint;        /* of format and body: tells other content under the same sequence; never 0 */

    enum delivery_level level; /* at least this before it is confirmed */
    bool confirmable;          /* false: a NON, nobody waits for the confirmation */
};

struct sink_receipt {
    enum delivery_level level; /* reached, at least what was demanded */
    bool duplicate;            /* the message was there already; nothing was appended */
};

/* Called once, never from within sink_append. receipt: of a success, else NULL; valid during the call. */
typedef void sink_done_fn(void *ctx, enum outcome outcome, const struct sink_receipt *receipt);

struct spool;
struct recent;
struct push;

struct sink_config {
    struct loop *loop;
    const struct settings *settings;
    struct metrics *metrics;
    uint64_t random_seed[4];
    unsigned index; /* of the worker */
    /* With a spool; else NULL. */
    struct spool *spool;
    struct recent *recent;
    const struct push *push;
    const struct store_target *redis; /* without one */
};

/* NULL: out of memory. */
struct sink *sink_new(const struct sink_config *config);
/* Answers all that is under way; a spool must have been stopped. */
void sink_free(struct sink *sink);
/* OUTCOME_CHANGED: taken, done will be called. Anything else: refused at once, done will not be called. */
enum outcome sink_append(struct sink *sink, const struct sink_message *message, sink_done_fn *done, void *ctx);
/* Sends what was collected; the worker calls it after each turn. */
void sink_flush(struct sink *sink);
