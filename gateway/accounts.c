// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A change is: WATCH the keys it depends on, read them, decide, MULTI, write, XADD weir:changes, EXEC. An
 * EXEC that answers nil found a watched key changed by somebody else in between: all of it is tried again, a
 * few times.
 *
 * Removing a tenant takes its name and record away first and tells that, so that nobody may speak from then
 * on; then what is remembered of its messages and its devices, tokens, groups, rules, retention, profiles, codecs,
 * batches and enrolments go in runs of keys, so that Redis is never held up by a large one. Ended half-way, what is
 * left speaks for nobody, and removing it again is refused only when nothing is left.
 *
 * In a cluster weir:tenants and weir:changes lie in other slots than the tenant: finish_apart.
 */
#include "gateway/accounts.h"

#include "gateway/crypto.h"
#include "gateway/forget.h"
#include "gateway/kids.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 5
#define CHUNK 500

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

/* What a change is about. The key is made when it is. */
struct thing {
    const char *object; /* SCHEMA_OBJECT_ */
    struct bytes tenant, id; /* a tenant has no id */
    char key[SCHEMA_KEY_MAX], set_key[SCHEMA_KEY_MAX], meta_key[SCHEMA_KEY_MAX];
    bool goes; /* a device or a tenant: what is remembered of its messages goes with it */
};

enum kind {
    KIND_TENANT,
    KIND_DEVICE,
    KIND_TOKEN,
    KIND_RULE,
    KIND_STREAM,
    KIND_PROFILE,
    KIND_CODEC,
    KIND_GROUP,
    KIND_BATCH,
    KIND_CA
};

/* Where things of a kind stand, and what changes of them are called. Tenants are in a set of their own. */
static const struct {
    const char *object, *set_suffix, *key_kind;
} kinds[] = {
    [KIND_TENANT] = {SCHEMA_OBJECT_TENANT, NULL, NULL},
    [KIND_DEVICE] = {SCHEMA_OBJECT_DEVICE, SCHEMA_SUFFIX_DEVICES, SCHEMA_KIND_DEVICE},
    [KIND_TOKEN] = {SCHEMA_OBJECT_TOKEN, SCHEMA_SUFFIX_TOKENS, SCHEMA_KIND_TOKEN},
    [KIND_RULE] = {SCHEMA_OBJECT_RULE, SCHEMA_SUFFIX_RULES, SCHEMA_KIND_RULE},
    [KIND_STREAM] = {SCHEMA_OBJECT_STREAM, SCHEMA_SUFFIX_STREAMS, SCHEMA_KIND_RETENTION},
    [KIND_PROFILE] = {SCHEMA_OBJECT_PROFILE, SCHEMA_SUFFIX_PROFILES, SCHEMA_KIND_PROFILE},
    [KIND_CODEC] = {SCHEMA_OBJECT_CODEC, SCHEMA_SUFFIX_CODECS, SCHEMA_KIND_CODEC},
    [KIND_GROUP] = {SCHEMA_OBJECT_GROUP, SCHEMA_SUFFIX_GROUPS, SCHEMA_KIND_GROUP},
    [KIND_BATCH] = {SCHEMA_OBJECT_BATCH, SCHEMA_SUFFIX_BATCHES, SCHEMA_KIND_BATCH},
    [KIND_CA] = {SCHEMA_OBJECT_CA, SCHEMA_SUFFIX_CAS, SCHEMA_KIND_CA},
};

static struct thing thing_of(enum kind kind, struct bytes tenant, struct bytes id)
{
    struct thing thing = {.object = kinds[kind].object, .tenant = tenant, .id = id};
    schema_key_of(thing.key, tenant, kinds[kind].key_kind, id);
    schema_key(thing.set_key, tenant, kinds[kind].set_suffix);
    schema_key(thing.meta_key, tenant, SCHEMA_SUFFIX_META);
    return thing;
}

static struct thing thing_of_tenant(struct bytes tenant)
{
    struct thing thing = {.object = kinds[KIND_TENANT].object, .tenant = tenant, .set_key = SCHEMA_KEY_TENANTS};
    schema_key(thing.key, tenant, SCHEMA_SUFFIX_META);
    schema_key(thing.meta_key, tenant, SCHEMA_SUFFIX_META);
    return thing;
}

static struct bytes member_of(const struct thing *thing)
{
    return thing->id.len ? thing->id : thing->tenant;
}

/* A slot of a cluster that moves tears a transaction, which is tried again. */
static bool is_moving(struct bytes error)
{
    return bytes_starts_with(error, WORD("MOVED ")) || bytes_starts_with(error, WORD("ASK ")) ||
           bytes_starts_with(error, WORD("TRYAGAIN")) || bytes_starts_with(error, WORD("EXECABORT"));
}

enum accounts_result accounts_refused(struct accounts *accounts, struct bytes error)
{
    if (store_client_is_cluster(accounts->client) && is_moving(error))
        return ACCOUNTS_BUSY;
    size_t len = error.len < sizeof accounts->error ? error.len : sizeof accounts->error - 1;
    memcpy(accounts->error, error.ptr, len);
    accounts->error[len] = '\0';
    return ACCOUNTS_REFUSED;
}

enum accounts_result accounts_call(struct accounts *accounts, const struct bytes *arguments, size_t count,
                                   const struct store_reply **ret_reply)
{
    const struct store_reply *reply = store_client_call(accounts->client, arguments, count);
    if (!reply)
        return ACCOUNTS_AWAY;
    if (reply->type == STORE_ERROR)
        return accounts_refused(accounts, reply->text);
    *ret_reply = reply;
    return ACCOUNTS_DONE;
}

static enum accounts_result run(struct accounts *accounts, const struct bytes *arguments, size_t count)
{
    const struct store_reply *ignored;
    return accounts_call(accounts, arguments, count, &ignored);
}

static enum accounts_result run_word(struct accounts *accounts, const char *word)
{
    struct bytes argument = bytes_of_text(word);
    return run(accounts, &argument, 1);
}

/* Reading. */

static enum accounts_result exists(struct accounts *accounts, const char *key, bool *ret)
{
    struct bytes arguments[] = {WORD("EXISTS"), bytes_of_text(key)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result == ACCOUNTS_DONE)
        *ret = reply->integer > 0;
    return result;
}

/* The fields of a record; they borrow from the reply, which the next call takes away. */
struct reading {
    struct record_field fields[RECORD_FIELDS_MAX];
    size_t count;
};

/* The sum of the fields' digests: Redis may tell them in another order the next time. */
static bool version_of(const struct reading *reading, uint8_t ret[static RECORD_DIGEST_BYTES])
{
    uint8_t digest[CRYPTO_SHA256_BYTES], name[CRYPTO_SHA256_BYTES];
    memset(ret, 0, RECORD_DIGEST_BYTES);
    for (size_t i = 0; i < reading->count; i++) {
        if (!crypto_sha256(reading->fields[i].name, (struct bytes){0}, name) ||
            !crypto_sha256(bytes_of(name, sizeof name), reading->fields[i].value, digest))
            return false;
        unsigned carry = 0;
        for (size_t j = 0; j < RECORD_DIGEST_BYTES; j++) {
            carry += (unsigned)ret[j] + digest[j];
            ret[j] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    return true;
}

static enum accounts_result read_fields(struct accounts *accounts, const char *key, struct reading *ret)
{
    struct bytes arguments[] = {WORD("HGETALL"), bytes_of_text(key)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result != ACCOUNTS_DONE)
        return result;
    accounts->last_read.exists = false;
    if (reply->type != STORE_LIST || reply->count == 0)
        return ACCOUNTS_NOT_FOUND;
    ret->count = 0;
    for (size_t i = 0; i + 1 < reply->count && ret->count < RECORD_FIELDS_MAX; i += 2)
        ret->fields[ret->count++] = (struct record_field){reply->items[i].text, reply->items[i + 1].text};
    accounts->last_read.exists = true;
    return version_of(ret, accounts->last_read.digest) ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
}

/* Whether the thing, which is watched, is what accounts->only_if says, and who is asked first allows it. */
static enum accounts_result check_version(struct accounts *accounts, const struct thing *thing)
{
    const struct accounts_version *wanted = accounts->only_if;
    struct reading reading;
    enum accounts_result result = accounts->allow ? accounts->allow(accounts, accounts->allow_about) : ACCOUNTS_DONE;
    if (result != ACCOUNTS_DONE || !wanted)
        return result;
    result = read_fields(accounts, thing->key, &reading);
    if (result != ACCOUNTS_DONE && result != ACCOUNTS_NOT_FOUND)
        return result;
    bool exists = result == ACCOUNTS_DONE;
    return exists == wanted->exists &&
                   (!exists || memcmp(accounts->last_read.digest, wanted->digest, sizeof wanted->digest) == 0)
               ? ACCOUNTS_DONE
               : ACCOUNTS_STALE;
}

static enum accounts_result read_thing(struct accounts *accounts, enum kind kind, struct bytes tenant, struct bytes id,
                                       struct reading *ret)
{
    struct thing thing = thing_of(kind, tenant, id);
    return read_fields(accounts, thing.key, ret);
}

/* What has become of reading a record, once it is known whether its fields are good. */
static enum accounts_result judge(enum accounts_result result, bool is_valid)
{
    return result == ACCOUNTS_DONE && !is_valid ? ACCOUNTS_DAMAGED : result;
}

enum accounts_result accounts_get_tenant(struct accounts *accounts, struct bytes tenant, struct tenant_record *ret)
{
    struct reading reading;
    struct thing thing = thing_of_tenant(tenant);
    enum accounts_result result = read_fields(accounts, thing.key, &reading);
    return judge(result, result == ACCOUNTS_DONE && record_to_tenant(tenant, reading.fields, reading.count, ret));
}

enum accounts_result accounts_get_device(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                         struct record_room *room, struct device_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_DEVICE, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_device(tenant, id, reading.fields, reading.count, accounts->vault, room, ret));
}

enum accounts_result accounts_get_token_of(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                           struct token_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_TOKEN, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_token(tenant, id, reading.fields, reading.count, accounts->vault, ret));
}

enum accounts_result accounts_get_group(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                        struct group_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_GROUP, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_group(tenant, id, reading.fields, reading.count, accounts->vault, ret));
}

enum accounts_result accounts_get_batch(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                        struct batch_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_BATCH, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_batch(tenant, id, reading.fields, reading.count, accounts->vault, ret));
}

enum accounts_result accounts_get_ca(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                     struct ca_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_CA, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_ca(tenant, id, reading.fields, reading.count, accounts->vault, ret));
}

enum accounts_result accounts_get_token(struct accounts *accounts, struct bytes id, struct token_record *ret)
{
    struct accounts_ids tenants;
    enum accounts_result result = accounts_list_tenants(accounts, &tenants);
    if (result != ACCOUNTS_DONE)
        return result;
    result = ACCOUNTS_NOT_FOUND;
    for (size_t i = 0; i < tenants.count && result == ACCOUNTS_NOT_FOUND; i++)
        result = accounts_get_token_of(accounts, bytes_of_text(tenants.ids[i]), id, ret);
    free(tenants.ids);
    return result;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum accounts_result accounts_take_ids(const struct store_reply *reply, struct accounts_ids *ret)
{
    struct accounts_ids ids = {.ids = calloc(reply->count + 1, sizeof *ids.ids)};
    if (!ids.ids)
        return ACCOUNTS_AWAY;
    for (size_t i = 0; i < reply->count; i++) {
        struct bytes id = reply->items[i].text;
        /* The form of device ids is the widest; what breaks it was not written by us and has no key. */
        if (schema_device_is_valid(id))
            memcpy(ids.ids[ids.count++], id.ptr, id.len);
    }
    *ret = ids;
    return ACCOUNTS_DONE;
}

static enum accounts_result list(struct accounts *accounts, const char *key, struct accounts_ids *ret)
{
    struct bytes arguments[] = {WORD("SMEMBERS"), bytes_of_text(key)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result == ACCOUNTS_DONE)
        result = accounts_take_ids(reply, ret);
    if (result == ACCOUNTS_DONE)
        qsort(ret->ids, ret->count, sizeof *ret->ids, compare_ids);
    return result;
}

enum accounts_result accounts_list_tenants(struct accounts *accounts, struct accounts_ids *ret)
{
    return list(accounts, SCHEMA_KEY_TENANTS, ret);
}

static enum accounts_result list_of_tenant(struct accounts *accounts, struct bytes tenant, enum kind kind,
                                           struct accounts_ids *ret)
{
    char key[SCHEMA_KEY_MAX];
    bool known = false;
    schema_key(key, tenant, SCHEMA_SUFFIX_META);
    enum accounts_result result = exists(accounts, key, &known);
    if (result != ACCOUNTS_DONE)
        return result;
    if (!known)
        return ACCOUNTS_NO_TENANT;
    schema_key(key, tenant, kinds[kind].set_suffix);
    return list(accounts, key, ret);
}

enum accounts_result accounts_list_devices(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_DEVICE, ret);
}

enum accounts_result accounts_list_tokens(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_TOKEN, ret);
}

enum accounts_result accounts_list_rules(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_RULE, ret);
}

enum accounts_result accounts_list_streams(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_STREAM, ret);
}

enum accounts_result accounts_list_profiles(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_PROFILE, ret);
}

enum accounts_result accounts_list_groups(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_GROUP, ret);
}

enum accounts_result accounts_list_batches(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_BATCH, ret);
}

enum accounts_result accounts_list_cas(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_CA, ret);
}

enum accounts_result accounts_list_codecs(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    return list_of_tenant(accounts, tenant, KIND_CODEC, ret);
}

enum accounts_result accounts_get_profile(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                          struct profile_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_PROFILE, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_profile(tenant, id, reading.fields, reading.count, ret));
}

enum accounts_result accounts_get_codec(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                        struct codec_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_CODEC, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_codec(tenant, id, reading.fields, reading.count, ret));
}

enum accounts_result accounts_get_rule(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                       struct rule_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_RULE, tenant, id, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_rule(tenant, id, reading.fields, reading.count, ret));
}

enum accounts_result accounts_get_stream(struct accounts *accounts, struct bytes tenant, struct bytes name,
                                         struct stream_record *ret)
{
    struct reading reading;
    enum accounts_result result = read_thing(accounts, KIND_STREAM, tenant, name, &reading);
    return judge(result, result == ACCOUNTS_DONE &&
                             record_to_stream(tenant, name, reading.fields, reading.count, ret));
}

/* Writing. What a change writes is queued between MULTI and EXEC by one function of this form. */

struct change {
    const struct thing *thing;
    const struct record_field *fields;
    size_t count;
    struct bytes stream; /* a rule: the stream it names; else empty */
    struct plan *plan;   /* a device: what becomes of its credentials; else NULL */
    const char *action;  /* for the audit; NULL: "change" */
    struct bytes key;    /* for the audit: the credential that this is about; else empty */
    const struct accounts_ids *batches; /* a device that goes: those that may have counted it; NULL: it stays so */
    struct forget *forget;              /* a device that goes; else NULL */
};

typedef enum accounts_result write_fn(struct accounts *accounts, const struct change *change);

enum accounts_result accounts_audit(struct accounts *accounts, const struct audit_deed *deed)
{
    struct audit_command command;
    audit_command(deed, accounts->actor, accounts->audit_max, &command);
    return run(accounts, command.arguments, command.count);
}

/* In the slot of the tenant, so also on a cluster part of the transaction. */
static enum accounts_result audit(struct accounts *accounts, const struct change *change)
{
    struct audit_deed deed = {
        .action = change->action ? change->action : "change",
        .object = change->key.len ? "key" : change->thing->object,
        .tenant = change->thing->tenant,
        .id = change->thing->id,
        .key = change->key,
    };
    return accounts_audit(accounts, &deed);
}

static enum accounts_result tell(struct accounts *accounts, const struct thing *thing)
{
    struct bytes arguments[] = {
        WORD("XADD"), WORD(SCHEMA_KEY_CHANGES), WORD("MAXLEN"), WORD("~"), WORD(SCHEMA_CHANGES_KEPT), WORD("*"),
        WORD(SCHEMA_CHANGE_OBJECT), bytes_of_text(thing->object),
        WORD(SCHEMA_CHANGE_TENANT), thing->tenant,
        WORD(SCHEMA_CHANGE_ID), thing->id,
        WORD(SCHEMA_CHANGE_GONE), WORD("1"),
    };
    return run(accounts, arguments, COUNT_OF(arguments) - (thing->goes ? 0 : 2));
}

enum accounts_result accounts_execute(struct accounts *accounts)
{
    struct bytes argument = WORD("EXEC");
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, &argument, 1, &reply);
    if (result != ACCOUNTS_DONE)
        return result;
    if (reply->type != STORE_LIST)
        return ACCOUNTS_BUSY;
    for (size_t i = 0; i < reply->count; i++)
        if (reply->items[i].type == STORE_ERROR)
            return accounts_refused(accounts, reply->items[i].text);
    return ACCOUNTS_DONE;
}

/* Whether the set of the thing's name lies in another slot of a cluster than the thing. */
static bool set_is_apart(const struct accounts *accounts, const struct thing *thing)
{
    return store_client_is_cluster(accounts->client) && thing->id.len == 0;
}

/*
 * On a cluster: what the transaction in the tenant's slot could not hold. The name of a tenant follows its record, then
 * it is told. Ended before that, running the command again does it, though the record is as it should be already.
 */
static enum accounts_result finish_apart(struct accounts *accounts, const struct thing *thing)
{
    enum accounts_result result = ACCOUNTS_DONE;
    if (!store_client_is_cluster(accounts->client))
        return ACCOUNTS_DONE;
    if (set_is_apart(accounts, thing)) {
        bool there = false;
        result = exists(accounts, thing->key, &there);
        struct bytes name[] = {there ? WORD("SADD") : WORD("SREM"), bytes_of_text(thing->set_key), member_of(thing)};
        if (result == ACCOUNTS_DONE)
            result = run(accounts, name, COUNT_OF(name));
    }
    return result == ACCOUNTS_DONE ? tell(accounts, thing) : result;
}

static enum accounts_result transact(struct accounts *accounts, write_fn *write, const struct change *change)
{
    bool tells = !store_client_is_cluster(accounts->client);
    enum accounts_result result = run_word(accounts, "MULTI");
    if (result == ACCOUNTS_DONE)
        result = write(accounts, change);
    if (result == ACCOUNTS_DONE)
        result = audit(accounts, change);
    if (result == ACCOUNTS_DONE && tells)
        result = tell(accounts, change->thing);
    if (result == ACCOUNTS_DONE)
        result = accounts_execute(accounts);
    else if (result != ACCOUNTS_AWAY)
        (void)run_word(accounts, "DISCARD");
    return result == ACCOUNTS_DONE ? finish_apart(accounts, change->thing) : result;
}

static enum accounts_result watch(struct accounts *accounts, const struct thing *thing)
{
    struct bytes arguments[] = {WORD("WATCH"), bytes_of_text(thing->key), bytes_of_text(thing->meta_key)};
    return run(accounts, arguments, COUNT_OF(arguments));
}

/* Gives the keys back when nothing was written after all; on a cluster what an earlier try left undone is done. */
static enum accounts_result unwatch(struct accounts *accounts, const struct thing *thing, enum accounts_result result)
{
    if (result == ACCOUNTS_AWAY)
        return result;
    (void)run_word(accounts, "UNWATCH");
    enum accounts_result finished = ACCOUNTS_DONE;
    if (result == ACCOUNTS_EXISTS || result == ACCOUNTS_NOT_FOUND)
        finished = finish_apart(accounts, thing);
    return finished == ACCOUNTS_DONE ? result : finished;
}

static enum accounts_result write_fields(struct accounts *accounts, const struct change *change)
{
    struct bytes arguments[2 + 2 * RECORD_FIELDS_MAX] = {WORD("HSET"), bytes_of_text(change->thing->key)};
    size_t count = 2;
    for (size_t i = 0; i < change->count; i++) {
        arguments[count++] = change->fields[i].name;
        arguments[count++] = change->fields[i].value;
    }
    return run(accounts, arguments, count);
}

/* Some fields of a record: those without a value go. */
static enum accounts_result write_parts(struct accounts *accounts, const struct change *change)
{
    struct bytes set[2 + 2 * RECORD_FIELDS_MAX] = {WORD("HSET"), bytes_of_text(change->thing->key)};
    struct bytes clear[2 + RECORD_FIELDS_MAX] = {WORD("HDEL"), bytes_of_text(change->thing->key)};
    size_t set_count = 2, clear_count = 2;
    for (size_t i = 0; i < change->count; i++) {
        if (change->fields[i].value.len == 0) {
            clear[clear_count++] = change->fields[i].name;
            continue;
        }
        set[set_count++] = change->fields[i].name;
        set[set_count++] = change->fields[i].value;
    }
    enum accounts_result result = set_count > 2 ? run(accounts, set, set_count) : ACCOUNTS_DONE;
    return result == ACCOUNTS_DONE && clear_count > 2 ? run(accounts, clear, clear_count) : result;
}

static enum accounts_result write_whole(struct accounts *accounts, const struct change *change)
{
    struct bytes clear[] = {WORD("DEL"), bytes_of_text(change->thing->key)};
    struct bytes enter[] = {WORD("SADD"), bytes_of_text(change->thing->set_key), member_of(change->thing)};
    enum accounts_result result = run(accounts, clear, COUNT_OF(clear));
    if (result == ACCOUNTS_DONE)
        result = write_fields(accounts, change);
    if (result == ACCOUNTS_DONE && !set_is_apart(accounts, change->thing))
        result = run(accounts, enter, COUNT_OF(enter));
    return result;
}

static enum accounts_result write_removal(struct accounts *accounts, const struct change *change)
{
    struct bytes clear[] = {WORD("DEL"), bytes_of_text(change->thing->key)};
    struct bytes leave[] = {WORD("SREM"), bytes_of_text(change->thing->set_key), member_of(change->thing)};
    enum accounts_result result = run(accounts, clear, COUNT_OF(clear));
    if (result == ACCOUNTS_DONE && !set_is_apart(accounts, change->thing))
        result = run(accounts, leave, COUNT_OF(leave));
    return result;
}

/* Credentials of a device. What only one device of a tenant may have is in weir:{T}:kids (gateway/kids), which is
 * watched with the device and written in the same MULTI. */

struct plan {
    const struct credential *fresh; /* which it gets */
    size_t fresh_count;
    struct bytes only; /* the id of the one that this is about; empty: all */
    bool puts;         /* adds to the record or replaces one, else the record is written whole or goes */
    bool replaces;
    /* What was decided. */
    struct kids_change kids;
    struct record_field fields[RECORD_FIELDS_MAX];
    size_t count;
    char scratch[RECORD_TEXT_MAX];
};

static struct bytes last_word(struct bytes text)
{
    size_t start = text.len;
    while (start > 0 && text.ptr[start - 1] != ' ')
        start--;
    return bytes_of(text.ptr + start, text.len - start);
}

/* Whether the record has wrapped secrets, other than the one that is replaced, that were left out of it. */
static bool has_foreign(const struct reading *reading, const struct device_record *record, struct bytes only)
{
    size_t sealed = 0, opened = 0;
    struct bytes id;
    for (size_t i = 0; i < reading->count; i++)
        sealed += record_is_credential_field(reading->fields[i].name, &id) && !bytes_equal(id, only) &&
                  bytes_starts_with(last_word(reading->fields[i].value), WORD(RECORD_SEALED_PREFIX));
    for (size_t i = 0; i < record->credential_count; i++)
        opened += credential_is_secret(record->credentials[i].kind) &&
                  !bytes_equal_text(only, record->credentials[i].id);
    return sealed > opened;
}

/* The device's credentials with the new one, in ret. */
static enum accounts_result merge(const struct device_record *record, const struct plan *plan,
                                  struct credential ret[static CREDENTIALS_MAX + 1], size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < record->credential_count; i++)
        if (!bytes_equal_text(plan->only, record->credentials[i].id))
            ret[count++] = record->credentials[i];
    ret[count++] = plan->fresh[0];
    *ret_count = count;
    return count > CREDENTIALS_MAX ? ACCOUNTS_FULL : ACCOUNTS_DONE;
}

/* Writes all credentials anew, so that what an older weir left in plain text is wrapped. */
static enum accounts_result plan_put(struct accounts *accounts, const struct change *change,
                                     const struct reading *reading)
{
    struct plan *plan = change->plan;
    struct record_room room;
    struct credential merged[CREDENTIALS_MAX + 1];
    struct device_record record;
    size_t count = 0;
    if (!record_to_device(change->thing->tenant, change->thing->id, reading->fields, reading->count, accounts->vault,
                          &room, &record))
        return ACCOUNTS_DAMAGED;
    accounts->is_foreign = accounts->must_open && has_foreign(reading, &record, plan->only);
    enum accounts_result result =
        accounts->is_foreign ? ACCOUNTS_NOT_SEALED : merge(&record, plan, merged, &count);
    record.credentials = merged;
    record.credential_count = (uint8_t)count;
    if (result == ACCOUNTS_DONE && !record_secrets_are_distinct(&record))
        result = ACCOUNTS_SAME_SECRET;
    if (result == ACCOUNTS_DONE) {
        struct record_field all[RECORD_FIELDS_MAX];
        size_t all_count = record_of_device(&record, accounts->vault, all, plan->scratch);
        result = all_count ? ACCOUNTS_DONE : ACCOUNTS_NOT_SEALED;
        plan->count = 0;
        for (size_t i = 0; i < all_count; i++)
            if (bytes_starts_with(all[i].name, WORD(SCHEMA_DEVICE_KEY_PREFIX)))
                plan->fields[plan->count++] = all[i];
    }
    record_wipe_room(&room);
    explicit_bzero(merged, sizeof merged);
    return result;
}

/* Whether the names are the device's to take. What older records show is entered first, if it is not: then
 * ACCOUNTS_BUSY, and all is looked at again. */
static enum accounts_result check_names(struct accounts *accounts, const struct change *change)
{
    struct bytes arguments[KIDS_ARGUMENTS_MAX];
    const struct store_reply *reply = NULL;
    if (change->plan->kids.had_count + change->plan->kids.wanted_count == 0)
        return ACCOUNTS_DONE;
    size_t count = kids_ask(&change->plan->kids, arguments);
    enum accounts_result result = accounts_call(accounts, arguments, count, &reply);
    if (result == ACCOUNTS_DONE)
        result = kids_judge(&change->plan->kids, reply, accounts->holder);
    if (result != ACCOUNTS_NOT_FOUND)
        return result;
    result = run_word(accounts, "UNWATCH");
    if (result == ACCOUNTS_DONE)
        result = kids_enter(accounts, change->thing->tenant);
    return result == ACCOUNTS_DONE ? ACCOUNTS_BUSY : result;
}

static enum accounts_result decide(struct accounts *accounts, const struct change *change)
{
    struct plan *plan = change->plan;
    struct reading reading = {.count = 0};
    kids_begin(change->thing->tenant, change->thing->id, &plan->kids);
    struct bytes watch_kids[] = {WORD("WATCH"), bytes_of_text(plan->kids.key)};
    accounts->holder[0] = '\0';
    enum accounts_result result = run(accounts, watch_kids, COUNT_OF(watch_kids));
    if (result == ACCOUNTS_DONE)
        result = read_fields(accounts, change->thing->key, &reading);
    if (result != ACCOUNTS_DONE && result != ACCOUNTS_NOT_FOUND)
        return result;
    bool found = kids_lose(&plan->kids, reading.fields, reading.count, plan->only);
    kids_want(&plan->kids, plan->fresh, plan->fresh_count);
    if (plan->puts && found && !plan->replaces)
        return ACCOUNTS_EXISTS;
    if (plan->only.len && !plan->puts && !found)
        return ACCOUNTS_NOT_FOUND;
    result = plan->puts ? plan_put(accounts, change, &reading) : ACCOUNTS_DONE;
    return result == ACCOUNTS_DONE ? check_names(accounts, change) : result;
}

static enum accounts_result write_kids(struct accounts *accounts, const struct change *change)
{
    struct bytes arguments[KIDS_ARGUMENTS_MAX];
    size_t count = kids_release(&change->plan->kids, arguments);
    enum accounts_result result = count ? run(accounts, arguments, count) : ACCOUNTS_DONE;
    count = kids_claim(&change->plan->kids, arguments);
    return result == ACCOUNTS_DONE && count ? run(accounts, arguments, count) : result;
}

static enum accounts_result write_device(struct accounts *accounts, const struct change *change)
{
    enum accounts_result result = write_whole(accounts, change);
    return result == ACCOUNTS_DONE ? write_kids(accounts, change) : result;
}

static enum accounts_result write_credentials(struct accounts *accounts, const struct change *change)
{
    struct change fields = {.thing = change->thing, .fields = change->plan->fields, .count = change->plan->count};
#define NAME(name, kind) WORD(#name),
    struct bytes clear[] = {WORD("HDEL"), bytes_of_text(change->thing->key), RECORD_OLD_FIELDS(NAME)};
#undef NAME
    enum accounts_result result = write_fields(accounts, &fields);
    if (result == ACCOUNTS_DONE)
        result = run(accounts, clear, COUNT_OF(clear));
    return result == ACCOUNTS_DONE ? write_kids(accounts, change) : result;
}

static enum accounts_result write_credential_removal(struct accounts *accounts, const struct change *change)
{
    char field[sizeof SCHEMA_DEVICE_KEY_PREFIX + CREDENTIAL_ID_MAX];
    struct bytes id = change->plan->only, old;
    size_t prefix_len = sizeof SCHEMA_DEVICE_KEY_PREFIX - 1;
    memcpy(field, SCHEMA_DEVICE_KEY_PREFIX, prefix_len);
    memcpy(field + prefix_len, id.ptr, id.len);
    struct bytes clear[] = {WORD("HDEL"), bytes_of_text(change->thing->key), bytes_of(field, prefix_len + id.len), id};
    size_t count = record_is_credential_field(id, &old) ? 4 : 3;
    enum accounts_result result = run(accounts, clear, count);
    return result == ACCOUNTS_DONE ? write_kids(accounts, change) : result;
}

/* Nothing is left that would make the device anew without being asked for. The record does not say by which batch it
 * came. */
static enum accounts_result write_enrolment_end(struct accounts *accounts, const struct change *change)
{
    char key[SCHEMA_KEY_MAX], list_key[SCHEMA_KEY_MAX];
    schema_key_of(key, change->thing->tenant, SCHEMA_KIND_ENROLMENT, change->thing->id);
    schema_key(list_key, change->thing->tenant, SCHEMA_SUFFIX_ENROLMENTS);
    struct bytes clear[] = {WORD("DEL"), bytes_of_text(key)};
    struct bytes drop[] = {WORD("ZREM"), bytes_of_text(list_key), change->thing->id};
    enum accounts_result result = run(accounts, clear, COUNT_OF(clear));
    if (result == ACCOUNTS_DONE)
        result = run(accounts, drop, COUNT_OF(drop));
    for (size_t i = 0; i < change->batches->count && result == ACCOUNTS_DONE; i++) {
        char used_key[SCHEMA_KEY_MAX];
        struct bytes batch = bytes_of_text(change->batches->ids[i]);
        if (!schema_group_is_valid(batch))
            continue;
        schema_key_of(used_key, change->thing->tenant, SCHEMA_KIND_USED, batch);
        struct bytes leave[] = {WORD("SREM"), bytes_of_text(used_key), change->thing->id};
        result = run(accounts, leave, COUNT_OF(leave));
    }
    return result;
}

/* A device's numbers and counters go with it: one of the same id begins anew. */
static enum accounts_result write_device_removal(struct accounts *accounts, const struct change *change)
{
    enum accounts_result result =
        forget_write(accounts, change->thing->tenant, change->thing->id, change->forget);
    if (result == ACCOUNTS_DONE)
        result = write_kids(accounts, change);
    if (result == ACCOUNTS_DONE && change->batches)
        result = write_enrolment_end(accounts, change);
    return result == ACCOUNTS_DONE ? write_removal(accounts, change) : result;
}

/* A rule, and the name of its stream, so that what was kept apart once is found again (gateway/warm, stream list). */
static enum accounts_result write_rule(struct accounts *accounts, const struct change *change)
{
    char set_key[SCHEMA_KEY_MAX];
    schema_key(set_key, change->thing->tenant, SCHEMA_SUFFIX_STREAMS);
    struct bytes enter[] = {WORD("SADD"), bytes_of_text(set_key), change->stream};
    enum accounts_result result = write_whole(accounts, change);
    return result == ACCOUNTS_DONE && change->stream.len ? run(accounts, enter, COUNT_OF(enter)) : result;
}

/* The name of a stream that holds entries stays known. */
static enum accounts_result write_retention_removal(struct accounts *accounts, const struct change *change)
{
    struct bytes clear[] = {WORD("DEL"), bytes_of_text(change->thing->key)};
    return run(accounts, clear, COUNT_OF(clear));
}

/* What must be there before a thing is added. ret_replaces: the thing itself is. */
static enum accounts_result check_place(struct accounts *accounts, const struct thing *thing, bool replace,
                                        bool *ret_replaces)
{
    bool there = false;
    enum accounts_result result = exists(accounts, thing->key, &there);
    if (result != ACCOUNTS_DONE)
        return result;
    *ret_replaces = there;
    if (there && !replace)
        return ACCOUNTS_EXISTS;
    result = thing->id.len ? exists(accounts, thing->meta_key, &there) : ACCOUNTS_DONE;
    if (result != ACCOUNTS_DONE)
        return result;
    return thing->id.len && !there ? ACCOUNTS_NO_TENANT : ACCOUNTS_DONE;
}

static enum accounts_result add_by(struct accounts *accounts, write_fn *write, const struct change *change,
                                   bool replace)
{
    enum accounts_result result = ACCOUNTS_BUSY;
    struct change told = *change;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++) {
        bool replaces = false;
        result = watch(accounts, change->thing);
        if (result == ACCOUNTS_DONE)
            result = check_place(accounts, change->thing, replace, &replaces);
        told.action = replaces ? "change" : "add";
        if (result == ACCOUNTS_DONE)
            result = check_version(accounts, change->thing);
        if (result == ACCOUNTS_DONE && change->plan)
            result = decide(accounts, change);
        result = result == ACCOUNTS_DONE ? transact(accounts, write, &told)
                                         : unwatch(accounts, change->thing, result);
    }
    return result;
}

static enum accounts_result add(struct accounts *accounts, const struct change *change, bool replace)
{
    return add_by(accounts, write_whole, change, replace);
}

/* Changes something that must be there already. */
static enum accounts_result alter(struct accounts *accounts, write_fn *write, const struct change *change)
{
    enum accounts_result result = ACCOUNTS_BUSY;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++) {
        bool there = false;
        result = watch(accounts, change->thing);
        if (result == ACCOUNTS_DONE)
            result = exists(accounts, change->thing->key, &there);
        if (result == ACCOUNTS_DONE && !there)
            result = ACCOUNTS_NOT_FOUND;
        if (result == ACCOUNTS_DONE)
            result = check_version(accounts, change->thing);
        if (result == ACCOUNTS_DONE && change->plan)
            result = decide(accounts, change);
        if (result == ACCOUNTS_DONE && change->forget)
            result = forget_read(accounts, change->thing->tenant, change->thing->id, change->forget);
        result = result == ACCOUNTS_DONE ? transact(accounts, write, change)
                                         : unwatch(accounts, change->thing, result);
    }
    return result;
}

static enum accounts_result set_field(struct accounts *accounts, const struct thing *thing, const char *name,
                                      struct bytes value, const char *action)
{
    struct record_field field = {bytes_of_text(name), value};
    struct change change = {.thing = thing, .fields = &field, .count = 1, .action = action};
    return alter(accounts, write_fields, &change);
}

static enum accounts_result set_flag(struct accounts *accounts, const struct thing *thing, const char *name, bool flag,
                                     const char *action)
{
    return set_field(accounts, thing, name, flag ? WORD("1") : WORD("0"), action);
}

static enum accounts_result set_disabled(struct accounts *accounts, const struct thing *thing, bool disabled)
{
    return set_flag(accounts, thing, "disabled", disabled, disabled ? "disable" : "enable");
}

static enum accounts_result refuse_what_is_left(struct accounts *accounts, const struct thing *thing)
{
    char devices[SCHEMA_KEY_MAX];
    bool there = false, left = false;
    schema_key(devices, thing->tenant, kinds[KIND_DEVICE].set_suffix);
    enum accounts_result result = exists(accounts, thing->key, &there);
    if (result == ACCOUNTS_DONE && !there)
        result = exists(accounts, devices, &left);
    return result == ACCOUNTS_DONE && left ? ACCOUNTS_LEFTOVER : result;
}

enum accounts_result accounts_add_tenant(struct accounts *accounts, const struct tenant_record *record, bool replace)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of_tenant(bytes_of_text(record->id));
    struct change change = {.thing = &thing, .fields = fields, .count = record_of_tenant(record, fields, scratch)};
    enum accounts_result result = refuse_what_is_left(accounts, &thing);
    return result == ACCOUNTS_DONE ? add(accounts, &change, replace) : result;
}

enum accounts_result accounts_set_tenant_disabled(struct accounts *accounts, struct bytes tenant, bool disabled)
{
    struct thing thing = thing_of_tenant(tenant);
    return set_disabled(accounts, &thing, disabled);
}

enum accounts_result accounts_set_tenant_level(struct accounts *accounts, struct bytes tenant,
                                               enum delivery_level level)
{
    struct thing thing = thing_of_tenant(tenant);
    return set_field(accounts, &thing, "level", bytes_of_text(delivery_level_name(level)), NULL);
}

enum accounts_result accounts_add_device(struct accounts *accounts, const struct device_record *record, bool replace)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct plan plan = {.fresh = record->credentials, .fresh_count = record->credential_count};
    struct thing thing = thing_of(KIND_DEVICE, bytes_of_text(record->tenant), bytes_of_text(record->id));
    struct change change = {.thing = &thing, .fields = fields, .plan = &plan};
    if (record->credential_count > CREDENTIALS_MAX)
        return ACCOUNTS_FULL;
    if (!record_secrets_are_distinct(record))
        return ACCOUNTS_SAME_SECRET;
    change.count = record_of_device(record, accounts->vault, fields, scratch);
    enum accounts_result result =
        change.count ? add_by(accounts, write_device, &change, replace) : ACCOUNTS_NOT_SEALED;
    explicit_bzero(scratch, sizeof scratch);
    return result;
}

enum accounts_result accounts_set_device_disabled(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                  bool disabled)
{
    struct thing thing = thing_of(KIND_DEVICE, tenant, id);
    return set_disabled(accounts, &thing, disabled);
}

enum accounts_result accounts_set_device_fields(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                const struct record_field *fields, size_t count)
{
    struct thing thing = thing_of(KIND_DEVICE, tenant, id);
    struct change change = {.thing = &thing, .fields = fields, .count = count};
    return alter(accounts, write_parts, &change);
}

enum accounts_result accounts_put_credential(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                             const struct credential *credential, bool replace)
{
    struct plan plan = {.fresh = credential, .fresh_count = 1, .only = bytes_of_text(credential->id), .puts = true,
                        .replaces = replace};
    struct thing thing = thing_of(KIND_DEVICE, tenant, device);
    struct change change = {
        .thing = &thing, .plan = &plan, .action = replace ? "change" : "add", .key = bytes_of_text(credential->id)};
    enum accounts_result result = alter(accounts, write_credentials, &change);
    explicit_bzero(plan.scratch, sizeof plan.scratch);
    return result;
}

enum accounts_result accounts_remove_credential(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                                struct bytes id)
{
    struct plan plan = {.only = id};
    struct thing thing = thing_of(KIND_DEVICE, tenant, device);
    struct change change = {.thing = &thing, .plan = &plan, .action = "remove", .key = id};
    return id.len && id.len <= CREDENTIAL_ID_MAX ? alter(accounts, write_credential_removal, &change)
                                                 : ACCOUNTS_NOT_FOUND;
}

static enum accounts_result is_rejected(struct accounts *accounts, struct bytes tenant, struct bytes device, bool *ret)
{
    char key[SCHEMA_KEY_MAX];
    schema_key_of(key, tenant, SCHEMA_KIND_ENROLMENT, device);
    struct bytes arguments[] = {WORD("HGET"), bytes_of_text(key), WORD(SCHEMA_ENROLMENT_STATE)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    *ret = result == ACCOUNTS_DONE && bytes_equal_text(reply->text, SCHEMA_ENROLMENT_REJECTED);
    return result;
}

enum accounts_result accounts_remove_device(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct plan plan = {.fresh_count = 0};
    struct thing thing = thing_of(KIND_DEVICE, tenant, id);
    struct accounts_ids batches = {0};
    struct forget forget = {0};
    struct change change = {.thing = &thing, .plan = &plan, .action = "remove", .forget = &forget};
    bool rejected = false;
    thing.goes = true;
    enum accounts_result result = is_rejected(accounts, tenant, id, &rejected);
    /* A rejection is of who asked, not of this device, which somebody made by hand. */
    if (result == ACCOUNTS_DONE && !rejected) {
        change.batches = &batches;
        result = accounts_list_batches(accounts, tenant, &batches);
    }
    if (result == ACCOUNTS_DONE || result == ACCOUNTS_NO_TENANT)
        result = alter(accounts, write_device_removal, &change);
    forget_deinit(&forget);
    free(batches.ids);
    return result;
}

enum accounts_result accounts_add_token(struct accounts *accounts, const struct token_record *record)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct bytes tenant = bytes_of_text(record->tenant);
    struct thing thing = thing_of(KIND_TOKEN, tenant, bytes_of_text(record->id));
    struct change change = {
        .thing = &thing, .fields = fields, .count = record_of_token(record, accounts->vault, fields, scratch)};
    if (change.count == 0)
        return ACCOUNTS_NOT_SEALED;
    if (record->role == ROLE_DEVICE) {
        struct thing device = thing_of(KIND_DEVICE, tenant, bytes_of_text(record->device));
        bool there = false;
        enum accounts_result result = exists(accounts, device.key, &there);
        if (result != ACCOUNTS_DONE || !there)
            return result == ACCOUNTS_DONE ? ACCOUNTS_NO_DEVICE : result;
    }
    return add(accounts, &change, false);
}

enum accounts_result accounts_revoke_token(struct accounts *accounts, struct bytes id)
{
    struct token_record record;
    enum accounts_result result = accounts_get_token(accounts, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    return accounts_revoke_token_of(accounts, bytes_of_text(record.tenant), id);
}

enum accounts_result accounts_revoke_token_of(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct thing thing = thing_of(KIND_TOKEN, tenant, id);
    return set_flag(accounts, &thing, "revoked", true, "revoke");
}

static enum accounts_result count_members(struct accounts *accounts, const char *set_key, size_t *ret)
{
    struct bytes arguments[] = {WORD("SCARD"), bytes_of_text(set_key)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result == ACCOUNTS_DONE)
        *ret = (size_t)reply->integer;
    return result;
}

/* ACCOUNTS_FULL: the thing is not there, and max others are. */
static enum accounts_result check_room(struct accounts *accounts, const struct thing *thing, size_t max)
{
    size_t members = 0;
    bool there = false;
    enum accounts_result result = count_members(accounts, thing->set_key, &members);
    if (result == ACCOUNTS_DONE)
        result = exists(accounts, thing->key, &there);
    return result == ACCOUNTS_DONE && members >= max && !there ? ACCOUNTS_FULL : result;
}

enum accounts_result accounts_add_rule(struct accounts *accounts, const struct rule_record *record, bool replace)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of(KIND_RULE, bytes_of_text(record->tenant), bytes_of_text(record->id));
    struct change change = {.thing = &thing, .fields = fields, .count = record_of_rule(record, fields, scratch)};
    if (!bytes_equal_text(bytes_of_text(record->stream), SCHEMA_SUFFIX_OBS))
        change.stream = bytes_of_text(record->stream);
    enum accounts_result result = check_room(accounts, &thing, RECORD_RULES_MAX);
    return result == ACCOUNTS_DONE ? add_by(accounts, write_rule, &change, replace) : result;
}

enum accounts_result accounts_remove_rule(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct thing thing = thing_of(KIND_RULE, tenant, id);
    struct change change = {.thing = &thing, .action = "remove"};
    return alter(accounts, write_removal, &change);
}

enum accounts_result accounts_set_stream(struct accounts *accounts, const struct stream_record *record)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of(KIND_STREAM, bytes_of_text(record->tenant), bytes_of_text(record->name));
    struct change change = {.thing = &thing, .fields = fields, .count = record_of_stream(record, fields, scratch)};
    return add(accounts, &change, true);
}

enum accounts_result accounts_remove_stream(struct accounts *accounts, struct bytes tenant, struct bytes name)
{
    char key[SCHEMA_KEY_MAX];
    bool holds_entries = false;
    struct thing thing = thing_of(KIND_STREAM, tenant, name);
    struct change change = {.thing = &thing, .action = "remove"};
    schema_key_of_stream(key, tenant, name);
    enum accounts_result result = exists(accounts, key, &holds_entries);
    bool stays_known = holds_entries && !bytes_equal_text(name, SCHEMA_SUFFIX_OBS);
    return result == ACCOUNTS_DONE ? alter(accounts, stays_known ? write_retention_removal : write_removal, &change)
                                   : result;
}

enum accounts_result accounts_add_profile(struct accounts *accounts, const struct profile_record *record, bool replace)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of(KIND_PROFILE, bytes_of_text(record->tenant), bytes_of_text(record->id));
    struct change change = {.thing = &thing, .fields = fields, .count = record_of_profile(record, fields, scratch)};
    enum accounts_result result = check_room(accounts, &thing, RECORD_CODECS_MAX);
    return result == ACCOUNTS_DONE ? add(accounts, &change, replace) : result;
}

enum accounts_result accounts_remove_profile(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct thing thing = thing_of(KIND_PROFILE, tenant, id);
    struct change change = {.thing = &thing, .action = "remove"};
    return alter(accounts, write_removal, &change);
}

enum accounts_result accounts_add_codec(struct accounts *accounts, const struct codec_record *record, bool replace)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of(KIND_CODEC, bytes_of_text(record->tenant), bytes_of_text(record->id));
    struct change change = {.thing = &thing, .fields = fields, .count = record_of_codec(record, fields, scratch)};
    enum accounts_result result = check_room(accounts, &thing, RECORD_CODECS_MAX);
    return result == ACCOUNTS_DONE ? add(accounts, &change, replace) : result;
}

enum accounts_result accounts_add_group(struct accounts *accounts, const struct group_record *record, bool replace)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of(KIND_GROUP, bytes_of_text(record->tenant), bytes_of_text(record->id));
    struct change change = {
        .thing = &thing, .fields = fields, .count = record_of_group(record, accounts->vault, fields, scratch)};
    if (change.count == 0)
        return ACCOUNTS_NOT_SEALED;
    enum accounts_result result = check_room(accounts, &thing, RECORD_CODECS_MAX);
    if (result == ACCOUNTS_DONE)
        result = add(accounts, &change, replace);
    explicit_bzero(scratch, sizeof scratch);
    return result;
}

enum accounts_result accounts_set_group_disabled(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                 bool disabled)
{
    struct thing thing = thing_of(KIND_GROUP, tenant, id);
    return set_disabled(accounts, &thing, disabled);
}

enum accounts_result accounts_remove_group(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct thing thing = thing_of(KIND_GROUP, tenant, id);
    struct change change = {.thing = &thing, .action = "remove"};
    return alter(accounts, write_removal, &change);
}

enum accounts_result accounts_add_batch(struct accounts *accounts, const struct batch_record *record, bool replace)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of(KIND_BATCH, bytes_of_text(record->tenant), bytes_of_text(record->id));
    struct change change = {
        .thing = &thing, .fields = fields, .count = record_of_batch(record, accounts->vault, fields, scratch)};
    if (change.count == 0)
        return ACCOUNTS_NOT_SEALED;
    enum accounts_result result = check_room(accounts, &thing, BATCHES_MAX);
    if (result == ACCOUNTS_DONE)
        result = add(accounts, &change, replace);
    explicit_bzero(scratch, sizeof scratch);
    return result;
}

enum accounts_result accounts_set_batch_disabled(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                 bool disabled)
{
    struct thing thing = thing_of(KIND_BATCH, tenant, id);
    return set_disabled(accounts, &thing, disabled);
}

/* What was approved for it and who came by it goes with it: one of the same id begins anew. */
static enum accounts_result write_batch_removal(struct accounts *accounts, const struct change *change)
{
    char serials[SCHEMA_KEY_MAX], used[SCHEMA_KEY_MAX];
    schema_key_of(serials, change->thing->tenant, SCHEMA_KIND_SERIALS, change->thing->id);
    schema_key_of(used, change->thing->tenant, SCHEMA_KIND_USED, change->thing->id);
    struct bytes clear[] = {WORD("DEL"), bytes_of_text(serials), bytes_of_text(used)};
    enum accounts_result result = run(accounts, clear, COUNT_OF(clear));
    return result == ACCOUNTS_DONE ? write_removal(accounts, change) : result;
}

enum accounts_result accounts_remove_batch(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct thing thing = thing_of(KIND_BATCH, tenant, id);
    struct change change = {.thing = &thing, .action = "remove"};
    return alter(accounts, write_batch_removal, &change);
}

enum accounts_result accounts_add_ca(struct accounts *accounts, const struct ca_record *record)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct thing thing = thing_of(KIND_CA, bytes_of_text(record->tenant), bytes_of_text(record->id));
    struct change change = {
        .thing = &thing, .fields = fields, .count = record_of_ca(record, accounts->vault, fields, scratch)};
    enum accounts_result result = change.count ? add(accounts, &change, false) : ACCOUNTS_NOT_SEALED;
    explicit_bzero(scratch, sizeof scratch);
    return result;
}

enum accounts_result accounts_set_ca_retired(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                             bool retired)
{
    struct thing thing = thing_of(KIND_CA, tenant, id);
    return set_flag(accounts, &thing, "retired", retired, retired ? "retire" : "change");
}

enum accounts_result accounts_remove_ca(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct thing thing = thing_of(KIND_CA, tenant, id);
    struct change change = {.thing = &thing, .action = "remove"};
    return alter(accounts, write_removal, &change);
}

/* The first octets of a text, cut where a character begins. */
static struct bytes cut_text(struct bytes text, size_t max)
{
    if (text.len <= max)
        return text;
    while (max > 0 && (text.ptr[max] & 0xc0) == 0x80)
        max--;
    return bytes_of(text.ptr, max);
}

enum accounts_result accounts_set_codec_quarantined(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                    bool quarantined, struct bytes reason)
{
    struct thing thing = thing_of(KIND_CODEC, tenant, id);
    struct record_field fields[] = {
        {WORD("quarantined"), quarantined ? WORD("1") : WORD("0")},
        {WORD("reason"), cut_text(reason, RECORD_REASON_MAX)},
    };
    struct change change = {.thing = &thing, .fields = fields, .count = COUNT_OF(fields),
                            .action = quarantined ? "quarantine" : "release"};
    return alter(accounts, write_parts, &change);
}

/* The list with one more. False: it is full, or has him. */
static bool add_witness(const char *witnesses, struct bytes witness, char ret[static RECORD_WITNESSES_MAX + 1])
{
    struct bytes rest = bytes_of_text(witnesses), known;
    unsigned count = 0;
    for (; record_next_witness(&rest, &known); count++)
        if (bytes_equal(known, witness))
            return false;
    if (count == RECORD_WITNESSES || witness.len == 0 || witness.len > RECORD_WITNESS_MAX)
        return false;
    snprintf(ret, RECORD_WITNESSES_MAX + 1, "%s%s%.*s", witnesses, count ? "," : "", (int)witness.len,
             (const char *)witness.ptr);
    return true;
}

enum accounts_result accounts_add_codec_witness(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                struct bytes definition, struct bytes witness)
{
    char witnesses[RECORD_WITNESSES_MAX + 1];
    struct codec_record record;
    struct thing thing = thing_of(KIND_CODEC, tenant, id);
    enum accounts_result result = accounts_get_codec(accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    if (!bytes_equal(record.definition, definition) || !add_witness(record.witnesses, witness, witnesses))
        return ACCOUNTS_EXISTS;
    return set_field(accounts, &thing, "witnesses", bytes_of_text(witnesses), NULL);
}

enum accounts_result accounts_remove_codec(struct accounts *accounts, struct bytes tenant, struct bytes id)
{
    struct thing thing = thing_of(KIND_CODEC, tenant, id);
    struct change change = {.thing = &thing, .action = "remove"};
    return alter(accounts, write_removal, &change);
}

/* Removing a tenant. */

#define HANGING_MAX 4

/* The kinds of keys of one thing: its own and what hangs on it. */
struct hanging {
    const char *kinds[HANGING_MAX]; /* until NULL */
};

/* Unlinks those keys of all these things, then the list of them. */
static enum accounts_result remove_listed(struct accounts *accounts, struct bytes tenant,
                                          const struct accounts_ids *ids,
                                          const struct hanging *hanging, const char *list_key)
{
    char(*keys)[SCHEMA_KEY_MAX] = calloc(CHUNK, sizeof *keys);
    enum accounts_result result = keys ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
    for (size_t i = 0; i < ids->count && result == ACCOUNTS_DONE;) {
        struct bytes arguments[1 + CHUNK] = {WORD("UNLINK")};
        size_t count = 0;
        for (; count + HANGING_MAX <= CHUNK && i < ids->count; i++)
            for (size_t k = 0; k < HANGING_MAX && hanging->kinds[k]; k++, count++) {
                size_t len = schema_key_of(keys[count], tenant, hanging->kinds[k], bytes_of_text(ids->ids[i]));
                arguments[1 + count] = bytes_of(keys[count], len);
            }
        result = run(accounts, arguments, 1 + count);
    }
    struct bytes unlink[] = {WORD("UNLINK"), bytes_of_text(list_key)};
    if (result == ACCOUNTS_DONE)
        result = run(accounts, unlink, COUNT_OF(unlink));
    free(keys);
    return result;
}

static enum accounts_result remove_members(struct accounts *accounts, struct bytes tenant, enum kind kind)
{
    struct hanging hanging = {{kinds[kind].key_kind}};
    char set_key[SCHEMA_KEY_MAX];
    struct accounts_ids ids = {0};
    if (kind == KIND_DEVICE)
        hanging = (struct hanging){{SCHEMA_KIND_DEVICE, SCHEMA_KIND_TOTAL, SCHEMA_KIND_ONCE, SCHEMA_KIND_EPOCHS}};
    else if (kind == KIND_BATCH)
        hanging = (struct hanging){{SCHEMA_KIND_BATCH, SCHEMA_KIND_SERIALS, SCHEMA_KIND_USED}};
    schema_key(set_key, tenant, kinds[kind].set_suffix);
    enum accounts_result result = list(accounts, set_key, &ids);
    if (result == ACCOUNTS_DONE && kind == KIND_DEVICE)
        result = forget_tenant(accounts, tenant, &ids);
    if (result == ACCOUNTS_DONE)
        result = remove_listed(accounts, tenant, &ids, &hanging, set_key);
    free(ids.ids);
    return result;
}

static enum accounts_result remove_enrolments(struct accounts *accounts, struct bytes tenant)
{
    static const struct hanging hanging = {{SCHEMA_KIND_ENROLMENT}};
    char list_key[SCHEMA_KEY_MAX];
    struct accounts_ids ids = {0};
    const struct store_reply *reply = NULL;
    schema_key(list_key, tenant, SCHEMA_SUFFIX_ENROLMENTS);
    struct bytes arguments[] = {WORD("ZRANGE"), bytes_of_text(list_key), WORD("0"), WORD("-1")};
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result == ACCOUNTS_DONE)
        result = accounts_take_ids(reply, &ids);
    if (result == ACCOUNTS_DONE)
        result = remove_listed(accounts, tenant, &ids, &hanging, list_key);
    free(ids.ids);
    return result;
}

enum accounts_result accounts_remove_tenant(struct accounts *accounts, struct bytes tenant)
{
    struct thing thing = thing_of_tenant(tenant);
    struct change change = {.thing = &thing, .action = "remove"};
    thing.goes = true;
    enum accounts_result removed = alter(accounts, write_removal, &change);
    if (removed != ACCOUNTS_DONE && removed != ACCOUNTS_NOT_FOUND)
        return removed;
    enum accounts_result result = ACCOUNTS_DONE;
    for (enum kind kind = KIND_DEVICE; kind < COUNT_OF(kinds) && result == ACCOUNTS_DONE; kind++)
        result = remove_members(accounts, tenant, kind);
    if (result == ACCOUNTS_DONE)
        result = remove_enrolments(accounts, tenant);
    char quarantine[SCHEMA_KEY_MAX], kids[SCHEMA_KEY_MAX];
    schema_key(quarantine, tenant, SCHEMA_SUFFIX_QUARANTINE);
    schema_key(kids, tenant, SCHEMA_SUFFIX_KIDS);
    struct bytes unlink[] = {WORD("UNLINK"), bytes_of_text(quarantine), bytes_of_text(kids)};
    if (result == ACCOUNTS_DONE)
        result = run(accounts, unlink, COUNT_OF(unlink));
    return result == ACCOUNTS_DONE ? removed : result;
}

/* The audit. */

enum accounts_result accounts_read_audit(struct accounts *accounts, struct bytes tenant, struct bytes before,
                                         struct audit_entry *ret, size_t max, size_t *ret_count)
{
    char key[SCHEMA_KEY_MAX], end[64], count[24];
    bool known = false;
    struct thing thing = thing_of_tenant(tenant);
    schema_key(key, tenant, SCHEMA_SUFFIX_AUDIT);
    snprintf(end, sizeof end, before.len ? "(%.*s" : "+", (int)before.len, (const char *)before.ptr);
    snprintf(count, sizeof count, "%zu", max);
    struct bytes arguments[] = {WORD("XREVRANGE"), bytes_of_text(key), bytes_of_text(end), WORD("-"), WORD("COUNT"),
                                bytes_of_text(count)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    *ret_count = 0;
    if (result != ACCOUNTS_DONE)
        return result;
    for (size_t i = 0; reply->type == STORE_LIST && i < reply->count && *ret_count < max; i++)
        *ret_count += audit_read(&reply->items[i], &ret[*ret_count]);
    /* Of a tenant that was removed the audit stays. */
    if (*ret_count == 0)
        result = exists(accounts, thing.key, &known);
    return result == ACCOUNTS_DONE && *ret_count == 0 && !known ? ACCOUNTS_NO_TENANT : result;
}
