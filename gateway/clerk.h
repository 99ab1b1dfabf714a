// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Changes of the registry for those who run in a loop: one thread with a blocking connection to Redis
 * (gateway/accounts) does the jobs of all workers, one after the other, and hands each back to the worker it
 * came from, where its request is finished. For administration, which is rare; nothing of the data path waits
 * for it.
 *
 * A job lives in its owner (a request's arena, or the heap) and belongs to the clerk from clerk_give until
 * its done is called, exactly once, whatever happens. The thread must not take memory from an arena of the
 * worker; what it has to say goes into room that the owner made before.
 *
 * When Redis is away, all that waits is handed back with ACCOUNTS_AWAY, within the time-out of a connect; the
 * same for what has waited CLERK_WAIT_MS. A connection that has become useless is made anew for the next job.
 */
#pragma once

#include "codec/outcome.h"
#include "gateway/accounts.h"

#include <stdatomic.h>

#define CLERK_JOBS_MAX 256 /* that wait */
#define CLERK_WAIT_MS 10000
#define CLERK_ERROR_MAX STORE_CLIENT_ERROR_MAX

struct clerk;

struct clerk_job {
    /* In the clerk's thread: does it. What it returns, done finds in result. */
    enum accounts_result (*run)(struct clerk_job *job, struct accounts *accounts);
    /* In the worker's thread, or in the one that ends the worker. */
    void (*done)(struct clerk_job *job);
    struct audit_actor actor; /* who wants it (audit_actor_of); all zero: the gateway itself */
    enum accounts_result result;
    char error[CLERK_ERROR_MAX]; /* with ACCOUNTS_REFUSED: what Redis said */
    /* The clerk's. */
    struct clerk_job *next;
    unsigned worker;
    uint64_t given_ms;
};

struct clerk_config {
    const struct store_target *target; /* copied */
    const struct record_vault *vault;  /* of accounts; outlives the clerk */
    uint64_t timeout_ms;               /* of a connect and of a command */
    uint64_t audit_max;                /* of accounts */
    unsigned workers;
    void (*wake)(void *ctx, unsigned worker); /* any thread: the worker shall call clerk_collect soon */
    void *ctx;
};

/* NULL: out of memory, or no thread. Connects for the first job. */
struct clerk *clerk_new(const struct clerk_config *config);
/* Ends the thread after the job under way; what waits is handed back. clerk_collect goes on working. */
void clerk_stop(struct clerk *clerk);
/* After clerk_stop and the last clerk_collect; NULL is fine. */
void clerk_free(struct clerk *clerk);

/* False: too many wait, or the clerk is stopping; done is not called. */
bool clerk_give(struct clerk *clerk, unsigned worker, struct clerk_job *job);
/* Calls done of this worker's finished jobs. One load if there are none. */
void clerk_collect(struct clerk *clerk, unsigned worker);

/* What a request is answered when a job on its thing ended so: ACCOUNTS_DONE is OUTCOME_CHANGED. */
enum outcome clerk_outcome(enum accounts_result result);
