// SPDX-License-Identifier: GPL-3.0-or-later
/* What is put is read again, and what no put would have written is refused. */
#include "registry/fields.h"

#include <criterion/criterion.h>

static struct record_field fields[RECORD_FIELDS_MAX];
static char text[RECORD_TEXT_MAX];

static bool any(struct bytes value)
{
    return value.ptr[0] != '!';
}

/* One that turns each octet around, for one label of one thing only. */
static size_t seal(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, const struct secret *secret,
                   char ret[static RECORD_SEALED_MAX])
{
    size_t len = 0;
    if (ctx)
        return 0;
    cr_expect(bytes_equal_text(tenant, "acme") && bytes_equal_text(owner, "d1") && bytes_equal_text(label, "key"));
    memcpy(ret, RECORD_SEALED_PREFIX, len = sizeof RECORD_SEALED_PREFIX - 1);
    for (size_t i = 0; i < secret->len; i++)
        ret[len++] = (char)(secret->octets[i] ^ 1);
    return len;
}

static bool open_it(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, struct bytes sealed,
                    struct secret *ret)
{
    (void)ctx, (void)tenant, (void)owner;
    secret_set(ret, bytes_of(sealed.ptr + 3, sealed.len - 3));
    for (size_t i = 0; i < ret->len; i++)
        ret->octets[i] ^= 1;
    return bytes_equal_text(label, "key");
}

static const struct record_vault vault = {NULL, seal, open_it};
static const struct fields_owner sealed = {&vault, {(const uint8_t *)"acme", 4}, {(const uint8_t *)"d1", 2}};
static const struct fields_owner plain = {NULL, {(const uint8_t *)"acme", 4}, {(const uint8_t *)"d1", 2}};

Test(fields, what_is_put_is_read)
{
    struct fields_writer w = {.fields = fields, .text = text};
    bool flag;
    int64_t number;
    uint8_t octets[4];
    char word[8];
    size_t len;
    fields_put_flag(&w, "yes", true);
    fields_put_flag(&w, "no", false);
    fields_put_number(&w, "number", 999999999999);
    fields_put_text(&w, "word", "seven c");
    fields_put_text(&w, "nothing", "");
    fields_put_hex(&w, "octets", (const uint8_t *)"\0\xff\x10", 3);
    cr_assert_eq(w.count, 5, "what is empty is left out");
    struct fields_reader r = {fields, w.count};
    cr_expect(fields_read_flag(&r, "yes", &flag) && flag);
    cr_expect(fields_read_flag(&r, "no", &flag) && !flag);
    cr_expect(fields_read_flag(&r, "absent", &flag) && !flag);
    cr_expect_not(fields_read_flag(&r, "number", &flag));
    cr_expect(fields_read_number(&r, "number", &number) && number == 999999999999);
    cr_expect(fields_read_number(&r, "absent", &number) && number == 0);
    cr_expect_not(fields_read_number(&r, "word", &number));
    cr_expect(fields_read_text(&r, "word", 7, any, word));
    cr_expect_str_eq(word, "seven c");
    cr_expect_not(fields_read_text(&r, "word", 6, any, word), "it is longer");
    cr_expect(fields_read_text(&r, "nothing", 6, any, word) && word[0] == '\0');
    cr_expect(fields_read_hex(&r, "octets", sizeof octets, octets, &len) && len == 3);
    cr_expect_arr_eq(octets, "\0\xff\x10", 3);
    cr_expect_not(fields_read_hex(&r, "octets", 2, octets, &len));
    cr_expect_eq(fields_find(&r, "octet").len, 0);
}

Test(fields, what_no_put_writes_is_refused)
{
    static const char *const numbers[] = {"-1", "+1", "1000000000000", "1 ", "0x1", "1.0"};
    struct record_field field = {BYTES_LITERAL("x"), {0}};
    struct fields_reader r = {&field, 1};
    int64_t number;
    char word[8];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        field.value = bytes_of_text(numbers[i]);
        cr_expect_not(fields_read_number(&r, "x", &number), "%s", numbers[i]);
    }
    field.value = BYTES_LITERAL("!");
    cr_expect_not(fields_read_text(&r, "x", 7, any, word));
}

Test(fields, secrets_are_wrapped_or_as_an_older_weir_wrote_them)
{
    struct fields_writer w = {.fields = fields, .text = text};
    struct fields_reader r = {fields, 2};
    struct secret secret, found;
    secret_set(&secret, BYTES_LITERAL("0123456789abcdef"));
    cr_assert(fields_put_secret(&w, &sealed, "a", "key", &secret));
    cr_assert(fields_put_secret(&w, &plain, "b", "key", &secret));
    struct bytes a = fields_find(&r, "a"), b = fields_find(&r, "b");
    cr_expect(bytes_starts_with(a, BYTES_LITERAL(RECORD_SEALED_PREFIX)));
    cr_expect_eq(fields_open_secret(&sealed, BYTES_LITERAL("key"), a, &found), FIELDS_SECRET_OPEN);
    cr_expect(secret_equal(&secret, &found));
    cr_expect_eq(fields_open_secret(&sealed, BYTES_LITERAL("other"), a, &found), FIELDS_SECRET_CLOSED);
    cr_expect_eq(fields_open_secret(&plain, BYTES_LITERAL("key"), a, &found), FIELDS_SECRET_CLOSED);
    cr_expect_eq(fields_open_secret(&sealed, BYTES_LITERAL("key"), b, &found), FIELDS_SECRET_OPEN);
    cr_expect(secret_equal(&secret, &found));
    cr_expect_eq(fields_open_secret(&sealed, BYTES_LITERAL("key"), BYTES_LITERAL("no key"), &found), FIELDS_SECRET_BAD);
}

Test(fields, a_vault_that_fails_is_told)
{
    struct record_vault broken = {(void *)text, seal, open_it};
    struct fields_owner owner = {&broken, sealed.tenant, sealed.id};
    struct fields_writer w = {.fields = fields, .text = text};
    struct secret secret;
    secret_set(&secret, BYTES_LITERAL("0123456789abcdef"));
    cr_expect_not(fields_put_secret(&w, &owner, "a", "key", &secret));
    cr_expect_eq(w.count, 0);
}
