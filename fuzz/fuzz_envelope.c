// SPDX-License-Identifier: GPL-3.0-or-later
/* The {hmac, payload} envelope: what is read can be written again; and the input as the format "fields". */
#include "codec/envelope.h"
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct signed_message *message, struct arena *arena)
{
    struct signed_message again;
    struct refusal refusal;
    struct bytes text;
    property_holds(message->signature.len == 32 && message->payload.len >= 2);
    property_holds(message->payload.ptr[0] == '{' && message->payload.ptr[message->payload.len - 1] == '}');
    property_holds(envelope_write(message->payload, message->signature.ptr, arena, &text));
    property_holds(envelope_read(text, &FORMAT_LIMITS_DEFAULT, arena, &again, &refusal));
    property_holds(bytes_equal(again.covered, message->covered) && bytes_equal(again.payload, message->payload));
    property_holds(bytes_equal(again.signature, message->signature) && again.has_time == message->has_time);
    property_holds(timestamp_compare(again.time, message->time) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(16 * PROPERTY_ARENA_BYTES);
    struct signed_message message;
    struct refusal refusal;
    struct bytes exact = {0};
    property_holds(arena && arena_copy(arena, bytes_of(data, size), &exact));
    if (envelope_read(exact, &FORMAT_LIMITS_DEFAULT, arena, &message, &refusal)) {
        write_again(&message, arena);
        property_decode(CONTENT_FORMAT_FIELDS, message.payload.ptr, message.payload.len);
    } else {
        property_holds(refusal.detail && !outcome_is_success(refusal.outcome));
        property_holds(refusal.offset == SIZE_MAX || refusal.offset <= size);
    }
    property_decode(CONTENT_FORMAT_FIELDS, data, size);
    arena_free(arena);
    return 0;
}
