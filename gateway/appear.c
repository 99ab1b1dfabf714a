// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The limits are shared by all workers and guarded by one lock, which is taken only for devices without a
 * record. A record that somebody else makes in between stays as it is.
 */
#include "gateway/appear.h"

#include "gateway/limiter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define ALL 0 /* key of the one rate */

struct appear {
    const struct registry *registry;
    struct clerk *clerk;
    struct hash_key key;
    _Atomic unsigned jobs;
    pthread_mutex_t lock; /* of the limits */
    struct limiter devices, all;
};

struct job {
    struct clerk_job clerk; /* first */
    struct appear *owner;
    struct metrics *metrics; /* of the worker to which it comes back */
    struct device_record record;
};

struct appear *appear_new(const struct registry *registry, struct clerk *clerk, const struct hash_key *key)
{
    struct appear *appear = calloc(1, sizeof *appear);
    if (!appear)
        return NULL;
    appear->registry = registry;
    appear->clerk = clerk;
    appear->key = *key;
    pthread_mutex_init(&appear->lock, NULL);
    limiter_init(&appear->devices, 1, (uint64_t)APPEAR_AGAIN_S * 1000);
    limiter_init(&appear->all, APPEAR_PER_S, 1000);
    return appear;
}

void appear_free(struct appear *appear)
{
    if (!appear)
        return;
    pthread_mutex_destroy(&appear->lock);
    free(appear);
}

static enum accounts_result run(struct clerk_job *clerk_job, struct accounts *accounts)
{
    const struct job *job = (const struct job *)clerk_job;
    enum accounts_result result = accounts_add_device(accounts, &job->record, false);
    return result == ACCOUNTS_EXISTS ? ACCOUNTS_DONE : result;
}

static void done(struct clerk_job *clerk_job)
{
    struct job *job = (struct job *)clerk_job;
    metrics_add(job->metrics, job->clerk.result == ACCOUNTS_DONE ? METRIC_APPEARED : METRIC_APPEAR_FAILED, 1);
    atomic_fetch_sub(&job->owner->jobs, 1);
    free(job);
}

static bool take_turn(struct appear *appear, uint64_t device, uint64_t now_ms)
{
    pthread_mutex_lock(&appear->lock);
    bool may = limiter_allows(&appear->devices, device, now_ms) && limiter_allows(&appear->all, ALL, now_ms);
    if (may) {
        limiter_take(&appear->devices, device, now_ms);
        limiter_take(&appear->all, ALL, now_ms);
    }
    pthread_mutex_unlock(&appear->lock);
    return may;
}

static void fill(const struct group_record *group, const struct identity *who, int64_t wall_s,
                 struct device_record *ret)
{
    *ret = (struct device_record){.created_s = wall_s};
    memcpy(ret->tenant, who->tenant, sizeof ret->tenant);
    memcpy(ret->id, who->device, sizeof ret->id);
    memcpy(ret->group, group->id, sizeof ret->group);
    memcpy(ret->site, group->site, sizeof ret->site);
    memcpy(ret->tags, group->tags, sizeof ret->tags);
    memcpy(ret->profile, group->profile, sizeof ret->profile);
}

static bool give(struct appear *appear, const struct group_record *group, const struct identity *who,
                 const struct appear_place *place)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return false;
    *job = (struct job){.clerk = {.run = run, .done = done}, .owner = appear, .metrics = place->metrics};
    fill(group, who, place->wall_s, &job->record);
    if (clerk_give(appear->clerk, place->worker, &job->clerk))
        return true;
    free(job);
    return false;
}

void appear_seen(struct appear *appear, const struct identity *who, const struct appear_place *place)
{
    if (!appear || who->kind != IDENTITY_DEVICE)
        return;
    struct bytes tenant = bytes_of_text(who->tenant), device = bytes_of_text(who->device);
    if (registry_device(appear->registry, tenant, device))
        return;
    const struct group_record *group = registry_group_of(appear->registry, tenant, device);
    if (!group || !take_turn(appear, hash_pair(&appear->key, tenant, device), place->now_ms))
        return;
    if (atomic_fetch_add(&appear->jobs, 1) < APPEAR_JOBS_MAX && give(appear, group, who, place))
        return;
    atomic_fetch_sub(&appear->jobs, 1);
    metrics_add(place->metrics, METRIC_APPEAR_FAILED, 1);
}
