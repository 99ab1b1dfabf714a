// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Digests and authenticated encryption by wolfCrypt, for everybody but dtls: token hashes, Echo values, ETags, key
 * identities, the spool at rest, and what old devices encrypt by themselves.
 */
#pragma once

#include "codec/bytes.h"

#define CRYPTO_SHA256_BYTES 32
#define CRYPTO_KEY_BYTES 32   /* AES-256 */
#define CRYPTO_NONCE_BYTES 12 /* never twice under one key */
#define CRYPTO_TAG_BYTES 16

bool crypto_sha256(struct bytes a, struct bytes b, uint8_t ret[static CRYPTO_SHA256_BYTES]); /* of a then b */
bool crypto_sha256_parts(const struct bytes *parts, size_t count, uint8_t ret[static CRYPTO_SHA256_BYTES]);
bool crypto_hmac_sha256(struct bytes key, struct bytes a, struct bytes b, uint8_t ret[static CRYPTO_SHA256_BYTES]);
/* SHA-256 of the SubjectPublicKeyInfo in a PEM or DER public key or certificate file's bytes. */
bool crypto_spki_digest(struct bytes pem_or_der, uint8_t ret[static CRYPTO_SHA256_BYTES]);

/* AES-256-GCM (SP 800-38D): the ciphertext, as long as the plaintext, then the tag. They may be in the same place. */
bool crypto_seal(const uint8_t key[static CRYPTO_KEY_BYTES], const uint8_t nonce[static CRYPTO_NONCE_BYTES],
                 struct bytes aad, struct bytes plaintext, uint8_t *ret_sealed);
/* False: made with other arguments, or too short for a tag; ret_plaintext (sealed.len - CRYPTO_TAG_BYTES) is zeroed. */
bool crypto_open(const uint8_t key[static CRYPTO_KEY_BYTES], const uint8_t nonce[static CRYPTO_NONCE_BYTES],
                 struct bytes aad, struct bytes sealed, uint8_t *ret_plaintext);

#define CRYPTO_AES128_KEY_BYTES 16
#define CRYPTO_AES_BLOCK_BYTES 16

/* The same with AES-128: the frames of OpenTRV. As format_crypto.open. */
bool crypto_aes128_gcm_open(const uint8_t key[static CRYPTO_AES128_KEY_BYTES],
                            const uint8_t nonce[static CRYPTO_NONCE_BYTES], struct bytes aad, struct bytes sealed,
                            uint8_t *ret_plaintext);
/*
 * What emonCMS calls encrypted input: sealed is an IV, then AES-128-CBC with PKCS #7 padding (SP 800-38A, RFC 5652
 * 6.3); mac is HMAC-SHA-256 of the plaintext under the same key. False: sealed is no IV and whole blocks, or
 * padding or MAC are wrong, which of them nobody learns: for one length both are always looked at in full, with the
 * same work. ret_plaintext has room for sealed.len - 16; it is zeroed when false.
 */
bool crypto_aes128_cbc_open(const uint8_t key[static CRYPTO_AES128_KEY_BYTES],
                            const uint8_t mac[static CRYPTO_SHA256_BYTES], struct bytes sealed, uint8_t *ret_plaintext,
                            size_t *ret_len);
