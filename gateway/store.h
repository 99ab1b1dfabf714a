// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A connection to a Redis in a loop, which reconnects by itself. For a logical Redis that may be a cluster, see
 * gateway/redis, which has one store per node.
 *
 * Commands are argument vectors, never formatted text. Commands of one turn are written together. A command that has
 * not been answered within the time-out, an unexpected reply or a lost connection fails every command under way on
 * that connection exactly once, then reconnects with jitter (100 ms to 5 s). Replies stay in order per connection.
 *
 * Connected means that Redis took the password and answered a PING: one that still loads its data is away. Of several
 * addresses, and of what Sentinels name, only a primary counts (ROLE). READONLY, as an answer to anything, ends the
 * connection after it was told, and from then on only a primary counts at this address, too. When nothing is under way
 * a PING every 2 s finds out within 5 s that the other side is gone.
 */
#pragma once

#include "codec/bytes.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/random.h"
#include "gateway/store_client.h"
#include "gateway/store_wire.h"

/* Called once per command, from the loop or from store_free. May send more commands, which are written when all
 * replies at hand have been told; must not free the store.
 * reply NULL: the connection failed before an answer; whether the command was executed is not known. */
typedef void store_answer_fn(void *ctx, const struct store_reply *reply);
typedef void store_state_fn(void *ctx, bool connected);
/* Sees every reply that is an error, before its answer. */
typedef void store_error_fn(void *ctx, const struct store_reply *reply);

struct store;

struct store_config {
    const char *address;               /* a target that is nothing but an address (gateway/store_target.h); not kept */
    const struct store_target *target; /* not NULL: instead of address; copied */
    uint64_t timeout_ms; /* 0: commands may wait for ever (XREAD BLOCK) */
    store_state_fn *state; /* may be NULL; never called from within store_new and store_free */
    store_error_fn *error; /* may be NULL */
    void *ctx;
    uint64_t random_seed[4];
    size_t reply_max_bytes; /* a larger reply is a failure of the connection; 0: STORE_REPLY_MAX_BYTES */
};

/* Whether store_new can make something of the address. */
bool store_address_is_valid(const char *address);
/* Connects at once in the background. NULL: out of memory or no valid address. */
struct store *store_new(struct loop *loop, const struct store_config *config);
/* Fails what is under way (callbacks run); NULL is fine. */
void store_free(struct store *store);
bool store_is_connected(const struct store *store);
/* Commands not answered yet. */
size_t store_pending(const struct store *store);
/* Octets not written yet. */
size_t store_unsent(const struct store *store);
/* The socket address of the connection, or of the last attempt: behind a name or a Sentinel not the one configured. */
const struct store_endpoint *store_endpoint(const struct store *store);
/* False: not connected or no memory; answer is not called then. */
bool store_send(struct store *store, const struct bytes *arguments, size_t count, store_answer_fn *answer, void *ctx);
/* The same for a run of commands that are already RESP (from resp.h); answer is called once per command. */
bool store_send_raw(struct store *store, struct bytes resp, size_t commands, store_answer_fn *answer, void *ctx);
/* What was sent since a mark can be taken back until the next store_flush, which nothing calls by itself: it is not
 * written, and its answers are not called. */
struct store_mark {
    size_t octets, commands;
};
struct store_mark store_mark(const struct store *store);
void store_take_back(struct store *store, struct store_mark mark);
/* Writes what store_send collected; the worker calls it after each turn. A failure is told in a later turn. */
void store_flush(struct store *store);
/* Ends the connection soon and connects anew: it turned out to be of no use. */
void store_reconnect(struct store *store, const char *reason);
