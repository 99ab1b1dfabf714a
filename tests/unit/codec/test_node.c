// SPDX-License-Identifier: GPL-3.0-or-later
/* Numbers out of nodes, and duplicate keys in small and large maps. */
#include "codec/node.h"

#include "tests/unit/codec/support.h"

#include <math.h>

static const char *text_of(const struct node *node, struct arena *arena)
{
    struct decimal decimal;
    struct number number;
    struct refusal refusal;
    if (!node_number(node, arena, &decimal, &number, &refusal))
        return outcome_row(refusal.outcome)->slug;
    return arena_text(arena, number.text);
}

Test(node, numbers_keep_their_text)
{
    struct arena *arena = arena_new(100000);
    struct node number = {.kind = NODE_NUMBER, .data = BYTES_LITERAL("1.50E+02")};
    cr_assert_str_eq(text_of(&number, arena), "1.50e+02");
    struct node integer = {.kind = NODE_INTEGER, .integer = UINT64_MAX};
    cr_assert_str_eq(text_of(&integer, arena), "18446744073709551615");
    integer.negative = true;
    cr_assert_str_eq(text_of(&integer, arena), "-18446744073709551616");
    integer.integer = 0;
    cr_assert_str_eq(text_of(&integer, arena), "-1");
    struct node real = {.kind = NODE_FLOAT, .real = -0.0};
    cr_assert_str_eq(text_of(&real, arena), "-0");
    real.real = 21.5;
    cr_assert_str_eq(text_of(&real, arena), "21.5");
    arena_free(arena);
}

Test(node, refuses_what_no_double_holds)
{
    struct arena *arena = arena_new(100000);
    struct node number = {.kind = NODE_NUMBER, .data = BYTES_LITERAL("1e309")};
    cr_assert_str_eq(text_of(&number, arena), "bad-value");
    number.data = BYTES_LITERAL("1e999");
    cr_assert_str_eq(text_of(&number, arena), "bad-value");
    struct node real = {.kind = NODE_FLOAT, .real = (double)NAN};
    cr_assert_str_eq(text_of(&real, arena), "bad-value");
    real.real = (double)-INFINITY;
    cr_assert_str_eq(text_of(&real, arena), "bad-value");
    arena_free(arena);
}

/* A map of count integer keys, the last one equal to the key at twin, or to none. */
static bool map_is_good(uint32_t count, uint32_t twin)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct refusal refusal = {OUTCOME_INTERNAL, NULL, 0};
    struct node *nodes = arena_calloc(arena, 2 * count + 1, sizeof(*nodes));
    nodes[0] = (struct node){.kind = NODE_MAP, .count = count, .skip = 2 * count + 1};
    for (uint32_t i = 0; i < count; i++) {
        nodes[1 + 2 * i] = (struct node){.kind = NODE_INTEGER, .integer = i * 7919 % 65536, .skip = 1};
        nodes[2 + 2 * i] = (struct node){.kind = NODE_NULL, .skip = 1};
    }
    if (twin < count)
        nodes[2 * count - 1].integer = nodes[1 + 2 * twin].integer;
    bool good = node_check_keys(nodes, arena, &refusal);
    cr_assert(good || refusal.outcome == OUTCOME_DUPLICATE_KEY);
    arena_free(arena);
    return good;
}

Test(node, finds_duplicate_keys_in_maps_of_any_size)
{
    for (uint32_t count = 2; count < 100; count++) {
        cr_assert(map_is_good(count, UINT32_MAX));
        for (uint32_t twin = 0; twin + 1 < count; twin++)
            cr_assert_not(map_is_good(count, twin), "%u keys, twin of %u", count, twin);
    }
    cr_assert(map_is_good(10000, UINT32_MAX));
}

Test(node, keys_of_different_kinds_differ)
{
    struct arena *arena = arena_new(100000);
    struct refusal refusal;
    struct node map[] = {
        {.kind = NODE_MAP, .count = 3, .skip = 7},
        {.kind = NODE_TEXT, .data = BYTES_LITERAL("a"), .skip = 1},
        {.kind = NODE_NULL, .skip = 1},
        {.kind = NODE_BYTES, .data = BYTES_LITERAL("a"), .skip = 1},
        {.kind = NODE_NULL, .skip = 1},
        {.kind = NODE_INTEGER, .integer = 1, .skip = 1},
        {.kind = NODE_NULL, .skip = 1},
    };
    cr_assert(node_check_keys(map, arena, &refusal));
    map[3].kind = NODE_TEXT;
    cr_assert_not(node_check_keys(map, arena, &refusal));
    arena_free(arena);
}
