// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Reads from the left: measurement, tags, fields, time. Parts without a backslash are borrowed from the line; only
 * escaped ones are copied.
 */
#include "codec/influx.h"

#include "codec/builder.h"
#include "codec/naming.h"
#include "codec/relaxed.h"
#include "codec/timestamp.h"
#include "codec/utf8.h"

#define TAGS_MAX 32
#define FIELDS_FIRST 8 /* room for fields at the beginning; it doubles */

struct tag {
    struct bytes key, value;
};

struct line {
    const struct format_input *input;
    struct arena *arena;
    struct refusal *reterr;
    struct bytes rest; /* what is still to be read */
    struct bytes measurement;
    struct tag tags[TAGS_MAX];
    size_t tag_count;
    struct observation common; /* node, time */
    struct observation *items;
    size_t count, room;
};

static size_t here(const struct line *line)
{
    return (size_t)(line->rest.ptr - line->input->payload.ptr);
}

static bool refuse_line(struct line *line, const char *detail)
{
    return refuse(line->reterr, OUTCOME_MALFORMED, detail, here(line));
}

static void skip(struct line *line, size_t len)
{
    line->rest = bytes_of(line->rest.ptr + len, line->rest.len - len);
}

static bool next_is(const struct line *line, char c)
{
    return line->rest.len && line->rest.ptr[0] == (uint8_t)c;
}

static bool take(struct line *line, char c)
{
    if (!next_is(line, c))
        return false;
    skip(line, 1);
    return true;
}

static void skip_blanks(struct line *line)
{
    while (take(line, ' ') || take(line, '\t'))
        continue;
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c && strchr(set, c);
}

/* Without the backslashes that stand before one of the set. */
static bool unescape(struct line *line, struct bytes text, const char *set, struct bytes *ret)
{
    uint8_t *out = arena_alloc(line->arena, text.len);
    size_t len = 0;
    if (!out)
        return refuse_memory(line->reterr);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\' && i + 1 < text.len && is_one_of(text.ptr[i + 1], set))
            i++;
        out[len++] = text.ptr[i];
    }
    *ret = bytes_of(out, len);
    return true;
}

/* A part up to one of the stops that no backslash stands before; the escaped ones are those that one may stand
 * before. */
static bool take_part(struct line *line, const char *stops, const char *escaped, struct bytes *ret)
{
    struct bytes text = line->rest;
    bool any = false;
    size_t len = 0;
    for (; len < text.len && !is_one_of(text.ptr[len], stops); len++) {
        if (text.ptr[len] == '\\' && len + 1 < text.len && is_one_of(text.ptr[len + 1], escaped)) {
            len++;
            any = true;
        }
    }
    if (len == 0)
        return refuse_line(line, "A part of the line is empty.");
    *ret = bytes_of(text.ptr, len);
    skip(line, len);
    return !any || unescape(line, *ret, escaped, ret);
}

/* Sorted by key, so that the order in the line makes no other name. */
static bool insert_tag(struct line *line, struct tag tag)
{
    size_t at = line->tag_count;
    if (at == TAGS_MAX)
        return refuse(line->reterr, OUTCOME_TOO_COMPLEX, "The line has too many tags.", here(line));
    for (; at > 0; at--) {
        struct bytes before = line->tags[at - 1].key;
        size_t common = before.len < tag.key.len ? before.len : tag.key.len;
        int order = memcmp(before.ptr, tag.key.ptr, common);
        if (order == 0 && before.len == tag.key.len)
            return refuse(line->reterr, OUTCOME_DUPLICATE_KEY, "A tag is there twice.", here(line));
        if (order < 0 || (order == 0 && before.len < tag.key.len))
            break;
        line->tags[at] = line->tags[at - 1];
    }
    line->tags[at] = tag;
    line->tag_count++;
    return true;
}

static bool read_tags(struct line *line)
{
    while (take(line, ',')) {
        struct tag tag;
        if (!take_part(line, ",= ", ",= ", &tag.key))
            return false;
        if (!take(line, '='))
            return refuse_line(line, "A tag has no value.");
        if (!take_part(line, ",= ", ",= ", &tag.value) || !insert_tag(line, tag))
            return false;
    }
    return true;
}

/* Takes the tag that says the node out of the others. */
static bool take_node(struct line *line, const char *key, struct bytes key_of_parameter, bool *ret_found)
{
    struct bytes wanted = key ? bytes_of_text(key) : key_of_parameter;
    size_t at = 0;
    while (at < line->tag_count && !bytes_equal(line->tags[at].key, wanted))
        at++;
    *ret_found = at < line->tag_count;
    if (!*ret_found)
        return true;
    struct bytes node = line->tags[at].value;
    line->tag_count--;
    memmove(&line->tags[at], &line->tags[at + 1], (line->tag_count - at) * sizeof(line->tags[0]));
    return naming_node(node, line->arena, &line->common, line->reterr);
}

static bool find_node(struct line *line)
{
    bool found;
    struct bytes wanted = format_parameter(line->input, "node_tag", &found);
    if (found)
        return take_node(line, NULL, wanted, &found);
    return take_node(line, "device", wanted, &found) && (found || take_node(line, "host", wanted, &found));
}

/* Fields. -------------------------------------------------------------------------------------------------------- */

static bool name_field(struct line *line, struct bytes key, struct bytes *ret)
{
    struct builder builder;
    struct bytes name;
    builder_init(&builder, line->arena, 64);
    builder_put(&builder, line->measurement);
    if (!bytes_equal(key, BYTES_LITERAL("value"))) {
        builder_put_byte(&builder, '.');
        builder_put(&builder, key);
    }
    for (size_t i = 0; i < line->tag_count; i++) {
        builder_put_byte(&builder, '.');
        builder_put(&builder, line->tags[i].key);
        builder_put_byte(&builder, '-');
        builder_put(&builder, line->tags[i].value);
    }
    if (!builder_finish(&builder, &name))
        return refuse_memory(line->reterr);
    return naming_clean(name, NAMING_NAME_MAX, line->arena, ret, line->reterr);
}

/* Text in quotes; \" and \\ are escaped in it. */
static bool read_text(struct line *line, struct observation *item)
{
    size_t len = 1;
    bool any = false;
    for (; len < line->rest.len && line->rest.ptr[len] != '"'; len++) {
        if (line->rest.ptr[len] == '\\' && len + 1 < line->rest.len && is_one_of(line->rest.ptr[len + 1], "\"\\")) {
            len++;
            any = true;
        }
    }
    if (len >= line->rest.len)
        return refuse_line(line, "A text has no end in this line.");
    item->kind = VALUE_TEXT;
    item->data = bytes_of(line->rest.ptr + 1, len - 1);
    if (!utf8_is_text(item->data))
        return refuse(line->reterr, OUTCOME_BAD_VALUE, utf8_why_no_text(item->data), here(line));
    skip(line, len + 1);
    return !any || unescape(line, item->data, "\"\\", &item->data);
}

static bool is_boolean(struct bytes text, bool *ret)
{
    static const char *const words[] = {"f", "t", "F", "T", "false", "true", "False", "True", "FALSE", "TRUE"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (bytes_equal_text(text, words[i])) {
            *ret = i % 2;
            return true;
        }
    }
    return false;
}

/* The digits of an integer; max is its largest magnitude. */
static bool read_integer(struct bytes digits, uint64_t max, uint64_t *ret)
{
    uint64_t magnitude = 0;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t digit = digits.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, digit, &magnitude) || magnitude > max)
            return false;
    }
    *ret = magnitude;
    return digits.len > 0;
}

/* 64 bits: 3i with a sign, 5u without. */
static bool is_integer(struct bytes text, bool has_sign)
{
    uint64_t magnitude, max = has_sign ? INT64_MAX : UINT64_MAX;
    if (has_sign && text.len && text.ptr[0] == '-') {
        text = bytes_of(text.ptr + 1, text.len - 1);
        max++;
    }
    return read_integer(text, max, &magnitude);
}

static bool read_number(struct line *line, struct bytes text, struct observation *item)
{
    uint8_t last = text.ptr[text.len - 1];
    struct bytes number = text;
    item->kind = VALUE_NUMBER;
    if (last == 'i' || last == 'u') {
        number.len--;
        if (!is_integer(number, last == 'i'))
            return refuse(line->reterr, OUTCOME_BAD_VALUE, "An integer is none or too large.", here(line));
    }
    if (!relaxed_number(number, line->arena, &item->number, line->reterr)) {
        if (line->reterr->outcome == OUTCOME_BAD_VALUE)
            line->reterr->offset = here(line);
        return false;
    }
    return true;
}

static bool read_value(struct line *line, struct observation *item)
{
    if (next_is(line, '"'))
        return read_text(line, item);
    size_t len = 0;
    while (len < line->rest.len && !is_one_of(line->rest.ptr[len], ", \t"))
        len++;
    struct bytes text = bytes_of(line->rest.ptr, len);
    if (len == 0)
        return refuse_line(line, "A field has no value.");
    if (is_boolean(text, &item->boolean))
        item->kind = VALUE_BOOLEAN;
    else if (!read_number(line, text, item))
        return false;
    skip(line, len);
    return true;
}

static bool make_room(struct line *line)
{
    if (line->count < line->room)
        return true;
    if (line->count == line->input->limits.records)
        return refuse(line->reterr, OUTCOME_TOO_COMPLEX, "The line has too many fields.", here(line));
    size_t room = line->room ? 2 * line->room : FIELDS_FIRST;
    if (room > line->input->limits.records)
        room = line->input->limits.records;
    struct observation *items = arena_calloc(line->arena, room, sizeof(*items));
    if (!items)
        return refuse_memory(line->reterr);
    if (line->count)
        memcpy(items, line->items, line->count * sizeof(*items));
    line->items = items;
    line->room = room;
    return true;
}

static bool read_fields(struct line *line)
{
    do {
        struct observation item = {.kind = VALUE_NONE};
        struct bytes key;
        if (!take_part(line, ",= ", ",= ", &key))
            return false;
        if (!take(line, '='))
            return refuse_line(line, "A field has no value.");
        if (!read_value(line, &item) || !name_field(line, key, &item.name) || !make_room(line))
            return false;
        line->items[line->count++] = item;
    } while (take(line, ','));
    return naming_distinct(line->items, line->count, line->arena, line->reterr);
}

/* Time. ---------------------------------------------------------------------------------------------------------- */

/* Nanoseconds that one step of the time is. */
static bool find_precision(struct line *line, int64_t *ret_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } table[] = {
        {"ns", 1},          {"n", 1},           {"nanosecond", 1},           {"us", 1000},          {"u", 1000},
        {"microsecond", 1000}, {"ms", 1000000}, {"millisecond", 1000000},    {"s", 1000000000},
        {"second", 1000000000}, {"m", INT64_C(60000000000)}, {"h", INT64_C(3600000000000)},
    };
    bool found;
    struct bytes name = format_parameter(line->input, "precision", &found);
    *ret_ns = 1;
    for (size_t i = 0; found && i < sizeof(table) / sizeof(table[0]); i++) {
        *ret_ns = table[i].ns;
        if (bytes_equal_text(name, table[i].name))
            return true;
    }
    return !found || refuse(line->reterr, OUTCOME_BAD_VALUE, "The precision is not one that is known.", SIZE_MAX);
}

static bool read_time(struct line *line)
{
    const timestamp_atto ns_per_s = 1000000000; /* a wide integer, not attoseconds */
    uint64_t magnitude;
    int64_t step_ns;
    if (!find_precision(line, &step_ns))
        return false;
    line->common.time = line->input->now;
    line->common.time_source = TIME_RECEIPT;
    skip_blanks(line);
    if (line->rest.len == 0)
        return true;
    bool negative = take(line, '-');
    if (!read_integer(line->rest, INT64_MAX, &magnitude))
        return refuse_line(line, "The time is no integer of 64 bits.");
    timestamp_atto ns = (timestamp_atto)magnitude * step_ns;
    ns = negative ? -ns : ns;
    timestamp_atto s = ns / ns_per_s, rest = ns % ns_per_s;
    if (rest < 0) {
        s--;
        rest += ns_per_s;
    }
    if (s > TIMESTAMP_LIMIT_S || s < -TIMESTAMP_LIMIT_S)
        return refuse(line->reterr, OUTCOME_BAD_VALUE, "The time is too far away.", here(line));
    line->common.time = (struct timestamp){(int64_t)s, (uint32_t)rest};
    line->common.time_source = TIME_DEVICE;
    return true;
}

static void set_common(struct line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        line->items[i].node = line->common.node;
        line->items[i].node_raw = line->common.node_raw;
        line->items[i].time = line->common.time;
        line->items[i].time_source = line->common.time_source;
    }
}

static bool read_line(struct line *line)
{
    if (!take_part(line, ", ", ", ", &line->measurement) || !read_tags(line) || !find_node(line) ||
        !naming_clean(line->measurement, NAMING_NAME_MAX, line->arena, &line->measurement, line->reterr))
        return false;
    if (!next_is(line, ' '))
        return refuse_line(line, "The line has no fields.");
    skip_blanks(line);
    if (!read_fields(line))
        return false;
    if (line->rest.len && !next_is(line, ' ') && !next_is(line, '\t'))
        return refuse_line(line, "A value does not end where it should.");
    if (!read_time(line))
        return false;
    set_common(line);
    return true;
}

enum outcome influx_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                           struct format_error *reterr)
{
    struct refusal refusal;
    struct line line = {
        .input = input,
        .arena = arena,
        .reterr = &refusal,
        .rest = relaxed_trim(input->payload),
    };
    if (line.rest.len && !next_is(&line, '#') && !read_line(&line))
        return refusal_report(&refusal, reterr);
    *ret = (struct observation_list){.items = line.items, .count = line.count};
    return OUTCOME_CHANGED;
}
