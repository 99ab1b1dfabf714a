// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * wolfSSL contexts: versions, the allow-lists of suites and groups, what the server shows and what it asks for. The
 * build of the library leaves out renegotiation, old versions, NULL, anonymous and static-RSA suites and all other
 * curves; the lists here are what is allowed of the rest.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>

#include "gateway/dtls_private.h"

#include <stdio.h>

/* Best first; the server chooses. Keys before certificates, because a client without a key offers none of those; with
 * forward secrecy before without; the shortest tag last. */
#define SUITES_12                                                                                            \
    "ECDHE-PSK-AES128-GCM-SHA256:ECDHE-PSK-CHACHA20-POLY1305:"                                               \
    "PSK-AES128-GCM-SHA256:PSK-AES128-CCM:PSK-AES128-CCM-8:"                                                 \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM-8"
/* Never CCM_8: in 1.3 some 64 forged records would end a session. */
#define SUITES_13 "TLS13-AES128-GCM-SHA256:TLS13-CHACHA20-POLY1305-SHA256"

static bool show_identity(WOLFSSL_CTX *context, enum dtls_face face, const struct dtls_certificate *own)
{
    int loaded;
    if (face == DTLS_FACE_X509)
        loaded = wolfSSL_CTX_use_certificate_chain_buffer(context, own->chain_pem, (long)own->chain_pem_len);
    else
        loaded = wolfSSL_CTX_use_certificate_buffer(context, own->spki_der, (long)own->spki_der_len,
                                                    WOLFSSL_FILETYPE_ASN1);
    return loaded == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_use_PrivateKey_buffer(context, own->key_pem, (long)own->key_pem_len,
                                             WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS;
}

/* A client that offers both types gets X.509: in DTLS 1.2 the library reads a raw key only from a client that offered
 * nothing else. */
static bool offer_types(WOLFSSL_CTX *context, enum dtls_face face)
{
    char client[] = {WOLFSSL_CERT_TYPE_X509, WOLFSSL_CERT_TYPE_RPK};
    char server[] = {face == DTLS_FACE_RPK ? WOLFSSL_CERT_TYPE_RPK : WOLFSSL_CERT_TYPE_X509};
    return wolfSSL_CTX_set_client_cert_type(context, client, sizeof client) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_set_server_cert_type(context, server, sizeof server) == WOLFSSL_SUCCESS;
}

static bool limit(WOLFSSL_CTX *context, bool version13)
{
    int groups[] = {WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP384R1};
    const char *suites = version13 ? SUITES_13 ":" SUITES_12 : SUITES_12;
    return wolfSSL_CTX_set_cipher_list(context, suites) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_set_groups(context, groups, sizeof groups / sizeof groups[0]) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_SetMinVersion(context, WOLFSSL_DTLSV1_2) == WOLFSSL_SUCCESS;
}

static bool trust(WOLFSSL_CTX *context, const struct settings *settings, char reterr[static SETTINGS_ERROR_MAX])
{
    if (!settings->dtls_client_ca[0] ||
        wolfSSL_CTX_load_verify_locations(context, settings->dtls_client_ca, NULL) == WOLFSSL_SUCCESS)
        return true;
    snprintf(reterr, SETTINGS_ERROR_MAX, "dtls_client_ca: %s is not a readable PEM file of certificates",
             settings->dtls_client_ca);
    return false;
}

static bool fill(WOLFSSL_CTX *context, const struct settings *settings, enum dtls_face face,
                 char reterr[static SETTINGS_ERROR_MAX])
{
    struct dtls_certificate own;
    dtls_identity_install(context, settings->dtls13);
    wolfSSL_CTX_SetIORecv(context, dtls_session_io_read);
    wolfSSL_CTX_SetIOSend(context, dtls_session_io_write);
    if (!dtls_certificate_load(settings, &own, reterr))
        return false;
    bool shown = show_identity(context, face, &own);
    dtls_certificate_deinit(&own);
    if (!shown) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "the DTLS certificate and its key do not fit together (%s)",
                 settings->dtls_certificate[0] ? settings->dtls_certificate : "server.pem in state_dir");
        return false;
    }
    return offer_types(context, face) && limit(context, settings->dtls13) && trust(context, settings, reterr);
}

WOLFSSL_CTX *dtls_context_new(const struct settings *settings, enum dtls_face face,
                              char reterr[static SETTINGS_ERROR_MAX])
{
    snprintf(reterr, SETTINGS_ERROR_MAX, "cannot set up DTLS: out of memory or unsuitable library");
    WOLFSSL_CTX *context = wolfSSL_CTX_new(settings->dtls13 ? wolfDTLS_server_method() : wolfDTLSv1_2_server_method());
    if (context && fill(context, settings, face, reterr))
        return context;
    dtls_context_free(context);
    return NULL;
}

void dtls_context_free(WOLFSSL_CTX *context)
{
    wolfSSL_CTX_free(context);
}
