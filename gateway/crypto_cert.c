// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A request is walked as DER and must be exactly its three parts; an ECDSA signature is turned into R || S so
 * that gateway/crypto_sign checks it with its own bounds. What wolfCrypt makes is in structs of some 20 KB,
 * hence on the heap.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/random.h>

#include "gateway/crypto_cert.h"

#include "gateway/crypto.h"
#include "gateway/crypto_sign.h"

#include <stdio.h>

#define REQUEST_MAX 4096
#define SCALAR_BYTES 32
#define URI_MAX 120

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_ATTRIBUTES = 0xa0,
    DER_URI = 0x86
};

/* The next element of a DER text if it is of this type; lengths in their shortest form. */
static bool take(struct bytes *text, uint8_t type, struct bytes *ret_whole, struct bytes *ret_content)
{
    size_t head = 2, len;
    if (text->len < 2 || text->ptr[0] != type)
        return false;
    len = text->ptr[1];
    if (len == 0x81 || len == 0x82) {
        head += len - 0x80;
        if (text->len < head)
            return false;
        len = head == 3 ? text->ptr[2] : (size_t)text->ptr[2] << 8 | text->ptr[3];
        if (len < (head == 3 ? 0x80u : 0x100u))
            return false;
    } else if (len >= 0x80) {
        return false;
    }
    if (len > text->len - head)
        return false;
    *ret_whole = bytes_of(text->ptr, head + len);
    *ret_content = bytes_of(text->ptr + head, len);
    *text = bytes_of(text->ptr + head + len, text->len - head - len);
    return true;
}

/* A positive INTEGER of at most 32 octets, to 32. */
static bool take_scalar(struct bytes *text, uint8_t ret[static SCALAR_BYTES])
{
    struct bytes whole, content;
    if (!take(text, DER_INTEGER, &whole, &content) || content.len == 0 || content.ptr[0] & 0x80)
        return false;
    if (content.ptr[0] == 0 && content.len > 1) {
        if (!(content.ptr[1] & 0x80))
            return false;
        content = bytes_of(content.ptr + 1, content.len - 1);
    }
    if (content.len > SCALAR_BYTES)
        return false;
    memset(ret, 0, SCALAR_BYTES - content.len);
    memcpy(ret + SCALAR_BYTES - content.len, content.ptr, content.len);
    return true;
}

/* R || S of an ECDSA signature (RFC 3279 2.2.3). */
static bool read_ecdsa(struct bytes der, uint8_t ret[static 2 * SCALAR_BYTES])
{
    struct bytes whole, content;
    return take(&der, DER_SEQUENCE, &whole, &content) && der.len == 0 && take_scalar(&content, ret) &&
           take_scalar(&content, ret + SCALAR_BYTES) && content.len == 0;
}

/* ecdsa-with-SHA256 (RFC 5758 3.2) and Ed25519 (RFC 8410 3), which have no parameters. */
static bool names_algorithm(struct bytes content, enum signed_algorithm algorithm)
{
    static const uint8_t ecdsa_sha256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02},
                         ed25519[] = {0x2b, 0x65, 0x70};
    struct bytes whole, oid, wanted = algorithm == SIGNED_ES256 ? bytes_of(ecdsa_sha256, sizeof ecdsa_sha256)
                                                                : bytes_of(ed25519, sizeof ed25519);
    return take(&content, DER_OID, &whole, &oid) && content.len == 0 && bytes_equal(oid, wanted);
}

struct parts {
    struct bytes covered, spki, algorithm, signature;
};

/* CertificationRequest: {{0, subject, SubjectPublicKeyInfo, [0] attributes}, algorithm, signature} (RFC 2986 4.2) */
static bool split(struct bytes der, struct parts *ret)
{
    struct bytes whole, request, info, version, ignored;
    if (der.len > REQUEST_MAX || !take(&der, DER_SEQUENCE, &whole, &request) || der.len != 0 ||
        !take(&request, DER_SEQUENCE, &ret->covered, &info) || !take(&request, DER_SEQUENCE, &whole, &ret->algorithm) ||
        !take(&request, DER_BIT_STRING, &whole, &ret->signature) || request.len != 0)
        return false;
    if (!take(&info, DER_INTEGER, &whole, &version) || version.len != 1 || version.ptr[0] != 0 ||
        !take(&info, DER_SEQUENCE, &whole, &ignored) || !take(&info, DER_SEQUENCE, &ret->spki, &ignored))
        return false;
    if ((info.len != 0 && !take(&info, DER_ATTRIBUTES, &whole, &ignored)) || info.len != 0 || ret->signature.len < 2 ||
        ret->signature.ptr[0] != 0)
        return false;
    ret->signature = bytes_of(ret->signature.ptr + 1, ret->signature.len - 1);
    return true;
}

static bool is_signed(const struct parts *parts, const struct crypto_sign_key *key)
{
    uint8_t raw[2 * SCALAR_BYTES];
    struct bytes signature = parts->signature;
    if (!names_algorithm(parts->algorithm, key->algorithm))
        return false;
    if (key->algorithm == SIGNED_ES256) {
        if (!read_ecdsa(signature, raw))
            return false;
        signature = bytes_of(raw, sizeof raw);
    }
    return signature.len == SIGNED_SIGNATURE_MAX && crypto_sign_verify(key, parts->covered, signature);
}

bool crypto_cert_read_request(struct bytes der, struct crypto_cert_request *ret)
{
    struct parts parts;
    struct crypto_sign_key key;
    if (!split(der, &parts) || parts.spki.len > sizeof ret->spki || !crypto_sign_read_pem(parts.spki, &key))
        return false;
    bool is_private = secret_is_set(&key.secret);
    secret_wipe(&key.secret);
    if (is_private || (key.algorithm != SIGNED_ES256 && key.algorithm != SIGNED_EDDSA) ||
        !is_signed(&parts, &key))
        return false;
    memcpy(ret->spki, parts.spki.ptr, parts.spki.len);
    ret->spki_len = parts.spki.len;
    return crypto_sha256(parts.spki, (struct bytes){0}, ret->digest);
}

/* Making. */

/* What a certificate is made with; freed by close_press. */
struct press {
    Cert *cert;
    WC_RNG rng;
    bool has_rng;
    ecc_key authority, subject; /* of Ed25519: the other one */
    ed25519_key subject_ed;
};

static bool open_press(struct press *press)
{
    press->cert = wolfSSL_Malloc(sizeof *press->cert);
    press->has_rng = wc_InitRng(&press->rng) == 0;
    return wc_ecc_init(&press->authority) == 0 && wc_ecc_init(&press->subject) == 0 &&
           wc_ed25519_init(&press->subject_ed) == 0 && press->cert && press->has_rng && wc_InitCert(press->cert) == 0;
}

static void close_press(struct press *press)
{
    wc_ecc_free(&press->authority);
    wc_ecc_free(&press->subject);
    wc_ed25519_free(&press->subject_ed);
    if (press->has_rng)
        wc_FreeRng(&press->rng);
    wolfSSL_Free(press->cert);
}

static bool print(struct press *press, int type, void *key, struct crypto_cert *ret)
{
    press->cert->sigType = CTC_SHA256wECDSA;
    int len = wc_SetSubjectKeyIdFromPublicKey_ex(press->cert, type, key) == 0
                  ? wc_MakeCert_ex(press->cert, ret->der, sizeof ret->der, type, key, &press->rng)
                  : -1;
    if (len > 0)
        len = wc_SignCert_ex(press->cert->bodySz, press->cert->sigType, ret->der, sizeof ret->der, ECC_TYPE,
                             &press->authority, &press->rng);
    ret->len = len > 0 ? (size_t)len : 0;
    return len > 0;
}

static bool make_key(struct press *press, struct secret *ret_key)
{
    uint8_t scalar[SCALAR_BYTES];
    word32 len = sizeof scalar;
    bool ok = wc_ecc_make_key_ex(&press->rng, SCALAR_BYTES, &press->authority, ECC_SECP256R1) == 0 &&
              wc_ecc_export_private_only(&press->authority, scalar, &len) == 0 && len == sizeof scalar &&
              secret_set(ret_key, bytes_of(scalar, sizeof scalar));
    explicit_bzero(scalar, sizeof scalar);
    return ok;
}

bool crypto_cert_make_authority(const char *organisation, const char *name, unsigned days, struct crypto_cert *ret,
                                struct secret *ret_key)
{
    struct press press = {0};
    bool ok = open_press(&press) && make_key(&press, ret_key);
    if (ok) {
        Cert *cert = press.cert;
        snprintf(cert->subject.org, sizeof cert->subject.org, "%s", organisation);
        snprintf(cert->subject.commonName, sizeof cert->subject.commonName, "%s", name);
        cert->daysValid = (int)days;
        cert->selfSigned = 1;
        cert->isCA = 1;
        ok = wc_SetKeyUsage(cert, "keyCertSign,cRLSign") == 0 && print(&press, ECC_TYPE, &press.authority, ret);
    }
    close_press(&press);
    if (!ok)
        secret_wipe(ret_key);
    return ok;
}

/* subjectAltName: one URI (RFC 5280 4.2.1.6). */
static bool set_uri(Cert *cert, const char *uri)
{
    size_t len = strlen(uri);
    if (len > URI_MAX)
        return false;
    const uint8_t head[] = {DER_SEQUENCE, (uint8_t)(len + 2), DER_URI, (uint8_t)len};
    memcpy(cert->altNames, head, sizeof head);
    memcpy(cert->altNames + sizeof head, uri, len);
    cert->altNamesSz = (int)(sizeof head + len);
    return true;
}

static bool print_for(struct press *press, const struct crypto_cert_request *request, struct crypto_cert *ret)
{
    word32 at = 0;
    if (wc_EccPublicKeyDecode(request->spki, &at, &press->subject, (word32)request->spki_len) == 0)
        return print(press, ECC_TYPE, &press->subject, ret);
    at = 0;
    return wc_Ed25519PublicKeyDecode(request->spki, &at, &press->subject_ed, (word32)request->spki_len) == 0 &&
           print(press, ED25519_TYPE, &press->subject_ed, ret);
}

bool crypto_cert_sign(struct bytes authority_der, const struct secret *authority_key,
                      const struct crypto_cert_request *request, const char *uri, unsigned days,
                      struct crypto_cert *ret)
{
    struct press press = {0};
    bool ok = open_press(&press) &&
              wc_ecc_import_private_key_ex(authority_key->octets, authority_key->len, NULL, 0, &press.authority,
                                           ECC_SECP256R1) == 0 &&
              wc_SetIssuerBuffer(press.cert, authority_der.ptr, (int)authority_der.len) == 0 &&
              wc_SetAuthKeyIdFromCert(press.cert, authority_der.ptr, (int)authority_der.len) == 0;
    if (ok) {
        press.cert->daysValid = (int)days;
        snprintf(press.cert->subject.commonName, sizeof press.cert->subject.commonName, "%.*s",
                 (int)sizeof press.cert->subject.commonName - 1, strrchr(uri, '/') ? strrchr(uri, '/') + 1 : uri);
        ok = set_uri(press.cert, uri) && wc_SetKeyUsage(press.cert, "digitalSignature") == 0 &&
             wc_SetExtKeyUsage(press.cert, "clientAuth") == 0 && print_for(&press, request, ret);
    }
    close_press(&press);
    return ok;
}

bool crypto_cert_to_pem(struct bytes der, char ret[static CRYPTO_CERT_PEM_MAX])
{
    int len = wc_DerToPem(der.ptr, (word32)der.len, (uint8_t *)ret, CRYPTO_CERT_PEM_MAX - 1, CERT_TYPE);
    if (len <= 0)
        return false;
    ret[len] = '\0';
    return true;
}
