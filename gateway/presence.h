// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Which device has which DTLS sessions, over all workers. Touched when a handshake finishes and when a session ends,
 * never per message, hence a mutex. Keeps "at most sessions_per_device": the caller is told which of the device's
 * own sessions is the oldest and asks its worker to end it.
 */
#pragma once

#include "codec/hash.h"
#include "gateway/identity.h"

struct presence;

struct presence_ref {
    unsigned worker;
    uint64_t serial; /* of the session, unique within its worker */
};

struct presence *presence_new(const struct hash_key *key, unsigned sessions_per_device);
void presence_free(struct presence *presence);

/* Adds a session. ret_evict is set if the device now has too many: end that one. False: out of memory. */
bool presence_add(struct presence *presence, const struct identity *who, struct presence_ref ref, bool *ret_evicts,
                  struct presence_ref *ret_evict);
void presence_remove(struct presence *presence, const struct identity *who, struct presence_ref ref);
/* How many sessions the device has now. */
unsigned presence_count(struct presence *presence, const struct identity *who);
