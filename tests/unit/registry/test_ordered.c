// SPDX-License-Identifier: GPL-3.0-or-later
/* What rules and groups lean on: order, replacing, whom a sweep tells, and that no secret outlives its record. */
#include "registry/ordered.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <urcu/urcu-qsbr.h>

struct toy {
    char tenant[8], id[8];
    int rank;
};

static size_t wiped;
static char told[64];

static int by_rank(const void *record, const void *other)
{
    const struct toy *x = record, *y = other;
    return x->rank != y->rank ? x->rank - y->rank : strcmp(x->id, y->id);
}

static void wipe(void *record)
{
    ((struct toy *)record)->rank = 0;
    wiped++;
}

static const struct ordered_kind kind = {
    .size = sizeof(struct toy),
    .tenant_at = offsetof(struct toy, tenant),
    .id_at = offsetof(struct toy, id),
    .compare = by_rank,
    .wipe = wipe,
};

static struct table tenants;
static size_t count;
static const struct ordered toys = {.kind = &kind, .tenants = &tenants, .count = &count};

/* All tenants have one hash, so that only their names tell them apart. */
static void put(const char *tenant, const char *id, int rank, uint32_t generation, bool tells)
{
    struct toy toy = {.rank = rank};
    snprintf(toy.tenant, sizeof toy.tenant, "%s", tenant);
    snprintf(toy.id, sizeof toy.id, "%s", id);
    cr_assert(ordered_put(toys, 7, &toy, generation, tells));
}

static bool append_id(const void *ctx, const void *record)
{
    strcat(*(char *const *)ctx, ((const struct toy *)record)->id);
    return false;
}

static const char *ids(const char *tenant)
{
    static char text[64];
    char *at = text;
    text[0] = '\0';
    cr_assert_null(ordered_first(ordered_list(&tenants, 7, bytes_of_text(tenant)), append_id, &at));
    return text;
}

static void note(void *ctx, struct bytes tenant)
{
    (void)ctx;
    strncat(told, (const char *)tenant.ptr, tenant.len);
}

static void start(void)
{
    cr_assert(ordered_init(toys));
}

static void stop(void)
{
    urcu_qsbr_barrier();
    ordered_deinit(toys);
}

TestSuite(ordered, .init = start, .fini = stop);

Test(ordered, each_tenant_has_its_own_in_order)
{
    put("a", "y", 2, 0, false);
    put("a", "z", 1, 0, false);
    put("b", "w", 0, 0, false);
    put("a", "x", 2, 0, false);
    cr_expect_str_eq(ids("a"), "zxy");
    cr_expect_str_eq(ids("b"), "w");
    cr_expect_str_eq(ids("c"), "");
    put("a", "z", 3, 0, false);
    cr_expect_str_eq(ids("a"), "xyz");
    cr_expect_eq(ordered_count(&count), 4);
    ordered_remove(toys, 7, BYTES_LITERAL("a"), BYTES_LITERAL("w"));
    ordered_remove(toys, 7, BYTES_LITERAL("a"), BYTES_LITERAL("y"));
    cr_expect_str_eq(ids("a"), "xz");
    ordered_remove_tenant(toys, 7, BYTES_LITERAL("a"));
    cr_expect_str_eq(ids("a"), "");
    cr_expect_str_eq(ids("b"), "w");
    cr_expect_eq(ordered_count(&count), 1);
}

Test(ordered, sweep_tells_who_lost_one_or_has_another)
{
    put("lost", "x", 1, 1, true);
    put("other", "x", 1, 1, true);
    put("quiet", "x", 1, 1, true);
    put("same", "x", 1, 1, true);
    put("other", "x", 2, 2, true);
    put("quiet", "x", 2, 2, false);
    put("same", "x", 1, 2, true);
    put("new", "x", 1, 2, true);
    ordered_sweep(toys, 2, note, NULL);
    cr_expect(strcmp(told, "lostother") == 0 || strcmp(told, "otherlost") == 0, "%s", told);
    cr_expect_eq(ordered_count(&count), 4);
    cr_expect_str_eq(ids("lost"), "");
    ordered_sweep(toys, 3, NULL, NULL);
    cr_expect_eq(ordered_count(&count), 0);
}

Test(ordered, every_copy_is_wiped_once)
{
    put("a", "x", 1, 0, false);
    put("a", "x", 1, 0, false);
    urcu_qsbr_barrier();
    cr_expect_eq(wiped, 0);
    put("a", "x", 2, 0, false);
    put("a", "y", 2, 0, false);
    put("b", "x", 2, 0, false);
    ordered_remove(toys, 7, BYTES_LITERAL("a"), BYTES_LITERAL("y"));
    ordered_remove_tenant(toys, 7, BYTES_LITERAL("b"));
    urcu_qsbr_barrier();
    cr_expect_eq(wiped, 3);
    ordered_deinit(toys);
    cr_expect_eq(wiped, 4);
}
