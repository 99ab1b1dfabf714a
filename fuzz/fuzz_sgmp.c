// SPDX-License-Identifier: GPL-3.0-or-later
/* SGMP: the input is device_name, timestamp and kind, a line each, then the payload. The properties of
 * codec_property.h. */
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct bytes names[] = {BYTES_LITERAL("device_name"), BYTES_LITERAL("timestamp"),
                                         BYTES_LITERAL("kind")};
    struct format_parameter parameters[3];
    struct format_input request = {
        .now = {1763692800, 125000000}, .limits = FORMAT_LIMITS_DEFAULT, .parameters = parameters};
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
        if (!end)
            break;
        size_t len = (size_t)(end - data);
        if (len) /* an empty line: not said */
            parameters[request.parameter_count++] = (struct format_parameter){names[i], bytes_of(data, len)};
        data += len + 1;
        size -= len + 1;
    }
    property_decode_in(&request, CONTENT_FORMAT_SGMP, data, size);
    return 0;
}
