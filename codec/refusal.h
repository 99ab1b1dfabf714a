// SPDX-License-Identifier: GPL-3.0-or-later
/* Why the codec refuses an input: what parsers and resolvers fill in before they return false. */
#pragma once

#include "codec/format.h"

struct refusal {
    enum outcome outcome;
    const char *detail; /* static or in the arena of the call; ASCII, never bytes of the peer */
    size_t offset;      /* position in the payload; SIZE_MAX: not known */
};

/* Fills in the refusal; always false, so that "return refuse(...)" reads as what it does. */
static inline bool refuse(struct refusal *reterr, enum outcome outcome, const char *detail, size_t offset)
{
    *reterr = (struct refusal){outcome, detail, offset};
    return false;
}

static inline bool refuse_memory(struct refusal *reterr)
{
    return refuse(reterr, OUTCOME_OUT_OF_MEMORY, "The memory of the request is used up.", SIZE_MAX);
}

/* What a decoder of format.h returns for a refusal; reterr may be NULL. */
static inline enum outcome refusal_report(const struct refusal *refusal, struct format_error *reterr)
{
    if (reterr)
        *reterr = (struct format_error){refusal->detail, refusal->offset};
    return refusal->outcome;
}
