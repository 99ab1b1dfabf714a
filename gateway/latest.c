// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * 256 stripes, chosen by the device's hash, each with a mutex, two hash tables of series and a list by age of the
 * last write. In one table all series of a device share a bucket, for reading; in the other each has its own, for
 * writing, so that a device with thousands of names costs no more per value than another. A series is one allocation:
 * its names, unit and value one after the other; a new value that fits is written over the old one. Reading a device
 * looks at one stripe, reading a tenant at all of them, so that is what people do, not devices.
 */
#include "gateway/latest.h"

#include <pthread.h>
#include <stdlib.h>

#define STRIPES 256
#define BUCKETS_FIRST 16

enum table { BY_DEVICE, BY_NAME, TABLES };

/* The hashes of a series: of (tenant, device), and of that and its name. */
struct hashes {
    uint64_t of[TABLES];
};

struct series {
    struct series *next[TABLES], **link[TABLES]; /* in the buckets; link: what points here */
    struct series *older, *newer;                /* by last write */
    struct hashes hashes;
    uint16_t tenant_len, device_len, name_len, unit_len, type_len;
    uint32_t value_len, sum_len, room;
    uint8_t kind, time_source;
    bool boolean, has_sum;
    struct timestamp time;
    struct timestamp removed; /* the newest time of a removal, TIME_NEVER: none; what arrived before it is not newer */
    double value_approx, sum_approx;
    uint8_t text[]; /* tenant, device, name, unit, value (number text or data), sum text, content type */
};

#define TIME_NEVER ((struct timestamp){.s = INT64_MIN})

struct stripe {
    pthread_mutex_t mutex;
    struct series **buckets[TABLES];
    size_t bucket_count, count; /* of each table; of series */
    struct series *oldest, *newest;
};

struct latest {
    struct hash_key key;
    size_t per_stripe_max;
    struct stripe stripes[STRIPES];
};

struct latest *latest_new(const struct hash_key *key, size_t series_max)
{
    struct latest *latest = calloc(1, sizeof *latest);
    if (!latest)
        return NULL;
    latest->key = *key;
    latest->per_stripe_max = series_max / STRIPES + 1;
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&latest->stripes[i].mutex, NULL);
    return latest;
}

void latest_free(struct latest *latest)
{
    if (!latest)
        return;
    for (size_t i = 0; i < STRIPES; i++) {
        struct stripe *stripe = &latest->stripes[i];
        while (stripe->oldest) {
            struct series *newer = stripe->oldest->newer;
            free(stripe->oldest);
            stripe->oldest = newer;
        }
        for (size_t table = 0; table < TABLES; table++)
            free(stripe->buckets[table]);
        pthread_mutex_destroy(&stripe->mutex);
    }
    free(latest);
}

static struct stripe *stripe_of(struct latest *latest, uint64_t hash)
{
    return &latest->stripes[hash >> 56];
}

static struct hashes hashes_of(const struct latest *latest, struct bytes tenant, struct bytes device, struct bytes name)
{
    struct hashes ret = {.of = {[BY_DEVICE] = hash_pair(&latest->key, tenant, device)}};
    ret.of[BY_NAME] = hash_pair(&latest->key, bytes_of(&ret.of[BY_DEVICE], sizeof ret.of[BY_DEVICE]), name);
    return ret;
}

static struct series **bucket_of(const struct stripe *stripe, enum table table, uint64_t hash)
{
    return &stripe->buckets[table][hash & (stripe->bucket_count - 1)];
}

/* The first of those among which a device's are. */
static struct series *first_of_device(const struct stripe *stripe, uint64_t hash)
{
    return stripe->bucket_count ? *bucket_of(stripe, BY_DEVICE, hash) : NULL;
}

static struct bytes part(const struct series *series, size_t offset, size_t len)
{
    return bytes_of(series->text + offset, len);
}

static struct bytes series_tenant(const struct series *s)
{
    return part(s, 0, s->tenant_len);
}

static struct bytes series_device(const struct series *s)
{
    return part(s, s->tenant_len, s->device_len);
}

static struct bytes series_name(const struct series *s)
{
    return part(s, (size_t)s->tenant_len + s->device_len, s->name_len);
}

static void unlink_age(struct stripe *stripe, struct series *series)
{
    *(series->older ? &series->older->newer : &stripe->oldest) = series->newer;
    *(series->newer ? &series->newer->older : &stripe->newest) = series->older;
}

static void link_newest(struct stripe *stripe, struct series *series)
{
    series->older = stripe->newest;
    series->newer = NULL;
    *(stripe->newest ? &stripe->newest->newer : &stripe->oldest) = series;
    stripe->newest = series;
}

static void link_buckets(struct stripe *stripe, struct series *series)
{
    for (enum table table = 0; table < TABLES; table++) {
        struct series **bucket = bucket_of(stripe, table, series->hashes.of[table]);
        series->next[table] = *bucket;
        series->link[table] = bucket;
        if (*bucket)
            (*bucket)->link[table] = &series->next[table];
        *bucket = series;
    }
}

static void unlink_buckets(struct series *series)
{
    for (enum table table = 0; table < TABLES; table++) {
        *series->link[table] = series->next[table];
        if (series->next[table])
            series->next[table]->link[table] = series->link[table];
    }
}

static void drop(struct stripe *stripe, struct series *series)
{
    unlink_buckets(series);
    unlink_age(stripe, series);
    stripe->count--;
    free(series);
}

static bool grow(struct stripe *stripe)
{
    size_t count = stripe->bucket_count ? stripe->bucket_count * 2 : BUCKETS_FIRST;
    struct series **by_device = calloc(count, sizeof *by_device), **by_name = calloc(count, sizeof *by_name);
    if (!by_device || !by_name) {
        free(by_device);
        free(by_name);
        return stripe->bucket_count != 0; /* longer chains are slower, not wrong */
    }
    for (enum table table = 0; table < TABLES; table++)
        free(stripe->buckets[table]);
    stripe->buckets[BY_DEVICE] = by_device;
    stripe->buckets[BY_NAME] = by_name;
    stripe->bucket_count = count;
    for (struct series *series = stripe->oldest; series; series = series->newer)
        link_buckets(stripe, series);
    return true;
}

static struct series *find(const struct stripe *stripe, const struct hashes *hashes, struct bytes tenant,
                           struct bytes device, struct bytes name)
{
    uint64_t hash = hashes->of[BY_NAME];
    if (stripe->bucket_count == 0)
        return NULL;
    for (struct series *s = *bucket_of(stripe, BY_NAME, hash); s; s = s->next[BY_NAME])
        if (s->hashes.of[BY_NAME] == hash && bytes_equal(series_name(s), name) &&
            bytes_equal(series_device(s), device) && bytes_equal(series_tenant(s), tenant))
            return s;
    return NULL;
}

static struct bytes value_of(const struct observation *observation)
{
    return observation->kind == VALUE_NUMBER ? observation->number.text : observation->data;
}

static size_t put_part(struct series *series, size_t at, struct bytes from)
{
    if (from.len)
        memcpy(series->text + at, from.ptr, from.len);
    return at + from.len;
}

/* Everything after the names. */
static void write_value(struct series *series, const struct observation *observation)
{
    struct bytes value = value_of(observation), sum = observation->has_sum ? observation->sum.text : (struct bytes){0};
    size_t at = (size_t)series->tenant_len + series->device_len + series->name_len;
    at = put_part(series, at, observation->unit);
    at = put_part(series, at, value);
    at = put_part(series, at, sum);
    put_part(series, at, observation->content_type);
    series->type_len = (uint16_t)observation->content_type.len;
    series->unit_len = (uint16_t)observation->unit.len;
    series->value_len = (uint32_t)value.len;
    series->sum_len = (uint32_t)sum.len;
    series->kind = (uint8_t)observation->kind;
    series->time_source = (uint8_t)observation->time_source;
    series->time = observation->time;
    series->boolean = observation->boolean;
    series->has_sum = observation->has_sum;
    series->value_approx = observation->number.approx;
    series->sum_approx = observation->sum.approx;
}

static size_t room_needed(struct bytes tenant, struct bytes device, const struct observation *observation)
{
    return tenant.len + device.len + observation->name.len + observation->unit.len + value_of(observation).len +
           (observation->has_sum ? observation->sum.text.len : 0) + observation->content_type.len;
}

static bool has_room_for_lengths(const struct observation *observation)
{
    return observation->name.len <= UINT16_MAX && observation->unit.len <= UINT16_MAX &&
           observation->content_type.len <= UINT16_MAX;
}

static struct series *series_new(const struct hashes *hashes, struct bytes tenant, struct bytes device,
                                 const struct observation *observation)
{
    if (!has_room_for_lengths(observation))
        return NULL;
    size_t room = (room_needed(tenant, device, observation) + 8 + 15) & ~(size_t)15; /* values change length a little */
    struct series *series = malloc(sizeof *series + room);
    if (!series)
        return NULL;
    *series = (struct series){
        .hashes = *hashes,
        .tenant_len = (uint16_t)tenant.len,
        .device_len = (uint16_t)device.len,
        .name_len = (uint16_t)observation->name.len,
        .room = (uint32_t)room,
    };
    put_part(series, put_part(series, put_part(series, 0, tenant), device), observation->name);
    return series;
}

static bool insert(struct latest *latest, struct stripe *stripe, const struct hashes *hashes, struct bytes tenant,
                   struct bytes device, const struct observation *observation, struct timestamp removed)
{
    if (stripe->count >= stripe->bucket_count && !grow(stripe))
        return false;
    struct series *series = series_new(hashes, tenant, device, observation);
    if (!series)
        return false;
    write_value(series, observation);
    series->removed = removed;
    while (stripe->count >= latest->per_stripe_max)
        drop(stripe, stripe->oldest);
    link_buckets(stripe, series);
    link_newest(stripe, series);
    stripe->count++;
    return true;
}

static bool is_older(struct timestamp a, struct timestamp b)
{
    return a.s != b.s ? a.s < b.s : a.ns < b.ns;
}

static bool is_removed(const struct series *series)
{
    return series->kind == VALUE_NONE && !series->has_sum;
}

static bool removes(const struct observation *observation)
{
    return observation->kind == VALUE_NONE && !observation->has_sum;
}

/* now: NULL for what arrived before. */
static bool takes_place(const struct series *series, const struct timestamp *now, const struct observation *observation)
{
    if (now)
        return (is_removed(series) && !removes(observation)) || !is_older(observation->time, series->time) ||
               !latest_is_plausible(series->time, *now);
    if (removes(observation))
        return is_removed(series) && is_older(series->time, observation->time);
    return is_older(series->removed, observation->time) && is_older(series->time, observation->time);
}

static bool put_locked(struct latest *latest, struct stripe *stripe, const struct hashes *hashes,
                       const struct timestamp *now, struct bytes tenant, struct bytes device,
                       const struct observation *observation)
{
    struct series *series = find(stripe, hashes, tenant, device, observation->name);
    struct timestamp removed = series ? series->removed : TIME_NEVER;
    if (removes(observation) && is_older(removed, observation->time))
        removed = observation->time;
    if (series)
        series->removed = removed;
    if (series && !takes_place(series, now, observation))
        return true;
    if (series && room_needed(tenant, device, observation) <= series->room && has_room_for_lengths(observation)) {
        write_value(series, observation);
        unlink_age(stripe, series);
        link_newest(stripe, series);
        return true;
    }
    if (series)
        drop(stripe, series);
    return insert(latest, stripe, hashes, tenant, device, observation, removed);
}

static bool put(struct latest *latest, const struct timestamp *now, struct bytes tenant, struct bytes device,
                const struct observation *observation)
{
    struct hashes hashes = hashes_of(latest, tenant, device, observation->name);
    struct stripe *stripe = stripe_of(latest, hashes.of[BY_DEVICE]);
    pthread_mutex_lock(&stripe->mutex);
    bool ok = put_locked(latest, stripe, &hashes, now, tenant, device, observation);
    pthread_mutex_unlock(&stripe->mutex);
    return ok;
}

bool latest_put(struct latest *latest, struct bytes tenant, struct bytes device, const struct observation *observation,
                struct timestamp now)
{
    return put(latest, &now, tenant, device, observation);
}

bool latest_restore(struct latest *latest, struct bytes tenant, struct bytes device,
                    const struct observation *observation)
{
    return put(latest, NULL, tenant, device, observation);
}

static bool belongs(const struct series *series, struct bytes tenant, struct bytes device)
{
    return !is_removed(series) && bytes_equal(series_tenant(series), tenant) &&
           (device.len == 0 || bytes_equal(series_device(series), device));
}

/* What latest_get collects; room doubles in the arena. */
struct collection {
    struct arena *arena;
    struct latest_value *items;
    size_t count, room, limit;
    enum latest_result result;
};

static bool copy_series(struct arena *arena, const struct series *series, struct latest_value *ret)
{
    size_t names = (size_t)series->tenant_len + series->device_len + series->name_len;
    size_t len = names + series->unit_len + series->value_len + series->sum_len + series->type_len;
    struct bytes copy;
    if (!arena_copy(arena, bytes_of(series->text, len), &copy))
        return false;
    const uint8_t *at = copy.ptr + series->tenant_len;
    ret->device = bytes_of(at, series->device_len);
    struct observation *o = &ret->observation;
    *o = (struct observation){.time = series->time, .time_source = series->time_source, .kind = series->kind,
                              .boolean = series->boolean, .has_sum = series->has_sum};
    o->name = bytes_of(at += series->device_len, series->name_len);
    o->unit = bytes_of(at += series->name_len, series->unit_len);
    struct bytes value = bytes_of(at += series->unit_len, series->value_len);
    if (series->kind == VALUE_NUMBER)
        o->number = (struct number){value, series->value_approx};
    else
        o->data = value;
    o->sum = (struct number){bytes_of(at += series->value_len, series->sum_len), series->sum_approx};
    o->content_type = bytes_of(at + series->sum_len, series->type_len);
    return true;
}

static bool collect(struct collection *c, const struct series *series)
{
    if (c->count == c->limit) {
        c->result = LATEST_TOO_MANY;
        return false;
    }
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 16;
        struct latest_value *items = arena_calloc(c->arena, room, sizeof *items);
        if (!items) {
            c->result = LATEST_NO_MEMORY;
            return false;
        }
        if (c->count)
            memcpy(items, c->items, c->count * sizeof *items);
        c->items = items;
        c->room = room;
    }
    if (!copy_series(c->arena, series, &c->items[c->count])) {
        c->result = LATEST_NO_MEMORY;
        return false;
    }
    c->count++;
    c->result = LATEST_FOUND;
    return true;
}

/* What is asked for: a device or all of the tenant, and of those the series that are wanted. */
struct selection {
    struct bytes tenant, device;
    latest_wanted_fn *wanted;
    const void *ctx;
};

static bool matches(const struct series *series, const struct selection *what)
{
    return belongs(series, what->tenant, what->device) &&
           what->wanted(what->ctx, series_device(series), series_name(series));
}

static void collect_device(struct latest *latest, const struct selection *what, struct collection *c)
{
    uint64_t hash = hash_pair(&latest->key, what->tenant, what->device);
    struct stripe *stripe = stripe_of(latest, hash);
    bool more = true;
    pthread_mutex_lock(&stripe->mutex);
    for (struct series *s = first_of_device(stripe, hash); s && more; s = s->next[BY_DEVICE])
        if (matches(s, what))
            more = collect(c, s);
    pthread_mutex_unlock(&stripe->mutex);
}

static void collect_tenant(struct latest *latest, const struct selection *what, struct collection *c)
{
    bool more = true;
    for (size_t i = 0; i < STRIPES && more; i++) {
        struct stripe *stripe = &latest->stripes[i];
        pthread_mutex_lock(&stripe->mutex);
        for (struct series *s = stripe->oldest; s && more; s = s->newer)
            if (matches(s, what))
                more = collect(c, s);
        pthread_mutex_unlock(&stripe->mutex);
    }
}

enum latest_result latest_select(struct latest *latest, struct bytes tenant, struct bytes device,
                                 latest_wanted_fn *wanted, const void *ctx, size_t limit, struct arena *arena,
                                 struct latest_value **ret, size_t *ret_count)
{
    struct selection what = {tenant, device, wanted, ctx};
    struct collection c = {.arena = arena, .limit = limit, .result = LATEST_NOTHING};
    if (device.len)
        collect_device(latest, &what, &c);
    else
        collect_tenant(latest, &what, &c);
    if (c.result != LATEST_NO_MEMORY) {
        *ret = c.items;
        *ret_count = c.count;
    }
    return c.result;
}

static bool has_name(const void *ctx, struct bytes device, struct bytes name)
{
    const struct bytes *wanted = ctx;
    (void)device;
    return wanted->len == 0 || bytes_equal(name, *wanted);
}

enum latest_result latest_get(struct latest *latest, struct bytes tenant, struct bytes device, struct bytes name,
                              size_t limit, struct arena *arena, struct latest_value **ret, size_t *ret_count)
{
    return latest_select(latest, tenant, device, has_name, &name, limit, arena, ret, ret_count);
}

bool latest_newest(struct latest *latest, struct bytes tenant, struct bytes device, struct timestamp *ret)
{
    uint64_t hash = hash_pair(&latest->key, tenant, device);
    struct stripe *stripe = stripe_of(latest, hash);
    const struct series *newest = NULL;
    pthread_mutex_lock(&stripe->mutex);
    for (struct series *s = first_of_device(stripe, hash); s; s = s->next[BY_DEVICE])
        if (belongs(s, tenant, device) && (!newest || is_older(newest->time, s->time)))
            newest = s;
    if (newest)
        *ret = newest->time;
    pthread_mutex_unlock(&stripe->mutex);
    return newest != NULL;
}
