// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A declarative codec and a payload for it: the definition, a zero octet, the payload. Beyond codec_property.h: explaining
 * ends as decoding does, its steps lie in the payload, and nothing that comes out is the codec's memory.
 */
#include "codec/custom.h"

#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_steps(const struct custom_steps *steps, size_t size)
{
    for (size_t i = 0; i < steps->count; i++) {
        const struct custom_step *step = &steps->items[i];
        property_holds(step->offset <= size && step->len <= size - step->offset);
        property_holds(utf8_is_valid(step->field) && utf8_is_valid(step->raw) && utf8_is_valid(step->value));
    }
}

static void check_list(const struct observation_list *list, const struct format_input *input)
{
    property_holds(list->count <= input->limits.records);
    for (size_t i = 0; i < list->count; i++) {
        const struct observation *observation = &list->items[i];
        property_observation(observation);
        property_holds(!memchr(observation->name.ptr, ':', observation->name.len));
        property_holds(!observation->node.len || senml_name_is_valid(observation->node));
        if (observation->modulus.text.len)
            property_number(&observation->modulus);
    }
    property_round_trip(list, CONTENT_FORMAT_SENML_JSON);
}

static void run(struct custom *custom, struct bytes payload)
{
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES), *second = arena_new(8 * PROPERTY_ARENA_BYTES);
    uint8_t *exact = malloc(payload.len ? payload.len : 1);
    property_holds(arena && second && exact);
    if (payload.len)
        memcpy(exact, payload.ptr, payload.len);
    struct format_parameter parameters[] = {{BYTES_LITERAL("port"), BYTES_LITERAL("2")}};
    struct format_input input = {
        .payload = {exact, payload.len},
        .now = {1763692800, 125000000},
        .limits = FORMAT_LIMITS_DEFAULT,
        .parameters = parameters,
        .parameter_count = 1,
    };
    struct observation_list list = {.count = 77}, again;
    struct custom_steps steps;
    struct format_error error = {NULL, 0};
    enum outcome outcome = custom_decode(custom, &input, arena, &list, &error);
    enum outcome explained = custom_explain(custom, &input, second, &steps, &again, NULL);
    property_holds(explained == outcome || outcome == OUTCOME_OUT_OF_MEMORY ||
                   explained == OUTCOME_OUT_OF_MEMORY);
    check_steps(&steps, payload.len);
    custom_free(custom);
    if (outcome == OUTCOME_CHANGED)
        check_list(&list, &input);
    else
        property_holds(error.detail && (error.offset == SIZE_MAX || error.offset <= payload.len) &&
                       list.count == 77);
    free(exact);
    arena_free(second);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    struct custom_error error;
    if (!end)
        return 0;
    size_t len = (size_t)(end - data);
    struct custom *custom = custom_compile(bytes_of(data, len), &error);
    if (custom)
        run(custom, bytes_of(end + 1, size - len - 1));
    return 0;
}
