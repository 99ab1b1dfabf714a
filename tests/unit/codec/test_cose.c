// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * COSE_Sign1 and COSE_Mac0: the examples of the COSE working group by what they say is signed, what is refused and why,
 * and that what is written is read again. Whether the signatures are good is test_crypto_sign's.
 */
#include "codec/cose.h"

#include "codec/json.h"
#include "tests/unit/codec/support.h"

static const struct format_limits wide = {.depth = 16, .items = 4096, .records = 1};

/* The detail of the refusal, or what was read in one line: algorithm, kid, content format, sequence, payload. */
static const char *read_as(struct bytes payload, enum cose_msg_kind expected, struct arena *arena)
{
    struct signed_message message;
    struct refusal refusal = {0};
    struct bytes exact;
    char *line = arena_alloc(arena, 1024);
    cr_assert(line && arena_copy(arena, payload, &exact));
    if (!cose_msg_read(exact, expected, arena, &message, &refusal)) {
        cr_assert(refusal.detail && refusal.outcome >= OUTCOME_BAD_REQUEST);
        return refusal.detail;
    }
    cr_assert_eq(message.form, SIGNED_COSE);
    snprintf(line, 1024, "%s kid=%.*s ct=%d seq=%d,%u,%llu %s", signed_algorithm_name(message.algorithm),
             (int)message.kid.len, message.kid.len ? (const char *)message.kid.ptr : "", message.content_format,
             message.sequence.given, message.sequence.epoch, (unsigned long long)message.sequence.seq,
             to_hex(arena, message.payload));
    return line;
}

#define ES256_SIGNATURE                                                                                            \
    "5840"                                                                                                         \
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" \
    "000000000000000000"
#define MAC_32 "58200000000000000000000000000000000000000000000000000000000000000000"
#define MAC_8 "480000000000000000"

static const struct {
    enum cose_msg_kind expected;
    const char *hex, *result;
} table[] = {
    /* 18([h'a10126', {4: 'k1'}, 'hi', 64 octets]) */
    {COSE_MSG_ANY, "d28443a10126a104426b31426869" ES256_SIGNATURE, "ES256 kid=k1 ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_SIGN1, "d28443a10126a104426b31426869" ES256_SIGNATURE, "ES256 kid=k1 ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_SIGN1, "8443a10126a104426b31426869" ES256_SIGNATURE, "ES256 kid=k1 ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "8443a10126a0426869" ES256_SIGNATURE, "There is no tag that says what this is."},
    {COSE_MSG_MAC0, "d28443a10126a0426869" ES256_SIGNATURE, "The tag is not that of the Content-Format."},
    {COSE_MSG_ANY, "d903e68443a10126a0426869" ES256_SIGNATURE,
     "The tag is not that of COSE_Sign1 (18) or COSE_Mac0 (17)."},
    {COSE_MSG_ANY, "d83dd28443a10126a0426869" ES256_SIGNATURE,
     "The tag is not that of COSE_Sign1 (18) or COSE_Mac0 (17)."},
    /* the other algorithms, and the names of RFC 9864 */
    {COSE_MSG_ANY, "d28443a10127a0426869" ES256_SIGNATURE, "EdDSA kid= ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "d28443a10128a0426869" ES256_SIGNATURE, "ES256 kid= ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "d28443a10132a0426869" ES256_SIGNATURE, "EdDSA kid= ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "d18443a10105a0426869" MAC_32, "HS256 kid= ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "d18443a10104a0426869" MAC_8, "HS256/64 kid= ct=-1 seq=0,0,0 6869"},
    /* the kind of the message and alg, lengths */
    {COSE_MSG_ANY, "d18443a10126a0426869" ES256_SIGNATURE, "alg does not go with the kind of the message."},
    {COSE_MSG_ANY, "d28443a10105a0426869" MAC_32, "alg does not go with the kind of the message."},
    {COSE_MSG_ANY, "d18443a10105a0426869" MAC_8, "The signature does not have the length of its alg."},
    {COSE_MSG_ANY, "d18443a10104a0426869" MAC_32, "The signature does not have the length of its alg."},
    {COSE_MSG_ANY, "d28443a10126a042686940", "The signature does not have the length of its alg."},
    /* alg: missing, unknown (ES384, a text), outside */
    {COSE_MSG_ANY, "d28441a0a0426869" ES256_SIGNATURE, "The protected header has no alg."},
    {COSE_MSG_ANY, "d28440a0426869" ES256_SIGNATURE, "The protected header has no alg."},
    {COSE_MSG_ANY, "d28444a1013822a0426869" ES256_SIGNATURE, "alg has to be ES256, EdDSA, HS256 or HS256/64."},
    {COSE_MSG_ANY, "d28448a101654553323536a0426869" ES256_SIGNATURE, "alg has to be ES256, EdDSA, HS256 or HS256/64."},
    {COSE_MSG_ANY, "d28440a10126426869" ES256_SIGNATURE,
     "alg, content type, typ and seq have to be in the protected header."},
    {COSE_MSG_ANY, "d28443a10126a10126426869" ES256_SIGNATURE, "A label is in both headers."},
    {COSE_MSG_ANY, "d28445a201260126a0426869" ES256_SIGNATURE, "A map has a key twice."},
    {COSE_MSG_ANY, "d28443a10126a2044131044132426869" ES256_SIGNATURE, "A map has a key twice."},
    {COSE_MSG_ANY, "d28446a20126044131a1044132426869" ES256_SIGNATURE, "A label is in both headers."},
    {COSE_MSG_ANY, "d28443a20126a0426869" ES256_SIGNATURE, "The protected header is not well-formed CBOR."},
    {COSE_MSG_ANY, "d28444a1012600a0426869" ES256_SIGNATURE, "The protected header is not well-formed CBOR."},
    {COSE_MSG_ANY, "d28446a20126410001a0426869" ES256_SIGNATURE, "A label of a header has to be an integer or a text."},
    /* content type: number, media type, unknown, unprotected */
    {COSE_MSG_ANY, "d28446a2012603186ea0426869" ES256_SIGNATURE, "ES256 kid= ct=110 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "d28455a201260370" "6170706c69636174696f6e2f6a736f6e" "a0426869" ES256_SIGNATURE,
     "ES256 kid= ct=50 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "d28446a20126036178a0426869" ES256_SIGNATURE,
     "The content type is no media type that is known here."},
    {COSE_MSG_ANY, "d28449a20126031a00010000a0426869" ES256_SIGNATURE,
     "The content type has to be a Content-Format number or a media type."},
    {COSE_MSG_ANY, "d28443a10126a103186e426869" ES256_SIGNATURE,
     "alg, content type, typ and seq have to be in the protected header."},
    /* seq */
    {COSE_MSG_ANY, "d2844aa2012663736571820107a0426869" ES256_SIGNATURE, "ES256 kid= ct=-1 seq=1,1,7 6869"},
    {COSE_MSG_ANY, "d28449a20126637365718101a0426869" ES256_SIGNATURE, "seq has to be an array of epoch and seq."},
    {COSE_MSG_ANY, "d2844aa2012663736571822007a0426869" ES256_SIGNATURE,
     "epoch has to be an integer from 0 to 4294967295."},
    {COSE_MSG_ANY, "d2844aa2012663736571820120a0426869" ES256_SIGNATURE,
     "seq has to be an integer from 0 to 9007199254740991."},
    {COSE_MSG_ANY, "d28443a10126a163736571820107426869" ES256_SIGNATURE,
     "alg, content type, typ and seq have to be in the protected header."},
    /* what brings a key, crit, IV: in either header */
    {COSE_MSG_ANY, "d28443a10126a118214101426869" ES256_SIGNATURE,
     "The header brings or names a key or certificate: only kid may select one."},
    {COSE_MSG_ANY, "d28447a2012618234101a0426869" ES256_SIGNATURE,
     "The header brings or names a key or certificate: only kid may select one."},
    {COSE_MSG_ANY, "d28443a10126a1181881f6426869" ES256_SIGNATURE, "ES256 kid= ct=-1 seq=0,0,0 6869"},
    {COSE_MSG_ANY, "d28446a20126028101a0426869" ES256_SIGNATURE,
     "crit names extensions, and none is understood here."},
    {COSE_MSG_ANY, "d28443a10126a1028101426869" ES256_SIGNATURE,
     "crit names extensions, and none is understood here."},
    {COSE_MSG_ANY, "d28443a10126a1054100426869" ES256_SIGNATURE, "An IV is not for signatures and MACs."},
    {COSE_MSG_ANY, "d28443a10126a1064100426869" ES256_SIGNATURE, "An IV is not for signatures and MACs."},
    {COSE_MSG_ANY, "d28446a20126106161a0426869" ES256_SIGNATURE,
     "typ says that this was signed for another purpose."},
    /* kid */
    {COSE_MSG_ANY, "d28443a10126a104626b31426869" ES256_SIGNATURE,
     "kid has to be a byte string of at most 64 octets."},
    /* the array */
    {COSE_MSG_ANY, "d28443a10126a0f6" ES256_SIGNATURE, "The payload is detached; it has to be inside."},
    {COSE_MSG_ANY, "d28443a10126a0626869" ES256_SIGNATURE, "The payload has to be a byte string."},
    {COSE_MSG_ANY, "d284a10126a0426869" ES256_SIGNATURE, "The protected header has to be a byte string."},
    {COSE_MSG_ANY, "d28443a1012640426869" ES256_SIGNATURE, "The unprotected header has to be a map."},
    {COSE_MSG_ANY, "d28443a10126a0426869f6", "The signature or MAC has to be a byte string."},
    {COSE_MSG_ANY, "d28343a10126a0426869", "COSE_Sign1 and COSE_Mac0 are arrays of four."},
    {COSE_MSG_ANY, "d2a0", "COSE_Sign1 and COSE_Mac0 are arrays of four."},
    {COSE_MSG_ANY, "d2844126a0426869" ES256_SIGNATURE, "The protected header is no map."},
};

Test(cose, what_is_read_and_what_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *result = read_as(hex_bytes(arena, table[i].hex), table[i].expected, arena);
        cr_expect_str_eq(result, table[i].result, "%s\n gives %s\n not   %s", table[i].hex, result, table[i].result);
        arena_free(arena);
    }
}

Test(cose, what_is_behind_the_message_and_every_cut_is_refused)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes whole = hex_bytes(arena, "d28443a10126a104426b31426869" ES256_SIGNATURE "00");
    struct signed_message message;
    struct refusal refusal;
    for (size_t len = 0; len <= whole.len; len++) {
        struct arena *own = arena_new(ARENA_BYTES);
        struct bytes exact;
        cr_assert(arena_copy(own, bytes_of(whole.ptr, len), &exact));
        cr_assert_eq(cose_msg_read(exact, COSE_MSG_ANY, own, &message, &refusal), len == whole.len - 1, "%zu", len);
        arena_free(own);
    }
    arena_free(arena);
}

/* J4 */
Test(cose, kid_has_64_octets_at_most_and_is_opaque)
{
    for (size_t len = 60; len < 70; len++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        uint8_t kid[70];
        memset(kid, '/', sizeof kid);
        struct cose_msg_header header = {.algorithm = SIGNED_HS256_64, .kid = bytes_of(kid, len), .content_format = -1};
        struct bytes protected_header, covered, message;
        cr_assert(cose_msg_begin(&header, BYTES_LITERAL("x"), arena, &protected_header, &covered));
        cr_assert(cose_msg_end(&header, protected_header, BYTES_LITERAL("x"), bytes_of(kid, 8), arena, &message));
        struct signed_message got;
        struct refusal refusal;
        bool taken = cose_msg_read(message, COSE_MSG_ANY, arena, &got, &refusal);
        cr_assert_eq(taken, len <= SIGNED_KID_MAX);
        cr_assert(!taken || bytes_equal(got.kid, header.kid));
        arena_free(arena);
    }
}

Test(cose, what_is_written_is_read_again)
{
    for (unsigned i = 0; i < 4 * SIGNED_ALGORITHMS; i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        static const uint8_t signature[SIGNED_SIGNATURE_MAX] = {1, 2, 3};
        struct cose_msg_header header = {.algorithm = i / 4, .content_format = CONTENT_FORMAT_NONE};
        struct bytes payload = i % 2 ? BYTES_LITERAL("[{\"n\":\"t\",\"v\":1}]") : (struct bytes){0};
        if (i % 2)
            header.kid = BYTES_LITERAL("acme/meter-1");
        if (i % 4 > 1) {
            header.content_format = CONTENT_FORMAT_SENML_JSON;
            header.sequence = (struct sequence){true, UINT32_MAX, SEQUENCE_MAX};
        }
        struct bytes protected_header, covered, bytes;
        size_t len = signed_signature_len(header.algorithm);
        cr_assert(cose_msg_begin(&header, payload, arena, &protected_header, &covered));
        cr_assert(cose_msg_end(&header, protected_header, payload, bytes_of(signature, len), arena, &bytes));
        struct signed_message got;
        struct refusal refusal = {0};
        cr_assert(cose_msg_read(bytes, COSE_MSG_ANY, arena, &got, &refusal), "%s", refusal.detail);
        cr_assert_eq(got.algorithm, header.algorithm);
        cr_assert(bytes_equal(got.kid, header.kid) && bytes_equal(got.payload, payload));
        cr_assert(bytes_equal(got.covered, covered) && bytes_equal(got.signature, bytes_of(signature, len)));
        cr_assert_eq(got.content_format, header.content_format);
        cr_assert_eq(got.sequence.given, header.sequence.given);
        cr_assert(got.sequence.epoch == header.sequence.epoch && got.sequence.seq == header.sequence.seq);
        arena_free(arena);
    }
}

Test(cose, a_full_arena_is_out_of_memory)
{
    struct bytes whole;
    struct arena *source = arena_new(ARENA_BYTES);
    whole = hex_bytes(source, "d28443a10126a104426b31426869" ES256_SIGNATURE);
    bool taken = false;
    for (size_t room = 64; !taken && room < 65536; room += 64) {
        struct arena *arena = arena_new(room);
        struct signed_message message;
        struct refusal refusal = {0};
        taken = cose_msg_read(whole, COSE_MSG_ANY, arena, &message, &refusal);
        cr_assert(taken || refusal.outcome == OUTCOME_OUT_OF_MEMORY);
        arena_free(arena);
    }
    cr_assert(taken);
    arena_free(source);
}

/* Text under these names of nested objects; empty if one is not there. */
static struct bytes text_at(const struct node *map, const char *outer, const char *inner)
{
    const char *const names[] = {outer, inner};
    for (size_t i = 0; i < 2; i++) {
        const struct node *key = node_first(map), *found = NULL;
        for (uint32_t j = 0; j < map->count; j++, key = node_next(key + 1))
            if (bytes_equal_text(key->data, names[i]))
                found = key + 1;
        if (!found)
            return (struct bytes){0};
        map = found;
    }
    return map->data;
}

/* What the examples say is signed is what is covered; NULL: refused with this sentence. */
static const struct {
    const char *file;
    enum cose_msg_kind expected;
    const char *refusal;
} examples[] = {
    {"RFC8152/Appendix_C_2_1.json", COSE_MSG_ANY, NULL},
    {"RFC8152/Appendix_C_6_1.json", COSE_MSG_ANY, "alg has to be ES256, EdDSA, HS256 or HS256/64."}, /* AES-MAC */
    /* alg in the unprotected header is not taken: standards allow it, weir does not. */
    {"sign1-tests/sign-pass-01.json", COSE_MSG_ANY,
     "alg, content type, typ and seq have to be in the protected header."},
    {"sign1-tests/sign-pass-03.json", COSE_MSG_SIGN1, NULL},
    {"sign1-tests/sign-pass-03.json", COSE_MSG_ANY, "There is no tag that says what this is."},
    {"sign1-tests/sign-fail-01.json", COSE_MSG_ANY, "The tag is not that of COSE_Sign1 (18) or COSE_Mac0 (17)."},
    {"sign1-tests/sign-fail-03.json", COSE_MSG_ANY, "alg has to be ES256, EdDSA, HS256 or HS256/64."},
    {"mac0-tests/mac-pass-01.json", COSE_MSG_ANY, "alg, content type, typ and seq have to be in the protected header."},
    {"mac0-tests/mac-pass-02.json", COSE_MSG_ANY, "alg, content type, typ and seq have to be in the protected header."},
    {"mac0-tests/mac-pass-03.json", COSE_MSG_MAC0,
     "alg, content type, typ and seq have to be in the protected header."},
    {"mac0-tests/mac-fail-01.json", COSE_MSG_ANY, "The tag is not that of COSE_Sign1 (18) or COSE_Mac0 (17)."},
    {"mac0-tests/mac-fail-03.json", COSE_MSG_ANY, "alg has to be ES256, EdDSA, HS256 or HS256/64."},
    {"hmac-examples/HMac-enc-01.json", COSE_MSG_ANY, NULL},
    {"hmac-examples/HMac-enc-02.json", COSE_MSG_ANY, "alg has to be ES256, EdDSA, HS256 or HS256/64."}, /* HS384 */
    {"hmac-examples/HMac-enc-03.json", COSE_MSG_ANY, "alg has to be ES256, EdDSA, HS256 or HS256/64."}, /* HS512 */
};

Test(cose, examples_of_the_working_group)
{
    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        char name[128];
        const struct node *root;
        struct refusal refusal = {0};
        struct signed_message message;
        snprintf(name, sizeof name, "cose/%s", examples[i].file);
        cr_assert(json_read(vector_file(arena, name), &wide, arena, &root, &refusal));
        struct bytes bytes = from_hex(arena, text_at(root, "output", "cbor"));
        struct bytes covered = text_at(root, "intermediates", "ToBeSign_hex");
        if (!covered.len)
            covered = text_at(root, "intermediates", "ToMac_hex");
        cr_assert(bytes.len && covered.len);
        bool taken = cose_msg_read(bytes, examples[i].expected, arena, &message, &refusal);
        cr_assert_eq(taken, !examples[i].refusal, "%s: %s", name, taken ? "taken" : refusal.detail);
        if (taken)
            cr_assert(bytes_equal(message.covered, from_hex(arena, covered)), "%s", name);
        else
            cr_assert_str_eq(refusal.detail, examples[i].refusal, "%s: %s", name, refusal.detail);
        arena_free(arena);
    }
}
