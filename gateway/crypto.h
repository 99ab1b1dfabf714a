// SPDX-License-Identifier: GPL-3.0-or-later
/* Digests by wolfCrypt, for everybody but dtls: token hashes, Echo values, ETags, key identities. */
#pragma once

#include "codec/bytes.h"

#define CRYPTO_SHA256_BYTES 32

bool crypto_sha256(struct bytes a, struct bytes b, uint8_t ret[static CRYPTO_SHA256_BYTES]); /* of a then b */
bool crypto_hmac_sha256(struct bytes key, struct bytes a, struct bytes b, uint8_t ret[static CRYPTO_SHA256_BYTES]);
/* SHA-256 of the SubjectPublicKeyInfo in a PEM or DER public key or certificate file's bytes. */
bool crypto_spki_digest(struct bytes pem_or_der, uint8_t ret[static CRYPTO_SHA256_BYTES]);
