// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The octets of one connection of the gate, plain or TLS, with the manners of a non-blocking socket: the gate does not
 * know which it is but for the handshake before the first request.
 */
#pragma once

#include "gateway/crypto_tls.h"

struct http_stream {
    int fd;                 /* the caller's */
    struct crypto_tls *tls; /* NULL: plain */
    bool wants_write;       /* while shaking hands: wait until the socket takes octets */
};

enum http_stream_handshake { HTTP_STREAM_READY, HTTP_STREAM_WAITS, HTTP_STREAM_FAILED };

/* server NULL: plain. False: out of memory. */
bool http_stream_init(struct http_stream *stream, int fd, struct crypto_tls_server *server);
/* Says goodbye where there is still somebody; before the socket is closed. Twice is fine. */
void http_stream_deinit(struct http_stream *stream);
enum http_stream_handshake http_stream_handshake(struct http_stream *stream);
/* As recv and send with MSG_DONTWAIT: -1 and EAGAIN if nothing can be done now; 0 from read: the peer has
 * ended. After a write that did not take all, what is left must be written again, from there and to its
 * end. */
ssize_t http_stream_read(struct http_stream *stream, void *buffer, size_t len);
ssize_t http_stream_write(struct http_stream *stream, struct bytes bytes);
/* Whether there is something to read that the socket does not tell of. */
bool http_stream_has_pending(const struct http_stream *stream);
/* Nothing more will be written. False: the connection is gone. */
bool http_stream_shutdown(struct http_stream *stream);
