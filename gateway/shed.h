// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is refused first when the spool fills up because Redis is away: the load that costs least to lose goes first, so
 * that room is left for alarms. Pure: a table and a comparison.
 */
#pragma once

#include "gateway/rt/metrics.h"

#include <stdbool.h>

/* X(what, per cent of settings.spool_max_bytes from which on it is refused); rising. */
#define SHED_TABLE(X)                                                                                                  \
    X(SHED_HANDSHAKE, 80) /* new DTLS sessions */                                                                      \
    X(SHED_BODY, 85)      /* new Block1 bodies */                                                                      \
    X(SHED_NON, 90)       /* NON: nobody waits for the answer */                                                       \
    X(SHED_TELEMETRY, 95)                                                                                              \
    X(SHED_ALARM, 98) /* and events */                                                                                 \
    X(SHED_ACTION, 99)

enum shed {
#define X(what, per_cent) what,
    SHED_TABLE(X)
#undef X
    SHED_COUNT,
};

bool shed_refuses(unsigned fill_per_cent, enum shed what);
/* How many of the table are refused: 0 to SHED_COUNT. */
unsigned shed_pressure(unsigned fill_per_cent);
/* A message by its class in the stream (t, a, e, c). */
enum shed shed_of_message(char class, bool confirmable);
/* Counts one that was refused, in weir_shed_total. */
void shed_count(struct metrics *metrics, enum shed what);
