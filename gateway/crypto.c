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
static bool open_aes(Aes *aes, const uint8_t *key, word32 key_len)
{
    if (wc_AesInit(aes, NULL, INVALID_DEVID) != 0)
        return false;
    if (wc_AesGcmSetKey(aes, key, key_len) == 0)
        return true;
    wc_AesFree(aes);
    return false;
}

bool crypto_seal(const uint8_t key[static CRYPTO_KEY_BYTES], const uint8_t nonce[static CRYPTO_NONCE_BYTES],
                 struct bytes aad, struct bytes plaintext, uint8_t *ret_sealed)
{
    Aes aes;
    if (!open_aes(&aes, key, CRYPTO_KEY_BYTES))
        return false;
    bool ok = wc_AesGcmEncrypt(&aes, ret_sealed, plaintext.ptr, (word32)plaintext.len, nonce, CRYPTO_NONCE_BYTES,
                               ret_sealed + plaintext.len, CRYPTO_TAG_BYTES, aad.ptr, (word32)aad.len) == 0;
    wc_AesFree(&aes);
    return ok;
}

static bool open_gcm(const uint8_t *key, word32 key_len, const uint8_t *nonce, struct bytes aad, struct bytes sealed,
                     uint8_t *ret_plaintext)
{
    Aes aes;
    if (sealed.len < CRYPTO_TAG_BYTES || !open_aes(&aes, key, key_len))
        return false;
    size_t len = sealed.len - CRYPTO_TAG_BYTES;
    bool ok = wc_AesGcmDecrypt(&aes, ret_plaintext, sealed.ptr, (word32)len, nonce, CRYPTO_NONCE_BYTES,
                               sealed.ptr + len, CRYPTO_TAG_BYTES, aad.ptr, (word32)aad.len) == 0;
    wc_AesFree(&aes);
    if (!ok && len > 0)
        memset(ret_plaintext, 0, len);
    return ok;
}

bool crypto_open(const uint8_t key[static CRYPTO_KEY_BYTES], const uint8_t nonce[static CRYPTO_NONCE_BYTES],
                 struct bytes aad, struct bytes sealed, uint8_t *ret_plaintext)
{
    return open_gcm(key, CRYPTO_KEY_BYTES, nonce, aad, sealed, ret_plaintext);
}

bool crypto_aes128_gcm_open(const uint8_t key[static CRYPTO_AES128_KEY_BYTES],
                            const uint8_t nonce[static CRYPTO_NONCE_BYTES], struct bytes aad, struct bytes sealed,
                            uint8_t *ret_plaintext)
{
    return open_gcm(key, CRYPTO_AES128_KEY_BYTES, nonce, aad, sealed, ret_plaintext);
}

static bool decrypt_cbc(const uint8_t *key, const uint8_t *iv, struct bytes ciphertext, uint8_t *ret)
{
    Aes aes;
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) != 0)
        return false;
    bool ok = wc_AesSetKey(&aes, key, CRYPTO_AES128_KEY_BYTES, iv, AES_DECRYPTION) == 0 &&
              wc_AesCbcDecrypt(&aes, ret, ciphertext.ptr, (word32)ciphertext.len) == 0;
    wc_AesFree(&aes);
    return ok;
}

/* 1 if both are equal, else 0, without a branch. */
static unsigned equal_octets(unsigned a, unsigned b)
{
    return (((a ^ b) - 1) >> 8) & 1;
}

/* 1 if the last block ends with this padding, else 0. */
static unsigned has_padding(const uint8_t last[static CRYPTO_AES_BLOCK_BYTES], unsigned padding)
{
    unsigned same = 1;
    for (unsigned i = CRYPTO_AES_BLOCK_BYTES - padding; i < CRYPTO_AES_BLOCK_BYTES; i++)
        same &= equal_octets(last[i], padding);
    return same;
}

/* 1 if the MAC goes on from common over the rest and ends as wanted, else 0. False: the library failed. */
static bool match_mac(Hmac *common, struct bytes rest, const uint8_t *wanted, unsigned *ret)
{
    Hmac hmac;
    uint8_t mac[CRYPTO_SHA256_BYTES];
    if (wc_HmacCopy(common, &hmac) != 0)
        return false;
    bool ok = (rest.len == 0 || wc_HmacUpdate(&hmac, rest.ptr, (word32)rest.len) == 0) && wc_HmacFinal(&hmac, mac) == 0;
    wc_HmacFree(&hmac);
    unsigned same = 1;
    for (unsigned i = 0; ok && i < sizeof mac; i++)
        same &= equal_octets(mac[i], wanted[i]);
    *ret = same;
    return ok;
}

/*
 * The MAC covers the plaintext without its padding, so a MAC over what a padding leaves would tell by its time how
 * long that padding was (as in "Lucky Thirteen"). Therefore all sixteen are tried, each over what it would leave;
 * what they have in common is hashed once. ret_padding is 0 where none fits.
 */
static bool find_padding(const uint8_t *key, const uint8_t *mac, struct bytes padded, unsigned *ret_padding)
{
    Hmac common;
    size_t len = padded.len - CRYPTO_AES_BLOCK_BYTES;
    const uint8_t *last = padded.ptr + len;
    unsigned found = 0;
    if (wc_HmacInit(&common, NULL, INVALID_DEVID) != 0)
        return false;
    bool ok = wc_HmacSetKey(&common, WC_SHA256, key, CRYPTO_AES128_KEY_BYTES) == 0 &&
              (len == 0 || wc_HmacUpdate(&common, padded.ptr, (word32)len) == 0);
    for (unsigned padding = 1; ok && padding <= CRYPTO_AES_BLOCK_BYTES; padding++) {
        unsigned matches = 0;
        ok = match_mac(&common, bytes_of(last, CRYPTO_AES_BLOCK_BYTES - padding), mac, &matches);
        found |= padding * (matches & has_padding(last, padding));
    }
    wc_HmacFree(&common);
    *ret_padding = found;
    return ok;
}

bool crypto_aes128_cbc_open(const uint8_t key[static CRYPTO_AES128_KEY_BYTES],
                            const uint8_t mac[static CRYPTO_SHA256_BYTES], struct bytes sealed, uint8_t *ret_plaintext,
                            size_t *ret_len)
{
    unsigned padding = 0;
    if (sealed.len < 2 * CRYPTO_AES_BLOCK_BYTES || sealed.len % CRYPTO_AES_BLOCK_BYTES != 0)
        return false;
    size_t len = sealed.len - CRYPTO_AES_BLOCK_BYTES;
    struct bytes ciphertext = bytes_of(sealed.ptr + CRYPTO_AES_BLOCK_BYTES, len);
    bool ok = decrypt_cbc(key, sealed.ptr, ciphertext, ret_plaintext) &&
              find_padding(key, mac, bytes_of(ret_plaintext, len), &padding);
    if (!ok || padding == 0) {
        memset(ret_plaintext, 0, len);
        return false;
    }
    *ret_len = len - padding;
    return true;
}
