// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Fills the latest values from the tails of the streams after a start, so that GET /obs does not forget over a restart.
 *
 * Reads at most WARM_ENTRIES of each stream, newest first, on a connection of its own in the main loop, in pages. A
 * series that was not written within that tail is not there until it is written again (docs/coap-api.md).
 */
#pragma once

#include "gateway/latest.h"
#include "gateway/rt/loop.h"
#include "gateway/store_target.h"

#define WARM_ENTRIES 20000 /* per stream */

struct warm;

/* Begins as soon as Redis is reached, once. NULL: out of memory. */
struct warm *warm_new(struct loop *loop, const struct store_target *redis, struct latest *latest);
void warm_free(struct warm *warm);

/* An entry's fields and values, alternating, back as an observation: the reverse of gateway/entry. The result borrows
 * from the fields and from scratch. False: not an entry of ours. */
bool warm_observation(const struct bytes *fields, size_t count, struct arena *arena, struct bytes *ret_device,
                      struct observation *ret);
