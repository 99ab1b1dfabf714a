// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records of devices whose keys are derived from a group's (gateway/derive): they may speak without one, and
 * get one when they do, so that people see them, can say more of them, and can ban one. Made through
 * gateway/clerk: the path does not wait, and while Redis is away the device speaks on and is seen again
 * later.
 *
 * Bounded: APPEAR_JOBS_MAX at once, APPEAR_PER_S new ones a second, one try per device in APPEAR_AGAIN_S. A
 * try that did not work is counted and comes again.
 */
#pragma once

#include "gateway/clerk.h"
#include "gateway/identity.h"
#include "gateway/rt/metrics.h"
#include "registry/registry.h"

#define APPEAR_JOBS_MAX 64
#define APPEAR_PER_S 500
#define APPEAR_AGAIN_S 30

struct appear;

/* Borrows the registry and the clerk. NULL: out of memory. */
struct appear *appear_new(const struct registry *registry, struct clerk *clerk, const struct hash_key *key);
/* After the last job of the clerk. NULL is fine. */
void appear_free(struct appear *appear);

/* Of the worker that calls. */
struct appear_place {
    unsigned worker;
    struct metrics *metrics;
    uint64_t now_ms; /* monotonic */
    int64_t wall_s;
};
/* Somebody has proved who it is: a device that has no record and whose group lets it speak gets one. Costs one lookup
 * for everybody else. appear NULL: nothing happens. */
void appear_seen(struct appear *appear, const struct identity *who, const struct appear_place *place);
