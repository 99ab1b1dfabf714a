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

static const struct device_record *get(const struct registry *registry, const char *tenant, const char *id)
{
    return registry_device(registry, bytes_of_text(tenant), bytes_of_text(id));
}

Test(registry, finds_what_was_put)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record record = device("acme", "d1", 1);
    strcpy(record.x509, "urn:dev:1");
    record.has_rpk = true;
    record.rpk[0] = 9;
    put(registry, record);
    cr_assert_str_eq(get(registry, "acme", "d1")->id, "d1");
    cr_assert_eq(get(registry, "acme", "d1"), registry_device_by_x509(registry, BYTES_LITERAL("urn:dev:1")));
    cr_assert_eq(get(registry, "acme", "d1"), registry_device_by_rpk(registry, record.rpk));
    cr_assert_null(get(registry, "acm", "ed1"));
    cr_assert_null(get(registry, "acme", "d2"));
    cr_assert_null(registry_device_by_x509(registry, BYTES_LITERAL("")));
    registry_remove_device(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("d1"));
    cr_assert_null(get(registry, "acme", "d1"));
    cr_assert_null(registry_device_by_x509(registry, BYTES_LITERAL("urn:dev:1")));
    cr_assert_null(registry_device_by_rpk(registry, record.rpk));
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

Test(registry, a_credential_goes_to_the_newer_device)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record old = device("acme", "old", 1), fresh = device("other", "fresh", 2);
    struct bytes name = BYTES_LITERAL("same");
    strcpy(old.x509, "same");
    strcpy(fresh.x509, "same");
    put(registry, fresh);
    put(registry, old);
    cr_assert_str_eq(registry_device_by_x509(registry, name)->id, "fresh");
    old.disabled = true;
    put(registry, old);
    cr_assert_str_eq(registry_device_by_x509(registry, name)->id, "fresh");
    registry_remove_device(registry, BYTES_LITERAL("other"), BYTES_LITERAL("fresh"));
    cr_assert_null(registry_device_by_x509(registry, name));
    put(registry, old);
    cr_assert_str_eq(registry_device_by_x509(registry, name)->id, "old");
    old.created_s = 0; /* its own older record never stands in its way */
    put(registry, old);
    cr_assert_str_eq(registry_device_by_x509(registry, name)->id, "old");
    registry_free(registry);
}

Test(registry, a_changed_credential_is_forgotten)
{
    struct registry *registry = registry_new(&hash_key);
    struct device_record record = device("acme", "d1", 1);
    strcpy(record.x509, "before");
    put(registry, record);
    strcpy(record.x509, "after");
    put(registry, record);
    cr_assert_null(registry_device_by_x509(registry, BYTES_LITERAL("before")));
    cr_assert_str_eq(registry_device_by_x509(registry, BYTES_LITERAL("after"))->id, "d1");
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
    struct device_record devices[MODEL_DEVICES];
    bool present[MODEL_DEVICES];
    int x509_owner[MODEL_NAMES]; /* -1: nobody */
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
    return model->present[i] && model->devices[i].x509[0] ? atoi(model->devices[i].x509) : -1;
}

static void model_release(struct model *model, int i)
{
    int name = name_of(model, i);
    if (name >= 0 && model->x509_owner[name] == i)
        model->x509_owner[name] = -1;
}

static void model_put(struct model *model, int i, const struct device_record *record)
{
    int name = record->x509[0] ? atoi(record->x509) : -1;
    if (name_of(model, i) != name)
        model_release(model, i);
    model->devices[i] = *record;
    model->present[i] = true;
    int owner = name >= 0 ? model->x509_owner[name] : -1;
    if (name >= 0 && (owner < 0 || owner == i || record->created_s >= model->devices[owner].created_s))
        model->x509_owner[name] = i;
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
        const struct device_record *found = registry_device_by_x509(registry, bytes_of_text(text));
        int owner = model->x509_owner[name];
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
    memset(model.x509_owner, 0xff, sizeof model.x509_owner);
    for (unsigned step = 0; step < 20000; step++) {
        int i = (int)(next_random(&state) % MODEL_DEVICES);
        char id[16];
        snprintf(id, sizeof id, "d%d", i);
        if (next_random(&state) % 3 == 0) {
            registry_remove_device(registry, BYTES_LITERAL("acme"), bytes_of_text(id));
            model_release(&model, i);
            model.present[i] = false;
        } else {
            struct device_record record = device("acme", id, (int64_t)(next_random(&state) % 5));
            snprintf(record.site, sizeof record.site, "s%u", (unsigned)(next_random(&state) % 4));
            if (next_random(&state) % 2)
                snprintf(record.x509, sizeof record.x509, "%u", (unsigned)(next_random(&state) % MODEL_NAMES));
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
        bool whole = strcmp(record->id, id) == 0 && strcmp(record->site, record->tags) == 0 && record->psk.len == 16;
        for (unsigned k = 1; k < 16; k++)
            whole = whole && record->psk.octets[k] == record->psk.octets[0];
        stress->wrong += !whole;
        const struct device_record *by_name = registry_device_by_x509(stress->registry, bytes_of_text(id));
        stress->wrong += by_name && strcmp(by_name->x509, id) != 0;
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
    strcpy(record.x509, id);
    record.psk.len = 16;
    memset(record.psk.octets, (int)(next_random(state) & 0xff), 16);
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
    size_t count = registry_page(registry, BYTES_LITERAL("acme"), BYTES_LITERAL(""), 3, page, &more);
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
        count = registry_page(registry, BYTES_LITERAL("acme"), bytes_of_text(last), 3, page, &more);
    }
    cr_expect_eq(seen, 250);
    cr_expect_eq(registry_page(registry, BYTES_LITERAL("nobody"), BYTES_LITERAL(""), 3, page, &more), 0);
    cr_expect_not(more);
    registry_free(registry);
}
