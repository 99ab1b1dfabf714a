// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keys that a device computes from its id and a key of its group, so that a batch of devices needs no records before
 * they appear. The label keeps the two uses of one group key apart; a device whose own id begins with it has no derived
 * key, because its pre-shared key would be another one's MAC key.
 */
#pragma once

#include "registry/registry.h"

#define DERIVE_KEY_BYTES 32

/* The pre-shared key of DTLS: HMAC-SHA-256(group key, device id). False: out of memory. */
bool derive_psk(const struct group_record *group, struct bytes device, struct secret *ret);
/* The key of its signatures (hs256, hmac): HMAC-SHA-256(group key, "mac:" then device id). */
bool derive_mac_key(const struct group_record *group, struct bytes device, struct secret *ret);

/*
 * The group whose key the device has: of one with a record the group that it names, as long as it has no pre-shared key
 * of its own (one that was only offered is not its own yet); of one without a record the group that has it. NULL: none,
 * or it is disabled. Whether the device may speak is not looked at.
 */
const struct group_record *derive_group(const struct registry *registry, struct bytes tenant, struct bytes device);
