// SPDX-License-Identifier: GPL-3.0-or-later
/* Every octet as printf writes it. */
#include "codec/hex.h"

#include <criterion/criterion.h>
#include <stdio.h>

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
