// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Which sequence numbers of a device Redis has seen, and which are missing: reads what gateway/function.lua writes, for
 * people. Pure.
 *
 * Missing is what was jumped over and has not come yet: the holes, and what is unseen among the last 64. Numbers below
 * the lowest that ever came are not missing: nobody knows that they were used.
 */
#pragma once

#include "codec/bytes.h"

#define SEEN_RANGES_MAX 16

struct seen_range {
    uint64_t lo, hi;
};

struct seen {
    uint64_t highest, lowest; /* that came; lowest: without what came from below it later on */
    uint64_t missing;         /* how many */
    struct seen_range ranges[SEEN_RANGES_MAX]; /* the first of them, rising, not touching */
    size_t range_count;
};

/* Begin with a zeroed one. First each hole, rising: a member "LO-HI" of weir:{T}:holes:ID:EPOCH. False: not that. */
bool seen_add_hole(struct seen *seen, struct bytes member);
/* Then the field "ID EPOCH" of weir:{T}:seen. False: not that. */
bool seen_add_state(struct seen *seen, struct bytes state);
