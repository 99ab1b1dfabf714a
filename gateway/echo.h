// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Echo values that prove a peer receives at the address it sends from (RFC 9175 section 2.4), without any state: the
 * time, and a keyed hash over time, address and port. Bytes: seconds (4, big-endian), SipHash (8).
 *
 * Whoever has seen such a value may use it from that address until it is ECHO_FRESH_S old, more than once: it proves
 * reachability, not that a request is fresh. All workers use one key, drawn at start, so that a value made by one is
 * taken by every other; after a restart peers are asked again.
 */
#pragma once

#include "gateway/address.h"

#define ECHO_BYTES 12
#define ECHO_FRESH_S 300

void echo_make(const uint8_t key[static 16], const struct address *remote, uint32_t now_s,
               uint8_t ret[static ECHO_BYTES]);
bool echo_check(const uint8_t key[static 16], const struct address *remote, uint32_t now_s, struct bytes value);
