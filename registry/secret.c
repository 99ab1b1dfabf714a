// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Pre-shared keys in memory. Comparing never branches on the octets, so its time tells nothing about them; the
 * lengths may show. Hexadecimal is read by arithmetic instead of a table, so that no cache line depends on a key.
 */
#include "registry/secret.h"

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

/* All ones if low <= c <= high, else zero. Both differences stay below 2^31 only then. */
static unsigned within(unsigned c, unsigned low, unsigned high)
{
    return (((c - low) | (high - c)) >> 31) - 1;
}

/* The value of a digit, or a number above 15. */
static unsigned digit_value(unsigned c)
{
    unsigned decimal = within(c, '0', '9'), upper = within(c, 'A', 'F'), lower = within(c, 'a', 'f');
    return (decimal & (c - '0')) | (upper & (c - 'A' + 10)) | (lower & (c - 'a' + 10)) |
           (~(decimal | upper | lower) & 0x100);
}

bool secret_set_hex(struct secret *ret, struct bytes hex)
{
    if (hex.len < 2 || hex.len > 2 * SECRET_MAX || hex.len % 2 != 0)
        return false;
    struct secret secret = {.len = (uint8_t)(hex.len / 2)};
    unsigned bad = 0;
    for (size_t i = 0; i < secret.len; i++) {
        unsigned high = digit_value(hex.ptr[2 * i]), low = digit_value(hex.ptr[2 * i + 1]);
        bad |= (high | low) & 0x100;
        secret.octets[i] = (uint8_t)(high << 4 | low);
    }
    if (!bad)
        *ret = secret;
    secret_wipe(&secret);
    return !bad;
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
