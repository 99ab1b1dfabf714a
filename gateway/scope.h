// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a person may see: their tenant, and if their token (or their device record, over DTLS) names sites, only
 * devices of these. What lies outside is not there: 4.04, never 4.03, in answers, lists and counts alike.
 *
 * route_dispatch has asked scope_of before a handler of people's routes is called, so there it does not fail. Plain
 * data: it may be copied and kept while a job is under way.
 */
#pragma once

#include "gateway/request.h"
#include "registry/registry.h"

struct scope {
    /* That the request is about: the person's, or ?tenant= of an admin of settings.admin_tenant. */
    char tenant[SCHEMA_TENANT_MAX + 1];
    char sites[RECORD_SITES_MAX + 1]; /* between commas; empty: all */
};

/*
 * OUTCOME_CONTENT; else OUTCOME_NOT_FOUND: a tenant that is not theirs or not there, or the token or record that said
 * what they may is no longer there. Devices and mapped networks have all sites of their tenant here: what they may
 * read is their handler's to judge.
 */
enum outcome scope_of(const struct request *request, struct scope *ret);
bool scope_is_limited(const struct scope *scope);
bool scope_has_device(const struct scope *scope, const struct device_record *device);
bool scope_has_site(const struct scope *scope, struct bytes site);
/*
 * Sites say of a device which it is, not what it writes: a concentrator, and one with a prefix other than its id, write
 * for devices of any site. So who is limited gives no device such a right, and none that has it anything by which
 * somebody else could be it: a key, a group's key by its group or for want of its own, or its voice back. What others
 * gave may stay as it is, or go.
 *
 * NULL: they may make the device so; else why not. old NULL: there is none; sets_keys: its keys are written anew.
 */
struct scope_refusal {
    const char *member; /* JSON pointer */
    const char *detail;
};
const struct scope_refusal *scope_refuses(const struct scope *scope, const struct device_record *record,
                                          const struct device_record *old, bool sets_keys);
/* One key of it: to be made, changed or removed. */
bool scope_may_change_keys(const struct scope *scope, const struct device_record *device);
/* When something was made may be said by who restores a backup; it decides whose a name is that two show. */
bool scope_may_restore_times(const struct scope *scope, enum role role);
