// SPDX-License-Identifier: GPL-3.0-or-later
/* The order in which load is refused as the spool fills up. */
#include "gateway/shed.h"

#include <criterion/criterion.h>

Test(shed, what_costs_least_goes_first)
{
    static const unsigned from[SHED_COUNT] = {80, 85, 90, 95, 98, 99};
    for (unsigned fill = 0; fill <= 100; fill++) {
        unsigned refused = 0;
        for (unsigned what = 0; what < SHED_COUNT; what++) {
            cr_expect_eq(shed_refuses(fill, (enum shed)what), fill >= from[what], "%u at %u", what, fill);
            refused += shed_refuses(fill, (enum shed)what);
        }
        cr_expect_eq(shed_pressure(fill), refused);
    }
    cr_expect_eq(shed_pressure(0), 0);
    cr_expect_eq(shed_pressure(100), SHED_COUNT);
}

Test(shed, messages_by_their_class)
{
    cr_expect_eq(shed_of_message('t', false), SHED_NON);
    cr_expect_eq(shed_of_message('t', true), SHED_TELEMETRY);
    cr_expect_eq(shed_of_message('a', true), SHED_ALARM);
    cr_expect_eq(shed_of_message('a', false), SHED_ALARM);
    cr_expect_eq(shed_of_message('e', true), SHED_ALARM);
    cr_expect_eq(shed_of_message('c', true), SHED_ACTION);
}
