// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A cluster is a table of slots to nodes, and a node is a store with a list of commands that wait for its connection
 * (redirected to a node that we had not met). The table comes whole from CLUSTER SLOTS, asked of any node that is
 * there: at the start, when a node goes away, while a slot has no node, and after MOVED, which corrects one slot at
 * once. It is asked for at most every MAP_PAUSE_MS.
 *
 * The nodes from the address are met like all others. One that is in no map is let go when nothing waits for it; if
 * no node at all is there, those from the address are tried again.
 */
#include "gateway/redis.h"

#include "gateway/redirect.h"
#include "gateway/resp.h"
#include "gateway/rt/log.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES_MAX 200
#define NO_NODE 255
#define REDIRECTS_MAX 5
#define KEPT_MAX_BYTES ((size_t)64 << 20)
#define TICK_MS 500
#define MAP_PAUSE_MS 200
#define UNUSED_MAX_MS 30000 /* of a node that is in no map: a slot may be on its way there */
#define WAIT_MAX_MS 2000 /* for the connection to a node that a redirect named */
#define SCRATCH_KEPT_BYTES ((size_t)64 << 10)

struct node;

/* A command that may have to be sent again. */
struct kept {
    struct redis *redis;
    struct node *node; /* where it is now */
    store_answer_fn *answer;
    void *ctx;
    struct kept *next; /* waiting, or made together */
    uint64_t deadline_ms;
    unsigned redirects;
    bool asking;
    size_t len;
    uint8_t resp[];
};

struct node {
    struct redis *redis;
    unsigned index;
    struct store_endpoint endpoint;
    struct store *store;
    bool is_connected, in_map;
    uint64_t used_ms;
    struct kept *waiting, **waiting_end;
};

struct redis {
    struct loop *loop;
    struct store_target *target;
    struct store_places places;
    struct redis_config config;
    struct random random;
    bool is_told_connected, is_ending;

    struct store *single; /* not a cluster */

    struct node *nodes[NODES_MAX];
    unsigned node_count;
    uint8_t *slots; /* of REDIRECT_SLOTS: the index of a node */
    unsigned slots_without;
    bool wants_map, asks_map;
    uint64_t map_asked_ms;
    unsigned map_turn;
    struct timer timer;
    size_t kept_bytes;
    struct resp scratch;
};

/* One server. */

static void single_changed(void *ctx, bool connected)
{
    struct redis *redis = ctx;
    if (connected && redis->config.node)
        redis->config.node(redis->config.ctx, redis->single);
    if (redis->config.state)
        redis->config.state(redis->config.ctx, connected);
}

static void single_error(void *ctx, const struct store_reply *reply)
{
    struct redis *redis = ctx;
    struct redirect redirect;
    if (redirect_parse(reply, &redirect))
        LOG_RATED(loop_now_ms(redis->loop), LOG_ERROR, "redis",
                  "this Redis is a node of a cluster; set redis to cluster:HOST:PORT", "address=%s",
                  redis->target->address);
}

static struct store *open_store(struct redis *redis, const char *address, store_state_fn *state, store_error_fn *error,
                                void *ctx)
{
    struct store_target target = *redis->target;
    target.address = address;
    struct store_config config = {
        .target = &target,
        .timeout_ms = redis->config.timeout_ms,
        .state = state,
        .error = error,
        .ctx = ctx,
        .reply_max_bytes = redis->config.reply_max_bytes,
    };
    for (unsigned i = 0; i < 4; i++)
        config.random_seed[i] = random_next(&redis->random);
    return store_new(redis->loop, &config);
}

/* A cluster: state. */

static void ask_map(struct redis *redis);
static void send_kept(struct kept *kept, struct node *node);

static void want_map(struct redis *redis)
{
    redis->wants_map = true;
    ask_map(redis);
}

static bool reaches_all(const struct redis *redis)
{
    if (redis->slots_without > 0)
        return false;
    for (unsigned i = 0; i < redis->node_count; i++)
        if (redis->nodes[i] && redis->nodes[i]->in_map && !redis->nodes[i]->is_connected)
            return false;
    return true;
}

static void judge_state(struct redis *redis)
{
    bool connected = reaches_all(redis);
    if (connected == redis->is_told_connected || redis->is_ending)
        return;
    redis->is_told_connected = connected;
    if (redis->config.state)
        redis->config.state(redis->config.ctx, connected);
}

/* Kept commands. */

static void end_kept(struct kept *kept, const struct store_reply *reply)
{
    store_answer_fn *answer = kept->answer;
    void *ctx = kept->ctx;
    kept->redis->kept_bytes -= kept->len;
    free(kept);
    answer(ctx, reply);
}

static struct kept *make_kept(struct redis *redis, struct bytes resp, store_answer_fn *answer, void *ctx)
{
    if (redis->kept_bytes + resp.len > KEPT_MAX_BYTES)
        return NULL;
    struct kept *kept = malloc(sizeof *kept + resp.len);
    if (!kept)
        return NULL;
    *kept = (struct kept){.redis = redis, .answer = answer, .ctx = ctx, .len = resp.len};
    memcpy(kept->resp, resp.ptr, resp.len);
    redis->kept_bytes += resp.len;
    return kept;
}

static void forget_kept(struct kept *kept)
{
    while (kept) {
        struct kept *next = kept->next;
        kept->redis->kept_bytes -= kept->len;
        free(kept);
        kept = next;
    }
}

static void wait_for(struct kept *kept, struct node *node)
{
    kept->next = NULL;
    kept->deadline_ms = loop_now_ms(kept->redis->loop) + WAIT_MAX_MS;
    *node->waiting_end = kept;
    node->waiting_end = &kept->next;
}

static struct kept *take_waiting(struct node *node)
{
    struct kept *list = node->waiting;
    node->waiting = NULL;
    node->waiting_end = &node->waiting;
    return list;
}

/* Nodes. */

static struct node *node_at(const struct redis *redis, unsigned index)
{
    return index < redis->node_count ? redis->nodes[index] : NULL;
}

static struct node *find_node(const struct redis *redis, const struct store_endpoint *endpoint)
{
    for (unsigned i = 0; i < redis->node_count; i++)
        if (redis->nodes[i] && store_endpoint_equal(&redis->nodes[i]->endpoint, endpoint))
            return redis->nodes[i];
    return NULL;
}

static void node_changed(void *ctx, bool connected)
{
    struct node *node = ctx;
    struct redis *redis = node->redis;
    node->is_connected = connected;
    if (connected) {
        if (redis->config.node)
            redis->config.node(redis->config.ctx, node->store);
        for (struct kept *kept = take_waiting(node), *next; kept; kept = next) {
            next = kept->next;
            send_kept(kept, node);
        }
    }
    if (!connected || redis->slots_without > 0)
        want_map(redis);
    judge_state(redis);
}

static struct node *add_node(struct redis *redis, const struct store_endpoint *endpoint);

/* The node that an answer of `from` names; made if it is new. NULL: no memory. */
static struct node *named_node(struct redis *redis, const struct store_endpoint *named, const struct node *from)
{
    struct store_endpoint endpoint = *named;
    if (!endpoint.host[0])
        memcpy(endpoint.host, from->endpoint.host, sizeof endpoint.host);
    struct node *node = find_node(redis, &endpoint);
    return node ? node : add_node(redis, &endpoint);
}

/* Every error that a node answers: MOVED corrects the map, whoever sent the command. */
static void node_error(void *ctx, const struct store_reply *reply)
{
    struct node *from = ctx;
    struct redis *redis = from->redis;
    struct redirect redirect;
    if (redirect_parse(reply, &redirect) && !redirect.is_ask) {
        struct node *node = named_node(redis, &redirect.endpoint, from);
        redis->slots_without -= node && redis->slots[redirect.slot] == NO_NODE;
        if (node) {
            redis->slots[redirect.slot] = (uint8_t)node->index;
            node->in_map = true;
        }
        want_map(redis);
    } else if (bytes_starts_with(reply->text, BYTES_LITERAL("CLUSTERDOWN"))) {
        want_map(redis);
    }
}

static struct node *add_node(struct redis *redis, const struct store_endpoint *endpoint)
{
    char address[STORE_ADDRESS_MAX + 16];
    unsigned index = 0;
    while (index < redis->node_count && redis->nodes[index])
        index++;
    struct node *node = index < NODES_MAX ? calloc(1, sizeof *node) : NULL;
    if (!node)
        return NULL;
    *node = (struct node){.redis = redis, .index = index, .endpoint = *endpoint, .used_ms = loop_now_ms(redis->loop)};
    node->waiting_end = &node->waiting;
    node->store = open_store(redis, store_endpoint_text(endpoint, address), node_changed, node_error, node);
    if (!node->store) {
        free(node);
        return NULL;
    }
    redis->nodes[index] = node;
    if (index == redis->node_count)
        redis->node_count++;
    return node;
}

static void free_node(struct redis *redis, unsigned index)
{
    struct node *node = redis->nodes[index];
    redis->nodes[index] = NULL;
    for (struct kept *kept = take_waiting(node), *next; kept; kept = next) {
        next = kept->next;
        end_kept(kept, NULL);
    }
    store_free(node->store);
    free(node);
}

static void add_seeds(struct redis *redis)
{
    for (size_t i = 0; i < redis->places.count; i++)
        if (!find_node(redis, &redis->places.endpoints[i]))
            add_node(redis, &redis->places.endpoints[i]);
}

/* The map. */

static void take_map(struct redis *redis, const struct node *from, const struct store_reply *reply)
{
    struct redirect_range range;
    memset(redis->slots, NO_NODE, REDIRECT_SLOTS);
    redis->slots_without = REDIRECT_SLOTS;
    for (unsigned i = 0; i < redis->node_count; i++)
        if (redis->nodes[i])
            redis->nodes[i]->in_map = false;
    for (size_t i = 0; i < reply->count; i++) {
        struct node *node = redirect_parse_range(&reply->items[i], &range)
                                ? named_node(redis, &range.primary, from)
                                : NULL;
        if (!node)
            continue;
        node->in_map = true;
        for (unsigned slot = range.first; slot <= range.last; slot++) {
            redis->slots_without -= redis->slots[slot] == NO_NODE;
            redis->slots[slot] = (uint8_t)node->index;
        }
    }
}

static void got_map(void *ctx, const struct store_reply *reply)
{
    struct node *node = ctx;
    struct redis *redis = node->redis;
    redis->asks_map = false;
    if (!reply || reply->type != STORE_LIST) {
        redis->wants_map = true;
        if (reply)
            LOG_RATED(loop_now_ms(redis->loop), LOG_WARN, "redis", "no map of the cluster", "reply=\"%.*s\"",
                      (int)(reply->text.len < 80 ? reply->text.len : 80), (const char *)reply->text.ptr);
        return;
    }
    take_map(redis, node, reply);
    redis->wants_map = redis->slots_without > 0;
    judge_state(redis);
}

/* Of any node that is there, each time of another one. */
static void ask_map(struct redis *redis)
{
    static const struct bytes question[] = {{(const uint8_t *)"CLUSTER", 7}, {(const uint8_t *)"SLOTS", 5}};
    uint64_t now = loop_now_ms(redis->loop);
    if (!redis->wants_map || redis->asks_map || redis->is_ending ||
        (redis->map_asked_ms && now - redis->map_asked_ms < MAP_PAUSE_MS))
        return;
    for (unsigned i = 0; i < redis->node_count; i++) {
        struct node *node = node_at(redis, redis->map_turn++ % redis->node_count);
        if (node && node->is_connected && store_send(node->store, question, 2, got_map, node)) {
            redis->map_asked_ms = now;
            redis->asks_map = true;
            redis->wants_map = false;
            store_flush(node->store);
            return;
        }
    }
}

/* Time. */

/* Those that have waited too long; they are in the order of their coming. */
static void give_up_waiting(struct redis *redis, struct node *node)
{
    uint64_t now = loop_now_ms(redis->loop);
    while (node->waiting && node->waiting->deadline_ms <= now) {
        struct kept *kept = node->waiting;
        node->waiting = kept->next;
        if (!node->waiting)
            node->waiting_end = &node->waiting;
        end_kept(kept, NULL);
    }
}

static bool is_unused(const struct redis *redis, const struct node *node)
{
    return !node->in_map && redis->slots_without == 0 && !node->waiting && store_pending(node->store) == 0 &&
           loop_now_ms(redis->loop) - node->used_ms > UNUSED_MAX_MS;
}

static void tick(struct timer *timer)
{
    struct redis *redis = (struct redis *)((char *)timer - offsetof(struct redis, timer));
    bool any = false;
    timers_set(loop_timers(redis->loop), &redis->timer, loop_now_ms(redis->loop) + TICK_MS);
    for (unsigned i = 0; i < redis->node_count; i++) {
        struct node *node = redis->nodes[i];
        if (!node)
            continue;
        give_up_waiting(redis, node);
        any |= node->is_connected;
        if (is_unused(redis, node))
            free_node(redis, i);
    }
    if (!any)
        add_seeds(redis);
    redis->wants_map |= redis->slots_without > 0 || !reaches_all(redis);
    ask_map(redis);
}

/* Sending in a cluster. */

static void kept_answered(void *ctx, const struct store_reply *reply)
{
    struct kept *kept = ctx;
    struct redirect redirect;
    if (!reply || kept->redirects == REDIRECTS_MAX || kept->redis->is_ending || !redirect_parse(reply, &redirect)) {
        end_kept(kept, reply);
        return;
    }
    struct node *node = named_node(kept->redis, &redirect.endpoint, kept->node);
    if (!node) {
        end_kept(kept, reply);
        return;
    }
    kept->redirects++;
    kept->asking = redirect.is_ask;
    if (node->is_connected)
        send_kept(kept, node);
    else
        wait_for(kept, node);
}

static void ignored(void *ctx, const struct store_reply *reply)
{
    (void)ctx;
    (void)reply;
}

static bool pass_kept(struct kept *kept, struct node *node)
{
    struct bytes asking = BYTES_LITERAL("ASKING");
    struct store_mark mark = store_mark(node->store);
    kept->node = node;
    node->used_ms = loop_now_ms(kept->redis->loop);
    if ((!kept->asking || store_send(node->store, &asking, 1, ignored, NULL)) &&
        store_send_raw(node->store, bytes_of(kept->resp, kept->len), 1, kept_answered, kept))
        return true;
    store_take_back(node->store, mark);
    return false;
}

/* Again, to a node that is there. */
static void send_kept(struct kept *kept, struct node *node)
{
    if (pass_kept(kept, node))
        store_flush(node->store);
    else
        end_kept(kept, NULL);
}

static struct node *node_of(const struct redis *redis, struct bytes key)
{
    struct node *node = node_at(redis, redis->slots[redirect_slot_of(key)]);
    return node && node->is_connected && store_is_connected(node->store) ? node : NULL;
}

/* Each of the commands is kept alone, because each may be redirected; all are sent, or none. */
static bool send_to_cluster(struct redis *redis, struct bytes key, struct bytes resp, size_t commands,
                            store_answer_fn *answer, void *ctx)
{
    struct node *node = node_of(redis, key);
    struct kept *made = NULL;
    if (!node)
        return false;
    struct store_mark mark = store_mark(node->store);
    for (size_t i = 0; i < commands; i++) {
        struct bytes one;
        struct kept *kept = resp_take(&resp, &one) ? make_kept(redis, one, answer, ctx) : NULL;
        if (kept)
            kept->next = made;
        if (!kept || !pass_kept(kept, node)) {
            store_take_back(node->store, mark);
            forget_kept(kept ? kept : made);
            return false;
        }
        made = kept;
    }
    return true;
}

bool redis_send(struct redis *redis, struct bytes key, const struct bytes *arguments, size_t count,
                store_answer_fn *answer, void *ctx)
{
    if (redis->single)
        return store_send(redis->single, arguments, count, answer, ctx);
    bool ok = resp_command(&redis->scratch, arguments, count) &&
              send_to_cluster(redis, key, bytes_of(redis->scratch.ptr, redis->scratch.len), 1, answer, ctx);
    resp_clear(&redis->scratch, SCRATCH_KEPT_BYTES);
    return ok;
}

bool redis_send_raw(struct redis *redis, struct bytes key, struct bytes resp, size_t commands, store_answer_fn *answer,
                    void *ctx)
{
    if (redis->single)
        return store_send_raw(redis->single, resp, commands, answer, ctx);
    return send_to_cluster(redis, key, resp, commands, answer, ctx);
}

/* The whole. */

struct redis *redis_new(struct loop *loop, const struct redis_config *config)
{
    struct redis *redis = calloc(1, sizeof *redis);
    if (!redis)
        return NULL;
    redis->loop = loop;
    redis->config = *config;
    redis->timer.fire = tick;
    random_seed(&redis->random, config->random_seed);
    redis->target = store_target_copy(config->target);
    if (!redis->target || !store_target_parse(redis->target->address, &redis->places))
        goto fail;
    if (redis->places.form != STORE_FORM_CLUSTER) {
        redis->single = open_store(redis, redis->target->address, single_changed, single_error, redis);
        if (redis->single)
            return redis;
        goto fail;
    }
    redis->slots = malloc(REDIRECT_SLOTS);
    if (!redis->slots)
        goto fail;
    memset(redis->slots, NO_NODE, REDIRECT_SLOTS);
    redis->slots_without = REDIRECT_SLOTS;
    redis->wants_map = true;
    add_seeds(redis);
    timers_set(loop_timers(loop), &redis->timer, loop_now_ms(loop) + TICK_MS);
    return redis;
fail:
    redis_free(redis);
    return NULL;
}

void redis_free(struct redis *redis)
{
    if (!redis)
        return;
    redis->is_ending = true;
    timers_cancel(loop_timers(redis->loop), &redis->timer);
    store_free(redis->single);
    for (unsigned i = 0; i < redis->node_count; i++)
        if (redis->nodes[i])
            free_node(redis, i);
    resp_deinit(&redis->scratch);
    free(redis->slots);
    free(redis->target);
    free(redis);
}

bool redis_is_connected(const struct redis *redis, struct bytes key)
{
    return redis->single ? store_is_connected(redis->single) : node_of(redis, key) != NULL;
}

struct store *redis_store(struct redis *redis, struct bytes key)
{
    if (redis->single)
        return store_is_connected(redis->single) ? redis->single : NULL;
    struct node *node = node_of(redis, key);
    return node ? node->store : NULL;
}

size_t redis_stores(struct redis *redis, struct store **ret, size_t max)
{
    size_t count = 0;
    if (redis->single && store_is_connected(redis->single)) {
        if (max > 0)
            ret[0] = redis->single;
        return 1;
    }
    for (unsigned i = 0; i < redis->node_count; i++) {
        struct node *node = redis->nodes[i];
        if (node && node->in_map && store_is_connected(node->store) && count++ < max)
            ret[count - 1] = node->store;
    }
    return count;
}

bool redis_is_cluster(const struct redis *redis)
{
    return !redis->single;
}

void redis_flush(struct redis *redis)
{
    if (redis->single) {
        store_flush(redis->single);
        return;
    }
    for (unsigned i = 0; i < redis->node_count; i++)
        if (redis->nodes[i])
            store_flush(redis->nodes[i]->store);
}

size_t redis_pending(const struct redis *redis)
{
    size_t count = redis->single ? store_pending(redis->single) : 0;
    for (unsigned i = 0; i < redis->node_count; i++) {
        if (!redis->nodes[i])
            continue;
        count += store_pending(redis->nodes[i]->store);
        for (const struct kept *kept = redis->nodes[i]->waiting; kept; kept = kept->next)
            count++;
    }
    return count;
}
