// SPDX-License-Identifier: GPL-3.0-or-later
/* What is wrapped opens in its own place only, and the file of the key is made once and kept from others. */
#include "gateway/vault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define T BYTES_LITERAL("acme")
#define D BYTES_LITERAL("d1")
#define L BYTES_LITERAL("k1 psk")

static char folder[64], path[80], error[VAULT_ERROR_MAX];

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/weir-vault-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/kek", folder);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

TestSuite(vault, .init = setup, .fini = teardown);

static struct vault *make(void)
{
    struct vault *vault = vault_new(path, true, error);
    cr_assert_not_null(vault, "%s", error);
    return vault;
}

static void write_file(const char *text, size_t len, mode_t mode)
{
    FILE *file = fopen(path, "w");
    cr_assert_eq(fwrite(text, 1, len, file), len);
    fclose(file);
    chmod(path, mode);
}

static struct bytes seal(const struct vault *vault, const char *secret, char ret[static RECORD_SEALED_MAX])
{
    const struct record_vault *functions = vault_of_records(vault);
    struct secret plain;
    secret_set(&plain, bytes_of_text(secret));
    return bytes_of(ret, functions->seal(functions->ctx, T, D, L, &plain, ret));
}

static bool opens(const struct vault *vault, struct bytes tenant, struct bytes owner, struct bytes label,
                  struct bytes sealed, struct secret *ret)
{
    const struct record_vault *functions = vault_of_records(vault);
    return functions->open(functions->ctx, tenant, owner, label, sealed, ret);
}

Test(vault, opens_what_it_sealed)
{
    char text[RECORD_SEALED_MAX], other[RECORD_SEALED_MAX], longest[SECRET_MAX + 1];
    struct secret secret;
    memset(longest, 'x', SECRET_MAX);
    longest[SECRET_MAX] = '\0';
    struct vault *vault = make();
    const char *const secrets[] = {"1", "0123456789abcdef", longest};
    for (size_t i = 0; i < 3; i++) {
        struct bytes sealed = seal(vault, secrets[i], text);
        cr_assert(sealed.len > 0 && vault_is_sealed(sealed));
        cr_expect(i == 0 || !memmem(text, sealed.len, secrets[i], strlen(secrets[i])));
        cr_expect(opens(vault, T, D, L, sealed, &secret));
        cr_expect(bytes_equal_text(bytes_of(secret.octets, secret.len), secrets[i]));
        struct bytes again = seal(vault, secrets[i], other);
        cr_expect_not(bytes_equal(sealed, again), "a nonce of its own each time");
    }
    cr_expect_eq(vault_failures(vault), 0);
    vault_free(vault);
}

Test(vault, a_text_opens_in_its_place_only)
{
    char text[RECORD_SEALED_MAX];
    struct secret secret = {.len = 7};
    struct vault *vault = make();
    struct bytes sealed = seal(vault, "0123456789abcdef", text);
    cr_expect_not(opens(vault, BYTES_LITERAL("acm"), BYTES_LITERAL("ed1"), L, sealed, &secret));
    cr_expect_not(opens(vault, T, BYTES_LITERAL("d2"), L, sealed, &secret));
    cr_expect_not(opens(vault, T, D, BYTES_LITERAL("k2 psk"), sealed, &secret));
    cr_expect_not(opens(vault, T, D, BYTES_LITERAL("k1 hs256"), sealed, &secret));
    cr_expect_eq(secret.len, 7, "untouched");
    cr_expect_eq(vault_failures(vault), 4);
    for (size_t i = 0; i < sealed.len; i++) {
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        cr_expect_not(opens(vault, T, D, L, sealed, &secret), "octet %zu", i);
        text[i] = kept;
    }
    for (size_t len = 0; len < sealed.len; len++)
        cr_expect_not(opens(vault, T, D, L, bytes_of(text, len), &secret), "cut to %zu", len);
    vault_free(vault);
}

Test(vault, the_key_is_made_once_and_is_its_owners)
{
    char text[RECORD_SEALED_MAX];
    uint8_t first[VAULT_ID_BYTES], second[VAULT_ID_BYTES];
    struct secret secret;
    struct stat found;
    cr_expect_null(vault_new(path, false, error));
    cr_expect_neq(error[0], '\0');
    struct vault *vault = make();
    struct bytes sealed = seal(vault, "0123456789abcdef", text);
    cr_expect_eq(stat(path, &found), 0);
    cr_expect_eq(found.st_mode & 0777, 0600);
    cr_expect_eq(found.st_size, 32);
    vault_id(vault, 0, first);
    vault_free(vault);
    vault = make();
    vault_id(vault, 0, second);
    cr_expect_arr_eq(first, second, sizeof first);
    cr_expect(opens(vault, T, D, L, sealed, &secret));
    vault_free(vault);
    unlink(path);
    vault = make();
    vault_id(vault, 0, second);
    cr_expect_neq(memcmp(first, second, sizeof first), 0);
    cr_expect_not(opens(vault, T, D, L, sealed, &secret), "another key");
    vault_free(vault);
}

Test(vault, a_file_that_others_may_read_or_that_is_no_key_is_refused)
{
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";
    static const struct {
        size_t len;
        mode_t mode;
        bool good;
    } cases[] = {{65, 0600, true}, {64, 0400, true}, {65, 0640, false}, {65, 0604, false},
                 {63, 0600, false}, {0, 0600, false}, {32, 0600, true}, {33, 0600, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(hex, cases[i].len, cases[i].mode);
        struct vault *vault = vault_new(path, true, error);
        cr_expect_eq(vault != NULL, cases[i].good, "case %zu: %s", i, error);
        vault_free(vault);
        unlink(path);
    }
    write_file("x00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", 64, 0600);
    cr_expect_null(vault_new(path, true, error));
}

Test(vault, the_two_forms_of_a_key_are_one_key)
{
    uint8_t raw[32], a[VAULT_ID_BYTES], b[VAULT_ID_BYTES];
    for (unsigned i = 0; i < 32; i++)
        raw[i] = (uint8_t)i;
    write_file((const char *)raw, 32, 0600);
    struct vault *vault = make();
    vault_id(vault, 0, a);
    vault_free(vault);
    write_file("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n", 66, 0600);
    vault = make();
    vault_id(vault, 0, b);
    vault_free(vault);
    cr_expect_arr_eq(a, b, sizeof a);
}

Test(vault, where_the_key_is)
{
    char where[VAULT_PATH_MAX];
    vault_path("", "state", where);
    cr_expect_str_eq(where, "state/kek");
    vault_path("/etc/weir/kek", "state", where);
    cr_expect_str_eq(where, "/etc/weir/kek");
}

/* Several keys in one file: the first wraps, all open. */

static struct vault *open_lines(const char *text)
{
    write_file(text, strlen(text), 0600);
    return vault_new(path, false, error);
}

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define KEY_B "f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

static size_t key_of(const struct vault *vault, struct bytes sealed)
{
    struct secret secret = {.len = 7};
    size_t key = vault_open(vault, T, D, L, sealed, &secret);
    cr_expect_eq(secret.len, key == VAULT_KEYS_MAX ? 7 : 16, "untouched, or the secret");
    return key;
}

Test(vault, the_first_line_wraps_and_all_open)
{
    char by_a[RECORD_SEALED_MAX], by_b[RECORD_SEALED_MAX];
    struct secret secret;
    struct vault *a = open_lines(KEY_A), *b = open_lines(KEY_B), *both = open_lines(KEY_B "\r\n" KEY_A);
    cr_assert(a && b && both);
    cr_expect_eq(vault_key_count(both), 2);
    struct bytes sealed_a = seal(a, "0123456789abcdef", by_a), sealed_b = seal(both, "0123456789abcdef", by_b);
    cr_expect_eq(key_of(b, sealed_b), 0);
    cr_expect_eq(key_of(a, sealed_b), VAULT_KEYS_MAX);
    cr_expect_eq(key_of(both, sealed_a), 1);
    cr_expect_eq(key_of(both, sealed_b), 0);
    cr_expect_eq(vault_failures(a), 0, "counted for records only");
    cr_expect(opens(both, T, D, L, sealed_a, &secret));
    cr_expect_not(opens(both, T, BYTES_LITERAL("d2"), L, sealed_a, &secret));
    vault_free(a);
    vault_free(b);
    vault_free(both);
}

Test(vault, as_many_keys_as_there_may_be)
{
    struct vault *vault = open_lines(KEY_A KEY_B KEY_A KEY_B);
    cr_assert_not_null(vault, "%s", error);
    cr_expect_eq(vault_key_count(vault), VAULT_KEYS_MAX);
    cr_expect_not(vault_make_key(vault));
    vault_free(vault);
    cr_expect_null(open_lines(KEY_A KEY_B KEY_A KEY_B KEY_A));
    cr_expect_null(open_lines(KEY_A "0011\n"));
    cr_expect_null(open_lines(KEY_A "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"));
    cr_expect_null(open_lines("\n"));
}

Test(vault, a_file_that_is_saved_has_the_keys_in_their_order)
{
    char text[RECORD_SEALED_MAX], later[RECORD_SEALED_MAX];
    uint8_t id[2][VAULT_ID_BYTES], found[VAULT_ID_BYTES];
    struct vault *vault = make();
    struct bytes old = seal(vault, "0123456789abcdef", text);
    cr_assert(vault_make_key(vault));
    vault_id(vault, 0, id[0]);
    vault_id(vault, 1, id[1]);
    cr_expect_neq(memcmp(id[0], id[1], sizeof id[0]), 0);
    cr_expect(vault_save(vault, path, (const size_t[]){1, 0}, 2, error), "%s", error);
    vault_free(vault);
    vault = vault_new(path, false, error);
    cr_assert_not_null(vault, "%s", error);
    vault_id(vault, 0, found);
    cr_expect_arr_eq(found, id[1], sizeof found);
    cr_expect_eq(key_of(vault, old), 1);
    struct bytes fresh = seal(vault, "0123456789abcdef", later);
    cr_expect(vault_save(vault, path, (const size_t[]){0}, 1, error), "%s", error);
    vault_free(vault);
    vault = vault_new(path, false, error);
    cr_assert_not_null(vault, "%s", error);
    cr_expect_eq(key_of(vault, old), VAULT_KEYS_MAX);
    cr_expect_eq(key_of(vault, fresh), 0);
    cr_expect_not(vault_save(vault, "/nowhere/kek", (const size_t[]){0}, 1, error));
    vault_free(vault);
}
