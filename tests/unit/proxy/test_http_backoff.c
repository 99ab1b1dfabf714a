// SPDX-License-Identifier: GPL-3.0-or-later
#include "proxy/http_backoff.h"

#include <criterion/criterion.h>

static const struct hash_key key = {1, 2};
static struct http_backoff backoff;

static struct address address_of(const char *text)
{
    struct address address;
    cr_assert(address_parse(bytes_of_text(text), 1234, &address));
    return address;
}

static void fail_times(const struct address *address, int times, uint64_t now_ms)
{
    for (int i = 0; i < times; i++) {
        cr_assert_eq(http_backoff_wait_s(&backoff, address, now_ms), 0, "failure %d", i);
        http_backoff_failed(&backoff, address, now_ms);
    }
}

static void setup(void)
{
    http_backoff_init(&backoff, &key);
}

TestSuite(http_backoff, .init = setup);

Test(http_backoff, the_budget_ends_and_refills)
{
    struct address address = address_of("192.0.2.1"), other = address_of("192.0.2.2");
    uint64_t now_ms = 1000;
    fail_times(&address, HTTP_BACKOFF_FAILURES_MAX, now_ms);
    cr_assert_eq(http_backoff_wait_s(&backoff, &address, now_ms), HTTP_BACKOFF_REFILL_MS / 1000);
    cr_assert_eq(http_backoff_wait_s(&backoff, &other, now_ms), 0);
    cr_assert_eq(http_backoff_wait_s(&backoff, &address, now_ms + HTTP_BACKOFF_REFILL_MS - 1), 1);
    fail_times(&address, 1, now_ms + HTTP_BACKOFF_REFILL_MS);
    cr_assert_gt(http_backoff_wait_s(&backoff, &address, now_ms + HTTP_BACKOFF_REFILL_MS), 0);
    fail_times(&address, HTTP_BACKOFF_FAILURES_MAX, now_ms + 100 * HTTP_BACKOFF_REFILL_MS);
}

Test(http_backoff, an_ipv6_network_is_one_client)
{
    struct address one = address_of("2001:db8:0:1::1"), same = address_of("2001:db8:0:1:ffff::9"),
                   other = address_of("2001:db8:0:2::1");
    fail_times(&one, HTTP_BACKOFF_FAILURES_MAX, 5);
    cr_assert_gt(http_backoff_wait_s(&backoff, &same, 5), 0);
    cr_assert_eq(http_backoff_wait_s(&backoff, &other, 5), 0);
}

Test(http_backoff, a_flood_of_addresses_does_not_free_the_worst)
{
    struct address worst = address_of("198.51.100.7");
    fail_times(&worst, HTTP_BACKOFF_FAILURES_MAX, 5);
    for (unsigned i = 0; i < 100000; i++) {
        struct address address = address_of("10.0.0.0");
        address.in.sin_addr.s_addr = htonl(0x0a000000 + i);
        http_backoff_failed(&backoff, &address, 5);
    }
    cr_assert_gt(http_backoff_wait_s(&backoff, &worst, 5), 0);
}
