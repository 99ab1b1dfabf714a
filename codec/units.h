// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The SenML unit registries (RFC 8428 section 12.1, RFC 8798). Unknown units are stored as they are; the
 * registries serve whoever has to tell or to convert.
 */
#pragma once

#include "codec/bytes.h"

enum unit_registry {
    UNIT_PRIMARY,
    UNIT_PRIMARY_NOT_RECOMMENDED, /* marked with an asterisk in RFC 8428 */
    UNIT_SECONDARY,               /* RFC 8798 section 3: to be converted to a primary one */
};

struct unit {
    const char *symbol;
    enum unit_registry registry;
    const char *primary; /* the primary unit of a secondary one; its own symbol for a primary one */
    double scale;        /* value in the primary unit = value * scale + offset */
    double offset;
};

/* All units, primary ones first; *ret_count is set. */
const struct unit *units_table(size_t *ret_count);
/* NULL if the symbol is in neither registry. Symbols are compared byte by byte. */
const struct unit *units_find(struct bytes symbol);

static inline bool units_known(struct bytes symbol)
{
    return units_find(symbol) != NULL;
}
