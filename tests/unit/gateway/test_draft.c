// SPDX-License-Identifier: GPL-3.0-or-later
/* Records as JSON: what is read into them, what is refused and with which place, and that what is written can be read. */
#include "codec/json.h"
#include "gateway/draft.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct arena *arena;
static struct draft_device device;
static struct draft_key key;
static struct draft_error error;

static void set_up(void)
{
    arena = arena_new((size_t)1 << 20);
    error = (struct draft_error){.detail = NULL};
    draft_begin_device(&device, BYTES_LITERAL("acme"));
}

static void tear_down(void)
{
    arena_free(arena);
}

TestSuite(draft, .init = set_up, .fini = tear_down);

static void fill(void *ret, size_t len)
{
    memset(ret, 7, len);
}

static const struct node *parse(const char *text, struct draft_rules *ret)
{
    const struct format_limits limits = DRAFT_LIMITS;
    const struct node *map = NULL;
    struct refusal refusal;
    *ret = (struct draft_rules){.payload = bytes_of_text(text), .arena = arena, .random = fill, .now_s = 1000};
    cr_assert(json_read(ret->payload, &limits, arena, &map, &refusal), "%s", text);
    return map;
}

static bool read_device(const char *text)
{
    struct draft_rules rules;
    const struct node *map = parse(text, &rules);
    return draft_read_device(map, &rules, true, &device, &error);
}

static bool read_key(const char *text)
{
    struct draft_rules rules;
    const struct node *map = parse(text, &rules);
    return draft_read_key(map, &rules, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &key, &error);
}

Test(draft, a_device_is_read)
{
    cr_assert(read_device("{\"id\":\"d:1\",\"site\":\"north\",\"disabled\":true,\"role\":\"viewer\",\"created\":5,"
                          "\"keys\":[{\"id\":\"a\",\"kind\":\"psk\",\"hex\":\"00ff\"},"
                          "{\"id\":\"b\",\"kind\":\"x509\",\"name\":\"cn\"}]}"),
              "%s %s", error.pointer, error.detail);
    cr_expect_str_eq(device.record.id, "d:1");
    cr_expect_str_eq(device.record.site, "north");
    cr_expect(device.record.disabled && device.has_created && device.record.created_s == 5);
    cr_expect_eq(device.record.role, ROLE_VIEWER);
    cr_assert_eq(device.record.credential_count, 2);
    cr_expect_eq(device.record.credentials[0].secret.len, 2);
    cr_expect_str_eq(device.record.credentials[1].name, "cn");
}

Test(draft, a_patch_leaves_what_it_does_not_name)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    strcpy(device.record.id, "d");
    strcpy(device.record.site, "old");
    strcpy(device.record.tags, "x");
    cr_assert(read_device("{\"tags\":null,\"concentrator\":true}"));
    cr_expect_str_eq(device.record.site, "old");
    size_t count = draft_device_fields(&device, false, fields, scratch);
    cr_assert_eq(count, 2);
    for (size_t i = 0; i < count; i++)
        cr_expect(bytes_equal_text(fields[i].name, "tags") ? fields[i].value.len == 0
                                                           : bytes_equal_text(fields[i].value, "1"));
}

Test(draft, what_is_wrong_is_named)
{
    static const struct {
        const char *text, *pointer;
    } rows[] = {
        {"{}", "/id"},
        {"{\"id\":\"\"}", "/id"},
        {"{\"id\":\"a/b\"}", "/id"},
        {"{\"id\":\"d\",\"wax\":1}", "/wax"},
        {"{\"id\":\"d\",\"site\":\"\\u0001\"}", "/site"},
        {"{\"id\":\"d\",\"tags\":[\"a\"]}", "/tags"},
        {"{\"id\":\"d\",\"disabled\":\"no\"}", "/disabled"},
        {"{\"id\":\"d\",\"role\":\"bootstrap\"}", "/role"},
        {"{\"id\":\"d\",\"created\":-1}", "/created"},
        {"{\"id\":\"d\",\"keys\":{}}", "/keys"},
        {"{\"id\":\"d\",\"keys\":[1]}", "/keys/0"},
        {"{\"id\":\"d\",\"keys\":[{\"id\":\"a\",\"kind\":\"psk\",\"generate\":true}]}", "/keys/0/generate"},
        {"{\"id\":\"d\",\"keys\":[{\"kind\":\"psk\",\"hex\":\"01\"}]}", "/keys/0/id"},
        {"{\"id\":\"d\",\"keys\":[{\"id\":\"a\",\"kind\":\"psk\",\"hex\":\"01\"},"
         "{\"id\":\"a\",\"kind\":\"psk\",\"hex\":\"02\"}]}", "/keys/1/id"},
        {"{\"id\":\"d\",\"keys\":[{\"id\":\"a\",\"kind\":\"psk\",\"sealed\":\"w1.AAAA\"}]}", "/keys/0/sealed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        draft_begin_device(&device, BYTES_LITERAL("acme"));
        error = (struct draft_error){.detail = NULL};
        cr_expect(!read_device(rows[i].text), "%s", rows[i].text);
        cr_expect_str_eq(error.pointer, rows[i].pointer, "%s: %s", rows[i].text, error.pointer);
        cr_expect_not_null(error.detail);
    }
}

Test(draft, a_member_with_a_long_name_is_cut)
{
    char text[300] = "{\"";
    memset(text + 2, 'x', 200);
    strcpy(text + 202, "\":1}");
    cr_expect(!read_device(text));
    cr_expect_eq(strlen(error.pointer), DRAFT_POINTER_MAX - 1);
}

Test(draft, keys_are_made_and_read)
{
    cr_assert(read_key("{\"kind\":\"psk\",\"generate\":true}"));
    cr_expect(key.made && key.credential.secret.len == 32);
    cr_expect_str_eq(key.credential.id, "psk-07070707");
    cr_assert(read_key("{\"kind\":\"es256\",\"generate\":true,\"id\":\"k\",\"not_before\":5,\"not_after\":1001}"));
    cr_expect(key.made && key.credential.public_len == 64 && key.credential.not_after_s == 1001);
    draft_wipe_key(&key);
    cr_expect(!read_key("{\"kind\":\"es256\",\"id\":\"k\",\"not_before\":6,\"not_after\":6,\"generate\":true}"));
    cr_expect_str_eq(error.pointer, "/not_after");
    cr_expect(!read_key("{\"kind\":\"es256\",\"id\":\"k\",\"hex\":\"00\"}"));
    cr_expect(!read_key("{\"kind\":\"frame\",\"id\":\"k\",\"generate\":true}"));
    cr_expect(!read_key("{\"kind\":\"psk\",\"id\":\"k\",\"generate\":true,\"hex\":\"01\"}"));
    cr_expect(!read_key("{\"kind\":\"x509\",\"id\":\"k\"}"));
    cr_expect(!read_key("{\"kind\":\"es256\",\"id\":\"k\",\"jwk\":{\"kty\":\"oct\",\"k\":"
                        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}"));
    cr_expect_str_eq(error.pointer, "/jwk");
}

Test(draft, what_is_written_has_no_secret_and_can_be_read)
{
    struct report report;
    struct bytes text;
    cr_assert(read_device("{\"id\":\"d\",\"site\":\"n\",\"group\":\"g\",\"serial\":\"s\",\"model\":\"m\",\"prefix\":\"p\","
                          "\"profile\":\"f\",\"tags\":\"t\",\"role\":\"admin\",\"created\":9,"
                          "\"keys\":[{\"id\":\"a\",\"kind\":\"psk\",\"hex\":\"deadbeef\"}]}"));
    report_init(&report, arena, false);
    cr_assert(draft_write_device(&report, &device.record, DRAFT_NO_KEYS, NULL));
    cr_assert(report_finish(&report, &text));
    struct device_record first = device.record;
    draft_begin_device(&device, BYTES_LITERAL("acme"));
    char *copy = arena_text(arena, text);
    cr_expect_null(strstr(copy, "deadbeef"));
    cr_assert(read_device(copy), "%s", copy);
    cr_expect_str_eq(device.record.serial, first.serial);
    cr_expect_str_eq(device.record.prefix, first.prefix);
    cr_expect_eq(device.record.role, ROLE_ADMIN);
    cr_expect_eq(device.record.created_s, 9);
    cr_expect_not(draft_write_device(&report, &first, DRAFT_SEALED_KEYS, NULL), "nothing seals it");
}

Test(draft, tokens_groups_and_tenants)
{
    struct draft_rules rules;
    struct token_record token = {0};
    struct group_record group = {0};
    struct tenant_record tenant = {0};
    bool flag = false;
    const struct node *map = parse("{\"role\":\"device\",\"device\":\"d\",\"apikey\":true,\"expires\":2000}", &rules);
    cr_expect(draft_read_token(map, 1000, &token, &flag, &error) && flag && token.expires_s == 2000);
    map = parse("{\"role\":\"viewer\",\"device\":\"d\"}", &rules);
    token = (struct token_record){0};
    cr_expect_not(draft_read_token(map, 1000, &token, &flag, &error));
    cr_expect_str_eq(error.pointer, "/device");
    map = parse("{\"id\":\"g\",\"pattern\":\"m-*\"}", &rules);
    cr_expect(draft_read_group(map, &rules, &group, &flag, &error) && flag && group.key.len == 32);
    map = parse("{\"disabled\":true}", &rules);
    cr_expect(draft_read_group(map, &rules, &group, &flag, &error) && !flag && group.disabled);
    map = parse("{\"level\":\"stored\",\"disabled\":null}", &rules);
    cr_expect(draft_read_tenant(map, &tenant, &error) && tenant.level == 1);
    map = parse("{\"level\":1}", &rules);
    cr_expect_not(draft_read_tenant(map, &tenant, &error));
}

Test(draft, a_new_key_is_not_over_already)
{
    const char *const texts[] = {
        "{\"kind\":\"psk\",\"id\":\"k\",\"hex\":\"01\",\"not_after\":1000}",
        "{\"kind\":\"psk\",\"generate\":true,\"not_after\":1}",
        "{\"kind\":\"x509\",\"id\":\"k\",\"name\":\"cn\",\"not_after\":999}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct draft_rules rules;
        const struct node *map = parse(texts[i], &rules);
        cr_expect_not(read_key(texts[i]), "%s", texts[i]);
        cr_expect_str_eq(error.pointer, "/not_after");
        cr_expect_str_eq(error.detail, "It is over already.");
        rules.takes_ended = true;
        cr_expect(draft_read_key(map, &rules, BYTES_LITERAL("acme"), BYTES_LITERAL("d"), &key, &error), "%s", texts[i]);
    }
    cr_expect(read_key("{\"kind\":\"psk\",\"id\":\"k\",\"hex\":\"01\",\"not_after\":1001}"));
}

#define ZEROS_16 "00000000000000000000000000000000"

Test(draft, nothing_but_zeros_is_no_key)
{
    static const char *const kinds[] = {"psk", "hs256", "hs256-64", "hmac"};
    char text[256];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        snprintf(text, sizeof text, "{\"kind\":\"%s\",\"id\":\"k\",\"hex\":\"" ZEROS_16 ZEROS_16 "\"}", kinds[i]);
        cr_expect_not(read_key(text), "%s", text);
        cr_expect_str_eq(error.pointer, "/hex");
        snprintf(text, sizeof text, "{\"kind\":\"%s\",\"id\":\"k\",\"hex\":\"01" ZEROS_16 ZEROS_16 "\"}", kinds[i]);
        cr_expect(read_key(text), "%s", text);
    }
}
