// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Everything here sees only bytes that one peer sent; nothing here can fail other than by saying what was wrong.
 *
 * To take one more header field that must not be repeated: one row in `singles`.
 */
#include "proxy/http_head.h"

#include "proxy/http_text.h"

static bool refuse(struct http_refusal *reterr, enum outcome outcome, const char *detail)
{
    *reterr = (struct http_refusal){outcome, detail};
    return false;
}

static bool bad(struct http_refusal *reterr, const char *detail)
{
    return refuse(reterr, OUTCOME_BAD_REQUEST, detail);
}

/* --- framing --- */

size_t http_head_end(struct bytes received, size_t from)
{
    /* The empty line may have begun in what was searched before. */
    for (size_t i = from > 3 ? from - 3 : 0; i + 1 < received.len; i++) {
        if (received.ptr[i] != '\n')
            continue;
        if (received.ptr[i + 1] == '\n')
            return i + 2;
        if (received.ptr[i + 1] == '\r' && i + 2 < received.len && received.ptr[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

/* A line without its CRLF. Bare CR or LF would be a line for one reader and not for another. */
static bool take_line(struct bytes *rest, struct bytes *ret, struct http_refusal *reterr)
{
    struct bytes line;
    if (!http_text_take_until(rest, '\n', &line) || !rest->ptr || line.len == 0 || line.ptr[line.len - 1] != '\r')
        return bad(reterr, "Each line of the head ends with CR LF.");
    line.len--;
    if (memchr(line.ptr, '\r', line.len) || memchr(line.ptr, 0, line.len))
        return bad(reterr, "The head holds a bare CR or a NUL.");
    *ret = line;
    return true;
}

static size_t count_of(struct bytes text, uint8_t c)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == c;
    return count;
}

static bool check_request_line(struct bytes line, bool *ret_is_11, struct http_refusal *reterr)
{
    struct bytes rest = line, method, target;
    enum method known;
    if (!http_text_take_until(&rest, ' ', &method) || !http_text_is_token(method) ||
        !http_text_take_until(&rest, ' ', &target) || !rest.ptr)
        return bad(reterr, "The request line is: METHOD TARGET HTTP/1.1, with one space between.");
    if (bytes_equal(rest, BYTES_LITERAL("HTTP/1.1")))
        *ret_is_11 = true;
    else if (bytes_equal(rest, BYTES_LITERAL("HTTP/1.0")))
        *ret_is_11 = false;
    else
        return bad(reterr, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    if (!http_head_method(method, &known))
        return refuse(reterr, OUTCOME_NOT_IMPLEMENTED, "This method is not known here.");
    if (target.len == 0 || target.len > HTTP_HEAD_TARGET_BYTES_MAX)
        return bad(reterr, "The request target is empty or longer than 2048 bytes.");
    if (count_of(target, '&') >= HTTP_HEAD_QUERY_MAX)
        return bad(reterr, "At most 64 query parameters are taken.");
    return true;
}

/* Fields that must not come twice: readers that take the first and readers that take the last would disagree. */
enum single {
    SINGLE_HOST,
    SINGLE_LENGTH,
    SINGLE_CODING,
    SINGLE_EXPECT,
    SINGLE_OTHER_FIRST,
    SINGLE_COUNT = SINGLE_OTHER_FIRST + 3,
};

static const char *const singles[SINGLE_COUNT] = {
    [SINGLE_HOST] = "host",
    [SINGLE_LENGTH] = "content-length",
    [SINGLE_CODING] = "transfer-encoding",
    [SINGLE_EXPECT] = "expect",
    [SINGLE_OTHER_FIRST] = "authorization",
    [SINGLE_OTHER_FIRST + 1] = "content-type",
    [SINGLE_OTHER_FIRST + 2] = "content-encoding",
};

static bool take_field(struct bytes line, struct bytes found[static SINGLE_COUNT], struct http_refusal *reterr)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return bad(reterr, "Header fields must not be folded over lines.");
    struct bytes rest = line, name;
    if (!http_text_take_until(&rest, ':', &name) || !rest.ptr || !http_text_is_token(name))
        return bad(reterr, "A header field is: NAME: VALUE, with no space before the colon.");
    if (!http_text_is_field_value(rest))
        return bad(reterr, "A header field holds a control character.");
    for (size_t i = 0; i < SINGLE_COUNT; i++) {
        if (!http_text_equal_ignoring_case(name, singles[i]))
            continue;
        if (found[i].ptr)
            return bad(reterr, "A header field that must come once came twice.");
        found[i] = http_text_trim(rest);
    }
    return true;
}

static bool parse_length(struct bytes text, uint64_t *ret)
{
    uint64_t value = 0;
    /* 18 digits cannot overflow and are more than any body. */
    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!http_text_is_digit(text.ptr[i]))
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *ret = value;
    return true;
}

static bool is_host(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (!http_text_is_alpha(c) && !http_text_is_digit(c) && !strchr("-._~!$&'()*+,;=:[]%", c))
            return false;
    }
    return true;
}

static bool settle_framing(const struct bytes found[static SINGLE_COUNT], bool is_11, struct http_framing *ret,
                           struct http_refusal *reterr)
{
    struct http_framing framing = {0};
    if (is_11 && !found[SINGLE_HOST].ptr)
        return bad(reterr, "HTTP/1.1 needs a Host field.");
    if (!is_host(found[SINGLE_HOST]))
        return bad(reterr, "The Host field is not a host.");
    if (found[SINGLE_EXPECT].ptr && !http_text_equal_ignoring_case(found[SINGLE_EXPECT], "100-continue"))
        return bad(reterr, "Only 100-continue can be expected.");
    if (found[SINGLE_CODING].ptr) {
        if (found[SINGLE_LENGTH].ptr)
            return bad(reterr, "Content-Length and Transfer-Encoding exclude each other.");
        if (!is_11 || !http_text_equal_ignoring_case(found[SINGLE_CODING], "chunked"))
            return bad(reterr, "The only transfer coding is chunked, in HTTP/1.1.");
        framing.chunked = true;
    } else if (found[SINGLE_LENGTH].ptr && !parse_length(found[SINGLE_LENGTH], &framing.content_length)) {
        return bad(reterr, "Content-Length is not one decimal number.");
    }
    *ret = framing;
    return true;
}

bool http_head_check(struct bytes head, struct http_framing *ret, struct http_refusal *reterr)
{
    struct bytes rest = head, line, found[SINGLE_COUNT] = {{0}};
    bool is_11;
    if (!take_line(&rest, &line, reterr) || !check_request_line(line, &is_11, reterr))
        return false;
    for (size_t fields = 0; take_line(&rest, &line, reterr); fields++) {
        if (line.len == 0)
            return settle_framing(found, is_11, ret, reterr);
        if (fields == HTTP_HEAD_FIELDS_MAX)
            return refuse(reterr, OUTCOME_HEADERS_TOO_LARGE, "At most 64 header fields are taken.");
        if (!take_field(line, found, reterr))
            return false;
    }
    return false;
}

/* --- methods --- */

static const struct {
    const char *name;
    enum method method;
} methods[] = {
    {"GET", METHOD_GET}, {"HEAD", METHOD_GET},      {"POST", METHOD_POST},
    {"PUT", METHOD_PUT}, {"DELETE", METHOD_DELETE}, {"PATCH", METHOD_PATCH},
    {"FETCH", METHOD_FETCH}, {"IPATCH", METHOD_IPATCH}, /* of CoAP (RFC 8132), by the same names */
};

bool http_head_method(struct bytes name, enum method *ret)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (bytes_equal_text(name, methods[i].name)) {
            *ret = methods[i].method;
            return true;
        }
    return false;
}

const char *http_head_method_name(enum method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (methods[i].method == method)
            return methods[i].name;
    return NULL;
}
