// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The HTTP wire alone, without store, registry and CoAP: one worker's loop, proxy/, and a route table of its own whose
 * handlers answer at once, later, large, or never. tests/integration/http_wire.py drives it.
 *
 *   http-harness --http_port=N --ops_port=N [--SETTING=VALUE ...]
 *
 * Prints "ready" when it listens; ends on SIGTERM, or with GET /stop, and must then leak nothing.
 */
#include "gateway/route.h"
#include "gateway/tokens.h"
#include "gateway/worker.h"
#include "proxy/http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct worker worker;
static struct shared shared;
static volatile sig_atomic_t stop;
static struct request *never[16];
static size_t never_count;

static void answer(struct request *request, enum outcome outcome, int content_format, struct bytes body)
{
    struct response response = response_of(outcome);
    response.content_format = content_format;
    response.body = body;
    request_finish(request, &response);
}

static uint64_t number(const struct request *request, const char *name)
{
    char text[16] = "";
    struct bytes value = request_query(request, name, NULL);
    snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.ptr);
    return strtoull(text, NULL, 10);
}

/* What the wire understood, one fact a line. */
static void handle_show(struct request *request)
{
    char *text = arena_alloc(request->arena, 65536);
    int len = sprintf(text, "path=%.*s\naccept=%d\ncontent_format=%d\nbody=%zu\nwho=%d\nany=%d\nwire=%d\n",
                      (int)request->path.len, (const char *)request->path.ptr, request->accept,
                      request->content_format, request->body.len, request->who.kind, request->if_none_match,
                      request->wire);
    for (size_t i = 0; i < request->query_count; i++)
        len += sprintf(text + len, "query=%.*s|%.*s\n", (int)request->query[i].name.len,
                       (const char *)request->query[i].name.ptr, (int)request->query[i].value.len,
                       (const char *)request->query[i].value.ptr);
    for (unsigned i = 0; i < request->etag_count; i++)
        len += sprintf(text + len, "etag=%u:%02x\n", request->etags[i].len, request->etags[i].octets[0]);
    answer(request, OUTCOME_CONTENT, CONTENT_FORMAT_TEXT, bytes_of(text, (size_t)len));
}

static void handle_tagged(struct request *request)
{
    const struct etag etag = {{0xde, 0xad, 0xbe, 0xef}, 4};
    bool is_same = request->etag_count && memcmp(&request->etags[0], &etag, sizeof etag) == 0;
    struct response response = response_of(is_same ? OUTCOME_VALID : OUTCOME_CONTENT);
    response.etag = etag;
    if (!is_same) {
        response.content_format = CONTENT_FORMAT_TEXT;
        response.body = BYTES_LITERAL("tagged\n");
    }
    request_finish(request, &response);
}

struct late {
    struct timer timer;
    struct request *request;
};

static void late_fire(struct timer *timer)
{
    struct late *late = (struct late *)timer;
    answer(late->request, OUTCOME_CONTENT, CONTENT_FORMAT_TEXT, BYTES_LITERAL("late\n"));
}

static void handle_late(struct request *request)
{
    struct late *late = arena_calloc(request->arena, 1, sizeof *late);
    late->timer.fire = late_fire;
    late->request = request;
    timers_set(loop_timers(worker.loop), &late->timer, loop_now_ms(worker.loop) + number(request, "ms"));
}

static void handle_large(struct request *request)
{
    size_t len = number(request, "bytes");
    uint8_t *text = arena_alloc(request->arena, len);
    if (!text) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    memset(text, 'x', len);
    answer(request, OUTCOME_CONTENT, CONTENT_FORMAT_OCTETS, bytes_of(text, len));
}

static void handle_echo(struct request *request)
{
    answer(request, OUTCOME_CONTENT, request->content_format, request->body);
}

static void handle_obs(struct request *request)
{
    request_finish(request, &(struct response){.outcome = request->who.kind == IDENTITY_NONE ? OUTCOME_UNAUTHENTICATED
                                                                                             : OUTCOME_CHANGED,
                                               .content_format = CONTENT_FORMAT_NONE,
                                               .max_age_s = -1,
                                               .offset = SIZE_MAX});
}

static void handle_never(struct request *request)
{
    if (never_count < sizeof never / sizeof never[0])
        never[never_count++] = request;
    else
        request_refuse(request, OUTCOME_OVERLOADED, NULL);
}

static void handle_busy(struct request *request)
{
    struct response response = response_of(OUTCOME_STORE_AWAY);
    response.max_age_s = 7;
    request_finish(request, &response);
}

static void handle_stop(struct request *request)
{
    stop = 1;
    answer(request, OUTCOME_CONTENT, CONTENT_FORMAT_TEXT, BYTES_LITERAL("bye\n"));
}

static const struct route routes[] = {
    {.path = "/.well-known/core", .method = METHOD_GET, .handle = handle_show},
    {.path = "/show", .method = METHOD_GET, .handle = handle_show},
    {.path = "/a;b", .method = METHOD_GET, .handle = handle_show},
    {.path = "/tagged", .method = METHOD_GET, .handle = handle_tagged},
    {.path = "/late", .method = METHOD_GET, .handle = handle_late},
    {.path = "/large", .method = METHOD_GET, .handle = handle_large},
    {.path = "/echo", .method = METHOD_POST, .body = ROUTE_BODY_OBSERVATIONS, .handle = handle_echo},
    {.path = "/obs", .method = METHOD_POST, .body = ROUTE_BODY_OBSERVATIONS, .handle = handle_obs},
    {.path = "/obs", .method = METHOD_GET, .handle = handle_show},
    {.path = "/never", .method = METHOD_GET, .handle = handle_never},
    {.path = "/busy", .method = METHOD_GET, .handle = handle_busy},
    {.path = "/stop", .method = METHOD_GET, .handle = handle_stop},
    {.path = "/health", .method = METHOD_GET, .security = ROUTE_OPS, .handle = handle_stop},
};

const struct route *route_table(size_t *ret_count)
{
    *ret_count = sizeof routes / sizeof routes[0];
    return routes;
}

void route_dispatch(struct request *request)
{
    bool exists = false;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!bytes_equal_text(request->path, routes[i].path) ||
            (routes[i].security == ROUTE_OPS) != (request->wire == WIRE_OPS))
            continue;
        exists = true;
        if (routes[i].method == request->method) {
            routes[i].handle(request);
            return;
        }
    }
    request_refuse(request, exists ? OUTCOME_BAD_METHOD : OUTCOME_NOT_FOUND, NULL);
}

bool route_judges_keys(struct bytes path)
{
    (void)path;
    return false;
}

size_t route_body_limit(const struct worker *of, enum method method, struct bytes path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (routes[i].method == method && routes[i].body != ROUTE_BODY_NONE && bytes_equal_text(path, routes[i].path))
            return of->shared->settings->body_max;
    return 0;
}

bool route_takes_gzip(enum method method, struct bytes path)
{
    (void)method;
    (void)path;
    return false;
}

bool tokens_check(const struct registry *registry, struct bytes text, int64_t now_s, struct identity *ret)
{
    (void)registry, (void)now_s;
    if (!bytes_equal_text(text, "good"))
        return false;
    *ret = (struct identity){.kind = IDENTITY_DEVICE, .evidence = EVIDENCE_TOKEN, .tenant = "acme", .device = "d1"};
    return true;
}

const char *tokens_why_not(const struct registry *registry, struct bytes text, int64_t now_s,
                           const struct token_record **ret)
{
    (void)registry, (void)text, (void)now_s, (void)ret;
    return NULL;
}

static void on_signal(int number_of_signal)
{
    (void)number_of_signal;
    stop = 1;
}

int main(int argc, char **argv)
{
    char error[SETTINGS_ERROR_MAX] = "";
    struct settings settings;
    settings_default(&settings);
    if (settings_from_arguments(&settings, argc, argv, error) < 0) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    shared = (struct shared){.settings = &settings, .worker_count = 1, .workers = {&worker}, .registry_loaded = true};
    worker = (struct worker){.shared = &shared, .loop = loop_new()};
    http_register(&shared);
    void *http = shared.http_start(&worker, error);
    if (!http) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    while (!stop) {
        uint64_t wait_ms = shared.http_wait_ms(http);
        loop_wait(worker.loop, wait_ms < 1000 ? wait_ms : 1000, NULL, NULL);
        shared.http_turn(http);
    }
    shared.http_stop(http);
    for (size_t i = 0; i < never_count; i++)
        request_refuse(never[i], OUTCOME_OVERLOADED, NULL);
    loop_free(worker.loop);
    return 0;
}
