// SPDX-License-Identifier: GPL-3.0-or-later
/* What each policy does to times of each source, and what is believed of a clock. Time is an argument throughout. */
#include "gateway/clocks.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define T BYTES_LITERAL("acme")
#define D BYTES_LITERAL("d1")
#define NOW 1763692800

static struct clocks *clocks;

static void setup(void)
{
    clocks = clocks_new(&(struct hash_key){1, 2}, 1000);
    cr_assert(clocks);
}

static void teardown(void)
{
    clocks_free(clocks);
}

TestSuite(clocks, .init = setup, .fini = teardown);

static struct profile_record profile_of(enum clock_policy clock, uint32_t window_s)
{
    return (struct profile_record){.clock = clock, .clock_window_s = window_s};
}

/* A message of one record that left a clock which is wrong by error_ms, and was late_ms on its way. */
static enum clocks_action send(enum clock_policy policy, int64_t now_s, int64_t error_ms, int64_t late_ms)
{
    struct profile_record profile = profile_of(policy, 0);
    int64_t ms = now_s * 1000 + error_ms - late_ms;
    struct observation item = {.time = {ms / 1000, (uint32_t)(ms % 1000) * 1000000}, .time_source = TIME_DEVICE};
    enum clocks_action action;
    cr_assert_eq(clocks_apply(clocks, &profile, T, D, (struct timestamp){now_s, 0}, &item, 1, &action), OUTCOME_CHANGED);
    return action;
}

static struct clocks_estimate estimate(void)
{
    struct clocks_estimate found = {0};
    (void)clocks_get(clocks, T, D, &found);
    return found;
}

static void expect_error(int64_t error_ms, const char *when)
{
    struct clocks_estimate found = estimate();
    cr_expect(found.known, "known %s", when);
    cr_expect(found.error_ms <= error_ms && found.error_ms >= error_ms - 100, "%lld ms %s", (long long)found.error_ms,
              when);
}

/* So many messages, one each second, a network of 0 to 90 ms between. */
static int64_t run(int64_t now_s, unsigned count, int64_t error_ms)
{
    for (unsigned i = 0; i < count; i++)
        send(CLOCK_TRUST, now_s + i, error_ms, (i * 37) % 10 * 10);
    return now_s + count;
}

/* The table: policy by source. The clock is 100 s ahead and known to be so. */
static const struct {
    enum clock_policy policy;
    enum time_source source, expected_source;
    int64_t expected_s; /* of a time that was 90 s ahead of the receipt */
} table[] = {
    {CLOCK_TRUST, TIME_DEVICE, TIME_DEVICE, 90},      {CLOCK_TRUST, TIME_RELATIVE, TIME_RELATIVE, 90},
    {CLOCK_TRUST, TIME_BATCH, TIME_BATCH, 90},        {CLOCK_TRUST, TIME_RECEIPT, TIME_RECEIPT, 90},
    {CLOCK_CORRECT, TIME_DEVICE, TIME_CORRECTED, -10}, {CLOCK_CORRECT, TIME_RELATIVE, TIME_RELATIVE, 90},
    {CLOCK_CORRECT, TIME_BATCH, TIME_BATCH, 90},      {CLOCK_CORRECT, TIME_RECEIPT, TIME_RECEIPT, 90},
    {CLOCK_REPLACE, TIME_DEVICE, TIME_RECEIPT, -10},  {CLOCK_REPLACE, TIME_RELATIVE, TIME_RELATIVE, 90},
    {CLOCK_REPLACE, TIME_BATCH, TIME_BATCH, 90},      {CLOCK_REPLACE, TIME_RECEIPT, TIME_RECEIPT, 90},
    {CLOCK_REFUSE, TIME_DEVICE, TIME_DEVICE, 90},     {CLOCK_REFUSE, TIME_RELATIVE, TIME_RELATIVE, 90},
    {CLOCK_REFUSE, TIME_BATCH, TIME_BATCH, 90},       {CLOCK_REFUSE, TIME_RECEIPT, TIME_RECEIPT, 90},
};

Test(clocks, each_policy_with_each_source)
{
    int64_t now = run(NOW, 10, 100000);
    struct timestamp received = {now, 250000000};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct profile_record profile = profile_of(table[i].policy, 0);
        /* Beside it the newest time of the device, 100 s ahead. */
        struct observation items[] = {
            {.time = {now + 90, 250000000}, .time_source = table[i].source},
            {.time = {now + 100, 250000000}, .time_source = TIME_DEVICE},
        };
        enum clocks_action action;
        cr_expect_eq(clocks_apply(clocks, &profile, T, D, received, items, 2, &action), OUTCOME_CHANGED, "%zu", i);
        cr_expect_eq(items[0].time.s - now, table[i].expected_s, "%zu: %lld", i, (long long)(items[0].time.s - now));
        cr_expect_eq(items[0].time_source, table[i].expected_source, "%zu", i);
        cr_expect_eq(items[0].time.ns, 250000000, "%zu", i);
        if (table[i].policy == CLOCK_CORRECT || table[i].policy == CLOCK_REPLACE)
            cr_expect(items[1].time.s == now && items[1].time.ns == 250000000, "the newest, %zu", i);
        cr_expect_eq(action, table[i].policy == CLOCK_CORRECT   ? CLOCKS_CORRECTED
                             : table[i].policy == CLOCK_REPLACE ? CLOCKS_REPLACED
                                                                : CLOCKS_KEPT);
    }
}

/* All sources but the receipt are held against the window, on both sides; nothing is changed. */
Test(clocks, refuses_what_is_outside_of_the_window)
{
    static const enum time_source sources[] = {TIME_DEVICE, TIME_RELATIVE, TIME_BATCH, TIME_RECEIPT};
    struct timestamp received = {NOW, 0};
    for (size_t i = 0; i < 4; i++) {
        for (int side = -1; side <= 1; side += 2) {
            struct profile_record profile = profile_of(CLOCK_REFUSE, 60);
            struct observation items[2] = {{.time = {NOW, 0}, .time_source = TIME_DEVICE},
                                           {.time = {NOW + side * 60, 0}, .time_source = sources[i]}};
            enum clocks_action action;
            cr_expect_eq(clocks_apply(clocks, &profile, T, D, received, items, 2, &action), OUTCOME_CHANGED);
            items[1].time.s += side;
            cr_expect_eq(clocks_apply(clocks, &profile, T, D, received, items, 2, &action),
                         sources[i] == TIME_RECEIPT ? OUTCOME_CHANGED : OUTCOME_TIME_OUTSIDE, "%c %d", sources[i], side);
            cr_expect_eq(items[1].time.s, NOW + side * 61);
        }
    }
    cr_expect_geq(estimate().samples, 14, "what is refused is learned from");
}

Test(clocks, windows)
{
    struct profile_record refuse = profile_of(CLOCK_REFUSE, 0), correct = profile_of(CLOCK_CORRECT, 0),
                          own = profile_of(CLOCK_REFUSE, 7);
    cr_expect_eq(clocks_window_s(&refuse), CLOCKS_WINDOW_REFUSE_S);
    cr_expect_eq(clocks_window_s(&correct), CLOCKS_WINDOW_CORRECT_S);
    cr_expect_eq(clocks_window_s(&own), 7);
    struct observation item = {.time = {-TIME_DEVICE * INT64_C(1000000000000), 0}, .time_source = TIME_DEVICE};
    enum clocks_action action;
    refuse.clock_window_s = UINT32_MAX;
    cr_expect_eq(clocks_apply(clocks, &refuse, T, D, (struct timestamp){NOW, 0}, &item, 1, &action), OUTCOME_TIME_OUTSIDE);
}

Test(clocks, replacing_keeps_distances)
{
    struct profile_record profile = profile_of(CLOCK_REPLACE, 0);
    struct observation items[] = {
        {.time = {1000, 900000000}, .time_source = TIME_DEVICE},
        {.time = {1002, 100000000}, .time_source = TIME_DEVICE},
        {.time = {1001, 0}, .time_source = TIME_DEVICE},
    };
    enum clocks_action action;
    cr_assert_eq(clocks_apply(clocks, &profile, T, D, (struct timestamp){NOW, 0}, items, 3, &action), OUTCOME_CHANGED);
    cr_expect(items[0].time.s == NOW - 2 && items[0].time.ns == 800000000);
    cr_expect(items[1].time.s == NOW && items[1].time.ns == 0);
    cr_expect(items[2].time.s == NOW - 2 && items[2].time.ns == 900000000);
}

Test(clocks, correcting_moves_by_parts_of_a_second)
{
    struct profile_record profile = profile_of(CLOCK_CORRECT, 0);
    int64_t now = NOW;
    for (; now < NOW + 10; now++)
        send(CLOCK_TRUST, now, -10300, 0);
    struct observation item = {.time = {now - 11, 900000000}, .time_source = TIME_DEVICE};
    enum clocks_action action;
    cr_assert_eq(clocks_apply(clocks, &profile, T, D, (struct timestamp){now, 200000000}, &item, 1, &action),
                 OUTCOME_CHANGED);
    cr_expect_eq(action, CLOCKS_CORRECTED);
    cr_expect(item.time.s == now && item.time.ns == 200000000, "%lld.%09u", (long long)(item.time.s - now), item.time.ns);
}

Test(clocks, nothing_is_known_of_a_device_without_a_time)
{
    struct profile_record profile = profile_of(CLOCK_CORRECT, 0);
    struct observation item = {.time = {NOW, 0}, .time_source = TIME_RECEIPT};
    struct clocks_estimate found;
    enum clocks_action action;
    cr_assert_eq(clocks_apply(clocks, &profile, T, D, (struct timestamp){NOW, 0}, &item, 1, &action), OUTCOME_CHANGED);
    cr_assert_eq(clocks_apply(clocks, &profile, T, D, (struct timestamp){NOW, 0}, NULL, 0, &action), OUTCOME_CHANGED);
    cr_expect_not(clocks_get(clocks, T, D, &found));
}

Test(clocks, an_estimate_needs_four_messages_and_three_seconds)
{
    for (unsigned i = 0; i < 10; i++)
        send(CLOCK_TRUST, NOW, 60000, 0);
    cr_expect_not(estimate().known, "all in one second");
    cr_expect_eq(send(CLOCK_CORRECT, NOW + 2, 60000, 0), CLOCKS_KEPT);
    cr_expect_eq(send(CLOCK_CORRECT, NOW + 3, 60000, 0), CLOCKS_CORRECTED);
    expect_error(60000, "then");
}

Test(clocks, a_right_clock_is_left_alone)
{
    int64_t now = run(NOW, 20, 1000);
    expect_error(1000, "with a small error");
    cr_expect_eq(send(CLOCK_CORRECT, now, 1000, 0), CLOCKS_KEPT);
}

Test(clocks, delays_do_not_look_like_an_error)
{
    int64_t now = run(NOW, 20, 7000);
    for (unsigned i = 0; i < 50; i++, now += 30)
        send(CLOCK_TRUST, now, 7000, i % 3 ? 60000 + 17000 * (i % 7) : 20);
    expect_error(7000, "with two of three late");
}

/* A log of an hour ago, sent in some seconds, and then the present again. */
Test(clocks, readings_that_were_kept_do_not_move_it)
{
    int64_t now = run(NOW, 20, 60000);
    for (unsigned i = 0; i < 400; i++)
        send(CLOCK_TRUST, now + i / 100, 60000, 3600000 - 500 * (int64_t)i);
    expect_error(60000, "after the log");
    cr_expect_eq(send(CLOCK_CORRECT, now + 5, 60000, 1800000), CLOCKS_CORRECTED, "late, and by a wrong clock");
    run(now + 10, 5, 60000);
    expect_error(60000, "after the present");
}

/* The same as the first that is heard of it. */
Test(clocks, a_log_at_the_start_teaches_nothing)
{
    for (unsigned i = 0; i < 1000; i++) {
        send(CLOCK_TRUST, NOW + i / 100, 0, 3600000 - 500 * (int64_t)i);
        cr_assert_not(estimate().known, "%u", i);
    }
}

Test(clocks, a_single_time_that_is_nonsense_is_passed_over)
{
    int64_t now = run(NOW, 20, 60000);
    send(CLOCK_TRUST, now, INT64_C(3000000000000), 0);
    cr_expect_eq(send(CLOCK_CORRECT, now + 1, 60000, 0), CLOCKS_CORRECTED);
    expect_error(60000, "after it");
    send(CLOCK_TRUST, now + 2, INT64_C(3000000000000), 0);
    send(CLOCK_TRUST, now + 3, INT64_C(2000000000000), 0);
    run(now + 4, 1, 60000);
    expect_error(60000, "after two of them");
}

Test(clocks, a_clock_that_jumps_ahead_is_followed)
{
    int64_t now = run(NOW, 20, 0);
    now = run(now, 3, 3600000);
    cr_expect_not(estimate().known);
    now = run(now, 5, 3600000);
    expect_error(3600000, "after eight messages");
}

/* As when NTP has come: from then on its times are right, and none of them may be moved. */
Test(clocks, a_clock_that_was_set_right_is_left_alone_at_once)
{
    int64_t now = run(NOW, 20, 3600000);
    for (unsigned i = 0; i < 40; i++)
        cr_expect_eq(send(CLOCK_CORRECT, now + i, 0, 10), CLOCKS_KEPT, "%u", i);
    expect_error(0, "then");
}

Test(clocks, a_clock_that_jumps_back_is_followed)
{
    int64_t now = run(NOW, 20, 0);
    run(now, 10, -86400000);
    expect_error(-86400000, "after ten messages");
}

Test(clocks, a_slow_device_is_followed_too)
{
    int64_t now = NOW;
    for (unsigned i = 0; i < 8; i++, now += 900)
        send(CLOCK_TRUST, now, 120000, 90);
    expect_error(120000, "every quarter of an hour");
    for (unsigned i = 0; i < 20; i++, now += 900)
        send(CLOCK_TRUST, now, 120000 - 500 * (int64_t)i, 300);
    struct clocks_estimate found = estimate();
    cr_expect(found.known && found.error_ms < 115500, "a drifting one: %lld", (long long)found.error_ms);
}

Test(clocks, a_day_of_silence_is_a_new_beginning)
{
    int64_t now = run(NOW, 20, 60000);
    send(CLOCK_TRUST, now + 86500, 0, 0);
    cr_expect_eq(estimate().samples, 1);
    cr_expect_eq(estimate().error_ms, 0);
}

Test(clocks, extreme_times_overflow_nothing)
{
    static const int64_t seconds[] = {INT64_C(1000000000000000), -INT64_C(1000000000000000), 0};
    enum clocks_action action;
    for (enum clock_policy policy = 0; policy < CLOCK_POLICIES; policy++)
        for (unsigned i = 0; i < 12; i++) {
            struct profile_record profile = profile_of(policy, UINT32_MAX);
            struct observation items[] = {{.time = {seconds[i % 3], 999999999}, .time_source = TIME_DEVICE},
                                          {.time = {-seconds[i % 3], 0}, .time_source = TIME_DEVICE}};
            (void)clocks_apply(clocks, &profile, T, D, (struct timestamp){NOW + i, 0}, items, 2, &action);
        }
}

Test(clocks, devices_are_apart_and_bounded)
{
    struct profile_record profile = profile_of(CLOCK_TRUST, 0);
    struct clocks_estimate found;
    enum clocks_action action;
    unsigned left = 0;
    for (unsigned i = 0; i < 5000; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%u", i);
        struct observation item = {.time = {NOW + i, 0}, .time_source = TIME_DEVICE};
        cr_assert_eq(clocks_apply(clocks, &profile, T, bytes_of_text(id), (struct timestamp){NOW, 0}, &item, 1, &action),
                     OUTCOME_CHANGED);
        cr_assert(clocks_get(clocks, T, bytes_of_text(id), &found));
        cr_assert_eq(found.error_ms, 1000 * (int64_t)i);
        cr_assert_not(clocks_get(clocks, BYTES_LITERAL("other"), bytes_of_text(id), &found));
    }
    for (unsigned i = 0; i < 5000; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%u", i);
        left += clocks_get(clocks, T, bytes_of_text(id), &found);
    }
    cr_expect(left >= 800 && left <= 1024, "%u", left);
    cr_expect(clocks_get(clocks, T, BYTES_LITERAL("d4999"), &found));
}

/* Whose profile counts in a message of several devices: its own, else the speaker's. */
Test(clocks, each_device_has_its_policy)
{
    struct registry *registry = registry_new(&(struct hash_key){1, 2});
    struct profile_record replace = {.tenant = "acme", .id = "rtc", .clock = CLOCK_REPLACE},
                          refuse = {.tenant = "acme", .id = "strict", .clock = CLOCK_REFUSE, .clock_window_s = 60},
                          trust = {.tenant = "acme", .id = "ntp"};
    static const char *const devices[][2] = {{"hub", "rtc"}, {"own", "ntp"}, {"none", ""}, {"strict", "strict"}};
    struct observation items[5];
    struct sink_record records[5];
    static struct metrics metrics;
    struct clocks_pace pace = {0};
    struct clocks_question question = {.registry = registry, .tenant = T, .speaker = BYTES_LITERAL("hub"),
                                       .received = {NOW, 0}, .metrics = &metrics, .pace = &pace};
    cr_assert(registry_put_profile(registry, &replace) && registry_put_profile(registry, &refuse) &&
              registry_put_profile(registry, &trust));
    for (size_t i = 0; i < 4; i++) {
        struct device_record device = {.tenant = "acme"};
        snprintf(device.id, sizeof device.id, "%s", devices[i][0]);
        snprintf(device.profile, sizeof device.profile, "%s", devices[i][1]);
        cr_assert(registry_put_device(registry, &device));
    }
    for (size_t i = 0; i < 5; i++) {
        items[i] = (struct observation){.time = {NOW - 1000 - (int64_t)i, 0}, .time_source = TIME_DEVICE};
        records[i] = (struct sink_record){.device = bytes_of_text(devices[i == 4 ? 2 : i][0]), .observation = &items[i]};
    }
    /* hub, own, none, (strict), none: the last two of "none" are no neighbours. */
    records[3].device = records[2].device;
    cr_assert_eq(clocks_apply_all(clocks, &question, items, records, 5), OUTCOME_CHANGED);
    cr_expect(items[0].time.s == NOW && items[0].time_source == TIME_RECEIPT, "its own");
    cr_expect(items[1].time.s == NOW - 1001 && items[1].time_source == TIME_DEVICE, "its own, which trusts");
    cr_expect(items[2].time.s == NOW && items[3].time.s == NOW - 1 && items[4].time.s == NOW - 2, "the speaker's");
    cr_expect(clocks_replace_any(&question, records, 1) && !clocks_replace_any(&question, records + 1, 1));
    cr_expect(clocks_replace_any(&question, records + 1, 4), "the speaker's");
    records[3].device = BYTES_LITERAL("strict");
    question.speaker = BYTES_LITERAL("strict");
    cr_expect(!clocks_replace_any(&question, records + 1, 4) && clocks_replace_any(&question, records, 5));
    question.speaker = BYTES_LITERAL("hub");
    items[3] = (struct observation){.time = {NOW - 61, 0}, .time_source = TIME_DEVICE};
    cr_assert_eq(clocks_apply_all(clocks, &question, items, records, 5), OUTCOME_TIME_OUTSIDE);
    const struct metrics *all = &metrics;
    cr_expect_eq(metrics_sum(&all, 1, METRIC_CLOCK_REPLACED), 1);
    cr_expect_eq(metrics_sum(&all, 1, METRIC_CLOCK_REFUSED), 1);
    cr_expect_eq(metrics_sum(&all, 1, METRIC_CLOCK_CORRECTED), 0);
    registry_free(registry);
}

/* What many trusted devices say each second is sampled; a policy is applied to all. */
Test(clocks, a_flood_is_sampled)
{
    struct registry *registry = registry_new(&(struct hash_key){1, 2});
    struct clocks_pace pace = {0};
    static struct metrics metrics;
    struct clocks_question question = {.registry = registry, .tenant = T, .speaker = D, .metrics = &metrics, .pace = &pace};
    struct observation item = {.time = {NOW, 0}, .time_source = TIME_DEVICE};
    struct sink_record record = {.device = D, .observation = &item};
    for (unsigned i = 0; i < 40000; i++) {
        question.received = (struct timestamp){NOW + i / 20000, 0};
        cr_assert_eq(clocks_apply_all(clocks, &question, &item, &record, 1), OUTCOME_CHANGED);
    }
    cr_expect_eq(pace.stride, 21);
    cr_expect_eq(estimate().samples, 20000 + 20000 / 21 + 1);
    question.received.s += 10;
    clocks_apply_all(clocks, &question, &item, &record, 1);
    question.received.s += 1;
    clocks_apply_all(clocks, &question, &item, &record, 1);
    cr_expect_eq(pace.stride, 1, "and all again");
    registry_free(registry);
}
