// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The groups of all tenants: for each tenant an array sorted by id, published by RCU, so that a reader walks
 * one that is whole. As registry/rules. Part of registry; nobody above includes it.
 */
#pragma once

#include "registry/record.h"
#include "registry/table.h"

struct groups {
    struct table tenants;
    size_t count; /* groups of all tenants; written by the writer, read by any */
};

/* False: out of memory. */
bool groups_init(struct groups *groups);
/* No reader may be left, and no grace period under way. */
void groups_deinit(struct groups *groups);

/* Any thread; hash: keyed, of the tenant. NULL: none. */
const struct group_record *groups_find(const struct groups *groups, uint64_t hash, struct bytes tenant,
                                       struct bytes id);
/* The first by id that is not disabled and whose pattern the device's id matches. */
const struct group_record *groups_match(const struct groups *groups, uint64_t hash, struct bytes tenant,
                                        struct bytes device);
size_t groups_count(const struct groups *groups);

/* Writer. tells: if it replaces another one, the next sweep tells so. False: out of memory. */
bool groups_put(struct groups *groups, uint64_t hash, const struct group_record *record, uint32_t generation,
                bool tells);
void groups_remove(struct groups *groups, uint64_t hash, struct bytes tenant, struct bytes id);
void groups_remove_tenant(struct groups *groups, uint64_t hash, struct bytes tenant);
/* Takes out those that were put in an older generation, and tells the tenants that lost one or have another one: gone
 * with an empty device. */
typedef void groups_gone_fn(void *ctx, struct bytes tenant, struct bytes device);
void groups_sweep(struct groups *groups, uint32_t generation, groups_gone_fn *gone, void *ctx);
