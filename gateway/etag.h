// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Entity tags (RFC 7252 5.10.6, RFC 9110 8.8.3): what a representation is told by. weir's own have ETAG_BYTES octets;
 * over HTTP they are hexadecimal in quotes (proxy/http_field).
 */
#pragma once

#include "codec/bytes.h"

#define ETAG_BYTES 8

struct etag {
    uint8_t octets[ETAG_BYTES];
    uint8_t len; /* 0: none; in an If-Match: "exists" */
};

/* The beginning of the SHA-256 of the text. False: the digest failed. */
bool etag_of(struct bytes text, struct etag *ret);
bool etag_is_in(const struct etag *etag, const struct etag *list, unsigned count);
