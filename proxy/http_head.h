// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The head of an HTTP/1.x request, read strictly for its framing (RFC 9112 2.2, 3, 5, 6).
 *
 * Pure. What two HTTP readers could understand in two ways is refused, not repaired, so that nothing can be smuggled
 * past a proxy in front of weir: libmicrohttpd 0.9.75 by itself takes bare CR and LF as line ends, joins folded lines,
 * and takes the first of two lengths.
 */
#pragma once

#include "gateway/request.h"

#define HTTP_HEAD_BYTES_MAX 8192
#define HTTP_HEAD_FIELDS_MAX 64
#define HTTP_HEAD_TARGET_BYTES_MAX 2048
#define HTTP_HEAD_QUERY_MAX 64 /* parameters */

/* Why something was refused: the outcome gives the status; detail is a static sentence. */
struct http_refusal {
    enum outcome outcome;
    const char *detail;
};

/* What decides where a request ends. */
struct http_framing {
    uint64_t content_length; /* 0 if there is none */
    bool chunked;            /* the body ends where its last chunk ends */
};

/* Where the first empty line ends, with CRLF or bare LF; 0: not there yet. The first `from` bytes were searched. */
size_t http_head_end(struct bytes received, size_t from);
/* A head up to and with its empty line. False: *reterr; the connection must then be closed. */
bool http_head_check(struct bytes head, struct http_framing *ret, struct http_refusal *reterr);

/* HEAD is a GET. False: a method that weir has not at all. */
bool http_head_method(struct bytes name, enum method *ret);
/* "GET"; NULL for FETCH and iPATCH, which HTTP has not. */
const char *http_head_method_name(enum method method);
