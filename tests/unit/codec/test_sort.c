// SPDX-License-Identifier: GPL-3.0-or-later
/* The sort: in order, stable, and honest about memory. */
#include "codec/sort.h"

#include "tests/unit/codec/support.h"

struct item {
    unsigned key;
    unsigned place;
};

static int compare(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

Test(sort, sorts_and_keeps_the_order_of_equals)
{
    uint64_t random = 5;
    static struct item items[300];
    const void *order[300];
    for (size_t count = 0; count <= COUNT_OF(items); count++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        for (size_t i = 0; i < count; i++) {
            items[i] = (struct item){(unsigned)(next_random(&random) % 20), (unsigned)i};
            order[i] = &items[i];
        }
        cr_assert(sort_pointers(order, count, compare, arena));
        for (size_t i = 1; i < count; i++) {
            const struct item *x = order[i - 1], *y = order[i];
            cr_assert(x->key < y->key || (x->key == y->key && x->place < y->place));
        }
        arena_free(arena);
    }
}

Test(sort, leaves_the_items_when_memory_is_used_up)
{
    struct arena *arena = arena_new(8);
    struct item items[3] = {{3, 0}, {2, 1}, {1, 2}};
    const void *order[3] = {&items[0], &items[1], &items[2]};
    cr_assert_not(sort_pointers(order, 3, compare, arena));
    cr_assert_eq(order[0], &items[0]);
    arena_free(arena);
}
