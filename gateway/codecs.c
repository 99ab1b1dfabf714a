// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A change is one job of the clerk: look at what is there (for If-Match and to tell 2.01 from 2.04), try the
 * definition, write if it is still the same that was looked at; if somebody else wrote meanwhile, look again.
 */
#include "gateway/codecs.h"

#include "gateway/clerk.h"
#include "gateway/crypto.h"
#include "gateway/quarantine.h"
#include "gateway/report.h"
#include "gateway/scope.h"
#include "gateway/worker.h"

#include <stdlib.h>

#define TRIES 5
#define CHECK_ARENA_BYTES ((size_t)4 << 20) /* of one example */

static void refuse(struct request *request, enum outcome outcome, const char *detail)
{
    struct response response = response_of(outcome);
    response.detail = detail;
    if (outcome_row(outcome)->http_status == 503)
        response.max_age_s = SINK_RETRY_S;
    request_finish(request, &response);
}

/* The list. */

struct listing {
    struct clerk_job job; /* first */
    struct request *request;
    struct scope scope;
    struct accounts_ids ids;
};

static enum accounts_result read_names(struct clerk_job *job, struct accounts *accounts)
{
    struct listing *listing = (struct listing *)job;
    return accounts_list_codecs(accounts, bytes_of_text(listing->scope.tenant), &listing->ids);
}

static void put_text(struct report *report, const char *name, const char *text)
{
    report_name(report, name);
    report_text(report, text);
}

static void put_uint(struct report *report, const char *name, uint64_t number)
{
    report_name(report, name);
    report_uint(report, number);
}

/* Redis may have a codec that this gateway has not been told of yet. */
static void put_row(struct report *report, const struct listing *listing, const char *id)
{
    struct bytes tenant = bytes_of_text(listing->scope.tenant), name = bytes_of_text(id);
    struct shared *shared = listing->request->worker->shared;
    struct registry_codec codec = {0};
    bool known = registry_codec(shared->registry, tenant, name, &codec);
    const char *state = !known ? "loading" : !codec.custom ? "broken" : codec.quarantined ? "quarantined" : "active";
    report_map(report, 6);
    put_text(report, "kind", codec.custom ? custom_kind_name(custom_kind(codec.custom)) : "");
    put_text(report, "name", id);
    put_text(report, "state", state);
    put_text(report, "reason", codec.reason ? codec.reason : "");
    put_uint(report, "examples", codec.custom ? custom_example_count(codec.custom) : 0);
    put_uint(report, "failures", quarantine_failures(shared->quarantine, tenant, name));
    report_map_end(report);
}

static bool write_list(const struct listing *listing, struct bytes *ret)
{
    struct request *request = listing->request;
    struct report report;
    report_init(&report, request->arena, request->accept == CONTENT_FORMAT_CBOR);
    report_map(&report, 1);
    report_name(&report, "codecs");
    report_array(&report, listing->ids.count);
    for (size_t i = 0; i < listing->ids.count; i++)
        put_row(&report, listing, listing->ids.ids[i]);
    report_array_end(&report);
    report_map_end(&report);
    return report_finish(&report, ret);
}

static void answer_list(struct clerk_job *job)
{
    struct listing *listing = (struct listing *)job;
    struct request *request = listing->request;
    struct response response = response_of(OUTCOME_CONTENT);
    response.content_format = request->accept;
    response.max_age_s = 0; /* failures are counted all the time */
    bool written = job->result == ACCOUNTS_DONE && write_list(listing, &response.body);
    free(listing->ids.ids);
    if (written)
        request_finish(request, &response);
    else
        refuse(request, job->result == ACCOUNTS_DONE ? OUTCOME_OUT_OF_MEMORY : clerk_outcome(job->result), NULL);
}

void codecs_handle_list(struct request *request)
{
    struct worker *worker = request->worker;
    struct listing *listing = arena_calloc(request->arena, 1, sizeof *listing);
    enum outcome outcome = listing ? scope_of(request, &listing->scope) : OUTCOME_OUT_OF_MEMORY;
    if (outcome != OUTCOME_CONTENT) {
        refuse(request, outcome, NULL);
        return;
    }
    listing->job.run = read_names;
    listing->job.done = answer_list;
    listing->request = request;
    if (!clerk_give(worker->shared->clerk, worker->index, &listing->job))
        refuse(request, OUTCOME_OVERLOADED, NULL);
}

/* One. */

void codecs_handle_one(struct request *request)
{
    struct scope scope;
    struct registry_codec codec;
    struct response response = response_of(OUTCOME_CONTENT);
    if (scope_of(request, &scope) != OUTCOME_CONTENT ||
        !registry_codec(request->worker->shared->registry, bytes_of_text(scope.tenant), request->path_parameter,
                        &codec)) {
        refuse(request, OUTCOME_NOT_FOUND, NULL);
        return;
    }
    /* The registry may change before the last block of the answer is sent. */
    if (!arena_copy(request->arena, codec.record->definition, &response.body) ||
        !etag_of(response.body, &response.etag)) {
        refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    if (etag_is_in(&response.etag, request->etags, request->etag_count)) {
        response.outcome = OUTCOME_VALID;
        response.body = (struct bytes){0};
    } else {
        response.content_format = request->accept;
    }
    request_finish(request, &response);
}

/* Changes. */

struct change {
    struct clerk_job job; /* first */
    struct request *request;
    struct scope scope;
    char name[SCHEMA_PROFILE_MAX + 1];
    struct bytes definition; /* PUT; in the arena */
    int64_t now_s;
    bool existed;
    struct accounts_version version; /* that was looked at */
    struct etag etag;
    enum outcome verdict; /* why nothing was written; OUTCOME_CHANGED: see job.result */
    struct custom_error error; /* with OUTCOME_UNPROCESSABLE */
};

/* False: change->verdict or *ret_result says why. */
static bool look(struct change *change, struct accounts *accounts, enum accounts_result *ret_result)
{
    const struct request *request = change->request;
    struct codec_record record = {0};
    struct etag etag = {0};
    enum accounts_result result =
        accounts_get_codec(accounts, bytes_of_text(change->scope.tenant), bytes_of_text(change->name), &record);
    change->existed = result == ACCOUNTS_DONE || result == ACCOUNTS_DAMAGED;
    if (!change->existed && result != ACCOUNTS_NOT_FOUND) {
        *ret_result = result;
        return false;
    }
    if (result == ACCOUNTS_DONE && !etag_of(record.definition, &etag))
        change->verdict = OUTCOME_OUT_OF_MEMORY;
    else if (!request_preconditions_hold(request, change->existed, &etag))
        change->verdict = OUTCOME_PRECONDITION;
    change->version = accounts->last_read;
    accounts->only_if = &change->version;
    return change->verdict == OUTCOME_CHANGED;
}

/* Whether the definition may be used; else error says why. */
static bool try_definition(struct change *change)
{
    struct arena *arena = arena_new(CHECK_ARENA_BYTES);
    struct custom *custom = arena ? custom_compile(change->definition, &change->error) : NULL;
    bool holds = custom && custom_check_parameters(custom, &change->error) &&
                 custom_check(custom, arena, &change->error);
    if (holds && !bytes_equal_text(custom_name(custom), change->name)) {
        change->error = (struct custom_error){"The name is another one than that in the path.", "/name"};
        holds = false;
    }
    custom_free(custom);
    arena_free(arena);
    return holds;
}

static enum accounts_result write_once(struct change *change, struct accounts *accounts)
{
    enum accounts_result result = ACCOUNTS_DONE;
    struct codec_record record = {.definition = change->definition, .created_s = change->now_s};
    if (!look(change, accounts, &result))
        return result;
    if (!try_definition(change)) {
        change->verdict = OUTCOME_UNPROCESSABLE;
        return ACCOUNTS_DONE;
    }
    if (!etag_of(change->definition, &change->etag)) {
        change->verdict = OUTCOME_OUT_OF_MEMORY;
        return ACCOUNTS_DONE;
    }
    memcpy(record.tenant, change->scope.tenant, sizeof record.tenant);
    memcpy(record.id, change->name, sizeof record.id);
    return accounts_add_codec(accounts, &record, !change->request->if_none_match);
}

static enum accounts_result remove_once(struct change *change, struct accounts *accounts)
{
    enum accounts_result result = ACCOUNTS_DONE;
    if (!look(change, accounts, &result))
        return result;
    return accounts_remove_codec(accounts, bytes_of_text(change->scope.tenant), bytes_of_text(change->name));
}

static enum accounts_result try_again(struct clerk_job *job, struct accounts *accounts,
                                      enum accounts_result (*once)(struct change *change, struct accounts *accounts))
{
    enum accounts_result result = ACCOUNTS_STALE;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_STALE; i++) {
        result = once((struct change *)job, accounts);
        accounts->only_if = NULL;
    }
    return result;
}

static enum accounts_result write_codec(struct clerk_job *job, struct accounts *accounts)
{
    return try_again(job, accounts, write_once);
}

static enum accounts_result remove_codec(struct clerk_job *job, struct accounts *accounts)
{
    return try_again(job, accounts, remove_once);
}

static enum accounts_result release_codec(struct clerk_job *job, struct accounts *accounts)
{
    struct change *change = (struct change *)job;
    return accounts_set_codec_quarantined(accounts, bytes_of_text(change->scope.tenant),
                                          bytes_of_text(change->name), false, (struct bytes){0});
}

/* "/fields/3/scale: a scale is a number" */
static void explain(struct request *request, const struct custom_error *error)
{
    char text[2 * CUSTOM_TEXT_MAX + 2];
    size_t len = 0;
    if (error->pointer[0]) {
        len = strlen(error->pointer);
        memcpy(text, error->pointer, len);
        text[len++] = ':';
        text[len++] = ' ';
    }
    size_t detail = strlen(error->detail);
    memcpy(text + len, error->detail, detail);
    request_refuse_with(request, OUTCOME_UNPROCESSABLE, bytes_of(text, len + detail));
}

static const char *why(enum accounts_result result)
{
    switch ((int)result) {
    case ACCOUNTS_NO_TENANT:
        return "There is no such tenant any more.";
    case ACCOUNTS_FULL:
        return "The tenant has as many codecs as it may have.";
    case ACCOUNTS_BUSY:
    case ACCOUNTS_STALE:
        return "Others change the same codec all the time.";
    default:
        return NULL;
    }
}

static void answer_change(struct clerk_job *job)
{
    struct change *change = (struct change *)job;
    struct request *request = change->request;
    if (job->result != ACCOUNTS_DONE) {
        refuse(request, clerk_outcome(job->result), why(job->result));
        return;
    }
    if (change->verdict == OUTCOME_UNPROCESSABLE) {
        explain(request, &change->error);
        return;
    }
    if (change->verdict != OUTCOME_CHANGED) {
        refuse(request, change->verdict, NULL);
        return;
    }
    bool created = request->method == METHOD_PUT && !change->existed;
    struct response response = response_of(request->method == METHOD_DELETE ? OUTCOME_DELETED
                                           : created                       ? OUTCOME_CREATED
                                                                           : OUTCOME_CHANGED);
    response.etag = change->etag;
    request_finish(request, &response);
}

static void begin(struct request *request,
                  enum accounts_result (*run)(struct clerk_job *job, struct accounts *accounts))
{
    struct worker *worker = request->worker;
    struct change *change = arena_calloc(request->arena, 1, sizeof *change);
    struct bytes name = request->path_parameter;
    if (!schema_profile_is_valid(name)) {
        bool puts = request->method == METHOD_PUT;
        refuse(request, puts ? OUTCOME_BAD_REQUEST : OUTCOME_NOT_FOUND,
               puts ? "A codec's name has 1 to 32 of a-z, 0-9 and -, and does not begin with -." : NULL);
        return;
    }
    enum outcome outcome = change ? scope_of(request, &change->scope) : OUTCOME_OUT_OF_MEMORY;
    if (outcome == OUTCOME_CONTENT && !arena_copy(request->arena, request->body, &change->definition))
        outcome = OUTCOME_OUT_OF_MEMORY;
    if (outcome != OUTCOME_CONTENT) {
        refuse(request, outcome, NULL);
        return;
    }
    change->job.run = run;
    change->job.done = answer_change;
    audit_actor_of(request, &change->job.actor);
    change->request = request;
    change->verdict = OUTCOME_CHANGED;
    change->now_s = request->received.s;
    memcpy(change->name, name.ptr, name.len);
    if (!clerk_give(worker->shared->clerk, worker->index, &change->job))
        refuse(request, OUTCOME_OVERLOADED, NULL);
}

void codecs_handle_put(struct request *request)
{
    begin(request, write_codec);
}

void codecs_handle_delete(struct request *request)
{
    begin(request, remove_codec);
}

void codecs_handle_release(struct request *request)
{
    begin(request, release_codec);
}
