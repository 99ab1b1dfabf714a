// SPDX-License-Identifier: GPL-3.0-or-later
/* What a message claims: sequences from all places, levels, the class and the key that follow, and the receipt. */
#include "gateway/claim.h"

#include <criterion/criterion.h>

static struct arena *arena;

static void setup(void)
{
    arena = arena_new(1 << 20);
}

static void teardown(void)
{
    arena_free(arena);
}

TestSuite(claim, .init = setup, .fini = teardown);

#define QUERY_MAX 4

/* "n=3.17&level" as the wires split it. */
static struct request request_of(const char *query_text)
{
    static struct query_parameter query[QUERY_MAX];
    struct request request = {.content_format = CONTENT_FORMAT_SENML_JSON, .accept = CONTENT_FORMAT_NONE,
                              .path = BYTES_LITERAL("/obs"), .body = BYTES_LITERAL("[{\"n\":\"a\",\"v\":1}]"),
                              .query = query, .arena = arena};
    for (const char *at = query_text; *at; at += *at == '&') {
        size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");
        cr_assert_lt(request.query_count, QUERY_MAX);
        query[request.query_count++] = (struct query_parameter){
            bytes_of(at, name_len), bytes_of(at + name_len + (name_len < len), name_len < len ? len - name_len - 1 : 0)};
        at += len;
    }
    return request;
}

static const struct sequence none, three_17 = {true, 3, 17}, three_18 = {true, 3, 18}, four_17 = {true, 4, 17};

struct sources {
    const struct sequence *payload, *wire;
    const char *query;
    const char *expected; /* NULL: refused */
};

Test(claim, sequences_from_all_places)
{
    static const struct sources cases[] = {
        {&none, &none, "", "-"},
        {&three_17, &none, "", "3.17"},
        {&none, &three_17, "", "3.17"},
        {&none, &none, "n=3.17", "3.17"},
        {&none, &none, "n=temp&n=3.17", "3.17"},
        {&none, &none, "n=3.17&n=temp", "3.17"},
        {&none, &none, "n=temp", "-"},
        {&none, &none, "n=1.&n=.5", "-"},
        {&three_17, &three_17, "n=3.17&n=3.17", "3.17"},
        {&three_17, &three_18, "", NULL},
        {&three_17, &four_17, "", NULL},
        {&none, &three_17, "n=3.18", NULL},
        {&three_17, &none, "n=4.17", NULL},
        {&none, &none, "n=3.17&n=3.18", NULL},
        {&none, &none, "n=00.1", NULL},
        {&none, &none, "n=1.9007199254740992", NULL},
        {&three_17, &none, "n=4294967296.17", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = request_of(cases[i].query);
        struct claim claim = {.level = LEVEL_COUNT};
        const char *detail = NULL;
        char text[DELIVERY_SEQUENCE_TEXT_MAX] = "-";
        request.sequence = *cases[i].wire;
        bool good = claim_read(&request, cases[i].payload, LEVEL_SPOOLED, &claim, &detail);
        cr_expect_eq(good, cases[i].expected != NULL, "%zu: %s", i, cases[i].query);
        cr_expect_eq(detail != NULL, !good, "%zu", i);
        if (!good) {
            cr_expect_eq(claim.level, LEVEL_COUNT, "nothing is set");
            continue;
        }
        if (claim.sequence.given)
            delivery_write_sequence(&claim.sequence, text);
        cr_expect_str_eq(text, cases[i].expected, "%zu: %s", i, cases[i].query);
    }
}

Test(claim, what_the_wire_could_not_read_is_refused_with_its_sentence)
{
    struct request request = request_of("n=3.17");
    struct claim claim;
    const char *detail = NULL;
    request.bad_sequence = "No.";
    cr_expect(!claim_read(&request, &none, LEVEL_SPOOLED, &claim, &detail));
    cr_expect_str_eq(detail, "No.");
}

Test(claim, the_name_is_what_is_no_sequence)
{
    static const struct {
        const char *query, *name;
    } cases[] = {{"n=temp", "temp"}, {"n=3.17&n=temp", "temp"}, {"n=temp&n=3.17&n=hum", "temp"},
                 {"n=3.17", ""}, {"n=1.", "1."}, {"n=00.1", ""}, {"u=Cel", ""}, {"n=1.2.3", "1.2.3"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = request_of(cases[i].query);
        cr_expect(bytes_equal_text(claim_name(&request), cases[i].name), "%s", cases[i].query);
    }
}

Test(claim, levels_are_raised_and_never_lowered)
{
    static const struct {
        const char *query;
        enum delivery_level of_tenant, expected; /* LEVEL_COUNT: refused */
        bool wants_receipt;
    } cases[] = {
        {"", LEVEL_SPOOLED, LEVEL_SPOOLED, false},
        {"", LEVEL_STORED, LEVEL_STORED, false},
        {"level", LEVEL_SPOOLED, LEVEL_SPOOLED, true},
        {"level=", LEVEL_SPOOLED, LEVEL_SPOOLED, true},
        {"level=stored", LEVEL_SPOOLED, LEVEL_STORED, true},
        {"level=replicated", LEVEL_STORED, LEVEL_REPLICATED, true},
        {"level=spooled", LEVEL_STORED, LEVEL_STORED, true},
        {"level=stored", LEVEL_REPLICATED, LEVEL_REPLICATED, true},
        {"level=stored&level", LEVEL_SPOOLED, LEVEL_STORED, true},
        {"level&level=replicated", LEVEL_SPOOLED, LEVEL_REPLICATED, true},
        {"level=Stored", LEVEL_SPOOLED, LEVEL_COUNT, false},
        {"level=stored&level=2", LEVEL_SPOOLED, LEVEL_COUNT, false},
        {"Level=stored", LEVEL_SPOOLED, LEVEL_SPOOLED, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = request_of(cases[i].query);
        struct claim claim = {.level = LEVEL_COUNT};
        const char *detail = NULL;
        bool good = claim_read(&request, &none, cases[i].of_tenant, &claim, &detail);
        cr_expect_eq(good, cases[i].expected != LEVEL_COUNT, "%s", cases[i].query);
        cr_expect_eq(claim.level, cases[i].expected, "%s", cases[i].query);
        cr_expect_eq(claim.wants_receipt, cases[i].wants_receipt, "%s", cases[i].query);
    }
}

/* Classes and keys. */

static const uint8_t wire_key[REQUEST_KEY_BYTES] = "0123456789abcde";

static void give_wire_key(const struct request *request, uint8_t ret[static REQUEST_KEY_BYTES])
{
    (void)request;
    memcpy(ret, wire_key, sizeof wire_key);
}

struct message {
    struct observation observations[2];
    struct sink_record records[2];
    struct sink_message sink;
};

static void make_message(struct message *message, enum time_source first, enum time_source second)
{
    *message = (struct message){.observations = {{.time_source = first}, {.time_source = second}}};
    for (size_t i = 0; i < 2; i++)
        message->records[i] =
            (struct sink_record){.device = BYTES_LITERAL("boiler-7"), .observation = &message->observations[i]};
    message->sink = (struct sink_message){.tenant = BYTES_LITERAL("acme"), .speaker = BYTES_LITERAL("boiler-7"),
                                          .records = message->records, .count = 2};
    memset(message->sink.key, 0xee, sizeof message->sink.key);
}

/* As ingest makes it of a POST /obs. */
static struct claim_content content_of(const struct request *request)
{
    return (struct claim_content){.content_format = request->content_format,
                                  .device = request_named_device(request, NULL),
                                  .name = claim_name(request),
                                  .unit = request_query(request, "u", NULL),
                                  .payload = request->body};
}

static struct sink_message identify_content(const struct request *request, const struct claim_content *content,
                                            enum time_source source)
{
    struct claim claim = {.level = LEVEL_SPOOLED};
    struct message message;
    make_message(&message, source, source);
    cr_assert(claim_identify(&claim, request, content, &message.sink));
    return message.sink;
}

static struct sink_message identify(const struct request *request, const struct claim *claim, enum time_source first,
                                    enum time_source second)
{
    struct message message;
    struct claim_content content = content_of(request);
    make_message(&message, first, second);
    cr_assert(claim_identify(claim, request, &content, &message.sink));
    return message.sink;
}

static struct request timed_request(const char *query)
{
    struct request request = request_of(query);
    request.exchange_key = give_wire_key;
    return request;
}

Test(claim, the_class_follows_from_what_was_given)
{
    static const uint8_t zero[SINK_KEY_BYTES];
    struct request request = timed_request("");
    struct claim plain = {.level = LEVEL_STORED}, exact = {.sequence = three_17};

    struct sink_message message = identify(&request, &exact, TIME_DEVICE, TIME_DEVICE);
    cr_expect_eq(message.identity_class, CLASS_EXACT);
    cr_expect(message.sequence.given && message.sequence.epoch == 3 && message.sequence.seq == 17);
    cr_expect_arr_eq(message.key, zero, sizeof zero);
    cr_expect_eq(message.level, LEVEL_SPOOLED);

    message = identify(&request, &plain, TIME_DEVICE, TIME_DEVICE);
    cr_expect_eq(message.identity_class, CLASS_WINDOWED);
    cr_expect(!message.sequence.given);
    cr_expect_arr_neq(message.key, zero, sizeof zero);
    cr_expect_eq(message.level, LEVEL_STORED);

    static const enum time_source others[] = {TIME_RELATIVE, TIME_BATCH, TIME_RECEIPT};
    for (size_t i = 0; i < 3; i++) {
        message = identify(&request, &plain, TIME_DEVICE, others[i]);
        cr_expect_eq(message.identity_class, CLASS_TRANSPORT);
        cr_expect_arr_eq(message.key, wire_key, sizeof wire_key);
    }
}

/* Times that say nothing make no message: one is recognised as one without times is, or by its sequence. */
Test(claim, by_exchange)
{
    struct request request = timed_request("");
    struct claim_content content = content_of(&request);
    content.by_exchange = true;
    struct sink_message message = identify_content(&request, &content, TIME_DEVICE);
    cr_expect_eq(message.identity_class, CLASS_TRANSPORT);
    cr_expect_arr_eq(message.key, wire_key, sizeof wire_key);
    struct claim exact = {.sequence = three_17};
    struct message counted;
    make_message(&counted, TIME_DEVICE, TIME_DEVICE);
    cr_assert(claim_identify(&exact, &request, &content, &counted.sink));
    cr_expect_eq(counted.sink.identity_class, CLASS_EXACT);
}

Test(claim, only_a_non_is_not_confirmable)
{
    struct request request = timed_request("");
    struct claim claim = {.level = LEVEL_SPOOLED};
    cr_expect(identify(&request, &claim, TIME_DEVICE, TIME_DEVICE).confirmable);
    request.best_effort = true;
    cr_expect(!identify(&request, &claim, TIME_DEVICE, TIME_DEVICE).confirmable);
}

/* The value is written down: it must be the same in the next process, on the next machine, in the next version.
 * printf 'acme\0boiler-7\0/obs\0\0\0\0\0n[{"n":"a","v":1}]' | sha256sum */
Test(claim, the_windowed_key_is_fixed)
{
    static const uint8_t expected[SINK_KEY_BYTES] = {0xdf, 0x1d, 0xc9, 0xe0, 0x93, 0xe9, 0x65, 0x05,
                                                       0xa0, 0xd2, 0x97, 0xfb, 0x8c, 0x53, 0xea, 0x09};
    struct request request = timed_request("");
    struct claim claim = {.level = LEVEL_SPOOLED};
    struct sink_message message = identify(&request, &claim, TIME_DEVICE, TIME_DEVICE);
    cr_expect_arr_eq(message.key, expected, sizeof expected);
    cr_expect_eq(message.fingerprint, 0x6ac54842, "%08x", message.fingerprint);
}

/* Of a signed message the body is more than what is claimed: header and signature make no other message. */
Test(claim, what_is_claimed_counts_not_the_body_around_it)
{
    struct request plain = timed_request(""), first = timed_request(""), again = timed_request("");
    struct claim_content content = content_of(&plain), other;
    struct sink_message expected = identify_content(&plain, &content, TIME_DEVICE);
    first.body = BYTES_LITERAL("eyJhbGciOiJFUzI1NiJ9.W10.AA");
    again.body = BYTES_LITERAL("eyJhbGciOiJIUzI1NiJ9.W10.AQ");
    struct sink_message a = identify_content(&first, &content, TIME_DEVICE);
    struct sink_message b = identify_content(&again, &content, TIME_DEVICE);
    cr_expect_eq(a.identity_class, CLASS_WINDOWED);
    cr_expect_arr_eq(a.key, expected.key, sizeof a.key);
    cr_expect_arr_eq(b.key, expected.key, sizeof b.key);
    cr_expect_eq(a.fingerprint, expected.fingerprint);
    cr_expect_eq(b.fingerprint, expected.fingerprint);
    other = content;
    other.payload = BYTES_LITERAL("[{\"n\":\"a\",\"v\":2}]");
    b = identify_content(&first, &other, TIME_DEVICE);
    cr_expect_arr_neq(a.key, b.key, sizeof a.key, "another message in the same body");
    cr_expect_neq(a.fingerprint, b.fingerprint);
}

/* Each of these is another message. */
Test(claim, keys_and_fingerprints_tell_messages_apart)
{
    enum { VARIANTS = 6 };
    struct claim claim = {.level = LEVEL_SPOOLED};
    uint8_t keys[VARIANTS][SINK_KEY_BYTES];
    uint32_t fingerprints[VARIANTS];
    for (unsigned i = 0; i < VARIANTS; i++) {
        struct request request = timed_request(i == 3 ? "d=other" : "");
        struct message message;
        make_message(&message, TIME_DEVICE, TIME_DEVICE);
        if (i == 1)
            request.body = BYTES_LITERAL("[{\"n\":\"a\",\"v\":2}]");
        if (i == 2)
            request.content_format = CONTENT_FORMAT_SENSML_JSON;
        if (i == 4)
            message.sink.tenant = BYTES_LITERAL("acm"), message.sink.speaker = BYTES_LITERAL("eboiler-7");
        if (i == 5)
            message.sink.speaker = BYTES_LITERAL("boiler-8");
        struct claim_content content = content_of(&request);
        cr_assert(claim_identify(&claim, &request, &content, &message.sink));
        memcpy(keys[i], message.sink.key, sizeof keys[i]);
        fingerprints[i] = message.sink.fingerprint;
        cr_expect_neq(fingerprints[i], 0);
        for (unsigned k = 0; k < i; k++) {
            cr_expect_arr_neq(keys[i], keys[k], sizeof keys[i], "%u and %u", i, k);
            if (i <= 3) /* the fingerprint is of the content, not of who says it */
                cr_expect_neq(fingerprints[i], fingerprints[k], "%u and %u", i, k);
        }
    }
}

Test(claim, the_sequence_in_the_query_is_not_content)
{
    struct claim claim = {.sequence = three_17};
    struct request with = timed_request("n=3.17"), named = timed_request("n=temp");
    uint32_t a, b, c;
    with = timed_request("n=3.17");
    a = identify(&with, &claim, TIME_RECEIPT, TIME_RECEIPT).fingerprint;
    with = timed_request("");
    b = identify(&with, &claim, TIME_RECEIPT, TIME_RECEIPT).fingerprint;
    named = timed_request("n=temp");
    c = identify(&named, &claim, TIME_RECEIPT, TIME_RECEIPT).fingerprint;
    cr_expect_eq(a, b, "one carrier or another");
    cr_expect_neq(a, c, "a bare number under another name is another observation");
}

/* Whoever names itself in the query says nothing that was not known. */
Test(claim, the_speaker_itself_is_no_other_device)
{
    struct claim claim = {.level = LEVEL_SPOOLED};
    struct request request = timed_request("d=boiler-7");
    struct sink_message a = identify(&request, &claim, TIME_DEVICE, TIME_DEVICE);
    request = timed_request("");
    struct sink_message b = identify(&request, &claim, TIME_DEVICE, TIME_DEVICE);
    request = timed_request("d=boiler");
    struct sink_message c = identify(&request, &claim, TIME_DEVICE, TIME_DEVICE);
    cr_expect_arr_eq(a.key, b.key, sizeof a.key);
    cr_expect_eq(a.fingerprint, b.fingerprint);
    cr_expect_arr_neq(a.key, c.key, sizeof a.key);
    cr_expect_neq(a.fingerprint, c.fingerprint);
}

/* Lines of a log: by what they say if they say when, else by where they stand in this request. */
Test(claim, lines)
{
    struct request request = timed_request("");
    struct claim_content content = content_of(&request);
    struct sink_message first, second;
    content.payload = BYTES_LITERAL("a line");
    content.line = 1;
    first = identify_content(&request, &content, TIME_DEVICE);
    content.line = 2;
    second = identify_content(&request, &content, TIME_DEVICE);
    cr_expect_arr_eq(first.key, second.key, sizeof first.key);
    cr_expect_eq(first.fingerprint, second.fingerprint);
    second = identify_content(&request, &content, TIME_RECEIPT);
    content.line = 1;
    first = identify_content(&request, &content, TIME_RECEIPT);
    cr_expect_eq(first.identity_class, CLASS_TRANSPORT);
    cr_expect_arr_neq(first.key, second.key, sizeof first.key);
    cr_expect_arr_neq(first.key, wire_key, sizeof first.key);
}

/* A row of a batch: its records' times were set right by when it was sent, which another time is another. */
Test(claim, a_payload_with_a_time_of_its_own)
{
    struct request request = timed_request("");
    struct claim_content content = content_of(&request);
    struct claim exact = {.sequence = three_17};
    struct sink_message timed = identify_content(&request, &content, TIME_DEVICE), own;
    content.has_own_time = true;
    own = identify_content(&request, &content, TIME_BATCH);
    cr_expect_eq(own.identity_class, CLASS_WINDOWED);
    cr_expect_arr_eq(own.key, timed.key, sizeof own.key);
    struct message message;
    make_message(&message, TIME_BATCH, TIME_BATCH);
    cr_assert(claim_identify(&exact, &request, &content, &message.sink));
    cr_expect_eq(message.sink.identity_class, CLASS_EXACT);
}

/* What a legacy sender says beside its payload, and which codec reads it, make another message. */
Test(claim, parameters_and_codecs_tell_messages_apart)
{
    static const struct format_parameter cases[][2] = {
        {{BYTES_LITERAL("node"), BYTES_LITERAL("10")}, {BYTES_LITERAL("time"), BYTES_LITERAL("5")}},
        {{BYTES_LITERAL("node"), BYTES_LITERAL("105")}, {BYTES_LITERAL("time"), BYTES_LITERAL("")}},
        {{BYTES_LITERAL("node"), BYTES_LITERAL("10")}, {BYTES_LITERAL("timed"), BYTES_LITERAL("5")}},
        {{BYTES_LITERAL("node1"), BYTES_LITERAL("0")}, {BYTES_LITERAL("time"), BYTES_LITERAL("5")}},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    struct sink_message messages[COUNT + 2];
    struct request request = timed_request("");
    struct claim_content content = content_of(&request);
    messages[COUNT] = identify_content(&request, &content, TIME_DEVICE);
    content.codec = BYTES_LITERAL("acme-th");
    messages[COUNT + 1] = identify_content(&request, &content, TIME_DEVICE);
    content.codec = (struct bytes){0};
    content.parameter_count = 2;
    for (size_t i = 0; i < COUNT; i++) {
        content.parameters = cases[i];
        messages[i] = identify_content(&request, &content, TIME_DEVICE);
    }
    for (size_t i = 0; i < COUNT + 2; i++)
        for (size_t k = 0; k < i; k++) {
            cr_expect_arr_neq(messages[i].key, messages[k].key, sizeof messages[i].key, "%zu and %zu", i, k);
            cr_expect_neq(messages[i].fingerprint, messages[k].fingerprint, "%zu and %zu", i, k);
        }
}

/* How a message wants to be answered, and which one it is, makes no other message of it, wherever else that is said. */
Test(claim, what_is_said_of_the_delivery_is_no_content)
{
    static const struct format_parameter cases[][2] = {
        {{BYTES_LITERAL("node"), BYTES_LITERAL("10")}, {BYTES_LITERAL("level"), BYTES_LITERAL("stored")}},
        {{BYTES_LITERAL("level"), BYTES_LITERAL("")}, {BYTES_LITERAL("node"), BYTES_LITERAL("10")}},
        {{BYTES_LITERAL("node"), BYTES_LITERAL("10")}, {BYTES_LITERAL("n"), BYTES_LITERAL("3.17")}},
        {{BYTES_LITERAL("node"), BYTES_LITERAL("10")}, {BYTES_LITERAL("n"), BYTES_LITERAL("a.b")}},
        {{BYTES_LITERAL("node"), BYTES_LITERAL("10")}, {BYTES_LITERAL("levels"), BYTES_LITERAL("stored")}},
    };
    enum { COUNT = sizeof cases / sizeof cases[0], SAME = 3 };
    struct request request = timed_request("");
    struct claim_content content = content_of(&request);
    content.parameters = &cases[0][0];
    content.parameter_count = 1;
    struct sink_message alone = identify_content(&request, &content, TIME_DEVICE);
    content.parameter_count = 2;
    for (size_t i = 0; i < COUNT; i++) {
        content.parameters = cases[i];
        struct sink_message message = identify_content(&request, &content, TIME_DEVICE);
        cr_expect_eq(memcmp(alone.key, message.key, sizeof alone.key) == 0, i < SAME, "%zu", i);
        cr_expect_eq(alone.fingerprint == message.fingerprint, i < SAME, "%zu", i);
    }
}

/* Receipts. */

Test(claim, receipts)
{
    static const struct {
        struct sink_receipt receipt;
        int accept;
        const char *body;
        size_t len;
        int content_format;
    } cases[] = {
#define BODY(text) text, sizeof text - 1
        {{LEVEL_SPOOLED, false}, CONTENT_FORMAT_NONE, BODY("{\"level\":\"spooled\",\"n\":3}"), CONTENT_FORMAT_JSON},
        {{LEVEL_STORED, true}, CONTENT_FORMAT_JSON, BODY("{\"level\":\"stored\",\"n\":3,\"duplicate\":true}"),
         CONTENT_FORMAT_JSON},
        {{LEVEL_SPOOLED, false}, CONTENT_FORMAT_CBOR, BODY("\xa2\x61n\x03\x65level\x67spooled"), CONTENT_FORMAT_CBOR},
        {{LEVEL_REPLICATED, true}, CONTENT_FORMAT_CBOR,
         BODY("\xa3\x61n\x03\x65level\x6areplicated\x69" "duplicate\xf5"), CONTENT_FORMAT_CBOR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = request_of("");
        struct response response = response_of(OUTCOME_CHANGED);
        request.accept = cases[i].accept;
        cr_assert(claim_receipt_body(&request, &cases[i].receipt, 3, &response));
        cr_expect_eq(response.content_format, cases[i].content_format);
        cr_expect(bytes_equal(response.body, bytes_of(cases[i].body, cases[i].len)), "%zu: %.*s", i,
                  (int)response.body.len, (const char *)response.body.ptr);
    }
}

/* One record of a message of that class, its time so far from the receipt. */
static enum outcome judge_replay(enum delivery_class class, int64_t distance_s, const char **ret_detail)
{
    struct observation observation = {.time = {1763692800 + distance_s, 0}};
    struct sink_record record = {.observation = &observation};
    struct sink_message message = {.records = &record, .count = 1, .identity_class = class};
    return claim_judge_replay(&message, (struct timestamp){1763692800, 5}, 86400, ret_detail);
}

Test(claim, what_could_be_stored_again)
{
    static const struct {
        enum delivery_class class;
        int64_t distance_s;
        enum outcome outcome;
    } rows[] = {
        {CLASS_EXACT, -1000000, OUTCOME_CHANGED},          {CLASS_TRANSPORT, 0, OUTCOME_UNPROCESSABLE},
        {CLASS_WINDOWED, 0, OUTCOME_CHANGED},              {CLASS_WINDOWED, 3600, OUTCOME_CHANGED},
        {CLASS_WINDOWED, 3601, OUTCOME_TIME_OUTSIDE},      {CLASS_WINDOWED, 3600 - 86399, OUTCOME_CHANGED},
        {CLASS_WINDOWED, 3600 - 86400, OUTCOME_TIME_OUTSIDE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *detail = NULL;
        cr_expect_eq(judge_replay(rows[i].class, rows[i].distance_s, &detail), rows[i].outcome, "%zu", i);
        cr_expect_eq(detail != NULL, rows[i].outcome != OUTCOME_CHANGED, "%zu", i);
    }
}

Test(claim, merging)
{
    struct sequence all = none;
    const char *detail = NULL;
    cr_expect(claim_merge(&none, &all, &detail) && !all.given);
    cr_expect(claim_merge(&three_17, &all, &detail) && all.seq == 17);
    cr_expect(!claim_merge(&three_18, &all, &detail) && all.seq == 17 && detail);
}
