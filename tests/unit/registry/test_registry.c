// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The registry against a naive model with random operations, and with readers in threads that check that what they
 * hold stays whole.
 */
#include "registry/registry.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct hash_key hash_key = {1, 2};

static struct device_record device(const char *tenant, const char *id, int64_t created_s)
{
    struct device_record record = {.created_s = created_s};
    snprintf(record.tenant, sizeof record.tenant, "%s", tenant);
    snprintf(record.id, sizeof record.id, "%s", id);
    return record;
}

static void put(struct registry *registry, struct device_record record)
{
    cr_assert(registry_put_device(registry, &record));
}

static const uint8_t no_ca[CREDENTIAL_DIGEST_BYTES], no_leaf[CREDENTIAL_DIGEST_BYTES];

static struct credential x509(const char *name)
{
    return (struct credential){.id = "x509", .kind = CREDENTIAL_X509, .name = name};
}

static const struct device_record *by_chain(const struct registry *registry, struct bytes name, const uint8_t *ca,
                                            const uint8_t *leaf, int64_t now_s, const struct credential **ret)
{
    struct registry_chain chain = {.name = name, .ca = ca, .leaf = leaf};
    return registry_device_by_x509(registry, &chain, now_s, ret);
}

static const struct device_record *by_x509(const struct registry *registry, const char *name)
{
    const struct credential *credential;
    return by_chain(registry, bytes_of_text(name), no_ca, no_leaf, 1, &credential);
}

static const struct device_record *by_rpk(const struct registry *registry, const uint8_t *digest)
{
    const struct credential *credential;
    return registry_device_by_rpk(registry, digest, 1, &credential);
}

static const struct device_record *get(const struct registry *registry, const char *tenant, const char *id)
{
    return registry_device(registry, bytes_of_text(tenant), bytes_of_text(id));
}

Test(registry, finds_what_was_put)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record record = device("acme", "d1", 1);
    struct credential keys[2] = {{.id = "rpk", .kind = CREDENTIAL_RPK, .public_len = 32, .public = {9}}, x509("urn:dev:1")};
    record.credentials = keys;
    record.credential_count = 2;
    put(registry, record);
    cr_assert_str_eq(get(registry, "acme", "d1")->id, "d1");
    cr_assert_eq(get(registry, "acme", "d1"), by_x509(registry, "urn:dev:1"));
    cr_assert_eq(get(registry, "acme", "d1"), by_rpk(registry, keys[0].public));
    cr_assert_null(get(registry, "acm", "ed1"));
    cr_assert_null(get(registry, "acme", "d2"));
    cr_assert_null(by_x509(registry, ""));
    registry_remove_device(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("d1"));
    cr_assert_null(get(registry, "acme", "d1"));
    cr_assert_null(by_x509(registry, "urn:dev:1"));
    cr_assert_null(by_rpk(registry, keys[0].public));
    registry_free(registry);
}

Test(registry, speaks_only_if_device_and_tenant_are_enabled)
{
    struct registry *registry = registry_new(&hash_key);
    struct tenant_record tenant = {.id = "acme"};
    struct bytes t = BYTES_LITERAL("acme"), d = BYTES_LITERAL("d1");
    put(registry, device("acme", "d1", 1));
    cr_assert_not(registry_device_may_speak(registry, t, d));
    registry_put_tenant(registry, &tenant);
    cr_assert(registry_device_may_speak(registry, t, d));
    cr_assert_not(registry_device_may_speak(registry, t, BYTES_LITERAL("d2")));
    tenant.disabled = true;
    registry_put_tenant(registry, &tenant);
    cr_assert_not(registry_device_may_speak(registry, t, d));
    tenant.disabled = false;
    registry_put_tenant(registry, &tenant);
    struct device_record record = device("acme", "d1", 1);
    record.disabled = true;
    put(registry, record);
    cr_assert_not(registry_device_may_speak(registry, t, d));
    registry_free(registry);
}

/* Or an operator of any tenant could speak as the device of another (raw keys and names are found in all tenants). */
Test(registry, a_credential_stays_with_whom_it_was_made_for_first)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record victim = device("acme", "victim", 50), thief = device("other", "a-thief", 1);
    const char *name = "same";
    struct credential first = x509("same"), second = x509("same");
    first.created_s = 100;
    second.created_s = 101;
    victim.credentials = &first;
    thief.credentials = &second;
    victim.credential_count = thief.credential_count = 1;
    put(registry, victim);
    put(registry, thief);
    cr_assert_str_eq(by_x509(registry, name)->id, "victim");
    registry_remove_device(registry, BYTES_LITERAL("other"), BYTES_LITERAL("a-thief"));
    cr_assert_str_eq(by_x509(registry, name)->id, "victim");
    put(registry, thief);
    registry_remove_device(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("victim"));
    cr_assert_str_eq(by_x509(registry, name)->id, "a-thief", "nobody else shows it now");
    put(registry, victim);
    cr_assert_str_eq(by_x509(registry, name)->id, "victim", "whatever the order in which they are loaded");
    victim.disabled = true;
    put(registry, victim);
    cr_assert_str_eq(by_x509(registry, name)->id, "victim");
    first = x509("another");
    put(registry, victim);
    cr_assert_str_eq(by_x509(registry, name)->id, "a-thief");
    second.created_s = 1; /* its own older record never stands in its way */
    put(registry, thief);
    cr_assert_str_eq(by_x509(registry, name)->id, "a-thief");
    registry_free(registry);
}

Test(registry, of_the_same_second_all_gateways_agree)
{
    struct credential same = x509("same");
    struct device_record a = device("acme", "a", 1), b = device("acme", "b", 1);
    a.credentials = b.credentials = &same;
    a.credential_count = b.credential_count = 1;
    for (unsigned i = 0; i < 2; i++) {
        struct registry *registry = registry_new(&hash_key);
        put(registry, i ? a : b);
        put(registry, i ? b : a);
        cr_expect_str_eq(by_x509(registry, "same")->id, "a");
        registry_free(registry);
    }
}

/* The authorities and the leaf of a chain, as small as they can be told apart. */
static struct credential certificate(const char *id, size_t digests_len, uint8_t ca, uint8_t leaf, int64_t created_s)
{
    struct credential credential = {.kind = digests_len ? CREDENTIAL_CA : CREDENTIAL_X509, .name = "same",
                                    .public_len = (uint8_t)digests_len, .created_s = created_s};
    snprintf(credential.id, sizeof credential.id, "%s", id);
    if (digests_len >= CREDENTIAL_CA_ANY)
        credential.public[0] = ca;
    if (digests_len == CREDENTIAL_CA_LEAF)
        credential.public[CREDENTIAL_DIGEST_BYTES] = leaf;
    return credential;
}

static const struct device_record *of_chain(const struct registry *registry, const char *tenant, const char *name,
                                            uint8_t ca, uint8_t leaf, int64_t now_s, const struct credential **ret)
{
    const uint8_t ca_digest[CREDENTIAL_DIGEST_BYTES] = {ca}, leaf_digest[CREDENTIAL_DIGEST_BYTES] = {leaf};
    struct registry_chain chain = {bytes_of_text(tenant), bytes_of_text(name), ca_digest, leaf_digest};
    return registry_device_by_x509(registry, &chain, now_s, ret);
}

static const struct device_record *holder_of_chain(const struct registry *registry, const char *name, uint8_t ca,
                                                   uint8_t leaf)
{
    const uint8_t ca_digest[CREDENTIAL_DIGEST_BYTES] = {ca}, leaf_digest[CREDENTIAL_DIGEST_BYTES] = {leaf};
    struct registry_chain chain = {.name = bytes_of_text(name), .ca = ca_digest, .leaf = leaf_digest};
    return registry_holder_of_x509(registry, &chain);
}

/* The digests are public: whoever knows them could say more of another's certificate than its own device does. */
Test(registry, a_credential_that_says_more_takes_nothing_from_an_older_one)
{
    static const size_t lens[] = {0, CREDENTIAL_CA_ANY, CREDENTIAL_CA_LEAF};
    const struct credential *found = NULL;
    for (unsigned i = 0; i < 9; i++) {
        struct registry *registry = registry_new(&hash_key);
        struct credential first = certificate("first", lens[i % 3], 1, 2, 100);
        struct credential second = certificate("second", lens[i / 3], 1, 2, 101);
        struct device_record victim = device("acme", "victim", 1), thief = device("a-evil", "a-thief", 1);
        victim.credentials = &first;
        thief.credentials = &second;
        victim.credential_count = thief.credential_count = 1;
        put(registry, thief);
        cr_expect_str_eq(of_chain(registry, "", "same", 1, 2, 200, &found)->id, "a-thief");
        cr_expect_null(of_chain(registry, "acme", "same", 1, 2, 200, &found), "no authority of its tenant");
        put(registry, victim);
        cr_expect_str_eq(of_chain(registry, "", "same", 1, 2, 200, &found)->id, "victim", "%u", i);
        cr_expect_str_eq(found->id, "first");
        cr_expect_str_eq(of_chain(registry, "acme", "same", 1, 2, 200, &found)->id, "victim", "%u", i);
        cr_expect_str_eq(of_chain(registry, "a-evil", "same", 1, 2, 200, &found)->id, "a-thief", "%u", i);
        victim.disabled = true;
        first.not_after_s = 150;
        put(registry, victim);
        cr_expect_null(of_chain(registry, "", "same", 1, 2, 200, &found), "ended: nobody else has it");
        cr_expect_str_eq(holder_of_chain(registry, "same", 1, 2)->id, "victim");
        cr_expect_null(holder_of_chain(registry, "another", 1, 2));
        cr_expect(of_chain(registry, "", "same", 1, 2, 149, &found)->disabled);
        second.created_s = 99;
        put(registry, thief);
        cr_expect_str_eq(of_chain(registry, "", "same", 1, 2, 200, &found)->id, "a-thief", "names are first come");
        cr_expect(of_chain(registry, "acme", "same", 1, 2, 149, &found)->disabled, "not under an authority of its own");
        registry_free(registry);
    }
}

/* As a certificate that is renewed with its key, beside the old one until it is used. */
Test(registry, who_adds_a_newer_credential_keeps_the_age_of_the_older_one)
{
    struct registry *registry = registry_new(&hash_key);
    const struct credential *found = NULL;
    struct credential renewed[2] = {certificate("old", CREDENTIAL_CA_LEAF, 1, 2, 100),
                                    certificate("new", CREDENTIAL_CA_LEAF, 1, 2, 200)};
    struct credential same = certificate("same", CREDENTIAL_CA_LEAF, 1, 2, 150);
    struct device_record victim = device("acme", "victim", 1), thief = device("evil", "thief", 1);
    victim.credentials = renewed;
    victim.credential_count = 2;
    thief.credentials = &same;
    thief.credential_count = 1;
    put(registry, victim);
    put(registry, thief);
    cr_expect_str_eq(of_chain(registry, "", "same", 1, 2, 300, &found)->id, "victim");
    cr_expect_str_eq(found->id, "new");
    registry_free(registry);
}

/* The ids of devices are easily guessed, so whoever was first with the name must not have what is enrolled later. */
Test(registry, a_name_that_says_the_device_is_of_no_other)
{
    struct registry *registry = registry_new(&hash_key);
    const struct credential *found = NULL;
    struct credential early = certificate("early", 0, 1, 2, 1);
    struct credential enrolled = certificate("enrolled", CREDENTIAL_CA_LEAF, 1, 2, 9);
    struct device_record thief = device("acme", "thief", 1), boiler = device("acme", "boiler", 1);
    early.name = enrolled.name = "weir://acme/boiler";
    thief.credentials = &early;
    boiler.credentials = &enrolled;
    thief.credential_count = boiler.credential_count = 1;
    put(registry, thief);
    cr_expect_null(of_chain(registry, "", early.name, 1, 2, 10, &found));
    put(registry, boiler);
    cr_expect_str_eq(of_chain(registry, "", early.name, 1, 2, 10, &found)->id, "boiler");
    cr_expect_str_eq(of_chain(registry, "acme", early.name, 1, 2, 10, &found)->id, "boiler");
    cr_expect_null(of_chain(registry, "other", early.name, 1, 2, 10, &found));
    cr_expect_null(of_chain(registry, "", early.name, 1, 3, 10, &found), "and what it has must be shown");
    registry_free(registry);
}

Test(registry, a_changed_credential_is_forgotten)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record record = device("acme", "d1", 1);
    struct credential key = x509("before");
    record.credentials = &key;
    record.credential_count = 1;
    put(registry, record);
    key.name = "after";
    put(registry, record);
    cr_assert_null(by_x509(registry, "before"));
    cr_assert_str_eq(by_x509(registry, "after")->id, "d1");
    registry_free(registry);
}

Test(registry, removing_a_tenant_takes_what_is_its)
{
    struct registry *registry = registry_new(&hash_key);
    struct tenant_record tenant = {.id = "acme"};
    struct token_record token = {.tenant = "acme", .id = "0123456789abcdef"};
    registry_put_tenant(registry, &tenant);
    registry_put_token(registry, &token);
    for (int i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        put(registry, device(i % 2 ? "acme" : "other", id, i));
    }
    registry_remove_tenant(registry, BYTES_LITERAL("acme"));
    struct registry_counts counts = registry_count(registry);
    cr_assert_eq(counts.tenants, 0);
    cr_assert_eq(counts.devices, 50);
    cr_assert_eq(counts.tokens, 0);
    cr_assert_null(registry_token(registry, BYTES_LITERAL("0123456789abcdef")));
    cr_assert_not_null(get(registry, "other", "d2"));
    registry_free(registry);
}

struct told {
    char text[512];
};

static void tell(void *ctx, struct bytes tenant, struct bytes device_id)
{
    struct told *told = ctx;
    size_t len = strlen(told->text);
    snprintf(told->text + len, sizeof told->text - len, "%.*s/%.*s ", (int)tenant.len, (const char *)tenant.ptr,
             (int)device_id.len, device_id.ptr ? (const char *)device_id.ptr : "");
}

Test(registry, a_resync_removes_what_was_not_put_and_tells_what_changed)
{
    struct registry *registry = registry_new(&hash_key);
    struct tenant_record acme = {.id = "acme"}, other = {.id = "other"};
    struct token_record kept = {.tenant = "acme", .id = "0000000000000001"};
    struct token_record gone = {.tenant = "acme", .id = "0000000000000002"};
    struct told told = {""};
    struct device_record changed = device("acme", "changed", 1);
    registry_put_tenant(registry, &acme);
    registry_put_tenant(registry, &other);
    registry_put_token(registry, &kept);
    registry_put_token(registry, &gone);
    put(registry, device("acme", "same", 1));
    put(registry, changed);
    put(registry, device("acme", "gone", 1));

    registry_resync_begin(registry);
    registry_put_tenant(registry, &acme);
    registry_put_token(registry, &kept);
    put(registry, device("acme", "same", 1));
    put(registry, device("acme", "new", 1));
    changed.disabled = true;
    put(registry, changed);
    cr_assert_not_null(get(registry, "acme", "gone"));
    registry_resync_end(registry, tell, &told);

    cr_assert_null(get(registry, "acme", "gone"));
    cr_assert_not_null(get(registry, "acme", "new"));
    cr_assert(strstr(told.text, "acme/gone "));
    cr_assert(strstr(told.text, "acme/changed "));
    cr_assert(strstr(told.text, "other/ "));
    cr_assert_eq(strlen(told.text), strlen("acme/gone acme/changed other/ "));
    cr_assert_not_null(registry_token(registry, BYTES_LITERAL("0000000000000001")));
    cr_assert_null(registry_token(registry, BYTES_LITERAL("0000000000000002")));
    registry_free(registry);
}

Test(registry, a_resync_given_up_removes_nothing)
{
    struct registry *registry = registry_new(&hash_key);
    struct told told = {""};
    put(registry, device("acme", "a", 1));
    registry_resync_begin(registry);
    registry_resync_begin(registry);
    put(registry, device("acme", "a", 1));
    registry_resync_end(registry, tell, &told);
    cr_assert_not_null(get(registry, "acme", "a"));
    cr_assert_str_eq(told.text, "");
    registry_free(registry);
}

/* A naive model: an array of what should be there. */

#define MODEL_DEVICES 300
#define MODEL_NAMES 40

struct model {
    struct device_record devices[MODEL_DEVICES]; /* without their credentials */
    int names[MODEL_DEVICES];                    /* -1: no certificate */
    int64_t made_s[MODEL_DEVICES];               /* when the certificate's credential was */
    bool present[MODEL_DEVICES];
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int name_of(const struct model *model, int i)
{
    return model->present[i] ? model->names[i] : -1;
}

static void model_put(struct model *model, int i, const struct device_record *record)
{
    model->devices[i] = *record;
    model->names[i] = record->credential_count ? atoi(record->credentials[0].name) : -1;
    model->made_s[i] = record->credential_count ? record->credentials[0].created_s : 0;
    model->present[i] = true;
}

/* Whose credential was made first, then the first by id; -1: nobody has the name. */
static int owner_of(const struct model *model, int name)
{
    int owner = -1;
    for (int i = 0; i < MODEL_DEVICES; i++)
        if (name_of(model, i) == name &&
            (owner < 0 || model->made_s[i] < model->made_s[owner] ||
             (model->made_s[i] == model->made_s[owner] && strcmp(model->devices[i].id, model->devices[owner].id) < 0)))
            owner = i;
    return owner;
}

static void check_model(const struct model *model, const struct registry *registry)
{
    size_t count = 0;
    for (int i = 0; i < MODEL_DEVICES; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        const struct device_record *found = get(registry, "acme", id);
        cr_assert_eq(found != NULL, model->present[i], "%s", id);
        cr_assert(!found || strcmp(found->site, model->devices[i].site) == 0, "%s", id);
        count += model->present[i];
    }
    for (int name = 0; name < MODEL_NAMES; name++) {
        char text[16];
        snprintf(text, sizeof text, "%d", name);
        const struct device_record *found = by_x509(registry, text);
        int owner = owner_of(model, name);
        cr_assert_eq(found != NULL, owner >= 0, "name %d", name);
        cr_assert(!found || strcmp(found->id, model->devices[owner].id) == 0, "name %d", name);
    }
    cr_assert_eq(registry_count(registry).devices, count);
}

Test(registry, agrees_with_a_naive_model)
{
    static struct model model;
    struct registry *registry = registry_new(&hash_key);
    uint64_t state = 88172645463325252u;
    for (unsigned step = 0; step < 20000; step++) {
        int i = (int)(next_random(&state) % MODEL_DEVICES);
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        if (next_random(&state) % 3 == 0) {
            registry_remove_device(registry, BYTES_LITERAL("acme"), bytes_of_text(id));
            model.present[i] = false;
        } else {
            char name[16];
            struct credential key = x509(name);
            struct device_record record = device("acme", id, (int64_t)(next_random(&state) % 5));
            key.created_s = (int64_t)(next_random(&state) % 5);
            snprintf(name, sizeof name, "%u", (unsigned)(next_random(&state) % MODEL_NAMES));
            snprintf(record.site, sizeof record.site, "s%u", (unsigned)(next_random(&state) % 4));
            if (next_random(&state) % 2)
                record.credential_count = 1;
            record.credentials = &key;
            put(registry, record);
            model_put(&model, i, &record);
        }
        if (step % 500 == 0)
            check_model(&model, registry);
        registry_quiescent();
    }
    check_model(&model, registry);
    registry_free(registry);
}

/* The same of chains: of all that they show, in one tenant or in all of them. */

#define CHAIN_DEVICES 24
#define CHAIN_KEYS 3
#define CHAIN_VALUES 2 /* of names, authorities and leaves */
#define CHAIN_NOW_S 50

static const char *const chain_tenants[] = {"", "a", "b", "c"};
static const char *const chain_names[CHAIN_VALUES] = {"x", "y"};
static const size_t chain_lens[] = {CREDENTIAL_CA_LEAF, CREDENTIAL_CA_ANY, 0};

struct chain_device {
    struct device_record record;
    struct credential keys[CHAIN_KEYS];
};

static bool is_shown(const struct credential *key, const char *name, uint8_t ca, uint8_t leaf)
{
    return strcmp(key->name, name) == 0 && (key->public_len == 0 || key->public[0] == ca) &&
           (key->public_len < CREDENTIAL_CA_LEAF || key->public[CREDENTIAL_DIGEST_BYTES] == leaf);
}

static const struct chain_device *owner_of_chain(const struct chain_device *devices, const char *tenant,
                                                 const char *name, uint8_t ca, uint8_t leaf)
{
    const struct chain_device *owner = NULL;
    int64_t made_s = 0;
    for (unsigned i = 0; i < CHAIN_DEVICES; i++) /* in the order of tenant and id */
        for (unsigned k = 0; k < devices[i].record.credential_count; k++) {
            const struct credential *key = &devices[i].keys[k];
            if ((tenant[0] && strcmp(tenant, devices[i].record.tenant) != 0) || !is_shown(key, name, ca, leaf) ||
                (owner && key->created_s >= made_s))
                continue;
            owner = &devices[i];
            made_s = key->created_s;
        }
    return owner;
}

/* The narrowest that is good, and of them the latest; the ages of one device's differ. */
static const struct credential *key_of_owner(const struct chain_device *owner, const char *name, uint8_t ca,
                                             uint8_t leaf)
{
    const struct credential *best = NULL;
    for (unsigned k = 0; owner && k < owner->record.credential_count; k++) {
        const struct credential *key = &owner->keys[k];
        if (is_shown(key, name, ca, leaf) && credential_is_good_at(key, CHAIN_NOW_S) &&
            (!best || key->public_len > best->public_len ||
             (key->public_len == best->public_len && key->created_s > best->created_s)))
            best = key;
    }
    return best;
}

static void check_chains(const struct chain_device *devices, const struct registry *registry)
{
    for (unsigned i = 0; i < 4 * CHAIN_VALUES * CHAIN_VALUES * CHAIN_VALUES; i++) {
        const char *tenant = chain_tenants[i % 4], *name = chain_names[i / 4 % CHAIN_VALUES];
        uint8_t ca = (uint8_t)(i / (4 * CHAIN_VALUES) % CHAIN_VALUES);
        uint8_t leaf = (uint8_t)(i / (4 * CHAIN_VALUES * CHAIN_VALUES));
        const struct chain_device *owner = owner_of_chain(devices, tenant, name, ca, leaf);
        const struct credential *wanted = key_of_owner(owner, name, ca, leaf), *key = NULL;
        const struct device_record *found = of_chain(registry, tenant, name, ca, leaf, CHAIN_NOW_S, &key);
        cr_assert_eq(found != NULL, wanted != NULL, "%s %s %u %u", tenant, name, ca, leaf);
        if (!found)
            continue;
        cr_assert_str_eq(found->tenant, owner->record.tenant, "%s %s %u %u", tenant, name, ca, leaf);
        cr_assert_str_eq(found->id, owner->record.id, "%s %s %u %u", tenant, name, ca, leaf);
        cr_assert_str_eq(key->id, wanted->id, "%s %s %u %u", tenant, name, ca, leaf);
    }
}

static void change_chain(struct chain_device *one, uint64_t *state)
{
    one->record.credentials = one->keys;
    one->record.credential_count = (uint8_t)(next_random(state) % (CHAIN_KEYS + 1));
    for (unsigned k = 0; k < one->record.credential_count; k++) {
        const char id[] = {(char)('1' + k), '\0'};
        one->keys[k] = certificate(id, chain_lens[next_random(state) % 3], (uint8_t)(next_random(state) % CHAIN_VALUES),
                                   (uint8_t)(next_random(state) % CHAIN_VALUES),
                                   (int64_t)(next_random(state) % 5 * CHAIN_KEYS + k));
        one->keys[k].name = chain_names[next_random(state) % CHAIN_VALUES];
        one->keys[k].not_after_s = next_random(state) % 4 ? 0 : CHAIN_NOW_S;
    }
}

Test(registry, chains_agree_with_a_naive_model)
{
    static struct chain_device devices[CHAIN_DEVICES];
    struct registry *registry = registry_new(&hash_key);
    uint64_t state = 88172645463325252u;
    char id[16];
    for (unsigned i = 0; i < CHAIN_DEVICES; i++) {
        snprintf(id, sizeof id, "d%02u", i % (CHAIN_DEVICES / 3));
        devices[i].record = device(chain_tenants[1 + i / (CHAIN_DEVICES / 3)], id, 1);
    }
    for (unsigned step = 0; step < 5000; step++) {
        struct chain_device *one = &devices[next_random(&state) % CHAIN_DEVICES];
        if (next_random(&state) % 3 == 0) {
            registry_remove_device(registry, bytes_of_text(one->record.tenant), bytes_of_text(one->record.id));
            one->record.credential_count = 0;
        } else {
            change_chain(one, &state);
            put(registry, one->record);
        }
        check_chains(devices, registry);
        registry_quiescent();
    }
    registry_free(registry);
}

/* Readers while the writer writes: whatever they find must be whole and must be what they asked for. */

#define STRESS_DEVICES 64
#define STRESS_ROUNDS 3000

struct stress {
    struct registry *registry;
    _Atomic bool stop;
    _Atomic unsigned long found, wrong;
};

static void read_all(struct stress *stress)
{
    for (int i = 0; i < STRESS_DEVICES; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        const struct device_record *record = get(stress->registry, "acme", id);
        if (!record)
            continue;
        stress->found++;
        const struct credential *psk = record_credential(record, CREDENTIAL_PSK, 1, NULL);
        bool whole = strcmp(record->id, id) == 0 && strcmp(record->site, record->tags) == 0 && psk && psk->secret.len == 16;
        for (unsigned k = 1; k < 16; k++)
            whole = whole && psk->secret.octets[k] == psk->secret.octets[0];
        stress->wrong += !whole;
        const struct device_record *by_name = by_x509(stress->registry, id), *of_key = NULL;
        stress->wrong += by_name && strcmp(record_credential(by_name, CREDENTIAL_X509, 1, NULL)->name, id) != 0;
        const struct credential *key =
            registry_signature_key(stress->registry, BYTES_LITERAL("acme"), bytes_of_text(id), &of_key);
        stress->wrong += key && (strcmp(key->id, id) != 0 || strcmp(of_key->id, id) != 0);
    }
}

static void *reader(void *arg)
{
    struct stress *stress = arg;
    registry_thread_start();
    for (unsigned round = 0; !stress->stop; round++) {
        read_all(stress);
        registry_quiescent();
        if (round % 64 == 0) {
            registry_offline();
            sched_yield();
            registry_online();
        }
    }
    registry_thread_stop();
    return NULL;
}

static void write_one(struct registry *registry, uint64_t *state)
{
    char id[16];
    snprintf(id, sizeof id, "d%u", (unsigned)(next_random(state) % STRESS_DEVICES));
    if (next_random(state) % 4 == 0) {
        registry_remove_device(registry, BYTES_LITERAL("acme"), bytes_of_text(id));
        return;
    }
    struct device_record record = device("acme", id, 1);
    snprintf(record.site, sizeof record.site, "%u", (unsigned)(next_random(state) % 1000));
    strcpy(record.tags, record.site);
    struct credential keys[3] = {{.kind = CREDENTIAL_EDDSA, .public_len = 32},
                                 {.id = "psk", .kind = CREDENTIAL_PSK, .secret.len = 16}, x509(id)};
    strcpy(keys[0].id, id);
    memset(keys[1].secret.octets, (int)(next_random(state) & 0xff), 16);
    record.credentials = keys;
    record.credential_count = 3;
    put(registry, record);
}

Test(registry, readers_see_whole_records_while_it_changes)
{
    struct stress stress = {.registry = registry_new(&hash_key)};
    pthread_t threads[2];
    uint64_t state = 4101842887655102017u;
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, reader, &stress), 0);
    for (unsigned round = 0; round < STRESS_ROUNDS; round++) {
        for (unsigned i = 0; i < 16; i++)
            write_one(stress.registry, &state);
        registry_quiescent();
    }
    registry_offline();
    while (!stress.found)
        sched_yield();
    stress.stop = true;
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    registry_online();
    cr_assert_eq(stress.wrong, 0);
    registry_free(stress.registry);
}

Test(registry, grows_and_shrinks_by_a_hundred_thousand)
{
    struct registry *registry = registry_new(&hash_key);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 100000; i++) {
            char id[16];
            snprintf(id, sizeof id, "d%u", i);
            put(registry, device("acme", id, 1));
        }
        cr_assert_eq(registry_count(registry).devices, 100000);
        for (unsigned i = 0; i < 100000; i++) {
            char id[16];
            snprintf(id, sizeof id, "d%u", i);
            cr_assert_not_null(get(registry, "acme", id));
            registry_remove_device(registry, BYTES_LITERAL("acme"), bytes_of_text(id));
        }
        cr_assert_eq(registry_count(registry).devices, 0);
        registry_quiescent();
    }
    registry_free(registry);
}

Test(registry, a_page_is_sorted_and_of_one_tenant)
{
    struct registry *registry = registry_new(&hash_key);
    const struct device_record *page[3];
    bool more;
    char id[8];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(id, sizeof id, "d%03u", (i * 7) % 500);
        put(registry, device(i % 2 ? "acme" : "other", id, 1));
    }
    size_t count = registry_page(registry, BYTES_LITERAL("acme"), BYTES_LITERAL(""), 3, NULL, NULL, page, &more);
    cr_assert_eq(count, 3);
    cr_expect(more);
    char last[8] = "";
    size_t seen = 0;
    while (count > 0) {
        for (size_t i = 0; i < count; i++) {
            cr_expect_str_eq(page[i]->tenant, "acme");
            cr_expect_gt(strcmp(page[i]->id, last), 0);
            strcpy(last, page[i]->id);
            seen++;
        }
        cr_expect_eq(more, seen < 250);
        count = registry_page(registry, BYTES_LITERAL("acme"), bytes_of_text(last), 3, NULL, NULL, page, &more);
    }
    cr_expect_eq(seen, 250);
    cr_expect_eq(registry_page(registry, BYTES_LITERAL("nobody"), BYTES_LITERAL(""), 3, NULL, NULL, page, &more), 0);
    cr_expect_not(more);
    registry_free(registry);
}

/* Credentials. */

Test(registry, one_psk_takes_no_more_room_than_it_always_did)
{
    /* Of version 0.3: 696 octets of a record, whatever it had. */
    cr_expect_leq(sizeof(struct device_record) + sizeof(struct credential), 696);
}

Test(registry, a_certificate_is_judged_by_its_authority_and_the_time)
{
    struct registry *registry = registry_new(&hash_key);
    const uint8_t old_ca[CREDENTIAL_DIGEST_BYTES] = {1}, new_ca[CREDENTIAL_DIGEST_BYTES] = {2};
    struct bytes name = BYTES_LITERAL("urn:dev:1");
    struct credential keys[2] = {
        {.id = "new", .kind = CREDENTIAL_CA, .public_len = 32, .public = {2}, .name = "urn:dev:1", .not_before_s = 50},
        {.id = "old", .kind = CREDENTIAL_CA, .public_len = 32, .public = {1}, .name = "urn:dev:1", .not_after_s = 100}};
    struct device_record record = device("acme", "d1", 1), any = device("other", "d2", 1);
    struct credential by_name = x509("urn:dev:1");
    const struct credential *found = NULL;
    record.credentials = keys;
    record.credential_count = 2;
    put(registry, record);
    cr_expect_not_null(by_chain(registry, name, old_ca, no_leaf, 99, &found));
    cr_expect_str_eq(found->id, "old");
    cr_expect_not_null(by_chain(registry, name, new_ca, no_leaf, 99, &found));
    cr_expect_str_eq(found->id, "new");
    cr_expect_null(by_chain(registry, name, old_ca, no_leaf, 100, &found));
    cr_expect_null(by_chain(registry, name, new_ca, no_leaf, 49, &found));
    cr_expect_null(by_chain(registry, name, no_ca, no_leaf, 60, &found));
    any.credentials = &by_name;
    any.credential_count = 1;
    put(registry, any);
    cr_expect_str_eq(by_chain(registry, name, old_ca, no_leaf, 99, &found)->id, "d1", "the first of the same second");
    cr_expect_str_eq(by_chain(registry, name, no_ca, no_leaf, 99, &found)->id, "d2");
    record.credential_count = 1;
    put(registry, record);
    cr_expect_str_eq(by_chain(registry, name, old_ca, no_leaf, 99, &found)->id, "d2");
    registry_free(registry);
}

Test(registry, a_credential_of_one_leaf_is_of_no_other)
{
    struct registry *registry = registry_new(&hash_key);
    const uint8_t ca[CREDENTIAL_DIGEST_BYTES] = {1}, other_ca[CREDENTIAL_DIGEST_BYTES] = {2};
    const uint8_t a[CREDENTIAL_DIGEST_BYTES] = {10}, b[CREDENTIAL_DIGEST_BYTES] = {11}, c[CREDENTIAL_DIGEST_BYTES] = {12};
    struct bytes name = BYTES_LITERAL("urn:dev:1");
    struct credential keys[4] = {
        {.id = "1", .kind = CREDENTIAL_CA, .public_len = 64, .public = {1, [32] = 10}, .name = "urn:dev:1", .not_after_s = 90},
        {.id = "2", .kind = CREDENTIAL_CA, .public_len = 64, .public = {1, [32] = 11}, .name = "urn:dev:1"},
        {.id = "3", .kind = CREDENTIAL_CA, .public_len = 64, .public = {1, [32] = 11}, .name = "urn:dev:1", .offered = true},
        {.id = "4", .kind = CREDENTIAL_CA, .public_len = 32, .public = {1}, .name = "urn:dev:1"}};
    struct device_record record = device("acme", "d1", 1);
    const struct credential *found = NULL;
    record.credentials = keys;
    record.credential_count = 2;
    put(registry, record);
    cr_expect_not_null(by_chain(registry, name, ca, a, 50, &found));
    cr_expect_str_eq(found->id, "1");
    cr_expect_not_null(by_chain(registry, name, ca, b, 50, &found));
    cr_expect_str_eq(found->id, "2");
    cr_expect_null(by_chain(registry, name, ca, a, 90, &found), "it has ended");
    cr_expect_null(by_chain(registry, name, ca, c, 50, &found));
    cr_expect_null(by_chain(registry, name, other_ca, b, 50, &found));
    cr_expect_null(by_chain(registry, BYTES_LITERAL("urn:dev:2"), ca, b, 50, &found));
    record.credential_count = 4;
    put(registry, record);
    cr_expect_not_null(by_chain(registry, name, ca, b, 50, &found));
    cr_expect_str_eq(found->id, "3", "renewed with its key: the one that waits for its use");
    cr_expect_not_null(by_chain(registry, name, ca, c, 50, &found));
    cr_expect_str_eq(found->id, "4", "any of that authority");
    record.credentials = keys + 1;
    record.credential_count = 1;
    put(registry, record);
    cr_expect_null(by_chain(registry, name, ca, a, 50, &found));
    cr_expect_null(by_chain(registry, name, ca, c, 50, &found));
    registry_free(registry);
}

Test(registry, a_signature_key_is_found_within_its_tenant)
{
    struct registry *registry = registry_new(&hash_key);
    struct credential keys[3] = {{.id = "k1", .kind = CREDENTIAL_ES256, .public_len = 64, .not_after_s = 5},
                                 {.id = "k2", .kind = CREDENTIAL_HS256, .secret.len = 32},
                                 {.id = "k3", .kind = CREDENTIAL_HMAC, .secret.len = 16}};
    struct device_record record = device("acme", "d1", 1), other = device("other", "d2", 1);
    const struct device_record *owner = NULL;
    struct bytes acme = BYTES_LITERAL("acme"), k1 = BYTES_LITERAL("k1"), k2 = BYTES_LITERAL("k2");
    record.credentials = keys;
    record.credential_count = 3;
    other.credentials = &keys[1];
    other.credential_count = 1;
    put(registry, record);
    put(registry, other);
    cr_expect_eq(registry_count(registry).credentials, 4);
    cr_expect_eq(registry_signature_key(registry, acme, k1, &owner)->kind, CREDENTIAL_ES256, "expired ones, too");
    cr_expect_str_eq(owner->id, "d1");
    cr_expect_eq(registry_signature_key(registry, acme, k2, &owner)->kind, CREDENTIAL_HS256);
    cr_expect_not_null(registry_signature_key(registry, BYTES_LITERAL("other"), k2, &owner));
    cr_expect_str_eq(owner->id, "d2");
    cr_expect_null(registry_signature_key(registry, acme, BYTES_LITERAL("k3"), &owner), "no signature kind");
    cr_expect_null(registry_signature_key(registry, BYTES_LITERAL("other"), k1, &owner));
    record.credential_count = 1;
    put(registry, record);
    cr_expect_null(registry_signature_key(registry, acme, k2, &owner));
    cr_expect_not_null(registry_signature_key(registry, acme, k1, &owner));
    registry_remove_device(registry, acme, BYTES_LITERAL("d1"));
    cr_expect_null(registry_signature_key(registry, acme, k1, &owner));
    cr_expect_eq(registry_count(registry).credentials, 1);
    registry_free(registry);
}

/* All keys of a device point to one entry, so each has to be taken out of its own place. */
Test(registry, a_device_with_many_keys_leaves_none_behind)
{
    struct registry *registry = registry_new(&hash_key);
    struct credential keys[CREDENTIALS_MAX] = {0};
    char id[16];
    const struct device_record *owner;
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 20; i++) {
            struct device_record record = device("acme", "", 1);
            snprintf(record.id, sizeof record.id, "d%u", i);
            for (unsigned k = 0; k < CREDENTIALS_MAX; k++) {
                keys[k] = (struct credential){.kind = CREDENTIAL_EDDSA, .public_len = 32};
                snprintf(keys[k].id, sizeof keys[k].id, "k%u-%u-%u", i, k, round % (k + 2));
            }
            record.credentials = keys;
            record.credential_count = CREDENTIALS_MAX;
            put(registry, record);
        }
        registry_quiescent();
    }
    for (unsigned i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "d%u", i);
        registry_remove_device(registry, BYTES_LITERAL("acme"), bytes_of_text(id));
    }
    registry_quiescent();
    for (unsigned i = 0; i < 20; i++)
        for (unsigned k = 0; k < CREDENTIALS_MAX; k++)
            for (unsigned n = 0; n < k + 2; n++) {
                snprintf(id, sizeof id, "k%u-%u-%u", i, k, n);
                cr_expect_null(registry_signature_key(registry, BYTES_LITERAL("acme"), bytes_of_text(id), &owner));
            }
    registry_free(registry);
}

/* Groups. */

static void put_group(struct registry *registry, const char *id, const char *pattern, bool disabled)
{
    struct group_record group = {.tenant = "acme", .disabled = disabled};
    snprintf(group.id, sizeof group.id, "%s", id);
    snprintf(group.pattern, sizeof group.pattern, "%s", pattern);
    memset(group.key.octets, 1, group.key.len = 32);
    cr_assert(registry_put_group(registry, &group));
}

static const char *group_of(const struct registry *registry, const char *device_id)
{
    const struct group_record *group = registry_group_of(registry, BYTES_LITERAL("acme"), bytes_of_text(device_id));
    return group ? group->id : "none";
}

Test(registry, the_first_group_by_id_that_matches_has_the_device)
{
    struct registry *registry = registry_new(&hash_key);
    struct tenant_record tenant = {.id = "acme"};
    struct told told = {""};
    registry_put_tenant(registry, &tenant);
    cr_expect_str_eq(group_of(registry, "b7-1"), "none");
    cr_expect_not(registry_device_may_speak(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("b7-1")));
    put_group(registry, "b", "*", false);
    put_group(registry, "a", "b7-*", false);
    put_group(registry, "0", "*", true);
    cr_expect_str_eq(group_of(registry, "b7-1"), "a");
    cr_expect_str_eq(group_of(registry, "b8-1"), "b");
    cr_expect_null(registry_group_of(registry, BYTES_LITERAL("other"), BYTES_LITERAL("b7-1")));
    cr_expect_str_eq(registry_group(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("0"))->pattern, "*");
    cr_expect(registry_device_may_speak(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("b7-1")));
    struct device_record known = device("acme", "b7-1", 1);
    known.disabled = true;
    put(registry, known);
    cr_expect_not(registry_device_may_speak(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("b7-1")), "its record counts");
    cr_expect_eq(registry_count(registry).groups, 3);

    registry_resync_begin(registry);
    registry_put_tenant(registry, &tenant);
    put(registry, known);
    put_group(registry, "b", "*", false);
    put_group(registry, "0", "*", true);
    registry_resync_end(registry, tell, &told);
    cr_expect_str_eq(told.text, "acme/ ");
    cr_expect_str_eq(group_of(registry, "b7-1"), "b");
    registry_remove_group(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("b"));
    cr_expect_str_eq(group_of(registry, "b7-1"), "none");
    registry_remove_tenant(registry, BYTES_LITERAL("acme"));
    cr_expect_eq(registry_count(registry).groups, 0);
    registry_free(registry);
}

static struct token_record legacy_token(const char *id, const char *device_id, int64_t created_s)
{
    struct token_record token = {.tenant = "acme", .role = ROLE_DEVICE, .created_s = created_s};
    snprintf(token.id, sizeof token.id, "%s", id);
    snprintf(token.device, sizeof token.device, "%s", device_id);
    secret_set(&token.apikey, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
    return token;
}

static const char *device_of_key(const struct registry *registry)
{
    const struct token_record *token =
        registry_token_by_apikey(registry, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
    return token ? token->device : "nobody";
}

Test(registry, a_key_is_found_by_its_whole_text)
{
    struct registry *registry = registry_new(&hash_key);
    struct token_record token = legacy_token("0000000000000001", "d1", 5), bearer = {.tenant = "acme", .id = "x"};
    cr_assert(registry_put_token(registry, &token) && registry_put_token(registry, &bearer));
    cr_expect_str_eq(device_of_key(registry), "d1");
    cr_expect_null(registry_token_by_apikey(registry, BYTES_LITERAL("0123456789abcdef0123456789abcdeF")));
    cr_expect_null(registry_token_by_apikey(registry, BYTES_LITERAL("0123456789abcdef")));
    cr_expect_null(registry_token_by_apikey(registry, bytes_of(NULL, 0)));
    secret_set(&token.apikey, BYTES_LITERAL("another-key-of-it"));
    cr_assert(registry_put_token(registry, &token));
    cr_expect_str_eq(device_of_key(registry), "nobody");
    cr_expect_not_null(registry_token_by_apikey(registry, BYTES_LITERAL("another-key-of-it")));
    registry_remove_token(registry, BYTES_LITERAL("0000000000000001"));
    cr_expect_null(registry_token_by_apikey(registry, BYTES_LITERAL("another-key-of-it")));
    registry_free(registry);
}

Test(registry, a_key_goes_to_the_newer_token_that_is_not_revoked)
{
    struct registry *registry = registry_new(&hash_key);
    struct token_record old = legacy_token("0000000000000001", "old", 5), fresh = legacy_token("0000000000000002", "fresh", 6);
    registry_put_token(registry, &fresh);
    registry_put_token(registry, &old);
    cr_expect_str_eq(device_of_key(registry), "fresh");
    fresh.revoked = true;
    registry_put_token(registry, &fresh);
    registry_put_token(registry, &old);
    cr_expect_str_eq(device_of_key(registry), "old");
    registry_put_token(registry, &fresh);
    cr_expect_str_eq(device_of_key(registry), "old");
    registry_remove_token(registry, bytes_of_text(old.id));
    cr_expect_str_eq(device_of_key(registry), "nobody");
    registry_free(registry);
}

static void put_profile(struct registry *registry, const char *tenant, const char *id, const char *format)
{
    struct profile_record profile = {.clock = CLOCK_REPLACE, .clock_window_s = 7};
    snprintf(profile.tenant, sizeof profile.tenant, "%s", tenant);
    snprintf(profile.id, sizeof profile.id, "%s", id);
    snprintf(profile.format, sizeof profile.format, "%s", format);
    cr_assert(registry_put_profile(registry, &profile));
}

Test(registry, how_a_device_speaks)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record speaker = device("acme", "d1", 1);
    struct profile_record profile = registry_profile_of(registry, &speaker);
    cr_expect(profile.format[0] == '\0' && profile.clock == CLOCK_TRUST);
    strcpy(speaker.profile, "old");
    profile = registry_profile_of(registry, &speaker);
    cr_expect_str_eq(profile.format, "old", "what is no profile is a format");
    cr_expect(profile.id[0] == '\0' && profile.clock == CLOCK_TRUST);
    put_profile(registry, "other", "old", "text");
    cr_expect_str_eq(registry_profile_of(registry, &speaker).format, "old");
    put_profile(registry, "acme", "old", "cayenne-lpp");
    profile = registry_profile_of(registry, &speaker);
    cr_expect_str_eq(profile.format, "cayenne-lpp");
    cr_expect(profile.clock == CLOCK_REPLACE && profile.clock_window_s == 7);
    put_profile(registry, "acme", "old", "json");
    cr_expect_str_eq(registry_profile_of(registry, &speaker).format, "json");
    cr_expect_eq(registry_count(registry).profiles, 2);
    registry_remove_profile(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("old"));
    cr_expect_null(registry_profile(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("old")));
    registry_free(registry);
}

Test(registry, a_codec_that_does_not_hold_is_there_with_the_reason)
{
    struct registry *registry = registry_new(&hash_key);
    struct bytes tenant = BYTES_LITERAL("acme"), id = BYTES_LITERAL("bad");
    char definition[] = "{}";
    struct codec_record record = {.tenant = "acme", .id = "bad", .quarantined = true,
                                  .definition = bytes_of_text(definition)};
    struct registry_codec codec = {0};
    cr_expect_not(registry_codec(registry, tenant, id, &codec));
    cr_assert(registry_put_codec(registry, &record));
    definition[0] = '!'; /* the registry has a copy */
    cr_assert(registry_codec(registry, tenant, id, &codec));
    cr_expect_null(codec.custom);
    cr_expect(codec.quarantined && codec.reason[0] != '\0');
    cr_expect(bytes_equal_text(codec.record->definition, "{}"));
    cr_expect_eq(registry_count(registry).codecs, 1);
    registry_remove_codec(registry, tenant, id);
    cr_expect_not(registry_codec(registry, tenant, id, &codec));
    registry_free(registry);
}

#define TH(name, scale)                                                                                                \
    "{\"name\":\"" name "\",\"kind\":\"binary\",\"fields\":[{\"name\":\"temp\",\"type\":\"i16\",\"scale\":" scale           \
    ",\"unit\":\"Cel\"}],\"examples\":[{\"input\":\"0110\",\"senml\":[{\"n\":\"temp\",\"u\":\"Cel\",\"v\":27.2}]}]}"

Test(registry, a_codec_is_compiled_when_it_is_put)
{
    struct registry *registry = registry_new(&hash_key);
    struct bytes tenant = BYTES_LITERAL("acme"), id = BYTES_LITERAL("th");
    struct codec_record record = {.tenant = "acme", .id = "th", .definition = BYTES_LITERAL(TH("th", "0.1"))};
    struct registry_codec codec = {0};
    cr_assert(registry_put_codec(registry, &record));
    cr_assert(registry_codec(registry, tenant, id, &codec));
    cr_assert_not_null(codec.custom, "%s", codec.reason);
    const struct custom *before = codec.custom;
    cr_assert(registry_put_codec(registry, &record));
    cr_assert(registry_codec(registry, tenant, id, &codec));
    cr_expect_eq(codec.custom, before, "the same is not compiled again");
    record.quarantined = true;
    strcpy(record.reason, "why");
    cr_assert(registry_put_codec(registry, &record));
    cr_assert(registry_codec(registry, tenant, id, &codec));
    cr_expect(codec.custom && codec.quarantined && strcmp(codec.reason, "why") == 0);
    record.definition = BYTES_LITERAL(TH("th", "0.01"));
    cr_assert(registry_put_codec(registry, &record));
    cr_assert(registry_codec(registry, tenant, id, &codec));
    cr_expect_null(codec.custom, "its example does not hold");
    cr_expect(strstr(codec.reason, "/examples/0"), "%s", codec.reason);
    record.definition = BYTES_LITERAL(TH("other", "0.1"));
    cr_assert(registry_put_codec(registry, &record));
    cr_assert(registry_codec(registry, tenant, id, &codec));
    cr_expect_null(codec.custom, "it has another name");
    cr_expect(strstr(codec.reason, "/name"), "%s", codec.reason);
    registry_free(registry);
}

static void leave_alone(void *ctx, struct bytes tenant, struct bytes id)
{
    (void)ctx;
    (void)tenant;
    (void)id;
}

Test(registry, profiles_and_codecs_go_with_their_tenant_and_in_a_resync)
{
    struct registry *registry = registry_new(&hash_key);
    struct codec_record codec = {.tenant = "acme", .id = "c", .definition = BYTES_LITERAL("{}")}, kept = codec;
    strcpy(kept.tenant, "other");
    put_profile(registry, "acme", "p", "text");
    put_profile(registry, "other", "p", "text");
    cr_assert(registry_put_codec(registry, &codec) && registry_put_codec(registry, &kept));
    registry_remove_tenant(registry, BYTES_LITERAL("acme"));
    cr_expect(registry_count(registry).profiles == 1 && registry_count(registry).codecs == 1);
    registry_resync_begin(registry);
    put_profile(registry, "third", "p", "text");
    cr_assert(registry_put_codec(registry, &kept));
    registry_resync_end(registry, leave_alone, NULL);
    cr_expect(registry_count(registry).profiles == 1 && registry_count(registry).codecs == 1);
    cr_expect_not_null(registry_profile(registry, BYTES_LITERAL("third"), BYTES_LITERAL("p")));
    registry_free(registry);
}

Test(registry, who_waited_has_what_a_tenant_or_a_resync_took_with_it)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record first = device("acme", "d1", 1), heir = device("other", "d2", 1);
    struct credential a = x509("same"), b = x509("same");
    a.created_s = 100, b.created_s = 101;
    first.credentials = &a, heir.credentials = &b;
    first.credential_count = heir.credential_count = 1;
    put(registry, first);
    put(registry, heir);
    registry_remove_tenant(registry, BYTES_LITERAL("acme"));
    cr_assert_not_null(by_x509(registry, "same"));
    cr_expect_str_eq(by_x509(registry, "same")->id, "d2");
    put(registry, first);
    cr_expect_str_eq(by_x509(registry, "same")->id, "d1");
    registry_resync_begin(registry);
    put(registry, heir);
    registry_resync_end(registry, leave_alone, NULL);
    cr_assert_not_null(by_x509(registry, "same"));
    cr_expect_str_eq(by_x509(registry, "same")->id, "d2");
    registry_free(registry);
}

Test(registry, in_a_resync_who_changes_is_found_all_the_while)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record record = device("acme", "d1", 1);
    struct credential name = x509("same");
    record.credentials = &name;
    record.credential_count = 1;
    put(registry, record);
    registry_resync_begin(registry);
    record.disabled = true;
    put(registry, record);
    cr_assert_eq(by_x509(registry, "same"), get(registry, "acme", "d1"));
    registry_resync_end(registry, leave_alone, NULL);
    registry_free(registry);
}
