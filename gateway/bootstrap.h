// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a device that has no credential of its own yet proves itself with: the secret of its batch, or one
 * that is derived from it and its serial number, so that a box shows a secret that opens nothing for other
 * boxes. Such an identity may enrol (gateway/enrol) and nothing else.
 *
 * DTLS: PSK identity TENANT/+BATCH with the batch's secret, or TENANT/+BATCH/SERIAL with HMAC-SHA256(secret,
 * SERIAL). HTTP: a token of the role bootstrap; a device of a batch whose secrets are one per device then
 * says the claim code that bootstrap_claim gives.
 */
#pragma once

#include "gateway/identity.h"
#include "registry/registry.h"

bool bootstrap_psk(const struct batch_record *batch, struct bytes serial, struct secret *ret);
/* 32 hexadecimal digits: HMAC-SHA256(secret, "claim/" SERIAL), cut. */
#define BOOTSTRAP_CLAIM_LEN 32
bool bootstrap_claim(const struct batch_record *batch, struct bytes serial, char ret[static BOOTSTRAP_CLAIM_LEN + 1]);
/* What identity.key says of a device whose serial number was proved; identities do not have room for the number. */
bool bootstrap_mark(struct bytes serial, char ret[static CREDENTIAL_ID_MAX + 1]);

/* The batch of a bootstrap identity, if it may be used now. NULL: no. */
const struct batch_record *bootstrap_batch(const struct registry *registry, const struct identity *who, int64_t now_s);
/* The identity of one that has proved itself; evidence is the caller's to set. serial: empty: none was proved. */
bool bootstrap_identity(const struct batch_record *batch, struct bytes serial, struct identity *ret);
