// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Plain JSON (50) and CBOR (60): one object of name to number, text, boolean or, in CBOR, bytes; one
 * observation each.
 *
 * Three keys are not names. `ts`: seconds since 1970, absolute. `ts_ns`: nanoseconds beside an integer `ts`.
 * `t`: a time as SenML has it, relative to now below 2^28. `ts` and `t` exclude each other; without both it
 * is the time of receipt.
 */
#pragma once

#include "codec/format.h"

/* The decode functions of the rows of format.h. */
enum outcome plain_decode_json(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr);
enum outcome plain_decode_cbor(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr);
