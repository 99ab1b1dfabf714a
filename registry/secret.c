// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Pre-shared keys in memory. Comparing never branches on the octets, so its time tells nothing about them; the
 * lengths may show. Nor does reading hexadecimal (codec/hex).
 */
#include "registry/secret.h"

#include "codec/hex.h"

bool secret_set(struct secret *ret, struct bytes from)
{
    if (from.len > SECRET_MAX)
        return false;
    secret_wipe(ret);
    if (from.len > 0)
        memcpy(ret->octets, from.ptr, from.len);
    ret->len = (uint8_t)from.len;
    return true;
}

bool secret_set_hex(struct secret *ret, struct bytes hex)
{
    struct secret secret = {.len = 0};
    size_t len;
    bool ok = hex_read(hex, secret.octets, SECRET_MAX, &len) && len > 0;
    if (ok) {
        secret.len = (uint8_t)len;
        *ret = secret;
    }
    secret_wipe(&secret);
    return ok;
}

bool secret_is_set(const struct secret *secret)
{
    return secret->len > 0;
}

bool secret_bytes_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < len; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->len == b->len && secret_bytes_equal(a->octets, b->octets, a->len);
}

void secret_wipe(struct secret *secret)
{
    explicit_bzero(secret, sizeof *secret);
}
