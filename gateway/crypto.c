// SPDX-License-Identifier: GPL-3.0-or-later
/* Thin: names of ours, errors as false, contexts wiped. */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "gateway/crypto.h"

bool crypto_sha256_parts(const struct bytes *parts, size_t count, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    wc_Sha256 sha;
    if (wc_InitSha256(&sha) != 0)
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = parts[i].len == 0 || wc_Sha256Update(&sha, parts[i].ptr, (word32)parts[i].len) == 0;
    ok = ok && wc_Sha256Final(&sha, ret) == 0;
    wc_Sha256Free(&sha);
    return ok;
}

bool crypto_sha256(struct bytes a, struct bytes b, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    const struct bytes parts[] = {a, b};
    return crypto_sha256_parts(parts, 2, ret);
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

/* Takes one element off; ret_content is what is inside of it. (X.690 8.1, definite lengths in the shortest form) */
static bool take_der(struct bytes *rest, uint8_t tag, struct bytes *ret_whole, struct bytes *ret_content)
{
    const uint8_t *p = rest->ptr;
    if (rest->len < 2 || p[0] != tag)
        return false;
    size_t octets = p[1] < 0x80 ? 0 : p[1] & 0x7f, len = p[1], head = 2 + octets;
    if (octets > 2 || p[1] == 0x80 || head > rest->len)
        return false;
    if (octets)
        len = octets == 1 ? p[2] : (size_t)p[2] << 8 | p[3];
    if (len > rest->len - head)
        return false;
    *ret_whole = bytes_of(p, head + len);
    *ret_content = bytes_of(p + head, len);
    *rest = bytes_of(p + head + len, rest->len - head - len);
    return true;
}

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_OID = 0x06, DER_SEQUENCE = 0x30, DER_VERSION = 0xa0 };

/* SubjectPublicKeyInfo: {{OID, parameters}, BIT STRING} (RFC 5280 4.1) */
static bool is_public_key(struct bytes content)
{
    struct bytes algorithm, oid, ignored;
    return take_der(&content, DER_SEQUENCE, &ignored, &algorithm) && take_der(&algorithm, DER_OID, &ignored, &oid) &&
           take_der(&content, DER_BIT_STRING, &ignored, &oid) && content.len == 0;
}

/* Certificate: {{[0] version, serial, algorithm, issuer, validity, subject, SubjectPublicKeyInfo, ...}, ...} */
static bool take_public_key(struct bytes certificate, struct bytes *ret_spki)
{
    struct bytes body, content, ignored;
    if (!take_der(&certificate, DER_SEQUENCE, &ignored, &body))
        return false;
    (void)take_der(&body, DER_VERSION, &ignored, &content);
    if (!take_der(&body, DER_INTEGER, &ignored, &content))
        return false;
    for (unsigned i = 0; i < 4; i++)
        if (!take_der(&body, DER_SEQUENCE, &ignored, &content))
            return false;
    return take_der(&body, DER_SEQUENCE, ret_spki, &content) && is_public_key(content);
}

static bool digest_der(struct bytes der, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    struct bytes whole, content, spki;
    if (!take_der(&der, DER_SEQUENCE, &whole, &content) || der.len > 0)
        return false;
    if (is_public_key(content))
        spki = whole;
    else if (!take_public_key(content, &spki))
        return false;
    return crypto_sha256(spki, (struct bytes){0}, ret);
}

bool crypto_spki_digest(struct bytes pem_or_der, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    static const int types[] = {PUBLICKEY_TYPE, CERT_TYPE};
    bool ok = digest_der(pem_or_der, ret);
    for (unsigned i = 0; !ok && pem_or_der.len > 0 && i < sizeof types / sizeof types[0]; i++) {
        DerBuffer *der = NULL;
        ok = wc_PemToDer(pem_or_der.ptr, (long)pem_or_der.len, types[i], &der, NULL, NULL, NULL) == 0 &&
             digest_der(bytes_of(der->buffer, der->length), ret);
        wc_FreeDer(&der);
    }
    return ok;
}

/* The context holds the expanded key: wc_AesFree wipes it. */
static bool open_aes(Aes *aes, const uint8_t *key)
{
    if (wc_AesInit(aes, NULL, INVALID_DEVID) != 0)
        return false;
    if (wc_AesGcmSetKey(aes, key, CRYPTO_KEY_BYTES) == 0)
        return true;
    wc_AesFree(aes);
    return false;
}

bool crypto_seal(const uint8_t key[static CRYPTO_KEY_BYTES], const uint8_t nonce[static CRYPTO_NONCE_BYTES],
                 struct bytes aad, struct bytes plaintext, uint8_t *ret_sealed)
{
    Aes aes;
    if (!open_aes(&aes, key))
        return false;
    bool ok = wc_AesGcmEncrypt(&aes, ret_sealed, plaintext.ptr, (word32)plaintext.len, nonce, CRYPTO_NONCE_BYTES,
                               ret_sealed + plaintext.len, CRYPTO_TAG_BYTES, aad.ptr, (word32)aad.len) == 0;
    wc_AesFree(&aes);
    return ok;
}

bool crypto_open(const uint8_t key[static CRYPTO_KEY_BYTES], const uint8_t nonce[static CRYPTO_NONCE_BYTES],
                 struct bytes aad, struct bytes sealed, uint8_t *ret_plaintext)
{
    Aes aes;
    if (sealed.len < CRYPTO_TAG_BYTES || !open_aes(&aes, key))
        return false;
    size_t len = sealed.len - CRYPTO_TAG_BYTES;
    bool ok = wc_AesGcmDecrypt(&aes, ret_plaintext, sealed.ptr, (word32)len, nonce, CRYPTO_NONCE_BYTES,
                               sealed.ptr + len, CRYPTO_TAG_BYTES, aad.ptr, (word32)aad.len) == 0;
    wc_AesFree(&aes);
    if (!ok && len > 0)
        memset(ret_plaintext, 0, len);
    return ok;
}
