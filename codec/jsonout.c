// SPDX-License-Identifier: GPL-3.0-or-later
/* JSON strings. Control characters are escaped, so that nothing of a peer reaches a terminal as such. */
#include "codec/jsonout.h"

#include "codec/base64url.h"

static void put_escape(struct builder *out, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
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
    builder_put(out, bytes_of((const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6));
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

void jsonout_base64url(struct builder *out, struct bytes bytes)
{
    builder_put_byte(out, '"');
    char *at = (char *)builder_reserve(out, base64url_length(bytes.len));
    if (at)
        base64url_encode(bytes, at);
    builder_put_byte(out, '"');
}
