// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The enrolment's own keys are changed here, each time in one MULTI under WATCH; the device's record by
 * gateway/accounts, which tells everybody. Between the two a crash may come; what is then done again is the
 * same, because the enrolment says which credential it is.
 *
 * On the sweep's side the enrolment is looked at again under WATCH before it goes, so that one that has begun
 * anew since is left alone.
 */
#include "gateway/enrolment.h"

#include "codec/base64url.h"
#include "codec/digits.h"
#include "codec/hex.h"
#include "gateway/crypto.h"
#include "gateway/kids.h"
#include "gateway/rt/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES 5
#define DAY_S 86400
#define GRACE_S 30 /* clocks of gateways differ: nothing is undone before all of them see it end */
#define PSK_RANDOM 24
#define PSK_CHARACTERS 32 /* printable, because some clients take keys as text only */
#define KEY_ID_RANDOM 8
#define SERIALS_PER_CALL 500

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define WORD(literal) BYTES_LITERAL(literal)

static const char *const states[ENROLMENT_STATES] = {"pending", "approved", "offered", SCHEMA_ENROLMENT_REJECTED};

const char *enrolment_state_name(enum enrolment_state state)
{
    return states[state];
}

/* Redis. */

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

static enum accounts_result ask_number(struct accounts *accounts, const struct bytes *arguments, size_t count,
                                       uint64_t *ret)
{
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, count, &reply);
    if (result == ACCOUNTS_DONE)
        *ret = (uint64_t)reply->integer;
    return result;
}

static enum accounts_result unwatch(struct accounts *accounts, enum accounts_result result)
{
    if (result != ACCOUNTS_AWAY)
        (void)run_word(accounts, "UNWATCH");
    return result;
}

/* Where an enrolment stands. */
struct place {
    struct bytes tenant, device;
    char key[SCHEMA_KEY_MAX], list_key[SCHEMA_KEY_MAX], used_key[SCHEMA_KEY_MAX]; /* used_key: empty for a rotation */
};

static struct place place_of(struct bytes tenant, struct bytes device, struct bytes batch)
{
    struct place place = {.tenant = tenant, .device = device};
    schema_key_of(place.key, tenant, SCHEMA_KIND_ENROLMENT, device);
    schema_key(place.list_key, tenant, SCHEMA_SUFFIX_ENROLMENTS);
    if (batch.len)
        schema_key_of(place.used_key, tenant, SCHEMA_KIND_USED, batch);
    return place;
}

/* The record. */

static struct bytes hex_of(const uint8_t *octets, size_t len, char *ret)
{
    return bytes_of(ret, hex_write(bytes_of(octets, len), ret));
}

static bool copy_text(struct bytes text, char *ret, size_t size)
{
    if (text.len >= size)
        return false;
    if (text.len)
        memcpy(ret, text.ptr, text.len);
    ret[text.len] = '\0';
    return true;
}

static bool take_seconds(struct bytes text, int64_t *ret)
{
    uint64_t seconds;
    if (!digits_read(text, 12, &seconds))
        return false;
    *ret = (int64_t)seconds;
    return true;
}

static bool take_state(struct bytes text, enum enrolment_state *ret)
{
    for (unsigned i = 0; i < ENROLMENT_STATES; i++)
        if (bytes_equal_text(text, states[i])) {
            *ret = (enum enrolment_state)i;
            return true;
        }
    return false;
}

static struct bytes field(const struct store_reply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < reply->count; i += 2)
        if (bytes_equal_text(reply->items[i].text, name))
            return reply->items[i + 1].text;
    return (struct bytes){0};
}

static bool take_record(const struct store_reply *reply, struct enrolment_record *ret)
{
    size_t digest_len = 0, certificate_len = 0;
    if (!take_state(field(reply, SCHEMA_ENROLMENT_STATE), &ret->state) ||
        !credential_kind_of_name(field(reply, "kind"), &ret->kind) ||
        !copy_text(field(reply, "serial"), ret->serial, sizeof ret->serial) ||
        !copy_text(field(reply, "model"), ret->model, sizeof ret->model) ||
        !copy_text(field(reply, "batch"), ret->batch, sizeof ret->batch) ||
        !copy_text(field(reply, "key"), ret->key, sizeof ret->key) ||
        !copy_text(field(reply, "old"), ret->old, sizeof ret->old) ||
        !copy_text(field(reply, "from"), ret->from, sizeof ret->from) ||
        !copy_text(field(reply, "issuer"), ret->issuer, sizeof ret->issuer) ||
        !hex_read(field(reply, "digest"), ret->digest, sizeof ret->digest, &digest_len) ||
        digest_len != sizeof ret->digest || !take_seconds(field(reply, "asked"), &ret->asked_s) ||
        !take_seconds(field(reply, "expires"), &ret->expires_s) ||
        !take_seconds(field(reply, "until"), &ret->good_until_s) ||
        !hex_read(field(reply, "certificate"), ret->certificate, sizeof ret->certificate, &certificate_len))
        return false;
    ret->certificate_len = (uint16_t)certificate_len;
    return true;
}

enum accounts_result enrolment_get(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                   struct enrolment_record *ret)
{
    char key[SCHEMA_KEY_MAX];
    schema_key_of(key, tenant, SCHEMA_KIND_ENROLMENT, device);
    struct bytes arguments[] = {WORD("HGETALL"), bytes_of_text(key)};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result != ACCOUNTS_DONE)
        return result;
    if (reply->type != STORE_LIST || reply->count == 0)
        return ACCOUNTS_NOT_FOUND;
    *ret = (struct enrolment_record){0};
    memcpy(ret->tenant, tenant.ptr, tenant.len);
    memcpy(ret->device, device.ptr, device.len);
    return take_record(reply, ret) ? ACCOUNTS_DONE : ACCOUNTS_DAMAGED;
}

static enum accounts_result watch(struct accounts *accounts, const struct place *place)
{
    struct bytes arguments[] = {WORD("WATCH"), bytes_of_text(place->key), bytes_of_text(place->used_key)};
    return run(accounts, arguments, place->used_key[0] ? 3 : 2);
}

static enum accounts_result write_hash(struct accounts *accounts, const struct place *place,
                                       const struct enrolment_record *record)
{
    char asked[24], expires[24], until[24], digest[2 * ENROLMENT_DIGEST_BYTES], certificate[2 * CRYPTO_CERT_DER_MAX];
    snprintf(asked, sizeof asked, "%" PRId64, record->asked_s);
    snprintf(expires, sizeof expires, "%" PRId64, record->expires_s);
    snprintf(until, sizeof until, "%" PRId64, record->good_until_s);
    const struct bytes arguments[] = {
        WORD("HSET"),        bytes_of_text(place->key),
        WORD(SCHEMA_ENROLMENT_STATE), bytes_of_text(states[record->state]),
        WORD("kind"),        bytes_of_text(credential_kind_name(record->kind)),
        WORD("serial"),      bytes_of_text(record->serial),
        WORD("model"),       bytes_of_text(record->model),
        WORD("batch"),       bytes_of_text(record->batch),
        WORD("key"),         bytes_of_text(record->key),
        WORD("old"),         bytes_of_text(record->old),
        WORD("from"),        bytes_of_text(record->from),
        WORD("digest"),      hex_of(record->digest, sizeof record->digest, digest),
        WORD("asked"),       bytes_of_text(asked),
        WORD("issuer"),      bytes_of_text(record->issuer),
        WORD("expires"),     bytes_of_text(expires),
        WORD("until"),       bytes_of_text(until),
        WORD("certificate"), hex_of(record->certificate, record->certificate_len, certificate),
    };
    return run(accounts, arguments, COUNT_OF(arguments));
}

static enum accounts_result write_members(struct accounts *accounts, const struct place *place,
                                          const struct enrolment_record *record)
{
    char score[24];
    snprintf(score, sizeof score, "%" PRId64, record->expires_s);
    struct bytes list[] = {WORD("ZADD"), bytes_of_text(place->list_key), bytes_of_text(score), place->device};
    struct bytes used[] = {WORD("SADD"), bytes_of_text(place->used_key), place->device};
    enum accounts_result result = run(accounts, list, COUNT_OF(list));
    return result == ACCOUNTS_DONE && place->used_key[0] ? run(accounts, used, COUNT_OF(used)) : result;
}

static const char *action_of(const struct enrolment_record *record)
{
    static const char *const actions[ENROLMENT_STATES] = {"ask", "approve", "enrol", "reject"};
    return record->state == ENROLMENT_OFFERED && !record->batch[0] ? "rotate" : actions[record->state];
}

/* Under WATCH. */
static enum accounts_result write_record(struct accounts *accounts, const struct place *place,
                                         const struct enrolment_record *record)
{
    enum accounts_result result = run_word(accounts, "MULTI");
    if (result == ACCOUNTS_DONE)
        result = write_hash(accounts, place, record);
    if (result == ACCOUNTS_DONE)
        result = write_members(accounts, place, record);
    if (result == ACCOUNTS_DONE)
        result = accounts_audit(accounts, &(struct audit_deed){.action = action_of(record), .object = "enrolment",
                                                               .tenant = place->tenant, .id = place->device,
                                                               .key = bytes_of_text(record->key)});
    if (result == ACCOUNTS_DONE)
        return accounts_execute(accounts);
    if (result != ACCOUNTS_AWAY)
        (void)run_word(accounts, "DISCARD");
    return result;
}

/* Under WATCH. leaves: the device is none of the batch any more. */
static enum accounts_result write_end(struct accounts *accounts, const struct place *place, bool leaves)
{
    struct bytes clear[] = {WORD("DEL"), bytes_of_text(place->key)};
    struct bytes list[] = {WORD("ZREM"), bytes_of_text(place->list_key), place->device};
    struct bytes used[] = {WORD("SREM"), bytes_of_text(place->used_key), place->device};
    enum accounts_result result = run_word(accounts, "MULTI");
    if (result == ACCOUNTS_DONE)
        result = run(accounts, clear, COUNT_OF(clear));
    if (result == ACCOUNTS_DONE)
        result = run(accounts, list, COUNT_OF(list));
    if (result == ACCOUNTS_DONE && leaves && place->used_key[0])
        result = run(accounts, used, COUNT_OF(used));
    if (result == ACCOUNTS_DONE)
        return accounts_execute(accounts);
    if (result != ACCOUNTS_AWAY)
        (void)run_word(accounts, "DISCARD");
    return result;
}

/* Takes this very enrolment away; one that has begun anew stays. If it went with its device, it is still counted when
 * its batch has no record. */
static enum accounts_result end(struct accounts *accounts, const struct enrolment_record *record, bool leaves)
{
    struct place place = place_of(bytes_of_text(record->tenant), bytes_of_text(record->device),
                                  bytes_of_text(record->batch));
    enum accounts_result result = ACCOUNTS_BUSY;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++) {
        struct enrolment_record now;
        result = watch(accounts, &place);
        if (result == ACCOUNTS_DONE)
            result = enrolment_get(accounts, place.tenant, place.device, &now);
        bool is_other = result == ACCOUNTS_DONE && strcmp(now.key, record->key) != 0;
        if (is_other || (result == ACCOUNTS_NOT_FOUND && !leaves))
            return unwatch(accounts, ACCOUNTS_DONE);
        if (result != ACCOUNTS_DONE && result != ACCOUNTS_DAMAGED && result != ACCOUNTS_NOT_FOUND)
            result = unwatch(accounts, result);
        else
            result = write_end(accounts, &place, leaves);
    }
    return result;
}

/*
 * The device's side. What was read of a device is written over or removed only while it stands as it was read
 * (ACCOUNTS_STALE): an operator, or another gateway, that came in between has the last word, so it is read
 * again and judged anew. Those who begin such a step repeat it TRIES times.
 */

/* A copy of one credential with its name in place. */
struct copy {
    struct credential credential;
    struct accounts_version version; /* of the device that it was read from */
    bool device_disabled;
    char name[CREDENTIAL_NAME_MAX + 1];
};

static void copy_of(const struct credential *from, struct copy *ret)
{
    ret->credential = *from;
    if (!from->name)
        return;
    snprintf(ret->name, sizeof ret->name, "%s", from->name);
    ret->credential.name = ret->name;
}

/* The credential as it stands. ACCOUNTS_NO_DEVICE: there is no such device; ACCOUNTS_NOT_FOUND: it has no such one. */
static enum accounts_result read_credential(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                            struct bytes id, struct copy *ret, uint8_t *ret_count)
{
    struct record_room room;
    struct device_record record;
    enum accounts_result result = accounts_get_device(accounts, tenant, device, &room, &record);
    if (result != ACCOUNTS_DONE)
        return result == ACCOUNTS_NOT_FOUND ? ACCOUNTS_NO_DEVICE : result;
    const struct credential *found = record_credential_of_id(&record, id);
    if (found)
        copy_of(found, ret);
    ret->version = accounts->last_read;
    ret->device_disabled = record.disabled;
    *ret_count = record.credential_count;
    record_wipe_room(&room);
    return found ? ACCOUNTS_DONE : ACCOUNTS_NOT_FOUND;
}

static enum accounts_result put_back(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                     const struct copy *copy)
{
    accounts->only_if = &copy->version;
    enum accounts_result result = accounts_put_credential(accounts, tenant, device, &copy->credential, true);
    accounts->only_if = NULL;
    return result == ACCOUNTS_NOT_FOUND ? ACCOUNTS_STALE : result;
}

/* key empty: the whole device. */
static enum accounts_result take_away(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                      struct bytes key, const struct accounts_version *version)
{
    accounts->only_if = version;
    enum accounts_result result = key.len ? accounts_remove_credential(accounts, tenant, device, key)
                                          : accounts_remove_device(accounts, tenant, device);
    accounts->only_if = NULL;
    return result == ACCOUNTS_NOT_FOUND ? ACCOUNTS_STALE : result;
}

static enum accounts_result retire(struct accounts *accounts, const struct enrolment_record *record, int64_t until_s)
{
    struct bytes tenant = bytes_of_text(record->tenant), device = bytes_of_text(record->device);
    struct copy old;
    uint8_t count;
    if (!record->old[0])
        return ACCOUNTS_DONE;
    enum accounts_result result = read_credential(accounts, tenant, device, bytes_of_text(record->old), &old, &count);
    if (result == ACCOUNTS_NOT_FOUND || result == ACCOUNTS_NO_DEVICE)
        return ACCOUNTS_DONE;
    if (result == ACCOUNTS_DONE && (old.credential.not_after_s == 0 || old.credential.not_after_s > until_s)) {
        old.credential.not_after_s = until_s;
        result = put_back(accounts, tenant, device, &old);
    }
    explicit_bzero(&old, sizeof old);
    return result;
}

static enum accounts_result confirm(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                    struct bytes key, const struct enrolment_policy *policy, int64_t now_s)
{
    struct copy copy;
    struct enrolment_record record;
    uint8_t count;
    enum accounts_result found = enrolment_get(accounts, tenant, device, &record);
    if (found != ACCOUNTS_DONE && found != ACCOUNTS_NOT_FOUND)
        return found;
    bool is_ours = found == ACCOUNTS_DONE && bytes_equal_text(key, record.key);
    enum accounts_result result = read_credential(accounts, tenant, device, key, &copy, &count);
    if (result != ACCOUNTS_DONE)
        return result == ACCOUNTS_NO_DEVICE ? ACCOUNTS_NOT_FOUND : result;
    if (copy.credential.offered && !credential_is_good_at(&copy.credential, now_s))
        result = ACCOUNTS_NOT_FOUND;
    if (result == ACCOUNTS_DONE && copy.credential.offered) {
        copy.credential.offered = false;
        copy.credential.not_after_s = is_ours ? record.good_until_s : 0;
        result = put_back(accounts, tenant, device, &copy);
    }
    explicit_bzero(&copy, sizeof copy);
    if (result == ACCOUNTS_DONE && is_ours)
        result = retire(accounts, &record, now_s + policy->overlap_s);
    if (result == ACCOUNTS_DONE && is_ours)
        result = accounts_audit(accounts, &(struct audit_deed){.action = "confirm", .object = "enrolment",
                                                               .tenant = tenant, .id = device, .key = key});
    return result == ACCOUNTS_DONE && is_ours ? end(accounts, &record, false) : result;
}

enum accounts_result enrolment_confirm(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                       struct bytes key, const struct enrolment_policy *policy, int64_t now_s)
{
    enum accounts_result result = ACCOUNTS_STALE;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_STALE; i++)
        result = confirm(accounts, tenant, device, key, policy, now_s);
    return result == ACCOUNTS_STALE ? ACCOUNTS_BUSY : result;
}

/* What was offered goes if it was not used; the device too if it came with it, unless people disabled it: without its
 * record the box would come back. *ret_leaves: it is gone. */
static enum accounts_result take_back(struct accounts *accounts, const struct enrolment_record *record,
                                      const struct enrolment_policy *policy, int64_t now_s, bool *ret_leaves)
{
    struct bytes tenant = bytes_of_text(record->tenant), device = bytes_of_text(record->device);
    struct bytes key = bytes_of_text(record->key);
    struct copy copy;
    uint8_t count = 0;
    enum accounts_result result = read_credential(accounts, tenant, device, key, &copy, &count);
    bool was_used = result == ACCOUNTS_DONE && !copy.credential.offered;
    if (result == ACCOUNTS_DONE)
        credential_wipe(&copy.credential);
    if (was_used)
        return retire(accounts, record, now_s + policy->overlap_s);
    *ret_leaves = record->batch[0] && (result == ACCOUNTS_NO_DEVICE ||
                                       (result == ACCOUNTS_DONE && count == 1 && !copy.device_disabled));
    if (result == ACCOUNTS_DONE)
        result = take_away(accounts, tenant, device, *ret_leaves ? (struct bytes){0} : key, &copy.version);
    return result == ACCOUNTS_NOT_FOUND || result == ACCOUNTS_NO_DEVICE ? ACCOUNTS_DONE : result;
}

static enum accounts_result settle(struct accounts *accounts, const struct enrolment_record *record,
                                   const struct enrolment_policy *policy, int64_t now_s)
{
    bool leaves = record->state != ENROLMENT_OFFERED;
    enum accounts_result result = leaves ? ACCOUNTS_DONE : ACCOUNTS_STALE;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_STALE; i++)
        result = take_back(accounts, record, policy, now_s, &leaves);
    if (result == ACCOUNTS_STALE)
        return ACCOUNTS_BUSY;
    return result == ACCOUNTS_DONE ? end(accounts, record, leaves) : result;
}

/* Asking. */

static struct bytes key_id_of(const struct enrolment_question *question, char ret[static CREDENTIAL_ID_MAX + 1])
{
    char digits[2 * KEY_ID_RANDOM];
    bool is_key = credential_is_signature(question->kind);
    /* A kid tells a key: the same one of two devices is noticed. */
    struct bytes hex = hex_of(is_key ? question->digest : question->random, KEY_ID_RANDOM, digits);
    int len = snprintf(ret, CREDENTIAL_ID_MAX + 1, "%s-%.*s", credential_kind_name(question->kind), (int)hex.len,
                       (const char *)hex.ptr);
    return bytes_of(ret, (size_t)len);
}

static void uri_of(const char *tenant, const char *device, char ret[static CREDENTIAL_NAME_MAX + 1])
{
    snprintf(ret, CREDENTIAL_NAME_MAX + 1, CREDENTIAL_OWN_NAME "%s/%s", tenant, device);
}

/* The tenant's newest authority that signs. */
static enum accounts_result find_authority(struct accounts *accounts, struct bytes tenant,
                                           const struct accounts_ids *ids, int64_t now_s,
                                           struct ca_record *ret)
{
    enum accounts_result result = ACCOUNTS_DONE;
    bool found = false;
    for (size_t i = 0; i < ids->count && result == ACCOUNTS_DONE; i++) {
        struct ca_record one;
        result = accounts_get_ca(accounts, tenant, bytes_of_text(ids->ids[i]), &one);
        if (result == ACCOUNTS_DONE && !one.retired && secret_is_set(&one.key) && now_s < one.not_after_s &&
            (!found || one.created_s >= ret->created_s)) {
            *ret = one;
            found = true;
        }
        if (result == ACCOUNTS_DAMAGED || result == ACCOUNTS_NOT_FOUND)
            result = ACCOUNTS_DONE;
        explicit_bzero(&one, sizeof one);
    }
    if (result != ACCOUNTS_DONE && found)
        secret_wipe(&ret->key);
    return result == ACCOUNTS_DONE && !found ? ACCOUNTS_NOT_FOUND : result;
}

enum accounts_result enrolment_authority(struct accounts *accounts, struct bytes tenant, int64_t now_s,
                                         struct ca_record *ret)
{
    struct accounts_ids ids = {0};
    enum accounts_result result = accounts_list_cas(accounts, tenant, &ids);
    if (result == ACCOUNTS_DONE)
        result = find_authority(accounts, tenant, &ids, now_s, ret);
    free(ids.ids);
    return result;
}

/* ACCOUNTS_NOT_FOUND: there is no authority that signs. */
static enum accounts_result make_certificate(struct accounts *accounts, const struct enrolment_question *question,
                                             const struct enrolment_policy *policy, int64_t now_s,
                                             struct enrolment_record *record)
{
    struct ca_record ca = {.retired = false};
    struct crypto_cert certificate;
    char uri[CREDENTIAL_NAME_MAX + 1];
    enum accounts_result result = enrolment_authority(accounts, bytes_of_text(question->tenant), now_s, &ca);
    if (result != ACCOUNTS_DONE) {
        secret_wipe(&ca.key);
        return result == ACCOUNTS_NO_TENANT ? ACCOUNTS_NOT_FOUND : result;
    }
    uri_of(question->tenant, question->device, uri);
    int64_t left_days = (ca.not_after_s - now_s) / DAY_S; /* none outlives its authority */
    unsigned days = left_days < policy->certificate_days ? (unsigned)left_days : policy->certificate_days;
    bool made = days > 0 && crypto_cert_sign(bytes_of(ca.certificate, ca.certificate_len), &ca.key, &question->request,
                                             uri, days, &certificate);
    secret_wipe(&ca.key);
    if (!made)
        return ACCOUNTS_NOT_FOUND;
    record->certificate_len = (uint16_t)certificate.len;
    memcpy(record->certificate, certificate.der, certificate.len);
    record->good_until_s = now_s + (int64_t)days * DAY_S;
    memcpy(record->issuer, ca.id, sizeof record->issuer);
    return ACCOUNTS_DONE;
}

static struct enrolment_record record_of(const struct enrolment_question *question, int64_t now_s)
{
    struct enrolment_record record = {.kind = question->kind, .asked_s = now_s};
    memcpy(record.tenant, question->tenant, sizeof record.tenant);
    memcpy(record.device, question->device, sizeof record.device);
    memcpy(record.serial, question->serial, sizeof record.serial);
    memcpy(record.model, question->model, sizeof record.model);
    memcpy(record.batch, question->batch.id, sizeof record.batch);
    memcpy(record.old, question->old, sizeof record.old);
    memcpy(record.from, question->from, sizeof record.from);
    memcpy(record.digest, question->digest, sizeof record.digest);
    key_id_of(question, record.key);
    return record;
}

/* What is decided about a question, under WATCH. */
struct decision {
    bool writes;
    enum enrolment_verdict verdict;
    struct enrolment_record record;
};

static enum accounts_result is_approved(struct accounts *accounts, const struct enrolment_question *question, bool *ret)
{
    char key[SCHEMA_KEY_MAX];
    uint64_t there = 0;
    *ret = question->rotates || question->batch.approval == BATCH_AUTO;
    if (*ret)
        return ACCOUNTS_DONE;
    schema_key_of(key, bytes_of_text(question->tenant), SCHEMA_KIND_SERIALS, bytes_of_text(question->batch.id));
    struct bytes arguments[] = {WORD("SISMEMBER"), bytes_of_text(key), bytes_of_text(question->serial)};
    enum accounts_result result = ask_number(accounts, arguments, COUNT_OF(arguments), &there);
    *ret = there > 0;
    return result;
}

static enum accounts_result make_offer(struct accounts *accounts, const struct enrolment_question *question,
                                       const struct enrolment_policy *policy, int64_t now_s, struct decision *ret)
{
    struct enrolment_record *record = &ret->record;
    enum accounts_result result = ACCOUNTS_DONE;
    if (record->kind == CREDENTIAL_CA)
        result = make_certificate(accounts, question, policy, now_s, record);
    if (result == ACCOUNTS_NOT_FOUND) {
        ret->verdict = ENROLMENT_NO_CA;
        return ACCOUNTS_DONE;
    }
    record->state = ENROLMENT_OFFERED;
    record->expires_s = now_s + policy->confirm_s;
    ret->writes = true;
    ret->verdict = ENROLMENT_GIVEN;
    return result;
}

static enum accounts_result offer_or_wait(struct accounts *accounts, const struct enrolment_question *question,
                                          const struct enrolment_policy *policy, int64_t now_s, struct decision *ret)
{
    bool approved = ret->record.state == ENROLMENT_APPROVED;
    enum accounts_result result = approved ? ACCOUNTS_DONE : is_approved(accounts, question, &approved);
    if (result != ACCOUNTS_DONE)
        return result;
    if (approved)
        return make_offer(accounts, question, policy, now_s, ret);
    ret->verdict = ENROLMENT_WAITS;
    ret->writes = ret->record.expires_s == 0;
    if (ret->writes)
        ret->record.expires_s = now_s + policy->pending_s;
    return ACCOUNTS_DONE;
}

/* Whether the batch has room for one more. */
static enum accounts_result has_room(struct accounts *accounts, const struct place *place,
                                     const struct enrolment_question *question, bool *ret)
{
    struct bytes count[] = {WORD("SCARD"), bytes_of_text(place->used_key)};
    uint64_t used = 0;
    *ret = question->rotates || question->batch.max_devices == 0;
    if (*ret)
        return ACCOUNTS_DONE;
    enum accounts_result result = ask_number(accounts, count, COUNT_OF(count), &used);
    *ret = used < question->batch.max_devices;
    return result;
}

static bool is_asked_for(const struct credential *credential, const struct enrolment_question *question,
                         struct bytes key)
{
    bool is_same_key = credential_is_signature(question->kind) && credential->kind == question->kind &&
                       credential->public_len == question->public_len &&
                       memcmp(credential->public, question->public, question->public_len) == 0;
    return !credential->offered && (is_same_key || bytes_equal_text(key, credential->id));
}

/* Whether the device has what it asks for, and it is not just offered. */
static enum accounts_result has_already(struct accounts *accounts, const struct enrolment_question *question, bool *ret)
{
    struct record_room room;
    struct device_record record;
    char text[CREDENTIAL_ID_MAX + 1];
    struct bytes key = key_id_of(question, text);
    enum accounts_result result = accounts_get_device(accounts, bytes_of_text(question->tenant),
                                                      bytes_of_text(question->device), &room, &record);
    *ret = false;
    if (result != ACCOUNTS_DONE)
        return result == ACCOUNTS_NOT_FOUND ? ACCOUNTS_DONE : result;
    for (size_t i = 0; i < record.credential_count; i++)
        *ret |= is_asked_for(&record.credentials[i], question, key);
    record_wipe_room(&room);
    return ACCOUNTS_DONE;
}

/* Whether a key, or the id that it would have, is another device's. */
static enum accounts_result is_of_another(struct accounts *accounts,
                                          const struct enrolment_question *question, bool *ret)
{
    struct credential credential = {.kind = question->kind, .public_len = question->public_len};
    char kids_key[SCHEMA_KEY_MAX], public[KIDS_NAME_MAX + 1], text[CREDENTIAL_ID_MAX + 1];
    const struct store_reply *reply = NULL;
    *ret = false;
    if (!credential_is_signature(question->kind))
        return ACCOUNTS_DONE;
    memcpy(credential.public, question->public, question->public_len);
    if (!kids_shown_name(&credential, public))
        return ACCOUNTS_DONE;
    schema_key(kids_key, bytes_of_text(question->tenant), SCHEMA_SUFFIX_KIDS);
    struct bytes arguments[] = {WORD("HMGET"), bytes_of_text(kids_key), bytes_of_text(public),
                                key_id_of(question, text)};
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    for (size_t i = 0; result == ACCOUNTS_DONE && reply->type == STORE_LIST && i < reply->count; i++)
        *ret |= reply->items[i].type == STORE_TEXT && !bytes_equal_text(reply->items[i].text, question->device);
    return result;
}

/* What begin decides by. */
struct standing {
    uint64_t there;      /* the device has a record */
    bool room;           /* in the batch */
    bool has, elsewhere; /* the device has the key already; another one has it */
};

static enum enrolment_verdict verdict_on(const struct enrolment_question *question, const struct standing *standing)
{
    if (standing->has)
        return ENROLMENT_TAKEN;
    if (standing->elsewhere)
        return ENROLMENT_UNKNOWN;
    if (!standing->room)
        return ENROLMENT_USED_UP;
    if ((standing->there > 0) != question->rotates)
        return question->rotates ? ENROLMENT_UNKNOWN : ENROLMENT_TAKEN;
    return ENROLMENT_GIVEN;
}

/* Nobody is enrolling as this device, or it has changed its mind. */
static enum accounts_result begin(struct accounts *accounts, const struct place *place,
                                  const struct enrolment_question *question, const struct enrolment_policy *policy,
                                  int64_t now_s, struct decision *ret)
{
    char key[SCHEMA_KEY_MAX];
    struct standing standing = {.there = 0};
    schema_key_of(key, place->tenant, SCHEMA_KIND_DEVICE, place->device);
    struct bytes exists[] = {WORD("EXISTS"), bytes_of_text(key)};
    enum accounts_result result = ask_number(accounts, exists, COUNT_OF(exists), &standing.there);
    if (result == ACCOUNTS_DONE)
        result = has_room(accounts, place, question, &standing.room);
    if (result == ACCOUNTS_DONE && question->rotates)
        result = has_already(accounts, question, &standing.has);
    if (result == ACCOUNTS_DONE)
        result = is_of_another(accounts, question, &standing.elsewhere);
    if (result != ACCOUNTS_DONE)
        return result;
    ret->verdict = verdict_on(question, &standing);
    if (ret->verdict != ENROLMENT_GIVEN)
        return ACCOUNTS_DONE;
    ret->record = record_of(question, now_s);
    return offer_or_wait(accounts, question, policy, now_s, ret);
}

static bool is_same_question(const struct enrolment_record *record, const struct enrolment_question *question)
{
    return memcmp(record->digest, question->digest, sizeof record->digest) == 0 && record->kind == question->kind &&
           strcmp(record->serial, question->serial) == 0 && strcmp(record->batch, question->batch.id) == 0;
}

/* A device may change its mind, others may not. What it was offered stays if what it asks now is refused. */
static enum accounts_result decide_other(struct accounts *accounts, const struct place *place,
                                         const struct enrolment_question *question,
                                         const struct enrolment_policy *policy, int64_t now_s, struct decision *ret)
{
    struct decision next = {.verdict = ENROLMENT_TAKEN};
    if (!question->rotates)
        return ACCOUNTS_DONE;
    enum accounts_result result = begin(accounts, place, question, policy, now_s, &next);
    if (result == ACCOUNTS_DONE && next.verdict == ENROLMENT_GIVEN)
        return ACCOUNTS_EXISTS;
    ret->verdict = next.verdict;
    return result;
}

/* ACCOUNTS_EXISTS: what stands there must be settled first. */
static enum accounts_result decide(struct accounts *accounts, const struct place *place,
                                   const struct enrolment_question *question, const struct enrolment_policy *policy,
                                   int64_t now_s, struct decision *ret)
{
    *ret = (struct decision){.verdict = ENROLMENT_TAKEN};
    enum accounts_result result = enrolment_get(accounts, place->tenant, place->device, &ret->record);
    if (result == ACCOUNTS_NOT_FOUND)
        return begin(accounts, place, question, policy, now_s, ret);
    if (result != ACCOUNTS_DONE)
        return result;
    if (ret->record.expires_s <= now_s)
        return ACCOUNTS_EXISTS;
    if (!is_same_question(&ret->record, question))
        return decide_other(accounts, place, question, policy, now_s, ret);
    if (ret->record.state == ENROLMENT_REJECTED)
        ret->verdict = ENROLMENT_REFUSED;
    else if (ret->record.state == ENROLMENT_OFFERED)
        ret->verdict = ENROLMENT_GIVEN;
    else
        return offer_or_wait(accounts, question, policy, now_s, ret);
    return ACCOUNTS_DONE;
}

static enum accounts_result claim(struct accounts *accounts, const struct enrolment_question *question,
                                  const struct enrolment_policy *policy, int64_t now_s, struct decision *ret)
{
    struct place place = place_of(bytes_of_text(question->tenant), bytes_of_text(question->device),
                                  bytes_of_text(question->batch.id));
    enum accounts_result result = ACCOUNTS_BUSY;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++) {
        result = watch(accounts, &place);
        if (result == ACCOUNTS_DONE)
            result = decide(accounts, &place, question, policy, now_s, ret);
        if (result != ACCOUNTS_DONE || !ret->writes)
            result = unwatch(accounts, result);
        else
            result = write_record(accounts, &place, &ret->record);
        if (result == ACCOUNTS_EXISTS) {
            result = settle(accounts, &ret->record, policy, now_s);
            result = result == ACCOUNTS_DONE ? ACCOUNTS_BUSY : result;
        }
    }
    return result;
}

/* Giving. */

static bool material_of(const struct enrolment_record *record, const struct enrolment_question *question,
                        const struct ca_record *ca, struct copy *ret)
{
    struct credential *credential = &ret->credential;
    if (question->kind == CREDENTIAL_PSK) {
        base64url_encode(bytes_of(question->random + KEY_ID_RANDOM, PSK_RANDOM), (char *)credential->secret.octets);
        credential->secret.len = PSK_CHARACTERS;
        return true;
    }
    if (question->kind == CREDENTIAL_CA) {
        uri_of(question->tenant, question->device, ret->name);
        credential->name = ret->name;
        memcpy(credential->public, ca->spki, CREDENTIAL_DIGEST_BYTES);
        credential->public_len = CREDENTIAL_CA_LEAF;
        return crypto_spki_digest(bytes_of(record->certificate, record->certificate_len),
                                  credential->public + CREDENTIAL_DIGEST_BYTES);
    }
    memcpy(credential->public, question->public, question->public_len);
    credential->public_len = question->public_len;
    return true;
}

static bool make_credential(const struct enrolment_record *record, const struct enrolment_question *question,
                            const struct ca_record *ca, int64_t now_s, struct copy *ret)
{
    *ret = (struct copy){.credential = {.kind = record->kind, .offered = true, .created_s = now_s,
                                        .not_after_s = record->expires_s}};
    memcpy(ret->credential.id, record->key, sizeof ret->credential.id);
    return material_of(record, question, ca, ret);
}

static enum accounts_result add_device(struct accounts *accounts, const struct enrolment_question *question,
                                       const struct credential *credential, int64_t now_s)
{
    struct device_record record = {.created_s = now_s, .credentials = credential, .credential_count = 1};
    memcpy(record.tenant, question->tenant, sizeof record.tenant);
    memcpy(record.id, question->device, sizeof record.id);
    memcpy(record.serial, question->serial, sizeof record.serial);
    memcpy(record.model, question->model, sizeof record.model);
    memcpy(record.site, question->batch.site, sizeof record.site);
    memcpy(record.tags, question->batch.tags, sizeof record.tags);
    memcpy(record.profile, question->batch.profile, sizeof record.profile);
    return accounts_add_device(accounts, &record, false);
}

/* Makes room by taking away one that has ended. ACCOUNTS_FULL: all are good; ACCOUNTS_STALE: see above. */
static enum accounts_result drop_ended(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                       int64_t now_s)
{
    struct record_room room;
    struct device_record record;
    char ended[CREDENTIAL_ID_MAX + 1] = "";
    enum accounts_result result = accounts_get_device(accounts, tenant, device, &room, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    for (size_t i = 0; i < record.credential_count && !ended[0]; i++)
        if (record.credentials[i].not_after_s != 0 && record.credentials[i].not_after_s <= now_s)
            memcpy(ended, record.credentials[i].id, sizeof ended);
    record_wipe_room(&room);
    struct accounts_version version = accounts->last_read;
    return ended[0] ? take_away(accounts, tenant, device, bytes_of_text(ended), &version) : ACCOUNTS_FULL;
}

static enum accounts_result write_offer(struct accounts *accounts, const struct enrolment_question *question,
                                        const struct credential *credential, int64_t now_s)
{
    struct bytes tenant = bytes_of_text(question->tenant), device = bytes_of_text(question->device);
    if (!question->rotates)
        return add_device(accounts, question, credential, now_s);
    for (unsigned i = 0; i < TRIES; i++) {
        enum accounts_result result = accounts_put_credential(accounts, tenant, device, credential, false);
        if (result == ACCOUNTS_FULL)
            result = drop_ended(accounts, tenant, device, now_s);
        else
            return result;
        if (result != ACCOUNTS_DONE && result != ACCOUNTS_STALE)
            return result;
    }
    return ACCOUNTS_BUSY;
}

/* The offer may have been taken back, with the device or by itself, since it was decided to give it. */
static enum accounts_result allow_offer(struct accounts *accounts, const void *about)
{
    const struct enrolment_record *record = about;
    struct enrolment_record now;
    struct place place = place_of(bytes_of_text(record->tenant), bytes_of_text(record->device), (struct bytes){0});
    enum accounts_result result = watch(accounts, &place);
    if (result == ACCOUNTS_DONE)
        result = enrolment_get(accounts, place.tenant, place.device, &now);
    if (result != ACCOUNTS_DONE && result != ACCOUNTS_NOT_FOUND)
        return result;
    return result == ACCOUNTS_DONE && now.state == ENROLMENT_OFFERED && strcmp(now.key, record->key) == 0
               ? ACCOUNTS_DONE
               : ACCOUNTS_STALE;
}

/* The offered credential as the device has it, made if it is not there yet. ACCOUNTS_STALE: it is offered no more. */
static enum accounts_result find_or_make(struct accounts *accounts, const struct enrolment_record *record,
                                         const struct enrolment_question *question, const struct ca_record *ca,
                                         int64_t now_s, struct copy *ret)
{
    struct bytes tenant = bytes_of_text(record->tenant), device = bytes_of_text(record->device);
    struct bytes key = bytes_of_text(record->key);
    uint8_t count;
    enum accounts_result result = read_credential(accounts, tenant, device, key, ret, &count);
    if (result != (question->rotates ? ACCOUNTS_NOT_FOUND : ACCOUNTS_NO_DEVICE))
        return result;
    if (!make_credential(record, question, ca, now_s, ret))
        return ACCOUNTS_NOT_SEALED;
    accounts->allow = allow_offer;
    accounts->allow_about = record;
    result = write_offer(accounts, question, &ret->credential, now_s);
    accounts->allow = NULL;
    if (result != ACCOUNTS_EXISTS)
        return result;
    /* Another gateway was asked the same at the same time; or another device has the key; or somebody gave it
     * by hand. */
    result = read_credential(accounts, tenant, device, key, ret, &count);
    return result == ACCOUNTS_DONE && !ret->credential.offered ? ACCOUNTS_EXISTS : result;
}

static enum enrolment_verdict verdict_of(enum accounts_result result)
{
    return result == ACCOUNTS_FULL        ? ENROLMENT_NO_ROOM
           : result == ACCOUNTS_NO_DEVICE ? ENROLMENT_TAKEN
                                          : ENROLMENT_UNKNOWN;
}

static enum accounts_result give(struct accounts *accounts, const struct enrolment_record *record,
                                 const struct enrolment_question *question, int64_t now_s, struct enrolment_answer *ret)
{
    struct ca_record ca = {.retired = false};
    struct copy copy = {.name = ""};
    enum accounts_result result = ACCOUNTS_DONE;
    if (record->kind == CREDENTIAL_CA) {
        result = accounts_get_ca(accounts, bytes_of_text(record->tenant), bytes_of_text(record->issuer), &ca);
        secret_wipe(&ca.key);
    }
    if (result == ACCOUNTS_DONE)
        result = find_or_make(accounts, record, question, &ca, now_s, &copy);
    if (result == ACCOUNTS_DONE && copy.credential.offered) {
        memcpy(ret->key, record->key, sizeof ret->key);
        memcpy(ret->profile, question->batch.profile, sizeof ret->profile);
        ret->expires_s = record->expires_s;
        if (credential_is_secret(record->kind))
            ret->secret = copy.credential.secret;
        ret->certificate_len = record->certificate_len;
        memcpy(ret->certificate, record->certificate, record->certificate_len);
        ret->authority_len = ca.certificate_len;
        memcpy(ret->authority, ca.certificate, ca.certificate_len);
    } else if (result == ACCOUNTS_DONE) {
        ret->verdict = ENROLMENT_TAKEN; /* it was used already */
    } else if (result == ACCOUNTS_EXISTS) {
        ret->verdict = ENROLMENT_TAKEN;
        result = end(accounts, record, false);
    } else if (result == ACCOUNTS_NO_DEVICE || result == ACCOUNTS_NOT_FOUND || result == ACCOUNTS_FULL ||
               result == ACCOUNTS_SAME_SECRET || result == ACCOUNTS_NO_TENANT) {
        ret->verdict = verdict_of(result);
        result = end(accounts, record, true);
    }
    explicit_bzero(&copy, sizeof copy);
    return result;
}

static enum accounts_result answer(struct accounts *accounts, const struct enrolment_question *question,
                                   const struct enrolment_policy *policy, int64_t now_s, struct enrolment_answer *ret)
{
    struct decision decision;
    *ret = (struct enrolment_answer){.verdict = ENROLMENT_UNKNOWN};
    enum accounts_result result = ACCOUNTS_DONE;
    /* It would not be asking so without its new credential: nothing is left of the enrolment that gave it. Or that one
     * was removed while it asked, and may not be followed by another. */
    if (question->rotates && question->old[0])
        result = enrolment_confirm(accounts, bytes_of_text(question->tenant), bytes_of_text(question->device),
                                   bytes_of_text(question->old), policy, now_s);
    if (result == ACCOUNTS_NOT_FOUND)
        return ACCOUNTS_DONE;
    if (result == ACCOUNTS_DONE)
        result = claim(accounts, question, policy, now_s, &decision);
    if (result != ACCOUNTS_DONE)
        return result;
    ret->verdict = decision.verdict;
    ret->expires_s = decision.record.expires_s;
    return decision.verdict == ENROLMENT_GIVEN ? give(accounts, &decision.record, question, now_s, ret) : ACCOUNTS_DONE;
}

enum accounts_result enrolment_ask(struct accounts *accounts, const struct enrolment_question *question,
                                   const struct enrolment_policy *policy, int64_t now_s, struct enrolment_answer *ret)
{
    enum accounts_result result = ACCOUNTS_STALE;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_STALE; i++)
        result = answer(accounts, question, policy, now_s, ret);
    return result == ACCOUNTS_STALE ? ACCOUNTS_BUSY : result;
}

/* People. */

enum accounts_result enrolment_list(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret)
{
    char key[SCHEMA_KEY_MAX];
    schema_key(key, tenant, SCHEMA_SUFFIX_ENROLMENTS);
    struct bytes arguments[] = {WORD("ZRANGE"), bytes_of_text(key), WORD("0"), WORD("-1")};
    const struct store_reply *reply = NULL;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    return result == ACCOUNTS_DONE ? accounts_take_ids(reply, ret) : result;
}

static bool is_undecided(const struct enrolment_record *record)
{
    return record->state != ENROLMENT_OFFERED && record->batch[0];
}

/* The one device with this serial number. */
static enum accounts_result find_by_serial(struct accounts *accounts, struct bytes tenant, struct bytes serial,
                                           struct enrolment_record *ret, struct enrolment_decided *decided)
{
    struct accounts_ids ids = {0};
    enum accounts_result result = enrolment_list(accounts, tenant, &ids);
    for (size_t i = 0; i < ids.count && result == ACCOUNTS_DONE; i++) {
        struct enrolment_record one;
        result = enrolment_get(accounts, tenant, bytes_of_text(ids.ids[i]), &one);
        if (result == ACCOUNTS_DONE && bytes_equal_text(serial, one.serial)) {
            if (decided->count < ENROLMENT_CHOICES_MAX)
                memcpy(decided->devices[decided->count], one.device, sizeof one.device);
            decided->count++;
            *ret = one;
        }
        result = result == ACCOUNTS_NOT_FOUND || result == ACCOUNTS_DAMAGED ? ACCOUNTS_DONE : result;
    }
    free(ids.ids);
    decided->obstacle = ENROLMENT_SEVERAL;
    if (result == ACCOUNTS_DONE && decided->count == 0)
        return ACCOUNTS_NOT_FOUND;
    return result == ACCOUNTS_DONE && decided->count > 1 ? ACCOUNTS_EXISTS : result;
}

/* The device whose enrolment is called so. */
static enum accounts_result find_by_name(struct accounts *accounts, struct bytes tenant, struct bytes name,
                                         struct enrolment_record *ret, struct enrolment_decided *decided)
{
    if (schema_device_is_valid(name)) {
        enum accounts_result result = enrolment_get(accounts, tenant, name, ret);
        if (result != ACCOUNTS_NOT_FOUND)
            return result;
    }
    return find_by_serial(accounts, tenant, name, ret, decided);
}

static enum accounts_result forget(struct accounts *accounts, const struct enrolment_record *record,
                                   const struct enrolment_policy *policy, int64_t now_s)
{
    if (!record->batch[0])
        return ACCOUNTS_EXISTS;
    enum accounts_result result = settle(accounts, record, policy, now_s);
    return result != ACCOUNTS_DONE
               ? result
               : accounts_audit(accounts, &(struct audit_deed){.action = "forget", .object = "enrolment",
                                                               .tenant = bytes_of_text(record->tenant),
                                                               .id = bytes_of_text(record->device),
                                                               .key = bytes_of_text(record->key)});
}

static enum accounts_result judge_decision(const struct enrolment_record *record, bool approves, int64_t now_s,
                                           struct enrolment_decided *ret)
{
    ret->obstacle = is_undecided(record) ? ENROLMENT_WAS_REJECTED : ENROLMENT_IS_OFFERED;
    if (!is_undecided(record))
        return ACCOUNTS_EXISTS;
    if (record->expires_s <= now_s)
        return ACCOUNTS_NOT_FOUND;
    return approves && record->state == ENROLMENT_REJECTED ? ACCOUNTS_EXISTS : ACCOUNTS_DONE;
}

enum accounts_result enrolment_decide(struct accounts *accounts, struct bytes tenant, struct bytes name,
                                      enum enrolment_decision decision, const struct enrolment_policy *policy,
                                      int64_t now_s, struct enrolment_decided *ret)
{
    enum accounts_result result = ACCOUNTS_BUSY;
    bool approves = decision == ENROLMENT_APPROVE;
    for (unsigned i = 0; i < TRIES && result == ACCOUNTS_BUSY; i++) {
        struct enrolment_record record, now;
        *ret = (struct enrolment_decided){.obstacle = ENROLMENT_IS_OFFERED};
        result = find_by_name(accounts, tenant, name, &record, ret);
        if (result != ACCOUNTS_DONE)
            return result;
        memcpy(ret->device, record.device, sizeof ret->device);
        ret->obstacle = ENROLMENT_IS_OFFERED;
        if (decision == ENROLMENT_FORGET)
            return forget(accounts, &record, policy, now_s);
        struct place place = place_of(tenant, bytes_of_text(record.device), bytes_of_text(record.batch));
        result = watch(accounts, &place);
        if (result == ACCOUNTS_DONE)
            result = enrolment_get(accounts, tenant, place.device, &now);
        if (result == ACCOUNTS_DONE && strcmp(now.key, record.key) != 0)
            result = ACCOUNTS_NOT_FOUND; /* it has begun anew since */
        if (result == ACCOUNTS_DONE)
            result = judge_decision(&now, approves, now_s, ret);
        if (result != ACCOUNTS_DONE)
            return unwatch(accounts, result);
        now.state = approves ? ENROLMENT_APPROVED : ENROLMENT_REJECTED;
        now.expires_s = now_s + policy->pending_s;
        result = write_record(accounts, &place, &now);
    }
    return result;
}

/* When one that is in the list already is looked at again. */
static enum accounts_result list_anew(struct accounts *accounts, const char *list_key, struct bytes device,
                                      int64_t at_s)
{
    char score[24];
    snprintf(score, sizeof score, "%" PRId64, at_s);
    struct bytes list[] = {WORD("ZADD"), bytes_of_text(list_key), WORD("XX"), bytes_of_text(score), device};
    return run(accounts, list, COUNT_OF(list));
}

static const char *reason_of(const struct accounts *accounts, enum accounts_result why)
{
    switch (why) {
    case ACCOUNTS_REFUSED:
        return accounts->error;
    case ACCOUNTS_NOT_SEALED:
        return "a secret cannot be wrapped";
    case ACCOUNTS_SAME_SECRET:
        return "its key or certificate name is another device's, or a secret is in two of its credentials";
    case ACCOUNTS_EXISTS:
        return "another device has a signature key of the id of its key";
    case ACCOUNTS_FULL:
        return "the device has as many credentials as it may";
    default:
        return "its record, or its device's, is damaged";
    }
}

/* One that cannot be ended is told of and put off: it neither stands before others nor fills the log. */
static enum accounts_result put_off(struct accounts *accounts, const char *list_key, struct bytes tenant,
                                    struct bytes device, enum accounts_result why, int64_t now_s)
{
    char quoted_device[LOG_QUOTED_MAX], quoted_reason[LOG_QUOTED_MAX];
    log_quote(quoted_device, device);
    log_quote(quoted_reason, bytes_of_text(reason_of(accounts, why))); /* before another refusal stands in its place */
    enum accounts_result result = list_anew(accounts, list_key, device, now_s + DAY_S);
    if (result == ACCOUNTS_DONE)
        log_write(LOG_WARN, "enrolment", "what is over cannot be ended; it is tried again in a day",
                  "tenant=%.*s device=%s reason=%s", (int)tenant.len, (const char *)tenant.ptr, quoted_device,
                  quoted_reason);
    return result;
}

static enum accounts_result sweep_one(struct accounts *accounts, const char *list_key, struct bytes tenant,
                                      struct bytes device, const struct enrolment_policy *policy,
                                      int64_t now_s)
{
    struct enrolment_record record;
    struct bytes drop[] = {WORD("ZREM"), bytes_of_text(list_key), device};
    enum accounts_result result = enrolment_get(accounts, tenant, device, &record);
    if (result == ACCOUNTS_NOT_FOUND)
        return run(accounts, drop, COUNT_OF(drop));
    if (result == ACCOUNTS_DONE && record.expires_s > now_s - GRACE_S)
        return list_anew(accounts, list_key, device, record.expires_s);
    if (result == ACCOUNTS_DONE)
        result = settle(accounts, &record, policy, now_s);
    return result == ACCOUNTS_DONE || result == ACCOUNTS_BUSY || result == ACCOUNTS_AWAY
               ? result
               : put_off(accounts, list_key, tenant, device, result, now_s);
}

enum accounts_result enrolment_sweep(struct accounts *accounts, struct bytes tenant,
                                     const struct enrolment_policy *policy, int64_t now_s, size_t max,
                                     size_t *ret_count)
{
    char key[SCHEMA_KEY_MAX], until[24], limit[24], devices[ENROLMENT_SWEEP_MAX][SCHEMA_DEVICE_MAX + 1];
    size_t count = 0;
    schema_key(key, tenant, SCHEMA_SUFFIX_ENROLMENTS);
    snprintf(until, sizeof until, "%" PRId64, now_s - GRACE_S);
    snprintf(limit, sizeof limit, "%zu", max < ENROLMENT_SWEEP_MAX ? max : ENROLMENT_SWEEP_MAX);
    struct bytes arguments[] = {WORD("ZRANGEBYSCORE"), bytes_of_text(key), WORD("-inf"), bytes_of_text(until),
                                WORD("LIMIT"), WORD("0"), bytes_of_text(limit)};
    const struct store_reply *reply = NULL;
    *ret_count = 0;
    enum accounts_result result = accounts_call(accounts, arguments, COUNT_OF(arguments), &reply);
    if (result != ACCOUNTS_DONE)
        return result;
    for (; count < reply->count && count < ENROLMENT_SWEEP_MAX; count++)
        if (!copy_text(reply->items[count].text, devices[count], sizeof devices[count]))
            devices[count][0] = '\0';
    *ret_count = count;
    for (size_t i = 0; i < count && (result == ACCOUNTS_DONE || result == ACCOUNTS_BUSY); i++)
        result = sweep_one(accounts, key, tenant, bytes_of_text(devices[i]), policy, now_s);
    return result;
}

static enum accounts_result change_serials(struct accounts *accounts, bool approves, struct bytes tenant,
                                           struct bytes batch, const struct bytes *serials, size_t count)
{
    char key[SCHEMA_KEY_MAX];
    enum accounts_result result = ACCOUNTS_DONE;
    schema_key_of(key, tenant, SCHEMA_KIND_SERIALS, batch);
    for (size_t done = 0; done < count && result == ACCOUNTS_DONE;) {
        struct bytes arguments[2 + SERIALS_PER_CALL] = {approves ? WORD("SADD") : WORD("SREM"), bytes_of_text(key)};
        size_t some = count - done < SERIALS_PER_CALL ? count - done : SERIALS_PER_CALL;
        memcpy(arguments + 2, serials + done, some * sizeof *serials);
        result = run(accounts, arguments, 2 + some);
        done += some;
    }
    if (result == ACCOUNTS_DONE)
        result = accounts_audit(accounts, &(struct audit_deed){.action = approves ? "approve" : "revoke",
                                                               .object = SCHEMA_OBJECT_BATCH, .tenant = tenant,
                                                               .id = batch});
    return result;
}

enum accounts_result enrolment_approve_serials(struct accounts *accounts, struct bytes tenant, struct bytes batch,
                                               const struct bytes *serials, size_t count)
{
    return change_serials(accounts, true, tenant, batch, serials, count);
}

enum accounts_result enrolment_forget_serials(struct accounts *accounts, struct bytes tenant, struct bytes batch,
                                              const struct bytes *serials, size_t count)
{
    return change_serials(accounts, false, tenant, batch, serials, count);
}

enum accounts_result enrolment_count(struct accounts *accounts, struct bytes tenant, struct bytes batch,
                                     uint64_t *ret_used, uint64_t *ret_approved)
{
    char used_key[SCHEMA_KEY_MAX], serials_key[SCHEMA_KEY_MAX];
    schema_key_of(used_key, tenant, SCHEMA_KIND_USED, batch);
    schema_key_of(serials_key, tenant, SCHEMA_KIND_SERIALS, batch);
    struct bytes used[] = {WORD("SCARD"), bytes_of_text(used_key)};
    struct bytes serials[] = {WORD("SCARD"), bytes_of_text(serials_key)};
    enum accounts_result result = ask_number(accounts, used, COUNT_OF(used), ret_used);
    return result == ACCOUNTS_DONE ? ask_number(accounts, serials, COUNT_OF(serials), ret_approved) : result;
}
