// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A parsed JSON or CBOR item: the one shape that both readers make and all formats are read from.
 *
 * The nodes of a tree lie in one array in the order of the text: a container is followed by its children, a
 * map's children alternate between key and value. To walk over children, start at node_first and go on with
 * node_next.
 *
 * A reader has checked before it hands out a tree: nesting and number of items, UTF-8 and no U+0000 in text,
 * no key twice in any map. Numbers are kept as they came and are only looked at when a format wants them.
 */
#pragma once

#include "codec/arena.h"
#include "codec/decimal.h"
#include "codec/refusal.h"

enum node_kind {
    NODE_NULL,    /* null, and CBOR's undefined */
    NODE_BOOLEAN,
    NODE_INTEGER, /* CBOR major types 0 and 1 */
    NODE_FLOAT,   /* CBOR, any width, widened; may be NaN or infinite */
    NODE_NUMBER,  /* text of a number: all JSON numbers; CBOR bignums and decimal fractions */
    NODE_TEXT,
    NODE_BYTES, /* CBOR only */
    NODE_ARRAY,
    NODE_MAP,
    NODE_TAG, /* CBOR tags that no reader resolves; one child */
};

#define NODE_OFFSET_UNKNOWN UINT32_MAX

struct node {
    enum node_kind kind;
    bool boolean;    /* NODE_BOOLEAN */
    bool negative;   /* NODE_INTEGER: the value is -1 - integer */
    bool indefinite; /* TEXT, BYTES, ARRAY, MAP: came in chunks or without a length */
    uint32_t offset; /* where in the payload it begins, or NODE_OFFSET_UNKNOWN */
    uint32_t count;  /* ARRAY: elements; MAP: pairs */
    uint32_t skip;   /* nodes from this one to the next that is not inside it */
    union {
        uint64_t integer;  /* NODE_INTEGER; NODE_TAG: the tag */
        double real;       /* NODE_FLOAT */
        struct bytes data; /* NUMBER, TEXT, BYTES; borrowed from the payload or the arena */
    };
};

/* The first child of a container that has one. */
static inline const struct node *node_first(const struct node *container)
{
    return container + 1;
}

static inline const struct node *node_next(const struct node *node)
{
    return node + node->skip;
}

static inline size_t node_offset(const struct node *node)
{
    return node->offset == NODE_OFFSET_UNKNOWN ? SIZE_MAX : node->offset;
}

static inline bool node_is_number(const struct node *node)
{
    return node->kind == NODE_INTEGER || node->kind == NODE_FLOAT || node->kind == NODE_NUMBER;
}

/*
 * The exact number and its text by the text rule of decimal.h. The node is a number. False: beyond the bounds
 * of decimal.h, too large for a double, NaN or infinite.
 */
bool node_number(const struct node *node, struct arena *arena, struct decimal *ret, struct number *ret_number,
                 struct refusal *reterr);
/* As node_number where only the value is of interest: no text is made and a double's range is no limit. */
bool node_decimal(const struct node *node, struct decimal *ret, struct refusal *reterr);
/* An integer from 0 to max, written with digits only: what went through a float may be another. max is below 2^60. */
bool node_uint(const struct node *node, uint64_t max, uint64_t *ret);
/* The number that a decimal is, with its text in the arena. */
bool node_number_of_decimal(const struct decimal *decimal, struct arena *arena, struct number *ret,
                            struct refusal *reterr);

/* Refuses a map that has a key twice. Keys are TEXT, BYTES or INTEGER. For readers. */
bool node_check_keys(const struct node *map, struct arena *arena, struct refusal *reterr);
