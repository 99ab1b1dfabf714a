// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * COSE_Sign1 and COSE_Mac0 (RFC 9052; algorithms RFC 9053), one signer or one MAC, payload inside. Reads what
 * was signed and what is to be checked, and writes messages from a signature that somebody else makes. Pure.
 *
 * Names begin with cose_msg_: other libraries own cose_.
 *
 * Refused: any other tag, alg outside of the protected header or not in the table, a label twice in or across
 * both headers, crit with anything, detached payloads, an IV, headers that bring keys (x5chain, x5u, x5bag:
 * 32 to 35), a signature of another length, what is not well-formed CBOR, content type or seq outside of the
 * protected header, typ (16) of anything else than "application/weir". The kid is taken from either header,
 * where senders put it. Labels that are not known are passed over.
 */
#pragma once

#include "codec/node.h"
#include "codec/refusal.h"
#include "codec/signed.h"

/* Octets of a protected header. */
#define COSE_MSG_HEADER_MAX 2048

enum cose_msg_kind { COSE_MSG_ANY, COSE_MSG_MAC0 = 17, COSE_MSG_SIGN1 = 18 };

/* expected: what the Content-Format says (17, 18); with it the tag may be absent. COSE_MSG_ANY: the tag must be there.
 * The sequence is the protected header with the label "seq": [epoch, seq], as in codec/jws. */
bool cose_msg_read(struct bytes payload, enum cose_msg_kind expected, struct arena *arena, struct signed_message *ret,
                   struct refusal *reterr);

struct cose_msg_header {
    enum signed_algorithm algorithm;
    struct bytes kid;   /* empty: none */
    int content_format; /* header 3; CONTENT_FORMAT_NONE: none */
    struct sequence sequence;
};
/* The Sig_structure or MAC_structure that is to be signed, and the protected header for cose_msg_end. */
bool cose_msg_begin(const struct cose_msg_header *header, struct bytes payload, struct arena *arena,
                    struct bytes *ret_protected, struct bytes *ret_covered);
/* The tagged message. */
bool cose_msg_end(const struct cose_msg_header *header, struct bytes protected_header, struct bytes payload,
                  struct bytes signature, struct arena *arena, struct bytes *ret);

/* The value of alg, for codec/jwk too (RFC 9053; ESP256 and Ed25519 of RFC 9864 are read as the same). False: not in
 * the table. */
bool cose_msg_algorithm(const struct node *node, enum signed_algorithm *ret);
int cose_msg_algorithm_number(enum signed_algorithm algorithm);
