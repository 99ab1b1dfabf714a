// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * SGMP: what the edge computers of a smart-grid study publish per device and poll: a JSON object of fields, under a
 * topic that says the rest.
 *
 *   .../HOUSE/DEVICE_ID/DEVICE_NAME/TIMESTAMP/data     {"A.Battery":-120.5,"B.Battery":3}
 *   .../HOUSE/DEVICE_ID/DEVICE_NAME/TIMESTAMP/event    {"type":"button","on":true}
 *
 * The parts of the topic come as parameters: device_name is the node; timestamp is in integer milliseconds since
 * 1970, without it the time is that of the receipt; kind is data or event, and an event has the class e; device_id is
 * checked only. Whose house it is, is the caller's affair. docs/formats.md has the rest.
 */
#pragma once

#include "codec/format.h"

/* The decode function of the row of format.h. */
enum outcome sgmp_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                         struct format_error *reterr);
