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

static FILE *open_source(const char *name)
{
    char path[4096];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/%s", root ? root : ".", name);
    FILE *file = fopen(path, "r");
    cr_assert(file, "cannot open %s", path);
    return file;
}

/* The first cells of the table rows below a heading, as one text: "d n u". */
static void cells_below(const char *heading, char *ret, size_t size)
{
    char line[1024];
    bool within = false;
    FILE *file = open_source("docs/streams.md");
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
    {"## Groups: `weir:{T}:group:ID`", SCHEMA_GROUP_FIELDS(X)},
    {"## Batches: `weir:{T}:batch:ID`", SCHEMA_BATCH_FIELDS(X)},
    {"## Authorities: `weir:{T}:ca:ID`", SCHEMA_CA_FIELDS(X)},
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

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_words(char *words)
{
    char *list[64], copy[2048], *rest = NULL;
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok_r(copy, " ", &rest); word && count < COUNT_OF(list); word = strtok_r(NULL, " ", &rest))
        list[count++] = word;
    qsort(list, count, sizeof list[0], compare_words);
    words[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strcat(strcat(words, i ? " " : ""), list[i]);
}

/* The keys that the head of registry/schema.h names. */
static void keys_of_header(char *ret, size_t size)
{
    char line[512], word[128];
    FILE *file = open_source("registry/schema.h");
    ret[0] = '\0';
    while (fgets(line, sizeof line, file) && strcmp(line, " */\n") != 0)
        if (sscanf(line, " * %127s", word) == 1 && strncmp(word, "weir:", 5) == 0)
            snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", ret[0] ? " " : "", word);
    fclose(file);
}

Test(schema, docs_list_every_key)
{
    char cells[2048], keys[2048];
    cells_below("## Keys", cells, sizeof cells);
    keys_of_header(keys, sizeof keys);
    sort_words(cells);
    sort_words(keys);
    cr_assert_gt(strlen(keys), 500);
    cr_assert(strcmp(cells, keys) == 0, "docs: %s\nschema.h: %s", cells, keys);
}
