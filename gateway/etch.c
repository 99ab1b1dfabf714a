// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records meet by the full name of their series ("boiler-7:temp"), whichever way either side says it. Only the series
 * that a pack names are copied out of the latest values, so a pack costs by its own size.
 *
 * Nothing locks the latest values between the look at them and the sink's confirmation: a removal leaves what became
 * newer than it meanwhile.
 */
#include "gateway/etch.h"

#include <stdlib.h>

#include "codec/etch.h"
#include "codec/timestamp.h"
#include "gateway/ingest.h"
#include "gateway/recall.h"
#include "gateway/rights.h"
#include "gateway/worker.h"

/* --- what both do --- */

typedef enum outcome read_pack(int content_format, const struct format_input *input, struct arena *arena,
                               struct etch_pack *ret, struct format_error *reterr);

static void refuse(struct request *request, enum outcome outcome, const struct format_error *error)
{
    struct response response = response_of(outcome);
    response.detail = error->detail;
    response.offset = error->offset;
    request_finish(request, &response);
}

/* The body is copied, because records borrow from it and wait for the sink. False: the request is finished. */
static bool read_body(struct request *request, read_pack *read, struct bytes *ret_payload, struct etch_pack *ret)
{
    struct format_input input = {.now = request->received, .limits = FORMAT_LIMITS_DEFAULT};
    struct format_error error = {.offset = SIZE_MAX};
    enum outcome outcome = OUTCOME_OUT_OF_MEMORY;
    if (arena_copy(request->arena, request->body, &input.payload))
        outcome = read(request->content_format, &input, request->arena, ret, &error);
    if (!outcome_is_success(outcome)) {
        refuse(request, outcome, &error);
        return false;
    }
    *ret_payload = input.payload;
    return true;
}

/* The names of a pack, sorted; a set to look series up in. */
struct series_set {
    struct bytes *names;
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    const struct bytes *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->len ? memcmp(x->ptr, y->ptr, x->len) : 0;
}

static bool make_set(const struct etch_pack *pack, struct arena *arena, struct series_set *ret)
{
    struct series_set set = {.names = arena_calloc(arena, pack->count, sizeof *set.names), .count = pack->count};
    if (!set.names)
        return false;
    for (size_t i = 0; i < pack->count; i++)
        set.names[i] = pack->items[i].series;
    qsort(set.names, set.count, sizeof *set.names, compare_names);
    *ret = set;
    return true;
}

/* Compares DEVICE:NAME, or NAME if that is global, with a full name. */
static int compare_parts(struct bytes device, struct bytes name, struct bytes full)
{
    size_t front = rights_name_is_global(name) ? 0 : device.len + 1;
    if (front + name.len != full.len)
        return front + name.len < full.len ? -1 : 1;
    int order = front ? memcmp(device.ptr, full.ptr, device.len) : 0;
    if (order == 0 && front)
        order = ':' - full.ptr[device.len];
    return order ? order : memcmp(name.ptr, full.ptr + front, name.len);
}

static bool is_in_set(const void *ctx, struct bytes device, struct bytes name)
{
    const struct series_set *set = ctx;
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_parts(device, name, set->names[middle]);
        if (order == 0)
            return true;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool set_series(struct arena *arena, struct bytes device, struct etch_record *record)
{
    struct bytes name = rights_local_name(device, record->observation.name);
    return recall_full_name(arena, device, name, &record->series);
}

/* --- FETCH --- */

/* A local name is that of the device that is asked for; where none is, it names nothing. */
static bool name_series(struct arena *arena, struct bytes device, struct etch_pack *fetch)
{
    for (size_t i = 0; device.len && i < fetch->count; i++)
        if (!set_series(arena, device, &fetch->items[i]))
            return false;
    return true;
}

void etch_handle_fetch(struct request *request)
{
    static const struct format_error no_memory = {"The memory of the request is used up.", SIZE_MAX};
    struct recall_query query;
    struct etch_pack fetch;
    struct bytes payload;
    struct series_set wanted;
    struct observation_list target, selected;
    if (!recall_read_query(request, &query) || !read_body(request, etch_read_fetch, &payload, &fetch))
        return;
    size_t limit = query.limit;
    query.limit = SIZE_MAX; /* it counts what is selected by times and units too */
    if (!name_series(request->arena, query.device, &fetch) || !make_set(&fetch, request->arena, &wanted)) {
        refuse(request, OUTCOME_OUT_OF_MEMORY, &no_memory);
        return;
    }
    if (!recall_pack(request, &query, is_in_set, &wanted, &target))
        return;
    if (!etch_select(&fetch, &target, request->arena, &selected)) {
        refuse(request, OUTCOME_OUT_OF_MEMORY, &no_memory);
        return;
    }
    if (selected.count > limit)
        selected.count = limit;
    recall_answer(request, &selected);
}

/* --- PATCH --- */

/* Whose record is each one, and which series? ret_devices: of each record, in the arena. */
static enum outcome judge(const struct request *request, struct etch_pack *patch, struct bytes **ret_devices)
{
    struct rights_question question = {
        .registry = request->worker->shared->registry,
        .who = &request->who,
        .named_device = request_named_device(request, NULL),
    };
    struct bytes *devices = arena_calloc(request->arena, patch->count, sizeof *devices);
    if (!devices)
        return OUTCOME_OUT_OF_MEMORY;
    for (size_t i = 0; i < patch->count; i++) {
        struct rights_answer answer;
        question.observation = &patch->items[i].observation;
        enum outcome outcome = rights_judge(&question, &answer);
        if (!outcome_is_success(outcome))
            return outcome;
        devices[i] = answer.device;
        if (!set_series(request->arena, devices[i], &patch->items[i]))
            return OUTCOME_OUT_OF_MEMORY;
    }
    *ret_devices = devices;
    return OUTCOME_CHANGED;
}

static int by_name(const void *a, const void *b)
{
    return compare_names(&((const struct observation *)a)->name, &((const struct observation *)b)->name);
}

/* Devices with a prefix of "*" may have global names in common; a pack has one record of each. */
static void drop_repeated(struct observation_list *list)
{
    size_t kept = 0;
    qsort(list->items, list->count, sizeof *list->items, by_name);
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || by_name(&list->items[kept - 1], &list->items[i]) != 0)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

/* The latest values of one device that a pack names. */
struct found {
    struct latest_value *values;
    size_t count;
};

static bool join_found(struct arena *arena, const struct found *found, size_t found_count, struct observation_list *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < found_count; i++)
        count += found[i].count;
    struct observation_list list = {.items = arena_calloc(arena, count + 1, sizeof *list.items)};
    if (!list.items)
        return false;
    for (size_t i = 0; i < found_count; i++) {
        for (size_t k = 0; k < found[i].count; k++, list.count++) {
            list.items[list.count] = found[i].values[k].observation;
            if (!recall_full_name(arena, found[i].values[k].device, list.items[list.count].name,
                                  &list.items[list.count].name))
                return false;
        }
    }
    drop_repeated(&list);
    *ret = list;
    return true;
}

/* The latest values of the series that the pack names: at most one for each. devices: of each record; sorted here.
 * False: out of memory. */
static bool find_target(struct request *request, const struct etch_pack *patch, struct bytes *devices,
                        struct observation_list *ret)
{
    struct bytes tenant = bytes_of_text(request->who.tenant);
    struct series_set set;
    struct found *found = arena_calloc(request->arena, patch->count, sizeof *found);
    if (!found || !make_set(patch, request->arena, &set))
        return false;
    qsort(devices, patch->count, sizeof *devices, compare_names);
    for (size_t i = 0; i < patch->count; i++) {
        if (i > 0 && bytes_equal(devices[i], devices[i - 1]))
            continue;
        if (latest_select(request->worker->shared->latest, tenant, devices[i], is_in_set, &set, patch->count,
                          request->arena, &found[i].values, &found[i].count) == LATEST_NO_MEMORY)
            return false;
    }
    return join_found(request->arena, found, patch->count, ret);
}

/*
 * What removes is not older than what it removes, whatever the clocks say. Its time is no reading of the
 * device's clock: nothing is to be learned from it, and it is not to be corrected (gateway/clocks).
 */
static void stamp_removal(const struct etch_change *change, struct observation *observation)
{
    observation->time_source = TIME_RECEIPT;
    if (!change->record->has_time && timestamp_compare(observation->time, change->removed) < 0)
        observation->time = change->removed;
}

static bool list_changes(struct arena *arena, const struct etch_changes *changes, struct observation_list *ret)
{
    struct observation_list list = {.count = changes->count};
    list.items = arena_calloc(arena, changes->count ? changes->count : 1, sizeof *list.items);
    if (!list.items)
        return false;
    for (size_t i = 0; i < changes->count; i++) {
        list.items[i] = changes->items[i].record->observation;
        if (changes->items[i].record->removes)
            stamp_removal(&changes->items[i], &list.items[i]);
    }
    *ret = list;
    return true;
}

/* From the pack to the observations that it makes. */
static enum outcome apply(struct request *request, struct etch_pack *patch, struct observation_list *ret,
                          struct format_error *reterr)
{
    struct bytes *devices;
    struct observation_list target;
    struct etch_changes changes;
    enum outcome outcome = judge(request, patch, &devices);
    if (outcome_is_success(outcome) && !find_target(request, patch, devices, &target))
        outcome = OUTCOME_OUT_OF_MEMORY;
    if (outcome_is_success(outcome))
        outcome = etch_apply(patch, &target, request->arena, &changes, reterr);
    if (outcome_is_success(outcome) && !list_changes(request->arena, &changes, ret))
        outcome = OUTCOME_OUT_OF_MEMORY;
    ret->sequence = patch->sequence;
    return outcome;
}

void etch_handle_patch(struct request *request)
{
    struct etch_pack patch;
    struct bytes payload;
    struct observation_list list = {0};
    struct format_error error = {.offset = SIZE_MAX};
    if (!read_body(request, etch_read_patch, &payload, &patch))
        return;
    enum outcome outcome = apply(request, &patch, &list, &error);
    if (!outcome_is_success(outcome)) {
        refuse(request, outcome, &error);
        return;
    }
    /* It sets a state: what was set before is set again by the same words. */
    struct claim_content content = {
        .content_format = request->content_format,
        .device = request_named_device(request, NULL),
        .payload = payload,
        .by_exchange = true,
    };
    ingest_submit(request, &list, &content, ingest_answer, NULL);
}
