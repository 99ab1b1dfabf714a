// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Which observations are readings of a counter (energy, pulses), and what the Redis Function needs to keep their totals
 * (gateway/function.lua, field w of docs/streams.md). Pure; looks at the registry in memory only.
 *
 * A reading is a sum (SenML s), always; a value that the format has marked; a value whose unit is one of the setting
 * cumulative_units; a value whose local name the profile of its device lists. Where a record has both, the sum is it.
 *
 * A time that is further ahead than a clock may be wrong would make all later readings late, so such a record is no
 * reading. It is in the stream all the same, and the next right one counts what it would have counted.
 */
#pragma once

#include "codec/decimal.h"
#include "gateway/sink.h"
#include "registry/registry.h"

struct cumulative_question {
    const struct registry *registry;
    struct bytes tenant;
    struct bytes units;        /* setting cumulative_units: words between commas */
    struct timestamp received;
    struct arena *arena;       /* where the moduli of profiles go */
};

/* Sets cumulative and modulus of each observation; records[i] says whose it is, and its name is final. False: out of
 * memory. */
bool cumulative_mark_all(const struct cumulative_question *question, struct observation *observations,
                         const struct sink_record *records, size_t count);

/* The same for one, and without a registry. series: profile_record.cumulative, or empty; its moduli are borrowed. */
void cumulative_mark(struct bytes units, struct bytes series, struct bytes device, struct timestamp received,
                     struct observation *observation);

/* Octets of a local name; beyond them it is no counter, so that Redis can keep all of a device. */
#define CUMULATIVE_NAME_MAX 256

/* Digits, one point at most: DECIMAL_DIGITS_MAX digits. */
#define CUMULATIVE_TEXT_MAX (DECIMAL_DIGITS_MAX + 2)

/*
 * A number in the form in which the Function calculates: digits before the point and, if not all are zero,
 * behind it; no sign, no exponent, no zeros that say nothing. A negative number is 0, for a counter is not
 * below it. Returns its length; 0: more than DECIMAL_DIGITS_MAX digits.
 */
size_t cumulative_text(const struct number *number, char ret[static CUMULATIVE_TEXT_MAX]);
/* What the counter of a marked observation reads. */
static inline const struct number *cumulative_reading(const struct observation *observation)
{
    return observation->has_sum ? &observation->sum : &observation->number;
}
