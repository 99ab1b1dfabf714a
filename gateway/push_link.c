// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The push's ways to Redis: connecting, seeing to it that the Function library is there, comparing marks; and what
 * is told to the operator when that fails.
 */
#include "gateway/push_private.h"

#include "gateway/rt/log.h"

const char push_refuses[] = "Redis refuses to append; see the log.";
const char push_lacks_library[] = "Redis lacks the Function library weir; see the log.";
const char push_is_away[] = "Redis cannot be reached.";

struct push_link *push_link_of(struct push *push, const struct track *track)
{
    return &push->links[track->lane % push->link_count];
}

struct bytes push_key_of(const struct track *track, char ret[static SCHEMA_KEY_MAX])
{
    return bytes_of(ret, schema_key(ret, bytes_of_text(track->tenant), SCHEMA_SUFFIX_HWM));
}

bool push_can_reach(struct push *push, const struct track *track)
{
    char key[SCHEMA_KEY_MAX];
    const struct push_link *link = push_link_of(push, track);
    return link->ready && redis_is_connected(link->redis, push_key_of(track, key));
}

bool push_any_ready(const struct push *push)
{
    for (unsigned i = 0; i < push->link_count; i++)
        if (push->links[i].ready)
            return true;
    return false;
}

static void library_told(void *ctx, const char *reason);

void push_look_for_library(struct push_link *link, struct store *store)
{
    if (function_ensure(store, library_told, link))
        link->checks++;
    else
        link->retry_ms = loop_now_ms(link->push->loop) + PUSH_BACKOFF_MAX_MS;
}

/* Links. */

static bool rewind_of_link(void *ctx, struct track *track)
{
    struct push_link *link = ctx;
    if (push_link_of(link->push, track) == link)
        push_rewind(link->push, track);
    return true;
}

static void lose_link(struct push_link *link)
{
    link->serial++;
    link->ready = false;
    link->marks_awaited = 0;
    link->marks_again = false;
    link->retry_ms = 0;
    tracks_each(&link->push->tracks, rewind_of_link, link);
}

static void library_told(void *ctx, const char *reason)
{
    struct push_link *link = ctx;
    struct push *push = link->push;
    struct store *any;
    link->checks--;
    if (!reason) {
        if (!link->checks)
            push_compare_marks(link);
        return;
    }
    if (redis_stores(link->redis, &any, 1) == 0)
        return;
    char quoted[LOG_QUOTED_MAX];
    LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push",
              "Redis has no library weir of this version and it cannot be loaded; nothing is pushed", "reason=%s",
              log_quote(quoted, bytes_of_text(reason)));
    push->why_not = push_lacks_library;
    if (!redis_is_cluster(link->redis))
        lose_link(link);
    link->retry_ms = loop_now_ms(push->loop) + PUSH_BACKOFF_MAX_MS;
}

void push_link_ready(struct push_link *link)
{
    struct push *push = link->push;
    if (link->ready)
        return; /* the marks were compared once more */
    link->ready = true;
    if (push->why_not != push_refuses && push->why_not) {
        uint64_t cursor = push_cursor(push), durable = spool_log_durable_lsn(push->log);
        log_write(LOG_INFO, "push", "Redis takes what is pushed", "waiting=%llu",
                  (unsigned long long)(durable > cursor ? durable - cursor : 0));
        push->why_not = NULL;
    }
}


static void node_connected(void *ctx, struct store *store)
{
    struct push_link *link = ctx;
    metrics_add(&link->push->metrics, METRIC_STORE_CONNECTS, 1);
    push_look_for_library(link, store);
}

/* Of a cluster false means that some slot is away: the others go on, push_can_reach looks at each. */
static void connection_changed(void *ctx, bool connected)
{
    struct push_link *link = ctx;
    struct push *push = link->push;
    metrics_add(&push->metrics, METRIC_STORE_CONNECTED, connected ? 1 : -1);
    if (connected)
        return;
    struct store *any;
    if (redis_stores(link->redis, &any, 1) > 0)
        return;
    lose_link(link);
    if (push_any_ready(push) || push->why_not == push_is_away)
        return;
    log_write(LOG_WARN, "push", "Redis cannot be reached; what is acknowledged waits in the spool", "address=%s",
              push->config.redis->address);
    push->why_not = push_is_away;
}

bool push_open_links(struct push *push)
{
    for (unsigned i = 0; i < push->settings->redis_connections && i < PUSH_LINKS_MAX; i++) {
        struct push_link *link = &push->links[i];
        link->push = push;
        struct redis_config config = {
            .target = push->config.redis,
            .timeout_ms = push->settings->redis_timeout_ms,
            .state = connection_changed,
            .node = node_connected,
            .ctx = link,
        };
        for (unsigned k = 0; k < 4; k++)
            config.random_seed[k] = random_next(&push->random);
        push->link_count = i + 1;
        link->redis = redis_new(push->loop, &config);
        if (!link->redis) {
            push->link_count = i;
            return false;
        }
    }
    return push->link_count > 0;
}

void push_look_again(struct push_link *link)
{
    struct store *stores[PUSH_LINKS_MAX];
    size_t count = redis_stores(link->redis, stores, PUSH_LINKS_MAX);
    link->retry_ms = 0;
    for (size_t i = 0; i < count && !link->checks; i++)
        push_look_for_library(link, stores[i]);
}
