// SPDX-License-Identifier: GPL-3.0-or-later
/* Keys as JWK and COSE_Key: the examples of RFC 7515, RFC 7517, RFC 8037 and RFC 9052, what is refused, round trips. */
#include "codec/jwk.h"

#include "tests/unit/codec/support.h"

#define X "usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8"
#define Y "IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4"
#define D "V8kgd2ZBRuh2dgyVINBUqpPDr7BOMGcF22CQMIUHtNM"
#define X_HEX "bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff"
#define Y_HEX "20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e"
#define D_HEX "57c92077664146e876760c9520d054aa93c3afb04e306705db6090308507b4d3"
/* RFC 8037 A.1, A.2 */
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED_D "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
#define ED_X_HEX "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define ED_D_HEX "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define K "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"
#define K_HEX "849b57219dae48de646d07dbb533566e976686457c1491be3a76dcea6c427188"

/* Algorithm, kid, octets and private octets in one line. */
static const char *line_of(const struct jwk *key, struct arena *arena)
{
    char *line = arena_alloc(arena, 1024);
    cr_assert(line);
    snprintf(line, 1024, "%s kid=%.*s %s %s", signed_algorithm_name(key->algorithm), (int)key->kid.len,
             key->kid.len ? (const char *)key->kid.ptr : "", to_hex(arena, bytes_of(key->octets, key->len)),
             key->is_private ? to_hex(arena, bytes_of(key->private_octets, 32)) : "-");
    return line;
}

typedef bool reader(struct bytes octets, struct arena *arena, struct jwk *ret, struct refusal *reterr);

static const char *read_as(reader *read, struct bytes octets, struct arena *arena)
{
    struct jwk key;
    struct refusal refusal = {0};
    struct bytes exact;
    cr_assert(arena_copy(arena, octets, &exact));
    if (read(exact, arena, &key, &refusal))
        return line_of(&key, arena);
    cr_assert(refusal.detail && refusal.outcome >= OUTCOME_BAD_REQUEST);
    return refusal.detail;
}

static void check(reader *read, struct bytes octets, const char *expected, struct arena *arena)
{
    const char *result = read_as(read, octets, arena);
    cr_expect_str_eq(result, expected, "%s\n gives %s\n not   %s", to_hex(arena, octets), result, expected);
}

static const struct expectation json_table[] = {
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\",\"kid\":\"11\"}",
     "ES256 kid=11 " X_HEX Y_HEX " -"},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\",\"d\":\"" D "\",\"alg\":\"ES256\",\"use\":\"sig\","
     "\"key_ops\":[\"sign\"],\"x5c\":[],\"anything\":{\"a\":1}}", "ES256 kid= " X_HEX Y_HEX " " D_HEX},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"" ED_D "\",\"x\":\"" ED_X "\"}",
     "EdDSA kid= " ED_X_HEX " " ED_D_HEX},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\",\"alg\":\"Ed25519\"}", "EdDSA kid= " ED_X_HEX " -"},
    {"{\"kty\":\"oct\",\"k\":\"" K "\"}", "HS256 kid= " K_HEX " -"},
    {"{\"kty\":\"oct\",\"k\":\"" K "\",\"alg\":\"HS256/64\"}", "HS256/64 kid= " K_HEX " -"},
    /* refused */
    {"[]", "A JWK is a JSON object."},
    {"{}", "kty has to be EC, OKP or oct."},
    {"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "kty has to be EC, OKP or oct."},
    {"{\"kty\":\"ec\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\"}", "kty has to be EC, OKP or oct."},
    {"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X "\",\"y\":\"" Y "\"}", "crv has to be P-256 or Ed25519."},
    {"{\"kty\":\"EC\",\"x\":\"" X "\",\"y\":\"" Y "\"}", "crv has to be P-256 or Ed25519."},
    {"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X "\"}", "crv has to be P-256 or Ed25519."},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\"}", "x and y of a P-256 key have to have 32 octets each."},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQAB\",\"y\":\"" Y "\"}",
     "x and y of a P-256 key have to have 32 octets each."},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "x of an Ed25519 key has to have 32 octets."},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\",\"d\":\"AQAB\"}", "d has to have 32 octets."},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\",\"d\":\"\"}", "d has to have 32 octets."},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "=\",\"y\":\"" Y "\"}",
     "x, y, d and k have to be canonical base64url."},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":7,\"y\":\"" Y "\"}", "x, y, d and k have to be texts."},
    {"{\"kty\":\"oct\",\"k\":\"AQAB\"}", "A symmetric key has to have 32 to 64 octets (k)."},
    {"{\"kty\":\"oct\",\"k\":\"" K K "AAAA\"}", "A symmetric key has to have 32 to 64 octets (k)."},
    {"{\"kty\":\"oct\"}", "A symmetric key has to have 32 to 64 octets (k)."},
    /* J2: a public key never becomes a secret of HMAC */
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\",\"alg\":\"HS256\"}",
     "alg does not go with the type of the key."},
    {"{\"kty\":\"oct\",\"k\":\"" K "\",\"alg\":\"ES256\"}", "alg does not go with the type of the key."},
    {"{\"kty\":\"oct\",\"k\":\"" K "\",\"alg\":\"HS512\"}", "alg has to be ES256, EdDSA, HS256 or HS256/64."},
    {"{\"kty\":\"oct\",\"k\":\"" K "\",\"use\":\"enc\"}", "use says that the key is not for signatures."},
    {"{\"kty\":\"oct\",\"k\":\"" K "\",\"key_ops\":[\"encrypt\"]}", "key_ops says that the key is not for signatures."},
    {"{\"kty\":\"oct\",\"k\":\"" K "\",\"key_ops\":\"sign\"}", "key_ops says that the key is not for signatures."},
    {"{\"kty\":\"oct\",\"k\":\"" K "\",\"kid\":1}", "kid has to be a text of at most 64 octets."},
};

Test(jwk, json)
{
    for (size_t i = 0; i < COUNT_OF(json_table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        check(jwk_read, bytes_of_text(json_table[i].payload), json_table[i].result, arena);
        arena_free(arena);
    }
}

static const struct expectation cose_table[] = {
    {"a5010202423131200121" "5820" X_HEX "22" "5820" Y_HEX, "ES256 kid=11 " X_HEX Y_HEX " -"},
    {"a6010203262001215820" X_HEX "225820" Y_HEX "235820" D_HEX, "ES256 kid= " X_HEX Y_HEX " " D_HEX},
    {"a40101032720062158" "20" ED_X_HEX, "EdDSA kid= " ED_X_HEX " -"},
    {"a40101033220062158" "20" ED_X_HEX, "EdDSA kid= " ED_X_HEX " -"},
    {"a40101200621" "5820" ED_X_HEX "23" "5820" ED_D_HEX, "EdDSA kid= " ED_X_HEX " " ED_D_HEX},
    {"a2010420" "5820" K_HEX, "HS256 kid= " K_HEX " -"},
    {"a301040304205820" K_HEX, "HS256/64 kid= " K_HEX " -"},
    {"a30104048109205820" K_HEX, "HS256 kid= " K_HEX " -"},
    {"80", "A COSE_Key is a map."},
    {"a0", "kty has to be OKP (1), EC2 (2) or Symmetric (4)."},
    {"a4010220022158" "20" X_HEX "22" "5820" Y_HEX, "crv has to be P-256 (1) or Ed25519 (6)."},
    {"a4010220012158" "20" X_HEX "22" "f5", "The point is compressed; x and y are needed."},
    {"a3010220012158" "20" X_HEX, "x and y of a P-256 key have to have 32 octets each."},
    {"a301040305205820" K_HEX, "HS256 kid= " K_HEX " -"},
    {"a301040326205820" K_HEX, "alg does not go with the type of the key."},
    {"a301040306205820" K_HEX, "alg has to be ES256, EdDSA, HS256 or HS256/64."},
    {"a30104048103205820" K_HEX, "key_ops says that the key is not for signatures."},
    {"a30104026131205820" K_HEX, "x, y, d, k and kid have to be byte strings."},
    {"a20104204100", "A symmetric key has to have 32 to 64 octets (k)."},
};

Test(jwk, cose_key)
{
    for (size_t i = 0; i < COUNT_OF(cose_table); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        check(jwk_read_cose, hex_bytes(arena, cose_table[i].payload), cose_table[i].result, arena);
        arena_free(arena);
    }
}

Test(jwk, what_is_written_is_read_again_with_and_without_its_secret)
{
    for (size_t i = 0; i < 6; i++) { /* the first rows of json_table are keys */
        for (unsigned how = 0; how < 4; how++) {
            bool with_private = how & 1;
            struct arena *arena = arena_new(ARENA_BYTES);
            struct jwk key, got;
            struct refusal refusal = {0};
            struct bytes octets;
            cr_assert(jwk_read(bytes_of_text(json_table[i].payload), arena, &key, &refusal));
            cr_assert((how & 2 ? jwk_write : jwk_write_cose)(&key, with_private, arena, &octets));
            bool taken = (how & 2 ? jwk_read : jwk_read_cose)(octets, arena, &got, &refusal);
            bool is_secret = key.algorithm == SIGNED_HS256 || key.algorithm == SIGNED_HS256_64;
            cr_assert_eq(taken, with_private || !is_secret, "%zu %u: %s", i, how, taken ? "" : refusal.detail);
            if (taken) {
                cr_assert_eq(got.is_private, key.is_private && with_private);
                got.is_private = key.is_private;
                memcpy(got.private_octets, key.private_octets, sizeof got.private_octets);
                cr_assert_str_eq(line_of(&got, arena), line_of(&key, arena));
            }
            jwk_wipe(&key);
            arena_free(arena);
        }
    }
}

/* RFC 8037 A.3; of EC and oct by the rule of RFC 7638 3.2. */
Test(jwk, thumbprint)
{
    static const struct {
        size_t row;
        const char *text;
    } rows[] = {
        {0, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" X "\",\"y\":\"" Y "\"}"},
        {2, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"" ED_X "\"}"},
        {4, "{\"k\":\"" K "\",\"kty\":\"oct\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct jwk key;
        struct refusal refusal = {0};
        struct bytes text;
        cr_assert(jwk_read(bytes_of_text(json_table[rows[i].row].payload), arena, &key, &refusal));
        cr_assert(jwk_thumbprint_text(&key, arena, &text));
        cr_assert_str_eq(arena_text(arena, text), rows[i].text);
        arena_free(arena);
    }
}

Test(jwk, wiping_leaves_nothing)
{
    static const struct jwk nothing;
    struct jwk key;
    memset(&key, 0xa5, sizeof key);
    jwk_wipe(&key);
    cr_assert_eq(memcmp(key.octets, nothing.octets, sizeof key.octets), 0);
    cr_assert_eq(memcmp(key.private_octets, nothing.private_octets, sizeof key.private_octets), 0);
}
