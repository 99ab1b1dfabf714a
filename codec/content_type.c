// SPDX-License-Identifier: GPL-3.0-or-later
/* The grammar of RFC 9193 section 4, by descent; used by codec/senml_record.c. */
#include "codec/content_type.h"

#define CONTENT_FORMAT_NUMBER_MAX 65535
#define RESTRICTED_NAME_MAX 127 /* RFC 6838 section 4.2 */

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alphanumeric(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_restricted(uint8_t c)
{
    return is_alphanumeric(c) || is_one_of(c, "!#$&-^_.+");
}

static bool is_token(uint8_t c)
{
    return is_alphanumeric(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

static bool skip(struct cursor *cursor, uint8_t c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static size_t take_run(struct cursor *cursor, bool (*is_in_run)(uint8_t))
{
    const uint8_t *start = cursor->at;
    while (cursor->at < cursor->end && is_in_run(*cursor->at))
        cursor->at++;
    return (size_t)(cursor->at - start);
}

static bool take_restricted_name(struct cursor *cursor)
{
    if (cursor->at == cursor->end || !is_alphanumeric(*cursor->at))
        return false;
    return take_run(cursor, is_restricted) <= RESTRICTED_NAME_MAX;
}

/* What is left of a quoted string, its closing quote too. */
static bool take_quoted_rest(struct cursor *cursor)
{
    while (cursor->at < cursor->end) {
        uint8_t c = *cursor->at++;
        if (c == '"')
            return true;
        if (c == '\\') {
            if (cursor->at == cursor->end)
                return false;
            c = *cursor->at++;
        }
        if (c < ' ' || c > '~')
            return false;
    }
    return false;
}

/* "; name=value", the spaces around the semicolon taken too. */
static bool take_parameter(struct cursor *cursor)
{
    while (skip(cursor, ' '))
        ;
    if (!skip(cursor, ';'))
        return false;
    while (skip(cursor, ' '))
        ;
    if (take_run(cursor, is_token) == 0 || !skip(cursor, '='))
        return false;
    return skip(cursor, '"') ? take_quoted_rest(cursor) : take_run(cursor, is_token) > 0;
}

static bool is_content_format_number(struct bytes text)
{
    unsigned number = 0;
    if (text.len > 5 || (text.len > 1 && text.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++)
        number = number * 10 + (unsigned)(text.ptr[i] - '0');
    return number <= CONTENT_FORMAT_NUMBER_MAX;
}

bool content_type_is_valid(struct bytes text)
{
    struct cursor cursor = {text.ptr, text.ptr + text.len};
    if (text.len == 0 || text.len > CONTENT_TYPE_MAX)
        return false;
    if (take_run(&cursor, is_digit) == text.len)
        return is_content_format_number(text);
    cursor.at = text.ptr;
    if (!take_restricted_name(&cursor) || !skip(&cursor, '/') || !take_restricted_name(&cursor))
        return false;
    while (cursor.at < cursor.end && *cursor.at != '@') {
        if (!take_parameter(&cursor))
            return false;
    }
    while (skip(&cursor, '@')) {
        if (take_run(&cursor, is_token) == 0)
            return false;
    }
    return cursor.at == cursor.end;
}
