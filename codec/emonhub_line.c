// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Lines of emonHub: frames, pairs, objects, noise. Reads from the left, once or, for pairs, twice; what a codec of
 * the kind is told by its definition is in emonhub.c.
 */
#include "codec/emonhub_private.h"

#include <stdlib.h>

#include "codec/json.h"
#include "codec/relaxed.h"

#define WHITENING 0x55
#define DIGITS_MAX 40    /* of a number with a name */
#define EXPONENT_MAX 60

static const struct emonhub_code codes[] = {
    {'b', 1, true, false}, {'B', 1, false, false}, {'h', 2, true, false}, {'H', 2, false, false},
    {'i', 4, true, false}, {'I', 4, false, false}, {'l', 4, true, false}, {'L', 4, false, false},
    {'q', 8, true, false}, {'Q', 8, false, false}, {'f', 4, true, true},  {'d', 8, true, true},
    {'c', 1, false, false},
};

const struct emonhub_code *emonhub_code(char code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code)
            return &codes[i];
    }
    return NULL;
}

size_t emonhub_octets(const struct emonhub_value *values, size_t count)
{
    size_t octets = 0;
    for (size_t i = 0; i < count; i++)
        octets += values[i].code->octets;
    return octets;
}

static size_t offset_of(const struct custom_run *run, const uint8_t *at)
{
    return (size_t)(at - run->input->payload.ptr);
}

static struct custom_place place_of(const struct custom_run *run, struct bytes part)
{
    return (struct custom_place){.offset = offset_of(run, part.ptr), .len = part.len};
}

static bool noise(struct custom_run *run, struct bytes line)
{
    return custom_note(run, place_of(run, line), "no data");
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The next word of a line; empty at its end. */
static struct bytes take_word(struct bytes *line)
{
    size_t from = 0;
    while (from < line->len && is_blank(line->ptr[from]))
        from++;
    size_t to = from;
    while (to < line->len && !is_blank(line->ptr[to]))
        to++;
    struct bytes word = bytes_of(line->ptr + from, to - from);
    *line = bytes_of(line->ptr + to, line->len - to);
    return word;
}

/* A frame as it stands in a line. */
struct frame {
    uint64_t node;
    size_t count;
    uint8_t octets[EMONHUB_FRAME_MAX];
    struct bytes words[EMONHUB_FRAME_MAX]; /* where the octets stand */
    struct bytes rssi_word;        /* empty: none */
    struct custom_integer rssi;
};

static bool parse_rssi(struct bytes word, struct frame *frame)
{
    if (word.len < 3 || word.ptr[word.len - 1] != ')')
        return false;
    frame->rssi_word = word;
    return custom_parse_integer(bytes_of(word.ptr + 1, word.len - 2), &frame->rssi) && !frame->rssi.hex;
}

/* False: it is none. */
static bool parse_frame(struct bytes line, struct frame *ret)
{
    struct custom_integer number;
    if (!custom_parse_integer(take_word(&line), &number) || number.negative || number.hex)
        return false;
    ret->node = number.magnitude;
    ret->count = 0;
    ret->rssi_word = (struct bytes){0};
    for (struct bytes word = take_word(&line); word.len; word = take_word(&line)) {
        if (ret->rssi_word.len)
            return false;
        if (word.ptr[0] == '(') {
            if (!parse_rssi(word, ret))
                return false;
            continue;
        }
        if (ret->count == EMONHUB_FRAME_MAX || !custom_parse_integer(word, &number) || number.negative || number.hex ||
            number.magnitude > UINT8_MAX)
            return false;
        ret->words[ret->count] = word;
        ret->octets[ret->count++] = (uint8_t)number.magnitude;
    }
    return ret->count > 0;
}

static const struct emonhub_table *find_table(const struct emonhub *emonhub, uint64_t id)
{
    for (size_t i = 0; i < emonhub->table_count; i++) {
        if (emonhub->tables[i].id == id)
            return &emonhub->tables[i];
    }
    return NULL;
}

/* Little-endian, as a value of the code. */
static void read_raw(const struct emonhub_code *code, const uint8_t *octets, struct custom_raw *ret)
{
    uint64_t pattern = 0;
    for (unsigned i = 0; i < code->octets; i++)
        pattern |= (uint64_t)octets[i] << 8 * i;
    unsigned bits = 8u * code->octets;
    if (code->is_float) {
        ret->kind = custom_decimal_of_float(pattern, bits, &ret->decimal) ? CUSTOM_RAW_NUMBER : CUSTOM_RAW_ABSENT;
        return;
    }
    ret->kind = CUSTOM_RAW_INTEGER;
    ret->negative = code->is_signed && pattern >> (bits - 1);
    ret->magnitude = ret->negative ? (~pattern + 1) & (UINT64_MAX >> (64 - bits)) : pattern;
}

/* A character: text if it can be seen, nothing if it is NUL. */
static bool read_character(struct custom_run *run, uint8_t octet, struct custom_raw *ret)
{
    if (octet && (octet < 0x20 || octet > 0x7e))
        return custom_refuse(run, OUTCOME_BAD_VALUE, "A character is none of ASCII.", ret->place.offset);
    ret->kind = octet ? CUSTOM_RAW_TEXT : CUSTOM_RAW_ABSENT;
    return arena_copy(run->arena, bytes_of(&octet, 1), &ret->data) || refuse_memory(&run->refusal);
}

static bool take_value(struct custom_run *run, const struct emonhub_value *value, const struct frame *frame, size_t at)
{
    const struct bytes *first = &frame->words[at], *last = &frame->words[at + value->code->octets - 1];
    struct custom_raw raw = {.kind = CUSTOM_RAW_ABSENT};
    raw.place = place_of(run, bytes_of(first->ptr, (size_t)(last->ptr + last->len - first->ptr)));
    if (value->code->code != 'c')
        read_raw(value->code, frame->octets + at, &raw);
    else if (!read_character(run, frame->octets[at], &raw))
        return false;
    return custom_field_take(run, &value->field, &raw);
}

/* emonHub's receivers say (-0) where they do not know. */
static bool take_rssi(const struct emonhub *emonhub, struct custom_run *run, const struct frame *frame)
{
    struct custom_raw raw = {.kind = CUSTOM_RAW_INTEGER};
    if (frame->rssi_word.len == 0)
        return true;
    raw.negative = frame->rssi.negative;
    raw.magnitude = frame->rssi.magnitude;
    raw.place = place_of(run, frame->rssi_word);
    return raw.magnitude ? custom_field_take(run, &emonhub->rssi, &raw) : custom_note(run, raw.place, "not known");
}

/* How many values the frame has. False: its length is wrong. */
static bool count_values(const struct emonhub_table *table, const struct frame *frame, size_t *ret)
{
    size_t count = table->count;
    while (table->open_ended && count > 1 && emonhub_octets(table->values, count) > frame->count)
        count--;
    *ret = count;
    return emonhub_octets(table->values, count) == frame->count;
}

static bool take_frame(const struct emonhub *emonhub, struct custom_run *run, struct frame *frame, struct bytes line)
{
    const struct emonhub_table *table = find_table(emonhub, frame->node);
    struct custom_scope scope = custom_scope_begin(run, NULL);
    size_t count, at = 0;
    if (!table && emonhub->ignores_unknown)
        return noise(run, line);
    if (!table)
        return custom_refuse(run, OUTCOME_BAD_VALUE, "The codec has no table for this node.", offset_of(run, line.ptr));
    if (!count_values(table, frame, &count))
        return custom_refuse(run, OUTCOME_MALFORMED, "The frame has another length than its datacodes.",
                             offset_of(run, line.ptr));
    for (size_t i = 0; table->whitening && i < frame->count; i++)
        frame->octets[i] ^= WHITENING;
    for (size_t i = 0; i < count; i++) {
        if (!take_value(run, &table->values[i], frame, at))
            return false;
        at += table->values[i].code->octets;
    }
    return take_rssi(emonhub, run, frame) && custom_scope_node(run, scope, table->node);
}

/* "OK 5 ..." and, from older receivers, the same without OK. */
static bool read_frame(const struct emonhub *emonhub, struct custom_run *run, struct bytes line)
{
    struct bytes rest = line;
    struct frame frame;
    bool is_ok = bytes_equal_text(take_word(&rest), "OK");
    if (parse_frame(is_ok ? rest : line, &frame))
        return take_frame(emonhub, run, &frame, line);
    return is_ok ? custom_refuse(run, OUTCOME_MALFORMED, "The frame is no list of octets.", offset_of(run, line.ptr))
                 : noise(run, line);
}

/* Values with names. --------------------------------------------------------------------------------------------- */

static bool take_named(const struct emonhub *emonhub, struct custom_run *run, struct bytes name,
                       const struct custom_raw *raw)
{
    struct bytes clean;
    if (!naming_clean(name, NAMING_NAME_MAX, run->arena, &clean, &run->refusal))
        return false;
    for (size_t i = 0; i < emonhub->named_count; i++) {
        if (bytes_equal(emonhub->named[i].label, clean))
            return custom_field_take(run, &emonhub->named[i], raw);
    }
    return custom_take_unknown(run, clean, raw);
}

/*
 * Numbers so long or large that a scale or a unit could bring them out of bounds are refused here, as the payload's
 * fault: further on they would be taken for the definition's, and the codec would be put aside.
 */
static bool is_sane(const struct decimal *number)
{
    return number->count <= DIGITS_MAX && abs(number->exponent) <= EXPONENT_MAX;
}

/* A number of any text; it keeps its text where that is JSON's, but E would not be. False: it is none. */
static bool set_number(struct bytes text, struct custom_raw *ret)
{
    struct decimal ignored;
    struct refusal refusal;
    if (!relaxed_decimal(text, &ret->decimal, &refusal) || !is_sane(&ret->decimal))
        return false;
    bool keeps = decimal_parse(text, &ignored) == DECIMAL_OK && !memchr(text.ptr, 'E', text.len);
    ret->kind = CUSTOM_RAW_NUMBER;
    ret->data = keeps ? text : (struct bytes){0};
    return true;
}

static bool refuse_number(struct custom_run *run, size_t offset)
{
    return custom_refuse(run, OUTCOME_BAD_VALUE, "A value is no number, or one beyond what a meter can say.", offset);
}

/* One part of "name:value,name:value". False: no such part. */
static bool take_pair(struct bytes *line, struct bytes *ret_name, struct bytes *ret_value)
{
    const uint8_t *comma = memchr(line->ptr, ',', line->len);
    size_t len = comma ? (size_t)(comma - line->ptr) : line->len, next = len + (comma != NULL);
    const uint8_t *colon = memchr(line->ptr, ':', len);
    if (!colon)
        return false;
    size_t name = (size_t)(colon - line->ptr);
    *ret_name = relaxed_trim(bytes_of(line->ptr, name));
    *ret_value = relaxed_trim(bytes_of(colon + 1, len - name - 1));
    *line = bytes_of(line->ptr + next, line->len - next);
    for (size_t i = 0; i < ret_name->len; i++) {
        uint8_t c = ret_name->ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return ret_name->len > 0;
}

/* Whether all parts are pairs and a number is among them: else people are meant to read it. */
static bool are_pairs(struct bytes line)
{
    struct bytes name, value;
    struct decimal decimal;
    struct refusal ignored;
    bool any = false;
    while (line.len) {
        if (!take_pair(&line, &name, &value))
            return false;
        any = any || relaxed_decimal(value, &decimal, &ignored);
    }
    return any;
}

static bool read_pairs(const struct emonhub *emonhub, struct custom_run *run, struct bytes line)
{
    struct bytes name, value;
    if (!are_pairs(line))
        return noise(run, line);
    while (line.len && take_pair(&line, &name, &value)) {
        struct custom_raw raw = {.kind = CUSTOM_RAW_ABSENT, .place = place_of(run, value)};
        if (value.len && !set_number(value, &raw))
            return refuse_number(run, offset_of(run, value.ptr));
        if (!take_named(emonhub, run, name, &raw))
            return false;
    }
    return naming_distinct(run->items, run->count, run->arena, &run->refusal);
}

/* Text that is a number counts as one. */
static bool raw_of_node(struct custom_run *run, const struct node *value, struct custom_raw *ret)
{
    struct refusal ignored;
    switch (value->kind) {
    case NODE_NULL:
        return true;
    case NODE_BOOLEAN:
        ret->kind = CUSTOM_RAW_BOOLEAN;
        ret->magnitude = value->boolean;
        return true;
    case NODE_NUMBER:
        return set_number(value->data, ret) || refuse_number(run, SIZE_MAX);
    case NODE_TEXT:
        if (relaxed_decimal(relaxed_trim(value->data), &ret->decimal, &ignored))
            return set_number(relaxed_trim(value->data), ret) || refuse_number(run, SIZE_MAX);
        ret->kind = CUSTOM_RAW_TEXT;
        ret->data = value->data;
        return true;
    default:
        return custom_refuse(run, OUTCOME_BAD_VALUE, "A value is neither a number nor text nor a boolean.", SIZE_MAX);
    }
}

static bool read_object(const struct emonhub *emonhub, struct custom_run *run, struct bytes line)
{
    const struct node *object;
    if (!json_read(line, &run->input->limits, run->arena, &object, &run->refusal)) {
        if (run->refusal.offset != SIZE_MAX)
            run->refusal.offset += offset_of(run, line.ptr);
        return false;
    }
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1)) {
        struct custom_raw raw = {.kind = CUSTOM_RAW_ABSENT};
        if (!raw_of_node(run, key + 1, &raw) || !take_named(emonhub, run, key->data, &raw))
            return false;
    }
    return naming_distinct(run->items, run->count, run->arena, &run->refusal);
}

bool emonhub_decode(const void *compiled, struct custom_run *run)
{
    const struct emonhub *emonhub = compiled;
    struct bytes line = relaxed_trim(run->input->payload);
    if (line.len == 0)
        return true;
    if (line.ptr[0] == '{')
        return read_object(emonhub, run, line);
    if (memchr(line.ptr, ':', line.len))
        return read_pairs(emonhub, run, line);
    return read_frame(emonhub, run, line);
}
