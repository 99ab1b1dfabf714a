// SPDX-License-Identifier: GPL-3.0-or-later
#include "proxy/http_head.h"

#include <criterion/criterion.h>

#define HEAD(text) BYTES_LITERAL(text)

static struct http_framing taken(struct bytes head)
{
    struct http_framing framing;
    struct http_refusal refusal = {0};
    cr_assert(http_head_check(head, &framing, &refusal), "%.*s: %s", (int)head.len, (const char *)head.ptr,
              refusal.detail);
    return framing;
}

static enum outcome refused(struct bytes head)
{
    struct http_framing framing;
    struct http_refusal refusal = {OUTCOME_COUNT, NULL};
    cr_assert_not(http_head_check(head, &framing, &refusal), "%.*s", (int)head.len, (const char *)head.ptr);
    cr_assert_not_null(refusal.detail);
    return refusal.outcome;
}

Test(http_head, end_is_found_wherever_the_search_resumes)
{
    struct bytes text = HEAD("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET");
    for (size_t from = 0; from <= text.len - 3; from++)
        cr_assert_eq(http_head_end(text, from), text.len - 3, "from %zu", from);
    for (size_t len = 0; len < text.len - 3; len++)
        cr_assert_eq(http_head_end(bytes_of(text.ptr, len), len ? len - 1 : 0), 0, "of %zu", len);
    cr_assert_eq(http_head_end(HEAD("a\n\nb"), 0), 3);
    cr_assert_eq(http_head_end(HEAD("a\r\n\nb"), 0), 4);
    cr_assert_eq(http_head_end(HEAD(""), 0), 0);
}

Test(http_head, framing_is_read)
{
    cr_assert_eq(taken(HEAD("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).content_length, 0);
    cr_assert_eq(taken(HEAD("POST / HTTP/1.1\r\nHost: a\r\nCONTENT-length:\t 12 \r\n\r\n")).content_length, 12);
    cr_assert_eq(taken(HEAD("POST / HTTP/1.0\r\nContent-Length: 999999999999999999\r\n\r\n")).content_length,
                 999999999999999999u);
    cr_assert(taken(HEAD("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n")).chunked);
    taken(HEAD("GET /x?y HTTP/1.1\r\nHost: [::1]:80\r\nX: \xe9\t \r\nY:\r\n\r\n"));
    taken(HEAD("GET / HTTP/1.1\r\nHost:\r\nExpect: 100-Continue\r\n\r\n"));
}

Test(http_head, what_is_doubtful_is_refused)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/2\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        " / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        cr_assert_eq(refused(bytes_of_text(heads[i])), OUTCOME_BAD_REQUEST, "%s", heads[i]);
    cr_assert_eq(refused(HEAD("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n")), OUTCOME_BAD_REQUEST);
    cr_assert_eq(refused(HEAD("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")), OUTCOME_NOT_IMPLEMENTED);
}

Test(http_head, limits_are_those_of_the_header)
{
    char text[HTTP_HEAD_BYTES_MAX];
    for (size_t target = HTTP_HEAD_TARGET_BYTES_MAX; target <= HTTP_HEAD_TARGET_BYTES_MAX + 1; target++) {
        memset(text, 'x', sizeof text);
        memcpy(text, "GET /", 5);
        strcpy(text + 4 + target, " HTTP/1.1\r\nHost: a\r\n\r\n");
        if (target == HTTP_HEAD_TARGET_BYTES_MAX)
            taken(bytes_of_text(text));
        else
            refused(bytes_of_text(text));
    }
    for (unsigned fields = HTTP_HEAD_FIELDS_MAX; fields <= HTTP_HEAD_FIELDS_MAX + 1; fields++) {
        strcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (unsigned i = 1; i < fields; i++)
            strcat(text, "X: y\r\n");
        strcat(text, "\r\n");
        if (fields == HTTP_HEAD_FIELDS_MAX)
            taken(bytes_of_text(text));
        else
            cr_assert_eq(refused(bytes_of_text(text)), OUTCOME_HEADERS_TOO_LARGE);
    }
}

Test(http_head, methods)
{
    enum method method = 0;
    cr_assert(http_head_method(BYTES_LITERAL("HEAD"), &method));
    cr_assert_eq(method, METHOD_GET);
    cr_assert(http_head_method(BYTES_LITERAL("PATCH"), &method));
    cr_assert_eq(method, METHOD_PATCH);
    cr_assert(http_head_method(BYTES_LITERAL("FETCH"), &method));
    cr_assert_eq(method, METHOD_FETCH);
    cr_assert(http_head_method(BYTES_LITERAL("IPATCH"), &method));
    cr_assert_eq(method, METHOD_IPATCH);
    cr_assert_not(http_head_method(BYTES_LITERAL("get"), &method));
    cr_assert_not(http_head_method(BYTES_LITERAL("iPATCH"), &method));
    cr_assert_not(http_head_method(BYTES_LITERAL("TRACE"), &method));
    cr_assert_str_eq(http_head_method_name(METHOD_GET), "GET");
    cr_assert_str_eq(http_head_method_name(METHOD_FETCH), "FETCH");
    cr_assert_null(http_head_method_name((enum method)0));
}
