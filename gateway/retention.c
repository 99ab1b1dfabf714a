// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A round is one chain of commands, one under way at a time, over a copy of the records:
 *
 *   for each stream: TIME -> XINFO STREAM -> XINFO GROUPS -> XPENDING of each group that is asked -> floor
 *        -> by age:    XTRIM MINID
 *        -> by length: XTRIM MAXLEN if nobody is asked, else XRANGE of the oldest and XTRIM MINID behind them
 *
 * The floor is the lowest id that a group still needs; nothing at or above it goes. It only rises (a group that is set
 * back by hand asks for what may be gone already), so what was below it when it was read may go at any later time.
 * MAXLEN cannot respect a floor: entries come in between the question and the trim, from other gateways too.
 *
 * No command takes long: what is trimmed by whole nodes (~) is bounded by LIMIT, the exact rest (=) is below one node
 * or PAGE. Ages are told by the clock of the stream's own node, which made the ids. A lost connection ends the round;
 * the next one begins from what is there, and passes over streams whose node is away.
 */
#include "gateway/retention.h"

#include "gateway/forecast.h"
#include "gateway/redis.h"
#include "gateway/rt/log.h"
#include "gateway/streaminfo.h"

#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 5000
#define LIMIT 10000 /* entries that one approximate trim may remove */
#define LIMIT_TEXT "10000"
#define PAGE 1000 /* entries that are looked at, or removed exactly, at once; fewer where they are large */
#define STEPS_MAX 200 /* trims of one stream in a round, so that no stream keeps the others waiting */
#define HURRY_MS 1000 /* until the next round if a stream used all its steps */
#define GROUPS_MAX 64
#define NODES_MAX 64
#define BLOCKED_LOG_MS 60000
#define FULL_SOON_S 86400
#define FULL_LOG_MS 3600000

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

/* A group that must have read. */
struct needed {
    char name[RECORD_GROUPS_MAX + 1];
    struct streaminfo_id floor; /* the lowest id it needs */
    bool has_pending;
    int64_t lag;
};

struct retention {
    struct loop *loop;
    struct retention_config config;
    struct redis *redis;
    struct timer timer;
    struct forecast forecast;
    struct memory {
        size_t asked;       /* nodes that have not answered yet */
        uint64_t used, max; /* of the fullest that has */
    } memory;
    uint64_t blocked_logged_ms, full_logged_ms; /* when it was last said; 0: never */

    /* The round under way. */
    bool under_way, hurry;
    struct stream_record *streams;
    size_t count, at;
    size_t blocked;
    uint64_t redis_now_ms;

    /* The stream under way. */
    char key[SCHEMA_KEY_MAX];
    struct streaminfo info;
    struct needed groups[GROUPS_MAX];
    size_t group_count, group;
    const struct needed *slowest; /* whose floor is the lowest; NULL: nobody is asked */
    bool is_blocked;
    unsigned steps;
    size_t page;     /* entries asked for */
    size_t page_max; /* halved when an answer fails, which may be because it is too large (STORE_REPLY_MAX_BYTES) */
};

static void next_stream(struct retention *retention);
static void next_pending(struct retention *retention);
static void trim_by_age(struct retention *retention);
static void trim_by_length(struct retention *retention);

/* The round. */

static const struct stream_record *stream(const struct retention *retention)
{
    return &retention->streams[retention->at];
}

static void schedule(struct retention *retention)
{
    uint64_t after_ms = retention->config.period_ms;
    if (retention->hurry && after_ms > HURRY_MS)
        after_ms = HURRY_MS;
    timers_set(loop_timers(retention->loop), &retention->timer, loop_now_ms(retention->loop) + after_ms);
}

static void end_round(struct retention *retention)
{
    free(retention->streams);
    retention->streams = NULL;
    retention->count = retention->at = 0;
    retention->under_way = false;
    schedule(retention);
}

/* Sends the next command of the chain. Without a connection the round is over. */
static void ask(struct retention *retention, const struct bytes *arguments, size_t count, store_answer_fn *got)
{
    if (redis_send(retention->redis, bytes_of_text(retention->key), arguments, count, got, retention))
        redis_flush(retention->redis);
    else
        end_round(retention);
}

/* Whether the chain can go on with this reply. A refusal is of this stream only: the next may be fine. */
static bool is_usable(struct retention *retention, const struct store_reply *reply, const char *command)
{
    if (!reply) {
        end_round(retention);
        return false;
    }
    if (reply->type != STORE_ERROR)
        return true;
    if (!bytes_starts_with(reply->text, WORD("ERR no such key"))) {
        char quoted[LOG_QUOTED_MAX];
        LOG_RATED(loop_now_ms(retention->loop), LOG_WARN, "retention", "Redis refused; this stream is not trimmed",
                  "stream=\"%s\" command=%s reply=%s", retention->key, command, log_quote(quoted, reply->text));
    }
    retention->at++;
    next_stream(retention);
    return false;
}

/* Nobody is to learn of it from what is missing: told as long as it lasts, before anything is lost. */
static void say_blocked(struct retention *retention)
{
    uint64_t now = loop_now_ms(retention->loop);
    if (retention->is_blocked)
        return;
    retention->is_blocked = true;
    retention->blocked++;
    if (retention->blocked_logged_ms && now - retention->blocked_logged_ms < BLOCKED_LOG_MS)
        return;
    char quoted[LOG_QUOTED_MAX];
    const struct needed *group = retention->slowest;
    LOG_RATED(now, LOG_WARN, "retention", "trimming waits for a consumer group",
              "stream=\"%s\" group=%s lag=%lld length=%llu", retention->key,
              log_quote(quoted, bytes_of_text(group->name)), (long long)group->lag,
              (unsigned long long)retention->info.length);
}

static void next_done(struct retention *retention)
{
    retention->hurry |= retention->steps >= STEPS_MAX;
    retention->at++;
    next_stream(retention);
}

static void round_done(struct retention *retention)
{
    uint64_t now = loop_now_ms(retention->loop);
    metrics_set(retention->config.metrics, METRIC_STREAM_TRIM_BLOCKED, (int64_t)retention->blocked);
    if (retention->blocked == 0)
        retention->blocked_logged_ms = 0;
    else if (!retention->blocked_logged_ms || now - retention->blocked_logged_ms >= BLOCKED_LOG_MS)
        retention->blocked_logged_ms = now;
    end_round(retention);
}

/* The digits that the text begins with; 0 if there are none. */
static uint64_t text_number(struct bytes text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len && i < 19 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        number = 10 * number + (uint64_t)(text.ptr[i] - '0');
    return number;
}

/* How far the stream may be trimmed: what its groups need. */

static void choose_floor(struct retention *retention)
{
    retention->slowest = NULL;
    for (size_t i = 0; i < retention->group_count; i++) {
        const struct needed *group = &retention->groups[i];
        if (!retention->slowest || streaminfo_compare(group->floor, retention->slowest->floor) < 0)
            retention->slowest = group;
    }
}

static void got_pending(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    struct streaminfo_id lowest;
    if (!is_usable(retention, reply, "XPENDING"))
        return;
    struct needed *group = &retention->groups[retention->group++];
    if (streaminfo_parse_pending(reply, &lowest) && streaminfo_compare(lowest, group->floor) < 0)
        group->floor = lowest;
    next_pending(retention);
}

static void next_pending(struct retention *retention)
{
    while (retention->group < retention->group_count && !retention->groups[retention->group].has_pending)
        retention->group++;
    if (retention->group == retention->group_count) {
        choose_floor(retention);
        trim_by_age(retention);
        return;
    }
    struct bytes arguments[] = {WORD("XPENDING"), bytes_of_text(retention->key),
                                bytes_of_text(retention->groups[retention->group].name)};
    ask(retention, arguments, COUNT_OF(arguments), got_pending);
}

static struct bytes next_word(struct bytes *rest)
{
    const uint8_t *comma = rest->len ? memchr(rest->ptr, ',', rest->len) : NULL;
    struct bytes word = bytes_of(rest->ptr, comma ? (size_t)(comma - rest->ptr) : rest->len);
    size_t taken = word.len + (comma != NULL);
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    return word;
}

static struct needed *find_group(struct retention *retention, struct bytes name)
{
    for (size_t i = 0; i < retention->group_count; i++)
        if (bytes_equal_text(name, retention->groups[i].name))
            return &retention->groups[i];
    return NULL;
}

/* False: more than we can keep track of. */
static bool add_group(struct retention *retention, struct bytes name)
{
    if (retention->group_count == GROUPS_MAX || name.len > RECORD_GROUPS_MAX)
        return false;
    struct needed *group = &retention->groups[retention->group_count++];
    *group = (struct needed){.lag = -1};
    memcpy(group->name, name.ptr, name.len);
    return true;
}

/* Those that the record names, with nothing read yet: one that does not exist holds everything up. */
static bool add_named(struct retention *retention)
{
    struct bytes rest = bytes_of_text(stream(retention)->groups);
    while (rest.len > 0)
        if (!add_group(retention, next_word(&rest)))
            return false;
    return true;
}

static bool take_group(struct retention *retention, const struct store_reply *item, bool all)
{
    struct streaminfo_group info;
    if (!streaminfo_parse_group(item, &info) || (all && !add_group(retention, info.name)))
        return false;
    struct needed *group = find_group(retention, info.name);
    if (!group)
        return true;
    group->floor = streaminfo_next(info.delivered);
    group->has_pending = info.pending > 0;
    group->lag = info.lag;
    return true;
}

static void got_groups(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XINFO"))
        return;
    bool all = strcmp(stream(retention)->groups, RECORD_GROUPS_ALL) == 0;
    bool understood = reply->type == STORE_LIST && (all || add_named(retention));
    for (size_t i = 0; understood && i < reply->count; i++)
        understood = take_group(retention, &reply->items[i], all);
    if (understood) {
        next_pending(retention);
        return;
    }
    LOG_RATED(loop_now_ms(retention->loop), LOG_WARN, "retention",
              "more or other consumer groups than can be kept track of; this stream is not trimmed", "stream=\"%s\"",
              retention->key);
    next_done(retention);
}

static void got_info(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XINFO"))
        return;
    if (!streaminfo_parse(reply, &retention->info) || retention->info.length == 0) {
        next_done(retention);
    } else if (!stream(retention)->groups[0]) {
        trim_by_age(retention);
    } else {
        struct bytes arguments[] = {WORD("XINFO"), WORD("GROUPS"), bytes_of_text(retention->key)};
        ask(retention, arguments, COUNT_OF(arguments), got_groups);
    }
}

static void got_time(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "TIME"))
        return;
    uint64_t s = reply->type == STORE_LIST && reply->count == 2 ? text_number(reply->items[0].text) : 0;
    retention->redis_now_ms = s * 1000;
    struct bytes arguments[] = {WORD("XINFO"), WORD("STREAM"), bytes_of_text(retention->key)};
    ask(retention, arguments, COUNT_OF(arguments), got_info);
}

/* False: the node of the stream is away. */
static bool begin_stream(struct retention *retention)
{
    const struct stream_record *record = stream(retention);
    schema_key_of_stream(retention->key, bytes_of_text(record->tenant), bytes_of_text(record->name));
    retention->group_count = retention->group = 0;
    retention->slowest = NULL;
    retention->is_blocked = false;
    retention->steps = 0;
    return redis_is_connected(retention->redis, bytes_of_text(retention->key));
}

static void next_stream(struct retention *retention)
{
    struct bytes time = WORD("TIME");
    while (retention->at < retention->count && !begin_stream(retention))
        retention->at++;
    if (retention->at < retention->count)
        ask(retention, &time, 1, got_time);
    else
        round_done(retention);
}

/* Trimming. */

/* Returns how many entries went. */
static uint64_t take_trimmed(struct retention *retention, const struct store_reply *reply)
{
    uint64_t removed = reply->type == STORE_INTEGER && reply->integer > 0 ? (uint64_t)reply->integer : 0;
    metrics_add(retention->config.metrics, METRIC_STREAM_TRIMMED, (int64_t)removed);
    retention->info.length -= removed < retention->info.length ? removed : retention->info.length;
    return removed;
}

/* Whether an approximate trim ended at its LIMIT, which is before a node that is too much, so that there may
 * be more. */
static bool may_go_on(struct retention *retention, uint64_t removed)
{
    return removed >= LIMIT / 2 && ++retention->steps < STEPS_MAX;
}

static void trim(struct retention *retention, const char *strategy, bool exact, struct bytes threshold,
                 store_answer_fn *got)
{
    struct bytes arguments[] = {WORD("XTRIM"),  bytes_of_text(retention->key), bytes_of_text(strategy),
                                exact ? WORD("=") : WORD("~"), threshold, WORD("LIMIT"), WORD(LIMIT_TEXT)};
    ask(retention, arguments, exact ? COUNT_OF(arguments) - 2 : COUNT_OF(arguments), got);
}

/* The first id that is young enough. */
static struct streaminfo_id age_limit(const struct retention *retention)
{
    uint64_t age_ms = stream(retention)->max_age_s * 1000;
    return (struct streaminfo_id){retention->redis_now_ms > age_ms ? retention->redis_now_ms - age_ms : 0, 0};
}

static bool floor_is_below(const struct retention *retention, struct streaminfo_id limit)
{
    return retention->slowest && streaminfo_compare(retention->slowest->floor, limit) < 0;
}

static void trim_below_age(struct retention *retention, bool exact, store_answer_fn *got)
{
    char text[STREAMINFO_ID_MAX];
    struct streaminfo_id limit = age_limit(retention);
    if (floor_is_below(retention, limit))
        limit = retention->slowest->floor;
    trim(retention, "MINID", exact, streaminfo_id_text("", limit, text), got);
}

static void got_age_rest(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XTRIM"))
        return;
    take_trimmed(retention, reply);
    trim_by_length(retention);
}

static void got_age_nodes(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XTRIM"))
        return;
    if (may_go_on(retention, take_trimmed(retention, reply)))
        trim_below_age(retention, false, got_age_nodes);
    else if (retention->steps < STEPS_MAX)
        trim_below_age(retention, true, got_age_rest);
    else
        next_done(retention);
}

static void got_too_old(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XRANGE"))
        return;
    if (reply->type == STORE_LIST && reply->count > 0)
        say_blocked(retention);
    trim_below_age(retention, false, got_age_nodes);
}

static void trim_by_age(struct retention *retention)
{
    char from[STREAMINFO_ID_MAX], to[STREAMINFO_ID_MAX];
    struct streaminfo_id limit = age_limit(retention);
    if (stream(retention)->max_age_s == 0 || streaminfo_compare(retention->info.first, limit) >= 0) {
        trim_by_length(retention);
    } else if (floor_is_below(retention, limit)) {
        /* Is there anything that is too old and still needed? */
        struct bytes arguments[] = {WORD("XRANGE"), bytes_of_text(retention->key),
                                    streaminfo_id_text("", retention->slowest->floor, from),
                                    streaminfo_id_text("(", limit, to), WORD("COUNT"), WORD("1")};
        ask(retention, arguments, COUNT_OF(arguments), got_too_old);
    } else {
        trim_below_age(retention, false, got_age_nodes);
    }
}

static uint64_t surplus(const struct retention *retention)
{
    uint64_t max = stream(retention)->max_entries;
    return max > 0 && retention->info.length > max ? retention->info.length - max : 0;
}

static void got_length_rest(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XTRIM"))
        return;
    take_trimmed(retention, reply);
    next_done(retention);
}

static void got_length_nodes(void *ctx, const struct store_reply *reply);

static void trim_to_length(struct retention *retention, bool exact)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)stream(retention)->max_entries);
    trim(retention, "MAXLEN", exact, bytes_of(text, (size_t)len), exact ? got_length_rest : got_length_nodes);
}

static void got_length_nodes(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XTRIM"))
        return;
    bool more = may_go_on(retention, take_trimmed(retention, reply));
    if (more)
        trim_to_length(retention, false);
    else if (retention->steps < STEPS_MAX)
        trim_to_length(retention, true);
    else
        next_done(retention);
}

static void got_page_trimmed(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    if (!is_usable(retention, reply, "XTRIM"))
        return;
    take_trimmed(retention, reply);
    if (!retention->is_blocked && ++retention->steps < STEPS_MAX)
        trim_by_length(retention);
    else
        next_done(retention);
}

static void got_page(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    struct streaminfo_id last;
    char text[STREAMINFO_ID_MAX];
    if (!reply)
        retention->page_max = retention->page / 2 + 1;
    if (!is_usable(retention, reply, "XRANGE"))
        return;
    retention->page_max = 2 * retention->page_max < PAGE ? 2 * retention->page_max : PAGE;
    size_t count = reply->type == STORE_LIST ? reply->count : 0;
    if (count < retention->page)
        say_blocked(retention);
    const struct store_reply *entry = count ? &reply->items[count - 1] : NULL;
    if (entry && entry->type == STORE_LIST && entry->count > 0 && streaminfo_parse_id(entry->items[0].text, &last))
        trim(retention, "MINID", true, streaminfo_id_text("", streaminfo_next(last), text), got_page_trimmed);
    else
        next_done(retention);
}

/* The oldest of what is too much, as far as the groups have read. */
static void ask_page(struct retention *retention)
{
    char below[STREAMINFO_ID_MAX], count_text[24];
    struct streaminfo_id floor = retention->slowest->floor;
    if (floor.ms == 0 && floor.seq == 0) {
        say_blocked(retention);
        next_done(retention);
        return;
    }
    retention->page = surplus(retention) < retention->page_max ? (size_t)surplus(retention) : retention->page_max;
    snprintf(count_text, sizeof count_text, "%zu", retention->page);
    struct bytes arguments[] = {WORD("XRANGE"), bytes_of_text(retention->key), WORD("-"),
                                streaminfo_id_text("(", floor, below), WORD("COUNT"), bytes_of_text(count_text)};
    ask(retention, arguments, COUNT_OF(arguments), got_page);
}

static void trim_by_length(struct retention *retention)
{
    if (surplus(retention) == 0)
        next_done(retention);
    else if (retention->slowest)
        ask_page(retention);
    else
        trim_to_length(retention, surplus(retention) <= PAGE);
}

/* Memory. */

/* A number in the lines of INFO; 0 if it is not there. */
static uint64_t info_number(struct bytes text, const char *name)
{
    const uint8_t *at = text.len ? memmem(text.ptr, text.len, name, strlen(name)) : NULL;
    return at ? text_number(bytes_of(at + strlen(name), (size_t)(text.ptr + text.len - at) - strlen(name))) : 0;
}

static void say_full_soon(struct retention *retention, int64_t full_s, uint64_t used, uint64_t max)
{
    uint64_t now = loop_now_ms(retention->loop);
    if (full_s < 0 || full_s > FULL_SOON_S ||
        (retention->full_logged_ms && now - retention->full_logged_ms < FULL_LOG_MS))
        return;
    retention->full_logged_ms = now;
    log_write(LOG_WARN, "retention", "Redis will be full at this growth; see docs/operations.md",
              "seconds=%lld used_bytes=%llu max_bytes=%llu", (long long)full_s, (unsigned long long)used,
              (unsigned long long)max);
}

static void publish_memory(struct retention *retention)
{
    struct metrics *metrics = retention->config.metrics;
    uint64_t used = retention->memory.used, max = retention->memory.max;
    if (used == 0)
        return;
    forecast_add(&retention->forecast, (int64_t)(loop_now_ms(retention->loop) / 1000), used);
    int64_t full_s = forecast_full_s(&retention->forecast, max);
    metrics_set(metrics, METRIC_REDIS_MEMORY_USED, (int64_t)used);
    metrics_set(metrics, METRIC_REDIS_MEMORY_MAX, (int64_t)max);
    metrics_set(metrics, METRIC_REDIS_MEMORY_FULL_S, full_s);
    say_full_soon(retention, full_s, used, max);
}

static double fullness(uint64_t used, uint64_t max)
{
    return max ? (double)used / (double)max : 0;
}

static void got_memory(void *ctx, const struct store_reply *reply)
{
    struct retention *retention = ctx;
    struct memory *memory = &retention->memory;
    struct bytes text = reply && reply->type == STORE_TEXT ? reply->text : bytes_of(NULL, 0);
    uint64_t used = info_number(text, "\nused_memory:"), max = info_number(text, "\nmaxmemory:");
    if (max == 0)
        max = info_number(text, "\ntotal_system_memory:");
    if (memory->used == 0 || fullness(used, max) > fullness(memory->used, memory->max)) {
        memory->used = used;
        memory->max = max;
    }
    if (--memory->asked == 0)
        publish_memory(retention);
}

static void ask_memory(struct retention *retention)
{
    struct bytes arguments[] = {WORD("INFO"), WORD("memory")};
    struct store *nodes[NODES_MAX];
    size_t count = redis_stores(retention->redis, nodes, NODES_MAX);
    if (retention->memory.asked > 0)
        return;
    retention->memory = (struct memory){0};
    for (size_t i = 0; i < count; i++)
        retention->memory.asked += store_send(nodes[i], arguments, COUNT_OF(arguments), got_memory, retention);
    redis_flush(retention->redis);
}

/* Beginning. */

static bool copy_streams(struct retention *retention)
{
    const struct registry *registry = retention->config.registry;
    const struct stream_record *record;
    size_t room = registry_count(registry).streams;
    retention->streams = calloc(room + 1, sizeof *retention->streams);
    retention->count = retention->at = retention->blocked = 0;
    for (size_t cursor = 0; retention->streams && (record = registry_next_stream(registry, &cursor));)
        if ((record->max_age_s || record->max_entries) && retention->count < room)
            retention->streams[retention->count++] = *record;
    return retention->streams != NULL;
}

static void begin_round(struct retention *retention)
{
    if (retention->under_way)
        return;
    retention->under_way = true;
    retention->hurry = false;
    ask_memory(retention);
    if (copy_streams(retention))
        next_stream(retention);
    else
        end_round(retention);
}

static void timer_fired(struct timer *timer)
{
    begin_round((struct retention *)((char *)timer - offsetof(struct retention, timer)));
}

static void connection_changed(void *ctx, bool connected)
{
    if (connected)
        begin_round(ctx);
}

struct retention *retention_new(struct loop *loop, const struct retention_config *config)
{
    struct retention *retention = calloc(1, sizeof *retention);
    if (!retention)
        return NULL;
    retention->loop = loop;
    retention->config = *config;
    retention->timer.fire = timer_fired;
    retention->page_max = PAGE;
    metrics_set(config->metrics, METRIC_REDIS_MEMORY_FULL_S, -1);
    struct redis_config redis = {
        .target = config->redis,
        .timeout_ms = TIMEOUT_MS,
        .state = connection_changed,
        .ctx = retention,
    };
    memcpy(redis.random_seed, config->random_seed, sizeof redis.random_seed);
    retention->redis = redis_new(loop, &redis);
    if (!retention->redis) {
        retention_free(retention);
        return NULL;
    }
    schedule(retention); /* of a cluster some nodes may be there and others not */
    return retention;
}

void retention_free(struct retention *retention)
{
    if (!retention)
        return;
    redis_free(retention->redis);
    timers_cancel(loop_timers(retention->loop), &retention->timer);
    free(retention->streams);
    free(retention);
}
