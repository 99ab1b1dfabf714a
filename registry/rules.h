// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The rules of all tenants: for each tenant an array sorted by order and id, published by RCU, so that a reader walks
 * one that is whole. Part of registry; nobody above includes it.
 *
 * The caller brings keyed hashes of tenants. Rules are freed after a grace period; a tenant that has had rules keeps
 * its (empty) place until it is removed.
 */
#pragma once

#include "registry/record.h"
#include "registry/table.h"

struct rules {
    struct table tenants;
    size_t count; /* rules of all tenants; written by the writer, read by any */
};

/* False: out of memory. */
bool rules_init(struct rules *rules);
/* No reader may be left, and no grace period under way. */
void rules_deinit(struct rules *rules);

/* Any thread. Which series it is; name in local form if it has one. site: NULL if the device is not known. */
struct rules_question {
    struct bytes device, name;
    char class;
    const char *site;
};
const struct rule_record *rules_find(const struct rules *rules, uint64_t hash, struct bytes tenant,
                                     const struct rules_question *question);
size_t rules_count(const struct rules *rules);

/* Writer. A rule that was put in an older generation than it is swept with goes. False: out of memory. */
bool rules_put(struct rules *rules, uint64_t hash, const struct rule_record *record, uint32_t generation);
void rules_remove(struct rules *rules, uint64_t hash, struct bytes tenant, struct bytes id);
void rules_remove_tenant(struct rules *rules, uint64_t hash, struct bytes tenant);
void rules_sweep(struct rules *rules, uint32_t generation);
