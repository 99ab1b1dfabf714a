// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who signed a client's certificate. The library says that a chain leads to an authority of the settings, but
 * not to which; a credential of the kind ca wants that very one. And tenants have authorities of their own,
 * which come and go while the gateway runs and are in the registry.
 *
 * An authority is found by its name and counts if the leaf verifies with it alone: signature, dates, key
 * usage. A tenant's authority signs leaves and no further authorities. Certificate handshakes are rare, so
 * nothing is remembered.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>

#include "gateway/crypto.h"
#include "gateway/dtls_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTHORITIES_MAX 256
#define FILE_MAX ((size_t)1 << 20)

/* Those of the settings. */
struct dtls_trust {
    size_t count;
    DerBuffer *authorities[AUTHORITIES_MAX];
};

static uint8_t *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "re");
    uint8_t *content = file ? malloc(FILE_MAX) : NULL;
    *ret_len = content ? fread(content, 1, FILE_MAX, file) : 0;
    if (file)
        fclose(file);
    return content;
}

static void take_all(struct dtls_trust *trust, const uint8_t *pem, size_t len)
{
    while (len > 0 && trust->count < AUTHORITIES_MAX) {
        EncryptedInfo info = {0};
        DerBuffer *der = NULL;
        if (wc_PemToDer(pem, (long)len, CERT_TYPE, &der, NULL, &info, NULL) != 0 || info.consumed <= 0 ||
            (size_t)info.consumed > len) {
            wc_FreeDer(&der);
            return;
        }
        trust->authorities[trust->count++] = der;
        pem += info.consumed;
        len -= (size_t)info.consumed;
    }
}

/* That the file is good is dtls_context's to find. */
struct dtls_trust *dtls_trust_new(const struct settings *settings, char reterr[static SETTINGS_ERROR_MAX])
{
    struct dtls_trust *trust = calloc(1, sizeof *trust);
    if (!trust) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
        return NULL;
    }
    size_t len;
    uint8_t *pem = settings->dtls_client_ca[0] ? read_file(settings->dtls_client_ca, &len) : NULL;
    if (pem)
        take_all(trust, pem, len);
    free(pem);
    return trust;
}

void dtls_trust_free(struct dtls_trust *trust)
{
    if (!trust)
        return;
    for (size_t i = 0; i < trust->count; i++)
        wc_FreeDer(&trust->authorities[i]);
    free(trust);
}

static bool has_name_of_issuer(struct bytes authority, const DecodedCert *leaf)
{
    DecodedCert *certificate = wolfSSL_Malloc(sizeof *certificate);
    if (!certificate)
        return false;
    wc_InitDecodedCert(certificate, authority.ptr, (word32)authority.len, NULL);
    bool ok = wc_ParseCert(certificate, CA_TYPE, NO_VERIFY, NULL) == 0 &&
              memcmp(certificate->subjectHash, leaf->issuerHash, sizeof leaf->issuerHash) == 0;
    wc_FreeDecodedCert(certificate);
    wolfSSL_Free(certificate);
    return ok;
}

static bool has_signed(struct bytes authority, const DecodedCert *leaf)
{
    WOLFSSL_CERT_MANAGER *manager = has_name_of_issuer(authority, leaf) ? wolfSSL_CertManagerNew() : NULL;
    bool ok = manager &&
              wolfSSL_CertManagerLoadCABuffer(manager, authority.ptr, (long)authority.len, WOLFSSL_FILETYPE_ASN1) ==
                  WOLFSSL_SUCCESS &&
              wolfSSL_CertManagerVerifyBuffer(manager, leaf->source, (long)leaf->maxIdx, WOLFSSL_FILETYPE_ASN1) ==
                  WOLFSSL_SUCCESS;
    wolfSSL_CertManagerFree(manager);
    return ok;
}

static bool take_issuer(struct bytes authority, const DecodedCert *leaf, struct dtls_issuer *ret)
{
    *ret = (struct dtls_issuer){0};
    return has_signed(authority, leaf) && crypto_spki_digest(authority, ret->spki) &&
           crypto_spki_digest(bytes_of(leaf->source, leaf->maxIdx), ret->leaf);
}

/* The library has seen that each of the chain is signed by the next one or by an authority. */
static bool find_in_chain(const struct dtls_trust *trust, const WOLFSSL_X509_STORE_CTX *store, const DecodedCert *leaf,
                          struct dtls_issuer *ret)
{
    for (int i = 1; i < store->totalCerts; i++)
        if (take_issuer(bytes_of(store->certs[i].buffer, store->certs[i].length), leaf, ret))
            return true;
    for (size_t i = 0; i < trust->count; i++)
        if (take_issuer(bytes_of(trust->authorities[i]->buffer, trust->authorities[i]->length), leaf, ret))
            return true;
    return false;
}

struct search {
    const DecodedCert *leaf;
    struct dtls_issuer *ret;
    bool found;
};

/* Self-signed, so the name of a leaf's issuer stands in it as it stands in the leaf; looked for before
 * anything is read. */
static void try_ca(void *ctx, const struct ca_record *ca)
{
    struct search *search = ctx;
    const DecodedCert *leaf = search->leaf;
    struct bytes certificate = bytes_of(ca->certificate, ca->certificate_len);
    if (search->found || !memmem(certificate.ptr, certificate.len, leaf->issuerRaw, (size_t)leaf->issuerRawLen) ||
        !take_issuer(certificate, leaf, search->ret))
        return;
    memcpy(search->ret->tenant, ca->tenant, sizeof search->ret->tenant);
    search->found = true;
}

static bool find_in_tenants(const struct registry *registry, const DecodedCert *leaf, struct dtls_issuer *ret)
{
    struct search search = {.leaf = leaf, .ret = ret};
    if (leaf->issuerRaw && leaf->issuerRawLen > 0)
        registry_walk_cas(registry, try_ca, &search);
    return search.found;
}

bool dtls_trust_issuer(const struct dtls *dtls, const WOLFSSL_X509_STORE_CTX *store, bool chain_is_good,
                       DecodedCert *certificate, struct dtls_issuer *ret)
{
    /* Once the first verdict was overruled, the library asks again as if the chain were good. */
    return (chain_is_good && find_in_chain(dtls->trust, store, certificate, ret)) ||
           find_in_tenants(dtls->registry, certificate, ret);
}
