// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Certificates for devices: requests (PKCS #10, RFC 2986) read, authorities made, leaves signed (RFC 5280),
 * with wolfCrypt. Any thread. A request is read by hand, strictly: of what it says only the key counts, and
 * that who asks has it; names and extensions are the gateway's to choose.
 */
#pragma once

#include "codec/bytes.h"
#include "registry/secret.h"

#define CRYPTO_CERT_DIGEST_BYTES 32
#define CRYPTO_CERT_SPKI_MAX 96 /* of P-256 and Ed25519 */
#define CRYPTO_CERT_DER_MAX 640

struct crypto_cert_request {
    uint8_t spki[CRYPTO_CERT_SPKI_MAX]; /* SubjectPublicKeyInfo, DER */
    size_t spki_len;
    uint8_t digest[CRYPTO_CERT_DIGEST_BYTES]; /* SHA-256 of it */
};

/* DER. False: not a request with a key of P-256 or Ed25519, or its signature is not by that key. */
bool crypto_cert_read_request(struct bytes der, struct crypto_cert_request *ret);

struct crypto_cert {
    uint8_t der[CRYPTO_CERT_DER_MAX];
    size_t len;
};

/* A self-signed authority of P-256 with this name; ret_key is its private key. */
bool crypto_cert_make_authority(const char *organisation, const char *name, unsigned days, struct crypto_cert *ret,
                                struct secret *ret_key);
/* A certificate for TLS and DTLS clients with uri as its subjectAltName. */
bool crypto_cert_sign(struct bytes authority_der, const struct secret *authority_key,
                      const struct crypto_cert_request *request, const char *uri, unsigned days,
                      struct crypto_cert *ret);
/* Text with its NUL. False: too small. */
#define CRYPTO_CERT_PEM_MAX (CRYPTO_CERT_DER_MAX * 3 / 2 + 80)
bool crypto_cert_to_pem(struct bytes der, char ret[static CRYPTO_CERT_PEM_MAX]);
