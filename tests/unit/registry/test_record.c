// SPDX-License-Identifier: GPL-3.0-or-later
/* Records to fields and back, and everything that must not become a record. */
#include "registry/record.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

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
        .x509 = "urn:dev:boiler-7",
        .has_rpk = true,
        .profile = "old-meters",
        .created_s = 1763692800,
    };
    secret_set(&record.frame_key, BYTES_LITERAL("0123456789abcdefABCDEFGH"));
    secret_set(&record.psk, BYTES_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    memset(record.rpk, 0xa5, sizeof record.rpk);
    return record;
}

static bool same_device(const struct device_record *a, const struct device_record *b)
{
    return strcmp(a->tenant, b->tenant) == 0 && strcmp(a->id, b->id) == 0 && a->disabled == b->disabled &&
           a->concentrator == b->concentrator && strcmp(a->prefix, b->prefix) == 0 && strcmp(a->site, b->site) == 0 &&
           strcmp(a->tags, b->tags) == 0 && secret_equal(&a->psk, &b->psk) && strcmp(a->x509, b->x509) == 0 &&
           strcmp(a->profile, b->profile) == 0 && secret_equal(&a->frame_key, &b->frame_key) && a->has_rpk == b->has_rpk && memcmp(a->rpk, b->rpk, sizeof a->rpk) == 0 && a->created_s == b->created_s;
}

static bool device_from(const struct record_field *fields, size_t count, struct device_record *ret)
{
    return record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d1"), fields, count, ret);
}

Test(record, a_device_comes_back_as_it_was)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct device_record before = full_device(), after = {0};
    size_t count = record_of_device(&before, fields, scratch);
    cr_assert_eq(count, 11);
    cr_assert(record_to_device(bytes_of_text(before.tenant), bytes_of_text(before.id), fields, count, &after));
    cr_assert(same_device(&before, &after));
}

Test(record, an_empty_device_comes_back_too)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct device_record before = {.tenant = "acme", .id = "d1"}, after = full_device();
    size_t count = record_of_device(&before, fields, scratch);
    cr_assert(device_from(fields, count, &after));
    cr_assert(same_device(&before, &after));
    cr_assert_not(secret_is_set(&after.psk));
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
    cr_assert_eq(record_of_device(&device, fields, scratch), COUNT_OF(device_fields));
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
    struct token_record token = {.role = TOKEN_DEVICE, .device = "d1"};
#define X(name) #name,
    static const char *const names[] = {SCHEMA_TOKEN_FIELDS(X)};
#undef X
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        bool of_bearer = !strcmp(names[i], "salt") || !strcmp(names[i], "digest"), of_legacy = !strcmp(names[i], "apikey");
        if (!of_legacy)
            strcat(strcat(expected[0], names[i]), " ");
        if (!of_bearer)
            strcat(strcat(expected[1], names[i]), " ");
    }
    for (size_t i = 0, count = record_of_token(&token, fields, scratch); i < count; i++)
        strcat(strncat(bearer, (const char *)fields[i].name.ptr, fields[i].name.len), " ");
    secret_set(&token.apikey, BYTES_LITERAL("0123456789abcdef"));
    for (size_t i = 0, count = record_of_token(&token, fields, scratch); i < count; i++)
        strcat(strncat(legacy, (const char *)fields[i].name.ptr, fields[i].name.len), " ");
    cr_expect_str_eq(bearer, expected[0]);
    cr_expect_str_eq(legacy, expected[1]);
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
    cr_assert_not(record_to_device(BYTES_LITERAL("Acme"), BYTES_LITERAL("d1"), NULL, 0, &device));
    cr_assert_not(record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d/1"), NULL, 0, &device));
    cr_assert(record_to_device(BYTES_LITERAL("acme"), BYTES_LITERAL("d1"), NULL, 0, &device));
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
        .tenant = "acme", .id = "0123456789abcdef", .role = TOKEN_DEVICE, .device = "d1", .created_s = 5, .expires_s = 9,
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
    size_t count = record_of_token(&before, fields, scratch);
    cr_assert(record_to_token(bytes_of_text(before.tenant), bytes_of_text(before.id), fields, count, &after));
    cr_assert_str_eq(after.device, "d1");
    cr_assert_eq(after.role, TOKEN_DEVICE);
    cr_assert_eq(after.expires_s, 9);
    cr_assert_arr_eq(after.salt, before.salt, sizeof after.salt);
    cr_assert_arr_eq(after.digest, before.digest, sizeof after.digest);
    cr_assert_not(after.revoked);
    for (size_t missing = 0; missing < 4; missing++) { /* role, device, salt, digest */
        struct record_field less[RECORD_FIELDS_MAX];
        memcpy(less, fields, sizeof less);
        less[missing] = (struct record_field){BYTES_LITERAL("x"), BYTES_LITERAL("y")};
        cr_expect_not(record_to_token(BYTES_LITERAL("acme"), BYTES_LITERAL("0123456789abcdef"), less, count, &after),
                      "without field %zu", missing);
    }
}

Test(record, an_operator_token_has_no_device)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct token_record record = full_token();
    struct bytes id = bytes_of_text("0123456789abcdef");
    record.role = TOKEN_OPERATOR;
    size_t count = record_of_token(&record, fields, scratch);
    cr_assert_not(record_to_token(BYTES_LITERAL("acme"), id, fields, count, &record));
    record.device[0] = '\0';
    count = record_of_token(&record, fields, scratch);
    cr_assert(record_to_token(BYTES_LITERAL("acme"), id, fields, count, &record));
    cr_assert_not(record_to_token(BYTES_LITERAL("acme"), BYTES_LITERAL("0123456789ABCDEF"), fields, count, &record));
    cr_assert_not(record_to_token(BYTES_LITERAL("acme"), BYTES_LITERAL("0123"), fields, count, &record));
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
    size_t count = record_of_token(&before, fields, scratch);
    cr_assert(record_to_token(tenant, id, fields, count, &after));
    cr_expect(secret_equal(&before.apikey, &after.apikey));
    cr_expect_eq(after.digest[0], 0);
    fields[count] = (struct record_field){BYTES_LITERAL("salt"), BYTES_LITERAL("5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a")};
    cr_expect_not(record_to_token(tenant, id, fields, count + 1, &after), "both");
    before.role = TOKEN_OPERATOR;
    before.device[0] = '\0';
    count = record_of_token(&before, fields, scratch);
    cr_expect_not(record_to_token(tenant, id, fields, count, &after), "an operator");
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
    fields[0].value.len++;
    cr_expect_not(record_to_codec(tenant, id, fields, count, &after), "too long");
    fields[0].value.len = 0;
    cr_expect_not(record_to_codec(tenant, id, fields, count, &after), "empty");
    cr_expect_not(record_to_codec(tenant, BYTES_LITERAL("Acme"), fields, count, &after));
}
