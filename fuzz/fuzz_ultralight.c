// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Ultralight: bodies, and what a request says beside them. The input is a body; where it has a line feed, what stands
 * before the first one is the parameter i, before the second one t. Beyond codec_property.h: as parameter d it means the
 * same as in the body.
 */
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes take_line(struct bytes *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (!end)
        return (struct bytes){0};
    struct bytes line = bytes_of(rest->ptr, (size_t)(end - rest->ptr));
    *rest = bytes_of(end + 1, rest->len - line.len - 1);
    return line;
}

static void same_as_parameter(const struct format_input *input, struct bytes body)
{
    const struct format *format = format_by_content_format(CONTENT_FORMAT_ULTRALIGHT);
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES);
    struct observation_list one = {0}, two = {0};
    struct format_input in_body = *input, in_query = *input;
    struct format_parameter parameters[] = {input->parameters[0], input->parameters[1], {BYTES_LITERAL("d"), body}};
    property_holds(arena);
    in_body.payload = body;
    in_query.parameters = parameters;
    in_query.parameter_count = 3;
    property_holds(format->decode(&in_body, arena, &one, NULL) == format->decode(&in_query, arena, &two, NULL));
    property_holds(one.count == two.count);
    for (size_t i = 0; i < one.count; i++)
        property_same(&one.items[i], &two.items[i]);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = bytes_of(data, size);
    const struct bytes i = take_line(&body), t = take_line(&body);
    /* A name that cleaning may find nothing in is another case than none. */
    const struct format_parameter parameters[] = {{i.ptr ? BYTES_LITERAL("i") : BYTES_LITERAL("x"), i},
                                                  {BYTES_LITERAL("t"), t}};
    const struct format_input request = {
        .now = {1763692800, 125000000},
        .limits = FORMAT_LIMITS_DEFAULT,
        .parameters = parameters,
        .parameter_count = 2,
    };
    property_decode_in(&request, CONTENT_FORMAT_ULTRALIGHT, body.ptr, body.len);
    if (body.len)
        same_as_parameter(&request, body);
    return 0;
}
