// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Two connections: `queries` for what is answered at once, `tail` for XREAD BLOCK, which would hold up everything
 * behind it.
 *
 *   queries connects -> XINFO STREAM: position and entries-added  -+-> load all -> resync_end -+-> XREAD from position
 *                                                                  +-> no gap -----------------+
 *
 * The position is read before anything is loaded, so what changes while loading is read again afterwards; records are
 * put whole, so reading one twice does no harm. A position moves only after all changes up to it are in the registry.
 *
 * A gap is seen by counting: Redis says how many entries were ever added to the stream (entries-added), we know that
 * number at our position. If the first entry left is newer than our position, exactly as many must be left as were
 * added since: fewer means that some were trimmed before we read them, more that the stream is another one. A count
 * or a last id smaller than ours means that Redis lost history (FLUSHALL, restore).
 *
 * What was asked is kept in a query, which its answer frees; the answer always comes. Whatever starts over begins a new
 * epoch, and answers to queries of an earlier one are dropped.
 */
#include "gateway/follow.h"

#include "codec/digits.h"
#include "codec/hex.h"
#include "gateway/redis.h"
#include "gateway/rt/log.h"

#include <stdio.h>
#include <stdlib.h>

#define QUERY_TIMEOUT_MS 5000
#define BLOCK_MS "5000"
#define TAIL_TIMEOUT_MS 10000
#define CHECK_EVERY_MS 10000
#define RELOAD_AFTER_MS 1000
/* Devices asked for at once while loading: a turn of the loop stays below some milliseconds. */
#define PAGE "500"
#define CHANGES_PER_READ "500"
/* How far back a removal from before the start is looked for. */
#define CHANGES_LOOKED_AT 2000
#define CHANGES_LOOKED_AT_TEXT "2000"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

/* An entry id: milliseconds and sequence number. */
struct position {
    uint64_t ms, seq;
};

/* The stream as XINFO tells it. */
struct stream_info {
    struct position last, max_deleted, first;
    uint64_t added, length;
};

/* In the order in which they are loaded: what devices need is there before they may speak. */
enum what {
    WHAT_TENANT,
    WHAT_RULE,
    WHAT_STREAM,
    WHAT_CODEC,
    WHAT_PROFILE,
    WHAT_GROUP,
    WHAT_BATCH,
    WHAT_CA,
    WHAT_DEVICE,
    WHAT_TOKEN,
    WHAT_COUNT
};

/* Where things of a kind stand in Redis, and what changes of them are called. A tenant has no id. */
static const struct {
    const char *object, *suffix, *kind;
    bool (*id_is_valid)(struct bytes id);
} kinds[WHAT_COUNT] = {
    [WHAT_TENANT] = {SCHEMA_OBJECT_TENANT, SCHEMA_SUFFIX_META, NULL, NULL},
    [WHAT_RULE] = {SCHEMA_OBJECT_RULE, SCHEMA_SUFFIX_RULES, SCHEMA_KIND_RULE, schema_rule_is_valid},
    [WHAT_STREAM] = {SCHEMA_OBJECT_STREAM, SCHEMA_SUFFIX_STREAMS, SCHEMA_KIND_RETENTION, schema_stream_is_valid},
    [WHAT_CODEC] = {SCHEMA_OBJECT_CODEC, SCHEMA_SUFFIX_CODECS, SCHEMA_KIND_CODEC, schema_profile_is_valid},
    [WHAT_PROFILE] = {SCHEMA_OBJECT_PROFILE, SCHEMA_SUFFIX_PROFILES, SCHEMA_KIND_PROFILE, schema_profile_is_valid},
    [WHAT_GROUP] = {SCHEMA_OBJECT_GROUP, SCHEMA_SUFFIX_GROUPS, SCHEMA_KIND_GROUP, schema_group_is_valid},
    [WHAT_BATCH] = {SCHEMA_OBJECT_BATCH, SCHEMA_SUFFIX_BATCHES, SCHEMA_KIND_BATCH, schema_group_is_valid},
    [WHAT_CA] = {SCHEMA_OBJECT_CA, SCHEMA_SUFFIX_CAS, SCHEMA_KIND_CA, schema_group_is_valid},
    [WHAT_DEVICE] = {SCHEMA_OBJECT_DEVICE, SCHEMA_SUFFIX_DEVICES, SCHEMA_KIND_DEVICE, schema_device_is_valid},
    [WHAT_TOKEN] = {SCHEMA_OBJECT_TOKEN, SCHEMA_SUFFIX_TOKENS, SCHEMA_KIND_TOKEN, record_token_id_is_valid},
};

enum phase {
    PHASE_AWAY,    /* the registry is not known to be right */
    PHASE_LOADING, /* between resync_begin and resync_end */
    PHASE_LOADED,  /* it was equal to Redis at `position` */
};

struct follow {
    struct loop *loop;
    struct follow_config config;
    struct redis *queries, *tail;
    struct timer timer;
    unsigned epoch;
    enum phase phase;
    bool is_fresh;
    bool checking; /* an XINFO is under way */
    bool verified; /* no gap since both connections came */
    bool reading;  /* an XREAD is under way */
    struct position position;
    uint64_t added;  /* entries-added at position */
    size_t records;  /* HGETALLs under way */
    bool is_full;    /* the registry could not take a record */
    bool was_loaded; /* once at least */
    bool is_gone;    /* something, by the changes under way */
    struct log_rate bad_records;
    uint64_t not_opened; /* secrets, as far as was told */

    /* The load under way: which tenant, what of it, and how far SSCAN has come (empty: to the end). */
    char (*tenants)[SCHEMA_TENANT_MAX + 1];
    size_t tenant_count, tenant;
    enum what step;
    char cursor[24];

    /* The changes under way: where they lead, and how many they were. */
    struct position read_upto;
    uint64_t read_count;
};

struct query;
typedef void got_fn(struct follow *follow, const struct query *query, const struct store_reply *reply);

struct query {
    struct follow *follow;
    unsigned epoch;
    got_fn *got;
    struct position position; /* XINFO: ours when it was asked */
    uint64_t added;
    enum what what; /* HGETALL */
    bool is_change; /* else part of a load */
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_DEVICE_MAX + 1]; /* empty for a tenant */
};

static void load_next(struct follow *follow);
static void tell_not_opened(struct follow *follow);
static void read_changes(struct follow *follow);
static void verify(struct follow *follow);

/* Small things. */

static int compare(struct position a, struct position b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

static bool parse_position(struct bytes text, struct position *ret)
{
    const uint8_t *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    if (!dash)
        return false;
    size_t before = (size_t)(dash - text.ptr);
    return digits_read(bytes_of(text.ptr, before), DIGITS_MAX, &ret->ms) &&
           digits_read(bytes_of(dash + 1, text.len - before - 1), DIGITS_MAX, &ret->seq);
}

static struct bytes position_text(struct position position, char ret[static 48])
{
    int len = snprintf(ret, 48, "%llu-%llu", (unsigned long long)position.ms, (unsigned long long)position.seq);
    return bytes_of(ret, (size_t)len);
}

static void set_fresh(struct follow *follow, bool fresh)
{
    if (fresh == follow->is_fresh)
        return;
    follow->is_fresh = fresh;
    if (follow->config.fresh)
        follow->config.fresh(follow->config.ctx, fresh);
}

static void tell_changed(void *ctx, struct bytes tenant, struct bytes device)
{
    struct follow *follow = ctx;
    if (follow->config.changed)
        follow->config.changed(follow->config.ctx, tenant, device);
}

static void tell_gone(struct follow *follow)
{
    if (follow->config.gone)
        follow->config.gone(follow->config.ctx);
}

static void check_again_in(struct follow *follow, uint64_t after_ms)
{
    timers_set(loop_timers(follow->loop), &follow->timer, loop_now_ms(follow->loop) + after_ms);
}

static void begin_epoch(struct follow *follow)
{
    follow->epoch++;
    follow->records = 0;
    follow->checking = false;
}

static struct bytes change_field(const struct store_reply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->count; i += 2)
        if (bytes_equal_text(fields->items[i].text, name))
            return fields->items[i + 1].text;
    return bytes_of(NULL, 0);
}

/* Everything from the start, soon. */
static void give_up(struct follow *follow, const char *why)
{
    log_write(LOG_WARN, "follow", "registry will be loaded anew", "reason=\"%s\"", why);
    begin_epoch(follow);
    follow->phase = PHASE_AWAY;
    follow->verified = false;
    set_fresh(follow, false);
    check_again_in(follow, RELOAD_AFTER_MS);
}

static void answered(void *ctx, const struct store_reply *reply)
{
    struct query query = *(struct query *)ctx;
    free(ctx);
    /* After a lost connection the state callback starts over; a node of a cluster may fail us without one. */
    if (query.epoch != query.follow->epoch)
        return;
    if (reply)
        query.got(query.follow, &query, reply);
    else if (redis_is_cluster(query.follow->queries))
        give_up(query.follow, "a node of the cluster did not answer");
    redis_flush(query.follow->queries);
}

static bool ask(struct follow *follow, const struct query *query, struct bytes key, const struct bytes *arguments,
                size_t count)
{
    struct query *copy = malloc(sizeof *copy);
    if (!copy)
        return false;
    *copy = *query;
    copy->follow = follow;
    copy->epoch = follow->epoch;
    if (redis_send(follow->queries, key, arguments, count, answered, copy))
        return true;
    free(copy);
    return false;
}

/* One record: HGETALL, then into the registry or out of it. */

static size_t fields_of(const struct store_reply *reply, struct record_field ret[static RECORD_FIELDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; reply->type == STORE_LIST && i + 1 < reply->count && count < RECORD_FIELDS_MAX; i += 2)
        ret[count++] = (struct record_field){reply->items[i].text, reply->items[i + 1].text};
    return count;
}

static void remove_thing(struct follow *follow, const struct query *query)
{
    struct registry *registry = follow->config.registry;
    struct bytes tenant = bytes_of_text(query->tenant), id = bytes_of_text(query->id);
    switch (query->what) {
    case WHAT_TENANT:
        registry_remove_tenant(registry, tenant);
        break;
    case WHAT_RULE:
        registry_remove_rule(registry, tenant, id);
        break;
    case WHAT_STREAM:
        registry_remove_stream(registry, tenant, id);
        break;
    case WHAT_CODEC:
        registry_remove_codec(registry, tenant, id);
        break;
    case WHAT_PROFILE:
        registry_remove_profile(registry, tenant, id);
        break;
    case WHAT_GROUP:
        registry_remove_group(registry, tenant, id);
        break;
    case WHAT_BATCH:
        registry_remove_batch(registry, tenant, id);
        break;
    case WHAT_CA:
        registry_remove_ca(registry, tenant, id);
        break;
    case WHAT_DEVICE:
        registry_remove_device(registry, tenant, id);
        break;
    case WHAT_TOKEN:
        registry_remove_token(registry, id);
        break;
    case WHAT_COUNT:
        break;
    }
}

/* PUT_QUIET: done, and what the device may do and how it proves itself is as before: no session ends for it. */
enum put { PUT_DONE, PUT_QUIET, PUT_FULL, PUT_NOT_VALID };

static enum put put_tenant(struct registry *registry, struct bytes id, const struct record_field *fields, size_t count)
{
    struct tenant_record record;
    if (!record_to_tenant(id, fields, count, &record))
        return PUT_NOT_VALID;
    return registry_put_tenant(registry, &record) ? PUT_DONE : PUT_FULL;
}

static bool may_the_same(const struct device_record *a, const struct device_record *b)
{
    if (a->disabled != b->disabled || a->concentrator != b->concentrator || a->role != b->role ||
        strcmp(a->prefix, b->prefix) != 0 || strcmp(a->group, b->group) != 0 || a->created_s != b->created_s ||
        a->credential_count != b->credential_count)
        return false;
    /* Where a person may look ends with the session that it was told to. */
    if (a->role != ROLE_DEVICE && strcmp(a->site, b->site) != 0)
        return false;
    for (size_t i = 0; i < a->credential_count; i++)
        if (!credential_equal(&a->credentials[i], &b->credentials[i]))
            return false;
    return true;
}

static enum put put_device(struct follow *follow, const struct query *query, const struct record_field *fields,
                           size_t count)
{
    struct registry *registry = follow->config.registry;
    struct device_record record;
    struct record_room room;
    if (!record_to_device(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count,
                          vault_of_records(follow->config.vault), &room, &record))
        return PUT_NOT_VALID;
    const struct device_record *old = registry_device(registry, bytes_of_text(record.tenant), bytes_of_text(record.id));
    enum put put = old && may_the_same(old, &record) ? PUT_QUIET : PUT_DONE;
    if (!registry_put_device(registry, &record))
        put = PUT_FULL;
    record_wipe_room(&room);
    return put;
}

static enum put put_group(struct follow *follow, const struct query *query, const struct record_field *fields,
                          size_t count)
{
    struct group_record record;
    if (!record_to_group(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count,
                         vault_of_records(follow->config.vault), &record))
        return PUT_NOT_VALID;
    enum put put = registry_put_group(follow->config.registry, &record) ? PUT_DONE : PUT_FULL;
    secret_wipe(&record.key);
    return put;
}

static enum put put_batch(struct follow *follow, const struct query *query, const struct record_field *fields,
                          size_t count)
{
    struct batch_record record;
    if (!record_to_batch(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count,
                         vault_of_records(follow->config.vault), &record))
        return PUT_NOT_VALID;
    enum put put = registry_put_batch(follow->config.registry, &record) ? PUT_DONE : PUT_FULL;
    explicit_bzero(&record, sizeof record);
    return put;
}

static enum put put_ca(struct follow *follow, const struct query *query, const struct record_field *fields,
                       size_t count)
{
    struct ca_record record;
    if (!record_to_ca(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count,
                      vault_of_records(follow->config.vault), &record))
        return PUT_NOT_VALID;
    enum put put = registry_put_ca(follow->config.registry, &record) ? PUT_DONE : PUT_FULL;
    explicit_bzero(&record, sizeof record);
    return put;
}

static enum put put_token(struct follow *follow, const struct query *query, const struct record_field *fields,
                          size_t count)
{
    struct token_record record;
    if (!record_to_token(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count,
                         vault_of_records(follow->config.vault), &record))
        return PUT_NOT_VALID;
    enum put put = registry_put_token(follow->config.registry, &record) ? PUT_DONE : PUT_FULL;
    secret_wipe(&record.apikey);
    return put;
}

static enum put put_rule(struct registry *registry, const struct query *query, const struct record_field *fields,
                         size_t count)
{
    struct rule_record record;
    if (!record_to_rule(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count, &record))
        return PUT_NOT_VALID;
    return registry_put_rule(registry, &record) ? PUT_DONE : PUT_FULL;
}

static enum put put_stream(struct registry *registry, const struct query *query, const struct record_field *fields,
                           size_t count)
{
    struct stream_record record;
    if (!record_to_stream(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count, &record))
        return PUT_NOT_VALID;
    return registry_put_stream(registry, &record) ? PUT_DONE : PUT_FULL;
}

static enum put put_profile(struct registry *registry, const struct query *query, const struct record_field *fields,
                            size_t count)
{
    struct profile_record record;
    if (!record_to_profile(bytes_of_text(query->tenant), bytes_of_text(query->id), fields, count, &record))
        return PUT_NOT_VALID;
    return registry_put_profile(registry, &record) ? PUT_DONE : PUT_FULL;
}

/* One that does not compile is told: its devices are refused until somebody acts. */
static enum put put_codec(struct registry *registry, const struct query *query, const struct record_field *fields,
                          size_t count)
{
    struct codec_record record;
    struct registry_codec codec;
    struct bytes tenant = bytes_of_text(query->tenant), id = bytes_of_text(query->id);
    if (!record_to_codec(tenant, id, fields, count, &record))
        return PUT_NOT_VALID;
    if (!registry_put_codec(registry, &record))
        return PUT_FULL;
    if (registry_codec(registry, tenant, id, &codec) && !codec.custom) {
        char reason[LOG_QUOTED_MAX];
        log_write(LOG_WARN, "follow", "a codec in Redis cannot be used", "tenant=%s codec=%s reason=%s", query->tenant,
                  query->id, log_quote(reason, bytes_of_text(codec.reason)));
    }
    return PUT_DONE;
}

static enum put put_thing(struct follow *follow, const struct query *query, const struct record_field *fields,
                          size_t count)
{
    struct registry *registry = follow->config.registry;
    switch (query->what) {
    case WHAT_TENANT:
        return put_tenant(registry, bytes_of_text(query->tenant), fields, count);
    case WHAT_DEVICE:
        return put_device(follow, query, fields, count);
    case WHAT_GROUP:
        return put_group(follow, query, fields, count);
    case WHAT_BATCH:
        return put_batch(follow, query, fields, count);
    case WHAT_CA:
        return put_ca(follow, query, fields, count);
    case WHAT_TOKEN:
        return put_token(follow, query, fields, count);
    case WHAT_RULE:
        return put_rule(registry, query, fields, count);
    case WHAT_STREAM:
        return put_stream(registry, query, fields, count);
    case WHAT_PROFILE:
        return put_profile(registry, query, fields, count);
    case WHAT_CODEC:
        return put_codec(registry, query, fields, count);
    case WHAT_COUNT:
        break;
    }
    return PUT_NOT_VALID;
}

static void log_bad_record(struct follow *follow, const struct query *query)
{
    uint32_t suppressed;
    if (!log_rate_allows(&follow->bad_records, loop_now_ms(follow->loop), &suppressed))
        return;
    log_write(LOG_WARN, "follow", "record in Redis is not valid and is taken as absent",
              "tenant=%s id=%s suppressed=%u", query->tenant, query->id, suppressed);
}

/* Something else lives at the key: nobody's record, and no reason to stop following all others. */
static bool is_wrong_type(const struct store_reply *reply)
{
    return reply->type == STORE_ERROR && bytes_starts_with(reply->text, WORD("WRONGTYPE"));
}

/* Those who enrol with a batch are known by its name with a mark. */
static void tell_batch_changed(struct follow *follow, const struct query *query)
{
    char device[SCHEMA_GROUP_MAX + 2];
    int len = snprintf(device, sizeof device, "%c%.*s", BATCH_MARK, SCHEMA_GROUP_MAX, query->id);
    tell_changed(follow, bytes_of_text(query->tenant), bytes_of(device, (size_t)len));
}

static void take_record(struct follow *follow, const struct query *query, const struct store_reply *reply)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    size_t count = fields_of(reply, fields);
    bool is_absent = reply->type == STORE_LIST && count == 0;
    enum put put = count == 0 ? PUT_NOT_VALID : put_thing(follow, query, fields, count);
    if (put == PUT_NOT_VALID)
        remove_thing(follow, query);
    if (put == PUT_NOT_VALID && !is_absent)
        log_bad_record(follow, query);
    follow->is_full |= put == PUT_FULL;
    /* An older weir does not say it in the change. */
    follow->is_gone |= is_absent && query->is_change && (query->what == WHAT_TENANT || query->what == WHAT_DEVICE);
    if (query->is_change && put != PUT_QUIET && (query->what == WHAT_TENANT || query->what == WHAT_DEVICE))
        tell_changed(follow, bytes_of_text(query->tenant), bytes_of_text(query->id));
    if (query->is_change && query->what == WHAT_BATCH)
        tell_batch_changed(follow, query);
    /* Their certificates may be good no more. */
    if (query->is_change && query->what == WHAT_CA)
        tell_changed(follow, bytes_of_text(query->tenant), (struct bytes){0});
    if (query->is_change && query->what == WHAT_GROUP) /* any device may have a key of it */
        tell_changed(follow, bytes_of_text(query->tenant), (struct bytes){0});
}

/* The changes of one XREAD are in the registry. */
static void changes_done(struct follow *follow)
{
    tell_not_opened(follow);
    if (follow->is_gone)
        tell_gone(follow);
    follow->is_gone = false;
    follow->position = follow->read_upto;
    follow->added += follow->read_count;
    read_changes(follow);
}

static void got_record(struct follow *follow, const struct query *query, const struct store_reply *reply)
{
    if (reply->type == STORE_ERROR && !is_wrong_type(reply)) {
        give_up(follow, "unexpected answer to HGETALL");
        return;
    }
    follow->records--;
    take_record(follow, query, reply);
    if (follow->records > 0)
        return;
    if (follow->is_full)
        give_up(follow, "out of memory");
    else if (query->is_change)
        changes_done(follow);
    else
        load_next(follow);
}

static bool ask_record(struct follow *follow, enum what what, bool is_change, struct bytes tenant, struct bytes id)
{
    struct query query = {.got = got_record, .what = what, .is_change = is_change};
    char key[SCHEMA_KEY_MAX];
    memcpy(query.tenant, tenant.ptr, tenant.len);
    if (what == WHAT_TENANT) {
        schema_key(key, tenant, kinds[what].suffix);
    } else {
        memcpy(query.id, id.ptr, id.len);
        schema_key_of(key, tenant, kinds[what].kind, id);
    }
    struct bytes arguments[] = {WORD("HGETALL"), bytes_of_text(key)};
    bool asked = ask(follow, &query, arguments[1], arguments, COUNT_OF(arguments));
    follow->records += asked;
    return asked;
}

/* Loading: of each tenant its record, then the sets of its things, page by page; one page is under way at a time. */

static void got_page(struct follow *follow, const struct query *query, const struct store_reply *reply)
{
    (void)query;
    if (is_wrong_type(reply)) {
        follow->cursor[0] = '\0';
        load_next(follow);
        return;
    }
    if (reply->type != STORE_LIST || reply->count != 2 || reply->items[0].text.len >= sizeof follow->cursor) {
        give_up(follow, "unexpected answer to SSCAN");
        return;
    }
    struct bytes cursor = reply->items[0].text;
    bool is_last = cursor.len == 0 || bytes_equal_text(cursor, "0");
    snprintf(follow->cursor, sizeof follow->cursor, "%.*s", is_last ? 0 : (int)cursor.len, (const char *)cursor.ptr);
    struct bytes tenant = bytes_of_text(follow->tenants[follow->tenant]);
    const struct store_reply *ids = &reply->items[1];
    for (size_t i = 0; i < ids->count; i++) {
        struct bytes id = ids->items[i].text;
        if (kinds[follow->step].id_is_valid(id) && !ask_record(follow, follow->step, false, tenant, id)) {
            give_up(follow, "cannot ask for records");
            return;
        }
    }
    if (follow->records == 0)
        load_next(follow);
}

static bool ask_page(struct follow *follow)
{
    struct query query = {.got = got_page};
    char key[SCHEMA_KEY_MAX];
    schema_key(key, bytes_of_text(follow->tenants[follow->tenant]), kinds[follow->step].suffix);
    struct bytes arguments[] = {WORD("SSCAN"), bytes_of_text(key), bytes_of_text(follow->cursor), WORD("COUNT"),
                                WORD(PAGE)};
    return ask(follow, &query, arguments[1], arguments, COUNT_OF(arguments));
}

/* One line for all that were read since the last one: after each load, and after changes. */
static void tell_not_opened(struct follow *follow)
{
    uint8_t id[VAULT_ID_BYTES];
    char text[2 * VAULT_ID_BYTES + 1] = "";
    uint64_t all = vault_failures(follow->config.vault), more = all - follow->not_opened;
    if (more == 0)
        return;
    vault_id(follow->config.vault, 0, id);
    hex_write(bytes_of(id, sizeof id), text);
    log_write(LOG_WARN, "follow", "secrets in Redis cannot be opened with this kek; who has them is refused",
              "secrets=%llu kek=%s", (unsigned long long)more, text);
    if (follow->config.metrics)
        metrics_add(follow->config.metrics, METRIC_SECRETS_NOT_OPENED, (int64_t)more);
    follow->not_opened = all;
}

static void load_done(struct follow *follow)
{
    struct registry *registry = follow->config.registry;
    registry_resync_end(registry, tell_changed, follow);
    struct registry_counts counts = registry_count(registry);
    log_write(LOG_INFO, "follow", "registry loaded",
              "tenants=%zu devices=%zu credentials=%zu groups=%zu tokens=%zu rules=%zu streams=%zu "
              "profiles=%zu codecs=%zu",
              counts.tenants, counts.devices, counts.credentials, counts.groups, counts.tokens, counts.rules,
              counts.streams, counts.profiles, counts.codecs);
    tell_not_opened(follow);
    if (follow->was_loaded)
        tell_gone(follow);
    follow->was_loaded = true;
    follow->phase = PHASE_LOADED;
    follow->verified = true;
    read_changes(follow);
}

static void next_step(struct follow *follow)
{
    if (++follow->step == WHAT_COUNT) {
        follow->step = WHAT_TENANT;
        follow->tenant++;
    }
    strcpy(follow->cursor, "0");
}

/* What was asked last is in the registry. */
static void load_next(struct follow *follow)
{
    if (!follow->cursor[0])
        next_step(follow);
    if (follow->tenant == follow->tenant_count) {
        load_done(follow);
        return;
    }
    bool asked;
    if (follow->step == WHAT_TENANT) {
        follow->cursor[0] = '\0';
        asked = ask_record(follow, WHAT_TENANT, false, bytes_of_text(follow->tenants[follow->tenant]),
                           bytes_of(NULL, 0));
    } else {
        asked = ask_page(follow);
    }
    if (!asked)
        give_up(follow, "cannot ask for records");
}

static void got_tenants(struct follow *follow, const struct query *query, const struct store_reply *reply)
{
    (void)query;
    free(follow->tenants);
    follow->tenants = calloc(reply->count + 1, sizeof *follow->tenants);
    follow->tenant = follow->tenant_count = 0;
    if (!follow->tenants || reply->type != STORE_LIST) {
        give_up(follow, follow->tenants ? "unexpected answer to SMEMBERS" : "out of memory");
        return;
    }
    for (size_t i = 0; i < reply->count; i++) {
        struct bytes tenant = reply->items[i].text;
        if (schema_tenant_is_valid(tenant))
            memcpy(follow->tenants[follow->tenant_count++], tenant.ptr, tenant.len);
    }
    follow->step = WHAT_TENANT;
    strcpy(follow->cursor, "0");
    load_next(follow);
}

static void load_tenants(struct follow *follow)
{
    struct query query = {.got = got_tenants};
    struct bytes arguments[] = {WORD("SMEMBERS"), WORD(SCHEMA_KEY_TENANTS)};
    if (!ask(follow, &query, arguments[1], arguments, COUNT_OF(arguments)))
        give_up(follow, "cannot ask for tenants");
}

/* What is further back than was looked at may be one, and where nothing is, all may be gone. */
static void got_removals(struct follow *follow, const struct query *query, const struct store_reply *reply)
{
    size_t count = reply->type == STORE_LIST ? reply->count : 0;
    bool is_gone = count == 0 || count == CHANGES_LOOKED_AT;
    (void)query;
    for (size_t i = 0; i < count && !is_gone; i++) {
        const struct store_reply *entry = &reply->items[i];
        is_gone = entry->type == STORE_LIST && entry->count == 2 &&
                  change_field(&entry->items[1], SCHEMA_CHANGE_GONE).len > 0;
    }
    if (is_gone)
        tell_gone(follow);
    load_tenants(follow);
}

static void ask_removals(struct follow *follow)
{
    struct query query = {.got = got_removals};
    struct bytes arguments[] = {WORD("XREVRANGE"), WORD(SCHEMA_KEY_CHANGES), WORD("+"), WORD("-"),
                                WORD("COUNT"), WORD(CHANGES_LOOKED_AT_TEXT)};
    if (!ask(follow, &query, arguments[1], arguments, COUNT_OF(arguments)))
        give_up(follow, "cannot ask for changes");
}

static void start_loading(struct follow *follow, const struct stream_info *info)
{
    begin_epoch(follow);
    follow->phase = PHASE_LOADING;
    follow->verified = false;
    follow->is_full = false;
    follow->position = info->last;
    follow->added = info->added;
    registry_resync_begin(follow->config.registry);
    if (!follow->was_loaded) {
        ask_removals(follow);
        return;
    }
    tell_gone(follow);
    load_tenants(follow);
}

/* Gaps. */

static bool info_field(const struct store_reply *reply, const char *name, const struct store_reply **ret)
{
    for (size_t i = 0; i + 1 < reply->count; i += 2) {
        if (bytes_equal_text(reply->items[i].text, name)) {
            *ret = &reply->items[i + 1];
            return true;
        }
    }
    return false;
}

/* False: not the answer of a Redis that we know. No stream yet is one that nothing was ever added to. */
static bool parse_info(const struct store_reply *reply, struct stream_info *ret)
{
    const struct store_reply *last, *max_deleted, *first, *added, *length;
    *ret = (struct stream_info){0};
    if (reply->type == STORE_ERROR)
        return bytes_starts_with(reply->text, WORD("ERR no such key"));
    if (reply->type != STORE_LIST || !info_field(reply, "last-generated-id", &last) ||
        !info_field(reply, "max-deleted-entry-id", &max_deleted) ||
        !info_field(reply, "recorded-first-entry-id", &first) || !info_field(reply, "entries-added", &added) ||
        !info_field(reply, "length", &length) || added->integer < 0 || length->integer < 0)
        return false;
    ret->added = (uint64_t)added->integer;
    ret->length = (uint64_t)length->integer;
    return parse_position(last->text, &ret->last) && parse_position(max_deleted->text, &ret->max_deleted) &&
           parse_position(first->text, &ret->first);
}

/* Why changes after the position may have been lost, or NULL. */
static const char *find_gap(const struct stream_info *info, struct position position, uint64_t added)
{
    if (compare(info->last, position) < 0 || info->added < added)
        return "Redis lost history";
    uint64_t unread = info->added - added;
    if (unread == 0 && compare(info->last, position) != 0)
        return "the stream was made anew";
    if (compare(info->max_deleted, position) > 0)
        return "changes were deleted before they were read";
    bool all_are_newer = info->length == 0 || compare(info->first, position) > 0;
    if (all_are_newer && info->length < unread)
        return "changes were trimmed before they were read";
    if (all_are_newer && info->length > unread)
        return "the stream was made anew";
    return NULL;
}

static void got_info(struct follow *follow, const struct query *query, const struct store_reply *reply)
{
    struct stream_info info;
    follow->checking = false;
    if (!parse_info(reply, &info)) {
        give_up(follow, "unexpected answer to XINFO STREAM; Redis 7.0 or later is needed");
        return;
    }
    if (follow->phase == PHASE_LOADED) {
        const char *gap = find_gap(&info, query->position, query->added);
        if (!gap) {
            follow->verified = true;
            read_changes(follow);
            return;
        }
        log_write(LOG_WARN, "follow", "registry will be loaded anew", "reason=\"%s\"", gap);
        set_fresh(follow, false);
    }
    start_loading(follow, &info);
}

/* Looks for a gap, or loads if nothing is loaded. The position goes with the question: it may move before the
 * answer. */
static void verify(struct follow *follow)
{
    struct query query = {.got = got_info, .position = follow->position, .added = follow->added};
    struct bytes arguments[] = {WORD("XINFO"), WORD("STREAM"), WORD(SCHEMA_KEY_CHANGES)};
    if (follow->checking || follow->phase == PHASE_LOADING)
        return;
    follow->checking = ask(follow, &query, arguments[2], arguments, COUNT_OF(arguments));
    redis_flush(follow->queries);
}

/* Following. */

/* Asks for what the change is about. False: could not ask. What is no change of ours is passed over. */
static bool take_change(struct follow *follow, const struct store_reply *fields)
{
    struct bytes object = change_field(fields, SCHEMA_CHANGE_OBJECT);
    struct bytes tenant = change_field(fields, SCHEMA_CHANGE_TENANT), id = change_field(fields, SCHEMA_CHANGE_ID);
    if (!schema_tenant_is_valid(tenant))
        return true;
    for (enum what what = 0; what < WHAT_COUNT; what++) {
        if (!bytes_equal_text(object, kinds[what].object))
            continue;
        bool has_id = kinds[what].id_is_valid != NULL;
        if (has_id && !kinds[what].id_is_valid(id))
            return true;
        return ask_record(follow, what, true, tenant, has_id ? id : bytes_of(NULL, 0));
    }
    return true;
}

static bool take_entry(struct follow *follow, const struct store_reply *entry)
{
    if (entry->type != STORE_LIST || entry->count != 2 || !parse_position(entry->items[0].text, &follow->read_upto))
        return false;
    follow->is_gone |= change_field(&entry->items[1], SCHEMA_CHANGE_GONE).len > 0;
    return take_change(follow, &entry->items[1]);
}

/* The entries in an answer to XREAD of one stream; NULL: not such an answer. */
static const struct store_reply *entries_of(const struct store_reply *reply)
{
    if (reply->type != STORE_LIST || reply->count != 1)
        return NULL;
    const struct store_reply *stream = &reply->items[0];
    return stream->type == STORE_LIST && stream->count == 2 && stream->items[1].type == STORE_LIST
               ? &stream->items[1]
               : NULL;
}

static void got_changes(struct follow *follow, const struct query *query, const struct store_reply *reply)
{
    (void)query;
    if (reply->type == STORE_NIL) {
        read_changes(follow);
        return;
    }
    const struct store_reply *entries = entries_of(reply);
    if (!entries) {
        give_up(follow, "unexpected answer to XREAD");
        return;
    }
    follow->read_count = entries->count;
    for (size_t i = 0; i < entries->count; i++) {
        if (!take_entry(follow, &entries->items[i])) {
            give_up(follow, "cannot read changes");
            return;
        }
    }
    if (follow->is_gone)
        tell_gone(follow);
    if (follow->records == 0)
        changes_done(follow);
    redis_flush(follow->queries);
}

/* XREAD has a connection of its own; while one blocks there, no other is sent, whatever the epoch. */
static void tail_answered(void *ctx, const struct store_reply *reply)
{
    struct query query = *(struct query *)ctx;
    free(ctx);
    query.follow->reading = false;
    if (!reply)
        return;
    if (query.epoch == query.follow->epoch && query.follow->verified)
        got_changes(query.follow, &query, reply);
    else
        read_changes(query.follow);
}

static void read_changes(struct follow *follow)
{
    if (follow->phase != PHASE_LOADED || !follow->verified || follow->reading || follow->records > 0)
        return;
    char after[48];
    struct bytes arguments[] = {
        WORD("XREAD"), WORD("COUNT"), WORD(CHANGES_PER_READ), WORD("BLOCK"), WORD(BLOCK_MS),
        WORD("STREAMS"), WORD(SCHEMA_KEY_CHANGES), position_text(follow->position, after),
    };
    struct query *query = malloc(sizeof *query);
    if (!query)
        return; /* the next check tries again */
    *query = (struct query){.follow = follow, .epoch = follow->epoch};
    if (!redis_send(follow->tail, WORD(SCHEMA_KEY_CHANGES), arguments, COUNT_OF(arguments), tail_answered, query)) {
        free(query);
        return; /* the tail's coming back leads here again */
    }
    follow->reading = true;
    redis_flush(follow->tail);
    set_fresh(follow, true);
}

/* Connections. */

static void queries_state(void *ctx, bool connected)
{
    struct follow *follow = ctx;
    if (connected) {
        verify(follow);
        return;
    }
    begin_epoch(follow);
    if (follow->phase == PHASE_LOADING)
        follow->phase = PHASE_AWAY;
    follow->verified = false;
    set_fresh(follow, false);
}

static void tail_state(void *ctx, bool connected)
{
    struct follow *follow = ctx;
    if (connected) {
        verify(follow);
        return;
    }
    follow->verified = false;
    set_fresh(follow, false);
}

static void timer_fired(struct timer *timer)
{
    struct follow *follow = (struct follow *)((char *)timer - offsetof(struct follow, timer));
    check_again_in(follow, CHECK_EVERY_MS);
    verify(follow);
}

static struct redis *open_redis(struct follow *follow, uint64_t timeout_ms, store_state_fn *state,
                                struct random *random)
{
    struct redis_config config = {
        .target = follow->config.redis,
        .timeout_ms = timeout_ms,
        .state = state,
        .ctx = follow,
    };
    for (unsigned i = 0; i < 4; i++)
        config.random_seed[i] = random_next(random);
    return redis_new(follow->loop, &config);
}

struct follow *follow_new(struct loop *loop, const struct follow_config *config)
{
    struct random random;
    struct follow *follow = calloc(1, sizeof *follow);
    if (!follow)
        return NULL;
    random_seed(&random, config->random_seed);
    follow->loop = loop;
    follow->config = *config;
    follow->timer.fire = timer_fired;
    follow->queries = open_redis(follow, QUERY_TIMEOUT_MS, queries_state, &random);
    follow->tail = open_redis(follow, TAIL_TIMEOUT_MS, tail_state, &random);
    if (!follow->queries || !follow->tail) {
        follow_free(follow);
        return NULL;
    }
    check_again_in(follow, CHECK_EVERY_MS);
    return follow;
}

void follow_free(struct follow *follow)
{
    if (!follow)
        return;
    begin_epoch(follow);
    timers_cancel(loop_timers(follow->loop), &follow->timer);
    redis_free(follow->queries);
    redis_free(follow->tail);
    free(follow->tenants);
    free(follow);
}
