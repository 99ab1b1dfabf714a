// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is read of the body is read in the worker, because the clerk's thread may take nothing from the arena; what is
 * judged against the record is judged in the thread.
 */
#include "gateway/rest_private.h"

#include "codec/digits.h"
#include "codec/json.h"
#include "gateway/crypto.h"
#include "gateway/rt/random.h"
#include "gateway/sink.h"
#include "gateway/vault.h"
#include "gateway/worker.h"

#include <stdio.h>

#define ETAG_TEXT_MAX (RECORD_TEXT_MAX + 2 * RECORD_FIELDS_MAX)

static bool read_body(struct rest *rest)
{
    struct request *request = rest->request;
    const struct format_limits limits = DRAFT_LIMITS;
    struct refusal refusal;
    if (request->body.len == 0)
        return true;
    if (!arena_copy(request->arena, request->body, &rest->rules.payload)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return false;
    }
    if (json_read(rest->rules.payload, &limits, request->arena, &rest->map, &refusal))
        return true;
    struct response response = response_of(refusal.outcome);
    response.detail = refusal.detail;
    response.offset = refusal.offset;
    request_finish(request, &response);
    return false;
}

struct rest *rest_begin(struct request *request, size_t size)
{
    struct worker *worker = request->worker;
    struct rest *rest = arena_calloc(request->arena, 1, size);
    if (!rest) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return NULL;
    }
    rest->request = request;
    rest->now_s = request->received.s;
    rest->outcome = OUTCOME_CONTENT;
    rest->rules = (struct draft_rules){.arena = request->arena,
                                       .vault = vault_of_records(worker->shared->vault),
                                       .random = random_bytes,
                                       .now_s = rest->now_s};
    if (scope_of(request, &rest->scope) != OUTCOME_CONTENT) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return NULL;
    }
    audit_actor_of(request, &rest->job.actor);
    const struct bytes *parameters = request->path_parameters;
    if (parameters[0].len > SCHEMA_DEVICE_MAX || parameters[1].len > SCHEMA_DEVICE_MAX) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return NULL;
    }
    if (parameters[0].len)
        memcpy(rest->id, parameters[0].ptr, parameters[0].len);
    if (parameters[1].len)
        memcpy(rest->part, parameters[1].ptr, parameters[1].len);
    bool has_body = request->method != METHOD_GET && request->method != METHOD_DELETE &&
                    request->content_format != CONTENT_FORMAT_NDJSON;
    if (!has_body)
        return rest;
    if (request->body.len == 0) {
        request_refuse(request, OUTCOME_BAD_REQUEST, "A body is missing: a JSON object.");
        return NULL;
    }
    return read_body(rest) ? rest : NULL;
}

static enum accounts_result run(struct clerk_job *job, struct accounts *accounts)
{
    struct rest *rest = (struct rest *)job;
    enum accounts_result result = ACCOUNTS_STALE;
    for (unsigned i = 0; i < REST_TRIES && result == ACCOUNTS_STALE; i++) {
        rest->outcome = OUTCOME_CONTENT;
        rest->error.detail = rest->detail = NULL;
        rest->existed = false;
        rest->etag.len = 0;
        accounts->only_if = NULL;
        result = rest->steps->run(rest, accounts);
        accounts->only_if = NULL;
    }
    return result;
}

static void done(struct clerk_job *job)
{
    struct rest *rest = (struct rest *)job;
    rest->steps->answer(rest);
}

void rest_give(struct rest *rest, const struct rest_steps *steps)
{
    struct worker *worker = rest->request->worker;
    rest->steps = steps;
    rest->job.run = run;
    rest->job.done = done;
    if (clerk_give(worker->shared->clerk, worker->index, &rest->job))
        return;
    /* The answer wipes what the job was to write. */
    rest->outcome = OUTCOME_OVERLOADED;
    steps->answer(rest);
}

enum accounts_result rest_refuse(struct rest *rest, enum outcome outcome, const char *detail)
{
    rest->outcome = outcome;
    rest->detail = detail;
    return ACCOUNTS_DONE;
}

void rest_explain(struct request *request, const struct draft_error *error)
{
    char text[DRAFT_POINTER_MAX + 256];
    int len = snprintf(text, sizeof text, "%s%s%s", error->pointer, error->pointer[0] ? ": " : "", error->detail);
    request_refuse_with(request, OUTCOME_UNPROCESSABLE,
                        bytes_of(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1));
}

static const char *why(enum accounts_result result)
{
    switch ((int)result) {
    case ACCOUNTS_NO_TENANT:
        return "There is no such tenant any more.";
    case ACCOUNTS_FULL:
        return "There are as many of these as there may be.";
    case ACCOUNTS_LEFTOVER:
        return "A tenant of this name was not removed whole: remove it again.";
    case ACCOUNTS_BUSY:
    case ACCOUNTS_STALE:
        return "Others change the same thing all the time.";
    case ACCOUNTS_EXISTS:
        return "There is one of this id already.";
    case ACCOUNTS_SAME_SECRET:
        return "Another key of the device has this secret, or another device this public key or certificate name; a "
               "key is for one use only.";
    case ACCOUNTS_NO_DEVICE:
        return "There is no such device.";
    default:
        return NULL;
    }
}

static enum outcome outcome_of(enum accounts_result result)
{
    return result == ACCOUNTS_EXISTS || result == ACCOUNTS_SAME_SECRET ? OUTCOME_CONFLICT : clerk_outcome(result);
}

bool rest_has_failed(const struct rest *rest)
{
    return rest->job.result != ACCOUNTS_DONE || !outcome_is_success(rest->outcome);
}

bool rest_is_refused(struct rest *rest)
{
    struct response response = response_of(rest->outcome);
    if (!rest_has_failed(rest))
        return false;
    if (rest->job.result == ACCOUNTS_DONE && rest->error.detail) {
        rest_explain(rest->request, &rest->error);
        return true;
    }
    response.detail = rest->detail;
    if (rest->job.result != ACCOUNTS_DONE) {
        response.outcome = outcome_of(rest->job.result);
        response.detail = rest->detail ? rest->detail : why(rest->job.result);
    }
    if (outcome_row(response.outcome)->http_status == 503)
        response.max_age_s = SINK_RETRY_S;
    request_finish(rest->request, &response);
    return true;
}

/* Preconditions and entity tags. */

bool rest_preconditions_hold(struct rest *rest, bool exists, const struct etag *etag)
{
    bool holds = request_preconditions_hold(rest->request, exists, etag);
    if (!holds)
        rest->outcome = OUTCOME_PRECONDITION;
    return holds;
}

struct text {
    char at[ETAG_TEXT_MAX];
    size_t len;
};

static void add(struct text *text, struct bytes more)
{
    if (more.len && more.len <= sizeof text->at - text->len) {
        memcpy(text->at + text->len, more.ptr, more.len);
        text->len += more.len;
    }
}

static void add_fields(struct text *text, const struct record_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(text, fields[i].name);
        add(text, BYTES_LITERAL("="));
        add(text, fields[i].value);
        add(text, BYTES_LITERAL("\n"));
    }
}

bool rest_etag_of_fields(const struct record_field *fields, size_t count, struct etag *ret)
{
    struct text text = {.len = 0};
    add_fields(&text, fields, count);
    return etag_of(bytes_of(text.at, text.len), ret);
}

static void add_key(struct text *text, const struct credential *key)
{
    char line[160];
    int len = snprintf(line, sizeof line, "%s %s %d %lld %lld %lld ", key->id, credential_kind_name(key->kind),
                       key->offered, (long long)key->created_s, (long long)key->not_before_s,
                       (long long)key->not_after_s);
    add(text, bytes_of(line, (size_t)len));
    if (!credential_is_secret(key->kind))
        add(text, bytes_of(key->public, key->public_len));
    add(text, credential_name(key));
    add(text, BYTES_LITERAL("\n"));
}

bool rest_device_etag(const struct device_record *record, struct etag *ret)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct text text = {.len = 0};
    struct device_record bare = *record;
    bare.credential_count = 0;
    add_fields(&text, fields, record_of_device(&bare, NULL, fields, scratch));
    for (size_t i = 0; i < record->credential_count; i++)
        add_key(&text, &record->credentials[i]);
    return etag_of(bytes_of(text.at, text.len), ret);
}

/* Answers. */

void rest_report_init(struct rest *rest, struct report *report)
{
    report_init(report, rest->request->arena, rest->request->accept == CONTENT_FORMAT_CBOR);
}

void rest_answer_content(struct rest *rest, struct report *report)
{
    struct request *request = rest->request;
    struct response response = response_of(OUTCOME_CONTENT);
    if (!report_finish(report, &response.body)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    response.content_format = request->accept;
    response.max_age_s = 0;
    response.etag = rest->etag;
    if (rest->etag.len && etag_is_in(&rest->etag, request->etags, request->etag_count)) {
        response.outcome = OUTCOME_VALID;
        response.content_format = CONTENT_FORMAT_NONE;
        response.body = (struct bytes){0};
    }
    request_finish(request, &response);
}

/* Ids need no escapes. Empty: out of memory, and the answer is good without it. */
static struct bytes location_of(const struct request *request, const char *made)
{
    struct bytes tenant = request_query(request, "tenant", NULL);
    struct builder out;
    builder_init(&out, request->arena, request->path.len + strlen(made) + tenant.len + sizeof "/?tenant=");
    builder_put(&out, request->path);
    builder_put_byte(&out, '/');
    builder_put_text(&out, made);
    if (tenant.len) {
        builder_put_text(&out, "?tenant=");
        builder_put(&out, tenant);
    }
    builder_put_byte(&out, '\0');
    return out.failed ? (struct bytes){0} : bytes_of(out.ptr, out.len - 1);
}

void rest_answer_change(struct rest *rest, struct report *report, const char *made)
{
    struct request *request = rest->request;
    bool creates = (request->method == METHOD_PUT || request->method == METHOD_POST) && !rest->existed;
    struct response response = response_of(request->method == METHOD_DELETE ? OUTCOME_DELETED
                                           : creates                        ? OUTCOME_CREATED
                                           : report                         ? OUTCOME_CONTENT
                                                                            : OUTCOME_CHANGED);
    if (report && !report_finish(report, &response.body)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    if (report)
        response.content_format = request->accept;
    response.etag = rest->etag;
    if (made)
        response.location = location_of(request, made);
    request_finish(request, &response);
}

/* Pages. */

static bool parse_limit(struct bytes text, size_t *ret)
{
    uint64_t limit;
    if (!digits_read(text, DIGITS_MAX, &limit))
        return false;
    *ret = (size_t)limit;
    return limit > 0 && limit <= REST_PAGE_MAX;
}

bool rest_is_of_admin_tenant(const struct request *request)
{
    return strcmp(request->who.tenant, request->worker->shared->settings->admin_tenant) == 0;
}

bool rest_page(struct request *request, size_t *ret_limit, struct bytes *ret_after)
{
    bool limited;
    struct bytes limit = request_query(request, "limit", &limited);
    *ret_limit = REST_PAGE_DEFAULT;
    *ret_after = request_query(request, "after", NULL);
    if (limited && !parse_limit(limit, ret_limit)) {
        request_refuse(request, OUTCOME_BAD_REQUEST, "limit is a number from 1 to 1000.");
        return false;
    }
    if (ret_after->len && !schema_device_is_valid(*ret_after)) {
        request_refuse(request, OUTCOME_BAD_REQUEST, "after is an id.");
        return false;
    }
    return arena_copy(request->arena, *ret_after, ret_after);
}

size_t rest_cut_page(const struct accounts_ids *ids, struct bytes after, size_t limit, size_t *ret_first)
{
    char text[SCHEMA_DEVICE_MAX + 1] = "";
    size_t first = 0;
    if (after.len)
        memcpy(text, after.ptr, after.len);
    while (first < ids->count && strcmp(ids->ids[first], text) <= 0)
        first++;
    *ret_first = first;
    return ids->count - first < limit ? ids->count - first : limit;
}
