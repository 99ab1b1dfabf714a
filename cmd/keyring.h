// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The keys that a person gives to `weir sign` and `weir verify`, from files and the command line, and what is done with
 * them. Nothing of it asks Redis or a gateway.
 *
 * A file is PEM or DER (SubjectPublicKeyInfo, PKCS #8, SEC 1), a JWK, or a secret in hexadecimal. Before it may stand
 * KID=, which names the one key id that it is for; a JWK may name it itself.
 */
#pragma once

#include "cmd/cli.h"
#include "gateway/crypto_sign.h"

#define KEYRING_MAX 64
#define KEYRING_SECRET_MIN 16 /* octets; of HS256 32 */

struct keyring_key {
    char kid[SIGNED_KID_MAX + 1]; /* empty: for whatever has its algorithm */
    struct crypto_sign_key key;
};

/* Zero-initialised; wiped with keyring_deinit. */
struct keyring {
    struct keyring_key keys[KEYRING_MAX];
    size_t count;
};

/* "ES256", "EdDSA", "HS256", "HS256/64", in any case. */
bool keyring_parse_algorithm(const char *text, enum signed_algorithm *ret);
/* Takes --key and --hex, each with commas between several, and --alg for secrets in hexadecimal. Returns an exit
 * status. */
int keyring_take(const struct cli *cli, struct keyring *keyring);
/* One file, with KID= before it or not; algorithm: of a secret in hexadecimal. Returns an exit status. */
int keyring_read_file(const struct cli *cli, const char *text, enum signed_algorithm algorithm,
                      struct keyring_key *ret);
/* SHA-256 of the public key of a file ("-": stdin), which is a public key or a certificate, PEM or DER. Returns an exit
 * status. */
int keyring_read_digest(const struct cli *cli, const char *path, uint8_t ret[static CREDENTIAL_DIGEST_BYTES]);
void keyring_deinit(struct keyring *keyring);

/* By the algorithm of the key, whatever the message says: it is compared before. */
bool keyring_verify(const struct crypto_sign_key *key, const struct signed_message *message);
/* By the algorithm of the key. False: no private key or secret, or not for this form. */
bool keyring_sign(const struct crypto_sign_key *key, enum signed_form form, struct bytes covered,
                  uint8_t ret[static SIGNED_SIGNATURE_MAX], size_t *ret_len);
