// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Reads one CBOR item (RFC 8949) into nodes; the only place that knows the CBOR library.
 *
 * Refused: anything that is not well-formed, anything behind the item, text that is not UTF-8 or has U+0000,
 * keys that are not integers, text or bytes, a key twice in a map, simple values that no RFC has assigned,
 * tags 2, 3 and 4 around anything else than they stand for or beyond the bounds of decimal.h, nesting and
 * items beyond the limits. Never is anything allocated because a header says so: memory follows the items
 * that are there.
 */
#pragma once

#include "codec/format.h"
#include "codec/node.h"

/*
 * The levels of nesting that any reader takes at most, whatever the limits say. Tags and chunked strings
 * count.
 */
#define CBORIN_DEPTH_MAX 64

/* The tree borrows from the payload and the arena. */
bool cborin_read(struct bytes payload, const struct format_limits *limits, struct arena *arena,
                 const struct node **ret, struct refusal *reterr);
