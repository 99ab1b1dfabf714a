// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * text/plain (0): one JSON number, or true or false, with ASCII white space around it. The name and the unit
 * come with the request, the time is the time of receipt.
 */
#pragma once

#include "codec/format.h"

/* The decode function of the row of format.h. */
enum outcome text_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                         struct format_error *reterr);
