// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The wire as a whole: what is answered, reset or passed over in silence (M1, M17, M18), how requests look to the route
 * table, what answers look like, and what a peer without a proved address gets (T5).
 */
#include "tests/unit/gateway/wire.h"

#define CONTENT 0x45
#define BAD_REQUEST 0x80
#define UNAUTHENTICATED 0x81
#define BAD_OPTION 0x82
#define NOT_FOUND 0x84
#define BAD_METHOD 0x85
#define NO_PROXY 0xa5

TestSuite(coap, .init = wire_open, .fini = wire_close);

/* A datagram and what comes back: "" for silence. */
struct row {
    const char *hex, *answer;
};

static const struct row silence_and_reset[] = {
    {"", ""},
    {"4001ff", ""},
    {"00021234", ""},
    {"80021234", ""},
    {"474554202f20485454502f312e310d0a", "70005420"}, /* "GET / HTTP/1.1" reads like a confirmable message */
    {"16fefd00000000000000000000", ""},
    /* confirmable: RST */
    {"49021234 010203040506070809", "70001234"},
    {"4f021234", "70001234"},
    {"42021234 01", "70001234"},
    {"40021234 f0", "70001234"},
    {"40021234 0f", "70001234"},
    {"40021234 b3 6f62", "70001234"},
    {"40021234 ff", "70001234"},
    {"40021234 b36f6273 ff", "70001234"},
    {"41001234 aa", "70001234"},
    {"40001234 ff31", "70001234"},
    {"40201234", "70001234"},
    {"40611234", "70001234"},
    {"40c11234", "70001234"},
    {"40e11234", "70001234"},
    {"40451234", "70001234"}, /* a response that nobody asked for */
    {"40841234 ff31", "70001234"},
    /* not confirmable: silence */
    {"59021234 010203040506070809", ""},
    {"50021234 f0", ""},
    {"50021234 ff", ""},
    {"50001234", ""},
    {"51001234 aa", ""},
    {"50201234", ""},
    {"50e11234", ""},
    {"50451234", ""},
    /* acknowledgements and resets are never answered */
    {"60001234", ""},
    {"70001234", ""},
    {"60451234", ""},
    {"60011234 b36f6273", ""},
    {"70011234 b36f6273", ""},
    {"70451234", ""},
    {"60021234 f0", ""},
    {"70021234 ff", ""},
    {"69021234 010203040506070809", ""},
    {"60201234", ""},
    {"61001234 aa", ""},
};

Test(coap, silence_and_resets)
{
    struct peer *peer = wire_peer(1);
    for (size_t i = 0; i < COUNT_OF(silence_and_reset); i++) {
        receive(peer, silence_and_reset[i].hex);
        const char *got = sent();
        cr_expect_str_eq(got, silence_and_reset[i].answer, "%s gives %s", silence_and_reset[i].hex, got);
    }
    cr_expect_eq(wire.dispatched, 0);
    cr_expect_gt(metric(METRIC_DROP_FORMAT), 0);
    wire_peer_free(peer);
}

Test(coap, other_protocols_are_no_requests)
{
    static const char *const datagrams[] = {
        "474554202f20485454502f312e310d0a0d0a",                     /* HTTP */
        "4f5054494f4e53207369703a6e6d205349502f322e300d0a",         /* SIP */
        "1603010200010001fc0303",                                   /* TLS */
        "16feff000000000000000000",                                 /* DTLS */
        "beef01000001000000000000076578616d706c6503636f6d0000010001", /* DNS */
        "535353480000",
        "ffffffffffffffffffffffffffffffff",
    };
    struct peer *peer = wire_peer(1);
    for (size_t i = 0; i < COUNT_OF(datagrams); i++) {
        receive(peer, datagrams[i]);
        cr_expect_leq(wire.sent_count, 1);
        cr_expect(wire.sent_count == 0 || wire.sent[0].len == 4);
        wire.sent_count = 0;
    }
    cr_expect_eq(wire.dispatched, 0);
    wire_peer_free(peer);
}

Test(coap, nothing_is_answered_with_an_error_to_a_group)
{
    static const char *const datagrams[] = {
        "50021234 ff",  "40021234 ff",       "40001234",          "40451234", "51011235 aa 91 01",
        "51011236 aa b12e", "41011237 aa b36f6273", "51191238 aa", "51011239 aa d116 61",
    };
    struct peer *peer = wire_peer(1);
    for (size_t i = 0; i < COUNT_OF(datagrams); i++) {
        uint8_t octets[64];
        size_t len = unhex(datagrams[i], octets, sizeof octets);
        coap_wire_receive(wire.coap, peer, bytes_of(octets, len), true);
        expect_sent("");
    }
    cr_expect_eq(wire.dispatched, 0);

    uint8_t request[] = {0x51, 1, 0x20, 1, 0xaa, 0xb3, 'o', 'b', 's'};
    wire.response = response_of(OUTCOME_NOT_FOUND);
    coap_wire_receive(wire.coap, peer, bytes_of(request, sizeof request), true);
    expect_sent("");
    request[3]++;
    wire.response = response_of(OUTCOME_CONTENT);
    coap_wire_receive(wire.coap, peer, bytes_of(request, sizeof request), true);
    expect_sent("");
    request[3]++;
    wire.answer_bytes = 4;
    coap_wire_receive(wire.coap, peer, bytes_of(request, sizeof request), true);
    cr_expect_eq(sent_message().code, CONTENT, "only who has something to say");
    wire_peer_free(peer);
}

static struct message answer_to(struct peer *peer, const char *hex)
{
    receive(peer, hex);
    return sent_message();
}

Test(coap, options_that_are_not_understood)
{
    struct peer *peer = wire_peer(1);
    struct message answer = answer_to(peer, "41011234 aa 91 01");
    cr_expect_eq(answer.code, BAD_OPTION);
    cr_expect_eq(answer.type, MESSAGE_ACK);
    cr_expect_eq(answer.content_format, CONTENT_FORMAT_PROBLEM_CBOR);
    /* RFC 9290: -8: 9 */
    cr_expect_not_null(memmem(answer.payload.ptr, answer.payload.len, "\x27\x09", 2));
    answer = answer_to(peer, "41011235 aa 91 00 40");
    cr_expect_not_null(memmem(answer.payload.ptr, answer.payload.len, "\x27\x82\x09\x0d", 4), "9 and 13");
    answer = answer_to(peer, "51011236 aa 91 01");
    cr_expect_eq(answer.code, BAD_OPTION, "in a NON too");
    cr_expect_eq(answer.type, MESSAGE_NON);
    answer = answer_to(peer, "41011237 aa d40404000000");
    cr_expect_eq(answer.code, BAD_OPTION, "an Accept of four bytes");
    answer = answer_to(peer, "41011238 aa b36f6273 616e 0132");
    cr_expect_eq(answer.code, BAD_OPTION, "two of Accept");
    cr_expect_eq(wire.dispatched, 0);
    wire_peer_free(peer);
}

Test(coap, proxying_is_refused)
{
    struct peer *peer = wire_peer(1);
    cr_expect_eq(answer_to(peer, "41011234 aa d116 61").code, NO_PROXY);
    cr_expect_eq(answer_to(peer, "41011235 aa d41a 636f6170").code, NO_PROXY);
    cr_expect_eq(answer_to(peer, "41011236 aa 9101 d411636f6170").code, BAD_OPTION,
                 "an unknown critical one says more");
    cr_expect_eq(wire.dispatched, 0);
    wire_peer_free(peer);
}

Test(coap, paths_that_match_nothing_or_must_not_be)
{
    struct peer *peer = wire_peer(1);
    cr_expect_eq(answer_to(peer, "41011234 aa b12e").code, BAD_REQUEST);
    cr_expect_eq(answer_to(peer, "41011235 aa b36f6273 022e2e").code, BAD_REQUEST);
    cr_expect_eq(answer_to(peer, "41011236 aa b56f62732f78").code, NOT_FOUND);
    cr_expect_eq(answer_to(peer, "41011237 aa b0").code, NOT_FOUND);
    cr_expect_eq(answer_to(peer, "41081238 aa b36f6273").code, BAD_METHOD);
    cr_expect_eq(answer_to(peer, "411f1239 aa b36f6273").code, BAD_METHOD);
    cr_expect_eq(wire.dispatched, 0);
    wire_peer_free(peer);
}

Test(coap, a_request_as_the_route_table_sees_it)
{
    struct peer *peer = wire_peer(1);
    /* If-Match ""; Uri-Host "h"; ETag 01; If-None-Match; Uri-Port 5683; /obs; 110; ?d=x; Accept 112 */
    receive(peer, "42021234 aabb 10 2168 1101 10 2216 33 436f6273 116e 33643d78 2170 ff 5b5d");
    cr_expect_eq(wire.dispatched, 1);
    cr_expect_str_eq(wire.last_path, "/obs");
    cr_expect_str_eq(wire.last_query, "[d|x]");
    cr_expect_eq(wire.last_content_format, 110);
    cr_expect_eq(wire.last_accept, 112);
    cr_expect_eq(wire.last_etag_count, 1);
    cr_expect_eq(wire.last_if_match_count, 1);
    cr_expect(wire.last_if_none_match);
    cr_expect_eq(wire.last_body_len, 2);
    cr_expect_str_eq(wire.last_who.tenant, "t");
    expect_sent("62441234aabb");
    wire_peer_free(peer);
}

Test(coap, a_sequence_in_option_65100)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "40021234 b36f6273 e3fd34 010311 ff 5b5d");
    cr_expect(wire.last_sequence.given && wire.last_sequence.epoch == 3 && wire.last_sequence.seq == 17);
    cr_expect(!wire.last_bad_sequence && !wire.last_best_effort);
    receive(peer, "50021235 b36f6273 e3fd34 010011 ff 5b5d");
    cr_expect(!wire.last_sequence.given && wire.last_bad_sequence && wire.last_best_effort);
    receive(peer, "40021236 b36f6273 ff 5b5d");
    cr_expect(!wire.last_sequence.given && !wire.last_bad_sequence);
    wire_peer_free(peer);
}

/* What the wire answers to request_exchange_key for a POST of "[]" from the peer. */
static void key_of(struct peer *peer, const char *hex, uint8_t ret[static REQUEST_KEY_BYTES])
{
    unsigned before = wire.dispatched;
    receive(peer, hex);
    cr_assert_eq(wire.dispatched, before + 1);
    memcpy(ret, wire.last_key, REQUEST_KEY_BYTES);
    wire.sent_count = 0;
}

Test(coap, exchanges_of_plain_peers_have_keys_that_outlive_the_process)
{
    /* a first; then another ID, token, format, query and body */
    static const char *const different[] = {
        "41021234 aa b36f6273 ff 5b5d", "41021235 aa b36f6273 ff 5b5d",        "41021234 ab b36f6273 ff 5b5d",
        "41021234 aa b36f6273 116e ff 5b5d", "41021234 aa b36f6273 4178 ff 5b5d", "41021234 aa b36f6273 ff 5b5e"};
    uint8_t keys[COUNT_OF(different) + 1][REQUEST_KEY_BYTES], again[REQUEST_KEY_BYTES];
    struct peer *peer = wire_peer(1), *other = wire_peer(2);
    peer->secure = other->secure = false;
    for (size_t i = 0; i < COUNT_OF(different); i++)
        key_of(peer, different[i], keys[i]);
    key_of(other, different[0], keys[COUNT_OF(different)]);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        for (size_t k = 0; k < i; k++)
            cr_expect_arr_neq(keys[i], keys[k], REQUEST_KEY_BYTES, "%zu and %zu", i, k);
    wire_peer_free(peer);
    wire_peer_free(other);
    wire_close();

    wire_open();
    peer = wire_peer(1);
    peer->secure = false;
    key_of(peer, different[0], again);
    cr_expect_arr_eq(again, keys[0], REQUEST_KEY_BYTES);
    wire_peer_free(peer);
}

Test(coap, exchanges_over_dtls_are_each_their_own)
{
    uint8_t keys[3][REQUEST_KEY_BYTES];
    struct peer *peer = wire_peer(1);
    peer->secure = true;
    key_of(peer, "41021234 aa b36f6273 ff 5b5d", keys[0]);
    key_of(peer, "41021235 aa b36f6273 ff 5b5d", keys[1]);
    cr_expect_arr_neq(keys[0], keys[1], REQUEST_KEY_BYTES);
    wire_peer_free(peer);
}

Test(coap, payload_of_a_get_means_nothing)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "41011234 aa b36f6273 ff 31");
    cr_expect_eq(wire.last_body_len, 0);
    receive(peer, "41041235 aa b36f6273 ff 31");
    cr_expect_eq(wire.last_body_len, 0);
    receive(peer, "41051236 aa b36f6273 ff 31");
    cr_expect_eq(wire.last_body_len, 1, "of a FETCH it does");
    wire_peer_free(peer);
}

Test(coap, an_answer_has_what_the_response_says)
{
    struct peer *peer = wire_peer(1);
    wire.response = response_of(OUTCOME_CONTENT);
    wire.response.etag = (struct etag){{0xab, 0xcd}, 2};
    wire.response.max_age_s = 30;
    wire.answer_bytes = 2;
    receive(peer, "41011234 aa b36f6273");
    expect_sent("61451234aa42abcd80211eff3030");
    wire_peer_free(peer);
}

Test(coap, a_known_etag_gets_203_without_payload)
{
    struct peer *peer = wire_peer(1);
    wire.response = response_of(OUTCOME_CONTENT);
    wire.response.etag = (struct etag){{0xab, 0xcd}, 2};
    wire.answer_bytes = 2;
    receive(peer, "41011234 aa 4101 02abcd 736f6273");
    expect_sent("61431234aa42abcd");
    receive(peer, "41011235 aa 4101 736f6273");
    cr_expect_eq(sent_message().code, CONTENT);
    wire_peer_free(peer);
}

Test(coap, errors_have_problem_details_if_the_client_may_take_them)
{
    struct peer *peer = wire_peer(1);
    wire.response = response_of(OUTCOME_BAD_VALUE);
    wire.response.detail = "No.";
    struct message answer = answer_to(peer, "41021234 aa b36f6273 ff 31");
    cr_expect_eq(answer.code, BAD_REQUEST);
    cr_expect_eq(answer.content_format, CONTENT_FORMAT_PROBLEM_CBOR);
    cr_expect_not_null(memmem(answer.payload.ptr, answer.payload.len, "No.", 3));
    answer = answer_to(peer, "41021235 aa b36f6273 620101 ff 31"); /* Accept 257 */
    cr_expect_eq(answer.content_format, CONTENT_FORMAT_PROBLEM_CBOR);
    answer = answer_to(peer, "41021236 aa b36f6273 613c ff 31"); /* Accept 60 */
    cr_expect_eq(answer.content_format, CONTENT_FORMAT_NONE);
    cr_expect_eq(answer.payload.len, 0);
    wire_peer_free(peer);
}

Test(coap, the_limit_is_told_with_413)
{
    struct peer *peer = wire_peer(1);
    wire.response = response_of(OUTCOME_TOO_LARGE);
    wire.response.size1 = 65536;
    cr_expect_eq(answer_to(peer, "41021234 aa b36f6273 ff 31").size1, 65536);
    wire_peer_free(peer);
}

Test(coap, no_response)
{
    static const struct {
        uint8_t value;
        bool success, client_error, server_error; /* whether it is answered */
    } cases[] = {{0, true, true, true},    {2, false, true, true}, {8, true, false, true},
                 {16, true, true, false},  {26, false, false, false}, {4, true, true, true},
                 {0xe5, true, true, true}, {24, true, false, false}};
    static const enum outcome outcomes[] = {OUTCOME_CHANGED, OUTCOME_NOT_FOUND, OUTCOME_INTERNAL};
    struct peer *peer = wire_peer(1);
    uint16_t id = 1;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t k = 0; k < COUNT_OF(outcomes); k++)
            for (enum message_type type = MESSAGE_CON; type <= MESSAGE_NON; type++, id++) {
                bool answered = k == 0 ? cases[i].success : k == 1 ? cases[i].client_error : cases[i].server_error;
                struct draft request = draft(type, METHOD_POST, id);
                message_put_uint(&request.writer, MESSAGE_NO_RESPONSE, cases[i].value);
                wire.response = response_of(outcomes[k]);
                for (int repetition = 0; repetition < 2; repetition++) {
                    receive_draft(peer, &request);
                    if (type == MESSAGE_NON) {
                        cr_expect_eq(wire.sent_count, answered && !repetition);
                    } else {
                        cr_assert_eq(wire.sent_count, 1);
                        cr_expect_eq(wire.sent[0].len > 4, answered, "a CON still gets its ACK");
                    }
                    wire.sent_count = 0;
                }
            }
    wire_peer_free(peer);
}

/* T5 */

static struct peer *stranger(uint16_t port)
{
    struct peer *peer = wire_peer(port);
    peer->secure = peer->verified = false;
    peer->who = (struct identity){.kind = IDENTITY_NONE};
    return peer;
}

static struct draft get_core(uint16_t id, struct bytes echo)
{
    struct draft request = draft(MESSAGE_CON, METHOD_GET, id);
    message_put(&request.writer, MESSAGE_URI_PATH, BYTES_LITERAL(".well-known"));
    message_put(&request.writer, MESSAGE_URI_PATH, BYTES_LITERAL("core"));
    if (echo.len)
        message_put(&request.writer, MESSAGE_ECHO, echo);
    return request;
}

Test(coap, a_stranger_gets_three_times_its_bytes_until_it_has_echoed)
{
    struct peer *peer = stranger(1);
    uint8_t echo[12];
    wire.response = response_of(OUTCOME_CONTENT);
    wire.answer_bytes = 500;
    struct draft request = get_core(1, (struct bytes){0});
    receive_draft(peer, &request);
    struct message answer = sent_message();
    cr_expect_eq(answer.code, UNAUTHENTICATED);
    cr_expect_leq(wire.sent[0].len, 3 * (size_t)(4 + 2 + request.writer.len));
    cr_assert_eq(answer.echo.len, sizeof echo);
    memcpy(echo, answer.echo.ptr, sizeof echo);

    struct peer *other = stranger(2);
    request = get_core(2, bytes_of(echo, sizeof echo));
    receive_draft(other, &request);
    answer = sent_message();
    cr_expect_eq(answer.code, UNAUTHENTICATED, "somebody else's value");
    cr_expect_eq(answer.echo.len, sizeof echo);

    receive_draft(peer, &request);
    cr_expect_eq(sent_message().payload.len, 500);
    cr_expect(peer->verified);
    request = get_core(3, (struct bytes){0});
    receive_draft(peer, &request);
    cr_expect_eq(sent_message().payload.len, 500, "it stays proved");
    wire_peer_free(peer);
    wire_peer_free(other);
}

Test(coap, an_old_echo_is_challenged_again)
{
    struct peer *peer = stranger(1);
    wire.response = response_of(OUTCOME_CONTENT);
    wire.answer_bytes = 500;
    struct draft request = get_core(1, (struct bytes){0});
    receive_draft(peer, &request);
    struct message answer = sent_message();
    request = get_core(2, answer.echo);
    pass_ms(300000);
    receive_draft(peer, &request);
    cr_expect_eq(sent_message().code, UNAUTHENTICATED);
    cr_expect(!peer->verified);
    wire_peer_free(peer);
}

Test(coap, whatever_a_stranger_sends_it_gets_at_most_three_times_as_much)
{
    struct peer *peer = stranger(1);
    static const enum outcome outcomes[] = {OUTCOME_CONTENT, OUTCOME_CHANGED, OUTCOME_UNAUTHENTICATED,
                                            OUTCOME_NOT_FOUND, OUTCOME_BAD_OPTION};
    uint16_t id = 1;
    for (size_t len = 0; len < 200; len += 7)
        for (size_t k = 0; k < COUNT_OF(outcomes); k++)
            for (enum method method = METHOD_GET; method <= METHOD_POST; method++) {
                uint8_t query[200] = {0};
                struct draft request = draft(MESSAGE_CON, method, id++);
                message_put(&request.writer, MESSAGE_URI_PATH, BYTES_LITERAL("obs"));
                message_put(&request.writer, MESSAGE_URI_QUERY, bytes_of(query, len));
                wire.response = response_of(outcomes[k]);
                wire.response.detail = "A sentence that is longer than many a request is, so that it has to go.";
                wire.answer_bytes = k == 0 ? 400 : 0;
                receive_draft(peer, &request);
                cr_assert_eq(wire.sent_count, 1);
                cr_expect_leq(wire.sent[0].len, 3 * (size_t)(6 + request.writer.len), "method %d, %zu bytes", method,
                              len);
                wire.sent_count = 0;
            }
    wire_peer_free(peer);
}

Test(coap, a_challenge_is_never_a_separate_con)
{
    struct peer *peer = stranger(1);
    wire.response = response_of(OUTCOME_CONTENT);
    wire.answer_bytes = 500;
    wire.hold = true;
    struct draft request = get_core(1, (struct bytes){0});
    receive_draft(peer, &request);
    pass_ms(1500);
    sent();
    wire_let_go();
    struct message answer = sent_message();
    cr_expect_eq(answer.type, MESSAGE_NON);
    cr_expect_eq(answer.echo.len, 12);
    pass_ms(100000);
    expect_sent("");
    wire_peer_free(peer);
}

Test(coap, a_stranger_gets_no_repetitions)
{
    struct peer *peer = stranger(1);
    wire.hold = true;
    receive(peer, "41021234 aa b36f6273 ff 31");
    pass_ms(1500);
    sent();
    wire_let_go();
    cr_expect_eq(sent_message().type, MESSAGE_NON);
    pass_ms(100000);
    expect_sent("");
    wire_peer_free(peer);
}

Test(coap, outcomes_are_counted)
{
    struct peer *peer = wire_peer(1);
    receive(peer, "41021234 aa b36f6273 ff 31");
    receive(peer, "41011235 aa 91 01");
    cr_expect_eq(wire.metrics.outcomes[OUTCOME_CHANGED], 1);
    cr_expect_eq(wire.metrics.outcomes[OUTCOME_BAD_OPTION], 1);
    cr_expect_eq(metric(METRIC_COAP_REQUESTS), 1);
    wire_peer_free(peer);
}

Test(coap, many_parameters)
{
    struct peer *peer = wire_peer(1);
    struct draft request = draft(MESSAGE_CON, METHOD_POST, 1);
    message_put(&request.writer, MESSAGE_URI_PATH, BYTES_LITERAL("obs"));
    for (int i = 0; i < 900; i++)
        message_put(&request.writer, MESSAGE_URI_QUERY, (struct bytes){0});
    receive_draft(peer, &request);
    cr_expect_eq(wire.dispatched, 1);
    expect_sent("624400010001");
    wire_peer_free(peer);
}

Test(coap, a_peer_that_goes_while_it_is_answered)
{
    struct peer *peer = wire_peer(1);
    wire.hold = true;
    receive(peer, "41021234 aa b36f6273 ff 31");
    coap_wire_peer_gone(wire.coap, peer);
    wire_let_go();
    expect_sent("");
    /* and comes back at once */
    wire.hold = false;
    receive(peer, "41021234 aa b36f6273 ff 31");
    expect_sent("61441234aa");
    wire_peer_free(peer);
}
