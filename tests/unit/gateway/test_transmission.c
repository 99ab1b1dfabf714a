// SPDX-License-Identifier: GPL-3.0-or-later
/* Confirmable messages of ours: one at a time, repeated, replaced, cancelled, given up. */
#include "gateway/transmission.h"

#include <criterion/criterion.h>

static struct timers *timers;
static struct metrics metrics;
static struct random generator;
static struct transmission_environment env;
static struct transmission_queue queue;
static struct peer peer;
static uint64_t now_ms;

static char on_air[256]; /* first characters of what was sent */
static unsigned idles, dones, refreshes;
static enum transmission_fate last_fate;
static uint32_t last_rtt_ms;

static void send_one(struct peer *to, struct bytes message)
{
    cr_assert_eq(to, &peer);
    strncat(on_air, (const char *)message.ptr, message.len);
}

static void idle(void *ctx, struct peer *of)
{
    (void)ctx;
    cr_assert_eq(of, &peer);
    idles++;
}

static void done(void *owner, enum transmission_fate fate, uint32_t rtt_ms)
{
    (void)owner;
    dones++;
    last_fate = fate;
    last_rtt_ms = rtt_ms;
}

static void refresh(void *owner)
{
    refreshes++;
    if (owner)
        cr_assert(transmission_replace(*(struct transmission **)owner, BYTES_LITERAL("n"), 99));
}

static void setup(void)
{
    now_ms = 1000;
    timers = timers_new(now_ms);
    random_seed(&generator, (uint64_t[4]){1, 2, 3, 4});
    env = (struct transmission_environment){.timers = timers, .metrics = &metrics, .random = &generator, .idle = idle};
    peer.send = send_one;
    transmission_queue_init(&queue, &env, &peer);
}

static void teardown(void)
{
    transmission_queue_deinit(&queue);
    timers_free(timers);
}

TestSuite(transmission, .init = setup, .fini = teardown);

static void pass_ms(uint64_t ms)
{
    now_ms += ms;
    timers_advance(timers, now_ms);
}

static struct transmission *send_text(const char *text, uint16_t id, void *owner)
{
    struct transmission_sender sender = {.refresh = refresh, .done = done, .owner = owner};
    struct transmission *transmission;
    cr_assert(transmission_send(&queue, bytes_of_text(text), id, &sender, &transmission));
    return transmission;
}

Test(transmission, is_repeated_four_times_and_then_given_up)
{
    send_text("a", 1, NULL);
    cr_expect_str_eq(on_air, "a");
    for (int ms = 0; ms < 93000; ms++)
        pass_ms(1);
    cr_expect_str_eq(on_air, "aaaaa");
    cr_expect_eq(refreshes, TRANSMISSION_REPEATS);
    cr_expect_eq(dones, 1);
    cr_expect_eq(last_fate, TRANSMISSION_GIVEN_UP);
    cr_expect(transmission_is_idle(&queue));
    cr_expect_eq(idles, 1);
}

Test(transmission, tells_the_round_trip_only_if_it_is_certain)
{
    send_text("a", 1, NULL);
    pass_ms(700);
    cr_expect(!transmission_settle(&queue, 2, TRANSMISSION_ACKNOWLEDGED));
    cr_expect(transmission_settle(&queue, 1, TRANSMISSION_ACKNOWLEDGED));
    cr_expect_eq(last_rtt_ms, 700);
    send_text("b", 2, NULL);
    pass_ms(3000);
    cr_expect(transmission_settle(&queue, 2, TRANSMISSION_ACKNOWLEDGED));
    cr_expect_eq(last_rtt_ms, TRANSMISSION_RTT_UNKNOWN, "it was repeated: which one was acknowledged?");
    cr_expect(!transmission_settle(&queue, 2, TRANSMISSION_ACKNOWLEDGED));
    cr_expect_eq(idles, 2);
}

Test(transmission, the_next_goes_when_the_first_is_settled)
{
    send_text("a", 1, NULL);
    send_text("b", 2, NULL);
    cr_expect_str_eq(on_air, "a");
    cr_expect(!transmission_settle(&queue, 2, TRANSMISSION_RESET), "it has not been sent");
    transmission_settle(&queue, 1, TRANSMISSION_RESET);
    cr_expect_str_eq(on_air, "ab");
    cr_expect_eq(idles, 0);
    transmission_settle(&queue, 2, TRANSMISSION_ACKNOWLEDGED);
    cr_expect_eq(idles, 1);
}

Test(transmission, what_waits_behind_one_that_is_given_up_goes_too)
{
    for (uint16_t id = 1; id <= 5; id++)
        send_text("x", id, NULL);
    for (int s = 0; s < 93; s++)
        pass_ms(1000);
    cr_expect_eq(dones, 5);
    cr_expect_str_eq(on_air, "xxxxx");
    cr_expect_eq(metrics.values[METRIC_COAP_GIVEN_UP], 1);
}

Test(transmission, a_repetition_may_carry_other_bytes)
{
    struct transmission *transmission;
    transmission = send_text("a", 1, &transmission);
    pass_ms(3000);
    cr_expect_str_eq(on_air, "an");
    cr_expect(!transmission_settle(&queue, 1, TRANSMISSION_ACKNOWLEDGED));
    cr_expect(transmission_settle(&queue, 99, TRANSMISSION_ACKNOWLEDGED));
}

Test(transmission, cancelled_and_disowned_ones_tell_nobody)
{
    struct transmission *first = send_text("a", 1, NULL);
    struct transmission *second = send_text("b", 2, NULL);
    transmission_cancel(first);
    cr_expect_str_eq(on_air, "a", "who cancels does not send");
    pass_ms(0);
    cr_expect_str_eq(on_air, "ab");
    transmission_disown(second);
    pass_ms(3000);
    cr_expect_str_eq(on_air, "abb");
    transmission_settle(&queue, 2, TRANSMISSION_ACKNOWLEDGED);
    cr_expect_eq(dones, 0);
    cr_expect_eq(refreshes, 0);
}
