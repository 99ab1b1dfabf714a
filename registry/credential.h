// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What proves a device: several at once, each with its own id, one kind and a time in which it is good, so that a new
 * one can be used before the old one goes. Plain data, and its text in Redis: one field "key:ID" of the device's hash.
 *
 * A kind is one algorithm and one use. Of symmetric kinds the secret is set and public empty, of the others the other
 * way round. The text of a secret is wrapped by a record_vault (registry/record.h), if there is one.
 */
#pragma once

#include "codec/signed.h"
#include "registry/secret.h"

#include <stddef.h>

#define CREDENTIAL_ID_MAX 32 /* [A-Za-z0-9][A-Za-z0-9._-]*; the kid of a signature kind */
#define CREDENTIAL_NAME_MAX 128
#define CREDENTIAL_DIGEST_BYTES 32
#define CREDENTIAL_PUBLIC_MAX 64
#define CREDENTIALS_MAX 8 /* of one device */

/*        name                    slug        secret? signature? */
#define CREDENTIAL_TABLE(X)                                                                                            \
    X(CREDENTIAL_PSK,       "psk",      true,  false) /* DTLS */                                                       \
    X(CREDENTIAL_X509,      "x509",     false, false) /* a certificate name, from a CA of the settings or the tenant */\
    X(CREDENTIAL_CA,        "ca",       false, false) /* a name, and credential_ca below as public */                  \
    X(CREDENTIAL_RPK,       "rpk",      false, false) /* SHA-256 of the SubjectPublicKeyInfo (RFC 7252 9.1.3.2) */     \
    X(CREDENTIAL_FRAME,     "frame",    true,  false) /* OpenTRV: AES-128 key, then the node's whole id */             \
    X(CREDENTIAL_ES256,     "es256",    false, true)  /* JWS and COSE: x || y */                                       \
    X(CREDENTIAL_EDDSA,     "eddsa",    false, true)  /* JWS and COSE: Ed25519 */                                      \
    X(CREDENTIAL_HS256,     "hs256",    true,  true)  /* JWS and COSE: 32 to 64 octets */                              \
    X(CREDENTIAL_HS256_64,  "hs256-64", true,  true)  /* COSE with tags of 8 octets */                                 \
    X(CREDENTIAL_HMAC,      "hmac",     true,  false) /* the {hmac, payload} envelope: 16 to 64 octets */

enum credential_kind {
#define X(name, slug, secret, signature) name,
    CREDENTIAL_TABLE(X)
#undef X
    CREDENTIAL_KINDS
};

/* public of a ca: SHA-256 of the SubjectPublicKeyInfo of the authority that must have signed, and then, if it is of one
 * certificate's key alone, as all that enrolment makes are, of that of the certificate. Without it any certificate of
 * that name by the authority is good, however old: for people who see to that themselves. */
enum credential_ca { CREDENTIAL_CA_ANY = CREDENTIAL_DIGEST_BYTES, CREDENTIAL_CA_LEAF = 2 * CREDENTIAL_DIGEST_BYTES };

/* A registry holds a million of these: what a kind does not have takes no room. */
struct credential {
    char id[CREDENTIAL_ID_MAX + 1];
    bool offered; /* from an enrolment that is not confirmed yet: good, but gone when not_after comes */
    uint8_t public_len;
    union {
        struct secret secret;                  /* symmetric kinds; of the others its len is 0 */
        uint8_t public[CREDENTIAL_PUBLIC_MAX]; /* the others: key or digest; of symmetric kinds public_len is 0 */
    };
    enum credential_kind kind;
    int64_t created_s;
    int64_t not_before_s, not_after_s; /* Unix seconds; 0: no bound. Good if not_before <= now < not_after */
    const char *name; /* x509 and ca, at most CREDENTIAL_NAME_MAX, borrowed from the credential; else NULL */
};
_Static_assert(CREDENTIAL_PUBLIC_MAX <= offsetof(struct secret, len), "a public key is never taken for a secret");


const char *credential_kind_name(enum credential_kind kind);
bool credential_kind_of_name(struct bytes name, enum credential_kind *ret);
bool credential_is_secret(enum credential_kind kind);    /* symmetric */
bool credential_is_signature(enum credential_kind kind); /* found by kid */
/* What a key of a signature kind signs and checks; false: of the other kinds. */
bool credential_algorithm(enum credential_kind kind, enum signed_algorithm *ret);
bool credential_id_is_valid(struct bytes id);
/* Whether secret or public have a length that the kind can have. Whether a point is on its curve is not looked at. */
bool credential_is_sound(const struct credential *credential);
/* Whether a new one may be taken: sound, and no symmetric key of nothing but zeros, as a file that was never
 * filled gives. One that stands in Redis already goes on. */
bool credential_is_acceptable(const struct credential *credential);
bool credential_is_good_at(const struct credential *credential, int64_t now_s);
/* The same in everything, in time that depends on lengths only. */
bool credential_equal(const struct credential *a, const struct credential *b);
/* The name of an x509 or ca credential; empty of other kinds. */
struct bytes credential_name(const struct credential *credential);
/* Certificates of enrolment have a name that says the device: this, the tenant, a slash and the device's id.
 * False: it is not of that form, or the parts can be none, as in names of somebody else's making; they borrow from the
 * name. */
#define CREDENTIAL_OWN_NAME "weir://"
bool credential_own_name(struct bytes name, struct bytes *ret_tenant, struct bytes *ret_device);
void credential_wipe(struct credential *credential);
