// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who is it? Called by wolfSSL in the middle of a handshake, synchronously, which is why the registry is in memory.
 *
 * PSK: the identity is "tenant/device". One that does not exist, is disabled or malformed gets a key that nobody has,
 * derived from the identity, so that it fails where and how a wrong key fails (RFC 4279 section 2).
 * X.509: the chain must lead to settings.dtls_client_ca, and the name of the leaf (SubjectAltName URI, then DNS, then
 * CN) must be one of a device. Raw public key: only if negotiated, and the SHA-256 of its SubjectPublicKeyInfo must be
 * one of a device; wolfSSL itself authenticates no raw key.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include "gateway/crypto.h"
#include "gateway/dtls_private.h"

#include <string.h>

#define PSK_IDENTITY_MAX 128 /* RFC 7925 4.2 */
#define DUMMY_KEY_BYTES 16
#define WRONG_LENGTH SIZE_MAX

uint64_t dtls_identity_hash(const struct dtls *dtls, const char *tenant, const char *device)
{
    return hash_pair(&dtls->hash_key, bytes_of_text(tenant), bytes_of_text(device));
}

/* Fills in who it is, if the device may speak and has not shaken hands too often. */
static bool recognise(struct dtls_session *session, const struct device_record *device, enum evidence evidence)
{
    const struct dtls *dtls = session->owner;
    if (!device ||
        !registry_device_may_speak(dtls->registry, bytes_of_text(device->tenant), bytes_of_text(device->id)) ||
        !limiter_allows(&dtls->devices, dtls_identity_hash(dtls, device->tenant, device->id), dtls->now_ms))
        return false;
    session->who = (struct identity){.kind = IDENTITY_DEVICE, .evidence = evidence};
    memcpy(session->who.tenant, device->tenant, sizeof session->who.tenant);
    memcpy(session->who.device, device->id, sizeof session->who.device);
    return true;
}

static const struct device_record *device_of_psk_identity(const struct registry *registry, struct bytes identity)
{
    const uint8_t *slash = identity.len ? memchr(identity.ptr, '/', identity.len) : NULL;
    if (!slash)
        return NULL;
    struct bytes tenant = bytes_of(identity.ptr, (size_t)(slash - identity.ptr));
    struct bytes device = bytes_of(slash + 1, identity.len - tenant.len - 1);
    if (!schema_tenant_is_valid(tenant) || !schema_device_is_valid(device))
        return NULL;
    const struct device_record *record = registry_device(registry, tenant, device);
    return record && secret_is_set(&record->psk) ? record : NULL;
}

/* wolfSSL gives the identity as text, as if it could not have a NUL; expected_len is what was on the wire. */
static unsigned psk_of(struct dtls_session *session, const char *text, size_t expected_len, uint8_t *key,
                       unsigned key_max)
{
    const struct dtls *dtls = session->owner;
    uint8_t dummy[CRYPTO_SHA256_BYTES];
    struct bytes identity = bytes_of(text, strnlen(text, PSK_IDENTITY_MAX + 1));
    bool sound = identity.len == expected_len && identity.len <= PSK_IDENTITY_MAX;
    const struct device_record *device = sound ? device_of_psk_identity(dtls->registry, identity) : NULL;
    session->who = (struct identity){0};
    /* Made in any case, so that it takes the same time. */
    if (key_max < SECRET_MAX || !crypto_hmac_sha256(bytes_of(dtls->dummy_key, sizeof dtls->dummy_key), identity,
                                                    (struct bytes){0}, dummy))
        return 0;
    if (recognise(session, device, EVIDENCE_PSK)) {
        memcpy(key, device->psk.octets, device->psk.len);
        return device->psk.len;
    }
    memcpy(key, dummy, DUMMY_KEY_BYTES);
    return DUMMY_KEY_BYTES;
}

static unsigned psk_callback_12(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned key_max)
{
    struct dtls_session *session = wolfSSL_GetIOReadCtx(ssl);
    return psk_of(session, identity, session->psk_identity_len, key, key_max);
}

/* One suite belongs to the key (RFC 8446 4.2.11); both of ours have SHA-256, so the client may have its choice. */
static unsigned psk_callback_13(WOLFSSL *ssl, const char *identity, unsigned char *key, unsigned key_max,
                                const char **suite)
{
    struct dtls_session *session = wolfSSL_GetIOReadCtx(ssl);
    *suite = session->offers_aes_13 ? "TLS13-AES128-GCM-SHA256" : "TLS13-CHACHA20-POLY1305-SHA256";
    return psk_of(session, identity, session->psk_identity_is_bad ? WRONG_LENGTH : strlen(identity), key, key_max);
}

static struct bytes name_of_type(const DecodedCert *certificate, int type)
{
    for (const DNS_entry *name = certificate->altNames; name; name = name->next)
        if (name->type == type)
            return bytes_of(name->name, (size_t)name->len);
    return (struct bytes){0};
}

/* RFC 7252 9.1.3.3: SubjectAltName first, the common name only where there is none. No wildcards, no addresses. */
static struct bytes certificate_name(const DecodedCert *certificate)
{
    struct bytes name = name_of_type(certificate, ASN_URI_TYPE);
    if (name.len == 0)
        name = name_of_type(certificate, ASN_DNS_TYPE);
    if (name.len == 0 && !certificate->altNames && certificate->subjectCN)
        name = bytes_of(certificate->subjectCN, (size_t)certificate->subjectCNLen);
    return name;
}

static bool accept_certificate(struct dtls_session *session, const WOLFSSL_BUFFER_INFO *der)
{
    DecodedCert *certificate = wolfSSL_Malloc(sizeof *certificate);
    if (!certificate)
        return false;
    wc_InitDecodedCert(certificate, der->buffer, (word32)der->length, NULL);
    bool ok = wc_ParseCert(certificate, CERT_TYPE, NO_VERIFY, NULL) == 0;
    if (ok) {
        struct bytes name = certificate_name(certificate);
        ok = name.len > 0 && recognise(session, registry_device_by_x509(session->owner->registry, name), EVIDENCE_X509);
    }
    wc_FreeDecodedCert(certificate);
    wolfSSL_Free(certificate);
    return ok;
}

static bool accept_raw_key(struct dtls_session *session, const WOLFSSL_BUFFER_INFO *spki)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    return crypto_sha256(bytes_of(spki->buffer, spki->length), (struct bytes){0}, digest) &&
           recognise(session, registry_device_by_rpk(session->owner->registry, digest), EVIDENCE_RPK);
}

static int judge(int chain_is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct dtls_session *session = store->userCtx;
    int type = WOLFSSL_CERT_TYPE_UNKNOWN;
    if (!chain_is_good || !session || store->totalCerts < 1)
        return 0;
    if (store->error_depth != 0)
        return 1; /* of the chain; the leaf comes last */
    if (wolfSSL_get_negotiated_client_cert_type(session->ssl, &type) == WOLFSSL_SUCCESS &&
        type == WOLFSSL_CERT_TYPE_RPK)
        return accept_raw_key(session, &store->certs[0]);
    return session->owner->settings->dtls_client_ca[0] && accept_certificate(session, &store->certs[0]);
}

void dtls_identity_install(WOLFSSL_CTX *context, bool version13)
{
    wolfSSL_CTX_set_psk_server_callback(context, psk_callback_12);
    if (version13)
        wolfSSL_CTX_set_psk_server_tls13_callback(context, psk_callback_13);
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_EXCEPT_PSK, judge);
}
