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

/* What a change makes of a device, and the member that who is limited may not have so. */
Test(scope, who_is_limited_gives_no_right_beyond_the_sites)
{
    struct made {
        const char *site, *prefix, *group;
        bool concentrator, disabled;
    };
    static const struct {
        struct made record, old; /* old without a site: it is new */
        bool sets_keys;
        const char *member;
    } cases[] = {
        {.record = {.site = "north"}, .sets_keys = true},
        {.record = {.site = "north", .prefix = "pump", .group = "g"}, .sets_keys = true},
        {.record = {.site = "south"}, .member = "/site"},
        {.record = {.site = "", .concentrator = true}, .member = "/site"},
        {.record = {.site = "south"}, .old = {.site = "north"}, .member = "/site"},
        {.record = {.site = "north", .prefix = "*"}, .member = "/prefix"},
        {.record = {.site = "north", .prefix = "pum"}, .member = "/prefix"},
        {.record = {.site = "north", .prefix = "pump:2"}, .member = "/prefix"},
        {.record = {.site = "north", .prefix = "*"}, .old = {.site = "north"}, .member = "/prefix"},
        {.record = {.site = "north", .prefix = "*", .concentrator = true},
         .old = {.site = "north", .concentrator = true}, .member = "/prefix"},
        {.record = {.site = "north", .prefix = "boiler"}, .old = {.site = "north", .prefix = "*"},
         .member = "/prefix"},
        {.record = {.site = "north", .concentrator = true}, .member = "/concentrator"},
        {.record = {.site = "north", .concentrator = true}, .old = {.site = "north"},
         .member = "/concentrator"},
        {.record = {.site = "north", .prefix = "*", .concentrator = true},
         .old = {.site = "north", .prefix = "*"}, .member = "/concentrator"},
        /* What others gave stays or goes. */
        {.record = {.site = "north", .prefix = "*"}, .old = {.site = "north", .prefix = "*"}},
        {.record = {.site = "north", .prefix = "*", .group = "g", .concentrator = true, .disabled = true},
         .old = {.site = "north", .prefix = "*", .group = "g", .concentrator = true, .disabled = true}},
        {.record = {.site = "north", .prefix = "*", .group = "g", .concentrator = true, .disabled = true},
         .old = {.site = "north", .prefix = "*", .group = "g", .concentrator = true}},
        {.record = {.site = "north", .prefix = "*", .concentrator = true},
         .old = {.site = "north", .prefix = "*", .group = "g", .concentrator = true}},
        {.record = {.site = "north", .prefix = "pump", .group = "g"},
         .old = {.site = "north", .prefix = "*", .concentrator = true, .disabled = true}, .sets_keys = true},
        /* Who could be it. */
        {.record = {.site = "north", .prefix = "*"}, .old = {.site = "north", .prefix = "*"},
         .sets_keys = true, .member = "/keys"},
        {.record = {.site = "north", .concentrator = true}, .old = {.site = "north", .concentrator = true},
         .sets_keys = true, .member = "/keys"},
        {.record = {.site = "north", .prefix = "*", .group = "g"}, .old = {.site = "north", .prefix = "*"},
         .member = "/group"},
        {.record = {.site = "north", .group = "h", .concentrator = true},
         .old = {.site = "north", .group = "g", .concentrator = true}, .member = "/group"},
        {.record = {.site = "north", .prefix = "*"},
         .old = {.site = "north", .prefix = "*", .disabled = true}, .member = "/disabled"},
        {.record = {.site = "north", .concentrator = true},
         .old = {.site = "north", .concentrator = true, .disabled = true}, .member = "/disabled"},
        {.record = {.site = "north", .group = "g"}, .old = {.site = "north", .disabled = true},
         .sets_keys = true},
    };
    struct scope all = scope_with(""), some = scope_with("north");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct device_record made[2];
        for (size_t k = 0; k < 2; k++) {
            const struct made *from = k ? &cases[i].old : &cases[i].record;
            made[k] = device_with(from->site ? from->site : "", from->prefix ? from->prefix : "", from->concentrator);
            snprintf(made[k].group, sizeof made[k].group, "%s", from->group ? from->group : "");
            made[k].disabled = from->disabled;
        }
        const struct device_record *old = cases[i].old.site ? &made[1] : NULL;
        const struct scope_refusal *refusal = scope_refuses(&some, &made[0], old, cases[i].sets_keys);
        cr_expect_str_eq(refusal ? refusal->member : "", cases[i].member ? cases[i].member : "", "case %zu", i);
        cr_expect_null(scope_refuses(&all, &made[0], old, cases[i].sets_keys), "case %zu", i);
    }
}

Test(scope, keys_of_who_writes_beyond_and_times_are_not_for_who_is_limited)
{
    struct scope all = scope_with(""), some = scope_with("north");
    struct device_record plain = device_with("north", "pump", false), hub = device_with("north", "", true),
                         star = device_with("north", "*", false);
    cr_expect(scope_may_change_keys(&some, &plain));
    cr_expect_not(scope_may_change_keys(&some, &hub));
    cr_expect_not(scope_may_change_keys(&some, &star));
    cr_expect(scope_may_change_keys(&all, &hub) && scope_may_change_keys(&all, &star));
    cr_expect(scope_may_restore_times(&all, ROLE_ADMIN));
    cr_expect_not(scope_may_restore_times(&some, ROLE_ADMIN));
    cr_expect_not(scope_may_restore_times(&all, ROLE_OPERATOR));
}
