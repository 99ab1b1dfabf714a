// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Fetch and patch packs by the reader of SenML records, then matched with a target. To match, records are sorted by
 * series, so that no choice of names is slow: a pack of a thousand records and a target of as many take a few thousand
 * comparisons. Within one series each is compared with each.
 */
#include "codec/etch.h"

#include "codec/cborin.h"
#include "codec/json.h"
#include "codec/senml_record.h"
#include "codec/sort.h"

/* Reading. */

static bool take_fetch(struct senml_reader *reader, const struct senml_fields *fields, struct etch_record *record)
{
    return senml_record_select(reader, fields, &record->observation);
}

static bool take_patch(struct senml_reader *reader, const struct senml_fields *fields, struct etch_record *record)
{
    if (!(fields->present & (SENML_VALUE_LABELS | SENML_BIT(SENML_S))))
        return senml_refuse_at(reader, fields->record, OUTCOME_UNPROCESSABLE,
                               "A patch record has neither a value nor a sum.");
    record->removes = senml_has(fields, SENML_V) && senml_field(fields, SENML_V)->kind == NODE_NULL;
    return record->removes ? senml_record_select(reader, fields, &record->observation)
                           : senml_record_resolve(reader, fields, &record->observation);
}

static bool take_record(struct senml_reader *reader, const struct node *node, struct etch_record *record)
{
    struct senml_fields fields;
    if (!senml_record_read(reader, node, &fields))
        return false;
    bool good = reader->kind == SENML_FETCH ? take_fetch(reader, &fields, record)
                                            : take_patch(reader, &fields, record);
    record->series = record->observation.name;
    record->has_time = senml_has(&fields, SENML_T) || reader->base.has_time;
    record->has_unit = senml_has(&fields, SENML_U) || reader->base.unit.len > 0;
    record->offset = node_offset(node);
    return good;
}

static bool take_pack(struct senml_reader *reader, const struct node *root, struct etch_pack *ret)
{
    struct etch_pack pack = {0};
    if (root->kind != NODE_ARRAY || root->count == 0)
        return senml_refuse_at(reader, root, OUTCOME_UNPROCESSABLE,
                               "A pack has to be an array of at least one record.");
    if (root->count > reader->input->limits.records)
        return senml_refuse_at(reader, root, OUTCOME_TOO_COMPLEX, "The pack has too many records.");
    pack.items = arena_calloc(reader->arena, root->count, sizeof(*pack.items));
    if (!pack.items)
        return refuse_memory(reader->reterr);
    const struct node *record = node_first(root);
    for (; pack.count < root->count; pack.count++, record = node_next(record)) {
        reader->in_first_record = pack.count == 0;
        if (!take_record(reader, record, &pack.items[pack.count]))
            return false;
    }
    if (!sequence_read(&reader->sequence, &pack.sequence, reader->reterr))
        return false;
    *ret = pack;
    return true;
}

/* RFC 8790 asks for one code for all that is wrong with a record. */
static enum outcome outcome_of(enum outcome of_record)
{
    switch ((int)of_record) {
    case OUTCOME_BAD_VALUE:
    case OUTCOME_BAD_NAME:
    case OUTCOME_BAD_VERSION:
    case OUTCOME_MUST_UNDERSTAND:
        return OUTCOME_UNPROCESSABLE;
    default:
        return of_record;
    }
}

static enum outcome read_pack(enum senml_kind kind, int content_format, const struct format_input *input,
                              struct arena *arena, struct etch_pack *ret, struct format_error *reterr)
{
    bool is_cbor = content_format == CONTENT_FORMAT_ETCH_CBOR;
    senml_read_tree *read = is_cbor ? cborin_read : json_read;
    const struct node *root;
    struct refusal refusal;
    struct senml_reader reader = {.dialect = is_cbor ? SENML_CBOR : SENML_JSON,
                                  .kind = kind,
                                  .input = input,
                                  .arena = arena,
                                  .reterr = &refusal};
    if (!read(input->payload, &input->limits, arena, &root, &refusal))
        return refusal_report(&refusal, reterr);
    if (take_pack(&reader, root, ret))
        return OUTCOME_CHANGED;
    return outcome_of(refusal_report(&refusal, reterr));
}

enum outcome etch_read_fetch(int content_format, const struct format_input *input, struct arena *arena,
                             struct etch_pack *ret, struct format_error *reterr)
{
    return read_pack(SENML_FETCH, content_format, input, arena, ret, reterr);
}

enum outcome etch_read_patch(int content_format, const struct format_input *input, struct arena *arena,
                             struct etch_pack *ret, struct format_error *reterr)
{
    return read_pack(SENML_PATCH, content_format, input, arena, ret, reterr);
}

/* Matching. */

/* Any order will do; equal is equal. */
static int compare_names(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

static int compare_series(const void *a, const void *b)
{
    const struct etch_record *x = a, *y = b;
    return compare_names(x->series, y->series);
}

/* Beside the series. */
static bool fits(const struct etch_record *record, struct timestamp time, struct bytes unit)
{
    return (!record->has_time || timestamp_compare(record->observation.time, time) == 0) &&
           (!record->has_unit || bytes_equal(record->observation.unit, unit));
}

/* The first of the sorted records whose series is not before the name. */
static size_t first_not_before(const void *const *sorted, size_t count, struct bytes name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct etch_record *record = sorted[middle];
        if (compare_names(record->series, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_selected(const void *const *sorted, size_t count, const struct observation *target)
{
    for (size_t i = first_not_before(sorted, count, target->name); i < count; i++) {
        const struct etch_record *record = sorted[i];
        if (compare_names(record->series, target->name) != 0)
            return false;
        if (fits(record, target->time, target->unit))
            return true;
    }
    return false;
}

bool etch_select(const struct etch_pack *fetch, const struct observation_list *target, struct arena *arena,
                 struct observation_list *ret)
{
    struct observation_list list = {0};
    const void **sorted = arena_calloc(arena, fetch->count ? fetch->count : 1, sizeof(*sorted));
    list.items = arena_calloc(arena, target->count ? target->count : 1, sizeof(*list.items));
    if (!sorted || !list.items)
        return false;
    for (size_t i = 0; i < fetch->count; i++)
        sorted[i] = &fetch->items[i];
    if (!sort_pointers(sorted, fetch->count, compare_series, arena))
        return false;
    for (size_t i = 0; i < target->count; i++) {
        if (is_selected(sorted, fetch->count, &target->items[i]))
            list.items[list.count++] = target->items[i];
    }
    *ret = list;
    return true;
}

/* Changing. */

/* A record of the target while the pack is applied to it: one that was there, or one that a patch record makes. */
struct cell {
    struct bytes series;
    struct timestamp time;
    struct bytes unit;
    const struct etch_record *patch; /* NULL: it was there before */
    struct cell_state {
        bool is_there;
        bool acts; /* the patch record changes something */
        struct timestamp removed;
    } *state;
};

static int compare_cells(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    return compare_names(x->series, y->series);
}

/* Applies one patch record to those before it in its series. False: more than one matches. */
static bool apply_one(const void *const *series, size_t before, const struct cell *cell)
{
    const struct cell *match = NULL;
    for (size_t i = 0; i < before; i++) {
        const struct cell *other = series[i];
        if (!other->state->is_there || !fits(cell->patch, other->time, other->unit))
            continue;
        if (match)
            return false;
        match = other;
    }
    if (match)
        match->state->is_there = false;
    if (match && cell->patch->removes)
        cell->state->removed = match->time;
    cell->state->is_there = !cell->patch->removes;
    cell->state->acts = !cell->patch->removes || match;
    return true;
}

/* NULL: done. Else the record that matches more than one. */
static const struct etch_record *apply_all(const void *const *sorted, size_t count)
{
    for (size_t i = 0, start = 0; i < count; i++) {
        const struct cell *cell = sorted[i];
        if (compare_cells(sorted[start], cell) != 0)
            start = i;
        if (cell->patch && !apply_one(sorted + start, i - start, cell))
            return cell->patch;
    }
    return NULL;
}

/* The cells of the target, then those of the patch, each in its order; ret_sorted: by series. */
static struct cell *make_cells(const struct etch_pack *patch, const struct observation_list *target,
                               struct arena *arena, const void ***ret_sorted)
{
    size_t count = patch->count + target->count;
    struct cell *cells = arena_calloc(arena, count ? count : 1, sizeof(*cells));
    struct cell_state *states = arena_calloc(arena, count ? count : 1, sizeof(*states));
    const void **sorted = arena_calloc(arena, count ? count : 1, sizeof(*sorted));
    if (!cells || !states || !sorted)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const struct etch_record *record = i < target->count ? NULL : &patch->items[i - target->count];
        const struct observation *observation = record ? &record->observation : &target->items[i];
        states[i].is_there = !record;
        cells[i] = (struct cell){.series = record ? record->series : observation->name,
                                 .time = observation->time,
                                 .unit = observation->unit,
                                 .patch = record,
                                 .state = &states[i]};
        sorted[i] = &cells[i];
    }
    *ret_sorted = sorted;
    return sort_pointers(sorted, count, compare_cells, arena) ? cells : NULL;
}

static enum outcome no_memory(struct format_error *reterr)
{
    *reterr = (struct format_error){"The memory of the request is used up.", SIZE_MAX};
    return OUTCOME_OUT_OF_MEMORY;
}

enum outcome etch_apply(const struct etch_pack *patch, const struct observation_list *target, struct arena *arena,
                        struct etch_changes *ret, struct format_error *reterr)
{
    const void **sorted;
    struct cell *cells = make_cells(patch, target, arena, &sorted);
    struct etch_changes changes = {0};
    changes.items = arena_calloc(arena, patch->count ? patch->count : 1, sizeof(*changes.items));
    if (!cells || !changes.items)
        return no_memory(reterr);
    const struct etch_record *ambiguous = apply_all(sorted, patch->count + target->count);
    if (ambiguous) {
        *reterr = (struct format_error){"A patch record matches more than one record.", ambiguous->offset};
        return OUTCOME_UNPROCESSABLE;
    }
    for (size_t i = target->count; i < target->count + patch->count; i++) {
        if (cells[i].state->acts)
            changes.items[changes.count++] = (struct etch_change){cells[i].patch, cells[i].state->removed};
    }
    *ret = changes;
    return OUTCOME_CHANGED;
}
