// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One queue in, one list out per worker; a job is linked into one of them, or is with the thread. Every job that was
 * taken comes out: done by the thread, or handed back by it or by clerk_stop.
 *
 * Before each job the connection is asked whether it is alive, because a job that fails halfway through may have
 * happened or not, and one that has not begun has not.
 */
#include "gateway/clerk.h"

#include "gateway/rt/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct list {
    struct clerk_job *first, *last;
    size_t count;
};

struct finished {
    pthread_mutex_t lock;
    struct list jobs;
    _Atomic bool any;
};

struct clerk {
    struct clerk_config config;
    struct store_target *target;
    struct finished *finished; /* of each worker */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list waiting; /* guarded by lock */
    bool stopping;       /* the same */
    struct accounts accounts; /* the thread's; client NULL: not connected */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void push(struct list *list, struct clerk_job *job)
{
    job->next = NULL;
    if (list->last)
        list->last->next = job;
    else
        list->first = job;
    list->last = job;
    list->count++;
}

static struct clerk_job *pop(struct list *list)
{
    struct clerk_job *job = list->first;
    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    return job;
}

static void hand_back(struct clerk *clerk, struct clerk_job *job)
{
    unsigned worker = job->worker;
    struct finished *finished = &clerk->finished[worker];
    pthread_mutex_lock(&finished->lock);
    push(&finished->jobs, job);
    atomic_store_explicit(&finished->any, true, memory_order_release);
    pthread_mutex_unlock(&finished->lock);
    /* From here on the job may be gone. */
    clerk->config.wake(clerk->config.ctx, worker);
}

static void hand_back_all(struct clerk *clerk)
{
    pthread_mutex_lock(&clerk->lock);
    struct list waiting = clerk->waiting;
    clerk->waiting = (struct list){0};
    pthread_mutex_unlock(&clerk->lock);
    for (struct clerk_job *job; (job = pop(&waiting)) != NULL;) {
        job->result = ACCOUNTS_AWAY;
        hand_back(clerk, job);
    }
}

/* The thread. */

static void disconnect(struct clerk *clerk)
{
    store_client_close(clerk->accounts.client);
    clerk->accounts.client = NULL;
}

static bool is_alive(struct clerk *clerk)
{
    struct bytes ping = BYTES_LITERAL("PING");
    const struct store_reply *reply =
        clerk->accounts.client ? store_client_call(clerk->accounts.client, &ping, 1) : NULL;
    return reply && reply->type != STORE_ERROR;
}

static bool connect_store(struct clerk *clerk)
{
    char error[STORE_CLIENT_ERROR_MAX];
    if (is_alive(clerk))
        return true;
    disconnect(clerk);
    clerk->accounts.client = store_client_open_target(clerk->target, clerk->config.timeout_ms, error);
    if (!clerk->accounts.client)
        LOG_RATED(now_ms(), LOG_WARN, "clerk", "administration does not reach Redis", "reason=\"%s\"", error);
    return is_alive(clerk);
}

/* What one server says and another one would not: the primary has moved, or is starting. */
static bool is_about_the_server(const char *error)
{
    static const char *const words[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(error, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void serve(struct clerk *clerk, struct clerk_job *job)
{
    job->result = ACCOUNTS_AWAY;
    if (now_ms() - job->given_ms > CLERK_WAIT_MS)
        return;
    if (!connect_store(clerk)) {
        hand_back_all(clerk);
        return;
    }
    clerk->accounts.actor = &job->actor;
    job->result = job->run(job, &clerk->accounts);
    clerk->accounts.actor = NULL;
    if (job->result == ACCOUNTS_REFUSED) {
        snprintf(job->error, sizeof job->error, "%s", clerk->accounts.error);
        if (is_about_the_server(job->error))
            job->result = ACCOUNTS_AWAY;
    }
    if (job->result == ACCOUNTS_AWAY)
        disconnect(clerk);
}

/* NULL: the end. */
static struct clerk_job *take(struct clerk *clerk)
{
    pthread_mutex_lock(&clerk->lock);
    while (!clerk->waiting.first && !clerk->stopping)
        pthread_cond_wait(&clerk->changed, &clerk->lock);
    struct clerk_job *job = clerk->stopping ? NULL : pop(&clerk->waiting);
    pthread_mutex_unlock(&clerk->lock);
    return job;
}

static void *work(void *ctx)
{
    struct clerk *clerk = ctx;
    for (struct clerk_job *job; (job = take(clerk)) != NULL;) {
        serve(clerk, job);
        hand_back(clerk, job);
    }
    disconnect(clerk);
    return NULL;
}

/* The others. */

struct clerk *clerk_new(const struct clerk_config *config)
{
    struct clerk *clerk = calloc(1, sizeof *clerk);
    if (!clerk)
        return NULL;
    clerk->config = *config;
    clerk->target = store_target_copy(config->target);
    clerk->config.target = clerk->target;
    clerk->accounts.vault = config->vault;
    clerk->accounts.audit_max = config->audit_max;
    pthread_mutex_init(&clerk->lock, NULL);
    pthread_cond_init(&clerk->changed, NULL);
    clerk->finished = calloc(config->workers, sizeof *clerk->finished);
    for (unsigned i = 0; clerk->finished && i < config->workers; i++)
        pthread_mutex_init(&clerk->finished[i].lock, NULL);
    clerk->started =
        clerk->target && clerk->finished && pthread_create(&clerk->thread, NULL, work, clerk) == 0;
    if (clerk->started)
        return clerk;
    clerk_free(clerk);
    return NULL;
}

void clerk_stop(struct clerk *clerk)
{
    if (!clerk || !clerk->started)
        return;
    pthread_mutex_lock(&clerk->lock);
    clerk->stopping = true;
    pthread_cond_signal(&clerk->changed);
    pthread_mutex_unlock(&clerk->lock);
    pthread_join(clerk->thread, NULL);
    clerk->started = false;
    hand_back_all(clerk);
}

void clerk_free(struct clerk *clerk)
{
    if (!clerk)
        return;
    clerk_stop(clerk);
    for (unsigned i = 0; clerk->finished && i < clerk->config.workers; i++)
        pthread_mutex_destroy(&clerk->finished[i].lock);
    free(clerk->finished);
    pthread_cond_destroy(&clerk->changed);
    pthread_mutex_destroy(&clerk->lock);
    free(clerk->target);
    free(clerk);
}

bool clerk_give(struct clerk *clerk, unsigned worker, struct clerk_job *job)
{
    job->worker = worker;
    job->given_ms = now_ms();
    job->error[0] = '\0';
    if (!clerk)
        return false;
    pthread_mutex_lock(&clerk->lock);
    bool taken = !clerk->stopping && clerk->waiting.count < CLERK_JOBS_MAX;
    if (taken) {
        push(&clerk->waiting, job);
        pthread_cond_signal(&clerk->changed);
    }
    pthread_mutex_unlock(&clerk->lock);
    return taken;
}

void clerk_collect(struct clerk *clerk, unsigned worker)
{
    if (!clerk || !atomic_load_explicit(&clerk->finished[worker].any, memory_order_acquire))
        return;
    struct finished *finished = &clerk->finished[worker];
    pthread_mutex_lock(&finished->lock);
    struct list jobs = finished->jobs;
    finished->jobs = (struct list){0};
    atomic_store_explicit(&finished->any, false, memory_order_relaxed);
    pthread_mutex_unlock(&finished->lock);
    for (struct clerk_job *job; (job = pop(&jobs)) != NULL;)
        job->done(job);
}

enum outcome clerk_outcome(enum accounts_result result)
{
    switch (result) {
    case ACCOUNTS_DONE:
        return OUTCOME_CHANGED;
    case ACCOUNTS_EXISTS:
    case ACCOUNTS_SAME_SECRET:
        return OUTCOME_PRECONDITION;
    case ACCOUNTS_NOT_FOUND:
    case ACCOUNTS_NO_TENANT:
    case ACCOUNTS_NO_DEVICE:
        return OUTCOME_NOT_FOUND;
    case ACCOUNTS_FULL:
    case ACCOUNTS_LEFTOVER:
        return OUTCOME_CONFLICT;
    case ACCOUNTS_DAMAGED:
    case ACCOUNTS_NOT_SEALED:
        return OUTCOME_INTERNAL;
    case ACCOUNTS_BUSY:
    case ACCOUNTS_STALE:
        return OUTCOME_OVERLOADED;
    case ACCOUNTS_REFUSED:
        return OUTCOME_STORE_REFUSED;
    case ACCOUNTS_AWAY:
        break;
    }
    return OUTCOME_STORE_AWAY;
}
