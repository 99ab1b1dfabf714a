// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The two forms differ in where node and time come from; both end in a list to which values are added one by one.
 * Room is made once, for as many values as the data can have.
 */
#include "codec/emoncms.h"

#include "codec/datetime.h"
#include "codec/hex.h"
#include "codec/inflate.h"
#include "codec/json.h"
#include "codec/naming.h"
#include "codec/relaxed.h"
#include "codec/timestamp.h"

/* A compressed batch may become as long as its limit of items can fill: so many characters each. */
#define CHARACTERS_PER_ITEM 16
#define FIRST_VALUE 2 /* behind offset and node of a row */
#define CLOCK_ERROR_MAX_S 300 /* of a sender whose clock is right, with all the time that its request took */
#define ATTO_PER_S ((timestamp_atto)1000000000000000000)

/* The list under construction. */
struct list {
    const struct format_input *input;
    struct arena *arena;
    struct refusal *reterr;
    struct bytes data;         /* what the values are read from */
    struct observation common; /* what the next values have in common: node, time */
    struct observation *items;
    size_t count, room;
    struct observation_part *parts; /* the rows with values */
    size_t part_count;
    bool is_absolute; /* the rows say when they were, by a clock that is right */
};

static bool refuse_value(struct list *list, const char *detail, size_t offset)
{
    return refuse(list->reterr, OUTCOME_BAD_VALUE, detail, offset);
}

static bool reserve(struct list *list, size_t room)
{
    if (room > list->input->limits.records)
        return refuse(list->reterr, OUTCOME_TOO_COMPLEX, "The request has too many values.", SIZE_MAX);
    list->room = room;
    list->items = arena_calloc(list->arena, room, sizeof(*list->items));
    return list->items || refuse_memory(list->reterr);
}

/* The next value, which has no name and no value yet. */
static struct observation *next_item(struct list *list)
{
    struct observation *item = &list->items[list->count];
    *item = list->common;
    return item;
}

static bool name_item(struct list *list, struct observation *item, struct bytes raw)
{
    return naming_clean(raw, NAMING_NAME_MAX, list->arena, &item->name, list->reterr);
}

/* "1", "2", ... */
static bool name_item_by_position(struct list *list, struct observation *item, size_t position)
{
    char digits[24];
    size_t at = sizeof(digits);
    for (; position; position /= 10)
        digits[--at] = (char)('0' + position % 10);
    return arena_copy(list->arena, bytes_of(digits + at, sizeof(digits) - at), &item->name) ||
           refuse_memory(list->reterr);
}

static bool is_nothing(const struct node *value)
{
    return value->kind == NODE_NULL || (value->kind == NODE_TEXT && value->data.len == 0);
}

/* Numbers in quotes are numbers, as in PHP. */
static bool read_text(struct list *list, struct bytes text, struct observation *item)
{
    struct refusal no_number;
    item->kind = VALUE_NUMBER;
    if (relaxed_number(relaxed_trim(text), list->arena, &item->number, &no_number))
        return true;
    if (no_number.outcome == OUTCOME_OUT_OF_MEMORY)
        return refuse_memory(list->reterr);
    item->kind = VALUE_TEXT;
    item->data = text;
    return true;
}

static bool read_value(struct list *list, const struct node *value, struct observation *item)
{
    struct decimal decimal;
    switch (value->kind) {
    case NODE_NUMBER:
        item->kind = VALUE_NUMBER;
        return node_number(value, list->arena, &decimal, &item->number, list->reterr);
    case NODE_BOOLEAN:
        item->kind = VALUE_BOOLEAN;
        item->boolean = value->boolean;
        return true;
    case NODE_TEXT:
        return read_text(list, value->data, item);
    default:
        return refuse_value(list, "A value is neither a number nor text nor a boolean.", node_offset(value));
    }
}

static bool set_node(struct list *list, struct bytes raw)
{
    return naming_node(raw, list->arena, &list->common, list->reterr);
}

static bool refuse_time(struct list *list)
{
    return refuse_value(list, "A time is neither seconds nor a date, or too far away.", SIZE_MAX);
}

static bool read_seconds(struct list *list, struct bytes text, timestamp_atto *ret)
{
    struct decimal seconds;
    return (relaxed_decimal(relaxed_trim(text), &seconds, list->reterr) && timestamp_from_decimal(&seconds, ret)) ||
           refuse_time(list);
}

/* emonCMS takes a time that it cannot read as now, which would move the values. */
static bool set_time(struct list *list, struct bytes text)
{
    timestamp_atto time;
    struct decimal seconds;
    struct refusal ignored;
    struct timestamp *ret = &list->common.time;
    text = relaxed_trim(text);
    list->common.time_source = TIME_DEVICE;
    if (datetime_parse_query(text, ret))
        return true;
    return (relaxed_decimal(text, &seconds, &ignored) && timestamp_from_decimal(&seconds, &time) &&
            timestamp_from_atto(time, ret)) ||
           refuse_time(list);
}

/* Offsets count in the data; where it is a part of the payload, they are moved, else nobody could use them. */
static enum outcome report(const struct list *list, struct format_error *reterr)
{
    struct refusal refusal = *list->reterr;
    const uint8_t *from = list->input->payload.ptr, *data = list->data.ptr;
    bool inside = from && data >= from && data <= from + list->input->payload.len;
    if (refusal.offset != SIZE_MAX)
        refusal.offset = inside ? refusal.offset + (size_t)(data - from) : SIZE_MAX;
    return refusal_report(&refusal, reterr);
}

static enum outcome finish(struct list *list, bool good, struct observation_list *ret, struct format_error *reterr)
{
    if (!good)
        return report(list, reterr);
    *ret = (struct observation_list){.items = list->items, .count = list->count};
    if (list->is_absolute) {
        ret->parts = list->parts;
        ret->part_count = list->part_count;
    }
    return OUTCOME_CHANGED;
}

/* Relaxed JSON: {power1:100,"power2":200}, braces and quotes as one likes, and values without names. ------------- */

/* One of the parts between commas. */
struct pair {
    struct bytes name, value;
    bool has_name;
};

static struct bytes unbraced(struct bytes text)
{
    text = relaxed_trim(text);
    bool braces = text.len >= 2 && ((text.ptr[0] == '{' && text.ptr[text.len - 1] == '}') ||
                                    (text.ptr[0] == '[' && text.ptr[text.len - 1] == ']'));
    return braces ? relaxed_trim(bytes_of(text.ptr + 1, text.len - 2)) : text;
}

/* A word, without its quotes if it is all in quotes; other quotes are no part of any word. */
static bool read_word(struct list *list, struct bytes text, struct bytes *ret)
{
    text = relaxed_trim(text);
    size_t offset = (size_t)(text.ptr - list->data.ptr);
    if (text.len >= 2 && (text.ptr[0] == '"' || text.ptr[0] == '\'') && text.ptr[text.len - 1] == text.ptr[0])
        text = relaxed_trim(bytes_of(text.ptr + 1, text.len - 2));
    for (size_t i = 0; i < text.len; i++) {
        if (memchr("\"'{}[]", text.ptr[i], 6))
            return refuse(list->reterr, OUTCOME_MALFORMED, "The data is no list of name:value.", offset);
    }
    *ret = text;
    return true;
}

/* Position of the first of two separators outside of quotes, or the end. */
static size_t find_separator(struct bytes text, uint8_t first, uint8_t second)
{
    uint8_t quote = 0;
    size_t i = 0;
    for (; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == first || c == second)
            break;
    }
    return i;
}

/* Takes a pair off, and the comma behind it. */
static bool take_pair(struct list *list, struct bytes *rest, struct pair *ret)
{
    size_t len = find_separator(*rest, ':', ',');
    *ret = (struct pair){.has_name = len < rest->len && rest->ptr[len] == ':'};
    if (ret->has_name) {
        if (!read_word(list, bytes_of(rest->ptr, len), &ret->name))
            return false;
        *rest = bytes_of(rest->ptr + len + 1, rest->len - len - 1);
        len = find_separator(*rest, ',', ',');
    }
    if (!read_word(list, bytes_of(rest->ptr, len), &ret->value))
        return false;
    bool more = len < rest->len;
    *rest = bytes_of(rest->ptr + len + more, rest->len - len - more);
    if (more && rest->len == 0)
        return refuse(list->reterr, OUTCOME_MALFORMED, "The data ends with a comma.", SIZE_MAX);
    return true;
}

/* null keeps its position and is left out. */
static bool add_pair(struct list *list, const struct pair *pair, size_t *position)
{
    struct observation *item = next_item(list);
    *position += !pair->has_name;
    if (bytes_equal(pair->value, BYTES_LITERAL("null")))
        return true;
    item->kind = VALUE_NUMBER;
    bool named = pair->has_name ? name_item(list, item, pair->name) : name_item_by_position(list, item, *position);
    if (!named || !relaxed_number(pair->value, list->arena, &item->number, list->reterr))
        return false;
    list->count++;
    return true;
}

static bool read_relaxed(struct list *list)
{
    struct bytes rest = unbraced(list->data);
    size_t commas = 0, position = 0;
    for (size_t i = 0; i < rest.len; i++)
        commas += rest.ptr[i] == ',';
    if (rest.len == 0)
        return refuse_value(list, "The request has no data.", SIZE_MAX);
    if (!reserve(list, commas + 1))
        return false;
    while (rest.len > 0) {
        struct pair pair;
        if (!take_pair(list, &rest, &pair) || !add_pair(list, &pair, &position))
            return false;
    }
    return true;
}

/* Strict JSON. --------------------------------------------------------------------------------------------------- */

static bool is_time(const struct node *key)
{
    return bytes_equal(key->data, BYTES_LITERAL("time"));
}

static bool set_time_of_node(struct list *list, const struct node *value)
{
    if (is_nothing(value))
        return true;
    if (value->kind != NODE_NUMBER && value->kind != NODE_TEXT)
        return refuse_time(list);
    return set_time(list, value->data);
}

static bool add_members(struct list *list, const struct node *object, bool without_time)
{
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1)) {
        struct observation *item = next_item(list);
        if (is_nothing(key + 1) || (without_time && is_time(key)))
            continue;
        if (!name_item(list, item, key->data) || !read_value(list, key + 1, item))
            return false;
        list->count++;
    }
    return true;
}

/* The time inside counts only where no parameter says one; it is no value in either case. */
static bool read_strict(struct list *list)
{
    const struct node *object;
    if (!json_read(list->data, &list->input->limits, list->arena, &object, list->reterr))
        return false;
    if (object->kind != NODE_MAP)
        return refuse_value(list, "The data has to be an object.", 0);
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1)) {
        if (is_time(key) && list->common.time_source == TIME_RECEIPT && !set_time_of_node(list, key + 1))
            return false;
    }
    return reserve(list, object->count) && add_members(list, object, true);
}

/* input/post ----------------------------------------------------------------------------------------------------- */

static bool read_post(struct list *list)
{
    static const char *const names[] = {"json", "fulljson", "csv", "data"};
    const struct format_input *input = list->input;
    bool found, strict = false;
    struct bytes node = format_parameter(input, "node", &found);
    if (found && !set_node(list, node))
        return false;
    struct bytes time = format_parameter(input, "time", &found);
    if (found && !set_time(list, time))
        return false;
    found = false;
    for (size_t i = 0; !found && i < sizeof(names) / sizeof(names[0]); i++) {
        list->data = format_parameter(input, names[i], &found);
        strict = i == 1;
    }
    if (!found) {
        list->data = input->payload;
        strict = false;
    }
    if (!(strict ? read_strict(list) : read_relaxed(list)))
        return false;
    return naming_distinct(list->items, list->count, list->arena, list->reterr);
}

static struct list list_of(const struct format_input *input, struct arena *arena, struct refusal *reterr)
{
    return (struct list){
        .input = input,
        .arena = arena,
        .reterr = reterr,
        .common = {.time = input->now, .time_source = TIME_RECEIPT},
    };
}

enum outcome emoncms_decode_post(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                 struct format_error *reterr)
{
    struct refusal refusal;
    struct list list = list_of(input, arena, &refusal);
    return finish(&list, read_post(&list), ret, reterr);
}

/* input/bulk ----------------------------------------------------------------------------------------------------- */

static bool is_row(const struct node *row)
{
    return row->count > FIRST_VALUE;
}

static size_t values_in_row(const struct node *row)
{
    size_t values = 0;
    const struct node *element = node_first(row);
    for (uint32_t i = 0; i < row->count; i++, element = node_next(element)) {
        if (i >= FIRST_VALUE)
            values += element->kind == NODE_MAP ? element->count : 1;
    }
    return values;
}

/* Elements that are objects bring their own names and take no position; null and empty text keep theirs. */
static bool add_values(struct list *list, const struct node *row)
{
    size_t position = 1, first = list->count;
    const struct node *element = node_next(node_next(node_first(row)));
    for (uint32_t i = FIRST_VALUE; i < row->count; i++, element = node_next(element)) {
        if (element->kind == NODE_MAP) {
            if (!add_members(list, element, false))
                return false;
            continue;
        }
        struct observation *item = next_item(list);
        if (!is_nothing(element)) {
            if (!name_item_by_position(list, item, position) || !read_value(list, element, item))
                return false;
            list->count++;
        }
        position++;
    }
    return naming_distinct(list->items + first, list->count - first, list->arena, list->reterr);
}

static bool read_offset(struct list *list, const struct node *element, timestamp_atto *ret)
{
    if (element->kind != NODE_NUMBER && element->kind != NODE_TEXT)
        return refuse_time(list);
    return read_seconds(list, element->data, ret);
}

static bool add_row(struct list *list, const struct node *row, timestamp_atto reference)
{
    const struct node *offset = node_first(row), *node = node_next(offset);
    size_t first = list->count;
    timestamp_atto time;
    if (!read_offset(list, offset, &time))
        return false;
    if (!timestamp_from_atto(reference + time, &list->common.time))
        return refuse_time(list);
    if (node->kind != NODE_NUMBER && node->kind != NODE_TEXT)
        return refuse_value(list, "The node of a row is neither a number nor text.", node_offset(node));
    if (!set_node(list, node->data) || !add_values(list, row))
        return false;
    list->is_absolute &= time >= TIMESTAMP_RELATIVE_BELOW_S * ATTO_PER_S;
    if (list->count > first)
        list->parts[list->part_count++] =
            (struct observation_part){json_array_text(list->data, row), list->count - first};
    return true;
}

/*
 * A sender whose clock is right, and who says so with each request, counts its rows from 1970: a row means the same
 * moment whenever it comes. A clock that is not, set anew at each boot maybe, can show the same moment twice.
 */
static bool shows_now(timestamp_atto said, timestamp_atto now)
{
    timestamp_atto error = said < now ? now - said : said - now;
    return error <= CLOCK_ERROR_MAX_S * ATTO_PER_S;
}

/*
 * What the offsets of the rows count from: the moment of sending is now, or the device said it, or the last row is
 * now.
 */
static bool find_reference(struct list *list, const struct node *last, timestamp_atto *ret)
{
    timestamp_atto said, now = timestamp_to_atto(list->input->now);
    bool sent, found;
    struct bytes text = format_parameter(list->input, "sentat", &sent);
    if (!sent)
        text = format_parameter(list->input, "offset", &sent);
    list->common.time_source = TIME_BATCH;
    if (sent) {
        if (!read_seconds(list, text, &said))
            return false;
        list->is_absolute = shows_now(said, now);
        *ret = now - said;
        return true;
    }
    text = format_parameter(list->input, "time", &found);
    if (found) {
        if (!set_time(list, text))
            return false;
        *ret = timestamp_to_atto(list->common.time);
        return true;
    }
    if (last->kind != NODE_ARRAY || last->count == 0)
        return refuse_value(list, "The last row has no offset.", node_offset(last));
    if (!read_offset(list, node_first(last), &said))
        return false;
    *ret = now - said;
    return true;
}

/* Counts the rows and the values that there can be; every row is an array. */
static bool survey(struct list *list, const struct node *rows, const struct node **ret_last)
{
    size_t room = 0, parts = 0;
    if (rows->kind != NODE_ARRAY || rows->count == 0)
        return refuse_value(list, "The data has to be an array of rows.", SIZE_MAX);
    const struct node *row = node_first(rows);
    for (uint32_t i = 0; i < rows->count; i++, row = node_next(row)) {
        if (row->kind != NODE_ARRAY)
            return refuse_value(list, "A row is no array.", node_offset(row));
        if (is_row(row)) {
            room += values_in_row(row);
            parts++;
        }
        *ret_last = row;
    }
    list->parts = arena_calloc(list->arena, parts, sizeof(*list->parts));
    return list->parts ? reserve(list, room) : refuse_memory(list->reterr);
}

static bool read_rows(struct list *list)
{
    const struct node *rows, *last = NULL;
    timestamp_atto reference;
    if (!json_read(list->data, &list->input->limits, list->arena, &rows, list->reterr) ||
        !survey(list, rows, &last) || !find_reference(list, last, &reference))
        return false;
    const struct node *row = node_first(rows);
    for (uint32_t i = 0; i < rows->count; i++, row = node_next(row)) {
        if (is_row(row) && !add_row(list, row, reference))
            return false;
    }
    return true;
}

static bool unhex(struct list *list)
{
    struct bytes hex = relaxed_trim(list->data);
    uint8_t *out = arena_alloc(list->arena, hex.len / 2);
    if (!out)
        return refuse_memory(list->reterr);
    for (size_t i = 0; i < hex.len; i += 2) {
        int octet = i + 1 < hex.len ? hex_octet(hex.ptr + i) : -1;
        if (octet < 0)
            return refuse(list->reterr, OUTCOME_MALFORMED, "The compressed data is not hexadecimal.", i);
        out[i / 2] = (uint8_t)octet;
    }
    list->data = bytes_of(out, hex.len / 2);
    return true;
}

static bool is_set(const struct format_input *input, const char *name)
{
    return bytes_equal(format_parameter(input, name, NULL), BYTES_LITERAL("1"));
}

static bool read_bulk(struct list *list)
{
    const struct format_input *input = list->input;
    bool found, in_body = is_set(input, "cb"), in_hex = is_set(input, "c");
    list->data = format_parameter(input, "data", &found);
    if (!found || in_body)
        list->data = input->payload;
    if (!in_body && in_hex && !unhex(list))
        return false;
    if ((in_body || in_hex) && !inflate_whole(list->data, (size_t)input->limits.items * CHARACTERS_PER_ITEM,
                                             list->arena, &list->data, list->reterr))
        return false;
    return read_rows(list);
}

/* What is too large emonHub keeps, and tells its owner to send less at once; what is wrong it throws away. */
enum outcome emoncms_decode_bulk(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                 struct format_error *reterr)
{
    struct refusal refusal;
    struct list list = list_of(input, arena, &refusal);
    bool good = read_bulk(&list);
    if (!good && refusal.outcome == OUTCOME_TOO_COMPLEX)
        refusal.outcome = OUTCOME_TOO_LARGE;
    return finish(&list, good, ret, reterr);
}
