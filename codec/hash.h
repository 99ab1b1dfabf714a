// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keyed hash for tables whose keys peers choose: SipHash-1-3 with a key drawn once per process, so that nobody can
 * make collisions on purpose. Not for signatures.
 */
#pragma once

#include "codec/bytes.h"

struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_bytes(const struct hash_key *key, struct bytes input);
/* Hash of two runs as if they were one with an unambiguous border (tenant, device). */
uint64_t hash_pair(const struct hash_key *key, struct bytes a, struct bytes b);
/* The same of any number of runs. */
uint64_t hash_parts(const struct hash_key *key, const struct bytes *parts, size_t count);
