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

static bool has_foreign_prefix(const struct device_record *device)
{
    return device->prefix[0] && strcmp(device->prefix, device->id) != 0;
}

const char *scope_widened_by(const struct scope *scope, const struct device_record *record,
                             const struct device_record *old)
{
    if (!scope_is_limited(scope))
        return NULL;
    if (record->concentrator && !(old && old->concentrator))
        return "/concentrator";
    return has_foreign_prefix(record) && !(old && strcmp(old->prefix, record->prefix) == 0) ? "/prefix" : NULL;
}

bool scope_may_give_keys(const struct scope *scope, const struct device_record *device)
{
    return !scope_is_limited(scope) || (!device->concentrator && !has_foreign_prefix(device));
}
