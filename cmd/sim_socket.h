// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One UDP socket for a whole fleet: device i speaks from the loopback address 127.16.0.1 + i, chosen for each datagram
 * with IP_PKTINFO; what comes back is told apart by the address it was sent to. So a million devices need one
 * descriptor and no state here. Sent and received in batches.
 */
#pragma once

#include "gateway/address.h"

#define SIM_SOCKET_ERROR_MAX 256
#define SIM_SOCKET_DATAGRAM_MAX 2048

struct sim_socket;

/* Borrows nothing after it returned. NULL: reterr says why. */
struct sim_socket *sim_socket_new(const struct address *target, char reterr[static SIM_SOCKET_ERROR_MAX]);
void sim_socket_free(struct sim_socket *socket);
int sim_socket_fd(const struct sim_socket *socket);

/* Copies; it leaves at the latest with sim_socket_flush. Longer than SIM_SOCKET_DATAGRAM_MAX: dropped. */
void sim_socket_send(struct sim_socket *socket, uint32_t device, struct bytes datagram);
void sim_socket_flush(struct sim_socket *socket);

typedef void sim_socket_receive_fn(void *ctx, uint32_t device, struct bytes datagram);
/* Hands on what has arrived, one batch at most. Returns how many datagrams. */
unsigned sim_socket_receive(struct sim_socket *socket, sim_socket_receive_fn *receive, void *ctx);
