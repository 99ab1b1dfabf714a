// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * DTLS sessions of a fleet: one gateway/dtls_client for each device, with the key that cmd/sim_provision gives it. At
 * most options.handshakes shake hands at once; a handshake that fails leaves its device down.
 */
#pragma once

#include "cmd/sim_fleet.h"
#include "cmd/sim_socket.h"

struct sim_secure;

/* All borrowed. receive gets the messages that were in the records. */
struct sim_secure_config {
    const struct sim_options *options;
    struct sim_socket *socket;
    struct sim_counts *counts;
    sim_socket_receive_fn *receive;
    void *ctx;
};

/* NULL: reterr says why. */
struct sim_secure *sim_secure_new(const struct sim_secure_config *config, char reterr[static SIM_ERROR_MAX]);
/* Says close_notify for every session, unless options.no_close; the caller flushes the socket. NULL is fine. */
void sim_secure_free(struct sim_secure *secure);

/* Begins as many handshakes as may be under way. True: all have ended. */
bool sim_secure_begin_some(struct sim_secure *secure, uint64_t now_ms);
void sim_secure_receive(struct sim_secure *secure, uint32_t device, struct bytes datagram);
/* Nothing happens if the device is down. */
void sim_secure_send(struct sim_secure *secure, uint32_t device, struct bytes message);
/* Repeats handshake flights that are due. */
void sim_secure_advance(struct sim_secure *secure, uint64_t now_ms);
uint64_t sim_secure_wait_ms(const struct sim_secure *secure, uint64_t now_ms);
bool sim_secure_is_up(const struct sim_secure *secure, uint32_t device);
const struct sim_histogram *sim_secure_latency(const struct sim_secure *secure);
