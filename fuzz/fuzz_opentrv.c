// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * OpenTRV's text forms, all of them on each input, and raw JSON also with the checksum that it should have. Beyond
 * codec_property.h: a log line that is data means what it means alone.
 */
#include "codec/crc7.h"
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum outcome decode(int content_format, struct bytes payload, struct arena *arena, struct observation_list *ret)
{
    struct format_input input = {.payload = payload, .now = {1763692800, 0}, .limits = FORMAT_LIMITS_DEFAULT};
    return format_by_content_format(content_format)->decode(&input, arena, ret, NULL);
}

static void same_in_log(int content_format, const uint8_t *data, size_t size)
{
    struct observation_list alone = {0}, in_log = {0};
    struct arena *arena = arena_new(PROPERTY_ARENA_BYTES);
    property_holds(arena);
    property_holds(decode(content_format, bytes_of(data, size), arena, &alone) ==
                   decode(CONTENT_FORMAT_OPENTRV_LOG, bytes_of(data, size), arena, &in_log));
    property_holds(alone.count == in_log.count);
    for (size_t i = 0; i < alone.count; i++)
        property_same(&alone.items[i], &in_log.items[i]);
    arena_free(arena);
}

static void with_checksum(const uint8_t *data, size_t size)
{
    uint8_t sent[256];
    if (size < 2 || size > sizeof(sent) - 1)
        return;
    memcpy(sent, data, size);
    sent[size - 1] = 0xfd;
    sent[size] = crc7(CRC7_RAW_JSON_START, bytes_of(sent + 1, size - 1));
    property_decode(CONTENT_FORMAT_OPENTRV_RAW, sent, size + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    property_decode(CONTENT_FORMAT_OPENTRV_JSON, data, size);
    property_decode(CONTENT_FORMAT_OPENTRV_ASCII, data, size);
    property_decode(CONTENT_FORMAT_OPENTRV_LOG, data, size);
    property_decode(CONTENT_FORMAT_OPENTRV_RAW, data, size);
    with_checksum(data, size);
    if (size && data[0] == '{')
        same_in_log(CONTENT_FORMAT_OPENTRV_JSON, data, size);
    if (size && data[0] == '@')
        same_in_log(CONTENT_FORMAT_OPENTRV_ASCII, data, size);
    return 0;
}
