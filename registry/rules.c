// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by registry: rules_find for every record of a message, the rest by its one writer.
 *
 * A tenant's place in the table never moves; what changes is the list it points to. A new list is built beside the old
 * one and published whole. Taking a rule out needs no memory: where there is none for a smaller list, the rule's slot
 * in the old list becomes NULL, which readers pass over.
 */
#include "registry/rules.h"

#include "registry/glob.h"

#include <stdlib.h>
#include <urcu/urcu-qsbr.h>

/* A longer name is matched by no pattern but * alone, so that a peer cannot make the walk over the rules long. */
#define NAME_MATCHED_MAX 256

struct rule {
    struct rcu_head rcu;
    uint32_t generation; /* of the last put; of the writer */
    struct rule_record record;
};

struct list {
    struct rcu_head rcu;
    size_t count;
    struct rule *rules[];
};

struct place {
    struct rcu_head rcu;
    char tenant[SCHEMA_TENANT_MAX + 1];
    struct list *list; /* published; NULL: no rules */
};

static void free_rule(struct rcu_head *head)
{
    free(caa_container_of(head, struct rule, rcu));
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

bool rules_init(struct rules *rules)
{
    rules->count = 0;
    return table_init(&rules->tenants);
}

void rules_deinit(struct rules *rules)
{
    struct place *place;
    for (size_t cursor = 0; rules->tenants.slots && (place = table_next(&rules->tenants, &cursor));) {
        for (size_t i = 0; place->list && i < place->list->count; i++)
            free(place->list->rules[i]);
        free(place->list);
        free(place);
    }
    table_deinit(&rules->tenants);
}

size_t rules_count(const struct rules *rules)
{
    return __atomic_load_n(&rules->count, __ATOMIC_RELAXED);
}

static void count_by(struct rules *rules, int step)
{
    __atomic_store_n(&rules->count, rules->count + (size_t)step, __ATOMIC_RELAXED);
}

/* Reading. */

static bool is_global(struct bytes name)
{
    return name.len > 0 && (memchr(name.ptr, ':', name.len) || memchr(name.ptr, '/', name.len));
}

/* The two forms of a name, made once for all rules. */
struct forms {
    struct bytes local, full;
    char text[SCHEMA_DEVICE_MAX + 1 + NAME_MATCHED_MAX];
};

static void make_forms(const struct rules_question *question, struct forms *ret)
{
    struct bytes device = question->device;
    ret->local = ret->full = question->name;
    if (is_global(question->name) || question->name.len > NAME_MATCHED_MAX || device.len > SCHEMA_DEVICE_MAX ||
        question->name.len == 0)
        return;
    memcpy(ret->text, device.ptr, device.len);
    ret->text[device.len] = ':';
    memcpy(ret->text + device.len + 1, question->name.ptr, question->name.len);
    ret->full = bytes_of(ret->text, device.len + 1 + question->name.len);
}

static bool name_matches(const char *pattern_text, const struct forms *forms)
{
    struct bytes pattern = bytes_of_text(pattern_text);
    if (pattern.len == 0 || bytes_equal_text(pattern, "*"))
        return true;
    if (forms->local.len > NAME_MATCHED_MAX)
        return false;
    return glob_matches(pattern, is_global(pattern) ? forms->full : forms->local);
}

static bool matches(const struct rule_record *rule, const struct rules_question *question, const struct forms *forms)
{
    if (rule->class[0] && !strchr(rule->class, question->class))
        return false;
    if (rule->device[0] && !glob_matches(bytes_of_text(rule->device), question->device))
        return false;
    if (rule->site[0] && (!question->site || strcmp(rule->site, question->site) != 0))
        return false;
    return name_matches(rule->name, forms);
}

const struct rule_record *rules_find(const struct rules *rules, uint64_t hash, struct bytes tenant,
                                     const struct rules_question *question)
{
    const struct place *place = table_find(&rules->tenants, hash, is_place, &tenant);
    const struct list *list = place ? __atomic_load_n(&place->list, __ATOMIC_ACQUIRE) : NULL;
    if (!list)
        return NULL;
    struct forms forms;
    make_forms(question, &forms);
    for (size_t i = 0; i < list->count; i++) {
        const struct rule *rule = __atomic_load_n(&list->rules[i], __ATOMIC_ACQUIRE);
        if (rule && matches(&rule->record, question, &forms))
            return &rule->record;
    }
    return NULL;
}

/* Writing. */

static int compare(const void *a, const void *b)
{
    const struct rule_record *x = &(*(struct rule *const *)a)->record, *y = &(*(struct rule *const *)b)->record;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->id, y->id);
}

static struct place *take_place(struct rules *rules, uint64_t hash, struct bytes tenant)
{
    struct place *place = table_find(&rules->tenants, hash, is_place, &tenant);
    if (place)
        return place;
    place = table_reserve(&rules->tenants, 1) ? calloc(1, sizeof *place) : NULL;
    if (!place)
        return NULL;
    memcpy(place->tenant, tenant.ptr, tenant.len);
    table_put(&rules->tenants, hash, is_place, &tenant, place);
    return place;
}

static void publish(struct place *place, struct list *list)
{
    struct list *old = place->list;
    __atomic_store_n(&place->list, list, __ATOMIC_RELEASE);
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_list);
}

/* The list without one rule (NULL: with all) and with another (NULL: none), sorted. False: out of memory. */
static bool rebuild(struct place *place, const struct rule *without, struct rule *with)
{
    size_t had = place->list ? place->list->count : 0;
    struct list *list = calloc(1, sizeof *list + (had + 1) * sizeof list->rules[0]);
    if (!list)
        return false;
    for (size_t i = 0; i < had; i++)
        if (place->list->rules[i] && place->list->rules[i] != without)
            list->rules[list->count++] = place->list->rules[i];
    if (with)
        list->rules[list->count++] = with;
    qsort(list->rules, list->count, sizeof list->rules[0], compare);
    if (list->count == 0) {
        free(list);
        list = NULL;
    }
    publish(place, list);
    return true;
}

static struct rule *find_rule(const struct place *place, struct bytes id)
{
    for (size_t i = 0; place->list && i < place->list->count; i++)
        if (place->list->rules[i] && bytes_equal_text(id, place->list->rules[i]->record.id))
            return place->list->rules[i];
    return NULL;
}

bool rules_put(struct rules *rules, uint64_t hash, const struct rule_record *record, uint32_t generation)
{
    struct place *place = take_place(rules, hash, bytes_of_text(record->tenant));
    if (!place)
        return false;
    struct rule *old = find_rule(place, bytes_of_text(record->id));
    if (old && memcmp(&old->record, record, sizeof *record) == 0) {
        old->generation = generation;
        return true;
    }
    struct rule *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return false;
    memcpy(&fresh->record, record, sizeof *record);
    fresh->generation = generation;
    if (!rebuild(place, old, fresh)) {
        free(fresh);
        return false;
    }
    if (old)
        urcu_qsbr_call_rcu(&old->rcu, free_rule);
    else
        count_by(rules, 1);
    return true;
}

static void drop(struct rules *rules, struct place *place, struct rule *rule)
{
    if (!rebuild(place, rule, NULL))
        for (size_t i = 0; i < place->list->count; i++)
            if (place->list->rules[i] == rule)
                __atomic_store_n(&place->list->rules[i], NULL, __ATOMIC_RELEASE);
    urcu_qsbr_call_rcu(&rule->rcu, free_rule);
    count_by(rules, -1);
}

void rules_remove(struct rules *rules, uint64_t hash, struct bytes tenant, struct bytes id)
{
    struct place *place = table_find(&rules->tenants, hash, is_place, &tenant);
    struct rule *rule = place ? find_rule(place, id) : NULL;
    if (rule)
        drop(rules, place, rule);
}

void rules_remove_tenant(struct rules *rules, uint64_t hash, struct bytes tenant)
{
    struct place *place = table_find(&rules->tenants, hash, is_place, &tenant);
    if (!place)
        return;
    struct list *list = place->list;
    for (size_t i = 0; list && i < list->count; i++)
        if (list->rules[i]) {
            urcu_qsbr_call_rcu(&list->rules[i]->rcu, free_rule);
            count_by(rules, -1);
        }
    publish(place, NULL);
    table_remove(&rules->tenants, hash, place);
    urcu_qsbr_call_rcu(&place->rcu, free_place);
}

static struct rule *find_stale(const struct place *place, uint32_t generation)
{
    for (size_t i = 0; place->list && i < place->list->count; i++)
        if (place->list->rules[i] && place->list->rules[i]->generation != generation)
            return place->list->rules[i];
    return NULL;
}

void rules_sweep(struct rules *rules, uint32_t generation)
{
    struct place *place;
    struct rule *rule;
    for (size_t cursor = 0; (place = table_next(&rules->tenants, &cursor));)
        while ((rule = find_stale(place, generation)))
            drop(rules, place, rule);
}
