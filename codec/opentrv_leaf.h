// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What OpenTRV's leaves say, whatever it is wrapped in: objects of keys like "T|C16" (name and unit) with values, and
 * keys that lost their unit on the way (the ASCII form, RKDAP). For opentrv.c, opentrv_frame.c and rkdap.c.
 *
 * Source: OpenTRV-standards, DeviceJSON; keys as in OTV0P2BASE_JSONStats.h.
 */
#pragma once

#include "codec/node.h"

#define OPENTRV_NODE_MAX 16 /* hexadecimal digits of a node: 8 octets */

/* An object that was looked at, so that the caller can make room for its values. */
struct opentrv_leaf {
    const struct node *object;
    struct bytes node; /* "@" as it was sent; empty: the object has none */
    size_t values;     /* all members but "@" and "+" */
};

/* Reads the text of one object, which is 7-bit printable. Offsets of a refusal count from the text's beginning. */
bool opentrv_leaf_parse(struct bytes text, const struct format_limits *limits, struct arena *arena,
                        struct opentrv_leaf *ret, struct refusal *reterr);
/* The same for an object that is part of a parsed text. */
bool opentrv_leaf_open(const struct node *object, struct opentrv_leaf *ret, struct refusal *reterr);
/* Writes leaf.values observations: copies of common with name, unit and value. */
bool opentrv_leaf_take(const struct opentrv_leaf *leaf, const struct observation *common, struct arena *arena,
                       struct observation *items, struct refusal *reterr);

/* A key without its unit; ret has everything else already. */
bool opentrv_leaf_bare(struct bytes key, const struct node *value, struct arena *arena, struct observation *ret,
                       struct refusal *reterr);
/* 1 to OPENTRV_NODE_MAX hexadecimal digits. */
bool opentrv_leaf_node_is_valid(struct bytes node);
