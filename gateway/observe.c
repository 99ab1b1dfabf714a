// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * States of an observer: clean, waiting for its timer to say that 24 h are over; dirty, waiting for its timer
 * to say that it may be told; dirty and waiting for the peer to take a CON; running, while the answer is
 * made; in flight, while a CON is not acknowledged. Dirty may be added to the last two, and is looked at when
 * they end. One timer per observer.
 */
#include "gateway/observe.h"

#include <stdlib.h>

#define RECENT_IDS 4
#define BUCKETS_FIRST 64

struct observer {
    struct observe_table *table;
    struct peer *peer;
    struct observer *next_of_peer, **link_of_peer;
    struct observer *next, **link; /* in its bucket */
    struct timer timer;
    uint64_t subject;
    uint64_t sent_ms, confirmed_ms; /* last notification, last CON or registration */
    uint32_t rtt_ms;
    struct observe_run *run;
    struct transmission *in_flight;
    bool dirty, waits_for_idle, has_sent;
    uint8_t since_confirmed;
    uint16_t recent_ids[RECENT_IDS]; /* of notifications, for RST */
    uint8_t recent_count, recent_next;
    struct message_token token;
    uint16_t request_len;
    uint8_t request[];
};

struct observe_table {
    struct observe_environment env;
    struct observer **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    uint64_t sequence;
};

static uint64_t now_ms(const struct observe_table *table)
{
    return timers_now(table->env.timers);
}

/* Table */

static void put_in_bucket(struct observer **buckets, size_t bucket_count, struct observer *observer)
{
    struct observer **head = &buckets[observer->subject & (bucket_count - 1)];
    observer->next = *head;
    observer->link = head;
    if (*head)
        (*head)->link = &observer->next;
    *head = observer;
}

static void take_out_of_bucket(struct observer *observer)
{
    *observer->link = observer->next;
    if (observer->next)
        observer->next->link = observer->link;
}

/* Doubles the buckets; without memory the chains just get longer. */
static void widen(struct observe_table *table)
{
    size_t bucket_count = table->bucket_count * 2;
    struct observer **buckets = calloc(bucket_count, sizeof *buckets);
    if (!buckets)
        return;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct observer *next;
        for (struct observer *observer = table->buckets[i]; observer; observer = next) {
            next = observer->next;
            put_in_bucket(buckets, bucket_count, observer);
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = bucket_count;
}

static struct observer *find(const struct peer *peer, const struct message_token *token)
{
    const struct exchange_attachments *of = exchange_attached(peer);
    struct observer *observer = of ? of->observers : NULL;
    while (observer && (observer->token.len != token->len ||
                        memcmp(observer->token.octets, token->octets, token->len) != 0))
        observer = observer->next_of_peer;
    return observer;
}

static void wake_waiting(const struct peer *peer)
{
    const struct exchange_attachments *of = exchange_attached(peer);
    for (struct observer *observer = of ? of->observers : NULL; observer; observer = observer->next_of_peer) {
        if (!observer->waits_for_idle)
            continue;
        observer->waits_for_idle = false;
        timers_set(observer->table->env.timers, &observer->timer, now_ms(observer->table));
    }
}

/* Off all lists, but the transmission stays. */
static void release(struct observer *observer)
{
    struct observe_table *table = observer->table;
    timers_cancel(table->env.timers, &observer->timer);
    take_out_of_bucket(observer);
    *observer->link_of_peer = observer->next_of_peer;
    if (observer->next_of_peer)
        observer->next_of_peer->link_of_peer = observer->link_of_peer;
    exchange_attached(observer->peer)->observer_count--;
    if (observer->run)
        observer->run->observer = NULL;
    table->count--;
    metrics_add(table->env.metrics, METRIC_OBSERVERS, -1);
    free(observer);
}

static void drop(struct observer *observer)
{
    struct peer *peer = observer->peer;
    if (observer->in_flight)
        transmission_cancel(observer->in_flight);
    release(observer);
    wake_waiting(peer);
}

static void drop_all_of(const struct peer *peer)
{
    struct exchange_attachments *of = exchange_attached(peer);
    while (of && of->observers)
        drop(of->observers);
}

/* Pace */

static bool is_idle(const struct peer *peer)
{
    return transmission_is_idle(exchange_transmissions(peer));
}

static bool must_confirm(const struct observer *observer)
{
    return !observer->has_sent || observer->since_confirmed + 1 >= OBSERVE_CON_EVERY ||
           now_ms(observer->table) - observer->confirmed_ms >= OBSERVE_CON_MS;
}

static uint64_t pause_ms(const struct observer *observer)
{
    if (observer->rtt_ms == TRANSMISSION_RTT_UNKNOWN)
        return OBSERVE_NON_BLIND_MS;
    return observer->rtt_ms > OBSERVE_NON_MS ? observer->rtt_ms : OBSERVE_NON_MS;
}

/* Sets the timer to what comes next, unless something is going on whose end will ask again. */
static void schedule(struct observer *observer)
{
    struct timers *timers = observer->table->env.timers;
    if (observer->run || observer->in_flight || observer->waits_for_idle)
        return;
    if (!observer->dirty)
        timers_set(timers, &observer->timer, observer->confirmed_ms + OBSERVE_CON_MS);
    else
        timers_set(timers, &observer->timer, observer->has_sent ? observer->sent_ms + pause_ms(observer) : 0);
}

static void run(struct observer *observer)
{
    const struct observe_environment *env = &observer->table->env;
    struct bytes request = bytes_of(observer->request, observer->request_len);
    observer->dirty = false;
    /* The observer may be gone when this returns true. */
    if (env->answer(env->ctx, observer, observer->peer, request))
        return;
    observer->dirty = true;
    if (!observer->in_flight)
        timers_set(env->timers, &observer->timer, now_ms(observer->table) + OBSERVE_NON_MS);
}

static void tell(struct timer *timer)
{
    struct observer *observer = (struct observer *)(void *)((char *)timer - offsetof(struct observer, timer));
    if (must_confirm(observer) && !is_idle(observer->peer)) {
        observer->dirty = true;
        observer->waits_for_idle = true;
        return;
    }
    run(observer);
}

/* A CON in flight */

static void refresh(void *owner)
{
    struct observer *observer = owner;
    if (observer->dirty && !observer->run)
        run(observer);
}

static void settled(void *owner, enum transmission_fate fate, uint32_t rtt_ms)
{
    struct observer *observer = owner;
    struct peer *peer = observer->peer;
    observer->in_flight = NULL;
    switch (fate) {
    case TRANSMISSION_ACKNOWLEDGED:
        if (rtt_ms != TRANSMISSION_RTT_UNKNOWN)
            observer->rtt_ms = rtt_ms;
        schedule(observer);
        break;
    case TRANSMISSION_RESET:
        drop(observer);
        break;
    case TRANSMISSION_GIVEN_UP:
        drop_all_of(peer);
        break;
    }
}

/* Notifications */

void observe_begin(struct observer *observer, struct observe_run *run_of)
{
    run_of->observer = observer;
    observer->run = run_of;
}

static void remember_id(struct observer *observer, uint16_t id)
{
    observer->recent_ids[observer->recent_next] = id;
    observer->recent_next = (uint8_t)((observer->recent_next + 1) % RECENT_IDS);
    if (observer->recent_count < RECENT_IDS)
        observer->recent_count++;
}

/* The last word: goes confirmable without an owner, in place of what is in flight. */
static void notify_last(struct observer *observer, struct bytes message, uint16_t id)
{
    struct transmission *in_flight = observer->in_flight;
    struct peer *peer = observer->peer;
    release(observer);
    wake_waiting(peer);
    if (in_flight) {
        transmission_disown(in_flight);
        (void)transmission_replace(in_flight, message, id);
    } else {
        (void)transmission_send(exchange_transmissions(peer), message, id, NULL, NULL);
    }
}

static void notify_confirmable(struct observer *observer, struct bytes message, uint16_t id)
{
    struct transmission_sender sender = {.refresh = refresh, .done = settled, .owner = observer};
    observer->confirmed_ms = now_ms(observer->table);
    observer->since_confirmed = 0;
    if (transmission_send(exchange_transmissions(observer->peer), message, id, &sender, &observer->in_flight))
        return;
    /* Memory is out: the mark stays, and the next try is a pause later. */
    observer->dirty = true;
    schedule(observer);
}

void observe_notify(struct observe_run *run_of, uint8_t code, struct message_writer *writer, bool last)
{
    struct observer *observer = run_of->observer;
    struct peer *peer = observer->peer;
    bool confirm = last || observer->in_flight || (must_confirm(observer) && is_idle(peer));
    uint16_t id = exchange_next_id(peer);
    struct bytes message = message_finish(writer, confirm ? MESSAGE_CON : MESSAGE_NON, code, id, &observer->token);
    observer->run = NULL;
    run_of->observer = NULL;
    metrics_add(observer->table->env.metrics, METRIC_NOTIFICATIONS, 1);
    if (last) {
        notify_last(observer, message, id);
        return;
    }
    remember_id(observer, id);
    if (observer->in_flight) {
        if (!transmission_replace(observer->in_flight, message, id))
            observer->dirty = true;
        return;
    }
    observer->sent_ms = now_ms(observer->table);
    observer->has_sent = true;
    if (confirm) {
        notify_confirmable(observer, message, id);
        return;
    }
    observer->since_confirmed++;
    schedule(observer);
    peer->send(peer, message);
}

static void mark(struct observer *observer)
{
    if (observer->dirty)
        return;
    observer->dirty = true;
    schedule(observer);
}

void observe_changed(struct observe_table *table, uint64_t subject)
{
    struct observer *observer = table->buckets[subject & (table->bucket_count - 1)];
    for (; observer; observer = observer->next)
        if (observer->subject == subject)
            mark(observer);
}

void observe_idle(struct observe_table *table, const struct peer *peer)
{
    (void)table;
    wake_waiting(peer);
}

void observe_reset(struct observe_table *table, const struct peer *peer, uint16_t id)
{
    const struct exchange_attachments *of = exchange_attached(peer);
    (void)table;
    for (struct observer *observer = of ? of->observers : NULL; observer; observer = observer->next_of_peer)
        for (unsigned i = 0; i < observer->recent_count; i++)
            if (observer->recent_ids[i] == id) {
                drop(observer);
                return;
            }
}

/* Registrations */

static struct observer *observer_new(struct observe_table *table, const struct observe_registration *registration)
{
    struct exchange_attachments *of = exchange_attach(table->env.exchanges, registration->peer);
    if (!of || of->observer_count >= table->env.settings->observers_per_peer ||
        table->count >= table->env.settings->observers_max)
        return NULL;
    struct observer *observer = calloc(1, sizeof *observer + registration->request.len);
    if (!observer)
        return NULL;
    observer->table = table;
    observer->peer = registration->peer;
    observer->token = registration->token;
    observer->subject = registration->subject;
    observer->timer.fire = tell;
    observer->rtt_ms = TRANSMISSION_RTT_UNKNOWN;
    observer->confirmed_ms = now_ms(table);
    observer->request_len = (uint16_t)registration->request.len;
    memcpy(observer->request, registration->request.ptr, registration->request.len);
    observer->next_of_peer = of->observers;
    observer->link_of_peer = &of->observers;
    if (of->observers)
        of->observers->link_of_peer = &observer->next_of_peer;
    of->observers = observer;
    of->observer_count++;
    return observer;
}

bool observe_register(struct observe_table *table, const struct observe_registration *registration)
{
    struct observer *old = find(registration->peer, &registration->token);
    if (old)
        drop(old);
    if (registration->request.len > OBSERVE_REQUEST_MAX)
        return false;
    struct observer *observer = observer_new(table, registration);
    if (!observer)
        return false;
    if (table->count == table->bucket_count)
        widen(table);
    put_in_bucket(table->buckets, table->bucket_count, observer);
    table->count++;
    metrics_add(table->env.metrics, METRIC_OBSERVERS, 1);
    schedule(observer);
    return true;
}

void observe_cancel(struct observe_table *table, const struct peer *peer, const struct message_token *token)
{
    struct observer *observer = find(peer, token);
    (void)table;
    if (observer)
        drop(observer);
}

uint32_t observe_sequence(struct observe_table *table)
{
    /* Milliseconds, so that a registration made again later goes on above the first; never twice the same. */
    uint64_t now = now_ms(table);
    table->sequence = table->sequence < now ? now : table->sequence + 1;
    return (uint32_t)(table->sequence & 0xffffff);
}

void observe_peer_gone(struct observe_table *table, struct peer *peer)
{
    (void)table;
    drop_all_of(peer);
}

size_t observe_count(const struct observe_table *table)
{
    return table->count;
}

struct observe_table *observe_table_new(const struct observe_environment *environment)
{
    struct observe_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->env = *environment;
    table->bucket_count = BUCKETS_FIRST;
    table->buckets = calloc(table->bucket_count, sizeof *table->buckets);
    if (!table->buckets) {
        free(table);
        return NULL;
    }
    return table;
}

void observe_table_free(struct observe_table *table)
{
    if (!table)
        return;
    free(table->buckets);
    free(table);
}
