// SPDX-License-Identifier: GPL-3.0-or-later
/* The loop with eventfds: readiness, removal inside a batch, timers, the calls around the wait. */
#include "gateway/rt/loop.h"

#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct source {
    struct loop_watch watch; /* first */
    struct loop *loop;
    struct source *removes[2];
    unsigned calls;
};

static void on_ready(struct loop_watch *watch, uint32_t events)
{
    struct source *source = (struct source *)watch;
    cr_assert(events & EPOLLIN);
    source->calls++;
    for (int i = 0; i < 2; i++) {
        if (source->removes[i])
            loop_remove(source->loop, &source->removes[i]->watch);
    }
}

static void open_source(struct source *source, struct loop *loop)
{
    *source = (struct source){.watch = {.fd = eventfd(1, EFD_NONBLOCK), .ready = on_ready}, .loop = loop};
    cr_assert(loop_add(loop, &source->watch, EPOLLIN));
}

static void close_source(struct source *source)
{
    loop_remove(source->loop, &source->watch);
    close(source->watch.fd);
}

Test(loop, calls_what_is_ready_until_it_is_not)
{
    struct loop *loop = loop_new();
    struct source source;
    open_source(&source, loop);
    loop_wait(loop, 1000, NULL, NULL);
    loop_wait(loop, 1000, NULL, NULL);
    cr_assert_eq(source.calls, 2);
    eventfd_t count;
    eventfd_read(source.watch.fd, &count);
    loop_wait(loop, 0, NULL, NULL);
    cr_assert_eq(source.calls, 2);
    close_source(&source);
    loop_free(loop);
}

Test(loop, a_watch_removed_by_another_of_the_batch_is_not_called)
{
    struct loop *loop = loop_new();
    struct source a, b;
    open_source(&a, loop);
    open_source(&b, loop);
    a.removes[0] = b.removes[0] = &b;
    a.removes[1] = b.removes[1] = &a;
    loop_wait(loop, 1000, NULL, NULL);
    cr_assert_eq(a.calls + b.calls, 1);
    loop_wait(loop, 0, NULL, NULL);
    cr_assert_eq(a.calls + b.calls, 1);
    close(a.watch.fd);
    close(b.watch.fd);
    loop_free(loop);
}

struct alarm {
    struct timer timer; /* first */
    struct loop *loop;
    struct source *removes;
    uint64_t fired_ms;
};

static void on_alarm(struct timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;
    alarm->fired_ms = loop_now_ms(alarm->loop);
    if (alarm->removes)
        loop_remove(alarm->loop, &alarm->removes->watch);
}

Test(loop, a_timer_ends_the_wait_and_is_never_early)
{
    struct loop *loop = loop_new();
    struct alarm alarm = {.timer.fire = on_alarm, .loop = loop};
    uint64_t due_ms = loop_now_ms(loop) + 20;
    timers_set(loop_timers(loop), &alarm.timer, due_ms);
    while (!alarm.fired_ms)
        loop_wait(loop, 60000, NULL, NULL);
    cr_assert_geq(alarm.fired_ms, due_ms);
    loop_free(loop);
}

Test(loop, a_timer_may_remove_a_watch_that_is_ready)
{
    struct loop *loop = loop_new();
    struct source source;
    open_source(&source, loop);
    struct alarm alarm = {.timer.fire = on_alarm, .loop = loop, .removes = &source};
    timers_set(loop_timers(loop), &alarm.timer, 0);
    loop_wait(loop, 0, NULL, NULL);
    cr_assert_neq(alarm.fired_ms, 0);
    cr_assert_eq(source.calls, 0);
    close(source.watch.fd);
    loop_free(loop);
}

static char calls[8];

static void before(void)
{
    strcat(calls, "b");
}

static void after(void)
{
    strcat(calls, "a");
}

Test(loop, tells_around_the_wait)
{
    struct loop *loop = loop_new();
    loop_wait(loop, 0, before, after);
    loop_wait(loop, 0, before, after);
    cr_assert_str_eq(calls, "baba");
    loop_free(loop);
}

Test(loop, change_takes_interest_away_and_gives_it_back)
{
    struct loop *loop = loop_new();
    struct source source;
    open_source(&source, loop);
    cr_assert(loop_change(loop, &source.watch, 0));
    loop_wait(loop, 0, NULL, NULL);
    cr_assert_eq(source.calls, 0);
    cr_assert(loop_change(loop, &source.watch, EPOLLIN));
    loop_wait(loop, 0, NULL, NULL);
    cr_assert_eq(source.calls, 1);
    close_source(&source);
    loop_free(loop);
}

Test(loop, a_bad_descriptor_is_refused)
{
    struct loop *loop = loop_new();
    struct loop_watch watch = {.fd = -1, .ready = on_ready};
    cr_assert(!loop_add(loop, &watch, EPOLLIN));
    loop_free(loop);
    loop_free(NULL);
}

Test(loop, wall_clock_is_of_this_century)
{
    struct loop *loop = loop_new();
    cr_assert_gt(loop_wall(loop).s, 946684800);
    cr_assert_lt(loop_wall(loop).ns, 1000000000);
    loop_free(loop);
}
