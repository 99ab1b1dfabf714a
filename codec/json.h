// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Reads JSON (RFC 8259, of the kind RFC 7493 asks for) into nodes; the only place that knows the JSON
 * library.
 *
 * Refused: anything but one value with white space around it, BOM, bad UTF-8, lone surrogates, U+0000 in
 * text, comments and commas at the end, a key twice in an object, nesting and items beyond the limits.
 */
#pragma once

#include "codec/format.h"
#include "codec/node.h"

/* The levels of nesting that any reader takes at most, whatever the limits say. */
#define JSON_DEPTH_MAX 64

/* The tree borrows from the arena only. */
bool json_read(struct bytes payload, const struct format_limits *limits, struct arena *arena,
               const struct node **ret, struct refusal *reterr);
/* As json_read, but text and keys may have U+0000: for readers that hand neither on. */
bool json_read_with_nul(struct bytes payload, const struct format_limits *limits, struct arena *arena,
                        const struct node **ret, struct refusal *reterr);
/* The value behind a key of a map as it was received, without white space around it. payload is what the tree was read
 * from. */
struct bytes json_value_text(struct bytes payload, const struct node *key);
/* An array as it was received, from bracket to bracket. Its first element is a number or text. */
struct bytes json_array_text(struct bytes payload, const struct node *array);
