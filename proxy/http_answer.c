// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From a response of the route table to HTTP. Every status comes from the outcome table; header values are ours or
 * numbers, never a peer's bytes.
 */
#include "codec/problem.h"
#include "gateway/route.h"
#include "proxy/http_exchange.h"
#include "proxy/http_field.h"

#include <inttypes.h>
#include <stdio.h>

/* RFC 8075 7: a 2.04 with a payload is a 200. */
static unsigned status_of(const struct response *response)
{
    unsigned status = outcome_row(response->outcome)->http_status;
    return status == MHD_HTTP_NO_CONTENT && response->body.len ? MHD_HTTP_OK : status;
}

/* The error body. Without memory for it the status alone must do. */
static void add_problem(struct http_exchange *exchange)
{
    struct response *response = &exchange->response;
    const struct problem problem = {
        .outcome = response->outcome,
        .detail = response->detail,
        .offset = response->offset,
    };
    response->content_format = CONTENT_FORMAT_NONE;
    response->body = (struct bytes){0};
    struct bytes body;
    if (!problem_json(&problem, exchange->arena, &body))
        return;
    response->content_format = CONTENT_FORMAT_PROBLEM_JSON;
    response->body = body;
}

/* Fails only for want of memory; the answer is better than none without the field. */
static void add_field(struct MHD_Response *answer, const char *name, const char *value)
{
    (void)MHD_add_response_header(answer, name, value);
}

/* The methods that the path has on this wire (RFC 9110 10.2.1). */
static void add_allow(struct MHD_Response *answer, const struct request *request)
{
    size_t count, len = 0;
    const struct route *routes = route_table(&count);
    char text[128] = "";
    for (size_t i = 0; i < count; i++) {
        const char *name = http_head_method_name(routes[i].method);
        bool is_here = (routes[i].security == ROUTE_OPS) == (request->wire == WIRE_OPS);
        if (!name || !is_here || !route_matches(&routes[i], request->path, NULL))
            continue;
        bool has_head = routes[i].method == METHOD_GET && routes[i].security != ROUTE_HABIT;
        const char *more = has_head ? ", HEAD" : "";
        int added = snprintf(text + len, sizeof text - len, "%s%s%s", len ? ", " : "", name, more);
        if (added < 0 || (size_t)added >= sizeof text - len)
            break;
        len += (size_t)added;
    }
    add_field(answer, MHD_HTTP_HEADER_ALLOW, text);
}

static void add_retry_after(struct MHD_Response *answer, const struct response *response)
{
    char text[24];
    if (response->max_age_s < 0)
        return;
    snprintf(text, sizeof text, "%" PRId64, response->max_age_s ? response->max_age_s : 1);
    add_field(answer, MHD_HTTP_HEADER_RETRY_AFTER, text);
}

static void add_fields(const struct http_exchange *exchange, struct MHD_Response *answer, unsigned status)
{
    const struct response *response = &exchange->response;
    const char *media_type = response->content_format == CONTENT_FORMAT_NONE
                                 ? NULL
                                 : format_media_type(response->content_format);
    if (media_type)
        add_field(answer, MHD_HTTP_HEADER_CONTENT_TYPE, media_type);
    /* Answers depend on who asks and on the moment. */
    add_field(answer, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (response->etag.len) {
        char text[HTTP_FIELD_ETAG_TEXT_MAX];
        add_field(answer, MHD_HTTP_HEADER_ETAG, http_field_etag_text(&response->etag, text));
    }
    if (response->location.len)
        add_field(answer, MHD_HTTP_HEADER_LOCATION, (const char *)response->location.ptr);
    if (response->level)
        add_field(answer, "Weir-Level", response->level);
    if (response->duplicate)
        add_field(answer, "Weir-Duplicate", "true");
    if (status == MHD_HTTP_UNAUTHORIZED)
        add_field(answer, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                  exchange->had_token ? "Bearer realm=\"weir\", error=\"invalid_token\"" : "Bearer realm=\"weir\"");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        add_allow(answer, &exchange->request);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS || status == MHD_HTTP_ACCEPTED)
        add_retry_after(answer, response);
    if (exchange->is_body_left || http_gate_is_last(exchange->gate))
        add_field(answer, MHD_HTTP_HEADER_CONNECTION, "close");
}

enum MHD_Result http_answer_queue(struct http_exchange *exchange)
{
    /* An error that has a body of its own says more by it than problem details could. */
    if (exchange->response.outcome >= OUTCOME_BAD_REQUEST && exchange->response.content_format == CONTENT_FORMAT_NONE)
        add_problem(exchange);
    const struct bytes body = exchange->response.body;
    unsigned status = status_of(&exchange->response);
    /* libmicrohttpd takes a plain pointer, but PERSISTENT only reads it; the arena keeps it until the next request. */
    struct MHD_Response *answer = MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr,
                                                                  MHD_RESPMEM_PERSISTENT);
    if (!answer)
        return MHD_NO;
    add_fields(exchange, answer, status);
    enum MHD_Result queued = MHD_queue_response(exchange->connection, status, answer);
    MHD_destroy_response(answer);
    return queued;
}
