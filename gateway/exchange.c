// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Life of a request: exchange_begin puts it on its peer's list and on two queues in order of arrival, one for the empty
 * ACK (only CON) and one for the deadline. Both waits are the same for all, so each queue has one timer, for its head.
 * exchange_answer takes it off everything and leaves a record in the peer's ring. Room in the ring is made at the
 * beginning, so that an exchange that was begun can always be remembered.
 *
 * Records of one peer are in the order in which they were finished, which is all that expiry needs. Their message IDs
 * stand apart from them, so that the search for a repetition, which for nearly every message finds nothing, reads two
 * bytes per record.
 *
 * A silent peer is forgotten between one and two lifetimes after its last message: it stands in a queue in order of
 * the time it was put there, and is looked at once per lifetime, so that speaking does not move it.
 */
#include "gateway/exchange.h"

#include <stdlib.h>

#define OWNER_OF(timer, type, member) ((type *)(void *)((char *)(timer) - offsetof(type, member)))

enum record_kind {
    RECORD_SILENT,    /* a NON: repetitions get nothing */
    RECORD_EMPTY_ACK, /* answered separately or not at all */
    RECORD_ANSWER,    /* answered in the ACK */
};

#define RECORD_INLINE_BYTES 8
#define RECORD_STORED UINT8_MAX

/* Token and what follows it, where that does not fit into the record. */
struct stored {
    uint32_t len;
    uint8_t octets[];
};

struct record {
    uint64_t fingerprint;
    union {
        uint8_t octets[RECORD_INLINE_BYTES]; /* token, then options and payload */
        struct stored *stored;
    };
    uint32_t finished_s;
    uint8_t kind, code, token_len;
    uint8_t rest_len; /* RECORD_STORED: elsewhere */
};

TAILQ_HEAD(exchange_queue, exchange);
TAILQ_HEAD(peer_queue, exchange_peer);

struct exchange_peer {
    struct peer *peer;
    TAILQ_ENTRY(exchange_peer) known;
    uint32_t queued_s, touched_s;
    uint32_t ping_s;
    uint8_t pings;
    uint16_t next_id;
    uint16_t head, count, capacity; /* ring */
    uint16_t under_way_count;
    struct record *records; /* capacity of them, then as many message IDs */
    LIST_HEAD(, exchange) under_way;
    struct transmission_queue transmissions;
    struct exchange_attachments attachments;
};

struct exchange_table {
    struct exchange_environment env;
    struct transmission_environment transmission_env;
    struct random random;
    struct exchange_queue unacknowledged, unanswered;
    struct peer_queue peers;
    struct timer acknowledge_timer, deadline_timer, expiry_timer;
    size_t finished, under_way;
    size_t stored_bytes, ring_bytes, peer_count;
};

static uint64_t now_ms(const struct exchange_table *table)
{
    return timers_now(table->env.timers);
}

static uint32_t now_s(const struct exchange_table *table)
{
    return (uint32_t)(now_ms(table) / 1000);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void count(struct exchange_table *table, enum metric metric)
{
    metrics_add(table->env.metrics, metric, 1);
}

static void send_empty(struct peer *peer, enum message_type type, uint16_t id)
{
    uint8_t octets[MESSAGE_HEAD_MAX];
    size_t len = message_write_head(octets, type, MESSAGE_EMPTY, id, &(struct message_token){.len = 0});
    peer->send(peer, bytes_of(octets, len));
}

/* Rings of finished exchanges */

static uint16_t *ids_of(const struct exchange_peer *known)
{
    return (uint16_t *)(known->records + known->capacity);
}

static size_t ring_bytes(size_t capacity)
{
    return capacity * (sizeof(struct record) + sizeof(uint16_t));
}

static size_t ring_index(const struct exchange_peer *known, size_t nth)
{
    size_t index = known->head + nth;
    return index < known->capacity ? index : index - known->capacity;
}

static bool is_expired(const struct record *record, uint32_t s)
{
    return s - record->finished_s > EXCHANGE_LIFETIME_S;
}

static void forget_oldest(struct exchange_table *table, struct exchange_peer *known)
{
    struct record *record = &known->records[known->head];
    if (record->rest_len == RECORD_STORED) {
        table->stored_bytes -= sizeof *record->stored + record->stored->len;
        free(record->stored);
    }
    known->head = (uint16_t)ring_index(known, 1);
    known->count--;
    table->finished--;
}

static void forget_expired(struct exchange_table *table, struct exchange_peer *known)
{
    while (known->count && is_expired(&known->records[known->head], now_s(table)))
        forget_oldest(table, known);
}

static void put_last(struct exchange_table *table, struct exchange_peer *known)
{
    TAILQ_REMOVE(&table->peers, known, known);
    known->queued_s = now_s(table);
    TAILQ_INSERT_TAIL(&table->peers, known, known);
}

/* Bound of the search for a peer that has something to forget: most have, and each look costs a cache miss. */
#define EVICTION_TRIES 16

/* Forgets the oldest of the next peer in turn. False: found nothing finished. */
static bool evict(struct exchange_table *table)
{
    for (unsigned i = 0; i < EVICTION_TRIES; i++) {
        struct exchange_peer *known = TAILQ_FIRST(&table->peers);
        if (!known)
            return false;
        put_last(table, known);
        if (known->count) {
            forget_oldest(table, known);
            count(table, METRIC_COAP_EXCHANGE_EVICTED);
            return true;
        }
    }
    return false;
}

static void copy_ring(const struct exchange_peer *known, struct record *records, size_t capacity)
{
    uint16_t *ids = (uint16_t *)(records + capacity);
    for (size_t i = 0; i < known->count; i++) {
        size_t index = ring_index(known, i);
        records[i] = known->records[index];
        ids[i] = ids_of(known)[index];
    }
}

/* Room for one record more than all that are finished and under way, up to the peer's limit. */
static bool reserve(struct exchange_table *table, struct exchange_peer *known)
{
    size_t max = table->env.settings->exchanges_per_peer;
    size_t needed = (size_t)known->count + known->under_way_count + 1;
    if (needed > max)
        needed = max;
    if (needed <= known->capacity)
        return true;
    /* 2, 3, 5, 8, 12 ...: five hold what a device finishes that speaks once a minute. */
    size_t capacity = known->capacity + (known->capacity + 1U) / 2;
    if (capacity < 2)
        capacity = 2;
    if (capacity > max)
        capacity = max;
    if (capacity < needed)
        capacity = needed;
    struct record *records = malloc(ring_bytes(capacity));
    if (!records)
        return false;
    if (known->capacity)
        copy_ring(known, records, capacity);
    table->ring_bytes += ring_bytes(capacity) - ring_bytes(known->capacity);
    free(known->records);
    known->records = records;
    known->head = 0;
    known->capacity = (uint16_t)capacity;
    return true;
}

static bool store_answer(struct exchange_table *table, struct record *record, const struct message_token *token,
                         struct bytes rest)
{
    size_t len = token->len + rest.len;
    uint8_t *at = record->octets;
    if (len > RECORD_INLINE_BYTES) {
        size_t limit = table->env.settings->exchanges_max * EXCHANGE_STORED_BYTES_EACH;
        while (table->stored_bytes + sizeof(struct stored) + len > limit)
            if (!evict(table))
                return false;
        struct stored *stored = malloc(sizeof *stored + len);
        if (!stored)
            return false;
        stored->len = (uint32_t)len;
        table->stored_bytes += sizeof *stored + len;
        record->stored = stored;
        at = stored->octets;
    }
    memcpy(at, token->octets, token->len);
    if (rest.len)
        memcpy(at + token->len, rest.ptr, rest.len);
    record->token_len = token->len;
    record->rest_len = len > RECORD_INLINE_BYTES ? RECORD_STORED : (uint8_t)rest.len;
    return true;
}

/* What is to be remembered of an exchange that is about to be answered. */
struct outcome_of_exchange {
    uint64_t fingerprint;
    uint16_t id;
    enum record_kind kind;
    uint8_t code;
    const struct message_token *token;
    struct bytes rest;
};

/* There is room, by reserve. An answer that memory does not suffice for is remembered without its bytes: repetitions
 * are then acknowledged only, which is worse for the client than an answer but runs nothing twice. */
static void remember(struct exchange_table *table, struct exchange_peer *known, const struct outcome_of_exchange *what)
{
    struct record record = {.fingerprint = what->fingerprint,
                            .finished_s = now_s(table),
                            .kind = (uint8_t)what->kind,
                            .code = what->code};
    if (what->kind == RECORD_ANSWER && !store_answer(table, &record, what->token, what->rest))
        record.kind = RECORD_EMPTY_ACK;
    forget_expired(table, known);
    if (known->count == known->capacity) {
        forget_oldest(table, known);
        count(table, METRIC_COAP_EXCHANGE_EVICTED);
    }
    size_t index = ring_index(known, known->count);
    known->records[index] = record;
    ids_of(known)[index] = what->id;
    known->count++;
    table->finished++;
}

static void answer_again(struct peer *peer, const struct record *record, uint16_t id)
{
    if (record->kind == RECORD_EMPTY_ACK) {
        send_empty(peer, MESSAGE_ACK, id);
        return;
    }
    if (record->kind == RECORD_SILENT)
        return;
    bool is_stored = record->rest_len == RECORD_STORED;
    const uint8_t *from = is_stored ? record->stored->octets : record->octets;
    size_t len = is_stored ? record->stored->len : (size_t)record->token_len + record->rest_len;
    uint8_t octets[MESSAGE_WRITE_MAX];
    struct message_token none = {.len = 0};
    size_t head_len = message_write_head(octets, MESSAGE_ACK, record->code, id, &none);
    octets[0] |= record->token_len;
    memcpy(octets + head_len, from, len);
    peer->send(peer, bytes_of(octets, head_len + len));
}

/* Peers */

static bool is_forgettable(const struct exchange_peer *known)
{
    return known->count == 0 && known->under_way_count == 0 && transmission_is_idle(&known->transmissions) &&
           !known->attachments.transfer && !known->attachments.observers;
}

static void free_peer(struct exchange_table *table, struct exchange_peer *known)
{
    TAILQ_REMOVE(&table->peers, known, known);
    table->ring_bytes -= ring_bytes(known->capacity);
    table->peer_count--;
    free(known->records);
    known->peer->messages = NULL;
    free(known);
}

static void expire(struct timer *timer)
{
    struct exchange_table *table = OWNER_OF(timer, struct exchange_table, expiry_timer);
    struct exchange_peer *known;
    while ((known = TAILQ_FIRST(&table->peers)) && now_s(table) - known->queued_s > EXCHANGE_LIFETIME_S) {
        forget_expired(table, known);
        if (now_s(table) - known->touched_s > EXCHANGE_LIFETIME_S && is_forgettable(known))
            free_peer(table, known);
        else
            put_last(table, known);
    }
    if (known)
        timers_set(table->env.timers, timer, now_ms(table) + 1000);
}

static struct exchange_peer *know(struct exchange_table *table, struct peer *peer)
{
    struct exchange_peer *known = peer->messages;
    if (known) {
        known->touched_s = now_s(table);
        return known;
    }
    known = calloc(1, sizeof *known);
    if (!known)
        return NULL;
    known->peer = peer;
    known->touched_s = known->queued_s = now_s(table);
    known->next_id = (uint16_t)random_next(&table->random);
    LIST_INIT(&known->under_way);
    transmission_queue_init(&known->transmissions, &table->transmission_env, peer);
    TAILQ_INSERT_TAIL(&table->peers, known, known);
    table->peer_count++;
    if (!timer_is_set(&table->expiry_timer))
        timers_set(table->env.timers, &table->expiry_timer, now_ms(table) + 1000);
    peer->messages = known;
    return known;
}

struct exchange_attachments *exchange_attach(struct exchange_table *table, struct peer *peer)
{
    struct exchange_peer *known = know(table, peer);
    return known ? &known->attachments : NULL;
}

struct exchange_attachments *exchange_attached(const struct peer *peer)
{
    return peer->messages ? &peer->messages->attachments : NULL;
}

struct peer *exchange_any_peer(const struct exchange_table *table)
{
    const struct exchange_peer *known = TAILQ_FIRST(&table->peers);
    return known ? known->peer : NULL;
}

bool exchange_is_busy(const struct peer *peer)
{
    const struct exchange_peer *known = peer->messages;
    return known && (known->under_way_count || !transmission_is_idle(&known->transmissions) ||
                     known->attachments.observers);
}

/* Requests under way */

static void arm(struct exchange_table *table, struct timer *timer, const struct exchange *head, uint64_t wait_ms)
{
    if (head && !timer_is_set(timer))
        timers_set(table->env.timers, timer, head->arrived_ms + wait_ms);
}

static void take_off_acknowledgement(struct exchange *exchange)
{
    if (exchange->confirmable && !exchange->acknowledged)
        TAILQ_REMOVE(&exchange->table->unacknowledged, exchange, unacknowledged);
}

/* Off all lists: what was to be said has been said, or can no longer be. */
static void leave(struct exchange *exchange)
{
    take_off_acknowledgement(exchange);
    TAILQ_REMOVE(&exchange->table->unanswered, exchange, unanswered);
    LIST_REMOVE(exchange, of_peer);
    exchange->peer->under_way_count--;
    exchange->table->under_way--;
    exchange->peer = NULL;
}

static void acknowledge_late(struct timer *timer)
{
    struct exchange_table *table = OWNER_OF(timer, struct exchange_table, acknowledge_timer);
    uint64_t wait_ms = table->env.settings->ack_wait_ms;
    struct exchange *exchange;
    while ((exchange = TAILQ_FIRST(&table->unacknowledged)) && exchange->arrived_ms + wait_ms <= now_ms(table)) {
        take_off_acknowledgement(exchange);
        exchange->acknowledged = true;
        count(table, METRIC_COAP_EMPTY_ACK);
        send_empty(exchange->peer->peer, MESSAGE_ACK, exchange->id);
    }
    arm(table, timer, exchange, wait_ms);
}

static void call_overdue(struct timer *timer)
{
    struct exchange_table *table = OWNER_OF(timer, struct exchange_table, deadline_timer);
    uint64_t wait_ms = table->env.settings->answer_deadline_ms;
    struct exchange *exchange;
    while ((exchange = TAILQ_FIRST(&table->unanswered)) && exchange->arrived_ms + wait_ms <= now_ms(table))
        table->env.overdue(exchange);
    arm(table, timer, exchange, wait_ms);
}

bool exchange_is_repetition(struct exchange_table *table, struct peer *peer, const struct message *request,
                            uint64_t fingerprint)
{
    struct exchange_peer *known = peer->messages;
    if (!known)
        return false;
    bool id_seen = false;
    struct exchange *exchange;
    LIST_FOREACH(exchange, &known->under_way, of_peer) {
        if (exchange->id != request->id)
            continue;
        if (exchange->fingerprint == fingerprint) {
            count(table, METRIC_COAP_DUPLICATES);
            if (exchange->acknowledged)
                send_empty(peer, MESSAGE_ACK, request->id);
            return true;
        }
        id_seen = true;
    }
    const uint16_t *ids = known->count ? ids_of(known) : NULL;
    for (size_t i = 0, index = known->head; i < known->count; i++) {
        const struct record *record = &known->records[index];
        if (ids[index] == request->id && !is_expired(record, now_s(table))) {
            if (record->fingerprint == fingerprint) {
                count(table, METRIC_COAP_DUPLICATES);
                answer_again(peer, record, request->id);
                return true;
            }
            id_seen = true;
        }
        index = index + 1 < known->capacity ? index + 1 : 0;
    }
    if (id_seen)
        count(table, METRIC_COAP_MID_REUSED);
    return false;
}

static bool is_crowded(const struct exchange_table *table, const struct exchange_peer *known)
{
    uint32_t limit = min_u32(EXCHANGE_UNDER_WAY_MAX, (uint32_t)table->env.settings->exchanges_per_peer);
    return known->under_way_count + known->transmissions.count >= limit;
}

static bool make_room(struct exchange_table *table, struct exchange_peer *known)
{
    forget_expired(table, known);
    while (table->finished + table->under_way >= table->env.settings->exchanges_max)
        if (!evict(table))
            return false;
    return reserve(table, known);
}

enum exchange_verdict exchange_begin(struct exchange_table *table, struct peer *peer, const struct message *request,
                                     uint64_t fingerprint, struct exchange *exchange)
{
    struct exchange_peer *known = know(table, peer);
    if (!known)
        return EXCHANGE_NO_ROOM;
    if (is_crowded(table, known))
        return EXCHANGE_CROWDED;
    if (!make_room(table, known))
        return EXCHANGE_NO_ROOM;
    exchange->table = table;
    exchange->peer = known;
    exchange->arrived_ms = now_ms(table);
    exchange->fingerprint = fingerprint;
    exchange->token = request->token;
    exchange->id = request->id;
    exchange->confirmable = request->type == MESSAGE_CON;
    exchange->acknowledged = false;
    LIST_INSERT_HEAD(&known->under_way, exchange, of_peer);
    known->under_way_count++;
    table->under_way++;
    TAILQ_INSERT_TAIL(&table->unanswered, exchange, unanswered);
    arm(table, &table->deadline_timer, exchange, table->env.settings->answer_deadline_ms);
    if (exchange->confirmable) {
        TAILQ_INSERT_TAIL(&table->unacknowledged, exchange, unacknowledged);
        arm(table, &table->acknowledge_timer, exchange, table->env.settings->ack_wait_ms);
    }
    return EXCHANGE_BEGUN;
}

void exchange_refuse(struct exchange_table *table, struct peer *peer, const struct message *request,
                     uint64_t fingerprint, uint8_t code, struct message_writer *writer)
{
    struct exchange_peer *known = know(table, peer);
    bool confirmable = request->type == MESSAGE_CON;
    if (!known)
        return;
    if (make_room(table, known)) {
        struct outcome_of_exchange what = {.fingerprint = fingerprint,
                                           .id = request->id,
                                           .kind = confirmable ? RECORD_ANSWER : RECORD_SILENT,
                                           .code = code,
                                           .token = &request->token,
                                           .rest = message_written(writer)};
        remember(table, known, &what);
    }
    peer->send(peer, message_finish(writer, confirmable ? MESSAGE_ACK : MESSAGE_NON, code,
                                    confirmable ? request->id : known->next_id++, &request->token));
}

bool exchange_is_piggybacked(const struct exchange *exchange)
{
    return !exchange->acknowledged;
}

/* Takes the exchange off everything and remembers it; returns its peer, for sending. */
static struct exchange_peer *conclude(struct exchange *exchange, enum record_kind kind, uint8_t code,
                                      struct bytes rest)
{
    struct exchange_peer *known = exchange->peer;
    struct outcome_of_exchange what = {.fingerprint = exchange->fingerprint,
                                       .id = exchange->id,
                                       .kind = kind,
                                       .code = code,
                                       .token = &exchange->token,
                                       .rest = rest};
    leave(exchange);
    remember(exchange->table, known, &what);
    return known;
}

static void answer_separately(struct exchange *exchange, uint8_t code, struct message_writer *writer, bool confirm)
{
    struct exchange_peer *known = conclude(exchange, RECORD_EMPTY_ACK, code, (struct bytes){0});
    uint16_t id = known->next_id++;
    struct bytes message = message_finish(writer, confirm ? MESSAGE_CON : MESSAGE_NON, code, id, &exchange->token);
    /* Without memory for repetitions it is sent once, which is all that can be done. */
    if (!confirm || !transmission_send(&known->transmissions, message, id, NULL, NULL))
        known->peer->send(known->peer, message);
}

void exchange_answer(struct exchange *exchange, uint8_t code, struct message_writer *writer, bool confirm)
{
    if (!exchange->peer)
        return;
    if (exchange->confirmable && exchange->acknowledged) {
        answer_separately(exchange, code, writer, confirm);
        return;
    }
    bool confirmable = exchange->confirmable;
    struct exchange_peer *known =
        conclude(exchange, confirmable ? RECORD_ANSWER : RECORD_SILENT, code, message_written(writer));
    uint16_t id = confirmable ? exchange->id : known->next_id++;
    struct bytes message =
        message_finish(writer, confirmable ? MESSAGE_ACK : MESSAGE_NON, code, id, &exchange->token);
    known->peer->send(known->peer, message);
}

void exchange_stay_silent(struct exchange *exchange)
{
    if (!exchange->peer)
        return;
    bool owes_ack = exchange->confirmable && !exchange->acknowledged;
    struct exchange_peer *known =
        conclude(exchange, exchange->confirmable ? RECORD_EMPTY_ACK : RECORD_SILENT, 0, (struct bytes){0});
    if (owes_ack)
        send_empty(known->peer, MESSAGE_ACK, exchange->id);
}

void exchange_send_reset(struct exchange_table *table, struct peer *peer, uint16_t id)
{
    count(table, METRIC_COAP_RESET_SENT);
    send_empty(peer, MESSAGE_RST, id);
}

void exchange_ping(struct exchange_table *table, struct peer *peer, uint16_t id)
{
    struct exchange_peer *known = know(table, peer);
    count(table, METRIC_COAP_PING);
    if (!known)
        return;
    if (known->ping_s != now_s(table)) {
        known->ping_s = now_s(table);
        known->pings = 0;
    }
    if (known->pings == EXCHANGE_PINGS_PER_S)
        return;
    known->pings++;
    exchange_send_reset(table, peer, id);
}

uint16_t exchange_next_id(const struct peer *peer)
{
    return peer->messages->next_id++;
}

struct transmission_queue *exchange_transmissions(const struct peer *peer)
{
    return peer->messages ? &peer->messages->transmissions : NULL;
}

/* Beginning and end */

void exchange_peer_gone(struct exchange_table *table, struct peer *peer)
{
    struct exchange_peer *known = peer->messages;
    if (!known)
        return;
    struct exchange *exchange;
    while ((exchange = LIST_FIRST(&known->under_way)))
        leave(exchange);
    transmission_queue_deinit(&known->transmissions);
    while (known->count)
        forget_oldest(table, known);
    free_peer(table, known);
}

struct exchange_table *exchange_table_new(const struct exchange_environment *environment)
{
    struct exchange_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->env = *environment;
    random_seed(&table->random, environment->random_seed);
    table->transmission_env = (struct transmission_environment){.timers = environment->timers,
                                                                .metrics = environment->metrics,
                                                                .random = &table->random,
                                                                .idle = environment->idle,
                                                                .ctx = environment->ctx};
    TAILQ_INIT(&table->unacknowledged);
    TAILQ_INIT(&table->unanswered);
    TAILQ_INIT(&table->peers);
    table->acknowledge_timer.fire = acknowledge_late;
    table->deadline_timer.fire = call_overdue;
    table->expiry_timer.fire = expire;
    return table;
}

void exchange_table_free(struct exchange_table *table)
{
    if (!table)
        return;
    struct exchange_peer *known;
    while ((known = TAILQ_FIRST(&table->peers)))
        exchange_peer_gone(table, known->peer);
    timers_cancel(table->env.timers, &table->acknowledge_timer);
    timers_cancel(table->env.timers, &table->deadline_timer);
    timers_cancel(table->env.timers, &table->expiry_timer);
    free(table);
}

size_t exchange_remembered(const struct exchange_table *table)
{
    return table->finished;
}

size_t exchange_memory_bytes(const struct exchange_table *table)
{
    return table->peer_count * sizeof(struct exchange_peer) + table->ring_bytes + table->stored_bytes;
}
