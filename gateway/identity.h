// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who is speaking, and how that was proved. Set by the wire (DTLS handshake, token, mapped network), judged by the
 * route table. Plain data: it holds no pointer into the registry, whose records may go at any time.
 */
#pragma once

#include "registry/schema.h"

enum identity_kind {
    IDENTITY_NONE,     /* nobody was proved */
    IDENTITY_NETWORK,  /* a mapped source network: tenant is known, the device names itself */
    IDENTITY_DEVICE,
    IDENTITY_OPERATOR,
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
};

struct identity {
    enum identity_kind kind;
    enum evidence evidence;
    char tenant[SCHEMA_TENANT_MAX + 1];
    char device[SCHEMA_DEVICE_MAX + 1]; /* IDENTITY_DEVICE */
};

/* "psk", "x509", "rpk", "token", "net", "apikey", "frame" or "". */
const char *identity_evidence_slug(enum evidence evidence);
bool identity_equal(const struct identity *a, const struct identity *b);
