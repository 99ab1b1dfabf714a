// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Block-wise transfer: bodies whole or not at all, memory by what arrived, the vectors of the issue (M6 to M11), and
 * pieces of long answers.
 */
#include "gateway/block.h"
#include "tests/unit/gateway/wire.h"

TestSuite(block, .init = wire_open, .fini = wire_close);

#define CONTINUE 0x5f
#define CHANGED 0x44
#define BAD_REQUEST 0x80
#define INCOMPLETE 0x88
#define TOO_LARGE 0x8d
#define UNAVAILABLE 0xa3

struct upload {
    uint16_t id;
    const char *path;
    const char *tag; /* Request-Tag; NULL: none */
    uint8_t szx;
    int64_t size1; /* -1: none */
    enum method method;
    enum message_type type;
};

static const struct upload plain_upload = {.id = 1, .path = "o", .szx = 0, .size1 = -1, .method = METHOD_POST};

/* Sends payload[num * size ...] of a body of 'len' bytes whose bytes depend on their offset and on seed. */
static void send_block(struct peer *peer, struct upload *upload, uint32_t num, bool more, size_t len, uint8_t seed)
{
    uint8_t payload[1024];
    struct draft request = draft(upload->type, upload->method, upload->id++);
    struct block_option option = {.num = num, .more = more, .szx = upload->szx};
    size_t offset = (size_t)num * block_size(option);
    for (size_t i = 0; i < len; i++)
        payload[i] = (uint8_t)(offset + i + seed);
    message_put(&request.writer, MESSAGE_URI_PATH, bytes_of_text(upload->path));
    message_put_uint(&request.writer, MESSAGE_BLOCK1, block_option_value(option));
    if (upload->size1 >= 0)
        message_put_uint(&request.writer, MESSAGE_SIZE1, (uint32_t)upload->size1);
    if (upload->tag)
        message_put(&request.writer, MESSAGE_REQUEST_TAG, bytes_of_text(upload->tag));
    message_put_payload(&request.writer, bytes_of(payload, len));
    receive_draft(peer, &request);
}

/* The code of the answer to one block. */
static uint8_t block_answer(struct peer *peer, struct upload *upload, uint32_t num, bool more, size_t len)
{
    send_block(peer, upload, num, more, len, 0);
    return sent_message().code;
}

static void expect_body(size_t len, uint8_t seed)
{
    cr_assert_eq(wire.last_body_len, len);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(wire.last_body[i], (uint8_t)(i + seed), "at %zu", i);
}

Test(block, a_body_of_three_blocks_runs_once_and_whole)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    send_block(peer, &upload, 0, true, 16, 0);
    expect_sent("625f00010001d10e08"); /* 2.31, Block1 0/1/16 */
    send_block(peer, &upload, 1, true, 16, 0);
    expect_sent("625f00020002d10e18");
    cr_expect_eq(wire.dispatched, 0);
    send_block(peer, &upload, 2, false, 5, 0);
    expect_sent("624400030003d10e20"); /* 2.04, Block1 2/0/16 */
    cr_expect_eq(wire.dispatched, 1);
    expect_body(37, 0);
    cr_expect_eq(metric(METRIC_BLOCK_BODIES), 1);
    wire_peer_free(peer);
}

/* reliability-security, section h */
Test(block, regression_vectors)
{
    struct peer *peer = wire_peer(1);
    char huge[4096] = "44021111 61626364 b16f d303fffffe ff ";
    receive(peer, "44021111 61626364 b16f d10308 d11410 ff 30313233343536373839616263646566");
    cr_expect_eq(sent_message().code, CONTINUE);
    receive(peer, "44020001 746f6b31 b16f d10308 ff 30303030303030303030303030303030");
    cr_expect_eq(sent_message().code, CONTINUE);
    receive(peer, "44021112 61626364 b16f d10308 d41440000000 ff 30313233343536373839616263646566");
    struct message answer = sent_message();
    cr_expect_eq(answer.code, TOO_LARGE);
    cr_expect_eq(answer.size1, BODY_LIMIT);
    for (int i = 0; i < 1024; i++)
        strcat(huge, "78");
    receive(peer, huge);
    cr_expect_eq(sent_message().code, TOO_LARGE);
    for (int i = 0; i < 3; i++)
        receive(peer, "44021234 61626364 b16f 10 ff 68656c6c6f");
    expect_sent("6444123461626364 6444123461626364 6444123461626364");
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(block, memory_grows_with_bytes_received_only)
{
    struct timers *timers = timers_new(0);
    struct exchange_environment exchange = {.timers = timers, .settings = &wire.settings, .metrics = &wire.metrics};
    struct exchange_table *exchanges = exchange_table_new(&exchange);
    struct block_environment env = {.timers = timers, .settings = &wire.settings, .metrics = &wire.metrics,
                                    .hash_key = &wire.hash_key, .exchanges = exchanges};
    struct block_table *table = block_table_new(&env);
    struct peer *peer = wire_peer(1);
    uint8_t payload[1024] = {0};
    struct block_step step;
    struct block_request request = {.peer = peer, .key = 7, .option = {.more = true, .szx = 6},
                                    .payload = bytes_of(payload, sizeof payload), .size1 = 65536,
                                    .limit_bytes = 65536};
    size_t received = 0;
    for (uint32_t num = 0; num < 64; num++) {
        request.option.num = num;
        request.option.more = num < 63;
        block_receive(table, &request, &step);
        received += sizeof payload;
        cr_expect_eq(step.verdict, num < 63 ? BLOCK_CONTINUE : BLOCK_WHOLE);
        cr_expect_leq(block_memory_bytes(table), 2 * received + 512);
    }
    cr_expect_eq(step.body.len, 65536);
    block_body_free(table, step.owned, step.owned_bytes);
    cr_expect_leq(block_memory_bytes(table), 512);
    block_answered(table, peer, step.serial, CHANGED, (struct bytes){0});
    timers_advance(timers, 248000);
    cr_expect_eq(block_memory_bytes(table), 0);
    block_peer_gone(table, peer);
    exchange_peer_gone(exchanges, peer);
    block_table_free(table);
    exchange_table_free(exchanges);
    timers_free(timers);
    free(peer);
}

Test(block, declared_sizes_and_huge_numbers_are_refused_at_once)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    upload.size1 = UINT32_MAX;
    send_block(peer, &upload, 0, true, 16, 0);
    struct message answer = sent_message();
    cr_expect_eq(answer.code, TOO_LARGE);
    cr_expect_eq(answer.size1, BODY_LIMIT);
    upload.size1 = -1;
    upload.szx = 6;
    cr_expect_eq(block_answer(peer, &upload, (1U << 20) - 1, true, 1024), TOO_LARGE);
    upload.szx = 0;
    cr_expect_eq(block_answer(peer, &upload, 4000, true, 16), INCOMPLETE);
    cr_expect_eq(metric(METRIC_BLOCK_ABORTED), 0, "nothing was begun");
    wire_peer_free(peer);
}

Test(block, a_full_spool_begins_no_body_and_finishes_those_that_are_there)
{
    struct peer *peer = wire_peer(1), *other = wire_peer(2);
    struct upload upload = plain_upload;
    cr_expect_eq(block_answer(peer, &upload, 0, true, 16), CONTINUE);
    wire.fill = 85;
    send_block(other, &upload, 0, true, 16, 0);
    cr_expect_eq(sent_message().code, outcome_row(OUTCOME_SPOOL_FULL)->coap_code);
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), CONTINUE);
    send_block(peer, &upload, 2, false, 5, 0);
    cr_expect_eq(sent_message().code, CHANGED);
    cr_expect_eq(metric(METRIC_SHED_BODY), 1);
    wire.fill = 84;
    cr_expect_eq(block_answer(other, &upload, 0, true, 16), CONTINUE);
    wire_peer_free(peer);
    wire_peer_free(other);
}

Test(block, a_body_beyond_the_limit_is_413_at_the_block_that_exceeds_it)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    wire.body_limit = 40;
    cr_expect_eq(block_answer(peer, &upload, 0, true, 16), CONTINUE);
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), CONTINUE);
    send_block(peer, &upload, 2, true, 16, 0);
    struct message answer = sent_message();
    cr_expect_eq(answer.code, TOO_LARGE);
    cr_expect_eq(answer.size1, 40);
    cr_expect_eq(block_answer(peer, &upload, 2, false, 8), INCOMPLETE, "the body is gone");
    cr_expect_eq(block_answer(peer, &upload, 0, false, 16), CHANGED);
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(block, sizes_of_blocks_are_checked)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    cr_expect_eq(block_answer(peer, &upload, 0, true, 15), BAD_REQUEST);
    cr_expect_eq(block_answer(peer, &upload, 0, true, 17), BAD_REQUEST);
    cr_expect_eq(block_answer(peer, &upload, 0, true, 0), BAD_REQUEST);
    cr_expect_eq(block_answer(peer, &upload, 0, false, 17), BAD_REQUEST);
    cr_expect_eq(block_answer(peer, &upload, 0, false, 16), CHANGED);
    upload.szx = 7;
    cr_expect_eq(block_answer(peer, &upload, 0, true, 1024), BAD_REQUEST);
    upload.szx = 0;
    cr_expect_eq(block_answer(peer, &upload, 0, true, 16), CONTINUE);
    cr_expect_eq(block_answer(peer, &upload, 1, false, 0), CHANGED, "the last block may be empty");
    expect_body(16, 0);
    wire_peer_free(peer);
}

Test(block, out_of_order_missing_and_overlapping_blocks_are_408)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), INCOMPLETE, "nothing was begun");
    cr_expect_eq(block_answer(peer, &upload, 0, true, 16), CONTINUE);
    cr_expect_eq(block_answer(peer, &upload, 2, true, 16), INCOMPLETE, "one is missing");
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), CONTINUE, "only the order was mixed up");
    cr_expect_eq(block_answer(peer, &upload, 0, false, 16), CHANGED, "a body of one block");
    cr_expect_eq(block_answer(peer, &upload, 2, false, 3), INCOMPLETE, "which ended the other");
    wire_peer_free(peer);
}

Test(block, block_zero_starts_again)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    block_answer(peer, &upload, 0, true, 16);
    block_answer(peer, &upload, 1, true, 16);
    send_block(peer, &upload, 0, true, 16, 100);
    cr_expect_eq(sent_message().code, CONTINUE);
    send_block(peer, &upload, 1, false, 4, 100);
    cr_expect_eq(sent_message().code, CHANGED);
    expect_body(20, 100);
    wire_peer_free(peer);
}

Test(block, the_size_may_change_on_the_way)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    upload.szx = 2;
    cr_expect_eq(block_answer(peer, &upload, 0, true, 64), CONTINUE);
    upload.szx = 1;
    cr_expect_eq(block_answer(peer, &upload, 2, true, 32), CONTINUE, "offset 64");
    cr_expect_eq(block_answer(peer, &upload, 3, true, 32), CONTINUE);
    upload.szx = 6;
    cr_expect_eq(block_answer(peer, &upload, 0, false, 100), CHANGED, "number 0 is a body of its own");
    upload.szx = 1;
    cr_expect_eq(block_answer(peer, &upload, 4, false, 10), INCOMPLETE);
    upload.szx = 2;
    cr_expect_eq(block_answer(peer, &upload, 0, true, 64), CONTINUE);
    upload.szx = 0;
    cr_expect_eq(block_answer(peer, &upload, 4, false, 10), CHANGED);
    expect_body(74, 0);
    wire_peer_free(peer);
}

Test(block, a_repeated_block_under_a_new_id_is_taken_once)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    block_answer(peer, &upload, 0, true, 16);
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), CONTINUE);
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), CONTINUE);
    send_block(peer, &upload, 1, true, 16, 1);
    cr_expect_eq(sent_message().code, INCOMPLETE, "other bytes");
    cr_expect_eq(block_answer(peer, &upload, 2, false, 16), CHANGED);
    expect_body(48, 0);
    wire_peer_free(peer);
}

Test(block, a_repeated_last_block_gets_the_final_answer)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    wire.answer_bytes = 30;
    block_answer(peer, &upload, 0, true, 16);
    send_block(peer, &upload, 1, false, 9, 0);
    struct message first = sent_message();
    cr_assert_eq(first.payload.len, 30);
    uint8_t rest[128];
    size_t rest_len = wire.sent[0].len - 6;
    memcpy(rest, wire.sent[0].octets + 6, rest_len);
    upload.id--; /* the same ID: the exchange answers */
    cr_expect_eq(block_answer(peer, &upload, 1, false, 9), CHANGED);
    pass_ms(200000);
    cr_expect_eq(block_answer(peer, &upload, 1, false, 9), CHANGED); /* a new ID: the transfer answers */
    cr_expect_eq(wire.sent[0].len - 6, rest_len);
    cr_expect_arr_eq(wire.sent[0].octets + 6, rest, rest_len);
    cr_expect_eq(wire.dispatched, 1);
    send_block(peer, &upload, 1, false, 9, 1);
    cr_expect_eq(sent_message().code, INCOMPLETE, "other bytes");
    pass_ms(48000);
    cr_expect_eq(block_answer(peer, &upload, 1, false, 9), INCOMPLETE, "after 247 s it is forgotten");
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(block, a_repeated_last_block_before_the_answer_runs_nothing)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    block_answer(peer, &upload, 0, true, 16);
    wire.hold = true;
    send_block(peer, &upload, 1, false, 9, 0);
    expect_sent("");
    cr_expect_eq(block_answer(peer, &upload, 1, false, 9), UNAVAILABLE);
    wire_let_go();
    cr_expect_eq(sent_message().code, CHANGED);
    cr_expect_eq(block_answer(peer, &upload, 1, false, 9), CHANGED);
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(block, another_body_ends_the_one_before)
{
    struct peer *peer = wire_peer(1);
    struct upload one = plain_upload, two = plain_upload;
    one.tag = "a";
    two.tag = "b";
    two.id = 100;
    block_answer(peer, &one, 0, true, 16);
    cr_expect_eq(block_answer(peer, &two, 1, true, 16), INCOMPLETE, "a block of nothing ends nothing");
    cr_expect_eq(block_answer(peer, &one, 1, true, 16), CONTINUE);
    cr_expect_eq(block_answer(peer, &two, 0, true, 16), CONTINUE);
    cr_expect_eq(metric(METRIC_BLOCK_ABORTED), 1);
    cr_expect_eq(block_answer(peer, &one, 2, false, 16), INCOMPLETE);
    cr_expect_eq(block_answer(peer, &two, 1, false, 16), CHANGED);
    wire_peer_free(peer);
}

Test(block, two_thousand_bodies_of_one_peer_are_one)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    for (int i = 0; i < 2000; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "%d", i);
        upload.tag = tag;
        cr_assert_eq(block_answer(peer, &upload, 0, true, 16), CONTINUE);
    }
    cr_expect_eq(metric(METRIC_BLOCK_ABORTED), 1999);
    wire_peer_free(peer);
}

/* M10: peers, tags, paths and methods never mix, in any interleaving. */
Test(block, interleaved_bodies_never_mix)
{
    struct peer *peers[4];
    struct upload uploads[4];
    uint32_t next[4] = {0};
    uint64_t random = 88172645463325252;
    for (int i = 0; i < 4; i++) {
        peers[i] = wire_peer((uint16_t)(i + 1));
        uploads[i] = plain_upload;
    }
    unsigned whole = 0;
    for (int step = 0; step < 4000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int i = (int)(random % 4);
        uint8_t seed = (uint8_t)(i * 60);
        bool last = next[i] == 5;
        send_block(peers[i], &uploads[i], next[i], !last, last ? 7 : 16, seed);
        cr_assert_eq(sent_message().code, last ? CHANGED : CONTINUE);
        next[i] = last ? 0 : next[i] + 1;
        if (last) {
            whole++;
            expect_body(87, seed);
        }
    }
    cr_expect_eq(wire.dispatched, whole);
    for (int i = 0; i < 4; i++)
        wire_peer_free(peers[i]);
}

Test(block, method_path_format_and_tag_are_part_of_the_key)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    block_answer(peer, &upload, 0, true, 16);
    struct upload put = upload, path = upload, tag = upload;
    put.method = METHOD_PUT;
    put.id = 50;
    path.path = "p";
    path.id = 60;
    tag.tag = "";
    tag.id = 70;
    cr_expect_eq(block_answer(peer, &put, 1, false, 3), INCOMPLETE);
    cr_expect_eq(block_answer(peer, &path, 1, false, 3), INCOMPLETE);
    cr_expect_eq(block_answer(peer, &tag, 1, false, 3), INCOMPLETE);
    receive(peer, "42020050 0050 b16f 113c d10210 ff 010203"); /* Content-Format 60 */
    cr_expect_eq(sent_message().code, INCOMPLETE);
    cr_expect_eq(block_answer(peer, &upload, 1, false, 3), CHANGED);
    wire_peer_free(peer);
}

Test(block, a_slow_body_has_five_minutes)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    uint32_t num = 0;
    for (; num < 4; num++) {
        cr_expect_eq(block_answer(peer, &upload, num, true, 16), CONTINUE);
        pass_ms(90000);
    }
    cr_expect_eq(block_answer(peer, &upload, num, true, 16), INCOMPLETE);
    cr_expect_eq(metric(METRIC_BLOCK_ABORTED), 1);
    wire_peer_free(peer);
}

Test(block, a_body_that_stands_still_lives_247_s)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    wire.settings.body_timeout_s = 3600;
    block_answer(peer, &upload, 0, true, 16);
    pass_ms(246000);
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), CONTINUE);
    pass_ms(248000);
    cr_expect_eq(block_answer(peer, &upload, 2, true, 16), INCOMPLETE);
    wire_peer_free(peer);
}

Test(block, all_bodies_together_have_a_budget_and_dtls_peers_come_first)
{
    struct peer *secure = wire_peer(1), *plain[100];
    struct upload upload = plain_upload;
    upload.szx = 6;
    wire.settings.bodies_max_bytes = 65536;
    cr_expect_eq(block_answer(secure, &upload, 0, true, 1024), CONTINUE);
    for (uint16_t i = 0; i < 100; i++) {
        plain[i] = wire_peer((uint16_t)(i + 2));
        plain[i]->secure = false;
        struct upload mine = upload;
        cr_expect_eq(block_answer(plain[i], &mine, 0, true, 1024), CONTINUE);
    }
    cr_expect_geq(metric(METRIC_BLOCK_ABORTED), 40);
    cr_expect_eq(block_answer(secure, &upload, 1, true, 1024), CONTINUE, "it is still there");
    for (uint32_t num = 2; num < 32; num++)
        cr_expect_eq(block_answer(secure, &upload, num, true, 1024), CONTINUE);
    struct upload mine = upload;
    mine.id = 1000;
    cr_expect_eq(block_answer(plain[99], &mine, 0, true, 1024), CONTINUE);
    for (uint16_t i = 0; i < 100; i++)
        wire_peer_free(plain[i]);
    wire_peer_free(secure);
}

Test(block, no_room_is_503)
{
    struct peer *secure = wire_peer(1), *plain = wire_peer(2);
    struct upload upload = plain_upload, other = plain_upload;
    upload.szx = other.szx = 6;
    plain->secure = false;
    wire.settings.bodies_max_bytes = 1500;
    cr_expect_eq(block_answer(secure, &upload, 0, true, 1024), CONTINUE);
    cr_expect_eq(block_answer(plain, &other, 0, true, 1024), UNAVAILABLE);
    cr_expect_eq(block_answer(secure, &upload, 1, true, 1024), UNAVAILABLE);
    wire_peer_free(plain);
    wire_peer_free(secure);
}

Test(block, if_none_match_comes_with_the_first_block)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "41020001 01 50 616f d10308 ff 30303030303030303030303030303030");
    cr_expect_eq(sent_message().code, CONTINUE);
    receive(peer, "41020002 01 50 616f d10310 ff 3131");
    cr_expect_eq(sent_message().code, BAD_REQUEST);
    receive(peer, "41020003 01 b16f d10310 ff 3131");
    cr_expect_eq(sent_message().code, CHANGED);
    cr_expect(wire.last_if_none_match);
    wire_peer_free(peer);
}

Test(block, a_route_without_a_body_answers_the_first_block)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    upload.path = "none";
    wire.response = response_of(OUTCOME_NOT_FOUND);
    cr_expect_eq(block_answer(peer, &upload, 0, true, 16), 0x84);
    cr_expect_eq(wire.last_body_len, 0);
    cr_expect_eq(block_answer(peer, &upload, 1, true, 16), INCOMPLETE);
    cr_expect_eq(wire.dispatched, 1);
    wire_peer_free(peer);
}

Test(block, no_response_still_lets_blocks_continue)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "41020001 01 b16f d10308 d1da02 ff 30303030303030303030303030303030");
    cr_expect_eq(sent_message().code, CONTINUE);
    receive(peer, "41020002 01 b16f d10310 d1da02 ff 3131");
    expect_sent("60000002");
    wire_peer_free(peer);
}

/* Block2 */

static void get_piece(struct peer *peer, uint16_t id, int64_t block2, bool size2)
{
    struct draft request = draft(MESSAGE_CON, METHOD_GET, id);
    message_put(&request.writer, MESSAGE_URI_PATH, BYTES_LITERAL("obs"));
    if (block2 >= 0)
        message_put_uint(&request.writer, MESSAGE_BLOCK2, (uint32_t)block2);
    if (size2)
        message_put_uint(&request.writer, MESSAGE_SIZE2, 0);
    receive_draft(peer, &request);
}

Test(block, long_answers_come_in_pieces_with_one_etag)
{
    struct peer *peer = wire_peer(1);
    uint8_t body[2500], etag[8];
    size_t len = 0;
    wire.response.outcome = OUTCOME_CONTENT;
    wire.answer_bytes = 2500;
    for (uint16_t num = 0; num < 3; num++) {
        get_piece(peer, num, num ? num << 4 | 6 : -1, false);
        struct message answer = sent_message();
        cr_expect_eq(answer.code, 0x45);
        cr_expect_eq(answer.block2, (num << 4) | (num < 2 ? 8 : 0) | 6);
        cr_expect_eq(answer.size2, num ? -1 : 2500);
        cr_assert_eq(answer.etag_count, 1);
        if (num == 0)
            memcpy(etag, answer.etags[0].octets, 8);
        cr_expect_arr_eq(answer.etags[0].octets, etag, 8);
        memcpy(body + len, answer.payload.ptr, answer.payload.len);
        len += answer.payload.len;
    }
    cr_assert_eq(len, 2500);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(body[i], '0' + i / 16 % 10);
    cr_expect_eq(wire.dispatched, 3);
    wire_peer_free(peer);
}

Test(block, the_client_chooses_the_size)
{
    struct peer *peer = wire_peer(1);
    wire.response.outcome = OUTCOME_CONTENT;
    wire.answer_bytes = 100;
    get_piece(peer, 1, -1, false);
    struct message answer = sent_message();
    cr_expect_eq(answer.payload.len, 100);
    cr_expect_eq(answer.block2, -1);
    cr_expect_eq(answer.etag_count, 0);
    get_piece(peer, 2, 0, false);
    answer = sent_message();
    cr_expect_eq(answer.payload.len, 16);
    cr_expect_eq(answer.block2, 8);
    get_piece(peer, 3, 6 << 4 | 8, true); /* M in a request means nothing */
    answer = sent_message();
    cr_expect_eq(answer.payload.len, 4);
    cr_expect_eq(answer.block2, 6 << 4);
    cr_expect_eq(answer.size2, 100);
    get_piece(peer, 4, 7 << 4, false);
    cr_expect_eq(sent_message().code, BAD_REQUEST, "behind the end");
    get_piece(peer, 5, 7, false);
    cr_expect_eq(sent_message().code, BAD_REQUEST, "size exponent 7");
    get_piece(peer, 6, 0xffffff & ~1, false);
    cr_expect_eq(sent_message().code, BAD_REQUEST);
    get_piece(peer, 7, 6, false);
    answer = sent_message();
    cr_expect_eq(answer.payload.len, 100);
    cr_expect_eq(answer.block2, 6, "asked for, so told");
    wire_peer_free(peer);
}

Test(block, an_empty_answer_has_a_piece_zero)
{
    struct peer *peer = wire_peer(1);
    wire.response.outcome = OUTCOME_CONTENT;
    get_piece(peer, 1, 2, false);
    cr_expect_eq(sent_message().code, 0x45);
    get_piece(peer, 2, 1 << 4, false);
    cr_expect_eq(sent_message().code, BAD_REQUEST);
    wire_peer_free(peer);
}

Test(block, the_next_piece_of_a_post_does_not_run_it_again)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "41020001 01 b36f6273 c112");
    cr_expect_eq(sent_message().code, INCOMPLETE);
    cr_expect_eq(wire.dispatched, 0);
    wire_peer_free(peer);
}

Test(block, both_ways_in_one_exchange)
{
    struct peer *peer = wire_peer(1);
    struct upload upload = plain_upload;
    wire.answer_bytes = 1500;
    block_answer(peer, &upload, 0, true, 16);
    send_block(peer, &upload, 1, false, 1, 0);
    struct message answer = sent_message();
    cr_expect_eq(answer.code, CHANGED);
    cr_expect_eq(answer.block1, 16);
    cr_expect_eq(answer.block2, 8 | 6);
    cr_expect_eq(answer.payload.len, 1024);
    wire_peer_free(peer);
}
