// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From an HTTP head to a request of the route table. http_gate has checked the framing; here the meaning of the fields
 * is checked, before the body is read and before "100 Continue" is sent.
 */
#include "gateway/delivery.h"
#include "gateway/journal.h"
#include "gateway/route.h"
#include "gateway/rt/random.h"
#include "gateway/tokens.h"
#include "proxy/http_exchange.h"
#include "proxy/http_field.h"
#include "proxy/http_target.h"
#include "proxy/http_text.h"

/* What handlers take besides the bodies. Resolved observations are a few times the size of their bytes, those
 * of a log of short lines with many values up to 50 times; a compressed batch with as many values as
 * emoncms-bulk takes needs 11 MiB. A limit, not a reservation. */
#define ARENA_SPARE_BYTES ((size_t)8 << 20)
#define ARENA_BODY_FACTOR 64
#define BODY_FIRST_BYTES 1024
#define REGISTRY_RETRY_S 5

size_t http_request_arena_bytes(const struct settings *settings)
{
    return (size_t)settings->body_max * ARENA_BODY_FACTOR + ARENA_SPARE_BYTES;
}

bool http_request_begin(struct http_exchange *exchange, struct bytes target)
{
    exchange->phase = HTTP_PHASE_HEAD;
    exchange->is_finished = exchange->is_body_left = exchange->had_token = exchange->drop_body = false;
    exchange->body = NULL;
    exchange->body_len = exchange->body_room = exchange->body_max = 0;
    exchange->body_promised = 0;
    exchange->request = (struct request){.content_format = CONTENT_FORMAT_NONE, .accept = CONTENT_FORMAT_NONE};
    exchange->response = response_of(OUTCOME_INTERNAL);
    arena_reset(exchange->arena);
    return arena_copy(exchange->arena, target, &exchange->target);
}

static bool refuse(struct http_exchange *exchange, enum outcome outcome, const char *detail)
{
    exchange->response = response_of(outcome);
    exchange->response.detail = detail;
    return false;
}

/* --- fields --- */

enum field {
    FIELD_ACCEPT,
    FIELD_AUTHORIZATION,
    FIELD_CONTENT_ENCODING,
    FIELD_CONTENT_LENGTH,
    FIELD_CONTENT_TYPE,
    FIELD_IF_MATCH,
    FIELD_IF_NONE_MATCH,
    FIELD_TRANSFER_ENCODING,
    FIELD_WEIR_SEQ,
    FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
    "accept",       "authorization", "content-encoding", "content-length",
    "content-type", "if-match",      "if-none-match",    "transfer-encoding", "weir-seq",
};

struct fields {
    struct arena *arena;
    struct bytes values[FIELD_COUNT]; /* ptr NULL: absent */
    bool failed;
};

/* A field that came several times is one list (RFC 9110 5.3); those that must not have been refused by http_gate. */
static bool join(struct fields *fields, struct bytes *to, struct bytes more)
{
    if (!to->ptr) {
        *to = more.ptr ? more : BYTES_LITERAL("");
        return true;
    }
    uint8_t *text = arena_alloc(fields->arena, to->len + more.len + 1);
    if (!text)
        return false;
    memcpy(text, to->ptr, to->len);
    text[to->len] = ',';
    if (more.len)
        memcpy(text + to->len + 1, more.ptr, more.len);
    *to = bytes_of(text, to->len + more.len + 1);
    return true;
}

static enum MHD_Result take_field(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                  const char *value, size_t value_len)
{
    struct fields *fields = ctx;
    (void)kind;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (http_text_equal_ignoring_case(bytes_of(name, name_len), field_names[i]))
            fields->failed |= !join(fields, &fields->values[i], bytes_of(value, value_len));
    return fields->failed ? MHD_NO : MHD_YES;
}

static bool read_preconditions(struct http_exchange *exchange, const struct fields *fields)
{
    struct request *request = &exchange->request;
    struct http_field_etags etags;
    struct bytes none_match = fields->values[FIELD_IF_NONE_MATCH], match = fields->values[FIELD_IF_MATCH];
    if (none_match.ptr) {
        if (!http_field_etags(none_match, request->method == METHOD_GET, &etags))
            return refuse(exchange, OUTCOME_BAD_REQUEST, "If-None-Match is not a list of entity tags.");
        memcpy(request->etags, etags.list, sizeof request->etags);
        request->etag_count = etags.count;
        request->if_none_match = etags.any;
    }
    if (match.ptr) {
        if (!http_field_etags(match, false, &etags))
            return refuse(exchange, OUTCOME_BAD_REQUEST, "If-Match is not a list of entity tags.");
        memcpy(request->if_match, etags.list, sizeof request->if_match);
        request->if_match_count = etags.any ? 1 : etags.count; /* an empty one means "exists" */
        if (request->if_match_count == 0)
            return refuse(exchange, OUTCOME_PRECONDITION, "No entity tag in If-Match is one of weir's.");
    }
    return true;
}

static bool read_content(struct http_exchange *exchange, const struct fields *fields)
{
    struct request *request = &exchange->request;
    struct bytes type = fields->values[FIELD_CONTENT_TYPE], encoding = fields->values[FIELD_CONTENT_ENCODING];
    request->is_gzip = http_text_equal_ignoring_case(http_text_trim(encoding), "gzip") &&
                       route_takes_gzip(request->method, request->path);
    if (encoding.len && !request->is_gzip && !http_text_equal_ignoring_case(http_text_trim(encoding), "identity"))
        return refuse(exchange, OUTCOME_UNSUPPORTED, "Bodies are not taken compressed.");
    if (type.ptr)
        request->content_format = http_field_media_type(type);
    if (fields->values[FIELD_ACCEPT].ptr)
        request->accept = http_field_accept(fields->values[FIELD_ACCEPT]);
    return true;
}

/* Two fields are one with a comma, and so none that can be read. Judged by the handler that wants it. */
static void take_sequence(struct request *request, const struct fields *fields)
{
    struct bytes text = fields->values[FIELD_WEIR_SEQ];
    if (text.ptr && !delivery_parse_sequence(http_text_trim(text), &request->sequence))
        request->bad_sequence = "Weir-Seq is not one EPOCH.SEQ in decimal digits without leading zeros.";
}

/* --- who --- */

/* For people who ask why: a token that names a device by its id. */
static void tell_refusal(const struct request *request, const struct worker *worker, struct bytes token)
{
    const struct token_record *record = NULL;
    const char *why = tokens_why_not(worker->shared->registry, token, request->received.s, &record);
    struct journal_event event = {
        .at = request->received,
        .stage = JOURNAL_TOKEN,
        .outcome = OUTCOME_UNAUTHENTICATED,
        .evidence = EVIDENCE_TOKEN,
        .remote = request->remote,
    };
    if (!why)
        return;
    memcpy(event.key, record->id, sizeof record->id);
    journal_set_detail(&event, why);
    journal_note(worker->journal, bytes_of_text(record->tenant), bytes_of_text(record->device), &event);
}

/*
 * A good token always gets in, even from where many bad ones come: behind one address there can be many clients, and
 * one with an old token must not lock out the others. Secrets have 256 bits, so nobody gets in by trying on.
 */
static bool read_identity(struct http_exchange *exchange, struct worker *worker, struct http_backoff *backoff,
                          struct bytes authorization)
{
    struct request *request = &exchange->request;
    uint64_t now_ms = loop_now_ms(worker->loop);
    struct bytes token = {0};
    /* The ops listener knows no identities. */
    if (!authorization.ptr || request->wire == WIRE_OPS)
        return true;
    if (route_judges_keys(request->path)) {
        request->authorization = http_text_trim(authorization);
        return true;
    }
    exchange->had_token = true;
    if (http_field_bearer(authorization, &token) &&
        tokens_check(worker->shared->registry, token, request->received.s, &request->who))
        return true;
    /* After a start without Redis: nothing is wrong with the token. */
    if (!worker->shared->registry_loaded) {
        refuse(exchange, OUTCOME_STORE_AWAY, "Nobody is known yet: the registry has not been read from Redis.");
        exchange->response.max_age_s = REGISTRY_RETRY_S;
        return false;
    }
    int64_t wait_s = http_backoff_try(backoff, &request->remote, now_ms);
    if (wait_s == 0)
        tell_refusal(request, worker, token);
    if (wait_s > 0) {
        refuse(exchange, OUTCOME_TOO_MANY, "Too many wrong tokens came from this address.");
        exchange->response.max_age_s = wait_s;
        return false;
    }
    return refuse(exchange, OUTCOME_UNAUTHENTICATED, "The token is not known or not valid any more.");
}

/* request.key_failed: keys of legacy senders count as tokens do. */
static int64_t key_failed(const struct request *request)
{
    struct http_exchange *exchange = request->wire_state;
    exchange->had_token = true;
    return http_backoff_try(exchange->backoff, &request->remote, loop_now_ms(request->worker->loop));
}

/* --- body --- */

/*
 * Where no route takes a body a small one is read and thrown away, so that the route table can say what is wrong (404,
 * 405, 401) instead of the size.
 */
static bool check_length(struct http_exchange *exchange, struct worker *worker, const struct fields *fields)
{
    struct bytes length = fields->values[FIELD_CONTENT_LENGTH];
    exchange->body_max = route_body_limit(worker, exchange->request.method, exchange->request.path);
    exchange->drop_body = exchange->body_max == 0;
    if (exchange->drop_body)
        exchange->body_max = (size_t)worker->shared->settings->body_max;
    for (size_t i = 0; i < length.len; i++)
        exchange->body_promised = exchange->body_promised * 10 + (uint64_t)(length.ptr[i] - '0');
    if (exchange->body_promised <= exchange->body_max)
        return true;
    return refuse(exchange, OUTCOME_TOO_LARGE, "The body is larger than body_max allows.");
}

bool http_request_append(struct http_exchange *exchange, struct bytes more, struct http_refusal *reterr)
{
    if (more.len > exchange->body_max - exchange->body_len) {
        *reterr = (struct http_refusal){OUTCOME_TOO_LARGE, "The body is larger than body_max allows."};
        return false;
    }
    size_t len = exchange->body_len + more.len;
    if (!exchange->drop_body) {
        if (len > exchange->body_room) {
            size_t room = exchange->body_room ? 2 * exchange->body_room : BODY_FIRST_BYTES;
            room = room < len ? len : room;
            uint8_t *body = arena_alloc(exchange->arena, room);
            if (!body) {
                *reterr = (struct http_refusal){OUTCOME_OUT_OF_MEMORY, NULL};
                return false;
            }
            if (exchange->body_len)
                memcpy(body, exchange->body, exchange->body_len);
            exchange->body = body;
            exchange->body_room = room;
        }
        memcpy(exchange->body + exchange->body_len, more.ptr, more.len);
        exchange->request.body = bytes_of(exchange->body, len);
    }
    exchange->body_len = len;
    return true;
}

/* --- all of it --- */

static bool read_target(struct http_exchange *exchange)
{
    struct http_target target;
    struct http_refusal refusal;
    if (!http_target_decode(exchange->target, route_judges_keys, exchange->arena, &target, &refusal))
        return refuse(exchange, refusal.outcome, refusal.detail);
    exchange->request.path = target.path;
    exchange->request.query = target.query;
    exchange->request.query_count = target.query_count;
    return true;
}

static bool read_method(struct http_exchange *exchange, const char *method)
{
    return http_head_method(bytes_of_text(method), &exchange->request.method) ||
           refuse(exchange, OUTCOME_NOT_IMPLEMENTED, "This method is not known here.");
}

static bool read_head(struct http_exchange *exchange, struct worker *worker, struct http_backoff *backoff,
                      const char *method, const struct fields *fields)
{
    return read_method(exchange, method) && read_target(exchange) &&
           read_identity(exchange, worker, backoff, fields->values[FIELD_AUTHORIZATION]) &&
           read_content(exchange, fields) && read_preconditions(exchange, fields) &&
           check_length(exchange, worker, fields);
}

/* Every HTTP request is an exchange of its own: who repeats one says so by a sequence. */
static void exchange_key(const struct request *request, uint8_t ret[static REQUEST_KEY_BYTES])
{
    (void)request;
    random_bytes(ret, REQUEST_KEY_BYTES);
}

bool http_request_read(struct http_exchange *exchange, struct worker *worker, struct http_backoff *backoff,
                       const char *method)
{
    struct request *request = &exchange->request;
    request->wire = http_gate_wire(exchange->gate);
    request->remote = *http_gate_remote(exchange->gate);
    request->received = loop_wall(worker->loop);
    request->arena = exchange->arena;
    request->worker = worker;
    request->wire_state = exchange;
    request->exchange_key = exchange_key;
    request->key_failed = key_failed;
    request->is_head = strcmp(method, "HEAD") == 0;
    exchange->backoff = backoff;

    struct fields fields = {.arena = exchange->arena};
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, take_field, &fields);
    bool has_body = fields.values[FIELD_CONTENT_LENGTH].ptr || fields.values[FIELD_TRANSFER_ENCODING].ptr;
    take_sequence(request, &fields);
    bool good = fields.failed ? refuse(exchange, OUTCOME_OUT_OF_MEMORY, NULL)
                              : read_head(exchange, worker, backoff, method, &fields);
    exchange->is_body_left = !good && has_body;
    return good;
}
