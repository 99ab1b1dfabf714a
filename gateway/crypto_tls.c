// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Towards Redis one context per connection: those are few and rare, and reading the files each time takes a
 * renewed certificate without a restart. A server has one for all of its connections.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>

#include "gateway/crypto_tls.h"
#include "gateway/dtls_private.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct crypto_tls {
    WOLFSSL_CTX *context; /* its own; NULL: a server's */
    WOLFSSL *library;
    bool established;
    char error[CRYPTO_TLS_ERROR_MAX];
};

struct crypto_tls_server {
    WOLFSSL_CTX *context;
};

static void init_library(void)
{
    wolfSSL_Init();
}

static void need_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
}

static bool is_given(const char *text)
{
    return text && text[0];
}

static bool refuse(char reterr[static CRYPTO_TLS_ERROR_MAX], const char *what, const char *which)
{
    snprintf(reterr, CRYPTO_TLS_ERROR_MAX, "%s %.100s", what, which);
    return false;
}

static bool load_files(WOLFSSL_CTX *context, const struct crypto_tls_config *config,
                       char reterr[static CRYPTO_TLS_ERROR_MAX])
{
    if (wolfSSL_CTX_load_verify_locations(context, config->ca_file, NULL) != WOLFSSL_SUCCESS)
        return refuse(reterr, "no authority can be read from", config->ca_file);
    if (!is_given(config->certificate_file))
        return true;
    if (wolfSSL_CTX_use_certificate_chain_file(context, config->certificate_file) != WOLFSSL_SUCCESS)
        return refuse(reterr, "no certificate can be read from", config->certificate_file);
    if (wolfSSL_CTX_use_PrivateKey_file(context, config->key_file, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
        return refuse(reterr, "no key can be read from", config->key_file);
    return true;
}

/* Who it must be, and the name in the hello, so that a server of several names can choose (RFC 6066 3: no
 * addresses). */
static bool want_name(WOLFSSL *library, const char *name, char reterr[static CRYPTO_TLS_ERROR_MAX])
{
    struct in6_addr any;
    bool is_address = inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
    bool ok = is_address ? wolfSSL_check_ip_address(library, name) == WOLFSSL_SUCCESS
                         : wolfSSL_check_domain_name(library, name) == WOLFSSL_SUCCESS &&
                               wolfSSL_UseSNI(library, WOLFSSL_SNI_HOST_NAME, name, (word16)strlen(name)) ==
                                   WOLFSSL_SUCCESS;
    return ok || refuse(reterr, "no full name that a certificate could carry:", name);
}

struct crypto_tls *crypto_tls_new(int fd, const struct crypto_tls_config *config,
                                  char reterr[static CRYPTO_TLS_ERROR_MAX])
{
    need_library();
    snprintf(reterr, CRYPTO_TLS_ERROR_MAX, "out of memory");
    struct crypto_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    tls->context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    if (!tls->context || wolfSSL_CTX_SetMinVersion(tls->context, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS)
        goto fail;
    wolfSSL_CTX_set_verify(tls->context, WOLFSSL_VERIFY_PEER, NULL);
    if (!load_files(tls->context, config, reterr))
        goto fail;
    tls->library = wolfSSL_new(tls->context);
    if (!tls->library || wolfSSL_set_fd(tls->library, fd) != WOLFSSL_SUCCESS ||
        !want_name(tls->library, config->name, reterr))
        goto fail;
    return tls;
fail:
    crypto_tls_free(tls);
    return NULL;
}

static bool show_certificate(WOLFSSL_CTX *context, const struct settings *settings,
                             char reterr[static SETTINGS_ERROR_MAX])
{
    struct dtls_certificate own;
    if (!dtls_certificate_load(settings, &own, reterr))
        return false;
    bool ok = wolfSSL_CTX_use_certificate_chain_buffer(context, own.chain_pem, (long)own.chain_pem_len) ==
                  WOLFSSL_SUCCESS &&
              wolfSSL_CTX_use_PrivateKey_buffer(context, own.key_pem, (long)own.key_pem_len,
                                                WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS;
    dtls_certificate_deinit(&own);
    if (!ok)
        snprintf(reterr, SETTINGS_ERROR_MAX, "https: the certificate and its key do not fit together");
    return ok;
}

struct crypto_tls_server *crypto_tls_server_new(const struct settings *settings,
                                                char reterr[static SETTINGS_ERROR_MAX])
{
    need_library();
    snprintf(reterr, SETTINGS_ERROR_MAX, "https: out of memory");
    struct crypto_tls_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->context = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (!server->context || wolfSSL_CTX_SetMinVersion(server->context, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS)
        goto fail;
    wolfSSL_CTX_set_verify(server->context, WOLFSSL_VERIFY_NONE, NULL);
    if (!show_certificate(server->context, settings, reterr))
        goto fail;
    return server;
fail:
    crypto_tls_server_free(server);
    return NULL;
}

void crypto_tls_server_free(struct crypto_tls_server *server)
{
    if (!server)
        return;
    wolfSSL_CTX_free(server->context);
    free(server);
}

struct crypto_tls *crypto_tls_accept(struct crypto_tls_server *server, int fd)
{
    struct crypto_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    tls->library = wolfSSL_new(server->context);
    if (!tls->library || wolfSSL_set_fd(tls->library, fd) != WOLFSSL_SUCCESS) {
        crypto_tls_free(tls);
        return NULL;
    }
    wolfSSL_SetIOReadFlags(tls->library, MSG_DONTWAIT);
    wolfSSL_SetIOWriteFlags(tls->library, MSG_DONTWAIT | MSG_NOSIGNAL);
    return tls;
}

bool crypto_tls_has_pending(const struct crypto_tls *tls)
{
    return tls->established && wolfSSL_pending(tls->library) > 0;
}

void crypto_tls_finish(struct crypto_tls *tls)
{
    if (tls->established)
        wolfSSL_shutdown(tls->library);
    tls->established = false;
}

void crypto_tls_free(struct crypto_tls *tls)
{
    if (!tls)
        return;
    crypto_tls_finish(tls);
    wolfSSL_free(tls->library);
    wolfSSL_CTX_free(tls->context);
    free(tls);
}

static enum crypto_tls_result judge(struct crypto_tls *tls, int result)
{
    int error = wolfSSL_get_error(tls->library, result);
    if (error == WOLFSSL_ERROR_WANT_READ)
        return CRYPTO_TLS_WANTS_READ;
    if (error == WOLFSSL_ERROR_WANT_WRITE)
        return CRYPTO_TLS_WANTS_WRITE;
    tls->established = false;
    if (error == WOLFSSL_ERROR_ZERO_RETURN || error == SOCKET_PEER_CLOSED_E)
        return CRYPTO_TLS_CLOSED;
    char text[WOLFSSL_MAX_ERROR_SZ];
    wolfSSL_ERR_error_string_n((unsigned long)error, text, sizeof text);
    snprintf(tls->error, sizeof tls->error, "TLS: %.140s", text);
    return CRYPTO_TLS_FAILED;
}

enum crypto_tls_result crypto_tls_handshake(struct crypto_tls *tls)
{
    int result = wolfSSL_negotiate(tls->library);
    if (result != WOLFSSL_SUCCESS)
        return judge(tls, result);
    tls->established = true;
    return CRYPTO_TLS_DONE;
}

enum crypto_tls_result crypto_tls_read(struct crypto_tls *tls, void *buffer, size_t len, size_t *ret_len)
{
    int got = wolfSSL_read(tls->library, buffer, (int)len);
    if (got <= 0)
        return judge(tls, got);
    *ret_len = (size_t)got;
    return CRYPTO_TLS_DONE;
}

enum crypto_tls_result crypto_tls_write(struct crypto_tls *tls, const void *data, size_t len, size_t *ret_len)
{
    int put = wolfSSL_write(tls->library, data, len > INT32_MAX ? INT32_MAX : (int)len);
    if (put <= 0)
        return judge(tls, put);
    *ret_len = (size_t)put;
    return CRYPTO_TLS_DONE;
}

const char *crypto_tls_error(const struct crypto_tls *tls)
{
    return tls->error;
}
