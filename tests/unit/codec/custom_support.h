// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the tests of declarative codecs share. Definitions are written with ' for ", without name, kind and
 * examples; what comes of a payload is one line: "node/name=value unit" for each observation, or the
 * outcome's slug, or why the definition is not taken ("pointer: sentence").
 */
#pragma once

#include "codec/builder.h"
#include "codec/custom.h"
#include "codec/senml.h"
#include "codec/timestamp.h"
#include "codec/utf8.h"

#include "tests/unit/codec/support.h"

#define RECORD_OF_EXAMPLE "{\"n\":\"a\",\"v\":0}"

/* One row of a table. */
struct custom_row {
    const char *definition;
    const char *payload; /* binary: hexadecimal, white space allowed */
    const char *result;
};

static inline struct bytes quoted(struct arena *arena, const char *text)
{
    char *copy = arena_text(arena, bytes_of_text(text));
    cr_assert(copy);
    for (char *at = copy; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    return bytes_of_text(copy);
}

/* The whole definition around some of its members. */
static inline struct bytes custom_wrap(struct arena *arena, const char *kind, const char *members)
{
    struct builder out;
    struct bytes text;
    builder_init(&out, arena, 256);
    builder_put_text(&out, "{\"name\":\"x\",\"kind\":\"");
    builder_put_text(&out, kind);
    builder_put_text(&out, "\",\"examples\":[{\"input\":\"00\",\"senml\":[" RECORD_OF_EXAMPLE "]}]");
    if (*members)
        builder_put_text(&out, ",");
    builder_put(&out, quoted(arena, members));
    builder_put_text(&out, "}");
    cr_assert(builder_finish(&out, &text));
    return text;
}

static inline struct bytes custom_octets(struct arena *arena, const char *hex)
{
    char *digits = arena_text(arena, bytes_of_text(hex));
    size_t len = 0;
    for (const char *at = hex; *at; at++) {
        if (*at != ' ')
            digits[len++] = *at;
    }
    digits[len] = '\0';
    return hex_bytes(arena, digits);
}

static inline void put_number(struct builder *out, const struct number *number)
{
    struct decimal decimal;
    double approx;
    cr_expect_eq(decimal_parse(number->text, &decimal), DECIMAL_OK);
    cr_expect(decimal_to_double(&decimal, &approx) && approx == number->approx);
    builder_put(out, number->text);
}

static inline void put_observation(struct builder *out, const struct observation *observation,
                                   struct arena *arena)
{
    char t[TIMESTAMP_TEXT_MAX];
    cr_expect(senml_name_is_valid(observation->name) &&
              !memchr(observation->name.ptr, ':', observation->name.len));
    if (observation->node.len) {
        cr_expect(senml_name_is_valid(observation->node));
        builder_put(out, observation->node);
        builder_put_text(out, "/");
    }
    builder_put(out, observation->name);
    builder_put_text(out, "=");
    if (observation->kind == VALUE_NUMBER)
        put_number(out, &observation->number);
    else if (observation->kind == VALUE_BOOLEAN)
        builder_put_text(out, observation->boolean ? "true" : "false");
    else if (observation->kind == VALUE_BYTES)
        builder_put_text(out, to_hex(arena, observation->data));
    else
        builder_put(out, observation->data);
    cr_expect(observation->kind != VALUE_TEXT || utf8_is_text(observation->data));
    if (observation->unit.len) {
        builder_put_text(out, " ");
        builder_put(out, observation->unit);
    }
    if (observation->cumulative) {
        builder_put_text(out, " +");
        if (observation->modulus.text.len)
            put_number(out, &observation->modulus);
    }
    if (observation->time_source != TIME_RECEIPT) {
        builder_put_text(out, " @");
        builder_put(out, bytes_of(t, timestamp_write(observation->time, t)));
        builder_put_byte(out, (uint8_t)observation->time_source);
    }
}

static inline const char *custom_line(const struct observation_list *list, struct arena *arena)
{
    struct builder out;
    struct bytes text;
    builder_init(&out, arena, 256);
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            builder_put_text(&out, "; ");
        put_observation(&out, &list->items[i], arena);
    }
    builder_put_byte(&out, 0);
    cr_assert(builder_finish(&out, &text));
    return (const char *)text.ptr;
}

static inline struct format_input custom_input(struct bytes payload)
{
    return (struct format_input){.payload = payload, .now = NOW, .limits = FORMAT_LIMITS_DEFAULT};
}

static inline const char *custom_result_of(const struct custom *custom, const struct format_input *input,
                                           struct arena *arena)
{
    struct observation_list list = {.items = NULL, .count = 77}, again = {0};
    struct format_error error = {NULL, 0};
    struct custom_steps steps;
    enum outcome outcome = custom_decode(custom, input, arena, &list, &error);
    /* Explaining changes nothing. */
    cr_expect_eq(custom_explain(custom, input, arena, &steps, &again, NULL), outcome);
    for (size_t i = 0; i < steps.count; i++)
        cr_expect(steps.items[i].offset + steps.items[i].len <= input->payload.len);
    if (outcome != OUTCOME_CHANGED) {
        cr_expect(list.items == NULL && list.count == 77, "a refusal leaves the list alone");
        cr_expect(error.detail && (error.offset == SIZE_MAX || error.offset <= input->payload.len));
        return outcome_row(outcome)->slug;
    }
    const char *line = custom_line(&list, arena);
    cr_expect_str_eq(custom_line(&again, arena), line);
    return line;
}

/* Compiles and decodes; see the top. */
static inline const char *custom_result(const char *kind, const char *members, struct bytes payload,
                                        struct arena *arena)
{
    struct custom_error error;
    struct custom *custom = custom_compile(custom_wrap(arena, kind, members), &error);
    if (!custom) {
        cr_expect(error.detail[0]);
        char *text = arena_alloc(arena, 2 * CUSTOM_TEXT_MAX + 4);
        snprintf(text, 2 * CUSTOM_TEXT_MAX + 4, "%s: %s", error.pointer, error.detail);
        return text;
    }
    /* What comes out must not borrow from the codec, and the payload is exactly as long as it is. */
    uint8_t *exact = malloc(payload.len ? payload.len : 1);
    if (payload.len)
        memcpy(exact, payload.ptr, payload.len);
    struct format_input input = custom_input(bytes_of(exact, payload.len));
    struct observation_list list;
    const char *result = custom_result_of(custom, &input, arena);
    if (custom_decode(custom, &input, arena, &list, NULL) == OUTCOME_CHANGED) {
        custom_free(custom);
        cr_expect_str_eq(custom_line(&list, arena), result);
    } else {
        custom_free(custom);
    }
    free(exact);
    return result;
}

/* A refusal of a definition is found by its beginning, so that sentences can change. */
static inline void check_custom_table(const char *kind, const struct custom_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct bytes payload = strcmp(kind, "binary") == 0 ? custom_octets(arena, rows[i].payload)
                                                           : quoted(arena, rows[i].payload);
        const char *result = custom_result(kind, rows[i].definition, payload, arena);
        bool same = rows[i].result[0] == '/' && strchr(result, ':')
                        ? strncmp(result, rows[i].result, strlen(rows[i].result)) == 0
                        : strcmp(result, rows[i].result) == 0;
        cr_expect(same, "%s\n of   %s\n gives %s\n not   %s", rows[i].definition, rows[i].payload, result,
                  rows[i].result);
        arena_free(arena);
    }
}
