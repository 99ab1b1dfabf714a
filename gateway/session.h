// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The peers of one worker: from a datagram to a CoAP message of somebody, and back.
 *
 * Finds who a datagram belongs to: a DTLS record with a connection ID by the CID alone, before any address; other
 * records by both addresses; plain CoAP by both addresses. Nothing is allocated for a stranger's ClientHello until
 * its cookie came back from its address (RFC 6347 4.2.1). A record whose CID names another worker is handed over.
 * A peer's address changes only by a record that authenticates and is newer than all before (RFC 9146 6). An
 * established session stays until a new handshake from the same address has finished (RFC 6347 4.2.8).
 * Full: half-open handshakes, sessions and plain peers have limits; only stale ones are dropped to make room.
 */
#pragma once

#include "gateway/coap.h"
#include "gateway/dtls.h"
#include "gateway/presence.h"
#include "registry/registry.h"

struct sessions;

/* Borrowed for the life of the sessions. */
struct sessions_environment {
    struct timers *timers;
    const struct settings *settings;
    struct metrics *metrics;
    const struct hash_key *hash_key;
    const struct registry *registry;
    struct dtls *dtls;         /* NULL: no coaps */
    struct presence *presence; /* sessions by device over all workers */
    struct coap *coap;
    unsigned worker_index, worker_count;
    void (*send)(void *ctx, const struct flow *flow, struct bytes datagram); /* endpoint_send */
    unsigned (*fill)(void *ctx); /* of the spool, per cent (gateway/shed); NULL: none */
    /* A record for the worker owner; false: could not be handed over. */
    bool (*hand_over)(void *ctx, unsigned owner, const struct datagram *datagram);
    /* The device has too many sessions and this one, of another worker, is its oldest: have it ended (sessions_end). */
    void (*end_remote)(void *ctx, struct presence_ref ref);
    /* Somebody has proved who it is, over DTLS. NULL: nobody wants to know. */
    void (*established)(void *ctx, const struct identity *who);
    /* A handshake ended early, in which a device was named that the registry has. NULL: nobody wants to know. */
    void (*failed)(void *ctx, const struct identity *who, const char *why, const struct address *remote);
    /* Tenant of a mapped network, empty if none (plain CoAP only). */
    struct bytes (*mapped_tenant)(void *ctx, const struct address *remote);
    void *ctx;
};

struct sessions *sessions_new(const struct sessions_environment *environment);
/* Says close_notify to all and frees them. */
void sessions_free(struct sessions *sessions);

/* From endpoint (endpoint_receive_fn with the sessions as ctx), and for records handed over by another worker. */
void sessions_receive(void *sessions, const struct datagram *datagram);
/* The registry has changed: ends those sessions of a device on this worker that may not go on
 * (dtls_session_holds); device empty: of the tenant. */
void sessions_review(struct sessions *sessions, struct bytes tenant, struct bytes device);
/* Ends one session, named by its serial number (presence). */
void sessions_end(struct sessions *sessions, uint64_t serial);
