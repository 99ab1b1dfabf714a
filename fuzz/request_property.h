// SPDX-License-Identifier: GPL-3.0-or-later
/* Formats that are asked with parameters: the first line of an input is "a=b&c=d", the rest is the payload. */
#pragma once

#include "fuzz/codec_property.h"

#define REQUEST_PARAMETERS_MAX 16

static inline size_t request_parameters(struct bytes text, struct format_parameter ret[static REQUEST_PARAMETERS_MAX])
{
    size_t count = 0;
    while (text.len && count < REQUEST_PARAMETERS_MAX) {
        const uint8_t *end = memchr(text.ptr, '&', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len, next = len + (end != NULL);
        const uint8_t *equals = len ? memchr(text.ptr, '=', len) : NULL;
        size_t name = equals ? (size_t)(equals - text.ptr) : len, value = name + (equals != NULL);
        ret[count++] = (struct format_parameter){bytes_of(text.ptr, name), bytes_of(text.ptr + value, len - value)};
        text = bytes_of(text.ptr + next, text.len - next);
    }
    return count;
}

static inline void request_decode(int content_format, const uint8_t *data, size_t size)
{
    struct format_parameter parameters[REQUEST_PARAMETERS_MAX];
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t line = end ? (size_t)(end - data) : size, next = line + (end != NULL);
    /* Of exactly its size, as property_decode_in does with the payload. */
    uint8_t *exact = malloc(line ? line : 1);
    property_holds(exact != NULL);
    if (line)
        memcpy(exact, data, line);
    const struct format_input request = {
        .now = {1763692800, 125000000},
        .limits = FORMAT_LIMITS_DEFAULT,
        .parameters = parameters,
        .parameter_count = request_parameters(bytes_of(exact, line), parameters),
    };
    property_decode_in(&request, content_format, data + next, size - next);
    free(exact);
}
