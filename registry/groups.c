// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A tenant's place in the table never moves; what changes is the list it points to. A new list is built beside the old
 * one and published whole. Taking a group out needs no memory: where there is none for a smaller list, its slot in the
 * old list becomes NULL, which readers pass over. A group is wiped when it goes: its key makes all keys of its devices.
 */
#include "registry/groups.h"

#include "registry/glob.h"

#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

struct group {
    struct rcu_head rcu;
    uint32_t generation; /* of the last put; of the writer */
    struct group_record record;
};

struct list {
    struct rcu_head rcu;
    size_t count;
    struct group *groups[];
};

struct place {
    struct rcu_head rcu;
    char tenant[SCHEMA_TENANT_MAX + 1];
    struct list *list; /* published; NULL: none */
    uint32_t changed;  /* generation whose sweep tells; of the writer */
};

static void wipe_and_free(struct group *group)
{
    secret_wipe(&group->record.key);
    free(group);
}

static void free_group(struct rcu_head *head)
{
    wipe_and_free(caa_container_of(head, struct group, rcu));
}

static void free_list(struct rcu_head *head)
{
    free(caa_container_of(head, struct list, rcu));
}

static void free_place(struct rcu_head *head)
{
    free(caa_container_of(head, struct place, rcu));
}

static bool is_place(const void *entry, const void *key)
{
    return bytes_equal_text(*(const struct bytes *)key, ((const struct place *)entry)->tenant);
}

/* Lifecycle. */

bool groups_init(struct groups *groups)
{
    groups->count = 0;
    return table_init(&groups->tenants);
}

void groups_deinit(struct groups *groups)
{
    struct place *place;
    for (size_t cursor = 0; groups->tenants.slots && (place = table_next(&groups->tenants, &cursor));) {
        for (size_t i = 0; place->list && i < place->list->count; i++)
            if (place->list->groups[i])
                wipe_and_free(place->list->groups[i]);
        free(place->list);
        free(place);
    }
    table_deinit(&groups->tenants);
}

size_t groups_count(const struct groups *groups)
{
    return __atomic_load_n(&groups->count, __ATOMIC_RELAXED);
}

static void count_by(struct groups *groups, int step)
{
    __atomic_store_n(&groups->count, groups->count + (size_t)step, __ATOMIC_RELAXED);
}

/* Reading. */

static const struct list *list_of(const struct groups *groups, uint64_t hash, struct bytes tenant)
{
    const struct place *place = table_find(&groups->tenants, hash, is_place, &tenant);
    return place ? __atomic_load_n(&place->list, __ATOMIC_ACQUIRE) : NULL;
}

const struct group_record *groups_find(const struct groups *groups, uint64_t hash, struct bytes tenant, struct bytes id)
{
    const struct list *list = list_of(groups, hash, tenant);
    for (size_t i = 0; list && i < list->count; i++) {
        const struct group *group = __atomic_load_n(&list->groups[i], __ATOMIC_ACQUIRE);
        if (group && bytes_equal_text(id, group->record.id))
            return &group->record;
    }
    return NULL;
}

const struct group_record *groups_match(const struct groups *groups, uint64_t hash, struct bytes tenant,
                                        struct bytes device)
{
    const struct list *list = list_of(groups, hash, tenant);
    for (size_t i = 0; list && i < list->count; i++) {
        const struct group *group = __atomic_load_n(&list->groups[i], __ATOMIC_ACQUIRE);
        if (group && !group->record.disabled && glob_matches(bytes_of_text(group->record.pattern), device))
            return &group->record;
    }
    return NULL;
}

/* Writing. */

static int compare(const void *a, const void *b)
{
    return strcmp((*(struct group *const *)a)->record.id, (*(struct group *const *)b)->record.id);
}

static struct place *take_place(struct groups *groups, uint64_t hash, struct bytes tenant)
{
    struct place *place = table_find(&groups->tenants, hash, is_place, &tenant);
    if (place)
        return place;
    place = table_reserve(&groups->tenants, 1) ? calloc(1, sizeof *place) : NULL;
    if (!place)
        return NULL;
    memcpy(place->tenant, tenant.ptr, tenant.len);
    table_put(&groups->tenants, hash, is_place, &tenant, place);
    return place;
}

static void publish(struct place *place, struct list *list)
{
    struct list *old = place->list;
    __atomic_store_n(&place->list, list, __ATOMIC_RELEASE);
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_list);
}

/* The list without one group (NULL: with all) and with another (NULL: none), sorted. False: out of memory. */
static bool rebuild(struct place *place, const struct group *without, struct group *with)
{
    size_t had = place->list ? place->list->count : 0;
    struct list *list = calloc(1, sizeof *list + (had + 1) * sizeof list->groups[0]);
    if (!list)
        return false;
    for (size_t i = 0; i < had; i++)
        if (place->list->groups[i] && place->list->groups[i] != without)
            list->groups[list->count++] = place->list->groups[i];
    if (with)
        list->groups[list->count++] = with;
    qsort(list->groups, list->count, sizeof list->groups[0], compare);
    if (list->count == 0) {
        free(list);
        list = NULL;
    }
    publish(place, list);
    return true;
}

static struct group *find_group(const struct place *place, struct bytes id)
{
    for (size_t i = 0; place->list && i < place->list->count; i++)
        if (place->list->groups[i] && bytes_equal_text(id, place->list->groups[i]->record.id))
            return place->list->groups[i];
    return NULL;
}

bool groups_put(struct groups *groups, uint64_t hash, const struct group_record *record, uint32_t generation,
                bool tells)
{
    struct place *place = take_place(groups, hash, bytes_of_text(record->tenant));
    if (!place)
        return false;
    struct group *old = find_group(place, bytes_of_text(record->id));
    if (old && memcmp(&old->record, record, sizeof *record) == 0) {
        old->generation = generation;
        return true;
    }
    struct group *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return false;
    memcpy(&fresh->record, record, sizeof *record);
    fresh->generation = generation;
    if (!rebuild(place, old, fresh)) {
        wipe_and_free(fresh);
        return false;
    }
    if (tells && old)
        place->changed = generation;
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_group);
    else
        count_by(groups, 1);
    return true;
}

static void drop(struct groups *groups, struct place *place, struct group *group)
{
    if (!rebuild(place, group, NULL))
        for (size_t i = 0; i < place->list->count; i++)
            if (place->list->groups[i] == group)
                __atomic_store_n(&place->list->groups[i], NULL, __ATOMIC_RELEASE);
    urcu_qsbr_call_rcu(&group->rcu, free_group);
    count_by(groups, -1);
}

void groups_remove(struct groups *groups, uint64_t hash, struct bytes tenant, struct bytes id)
{
    struct place *place = table_find(&groups->tenants, hash, is_place, &tenant);
    struct group *group = place ? find_group(place, id) : NULL;
    if (group)
        drop(groups, place, group);
}

void groups_remove_tenant(struct groups *groups, uint64_t hash, struct bytes tenant)
{
    struct place *place = table_find(&groups->tenants, hash, is_place, &tenant);
    if (!place)
        return;
    struct list *list = place->list;
    for (size_t i = 0; list && i < list->count; i++)
        if (list->groups[i]) {
            urcu_qsbr_call_rcu(&list->groups[i]->rcu, free_group);
            count_by(groups, -1);
        }
    publish(place, NULL);
    table_remove(&groups->tenants, hash, place);
    urcu_qsbr_call_rcu(&place->rcu, free_place);
}

static struct group *find_stale(const struct place *place, uint32_t generation)
{
    for (size_t i = 0; place->list && i < place->list->count; i++)
        if (place->list->groups[i] && place->list->groups[i]->generation != generation)
            return place->list->groups[i];
    return NULL;
}

void groups_sweep(struct groups *groups, uint32_t generation, groups_gone_fn *gone, void *ctx)
{
    struct place *place;
    struct group *group;
    for (size_t cursor = 0; (place = table_next(&groups->tenants, &cursor));) {
        bool lost = place->changed == generation;
        while ((group = find_stale(place, generation))) {
            drop(groups, place, group);
            lost = true;
        }
        if (lost)
            gone(ctx, bytes_of_text(place->tenant), bytes_of(NULL, 0));
    }
}
