// SPDX-License-Identifier: GPL-3.0-or-later
/* Every row of the outcome table is complete and consistent. */
#include "codec/outcome.h"

#include <criterion/criterion.h>
#include <string.h>

Test(outcome, rows_are_complete_and_consistent)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const struct outcome_row *row = outcome_row((enum outcome)i);
        cr_assert(row->slug && row->slug[0]);
        cr_assert(row->title && row->title[0]);
        unsigned class = row->coap_code >> 5;
        cr_assert(class == 2 || class == 4 || class == 5, "%s", row->slug);
        cr_assert(row->http_status >= 100 && row->http_status < 600);
        cr_assert_eq(outcome_is_success((enum outcome)i) != 0, class == 2, "%s", row->slug);
        for (int k = 0; k < i; k++)
            cr_assert(strcmp(outcome_row((enum outcome)k)->slug, row->slug) != 0, "%s twice", row->slug);
    }
}

Test(outcome, code_is_as_on_the_wire)
{
    cr_assert_eq(outcome_row(OUTCOME_NOT_FOUND)->coap_code, 132);
    cr_assert_eq(outcome_row(OUTCOME_CONTENT)->coap_code, 69);
}

Test(outcome, an_unknown_value_is_an_internal_error)
{
    cr_assert_eq(outcome_row((enum outcome)OUTCOME_COUNT), outcome_row(OUTCOME_INTERNAL));
}
