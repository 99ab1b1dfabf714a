// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Signatures: the vectors of Wycheproof, RFC 6979, RFC 8032, RFC 7515, the JOSE cookbook and the COSE working group;
 * what a key must not be used for (J2), signatures outside of their range (J8); and that each octet counts.
 */
#include "gateway/crypto_sign.h"

#include "codec/base64url.h"
#include "codec/builder.h"
#include "codec/cose.h"
#include "codec/json.h"
#include "codec/jwk.h"
#include "codec/jws.h"
#include "tests/unit/codec/support.h"

static const struct format_limits wide = {.depth = 16, .items = 100000, .records = 1};
static const uint8_t no_random[32];

static const struct node *member(const struct node *map, const char *name)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1))
        if (bytes_equal_text(key->data, name))
            return key + 1;
    return NULL;
}

static struct bytes text_of(const struct node *map, const char *name)
{
    const struct node *value = member(map, name);
    return value && value->kind == NODE_TEXT ? value->data : (struct bytes){0};
}

static bool is_valid_case(const struct node *test)
{
    return bytes_equal_text(text_of(test, "result"), "valid");
}

static const struct node *read_vectors(struct arena *arena, const char *name)
{
    const struct node *root;
    struct refusal refusal = {0};
    cr_assert(json_read(vector_file(arena, name), &wide, arena, &root, &refusal), "%s: %s", name, refusal.detail);
    return root;
}

static struct crypto_sign_key key_of(enum signed_algorithm algorithm, struct bytes public_octets, struct bytes secret)
{
    struct crypto_sign_key key = {.algorithm = algorithm, .public_len = public_octets.len};
    cr_assert(public_octets.len <= sizeof key.public);
    if (public_octets.len)
        memcpy(key.public, public_octets.ptr, public_octets.len);
    cr_assert(secret_set(&key.secret, secret));
    return key;
}

/* The JWK below this member, by way of codec/jwk. */
static struct crypto_sign_key jwk_of(const struct node *map, struct arena *arena)
{
    static const char *const names[] = {"kty", "crv", "x", "y", "d", "k"};
    struct builder out;
    struct bytes json;
    struct jwk jwk;
    struct refusal refusal = {0};
    builder_init(&out, arena, 512);
    builder_put_text(&out, "{\"anything\":0");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct bytes value = text_of(map, names[i]);
        if (!value.len)
            continue;
        builder_put_text(&out, ",\"");
        builder_put_text(&out, names[i]);
        builder_put_text(&out, "\":\"");
        builder_put(&out, value);
        builder_put_text(&out, "\"");
    }
    builder_put_text(&out, "}");
    cr_assert(builder_finish(&out, &json) && jwk_read(json, arena, &jwk, &refusal), "%s", refusal.detail);
    struct bytes octets = bytes_of(jwk.octets, jwk.len);
    bool is_secret = jwk.algorithm == SIGNED_HS256;
    return key_of(jwk.algorithm, is_secret ? (struct bytes){0} : octets, is_secret ? octets : (struct bytes){0});
}

/* --- vectors --- */

Test(crypto_sign, es256_of_wycheproof)
{
    struct arena *arena = arena_new((size_t)32 << 20);
    const struct node *root = read_vectors(arena, "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json");
    const struct node *groups = member(root, "testGroups"), *group = node_first(groups);
    unsigned valid = 0, invalid = 0;
    for (uint32_t i = 0; i < groups->count; i++, group = node_next(group)) {
        struct bytes point = from_hex(arena, text_of(member(group, "publicKey"), "uncompressed"));
        struct bytes octets = bytes_of(point.ptr + 1, point.len - 1);
        struct crypto_sign_key key = key_of(SIGNED_ES256, octets, (struct bytes){0});
        const struct node *tests = member(group, "tests"), *test = node_first(tests);
        cr_expect(crypto_sign_public_is_valid(SIGNED_ES256, octets));
        for (uint32_t j = 0; j < tests->count; j++, test = node_next(test)) {
            bool expected = is_valid_case(test);
            bool ok = crypto_sign_verify(&key, from_hex(arena, text_of(test, "msg")),
                                         from_hex(arena, text_of(test, "sig")));
            cr_expect_eq(ok, expected, "case %u of group %u: %.*s", j, i, (int)text_of(test, "comment").len,
                         (const char *)text_of(test, "comment").ptr);
            (expected ? &valid : &invalid)[0]++;
        }
    }
    cr_assert(valid > 100 && invalid > 50, "%u valid, %u invalid", valid, invalid);
    arena_free(arena);
}

/* Keys of 128 bits are too short for HS256, those of 520 do not fit a credential; tags of 128 bits are no HS256. */
Test(crypto_sign, hs256_of_wycheproof)
{
    struct arena *arena = arena_new((size_t)32 << 20);
    const struct node *root = read_vectors(arena, "wycheproof/hmac_sha256_test.json");
    const struct node *groups = member(root, "testGroups"), *group = node_first(groups);
    unsigned taken = 0;
    for (uint32_t i = 0; i < groups->count; i++, group = node_next(group)) {
        bool fits = member(group, "keySize")->kind == NODE_NUMBER &&
                    bytes_equal_text(member(group, "keySize")->data, "256") &&
                    bytes_equal_text(member(group, "tagSize")->data, "256");
        const struct node *tests = member(group, "tests"), *test = node_first(tests);
        for (uint32_t j = 0; j < tests->count; j++, test = node_next(test)) {
            struct bytes secret = from_hex(arena, text_of(test, "key"));
            struct bytes msg = from_hex(arena, text_of(test, "msg")), tag = from_hex(arena, text_of(test, "tag"));
            if (secret.len > SECRET_MAX)
                continue;
            struct crypto_sign_key key = key_of(SIGNED_HS256, (struct bytes){0}, secret);
            bool ok = crypto_sign_verify(&key, msg, tag);
            cr_expect_eq(ok, fits && is_valid_case(test), "case %u of group %u", j, i);
            taken += ok;
        }
    }
    cr_assert_gt(taken, 20);
    arena_free(arena);
}

/* RFC 6979 A.2.5 has the key; the signature is by the same RFC with 00 to 1f as additional data, computed apart. */
Test(crypto_sign, es256_derives_its_secret_number)
{
    static const char d[] = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
                      xy[] = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                             "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
                      expected[] = "25404cfdb1228f680881e195dae0665f43f988c40cbc4e23927810d7c4635d74"
                                   "8f076e7b9ea4bde92fb16b5cf25d0d3656db01a6e19c885b53cb8754f1b819c3";
    struct arena *arena = arena_new(ARENA_BYTES);
    struct crypto_sign_key key;
    uint8_t random[32], signature[SIGNED_SIGNATURE_MAX];
    size_t len;
    for (unsigned i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)i;
    cr_assert(crypto_sign_set_private(SIGNED_ES256, hex_bytes(arena, d), &key));
    cr_assert_str_eq(to_hex(arena, bytes_of(key.public, key.public_len)), xy);
    cr_assert(crypto_sign_make(&key, BYTES_LITERAL("sample"), random, signature, &len));
    cr_assert_str_eq(to_hex(arena, bytes_of(signature, len)), expected);
    random[0] = 1;
    cr_assert(crypto_sign_make(&key, BYTES_LITERAL("sample"), random, signature, &len));
    cr_assert_str_neq(to_hex(arena, bytes_of(signature, len)), expected);
    cr_assert(crypto_sign_verify(&key, BYTES_LITERAL("sample"), bytes_of(signature, len)));
    arena_free(arena);
}

/* RFC 8032 7.1, tests 1 to 3. */
static const struct {
    const char *secret, *public, *message, *signature;
} rfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

Test(crypto_sign, eddsa_of_rfc_8032)
{
    for (size_t i = 0; i < COUNT_OF(rfc8032); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct crypto_sign_key key;
        uint8_t made[SIGNED_SIGNATURE_MAX];
        size_t len;
        struct bytes message = hex_bytes(arena, rfc8032[i].message);
        cr_assert(crypto_sign_set_private(SIGNED_EDDSA, hex_bytes(arena, rfc8032[i].secret), &key));
        cr_assert_str_eq(to_hex(arena, bytes_of(key.public, key.public_len)), rfc8032[i].public);
        cr_assert(crypto_sign_make(&key, message, no_random, made, &len));
        cr_assert_str_eq(to_hex(arena, bytes_of(made, len)), rfc8032[i].signature);
        secret_wipe(&key.secret);
        cr_assert(crypto_sign_verify(&key, message, bytes_of(made, len)));
        cr_assert_not(crypto_sign_make(&key, message, no_random, made, &len));
        arena_free(arena);
    }
}

static const struct node *jwk_below(const struct node *root)
{
    return member(member(root, "input"), "key");
}

Test(crypto_sign, jws_of_the_cookbook)
{
    static const char *const files[] = {
        "jose-cookbook/jws/4_4.hmac-sha2_integrity_protection.json",
        "jose-cookbook/curve25519/jws.json",
    };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const struct node *root = read_vectors(arena, files[i]);
        struct crypto_sign_key key = jwk_of(jwk_below(root), arena);
        struct signed_message message;
        struct refusal refusal = {0};
        cr_assert(jws_read_compact(text_of(member(root, "output"), "compact"), arena, &message, &refusal), "%s: %s",
                  files[i], refusal.detail);
        cr_assert_eq(message.algorithm, key.algorithm);
        cr_assert(crypto_sign_verify(&key, message.covered, message.signature), "%s", files[i]);
        arena_free(arena);
    }
}

/* A.1 (HS256) and A.3 (ES256), by their characters: A.1 is a JWT, which jws_read_compact refuses. */
Test(crypto_sign, jws_of_rfc_7515)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    const struct node *root = read_vectors(arena, "rfc7515-appendix-a/vectors.json");
    const struct node *list = root->kind == NODE_ARRAY ? root : member(root, "vectors"), *vector = node_first(list);
    unsigned checked = 0;
    for (uint32_t i = 0; i < list->count; i++, vector = node_next(vector)) {
        struct bytes id = text_of(vector, "id"), jws = text_of(vector, "jws"), signature;
        if (!bytes_equal_text(id, "A.1") && !bytes_equal_text(id, "A.3"))
            continue;
        struct crypto_sign_key key = jwk_of(member(vector, "key"), arena);
        size_t dot = jws.len;
        while (jws.ptr[dot - 1] != '.')
            dot--;
        cr_assert_eq(base64url_decode(bytes_of(jws.ptr + dot, jws.len - dot), arena, &signature), BASE64URL_OK);
        cr_assert(crypto_sign_verify(&key, bytes_of(jws.ptr, dot - 1), signature));
        cr_assert_not(crypto_sign_verify(&key, bytes_of(jws.ptr, dot - 2), signature));
        checked++;
    }
    cr_assert_eq(checked, 2);
    arena_free(arena);
}

static const struct {
    const char *file;
    enum cose_msg_kind expected;
    bool valid;
} cose_examples[] = {
    {"RFC8152/Appendix_C_2_1.json", COSE_MSG_ANY, true},
    {"sign1-tests/sign-pass-02.json", COSE_MSG_ANY, false}, /* with external data, of which weir has none */
    {"sign1-tests/sign-pass-03.json", COSE_MSG_SIGN1, true},
    {"sign1-tests/sign-fail-02.json", COSE_MSG_ANY, false},
    {"mac0-tests/mac-fail-02.json", COSE_MSG_ANY, false},
    {"hmac-examples/HMac-enc-01.json", COSE_MSG_ANY, true},
};

Test(crypto_sign, cose_of_the_working_group)
{
    for (size_t i = 0; i < COUNT_OF(cose_examples); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        char name[128];
        struct signed_message message;
        struct refusal refusal = {0};
        snprintf(name, sizeof name, "cose/%s", cose_examples[i].file);
        const struct node *root = read_vectors(arena, name), *input = member(root, "input");
        const struct node *sign = member(input, "sign0"), *mac = member(input, "mac0");
        const struct node *jwk = member(sign ? sign : node_first(member(mac, "recipients")), "key");
        struct crypto_sign_key key = jwk_of(jwk, arena);
        struct bytes bytes = from_hex(arena, text_of(member(root, "output"), "cbor"));
        cr_assert(cose_msg_read(bytes, cose_examples[i].expected, arena, &message, &refusal), "%s: %s", name,
                  refusal.detail);
        cr_assert_eq(message.algorithm, key.algorithm);
        cr_assert_eq(crypto_sign_verify(&key, message.covered, message.signature), cose_examples[i].valid, "%s", name);
        arena_free(arena);
    }
}

/* --- what is refused --- */

Test(crypto_sign, each_octet_of_signature_and_text_counts)
{
    static const char text[] = "{\"n\":\"temp\",\"v\":21.5}";
    for (unsigned algorithm = 0; algorithm < SIGNED_ALGORITHMS; algorithm++) {
        struct crypto_sign_key key, other;
        uint8_t signature[SIGNED_SIGNATURE_MAX + 1] = {0}, covered[sizeof text];
        size_t len;
        memcpy(covered, text, sizeof text);
        struct bytes whole = bytes_of(covered, sizeof text);
        cr_assert(crypto_sign_generate(algorithm, &key) && crypto_sign_generate(algorithm, &other));
        cr_assert(crypto_sign_make(&key, whole, no_random, signature, &len));
        cr_assert_eq(len, signed_signature_len(algorithm));
        cr_assert(crypto_sign_verify(&key, whole, bytes_of(signature, len)));
        cr_assert_not(crypto_sign_verify(&other, whole, bytes_of(signature, len)));
        for (size_t i = 0; i < len; i++) {
            signature[i] ^= 1u << (i % 8);
            cr_expect_not(crypto_sign_verify(&key, whole, bytes_of(signature, len)), "octet %zu", i);
            signature[i] ^= 1u << (i % 8);
        }
        for (size_t i = 0; i < sizeof text; i++) {
            covered[i] ^= 0x80;
            cr_expect_not(crypto_sign_verify(&key, whole, bytes_of(signature, len)), "octet %zu", i);
            covered[i] ^= 0x80;
        }
        for (size_t i = 0; i <= len + 1; i++)
            cr_expect_eq(crypto_sign_verify(&key, whole, bytes_of(signature, i)), i == len, "length %zu", i);
        crypto_sign_wipe(&key);
        crypto_sign_wipe(&other);
    }
}

/* J2: HMAC under the octets that everybody knows. */
Test(crypto_sign, a_public_key_is_no_secret)
{
    struct crypto_sign_key pair;
    uint8_t forged[SIGNED_SIGNATURE_MAX];
    size_t len;
    struct bytes covered = BYTES_LITERAL("eyJhbGciOiJIUzI1NiJ9.e30");
    cr_assert(crypto_sign_generate(SIGNED_ES256, &pair));
    struct crypto_sign_key forger = key_of(SIGNED_HS256, (struct bytes){0}, bytes_of(pair.public, pair.public_len));
    cr_assert(crypto_sign_make(&forger, covered, no_random, forged, &len));
    secret_wipe(&pair.secret);
    cr_assert_not(crypto_sign_verify(&pair, covered, bytes_of(forged, len)));
    pair.algorithm = SIGNED_HS256; /* even then: it has no secret */
    cr_assert_not(crypto_sign_verify(&pair, covered, bytes_of(forged, len)));
    cr_assert_not(crypto_sign_public_is_valid(SIGNED_HS256, bytes_of(pair.public, pair.public_len)));
}

/* ret = a - b modulo 2^256, big-endian. */
static void subtract(const uint8_t *a, const uint8_t *b, uint8_t *ret)
{
    unsigned borrow = 0;
    for (unsigned i = 32; i-- > 0;) {
        unsigned difference = 0x100u + a[i] - b[i] - borrow;
        ret[i] = (uint8_t)difference;
        borrow = 1 - (difference >> 8);
    }
}

/* J8: a high s is as good; r and s that are 0, n or more are not, nor is DER. */
Test(crypto_sign, es256_takes_numbers_in_their_range)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes n = hex_bytes(arena, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    struct bytes covered = BYTES_LITERAL("covered");
    struct crypto_sign_key key;
    uint8_t signature[SIGNED_SIGNATURE_MAX], wrong[72];
    size_t len;
    cr_assert(crypto_sign_generate(SIGNED_ES256, &key));
    cr_assert(crypto_sign_make(&key, covered, no_random, signature, &len));
    memcpy(wrong, signature, len);
    subtract(n.ptr, signature + 32, wrong + 32);
    cr_assert(crypto_sign_verify(&key, covered, bytes_of(wrong, len)));
    for (unsigned half = 0; half < 2; half++) {
        memcpy(wrong, signature, len);
        memset(wrong + 32 * half, 0, 32);
        cr_assert_not(crypto_sign_verify(&key, covered, bytes_of(wrong, len)));
        memcpy(wrong + 32 * half, n.ptr, 32);
        cr_assert_not(crypto_sign_verify(&key, covered, bytes_of(wrong, len)));
        memset(wrong + 32 * half, 0xff, 32);
        cr_assert_not(crypto_sign_verify(&key, covered, bytes_of(wrong, len)));
    }
    uint8_t der[72] = {0x30, 70, 0x02, 33, 0};
    memcpy(der + 5, signature, 32);
    memcpy(der + 37, (const uint8_t[]){0x02, 33, 0}, 3);
    memcpy(der + 40, signature + 32, 32);
    for (size_t i = 64; i <= 72; i++)
        cr_assert_not(crypto_sign_verify(&key, covered, bytes_of(der, i)));
    arena_free(arena);
}

/* r is 5 and s is short, so r + n and s + n have 256 bits, too, and are the same numbers modulo n. Made for this test: the
 * key is the one point that a signature with this r and s over "covered" is good for. */
Test(crypto_sign, es256_takes_no_number_again_with_n_added)
{
    static const char xy[] = "add563b546e7c3d334e08099c81b412c90f3baffc7c2243c472a38122b9fc264"
                             "d32f6c45135d0a867499dd0b83e7e7f86798e994d994868d78596e588ec1538a";
    static const char *const r[] = {"0000000000000000000000000000000000000000000000000000000000000005",
                                    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632556"},
                      *const s[] = {"00000000000000001234567890abcdef1234567890abcdef1234567890abcdef",
                                    "ffffffff000000011234567890abcdeecf1b512637c36c7405ee213b8d0ef340"};
    struct arena *arena = arena_new(ARENA_BYTES);
    struct crypto_sign_key key = key_of(SIGNED_ES256, hex_bytes(arena, xy), (struct bytes){0});
    for (unsigned i = 0; i < 4; i++) {
        uint8_t signature[64];
        memcpy(signature, hex_bytes(arena, r[i & 1]).ptr, 32);
        memcpy(signature + 32, hex_bytes(arena, s[i >> 1]).ptr, 32);
        cr_expect_eq(crypto_sign_verify(&key, BYTES_LITERAL("covered"), bytes_of(signature, sizeof signature)), i == 0,
                     "%u", i);
    }
    arena_free(arena);
}

/* S + L would be the same signature in other octets; it is below 2^253, so only the range can refuse it. */
Test(crypto_sign, eddsa_takes_s_below_l)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                      0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    struct crypto_sign_key key;
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    size_t len;
    cr_assert(crypto_sign_generate(SIGNED_EDDSA, &key));
    cr_assert(crypto_sign_make(&key, BYTES_LITERAL("covered"), no_random, signature, &len));
    unsigned carry = 0;
    for (unsigned i = 0; i < 32; i++) {
        carry += signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    cr_assert_not(crypto_sign_verify(&key, BYTES_LITERAL("covered"), bytes_of(signature, len)));
}

/* A key of small order has signatures that are good for any text. */
Test(crypto_sign, what_is_no_public_key)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    static const char x[] = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
                      y[] = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
    static const struct {
        enum signed_algorithm algorithm;
        const char *hex[2];
        bool valid;
    } rows[] = {
        {SIGNED_ES256, {x, y}, true},
        {SIGNED_ES256, {y, x}, false}, /* not on the curve */
        {SIGNED_ES256, {x, ""}, false},
        {SIGNED_ES256, {"0000000000000000000000000000000000000000000000000000000000000000",
                        "0000000000000000000000000000000000000000000000000000000000000000"}, false},
        /* x is p + 5, whose rest 5 is the x of a point with this y */
        {SIGNED_ES256, {"ffffffff00000001000000000000000000000001000000000000000000000004",
                        "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc"}, false},
        {SIGNED_ES256, {"0000000000000000000000000000000000000000000000000000000000000005",
                        "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc"}, true},
        {SIGNED_EDDSA, {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", ""}, true},
        {SIGNED_EDDSA, {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f70751", ""}, false},
        {SIGNED_EDDSA, {"0100000000000000000000000000000000000000000000000000000000000000", ""}, false},
        {SIGNED_EDDSA, {"0000000000000000000000000000000000000000000000000000000000000000", ""}, false},
        {SIGNED_EDDSA, {"0200000000000000000000000000000000000000000000000000000000000000", ""}, false}, /* no point */
        {SIGNED_HS256, {x, ""}, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char hex[129];
        uint8_t any[SIGNED_SIGNATURE_MAX] = {1};
        snprintf(hex, sizeof hex, "%s%s", rows[i].hex[0], rows[i].hex[1]);
        struct bytes octets = hex_bytes(arena, hex);
        cr_expect_eq(crypto_sign_public_is_valid(rows[i].algorithm, octets), rows[i].valid, "row %zu", i);
        struct crypto_sign_key key = key_of(rows[i].algorithm, octets, (struct bytes){0});
        cr_expect_not(crypto_sign_verify(&key, BYTES_LITERAL("x"), bytes_of(any, sizeof any)), "row %zu", i);
    }
    arena_free(arena);
}

Test(crypto_sign, what_is_no_private_key)
{
    uint8_t octets[65];
    struct crypto_sign_key key = {.public_len = 7};
    memset(octets, 0xff, sizeof octets);
    cr_assert_not(crypto_sign_set_private(SIGNED_ES256, bytes_of(octets, 32), &key)); /* above n */
    cr_assert_not(crypto_sign_set_private(SIGNED_ES256, bytes_of(no_random, 32), &key));
    cr_assert_not(crypto_sign_set_private(SIGNED_EDDSA, bytes_of(octets, 31), &key));
    cr_assert_not(crypto_sign_set_private(SIGNED_HS256, bytes_of(octets, 31), &key));
    cr_assert_not(crypto_sign_set_private(SIGNED_HS256_64, bytes_of(octets, 65), &key));
    cr_assert_eq(key.public_len, 7);
    cr_assert(crypto_sign_set_private(SIGNED_HS256_64, bytes_of(octets, 64), &key));
}

/* --- PEM --- */

/* One pair of each kind, made with OpenSSL. */
#define P256_X_Y "9dae88d339c63d371abb835fcb427c37bf70c2e6a464bbb6f819dd76938dffac"                                  \
                 "55add64578c9803b9c9d04d11ac5090b66089d0d4adb073bede928eca8f3bac3"
#define P256_D "2e2902075902376af981d7881c22e49eeade21600c217ca900cba336ca57bfd8"
#define ED_X "353744473d438b43e40376cc0fd6371d9254275fec6aeeedf73b1358ca461cb2"
#define ED_D "05da5f020a973968fafd10a1386ef4e69b25bb6e8ec445e285fdcc68a90f5ae2"
static const char p256_pkcs8[] = "-----BEGIN PRIVATE KEY-----\n"
                                 "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLikCB1kCN2r5gdeI\n"
                                 "HCLknureIWAMIXypAMujNspXv9ihRANCAASdrojTOcY9Nxq7g1/LQnw3v3DC5qRk\n"
                                 "u7b4Gd12k43/rFWt1kV4yYA7nJ0E0RrFCQtmCJ0NStsHO+3pKOyo87rD\n"
                                 "-----END PRIVATE KEY-----\n";
static const char p256_spki[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEna6I0znGPTcau4Nfy0J8N79wwuak\n"
                                "ZLu2+BnddpON/6xVrdZFeMmAO5ydBNEaxQkLZgidDUrbBzvt6SjsqPO6ww==\n"
                                "-----END PUBLIC KEY-----\n";
static const char p256_sec1[] = "-----BEGIN EC PARAMETERS-----\n"
                                "BggqhkjOPQMBBw==\n"
                                "-----END EC PARAMETERS-----\n"
                                "-----BEGIN EC PRIVATE KEY-----\n"
                                "MHcCAQEEIC4pAgdZAjdq+YHXiBwi5J7q3iFgDCF8qQDLozbKV7/YoAoGCCqGSM49\n"
                                "AwEHoUQDQgAEna6I0znGPTcau4Nfy0J8N79wwuakZLu2+BnddpON/6xVrdZFeMmA\n"
                                "O5ydBNEaxQkLZgidDUrbBzvt6SjsqPO6ww==\n"
                                "-----END EC PRIVATE KEY-----\n";
static const char ed_pkcs8[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MC4CAQAwBQYDK2VwBCIEIAXaXwIKlzlo+v0QoThu9OabJbtujsRF4oX9zGipD1ri\n"
                               "-----END PRIVATE KEY-----\n";
static const char ed_spki[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MCowBQYDK2VwAyEANTdERz1Di0PkA3bMD9Y3HZJUJ1/sau7t9zsTWMpGHLI=\n"
                              "-----END PUBLIC KEY-----\n";
static const char p384_spki[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAELv4TdTZZJrwpjrru6tiF2zvHJqk0VH/l\n"
                                "KlznZ0yE6zovVFBROazJTHkj+UR2UAzz5FYJS1uOD++ycYeYGal0FDuibvuqDwVh\n"
                                "oDmbqGIfyvvzc2OGeTDi2Hcf9x6u0Wzt\n"
                                "-----END PUBLIC KEY-----\n";
static const char p384_sec1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                "MIGkAgEBBDALDALwirgCL2D93B7LAl4k0zcYe+679zNaDeJ2NNLA9C6L3k37r1Ne\n"
                                "stuyLtipZ/OgBwYFK4EEACKhZANiAAQu/hN1NlkmvCmOuu7q2IXbO8cmqTRUf+Uq\n"
                                "XOdnTITrOi9UUFE5rMlMeSP5RHZQDPPkVglLW44P77Jxh5gZqXQUO6Ju+6oPBWGg\n"
                                "OZuoYh/K+/NzY4Z5MOLYdx/3Hq7RbO0=\n"
                                "-----END EC PRIVATE KEY-----\n";
static const char x25519_pkcs8[] = "-----BEGIN PRIVATE KEY-----\n"
                                   "MC4CAQAwBQYDK2VuBCIEIMCZASEit/vqeFvutRKYGZWtlP48IpJi2EpsCNNszhZc\n"
                                   "-----END PRIVATE KEY-----\n";

static const struct {
    const char *pem, *public, *secret;
    enum signed_algorithm algorithm;
} pem_rows[] = {
    {p256_pkcs8, P256_X_Y, P256_D, SIGNED_ES256},
    {p256_sec1, P256_X_Y, P256_D, SIGNED_ES256},
    {p256_spki, P256_X_Y, "", SIGNED_ES256},
    {ed_pkcs8, ED_X, ED_D, SIGNED_EDDSA},
    {ed_spki, ED_X, "", SIGNED_EDDSA},
};

Test(crypto_sign, pem_and_der_of_openssl_are_read)
{
    for (size_t i = 0; i < COUNT_OF(pem_rows); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct crypto_sign_key key = {0};
        char twice[4096];
        snprintf(twice, sizeof twice, "%s%s", pem_rows[i].pem, pem_rows[i].pem);
        cr_expect_not(crypto_sign_read_pem(bytes_of_text(twice), &key), "two keys, row %zu", i);
        cr_assert(crypto_sign_read_pem(bytes_of_text(pem_rows[i].pem), &key), "row %zu", i);
        cr_assert_eq(key.algorithm, pem_rows[i].algorithm);
        cr_assert_str_eq(to_hex(arena, bytes_of(key.public, key.public_len)), pem_rows[i].public);
        cr_assert_str_eq(to_hex(arena, bytes_of(key.secret.octets, key.secret.len)), pem_rows[i].secret);
        arena_free(arena);
    }
    struct arena *arena = arena_new(ARENA_BYTES);
    struct crypto_sign_key key;
    struct bytes der = hex_bytes(arena, "302a300506032b6570032100" ED_X);
    struct bytes longer = hex_bytes(arena, "302a300506032b6570032100" ED_X "00");
    cr_assert(crypto_sign_read_pem(der, &key));
    cr_assert_eq(key.algorithm, SIGNED_EDDSA);
    cr_assert_not(crypto_sign_read_pem(longer, &key));
    arena_free(arena);
}

Test(crypto_sign, other_curves_and_broken_files_are_refused)
{
    static const char *const others[] = {p384_spki, p384_sec1, x25519_pkcs8, "", "hello",
                                         "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"};
    struct crypto_sign_key key = {.public_len = 7};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        cr_expect_not(crypto_sign_read_pem(bytes_of_text(others[i]), &key), "row %zu", i);
    for (size_t len = 0; len < sizeof p256_spki - 30; len++) {
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, p256_spki, len);
        cr_expect_not(crypto_sign_read_pem(bytes_of(exact, len), &key), "%zu characters", len);
        free(exact);
    }
    cr_assert_eq(key.public_len, 7);
}

/* To the character what OpenSSL writes. */
Test(crypto_sign, pem_is_written_as_openssl_does)
{
    static const struct {
        const char *private_pem, *public_pem;
    } rows[] = {{p256_pkcs8, p256_spki}, {ed_pkcs8, ed_spki}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct crypto_sign_key key;
        char pem[CRYPTO_SIGN_PEM_MAX];
        cr_assert(crypto_sign_read_pem(bytes_of_text(rows[i].private_pem), &key));
        cr_assert(crypto_sign_write_private_pem(&key, pem));
        cr_assert_str_eq(pem, rows[i].private_pem);
        cr_assert(crypto_sign_write_public_pem(&key, pem));
        cr_assert_str_eq(pem, rows[i].public_pem);
        secret_wipe(&key.secret);
        cr_assert_not(crypto_sign_write_private_pem(&key, pem));
    }
    struct crypto_sign_key secret;
    char pem[CRYPTO_SIGN_PEM_MAX];
    cr_assert(crypto_sign_generate(SIGNED_HS256, &secret));
    cr_assert_not(crypto_sign_write_public_pem(&secret, pem));
    cr_assert_not(crypto_sign_write_private_pem(&secret, pem));
}
