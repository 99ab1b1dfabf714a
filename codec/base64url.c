// SPDX-License-Identifier: GPL-3.0-or-later
/* Strict base64url in both directions. */
#include "codec/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

enum base64url base64url_decode(struct bytes text, struct arena *arena, struct bytes *ret)
{
    size_t tail = text.len % 4;
    if (tail == 1)
        return BASE64URL_BAD;
    size_t len = text.len / 4 * 3 + (tail ? tail - 1 : 0);
    uint8_t *out = arena_alloc(arena, len);
    if (!out)
        return BASE64URL_MEMORY;

    uint32_t bits = 0;
    unsigned have = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0)
            return BASE64URL_BAD;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[written++] = (uint8_t)(bits >> have);
        }
    }
    if (bits & ((1U << have) - 1))
        return BASE64URL_BAD;
    *ret = bytes_of(out, len);
    return BASE64URL_OK;
}

size_t base64url_length(size_t len)
{
    return len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0);
}

void base64url_encode(struct bytes from, char *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < from.len; i++) {
        bits = bits << 8 | from.ptr[i];
        have += 8;
        while (have >= 6) {
            have -= 6;
            *out++ = alphabet[bits >> have & 63];
        }
    }
    if (have)
        *out = alphabet[bits << (6 - have) & 63];
}
