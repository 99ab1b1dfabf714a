// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The message layer as peers see it: repetitions (M2 to M5), acknowledgement in time and late, separate answers and
 * their repetition (M15), limits and eviction, pings (M20).
 */
#include "gateway/exchange.h"
#include "tests/unit/gateway/wire.h"

#define POST_1 "41021234 aa b36f6273 ff 31"
#define POST_2 "41021234 bb b36f6273 ff 32" /* the same message ID */

TestSuite(exchange, .init = wire_open, .fini = wire_close);

Test(exchange, a_confirmable_request_is_answered_in_the_ack)
{
    struct peer *peer = wire_peer(1);
    receive(peer, POST_1);
    expect_sent("61441234aa");
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(exchange, repetitions_get_the_same_bytes_for_247_s)
{
    struct peer *peer = wire_peer(1);
    wire.response.etag = (struct etag){{1, 2, 3, 4}, 4};
    wire.answer_bytes = 40;
    for (int i = 0; i < 5; i++)
        receive(peer, POST_1);
    char first[2048];
    snprintf(first, sizeof first, "%.*s", (int)(wire.sent[0].len * 2), sent());
    cr_expect_eq(wire.dispatched, 1);
    receive(peer, "41021235 ab b36f6273 ff 31");
    cr_expect_eq(wire.dispatched, 2);
    sent();
    pass_ms(246999);
    wire.answer_bytes = 3; /* would be another answer */
    receive(peer, POST_1);
    expect_sent(first);
    cr_expect_eq(wire.dispatched, 2);
    cr_expect_eq(metric(METRIC_COAP_DUPLICATES), 5);
    pass_ms(2000);
    receive(peer, POST_1);
    cr_expect_eq(wire.dispatched, 3, "after EXCHANGE_LIFETIME it is a new message");
    wire_peer_free(peer);
}

Test(exchange, all_five_answers_are_equal)
{
    struct peer *peer = wire_peer(1);
    wire.answer_bytes = 40;
    for (int i = 0; i < 5; i++)
        receive(peer, "44021234 61626364 b16f10 ff 68656c6c6f");
    cr_assert_eq(wire.sent_count, 5);
    for (int i = 1; i < 5; i++)
        cr_expect(wire.sent[i].len == wire.sent[0].len &&
                  memcmp(wire.sent[i].octets, wire.sent[0].octets, wire.sent[0].len) == 0);
    wire_peer_free(peer);
}

/* Answers of every length around what fits into a record come back as they were. */
Test(exchange, answers_of_all_lengths_are_remembered)
{
    struct peer *peer = wire_peer(1);
    wire.response.outcome = OUTCOME_CONTENT;
    uint16_t id = 1;
    for (size_t token_len = 0; token_len <= 8; token_len++)
        for (size_t body = 0; body < 12; body++, id++) {
            uint8_t request[4 + 8 + 4] = {(uint8_t)(0x40 | token_len), 1, (uint8_t)(id >> 8), (uint8_t)id, 9, 8, 7, 6,
                                          5, 4, 3, 2};
            memcpy(request + 4 + token_len, "\xb3obs", 4);
            wire.answer_bytes = body;
            receive_bytes(peer, request, 8 + token_len);
            receive_bytes(peer, request, 8 + token_len);
            cr_assert_eq(wire.sent_count, 2);
            cr_expect(wire.sent[0].len == wire.sent[1].len &&
                          memcmp(wire.sent[0].octets, wire.sent[1].octets, wire.sent[0].len) == 0,
                      "token %zu, body %zu", token_len, body);
            cr_expect_eq(wire.sent[0].len, 4 + token_len + (body ? 2 + body : 0));
            sent();
        }
    wire_peer_free(peer);
}

Test(exchange, the_same_id_with_other_bytes_is_a_new_request)
{
    struct peer *peer = wire_peer(1);
    receive(peer, POST_1);
    expect_sent("61441234aa");
    receive(peer, POST_2);
    expect_sent("61441234bb");
    cr_expect_eq(wire.dispatched, 2);
    cr_expect_eq(metric(METRIC_COAP_MID_REUSED), 1);
    receive(peer, POST_2);
    expect_sent("61441234bb");
    receive(peer, POST_1);
    expect_sent("61441234aa");
    cr_expect_eq(wire.dispatched, 2);
    wire_peer_free(peer);
}

Test(exchange, the_same_id_of_another_peer_is_another_exchange)
{
    struct peer *one = wire_peer(1), *two = wire_peer(2);
    receive(one, POST_1);
    receive(two, POST_1);
    cr_expect_eq(wire.dispatched, 2);
    wire_peer_free(one);
    wire_peer_free(two);
}

Test(exchange, non_confirmable_requests_are_answered_by_non_once)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "51021234 aa b36f6273 ff 31");
    struct message answer = sent_message();
    cr_expect_eq(answer.type, MESSAGE_NON);
    cr_expect_eq(answer.code, 0x44);
    cr_expect_eq(answer.token.octets[0], 0xaa);
    receive(peer, "51021234 aa b36f6273 ff 31");
    expect_sent("");
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(exchange, a_repetition_under_way_waits_in_silence_then_gets_empty_acks)
{
    struct peer *peer = wire_peer(1);
    wire.hold = true;
    receive(peer, POST_1);
    receive(peer, POST_1);
    expect_sent("");
    pass_ms(1499);
    receive(peer, POST_1);
    expect_sent("");
    pass_ms(1);
    expect_sent("60001234");
    receive(peer, POST_1);
    expect_sent("60001234");
    cr_expect_eq(wire.dispatched, 1);
    cr_expect_eq(metric(METRIC_COAP_EMPTY_ACK), 1);
    wire_let_go();
    struct message answer = sent_message();
    cr_expect_eq(answer.type, MESSAGE_CON, "one answer, separate");
    cr_expect_eq(answer.code, 0x44);
    cr_expect_eq(answer.token.octets[0], 0xaa);
    receive(peer, POST_1);
    expect_sent("60001234");
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(exchange, an_answer_in_time_after_a_repetition_is_piggybacked)
{
    struct peer *peer = wire_peer(1);
    wire.hold = true;
    receive(peer, POST_1);
    pass_ms(1000);
    receive(peer, POST_1);
    wire_let_go();
    expect_sent("61441234aa");
    wire_peer_free(peer);
}

/* Lets a request be answered separately; returns the message ID of the answer. */
static uint16_t answer_separately(struct peer *peer, const char *request)
{
    wire.hold = true;
    receive(peer, request);
    pass_ms(1500);
    sent();
    wire_let_go();
    struct message answer = sent_message();
    cr_assert_eq(answer.type, MESSAGE_CON);
    return answer.id;
}

static void acknowledge(struct peer *peer, uint16_t id)
{
    uint8_t ack[4] = {0x60, 0, (uint8_t)(id >> 8), (uint8_t)id};
    receive_bytes(peer, ack, sizeof ack);
}

static void reset(struct peer *peer, uint16_t id)
{
    uint8_t rst[4] = {0x70, 0, (uint8_t)(id >> 8), (uint8_t)id};
    receive_bytes(peer, rst, sizeof rst);
}

Test(exchange, a_separate_answer_is_repeated_four_times_within_45_s)
{
    struct peer *peer = wire_peer(1);
    answer_separately(peer, POST_1);
    uint8_t first[64];
    memcpy(first, wire.sent[0].octets, wire.sent[0].len);
    uint64_t gaps[8];
    size_t count = 0;
    for (uint64_t ms = 0, last = 0; ms <= 100000; ms++) {
        pass_ms(1);
        if (wire.sent_count == 0)
            continue;
        cr_assert_lt(count, COUNT_OF(gaps));
        cr_expect_arr_eq(wire.sent[0].octets, first, wire.sent[0].len, "the same bytes");
        gaps[count++] = ms - last;
        last = ms;
        sent();
    }
    cr_assert_eq(count, 4);
    cr_expect(gaps[0] + 1 >= 2000 && gaps[0] <= 3000, "%lu", (unsigned long)gaps[0]);
    for (size_t i = 1; i < count; i++)
        cr_expect(gaps[i] + 2 >= 2 * gaps[i - 1] && gaps[i] <= 2 * gaps[i - 1] + 2);
    cr_expect_leq(gaps[0] + gaps[1] + gaps[2] + gaps[3], 45000);
    cr_expect_eq(metric(METRIC_COAP_RETRANSMITTED), 4);
    cr_expect_eq(metric(METRIC_COAP_GIVEN_UP), 1);
    cr_expect(!coap_wire_peer_is_busy(peer));
    wire_peer_free(peer);
}

Test(exchange, an_ack_or_a_reset_ends_the_repetition)
{
    struct peer *peer = wire_peer(1);
    uint16_t id = answer_separately(peer, POST_1);
    cr_expect(coap_wire_peer_is_busy(peer));
    acknowledge(peer, (uint16_t)(id + 1));
    cr_expect(coap_wire_peer_is_busy(peer), "an ACK for something else");
    acknowledge(peer, id);
    cr_expect(!coap_wire_peer_is_busy(peer));
    id = answer_separately(peer, "41021235 ab b36f6273");
    reset(peer, id);
    pass_ms(100000);
    expect_sent("");
    cr_expect_eq(metric(METRIC_COAP_RETRANSMITTED), 0);
    wire_peer_free(peer);
}

Test(exchange, one_unacknowledged_message_at_a_time)
{
    struct peer *peer = wire_peer(1);
    wire.hold = true;
    receive(peer, "41021001 01 b36f6273");
    receive(peer, "41021002 02 b36f6273");
    receive(peer, "41021003 03 b36f6273");
    pass_ms(1500);
    sent();
    for (int i = 0; i < 3; i++)
        wire_let_go();
    for (uint8_t token = 1; token <= 3; token++) {
        struct message answer = sent_message();
        cr_expect_eq(answer.token.octets[0], token);
        acknowledge(peer, answer.id);
    }
    expect_sent("");
    wire_peer_free(peer);
}

Test(exchange, a_device_that_never_acknowledges_has_a_bounded_queue)
{
    struct peer *peer = wire_peer(1);
    wire.hold = true;
    for (unsigned i = 0; i < 40; i++) {
        struct draft request = draft(MESSAGE_CON, METHOD_POST, (uint16_t)(0x2000 + i));
        receive_draft(peer, &request);
    }
    cr_expect_eq(wire.dispatched, EXCHANGE_UNDER_WAY_MAX);
    cr_expect_eq(wire.sent_count, 40 - EXCHANGE_UNDER_WAY_MAX);
    /* 4.29 with Max-Age 5 */
    cr_expect_eq(wire.sent[0].octets[1], 0x9d);
    sent();
    pass_ms(1500);
    sent();
    while (wire.held_count)
        wire_let_go();
    cr_expect_eq(wire.sent_count, 1, "NSTART");
    struct draft more = draft(MESSAGE_CON, METHOD_POST, 0x3000);
    sent();
    receive_draft(peer, &more);
    cr_expect_eq(sent_message().code, 0x9d);
    struct draft again = draft(MESSAGE_CON, METHOD_POST, 0x3000);
    receive_draft(peer, &again);
    cr_expect_eq(sent_message().code, 0x9d, "the refusal is remembered");
    for (int s = 0; s < 100; s++)
        pass_ms(1000);
    cr_expect_eq(wire.sent_count, TRANSMISSION_REPEATS);
    cr_expect(!coap_wire_peer_is_busy(peer), "all were given up with the first");
    wire_peer_free(peer);
}

Test(exchange, an_answer_that_never_comes_is_503)
{
    struct peer *peer = wire_peer(1);
    wire.hold = true;
    receive(peer, POST_1);
    pass_ms(1500);
    expect_sent("60001234");
    pass_ms(58499);
    expect_sent("");
    pass_ms(1);
    struct message answer = sent_message();
    cr_expect_eq(answer.code, 0xa3);
    cr_expect_eq(answer.type, MESSAGE_CON);
    acknowledge(peer, answer.id);
    wire_let_go();
    expect_sent("");
    cr_expect(!coap_wire_peer_is_busy(peer));
    wire_peer_free(peer);
}

Test(exchange, a_peer_that_goes_takes_its_answers_along)
{
    struct peer *peer = wire_peer(1);
    answer_separately(peer, "41021235 ab b36f6273");
    receive(peer, POST_1);
    receive(peer, "51021236 aa b36f6273");
    sent();
    wire_peer_free(peer);
    pass_ms(100000);
    while (wire.held_count)
        wire_let_go();
    expect_sent("");
}

Test(exchange, a_peer_keeps_so_many_and_forgets_its_own_oldest)
{
    struct peer *peer = wire_peer(1);
    wire.settings.exchanges_per_peer = 8;
    for (uint16_t id = 1; id <= 9; id++) {
        struct draft request = draft(MESSAGE_CON, METHOD_POST, id);
        receive_draft(peer, &request);
    }
    cr_expect_eq(wire.dispatched, 9);
    cr_expect_eq(metric(METRIC_COAP_EXCHANGE_EVICTED), 1);
    for (uint16_t id = 9; id >= 2; id--) {
        struct draft request = draft(MESSAGE_CON, METHOD_POST, id);
        receive_draft(peer, &request);
    }
    cr_expect_eq(wire.dispatched, 9, "eight are remembered");
    struct draft request = draft(MESSAGE_CON, METHOD_POST, 1);
    receive_draft(peer, &request);
    cr_expect_eq(wire.dispatched, 10);
    wire_peer_free(peer);
}

Test(exchange, all_65536_ids_of_one_peer_take_bounded_memory)
{
    struct peer *peer = wire_peer(1);
    for (uint32_t id = 0; id < 65536; id++) {
        struct draft request = draft(MESSAGE_CON, METHOD_POST, (uint16_t)id);
        receive_draft(peer, &request);
        wire.sent_count = 0;
    }
    cr_expect_eq(wire.dispatched, 65536);
    cr_expect_eq(metric(METRIC_COAP_EXCHANGE_EVICTED), 65536 - wire.settings.exchanges_per_peer);
    wire_peer_free(peer);
}

Test(exchange, the_worker_keeps_so_many_and_forgets_the_oldest)
{
    struct peer *peers[70];
    wire.settings.exchanges_max = 64;
    for (uint16_t i = 0; i < 70; i++) {
        peers[i] = wire_peer((uint16_t)(i + 1));
        receive(peers[i], POST_1);
    }
    cr_expect_eq(wire.dispatched, 70);
    cr_expect_eq(metric(METRIC_COAP_EXCHANGE_EVICTED), 6);
    receive(peers[69], POST_1);
    receive(peers[6], POST_1);
    cr_expect_eq(wire.dispatched, 70, "what is remembered is answered");
    receive(peers[0], POST_1);
    cr_expect_eq(wire.dispatched, 71, "the first was forgotten");
    for (uint16_t i = 0; i < 70; i++)
        wire_peer_free(peers[i]);
}

Test(exchange, what_is_under_way_is_never_forgotten)
{
    struct peer *peers[80];
    wire.settings.exchanges_max = 64;
    wire.hold = true;
    for (uint16_t i = 0; i < 80; i++) {
        peers[i] = wire_peer((uint16_t)(i + 1));
        receive(peers[i], i % 2 ? "51021234 aa b36f6273" : POST_1);
    }
    cr_expect_eq(wire.dispatched, 64);
    cr_expect_eq(wire.sent_count, 8, "CON gets 5.03, NON silence");
    cr_expect_eq(wire.sent[0].octets[1], 0xa3);
    sent();
    for (uint16_t i = 0; i < 64; i++)
        receive(peers[i], i % 2 ? "51021234 aa b36f6273" : POST_1);
    cr_expect_eq(wire.dispatched, 64);
    while (wire.held_count)
        wire_let_go();
    for (uint16_t i = 0; i < 80; i++)
        wire_peer_free(peers[i]);
}

/* Large answers to GETs, which are kept as bytes: the budget holds, and who loses its answer loses no exactness. */
Test(exchange, stored_answers_have_a_budget)
{
    struct peer *peers[100];
    wire.settings.exchanges_max = 100;
    wire.answer_bytes = 1000;
    wire.response.outcome = OUTCOME_CONTENT;
    for (uint16_t i = 0; i < 100; i++) {
        peers[i] = wire_peer((uint16_t)(i + 1));
        receive(peers[i], "41011234 aa b36f6273");
    }
    cr_expect_geq(metric(METRIC_COAP_EXCHANGE_EVICTED), 100 - 100 * EXCHANGE_STORED_BYTES_EACH / 1000);
    wire.sent_count = 0;
    receive(peers[99], "41011234 aa b36f6273");
    cr_expect_eq(wire.dispatched, 100);
    for (uint16_t i = 0; i < 100; i++)
        wire_peer_free(peers[i]);
}

Test(exchange, silent_peers_are_forgotten)
{
    struct peer *peer = wire_peer(1);
    receive(peer, POST_1);
    cr_expect_not_null(peer->messages);
    for (int i = 0; i < 2 * 249; i++)
        pass_ms(1000);
    cr_expect_null(peer->messages);
    receive(peer, POST_1);
    cr_expect_eq(wire.dispatched, 2);
    wire_peer_free(peer);
}

/* Design, section 1: a device that speaks once a minute has four to five answers to remember. */
Test(exchange, a_finished_exchange_takes_32_bytes)
{
    struct timers *timers = timers_new(0);
    struct exchange_environment env = {.timers = timers, .settings = &wire.settings, .metrics = &wire.metrics};
    struct exchange_table *table = exchange_table_new(&env);
    struct peer *peer = wire_peer(1);
    exchange_attach(table, peer);
    size_t before = exchange_memory_bytes(table);
    for (uint16_t minute = 0; minute < 30; minute++) {
        timers_advance(timers, minute * 60000ULL);
        struct message request = {.type = MESSAGE_CON, .id = minute, .token.len = 4};
        struct exchange exchange;
        struct message_writer writer;
        message_writer_init(&writer);
        cr_assert_eq(exchange_begin(table, peer, &request, minute, &exchange), EXCHANGE_BEGUN);
        exchange_answer(&exchange, 0x44, &writer, true);
    }
    cr_expect_eq(exchange_remembered(table), 5);
    cr_expect_leq(exchange_memory_bytes(table) - before, 5 * 32);
    exchange_peer_gone(table, peer);
    exchange_table_free(table);
    timers_free(timers);
    free(peer);
}

Test(exchange, pings_are_answered_four_times_a_second)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "40001234");
    expect_sent("70001234");
    for (int i = 0; i < 100; i++)
        receive(peer, "40001235");
    expect_sent("70001235 70001235 70001235");
    pass_ms(1000);
    receive(peer, "40001236");
    expect_sent("70001236");
    cr_expect_eq(metric(METRIC_COAP_PING), 102);
    wire_peer_free(peer);
}

Test(exchange, floods_of_acks_and_resets_do_nothing)
{
    struct peer *peer = wire_peer(1);
    for (int i = 0; i < 1000; i++) {
        acknowledge(peer, (uint16_t)i);
        reset(peer, (uint16_t)i);
    }
    expect_sent("");
    cr_expect_null(peer->messages);
    wire_peer_free(peer);
}

/* Message IDs of ours do not repeat within a lifetime of the peer's 65,536. */
Test(exchange, our_ids_rise_by_one)
{
    struct peer *peer = wire_peer(1);
    uint16_t last = 0;
    for (uint16_t id = 0; id < 100; id++) {
        struct draft request = draft(MESSAGE_NON, METHOD_POST, id);
        receive_draft(peer, &request);
        uint16_t now = sent_message().id;
        cr_expect(id == 0 || now == (uint16_t)(last + 1));
        last = now;
    }
    wire_peer_free(peer);
}
