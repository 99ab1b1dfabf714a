// SPDX-License-Identifier: GPL-3.0-or-later
/* The arena: alignment, limit, reset, and that allocations do not overlap. */
#include "tests/unit/codec/support.h"

#include <stdalign.h>

Test(arena, gives_aligned_memory_that_does_not_overlap)
{
    struct arena *arena = arena_new(1 << 20);
    uint8_t *blocks[200];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = arena_alloc(arena, i * 7);
        cr_assert(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % alignof(max_align_t), 0);
        memset(blocks[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        for (size_t k = 0; k < i * 7; k++)
            cr_assert_eq(blocks[i][k], (uint8_t)i);
    }
    arena_free(arena);
}

Test(arena, refuses_beyond_the_limit_and_recovers_at_reset)
{
    struct arena *arena = arena_new(1000);
    for (int round = 0; round < 3; round++) {
        cr_assert(arena_alloc(arena, 600));
        cr_assert_null(arena_alloc(arena, 600));
        cr_assert_null(arena_alloc(arena, SIZE_MAX));
        cr_assert_null(arena_calloc(arena, SIZE_MAX / 2, 3));
        cr_assert(arena_alloc(arena, 300));
        cr_assert_geq(arena_used(arena), 900);
        cr_assert_leq(arena_used(arena), 1000);
        arena_reset(arena);
        cr_assert_eq(arena_used(arena), 0);
    }
    arena_free(arena);
}

Test(arena, gives_the_last_byte_of_the_limit)
{
    struct arena *arena = arena_new(1001);
    cr_assert(arena_alloc(arena, 1001));
    cr_assert(arena_alloc(arena, 0));
    cr_assert_null(arena_alloc(arena, 1));
    arena_free(arena);
}

Test(arena, takes_allocations_larger_than_a_chunk)
{
    struct arena *arena = arena_new(1 << 20);
    uint8_t *large = arena_alloc(arena, 300000);
    uint8_t *small = arena_alloc(arena, 10);
    cr_assert(large && small);
    memset(large, 1, 300000);
    memset(small, 2, 10);
    cr_assert_eq(large[299999], 1);
    arena_free(arena);
}

Test(arena, copies)
{
    struct arena *arena = arena_new(100);
    struct bytes copy;
    cr_assert(arena_copy(arena, BYTES_LITERAL("abc"), &copy));
    cr_assert(bytes_equal_text(copy, "abc"));
    cr_assert(arena_copy(arena, bytes_of(NULL, 0), &copy));
    cr_assert_eq(copy.len, 0);
    cr_assert_str_eq(arena_text(arena, BYTES_LITERAL("abc")), "abc");
    cr_assert_str_eq(arena_text(arena, bytes_of(NULL, 0)), "");
    cr_assert(arena_join(arena, BYTES_LITERAL("a"), ':', BYTES_LITERAL("bc"), &copy));
    cr_assert(bytes_equal_text(copy, "a:bc"));
    cr_assert(arena_join(arena, (struct bytes){0}, '.', (struct bytes){0}, &copy));
    cr_assert(bytes_equal_text(copy, "."));
    cr_assert_not(arena_join(arena, bytes_of("", SIZE_MAX), '.', BYTES_LITERAL("x"), &copy));
    cr_assert(bytes_equal_text(copy, "."), "untouched");
    struct bytes untouched = copy;
    cr_assert_not(arena_copy(arena, bytes_of("", 1000), &untouched));
    cr_assert_eq(untouched.ptr, copy.ptr);
    uint8_t *clear = arena_calloc(arena, 2, 4);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(clear[i], 0);
    arena_free(arena);
    arena_free(NULL);
}
