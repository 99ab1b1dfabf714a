// SPDX-License-Identifier: GPL-3.0-or-later
#include "registry/registry.h"

#include <criterion/criterion.h>

static struct batch_record batch_of(const char *id)
{
    struct batch_record batch = {.tenant = "acme", .pattern = "sn-*", .approval = BATCH_LIST, .created_s = 7};
    strcpy(batch.id, id);
    secret_set(&batch.secret, BYTES_LITERAL("0123456789abcdef"));
    return batch;
}

Test(commission, device_ids_come_from_pattern_and_serial)
{
    struct batch_record batch = batch_of("spring");
    char id[SCHEMA_DEVICE_MAX + 1];
    cr_assert(batch_device_id(&batch, BYTES_LITERAL("A.1"), id));
    cr_expect_str_eq(id, "sn-A.1");
    cr_expect(!batch_device_id(&batch, BYTES_LITERAL(""), id));
    cr_expect(!batch_device_id(&batch, BYTES_LITERAL("a/b"), id));
    cr_expect(!batch_device_id(&batch, BYTES_LITERAL("a b"), id));
    cr_expect(!batch_device_id(&batch, BYTES_LITERAL("+a"), id));
    strcpy(batch.pattern, "0123456789012345678901234567890123456789-*");
    cr_expect(!batch_device_id(&batch, BYTES_LITERAL("012345678901234567890123"), id), "longer than an id may be");
    cr_expect(batch_pattern_is_valid(BYTES_LITERAL("*")) && !batch_pattern_is_valid(BYTES_LITERAL("a")) &&
              !batch_pattern_is_valid(BYTES_LITERAL("a**")) && !batch_pattern_is_valid(BYTES_LITERAL("/*")));
}

Test(commission, batch_comes_back_from_its_fields)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct batch_record batch = batch_of("spring"), read;
    batch.per_device = true;
    batch.max_devices = 12;
    batch.expires_s = 99;
    secret_set(&batch.claim, BYTES_LITERAL("heron"));
    size_t count = record_of_batch(&batch, NULL, fields, scratch);
    cr_assert(record_to_batch(BYTES_LITERAL("acme"), BYTES_LITERAL("spring"), fields, count, NULL, &read));
    cr_expect_eq(memcmp(&batch, &read, sizeof batch), 0);
    cr_expect(batch_is_open_at(&read, 98) && !batch_is_open_at(&read, 99));
    for (size_t i = 0; i < count; i++)
        if (bytes_equal_text(fields[i].name, "secret"))
            fields[i].value = BYTES_LITERAL("00112233");
    cr_expect(!record_to_batch(BYTES_LITERAL("acme"), BYTES_LITERAL("spring"), fields, count, NULL, &read), "too short");
}

Test(commission, authority_comes_back_from_its_fields)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct ca_record ca = {.tenant = "acme", .id = "ca-1", .certificate_len = 3, .certificate = {1, 2, 255},
                           .spki = {9}, .created_s = 1, .not_after_s = 2}, read;
    secret_set(&ca.key, BYTES_LITERAL("0123456789abcdef0123456789abcdef"));
    size_t count = record_of_ca(&ca, NULL, fields, scratch);
    cr_assert(record_to_ca(BYTES_LITERAL("acme"), BYTES_LITERAL("ca-1"), fields, count, NULL, &read));
    cr_expect_eq(memcmp(&ca, &read, sizeof ca), 0);
}

static unsigned told;
static void count_gone(void *ctx, struct bytes tenant, struct bytes device)
{
    (void)ctx;
    told += bytes_equal_text(tenant, "acme") && bytes_equal_text(device, "+summer");
}

static void count_ca(void *ctx, const struct ca_record *ca)
{
    *(unsigned *)ctx += strcmp(ca->id, "ca-1") == 0;
}

Test(commission, registry_keeps_sweeps_and_tells)
{
    struct hash_key key = {1, 2};
    struct registry *registry = registry_new(&key);
    struct batch_record spring = batch_of("spring"), summer = batch_of("summer");
    struct ca_record ca = {.tenant = "acme", .id = "ca-1", .certificate_len = 1};
    unsigned seen = 0;
    cr_assert(registry && registry_put_batch(registry, &spring) && registry_put_batch(registry, &summer) &&
              registry_put_ca(registry, &ca));
    registry_walk_cas(registry, count_ca, &seen);
    cr_expect_eq(seen, 1);
    cr_expect(registry_ca(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("ca-1")) &&
              !registry_ca(registry, BYTES_LITERAL("beta"), BYTES_LITERAL("ca-1")));
    registry_resync_begin(registry);
    cr_assert(registry_put_batch(registry, &spring));
    registry_resync_end(registry, count_gone, NULL);
    cr_expect_eq(told, 1);
    cr_expect(registry_batch(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("spring")) &&
              !registry_batch(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("summer")));
    cr_expect_eq(registry_count(registry).cas, 0);
    registry_remove_tenant(registry, BYTES_LITERAL("acme"));
    cr_expect_eq(registry_count(registry).batches, 0);
    registry_free(registry);
}
