// SPDX-License-Identifier: GPL-3.0-or-later
/* Addresses and networks. Whatever comes in as an IPv4-mapped IPv6 address is looked at as IPv4. */
#include "gateway/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

#define RATE_PREFIX_IN 24
#define RATE_PREFIX_IN6 48

/* The address without family or port: 4 or 16 bytes in network order, inside of the argument. */
static struct bytes raw(const struct address *address)
{
    if (address->any.sa_family != AF_INET6)
        return bytes_of(&address->in.sin_addr, 4);
    const uint8_t *ptr = address->in6.sin6_addr.s6_addr;
    return IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr) ? bytes_of(ptr + 12, 4) : bytes_of(ptr, 16);
}

static uint32_t scope(const struct address *address)
{
    return raw(address).len == 16 ? address->in6.sin6_scope_id : 0;
}

uint16_t address_port(const struct address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->in6.sin6_port : address->in.sin_port);
}

bool address_same_host(const struct address *a, const struct address *b)
{
    return bytes_equal(raw(a), raw(b)) && scope(a) == scope(b);
}

bool address_equal(const struct address *a, const struct address *b)
{
    return address_port(a) == address_port(b) && address_same_host(a, b);
}

uint64_t address_hash(const struct hash_key *key, const struct address *address)
{
    struct bytes ip = raw(address);
    uint16_t port = address_port(address);
    uint32_t scope_id = scope(address);
    uint8_t input[16 + sizeof port + sizeof scope_id];
    memcpy(input, ip.ptr, ip.len);
    memcpy(input + ip.len, &port, sizeof port);
    if (ip.len == 4) /* the lengths tell the families apart */
        return hash_bytes(key, bytes_of(input, ip.len + sizeof port));
    memcpy(input + ip.len + sizeof port, &scope_id, sizeof scope_id);
    return hash_bytes(key, bytes_of(input, sizeof input));
}

bool address_is_multicast(const struct address *address)
{
    struct bytes ip = raw(address);
    if (ip.len == 16)
        return ip.ptr[0] == 0xff;
    return (ip.ptr[0] & 0xf0) == 0xe0 || memcmp(ip.ptr, "\xff\xff\xff\xff", 4) == 0;
}

bool address_is_loopback(const struct address *address)
{
    struct bytes ip = raw(address);
    return ip.len == 4 ? ip.ptr[0] == 127 : IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

const char *address_text(const struct address *address, char ret[static ADDRESS_TEXT_MAX])
{
    struct bytes ip = raw(address);
    char text[INET6_ADDRSTRLEN];
    inet_ntop(ip.len == 4 ? AF_INET : AF_INET6, ip.ptr, text, sizeof text);
    unsigned port = address_port(address);
    if (ip.len == 4)
        snprintf(ret, ADDRESS_TEXT_MAX, "%s:%u", text, port);
    else if (scope(address))
        snprintf(ret, ADDRESS_TEXT_MAX, "[%s%%%u]:%u", text, (unsigned)scope(address), port);
    else
        snprintf(ret, ADDRESS_TEXT_MAX, "[%s]:%u", text, port);
    return ret;
}

/* The name or the number of a network interface, after the % of an IPv6 address. */
static bool parse_scope(const char *text, uint32_t *ret)
{
    unsigned index = if_nametoindex(text);
    if (index == 0) {
        for (const char *at = text; *at != '\0'; at++) {
            if (*at < '0' || *at > '9' || index > UINT32_MAX / 10 - 1)
                return false;
            index = index * 10 + (unsigned)(*at - '0');
        }
    }
    *ret = index;
    return index != 0;
}

static bool parse_in6(char *text, uint16_t port, struct address *ret)
{
    struct address parsed = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    char *percent = strchr(text, '%');
    if (percent) {
        *percent = '\0';
        if (!parse_scope(percent + 1, &parsed.in6.sin6_scope_id))
            return false;
    }
    if (inet_pton(AF_INET6, text, &parsed.in6.sin6_addr) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&parsed.in6.sin6_addr)) {
        struct in_addr mapped;
        memcpy(&mapped, raw(&parsed).ptr, sizeof mapped);
        parsed = (struct address){.in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = mapped}};
    }
    *ret = parsed;
    return true;
}

bool address_parse(struct bytes text, uint16_t port, struct address *ret)
{
    if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = bytes_of(text.ptr + 1, text.len - 2);
    char copy[ADDRESS_TEXT_MAX];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (strchr(copy, ':'))
        return parse_in6(copy, port, ret);

    struct address parsed = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
    if (inet_pton(AF_INET, copy, &parsed.in.sin_addr) != 1)
        return false;
    *ret = parsed;
    return true;
}

static bool parse_prefix(struct bytes text, unsigned *ret)
{
    unsigned bits = 0;
    if (text.len == 0 || text.len > 3)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        bits = bits * 10 + text.ptr[i] - '0';
    }
    *ret = bits;
    return true;
}

/* Clears what follows the prefix. */
static void mask(uint8_t *ip, size_t len, unsigned prefix_bits)
{
    for (size_t i = 0; i < len; i++) {
        unsigned kept = prefix_bits > i * 8 ? prefix_bits - (unsigned)i * 8 : 0;
        if (kept < 8)
            ip[i] &= (uint8_t)(0xff00 >> kept);
    }
}

static bool same_prefix(struct bytes a, struct bytes b, unsigned prefix_bits)
{
    uint8_t left[16], right[16];
    if (a.len != b.len)
        return false;
    memcpy(left, a.ptr, a.len);
    memcpy(right, b.ptr, b.len);
    mask(left, a.len, prefix_bits);
    mask(right, b.len, prefix_bits);
    return memcmp(left, right, a.len) == 0;
}

bool address_network_parse(struct bytes text, struct address_network *ret)
{
    struct address_network parsed;
    const uint8_t *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    if (!slash)
        return false;
    struct bytes ip = bytes_of(text.ptr, (size_t)(slash - text.ptr));
    struct bytes prefix = bytes_of(slash + 1, text.len - ip.len - 1);
    if (!address_parse(ip, 0, &parsed.base) || !parse_prefix(prefix, &parsed.prefix_bits))
        return false;

    struct bytes base = raw(&parsed.base);
    if (base.len == 4 && memchr(ip.ptr, ':', ip.len)) { /* mapped: the prefix counts from the IPv6 bits */
        if (parsed.prefix_bits < 96)
            return false;
        parsed.prefix_bits -= 96;
    }
    if (parsed.prefix_bits > base.len * 8)
        return false;
    uint8_t masked[16];
    memcpy(masked, base.ptr, base.len);
    mask(masked, base.len, parsed.prefix_bits);
    if (memcmp(masked, base.ptr, base.len) != 0)
        return false;
    *ret = parsed;
    return true;
}

bool address_network_contains(const struct address_network *network, const struct address *address)
{
    return same_prefix(raw(&network->base), raw(address), network->prefix_bits);
}

uint64_t address_network_hash(const struct hash_key *key, const struct address *address)
{
    struct bytes ip = raw(address);
    return hash_bytes(key, bytes_of(ip.ptr, (ip.len == 4 ? RATE_PREFIX_IN : RATE_PREFIX_IN6) / 8));
}
