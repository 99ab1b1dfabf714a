// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * JSON Web Signature (RFC 7515; algorithms RFC 7518, RFC 8037): compact, flattened and general JSON. Reads what was
 * signed and what is to be checked, and writes messages from a signature that somebody else makes. Pure.
 *
 * Refused, each with its own sentence: more or less than two dots, base64url that is not canonical (padding, white
 * space, the other alphabet, unused bits), a header that is no JSON object or has a member twice or in both headers,
 * an alg that is missing, none or not in the table, alg or kid or crit outside of the protected header, jwk, jku, x5u,
 * x5c, x5t, x5t#S256, crit with anything, b64 at all, a typ that is for something else, more than one signature,
 * flattened and general members at once, a signature of another length.
 */
#pragma once

#include "codec/refusal.h"
#include "codec/signed.h"

/* Octets of a protected header. */
#define JWS_HEADER_MAX 2048

/* compact: exactly header.payload.signature. borrows from text and the arena. */
bool jws_read_compact(struct bytes text, struct arena *arena, struct signed_message *ret, struct refusal *reterr);
/* The JSON serialization, flattened or general with one signature. */
bool jws_read_json(struct bytes text, struct arena *arena, struct signed_message *ret, struct refusal *reterr);

/* What a signer says of its payload. */
struct jws_header {
    enum signed_algorithm algorithm; /* not SIGNED_HS256_64 */
    struct bytes kid;                /* UTF-8; empty: none */
    struct bytes content_type;       /* cty, a media type; empty: none */
    struct sequence sequence;
};
/* BASE64URL(header).BASE64URL(payload): what is to be signed. False: out of memory. */
bool jws_begin(const struct jws_header *header, struct bytes payload, struct arena *arena, struct bytes *ret_covered);
/* The compact form, from what was signed and its signature. */
bool jws_end_compact(struct bytes covered, struct bytes signature, struct arena *arena, struct bytes *ret);
/* The flattened JSON form. */
bool jws_end_json(struct bytes covered, struct bytes signature, struct arena *arena, struct bytes *ret);
