// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Latencies in fixed memory: buckets that are 1/32 of their power of two wide, so that a percentile is at most 3 %
 * too high, from 1 us to days. Pure.
 */
#pragma once

#include <stdint.h>

#define SIM_HISTOGRAM_STEPS 32
#define SIM_HISTOGRAM_BUCKETS (SIM_HISTOGRAM_STEPS * 40)

/* Zero-initialised. */
struct sim_histogram {
    uint64_t counts[SIM_HISTOGRAM_BUCKETS];
    uint64_t total, max_us;
};

void sim_histogram_add(struct sim_histogram *histogram, uint64_t value_us);
/* The value that `percent` percent of all do not exceed; 0 when there is none. Never above the largest one seen. */
uint64_t sim_histogram_percentile(const struct sim_histogram *histogram, double percent);
