// SPDX-License-Identifier: GPL-3.0-or-later
/* Ids and keys, and that docs/streams.md lists the same fields in the same order as the code. */
#include "registry/schema.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

Test(schema, tenants)
{
    static const char *const good[] = {"a", "0", "acme", "a-b-", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {"",    "-a",  "Acme", "a_b", "a:b",  "a/b",
                                      "a}b", "a b", "é",    "a.b", "a{b}", "abcdefghijklmnopqrstuvwxyz0123456"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_expect(schema_tenant_is_valid(bytes_of_text(good[i])), "%s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_not(schema_tenant_is_valid(bytes_of_text(bad[i])), "%s", bad[i]);
    cr_expect_not(schema_tenant_is_valid(bytes_of("a\0b", 3)));
}

Test(schema, devices)
{
    static const char *const good[] = {"a", "Z", "9", "urn:dev:mac:0024befffe804ff1", "a.b_c-d:e", "A-"};
    static const char *const bad[] = {"", ":a", ".", "-", "_x", "a/b", "a b", "a{", "a}", "ä", "a*", "a\n"};
    char longest[SCHEMA_DEVICE_MAX + 1];
    memset(longest, 'x', sizeof longest);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_expect(schema_device_is_valid(bytes_of_text(good[i])), "%s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_not(schema_device_is_valid(bytes_of_text(bad[i])), "%s", bad[i]);
    cr_expect(schema_device_is_valid(bytes_of(longest, SCHEMA_DEVICE_MAX)));
    cr_expect_not(schema_device_is_valid(bytes_of(longest, SCHEMA_DEVICE_MAX + 1)));
    cr_expect_not(schema_device_is_valid(bytes_of("a\0", 2)));
}

Test(schema, keys)
{
    char key[SCHEMA_KEY_MAX];
    struct bytes tenant = BYTES_LITERAL("acme");
    cr_assert_eq(schema_key(key, tenant, SCHEMA_SUFFIX_OBS), 15);
    cr_assert_str_eq(key, "weir:{acme}:obs");
    cr_assert_eq(schema_key_of(key, tenant, SCHEMA_KIND_DEVICE, BYTES_LITERAL("urn:x")), 21);
    cr_assert_str_eq(key, "weir:{acme}:dev:urn:x");
    schema_key_of_stream(key, tenant, BYTES_LITERAL(""));
    cr_assert_str_eq(key, "weir:{acme}:obs");
    schema_key_of_stream(key, tenant, BYTES_LITERAL("obs"));
    cr_assert_str_eq(key, "weir:{acme}:obs");
    schema_key_of_stream(key, tenant, BYTES_LITERAL("north"));
    cr_assert_str_eq(key, "weir:{acme}:stream:north");
    schema_key_of_stream(key, tenant, BYTES_LITERAL("evidence"));
    cr_assert_str_eq(key, "weir:{acme}:evidence");
    schema_key_of_stream(key, tenant, BYTES_LITERAL("audit"));
    cr_assert_str_eq(key, "weir:{acme}:audit");
    cr_assert_eq(schema_stream_suffix(key, bytes_of(NULL, 0)), 3);
    cr_assert_str_eq(key, "obs");
    schema_stream_suffix(key, BYTES_LITERAL("obs"));
    cr_assert_str_eq(key, "obs");
    schema_stream_suffix(key, BYTES_LITERAL("north"));
    cr_assert_str_eq(key, "stream:north");
}

Test(schema, rules_name_streams_of_observations)
{
    cr_expect(schema_rule_stream_is_valid(BYTES_LITERAL("obs")));
    cr_expect(schema_rule_stream_is_valid(BYTES_LITERAL("evidence-2")));
    cr_expect_not(schema_rule_stream_is_valid(BYTES_LITERAL("evidence")));
    cr_expect_not(schema_rule_stream_is_valid(BYTES_LITERAL("audit")));
    cr_expect_not(schema_rule_stream_is_valid(BYTES_LITERAL("")));
}

Test(schema, longest_key_fits)
{
    char key[SCHEMA_KEY_MAX], tenant[SCHEMA_TENANT_MAX], device[SCHEMA_DEVICE_MAX];
    memset(tenant, 't', sizeof tenant);
    memset(device, 'd', sizeof device);
    size_t len = schema_key_of(key, bytes_of(tenant, sizeof tenant), SCHEMA_KIND_DEVICE, bytes_of(device, sizeof device));
    cr_assert_eq(len, strlen("weir:{}:dev:") + sizeof tenant + sizeof device);
    cr_assert_eq(strlen(key), len);
}

/* The first cells of the table rows below a heading, as one text: "d n u". */
static void cells_below(const char *heading, char *ret, size_t size)
{
    char path[4096], line[1024];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    bool within = false;
    snprintf(path, sizeof path, "%s/docs/streams.md", root ? root : ".");
    FILE *file = fopen(path, "r");
    cr_assert(file, "cannot open %s", path);
    ret[0] = '\0';
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#')
            within = strcmp(line, heading) == 0;
        char *cell = within && strncmp(line, "| `", 3) == 0 ? line + 3 : NULL;
        if (!cell)
            continue;
        cell[strcspn(cell, "`")] = '\0';
        snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", ret[0] ? " " : "", cell);
    }
    fclose(file);
}

#define X(name) #name " "
static const struct {
    const char *heading, *fields;
} documented[] = {
    {"## Observations: `weir:{T}:obs`", SCHEMA_OBS_FIELDS(X)},
    {"## Tenants: `weir:{T}:meta`", SCHEMA_TENANT_FIELDS(X)},
    {"## Devices: `weir:{T}:dev:ID`", SCHEMA_DEVICE_FIELDS(X)},
    {"## Tokens: `weir:{T}:tok:ID`", SCHEMA_TOKEN_FIELDS(X)},
    {"## Rules: `weir:{T}:rule:ID`", SCHEMA_RULE_FIELDS(X)},
    {"## Retention: `weir:{T}:str:NAME`", SCHEMA_STREAM_FIELDS(X)},
    {"## Profiles: `weir:{T}:profile:ID`", SCHEMA_PROFILE_FIELDS(X)},
    {"## Codecs: `weir:{T}:codec:ID`", SCHEMA_CODEC_FIELDS(X)},
    {"## Messages that no codec read: `weir:{T}:quarantine`", SCHEMA_QUARANTINE_FIELDS(X)},
    {"## Evidence: `weir:{T}:evidence`", SCHEMA_EVIDENCE_FIELDS(X)},
    {"## Changes: `weir:changes`", SCHEMA_CHANGE_FIELDS(X)},
};
#undef X

Test(schema, docs_list_every_field_in_order)
{
    for (size_t i = 0; i < COUNT_OF(documented); i++) {
        char cells[1024], fields[1024];
        cells_below(documented[i].heading, cells, sizeof cells);
        snprintf(fields, sizeof fields, "%s", documented[i].fields);
        fields[strlen(fields) - 1] = '\0';
        cr_expect_str_eq(cells, fields, "%s", documented[i].heading);
    }
}

Test(schema, docs_list_every_key)
{
    char cells[1024];
    cells_below("## Keys", cells, sizeof cells);
    cr_assert_str_eq(cells, SCHEMA_KEY_TENANTS " " SCHEMA_KEY_CHANGES
                            " weir:{T}:meta weir:{T}:devices weir:{T}:dev:ID weir:{T}:tokens weir:{T}:tok:ID "
                            "weir:{T}:rules weir:{T}:rule:ID weir:{T}:streams weir:{T}:str:NAME weir:{T}:profiles weir:{T}:profile:ID "
                            "weir:{T}:codecs weir:{T}:codec:ID weir:{T}:quarantine weir:{T}:evidence weir:{T}:obs "
                            "weir:{T}:stream:NAME weir:{T}:conflicts weir:{T}:conflicted weir:{T}:hwm weir:{T}:seen "
                            "weir:{T}:holes:ID:EPOCH weir:{T}:once:ID weir:{T}:epoch weir:{T}:superseded weir:{T}:total:ID");
}
