// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Intrusive hash table: the link lives in its owner, so that being found needs no allocation. Chained; grows by
 * doubling, a few buckets at each insertion, so that no single datagram pays for a million neighbours. Hashes come from
 * the caller and must not be choosable by peers (codec/hash). One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_link {
    struct index_link *next;
    uint64_t hash;
};

struct index {
    struct index_link **buckets, **old; /* old: those that are still to be moved; NULL: none */
    size_t size, old_size, moved, count;
};

/* False: out of memory. */
bool index_init(struct index *index);
/* Forgets the links; zeroed is fine. */
void index_deinit(struct index *index);

/* The link must not be in any index. */
void index_add(struct index *index, struct index_link *link, uint64_t hash);
/* Fine if it is not in. */
void index_remove(struct index *index, struct index_link *link);
/* Links of that hash, in no order; NULL: no more. The caller compares what the hash was made of. */
struct index_link *index_first(const struct index *index, uint64_t hash);
struct index_link *index_next(const struct index_link *link);
