// SPDX-License-Identifier: GPL-3.0-or-later
/* Called by retention in the main loop. */
#include "gateway/forecast.h"

#define LONG_S 3600
#define SHORT_S 300
#define SEEN_MIN_S 60

static const struct forecast_sample *sample(const struct forecast *forecast, size_t age)
{
    return &forecast->samples[(forecast->next + 2 * FORECAST_SAMPLES - 1 - age) % FORECAST_SAMPLES];
}

void forecast_add(struct forecast *forecast, int64_t now_s, uint64_t used)
{
    if (forecast->count > 0 && now_s < sample(forecast, 0)->at_s)
        forecast->count = 0; /* the clock went back */
    if (forecast->count > 0 && now_s - sample(forecast, 0)->at_s < FORECAST_SAMPLE_S)
        return;
    forecast->samples[forecast->next] = (struct forecast_sample){now_s, used};
    forecast->next = (forecast->next + 1) % FORECAST_SAMPLES;
    if (forecast->count < FORECAST_SAMPLES)
        forecast->count++;
}

/* By the growth since the oldest sample that is not older than the window. */
static int64_t full_by_window(const struct forecast *forecast, uint64_t max, int64_t window_s)
{
    const struct forecast_sample *now = sample(forecast, 0), *then = now;
    for (size_t age = 1; age < forecast->count && now->at_s - sample(forecast, age)->at_s <= window_s; age++)
        then = sample(forecast, age);
    int64_t span_s = now->at_s - then->at_s;
    if (span_s < SEEN_MIN_S || now->used <= then->used)
        return -1;
    double left_s = (double)(max - now->used) / ((double)(now->used - then->used) / (double)span_s);
    return left_s < 1e15 ? (int64_t)left_s : -1;
}

int64_t forecast_full_s(const struct forecast *forecast, uint64_t max)
{
    if (forecast->count == 0 || max == 0)
        return -1;
    if (sample(forecast, 0)->used >= max)
        return 0;
    int64_t slow = full_by_window(forecast, max, LONG_S), fast = full_by_window(forecast, max, SHORT_S);
    if (slow < 0 || fast < 0)
        return slow < 0 ? fast : slow;
    return slow < fast ? slow : fast;
}
