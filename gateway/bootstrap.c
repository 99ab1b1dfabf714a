// SPDX-License-Identifier: GPL-3.0-or-later
/* Pure but for the digests. */
#include "gateway/bootstrap.h"

#include "codec/hex.h"
#include "gateway/crypto.h"

#include <stdio.h>

static void put_hex(const uint8_t *octets, size_t len, char *ret)
{
    ret[hex_write(bytes_of(octets, len), ret)] = '\0';
}

static bool derive(const struct batch_record *batch, struct bytes label, struct bytes serial,
                   uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    return crypto_hmac_sha256(bytes_of(batch->secret.octets, batch->secret.len), label, serial, ret);
}

bool bootstrap_psk(const struct batch_record *batch, struct bytes serial, struct secret *ret)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    bool made = derive(batch, (struct bytes){0}, serial, mac) && secret_set(ret, bytes_of(mac, sizeof mac));
    explicit_bzero(mac, sizeof mac);
    return made;
}

bool bootstrap_claim(const struct batch_record *batch, struct bytes serial, char ret[static BOOTSTRAP_CLAIM_LEN + 1])
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    bool made = derive(batch, BYTES_LITERAL("claim/"), serial, mac);
    if (made)
        put_hex(mac, BOOTSTRAP_CLAIM_LEN / 2, ret);
    explicit_bzero(mac, sizeof mac);
    return made;
}

bool bootstrap_mark(struct bytes serial, char ret[static CREDENTIAL_ID_MAX + 1])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!crypto_sha256(BYTES_LITERAL("serial "), serial, digest))
        return false;
    put_hex(digest, CREDENTIAL_ID_MAX / 2, ret);
    return true;
}

const struct batch_record *bootstrap_batch(const struct registry *registry, const struct identity *who, int64_t now_s)
{
    struct bytes tenant = bytes_of_text(who->tenant);
    const struct tenant_record *owner = registry_tenant(registry, tenant);
    if (who->kind != IDENTITY_BOOTSTRAP || who->device[0] != BATCH_MARK || !owner || owner->disabled)
        return NULL;
    const struct batch_record *batch = registry_batch(registry, tenant, bytes_of_text(who->device + 1));
    return batch && batch_is_open_at(batch, now_s) ? batch : NULL;
}

bool bootstrap_identity(const struct batch_record *batch, struct bytes serial, struct identity *ret)
{
    *ret = (struct identity){.kind = IDENTITY_BOOTSTRAP, .role = ROLE_BOOTSTRAP};
    memcpy(ret->tenant, batch->tenant, sizeof ret->tenant);
    snprintf(ret->device, sizeof ret->device, "%c%s", BATCH_MARK, batch->id);
    return serial.len == 0 || bootstrap_mark(serial, ret->key);
}
