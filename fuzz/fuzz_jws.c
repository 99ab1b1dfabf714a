// SPDX-License-Identifier: GPL-3.0-or-later
/* JWS: the input is read as compact and as JSON. What is read keeps its promises, and can be written again. */
#include "codec/jws.h"
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const struct signed_message *message, struct arena *arena)
{
    struct bytes compact;
    struct signed_message again;
    struct refusal refusal;
    property_holds(jws_end_compact(message->covered, message->signature, arena, &compact));
    property_holds(jws_read_compact(compact, arena, &again, &refusal));
    property_holds(again.algorithm == message->algorithm && again.content_format == message->content_format);
    property_holds(bytes_equal(again.kid, message->kid) && bytes_equal(again.payload, message->payload));
    property_holds(bytes_equal(again.covered, message->covered) && bytes_equal(again.signature, message->signature));
    property_holds(again.sequence.given == message->sequence.given && again.sequence.seq == message->sequence.seq);
}

static void check(bool is_read, const struct signed_message *message, const struct refusal *refusal, size_t size,
                  struct arena *arena)
{
    if (!is_read) {
        property_holds(refusal->detail && !outcome_is_success(refusal->outcome));
        property_holds(refusal->offset == SIZE_MAX || refusal->offset <= size);
        return;
    }
    property_holds(message->form == SIGNED_JWS && message->algorithm < SIGNED_ALGORITHMS);
    property_holds(message->algorithm != SIGNED_HS256_64);
    property_holds(message->signature.len == signed_signature_len(message->algorithm));
    property_holds(message->kid.len <= SIGNED_KID_MAX && message->payload.len > 0);
    property_holds(!message->sequence.given || message->sequence.seq <= SEQUENCE_MAX);
    read_again(message, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(8 * PROPERTY_ARENA_BYTES);
    struct signed_message message;
    struct refusal refusal;
    struct bytes exact = {0};
    property_holds(arena && arena_copy(arena, bytes_of(data, size), &exact));
    bool is_read = jws_read_compact(exact, arena, &message, &refusal);
    check(is_read, &message, &refusal, size, arena);
    is_read = jws_read_json(exact, arena, &message, &refusal);
    check(is_read, &message, &refusal, size, arena);
    arena_free(arena);
    return 0;
}
