// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * SipHash-1-3 against values that CPython 3.11 computed: hash() of bytes with PYTHONHASHSEED=0 (key 0) and
 * =42.
 */
#include "codec/hash.h"

#include <criterion/criterion.h>

struct vector {
    const char *text;
    uint64_t hash;
};

Test(hash, agrees_with_another_implementation)
{
    static const struct vector zero_key[] = {
        {"a", 0x407448d2b89b1813},
        {"ab", 0x555508cbc6add439},
        {"abcdefg", 0x6db12aae9070f506},
        {"abcdefgh", 0x3f7b849c0b8e35ea},
        {"temperature", 0x61b4e626d04540f2},
        {"abcdefghijklmnopqrstuvwxyz0123456789", 0xfe9ee02c60cec362},
    };
    static const struct vector other_key[] = {
        {"a", 0xfe4a47335692551e},
        {"urn:dev:ow:10e2073a01080063", 0xa987136ff2a28d5a},
    };
    struct hash_key zero = {0, 0};
    struct hash_key other = {0xdc504fd368cd90af, 0xb920bb9ffe99e9c1};
    for (size_t i = 0; i < sizeof(zero_key) / sizeof(zero_key[0]); i++)
        cr_assert_eq(hash_bytes(&zero, bytes_of_text(zero_key[i].text)), zero_key[i].hash, "%s", zero_key[i].text);
    for (size_t i = 0; i < sizeof(other_key) / sizeof(other_key[0]); i++)
        cr_assert_eq(hash_bytes(&other, bytes_of_text(other_key[i].text)), other_key[i].hash);
}

Test(hash, pairs_keep_their_border)
{
    struct hash_key key = {1, 2};
    uint64_t one = hash_pair(&key, BYTES_LITERAL("ab"), BYTES_LITERAL("c"));
    cr_assert_neq(one, hash_pair(&key, BYTES_LITERAL("a"), BYTES_LITERAL("bc")));
    cr_assert_neq(one, hash_pair(&key, BYTES_LITERAL("c"), BYTES_LITERAL("ab")));
    cr_assert_neq(one, hash_pair(&key, BYTES_LITERAL("abc"), bytes_of(NULL, 0)));
    cr_assert_eq(one, hash_pair(&key, BYTES_LITERAL("ab"), BYTES_LITERAL("c")));
    cr_assert_neq(one, hash_pair(&(struct hash_key){2, 2}, BYTES_LITERAL("ab"), BYTES_LITERAL("c")));
}

Test(hash, any_number_of_runs)
{
    struct hash_key key = {1, 2};
    const struct bytes runs[] = {BYTES_LITERAL("ab"), BYTES_LITERAL("c"), BYTES_LITERAL("de")};
    const struct bytes moved[] = {BYTES_LITERAL("ab"), BYTES_LITERAL("cd"), BYTES_LITERAL("e")};
    const struct bytes turned[] = {BYTES_LITERAL("de"), BYTES_LITERAL("c"), BYTES_LITERAL("ab")};
    cr_assert_eq(hash_parts(&key, runs, 1), hash_bytes(&key, runs[0]));
    cr_assert_eq(hash_parts(&key, runs, 2), hash_pair(&key, runs[0], runs[1]));
    cr_assert_neq(hash_parts(&key, runs, 3), hash_parts(&key, moved, 3));
    cr_assert_neq(hash_parts(&key, runs, 3), hash_parts(&key, turned, 3));
    cr_assert_neq(hash_parts(&key, runs, 3), hash_parts(&key, runs, 2));
}
