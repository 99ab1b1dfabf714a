// SPDX-License-Identifier: GPL-3.0-or-later
/* Options of `weir sim`: one table of name, type, range, default and help that parses and explains them. */
#pragma once

#include "gateway/delivery.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_ERROR_MAX 256
#define SIM_DEVICES_MAX 1000000

/* Where requests carry epoch and seq. */
enum sim_sequence { SIM_SEQUENCE_NONE, SIM_SEQUENCE_OPTION, SIM_SEQUENCE_QUERY, SIM_SEQUENCE_SENML };

struct sim_options {
    /* What to do: send (neither is set), or one of these. */
    bool provision;
    const char *check;

    const char *target;
    uint64_t port; /* 0: 5683, with DTLS 5684 */
    bool allow_remote;
    bool dtls;
    const char *suites;
    uint64_t handshakes;
    bool no_close;
    const char *tenant;
    const char *key_from;
    const char *redis;
    const char *ledger;

    uint64_t devices;
    double rate; /* 0: closed loop */
    uint64_t window;
    double seconds;
    double drain_s;
    const char *format;
    bool non;
    uint64_t ack_timeout_ms;
    const char *seq; /* as it was given */
    enum sim_sequence sequence;
    uint64_t epoch; /* 0: random */
    double give_up_s;
    const char *level; /* as it was given; empty: nothing is asked for */
    uint64_t seed;
    bool progress;
    uint64_t progress_ms;
};

/* Parses argv[1] on. False: reterr says what is wrong. */
bool sim_options_parse(struct sim_options *ret, int argc, char **argv, char reterr[static SIM_ERROR_MAX]);
void sim_options_help(FILE *out);
