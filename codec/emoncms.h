// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What OpenEnergyMonitor's devices and emonHub send to emonCMS: one node's values (input/post) and batches of rows
 * of many nodes (input/bulk). docs/formats.md has the rules and where they differ from emonCMS.
 *
 * All that was said comes as parameters: query, form fields, and a node in the path as `node`, merged and decoded
 * by the caller; `apikey` is the caller's affair. Where no parameter has data, the payload is the data. Values have
 * no units: emonCMS has none. How much goes into one request is said by the limits.
 */
#pragma once

#include "codec/format.h"

/*
 * The decode functions of the rows of format.h.
 *
 * post: `node`, `time`, and the first of `json` (relaxed), `fulljson` (strict), `csv`, `data` (relaxed). bulk:
 * `data` or the payload, and the first of `sentat`, `offset`, `time`; `c=1`: data is zlib in hexadecimal; `cb=1`:
 * the payload is zlib. Where `sentat` or `offset` shows that the sender's clock is right and its rows count from 1970, each
 * row with values is a part. What is too much is too-large.
 */
enum outcome emoncms_decode_post(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                 struct format_error *reterr);
enum outcome emoncms_decode_bulk(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                 struct format_error *reterr);
