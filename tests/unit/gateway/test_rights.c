// SPDX-License-Identifier: GPL-3.0-or-later
/* Who may write which name: one table of speakers, names and verdicts. */
#include "gateway/rights.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct registry *registry;

static void add(const char *id, bool concentrator, bool disabled, const char *prefix)
{
    struct device_record record = {.tenant = "acme", .concentrator = concentrator, .disabled = disabled};
    snprintf(record.id, sizeof record.id, "%s", id);
    snprintf(record.prefix, sizeof record.prefix, "%s", prefix);
    cr_assert(registry_put_device(registry, &record));
}

static void setup(void)
{
    registry = registry_new(&(struct hash_key){1, 2});
    struct tenant_record tenant = {.id = "acme"};
    cr_assert(registry_put_tenant(registry, &tenant));
    add("boiler-7", false, false, "");
    add("boiler-8", false, false, "");
    add("urn:dev:mac:0024befffe804ff1", false, false, "");
    add("free", false, false, "*");
    add("lwm2m", false, false, "3303");
    add("hub", true, false, "");
    add("off", false, true, "");
    add("0a4b", false, false, "");
    add("0A4C", false, false, "");
    add("0a4d", false, false, "");
    add("0A4D", false, false, "");
    add("0aff", true, false, "");
    add("0AFE", false, true, "");
    add("deadbeef-1", false, false, "");
    add("aa:bb", false, false, "");
    add("aa_bb", false, false, "");
    add("meter", false, false, "");
    add("box", false, false, "");
    add("box-12", false, false, "");
    add("box-13", false, true, "");
    add("box:14", false, false, "99");
    add("urn", false, false, "");
    add("self", false, false, "self");
    add("self-1", false, false, "");
    add("granted", false, false, "box");
    add("hub-12", false, false, "");
    add("hub-13", false, true, "");
}

static void teardown(void)
{
    registry_free(registry);
}

TestSuite(rights, .init = setup, .fini = teardown);

struct row {
    enum identity_kind kind;
    const char *speaker, *query, *base, *name;
    enum outcome outcome;
    const char *device;
};

static const struct row rows[] = {
    /* a device and its own names */
    {IDENTITY_DEVICE, "boiler-7", "", "", "temp", OUTCOME_CHANGED, "boiler-7"},
    {IDENTITY_DEVICE, "boiler-7", "", "", "boiler-7:temp", OUTCOME_CHANGED, "boiler-7"},
    {IDENTITY_DEVICE, "boiler-7", "", "", "boiler-7/out/temp", OUTCOME_CHANGED, "boiler-7"},
    {IDENTITY_DEVICE, "boiler-7", "boiler-7", "", "temp", OUTCOME_CHANGED, "boiler-7"},
    {IDENTITY_DEVICE, "urn:dev:mac:0024befffe804ff1", "", "", "urn:dev:mac:0024befffe804ff1:t", OUTCOME_CHANGED,
     "urn:dev:mac:0024befffe804ff1"},
    {IDENTITY_DEVICE, "free", "", "", "any/thing:at-all", OUTCOME_CHANGED, "free"},
    {IDENTITY_DEVICE, "lwm2m", "", "", "3303/0/5700", OUTCOME_CHANGED, "lwm2m"},
    /* names of others */
    {IDENTITY_DEVICE, "boiler-7", "", "", "boiler-8:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "boiler-7", "", "", "boiler-77:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "boiler-7", "", "", "urn:dev:mac:0024befffe804ff1:t", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "boiler-7", "", "", "room/temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "boiler-7", "boiler-8", "", "temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "lwm2m", "", "", "3304/0/5700", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "off", "", "", "temp", OUTCOME_FORBIDDEN, NULL},
    {IDENTITY_DEVICE, "nobody", "", "", "temp", OUTCOME_FORBIDDEN, NULL},
    {IDENTITY_OPERATOR, "", "", "", "temp", OUTCOME_FORBIDDEN, NULL},
    /* a concentrator */
    {IDENTITY_DEVICE, "hub", "", "", "temp", OUTCOME_CHANGED, "hub"},
    {IDENTITY_DEVICE, "hub", "", "", "hub/temp", OUTCOME_CHANGED, "hub"},
    {IDENTITY_DEVICE, "hub", "", "boiler-7:", "boiler-7:temp", OUTCOME_CHANGED, "boiler-7"},
    {IDENTITY_DEVICE, "hub", "boiler-8", "", "temp", OUTCOME_CHANGED, "boiler-8"},
    {IDENTITY_DEVICE, "hub", "", "", "urn:dev:mac:0024befffe804ff1:t", OUTCOME_CHANGED,
     "urn:dev:mac:0024befffe804ff1"},
    {IDENTITY_DEVICE, "hub", "", "", "stranger:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "hub", "stranger", "", "temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "hub", "boiler-8", "", "boiler-7:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "hub", "off", "", "temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "hub", "", "", "off:temp", OUTCOME_FOREIGN_NAME, NULL},
    /* a mapped network: the query or the base name says who */
    {IDENTITY_NETWORK, "", "old-1", "", "temp", OUTCOME_CHANGED, "old-1"},
    {IDENTITY_NETWORK, "", "", "urn:dev:mac:1:", "urn:dev:mac:1:temp", OUTCOME_CHANGED, "urn:dev:mac:1"},
    {IDENTITY_NETWORK, "", "boiler-7", "", "temp", OUTCOME_CHANGED, "boiler-7"},
    {IDENTITY_NETWORK, "", "", "", "temp", OUTCOME_BAD_NAME, NULL},
    {IDENTITY_NETWORK, "", "a/b", "", "temp", OUTCOME_BAD_NAME, NULL},
    {IDENTITY_NETWORK, "", "old-1", "", "boiler-7:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_NETWORK, "", "off", "", "temp", OUTCOME_FORBIDDEN, NULL},
    /* a name is of the longest id that it begins with, whatever shorter one somebody has made a device of */
    {IDENTITY_DEVICE, "box", "", "", "box:temp", OUTCOME_CHANGED, "box"},
    {IDENTITY_DEVICE, "box", "", "", "box-1:temp", OUTCOME_CHANGED, "box"},
    {IDENTITY_DEVICE, "box", "", "", "box-123:temp", OUTCOME_CHANGED, "box"},
    {IDENTITY_DEVICE, "box", "", "", "box/box-12:temp", OUTCOME_CHANGED, "box"},
    {IDENTITY_DEVICE, "box", "", "", "box-12", OUTCOME_CHANGED, "box"},
    {IDENTITY_DEVICE, "box", "", "", "box-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box-12/temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box-12.out:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box-12_out/temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box-12-out:a:b/c", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "box", "", "box-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "box-", "box-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box-13:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box:14", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box:14_temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "box", "", "", "box:145", OUTCOME_CHANGED, "box"},
    {IDENTITY_DEVICE, "urn", "", "", "urn:dev:mac:0024befffe804ff1:t", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "urn", "", "", "urn:dev:mac:0024befffe804ff1", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "urn", "", "", "urn:dev:mac:0024befffe804ff2:t", OUTCOME_CHANGED, "urn"},
    {IDENTITY_DEVICE, "box-12", "", "", "box-12:temp", OUTCOME_CHANGED, "box-12"},
    {IDENTITY_DEVICE, "self", "", "", "self:temp", OUTCOME_CHANGED, "self"},
    {IDENTITY_DEVICE, "self", "", "", "self-1:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "granted", "", "", "box-12:temp", OUTCOME_CHANGED, "granted"},
    {IDENTITY_DEVICE, "free", "", "", "box-12:temp", OUTCOME_CHANGED, "free"},
    {IDENTITY_DEVICE, "hub", "", "", "hub-12:temp", OUTCOME_CHANGED, "hub-12"},
    {IDENTITY_DEVICE, "hub", "", "", "hub-14:temp", OUTCOME_CHANGED, "hub"},
    {IDENTITY_DEVICE, "hub", "", "", "hub-13:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "hub", "", "", "box-13:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "hub", "", "", "box-12:temp", OUTCOME_CHANGED, "box-12"},
    {IDENTITY_DEVICE, "hub", "box", "", "box-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_DEVICE, "hub", "hub", "", "hub-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_NETWORK, "", "box", "", "box-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_NETWORK, "", "", "box-", "box-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_NETWORK, "", "", "box-12:", "box-12:temp", OUTCOME_CHANGED, "box-12"},
    {IDENTITY_NETWORK, "", "self", "", "self-1:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_NETWORK, "", "", "hub-1", "hub-12:temp", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_NETWORK, "", "", "urn:dev:", "urn:dev:mac:0024befffe804ff1:t", OUTCOME_FOREIGN_NAME, NULL},
    {IDENTITY_NETWORK, "", "meter", "", "meter-9:t", OUTCOME_CHANGED, "meter"},
};

Test(rights, table)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct identity who = {.kind = row->kind, .tenant = "acme"};
        snprintf(who.device, sizeof who.device, "%s", row->speaker);
        struct observation observation = {.name = bytes_of_text(row->name), .base_name = bytes_of_text(row->base)};
        struct rights_question question = {.registry = registry, .who = &who,
                                           .named_device = bytes_of_text(row->query), .observation = &observation};
        struct rights_answer answer = {0};
        enum outcome outcome = rights_judge(&question, &answer);
        cr_expect_eq(outcome, row->outcome, "row %zu (%s by %s): %s", i, row->name, row->speaker,
                     outcome_row(outcome)->slug);
        cr_expect(!answer.keeps_node, "row %zu has no node", i);
        if (row->device)
            cr_expect(bytes_equal_text(answer.device, row->device), "row %zu: device %.*s", i, (int)answer.device.len,
                      answer.device.ptr);
    }
}

struct node_row {
    enum identity_kind kind;
    const char *speaker, *query, *node;
    bool proven;
    enum outcome outcome;
    const char *device;
    bool keeps_node;
};

#define SAID false
#define PROVEN true
#define NAME false
#define NODE_NAME true

static const struct node_row node_rows[] = {
    /* a device: itself, by id or prefix, or a word of its own, whoever else may be called so */
    {IDENTITY_DEVICE, "boiler-7", "", "boiler-7", SAID, OUTCOME_CHANGED, "boiler-7", NAME},
    {IDENTITY_DEVICE, "lwm2m", "", "3303", SAID, OUTCOME_CHANGED, "lwm2m", NAME},
    {IDENTITY_DEVICE, "lwm2m", "", "lwm2m", SAID, OUTCOME_CHANGED, "lwm2m", NAME},
    {IDENTITY_DEVICE, "boiler-7", "", "10", SAID, OUTCOME_CHANGED, "boiler-7", NODE_NAME},
    {IDENTITY_DEVICE, "boiler-7", "", "boiler-8", SAID, OUTCOME_CHANGED, "boiler-7", NODE_NAME},
    {IDENTITY_DEVICE, "boiler-7", "", "off", SAID, OUTCOME_CHANGED, "boiler-7", NODE_NAME},
    {IDENTITY_DEVICE, "boiler-7", "", "Boiler-7", SAID, OUTCOME_CHANGED, "boiler-7", NODE_NAME},
    {IDENTITY_DEVICE, "boiler-7", "boiler-8", "boiler-7", SAID, OUTCOME_FOREIGN_NAME, NULL, NAME},
    {IDENTITY_DEVICE, "off", "", "off", SAID, OUTCOME_FORBIDDEN, NULL, NAME},
    /* a concentrator: devices of its tenant that are known, else words of its own */
    {IDENTITY_DEVICE, "hub", "", "hub", SAID, OUTCOME_CHANGED, "hub", NAME},
    {IDENTITY_DEVICE, "hub", "", "boiler-7", SAID, OUTCOME_CHANGED, "boiler-7", NAME},
    {IDENTITY_DEVICE, "hub", "", "3303", SAID, OUTCOME_CHANGED, "hub", NODE_NAME},
    {IDENTITY_DEVICE, "hub", "", "stranger", SAID, OUTCOME_CHANGED, "hub", NODE_NAME},
    {IDENTITY_DEVICE, "hub", "", "off", SAID, OUTCOME_FORBIDDEN, NULL, NAME},
    {IDENTITY_DEVICE, "hub", "boiler-8", "boiler-8", SAID, OUTCOME_CHANGED, "boiler-8", NAME},
    {IDENTITY_DEVICE, "hub", "boiler-8", "boiler-7", SAID, OUTCOME_CHANGED, "boiler-8", NODE_NAME},
    {IDENTITY_DEVICE, "hub", "stranger", "boiler-7", SAID, OUTCOME_FOREIGN_NAME, NULL, NAME},
    /* a mapped network: the node is the device, unless the query names one */
    {IDENTITY_NETWORK, "", "", "old-1", SAID, OUTCOME_CHANGED, "old-1", NAME},
    {IDENTITY_NETWORK, "", "", "boiler-7", SAID, OUTCOME_CHANGED, "boiler-7", NAME},
    {IDENTITY_NETWORK, "", "old-1", "10", SAID, OUTCOME_CHANGED, "old-1", NODE_NAME},
    {IDENTITY_NETWORK, "", "lwm2m", "3303", SAID, OUTCOME_CHANGED, "lwm2m", NAME},
    {IDENTITY_NETWORK, "", "", "off", SAID, OUTCOME_FORBIDDEN, NULL, NAME},
    {IDENTITY_NETWORK, "", "", "_x", SAID, OUTCOME_BAD_NAME, NULL, NAME},
    /* hexadecimal digits in either case; the spelling that is there comes first */
    {IDENTITY_DEVICE, "hub", "", "0A4B", SAID, OUTCOME_CHANGED, "0a4b", NAME},
    {IDENTITY_DEVICE, "hub", "", "0A4b", SAID, OUTCOME_CHANGED, "0a4b", NAME},
    {IDENTITY_DEVICE, "hub", "", "0a4c", SAID, OUTCOME_CHANGED, "0A4C", NAME},
    {IDENTITY_DEVICE, "hub", "", "0a4d", SAID, OUTCOME_CHANGED, "0a4d", NAME},
    {IDENTITY_DEVICE, "hub", "", "0A4D", SAID, OUTCOME_CHANGED, "0A4D", NAME},
    {IDENTITY_DEVICE, "hub", "", "0A4E", SAID, OUTCOME_CHANGED, "hub", NODE_NAME},
    {IDENTITY_DEVICE, "hub", "", "0A4", SAID, OUTCOME_CHANGED, "hub", NODE_NAME},
    {IDENTITY_DEVICE, "hub", "", "0afe", SAID, OUTCOME_FORBIDDEN, NULL, NAME},
    {IDENTITY_DEVICE, "hub", "", "Hub", SAID, OUTCOME_CHANGED, "hub", NODE_NAME},
    {IDENTITY_DEVICE, "hub", "", "DEADBEEF-1", SAID, OUTCOME_CHANGED, "hub", NODE_NAME},
    {IDENTITY_DEVICE, "hub", "0a4b", "0A4B", SAID, OUTCOME_CHANGED, "0a4b", NAME},
    {IDENTITY_DEVICE, "hub", "0A4B", "0A4B", SAID, OUTCOME_FOREIGN_NAME, NULL, NAME},
    {IDENTITY_DEVICE, "0aff", "", "0AFF", SAID, OUTCOME_CHANGED, "0aff", NAME},
    {IDENTITY_DEVICE, "0a4b", "", "0A4B", SAID, OUTCOME_CHANGED, "0a4b", NAME},
    {IDENTITY_DEVICE, "0a4b", "", "0A4C", SAID, OUTCOME_CHANGED, "0a4b", NODE_NAME},
    {IDENTITY_NETWORK, "", "", "0A4B", SAID, OUTCOME_CHANGED, "0a4b", NAME},
    {IDENTITY_NETWORK, "", "", "0afe", SAID, OUTCOME_FORBIDDEN, NULL, NAME},
    {IDENTITY_NETWORK, "", "", "0A4E", SAID, OUTCOME_CHANGED, "0A4E", NAME},
    {IDENTITY_NETWORK, "", "0A4B", "10", SAID, OUTCOME_CHANGED, "0A4B", NODE_NAME},
    {IDENTITY_DEVICE, "0A4C", "", "0a4c", PROVEN, OUTCOME_CHANGED, "0A4C", NAME},
    {IDENTITY_DEVICE, "0A4D", "", "0a4d", PROVEN, OUTCOME_FOREIGN_NAME, NULL, NAME},
    {IDENTITY_DEVICE, "hub", "", "0a4c", PROVEN, OUTCOME_CHANGED, "0A4C", NAME},
    {IDENTITY_NETWORK, "", "", "0a4c", PROVEN, OUTCOME_CHANGED, "0A4C", NAME},
    /* proven by the payload: that device, brought by itself, a concentrator or a network */
    {IDENTITY_DEVICE, "boiler-7", "", "boiler-7", PROVEN, OUTCOME_CHANGED, "boiler-7", NAME},
    {IDENTITY_DEVICE, "hub", "", "boiler-7", PROVEN, OUTCOME_CHANGED, "boiler-7", NAME},
    {IDENTITY_DEVICE, "hub", "boiler-8", "boiler-7", PROVEN, OUTCOME_CHANGED, "boiler-7", NAME},
    {IDENTITY_NETWORK, "", "", "boiler-7", PROVEN, OUTCOME_CHANGED, "boiler-7", NAME},
    {IDENTITY_DEVICE, "boiler-7", "", "boiler-8", PROVEN, OUTCOME_FOREIGN_NAME, NULL, NAME},
    {IDENTITY_DEVICE, "hub", "", "stranger", PROVEN, OUTCOME_FOREIGN_NAME, NULL, NAME},
    {IDENTITY_DEVICE, "hub", "", "off", PROVEN, OUTCOME_FORBIDDEN, NULL, NAME},
    {IDENTITY_DEVICE, "lwm2m", "", "3303", PROVEN, OUTCOME_FOREIGN_NAME, NULL, NAME},
    {IDENTITY_OPERATOR, "", "", "boiler-7", PROVEN, OUTCOME_FORBIDDEN, NULL, NAME},
};

Test(rights, nodes)
{
    for (size_t i = 0; i < sizeof node_rows / sizeof node_rows[0]; i++) {
        const struct node_row *row = &node_rows[i];
        struct identity who = {.kind = row->kind, .tenant = "acme"};
        snprintf(who.device, sizeof who.device, "%s", row->speaker);
        struct observation observation = {.name = BYTES_LITERAL("temp"), .node = bytes_of_text(row->node)};
        struct rights_question question = {.registry = registry, .who = &who, .proven = row->proven,
                                           .named_device = bytes_of_text(row->query), .observation = &observation};
        struct rights_answer answer = {0};
        enum outcome outcome = rights_judge(&question, &answer);
        cr_expect_eq(outcome, row->outcome, "row %zu (%s by %s): %s", i, row->node, row->speaker,
                     outcome_row(outcome)->slug);
        cr_expect_eq(answer.keeps_node, row->keeps_node, "row %zu", i);
        if (row->device)
            cr_expect(bytes_equal_text(answer.device, row->device), "row %zu: device %.*s", i, (int)answer.device.len,
                      answer.device.ptr);
    }
}

/* A device is found by what was said, never by what that looks like as a part of a name. */
Test(rights, nodes_as_they_were_said)
{
    static const struct {
        enum identity_kind kind;
        const char *speaker, *said, *node;
        enum outcome outcome;
        const char *device;
        bool keeps_node;
    } table[] = {
        {IDENTITY_DEVICE, "hub", "aa:bb", "aa_bb", OUTCOME_CHANGED, "aa:bb", NAME},
        {IDENTITY_DEVICE, "hub", "aa_bb", "aa_bb", OUTCOME_CHANGED, "aa_bb", NAME},
        {IDENTITY_DEVICE, "hub", "aa/bb", "aa_bb", OUTCOME_CHANGED, "hub", NODE_NAME},
        {IDENTITY_DEVICE, "hub", "-meter", "meter", OUTCOME_CHANGED, "hub", NODE_NAME},
        {IDENTITY_DEVICE, "hub", "/meter", "meter", OUTCOME_CHANGED, "hub", NODE_NAME},
        {IDENTITY_DEVICE, "hub", "meter", "meter", OUTCOME_CHANGED, "meter", NAME},
        {IDENTITY_DEVICE, "aa:bb", "aa:bb", "aa_bb", OUTCOME_CHANGED, "aa:bb", NAME},
        {IDENTITY_DEVICE, "aa_bb", "aa:bb", "aa_bb", OUTCOME_CHANGED, "aa_bb", NODE_NAME},
        {IDENTITY_NETWORK, "", "aa:bb", "aa_bb", OUTCOME_CHANGED, "aa:bb", NAME},
        {IDENTITY_NETWORK, "", "cc:dd", "cc_dd", OUTCOME_CHANGED, "cc:dd", NAME},
        {IDENTITY_NETWORK, "", "-meter", "meter", OUTCOME_BAD_NAME, NULL, NAME},
        {IDENTITY_NETWORK, "", "my meter", "my_meter", OUTCOME_BAD_NAME, NULL, NAME},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct identity who = {.kind = table[i].kind, .tenant = "acme"};
        snprintf(who.device, sizeof who.device, "%s", table[i].speaker);
        struct observation observation = {.name = BYTES_LITERAL("temp"), .node = bytes_of_text(table[i].node),
                                          .node_raw = bytes_of_text(table[i].said)};
        struct rights_question question = {.registry = registry, .who = &who, .observation = &observation};
        struct rights_answer answer = {0};
        cr_expect_eq(rights_judge(&question, &answer), table[i].outcome, "row %zu", i);
        cr_expect_eq(answer.keeps_node, table[i].keeps_node, "row %zu", i);
        if (table[i].device)
            cr_expect(bytes_equal_text(answer.device, table[i].device), "row %zu: device %.*s", i,
                      (int)answer.device.len, answer.device.ptr);
    }
}

Test(rights, who_proves_a_record_proves_no_longer_id)
{
    struct identity who = {.kind = IDENTITY_NETWORK, .tenant = "acme"};
    struct observation observation = {.name = BYTES_LITERAL("box-12:temp"), .node = BYTES_LITERAL("box")};
    struct rights_question question = {.registry = registry, .who = &who, .proven = true, .observation = &observation};
    struct rights_answer answer;
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FOREIGN_NAME);
    who.kind = IDENTITY_DEVICE;
    strcpy(who.device, "hub");
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FOREIGN_NAME);
    observation.name = BYTES_LITERAL("box:temp");
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_CHANGED);
}

/* What a longer name may look like, the search stays within an id's length. */
Test(rights, names_longer_than_any_id)
{
    char name[256];
    struct identity who = {.kind = IDENTITY_DEVICE, .tenant = "acme", .device = "box"};
    memset(name, ':', sizeof name);
    memcpy(name, "box", 3);
    struct observation observation = {.name = bytes_of(name, sizeof name)};
    struct rights_question question = {.registry = registry, .who = &who, .observation = &observation};
    struct rights_answer answer;
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_CHANGED);
    memset(name + 3, 'x', SCHEMA_DEVICE_MAX - 3);
    name[3] = '-';
    char id[SCHEMA_DEVICE_MAX + 1];
    snprintf(id, sizeof id, "%.*s", SCHEMA_DEVICE_MAX, name);
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_CHANGED);
    add(id, false, false, "");
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FOREIGN_NAME, "an id of all the room there is");
}

Test(rights, another_tenant_is_another_world)
{
    struct identity who = {.kind = IDENTITY_DEVICE, .tenant = "other", .device = "boiler-7"};
    struct observation observation = {.name = BYTES_LITERAL("temp")};
    struct rights_question question = {.registry = registry, .who = &who, .observation = &observation};
    struct rights_answer answer = {0};
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FORBIDDEN);
}

Test(rights, local_names)
{
    static const char *const cases[][3] = {
        {"boiler-7", "boiler-7:temp", "temp"},
        {"boiler-7", "temp", "temp"},
        {"boiler-7", "boiler-7:out:temp", "boiler-7:out:temp"},
        {"boiler-7", "boiler-7/temp", "boiler-7/temp"},
        {"boiler-7", "boiler-77:temp", "boiler-77:temp"},
        {"boiler-7", "boiler-7:", "boiler-7:"},
        {"urn:dev:mac:1", "urn:dev:mac:1:temp", "temp"},
        {"", ":temp", ":temp"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect(bytes_equal_text(rights_local_name(bytes_of_text(cases[i][0]), bytes_of_text(cases[i][1])), cases[i][2]),
                  "%s of %s", cases[i][1], cases[i][0]);
}

Test(rights, a_device_of_a_group_needs_no_record)
{
    static const uint8_t key[32] = {1};
    struct group_record group = {.tenant = "acme", .id = "batch", .pattern = "lamp-*"};
    struct device_record banned = {.tenant = "acme", .id = "lamp-2", .group = "batch", .disabled = true};
    struct identity who = {.kind = IDENTITY_DEVICE, .tenant = "acme", .device = "lamp-1"};
    struct observation observation = {.name = BYTES_LITERAL("temp")};
    struct rights_question question = {.registry = registry, .who = &who, .observation = &observation};
    struct rights_answer answer;
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FORBIDDEN, "nobody has made the group");
    cr_assert(secret_set(&group.key, bytes_of(key, sizeof key)) && registry_put_group(registry, &group));
    cr_assert(registry_put_device(registry, &banned));
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_CHANGED);
    cr_expect_eq((const void *)answer.device.ptr, (const void *)who.device, "it outlives the call");
    cr_expect(bytes_equal_text(answer.device, "lamp-1"));
    observation.name = BYTES_LITERAL("boiler-7:temp");
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FOREIGN_NAME);
    observation.name = BYTES_LITERAL("lamp-1:temp");
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_CHANGED, "the pattern has the name, too: no record has it");
    add("lamp-1-b", false, false, "");
    observation.name = BYTES_LITERAL("lamp-1-b:temp");
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FOREIGN_NAME);
    observation.name = BYTES_LITERAL("temp");
    strcpy(who.device, "lamp-2");
    cr_expect_eq(rights_judge(&question, &answer), OUTCOME_FORBIDDEN, "banned");
}
