// SPDX-License-Identifier: GPL-3.0-or-later
#include "proxy/http_target.h"

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

TestSuite(http_target, .init = setup, .fini = teardown);

static bool is_habit(struct bytes path)
{
    return bytes_equal_text(path, "/old/post");
}

static struct http_target decoded(const char *raw)
{
    struct http_target target;
    struct http_refusal refusal = {0};
    cr_assert(http_target_decode(bytes_of_text(raw), is_habit, arena, &target, &refusal), "%s: %s", raw, refusal.detail);
    return target;
}

static void check_path(const char *raw, const char *path)
{
    struct http_target target = decoded(raw);
    cr_assert(bytes_equal_text(target.path, path), "%s: %.*s", raw, (int)target.path.len,
              (const char *)target.path.ptr);
}

static void check_parameter(const struct http_target *target, size_t i, const char *name, const char *value)
{
    cr_assert_lt(i, target->query_count);
    cr_assert(bytes_equal_text(target->query[i].name, name), "name of %zu", i);
    cr_assert(bytes_equal_text(target->query[i].value, value), "value of %zu", i);
}

Test(http_target, paths_are_decoded_once)
{
    check_path("/", "/");
    check_path("/obs", "/obs");
    check_path("/%6F%62s?x", "/obs");
    check_path("/a;b=c", "/a;b=c");
    check_path("/a+b", "/a+b");
    check_path("/%252e%252e", "/%2e%2e");
    check_path("/...", "/...");
    check_path("/.a", "/.a");
    check_path("/%c3%A9", "/\xc3\xa9");
    check_path("http://h:80/obs?x", "/obs");
    check_path("HTTP://h/", "/");
}

Test(http_target, refused)
{
    static const char *const raws[] = {
        "",        "obs",     "*",        "?x",          "//",          "//obs",   "/obs/",   "/a//b",
        "/.",      "/..",     "/./a",     "/a/../b",     "/a/%2e%2E/b", "/%2e",    "/%",      "/%4",
        "/%4g",    "/%00",    "/a%0ab",   "/a%7F",       "/a%2Fb",      "/a%5cb",  "/a\\b",   "/a b",
        "/\xc3\xa9", "/%c3",  "/%c0%80",  "/%ed%a0%80",  "/#x",         "/?%00",   "/?a=%",   "/?a=%ff",
        "/?#",     "http://", "http://h", "http:///x",   "http://h?/x", "https://h/x", "coap://h/x", "/a?b=\x01",
        "/old/post//", "/old//post/", "/old/post%2f", "/old/", "/old/post/./", "/old/post/?a=%",
    };
    for (size_t i = 0; i < sizeof raws / sizeof raws[0]; i++) {
        struct http_target target = {.query_count = 77};
        struct http_refusal refusal;
        cr_assert_not(http_target_decode(bytes_of_text(raws[i]), is_habit, arena, &target, &refusal), "%s", raws[i]);
        cr_assert_eq(refusal.outcome, OUTCOME_BAD_REQUEST, "%s", raws[i]);
        cr_assert_eq(target.query_count, 77, "untouched on failure");
    }
}

Test(http_target, query)
{
    struct http_target target = decoded("/obs?device=a%2Fb&&n=x+y%26z&flag&=v&e=&q=a=b?c/..");
    cr_assert_eq(target.query_count, 6);
    check_parameter(&target, 0, "device", "a/b");
    check_parameter(&target, 1, "n", "x+y&z");
    check_parameter(&target, 2, "flag", "");
    check_parameter(&target, 3, "", "v");
    check_parameter(&target, 4, "e", "");
    check_parameter(&target, 5, "q", "a=b?c/..");
    cr_assert_eq(decoded("/obs?").query_count, 0);
}

/* As PHP, express and Go's net/url read it. */
Test(http_target, legacy_senders_write_forms)
{
    struct http_target target = decoded("/old/post?a+b=heat+pump&c=1%2B1+%2b1&+=%20");
    cr_assert_eq(target.query_count, 3);
    check_parameter(&target, 0, "a b", "heat pump");
    check_parameter(&target, 1, "c", "1+1 +1");
    check_parameter(&target, 2, " ", " ");
    target = decoded("/old/post/?a=b+c");
    cr_assert(bytes_equal_text(target.path, "/old/post"), "the slash is no level");
    check_parameter(&target, 0, "a", "b c");
    check_path("/old/post/", "/old/post");
    check_path("/o%6cd/post/", "/old/post");
    check_path("http://h/old/post/", "/old/post");
    target = decoded("/old/post+?a=b+c");
    cr_assert(bytes_equal_text(target.path, "/old/post+"));
    check_parameter(&target, 0, "a", "b+c");
}

Test(http_target, query_is_bounded)
{
    char raw[1024] = "/?a";
    for (int i = 1; i < HTTP_HEAD_QUERY_MAX; i++)
        strcat(raw, "&a");
    cr_assert_eq(decoded(raw).query_count, HTTP_HEAD_QUERY_MAX);
    strcat(raw, "&a");
    struct http_target target;
    struct http_refusal refusal;
    cr_assert_not(http_target_decode(bytes_of_text(raw), is_habit, arena, &target, &refusal));
}

Test(http_target, a_full_arena_is_an_outcome)
{
    struct arena *small = arena_new(16);
    struct http_target target;
    struct http_refusal refusal;
    cr_assert_not(http_target_decode(BYTES_LITERAL("/a?b=c"), is_habit, small, &target, &refusal));
    cr_assert_eq(refusal.outcome, OUTCOME_OUT_OF_MEMORY);
    arena_free(small);
}
