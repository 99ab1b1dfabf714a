// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * yyjson parses into a flat array of values in the order of the text; one pass over it makes nodes, counts
 * levels and looks for duplicate keys. Neither of them recurses. Memory comes from the request's arena only;
 * since the arena cannot give back, each time the library grows its array the old one is lost until the end
 * of the request.
 */
#include "codec/json.h"

#include <yyjson.h>

/* Larger payloads are scanned before parsing, so that hostile nesting costs a scan and no memory. */
#define SCAN_FROM_BYTES 4096

static void *pool_malloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void *pool_realloc(void *arena, void *old, size_t old_size, size_t size)
{
    if (size <= old_size)
        return old;
    void *memory = arena_alloc(arena, size);
    if (memory && old_size)
        memcpy(memory, old, old_size);
    return memory;
}

static void pool_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static bool refuse_depth(struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_TOO_COMPLEX, "The payload is nested too deeply.", SIZE_MAX);
}

static bool refuse_items(struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_TOO_COMPLEX, "The payload has too many items.", SIZE_MAX);
}

/* The end of the string whose opening quote is at i, or the end of the payload. */
static size_t skip_string(struct bytes payload, size_t i)
{
    for (i++; i < payload.len && payload.ptr[i] != '"'; i++) {
        if (payload.ptr[i] == '\\')
            i++;
    }
    return i;
}

/* Counts brackets and commas outside of strings: what they cannot exceed, the values cannot either. */
static bool scan(struct bytes payload, const struct format_limits *limits, struct refusal *reterr)
{
    size_t depth = 0, items = 1;
    for (size_t i = 0; i < payload.len; i++) {
        switch (payload.ptr[i]) {
        case '"':
            i = skip_string(payload, i);
            break;
        case '[':
        case '{':
            if (++depth > limits->depth)
                return refuse_depth(reterr);
            break;
        case ']':
        case '}':
            depth -= depth > 0;
            break;
        case ',':
        case ':':
            if (++items > limits->items)
                return refuse_items(reterr);
            break;
        }
    }
    return true;
}

static bool refuse_parse(const yyjson_read_err *error, struct refusal *reterr)
{
    if (error->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return refuse_memory(reterr);
    return refuse(reterr, OUTCOME_MALFORMED, "The payload is not well-formed JSON.", error->pos);
}

/* One container that is being walked. */
struct level {
    struct node *node;
    size_t left; /* values still to come, keys counted */
};

struct walk {
    const char *strings;  /* the library's copy of the payload: strings and numbers lie where they stood */
    bool refuses_nul;     /* and there are escapes: only they can bring U+0000 */
    struct arena *arena;
    unsigned depth_limit;
    unsigned depth;
    struct level levels[JSON_DEPTH_MAX];
    struct refusal *reterr;
};

static bool set_text(struct walk *walk, yyjson_val *value, struct node *node)
{
    const char *text = unsafe_yyjson_get_str(value);
    node->data = bytes_of(text, unsafe_yyjson_get_len(value));
    node->offset = (uint32_t)(text - walk->strings);
    if (walk->refuses_nul && node->data.len && memchr(text, 0, node->data.len))
        return refuse(walk->reterr, OUTCOME_BAD_VALUE, "A text has the character U+0000.", node->offset);
    return true;
}

static bool open_level(struct walk *walk, struct node *node, size_t left)
{
    if (walk->depth == walk->depth_limit)
        return refuse_depth(walk->reterr);
    walk->levels[walk->depth++] = (struct level){node, left};
    return true;
}

static bool set_node(struct walk *walk, yyjson_val *value, struct node *node)
{
    *node = (struct node){.kind = NODE_NULL, .offset = NODE_OFFSET_UNKNOWN, .skip = 1};
    switch (unsafe_yyjson_get_type(value)) {
    case YYJSON_TYPE_BOOL:
        node->kind = NODE_BOOLEAN;
        node->boolean = unsafe_yyjson_get_bool(value);
        return true;
    case YYJSON_TYPE_RAW:
        node->kind = NODE_NUMBER;
        return set_text(walk, value, node);
    case YYJSON_TYPE_STR:
        node->kind = NODE_TEXT;
        return set_text(walk, value, node);
    case YYJSON_TYPE_ARR:
        node->kind = NODE_ARRAY;
        node->count = (uint32_t)unsafe_yyjson_get_len(value);
        return open_level(walk, node, node->count);
    case YYJSON_TYPE_OBJ:
        node->kind = NODE_MAP;
        node->count = (uint32_t)unsafe_yyjson_get_len(value);
        return open_level(walk, node, (size_t)node->count * 2);
    default:
        return true;
    }
}

/* Leaves the containers that end at this node. */
static bool close_levels(struct walk *walk, const struct node *end)
{
    while (walk->depth && walk->levels[walk->depth - 1].left == 0) {
        struct node *node = walk->levels[--walk->depth].node;
        node->skip = (uint32_t)(end - node);
        if (node->kind == NODE_MAP && !node_check_keys(node, walk->arena, walk->reterr))
            return false;
        if (walk->depth)
            walk->levels[walk->depth - 1].left--;
    }
    return true;
}

static bool make_nodes(struct walk *walk, yyjson_doc *doc, struct node *nodes)
{
    yyjson_val *value = yyjson_doc_get_root(doc);
    size_t count = yyjson_doc_get_val_count(doc);
    for (size_t i = 0; i < count; i++, value++) {
        unsigned depth = walk->depth;
        if (!set_node(walk, value, &nodes[i]))
            return false;
        if (walk->depth == depth && depth)
            walk->levels[depth - 1].left--;
        if (!close_levels(walk, &nodes[i + 1]))
            return false;
    }
    return true;
}

static bool read(struct bytes payload, const struct format_limits *limits, bool takes_nul, struct arena *arena,
                 const struct node **ret, struct refusal *reterr)
{
    if (payload.len >= UINT32_MAX)
        return refuse(reterr, OUTCOME_TOO_LARGE, "The payload is too large.", SIZE_MAX);
    if (payload.len == 0)
        return refuse(reterr, OUTCOME_MALFORMED, "The payload is empty.", 0);
    if (payload.len > SCAN_FROM_BYTES && !scan(payload, limits, reterr))
        return false;

    yyjson_alc pool = {pool_malloc, pool_realloc, pool_free, arena};
    yyjson_read_err error;
    /* Without the in-situ flag the library writes to a copy of its own only. */
    char *text = (char *)(uintptr_t)payload.ptr;
    yyjson_doc *doc = yyjson_read_opts(text, payload.len, YYJSON_READ_NUMBER_AS_RAW, &pool, &error);
    if (!doc)
        return refuse_parse(&error, reterr);
    if (yyjson_doc_get_val_count(doc) > limits->items)
        return refuse_items(reterr);

    struct node *nodes = arena_calloc(arena, yyjson_doc_get_val_count(doc), sizeof(*nodes));
    if (!nodes)
        return refuse_memory(reterr);
    struct walk walk = {
        .strings = doc->str_pool,
        .refuses_nul = !takes_nul && memchr(payload.ptr, '\\', payload.len) != NULL,
        .arena = arena,
        .depth_limit = limits->depth < JSON_DEPTH_MAX ? limits->depth : JSON_DEPTH_MAX,
        .reterr = reterr,
    };
    if (!make_nodes(&walk, doc, nodes))
        return false;
    *ret = nodes;
    return true;
}

bool json_read(struct bytes payload, const struct format_limits *limits, struct arena *arena,
               const struct node **ret, struct refusal *reterr)
{
    return read(payload, limits, false, arena, ret, reterr);
}

bool json_read_with_nul(struct bytes payload, const struct format_limits *limits, struct arena *arena,
                        const struct node **ret, struct refusal *reterr)
{
    return read(payload, limits, true, arena, ret, reterr);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind the value that begins at i; the payload is well-formed. */
static size_t skip_value(struct bytes payload, size_t i)
{
    size_t depth = 0;
    for (; i < payload.len; i++) {
        switch (payload.ptr[i]) {
        case '"':
            i = skip_string(payload, i);
            break;
        case '[':
        case '{':
            depth++;
            continue;
        case ']':
        case '}':
            if (depth == 0)
                return i;
            depth--;
            break;
        default:
            if (depth || (payload.ptr[i] != ',' && !is_space(payload.ptr[i])))
                continue;
            return i;
        }
        if (depth == 0)
            return i + 1;
    }
    return i;
}

struct bytes json_value_text(struct bytes payload, const struct node *key)
{
    size_t begin = skip_string(payload, key->offset - 1) + 1;
    while (begin < payload.len && (is_space(payload.ptr[begin]) || payload.ptr[begin] == ':'))
        begin++;
    return bytes_of(payload.ptr + begin, skip_value(payload, begin) - begin);
}

/* Between the bracket and its first element there is white space only, and the quote of a text. */
struct bytes json_array_text(struct bytes payload, const struct node *array)
{
    size_t begin = node_first(array)->offset - 1;
    while (payload.ptr[begin] != '[')
        begin--;
    return bytes_of(payload.ptr + begin, skip_value(payload, begin) - begin);
}
