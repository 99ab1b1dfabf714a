// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Between libmicrohttpd and the route table.
 *
 * Path of a request: http_gate checks the head and passes it on; libmicrohttpd parses it and calls `handle` first with
 * the head (http_request reads it), then with pieces of the body, then with nothing, which dispatches it. If the route
 * does not answer at once the connection is suspended; its answer comes through `finish` in a later turn, and http_turn
 * resumes it. http_answer writes the response.
 *
 * What holds: a suspended connection is one whose request is dispatched and not finished. The exchange outlives
 * libmicrohttpd's connection if its handler is still at work when the connection goes (the peer has gone, weir stops);
 * then `finish` frees it. Answers are not copied: body and arena stay until libmicrohttpd has written them.
 */
#include "proxy/http.h"

#include "gateway/route.h"
#include "proxy/http_exchange.h"

#include <stdio.h>
#include <stdlib.h>

/* Holds a head of HTTP_HEAD_BYTES_MAX, its parsed fields and the fields of the answer. */
#define CONNECTION_MEMORY_BYTES ((size_t)32768)
/* Enough to read, answer and end a request; what is left goes on in the next turn, after the other wires. */
#define RUNS_PER_TURN 4

struct http {
    struct worker *worker;
    struct MHD_Daemon *daemon;
    struct loop_watch watch; /* libmicrohttpd's own epoll, nested in ours */
    struct http_gate *gate, *tls_gate, *ops_gate;
    struct crypto_tls_server *tls; /* NULL: no HTTPS */
    struct http_gate_connection *opening; /* whom the connection belongs to that is being added */
    struct http_exchange *exchanges;      /* all that libmicrohttpd has a connection for */
    struct http_exchange *ready;          /* finished while suspended */
    struct http_backoff backoff;
    bool must_run;
};

/* --- one request --- */

static enum MHD_Result answer(struct http_exchange *exchange)
{
    exchange->phase = HTTP_PHASE_ANSWERED;
    http_gate_received(exchange->gate);
    metrics_outcome(&exchange->http->worker->metrics, exchange->response.outcome);
    return http_answer_queue(exchange);
}

static void free_exchange(struct http_exchange *exchange)
{
    arena_free(exchange->arena);
    free(exchange);
}

/* request->finish: in the middle of route_dispatch, in a later turn, or after the connection has gone. */
static void finish(struct request *request, const struct response *response)
{
    struct http_exchange *exchange = request->wire_state;
    exchange->response = *response;
    exchange->is_finished = true;
    if (!exchange->connection) {
        free_exchange(exchange);
    } else if (exchange->phase == HTTP_PHASE_SUSPENDED) {
        exchange->next_ready = exchange->http->ready;
        exchange->http->ready = exchange;
    }
}

static enum MHD_Result dispatch(struct http_exchange *exchange)
{
    struct http *http = exchange->http;
    exchange->phase = HTTP_PHASE_DISPATCHED;
    http_gate_received(exchange->gate);
    metrics_add(&http->worker->metrics, METRIC_HTTP_REQUESTS, 1);
    exchange->request.finish = finish;
    route_dispatch(&exchange->request);
    if (exchange->is_finished)
        return answer(exchange);
    exchange->phase = HTTP_PHASE_SUSPENDED;
    MHD_suspend_connection(exchange->connection);
    return MHD_YES;
}

/* The head is here; the body is not. */
static enum MHD_Result begin(struct http_exchange *exchange, const char *method)
{
    struct http *http = exchange->http;
    exchange->phase = HTTP_PHASE_BODY;
    if (http_request_read(exchange, http->worker, &http->backoff, method))
        return MHD_YES;
    metrics_add(&http->worker->metrics, METRIC_HTTP_REFUSED, 1);
    return answer(exchange);
}

static enum MHD_Result take_body(struct http_exchange *exchange, const char *data, size_t *len)
{
    struct http_refusal refusal;
    if (!http_request_append(exchange, bytes_of(data, *len), &refusal)) {
        /* libmicrohttpd takes no answer in the middle of a body. */
        http_gate_refuse(exchange->gate, &refusal);
        return MHD_NO;
    }
    *len = 0;
    return MHD_YES;
}

/* Called by libmicrohttpd with the head, with each piece of the body, at its end, and after a resume. */
static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *data_len, void **request_ctx)
{
    struct http_exchange *exchange = *request_ctx;
    (void)ctx, (void)connection, (void)url, (void)version;
    if (!exchange)
        return MHD_NO;
    switch (exchange->phase) {
    case HTTP_PHASE_HEAD:
        return begin(exchange, method);
    case HTTP_PHASE_BODY:
        return *data_len ? take_body(exchange, data, data_len) : dispatch(exchange);
    case HTTP_PHASE_SUSPENDED:
        return exchange->is_finished ? answer(exchange) : MHD_NO;
    case HTTP_PHASE_DISPATCHED:
    case HTTP_PHASE_ANSWERED:
        break;
    }
    *data_len = 0;
    return MHD_YES;
}

/* The first that libmicrohttpd says of a request: its target, as it came. What is returned becomes request_ctx. */
static void *begin_request(void *ctx, const char *target, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_exchange *exchange = info ? info->socket_context : NULL;
    (void)ctx;
    return exchange && http_request_begin(exchange, bytes_of_text(target)) ? exchange : NULL;
}

static void request_completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
                              enum MHD_RequestTerminationCode code)
{
    struct http_exchange *exchange = *request_ctx;
    (void)ctx, (void)connection, (void)code;
    if (!exchange)
        return;
    *request_ctx = NULL;
    http_gate_answered(exchange->gate);
}

/* --- connections --- */

static struct http_exchange *exchange_new(struct http *http, struct MHD_Connection *connection)
{
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->arena = arena_new(http_request_arena_bytes(http->worker->shared->settings));
    if (!exchange->arena) {
        free(exchange);
        return NULL;
    }
    exchange->http = http;
    exchange->connection = connection;
    exchange->gate = http->opening;
    exchange->next = http->exchanges;
    exchange->link = &http->exchanges;
    if (exchange->next)
        exchange->next->link = &exchange->next;
    http->exchanges = exchange;
    return exchange;
}

static void let_go(struct http_exchange *exchange)
{
    *exchange->link = exchange->next;
    if (exchange->next)
        exchange->next->link = exchange->link;
    exchange->connection = NULL;
    http_gate_closed(exchange->gate);
    bool is_at_work = exchange->phase == HTTP_PHASE_SUSPENDED && !exchange->is_finished;
    if (!is_at_work)
        free_exchange(exchange);
}

static void connection_changed(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
                               enum MHD_ConnectionNotificationCode code)
{
    struct http *http = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_ctx = exchange_new(http, connection);
    } else if (*socket_ctx) {
        let_go(*socket_ctx);
        *socket_ctx = NULL;
    }
}

static bool open_connection(void *ctx, struct http_gate_connection *connection, int fd)
{
    struct http *http = ctx;
    const struct address *remote = http_gate_remote(connection);
    http->opening = connection;
    bool added = MHD_add_connection(http->daemon, fd, &remote->any, address_len(remote)) == MHD_YES;
    http->opening = NULL;
    return added;
}

static void bytes_pushed(void *ctx)
{
    ((struct http *)ctx)->must_run = true;
}

/* --- the worker's calls --- */

static void http_stop(void *ctx);

/* Targets are decoded once, by http_target, and not here. */
static size_t leave_as_it_is(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx, (void)connection;
    return strlen(text);
}

static bool start_daemon(struct http *http)
{
    const struct settings *settings = http->worker->shared->settings;
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    unsigned connections = (unsigned)(2 * settings->http_connections_max + 1);
    http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, http,
                                    MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http,
                                    MHD_OPTION_NOTIFY_COMPLETED, request_completed, http,
                                    MHD_OPTION_URI_LOG_CALLBACK, begin_request, http,
                                    MHD_OPTION_UNESCAPE_CALLBACK, leave_as_it_is, http,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES,
                                    MHD_OPTION_CONNECTION_LIMIT, connections,
                                    MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                    MHD_OPTION_END);
    return http->daemon != NULL;
}

static void daemon_ready(struct loop_watch *watch, uint32_t epoll_events)
{
    struct http *http = (struct http *)((char *)watch - offsetof(struct http, watch));
    (void)epoll_events;
    http->must_run = false;
    MHD_run(http->daemon);
}

static bool watch_daemon(struct http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return false;
    http->watch = (struct loop_watch){info->epoll_fd, daemon_ready};
    return loop_add(http->worker->loop, &http->watch, EPOLLIN);
}

struct listener {
    const char *name;
    enum wire wire;
    const char *listen;
    uint64_t port; /* 0: none */
    struct crypto_tls_server *tls;
};

/* ret: NULL for port 0. */
static bool open_gate(struct http *http, const struct listener *listener, struct http_gate **ret,
                      char reterr[static SETTINGS_ERROR_MAX])
{
    struct http_gate_setup setup = {
        .loop = http->worker->loop,
        .metrics = &http->worker->metrics,
        .settings = http->worker->shared->settings,
        .hash_key = &http->worker->shared->hash_key,
        .wire = listener->wire,
        .name = listener->name,
        .tls = listener->tls,
        .share_port = listener->wire == WIRE_HTTP && http->worker->shared->worker_count > 1,
        .claim_port = http->worker->index == 0,
        .open = open_connection,
        .pushed = bytes_pushed,
        .ctx = http,
    };
    if (listener->port == 0)
        return true;
    if (!address_parse(bytes_of_text(listener->listen), (uint16_t)listener->port, &setup.listen)) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "%s_listen: \"%s\" is not an IPv4 or IPv6 address", listener->name,
                 listener->listen);
        return false;
    }
    *ret = http_gate_new(&setup, reterr);
    return *ret != NULL;
}

static bool open_gates(struct http *http, char reterr[static SETTINGS_ERROR_MAX])
{
    const struct settings *settings = http->worker->shared->settings;
    struct listener plain = {"http", WIRE_HTTP, settings->http_listen, settings->http_port, NULL};
    struct listener secure = {"https", WIRE_HTTP, settings->https_listen, settings->https_port, NULL};
    struct listener ops = {"ops", WIRE_OPS, settings->ops_listen, settings->ops_port, NULL};
    if (secure.port != 0) {
        http->tls = crypto_tls_server_new(settings, reterr);
        if (!http->tls)
            return false;
        secure.tls = http->tls;
    }
    return open_gate(http, &plain, &http->gate, reterr) && open_gate(http, &secure, &http->tls_gate, reterr) &&
           (http->worker->index != 0 || open_gate(http, &ops, &http->ops_gate, reterr));
}

static void *http_start(struct worker *worker, char reterr[static SETTINGS_ERROR_MAX])
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
        return NULL;
    }
    http->worker = worker;
    http_backoff_init(&http->backoff, &worker->shared->hash_key);
    if (!start_daemon(http) || !watch_daemon(http)) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "libmicrohttpd does not start: out of descriptors or memory");
        goto fail;
    }
    if (!open_gates(http, reterr))
        goto fail;
    return http;

fail:
    http_stop(http);
    return NULL;
}

/* Resumes what has been answered since. libmicrohttpd must run after that: nothing becomes readable. */
static void resume_ready(struct http *http)
{
    for (struct http_exchange *exchange = http->ready, *next; exchange; exchange = next) {
        next = exchange->next_ready;
        MHD_resume_connection(exchange->connection);
        http->must_run = true;
    }
    http->ready = NULL;
}

/* libmicrohttpd works in steps and tells by a time-out of 0 that it has not taken the last one. */
static bool must_run(const struct http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    return http->must_run || (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
}

static void http_turn(void *ctx)
{
    struct http *http = ctx;
    resume_ready(http);
    for (int i = 0; i < RUNS_PER_TURN && must_run(http); i++) {
        http->must_run = false;
        MHD_run(http->daemon);
        resume_ready(http);
    }
    struct http_gate *const gates[] = {http->gate, http->tls_gate, http->ops_gate};
    for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++)
        if (gates[i])
            http_gate_sweep(gates[i]);
}

static uint64_t http_wait_ms(void *ctx)
{
    const struct http *http = ctx;
    return http->ready || must_run(http) ? 0 : UINT64_MAX;
}

/* libmicrohttpd must have no suspended connection when it stops. Handlers still at work finish into nothing. */
static void http_stop(void *ctx)
{
    struct http *http = ctx;
    for (struct http_exchange *exchange = http->exchanges; exchange; exchange = exchange->next)
        if (exchange->phase == HTTP_PHASE_SUSPENDED)
            MHD_resume_connection(exchange->connection);
    http->ready = NULL;
    if (http->watch.fd > 0)
        loop_remove(http->worker->loop, &http->watch);
    if (http->daemon) {
        MHD_run(http->daemon);
        MHD_stop_daemon(http->daemon);
    }
    http_gate_free(http->gate);
    http_gate_free(http->tls_gate);
    http_gate_free(http->ops_gate);
    crypto_tls_server_free(http->tls);
    free(http);
}

void http_register(struct shared *shared)
{
    shared->http_start = http_start;
    shared->http_stop = http_stop;
    shared->http_turn = http_turn;
    shared->http_wait_ms = http_wait_ms;
}
