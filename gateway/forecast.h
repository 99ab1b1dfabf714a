// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * When something that grows will be full: from what it used over the last hour and the last five minutes; the sooner of
 * the two counts, so that a burst is seen at once and a slow leak as well. Pure: time comes in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FORECAST_SAMPLES 361
#define FORECAST_SAMPLE_S 10 /* samples that come sooner are passed over */

/* Zero-initialised. */
struct forecast {
    struct forecast_sample {
        int64_t at_s;
        uint64_t used;
    } samples[FORECAST_SAMPLES]; /* a ring; next is where the following one goes */
    size_t count, next;
};

void forecast_add(struct forecast *forecast, int64_t now_s, uint64_t used);
/* Seconds until max is reached; -1: it does not grow, or less than a minute has been seen; 0: it is reached. */
int64_t forecast_full_s(const struct forecast *forecast, uint64_t max);
