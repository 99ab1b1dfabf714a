// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Seven tables over four kinds of entries: tenants, devices, tokens, streams by their ids, devices by certificate name
 * and by raw key, tokens by the key of a legacy sender; the rules, which registry/rules keeps sorted; and profiles and
 * codecs, which are in registry/speech. An entry never changes once it is published: a
 * put publishes a new one and frees the old one after a grace period, so a reader that holds a record sees it whole.
 * generation and changed are the writer's own.
 *
 * A put that changes nothing only marks the entry, so a resync of a million unchanged devices frees nothing and
 * publishes nothing.
 */
#include "registry/registry.h"

#include "registry/rules.h"
#include "registry/speech.h"
#include "registry/table.h"

#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

struct entry {
    struct rcu_head rcu;
    uint32_t generation; /* of the last put */
    uint32_t changed;    /* generation in which a put replaced a different record; 0: none */
};

struct tenant_entry {
    struct entry entry;
    struct tenant_record record;
};

struct device_entry {
    struct entry entry;
    struct device_record record;
};

struct token_entry {
    struct entry entry;
    struct token_record record;
};

struct stream_entry {
    struct entry entry;
    struct stream_record record;
};

struct registry {
    struct hash_key key;
    uint32_t generation;
    bool resyncing;
    struct table tenants, devices, tokens, streams;
    struct table by_x509, by_rpk, by_apikey;
    struct rules rules;
    struct speech speech;
    size_t counts[4]; /* by COUNT_; written by the writer, read by any */
};

enum { COUNT_TENANTS, COUNT_DEVICES, COUNT_TOKENS, COUNT_STREAMS };

/* Threads. The count lets a thread that is registered for one registry make another. */

static __thread unsigned registrations;

void registry_thread_start(void)
{
    if (registrations++ == 0)
        urcu_qsbr_register_thread();
}

void registry_thread_stop(void)
{
    if (--registrations == 0)
        urcu_qsbr_unregister_thread();
}

void registry_quiescent(void)
{
    urcu_qsbr_quiescent_state();
}

void registry_offline(void)
{
    urcu_qsbr_thread_offline();
}

void registry_online(void)
{
    urcu_qsbr_thread_online();
}

/* Keys and comparing. */

struct device_key { /* and of a stream, whose id is its name */
    struct bytes tenant, id;
};

static bool is_tenant(const void *entry, const void *key)
{
    const struct tenant_entry *tenant = entry;
    return bytes_equal_text(*(const struct bytes *)key, tenant->record.id);
}

static bool is_device(const void *entry, const void *key)
{
    const struct device_entry *device = entry;
    const struct device_key *wanted = key;
    return bytes_equal_text(wanted->id, device->record.id) && bytes_equal_text(wanted->tenant, device->record.tenant);
}

static bool is_token(const void *entry, const void *key)
{
    const struct token_entry *token = entry;
    return bytes_equal_text(*(const struct bytes *)key, token->record.id);
}

static bool is_stream(const void *entry, const void *key)
{
    const struct stream_entry *stream = entry;
    const struct device_key *wanted = key;
    return bytes_equal_text(wanted->id, stream->record.name) && bytes_equal_text(wanted->tenant, stream->record.tenant);
}

static bool has_x509(const void *entry, const void *key)
{
    const struct device_entry *device = entry;
    return bytes_equal_text(*(const struct bytes *)key, device->record.x509);
}

static bool has_rpk(const void *entry, const void *key)
{
    const struct device_entry *device = entry;
    return memcmp(device->record.rpk, key, RECORD_DIGEST_BYTES) == 0;
}

/* Everything is compared, as long as the lengths are the same. */
static bool has_apikey(const void *entry, const void *key)
{
    const struct token_entry *token = entry;
    const struct bytes *wanted = key;
    const struct secret *apikey = &token->record.apikey;
    return apikey->len == wanted->len && secret_bytes_equal(apikey->octets, wanted->ptr, apikey->len);
}

static uint64_t hash_of_device(const struct registry *registry, const struct device_record *record)
{
    return hash_pair(&registry->key, bytes_of_text(record->tenant), bytes_of_text(record->id));
}

static uint64_t hash_of_text(const struct registry *registry, const char *text)
{
    return hash_bytes(&registry->key, bytes_of_text(text));
}

static uint64_t hash_of_rpk(const struct registry *registry, const uint8_t digest[static RECORD_DIGEST_BYTES])
{
    return hash_bytes(&registry->key, bytes_of(digest, RECORD_DIGEST_BYTES));
}

static struct bytes apikey_of(const struct token_entry *token)
{
    return bytes_of(token->record.apikey.octets, token->record.apikey.len);
}

static uint64_t hash_of_speech(const void *ctx, const struct speech_key *key)
{
    const struct registry *registry = ctx;
    return hash_pair(&registry->key, key->tenant, key->id);
}

/* Lifecycle. */

struct registry *registry_new(const struct hash_key *key)
{
    struct registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return NULL;
    registry->key = *key;
    registry->generation = 1;
    registry_thread_start();
    if (!table_init(&registry->tenants) || !table_init(&registry->devices) || !table_init(&registry->tokens) ||
        !table_init(&registry->streams) || !table_init(&registry->by_x509) || !table_init(&registry->by_rpk) ||
        !table_init(&registry->by_apikey) || !rules_init(&registry->rules) || !speech_init(&registry->speech)) {
        registry_free(registry);
        return NULL;
    }
    return registry;
}

static void free_entry(struct rcu_head *head)
{
    free(caa_container_of(head, struct entry, rcu));
}

static void free_device(struct rcu_head *head)
{
    struct device_entry *device = caa_container_of(head, struct device_entry, entry.rcu);
    secret_wipe(&device->record.psk);
    secret_wipe(&device->record.frame_key);
    free(device);
}

static void free_token(struct rcu_head *head)
{
    struct token_entry *token = caa_container_of(head, struct token_entry, entry.rcu);
    secret_wipe(&token->record.apikey);
    free(token);
}

static void free_all(struct table *table, void (*free_one)(struct rcu_head *head))
{
    size_t cursor = 0;
    struct entry *entry;
    while (table->slots && (entry = table_next(table, &cursor)))
        free_one(&entry->rcu);
    table_deinit(table);
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    /* What was replaced before still waits for its grace period; entries that nobody can read need none. */
    urcu_qsbr_barrier();
    free_all(&registry->tenants, free_entry);
    free_all(&registry->devices, free_device);
    free_all(&registry->tokens, free_token);
    free_all(&registry->streams, free_entry);
    rules_deinit(&registry->rules);
    speech_deinit(&registry->speech);
    table_deinit(&registry->by_x509);
    table_deinit(&registry->by_rpk);
    table_deinit(&registry->by_apikey);
    free(registry);
    registry_thread_stop();
}

/* Lookups. */

static const struct device_record *record_of_entry(const struct device_entry *device)
{
    return device ? &device->record : NULL;
}

const struct tenant_record *registry_tenant(const struct registry *registry, struct bytes tenant)
{
    const struct tenant_entry *entry =
        table_find(&registry->tenants, hash_bytes(&registry->key, tenant), is_tenant, &tenant);
    return entry ? &entry->record : NULL;
}

const struct device_record *registry_device(const struct registry *registry, struct bytes tenant, struct bytes id)
{
    struct device_key key = {tenant, id};
    return record_of_entry(table_find(&registry->devices, hash_pair(&registry->key, tenant, id), is_device, &key));
}

const struct device_record *registry_device_by_x509(const struct registry *registry, struct bytes name)
{
    return record_of_entry(table_find(&registry->by_x509, hash_bytes(&registry->key, name), has_x509, &name));
}

const struct device_record *registry_device_by_rpk(const struct registry *registry,
                                                   const uint8_t digest[static RECORD_DIGEST_BYTES])
{
    return record_of_entry(table_find(&registry->by_rpk, hash_of_rpk(registry, digest), has_rpk, digest));
}

const struct token_record *registry_token(const struct registry *registry, struct bytes id)
{
    const struct token_entry *entry = table_find(&registry->tokens, hash_bytes(&registry->key, id), is_token, &id);
    return entry ? &entry->record : NULL;
}

const struct token_record *registry_token_by_apikey(const struct registry *registry, struct bytes apikey)
{
    if (apikey.len < RECORD_APIKEY_MIN || apikey.len > RECORD_APIKEY_MAX)
        return NULL;
    const struct token_entry *entry =
        table_find(&registry->by_apikey, hash_bytes(&registry->key, apikey), has_apikey, &apikey);
    return entry ? &entry->record : NULL;
}

const struct profile_record *registry_profile(const struct registry *registry, struct bytes tenant, struct bytes id)
{
    struct speech_key key = {tenant, id};
    return speech_profile(&registry->speech, hash_of_speech(registry, &key), &key);
}

bool registry_codec(const struct registry *registry, struct bytes tenant, struct bytes id, struct registry_codec *ret)
{
    struct speech_key key = {tenant, id};
    return speech_codec(&registry->speech, hash_of_speech(registry, &key), &key, ret);
}

struct profile_record registry_profile_of(const struct registry *registry, const struct device_record *device)
{
    struct profile_record profile = {0};
    if (!device || !device->profile[0])
        return profile;
    const struct profile_record *found =
        registry_profile(registry, bytes_of_text(device->tenant), bytes_of_text(device->profile));
    if (found)
        return *found;
    memcpy(profile.tenant, device->tenant, sizeof profile.tenant);
    memcpy(profile.format, device->profile, sizeof profile.format);
    return profile;
}

/* The first of those that come after `after`, sorted. */
struct page {
    struct bytes tenant;
    const struct device_record **records;
    const char *after;
    size_t count, limit;
    bool more;
};

static void put_on_page(void *ctx, const void *entry)
{
    struct page *page = ctx;
    const struct device_entry *device = entry;
    const struct device_record *record = &device->record;
    if (strcmp(record->id, page->after) <= 0 || !bytes_equal_text(page->tenant, record->tenant))
        return;
    size_t low = 0, high = page->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(page->records[middle]->id, record->id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < page->count && strcmp(page->records[low]->id, record->id) == 0)
        return; /* replaced while we walk */
    page->more |= page->count == page->limit;
    if (low == page->limit)
        return;
    page->count += page->count < page->limit;
    memmove(page->records + low + 1, page->records + low, (page->count - low - 1) * sizeof *page->records);
    page->records[low] = record;
}

size_t registry_page(const struct registry *registry, struct bytes tenant, struct bytes after, size_t limit,
                     const struct device_record **ret, bool *ret_more)
{
    char text[SCHEMA_DEVICE_MAX + 1] = "";
    struct page page = {.tenant = tenant, .records = ret, .after = text, .limit = limit};
    if (after.len)
        memcpy(text, after.ptr, after.len < SCHEMA_DEVICE_MAX ? after.len : SCHEMA_DEVICE_MAX);
    table_walk(&registry->devices, put_on_page, &page);
    *ret_more = page.more;
    return page.count;
}

bool registry_device_may_speak(const struct registry *registry, struct bytes tenant, struct bytes id)
{
    const struct tenant_record *owner = registry_tenant(registry, tenant);
    if (!owner || owner->disabled)
        return false;
    const struct device_record *device = registry_device(registry, tenant, id);
    return device && !device->disabled;
}

const struct rule_record *registry_route(const struct registry *registry, const struct registry_series *series)
{
    if (rules_count(&registry->rules) == 0)
        return NULL;
    const struct device_record *device = registry_device(registry, series->tenant, series->device);
    struct rules_question question = {
        .device = series->device,
        .name = series->name,
        .class = series->class,
        .site = device ? device->site : NULL,
    };
    return rules_find(&registry->rules, hash_bytes(&registry->key, series->tenant), series->tenant, &question);
}

const struct stream_record *registry_next_stream(const struct registry *registry, size_t *cursor)
{
    const struct stream_entry *stream = table_next(&registry->streams, cursor);
    return stream ? &stream->record : NULL;
}

static void count_changed(struct registry *registry, unsigned which, size_t count)
{
    __atomic_store_n(&registry->counts[which], count, __ATOMIC_RELAXED);
}

struct registry_counts registry_count(const struct registry *registry)
{
    return (struct registry_counts){
        .tenants = __atomic_load_n(&registry->counts[COUNT_TENANTS], __ATOMIC_RELAXED),
        .devices = __atomic_load_n(&registry->counts[COUNT_DEVICES], __ATOMIC_RELAXED),
        .tokens = __atomic_load_n(&registry->counts[COUNT_TOKENS], __ATOMIC_RELAXED),
        .rules = rules_count(&registry->rules),
        .streams = __atomic_load_n(&registry->counts[COUNT_STREAMS], __ATOMIC_RELAXED),
        .profiles = __atomic_load_n(&registry->speech.profile_count, __ATOMIC_RELAXED),
        .codecs = __atomic_load_n(&registry->speech.codec_count, __ATOMIC_RELAXED),
    };
}

/* Puts. */

/* The old entry has given way to the new one: remembers what a resync has to tell. */
static void take_over(const struct registry *registry, struct entry *fresh, const struct entry *old)
{
    fresh->generation = registry->generation;
    fresh->changed = old && registry->resyncing ? registry->generation : 0;
}

bool registry_put_tenant(struct registry *registry, const struct tenant_record *record)
{
    struct bytes id = bytes_of_text(record->id);
    uint64_t hash = hash_bytes(&registry->key, id);
    struct tenant_entry *old = table_find(&registry->tenants, hash, is_tenant, &id);
    if (old && memcmp(&old->record, record, sizeof *record) == 0) {
        old->entry.generation = registry->generation;
        return true;
    }
    struct tenant_entry *fresh = calloc(1, sizeof *fresh);
    if (!fresh || !table_reserve(&registry->tenants)) {
        free(fresh);
        return false;
    }
    memcpy(&fresh->record, record, sizeof *record);
    take_over(registry, &fresh->entry, old ? &old->entry : NULL);
    table_put(&registry->tenants, hash, is_tenant, &id, fresh);
    count_changed(registry, COUNT_TENANTS, registry->tenants.used);
    if (old)
        urcu_qsbr_call_rcu(&old->entry.rcu, free_entry);
    return true;
}

/* Whether the token may have a key that holder has now: its own older record, one that may not be used any more, or
 * one created before. */
static bool may_claim_apikey(const struct token_record *token, const struct token_record *holder)
{
    if (!holder || strcmp(token->id, holder->id) == 0)
        return true;
    return token->revoked != holder->revoked ? holder->revoked : token->created_s >= holder->created_s;
}

/* There is room. */
static void claim_apikey(struct registry *registry, struct token_entry *token)
{
    struct bytes apikey = apikey_of(token);
    if (apikey.len == 0)
        return;
    uint64_t hash = hash_bytes(&registry->key, apikey);
    const struct token_entry *holder = table_find(&registry->by_apikey, hash, has_apikey, &apikey);
    if (may_claim_apikey(&token->record, holder ? &holder->record : NULL))
        table_put(&registry->by_apikey, hash, has_apikey, &apikey, token);
}

static void drop_apikey(struct registry *registry, struct token_entry *token)
{
    struct bytes apikey = apikey_of(token);
    if (apikey.len)
        table_remove(&registry->by_apikey, hash_bytes(&registry->key, apikey), token);
}

bool registry_put_token(struct registry *registry, const struct token_record *record)
{
    struct bytes id = bytes_of_text(record->id);
    uint64_t hash = hash_bytes(&registry->key, id);
    if (!table_reserve(&registry->tokens) || !table_reserve(&registry->by_apikey))
        return false;
    struct token_entry *old = table_find(&registry->tokens, hash, is_token, &id);
    if (old && memcmp(&old->record, record, sizeof *record) == 0) {
        old->entry.generation = registry->generation;
        claim_apikey(registry, old);
        return true;
    }
    struct token_entry *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return false;
    memcpy(&fresh->record, record, sizeof *record);
    take_over(registry, &fresh->entry, old ? &old->entry : NULL);
    table_put(&registry->tokens, hash, is_token, &id, fresh);
    count_changed(registry, COUNT_TOKENS, registry->tokens.used);
    claim_apikey(registry, fresh);
    if (old) {
        drop_apikey(registry, old);
        urcu_qsbr_call_rcu(&old->entry.rcu, free_token);
    }
    return true;
}

bool registry_put_profile(struct registry *registry, const struct profile_record *record)
{
    struct speech_key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    return speech_put_profile(&registry->speech, hash_of_speech(registry, &key), record, registry->generation);
}

bool registry_put_codec(struct registry *registry, const struct codec_record *record)
{
    struct speech_key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    return speech_put_codec(&registry->speech, hash_of_speech(registry, &key), record, registry->generation);
}

bool registry_put_rule(struct registry *registry, const struct rule_record *record)
{
    return rules_put(&registry->rules, hash_of_text(registry, record->tenant), record, registry->generation);
}

bool registry_put_stream(struct registry *registry, const struct stream_record *record)
{
    struct device_key key = {bytes_of_text(record->tenant), bytes_of_text(record->name)};
    uint64_t hash = hash_pair(&registry->key, key.tenant, key.id);
    struct stream_entry *fresh = table_reserve(&registry->streams) ? calloc(1, sizeof *fresh) : NULL;
    if (!fresh)
        return false;
    memcpy(&fresh->record, record, sizeof *record);
    take_over(registry, &fresh->entry, NULL);
    struct stream_entry *old = table_put(&registry->streams, hash, is_stream, &key, fresh);
    count_changed(registry, COUNT_STREAMS, registry->streams.used);
    if (old)
        urcu_qsbr_call_rcu(&old->entry.rcu, free_entry);
    return true;
}

/* Whether the device may have a credential that holder has now: its own older record, or one created before. */
static bool may_claim(const struct device_entry *device, const struct device_entry *holder)
{
    if (!holder || device->record.created_s >= holder->record.created_s)
        return true;
    return strcmp(device->record.id, holder->record.id) == 0 &&
           strcmp(device->record.tenant, holder->record.tenant) == 0;
}

/* Enters the device in the indexes of its credentials; there is room. */
static void claim_credentials(struct registry *registry, struct device_entry *device)
{
    struct device_record *record = &device->record;
    if (record->x509[0]) {
        struct bytes name = bytes_of_text(record->x509);
        uint64_t hash = hash_bytes(&registry->key, name);
        if (may_claim(device, table_find(&registry->by_x509, hash, has_x509, &name)))
            table_put(&registry->by_x509, hash, has_x509, &name, device);
    }
    if (record->has_rpk) {
        uint64_t hash = hash_of_rpk(registry, record->rpk);
        if (may_claim(device, table_find(&registry->by_rpk, hash, has_rpk, record->rpk)))
            table_put(&registry->by_rpk, hash, has_rpk, record->rpk, device);
    }
}

/* Takes the device out of the indexes where it still stands; a newer claim stays. */
static void drop_credentials(struct registry *registry, struct device_entry *device)
{
    if (device->record.x509[0])
        table_remove(&registry->by_x509, hash_of_text(registry, device->record.x509), device);
    if (device->record.has_rpk)
        table_remove(&registry->by_rpk, hash_of_rpk(registry, device->record.rpk), device);
}

static bool reserve_device(struct registry *registry)
{
    return table_reserve(&registry->devices) && table_reserve(&registry->by_x509) && table_reserve(&registry->by_rpk);
}

bool registry_put_device(struct registry *registry, const struct device_record *record)
{
    struct device_key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    uint64_t hash = hash_of_device(registry, record);
    if (!reserve_device(registry))
        return false;
    struct device_entry *old = table_find(&registry->devices, hash, is_device, &key);
    if (old && memcmp(&old->record, record, sizeof *record) == 0) {
        old->entry.generation = registry->generation;
        claim_credentials(registry, old);
        return true;
    }
    struct device_entry *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return false;
    memcpy(&fresh->record, record, sizeof *record);
    take_over(registry, &fresh->entry, old ? &old->entry : NULL);
    table_put(&registry->devices, hash, is_device, &key, fresh);
    count_changed(registry, COUNT_DEVICES, registry->devices.used);
    claim_credentials(registry, fresh);
    if (old) {
        drop_credentials(registry, old);
        urcu_qsbr_call_rcu(&old->entry.rcu, free_device);
    }
    return true;
}

/* Removals. */

static void drop_device(struct registry *registry, struct device_entry *device)
{
    drop_credentials(registry, device);
    table_remove(&registry->devices, hash_of_device(registry, &device->record), device);
    count_changed(registry, COUNT_DEVICES, registry->devices.used);
    urcu_qsbr_call_rcu(&device->entry.rcu, free_device);
}

static void drop_token(struct registry *registry, struct token_entry *token)
{
    drop_apikey(registry, token);
    table_remove(&registry->tokens, hash_of_text(registry, token->record.id), token);
    count_changed(registry, COUNT_TOKENS, registry->tokens.used);
    urcu_qsbr_call_rcu(&token->entry.rcu, free_token);
}

static void drop_tenant(struct registry *registry, struct tenant_entry *tenant)
{
    table_remove(&registry->tenants, hash_of_text(registry, tenant->record.id), tenant);
    count_changed(registry, COUNT_TENANTS, registry->tenants.used);
    urcu_qsbr_call_rcu(&tenant->entry.rcu, free_entry);
}

void registry_remove_device(struct registry *registry, struct bytes tenant, struct bytes id)
{
    struct device_key key = {tenant, id};
    struct device_entry *device =
        table_find(&registry->devices, hash_pair(&registry->key, tenant, id), is_device, &key);
    if (device)
        drop_device(registry, device);
}

void registry_remove_token(struct registry *registry, struct bytes id)
{
    struct token_entry *token = table_find(&registry->tokens, hash_bytes(&registry->key, id), is_token, &id);
    if (token)
        drop_token(registry, token);
}

static void drop_stream(struct registry *registry, struct stream_entry *stream)
{
    struct device_key key = {bytes_of_text(stream->record.tenant), bytes_of_text(stream->record.name)};
    table_remove(&registry->streams, hash_pair(&registry->key, key.tenant, key.id), stream);
    count_changed(registry, COUNT_STREAMS, registry->streams.used);
    urcu_qsbr_call_rcu(&stream->entry.rcu, free_entry);
}

void registry_remove_rule(struct registry *registry, struct bytes tenant, struct bytes id)
{
    rules_remove(&registry->rules, hash_bytes(&registry->key, tenant), tenant, id);
}

void registry_remove_profile(struct registry *registry, struct bytes tenant, struct bytes id)
{
    struct speech_key key = {tenant, id};
    speech_remove_profile(&registry->speech, hash_of_speech(registry, &key), &key);
}

void registry_remove_codec(struct registry *registry, struct bytes tenant, struct bytes id)
{
    struct speech_key key = {tenant, id};
    speech_remove_codec(&registry->speech, hash_of_speech(registry, &key), &key);
}

void registry_remove_stream(struct registry *registry, struct bytes tenant, struct bytes name)
{
    struct device_key key = {tenant, name};
    struct stream_entry *stream =
        table_find(&registry->streams, hash_pair(&registry->key, tenant, name), is_stream, &key);
    if (stream)
        drop_stream(registry, stream);
}

void registry_remove_tenant(struct registry *registry, struct bytes tenant)
{
    struct tenant_entry *entry =
        table_find(&registry->tenants, hash_bytes(&registry->key, tenant), is_tenant, &tenant);
    if (entry)
        drop_tenant(registry, entry);
    struct device_entry *device;
    for (size_t cursor = 0; (device = table_next(&registry->devices, &cursor));)
        if (bytes_equal_text(tenant, device->record.tenant))
            drop_device(registry, device);
    struct token_entry *token;
    for (size_t cursor = 0; (token = table_next(&registry->tokens, &cursor));)
        if (bytes_equal_text(tenant, token->record.tenant))
            drop_token(registry, token);
    struct stream_entry *stream;
    for (size_t cursor = 0; (stream = table_next(&registry->streams, &cursor));)
        if (bytes_equal_text(tenant, stream->record.tenant))
            drop_stream(registry, stream);
    rules_remove_tenant(&registry->rules, hash_bytes(&registry->key, tenant), tenant);
    speech_remove_tenant(&registry->speech, tenant, hash_of_speech, registry);
}

/* Resync. */

void registry_resync_begin(struct registry *registry)
{
    registry->generation++;
    registry->resyncing = true;
}

static bool is_stale(const struct registry *registry, const struct entry *entry)
{
    return entry->generation != registry->generation;
}

static bool was_changed(const struct registry *registry, const struct entry *entry)
{
    return entry->changed == registry->generation;
}

void registry_resync_end(struct registry *registry, registry_gone_fn *gone, void *ctx)
{
    struct tenant_entry *tenant;
    for (size_t cursor = 0; (tenant = table_next(&registry->tenants, &cursor));) {
        bool stale = is_stale(registry, &tenant->entry);
        if (!stale && !was_changed(registry, &tenant->entry))
            continue;
        /* The record outlives its removal by the grace period, which cannot end before this thread is quiescent. */
        if (stale)
            drop_tenant(registry, tenant);
        gone(ctx, bytes_of_text(tenant->record.id), bytes_of(NULL, 0));
    }
    struct device_entry *device;
    for (size_t cursor = 0; (device = table_next(&registry->devices, &cursor));) {
        bool stale = is_stale(registry, &device->entry);
        if (!stale && !was_changed(registry, &device->entry))
            continue;
        if (stale)
            drop_device(registry, device);
        gone(ctx, bytes_of_text(device->record.tenant), bytes_of_text(device->record.id));
    }
    struct token_entry *token;
    for (size_t cursor = 0; (token = table_next(&registry->tokens, &cursor));)
        if (is_stale(registry, &token->entry))
            drop_token(registry, token);
    struct stream_entry *stream;
    for (size_t cursor = 0; (stream = table_next(&registry->streams, &cursor));)
        if (is_stale(registry, &stream->entry))
            drop_stream(registry, stream);
    rules_sweep(&registry->rules, registry->generation);
    speech_sweep(&registry->speech, registry->generation, hash_of_speech, registry);
    registry->resyncing = false;
}
