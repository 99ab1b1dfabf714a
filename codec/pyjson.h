// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The text that Python's json.dumps(value, sort_keys=True, separators=(",", ":")) makes of a JSON text: what
 * the {hmac, payload} envelope is signed over, rebuilt from the parsed value. ASCII. Pure.
 *
 * Integers stay as they are, of any length up to PYJSON_DIGITS_MAX; what has a point or an exponent is a
 * double and gets the shortest digits that give it back, with Python's exponent form (from 1e16 and below
 * 1e-4). Keys are sorted by code point and may hold U+0000. Refused: a key twice, what is no JSON (NaN,
 * 1e400), lone surrogates, a BOM, too deep.
 */
#pragma once

#include "codec/format.h"
#include "codec/node.h"

#define PYJSON_DIGITS_MAX 4300 /* as Python's own limit */

bool pyjson_canonical(struct bytes text, const struct format_limits *limits, struct arena *arena, struct bytes *ret,
                      struct refusal *reterr);
/* The same of a value that was read by codec/json; expected_len is a first guess. */
bool pyjson_write(const struct node *value, size_t expected_len, struct arena *arena, struct bytes *ret,
                  struct refusal *reterr);
/* repr(float): the same text as Python's, with its NUL; number is finite. Returns the length. */
#define PYJSON_FLOAT_MAX 32
size_t pyjson_float(double number, char ret[static PYJSON_FLOAT_MAX]);
