// SPDX-License-Identifier: GPL-3.0-or-later
/* Every kind of record that has secrets gets them under the new key, and nothing else of it changes. */
#include "gateway/rewrap.h"
#include "gateway/accounts.h"
#include "tests/unit/gateway/redis_tap.h"

#include <sys/stat.h>

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define KEY_B "f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define KEY_C "e00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define T BYTES_LITERAL("acme")
#define SECRETS 7 /* that add_everything wraps */

static struct redis_fixture redis;
static struct store_client *client;
static struct accounts accounts;
static struct vault *vault;

static void setup(void)
{
    redis_start(&redis);
    client = redis_client(&redis);
    accounts = (struct accounts){.client = client};
}

static void teardown(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/kek", redis.folder);
    unlink(path);
    vault_free(vault);
    store_client_close(client);
    redis_remove(&redis);
}

TestSuite(rewrap, .init = setup, .fini = teardown);

static void use(const char *keys)
{
    char path[128], error[VAULT_ERROR_MAX];
    snprintf(path, sizeof path, "%s/kek", redis.folder);
    FILE *file = fopen(path, "w");
    fputs(keys, file);
    fclose(file);
    chmod(path, 0600);
    vault_free(vault);
    vault = vault_new(path, false, error);
    cr_assert_not_null(vault, "%s", error);
    accounts.vault = vault_of_records(vault);
}

static void add_device(const char *id)
{
    struct credential keys[] = {
        {.id = "psk", .kind = CREDENTIAL_PSK, .created_s = 3},
        {.id = "crate-mac", .kind = CREDENTIAL_HS256, .created_s = 4, .not_after_s = 4000000000, .offered = true},
        {.id = "name", .kind = CREDENTIAL_X509, .name = id, .created_s = 5},
    };
    struct device_record record = {
        .tenant = "acme", .created_s = 6, .site = "hall", .credentials = keys, .credential_count = COUNT_OF(keys)};
    snprintf(record.id, sizeof record.id, "%s", id);
    snprintf(keys[1].id, sizeof keys[1].id, "%s-mac", id);
    secret_set(&keys[0].secret, BYTES_LITERAL("0123456789abcdef"));
    secret_set(&keys[1].secret, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
}

static void add_everything(void)
{
    struct tenant_record tenant = {.id = "acme", .created_s = 5};
    struct token_record token = {.tenant = "acme", .id = "0123456789abcdef", .role = ROLE_DEVICE, .device = "d1", .created_s = 6};
    struct group_record group = {.tenant = "acme", .id = "crate", .pattern = "crate-*", .created_s = 6};
    struct batch_record batch = {.tenant = "acme", .id = "boxes", .pattern = "*", .created_s = 6};
    struct ca_record ca = {.tenant = "acme", .id = "ca1", .certificate_len = 300, .created_s = 6, .not_after_s = 4000000000};
    secret_set(&token.apikey, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
    secret_set(&group.key, BYTES_LITERAL("group key group key group key 32"));
    secret_set(&batch.secret, BYTES_LITERAL("0123456789abcdef"));
    secret_set(&batch.claim, BYTES_LITERAL("CLAIM-ME"));
    secret_set(&ca.key, BYTES_LITERAL("ca key ca key ca key ca key ca k"));
    cr_assert_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_DONE);
    add_device("d1");
    cr_assert_eq(accounts_add_token(&accounts, &token), ACCOUNTS_DONE);
    cr_assert_eq(accounts_add_group(&accounts, &group, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_add_batch(&accounts, &batch, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_add_ca(&accounts, &ca), ACCOUNTS_DONE);
}

static struct rewrap_counts rewrap(bool writes)
{
    struct rewrap_counts counts = {.damaged = 0};
    cr_assert_eq(rewrap_tenant(&accounts, vault, T, writes, &counts), ACCOUNTS_DONE, "%s", accounts.error);
    return counts;
}

/* All fields of all records, without the texts of secrets, in one number. */
static uint64_t sum_of_the_rest(void)
{
    static const char *const keys[] = {"weir:{acme}:dev:d1", "weir:{acme}:tok:0123456789abcdef", "weir:{acme}:group:crate",
                                       "weir:{acme}:batch:boxes", "weir:{acme}:ca:ca1"};
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct bytes arguments[] = {BYTES_LITERAL("HGETALL"), bytes_of_text(keys[i])};
        const struct store_reply *reply = store_client_call(client, arguments, 2);
        cr_assert(reply && reply->type == STORE_LIST && reply->count > 4, "%s", keys[i]);
        for (size_t j = 0; j < reply->count; j++) {
            struct bytes text = reply->items[j].text;
            const char *sealed = memmem(text.ptr, text.len, "w1.", 3);
            size_t len = sealed ? (size_t)(sealed - (const char *)text.ptr) : text.len;
            uint64_t hash = 14695981039346656037u;
            for (size_t k = 0; k < len; k++)
                hash = (hash ^ text.ptr[k]) * 1099511628211u;
            sum += hash * (j % 2 ? 3 : 1);
        }
    }
    return sum;
}

Test(rewrap, all_that_is_secret_goes_under_the_first_key)
{
    use(KEY_A);
    add_everything();
    uint64_t rest = sum_of_the_rest();
    use(KEY_B KEY_A);
    struct rewrap_counts counts = rewrap(false);
    cr_expect_eq(counts.by_key[0], 0);
    cr_expect_eq(counts.by_key[1], SECRETS, "%zu", counts.by_key[1]);
    cr_expect_eq(counts.rewrapped, 0);
    counts = rewrap(true);
    cr_expect_eq(counts.by_key[0], SECRETS);
    cr_expect_eq(counts.by_key[1], 0);
    cr_expect_eq(counts.rewrapped, SECRETS);
    cr_expect_eq(counts.damaged + counts.not_opened, 0);
    cr_expect_eq(rewrap(true).rewrapped, 0, "again, and there is nothing to do");
    cr_expect_eq(sum_of_the_rest(), rest);
    use(KEY_B);
    counts = rewrap(false);
    cr_expect_eq(counts.by_key[0], SECRETS);
    cr_expect_eq(counts.not_opened, 0);
}

Test(rewrap, the_secrets_are_what_they_were)
{
    struct device_record device;
    struct record_room room;
    struct token_record token;
    struct group_record group;
    struct batch_record batch;
    struct ca_record ca;
    use(KEY_A);
    add_everything();
    use(KEY_B KEY_A);
    rewrap(true);
    use(KEY_B);
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("d1"), &room, &device), ACCOUNTS_DONE);
    cr_assert_eq(device.credential_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct credential *key = &device.credentials[i];
        if (key->kind == CREDENTIAL_PSK)
            cr_expect(bytes_equal_text(bytes_of(key->secret.octets, key->secret.len), "0123456789abcdef"));
        if (key->kind == CREDENTIAL_HS256)
            cr_expect(key->offered && key->not_after_s == 4000000000 && key->secret.len == 32);
    }
    cr_assert_eq(accounts_get_token_of(&accounts, T, BYTES_LITERAL("0123456789abcdef"), &token), ACCOUNTS_DONE);
    cr_expect(bytes_equal_text(bytes_of(token.apikey.octets, token.apikey.len), "0123456789abcdef0123456789abcdef"));
    cr_assert_eq(accounts_get_group(&accounts, T, BYTES_LITERAL("crate"), &group), ACCOUNTS_DONE);
    cr_expect(bytes_equal_text(bytes_of(group.key.octets, group.key.len), "group key group key group key 32"));
    cr_assert_eq(accounts_get_batch(&accounts, T, BYTES_LITERAL("boxes"), &batch), ACCOUNTS_DONE);
    cr_expect(bytes_equal_text(bytes_of(batch.claim.octets, batch.claim.len), "CLAIM-ME"));
    cr_assert_eq(accounts_get_ca(&accounts, T, BYTES_LITERAL("ca1"), &ca), ACCOUNTS_DONE);
    cr_expect(bytes_equal_text(bytes_of(ca.key.octets, ca.key.len), "ca key ca key ca key ca key ca k"));
}

Test(rewrap, what_no_key_opens_and_what_is_damaged_stays)
{
    struct bytes break_it[] = {BYTES_LITERAL("HSET"), BYTES_LITERAL("weir:{acme}:dev:d2"), BYTES_LITERAL("disabled"),
                               BYTES_LITERAL("perhaps")};
    use(KEY_C);
    add_everything();
    use(KEY_A);
    add_device("d2");
    add_device("d3");
    cr_assert_not_null(store_client_call(client, break_it, 4));
    use(KEY_B KEY_A);
    struct rewrap_counts counts = rewrap(true);
    cr_expect_eq(counts.not_opened, SECRETS, "%zu", counts.not_opened);
    cr_expect_eq(counts.damaged, 1);
    cr_expect_eq(counts.by_key[0], 2);
    cr_expect_eq(counts.rewrapped, 2);
    use(KEY_C);
    counts = rewrap(false);
    cr_expect_eq(counts.by_key[0], SECRETS);
    cr_expect_eq(counts.not_opened, 2);
}

Test(rewrap, it_is_in_the_audit_when_it_changed_something)
{
    struct audit_entry entries[4];
    size_t count;
    struct audit_actor actor = {.who = "cli:me"};
    accounts.actor = &actor;
    use(KEY_A);
    add_everything();
    use(KEY_B KEY_A);
    rewrap(true);
    cr_assert_eq(accounts_read_audit(&accounts, T, (struct bytes){0}, entries, 4, &count), ACCOUNTS_DONE);
    cr_expect_str_eq(entries[0].action, "rewrap");
    cr_expect_str_eq(entries[0].who, "cli:me");
    rewrap(true);
    cr_assert_eq(accounts_read_audit(&accounts, T, (struct bytes){0}, entries, 4, &count), ACCOUNTS_DONE);
    cr_expect_str_neq(entries[1].action, "rewrap");
}

Test(rewrap, a_tenant_that_is_none)
{
    struct rewrap_counts counts = {.damaged = 0};
    use(KEY_A);
    cr_expect_eq(rewrap_tenant(&accounts, vault, BYTES_LITERAL("nobody"), true, &counts), ACCOUNTS_NO_TENANT);
}

static void change_site(void)
{
    struct record_field field = {BYTES_LITERAL("site"), BYTES_LITERAL("cellar")};
    cr_assert_eq(accounts_set_device_fields(&other, T, BYTES_LITERAL("d1"), &field, 1), ACCOUNTS_DONE);
}

static void change_key(void)
{
    struct credential key = {.id = "psk", .kind = CREDENTIAL_PSK, .created_s = 7};
    secret_set(&key.secret, BYTES_LITERAL("fedcba9876543210"));
    other.vault = accounts.vault;
    cr_assert_eq(accounts_put_credential(&other, T, BYTES_LITERAL("d1"), &key, true), ACCOUNTS_DONE);
}

/* WATCH, EXEC: what comes between them. */
static void rewrap_against(const char *command, unsigned at, void (*meddle)(void), enum accounts_result expected)
{
    struct rewrap_counts counts = {.damaged = 0};
    tap_open(&redis, "", at, meddle);
    tap.command = command;
    cr_expect_eq(rewrap_tenant(&tapped, vault, T, true, &counts), expected);
    cr_expect_eq(counts.rewrapped, expected == ACCOUNTS_DONE ? SECRETS : 0, "%zu", counts.rewrapped);
    tap_close();
}

Test(rewrap, who_changes_a_record_meanwhile_has_changed_it)
{
    struct device_record device;
    struct record_room room;
    use(KEY_A);
    add_everything();
    use(KEY_B KEY_A);
    rewrap_against("EXEC", 1, change_site, ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("d1"), &room, &device), ACCOUNTS_DONE);
    cr_expect_str_eq(device.site, "cellar");
    cr_expect_eq(device.credential_count, 3);
}

Test(rewrap, a_key_that_was_replaced_meanwhile_is_the_new_one)
{
    struct device_record device;
    struct record_room room;
    struct rewrap_counts counts = {.damaged = 0};
    use(KEY_A);
    add_everything();
    use(KEY_B KEY_A);
    tap_open(&redis, "", 1, change_key);
    tap.command = "EXEC";
    cr_expect_eq(rewrap_tenant(&tapped, vault, T, true, &counts), ACCOUNTS_DONE);
    cr_expect_eq(counts.by_key[0], SECRETS);
    tap_close();
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("d1"), &room, &device), ACCOUNTS_DONE);
    for (size_t i = 0; i < device.credential_count; i++)
        if (device.credentials[i].kind == CREDENTIAL_PSK)
            cr_expect(bytes_equal_text(bytes_of(device.credentials[i].secret.octets, 16), "fedcba9876543210"));
}

Test(rewrap, who_is_never_left_alone_says_so)
{
    use(KEY_A);
    add_everything();
    use(KEY_B KEY_A);
    rewrap_against("EXEC", 0, change_site, ACCOUNTS_BUSY);
}

Test(rewrap, what_is_no_secret_may_look_like_one_and_nothing_stays_watched)
{
    use(KEY_A);
    add_everything();
    redis_call(client, "HSET weir:{acme}:group:crate note w1.x");
    redis_call(client, "HSET weir:{acme}:dev:d1 note w1.x");
    struct rewrap_counts counts = rewrap(true);
    cr_expect(counts.damaged == 0 && counts.not_opened == 0 && counts.by_key[0] == SECRETS);
    redis_call(client, "HSET weir:{acme}:ca:ca1 note 2");
    redis_call(client, "MULTI");
    cr_expect_eq(redis_call(client, "EXEC")->type, STORE_LIST);
}
