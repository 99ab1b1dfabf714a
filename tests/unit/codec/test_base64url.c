// SPDX-License-Identifier: GPL-3.0-or-later
/* base64url and base64: vectors of RFC 4648 section 10, strictness, and round trips. */
#include "codec/base64url.h"

#include "tests/unit/codec/support.h"

Test(base64url, vectors)
{
    static const char *const vectors[][2] = {
        {"", ""},           {"f", "Zg"},        {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
    };
    struct arena *arena = arena_new(10000);
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct bytes bytes;
        char text[32] = "";
        cr_assert_eq(base64url_decode(bytes_of_text(vectors[i][1]), arena, &bytes), BASE64URL_OK);
        cr_assert(bytes_equal_text(bytes, vectors[i][0]));
        cr_assert_eq(base64url_length(bytes.len), strlen(vectors[i][1]));
        base64url_encode(bytes, text);
        cr_assert_str_eq(text, vectors[i][1]);
    }
    arena_free(arena);
}

Test(base64url, refuses_what_is_not_canonical)
{
    static const char *const bad[] = {"Z",     "Zg=",    "Zg==", "Zh",   "Zm9=",  "Zm-",
                                      "Z m8",  "Zm8\n",  "Zm+v", "Zm/v", "Zm9vY", "\xc3\xa4"};
    struct arena *arena = arena_new(10000);
    struct bytes untouched = {NULL, 77};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cr_assert_eq(base64url_decode(bytes_of_text(bad[i]), arena, &untouched), BASE64URL_BAD, "%s", bad[i]);
        cr_assert_eq(untouched.len, 77);
    }
    arena_free(arena);
}

Test(base64url, says_when_memory_is_used_up)
{
    struct arena *arena = arena_new(2);
    struct bytes bytes;
    cr_assert_eq(base64url_decode(BYTES_LITERAL("Zm9v"), arena, &bytes), BASE64URL_MEMORY);
    arena_free(arena);
}

Test(base64url, round_trips)
{
    uint64_t random = 1;
    struct arena *arena = arena_new(ARENA_BYTES);
    for (size_t len = 0; len < 300; len++) {
        uint8_t in[300];
        char text[401];
        struct bytes out;
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)next_random(&random);
        base64url_encode(bytes_of(in, len), text);
        cr_assert_eq(base64url_decode(bytes_of(text, base64url_length(len)), arena, &out), BASE64URL_OK);
        cr_assert(bytes_equal(out, bytes_of(in, len)));
    }
    arena_free(arena);
}

Test(base64url, standard)
{
    static const char *const vectors[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "+//+"},
    };
    static const char *const bad[] = {"Zg",      "Zg=",  "Zh==", "Zm9=",     "Zm8", "-__-",
                                      "Zg==\n", "====", "Z===", "Zm9v====", "=Zg="};
    struct arena *arena = arena_new(10000);
    struct bytes bytes;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        char text[32] = "";
        cr_assert_eq(base64url_decode_standard(bytes_of_text(vectors[i][1]), arena, &bytes), BASE64URL_OK);
        cr_expect(bytes_equal_text(bytes, vectors[i][0]));
        base64url_encode_standard(bytes, text);
        cr_expect_str_eq(text, vectors[i][1]);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_eq(base64url_decode_standard(bytes_of_text(bad[i]), arena, &bytes), BASE64URL_BAD, "%s", bad[i]);
    arena_free(arena);
}

Test(base64url, any)
{
    static const char *const good[] = {"-_-_", "+/+/", "-/+_"};
    static const char *const bad[] = {"Zm9v===", "Zh", "Zg \n", "Z"};
    struct arena *arena = arena_new(10000);
    struct bytes bytes;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        cr_assert_eq(base64url_decode_any(bytes_of_text(good[i]), arena, &bytes), BASE64URL_OK);
        cr_expect(bytes_equal_text(bytes, "\xfb\xff\xbf"));
    }
    cr_assert_eq(base64url_decode_any(BYTES_LITERAL("Zg"), arena, &bytes), BASE64URL_OK);
    cr_assert_eq(base64url_decode_any(BYTES_LITERAL("Zg=="), arena, &bytes), BASE64URL_OK);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_eq(base64url_decode_any(bytes_of_text(bad[i]), arena, &bytes), BASE64URL_BAD, "%s", bad[i]);
    arena_free(arena);
}
