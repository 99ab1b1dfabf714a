// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by registry: rules_find for every record of a message, the rest by its one writer. Which rule matches is
 * decided here; lists and their publishing are registry/ordered.
 */
#include "registry/rules.h"

#include "registry/glob.h"
#include "registry/ordered.h"

/* A longer name is matched by no pattern but * alone, so that a peer cannot make the walk over the rules long. */
#define NAME_MATCHED_MAX 256

static int compare(const void *record, const void *other)
{
    const struct rule_record *x = record, *y = other;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->id, y->id);
}

static const struct ordered_kind kind = {
    .size = sizeof(struct rule_record),
    .tenant_at = offsetof(struct rule_record, tenant),
    .id_at = offsetof(struct rule_record, id),
    .compare = compare,
};

static struct ordered ordered_of(struct rules *rules)
{
    return (struct ordered){.kind = &kind, .tenants = &rules->tenants, .count = &rules->count};
}

bool rules_init(struct rules *rules)
{
    return ordered_init(ordered_of(rules));
}

void rules_deinit(struct rules *rules)
{
    ordered_deinit(ordered_of(rules));
}

/* Reading. */

size_t rules_count(const struct rules *rules)
{
    return ordered_count(&rules->count);
}

static bool is_global(struct bytes name)
{
    return name.len > 0 && (memchr(name.ptr, ':', name.len) || memchr(name.ptr, '/', name.len));
}

/* What is asked, with the two forms of the name, made once for all rules. */
struct series {
    const struct rules_question *question;
    struct bytes local, full;
    char text[SCHEMA_DEVICE_MAX + 1 + NAME_MATCHED_MAX];
};

static void make_series(const struct rules_question *question, struct series *ret)
{
    ret->question = question;
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

static bool name_matches(const char *pattern_text, const struct series *series)
{
    struct bytes pattern = bytes_of_text(pattern_text);
    if (pattern.len == 0 || bytes_equal_text(pattern, "*"))
        return true;
    if (series->local.len > NAME_MATCHED_MAX)
        return false;
    return glob_matches(pattern, is_global(pattern) ? series->full : series->local);
}

static bool matches(const void *ctx, const void *record)
{
    const struct series *series = ctx;
    const struct rules_question *question = series->question;
    const struct rule_record *rule = record;
    if (rule->class[0] && !strchr(rule->class, question->class))
        return false;
    if (rule->device[0] && !glob_matches(bytes_of_text(rule->device), question->device))
        return false;
    if (rule->site[0] && (!question->site || strcmp(rule->site, question->site) != 0))
        return false;
    return name_matches(rule->name, series);
}

const struct rule_record *rules_find(const struct rules *rules, uint64_t hash, struct bytes tenant,
                                     const struct rules_question *question)
{
    const struct ordered_list *list = ordered_list(&rules->tenants, hash, tenant);
    if (!list)
        return NULL;
    struct series series;
    make_series(question, &series);
    return ordered_first(list, matches, &series);
}

/* Writing. */

bool rules_put(struct rules *rules, uint64_t hash, const struct rule_record *record, uint32_t generation)
{
    return ordered_put(ordered_of(rules), hash, record, generation, false);
}

void rules_remove(struct rules *rules, uint64_t hash, struct bytes tenant, struct bytes id)
{
    ordered_remove(ordered_of(rules), hash, tenant, id);
}

void rules_remove_tenant(struct rules *rules, uint64_t hash, struct bytes tenant)
{
    ordered_remove_tenant(ordered_of(rules), hash, tenant);
}

void rules_sweep(struct rules *rules, uint32_t generation)
{
    ordered_sweep(ordered_of(rules), generation, NULL, NULL);
}
