// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The resolution algorithm of RFC 8428 section 4.6, record by record:
 *
 *   sort_fields    a record's fields by label; unknown ones are ignored, or the pack refused
 *   take_base      base fields hold from this record on
 *   resolve        name, unit, time, value and sum from the fields and the base in force
 *
 * and at the end a stable sort by time. Nothing is handed over before the last record is through.
 */
#include "codec/senml.h"

#include "codec/base64url.h"
#include "codec/cborin.h"
#include "codec/json.h"
#include "codec/sequence.h"
#include "codec/sort.h"
#include "codec/timestamp.h"

/* RFC 8428 section 12.2, table 4: the labels' numbers in CBOR. */
enum label {
    LABEL_BS = -6,
    LABEL_BV = -5,
    LABEL_BU = -4,
    LABEL_BT = -3,
    LABEL_BN = -2,
    LABEL_BVER = -1,
    LABEL_N = 0,
    LABEL_U = 1,
    LABEL_V = 2,
    LABEL_VS = 3,
    LABEL_VB = 4,
    LABEL_S = 5,
    LABEL_T = 6,
    LABEL_UT = 7,
    LABEL_VD = 8,
    LABEL_UNKNOWN = 9,
};

#define LABEL_FIRST LABEL_BS
#define LABEL_COUNT (LABEL_UNKNOWN - LABEL_FIRST)
#define BIT(label) (1U << ((label) - LABEL_FIRST))

#define BASE_LABELS                                                                                          \
    (BIT(LABEL_BS) | BIT(LABEL_BV) | BIT(LABEL_BU) | BIT(LABEL_BT) | BIT(LABEL_BN) | BIT(LABEL_BVER))
#define VALUE_LABELS (BIT(LABEL_V) | BIT(LABEL_VS) | BIT(LABEL_VB) | BIT(LABEL_VD))
#define ALL_LABELS ((1U << LABEL_COUNT) - 1)

/*
 * RFC 9100: a version is a set of features by bits; 10 is bits 1 and 3. Understood beyond that: bit 4, units
 * of the secondary registry in u, which are kept as they are. Versions up to 10 are from before that rule.
 */
#define VERSION_DEFAULT 10
#define VERSION_FEATURES (VERSION_DEFAULT | 1U << 4)

/* How the pack is written. */
enum dialect {
    DIALECT_JSON,
    DIALECT_CBOR,
};

/* One record, by label; label LABEL_FIRST is at index 0. */
struct fields {
    const struct node *at[LABEL_COUNT];
    unsigned present; /* BIT() of each */
    const struct node *record;
};

/* The base fields in force. */
struct base {
    struct bytes name;
    struct bytes unit;
    bool has_time, has_value, has_sum;
    timestamp_atto time;
    struct decimal value;
    struct number value_number;
    struct decimal sum;
    struct number sum_number;
    uint64_t version; /* 0 before the first record */
};

struct pack {
    enum dialect dialect;
    const struct format_input *input;
    struct arena *arena;
    struct refusal *reterr;
    struct base base;
    struct observation *items;
    size_t count;
    bool in_order;
    bool in_first_record;
    struct sequence_members sequence; /* of the first record */
};

static const struct node *field(const struct fields *fields, enum label label)
{
    return fields->at[label - LABEL_FIRST];
}

static bool has(const struct fields *fields, enum label label)
{
    return (fields->present & BIT(label)) != 0;
}

static bool refuse_at(const struct pack *pack, const struct node *node, enum outcome outcome,
                      const char *detail)
{
    return refuse(pack->reterr, outcome, detail, node_offset(node));
}

/* Labels. */

static enum label label_of_one(uint8_t c)
{
    switch (c) {
    case 'n':
        return LABEL_N;
    case 'u':
        return LABEL_U;
    case 'v':
        return LABEL_V;
    case 's':
        return LABEL_S;
    case 't':
        return LABEL_T;
    default:
        return LABEL_UNKNOWN;
    }
}

static enum label label_of_text(struct bytes text)
{
    static const struct {
        char text[3];
        int8_t label;
    } twos[] = {{"bn", LABEL_BN}, {"bt", LABEL_BT}, {"bu", LABEL_BU}, {"bv", LABEL_BV}, {"bs", LABEL_BS},
                {"vs", LABEL_VS}, {"vb", LABEL_VB}, {"vd", LABEL_VD}, {"ut", LABEL_UT}};

    if (text.len == 1)
        return label_of_one(text.ptr[0]);
    if (text.len == 2) {
        for (size_t i = 0; i < sizeof(twos) / sizeof(twos[0]); i++) {
            if (text.ptr[0] == (uint8_t)twos[i].text[0] && text.ptr[1] == (uint8_t)twos[i].text[1])
                return (enum label)twos[i].label;
        }
        return LABEL_UNKNOWN;
    }
    return bytes_equal(text, BYTES_LITERAL("bver")) ? LABEL_BVER : LABEL_UNKNOWN;
}

static enum label label_of_integer(const struct node *key)
{
    if (key->negative)
        return key->integer < -LABEL_FIRST ? (enum label)(-1 - (int)key->integer) : LABEL_UNKNOWN;
    return key->integer < LABEL_UNKNOWN ? (enum label)key->integer : LABEL_UNKNOWN;
}

static bool read_label(const struct pack *pack, const struct node *key, enum label *ret)
{
    if (key->kind == NODE_INTEGER) {
        *ret = label_of_integer(key);
        return true;
    }
    if (key->kind != NODE_TEXT)
        return refuse_at(pack, key, OUTCOME_BAD_VALUE, "A label is neither an integer nor text.");
    if (key->data.len && key->data.ptr[key->data.len - 1] == '_')
        return refuse_at(pack, key, OUTCOME_MUST_UNDERSTAND, "A label that must be understood is not known.");
    enum label label = label_of_text(key->data);
    /* In CBOR the text "v" beside the integer 2 would be the same field twice. */
    if (pack->dialect == DIALECT_CBOR && label != LABEL_UNKNOWN)
        return refuse_at(pack, key, OUTCOME_BAD_VALUE, "A label has to be an integer in CBOR.");
    *ret = label;
    return true;
}

/* Whether a value has the type that RFC 8428 section 4.1 and 4.2 ask for. */
static bool check_type(const struct pack *pack, enum label label, const struct node *value)
{
    bool good = false;
    switch (label) {
    case LABEL_N:
    case LABEL_U:
    case LABEL_VS:
    case LABEL_BN:
    case LABEL_BU:
        good = value->kind == NODE_TEXT && !value->indefinite;
        break;
    case LABEL_VB:
        good = value->kind == NODE_BOOLEAN;
        break;
    case LABEL_VD:
        good = value->kind == (pack->dialect == DIALECT_CBOR ? NODE_BYTES : NODE_TEXT) && !value->indefinite;
        break;
    case LABEL_BVER:
        good = value->kind == NODE_NUMBER || (value->kind == NODE_INTEGER && !value->negative);
        break;
    default:
        good = node_is_number(value);
        break;
    }
    return good || refuse_at(pack, value, OUTCOME_BAD_VALUE, "A field has a value of the wrong type.");
}

static bool sort_fields(struct pack *pack, const struct node *record, struct fields *ret)
{
    if (record->kind != NODE_MAP)
        return refuse_at(pack, record, OUTCOME_BAD_VALUE, "A record is not an object.");
    ret->present = 0;
    ret->record = record;
    const struct node *key = node_first(record);
    for (uint32_t i = 0; i < record->count; i++) {
        const struct node *value = key + 1;
        enum label label;
        if (!read_label(pack, key, &label))
            return false;
        if (label == LABEL_UNKNOWN && pack->in_first_record)
            (void)sequence_note(&pack->sequence, key);
        key = node_next(value);
        if (label == LABEL_UNKNOWN)
            continue;
        if (!check_type(pack, label, value))
            return false;
        ret->at[label - LABEL_FIRST] = value;
        ret->present |= BIT(label);
    }
    if (__builtin_popcount(ret->present & VALUE_LABELS) > 1)
        return refuse_at(pack, record, OUTCOME_BAD_VALUE, "A record has more than one value.");
    return true;
}

/* Base fields. */

static bool read_version(const struct pack *pack, const struct node *node, uint64_t *ret)
{
    struct decimal version;
    if (!node_decimal(node, &version, pack->reterr))
        return false;
    if (version.exponent != 0 || version.negative || version.count > 16 || decimal_is_zero(&version))
        return refuse_at(pack, node, OUTCOME_BAD_VALUE, "A version is not a positive integer.");
    *ret = version.small;
    return true;
}

/* All records of a pack have one version; the first one says which (RFC 8428 section 4.1). */
static bool take_version(struct pack *pack, const struct fields *fields)
{
    uint64_t version = pack->base.version ? pack->base.version : VERSION_DEFAULT;
    if (has(fields, LABEL_BVER) && !read_version(pack, field(fields, LABEL_BVER), &version))
        return false;
    if (pack->base.version && version != pack->base.version)
        return refuse_at(pack, fields->record, OUTCOME_BAD_VERSION, "The records differ in version.");
    bool features_known =
        (version & ~(uint64_t)VERSION_FEATURES) == 0 && (version & VERSION_DEFAULT) == VERSION_DEFAULT;
    if (version > VERSION_DEFAULT && !features_known)
        return refuse_at(pack, fields->record, OUTCOME_BAD_VERSION, "The version is not understood.");
    pack->base.version = version;
    return true;
}

static bool read_time(const struct pack *pack, const struct node *node, timestamp_atto *ret)
{
    struct decimal seconds;
    if (!node_decimal(node, &seconds, pack->reterr))
        return false;
    if (!timestamp_from_decimal(&seconds, ret))
        return refuse_at(pack, node, OUTCOME_BAD_VALUE, "A time is too far away.");
    return true;
}

static bool take_base(struct pack *pack, const struct fields *fields)
{
    struct base *base = &pack->base;
    if (!take_version(pack, fields))
        return false;
    if (!(fields->present & BASE_LABELS))
        return true;
    if (has(fields, LABEL_BN))
        base->name = field(fields, LABEL_BN)->data;
    if (has(fields, LABEL_BU))
        base->unit = field(fields, LABEL_BU)->data;
    if (has(fields, LABEL_BT)) {
        if (!read_time(pack, field(fields, LABEL_BT), &base->time))
            return false;
        base->has_time = true;
    }
    if (has(fields, LABEL_BV)) {
        const struct node *node = field(fields, LABEL_BV);
        if (!node_number(node, pack->arena, &base->value, &base->value_number, pack->reterr))
            return false;
        base->has_value = true;
    }
    if (has(fields, LABEL_BS)) {
        const struct node *node = field(fields, LABEL_BS);
        if (!node_number(node, pack->arena, &base->sum, &base->sum_number, pack->reterr))
            return false;
        base->has_sum = true;
    }
    return true;
}

/* Resolution of one record. */

static bool alphanumeric(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool name_char(uint8_t c)
{
    return alphanumeric(c) || c == '-' || c == ':' || c == '.' || c == '/' || c == '_';
}

bool senml_name_is_valid(struct bytes name)
{
    if (name.len == 0 || !alphanumeric(name.ptr[0]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!name_char(name.ptr[i]))
            return false;
    }
    return true;
}

static bool resolve_name(const struct pack *pack, const struct fields *fields, struct bytes *ret)
{
    struct bytes base = pack->base.name;
    struct bytes own = has(fields, LABEL_N) ? field(fields, LABEL_N)->data : bytes_of(NULL, 0);
    struct bytes name = base.len ? base : own;
    if (base.len && own.len) {
        uint8_t *joined = arena_alloc(pack->arena, base.len + own.len);
        if (!joined)
            return refuse_memory(pack->reterr);
        memcpy(joined, base.ptr, base.len);
        memcpy(joined + base.len, own.ptr, own.len);
        name = bytes_of(joined, base.len + own.len);
    }
    if (!senml_name_is_valid(name))
        return refuse_at(pack, fields->record, OUTCOME_BAD_NAME,
                         "A name is empty or has a character not allowed.");
    *ret = name;
    return true;
}

static bool resolve_time(const struct pack *pack, const struct fields *fields,
                         struct observation *observation)
{
    timestamp_atto time = pack->base.time;
    if (!pack->base.has_time && !has(fields, LABEL_T)) {
        observation->time = pack->input->now;
        observation->time_source = TIME_RECEIPT;
        return true;
    }
    if (has(fields, LABEL_T)) {
        timestamp_atto own;
        if (!read_time(pack, field(fields, LABEL_T), &own))
            return false;
        time += own;
    }
    if (!timestamp_resolve(time, pack->input->now, &observation->time, &observation->time_source))
        return refuse_at(pack, fields->record, OUTCOME_BAD_VALUE, "A time is too far away.");
    return true;
}

/* own + base; own is NULL where only the base is there, base is NULL where only own is. */
static bool add_base(const struct pack *pack, const struct node *own, const struct decimal *base,
                     const struct number *base_number, struct number *ret)
{
    struct decimal own_decimal, sum;
    if (!own) {
        *ret = *base_number;
        return true;
    }
    if (!base)
        return node_number(own, pack->arena, &own_decimal, ret, pack->reterr);
    if (!node_decimal(own, &own_decimal, pack->reterr))
        return false;
    if (!decimal_add(base, &own_decimal, &sum))
        return refuse_at(pack, own, OUTCOME_BAD_VALUE, "A number plus its base has too many digits.");
    return node_number_of_decimal(&sum, pack->arena, ret, pack->reterr);
}

static bool resolve_data(const struct pack *pack, const struct node *node, struct bytes *ret)
{
    if (node->kind == NODE_BYTES) {
        *ret = node->data;
        return true;
    }
    switch (base64url_decode(node->data, pack->arena, ret)) {
    case BASE64URL_OK:
        return true;
    case BASE64URL_MEMORY:
        return refuse_memory(pack->reterr);
    case BASE64URL_BAD:
        break;
    }
    return refuse_at(pack, node, OUTCOME_BAD_VALUE, "A data value is not base64url without padding.");
}

static bool resolve_value(const struct pack *pack, const struct fields *fields,
                          struct observation *observation)
{
    const struct base *base = &pack->base;
    if (has(fields, LABEL_VS)) {
        observation->kind = VALUE_TEXT;
        observation->data = field(fields, LABEL_VS)->data;
        return true;
    }
    if (has(fields, LABEL_VB)) {
        observation->kind = VALUE_BOOLEAN;
        observation->boolean = field(fields, LABEL_VB)->boolean;
        return true;
    }
    if (has(fields, LABEL_VD)) {
        observation->kind = VALUE_BYTES;
        return resolve_data(pack, field(fields, LABEL_VD), &observation->data);
    }
    if (!has(fields, LABEL_V) && (!base->has_value || has(fields, LABEL_S))) {
        observation->kind = VALUE_NONE;
        return true;
    }
    observation->kind = VALUE_NUMBER;
    const struct node *own = has(fields, LABEL_V) ? field(fields, LABEL_V) : NULL;
    return add_base(pack, own, base->has_value ? &base->value : NULL, &base->value_number,
                    &observation->number);
}

static bool resolve_sum(const struct pack *pack, const struct fields *fields,
                        struct observation *observation)
{
    const struct base *base = &pack->base;
    observation->has_sum = has(fields, LABEL_S) || base->has_sum;
    if (!observation->has_sum)
        return true;
    const struct node *own = has(fields, LABEL_S) ? field(fields, LABEL_S) : NULL;
    return add_base(pack, own, base->has_sum ? &base->sum : NULL, &base->sum_number, &observation->sum);
}

/*
 * Whether the record yields an observation. One of base fields only does not (RFC 8428 section 5.1.7 has such
 * a record). One without value and sum is an error, unless a base value or base sum stands in for it (section
 * 4.5.4).
 */
static bool is_observation(const struct pack *pack, const struct fields *fields, bool *ret)
{
    bool base_only = (fields->present & BASE_LABELS) != 0 && (fields->present & ~BASE_LABELS) == 0;
    bool has_value = (fields->present & (VALUE_LABELS | BIT(LABEL_S))) != 0;
    bool anything = (fields->present & ALL_LABELS) != 0;
    bool from_base = anything && !base_only && (pack->base.has_value || pack->base.has_sum);
    if (!base_only && !has_value && !from_base)
        return refuse_at(pack, fields->record, OUTCOME_BAD_VALUE, "A record has neither a value nor a sum.");
    *ret = !base_only;
    return true;
}

static bool resolve_record(struct pack *pack, const struct node *record)
{
    struct fields fields;
    bool yields;
    if (!sort_fields(pack, record, &fields) || !take_base(pack, &fields) ||
        !is_observation(pack, &fields, &yields))
        return false;
    if (!yields)
        return true;
    if (pack->count == pack->input->limits.records)
        return refuse_at(pack, record, OUTCOME_TOO_COMPLEX, "The pack has too many records.");

    struct observation observation = {
        .base_name = pack->base.name,
        .unit = has(&fields, LABEL_U) ? field(&fields, LABEL_U)->data : pack->base.unit,
    };
    if (!resolve_name(pack, &fields, &observation.name) || !resolve_time(pack, &fields, &observation) ||
        !resolve_value(pack, &fields, &observation) || !resolve_sum(pack, &fields, &observation))
        return false;
    if (pack->count && timestamp_compare(pack->items[pack->count - 1].time, observation.time) > 0)
        pack->in_order = false;
    pack->items[pack->count++] = observation;
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
    const void **order = arena_calloc(pack->arena, pack->count, sizeof(*order));
    struct observation *sorted = arena_calloc(pack->arena, pack->count, sizeof(*sorted));
    if (!order || !sorted)
        return refuse_memory(pack->reterr);
    for (size_t i = 0; i < pack->count; i++)
        order[i] = &pack->items[i];
    if (!sort_pointers(order, pack->count, compare_times, pack->arena))
        return refuse_memory(pack->reterr);
    for (size_t i = 0; i < pack->count; i++)
        sorted[i] = *(const struct observation *)order[i];
    pack->items = sorted;
    return true;
}

static bool resolve_pack(struct pack *pack, const struct node *root, struct observation_list *ret)
{
    if (root->kind != NODE_ARRAY || root->count == 0)
        return refuse_at(pack, root, OUTCOME_BAD_VALUE, "A pack has to be an array of at least one record.");
    pack->in_order = true;
    size_t most = root->count < pack->input->limits.records ? root->count : pack->input->limits.records;
    pack->items = arena_calloc(pack->arena, most, sizeof(*pack->items));
    if (!pack->items)
        return refuse_memory(pack->reterr);
    const struct node *record = node_first(root);
    for (uint32_t i = 0; i < root->count; i++, record = node_next(record)) {
        pack->in_first_record = i == 0;
        if (!resolve_record(pack, record))
            return false;
    }
    struct observation_list list = {.count = pack->count};
    if (!sequence_read(&pack->sequence, &list.sequence, pack->reterr) || !sort_by_time(pack))
        return false;
    list.items = pack->items;
    *ret = list;
    return true;
}

typedef bool read_tree(struct bytes payload, const struct format_limits *limits, struct arena *arena,
                       const struct node **ret, struct refusal *reterr);

static enum outcome decode(enum dialect dialect, read_tree *read, const struct format_input *input,
                           struct arena *arena, struct observation_list *ret, struct format_error *reterr)
{
    const struct node *root;
    struct refusal refusal;
    struct pack pack = {.dialect = dialect, .input = input, .arena = arena, .reterr = &refusal};
    if (read(input->payload, &input->limits, arena, &root, &refusal) && resolve_pack(&pack, root, ret))
        return OUTCOME_CHANGED;
    return refusal_report(&refusal, reterr);
}

enum outcome senml_decode_json(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr)
{
    return decode(DIALECT_JSON, json_read, input, arena, ret, reterr);
}

enum outcome senml_decode_cbor(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr)
{
    return decode(DIALECT_CBOR, cborin_read, input, arena, ret, reterr);
}
