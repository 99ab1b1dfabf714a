// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * SenML packs (RFC 8428) into resolved observations: JSON (110, 111) and CBOR (112, 113).
 *
 * The two forms differ in labels (text or integers) and in how bytes are written; everything else is one
 * resolver. What comes out is sorted by time, records of the same time in the order of the pack.
 * docs/formats.md lists the decisions where the RFC leaves room.
 */
#pragma once

#include "codec/format.h"
#include "codec/refusal.h"

/* The decode functions of the rows of format.h. */
enum outcome senml_decode_json(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr);
enum outcome senml_decode_cbor(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr);

/* RFC 8428 section 4.5.1, for a whole name: letters, digits and - : . / _, the first a letter or digit. */
bool senml_name_is_valid(struct bytes name);
