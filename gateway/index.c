// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * While it grows there are two arrays: buckets of old below moved are empty and their links are in the new array, so
 * a hash has its chain in exactly one of them. Two buckets are moved per insertion: the move ends long before the new
 * array is full. Without memory to grow the chains become longer, which is slower and not wrong.
 */
#include "gateway/index.h"

#include <stdlib.h>

#define SIZE_FIRST 256
#define MOVES_PER_ADD 2

bool index_init(struct index *index)
{
    *index = (struct index){.buckets = calloc(SIZE_FIRST, sizeof(struct index_link *)), .size = SIZE_FIRST};
    return index->buckets != NULL;
}

void index_deinit(struct index *index)
{
    free(index->buckets);
    free(index->old);
    *index = (struct index){0};
}

static struct index_link **bucket_of(const struct index *index, uint64_t hash)
{
    size_t place = hash & (index->old_size - 1);
    if (index->old && place >= index->moved)
        return &index->old[place];
    return &index->buckets[hash & (index->size - 1)];
}

static void push(struct index_link **bucket, struct index_link *link)
{
    link->next = *bucket;
    *bucket = link;
}

static void move_some(struct index *index)
{
    for (unsigned i = 0; index->old && i < MOVES_PER_ADD; i++) {
        struct index_link *link = index->old[index->moved++];
        while (link) {
            struct index_link *next = link->next;
            push(&index->buckets[link->hash & (index->size - 1)], link);
            link = next;
        }
        if (index->moved == index->old_size) {
            free(index->old);
            index->old = NULL;
        }
    }
}

static void begin_to_grow(struct index *index)
{
    struct index_link **buckets = calloc(index->size * 2, sizeof(struct index_link *));
    if (!buckets)
        return;
    index->old = index->buckets;
    index->old_size = index->size;
    index->moved = 0;
    index->buckets = buckets;
    index->size *= 2;
}

void index_add(struct index *index, struct index_link *link, uint64_t hash)
{
    if (!index->old && index->count >= index->size)
        begin_to_grow(index);
    move_some(index);
    link->hash = hash;
    push(bucket_of(index, hash), link);
    index->count++;
}

void index_remove(struct index *index, struct index_link *link)
{
    struct index_link **place = bucket_of(index, link->hash);
    while (*place && *place != link)
        place = &(*place)->next;
    if (!*place)
        return;
    *place = link->next;
    link->next = NULL;
    index->count--;
}

static struct index_link *skip_others(struct index_link *link, uint64_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct index_link *index_first(const struct index *index, uint64_t hash)
{
    return skip_others(*bucket_of(index, hash), hash);
}

struct index_link *index_next(const struct index_link *link)
{
    return skip_others(link->next, link->hash);
}
