// SPDX-License-Identifier: GPL-3.0-or-later
/* The links come from the route table, so they cannot disagree with what is served. */
#include "gateway/discovery.h"

#include "codec/cborout.h"
#include "codec/timestamp.h"
#include "gateway/route.h"

#define LINKS_MAX 32

void discovery_handle_core(struct request *request)
{
    struct link links[LINKS_MAX];
    size_t count = route_links(links, LINKS_MAX);
    struct response response = response_of(OUTCOME_CONTENT);
    if (request->query_count > 1) {
        request_refuse(request, OUTCOME_BAD_REQUEST, "One filter at a time (RFC 6690 4.1).");
        return;
    }
    struct query_parameter filter = request->query_count ? request->query[0] : (struct query_parameter){0};
    if (!link_format(links, count, filter.name, filter.value, request->arena, &response.body)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    response.content_format = request->accept;
    request_finish(request, &response);
}

static void write_json(struct builder *out, struct timestamp now, struct bytes seconds)
{
    builder_put_text(out, "{\"t\":");
    builder_put(out, seconds);
    builder_put_text(out, ",\"ts\":");
    builder_put_uint(out, (uint64_t)now.s);
    builder_put_text(out, ",\"ts_ns\":");
    builder_put_uint(out, now.ns);
    builder_put_text(out, "}");
}

/* Keys in the order of RFC 8949 4.2.1. */
static void write_cbor(struct builder *out, struct timestamp now)
{
    cborout_map(out, 3);
    cborout_text(out, BYTES_LITERAL("t"));
    cborout_double(out, (double)now.s + now.ns / 1e9);
    cborout_text(out, BYTES_LITERAL("ts"));
    cborout_int(out, now.s);
    cborout_text(out, BYTES_LITERAL("ts_ns"));
    cborout_uint(out, now.ns);
}

void discovery_handle_time(struct request *request)
{
    char seconds[TIMESTAMP_TEXT_MAX];
    size_t len = timestamp_write(request->received, seconds);
    struct builder out;
    builder_init(&out, request->arena, 64);
    switch (request->accept) {
    case CONTENT_FORMAT_JSON:
        write_json(&out, request->received, bytes_of(seconds, len));
        break;
    case CONTENT_FORMAT_CBOR:
        write_cbor(&out, request->received);
        break;
    default:
        builder_put(&out, bytes_of(seconds, len));
        break;
    }
    struct response response = response_of(OUTCOME_CONTENT);
    response.content_format = request->accept;
    response.max_age_s = 0; /* a time from a cache is a wrong time */
    if (builder_finish(&out, &response.body))
        request_finish(request, &response);
    else
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
}
