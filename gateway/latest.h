// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The newest confirmed value of every series, in memory, for GET /obs and its observers; shared by all workers.
 *
 * Filled after the store has confirmed, and from the tail of the streams at start (gateway/warm). Newest by the time
 * of the observation; the same time: the later arrival. Locked in stripes by device: an uncontended lock costs
 * about 20 ns, once per message. Bounded by settings.latest_max: the series that was not written for longest in its
 * stripe goes.
 *
 * An observation without value and sum removes its series (RFC 8790, gateway/etch): it hides what arrived before it and
 * is not newer than itself, and is not given out. What arrives after it is given out, whatever its time is.
 */
#pragma once

#include "codec/arena.h"
#include "codec/hash.h"
#include "codec/observation.h"

struct latest;

struct latest *latest_new(const struct hash_key *key, size_t series_max);
void latest_free(struct latest *latest);

/* A value from further ahead than a clock may be wrong would hide all later ones; it is in the stream, but
 * never latest. */
#define LATEST_AHEAD_MAX_S 86400
static inline bool latest_is_plausible(struct timestamp time, struct timestamp now)
{
    return time.s <= now.s + LATEST_AHEAD_MAX_S;
}

/* Copies. now: of the receipt; what is there and is not plausible any more, because the clock that it came by was set
 * back since, gives way whatever its time. False: out of memory (the value is in the stream all the same). */
bool latest_put(struct latest *latest, struct bytes tenant, struct bytes device, const struct observation *observation,
                struct timestamp now);
/* The same for a stream that is read backwards: the observation arrived before all that is there. */
bool latest_restore(struct latest *latest, struct bytes tenant, struct bytes device,
                    const struct observation *observation);

/* A value with its device. */
struct latest_value {
    struct bytes device;
    struct observation observation;
};

enum latest_result { LATEST_FOUND, LATEST_NOTHING, LATEST_NO_MEMORY, LATEST_TOO_MANY };

/*
 * Copies the values of one device, or of the whole tenant (device empty), into the arena; name empty: all names.
 * At most limit values, else LATEST_TOO_MANY and the first limit ones.
 */
enum latest_result latest_get(struct latest *latest, struct bytes tenant, struct bytes device, struct bytes name,
                              size_t limit, struct arena *arena, struct latest_value **ret, size_t *ret_count);

/* The same, of all series that are wanted: asked under a lock, so it has to be quick. */
typedef bool latest_wanted_fn(const void *ctx, struct bytes device, struct bytes name);
enum latest_result latest_select(struct latest *latest, struct bytes tenant, struct bytes device,
                                 latest_wanted_fn *wanted, const void *ctx, size_t limit, struct arena *arena,
                                 struct latest_value **ret, size_t *ret_count);

/* The newest time of all values of a device. False: it has none here. */
bool latest_newest(struct latest *latest, struct bytes tenant, struct bytes device, struct timestamp *ret);
