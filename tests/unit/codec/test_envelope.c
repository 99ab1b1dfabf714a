// SPDX-License-Identifier: GPL-3.0-or-later
/* The {hmac, payload} envelope as text, and the format "fields" that reads what is in it. */
#include "codec/envelope.h"

#include "tests/unit/codec/legacy.h"

#define MAC "EbtdmFFSK4pWmI7Q/PFoNC9TWtv3Co9TO4pSiC19u6I="
#define SAMPLE "{ \"ts_ns\": 920529791 , \"ts\":1759384453, \"temperature\":20.52,\"humidity\":60.640 }"

static const char *read_as(const char *text, struct arena *arena, struct signed_message *ret)
{
    struct refusal refusal = {.detail = NULL};
    struct bytes exact;
    cr_assert(arena_copy(arena, bytes_of_text(text), &exact));
    if (envelope_read(exact, &FORMAT_LIMITS_DEFAULT, arena, ret, &refusal))
        return "read";
    cr_assert(refusal.detail && (refusal.offset == SIZE_MAX || refusal.offset <= exact.len));
    return outcome_row(refusal.outcome)->slug;
}

Test(envelope, reads)
{
    static const uint8_t mac[4] = {0x11, 0xbb, 0x5d, 0x98};
    struct arena *arena = arena_new(ARENA_BYTES);
    struct signed_message message;
    cr_assert_str_eq(read_as(" {\"p\\u0061yload\" :\n" SAMPLE " , \"hmac\": \"" MAC "\"}\n", arena, &message), "read");
    cr_expect_eq(message.form, SIGNED_ENVELOPE);
    cr_expect_eq(message.algorithm, SIGNED_HS256);
    cr_expect_eq(message.content_format, CONTENT_FORMAT_FIELDS);
    cr_expect(bytes_equal_text(message.payload, SAMPLE));
    cr_expect(bytes_equal_text(message.covered, "{\"humidity\":60.64,\"temperature\":20.52,\"ts\":1759384453,"
                                                "\"ts_ns\":920529791}"));
    cr_expect_eq(message.signature.len, 32);
    cr_expect_arr_eq(message.signature.ptr, mac, sizeof(mac));
    cr_expect(message.has_time && message.time.s == 1759384453 && message.time.ns == 920529791);
    cr_expect(message.kid.len == 0 && !message.sequence.given);
    arena_free(arena);
}

Test(envelope, refuses)
{
    static const struct expectation table[] = {
        {"{\"hmac\":\"" MAC "\",\"payload\":{}}", "read"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"a\":\"}\\\"]\",\"b\":[{}]}}", "read"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":0}}", "read"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":2147483647,\"ts_ns\":999999999}}", "read"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":2147483648}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":1.0}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":1e9}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":-1}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":\"1\"}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts\":1,\"ts_ns\":1000000000}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"ts_ns\":1}}", "bad-value"},
        {"{\"payload\":{}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\"}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{},\"x\":1}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{},\"payload\":{}}", "duplicate-key"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"a\":1,\"\\u0061\":1}}", "duplicate-key"},
        {"{\"hmac\":\"" MAC "\",\"payload\":[]}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":\"{}\"}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":null}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"a\":1e400}}", "bad-value"},
        {"{\"hmac\":\"" MAC "\",\"payload\":{\"a\":\"\\ud800\"}}", "malformed"},
        {"{\"hmac\":5,\"payload\":{}}", "bad-value"},
        {"{\"hmac\":\"\",\"payload\":{}}", "bad-value"},
        /* Without padding, in the other alphabet, with white space, with an unused bit, cut. */
        {"{\"hmac\":\"EbtdmFFSK4pWmI7Q/PFoNC9TWtv3Co9TO4pSiC19u6I\",\"payload\":{}}", "bad-value"},
        {"{\"hmac\":\"EbtdmFFSK4pWmI7Q_PFoNC9TWtv3Co9TO4pSiC19u6I=\",\"payload\":{}}", "bad-value"},
        {"{\"hmac\":\"EbtdmFFSK4pWmI7Q/PFoNC9TWtv3Co9TO4pSiC19u6I\\n\",\"payload\":{}}", "bad-value"},
        {"{\"hmac\":\"EbtdmFFSK4pWmI7Q/PFoNC9TWtv3Co9TO4pSiC19u6J=\",\"payload\":{}}", "bad-value"},
        {"{\"hmac\":\"EbtdmFFSK4pWmI7Q/PFoNC9TWtv3Co9TO4pSiC19u6==\",\"payload\":{}}", "bad-value"},
        {"{\"hmac\":\"EbtdmFFSK4pWmI7Q\",\"payload\":{}}", "bad-value"},
        {"[]", "malformed"},
        {"", "malformed"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct signed_message message;
        cr_expect_str_eq(read_as(table[i].payload, arena, &message), table[i].result, "%s", table[i].payload);
        arena_free(arena);
    }
}

Test(envelope, writes_what_it_reads)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct signed_message message, again;
    struct bytes text;
    cr_assert_str_eq(read_as("{\"payload\":" SAMPLE ",\"hmac\":\"" MAC "\"}", arena, &message), "read");
    cr_assert(envelope_write(message.payload, message.signature.ptr, arena, &text));
    cr_expect(bytes_equal_text(text, "{\"hmac\":\"" MAC "\",\"payload\":" SAMPLE "}"));
    cr_assert_str_eq(read_as(arena_text(arena, text), arena, &again), "read");
    cr_expect(bytes_equal(again.covered, message.covered));
    arena_free(arena);
}

#define AT " @1759384453.920529791"

Test(envelope, fields)
{
    static const struct expectation table[] = {
        {SAMPLE, "temperature=20.52" AT "; humidity=60.640" AT},
        {"{\"a\":1,\"ts\":1759384453}", "a=1 @1759384453"},
        {"{\"a\":true,\"b\":\"x\",\"c\":null}", "a=true; b='x'"},
        {"{\"room\":{\"air\":{\"temp\":1.50},\"on\":false},\"z\":2}", "room.air.temp=1.50; room.on=false; z=2"},
        {"{\"room\":{\"ts\":5,\"ts_ns\":6}}", "room.ts=5; room.ts_ns=6"},
        {"{\"on off\":1,\"\xc2\xb0" "C\":2}", "on_off=1; C=2"},
        {"{\"a\":{},\"b\":1}", "b=1"},
        {"{\"epoch\":1,\"seq\":2,\"a\":3}", "a=3"},
        {"{\"seq\":2,\"a\":3}", "seq=2; a=3"},
        {"{\"a.b\":1,\"a\":{\"b\":2}}", "duplicate-key"},
        {"{\"a b\":1,\"a_b\":2}", "duplicate-key"},
        {"{\"a\":[1]}", "bad-value"},
        {"{\"a\":{\"b\":[]}}", "bad-value"},
        {"{\"ts\":1759384453,\"ts_ns\":1}", "bad-value"},
        {"{}", "bad-value"},
        {"{\"a\":null}", "bad-value"},
        {"{\"--\":1}", "bad-name"},
        {"{\"a\":1,\"ts\":1.5}", "bad-value"},
        {"{\"a\":1,\"ts_ns\":5}", "bad-value"},
        {"{\"a\":1,\"epoch\":1,\"seq\":-1}", "bad-value"},
        {"{\"a\":1e999}", "bad-value"},
        {"{\"a\":\"\\u0000\"}", "bad-value"},
        {"[{\"a\":1}]", "bad-value"},
        {"5", "bad-value"},
        {"{\"a\":1", "malformed"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct format_input input = {.payload = bytes_of_text(table[i].payload)};
        struct observation_list list = {0};
        struct format_error error = {NULL, 0};
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = told_of(format_by_name(BYTES_LITERAL("fields")), input, arena, &list, &error);
        cr_expect_str_eq(result, table[i].result, "%s\n gives %s\n not   %s", table[i].payload, result,
                         table[i].result);
        arena_free(arena);
    }
}

Test(envelope, fields_have_the_sequence_of_the_payload)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    struct format_error error;
    struct bytes text = BYTES_LITERAL("{\"epoch\":1,\"seq\":2,\"a\":3}");
    cr_assert_eq(decode_as(CONTENT_FORMAT_FIELDS, text, arena, &list, &error), OUTCOME_CHANGED);
    cr_expect(list.sequence.given && list.sequence.epoch == 1 && list.sequence.seq == 2 && list.count == 1);
    arena_free(arena);
}

/* Long keys above many members do not take memory for each of them. */
Test(envelope, long_names)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char text[4096] = "{\"";
    memset(text + 2, 'a', 1100);
    strcpy(text + 1102, "\":{\"x\":1}}");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_FIELDS, bytes_of_text(text), arena), "bad-name");
    arena_free(arena);
}

Test(envelope, limits)
{
    struct format_input input = {.payload = BYTES_LITERAL("{\"a\":1,\"b\":{\"c\":2,\"d\":3}}"),
                                 .limits = {.depth = 16, .items = 64, .records = 2}};
    struct observation_list list = {0};
    struct format_error error = {NULL, 0};
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_eq(envelope_decode_fields(&input, arena, &list, &error), OUTCOME_TOO_COMPLEX);
    input.limits.records = 3;
    cr_expect_eq(envelope_decode_fields(&input, arena, &list, &error), OUTCOME_CHANGED);
    arena_free(arena);
}
