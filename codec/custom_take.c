// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The way of a value, the same for all kinds:
 *
 *   as read -> missing? -> map, or number, text, boolean -> scale and offset -> range -> primary unit
 *
 * then it is kept for those that refer to it, and becomes an observation. A value that leaves the bounds of
 * codec/decimal.h on the way is the definition's fault, one that is none to begin with is the payload's.
 * Nothing that comes out borrows from the codec.
 */
#include "codec/custom_private.h"

#include <stdarg.h>
#include <stdio.h>

#include "codec/hex.h"
#include "codec/utf8.h"

bool custom_refuse(struct custom_run *run, enum outcome outcome, const char *detail, size_t offset)
{
    return refuse(&run->refusal, outcome, detail, offset);
}

bool custom_refuse_with(struct custom_run *run, enum outcome outcome, size_t offset, const char *fallback,
                        const char *format, ...)
{
    char sentence[CUSTOM_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    const char *kept = arena_text(run->arena, bytes_of_text(sentence));
    return custom_refuse(run, outcome, kept ? kept : fallback, offset);
}

bool custom_look(struct custom_run *run)
{
    if (run->left.looks == 0)
        return custom_refuse(run, OUTCOME_TOO_COMPLEX, "The payload has too many fields.", SIZE_MAX);
    run->left.looks--;
    return true;
}

bool custom_count_values(struct custom_run *run, unsigned count)
{
    if (run->left.values < count)
        return custom_refuse(run, OUTCOME_TOO_COMPLEX, "The payload has too many values.", SIZE_MAX);
    run->left.values -= count;
    return true;
}

/* Comparison with values of the definition. */

static bool equals_integer(const struct custom_match *match, const struct custom_raw *raw)
{
    if (match->kind == CUSTOM_MATCH_PATTERN && raw->has_pattern)
        return raw->pattern == match->magnitude;
    if (match->is_integer)
        return match->magnitude == raw->magnitude && match->negative == raw->negative;
    if (match->kind == CUSTOM_MATCH_NUMBER) {
        struct decimal decimal;
        decimal_from_uint(raw->magnitude, raw->negative, &decimal);
        return custom_decimal_compare(&match->decimal, &decimal) == 0;
    }
    return raw->kind == CUSTOM_RAW_BOOLEAN &&
           bytes_equal_text(match->text, raw->magnitude ? "true" : "false");
}

static bool equals(const struct custom_match *match, const struct custom_raw *raw)
{
    switch (raw->kind) {
    case CUSTOM_RAW_ABSENT:
        return false;
    case CUSTOM_RAW_INTEGER:
    case CUSTOM_RAW_BOOLEAN:
        return equals_integer(match, raw);
    case CUSTOM_RAW_NUMBER:
        if (match->kind == CUSTOM_MATCH_PATTERN && raw->has_pattern)
            return raw->pattern == match->magnitude;
        return (match->kind == CUSTOM_MATCH_NUMBER || match->kind == CUSTOM_MATCH_PATTERN) &&
               custom_decimal_compare(&match->decimal, &raw->decimal) == 0;
    case CUSTOM_RAW_NOT_A_NUMBER:
        return match->kind == CUSTOM_MATCH_NAN ||
               (match->kind == CUSTOM_MATCH_PATTERN && raw->has_pattern && raw->pattern == match->magnitude);
    case CUSTOM_RAW_TEXT:
        return bytes_equal(match->text, raw->data);
    case CUSTOM_RAW_OCTETS:
        return match->kind == CUSTOM_MATCH_PATTERN && raw->has_pattern && raw->pattern == match->magnitude;
    }
    return false;
}

bool custom_matches_have(const struct custom_matches *matches, const struct custom_raw *raw)
{
    for (size_t i = 0; i < matches->count; i++) {
        if (equals(&matches->items[i], raw))
            return true;
    }
    return false;
}

/* Conversions. */

static bool refuse_value(struct custom_run *run, const struct custom_raw *raw, const char *detail)
{
    return custom_refuse(run, OUTCOME_BAD_VALUE, detail,
                         raw->place.len || raw->place.bits ? raw->place.offset : SIZE_MAX);
}

/* An integer that cannot be scaled is the definition's fault, a number of any exponent is the payload's. */
static bool refuse_scaled(struct custom_run *run, const struct custom_raw *raw)
{
    enum outcome outcome = raw->kind == CUSTOM_RAW_INTEGER ? OUTCOME_CODEC_FAULT : OUTCOME_BAD_VALUE;
    size_t offset = raw->place.len || raw->place.bits ? raw->place.offset : SIZE_MAX;
    return custom_refuse(run, outcome, "A number is beyond the bounds when it is scaled.", offset);
}

static bool copy(struct custom_run *run, struct bytes from, struct bytes *ret)
{
    return arena_copy(run->arena, from, ret) || refuse_memory(&run->refusal);
}

static bool copy_text(struct custom_run *run, const char *from, struct bytes *ret)
{
    return copy(run, bytes_of_text(from), ret);
}

static bool copy_decimal(struct custom_run *run, const struct decimal *from, struct bytes *ret)
{
    char text[DECIMAL_TEXT_MAX];
    return copy(run, bytes_of(text, decimal_write(from, text)), ret);
}

static bool write_hex(struct custom_run *run, struct bytes octets, struct bytes *ret)
{
    char *text = arena_alloc(run->arena, octets.len * 2);
    if (!text)
        return refuse_memory(&run->refusal);
    *ret = bytes_of(text, hex_write(octets, text));
    return true;
}

/* The raw value as text: for "as": "text", and for people. */
static bool write_raw(struct custom_run *run, const struct custom_raw *raw, struct bytes *ret)
{
    char digits[24];
    *ret = (struct bytes){0};
    switch (raw->kind) {
    case CUSTOM_RAW_ABSENT:
        return true;
    case CUSTOM_RAW_INTEGER:
        snprintf(digits, sizeof(digits), "%s%ju", raw->negative ? "-" : "", (uintmax_t)raw->magnitude);
        return copy_text(run, digits, ret);
    case CUSTOM_RAW_NUMBER:
        return raw->data.len ? copy(run, raw->data, ret) : copy_decimal(run, &raw->decimal, ret);
    case CUSTOM_RAW_NOT_A_NUMBER:
        return raw->data.len ? copy(run, raw->data, ret) : copy_text(run, "nan", ret);
    case CUSTOM_RAW_BOOLEAN:
        return copy_text(run, raw->magnitude ? "true" : "false", ret);
    case CUSTOM_RAW_TEXT:
        *ret = raw->data;
        return true;
    case CUSTOM_RAW_OCTETS:
        return write_hex(run, raw->data, ret);
    }
    return true;
}

static bool to_number(struct custom_run *run, const struct custom_raw *raw, struct custom_value *ret)
{
    ret->kind = VALUE_NUMBER;
    switch (raw->kind) {
    case CUSTOM_RAW_INTEGER:
        decimal_from_uint(raw->magnitude, raw->negative, &ret->decimal);
        return true;
    case CUSTOM_RAW_NUMBER:
        ret->decimal = raw->decimal;
        ret->data = raw->data;
        return true;
    case CUSTOM_RAW_TEXT:
        if (custom_parse_number(raw->data, false, &ret->decimal))
            return true;
        break;
    default:
        break;
    }
    return refuse_value(run, raw, "A number was expected.");
}

static bool equals_word(struct bytes text, const char *word)
{
    size_t len = strlen(word);
    if (text.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != word[i])
            return false;
    }
    return true;
}

static bool to_bool(struct custom_run *run, const struct custom_raw *raw, struct custom_value *ret)
{
    static const char *const words[] = {"false", "true", "0", "1", "off", "on", "no", "yes"};
    ret->kind = VALUE_BOOLEAN;
    switch (raw->kind) {
    case CUSTOM_RAW_INTEGER:
    case CUSTOM_RAW_BOOLEAN:
        ret->boolean = raw->magnitude != 0;
        return true;
    case CUSTOM_RAW_NUMBER:
        ret->boolean = !decimal_is_zero(&raw->decimal);
        return true;
    case CUSTOM_RAW_TEXT:
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            ret->boolean = i % 2;
            if (equals_word(raw->data, words[i]))
                return true;
        }
        break;
    default:
        break;
    }
    return refuse_value(run, raw, "A boolean was expected.");
}

static bool to_hex(struct custom_run *run, const struct custom_raw *raw, struct custom_value *ret)
{
    char digits[24];
    ret->kind = VALUE_TEXT;
    if (raw->kind == CUSTOM_RAW_OCTETS)
        return write_hex(run, raw->data, &ret->data);
    if (raw->kind != CUSTOM_RAW_INTEGER || (raw->negative && !raw->has_pattern))
        return refuse_value(run, raw, "Octets or an integer were expected.");
    snprintf(digits, sizeof(digits), "%jx", (uintmax_t)(raw->has_pattern ? raw->pattern : raw->magnitude));
    return copy_text(run, digits, &ret->data);
}

/* As it is. */
static bool to_any(struct custom_run *run, const struct custom_raw *raw, struct custom_value *ret)
{
    switch (raw->kind) {
    case CUSTOM_RAW_BOOLEAN:
        return to_bool(run, raw, ret);
    case CUSTOM_RAW_TEXT:
        ret->kind = VALUE_TEXT;
        ret->data = raw->data;
        return true;
    case CUSTOM_RAW_OCTETS:
        ret->kind = VALUE_BYTES;
        ret->data = raw->data;
        return true;
    default:
        return to_number(run, raw, ret);
    }
}

static bool convert(struct custom_run *run, const struct custom_field *field, const struct custom_raw *raw,
                    struct custom_value *ret)
{
    switch (field->as) {
    case CUSTOM_AS_ANY:
        return to_any(run, raw, ret);
    case CUSTOM_AS_NUMBER:
        return to_number(run, raw, ret);
    case CUSTOM_AS_BOOL:
        return to_bool(run, raw, ret);
    case CUSTOM_AS_HEX:
        return to_hex(run, raw, ret);
    case CUSTOM_AS_TEXT:
        ret->kind = VALUE_TEXT;
        return write_raw(run, raw, &ret->data);
    }
    return false;
}

/* Numbers. */

/* Nearly all scales are small numbers, and so are nearly all values: one multiplication. */
static bool scale(const struct decimal *by, struct decimal *value)
{
    uint64_t product;
    if (value->count <= DECIMAL_SMALL_MAX && by->count <= DECIMAL_SMALL_MAX && value->exponent == 0 &&
        !__builtin_mul_overflow(value->small, by->small, &product)) {
        decimal_from_uint(product, value->negative != by->negative && product, value);
        value->exponent = product ? by->exponent : 0;
        return true;
    }
    return decimal_multiply(value, by, value);
}

static bool add(const struct decimal *more, struct decimal *value)
{
    struct decimal sum;
    if (!decimal_add(value, more, &sum))
        return false;
    *value = sum;
    return true;
}

bool custom_field_compute(const struct custom_field *field, struct decimal *number)
{
    return (!field->has_bias || add(&field->bias, number)) &&
           (!field->has_scale || scale(&field->scale, number)) &&
           (!field->has_divide || decimal_divide(number, &field->divide, number)) &&
           (!field->has_offset || add(&field->offset, number));
}

static bool compute(struct custom_run *run, const struct custom_field *field, const struct custom_raw *raw,
                    struct custom_value *value)
{
    if (!field->has_bias && !field->has_scale && !field->has_divide && !field->has_offset)
        return true;
    value->computed = true;
    return custom_field_compute(field, &value->decimal) || refuse_scaled(run, raw);
}

static bool check_range(struct custom_run *run, const struct custom_field *field,
                        const struct custom_raw *raw, struct custom_value *value, const char **ret_note)
{
    if ((!field->has_min || custom_decimal_compare(&value->decimal, &field->min) >= 0) &&
        (!field->has_max || custom_decimal_compare(&value->decimal, &field->max) <= 0))
        return true;
    if (field->outside == CUSTOM_REFUSE)
        return refuse_value(run, raw, "A value is outside of the range that the codec allows.");
    value->kind = VALUE_NONE;
    *ret_note = "out of range";
    return true;
}

static bool to_primary(struct custom_run *run, const struct custom_field *field, const struct custom_raw *raw,
                       struct custom_value *value)
{
    if (field->unit && field->unit->registry == UNIT_SECONDARY) {
        value->computed = true;
        if (!units_convert(field->unit, &value->decimal, &value->decimal))
            return refuse_scaled(run, raw);
    }
    if (value->computed) {
        value->data = (struct bytes){0};
        decimal_normalise(&value->decimal);
    }
    return true;
}

/* The map's value for it, if it has one. */
static bool look_up(const struct custom_field *field, const struct custom_raw *raw, struct custom_value *ret)
{
    for (size_t i = 0; i < field->map_count; i++) {
        if (equals(&field->map[i].match, raw)) {
            *ret = field->map[i].value;
            return true;
        }
    }
    return false;
}

bool custom_field_knows(const struct custom_field *field, const struct custom_raw *raw)
{
    for (size_t i = 0; i < field->map_count; i++) {
        if (equals(&field->map[i].match, raw))
            return true;
    }
    return custom_matches_have(&field->missing, raw);
}

static bool evaluate(struct custom_run *run, const struct custom_field *field, const struct custom_raw *raw,
                     struct custom_value *value, const char **ret_note)
{
    if (raw->kind == CUSTOM_RAW_ABSENT) {
        *ret_note = "not there";
        return !field->required || refuse_value(run, raw, "A value that is required is not there.");
    }
    if (field->missing.count && custom_matches_have(&field->missing, raw)) {
        *ret_note = "missing value";
        return true;
    }
    if (field->map_count && look_up(field, raw, value)) {
        if (value->kind == VALUE_TEXT)
            return copy(run, value->data, &value->data);
        *ret_note = value->kind == VALUE_NONE ? "missing value" : NULL;
        return value->kind != VALUE_NUMBER || to_primary(run, field, raw, value);
    }
    if (field->map_count && field->unmapped == CUSTOM_REFUSE)
        return refuse_value(run, raw, "A value is not in the map of the codec.");
    if (field->map_count && field->unmapped == CUSTOM_MISSING) {
        *ret_note = "not in the map";
        return true;
    }
    if (!convert(run, field, raw, value))
        return false;
    if (value->kind != VALUE_NUMBER)
        return true;
    return compute(run, field, raw, value) && check_range(run, field, raw, value, ret_note) &&
           (value->kind == VALUE_NONE || to_primary(run, field, raw, value));
}

/* What comes of it. */

static void fill_slot(struct custom_run *run, const struct custom_field *field, const struct custom_raw *raw,
                      const struct custom_value *value)
{
    struct custom_slot *slot = &run->slots[field->slot];
    slot->set = value->kind != VALUE_NONE;
    slot->is_integer = raw->kind == CUSTOM_RAW_INTEGER || raw->kind == CUSTOM_RAW_BOOLEAN;
    slot->negative = raw->negative;
    slot->magnitude = raw->magnitude;
    slot->value = *value;
}

static bool write_value(struct custom_run *run, const struct custom_value *value, struct bytes *ret)
{
    switch (value->kind) {
    case VALUE_NUMBER:
        return value->data.len ? copy(run, value->data, ret) : copy_decimal(run, &value->decimal, ret);
    case VALUE_BOOLEAN:
        return copy_text(run, value->boolean ? "true" : "false", ret);
    case VALUE_BYTES:
        return write_hex(run, value->data, ret);
    default:
        *ret = value->data;
        return true;
    }
}

static bool write_piece(struct custom_run *run, const struct custom_piece *piece, struct bytes *ret,
                        bool *ret_found)
{
    char digits[24];
    const struct custom_slot *slot;
    *ret_found = true;
    switch (piece->kind) {
    case CUSTOM_PIECE_TEXT:
        *ret = piece->text;
        return true;
    case CUSTOM_PIECE_INDEX:
        snprintf(digits, sizeof(digits), "%ju", (uintmax_t)run->index);
        return copy_text(run, digits, ret);
    case CUSTOM_PIECE_KEY:
        *ret = run->key;
        return true;
    case CUSTOM_PIECE_FIELD:
        slot = &run->slots[piece->field->slot];
        *ret_found = slot->set;
        return !slot->set || write_value(run, &slot->value, ret);
    }
    return false;
}

bool custom_template_write(struct custom_run *run, const struct custom_template *template, struct bytes *ret,
                           bool *ret_found)
{
    struct builder text;
    builder_init(&text, run->arena, 32);
    for (size_t i = 0; i < template->count; i++) {
        struct bytes piece;
        if (!write_piece(run, &template->pieces[i], &piece, ret_found))
            return false;
        if (!*ret_found)
            return true;
        /* Names have a bound, and nobody shall make long ones that are only refused later. */
        builder_put(&text,
                    bytes_of(piece.ptr, piece.len <= NAMING_NAME_MAX ? piece.len : NAMING_NAME_MAX + 1));
    }
    return builder_finish(&text, ret) || refuse_memory(&run->refusal);
}

static bool write_name(struct custom_run *run, const struct custom_field *field, struct bytes *ret)
{
    struct bytes text;
    bool found;
    if (!custom_template_has_placeholder(&field->name))
        return copy(run, field->name.pieces[0].text, ret);
    if (!custom_template_write(run, &field->name, &text, &found))
        return false;
    if (!found)
        return custom_refuse(run, OUTCOME_BAD_NAME, "What a name is made of is not there.", SIZE_MAX);
    return naming_clean(text, NAMING_NAME_MAX, run->arena, ret, &run->refusal);
}

static bool make_room(struct custom_run *run)
{
    size_t most = run->input->limits.records;
    if (run->count == most)
        return custom_refuse(run, OUTCOME_TOO_COMPLEX, "The payload has too many records.", SIZE_MAX);
    if (run->count < run->room)
        return true;
    size_t room = run->room ? run->room * 2 : 8;
    room = room < most ? room : most;
    struct observation *items = arena_calloc(run->arena, room, sizeof(*items));
    struct custom_pending *pending = arena_calloc(run->arena, room, sizeof(*pending));
    if (!items || !pending)
        return refuse_memory(&run->refusal);
    if (run->count) {
        memcpy(items, run->items, run->count * sizeof(*items));
        memcpy(pending, run->pending, run->count * sizeof(*pending));
    }
    run->items = items;
    run->pending = pending;
    run->room = room;
    return true;
}

static bool write_number(struct custom_run *run, const struct custom_value *value,
                         const struct custom_raw *raw, struct number *ret)
{
    if (value->data.len) {
        ret->text = value->data;
        if (decimal_to_double(&value->decimal, &ret->approx))
            return true;
        return refuse_value(run, raw, "A number is too large.");
    }
    if (node_number_of_decimal(&value->decimal, run->arena, ret, &run->refusal))
        return true;
    return run->refusal.outcome == OUTCOME_OUT_OF_MEMORY ? false
           : value->computed                             ? refuse_scaled(run, raw)
                                                         : refuse_value(run, raw, "A number is too large.");
}

/* An observation without name, in the list. */
static bool add_value(struct custom_run *run, const struct custom_value *value, const struct custom_raw *raw,
                      struct observation *ret)
{
    *ret =
        (struct observation){.kind = value->kind, .boolean = value->kind == VALUE_BOOLEAN && value->boolean};
    if (value->kind == VALUE_NUMBER)
        return write_number(run, value, raw, &ret->number);
    if (value->kind == VALUE_TEXT || value->kind == VALUE_BYTES)
        ret->data = value->data;
    return true;
}

static bool emit(struct custom_run *run, const struct custom_field *field, const struct custom_value *value,
                 const struct custom_raw *raw)
{
    struct observation observation;
    if (!make_room(run) || !add_value(run, value, raw, &observation) ||
        !write_name(run, field, &observation.name))
        return false;
    if (field->unit && value->kind == VALUE_NUMBER)
        observation.unit = bytes_of_text(field->unit->primary); /* static */
    if (field->cumulative && value->kind == VALUE_NUMBER) {
        observation.cumulative = true;
        if (field->modulus.len) {
            if (!copy(run, field->modulus, &observation.modulus.text))
                return false;
            (void)decimal_to_double(&field->modulus_decimal, &observation.modulus.approx);
        }
    }
    run->items[run->count++] = observation;
    return true;
}

/* Steps, for people. */

static struct custom_step *add_step(struct custom_run *run, struct custom_place place)
{
    if (run->steps.count == run->steps_room) {
        size_t room = run->steps_room ? run->steps_room * 2 : 16;
        struct custom_step *items = arena_calloc(run->arena, room, sizeof(*items));
        if (!items) {
            refuse_memory(&run->refusal);
            return NULL;
        }
        if (run->steps.count)
            memcpy(items, run->steps.items, run->steps.count * sizeof(*items));
        run->steps.items = items;
        run->steps_room = room;
    }
    struct custom_step *step = &run->steps.items[run->steps.count++];
    *step =
        (struct custom_step){.offset = place.offset, .len = place.len, .bit = place.bit, .bits = place.bits};
    return step;
}

static bool explain(struct custom_run *run, const struct custom_field *field, const struct custom_raw *raw,
                    const struct custom_value *value, const char *note)
{
    struct custom_step *step = add_step(run, raw->place);
    if (!step)
        return false;
    step->note = note ? note : field->hidden ? "hidden" : NULL;
    if (value->kind == VALUE_NUMBER && field->unit)
        step->unit = bytes_of_text(field->unit->primary);
    return copy(run, field->label, &step->field) && write_raw(run, raw, &step->raw) &&
           (value->kind == VALUE_NONE || write_value(run, value, &step->value));
}

bool custom_note(struct custom_run *run, struct custom_place place, const char *note)
{
    if (!custom_look(run))
        return false;
    if (!run->explain)
        return true;
    struct custom_step *step = add_step(run, place);
    if (!step)
        return false;
    step->note = note;
    struct bytes payload = run->input->payload;
    if (place.len == 0 || place.len > 16 || place.offset + place.len > payload.len)
        return true;
    return write_hex(run, bytes_of(payload.ptr + place.offset, place.len), &step->raw);
}

/* People who read a refusal have the definition before them: says which field it was. Always false. */
static bool name_field(struct custom_run *run, const struct custom_field *field)
{
    struct refusal refusal = run->refusal;
    if (field->label.len == 0 || refusal.outcome == OUTCOME_OUT_OF_MEMORY)
        return false;
    return custom_refuse_with(run, refusal.outcome, refusal.offset, refusal.detail, "%.*s: %s", (int)field->label.len,
                              (const char *)field->label.ptr, refusal.detail);
}

bool custom_field_take(struct custom_run *run, const struct custom_field *field, const struct custom_raw *raw)
{
    struct custom_value value = {.kind = VALUE_NONE};
    const char *note = NULL;
    if (!custom_look(run) || (raw->kind != CUSTOM_RAW_ABSENT && !custom_count_values(run, 1)))
        return false;
    bool good = evaluate(run, field, raw, &value, &note);
    if (!good)
        value.kind = VALUE_NONE;
    if (run->explain) {
        struct refusal refusal = run->refusal;
        if (!explain(run, field, raw, &value, good ? note : refusal.detail))
            return false;
        run->refusal = refusal;
    }
    if (!good)
        return name_field(run, field);
    if (field->referred)
        fill_slot(run, field, raw, &value);
    if (value.kind == VALUE_NONE || field->hidden || field->label.len == 0)
        return true;
    return emit(run, field, &value, raw);
}

bool custom_take_unknown(struct custom_run *run, struct bytes name, const struct custom_raw *raw)
{
    struct custom_field field = {.as = CUSTOM_AS_ANY};
    struct custom_raw number = *raw;
    struct bytes clean;
    if (!naming_clean(name, NAMING_NAME_MAX, run->arena, &clean, &run->refusal))
        return false;
    field.label = clean;
    field.name.count = 1;
    field.name.pieces[0].text = clean;
    if (raw->kind == CUSTOM_RAW_TEXT && custom_parse_number(raw->data, false, &number.decimal)) {
        number.kind = CUSTOM_RAW_NUMBER;
        number.data = (struct bytes){0};
    }
    return custom_field_take(run, &field, &number);
}
