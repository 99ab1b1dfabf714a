// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The gate in front of libmicrohttpd: a listener, its TCP connections, and everything about them that must
 * hold whatever a peer sends.
 *
 *   peer <-- TCP, or TLS --> gate <-- socketpair --> libmicrohttpd --> http.c
 *
 * Why: libmicrohttpd 0.9.75 reads heads leniently without telling (bare CR and LF, folded lines, two
 * lengths), serves what stands behind a doubtful request, and its time-out restarts with every byte. Patching
 * its socket calls would be worse, so it gets a socket of its own on which only whole, strictly checked heads
 * and bodies of known length arrive, one request at a time. docs/decisions has the reasons and the price.
 *
 * What holds: at most connections_max connections, at most per_address of one client; a handshake and a head
 * each within its deadline, a body within its own, an answer read within 30 s, each absolute; after a refusal
 * nothing more of the connection is looked at; memory per connection is fixed and exists only while there are
 * bytes.
 *
 * Life of a connection: accepted -> head -> body -> answer -> head ... -> lingering close. The gate frees it
 * when the TCP side has ended and libmicrohttpd has told (http_gate_closed) that it has let go of its end.
 * One thread. Nothing here calls into libmicrohttpd but the open callback.
 */
#pragma once

#include "gateway/address.h"
#include "gateway/crypto_tls.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/metrics.h"
#include "gateway/settings.h"
#include "proxy/http_head.h"

struct http_gate;
struct http_gate_connection;

struct http_gate_setup {
    struct loop *loop;
    struct metrics *metrics;
    const struct settings *settings; /* deadlines and limits */
    const struct hash_key *hash_key;
    struct address listen;
    enum wire wire;
    const char *name;              /* of its settings: "http", "https", "ops" */
    struct crypto_tls_server *tls; /* NULL: plain */
    bool share_port; /* other workers listen there too */
    bool claim_port; /* the first of them: nobody else may */
    /* Gives libmicrohttpd its end of a connection, which it then owns. False: it could not take it (and closed it). */
    bool (*open)(void *ctx, struct http_gate_connection *connection, int fd);
    /* Bytes for libmicrohttpd were written: it should run in this turn. */
    void (*pushed)(void *ctx);
    void *ctx;
};

/* Listens. NULL: reterr. */
struct http_gate *http_gate_new(const struct http_gate_setup *setup, char reterr[static SETTINGS_ERROR_MAX]);
/* Closes all. libmicrohttpd must have let go of every connection. NULL is fine. */
void http_gate_free(struct http_gate *gate);
/* Frees the connections that ended; call when no callback of the gate is on the stack. */
void http_gate_sweep(struct http_gate *gate);

enum wire http_gate_wire(const struct http_gate_connection *connection);
const struct address *http_gate_remote(const struct http_gate_connection *connection);
/* Whether the request under way has to be the last one: the gate does not know where a chunked body ends. */
bool http_gate_is_last(const struct http_gate_connection *connection);

/* Told by http.c. The body has come whole: its deadline is over. */
void http_gate_received(struct http_gate_connection *connection);
/* The answer has been written to libmicrohttpd's end. */
void http_gate_answered(struct http_gate_connection *connection);
/* libmicrohttpd lets go of its end; the connection must not be named again. */
void http_gate_closed(struct http_gate_connection *connection);
/* Answers in libmicrohttpd's place and closes: for what is found while a body is still coming. */
void http_gate_refuse(struct http_gate_connection *connection, const struct http_refusal *refusal);
