// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * "Stored" means what Redis means by it (reliability notes, R6): with appendfsync everysec a power cut takes the last second
 * of what was acknowledged, without an append-only file much more, and with eviction Redis deletes streams by itself.
 */
#include "gateway/redis_check.h"

#include "gateway/rt/log.h"
#include "gateway/store.h"

static const struct expectation {
    const char *setting, *wanted, *consequence;
} expectations[] = {
    {"appendonly", "yes", "acknowledged observations are lost when Redis dies"},
    {"appendfsync", "always", "the last second of acknowledged observations is lost in a power cut"},
    {"no-appendfsync-on-rewrite", "no", "nothing is synced to disk while Redis rewrites its file"},
    {"maxmemory-policy", "noeviction", "Redis may delete streams when memory is short"},
};

static void check_one(struct store_client *client, const struct expectation *expectation)
{
    struct bytes arguments[] = {BYTES_LITERAL("CONFIG"), BYTES_LITERAL("GET"), bytes_of_text(expectation->setting)};
    const struct store_reply *reply = store_client_call(client, arguments, 3);
    if (!reply || reply->type != STORE_LIST || reply->count != 2 ||
        bytes_equal_text(reply->items[1].text, expectation->wanted))
        return;
    char quoted[LOG_QUOTED_MAX];
    log_write(LOG_WARN, "redis_check", expectation->consequence, "setting=%s is=%s wanted=%s", expectation->setting,
              log_quote(quoted, reply->items[1].text), expectation->wanted);
}

void redis_check(const char *redis_address, uint64_t timeout_ms)
{
    char error[STORE_CLIENT_ERROR_MAX];
    struct store_client *client = store_client_open(redis_address, timeout_ms, error);
    if (!client)
        return;
    for (unsigned i = 0; i < sizeof expectations / sizeof expectations[0]; i++)
        check_one(client, &expectations[i]);
    store_client_close(client);
}
