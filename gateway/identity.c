// SPDX-License-Identifier: GPL-3.0-or-later
/* Comparing identities and naming their evidence. */
#include "gateway/identity.h"

const char *identity_evidence_slug(enum evidence evidence)
{
    switch (evidence) {
    case EVIDENCE_PSK:
        return "psk";
    case EVIDENCE_X509:
        return "x509";
    case EVIDENCE_RPK:
        return "rpk";
    case EVIDENCE_TOKEN:
        return "token";
    case EVIDENCE_NETWORK:
        return "net";
    case EVIDENCE_APIKEY:
        return "apikey";
    case EVIDENCE_FRAME:
        return "frame";
    case EVIDENCE_JWS:
        return "jws";
    case EVIDENCE_COSE:
        return "cose";
    case EVIDENCE_HMAC:
        return "hmac";
    case EVIDENCE_NONE:
    default:
        return "";
    }
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->kind == b->kind && a->evidence == b->evidence && strcmp(a->tenant, b->tenant) == 0 &&
           strcmp(a->device, b->device) == 0 && a->role == b->role && strcmp(a->key, b->key) == 0;
}
