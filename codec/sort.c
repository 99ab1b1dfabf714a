// SPDX-License-Identifier: GPL-3.0-or-later
/* Merge sort from the bottom up: runs of 1, 2, 4, ... are merged from one array into another. */
#include "codec/sort.h"

struct run {
    const void **at;
    const void **end;
};

static void merge(struct run a, struct run b, const void **out, sort_compare *compare)
{
    while (a.at < a.end && b.at < b.end) {
        /* On a tie the earlier run wins: that is what makes it stable. */
        if (compare(*a.at, *b.at) <= 0)
            *out++ = *a.at++;
        else
            *out++ = *b.at++;
    }
    while (a.at < a.end)
        *out++ = *a.at++;
    while (b.at < b.end)
        *out++ = *b.at++;
}

bool sort_pointers(const void **items, size_t count, sort_compare *compare, struct arena *arena)
{
    const void **other = arena_calloc(arena, count, sizeof(*other));
    if (!other)
        return false;
    const void **from = items;
    const void **to = other;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t i = 0; i < count; i += 2 * width) {
            size_t middle = i + width < count ? i + width : count;
            size_t end = i + 2 * width < count ? i + 2 * width : count;
            struct run first = {from + i, from + middle}, second = {from + middle, from + end};
            merge(first, second, to + i, compare);
        }
        const void **swap = from;
        from = to;
        to = swap;
    }
    if (from != items && count)
        memcpy(items, from, count * sizeof(*items));
    return true;
}
