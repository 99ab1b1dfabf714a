// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * First the raw target is cut at its separators, then each part is decoded once: so no decoded character can ever act
 * as a separator. The canonical path is checked after decoding, because %2e is a dot like any other.
 */
#include "proxy/http_target.h"

#include "codec/hex.h"
#include "codec/utf8.h"
#include "proxy/http_text.h"

static bool bad(struct http_refusal *reterr, const char *detail)
{
    *reterr = (struct http_refusal){OUTCOME_BAD_REQUEST, detail};
    return false;
}

/* One character of the target, decoded. False: not a character that a URI may hold. */
static bool decode_one(const uint8_t **at, const uint8_t *end, uint8_t *ret, bool *ret_was_encoded)
{
    uint8_t c = *(*at)++;
    *ret_was_encoded = c == '%';
    if (c == '%') {
        int octet = end - *at >= 2 ? hex_octet(*at) : -1;
        if (octet < 0)
            return false;
        *at += 2;
        c = (uint8_t)octet;
        *ret = c;
        return c >= 0x20 && c != 0x7f;
    }
    *ret = c;
    return c > 0x20 && c < 0x7f && c != '#';
}

/* What a part is of: a path, a query, or a query in which a plus sign is a blank. */
enum place { PLACE_PATH, PLACE_QUERY, PLACE_FORM };

/* Decodes into the arena. In a path an encoded slash is refused, because it would become a separator. */
static bool decode(struct bytes raw, enum place place, struct arena *arena, struct bytes *ret,
                   struct http_refusal *reterr)
{
    if (raw.len == 0) {
        *ret = BYTES_LITERAL("");
        return true;
    }
    uint8_t *text = arena_alloc(arena, raw.len);
    if (!text) {
        *reterr = (struct http_refusal){OUTCOME_OUT_OF_MEMORY, NULL};
        return false;
    }
    size_t len = 0;
    for (const uint8_t *at = raw.ptr, *end = raw.ptr + raw.len; at < end;) {
        uint8_t c;
        bool was_encoded;
        if (!decode_one(&at, end, &c, &was_encoded))
            return bad(reterr, "The request target has a character or percent encoding that is not allowed.");
        if (place == PLACE_PATH && (c == '\\' || (c == '/' && was_encoded)))
            return bad(reterr, "The path has a backslash or an encoded slash.");
        text[len++] = place == PLACE_FORM && c == '+' && !was_encoded ? ' ' : c;
    }
    *ret = bytes_of(text, len);
    if (utf8_is_text(*ret))
        return true;
    return bad(reterr, utf8_is_valid(*ret) ? "The request target has the character U+0000."
                                           : "The request target is not UTF-8.");
}

/* A trailing slash is an empty last segment; only "/" itself has one, and what legacy senders write, who lose it. */
static bool check_segments(struct bytes *path, http_target_habit_fn *is_habit, struct http_refusal *reterr)
{
    if (path->len <= 1)
        return true;
    struct bytes without = bytes_of(path->ptr, path->len - 1);
    if (path->ptr[without.len] == '/' && is_habit(without))
        *path = without;
    struct bytes rest = bytes_of(path->ptr + 1, path->len - 1), segment;
    while (http_text_take_until(&rest, '/', &segment))
        if (segment.len == 0 || bytes_equal_text(segment, ".") || bytes_equal_text(segment, ".."))
            return bad(reterr, "The path has an empty or a dot segment.");
    return true;
}

/* Leaves "/path?query" of an absolute URI. */
static bool skip_authority(struct bytes *raw)
{
    if (raw->len && raw->ptr[0] == '/')
        return true;
    struct bytes scheme = bytes_of(raw->ptr, raw->len < 7 ? raw->len : 7);
    if (!http_text_equal_ignoring_case(scheme, "http://"))
        return false;
    for (size_t i = 7; i < raw->len; i++)
        if (raw->ptr[i] == '/') {
            *raw = bytes_of(raw->ptr + i, raw->len - i);
            return i > 7;
        } else if (raw->ptr[i] == '?') {
            return false;
        }
    return false;
}

static bool decode_query(struct bytes raw, http_target_habit_fn *is_habit, struct arena *arena,
                         struct http_target *ret, struct http_refusal *reterr)
{
    bool is_form = memchr(raw.ptr, '+', raw.len) && is_habit(ret->path);
    enum place place = is_form ? PLACE_FORM : PLACE_QUERY;
    ret->query = arena_alloc(arena, HTTP_HEAD_QUERY_MAX * sizeof *ret->query);
    if (!ret->query) {
        *reterr = (struct http_refusal){OUTCOME_OUT_OF_MEMORY, NULL};
        return false;
    }
    struct bytes part, name;
    while (http_text_take_until(&raw, '&', &part)) {
        if (part.len == 0)
            continue;
        if (ret->query_count == HTTP_HEAD_QUERY_MAX)
            return bad(reterr, "At most 64 query parameters are taken.");
        struct query_parameter *to = &ret->query[ret->query_count++];
        http_text_take_until(&part, '=', &name);
        if (!decode(name, place, arena, &to->name, reterr) || !decode(part, place, arena, &to->value, reterr))
            return false;
    }
    return true;
}

bool http_target_decode(struct bytes raw, http_target_habit_fn *is_habit, struct arena *arena, struct http_target *ret,
                        struct http_refusal *reterr)
{
    struct http_target target = {0};
    if (raw.len > HTTP_HEAD_TARGET_BYTES_MAX)
        return bad(reterr, "The request target is longer than 2048 bytes.");
    if (!skip_authority(&raw))
        return bad(reterr, "The request target does not begin with a slash.");
    struct bytes path, rest = raw;
    http_text_take_until(&rest, '?', &path);
    if (!decode(path, PLACE_PATH, arena, &target.path, reterr) || !check_segments(&target.path, is_habit, reterr))
        return false;
    if (rest.len && !decode_query(rest, is_habit, arena, &target, reterr))
        return false;
    *ret = target;
    return true;
}
