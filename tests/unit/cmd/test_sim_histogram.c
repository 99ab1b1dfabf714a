// SPDX-License-Identifier: GPL-3.0-or-later
/* Percentiles of the simulator are never below the truth and at most 1/32 above it. */
#include "cmd/sim_histogram.h"

#include <criterion/criterion.h>

Test(sim_histogram, empty)
{
    struct sim_histogram histogram = {0};
    cr_assert_eq(sim_histogram_percentile(&histogram, 50), 0);
    cr_assert_eq(sim_histogram_percentile(&histogram, 100), 0);
}

Test(sim_histogram, one_value_is_every_percentile)
{
    const uint64_t values[] = {0, 1, 31, 32, 33, 63, 64, 1000, 123456789, UINT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct sim_histogram histogram = {0};
        sim_histogram_add(&histogram, values[i]);
        cr_assert_eq(sim_histogram_percentile(&histogram, 0.1), values[i]);
        cr_assert_eq(sim_histogram_percentile(&histogram, 99.9), values[i]);
    }
}

Test(sim_histogram, percentiles_of_a_ramp)
{
    struct sim_histogram histogram = {0};
    for (uint64_t value = 1; value <= 100000; value++)
        sim_histogram_add(&histogram, value);
    const double percents[] = {1, 10, 50, 90, 99, 99.9, 100};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        double exact = percents[i] * 1000;
        double got = (double)sim_histogram_percentile(&histogram, percents[i]);
        cr_assert(got >= exact - 1 && got <= exact * (1 + 1.0 / 32) + 1, "%g %%: %g instead of %g", percents[i], got,
                  exact);
    }
    cr_assert_eq(histogram.max_us, 100000);
    cr_assert_eq(histogram.total, 100000);
}

Test(sim_histogram, error_is_bounded_at_every_magnitude)
{
    for (uint64_t value = 1; value < (uint64_t)1 << 36; value = value * 9 / 8 + 1) {
        struct sim_histogram histogram = {0};
        sim_histogram_add(&histogram, value);
        sim_histogram_add(&histogram, value * 4);
        uint64_t got = sim_histogram_percentile(&histogram, 50);
        cr_assert(got >= value && got <= value + value / 32 + 1, "%llu for %llu", (unsigned long long)got,
                  (unsigned long long)value);
    }
}

Test(sim_histogram, absurd_values_stay_in_the_last_bucket)
{
    struct sim_histogram histogram = {0};
    sim_histogram_add(&histogram, UINT64_MAX);
    sim_histogram_add(&histogram, 5);
    cr_assert_eq(sim_histogram_percentile(&histogram, 50), 5);
    cr_assert_eq(histogram.max_us, UINT64_MAX);
}
