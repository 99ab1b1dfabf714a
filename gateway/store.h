// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Connections to Redis by hiredis, which no other file knows: asynchronous in a loop, synchronous for the CLI.
 *
 * Commands are argument vectors, never formatted text. Commands of one turn are written together. A command that has
 * not been answered within the time-out, an unexpected reply or a lost connection fails every command under way on
 * that connection exactly once, then reconnects with jitter (100 ms to 5 s). Replies stay in order per connection.
 * Connected means that Redis has answered a PING: one that still loads its data is away.
 */
#pragma once

#include "codec/bytes.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/random.h"

enum store_reply_type { STORE_NIL, STORE_TEXT, STORE_INTEGER, STORE_LIST, STORE_ERROR };

/* A reply, valid during the callback (or until the next synchronous call). */
struct store_reply {
    enum store_reply_type type;
    struct bytes text; /* STORE_TEXT, STORE_ERROR */
    int64_t integer;
    const struct store_reply *items; /* STORE_LIST */
    size_t count;
};

/* Called once per command, from the loop or from store_free. May send more commands, which are written when all
 * replies at hand have been told; must not free the store.
 * reply NULL: the connection failed before an answer; whether the command was executed is not known. */
typedef void store_answer_fn(void *ctx, const struct store_reply *reply);
typedef void store_state_fn(void *ctx, bool connected);

struct store;

struct store_config {
    const char *address; /* "unix:/path", "host:port" or "[host]:port"; host numeric or "localhost"; not kept */
    uint64_t timeout_ms; /* 0: commands may wait for ever (XREAD BLOCK) */
    store_state_fn *state; /* may be NULL; never called from within store_new and store_free */
    void *ctx;
    uint64_t random_seed[4];
    size_t reply_max_bytes; /* a larger reply is a failure of the connection; 0: STORE_REPLY_MAX_BYTES */
};

#define STORE_REPLY_MAX_BYTES ((size_t)64 << 20)

/* Whether store_new can make something of the address. */
bool store_address_is_valid(const char *address);
/* Connects at once in the background. NULL: out of memory or no valid address. */
struct store *store_new(struct loop *loop, const struct store_config *config);
/* Fails what is under way (callbacks run); NULL is fine. */
void store_free(struct store *store);
bool store_is_connected(const struct store *store);
/* Commands not answered yet. */
size_t store_pending(const struct store *store);
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

/* One connection used in order, for the CLI and tools. NULL: reterr says why. */
struct store_client;
#define STORE_CLIENT_ERROR_MAX 256
struct store_client *store_client_open(const char *address, uint64_t timeout_ms,
                                       char reterr[static STORE_CLIENT_ERROR_MAX]);
/* NULL is fine. */
void store_client_close(struct store_client *client);
/* NULL: connection failed, now and in all later calls. The reply is valid until the next call. */
const struct store_reply *store_client_call(struct store_client *client, const struct bytes *arguments, size_t count);
