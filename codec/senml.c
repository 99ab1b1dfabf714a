// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Packs: records one after the other by codec/senml_record, those that yield something collected, and at the end a
 * stable sort by time (RFC 8428 section 4.6). Nothing is handed over before the last record is through.
 */
#include "codec/senml.h"

#include "codec/cborin.h"
#include "codec/json.h"
#include "codec/senml_record.h"
#include "codec/sort.h"

struct pack {
    struct senml_reader reader;
    struct observation *items;
    size_t count;
    bool in_order;
};

/*
 * Whether the record yields an observation. One of base fields only does not (RFC 8428 section 5.1.7 has such
 * a record). One without value and sum is an error, unless a base value or base sum stands in for it (section
 * 4.5.4).
 */
static bool is_observation(const struct senml_reader *reader, const struct senml_fields *fields, bool *ret)
{
    bool base_only = (fields->present & SENML_BASE_LABELS) != 0 && (fields->present & ~SENML_BASE_LABELS) == 0;
    bool has_value = (fields->present & (SENML_VALUE_LABELS | SENML_BIT(SENML_S))) != 0;
    bool from_base = fields->present != 0 && !base_only && (reader->base.has_value || reader->base.has_sum);
    if (!base_only && !has_value && !from_base)
        return senml_refuse_at(reader, fields->record, OUTCOME_BAD_VALUE, "A record has neither a value nor a sum.");
    *ret = !base_only;
    return true;
}

static bool take_record(struct pack *pack, const struct node *record)
{
    struct senml_reader *reader = &pack->reader;
    struct senml_fields fields;
    bool yields;
    if (!senml_record_read(reader, record, &fields) || !is_observation(reader, &fields, &yields))
        return false;
    if (!yields)
        return true;
    if (pack->count == reader->input->limits.records)
        return senml_refuse_at(reader, record, OUTCOME_TOO_COMPLEX, "The pack has too many records.");
    struct observation *observation = &pack->items[pack->count];
    if (!senml_record_resolve(reader, &fields, observation))
        return false;
    if (pack->count && timestamp_compare(pack->items[pack->count - 1].time, observation->time) > 0)
        pack->in_order = false;
    pack->count++;
    return true;
}

static int compare_times(const void *a, const void *b)
{
    const struct observation *x = a, *y = b;
    return timestamp_compare(x->time, y->time);
}

/* RFC 8428 section 4.6: resolved records are in chronological order. Nearly all packs are already. */
static bool sort_by_time(struct pack *pack)
{
    if (pack->in_order)
        return true;
    const void **order = arena_calloc(pack->reader.arena, pack->count, sizeof(*order));
    struct observation *sorted = arena_calloc(pack->reader.arena, pack->count, sizeof(*sorted));
    if (!order || !sorted)
        return refuse_memory(pack->reader.reterr);
    for (size_t i = 0; i < pack->count; i++)
        order[i] = &pack->items[i];
    if (!sort_pointers(order, pack->count, compare_times, pack->reader.arena))
        return refuse_memory(pack->reader.reterr);
    for (size_t i = 0; i < pack->count; i++)
        sorted[i] = *(const struct observation *)order[i];
    pack->items = sorted;
    return true;
}

static bool resolve_pack(struct pack *pack, const struct node *root, struct observation_list *ret)
{
    struct senml_reader *reader = &pack->reader;
    if (root->kind != NODE_ARRAY || root->count == 0)
        return senml_refuse_at(reader, root, OUTCOME_BAD_VALUE, "A pack has to be an array of at least one record.");
    pack->in_order = true;
    size_t most = root->count < reader->input->limits.records ? root->count : reader->input->limits.records;
    pack->items = arena_calloc(reader->arena, most, sizeof(*pack->items));
    if (!pack->items)
        return refuse_memory(reader->reterr);
    const struct node *record = node_first(root);
    for (uint32_t i = 0; i < root->count; i++, record = node_next(record)) {
        reader->in_first_record = i == 0;
        if (!take_record(pack, record))
            return false;
    }
    struct observation_list list = {.count = pack->count};
    if (!sequence_read(&reader->sequence, &list.sequence, reader->reterr) || !sort_by_time(pack))
        return false;
    list.items = pack->items;
    *ret = list;
    return true;
}

static enum outcome decode(enum senml_dialect dialect, senml_read_tree *read, const struct format_input *input,
                           struct arena *arena, struct observation_list *ret, struct format_error *reterr)
{
    const struct node *root;
    struct refusal refusal;
    struct pack pack = {
        .reader = {.dialect = dialect, .kind = SENML_PACK, .input = input, .arena = arena, .reterr = &refusal}};
    if (read(input->payload, &input->limits, arena, &root, &refusal) && resolve_pack(&pack, root, ret))
        return OUTCOME_CHANGED;
    return refusal_report(&refusal, reterr);
}

enum outcome senml_decode_json(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr)
{
    return decode(SENML_JSON, json_read, input, arena, ret, reterr);
}

enum outcome senml_decode_cbor(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr)
{
    return decode(SENML_CBOR, cborin_read, input, arena, ret, reterr);
}
