// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * /devices/{id}/keys: what proves a device. A key is not changed but for its times: rotation is a new key
 * beside the old one, then the end of the old one. Read from Redis, so that who adds a key sees it at once.
 */
#include "gateway/rest_private.h"

#include "codec/jwk.h"

struct key_rest {
    struct rest rest; /* first */
    struct draft_key key; /* POST */
    struct record_room room; /* GET */
    size_t count;
};

static const struct credential *find_key(const struct device_record *record, const char *id)
{
    return record_credential_of_id(record, bytes_of_text(id));
}

static bool key_etag(const struct credential *key, struct etag *ret)
{
    struct device_record alone = {.credentials = key, .credential_count = 1};
    return rest_device_etag(&alone, ret);
}

/* The device, if it is to be seen, and changed. */
static enum accounts_result get_device(struct rest *rest, struct accounts *accounts, struct record_room *room,
                                       struct device_record *ret)
{
    enum accounts_result result = accounts_get_device(accounts, bytes_of_text(rest->scope.tenant),
                                                      bytes_of_text(rest->id), room, ret);
    enum method method = rest->request->method;
    /* Nobody can tell the site of what is damaged. */
    if (result == ACCOUNTS_DAMAGED && scope_is_limited(&rest->scope))
        return ACCOUNTS_NOT_FOUND;
    if (result != ACCOUNTS_DONE)
        return result;
    if (!scope_has_device(&rest->scope, ret))
        rest->outcome = OUTCOME_NOT_FOUND;
    else if (method != METHOD_GET && ret->role > rest->request->who.role)
        rest_refuse(rest, OUTCOME_FORBIDDEN, "Its role is above your own.");
    else if (method != METHOD_GET && !scope_may_change_keys(&rest->scope, ret))
        rest_refuse(rest, OUTCOME_FORBIDDEN,
                    "It writes for devices of other sites, so its keys are not yours to give or take.");
    return ACCOUNTS_DONE;
}

/* Reading. */

static enum accounts_result read_keys(struct rest *rest, struct accounts *accounts)
{
    struct key_rest *keys = (struct key_rest *)rest;
    struct device_record record;
    enum accounts_result result = get_device(rest, accounts, &keys->room, &record);
    if (result != ACCOUNTS_DONE || rest->outcome != OUTCOME_CONTENT)
        return result;
    keys->count = record.credential_count;
    if (!rest->part[0])
        return rest_device_etag(&record, &rest->etag) ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
    const struct credential *key = find_key(&record, rest->part);
    if (!key)
        return ACCOUNTS_NOT_FOUND;
    keys->room.credentials[0] = *key;
    return key_etag(key, &rest->etag) ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
}

static void put_keys(struct report *report, const struct key_rest *keys)
{
    if (keys->rest.part[0]) {
        draft_write_key(report, &keys->room.credentials[0]);
        return;
    }
    report_map(report, 1);
    report_name(report, "keys");
    report_array(report, keys->count);
    for (size_t i = 0; i < keys->count; i++)
        draft_write_key(report, &keys->room.credentials[i]);
    report_array_end(report);
    report_map_end(report);
}

static void answer_keys(struct rest *rest)
{
    struct key_rest *keys = (struct key_rest *)rest;
    struct report report;
    rest_report_init(rest, &report);
    if (!rest_has_failed(rest))
        put_keys(&report, keys);
    record_wipe_room(&keys->room);
    if (!rest_is_refused(rest))
        rest_answer_content(rest, &report);
}

/* Changing. */

static enum accounts_result add_key(struct rest *rest, struct accounts *accounts, const struct device_record *record)
{
    struct key_rest *keys = (struct key_rest *)rest;
    struct etag etag;
    /* If-Match is of the device: the list that one has seen. */
    if (!rest_device_etag(record, &etag) || !key_etag(&keys->key.credential, &rest->etag))
        return rest_refuse(rest, OUTCOME_OUT_OF_MEMORY, NULL);
    if (!rest_preconditions_hold(rest, true, &etag))
        return ACCOUNTS_DONE;
    return accounts_put_credential(accounts, bytes_of_text(record->tenant), bytes_of_text(record->id),
                                   &keys->key.credential, false);
}

static enum accounts_result change_key(struct rest *rest, struct accounts *accounts, const struct device_record *record)
{
    struct bytes tenant = bytes_of_text(record->tenant), id = bytes_of_text(record->id);
    const struct credential *old = find_key(record, rest->part);
    struct etag etag;
    if (!old)
        return ACCOUNTS_NOT_FOUND;
    rest->existed = true;
    if (!key_etag(old, &etag))
        return rest_refuse(rest, OUTCOME_OUT_OF_MEMORY, NULL);
    if (!rest_preconditions_hold(rest, true, &etag))
        return ACCOUNTS_DONE;
    if (rest->request->method == METHOD_DELETE)
        return accounts_remove_credential(accounts, tenant, id, bytes_of_text(rest->part));
    struct credential key = *old;
    enum accounts_result result = ACCOUNTS_DONE;
    if (!draft_change_key(rest->map, &key, &rest->error))
        rest->outcome = OUTCOME_UNPROCESSABLE;
    else if (!key_etag(&key, &rest->etag))
        rest->outcome = OUTCOME_OUT_OF_MEMORY;
    else
        result = accounts_put_credential(accounts, tenant, id, &key, true);
    credential_wipe(&key);
    return result;
}

static enum accounts_result change(struct rest *rest, struct accounts *accounts)
{
    struct record_room room = {0};
    struct device_record record;
    enum accounts_result result = get_device(rest, accounts, &room, &record);
    if (result == ACCOUNTS_DONE && rest->outcome == OUTCOME_CONTENT) {
        struct accounts_version version = accounts->last_read;
        accounts->only_if = &version;
        result = rest->request->method == METHOD_POST ? add_key(rest, accounts, &record)
                                                      : change_key(rest, accounts, &record);
        accounts->only_if = NULL;
    }
    record_wipe_room(&room);
    return result;
}

/* The private half of a pair that was made, as a JWK. */
static struct bytes made_jwk(const struct draft_key *key, struct arena *arena)
{
    struct jwk jwk = {.algorithm = key->signer.algorithm, .is_private = true, .len = key->signer.public_len,
                      .kid = bytes_of_text(key->credential.id)};
    struct bytes text = {0};
    if (!key->made || credential_is_secret(key->credential.kind))
        return text;
    memcpy(jwk.octets, key->signer.public, key->signer.public_len);
    memcpy(jwk.private_octets, key->signer.secret.octets, sizeof jwk.private_octets);
    bool written = jwk_write(&jwk, true, arena, &text);
    jwk_wipe(&jwk);
    return written ? text : (struct bytes){0};
}

static void answer_change(struct rest *rest)
{
    struct key_rest *keys = (struct key_rest *)rest;
    struct report report;
    bool tells = rest->request->method == METHOD_POST;
    char made[CREDENTIAL_ID_MAX + 1];
    memcpy(made, keys->key.credential.id, sizeof made);
    rest_report_init(rest, &report);
    if (tells && !rest_has_failed(rest))
        draft_write_made_key(&report, &keys->key, made_jwk(&keys->key, rest->request->arena));
    draft_wipe_key(&keys->key);
    if (!rest_is_refused(rest))
        rest_answer_change(rest, tells ? &report : NULL, tells ? made : NULL);
}

static const struct rest_steps read_steps = {read_keys, answer_keys};
static const struct rest_steps change_steps = {change, answer_change};

static void begin(struct request *request)
{
    struct rest *rest = rest_begin(request, sizeof(struct key_rest));
    struct key_rest *keys = (struct key_rest *)rest;
    if (!rest)
        return;
    if (!schema_device_is_valid(bytes_of_text(rest->id)) ||
        (rest->part[0] && !credential_id_is_valid(bytes_of_text(rest->part)))) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return;
    }
    if (request->method == METHOD_POST &&
        !draft_read_key(rest->map, &rest->rules, bytes_of_text(rest->scope.tenant), bytes_of_text(rest->id), &keys->key,
                        &rest->error)) {
        rest_explain(request, &rest->error);
        return;
    }
    rest_give(rest, request->method == METHOD_GET ? &read_steps : &change_steps);
}

void rest_handle_keys(struct request *request)
{
    begin(request);
}

void rest_handle_key(struct request *request)
{
    begin(request);
}
