// SPDX-License-Identifier: GPL-3.0-or-later
/* Which rule decides, in which order; that rules come, change and go whole under readers; streams and resync. */
#include "registry/registry.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

static const struct hash_key hash_key = {1, 2};

static struct rule_record rule(const char *id, uint32_t order, const char *stream)
{
    struct rule_record record = {.tenant = "acme", .order = order};
    snprintf(record.id, sizeof record.id, "%s", id);
    snprintf(record.stream, sizeof record.stream, "%s", stream);
    return record;
}

static void put(struct registry *registry, struct rule_record record)
{
    cr_assert(registry_put_rule(registry, &record));
}

static const char *route_in(const struct registry *registry, const char *tenant, const char *device, const char *name,
                            char class)
{
    struct registry_series series = {bytes_of_text(tenant), bytes_of_text(device), bytes_of_text(name), class};
    const struct rule_record *found = registry_route(registry, &series);
    return found ? found->id : "none";
}

static const char *route(const struct registry *registry, const char *device, const char *name)
{
    return route_in(registry, "acme", device, name, 't');
}

Test(rules, without_rules_nothing_is_routed)
{
    struct registry *registry = registry_new(&hash_key);
    cr_expect_str_eq(route(registry, "boiler-7", "temp"), "none");
    put(registry, rule("all", 1, "x"));
    cr_expect_str_eq(route_in(registry, "other", "boiler-7", "temp", 't'), "none");
    cr_expect_str_eq(route(registry, "boiler-7", "temp"), "all");
    registry_remove_rule(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("all"));
    cr_expect_str_eq(route(registry, "boiler-7", "temp"), "none");
    cr_expect_eq(registry_count(registry).rules, 0);
    registry_free(registry);
}

Test(rules, first_by_order_then_id_decides)
{
    struct registry *registry = registry_new(&hash_key);
    put(registry, rule("b", 5, "x"));
    put(registry, rule("a", 5, "x"));
    put(registry, rule("late", 10, "x"));
    cr_expect_str_eq(route(registry, "d", "n"), "a");
    struct rule_record early = rule("late", 1, "x");
    put(registry, early);
    cr_expect_str_eq(route(registry, "d", "n"), "late");
    strcpy(early.device, "other*");
    put(registry, early);
    cr_expect_str_eq(route(registry, "d", "n"), "a");
    cr_expect_str_eq(route(registry, "other-1", "n"), "late");
    cr_expect_eq(registry_count(registry).rules, 3);
    registry_free(registry);
}

Test(rules, all_conditions_must_hold)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record device = {.tenant = "acme", .id = "boiler-7", .site = "north"};
    struct rule_record record = rule("r", 1, "x");
    cr_assert(registry_put_device(registry, &device));
    strcpy(record.device, "boiler-*");
    strcpy(record.site, "north");
    strcpy(record.name, "temp*");
    strcpy(record.class, "ta");
    put(registry, record);
    cr_expect_str_eq(route_in(registry, "acme", "boiler-7", "temp", 't'), "r");
    cr_expect_str_eq(route_in(registry, "acme", "boiler-7", "temp2", 'a'), "r");
    cr_expect_str_eq(route_in(registry, "acme", "boiler-7", "temp", 'e'), "none");
    cr_expect_str_eq(route_in(registry, "acme", "boiler-7", "hum", 't'), "none");
    cr_expect_str_eq(route_in(registry, "acme", "boiler-8", "temp", 't'), "none", "unknown: no site");
    strcpy(device.site, "south");
    cr_assert(registry_put_device(registry, &device));
    cr_expect_str_eq(route_in(registry, "acme", "boiler-7", "temp", 't'), "none");
    registry_free(registry);
}

Test(rules, a_pattern_with_a_colon_means_the_full_name)
{
    struct registry *registry = registry_new(&hash_key);
    struct rule_record local = rule("local", 2, "x"), full = rule("full", 1, "x");
    strcpy(local.name, "temp*");
    strcpy(full.name, "boiler-*:temp");
    put(registry, local);
    put(registry, full);
    cr_expect_str_eq(route(registry, "boiler-7", "temp"), "full");
    cr_expect_str_eq(route(registry, "pump-1", "temp"), "local");
    cr_expect_str_eq(route(registry, "pump-1", "boiler-9:temp"), "full", "a name that is global already");
    cr_expect_str_eq(route(registry, "pump-1", "pump-1/temp"), "none");
    registry_free(registry);
}

Test(rules, long_names_match_only_any)
{
    struct registry *registry = registry_new(&hash_key);
    struct rule_record record = rule("r", 1, "x");
    char name[400];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    strcpy(record.name, "a*");
    put(registry, record);
    cr_expect_str_eq(route(registry, "d", name), "none");
    name[256] = '\0';
    cr_expect_str_eq(route(registry, "d", name), "r");
    strcpy(record.name, "*");
    put(registry, record);
    name[256] = 'a';
    cr_expect_str_eq(route(registry, "d", name), "r");
    registry_free(registry);
}

static void ignore_gone(void *ctx, struct bytes tenant, struct bytes device)
{
    (void)ctx;
    (void)tenant;
    (void)device;
}

static void put_stream(struct registry *registry, const char *name)
{
    struct stream_record record = {.tenant = "acme", .max_entries = 7, .groups = "*"};
    snprintf(record.name, sizeof record.name, "%s", name);
    cr_assert(registry_put_stream(registry, &record));
}

Test(rules, resync_removes_what_was_not_put)
{
    struct registry *registry = registry_new(&hash_key);
    put(registry, rule("stays", 2, "x"));
    put(registry, rule("goes", 1, "x"));
    put_stream(registry, "stays");
    put_stream(registry, "goes");
    registry_resync_begin(registry);
    put(registry, rule("stays", 2, "x"));
    put_stream(registry, "stays");
    registry_resync_end(registry, ignore_gone, NULL);
    cr_expect_str_eq(route(registry, "d", "n"), "stays");
    cr_expect_eq(registry_count(registry).rules, 1);
    cr_expect_eq(registry_count(registry).streams, 1);
    size_t cursor = 0;
    const struct stream_record *stream = registry_next_stream(registry, &cursor);
    cr_assert_not_null(stream);
    cr_expect_str_eq(stream->name, "stays");
    cr_expect_null(registry_next_stream(registry, &cursor));
    registry_free(registry);
}

Test(rules, a_removed_tenant_takes_them_along)
{
    struct registry *registry = registry_new(&hash_key);
    struct tenant_record tenant = {.id = "acme"};
    cr_assert(registry_put_tenant(registry, &tenant));
    put(registry, rule("r", 1, "x"));
    put_stream(registry, "x");
    registry_remove_tenant(registry, BYTES_LITERAL("acme"));
    cr_expect_str_eq(route(registry, "d", "n"), "none");
    cr_expect_eq(registry_count(registry).rules, 0);
    cr_expect_eq(registry_count(registry).streams, 0);
    put(registry, rule("again", 1, "x"));
    cr_expect_str_eq(route(registry, "d", "n"), "again");
    registry_free(registry);
}

/* Readers see rules that are whole: the id of a rule is in its stream and its tag. */

struct reading {
    struct registry *registry;
    bool stop;
    size_t broken;
};

static void *read_rules(void *ctx)
{
    struct reading *reading = ctx;
    struct registry_series series = {BYTES_LITERAL("acme"), BYTES_LITERAL("d"), BYTES_LITERAL("n"), 't'};
    registry_thread_start();
    while (!__atomic_load_n(&reading->stop, __ATOMIC_RELAXED)) {
        const struct rule_record *found = registry_route(reading->registry, &series);
        /* "last" never goes, so there is always one. */
        if (!found || strcmp(found->id, found->stream) != 0 || strcmp(found->id, found->tags[0].value) != 0)
            reading->broken++;
        registry_quiescent();
    }
    registry_thread_stop();
    return NULL;
}

static struct rule_record whole(unsigned number, uint32_t order)
{
    char id[SCHEMA_RULE_MAX + 1];
    snprintf(id, sizeof id, "r%u", number);
    struct rule_record record = rule(id, order, id);
    record.tag_count = 1;
    strcpy(record.tags[0].name, "id");
    snprintf(record.tags[0].value, sizeof record.tags[0].value, "%s", id);
    return record;
}

Test(rules, readers_see_whole_lists, .timeout = 60)
{
    struct registry *registry = registry_new(&hash_key);
    struct reading reading = {.registry = registry};
    pthread_t threads[2];
    put(registry, whole(9999, 1000000));
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, read_rules, &reading);
    for (unsigned i = 0; i < 3000; i++) {
        char id[16];
        put(registry, whole(i % 20, i % 7));
        snprintf(id, sizeof id, "r%u", (i + 10) % 20);
        registry_remove_rule(registry, BYTES_LITERAL("acme"), bytes_of_text(id));
        registry_quiescent();
    }
    __atomic_store_n(&reading.stop, true, __ATOMIC_RELAXED);
    registry_offline();
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    registry_online();
    cr_expect_eq(reading.broken, 0);
    registry_free(registry);
}
