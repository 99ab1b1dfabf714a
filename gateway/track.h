// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * How far the push has come with each lane of each tenant. A track is what one high-water mark in Redis
 * counts: the records of one tenant and lane that one incarnation of the gateway has spooled. Plain data in a
 * table; the push decides.
 */
#pragma once

#include "gateway/parcel.h"

struct push_batch;

struct track {
    struct track *next; /* in its bucket */
    uint64_t incarnation;
    unsigned lane;
    char tenant[SCHEMA_TENANT_MAX + 1];
    uint64_t confirmed; /* LSN up to which Redis has said that it has it */
    uint64_t sent;      /* LSN up to which records were put into batches */
    uint64_t pending;   /* LSN of the oldest record that is not confirmed; 0: none */
    uint64_t passed;    /* LSN of the first record that was passed by, because it could not be sent; 0: none */
    unsigned generation; /* answers to batches of an older one say nothing any more */
    unsigned in_flight; /* batches of this generation */
    unsigned batches;   /* of any */
    struct push_batch *first, *last; /* in flight, in the order of sending */
    struct push_batch *building;
    uint64_t blocked_until_ms; /* after a refusal */
    uint64_t backoff_ms;
};

struct tracks {
    struct track **buckets;
    size_t mask, count;
};

/* False: out of memory. */
bool tracks_init(struct tracks *tracks);
void tracks_deinit(struct tracks *tracks);
/* Made if it is not there. NULL: out of memory. */
struct track *tracks_get(struct tracks *tracks, uint64_t incarnation, struct bytes tenant, unsigned lane);
/* Calls for each, until one returns false. */
void tracks_each(struct tracks *tracks, bool (*call)(void *ctx, struct track *track), void *ctx);
/* Removes those for which gone says so. */
void tracks_remove_if(struct tracks *tracks, bool (*gone)(void *ctx, struct track *track), void *ctx);

/* "0123456789abcdef.2": the field of the hash of high-water marks. */
#define TRACK_FIELD_MAX 32
size_t track_field(const struct track *track, char ret[static TRACK_FIELD_MAX]);
