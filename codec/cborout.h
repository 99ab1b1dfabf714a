// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Writes CBOR in the deterministic form of RFC 8949 section 4.2: shortest heads, definite lengths, the
 * shortest float that keeps the value. Keys of maps are written in the order of the calls: the caller sorts
 * them by their bytes.
 */
#pragma once

#include "codec/builder.h"
#include "codec/decimal.h"

/* Simple values. */
void cborout_bool(struct builder *out, bool boolean);
void cborout_uint(struct builder *out, uint64_t number);
void cborout_int(struct builder *out, int64_t number);
/* NaN in any form is written as f97e00. */
void cborout_double(struct builder *out, double number);

/* text is UTF-8. */
void cborout_text(struct builder *out, struct bytes text);
void cborout_bytes(struct builder *out, struct bytes bytes);

/* Heads; count items (array), pairs (map) or one item (tag) must follow. */
void cborout_array(struct builder *out, size_t count);
void cborout_map(struct builder *out, size_t count);
void cborout_tag(struct builder *out, uint64_t tag);

/*
 * A decimal, exactly: an integer (beyond 64 bits a bignum), else a float whose shortest decimal is that same
 * text, else a decimal fraction (tag 4). A negative zero is a float, the only form that has one. text and
 * decimal are the same number.
 */
void cborout_decimal(struct builder *out, struct bytes text, const struct decimal *decimal);
