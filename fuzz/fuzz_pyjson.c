// SPDX-License-Identifier: GPL-3.0-or-later
/* Python's canonical JSON: it is ASCII, is JSON, and its own canonical form. */
#include "codec/pyjson.h"
#include "fuzz/codec_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(16 * PROPERTY_ARENA_BYTES);
    struct bytes exact = {0}, once, twice;
    struct refusal refusal;
    property_holds(arena && arena_copy(arena, bytes_of(data, size), &exact));
    if (pyjson_canonical(exact, &FORMAT_LIMITS_DEFAULT, arena, &once, &refusal)) {
        for (size_t i = 0; i < once.len; i++)
            property_holds(once.ptr[i] >= 0x20 && once.ptr[i] < 0x7f);
        property_holds(pyjson_canonical(once, &FORMAT_LIMITS_DEFAULT, arena, &twice, &refusal));
        property_holds(bytes_equal(once, twice));
    } else {
        property_holds(refusal.detail && !outcome_is_success(refusal.outcome));
        property_holds(refusal.offset == SIZE_MAX || refusal.offset <= size);
    }
    arena_free(arena);
    return 0;
}
