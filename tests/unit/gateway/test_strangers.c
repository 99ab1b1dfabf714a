// SPDX-License-Identifier: GPL-3.0-or-later
/* Which new ids would give somebody who is limited to sites what lies outside, against a real Redis. */
#include "gateway/strangers.h"

#include "tests/unit/gateway/redis_fixture.h"

#include <stdlib.h>

static struct redis_fixture redis;
static struct accounts accounts;
static struct latest *latest;
static struct scope scope;

#define T BYTES_LITERAL("acme")

static void add_device(const char *id, const char *site)
{
    struct device_record device = {.tenant = "acme", .created_s = 5};
    strcpy(device.id, id);
    strcpy(device.site, site);
    cr_assert_eq(accounts_add_device(&accounts, &device, false), ACCOUNTS_DONE);
}

static void add_group(const char *id, const char *pattern, const char *site)
{
    struct group_record group = {.tenant = "acme", .created_s = 5, .key = {.len = 32}};
    strcpy(group.id, id);
    strcpy(group.pattern, pattern);
    strcpy(group.site, site);
    memset(group.key.octets, 7, group.key.len);
    cr_assert_eq(accounts_add_group(&accounts, &group, false), ACCOUNTS_DONE);
}

static void add_batch(const char *id, const char *pattern, const char *site)
{
    struct batch_record batch = {.tenant = "acme", .created_s = 5, .secret = {.len = BATCH_SECRET_MIN}};
    strcpy(batch.id, id);
    strcpy(batch.pattern, pattern);
    strcpy(batch.site, site);
    memset(batch.secret.octets, 7, batch.secret.len);
    cr_assert_eq(accounts_add_batch(&accounts, &batch, false), ACCOUNTS_DONE);
}

static void add_value(const char *device)
{
    struct observation observation = {.name = BYTES_LITERAL("level"), .time = {100, 0}, .kind = VALUE_TEXT,
                                      .data = BYTES_LITERAL("1")};
    cr_assert(latest_put(latest, T, bytes_of_text(device), &observation, observation.time));
}

static void setup(void)
{
    struct tenant_record tenant = {.id = "acme", .created_s = 5};
    redis_start(&redis);
    accounts = (struct accounts){.client = redis_client(&redis)};
    cr_assert_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_DONE);
    latest = latest_new(&(struct hash_key){1, 2}, 100);
    scope = (struct scope){.tenant = "acme", .sites = "hall"};
}

static void teardown(void)
{
    latest_free(latest);
    store_client_close(accounts.client);
    redis_remove(&redis);
}

TestSuite(strangers, .init = setup, .fini = teardown);

static bool have(const char *id)
{
    struct strangers strangers;
    bool ret = false;
    cr_assert_eq(strangers_init(&strangers, &scope, latest, &accounts), ACCOUNTS_DONE, "%s", accounts.error);
    cr_assert_eq(strangers_have(&strangers, &accounts, bytes_of_text(id), &ret), ACCOUNTS_DONE, "%s", accounts.error);
    strangers_deinit(&strangers);
    return ret;
}

Test(strangers, a_new_id_takes_nothing_from_one_beside_it)
{
    static const struct {
        const char *id;
        bool outside;
    } cases[] = {
        {"pump:inlet", true},   {"pump.inlet", true}, {"pump_inlet", true}, {"pump-inlet", true},
        {"pump-1:2.3", true},   {"pump-", true},      {"pumpinlet", false}, {"pum", false},
        {"lamp:left", false},   {"lamp:a:b", true},   {"Lamp", false},      {"urn:dev:mac:0002", false},
        {"urn:dev:mac:0001:temp", true},              {"urn:dev:mac:0001-2", true},
        {"ABCD12", true},       {"abcd12:x", true},   {"AbCd12", true},     {"abcd1", false},
        {"ef01", true},         {"x.broken", false},  {"broken.x", true},   {"tank:out", true},
        {"TANK", true},         {"Tank", true},       {"tanker", false},
    };
    struct bytes damage[] = {BYTES_LITERAL("HSET"), BYTES_LITERAL("weir:{acme}:dev:broken"), BYTES_LITERAL("role"),
                             BYTES_LITERAL("king")};
    add_device("pump", "north");
    add_device("lamp", "hall");
    add_device("lamp:a", "");
    add_device("urn:dev:mac:0001", "north");
    add_device("abcd12", "north");
    add_device("EF01", "north");
    add_value("tank");
    cr_assert(store_client_call(accounts.client, damage, 4));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(have(cases[i].id), cases[i].outside, "%s", cases[i].id);
    scope.sites[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_not(have(cases[i].id), "%s", cases[i].id);
}

/* Commands that Redis has got. */
static uint64_t commands(void)
{
    static const char name[] = "total_commands_processed:";
    const char *at = strstr((const char *)redis_call(accounts.client, "INFO stats")->text.ptr, name);
    cr_assert(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static uint64_t commands_for(const char *id, bool outside)
{
    struct strangers strangers;
    bool ret = !outside;
    cr_assert_eq(strangers_init(&strangers, &scope, latest, &accounts), ACCOUNTS_DONE);
    uint64_t before = commands();
    cr_assert_eq(strangers_have(&strangers, &accounts, bytes_of_text(id), &ret), ACCOUNTS_DONE);
    uint64_t count = commands() - before - 1;
    cr_expect_eq(ret, outside, "%s", id);
    strangers_deinit(&strangers);
    return count;
}

Test(strangers, an_id_of_many_parts_is_asked_for_at_once)
{
    static const char id[] = "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-b";
    cr_expect_eq(commands_for(id, false), 1);
    add_device("a", "hall");
    add_value("a");
    uint64_t count = commands_for(id, false);
    cr_expect_leq(count, 16, "one of them is theirs, %llu", (unsigned long long)count);
    redis_call(accounts.client, "HSET weir:{acme}:total:a-a-a energy x");
    cr_expect_leq(commands_for(id, true), 32);
}

Test(strangers, an_id_that_is_in_use_without_a_record)
{
    static const char *const foreign[] = {"spoke",  "counts", "enrols", "north-1", "nobody-1", "nb-77",
                                          "none-1", "north-1:x", "spoke-2"};
    static const char *const free_ids[] = {"hall-1", "hb-1", "fresh", "77"};
    add_group("g1", "north-*", "north");
    add_group("g2", "nobody-*", "");
    add_group("g3", "hall-*", "hall");
    add_batch("b1", "nb-*", "north");
    add_batch("b2", "none-*", "");
    add_batch("b3", "hb-*", "hall");
    add_batch("b4", "*", "north");
    add_value("spoke");
    redis_call(accounts.client, "HSET weir:{acme}:total:counts energy x");
    redis_call(accounts.client, "HSET weir:{acme}:enrol:enrols state pending");
    for (size_t i = 0; i < COUNT_OF(foreign); i++)
        cr_expect(have(foreign[i]), "%s", foreign[i]);
    for (size_t i = 0; i < COUNT_OF(free_ids); i++)
        cr_expect_not(have(free_ids[i]), "%s", free_ids[i]);
    add_group("g4", "*", "north");
    cr_expect(have("fresh"), "a group of another site has every id");
    scope.sites[0] = '\0';
    cr_expect_not(have("spoke"));
}

Test(strangers, what_is_beside_an_id)
{
    char ret[STRANGERS_BESIDE_MAX][SCHEMA_DEVICE_MAX + 1], longest[SCHEMA_DEVICE_MAX + 1];
    cr_expect_eq(strangers_beside(BYTES_LITERAL("0001"), ret), 0);
    cr_assert_eq(strangers_beside(BYTES_LITERAL("aB:1-2"), ret), 4);
    cr_expect_str_eq(ret[0], "ab:1-2");
    cr_expect_str_eq(ret[1], "AB:1-2");
    cr_expect_str_eq(ret[2], "aB");
    cr_expect_str_eq(ret[3], "aB:1");
    memset(longest, '-', SCHEMA_DEVICE_MAX);
    longest[0] = 'a', longest[1] = 'B', longest[SCHEMA_DEVICE_MAX] = '\0';
    cr_expect_eq(strangers_beside(bytes_of_text(longest), ret), SCHEMA_DEVICE_MAX);
}

Test(strangers, what_is_damaged_is_nobodys_and_a_part_may_be_one_letter)
{
    redis_call(accounts.client, "HSET weir:{acme}:group:gx pattern fresh-* disabled perhaps");
    redis_call(accounts.client, "HSET weir:{acme}:batch:bx pattern fresh-* disabled perhaps");
    redis_call(accounts.client, "SADD weir:{acme}:groups gx");
    redis_call(accounts.client, "SADD weir:{acme}:batches bx");
    cr_expect_not(have("fresh-1"));
    add_device("p", "north");
    cr_expect(have("p:inlet"));
}
