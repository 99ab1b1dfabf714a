// SPDX-License-Identifier: GPL-3.0-or-later
/* The wheel against a naive list that always tells the truth, and the promises of the header one by one. */
#include "gateway/rt/random.h"
#include "gateway/rt/timers.h"

#include <criterion/criterion.h>

struct probe {
    struct timer timer; /* first */
    struct timers *timers;
    unsigned fired;
    uint64_t again_ms; /* set again this much after now when fired; 0: no */
    struct timer *cancels;
};

static void on_fire(struct timer *timer)
{
    struct probe *probe = (struct probe *)timer;
    cr_assert(!timer_is_set(timer));
    probe->fired++;
    if (probe->again_ms)
        timers_set(probe->timers, timer, timers_now(probe->timers) + probe->again_ms);
    if (probe->cancels)
        timers_cancel(probe->timers, probe->cancels);
}

static struct probe probe_on(struct timers *timers)
{
    return (struct probe){.timer.fire = on_fire, .timers = timers};
}

Test(timers, fires_at_its_moment_and_once)
{
    struct timers *timers = timers_new(1000);
    struct probe probe = probe_on(timers);
    timers_set(timers, &probe.timer, 1010);
    cr_assert_eq(timers_wait_ms(timers, 500), 10);
    timers_advance(timers, 1009);
    cr_assert_eq(probe.fired, 0);
    cr_assert_eq(timers_wait_ms(timers, 500), 1);
    timers_advance(timers, 1010);
    timers_advance(timers, 1011);
    cr_assert_eq(probe.fired, 1);
    cr_assert_eq(timers_wait_ms(timers, 500), 500);
    timers_free(timers);
}

Test(timers, a_passed_moment_fires_at_the_next_advance_even_if_time_stands)
{
    struct timers *timers = timers_new(1000);
    struct probe past = probe_on(timers), now = probe_on(timers);
    timers_set(timers, &past.timer, 3);
    timers_set(timers, &now.timer, 1000);
    cr_assert_eq(timers_wait_ms(timers, 500), 0);
    timers_advance(timers, 1000);
    cr_assert_eq(past.fired + now.fired, 2);
    timers_free(timers);
}

Test(timers, time_does_not_go_back)
{
    struct timers *timers = timers_new(1000);
    timers_advance(timers, 900);
    cr_assert_eq(timers_now(timers), 1000);
    timers_free(timers);
}

Test(timers, a_periodic_timer_fires_once_after_a_jump)
{
    struct timers *timers = timers_new(0);
    struct probe probe = probe_on(timers);
    probe.again_ms = 10;
    timers_set(timers, &probe.timer, 10);
    timers_advance(timers, 3600000);
    cr_assert_eq(probe.fired, 1);
    cr_assert_eq(probe.timer.due_ms, 3600010);
    timers_advance(timers, 3600010);
    cr_assert_eq(probe.fired, 2);
    timers_free(timers);
}

static void set_again_in_the_past(struct timer *timer)
{
    struct probe *probe = (struct probe *)timer;
    probe->fired++;
    timers_set(probe->timers, timer, timers_now(probe->timers));
}

Test(timers, setting_itself_to_now_does_not_hold_the_advance)
{
    struct timers *timers = timers_new(0);
    struct probe probe = probe_on(timers);
    probe.timer.fire = set_again_in_the_past;
    timers_set(timers, &probe.timer, 0);
    for (unsigned i = 1; i <= 5; i++) {
        timers_advance(timers, 0);
        cr_assert_eq(probe.fired, i);
    }
    timers_free(timers);
}

static void set_again_at_the_next_period(struct timer *timer)
{
    struct probe *probe = (struct probe *)timer;
    probe->fired++;
    timers_set(probe->timers, timer, timer->due_ms + 10);
}

Test(timers, a_jump_over_many_periods_fires_once_in_each_advance)
{
    struct timers *timers = timers_new(0);
    struct probe probe = probe_on(timers);
    probe.timer.fire = set_again_at_the_next_period;
    timers_set(timers, &probe.timer, 10);
    timers_advance(timers, 1000);
    cr_assert_eq(probe.fired, 1);
    cr_assert_eq(timers_wait_ms(timers, 50), 0);
    timers_advance(timers, 1000);
    cr_assert_eq(probe.fired, 2);
    timers_free(timers);
}

Test(timers, a_callback_may_cancel_others_of_its_slot)
{
    /* Two of the same slot cancel each other: whichever comes first, the other must not fire. */
    for (uint64_t due_ms = 1; due_ms < 1000000; due_ms *= 7) {
        struct timers *timers = timers_new(0);
        struct probe a = probe_on(timers), b = probe_on(timers);
        a.cancels = &b.timer;
        b.cancels = &a.timer;
        timers_set(timers, &a.timer, due_ms);
        timers_set(timers, &b.timer, due_ms);
        timers_advance(timers, due_ms);
        cr_assert_eq(a.fired + b.fired, 1);
        cr_assert_eq(timers_wait_ms(timers, 77), 77);
        timers_free(timers);
    }
}

Test(timers, the_farthest_moment_is_no_trouble)
{
    struct timers *timers = timers_new(5);
    struct probe probe = probe_on(timers);
    timers_set(timers, &probe.timer, UINT64_MAX);
    timers_advance(timers, UINT64_MAX - 1);
    cr_assert_eq(probe.fired, 0);
    cr_assert_eq(timers_wait_ms(timers, 99), 1);
    timers_advance(timers, UINT64_MAX);
    cr_assert_eq(probe.fired, 1);
    timers_free(timers);
}

Test(timers, cancel_leaves_no_early_wake_up)
{
    struct timers *timers = timers_new(0);
    struct probe a = probe_on(timers), b = probe_on(timers);
    timers_set(timers, &a.timer, 40);
    timers_set(timers, &b.timer, 40);
    timers_cancel(timers, &a.timer);
    timers_cancel(timers, &a.timer);
    cr_assert_eq(timers_wait_ms(timers, 1000), 40);
    timers_cancel(timers, &b.timer);
    cr_assert_eq(timers_wait_ms(timers, 1000), 1000);
    timers_free(timers);
}

#define PROBES 300

struct model {
    struct probe probes[PROBES];
    bool set[PROBES];
    uint64_t due_ms[PROBES];
    unsigned expected[PROBES];
};

static uint64_t some_delay(struct random *random)
{
    return random_below(random, 1ULL << random_below(random, 34));
}

static void change_one(struct model *model, struct timers *timers, struct random *random)
{
    size_t i = random_below(random, PROBES);
    if (random_below(random, 4) == 0) {
        timers_cancel(timers, &model->probes[i].timer);
        model->set[i] = false;
        return;
    }
    model->set[i] = true;
    model->due_ms[i] = timers_now(timers) + some_delay(random);
    timers_set(timers, &model->probes[i].timer, model->due_ms[i]);
}

static void advance_both(struct model *model, struct timers *timers, struct random *random)
{
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < PROBES; i++) {
        if (model->set[i] && model->due_ms[i] < next_ms)
            next_ms = model->due_ms[i];
    }
    uint64_t now_ms = timers_now(timers);
    uint64_t wait_ms = timers_wait_ms(timers, 1ULL << 40);
    if (next_ms != UINT64_MAX)
        cr_assert_leq(wait_ms, next_ms - now_ms, "late");

    now_ms += random_below(random, 3) ? some_delay(random) : wait_ms;
    for (size_t i = 0; i < PROBES; i++) {
        if (model->set[i] && model->due_ms[i] <= now_ms) {
            model->set[i] = false;
            model->expected[i]++;
        }
    }
    timers_advance(timers, now_ms);
    for (size_t i = 0; i < PROBES; i++) {
        cr_assert_eq(model->probes[i].fired, model->expected[i]);
        cr_assert_eq(timer_is_set(&model->probes[i].timer), model->set[i]);
    }
}

Test(timers, does_what_a_naive_list_does)
{
    static struct model model;
    struct random random;
    random_seed(&random, (const uint64_t[4]){1, 2, 3, 4});
    struct timers *timers = timers_new(123456789);
    for (size_t i = 0; i < PROBES; i++)
        model.probes[i] = probe_on(timers);
    for (int round = 0; round < 5000; round++) {
        for (unsigned i = 0; i < 20; i++)
            change_one(&model, timers, &random);
        advance_both(&model, timers, &random);
    }
    timers_free(timers);
}
