// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/index.h"

#include <criterion/criterion.h>

#define MANY 20000

struct thing {
    struct index_link link;
    uint64_t key;
};

static struct thing things[MANY];

/* Few hashes with many things each, and hashes whose low bits are alike. */
static uint64_t hash_of(uint64_t key)
{
    return key / 3 * 0x9e3779b97f4a7c15u >> 7;
}

static unsigned count_of(const struct index *index, uint64_t key)
{
    unsigned found = 0;
    for (struct index_link *link = index_first(index, hash_of(key)); link; link = index_next(link))
        found += ((struct thing *)link)->key == key;
    return found;
}

/* All are found at every size, in the middle of growing too. */
Test(index, what_was_added_is_found_until_it_is_removed)
{
    struct index index;
    cr_assert(index_init(&index));
    for (unsigned i = 0; i < MANY; i++) {
        things[i].key = i;
        index_add(&index, &things[i].link, hash_of(i));
        cr_assert_eq(count_of(&index, i), 1);
        cr_assert_eq(count_of(&index, i / 2), 1);
        cr_assert_eq(count_of(&index, i + 1), 0);
    }
    for (unsigned i = 0; i < MANY; i++)
        cr_assert_eq(count_of(&index, i), 1);
    for (unsigned i = 0; i < MANY; i += 2) {
        index_remove(&index, &things[i].link);
        index_remove(&index, &things[i].link);
    }
    for (unsigned i = 0; i < MANY; i++)
        cr_assert_eq(count_of(&index, i), i % 2);
    cr_assert_eq(index.count, MANY / 2);
    index_deinit(&index);
}

Test(index, a_link_that_was_never_added_may_be_removed)
{
    struct index index;
    struct thing never = {.key = 1};
    cr_assert(index_init(&index));
    index_remove(&index, &never.link);
    cr_assert_eq(index.count, 0);
    index_deinit(&index);
    index_deinit(&index);
}

/* No insertion does more than a bounded part of the move. */
Test(index, growing_is_spread_over_insertions)
{
    struct index index;
    cr_assert(index_init(&index));
    for (unsigned i = 0; i < MANY; i++) {
        size_t moved = index.moved, old_size = index.old_size;
        index_add(&index, &things[i].link, hash_of(i));
        if (index.old && index.old_size == old_size)
            cr_assert_leq(index.moved - moved, 2);
        cr_assert_leq(index.count, index.size * 2);
    }
    index_deinit(&index);
}
