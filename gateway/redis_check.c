// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One round asks all primaries; a probe is one primary's questions and ends with the last answer. When the last probe
 * of a round has ended the facts are published, and compared with what was said before. A connection that is made
 * begins a round, or another one after the one under way.
 */
#include "gateway/redis_check.h"

#include "gateway/redis.h"
#include "gateway/rt/log.h"

#include <stdlib.h>

#define ROUND_MS 10000
#define TIMEOUT_MS 5000
#define STORES_MAX 200

/* What can be known, in the order of the table. */
enum subject { APPENDONLY, APPENDFSYNC, ON_REWRITE, POLICY, SUBJECTS };

static const struct {
    const char *setting, *wanted, *consequence;
    const char *info, *info_wanted; /* the field of INFO that tells it too, or NULL */
} subjects[SUBJECTS] = {
    [APPENDONLY] = {"appendonly", "yes",
                    "when Redis dies all of it is gone but what the safety tail of the spool holds",
                    "aof_enabled", "1"},
    [APPENDFSYNC] = {"appendfsync", "always",
                     "no request can have the level stored; after a power cut the last second is pushed "
                     "again from the spool",
                     NULL, NULL},
    [ON_REWRITE] = {"no-appendfsync-on-rewrite", "no",
                    "nothing is synced to disk while Redis rewrites its file", NULL, NULL},
    [POLICY] = {"maxmemory-policy", "noeviction", "Redis may delete streams when memory is short",
                "maxmemory_policy", "noeviction"},
};

struct findings {
    enum redis_fact facts[SUBJECTS];
    uint64_t used_memory, maxmemory, run;
    uint32_t version;
};

struct redis_check {
    struct loop *loop;
    struct redis *redis;
    struct redis_facts *published;
    struct timer timer;
    unsigned probes; /* under way */
    bool again;
    struct findings findings; /* of the round */
    enum redis_fact told[SUBJECTS];
};

struct question {
    struct redis_check *check;
    enum subject subject; /* SUBJECTS: INFO */
};

static void begin_round(struct redis_check *check);

/* Findings. */

static void find(struct redis_check *check, enum subject subject, bool good)
{
    enum redis_fact *fact = &check->findings.facts[subject];
    if (*fact != REDIS_NO)
        *fact = good ? REDIS_YES : REDIS_NO;
}

/* "name:value" at the beginning of a line of INFO; empty: there is none. */
static struct bytes info_field(struct bytes info, const char *name)
{
    size_t len = strlen(name);
    while (info.len > len + 1) {
        const uint8_t *end = memchr(info.ptr, '\n', info.len);
        size_t line = end ? (size_t)(end - info.ptr) : info.len;
        if (line > len && memcmp(info.ptr, name, len) == 0 && info.ptr[len] == ':') {
            size_t value = line - len - 1;
            return bytes_of(info.ptr + len + 1, value - (value > 0 && info.ptr[line - 1] == '\r'));
        }
        if (!end)
            break;
        info = bytes_of(end + 1, info.len - line - 1);
    }
    return (struct bytes){0};
}

static uint64_t number_of(struct bytes text, size_t *ret_used)
{
    uint64_t number = 0;
    size_t i = 0;
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9' && i < 19; i++)
        number = 10 * number + (text.ptr[i] - '0');
    *ret_used = i;
    return number;
}

/* "7.0.15" as 70015. */
static uint32_t version_of(struct bytes text)
{
    uint32_t version = 0;
    for (unsigned part = 0; part < 3; part++) {
        size_t used;
        version = 100 * version + (uint32_t)(number_of(text, &used) % 100);
        used += used < text.len;
        text = bytes_of(text.ptr + used, text.len - used);
    }
    return version;
}

static uint64_t run_of(struct bytes text)
{
    uint64_t run = 0;
    for (size_t i = 0; i < text.len && i < 16; i++) {
        uint8_t c = text.ptr[i];
        run = run << 4 | (uint64_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    }
    return run;
}

static void take_info(struct redis_check *check, struct bytes info)
{
    struct findings *findings = &check->findings;
    size_t ignored;
    for (enum subject i = 0; i < SUBJECTS; i++) {
        struct bytes value = subjects[i].info ? info_field(info, subjects[i].info) : (struct bytes){0};
        if (value.len > 0)
            find(check, i, bytes_equal_text(value, subjects[i].info_wanted));
    }
    findings->used_memory += number_of(info_field(info, "used_memory"), &ignored);
    findings->maxmemory += number_of(info_field(info, "maxmemory"), &ignored);
    findings->version = version_of(info_field(info, "redis_version"));
    findings->run = run_of(info_field(info, "run_id"));
}

/* Publishing. */

static void tell_change(struct redis_check *check, enum subject subject)
{
    enum redis_fact fact = check->findings.facts[subject], before = check->told[subject];
    if (fact == REDIS_UNKNOWN || fact == before)
        return;
    check->told[subject] = fact;
    if (fact == REDIS_NO)
        log_write(LOG_WARN, "redis_check", subjects[subject].consequence, "setting=%s wanted=%s",
                  subjects[subject].setting, subjects[subject].wanted);
    else if (before == REDIS_NO)
        log_write(LOG_INFO, "redis_check", "a setting of Redis is as it should be", "setting=%s is=%s",
                  subjects[subject].setting, subjects[subject].wanted);
}

static void publish(struct redis_check *check)
{
    const struct findings *findings = &check->findings;
    struct redis_facts *facts = check->published;
    for (enum subject i = 0; i < SUBJECTS; i++)
        tell_change(check, i);
    enum redis_fact rewrite = findings->facts[ON_REWRITE], always = findings->facts[APPENDFSYNC];
    facts->appendonly = findings->facts[APPENDONLY];
    facts->appendfsync_always = rewrite == REDIS_NO ? REDIS_NO : always;
    facts->noeviction = findings->facts[POLICY];
    facts->version = findings->version;
    facts->run = findings->run;
    facts->used_memory = findings->used_memory;
    facts->maxmemory = findings->maxmemory;
}

/* A round. */

static void answered(void *ctx, const struct store_reply *reply)
{
    struct question question = *(struct question *)ctx;
    struct redis_check *check = question.check;
    free(ctx);
    if (reply && question.subject == SUBJECTS && reply->type == STORE_TEXT)
        take_info(check, reply->text);
    else if (reply && question.subject < SUBJECTS && reply->type == STORE_LIST && reply->count == 2)
        find(check, question.subject, bytes_equal_text(reply->items[1].text, subjects[question.subject].wanted));
    if (--check->probes > 0)
        return;
    /* Silence tells nothing: what was known stays. */
    if (check->findings.version > 0)
        publish(check);
    if (check->again)
        begin_round(check);
}

static void ask(struct redis_check *check, struct store *store, enum subject subject)
{
    struct bytes info = BYTES_LITERAL("INFO");
    struct bytes get[] = {BYTES_LITERAL("CONFIG"), BYTES_LITERAL("GET"),
                          bytes_of_text(subject < SUBJECTS ? subjects[subject].setting : "")};
    struct question *question = malloc(sizeof *question);
    if (!question)
        return;
    *question = (struct question){check, subject};
    bool sent = subject < SUBJECTS ? store_send(store, get, 3, answered, question)
                                   : store_send(store, &info, 1, answered, question);
    check->probes += sent;
    if (!sent)
        free(question);
}

static void begin_round(struct redis_check *check)
{
    struct store *stores[STORES_MAX];
    check->again = check->probes > 0;
    if (check->again)
        return;
    check->findings = (struct findings){0};
    size_t count = redis_stores(check->redis, stores, STORES_MAX);
    for (size_t i = 0; i < count && i < STORES_MAX; i++) {
        ask(check, stores[i], SUBJECTS);
        ask(check, stores[i], APPENDFSYNC);
        ask(check, stores[i], ON_REWRITE);
        store_flush(stores[i]);
    }
}

static void node_came(void *ctx, struct store *store)
{
    (void)store;
    begin_round(ctx);
}

static void timer_fired(struct timer *timer)
{
    struct redis_check *check = (struct redis_check *)((char *)timer - offsetof(struct redis_check, timer));
    timers_set(loop_timers(check->loop), &check->timer, loop_now_ms(check->loop) + ROUND_MS);
    begin_round(check);
}

struct redis_check *redis_check_new(struct loop *loop, const struct store_target *redis, struct redis_facts *facts,
                                    const uint64_t random_seed[4])
{
    struct redis_check *check = calloc(1, sizeof *check);
    struct redis_config config = {.target = redis, .timeout_ms = TIMEOUT_MS, .node = node_came, .ctx = check};
    if (!check)
        return NULL;
    memcpy(config.random_seed, random_seed, sizeof config.random_seed);
    check->loop = loop;
    check->published = facts;
    check->timer.fire = timer_fired;
    check->redis = redis_new(loop, &config);
    if (!check->redis) {
        free(check);
        return NULL;
    }
    timers_set(loop_timers(loop), &check->timer, loop_now_ms(loop) + ROUND_MS);
    return check;
}

void redis_check_free(struct redis_check *check)
{
    if (!check)
        return;
    check->again = false;
    timers_cancel(loop_timers(check->loop), &check->timer);
    redis_free(check->redis);
    free(check);
}
