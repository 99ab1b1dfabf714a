// SPDX-License-Identifier: GPL-3.0-or-later
/* The wrappings of leaf objects, each a few lines around opentrv_leaf, and the older ASCII form. */
#include "codec/opentrv.h"

#include "codec/crc7.h"
#include "codec/datetime.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "codec/opentrv_leaf.h"
#include "codec/scale.h"

#define BRACE_SENT 0xfd /* the last } of raw JSON, so that its end is seen */

/* One decoder: from text, with the offsets of refusals counted in the text, to a list. */
typedef bool decode_fn(const struct format_input *input, struct bytes text, struct arena *arena,
                       struct observation_list *ret, struct refusal *reterr);

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim(struct bytes text)
{
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    while (text.len && is_space(text.ptr[0]))
        text = bytes_of(text.ptr + 1, text.len - 1);
    return text;
}

/* Runs a decoder over the payload without the white space around it. */
static enum outcome decode_trimmed(decode_fn *decode, const struct format_input *input, struct arena *arena,
                                   struct observation_list *ret, struct format_error *reterr)
{
    struct refusal refusal;
    struct observation_list list = {0};
    struct bytes text = trim(input->payload);
    if (decode(input, text, arena, &list, &refusal)) {
        *ret = list;
        return OUTCOME_CHANGED;
    }
    if (refusal.offset != SIZE_MAX && text.len)
        refusal.offset += (size_t)(text.ptr - input->payload.ptr);
    return refusal_report(&refusal, reterr);
}

static bool make_list(const struct format_input *input, size_t count, struct arena *arena,
                      struct observation_list *ret, struct refusal *reterr)
{
    if (count > input->limits.records)
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "The payload has too many values.", SIZE_MAX);
    *ret = (struct observation_list){.items = arena_calloc(arena, count, sizeof(*ret->items)), .count = count};
    return ret->items || refuse_memory(reterr);
}

static bool take_leaf(const struct format_input *input, const struct opentrv_leaf *leaf, struct observation *common,
                      struct arena *arena, struct observation_list *ret, struct refusal *reterr)
{
    common->node = leaf->node;
    return make_list(input, leaf->values, arena, ret, reterr) &&
           opentrv_leaf_take(leaf, common, arena, ret->items, reterr);
}

static bool decode_json(const struct format_input *input, struct bytes text, struct arena *arena,
                        struct observation_list *ret, struct refusal *reterr)
{
    struct opentrv_leaf leaf;
    struct observation common = {.time = input->now, .time_source = TIME_RECEIPT};
    return opentrv_leaf_parse(text, &input->limits, arena, &leaf, reterr) &&
           take_leaf(input, &leaf, &common, arena, ret, reterr);
}

enum outcome opentrv_decode_json(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                 struct format_error *reterr)
{
    return decode_trimmed(decode_json, input, arena, ret, reterr);
}

/* [ time, concentrator, leaf ]. Whose concentrator it is the speaker's identity says better than the second element. */
static bool decode_array(const struct format_input *input, struct bytes text, struct arena *arena,
                         struct observation_list *ret, struct refusal *reterr)
{
    const struct node *array;
    struct opentrv_leaf leaf;
    struct observation common = {.time_source = TIME_DEVICE};
    if (!json_read(text, &input->limits, arena, &array, reterr))
        return false;
    if (array->kind != NODE_ARRAY || array->count != 3)
        return refuse(reterr, OUTCOME_BAD_VALUE, "A line of a concentrator has three elements.", 0);
    const struct node *time = node_first(array), *concentrator = node_next(time);
    if (time->kind != NODE_TEXT || !datetime_parse(time->data, &common.time))
        return refuse(reterr, OUTCOME_BAD_VALUE, "The first element is no date and time.", node_offset(time));
    if (concentrator->kind != NODE_TEXT)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The second element is no text.", node_offset(concentrator));
    return opentrv_leaf_open(node_next(concentrator), &leaf, reterr) &&
           take_leaf(input, &leaf, &common, arena, ret, reterr);
}

/* One section of the ASCII form: a key of one character and what stands behind it. */
struct section {
    uint8_t key;
    struct bytes key_text; /* the same */
    struct bytes value;
    size_t offset;
};

#define SECTION_DEGREES_MAX 4 /* digits */

/*
 * 19C7: degrees in decimal and sixteenths in hexadecimal. Senders print the number of sixteenths shifted right by 4 and
 * its last four bits, so that -4.75 is -5C4 and -0 does not occur.
 */
static bool take_degrees(const struct section *section, struct arena *arena, struct observation *observation,
                         struct refusal *reterr)
{
    struct bytes text = section->value;
    bool negative = text.len && text.ptr[0] == '-';
    size_t i = negative, degrees = 0;
    for (; i < text.len && i < SECTION_DEGREES_MAX + (size_t)negative && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        degrees = degrees * 10 + (size_t)(text.ptr[i] - '0');
    int sixteenths = i + 2 == text.len && text.ptr[i] == 'C' ? hex_value(text.ptr[i + 1]) : -1;
    if (i == (size_t)negative || sixteenths < 0 || (negative && degrees == 0))
        return refuse(reterr, OUTCOME_MALFORMED, "A temperature is not degrees, C and one hexadecimal digit.",
                      section->offset);
    struct decimal raw;
    decimal_from_uint(negative ? degrees * 16 - (size_t)sixteenths : degrees * 16 + (size_t)sixteenths, negative, &raw);
    observation->name = section->key_text;
    observation->unit = BYTES_LITERAL("Cel");
    observation->kind = VALUE_NUMBER;
    return scale_number(&raw, (struct scale){625, -4}, arena, &observation->number, reterr);
}

static bool take_section(const struct section *section, struct arena *arena, struct observation *observation,
                         struct refusal *reterr)
{
    struct decimal decimal;
    if (section->key == 'T')
        return take_degrees(section, arena, observation, reterr);
    if (section->value.len == 0) {
        /* A flag, of which P (power is low) is the only one known; it has the name that frames give it. */
        observation->name = section->key == 'P' ? BYTES_LITERAL("lowBattery") : section->key_text;
        observation->kind = VALUE_BOOLEAN;
        observation->boolean = true;
        return true;
    }
    if (decimal_parse(section->value, &decimal) == DECIMAL_MALFORMED)
        return refuse(reterr, OUTCOME_MALFORMED, "A value is no number.", section->offset);
    struct node node = {.kind = NODE_NUMBER, .data = section->value, .offset = (uint32_t)section->offset, .skip = 1};
    return opentrv_leaf_bare(section->key_text, &node, arena, observation, reterr);
}

/* The sections between semicolons, with the white space around each dropped. False: no more. */
static bool next_section(struct bytes text, size_t *at, struct section *ret)
{
    if (*at > text.len)
        return false;
    struct bytes rest = bytes_of(text.ptr + *at, text.len - *at);
    const uint8_t *end = rest.len ? memchr(rest.ptr, ';', rest.len) : NULL;
    size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
    struct bytes section = trim(bytes_of(rest.ptr, len));
    *ret = (struct section){.offset = *at};
    if (section.len)
        *ret = (struct section){section.ptr[0], bytes_of(section.ptr, 1), bytes_of(section.ptr + 1, section.len - 1),
                                (size_t)(section.ptr - text.ptr)};
    *at += len + 1;
    return true;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool decode_ascii(const struct format_input *input, struct bytes text, struct arena *arena,
                         struct observation_list *ret, struct refusal *reterr)
{
    bool seen[128] = {false};
    struct section section;
    struct observation common = {.time = input->now, .time_source = TIME_RECEIPT};
    size_t at = 0, count = 0;
    if (text.len == 0 || text.ptr[0] != '@' || !next_section(text, &at, &section) ||
        !opentrv_leaf_node_is_valid(section.value))
        return refuse(reterr, OUTCOME_MALFORMED, "The line does not begin with @ and 1 to 16 hexadecimal digits.", 0);
    common.node = section.value;
    struct observation *items = arena_calloc(arena, 2 * (size_t)('z' - 'a' + 1), sizeof(*items));
    if (!items)
        return refuse_memory(reterr);
    for (; next_section(text, &at, &section); count++) {
        if (!is_letter(section.key))
            return refuse(reterr, OUTCOME_MALFORMED, "A section is empty or does not begin with a letter.",
                          section.offset < text.len ? section.offset : text.len);
        if (seen[section.key])
            return refuse(reterr, OUTCOME_DUPLICATE_KEY, "A section is there twice.", section.offset);
        if (count == input->limits.records)
            return refuse(reterr, OUTCOME_TOO_COMPLEX, "The payload has too many values.", section.offset);
        seen[section.key] = true;
        items[count] = common;
        if (!take_section(&section, arena, &items[count], reterr))
            return false;
    }
    *ret = (struct observation_list){.items = items, .count = count};
    return true;
}

enum outcome opentrv_decode_ascii(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                  struct format_error *reterr)
{
    return decode_trimmed(decode_ascii, input, arena, ret, reterr);
}

static bool decode_line(const struct format_input *input, struct bytes text, struct arena *arena,
                        struct observation_list *ret, struct refusal *reterr)
{
    switch (text.len ? text.ptr[0] : '!') {
    case '!': /* an error of the receiver */
    case '=': /* its status */
    case '>': /* its prompt */
        return true;
    case '{':
        return decode_json(input, text, arena, ret, reterr);
    case '@':
        return decode_ascii(input, text, arena, ret, reterr);
    case '[':
        return decode_array(input, text, arena, ret, reterr);
    default:
        return refuse(reterr, OUTCOME_MALFORMED, "The line is neither what a leaf says nor noise of the console.", 0);
    }
}

enum outcome opentrv_decode_log(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                struct format_error *reterr)
{
    return decode_trimmed(decode_line, input, arena, ret, reterr);
}

/* The JSON of a radio message: checked, and its last brace as it should be. */
static bool open_raw(struct bytes payload, struct arena *arena, struct bytes *ret, struct refusal *reterr)
{
    if (payload.len < 3 || payload.ptr[0] != '{' || payload.ptr[payload.len - 2] != BRACE_SENT)
        return refuse(reterr, OUTCOME_MALFORMED, "The payload is not {, JSON, 0xfd and a checksum.", 0);
    if (payload.len - 1 > OPENTRV_RAW_JSON_MAX)
        return refuse(reterr, OUTCOME_MALFORMED, "The JSON of one radio message has at most 55 characters.",
                      OPENTRV_RAW_JSON_MAX);
    uint8_t crc = crc7(CRC7_RAW_JSON_START, bytes_of(payload.ptr + 1, payload.len - 2));
    uint8_t sent = payload.ptr[payload.len - 1];
    if (sent != crc && !(crc == 0 && sent == CRC7_ZERO_SENT))
        return refuse(reterr, OUTCOME_MALFORMED, "The checksum does not match.", payload.len - 1);
    uint8_t *text = arena_alloc(arena, payload.len - 1);
    if (!text)
        return refuse_memory(reterr);
    memcpy(text, payload.ptr, payload.len - 2);
    text[payload.len - 2] = '}';
    *ret = bytes_of(text, payload.len - 1);
    return true;
}

enum outcome opentrv_decode_raw(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                struct format_error *reterr)
{
    struct bytes text;
    struct refusal refusal;
    struct observation_list list;
    if (!open_raw(input->payload, arena, &text, &refusal) || !decode_json(input, text, arena, &list, &refusal))
        return refusal_report(&refusal, reterr);
    *ret = list;
    return OUTCOME_CHANGED;
}
