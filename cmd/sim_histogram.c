// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Bucket of a value: below 32 the value itself, then 32 buckets for each power of two, chosen by the five bits below
 * the highest one.
 */
#include "cmd/sim_histogram.h"

#define STEP_BITS 5

static unsigned bucket_of(uint64_t value)
{
    if (value < SIM_HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - STEP_BITS;
    unsigned bucket = (shift + 1) * SIM_HISTOGRAM_STEPS + (unsigned)(value >> shift) - SIM_HISTOGRAM_STEPS;
    return bucket < SIM_HISTOGRAM_BUCKETS ? bucket : SIM_HISTOGRAM_BUCKETS - 1;
}

static uint64_t highest_in(unsigned bucket)
{
    if (bucket < SIM_HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / SIM_HISTOGRAM_STEPS - 1;
    uint64_t first = (uint64_t)(bucket % SIM_HISTOGRAM_STEPS + SIM_HISTOGRAM_STEPS) << shift;
    return first + ((uint64_t)1 << shift) - 1;
}

void sim_histogram_add(struct sim_histogram *histogram, uint64_t value_us)
{
    histogram->counts[bucket_of(value_us)]++;
    histogram->total++;
    if (value_us > histogram->max_us)
        histogram->max_us = value_us;
}

uint64_t sim_histogram_percentile(const struct sim_histogram *histogram, double percent)
{
    uint64_t below = 0, wanted = (uint64_t)((double)histogram->total * percent / 100.0 + 0.999999);
    if (histogram->total == 0)
        return 0;
    for (unsigned bucket = 0; bucket < SIM_HISTOGRAM_BUCKETS; bucket++) {
        below += histogram->counts[bucket];
        if (below >= wanted && below > 0) {
            uint64_t value = highest_in(bucket);
            return value < histogram->max_us ? value : histogram->max_us;
        }
    }
    return histogram->max_us;
}
