// SPDX-License-Identifier: GPL-3.0-or-later
/* Lists of devices into a real Redis and out of it: batches, refusals by line, ids of signature keys, what replacing
 * keeps; and a change that is made only while its thing is the one that was read. */
#include "gateway/bulk.h"
#include "gateway/kids.h"
#include "tests/unit/gateway/redis_fixture.h"

#include <stdlib.h>

static struct redis_fixture redis;
static struct accounts accounts;
static struct bulk_report report;
static struct bulk_options options;

#define T BYTES_LITERAL("acme")

static void setup(void)
{
    struct tenant_record tenant = {.id = "acme", .created_s = 5};
    redis_start(&redis);
    accounts = (struct accounts){.client = redis_client(&redis)};
    report = (struct bulk_report){0};
    options = (struct bulk_options){.tenant = T, .role_max = ROLE_OPERATOR, .now_s = 100};
    cr_assert_eq(accounts_add_tenant(&accounts, &tenant, false), ACCOUNTS_DONE);
}

static void teardown(void)
{
    store_client_close(accounts.client);
    redis_remove(&redis);
}

TestSuite(bulk, .init = setup, .fini = teardown);

static void import(const char *text)
{
    report = (struct bulk_report){0};
    cr_assert_eq(bulk_import(&accounts, &options, bytes_of_text(text), &report), ACCOUNTS_DONE, "%s", accounts.error);
}

#define KID(id, kid, fill) "{\"id\":\"" id "\",\"keys\":[{\"id\":\"" kid "\",\"kind\":\"hs256\",\"hex\":\"" fill "\"}]}\n"
#define K1 "0101010101010101010101010101010101010101010101010101010101010101"
#define K2 "0202020202020202020202020202020202020202020202020202020202020202"

static uint64_t changes(void)
{
    struct bytes arguments[] = {BYTES_LITERAL("XLEN"), BYTES_LITERAL(SCHEMA_KEY_CHANGES)};
    return (uint64_t)store_client_call(accounts.client, arguments, 2)->integer;
}

Test(bulk, more_than_a_batch_is_written_and_told)
{
    size_t len = 0, count = 3 * BULK_BATCH + 7;
    char *text = calloc(count, 32);
    for (size_t i = 0; i < count; i++)
        len += (size_t)sprintf(text + len, "{\"id\":\"d%04zu\"}\r\n", i);
    uint64_t before = changes();
    import(text);
    cr_expect_eq(report.created, count);
    cr_expect_eq(report.lines, count);
    cr_expect_eq(changes() - before, count);
    struct accounts_ids ids;
    cr_assert_eq(accounts_list_devices(&accounts, T, &ids), ACCOUNTS_DONE);
    cr_expect_eq(ids.count, count);
    free(ids.ids);
    import(text);
    cr_expect_eq(report.created, 0);
    cr_expect_eq(report.refused, count);
    free(text);
}

Test(bulk, a_kid_is_of_one_device_also_within_a_batch)
{
    import(KID("a", "k", K1) KID("b", "k", K2) "{\"id\":\"c\"}\n" KID("a", "l", K2));
    cr_expect_eq(report.created, 2);
    cr_expect_eq(report.refused, 2);
    cr_expect_eq(report.refusals[0].line, 2);
    cr_expect_eq(report.refusals[1].line, 4);
    options.replaces = true;
    import(KID("a", "m", K1));
    cr_expect_eq(report.replaced, 1);
    import(KID("b", "k", K2));
    cr_expect_eq(report.created, 1, "the id is free again");
}

#define PUBLIC(id, kid, fill) "{\"id\":\"" id "\",\"keys\":[{\"id\":\"" kid "\",\"kind\":\"eddsa\",\"hex\":\"" fill "\"}]}\n"
#define P1 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" /* RFC 8032 7.1 */
#define P2 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

Test(bulk, a_public_key_is_of_one_device_also_within_a_batch)
{
    import(PUBLIC("a", "k", P1) PUBLIC("b", "l", P1) PUBLIC("c", "m", P2));
    cr_expect_eq(report.created, 2);
    cr_expect_eq(report.refusals[0].line, 2);
    import(PUBLIC("b", "l", P1));
    cr_expect_eq(report.refused, 1);
    options.replaces = true;
    import(PUBLIC("a", "k", P1));
    cr_expect_eq(report.replaced, 1, "its own");
    import(PUBLIC("c", "m", P1) PUBLIC("a", "k", P1));
    cr_expect_eq(report.refused, 1);
    cr_expect_eq(report.replaced, 1);
    import(KID("a", "n", K1));
    import(PUBLIC("b", "l", P1));
    cr_expect_eq(report.created, 1, "the key is free again");
}

Test(bulk, replacing_without_keys_keeps_them_and_the_age)
{
    struct record_room room;
    struct device_record record;
    import("{\"id\":\"a\",\"site\":\"old\",\"keys\":[{\"id\":\"p\",\"kind\":\"psk\",\"hex\":\"0102\"}]}");
    options.replaces = true;
    options.now_s = 900;
    import("{\"id\":\"a\",\"tags\":\"new\"}");
    cr_expect_eq(report.replaced, 1);
    cr_assert_eq(accounts_get_device(&accounts, T, BYTES_LITERAL("a"), &room, &record), ACCOUNTS_DONE);
    cr_expect_str_empty(record.site);
    cr_expect_str_eq(record.tags, "new");
    cr_expect_eq(record.created_s, 100);
    cr_expect_eq(record.credential_count, 1);
}

Test(bulk, nobody_makes_or_replaces_one_above_them)
{
    struct device_record boss = {.tenant = "acme", .id = "boss", .role = ROLE_ADMIN, .created_s = 1};
    cr_assert_eq(accounts_add_device(&accounts, &boss, false), ACCOUNTS_DONE);
    options.replaces = true;
    import("{\"id\":\"x\",\"role\":\"admin\"}\n{\"id\":\"boss\"}\n");
    cr_expect_eq(report.refused, 2);
    cr_expect_eq(report.created + report.replaced, 0);
}

Test(bulk, no_tenant_and_bad_lines)
{
    import("x\n{}\n{\"id\":1}\n \n");
    cr_expect_eq(report.refused, 3);
    cr_expect_eq(report.lines, 4);
    options.tenant = BYTES_LITERAL("nobody");
    cr_expect_eq(bulk_import(&accounts, &options, BYTES_LITERAL("{\"id\":\"a\"}"), &report), ACCOUNTS_NO_TENANT);
}

static bool gather(void *ctx, struct bytes lines)
{
    strncat(ctx, (const char *)lines.ptr, lines.len);
    return true;
}

Test(bulk, what_is_exported_can_be_imported)
{
    char lines[1024] = "", again[1024] = "";
    import("{\"id\":\"b\",\"site\":\"n\"}\n{\"id\":\"a\",\"disabled\":true}\n");
    cr_assert_eq(bulk_export(&accounts, T, false, gather, lines), ACCOUNTS_DONE);
    cr_expect_eq(strncmp(lines, "{\"id\":\"a\"", 9), 0, "%s", lines);
    options.replaces = options.restores_times = true;
    import(lines);
    cr_expect_eq(report.replaced, 2);
    cr_assert_eq(bulk_export(&accounts, T, false, gather, again), ACCOUNTS_DONE);
    cr_expect_str_eq(lines, again);
}

Test(bulk, a_change_of_what_is_no_longer_so_is_stale)
{
    struct record_room room;
    struct device_record record;
    struct bytes id = BYTES_LITERAL("a");
    cr_expect_eq(accounts_get_device(&accounts, T, id, &room, &record), ACCOUNTS_NOT_FOUND);
    struct accounts_version absent = accounts.last_read;
    import("{\"id\":\"a\"}");
    cr_assert_eq(accounts_get_device(&accounts, T, id, &room, &record), ACCOUNTS_DONE);
    struct accounts_version version = accounts.last_read;
    accounts.only_if = &version;
    cr_expect_eq(accounts_set_device_disabled(&accounts, T, id, true), ACCOUNTS_DONE);
    cr_expect_eq(accounts_set_device_disabled(&accounts, T, id, false), ACCOUNTS_STALE);
    cr_expect_eq(accounts_remove_device(&accounts, T, id), ACCOUNTS_STALE);
    accounts.only_if = &absent;
    cr_expect_eq(accounts_add_device(&accounts, &record, true), ACCOUNTS_STALE);
    accounts.only_if = NULL;
    cr_expect_eq(accounts_remove_device(&accounts, T, id), ACCOUNTS_DONE);
}

static bool sees_north(void *ctx, const struct device_record *old)
{
    (void)ctx;
    return strcmp(old->site, "north") == 0;
}

/* Asks Redis, as the gateway does. */
static enum accounts_result is_stranger(void *ctx, struct accounts *asked, struct bytes id, bool *ret)
{
    struct accounts_ids ids;
    (void)ctx;
    enum accounts_result result = accounts_list_groups(asked, T, &ids);
    free(ids.ids);
    *ret = bytes_equal_text(id, "stranger");
    return result;
}

static bool allows_north(void *ctx, const struct device_record *record, const struct device_record *old, bool gives_keys,
                         struct draft_error *reterr)
{
    *(unsigned *)ctx += gives_keys;
    if (strcmp(record->site, "north") == 0 && record->concentrator <= (old && old->concentrator))
        return true;
    *reterr = (struct draft_error){"/concentrator", "No."};
    return false;
}

Test(bulk, a_line_is_judged_by_what_is_there)
{
    unsigned keys = 0;
    import("{\"id\":\"hub\",\"site\":\"north\",\"concentrator\":true}\n{\"id\":\"lamp\",\"site\":\"north\"}\n");
    options.allows = allows_north;
    options.ctx = &keys;
    options.replaces = true;
    import("{\"id\":\"hub\",\"site\":\"north\",\"concentrator\":true,\"tags\":\"x\"}\n"
           "{\"id\":\"lamp\",\"site\":\"north\",\"concentrator\":true}\n"
           "{\"id\":\"new\",\"site\":\"north\",\"concentrator\":true}\n" PUBLIC("away", "k", P1));
    cr_expect_eq(report.replaced, 1, "what it was it may stay");
    cr_expect_eq(report.refused, 3);
    cr_expect_eq(report.refusals[0].line, 2);
    cr_expect_eq(report.refusals[1].line, 3);
    cr_expect_str_eq(report.refusals[1].error.pointer, "/concentrator");
    cr_expect_eq(keys, 1);
}

Test(bulk, who_sees_a_part_gets_one_answer_for_every_id_that_is_taken)
{
    struct bytes damage[] = {BYTES_LITERAL("HSET"), BYTES_LITERAL("weir:{acme}:dev:broken"), BYTES_LITERAL("role"),
                             BYTES_LITERAL("king")};
    const char *lines = "{\"id\":\"here\",\"site\":\"north\"}\n{\"id\":\"away\",\"site\":\"north\"}\n"
                        "{\"id\":\"broken\",\"site\":\"north\"}\n{\"id\":\"stranger\",\"site\":\"north\"}\n";
    import("{\"id\":\"here\",\"site\":\"north\"}\n{\"id\":\"away\",\"site\":\"south\"}\n");
    cr_assert(store_client_call(accounts.client, damage, 4));
    options.sees = sees_north;
    options.is_stranger = is_stranger;
    import(lines);
    cr_expect_eq(report.refused, 4);
    for (size_t i = 1; i < report.refused; i++)
        cr_expect_str_eq(report.refusals[i].error.detail, report.refusals[0].error.detail);
    const char *said = report.refusals[0].error.detail;
    options.replaces = true;
    import(lines);
    cr_expect_eq(report.replaced, 1);
    cr_assert_eq(report.refused, 3);
    for (size_t i = 0; i < report.refused; i++)
        cr_expect_str_eq(report.refusals[i].error.detail, said);
    options.sees = NULL;
    options.is_stranger = NULL;
    import("{\"id\":\"stranger\",\"site\":\"north\"}\n");
    cr_expect_eq(report.created, 1, "who sees all may");
}

/* Somebody else changes credentials of the tenant while this is asked. */
static enum accounts_result is_no_stranger(void *ctx, struct accounts *asked, struct bytes id, bool *ret)
{
    (void)ctx, (void)id;
    redis_call(asked->client, "HINCRBY weir:{acme}:kids other 1");
    *ret = false;
    return ACCOUNTS_DONE;
}

Test(bulk, what_others_change_while_strangers_are_looked_for_is_not_in_the_way)
{
    options.sees = sees_north;
    options.is_stranger = is_no_stranger;
    import("{\"id\":\"a\",\"site\":\"north\"}\n{\"id\":\"b\",\"site\":\"north\"}\n");
    cr_expect_eq(report.created, 2);
}

static enum accounts_result is_busy_once(void *ctx, struct accounts *asked, struct bytes id, bool *ret)
{
    static bool was_busy;
    bool is_first = !was_busy;
    was_busy = true;
    *ret = true;
    return is_first ? ACCOUNTS_BUSY : is_stranger(ctx, asked, id, ret);
}

Test(bulk, who_is_a_stranger_is_asked_again_if_it_could_not_be_said)
{
    options.sees = sees_north;
    options.is_stranger = is_busy_once;
    import("{\"id\":\"a\",\"site\":\"north\"}\n{\"id\":\"stranger\",\"site\":\"north\"}\n");
    cr_expect_eq(report.created, 1);
    cr_assert_eq(report.refused, 1);
    cr_expect_eq(report.refusals[0].line, 2);
}

Test(bulk, what_redis_refuses_leaves_nothing_watched)
{
    redis_call(accounts.client, "SET weir:{acme}:dev:odd x");
    cr_expect_eq(bulk_import(&accounts, &options, BYTES_LITERAL("{\"id\":\"odd\"}"), &report), ACCOUNTS_REFUSED);
    redis_call(accounts.client, "SET weir:{acme}:dev:odd y");
    redis_call(accounts.client, "MULTI");
    redis_call(accounts.client, "PING");
    cr_expect_eq(redis_call(accounts.client, "EXEC")->type, STORE_LIST, "the connection's next transaction");
}

/* Seals until it is asked for the device "last". */
static size_t seal_some(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, const struct secret *secret,
                        char ret[static RECORD_SEALED_MAX])
{
    (void)ctx, (void)tenant, (void)label, (void)secret;
    if (bytes_equal_text(owner, "last"))
        return 0;
    memcpy(ret, RECORD_SEALED_PREFIX "x", sizeof RECORD_SEALED_PREFIX);
    return sizeof RECORD_SEALED_PREFIX;
}

Test(bulk, what_was_written_before_it_failed_is_in_the_audit)
{
    struct record_vault vault = {.seal = seal_some};
    struct audit_entry entries[4];
    size_t len = 0, count = 0;
    char *text = calloc(BULK_BATCH + 2, 128);
    for (size_t i = 0; i < BULK_BATCH; i++)
        len += (size_t)sprintf(text + len, "{\"id\":\"d%04zu\"}\n", i);
    sprintf(text + len, "%s", KID("last", "k", K1));
    accounts.vault = &vault;
    cr_expect_eq(bulk_import(&accounts, &options, bytes_of_text(text), &report), ACCOUNTS_NOT_SEALED);
    cr_expect_eq(report.created, BULK_BATCH);
    cr_assert_eq(accounts_read_audit(&accounts, T, (struct bytes){0}, entries, 4, &count), ACCOUNTS_DONE);
    cr_assert_eq(count, 2, "the tenant, and once for the import");
    cr_expect_str_eq(entries[0].action, "import");
    free(text);
}

Test(bulk, what_was_refused_as_a_whole_is_not_in_the_audit)
{
    struct audit_entry entries[4];
    size_t count = 0;
    import("{\"id\":\"a\",\"role\":\"admin\"}\n");
    cr_assert_eq(accounts_read_audit(&accounts, T, (struct bytes){0}, entries, 4, &count), ACCOUNTS_DONE);
    cr_expect_eq(count, 1, "the tenant");
}

#define RAW(id, kid, fill) "{\"id\":\"" id "\",\"keys\":[{\"id\":\"" kid "\",\"kind\":\"rpk\",\"hex\":\"" fill "\"}]}\n"
#define NAMED(id, kid, name) \
    "{\"id\":\"" id "\",\"keys\":[{\"id\":\"" kid "\",\"kind\":\"x509\",\"name\":\"" name "\"}]}\n"

Test(bulk, what_a_device_shows_is_of_one_device_also_within_a_batch)
{
    import(RAW("a", "k", K1) RAW("b", "k", K1) NAMED("c", "k", "cn one") NAMED("d", "k", "cn one") NAMED("e", "k", "cn"));
    cr_expect_eq(report.created, 3);
    cr_expect_eq(report.refusals[0].line, 2);
    cr_expect_eq(report.refusals[1].line, 4);
    import(RAW("b", "k", K1) NAMED("d", "k", "cn one"));
    cr_expect_eq(report.refused, 2);
    options.replaces = true;
    import(RAW("a", "l", K2) NAMED("c", "k", "other"));
    cr_expect_eq(report.replaced, 2);
    import(RAW("b", "k", K1) NAMED("d", "k", "cn one"));
    cr_expect_eq(report.created, 2, "they are free again");
}

/* Its record and weir:{T}:kids say that it has this raw key. */
static void expect_raw(const char *device, const char *hex)
{
    struct credential raw = {.kind = CREDENTIAL_RPK, .public_len = 32};
    char name[KIDS_NAME_MAX + 1], command[128], field[SECRET_MAX * 4];
    for (size_t i = 0; i < sizeof raw.public && i < 32; i++)
        sscanf(hex + 2 * i, "%2hhx", &raw.public[i]);
    cr_assert(kids_shown_name(&raw, name));
    snprintf(command, sizeof command, "HGET weir:{acme}:kids %s", name);
    cr_expect(bytes_equal_text(redis_call(accounts.client, command)->text, device), "%s by its name", device);
    snprintf(command, sizeof command, "HGET weir:{acme}:dev:%s key:k", device);
    struct bytes text = redis_call(accounts.client, command)->text;
    snprintf(field, sizeof field, "%.*s", (int)text.len, (const char *)text.ptr);
    cr_expect(strstr(field, hex), "%s has %s", device, field);
}

#define K3 "0303030303030303030303030303030303030303030303030303030303030303"
#define BARE(id) "{\"id\":\"" id "\",\"keys\":[]}\n"

/* The lines between make more than a batch. */
static void import_apart(const char *first, const char *last, bool apart)
{
    char *text = calloc(2 * BULK_BATCH + 2, 160);
    size_t len = (size_t)sprintf(text, "%s", first);
    for (size_t i = 0; apart && i < BULK_BATCH + 2; i++)
        len += (size_t)sprintf(text + len, "{\"id\":\"pad%04zu\"}\n", i);
    sprintf(text + len, "%s", last);
    import(text);
    free(text);
}

Test(bulk, a_line_gets_what_another_one_takes_wherever_it_stands)
{
    options.replaces = true;
    for (int apart = 0; apart < 2; apart++) {
        import(RAW("a", "k", K1) RAW("b", "k", K2));
        import_apart(RAW("a", "k", K2), RAW("b", "k", K1), apart);
        cr_expect_eq(report.refused, 0, "exchanged, %d", apart);
        expect_raw("a", K2);
        expect_raw("b", K1);
        import_apart(BARE("a"), RAW("b", "k", K2), apart);
        cr_expect_eq(report.refused, 0, "handed on, %d", apart);
        expect_raw("b", K2);
        import_apart(RAW("a", "k", K2), BARE("b"), apart);
        cr_expect_eq(report.refused, 0, "handed on by a later line, %d", apart);
        expect_raw("a", K2);
        import(BARE("a") BARE("b"));
    }
    import(RAW("a", "k", K1) RAW("b", "k", K2) RAW("c", "k", K3));
    import_apart(RAW("a", "k", K2) RAW("b", "k", K3), RAW("c", "k", K1), true);
    cr_expect_eq(report.refused, 0, "round in three");
    expect_raw("a", K2);
    expect_raw("b", K3);
    expect_raw("c", K1);
    import(NAMED("n", "k", "one") NAMED("m", "k", "two") KID("x", "kid1", K1) KID("y", "kid2", K2));
    import(NAMED("m", "k", "one") NAMED("n", "k", "two") KID("y", "kid1", K1) KID("x", "kid2", K2));
    cr_expect_eq(report.replaced, 4);
}

/* Each device has the raw key of its number, or of the one so many further on, counted round if it is a ring. */
static void import_numbered(size_t count, size_t further, bool ring)
{
    char *text = calloc(count, 128);
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += (size_t)sprintf(text + len,
                               "{\"id\":\"d%05zu\",\"keys\":[{\"id\":\"k\",\"kind\":\"rpk\",\"hex\":\"%064zx\"}]}\n", i,
                               1 + (ring ? (i + further) % count : i + further));
    import(text);
    free(text);
}

Test(bulk, chains_as_long_as_lines_may_wait_and_rings_of_a_batch)
{
    options.replaces = true;
    import_numbered(BULK_WAITING_MAX, 0, false);
    cr_expect_eq(report.refused, 0);
    import_numbered(BULK_WAITING_MAX, 1, false);
    cr_expect_eq(report.refused, 0, "each takes the next one's");
    expect_raw("d00000", "0000000000000000000000000000000000000000000000000000000000000002");
    import_numbered(BULK_WAITING_MAX, 0, false);
    cr_expect_eq(report.refused, 0, "and back");
    import_numbered(BULK_BATCH, 1, true);
    cr_expect_eq(report.refused, 0);
    import_numbered(BULK_BATCH + 1, 0, false);
    cr_expect_eq(report.refused, 0);
    import_numbered(BULK_BATCH + 1, 1, true);
    cr_expect_eq(report.refused, BULK_BATCH + 1, "more than a transaction has");
}

Test(bulk, what_is_not_given_up_is_not_taken)
{
    options.replaces = true;
    import(RAW("a", "k", K1) RAW("b", "k", K2) RAW("held", "k", K3));
    import(RAW("a", "k", K2) RAW("b", "k", K3) RAW("c", "k", K1));
    cr_expect_eq(report.refused, 3, "b does not get what it wants, so none of those behind it does");
    cr_expect_eq(report.refusals[0].line, 1);
    expect_raw("a", K1);
    expect_raw("b", K2);
    expect_raw("held", K3);
    import(RAW("a", "k", K2) "{\"id\":\"b\",\"role\":\"admin\",\"keys\":[]}\n");
    cr_expect_eq(report.refused, 2, "a line that is refused takes nothing from its device");
    import(RAW("a", "k", K2) "{\"id\":\"b\",\"tags\":\"x\"}\n");
    cr_expect_eq(report.refused, 1, "nor does one without keys");
    expect_raw("b", K2);
    options.replaces = false;
    import(RAW("d", "k", K1) BARE("a"));
    cr_expect_eq(report.refused, 2);
}

Test(bulk, the_last_line_of_a_device_is_the_last_that_is_written)
{
    options.replaces = true;
    import(RAW("a", "k", K1) RAW("b", "k", K2));
    import(RAW("a", "k", K2) RAW("a", "k", K3) RAW("b", "k", K1));
    cr_expect_eq(report.refused, 0);
    expect_raw("a", K3);
    expect_raw("b", K1);
}

static const struct store_reply *call(const char *command)
{
    return redis_call(accounts.client, command);
}

Test(bulk, what_older_records_show_is_entered_before_anything_is_taken)
{
    struct credential raw = {.kind = CREDENTIAL_RPK, .public_len = 32};
    char name[KIDS_NAME_MAX + 1], command[128];
    memset(raw.public, 1, sizeof raw.public);
    cr_assert(kids_shown_name(&raw, name));
    snprintf(command, sizeof command, "HGET weir:{acme}:kids %s", name);
    call("SADD weir:{acme}:devices a b");
    call("HSET weir:{acme}:dev:a created 5 rpk " K1);
    call("HSET weir:{acme}:dev:b created 5 rpk " K1);
    import(RAW("c", "k", K1) RAW("d", "k", K2));
    cr_expect_eq(report.created, 1);
    cr_expect_eq(report.refusals[0].line, 1);
    options.replaces = true;
    import(RAW("b", "k", P1));
    cr_expect_eq(report.replaced, 1);
    cr_expect(bytes_equal_text(call(command)->text, "a"), "b had it not to give");
    import(RAW("c", "k", K1));
    cr_expect_eq(report.refused, 1);
    import(RAW("a", "k", K1));
    cr_expect_eq(report.replaced, 1, "its own");
}

Test(bulk, what_two_older_records_show_is_the_other_ones_when_the_first_gives_it_up)
{
    call("SADD weir:{acme}:devices a b");
    call("HSET weir:{acme}:dev:a created 5 rpk " K1);
    call("HSET weir:{acme}:dev:b created 5 rpk " K1);
    options.replaces = true;
    import(RAW("other", "k", K2));
    import(BARE("a") RAW("c", "k", K1));
    cr_expect_eq(report.replaced, 1);
    cr_expect_eq(report.refused, 1, "b shows it");
    import(RAW("b", "k", K1));
    cr_expect_eq(report.replaced, 1);
    expect_raw("b", K1);
}

Test(bulk, what_is_lost_is_given_up_though_it_does_not_open)
{
    import(KID("box", "k-box", K1));
    struct bytes seal[] = {BYTES_LITERAL("HSET"), BYTES_LITERAL("weir:{acme}:dev:box"), BYTES_LITERAL("key:k-box"),
                           BYTES_LITERAL("hs256 0 0 0 w1.of-another-kek")};
    cr_assert(store_client_call(accounts.client, seal, 4));
    options.replaces = true;
    import(KID("box", "other", K2));
    cr_expect_eq(report.replaced, 1);
    cr_expect_eq(call("HEXISTS weir:{acme}:kids k-box")->integer, 0);
    import(KID("urn", "k-box", K1));
    cr_expect_eq(report.created, 1);
}

Test(bulk, what_a_line_keeps_no_line_before_it_gets)
{
    options.replaces = true;
    import(RAW("a", "k", K1));
    import(RAW("b", "k", K1) RAW("a", "k", K1));
    cr_expect_eq(report.refused, 1);
    expect_raw("a", K1);
}
