// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The other end of a CoAP conversation, as the message layer sees it: a plain address or a DTLS session. Owned by
 * gateway/session, which embeds it; the message layer keeps its state of the peer behind `messages` and is told by
 * coap_peer_gone (gateway/exchange) before the peer goes.
 */
#pragma once

#include "gateway/endpoint.h"
#include "gateway/identity.h"

struct exchange_peer; /* gateway/exchange */

struct peer {
    struct flow flow;     /* where answers go; a DTLS session may change it */
    bool secure;          /* over DTLS */
    bool verified;        /* its address is known to be its own: DTLS, or a valid Echo */
    struct identity who;
    uint64_t heard_ms;    /* last message that counted as its own */
    struct exchange_peer *messages; /* NULL until it has sent something that must be remembered */
    /* Sends one CoAP message to it, encrypted if secure. The bytes are copied. */
    void (*send)(struct peer *peer, struct bytes message);
};
