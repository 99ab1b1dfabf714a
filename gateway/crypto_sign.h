// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Signatures and MACs by wolfCrypt: checked for gateway/prove and `weir verify`, made for `weir sign` and the
 * simulator, and the keys for them made and read. Any thread.
 *
 * A key is used with its own algorithm only. MACs are compared in constant time, whole; ECDSA takes 0 < r, s
 * < n and nothing else (a high s is valid: nobody may recognise a message by its signature); EdDSA takes s <
 * L. No cache per key: one that helps one key costs a fleet more.
 */
#pragma once

#include "codec/signed.h"
#include "registry/secret.h"

#define CRYPTO_SIGN_PUBLIC_MAX 64

struct crypto_sign_key {
    enum signed_algorithm algorithm;
    uint8_t public[CRYPTO_SIGN_PUBLIC_MAX]; /* ES256: x || y; EDDSA: 32 octets */
    size_t public_len;
    struct secret secret; /* HS256: 32 to 64 octets; ES256, EDDSA: the private key of 32, or not set */
};

/* Whether the public octets are a key: the length, and for ES256 a point of the curve that is not infinity. */
bool crypto_sign_public_is_valid(enum signed_algorithm algorithm, struct bytes public_octets);

bool crypto_sign_verify(const struct crypto_sign_key *key, struct bytes covered, struct bytes signature);
/* random: 32 fresh octets, for ES256 (RFC 6979 3.6: one that comes twice does no harm). ret has SIGNED_SIGNATURE_MAX.
 * False: no private key, or out of memory. */
bool crypto_sign_make(const struct crypto_sign_key *key, struct bytes covered, const uint8_t random[static 32],
                      uint8_t ret[static SIGNED_SIGNATURE_MAX], size_t *ret_len);
/* From a private key of 32 octets, whose public half is computed, or a secret of 32 to 64. False: it is none. */
bool crypto_sign_set_private(enum signed_algorithm algorithm, struct bytes octets, struct crypto_sign_key *ret);
/* A fresh key pair, or a secret of 32 octets. */
bool crypto_sign_generate(enum signed_algorithm algorithm, struct crypto_sign_key *ret);
/* PEM or DER: SubjectPublicKeyInfo, PKCS #8 or SEC 1 of P-256 or Ed25519. False: not one of them, or two
 * in one file. */
bool crypto_sign_read_pem(struct bytes pem_or_der, struct crypto_sign_key *ret);
/* SubjectPublicKeyInfo in PEM; and, with a private key, PKCS #8 in PEM. Texts with NUL, ret has room. */
#define CRYPTO_SIGN_PEM_MAX 512
bool crypto_sign_write_public_pem(const struct crypto_sign_key *key, char ret[static CRYPTO_SIGN_PEM_MAX]);
bool crypto_sign_write_private_pem(const struct crypto_sign_key *key, char ret[static CRYPTO_SIGN_PEM_MAX]);
void crypto_sign_wipe(struct crypto_sign_key *key);
