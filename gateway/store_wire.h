// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One connection to one Redis as octets out and replies in: hiredis below, which no other file knows, with TLS under
 * its function table (gateway/crypto_tls). No retries, no time, no callbacks: gateway/store and gateway/store_client
 * have those.
 *
 * After a false or FAILED the wire is only good for store_wire_error and store_wire_close.
 */
#pragma once

#include "codec/bytes.h"
#include "gateway/store_target.h"

enum store_reply_type { STORE_NIL, STORE_TEXT, STORE_INTEGER, STORE_LIST, STORE_ERROR };

/* A reply (RESP2). Valid until the next one is taken. */
struct store_reply {
    enum store_reply_type type;
    struct bytes text; /* STORE_TEXT, STORE_ERROR */
    int64_t integer;
    const struct store_reply *items; /* STORE_LIST */
    size_t count;
};

#define STORE_REPLY_MAX_BYTES ((size_t)64 << 20)
#define STORE_WIRE_ERROR_MAX 200

struct store_wire;

struct store_wire_config {
    const struct store_endpoint *endpoint; /* its host numeric, unless blocking */
    const struct store_target *target;     /* for TLS; used while opening only */
    const char *host;                      /* as it was given, which TLS verifies if target names nothing else */
    bool blocking;
    uint64_t timeout_ms; /* of each step, if blocking */
    size_t reply_max_bytes;
};

/* Begins to connect, or, if blocking, connects, with the handshake of TLS. NULL: reterr. */
struct store_wire *store_wire_open(const struct store_wire_config *config, char reterr[static STORE_WIRE_ERROR_MAX]);
/* NULL is fine. */
void store_wire_close(struct store_wire *wire);
int store_wire_fd(const struct store_wire *wire);
/* Why the wire is broken. */
const char *store_wire_error(const struct store_wire *wire);

/* Not blocking: when the socket can be written for the first time. False: it could not connect. */
bool store_wire_finish_connecting(struct store_wire *wire);
enum store_wire_step { STORE_WIRE_DONE, STORE_WIRE_WANTS_READ, STORE_WIRE_WANTS_WRITE, STORE_WIRE_FAILED };
/* Then until it is DONE, at once where there is no TLS. */
enum store_wire_step store_wire_handshake(struct store_wire *wire);

/* Writes all of it now, past every buffer of ours: for what must not stay in memory. */
bool store_wire_write_secret(struct store_wire *wire, struct bytes resp);
/* Takes all of it and writes what the socket takes. *ret_done false: call store_wire_continue when it can be
 * written. */
bool store_wire_write(struct store_wire *wire, struct bytes resp, bool *ret_done);
bool store_wire_continue(struct store_wire *wire, bool *ret_done);
/* Takes what the socket has. */
bool store_wire_read(struct store_wire *wire);
/* The next whole reply, NULL if there is none yet. Ends the life of the one before. */
bool store_wire_next(struct store_wire *wire, const struct store_reply **ret);
/* Blocking: writes, then waits for one reply. */
bool store_wire_call(struct store_wire *wire, struct bytes resp, const struct store_reply **ret);
