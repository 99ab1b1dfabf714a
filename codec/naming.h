// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names that legacy senders chose, made into local SenML names (RFC 8428 section 4.5.1, without ':' and '/').
 *
 * Each character other than A-Z a-z 0-9 - . _ becomes one '_': a letter with an accent, an emoji and a byte that is
 * no UTF-8 count one each. Then whatever stands before the first letter or digit is dropped, since a name may not
 * begin with it: "power 1" is "power_1", "°C" is "C", "_x" is "x". Where nothing is left ("µ", "--") the name is
 * refused, never invented: two such names would become one series. Names too long are refused, never cut, for the
 * same reason.
 */
#pragma once

#include "codec/arena.h"
#include "codec/refusal.h"

#define NAMING_NODE_MAX 64  /* characters of a node */
#define NAMING_NAME_MAX 128 /* characters of a local name */

/*
 * ret borrows from raw where that is a name already, else from the arena; at most max characters. False: bad-name,
 * or the arena is full; the offset of the refusal is not known here.
 */
bool naming_clean(struct bytes raw, size_t max, struct arena *arena, struct bytes *ret, struct refusal *reterr);

/*
 * The node of an observation: as it was said and as a part of a name, at most NAMING_NODE_MAX characters. False: as
 * naming_clean, or a control character is in it; of the observation nothing is changed.
 */
bool naming_node(struct bytes raw, struct arena *arena, struct observation *observation, struct refusal *reterr);

/* Gives the observation the name NODE.NAME, in the arena. False: it is full. */
bool naming_join_node(struct arena *arena, struct observation *observation);

/*
 * Whether the observations have names of their own; two names that were different may be one when they are clean.
 * False: duplicate-key, or the arena is full. Few are compared each with each, many are sorted.
 */
bool naming_distinct(const struct observation *items, size_t count, struct arena *arena, struct refusal *reterr);
