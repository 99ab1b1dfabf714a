// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Hash table of pointers that many threads read while one thread writes: open addressing, linear probing, published
 * by RCU. 12 bytes a slot (pointer and 32 bits of the hash), at most 3/4 full. The table knows no keys: the caller
 * brings a keyed hash and compares. Part of registry; nobody above includes it.
 *
 * A reader sees a slot either before or after a change, never between. What find returned stays valid until the
 * reader's next quiescent state; the caller of put and remove frees the old entry after that (call_rcu).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slots;

struct table {
    struct table_slots *slots; /* published */
    size_t used;               /* entries; of the writer */
    size_t taken;              /* entries and tombstones; of the writer */
};

/* Whether the entry has this key. */
typedef bool table_match_fn(const void *entry, const void *key);

/* False: out of memory. */
bool table_init(struct table *table);
/* Frees the slots, not the entries. No reader may be left. */
void table_deinit(struct table *table);

/* Any thread. NULL: not there. */
void *table_find(const struct table *table, uint64_t hash, table_match_fn *match, const void *key);

/* Any thread, which passes no quiescent state meanwhile. Calls seen for each entry, of which some may be put or removed
 * while it walks. */
void table_walk(const struct table *table, void (*seen)(void *ctx, const void *entry), void *ctx);

/* Writer. Makes sure that the next `more` puts succeed. False: out of memory, nothing changed. */
bool table_reserve(struct table *table, size_t more);
/* Writer, after table_reserve. Returns the entry with this key that it replaces, or NULL. */
void *table_put(struct table *table, uint64_t hash, table_match_fn *match, const void *key, void *entry);
/* Writer. Takes out this very entry; false: it is not in the table. */
bool table_remove(struct table *table, uint64_t hash, const void *entry);
/* Writer. The next entry at or after *cursor, which starts at 0; NULL at the end. Removing what was returned is fine
 * in between, putting is not. */
void *table_next(const struct table *table, size_t *cursor);
