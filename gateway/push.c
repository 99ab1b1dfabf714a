// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The push's thread: a loop that wakes when the spool has committed, when Redis answers and ten times a second.
 *
 * `position` is how far the log was read, a track's `sent` how far its records were put into batches, its
 * `confirmed` how far Redis has said yes; records of other tracks on a way back are skipped by their `sent`. Filling
 * and sending batches: push_batch.c. Answers and going back: push_answer.c. Levels above spooled: push_level.c.
 * Connections: push_link.c. Cursor, safety tail, gauges and the start: push_upkeep.c.
 */
#include "gateway/push_private.h"

#include "gateway/rt/crash.h"
#include "gateway/rt/log.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#define TICK_MS 100
#define STOP_WAIT_MS 1000

static bool next_record(struct push *push)
{
    if (push->seek) {
        spool_reader_seek(push->reader, push->seek);
        push->position = push->seek;
        push->seek = 0;
        push->holding = false;
    }
    if (push->holding)
        return true;
    uint64_t durable = spool_log_durable_lsn(push->log); /* before the read, which may see more */
    enum spool_read read = spool_reader_next(push->reader, &push->held);
    /* What stands at the end and cannot be read any more is waited for by nobody. */
    if (read == SPOOL_READ_END && push->position <= durable)
        push->position = durable + 1;
    if (read == SPOOL_READ_FAILED)
        LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push", "the spool cannot be read", "position=%llu",
                  (unsigned long long)push->position);
    push->holding = read == SPOOL_READ_RECORD;
    return push->holding;
}

static void push_pump(struct push *push)
{
    while (push_any_ready(push) && next_record(push)) {
        push->position = push->held.lsn;
        if (!push_place(push, &push->held))
            break;
        push->position = push->held.lsn + 1;
        push->holding = false;
    }
    for (size_t i = push->building_count; i > 0; i--)
        push_send_building(push, push->building[i - 1]);
    for (unsigned i = 0; i < push->link_count; i++)
        redis_flush(push->links[i].redis);
    redis_flush(push->waits);
    if (push->sent)
        CRASH_POINT("S6");
    push->sent = false;
}

/* The thread. */

static bool try_again(void *ctx, struct track *track)
{
    struct push *push = ctx;
    if (track->blocked_until_ms && track->blocked_until_ms <= loop_now_ms(push->loop)) {
        track->blocked_until_ms = 0;
        push->blocked--;
    }
    if (track->passed && !track->blocked_until_ms && push_can_reach(push, track))
        push_rewind(push, track);
    return true;
}

static void ticked(struct timer *timer)
{
    struct push *push = (struct push *)((char *)timer - offsetof(struct push, tick));
    timers_set(loop_timers(push->loop), timer, loop_now_ms(push->loop) + TICK_MS);
    if (push->blocked || push->passed)
        tracks_each(&push->tracks, try_again, push);
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].retry_ms && push->links[i].retry_ms <= loop_now_ms(push->loop))
            push_look_again(&push->links[i]);
    metrics_set(&push->metrics, METRIC_PUSH_CIRCUIT, !push_any_ready(push));
    push_upkeep(push);
}

static void committed(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    eventfd_t count;
    (void)eventfd_read(watch->fd, &count);
}

static bool anything_in_flight(const struct push *push)
{
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].in_flight)
            return true;
    return false;
}

static void *run(void *ctx)
{
    struct push *push = ctx;
    while (!push->stop) {
        loop_wait(push->loop, TICK_MS, NULL, NULL);
        push_pump(push);
    }
    uint64_t until = loop_now_ms(push->loop) + STOP_WAIT_MS;
    do {
        push_pump(push);
        loop_wait(push->loop, 10, NULL, NULL);
    } while (loop_now_ms(push->loop) < until && push_any_ready(push) &&
             (anything_in_flight(push) || push_cursor(push) < spool_log_durable_lsn(push->log)));
    push_save_cursor(push);
    return NULL;
}

struct push *push_new(const struct push_config *config, uint64_t cursor_lsn)
{
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return NULL;
    push->config = *config;
    push->settings = config->settings;
    push->log = spool_log_of(config->spool);
    push->why_not = push_is_away;
    push->cursor_saved = cursor_lsn;
    push->confirmed_lsn = cursor_lsn;
    push->inherited = spool_log_durable_lsn(push->log);
    metrics_set(&push->metrics, METRIC_SPOOL_UNPUSHED, 0 - cursor_lsn);
    metrics_add(&push->metrics, METRIC_SPOOL_DAMAGED, (int64_t)config->lost);
    push->sample_ms = config->settings->spool_tail_s * 1000 / (PUSH_SAMPLES - 1) + 1000;
    random_seed(&push->random, config->random_seed);
    push->tick.fire = ticked;
    push->committed = (struct loop_watch){.fd = spool_committed_fd(config->spool), .ready = committed};
    push->loop = loop_new();
    push->reader = spool_reader_new(push->log);
    if (!push->loop || !push->reader || !tracks_init(&push->tracks) || !push_scan(push, cursor_lsn) ||
        !loop_add(push->loop, &push->committed, EPOLLIN) || !push_open_links(push) || !push_level_open(push)) {
        push_free(push);
        return NULL;
    }
    timers_set(loop_timers(push->loop), &push->tick, loop_now_ms(push->loop) + TICK_MS);
    return push;
}

bool push_start(struct push *push)
{
    push->started = pthread_create(&push->thread, NULL, run, push) == 0;
    return push->started;
}

void push_stop(struct push *push)
{
    if (!push || !push->started)
        return;
    push->stop = true;
    (void)eventfd_write(push->committed.fd, 1);
    pthread_join(push->thread, NULL);
    push->started = false;
}

static bool free_building(void *ctx, struct track *track)
{
    (void)ctx;
    if (track->building)
        push_batch_give(track->building);
    track->building = NULL;
    return true;
}

void push_free(struct push *push)
{
    if (!push)
        return;
    push_stop(push);
    for (unsigned i = 0; i < push->link_count; i++)
        redis_free(push->links[i].redis);
    push_level_close(push);
    if (push->tracks.buckets)
        tracks_each(&push->tracks, free_building, push);
    tracks_deinit(&push->tracks);
    while (push->free_list) {
        struct push_batch *next = push->free_list->next;
        msgpack_deinit(&push->free_list->packed);
        free(push->free_list);
        push->free_list = next;
    }
    spool_reader_free(push->reader);
    loop_free(push->loop);
    free(push);
}

const struct metrics *push_metrics(const struct push *push)
{
    return &push->metrics;
}

const char *push_why_not(const struct push *push)
{
    return push->why_not;
}

uint64_t push_confirmed_lsn(const struct push *push)
{
    return atomic_load_explicit(&push->confirmed_lsn, memory_order_relaxed);
}

bool push_needs_operator(const struct push *push)
{
    return push->why_not == push_lacks_library;
}

bool push_reaches_redis(const struct push *push)
{
    const char *why_not = push->why_not;
    return !why_not || why_not == push_refuses;
}
