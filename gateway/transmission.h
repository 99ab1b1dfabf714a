// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Confirmable messages of ours to one peer: sent one at a time (NSTART 1, RFC 7252 4.7), repeated until acknowledged or
 * reset (4.2), at most TRANSMISSION_REPEATS times with doubled pauses, the first 2 to 3 s.
 *
 * When one is given up, the peer is taken for gone, and all that wait behind it are given up too. How many may wait is
 * up to who sends.
 */
#pragma once

#include "gateway/peer.h"
#include "gateway/rt/metrics.h"
#include "gateway/rt/random.h"
#include "gateway/rt/timers.h"

#include <sys/queue.h>

#define TRANSMISSION_TIMEOUT_MS 2000
#define TRANSMISSION_REPEATS 4

struct transmission;

/* The same for all peers of a worker; borrowed by every queue. */
struct transmission_environment {
    struct timers *timers;
    struct metrics *metrics;
    struct random *random;
    /* The last of a peer's queue is done with; may send to it. */
    void (*idle)(void *ctx, struct peer *peer);
    void *ctx;
};

/* Of one peer; embedded in what is known of it. */
struct transmission_queue {
    const struct transmission_environment *env;
    struct peer *peer;
    TAILQ_HEAD(, transmission) list; /* only the first is in flight */
    unsigned count;
};

void transmission_queue_init(struct transmission_queue *queue, const struct transmission_environment *env,
                             struct peer *peer);
/* Drops everything without telling anybody. */
void transmission_queue_deinit(struct transmission_queue *queue);

enum transmission_fate { TRANSMISSION_ACKNOWLEDGED, TRANSMISSION_RESET, TRANSMISSION_GIVEN_UP };
#define TRANSMISSION_RTT_UNKNOWN UINT32_MAX

/* Who wants to know. Neither function sends to the peer. */
struct transmission_sender {
    /* Before each repetition; may replace or disown the transmission, not cancel it. */
    void (*refresh)(void *owner);
    /* It is done with and no longer there; rtt_ms only if it was acknowledged without repetition. */
    void (*done)(void *owner, enum transmission_fate fate, uint32_t rtt_ms);
    void *owner;
};

/*
 * Sends a CON when those before it are done with. sender may be NULL. ret, if not NULL, is set before anything is sent,
 * because sending may end the peer. False: out of memory.
 */
bool transmission_send(struct transmission_queue *queue, struct bytes message, uint16_t id,
                       const struct transmission_sender *sender, struct transmission **ret);
/* Whether transmission_send would send at once. */
static inline bool transmission_is_idle(const struct transmission_queue *queue)
{
    return queue->count == 0;
}
/* Other bytes under another ID from the next repetition on; count and timeout stay (RFC 7641 4.5.2). */
bool transmission_replace(struct transmission *transmission, struct bytes message, uint16_t id);
/* It goes on, but nobody wants to know. */
void transmission_disown(struct transmission *transmission);
/* Ends it without telling its sender. */
void transmission_cancel(struct transmission *transmission);
/* An Empty ACK or RST came. False: nothing with that ID is in flight. */
bool transmission_settle(struct transmission_queue *queue, uint16_t id, enum transmission_fate fate);
