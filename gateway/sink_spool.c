// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A message under way is a slot in one array of the worker; its number travels with it through the spool and, with a
 * generation, to Redis and back, so that a late verdict finds its slot or nothing. Slots that wait for a verdict
 * stand in a list in the order of their deadlines, which is the order in which they came.
 */
#include "gateway/sink_spool.h"

#include "codec/hex.h"
#include "gateway/parcel.h"
#include "gateway/push.h"
#include "gateway/recent.h"
#include "gateway/rt/log.h"
#include "gateway/rt/random.h"
#include "gateway/shed.h"
#include "gateway/spool.h"

#include <stdlib.h>

#define NO_SLOT UINT32_MAX
#define GENERATION_MASK 0xffffff

enum slot_state { SLOT_FREE, SLOT_SPOOLING, SLOT_AWAITING };

struct slot {
    sink_done_fn *done;
    void *ctx;
    enum slot_state state;
    uint32_t generation;
    uint32_t next, previous; /* free list, ready list or list of those that await a verdict */
    enum delivery_class identity_class;
    enum delivery_level level;
    uint32_t fingerprint;
    uint8_t key[SINK_KEY_BYTES];
    uint64_t deadline_ms;
    char early_letter; /* a verdict that overtook the return of its batch; 0: none */
    enum delivery_level early_level;
};

struct sink_spool {
    struct sink_config config;
    struct random random;
    struct entry_scratch scratch;
    struct spool_outbox *outbox;
    struct spool_batch *filling, *free_batches;
    struct slot *slots;
    uint32_t slot_count, free_slot;
    uint32_t first_ready, last_ready;       /* duplicates that are told at the next flush */
    uint32_t first_awaiting, last_awaiting; /* by deadline */
    size_t in_flight;
    struct timer deadline;
};

static void returned(void *ctx, struct spool_batch *batch);
static void verdict(void *ctx, uint64_t waiter, char letter, enum delivery_level level);
static void deadline_passed(struct timer *timer);

struct sink_spool *sink_spool_new(const struct sink_config *config)
{
    struct sink_spool *sink = calloc(1, sizeof *sink);
    if (!sink)
        return NULL;
    sink->config = *config;
    sink->free_slot = sink->first_ready = sink->last_ready = sink->first_awaiting = sink->last_awaiting = NO_SLOT;
    sink->deadline.fire = deadline_passed;
    random_seed(&sink->random, config->random_seed);
    struct spool_outbox_config outbox = {.returned = returned, .verdict = verdict, .ctx = sink};
    sink->outbox = spool_outbox_new(config->spool, config->loop, config->index, &outbox);
    if (!sink->outbox) {
        sink_spool_free(sink);
        return NULL;
    }
    return sink;
}

/* Slots. */

static uint32_t slot_take(struct sink_spool *sink)
{
    if (sink->free_slot == NO_SLOT) {
        uint32_t room = sink->slot_count ? 2 * sink->slot_count : 256;
        struct slot *slots = realloc(sink->slots, room * sizeof *slots);
        if (!slots)
            return NO_SLOT;
        sink->slots = slots;
        memset(slots + sink->slot_count, 0, (room - sink->slot_count) * sizeof *slots);
        for (uint32_t i = room; i > sink->slot_count; i--) {
            slots[i - 1].next = sink->free_slot;
            sink->free_slot = i - 1;
        }
        sink->slot_count = room;
    }
    uint32_t at = sink->free_slot;
    sink->free_slot = sink->slots[at].next;
    sink->in_flight++;
    metrics_add(sink->config.metrics, METRIC_SINK_IN_FLIGHT, 1);
    return at;
}

static void slot_give(struct sink_spool *sink, uint32_t at)
{
    struct slot *slot = &sink->slots[at];
    slot->state = SLOT_FREE;
    slot->generation = (slot->generation + 1) & GENERATION_MASK;
    slot->next = sink->free_slot;
    sink->free_slot = at;
    sink->in_flight--;
    metrics_add(sink->config.metrics, METRIC_SINK_IN_FLIGHT, -1);
}

/* Frees the slot first: done may append. */
static void finish(struct sink_spool *sink, uint32_t at, enum outcome outcome, struct sink_receipt receipt)
{
    sink_done_fn *done = sink->slots[at].done;
    void *ctx = sink->slots[at].ctx;
    slot_give(sink, at);
    if (!outcome_is_success(outcome))
        metrics_add(sink->config.metrics, METRIC_SINK_FAILED, 1);
    done(ctx, outcome, outcome_is_success(outcome) ? &receipt : NULL);
}

static void list_append(struct sink_spool *sink, uint32_t *first, uint32_t *last, uint32_t at)
{
    sink->slots[at].next = NO_SLOT;
    sink->slots[at].previous = *last;
    if (*last == NO_SLOT)
        *first = at;
    else
        sink->slots[*last].next = at;
    *last = at;
}

static void list_remove(struct sink_spool *sink, uint32_t *first, uint32_t *last, uint32_t at)
{
    const struct slot *slot = &sink->slots[at];
    if (slot->previous == NO_SLOT)
        *first = slot->next;
    else
        sink->slots[slot->previous].next = slot->next;
    if (slot->next == NO_SLOT)
        *last = slot->previous;
    else
        sink->slots[slot->next].previous = slot->previous;
}

/* Never 0: 0 is nobody. */
static uint64_t waiter_of(const struct sink_spool *sink, uint32_t at)
{
    return (uint64_t)sink->config.index << 56 | (uint64_t)sink->slots[at].generation << 32 | (at + 1);
}

/* Verdicts. */

static void judge(struct sink_spool *sink, uint32_t at, char letter, enum delivery_level level)
{
    const struct slot *slot = &sink->slots[at];
    struct sink_receipt receipt = {.level = level, .duplicate = letter == 'd'};
    if (letter == 'c' || letter == 'x') {
        metrics_add(sink->config.metrics, METRIC_SINK_CONFLICTS, 1);
        finish(sink, at, OUTCOME_SEQUENCE_CONFLICT, receipt);
    } else {
        finish(sink, at, level < slot->level ? OUTCOME_LEVEL_MISSED : OUTCOME_CHANGED, receipt);
    }
}

static void verdict(void *ctx, uint64_t waiter, char letter, enum delivery_level level)
{
    struct sink_spool *sink = ctx;
    uint32_t at = (uint32_t)waiter - 1;
    if (at >= sink->slot_count || sink->slots[at].generation != (waiter >> 32 & GENERATION_MASK))
        return;
    struct slot *slot = &sink->slots[at];
    if (slot->state == SLOT_SPOOLING) {
        slot->early_letter = letter;
        slot->early_level = level;
    } else if (slot->state == SLOT_AWAITING) {
        list_remove(sink, &sink->first_awaiting, &sink->last_awaiting, at);
        judge(sink, at, letter, level);
    }
}

static void set_deadline(struct sink_spool *sink)
{
    struct timers *timers = loop_timers(sink->config.loop);
    if (sink->first_awaiting == NO_SLOT)
        timers_cancel(timers, &sink->deadline);
    else
        timers_set(timers, &sink->deadline, sink->slots[sink->first_awaiting].deadline_ms);
}

static void deadline_passed(struct timer *timer)
{
    struct sink_spool *sink = (struct sink_spool *)((char *)timer - offsetof(struct sink_spool, deadline));
    uint64_t now_ms = loop_now_ms(sink->config.loop);
    while (sink->first_awaiting != NO_SLOT && sink->slots[sink->first_awaiting].deadline_ms <= now_ms) {
        uint32_t at = sink->first_awaiting;
        list_remove(sink, &sink->first_awaiting, &sink->last_awaiting, at);
        finish(sink, at, OUTCOME_STORE_TIMEOUT, (struct sink_receipt){0});
    }
    set_deadline(sink);
}

/* What came back from the spool. */

static void remember(struct sink_spool *sink, const struct slot *slot)
{
    uint64_t window_ms = sink->config.settings->once_window_s * 1000;
    if (slot->identity_class == CLASS_EXACT)
        recent_put(sink->config.recent, slot->key, slot->fingerprint, RECENT_FOR_EVER);
    else if (slot->identity_class == CLASS_WINDOWED)
        recent_put(sink->config.recent, slot->key, slot->fingerprint, loop_now_ms(sink->config.loop) + window_ms);
}

static void spooled(struct sink_spool *sink, uint32_t at)
{
    struct slot *slot = &sink->slots[at];
    remember(sink, slot);
    if (slot->level == LEVEL_SPOOLED) {
        finish(sink, at, OUTCOME_CHANGED, (struct sink_receipt){.level = LEVEL_SPOOLED});
    } else if (slot->early_letter) {
        judge(sink, at, slot->early_letter, slot->early_level);
    } else {
        slot->state = SLOT_AWAITING;
        slot->deadline_ms = loop_now_ms(sink->config.loop) + sink->config.settings->stored_wait_ms;
        list_append(sink, &sink->first_awaiting, &sink->last_awaiting, at);
        if (sink->first_awaiting == at)
            set_deadline(sink);
    }
}

static void returned(void *ctx, struct spool_batch *batch)
{
    struct sink_spool *sink = ctx;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->result == SPOOL_DONE)
            spooled(sink, batch->tags[i]);
        else
            finish(sink, batch->tags[i], batch->result == SPOOL_FULL ? OUTCOME_SPOOL_FULL : OUTCOME_SPOOL_FAILED,
                   (struct sink_receipt){0});
    }
    spool_batch_clear(batch);
    batch->next = sink->free_batches;
    sink->free_batches = batch;
}

void sink_spool_free(struct sink_spool *sink)
{
    if (!sink)
        return;
    spool_outbox_free(sink->outbox);
    sink->outbox = NULL;
    for (uint32_t i = 0; i < sink->slot_count; i++)
        if (sink->slots[i].state != SLOT_FREE)
            finish(sink, i, OUTCOME_STORE_TIMEOUT, (struct sink_receipt){0});
    timers_cancel(loop_timers(sink->config.loop), &sink->deadline);
    spool_batch_free(sink->filling);
    while (sink->free_batches) {
        struct spool_batch *next = sink->free_batches->next;
        spool_batch_free(sink->free_batches);
        sink->free_batches = next;
    }
    entry_scratch_deinit(&sink->scratch);
    free(sink->slots);
    free(sink);
}

/* Taking messages. */

static struct spool_batch *batch_to_fill(struct sink_spool *sink)
{
    if (!sink->filling && sink->free_batches) {
        sink->filling = sink->free_batches;
        sink->free_batches = sink->filling->next;
        sink->filling->next = NULL;
    }
    if (!sink->filling)
        sink->filling = spool_batch_new(sink->outbox);
    return sink->filling;
}

static void count_class(struct sink_spool *sink, enum delivery_class class)
{
    metrics_add(sink->config.metrics,
                class == CLASS_EXACT      ? METRIC_SINK_EXACT
                : class == CLASS_WINDOWED ? METRIC_SINK_WINDOWED
                                          : METRIC_SINK_TRANSPORT,
                1);
}

static void make_message_id(struct sink_spool *sink, char ret[static 16])
{
    hex_write_number(random_next(&sink->random), ret);
}

static enum outcome put(struct sink_spool *sink, const struct sink_message *message, const uint8_t *key, uint32_t at)
{
    char message_id[16];
    struct spool_batch *batch = batch_to_fill(sink);
    if (!batch)
        return OUTCOME_OUT_OF_MEMORY;
    make_message_id(sink, message_id);
    parcel_write(&batch->bodies, message, key, loop_wall(sink->config.loop).s,
                 message->level > LEVEL_SPOOLED ? waiter_of(sink, at) : 0, bytes_of(message_id, sizeof message_id),
                 &sink->scratch);
    return spool_batch_seal(batch, at) ? OUTCOME_CHANGED : OUTCOME_OUT_OF_MEMORY;
}

/* Refusals that need no look at the message's past. */
static enum outcome admit(const struct sink_spool *sink, const struct sink_message *message)
{
    enum shed what = shed_of_message(message->class, message->confirmable);
    if (shed_refuses(spool_fill(sink->config.spool), what)) {
        shed_count(sink->config.metrics, what);
        return OUTCOME_SPOOL_FULL;
    }
    if (sink->in_flight >= sink->config.settings->in_flight_max)
        return OUTCOME_OVERLOADED;
    if (message->level > LEVEL_SPOOLED && !push_reaches_redis(sink->config.push))
        return OUTCOME_STORE_AWAY;
    return OUTCOME_CHANGED;
}

/* A device that uses a number twice is broken or somebody else: an operator wants to know. */
static void say_conflict(struct sink_spool *sink, const struct sink_message *message)
{
    char quoted[LOG_QUOTED_MAX];
    metrics_add(sink->config.metrics, METRIC_SINK_CONFLICTS, 1);
    LOG_RATED(loop_now_ms(sink->config.loop), LOG_ERROR, "sink_spool",
              "refused: a sequence number came again with other content", "tenant=%.*s device=%s epoch=%u seq=%llu",
              (int)message->tenant.len, (const char *)message->tenant.ptr, log_quote(quoted, message->speaker),
              message->sequence.epoch, (unsigned long long)message->sequence.seq);
}

enum outcome sink_spool_append(struct sink_spool *sink, const struct sink_message *message, sink_done_fn *done,
                               void *ctx)
{
    uint8_t key[SINK_KEY_BYTES];
    parcel_key(message, key);
    enum recent_result known =
        recent_find(sink->config.recent, key, message->fingerprint, loop_now_ms(sink->config.loop));
    if (known == RECENT_OTHER_CONTENT && message->identity_class == CLASS_EXACT) {
        say_conflict(sink, message);
        return OUTCOME_SEQUENCE_CONFLICT;
    }
    enum outcome outcome = admit(sink, message);
    if (!outcome_is_success(outcome))
        return outcome;
    uint32_t at = slot_take(sink);
    if (at == NO_SLOT)
        return OUTCOME_OUT_OF_MEMORY;
    struct slot *slot = &sink->slots[at];
    *slot = (struct slot){.done = done, .ctx = ctx, .state = SLOT_SPOOLING, .generation = slot->generation,
                          .identity_class = message->identity_class, .level = message->level,
                          .fingerprint = message->fingerprint};
    memcpy(slot->key, key, sizeof key);
    count_class(sink, message->identity_class);
    if (known == RECENT_SAME && message->level == LEVEL_SPOOLED) {
        list_append(sink, &sink->first_ready, &sink->last_ready, at);
        return OUTCOME_CHANGED;
    }
    outcome = put(sink, message, key, at);
    if (!outcome_is_success(outcome))
        slot_give(sink, at);
    return outcome;
}

/* Duplicates first: whoever is told may append, and that shall go with this batch. */
void sink_spool_flush(struct sink_spool *sink)
{
    while (sink->first_ready != NO_SLOT) {
        uint32_t at = sink->first_ready;
        list_remove(sink, &sink->first_ready, &sink->last_ready, at);
        metrics_add(sink->config.metrics, METRIC_SINK_DUPLICATES, 1);
        finish(sink, at, OUTCOME_CHANGED, (struct sink_receipt){.level = LEVEL_SPOOLED, .duplicate = true});
    }
    if (sink->filling && sink->filling->count) {
        struct spool_batch *batch = sink->filling;
        sink->filling = NULL;
        spool_submit(sink->config.spool, batch);
    }
}
