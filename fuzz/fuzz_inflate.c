// SPDX-License-Identifier: GPL-3.0-or-later
/* zlib streams. Property: what comes out keeps its bounds, a refusal says why, and nothing beside the arena is used. */
#include "codec/inflate.h"

#include <stdlib.h>

#define ARENA_BYTES ((size_t)1 << 20)
#define MAX_BYTES 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct refusal refusal = {OUTCOME_CHANGED, NULL, 0};
    struct bytes out = {NULL, 77};
    require(arena != NULL);
    if (inflate_whole(bytes_of(data, size), MAX_BYTES, arena, &out, &refusal)) {
        require(out.len <= MAX_BYTES && out.len <= size * INFLATE_RATIO_MAX);
        for (size_t i = 0; i < out.len; i++)
            (void)((const volatile uint8_t *)out.ptr)[i];
    } else {
        require(out.ptr == NULL && out.len == 77);
        require(refusal.detail && !outcome_is_success(refusal.outcome));
    }
    arena_free(arena);
    return 0;
}
