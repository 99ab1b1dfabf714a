// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Stable sort of pointers that takes its memory from an arena: the one of the C library is neither stable nor
 * free of malloc. n log n for every input, so nobody can make it slow.
 */
#pragma once

#include "codec/arena.h"

/* Negative, zero or positive, as in qsort. */
typedef int sort_compare(const void *a, const void *b);

/* False: the arena is full; the items are then in their old order. */
bool sort_pointers(const void **items, size_t count, sort_compare *compare, struct arena *arena);
