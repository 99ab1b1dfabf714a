// SPDX-License-Identifier: GPL-3.0-or-later
/* The sequence in a payload (docs/formats.md): two members, "epoch" and "seq", the same in all formats of maps. */
#pragma once

#include "codec/node.h"

/* Where the members are; NULL: not there. */
struct sequence_members {
    const struct node *epoch, *seq;
};

/* Notes the value behind the key if it is one of the two. Returns whether it is. */
bool sequence_note(struct sequence_members *members, const struct node *key);
/* Both are there: then they are a sequence, and have to be a good one. */
static inline bool sequence_is_there(const struct sequence_members *members)
{
    return members->epoch && members->seq;
}
/* given is false unless both are there. False: one is not an integer in its range. */
bool sequence_read(const struct sequence_members *members, struct sequence *ret, struct refusal *reterr);
