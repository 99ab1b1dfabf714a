// SPDX-License-Identifier: GPL-3.0-or-later
/* Texts in both directions, equality, networks. */
#include "gateway/address.h"

#include <criterion/criterion.h>

static const struct hash_key key = {1, 2};

static struct address parsed(const char *text, uint16_t port)
{
    struct address address;
    cr_assert(address_parse(bytes_of_text(text), port, &address), "%s", text);
    return address;
}

Test(address, texts)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1:5683"},
        {"0.0.0.0", "0.0.0.0:5683"},
        {"[2001:db8::1]", "[2001:db8::1]:5683"},
        {"2001:db8::1", "[2001:db8::1]:5683"},
        {"::", "[::]:5683"},
        {"::ffff:192.0.2.1", "192.0.2.1:5683"},
        {"fe80::1%1", "[fe80::1%1]:5683"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:5683"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[ADDRESS_TEXT_MAX];
        struct address address = parsed(cases[i].in, 5683);
        cr_assert_str_eq(address_text(&address, text), cases[i].out);
        cr_assert_eq(address_port(&address), 5683);
    }
}

Test(address, what_is_not_an_address)
{
    static const char *const wrong[] = {"", "[]", "192.0.2", "192.0.2.256", "192.0.2.1:80", "[192.0.2.1", "::1]",
                                        "[::1]:80", "localhost", "fe80::1%", "fe80::1%no-such-interface", "1::2::3",
                                        " 192.0.2.1"};
    struct address address;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert(!address_parse(bytes_of_text(wrong[i]), 1, &address), "%s", wrong[i]);
    cr_assert(!address_parse(BYTES_LITERAL("192.0.2.1\0x"), 1, &address));
    uint8_t long_text[300];
    memset(long_text, ':', sizeof long_text);
    cr_assert(!address_parse(bytes_of(long_text, sizeof long_text), 1, &address));
}

Test(address, equality_and_hash)
{
    struct address a = parsed("192.0.2.1", 1), port = parsed("192.0.2.1", 2), ip = parsed("192.0.2.2", 1);
    struct address six = parsed("2001:db8::1", 1), flow = six, scope = parsed("2001:db8::1%3", 1);
    flow.in6.sin6_flowinfo = 77;
    struct address mapped = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)}};
    memcpy(mapped.in6.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);

    cr_assert(address_equal(&a, &mapped));
    cr_assert_eq(address_hash(&key, &a), address_hash(&key, &mapped));
    cr_assert(address_equal(&six, &flow));
    cr_assert_eq(address_hash(&key, &six), address_hash(&key, &flow));
    const struct address *different[] = {&a, &port, &ip, &six, &scope};
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 5; k++) {
            cr_assert_eq(address_equal(different[i], different[k]), i == k);
            cr_assert_eq(address_hash(&key, different[i]) == address_hash(&key, different[k]), i == k);
        }
    }
}

Test(address, kinds)
{
    static const struct {
        const char *text;
        bool multicast, loopback;
    } cases[] = {
        {"192.0.2.1", false, false},  {"127.0.0.1", false, true},      {"127.9.9.9", false, true},
        {"224.0.1.187", true, false}, {"239.255.255.255", true, false}, {"240.0.0.1", false, false},
        {"::1", false, true},         {"ff02::fd", true, false},       {"255.255.255.255", true, false},
        {"fe80::1", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address address = parsed(cases[i].text, 0);
        cr_assert_eq(address_is_multicast(&address), cases[i].multicast, "%s", cases[i].text);
        cr_assert_eq(address_is_loopback(&address), cases[i].loopback, "%s", cases[i].text);
    }
}

Test(address, networks)
{
    static const struct {
        const char *network, *inside, *outside;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},     {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
        {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"}, {"192.0.2.7/32", "192.0.2.7", "192.0.2.6"},
        {"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},      {"::/0", "2001:db8::1", "192.0.2.1"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
        {"[::1]/128", "::1", "::2"},                      {"::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address_network network;
        cr_assert(address_network_parse(bytes_of_text(cases[i].network), &network), "%s", cases[i].network);
        struct address inside = parsed(cases[i].inside, 9), outside = parsed(cases[i].outside, 9);
        cr_assert(address_network_contains(&network, &inside), "%s", cases[i].network);
        cr_assert(!address_network_contains(&network, &outside), "%s", cases[i].network);
    }
}

Test(address, what_is_not_a_network)
{
    static const char *const wrong[] = {"", "/", "192.0.2.0", "192.0.2.0/", "192.0.2.0/33", "192.0.2.1/24", "x/8",
                                        "192.0.2.0/-1", "192.0.2.0/24x", "2001:db8::/129", "2001:db8::1/64",
                                        "192.0.2.0/0024", "::ffff:192.0.2.0/24"};
    struct address_network network;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert(!address_network_parse(bytes_of_text(wrong[i]), &network), "%s", wrong[i]);
}

Test(address, who_counts_together)
{
    struct address a = parsed("192.0.2.1", 1), near = parsed("192.0.2.200", 2), far = parsed("192.0.3.1", 1);
    struct address six = parsed("2001:db8:1::1", 1), six_near = parsed("2001:db8:1:ffff::2", 1),
                   six_far = parsed("2001:db8:2::1", 1);
    cr_assert_eq(address_network_hash(&key, &a), address_network_hash(&key, &near));
    cr_assert_neq(address_network_hash(&key, &a), address_network_hash(&key, &far));
    cr_assert_eq(address_network_hash(&key, &six), address_network_hash(&key, &six_near));
    cr_assert_neq(address_network_hash(&key, &six), address_network_hash(&key, &six_far));
}
