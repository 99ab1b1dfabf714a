// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Examples: an input and what must come out, resolved SenML records or the outcome of a refusal. A codec is
 * used only if all of them hold. Numbers are compared by value (27.2 is 27.20), all else as it is; of time,
 * node, cumulative and modulus what the example says.
 */
#include "codec/custom_private.h"

#include <stdarg.h>
#include <stdio.h>

#include "codec/base64url.h"
#include "codec/jsonout.h"

#define EXAMPLES_MAX 64
#define RECORDS_MAX 1024
#define NOW_DEFAULT_S 1763692800

/* Reading. */

/* JSON again, from the tree of a definition, whose nesting is bounded. */
static void write_json(struct builder *out, const struct node *node)
{
    bool is_map = node->kind == NODE_MAP;
    const struct node *child;
    switch (node->kind) {
    case NODE_BOOLEAN:
        builder_put_text(out, node->boolean ? "true" : "false");
        return;
    case NODE_NUMBER:
        builder_put(out, node->data);
        return;
    case NODE_TEXT:
        jsonout_text(out, node->data);
        return;
    case NODE_ARRAY:
    case NODE_MAP:
        builder_put_byte(out, is_map ? '{' : '[');
        child = node_first(node);
        for (uint32_t i = 0; i < node->count; i++, child = node_next(child)) {
            if (i)
                builder_put_byte(out, ',');
            if (is_map) {
                jsonout_text(out, child->data);
                builder_put_byte(out, ':');
                child++;
            }
            write_json(out, child);
        }
        builder_put_byte(out, is_map ? '}' : ']');
        return;
    default:
        builder_put_text(out, "null");
    }
}

static bool read_json(struct custom_compiler *compiler, const struct node *node, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, compiler->arena, 128);
    write_json(&out, node);
    return builder_finish(&out, ret) || custom_fail_memory(compiler);
}

static bool read_input(struct custom_object *example, enum custom_kind kind, struct bytes *ret)
{
    struct custom_compiler *compiler = example->compiler;
    struct custom_object forms;
    const struct node *node = custom_get(example, "input");
    if (!node)
        return custom_fail(compiler, "An example needs an input.");
    size_t mark = custom_enter(compiler, BYTES_LITERAL("input"));
    bool good;
    if (node->kind == NODE_TEXT) {
        good = kind == CUSTOM_BINARY ? custom_read_hex(compiler, node->data, ret)
                                     : custom_read_text(compiler, node, ret);
    } else if (!custom_open(compiler, node, &forms)) {
        good = false;
    } else if (node->count != 1) {
        good = custom_fail(compiler, "One of \"hex\", \"text\" or \"json\" is expected here.");
    } else {
        const struct node *json = custom_get(&forms, "json");
        good = (!json || read_json(compiler, json, ret)) && custom_get_hex(&forms, "hex", ret) &&
               custom_get_text(&forms, "text", ret) && custom_close(&forms);
    }
    if (good)
        custom_leave(compiler, mark);
    return good;
}

static bool read_parameters(struct custom_object *example, struct custom_example *ret)
{
    struct custom_compiler *compiler = example->compiler;
    const struct node *map = custom_get(example, "parameters");
    if (!map)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("parameters"));
    if (map->kind != NODE_MAP || map->count > CUSTOM_PARAMETERS_MAX)
        return custom_fail(compiler, "An object of at most %d parameters is expected here.",
                           CUSTOM_PARAMETERS_MAX);
    ret->parameter_count = map->count;
    ret->parameters = arena_calloc(compiler->arena, map->count, sizeof(*ret->parameters));
    if (!ret->parameters)
        return custom_fail_memory(compiler);
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        const struct node *value = key + 1;
        size_t inner = custom_enter(compiler, key->data);
        if (value->kind != NODE_TEXT && value->kind != NODE_NUMBER)
            return custom_fail(compiler, "A text or a number is expected here.");
        if (!arena_copy(compiler->arena, key->data, &ret->parameters[i].name) ||
            !arena_copy(compiler->arena, value->data, &ret->parameters[i].value))
            return custom_fail_memory(compiler);
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

static bool get_time(struct custom_object *object, const char *name, bool *ret_found, struct timestamp *ret)
{
    struct decimal decimal;
    timestamp_atto atto;
    if (!custom_get_decimal(object, name, ret_found, &decimal))
        return false;
    if (*ret_found && (!timestamp_from_decimal(&decimal, &atto) || !timestamp_from_atto(atto, ret)))
        return custom_fail_at(object->compiler, name, "This time is too far away.");
    return true;
}

static bool read_outcome(struct custom_object *example, enum outcome *ret)
{
    struct custom_compiler *compiler = example->compiler;
    struct bytes slug = {0};
    *ret = OUTCOME_CHANGED;
    if (!custom_get(example, "refused"))
        return true;
    if (!custom_get_text(example, "refused", &slug))
        return false;
    for (int i = OUTCOME_BAD_REQUEST; i < OUTCOME_COUNT; i++) {
        if (bytes_equal_text(slug, outcome_row((enum outcome)i)->slug)) {
            *ret = (enum outcome)i;
            return true;
        }
    }
    return custom_fail_at(compiler, "refused",
                          "The name of a refusal like \"malformed\" or \"bad-value\" is expected here.");
}

static bool read_data(struct custom_object *object, struct bytes *ret)
{
    struct bytes text = {0};
    if (!custom_get_text(object, "vd", &text))
        return false;
    switch (base64url_decode(text, object->compiler->arena, ret)) {
    case BASE64URL_OK:
        return true;
    case BASE64URL_MEMORY:
        return custom_fail_memory(object->compiler);
    case BASE64URL_BAD:
        break;
    }
    return custom_fail_at(object->compiler, "vd", "base64url without padding is expected here.");
}

static bool read_value(struct custom_object *object, struct custom_expected *ret)
{
    struct observation *observation = &ret->observation;
    bool number;
    int values = (custom_get(object, "v") != NULL) + (custom_get(object, "vs") != NULL) +
                 (custom_get(object, "vb") != NULL) + (custom_get(object, "vd") != NULL);
    if (values != 1)
        return custom_fail(object->compiler, "A record has one of v, vs, vb and vd.");
    if (custom_get(object, "vs")) {
        observation->kind = VALUE_TEXT;
        return custom_get_text(object, "vs", &observation->data);
    }
    if (custom_get(object, "vb")) {
        observation->kind = VALUE_BOOLEAN;
        return custom_get_bool(object, "vb", &observation->boolean);
    }
    if (custom_get(object, "vd")) {
        observation->kind = VALUE_BYTES;
        return read_data(object, &observation->data);
    }
    observation->kind = VALUE_NUMBER;
    return custom_get_decimal(object, "v", &number, &ret->number);
}

static bool read_record(struct custom_compiler *compiler, const struct node *node,
                        struct custom_expected *ret)
{
    struct custom_object object;
    struct observation *observation = &ret->observation;
    if (!custom_open(compiler, node, &object) || !custom_get_text(&object, "n", &observation->name) ||
        !custom_get_text(&object, "u", &observation->unit) ||
        !custom_get_text(&object, "node", &observation->node) || !read_value(&object, ret) ||
        !get_time(&object, "t", &ret->has_time, &observation->time) ||
        !custom_get_bool(&object, "cumulative", &observation->cumulative) ||
        !custom_get_decimal(&object, "modulus", &ret->has_modulus, &ret->modulus))
        return false;
    ret->has_node = custom_get(&object, "node") != NULL;
    ret->has_cumulative = custom_get(&object, "cumulative") != NULL;
    return custom_close(&object);
}

static bool read_records(struct custom_object *example, struct custom_example *ret)
{
    struct custom_compiler *compiler = example->compiler;
    const struct node *array = custom_get(example, "senml");
    if ((array != NULL) == (ret->outcome != OUTCOME_CHANGED))
        return custom_fail(compiler, "An example has either \"senml\" or \"refused\".");
    if (!array)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("senml"));
    if (array->kind != NODE_ARRAY || array->count > RECORDS_MAX)
        return custom_fail(compiler, "An array of at most %d SenML records is expected here.", RECORDS_MAX);
    ret->record_count = array->count;
    ret->records = arena_calloc(compiler->arena, array->count, sizeof(*ret->records));
    if (!ret->records)
        return custom_fail_memory(compiler);
    const struct node *record = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, record = node_next(record)) {
        size_t inner = custom_enter_index(compiler, i);
        if (!read_record(compiler, record, &ret->records[i]))
            return false;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

static bool read_example(struct custom_compiler *compiler, const struct node *node, enum custom_kind kind,
                         struct custom_example *ret)
{
    struct custom_object example;
    bool has_now;
    ret->now = (struct timestamp){NOW_DEFAULT_S, 0};
    if (!custom_open(compiler, node, &example))
        return false;
    return read_input(&example, kind, &ret->input) && read_parameters(&example, ret) &&
           get_time(&example, "now", &has_now, &ret->now) && read_outcome(&example, &ret->outcome) &&
           read_records(&example, ret) && custom_close(&example);
}

bool custom_examples_read(struct custom_compiler *compiler, const struct node *array, enum custom_kind kind,
                          struct custom_example **ret, size_t *ret_count)
{
    size_t mark = custom_enter(compiler, BYTES_LITERAL("examples"));
    size_t records = 0;
    if (!array || array->kind != NODE_ARRAY || array->count == 0 || array->count > EXAMPLES_MAX)
        return custom_fail(compiler, "A codec needs an array of 1 to %d examples.", EXAMPLES_MAX);
    struct custom_example *examples = arena_calloc(compiler->arena, array->count, sizeof(*examples));
    if (!examples)
        return custom_fail_memory(compiler);
    const struct node *node = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, node = node_next(node)) {
        size_t inner = custom_enter_index(compiler, i);
        if (!read_example(compiler, node, kind, &examples[i]))
            return false;
        records += examples[i].record_count;
        custom_leave(compiler, inner);
    }
    if (records == 0)
        return custom_fail(compiler, "At least one example has to give a SenML record.");
    custom_leave(compiler, mark);
    *ret = examples;
    *ret_count = array->count;
    return true;
}

/* Trying. */

/* Where an example differs, for the sentence. */
struct trial {
    struct custom_error *reterr;
    size_t example;
    size_t record;
};

static bool differs(const struct trial *trial, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool differs(const struct trial *trial, const char *format, ...)
{
    struct custom_compiler place = {.reterr = trial->reterr};
    char sentence[CUSTOM_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    custom_enter(&place, BYTES_LITERAL("examples"));
    custom_enter_index(&place, trial->example);
    if (trial->record != SIZE_MAX) {
        custom_enter(&place, BYTES_LITERAL("senml"));
        custom_enter_index(&place, trial->record);
    }
    return custom_fail(&place, "Example %zu does not hold: %s", trial->example + 1, sentence);
}

/* Enough of a text to be recognised in the sentence. */
static int shown(struct bytes text)
{
    return text.len < 40 ? (int)text.len : 40;
}

#define SHOWN(text) shown(text), (const char *)(text).ptr

static bool check_text(const struct trial *trial, const char *what, struct bytes got, struct bytes expected)
{
    return bytes_equal(got, expected) ||
           differs(trial, "%s is \"%.*s\" and not \"%.*s\".", what, SHOWN(got), SHOWN(expected));
}

static bool check_number(const struct trial *trial, const char *what, struct bytes got,
                         const struct decimal *expected)
{
    struct decimal number;
    char text[DECIMAL_TEXT_MAX];
    if (decimal_parse(got, &number) == DECIMAL_OK && custom_decimal_compare(&number, expected) == 0)
        return true;
    struct bytes wanted = bytes_of(text, decimal_write(expected, text));
    if (got.len == 0)
        return differs(trial, "there is no %s, and not %.*s.", what, SHOWN(wanted));
    return differs(trial, "%s is %.*s and not %.*s.", what, SHOWN(got), SHOWN(wanted));
}

static const char *kind_word(enum value_kind kind)
{
    return kind == VALUE_NUMBER    ? "number"
           : kind == VALUE_TEXT    ? "text"
           : kind == VALUE_BOOLEAN ? "boolean"
                                   : "data";
}

static bool check_value(const struct trial *trial, const struct observation *got,
                        const struct custom_expected *expected)
{
    const struct observation *wanted = &expected->observation;
    if (got->kind != wanted->kind)
        return differs(trial, "the value is a %s and not a %s.", kind_word(got->kind),
                       kind_word(wanted->kind));
    switch (got->kind) {
    case VALUE_NUMBER:
        return check_number(trial, "v", got->number.text, &expected->number);
    case VALUE_TEXT:
        return check_text(trial, "vs", got->data, wanted->data);
    case VALUE_BOOLEAN:
        return got->boolean == wanted->boolean ||
               differs(trial, "vb is %s.", got->boolean ? "true" : "false");
    default:
        return bytes_equal(got->data, wanted->data) || differs(trial, "vd is other data.");
    }
}

/* An example in the unit of the field: what comes out is in the primary one. */
static bool check_unit_kind(const struct trial *trial, const struct observation *got, const struct observation *wanted)
{
    const struct unit *unit = wanted->unit.len ? units_find(wanted->unit) : NULL;
    return !unit || unit->registry != UNIT_SECONDARY ||
           differs(trial, "u is \"%.*s\" and not \"%s\": values come out in primary units, v converted too.",
                   SHOWN(got->unit), unit->symbol);
}

static bool check_record(const struct trial *trial, const struct observation *got,
                         const struct custom_expected *expected)
{
    const struct observation *wanted = &expected->observation;
    char t[TIMESTAMP_TEXT_MAX], wanted_t[TIMESTAMP_TEXT_MAX];
    if (!check_text(trial, "n", got->name, wanted->name) || !check_unit_kind(trial, got, wanted) ||
        !check_value(trial, got, expected) || !check_text(trial, "u", got->unit, wanted->unit))
        return false;
    if (expected->has_time && timestamp_compare(got->time, wanted->time) != 0) {
        int len = (int)timestamp_write(got->time, t),
            wanted_len = (int)timestamp_write(wanted->time, wanted_t);
        return differs(trial, "t is %.*s and not %.*s.", len, t, wanted_len, wanted_t);
    }
    if (expected->has_node && !check_text(trial, "node", got->node, wanted->node))
        return false;
    if (expected->has_cumulative && got->cumulative != wanted->cumulative)
        return differs(trial, "cumulative is %s.", got->cumulative ? "true" : "false");
    return !expected->has_modulus || check_number(trial, "modulus", got->modulus.text, &expected->modulus);
}

static bool check_records(const struct trial *trial, const struct custom_example *example,
                          const struct observation_list *list, size_t *seen)
{
    struct trial inner = *trial;
    for (size_t i = 0; i < list->count; i++, ++*seen) {
        inner.record = *seen;
        if (*seen == example->record_count)
            return differs(trial, "more than %zu records came out: \"%.*s\" too.", *seen,
                           SHOWN(list->items[i].name));
        if (!check_record(&inner, &list->items[i], &example->records[*seen]))
            return false;
    }
    return true;
}

static bool check_outcome(const struct trial *trial, const struct custom_example *example,
                          enum outcome outcome, const struct format_error *error)
{
    if (outcome == example->outcome)
        return true;
    if (outcome == OUTCOME_CHANGED)
        return differs(trial, "it was taken, and not refused as %s.", outcome_row(example->outcome)->slug);
    if (error->offset == SIZE_MAX)
        return differs(trial, "%s: %s", outcome_row(outcome)->slug, error->detail);
    return differs(trial, "%s, at %zu: %s", outcome_row(outcome)->slug, error->offset, error->detail);
}

/* The next line of a codec that reads lines, without its end; all of it for any other. */
static struct bytes next_part(struct bytes *rest, bool by_line)
{
    const uint8_t *end = by_line && rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct bytes part = *rest;
    if (!end) {
        *rest = bytes_of(NULL, 0);
        return part;
    }
    part.len = (size_t)(end - part.ptr);
    *rest = bytes_of(end + 1, rest->len - part.len - 1);
    if (part.len && part.ptr[part.len - 1] == '\r')
        part.len--;
    return part;
}

static bool check_example(const struct custom *custom, const struct custom_example *example,
                          const struct trial *trial, struct arena *arena, struct format_work *work)
{
    struct format_input input = {.now = example->now, .limits = FORMAT_LIMITS_DEFAULT, .work = work};
    struct bytes rest = example->input;
    size_t seen = 0;
    input.parameters = example->parameters;
    input.parameter_count = example->parameter_count;
    do {
        struct observation_list list = {0};
        struct format_error error = {NULL, SIZE_MAX};
        input.payload = next_part(&rest, custom_by_line(custom));
        enum outcome outcome = custom_decode(custom, &input, arena, &list, &error);
        if (!check_outcome(trial, example, outcome, &error))
            return false;
        if (outcome == OUTCOME_CHANGED && !check_records(trial, example, &list, &seen))
            return false;
    } while (rest.len);
    return seen == example->record_count ||
           differs(trial, "%zu records came out and not %zu.", seen, example->record_count);
}

bool custom_check(const struct custom *custom, struct arena *arena, struct custom_error *reterr)
{
    struct format_work work = custom_work(&FORMAT_LIMITS_DEFAULT, 1);
    *reterr = (struct custom_error){0};
    for (size_t i = 0; i < custom_example_count(custom); i++) {
        struct trial trial = {reterr, i, SIZE_MAX};
        if (!check_example(custom, custom_example(custom, i), &trial, arena, &work))
            return false;
    }
    return true;
}
