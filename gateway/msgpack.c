// SPDX-License-Identifier: GPL-3.0-or-later
/* Called for every message on the hot path: the buffer is the caller's and keeps its memory. */
#include "gateway/msgpack.h"

#include <stdlib.h>

#define ROOM_MIN 4096

void msgpack_deinit(struct msgpack *out)
{
    free(out->ptr);
    *out = (struct msgpack){0};
}

void msgpack_clear(struct msgpack *out, size_t keep_octets)
{
    out->len = 0;
    out->failed = false;
    if (out->room > keep_octets)
        msgpack_deinit(out);
}

static uint8_t *reserve(struct msgpack *out, size_t len)
{
    if (out->failed)
        return NULL;
    if (out->room - out->len < len) {
        size_t room = out->room ? out->room : ROOM_MIN;
        while (room - out->len < len)
            room *= 2;
        uint8_t *grown = realloc(out->ptr, room);
        if (!grown) {
            out->failed = true;
            return NULL;
        }
        out->ptr = grown;
        out->room = room;
    }
    uint8_t *at = out->ptr + out->len;
    out->len += len;
    return at;
}

/* A type octet and a big-endian number of so many octets. */
static void head(struct msgpack *out, uint8_t type, uint64_t number, unsigned octets)
{
    uint8_t *at = reserve(out, 1 + octets);
    if (!at)
        return;
    *at++ = type;
    for (unsigned i = octets; i > 0; i--)
        *at++ = (uint8_t)(number >> (8 * (i - 1)));
}

void msgpack_raw(struct msgpack *out, struct bytes octets)
{
    uint8_t *at = octets.len ? reserve(out, octets.len) : NULL;
    if (at)
        memcpy(at, octets.ptr, octets.len);
}

void msgpack_string(struct msgpack *out, struct bytes string)
{
    if (string.len < 32)
        head(out, (uint8_t)(0xa0 | string.len), 0, 0);
    else if (string.len <= UINT8_MAX)
        head(out, 0xd9, string.len, 1);
    else if (string.len <= UINT16_MAX)
        head(out, 0xda, string.len, 2);
    else
        head(out, 0xdb, string.len, 4);
    msgpack_raw(out, string);
}

void msgpack_uint(struct msgpack *out, uint64_t number)
{
    if (number < 128)
        head(out, (uint8_t)number, 0, 0);
    else if (number <= UINT8_MAX)
        head(out, 0xcc, number, 1);
    else if (number <= UINT16_MAX)
        head(out, 0xcd, number, 2);
    else if (number <= UINT32_MAX)
        head(out, 0xce, number, 4);
    else
        head(out, 0xcf, number, 8);
}

void msgpack_array(struct msgpack *out, size_t count)
{
    if (count < 16)
        head(out, (uint8_t)(0x90 | count), 0, 0);
    else if (count <= UINT16_MAX)
        head(out, 0xdc, count, 2);
    else
        head(out, 0xdd, count, 4);
}
