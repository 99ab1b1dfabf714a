// SPDX-License-Identifier: GPL-3.0-or-later
/* See the header. Called in handshakes and for signatures of devices without a key of their own. */
#include "gateway/derive.h"

#include "gateway/crypto.h"

#define MAC_LABEL "mac:"

static bool derive(const struct group_record *group, struct bytes label, struct bytes device, struct secret *ret)
{
    _Static_assert(DERIVE_KEY_BYTES == CRYPTO_SHA256_BYTES, "the whole of the MAC is the key");
    struct bytes key = bytes_of(group->key.octets, group->key.len);
    if (!secret_is_set(&group->key) || !crypto_hmac_sha256(key, label, device, ret->octets))
        return false;
    ret->len = DERIVE_KEY_BYTES;
    return true;
}

bool derive_psk(const struct group_record *group, struct bytes device, struct secret *ret)
{
    return derive(group, (struct bytes){0}, device, ret);
}

bool derive_mac_key(const struct group_record *group, struct bytes device, struct secret *ret)
{
    return derive(group, BYTES_LITERAL(MAC_LABEL), device, ret);
}

static bool has_own_psk(const struct device_record *device)
{
    for (size_t i = 0; i < device->credential_count; i++)
        if (device->credentials[i].kind == CREDENTIAL_PSK && !device->credentials[i].offered)
            return true;
    return false;
}

/* The device "mac:x" of a group would have the PSK that is the MAC key of "x". */
static bool is_ambiguous(struct bytes device)
{
    return bytes_starts_with(device, BYTES_LITERAL(MAC_LABEL));
}

const struct group_record *derive_group(const struct registry *registry, struct bytes tenant, struct bytes device)
{
    const struct device_record *record = registry_device(registry, tenant, device);
    const struct group_record *group;
    if (is_ambiguous(device))
        return NULL;
    if (!record)
        return registry_group_of(registry, tenant, device);
    if (!record->group[0] || has_own_psk(record))
        return NULL;
    group = registry_group(registry, tenant, bytes_of_text(record->group));
    return group && !group->disabled ? group : NULL;
}
