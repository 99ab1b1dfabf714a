// SPDX-License-Identifier: GPL-3.0-or-later
/* The builder: growing, numbers, and the sticky error. */
#include "codec/builder.h"

#include "tests/unit/codec/support.h"

Test(builder, grows)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct builder builder;
    struct bytes all;
    builder_init(&builder, arena, 0);
    for (int i = 0; i < 1000; i++)
        builder_put_uint(&builder, 7);
    builder_put_text(&builder, "ab");
    builder_put_byte(&builder, 'c');
    builder_put_uint(&builder, UINT64_MAX);
    cr_assert(builder_finish(&builder, &all));
    cr_assert_eq(all.len, 1000 + 3 + 20);
    cr_assert_eq(all.ptr[999], '7');
    cr_assert(bytes_equal_text(bytes_of(all.ptr + 1000, 23), "abc18446744073709551615"));
    arena_free(arena);
}

Test(builder, stays_failed)
{
    struct arena *arena = arena_new(64);
    struct builder builder;
    struct bytes untouched = {NULL, 77};
    builder_init(&builder, arena, 16);
    for (int i = 0; i < 100; i++)
        builder_put_text(&builder, "too much");
    cr_assert_null(builder_reserve(&builder, 0));
    cr_assert_not(builder_finish(&builder, &untouched));
    cr_assert_eq(untouched.len, 77);
    builder_init(&builder, arena, 1000);
    builder_put_byte(&builder, 'x');
    cr_assert_not(builder_finish(&builder, &untouched));
    arena_free(arena);
}
