// SPDX-License-Identifier: GPL-3.0-or-later
/* Which devices a person sees, and what they may make of them. */
#include "gateway/scope.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct scope scope_with(const char *sites)
{
    struct scope scope = {.tenant = "acme"};
    snprintf(scope.sites, sizeof scope.sites, "%s", sites);
    return scope;
}

static struct device_record device_with(const char *site, const char *prefix, bool concentrator)
{
    struct device_record device = {.tenant = "acme", .id = "pump", .concentrator = concentrator};
    snprintf(device.site, sizeof device.site, "%s", site);
    snprintf(device.prefix, sizeof device.prefix, "%s", prefix);
    return device;
}

Test(scope, a_device_is_seen_by_its_site)
{
    static const struct {
        const char *sites, *site;
        bool seen;
    } cases[] = {
        {"", "north", true},
        {"", "", true},
        {"north", "north", true},
        {"north", "south", false},
        {"north", "", false},
        {"north", "nort", false},
        {"north", "northern", false},
        {"northern", "north", false},
        {"north", "North", false},
        {"north,south", "north", true},
        {"north,south", "south", true},
        {"north,south", "north,south", false},
        {"north,south", ",", false},
        {"north,south", "east", false},
        {"northern,north", "north", true},
        {"a,b,c", "b", true},
        {"a,,c", "", false},
        {"a,", "", false},
        {",", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scope scope = scope_with(cases[i].sites);
        struct device_record device = device_with(cases[i].site, "", false);
        cr_expect_eq(scope_is_limited(&scope), cases[i].sites[0] != '\0');
        cr_expect_eq(scope_has_site(&scope, bytes_of_text(cases[i].site)), cases[i].seen, "'%s' in '%s'", cases[i].site,
                     cases[i].sites);
        cr_expect_eq(scope_has_device(&scope, &device), cases[i].seen, "'%s' in '%s'", cases[i].site, cases[i].sites);
    }
}

Test(scope, a_device_of_another_tenant_is_never_seen)
{
    struct device_record device = device_with("north", "", false);
    strcpy(device.tenant, "acm");
    struct scope all = scope_with(""), some = scope_with("north");
    cr_expect_not(scope_has_device(&all, &device));
    cr_expect_not(scope_has_device(&some, &device));
}

Test(scope, who_is_limited_gives_no_right_beyond_the_sites)
{
    static const struct {
        const char *prefix;
        bool concentrator;
        const char *old_prefix; /* NULL: it is new */
        bool old_concentrator;
        const char *widened_by;
        bool may_give_keys;
    } cases[] = {
        {"", false, NULL, false, NULL, true},
        {"pump", false, NULL, false, NULL, true},
        {"*", false, NULL, false, "/prefix", false},
        {"pum", false, NULL, false, "/prefix", false},
        {"pump:2", false, NULL, false, "/prefix", false},
        {"", true, NULL, false, "/concentrator", false},
        {"*", false, "", false, "/prefix", false},
        {"", true, "", false, "/concentrator", false},
        {"*", true, "*", false, "/concentrator", false},
        {"*", true, "", true, "/prefix", false},
        {"boiler", false, "*", false, "/prefix", false},
        /* What others gave stays or goes. */
        {"*", false, "*", false, NULL, false},
        {"", true, "", true, NULL, false},
        {"*", true, "*", true, NULL, false},
        {"", false, "*", true, NULL, true},
        {"pump", false, "*", true, NULL, true},
    };
    struct scope all = scope_with(""), some = scope_with("north");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct device_record device = device_with("north", cases[i].prefix, cases[i].concentrator);
        struct device_record old = device_with("north", cases[i].old_prefix ? cases[i].old_prefix : "",
                                               cases[i].old_concentrator);
        const struct device_record *was = cases[i].old_prefix ? &old : NULL;
        const char *found = scope_widened_by(&some, &device, was);
        cr_expect(found ? cases[i].widened_by && strcmp(found, cases[i].widened_by) == 0 : !cases[i].widened_by,
                  "case %zu: %s", i, found ? found : "none");
        cr_expect_eq(scope_may_give_keys(&some, &device), cases[i].may_give_keys, "case %zu", i);
        cr_expect_null(scope_widened_by(&all, &device, was), "case %zu", i);
        cr_expect(scope_may_give_keys(&all, &device), "case %zu", i);
    }
}
