// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Answers from memory (gateway/latest), never from the stream, so that a reader cannot slow down a writer.
 *
 * A device reads its own values, a person those of the tenant, or of their sites; what lies outside is 4.04, as if it
 * were not there.
 * Local names get the device in front ("boiler-7:temp"), so that the answer is unambiguous SenML and could be posted
 * again as it is.
 */
#include "gateway/recall.h"

#include <stdlib.h>

#include "codec/digits.h"
#include "gateway/rights.h"
#include "gateway/route.h"
#include "gateway/worker.h"

#define RECALL_LIMIT_DEFAULT 1000

static bool parse_limit(struct bytes text, size_t *ret)
{
    uint64_t limit;
    if (!digits_read(text, 6, &limit))
        return false;
    *ret = (size_t)limit;
    return limit > 0;
}

/* The device that is asked for; a device asks for itself when it names none. */
static bool read_subject(const struct request *request, struct bytes *ret_device)
{
    bool named;
    struct bytes device = request_named_device(request, &named);
    struct bytes self = bytes_of_text(request->who.device);
    if (request->who.kind == IDENTITY_DEVICE) {
        if (named && !bytes_equal(device, self))
            return false;
        device = self;
    } else if (request->who.kind == IDENTITY_NETWORK && !named) {
        return false;
    }
    *ret_device = device;
    return !named || schema_device_is_valid(device);
}

static const char *parse(const struct request *request, struct recall_query *ret)
{
    static const char *const known[] = {"device", "d", "name", "limit", "tenant"};
    for (size_t i = 0; i < request->query_count; i++) {
        bool is_known = false;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
            is_known |= bytes_equal_text(request->query[i].name, known[k]);
        if (!is_known)
            return "Reading /obs takes device, name, limit and tenant; history (since, until) is not served.";
    }
    bool limited;
    struct bytes limit = request_query(request, "limit", &limited);
    ret->limit = RECALL_LIMIT_DEFAULT;
    ret->name = request_query(request, "name", NULL);
    if (limited && !parse_limit(limit, &ret->limit))
        return "limit is a number from 1 to 999999.";
    return NULL;
}

bool recall_full_name(struct arena *arena, struct bytes device, struct bytes name, struct bytes *ret)
{
    if (rights_name_is_global(name)) {
        *ret = name;
        return true;
    }
    return arena_join(arena, device, ':', name, ret);
}

static int by_time(const void *a, const void *b)
{
    const struct timestamp *x = &((const struct observation *)a)->time, *y = &((const struct observation *)b)->time;
    if (x->s != y->s)
        return x->s < y->s ? -1 : 1;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

static bool list_of(struct arena *arena, const struct latest_value *values, size_t count, struct observation_list *ret)
{
    struct observation_list list = {.count = count};
    list.items = arena_calloc(arena, count ? count : 1, sizeof *list.items);
    if (!list.items)
        return false;
    for (size_t i = 0; i < count; i++) {
        list.items[i] = values[i].observation;
        if (!recall_full_name(arena, values[i].device, values[i].observation.name, &list.items[i].name))
            return false;
    }
    qsort(list.items, count, sizeof *list.items, by_time);
    *ret = list;
    return true;
}

/* Devices without a record have no site. */
static bool is_in_scope(const struct registry *registry, const struct scope *scope, struct bytes device)
{
    if (!scope_is_limited(scope))
        return true;
    const struct device_record *record = registry_device(registry, bytes_of_text(scope->tenant), device);
    return record && scope_has_device(scope, record);
}

/* A device that nobody knows and that has no values is not there; a known one may have none yet. */
static bool exists(const struct request *request, const struct recall_query *query, enum latest_result result)
{
    if (query->device.len == 0 || result != LATEST_NOTHING)
        return true;
    const struct registry *registry = request->worker->shared->registry;
    return registry_device(registry, bytes_of_text(query->scope.tenant), query->device) != NULL;
}

/* Whose series are wanted beside the caller's own choice. */
struct choice {
    const struct registry *registry;
    const struct scope *scope;
    struct bytes name; /* of the query; empty: all */
    latest_wanted_fn *wanted;
    const void *ctx;
};

static bool is_wanted(const void *ctx, struct bytes device, struct bytes name)
{
    const struct choice *choice = ctx;
    return (choice->name.len == 0 || bytes_equal(name, choice->name)) &&
           (!choice->wanted || choice->wanted(choice->ctx, device, name)) &&
           is_in_scope(choice->registry, choice->scope, device);
}

bool recall_read_query(struct request *request, struct recall_query *ret)
{
    struct recall_query query = {0};
    const char *wrong = parse(request, &query);
    if (wrong) {
        request_refuse(request, OUTCOME_BAD_REQUEST, wrong);
        return false;
    }
    if (scope_of(request, &query.scope) != OUTCOME_CONTENT || !read_subject(request, &query.device) ||
        (query.device.len && !is_in_scope(request->worker->shared->registry, &query.scope, query.device))) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return false;
    }
    query.name = rights_local_name(query.device, query.name);
    *ret = query;
    return true;
}

bool recall_pack(struct request *request, const struct recall_query *query, latest_wanted_fn *wanted, const void *ctx,
                 struct observation_list *ret)
{
    struct choice choice = {request->worker->shared->registry, &query->scope, query->name, wanted, ctx};
    struct latest_value *values = NULL;
    size_t count = 0;
    enum latest_result result =
        latest_select(request->worker->shared->latest, bytes_of_text(query->scope.tenant), query->device, is_wanted,
                      &choice, query->limit, request->arena, &values, &count);
    if (result == LATEST_NO_MEMORY || !list_of(request->arena, values, count, ret)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, "The answer is too large; ask for one device or a lower limit.");
        return false;
    }
    if (!wanted && !exists(request, query, result)) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return false;
    }
    return true;
}

static void answer(struct request *request, struct bytes body)
{
    struct response response = response_of(OUTCOME_CONTENT);
    uint64_t digest = hash_bytes(&request->worker->shared->hash_key, body);
    response.etag.len = sizeof digest;
    memcpy(response.etag.octets, &digest, sizeof digest);
    response.observable = request->route->observable;
    if (etag_is_in(&response.etag, request->etags, request->etag_count))
        response.outcome = OUTCOME_VALID;
    if (response.outcome == OUTCOME_CONTENT) {
        response.content_format = request->accept;
        response.body = body;
    }
    request_finish(request, &response);
}

void recall_answer(struct request *request, const struct observation_list *pack)
{
    struct bytes body;
    enum outcome outcome = format_by_content_format(request->accept)->encode(pack, request->arena, &body);
    if (outcome_is_success(outcome))
        answer(request, body);
    else
        request_refuse(request, outcome, NULL);
}

void recall_handle(struct request *request)
{
    struct recall_query query;
    struct observation_list pack;
    if (recall_read_query(request, &query) && recall_pack(request, &query, NULL, NULL, &pack))
        recall_answer(request, &pack);
}
