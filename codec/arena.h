// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Memory of one request, given back all at once.
 *
 * Good for: everything that lives as long as one request. Bad for: anything that outlives it, growing buffers.
 * Bounded: an arena never holds more than the limit it was made with, so a peer cannot cause more than that.
 * Not thread-safe; an arena belongs to one worker. The only error is NULL: the limit is reached or the system
 * has no memory; the caller answers OUTCOME_OUT_OF_MEMORY. Under AddressSanitizer each allocation is a malloc of
 * its own, so that use after reset and overruns are seen.
 */
#pragma once

#include "codec/bytes.h"

struct arena;

/* An empty arena that will hold at most limit_bytes. NULL when out of memory. */
struct arena *arena_new(size_t limit_bytes);
/* Frees the arena and all that was taken from it; NULL is fine. */
void arena_free(struct arena *arena);
/* Gives back all allocations; the arena keeps its first chunk for the next request. */
void arena_reset(struct arena *arena);

/* size bytes aligned for any type, not cleared. NULL: limit or memory. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* As arena_alloc, cleared; count * size is checked for overflow. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);
/* A copy of the bytes. ret is set on success only. */
bool arena_copy(struct arena *arena, struct bytes from, struct bytes *ret);
/* The first, the character, the second. ret is set on success only. */
bool arena_join(struct arena *arena, struct bytes first, char between, struct bytes second, struct bytes *ret);
/* A NUL-terminated copy; NULL: limit or memory. */
char *arena_text(struct arena *arena, struct bytes from);

/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *arena);
