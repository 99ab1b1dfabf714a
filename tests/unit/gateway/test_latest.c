// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/latest.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct hash_key key = {7, 11};

static void put(struct latest *latest, const char *device, const char *name, int64_t t, const char *value)
{
    struct observation o = {.name = bytes_of_text(name), .time = {t, 0}, .time_source = TIME_DEVICE,
                            .kind = VALUE_TEXT, .data = bytes_of_text(value), .unit = BYTES_LITERAL("u")};
    cr_assert(latest_put(latest, BYTES_LITERAL("acme"), bytes_of_text(device), &o, o.time));
}

static size_t get(struct latest *latest, const char *tenant, const char *device, const char *name, size_t limit,
                  struct arena *arena, struct latest_value **ret)
{
    size_t count = 0;
    latest_get(latest, bytes_of_text(tenant), bytes_of_text(device), bytes_of_text(name), limit, arena, ret, &count);
    return count;
}

Test(latest, newest_by_time_wins_and_the_later_of_equals)
{
    struct latest *latest = latest_new(&key, 1000);
    struct arena *arena = arena_new(65536);
    struct latest_value *values;
    put(latest, "d", "t", 100, "first");
    put(latest, "d", "t", 99, "older");
    cr_assert_eq(get(latest, "acme", "d", "", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "first"));
    put(latest, "d", "t", 100, "a much longer value than there was room for before");
    cr_assert_eq(get(latest, "acme", "d", "t", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "a much longer value than there was room for before"));
    cr_expect(bytes_equal_text(values[0].observation.unit, "u"));
    cr_expect(bytes_equal_text(values[0].device, "d"));
    arena_free(arena);
    latest_free(latest);
}

Test(latest, a_time_that_was_never_gives_way)
{
    struct latest *latest = latest_new(&key, 1000);
    struct arena *arena = arena_new(65536);
    struct latest_value *values;
    put(latest, "d", "t", 200000, "of a clock that was set back");
    put(latest, "d", "t", 200000 - LATEST_AHEAD_MAX_S, "not newer, for all that is known");
    cr_assert_eq(get(latest, "acme", "d", "t", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "of a clock that was set back"));
    put(latest, "d", "t", 200000 - LATEST_AHEAD_MAX_S - 1, "now");
    cr_assert_eq(get(latest, "acme", "d", "t", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "now"));
    arena_free(arena);
    latest_free(latest);
}

Test(latest, tenants_and_devices_do_not_mix)
{
    struct latest *latest = latest_new(&key, 1000);
    struct arena *arena = arena_new(65536);
    struct latest_value *values;
    put(latest, "d1", "t", 1, "x");
    put(latest, "d1", "h", 1, "y");
    put(latest, "d2", "t", 1, "z");
    cr_expect_eq(get(latest, "acme", "d1", "", 10, arena, &values), 2);
    cr_expect_eq(get(latest, "acme", "", "", 10, arena, &values), 3);
    cr_expect_eq(get(latest, "acme", "", "t", 10, arena, &values), 2);
    cr_expect_eq(get(latest, "other", "d1", "", 10, arena, &values), 0);
    cr_expect_eq(get(latest, "acm", "ed1", "", 10, arena, &values), 0);
    arena_free(arena);
    latest_free(latest);
}

Test(latest, stays_within_its_bound_and_keeps_what_was_written_last)
{
    struct latest *latest = latest_new(&key, 2560);
    struct arena *arena = arena_new(16 << 20);
    struct latest_value *values;
    for (int i = 0; i < 20000; i++) {
        char device[16];
        snprintf(device, sizeof device, "d%d", i);
        put(latest, device, "t", 1, "v");
    }
    size_t count = get(latest, "acme", "", "", 100000, arena, &values);
    cr_expect_leq(count, 2560 + 256);
    cr_expect_geq(count, 2000);
    cr_expect_eq(get(latest, "acme", "d19999", "", 10, arena, &values), 1);
    arena_free(arena);
    latest_free(latest);
}

/* Ten thousand series of one device, so that both tables grow while it has them, then each read, changed and replaced. */
Test(latest, one_device_with_many_series)
{
    struct latest *latest = latest_new(&key, 256 * 20000);
    struct arena *arena = arena_new(1 << 20);
    struct latest_value *values;
    char name[16];
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 10000; i++) {
            snprintf(name, sizeof name, "n%u", i);
            put(latest, "d", name, round, round == 2 ? "a value that is longer than the one before it was" : "v");
            put(latest, "e", "n1", round, "w");
        }
    for (unsigned i = 0; i < 10000; i += 999) {
        snprintf(name, sizeof name, "n%u", i);
        cr_assert_eq(get(latest, "acme", "d", name, 10, arena, &values), 1);
        cr_expect(bytes_equal_text(values[0].observation.data, "a value that is longer than the one before it was"));
    }
    cr_expect_eq(get(latest, "acme", "e", "", 10, arena, &values), 1);
    arena_free(arena);
    latest_free(latest);
}

Test(latest, limit_and_memory_are_outcomes)
{
    struct latest *latest = latest_new(&key, 10000);
    struct arena *arena = arena_new(256);
    struct latest_value *values = NULL;
    size_t count = 0;
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        put(latest, "d", name, 1, "v");
    }
    cr_expect_eq(latest_get(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), (struct bytes){0}, 100, arena, &values,
                            &count), LATEST_NO_MEMORY);
    cr_expect_eq(count, 0);
    struct arena *large = arena_new(1 << 20);
    cr_expect_eq(latest_get(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), (struct bytes){0}, 5, large, &values,
                            &count), LATEST_TOO_MANY);
    cr_expect_eq(count, 5);
    arena_free(arena);
    arena_free(large);
    latest_free(latest);
}

Test(latest, the_newest_time_of_a_device)
{
    struct latest *latest = latest_new(&key, 1000);
    struct timestamp newest;
    cr_expect_not(latest_newest(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &newest));
    put(latest, "d", "a", 100, "x");
    put(latest, "d", "b", 300, "x");
    put(latest, "d", "c", 200, "x");
    put(latest, "e", "a", 900, "x");
    cr_assert(latest_newest(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &newest));
    cr_expect_eq(newest.s, 300);
    latest_free(latest);
}

static void remove_series(struct latest *latest, const char *name, int64_t t, bool backwards)
{
    struct observation o = {.name = bytes_of_text(name), .time = {t, 0}, .kind = VALUE_NONE};
    struct bytes tenant = BYTES_LITERAL("acme"), device = BYTES_LITERAL("d");
    cr_assert(backwards ? latest_restore(latest, tenant, device, &o) : latest_put(latest, tenant, device, &o, o.time));
}

Test(latest, what_is_removed_is_hidden_until_something_arrives)
{
    struct latest *latest = latest_new(&key, 1000);
    struct arena *arena = arena_new(65536);
    struct latest_value *values;
    struct timestamp newest;
    put(latest, "d", "t", 100, "value");
    put(latest, "d", "h", 90, "other");
    remove_series(latest, "t", 100, false);
    cr_expect_eq(get(latest, "acme", "d", "", 10, arena, &values), 1);
    cr_expect_eq(get(latest, "acme", "", "t", 10, arena, &values), 0);
    cr_assert(latest_newest(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &newest));
    cr_expect_eq(newest.s, 90);
    put(latest, "d", "t", 9, "of a clock that is behind");
    cr_assert_eq(get(latest, "acme", "d", "t", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "of a clock that is behind"));
    put(latest, "d", "t", 8, "older");
    put(latest, "d", "t", 10, "anew, and with more in it than there was room for before");
    cr_assert_eq(get(latest, "acme", "d", "t", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "anew, and with more in it than there was room for before"));
    remove_series(latest, "h", 80, false); /* which became newer meanwhile */
    cr_expect_eq(get(latest, "acme", "d", "h", 10, arena, &values), 1);
    remove_series(latest, "never", 1, false);
    cr_expect_eq(get(latest, "acme", "d", "", 10, arena, &values), 2);
    arena_free(arena);
    latest_free(latest);
}

/* As gateway/warm reads a stream: the newest entry first, and of the same time the first one read is the newest. */
Test(latest, restores_backwards)
{
    struct latest *latest = latest_new(&key, 1000);
    struct arena *arena = arena_new(65536);
    struct latest_value *values;
    struct observation o = {.name = BYTES_LITERAL("h"), .time = {100, 0}, .kind = VALUE_TEXT,
                            .data = BYTES_LITERAL("second")};
    remove_series(latest, "t", 100, true);
    cr_assert(latest_restore(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &o));
    o.data = BYTES_LITERAL("first");
    cr_assert(latest_restore(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &o));
    o.name = BYTES_LITERAL("t");
    cr_assert(latest_restore(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &o));
    cr_assert_eq(get(latest, "acme", "d", "", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "second"));
    o.time.s = 101;
    cr_assert(latest_restore(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &o));
    cr_expect_eq(get(latest, "acme", "d", "t", 10, arena, &values), 1);
    arena_free(arena);
    latest_free(latest);
}

static void restore(struct latest *latest, const char *name, int64_t t, const char *value)
{
    struct observation o = {.name = bytes_of_text(name), .time = {t, 0}, .kind = VALUE_TEXT, .data = bytes_of_text(value)};
    cr_assert(latest_restore(latest, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &o));
}

/* What arrived after the removal stays, whatever its time; what arrived before it stays away, after a restart too, and
 * where the value came in between. */
Test(latest, restores_what_arrived_after_a_removal)
{
    struct latest *latest = latest_new(&key, 1000);
    struct arena *arena = arena_new(65536);
    struct latest_value *values;
    restore(latest, "t", 5, "after");
    remove_series(latest, "t", 100, true);
    restore(latest, "t", 90, "before");
    remove_series(latest, "t", 50, true);
    restore(latest, "t", 70, "long before");
    cr_assert_eq(get(latest, "acme", "d", "t", 10, arena, &values), 1);
    cr_expect(bytes_equal_text(values[0].observation.data, "after"));

    remove_series(latest, "h", 100, true);
    put(latest, "d", "h", 5, "live, and longer than what is removed, which has no value");
    restore(latest, "h", 90, "before");
    cr_assert_eq(get(latest, "acme", "d", "h", 10, arena, &values), 1);
    cr_expect_eq(values[0].observation.time.s, 5);
    arena_free(arena);
    latest_free(latest);
}

static bool begins_with_h(const void *ctx, struct bytes device, struct bytes name)
{
    return bytes_equal(device, *(const struct bytes *)ctx) && name.ptr[0] == 'h';
}

Test(latest, gives_what_is_wanted_with_all_its_parts)
{
    struct latest *latest = latest_new(&key, 1000);
    struct arena *arena = arena_new(65536);
    struct latest_value *values;
    size_t count;
    struct bytes tenant = BYTES_LITERAL("acme"), device = BYTES_LITERAL("d"), nobody = {0};
    struct observation o = {.name = BYTES_LITERAL("h1"), .time = {1, 0}, .kind = VALUE_BYTES, .unit = BYTES_LITERAL("u"),
                            .data = BYTES_LITERAL("x"), .content_type = BYTES_LITERAL("text/csv"), .has_sum = true,
                            .sum = {BYTES_LITERAL("12"), 12}};
    cr_assert(latest_put(latest, tenant, device, &o, o.time));
    put(latest, "d", "t", 1, "x");
    put(latest, "e", "h2", 1, "x");
    cr_assert_eq(latest_select(latest, tenant, nobody, begins_with_h, &device, 10, arena, &values, &count), LATEST_FOUND);
    cr_assert_eq(count, 1);
    cr_expect(bytes_equal_text(values[0].observation.content_type, "text/csv"));
    cr_expect(bytes_equal_text(values[0].observation.sum.text, "12"));
    cr_expect(bytes_equal_text(values[0].observation.data, "x"));
    cr_expect_eq(latest_select(latest, tenant, device, begins_with_h, &nobody, 10, arena, &values, &count),
                 LATEST_NOTHING);
    o.content_type = nobody;
    cr_assert(latest_put(latest, tenant, device, &o, o.time));
    cr_assert_eq(latest_select(latest, tenant, device, begins_with_h, &device, 10, arena, &values, &count), LATEST_FOUND);
    cr_expect_eq(values[0].observation.content_type.len, 0);
    arena_free(arena);
    latest_free(latest);
}
