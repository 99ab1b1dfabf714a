// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One sink per worker, with a few connections. Records of one device always take the same connection while it is up,
 * so that their order in the stream is the order of acceptance.
 *
 * A message under way is a `pending`; what confirms it is the reply to its last command: the XADD itself, or the EXEC
 * whose reply lists all entries. Replies of MULTI and of queued XADDs say nothing that EXEC does not repeat. A
 * connection that fails answers every command under way with NULL, so a pending always ends.
 */
#include "gateway/sink.h"

#include "codec/hash.h"
#include "gateway/entry.h"
#include "gateway/rt/log.h"
#include "gateway/rt/random.h"
#include "gateway/store.h"

#include <stdlib.h>

#define CONNECTIONS_MAX 16

struct pending {
    struct sink *sink;
    sink_done_fn *done;
    void *ctx;
    size_t records;
    struct pending *next_free;
};

struct connection {
    struct sink *sink;
    struct store *store;
};

struct sink {
    struct loop *loop;
    struct metrics *metrics;
    struct random random;
    struct hash_key hash_key;
    size_t in_flight, in_flight_max;
    struct pending *free_list;
    struct entry_scratch scratch;
    unsigned connection_count;
    struct connection connections[CONNECTIONS_MAX];
};

static void connection_changed(void *ctx, bool connected)
{
    struct connection *connection = ctx;
    metrics_add(connection->sink->metrics, METRIC_STORE_CONNECTED, connected ? 1 : -1);
    if (connected)
        metrics_add(connection->sink->metrics, METRIC_STORE_CONNECTS, 1);
}

static bool open_connections(struct sink *sink, const struct settings *settings, const char *redis_address)
{
    for (unsigned i = 0; i < settings->redis_connections; i++) {
        struct connection *connection = &sink->connections[i];
        struct store_config config = {
            .address = redis_address,
            .timeout_ms = settings->redis_timeout_ms,
            .state = connection_changed,
            .ctx = connection,
        };
        for (unsigned k = 0; k < 4; k++)
            config.random_seed[k] = random_next(&sink->random);
        connection->sink = sink;
        connection->store = store_new(sink->loop, &config);
        if (!connection->store)
            return false;
        sink->connection_count++;
    }
    return true;
}

struct sink *sink_new(struct loop *loop, const struct settings *settings, const char *redis_address,
                      struct metrics *metrics, const uint64_t seed[4])
{
    struct sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return NULL;
    sink->loop = loop;
    sink->metrics = metrics;
    sink->in_flight_max = settings->in_flight_max;
    random_seed(&sink->random, seed);
    sink->hash_key = (struct hash_key){random_next(&sink->random), random_next(&sink->random)};
    if (!open_connections(sink, settings, redis_address)) {
        sink_free(sink);
        return NULL;
    }
    return sink;
}

void sink_free(struct sink *sink)
{
    if (!sink)
        return;
    for (unsigned i = 0; i < sink->connection_count; i++)
        store_free(sink->connections[i].store);
    while (sink->free_list) {
        struct pending *next = sink->free_list->next_free;
        free(sink->free_list);
        sink->free_list = next;
    }
    entry_scratch_deinit(&sink->scratch);
    free(sink);
}

static struct pending *pending_take(struct sink *sink)
{
    struct pending *pending = sink->free_list;
    if (pending)
        sink->free_list = pending->next_free;
    else
        pending = malloc(sizeof *pending);
    if (!pending)
        return NULL;
    sink->in_flight++;
    metrics_add(sink->metrics, METRIC_SINK_IN_FLIGHT, 1);
    return pending;
}

static void pending_give(struct pending *pending)
{
    struct sink *sink = pending->sink;
    pending->next_free = sink->free_list;
    sink->free_list = pending;
    sink->in_flight--;
    metrics_add(sink->metrics, METRIC_SINK_IN_FLIGHT, -1);
}

/* The id of an entry, "1763692800123-0"; what else Redis may say (QUEUED) confirms nothing. */
static bool is_entry_id(const struct store_reply *reply)
{
    struct bytes text = reply->text;
    return reply->type == STORE_TEXT && text.len && text.ptr[0] >= '0' && text.ptr[0] <= '9' &&
           memchr(text.ptr, '-', text.len);
}

static enum outcome judge_reply(struct sink *sink, const struct store_reply *reply, size_t records)
{
    if (!reply)
        return OUTCOME_STORE_TIMEOUT;
    if (records == 1 && is_entry_id(reply))
        return OUTCOME_CHANGED;
    if (reply->type == STORE_LIST && reply->count == records) {
        size_t stored = 0;
        for (size_t i = 0; i < reply->count; i++)
            stored += is_entry_id(&reply->items[i]);
        if (stored == records)
            return OUTCOME_CHANGED;
    }
    char quoted[LOG_QUOTED_MAX];
    LOG_RATED(loop_now_ms(sink->loop), LOG_WARN, "sink", "Redis refused to append; the sender was told 5.03", "reply=%s",
              log_quote(quoted, reply->text));
    return OUTCOME_STORE_REFUSED;
}

static void answered(void *ctx, const struct store_reply *reply)
{
    struct pending *pending = ctx;
    struct sink *sink = pending->sink;
    enum outcome outcome = judge_reply(sink, reply, pending->records);
    if (outcome_is_success(outcome)) {
        metrics_add(sink->metrics, METRIC_RECORDS_STORED, (int64_t)pending->records);
        metrics_add(sink->metrics, METRIC_MESSAGES_STORED, 1);
    } else {
        metrics_add(sink->metrics, METRIC_SINK_FAILED, 1);
    }
    sink_done_fn *done = pending->done;
    void *done_ctx = pending->ctx;
    pending_give(pending);
    done(done_ctx, outcome);
}

/* For the replies before the one that confirms. */
static void ignored(void *ctx, const struct store_reply *reply)
{
    (void)ctx;
    (void)reply;
}

static struct store *choose_connection(struct sink *sink, const struct sink_message *message)
{
    uint64_t hash = hash_pair(&sink->hash_key, message->tenant, message->records[0].device);
    for (unsigned i = 0; i < sink->connection_count; i++) {
        struct store *store = sink->connections[(hash + i) % sink->connection_count].store;
        if (store_is_connected(store))
            return store;
    }
    return NULL;
}

static bool send_command(struct store *store, const char *command, store_answer_fn *answer, void *ctx)
{
    struct bytes argument = bytes_of_text(command);
    return store_send(store, &argument, 1, answer, ctx);
}

static bool send_records(struct sink *sink, struct store *store, const struct sink_message *message,
                         struct pending *pending)
{
    static const char digits[] = "0123456789abcdef";
    char key[SCHEMA_KEY_MAX], message_id[16];
    size_t key_len = schema_key(key, message->tenant, "obs");
    uint64_t id = random_next(&sink->random);
    for (unsigned i = 0; i < sizeof message_id; i++)
        message_id[i] = digits[id >> (60 - 4 * i) & 15];
    for (size_t i = 0; i < message->count; i++) {
        struct bytes arguments[ENTRY_ARGUMENTS];
        if (!entry_arguments(bytes_of(key, key_len), message, &message->records[i],
                             bytes_of(message_id, sizeof message_id), &sink->scratch, arguments))
            return false;
        bool confirms = message->count == 1;
        if (!store_send(store, arguments, ENTRY_ARGUMENTS, confirms ? answered : ignored, confirms ? pending : NULL))
            return false;
    }
    return true;
}

/*
 * A transaction that cannot be written to its end is taken back whole. A MULTI left open would make Redis answer QUEUED
 * to everything that follows on the connection, and a DISCARD may find no room either.
 */
static bool send_transaction(struct sink *sink, struct store *store, const struct sink_message *message,
                             struct pending *pending)
{
    struct store_mark mark = store_mark(store);
    if (send_command(store, "MULTI", ignored, NULL) && send_records(sink, store, message, pending) &&
        send_command(store, "EXEC", answered, pending))
        return true;
    store_take_back(store, mark);
    return false;
}

enum outcome sink_append(struct sink *sink, const struct sink_message *message, sink_done_fn *done, void *ctx)
{
    if (sink->in_flight >= sink->in_flight_max)
        return OUTCOME_OVERLOADED;
    struct store *store = choose_connection(sink, message);
    if (!store)
        return OUTCOME_STORE_AWAY;
    struct pending *pending = pending_take(sink);
    if (!pending)
        return OUTCOME_OUT_OF_MEMORY;
    *pending = (struct pending){.sink = sink, .done = done, .ctx = ctx, .records = message->count};
    bool sent = message->count == 1 ? send_records(sink, store, message, pending)
                                    : send_transaction(sink, store, message, pending);
    if (sent)
        return OUTCOME_CHANGED;
    pending_give(pending);
    return store_is_connected(store) ? OUTCOME_OUT_OF_MEMORY : OUTCOME_STORE_AWAY;
}

void sink_flush(struct sink *sink)
{
    for (unsigned i = 0; i < sink->connection_count; i++)
        store_flush(sink->connections[i].store);
}
