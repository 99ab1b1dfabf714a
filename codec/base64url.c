// SPDX-License-Identifier: GPL-3.0-or-later
/* Both alphabets by one loop each way. */
#include "codec/base64url.h"

static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char standard_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The two characters that RFC 4648 has in one alphabet and not in the other. */
struct last {
    bool url, standard;
};

static int value_of(uint8_t c, struct last last)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if ((c == '-' && last.url) || (c == '+' && last.standard))
        return 62;
    return (c == '_' && last.url) || (c == '/' && last.standard) ? 63 : -1;
}

/* Octets that so many characters are, if they are any. */
static size_t decoded_length(size_t len)
{
    size_t tail = len % 4;
    return len / 4 * 3 + (tail ? tail - 1 : 0);
}

static bool decode_octets(struct bytes text, struct last last, uint8_t *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i], last);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[written++] = (uint8_t)(bits >> have);
        }
    }
    return (bits & ((1U << have) - 1)) == 0;
}

static enum base64url decode(struct bytes text, struct last last, struct arena *arena, struct bytes *ret)
{
    if (text.len % 4 == 1)
        return BASE64URL_BAD;
    size_t len = decoded_length(text.len);
    uint8_t *out = arena_alloc(arena, len);
    if (!out)
        return BASE64URL_MEMORY;
    if (!decode_octets(text, last, out))
        return BASE64URL_BAD;
    *ret = bytes_of(out, len);
    return BASE64URL_OK;
}

bool base64url_decode_into(struct bytes text, uint8_t *ret, size_t max, size_t *ret_len)
{
    if (text.len % 4 == 1 || decoded_length(text.len) > max || !decode_octets(text, (struct last){.url = true}, ret))
        return false;
    *ret_len = decoded_length(text.len);
    return true;
}

enum base64url base64url_decode(struct bytes text, struct arena *arena, struct bytes *ret)
{
    return decode(text, (struct last){.url = true}, arena, ret);
}

/* Without '=' at the end, of which there are two at most. */
static struct bytes without_padding(struct bytes text)
{
    for (unsigned i = 0; i < 2 && text.len && text.ptr[text.len - 1] == '='; i++)
        text.len--;
    return text;
}

enum base64url base64url_decode_standard(struct bytes text, struct arena *arena, struct bytes *ret)
{
    if (text.len % 4)
        return BASE64URL_BAD;
    return decode(without_padding(text), (struct last){.standard = true}, arena, ret);
}

enum base64url base64url_decode_any(struct bytes text, struct arena *arena, struct bytes *ret)
{
    return decode(without_padding(text), (struct last){.url = true, .standard = true}, arena, ret);
}

size_t base64url_length(size_t len)
{
    return len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0);
}

/* Returns the end of what was written. */
static char *encode(struct bytes from, const char *alphabet, char *out)
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
        *out++ = alphabet[bits << (6 - have) & 63];
    return out;
}

void base64url_encode(struct bytes from, char *out)
{
    encode(from, url_alphabet, out);
}

void base64url_encode_standard(struct bytes from, char *out)
{
    char *end = encode(from, standard_alphabet, out);
    memset(end, '=', (3 - from.len % 3) % 3);
}
