// SPDX-License-Identifier: GPL-3.0-or-later
/* A chained table in one thread; the number of tracks is tenants times lanes times incarnations in the spool. */
#include "gateway/track.h"

#include "codec/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BUCKETS_MIN 64

/* Tenants are made by operators, not by strangers: nobody chooses names to collide. */
static size_t bucket_of(const struct tracks *tracks, uint64_t incarnation, struct bytes tenant, unsigned lane)
{
    static const struct hash_key key = {0};
    struct bytes parts[] = {bytes_of(&incarnation, sizeof incarnation), tenant, bytes_of(&lane, sizeof lane)};
    return hash_parts(&key, parts, 3) & tracks->mask;
}

bool tracks_init(struct tracks *tracks)
{
    tracks->buckets = calloc(BUCKETS_MIN, sizeof *tracks->buckets);
    tracks->mask = BUCKETS_MIN - 1;
    tracks->count = 0;
    return tracks->buckets != NULL;
}

void tracks_deinit(struct tracks *tracks)
{
    for (size_t i = 0; tracks->buckets && i <= tracks->mask; i++)
        while (tracks->buckets[i]) {
            struct track *next = tracks->buckets[i]->next;
            free(tracks->buckets[i]);
            tracks->buckets[i] = next;
        }
    free(tracks->buckets);
    *tracks = (struct tracks){0};
}

/* When there is no memory for more buckets the chains grow instead. */
static void grow(struct tracks *tracks)
{
    struct tracks larger = {.mask = 2 * tracks->mask + 1, .count = tracks->count};
    larger.buckets = calloc(larger.mask + 1, sizeof *larger.buckets);
    if (!larger.buckets)
        return;
    for (size_t i = 0; i <= tracks->mask; i++)
        while (tracks->buckets[i]) {
            struct track *track = tracks->buckets[i];
            tracks->buckets[i] = track->next;
            size_t at = bucket_of(&larger, track->incarnation, bytes_of_text(track->tenant), track->lane);
            track->next = larger.buckets[at];
            larger.buckets[at] = track;
        }
    free(tracks->buckets);
    *tracks = larger;
}

struct track *tracks_get(struct tracks *tracks, uint64_t incarnation, struct bytes tenant, unsigned lane)
{
    size_t at = bucket_of(tracks, incarnation, tenant, lane);
    for (struct track *track = tracks->buckets[at]; track; track = track->next)
        if (track->incarnation == incarnation && track->lane == lane && bytes_equal_text(tenant, track->tenant))
            return track;
    if (tracks->count > 2 * tracks->mask) {
        grow(tracks);
        at = bucket_of(tracks, incarnation, tenant, lane);
    }
    struct track *track = calloc(1, sizeof *track);
    if (!track)
        return NULL;
    track->incarnation = incarnation;
    track->lane = lane;
    memcpy(track->tenant, tenant.ptr, tenant.len);
    track->next = tracks->buckets[at];
    tracks->buckets[at] = track;
    tracks->count++;
    return track;
}

void tracks_each(struct tracks *tracks, bool (*call)(void *ctx, struct track *track), void *ctx)
{
    for (size_t i = 0; i <= tracks->mask; i++)
        for (struct track *track = tracks->buckets[i]; track; track = track->next)
            if (!call(ctx, track))
                return;
}

void tracks_remove_if(struct tracks *tracks, bool (*gone)(void *ctx, struct track *track), void *ctx)
{
    for (size_t i = 0; i <= tracks->mask; i++)
        for (struct track **link = &tracks->buckets[i]; *link;) {
            struct track *track = *link;
            if (gone(ctx, track)) {
                *link = track->next;
                free(track);
                tracks->count--;
            } else {
                link = &track->next;
            }
        }
}

size_t track_field(const struct track *track, char ret[static TRACK_FIELD_MAX])
{
    return (size_t)snprintf(ret, TRACK_FIELD_MAX, "%016" PRIx64 ".%u", track->incarnation, track->lane);
}
