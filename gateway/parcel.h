// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One message as it travels through the spool: the body of a spool record. A head that the push reads, then the message
 * in the form that the Redis Function takes (gateway/function.lua), so that it is copied and not understood on the way.
 *
 *   offset  octets  what (little-endian)
 *        0       1  version: 3 of a signed message, else 2
 *        1       1  lane, 0 to PARCEL_LANES - 1: messages of one speaker are in one lane, and a lane keeps its order
 *        2       1  class of identity: e, w, t (gateway/delivery.h)
 *        3       1  length of the tenant
 *        4       4  fingerprint of the content
 *        8      16  key by which the message is recognised when it comes again (gateway/recent.h)
 *       24       8  Unix seconds of receipt
 *       32       4  number of records
 *       36       1  level that was demanded
 *       37       3  zero
 *       40       8  who waits for the verdict in the process that wrote it; 0: nobody
 *       48          tenant, then MessagePack up to the end:
 *                   [class, speaker, epoch, seq, mark, key,
 *                    [[stream, d, n, u, t, q, k, v, s, c, a, b, m, w, y, tag, value, ...], ...], [counter, ...],
 *                    [m, d, f, k, ct, r, p, v]]
 *
 * Of each reading of a counter (gateway/cumulative.h) there are four values: the number of its record, from 1;
 * how many octets of n stand before the local name; what it reads; its modulus, or empty. A body of version 1,
 * from a gateway that knew no counters, has neither them nor w and y; it is read and pushed like any other, and
 * the Function fills it up.
 *
 * The last array is the evidence of a signed message (docs/streams.md). Other messages are of version 2, which
 * has none: an older gateway that finds them in its spool pushes them.
 *
 * Pure.
 */
#pragma once

#include "gateway/entry.h"
#include "gateway/msgpack.h"

#define PARCEL_LANES 4
#define PARCEL_HEAD 48

struct parcel {
    unsigned lane;
    enum delivery_class identity_class;
    enum delivery_level level;
    struct bytes tenant;
    uint32_t fingerprint;
    uint8_t key[SINK_KEY_BYTES];
    int64_t received_s;
    uint32_t records;
    uint64_t waiter;
    struct bytes message; /* MessagePack */
};

/* The key by which the message is recognised: its own, or one made of tenant, speaker and sequence. The same in every
 * process. */
void parcel_key(const struct sink_message *message, uint8_t ret[static SINK_KEY_BYTES]);

/* Appends a body to out; out->failed says whether there was memory. */
void parcel_write(struct msgpack *out, const struct sink_message *message, const uint8_t key[static SINK_KEY_BYTES],
                  int64_t received_s, uint64_t waiter, struct bytes message_id, struct entry_scratch *scratch);

/* Whether it is of a version that this program does not know. */
bool parcel_is_newer(struct bytes body);
/* Borrows from body. False: not a parcel that this gateway knows. */
bool parcel_read(struct bytes body, struct parcel *ret);
