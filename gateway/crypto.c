// SPDX-License-Identifier: GPL-3.0-or-later
/* Thin: names of ours, errors as false, contexts wiped. */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "gateway/crypto.h"

#include <stdlib.h>

bool crypto_sha256(struct bytes a, struct bytes b, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    wc_Sha256 sha;
    if (wc_InitSha256(&sha) != 0)
        return false;
    bool ok = wc_Sha256Update(&sha, a.len ? a.ptr : (const uint8_t *)"", (word32)a.len) == 0 &&
              wc_Sha256Update(&sha, b.len ? b.ptr : (const uint8_t *)"", (word32)b.len) == 0 &&
              wc_Sha256Final(&sha, ret) == 0;
    wc_Sha256Free(&sha);
    return ok;
}

bool crypto_hmac_sha256(struct bytes key, struct bytes a, struct bytes b, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    Hmac hmac;
    if (wc_HmacInit(&hmac, NULL, INVALID_DEVID) != 0)
        return false;
    bool ok = wc_HmacSetKey(&hmac, WC_SHA256, key.ptr, (word32)key.len) == 0 &&
              (a.len == 0 || wc_HmacUpdate(&hmac, a.ptr, (word32)a.len) == 0) &&
              (b.len == 0 || wc_HmacUpdate(&hmac, b.ptr, (word32)b.len) == 0) && wc_HmacFinal(&hmac, ret) == 0;
    wc_HmacFree(&hmac);
    return ok;
}

/* A whole certificate's public key, as its SubjectPublicKeyInfo. */
static bool digest_certificate(struct bytes der, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    DecodedCert *certificate = malloc(sizeof *certificate);
    if (!certificate)
        return false;
    wc_InitDecodedCert(certificate, der.ptr, (word32)der.len, NULL);
    word32 len = 0;
    uint8_t *spki = NULL;
    bool ok = wc_ParseCert(certificate, CERT_TYPE, NO_VERIFY, NULL) == 0 &&
              wc_GetSubjectPubKeyInfoDerFromCert(der.ptr, (word32)der.len, NULL, &len) == LENGTH_ONLY_E &&
              (spki = malloc(len)) != NULL &&
              wc_GetSubjectPubKeyInfoDerFromCert(der.ptr, (word32)der.len, spki, &len) == 0 &&
              crypto_sha256(bytes_of(spki, len), (struct bytes){0}, ret);
    free(spki);
    wc_FreeDecodedCert(certificate);
    free(certificate);
    return ok;
}

static bool digest_public_key(struct bytes der, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    ecc_key key;
    word32 at = 0;
    if (wc_ecc_init(&key) != 0)
        return false;
    bool ok = wc_EccPublicKeyDecode(der.ptr, &at, &key, (word32)der.len) == 0 && at == der.len &&
              crypto_sha256(der, (struct bytes){0}, ret);
    wc_ecc_free(&key);
    return ok;
}

bool crypto_spki_digest(struct bytes pem_or_der, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    static const int types[] = {PUBLICKEY_TYPE, CERT_TYPE};
    for (unsigned i = 0; i < 2; i++) {
        DerBuffer *der = NULL;
        bool ok = wc_PemToDer(pem_or_der.ptr, (long)pem_or_der.len, types[i], &der, NULL, NULL, NULL) == 0;
        if (ok) {
            struct bytes run = bytes_of(der->buffer, der->length);
            ok = types[i] == CERT_TYPE ? digest_certificate(run, ret) : digest_public_key(run, ret);
        }
        wc_FreeDer(&der);
        if (ok)
            return true;
    }
    return digest_public_key(pem_or_der, ret) || digest_certificate(pem_or_der, ret);
}
