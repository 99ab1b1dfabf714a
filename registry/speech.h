// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * How the devices of all tenants speak: profiles and compiled codecs, by tenant and id, published by RCU. Part of
 * registry; nobody above includes it.
 *
 * The caller brings keyed hashes of tenant and id. What was replaced or removed is freed after a grace period, and with
 * a codec's entry its definition and its compiled form.
 */
#pragma once

#include "registry/registry.h"
#include "registry/table.h"

struct speech {
    struct table profiles, codecs;
    size_t profile_count, codec_count; /* written by the writer, read by any */
};

/* False: out of memory. */
bool speech_init(struct speech *speech);
/* No reader may be left, and no grace period under way. */
void speech_deinit(struct speech *speech);

/* Any thread. */
struct speech_key {
    struct bytes tenant, id;
};
const struct profile_record *speech_profile(const struct speech *speech, uint64_t hash, const struct speech_key *key);
bool speech_codec(const struct speech *speech, uint64_t hash, const struct speech_key *key, struct registry_codec *ret);

/* Writer. What was put in an older generation than it is swept with goes. False: out of memory. */
bool speech_put_profile(struct speech *speech, uint64_t hash, const struct profile_record *record, uint32_t generation);
/* Compiles it and tries its examples; one that does not hold is put all the same, without its compiled form. */
bool speech_put_codec(struct speech *speech, uint64_t hash, const struct codec_record *record, uint32_t generation);
void speech_remove_profile(struct speech *speech, uint64_t hash, const struct speech_key *key);
void speech_remove_codec(struct speech *speech, uint64_t hash, const struct speech_key *key);
/* hash_of: the keyed hash of what is taken out. */
typedef uint64_t speech_hash_fn(const void *ctx, const struct speech_key *key);
void speech_remove_tenant(struct speech *speech, struct bytes tenant, speech_hash_fn *hash_of, const void *ctx);
void speech_sweep(struct speech *speech, uint32_t generation, speech_hash_fn *hash_of, const void *ctx);
