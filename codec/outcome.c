// SPDX-License-Identifier: GPL-3.0-or-later
/* The rows of the outcome table. */
#include "codec/outcome.h"

static const struct outcome_row rows[OUTCOME_COUNT] = {
#define X(name, slug, class, detail, http, title) [name] = {slug, title, OUTCOME_COAP(class, detail), http},
    OUTCOME_TABLE(X)
#undef X
};

const struct outcome_row *outcome_row(enum outcome outcome)
{
    /* An out-of-range value is a bug of ours; the peer gets an internal error instead of a crash. */
    if ((unsigned)outcome >= OUTCOME_COUNT)
        return &rows[OUTCOME_INTERNAL];
    return &rows[outcome];
}
