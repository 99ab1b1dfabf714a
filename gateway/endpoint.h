// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * UDP sockets of one worker: the first and the last stage of the path.
 *
 * Receives in batches (recvmmsg), keeps the address that was asked (IP_PKTINFO, IPV6_RECVPKTINFO) so that the answer
 * leaves from it, counts what the kernel dropped (SO_RXQ_OVFL), and throws away by the first byte what cannot be
 * CoAP or DTLS before anything is allocated. Answers are collected and leave together (sendmmsg) at endpoint_flush,
 * which the worker calls after each turn, or when the batch is full. All workers bind the same ports (SO_REUSEPORT).
 */
#pragma once

#include "gateway/address.h"
#include "gateway/rt/loop.h"
#include "gateway/rt/metrics.h"
#include "gateway/settings.h"

#define ENDPOINT_DATAGRAM_MAX 4096 /* larger ones are truncated by nobody: they are dropped and counted */

/* As settings.coap_port or coaps_port: any free port. No operator can set it; tests do. */
#define ENDPOINT_PORT_ANY 65536

struct endpoint;

/* Both ends of a conversation and the socket it runs over. Plain data, copied into peers. */
struct flow {
    struct address remote;
    struct address local; /* the address that was asked, with our port */
    uint16_t socket;      /* index of the socket within this worker's endpoint */
    uint32_t interface;   /* index of the network interface, 0: not known */
};

struct datagram {
    struct flow flow;
    bool secure;    /* came to a coaps port */
    bool multicast; /* was sent to a multicast or broadcast address: never answered with an error */
    uint8_t *data;  /* the receiver may change it in place; valid during the call */
    size_t len;
};

typedef void endpoint_receive_fn(void *ctx, const struct datagram *datagram);

/*
 * Whether every address of settings.listen is an address, and free on both ports. To be asked once, before the first
 * worker binds: from then on the ports are shared and nobody is told. False: reterr says which address and why.
 */
bool endpoint_ports_are_free(const struct settings *settings, char reterr[static SETTINGS_ERROR_MAX]);
/* Binds every address of settings.listen on both ports. NULL: reterr says which address and why. */
struct endpoint *endpoint_new(struct loop *loop, const struct settings *settings, struct metrics *metrics,
                              endpoint_receive_fn *receive, void *ctx, char reterr[static SETTINGS_ERROR_MAX]);
void endpoint_free(struct endpoint *endpoint);

/* Copies the bytes into the batch; len above ENDPOINT_DATAGRAM_MAX is counted and dropped. */
void endpoint_send(struct endpoint *endpoint, const struct flow *flow, struct bytes datagram);
void endpoint_flush(struct endpoint *endpoint);
/* The port that the sockets with secure on/off are bound to. 0: none. */
uint16_t endpoint_port(const struct endpoint *endpoint, bool secure);
