// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One per worker, with a few connections. Records of one device always take the same connection while it is up, so
 * that their order in the stream is the order of acceptance.
 *
 * A message under way is a `pending`; what confirms it is the reply to its last command: the XADD itself, or the
 * EXEC whose reply lists all entries. Replies of MULTI and of queued XADDs say nothing that EXEC does not repeat. A
 * connection that fails answers every command under way with NULL, so a pending always ends.
 */
#include "gateway/sink_direct.h"

#include "codec/hash.h"
#include "codec/hex.h"
#include "gateway/entry.h"
#include "gateway/redis.h"
#include "gateway/rt/log.h"
#include "gateway/rt/random.h"

#include <stdlib.h>

#define CONNECTIONS_MAX 16

struct pending {
    struct sink_direct *sink;
    sink_done_fn *done;
    void *ctx;
    size_t records;
    size_t entries; /* that are to be confirmed: of the records, and of the evidence */
    struct pending *next_free;
};

struct connection {
    struct sink_direct *sink;
    struct redis *redis;
};

struct sink_direct {
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

static bool open_connections(struct sink_direct *sink, const struct settings *settings,
                             const struct store_target *redis)
{
    for (unsigned i = 0; i < settings->redis_connections; i++) {
        struct connection *connection = &sink->connections[i];
        struct redis_config config = {
            .target = redis,
            .timeout_ms = settings->redis_timeout_ms,
            .state = connection_changed,
            .ctx = connection,
        };
        for (unsigned k = 0; k < 4; k++)
            config.random_seed[k] = random_next(&sink->random);
        connection->sink = sink;
        connection->redis = redis_new(sink->loop, &config);
        if (!connection->redis)
            return false;
        sink->connection_count++;
    }
    return true;
}

struct sink_direct *sink_direct_new(const struct sink_config *config)
{
    struct sink_direct *sink = calloc(1, sizeof *sink);
    if (!sink)
        return NULL;
    sink->loop = config->loop;
    sink->metrics = config->metrics;
    sink->in_flight_max = config->settings->in_flight_max;
    random_seed(&sink->random, config->random_seed);
    sink->hash_key = (struct hash_key){random_next(&sink->random), random_next(&sink->random)};
    if (!open_connections(sink, config->settings, config->redis)) {
        sink_direct_free(sink);
        return NULL;
    }
    return sink;
}

void sink_direct_free(struct sink_direct *sink)
{
    if (!sink)
        return;
    for (unsigned i = 0; i < sink->connection_count; i++)
        redis_free(sink->connections[i].redis);
    while (sink->free_list) {
        struct pending *next = sink->free_list->next_free;
        free(sink->free_list);
        sink->free_list = next;
    }
    entry_scratch_deinit(&sink->scratch);
    free(sink);
}

static struct pending *pending_take(struct sink_direct *sink)
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
    struct sink_direct *sink = pending->sink;
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

static enum outcome judge_reply(struct sink_direct *sink, const struct store_reply *reply, size_t entries)
{
    if (!reply)
        return OUTCOME_STORE_TIMEOUT;
    if (entries == 1 && is_entry_id(reply))
        return OUTCOME_CHANGED;
    if (reply->type == STORE_LIST && reply->count == entries) {
        size_t stored = 0;
        for (size_t i = 0; i < reply->count; i++)
            stored += is_entry_id(&reply->items[i]);
        if (stored == entries)
            return OUTCOME_CHANGED;
    }
    char quoted[LOG_QUOTED_MAX];
    LOG_RATED(loop_now_ms(sink->loop), LOG_WARN, "sink", "Redis refused to append; the sender was told 5.03",
              "reply=%s", log_quote(quoted, reply->text));
    return OUTCOME_STORE_REFUSED;
}

static void answered(void *ctx, const struct store_reply *reply)
{
    struct pending *pending = ctx;
    struct sink_direct *sink = pending->sink;
    enum outcome outcome = judge_reply(sink, reply, pending->entries);
    if (outcome_is_success(outcome)) {
        metrics_add(sink->metrics, METRIC_RECORDS_STORED, (int64_t)pending->records);
        metrics_add(sink->metrics, METRIC_MESSAGES_STORED, 1);
    } else {
        metrics_add(sink->metrics, METRIC_SINK_FAILED, 1);
    }
    sink_done_fn *done = pending->done;
    void *done_ctx = pending->ctx;
    pending_give(pending);
    /* Redis answers after its fsync, and what the direct way appends it appends anew. */
    static const struct sink_receipt stored = {.level = LEVEL_STORED};
    done(done_ctx, outcome, outcome_is_success(outcome) ? &stored : NULL);
}

/* For the replies before the one that confirms. */
static void ignored(void *ctx, const struct store_reply *reply)
{
    (void)ctx;
    (void)reply;
}

/* To the node of the tenant; all streams of a tenant lie in one slot. */
static struct redis *choose_connection(struct sink_direct *sink, const struct sink_message *message, struct bytes key)
{
    uint64_t hash = hash_pair(&sink->hash_key, message->tenant, message->records[0].device);
    for (unsigned i = 0; i < sink->connection_count; i++) {
        struct redis *redis = sink->connections[(hash + i) % sink->connection_count].redis;
        if (redis_is_connected(redis, key))
            return redis;
    }
    return NULL;
}

static bool send_command(struct store *store, const char *command, store_answer_fn *answer, void *ctx)
{
    struct bytes argument = bytes_of_text(command);
    return store_send(store, &argument, 1, answer, ctx);
}

/* Always in the transaction of its records. */
static bool send_evidence(struct sink_direct *sink, struct store *transaction, const struct sink_message *message,
                          struct bytes message_id)
{
    struct bytes arguments[ENTRY_EVIDENCE_ARGUMENTS];
    char key[SCHEMA_KEY_MAX];
    size_t key_len = schema_key(key, message->tenant, SCHEMA_SUFFIX_EVIDENCE);
    entry_evidence_arguments(bytes_of(key, key_len), message, loop_wall(sink->loop).s, message_id, &sink->scratch,
                             arguments);
    return store_send(transaction, arguments, ENTRY_EVIDENCE_ARGUMENTS, ignored, NULL);
}

/* A transaction goes to one connection and is not redirected; a record alone may be. */
static bool send_records(struct sink_direct *sink, struct redis *redis, struct store *transaction,
                         const struct sink_message *message, struct pending *pending)
{
    char message_id[16];
    hex_write_number(random_next(&sink->random), message_id);
    for (size_t i = 0; i < message->count; i++) {
        const struct sink_record *record = &message->records[i];
        struct bytes arguments[ENTRY_ARGUMENTS_MAX];
        char key[SCHEMA_KEY_MAX];
        size_t key_len = schema_key_of_stream(key, message->tenant, record->stream);
        size_t count = entry_arguments(bytes_of(key, key_len), message, record,
                                       bytes_of(message_id, sizeof message_id), &sink->scratch, arguments);
        if (count == 0)
            return false;
        if (transaction ? !store_send(transaction, arguments, count, ignored, NULL)
                        : !redis_send(redis, arguments[1], arguments, count, answered, pending))
            return false;
    }
    return !message->proof || send_evidence(sink, transaction, message, bytes_of(message_id, sizeof message_id));
}

/*
 * A transaction that cannot be written to its end is taken back whole. A MULTI left open would make Redis answer QUEUED
 * to everything that follows on the connection, and a DISCARD may find no room either.
 */
static bool send_transaction(struct sink_direct *sink, struct redis *redis, struct store *store,
                             const struct sink_message *message, struct pending *pending)
{
    struct store_mark mark = store_mark(store);
    if (send_command(store, "MULTI", ignored, NULL) && send_records(sink, redis, store, message, pending) &&
        send_command(store, "EXEC", answered, pending))
        return true;
    store_take_back(store, mark);
    return false;
}

enum outcome sink_direct_append(struct sink_direct *sink, const struct sink_message *message,
                                sink_done_fn *done, void *ctx)
{
    if (sink->in_flight >= sink->in_flight_max)
        return OUTCOME_OVERLOADED;
    char text[SCHEMA_KEY_MAX];
    struct bytes key = bytes_of(text, schema_key(text, message->tenant, SCHEMA_SUFFIX_OBS));
    struct redis *redis = choose_connection(sink, message, key);
    if (!redis)
        return OUTCOME_STORE_AWAY;
    struct pending *pending = pending_take(sink);
    if (!pending)
        return OUTCOME_OUT_OF_MEMORY;
    *pending = (struct pending){.sink = sink, .done = done, .ctx = ctx, .records = message->count,
                                .entries = message->count + (message->proof != NULL)};
    bool sent = pending->entries == 1 ? send_records(sink, redis, NULL, message, pending)
                                    : send_transaction(sink, redis, redis_store(redis, key), message, pending);
    if (sent)
        return OUTCOME_CHANGED;
    pending_give(pending);
    return redis_is_connected(redis, key) ? OUTCOME_OUT_OF_MEMORY : OUTCOME_STORE_AWAY;
}

void sink_direct_flush(struct sink_direct *sink)
{
    for (unsigned i = 0; i < sink->connection_count; i++)
        redis_flush(sink->connections[i].redis);
}
