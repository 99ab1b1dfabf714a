// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Reads other workers' counters without asking them: they are relaxed atomics, a sum of slightly different moments is
 * good enough for people and dashboards.
 */
#include "gateway/health.h"

#include "gateway/worker.h"

static size_t all_metrics(const struct shared *shared, const struct metrics *ret[static WORKERS_MAX])
{
    size_t count = 0;
    for (unsigned i = 0; i < shared->worker_count; i++)
        if (shared->workers[i])
            ret[count++] = &shared->workers[i]->metrics;
    return count;
}

static void answer_text(struct request *request, struct bytes text)
{
    struct response response = response_of(OUTCOME_CONTENT);
    response.content_format = request->accept;
    response.body = text;
    request_finish(request, &response);
}

void health_handle_health(struct request *request)
{
    answer_text(request, BYTES_LITERAL("ok\n"));
}

static const char *why_not_ready(const struct shared *shared)
{
    if (!shared->registry_loaded)
        return "The registry has not been read from Redis yet.";
    for (unsigned i = 0; i < shared->worker_count; i++) {
        const struct metrics *one = shared->workers[i] ? &shared->workers[i]->metrics : NULL;
        if (!one || metrics_sum(&one, 1, METRIC_STORE_CONNECTED) == 0)
            return "A worker has no connection to Redis.";
    }
    return shared->registry_fresh ? NULL : "Registry changes are not being followed: Redis is away.";
}

void health_handle_ready(struct request *request)
{
    const char *reason = why_not_ready(request->worker->shared);
    if (reason)
        request_refuse(request, OUTCOME_STORE_AWAY, reason);
    else
        answer_text(request, BYTES_LITERAL("ready\n"));
}

void health_handle_metrics(struct request *request)
{
    const struct metrics *blocks[WORKERS_MAX];
    size_t count = all_metrics(request->worker->shared, blocks);
    struct bytes text;
    if (metrics_text(blocks, count, request->arena, &text))
        answer_text(request, text);
    else
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
}
