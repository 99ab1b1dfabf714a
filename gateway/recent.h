// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keys of the messages that this gateway has made durable lately, so that a repetition is answered from
 * memory and other content under the same sequence is refused before it is acknowledged. Shared by all
 * workers; filled again from the spool at start. A help, not the judge: what it has forgotten the Redis
 * Function still knows.
 *
 * Bounded: sets of eight entries of 24 octets; a new key takes the place of the oldest of its set. Locked in
 * stripes. A key does not say whose it is, so when a device is removed all that are for ever are forgotten.
 */
#pragma once

#include "codec/bytes.h"

#define RECENT_KEY_BYTES 16
#define RECENT_FOR_EVER UINT64_MAX

struct recent;

/* NULL: out of memory. */
struct recent *recent_new(size_t entries_max);
void recent_free(struct recent *recent);

enum recent_result { RECENT_UNKNOWN, RECENT_SAME, RECENT_OTHER_CONTENT };

/* Keys are digests: their first octets choose the set. now_ms: monotonic. */
enum recent_result recent_find(struct recent *recent, const uint8_t key[static RECENT_KEY_BYTES], uint32_t fingerprint,
                               uint64_t now_ms);
/* The key's content is in dispute: from now on it is RECENT_UNKNOWN, whatever is put, and Redis is asked each time. */
void recent_dispute(struct recent *recent, const uint8_t key[static RECENT_KEY_BYTES]);
/* expires_ms: on the same clock, or RECENT_FOR_EVER. */
void recent_put(struct recent *recent, const uint8_t key[static RECENT_KEY_BYTES], uint32_t fingerprint,
                uint64_t expires_ms);
/* What was put for ever is unknown from now on, and may be put anew. Any thread; takes no time, whatever is there. */
void recent_forget(struct recent *recent);
