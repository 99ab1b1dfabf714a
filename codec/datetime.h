// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Dates and times as text (RFC 3339, ISO 8601), for the formats that write them so.
 *
 * Taken: 2016-06-13T00:35:30.125Z; a space or t instead of T; no seconds, or no time of day at all; an offset as
 * +02:00, +0200 or +02 instead of Z, or nothing, which is UTC. And the basic form with T, 20160613T003530Z, since
 * without a time of day it would be a number like any other. Refused: dates that do not exist, second 60, years before
 * 1 or after 9999.
 */
#pragma once

#include "codec/observation.h"

/* The whole text. Digits behind the ninth of a fraction are cut off. False: no such time. */
bool datetime_parse(struct bytes text, struct timestamp *ret);
/* The same of a text that has come in a query or a form, where a plus sign that nobody encoded is a blank: also one in
 * the place of the plus sign of an offset. */
bool datetime_parse_query(struct bytes text, struct timestamp *ret);
