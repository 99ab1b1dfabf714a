// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The fleet: devices that post observations, one request of each under way at a time (NSTART 1, RFC 7252 4.7).
 *
 * Open loop: request k of the fleet is due at k / rate and belongs to device k modulo devices; latency counts from that
 * moment, whatever the gateway does, so that a slow gateway cannot hide its queue. Closed loop: `window` requests are
 * always under way, of the devices in turn; it finds the highest rate. A request is repeated as RFC 7252 4.2 says; if
 * it gets no answer, or a RST, the same observation begins a new exchange under the same sequence number, as a device
 * does that keeps what it has measured until it knows it safe. It ends as acknowledged (2.xx), refused (any other code)
 * or failed (options.give_up_s are over).
 *
 * A device takes 56 bytes; its requests are made again from its sequence number when they are repeated.
 */
#pragma once

#include "cmd/sim_histogram.h"
#include "cmd/sim_ledger.h"
#include "cmd/sim_options.h"

#include <signal.h>

struct sim_fleet;

/* What has happened since the beginning. */
struct sim_counts {
    uint64_t sent; /* requests, each once */
    uint64_t acknowledged, refused, failed, retransmitted;
    uint64_t retried;              /* exchanges begun for an observation that had one already */
    uint64_t levels[LEVEL_COUNT]; /* of the acknowledged, where the answer said one */
    uint64_t duplicates;           /* the same */
    uint64_t in_flight;
    uint64_t handshakes, handshakes_failed; /* DTLS */
    uint64_t codes[256];                    /* answers by response code */
};

/* Borrows all. ledger may be NULL. NULL: reterr says why. */
struct sim_fleet *sim_fleet_new(const struct sim_options *options, const char *run_name, struct sim_ledger *ledger,
                                char reterr[static SIM_ERROR_MAX]);
void sim_fleet_free(struct sim_fleet *fleet);

/* With DTLS: all handshakes, before any request. Returns when each has succeeded or failed, or *stop is set. */
typedef void sim_progress_fn(void *ctx, const struct sim_fleet *fleet, double seconds);
void sim_fleet_connect(struct sim_fleet *fleet, sim_progress_fn *progress, void *ctx,
                       const volatile sig_atomic_t *stop);
/* Sends for the given time and waits for what is under way. progress is called every progress_ms. */
void sim_fleet_run(struct sim_fleet *fleet, sim_progress_fn *progress, void *ctx, const volatile sig_atomic_t *stop);

const struct sim_counts *sim_fleet_counts(const struct sim_fleet *fleet);
/* From due (or sent, in the closed loop) to the answer, of all that was answered 2.xx. */
const struct sim_histogram *sim_fleet_latency(const struct sim_fleet *fleet);
const struct sim_histogram *sim_fleet_handshake_latency(const struct sim_fleet *fleet);
/* From the first request to the last answer, at most up to now. */
double sim_fleet_seconds(const struct sim_fleet *fleet);
