// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * On the path of every observation, twice a command of some 26 arguments: the room is made once for the whole command,
 * then it is written without further checks. Replaces redisFormatCommandArgv, which allocates per command
 * (docs/decisions/0008-hiredis-without-its-async-layer.md has the figures).
 */
#include "gateway/resp.h"

#include <stdlib.h>

#define ROOM_MIN 4096
/* '*' or '$', 20 digits, CR LF. */
#define LENGTH_LINE_MAX 23

void resp_deinit(struct resp *resp)
{
    free(resp->ptr);
    *resp = (struct resp){0};
}

static bool make_room(struct resp *resp, size_t more)
{
    if (resp->room - resp->len >= more)
        return true;
    size_t room = resp->room ? resp->room : ROOM_MIN;
    while (room - resp->len < more) {
        if (room > SIZE_MAX / 2)
            return false;
        room *= 2;
    }
    uint8_t *ptr = realloc(resp->ptr, room);
    if (!ptr)
        return false;
    resp->ptr = ptr;
    resp->room = room;
    return true;
}

static uint8_t *put_length(uint8_t *out, char kind, size_t length)
{
    uint8_t digits[20];
    size_t count = 0;
    do {
        digits[count++] = (uint8_t)('0' + length % 10);
        length /= 10;
    } while (length > 0);
    *out++ = (uint8_t)kind;
    while (count > 0)
        *out++ = digits[--count];
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

bool resp_command(struct resp *resp, const struct bytes *arguments, size_t count)
{
    size_t most = LENGTH_LINE_MAX;
    for (size_t i = 0; i < count; i++)
        most += LENGTH_LINE_MAX + arguments[i].len + 2;
    if (!make_room(resp, most))
        return false;
    uint8_t *out = put_length(resp->ptr + resp->len, '*', count);
    for (size_t i = 0; i < count; i++) {
        out = put_length(out, '$', arguments[i].len);
        if (arguments[i].len > 0)
            out = mempcpy(out, arguments[i].ptr, arguments[i].len);
        *out++ = '\r';
        *out++ = '\n';
    }
    resp->len = (size_t)(out - resp->ptr);
    return true;
}

bool resp_append(struct resp *resp, struct bytes commands)
{
    if (!make_room(resp, commands.len))
        return false;
    if (commands.len > 0)
        memcpy(resp->ptr + resp->len, commands.ptr, commands.len);
    resp->len += commands.len;
    return true;
}

void resp_clear(struct resp *resp, size_t keep_bytes)
{
    resp->len = 0;
    if (resp->room > keep_bytes)
        resp_deinit(resp);
}

/* "$12\r\n" or "*3\r\n" */
static bool take_length(struct bytes *rest, uint8_t kind, size_t *ret)
{
    size_t length = 0, at = 1;
    if (rest->len == 0 || rest->ptr[0] != kind)
        return false;
    for (; at < rest->len && rest->ptr[at] >= '0' && rest->ptr[at] <= '9' && length < SIZE_MAX / 16; at++)
        length = 10 * length + (rest->ptr[at] - '0');
    if (rest->len - at < 2 || rest->ptr[at] != '\r')
        return false;
    *rest = bytes_of(rest->ptr + at + 2, rest->len - at - 2);
    *ret = length;
    return true;
}

bool resp_take(struct bytes *rest, struct bytes *ret_command)
{
    struct bytes at = *rest;
    size_t count, length;
    if (!take_length(&at, '*', &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!take_length(&at, '$', &length) || at.len < 2 || at.len - 2 < length)
            return false;
        at = bytes_of(at.ptr + length + 2, at.len - length - 2);
    }
    *ret_command = bytes_of(rest->ptr, (size_t)(at.ptr - rest->ptr));
    *rest = at;
    return true;
}
