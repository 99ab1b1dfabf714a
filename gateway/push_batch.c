// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From spool records to calls of the Redis Function: a batch is filled for each track that has records, and sent
 * when it is full or nothing more is to be read.
 */
#include "gateway/push_private.h"

#include "gateway/rt/log.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEMS_HEAD 5 /* a MessagePack array head of fixed length, filled in when the batch is sent */
#define BATCHES_KEPT_OCTETS ((size_t)256 << 10)

/* Batches. */

static struct push_batch *batch_take(struct push *push, struct track *track)
{
    struct push_batch *batch = push->free_list;
    if (batch)
        push->free_list = batch->next;
    else
        batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    batch->push = push;
    batch->track = track;
    batch->next = NULL;
    batch->count = 0;
    batch->wanted = LEVEL_SPOOLED;
    msgpack_clear(&batch->packed, BATCHES_KEPT_OCTETS);
    msgpack_raw(&batch->packed, bytes_of("\xdd\0\0\0", ITEMS_HEAD));
    return batch;
}

void push_batch_give(struct push_batch *batch)
{
    batch->next = batch->push->free_list;
    batch->push->free_list = batch;
}

static bool is_full(const struct push_batch *batch)
{
    return batch->count == PUSH_BATCH_ITEMS || batch->packed.len >= PUSH_BATCH_OCTETS;
}

void push_forget_building(struct push *push, const struct track *track)
{
    for (size_t i = 0; i < push->building_count; i++)
        if (push->building[i] == track) {
            push->building[i] = push->building[--push->building_count];
            return;
        }
}

/* Sending. */

static size_t write_number(char ret[static 24], uint64_t number)
{
    return (size_t)snprintf(ret, 24, "%llu", (unsigned long long)number);
}

static bool write_call(struct push *push, struct push_batch *batch)
{
    struct track *track = batch->track;
    struct bytes tenant = bytes_of_text(track->tenant);
    char hwm[SCHEMA_KEY_MAX], seen[SCHEMA_KEY_MAX], prefix[SCHEMA_KEY_MAX], lane[TRACK_FIELD_MAX], numbers[3][24];
    uint64_t expected = track->last ? track->last->items[track->last->count - 1].lsn : track->confirmed;
    uint32_t values = (uint32_t)(2 * batch->count);
    for (unsigned i = 0; i < 4; i++)
        batch->packed.ptr[1 + i] = (uint8_t)(values >> (24 - 8 * i));
    struct bytes arguments[] = {
        BYTES_LITERAL("FCALL"),
        BYTES_LITERAL("weir_append"),
        BYTES_LITERAL("2"),
        bytes_of(hwm, schema_key(hwm, tenant, SCHEMA_SUFFIX_HWM)),
        bytes_of(seen, schema_key(seen, tenant, SCHEMA_SUFFIX_SEEN)),
        bytes_of(prefix, schema_key(prefix, tenant, "")),
        bytes_of(lane, track_field(track, lane)),
        bytes_of(numbers[0], write_number(numbers[0], expected)),
        bytes_of(numbers[1], write_number(numbers[1], push->settings->once_window_s)),
        bytes_of(numbers[2], write_number(numbers[2], push->settings->once_per_device_max)),
        bytes_of(batch->packed.ptr, batch->packed.len),
    };
    return redis_send(push_link_of(push, track)->redis, arguments[3], arguments, sizeof arguments / sizeof arguments[0],
                      push_answered, batch);
}

/* False: not now. */
bool push_send_building(struct push *push, struct track *track)
{
    struct push_link *link = push_link_of(push, track);
    struct push_batch *batch = track->building;
    if (!link->ready || link->in_flight >= PUSH_LINK_IN_FLIGHT || track->in_flight >= PUSH_TRACK_IN_FLIGHT)
        return false;
    if (batch->packed.failed) {
        push_rewind(push, track);
        return false;
    }
    if (!write_call(push, batch))
        return false;
    push_forget_building(push, track);
    track->building = NULL;
    batch->generation = track->generation;
    batch->next = NULL;
    *(track->last ? &track->last->next : &track->first) = batch;
    track->last = batch;
    track->in_flight++;
    track->batches++;
    link->in_flight++;
    metrics_add(&push->metrics, METRIC_PUSH_BATCHES, 1);
    push->sent = true;
    return true;
}

/* A batch to put a record of the track into. NULL: not now. */
static struct push_batch *batch_for(struct push *push, struct track *track)
{
    if (track->building && is_full(track->building) && !push_send_building(push, track))
        return NULL;
    if (track->building)
        return track->building;
    if (push->building_count == sizeof push->building / sizeof push->building[0])
        return NULL;
    track->building = batch_take(push, track);
    if (track->building)
        push->building[push->building_count++] = track;
    return track->building;
}

/* Not now, and so none of the track that come after it, or the mark would pass over it too, until the track
 * is rewound. */
static void pass_by(struct push *push, struct track *track, uint64_t lsn)
{
    if (!track->passed) {
        track->passed = lsn;
        push->passed++;
    }
    if (!track->pending)
        track->pending = lsn;
}

struct older {
    const struct track *of;
    bool found;
};

static bool is_older(void *ctx, struct track *track)
{
    struct older *older = ctx;
    older->found = track->incarnation != older->of->incarnation && track->lane == older->of->lane && track->pending &&
                   strcmp(track->tenant, older->of->tenant) == 0;
    return !older->found;
}

/* What an earlier run has left of the same lane goes first, or a device's messages would change places. */
static bool has_older(struct push *push, const struct track *track)
{
    struct older older = {.of = track};
    if (push->inherited_is_pushed || track->incarnation != push->config.incarnation)
        return false;
    tracks_each(&push->tracks, is_older, &older);
    return older.found;
}

/* False: the record found no place; it is held and offered again. */
bool push_place(struct push *push, const struct spool_record *record)
{
    struct parcel parcel;
    if (!parcel_read(record->body, &parcel)) {
        LOG_RATED(loop_now_ms(push->loop), LOG_ERROR, "push",
                  "a spool record that this version does not know is left out", "lsn=%llu",
                  (unsigned long long)record->lsn);
        metrics_add(&push->metrics, METRIC_SPOOL_DAMAGED, 1);
        return true;
    }
    struct track *track = tracks_get(&push->tracks, record->incarnation, parcel.tenant, parcel.lane);
    if (!track)
        return false;
    if (record->lsn <= track->sent)
        return true;
    if (track->passed || track->blocked_until_ms || !push_can_reach(push, track) || has_older(push, track)) {
        pass_by(push, track, record->lsn);
        return true;
    }
    struct push_batch *batch = batch_for(push, track);
    if (!batch)
        return false;
    bool is_ours = record->incarnation == push->config.incarnation;
    batch->items[batch->count++] =
        (struct push_item){record->lsn, is_ours ? parcel.waiter : 0, parcel.records, parcel.level, {0}};
    memcpy(batch->items[batch->count - 1].key, parcel.key, SINK_KEY_BYTES);
    if (is_ours && parcel.waiter && parcel.level > batch->wanted)
        batch->wanted = parcel.level;
    msgpack_uint(&batch->packed, record->lsn);
    msgpack_raw(&batch->packed, parcel.message);
    track->sent = record->lsn;
    if (!track->pending)
        track->pending = record->lsn;
    return true;
}
