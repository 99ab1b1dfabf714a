// SPDX-License-Identifier: GPL-3.0-or-later
/* Socket addresses: compare, hash, print, and source networks. IPv4 and IPv6 only; IPv4-mapped IPv6 is IPv4. */
#pragma once

#include "codec/hash.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

#define ADDRESS_TEXT_MAX 72

static inline socklen_t address_len(const struct address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->in6 : sizeof address->in;
}

/* Address and port; the IPv6 scope counts, the flow label does not. */
bool address_equal(const struct address *a, const struct address *b);
/* The same but for the port. */
bool address_same_host(const struct address *a, const struct address *b);
uint64_t address_hash(const struct hash_key *key, const struct address *address);
uint16_t address_port(const struct address *address);
bool address_is_multicast(const struct address *address); /* or IPv4 broadcast */
bool address_is_loopback(const struct address *address);
/* "192.0.2.1:5683", "[2001:db8::1]:5683"; returns ret. */
const char *address_text(const struct address *address, char ret[static ADDRESS_TEXT_MAX]);
/* "192.0.2.1", "[::1]" or "::1", with the port given apart. */
bool address_parse(struct bytes text, uint16_t port, struct address *ret);

struct address_network {
    struct address base;
    unsigned prefix_bits;
};
/* "192.0.2.0/24". False: not a network. */
bool address_network_parse(struct bytes text, struct address_network *ret);
bool address_network_contains(const struct address_network *network, const struct address *address);
/* The first 24 bits of IPv4 or 48 of IPv6, hashed: who counts together for rate limits. */
uint64_t address_network_hash(const struct hash_key *key, const struct address *address);
