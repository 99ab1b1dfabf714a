// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * JWS: what the reader takes and what it refuses (cases J1, J3, J4, J9, J10), each with its sentence. Whether
 * signatures hold is tested in tests/unit/gateway/test_signed.c.
 */
#include "codec/jws.h"

#include "codec/base64url.h"
#include "codec/builder.h"
#include "codec/json.h"
#include "tests/unit/codec/support.h"

#define HEADER "{\"alg\":\"HS256\"}"
#define HEADER64 "eyJhbGciOiJIUzI1NiJ9"
#define SIGNATURE64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void put64(struct builder *out, struct bytes bytes)
{
    char *at = (char *)builder_reserve(out, base64url_length(bytes.len));
    cr_assert(at);
    base64url_encode(bytes, at);
}

/* header.payload.signature; the signature is zeros. */
static struct bytes compact(struct arena *arena, struct bytes header, const char *payload, size_t signature_len)
{
    static const uint8_t zeros[80];
    struct builder out;
    struct bytes text;
    builder_init(&out, arena, 64);
    put64(&out, header);
    builder_put_byte(&out, '.');
    put64(&out, bytes_of_text(payload));
    builder_put_byte(&out, '.');
    put64(&out, bytes_of(zeros, signature_len));
    cr_assert(builder_finish(&out, &text));
    return text;
}

typedef bool reader(struct bytes text, struct arena *arena, struct signed_message *ret, struct refusal *reterr);

/* "read", or the sentence. */
static const char *read_by(reader *read, struct bytes text, struct arena *arena, struct signed_message *ret)
{
    struct bytes exact;
    struct refusal refusal = {.detail = NULL};
    cr_assert(arena_copy(arena, text, &exact));
    if (read(exact, arena, ret, &refusal))
        return "read";
    cr_assert(refusal.detail);
    cr_assert(!outcome_is_success(refusal.outcome));
    cr_assert(refusal.offset == SIZE_MAX || refusal.offset <= exact.len);
    return refusal.detail;
}

#define KEY_SENTENCE "The header brings or names a key (jwk, jku, x5u, x5c, x5t): only kid may select one."
#define CRIT_SENTENCE "crit names extensions, and none is understood here."
#define B64_SENTENCE "b64 is not understood: the payload has to be base64url."
#define ALG_SENTENCE "alg has to be HS256, ES256 or EdDSA."
#define NONE_SENTENCE "alg is none: nobody signed this."
#define TYP_SENTENCE "typ says that this was signed for another purpose."
#define KID_SENTENCE "kid has to be a text of at most 64 octets."
#define SEQ_SENTENCE "seq has to be an array of epoch and seq."
#define CTY_SENTENCE "cty is no media type that is known here."
#define KID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(jws, headers)
{
    static const struct expectation table[] = {
        {HEADER, "read"},
        {" {\r\n \"alg\" : \"HS256\" } ", "read"},
        {"{\"alg\":\"HS256\",\"iss\":\"me\",\"nonce\":[1]}", "read"},
        /* J1 */
        {"{}", "The protected header has no alg."},
        {"{\"alg\":\"none\"}", NONE_SENTENCE},
        {"{\"alg\":\"None\"}", NONE_SENTENCE},
        {"{\"alg\":\"nOnE\"}", NONE_SENTENCE},
        {"{\"alg\":\"hs256\"}", ALG_SENTENCE},
        {"{\"alg\":\"HS256 \"}", ALG_SENTENCE},
        {"{\"alg\":\"HS512\"}", ALG_SENTENCE},
        {"{\"alg\":\"RS256\"}", ALG_SENTENCE},
        {"{\"alg\":\"\"}", ALG_SENTENCE},
        {"{\"alg\":5}", ALG_SENTENCE},
        {"{\"alg\":null}", ALG_SENTENCE},
        {"{\"ALG\":\"HS256\"}", "The protected header has no alg."},
        /* J3 */
        {"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"\"}}", KEY_SENTENCE},
        {"{\"alg\":\"HS256\",\"jku\":\"https://keys.example/\"}", KEY_SENTENCE},
        {"{\"alg\":\"HS256\",\"x5u\":\"https://keys.example/\"}", KEY_SENTENCE},
        {"{\"alg\":\"HS256\",\"x5c\":[]}", KEY_SENTENCE},
        {"{\"alg\":\"HS256\",\"x5t\":null}", KEY_SENTENCE},
        {"{\"alg\":\"HS256\",\"x5t#S256\":\"\"}", KEY_SENTENCE},
        /* J4: opaque, and bounded */
        {"{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", "read"},
        {"{\"alg\":\"HS256\",\"kid\":\"weir:*\"}", "read"},
        {"{\"alg\":\"HS256\",\"kid\":\"" KID64 "\"}", "read"},
        {"{\"alg\":\"HS256\",\"kid\":\"" KID64 "0\"}", KID_SENTENCE},
        {"{\"alg\":\"HS256\",\"kid\":7}", KID_SENTENCE},
        {"{\"alg\":\"HS256\",\"kid\":[\"a\"]}", KID_SENTENCE},
        {"{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}", "A text has the character U+0000."},
        /* J9 */
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", CRIT_SENTENCE},
        {"{\"alg\":\"HS256\",\"crit\":[]}", CRIT_SENTENCE},
        {"{\"alg\":\"HS256\",\"crit\":null}", CRIT_SENTENCE},
        {"{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", CRIT_SENTENCE},
        {"{\"alg\":\"HS256\",\"b64\":false}", B64_SENTENCE},
        {"{\"alg\":\"HS256\",\"b64\":true}", B64_SENTENCE},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "The protected header has a member twice."},
        {"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", "The protected header has a member twice."},
        /* J6 */
        {"{\"alg\":\"HS256\",\"typ\":\"JOSE\"}", "read"},
        {"{\"alg\":\"HS256\",\"typ\":\"application/jose\"}", "read"},
        {"{\"alg\":\"HS256\",\"typ\":\"JOSE+JSON\"}", "read"},
        {"{\"alg\":\"HS256\",\"typ\":\"Application/Weir\"}", "read"},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", TYP_SENTENCE},
        {"{\"alg\":\"HS256\",\"typ\":\"application/\"}", TYP_SENTENCE},
        {"{\"alg\":\"HS256\",\"typ\":\"\"}", TYP_SENTENCE},
        {"{\"alg\":\"HS256\",\"typ\":1}", TYP_SENTENCE},
        {"{\"alg\":\"HS256\",\"cty\":\"application/x-unknown\"}", CTY_SENTENCE},
        {"{\"alg\":\"HS256\",\"cty\":\"\"}", CTY_SENTENCE},
        {"{\"alg\":\"HS256\",\"cty\":112}", "cty has to be a text."},
        {"{\"alg\":\"HS256\",\"seq\":[0,9007199254740991]}", "read"},
        {"{\"alg\":\"HS256\",\"seq\":[4294967295,0]}", "read"},
        {"{\"alg\":\"HS256\",\"seq\":[4294967296,0]}", "epoch has to be an integer from 0 to 4294967295."},
        {"{\"alg\":\"HS256\",\"seq\":[0,9007199254740992]}", "seq has to be an integer from 0 to 9007199254740991."},
        {"{\"alg\":\"HS256\",\"seq\":[0,1.0]}", "seq has to be an integer from 0 to 9007199254740991."},
        {"{\"alg\":\"HS256\",\"seq\":[0,-1]}", "seq has to be an integer from 0 to 9007199254740991."},
        {"{\"alg\":\"HS256\",\"seq\":[\"0\",1]}", "epoch has to be an integer from 0 to 4294967295."},
        {"{\"alg\":\"HS256\",\"seq\":[1]}", SEQ_SENTENCE},
        {"{\"alg\":\"HS256\",\"seq\":[1,2,3]}", SEQ_SENTENCE},
        {"{\"alg\":\"HS256\",\"seq\":5}", SEQ_SENTENCE},
        {"[]", "The protected header is no JSON object."},
        {"\"HS256\"", "The protected header is no JSON object."},
        {"{\"alg\":\"HS256\"", "The protected header is not JSON."},
        {"{\"alg\":\"HS256\",}", "The protected header is not JSON."},
        {"{\"alg\":\"HS256\",\"a\":\"\xff\"}", "The protected header is not JSON."},
        {"\xef\xbb\xbf" HEADER, "The protected header is not JSON."},
        {"{\"alg\":\"HS256\",\"a\":[[[[[]]]]]}", "The protected header is too deep or has too many members."},
        {"", "There is no protected header."},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct signed_message message;
        struct bytes text = compact(arena, bytes_of_text(table[i].payload), "21.5", 32);
        cr_expect_str_eq(read_by(jws_read_compact, text, arena, &message), table[i].result, "%s", table[i].payload);
        arena_free(arena);
    }
}

Test(jws, long_headers)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct signed_message message;
    char header[JWS_HEADER_MAX + 1];
    memset(header, ' ', sizeof(header));
    memcpy(header, HEADER, strlen(HEADER));
    struct bytes longest = bytes_of(header, JWS_HEADER_MAX), longer = bytes_of(header, JWS_HEADER_MAX + 1);
    cr_expect_str_eq(read_by(jws_read_compact, compact(arena, longest, "x", 32), arena, &message), "read");
    cr_expect_str_eq(read_by(jws_read_compact, compact(arena, longer, "x", 32), arena, &message),
                     "The protected header is too long.");
    arena_free(arena);
}

/* J10: one run of octets has one text. */
Test(jws, encodings)
{
#define HEADER_SENTENCE "The protected header is not canonical base64url."
#define PAYLOAD_SENTENCE "The payload is not canonical base64url."
#define SIGNATURE_SENTENCE "The signature is not canonical base64url."
#define DOTS_SENTENCE "A compact JWS has exactly two dots."
#define MISSING_SENTENCE "The payload is missing or detached; it has to be inside."
    static const struct {
        struct bytes text;
        const char *result;
    } table[] = {
        {BYTES_LITERAL(HEADER64 ".Zm8." SIGNATURE64), "read"},
        {BYTES_LITERAL(""), DOTS_SENTENCE},
        {BYTES_LITERAL("."), DOTS_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8"), DOTS_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8." SIGNATURE64 "."), DOTS_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".." SIGNATURE64), MISSING_SENTENCE},
        {BYTES_LITERAL(".Zm8." SIGNATURE64), "There is no protected header."},
        {BYTES_LITERAL(" " HEADER64 ".Zm8." SIGNATURE64), HEADER_SENTENCE},
        {BYTES_LITERAL(HEADER64 "=.Zm8." SIGNATURE64), HEADER_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8=." SIGNATURE64), PAYLOAD_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm9." SIGNATURE64), PAYLOAD_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8v+w." SIGNATURE64), PAYLOAD_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8v/w." SIGNATURE64), PAYLOAD_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm\n8." SIGNATURE64), PAYLOAD_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8\0." SIGNATURE64), PAYLOAD_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8vZ." SIGNATURE64), PAYLOAD_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8." SIGNATURE64 "="), SIGNATURE_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8." SIGNATURE64 "\n"), SIGNATURE_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8." SIGNATURE64 "\0"), SIGNATURE_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"), SIGNATURE_SENTENCE},
        {BYTES_LITERAL(HEADER64 ".Zm8."), "The signature does not have the length of its alg."},
        {BYTES_LITERAL(HEADER64 ".Zm8." SIGNATURE64 "A"), "The signature does not have the length of its alg."},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct signed_message message;
        cr_expect_str_eq(read_by(jws_read_compact, table[i].text, arena, &message), table[i].result, "%zu", i);
        arena_free(arena);
    }
}

Test(jws, signature_lengths)
{
    static const struct {
        const char *header;
        size_t len;
        bool good;
    } table[] = {
        {HEADER, 32, true}, {HEADER, 31, false}, {HEADER, 8, false}, {HEADER, 64, false},
        {"{\"alg\":\"ES256\"}", 64, true}, {"{\"alg\":\"ES256\"}", 70, false}, {"{\"alg\":\"ES256\"}", 63, false},
        {"{\"alg\":\"EdDSA\"}", 64, true}, {"{\"alg\":\"EdDSA\"}", 32, false}, {"{\"alg\":\"Ed25519\"}", 64, true},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct signed_message message;
        struct bytes text = compact(arena, bytes_of_text(table[i].header), "x", table[i].len);
        cr_expect_str_eq(read_by(jws_read_compact, text, arena, &message),
                         table[i].good ? "read" : "The signature does not have the length of its alg.", "%zu", i);
        arena_free(arena);
    }
}

Test(jws, content_types)
{
    static const struct {
        const char *cty;
        int content_format;
    } table[] = {
        {"application/senml+json", CONTENT_FORMAT_SENML_JSON}, {"senml+json", CONTENT_FORMAT_SENML_JSON},
        {"SenML+CBOR", CONTENT_FORMAT_SENML_CBOR}, {"text/plain", CONTENT_FORMAT_TEXT}, {"json", CONTENT_FORMAT_JSON},
        {"vnd.weir.cayenne-lpp", CONTENT_FORMAT_CAYENNE_LPP},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct signed_message message;
        char header[128];
        snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"cty\":\"%s\"}", table[i].cty);
        cr_expect_str_eq(read_by(jws_read_compact, compact(arena, bytes_of_text(header), "x", 32), arena, &message),
                         "read");
        cr_expect_eq(message.content_format, table[i].content_format, "%s", table[i].cty);
        arena_free(arena);
    }
}

#define TWICE_SENTENCE "It is a flattened and a general JWS at once."
#define ONE_SENTENCE "signatures has to have exactly one signature."
#define PROTECT_SENTENCE "alg, kid, crit, b64, typ, cty and seq have to be in the protected header."
#define PARTS "\"protected\":\"" HEADER64 "\",\"signature\":\"" SIGNATURE64 "\""
#define FLAT(more) "{\"payload\":\"Zm8\"," PARTS more "}"

Test(jws, json)
{
    static const struct expectation table[] = {
        {FLAT(""), "read"},
        {FLAT(",\"x\":{\"y\":[]}"), "read"},
        {FLAT(",\"header\":{\"note\":1}"), "read"},
        {"{\"payload\":\"Zm8\",\"signatures\":[{" PARTS "}]}", "read"},
        {"{\"payload\":\"Zm8\",\"signatures\":[{" PARTS ",\"header\":{}}],\"x\":1}", "read"},
        {"{\"payload\":\"Zm8\",\"signatures\":[]}", ONE_SENTENCE},
        {"{\"payload\":\"Zm8\",\"signatures\":[{" PARTS "},{" PARTS "}]}", ONE_SENTENCE},
        {"{\"payload\":\"Zm8\",\"signatures\":{" PARTS "}}", ONE_SENTENCE},
        {"{\"payload\":\"Zm8\",\"signatures\":[5]}", "A signature has to be an object."},
        {FLAT(",\"signatures\":[{" PARTS "}]"), TWICE_SENTENCE},
        {"{\"payload\":\"Zm8\",\"signatures\":[{" PARTS "}],\"header\":{}}", TWICE_SENTENCE},
        {FLAT(",\"header\":{\"alg\":\"HS256\"}"), PROTECT_SENTENCE},
        {FLAT(",\"header\":{\"kid\":\"a\"}"), PROTECT_SENTENCE},
        {FLAT(",\"header\":{\"crit\":[\"a\"]}"), PROTECT_SENTENCE},
        {FLAT(",\"header\":{\"b64\":false}"), PROTECT_SENTENCE},
        {FLAT(",\"header\":{\"typ\":\"JWT\"}"), PROTECT_SENTENCE},
        {FLAT(",\"header\":{\"cty\":\"json\"}"), PROTECT_SENTENCE},
        {FLAT(",\"header\":{\"seq\":[1,2]}"), PROTECT_SENTENCE},
        {FLAT(",\"header\":{\"jku\":\"https://keys.example/\"}"), KEY_SENTENCE},
        {FLAT(",\"header\":{\"jwk\":{}}"), KEY_SENTENCE},
        {FLAT(",\"header\":[]"), "The unprotected header is no object."},
        {"{\"payload\":\"Zm8\",\"protected\":\"eyJhbGciOiJIUzI1NiIsIm5vdGUiOjF9\",\"header\":{\"note\":1},"
         "\"signature\":\"" SIGNATURE64 "\"}", "A member is in both headers."},
        {"{\"payload\":\"Zm8\",\"header\":{\"alg\":\"HS256\"},\"signature\":\"" SIGNATURE64 "\"}",
         "There is no protected header."},
        {"{\"payload\":\"Zm8\",\"protected\":\"\",\"signature\":\"" SIGNATURE64 "\"}", "There is no protected header."},
        {"{" PARTS "}", MISSING_SENTENCE},
        {"{\"payload\":\"\"," PARTS "}", MISSING_SENTENCE},
        {"{\"payload\":5," PARTS "}", "protected, payload and signature have to be texts."},
        {"{\"payload\":\"Zm8\",\"protected\":\"" HEADER64 "\"}", "The signature does not have the length of its alg."},
        {"{\"payload\":\"Zm8=\"," PARTS "}", PAYLOAD_SENTENCE},
        {"{\"payload\":\"Zm8\",\"payload\":\"Zm8\"," PARTS "}", "A map has a key twice."},
        {HEADER64 ".Zm8." SIGNATURE64, "The payload is not well-formed JSON."},
        {"[]", "A JWS in JSON is an object."},
        {"{}", MISSING_SENTENCE},
        {"", "The payload is empty."},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct signed_message message;
        struct bytes text = bytes_of_text(table[i].payload);
        cr_expect_str_eq(read_by(jws_read_json, text, arena, &message), table[i].result, "%s", table[i].payload);
        if (strcmp(table[i].result, "read") == 0)
            cr_expect(bytes_equal_text(message.covered, HEADER64 ".Zm8") && bytes_equal_text(message.payload, "fo"));
        arena_free(arena);
    }
}

/* What was written is read again, in all forms. */
Test(jws, round_trips)
{
    static const uint8_t signature_octets[64] = {1, 2, 3, 255};
    for (unsigned algorithm = 0; algorithm < SIGNED_ALGORITHMS; algorithm++) {
        if (algorithm == SIGNED_HS256_64)
            continue;
        const struct jws_header header = {.algorithm = algorithm, .kid = BYTES_LITERAL("boiler \"1\""),
                                          .content_type = BYTES_LITERAL("application/senml+json"),
                                          .sequence = {true, 7, SEQUENCE_MAX}};
        struct arena *arena = arena_new(ARENA_BYTES);
        struct bytes covered, text[2];
        struct bytes signature = bytes_of(signature_octets, signed_signature_len(algorithm));
        cr_assert(jws_begin(&header, BYTES_LITERAL("[{\"n\":\"a\",\"v\":1}]"), arena, &covered));
        cr_assert(jws_end_compact(covered, signature, arena, &text[0]));
        cr_assert(jws_end_json(covered, signature, arena, &text[1]));
        for (unsigned i = 0; i < 2; i++) {
            struct signed_message message;
            cr_expect_str_eq(read_by(i ? jws_read_json : jws_read_compact, text[i], arena, &message), "read");
            cr_expect_eq(message.form, SIGNED_JWS);
            cr_expect_eq(message.algorithm, algorithm);
            cr_expect(bytes_equal(message.kid, header.kid));
            cr_expect_eq(message.content_format, CONTENT_FORMAT_SENML_JSON);
            cr_expect(bytes_equal_text(message.payload, "[{\"n\":\"a\",\"v\":1}]"));
            cr_expect(bytes_equal(message.covered, covered) && bytes_equal(message.signature, signature));
            cr_expect(message.sequence.given && message.sequence.epoch == 7 && message.sequence.seq == SEQUENCE_MAX);
        }
        arena_free(arena);
    }
}

Test(jws, the_least_header)
{
    const struct jws_header header = {.algorithm = SIGNED_EDDSA};
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes covered;
    struct signed_message message;
    cr_assert(jws_begin(&header, BYTES_LITERAL("1"), arena, &covered));
    cr_expect(bytes_starts_with(covered, BYTES_LITERAL("eyJhbGciOiJFZERTQSIsInR5cCI6IndlaXIifQ.MQ")));
    struct bytes text = compact(arena, BYTES_LITERAL("{\"alg\":\"EdDSA\",\"typ\":\"weir\"}"), "1", 64);
    cr_assert_str_eq(read_by(jws_read_compact, text, arena, &message), "read");
    cr_expect(bytes_equal(message.covered, covered));
    cr_expect(message.kid.len == 0 && !message.sequence.given && message.content_format == CONTENT_FORMAT_NONE);
    arena_free(arena);
}

Test(jws, memory)
{
    bool done = false;
    for (size_t bytes = 16; bytes < 16384; bytes += 32) {
        struct arena *arena = arena_new(bytes);
        struct signed_message message;
        struct refusal refusal = {.outcome = OUTCOME_CHANGED};
        done = jws_read_json(BYTES_LITERAL(FLAT(",\"header\":{\"note\":1}")), arena, &message, &refusal);
        cr_expect(done || refusal.outcome == OUTCOME_OUT_OF_MEMORY);
        arena_free(arena);
    }
    cr_expect(done);
}
