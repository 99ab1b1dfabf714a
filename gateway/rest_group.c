// SPDX-License-Identifier: GPL-3.0-or-later
/* /groups: keys from which a batch of devices derives its own. The key is told by the request that made it. */
#include "gateway/rest_private.h"

#include "gateway/derive.h"

#include <stdlib.h>

struct group_rest {
    struct rest rest; /* first */
    struct group_record record;
    bool made;                    /* the key is new */
    struct group_record *records; /* of the list; the answer's to free */
    size_t count;
};

static bool group_etag(const struct group_record *record, struct etag *ret)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct group_record bare = *record;
    bare.key = (struct secret){.len = DERIVE_KEY_BYTES}; /* none would be no record */
    return rest_etag_of_fields(fields, record_of_group(&bare, NULL, fields, scratch), ret);
}

static enum accounts_result read_list(struct rest *rest, struct accounts *accounts)
{
    struct group_rest *groups = (struct group_rest *)rest;
    struct bytes tenant = bytes_of_text(rest->scope.tenant);
    struct accounts_ids ids = {0};
    enum accounts_result result = accounts_list_groups(accounts, tenant, &ids);
    if (result != ACCOUNTS_DONE)
        return result;
    groups->count = 0;
    free(groups->records);
    groups->records = calloc(ids.count + 1, sizeof *groups->records);
    result = groups->records ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
    for (size_t i = 0; i < ids.count && result == ACCOUNTS_DONE; i++) {
        struct group_record *record = &groups->records[groups->count];
        enum accounts_result got = accounts_get_group(accounts, tenant, bytes_of_text(ids.ids[i]), record);
        secret_wipe(&record->key);
        groups->count += got == ACCOUNTS_DONE;
        if (got == ACCOUNTS_AWAY || got == ACCOUNTS_REFUSED)
            result = got;
    }
    free(ids.ids);
    return result;
}

static void answer_list(struct rest *rest)
{
    struct group_rest *groups = (struct group_rest *)rest;
    struct group_record *records = groups->records;
    struct report report;
    if (rest_is_refused(rest)) {
        free(records);
        return;
    }
    rest_report_init(rest, &report);
    report_map(&report, 1);
    report_name(&report, "groups");
    report_array(&report, groups->count);
    for (size_t i = 0; i < groups->count; i++)
        draft_write_group(&report, &groups->records[i], false);
    report_array_end(&report);
    report_map_end(&report);
    free(records);
    rest_answer_content(rest, &report);
}

static enum accounts_result read_one(struct rest *rest, struct accounts *accounts)
{
    struct group_rest *group = (struct group_rest *)rest;
    enum accounts_result result = accounts_get_group(accounts, bytes_of_text(rest->scope.tenant),
                                                     bytes_of_text(rest->id), &group->record);
    if (result == ACCOUNTS_DONE && !group_etag(&group->record, &rest->etag))
        result = ACCOUNTS_AWAY;
    rest->existed = result == ACCOUNTS_DONE;
    return result;
}

static void answer_one(struct rest *rest)
{
    struct group_rest *group = (struct group_rest *)rest;
    struct report report;
    secret_wipe(&group->record.key);
    if (rest_is_refused(rest))
        return;
    rest_report_init(rest, &report);
    draft_write_group(&report, &group->record, false);
    rest_answer_content(rest, &report);
}

static enum accounts_result make(struct rest *rest, struct accounts *accounts)
{
    struct group_rest *group = (struct group_rest *)rest;
    return group_etag(&group->record, &rest->etag) ? accounts_add_group(accounts, &group->record, false)
                                                   : ACCOUNTS_AWAY;
}

static enum accounts_result change(struct rest *rest, struct accounts *accounts)
{
    struct group_rest *group = (struct group_rest *)rest;
    struct bytes tenant = bytes_of_text(rest->scope.tenant), id = bytes_of_text(rest->id);
    enum accounts_result result = read_one(rest, accounts);
    if (result != ACCOUNTS_DONE || !rest_preconditions_hold(rest, true, &rest->etag))
        return result;
    struct accounts_version version = accounts->last_read;
    accounts->only_if = &version;
    rest->etag.len = 0;
    if (rest->request->method == METHOD_DELETE)
        result = accounts_remove_group(accounts, tenant, id);
    else if (!draft_read_group(rest->map, &rest->rules, &group->record, &group->made, &rest->error))
        rest->outcome = OUTCOME_UNPROCESSABLE;
    else if (!group_etag(&group->record, &rest->etag))
        rest->outcome = OUTCOME_OUT_OF_MEMORY;
    else
        result = accounts_add_group(accounts, &group->record, true);
    accounts->only_if = NULL;
    return result;
}

static void answer_change(struct rest *rest)
{
    struct group_rest *group = (struct group_rest *)rest;
    struct report report;
    bool tells = group->made && rest->request->method != METHOD_DELETE;
    rest_report_init(rest, &report);
    if (tells && !rest_has_failed(rest))
        draft_write_group(&report, &group->record, true);
    secret_wipe(&group->record.key);
    if (!rest_is_refused(rest))
        rest_answer_change(rest, tells ? &report : NULL,
                           rest->request->method == METHOD_POST ? group->record.id : NULL);
}

static const struct rest_steps list_steps = {read_list, answer_list};
static const struct rest_steps read_steps = {read_one, answer_one};
static const struct rest_steps make_steps = {make, answer_change};
static const struct rest_steps change_steps = {change, answer_change};

void rest_handle_groups(struct request *request)
{
    struct rest *rest = rest_begin(request, sizeof(struct group_rest));
    struct group_rest *group = (struct group_rest *)rest;
    if (!rest)
        return;
    if (request->method == METHOD_GET) {
        rest_give(rest, &list_steps);
        return;
    }
    strcpy(group->record.tenant, rest->scope.tenant);
    group->record.created_s = rest->now_s;
    if (draft_read_group(rest->map, &rest->rules, &group->record, &group->made, &rest->error)) {
        rest_give(rest, &make_steps);
        return;
    }
    secret_wipe(&group->record.key);
    rest_explain(request, &rest->error);
}

void rest_handle_group(struct request *request)
{
    struct rest *rest = rest_begin(request, sizeof(struct group_rest));
    if (!rest)
        return;
    if (!schema_group_is_valid(bytes_of_text(rest->id)))
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
    else
        rest_give(rest, request->method == METHOD_GET ? &read_steps : &change_steps);
}
