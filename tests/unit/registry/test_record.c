// SPDX-License-Identifier: GPL-3.0-or-later
/* Records to fields and back, and everything that must not become a record. */
#include "registry/record.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static struct credential psk_of(const char *id, const char *secret)
{
    struct credential credential = {.kind = CREDENTIAL_PSK, .created_s = 5};
    snprintf(credential.id, sizeof credential.id, "%s", id);
    secret_set(&credential.secret, bytes_of_text(secret));
    return credential;
}

/* As many as one can have, in the order of their ids, as long as they can be. */
static const struct credential *full_credentials(void)
{
    static struct credential all[CREDENTIALS_MAX];
    static char longest[CREDENTIAL_NAME_MAX + 1];
    memset(longest, 'x', CREDENTIAL_NAME_MAX);
    all[0] = psk_of("0123456789ABCDEF0123456789abcdef",
                    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    all[1] = (struct credential){.id = "ca", .kind = CREDENTIAL_CA, .public_len = 64, .name = longest};
    all[2] = (struct credential){.id = "es", .kind = CREDENTIAL_ES256, .public_len = 64, .not_before_s = 7,
                                 .not_after_s = 999999999999};
    all[3] = (struct credential){.id = "frame", .kind = CREDENTIAL_FRAME, .offered = true, .created_s = 9};
    all[4] = (struct credential){.id = "hs", .kind = CREDENTIAL_HS256};
    all[5] = psk_of("psk", "0");
    all[6] = (struct credential){.id = "rpk", .kind = CREDENTIAL_RPK, .public_len = 32};
    all[7] = (struct credential){.id = "x509", .kind = CREDENTIAL_X509, .name = "CN with a blank, S\xc3\xbc" "d"};
    for (size_t i = 0; i < 8; i++)
        if (!credential_is_secret(all[i].kind))
            memset(all[i].public, 0xa0 + (int)i, all[i].public_len);
    secret_set(&all[3].secret, BYTES_LITERAL("0123456789abcdefABCDEFGH"));
    secret_set(&all[4].secret, BYTES_LITERAL("0123456789abcdefABCDEFGH01234567"));
    return all;
}

static struct device_record full_device(void)
{
    struct device_record record = {
        .tenant = "acme",
        .id = "urn:dev:mac:0024befffe804ff1",
        .disabled = true,
        .concentrator = true,
        .prefix = "3303/0",
        .site = "Haus Süd, 2. Stock",
        .tags = "boiler,cellar",
        .role = ROLE_VIEWER,
        .group = "batch-7",
        .serial = "SN 0815",
        .model = "B-7",
        .profile = "old-meters",
        .created_s = 1763692800,
    };
    record.credentials = full_credentials();
    record.credential_count = CREDENTIALS_MAX;
    return record;
}

static bool same_credentials(const struct device_record *a, const struct device_record *b)
{
    for (size_t i = 0; i < a->credential_count && i < b->credential_count; i++)
        if (!credential_equal(&a->credentials[i], &b->credentials[i]))
            return false;
    return a->credential_count == b->credential_count;
}

static struct record_room room;

static bool same_device(const struct device_record *a, const struct device_record *b)
{
    return strcmp(a->tenant, b->tenant) == 0 && strcmp(a->id, b->id) == 0 && a->disabled == b->disabled &&
           a->concentrator == b->concentrator && strcmp(a->prefix, b->prefix) == 0 && strcmp(a->site, b->site) == 0 &&
           strcmp(a->tags, b->tags) == 0 && strcmp(a->profile, b->profile) == 0 && a->created_s == b->created_s &&
           a->role == b->role && strcmp(a->group, b->group) == 0 && strcmp(a->serial, b->serial) == 0 &&
           strcmp(a->model, b->model) == 0 && same_credentials(a, b);
}

static bool device_from(const struct record_field *fields, size_t count, struct device_record *ret)
{
    return record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d1"), fields, count, NULL, &room, ret);
}

Test(record, a_device_comes_back_as_it_was)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct device_record before = full_device(), after = {0};
    size_t count = record_of_device(&before, NULL, fields, scratch);
    cr_assert_eq(count, 11 + CREDENTIALS_MAX);
    cr_assert(record_to_device(bytes_of_text(before.tenant), bytes_of_text(before.id), fields, count, NULL, &room,
                               &after));
    cr_assert(same_device(&before, &after));
}

Test(record, an_empty_device_comes_back_too)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct device_record before = {.tenant = "acme", .id = "d1"}, after = full_device();
    size_t count = record_of_device(&before, NULL, fields, scratch);
    cr_assert(device_from(fields, count, &after));
    cr_assert(same_device(&before, &after));
    cr_assert_eq(after.credential_count, 0);
}

Test(record, field_names_are_those_of_the_schema)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct device_record device = full_device();
    struct tenant_record tenant = {.id = "acme"};
#define X(name) #name,
    static const char *const device_fields[] = {SCHEMA_DEVICE_FIELDS(X)};
    static const char *const tenant_fields[] = {SCHEMA_TENANT_FIELDS(X)};
#undef X
    cr_assert_eq(record_of_device(&device, NULL, fields, scratch), COUNT_OF(device_fields) + CREDENTIALS_MAX);
    for (size_t i = 0; i < COUNT_OF(device_fields); i++)
        cr_expect(bytes_equal_text(fields[i].name, device_fields[i]), "%s", device_fields[i]);
    cr_assert_eq(record_of_tenant(&tenant, fields, scratch), COUNT_OF(tenant_fields));
    for (size_t i = 0; i < COUNT_OF(tenant_fields); i++)
        cr_expect(bytes_equal_text(fields[i].name, tenant_fields[i]), "%s", tenant_fields[i]);
}

/* A token has either salt and digest or an apikey, so two of them have all fields. */
Test(record, token_field_names_are_those_of_the_schema)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX], bearer[256] = "", legacy[256] = "", expected[2][256] = {"", ""};
    struct token_record token = {.role = ROLE_DEVICE, .device = "d1", .label = "hall"};
#define X(name) #name,
    static const char *const names[] = {SCHEMA_TOKEN_FIELDS(X)};
#undef X
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!strcmp(names[i], "sites"))
            continue; /* of people */
        bool of_bearer = !strcmp(names[i], "salt") || !strcmp(names[i], "digest"), of_legacy = !strcmp(names[i], "apikey");
        if (!of_legacy)
            strcat(strcat(expected[0], names[i]), " ");
        if (!of_bearer)
            strcat(strcat(expected[1], names[i]), " ");
    }
    for (size_t i = 0, count = record_of_token(&token, NULL, fields, scratch); i < count; i++)
        strcat(strncat(bearer, (const char *)fields[i].name.ptr, fields[i].name.len), " ");
    secret_set(&token.apikey, BYTES_LITERAL("0123456789abcdef"));
    for (size_t i = 0, count = record_of_token(&token, NULL, fields, scratch); i < count; i++)
        strcat(strncat(legacy, (const char *)fields[i].name.ptr, fields[i].name.len), " ");
    cr_expect_str_eq(bearer, expected[0]);
    cr_expect_str_eq(legacy, expected[1]);
}

/* What version 0.3 wrote (docs/streams.md of then): such a Redis goes on working. */
Test(record, a_device_of_an_older_weir_has_its_credentials)
{
    const struct record_field old[] = {
        {BYTES_LITERAL("disabled"), BYTES_LITERAL("0")},
        {BYTES_LITERAL("concentrator"), BYTES_LITERAL("1")},
        {BYTES_LITERAL("psk"), BYTES_LITERAL("30313233")},
        {BYTES_LITERAL("x509"), BYTES_LITERAL("urn:dev:1")},
        {BYTES_LITERAL("rpk"), BYTES_LITERAL("a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5")},
        {BYTES_LITERAL("frame_key"), BYTES_LITERAL("00112233445566778899aabbccddeeff010203040506")},
        {BYTES_LITERAL("created"), BYTES_LITERAL("1763692800")},
        {BYTES_LITERAL("key:psk"), BYTES_LITERAL("psk 7 0 0 41424344")},
    };
    static const char *const ids[] = {"frame_key", "psk", "rpk", "x509"};
    struct device_record record;
    for (unsigned renewed = 0; renewed < 2; renewed++) {
        cr_assert(device_from(old, COUNT_OF(old) - 1 + renewed, &record));
        cr_assert_eq(record.credential_count, 4);
        for (size_t i = 0; i < 4; i++) {
            cr_expect_str_eq(record.credentials[i].id, ids[i]);
            cr_expect(credential_is_good_at(&record.credentials[i], 1) && !record.credentials[i].offered);
        }
        const struct credential *psk = record_credential(&record, CREDENTIAL_PSK, 1, NULL);
        cr_expect_eq(psk->secret.octets[0], renewed ? 'A' : '0', "what was written anew counts");
        cr_expect_eq(record_credential(&record, CREDENTIAL_RPK, 1, NULL)->public[31], 0xa5);
        cr_expect_str_eq(record_credential(&record, CREDENTIAL_X509, 1, NULL)->name, "urn:dev:1");
        cr_expect_eq(record_credential(&record, CREDENTIAL_FRAME, 1, NULL)->secret.len, 22);
    }
    cr_expect_eq(record.role, ROLE_DEVICE);
    cr_expect(record.concentrator);
}

/* A vault for tests: the place and the digits. */

static char opened_for[256];

static size_t fake_seal(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label,
                        const struct secret *secret, char ret[static RECORD_SEALED_MAX])
{
    bool *works = ctx;
    return *works ? (size_t)snprintf(ret, RECORD_SEALED_MAX, "w1.%.*s|%.*s|%.*s|%.*s", (int)tenant.len, tenant.ptr,
                                     (int)owner.len, owner.ptr, (int)label.len, label.ptr, secret->len, secret->octets)
                  : 0;
}

static bool fake_open(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, struct bytes sealed,
                      struct secret *ret)
{
    (void)ctx;
    int len = snprintf(opened_for, sizeof opened_for, "w1.%.*s|%.*s|%.*s|", (int)tenant.len, tenant.ptr, (int)owner.len,
                       owner.ptr, (int)label.len, label.ptr);
    return bytes_starts_with(sealed, bytes_of(opened_for, (size_t)len)) &&
           secret_set(ret, bytes_of(sealed.ptr + len, sealed.len - (size_t)len));
}

static bool vault_works = true;
static const struct record_vault fake_vault = {&vault_works, fake_seal, fake_open};

Test(record, secrets_are_wrapped_for_their_place)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct credential keys[2] = {psk_of("k1", "first secret"), psk_of("k2", "second secret")};
    struct device_record before = {.tenant = "acme", .id = "d1", .credentials = keys, .credential_count = 2}, after;
    size_t count = record_of_device(&before, &fake_vault, fields, scratch);
    cr_assert_eq(count, 5);
    struct bytes *first = &fields[3].value, *second = &fields[4].value;
    cr_expect(bytes_equal_text(*first, "psk 5 0 0 w1.acme|d1|k1 psk|first secret"));
    cr_assert(record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d1"), fields, count, &fake_vault, &room, &after));
    cr_expect(same_credentials(&before, &after));
    cr_assert(record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d2"), fields, count, &fake_vault, &room, &after));
    cr_expect_eq(after.credential_count, 0, "moved to another device");
    cr_assert(device_from(fields, count, &after));
    cr_expect_eq(after.credential_count, 0, "without a vault");
    struct bytes swapped = *first;
    *first = *second;
    *second = swapped;
    cr_assert(record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d1"), fields, count, &fake_vault, &room, &after));
    cr_expect_eq(after.credential_count, 0, "swapped");
    vault_works = false;
    cr_expect_eq(record_of_device(&before, &fake_vault, fields, scratch), 0);
    vault_works = true;
}

Test(record, two_credentials_do_not_have_one_secret)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct credential keys[2] = {psk_of("k1", "0123456789abcdef0123456789abcdef"),
                                 psk_of("k2", "0123456789abcdef0123456789abcdef")};
    struct device_record record = {.tenant = "acme", .id = "d1", .credentials = keys, .credential_count = 2};
    keys[1].kind = CREDENTIAL_HS256;
    cr_expect_eq(record_of_device(&record, NULL, fields, scratch), 0);
    const struct record_field twice[] = {{BYTES_LITERAL("key:a"), BYTES_LITERAL("psk 0 0 0 0011")},
                                                {BYTES_LITERAL("psk"), BYTES_LITERAL("0011")}};
    cr_expect(device_from(twice, 1, &record));
    cr_expect_not(device_from(twice, 2, &record));
}

Test(record, no_more_credentials_than_there_is_room_for)
{
    struct record_field fields[CREDENTIALS_MAX + 1];
    char names[CREDENTIALS_MAX + 1][8], values[CREDENTIALS_MAX + 1][24];
    struct device_record record;
    for (size_t i = 0; i <= CREDENTIALS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "key:k%zu", i);
        snprintf(values[i], sizeof values[i], "psk 0 0 0 0%zu", i);
        fields[i] = (struct record_field){bytes_of_text(names[i]), bytes_of_text(values[i])};
    }
    cr_expect(device_from(fields, CREDENTIALS_MAX, &record));
    cr_expect_not(device_from(fields, CREDENTIALS_MAX + 1, &record));
}

Test(record, credentials_are_chosen_by_kind_and_time)
{
    struct credential keys[3] = {psk_of("a", "1"), psk_of("b", "2"), psk_of("c", "3")};
    struct device_record record = {.credentials = keys, .credential_count = 3};
    keys[0].not_after_s = 100;
    keys[2].not_before_s = 90;
    const struct credential *first = record_credential(&record, CREDENTIAL_PSK, 95, NULL);
    cr_expect_eq(first, &keys[0]);
    cr_expect_eq(record_credential(&record, CREDENTIAL_PSK, 95, first), &keys[1]);
    cr_expect_eq(record_credential(&record, CREDENTIAL_PSK, 95, &keys[1]), &keys[2]);
    cr_expect_null(record_credential(&record, CREDENTIAL_PSK, 95, &keys[2]));
    cr_expect_eq(record_credential(&record, CREDENTIAL_PSK, 100, NULL), &keys[1]);
    cr_expect_null(record_credential(&record, CREDENTIAL_PSK, 89, &keys[1]));
    cr_expect_null(record_credential(&record, CREDENTIAL_HMAC, 95, NULL));
    cr_expect_eq(record_credential_of_id(&record, BYTES_LITERAL("c")), &keys[2]);
    cr_expect_null(record_credential_of_id(&record, BYTES_LITERAL("d")));
}

Test(record, groups)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct group_record before = {.tenant = "acme", .id = "batch-7", .disabled = true, .pattern = "b7-*",
                                  .site = "north", .tags = "a,b", .profile = "old", .created_s = 7}, after;
    secret_set(&before.key, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
#define X(name) #name,
    static const char *const names[] = {SCHEMA_GROUP_FIELDS(X)};
#undef X
    for (unsigned wrapped = 0; wrapped < 2; wrapped++) {
        const struct record_vault *vault = wrapped ? &fake_vault : NULL;
        size_t count = record_of_group(&before, vault, fields, scratch);
        cr_assert_eq(count, COUNT_OF(names));
        for (size_t i = 0; i < count; i++)
            cr_expect(bytes_equal_text(fields[i].name, names[i]), "%s", names[i]);
        cr_assert(record_to_group(BYTES_LITERAL("acme"), BYTES_LITERAL("batch-7"), fields, count, vault, &after));
        cr_expect(secret_equal(&before.key, &after.key) && after.disabled && after.created_s == 7);
        cr_expect(!strcmp(after.pattern, "b7-*") && !strcmp(after.site, "north") && !strcmp(after.profile, "old"));
        fields[1].value = BYTES_LITERAL("");
        cr_expect_not(record_to_group(BYTES_LITERAL("acme"), BYTES_LITERAL("batch-7"), fields, count, vault, &after));
    }
    const struct record_field weak[] = {{BYTES_LITERAL("pattern"), BYTES_LITERAL("*")},
                                               {BYTES_LITERAL("key"), BYTES_LITERAL("00112233445566778899")}};
    cr_expect_not(record_to_group(BYTES_LITERAL("acme"), BYTES_LITERAL("g"), weak, 2, NULL, &after));
}

Test(record, roles)
{
    for (enum role role = 0; role < ROLES; role++) {
        enum role found = ROLES;
        cr_expect(role_of_name(bytes_of_text(role_name(role)), &found));
        cr_expect_eq(found, role);
    }
    enum role untouched = ROLES;
    cr_expect_not(role_of_name(BYTES_LITERAL("Admin"), &untouched));
    cr_expect_eq(untouched, ROLES);
}

static const struct {
    const char *name, *value;
    bool valid;
} device_values[] = {
    {"disabled", "0", true},
    {"disabled", "1", true},
    {"disabled", "2", false},
    {"disabled", "true", false},
    {"disabled", "01", false},
    {"concentrator", "yes", false},
    {"prefix", "*", true},
    {"prefix", "a/b:c", true},
    {"prefix", "/a", false},
    {"prefix", "**", false},
    {"prefix", "a b", false},
    {"prefix", "a\n", false},
    {"site", "Süd", true},
    {"site", "a\tb", false},
    {"site", "\x7f", false},
    {"site", "\xc2\x85", false},
    {"site", "\xc2\xa0", true},
    {"site", "\xff", false},
    {"site", "0123456789012345678901234567890123456789012345678901234567890123", true},
    {"site", "01234567890123456789012345678901234567890123456789012345678901234", false},
    {"tags", "a,b", true},
    {"tags", "a,,b", false},
    {"tags", ",a", false},
    {"tags", "a,", false},
    {"tags", "a b", false},
    {"tags", "a\x1b", false},
    {"psk", "00", true},
    {"psk", "0", false},
    {"psk", "0x11", false},
    {"psk", "gg", false},
    {"x509", "urn:dev:1", true},
    {"x509", "a\x01", false},
    {"rpk", "00", false},
    {"rpk", "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", true},
    {"rpk", "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5ax", false},
    {"rpk", "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", false},
    {"profile", "old-meters", true},
    {"profile", "Old", false},
    {"profile", "012345678901234567890123456789012", false},
    {"frame_key", "00112233445566778899aabbccddeeff" "0102030405", false},
    {"frame_key", "00112233445566778899aabbccddeeff" "010203040506", true},
    {"frame_key", "00112233445566778899aabbccddeeff" "0102030405060708", true},
    {"frame_key", "00112233445566778899aabbccddeeff" "010203040506070809", false},
    {"frame_key", "x0112233445566778899aabbccddeeff" "0102030405060708", false},
    {"created", "1763692800", true},
    {"role", "operator", true},
    {"role", "root", false},
    {"role", "bootstrap", false},
    {"group", "Batch", false},
    {"serial", "0123456789012345678901234567890123456789012345678", false},
    {"key:k1", "psk 1 2 3 00", true},
    {"key:k1", "psk? 1 2 3 00", true},
    {"key:k1", "psk?? 1 2 3 00", false},
    {"key:k1", "psk 1 2 3", false},
    {"key:k1", "psk 1 2 00", false},
    {"key:k1", "psk 1 2 -3 00", false},
    {"key:k1", "psk 1 2 3 00 ", false},
    {"key:k1", "psk 1 2 3  00", false},
    {"key:k1", "PSK 1 2 3 00", false},
    {"key:k1", "", false},
    {"key:", "psk 1 2 3 00", false},
    {"key:-k", "psk 1 2 3 00", false},
    {"key:k/1", "psk 1 2 3 00", false},
    {"key:123456789012345678901234567890123", "psk 1 2 3 00", false},
    {"key:k1", "psk 1 2 3 w1.AAAA", true}, /* left out: there is no vault */
    {"key:k1", "x509 0 0 0 a name", true},
    {"key:k1", "x509 0 0 0 ", false},
    {"key:k1", "ca 0 0 0 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 name", true},
    {"key:k1", "ca 0 0 0 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", false},
    {"key:k1", "ca? 0 0 0 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
               "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 name", true},
    {"key:k1", "ca 0 0 0 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
               "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5", false},
    {"key:k1", "ca 0 0 0 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
               "a5 name", false},
    {"key:k1", "ca 0 0 0 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
               "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 name", false},
    {"key:k1", "hs256 0 0 0 00112233445566778899aabbccddeeff00112233445566778899aabbccddee", false},
    {"key:k1", "hs256 0 0 0 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", true},
    {"created", "-1", false},
    {"created", "1e9", false},
    {"created", "1234567890123", false},
    {"unheard-of", "\xff\x01", true},
};

Test(record, each_field_of_a_device_is_checked)
{
    for (size_t i = 0; i < COUNT_OF(device_values); i++) {
        struct record_field field = {bytes_of_text(device_values[i].name), bytes_of_text(device_values[i].value)};
        struct device_record record = full_device(), before = full_device();
        bool valid = device_from(&field, 1, &record);
        cr_expect_eq(valid, device_values[i].valid, "%s = %s", device_values[i].name, device_values[i].value);
        cr_expect(valid || same_device(&record, &before), "touched by %s", device_values[i].name);
    }
}

Test(record, ids_are_checked)
{
    struct device_record device;
    struct tenant_record tenant;
    cr_assert_not(record_to_device(BYTES_LITERAL("Acme"), BYTES_LITERAL("d1"), NULL, 0, NULL, &room, &device));
    cr_assert_not(record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d/1"), NULL, 0, NULL, &room, &device));
    cr_assert(record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d1"), NULL, 0, NULL, &room, &device));
    cr_assert_not(record_to_tenant(BYTES_LITERAL("a}"), NULL, 0, &tenant));
    cr_assert(record_to_tenant(BYTES_LITERAL("acme"), NULL, 0, &tenant));
    cr_assert_str_eq(tenant.id, "acme");
}

Test(record, tenants)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    for (uint8_t level = 0; level < RECORD_LEVELS; level++) {
        struct tenant_record before = {.id = "acme", .disabled = true, .level = level, .created_s = 7}, after;
        size_t count = record_of_tenant(&before, fields, scratch);
        cr_assert(record_to_tenant(BYTES_LITERAL("acme"), fields, count, &after));
        cr_assert(after.disabled);
        cr_assert_eq(after.level, level);
        cr_assert_eq(after.created_s, 7);
    }
}

Test(record, a_tenant_without_a_level_has_the_first_and_one_with_another_word_is_not_valid)
{
    static const struct {
        const char *word;
        bool valid;
    } cases[] = {{"", true}, {"spooled", true}, {"Stored", false}, {"stored,spooled", false}, {"1", false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct record_field field = {BYTES_LITERAL("level"), bytes_of_text(cases[i].word)};
        struct tenant_record record = {.level = 99};
        cr_expect_eq(record_to_tenant(BYTES_LITERAL("acme"), &field, 1, &record), cases[i].valid, "%s", cases[i].word);
        cr_expect_eq(record.level, cases[i].valid ? 0 : 99, "%s", cases[i].word);
    }
}

static struct token_record full_token(void)
{
    struct token_record record = {
        .tenant = "acme", .id = "0123456789abcdef", .role = ROLE_DEVICE, .device = "d1", .created_s = 5, .expires_s = 9,
    };
    memset(record.salt, 0x5a, sizeof record.salt);
    memset(record.digest, 0xa5, sizeof record.digest);
    return record;
}

Test(record, tokens)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct token_record before = full_token(), after;
    size_t count = record_of_token(&before, NULL, fields, scratch);
    cr_assert(record_to_token(bytes_of_text(before.tenant), bytes_of_text(before.id), fields, count, NULL, &after));
    cr_assert_str_eq(after.device, "d1");
    cr_assert_eq(after.role, ROLE_DEVICE);
    cr_assert_eq(after.expires_s, 9);
    cr_assert_arr_eq(after.salt, before.salt, sizeof after.salt);
    cr_assert_arr_eq(after.digest, before.digest, sizeof after.digest);
    cr_assert_not(after.revoked);
    for (size_t missing = 0; missing < 4; missing++) { /* role, device, salt, digest */
        struct record_field less[RECORD_FIELDS_MAX];
        memcpy(less, fields, sizeof less);
        less[missing] = (struct record_field){BYTES_LITERAL("x"), BYTES_LITERAL("y")};
        cr_expect_not(record_to_token(BYTES_LITERAL("acme"), BYTES_LITERAL("0123456789abcdef"), less, count, NULL, &after),
                      "without field %zu", missing);
    }
}

Test(record, an_operator_token_has_no_device)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct token_record record = full_token();
    struct bytes id = bytes_of_text("0123456789abcdef");
    record.role = ROLE_OPERATOR;
    size_t count = record_of_token(&record, NULL, fields, scratch);
    cr_assert_not(record_to_token(BYTES_LITERAL("acme"), id, fields, count, NULL, &record));
    record.device[0] = '\0';
    count = record_of_token(&record, NULL, fields, scratch);
    cr_assert(record_to_token(BYTES_LITERAL("acme"), id, fields, count, NULL, &record));
    cr_assert_not(record_to_token(BYTES_LITERAL("acme"), BYTES_LITERAL("0123456789ABCDEF"), fields, count, NULL, &record));
    cr_assert_not(record_to_token(BYTES_LITERAL("acme"), BYTES_LITERAL("0123"), fields, count, NULL, &record));
}

Test(record, only_people_are_limited_to_sites)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct bytes tenant = BYTES_LITERAL("acme"), id = BYTES_LITERAL("0123456789abcdef");
    for (enum role role = 0; role < ROLES; role++) {
        struct token_record before = full_token(), after;
        before.role = role;
        strcpy(before.sites, "Haus 1,Haus 2");
        strcpy(before.label, "Erika");
        if (role != ROLE_DEVICE)
            before.device[0] = '\0';
        size_t count = record_of_token(&before, NULL, fields, scratch);
        cr_expect_eq(record_to_token(tenant, id, fields, count, NULL, &after), role >= ROLE_VIEWER, "%s", role_name(role));
        cr_expect(role < ROLE_VIEWER || (!strcmp(after.sites, before.sites) && !strcmp(after.label, "Erika")));
    }
    cr_expect_not(record_sites_are_valid(BYTES_LITERAL("a,,b")));
    cr_expect_not(record_sites_are_valid(BYTES_LITERAL("a,")));
}

Test(record, an_apikey_is_wrapped_and_a_token_without_it_can_be_revoked)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct token_record before = full_token(), after;
    struct bytes tenant = BYTES_LITERAL("acme"), id = BYTES_LITERAL("0123456789abcdef");
    secret_set(&before.apikey, BYTES_LITERAL("0123456789abcdef0123456789ABCD_-"));
    size_t count = record_of_token(&before, &fake_vault, fields, scratch);
    for (size_t i = 0; i < count; i++)
        cr_expect(!bytes_equal_text(fields[i].value, "0123456789abcdef0123456789ABCD_-"));
    cr_assert(record_to_token(tenant, id, fields, count, &fake_vault, &after));
    cr_expect(secret_equal(&before.apikey, &after.apikey));
    cr_assert(record_to_token(tenant, id, fields, count, NULL, &after));
    cr_expect_not(secret_is_set(&after.apikey));
}

/* Rules and streams. */

static struct rule_record full_rule(void)
{
    struct rule_record rule = {.tenant = "acme", .id = "alarms-north", .order = 4294967295, .device = "boiler-*",
                               .site = "north, 2nd floor", .name = "*:temp*", .class = "tae", .stream = "north",
                               .created_s = 1763692800};
    cr_assert(record_parse_rule_tags(BYTES_LITERAL("site=north 2,floor_2=2nd=upper,empty="), &rule));
    return rule;
}

Test(record, rule_round_trip)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct rule_record before = full_rule(), after = {0};
    size_t count = record_of_rule(&before, fields, scratch);
    cr_assert(record_to_rule(BYTES_LITERAL("acme"), BYTES_LITERAL("alarms-north"), fields, count, &after));
    cr_expect_eq(memcmp(&before, &after, sizeof before), 0);
    cr_expect_eq(after.tag_count, 3);
    cr_expect_str_eq(after.tags[1].value, "2nd=upper");
    cr_expect_str_eq(after.tags[2].value, "");
}

Test(record, the_longest_rule_fits)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct rule_record before = {.tenant = "acme", .id = "r", .tag_count = RECORD_RULE_TAGS_MAX}, after;
    memset(before.device, 'd', RECORD_PATTERN_MAX);
    memset(before.name, 'n', RECORD_PATTERN_MAX);
    for (size_t i = 0; i < RECORD_RULE_TAGS_MAX; i++) {
        memset(before.tags[i].name, 'a' + (int)i, RECORD_TAG_NAME_MAX);
        memset(before.tags[i].value, 'v', RECORD_TAG_VALUE_MAX);
    }
    size_t count = record_of_rule(&before, fields, scratch);
    cr_assert(record_to_rule(BYTES_LITERAL("acme"), BYTES_LITERAL("r"), fields, count, &after));
    cr_expect_eq(memcmp(before.tags, after.tags, sizeof before.tags), 0);
}

Test(record, rules_with_a_wrong_field_are_not_valid)
{
    static const struct {
        const char *name, *value;
    } bad[] = {
        {"order", "-1"},       {"order", "4294967296"}, {"order", "1x"},      {"device", "a b"},
        {"device", "a?"},      {"name", "a{b}"},        {"name", "\xc3\xa4"}, {"site", "a\nb"},
        {"class", "x"},        {"class", "tt"},         {"class", "taect"},   {"stream", "Big"},
        {"stream", "a:b"},     {"stream", "a}b"},       {"stream", "-a"},     {"tags", "a"},
        {"tags", "=v"},        {"tags", "v=1"},         {"tags", "d=1"},      {"tags", "m=1"},
        {"tags", "Ab=1"},      {"tags", "1a=1"},        {"tags", "a-b=1"},    {"tags", "aa=1,aa=2"},
        {"tags", "aa=1,"},     {"tags", ",aa=1"},       {"tags", "aa=1,,bb=2"}, {"tags", "aa=\x01"},
        {"tags", "abcdefghijklmnopq=1"}, {"tags", "aa=1,bb=1,cc=1,dd=1,ee=1,ff=1,gg=1,hh=1,ii=1"},
        {"created", "x"},
    };
    struct rule_record rule;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct record_field field = {bytes_of_text(bad[i].name), bytes_of_text(bad[i].value)};
        cr_expect_not(record_to_rule(BYTES_LITERAL("acme"), BYTES_LITERAL("r"), &field, 1, &rule), "%s=%s",
                      bad[i].name, bad[i].value);
    }
    cr_expect(record_to_rule(BYTES_LITERAL("acme"), BYTES_LITERAL("r"), NULL, 0, &rule), "all conditions empty");
    cr_expect_not(record_to_rule(BYTES_LITERAL("acme"), BYTES_LITERAL("R"), NULL, 0, &rule));
    cr_expect_not(record_to_rule(BYTES_LITERAL("a:b"), BYTES_LITERAL("r"), NULL, 0, &rule));
}

static void stream_comes_back(const char *groups)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct stream_record before = {.tenant = "acme", .name = "obs", .max_age_s = 999999999999, .max_entries = 5,
                                   .created_s = 9}, after;
    strcpy(before.groups, groups);
    size_t count = record_of_stream(&before, fields, scratch);
    cr_assert(record_to_stream(BYTES_LITERAL("acme"), BYTES_LITERAL("obs"), fields, count, &after));
    cr_expect_str_eq(after.groups, groups);
    cr_expect_eq(after.max_age_s, 999999999999);
    cr_expect_eq(after.max_entries, 5);
    cr_expect_eq(after.created_s, 9);
}

Test(record, stream_round_trip)
{
    stream_comes_back("*");
    stream_comes_back("billing,dash-1");
    stream_comes_back("");
}

/* What somebody forgot to write must not make us trim what nobody has read. */
Test(record, a_stream_without_groups_asks_all)
{
    static const char *const bad[] = {"a,,b", "a b", ",", "\x01"};
    struct stream_record stream;
    cr_assert(record_to_stream(BYTES_LITERAL("acme"), BYTES_LITERAL("s"), NULL, 0, &stream));
    cr_expect_str_eq(stream.groups, RECORD_GROUPS_ALL);
    cr_expect_eq(stream.max_age_s, 0);
    cr_expect_eq(stream.max_entries, 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct record_field field = {BYTES_LITERAL("groups"), bytes_of_text(bad[i])};
        cr_expect_not(record_to_stream(BYTES_LITERAL("acme"), BYTES_LITERAL("s"), &field, 1, &stream), "%s", bad[i]);
    }
    cr_expect_not(record_groups_are_valid(BYTES_LITERAL("-")), "that is how Redis has nobody");
}

/* Keys of legacy senders, profiles, codecs. */

Test(record, an_apikey_stands_alone_and_belongs_to_a_device)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct token_record before = full_token(), after;
    struct bytes tenant = BYTES_LITERAL("acme"), id = BYTES_LITERAL("0123456789abcdef");
    secret_set(&before.apikey, BYTES_LITERAL("0123456789abcdef0123456789ABCD_-"));
    size_t count = record_of_token(&before, NULL, fields, scratch);
    cr_assert(record_to_token(tenant, id, fields, count, NULL, &after));
    cr_expect(secret_equal(&before.apikey, &after.apikey));
    cr_expect_eq(after.digest[0], 0);
    fields[count] = (struct record_field){BYTES_LITERAL("salt"), BYTES_LITERAL("5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a")};
    cr_expect_not(record_to_token(tenant, id, fields, count + 1, NULL, &after), "both");
    before.role = ROLE_OPERATOR;
    before.device[0] = '\0';
    count = record_of_token(&before, NULL, fields, scratch);
    cr_expect_not(record_to_token(tenant, id, fields, count, NULL, &after), "an operator");
}

Test(record, apikeys)
{
    char longest[RECORD_APIKEY_MAX + 1];
    memset(longest, 'x', sizeof longest);
    cr_expect(record_apikey_is_valid(BYTES_LITERAL("0123456789abcdef")));
    cr_expect(record_apikey_is_valid(BYTES_LITERAL("ABCXYZ-_abcxyz09")));
    cr_expect(record_apikey_is_valid(bytes_of(longest, RECORD_APIKEY_MAX)));
    cr_expect_not(record_apikey_is_valid(bytes_of(longest, sizeof longest)));
    cr_expect_not(record_apikey_is_valid(BYTES_LITERAL("0123456789abcde")));
    cr_expect_not(record_apikey_is_valid(BYTES_LITERAL("0123456789abcdef=")));
    cr_expect_not(record_apikey_is_valid(BYTES_LITERAL("0123456789 bcdef")));
    cr_expect_not(record_apikey_is_valid(bytes_of(NULL, 0)));
}

Test(record, profiles)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct profile_record before = {.tenant = "acme", .id = "old-meters", .format = "cayenne-lpp", .clock = CLOCK_REFUSE,
                                    .clock_window_s = UINT32_MAX, .cumulative = "energy,pulses=65536",
                                    .created_s = 1763692800}, after;
#define X(name) #name,
    static const char *const names[] = {SCHEMA_PROFILE_FIELDS(X)};
#undef X
    size_t count = record_of_profile(&before, fields, scratch);
    cr_assert_eq(count, COUNT_OF(names));
    for (size_t i = 0; i < count; i++)
        cr_expect(bytes_equal_text(fields[i].name, names[i]), "%s", names[i]);
    cr_assert(record_to_profile(bytes_of_text(before.tenant), bytes_of_text(before.id), fields, count, &after));
    cr_expect_str_eq(after.format, before.format);
    cr_expect_eq(after.clock, CLOCK_REFUSE);
    cr_expect_eq(after.clock_window_s, UINT32_MAX);
    cr_expect_str_eq(after.cumulative, before.cumulative);
    cr_expect_eq(after.created_s, 1763692800);
    cr_assert(record_to_profile(BYTES_LITERAL("acme"), BYTES_LITERAL("p"), NULL, 0, &after));
    cr_expect_eq(after.clock, CLOCK_TRUST);
    cr_expect_eq(after.format[0], '\0');
}

static const struct {
    const char *name, *value;
    bool valid;
} profile_values[] = {
    {"format", "senml-json", true},
    {"format", "SenML", false},
    {"clock", "trust", true},
    {"clock", "correct", true},
    {"clock", "replace", true},
    {"clock", "refuse", true},
    {"clock", "Trust", false},
    {"clock_window_s", "4294967295", true},
    {"clock_window_s", "4294967296", false},
    {"clock_window_s", "-1", false},
    {"cumulative", "a", true},
    {"cumulative", "a,b.c-d_e", true},
    {"cumulative", "a=65536,b=0.5,c=4294967.296", true},
    {"cumulative", "a,a", false},
    {"cumulative", "a=2,b,a=3", false},
    {"cumulative", "a=0", false},
    {"cumulative", "a=0.0", false},
    {"cumulative", "a=", false},
    {"cumulative", "a=1.", false},
    {"cumulative", "a=.1", false},
    {"cumulative", "a=1.2.3", false},
    {"cumulative", "a=012", false},
    {"cumulative", "a=-1", false},
    {"cumulative", "a=1e9", false},
    {"cumulative", "d1:a", false},
    {"cumulative", "x/a", false},
    {"cumulative", ",a", false},
    {"cumulative", "a,", false},
    {"cumulative", "a,,b", false},
    {"cumulative", "a b", false},
    {"created", "x", false},
    {"unheard-of", "\xff", true},
};

Test(record, each_field_of_a_profile_is_checked)
{
    for (size_t i = 0; i < COUNT_OF(profile_values); i++) {
        struct record_field field = {bytes_of_text(profile_values[i].name), bytes_of_text(profile_values[i].value)};
        struct profile_record record;
        bool valid = record_to_profile(BYTES_LITERAL("acme"), BYTES_LITERAL("p"), &field, 1, &record);
        cr_expect_eq(valid, profile_values[i].valid, "%s = %s", profile_values[i].name, profile_values[i].value);
    }
}

Test(record, a_long_list_of_counters)
{
    char text[RECORD_CUMULATIVE_MAX + 2];
    memset(text, 'a', sizeof text);
    for (size_t i = 8; i < sizeof text; i += 9)
        text[i] = ',';
    for (size_t i = 0; i < sizeof text; i += 9)
        text[i] = (char)((i / 9 < 26 ? 'A' : 'a' - 26) + i / 9);
    cr_expect(record_cumulative_is_valid(bytes_of(text, RECORD_CUMULATIVE_MAX)));
    cr_expect_not(record_cumulative_is_valid(bytes_of(text, sizeof text)));
}

Test(record, codecs)
{
    static char definition[RECORD_DEFINITION_MAX + 1];
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct bytes tenant = BYTES_LITERAL("acme"), id = BYTES_LITERAL("acme-th");
    struct codec_record before = {.tenant = "acme", .id = "acme-th", .quarantined = true, .reason = "it gave nonsense",
                                  .witnesses = "th-1,@c0000207",
                                  .definition = bytes_of(definition, RECORD_DEFINITION_MAX), .created_s = 7}, after;
#define X(name) #name,
    static const char *const names[] = {SCHEMA_CODEC_FIELDS(X)};
#undef X
    memset(definition, ' ', sizeof definition);
    size_t count = record_of_codec(&before, fields, scratch);
    cr_assert_eq(count, COUNT_OF(names));
    for (size_t i = 0; i < count; i++)
        cr_expect(bytes_equal_text(fields[i].name, names[i]), "%s", names[i]);
    cr_assert(record_to_codec(tenant, id, fields, count, &after));
    cr_expect(bytes_equal(after.definition, before.definition));
    cr_expect(after.quarantined);
    cr_expect_str_eq(after.reason, before.reason);
    cr_expect_str_eq(after.witnesses, before.witnesses);
    struct bytes rest = bytes_of_text(after.witnesses), witness;
    cr_expect(record_next_witness(&rest, &witness) && bytes_equal_text(witness, "th-1"));
    cr_expect(record_next_witness(&rest, &witness) && bytes_equal_text(witness, "@c0000207"));
    cr_expect_not(record_next_witness(&rest, &witness));
    fields[0].value.len++;
    cr_expect_not(record_to_codec(tenant, id, fields, count, &after), "too long");
    fields[0].value.len = 0;
    cr_expect_not(record_to_codec(tenant, id, fields, count, &after), "empty");
    cr_expect_not(record_to_codec(tenant, BYTES_LITERAL("Acme"), fields, count, &after));
}
