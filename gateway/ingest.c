// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The middle of the path: request -> format -> rights -> sink -> latest -> answer.
 *
 * The body is copied to the request's arena first, because observations borrow from it and must outlive this turn: the
 * answer, the latest values and the observers wait for the sink's confirmation. Nothing is acknowledged before that.
 */
#include "gateway/ingest.h"

#include "gateway/rights.h"
#include "gateway/worker.h"

/* What the texts of all records may have beyond the size of a body, by base names and units that are repeated. */
#define REPEATED_TEXT_MAX ((size_t)256 << 10)

struct ingest {
    struct request *request;
    struct sink_record *records;
    size_t count;
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

static void confirmed(void *ctx, enum outcome outcome)
{
    struct ingest *ingest = ctx;
    if (outcome_is_success(outcome))
        remember_latest(ingest);
    struct response response = response_of(outcome);
    if (!outcome_is_success(outcome))
        response.max_age_s = SINK_RETRY_S;
    request_finish(ingest->request, &response);
}

static enum outcome decode(struct request *request, struct observation_list *ret, struct format_error *reterr)
{
    struct format_input input = {
        .now = request->received,
        .name = request_query(request, "n", NULL),
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

static enum outcome submit(struct request *request, struct ingest *ingest)
{
    struct sink_message message = {
        .tenant = bytes_of_text(request->who.tenant),
        .records = ingest->records,
        .count = ingest->count,
        .class = 't',
        .evidence = request->who.evidence,
        .brought_by = bytes_of_text(request->who.device),
    };
    return sink_append(request->worker->sink, &message, confirmed, ingest);
}

void ingest_handle(struct request *request)
{
    struct observation_list list = {0};
    struct format_error error = {.offset = SIZE_MAX};
    enum outcome outcome = decode(request, &list, &error);
    if (outcome_is_success(outcome) && list.count == 0) {
        /* A pack of base fields only is legal and says nothing. */
        request_refuse(request, OUTCOME_CHANGED, NULL);
        return;
    }
    if (outcome_is_success(outcome) && repeats_too_much(request, &list)) {
        outcome = OUTCOME_TOO_COMPLEX;
        error.detail = "A base name or base unit is too long for the number of records that repeat it.";
    }
    if (outcome_is_success(outcome)) {
        struct ingest *ingest = arena_calloc(request->arena, 1, sizeof *ingest);
        struct sink_record *records = arena_calloc(request->arena, list.count, sizeof *records);
        outcome = ingest && records ? assign_devices(request, &list, records) : OUTCOME_OUT_OF_MEMORY;
        if (outcome_is_success(outcome)) {
            *ingest = (struct ingest){.request = request, .records = records, .count = list.count};
            outcome = submit(request, ingest);
        }
        if (outcome_is_success(outcome))
            return;
    }
    struct response response = response_of(outcome);
    response.detail = error.detail;
    response.offset = error.offset;
    if (outcome_row(outcome)->http_status == 503)
        response.max_age_s = SINK_RETRY_S;
    request_finish(request, &response);
}
