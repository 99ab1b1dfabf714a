// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Observers of one worker (RFC 7641): who wants to be told, when it may be told, and that it gets the newest state.
 *
 * A registration is (peer, token) with the request as it came; each notification answers that request anew. Changes are
 * only marks: any number of them until the next notification make one. Told are those observers whose subject changed;
 * a subject is a hash that the wire makes of tenant and device.
 *
 * Pace: a notification needs an ACK when it is the first, every 16th, or the first in 24 h; else it is a NON, not more
 * often than OBSERVE_NON_MS and the round trip time, and OBSERVE_NON_BLIND_MS while that is not known. While a CON is
 * not acknowledged nothing else is sent for the registration, but its repetitions carry the newest state (4.5.2).
 *
 * An observer goes by RST, by deregistration, by an answer that is not a success, with its peer, and, with all others
 * of the peer, when a CON is never acknowledged. Full (per peer, per worker): the request is answered as if it had not
 * asked to observe.
 */
#pragma once

#include "gateway/exchange.h"

/* A request longer than this is answered, but not observed. */
#define OBSERVE_REQUEST_MAX 512
#define OBSERVE_NON_MS 1000
#define OBSERVE_NON_BLIND_MS 3000
#define OBSERVE_CON_EVERY 16
#define OBSERVE_CON_MS ((uint64_t)24 * 3600 * 1000)

struct observe_table;
struct observer;

/* A notification being made; embedded in the wire's state of its request. */
struct observe_run {
    struct observer *observer; /* NULL: nobody wants it any more */
};

struct observe_environment {
    struct timers *timers;
    const struct settings *settings;
    struct metrics *metrics;
    struct exchange_table *exchanges;
    /*
     * Answer the request again: calls observe_begin, and in the same turn or later observe_notify. False: cannot now,
     * it is tried again later.
     */
    bool (*answer)(void *ctx, struct observer *observer, struct peer *peer, struct bytes request);
    void *ctx;
};

/* NULL: out of memory. */
struct observe_table *observe_table_new(const struct observe_environment *environment);
/* All peers must have gone. */
void observe_table_free(struct observe_table *table);

struct observe_registration {
    struct peer *peer; /* known to the exchange table */
    struct message_token token;
    uint64_t subject;
    struct bytes request; /* the datagram; copied */
};

/* Adds or renews. False: over a limit or out of memory; answer without Observe. */
bool observe_register(struct observe_table *table, const struct observe_registration *registration);
void observe_cancel(struct observe_table *table, const struct peer *peer, const struct message_token *token);
/* The next value of the Observe option. */
uint32_t observe_sequence(struct observe_table *table);

/* Whatever the subject stands for has changed. */
void observe_changed(struct observe_table *table, uint64_t subject);
/* The peer can take a CON again (exchange_environment.idle). */
void observe_idle(struct observe_table *table, const struct peer *peer);
/* An RST that no CON was waiting for: one of the last notifications may be meant. */
void observe_reset(struct observe_table *table, const struct peer *peer, uint16_t id);
/* Before exchange_peer_gone. */
void observe_peer_gone(struct observe_table *table, struct peer *peer);
size_t observe_count(const struct observe_table *table);

void observe_begin(struct observer *observer, struct observe_run *run);
/* The answer to a run whose observer is still there; last: an error, after which there is no observer. */
void observe_notify(struct observe_run *run, uint8_t code, struct message_writer *writer, bool last);
