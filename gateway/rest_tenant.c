// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * /tenants: for admins of the tenant that settings.admin_tenant names; for all others it is not there. That
 * tenant itself can be neither disabled nor removed here, because nobody could take it back.
 */
#include "gateway/rest_private.h"

#include "gateway/worker.h"

#include <stdlib.h>

struct tenant_rest {
    struct rest rest; /* first */
    struct tenant_record record;
    struct tenant_record *records; /* of the list; the answer's to free */
    size_t count, limit;
    struct bytes after;
    bool more;
};

static bool tenant_etag(const struct tenant_record *record, struct etag *ret)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    return rest_etag_of_fields(fields, record_of_tenant(record, fields, scratch), ret);
}

static enum accounts_result read_list(struct rest *rest, struct accounts *accounts)
{
    struct tenant_rest *tenants = (struct tenant_rest *)rest;
    struct accounts_ids ids = {0};
    size_t first = 0;
    enum accounts_result result = accounts_list_tenants(accounts, &ids);
    if (result != ACCOUNTS_DONE)
        return result;
    size_t count = rest_cut_page(&ids, tenants->after, tenants->limit, &first);
    tenants->more = first + count < ids.count;
    tenants->count = 0;
    free(tenants->records);
    tenants->records = calloc(count + 1, sizeof *tenants->records);
    result = tenants->records ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
    for (size_t i = 0; i < count && result == ACCOUNTS_DONE; i++) {
        struct bytes id = bytes_of_text(ids.ids[first + i]);
        enum accounts_result got = schema_tenant_is_valid(id)
                                       ? accounts_get_tenant(accounts, id, &tenants->records[tenants->count])
                                       : ACCOUNTS_NOT_FOUND;
        tenants->count += got == ACCOUNTS_DONE;
        if (got == ACCOUNTS_AWAY || got == ACCOUNTS_REFUSED)
            result = got;
    }
    free(ids.ids);
    return result;
}

static void answer_list(struct rest *rest)
{
    struct tenant_rest *tenants = (struct tenant_rest *)rest;
    struct tenant_record *records = tenants->records;
    struct report report;
    if (rest_is_refused(rest)) {
        free(records);
        return;
    }
    rest_report_init(rest, &report);
    report_map(&report, 2);
    report_name(&report, "more");
    report_bool(&report, tenants->more);
    report_name(&report, "tenants");
    report_array(&report, tenants->count);
    for (size_t i = 0; i < tenants->count; i++)
        draft_write_tenant(&report, &tenants->records[i]);
    report_array_end(&report);
    report_map_end(&report);
    free(records);
    rest_answer_content(rest, &report);
}

static enum accounts_result read_one(struct rest *rest, struct accounts *accounts)
{
    struct tenant_rest *tenant = (struct tenant_rest *)rest;
    enum accounts_result result = accounts_get_tenant(accounts, bytes_of_text(rest->id), &tenant->record);
    rest->existed = result == ACCOUNTS_DONE || result == ACCOUNTS_DAMAGED;
    if (result == ACCOUNTS_DONE && !tenant_etag(&tenant->record, &rest->etag))
        result = ACCOUNTS_AWAY;
    return result;
}

static void answer_one(struct rest *rest)
{
    struct report report;
    if (rest_is_refused(rest))
        return;
    rest_report_init(rest, &report);
    draft_write_tenant(&report, &((struct tenant_rest *)rest)->record);
    rest_answer_content(rest, &report);
}

/* What a PUT or PATCH makes of it. */
static enum accounts_result write_tenant(struct rest *rest, struct accounts *accounts)
{
    struct tenant_record *record = &((struct tenant_rest *)rest)->record;
    bool keeps = rest->request->method == METHOD_PATCH;
    struct tenant_record fresh = {.created_s = rest->existed ? record->created_s : rest->now_s};
    strcpy(fresh.id, rest->id);
    if (!keeps)
        *record = fresh;
    if (!draft_read_tenant(rest->map, record, &rest->error))
        return rest_refuse(rest, OUTCOME_UNPROCESSABLE, NULL);
    if (record->disabled && strcmp(rest->id, rest->request->who.tenant) == 0)
        return rest_refuse(rest, OUTCOME_CONFLICT, "The tenant of the admins stays enabled.");
    if (!tenant_etag(record, &rest->etag))
        return ACCOUNTS_AWAY;
    enum accounts_result result = accounts_add_tenant(accounts, record, rest->existed);
    return result == ACCOUNTS_EXISTS ? ACCOUNTS_STALE : result;
}

static enum accounts_result change(struct rest *rest, struct accounts *accounts)
{
    enum method method = rest->request->method;
    rest->etag.len = 0;
    enum accounts_result result = read_one(rest, accounts);
    bool may_lack = method == METHOD_PUT;
    if (result != ACCOUNTS_DONE && !(result == ACCOUNTS_NOT_FOUND && may_lack) &&
        !(result == ACCOUNTS_DAMAGED && method == METHOD_DELETE))
        return result;
    if (!rest_preconditions_hold(rest, rest->existed, &rest->etag))
        return ACCOUNTS_DONE;
    if (method == METHOD_DELETE && strcmp(rest->id, rest->request->who.tenant) == 0)
        return rest_refuse(rest, OUTCOME_CONFLICT, "The tenant of the admins stays.");
    struct accounts_version version = accounts->last_read;
    accounts->only_if = &version;
    rest->etag.len = 0;
    result = method == METHOD_DELETE ? accounts_remove_tenant(accounts, bytes_of_text(rest->id))
                                     : write_tenant(rest, accounts);
    accounts->only_if = NULL;
    return result;
}

static void answer_change(struct rest *rest)
{
    if (!rest_is_refused(rest))
        rest_answer_change(rest, NULL, NULL);
}

static const struct rest_steps list_steps = {read_list, answer_list};
static const struct rest_steps read_steps = {read_one, answer_one};
static const struct rest_steps change_steps = {change, answer_change};

void rest_handle_tenants(struct request *request)
{
    struct rest *rest = rest_is_of_admin_tenant(request) ? rest_begin(request, sizeof(struct tenant_rest)) : NULL;
    struct tenant_rest *tenants = (struct tenant_rest *)rest;
    if (!rest_is_of_admin_tenant(request))
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
    else if (rest && rest_page(request, &tenants->limit, &tenants->after))
        rest_give(rest, &list_steps);
}

void rest_handle_tenant(struct request *request)
{
    if (!rest_is_of_admin_tenant(request) || !schema_tenant_is_valid(request->path_parameter)) {
        bool puts = rest_is_of_admin_tenant(request) && request->method == METHOD_PUT;
        request_refuse(request, puts ? OUTCOME_BAD_REQUEST : OUTCOME_NOT_FOUND,
                       puts ? "A tenant's name has 1 to 32 of a-z, 0-9 and -, and does not begin with -." : NULL);
        return;
    }
    struct rest *rest = rest_begin(request, sizeof(struct tenant_rest));
    if (rest)
        rest_give(rest, request->method == METHOD_GET ? &read_steps : &change_steps);
}
