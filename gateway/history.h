// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What Redis knows of the messages of one device: its epoch, its highest sequence number, what is missing, conflicts,
 * the totals of its counters.
 * The commands and the reading of their replies, without a connection: GET /devices/{id} asks in a loop
 * (gateway/devices), `weir device show` asks and waits. Nothing is counted on the path of a message for it.
 *
 * All parts are asked in their order; each may look at what the ones before have found. Keys are one tenant's.
 */
#pragma once

#include "codec/arena.h"
#include "gateway/seen.h"
#include "gateway/delivery.h"
#include "gateway/store_wire.h"
#include "registry/schema.h"

#define HISTORY_TOTALS_MAX 100
#define HISTORY_CONFLICTS_LOOKED_AT "200" /* newest entries of the tenant's stream */

enum history_part {
    HISTORY_EPOCH,
    HISTORY_ONCE,
    HISTORY_CONFLICTS,
    HISTORY_TOTALS, /* only with an arena */
    HISTORY_HOLES, /* from here on only if there is an epoch */
    HISTORY_STATE,
    HISTORY_PARTS,
};

/* A counter: local name, time of its newest reading in Unix seconds, total as decimal text. In the arena. */
struct history_total {
    struct bytes name, total;
    int64_t time_s;
};

struct history {
    struct arena *arena; /* the caller's; NULL: no totals */
    bool has_epoch;   /* the device has sent sequence numbers: epoch is the newest, seen is of it */
    uint32_t epoch;
    struct seen seen; /* zero if Redis has forgotten */
    bool windowed;    /* it has sent messages with its own time and without a sequence number, within the window */
    unsigned conflicts; /* messages with a known sequence number and other content, among the newest of the tenant's */
    struct history_total totals[HISTORY_TOTALS_MAX]; /* the first in the order of their names' octets */
    size_t total_count;
};

struct history_question {
    struct bytes arguments[6];
    size_t count;
    char key[SCHEMA_KEY_MAX], text[SCHEMA_DEVICE_MAX + 16];
};

/* The question lives where it is: its arguments point into it and to device. arguments[1] is the key. False: the part
 * needs not be asked. */
bool history_ask(enum history_part part, struct bytes tenant, struct bytes device, const struct history *so_far,
                 struct history_question *ret);
/* False: not an answer that can be read. */
bool history_take(enum history_part part, struct bytes device, const struct store_reply *reply,
                  struct history *history);

/* CLASS_EXACT if it sends sequence numbers, else CLASS_WINDOWED if it sends its own time, else CLASS_TRANSPORT. */
enum delivery_class history_class(const struct history *history);
