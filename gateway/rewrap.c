// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is a secret in a record, and under which label it was wrapped, only the readers of records know
 * (registry/record, registry/commission). So each record is read by its reader with a vault that notes what
 * it is asked to open: the texts it noted are then replaced where they stand in the fields. CHUNK records are
 * changed in one transaction: a Redis that syncs each to its disk takes milliseconds for it.
 */
#include "gateway/rewrap.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 5
#define CHUNK 64

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

/* A text that was asked for, in its field, and what takes its place. */
struct note {
    struct bytes old;
    char fresh[RECORD_SEALED_MAX];
    size_t fresh_len;
};

struct notes {
    const struct vault *vault;
    struct note notes[RECORD_FIELDS_MAX];
    size_t count;
    bool failed; /* something could not be wrapped */
    size_t by_key[VAULT_KEYS_MAX], not_opened;
};

static bool note(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, struct bytes sealed,
                 struct secret *ret)
{
    struct notes *notes = ctx;
    const struct record_vault *functions = vault_of_records(notes->vault);
    size_t key = vault_open(notes->vault, tenant, owner, label, sealed, ret);
    if (key == VAULT_KEYS_MAX) {
        notes->not_opened++;
        return false;
    }
    notes->by_key[key]++;
    if (key == 0 || notes->count == COUNT_OF(notes->notes))
        return true;
    struct note *fresh = &notes->notes[notes->count++];
    fresh->old = sealed;
    fresh->fresh_len = functions->seal(functions->ctx, tenant, owner, label, ret, fresh->fresh);
    notes->failed |= fresh->fresh_len == 0;
    return true;
}

/* Kinds of records that have secrets. Whether a record is one is not asked: what its reader did not come to is
 * (unasked). */

struct place {
    struct bytes tenant, id;
    const struct record_field *fields;
    size_t count;
    const struct record_vault *vault;
};

static void read_device(const struct place *at)
{
    struct device_record record;
    struct record_room room;
    (void)record_to_device(at->tenant, at->id, at->fields, at->count, at->vault, &room, &record);
    record_wipe_room(&room);
}

static void read_token(const struct place *at)
{
    struct token_record record;
    (void)record_to_token(at->tenant, at->id, at->fields, at->count, at->vault, &record);
    explicit_bzero(&record, sizeof record);
}

static void read_group(const struct place *at)
{
    struct group_record record;
    (void)record_to_group(at->tenant, at->id, at->fields, at->count, at->vault, &record);
    explicit_bzero(&record, sizeof record);
}

static void read_batch(const struct place *at)
{
    struct batch_record record;
    (void)record_to_batch(at->tenant, at->id, at->fields, at->count, at->vault, &record);
    explicit_bzero(&record, sizeof record);
}

static void read_ca(const struct place *at)
{
    struct ca_record record;
    (void)record_to_ca(at->tenant, at->id, at->fields, at->count, at->vault, &record);
    explicit_bzero(&record, sizeof record);
}

static const struct kind {
    const char *name;
    enum accounts_result (*list)(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
    void (*read)(const struct place *at);
    const char *secrets[2]; /* its fields that are wrapped; of a device they are credentials */
} kinds[] = {
    {SCHEMA_KIND_DEVICE, accounts_list_devices, read_device, {NULL}},
    {SCHEMA_KIND_TOKEN, accounts_list_tokens, read_token, {"apikey"}},
    {SCHEMA_KIND_GROUP, accounts_list_groups, read_group, {"key"}},
    {SCHEMA_KIND_BATCH, accounts_list_batches, read_batch, {"secret", "claim"}},
    {SCHEMA_KIND_CA, accounts_list_cas, read_ca, {"key"}},
};

static bool is_secret(const struct kind *kind, const struct record_field *field)
{
    char name[CREDENTIAL_NAME_MAX + 1];
    struct credential credential;
    for (size_t i = 0; i < COUNT_OF(kind->secrets) && kind->secrets[i]; i++)
        if (bytes_equal_text(field->name, kind->secrets[i]))
            return true;
    return !kind->secrets[0] && record_peek_credential(field, name, &credential) &&
           credential_is_secret(credential.kind);
}

/* One record. */

/* HSET of the fields that change, in text of its own: the reply that they were in goes with the next call. */
struct rewrite {
    struct bytes arguments[2 + 2 * RECORD_FIELDS_MAX];
    size_t count;
    char key[SCHEMA_KEY_MAX];
    char text[RECORD_TEXT_MAX + RECORD_FIELDS_MAX * RECORD_SEALED_MAX];
    size_t used;
};

static struct bytes keep(struct rewrite *rewrite, struct bytes text)
{
    char *at = rewrite->text + rewrite->used;
    if (text.len)
        memcpy(at, text.ptr, text.len);
    rewrite->used += text.len;
    return bytes_of(at, text.len);
}

static bool ends(struct bytes part, struct bytes whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len == whole.ptr + whole.len;
}

/* False: longer than any record. */
static bool plan(const struct notes *notes, const struct record_field *fields, size_t count, struct rewrite *ret)
{
    ret->arguments[0] = WORD("HSET");
    ret->arguments[1] = bytes_of_text(ret->key);
    ret->count = 2;
    ret->used = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < notes->count; j++) {
            const struct note *note = &notes->notes[j];
            struct bytes value = fields[i].value;
            if (!ends(note->old, value))
                continue;
            if (ret->used + fields[i].name.len + value.len + note->fresh_len > sizeof ret->text)
                return false;
            ret->arguments[ret->count++] = keep(ret, fields[i].name);
            size_t start = ret->used;
            keep(ret, bytes_of(value.ptr, value.len - note->old.len));
            keep(ret, bytes_of(note->fresh, note->fresh_len));
            ret->arguments[ret->count++] = bytes_of(ret->text + start, ret->used - start);
        }
    }
    return true;
}

static enum accounts_result read_fields(struct accounts *accounts, const char *key,
                                        struct record_field ret[static RECORD_FIELDS_MAX], size_t *ret_count)
{
    struct bytes get[] = {WORD("HGETALL"), bytes_of_text(key)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, get, COUNT_OF(get), &reply);
    *ret_count = 0;
    for (size_t i = 0; result == ACCOUNTS_DONE && i + 1 < reply->count && *ret_count < RECORD_FIELDS_MAX; i += 2)
        ret[(*ret_count)++] = (struct record_field){reply->items[i].text, reply->items[i + 1].text};
    return result;
}

/* Some records of one kind, and what is to be written of them. */
struct chunk {
    const struct kind *kind;
    struct bytes tenant;
    const struct vault *vault;
    bool writes;
    struct notes notes;
    struct rewrite rewrites[CHUNK];
    size_t count;
    struct rewrap_counts counts;
};

static void count_notes(struct chunk *chunk)
{
    const struct notes *notes = &chunk->notes;
    for (size_t i = 0; i < COUNT_OF(notes->by_key); i++)
        chunk->counts.by_key[chunk->writes ? 0 : i] += notes->by_key[i];
    chunk->counts.not_opened += notes->not_opened;
    chunk->counts.rewrapped += chunk->writes ? notes->count : 0;
}

/* Wrapped texts that the reader did not come to: it stops where something is not as it should be, or at a secret
 * without which there is no record. */
static size_t unasked(const struct kind *kind, const struct notes *notes, const struct record_field *fields,
                      size_t count)
{
    size_t sealed = 0, asked = notes->not_opened;
    for (size_t i = 0; i < count; i++) {
        struct bytes value = fields[i].value;
        const uint8_t *blank = value.len ? memrchr(value.ptr, ' ', value.len) : NULL;
        size_t start = blank ? (size_t)(blank + 1 - value.ptr) : 0;
        sealed += is_secret(kind, &fields[i]) && vault_is_sealed(bytes_of(value.ptr + start, value.len - start));
    }
    for (size_t i = 0; i < COUNT_OF(notes->by_key); i++)
        asked += notes->by_key[i];
    return sealed > asked ? sealed - asked : 0;
}

static enum accounts_result look_at(struct accounts *accounts, struct chunk *chunk, struct bytes id)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    struct record_vault functions = {.ctx = &chunk->notes, .open = note};
    struct rewrite *rewrite = &chunk->rewrites[chunk->count];
    size_t count;
    schema_key_of(rewrite->key, chunk->tenant, chunk->kind->name, id);
    enum accounts_result result = read_fields(accounts, rewrite->key, fields, &count);
    if (result != ACCOUNTS_DONE || count == 0)
        return result;
    chunk->notes = (struct notes){.vault = chunk->vault};
    chunk->kind->read(&(struct place){chunk->tenant, id, fields, count, &functions});
    size_t left = unasked(chunk->kind, &chunk->notes, fields, count);
    if (left && chunk->notes.not_opened == 0) {
        chunk->counts.damaged++;
        return ACCOUNTS_DONE;
    }
    chunk->notes.not_opened += left;
    count_notes(chunk);
    if (!chunk->writes || chunk->notes.count == 0)
        return ACCOUNTS_DONE;
    if (chunk->notes.failed || !plan(&chunk->notes, fields, count, rewrite))
        return ACCOUNTS_NOT_SEALED;
    chunk->count++;
    return ACCOUNTS_DONE;
}

/* A chunk. */

static enum accounts_result run_word(struct accounts *accounts, const char *word, const struct store_reply **ret)
{
    struct bytes argument = bytes_of_text(word);
    return accounts_call(accounts, &argument, 1, ret);
}

static enum accounts_result watch(struct accounts *accounts, const struct chunk *chunk,
                                  char (*ids)[SCHEMA_DEVICE_MAX + 1], size_t count)
{
    char keys[CHUNK][SCHEMA_KEY_MAX];
    struct bytes arguments[1 + CHUNK] = {WORD("WATCH")};
    const struct store_reply *ignored;
    for (size_t i = 0; i < count; i++) {
        schema_key_of(keys[i], chunk->tenant, chunk->kind->name, bytes_of_text(ids[i]));
        arguments[1 + i] = bytes_of_text(keys[i]);
    }
    return accounts_call(accounts, arguments, 1 + count, &ignored);
}

/* ACCOUNTS_BUSY: somebody changed one of the records since it was read, and nothing was written. */
static enum accounts_result write(struct accounts *accounts, const struct chunk *chunk)
{
    const struct store_reply *reply = NULL;
    enum accounts_result result = run_word(accounts, "MULTI", &reply);
    for (size_t i = 0; i < chunk->count && result == ACCOUNTS_DONE; i++)
        result = accounts_call(accounts, chunk->rewrites[i].arguments, chunk->rewrites[i].count, &reply);
    if (result == ACCOUNTS_DONE)
        return accounts_execute(accounts);
    if (result != ACCOUNTS_AWAY)
        (void)run_word(accounts, "DISCARD", &reply);
    return result;
}

static enum accounts_result try_chunk(struct accounts *accounts, struct chunk *chunk,
                                      char (*ids)[SCHEMA_DEVICE_MAX + 1], size_t count)
{
    const struct store_reply *ignored;
    chunk->count = 0;
    chunk->counts = (struct rewrap_counts){.damaged = 0};
    enum accounts_result result = chunk->writes ? watch(accounts, chunk, ids, count) : ACCOUNTS_DONE;
    for (size_t i = 0; i < count && result == ACCOUNTS_DONE; i++)
        result = look_at(accounts, chunk, bytes_of_text(ids[i]));
    if (result == ACCOUNTS_DONE && chunk->count > 0)
        return write(accounts, chunk);
    if (chunk->writes && result != ACCOUNTS_AWAY)
        (void)run_word(accounts, "UNWATCH", &ignored);
    return result;
}

/* A kind, a tenant. */

static void add_counts(struct rewrap_counts *sum, const struct rewrap_counts *counts)
{
    for (size_t i = 0; i < COUNT_OF(sum->by_key); i++)
        sum->by_key[i] += counts->by_key[i];
    sum->not_opened += counts->not_opened;
    sum->rewrapped += counts->rewrapped;
    sum->damaged += counts->damaged;
}

static enum accounts_result rewrap_kind(struct accounts *accounts, struct chunk *chunk, struct rewrap_counts *counts)
{
    struct accounts_ids ids;
    enum accounts_result result = chunk->kind->list(accounts, chunk->tenant, &ids);
    if (result != ACCOUNTS_DONE)
        return result;
    for (size_t at = 0; at < ids.count && result == ACCOUNTS_DONE; at += CHUNK) {
        size_t count = ids.count - at < CHUNK ? ids.count - at : CHUNK;
        result = ACCOUNTS_BUSY;
        for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++)
            result = try_chunk(accounts, chunk, ids.ids + at, count);
        if (result == ACCOUNTS_DONE)
            add_counts(counts, &chunk->counts);
    }
    free(ids.ids);
    return result;
}

enum accounts_result rewrap_tenant(struct accounts *accounts, const struct vault *vault, struct bytes tenant,
                                   bool writes, struct rewrap_counts *counts)
{
    struct rewrap_counts mine = {.damaged = 0};
    struct chunk *chunk = malloc(sizeof *chunk);
    enum accounts_result result = chunk ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
    for (size_t i = 0; i < COUNT_OF(kinds) && result == ACCOUNTS_DONE; i++) {
        chunk->kind = &kinds[i];
        chunk->tenant = tenant;
        chunk->vault = vault;
        chunk->writes = writes;
        result = rewrap_kind(accounts, chunk, &mine);
    }
    free(chunk);
    if (mine.rewrapped && result != ACCOUNTS_AWAY) {
        struct audit_deed deed = {.action = "rewrap", .object = SCHEMA_OBJECT_TENANT, .tenant = tenant};
        enum accounts_result told = accounts_audit(accounts, &deed);
        result = result == ACCOUNTS_DONE ? told : result;
    }
    add_counts(counts, &mine);
    return result;
}
