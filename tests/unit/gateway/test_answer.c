// SPDX-License-Identifier: GPL-3.0-or-later
/* From responses to options and payload. */
#include "gateway/answer.h"

#include <criterion/criterion.h>

static struct arena *arena;
static struct hash_key key = {1, 2};

static void setup(void)
{
    arena = arena_new(65536);
}

static void teardown(void)
{
    arena_free(arena);
}

TestSuite(answer, .init = setup, .fini = teardown);

static struct answer_terms any_terms(void)
{
    return (struct answer_terms){.arena = arena, .hash_key = &key, .accept = CONTENT_FORMAT_NONE, .observe = -1,
                                 .limit_bytes = SIZE_MAX, .head_bytes = 4};
}

static struct response content(size_t len)
{
    static const uint8_t body[4096];
    struct response response = response_of(OUTCOME_CONTENT);
    response.content_format = CONTENT_FORMAT_TEXT;
    response.body = bytes_of(body, len);
    return response;
}

static struct message write_and_parse(const struct answer_terms *terms, const struct response *response)
{
    static struct message_writer writer;
    struct message message;
    uint8_t code;
    cr_assert(answer_write(terms, response, &writer, &code));
    struct bytes datagram = message_finish(&writer, MESSAGE_ACK, code, 1, &(struct message_token){.len = 0});
    cr_assert_eq(message_parse(datagram, &message), MESSAGE_FINE);
    cr_expect_eq(message.refused_count, 0);
    return message;
}

Test(answer, every_outcome_has_its_code)
{
    struct answer_terms terms = any_terms();
    for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        struct response response = response_of(outcome);
        struct message message = write_and_parse(&terms, &response);
        cr_expect_eq(message.code, outcome_row(outcome)->coap_code);
        cr_expect_eq(message.payload.len > 0, !outcome_is_success(outcome), "%s", outcome_row(outcome)->slug);
    }
}

Test(answer, exactly_one_block_is_not_cut)
{
    struct answer_terms terms = any_terms();
    struct response response = content(1024);
    cr_expect_eq(write_and_parse(&terms, &response).block2, -1);
    response = content(1025);
    struct message message = write_and_parse(&terms, &response);
    cr_expect_eq(message.block2, 8 | 6);
    cr_expect_eq(message.payload.len, 1024);
    cr_expect_eq(message.etag_count, 1);
}

static bool has(const struct answer_terms *terms, const struct response *response, struct bytes octets)
{
    static struct message_writer writer;
    uint8_t code;
    cr_assert(answer_write(terms, response, &writer, &code));
    struct bytes datagram = message_finish(&writer, MESSAGE_ACK, code, 1, &(struct message_token){.len = 0});
    return memmem(datagram.ptr, datagram.len, octets.ptr, octets.len);
}

/* RFC 7252 5.10.7: options 8 and 20, a segment each. */
Test(answer, where_it_was_made)
{
    struct answer_terms terms = any_terms();
    struct response response = response_of(OUTCOME_CREATED);
    struct bytes path = BYTES_LITERAL("\x87" "devices" "\x04" "pump" "\x04" "keys" "\x02" "k1");
    response.location = BYTES_LITERAL("/devices/pump/keys/k1");
    cr_expect(has(&terms, &response, path));
    response.location = BYTES_LITERAL("/devices/pump/keys/k1?tenant=acme");
    cr_expect(has(&terms, &response, BYTES_LITERAL("k1" "\xcb" "tenant=acme")));
    write_and_parse(&terms, &response);
    response.outcome = OUTCOME_CONFLICT;
    cr_expect_not(has(&terms, &response, path));
}

Test(answer, a_made_etag_is_valid_the_next_time)
{
    struct answer_terms terms = any_terms();
    struct response response = content(2000);
    struct message message = write_and_parse(&terms, &response);
    terms.etags = message.etags;
    terms.etag_count = 1;
    message = write_and_parse(&terms, &response);
    cr_expect_eq(message.code, MESSAGE_CODE(2, 3));
    cr_expect_eq(message.payload.len, 0);
    cr_expect_eq(message.block2, -1);
}

Test(answer, everything_at_once_fits)
{
    struct answer_terms terms = any_terms();
    struct response response = content(4096);
    uint8_t echo[MESSAGE_ECHO_MAX] = {0};
    response.etag = (struct etag){{1, 2, 3, 4, 5, 6, 7, 8}, 8};
    response.max_age_s = UINT32_MAX;
    response.size1 = UINT32_MAX;
    terms.observe = 0xffffff;
    terms.has_block1 = terms.has_block2 = terms.wants_size2 = true;
    terms.block1 = (struct block_option){.num = 0xfffff, .szx = 6};
    terms.block2 = (struct block_option){.num = 1, .szx = 6};
    terms.echo = bytes_of(echo, sizeof echo);
    struct message message = write_and_parse(&terms, &response);
    cr_expect_eq(message.observe, 0xffffff);
    cr_expect_eq(message.size2, 4096);
    cr_expect_eq(message.echo.len, MESSAGE_ECHO_MAX);
    cr_expect_eq(message.payload.len, 1024);
}

/* The verdicts of a log say more than problem details, to whom they can be said. */
Test(answer, an_error_may_have_a_body_of_its_own)
{
    static const struct {
        int accept, content_format;
    } cases[] = {{CONTENT_FORMAT_NONE, CONTENT_FORMAT_JSON},
                 {CONTENT_FORMAT_JSON, CONTENT_FORMAT_JSON},
                 {CONTENT_FORMAT_PROBLEM_CBOR, CONTENT_FORMAT_PROBLEM_CBOR},
                 {CONTENT_FORMAT_CBOR, CONTENT_FORMAT_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer_terms terms = any_terms();
        struct response response = response_of(OUTCOME_MALFORMED);
        response.content_format = CONTENT_FORMAT_JSON;
        response.body = BYTES_LITERAL("{}");
        terms.accept = cases[i].accept;
        struct message message = write_and_parse(&terms, &response);
        cr_expect_eq(message.code, outcome_row(OUTCOME_MALFORMED)->coap_code);
        cr_expect_eq(message.content_format, cases[i].content_format, "Accept %d", cases[i].accept);
        cr_expect_eq(bytes_equal_text(message.payload, "{}"), cases[i].content_format == CONTENT_FORMAT_JSON);
    }
    struct answer_terms tight = any_terms();
    struct response response = content(1500);
    response.outcome = OUTCOME_MALFORMED;
    tight.limit_bytes = 100;
    cr_expect_eq(write_and_parse(&tight, &response).payload.len, 0, "the code is what matters");
}

Test(answer, a_success_beyond_the_limit_is_not_written_and_an_error_sheds_its_details)
{
    struct answer_terms terms = any_terms();
    struct message_writer writer;
    uint8_t code;
    struct response response = content(100), error = response_of(OUTCOME_NOT_FOUND);
    terms.limit_bytes = 4 + 2 + 100; /* head, marker and Content-Format, payload */
    cr_expect(answer_write(&terms, &response, &writer, &code));
    terms.limit_bytes--;
    cr_expect(!answer_write(&terms, &response, &writer, &code));
    terms.limit_bytes = 8;
    cr_expect(answer_write(&terms, &error, &writer, &code));
    cr_expect_eq(writer.len, 0);
    cr_expect_eq(code, MESSAGE_CODE(4, 4));
}
