// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A list of chunks, filled from the newest; a reset frees all but the first. Under AddressSanitizer nothing
 * is kept and every allocation is a chunk of its own, exactly as long as was asked for, so that the redzones
 * of malloc lie around each of them and a use after the reset is a use after free.
 */
#include "codec/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_EACH_ITS_OWN true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_EACH_ITS_OWN true
#endif
#endif
#ifndef ARENA_EACH_ITS_OWN
#define ARENA_EACH_ITS_OWN false
#endif

/* Holds an ordinary request with everything made from it; larger ones take more chunks. */
#define CHUNK_BYTES ((size_t)16 * 1024)

struct chunk {
    struct chunk *next;
    size_t size;
    size_t used;
    alignas(max_align_t) uint8_t memory[];
};

struct arena {
    struct chunk *newest;
    struct chunk *first; /* survives resets; NULL under AddressSanitizer */
    size_t limit;
    size_t used;
};

static struct chunk *chunk_new(size_t size)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    if (!chunk)
        return NULL;
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    return chunk;
}

struct arena *arena_new(size_t limit_bytes)
{
    struct arena *arena = calloc(1, sizeof(*arena));
    if (!arena)
        return NULL;
    arena->limit = limit_bytes;
    if (ARENA_EACH_ITS_OWN)
        return arena;
    arena->first = chunk_new(CHUNK_BYTES);
    if (!arena->first) {
        free(arena);
        return NULL;
    }
    arena->newest = arena->first;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    arena_reset(arena);
    free(arena->first);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    while (arena->newest != arena->first) {
        struct chunk *next = arena->newest->next;
        free(arena->newest);
        arena->newest = next;
    }
    if (arena->first)
        arena->first->used = 0;
    arena->used = 0;
}

/* A chunk with room for size bytes in front of the list. The rest of the one before it is given up. */
static bool add_chunk(struct arena *arena, size_t size)
{
    bool own = ARENA_EACH_ITS_OWN || size > CHUNK_BYTES;
    struct chunk *chunk = chunk_new(own ? size : CHUNK_BYTES);
    if (!chunk)
        return false;
    chunk->next = arena->newest;
    arena->newest = chunk;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t room = arena->limit - arena->used;
    if (size > room)
        return NULL;
    size_t padded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (padded > room)
        padded = room;

    struct chunk *chunk = arena->newest;
    if (ARENA_EACH_ITS_OWN || chunk->size - chunk->used < padded) {
        if (!add_chunk(arena, ARENA_EACH_ITS_OWN ? size : padded))
            return NULL;
        chunk = arena->newest;
    }
    void *memory = chunk->memory + chunk->used;
    chunk->used += ARENA_EACH_ITS_OWN ? size : padded;
    arena->used += padded;
    return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = arena_alloc(arena, total);
    if (memory)
        memset(memory, 0, total);
    return memory;
}

bool arena_copy(struct arena *arena, struct bytes from, struct bytes *ret)
{
    uint8_t *memory = arena_alloc(arena, from.len);
    if (!memory)
        return false;
    if (from.len)
        memcpy(memory, from.ptr, from.len);
    *ret = bytes_of(memory, from.len);
    return true;
}

bool arena_join(struct arena *arena, struct bytes first, char between, struct bytes second, struct bytes *ret)
{
    size_t len = first.len + 1 + second.len;
    uint8_t *memory = len > first.len && len > second.len ? arena_alloc(arena, len) : NULL;
    if (!memory)
        return false;
    if (first.len)
        memcpy(memory, first.ptr, first.len);
    memory[first.len] = (uint8_t)between;
    if (second.len)
        memcpy(memory + first.len + 1, second.ptr, second.len);
    *ret = bytes_of(memory, len);
    return true;
}

char *arena_text(struct arena *arena, struct bytes from)
{
    if (from.len == SIZE_MAX)
        return NULL;
    char *text = arena_alloc(arena, from.len + 1);
    if (!text)
        return NULL;
    if (from.len)
        memcpy(text, from.ptr, from.len);
    text[from.len] = '\0';
    return text;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}
