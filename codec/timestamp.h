// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The times of devices: seconds in decimal, exact to 10^-18 s while they are added, then rounded to
 * nanoseconds (half up). A double would lose the microseconds of today's date.
 */
#pragma once

#include "codec/decimal.h"

/* Seconds times 10^18: an exact place for any time within the limit below. */
__extension__ typedef __int128 timestamp_atto;

/* Times further than this from 1970, about 30 million years, are refused. */
#define TIMESTAMP_LIMIT_S ((int64_t)1000000000000000)
/* RFC 8428 section 4.5.3: below this a time is an offset to now. */
#define TIMESTAMP_RELATIVE_BELOW_S ((int64_t)1 << 28)

/* Characters of the longest text: sign, 16 digits, point, 9 digits. */
#define TIMESTAMP_TEXT_MAX 32

/* Digits behind the 18th decimal are cut off. False: beyond the limit. */
bool timestamp_from_decimal(const struct decimal *seconds, timestamp_atto *ret);
timestamp_atto timestamp_to_atto(struct timestamp time);
/* An absolute time. False: beyond the limit. */
bool timestamp_from_atto(timestamp_atto time, struct timestamp *ret);
/* The rule of RFC 8428 section 4.5.3, for a sum of base time and time. False: beyond the limit. */
bool timestamp_resolve(timestamp_atto time, struct timestamp now, struct timestamp *ret,
                       enum time_source *ret_source);

/*
 * Seconds with as many decimals as needed, without NUL; the result is the length. The time is within the
 * limit.
 */
size_t timestamp_write(struct timestamp time, char out[static TIMESTAMP_TEXT_MAX]);
/* Negative, zero, positive. */
int timestamp_compare(struct timestamp a, struct timestamp b);
