// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Read from the registry with each request and not kept with the identity, so that a change holds from the next
 * request on, also of a session that goes on and of an observer. Whatever is in doubt is outside.
 */
#include "gateway/scope.h"

#include "gateway/worker.h"

/* The sites of the record by which the person was let in. False: there is none any more. */
static bool copy_sites(const struct request *request, struct scope *ret)
{
    const struct registry *registry = request->worker->shared->registry;
    const struct identity *who = &request->who;
    struct bytes tenant = bytes_of_text(who->tenant);
    if (who->evidence == EVIDENCE_TOKEN) {
        const struct token_record *token = registry_token(registry, bytes_of_text(who->key));
        if (!token || token->revoked || token->role != who->role || strcmp(token->tenant, who->tenant) != 0)
            return false;
        strcpy(ret->sites, token->sites);
        return true;
    }
    const struct device_record *person = registry_device(registry, tenant, bytes_of_text(who->device));
    if (!person || person->disabled || person->role != who->role)
        return false;
    strcpy(ret->sites, person->site);
    return true;
}

/* The tenant that the request names instead of its own. */
static bool may_cross(const struct request *request, const struct scope *scope, struct bytes tenant)
{
    const struct shared *shared = request->worker->shared;
    return request->who.kind == IDENTITY_OPERATOR && request->who.role == ROLE_ADMIN && !scope_is_limited(scope) &&
           strcmp(request->who.tenant, shared->settings->admin_tenant) == 0 && schema_tenant_is_valid(tenant) &&
           registry_tenant(shared->registry, tenant) != NULL;
}

enum outcome scope_of(const struct request *request, struct scope *ret)
{
    struct scope scope = {0};
    bool named;
    struct bytes tenant = request_query(request, "tenant", &named);
    strcpy(scope.tenant, request->who.tenant);
    if (request->who.kind == IDENTITY_OPERATOR && !copy_sites(request, &scope))
        return OUTCOME_NOT_FOUND;
    if (named && !bytes_equal_text(tenant, scope.tenant)) {
        if (!may_cross(request, &scope, tenant))
            return OUTCOME_NOT_FOUND;
        memcpy(scope.tenant, tenant.ptr, tenant.len);
        scope.tenant[tenant.len] = '\0';
    }
    *ret = scope;
    return OUTCOME_CONTENT;
}

bool scope_is_limited(const struct scope *scope)
{
    return scope->sites[0] != '\0';
}

bool scope_has_site(const struct scope *scope, struct bytes site)
{
    if (!scope_is_limited(scope))
        return true;
    if (site.len == 0)
        return false;
    for (const char *at = scope->sites, *end; *at; at = *end ? end + 1 : end) {
        end = strchrnul(at, ',');
        if (bytes_equal(bytes_of(at, (size_t)(end - at)), site))
            return true;
    }
    return false;
}

bool scope_has_device(const struct scope *scope, const struct device_record *device)
{
    return strcmp(device->tenant, scope->tenant) == 0 && scope_has_site(scope, bytes_of_text(device->site));
}

/* What they may make of a device. */

static bool has_foreign_prefix(const struct device_record *device)
{
    return device->prefix[0] && strcmp(device->prefix, device->id) != 0;
}

static bool reaches_beyond(const struct device_record *device)
{
    return device->concentrator || has_foreign_prefix(device);
}

struct change {
    const struct scope *scope;
    const struct device_record *record, *old;
    bool sets_keys;
};

static bool is_elsewhere(const struct change *change)
{
    return !scope_has_site(change->scope, bytes_of_text(change->record->site));
}

static bool becomes_concentrator(const struct change *change)
{
    return change->record->concentrator && !(change->old && change->old->concentrator);
}

static bool gets_prefix(const struct change *change)
{
    return has_foreign_prefix(change->record) &&
           !(change->old && strcmp(change->old->prefix, change->record->prefix) == 0);
}

static bool gets_keys(const struct change *change)
{
    return reaches_beyond(change->record) && change->sets_keys;
}

static bool gets_group(const struct change *change)
{
    return reaches_beyond(change->record) && change->record->group[0] &&
           !(change->old && strcmp(change->old->group, change->record->group) == 0);
}

static bool is_enabled(const struct change *change)
{
    return reaches_beyond(change->record) && change->old && change->old->disabled && !change->record->disabled;
}

#define WRITES_BEYOND "It would write for devices of other sites, which is not yours to give."

static const struct rule {
    bool (*is_broken)(const struct change *change);
    struct scope_refusal refusal;
} rules[] = {
    {is_elsewhere, {"/site", "It is none of yours."}},
    {becomes_concentrator, {"/concentrator", WRITES_BEYOND}},
    {gets_prefix, {"/prefix", WRITES_BEYOND}},
    {gets_keys, {"/keys", "It writes for devices of other sites, so its keys are not yours to give or take."}},
    {gets_group, {"/group", "It writes for devices of other sites, and who has the group's key could be it."}},
    {is_enabled, {"/disabled", "It writes for devices of other sites, so it is not yours to enable."}},
};

const struct scope_refusal *scope_refuses(const struct scope *scope, const struct device_record *record,
                                          const struct device_record *old, bool sets_keys)
{
    const struct change change = {scope, record, old, sets_keys};
    if (!scope_is_limited(scope))
        return NULL;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].is_broken(&change))
            return &rules[i].refusal;
    return NULL;
}

bool scope_may_change_keys(const struct scope *scope, const struct device_record *device)
{
    return !scope_is_limited(scope) || !reaches_beyond(device);
}

bool scope_may_restore_times(const struct scope *scope, enum role role)
{
    return role == ROLE_ADMIN && !scope_is_limited(scope);
}
