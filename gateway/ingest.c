// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The middle of the path: request -> format -> rights -> rules -> sink -> latest -> answer.
 *
 * The body is copied to the request's arena first, because observations borrow from it and must outlive this turn: the
 * answer, the latest values and the observers wait for the sink's confirmation. Nothing is acknowledged before that.
 */
#include "gateway/ingest.h"

#include "gateway/claim.h"
#include "gateway/rights.h"
#include "gateway/rt/crash.h"
#include "gateway/worker.h"

/* What the texts of all records may have beyond the size of a body, by base names and units that are repeated. */
#define REPEATED_TEXT_MAX ((size_t)256 << 10)

#define CLASS_OF_OBS 't' /* telemetry: what POST /obs brings */

struct ingest {
    struct request *request;
    struct sink_record *records;
    size_t count;
    struct claim claim;
};

static void remember_latest(const struct ingest *ingest)
{
    struct worker *worker = ingest->request->worker;
    struct bytes tenant = bytes_of_text(ingest->request->who.tenant);
    for (size_t i = 0; i < ingest->count; i++) {
        struct bytes device = ingest->records[i].device;
        struct observation series = *ingest->records[i].observation;
        series.name = rights_local_name(device, series.name);
        if (latest_is_plausible(series.time, ingest->request->received))
            latest_put(worker->shared->latest, tenant, device, &series);
        if (i + 1 == ingest->count || !bytes_equal(device, ingest->records[i + 1].device))
            worker_changed(worker, tenant, device);
    }
}

/* Ends the request with what has become of its records. Without memory for the body the code alone must do. */
static void acknowledge(struct request *request, const struct claim *claim, const struct sink_receipt *receipt,
                        size_t records)
{
    struct response response = response_of(OUTCOME_CHANGED);
    response.level = delivery_level_name(receipt->level);
    response.duplicate = receipt->duplicate;
    if (claim->wants_receipt || request->accept != CONTENT_FORMAT_NONE)
        (void)claim_receipt_body(request, receipt, records, &response);
    request_finish(request, &response);
}

static void refuse(struct request *request, enum outcome outcome, const struct format_error *error)
{
    struct response response = response_of(outcome);
    response.detail = error->detail;
    response.offset = error->offset;
    if (outcome_row(outcome)->http_status == 503)
        response.max_age_s = SINK_RETRY_S;
    request_finish(request, &response);
}

static void confirmed(void *ctx, enum outcome outcome, const struct sink_receipt *receipt)
{
    struct ingest *ingest = ctx;
    if (!outcome_is_success(outcome)) {
        const char *detail = outcome == OUTCOME_LEVEL_MISSED
                                 ? "Redis does not sync before it answers, or too few replicas have it."
                                 : NULL;
        refuse(ingest->request, outcome, &(struct format_error){.detail = detail, .offset = SIZE_MAX});
        return;
    }
    if (!receipt->duplicate)
        remember_latest(ingest);
    acknowledge(ingest->request, &ingest->claim, receipt, ingest->count);
}

static enum outcome decode(struct request *request, struct observation_list *ret, struct format_error *reterr)
{
    struct format_input input = {
        .now = request->received,
        .name = claim_name(request),
        .unit = request_query(request, "u", NULL),
        .limits = FORMAT_LIMITS_DEFAULT,
    };
    if (!arena_copy(request->arena, request->body, &input.payload))
        return OUTCOME_OUT_OF_MEMORY;
    return format_by_content_format(request->content_format)->decode(&input, request->arena, ret, reterr);
}

/* A base unit of 50 kB costs a payload little and the stream 50 kB for each record. */
static bool repeats_too_much(const struct request *request, const struct observation_list *list)
{
    size_t room = request->worker->shared->settings->body_max + REPEATED_TEXT_MAX;
    for (size_t i = 0; i < list->count; i++) {
        const struct observation *observation = &list->items[i];
        bool has_data = observation->kind == VALUE_TEXT || observation->kind == VALUE_BYTES;
        size_t len = observation->name.len + observation->unit.len + (has_data ? observation->data.len : 0);
        if (len > room)
            return true;
        room -= len;
    }
    return false;
}

/* Whose record is each one? The ids are copied: the registry may change before the sink confirms. */
static enum outcome assign_devices(const struct request *request, const struct observation_list *list,
                                   struct sink_record *records)
{
    struct rights_question question = {
        .registry = request->worker->shared->registry,
        .who = &request->who,
        .named_device = request_named_device(request, NULL),
    };
    struct bytes last = {0};
    for (size_t i = 0; i < list->count; i++) {
        struct bytes device;
        question.observation = &list->items[i];
        enum outcome outcome = rights_judge(&question, &device);
        if (!outcome_is_success(outcome))
            return outcome;
        if (!bytes_equal(device, last) && !arena_copy(request->arena, device, &last))
            return OUTCOME_OUT_OF_MEMORY;
        records[i] = (struct sink_record){.device = last, .observation = &list->items[i]};
    }
    return OUTCOME_CHANGED;
}

/* The level that the tenant demands; mapped networks have tenants that nobody made a record of. */
static enum delivery_level level_of_tenant(const struct request *request)
{
    const struct tenant_record *tenant =
        registry_tenant(request->worker->shared->registry, bytes_of_text(request->who.tenant));
    return tenant ? (enum delivery_level)tenant->level : LEVEL_SPOOLED;
}

/* Copied: the registry may change before the sink has written the record. */
static bool copy_tags(struct arena *arena, const struct rule_record *rule, struct sink_record *record)
{
    struct record_field *tags = arena_calloc(arena, rule->tag_count, sizeof *tags);
    for (size_t i = 0; tags && i < rule->tag_count; i++)
        if (!arena_copy(arena, bytes_of_text(rule->tags[i].name), &tags[i].name) ||
            !arena_copy(arena, bytes_of_text(rule->tags[i].value), &tags[i].value))
            return false;
    record->tags = tags;
    record->tag_count = rule->tag_count;
    return tags != NULL;
}

/* Which stream each record goes to, and what is written behind it. Neighbours mostly share a rule, and its copy. */
static enum outcome assign_streams(const struct request *request, struct sink_record *records, size_t count)
{
    struct registry_series series = {.tenant = bytes_of_text(request->who.tenant), .class = CLASS_OF_OBS};
    const struct rule_record *last = NULL;
    for (size_t i = 0; i < count; i++) {
        struct sink_record *record = &records[i];
        series.device = record->device;
        series.name = rights_local_name(record->device, record->observation->name);
        const struct rule_record *rule = registry_route(request->worker->shared->registry, &series);
        if (rule && rule == last) {
            record->stream = records[i - 1].stream;
            record->tags = records[i - 1].tags;
            record->tag_count = records[i - 1].tag_count;
        } else if (rule && (!arena_copy(request->arena, bytes_of_text(rule->stream), &record->stream) ||
                            (rule->tag_count && !copy_tags(request->arena, rule, record)))) {
            return OUTCOME_OUT_OF_MEMORY;
        }
        last = rule;
    }
    return OUTCOME_CHANGED;
}

static enum outcome submit(struct request *request, struct ingest *ingest)
{
    bool is_device = request->who.kind == IDENTITY_DEVICE;
    struct sink_message message = {
        .tenant = bytes_of_text(request->who.tenant),
        .records = ingest->records,
        .count = ingest->count,
        .class = CLASS_OF_OBS,
        .evidence = request->who.evidence,
        .brought_by = bytes_of_text(request->who.device),
        .speaker = is_device ? bytes_of_text(request->who.device) : ingest->records[0].device,
    };
    if (!claim_identify(&ingest->claim, request, &message))
        return OUTCOME_INTERNAL;
    CRASH_POINT("S2");
    return sink_append(request->worker->sink, &message, confirmed, ingest);
}

/* OUTCOME_CHANGED: the sink has it, and will confirm. */
static enum outcome take(struct request *request, const struct observation_list *list, const struct claim *claim,
                         struct format_error *reterr)
{
    if (repeats_too_much(request, list)) {
        reterr->detail = "A base name or base unit is too long for the number of records that repeat it.";
        return OUTCOME_TOO_COMPLEX;
    }
    struct ingest *ingest = arena_calloc(request->arena, 1, sizeof *ingest);
    struct sink_record *records = arena_calloc(request->arena, list->count, sizeof *records);
    if (!ingest || !records)
        return OUTCOME_OUT_OF_MEMORY;
    enum outcome outcome = assign_devices(request, list, records);
    if (outcome_is_success(outcome))
        outcome = assign_streams(request, records, list->count);
    if (!outcome_is_success(outcome))
        return outcome;
    *ingest = (struct ingest){.request = request, .records = records, .count = list->count, .claim = *claim};
    return submit(request, ingest);
}

void ingest_handle(struct request *request)
{
    struct observation_list list = {0};
    struct format_error error = {.offset = SIZE_MAX};
    struct claim claim;
    enum outcome outcome = decode(request, &list, &error);
    if (outcome_is_success(outcome) &&
        !claim_read(request, &list.sequence, level_of_tenant(request), &claim, &error.detail))
        outcome = OUTCOME_BAD_VALUE;
    if (outcome_is_success(outcome) && list.count == 0) {
        /* A pack of base fields only is legal and says nothing: whatever is demanded of it is so. */
        acknowledge(request, &claim, &(struct sink_receipt){.level = claim.level}, 0);
        return;
    }
    if (outcome_is_success(outcome))
        outcome = take(request, &list, &claim, &error);
    if (!outcome_is_success(outcome))
        refuse(request, outcome, &error);
}
