// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Between the workers' sinks and the log on disk. Batches wait in one queue under a lock that is taken once per
 * batch, not per message. Batches come back in the order of their LSNs.
 *
 * A batch whose commit failed comes back with the reason and nothing of it counts; the next commit is tried all the
 * same, because a disk that was full may have room again.
 */
#include "gateway/spool.h"

#include "gateway/rt/crash.h"
#include "gateway/rt/log.h"
#include "gateway/rt/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define OUTBOXES_MAX 64
#define BATCH_KEPT_OCTETS ((size_t)1 << 20)
#define VERDICTS_MAX_OCTETS ((size_t)16 << 20)

struct spool {
    struct spool_log *log;
    uint64_t commit_us, commit_records;
    int committed_fd;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the queue */
    pthread_cond_t filled;
    struct spool_batch *first, **last;
    size_t waiting_records;
    bool stopping, stopped;
    struct bytes *bodies; /* the writer's: of the group under way */
    size_t bodies_room;
    _Atomic unsigned fill_per_cent;
    _Atomic uint64_t full_ms; /* when a group was refused for want of room; 0: the last one was not */
    struct spool_outbox *_Atomic outboxes[OUTBOXES_MAX];
    struct metrics metrics; /* the writer's */
};

struct spool_outbox {
    struct loop_watch watch; /* first: the callback gets only this */
    struct spool *spool;
    struct loop *loop;
    unsigned index;
    struct spool_outbox_config config;
    struct mailbox *verdicts;
    pthread_mutex_t lock;
    struct spool_batch *first, **last;
};

/* Batches. */

struct spool_batch *spool_batch_new(struct spool_outbox *outbox)
{
    struct spool_batch *batch = calloc(1, sizeof *batch);
    if (batch)
        batch->outbox = outbox;
    return batch;
}

static bool reserve_one(struct spool_batch *batch)
{
    if (batch->count < batch->room)
        return true;
    size_t room = batch->room ? 2 * batch->room : 64;
    size_t *ends = realloc(batch->ends, room * sizeof *ends);
    if (!ends)
        return false;
    batch->ends = ends;
    uint32_t *tags = realloc(batch->tags, room * sizeof *tags);
    if (!tags)
        return false;
    batch->tags = tags;
    batch->room = room;
    return true;
}

bool spool_batch_seal(struct spool_batch *batch, uint32_t tag)
{
    if (!batch->bodies.failed && reserve_one(batch)) {
        batch->tags[batch->count] = tag;
        batch->ends[batch->count++] = batch->bodies.len;
        return true;
    }
    batch->bodies.len = batch->count ? batch->ends[batch->count - 1] : 0;
    batch->bodies.failed = false;
    return false;
}

void spool_batch_clear(struct spool_batch *batch)
{
    msgpack_clear(&batch->bodies, BATCH_KEPT_OCTETS);
    batch->count = 0;
    batch->next = NULL;
}

void spool_batch_free(struct spool_batch *batch)
{
    if (!batch)
        return;
    msgpack_deinit(&batch->bodies);
    free(batch->ends);
    free(batch->tags);
    free(batch);
}

/* Outboxes. */

static void take_returned(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct spool_outbox *outbox = (struct spool_outbox *)watch;
    eventfd_t count;
    (void)eventfd_read(watch->fd, &count);
    pthread_mutex_lock(&outbox->lock);
    struct spool_batch *batch = outbox->first;
    outbox->first = NULL;
    outbox->last = &outbox->first;
    pthread_mutex_unlock(&outbox->lock);
    while (batch) {
        struct spool_batch *next = batch->next;
        outbox->config.returned(outbox->config.ctx, batch);
        batch = next;
    }
}

struct verdict {
    uint64_t waiter;
    enum delivery_level level;
};

static void take_verdict(void *ctx, unsigned kind, struct bytes message)
{
    struct spool_outbox *outbox = ctx;
    struct verdict verdict;
    memcpy(&verdict, message.ptr, sizeof verdict);
    outbox->config.verdict(outbox->config.ctx, verdict.waiter, (char)kind, verdict.level);
}

struct spool_outbox *spool_outbox_new(struct spool *spool, struct loop *loop, unsigned index,
                                      const struct spool_outbox_config *config)
{
    struct spool_outbox *outbox = calloc(1, sizeof *outbox);
    if (!outbox)
        return NULL;
    outbox->watch = (struct loop_watch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = take_returned};
    outbox->spool = spool;
    outbox->loop = loop;
    outbox->index = index;
    outbox->config = *config;
    outbox->last = &outbox->first;
    pthread_mutex_init(&outbox->lock, NULL);
    outbox->verdicts = mailbox_new(loop, VERDICTS_MAX_OCTETS, take_verdict, outbox);
    if (!outbox->verdicts || index >= OUTBOXES_MAX || outbox->watch.fd < 0 ||
        !loop_add(loop, &outbox->watch, EPOLLIN)) {
        if (outbox->watch.fd >= 0)
            close(outbox->watch.fd);
        outbox->watch.fd = -1;
        spool_outbox_free(outbox);
        return NULL;
    }
    spool->outboxes[index] = outbox;
    return outbox;
}

void spool_outbox_free(struct spool_outbox *outbox)
{
    if (!outbox)
        return;
    if (outbox->watch.fd >= 0) {
        take_returned(&outbox->watch, 0);
        outbox->spool->outboxes[outbox->index] = NULL;
        loop_remove(outbox->loop, &outbox->watch);
        close(outbox->watch.fd);
    }
    mailbox_free(outbox->verdicts);
    pthread_mutex_destroy(&outbox->lock);
    free(outbox);
}

void spool_tell_verdict(struct spool *spool, unsigned index, uint64_t waiter, char letter, enum delivery_level level)
{
    struct spool_outbox *outbox = index < OUTBOXES_MAX ? spool->outboxes[index] : NULL;
    struct verdict verdict = {waiter, level};
    if (outbox)
        mailbox_post(outbox->verdicts, (unsigned char)letter, bytes_of(&verdict, sizeof verdict));
}

static void give_back(struct spool_batch *batch)
{
    struct spool_outbox *outbox = batch->outbox;
    batch->next = NULL;
    pthread_mutex_lock(&outbox->lock);
    *outbox->last = batch;
    outbox->last = &batch->next;
    /* Inside the lock: an outbox may go as soon as its last batch is in the list. */
    (void)eventfd_write(outbox->watch.fd, 1);
    pthread_mutex_unlock(&outbox->lock);
}

/* The writer. */

static struct timespec after_us(uint64_t us)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += (long)(us % 1000000) * 1000;
    at.tv_sec += (time_t)(us / 1000000) + at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* Waits until a group is there, takes it whole. NULL: nothing will come any more. */
static struct spool_batch *take_group(struct spool *spool, size_t *ret_records)
{
    pthread_mutex_lock(&spool->lock);
    while (!spool->first && !spool->stopping)
        pthread_cond_wait(&spool->filled, &spool->lock);
    if (spool->first && spool->commit_us) {
        struct timespec until = after_us(spool->commit_us);
        while (spool->waiting_records < spool->commit_records && !spool->stopping)
            if (pthread_cond_timedwait(&spool->filled, &spool->lock, &until) == ETIMEDOUT)
                break;
    }
    struct spool_batch *group = spool->first;
    *ret_records = spool->waiting_records;
    spool->first = NULL;
    spool->last = &spool->first;
    spool->waiting_records = 0;
    pthread_mutex_unlock(&spool->lock);
    return group;
}

static bool gather_bodies(struct spool *spool, const struct spool_batch *group, size_t records)
{
    if (records > spool->bodies_room) {
        struct bytes *bodies = realloc(spool->bodies, records * sizeof *bodies);
        if (!bodies)
            return false;
        spool->bodies = bodies;
        spool->bodies_room = records;
    }
    struct bytes *next = spool->bodies;
    for (const struct spool_batch *batch = group; batch; batch = batch->next)
        for (size_t i = 0, start = 0; i < batch->count; start = batch->ends[i++])
            *next++ = bytes_of(batch->bodies.ptr + start, batch->ends[i] - start);
    return true;
}

static uint64_t monotonic_ms(void)
{
    struct timespec now = after_us(0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void count_commit(struct spool *spool, enum spool_result result, size_t records)
{
    int reason = errno;
    spool->full_ms = result == SPOOL_FULL ? monotonic_ms() : 0;
    metrics_add(&spool->metrics, METRIC_SPOOL_COMMITS, 1);
    if (result == SPOOL_DONE) {
        metrics_add(&spool->metrics, METRIC_SPOOL_RECORDS, (int64_t)records);
        /* The push has the other half, minus its cursor, in its own block: the sum is what waits. */
        metrics_set(&spool->metrics, METRIC_SPOOL_UNPUSHED, spool_log_durable_lsn(spool->log));
        return;
    }
    metrics_add(&spool->metrics, METRIC_SPOOL_FAILED, (int64_t)records);
    static struct log_rate failures;
    uint32_t suppressed;
    if (!log_rate_allows(&failures, monotonic_ms(), &suppressed))
        return;
    log_write(LOG_ERROR, "spool", "a group could not be made durable; its senders were told 5.03",
              "reason=%s error=\"%s\" messages=%zu suppressed=%u",
              result != SPOOL_FULL ? "disk" : reason == EDQUOT ? "spool_max_bytes" : "disk-full", strerror(reason),
              records, suppressed);
}

static void commit_group(struct spool *spool, struct spool_batch *group, size_t records)
{
    uint64_t lsn = 0;
    enum spool_result result = SPOOL_FAILED;
    if (gather_bodies(spool, group, records))
        result = spool_log_commit(spool->log, spool->bodies, records, &lsn);
    count_commit(spool, result, records);
    CRASH_POINT("S4");
    while (group) {
        struct spool_batch *next = group->next;
        group->result = result;
        group->first_lsn = lsn;
        lsn += group->count;
        give_back(group);
        group = next;
    }
    if (result == SPOOL_DONE)
        (void)eventfd_write(spool->committed_fd, 1);
}

static void *run(void *ctx)
{
    struct spool *spool = ctx;
    struct spool_batch *group;
    size_t records;
    while ((group = take_group(spool, &records)) != NULL)
        commit_group(spool, group, records);
    return NULL;
}

struct spool *spool_new(struct spool_log *log, const struct settings *settings)
{
    pthread_condattr_t monotonic;
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return NULL;
    spool->log = log;
    spool->commit_us = settings->spool_commit_us;
    spool->commit_records = settings->spool_commit_records;
    spool->last = &spool->first;
    spool->stopped = true;
    metrics_set(&spool->metrics, METRIC_SPOOL_UNPUSHED, spool_log_durable_lsn(log));
    pthread_mutex_init(&spool->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&spool->filled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    spool->committed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (spool->committed_fd < 0 || pthread_create(&spool->thread, NULL, run, spool) != 0) {
        spool_free(spool);
        return NULL;
    }
    spool->stopped = false;
    return spool;
}

void spool_stop(struct spool *spool)
{
    if (!spool || spool->stopped)
        return;
    pthread_mutex_lock(&spool->lock);
    spool->stopping = true;
    pthread_cond_signal(&spool->filled);
    pthread_mutex_unlock(&spool->lock);
    pthread_join(spool->thread, NULL);
    spool->stopped = true;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    spool_stop(spool);
    if (spool->committed_fd >= 0)
        close(spool->committed_fd);
    pthread_cond_destroy(&spool->filled);
    pthread_mutex_destroy(&spool->lock);
    free(spool->bodies);
    free(spool);
}

void spool_submit(struct spool *spool, struct spool_batch *batch)
{
    batch->next = NULL;
    pthread_mutex_lock(&spool->lock);
    bool refused = spool->stopping;
    if (!refused) {
        bool was_empty = !spool->first;
        *spool->last = batch;
        spool->last = &batch->next;
        spool->waiting_records += batch->count;
        if (was_empty || spool->waiting_records >= spool->commit_records)
            pthread_cond_signal(&spool->filled);
    }
    pthread_mutex_unlock(&spool->lock);
    CRASH_POINT("S3");
    if (refused) {
        batch->result = SPOOL_FAILED;
        give_back(batch);
    }
}

int spool_committed_fd(const struct spool *spool)
{
    return spool->committed_fd;
}

struct spool_log *spool_log_of(const struct spool *spool)
{
    return spool->log;
}

const struct metrics *spool_metrics(const struct spool *spool)
{
    return &spool->metrics;
}

bool spool_is_full(const struct spool *spool, uint64_t now_ms)
{
    uint64_t full_ms = spool->full_ms;
    return full_ms && now_ms < full_ms + SPOOL_FULL_MS;
}

void spool_set_fill(struct spool *spool, unsigned per_cent)
{
    atomic_store_explicit(&spool->fill_per_cent, per_cent, memory_order_relaxed);
}

unsigned spool_fill(const struct spool *spool)
{
    return atomic_load_explicit(&spool->fill_per_cent, memory_order_relaxed);
}
