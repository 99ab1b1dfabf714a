// SPDX-License-Identifier: GPL-3.0-or-later
/* Characters and lists as HTTP has them (RFC 9110 5.5, 5.6), for the readers of heads and fields. Nothing allocates. */
#pragma once

#include "codec/bytes.h"

static inline bool http_text_is_alpha(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static inline bool http_text_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9110 5.6.2. */
static inline bool http_text_is_token_char(uint8_t c)
{
    return http_text_is_alpha(c) || http_text_is_digit(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static inline bool http_text_is_token(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!http_text_is_token_char(text.ptr[i]))
            return false;
    return text.len > 0;
}

/* RFC 9110 5.5: visible characters, obs-text, and white space between them. */
static inline bool http_text_is_field_value(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.ptr[i] < 0x20 && text.ptr[i] != '\t') || text.ptr[i] == 0x7f)
            return false;
    return true;
}

static inline bool http_text_equal_ignoring_case(struct bytes text, const char *lower)
{
    size_t i = 0;
    for (; i < text.len && lower[i]; i++) {
        uint8_t c = text.ptr[i];
        if ((http_text_is_alpha(c) ? (c | 0x20) : c) != (uint8_t)lower[i])
            return false;
    }
    return i == text.len && !lower[i];
}

static inline struct bytes http_text_trim(struct bytes text)
{
    while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes what stands before the separator, and the separator, off the front. *rest empty and false: nothing was left. */
static inline bool http_text_take_until(struct bytes *rest, uint8_t separator, struct bytes *ret)
{
    if (!rest->ptr)
        return false;
    const uint8_t *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    size_t len = at ? (size_t)(at - rest->ptr) : rest->len;
    *ret = bytes_of(rest->ptr, len);
    *rest = at ? bytes_of(at + 1, rest->len - len - 1) : (struct bytes){0};
    return true;
}

/* As http_text_take_until for lists of HTTP, where a quoted string may hold the separator. */
static inline bool http_text_take_list_part(struct bytes *rest, uint8_t separator, struct bytes *ret)
{
    if (!rest->ptr)
        return false;
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->len && (quoted || rest->ptr[i] != separator); i++) {
        if (rest->ptr[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->ptr[i] == '\\')
            i++;
    }
    size_t len = i < rest->len ? i : rest->len;
    *ret = http_text_trim(bytes_of(rest->ptr, len));
    *rest = i < rest->len ? bytes_of(rest->ptr + i + 1, rest->len - i - 1) : (struct bytes){0};
    return true;
}
