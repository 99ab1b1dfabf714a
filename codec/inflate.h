// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Compressed payloads (zlib, RFC 1950; gzip, RFC 1952) of the few senders that have them; the only place that
 * knows the library.
 *
 * Bounded, so that nobody sends a bomb: what comes out is at most INFLATE_RATIO_MAX times as long as what
 * came in, and no longer than the caller allows. All memory comes from the request's arena, also the
 * library's own.
 */
#pragma once

#include "codec/arena.h"
#include "codec/refusal.h"

/* Batches of Telegraf are 10 to 40 times as long, of registers that stand still 120 times. Deflate can do 1032. */
#define INFLATE_RATIO_MAX 256

/*
 * One zlib stream, or gzip members one behind the other (RFC 1952 2.2), which become one text; the whole input. ret is
 * in the arena. False: too-large beyond max_bytes or the ratio, so that senders who can send less at once do;
 * malformed where it is no stream, ends early, has anything else behind it, wants a dictionary or its checksum is
 * wrong.
 */
bool inflate_whole(struct bytes compressed, size_t max_bytes, struct arena *arena, struct bytes *ret,
                   struct refusal *reterr);
