// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Telling those who wait how safe their message is. What Redis has answered is on its disk where it syncs before it
 * answers; else, and for replicas, a second question is needed: WAITAOF or WAIT. They stop everything behind them on
 * their connection, so they have one of their own. WAIT speaks of the writes before the last command of its own
 * connection, hence the PING before it. One round at a time, for all batches that were answered before it.
 */
#include "gateway/push_private.h"

#include <stdio.h>

/* How one knows that what Redis has answered is on its disk. */
enum durability { DURABLE_BY_ANSWER, DURABLE_BY_WAITAOF, DURABLE_NOT };

#define VERSION_WITH_WAITAOF 70200

static enum durability durability(const struct push *push)
{
    const struct redis_facts *facts = push->config.facts;
    if (!facts)
        return DURABLE_NOT;
    if (facts->appendonly == REDIS_YES && facts->appendfsync_always == REDIS_YES)
        return DURABLE_BY_ANSWER;
    return facts->appendonly == REDIS_YES && facts->version >= VERSION_WITH_WAITAOF ? DURABLE_BY_WAITAOF : DURABLE_NOT;
}

static enum delivery_level level_without_asking(const struct push *push)
{
    return durability(push) == DURABLE_BY_ANSWER ? LEVEL_STORED : LEVEL_SPOOLED;
}

/* Those who wait for at most `wanted`, once. */
static void tell_waiters(struct push_batch *batch, enum delivery_level wanted, enum delivery_level reached)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct push_item *item = &batch->items[i];
        if (item->level > wanted)
            continue;
        if (item->waiter)
            spool_tell_verdict(batch->push->config.spool, (unsigned)(item->waiter >> 56), item->waiter,
                               batch->letters[i], reached);
        item->waiter = 0;
    }
}

static void end_with(struct push_batch *batch, enum delivery_level reached)
{
    tell_waiters(batch, LEVEL_REPLICATED, reached);
    push_batch_give(batch);
}

static int64_t integer_of(const struct store_reply *reply)
{
    return reply->type == STORE_INTEGER ? reply->integer : 0;
}

/* WAIT answers with a number of replicas, WAITAOF with the server itself (0 or 1) and that number. */
static enum delivery_level level_of(const struct push *push, const struct store_reply *reply)
{
    bool is_pair = reply && reply->type == STORE_LIST && reply->count == 2;
    int64_t replicas = is_pair ? integer_of(&reply->items[1]) : reply ? integer_of(reply) : 0;
    bool local = is_pair ? integer_of(&reply->items[0]) > 0 : level_without_asking(push) == LEVEL_STORED;
    if (!local)
        return LEVEL_SPOOLED;
    return replicas >= (int64_t)push->settings->redis_replicas ? LEVEL_REPLICATED : LEVEL_STORED;
}

static void ask(struct push *push);

static void round_told(void *ctx, const struct store_reply *reply)
{
    struct push *push = ctx;
    struct push_batch *batch = push->asked;
    enum delivery_level reached = level_of(push, reply);
    push->asked = NULL;
    while (batch) {
        struct push_batch *next = batch->next;
        end_with(batch, reached);
        batch = next;
    }
    ask(push);
}

static struct store *store_for(struct push *push, const struct push_batch *batch)
{
    char key[SCHEMA_KEY_MAX];
    return redis_store(push->waits, push_key_of(batch->track, key));
}

static bool send_question(struct push *push, struct store *store, bool wants_replicas)
{
    char replicas[24] = "0", wait_ms[24];
    if (wants_replicas)
        sprintf(replicas, "%llu", (unsigned long long)push->settings->redis_replicas);
    sprintf(wait_ms, "%llu", (unsigned long long)push->settings->redis_replica_wait_ms);
    struct bytes ping = BYTES_LITERAL("PING");
    struct bytes wait[] = {BYTES_LITERAL("WAIT"), bytes_of_text(replicas), bytes_of_text(wait_ms)};
    struct bytes waitaof[] = {BYTES_LITERAL("WAITAOF"), BYTES_LITERAL("1"), bytes_of_text(replicas),
                              bytes_of_text(wait_ms)};
    bool by_aof = durability(push) == DURABLE_BY_WAITAOF;
    return store_send(store, &ping, 1, push_ignore, NULL) &&
           store_send(store, by_aof ? waitaof : wait, by_aof ? 4 : 3, round_told, push);
}

/* One round: the node of the oldest batch, and all batches of that node. */
static void ask(struct push *push)
{
    while (push->to_ask && !push->asked) {
        struct store *store = store_for(push, push->to_ask);
        bool wants_replicas = false;
        struct push_batch **from = &push->to_ask, **to = &push->asked;
        while (*from) {
            struct push_batch *batch = *from;
            if (store_for(push, batch) != store) {
                from = &batch->next;
                continue;
            }
            *from = batch->next;
            batch->next = NULL;
            wants_replicas |= batch->wanted == LEVEL_REPLICATED;
            *to = batch;
            to = &batch->next;
        }
        if (!store || !send_question(push, store, wants_replicas))
            round_told(push, NULL);
    }
}

void push_level_settle(struct push_batch *batch)
{
    struct push *push = batch->push;
    enum durability by = durability(push);
    bool must_ask = batch->count && push->waits &&
                    ((by == DURABLE_BY_ANSWER && batch->wanted == LEVEL_REPLICATED) ||
                     (by == DURABLE_BY_WAITAOF && batch->wanted > LEVEL_SPOOLED));
    if (!must_ask) {
        end_with(batch, level_without_asking(push));
        return;
    }
    if (by == DURABLE_BY_ANSWER)
        tell_waiters(batch, LEVEL_STORED, LEVEL_STORED);
    batch->next = NULL;
    struct push_batch **last = &push->to_ask;
    while (*last)
        last = &(*last)->next;
    *last = batch;
    ask(push);
}

bool push_level_open(struct push *push)
{
    struct redis_config config = {
        .target = push->config.redis,
        .timeout_ms = push->settings->redis_timeout_ms + push->settings->redis_replica_wait_ms,
        .ctx = push,
    };
    for (unsigned k = 0; k < 4; k++)
        config.random_seed[k] = random_next(&push->random);
    push->waits = redis_new(push->loop, &config);
    return push->waits != NULL;
}

void push_level_close(struct push *push)
{
    redis_free(push->waits);
    push->waits = NULL;
    while (push->to_ask) {
        struct push_batch *next = push->to_ask->next;
        push_batch_give(push->to_ask);
        push->to_ask = next;
    }
}
