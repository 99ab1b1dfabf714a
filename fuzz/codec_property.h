// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What must hold for every payload and every format: a refusal leaves the result alone and says why; a list
 * is well made; writing it as SenML and reading that gives the same list. A violation ends the process.
 */
#pragma once

#include "codec/format.h"
#include "codec/senml.h"
#include "codec/timestamp.h"
#include "codec/utf8.h"

#include <math.h>
#include <stdlib.h>

#define PROPERTY_ARENA_BYTES ((size_t)1 << 20)
/* Times before this cannot be said absolutely in SenML, so they do not come back. */
#define PROPERTY_FIRST_TIME_S ((int64_t)1 << 28)

static inline void property_holds(bool condition)
{
    if (!condition)
        abort();
}

static inline void property_number(const struct number *number)
{
    struct decimal decimal;
    double approx;
    property_holds(decimal_parse(number->text, &decimal) == DECIMAL_OK);
    property_holds(decimal_to_double(&decimal, &approx));
    property_holds(approx == number->approx && isfinite(approx));
    property_holds(!memchr(number->text.ptr, 'E', number->text.len));
}

static inline void property_observation(const struct observation *observation)
{
    property_holds(senml_name_is_valid(observation->name));
    if (observation->node.len) {
        property_holds(senml_name_is_valid(observation->node));
        property_holds(!memchr(observation->node.ptr, ':', observation->node.len));
        property_holds(!memchr(observation->node.ptr, '/', observation->node.len));
        property_holds(!memchr(observation->name.ptr, ':', observation->name.len));
        property_holds(!memchr(observation->name.ptr, '/', observation->name.len));
    }
    if (observation->modulus.text.len)
        property_number(&observation->modulus);
    property_holds(utf8_is_text(observation->unit));
    property_holds(observation->time.ns < 1000000000);
    property_holds(observation->kind != VALUE_NONE || observation->has_sum);
    if (observation->kind == VALUE_NUMBER)
        property_number(&observation->number);
    if (observation->kind == VALUE_TEXT)
        property_holds(utf8_is_text(observation->data));
    if (observation->has_sum)
        property_number(&observation->sum);
}

static inline void property_same(const struct observation *a, const struct observation *b)
{
    property_holds(bytes_equal(a->name, b->name));
    property_holds(bytes_equal(a->unit, b->unit));
    property_holds(timestamp_compare(a->time, b->time) == 0);
    property_holds(a->kind == b->kind && a->boolean == b->boolean && a->has_sum == b->has_sum);
    property_holds(bytes_equal(a->data, b->data) && bytes_equal(a->content_type, b->content_type));
    property_holds(a->kind != VALUE_NUMBER || a->number.approx == b->number.approx);
    property_holds(!a->has_sum || a->sum.approx == b->sum.approx);
}

static inline bool property_times_come_back(const struct observation_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].time.s < PROPERTY_FIRST_TIME_S)
            return false;
        /* The encoders keep the order of the list; a plain one may have any. */
        if (i && timestamp_compare(list->items[i - 1].time, list->items[i].time) > 0)
            return false;
    }
    return list->count > 0;
}

static inline void property_round_trip(const struct observation_list *list, int content_format)
{
    const struct format *format = format_by_content_format(content_format);
    struct arena *arena = arena_new(8 * PROPERTY_ARENA_BYTES);
    struct format_input input = {.now = {0, 0}, .limits = {.depth = 16, .items = 65536, .records = 4096}};
    struct observation_list again;
    property_holds(arena && format->encode(list, arena, &input.payload) == OUTCOME_CONTENT);
    if (property_times_come_back(list)) {
        property_holds(format->decode(&input, arena, &again, NULL) == OUTCOME_CHANGED);
        property_holds(again.count == list->count);
        for (size_t i = 0; i < list->count; i++)
            property_same(&list->items[i], &again.items[i]);
    }
    arena_free(arena);
}

/* Decodes the input, in a buffer of exactly its size, and checks all of the above. request says all else. */
static inline void property_decode_in(const struct format_input *request, int content_format, const uint8_t *data,
                                      size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES);
    property_holds(exact && arena);
    if (size)
        memcpy(exact, data, size);
    struct format_input input = *request;
    input.payload = (struct bytes){exact, size};
    struct observation_list list = {.items = NULL, .count = 77};
    struct format_error error = {NULL, 0};
    enum outcome outcome = format_by_content_format(content_format)->decode(&input, arena, &list, &error);
    if (outcome == OUTCOME_CHANGED) {
        property_holds(list.count <= input.limits.records);
        for (size_t i = 0; i < list.count; i++)
            property_observation(&list.items[i]);
        property_round_trip(&list, CONTENT_FORMAT_SENML_JSON);
        property_round_trip(&list, CONTENT_FORMAT_SENML_CBOR);
    } else {
        property_holds(outcome_row(outcome)->coap_code >= OUTCOME_COAP(4, 0));
        property_holds(list.items == NULL && list.count == 77);
        property_holds(error.detail && (error.offset == SIZE_MAX || error.offset <= size));
    }
    arena_free(arena);
    free(exact);
}

static inline void property_decode(int content_format, const uint8_t *data, size_t size)
{
    const struct format_input request = {
        .now = {1763692800, 125000000},
        .name = BYTES_LITERAL("temp"),
        .unit = BYTES_LITERAL("Cel"),
        .limits = FORMAT_LIMITS_DEFAULT,
    };
    property_decode_in(&request, content_format, data, size);
}
