// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One HTTP exchange at a time of one connection: what http.c (the life), http_request.c (what came) and http_answer.c
 * (what goes) share.
 */
#pragma once

#include "gateway/worker.h"
#include "proxy/http_backoff.h"
#include "proxy/http_gate.h"

#include <microhttpd.h>

enum http_phase {
    HTTP_PHASE_HEAD,       /* the target is known */
    HTTP_PHASE_BODY,       /* the head is good; the body is coming */
    HTTP_PHASE_DISPATCHED, /* within route_dispatch */
    HTTP_PHASE_SUSPENDED,  /* its handler finishes later, or has finished and is not resumed yet */
    HTTP_PHASE_ANSWERED,
};

struct http;

struct http_exchange {
    struct http *http;
    struct MHD_Connection *connection; /* NULL: has gone while the handler was at work */
    struct http_gate_connection *gate;
    struct arena *arena; /* all of one exchange; reset when the next one begins */
    enum http_phase phase;
    bool is_finished;
    bool is_body_left;  /* refused before the body was read: the connection ends */
    bool had_token;     /* a 401 then says that it was wrong */
    struct http_backoff *backoff; /* of the worker */
    bool drop_body;     /* no route takes one here; it is read and thrown away */
    struct bytes target; /* as it came, in the arena */
    uint8_t *body;       /* in the arena */
    size_t body_len, body_room, body_max;
    uint64_t body_promised; /* Content-Length; 0: none */
    struct request request;
    struct response response;
    struct http_exchange *next, **link; /* all of one worker */
    struct http_exchange *next_ready;
};

/* Bytes of an exchange's arena: a body, its growth, what the handler makes of it, the answer. */
size_t http_request_arena_bytes(const struct settings *settings);
/* A new request; the target is copied. False: out of memory. */
bool http_request_begin(struct http_exchange *exchange, struct bytes target);
/* Fills exchange->request from the head. False: exchange->response says why; nothing was dispatched. */
bool http_request_read(struct http_exchange *exchange, struct worker *worker, struct http_backoff *backoff,
                       const char *method);
/* Takes a piece of the body; memory grows with what has come, not with what was promised. */
bool http_request_append(struct http_exchange *exchange, struct bytes more, struct http_refusal *reterr);

/* Gives exchange->response to libmicrohttpd. MHD_NO: it could not; the connection ends. */
enum MHD_Result http_answer_queue(struct http_exchange *exchange);
