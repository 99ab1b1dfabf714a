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

#define INFLATE_RATIO_MAX 16

/*
 * One zlib stream or one gzip member, the whole input. ret is in the arena. False: too-large beyond
 * max_bytes, too-complex beyond the ratio, malformed where it is no stream, ends early, has anything behind
 * it, wants a dictionary or its checksum is wrong.
 */
bool inflate_whole(struct bytes compressed, size_t max_bytes, struct arena *arena, struct bytes *ret,
                   struct refusal *reterr);
