// SPDX-License-Identifier: GPL-3.0-or-later
/* The table of tracks: one per incarnation, tenant and lane; it grows, is walked and swept. */
#include "gateway/track.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct track *get(struct tracks *tracks, uint64_t incarnation, const char *tenant, unsigned lane)
{
    return tracks_get(tracks, incarnation, bytes_of_text(tenant), lane);
}

Test(track, made_once)
{
    struct tracks tracks;
    cr_assert(tracks_init(&tracks));
    struct track *track = get(&tracks, 1, "acme", 2);
    cr_assert_not_null(track);
    cr_expect_str_eq(track->tenant, "acme");
    cr_expect_eq(track->incarnation, 1);
    cr_expect_eq(track->lane, 2);
    cr_expect_eq(track->confirmed, 0);
    cr_expect_eq(get(&tracks, 1, "acme", 2), track);
    cr_expect_neq(get(&tracks, 2, "acme", 2), track);
    cr_expect_neq(get(&tracks, 1, "acme", 1), track);
    cr_expect_neq(get(&tracks, 1, "acm", 2), track);
    cr_expect_eq(tracks.count, 4);
    tracks_deinit(&tracks);
}

static bool count_all(void *ctx, struct track *track)
{
    track->in_flight++;
    return ++*(size_t *)ctx < 3000;
}

static bool is_odd(void *ctx, struct track *track)
{
    (void)ctx;
    return track->incarnation % 2 == 1;
}

Test(track, many)
{
    struct tracks tracks;
    size_t count = 0;
    cr_assert(tracks_init(&tracks));
    for (uint64_t i = 0; i < 1000; i++) {
        char tenant[SCHEMA_TENANT_MAX + 1];
        snprintf(tenant, sizeof tenant, "tenant-%c-with-a-name-of-32-octet", (char)('0' + i % 10));
        for (unsigned lane = 0; lane < PARCEL_LANES; lane++)
            cr_assert_not_null(get(&tracks, i, tenant, lane));
    }
    cr_expect_eq(tracks.count, 4000);
    tracks_each(&tracks, count_all, &count);
    cr_expect_eq(count, 3000); /* until the callback said no */
    tracks_remove_if(&tracks, is_odd, NULL);
    cr_expect_eq(tracks.count, 2000);
    count = 1000;
    tracks_each(&tracks, count_all, &count);
    cr_expect_eq(count, 3000);
    tracks_deinit(&tracks);
}

Test(track, the_field_of_its_mark)
{
    struct tracks tracks;
    char text[TRACK_FIELD_MAX];
    cr_assert(tracks_init(&tracks));
    cr_expect_eq(track_field(get(&tracks, 0x0123456789abcdef, "t", 2), text), 18);
    cr_expect_str_eq(text, "0123456789abcdef.2");
    track_field(get(&tracks, 1, "t", 0), text);
    cr_expect_str_eq(text, "0000000000000001.0");
    track_field(get(&tracks, UINT64_MAX, "t", 3), text);
    cr_expect_str_eq(text, "ffffffffffffffff.3");
    tracks_deinit(&tracks);
}
