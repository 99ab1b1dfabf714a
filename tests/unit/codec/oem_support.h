// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the tests of legacy formats share: decoding with parameters, and a list as text that shows what SenML cannot
 * say, a line for each observation:
 *
 *     node/name=value unit @time q cumulative
 */
#pragma once

#include "codec/builder.h"
#include "codec/timestamp.h"
#include "tests/unit/codec/support.h"

#define PARAMETERS_MAX 16

/* "a=1&b=2": nothing is decoded; a later '=' belongs to the value. */
static inline size_t parameters_of(struct bytes text, struct format_parameter ret[static PARAMETERS_MAX])
{
    size_t count = 0;
    while (text.len) {
        const uint8_t *end = memchr(text.ptr, '&', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        const uint8_t *equals = memchr(text.ptr, '=', len);
        cr_assert(equals && count < PARAMETERS_MAX);
        size_t name = (size_t)(equals - text.ptr);
        ret[count++] = (struct format_parameter){bytes_of(text.ptr, name), bytes_of(equals + 1, len - name - 1)};
        len += end != NULL;
        text = bytes_of(text.ptr + len, text.len - len);
    }
    return count;
}

static inline void put_value(struct builder *builder, const struct observation *o)
{
    switch (o->kind) {
    case VALUE_NUMBER:
        builder_put(builder, o->number.text);
        break;
    case VALUE_TEXT:
        builder_put_byte(builder, '"');
        builder_put(builder, o->data);
        builder_put_byte(builder, '"');
        break;
    case VALUE_BOOLEAN:
        builder_put_text(builder, o->boolean ? "true" : "false");
        break;
    default:
        builder_put_text(builder, "?");
    }
}

static inline void put_observation(struct builder *builder, const struct observation *o)
{
    char time[TIMESTAMP_TEXT_MAX];
    if (o->node.len) {
        builder_put(builder, o->node);
        builder_put_byte(builder, '/');
    }
    builder_put(builder, o->name);
    builder_put_byte(builder, '=');
    put_value(builder, o);
    if (o->unit.len) {
        builder_put_byte(builder, ' ');
        builder_put(builder, o->unit);
    }
    builder_put_text(builder, " @");
    builder_put(builder, bytes_of(time, timestamp_write(o->time, time)));
    builder_put_byte(builder, (uint8_t)o->time_source);
    if (o->cumulative)
        builder_put_text(builder, " cumulative");
    if (o->modulus.text.len) {
        builder_put_byte(builder, '%');
        builder_put(builder, o->modulus.text);
    }
    builder_put_byte(builder, '\n');
}

static inline const char *list_text(const struct observation_list *list, struct arena *arena)
{
    struct builder builder;
    struct bytes text;
    builder_init(&builder, arena, 256);
    for (size_t i = 0; i < list->count; i++)
        put_observation(&builder, &list->items[i]);
    cr_assert(builder_finish(&builder, &text));
    return arena_text(arena, text);
}

/* The list as text, or the outcome's slug. */
static inline const char *decoded_with(int content_format, const char *parameters, struct bytes payload,
                                       struct arena *arena)
{
    struct format_parameter items[PARAMETERS_MAX];
    struct format_error error = {NULL, 0};
    struct observation_list list;
    struct bytes copy;
    struct format_input input = {.now = NOW, .limits = FORMAT_LIMITS_DEFAULT, .parameters = items};
    cr_assert(arena_copy(arena, bytes_of_text(parameters), &copy) && arena_copy(arena, payload, &input.payload));
    input.parameter_count = parameters_of(copy, items);
    enum outcome outcome = format_by_content_format(content_format)->decode(&input, arena, &list, &error);
    if (outcome == OUTCOME_CHANGED)
        return list_text(&list, arena);
    cr_assert(error.detail, "a refusal without a detail");
    cr_assert(error.offset == SIZE_MAX || error.offset <= payload.len);
    return outcome_row(outcome)->slug;
}

struct request_expectation {
    const char *parameters, *payload, *result;
};

static inline void check_request_table(int content_format, const struct request_expectation *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = decoded_with(content_format, table[i].parameters, bytes_of_text(table[i].payload), arena);
        cr_expect_str_eq(result, table[i].result, "%s\n%s\n gives %s\n not   %s", table[i].parameters,
                         table[i].payload, result, table[i].result);
        arena_free(arena);
    }
}
