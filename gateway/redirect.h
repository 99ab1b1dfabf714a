// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a Redis Cluster tells about where keys are: slots of keys, MOVED and ASK, the map of slots. Pure.
 * (Redis cluster specification; CRC16 is XMODEM: polynomial 0x1021, from 0.)
 */
#pragma once

#include "gateway/store_target.h"
#include "gateway/store_wire.h"

#define REDIRECT_SLOTS 16384

/* Of the hash tag between the first { and the next }, if there is something between; else of all of it. */
unsigned redirect_slot_of(struct bytes key);
uint16_t redirect_crc16(struct bytes data);

struct redirect {
    unsigned slot;
    bool is_ask; /* for this command only; else for all of the slot from now on */
    struct store_endpoint endpoint; /* host empty: the host that said it */
};

/* "MOVED 3999 127.0.0.1:6381" or "ASK ...". False: the reply is no redirect. */
bool redirect_parse(const struct store_reply *reply, struct redirect *ret);
/* A list of host and port, as text or integer. */
bool redirect_parse_pair(const struct store_reply *reply, struct store_endpoint *ret);

/* One row of CLUSTER SLOTS: a range and its primary. */
struct redirect_range {
    unsigned first, last;
    struct store_endpoint primary; /* host empty: the host that said it */
};
bool redirect_parse_range(const struct store_reply *row, struct redirect_range *ret);
