// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/etag.h"

#include "gateway/crypto.h"

bool etag_of(struct bytes text, struct etag *ret)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!crypto_sha256(text, (struct bytes){0}, digest))
        return false;
    ret->len = ETAG_BYTES;
    memcpy(ret->octets, digest, ret->len);
    return true;
}

bool etag_is_in(const struct etag *etag, const struct etag *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (list[i].len == etag->len && memcmp(list[i].octets, etag->octets, etag->len) == 0)
            return true;
    return false;
}
