// SPDX-License-Identifier: GPL-3.0-or-later
/* Asked by sessions (handshakes), block (bodies) and the sink (messages). */
#include "gateway/shed.h"

static const unsigned limits[SHED_COUNT] = {
#define X(what, per_cent) [what] = per_cent,
    SHED_TABLE(X)
#undef X
};

static const enum metric metrics_of[SHED_COUNT] = {
#define X(what, per_cent) [what] = METRIC_##what,
    SHED_TABLE(X)
#undef X
};

void shed_count(struct metrics *metrics, enum shed what)
{
    metrics_add(metrics, metrics_of[what], 1);
}

bool shed_refuses(unsigned fill_per_cent, enum shed what)
{
    return fill_per_cent >= limits[what];
}

unsigned shed_pressure(unsigned fill_per_cent)
{
    unsigned refused = 0;
    while (refused < SHED_COUNT && shed_refuses(fill_per_cent, (enum shed)refused))
        refused++;
    return refused;
}

enum shed shed_of_message(char class, bool confirmable)
{
    if (class == 'c')
        return SHED_ACTION;
    if (class == 'a' || class == 'e')
        return SHED_ALARM;
    return confirmable ? SHED_TELEMETRY : SHED_NON;
}
