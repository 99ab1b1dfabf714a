// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who is speaking, and how that was proved. Set by the wire (DTLS handshake, token, mapped network), judged by the
 * route table. Plain data: it holds no pointer into the registry, whose records may go at any time.
 */
#pragma once

#include "registry/record.h"

enum identity_kind {
    IDENTITY_NONE,     /* nobody was proved */
    IDENTITY_NETWORK,  /* a mapped source network: tenant is known, the device names itself */
    IDENTITY_DEVICE,
    IDENTITY_OPERATOR,  /* a person: role says what they may */
    IDENTITY_BOOTSTRAP, /* a device that has no credential of its own yet: may enrol and nothing else */
};

/* How; the slug is what the stream says (field a). */
enum evidence {
    EVIDENCE_NONE,
    EVIDENCE_PSK,
    EVIDENCE_X509,
    EVIDENCE_RPK,
    EVIDENCE_TOKEN,
    EVIDENCE_NETWORK,
    EVIDENCE_APIKEY, /* a key in the query, as legacy senders have it */
    EVIDENCE_FRAME,  /* the payload itself: a frame sealed with the device's key */
    EVIDENCE_JWS,    /* the payload itself: signed (gateway/prove); the stream says the key too, "jws:KID" */
    EVIDENCE_COSE,
    EVIDENCE_HMAC,
};

struct identity {
    enum identity_kind kind;
    enum evidence evidence;
    char tenant[SCHEMA_TENANT_MAX + 1];
    char device[SCHEMA_DEVICE_MAX + 1]; /* IDENTITY_DEVICE; a person over DTLS; IDENTITY_BOOTSTRAP: + and the batch */
    enum role role;                     /* IDENTITY_OPERATOR: ROLE_VIEWER and up */
    /* What it was proved with: the id of a credential of the device, or of a token; empty: a derived key, a network. */
    char key[CREDENTIAL_ID_MAX + 1];
};

/* "psk", "x509", "rpk", "token", "net", "apikey", "frame", "jws", "cose", "hmac" or "". */
const char *identity_evidence_slug(enum evidence evidence);
bool identity_equal(const struct identity *a, const struct identity *b);
