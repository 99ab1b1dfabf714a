// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/mapped.h"

#include <criterion/criterion.h>

static struct bytes lookup(const struct mapped *mapped, const char *text)
{
    struct address address;
    cr_assert(address_parse(bytes_of_text(text), 5683, &address));
    return mapped_lookup(mapped, &address);
}

Test(mapped, first_network_that_contains_the_address)
{
    struct mapped mapped;
    char error[SETTINGS_ERROR_MAX];
    cr_assert(mapped_parse(&mapped, "192.0.2.0/25=acme, 192.0.2.0/24 = beta,2001:db8::/32=six", error), "%s", error);
    cr_expect(bytes_equal_text(lookup(&mapped, "192.0.2.1"), "acme"));
    cr_expect(bytes_equal_text(lookup(&mapped, "192.0.2.200"), "beta"));
    cr_expect(bytes_equal_text(lookup(&mapped, "[2001:db8:1::1]"), "six"));
    cr_expect_eq(lookup(&mapped, "192.0.3.1").len, 0);
    cr_expect_eq(lookup(&mapped, "[2001:db9::1]").len, 0);
}

Test(mapped, nothing_is_mapped_by_default)
{
    struct mapped mapped;
    char error[SETTINGS_ERROR_MAX];
    cr_assert(mapped_parse(&mapped, "", error));
    cr_expect_eq(lookup(&mapped, "127.0.0.1").len, 0);
}

Test(mapped, says_what_is_wrong)
{
    static const char *const wrong[] = {"192.0.2.0/24", "192.0.2.0/33=acme", "hello=acme", "192.0.2.0/24=",
                                        "192.0.2.0/24=Not A Tenant", "=acme"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mapped mapped;
        char error[SETTINGS_ERROR_MAX] = "";
        cr_expect_not(mapped_parse(&mapped, wrong[i], error), "%s", wrong[i]);
        cr_expect(strstr(error, "map_network"), "%s", error);
    }
}
