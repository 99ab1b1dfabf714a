// SPDX-License-Identifier: GPL-3.0-or-later
/* Exact integers only: a seq that went through a float may be another one. */
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

/* Digits only. max has room for another digit in 64 bits. */
static bool read_digits(struct bytes text, uint64_t max, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        number = 10 * number + (uint64_t)(text.ptr[i] - '0');
        if (number > max)
            return false;
    }
    *ret = number;
    return true;
}

static bool read_integer(const struct node *node, uint64_t max, uint64_t *ret)
{
    if (node->kind == NODE_NUMBER)
        return read_digits(node->data, max, ret);
    if (node->kind != NODE_INTEGER || node->negative || node->integer > max)
        return false;
    *ret = node->integer;
    return true;
}

bool sequence_read(const struct sequence_members *members, struct sequence *ret, struct refusal *reterr)
{
    uint64_t epoch, seq;
    *ret = (struct sequence){0};
    if (!sequence_is_there(members))
        return true;
    if (!read_integer(members->epoch, UINT32_MAX, &epoch))
        return refuse(reterr, OUTCOME_BAD_VALUE, "epoch has to be an integer from 0 to 4294967295.",
                      node_offset(members->epoch));
    if (!read_integer(members->seq, SEQUENCE_MAX, &seq))
        return refuse(reterr, OUTCOME_BAD_VALUE, "seq has to be an integer from 0 to 9007199254740991.",
                      node_offset(members->seq));
    *ret = (struct sequence){.given = true, .epoch = (uint32_t)epoch, .seq = seq};
    return true;
}
