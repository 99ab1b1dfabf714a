// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A record from its node to an observation:
 *
 *   sort_fields    the fields by label; unknown ones are ignored, or the pack refused
 *   take_base      base fields hold from this record on
 *   resolve_...    name, unit, time, value and sum from the fields and the base in force
 *   to_primary     numbers in secondary units in the primary one (RFC 8798), where the version allows those
 *
 * Base value and value are added as they were written and converted after: a base value has the unit of the record
 * that uses it.
 */
#include "codec/senml_record.h"

#include "codec/base64url.h"
#include "codec/content_type.h"
#include "codec/senml.h"
#include "codec/units.h"

/*
 * RFC 9100: above 10 a version is a set of features by bits; 10 is bits 1 and 3. Known beyond that: bit 4, units of
 * the secondary registry in u and bu. Versions up to 10 are from before that rule.
 */
#define VERSION_DEFAULT 10
#define VERSION_SECONDARY_UNITS (UINT64_C(1) << 4)
#define VERSION_FEATURES (VERSION_DEFAULT | VERSION_SECONDARY_UNITS)
#define VERSION_MAX ((UINT64_C(1) << 53) - 1)
#define VERSION_DIGITS_MAX 16

/* Labels. */

static enum senml_label label_of_one(uint8_t c)
{
    switch (c) {
    case 'n':
        return SENML_N;
    case 'u':
        return SENML_U;
    case 'v':
        return SENML_V;
    case 's':
        return SENML_S;
    case 't':
        return SENML_T;
    default:
        return SENML_UNKNOWN;
    }
}

static enum senml_label label_of_text(struct bytes text)
{
    static const struct {
        char text[3];
        int8_t label;
    } twos[] = {{"bn", SENML_BN}, {"bt", SENML_BT}, {"bu", SENML_BU}, {"bv", SENML_BV}, {"bs", SENML_BS},
                {"vs", SENML_VS}, {"vb", SENML_VB}, {"vd", SENML_VD}, {"ut", SENML_UT}, {"ct", SENML_CT}};

    if (text.len == 1)
        return label_of_one(text.ptr[0]);
    if (text.len == 2) {
        for (size_t i = 0; i < sizeof(twos) / sizeof(twos[0]); i++) {
            if (text.ptr[0] == (uint8_t)twos[i].text[0] && text.ptr[1] == (uint8_t)twos[i].text[1])
                return (enum senml_label)twos[i].label;
        }
        return SENML_UNKNOWN;
    }
    if (bytes_equal(text, BYTES_LITERAL("bct")))
        return SENML_BCT;
    return bytes_equal(text, BYTES_LITERAL("bver")) ? SENML_BVER : SENML_UNKNOWN;
}

static enum senml_label label_of_integer(const struct node *key)
{
    if (key->negative)
        return key->integer < -SENML_FIRST ? (enum senml_label)(-1 - (int)key->integer) : SENML_UNKNOWN;
    return key->integer < SENML_NUMBERED ? (enum senml_label)key->integer : SENML_UNKNOWN;
}

static bool read_label(const struct senml_reader *reader, const struct node *key, enum senml_label *ret)
{
    if (key->kind == NODE_INTEGER) {
        *ret = label_of_integer(key);
        return true;
    }
    if (key->kind != NODE_TEXT)
        return senml_refuse_at(reader, key, OUTCOME_BAD_VALUE, "A label is neither an integer nor text.");
    if (reader->kind != SENML_PATCH && key->data.len && key->data.ptr[key->data.len - 1] == '_')
        return senml_refuse_at(reader, key, OUTCOME_MUST_UNDERSTAND, "A label that must be understood is not known.");
    enum senml_label label = label_of_text(key->data);
    /* In CBOR the text "v" beside the integer 2 would be the same field twice. */
    if (reader->dialect == SENML_CBOR && label < SENML_NUMBERED)
        return senml_refuse_at(reader, key, OUTCOME_BAD_VALUE, "A label has to be an integer in CBOR.");
    *ret = label;
    return true;
}

/* Whether a value has the type that RFC 8428 section 4.1 and 4.2 ask for. */
static bool check_type(const struct senml_reader *reader, enum senml_label label, const struct node *value)
{
    bool good = false;
    switch (label) {
    case SENML_N:
    case SENML_U:
    case SENML_VS:
    case SENML_BN:
    case SENML_BU:
    case SENML_CT:
    case SENML_BCT:
        good = value->kind == NODE_TEXT && !value->indefinite;
        break;
    case SENML_VB:
        good = value->kind == NODE_BOOLEAN;
        break;
    case SENML_VD:
        good = value->kind == (reader->dialect == SENML_CBOR ? NODE_BYTES : NODE_TEXT) && !value->indefinite;
        break;
    case SENML_BVER:
        good = value->kind == NODE_NUMBER || (value->kind == NODE_INTEGER && !value->negative);
        break;
    case SENML_V:
        good = node_is_number(value) || (reader->kind == SENML_PATCH && value->kind == NODE_NULL);
        break;
    default:
        good = node_is_number(value);
        break;
    }
    return good || senml_refuse_at(reader, value, OUTCOME_BAD_VALUE, "A field has a value of the wrong type.");
}

/* Fields that go together, or do not. */
static bool check_fields(const struct senml_reader *reader, const struct senml_fields *fields)
{
    if (__builtin_popcount(fields->present & SENML_VALUE_LABELS) > 1)
        return senml_refuse_at(reader, fields->record, OUTCOME_BAD_VALUE, "A record has more than one value.");
    if (senml_has(fields, SENML_CT) && !senml_has(fields, SENML_VD))
        return senml_refuse_at(reader, senml_field(fields, SENML_CT), OUTCOME_BAD_VALUE,
                               "A content type is there without a data value.");
    return true;
}

static bool check_allowed(const struct senml_reader *reader, enum senml_label label, const struct node *key)
{
    const unsigned selecting = SENML_BIT(SENML_BN) | SENML_BIT(SENML_N) | SENML_BIT(SENML_BT) |
                               SENML_BIT(SENML_T) | SENML_BIT(SENML_BU) | SENML_BIT(SENML_U);
    if (reader->kind != SENML_FETCH || (label != SENML_UNKNOWN && (SENML_BIT(label) & selecting)))
        return true;
    return senml_refuse_at(reader, key, OUTCOME_BAD_VALUE,
                           "A fetch record has something else than names, times and units.");
}

static bool sort_fields(struct senml_reader *reader, const struct node *record, struct senml_fields *ret)
{
    if (record->kind != NODE_MAP)
        return senml_refuse_at(reader, record, OUTCOME_BAD_VALUE, "A record is not an object.");
    ret->present = 0;
    ret->record = record;
    const struct node *key = node_first(record);
    for (uint32_t i = 0; i < record->count; i++) {
        const struct node *value = key + 1;
        enum senml_label label;
        if (!read_label(reader, key, &label) || !check_allowed(reader, label, key))
            return false;
        if (label == SENML_UNKNOWN && reader->in_first_record)
            (void)sequence_note(&reader->sequence, key);
        key = node_next(value);
        if (label == SENML_UNKNOWN)
            continue;
        if (!check_type(reader, label, value))
            return false;
        ret->at[label - SENML_FIRST] = value;
        ret->present |= SENML_BIT(label);
    }
    return check_fields(reader, ret);
}

/* Base fields. */

static bool read_version(const struct senml_reader *reader, const struct node *node, uint64_t *ret)
{
    struct decimal version;
    if (!node_decimal(node, &version, reader->reterr))
        return false;
    decimal_normalise(&version); /* 26.0 and 2.6e1 are 26 */
    uint64_t number = 0;
    bool is_integer = version.exponent >= 0 && version.exponent + version.count <= VERSION_DIGITS_MAX;
    if (is_integer) {
        number = version.small;
        for (int i = 0; i < version.exponent; i++)
            number *= 10;
    }
    if (!is_integer || version.negative || number == 0 || number > VERSION_MAX)
        return senml_refuse_at(reader, node, OUTCOME_BAD_VALUE, "A version is not an integer from 1 to 2^53-1.");
    *ret = number;
    return true;
}

/* All records of a pack have one version; the first one says which (RFC 8428 section 4.1). */
static bool take_version(struct senml_reader *reader, const struct senml_fields *fields)
{
    uint64_t version = reader->base.version ? reader->base.version : VERSION_DEFAULT;
    if (senml_has(fields, SENML_BVER) && !read_version(reader, senml_field(fields, SENML_BVER), &version))
        return false;
    if (reader->base.version && version != reader->base.version)
        return senml_refuse_at(reader, fields->record, OUTCOME_BAD_VERSION, "The records differ in version.");
    bool features_known = (version & ~VERSION_FEATURES) == 0 && (version & VERSION_DEFAULT) == VERSION_DEFAULT;
    if (version > VERSION_DEFAULT && !features_known)
        return senml_refuse_at(reader, fields->record, OUTCOME_BAD_VERSION,
                               "The version has a feature that is not known here.");
    reader->base.version = version;
    return true;
}

static bool read_time(const struct senml_reader *reader, const struct node *node, timestamp_atto *ret)
{
    struct decimal seconds;
    if (!node_decimal(node, &seconds, reader->reterr))
        return false;
    if (!timestamp_from_decimal(&seconds, ret))
        return senml_refuse_at(reader, node, OUTCOME_BAD_VALUE, "A time is too far away.");
    return true;
}

static bool read_content_type(const struct senml_reader *reader, const struct node *node, struct bytes *ret)
{
    if (!content_type_is_valid(node->data))
        return senml_refuse_at(reader, node, OUTCOME_BAD_VALUE,
                               "A content type is neither a Content-Format number nor a media type.");
    *ret = node->data;
    return true;
}

static bool take_base_numbers(struct senml_reader *reader, const struct senml_fields *fields)
{
    struct senml_base *base = &reader->base;
    if (senml_has(fields, SENML_BT)) {
        if (!read_time(reader, senml_field(fields, SENML_BT), &base->time))
            return false;
        base->has_time = true;
    }
    if (senml_has(fields, SENML_BV)) {
        const struct node *node = senml_field(fields, SENML_BV);
        if (!node_number(node, reader->arena, &base->value, &base->value_number, reader->reterr))
            return false;
        base->has_value = true;
    }
    if (senml_has(fields, SENML_BS)) {
        const struct node *node = senml_field(fields, SENML_BS);
        if (!node_number(node, reader->arena, &base->sum, &base->sum_number, reader->reterr))
            return false;
        base->has_sum = true;
    }
    return true;
}

static bool take_base(struct senml_reader *reader, const struct senml_fields *fields)
{
    struct senml_base *base = &reader->base;
    if (!take_version(reader, fields))
        return false;
    if (!(fields->present & SENML_BASE_LABELS))
        return true;
    if (senml_has(fields, SENML_BN))
        base->name = senml_field(fields, SENML_BN)->data;
    if (senml_has(fields, SENML_BU))
        base->unit = senml_field(fields, SENML_BU)->data;
    if (senml_has(fields, SENML_BCT) &&
        !read_content_type(reader, senml_field(fields, SENML_BCT), &base->content_type))
        return false;
    return take_base_numbers(reader, fields);
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

static bool resolve_name(const struct senml_reader *reader, const struct senml_fields *fields, struct bytes *ret)
{
    struct bytes base = reader->base.name;
    struct bytes own = senml_has(fields, SENML_N) ? senml_field(fields, SENML_N)->data : bytes_of(NULL, 0);
    struct bytes name = base.len ? base : own;
    if (base.len && own.len) {
        uint8_t *joined = arena_alloc(reader->arena, base.len + own.len);
        if (!joined)
            return refuse_memory(reader->reterr);
        memcpy(joined, base.ptr, base.len);
        memcpy(joined + base.len, own.ptr, own.len);
        name = bytes_of(joined, base.len + own.len);
    }
    if (!senml_name_is_valid(name))
        return senml_refuse_at(reader, fields->record, OUTCOME_BAD_NAME,
                               "A name is empty or has a character not allowed.");
    *ret = name;
    return true;
}

static bool resolve_time(const struct senml_reader *reader, const struct senml_fields *fields,
                         struct observation *observation)
{
    timestamp_atto time = reader->base.time;
    if (!reader->base.has_time && !senml_has(fields, SENML_T)) {
        observation->time = reader->input->now;
        observation->time_source = TIME_RECEIPT;
        return true;
    }
    if (senml_has(fields, SENML_T)) {
        timestamp_atto own;
        if (!read_time(reader, senml_field(fields, SENML_T), &own))
            return false;
        time += own;
    }
    if (!timestamp_resolve(time, reader->input->now, &observation->time, &observation->time_source))
        return senml_refuse_at(reader, fields->record, OUTCOME_BAD_VALUE, "A time is too far away.");
    return true;
}

/* own + base; own is NULL where only the base is there, base is NULL where only own is. */
static bool add_base(const struct senml_reader *reader, const struct node *own, const struct decimal *base,
                     const struct number *base_number, struct number *ret)
{
    struct decimal own_decimal, sum;
    if (!own) {
        *ret = *base_number;
        return true;
    }
    if (!base)
        return node_number(own, reader->arena, &own_decimal, ret, reader->reterr);
    if (!node_decimal(own, &own_decimal, reader->reterr))
        return false;
    if (!decimal_add(base, &own_decimal, &sum))
        return senml_refuse_at(reader, own, OUTCOME_BAD_VALUE, "A number plus its base has too many digits.");
    return node_number_of_decimal(&sum, reader->arena, ret, reader->reterr);
}

static bool resolve_data(const struct senml_reader *reader, const struct node *node, struct bytes *ret)
{
    if (node->kind == NODE_BYTES) {
        *ret = node->data;
        return true;
    }
    switch (base64url_decode(node->data, reader->arena, ret)) {
    case BASE64URL_OK:
        return true;
    case BASE64URL_MEMORY:
        return refuse_memory(reader->reterr);
    case BASE64URL_BAD:
        break;
    }
    return senml_refuse_at(reader, node, OUTCOME_BAD_VALUE, "A data value is not base64url without padding.");
}

static bool resolve_value(const struct senml_reader *reader, const struct senml_fields *fields,
                          struct observation *observation)
{
    const struct senml_base *base = &reader->base;
    if (senml_has(fields, SENML_VS)) {
        observation->kind = VALUE_TEXT;
        observation->data = senml_field(fields, SENML_VS)->data;
        return true;
    }
    if (senml_has(fields, SENML_VB)) {
        observation->kind = VALUE_BOOLEAN;
        observation->boolean = senml_field(fields, SENML_VB)->boolean;
        return true;
    }
    if (senml_has(fields, SENML_VD)) {
        observation->kind = VALUE_BYTES;
        observation->content_type = base->content_type;
        if (senml_has(fields, SENML_CT) &&
            !read_content_type(reader, senml_field(fields, SENML_CT), &observation->content_type))
            return false;
        return resolve_data(reader, senml_field(fields, SENML_VD), &observation->data);
    }
    if (!senml_has(fields, SENML_V) && (!base->has_value || senml_has(fields, SENML_S))) {
        observation->kind = VALUE_NONE;
        return true;
    }
    observation->kind = VALUE_NUMBER;
    const struct node *own = senml_has(fields, SENML_V) ? senml_field(fields, SENML_V) : NULL;
    return add_base(reader, own, base->has_value ? &base->value : NULL, &base->value_number,
                    &observation->number);
}

static bool resolve_sum(const struct senml_reader *reader, const struct senml_fields *fields,
                        struct observation *observation)
{
    const struct senml_base *base = &reader->base;
    observation->has_sum = senml_has(fields, SENML_S) || base->has_sum;
    if (!observation->has_sum)
        return true;
    const struct node *own = senml_has(fields, SENML_S) ? senml_field(fields, SENML_S) : NULL;
    return add_base(reader, own, base->has_sum ? &base->sum : NULL, &base->sum_number, &observation->sum);
}

/* Units. */

/* The unit if it is a secondary one in a pack that may have those, else NULL. */
static const struct unit *secondary_unit(const struct senml_reader *reader, struct bytes symbol)
{
    if (!(reader->base.version & VERSION_SECONDARY_UNITS))
        return NULL;
    const struct unit *unit = units_find(symbol);
    return unit && unit->registry == UNIT_SECONDARY ? unit : NULL;
}

typedef bool convert(const struct unit *unit, const struct decimal *from, struct decimal *ret);

static bool convert_number(const struct senml_reader *reader, const struct senml_fields *fields,
                           const struct unit *unit, convert *convert_by, struct number *number)
{
    struct decimal decimal;
    if (decimal_parse(number->text, &decimal) != DECIMAL_OK || !convert_by(unit, &decimal, &decimal))
        return senml_refuse_at(reader, fields->record, OUTCOME_BAD_VALUE,
                               "A number has too many digits for its primary unit.");
    return node_number_of_decimal(&decimal, reader->arena, number, reader->reterr);
}

/* Text, booleans and bytes have nothing to convert: beside them a unit stays as it is. */
static bool to_primary(const struct senml_reader *reader, const struct senml_fields *fields,
                       struct observation *observation)
{
    const struct unit *unit = secondary_unit(reader, observation->unit);
    bool has_number = observation->kind == VALUE_NUMBER;
    if (!unit || (!has_number && !observation->has_sum))
        return true;
    if (has_number && !convert_number(reader, fields, unit, units_convert, &observation->number))
        return false;
    if (observation->has_sum && !convert_number(reader, fields, unit, units_convert_sum, &observation->sum))
        return false;
    observation->unit = bytes_of_text(unit->primary);
    return true;
}

/* A record as a whole. */

bool senml_record_read(struct senml_reader *reader, const struct node *record, struct senml_fields *ret)
{
    return sort_fields(reader, record, ret) && take_base(reader, ret);
}

static bool resolve_selection(const struct senml_reader *reader, const struct senml_fields *fields,
                              struct observation *ret)
{
    *ret = (struct observation){
        .base_name = reader->base.name,
        .unit = senml_has(fields, SENML_U) ? senml_field(fields, SENML_U)->data : reader->base.unit,
    };
    return resolve_name(reader, fields, &ret->name) && resolve_time(reader, fields, ret);
}

bool senml_record_select(const struct senml_reader *reader, const struct senml_fields *fields,
                         struct observation *ret)
{
    if (!resolve_selection(reader, fields, ret))
        return false;
    ret->kind = VALUE_NONE;
    const struct unit *unit = secondary_unit(reader, ret->unit);
    if (unit)
        ret->unit = bytes_of_text(unit->primary);
    return true;
}

bool senml_record_resolve(const struct senml_reader *reader, const struct senml_fields *fields,
                          struct observation *ret)
{
    return resolve_selection(reader, fields, ret) && resolve_value(reader, fields, ret) &&
           resolve_sum(reader, fields, ret) && to_primary(reader, fields, ret);
}
