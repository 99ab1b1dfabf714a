// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * InfluxDB's line protocol (versions 1 to 3), a log of independent lines:
 *
 *     weather,device=roof,sensor=a temperature=21.50,ok=t,count=3i,state="open" 1763692800000000000
 *
 * Each field is an observation. The tag `device`, else `host`, is its node; the parameter `node_tag` names another
 * tag. The name is MEASUREMENT.FIELD, or MEASUREMENT where the field is called `value`, and for each other tag, in
 * the order of their keys, .KEY-VALUE behind it. The parameter `precision` says what the time counts; nanoseconds
 * without it. There are no units, and nothing is guessed to be a counter. docs/formats.md has the rest.
 */
#pragma once

#include "codec/format.h"

/* The decode function of the row of format.h, for one line. */
enum outcome influx_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                           struct format_error *reterr);
