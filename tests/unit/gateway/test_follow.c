// SPDX-License-Identifier: GPL-3.0-or-later
/* The registry follows Redis: changes, gaps, lost history, restarts, against a real Redis. */
#include "gateway/accounts.h"
#include "gateway/follow.h"
#include "tests/unit/gateway/redis_fixture.h"

static struct redis_fixture redis;
static struct store_client *client;
static struct accounts accounts;
static struct loop *loop;
static struct registry *registry;
static struct follow *follow;
static bool is_fresh;
static unsigned times_fresh;
static char changed[4096];
static unsigned times_gone;

static void on_fresh(void *ctx, bool fresh)
{
    (void)ctx;
    is_fresh = fresh;
    times_fresh += fresh;
}

static void on_changed(void *ctx, struct bytes tenant, struct bytes device)
{
    (void)ctx;
    snprintf(changed + strlen(changed), sizeof changed - strlen(changed), "%.*s/%.*s ", (int)tenant.len,
             (const char *)tenant.ptr, (int)device.len, device.ptr ? (const char *)device.ptr : "");
}

static void on_gone(void *ctx)
{
    (void)ctx;
    times_gone++;
}

static void start_with(const struct vault *vault, struct metrics *metrics)
{
    struct follow_config config = {
        .redis = &(struct store_target){.address = redis.address},
        .registry = registry,
        .vault = vault,
        .metrics = metrics,
        .changed = on_changed,
        .fresh = on_fresh,
        .gone = on_gone,
        .random_seed = {1, 2, 3, 4},
    };
    follow = follow_new(loop, &config);
    cr_assert(follow);
}

static void start(void)
{
    start_with(NULL, NULL);
}

static void setup(void)
{
    redis_start(&redis);
    client = redis_client(&redis);
    accounts = (struct accounts){.client = client};
    loop = loop_new();
    registry = registry_new(&(struct hash_key){1, 2});
}

static void teardown(void)
{
    follow_free(follow);
    registry_free(registry);
    loop_free(loop);
    store_client_close(client);
    redis_remove(&redis);
}

TestSuite(follow, .init = setup, .fini = teardown);

#define T BYTES_LITERAL("acme")

static void add_tenant(const char *id)
{
    struct tenant_record tenant = {0};
    snprintf(tenant.id, sizeof tenant.id, "%s", id);
    cr_assert_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_DONE);
}

static void add_device(const char *id)
{
    struct device_record record = {.tenant = "acme"};
    snprintf(record.id, sizeof record.id, "%s", id);
    cr_assert_eq(accounts_add_device(&accounts, &record, false), ACCOUNTS_DONE);
}

static bool knows(const char *id)
{
    return registry_device(registry, T, bytes_of_text(id)) != NULL;
}

static bool may_speak(const char *id)
{
    return registry_device_may_speak(registry, T, bytes_of_text(id));
}

Test(follow, loads_what_is_there)
{
    struct token_record token = {.tenant = "acme", .id = "0123456789abcdef", .role = ROLE_OPERATOR};
    add_tenant("acme");
    add_tenant("empty");
    for (unsigned i = 0; i < 1500; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%u", i);
        add_device(id);
    }
    accounts_add_token(&accounts, &token);
    redis_call(client, "HSET weir:{acme}:dev:bad psk nonsense");
    redis_call(client, "SADD weir:{acme}:devices bad gone");
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    struct registry_counts counts = registry_count(registry);
    cr_assert_eq(counts.tenants, 2);
    cr_assert_eq(counts.devices, 1500);
    cr_assert_eq(counts.tokens, 1);
    cr_assert(may_speak("d1499"));
    cr_assert_str_eq(changed, "");
}

Test(follow, groups_are_loaded_and_followed)
{
    struct group_record group = {.tenant = "acme", .id = "g", .pattern = "b7-*"};
    secret_set(&group.key, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
    add_tenant("acme");
    cr_assert_eq(accounts_add_group(&accounts, &group, false), ACCOUNTS_DONE);
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    cr_assert(may_speak("b7-1") && !may_speak("b8-1"));
    accounts_set_group_disabled(&accounts, T, BYTES_LITERAL("g"), true);
    RUN_UNTIL(loop, !may_speak("b7-1"), "disabled");
    RUN_UNTIL(loop, strcmp(changed, "acme/ ") == 0, "told");
    accounts_remove_group(&accounts, T, BYTES_LITERAL("g"));
    RUN_UNTIL(loop, registry_count(registry).groups == 0, "removed");
}

/* Who has a secret of another key-encryption key is known, and cannot prove it. */
Test(follow, a_secret_that_does_not_open_is_left_out_and_counted)
{
    static struct metrics metrics;
    const struct metrics *all = &metrics;
    char error[VAULT_ERROR_MAX], path[] = "/tmp/weir-kek-XXXXXX";
    struct vault *vaults[2];
    close(mkstemp(path));
    for (unsigned i = 0; i < 2; i++) {
        unlink(path);
        vaults[i] = vault_new(path, true, error);
        cr_assert_not_null(vaults[i], "%s", error);
    }
    unlink(path);
    add_tenant("acme");
    accounts.vault = vault_of_records(vaults[0]);
    struct credential psk = {.id = "psk", .kind = CREDENTIAL_PSK, .secret = {.octets = "0123456789", .len = 10}};
    struct device_record record = {.tenant = "acme", .id = "own", .credentials = &psk, .credential_count = 1};
    accounts_add_device(&accounts, &record, false);
    accounts.vault = vault_of_records(vaults[1]);
    strcpy(record.id, "others");
    accounts_add_device(&accounts, &record, false);
    start_with(vaults[0], &metrics);
    RUN_UNTIL(loop, is_fresh, "fresh");
    cr_expect_eq(registry_count(registry).devices, 2);
    cr_expect_eq(registry_count(registry).credentials, 1);
    cr_expect_eq(metrics_sum(&all, 1, METRIC_SECRETS_NOT_OPENED), 1);
    follow_free(follow);
    follow = NULL;
    vault_free(vaults[0]);
    vault_free(vaults[1]);
}

Test(follow, changes_arrive)
{
    struct token_record token = {.tenant = "acme", .id = "0123456789abcdef", .role = ROLE_OPERATOR};
    start();
    RUN_UNTIL(loop, is_fresh, "fresh with an empty Redis");
    add_tenant("acme");
    add_device("d1");
    RUN_UNTIL(loop, may_speak("d1"), "added");
    changed[0] = '\0';
    accounts_set_device_disabled(&accounts, T, BYTES_LITERAL("d1"), true);
    RUN_UNTIL(loop, !may_speak("d1"), "disabled");
    cr_assert(knows("d1"));
    RUN_UNTIL(loop, strcmp(changed, "acme/d1 ") == 0, "told");
    changed[0] = '\0';
    struct record_field profile = {BYTES_LITERAL("profile"), BYTES_LITERAL("old")};
    cr_assert_eq(accounts_set_device_fields(&accounts, T, BYTES_LITERAL("d1"), &profile, 1), ACCOUNTS_DONE);
    RUN_UNTIL(loop, strcmp(registry_device(registry, T, BYTES_LITERAL("d1"))->profile, "old") == 0, "another profile");
    cr_assert_str_eq(changed, "", "is no reason to end a session");
    accounts_remove_device(&accounts, T, BYTES_LITERAL("d1"));
    RUN_UNTIL(loop, !knows("d1"), "removed");
    accounts_add_token(&accounts, &token);
    RUN_UNTIL(loop, registry_count(registry).tokens == 1, "token");
    accounts_revoke_token(&accounts, bytes_of_text(token.id));
    RUN_UNTIL(loop, registry_token(registry, bytes_of_text(token.id))->revoked, "revoked");
    cr_assert_eq(times_fresh, 1);
}

Test(follow, a_removal_is_told)
{
    add_tenant("acme");
    add_device("d1");
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    cr_expect_eq(times_gone, 0);
    accounts_remove_device(&accounts, T, BYTES_LITERAL("d1"));
    add_device("d1");
    add_device("d2");
    RUN_UNTIL(loop, knows("d2"), "it is there again when gateways look");
    cr_expect(knows("d1") && times_gone > 0);
    times_gone = 0;
    accounts_set_device_disabled(&accounts, T, BYTES_LITERAL("d1"), true);
    RUN_UNTIL(loop, !may_speak("d1"), "disabled");
    cr_expect_eq(times_gone, 0, "a change is none");
    redis_call(client, "DEL weir:{acme}:dev:d1");
    redis_call(client, "XADD weir:changes * o device t acme d d1");
    RUN_UNTIL(loop, !knows("d1"), "removed as by an older version");
    cr_expect(times_gone > 0);
    times_gone = 0;
    accounts_remove_tenant(&accounts, T);
    RUN_UNTIL(loop, times_gone > 0, "a tenant with all its devices");
}

static void change_d2(unsigned from, unsigned before)
{
    char text[64];
    for (unsigned i = from; i < before; i++) {
        snprintf(text, sizeof text, "XADD weir:changes 1100000000000-%u o device t acme d d2", i);
        redis_call(client, text);
    }
}

static void start_anew(void)
{
    follow_free(follow);
    follow = NULL;
    is_fresh = false;
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
}

/* 2,000 changes are looked at. */
Test(follow, a_removal_before_the_start_is_told)
{
    add_tenant("acme");
    redis_call(client, "DEL weir:changes"); /* its ids only rise */
    redis_call(client, "XADD weir:changes 1000000000000-0 o device t acme d d1 r 1");
    change_d2(1, 1999);
    start_anew();
    cr_expect_eq(times_gone, 1, "the oldest of 1,999: %u", times_gone);
    redis_call(client, "XTRIM weir:changes MAXLEN 1998");
    start_anew();
    cr_expect_eq(times_gone, 1, "none: %u", times_gone);
    change_d2(1999, 2001);
    start_anew();
    cr_expect_eq(times_gone, 2, "further back than is looked: %u", times_gone);
    redis_call(client, "DEL weir:changes");
    start_anew();
    cr_expect_eq(times_gone, 3, "nobody knows: %u", times_gone);
}

static void add_rule(const char *id)
{
    struct rule_record record = {.tenant = "acme", .stream = "north"};
    snprintf(record.id, sizeof record.id, "%s", id);
    cr_assert_eq(accounts_add_rule(&accounts, &record, false), ACCOUNTS_DONE);
}

static void set_stream(const char *name)
{
    struct stream_record record = {.tenant = "acme", .max_entries = 1, .groups = "*"};
    snprintf(record.name, sizeof record.name, "%s", name);
    cr_assert_eq(accounts_set_stream(&accounts, &record), ACCOUNTS_DONE);
}

static bool has(size_t rules, size_t streams)
{
    struct registry_counts counts = registry_count(registry);
    return counts.rules == rules && counts.streams == streams;
}

Test(follow, rules_and_streams)
{
    add_tenant("acme");
    add_rule("r1");
    set_stream("s1");
    redis_call(client, "HSET weir:{acme}:rule:bad order x");
    redis_call(client, "SADD weir:{acme}:rules bad");
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    cr_assert(has(1, 1), "loaded; the invalid one and the stream without retention are not");
    add_rule("r2");
    set_stream("s2");
    RUN_UNTIL(loop, has(2, 2), "they arrive");
    cr_assert_eq(accounts_remove_rule(&accounts, T, BYTES_LITERAL("r1")), ACCOUNTS_DONE);
    cr_assert_eq(accounts_remove_stream(&accounts, T, BYTES_LITERAL("s1")), ACCOUNTS_DONE);
    RUN_UNTIL(loop, has(1, 1), "and go");
    cr_assert_str_eq(changed, "", "no session ends for it");
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    RUN_UNTIL(loop, has(0, 0), "with the tenant");
}

Test(follow, a_tenant_is_disabled_and_removed)
{
    add_tenant("acme");
    add_device("d1");
    add_device("d2");
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    accounts_set_tenant_disabled(&accounts, T, true);
    RUN_UNTIL(loop, !may_speak("d1"), "disabled");
    cr_assert_str_eq(changed, "acme/ ");
    accounts_remove_tenant(&accounts, T);
    RUN_UNTIL(loop, !knows("d1") && !knows("d2"), "removed");
    cr_assert_eq(registry_count(registry).tenants, 0);
}

Test(follow, entries_that_are_no_changes_are_passed_over)
{
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    redis_call(client, "XADD weir:changes * x y");
    redis_call(client, "XADD weir:changes * o device t Not-Valid d x");
    redis_call(client, "XADD weir:changes * o planet t acme d x");
    redis_call(client, "XADD weir:changes * o device t acme d x/y");
    add_tenant("acme");
    RUN_UNTIL(loop, registry_count(registry).tenants == 1, "the one after them");
    cr_assert_eq(times_fresh, 1);
}

Test(follow, a_record_that_became_invalid_is_taken_out)
{
    add_tenant("acme");
    add_device("d1");
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    redis_call(client, "HSET weir:{acme}:dev:d1 psk nonsense");
    redis_call(client, "XADD weir:changes * o device t acme d d1");
    RUN_UNTIL(loop, !knows("d1"), "out");
    cr_assert_str_eq(changed, "acme/d1 ");
}

/* Changes happen while nobody reads them, and Redis cuts the connections. */
static void while_away(void (*change)(void))
{
    RUN_UNTIL(loop, is_fresh, "fresh");
    changed[0] = '\0';
    change();
    redis_call(client, "CLIENT KILL TYPE normal SKIPME yes");
    RUN_UNTIL(loop, !is_fresh, "away");
    RUN_UNTIL(loop, is_fresh, "fresh again");
}

static void add_d2(void)
{
    add_device("d2");
}

Test(follow, changes_in_between_are_read_after_reconnecting)
{
    add_tenant("acme");
    add_device("d1");
    start();
    while_away(add_d2);
    RUN_UNTIL(loop, knows("d2"), "d2");
    cr_assert_str_eq(changed, "acme/d2 ");
}

static void trim_past_us(void)
{
    accounts_set_device_disabled(&accounts, T, BYTES_LITERAL("d1"), true);
    accounts_remove_device(&accounts, T, BYTES_LITERAL("d2"));
    redis_call(client, "XTRIM weir:changes MAXLEN 1");
}

Test(follow, a_trimmed_stream_is_a_gap)
{
    add_tenant("acme");
    add_device("d1");
    add_device("d2");
    add_device("d3");
    start();
    while_away(trim_past_us);
    RUN_UNTIL(loop, !may_speak("d1") && !knows("d2"), "resync");
    cr_assert(may_speak("d3"));
    cr_assert(strstr(changed, "acme/d1 "));
    cr_assert(strstr(changed, "acme/d2 "));
    cr_assert_null(strstr(changed, "d3"));
}

static void flush(void)
{
    redis_call(client, "FLUSHALL");
}

Test(follow, flushall_empties_the_registry)
{
    add_tenant("acme");
    add_device("d1");
    start();
    while_away(flush);
    RUN_UNTIL(loop, registry_count(registry).tenants == 0, "empty");
    cr_assert(strstr(changed, "acme/d1 "));
    add_tenant("acme");
    RUN_UNTIL(loop, registry_count(registry).tenants == 1, "follows the new stream");
}

static void flush_and_refill(void)
{
    redis_call(client, "FLUSHALL");
    add_tenant("acme");
    for (unsigned i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "new%u", i);
        add_device(id);
    }
}

Test(follow, history_made_anew_is_a_gap)
{
    add_tenant("acme");
    add_device("d1");
    start();
    while_away(flush_and_refill);
    RUN_UNTIL(loop, !knows("d1") && knows("new9"), "resync");
    cr_expect(times_gone > 0, "nobody knows what was removed meanwhile");
}

Test(follow, redis_restarts)
{
    add_tenant("acme");
    add_device("d1");
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    changed[0] = '\0';
    store_client_close(client);
    redis_stop(&redis);
    RUN_UNTIL(loop, !is_fresh, "away");
    cr_assert(may_speak("d1"));
    redis_launch(&redis);
    client = redis_client(&redis);
    accounts.client = client;
    RUN_UNTIL(loop, is_fresh, "back");
    cr_assert_str_eq(changed, "");
    add_device("d2");
    RUN_UNTIL(loop, may_speak("d2"), "follows again");
}

Test(follow, ends_while_loading)
{
    add_tenant("acme");
    for (unsigned i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%u", i);
        add_device(id);
    }
    start();
    RUN_UNTIL(loop, registry_count(registry).tenants == 1, "began to load");
}

static bool speaks(size_t profiles, size_t codecs)
{
    struct registry_counts counts = registry_count(registry);
    return counts.profiles == profiles && counts.codecs == codecs;
}

Test(follow, profiles_and_codecs)
{
    struct profile_record profile = {.tenant = "acme", .id = "old", .format = "text"};
    struct codec_record codec = {.tenant = "acme", .id = "th", .definition = BYTES_LITERAL("{}")};
    struct registry_codec found = {0};
    struct bytes old = BYTES_LITERAL("old"), th = BYTES_LITERAL("th");
    add_tenant("acme");
    cr_assert_eq(accounts_add_profile(&accounts, &profile, false), ACCOUNTS_DONE);
    cr_assert_eq(accounts_add_codec(&accounts, &codec, false), ACCOUNTS_DONE);
    redis_call(client, "HSET weir:{acme}:profile:bad clock x");
    redis_call(client, "SADD weir:{acme}:profiles bad");
    start();
    RUN_UNTIL(loop, is_fresh, "fresh");
    cr_assert(speaks(1, 1), "loaded; the invalid one is not");
    strcpy(profile.format, "json");
    cr_assert_eq(accounts_add_profile(&accounts, &profile, true), ACCOUNTS_DONE);
    RUN_UNTIL(loop, strcmp(registry_profile(registry, T, old)->format, "json") == 0, "changed");
    cr_assert_eq(accounts_set_codec_quarantined(&accounts, T, th, true, BYTES_LITERAL("why")), ACCOUNTS_DONE);
    RUN_UNTIL(loop, registry_codec(registry, T, th, &found) && found.quarantined, "quarantined");
    cr_assert_eq(accounts_remove_profile(&accounts, T, old), ACCOUNTS_DONE);
    RUN_UNTIL(loop, speaks(0, 1), "removed");
    cr_assert_str_eq(changed, "", "no session ends for it");
    cr_assert_eq(accounts_remove_tenant(&accounts, T), ACCOUNTS_DONE);
    RUN_UNTIL(loop, speaks(0, 0), "with the tenant");
}
