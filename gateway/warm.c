// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A chain of commands, each sent from the answer to the one before: the tenants, then the names of one tenant's streams
 * and page after page of each, then the next tenant. When Redis goes away the chain begins anew with the next
 * connection; what was put twice changes nothing, because an older value never replaces a newer one.
 */
#include "gateway/warm.h"

#include "codec/base64url.h"
#include "codec/timestamp.h"
#include "gateway/redis.h"
#include "gateway/rights.h"
#include "gateway/rt/log.h"
#include "gateway/rt/random.h"
#include "registry/schema.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE "500"
#define PAGE_ENTRIES 500
#define TENANTS_MAX 10000
#define STREAMS_MAX 1000 /* of a tenant */
#define FIELDS_MAX 64
#define ARENA_BYTES (1u << 20)
#define ID_MAX 48

struct warm {
    struct loop *loop;
    struct redis *redis;
    struct latest *latest;
    struct arena *arena;
    char (*tenants)[SCHEMA_TENANT_MAX + 1];
    size_t tenant_count, tenant;
    char (*streams)[SCHEMA_STREAM_MAX + 1]; /* of this tenant; the first is obs */
    size_t stream_count, stream;
    size_t entries; /* read of this stream */
    char before[ID_MAX];
    size_t series;
    bool done;
};

static struct bytes field(const struct bytes *fields, size_t count, const char *name)
{
    for (size_t i = 0; i + 1 < count; i += 2)
        if (bytes_equal_text(fields[i], name))
            return fields[i + 1];
    return (struct bytes){0};
}

static bool parse_number(struct bytes text, struct number *ret)
{
    struct decimal decimal;
    if (decimal_parse(text, &decimal) != DECIMAL_OK || !decimal_to_double(&decimal, &ret->approx))
        return false;
    ret->text = text;
    return true;
}

static bool parse_time(struct bytes text, struct timestamp *ret)
{
    struct decimal decimal;
    timestamp_atto atto;
    return decimal_parse(text, &decimal) == DECIMAL_OK && timestamp_from_decimal(&decimal, &atto) &&
           timestamp_from_atto(atto, ret);
}

static bool parse_value(struct bytes kind, struct bytes value, struct arena *arena, struct observation *ret)
{
    if (kind.len != 1)
        return false;
    ret->kind = (enum value_kind)kind.ptr[0];
    ret->data = value;
    switch (ret->kind) {
    case VALUE_NONE:
    case VALUE_TEXT:
        return true;
    case VALUE_NUMBER:
        return parse_number(value, &ret->number);
    case VALUE_BOOLEAN:
        ret->boolean = bytes_equal_text(value, "true");
        return true;
    case VALUE_BYTES:
        return base64url_decode(value, arena, &ret->data) == BASE64URL_OK;
    }
    return false;
}

bool warm_observation(const struct bytes *fields, size_t count, struct arena *arena, struct bytes *ret_device,
                      struct observation *ret)
{
    struct observation observation = {.name = field(fields, count, "n"),
                                      .unit = field(fields, count, "u"),
                                      .content_type = field(fields, count, "y")};
    struct bytes device = field(fields, count, "d"), source = field(fields, count, "q"),
                 sum = field(fields, count, "s");
    if (!schema_device_is_valid(device) || observation.name.len == 0 || source.len != 1)
        return false;
    observation.time_source = (enum time_source)source.ptr[0];
    observation.has_sum = sum.len > 0;
    if (observation.has_sum && !parse_number(sum, &observation.sum))
        return false;
    if (!parse_time(field(fields, count, "t"), &observation.time) ||
        !parse_value(field(fields, count, "k"), field(fields, count, "v"), arena, &observation))
        return false;
    *ret_device = device;
    *ret = observation;
    return true;
}

static void next_page(struct warm *warm);
static void next_tenant(struct warm *warm);

static void put_entry(struct warm *warm, const struct store_reply *entry)
{
    struct bytes fields[FIELDS_MAX];
    if (entry->type != STORE_LIST || entry->count != 2 || entry->items[1].type != STORE_LIST)
        return;
    const struct store_reply *list = &entry->items[1];
    size_t count = list->count < FIELDS_MAX ? list->count : FIELDS_MAX;
    for (size_t i = 0; i < count; i++)
        fields[i] = list->items[i].text;
    struct bytes device;
    struct observation observation;
    arena_reset(warm->arena);
    if (!warm_observation(fields, count, warm->arena, &device, &observation) ||
        !latest_is_plausible(observation.time, loop_wall(warm->loop)))
        return;
    observation.name = rights_local_name(device, observation.name);
    if (latest_restore(warm->latest, bytes_of_text(warm->tenants[warm->tenant]), device, &observation))
        warm->series++;
}

static void got_page(void *ctx, const struct store_reply *reply)
{
    struct warm *warm = ctx;
    if (!reply)
        return; /* begins anew with the next connection */
    size_t count = reply->type == STORE_LIST ? reply->count : 0;
    for (size_t i = 0; i < count; i++)
        put_entry(warm, &reply->items[i]);
    warm->entries += count;
    if (count == PAGE_ENTRIES && warm->entries < WARM_ENTRIES && reply->items[count - 1].count == 2) {
        struct bytes id = reply->items[count - 1].items[0].text;
        snprintf(warm->before, sizeof warm->before, "(%.*s", (int)id.len, (const char *)id.ptr);
    } else {
        warm->stream++;
        warm->entries = 0;
        snprintf(warm->before, sizeof warm->before, "+");
    }
    next_page(warm);
}

static void next_page(struct warm *warm)
{
    if (warm->stream == warm->stream_count) {
        warm->tenant++;
        next_tenant(warm);
        return;
    }
    char key[SCHEMA_KEY_MAX];
    size_t len = schema_key_of_stream(key, bytes_of_text(warm->tenants[warm->tenant]),
                                      bytes_of_text(warm->streams[warm->stream]));
    struct bytes arguments[] = {BYTES_LITERAL("XREVRANGE"), bytes_of(key, len), bytes_of_text(warm->before),
                                BYTES_LITERAL("-"), BYTES_LITERAL("COUNT"), BYTES_LITERAL(PAGE)};
    redis_send(warm->redis, arguments[1], arguments, sizeof arguments / sizeof arguments[0], got_page, warm);
    redis_flush(warm->redis);
}

static void got_streams(void *ctx, const struct store_reply *reply)
{
    struct warm *warm = ctx;
    if (!reply)
        return; /* begins anew with the next connection */
    size_t count = reply->type == STORE_LIST ? reply->count : 0;
    count = count < STREAMS_MAX ? count : STREAMS_MAX;
    free(warm->streams);
    warm->streams = calloc(1 + count, sizeof *warm->streams);
    warm->stream = warm->entries = 0;
    warm->stream_count = warm->streams != NULL; /* the first has no name: obs */
    for (size_t i = 0; warm->streams && i < count; i++) {
        struct bytes name = reply->items[i].text;
        if (schema_rule_stream_is_valid(name) && !bytes_equal_text(name, SCHEMA_SUFFIX_OBS))
            memcpy(warm->streams[warm->stream_count++], name.ptr, name.len);
    }
    snprintf(warm->before, sizeof warm->before, "+");
    next_page(warm);
}

static void next_tenant(struct warm *warm)
{
    if (warm->tenant == warm->tenant_count) {
        warm->done = true;
        log_write(LOG_INFO, "warm", "latest values read from the streams", "tenants=%zu entries=%zu",
                  warm->tenant_count, warm->series);
        return;
    }
    char key[SCHEMA_KEY_MAX];
    size_t len = schema_key(key, bytes_of_text(warm->tenants[warm->tenant]), SCHEMA_SUFFIX_STREAMS);
    struct bytes arguments[] = {BYTES_LITERAL("SMEMBERS"), bytes_of(key, len)};
    redis_send(warm->redis, arguments[1], arguments, 2, got_streams, warm);
    redis_flush(warm->redis);
}

static void got_tenants(void *ctx, const struct store_reply *reply)
{
    struct warm *warm = ctx;
    if (!reply || reply->type != STORE_LIST)
        return;
    free(warm->tenants);
    size_t count = reply->count < TENANTS_MAX ? reply->count : TENANTS_MAX;
    warm->tenants = calloc(count ? count : 1, sizeof *warm->tenants);
    warm->tenant_count = warm->tenant = warm->series = 0;
    for (size_t i = 0; warm->tenants && i < count; i++)
        if (schema_tenant_is_valid(reply->items[i].text))
            memcpy(warm->tenants[warm->tenant_count++], reply->items[i].text.ptr, reply->items[i].text.len);
    next_tenant(warm);
}

static void connection_changed(void *ctx, bool connected)
{
    struct warm *warm = ctx;
    if (!connected || warm->done)
        return;
    struct bytes arguments[] = {BYTES_LITERAL("SMEMBERS"), BYTES_LITERAL(SCHEMA_KEY_TENANTS)};
    redis_send(warm->redis, arguments[1], arguments, 2, got_tenants, warm);
    redis_flush(warm->redis);
}

struct warm *warm_new(struct loop *loop, const struct store_target *redis, struct latest *latest)
{
    struct warm *warm = calloc(1, sizeof *warm);
    if (!warm)
        return NULL;
    warm->loop = loop;
    warm->latest = latest;
    warm->arena = arena_new(ARENA_BYTES);
    struct redis_config config = {.target = redis, .timeout_ms = 10000, .state = connection_changed, .ctx = warm};
    random_bytes(config.random_seed, sizeof config.random_seed);
    warm->redis = warm->arena ? redis_new(loop, &config) : NULL;
    if (!warm->redis) {
        warm_free(warm);
        return NULL;
    }
    return warm;
}

void warm_free(struct warm *warm)
{
    if (!warm)
        return;
    redis_free(warm->redis);
    arena_free(warm->arena);
    free(warm->tenants);
    free(warm->streams);
    free(warm);
}
