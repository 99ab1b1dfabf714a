// SPDX-License-Identifier: GPL-3.0-or-later
/* Observation: who is told, when, how, and how it ends (RFC 7641, M13 to M15). */
#include "gateway/observe.h"
#include "tests/unit/gateway/wire.h"

#define CONTENT 0x45
#define OBSERVE_ME "41011001 aa 60 53 6f6273"
#define DEREGISTER "41011002 aa 6101 53 6f6273"

static void open_observable(void)
{
    wire_open();
    wire.response = response_of(OUTCOME_CONTENT);
    wire.response.observable = true;
    wire.answer_bytes = 4;
}

TestSuite(observe, .init = open_observable, .fini = wire_close);

static void change(const char *tenant, const char *device)
{
    coap_wire_changed(wire.coap, bytes_of_text(tenant), bytes_of_text(device));
    pass_ms(0);
}

static void signal_of(struct peer *peer, uint8_t first, uint16_t id)
{
    uint8_t octets[4] = {first, 0, (uint8_t)(id >> 8), (uint8_t)id};
    receive_bytes(peer, octets, sizeof octets);
}

static void acknowledge(struct peer *peer, uint16_t id)
{
    signal_of(peer, 0x60, id);
}

static void reset(struct peer *peer, uint16_t id)
{
    signal_of(peer, 0x70, id);
}

/* Registers with the token aa; returns the first Observe value. */
static int32_t observe(struct peer *peer)
{
    receive(peer, OBSERVE_ME);
    struct message answer = sent_message();
    cr_assert_eq(answer.type, MESSAGE_ACK);
    cr_assert_geq(answer.observe, 0);
    return answer.observe;
}

Test(observe, a_change_makes_a_notification)
{
    struct peer *peer = wire_peer(1);
    int32_t first = observe(peer);
    cr_expect(wire.last_observe);
    cr_expect(coap_wire_has_observers(wire.coap));
    cr_expect(coap_wire_peer_is_busy(peer));
    wire.answer_bytes = 6;
    change("t", "d");
    struct message notification = sent_message();
    cr_expect_eq(notification.type, MESSAGE_CON, "the first wants to know whether anybody is there");
    cr_expect_eq(notification.code, CONTENT);
    cr_expect_eq(notification.token.octets[0], 0xaa);
    cr_expect_eq(notification.payload.len, 6);
    cr_expect_gt(notification.observe, first);
    cr_expect_str_eq(wire.last_path, "/obs");
    cr_expect_str_eq(wire.last_who.device, "d");
    acknowledge(peer, notification.id);
    cr_expect_eq(metric(METRIC_NOTIFICATIONS), 1);
    cr_expect_eq(metric(METRIC_OBSERVERS), 1);
    wire_peer_free(peer);
    cr_expect(!coap_wire_has_observers(wire.coap));
    cr_expect_eq(metric(METRIC_OBSERVERS), 0);
}

Test(observe, changes_of_others_are_not_told)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    change("t", "other");
    change("u", "d");
    expect_sent("");
    wire_peer_free(peer);
}

Test(observe, an_operator_observes_the_tenant_or_one_device)
{
    struct peer *all = wire_peer(1), *one = wire_peer(2);
    all->who.kind = one->who.kind = IDENTITY_OPERATOR;
    all->who.device[0] = one->who.device[0] = '\0';
    observe(all);
    receive(one, "41011003 bb 60 53 6f6273 48 6465766963653d64"); /* ?device=d */
    cr_expect_geq(sent_message().observe, 0);
    cr_expect_str_eq(wire.last_query, "[device|d]");
    change("t", "x");
    struct message told = sent_message();
    cr_expect_eq(wire.sent[0].peer, all);
    acknowledge(all, told.id);
    pass_ms(1000);
    change("t", "d");
    cr_expect_eq(wire.sent_count, 2);
    change("u", "d");
    cr_expect_eq(wire.sent_count, 2);
    wire_peer_free(all);
    wire_peer_free(one);
}

Test(observe, many_changes_make_one_notification_with_the_newest_state)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    for (int i = 0; i < 100; i++)
        coap_wire_changed(wire.coap, BYTES_LITERAL("t"), BYTES_LITERAL("d"));
    wire.answer_bytes = 9;
    pass_ms(0);
    struct message notification = sent_message();
    cr_expect_eq(notification.payload.len, 9);
    wire_peer_free(peer);
}

Test(observe, non_confirmable_ones_are_a_second_apart_and_every_sixteenth_is_confirmable)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    unsigned confirmable = 0, count = 0;
    uint64_t last = 0;
    int32_t sequence = -1;
    for (int ms = 0; ms < 40000; ms += 10) {
        change("t", "d");
        pass_ms(10);
        if (wire.sent_count) {
            struct message notification = sent_message();
            if (notification.type == MESSAGE_CON) {
                cr_expect_eq(count % OBSERVE_CON_EVERY, 0, "%u", count);
                confirmable++;
                acknowledge(peer, notification.id);
            }
            cr_expect(count == 0 || wire.now_ms - last >= OBSERVE_NON_MS - 10);
            cr_expect_gt(notification.observe, sequence);
            sequence = notification.observe;
            last = wire.now_ms;
            count++;
        }
    }
    cr_expect(count >= 38 && count <= 41, "%u", count);
    cr_expect_eq(confirmable, 3);
    wire_peer_free(peer);
}

Test(observe, the_last_state_is_delivered)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    change("t", "d");
    acknowledge(peer, sent_message().id);
    wire.answer_bytes = 77;
    change("t", "d");
    expect_sent("");
    pass_ms(1000);
    cr_expect_eq(sent_message().payload.len, 77, "told when the pause is over");
    pass_ms(10000);
    expect_sent("");
    wire_peer_free(peer);
}

Test(observe, a_slow_peer_is_told_less_often)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    change("t", "d");
    uint16_t id = sent_message().id;
    pass_ms(1800);
    acknowledge(peer, id);
    change("t", "d");
    cr_expect_eq(sent_message().type, MESSAGE_NON, "the round trip of 1.8 s is over");
    change("t", "d");
    pass_ms(1799);
    expect_sent("");
    pass_ms(1);
    cr_expect_eq(sent_message().type, MESSAGE_NON);
    wire_peer_free(peer);
}

Test(observe, the_newest_state_rides_on_the_repetition)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    change("t", "d");
    uint16_t first = sent_message().id;
    wire.answer_bytes = 50;
    change("t", "d");
    expect_sent("");
    pass_ms(3000);
    struct message second = sent_message();
    cr_expect_eq(second.type, MESSAGE_CON);
    cr_expect_eq(second.payload.len, 50);
    cr_expect_neq(second.id, first, "another message has another ID");
    acknowledge(peer, first);
    pass_ms(6000);
    cr_expect_eq(sent_message().id, second.id, "the newer one is not acknowledged yet");
    acknowledge(peer, second.id);
    pass_ms(60000);
    expect_sent("");
    cr_expect(coap_wire_has_observers(wire.coap));
    wire_peer_free(peer);
}

Test(observe, a_peer_that_never_acknowledges_is_forgotten)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    receive(peer, "41011003 bb 60 53 6f6273");
    sent();
    change("t", "d");
    unsigned count = 0;
    for (int ms = 0; ms < 100000; ms += 10) {
        change("t", "d");
        pass_ms(10);
        count += (unsigned)wire.sent_count;
        for (size_t i = 0; i < wire.sent_count; i++)
            cr_expect_eq(wire.sent[i].octets[0] >> 4 & 3, MESSAGE_CON);
        wire.sent_count = 0;
    }
    cr_expect_eq(count, 1 + TRANSMISSION_REPEATS, "NSTART: one observation at a time, four repetitions");
    cr_expect(!coap_wire_has_observers(wire.coap), "both registrations are gone");
    cr_expect(!coap_wire_peer_is_busy(peer));
    wire_peer_free(peer);
}

Test(observe, a_reset_ends_it)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    change("t", "d");
    reset(peer, sent_message().id);
    cr_expect(!coap_wire_has_observers(wire.coap));
    cr_expect(!coap_wire_peer_is_busy(peer));
    wire_peer_free(peer);
}

Test(observe, a_reset_of_a_recent_non_confirmable_notification_ends_it)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    change("t", "d");
    acknowledge(peer, sent_message().id);
    pass_ms(1000);
    change("t", "d");
    struct message notification = sent_message();
    cr_expect_eq(notification.type, MESSAGE_NON);
    pass_ms(1000);
    change("t", "d");
    sent();
    reset(peer, (uint16_t)(notification.id + 100));
    cr_expect(coap_wire_has_observers(wire.coap));
    reset(peer, notification.id);
    cr_expect(!coap_wire_has_observers(wire.coap));
    wire_peer_free(peer);
}

Test(observe, deregistration_is_answered_without_observe)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    receive(peer, "41011003 ab 6101 53 6f6273");
    cr_expect_eq(sent_message().observe, -1);
    cr_expect(coap_wire_has_observers(wire.coap), "another token");
    receive(peer, "41011004 aa 53 6f6273");
    sent();
    cr_expect(coap_wire_has_observers(wire.coap), "a plain GET changes nothing");
    receive(peer, DEREGISTER);
    struct message answer = sent_message();
    cr_expect_eq(answer.code, CONTENT);
    cr_expect_eq(answer.observe, -1);
    cr_expect(!coap_wire_has_observers(wire.coap));
    change("t", "d");
    expect_sent("");
    wire_peer_free(peer);
}

Test(observe, the_same_token_again_is_one_registration)
{
    struct peer *peer = wire_peer(1);
    int32_t first = observe(peer);
    receive(peer, "41011009 aa 60 53 6f6273");
    cr_expect_gt(sent_message().observe, first);
    cr_expect_eq(metric(METRIC_OBSERVERS), 1);
    wire_peer_free(peer);
}

Test(observe, other_values_and_methods_are_no_registration)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "41011001 aa 6102 53 6f6273");
    cr_expect_eq(sent_message().observe, -1);
    receive(peer, "41021002 aa 60 53 6f6273");
    cr_expect_eq(sent_message().observe, -1);
    wire.response.observable = false;
    receive(peer, "41011003 aa 60 53 6f6273");
    cr_expect_eq(sent_message().observe, -1);
    cr_expect(!coap_wire_has_observers(wire.coap));
    wire_peer_free(peer);
}

Test(observe, a_registration_that_fails_ends_the_old_one)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    wire.response = response_of(OUTCOME_NOT_FOUND);
    receive(peer, "41011009 aa 60 53 6f6273");
    cr_expect_eq(sent_message().code, 0x84);
    cr_expect(!coap_wire_has_observers(wire.coap));
    wire_peer_free(peer);
}

Test(observe, an_error_is_the_last_notification)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    wire.response = response_of(OUTCOME_NOT_FOUND);
    wire.answer_bytes = 0;
    change("t", "d");
    struct message last = sent_message();
    cr_expect_eq(last.code, 0x84);
    cr_expect_eq(last.observe, -1);
    cr_expect_eq(last.type, MESSAGE_CON);
    cr_expect(!coap_wire_has_observers(wire.coap));
    acknowledge(peer, last.id);
    cr_expect(!coap_wire_peer_is_busy(peer));
    wire_peer_free(peer);
}

Test(observe, an_error_while_one_is_in_flight_takes_its_place)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    change("t", "d");
    sent();
    wire.response = response_of(OUTCOME_NOT_FOUND);
    change("t", "d");
    pass_ms(3000);
    struct message last = sent_message();
    cr_expect_eq(last.code, 0x84);
    cr_expect(!coap_wire_has_observers(wire.coap));
    acknowledge(peer, last.id);
    pass_ms(100000);
    expect_sent("");
    wire_peer_free(peer);
}

Test(observe, a_device_that_may_no_longer_read_is_told_so)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    peer->who.kind = IDENTITY_NONE;
    wire.response = response_of(OUTCOME_UNAUTHENTICATED);
    change("t", "d");
    cr_expect_eq(wire.last_who.kind, IDENTITY_NONE, "the identity of now, not of then");
    cr_expect_eq(sent_message().code, 0x81);
    cr_expect(!coap_wire_has_observers(wire.coap));
    wire_peer_free(peer);
}

Test(observe, a_silent_day_ends_with_a_confirmable_notification)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    for (int hour = 0; hour < 24; hour++) {
        expect_sent("");
        pass_ms(3600 * 1000);
    }
    struct message notification = sent_message();
    cr_expect_eq(notification.type, MESSAGE_CON);
    acknowledge(peer, notification.id);
    pass_ms(OBSERVE_CON_MS);
    cr_expect_eq(sent_message().type, MESSAGE_CON);
    wire_peer_free(peer);
}

Test(observe, one_peer_has_so_many_and_is_answered_all_the_same)
{
    struct peer *peer = wire_peer(1);
    for (unsigned i = 0; i < 1000; i++) {
        struct draft request = draft(MESSAGE_CON, METHOD_GET, (uint16_t)i);
        message_put_uint(&request.writer, MESSAGE_OBSERVE, 0);
        message_put(&request.writer, MESSAGE_URI_PATH, BYTES_LITERAL("obs"));
        receive_draft(peer, &request);
        struct message answer = sent_message();
        cr_expect_eq(answer.code, CONTENT);
        cr_expect_eq(answer.observe >= 0, i < 8);
    }
    cr_expect_eq(metric(METRIC_OBSERVERS), 8);
    wire_peer_free(peer);
}

Test(observe, the_worker_has_so_many)
{
    struct peer *peers[300];
    wire.settings.observers_max = 250;
    for (uint16_t i = 0; i < 300; i++) {
        peers[i] = wire_peer((uint16_t)(i + 1));
        snprintf(peers[i]->who.device, sizeof peers[i]->who.device, "d%u", i);
        receive(peers[i], OBSERVE_ME);
        cr_expect_eq(sent_message().observe >= 0, i < 250);
    }
    change("t", "d249");
    cr_expect_eq(wire.sent_count, 1, "found after the table has grown");
    for (uint16_t i = 0; i < 300; i++)
        wire_peer_free(peers[i]);
    cr_expect_eq(metric(METRIC_OBSERVERS), 0);
}

Test(observe, confirmable_notifications_of_one_peer_wait_for_each_other)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    receive(peer, "41011003 bb 60 53 6f6273");
    sent();
    change("t", "d");
    struct message first = sent_message();
    acknowledge(peer, first.id);
    pass_ms(0);
    struct message second = sent_message();
    cr_expect_neq(first.token.octets[0], second.token.octets[0]);
    cr_expect_eq(second.type, MESSAGE_CON);
    acknowledge(peer, second.id);
    pass_ms(60000);
    expect_sent("");
    wire_peer_free(peer);
}

Test(observe, an_observer_that_goes_lets_the_next_be_told)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    receive(peer, "41011003 bb 60 53 6f6273");
    sent();
    change("t", "d");
    struct message first = sent_message();
    reset(peer, first.id);
    pass_ms(0);
    cr_expect_neq(sent_message().token.octets[0], first.token.octets[0]);
    wire_peer_free(peer);
}

Test(observe, notifications_are_cut_and_only_the_first_piece_is_sent)
{
    struct peer *peer = wire_peer(1);
    wire.answer_bytes = 200;
    receive(peer, "41011001 aa 60 53 6f6273 c101"); /* Block2 0/0/32 */
    cr_expect_eq(sent_message().payload.len, 32);
    change("t", "d");
    struct message notification = sent_message();
    cr_expect_eq(notification.payload.len, 32);
    cr_expect_eq(notification.block2, 8 | 1);
    cr_expect_eq(notification.etag_count, 1);
    receive(peer, "41011002 ab 60 53 6f6273 c111"); /* the next piece is no registration */
    cr_expect_eq(sent_message().observe, -1);
    cr_expect_eq(metric(METRIC_OBSERVERS), 1);
    wire_peer_free(peer);
}

Test(observe, answers_that_take_time_are_not_mixed_up)
{
    struct peer *peer = wire_peer(1);
    observe(peer);
    wire.hold = true;
    change("t", "d");
    change("t", "d");
    expect_sent("");
    cr_expect_eq(wire.held_count, 1, "one at a time");
    wire_let_go();
    struct message first = sent_message();
    acknowledge(peer, first.id);
    pass_ms(1000);
    cr_expect_eq(wire.held_count, 1, "the change in between");
    receive(peer, DEREGISTER);
    wire_let_go();
    expect_sent("");
    wire_let_go();
    cr_expect_eq(sent_message().observe, -1);
    wire.hold = false;
    receive(peer, "41011009 aa 60 53 6f6273");
    sent();
    wire.hold = true;
    change("t", "d");
    wire_peer_free(peer);
    wire_let_go();
    expect_sent("");
}

Test(observe, sequence_numbers_rise_within_24_bits)
{
    struct peer *peer = wire_peer(1);
    wire.now_ms = (1ULL << 24) - 4000;
    pass_ms(0);
    uint32_t last = (uint32_t)observe(peer);
    for (int i = 0; i < 10; i++) {
        change("t", "d");
        struct message notification = sent_message();
        if (notification.type == MESSAGE_CON)
            acknowledge(peer, notification.id);
        uint32_t value = (uint32_t)notification.observe;
        cr_expect(value < 1U << 24);
        cr_expect(((value - last) & 0xffffff) < 1U << 23 && value != last, "fresh by RFC 7641 3.4");
        last = value;
        pass_ms(1000);
    }
    wire_peer_free(peer);
}

Test(observe, an_unverified_peer_must_prove_its_address_first)
{
    struct peer *peer = wire_peer(1);
    peer->secure = peer->verified = false;
    receive(peer, OBSERVE_ME);
    struct message answer = sent_message();
    cr_expect_eq(answer.code, 0x81);
    cr_expect_eq(answer.echo.len, 12);
    cr_expect(!coap_wire_has_observers(wire.coap));
    wire_peer_free(peer);
}
