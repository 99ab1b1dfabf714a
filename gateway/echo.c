// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A guess is right with 2^-64, and can only be tried online; so SipHash is enough here, where a signature would need
 * more. The comparison takes the same time wherever the difference is.
 */
#include "gateway/echo.h"

static void put_u32(uint8_t ret[static 4], uint32_t number)
{
    ret[0] = (uint8_t)(number >> 24);
    ret[1] = (uint8_t)(number >> 16);
    ret[2] = (uint8_t)(number >> 8);
    ret[3] = (uint8_t)number;
}

static uint64_t proof(const uint8_t key[static 16], const struct address *remote, const uint8_t time[static 4])
{
    struct hash_key hash_key;
    memcpy(&hash_key.k0, key, 8);
    memcpy(&hash_key.k1, key + 8, 8);
    /* The address by address_hash, so that what is the same peer elsewhere is the same peer here. */
    uint64_t address = address_hash(&hash_key, remote);
    uint8_t input[4 + sizeof address];
    memcpy(input, time, 4);
    memcpy(input + 4, &address, sizeof address);
    return hash_bytes(&hash_key, bytes_of(input, sizeof input));
}

void echo_make(const uint8_t key[static 16], const struct address *remote, uint32_t now_s,
               uint8_t ret[static ECHO_BYTES])
{
    put_u32(ret, now_s);
    uint64_t sum = proof(key, remote, ret);
    memcpy(ret + 4, &sum, sizeof sum);
}

bool echo_check(const uint8_t key[static 16], const struct address *remote, uint32_t now_s, struct bytes value)
{
    if (value.len != ECHO_BYTES)
        return false;
    const uint8_t *at = value.ptr;
    uint32_t made_s = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    uint64_t given, sum = proof(key, remote, at);
    memcpy(&given, at + 4, sizeof given);
    bool fresh = now_s - made_s < ECHO_FRESH_S; /* a value from the future wraps to very old */
    return ((given ^ sum) == 0) & fresh;
}
