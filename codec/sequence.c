// SPDX-License-Identifier: GPL-3.0-or-later
/* Exact integers only. */
#include "codec/sequence.h"

bool sequence_note(struct sequence_members *members, const struct node *key)
{
    if (key->kind != NODE_TEXT)
        return false;
    if (bytes_equal(key->data, BYTES_LITERAL("epoch")))
        members->epoch = key + 1;
    else if (bytes_equal(key->data, BYTES_LITERAL("seq")))
        members->seq = key + 1;
    else
        return false;
    return true;
}

bool sequence_read(const struct sequence_members *members, struct sequence *ret, struct refusal *reterr)
{
    uint64_t epoch, seq;
    *ret = (struct sequence){0};
    if (!sequence_is_there(members))
        return true;
    if (!node_uint(members->epoch, UINT32_MAX, &epoch))
        return refuse(reterr, OUTCOME_BAD_VALUE, "epoch has to be an integer from 0 to 4294967295.",
                      node_offset(members->epoch));
    if (!node_uint(members->seq, SEQUENCE_MAX, &seq))
        return refuse(reterr, OUTCOME_BAD_VALUE, "seq has to be an integer from 0 to 9007199254740991.",
                      node_offset(members->seq));
    *ret = (struct sequence){.given = true, .epoch = (uint32_t)epoch, .seq = seq};
    return true;
}
