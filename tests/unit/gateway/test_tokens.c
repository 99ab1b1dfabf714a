// SPDX-License-Identifier: GPL-3.0-or-later
/* Tokens: made, taken apart, and judged in every state of their record, their device and their tenant. */
#include "gateway/tokens.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct registry *registry;
static struct token_record device_token, operator_token;
static char device_text[TOKENS_TEXT_LEN + 1], operator_text[TOKENS_TEXT_LEN + 1];

static void make(struct token_record *record, char text[static TOKENS_TEXT_LEN + 1], enum role role, uint8_t seed)
{
    uint8_t random[TOKENS_RANDOM_BYTES];
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(seed + 7 * i);
    *record = (struct token_record){.tenant = "acme", .role = role, .created_s = 100};
    snprintf(record->device, sizeof record->device, "%s", role == ROLE_DEVICE ? "d1" : "");
    cr_assert(tokens_make(random, record, text));
    cr_assert(registry_put_token(registry, record));
}

static void put_tenant(bool disabled)
{
    struct tenant_record tenant = {.id = "acme", .disabled = disabled};
    cr_assert(registry_put_tenant(registry, &tenant));
}

static void put_device(bool disabled)
{
    struct device_record device = {.tenant = "acme", .id = "d1", .disabled = disabled};
    cr_assert(registry_put_device(registry, &device));
}

static void setup(void)
{
    registry = registry_new(&(struct hash_key){1, 2});
    put_tenant(false);
    put_device(false);
    make(&device_token, device_text, ROLE_DEVICE, 1);
    make(&operator_token, operator_text, ROLE_OPERATOR, 2);
}

static void teardown(void)
{
    registry_free(registry);
}

TestSuite(tokens, .init = setup, .fini = teardown);

static bool check(const char *text, int64_t now_s)
{
    struct identity identity;
    return tokens_check(registry, bytes_of_text(text), now_s, &identity);
}

Test(tokens, text_has_its_form)
{
    struct bytes id, secret;
    cr_assert_eq(strlen(device_text), TOKENS_TEXT_LEN);
    cr_assert(tokens_parse(bytes_of_text(device_text), &id, &secret));
    cr_assert(bytes_equal_text(id, device_token.id));
    cr_assert_eq(secret.len, TOKENS_SECRET_LEN);
    cr_assert(tokens_match(&device_token, secret));
    cr_assert_not(tokens_match(&operator_token, secret));
}

Test(tokens, who_it_is)
{
    struct identity identity;
    cr_assert(tokens_check(registry, bytes_of_text(device_text), 200, &identity));
    cr_assert_eq(identity.kind, IDENTITY_DEVICE);
    cr_assert_eq(identity.evidence, EVIDENCE_TOKEN);
    cr_assert_str_eq(identity.tenant, "acme");
    cr_assert_str_eq(identity.device, "d1");
    cr_assert(tokens_check(registry, bytes_of_text(operator_text), 200, &identity));
    cr_assert_eq(identity.kind, IDENTITY_OPERATOR);
    cr_assert_eq(identity.role, ROLE_OPERATOR);
    cr_assert_str_eq(identity.key, operator_token.id);
    cr_assert_str_eq(identity.device, "");
}

static const char *why_not(const char *text, int64_t now_s)
{
    const struct token_record *record = NULL;
    const char *why = tokens_why_not(registry, bytes_of_text(text), now_s, &record);
    cr_assert(!why || strcmp(record->device, "d1") == 0);
    return why;
}

Test(tokens, why_a_device_was_refused)
{
    char wrong[TOKENS_TEXT_LEN + 1];
    cr_expect_null(why_not(device_text, 200));
    cr_expect_null(why_not("weir", 200));
    cr_expect_null(why_not(operator_text, 200), "of people nothing is told");
    strcpy(wrong, device_text);
    wrong[30] = wrong[30] == 'a' ? 'b' : 'a';
    cr_expect(strstr(why_not(wrong, 200), "not its secret"));
    put_device(true);
    cr_expect(strstr(why_not(device_text, 200), "disabled"));
    device_token.expires_s = 150;
    cr_assert(registry_put_token(registry, &device_token));
    cr_expect(strstr(why_not(device_text, 200), "expired"));
    device_token.revoked = true;
    cr_assert(registry_put_token(registry, &device_token));
    cr_expect(strstr(why_not(device_text, 200), "revoked"));
}

Test(tokens, every_changed_character_is_refused)
{
    for (size_t i = 0; i < TOKENS_TEXT_LEN; i++) {
        char text[TOKENS_TEXT_LEN + 1];
        memcpy(text, device_text, sizeof text);
        text[i] = text[i] == 'a' ? 'b' : 'a';
        cr_expect_not(check(text, 200), "%s", text);
    }
}

Test(tokens, other_texts_are_refused)
{
    char longer[TOKENS_TEXT_LEN + 2];
    snprintf(longer, sizeof longer, "%sA", device_text);
    cr_expect_not(check(longer, 200));
    longer[TOKENS_TEXT_LEN - 1] = '\0';
    cr_expect_not(check(longer, 200));
    cr_expect_not(check("", 200));
    cr_expect_not(check("weir_", 200));
    memcpy(longer, device_text, sizeof device_text);
    longer[5] = 'A'; /* upper-case id */
    cr_expect_not(check(longer, 200));
    memcpy(longer, device_text, sizeof device_text);
    longer[30] = '=';
    cr_expect_not(check(longer, 200));
}

Test(tokens, a_refusal_touches_nothing)
{
    struct identity identity = {.kind = IDENTITY_NETWORK};
    cr_assert_not(tokens_check(registry, BYTES_LITERAL("weir_x"), 200, &identity));
    cr_assert_eq(identity.kind, IDENTITY_NETWORK);
}

Test(tokens, expiry)
{
    device_token.expires_s = 300;
    registry_put_token(registry, &device_token);
    cr_assert(check(device_text, 299));
    cr_assert_not(check(device_text, 300));
    cr_assert_not(check(device_text, INT64_MAX));
}

Test(tokens, revoked_and_removed)
{
    device_token.revoked = true;
    registry_put_token(registry, &device_token);
    cr_assert_not(check(device_text, 200));
    registry_remove_token(registry, bytes_of_text(operator_token.id));
    cr_assert_not(check(operator_text, 200));
}

Test(tokens, device_disabled_or_gone)
{
    put_device(true);
    cr_assert_not(check(device_text, 200));
    cr_assert(check(operator_text, 200));
    registry_remove_device(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("d1"));
    cr_assert_not(check(device_text, 200));
}

Test(tokens, tenant_disabled_or_gone)
{
    put_tenant(true);
    cr_assert_not(check(device_text, 200));
    cr_assert_not(check(operator_text, 200));
    put_tenant(false);
    cr_assert(check(device_text, 200));
    cr_assert(check(operator_text, 200));
    registry_remove_tenant(registry, BYTES_LITERAL("acme"));
    cr_assert_not(check(operator_text, 200));
}

Test(tokens, do_not_come_back_with_a_new_device_of_the_same_id)
{
    struct device_record again = {.tenant = "acme", .id = "d1", .created_s = 101};
    cr_assert(check(device_text, 200));
    registry_remove_device(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("d1"));
    cr_expect_not(check(device_text, 200));
    cr_assert(registry_put_device(registry, &again));
    cr_expect_not(check(device_text, 200));
    again.created_s = 100;
    cr_assert(registry_put_device(registry, &again));
    cr_expect(check(device_text, 200), "made in the same second as its device");
}

/* Keys of legacy senders. */

static struct token_record make_apikey(void)
{
    uint8_t random[TOKENS_APIKEY_RANDOM_BYTES];
    struct token_record record = {.tenant = "acme", .role = ROLE_DEVICE, .device = "d1", .created_s = 100};
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(0xf0 + i);
    tokens_make_apikey(random, &record);
    cr_assert(registry_put_token(registry, &record));
    return record;
}

static bool check_apikey(const char *text, int64_t now_s)
{
    struct identity identity;
    return tokens_check_apikey(registry, bytes_of_text(text), now_s, &identity);
}

Test(tokens, a_key_has_its_form_and_speaks_for_its_device)
{
    struct identity identity;
    struct token_record record = make_apikey();
    struct bytes apikey = bytes_of(record.apikey.octets, record.apikey.len);
    cr_assert_str_eq(record.id, "f0f1f2f3f4f5f6f7");
    cr_assert(bytes_equal_text(apikey, "f8f9fafbfcfdfeff0001020304050607"));
    cr_assert(record_apikey_is_valid(apikey));
    cr_assert(tokens_check_apikey(registry, apikey, 200, &identity));
    cr_assert(identity.kind == IDENTITY_DEVICE && identity.evidence == EVIDENCE_APIKEY);
    cr_assert_str_eq(identity.tenant, "acme");
    cr_assert_str_eq(identity.device, "d1");
}

Test(tokens, a_key_is_judged_like_a_token)
{
    static const char text[] = "f8f9fafbfcfdfeff0001020304050607";
    struct token_record record = make_apikey();
    cr_expect_not(check_apikey("f8f9fafbfcfdfeff0001020304050606", 200));
    cr_expect_not(check_apikey("", 200));
    record.expires_s = 300;
    cr_assert(registry_put_token(registry, &record));
    cr_expect(check_apikey(text, 299));
    cr_expect_not(check_apikey(text, 300));
    record.expires_s = 0;
    record.revoked = true;
    cr_assert(registry_put_token(registry, &record));
    cr_expect_not(check_apikey(text, 200));
    record.revoked = false;
    cr_assert(registry_put_token(registry, &record));
    put_device(true);
    cr_expect_not(check_apikey(text, 200));
    put_device(false);
    put_tenant(true);
    cr_expect_not(check_apikey(text, 200));
    put_tenant(false);
    cr_expect(check_apikey(text, 200));
}

Test(tokens, a_key_is_no_bearer_token_and_a_bearer_token_no_key)
{
    struct token_record record = make_apikey();
    char text[TOKENS_TEXT_LEN + 1];
    cr_expect_not(check_apikey(device_text, 200));
    /* Its record has no digest; nothing may match that. */
    memcpy(text, device_text, sizeof text);
    memcpy(text + 5, record.id, TOKENS_ID_LEN);
    cr_expect_not(check(text, 200));
    cr_expect(check(device_text, 200));
}
