// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/forecast.h"

#include <criterion/criterion.h>

static void grow(struct forecast *forecast, int64_t from_s, int64_t to_s, int64_t start, int64_t per_s)
{
    for (int64_t at = from_s; at <= to_s; at += FORECAST_SAMPLE_S)
        forecast_add(forecast, at, (uint64_t)(start + per_s * (at - from_s)));
}

Test(forecast, says_nothing_before_a_minute)
{
    struct forecast forecast = {0};
    cr_expect_eq(forecast_full_s(&forecast, 1000), -1);
    grow(&forecast, 1000, 1050, 100, 1);
    cr_expect_eq(forecast_full_s(&forecast, 1000), -1);
    grow(&forecast, 1060, 1060, 160, 1);
    cr_expect_eq(forecast_full_s(&forecast, 1000), 840);
}

Test(forecast, not_growing_or_no_limit)
{
    struct forecast forecast = {0};
    grow(&forecast, 0, 600, 1000000, -1);
    cr_expect_eq(forecast_full_s(&forecast, 2000000), -1);
    cr_expect_eq(forecast_full_s(&forecast, 0), -1);
    cr_expect_eq(forecast_full_s(&forecast, 1000), 0, "it is full");
}

Test(forecast, the_sooner_of_hour_and_minutes)
{
    struct forecast forecast = {0};
    grow(&forecast, 0, 7200, 0, 1);
    cr_expect_eq(forecast_full_s(&forecast, 14400), 7200);
    grow(&forecast, 7210, 7510, 7210, 100); /* a burst of five minutes */
    int64_t full_s = forecast_full_s(&forecast, 100000);
    cr_expect(full_s > 500 && full_s < 800, "%lld", (long long)full_s);
    grow(&forecast, 7520, 7900, 37210, 0); /* it stands still: the hour remembers */
    full_s = forecast_full_s(&forecast, 100000);
    cr_expect(full_s > 4000 && full_s < 10000, "%lld", (long long)full_s);
}

Test(forecast, keeps_an_hour_and_survives_a_clock_that_goes_back)
{
    struct forecast forecast = {0};
    grow(&forecast, 0, 100000, 5, 3);
    cr_expect_eq(forecast.count, FORECAST_SAMPLES);
    forecast_add(&forecast, 50, 7);
    cr_expect_eq(forecast.count, 1);
    forecast_add(&forecast, 55, 8);
    cr_expect_eq(forecast.count, 1, "too soon");
}
