// SPDX-License-Identifier: GPL-3.0-or-later
/* Results of TLS become those of a socket; what failed has EPROTO. */
#include "proxy/http_stream.h"

#include <errno.h>
#include <sys/socket.h>

bool http_stream_init(struct http_stream *stream, int fd, struct crypto_tls_server *server)
{
    *stream = (struct http_stream){.fd = fd};
    if (server)
        stream->tls = crypto_tls_accept(server, fd);
    return !server || stream->tls;
}

void http_stream_deinit(struct http_stream *stream)
{
    crypto_tls_free(stream->tls);
    stream->tls = NULL;
}

enum http_stream_handshake http_stream_handshake(struct http_stream *stream)
{
    if (!stream->tls)
        return HTTP_STREAM_READY;
    enum crypto_tls_result result = crypto_tls_handshake(stream->tls);
    stream->wants_write = result == CRYPTO_TLS_WANTS_WRITE;
    if (result == CRYPTO_TLS_DONE)
        return HTTP_STREAM_READY;
    return result == CRYPTO_TLS_WANTS_READ || stream->wants_write ? HTTP_STREAM_WAITS : HTTP_STREAM_FAILED;
}

static ssize_t judge(enum crypto_tls_result result, size_t len)
{
    switch (result) {
    case CRYPTO_TLS_DONE:
        return (ssize_t)len;
    case CRYPTO_TLS_WANTS_READ:
    case CRYPTO_TLS_WANTS_WRITE:
        errno = EAGAIN;
        return -1;
    case CRYPTO_TLS_CLOSED:
        return 0;
    case CRYPTO_TLS_FAILED:
        break;
    }
    errno = EPROTO;
    return -1;
}

ssize_t http_stream_read(struct http_stream *stream, void *buffer, size_t len)
{
    size_t got = 0;
    if (!stream->tls)
        return recv(stream->fd, buffer, len, MSG_DONTWAIT);
    enum crypto_tls_result result = crypto_tls_read(stream->tls, buffer, len, &got);
    return judge(result, got);
}

ssize_t http_stream_write(struct http_stream *stream, struct bytes bytes)
{
    size_t put = 0;
    if (!stream->tls)
        return send(stream->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    enum crypto_tls_result result = crypto_tls_write(stream->tls, bytes.ptr, bytes.len, &put);
    if (result == CRYPTO_TLS_CLOSED)
        result = CRYPTO_TLS_FAILED;
    return judge(result, put);
}

bool http_stream_has_pending(const struct http_stream *stream)
{
    return stream->tls && crypto_tls_has_pending(stream->tls);
}

bool http_stream_shutdown(struct http_stream *stream)
{
    if (stream->tls)
        crypto_tls_finish(stream->tls);
    return shutdown(stream->fd, SHUT_WR) == 0;
}
