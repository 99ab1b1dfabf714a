// SPDX-License-Identifier: GPL-3.0-or-later
/* JSON strings. Control characters are escaped, so that nothing of a peer reaches a terminal as such. */
#include "codec/jsonout.h"

#include "codec/base64url.h"
#include "codec/hex.h"

static void put_escape(struct builder *out, uint8_t c)
{
    static const struct {
        uint8_t c;
        char letter;
    } letters[] = {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}};

    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (letters[i].c == c) {
            builder_put(out, bytes_of((const char[]){'\\', letters[i].letter}, 2));
            return;
        }
    }
    builder_put(out, bytes_of((const char[]){'\\', 'u', '0', '0', hex_digit(c >> 4), hex_digit(c)}, 6));
}

static bool needs_escape(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

void jsonout_text(struct builder *out, struct bytes text)
{
    builder_put_byte(out, '"');
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!needs_escape(text.ptr[i]))
            continue;
        builder_put(out, bytes_of(text.ptr + start, i - start));
        put_escape(out, text.ptr[i]);
        start = i + 1;
    }
    if (text.len)
        builder_put(out, bytes_of(text.ptr + start, text.len - start));
    builder_put_byte(out, '"');
}

static void put_unit(struct builder *out, uint32_t unit)
{
    const char escape[] = {
        '\\', 'u', hex_digit(unit >> 12), hex_digit(unit >> 8), hex_digit(unit >> 4), hex_digit(unit)};
    builder_put(out, bytes_of(escape, sizeof(escape)));
}

/* The character beyond ASCII at the beginning of valid UTF-8; returns its octets. */
static size_t put_character(struct builder *out, const uint8_t *at)
{
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    uint32_t character = at[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++)
        character = character << 6 | (at[i] & 0x3fU);
    if (character < 0x10000) {
        put_unit(out, character);
    } else {
        put_unit(out, 0xd800 + ((character - 0x10000) >> 10));
        put_unit(out, 0xdc00 + ((character - 0x10000) & 0x3ff));
    }
    return len;
}

void jsonout_ascii(struct builder *out, struct bytes text)
{
    builder_put_byte(out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t start = i;
        while (i < text.len && text.ptr[i] < 0x80 && !needs_escape(text.ptr[i]))
            i++;
        builder_put(out, bytes_of(text.ptr + start, i - start));
        if (i == text.len)
            break;
        if (text.ptr[i] >= 0x80)
            i += put_character(out, text.ptr + i);
        else
            put_escape(out, text.ptr[i++]);
    }
    builder_put_byte(out, '"');
}

void jsonout_base64url(struct builder *out, struct bytes bytes)
{
    builder_put_byte(out, '"');
    char *at = (char *)builder_reserve(out, base64url_length(bytes.len));
    if (at)
        base64url_encode(bytes, at);
    builder_put_byte(out, '"');
}
