// SPDX-License-Identifier: GPL-3.0-or-later
/* One exact product; no division, because every scale of these formats ends in decimal (1/16 is 625e-4). */
#include "codec/scale.h"

bool scale_number(const struct decimal *raw, struct scale scale, struct arena *arena, struct number *ret,
                  struct refusal *reterr)
{
    struct decimal factor, product;
    decimal_from_uint(scale.factor, false, &factor);
    factor.exponent = scale.exponent;
    if (!decimal_multiply(raw, &factor, &product))
        return refuse(reterr, OUTCOME_BAD_VALUE, "A number is too long once it is in its unit.", SIZE_MAX);
    decimal_normalise(&product);
    return node_number_of_decimal(&product, arena, ret, reterr);
}
