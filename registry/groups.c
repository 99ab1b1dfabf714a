// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a group is and which one matches; lists and their publishing are registry/ordered. A group is wiped when it
 * goes: its key makes all keys of its devices.
 */
#include "registry/groups.h"

#include "registry/glob.h"
#include "registry/ordered.h"

static int compare(const void *record, const void *other)
{
    return strcmp(((const struct group_record *)record)->id, ((const struct group_record *)other)->id);
}

static void wipe(void *record)
{
    secret_wipe(&((struct group_record *)record)->key);
}

static const struct ordered_kind kind = {
    .size = sizeof(struct group_record),
    .tenant_at = offsetof(struct group_record, tenant),
    .id_at = offsetof(struct group_record, id),
    .compare = compare,
    .wipe = wipe,
};

static struct ordered ordered_of(struct groups *groups)
{
    return (struct ordered){.kind = &kind, .tenants = &groups->tenants, .count = &groups->count};
}

bool groups_init(struct groups *groups)
{
    return ordered_init(ordered_of(groups));
}

void groups_deinit(struct groups *groups)
{
    ordered_deinit(ordered_of(groups));
}

/* Reading. */

size_t groups_count(const struct groups *groups)
{
    return ordered_count(&groups->count);
}

static bool has_id(const void *id, const void *record)
{
    return bytes_equal_text(*(const struct bytes *)id, ((const struct group_record *)record)->id);
}

const struct group_record *groups_find(const struct groups *groups, uint64_t hash, struct bytes tenant, struct bytes id)
{
    return ordered_first(ordered_list(&groups->tenants, hash, tenant), has_id, &id);
}

static bool takes(const void *device, const void *record)
{
    const struct group_record *group = record;
    return !group->disabled && glob_matches(bytes_of_text(group->pattern), *(const struct bytes *)device);
}

const struct group_record *groups_match(const struct groups *groups, uint64_t hash, struct bytes tenant,
                                        struct bytes device)
{
    return ordered_first(ordered_list(&groups->tenants, hash, tenant), takes, &device);
}

/* Writing. */

bool groups_put(struct groups *groups, uint64_t hash, const struct group_record *record, uint32_t generation,
                bool tells)
{
    return ordered_put(ordered_of(groups), hash, record, generation, tells);
}

void groups_remove(struct groups *groups, uint64_t hash, struct bytes tenant, struct bytes id)
{
    ordered_remove(ordered_of(groups), hash, tenant, id);
}

void groups_remove_tenant(struct groups *groups, uint64_t hash, struct bytes tenant)
{
    ordered_remove_tenant(ordered_of(groups), hash, tenant);
}

struct listener {
    groups_gone_fn *gone;
    void *ctx;
};

static void tell(void *ctx, struct bytes tenant)
{
    const struct listener *listener = ctx;
    listener->gone(listener->ctx, tenant, bytes_of(NULL, 0));
}

void groups_sweep(struct groups *groups, uint32_t generation, groups_gone_fn *gone, void *ctx)
{
    struct listener listener = {.gone = gone, .ctx = ctx};
    ordered_sweep(ordered_of(groups), generation, tell, &listener);
}
