// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The spool of the process: one thread that makes what all workers hand it durable, in groups (group commit).
 *
 * A worker collects the messages of a turn in a batch and submits it; the writer takes all batches that wait,
 * commits them with one write and one sync (gateway/spool_log) and gives each back to where it came from, where an
 * eventfd wakes the worker's loop. A commit begins settings.spool_commit_us after the first batch of its group came,
 * or as soon as settings.spool_commit_records are there. While a commit runs the next group collects.
 *
 * Nothing is acknowledged before its batch came back with SPOOL_DONE (reliability notes e.5, S4 before S5).
 */
#pragma once

#include "gateway/delivery.h"
#include "gateway/msgpack.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/metrics.h"
#include "gateway/settings.h"
#include "gateway/spool_log.h"

struct spool;
struct spool_outbox;

/* The messages of one turn of one worker: bodies one behind the other, and where each ends. */
struct spool_batch {
    struct spool_batch *next;
    struct spool_outbox *outbox; /* where it goes back */
    struct msgpack bodies;
    size_t *ends;
    uint32_t *tags; /* the sink's */
    size_t count, room;
    enum spool_result result; /* after its return */
    uint64_t first_lsn;
};

/* NULL: out of memory. */
struct spool_batch *spool_batch_new(struct spool_outbox *outbox);
/* What was put into bodies since the last seal is one message. False: no memory, it is taken out again. */
bool spool_batch_seal(struct spool_batch *batch, uint32_t tag);
/* Empty again, memory kept in bounds. */
void spool_batch_clear(struct spool_batch *batch);
void spool_batch_free(struct spool_batch *batch);

/* Where finished batches and verdicts come back to a loop. returned is called once for each batch, verdict for each
 * verdict, in the loop's thread. */
struct spool_outbox_config {
    void (*returned)(void *ctx, struct spool_batch *batch);
    void (*verdict)(void *ctx, uint64_t waiter, char letter, enum delivery_level level);
    void *ctx;
};
/* NULL: out of memory or descriptors. index: the worker's. */
struct spool_outbox *spool_outbox_new(struct spool *spool, struct loop *loop, unsigned index,
                                      const struct spool_outbox_config *config);
/* Hands over what came back meanwhile. No batch of it may be under way. */
void spool_outbox_free(struct spool_outbox *outbox);
/* Any thread: what the Redis Function said of a message that somebody waits for; letter as in
 * gateway/function.lua, level as it was reached. Lost when there is no memory: whoever waits has a
 * time-out. */
void spool_tell_verdict(struct spool *spool, unsigned outbox, uint64_t waiter, char letter, enum delivery_level level);

/* Borrows log and settings. NULL: out of memory or thread. */
struct spool *spool_new(struct spool_log *log, const struct settings *settings);
/* Commits what waits and ends the thread; what is submitted later comes back with SPOOL_FAILED. */
void spool_stop(struct spool *spool);
void spool_free(struct spool *spool);

/* Any thread: the batch belongs to the spool until it comes back. */
void spool_submit(struct spool *spool, struct spool_batch *batch);
/* Written to after each commit, by an eventfd that the push watches. */
int spool_committed_fd(const struct spool *spool);
struct spool_log *spool_log_of(const struct spool *spool);
const struct metrics *spool_metrics(const struct spool *spool);

/* Whether a group was refused for want of room within the last seconds, and none taken since. now_ms: monotonic. */
#define SPOOL_FULL_MS 5000
bool spool_is_full(const struct spool *spool, uint64_t now_ms);

/* Share of settings.spool_max_bytes that waits for Redis, per cent; told by the push, read by gateway/shed. */
void spool_set_fill(struct spool *spool, unsigned per_cent);
unsigned spool_fill(const struct spool *spool);
