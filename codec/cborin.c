// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * libcbor's streaming decoder says what the next head is; everything about structure is done here, with a
 * stack of open containers instead of recursion.
 *
 * An item goes through three steps: decode (a callback fills in the node), open (containers are pushed),
 * complete (the item counts in its container, which may end with it and is then completed in turn). Strings
 * in chunks and the tags of numbers are containers while they are read; when they end, their nodes are
 * replaced by one.
 */
#include "codec/cborin.h"

#include "codec/utf8.h"

#include <cbor.h>

/* What the decoder found. */
enum head {
    HEAD_LEAF,
    HEAD_CONTAINER, /* `left` items belong to it: ARRAY, MAP, TAG, or a string in chunks */
    HEAD_BREAK,
};

#define LEFT_UNTIL_BREAK UINT64_MAX

/* RFC 8949 sections 3.4.3 and 3.4.4. */
enum number_tag {
    TAG_UNSIGNED_BIGNUM = 2,
    TAG_NEGATIVE_BIGNUM = 3,
    TAG_DECIMAL_FRACTION = 4,
};

struct level {
    uint32_t index; /* of the container's node */
    uint32_t items; /* children so far */
    uint64_t left;  /* children still to come, or LEFT_UNTIL_BREAK */
};

struct reader {
    struct bytes payload;
    size_t at;
    const struct format_limits *limits;
    struct arena *arena;
    struct refusal *reterr;

    struct node *nodes;
    uint32_t count, room;
    uint32_t items; /* heads read, including those that were replaced since */

    enum head head; /* of the item being read, with its node */
    uint64_t left;
    struct node *node;

    unsigned depth;
    struct level levels[CBORIN_DEPTH_MAX];
};

static bool refuse_here(const struct reader *reader, enum outcome outcome, const char *detail)
{
    return refuse(reader->reterr, outcome, detail, reader->at);
}

static bool refuse_malformed(const struct reader *reader)
{
    return refuse_here(reader, OUTCOME_MALFORMED, "The payload is not well-formed CBOR.");
}

/*
 * Callbacks of the decoder: one item each. All of them are set, since one left out would drop its item
 * silently.
 */

static void on_integer(struct reader *reader, uint64_t integer, bool negative)
{
    reader->node->kind = NODE_INTEGER;
    reader->node->integer = integer;
    reader->node->negative = negative;
}

static void on_uint8(void *context, uint8_t integer)
{
    on_integer(context, integer, false);
}

static void on_uint16(void *context, uint16_t integer)
{
    on_integer(context, integer, false);
}

static void on_uint32(void *context, uint32_t integer)
{
    on_integer(context, integer, false);
}

static void on_uint64(void *context, uint64_t integer)
{
    on_integer(context, integer, false);
}

static void on_negint8(void *context, uint8_t integer)
{
    on_integer(context, integer, true);
}

static void on_negint16(void *context, uint16_t integer)
{
    on_integer(context, integer, true);
}

static void on_negint32(void *context, uint32_t integer)
{
    on_integer(context, integer, true);
}

static void on_negint64(void *context, uint64_t integer)
{
    on_integer(context, integer, true);
}

static void on_float(void *context, float real)
{
    struct reader *reader = context;
    reader->node->kind = NODE_FLOAT;
    reader->node->real = (double)real;
}

static void on_double(void *context, double real)
{
    struct reader *reader = context;
    reader->node->kind = NODE_FLOAT;
    reader->node->real = real;
}

static void on_string(struct reader *reader, enum node_kind kind, cbor_data data, size_t len)
{
    reader->node->kind = kind;
    reader->node->data = bytes_of(data, len);
}

static void on_text(void *context, cbor_data data, size_t len)
{
    on_string(context, NODE_TEXT, data, len);
}

static void on_bytes(void *context, cbor_data data, size_t len)
{
    on_string(context, NODE_BYTES, data, len);
}

static void on_container(struct reader *reader, enum node_kind kind, uint64_t left)
{
    reader->head = HEAD_CONTAINER;
    reader->left = left;
    reader->node->kind = kind;
    reader->node->indefinite = left == LEFT_UNTIL_BREAK;
}

static void on_text_start(void *context)
{
    on_container(context, NODE_TEXT, LEFT_UNTIL_BREAK);
}

static void on_bytes_start(void *context)
{
    on_container(context, NODE_BYTES, LEFT_UNTIL_BREAK);
}

static void on_array(void *context, size_t len)
{
    /* Longer than any payload: refused as such, and not mistaken for "until break". */
    on_container(context, NODE_ARRAY, len < UINT32_MAX ? len : UINT32_MAX);
}

static void on_array_start(void *context)
{
    on_container(context, NODE_ARRAY, LEFT_UNTIL_BREAK);
}

static void on_map(void *context, size_t len)
{
    on_container(context, NODE_MAP, len < UINT32_MAX ? 2 * (uint64_t)len : UINT32_MAX);
}

static void on_map_start(void *context)
{
    on_container(context, NODE_MAP, LEFT_UNTIL_BREAK);
}

static void on_tag(void *context, uint64_t tag)
{
    struct reader *reader = context;
    on_container(reader, NODE_TAG, 1);
    reader->node->integer = tag;
}

static void on_null(void *context)
{
    struct reader *reader = context;
    reader->node->kind = NODE_NULL;
}

static void on_boolean(void *context, bool boolean)
{
    struct reader *reader = context;
    reader->node->kind = NODE_BOOLEAN;
    reader->node->boolean = boolean;
}

static void on_break(void *context)
{
    struct reader *reader = context;
    reader->head = HEAD_BREAK;
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_bytes_start,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_text_start,
    .indef_array_start = on_array_start,
    .array_start = on_array,
    .indef_map_start = on_map_start,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_null,
    .null = on_null,
    .boolean = on_boolean,
    .indef_break = on_break,
};

/* A node for the next item. An item takes a byte at least, which bounds the array by what is there. */
static bool add_node(struct reader *reader)
{
    if (reader->items == reader->limits->items)
        return refuse_here(reader, OUTCOME_TOO_COMPLEX, "The payload has too many items.");
    if (reader->count == reader->room) {
        size_t room = (size_t)reader->room * 2;
        struct node *nodes = arena_calloc(reader->arena, room, sizeof(*nodes));
        if (!nodes)
            return refuse_memory(reader->reterr);
        memcpy(nodes, reader->nodes, reader->count * sizeof(*nodes));
        reader->nodes = nodes;
        reader->room = (uint32_t)room;
    }
    reader->items++;
    reader->node = &reader->nodes[reader->count++];
    *reader->node = (struct node){.kind = NODE_NULL, .offset = (uint32_t)reader->at, .skip = 1};
    return true;
}

static struct level *innermost(struct reader *reader)
{
    return reader->depth ? &reader->levels[reader->depth - 1] : NULL;
}

static struct node *node_of(struct reader *reader, const struct level *level)
{
    return &reader->nodes[level->index];
}

/* Inside a string in chunks only strings of the same kind, whole ones, may stand. */
static bool check_chunk(struct reader *reader, enum node_kind string)
{
    if (reader->head != HEAD_LEAF || reader->node->kind != string)
        return refuse_malformed(reader);
    return true;
}

static bool check_text(struct reader *reader)
{
    if (utf8_is_text(reader->node->data))
        return true;
    if (utf8_is_valid(reader->node->data))
        return refuse_here(reader, OUTCOME_BAD_VALUE, "A text has the character U+0000.");
    return refuse_here(reader, OUTCOME_MALFORMED, "A text is not UTF-8.");
}

static bool check_key(struct reader *reader, const struct level *level)
{
    if (level->items % 2 != 0)
        return true;
    enum node_kind kind = reader->node->kind;
    if (kind == NODE_INTEGER || kind == NODE_TEXT || kind == NODE_BYTES)
        return true;
    return refuse_here(reader, OUTCOME_BAD_VALUE, "A key of a map is no integer, text or byte string.");
}

/* Whether the item that was just read may stand where it stands. */
static bool check_place(struct reader *reader)
{
    const struct level *level = innermost(reader);
    if (level) {
        const struct node *container = node_of(reader, level);
        if ((container->kind == NODE_TEXT || container->kind == NODE_BYTES) &&
            !check_chunk(reader, container->kind))
            return false;
        if (container->kind == NODE_MAP && !check_key(reader, level))
            return false;
    }
    if (reader->head == HEAD_LEAF && reader->node->kind == NODE_TEXT)
        return check_text(reader);
    return true;
}

static bool open_level(struct reader *reader)
{
    unsigned limit = reader->limits->depth < CBORIN_DEPTH_MAX ? reader->limits->depth : CBORIN_DEPTH_MAX;
    if (reader->depth == limit)
        return refuse_here(reader, OUTCOME_TOO_COMPLEX, "The payload is nested too deeply.");
    if (reader->left != LEFT_UNTIL_BREAK && reader->left > reader->payload.len - reader->at)
        return refuse_malformed(reader);
    uint32_t index = (uint32_t)(reader->node - reader->nodes);
    reader->levels[reader->depth++] = (struct level){.index = index, .left = reader->left};
    return true;
}

/* Puts the chunks of a string together; a string of one chunk needs no copy. */
static bool join_chunks(struct reader *reader, struct node *string)
{
    const struct node *end = &reader->nodes[reader->count];
    size_t len = 0;
    for (const struct node *chunk = string + 1; chunk < end; chunk++)
        len += chunk->data.len;
    uint8_t *joined = arena_alloc(reader->arena, len);
    if (!joined)
        return refuse_memory(reader->reterr);
    size_t at = 0;
    for (const struct node *chunk = string + 1; chunk < end; chunk++) {
        if (chunk->data.len)
            memcpy(joined + at, chunk->data.ptr, chunk->data.len);
        at += chunk->data.len;
    }
    string->data = bytes_of(joined, len);
    return true;
}

static bool refuse_number(const struct node *tag, struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_BAD_VALUE, "A tagged number is not one, or is too large.", tag->offset);
}

/* RFC 8949 section 3.4.3: the bytes are n; tag 2 says n, tag 3 says -1 - n. */
static bool read_bignum(const struct node *tag, struct decimal *ret)
{
    const struct node *content = tag + 1;
    static const struct decimal minus_one = {.small = 1, .count = 1, .negative = true, .digits = {1}};
    bool negative = tag->integer == TAG_NEGATIVE_BIGNUM;
    struct decimal n;
    if (content->kind != NODE_BYTES || !decimal_from_magnitude(content->data, negative, &n))
        return false;
    if (negative)
        return decimal_add(&n, &minus_one, ret);
    *ret = n;
    return true;
}

/* RFC 8949 section 3.4.4: [exponent, mantissa]; the mantissa may be a bignum, which is a NUMBER by now. */
static bool read_fraction(struct reader *reader, const struct node *tag, struct decimal *ret)
{
    const struct node *content = tag + 1;
    if (content->kind != NODE_ARRAY || content->count != 2)
        return false;
    const struct node *exponent = content + 1, *mantissa = content + 2;
    if (exponent->kind != NODE_INTEGER || exponent->integer > DECIMAL_EXPONENT_MAX)
        return false;
    bool is_integer = mantissa->kind == NODE_INTEGER || mantissa->kind == NODE_NUMBER;
    if (!is_integer || !node_decimal(mantissa, ret, reader->reterr) || ret->exponent != 0)
        return false;
    ret->exponent = exponent->negative ? -1 - (int)exponent->integer : (int)exponent->integer;
    return true;
}

/* Replaces the tag of a number and its content by the number; other tags stay. */
static bool resolve_tag(struct reader *reader, struct node *tag)
{
    struct decimal decimal;
    bool fraction = tag->integer == TAG_DECIMAL_FRACTION;
    if (!fraction && tag->integer != TAG_UNSIGNED_BIGNUM && tag->integer != TAG_NEGATIVE_BIGNUM)
        return true;
    if (!(fraction ? read_fraction(reader, tag, &decimal) : read_bignum(tag, &decimal)))
        return refuse_number(tag, reader->reterr);

    char text[DECIMAL_TEXT_MAX];
    struct bytes copy;
    if (!arena_copy(reader->arena, bytes_of(text, decimal_write(&decimal, text)), &copy))
        return refuse_memory(reader->reterr);
    tag->kind = NODE_NUMBER;
    tag->data = copy;
    reader->count = (uint32_t)(tag - reader->nodes) + 1;
    return true;
}

static bool close_level(struct reader *reader)
{
    const struct level *level = &reader->levels[--reader->depth];
    struct node *node = node_of(reader, level);
    switch (node->kind) {
    case NODE_TEXT:
    case NODE_BYTES:
        if (!join_chunks(reader, node))
            return false;
        reader->count = level->index + 1;
        break;
    case NODE_TAG:
        if (!resolve_tag(reader, node))
            return false;
        break;
    default:
        node->count = node->kind == NODE_MAP ? level->items / 2 : level->items;
        break;
    }
    node->skip = reader->count - level->index;
    return node->kind != NODE_MAP || node_check_keys(node, reader->arena, reader->reterr);
}

/* An item is complete: it counts in its container, and containers that are full end. */
static bool complete(struct reader *reader)
{
    for (struct level *level = innermost(reader); level; level = innermost(reader)) {
        level->items++;
        if (level->left == LEFT_UNTIL_BREAK || --level->left > 0)
            return true;
        if (!close_level(reader))
            return false;
    }
    return true;
}

/* A break ends the innermost container if that has no length, and a map not behind a key. */
static bool take_break(struct reader *reader)
{
    struct level *level = innermost(reader);
    if (!level || level->left != LEFT_UNTIL_BREAK)
        return refuse_malformed(reader);
    if (node_of(reader, level)->kind == NODE_MAP && level->items % 2 != 0)
        return refuse_malformed(reader);
    return close_level(reader) && complete(reader);
}

/* The library takes the heads of tags 6 to 20 for errors: they were unassigned once. COSE's are among them. */
static bool decode_short_tag(struct reader *reader, uint8_t head)
{
    if (head < 0xc6 || head > 0xd4)
        return false;
    on_tag(reader, head & 0x1f);
    return true;
}

static bool decode_head(struct reader *reader)
{
    reader->head = HEAD_LEAF;
    const uint8_t *at = reader->payload.ptr + reader->at;
    struct cbor_decoder_result result = {.read = 1, .status = CBOR_DECODER_FINISHED};
    if (!decode_short_tag(reader, *at))
        result = cbor_stream_decode(at, reader->payload.len - reader->at, &callbacks, reader);
    if (result.status != CBOR_DECODER_FINISHED || result.read == 0)
        return refuse_malformed(reader);
    if (reader->head != HEAD_BREAK && !check_place(reader))
        return false;
    reader->at += result.read;
    return true;
}

static bool read_item(struct reader *reader)
{
    if (reader->at >= reader->payload.len)
        return refuse_malformed(reader);
    if (!add_node(reader) || !decode_head(reader))
        return false;
    switch (reader->head) {
    case HEAD_LEAF:
        return complete(reader);
    case HEAD_CONTAINER:
        if (!open_level(reader))
            return false;
        if (reader->left == 0)
            return close_level(reader) && complete(reader);
        return true;
    case HEAD_BREAK:
        reader->count--;
        return take_break(reader);
    }
    return false;
}

bool cborin_read(struct bytes payload, const struct format_limits *limits, struct arena *arena,
                 const struct node **ret, struct refusal *reterr)
{
    if (payload.len >= UINT32_MAX)
        return refuse(reterr, OUTCOME_TOO_LARGE, "The payload is too large.", SIZE_MAX);
    if (payload.len == 0)
        return refuse(reterr, OUTCOME_MALFORMED, "The payload is empty.", 0);

    /* Most items of a pack take three bytes and more; the array grows where that guess is wrong. */
    size_t guess = payload.len / 3 + 4;
    struct reader reader = {
        .payload = payload,
        .limits = limits,
        .arena = arena,
        .reterr = reterr,
        .room = (uint32_t)(guess < limits->items ? guess : limits->items + 1),
    };
    reader.nodes = arena_calloc(arena, reader.room, sizeof(*reader.nodes));
    if (!reader.nodes)
        return refuse_memory(reterr);
    do {
        if (!read_item(&reader))
            return false;
    } while (reader.depth);
    if (reader.at != payload.len)
        return refuse(reterr, OUTCOME_MALFORMED, "Something follows the end of the CBOR item.", reader.at);
    *ret = reader.nodes;
    return true;
}
