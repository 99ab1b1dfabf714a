// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Opening of one UDP socket as gateway/endpoint needs it: non-blocking, shared port (SO_REUSEPORT), IPv6
 * without IPv4 in it, telling which address was asked (IP_PKTINFO, IPV6_RECVPKTINFO) and what the kernel
 * dropped (SO_RXQ_OVFL).
 */
#pragma once

#include "gateway/address.h"
#include "gateway/settings.h"

enum udp_open {
    UDP_OPENED,
    UDP_SKIPPED, /* the wildcard of a family that this host does not have */
    UDP_FAILED,  /* reterr says which address, why and what to do */
};

/* Port 0 of the address: any free port. ret_bound is the address with the port that it got. */
enum udp_open udp_open(const struct address *address, uint64_t receive_buffer_bytes, int *ret_fd,
                       struct address *ret_bound, char reterr[static SETTINGS_ERROR_MAX]);

/*
 * Whether nobody has the port: a bind that does not share, undone at once. A second gateway could bind silently
 * otherwise, because all of ours share, and would take a part of the datagrams. UDP_FAILED: reterr.
 */
enum udp_open udp_probe(const struct address *address, char reterr[static SETTINGS_ERROR_MAX]);
