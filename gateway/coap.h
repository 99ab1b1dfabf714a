// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The CoAP wire of one worker: bytes of a peer in, requests to the route table, answers back.
 *
 * It is the only thing that session sees of the message layer. Behind it: message (bytes <-> message, RFC 7252 3),
 * exchange (de-duplication, acknowledgement, retransmission, RFC 7252 4), block (RFC 7959), observe (RFC 7641),
 * echo (RFC 9175). Time comes from the timers, randomness and dispatch from the environment, so that tests own them.
 */
#pragma once

#include "gateway/peer.h"
#include "gateway/request.h"
#include "gateway/rt/random.h"
#include "gateway/rt/timers.h"

struct coap;

/* What the message layer needs from its surroundings; borrowed for its life. */
struct coap_environment {
    struct timers *timers;
    const struct settings *settings;
    struct metrics *metrics;
    const struct hash_key *hash_key;
    struct timestamp (*wall)(void *ctx);
    void (*dispatch)(struct request *request); /* route_dispatch */
    size_t (*body_limit)(const struct worker *worker, enum method method, struct bytes path);
    unsigned (*fill)(void *ctx); /* of the spool, per cent (gateway/shed); NULL: none */
    void *ctx;             /* for wall and fill */
    struct worker *worker; /* handed on in requests */
    uint64_t random_seed[4];
    uint8_t echo_key[16];  /* the same for all workers */
};

struct coap *coap_wire_new(const struct coap_environment *environment);
/* Finishes nothing: all requests must be done. */
void coap_wire_free(struct coap *coap);

/* One message of a peer. multicast: it came to a group, so errors are not answered. The bytes may be reused after. */
void coap_wire_receive(struct coap *coap, struct peer *peer, struct bytes message, bool multicast);
/* Before a peer goes: forgets its exchanges, bodies and observations; requests under way finish into nothing. */
void coap_wire_peer_gone(struct coap *coap, struct peer *peer);
/* Whether the peer has a request under way, an unacknowledged message or an observation: do not evict it lightly. */
bool coap_wire_peer_is_busy(const struct peer *peer);
/* A device's values changed: its observers and those of the whole tenant will be notified. */
void coap_wire_changed(struct coap *coap, struct bytes tenant, struct bytes device);
/* Whether anybody observes anything here. */
bool coap_wire_has_observers(const struct coap *coap);
