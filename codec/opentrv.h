// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * OpenTRV in text: what radiator valves and their concentrators print and post.
 *
 *   json   {"@":"414a","+":2,"L":130,"vC|%":1158,"T|C16":255}
 *   ascii  @D49;T19C7;L61;O1
 *   log    a line of either, or [ "2014-12-19T15:39:50Z", "", {...} ], or noise of the console
 *   raw    JSON as it goes over the air: the last } as 0xfd, then a CRC
 *
 * docs/formats.md says what they become. The binary frame is in opentrv_frame.h.
 */
#pragma once

#include "codec/format.h"

#define OPENTRV_RAW_JSON_MAX 55 /* characters of the JSON of one radio message */

/* The decode functions of the rows of format.h. */
enum outcome opentrv_decode_json(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                 struct format_error *reterr);
enum outcome opentrv_decode_ascii(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                  struct format_error *reterr);
/* One line at a time. */
enum outcome opentrv_decode_log(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                struct format_error *reterr);
enum outcome opentrv_decode_raw(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                                struct format_error *reterr);
