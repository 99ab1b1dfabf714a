// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Resolved observations as SenML packs: records without base fields, absolute times, in the order of the
 * list.
 *
 * Numbers keep their exact text in JSON and their exact value in CBOR. Decoding what was encoded gives the
 * same list, but for base names, which are not kept, and for times before 2^28 s, which SenML cannot say
 * absolutely. An empty list is an empty array, which is fine as the result of a query (RFC 8790).
 */
#pragma once

#include "codec/format.h"

/* The encode functions of the rows of format.h; OUTCOME_CONTENT on success. */
enum outcome senml_write_json(const struct observation_list *list, struct arena *arena, struct bytes *ret);
enum outcome senml_write_cbor(const struct observation_list *list, struct arena *arena, struct bytes *ret);
