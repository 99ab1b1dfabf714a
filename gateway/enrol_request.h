// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The body of POST /enroll, a map in JSON or CBOR, read and its proof checked. Octets are base64url in JSON and byte
 * strings in CBOR.
 *
 *   serial   text  the serial number; of a device that is enrolled already it may be left out
 *   model    text  may be left out
 *   claim    text  the claim code, where the batch wants one
 *   want     "psk" with attempt: 8 to 64 octets or characters that the device chose at random for this question and
 *            keeps until it has its answer: what tells its repetition from another device that says the same
 *   key      a JWK; in CBOR a byte string with a COSE_Key: P-256 or Ed25519, the public half
 *            with nonce, from GET /enroll, and proof: 64 octets, the signature with that key over the text
 *            "weir-enroll TENANT SERIAL THUMBPRINT NONCE" (THUMBPRINT: RFC 7638, NONCE as received; both base64url)
 *   use      "sig" (JWS and COSE, default) or "dtls" (raw public key): what the key is for
 *   csr      a certificate request (PKCS #10)
 *
 * Exactly one of want, key and csr. Pure but for the digests and the signature.
 */
#pragma once

#include "gateway/enrolment.h"
#include "codec/arena.h"
#include "codec/refusal.h"

struct enrol_request {
    struct bytes serial, model, claim; /* borrowed; empty if they are not there */
    bool has_proof;
    struct bytes nonce; /* text, with has_proof */
    struct bytes proof, thumbprint;
    struct crypto_cert_request certificate; /* csr */
    enum credential_kind kind;
    uint8_t key[CREDENTIAL_PUBLIC_MAX]; /* the public key itself: x || y or Ed25519 */
    size_t key_len;
    uint8_t public[CREDENTIAL_PUBLIC_MAX]; /* as the credential has it */
    uint8_t public_len;
    uint8_t digest[ENROLMENT_DIGEST_BYTES];
};

bool enrol_request_read(struct bytes body, bool is_cbor, struct arena *arena, struct enrol_request *ret,
                        struct refusal *reterr);
/* Whether proof is the key's signature for this tenant, serial number and nonce. True where none is needed. */
bool enrol_request_is_proved(const struct enrol_request *request, struct bytes tenant, struct bytes serial,
                             struct arena *arena);
