// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Two passes: one counts the measures and checks that each group is pairs, so that there is room for all; the other
 * reads them.
 */
#include "codec/ultralight.h"

#include "codec/datetime.h"
#include "codec/json.h"
#include "codec/naming.h"
#include "codec/sort.h"
#include "codec/utf8.h"

/* What a measure is called, and was called by the device. */
struct label {
    struct bytes name, key;
};

/* What all measures of a payload have, or all of a group. */
struct context {
    const struct format_input *input;
    struct bytes text;
    bool is_body; /* offsets in the text are offsets in the payload; else it came in a query */
    struct arena *arena;
    struct refusal *reterr;
};

static bool refuse_at(const struct context *context, enum outcome outcome, const char *detail, struct bytes where)
{
    size_t offset = context->is_body ? (size_t)(where.ptr - context->text.ptr) : SIZE_MAX;
    return refuse(context->reterr, outcome, detail, offset);
}

/* The part before the separator; rest is what is behind it, with ptr NULL at the end. */
static struct bytes next_part(struct bytes *rest, uint8_t separator)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct bytes part = bytes_of(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
    *rest = end ? bytes_of(end + 1, rest->len - part.len - 1) : (struct bytes){0};
    return part;
}

/* A group without the bar that it may begin with. */
static bool next_group(struct bytes *rest, struct bytes *ret)
{
    if (!rest->ptr)
        return false;
    *ret = next_part(rest, '#');
    if (ret->len && ret->ptr[0] == '|')
        *ret = bytes_of(ret->ptr + 1, ret->len - 1);
    return true;
}

static size_t count_bars(struct bytes group)
{
    size_t bars = 0;
    for (size_t i = 0; i < group.len; i++)
        bars += group.ptr[i] == '|';
    return bars;
}

static bool count_group(const struct context *context, struct bytes group, size_t *count)
{
    size_t bars = count_bars(group);
    bool has_empty = group.len == 0;
    for (struct bytes rest = group; rest.ptr && !has_empty;)
        has_empty = next_part(&rest, '|').len == 0;
    if (has_empty)
        return refuse_at(context, OUTCOME_MALFORMED, "A key or a value is empty.", group);
    struct bytes rest = group, first = next_part(&rest, '|');
    if (memchr(first.ptr, '@', first.len))
        return refuse_at(context, OUTCOME_BAD_VALUE, "What a command answered is no observation.", group);
    if (bars == 0)
        return refuse_at(context, OUTCOME_MALFORMED, "A key has no value.", group);
    *count += (bars + 1) / 2;
    if (*count > context->input->limits.records)
        return refuse_at(context, OUTCOME_TOO_COMPLEX, "The payload has too many measures.", group);
    return true;
}

static struct bytes trim(struct bytes text)
{
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = bytes_of(text.ptr + 1, text.len - 1);
    return text;
}

static void set_text(struct observation *measure, struct bytes text)
{
    measure->kind = VALUE_TEXT;
    measure->data = text;
}

static bool set_number(const struct context *context, struct observation *measure, struct bytes text)
{
    struct decimal decimal;
    size_t offset = context->is_body ? (size_t)(text.ptr - context->text.ptr) : NODE_OFFSET_UNKNOWN;
    struct node node = {.kind = NODE_NUMBER, .data = text, .offset = (uint32_t)offset, .skip = 1};
    measure->kind = VALUE_NUMBER;
    return node_number(&node, context->arena, &decimal, &measure->number, context->reterr);
}

/* "abc" with quotes is the text between them; what only looks like that is text as it stands. */
static bool set_quoted(const struct context *context, struct observation *measure, struct bytes raw)
{
    const struct node *node;
    struct refusal refusal;
    bool read = json_read(raw, &context->input->limits, context->arena, &node, &refusal);
    if (!read && refusal.outcome != OUTCOME_MALFORMED)
        return refuse_at(context, refusal.outcome, refusal.detail, raw);
    set_text(measure, read ? node->data : raw);
    return true;
}

/* As the JSON value that it is, objects and arrays excepted, else as text. kind stays VALUE_NONE for null. */
static bool set_value(const struct context *context, struct observation *measure, struct bytes raw)
{
    struct decimal decimal;
    struct bytes value = trim(raw);
    bool is_true = bytes_equal(value, BYTES_LITERAL("true"));
    if (is_true || bytes_equal(value, BYTES_LITERAL("false"))) {
        measure->kind = VALUE_BOOLEAN;
        measure->boolean = is_true;
        return true;
    }
    if (bytes_equal(value, BYTES_LITERAL("null")))
        return true;
    if (value.len && value.ptr[0] == '"')
        return set_quoted(context, measure, value);
    if (decimal_parse(value, &decimal) != DECIMAL_MALFORMED && value.len)
        return set_number(context, measure, value);
    set_text(measure, raw);
    return true;
}

/* In a query a plus sign may have become a blank. */
static bool read_time(const struct context *context, struct bytes text, struct timestamp *ret)
{
    return context->is_body ? datetime_parse(text, ret) : datetime_parse_query(text, ret);
}

static bool take_group(const struct context *context, struct bytes group, const struct observation *common,
                       struct observation_list *list, struct label *labels)
{
    struct observation measure = *common;
    bool has_time = count_bars(group) % 2 == 0;
    if (has_time) {
        struct bytes time = next_part(&group, '|');
        measure.time_source = TIME_DEVICE;
        if (!read_time(context, time, &measure.time))
            return refuse_at(context, OUTCOME_MALFORMED, "A key has no value, or a time is no date and time.", time);
    }
    while (group.ptr) {
        struct bytes key = next_part(&group, '|'), value = next_part(&group, '|');
        struct observation *item = &list->items[list->count];
        *item = measure;
        if (!naming_clean(key, NAMING_NAME_MAX, context->arena, &item->name, context->reterr)) {
            context->reterr->offset = context->is_body ? (size_t)(key.ptr - context->text.ptr) : SIZE_MAX;
            return false;
        }
        if (!set_value(context, item, value))
            return false;
        labels[list->count] = (struct label){item->name, key};
        list->count += item->kind != VALUE_NONE;
    }
    return true;
}

static int compare(struct bytes x, struct bytes y)
{
    if (x.len != y.len)
        return x.len < y.len ? -1 : 1;
    return memcmp(x.ptr, y.ptr, x.len);
}

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = compare(x->name, y->name);
    return order ? order : compare(x->key, y->key);
}

/* The same key twice is two values of one series; two keys that have become one name would be, too. */
static bool check_labels(const struct context *context, const struct label *labels, size_t count)
{
    bool any_changed = false;
    for (size_t i = 0; i < count; i++)
        any_changed |= labels[i].name.len != labels[i].key.len || labels[i].name.ptr != labels[i].key.ptr;
    if (!any_changed)
        return true;
    const void **sorted = arena_calloc(context->arena, count, sizeof(*sorted));
    for (size_t i = 0; sorted && i < count; i++)
        sorted[i] = &labels[i];
    if (!sorted || !sort_pointers(sorted, count, compare_labels, context->arena))
        return refuse_memory(context->reterr);
    for (size_t i = 1; i < count; i++) {
        const struct label *x = sorted[i - 1], *y = sorted[i];
        if (compare(x->name, y->name) == 0 && compare(x->key, y->key) != 0)
            return refuse_at(context, OUTCOME_DUPLICATE_KEY, "Two keys become one name.", y->key);
    }
    return true;
}

/* What the request says beside the payload. */
static bool read_parameters(const struct context *context, struct observation *common)
{
    bool has_node, has_time;
    struct bytes node = format_parameter(context->input, "i", &has_node);
    struct bytes time = format_parameter(context->input, "t", &has_time);
    *common = (struct observation){.time = context->input->now, .time_source = TIME_RECEIPT, .kind = VALUE_NONE};
    if (has_node && !naming_node(node, context->arena, common, context->reterr))
        return false;
    if (!has_time || time.len == 0)
        return true;
    common->time_source = TIME_DEVICE;
    return datetime_parse_query(time, &common->time) ||
           refuse(context->reterr, OUTCOME_BAD_VALUE, "The parameter t is no date and time.", SIZE_MAX);
}

static struct bytes drop_end_of_line(struct bytes text)
{
    while (text.len && (text.ptr[text.len - 1] == '\r' || text.ptr[text.len - 1] == '\n'))
        text.len--;
    return text;
}

static bool decode(const struct context *context, struct observation_list *ret)
{
    struct observation common;
    struct bytes group, rest = context->text;
    size_t count = 0;
    if (rest.len == 0)
        return refuse(context->reterr, OUTCOME_MALFORMED, "The payload is empty.", SIZE_MAX);
    if (!utf8_is_text(rest))
        return refuse(context->reterr, OUTCOME_MALFORMED, "The payload is not UTF-8, or has the character U+0000.",
                      SIZE_MAX);
    if (!read_parameters(context, &common))
        return false;
    while (next_group(&rest, &group))
        if (!count_group(context, group, &count))
            return false;
    struct observation_list list = {.items = arena_calloc(context->arena, count, sizeof(*list.items))};
    struct label *labels = arena_calloc(context->arena, count, sizeof(*labels));
    if (!list.items || !labels)
        return refuse_memory(context->reterr);
    for (rest = context->text; next_group(&rest, &group);)
        if (!take_group(context, group, &common, &list, labels))
            return false;
    if (!check_labels(context, labels, list.count))
        return false;
    *ret = list;
    return true;
}

enum outcome ultralight_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                               struct format_error *reterr)
{
    struct refusal refusal;
    struct context context = {
        .input = input,
        .text = drop_end_of_line(input->payload),
        .is_body = true,
        .arena = arena,
        .reterr = &refusal,
    };
    if (context.text.len == 0) {
        context.text = drop_end_of_line(format_parameter(input, "d", NULL));
        context.is_body = false;
    }
    return decode(&context, ret) ? OUTCOME_CHANGED : refusal_report(&refusal, reterr);
}
