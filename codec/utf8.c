// SPDX-License-Identifier: GPL-3.0-or-later
/* The table of well-formed byte sequences of Unicode (table 3-7), one row per range of the first byte. */
#include "codec/utf8.h"

struct sequence {
    uint8_t first_low, first_high;
    uint8_t second_low, second_high; /* keeps out overlong forms, surrogates, too large values */
    uint8_t length;
};

static const struct sequence sequences[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Length of the sequence of more than one byte at ptr, 0 if there is none. */
static size_t sequence_length(const uint8_t *ptr, size_t left)
{
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        const struct sequence *s = &sequences[i];
        if (ptr[0] < s->first_low || ptr[0] > s->first_high)
            continue;
        if (left < s->length || ptr[1] < s->second_low || ptr[1] > s->second_high)
            return 0;
        for (size_t k = 2; k < s->length; k++) {
            if ((ptr[k] & 0xc0) != 0x80)
                return 0;
        }
        return s->length;
    }
    return 0;
}

/*
 * The end of the run of ASCII at i; the strings of sensors are that from end to end, so eight bytes at a
 * time.
 */
static size_t skip_ascii(struct bytes text, size_t i)
{
    uint64_t eight;
    for (; i + sizeof(eight) <= text.len; i += sizeof(eight)) {
        memcpy(&eight, text.ptr + i, sizeof(eight));
        if (eight & 0x8080808080808080)
            break;
    }
    return i;
}

bool utf8_is_valid(struct bytes text)
{
    size_t i = 0;
    while ((i = skip_ascii(text, i)) < text.len) {
        if (text.ptr[i] < 0x80) {
            i++;
            continue;
        }
        size_t length = sequence_length(text.ptr + i, text.len - i);
        if (!length)
            return false;
        i += length;
    }
    return true;
}

bool utf8_is_text(struct bytes text)
{
    return (text.len == 0 || !memchr(text.ptr, 0, text.len)) && utf8_is_valid(text);
}

const char *utf8_why_no_text(struct bytes text)
{
    return utf8_is_valid(text) ? "A text has the character U+0000." : "A text is not UTF-8.";
}
