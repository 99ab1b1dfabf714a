// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Redis hears of all devices (SADD, HSET), then of their changes (XADD weir:changes), so that a gateway that
 * follows never reads half a record, also when this is cut off. gateway/accounts does the same for single
 * devices with a round trip each; a fleet of a million would take it an hour.
 */
#include "cmd/sim_provision.h"

#include "cmd/sim_ledger.h"
#include "gateway/accounts.h"
#include "gateway/crypto.h"
#include "gateway/redis.h"
#include "gateway/resp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BATCH_DEVICES 500
#define BATCHES_WAITING_MAX 4
#define STORE_TIMEOUT_MS 10000
#define FLEET_KEY_DIGITS_MIN 32

struct provision {
    struct loop *loop;
    struct redis *redis;
    bool is_connected;
    bool tells; /* the second pass: the word of what the first has written */
    const struct record_vault *vault;
    const char *tenant;
    const struct secret *fleet_key;
    int64_t created_s;
    uint64_t pending, failed; /* commands */
};

bool sim_provision_key(const char *path, struct secret *ret, char reterr[static SIM_PROVISION_ERROR_MAX])
{
    char text[2 * SECRET_MAX + 2] = "";
    FILE *file = fopen(path, "r");
    bool ok = file && fgets(text, sizeof text, file);
    if (file)
        fclose(file);
    text[strcspn(text, "\r\n")] = '\0';
    ok = ok && strlen(text) >= FLEET_KEY_DIGITS_MIN && secret_set_hex(ret, bytes_of_text(text));
    explicit_bzero(text, sizeof text);
    if (!ok)
        snprintf(reterr, SIM_PROVISION_ERROR_MAX,
                 "%s holds no fleet key: 32 to 128 hexadecimal digits, for example from openssl rand -hex 32", path);
    return ok;
}

bool sim_provision_psk(const struct secret *fleet_key, uint32_t device, struct secret *ret)
{
    char name[SIM_DEVICE_NAME_MAX];
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct bytes id = bytes_of(name, sim_device_name(name, device));
    bool ok = crypto_hmac_sha256(bytes_of(fleet_key->octets, fleet_key->len), id, (struct bytes){0}, digest) &&
              secret_set(ret, bytes_of(digest, sizeof digest));
    explicit_bzero(digest, sizeof digest);
    return ok;
}

static void answered(void *ctx, const struct store_reply *reply)
{
    struct provision *provision = ctx;
    provision->pending--;
    provision->failed += !reply || reply->type == STORE_ERROR;
}

static void connection_changed(void *ctx, bool connected)
{
    struct provision *provision = ctx;
    provision->is_connected = connected;
}

static bool put_hash(struct resp *resp, const struct provision *provision, const struct device_record *record)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX], key[SCHEMA_KEY_MAX];
    struct bytes arguments[2 + 2 * RECORD_FIELDS_MAX] = {BYTES_LITERAL("HSET")};
    size_t count = record_of_device(record, provision->vault, fields, scratch);
    arguments[1] = bytes_of(key, schema_key_of(key, bytes_of_text(provision->tenant), "dev",
                                               bytes_of_text(record->id)));
    for (size_t i = 0; i < count; i++) {
        arguments[2 + 2 * i] = fields[i].name;
        arguments[3 + 2 * i] = fields[i].value;
    }
    bool ok = count > 0 && resp_command(resp, arguments, 2 + 2 * count);
    explicit_bzero(scratch, sizeof scratch);
    return ok;
}

static bool put_device(struct resp *resp, const struct provision *provision, uint32_t device)
{
    struct credential psk = {.id = "psk", .kind = CREDENTIAL_PSK, .created_s = provision->created_s};
    struct device_record record = {.created_s = provision->created_s, .credentials = &psk, .credential_count = 1};
    char key[SCHEMA_KEY_MAX];
    snprintf(record.tenant, sizeof record.tenant, "%s", provision->tenant);
    struct bytes tenant = bytes_of_text(provision->tenant);
    struct bytes id = bytes_of(record.id, sim_device_name(record.id, device));
    const struct bytes add[] = {BYTES_LITERAL("SADD"), bytes_of(key, schema_key(key, tenant, "devices")), id};
    bool ok = sim_provision_psk(provision->fleet_key, device, &psk.secret) && resp_command(resp, add, 3) &&
              put_hash(resp, provision, &record);
    credential_wipe(&psk);
    return ok;
}

static bool tell_device(struct resp *resp, const struct provision *provision, uint32_t device)
{
    char id[SCHEMA_DEVICE_MAX + 1];
    const struct bytes tell[] = {
        BYTES_LITERAL("XADD"), BYTES_LITERAL(SCHEMA_KEY_CHANGES), BYTES_LITERAL("MAXLEN"), BYTES_LITERAL("~"),
        BYTES_LITERAL(SCHEMA_CHANGES_KEPT), BYTES_LITERAL("*"), BYTES_LITERAL(SCHEMA_CHANGE_OBJECT),
        BYTES_LITERAL("device"), BYTES_LITERAL(SCHEMA_CHANGE_TENANT), bytes_of_text(provision->tenant),
        BYTES_LITERAL(SCHEMA_CHANGE_ID), bytes_of(id, sim_device_name(id, device))};
    return resp_command(resp, tell, sizeof tell / sizeof tell[0]);
}

static bool send_batch(struct provision *provision, struct resp *resp, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!(provision->tells ? tell_device : put_device)(resp, provision, first + i))
            return false;
    char key[SCHEMA_KEY_MAX];
    size_t len = schema_key(key, bytes_of_text(provision->tenant), SCHEMA_SUFFIX_DEVICES);
    size_t commands = (size_t)count * (provision->tells ? 1 : 2);
    if (!redis_send_raw(provision->redis, provision->tells ? BYTES_LITERAL(SCHEMA_KEY_CHANGES) : bytes_of(key, len),
                        bytes_of(resp->ptr, resp->len), commands, answered, provision))
        return false;
    provision->pending += commands;
    redis_flush(provision->redis);
    if (resp->ptr)
        explicit_bzero(resp->ptr, resp->len);
    resp_clear(resp, SIZE_MAX);
    return true;
}

static bool wait_connected(struct provision *provision)
{
    uint64_t end_ms = loop_now_ms(provision->loop) + STORE_TIMEOUT_MS;
    while (!provision->is_connected && loop_now_ms(provision->loop) < end_ms)
        loop_wait(provision->loop, 100, NULL, NULL);
    return provision->is_connected;
}

/* One of the two passes. */
static bool write_pass(struct provision *provision, uint32_t devices)
{
    struct resp resp = {0};
    bool ok = true;
    for (uint32_t first = 0; ok && first < devices; first += BATCH_DEVICES) {
        uint32_t left = devices - first;
        ok = send_batch(provision, &resp, first, left < BATCH_DEVICES ? left : BATCH_DEVICES);
        while (ok && provision->pending > BATCHES_WAITING_MAX * BATCH_DEVICES * 3)
            loop_wait(provision->loop, 1000, NULL, NULL);
        ok = ok && provision->failed == 0;
    }
    while (provision->pending > 0)
        loop_wait(provision->loop, 1000, NULL, NULL);
    resp_deinit(&resp);
    return ok && provision->failed == 0;
}

/* All records, then the word of them: where keys lie on several nodes, one does not wait for the other by itself. */
static bool write_all(struct provision *provision, uint32_t devices)
{
    bool ok = wait_connected(provision) && write_pass(provision, devices);
    provision->tells = true;
    return ok && write_pass(provision, devices);
}

static bool add_tenant(const struct store_target *redis, const char *tenant,
                       char reterr[static SIM_PROVISION_ERROR_MAX])
{
    struct accounts accounts = {.client = store_client_open_target(redis, STORE_TIMEOUT_MS, reterr)};
    if (!accounts.client)
        return false;
    struct tenant_record record = {.created_s = time(NULL)};
    snprintf(record.id, sizeof record.id, "%s", tenant);
    enum accounts_result result = accounts_add_tenant(&accounts, &record, false);
    store_client_close(accounts.client);
    if (result == ACCOUNTS_DONE || result == ACCOUNTS_EXISTS)
        return true;
    snprintf(reterr, SIM_PROVISION_ERROR_MAX, "cannot add tenant %s in %s", tenant, redis->address);
    return false;
}

bool sim_provision_write(const struct store_target *redis, const struct record_vault *vault,
                         const char *tenant, uint32_t devices, const struct secret *fleet_key,
                         char reterr[static SIM_PROVISION_ERROR_MAX])
{
    if (!schema_tenant_is_valid(bytes_of_text(tenant))) {
        snprintf(reterr, SIM_PROVISION_ERROR_MAX, "\"%.40s\" cannot be a tenant", tenant);
        return false;
    }
    if (!add_tenant(redis, tenant, reterr))
        return false;
    struct provision provision = {.vault = vault, .tenant = tenant, .fleet_key = fleet_key, .created_s = time(NULL)};
    struct redis_config config = {.target = redis,
                                  .timeout_ms = STORE_TIMEOUT_MS,
                                  .state = connection_changed,
                                  .ctx = &provision,
                                  .random_seed = {1}};
    provision.loop = loop_new();
    provision.redis = provision.loop ? redis_new(provision.loop, &config) : NULL;
    bool ok = provision.redis && write_all(&provision, devices);
    if (!ok)
        snprintf(reterr, SIM_PROVISION_ERROR_MAX, "Redis at %s did not take all devices", redis->address);
    redis_free(provision.redis);
    loop_free(provision.loop);
    return ok;
}
