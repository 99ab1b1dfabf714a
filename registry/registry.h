// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who may speak, and where to what they say goes: tenants, devices, tokens, rules, streams, in memory. Passive: no I/O,
 * no clock; gateway/follow feeds it from Redis.
 *
 * Read on the path of every message without a lock (RCU), because DTLS asks for keys in a synchronous callback.
 * Protocol of use:
 *   each thread that reads: registry_thread_start, then per loop turn registry_quiescent when it holds no pointer of
 *   the registry, registry_offline / registry_online around a wait, registry_thread_stop at its end;
 *   one writer thread: registry_put_*, registry_remove_*; or a whole resync between registry_resync_begin and
 *   registry_resync_end, which removes what was not put in between.
 * A pointer that a lookup returned is valid until the thread's next registry_quiescent or registry_offline.
 */
#pragma once

#include "codec/hash.h"
#include "registry/commission.h"
#include "registry/record.h"

struct registry;

/* NULL: out of memory. Call from the writer thread, which it registers. */
struct registry *registry_new(const struct hash_key *key);
/* No reader may be left. */
void registry_free(struct registry *registry);

void registry_thread_start(void);
void registry_thread_stop(void);
void registry_quiescent(void);
void registry_offline(void);
void registry_online(void);

/* Lookups, any registered thread. NULL: not known. Disabled and revoked records are returned: the caller judges. */
const struct tenant_record *registry_tenant(const struct registry *registry, struct bytes tenant);
const struct device_record *registry_device(const struct registry *registry, struct bytes tenant, struct bytes id);
/* What a chain of certificates shows. ca, leaf: SHA-256 of the SubjectPublicKeyInfo of the CA that signed, and
 * of the certificate, CREDENTIAL_DIGEST_BYTES each. */
struct registry_chain {
    struct bytes tenant; /* whose authority the chain ends at, so that only its devices count; empty: all count */
    struct bytes name;
    const uint8_t *ca, *leaf;
};
/* Whose it is: of all devices of which a credential is shown (name, CA and leaf; name and CA; or name alone) the
 * one whose credential was made first (as registry_put_device says), good or not: nobody else gets it. A name
 * that says the device (credential_own_name) is of that one only. ret_credential: of those of it that are shown
 * and good at now_s, the one that says most; of several the one that is offered, then the latest. NULL: it is
 * nobody's, or none is good. */
const struct device_record *registry_device_by_x509(const struct registry *registry,
                                                    const struct registry_chain *chain, int64_t now_s,
                                                    const struct credential **ret_credential);
const struct device_record *registry_device_by_rpk(const struct registry *registry,
                                                   const uint8_t digest[static CREDENTIAL_DIGEST_BYTES], int64_t now_s,
                                                   const struct credential **ret_credential);
/* Whose it is, though none of its credentials is good: for people who ask why it was refused. NULL: nobody's. */
const struct device_record *registry_holder_of_x509(const struct registry *registry,
                                                    const struct registry_chain *chain);
const struct device_record *registry_holder_of_rpk(const struct registry *registry,
                                                   const uint8_t digest[static CREDENTIAL_DIGEST_BYTES]);
/* A signature key of the tenant by its id, good or not; ret_device is whose it is. NULL: none. */
const struct credential *registry_signature_key(const struct registry *registry, struct bytes tenant, struct bytes kid,
                                                const struct device_record **ret_device);
/* NULL: none of that name. */
const struct group_record *registry_group(const struct registry *registry, struct bytes tenant, struct bytes id);
/* The group that a device without a record belongs to: the first by id that is enabled and whose pattern its id
 * matches. NULL: none. One load while the tenant has no groups. */
const struct group_record *registry_group_of(const struct registry *registry, struct bytes tenant, struct bytes device);
/* NULL: none of that name. */
const struct batch_record *registry_batch(const struct registry *registry, struct bytes tenant, struct bytes id);
const struct ca_record *registry_ca(const struct registry *registry, struct bytes tenant, struct bytes id);
/* Calls seen for each authority, of whichever tenant: a certificate does not say whose it is. */
void registry_walk_cas(const struct registry *registry, void (*seen)(void *ctx, const struct ca_record *ca), void *ctx);
const struct token_record *registry_token(const struct registry *registry, struct bytes id);

/* The key that a legacy sender has in its query. Not a bearer token's text. */
const struct token_record *registry_token_by_apikey(const struct registry *registry, struct bytes apikey);

/* NULL: none of that name. */
const struct profile_record *registry_profile(const struct registry *registry, struct bytes tenant, struct bytes id);

/* A declarative codec, compiled. custom NULL: its definition or its examples do not hold in this program;
 * reason says why. */
struct registry_codec {
    const struct custom *custom;
    bool quarantined; /* not to be used */
    const char *reason;
    const struct codec_record *record;
};
/* False: none of that name. */
bool registry_codec(const struct registry *registry, struct bytes tenant, struct bytes id, struct registry_codec *ret);

/* How a device speaks: its profile; where device.profile names none, one that has this name as its format. Without a
 * profile all is empty and CLOCK_TRUST. Plain data, but for nothing borrowed. */
struct profile_record registry_profile_of(const struct registry *registry, const struct device_record *device);

/* A page of a tenant's devices: those whose id comes after `after` (empty: from the first), in the order of
 * their characters, at most limit of them, and of these only the wanted ones (NULL: all). Returns how many;
 * ret_more: there are others behind them. Looks at every device of the registry, 0.1 s for a million of them:
 * for people. */
typedef bool registry_wanted_fn(const void *ctx, const struct device_record *device);
size_t registry_page(const struct registry *registry, struct bytes tenant, struct bytes after, size_t limit,
                     registry_wanted_fn *wanted, const void *ctx, const struct device_record **ret, bool *ret_more);

/* Whether the device, its record and its tenant are there and not disabled; a device without a record may speak if a
 * group has it. */
bool registry_device_may_speak(const struct registry *registry, struct bytes tenant, struct bytes id);

/* One series: whose, which (name in local form if it has one, as rights_local_name gives it), of which class. */
struct registry_series {
    struct bytes tenant, device, name;
    char class;
};
/* The rule that says where its entries go; NULL: none does, the tenant's obs. One load while nobody has rules.
 * A name pattern without ':' and '/' is matched against the local name, one with them against the full name
 * (DEVICE:NAME of a local one), so it does not matter in which form the device wrote it. */
const struct rule_record *registry_route(const struct registry *registry, const struct registry_series *series);

struct registry_counts {
    size_t tenants, devices, tokens, rules, streams, profiles, codecs, groups, credentials, batches, cas;
};
struct registry_counts registry_count(const struct registry *registry);

/* Writer thread only: the next retention record at or after *cursor, which starts at 0; NULL at the end. Nothing may be
 * put in between. */
const struct stream_record *registry_next_stream(const struct registry *registry, size_t *cursor);

/* Changes, writer thread only. False: out of memory, nothing changed. A put replaces the record of the same
 * id; a certificate name, raw key or kid that another device shows stays with the one whose credential was
 * made first (its oldest that shows it; of the same second: the first by tenant and id); when that one goes,
 * the other has it. Removing a tenant removes its devices, tokens, groups, batches, authorities, rules, streams,
 * profiles and codecs. The key of a legacy sender goes the same way, but never to a token that is revoked. */
bool registry_put_tenant(struct registry *registry, const struct tenant_record *record);
bool registry_put_device(struct registry *registry, const struct device_record *record);
bool registry_put_token(struct registry *registry, const struct token_record *record);
bool registry_put_group(struct registry *registry, const struct group_record *record);
bool registry_put_batch(struct registry *registry, const struct batch_record *record);
bool registry_put_ca(struct registry *registry, const struct ca_record *record);
bool registry_put_rule(struct registry *registry, const struct rule_record *record);
bool registry_put_stream(struct registry *registry, const struct stream_record *record);
bool registry_put_profile(struct registry *registry, const struct profile_record *record);
/* Compiles it and tries its examples. */
bool registry_put_codec(struct registry *registry, const struct codec_record *record);
void registry_remove_tenant(struct registry *registry, struct bytes tenant);
void registry_remove_device(struct registry *registry, struct bytes tenant, struct bytes id);
void registry_remove_token(struct registry *registry, struct bytes id);
void registry_remove_group(struct registry *registry, struct bytes tenant, struct bytes id);
void registry_remove_batch(struct registry *registry, struct bytes tenant, struct bytes id);
void registry_remove_ca(struct registry *registry, struct bytes tenant, struct bytes id);
void registry_remove_rule(struct registry *registry, struct bytes tenant, struct bytes id);
void registry_remove_stream(struct registry *registry, struct bytes tenant, struct bytes name);
void registry_remove_profile(struct registry *registry, struct bytes tenant, struct bytes id);
void registry_remove_codec(struct registry *registry, struct bytes tenant, struct bytes id);

/* What a resync removed or changed, so that live sessions can be ended; device empty: the tenant. A resync that was
 * begun and not ended is given up by beginning another. gone must not come back to the registry. */
typedef void registry_gone_fn(void *ctx, struct bytes tenant, struct bytes device);
void registry_resync_begin(struct registry *registry);
void registry_resync_end(struct registry *registry, registry_gone_fn *gone, void *ctx);
