// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Nine tables over four kinds of entries: tenants, devices, tokens, streams by their ids, devices by what
 * their certificates show, in all tenants and in their own, by raw key and by signature key, tokens by the
 * key of a legacy sender; the rules and the groups, which registry/rules and registry/groups keep sorted; and
 * profiles and codecs, which are in registry/speech. A device and its credentials are one block, as large as
 * they are. An entry never changes once it is published: a put publishes a new one and frees the old one
 * after a grace period, so a reader that holds a record sees it whole. generation and changed are the
 * writer's own.
 *
 * A put that changes nothing only marks the entry, so a resync of a million unchanged devices frees nothing
 * and publishes nothing.
 */
#include "registry/registry.h"

#include "registry/groups.h"
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
    bool wanted; /* of the writer: another shows one of its credentials too, and this one stands in the index */
    struct device_record record;
    struct credential credentials[]; /* record.credential_count, and behind them their names */
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
    struct table by_certificate, by_own_certificate, by_rpk, by_kid, by_apikey;
    struct rules rules;
    struct groups groups;
    struct commission commission;
    struct speech speech;
    bool vacant; /* the claims are to be settled anew: one that is wanted has gone (settle_claims) */
    size_t counts[5]; /* by COUNT_; written by the writer, read by any */
};

enum { COUNT_TENANTS, COUNT_DEVICES, COUNT_TOKENS, COUNT_STREAMS, COUNT_CREDENTIALS };

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
    return bytes_equal_text(wanted->id, device->record.id) &&
           bytes_equal_text(wanted->tenant, device->record.tenant);
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
    return bytes_equal_text(wanted->id, stream->record.name) &&
           bytes_equal_text(wanted->tenant, stream->record.tenant);
}

/* What a device shows of itself, in an index: the entry is the device, of which any credential may be the
 * one. */

struct shown {
    struct bytes tenant; /* of a kid; of a certificate, if only devices of that tenant count */
    struct bytes name;   /* x509, ca, kid */
    const uint8_t *digest; /* ca, rpk */
    size_t digest_len; /* 0: x509 */
};

typedef bool shows_fn(const struct credential *credential, const struct shown *shown);

static bool shows_certificate(const struct credential *credential, const struct shown *shown)
{
    return (credential->kind == CREDENTIAL_X509 || credential->kind == CREDENTIAL_CA) &&
           credential->public_len == shown->digest_len &&
           bytes_equal(shown->name, credential_name(credential)) &&
           memcmp(credential->public, shown->digest, shown->digest_len) == 0;
}

static bool shows_rpk(const struct credential *credential, const struct shown *shown)
{
    return credential->kind == CREDENTIAL_RPK &&
           memcmp(credential->public, shown->digest, CREDENTIAL_DIGEST_BYTES) == 0;
}

static bool shows_kid(const struct credential *credential, const struct shown *shown)
{
    return credential_is_signature(credential->kind) && bytes_equal_text(shown->name, credential->id);
}

/* Of two that show the same, as of a certificate that was renewed with its key, the one that waits for its
 * first use, then the later one. */
static bool is_better(const struct credential *credential, const struct credential *than)
{
    return !than || (credential->offered != than->offered ? credential->offered
                                                          : credential->created_s > than->created_s);
}

/* The one that shows it and is good at now_s; INT64_MIN: good or not. */
#define ANY_TIME INT64_MIN

static const struct credential *find_shown(const struct device_entry *device, shows_fn *shows,
                                           const struct shown *shown, int64_t now_s)
{
    const struct credential *best = NULL;
    for (size_t i = 0; i < device->record.credential_count; i++) {
        const struct credential *credential = &device->credentials[i];
        if (shows(credential, shown) && (now_s == ANY_TIME || credential_is_good_at(credential, now_s)) &&
            is_better(credential, best))
            best = credential;
    }
    return best;
}

static bool has_certificate(const void *entry, const void *key)
{
    return find_shown(entry, shows_certificate, key, ANY_TIME) != NULL;
}

static bool has_own_certificate(const void *entry, const void *key)
{
    const struct device_entry *device = entry;
    const struct shown *shown = key;
    return bytes_equal_text(shown->tenant, device->record.tenant) && has_certificate(entry, key);
}

static bool has_rpk(const void *entry, const void *key)
{
    return find_shown(entry, shows_rpk, key, ANY_TIME) != NULL;
}

static bool has_kid(const void *entry, const void *key)
{
    const struct device_entry *device = entry;
    const struct shown *shown = key;
    return bytes_equal_text(shown->tenant, device->record.tenant) &&
           find_shown(device, shows_kid, shown, ANY_TIME) != NULL;
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

/* An index that a credential stands in, under which hash, as what. */
struct index {
    struct table *table;
    table_match_fn *match;
    shows_fn *shows;
    uint64_t hash;
    struct shown shown;
};

/* Digests: none (x509), of an authority alone, or of an authority and a leaf. Tenant: empty for all. */
static struct index index_of_certificate(struct registry *registry, struct bytes tenant, struct bytes name,
                                         struct bytes digests)
{
    struct bytes parts[] = {digests, name, tenant};
    bool is_own = tenant.len > 0;
    return (struct index){
        is_own ? &registry->by_own_certificate : &registry->by_certificate,
        is_own ? has_own_certificate : has_certificate,
        shows_certificate,
        hash_parts(&registry->key, parts, is_own ? 3 : 2),
        {.tenant = tenant, .name = name, .digest = digests.ptr, .digest_len = digests.len}};
}

static struct index index_of_rpk(struct registry *registry, const uint8_t *digest)
{
    return (struct index){&registry->by_rpk,
                          has_rpk,
                          shows_rpk,
                          hash_bytes(&registry->key, bytes_of(digest, CREDENTIAL_DIGEST_BYTES)),
                          {.digest = digest}};
}

static struct index index_of_kid(struct registry *registry, struct bytes tenant, struct bytes kid)
{
    return (struct index){&registry->by_kid, has_kid, shows_kid, hash_pair(&registry->key, tenant, kid),
                          {.tenant = tenant, .name = kid}};
}

#define INDEXES_MAX 2

/* The indexes that the credential stands in. Returns how many. */
static size_t indexes_of(struct registry *registry, const struct device_entry *device,
                         const struct credential *credential, struct index ret[static INDEXES_MAX])
{
    struct bytes tenant = bytes_of_text(device->record.tenant), name = credential_name(credential);
    struct bytes digests = bytes_of(credential->public, credential->public_len);
    if (credential_is_signature(credential->kind)) {
        ret[0] = index_of_kid(registry, tenant, bytes_of_text(credential->id));
        return 1;
    }
    switch (credential->kind) {
    case CREDENTIAL_X509:
    case CREDENTIAL_CA:
        ret[0] = index_of_certificate(registry, bytes_of(NULL, 0), name, digests);
        ret[1] = index_of_certificate(registry, tenant, name, digests);
        return 2;
    case CREDENTIAL_RPK:
        ret[0] = index_of_rpk(registry, credential->public);
        return 1;
    default:
        return 0;
    }
}

static struct device_entry *find_in(const struct index *index)
{
    return table_find(index->table, index->hash, index->match, &index->shown);
}

/*
 * Of all devices that show the same it is the one whose credential was made first; its oldest counts, or to
 * renew one would give it up. Whether that is still good makes no difference: nobody else gets it. Of the
 * same second it is the first by tenant and id, so that all gateways agree.
 */
struct precedence {
    const struct device_entry *device; /* NULL: nobody's */
    int64_t made_s;
};

static struct precedence precedence_of(const struct device_entry *device, const struct index *index)
{
    struct precedence precedence = {device, INT64_MAX};
    for (size_t i = 0; i < device->record.credential_count; i++) {
        const struct credential *credential = &device->credentials[i];
        if (index->shows(credential, &index->shown) && credential->created_s < precedence.made_s)
            precedence.made_s = credential->created_s;
    }
    return precedence;
}

static int compare_owners(const struct device_entry *a, const struct device_entry *b)
{
    int order = strcmp(a->record.tenant, b->record.tenant);
    return order ? order : strcmp(a->record.id, b->record.id);
}

static bool comes_before(const struct precedence *a, const struct precedence *b)
{
    return !b->device || a->made_s < b->made_s ||
           (a->made_s == b->made_s && compare_owners(a->device, b->device) < 0);
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
    if (!table_init(&registry->tenants) || !table_init(&registry->devices) ||
        !table_init(&registry->tokens) || !table_init(&registry->streams) ||
        !table_init(&registry->by_certificate) || !table_init(&registry->by_own_certificate) ||
        !table_init(&registry->by_rpk) || !table_init(&registry->by_kid) ||
        !table_init(&registry->by_apikey) || !rules_init(&registry->rules) || !groups_init(&registry->groups) ||
        !commission_init(&registry->commission) || !speech_init(&registry->speech)) {
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
    explicit_bzero(device->credentials, device->record.credential_count * sizeof *device->credentials);
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
    groups_deinit(&registry->groups);
    commission_deinit(&registry->commission);
    table_deinit(&registry->by_certificate);
    table_deinit(&registry->by_own_certificate);
    table_deinit(&registry->by_rpk);
    table_deinit(&registry->by_kid);
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

const struct device_record *registry_device(const struct registry *registry, struct bytes tenant,
                                            struct bytes id)
{
    struct device_key key = {tenant, id};
    return record_of_entry(
        table_find(&registry->devices, hash_pair(&registry->key, tenant, id), is_device, &key));
}

static const struct device_record *device_by(const struct index *index, shows_fn *shows, int64_t now_s,
                                             const struct credential **ret_credential)
{
    const struct device_entry *device = find_in(index);
    const struct credential *credential = device ? find_shown(device, shows, &index->shown, now_s) : NULL;
    if (!credential)
        return NULL;
    *ret_credential = credential;
    return &device->record;
}

/* Only the index is made with it; lookups change nothing. */
static struct registry *unconst(const struct registry *registry)
{
    return (struct registry *)(uintptr_t)registry;
}

/* What one chain shows, the narrowest first. */
#define CHAIN_SHOWS 3

static void indexes_of_chain(struct registry *registry, const struct registry_chain *chain,
                             const uint8_t digests[static CREDENTIAL_CA_LEAF],
                             struct index ret[static CHAIN_SHOWS])
{
    static const size_t lens[CHAIN_SHOWS] = {CREDENTIAL_CA_LEAF, CREDENTIAL_CA_ANY, 0};
    for (size_t i = 0; i < CHAIN_SHOWS; i++)
        ret[i] = index_of_certificate(registry, chain->tenant, chain->name, bytes_of(digests, lens[i]));
}

/* A name that says the device says it outright, and is no other's, whatever others have. */
static const struct device_entry *device_of_own_name(const struct registry *registry,
                                                     const struct registry_chain *chain, struct bytes tenant,
                                                     struct bytes id)
{
    struct device_key key = {tenant, id};
    if (chain->tenant.len > 0 && !bytes_equal(chain->tenant, tenant))
        return NULL;
    return table_find(&registry->devices, hash_pair(&registry->key, tenant, id), is_device, &key);
}

/* In each index stands the first of those that show that; of the three it is the first. The indexes borrow the
 * digests. */
static const struct device_entry *device_of_chain(const struct registry *registry,
                                                  const struct registry_chain *chain,
                                                  uint8_t ret_digests[static CREDENTIAL_CA_LEAF],
                                                  struct index ret_indexes[static CHAIN_SHOWS])
{
    struct precedence first = {0};
    struct bytes tenant, id;
    memcpy(ret_digests, chain->ca, CREDENTIAL_DIGEST_BYTES);
    memcpy(ret_digests + CREDENTIAL_DIGEST_BYTES, chain->leaf, CREDENTIAL_DIGEST_BYTES);
    indexes_of_chain(unconst(registry), chain, ret_digests, ret_indexes);
    if (credential_own_name(chain->name, &tenant, &id))
        return device_of_own_name(registry, chain, tenant, id);
    for (size_t i = 0; i < CHAIN_SHOWS; i++) {
        const struct device_entry *holder = find_in(&ret_indexes[i]);
        struct precedence held = holder ? precedence_of(holder, &ret_indexes[i]) : (struct precedence){0};
        if (holder && comes_before(&held, &first))
            first = held;
    }
    return first.device;
}

const struct device_record *registry_device_by_x509(const struct registry *registry,
                                                    const struct registry_chain *chain, int64_t now_s,
                                                    const struct credential **ret_credential)
{
    struct index indexes[CHAIN_SHOWS];
    uint8_t digests[CREDENTIAL_CA_LEAF];
    const struct credential *credential = NULL;
    const struct device_entry *device = device_of_chain(registry, chain, digests, indexes);
    for (size_t i = 0; device && !credential && i < CHAIN_SHOWS; i++)
        credential = find_shown(device, shows_certificate, &indexes[i].shown, now_s);
    if (!credential)
        return NULL;
    *ret_credential = credential;
    return &device->record;
}

const struct device_record *registry_device_by_rpk(const struct registry *registry,
                                                   const uint8_t digest[static CREDENTIAL_DIGEST_BYTES],
                                                   int64_t now_s, const struct credential **ret_credential)
{
    struct index index = index_of_rpk(unconst(registry), digest);
    return device_by(&index, shows_rpk, now_s, ret_credential);
}

const struct device_record *registry_holder_of_x509(const struct registry *registry,
                                                    const struct registry_chain *chain)
{
    struct index indexes[CHAIN_SHOWS];
    uint8_t digests[CREDENTIAL_CA_LEAF];
    return record_of_entry(device_of_chain(registry, chain, digests, indexes));
}

const struct device_record *registry_holder_of_rpk(const struct registry *registry,
                                                   const uint8_t digest[static CREDENTIAL_DIGEST_BYTES])
{
    struct index index = index_of_rpk(unconst(registry), digest);
    return record_of_entry(find_in(&index));
}

const struct credential *registry_signature_key(const struct registry *registry, struct bytes tenant,
                                                struct bytes kid, const struct device_record **ret_device)
{
    struct index index = index_of_kid(unconst(registry), tenant, kid);
    const struct credential *credential = NULL;
    const struct device_record *device = device_by(&index, shows_kid, ANY_TIME, &credential);
    if (device)
        *ret_device = device;
    return credential;
}

const struct group_record *registry_group(const struct registry *registry, struct bytes tenant,
                                          struct bytes id)
{
    if (groups_count(&registry->groups) == 0)
        return NULL;
    return groups_find(&registry->groups, hash_bytes(&registry->key, tenant), tenant, id);
}

const struct group_record *registry_group_of(const struct registry *registry, struct bytes tenant,
                                             struct bytes device)
{
    if (groups_count(&registry->groups) == 0)
        return NULL;
    return groups_match(&registry->groups, hash_bytes(&registry->key, tenant), tenant, device);
}

static uint64_t hash_of_names(const void *ctx, struct bytes tenant, struct bytes id)
{
    const struct registry *registry = ctx;
    return hash_pair(&registry->key, tenant, id);
}

const struct batch_record *registry_batch(const struct registry *registry, struct bytes tenant,
                                          struct bytes id)
{
    return commission_batch(&registry->commission, hash_of_names(registry, tenant, id), tenant, id);
}

const struct ca_record *registry_ca(const struct registry *registry, struct bytes tenant, struct bytes id)
{
    return commission_ca(&registry->commission, hash_of_names(registry, tenant, id), tenant, id);
}

void registry_walk_cas(const struct registry *registry, void (*seen)(void *ctx, const struct ca_record *ca),
                       void *ctx)
{
    commission_walk_cas(&registry->commission, seen, ctx);
}

const struct token_record *registry_token(const struct registry *registry, struct bytes id)
{
    const struct token_entry *entry =
        table_find(&registry->tokens, hash_bytes(&registry->key, id), is_token, &id);
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

const struct profile_record *registry_profile(const struct registry *registry, struct bytes tenant,
                                              struct bytes id)
{
    struct speech_key key = {tenant, id};
    return speech_profile(&registry->speech, hash_of_speech(registry, &key), &key);
}

bool registry_codec(const struct registry *registry, struct bytes tenant, struct bytes id,
                    struct registry_codec *ret)
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
    registry_wanted_fn *wanted;
    const void *ctx;
    size_t count, limit;
    bool more;
};

static void put_on_page(void *ctx, const void *entry)
{
    struct page *page = ctx;
    const struct device_entry *device = entry;
    const struct device_record *record = &device->record;
    if (strcmp(record->id, page->after) <= 0 || !bytes_equal_text(page->tenant, record->tenant) ||
        (page->wanted && !page->wanted(page->ctx, record)))
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
                     registry_wanted_fn *wanted, const void *ctx, const struct device_record **ret,
                     bool *ret_more)
{
    char text[SCHEMA_DEVICE_MAX + 1] = "";
    struct page page = {
        .tenant = tenant, .records = ret, .after = text, .wanted = wanted, .ctx = ctx, .limit = limit};
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
    return device ? !device->disabled : registry_group_of(registry, tenant, id) != NULL;
}

const struct rule_record *registry_route(const struct registry *registry,
                                         const struct registry_series *series)
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
    return rules_find(&registry->rules, hash_bytes(&registry->key, series->tenant), series->tenant,
                      &question);
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
        .groups = groups_count(&registry->groups),
        .batches = __atomic_load_n(&registry->commission.batch_count, __ATOMIC_RELAXED),
        .cas = __atomic_load_n(&registry->commission.ca_count, __ATOMIC_RELAXED),
        .credentials = __atomic_load_n(&registry->counts[COUNT_CREDENTIALS], __ATOMIC_RELAXED),
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
    if (!fresh || !table_reserve(&registry->tenants, 1)) {
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

/* Whether the token may have a key that holder has now: its own older record, one that may not be used any
 * more, or one created before. */
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
    if (!table_reserve(&registry->tokens, 1) || !table_reserve(&registry->by_apikey, 1))
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
    return speech_put_profile(&registry->speech, hash_of_speech(registry, &key), record,
                              registry->generation);
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
    struct stream_entry *fresh = table_reserve(&registry->streams, 1) ? calloc(1, sizeof *fresh) : NULL;
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

/* Enters the device in the index, unless somebody stands there who comes first: who shows the same later on
 * is refused, or an operator of any tenant could speak as another's device. Its own older record never stands
 * in its way. There is room. */
static void claim(struct device_entry *device, const struct index *index)
{
    struct device_entry *holder = find_in(index);
    if (holder && compare_owners(device, holder) != 0) {
        struct precedence mine = precedence_of(device, index), held = precedence_of(holder, index);
        if (!comes_before(&mine, &held)) {
            holder->wanted = true;
            return;
        }
        device->wanted = true;
    }
    table_put(index->table, index->hash, index->match, &index->shown, device);
}

static void claim_credentials(struct registry *registry, struct device_entry *device)
{
    struct index indexes[INDEXES_MAX];
    for (size_t i = 0; i < device->record.credential_count; i++)
        for (size_t k = indexes_of(registry, device, &device->credentials[i], indexes); k > 0; k--)
            claim(device, &indexes[k - 1]);
}

/* Takes the device out of the indexes where it still stands; another's claim stays. */
static void drop_credentials(struct registry *registry, struct device_entry *device)
{
    struct index indexes[INDEXES_MAX];
    for (size_t i = 0; i < device->record.credential_count; i++)
        for (size_t k = indexes_of(registry, device, &device->credentials[i], indexes); k > 0; k--)
            if (table_remove(indexes[k - 1].table, indexes[k - 1].hash, device))
                registry->vacant |= device->wanted;
}

static bool has_index(const struct credential *credential)
{
    return credential_is_signature(credential->kind) || credential->kind == CREDENTIAL_X509 ||
           credential->kind == CREDENTIAL_CA || credential->kind == CREDENTIAL_RPK;
}

/* For each of its credentials in each index that one may be in. */
static bool reserve_indexes(struct registry *registry, const struct device_record *record)
{
    size_t indexed = 0;
    for (size_t i = 0; i < record->credential_count; i++)
        indexed += has_index(&record->credentials[i]);
    return indexed == 0 ||
           (table_reserve(&registry->by_certificate, indexed) &&
            table_reserve(&registry->by_own_certificate, indexed) &&
            table_reserve(&registry->by_rpk, indexed) && table_reserve(&registry->by_kid, indexed));
}

static bool reserve_device(struct registry *registry, const struct device_record *record)
{
    return table_reserve(&registry->devices, 1) && reserve_indexes(registry, record);
}

/* After changes: what went may be another's, who was refused it before. Looks at every device, but only if somebody
 * wants what went. */
static void settle_claims(struct registry *registry)
{
    struct device_entry *device;
    if (!registry->vacant)
        return;
    registry->vacant = false;
    for (size_t cursor = 0; (device = table_next(&registry->devices, &cursor));)
        device->wanted = false;
    for (size_t cursor = 0; (device = table_next(&registry->devices, &cursor));)
        if (reserve_indexes(registry, &device->record))
            claim_credentials(registry, device);
        else
            registry->vacant = true; /* with the next change */
}

static bool is_same_device(const struct device_entry *device, const struct device_record *record)
{
    struct device_record other = {0};
    memcpy(&other, record, sizeof other);
    other.credentials = device->record.credentials;
    if (memcmp(&device->record, &other, sizeof other) != 0)
        return false;
    for (size_t i = 0; i < record->credential_count; i++)
        if (!credential_equal(&device->credentials[i], &record->credentials[i]))
            return false;
    return true;
}

static bool shows_the_same(const struct device_entry *a, const struct device_entry *b)
{
    if (a->record.credential_count != b->record.credential_count)
        return false;
    for (size_t i = 0; i < a->record.credential_count; i++)
        if (!credential_equal(&a->credentials[i], &b->credentials[i]))
            return false;
    return true;
}

/* The record and its credentials in one block. NULL: out of memory. */
static struct device_entry *copy_device(const struct device_record *record)
{
    size_t names_len = 0, count = record->credential_count;
    for (size_t i = 0; i < count; i++)
        names_len += record->credentials[i].name ? credential_name(&record->credentials[i]).len + 1 : 0;
    struct device_entry *device =
        calloc(1, sizeof *device + count * sizeof device->credentials[0] + names_len);
    if (!device)
        return NULL;
    memcpy(&device->record, record, sizeof *record);
    device->record.credentials = device->credentials;
    char *name = (char *)(device->credentials + count);
    for (size_t i = 0; i < count; i++) {
        device->credentials[i] = record->credentials[i];
        if (!record->credentials[i].name)
            continue;
        device->credentials[i].name = name;
        name = stpcpy(name, record->credentials[i].name) + 1;
    }
    return device;
}

static void devices_changed(struct registry *registry, size_t more, size_t fewer)
{
    count_changed(registry, COUNT_DEVICES, registry->devices.used);
    count_changed(registry, COUNT_CREDENTIALS, registry->counts[COUNT_CREDENTIALS] + more - fewer);
}

bool registry_put_device(struct registry *registry, const struct device_record *record)
{
    struct device_key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    uint64_t hash = hash_of_device(registry, record);
    if (!reserve_device(registry, record))
        return false;
    struct device_entry *old = table_find(&registry->devices, hash, is_device, &key);
    if (old && is_same_device(old, record)) {
        old->entry.generation = registry->generation;
        claim_credentials(registry, old);
        return true;
    }
    struct device_entry *fresh = copy_device(record);
    if (!fresh)
        return false;
    take_over(registry, &fresh->entry, old ? &old->entry : NULL);
    fresh->wanted = old && old->wanted;
    table_put(&registry->devices, hash, is_device, &key, fresh);
    devices_changed(registry, record->credential_count, old ? old->record.credential_count : 0);
    claim_credentials(registry, fresh);
    if (old) {
        drop_credentials(registry, old);
        registry->vacant |= old->wanted && !shows_the_same(old, fresh);
        urcu_qsbr_call_rcu(&old->entry.rcu, free_device);
    }
    if (!registry->resyncing)
        settle_claims(registry);
    return true;
}

bool registry_put_group(struct registry *registry, const struct group_record *record)
{
    return groups_put(&registry->groups, hash_of_text(registry, record->tenant), record, registry->generation,
                      registry->resyncing);
}

bool registry_put_batch(struct registry *registry, const struct batch_record *record)
{
    uint64_t hash = hash_of_names(registry, bytes_of_text(record->tenant), bytes_of_text(record->id));
    return commission_put_batch(&registry->commission, hash, record, registry->generation,
                                registry->resyncing);
}

bool registry_put_ca(struct registry *registry, const struct ca_record *record)
{
    uint64_t hash = hash_of_names(registry, bytes_of_text(record->tenant), bytes_of_text(record->id));
    return commission_put_ca(&registry->commission, hash, record, registry->generation);
}

/* Removals. */

static void drop_device(struct registry *registry, struct device_entry *device)
{
    drop_credentials(registry, device);
    table_remove(&registry->devices, hash_of_device(registry, &device->record), device);
    devices_changed(registry, 0, device->record.credential_count);
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
    settle_claims(registry);
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

void registry_remove_group(struct registry *registry, struct bytes tenant, struct bytes id)
{
    groups_remove(&registry->groups, hash_bytes(&registry->key, tenant), tenant, id);
}

void registry_remove_batch(struct registry *registry, struct bytes tenant, struct bytes id)
{
    commission_remove_batch(&registry->commission, hash_of_names(registry, tenant, id), tenant, id);
}

void registry_remove_ca(struct registry *registry, struct bytes tenant, struct bytes id)
{
    commission_remove_ca(&registry->commission, hash_of_names(registry, tenant, id), tenant, id);
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
    settle_claims(registry);
    struct token_entry *token;
    for (size_t cursor = 0; (token = table_next(&registry->tokens, &cursor));)
        if (bytes_equal_text(tenant, token->record.tenant))
            drop_token(registry, token);
    struct stream_entry *stream;
    for (size_t cursor = 0; (stream = table_next(&registry->streams, &cursor));)
        if (bytes_equal_text(tenant, stream->record.tenant))
            drop_stream(registry, stream);
    rules_remove_tenant(&registry->rules, hash_bytes(&registry->key, tenant), tenant);
    groups_remove_tenant(&registry->groups, hash_bytes(&registry->key, tenant), tenant);
    commission_remove_tenant(&registry->commission, tenant, hash_of_names, registry);
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
        /* The record outlives its removal by the grace period, which cannot end before this thread is
         * quiescent. */
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
    settle_claims(registry);
    struct token_entry *token;
    for (size_t cursor = 0; (token = table_next(&registry->tokens, &cursor));)
        if (is_stale(registry, &token->entry))
            drop_token(registry, token);
    struct stream_entry *stream;
    for (size_t cursor = 0; (stream = table_next(&registry->streams, &cursor));)
        if (is_stale(registry, &stream->entry))
            drop_stream(registry, stream);
    rules_sweep(&registry->rules, registry->generation);
    groups_sweep(&registry->groups, registry->generation, gone, ctx);
    commission_sweep(&registry->commission, registry->generation, hash_of_names, registry, gone, ctx);
    speech_sweep(&registry->speech, registry->generation, hash_of_speech, registry);
    registry->resyncing = false;
}
