// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The process: the private Redis if there is no other, the registry and its follower, the workers, signals.
 *
 * The main thread runs a loop of its own for what is not on the data path: it is the registry's only writer.
 */
#pragma once

#include "gateway/worker.h"

struct server;

/* Before the workers start and after Redis answers: demo records, the address for the CLI. False ends the start. */
typedef bool server_prepare_fn(void *ctx, const struct store_target *redis, const struct record_vault *vault,
                               const char *state_dir);

struct server_config {
    const struct settings *settings;
    void (*register_http)(struct shared *shared); /* NULL: no HTTP */
    server_prepare_fn *prepare;                   /* NULL: nothing */
    void (*ready)(void *ctx);                     /* all workers listen */
    void *ctx;
};

/* Runs until SIGINT or SIGTERM. The exit status of the process: 0 clean, 1 could not start (the log says why),
 * 3 the end took longer than 9 s and was given up. */
int server_run(const struct server_config *config);
