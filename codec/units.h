// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The SenML unit registries (RFC 8428 section 12.1, RFC 8798), and the way from a secondary unit to its primary
 * one. Unknown units are stored as they are; the registries serve whoever has to tell or to convert.
 */
#pragma once

#include "codec/decimal.h"

enum unit_registry {
    UNIT_PRIMARY,
    UNIT_PRIMARY_NOT_RECOMMENDED, /* marked with an asterisk in RFC 8428 */
    UNIT_SECONDARY,               /* RFC 8798 section 3: to be converted to a primary one */
};

struct unit {
    const char *symbol;
    enum unit_registry registry;
    const char *primary; /* the primary unit of a secondary one; its own symbol for a primary one */
    /* Value in the primary unit = value * numerator / denominator + offset; the fraction in lowest terms. */
    uint64_t numerator, denominator;
    int offset;
};

/* All units, primary ones first; *ret_count is set. */
const struct unit *units_table(size_t *ret_count);
/* NULL if the symbol is in neither registry. Symbols are compared byte by byte. */
const struct unit *units_find(struct bytes symbol);

/*
 * A value in its primary unit: exact where that ends within 64 digits, else (km/h and the like) rounded to 20;
 * without zeros at the end behind the point. A value in a primary unit stays as it is. False: beyond the
 * bounds of decimal.h. ret may be value.
 */
bool units_convert(const struct unit *unit, const struct decimal *value, struct decimal *ret);
/* The same without the offset, for differences and for sums over time. */
bool units_convert_sum(const struct unit *unit, const struct decimal *sum, struct decimal *ret);

static inline bool units_known(struct bytes symbol)
{
    return units_find(symbol) != NULL;
}
