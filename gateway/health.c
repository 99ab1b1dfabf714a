// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Reads other threads' counters without asking them: they are relaxed atomics, a sum of slightly different moments is
 * good enough for people and dashboards.
 */
#include "gateway/health.h"

#include "codec/builder.h"
#include "gateway/shed.h"
#include "gateway/worker.h"

#define BLOCKS_MAX (WORKERS_MAX + 1 + PIPELINE_METRICS) /* the workers, the main thread, the spool and the push */

static size_t all_metrics(const struct shared *shared, const struct metrics *ret[static BLOCKS_MAX])
{
    size_t count = 0;
    ret[count++] = &shared->metrics;
    for (unsigned i = 0; i < shared->worker_count; i++)
        if (shared->workers[i])
            ret[count++] = &shared->workers[i]->metrics;
    if (shared->pipeline) {
        pipeline_metrics(shared->pipeline, ret + count);
        count += PIPELINE_METRICS;
    }
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

static const char *why_spool_refuses(const struct spool *spool, uint64_t now_ms)
{
    if (shed_refuses(spool_fill(spool), SHED_TELEMETRY))
        return "The spool is full: Redis was away for too long.";
    return spool_is_full(spool, now_ms) ? "The spool has no room: its disk or spool_max_bytes is full." : NULL;
}

static const char *why_not_ready(const struct shared *shared, uint64_t now_ms)
{
    if (!shared->registry_loaded)
        return "The registry has not been read from Redis yet.";
    if (shared->redis_facts.noeviction == REDIS_NO)
        return "Redis may delete what is stored: its maxmemory-policy is not noeviction.";
    if (shared->pipeline && push_needs_operator(pipeline_push(shared->pipeline)))
        return push_why_not(pipeline_push(shared->pipeline));
    if (shared->pipeline)
        return why_spool_refuses(pipeline_spool(shared->pipeline), now_ms);
    for (unsigned i = 0; i < shared->worker_count; i++) {
        const struct metrics *one = shared->workers[i] ? &shared->workers[i]->metrics : NULL;
        if (!one || metrics_sum(&one, 1, METRIC_STORE_CONNECTED) == 0)
            return "A worker has no connection to Redis.";
    }
    return shared->registry_fresh ? NULL : "Registry changes are not being followed: Redis is away.";
}

/* Observations are still taken, but something is not as it should be. */
static const char *why_degraded(const struct shared *shared)
{
    const char *reason = shared->pipeline ? push_why_not(pipeline_push(shared->pipeline)) : NULL;
    return reason || shared->registry_fresh ? reason : "Registry changes are not being followed: Redis is away.";
}

void health_handle_ready(struct request *request)
{
    const char *reason = why_not_ready(request->worker->shared, loop_now_ms(request->worker->loop));
    if (reason) {
        request_refuse(request, OUTCOME_STORE_AWAY, reason);
        return;
    }
    reason = why_degraded(request->worker->shared);
    if (!reason) {
        answer_text(request, BYTES_LITERAL("ready\n"));
        return;
    }
    struct builder text;
    struct bytes whole;
    builder_init(&text, request->arena, 128);
    builder_put_text(&text, "degraded: ");
    builder_put_text(&text, reason);
    builder_put_text(&text, " Observations are spooled.\n");
    answer_text(request, builder_finish(&text, &whole) ? whole : BYTES_LITERAL("degraded\n"));
}


void health_handle_metrics(struct request *request)
{
    const struct metrics *blocks[BLOCKS_MAX];
    size_t count = all_metrics(request->worker->shared, blocks);
    struct bytes text;
    if (metrics_text(blocks, count, request->arena, &text))
        answer_text(request, text);
    else
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
}
