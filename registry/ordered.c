// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A tenant's place in the table never moves; what changes is the list it points to. A new list is built beside the old
 * one and published whole. Taking a record out needs no memory: where there is none for a smaller list, its slot in the
 * old list becomes NULL, which readers pass over.
 */
#include "registry/ordered.h"

#include "registry/schema.h"

#include <stdlib.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

struct item {
    struct rcu_head rcu;
    const struct ordered_kind *kind; /* for those who have but the item: a grace period, qsort */
    uint32_t generation;             /* of the last put; of the writer */
    _Alignas(max_align_t) unsigned char record[];
};

struct ordered_list {
    struct rcu_head rcu;
    size_t count;
    struct item *items[];
};

struct place {
    struct rcu_head rcu;
    char tenant[SCHEMA_TENANT_MAX + 1];
    struct ordered_list *list; /* published; NULL: none */
    uint32_t changed;          /* generation whose sweep tells; of the writer */
};

static void wipe_and_free(struct item *item)
{
    if (item->kind->wipe)
        item->kind->wipe(item->record);
    free(item);
}

static void free_item(struct rcu_head *head)
{
    wipe_and_free(caa_container_of(head, struct item, rcu));
}

static void free_list(struct rcu_head *head)
{
    free(caa_container_of(head, struct ordered_list, rcu));
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

bool ordered_init(struct ordered ordered)
{
    *ordered.count = 0;
    return table_init(ordered.tenants);
}

void ordered_deinit(struct ordered ordered)
{
    struct place *place;
    for (size_t cursor = 0; ordered.tenants->slots && (place = table_next(ordered.tenants, &cursor));) {
        for (size_t i = 0; place->list && i < place->list->count; i++)
            if (place->list->items[i])
                wipe_and_free(place->list->items[i]);
        free(place->list);
        free(place);
    }
    table_deinit(ordered.tenants);
}

static void count_by(struct ordered ordered, int step)
{
    __atomic_store_n(ordered.count, *ordered.count + (size_t)step, __ATOMIC_RELAXED);
}

/* Reading. */

size_t ordered_count(const size_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

const struct ordered_list *ordered_list(const struct table *tenants, uint64_t hash, struct bytes tenant)
{
    const struct place *place = table_find(tenants, hash, is_place, &tenant);
    return place ? __atomic_load_n(&place->list, __ATOMIC_ACQUIRE) : NULL;
}

const void *ordered_first(const struct ordered_list *list, ordered_match_fn *match, const void *ctx)
{
    for (size_t i = 0; list && i < list->count; i++) {
        const struct item *item = __atomic_load_n(&list->items[i], __ATOMIC_ACQUIRE);
        if (item && match(ctx, item->record))
            return item->record;
    }
    return NULL;
}

/* Writing. */

static struct bytes text_at(const void *record, size_t offset)
{
    return bytes_of_text((const char *)record + offset);
}

static int compare(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    return x->kind->compare(x->record, y->record);
}

static struct place *take_place(struct table *tenants, uint64_t hash, struct bytes tenant)
{
    struct place *place = table_find(tenants, hash, is_place, &tenant);
    if (place)
        return place;
    place = table_reserve(tenants, 1) ? calloc(1, sizeof *place) : NULL;
    if (!place)
        return NULL;
    memcpy(place->tenant, tenant.ptr, tenant.len);
    table_put(tenants, hash, is_place, &tenant, place);
    return place;
}

static void publish(struct place *place, struct ordered_list *list)
{
    struct ordered_list *old = place->list;
    __atomic_store_n(&place->list, list, __ATOMIC_RELEASE);
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_list);
}

/* The list without one item (NULL: with all) and with another (NULL: none), sorted. False: out of memory. */
static bool rebuild(struct place *place, const struct item *without, struct item *with)
{
    size_t had = place->list ? place->list->count : 0;
    struct ordered_list *list = calloc(1, sizeof *list + (had + 1) * sizeof list->items[0]);
    if (!list)
        return false;
    for (size_t i = 0; i < had; i++)
        if (place->list->items[i] && place->list->items[i] != without)
            list->items[list->count++] = place->list->items[i];
    if (with)
        list->items[list->count++] = with;
    qsort(list->items, list->count, sizeof list->items[0], compare);
    if (list->count == 0) {
        free(list);
        list = NULL;
    }
    publish(place, list);
    return true;
}

static struct item *find_item(const struct place *place, struct bytes id)
{
    for (size_t i = 0; place->list && i < place->list->count; i++) {
        struct item *item = place->list->items[i];
        if (item && bytes_equal(id, text_at(item->record, item->kind->id_at)))
            return item;
    }
    return NULL;
}

static struct item *item_new(const struct ordered_kind *kind, const void *record, uint32_t generation)
{
    struct item *item = calloc(1, sizeof *item + kind->size);
    if (!item)
        return NULL;
    item->kind = kind;
    item->generation = generation;
    memcpy(item->record, record, kind->size);
    return item;
}

bool ordered_put(struct ordered ordered, uint64_t hash, const void *record, uint32_t generation, bool tells)
{
    const struct ordered_kind *kind = ordered.kind;
    struct place *place = take_place(ordered.tenants, hash, text_at(record, kind->tenant_at));
    if (!place)
        return false;
    struct item *old = find_item(place, text_at(record, kind->id_at));
    if (old && memcmp(old->record, record, kind->size) == 0) {
        old->generation = generation;
        return true;
    }
    struct item *fresh = item_new(kind, record, generation);
    if (!fresh)
        return false;
    if (!rebuild(place, old, fresh)) {
        wipe_and_free(fresh);
        return false;
    }
    if (tells && old)
        place->changed = generation;
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_item);
    else
        count_by(ordered, 1);
    return true;
}

static void drop(struct ordered ordered, struct place *place, struct item *item)
{
    if (!rebuild(place, item, NULL))
        for (size_t i = 0; i < place->list->count; i++)
            if (place->list->items[i] == item)
                __atomic_store_n(&place->list->items[i], NULL, __ATOMIC_RELEASE);
    urcu_qsbr_call_rcu(&item->rcu, free_item);
    count_by(ordered, -1);
}

void ordered_remove(struct ordered ordered, uint64_t hash, struct bytes tenant, struct bytes id)
{
    struct place *place = table_find(ordered.tenants, hash, is_place, &tenant);
    struct item *item = place ? find_item(place, id) : NULL;
    if (item)
        drop(ordered, place, item);
}

void ordered_remove_tenant(struct ordered ordered, uint64_t hash, struct bytes tenant)
{
    struct place *place = table_find(ordered.tenants, hash, is_place, &tenant);
    if (!place)
        return;
    struct ordered_list *list = place->list;
    for (size_t i = 0; list && i < list->count; i++)
        if (list->items[i]) {
            urcu_qsbr_call_rcu(&list->items[i]->rcu, free_item);
            count_by(ordered, -1);
        }
    publish(place, NULL);
    table_remove(ordered.tenants, hash, place);
    urcu_qsbr_call_rcu(&place->rcu, free_place);
}

static struct item *find_stale(const struct place *place, uint32_t generation)
{
    for (size_t i = 0; place->list && i < place->list->count; i++)
        if (place->list->items[i] && place->list->items[i]->generation != generation)
            return place->list->items[i];
    return NULL;
}

void ordered_sweep(struct ordered ordered, uint32_t generation, ordered_told_fn *told, void *ctx)
{
    struct place *place;
    struct item *item;
    for (size_t cursor = 0; (place = table_next(ordered.tenants, &cursor));) {
        bool lost = place->changed == generation;
        while ((item = find_stale(place, generation))) {
            drop(ordered, place, item);
            lost = true;
        }
        if (lost && told)
            told(ctx, bytes_of_text(place->tenant));
    }
}
