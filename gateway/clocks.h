// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * How wrong the clock of each device is, and what is done about it: on the path between the message's identity, which
 * is made from its times as they were sent, and the sink.
 *
 * The error is estimated from what the device itself says: the newest absolute time of a message against its receipt.
 * What comes late (network, buffered readings) only ever looks like a clock that is behind, so the sample that is
 * farthest ahead is taken, of the last 16 messages and 10 minutes or of one hour, and as many before. An estimate is
 * used when 4 messages agree on it for 3 s, which readings that are sent in one go never do. A clock that was set is
 * believed after 3 messages in a row that are ahead of all before, or 4 that agree on being behind for 3 s; a single
 * time that is nonsense is passed over. A device that always sends its readings late cannot be told from one whose
 * clock is behind.
 *
 * In memory, shared by all workers, locked in stripes by device; bounded: the clock that was not heard for longest in
 * its stripe goes. Nothing here outlives the process; after a start it is learned again.
 */
#pragma once

#include "codec/hash.h"
#include "gateway/rt/metrics.h"
#include "gateway/sink.h"
#include "registry/registry.h"

struct clocks;

struct clocks *clocks_new(const struct hash_key *key, size_t devices_max);
void clocks_free(struct clocks *clocks);

/* clock_window_s where the profile has none: CLOCK_REFUSE, CLOCK_CORRECT. */
#define CLOCKS_WINDOW_REFUSE_S 3600
#define CLOCKS_WINDOW_CORRECT_S 5
uint32_t clocks_window_s(const struct profile_record *profile);

/* What was done to the times of a message. */
enum clocks_action { CLOCKS_KEPT, CLOCKS_CORRECTED, CLOCKS_REPLACED };

/*
 * The observations of one device in one message: learns from them, then changes their times as the profile says.
 *   trust    nothing.
 *   correct  where the error is known and, like the newest time of the message, outside of the window: all times that
 *            the device gave are moved by it (TIME_CORRECTED).
 *   replace  the newest time that the device gave becomes the time of receipt, the others keep their distance
 *            (TIME_RECEIPT).
 *   refuse   any time but that of the receipt outside of the window: OUTCOME_TIME_OUTSIDE.
 * Relative and batch times are not touched: they count from the receipt.
 */
enum outcome clocks_apply(struct clocks *clocks, const struct profile_record *profile, struct bytes tenant,
                          struct bytes device, struct timestamp received, struct observation *items, size_t count,
                          enum clocks_action *ret_action);

/* Of devices that are trusted, about CLOCKS_LEARNED_PER_S messages a second of each thread are learned from, so that
 * clocks that nobody asked about cost next to nothing. Zero-initialised; one for a thread. */
#define CLOCKS_LEARNED_PER_S 1000
struct clocks_pace {
    int64_t second;
    uint32_t seen, stride; /* of this second; from the one before */
};

/*
 * The same for a whole message, whose records say whose each observation is: each run of neighbours of one device by
 * the profile of that device or, if it names none, of the speaker. Counts what it does. OUTCOME_TIME_OUTSIDE: the
 * message must not be stored.
 */
struct clocks_question {
    const struct registry *registry;
    struct bytes tenant, speaker; /* speaker: a device, or empty */
    struct timestamp received;
    struct metrics *metrics;
    struct clocks_pace *pace;
};
enum outcome clocks_apply_all(struct clocks *clocks, const struct clocks_question *question, struct observation *items,
                              const struct sink_record *records, size_t count);
/* Whether replace is the policy for any of the devices: their times say nothing, not even which message it is. */
bool clocks_replace_any(const struct clocks_question *question, const struct sink_record *records, size_t count);

/* For people. error_ms: by how much the clock is ahead; negative: behind. */
struct clocks_estimate {
    int64_t error_ms;
    uint32_t samples; /* on which it rests */
    bool known;       /* enough of them to correct by it */
};
/* False: the device has sent no absolute time since the gateway was started. */
bool clocks_get(struct clocks *clocks, struct bytes tenant, struct bytes device, struct clocks_estimate *ret);
