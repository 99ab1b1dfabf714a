// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * TLS 1.2 and 1.3 over a connected socket, by wolfSSL: as a client towards Redis, as a server for HTTPS.
 * Towards Redis the certificate of the other side must come from one of the given authorities, be valid now
 * and carry the wanted name or IP address; there is no way to switch that off. A server asks for no
 * certificate: who calls is said by a token. Works with blocking and non-blocking sockets; the socket stays
 * the caller's.
 */
#pragma once

#include "codec/bytes.h"
#include "gateway/settings.h"

#include <sys/types.h>

struct crypto_tls;

struct crypto_tls_config {
    const char *ca_file;                     /* PEM */
    const char *certificate_file, *key_file; /* PEM, chain allowed; NULL or empty: none is shown */
    const char *name;                        /* host name or IP address that the certificate must carry */
};

#define CRYPTO_TLS_ERROR_MAX 160

/* Reads the files. NULL: reterr says why. */
struct crypto_tls *crypto_tls_new(int fd, const struct crypto_tls_config *config,
                                  char reterr[static CRYPTO_TLS_ERROR_MAX]);
/* What the connections of one worker share: the certificate and key of coaps:// (settings.dtls_certificate,
 * or those that were made at the first start). NULL: reterr. */
struct crypto_tls_server;
struct crypto_tls_server *crypto_tls_server_new(const struct settings *settings,
                                                char reterr[static SETTINGS_ERROR_MAX]);
/* After the last of its connections; NULL is fine. */
void crypto_tls_server_free(struct crypto_tls_server *server);
/* A connection that was accepted. NULL: out of memory. */
struct crypto_tls *crypto_tls_accept(struct crypto_tls_server *server, int fd);

/* Says goodbye if the connection stands and the socket takes it at once. NULL is fine. */
void crypto_tls_free(struct crypto_tls *tls);

enum crypto_tls_result {
    CRYPTO_TLS_DONE,
    CRYPTO_TLS_WANTS_READ, /* call again when the socket can be read */
    CRYPTO_TLS_WANTS_WRITE,
    CRYPTO_TLS_CLOSED, /* the other side ended it */
    CRYPTO_TLS_FAILED, /* crypto_tls_error says why */
};

/* As client or as server, until it is DONE. */
enum crypto_tls_result crypto_tls_handshake(struct crypto_tls *tls);
/* At most len octets; more may be waiting in here though the socket is empty: read until it wants to read. */
enum crypto_tls_result crypto_tls_read(struct crypto_tls *tls, void *buffer, size_t len, size_t *ret_len);
/* After WANTS_ call it again with the same octets at least. */
enum crypto_tls_result crypto_tls_write(struct crypto_tls *tls, const void *data, size_t len, size_t *ret_len);
/* Whether octets can be read without waiting for the socket. */
bool crypto_tls_has_pending(const struct crypto_tls *tls);
/* Says that nothing more will be written; the socket can then be shut down for writing. */
void crypto_tls_finish(struct crypto_tls *tls);
const char *crypto_tls_error(const struct crypto_tls *tls);
