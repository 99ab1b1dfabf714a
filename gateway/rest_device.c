// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * /devices: POST, and PUT, PATCH and DELETE of one. A PUT without keys keeps those that the device has, which have a
 * resource of their own; one with keys has these and no others from then on.
 *
 * Nobody makes, changes or removes a record that has a role above their own: it would be a way to that role. Who is
 * limited to sites gives no device a right that reaches beyond them (scope_refuses), and of a record that is damaged
 * nobody can tell the site, so that it is not there for them.
 *
 * Nor do they make a record of an id that would give them what lies outside: it is refused as one that is taken
 * (gateway/strangers).
 */
#include "gateway/rest_private.h"

#include "gateway/bulk.h"
#include "gateway/strangers.h"
#include "gateway/vault.h"
#include "gateway/worker.h"

#include <stdio.h>

struct device_rest {
    struct rest rest; /* first */
    struct draft_device draft;
    struct accounts_version version; /* in which it was judged */
};

static bool may_touch(const struct rest *rest, const struct device_record *record)
{
    return record->role <= rest->request->who.role;
}

static bool wrong(struct draft_error *reterr, const char *pointer, const char *detail)
{
    snprintf(reterr->pointer, sizeof reterr->pointer, "%s", pointer);
    reterr->detail = detail;
    return false;
}

static bool allows(const struct scope *scope, const struct device_record *record, const struct device_record *old,
                   bool sets_keys, struct draft_error *reterr)
{
    const struct scope_refusal *refusal = scope_refuses(scope, record, old, sets_keys);
    return refusal ? wrong(reterr, refusal->member, refusal->detail) : true;
}

/* What the record may become, and its entity tag, so that nothing is written that could not be told. False: refused. */
static bool check_new(struct device_rest *device, const struct device_record *record, const struct device_record *old)
{
    struct rest *rest = &device->rest;
    bool good = may_touch(rest, record) ? allows(&rest->scope, record, old, device->draft.has_keys, &rest->error)
                                        : wrong(&rest->error, "/role", "It is above your own.");
    if (!good)
        rest->outcome = OUTCOME_UNPROCESSABLE;
    else if (!rest_device_etag(record, &rest->etag))
        rest->outcome = OUTCOME_OUT_OF_MEMORY;
    return rest->outcome == OUTCOME_CONTENT;
}

static enum accounts_result begin_strangers(const struct rest *rest, struct accounts *accounts, struct strangers *ret)
{
    return strangers_init(ret, &rest->scope, rest->request->worker->shared->latest, accounts);
}

static enum accounts_result look_for_stranger(const struct rest *rest, struct accounts *accounts, struct bytes id,
                                              bool *ret)
{
    struct strangers strangers;
    enum accounts_result result = begin_strangers(rest, accounts, &strangers);
    *ret = true;
    if (result == ACCOUNTS_DONE)
        result = strangers_have(&strangers, accounts, id, ret);
    strangers_deinit(&strangers);
    return result;
}

/* Reads what is there, if it is to be seen. False: refused, or *ret_result. */
static bool look(struct device_rest *device, struct accounts *accounts, struct record_room *room,
                 struct device_record *ret, enum accounts_result *ret_result)
{
    struct rest *rest = &device->rest;
    const struct device_record *draft = &device->draft.record;
    struct etag etag = {0};
    enum method method = rest->request->method;
    enum accounts_result result = accounts_get_device(accounts, bytes_of_text(rest->scope.tenant),
                                                      bytes_of_text(draft->id), room, ret);
    bool found = result == ACCOUNTS_DONE;
    device->version = accounts->last_read;
    rest->existed = found || result == ACCOUNTS_DAMAGED;
    bool is_hidden = found ? !scope_has_device(&rest->scope, ret) : rest->existed && scope_is_limited(&rest->scope);
    *ret_result = ACCOUNTS_DONE;
    if (result == ACCOUNTS_NOT_FOUND)
        *ret_result = look_for_stranger(rest, accounts, bytes_of_text(draft->id), &is_hidden);
    else if (!rest->existed)
        *ret_result = result;
    if (*ret_result != ACCOUNTS_DONE)
        return false;
    if (is_hidden || (!rest->existed && (method == METHOD_PATCH || method == METHOD_DELETE)))
        rest->outcome = OUTCOME_NOT_FOUND;
    else if (found && !may_touch(rest, ret))
        rest_refuse(rest, OUTCOME_FORBIDDEN, "Its role is above your own.");
    else if (!found && rest->existed && rest->request->who.role != ROLE_ADMIN)
        rest_refuse(rest, OUTCOME_FORBIDDEN, "What stands of it is damaged; an admin may remove it.");
    else if (rest->existed && method == METHOD_POST)
        rest_refuse(rest, OUTCOME_CONFLICT, "There is such a device already.");
    else if (!found && rest->existed && method != METHOD_DELETE)
        rest_refuse(rest, OUTCOME_INTERNAL, "What stands of it is damaged; remove it first.");
    else if (found && !rest_device_etag(ret, &etag))
        rest->outcome = OUTCOME_OUT_OF_MEMORY;
    else
        return rest_preconditions_hold(rest, rest->existed, &etag);
    return false;
}

static enum accounts_result write_new(struct device_rest *device, struct accounts *accounts)
{
    struct rest *rest = &device->rest;
    struct device_record *record = &device->draft.record;
    if (!device->draft.has_created || !scope_may_restore_times(&rest->scope, rest->request->who.role))
        record->created_s = rest->now_s;
    if (!check_new(device, record, NULL))
        return ACCOUNTS_DONE;
    enum accounts_result result = accounts_add_device(accounts, record, false);
    /* Somebody made it since it was looked for; or another device has the id of one of its signature keys. */
    if (result == ACCOUNTS_EXISTS && record->credential_count)
        return result;
    return result == ACCOUNTS_EXISTS ? ACCOUNTS_STALE : result;
}

static enum accounts_result replace(struct device_rest *device, struct accounts *accounts,
                                    const struct device_record *old)
{
    struct device_record record = device->draft.record;
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    record.created_s = old->created_s;
    if (!device->draft.has_keys) {
        record.credentials = old->credentials;
        record.credential_count = old->credential_count;
    }
    if (!check_new(device, &record, old))
        return ACCOUNTS_DONE;
    if (device->draft.has_keys)
        return accounts_add_device(accounts, &record, true);
    size_t count = draft_device_fields(&device->draft, true, fields, scratch);
    return accounts_set_device_fields(accounts, bytes_of_text(record.tenant), bytes_of_text(record.id), fields, count);
}

static enum accounts_result patch(struct device_rest *device, struct accounts *accounts,
                                  const struct device_record *old)
{
    struct rest *rest = &device->rest;
    struct draft_device *draft = &device->draft;
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    draft->record = *old;
    draft->given = 0;
    if (!draft_read_device(rest->map, &rest->rules, false, draft, &rest->error))
        return rest_refuse(rest, OUTCOME_UNPROCESSABLE, NULL);
    draft->record.created_s = old->created_s;
    if (!check_new(device, &draft->record, old))
        return ACCOUNTS_DONE;
    size_t count = draft_device_fields(draft, false, fields, scratch);
    if (count == 0)
        return ACCOUNTS_DONE;
    return accounts_set_device_fields(accounts, bytes_of_text(old->tenant), bytes_of_text(old->id), fields, count);
}

static enum accounts_result change(struct rest *rest, struct accounts *accounts)
{
    struct device_rest *device = (struct device_rest *)rest;
    struct record_room room = {0};
    struct device_record old = {0};
    enum accounts_result result;
    if (look(device, accounts, &room, &old, &result)) {
        accounts->only_if = &device->version;
        if (rest->request->method == METHOD_DELETE)
            result = accounts_remove_device(accounts, bytes_of_text(rest->scope.tenant), bytes_of_text(rest->id));
        else if (rest->request->method == METHOD_PATCH)
            result = patch(device, accounts, &old);
        else
            result = rest->existed ? replace(device, accounts, &old) : write_new(device, accounts);
        accounts->only_if = NULL;
        /* It went while it was being changed. */
        if (result == ACCOUNTS_NOT_FOUND)
            result = ACCOUNTS_STALE;
    }
    record_wipe_room(&room);
    return result;
}

static void answer_change(struct rest *rest)
{
    struct device_rest *device = (struct device_rest *)rest;
    record_wipe_room(&device->draft.room);
    if (!rest_is_refused(rest))
        rest_answer_change(rest, NULL, rest->request->method == METHOD_POST ? device->draft.record.id : NULL);
}

static const struct rest_steps change_steps = {change, answer_change};

static void begin_change(struct request *request)
{
    struct rest *rest = rest_begin(request, sizeof(struct device_rest));
    struct device_rest *device = (struct device_rest *)rest;
    if (!rest)
        return;
    struct bytes id = bytes_of_text(rest->id);
    if (request->method != METHOD_POST && !schema_device_is_valid(id)) {
        bool puts = request->method == METHOD_PUT;
        request_refuse(request, puts ? OUTCOME_BAD_REQUEST : OUTCOME_NOT_FOUND,
                       puts ? "A device's id has 1 to 64 of A-Z a-z 0-9 : . _ -, a letter or digit first." : NULL);
        return;
    }
    draft_begin_device(&device->draft, bytes_of_text(rest->scope.tenant));
    strcpy(device->draft.record.id, rest->id);
    if ((request->method == METHOD_PUT || request->method == METHOD_POST) &&
        !draft_read_device(rest->map, &rest->rules, true, &device->draft, &rest->error)) {
        record_wipe_room(&device->draft.room);
        rest_explain(request, &rest->error);
        return;
    }
    rest_give(rest, &change_steps);
}

void rest_handle_device_change(struct request *request)
{
    begin_change(request);
}

/* Many. */

struct bulk_rest {
    struct rest rest; /* first */
    struct bytes text;
    bool replaces;
    struct bulk_report report;
    char ended[160]; /* what had happened when it failed */
};

static bool allows_line(void *ctx, const struct device_record *record, const struct device_record *old,
                        bool sets_keys, struct draft_error *reterr)
{
    const struct strangers *strangers = ctx;
    return allows(strangers->scope, record, old, sets_keys, reterr);
}

static bool sees(void *ctx, const struct device_record *old)
{
    const struct strangers *strangers = ctx;
    return scope_has_device(strangers->scope, old);
}

static enum accounts_result is_stranger(void *ctx, struct accounts *accounts, struct bytes id, bool *ret)
{
    return strangers_have(ctx, accounts, id, ret);
}

static enum accounts_result import(struct rest *rest, struct accounts *accounts)
{
    struct bulk_rest *bulk = (struct bulk_rest *)rest;
    struct strangers strangers;
    bool restores_times = scope_may_restore_times(&rest->scope, rest->request->who.role);
    struct bulk_options options = {
        .tenant = bytes_of_text(rest->scope.tenant),
        .replaces = bulk->replaces,
        .restores_times = restores_times,
        .restores_key_times = restores_times && rest_is_of_admin_tenant(rest->request),
        .role_max = rest->request->who.role,
        .now_s = rest->now_s,
        .allows = allows_line,
        .sees = scope_is_limited(&rest->scope) ? sees : NULL,
        .is_stranger = scope_is_limited(&rest->scope) ? is_stranger : NULL,
        .ctx = &strangers,
    };
    struct bulk_report *report = &bulk->report;
    *report = (struct bulk_report){0};
    enum accounts_result result = begin_strangers(rest, accounts, &strangers);
    if (result == ACCOUNTS_DONE)
        result = bulk_import(accounts, &options, bulk->text, report);
    strangers_deinit(&strangers);
    if (result != ACCOUNTS_DONE && report->created + report->replaced > 0) {
        snprintf(bulk->ended, sizeof bulk->ended,
                 "It ended before line %llu was through: %llu devices were made and %llu replaced.",
                 (unsigned long long)report->lines, (unsigned long long)report->created,
                 (unsigned long long)report->replaced);
        rest->detail = bulk->ended;
    }
    return result;
}

static void put_uint(struct report *report, const char *name, uint64_t number)
{
    report_name(report, name);
    report_uint(report, number);
}

static void answer_import(struct rest *rest)
{
    const struct bulk_report *done = &((struct bulk_rest *)rest)->report;
    struct report report;
    char text[DRAFT_POINTER_MAX + 256];
    size_t told = done->refused < BULK_REFUSALS_MAX ? done->refused : BULK_REFUSALS_MAX;
    if (rest_is_refused(rest))
        return;
    rest_report_init(rest, &report);
    report_map(&report, 5);
    put_uint(&report, "lines", done->lines);
    report_name(&report, "errors");
    report_array(&report, told);
    for (size_t i = 0; i < told; i++) {
        const struct bulk_refusal *refusal = &done->refusals[i];
        snprintf(text, sizeof text, "%s%s%s", refusal->error.pointer, refusal->error.pointer[0] ? ": " : "",
                 refusal->error.detail);
        report_map(&report, 2);
        put_uint(&report, "line", refusal->line);
        report_name(&report, "detail");
        report_text(&report, text);
        report_map_end(&report);
    }
    report_array_end(&report);
    put_uint(&report, "created", done->created);
    put_uint(&report, "refused", done->refused);
    put_uint(&report, "replaced", done->replaced);
    report_map_end(&report);
    rest_answer_content(rest, &report);
}

static const struct rest_steps import_steps = {import, answer_import};

void rest_handle_device_post(struct request *request)
{
    if (request->content_format != CONTENT_FORMAT_NDJSON) {
        begin_change(request);
        return;
    }
    struct rest *rest = rest_begin(request, sizeof(struct bulk_rest));
    struct bulk_rest *bulk = (struct bulk_rest *)rest;
    if (!rest)
        return;
    request_query(request, "replace", &bulk->replaces);
    if (!arena_copy(request->arena, request->body, &bulk->text)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    rest_give(rest, &import_steps);
}

void rest_finish_export(struct request *request, const struct device_record *const *records, size_t count)
{
    struct builder lines;
    struct response response = response_of(OUTCOME_CONTENT);
    bool seals = bytes_equal_text(request_query(request, "secrets", NULL), "wrapped"), ok = true;
    if (seals && request->who.role != ROLE_ADMIN) {
        request_refuse(request, OUTCOME_FORBIDDEN, "Wrapped secrets are for admins.");
        return;
    }
    builder_init(&lines, request->arena, count * 256);
    for (size_t i = 0; i < count && ok; i++) {
        struct report report;
        struct bytes line;
        report_init(&report, request->arena, false);
        ok = draft_write_device(&report, records[i], seals ? DRAFT_SEALED_KEYS : DRAFT_NO_KEYS,
                                vault_of_records(request->worker->shared->vault)) &&
             report_finish(&report, &line);
        if (!ok)
            break;
        builder_put(&lines, line);
        builder_put_byte(&lines, '\n');
    }
    response.content_format = CONTENT_FORMAT_NDJSON;
    response.max_age_s = 0;
    if (ok && builder_finish(&lines, &response.body))
        request_finish(request, &response);
    else
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
}
