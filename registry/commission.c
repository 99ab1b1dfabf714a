// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * As in registry/record, a record is taken only if every field is what we would have written ourselves. A batch whose
 * secret the vault cannot open is no record: it would open nothing. An authority without its key still says whose
 * certificates are good.
 *
 * The tables are small (some hundreds of entries in all), so what sweeps or removes walks them whole.
 */
#include "registry/commission.h"

#include "registry/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

#define CA_KEY_BYTES 32
#define LABEL_SECRET "secret" /* what a vault knows the secrets by */
#define LABEL_CLAIM "claim"
#define LABEL_CA_KEY "ca"

static const char *const approvals[BATCH_APPROVALS] = {"auto", "list", "manual"};

const char *batch_approval_name(enum batch_approval approval)
{
    return approvals[approval];
}

bool batch_approval_of_name(struct bytes name, enum batch_approval *ret)
{
    for (unsigned i = 0; i < BATCH_APPROVALS; i++)
        if (bytes_equal_text(name, approvals[i])) {
            *ret = (enum batch_approval)i;
            return true;
        }
    return false;
}

bool batch_is_open_at(const struct batch_record *batch, int64_t now_s)
{
    return !batch->disabled && (batch->expires_s == 0 || now_s < batch->expires_s);
}

bool batch_pattern_is_valid(struct bytes pattern)
{
    const uint8_t *star = pattern.len ? memchr(pattern.ptr, '*', pattern.len) : NULL;
    if (!star || pattern.len > RECORD_PATTERN_MAX)
        return false;
    uint8_t id[RECORD_PATTERN_MAX];
    memcpy(id, pattern.ptr, pattern.len);
    id[star - pattern.ptr] = '0';
    return schema_device_is_valid(bytes_of(id, pattern.len));
}

bool batch_serial_is_valid(struct bytes serial)
{
    return serial.len <= RECORD_SERIAL_MAX && schema_device_is_valid(serial);
}

bool batch_device_id(const struct batch_record *batch, struct bytes serial, char ret[static SCHEMA_DEVICE_MAX + 1])
{
    const char *star = strchr(batch->pattern, '*');
    if (!star || !batch_serial_is_valid(serial))
        return false;
    int len = snprintf(ret, SCHEMA_DEVICE_MAX + 1, "%.*s%.*s%s", (int)(star - batch->pattern), batch->pattern,
                       (int)serial.len, (const char *)serial.ptr, star + 1);
    return len <= SCHEMA_DEVICE_MAX && schema_device_is_valid(bytes_of(ret, (size_t)len));
}

/* Fields. */

_Static_assert(RECORD_TEXT_MAX >= 2 * RECORD_SEALED_MAX + 2 * CA_CERTIFICATE_MAX + 128, "all of either record");

size_t record_of_batch(const struct batch_record *record, const struct record_vault *vault,
                       struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    struct fields_owner owner = {vault, bytes_of_text(record->tenant), bytes_of_text(record->id)};
    fields_put_flag(&w, "disabled", record->disabled);
    fields_put_flag(&w, "per_device", record->per_device);
    fields_put_text(&w, "approval", batch_approval_name(record->approval));
    fields_put_text(&w, "pattern", record->pattern);
    fields_put_text(&w, "site", record->site);
    fields_put_text(&w, "tags", record->tags);
    fields_put_text(&w, "profile", record->profile);
    fields_put_number(&w, "max", (int64_t)record->max_devices);
    fields_put_number(&w, "created", record->created_s);
    fields_put_number(&w, "expires", record->expires_s);
    if (!fields_put_secret(&w, &owner, "secret", LABEL_SECRET, &record->secret) ||
        (secret_is_set(&record->claim) && !fields_put_secret(&w, &owner, "claim", LABEL_CLAIM, &record->claim)))
        return 0;
    return w.count;
}

size_t record_of_ca(const struct ca_record *record, const struct record_vault *vault,
                    struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    struct fields_owner owner = {vault, bytes_of_text(record->tenant), bytes_of_text(record->id)};
    fields_put_flag(&w, "retired", record->retired);
    fields_put_hex(&w, "spki", record->spki, sizeof record->spki);
    fields_put_hex(&w, "certificate", record->certificate, record->certificate_len);
    fields_put_number(&w, "created", record->created_s);
    fields_put_number(&w, "not_after", record->not_after_s);
    return fields_put_secret(&w, &owner, "key", LABEL_CA_KEY, &record->key) ? w.count : 0;
}

/* False: the field is there and cannot be opened. */
static bool read_secret(const struct fields_reader *r, const struct fields_owner *owner, const char *name,
                        const char *label, struct secret *ret)
{
    struct bytes value = fields_find(r, name);
    return value.len == 0 || fields_open_secret(owner, bytes_of_text(label), value, ret) == FIELDS_SECRET_OPEN;
}

static bool read_max(const struct fields_reader *r, uint64_t *ret)
{
    int64_t number;
    bool ok = fields_read_number(r, "max", &number);
    *ret = ok ? (uint64_t)number : 0;
    return ok;
}

static bool read_batch(const struct fields_reader *r, const struct fields_owner *owner, struct batch_record *record)
{
    return batch_approval_of_name(fields_find(r, "approval"), &record->approval) &&
           fields_read_flag(r, "disabled", &record->disabled) &&
           fields_read_flag(r, "per_device", &record->per_device) &&
           fields_read_text(r, "pattern", RECORD_PATTERN_MAX, batch_pattern_is_valid, record->pattern) &&
           record->pattern[0] &&
           fields_read_text(r, "site", RECORD_SITE_MAX, record_text_is_valid, record->site) &&
           fields_read_text(r, "tags", RECORD_TAGS_MAX, record_tags_are_valid, record->tags) &&
           fields_read_text(r, "profile", SCHEMA_PROFILE_MAX, schema_profile_is_valid, record->profile) &&
           read_max(r, &record->max_devices) && fields_read_number(r, "created", &record->created_s) &&
           fields_read_number(r, "expires", &record->expires_s) &&
           read_secret(r, owner, "secret", LABEL_SECRET, &record->secret) &&
           record->secret.len >= BATCH_SECRET_MIN && read_secret(r, owner, "claim", LABEL_CLAIM, &record->claim);
}

bool record_to_batch(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     const struct record_vault *vault, struct batch_record *ret)
{
    struct fields_reader r = {fields, count};
    struct fields_owner owner = {vault, tenant, id};
    struct batch_record record = {0};
    if (!schema_tenant_is_valid(tenant) || !schema_group_is_valid(id))
        return false;
    memcpy(record.tenant, tenant.ptr, tenant.len);
    memcpy(record.id, id.ptr, id.len);
    bool valid = read_batch(&r, &owner, &record);
    if (valid)
        *ret = record;
    explicit_bzero(&record, sizeof record);
    return valid;
}

bool record_to_ca(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                  const struct record_vault *vault, struct ca_record *ret)
{
    struct fields_reader r = {fields, count};
    struct fields_owner owner = {vault, tenant, id};
    struct ca_record record = {0};
    size_t spki_len = 0, certificate_len = 0;
    if (!schema_tenant_is_valid(tenant) || !schema_group_is_valid(id))
        return false;
    memcpy(record.tenant, tenant.ptr, tenant.len);
    memcpy(record.id, id.ptr, id.len);
    if (!fields_read_flag(&r, "retired", &record.retired) ||
        !fields_read_hex(&r, "spki", sizeof record.spki, record.spki, &spki_len) || spki_len != sizeof record.spki ||
        !fields_read_hex(&r, "certificate", sizeof record.certificate, record.certificate, &certificate_len) ||
        certificate_len == 0 || !fields_read_number(&r, "created", &record.created_s) ||
        !fields_read_number(&r, "not_after", &record.not_after_s))
        return false;
    record.certificate_len = (uint16_t)certificate_len;
    if (!read_secret(&r, &owner, "key", LABEL_CA_KEY, &record.key) || record.key.len != CA_KEY_BYTES)
        secret_wipe(&record.key);
    *ret = record;
    explicit_bzero(&record, sizeof record);
    return true;
}

/* Tables. */

struct entry {
    struct rcu_head rcu;
    uint32_t generation; /* of the last put */
    uint32_t changed;    /* generation whose sweep tells */
    bool is_ca;
    union {
        struct batch_record batch;
        struct ca_record ca;
    };
};

struct key {
    struct bytes tenant, id;
};

static bool is_batch(const void *entry, const void *key)
{
    const struct entry *one = entry;
    const struct key *wanted = key;
    return bytes_equal_text(wanted->id, one->batch.id) && bytes_equal_text(wanted->tenant, one->batch.tenant);
}

static bool is_ca(const void *entry, const void *key)
{
    const struct entry *one = entry;
    const struct key *wanted = key;
    return bytes_equal_text(wanted->id, one->ca.id) && bytes_equal_text(wanted->tenant, one->ca.tenant);
}

static void wipe_and_free(struct entry *entry)
{
    explicit_bzero(entry, sizeof *entry);
    free(entry);
}

static void free_entry(struct rcu_head *head)
{
    wipe_and_free(caa_container_of(head, struct entry, rcu));
}

bool commission_init(struct commission *commission)
{
    commission->batch_count = commission->ca_count = 0;
    return table_init(&commission->batches) && table_init(&commission->cas);
}

static void free_all(struct table *table)
{
    struct entry *entry;
    for (size_t cursor = 0; table->slots && (entry = table_next(table, &cursor));)
        wipe_and_free(entry);
    table_deinit(table);
}

void commission_deinit(struct commission *commission)
{
    free_all(&commission->batches);
    free_all(&commission->cas);
}

static void count_changed(struct commission *commission)
{
    __atomic_store_n(&commission->batch_count, commission->batches.used, __ATOMIC_RELAXED);
    __atomic_store_n(&commission->ca_count, commission->cas.used, __ATOMIC_RELAXED);
}

const struct batch_record *commission_batch(const struct commission *commission, uint64_t hash, struct bytes tenant,
                                            struct bytes id)
{
    struct key key = {tenant, id};
    const struct entry *entry = table_find(&commission->batches, hash, is_batch, &key);
    return entry ? &entry->batch : NULL;
}

const struct ca_record *commission_ca(const struct commission *commission, uint64_t hash, struct bytes tenant,
                                      struct bytes id)
{
    struct key key = {tenant, id};
    const struct entry *entry = table_find(&commission->cas, hash, is_ca, &key);
    return entry ? &entry->ca : NULL;
}

struct walk {
    void (*seen)(void *ctx, const struct ca_record *ca);
    void *ctx;
};

static void see_ca(void *ctx, const void *entry)
{
    const struct walk *walk = ctx;
    walk->seen(walk->ctx, &((const struct entry *)entry)->ca);
}

void commission_walk_cas(const struct commission *commission, void (*seen)(void *ctx, const struct ca_record *ca),
                         void *ctx)
{
    struct walk walk = {seen, ctx};
    table_walk(&commission->cas, see_ca, &walk);
}

static bool put(struct commission *commission, struct table *table, uint64_t hash, table_match_fn *match,
                const struct key *key, struct entry *fresh)
{
    if (!fresh || !table_reserve(table, 1)) {
        free(fresh);
        return false;
    }
    struct entry *old = table_put(table, hash, match, key, fresh);
    count_changed(commission);
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_entry);
    return true;
}

bool commission_put_batch(struct commission *commission, uint64_t hash, const struct batch_record *record,
                          uint32_t generation, bool tells)
{
    struct key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    struct entry *old = table_find(&commission->batches, hash, is_batch, &key);
    if (old && memcmp(&old->batch, record, sizeof *record) == 0) {
        old->generation = generation;
        return true;
    }
    struct entry *fresh = calloc(1, sizeof *fresh);
    if (fresh) {
        fresh->generation = generation;
        fresh->changed = old && tells ? generation : 0;
        memcpy(&fresh->batch, record, sizeof *record);
    }
    return put(commission, &commission->batches, hash, is_batch, &key, fresh);
}

bool commission_put_ca(struct commission *commission, uint64_t hash, const struct ca_record *record,
                       uint32_t generation)
{
    struct key key = {bytes_of_text(record->tenant), bytes_of_text(record->id)};
    struct entry *fresh = calloc(1, sizeof *fresh);
    if (fresh) {
        fresh->generation = generation;
        fresh->is_ca = true;
        memcpy(&fresh->ca, record, sizeof *record);
    }
    return put(commission, &commission->cas, hash, is_ca, &key, fresh);
}

static void drop(struct commission *commission, struct table *table, uint64_t hash, struct entry *entry)
{
    table_remove(table, hash, entry);
    count_changed(commission);
    urcu_qsbr_call_rcu(&entry->rcu, free_entry);
}

void commission_remove_batch(struct commission *commission, uint64_t hash, struct bytes tenant, struct bytes id)
{
    struct key key = {tenant, id};
    struct entry *entry = table_find(&commission->batches, hash, is_batch, &key);
    if (entry)
        drop(commission, &commission->batches, hash, entry);
}

void commission_remove_ca(struct commission *commission, uint64_t hash, struct bytes tenant, struct bytes id)
{
    struct key key = {tenant, id};
    struct entry *entry = table_find(&commission->cas, hash, is_ca, &key);
    if (entry)
        drop(commission, &commission->cas, hash, entry);
}

static const char *tenant_of(const struct entry *entry)
{
    return entry->is_ca ? entry->ca.tenant : entry->batch.tenant;
}

static uint64_t hash_of(const struct entry *entry, commission_hash_fn *hash, const void *ctx)
{
    return hash(ctx, bytes_of_text(tenant_of(entry)), bytes_of_text(entry->is_ca ? entry->ca.id : entry->batch.id));
}

void commission_remove_tenant(struct commission *commission, struct bytes tenant, commission_hash_fn *hash,
                              const void *ctx)
{
    struct table *const tables[] = {&commission->batches, &commission->cas};
    struct entry *entry;
    for (size_t i = 0; i < 2; i++)
        for (size_t cursor = 0; (entry = table_next(tables[i], &cursor));)
            if (bytes_equal_text(tenant, tenant_of(entry)))
                drop(commission, tables[i], hash_of(entry, hash, ctx), entry);
}

static void tell_gone(const struct batch_record *batch, commission_gone_fn *gone, void *ctx)
{
    char device[SCHEMA_GROUP_MAX + 2];
    int len = snprintf(device, sizeof device, "%c%s", BATCH_MARK, batch->id);
    gone(ctx, bytes_of_text(batch->tenant), bytes_of(device, (size_t)len));
}

void commission_sweep(struct commission *commission, uint32_t generation, commission_hash_fn *hash,
                      const void *hash_ctx, commission_gone_fn *gone, void *ctx)
{
    struct entry *entry;
    for (size_t cursor = 0; (entry = table_next(&commission->cas, &cursor));)
        if (entry->generation != generation)
            drop(commission, &commission->cas, hash_of(entry, hash, hash_ctx), entry);
    for (size_t cursor = 0; (entry = table_next(&commission->batches, &cursor));) {
        bool stale = entry->generation != generation;
        if (!stale && entry->changed != generation)
            continue;
        /* The record outlives its removal by the grace period, which cannot end before this thread is quiescent. */
        if (stale)
            drop(commission, &commission->batches, hash_of(entry, hash, hash_ctx), entry);
        tell_gone(&entry->batch, gone, ctx);
    }
}
