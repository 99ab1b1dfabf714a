// SPDX-License-Identifier: GPL-3.0-or-later
/* emonCMS' encrypted input. The vectors were made with "openssl enc -aes-128-cbc" and Python's hmac and zlib. */
#include "gateway/emoncms_sealed.h"

#include "codec/outcome.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define KEY "0123456789abcdef0123456789abcdef"
#define TEXT "node=emontx&data=100,200,300"
#define BODY "ABEiM0RVZneImaq7zN3u_z_4z_3xHjZExXnmMkSyqoo6uRGC-iVCPZaZnXAEALW1"
#define MAC "76a6f8c9d0874efc2111dc5d60b426bd186d62e8418ddf4b517bf09168cd0cf9"
#define ANSWER "G_bpoqymGCToiiTqyjtvqGzlrOP_6ZUML1Wq5pa5N1A="

Test(emoncms_sealed, media_types)
{
    bool compressed;
    cr_expect(emoncms_sealed_is(BYTES_LITERAL("aes128cbc"), &compressed) && !compressed);
    cr_expect(emoncms_sealed_is(BYTES_LITERAL("AES128CBC"), &compressed) && !compressed);
    cr_expect(emoncms_sealed_is(BYTES_LITERAL("aes128cbcgz"), &compressed) && compressed);
    cr_expect(!emoncms_sealed_is(BYTES_LITERAL("aes128cb"), &compressed) && !compressed);
    cr_expect(!emoncms_sealed_is(BYTES_LITERAL("application/json"), &compressed));
    cr_expect(!emoncms_sealed_is((struct bytes){0}, &compressed));
}

Test(emoncms_sealed, authorization)
{
    static const char *const wrong[] = {
        "", ":", "/", "home/tx", "home/tx:", "home:" MAC, "/tx:" MAC, "home/:" MAC, "home/tx:" MAC "0",
        "home/tx:g6a6f8c9d0874efc2111dc5d60b426bd186d62e8418ddf4b517bf09168cd0cf9", "Bearer x", MAC ":home/tx",
    };
    struct emoncms_sealed_claim claim;
    cr_assert(emoncms_sealed_parse(BYTES_LITERAL("home/tx:1:" MAC), &claim));
    cr_expect(bytes_equal_text(claim.tenant, "home") && bytes_equal_text(claim.device, "tx:1"));
    cr_expect(claim.mac[0] == 0x76 && claim.mac[31] == 0xf9);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect(!emoncms_sealed_parse(bytes_of_text(wrong[i]), &claim), "%s", wrong[i]);
}

static const char *opened_with(const char *mac, const char *body, bool compressed, const struct bytes *keys,
                               size_t count)
{
    static char result[256];
    struct arena *arena = arena_new(1 << 20);
    struct emoncms_sealed_claim claim;
    struct emoncms_sealed_text text;
    struct format_error error = {NULL, 0};
    char authorization[128];
    snprintf(authorization, sizeof authorization, "home/tx:%s", mac);
    cr_assert(emoncms_sealed_parse(bytes_of_text(authorization), &claim));
    enum outcome outcome = emoncms_sealed_open(&claim, bytes_of_text(body), compressed, keys, count, 100, arena, &text,
                                               &error);
    if (outcome == OUTCOME_CHANGED)
        snprintf(result, sizeof result, "%zu %.*s %s", text.key, (int)text.text.len, text.text.ptr, text.answer);
    else
        snprintf(result, sizeof result, "%s", outcome_row(outcome)->slug);
    cr_assert(outcome == OUTCOME_CHANGED || error.detail);
    arena_free(arena);
    return result;
}

static const char *opened(const char *mac, const char *body, bool compressed)
{
    const struct bytes key = BYTES_LITERAL(KEY);
    return opened_with(mac, body, compressed, &key, 1);
}

Test(emoncms_sealed, opens)
{
    cr_expect_str_eq(opened(MAC, BODY, false), "0 " TEXT " " ANSWER);
    cr_expect_str_eq(opened(MAC, BODY "\r\n", false), "0 " TEXT " " ANSWER);
    /* The ordinary alphabet, and padding. */
    cr_expect_str_eq(opened(MAC, "ABEiM0RVZneImaq7zN3u/z/4z/3xHjZExXnmMkSyqoo6uRGC+iVCPZaZnXAEALW1", false),
                     "0 " TEXT " " ANSWER);
    cr_expect_str_eq(opened("61ec78afcd4b75461a3f953c844857360537856bc7b32c125712b7167c621623",
                            "ABEiM0RVZneImaq7zN3u_1juQQsred4ujVQVnQ9qJOk=", false),
                     "0  47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=");
}

Test(emoncms_sealed, one_of_several_keys)
{
    const struct bytes keys[] = {BYTES_LITERAL("ffffffffffffffffffffffffffffffff"), BYTES_LITERAL("not-hexadecimal-16"),
                                 BYTES_LITERAL(KEY), BYTES_LITERAL(KEY)};
    cr_expect_str_eq(opened_with(MAC, BODY, false, keys, 4), "2 " TEXT " " ANSWER);
    cr_expect_str_eq(opened_with(MAC, BODY, false, keys, 2), "unauthenticated");
    cr_expect_str_eq(opened_with(MAC, BODY, false, keys, 0), "unauthenticated");
}

/* A key that cannot be one never becomes the key of zeros: this was made with that. */
Test(emoncms_sealed, no_key_is_not_the_key_of_zeros)
{
    const struct bytes key = BYTES_LITERAL("not-hexadecimal-16");
    const struct bytes zeros = BYTES_LITERAL("00000000000000000000000000000000");
    const char *mac = "bce1be72a487543d4e8d66e6fecdcaf8aafe610c8b489d2b138d8387f07c522e";
    const char *body = "ABEiM0RVZneImaq7zN3u_8x8fS2wDkLI_DxdGOM7RzU";
    cr_expect_str_eq(opened_with(mac, body, false, &zeros, 1), "0 csv=1 NiwhNMu6r9jQNFsBWm67deR21Lvd3mgIkSSLRfOoxYo=");
    cr_expect_str_eq(opened_with(mac, body, false, &key, 1), "unauthenticated");
    cr_expect_str_eq(opened_with(mac, body, false, NULL, 0), "unauthenticated");
}

Test(emoncms_sealed, refuses)
{
    const char *other = "86a6f8c9d0874efc2111dc5d60b426bd186d62e8418ddf4b517bf09168cd0cf9";
    cr_expect_str_eq(opened(other, BODY, false), "unauthenticated");
    /* The padding is wrong and the MAC right; a block is missing; not whole blocks; nothing. */
    cr_expect_str_eq(opened("58dd494fe3c842e5fe5c72b0acb868c3cbd09f1a8be99eed5bdd12e04bdac93c",
                            "ABEiM0RVZneImaq7zN3u_0ygNOsqgggIC0vt2l2TsDU", false), "unauthenticated");
    cr_expect_str_eq(opened(MAC, "ABEiM0RVZneImaq7zN3u_z_4z_3xHjZExXnmMkSyqoo", false), "unauthenticated");
    cr_expect_str_eq(opened(MAC, "ABEiM0RVZneImaq7zN3u_z_4", false), "unauthenticated");
    cr_expect_str_eq(opened(MAC, "", false), "unauthenticated");
    cr_expect_str_eq(opened(MAC, "===", false), "malformed");
    cr_expect_str_eq(opened(MAC, "AB%2B", false), "malformed");
    cr_expect_str_eq(opened(MAC, BODY, true), "malformed");
}

Test(emoncms_sealed, compressed_text)
{
    cr_expect_str_eq(
        opened("7f8b4edb82758cbeeb268f924d43a81c975b312c746797aff4770049139f67e4",
               "ABEiM0RVZneImaq7zN3u_x3c5u3gQAK4XatNylaW8PKEX7stiZ2tzxSyrZ2vHOSGWQuO70SHFA-GiU1p6GsFW_b5PJeVhOIlbbnY3HeA"
               "ARydj6tseIREdehaOWtxezRz", true),
        "0 data=[[0,16,1137],[2,17,1437,3164],[4,19,1412,3077]]&sentat=5 HKoo5Q7uvvWWwplXx3eYGwa17n6lhsJAciugcz7nj9o=");
}

Test(emoncms_sealed, parameters)
{
    struct arena *arena = arena_new(1 << 16);
    struct format_parameter *parameters;
    size_t count;
    cr_assert(emoncms_sealed_parameters(BYTES_LITERAL("node=tx&data=%5B+1=2&&flag"), arena, &parameters, &count));
    cr_assert_eq(count, 4);
    cr_expect(bytes_equal_text(parameters[0].name, "node") && bytes_equal_text(parameters[0].value, "tx"));
    cr_expect(bytes_equal_text(parameters[1].name, "data") && bytes_equal_text(parameters[1].value, "%5B+1=2"));
    cr_expect(parameters[2].name.len == 0 && parameters[2].value.len == 0);
    cr_expect(bytes_equal_text(parameters[3].name, "flag") && parameters[3].value.len == 0);
    cr_assert(emoncms_sealed_parameters((struct bytes){0}, arena, &parameters, &count));
    cr_expect_eq(count, 0);
    arena_free(arena);
}
