// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What Redis says about a stream and its consumer groups: XINFO STREAM, XINFO GROUPS, XPENDING. Pure.
 */
#pragma once

#include "gateway/store.h"

/* An entry's id: milliseconds of Redis's clock, and a number within them. */
struct streaminfo_id {
    uint64_t ms, seq;
};

#define STREAMINFO_ID_MAX 48

int streaminfo_compare(struct streaminfo_id a, struct streaminfo_id b);
/* False: not "MS-SEQ". */
bool streaminfo_parse_id(struct bytes text, struct streaminfo_id *ret);
/* prefix: "" or "(", which excludes the id from a range. The result is in ret. */
struct bytes streaminfo_id_text(const char *prefix, struct streaminfo_id id, char ret[static STREAMINFO_ID_MAX]);
/* The smallest id above this one. */
struct streaminfo_id streaminfo_next(struct streaminfo_id id);

struct streaminfo {
    uint64_t length;
    struct streaminfo_id first, last; /* of the entries that are there; 0-0 if none is */
};
/* False: not an answer to XINFO STREAM of a stream that exists. */
bool streaminfo_parse(const struct store_reply *reply, struct streaminfo *ret);

struct streaminfo_group {
    struct bytes name; /* borrowed from the reply */
    uint64_t pending;  /* delivered and not acknowledged */
    struct streaminfo_id delivered;
    int64_t lag; /* entries not delivered yet; -1: Redis does not know */
};
/* One item of an answer to XINFO GROUPS. False: not that. */
bool streaminfo_parse_group(const struct store_reply *item, struct streaminfo_group *ret);
/* The lowest id in an answer to XPENDING without a range. False: none is pending. */
bool streaminfo_parse_pending(const struct store_reply *reply, struct streaminfo_id *ret);
