// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Fixed scales of legacy formats, exact: 272 tenths are 27.2. Zeros that a scale leaves at the end behind the point are
 * dropped: 2150 hundredths are 21.5, 100 hundredths are 1.
 */
#pragma once

#include "codec/node.h"

/* factor * 10^exponent */
struct scale {
    uint32_t factor;
    int exponent;
};

#define SCALE_ONE {1, 0}

static inline bool scale_is_one(struct scale scale)
{
    return scale.factor == 1 && scale.exponent == 0;
}

/* raw * scale with its text in the arena. False: beyond the bounds of decimal.h. */
bool scale_number(const struct decimal *raw, struct scale scale, struct arena *arena, struct number *ret,
                  struct refusal *reterr);
