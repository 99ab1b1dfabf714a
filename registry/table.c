// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Why not cds_lfht of liburcu: it resizes and destroys itself in helper threads, costs 36 bytes of heap an entry plus
 * a node in each index, and its freedom from locks among writers is of no use to a single writer.
 *
 * Order that keeps readers right: the writer stores the tag, then the pointer with release; a reader loads the
 * pointer with acquire, then the tag. A slot that is used again after a tombstone can show a reader the old tag with
 * a pointer only before that put has returned, which is as if the lookup had come first. Growing fills new slots and
 * publishes them at once; the old ones go after a grace period.
 */
#include "registry/table.h"

#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

#define SLOTS_MIN 16

struct table_slots {
    struct rcu_head rcu;
    size_t mask;
    uint32_t *tags;
    void *pointers[];
};

/* Stands where an entry was that lookups must probe past. */
static char tombstone;

static struct table_slots *slots_new(size_t count)
{
    struct table_slots *slots = calloc(1, sizeof *slots + count * (sizeof(void *) + sizeof(uint32_t)));
    if (!slots)
        return NULL;
    slots->mask = count - 1;
    slots->tags = (uint32_t *)&slots->pointers[count];
    return slots;
}

static void slots_free_later(struct rcu_head *head)
{
    free(caa_container_of(head, struct table_slots, rcu));
}

bool table_init(struct table *table)
{
    *table = (struct table){.slots = slots_new(SLOTS_MIN)};
    return table->slots != NULL;
}

void table_deinit(struct table *table)
{
    free(table->slots);
    *table = (struct table){0};
}

static void *load_pointer(const struct table_slots *slots, size_t i)
{
    return __atomic_load_n(&slots->pointers[i], __ATOMIC_ACQUIRE);
}

static uint32_t load_tag(const struct table_slots *slots, size_t i)
{
    return __atomic_load_n(&slots->tags[i], __ATOMIC_RELAXED);
}

static void store_slot(struct table_slots *slots, size_t i, uint32_t tag, void *pointer)
{
    __atomic_store_n(&slots->tags[i], tag, __ATOMIC_RELAXED);
    __atomic_store_n(&slots->pointers[i], pointer, __ATOMIC_RELEASE);
}

static bool is_entry(const void *pointer)
{
    return pointer != NULL && pointer != &tombstone;
}

void *table_find(const struct table *table, uint64_t hash, table_match_fn *match, const void *key)
{
    const struct table_slots *slots = __atomic_load_n(&table->slots, __ATOMIC_ACQUIRE);
    uint32_t tag = (uint32_t)hash;
    for (size_t i = tag & slots->mask;; i = (i + 1) & slots->mask) {
        void *pointer = load_pointer(slots, i);
        if (!pointer)
            return NULL;
        if (pointer != &tombstone && load_tag(slots, i) == tag && match(pointer, key))
            return pointer;
    }
}

void table_walk(const struct table *table, void (*seen)(void *ctx, const void *entry), void *ctx)
{
    const struct table_slots *slots = __atomic_load_n(&table->slots, __ATOMIC_ACQUIRE);
    for (size_t i = 0; i <= slots->mask; i++) {
        const void *pointer = load_pointer(slots, i);
        if (is_entry(pointer))
            seen(ctx, pointer);
    }
}

/* The first slot without an entry on the way from the tag's home. */
static size_t free_slot(const struct table_slots *slots, uint32_t tag)
{
    size_t i = tag & slots->mask;
    while (is_entry(slots->pointers[i]))
        i = (i + 1) & slots->mask;
    return i;
}

bool table_reserve(struct table *table, size_t more)
{
    size_t count = table->slots->mask + 1;
    if (table->taken + more <= count / 4 * 3)
        return true;
    /* Only entries move: a table full of tombstones is written anew in the same size. */
    size_t new_count = table->used + more > count / 2 ? 2 * count : count;
    while (table->used + more > new_count / 4 * 3)
        new_count *= 2;
    struct table_slots *slots = slots_new(new_count);
    if (!slots)
        return false;
    for (size_t i = 0; i < count; i++) {
        void *pointer = table->slots->pointers[i];
        if (is_entry(pointer))
            store_slot(slots, free_slot(slots, table->slots->tags[i]), table->slots->tags[i], pointer);
    }
    struct table_slots *old = table->slots;
    __atomic_store_n(&table->slots, slots, __ATOMIC_RELEASE);
    table->taken = table->used;
    urcu_qsbr_call_rcu(&old->rcu, slots_free_later);
    return true;
}

void *table_put(struct table *table, uint64_t hash, table_match_fn *match, const void *key, void *entry)
{
    struct table_slots *slots = table->slots;
    uint32_t tag = (uint32_t)hash;
    for (size_t i = tag & slots->mask; slots->pointers[i]; i = (i + 1) & slots->mask) {
        void *old = slots->pointers[i];
        if (old != &tombstone && slots->tags[i] == tag && match(old, key)) {
            store_slot(slots, i, tag, entry);
            return old;
        }
    }
    size_t i = free_slot(slots, tag);
    table->taken += slots->pointers[i] == NULL;
    table->used++;
    store_slot(slots, i, tag, entry);
    return NULL;
}

/* A tombstone before an empty slot leads nowhere: it and those before it become empty. */
static void clear_tombstones_before(struct table *table, size_t i)
{
    struct table_slots *slots = table->slots;
    if (slots->pointers[(i + 1) & slots->mask])
        return;
    while (slots->pointers[i] == &tombstone) {
        store_slot(slots, i, 0, NULL);
        table->taken--;
        i = (i - 1) & slots->mask;
    }
}

bool table_remove(struct table *table, uint64_t hash, const void *entry)
{
    struct table_slots *slots = table->slots;
    size_t i = (uint32_t)hash & slots->mask;
    /* An entry may stand here under several keys; without the tag one would be taken out for another. */
    while (slots->pointers[i] && (slots->pointers[i] != entry || slots->tags[i] != (uint32_t)hash))
        i = (i + 1) & slots->mask;
    if (!slots->pointers[i])
        return false;
    store_slot(slots, i, slots->tags[i], &tombstone);
    table->used--;
    clear_tombstones_before(table, i);
    return true;
}

void *table_next(const struct table *table, size_t *cursor)
{
    const struct table_slots *slots = table->slots;
    while (*cursor <= slots->mask) {
        void *pointer = slots->pointers[(*cursor)++];
        if (is_entry(pointer))
            return pointer;
    }
    return NULL;
}
