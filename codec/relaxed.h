// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Numbers as printf, dtostrf and people write them: beside JSON's also `+5`, `05`, `.5` and `5.`. They become the
 * JSON number of the same digits (5, 5, 0.5, 5); what is one already stays as written.
 */
#pragma once

#include "codec/arena.h"
#include "codec/decimal.h"
#include "codec/refusal.h"

/* Without the white space (blank, tab, CR, LF) at both ends. */
struct bytes relaxed_trim(struct bytes text);

/* The whole text. False: bad-value, where it is no number (also `nan` and `inf`) or beyond the bounds of decimal.h. */
bool relaxed_decimal(struct bytes text, struct decimal *ret, struct refusal *reterr);
/* The same with its text, borrowed from the argument or in the arena. */
bool relaxed_number(struct bytes text, struct arena *arena, struct number *ret, struct refusal *reterr);
