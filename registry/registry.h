// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who may speak: tenants, devices, tokens, in memory. Passive: no I/O, no clock; gateway/follow feeds it from Redis.
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
const struct device_record *registry_device_by_x509(const struct registry *registry, struct bytes name);
const struct device_record *registry_device_by_rpk(const struct registry *registry,
                                                   const uint8_t digest[static RECORD_DIGEST_BYTES]);
const struct token_record *registry_token(const struct registry *registry, struct bytes id);

/* Whether the device, its record and its tenant are there and not disabled. */
bool registry_device_may_speak(const struct registry *registry, struct bytes tenant, struct bytes id);

struct registry_counts {
    size_t tenants, devices, tokens;
};
struct registry_counts registry_count(const struct registry *registry);

/* Changes, writer thread only. False: out of memory, nothing changed. A put replaces the record of the same id;
 * a certificate name or raw key that another device has goes to the record that was created later, or put later if
 * both are of the same second; when that one goes, the other has it again after its next put. Removing a tenant
 * removes its devices and tokens. */
bool registry_put_tenant(struct registry *registry, const struct tenant_record *record);
bool registry_put_device(struct registry *registry, const struct device_record *record);
bool registry_put_token(struct registry *registry, const struct token_record *record);
void registry_remove_tenant(struct registry *registry, struct bytes tenant);
void registry_remove_device(struct registry *registry, struct bytes tenant, struct bytes id);
void registry_remove_token(struct registry *registry, struct bytes id);

/* What a resync removed or changed, so that live sessions can be ended; device empty: the tenant. A resync that was
 * begun and not ended is given up by beginning another. gone must not come back to the registry. */
typedef void registry_gone_fn(void *ctx, struct bytes tenant, struct bytes device);
void registry_resync_begin(struct registry *registry);
void registry_resync_end(struct registry *registry, registry_gone_fn *gone, void *ctx);
