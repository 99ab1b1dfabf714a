// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One logical Redis of a loop, as people run it: one server, what Sentinels name, or a cluster. Owns the connections
 * (gateway/store): one, or one per primary of the cluster.
 *
 * A command is sent with the key that decides its slot. One server and Sentinels: it goes straight to the store, at no
 * cost. Cluster: a copy is kept until it is answered; MOVED and ASK are followed with it, up to five times, and the
 * caller sees only the last answer. TRYAGAIN, CLUSTERDOWN and all other errors are told as they are.
 *
 * Order: the commands of one slot are executed in the order of sending as long as that slot stays where it is. While it
 * moves, commands that were under way are answered MOVED (or ASK) and sent again, in their order, but later ones may
 * have gone to the new node before them. Whoever needs more must notice it himself (compare-and-set, as the push does).
 * A transaction (MULTI ... EXEC) is never torn: send it to redis_store directly, where nothing is followed.
 */
#pragma once

#include "gateway/store.h"

struct redis;

/* A connection to a node was made; what is sent on it from here goes first (to load a Function, to check settings). */
typedef void redis_node_fn(void *ctx, struct store *store);

struct redis_config {
    const struct store_target *target; /* copied */
    uint64_t timeout_ms;               /* of a command; 0: for ever */
    store_state_fn *state; /* may be NULL; true: all slots are there. Never from redis_new and redis_free */
    redis_node_fn *node;   /* may be NULL; called before state */
    void *ctx;
    uint64_t random_seed[4];
    size_t reply_max_bytes; /* as in store_config */
};

/* Connects in the background. NULL: out of memory or no valid address. */
struct redis *redis_new(struct loop *loop, const struct redis_config *config);
/* Fails what is under way (callbacks run); NULL is fine. Not from a callback. */
void redis_free(struct redis *redis);

/* Whether the node of the key's slot is there. */
bool redis_is_connected(const struct redis *redis, struct bytes key);
/* As store_send and store_send_raw. False: the node of the slot is away, or no memory, or too much is kept. */
bool redis_send(struct redis *redis, struct bytes key, const struct bytes *arguments, size_t count,
                store_answer_fn *answer, void *ctx);
bool redis_send_raw(struct redis *redis, struct bytes key, struct bytes resp, size_t commands, store_answer_fn *answer,
                    void *ctx);
/* Writes what was collected for all nodes; after each turn. */
void redis_flush(struct redis *redis);

/* The connection that the key's slot has now, NULL if it is away; valid until the end of the turn. */
struct store *redis_store(struct redis *redis, struct bytes key);
/* All connected primaries; returns how many there are, at most max of them in ret. */
size_t redis_stores(struct redis *redis, struct store **ret, size_t max);
bool redis_is_cluster(const struct redis *redis);
/* Commands not answered yet, of all nodes. */
size_t redis_pending(const struct redis *redis);
