// SPDX-License-Identifier: GPL-3.0-or-later
/* UTF-8: against a slow decoder written from the definition, over all lengths up to four bytes. */
#include "codec/utf8.h"

#include <criterion/criterion.h>

/* Reads one code point by the definition of RFC 3629; 0 bytes: none. */
static size_t one_point(const uint8_t *p, size_t left)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (len == 0 || len > left)
        return 0;
    uint32_t point = len == 1 ? p[0] : p[0] & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        point = point << 6 | (p[i] & 63);
    }
    bool surrogate = point >= 0xd800 && point < 0xe000;
    return point < smallest[len] || point > 0x10ffff || surrogate ? 0 : len;
}

static bool by_definition(const uint8_t *p, size_t left)
{
    while (left) {
        size_t len = one_point(p, left);
        if (!len)
            return false;
        p += len;
        left -= len;
    }
    return true;
}

Test(utf8, agrees_with_the_definition)
{
    /* All pairs of first bytes, and behind them what lies around each border. */
    static const uint8_t tails[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned pair = 0; pair < 65536; pair++) {
        for (size_t i = 0; i < sizeof(tails) * sizeof(tails); i++) {
            const uint8_t text[] = {(uint8_t)(pair >> 8), (uint8_t)pair, tails[i / sizeof(tails)],
                                    tails[i % sizeof(tails)]};
            for (size_t len = 1; len <= sizeof(text); len++)
                cr_assert_eq(utf8_is_valid(bytes_of(text, len)), by_definition(text, len), "%02x%02x%02x%02x %zu",
                             text[0], text[1], text[2], text[3], len);
        }
    }
}

Test(utf8, text_has_no_nul)
{
    cr_assert(utf8_is_text(bytes_of(NULL, 0)));
    cr_assert(utf8_is_text(BYTES_LITERAL("gr\xc3\xbc\xc3\x9f")));
    cr_assert(utf8_is_valid(BYTES_LITERAL("a\0b")));
    cr_assert_not(utf8_is_text(BYTES_LITERAL("a\0b")));
    cr_assert_not(utf8_is_text(BYTES_LITERAL("a\xff")));
}

Test(utf8, says_why_it_is_no_text)
{
    cr_expect_str_eq(utf8_why_no_text(bytes_of("a\0b", 3)), "A text has the character U+0000.");
    cr_expect_str_eq(utf8_why_no_text(bytes_of("a\xff\0", 3)), "A text is not UTF-8.");
}
