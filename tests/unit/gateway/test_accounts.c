// SPDX-License-Identifier: GPL-3.0-or-later
/* What the CLI does to Redis: records, sets and the entries of weir:changes, against a real Redis. */
#include "gateway/accounts.h"
#include "gateway/kids.h"
#include "gateway/vault.h"
#include "tests/unit/gateway/redis_tap.h"

static struct redis_fixture redis;
static struct store_client *client;
static struct accounts accounts;

static void setup(void)
{
    redis_start(&redis);
    client = redis_client(&redis);
    accounts = (struct accounts){.client = client};
}

static void teardown(void)
{
    store_client_close(client);
    redis_remove(&redis);
}

TestSuite(accounts, .init = setup, .fini = teardown);

#define T BYTES_LITERAL("acme")
#define D BYTES_LITERAL("d1")

static void add_tenant(void)
{
    struct tenant_record tenant = {.id = "acme", .created_s = 5};
    cr_assert_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_DONE);
}

static struct record_room room;

static struct device_record device(const char *id)
{
    static struct credential psk = {.id = "psk", .kind = CREDENTIAL_PSK};
    struct device_record record = {.tenant = "acme", .created_s = 6, .credentials = &psk, .credential_count = 1};
    snprintf(record.id, sizeof record.id, "%s", id);
    secret_set(&psk.secret, BYTES_LITERAL("0123456789abcdef"));
    return record;
}

static bool has_same_psk(const struct device_record *a, const struct device_record *b)
{
    const struct credential *x = record_credential(a, CREDENTIAL_PSK, 0, NULL);
    const struct credential *y = record_credential(b, CREDENTIAL_PSK, 0, NULL);
    return x && y && secret_equal(&x->secret, &y->secret);
}

static void add_device(const char *id)
{
    struct device_record record = device(id);
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
}

static struct token_record token(const char *id)
{
    struct token_record record = {.tenant = "acme", .role = ROLE_OPERATOR};
    snprintf(record.id, sizeof record.id, "%s", id);
    return record;
}

/* How many entries weir:changes has, and what the last one is about: "device acme d1". */
static int64_t last_change(char ret[static 256])
{
    const struct store_reply *reply = redis_call(client, "XREVRANGE weir:changes + - COUNT 1");
    ret[0] = '\0';
    if (reply->count == 1) {
        const struct store_reply *fields = &reply->items[0].items[1];
        cr_assert(fields->count == 6 || (fields->count == 8 && bytes_equal_text(fields->items[6].text, "r")));
        for (size_t i = 1; i < 6; i += 2)
            snprintf(ret + strlen(ret), 256 - strlen(ret), "%s%.*s", i > 1 ? " " : "", (int)fields->items[i].text.len,
                     (const char *)fields->items[i].text.ptr);
    }
    return redis_call(client, "XLEN weir:changes")->integer;
}

static void expect_change(int64_t count, const char *what)
{
    char change[256];
    cr_expect_eq(last_change(change), count, "%s", what);
    cr_expect_str_eq(change, what);
}

Test(accounts, tenants)
{
    struct tenant_record record = {.id = "acme"};
    cr_assert_eq(accounts_get_tenant(&accounts, T, &record), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(accounts_set_tenant_disabled(&accounts, T, true), ACCOUNTS_NOT_FOUND);
    add_tenant();
    expect_change(1, "tenant acme ");
    cr_assert_eq(accounts_add_tenant(&accounts, &record, false), ACCOUNTS_EXISTS);
    cr_assert_eq(accounts_get_tenant(&accounts, T, &record), ACCOUNTS_DONE);
    cr_assert_eq(record.created_s, 5);
    cr_assert_not(record.disabled);
    cr_assert_eq(accounts_set_tenant_disabled(&accounts, T, true), ACCOUNTS_DONE);
    expect_change(2, "tenant acme ");
    cr_assert_eq(accounts_get_tenant(&accounts, T, &record), ACCOUNTS_DONE);
    cr_assert(record.disabled);
    cr_assert_eq(record.level, LEVEL_SPOOLED);
    cr_assert_eq(accounts_set_tenant_level(&accounts, T, LEVEL_STORED), ACCOUNTS_DONE);
    expect_change(3, "tenant acme ");
    cr_assert_eq(accounts_get_tenant(&accounts, T, &record), ACCOUNTS_DONE);
    cr_assert(record.disabled && record.level == LEVEL_STORED);
    cr_assert_eq(accounts_set_tenant_level(&accounts, BYTES_LITERAL("nobody"), LEVEL_STORED), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(accounts_add_tenant(&accounts, &record, true), ACCOUNTS_DONE);
    cr_assert_eq(redis_call(client, "SISMEMBER weir:tenants acme")->integer, 1);
}

Test(accounts, devices)
{
    struct device_record record = device("d1"), found;
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_NO_TENANT);
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:dev:d1")->integer, 0);
    add_tenant();
    add_device("d1");
    expect_change(2, "device acme d1");
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_EXISTS);
    expect_change(2, "device acme d1");
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DONE);
    cr_assert(has_same_psk(&found, &record));
    cr_assert_eq(accounts_set_device_disabled(&accounts, T, D, true), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DONE);
    cr_assert(found.disabled);
    cr_assert(has_same_psk(&found, &record));
    redis_call(client, "HSET weir:{acme}:total:d1 energy x");
    redis_call(client, "HSET weir:{acme}:total:d11 energy x");
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_DONE);
    expect_change(4, "device acme d1");
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:total:d1")->integer, 0);
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:total:d11")->integer, 1);
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(redis_call(client, "SCARD weir:{acme}:devices")->integer, 0);
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_NOT_FOUND);
}

/* As the Function has written it, of epochs 1, 2 and, at last, 3. */
static void remember(const char *device)
{
    static const char *const commands[] = {
        "HSET weir:{acme}:seen %s|1 a %s|2 b %s|3 c",
        "HSET weir:{acme}:epoch %s 3",
        "HSET weir:{acme}:epochs:%s 1 500 2 9007199254740991",
        "ZADD weir:{acme}:superseded 100 %s|1|500 101 %s|2|9007199254740991",
        "ZADD weir:{acme}:holes:%s:1 4 2-4",
        "ZADD weir:{acme}:holes:%s:3 4 2-4",
        "ZADD weir:{acme}:once:%s 4 digest",
        "HSET weir:{acme}:total:%s energy x",
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char text[256], *words[16];
        int count = 0;
        snprintf(text, sizeof text, commands[i], device, device, device);
        for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
            words[count++] = word;
        struct bytes arguments[16];
        for (int k = 0; k < count; k++) {
            for (char *bar = words[k]; (bar = strchr(bar, '|'));)
                *bar = ' ';
            arguments[k] = bytes_of_text(words[k]);
        }
        const struct store_reply *reply = store_client_call(client, arguments, (size_t)count);
        cr_assert(reply && reply->type == STORE_INTEGER, "%s", commands[i]);
    }
}

static int64_t count_in(const char *key, const char *word)
{
    struct bytes arguments[] = {bytes_of_text(word), bytes_of_text(key)};
    return store_client_call(client, arguments, 2)->integer;
}

static void expect_memory(int64_t seen, int64_t epoch, int64_t superseded, int64_t keys)
{
    cr_expect_eq(count_in("weir:{acme}:seen", "HLEN"), seen);
    cr_expect_eq(count_in("weir:{acme}:epoch", "HLEN"), epoch);
    cr_expect_eq(count_in("weir:{acme}:superseded", "ZCARD"), superseded);
    static const char *const kinds[] = {"holes:*", "once:*", "epochs:*", "total:*"};
    for (size_t i = 0; i < 4; i++) {
        char key[64];
        snprintf(key, sizeof key, "weir:{acme}:%s", kinds[i]);
        struct bytes arguments[] = {BYTES_LITERAL("KEYS"), bytes_of_text(key)};
        keys -= (int64_t)store_client_call(client, arguments, 2)->count;
    }
    cr_expect_eq(keys, 0);
}

Test(accounts, nothing_is_remembered_of_a_device_that_was_removed)
{
    add_tenant();
    add_device("d1");
    add_device("d11");
    remember("d1");
    remember("d11");
    redis_call(client, "HSET weir:{acme}:epoch :listed 50");
    expect_memory(6, 3, 4, 10);
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_DONE);
    expect_memory(3, 2, 2, 5);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("d11")), ACCOUNTS_DONE);
    expect_memory(0, 1, 0, 0);
}

/* What an older Function has replaced is in superseded alone, among that of others. */
Test(accounts, replaced_epochs_of_an_older_version_are_found)
{
    for (unsigned round = 0; round < 3; round++) {
        if (round == 0)
            add_tenant();
        add_device("d1");
        add_device("d2");
        remember("d1");
        remember("d2");
        redis_call(client, "DEL weir:{acme}:epochs:d1 weir:{acme}:epochs:d2");
        if (round > 0)
            redis_call(client, round == 1 ? "HSET weir:{acme}:epoch :listed 101" : "HSET weir:{acme}:epoch :listed 100");
        cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_DONE);
        static const int64_t left[] = {3, 4, 5}; /* those from before :listed, which is in none, one or both */
        cr_expect_eq(count_in("weir:{acme}:seen", "HLEN"), left[round]);
        redis_call(client, "DEL weir:{acme}:seen weir:{acme}:superseded");
        cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("d2")), ACCOUNTS_DONE);
    }
}

Test(accounts, many_replaced_epochs_are_found)
{
    add_tenant();
    add_device("d1");
    for (unsigned i = 0; i < 300; i++) {
        char text[96];
        snprintf(text, sizeof text, "HSET weir:{acme}:epochs:d1 %u 7", i);
        redis_call(client, text);
        snprintf(text, sizeof text, "ZADD weir:{acme}:holes:d1:%u 1 1-1", i);
        redis_call(client, text);
    }
    redis_call(client, "HSET weir:{acme}:epochs:d1 x 7 -1 7 12345678901 7 5000 x 5001 12345678901234567");
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_DONE);
    expect_memory(0, 0, 0, 1);
    cr_expect_eq(count_in("weir:{acme}:epochs:d1", "HLEN"), 5, "what nobody of ours has written");
}

Test(accounts, nothing_is_remembered_of_a_tenant_that_was_removed)
{
    add_tenant();
    for (unsigned i = 0; i < 150; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%u", i);
        add_device(id);
        remember(id);
    }
    redis_call(client, "ZADD weir:{acme}:superseded 1 garbage");
    redis_call(client, "ZADD weir:{acme}:conflicted 1 x");
    redis_call(client, "HSET weir:{acme}:hwm lane 7");
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    expect_memory(0, 0, 0, 0);
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:conflicted")->integer, 0);
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:hwm")->integer, 1, "what was pushed is not pushed again");
}

/* As if the removal had died behind its first step. */
Test(accounts, what_is_left_of_a_tenant_speaks_for_no_other_one)
{
    struct tenant_record tenant = {.id = "acme"};
    add_tenant();
    add_device("d1");
    redis_call(client, "DEL weir:{acme}:meta");
    redis_call(client, "SREM weir:tenants acme");
    cr_expect_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_LEFTOVER);
    cr_expect_eq(accounts_add_tenant(&accounts, &tenant, true), ACCOUNTS_LEFTOVER);
    cr_expect_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_NOT_FOUND);
    cr_expect_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_DONE);
    add_device("d1");
    cr_expect_eq(accounts_add_tenant(&accounts, &tenant, true), ACCOUNTS_DONE);
}

/* Gateways see it also when the device is there again before they look. */
Test(accounts, a_removal_says_so)
{
    add_tenant();
    add_device("d1");
    const char *gone = "XREVRANGE weir:changes + - COUNT 1";
    cr_expect_eq(redis_call(client, gone)->items[0].items[1].count, 6);
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_DONE);
    const struct store_reply *fields = &redis_call(client, gone)->items[0].items[1];
    cr_expect(fields->count == 8 && bytes_equal_text(fields->items[6].text, "r"));
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    cr_expect_eq(redis_call(client, gone)->items[0].items[1].count, 8);
}

Test(accounts, replacing_leaves_no_old_field)
{
    struct device_record record = device("d1"), found;
    add_tenant();
    strcpy(record.site, "north");
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
    record = device("d1");
    struct credential x509 = {.id = "x509", .kind = CREDENTIAL_X509, .name = "urn:d1"};
    record.credentials = &x509;
    cr_assert_eq(accounts_add_device(&accounts, &record, true), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DONE);
    cr_assert_str_eq(found.site, "");
    cr_assert_eq(found.credential_count, 1);
    cr_assert_str_eq(found.credentials[0].name, "urn:d1");
}

Test(accounts, tokens)
{
    struct token_record record = token("0123456789abcdef"), found;
    struct bytes id = BYTES_LITERAL("0123456789abcdef");
    cr_assert_eq(accounts_add_token(&accounts, &record), ACCOUNTS_NO_TENANT);
    add_tenant();
    cr_assert_eq(accounts_add_token(&accounts, &record), ACCOUNTS_DONE);
    expect_change(2, "token acme 0123456789abcdef");
    cr_assert_eq(accounts_get_token(&accounts, id, &found), ACCOUNTS_DONE);
    cr_assert_str_eq(found.tenant, "acme");
    cr_assert_eq(accounts_revoke_token(&accounts, id), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_token_of(&accounts, T, id, &found), ACCOUNTS_DONE);
    cr_assert(found.revoked);
    cr_assert_eq(accounts_revoke_token(&accounts, BYTES_LITERAL("0000000000000000")), ACCOUNTS_NOT_FOUND);
    record = token("1111111111111111");
    record.role = ROLE_DEVICE;
    strcpy(record.device, "d1");
    cr_assert_eq(accounts_add_token(&accounts, &record), ACCOUNTS_NO_DEVICE);
    add_device("d1");
    cr_assert_eq(accounts_add_token(&accounts, &record), ACCOUNTS_DONE);
}

Test(accounts, lists_are_sorted_and_checked)
{
    struct accounts_ids ids;
    cr_assert_eq(accounts_list_tenants(&accounts, &ids), ACCOUNTS_DONE);
    cr_assert_eq(ids.count, 0);
    free(ids.ids);
    cr_assert_eq(accounts_list_devices(&accounts, T, &ids), ACCOUNTS_NO_TENANT);
    add_tenant();
    add_device("b");
    add_device("a");
    add_device("c");
    redis_call(client, "SADD weir:{acme}:devices not/valid");
    cr_assert_eq(accounts_list_devices(&accounts, T, &ids), ACCOUNTS_DONE);
    cr_assert_eq(ids.count, 3);
    cr_assert_str_eq(ids.ids[0], "a");
    cr_assert_str_eq(ids.ids[2], "c");
    free(ids.ids);
}

Test(accounts, removing_a_tenant_leaves_its_stream_only)
{
    add_tenant();
    for (unsigned i = 0; i < 1203; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%u", i);
        add_device(id);
    }
    struct token_record record = token("0123456789abcdef");
    cr_assert_eq(accounts_add_token(&accounts, &record), ACCOUNTS_DONE);
    redis_call(client, "XADD weir:{acme}:obs * d d1");
    redis_call(client, "HSET weir:{acme}:total:d0 energy x");
    redis_call(client, "HSET weir:{acme}:total:d1202 energy x");
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    expect_change(1206, "tenant acme ");
    const struct store_reply *keys = redis_call(client, "KEYS *");
    cr_assert_eq(keys->count, 3); /* weir:changes, the stream, and who did it */
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:obs weir:{acme}:audit weir:changes")->integer, 3);
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_NOT_FOUND);
}

Test(accounts, what_is_damaged_is_told)
{
    struct device_record found;
    add_tenant();
    redis_call(client, "HSET weir:{acme}:dev:d1 psk nonsense");
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DAMAGED);
    redis_call(client, "SET weir:{acme}:dev:d2 x");
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("d2"), &room, &found), ACCOUNTS_REFUSED);
    cr_assert(strncmp(accounts.error, "WRONGTYPE", 9) == 0);
    cr_assert_eq(accounts_set_device_disabled(&accounts, T, BYTES_LITERAL("d2"), true), ACCOUNTS_REFUSED);
    expect_change(2, "device acme d2"); /* EXEC runs the rest; reading d2 again does no harm */
}

Test(accounts, redis_is_away)
{
    struct tenant_record record = {.id = "acme"};
    redis_stop(&redis);
    cr_assert_eq(accounts_add_tenant(&accounts, &record, false), ACCOUNTS_AWAY);
    redis_launch(&redis);
}

static enum accounts_result add_rule(const char *id, const char *stream, bool replace)
{
    struct rule_record record = {.tenant = "acme", .order = 7};
    snprintf(record.id, sizeof record.id, "%s", id);
    snprintf(record.stream, sizeof record.stream, "%s", stream);
    return accounts_add_rule(&accounts, &record, replace);
}

Test(accounts, rules)
{
    struct rule_record found;
    struct accounts_ids ids;
    cr_assert_eq(add_rule("r1", "north", false), ACCOUNTS_NO_TENANT);
    add_tenant();
    cr_assert_eq(add_rule("r1", "north", false), ACCOUNTS_DONE);
    expect_change(2, "rule acme r1");
    cr_assert_eq(add_rule("r1", "south", false), ACCOUNTS_EXISTS);
    cr_assert_eq(add_rule("r1", "south", true), ACCOUNTS_DONE);
    cr_assert_eq(add_rule("r2", "obs", false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_rule(&accounts, T, BYTES_LITERAL("r1"), &found), ACCOUNTS_DONE);
    cr_assert_str_eq(found.stream, "south");
    cr_assert_eq(found.order, 7);
    cr_assert_eq(accounts_list_streams(&accounts, T, &ids), ACCOUNTS_DONE);
    cr_assert_eq(ids.count, 2, "what a rule has ever named, but not obs");
    cr_assert_str_eq(ids.ids[0], "north");
    free(ids.ids);
    cr_assert_eq(accounts_remove_rule(&accounts, T, BYTES_LITERAL("r1")), ACCOUNTS_DONE);
    expect_change(5, "rule acme r1");
    cr_assert_eq(accounts_remove_rule(&accounts, T, BYTES_LITERAL("r1")), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(accounts_list_rules(&accounts, T, &ids), ACCOUNTS_DONE);
    cr_assert_eq(ids.count, 1);
    free(ids.ids);
}

Test(accounts, a_tenant_has_so_many_rules)
{
    add_tenant();
    for (unsigned i = 0; i < RECORD_RULES_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%u", i);
        cr_assert_eq(add_rule(id, "", false), ACCOUNTS_DONE);
    }
    cr_assert_eq(add_rule("more", "", false), ACCOUNTS_FULL);
    cr_assert_eq(add_rule("r5", "x", true), ACCOUNTS_DONE, "replacing adds none");
}

Test(accounts, retention)
{
    struct stream_record record = {.tenant = "acme", .name = "north", .max_age_s = 9, .groups = ""}, found;
    struct bytes name = BYTES_LITERAL("north");
    cr_assert_eq(accounts_set_stream(&accounts, &record), ACCOUNTS_NO_TENANT);
    add_tenant();
    cr_assert_eq(accounts_set_stream(&accounts, &record), ACCOUNTS_DONE);
    expect_change(2, "stream acme north");
    record.max_age_s = 10;
    cr_assert_eq(accounts_set_stream(&accounts, &record), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_stream(&accounts, T, name, &found), ACCOUNTS_DONE);
    cr_assert_eq(found.max_age_s, 10);
    cr_assert_str_eq(found.groups, "", "nobody is asked survives the way through Redis");
    redis_call(client, "XADD weir:{acme}:stream:north * a b");
    cr_assert_eq(accounts_remove_stream(&accounts, T, name), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_stream(&accounts, T, name, &found), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(accounts_remove_stream(&accounts, T, name), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(redis_call(client, "SISMEMBER weir:{acme}:streams north")->integer, 1, "it holds entries");
    redis_call(client, "DEL weir:{acme}:stream:north");
    cr_assert_eq(accounts_set_stream(&accounts, &record), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_stream(&accounts, T, name), ACCOUNTS_DONE);
    cr_assert_eq(redis_call(client, "SISMEMBER weir:{acme}:streams north")->integer, 0);
}

Test(accounts, a_removed_tenant_takes_rules_and_retention_along)
{
    struct stream_record record = {.tenant = "acme", .name = "north", .groups = "*"};
    add_tenant();
    cr_assert_eq(add_rule("r1", "north", false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_set_stream(&accounts, &record), ACCOUNTS_DONE);
    redis_call(client, "XADD weir:{acme}:stream:north * a b");
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:rules weir:{acme}:rule:r1 weir:{acme}:streams "
                                    "weir:{acme}:str:north")->integer, 0);
    cr_assert_eq(redis_call(client, "EXISTS weir:{acme}:stream:north")->integer, 1, "its streams stay");
}

Test(accounts, single_fields_of_a_device)
{
    struct device_record record = device("d1"), found;
    struct record_field fields[] = {
        {BYTES_LITERAL("site"), BYTES_LITERAL("south")},
        {BYTES_LITERAL("tags"), BYTES_LITERAL("")},
        {BYTES_LITERAL("profile"), BYTES_LITERAL("old-meters")},
    };
    cr_assert_eq(accounts_set_device_fields(&accounts, T, D, fields, 3), ACCOUNTS_NOT_FOUND);
    add_tenant();
    strcpy(record.site, "north");
    strcpy(record.tags, "a,b");
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
    redis_call(client, "HSET weir:{acme}:dev:d1 newer x");
    cr_assert_eq(accounts_set_device_fields(&accounts, T, D, fields, 3), ACCOUNTS_DONE);
    expect_change(3, "device acme d1");
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DONE);
    cr_expect_str_eq(found.site, "south");
    cr_expect_str_eq(found.tags, "");
    cr_expect_str_eq(found.profile, "old-meters");
    cr_expect(has_same_psk(&found, &record));
    cr_expect_eq(redis_call(client, "HEXISTS weir:{acme}:dev:d1 newer")->integer, 1, "of a newer weir");
    cr_expect_eq(redis_call(client, "HEXISTS weir:{acme}:dev:d1 tags")->integer, 0);
    cr_assert_eq(accounts_set_device_fields(&accounts, T, D, &fields[1], 1), ACCOUNTS_DONE);
}

Test(accounts, profiles)
{
    struct profile_record record = {.tenant = "acme", .id = "old", .format = "cayenne-lpp", .clock = CLOCK_CORRECT}, found;
    struct bytes id = BYTES_LITERAL("old");
    struct accounts_ids ids;
    cr_assert_eq(accounts_add_profile(&accounts, &record, false), ACCOUNTS_NO_TENANT);
    add_tenant();
    cr_assert_eq(accounts_add_profile(&accounts, &record, false), ACCOUNTS_DONE);
    expect_change(2, "profile acme old");
    cr_assert_eq(accounts_add_profile(&accounts, &record, false), ACCOUNTS_EXISTS);
    cr_assert_eq(accounts_get_profile(&accounts, T, id, &found), ACCOUNTS_DONE);
    cr_expect_str_eq(found.format, "cayenne-lpp");
    cr_expect_eq(found.clock, CLOCK_CORRECT);
    cr_assert_eq(accounts_list_profiles(&accounts, T, &ids), ACCOUNTS_DONE);
    cr_expect_eq(ids.count, 1);
    free(ids.ids);
    cr_assert_eq(accounts_remove_profile(&accounts, T, id), ACCOUNTS_DONE);
    expect_change(3, "profile acme old");
    cr_assert_eq(accounts_get_profile(&accounts, T, id, &found), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(accounts_remove_profile(&accounts, T, id), ACCOUNTS_NOT_FOUND);
}

Test(accounts, codecs_of_any_size)
{
    static char definition[RECORD_DEFINITION_MAX];
    struct codec_record record = {.tenant = "acme", .id = "th", .definition = bytes_of(definition, sizeof definition)};
    struct codec_record found;
    struct bytes id = BYTES_LITERAL("th");
    struct accounts_ids ids;
    for (size_t i = 0; i < sizeof definition; i++)
        definition[i] = (char)i; /* all octets */
    cr_assert_eq(accounts_add_codec(&accounts, &record, false), ACCOUNTS_NO_TENANT);
    add_tenant();
    cr_assert_eq(accounts_add_codec(&accounts, &record, false), ACCOUNTS_DONE);
    expect_change(2, "codec acme th");
    cr_assert_eq(accounts_get_codec(&accounts, T, id, &found), ACCOUNTS_DONE);
    cr_expect(bytes_equal(found.definition, record.definition));
    cr_assert_eq(accounts_list_codecs(&accounts, T, &ids), ACCOUNTS_DONE);
    cr_expect_eq(ids.count, 1);
    free(ids.ids);
    cr_assert_eq(accounts_remove_codec(&accounts, T, id), ACCOUNTS_DONE);
    expect_change(3, "codec acme th");
}

Test(accounts, a_codec_is_quarantined_and_released)
{
    struct codec_record record = {.tenant = "acme", .id = "th", .definition = BYTES_LITERAL("{}")}, found;
    struct bytes id = BYTES_LITERAL("th");
    char reason[2 * RECORD_REASON_MAX] = "x"; /* so that a character of two octets stands over the border */
    for (size_t i = 1; i + 1 < sizeof reason; i += 2)
        memcpy(reason + i, "\xc3\xa4", 2);
    cr_assert_eq(accounts_set_codec_quarantined(&accounts, T, id, true, BYTES_LITERAL("why")), ACCOUNTS_NOT_FOUND);
    add_tenant();
    cr_assert_eq(accounts_add_codec(&accounts, &record, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_set_codec_quarantined(&accounts, T, id, true, bytes_of(reason, sizeof reason - 1)), ACCOUNTS_DONE);
    expect_change(3, "codec acme th");
    cr_assert_eq(accounts_get_codec(&accounts, T, id, &found), ACCOUNTS_DONE);
    cr_expect(found.quarantined);
    cr_expect_eq(strlen(found.reason), RECORD_REASON_MAX - 1);
    cr_assert_eq(accounts_set_codec_quarantined(&accounts, T, id, false, bytes_of(NULL, 0)), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_codec(&accounts, T, id, &found), ACCOUNTS_DONE);
    cr_expect(!found.quarantined && found.reason[0] == '\0');
}

Test(accounts, a_codec_has_two_witnesses_of_its_definition)
{
    struct codec_record record = {.tenant = "acme", .id = "th", .definition = BYTES_LITERAL("{}")}, found;
    struct bytes id = BYTES_LITERAL("th"), text = BYTES_LITERAL("{}");
    cr_assert_eq(accounts_add_codec_witness(&accounts, T, id, text, BYTES_LITERAL("a")), ACCOUNTS_NOT_FOUND);
    add_tenant();
    cr_assert_eq(accounts_add_codec(&accounts, &record, false), ACCOUNTS_DONE);
    cr_expect_eq(accounts_add_codec_witness(&accounts, T, id, BYTES_LITERAL("{ }"), BYTES_LITERAL("a")), ACCOUNTS_EXISTS);
    cr_expect_eq(accounts_add_codec_witness(&accounts, T, id, text, BYTES_LITERAL("a")), ACCOUNTS_DONE);
    expect_change(3, "codec acme th");
    cr_expect_eq(accounts_add_codec_witness(&accounts, T, id, text, BYTES_LITERAL("a")), ACCOUNTS_EXISTS);
    cr_expect_eq(accounts_add_codec_witness(&accounts, T, id, text, BYTES_LITERAL("b")), ACCOUNTS_DONE);
    cr_expect_eq(accounts_add_codec_witness(&accounts, T, id, text, BYTES_LITERAL("c")), ACCOUNTS_EXISTS);
    cr_assert_eq(accounts_get_codec(&accounts, T, id, &found), ACCOUNTS_DONE);
    cr_expect_str_eq(found.witnesses, "a,b");
    cr_assert_eq(accounts_add_codec(&accounts, &record, true), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_codec(&accounts, T, id, &found), ACCOUNTS_DONE);
    cr_expect_str_eq(found.witnesses, "");
}

Test(accounts, a_removed_tenant_takes_profiles_and_codecs_along)
{
    struct profile_record profile = {.tenant = "acme", .id = "old"};
    struct codec_record codec = {.tenant = "acme", .id = "th", .definition = BYTES_LITERAL("{}")};
    add_tenant();
    cr_assert_eq(accounts_add_profile(&accounts, &profile, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_add_codec(&accounts, &codec, false), ACCOUNTS_DONE);
    redis_call(client, "XADD weir:{acme}:quarantine * x y");
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    cr_assert_eq(redis_call(client, "KEYS *")->count, 2, "weir:changes and the audit");
}

/* Credentials and groups. */

static struct credential credential_of(const char *id, enum credential_kind kind, uint8_t fill)
{
    struct credential credential = {.kind = kind, .created_s = 7};
    snprintf(credential.id, sizeof credential.id, "%s", id);
    if (credential_is_secret(kind))
        memset(credential.secret.octets, fill, credential.secret.len = 32);
    else
        memset(credential.public, fill, credential.public_len = kind == CREDENTIAL_ES256 ? 64 : 32);
    return credential;
}

static enum accounts_result put_key(const char *device_id, const char *id, enum credential_kind kind, uint8_t fill,
                                    bool replace)
{
    struct credential credential = credential_of(id, kind, fill);
    return accounts_put_credential(&accounts, T, bytes_of_text(device_id), &credential, replace);
}

static bool kid_is(const char *kid, const char *device_id)
{
    char command[96];
    snprintf(command, sizeof command, "HGET weir:{acme}:kids %s", kid);
    const struct store_reply *reply = redis_call(client, command);
    return bytes_equal_text(reply->text, device_id);
}

Test(accounts, credentials_come_and_go_one_by_one)
{
    struct device_record found;
    add_tenant();
    cr_assert_eq(put_key("d1", "k1", CREDENTIAL_ES256, 1, false), ACCOUNTS_NOT_FOUND);
    add_device("d1");
    cr_assert_eq(put_key("d1", "k1", CREDENTIAL_ES256, 1, false), ACCOUNTS_DONE);
    expect_change(3, "device acme d1");
    cr_assert_eq(put_key("d1", "k1", CREDENTIAL_ES256, 2, false), ACCOUNTS_EXISTS);
    cr_assert_eq(put_key("d1", "k1", CREDENTIAL_ES256, 2, true), ACCOUNTS_DONE);
    cr_expect(kid_is("k1", "d1"));
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DONE);
    cr_assert_eq(found.credential_count, 2);
    cr_expect_eq(found.credentials[0].public[0], 2);
    cr_expect_str_eq(found.credentials[1].id, "psk");
    cr_assert_eq(put_key("d1", "k1", CREDENTIAL_HMAC, 3, true), ACCOUNTS_DONE);
    cr_expect(kid_is("k1", ""), "no signature kind any more");
    cr_assert_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("k2")), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("k1")), ACCOUNTS_DONE);
    expect_change(6, "device acme d1");
    cr_assert_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("psk")), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DONE);
    cr_expect_eq(found.credential_count, 0);
}

Test(accounts, a_kid_belongs_to_one_device_of_a_tenant)
{
    struct credential key = credential_of("k1", CREDENTIAL_EDDSA, 1);
    struct device_record record = device("d2");
    record.credentials = &key;
    add_tenant();
    add_device("d1");
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
    cr_expect(kid_is("k1", "d2"));
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_HS256, 1, false), ACCOUNTS_EXISTS);
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_HS256, 1, true), ACCOUNTS_EXISTS);
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_HMAC, 1, false), ACCOUNTS_DONE, "no kid");
    strcpy(record.id, "d3");
    cr_expect_eq(accounts_add_device(&accounts, &record, true), ACCOUNTS_EXISTS);
    struct tenant_record neighbour = {.id = "other"};
    cr_assert_eq(accounts_add_tenant(&accounts, &neighbour, false), ACCOUNTS_DONE);
    strcpy(record.tenant, "other");
    cr_expect_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE, "another tenant");
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("d2")), ACCOUNTS_DONE);
    cr_expect(kid_is("k1", ""));
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_HS256, 1, true), ACCOUNTS_DONE);
    struct device_record plain = device("d1");
    cr_assert_eq(accounts_add_device(&accounts, &plain, true), ACCOUNTS_DONE);
    cr_expect(kid_is("k1", ""), "replaced without it");
    cr_assert_eq(accounts_remove_tenant(&accounts, BYTES_LITERAL("other")), ACCOUNTS_DONE);
    cr_expect_eq(redis_call(client, "EXISTS weir:{other}:kids")->integer, 0);
}

Test(accounts, a_public_key_belongs_to_one_device_of_a_tenant)
{
    add_tenant();
    add_device("d1");
    add_device("d2");
    cr_assert_eq(put_key("d1", "k1", CREDENTIAL_ES256, 1, false), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d2", "k2", CREDENTIAL_ES256, 1, false), ACCOUNTS_SAME_SECRET);
    cr_expect_str_eq(accounts.holder, "d1");
    cr_expect_eq(put_key("d2", "k1", CREDENTIAL_ES256, 2, false), ACCOUNTS_EXISTS);
    cr_expect_str_eq(accounts.holder, "d1");
    cr_assert_eq(put_key("d2", "k2", CREDENTIAL_ES256, 2, false), ACCOUNTS_DONE);
    cr_expect_str_eq(accounts.holder, "");
    struct credential key = credential_of("k3", CREDENTIAL_ES256, 1);
    struct device_record record = device("d3");
    record.credentials = &key;
    cr_expect_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_SAME_SECRET);
    cr_assert_eq(put_key("d1", "again", CREDENTIAL_ES256, 1, false), ACCOUNTS_DONE, "by another name");
    cr_assert_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("k1")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d2", "k1", CREDENTIAL_ES256, 1, false), ACCOUNTS_SAME_SECRET, "d1 still has it");
    cr_assert_eq(put_key("d1", "again", CREDENTIAL_ES256, 3, true), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d2", "k1", CREDENTIAL_ES256, 1, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("d2")), ACCOUNTS_DONE);
    cr_expect_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
}

static enum accounts_result put_named(const char *device_id, const char *id, enum credential_kind kind, const char *name,
                                      uint8_t fill)
{
    struct credential credential = {.kind = kind, .created_s = 7, .name = name};
    snprintf(credential.id, sizeof credential.id, "%s", id);
    if (kind == CREDENTIAL_CA)
        memset(credential.public, fill, credential.public_len = fill ? CREDENTIAL_CA_ANY : CREDENTIAL_CA_LEAF);
    return accounts_put_credential(&accounts, T, bytes_of_text(device_id), &credential, false);
}

Test(accounts, what_is_shown_in_a_handshake_belongs_to_one_device_of_a_tenant)
{
    add_tenant();
    add_device("d1");
    add_device("d2");
    cr_assert_eq(put_key("d1", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d2", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    cr_expect_str_eq(accounts.holder, "d1");
    cr_expect_eq(put_key("d2", "raw", CREDENTIAL_RPK, 2, false), ACCOUNTS_DONE, "its id may be the same");
    cr_assert_eq(put_named("d1", "cn", CREDENTIAL_X509, "pump one", 0), ACCOUNTS_DONE);
    cr_expect_eq(put_named("d2", "cn", CREDENTIAL_X509, "pump one", 0), ACCOUNTS_SAME_SECRET);
    cr_expect_eq(put_named("d2", "cn", CREDENTIAL_X509, "pump", 0), ACCOUNTS_DONE);
    cr_assert_eq(put_named("d1", "ca", CREDENTIAL_CA, "pump one", 3), ACCOUNTS_DONE, "it says more of the same");
    cr_expect_eq(put_named("d2", "ca", CREDENTIAL_CA, "pump one", 3), ACCOUNTS_SAME_SECRET);
    cr_expect_eq(put_named("d2", "ca", CREDENTIAL_CA, "pump one", 4), ACCOUNTS_SAME_SECRET, "by any authority");
    cr_expect_eq(put_named("d2", "leaf", CREDENTIAL_CA, "pump one", 0), ACCOUNTS_SAME_SECRET, "and of one leaf");
    cr_expect_eq(put_named("d1", "leaf", CREDENTIAL_CA, "leaf", 0), ACCOUNTS_DONE);
    cr_expect_eq(put_named("d2", "leaf", CREDENTIAL_X509, "leaf", 0), ACCOUNTS_SAME_SECRET);
    cr_expect_eq(put_named("d2", "early", CREDENTIAL_X509, "weir://acme/d1", 0), ACCOUNTS_DONE, "it is d1's anyway");
    cr_expect_eq(put_named("d1", "own", CREDENTIAL_CA, "weir://acme/d1", 0), ACCOUNTS_DONE);
    cr_assert_eq(put_key("d1", "again", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("raw")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d2", "more", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET, "d1 has it still");
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d2", "more", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
    cr_expect_eq(put_named("d2", "cn2", CREDENTIAL_X509, "pump one", 0), ACCOUNTS_DONE);
}

Test(accounts, a_raw_key_that_an_older_weir_wrote_is_given_up_with_its_field)
{
    char claim[256];
    struct credential raw = credential_of("rpk", CREDENTIAL_RPK, 1);
    char name[KIDS_NAME_MAX + 1];
    cr_assert(kids_shown_name(&raw, name));
    add_tenant();
    add_device("d1");
    add_device("d2");
    redis_call(client, "HSET weir:{acme}:dev:d1 rpk 0101010101010101010101010101010101010101010101010101010101010101");
    snprintf(claim, sizeof claim, "HSET weir:{acme}:kids %s d1", name);
    redis_call(client, claim);
    cr_expect_eq(put_key("d2", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    cr_assert_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("rpk")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d2", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
}

/* Records as the version before left them: raw keys of octets `fill`, and nothing of them in weir:{T}:kids. */
static void older_raw_key(const char *device_id, const char *digits)
{
    char command[256];
    snprintf(command, sizeof command, "SADD weir:{acme}:devices %s", device_id);
    redis_call(client, command);
    strcpy(command, "HSET weir:{acme}:dev:");
    sprintf(command + strlen(command), "%s created 5 rpk ", device_id);
    for (size_t i = 0; i < 32; i++)
        strcat(command, digits);
    redis_call(client, command);
}

static bool raw_key_is(uint8_t fill, const char *device_id)
{
    struct credential raw = credential_of("rpk", CREDENTIAL_RPK, fill);
    char name[KIDS_NAME_MAX + 1];
    return kids_shown_name(&raw, name) && kid_is(name, device_id);
}

Test(accounts, what_older_records_show_is_entered_before_anything_is_taken)
{
    struct credential raw = credential_of("raw", CREDENTIAL_RPK, 1);
    struct device_record newcomer = device("c");
    newcomer.credentials = &raw;
    add_tenant();
    for (unsigned i = 0; i < 150; i++) {
        char id[16], digits[3];
        snprintf(id, sizeof id, "old%u", i);
        snprintf(digits, sizeof digits, "%02x", i + 1);
        older_raw_key(id, digits);
    }
    older_raw_key("zz", "01");
    redis_call(client, "SADD weir:{acme}:devices gone no-hash");
    redis_call(client, "SET weir:{acme}:dev:no-hash x");
    cr_expect_eq(accounts_add_device(&accounts, &newcomer, false), ACCOUNTS_SAME_SECRET);
    cr_expect_str_eq(accounts.holder, "old0");
    cr_expect(raw_key_is(1, "old0") && raw_key_is(64, "old63") && raw_key_is(65, "old64") && raw_key_is(150, "old149"));
    raw.public[0] = 99;
    cr_expect_eq(accounts_add_device(&accounts, &newcomer, false), ACCOUNTS_DONE);
    cr_expect_eq(put_key("c", "more", CREDENTIAL_RPK, 150, false), ACCOUNTS_SAME_SECRET);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("old149")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("c", "more", CREDENTIAL_RPK, 150, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("old0")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("c", "most", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    cr_expect_str_eq(accounts.holder, "zz");
}

Test(accounts, what_two_had_before_stays_with_one_of_them)
{
    add_tenant();
    older_raw_key("a", "01");
    older_raw_key("b", "01");
    add_device("c");
    add_device("d");
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    cr_expect(raw_key_is(1, "a"));
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("b")), ACCOUNTS_DONE);
    cr_expect(raw_key_is(1, "a"), "b had it not to give");
    older_raw_key("b", "01");
    cr_assert_eq(accounts_remove_credential(&accounts, T, BYTES_LITERAL("b"), BYTES_LITERAL("rpk")), ACCOUNTS_DONE);
    cr_expect(raw_key_is(1, "a"));
    older_raw_key("b", "01");
    struct device_record plain = device("b");
    cr_assert_eq(accounts_add_device(&accounts, &plain, true), ACCOUNTS_DONE);
    cr_expect(raw_key_is(1, "a"));
    cr_expect_eq(put_key("d", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
}

Test(accounts, what_one_of_two_gives_up_is_the_others)
{
    add_tenant();
    older_raw_key("a", "01");
    older_raw_key("b", "01");
    add_device("c");
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("a")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    cr_expect_str_eq(accounts.holder, "b");
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("b")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
}

Test(accounts, what_is_put_again_is_not_given_up)
{
    add_tenant();
    older_raw_key("a", "01");
    older_raw_key("b", "01");
    add_device("c");
    cr_assert_eq(put_key("c", "raw", CREDENTIAL_RPK, 2, false), ACCOUNTS_DONE);
    cr_expect(kid_is(":entered", "shared"));
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 2, true), ACCOUNTS_DONE);
    cr_expect_eq(put_key("a", "rpk", CREDENTIAL_RPK, 1, true), ACCOUNTS_DONE);
    cr_expect(kid_is(":entered", "shared"), "all were to be entered anew");
    cr_expect(raw_key_is(1, "a") && raw_key_is(2, "c"));
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 3, true), ACCOUNTS_DONE);
    cr_expect(kid_is(":entered", "left"));
    cr_expect(raw_key_is(2, "") && raw_key_is(3, "c"));
}

/* Once the name of what is shared is entered. */
static void remove_its_holder(void)
{
    struct credential raw = credential_of("raw", CREDENTIAL_RPK, 1);
    char name[KIDS_NAME_MAX + 1], command[128];
    cr_assert(kids_shown_name(&raw, name));
    snprintf(command, sizeof command, "HGET weir:{acme}:kids %s", name);
    if (bytes_equal_text(redis_call(other.client, command)->text, "a"))
        cr_expect_eq(accounts_remove_device(&other, T, BYTES_LITERAL("a")), ACCOUNTS_DONE);
}

static void expect_shared_name_is_kept(const char *command, const char *key)
{
    struct credential raw = credential_of("raw", CREDENTIAL_RPK, 1);
    add_tenant();
    older_raw_key("a", "01");
    older_raw_key("b", "01");
    add_device("c");
    tap_open(&redis, key, 0, remove_its_holder);
    tap.command = command;
    cr_expect_eq(accounts_put_credential(&tapped, T, BYTES_LITERAL("c"), &raw, false), ACCOUNTS_SAME_SECRET);
    cr_expect_str_eq(tapped.holder, "b");
    tap_close();
    cr_expect_eq(redis_call(client, "EXISTS weir:{acme}:dev:a")->integer, 0);
    cr_expect(raw_key_is(1, "b"));
}

Test(accounts, what_is_given_up_while_all_are_entered_is_the_others)
{
    expect_shared_name_is_kept("HSET", ":entered");
}

Test(accounts, what_is_given_up_before_all_are_said_to_be_entered_is_the_others)
{
    expect_shared_name_is_kept("WATCH", "weir:{acme}:kids");
}

#define DIGITS_OF_ANOTHER "0123456789abcdef"

static void expect_digits_of_another(void)
{
    const struct store_reply *reply = redis_call(other.client, "HGET weir:{acme}:kids :entered");
    cr_expect(bytes_equal_text(reply->text, DIGITS_OF_ANOTHER));
}

/* Two that enter at once, of whom the second finds the digits of the first: both can end, though names are shared. */
Test(accounts, who_enters_beside_another_one_leaves_its_digits)
{
    struct credential raw = credential_of("raw", CREDENTIAL_RPK, 2);
    add_tenant();
    older_raw_key("a", "01");
    older_raw_key("b", "01");
    add_device("c");
    redis_call(client, "HSET weir:{acme}:kids :entered " DIGITS_OF_ANOTHER);
    tap_open(&redis, "weir:{acme}:kids", 3, expect_digits_of_another); /* after the change's and that of the portion */
    cr_expect_eq(accounts_put_credential(&tapped, T, BYTES_LITERAL("c"), &raw, false), ACCOUNTS_DONE);
    cr_expect_geq(tap.seen, 3);
    tap_close();
    cr_expect(kid_is(":entered", "shared"));
    cr_expect(raw_key_is(1, "a") && raw_key_is(2, "c"));
}

Test(accounts, what_is_shared_among_the_first_of_many_is_remembered)
{
    add_tenant();
    older_raw_key("a", "01");
    older_raw_key("b", "01");
    for (unsigned i = 0; i < 70; i++) {
        char id[16], digits[3];
        snprintf(id, sizeof id, "old%02u", i);
        snprintf(digits, sizeof digits, "%02x", i + 2);
        older_raw_key(id, digits);
    }
    add_device("z");
    cr_expect_eq(put_key("z", "raw", CREDENTIAL_RPK, 200, false), ACCOUNTS_DONE);
    cr_expect(kid_is(":entered", "shared"));
    cr_assert_eq(accounts_remove_device(&accounts, T, BYTES_LITERAL("a")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("z", "more", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    cr_expect_str_eq(accounts.holder, "b");
}

static void remove_b(void)
{
    cr_expect_eq(accounts_remove_device(&other, T, BYTES_LITERAL("b")), ACCOUNTS_DONE);
}

static void remove_d(void)
{
    cr_expect_eq(accounts_remove_device(&other, T, D), ACCOUNTS_DONE);
}

static void expect_nothing_is_shared(void (*meddle)(void), const char *command, const char *key, unsigned at)
{
    struct credential raw = credential_of("raw", CREDENTIAL_RPK, 2);
    older_raw_key("a", "01");
    add_device("c");
    tap_open(&redis, key, at, meddle);
    tap.command = command;
    cr_expect_eq(accounts_put_credential(&tapped, T, BYTES_LITERAL("c"), &raw, false), ACCOUNTS_DONE);
    tap_close();
    cr_expect(kid_is(":entered", "1"));
    cr_expect(raw_key_is(1, "a") && raw_key_is(2, "c"));
}

Test(accounts, nothing_is_shared_once_the_other_one_is_gone_before_it_is_written)
{
    add_tenant();
    older_raw_key("b", "01");
    expect_nothing_is_shared(remove_b, "EXEC", "rpk:", 1);
}

Test(accounts, what_nobody_else_has_may_be_given_up_while_all_are_entered)
{
    add_tenant();
    older_raw_key("d1", "03");
    expect_nothing_is_shared(remove_d, "HSET", ":entered", 2);
    cr_expect(raw_key_is(3, ""));
}

static void remove_all_names(void)
{
    redis_call(other.client, "DEL weir:{acme}:kids");
}

Test(accounts, all_names_may_be_removed_at_any_time)
{
    add_tenant();
    expect_nothing_is_shared(remove_all_names, "HSET", ":entered", 2);
}

Test(accounts, what_a_device_that_is_gone_left_behind_goes_with_all_names)
{
    struct credential raw = credential_of("raw", CREDENTIAL_RPK, 1);
    char name[KIDS_NAME_MAX + 1], stale[128];
    add_tenant();
    older_raw_key("a", "02");
    add_device("c");
    cr_assert(kids_shown_name(&raw, name));
    snprintf(stale, sizeof stale, "HSET weir:{acme}:kids :entered 1 %s gone", name);
    redis_call(client, stale);
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
    redis_call(client, "DEL weir:{acme}:kids");
    cr_expect_eq(put_key("c", "raw", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
    cr_expect(raw_key_is(2, "a"));
}

Test(accounts, a_device_may_change_what_it_has_though_another_one_took_it)
{
    struct credential raw = credential_of("rpk", CREDENTIAL_RPK, 1);
    struct device_record record = {.tenant = "acme", .id = "a", .credentials = &raw, .credential_count = 1}, found;
    char claim[256], name[KIDS_NAME_MAX + 1];
    add_tenant();
    older_raw_key("a", "01");
    cr_assert(kids_shown_name(&raw, name));
    snprintf(claim, sizeof claim, "HSET weir:{acme}:kids %s c", name);
    redis_call(client, claim);
    raw.not_after_s = 4000000000;
    cr_expect_eq(accounts_put_credential(&accounts, T, BYTES_LITERAL("a"), &raw, true), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("a"), &room, &found), ACCOUNTS_DONE);
    cr_expect_eq(found.credentials[0].not_after_s, 4000000000);
    cr_expect_eq(accounts_add_device(&accounts, &record, true), ACCOUNTS_DONE);
    cr_expect(raw_key_is(1, "c"), "nor is it taken from that one");
    add_device("d");
    cr_expect_eq(put_key("d", "rpk", CREDENTIAL_RPK, 1, false), ACCOUNTS_SAME_SECRET);
}

Test(accounts, no_credential_beside_secrets_that_another_kek_wrapped)
{
    char template[] = "/tmp/weir-kek-XXXXXX", path[64], error[VAULT_ERROR_MAX];
    struct vault *vaults[2];
    cr_assert(mkdtemp(template));
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%zu", template, i);
        vaults[i] = vault_new(path, true, error);
        cr_assert(vaults[i], "%s", error);
        unlink(path);
    }
    rmdir(template);
    accounts.must_open = true;
    accounts.vault = vault_of_records(vaults[0]);
    add_tenant();
    add_device("d1");
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_HMAC, 1, false), ACCOUNTS_DONE);
    accounts.vault = vault_of_records(vaults[1]);
    cr_expect_eq(put_key("d1", "k2", CREDENTIAL_HMAC, 2, false), ACCOUNTS_NOT_SEALED);
    cr_expect(accounts.is_foreign);
    cr_expect_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("psk")), ACCOUNTS_DONE);
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_HMAC, 2, true), ACCOUNTS_DONE, "in place of the last of them");
    cr_expect(!accounts.is_foreign);
    vault_free(vaults[0]);
    vault_free(vaults[1]);
}

Test(accounts, eight_credentials_and_no_secret_twice)
{
    char id[8];
    add_tenant();
    add_device("d1");
    for (unsigned i = 1; i < CREDENTIALS_MAX; i++) {
        snprintf(id, sizeof id, "k%u", i);
        cr_assert_eq(put_key("d1", id, CREDENTIAL_HS256, (uint8_t)i, false), ACCOUNTS_DONE, "%s", id);
    }
    cr_expect_eq(put_key("d1", "one-more", CREDENTIAL_HS256, 99, false), ACCOUNTS_FULL);
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_PSK, 2, true), ACCOUNTS_SAME_SECRET);
    cr_expect_eq(put_key("d1", "k1", CREDENTIAL_PSK, 99, true), ACCOUNTS_DONE);
    struct credential twice[2] = {credential_of("a", CREDENTIAL_HMAC, 1), credential_of("b", CREDENTIAL_PSK, 1)};
    struct device_record record = device("d2");
    record.credentials = twice;
    record.credential_count = 2;
    cr_expect_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_SAME_SECRET);
}

Test(accounts, what_an_older_weir_wrote_is_wrapped_with_the_next_credential)
{
    char error[VAULT_ERROR_MAX], path[] = "/tmp/weir-kek-XXXXXX";
    struct device_record found;
    close(mkstemp(path));
    unlink(path);
    struct vault *vault = vault_new(path, true, error);
    cr_assert_not_null(vault, "%s", error);
    unlink(path);
    add_tenant();
    redis_call(client, "SADD weir:{acme}:devices d1");
    redis_call(client, "HSET weir:{acme}:dev:d1 disabled 0 psk 736563726574736563726574 x509 urn:1 created 5 later x");
    accounts.vault = vault_of_records(vault);
    cr_assert_eq(put_key("d1", "k1", CREDENTIAL_HS256, 'k', false), ACCOUNTS_DONE);
    const struct store_reply *reply = redis_call(client, "HGETALL weir:{acme}:dev:d1");
    for (size_t i = 0; i < reply->count; i++) {
        struct bytes text = reply->items[i].text;
        cr_expect_not(bytes_equal_text(text, "psk") || bytes_equal_text(text, "x509"), "an old field");
        cr_expect_null(memmem(text.ptr, text.len, "7365637265", 10));
        cr_expect_null(memmem(text.ptr, text.len, "6b6b6b6b", 8));
    }
    cr_expect_eq(redis_call(client, "HEXISTS weir:{acme}:dev:d1 later")->integer, 1, "of a newer weir");
    cr_assert_eq(accounts_get_device(&accounts, T, D, &room, &found), ACCOUNTS_DONE);
    cr_assert_eq(found.credential_count, 3);
    cr_expect(bytes_equal_text(bytes_of(found.credentials[1].secret.octets, found.credentials[1].secret.len),
                               "secretsecret"));
    vault_free(vault);
}

Test(accounts, groups)
{
    struct group_record record = {.tenant = "acme", .id = "g", .pattern = "b7-*", .created_s = 3}, found;
    struct bytes g = BYTES_LITERAL("g");
    struct accounts_ids ids;
    secret_set(&record.key, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
    cr_assert_eq(accounts_add_group(&accounts, &record, false), ACCOUNTS_NO_TENANT);
    add_tenant();
    cr_assert_eq(accounts_add_group(&accounts, &record, false), ACCOUNTS_DONE);
    expect_change(2, "group acme g");
    cr_assert_eq(accounts_add_group(&accounts, &record, false), ACCOUNTS_EXISTS);
    cr_assert_eq(accounts_set_group_disabled(&accounts, T, g, true), ACCOUNTS_DONE);
    cr_assert_eq(accounts_get_group(&accounts, T, g, &found), ACCOUNTS_DONE);
    cr_expect(found.disabled && secret_equal(&found.key, &record.key));
    cr_assert_eq(accounts_list_groups(&accounts, T, &ids), ACCOUNTS_DONE);
    cr_expect_eq(ids.count, 1);
    free(ids.ids);
    cr_assert_eq(accounts_remove_group(&accounts, T, g), ACCOUNTS_DONE);
    expect_change(4, "group acme g");
    cr_assert_eq(accounts_get_group(&accounts, T, g, &found), ACCOUNTS_NOT_FOUND);
    cr_assert_eq(accounts_add_group(&accounts, &record, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    cr_expect_eq(redis_call(client, "EXISTS weir:{acme}:group:g weir:{acme}:groups")->integer, 0);
}

static size_t read_audit(struct audit_entry *ret, size_t max)
{
    size_t count = 0;
    cr_assert_eq(accounts_read_audit(&accounts, T, (struct bytes){0}, ret, max, &count), ACCOUNTS_DONE);
    return count;
}

static void expect_entry(const struct audit_entry *entry, const char *who, const char *action, const char *object,
                         const char *id, const char *key_id)
{
    cr_expect_str_eq(entry->who, who);
    cr_expect_str_eq(entry->action, action);
    cr_expect_str_eq(entry->object, object);
    cr_expect_str_eq(entry->id, id);
    cr_expect_str_eq(entry->key, key_id);
}

Test(accounts, every_change_is_in_the_audit)
{
    struct audit_actor anna = {.who = "token:0123456789abcdef", .label = "anna", .from = "192.0.2.1:4711"};
    struct audit_entry entries[8];
    size_t count;
    cr_expect_eq(accounts_read_audit(&accounts, T, (struct bytes){0}, entries, 8, &count), ACCOUNTS_NO_TENANT);
    add_tenant();
    accounts.actor = &anna;
    add_device("d1");
    struct device_record again = device("d1");
    cr_assert_eq(accounts_add_device(&accounts, &again, true), ACCOUNTS_DONE);
    struct credential key = {.id = "second", .kind = CREDENTIAL_PSK};
    secret_set(&key.secret, BYTES_LITERAL("fedcba9876543210"));
    cr_assert_eq(accounts_put_credential(&accounts, T, D, &key, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_credential(&accounts, T, D, BYTES_LITERAL("second")), ACCOUNTS_DONE);
    cr_assert_eq(accounts_set_device_disabled(&accounts, T, D, true), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_device(&accounts, T, D), ACCOUNTS_NOT_FOUND, "what did not happen is not told");
    cr_assert_eq(read_audit(entries, 8), 7);
    expect_entry(&entries[0], anna.who, "remove", "device", "d1", "");
    expect_entry(&entries[1], anna.who, "disable", "device", "d1", "");
    expect_entry(&entries[2], anna.who, "remove", "key", "d1", "second");
    expect_entry(&entries[3], anna.who, "add", "key", "d1", "second");
    expect_entry(&entries[4], anna.who, "change", "device", "d1", "");
    expect_entry(&entries[5], anna.who, "add", "device", "d1", "");
    expect_entry(&entries[6], "weir", "add", "tenant", "acme", "");
    cr_expect_str_eq(entries[0].label, "anna");
    cr_expect_str_eq(entries[0].from, "192.0.2.1:4711");
    cr_assert_eq(accounts_read_audit(&accounts, T, bytes_of_text(entries[4].at), entries, 8, &count), ACCOUNTS_DONE);
    cr_expect_eq(count, 2, "those before");
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    cr_expect_eq(read_audit(entries, 1), 1, "it outlives the tenant");
    expect_entry(&entries[0], anna.who, "remove", "tenant", "acme", "");
}

Test(accounts, a_name_that_another_key_shows_stays_and_no_name_given_up_is_told_while_none_is_shared)
{
    add_tenant();
    add_device("d1");
    cr_assert_eq(put_key("d1", "r1", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
    cr_assert_eq(put_key("d1", "r2", CREDENTIAL_RPK, 1, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_credential(&accounts, T, BYTES_LITERAL("d1"), BYTES_LITERAL("r2")), ACCOUNTS_DONE);
    cr_expect(raw_key_is(1, "d1"), "of r1 still");
    cr_assert_eq(accounts_remove_credential(&accounts, T, BYTES_LITERAL("d1"), BYTES_LITERAL("r1")), ACCOUNTS_DONE);
    cr_expect(kid_is(":entered", "1"));
}
