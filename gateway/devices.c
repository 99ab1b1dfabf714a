// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One device is answered in two steps, because a record of the registry does not outlive its turn: the record is copied
 * without its secret, then the parts of the history are asked one after the other on the worker's connection for
 * lookups. The answer is written when the last part is there, or the first that failed.
 */
#include "gateway/devices.h"

#include "codec/digits.h"
#include "gateway/clocks.h"
#include "gateway/history.h"
#include "gateway/report.h"
#include "gateway/rest.h"
#include "gateway/scope.h"
#include "gateway/worker.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

struct inquiry {
    struct request *request;
    struct device_record record; /* without its credentials */
    bool has[CREDENTIAL_KINDS];
    enum history_part part;
    struct history history;
    struct etag etag; /* of the record, for who changes it: the rest of the answer is never the same */
};

static void answer(struct request *request, struct report *report, const struct etag *etag)
{
    struct response response = response_of(OUTCOME_CONTENT);
    response.content_format = request->accept;
    response.max_age_s = 0; /* it changes with every message */
    if (etag)
        response.etag = *etag;
    if (report_finish(report, &response.body))
        request_finish(request, &response);
    else
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
}

/* A list. */

static bool parse_limit(struct bytes text, size_t *ret)
{
    uint64_t limit;
    if (!digits_read(text, 4, &limit))
        return false;
    *ret = (size_t)limit;
    return limit > 0 && limit <= LIMIT_MAX;
}

static bool is_list_query(struct bytes name)
{
    static const char *const names[] = {"limit",   "after",  "tenant",   "site",   "tag",
                                        "group",   "profile", "prefix",  "disabled", "secrets"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (bytes_equal_text(name, names[i]))
            return true;
    return false;
}

static const char *parse_list(const struct request *request, size_t *ret_limit, struct bytes *ret_after)
{
    bool limited;
    struct bytes limit = request_query(request, "limit", &limited);
    *ret_limit = LIMIT_DEFAULT;
    *ret_after = request_query(request, "after", NULL);
    for (size_t i = 0; i < request->query_count; i++)
        if (!is_list_query(request->query[i].name))
            return "GET /devices takes limit, after, tenant, site, tag, group, profile, prefix, disabled and secrets.";
    if (limited && !parse_limit(limit, ret_limit))
        return "limit is a number from 1 to 1000.";
    return ret_after->len && !schema_device_is_valid(*ret_after) ? "after is the id of a device." : NULL;
}

static void put_text(struct report *report, const char *name, const char *text)
{
    report_name(report, name);
    report_text(report, text);
}

static void put_bool(struct report *report, const char *name, bool truth)
{
    report_name(report, name);
    report_bool(report, truth);
}

static void put_uint(struct report *report, const char *name, uint64_t number)
{
    report_name(report, name);
    report_uint(report, number);
}

static void put_row(struct report *report, const struct device_record *record)
{
    report_map(report, 6);
    put_text(report, "id", record->id);
    put_text(report, "site", record->site);
    put_text(report, "tags", record->tags);
    put_text(report, "profile", record->profile);
    put_bool(report, "disabled", record->disabled);
    put_bool(report, "concentrator", record->concentrator);
    report_map_end(report);
}

/* What of a list is wanted. */
struct wanted {
    const struct request *request;
    struct scope scope;
};

static bool has_tag(const char *tags, struct bytes tag)
{
    for (const char *at = tags, *end; *at; at = *end ? end + 1 : end) {
        end = strchrnul(at, ',');
        if (bytes_equal(bytes_of(at, (size_t)(end - at)), tag))
            return true;
    }
    return false;
}

static bool is_wanted(const void *ctx, const struct device_record *device)
{
    const struct wanted *wanted = ctx;
    for (size_t i = 0; i < wanted->request->query_count; i++) {
        struct bytes name = wanted->request->query[i].name, value = wanted->request->query[i].value;
        bool is = (!bytes_equal_text(name, "site") || bytes_equal_text(value, device->site)) &&
                  (!bytes_equal_text(name, "group") || bytes_equal_text(value, device->group)) &&
                  (!bytes_equal_text(name, "profile") || bytes_equal_text(value, device->profile)) &&
                  (!bytes_equal_text(name, "tag") || has_tag(device->tags, value)) &&
                  (!bytes_equal_text(name, "prefix") || bytes_starts_with(bytes_of_text(device->id), value)) &&
                  (!bytes_equal_text(name, "disabled") ||
                   bytes_equal_text(value, device->disabled ? "true" : "false"));
        if (!is)
            return false;
    }
    return scope_has_device(&wanted->scope, device);
}

void devices_handle_list(struct request *request)
{
    struct wanted wanted = {.request = request};
    size_t limit;
    struct bytes after;
    const char *wrong = parse_list(request, &limit, &after);
    if (wrong) {
        request_refuse(request, OUTCOME_BAD_REQUEST, wrong);
        return;
    }
    const struct device_record **records = arena_calloc(request->arena, limit, sizeof *records);
    if (!records) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    if (scope_of(request, &wanted.scope) != OUTCOME_CONTENT) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return;
    }
    bool more;
    size_t count = registry_page(request->worker->shared->registry, bytes_of_text(wanted.scope.tenant), after,
                                 limit, is_wanted, &wanted, records, &more);
    if (request->accept == CONTENT_FORMAT_NDJSON) {
        rest_finish_export(request, records, count);
        return;
    }
    struct report report;
    report_init(&report, request->arena, request->accept == CONTENT_FORMAT_CBOR);
    report_map(&report, 2);
    put_bool(&report, "more", more);
    report_name(&report, "devices");
    report_array(&report, count);
    for (size_t i = 0; i < count; i++)
        put_row(&report, records[i]);
    report_array_end(&report);
    report_map_end(&report);
    answer(request, &report, NULL);
}

/* One. */

static const char *level_of_tenant(const struct inquiry *inquiry)
{
    const struct tenant_record *tenant =
        registry_tenant(inquiry->request->worker->shared->registry, bytes_of_text(inquiry->record.tenant));
    return delivery_level_name(tenant ? (enum delivery_level)tenant->level : LEVEL_SPOOLED);
}

static void put_ranges(struct report *report, const struct seen *seen)
{
    report_name(report, "ranges");
    report_array(report, seen->range_count);
    for (size_t i = 0; i < seen->range_count; i++) {
        report_array(report, 2);
        report_uint(report, seen->ranges[i].lo);
        report_uint(report, seen->ranges[i].hi);
        report_array_end(report);
    }
    report_array_end(report);
}

/* The tenant's level is that of all classes. */
static void put_levels(struct report *report, const char *level)
{
    report_name(report, "levels");
    report_map(report, 3);
    put_text(report, "alarm", level);
    put_text(report, "action", level);
    put_text(report, "telemetry", level);
    report_map_end(report);
}

static void put_delivery(struct report *report, const struct inquiry *inquiry, bool known)
{
    const struct request *request = inquiry->request;
    const struct history *history = &inquiry->history;
    bool exact = known && history->has_epoch;
    struct timestamp newest = {0};
    bool has_newest = latest_newest(request->worker->shared->latest, bytes_of_text(inquiry->record.tenant),
                                    bytes_of_text(inquiry->record.id), &newest);
    report_name(report, "delivery");
    report_map(report, 2 + has_newest + (known ? 2 : 0) + (exact ? 4 : 0));
    if (exact)
        put_uint(report, "epoch", history->epoch);
    put_text(report, "level", level_of_tenant(inquiry));
    put_levels(report, level_of_tenant(inquiry));
    if (has_newest) {
        report_name(report, "newest");
        report_int(report, newest.s);
    }
    if (exact) {
        put_ranges(report, &history->seen);
        put_uint(report, "highest", history->seen.highest);
        put_uint(report, "missing", history->seen.missing);
    }
    if (known) {
        put_text(report, "identity", delivery_class_name(history_class(history)));
        put_uint(report, "conflicts", history->conflicts);
    }
    report_map_end(report);
}

/* How right its clock is, and what is done about it. skew_s: seconds that it is ahead. */
static void put_clock(struct report *report, const struct inquiry *inquiry)
{
    const struct shared *shared = inquiry->request->worker->shared;
    struct profile_record profile = registry_profile_of(shared->registry, &inquiry->record);
    bool has_window = profile.clock == CLOCK_CORRECT || profile.clock == CLOCK_REFUSE;
    struct clocks_estimate estimate;
    bool heard = clocks_get(shared->clocks, bytes_of_text(inquiry->record.tenant), bytes_of_text(inquiry->record.id),
                            &estimate);
    report_name(report, "clock");
    report_map(report, 2 + (heard ? 2 : 0) + has_window);
    put_text(report, "state", !heard ? "unknown" : estimate.known ? "known" : "learning");
    put_text(report, "policy", record_clock_name(profile.clock));
    if (heard) {
        report_name(report, "skew_s");
        report_thousandths(report, estimate.error_ms);
        put_uint(report, "samples", estimate.samples);
    }
    if (has_window)
        put_uint(report, "window_s", clocks_window_s(&profile));
    report_map_end(report);
}

/* As text: a total has more digits than most programs keep of a number. */
static void put_totals(struct report *report, const struct history *history)
{
    report_name(report, "totals");
    report_array(report, history->total_count);
    for (size_t i = 0; i < history->total_count; i++) {
        report_map(report, 3);
        report_name(report, "name");
        report_string(report, history->totals[i].name);
        report_name(report, "time");
        report_int(report, history->totals[i].time_s);
        report_name(report, "total");
        report_string(report, history->totals[i].total);
        report_map_end(report);
    }
    report_array_end(report);
}

static void finish(struct inquiry *inquiry, bool known)
{
    struct request *request = inquiry->request;
    const struct device_record *record = &inquiry->record;
    struct identity who = {.kind = IDENTITY_DEVICE};
    struct report report;
    memcpy(who.tenant, record->tenant, sizeof who.tenant);
    memcpy(who.device, record->id, sizeof who.device);
    report_init(&report, request->arena, request->accept == CONTENT_FORMAT_CBOR);
    report_map(&report, 16 + (known ? 1 : 0));
    put_text(&report, "id", record->id);
    put_bool(&report, "psk", inquiry->has[CREDENTIAL_PSK]);
    put_bool(&report, "rpk", inquiry->has[CREDENTIAL_RPK]);
    put_text(&report, "site", record->site);
    put_text(&report, "tags", record->tags);
    put_bool(&report, "x509", inquiry->has[CREDENTIAL_X509] || inquiry->has[CREDENTIAL_CA]);
    put_clock(&report, inquiry);
    put_text(&report, "prefix", record->prefix[0] ? record->prefix : record->id);
    if (known)
        put_totals(&report, &inquiry->history);
    report_name(&report, "created");
    report_int(&report, record->created_s);
    put_text(&report, "profile", record->profile);
    put_delivery(&report, inquiry, known);
    put_bool(&report, "disabled", record->disabled);
    put_uint(&report, "sessions", presence_count(request->worker->shared->presence, &who));
    put_bool(&report, "frame_key", inquiry->has[CREDENTIAL_FRAME]);
    put_bool(&report, "concentrator", record->concentrator);
    put_text(&report, "delivery_state", known ? "known" : "unknown");
    report_map_end(&report);
    answer(request, &report, &inquiry->etag);
}

static void ask_next(struct inquiry *inquiry);

static void answered(void *ctx, const struct store_reply *reply)
{
    struct inquiry *inquiry = ctx;
    if (!reply || !history_take(inquiry->part, bytes_of_text(inquiry->record.id), reply, &inquiry->history)) {
        finish(inquiry, false);
        return;
    }
    inquiry->part++;
    ask_next(inquiry);
}

static void ask_next(struct inquiry *inquiry)
{
    struct redis *redis = inquiry->request->worker->lookups;
    struct history_question question;
    while (inquiry->part < HISTORY_PARTS &&
           !history_ask(inquiry->part, bytes_of_text(inquiry->record.tenant), bytes_of_text(inquiry->record.id),
                        &inquiry->history, &question))
        inquiry->part++;
    if (inquiry->part == HISTORY_PARTS)
        finish(inquiry, true);
    else if (!redis || !redis_send(redis, question.arguments[1], question.arguments, question.count, answered, inquiry))
        finish(inquiry, false);
    else
        redis_flush(redis);
}

void devices_handle_one(struct request *request)
{
    struct scope scope;
    const struct device_record *record = NULL;
    if (scope_of(request, &scope) == OUTCOME_CONTENT)
        record = registry_device(request->worker->shared->registry, bytes_of_text(scope.tenant),
                                 request->path_parameter);
    if (!record || !scope_has_device(&scope, record)) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return;
    }
    struct inquiry *inquiry = arena_calloc(request->arena, 1, sizeof *inquiry);
    if (!inquiry) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    inquiry->request = request;
    inquiry->history.arena = request->arena;
    inquiry->record = *record;
    for (size_t i = 0; i < record->credential_count; i++)
        inquiry->has[record->credentials[i].kind] = true;
    if (!rest_device_etag(record, &inquiry->etag)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    inquiry->record.credentials = NULL;
    inquiry->record.credential_count = 0;
    ask_next(inquiry);
}
