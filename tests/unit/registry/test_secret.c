// SPDX-License-Identifier: GPL-3.0-or-later
/* Secrets: hexadecimal in, equal or not, gone. */
#include "registry/secret.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(secret, takes_hexadecimal_of_both_cases)
{
    static const uint8_t expected[] = {0x00, 0x1f, 0xab, 0xcd, 0xef, 0x90};
    struct secret secret = {0};
    cr_assert(secret_set_hex(&secret, BYTES_LITERAL("001FabCDef90")));
    cr_assert_eq(secret.len, sizeof expected);
    cr_assert_arr_eq(secret.octets, expected, sizeof expected);
}

Test(secret, every_octet_survives)
{
    for (unsigned i = 0; i < 256; i++) {
        char hex[3];
        struct secret secret;
        snprintf(hex, sizeof hex, "%02x", i);
        cr_assert(secret_set_hex(&secret, bytes_of_text(hex)));
        cr_assert_eq(secret.octets[0], i);
    }
}

Test(secret, takes_only_digits)
{
    for (unsigned c = 0; c < 256; c++) {
        uint8_t hex[] = {'0', (uint8_t)c};
        bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        struct secret secret = {.octets = {42}, .len = 1};
        cr_assert_eq(secret_set_hex(&secret, bytes_of(hex, 2)), is_digit, "character %u", c);
        cr_assert(is_digit || secret.octets[0] == 42, "touched by character %u", c);
    }
}

Test(secret, length_is_bounded)
{
    uint8_t octets[SECRET_MAX + 1] = {1};
    char hex[2 * SECRET_MAX + 3];
    struct secret secret = {.octets = {42}, .len = 1};
    memset(hex, '7', sizeof hex);
    cr_assert_not(secret_set(&secret, bytes_of(octets, SECRET_MAX + 1)));
    cr_assert_not(secret_set_hex(&secret, bytes_of(hex, 2 * SECRET_MAX + 2)));
    cr_assert_not(secret_set_hex(&secret, bytes_of(hex, 3)));
    cr_assert_not(secret_set_hex(&secret, bytes_of(hex, 0)));
    cr_assert_eq(secret.octets[0], 42);
    cr_assert(secret_set(&secret, bytes_of(octets, SECRET_MAX)));
    cr_assert(secret_set_hex(&secret, bytes_of(hex, 2 * SECRET_MAX)));
    cr_assert_eq(secret.len, SECRET_MAX);
}

Test(secret, equality)
{
    struct secret a = {0}, b = {0};
    cr_assert(secret_equal(&a, &b));
    secret_set(&a, BYTES_LITERAL("0123456789abcdef"));
    cr_assert_not(secret_equal(&a, &b));
    for (size_t i = 0; i < 16; i++) {
        secret_set(&b, BYTES_LITERAL("0123456789abcdef"));
        cr_assert(secret_equal(&a, &b));
        b.octets[i] ^= 0x80;
        cr_assert_not(secret_equal(&a, &b));
    }
    secret_set(&b, BYTES_LITERAL("0123456789abcde"));
    cr_assert_not(secret_equal(&a, &b));
    cr_assert(secret_bytes_equal(a.octets, a.octets, 0));
}

Test(secret, a_shorter_secret_leaves_nothing_of_the_longer)
{
    struct secret secret = {0};
    secret_set(&secret, BYTES_LITERAL("long secret"));
    secret_set(&secret, BYTES_LITERAL("x"));
    for (size_t i = 1; i < SECRET_MAX; i++)
        cr_assert_eq(secret.octets[i], 0);
    cr_assert(secret_is_set(&secret));
    secret_wipe(&secret);
    cr_assert_not(secret_is_set(&secret));
    cr_assert_eq(secret.octets[0], 0);
}
