// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Numbers out of nodes, and the search for duplicate keys. The maps of sensors have a few keys, and comparing
 * each with each is fastest; larger ones are sorted, which no choice of keys can make slow.
 */
#include "codec/node.h"

#include "codec/sort.h"

#define FEW_KEYS 12

static bool refuse_bounds(const struct node *node, struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_BAD_VALUE, "A number has too many digits or too large an exponent.",
                  node_offset(node));
}

static bool refuse_range(size_t offset, struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_BAD_VALUE, "A number is too large for IEEE 754 double precision.", offset);
}

static void decimal_of_integer(const struct node *node, struct decimal *ret)
{
    static const uint8_t two_to_the_64[9] = {1};
    if (node->negative && node->integer == UINT64_MAX)
        decimal_from_magnitude(bytes_of(two_to_the_64, sizeof(two_to_the_64)), true, ret);
    else
        decimal_from_uint(node->integer + (node->negative ? 1 : 0), node->negative, ret);
}

bool node_decimal(const struct node *node, struct decimal *ret, struct refusal *reterr)
{
    switch (node->kind) {
    case NODE_INTEGER:
        decimal_of_integer(node, ret);
        return true;
    case NODE_FLOAT:
        if (!decimal_from_double(node->real, ret))
            return refuse(reterr, OUTCOME_BAD_VALUE, "A number is not finite.", node_offset(node));
        return true;
    case NODE_NUMBER:
        if (decimal_parse(node->data, ret) != DECIMAL_OK)
            return refuse_bounds(node, reterr);
        return true;
    case NODE_NULL:
    case NODE_BOOLEAN:
    case NODE_TEXT:
    case NODE_BYTES:
    case NODE_ARRAY:
    case NODE_MAP:
    case NODE_TAG:
        break;
    }
    return refuse(reterr, OUTCOME_BAD_VALUE, "A number was expected.", node_offset(node));
}

bool node_number_of_decimal(const struct decimal *decimal, struct arena *arena, struct number *ret,
                            struct refusal *reterr)
{
    char text[DECIMAL_TEXT_MAX];
    struct number number;
    if (!decimal_to_double(decimal, &number.approx))
        return refuse_range(SIZE_MAX, reterr);
    if (!arena_copy(arena, bytes_of(text, decimal_write(decimal, text)), &number.text))
        return refuse_memory(reterr);
    *ret = number;
    return true;
}

/* The text as written, but for a capital E. */
static bool text_as_written(struct bytes text, struct arena *arena, struct bytes *ret)
{
    const uint8_t *capital = memchr(text.ptr, 'E', text.len);
    if (!capital) {
        *ret = text;
        return true;
    }
    char *copy = arena_text(arena, text);
    if (!copy)
        return false;
    copy[capital - text.ptr] = 'e';
    *ret = bytes_of(copy, text.len);
    return true;
}

bool node_number(const struct node *node, struct arena *arena, struct decimal *ret, struct number *ret_number,
                 struct refusal *reterr)
{
    struct number number;
    if (!node_decimal(node, ret, reterr))
        return false;
    if (node->kind != NODE_NUMBER)
        return node_number_of_decimal(ret, arena, ret_number, reterr);
    if (!decimal_to_double(ret, &number.approx))
        return refuse_range(node_offset(node), reterr);
    if (!text_as_written(node->data, arena, &number.text))
        return refuse_memory(reterr);
    *ret_number = number;
    return true;
}

/* Digits only. */
static bool read_digits(struct bytes text, uint64_t max, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = 10 * number + (uint64_t)(text.ptr[i] - '0');
        if (number > max)
            return false;
    }
    *ret = number;
    return true;
}

bool node_uint(const struct node *node, uint64_t max, uint64_t *ret)
{
    if (node->kind == NODE_NUMBER)
        return read_digits(node->data, max, ret);
    if (node->kind != NODE_INTEGER || node->negative || node->integer > max)
        return false;
    *ret = node->integer;
    return true;
}

/* Any order will do; equal is equal. */
static int compare_keys(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->kind == NODE_INTEGER) {
        if (x->negative != y->negative)
            return x->negative ? -1 : 1;
        return (x->integer > y->integer) - (x->integer < y->integer);
    }
    if (x->data.len != y->data.len)
        return x->data.len < y->data.len ? -1 : 1;
    return x->data.len ? memcmp(x->data.ptr, y->data.ptr, x->data.len) : 0;
}

static bool refuse_duplicate(const struct node *key, struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_DUPLICATE_KEY, "A map has a key twice.", node_offset(key));
}

static bool check_few(const struct node *map, struct refusal *reterr)
{
    const struct node *keys[FEW_KEYS];
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++) {
        keys[i] = key;
        for (uint32_t k = 0; k < i; k++) {
            if (compare_keys(keys[k], key) == 0)
                return refuse_duplicate(key, reterr);
        }
        key = node_next(key + 1);
    }
    return true;
}

bool node_check_keys(const struct node *map, struct arena *arena, struct refusal *reterr)
{
    if (map->count <= FEW_KEYS)
        return check_few(map, reterr);
    const void **keys = arena_calloc(arena, map->count, sizeof(*keys));
    if (!keys)
        return refuse_memory(reterr);
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++) {
        keys[i] = key;
        key = node_next(key + 1);
    }
    if (!sort_pointers(keys, map->count, compare_keys, arena))
        return refuse_memory(reterr);
    for (uint32_t i = 1; i < map->count; i++) {
        if (compare_keys(keys[i - 1], keys[i]) == 0)
            return refuse_duplicate(keys[i], reterr);
    }
    return true;
}
