// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * For the tests of formats whose observations have nodes and counters: a list as one line of text,
 *   NODE.NAME=VALUE UNIT + @TIME; ...
 * where + marks a counter and everything that is not there, or is the time of receipt, is left out.
 */
#pragma once

#include "codec/builder.h"
#include "codec/timestamp.h"
#include "tests/unit/codec/support.h"

static inline void tell_value(struct builder *out, const struct observation *observation)
{
    if (observation->kind == VALUE_NUMBER) {
        builder_put(out, observation->number.text);
    } else if (observation->kind == VALUE_BOOLEAN) {
        builder_put_text(out, observation->boolean ? "true" : "false");
    } else {
        builder_put_byte(out, '\'');
        builder_put(out, observation->data);
        builder_put_byte(out, '\'');
    }
}

static inline void tell(struct builder *out, const struct observation *observation)
{
    char time[TIMESTAMP_TEXT_MAX];
    if (observation->node.len) {
        builder_put(out, observation->node);
        builder_put_byte(out, '.');
    }
    builder_put(out, observation->name);
    builder_put_byte(out, '=');
    tell_value(out, observation);
    if (observation->unit.len) {
        builder_put_byte(out, ' ');
        builder_put(out, observation->unit);
    }
    if (observation->cumulative)
        builder_put_text(out, " +");
    if (observation->time_source == TIME_RECEIPT)
        return;
    builder_put_text(out, " @");
    builder_put(out, bytes_of(time, timestamp_write(observation->time, time)));
}

/* Decodes in an exact copy of the payload. The list as text, or the slug of the outcome. */
static inline const char *told_of(const struct format *format, struct format_input input, struct arena *arena,
                                  struct observation_list *ret, struct format_error *reterr)
{
    struct builder out;
    struct bytes text;
    struct observation_list untouched = *ret;
    input.now = NOW;
    input.limits = input.limits.items ? input.limits : FORMAT_LIMITS_DEFAULT;
    cr_assert(arena_copy(arena, input.payload, &input.payload));
    enum outcome outcome = format->decode(&input, arena, ret, reterr);
    if (outcome != OUTCOME_CHANGED) {
        cr_assert(reterr->detail, "a refusal without a detail");
        cr_assert(reterr->offset == SIZE_MAX || reterr->offset <= input.payload.len);
        cr_assert_eq(memcmp(ret, &untouched, sizeof untouched), 0, "a refusal touched the list");
        return outcome_row(outcome)->slug;
    }
    builder_init(&out, arena, 256);
    for (size_t i = 0; i < ret->count; i++) {
        if (i)
            builder_put_text(&out, "; ");
        tell(&out, &ret->items[i]);
    }
    cr_assert(builder_finish(&out, &text));
    return arena_text(arena, text);
}

static inline const char *told(int content_format, struct bytes payload, struct arena *arena)
{
    struct observation_list list = {0};
    struct format_error error = {NULL, 0};
    return told_of(format_by_content_format(content_format), (struct format_input){.payload = payload}, arena, &list,
                   &error);
}

static inline void check_told(int content_format, const struct expectation *table, size_t count, bool hex)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct bytes payload = hex ? hex_bytes(arena, table[i].payload) : bytes_of_text(table[i].payload);
        const char *result = told(content_format, payload, arena);
        cr_expect_str_eq(result, table[i].result, "%s\n gives %s\n not   %s", table[i].payload, result,
                         table[i].result);
        arena_free(arena);
    }
}
