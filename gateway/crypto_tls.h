// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * TLS 1.2 and 1.3 as a client over a connected socket, by wolfSSL: towards Redis. The certificate of the other side must
 * come from one of the given authorities, be valid now and carry the wanted name or IP address; there is no way to
 * switch that off. Works with blocking and non-blocking sockets; the socket stays the caller's.
 */
#pragma once

#include "codec/bytes.h"

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
/* Says goodbye if the connection stands and the socket takes it at once. NULL is fine. */
void crypto_tls_free(struct crypto_tls *tls);

enum crypto_tls_result {
    CRYPTO_TLS_DONE,
    CRYPTO_TLS_WANTS_READ, /* call again when the socket can be read */
    CRYPTO_TLS_WANTS_WRITE,
    CRYPTO_TLS_CLOSED, /* the other side ended it */
    CRYPTO_TLS_FAILED, /* crypto_tls_error says why */
};

enum crypto_tls_result crypto_tls_handshake(struct crypto_tls *tls);
/* At most len octets; more may be waiting in here though the socket is empty: read until it wants to read. */
enum crypto_tls_result crypto_tls_read(struct crypto_tls *tls, void *buffer, size_t len, size_t *ret_len);
/* After WANTS_ call it again with the same octets at least. */
enum crypto_tls_result crypto_tls_write(struct crypto_tls *tls, const void *data, size_t len, size_t *ret_len);
const char *crypto_tls_error(const struct crypto_tls *tls);
