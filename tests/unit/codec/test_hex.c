// SPDX-License-Identifier: GPL-3.0-or-later
/* Every octet as printf writes it. */
#include "codec/hex.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

Test(hex, each_octet)
{
    for (unsigned i = 0; i < 256; i++) {
        char text[4] = "..x", wanted[4];
        snprintf(wanted, sizeof wanted, "%02xx", i);
        cr_expect_eq(hex_write(bytes_of(&(uint8_t){(uint8_t)i}, 1), text), 2);
        cr_expect_str_eq(text, wanted);
        cr_expect_eq(hex_digit(i), wanted[1]);
    }
}

Test(hex, several_and_none)
{
    char text[] = "......";
    cr_expect_eq(hex_write((struct bytes){0}, text), 0);
    cr_expect_eq(hex_write(BYTES_LITERAL("\x01\xfe"), text), 4);
    cr_expect_str_eq(text, "01fe..", "no NUL");
}

Test(hex, a_number_has_sixteen_digits)
{
    char text[17] = "................";
    hex_write_number(0x00ab000000000cd9, text);
    cr_expect_str_eq(text, "00ab000000000cd9");
}

Test(hex, the_value_of_each_character)
{
    for (unsigned c = 0; c < 256; c++) {
        const char *digit = c ? strchr("0123456789abcdefABCDEF", (int)c) : NULL;
        int value = digit ? (int)strtol((char[]){(char)c, 0}, NULL, 16) : -1;
        cr_expect_eq(hex_value((uint8_t)c), value, "%u", c);
        cr_expect_eq(hex_octet((uint8_t[]){(uint8_t)c, 'a'}), value < 0 ? -1 : value * 16 + 10, "%u", c);
        cr_expect_eq(hex_octet((uint8_t[]){'F', (uint8_t)c}), value < 0 ? -1 : 0xf0 + value, "%u", c);
    }
}

Test(hex, pairs_of_digits_and_nothing_else)
{
    static const struct {
        const char *text;
        size_t len;
        bool good;
    } cases[] = {{"", 0, true},      {"00", 1, true},     {"fFeE01", 3, true}, {"0", 0, false},  {"000", 0, false},
                 {"0g", 0, false},   {"g0", 0, false},    {"0x", 0, false},    {" 0", 0, false}, {"00 0", 0, false},
                 {"01:2", 0, false}, {"01020304", 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t octets[3] = {0};
        size_t len = 99;
        cr_expect_eq(hex_read(bytes_of_text(cases[i].text), octets, sizeof octets, &len), cases[i].good, "%s", cases[i].text);
        if (!cases[i].good)
            continue;
        cr_expect_eq(len, cases[i].len);
        char again[8] = "";
        hex_write(bytes_of(octets, len), again);
        cr_expect_eq(strcasecmp(again, cases[i].text), 0);
    }
}
