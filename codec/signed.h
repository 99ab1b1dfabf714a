// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A message that carries its own proof: the one shape that codec/jws, codec/cose and codec/envelope make of their
 * forms. Between the request and the format of what was signed.
 *
 * Nothing here is proved. Whoever has the key checks signature over covered (gateway/prove), and only then looks at
 * payload, content_format and sequence. What selects or forbids (algorithm, kid, crit) was read from protected headers
 * only (but for the kid of a COSE message, which may stand in either); headers that bring or name a key (jwk, jku, x5u,
 * x5c, ...) and critical ones that are not understood are refused by the readers.
 */
#pragma once

#include "codec/arena.h"
#include "codec/observation.h"
#include "codec/outcome.h"

enum signed_form { SIGNED_JWS, SIGNED_COSE, SIGNED_ENVELOPE, SIGNED_FORMS };

/* Each key has exactly one of them. */
enum signed_algorithm {
    SIGNED_HS256,    /* HMAC-SHA-256, 32 octets (RFC 7518 3.2, RFC 9053 3.1) */
    SIGNED_HS256_64, /* the same cut to 8 octets; COSE only */
    SIGNED_ES256,    /* P-256 and SHA-256, 64 octets R || S (RFC 7518 3.4, RFC 9053 2.1) */
    SIGNED_EDDSA,    /* Ed25519, 64 octets (RFC 8037, RFC 9053 2.2) */
    SIGNED_ALGORITHMS,
};

#define SIGNED_KID_MAX 64
#define SIGNED_SIGNATURE_MAX 64

struct signed_message {
    enum signed_form form;
    enum signed_algorithm algorithm; /* as the message says; an envelope is SIGNED_HS256 */
    struct bytes kid;                /* opaque, at most SIGNED_KID_MAX octets; empty: none */
    int content_format;              /* of the payload, by cty or header 3; CONTENT_FORMAT_NONE: not said */
    struct bytes payload;            /* what was signed, decoded */
    struct bytes covered;            /* the octets that the signature is over */
    struct bytes signature;          /* of the one length that the algorithm has */
    struct sequence sequence;        /* from the protected header, if it has one */
    bool has_time;                   /* an envelope has ts */
    struct timestamp time;           /* its ts and ts_ns: what tells a repeated envelope from a new one */
};

/* "jws", "cose", "hmac": the word in the stream, the log and the docs. */
const char *signed_form_name(enum signed_form form);
/* "HS256", "HS256/64", "ES256", "EdDSA". */
const char *signed_algorithm_name(enum signed_algorithm algorithm);
/* The number of octets of its signatures. */
size_t signed_signature_len(enum signed_algorithm algorithm);

/* Which form a payload of this Content-Format has: 17, 18, 65000, 65001. False: none by itself; JSON (50) may be a JWS
 * or an envelope where the request or the profile says so. */
bool signed_form_of(int content_format, enum signed_form *ret);

/* What was signed, in the one spelling by which it is recognised when it comes again. Of an envelope it is
 * the canonical text: the MAC covers that, and whoever has seen the message can spell its payload anew
 * (order, white space, escapes, 1.5 as 15e-1) without breaking it. */
struct bytes signed_content(const struct signed_message *message);
