// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * 256 stripes, chosen by the device's hash, as in gateway/latest: a mutex, a hash table, a list by age. What is kept of
 * a device is two halves of a window, each with its smallest delay (receipt minus device time, which is network and
 * waiting minus the error of the clock), and the run of samples that disagree with it.
 *
 * Times are changed outside of the lock.
 */
#include "gateway/clocks.h"

#include "codec/timestamp.h"

#include <pthread.h>
#include <stdlib.h>

#define STRIPES 256
#define BUCKETS_FIRST 16

#define HALF_SAMPLES 16 /* a half ends with so many, if it is as old as this: */
#define HALF_MIN_S 600
#define HALF_MAX_S 3600
#define FORGET_S 86400 /* silent for so long: it may have been set, or have a new battery */
#define SAMPLES_MIN 4  /* for an estimate to be used */
#define AGREE_MS 2000  /* samples that differ by less agree */
#define AHEAD_RUN 3    /* in a row, before a clock that has jumped ahead is believed */
#define BEHIND_RUN 4   /* the same of one that has jumped back; they must agree with each other */
/* Readings that were kept and are sent in one go look like a clock that catches up. They do not agree for so long. */
#define SETTLE_S 3
#define SETTLED_S 60 /* what has agreed for so long may drift */

struct half {
    int64_t delay_ms, since_s;
    uint32_t samples;
};

/* Samples in a row on one side of the estimate, outside of what agrees with it. */
struct run {
    int64_t least_ms, most_ms, since_s;
    uint32_t samples;
    bool ahead;
};

struct estimator {
    struct half before, now;
    struct run run;
    int64_t steady_ms, steady_since_s; /* what the estimate has agreed with, and since when */
    int64_t last_s;
};

struct clock {
    struct clock *next;          /* in the bucket */
    struct clock *older, *newer; /* by last sample */
    uint64_t hash;
    struct estimator estimator;
    uint8_t tenant_len, device_len;
    uint8_t text[]; /* tenant, device */
};

struct stripe {
    pthread_mutex_t mutex;
    struct clock **buckets;
    size_t bucket_count, count;
    struct clock *oldest, *newest;
};

struct clocks {
    struct hash_key key;
    size_t per_stripe_max;
    struct stripe stripes[STRIPES];
};

/* The estimate. */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static uint32_t samples_of(const struct estimator *e)
{
    return e->before.samples + e->now.samples;
}

/* There is a sample. */
static int64_t delay_of(const struct estimator *e)
{
    if (!e->before.samples || !e->now.samples)
        return e->now.samples ? e->now.delay_ms : e->before.delay_ms;
    return least(e->before.delay_ms, e->now.delay_ms);
}

static void start_over(struct estimator *e, int64_t now_s, int64_t delay_ms, uint32_t samples)
{
    *e = (struct estimator){
        .now = {.delay_ms = delay_ms, .since_s = now_s, .samples = samples},
        .steady_ms = delay_ms,
        .steady_since_s = now_s,
    };
}

static void add(struct estimator *e, int64_t now_s, int64_t delay_ms)
{
    int64_t age_s = now_s - e->now.since_s;
    if ((e->now.samples >= HALF_SAMPLES && age_s >= HALF_MIN_S) || age_s >= HALF_MAX_S) {
        e->before = e->now;
        e->now = (struct half){.delay_ms = delay_ms, .since_s = now_s};
    }
    e->now.delay_ms = e->now.samples ? least(e->now.delay_ms, delay_ms) : delay_ms;
    e->now.samples++;
}

static void continue_run(struct run *run, bool ahead, int64_t now_s, int64_t delay_ms)
{
    bool goes_on = run->samples && run->ahead == ahead &&
                   (ahead || most(run->most_ms, delay_ms) - least(run->least_ms, delay_ms) <= AGREE_MS);
    if (!goes_on)
        *run = (struct run){.least_ms = delay_ms, .most_ms = delay_ms, .since_s = now_s, .ahead = ahead};
    run->least_ms = least(run->least_ms, delay_ms);
    run->most_ms = most(run->most_ms, delay_ms);
    run->samples++;
}

/* The estimate has moved, or not. */
static void look_at_steadiness(struct estimator *e, int64_t now_s)
{
    int64_t delay_ms = delay_of(e);
    if (delay_ms >= e->steady_ms - AGREE_MS && delay_ms <= e->steady_ms + AGREE_MS)
        return;
    if (now_s - e->steady_since_s < SETTLED_S)
        e->steady_since_s = now_s;
    e->steady_ms = delay_ms;
}

static void take_sample(struct estimator *e, int64_t now_s, int64_t delay_ms)
{
    if (!samples_of(e) || now_s - e->last_s > FORGET_S) {
        start_over(e, now_s, delay_ms, 1);
    } else if (delay_ms < delay_of(e) - AGREE_MS) {
        /* No delay makes a clock look ahead: it was set, or this time is nonsense. The least of a run is the safest. */
        continue_run(&e->run, true, now_s, delay_ms);
        if (e->run.samples == AHEAD_RUN)
            start_over(e, now_s, e->run.most_ms, AHEAD_RUN);
    } else if (delay_ms > delay_of(e) + AGREE_MS) {
        continue_run(&e->run, false, now_s, delay_ms);
        if (e->run.samples >= BEHIND_RUN && now_s - e->run.since_s >= SETTLE_S)
            start_over(e, now_s, e->run.least_ms, BEHIND_RUN);
        else
            add(e, now_s, delay_ms);
    } else {
        e->run.samples = 0;
        add(e, now_s, delay_ms);
    }
    look_at_steadiness(e, now_s);
    e->last_s = now_s;
}

static struct clocks_estimate estimate_of(const struct estimator *e)
{
    return (struct clocks_estimate){
        .error_ms = -delay_of(e),
        .samples = samples_of(e),
        .known = samples_of(e) >= SAMPLES_MIN && e->last_s - e->steady_since_s >= SETTLE_S,
    };
}

/* The table. */

struct clocks *clocks_new(const struct hash_key *key, size_t devices_max)
{
    struct clocks *clocks = calloc(1, sizeof *clocks);
    if (!clocks)
        return NULL;
    clocks->key = *key;
    clocks->per_stripe_max = devices_max / STRIPES + 1;
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&clocks->stripes[i].mutex, NULL);
    return clocks;
}

void clocks_free(struct clocks *clocks)
{
    if (!clocks)
        return;
    for (size_t i = 0; i < STRIPES; i++) {
        struct stripe *stripe = &clocks->stripes[i];
        while (stripe->oldest) {
            struct clock *newer = stripe->oldest->newer;
            free(stripe->oldest);
            stripe->oldest = newer;
        }
        free(stripe->buckets);
        pthread_mutex_destroy(&stripe->mutex);
    }
    free(clocks);
}

static struct clock **bucket_of(const struct stripe *stripe, uint64_t hash)
{
    return &stripe->buckets[hash & (stripe->bucket_count - 1)];
}

static bool belongs(const struct clock *clock, uint64_t hash, struct bytes tenant, struct bytes device)
{
    return clock->hash == hash && bytes_equal(bytes_of(clock->text, clock->tenant_len), tenant) &&
           bytes_equal(bytes_of(clock->text + clock->tenant_len, clock->device_len), device);
}

static struct clock *find(const struct stripe *stripe, uint64_t hash, struct bytes tenant, struct bytes device)
{
    struct clock *clock = stripe->bucket_count ? *bucket_of(stripe, hash) : NULL;
    while (clock && !belongs(clock, hash, tenant, device))
        clock = clock->next;
    return clock;
}

static void unlink_age(struct stripe *stripe, struct clock *clock)
{
    *(clock->older ? &clock->older->newer : &stripe->oldest) = clock->newer;
    *(clock->newer ? &clock->newer->older : &stripe->newest) = clock->older;
}

static void link_newest(struct stripe *stripe, struct clock *clock)
{
    clock->older = stripe->newest;
    clock->newer = NULL;
    *(stripe->newest ? &stripe->newest->newer : &stripe->oldest) = clock;
    stripe->newest = clock;
}

static void drop_oldest(struct stripe *stripe)
{
    struct clock *clock = stripe->oldest, **link = bucket_of(stripe, clock->hash);
    while (*link != clock)
        link = &(*link)->next;
    *link = clock->next;
    unlink_age(stripe, clock);
    stripe->count--;
    free(clock);
}

static bool grow(struct stripe *stripe)
{
    size_t count = stripe->bucket_count ? stripe->bucket_count * 2 : BUCKETS_FIRST;
    struct clock **buckets = calloc(count, sizeof *buckets);
    if (!buckets)
        return stripe->bucket_count != 0; /* longer chains are slower, not wrong */
    free(stripe->buckets);
    stripe->buckets = buckets;
    stripe->bucket_count = count;
    for (struct clock *clock = stripe->oldest; clock; clock = clock->newer) {
        struct clock **bucket = bucket_of(stripe, clock->hash);
        clock->next = *bucket;
        *bucket = clock;
    }
    return true;
}

/* NULL: out of memory. */
static struct clock *make(struct clocks *clocks, struct stripe *stripe, uint64_t hash, struct bytes tenant,
                          struct bytes device)
{
    if (stripe->count == clocks->per_stripe_max)
        drop_oldest(stripe);
    if (stripe->count >= stripe->bucket_count && !grow(stripe))
        return NULL;
    struct clock *clock = calloc(1, sizeof *clock + tenant.len + device.len);
    if (!clock)
        return NULL;
    clock->hash = hash;
    clock->tenant_len = (uint8_t)tenant.len;
    clock->device_len = (uint8_t)device.len;
    memcpy(clock->text, tenant.ptr, tenant.len);
    memcpy(clock->text + tenant.len, device.ptr, device.len);
    struct clock **bucket = bucket_of(stripe, hash);
    clock->next = *bucket;
    *bucket = clock;
    link_newest(stripe, clock);
    stripe->count++;
    return clock;
}

static void learn(struct clocks *clocks, struct bytes tenant, struct bytes device, int64_t now_s, int64_t delay_ms,
                  struct clocks_estimate *ret)
{
    uint64_t hash = hash_pair(&clocks->key, tenant, device);
    struct stripe *stripe = &clocks->stripes[hash >> 56];
    pthread_mutex_lock(&stripe->mutex);
    struct clock *clock = find(stripe, hash, tenant, device);
    if (clock && clock != stripe->newest) {
        unlink_age(stripe, clock);
        link_newest(stripe, clock);
    } else if (!clock) {
        clock = make(clocks, stripe, hash, tenant, device);
    }
    if (clock) {
        take_sample(&clock->estimator, now_s, delay_ms);
        *ret = estimate_of(&clock->estimator);
    }
    pthread_mutex_unlock(&stripe->mutex);
}

bool clocks_get(struct clocks *clocks, struct bytes tenant, struct bytes device, struct clocks_estimate *ret)
{
    uint64_t hash = hash_pair(&clocks->key, tenant, device);
    struct stripe *stripe = &clocks->stripes[hash >> 56];
    pthread_mutex_lock(&stripe->mutex);
    const struct clock *clock = find(stripe, hash, tenant, device);
    if (clock)
        *ret = estimate_of(&clock->estimator);
    pthread_mutex_unlock(&stripe->mutex);
    return clock != NULL;
}

/* Times. */

#define NS 1000000000

static bool is_older(struct timestamp a, struct timestamp b)
{
    return a.s != b.s ? a.s < b.s : a.ns < b.ns;
}

static struct timestamp moved(struct timestamp time, int64_t s, int64_t ns)
{
    ns += time.ns;
    if (ns < 0 || ns >= NS) {
        s += ns < 0 ? -1 : 1;
        ns += ns < 0 ? NS : -NS;
    }
    return (struct timestamp){time.s + s, (uint32_t)ns};
}

/* The newest time that the device gave. False: it gave none. */
static bool newest_of_device(const struct observation *items, size_t count, struct timestamp *ret)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (items[i].time_source != TIME_DEVICE || (found && !is_older(*ret, items[i].time)))
            continue;
        *ret = items[i].time;
        found = true;
    }
    return found;
}

/* from - to, in ms. */
static int64_t difference_ms(struct timestamp from, struct timestamp to)
{
    return (from.s - to.s) * 1000 + ((int64_t)from.ns - (int64_t)to.ns) / 1000000;
}

_Static_assert(2 * TIMESTAMP_LIMIT_S < INT64_MAX / 1000, "no difference of times overflows");

static bool is_outside(struct timestamp time, struct timestamp received, uint32_t window_s)
{
    int64_t ms = difference_ms(time, received), window_ms = (int64_t)window_s * 1000;
    return ms > window_ms || ms < -window_ms;
}

static bool any_is_outside(const struct observation *items, size_t count, struct timestamp received, uint32_t window_s)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].time_source != TIME_RECEIPT && is_outside(items[i].time, received, window_s))
            return true;
    return false;
}

static void move_all(struct observation *items, size_t count, int64_t s, int64_t ns, enum time_source source)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].time_source != TIME_DEVICE)
            continue;
        items[i].time = moved(items[i].time, s, ns);
        items[i].time_source = source;
    }
}

uint32_t clocks_window_s(const struct profile_record *profile)
{
    if (profile->clock_window_s)
        return profile->clock_window_s;
    return profile->clock == CLOCK_REFUSE ? CLOCKS_WINDOW_REFUSE_S : CLOCKS_WINDOW_CORRECT_S;
}

static bool needs_correction(const struct clocks_estimate *estimate, struct timestamp newest, struct timestamp received,
                             uint32_t window_s)
{
    int64_t window_ms = (int64_t)window_s * 1000;
    return estimate->known && (estimate->error_ms > window_ms || estimate->error_ms < -window_ms) &&
           is_outside(newest, received, window_s);
}

enum outcome clocks_apply(struct clocks *clocks, const struct profile_record *profile, struct bytes tenant,
                          struct bytes device, struct timestamp received, struct observation *items, size_t count,
                          enum clocks_action *ret_action)
{
    struct clocks_estimate estimate = {0};
    struct timestamp newest = {0};
    bool has_clock = newest_of_device(items, count, &newest);
    uint32_t window_s = clocks_window_s(profile);
    *ret_action = CLOCKS_KEPT;
    if (has_clock)
        learn(clocks, tenant, device, received.s, difference_ms(received, newest), &estimate);
    switch (profile->clock) {
    case CLOCK_CORRECT:
        if (!has_clock || !needs_correction(&estimate, newest, received, window_s))
            break;
        move_all(items, count, -(estimate.error_ms / 1000), -(estimate.error_ms % 1000) * 1000000, TIME_CORRECTED);
        *ret_action = CLOCKS_CORRECTED;
        break;
    case CLOCK_REPLACE:
        if (!has_clock)
            break;
        move_all(items, count, received.s - newest.s, (int64_t)received.ns - newest.ns, TIME_RECEIPT);
        *ret_action = CLOCKS_REPLACED;
        break;
    case CLOCK_REFUSE:
        if (any_is_outside(items, count, received, window_s))
            return OUTCOME_TIME_OUTSIDE;
        break;
    case CLOCK_TRUST:
    case CLOCK_POLICIES:
        break;
    }
    return OUTCOME_CHANGED;
}

/* A whole message. */

/* Trust where there is none. */
static const struct profile_record *profile_named_by(const struct clocks_question *question, struct bytes id)
{
    const struct device_record *device = id.len ? registry_device(question->registry, question->tenant, id) : NULL;
    return device && device->profile[0]
               ? registry_profile(question->registry, question->tenant, bytes_of_text(device->profile))
               : NULL;
}

static const struct profile_record *profile_for(const struct clocks_question *question, struct bytes device)
{
    static const struct profile_record trust;
    if (registry_count(question->registry).profiles == 0)
        return &trust;
    const struct profile_record *profile = profile_named_by(question, device);
    if (!profile && !bytes_equal(device, question->speaker))
        profile = profile_named_by(question, question->speaker);
    return profile ? profile : &trust;
}

/* Of the run of neighbours that begins there: where it ends. */
static size_t end_of_run(const struct sink_record *records, size_t count, size_t begin)
{
    size_t end = begin + 1;
    while (end < count && bytes_equal(records[begin].device, records[end].device))
        end++;
    return end;
}

bool clocks_replace_any(const struct clocks_question *question, const struct sink_record *records, size_t count)
{
    if (registry_count(question->registry).profiles == 0)
        return false;
    for (size_t i = 0; i < count; i = end_of_run(records, count, i))
        if (profile_for(question, records[i].device)->clock == CLOCK_REPLACE)
            return true;
    return false;
}

/* Whether this message is one to learn from. */
static bool is_due(struct clocks_pace *pace, int64_t now_s)
{
    if (pace->second != now_s)
        *pace = (struct clocks_pace){.second = now_s, .stride = 1 + pace->seen / CLOCKS_LEARNED_PER_S};
    return pace->seen++ % pace->stride == 0;
}

enum outcome clocks_apply_all(struct clocks *clocks, const struct clocks_question *question, struct observation *items,
                              const struct sink_record *records, size_t count)
{
    enum outcome outcome = OUTCOME_CHANGED;
    bool corrected = false, replaced = false, due = is_due(question->pace, question->received.s);
    for (size_t i = 0, end; i < count; i = end) {
        struct bytes device = records[i].device;
        end = end_of_run(records, count, i);
        const struct profile_record *profile = profile_for(question, device);
        enum clocks_action action;
        if (profile->clock == CLOCK_TRUST && !due)
            continue;
        enum outcome one = clocks_apply(clocks, profile, question->tenant, device, question->received, items + i,
                                        end - i, &action);
        if (!outcome_is_success(one))
            outcome = one; /* what the other devices say of their clocks is learned all the same */
        corrected |= action == CLOCKS_CORRECTED;
        replaced |= action == CLOCKS_REPLACED;
    }
    if (!outcome_is_success(outcome))
        metrics_add(question->metrics, METRIC_CLOCK_REFUSED, 1);
    else if (corrected || replaced)
        metrics_add(question->metrics, corrected ? METRIC_CLOCK_CORRECTED : METRIC_CLOCK_REPLACED, 1);
    return outcome;
}
