// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records of all tenants of which each tenant has few and the order decides: for each tenant an array sorted as the
 * kind says, published by RCU, so that a reader walks one that is whole. Under registry/rules and registry/groups; part
 * of registry, nobody above includes it.
 *
 * The caller brings keyed hashes of tenants. Records are copied in, and freed after a grace period; a tenant that has
 * had some keeps its (empty) place until it is removed. One writer; readers as in registry/table.
 */
#pragma once

#include "codec/bytes.h"
#include "registry/table.h"

/* What the records are: plain data, equal if all octets are. Static: each record points to it. */
struct ordered_kind {
    size_t size;
    size_t tenant_at, id_at;                               /* offsets of texts; the tenant to SCHEMA_TENANT_MAX */
    int (*compare)(const void *record, const void *other); /* as strcmp; 0 only for the same id */
    void (*wipe)(void *record);                            /* before it is freed; NULL: holds no secret */
};

/* Where its user keeps them; made for each call. */
struct ordered {
    const struct ordered_kind *kind;
    struct table *tenants;
    size_t *count; /* records of all tenants; written by the writer, read by any */
};

/* False: out of memory. */
bool ordered_init(struct ordered ordered);
/* No reader may be left, and no grace period under way. After a failed init it is fine. */
void ordered_deinit(struct ordered ordered);

/* Any thread; what is returned is valid until its next quiescent state. */
struct ordered_list;
size_t ordered_count(const size_t *count);
/* The tenant's records. NULL: none. */
const struct ordered_list *ordered_list(const struct table *tenants, uint64_t hash, struct bytes tenant);
/* The first record of the list (NULL: empty) that matches, or NULL. */
typedef bool ordered_match_fn(const void *ctx, const void *record);
const void *ordered_first(const struct ordered_list *list, ordered_match_fn *match, const void *ctx);

/* Writer. Adds the record or replaces the one with its id. tells: if it replaces another one, the sweep of this
 * generation tells so. False: out of memory, what was there is still there. */
bool ordered_put(struct ordered ordered, uint64_t hash, const void *record, uint32_t generation, bool tells);
/* Writer. These need no memory. */
void ordered_remove(struct ordered ordered, uint64_t hash, struct bytes tenant, struct bytes id);
void ordered_remove_tenant(struct ordered ordered, uint64_t hash, struct bytes tenant);
/* Takes out those that were put in another generation, and tells the tenants that lost one or have another one. told:
 * may be NULL. */
typedef void ordered_told_fn(void *ctx, struct bytes tenant);
void ordered_sweep(struct ordered ordered, uint32_t generation, ordered_told_fn *told, void *ctx);
