// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Signed messages end to end with HMAC: the vectors of RFC 7515, RFC 7520, RFC 7797 and RFC 8037, and Python's
 * envelopes. Those with public keys are checked in test_crypto_sign.c; here only that they are read or refused.
 */
#include "codec/base64url.h"
#include "codec/envelope.h"
#include "codec/json.h"
#include "codec/jws.h"
#include "gateway/crypto.h"

#include "tests/unit/codec/support.h"

static const struct format_limits wide = {.depth = 16, .items = 65536};

static const struct node *read_file(struct arena *arena, const char *name)
{
    struct refusal refusal;
    const struct node *root;
    cr_assert(json_read_with_nul(vector_file(arena, name), &wide, arena, &root, &refusal), "%s", name);
    return root;
}

static const struct node *find(const struct node *map, const char *name)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1))
        if (bytes_equal_text(key->data, name))
            return key + 1;
    return NULL;
}

static bool holds(const struct signed_message *message, struct bytes key)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    cr_assert(crypto_hmac_sha256(key, message->covered, (struct bytes){0}, mac));
    return bytes_equal(message->signature, bytes_of(mac, sizeof(mac)));
}

/* "holds", "forged", or why it is not read; with no key "read". */
static const char *judge(const struct signed_message *message, const struct node *jwk, struct arena *arena)
{
    const struct node *k = jwk ? find(jwk, "k") : NULL;
    struct bytes key;
    if (!k)
        return "read";
    cr_assert_eq(base64url_decode(k->data, arena, &key), BASE64URL_OK);
    return holds(message, key) ? "holds" : "forged";
}

static const char *judge_compact(struct bytes text, const struct node *jwk, struct arena *arena)
{
    struct signed_message message;
    struct refusal refusal;
    if (!jws_read_compact(text, arena, &message, &refusal))
        return outcome_row(refusal.outcome)->slug;
    return judge(&message, jwk, arena);
}

static const char *judge_json(struct bytes text, const struct node *jwk, struct arena *arena)
{
    struct signed_message message;
    struct refusal refusal;
    if (!jws_read_json(text, arena, &message, &refusal))
        return outcome_row(refusal.outcome)->slug;
    return judge(&message, jwk, arena);
}

/* The text of a member that is an object. */
static struct bytes text_of(struct bytes text, const struct node *map, const char *name)
{
    const struct node *value = find(map, name);
    return value ? json_value_text(text, value - 1) : (struct bytes){0};
}

Test(signed, cookbook)
{
    static const struct {
        const char *file, *compact, *general, *flattened; /* NULL: not in the file */
    } table[] = {
        {"jws/4_1.rsa_v15_signature", "bad-value", "bad-value", "bad-value"},
        {"jws/4_2.rsa-pss_signature", "bad-value", "bad-value", "bad-value"},
        {"jws/4_3.ecdsa_signature", "bad-value", "bad-value", "bad-value"}, /* ES512 */
        {"jws/4_4.hmac-sha2_integrity_protection", "holds", "holds", "holds"},
        {"jws/4_5.signature_with_detached_content", "malformed", "malformed", "malformed"},
        {"jws/4_6.protecting_specific_header_fields", NULL, "bad-value", "bad-value"}, /* kid is not protected */
        {"jws/4_7.protecting_content_only", NULL, "malformed", "malformed"},
        {"jws/4_8.multiple_signatures", NULL, "bad-value", NULL},
        {"rfc7797/4.2.hmac-sha2_b64_false", NULL, "must-understand", "must-understand"},
        {"rfc7797/hmac-sha2_b64_false", "must-understand", "must-understand", "must-understand"},
        {"curve25519/jws", "read", "read", "read"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        char name[128];
        snprintf(name, sizeof(name), "jose-cookbook/%s.json", table[i].file);
        const struct bytes text = vector_file(arena, name);
        const struct node *root = read_file(arena, name);
        const struct node *output = find(root, "output"), *key = find(find(root, "input"), "key");
        const struct node *compact = find(output, "compact");
        struct bytes general = text_of(text, output, "json"), flattened = text_of(text, output, "json_flat");
        key = key && key->kind == NODE_MAP ? key : NULL;
        cr_assert_eq(compact != NULL, table[i].compact != NULL, "%s", name);
        cr_assert_eq(general.ptr != NULL, table[i].general != NULL, "%s", name);
        cr_assert_eq(flattened.ptr != NULL, table[i].flattened != NULL, "%s", name);
        if (compact)
            cr_expect_str_eq(judge_compact(compact->data, key, arena), table[i].compact, "%s", name);
        if (general.ptr)
            cr_expect_str_eq(judge_json(general, key, arena), table[i].general, "%s", name);
        if (flattened.ptr)
            cr_expect_str_eq(judge_json(flattened, key, arena), table[i].flattened, "%s", name);
        arena_free(arena);
    }
}

Test(signed, rfc7515)
{
    static const struct {
        const char *id, *result;
    } table[] = {
        {"A.1", "bad-value"}, /* typ is JWT: a login, no observation */
        {"A.2", "bad-value"}, /* RS256 */
        {"A.3", "read"},      /* ES256 */
        {"A.4", "bad-value"}, /* ES512 */
        {"A.5", "bad-value"}, /* none */
        {"A.6", "bad-value"}, /* two signatures */
        {"A.7", "bad-value"}, /* kid is not protected */
        {"E", "must-understand"},
    };
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct bytes text = vector_file(arena, "rfc7515-appendix-a/vectors.json");
    const struct node *root = read_file(arena, "rfc7515-appendix-a/vectors.json"), *item = node_first(root);
    cr_assert_eq(root->count, COUNT_OF(table));
    for (uint32_t i = 0; i < root->count; i++, item = node_next(item)) {
        const struct node *jws = find(item, "jws");
        cr_assert(bytes_equal_text(find(item, "id")->data, table[i].id));
        const char *result = jws->kind == NODE_TEXT ? judge_compact(jws->data, NULL, arena)
                                                    : judge_json(text_of(text, item, "jws"), NULL, arena);
        cr_expect_str_eq(result, table[i].result, "%s", table[i].id);
    }
    arena_free(arena);
}

/* A bit of any part changed: read or not, it never holds. */
Test(signed, every_octet_counts)
{
    struct arena *arena = arena_new(4 * ARENA_BYTES);
    const struct node *root = read_file(arena, "jose-cookbook/jws/4_4.hmac-sha2_integrity_protection.json");
    const struct node *key = find(find(root, "input"), "key");
    struct bytes text, good = find(find(root, "output"), "compact")->data;
    cr_assert(arena_copy(arena, good, &text));
    uint8_t *octets = (uint8_t *)(uintptr_t)text.ptr;
    cr_assert_str_eq(judge_compact(text, key, arena), "holds");
    for (size_t i = 0; i < text.len; i++) {
        struct arena *one = arena_new(ARENA_BYTES);
        octets[i] ^= 1;
        cr_expect_str_neq(judge_compact(text, key, one), "holds", "octet %zu", i);
        octets[i] ^= 1;
        arena_free(one);
    }
    arena_free(arena);
}

/* --- Python's envelopes --- */

static const char *judge_envelope(struct bytes text, struct bytes key, struct arena *arena)
{
    struct signed_message message;
    struct refusal refusal;
    if (!envelope_read(text, &FORMAT_LIMITS_DEFAULT, arena, &message, &refusal))
        return outcome_row(refusal.outcome)->slug;
    return holds(&message, key) ? "holds" : "forged";
}

static struct bytes envelope_of(struct arena *arena, struct bytes payload, struct bytes mac)
{
    char *text = arena_alloc(arena, payload.len + mac.len + 64);
    cr_assert(text);
    int len = sprintf(text, "{\"hmac\":\"%.*s\",\"payload\":%.*s}", (int)mac.len, mac.ptr, (int)payload.len,
                      payload.ptr);
    return bytes_of(text, (size_t)len);
}

Test(signed, python_cases)
{
    struct arena *arena = arena_new(4 * ARENA_BYTES);
    const struct node *root = read_file(arena, "pyjson-hmac/cases.json"), *cases = find(root, "cases");
    const struct bytes key = find(root, "key_utf8")->data;
    const struct node *item = node_first(cases);
    unsigned held = 0;
    for (uint32_t i = 0; i < cases->count; i++, item = node_next(item)) {
        const struct node *mac = find(item, "hmac_b64");
        if (!mac || mac->kind != NODE_TEXT)
            continue;
        const char *result = judge_envelope(envelope_of(arena, find(item, "payload_raw")->data, mac->data), key, arena);
        bool accept = bytes_equal_text(find(item, "recommended")->data, "accept");
        cr_expect_eq(strcmp(result, "holds") == 0, accept, "%s: %s", arena_text(arena, find(item, "name")->data),
                     result);
        cr_expect_str_neq(result, "forged");
        held += accept;
    }
    cr_expect_eq(held, 33);
    const struct node *first = node_first(cases);
    struct bytes foreign = find(find(root, "published_example"), "hmac_b64")->data;
    struct bytes envelope = envelope_of(arena, find(first, "payload_raw")->data, foreign);
    cr_expect_str_eq(judge_envelope(envelope, key, arena), "forged");
    arena_free(arena);
}

Test(signed, python_random)
{
    struct arena *arena = arena_new(16 * ARENA_BYTES);
    const struct bytes key = find(read_file(arena, "pyjson-hmac/cases.json"), "key_utf8")->data;
    struct bytes lines = vector_file(arena, "pyjson-hmac/random.jsonl");
    unsigned count = 0;
    for (const uint8_t *end; lines.len && (end = memchr(lines.ptr, '\n', lines.len)); count++) {
        const struct node *root;
        struct refusal refusal;
        struct bytes line = bytes_of(lines.ptr, (size_t)(end - lines.ptr));
        cr_assert(json_read_with_nul(line, &wide, arena, &root, &refusal));
        cr_expect_str_eq(judge_envelope(find(root, "envelope")->data, key, arena), "holds", "line %u", count + 1);
        lines = bytes_of(end + 1, lines.len - line.len - 1);
    }
    cr_expect_eq(count, 400);
    arena_free(arena);
}

Test(signed, forms)
{
    enum signed_form form;
    cr_expect(signed_form_of(CONTENT_FORMAT_COSE_SIGN1, &form) && form == SIGNED_COSE);
    cr_expect(signed_form_of(CONTENT_FORMAT_COSE_MAC0, &form) && form == SIGNED_COSE);
    cr_expect(signed_form_of(CONTENT_FORMAT_JOSE, &form) && form == SIGNED_JWS);
    cr_expect(signed_form_of(CONTENT_FORMAT_JOSE_JSON, &form) && form == SIGNED_JWS);
    cr_expect(!signed_form_of(CONTENT_FORMAT_JSON, &form) && !signed_form_of(CONTENT_FORMAT_NONE, &form));
    cr_expect_str_eq(signed_form_name(SIGNED_ENVELOPE), "hmac");
    cr_expect_str_eq(signed_algorithm_name(SIGNED_HS256_64), "HS256/64");
    cr_expect_eq(signed_signature_len(SIGNED_HS256_64), 8);
}

Test(signed, an_envelope_is_recognised_however_its_payload_is_spelled)
{
    static const char *const payloads[] = {
        "{\"a\":1.5,\"s\":\"\\u00e9\",\"ts\":1763692800,\"ts_ns\":5}",
        "{ \"ts_ns\":5, \"ts\":1763692800,\n \"s\":\"\xc3\xa9\", \"a\":15e-1 }",
        "{\"\\u0061\":1.50,\"s\":\"\\u00E9\",\"ts\":1763692800,\"ts_ns\":5}",
    };
    struct arena *arena = arena_new(ARENA_BYTES);
    struct signed_message first, message, other;
    struct refusal refusal;
    struct bytes text;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        cr_assert(envelope_write(bytes_of_text(payloads[i]), (const uint8_t[32]){1}, arena, &text));
        cr_assert(envelope_read(text, &wide, arena, &message, &refusal), "%s", refusal.detail);
        if (i == 0)
            first = message;
        cr_expect(bytes_equal(signed_content(&message), signed_content(&first)), "%s", payloads[i]);
    }
    cr_assert(envelope_write(BYTES_LITERAL("{\"a\":1.6,\"ts\":1763692800,\"ts_ns\":5}"), (const uint8_t[32]){1}, arena, &text));
    cr_assert(envelope_read(text, &wide, arena, &other, &refusal));
    cr_expect(!bytes_equal(signed_content(&other), signed_content(&first)));
    arena_free(arena);
}
