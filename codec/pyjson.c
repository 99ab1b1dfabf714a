// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One walk over the nodes, without recursion: a level for each container that is open. Only the layout of numbers and
 * the order of keys is Python's own; the shortest digits come from codec/decimal, the escapes from codec/jsonout.
 */
#include "codec/pyjson.h"

#include "codec/digits.h"
#include "codec/json.h"
#include "codec/jsonout.h"
#include "codec/sort.h"

/* Where the point stands decides: from 0.0001 to 9999999999999998.0 there is no exponent. */
#define POINT_MIN (-4)
#define POINT_MAX 16

static char *put_exponent(char *at, int exponent)
{
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    if (magnitude >= 100)
        *at++ = (char)('0' + magnitude / 100);
    *at++ = (char)('0' + magnitude / 10 % 10);
    *at++ = (char)('0' + magnitude % 10);
    return at;
}

/* The value is 0.DIGITS times ten to the power of point. */
static char *put_number(char *at, const uint8_t *digits, int count, int point)
{
    if (point <= POINT_MIN || point > POINT_MAX) {
        at = digits_put(at, digits, 1);
        if (count > 1) {
            *at++ = '.';
            at = digits_put(at, digits + 1, count - 1);
        }
        return put_exponent(at, point - 1);
    }
    if (point <= 0) {
        *at++ = '0';
        *at++ = '.';
        return digits_put(digits_put_zeros(at, -point), digits, count);
    }
    int whole = count < point ? count : point;
    at = digits_put_zeros(digits_put(at, digits, whole), point - whole);
    *at++ = '.';
    return whole < count ? digits_put(at, digits + whole, count - whole) : digits_put_zeros(at, 1);
}

size_t pyjson_float(double number, char ret[static PYJSON_FLOAT_MAX])
{
    struct decimal shortest = {.count = 1};
    char *at = ret;
    (void)decimal_from_double(number, &shortest);
    int count = shortest.count, point = count + shortest.exponent;
    while (count > 1 && shortest.digits[count - 1] == 0)
        count--;
    if (shortest.negative)
        *at++ = '-';
    at = put_number(at, shortest.digits, count, point);
    *at = '\0';
    return (size_t)(at - ret);
}

/* A container that is being written. */
struct level {
    const struct node *container;
    const void **keys;       /* MAP: in their order */
    const struct node *next; /* ARRAY */
    uint32_t done;
};

struct writer {
    struct builder out;
    struct arena *arena;
    struct refusal *reterr;
    unsigned depth;
    struct level levels[JSON_DEPTH_MAX];
};

static bool is_float(struct bytes number)
{
    for (size_t i = 0; i < number.len; i++) {
        if (number.ptr[i] == '.' || (number.ptr[i] | 0x20) == 'e')
            return true;
    }
    return false;
}

/* Numbers beyond the bounds of codec/decimal are numbers all the same: 1e-500 is 0.0. */
static bool double_of(struct bytes text, struct arena *arena, double *ret, bool *ret_is_finite)
{
    struct decimal decimal;
    if (decimal_parse(text, &decimal) == DECIMAL_OK) {
        *ret_is_finite = decimal_to_double(&decimal, ret);
        return true;
    }
    const char *copy = arena_text(arena, text);
    *ret_is_finite = copy && decimal_text_to_double(copy, ret);
    return copy;
}

static bool put_json_number(struct writer *writer, const struct node *node)
{
    char text[PYJSON_FLOAT_MAX];
    struct bytes number = node->data;
    double value;
    bool is_finite;
    if (number.len - (number.ptr[0] == '-') > PYJSON_DIGITS_MAX)
        return refuse(writer->reterr, OUTCOME_BAD_VALUE, "A number has too many digits.", node_offset(node));
    if (!is_float(number)) {
        builder_put(&writer->out, bytes_equal_text(number, "-0") ? BYTES_LITERAL("0") : number);
        return true;
    }
    if (!double_of(number, writer->arena, &value, &is_finite))
        return refuse_memory(writer->reterr);
    if (!is_finite)
        return refuse(writer->reterr, OUTCOME_BAD_VALUE, "A number is too large for IEEE 754 double precision.",
                      node_offset(node));
    builder_put(&writer->out, bytes_of(text, pyjson_float(value, text)));
    return true;
}

/* The order of code points is the order of the octets of UTF-8. */
static int compare_keys(const void *a, const void *b)
{
    struct bytes x = ((const struct node *)a)->data, y = ((const struct node *)b)->data;
    size_t len = x.len < y.len ? x.len : y.len;
    int order = len ? memcmp(x.ptr, y.ptr, len) : 0;
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static bool sort_keys(struct writer *writer, const struct node *map, const void ***ret)
{
    const void **keys = arena_calloc(writer->arena, map->count, sizeof(*keys));
    const struct node *key = node_first(map);
    for (uint32_t i = 0; keys && i < map->count; i++, key = node_next(key + 1))
        keys[i] = key;
    if (!keys || !sort_pointers(keys, map->count, compare_keys, writer->arena))
        return refuse_memory(writer->reterr);
    *ret = keys;
    return true;
}

static bool open_level(struct writer *writer, const struct node *container)
{
    struct level level = {.container = container, .next = node_first(container)};
    if (container->kind == NODE_MAP && !sort_keys(writer, container, &level.keys))
        return false;
    builder_put_byte(&writer->out, container->kind == NODE_MAP ? '{' : '[');
    writer->levels[writer->depth++] = level;
    return true;
}

static bool put_value(struct writer *writer, const struct node *node)
{
    switch (node->kind) {
    case NODE_BOOLEAN:
        builder_put_text(&writer->out, node->boolean ? "true" : "false");
        return true;
    case NODE_NUMBER:
        return put_json_number(writer, node);
    case NODE_TEXT:
        jsonout_ascii(&writer->out, node->data);
        return true;
    case NODE_MAP:
    case NODE_ARRAY:
        return open_level(writer, node);
    default:
        builder_put_text(&writer->out, "null");
        return true;
    }
}

/* The next child of the innermost container, or its end. */
static bool put_next(struct writer *writer)
{
    struct level *level = &writer->levels[writer->depth - 1];
    const struct node *value = level->next;
    if (level->done == level->container->count) {
        builder_put_byte(&writer->out, level->keys ? '}' : ']');
        writer->depth--;
        return true;
    }
    if (level->done)
        builder_put_byte(&writer->out, ',');
    if (level->keys) {
        const struct node *key = level->keys[level->done];
        jsonout_ascii(&writer->out, key->data);
        builder_put_byte(&writer->out, ':');
        value = key + 1;
    } else {
        level->next = node_next(value);
    }
    level->done++;
    return put_value(writer, value);
}

bool pyjson_write(const struct node *value, size_t expected_len, struct arena *arena, struct bytes *ret,
                  struct refusal *reterr)
{
    struct writer writer = {.arena = arena, .reterr = reterr};
    builder_init(&writer.out, arena, expected_len);
    if (!put_value(&writer, value))
        return false;
    while (writer.depth) {
        if (!put_next(&writer))
            return false;
    }
    return builder_finish(&writer.out, ret) || refuse_memory(reterr);
}

bool pyjson_canonical(struct bytes text, const struct format_limits *limits, struct arena *arena, struct bytes *ret,
                      struct refusal *reterr)
{
    const struct node *root;
    return json_read_with_nul(text, limits, arena, &root, reterr) && pyjson_write(root, text.len, arena, ret, reterr);
}
