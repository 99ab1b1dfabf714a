// SPDX-License-Identifier: GPL-3.0-or-later
/* Echo values: bound to address, port, time and key (RFC 9175 2.4). */
#include "gateway/echo.h"

#include <criterion/criterion.h>

static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static struct address at(const char *text, uint16_t port)
{
    struct address address;
    cr_assert(address_parse(bytes_of_text(text), port, &address));
    return address;
}

Test(echo, is_good_for_its_address_while_fresh)
{
    uint8_t value[ECHO_BYTES];
    struct address peer = at("192.0.2.1", 5683);
    echo_make(key, &peer, 1000, value);
    cr_expect(echo_check(key, &peer, 1000, bytes_of(value, sizeof value)));
    cr_expect(echo_check(key, &peer, 1000 + ECHO_FRESH_S - 1, bytes_of(value, sizeof value)));
    cr_expect(!echo_check(key, &peer, 1000 + ECHO_FRESH_S, bytes_of(value, sizeof value)));
    cr_expect(!echo_check(key, &peer, 999, bytes_of(value, sizeof value)), "made in the future");
}

Test(echo, is_good_for_nobody_else)
{
    uint8_t value[ECHO_BYTES], other_key[16] = {9};
    struct address peer = at("192.0.2.1", 5683), port = at("192.0.2.1", 5684), host = at("192.0.2.2", 5683);
    struct address v6 = at("2001:db8::1", 5683);
    echo_make(key, &peer, 1000, value);
    cr_expect(!echo_check(key, &port, 1000, bytes_of(value, sizeof value)));
    cr_expect(!echo_check(key, &host, 1000, bytes_of(value, sizeof value)));
    cr_expect(!echo_check(key, &v6, 1000, bytes_of(value, sizeof value)));
    cr_expect(!echo_check(other_key, &peer, 1000, bytes_of(value, sizeof value)));
}

Test(echo, any_changed_bit_spoils_it)
{
    uint8_t value[ECHO_BYTES];
    struct address peer = at("2001:db8::1", 5683);
    for (unsigned bit = 0; bit < 8 * ECHO_BYTES; bit++) {
        echo_make(key, &peer, 1000, value);
        value[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_expect(!echo_check(key, &peer, 1000, bytes_of(value, sizeof value)), "bit %u", bit);
    }
}

Test(echo, other_lengths_are_refused)
{
    uint8_t value[ECHO_BYTES + 1] = {0};
    struct address peer = at("192.0.2.1", 5683);
    echo_make(key, &peer, 1000, value);
    for (size_t len = 0; len <= sizeof value; len++)
        cr_expect_eq(echo_check(key, &peer, 1000, bytes_of(value, len)), len == ECHO_BYTES);
}
