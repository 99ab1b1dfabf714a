// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Redis for the CLI and tools: one command, one answer, blocking. Finds the primary as gateway/store does; in a cluster
 * it follows MOVED and ASK with connections that it keeps, except within MULTI, where an error must end the
 * transaction.
 */
#pragma once

#include "gateway/store_wire.h"

struct store_client;

#define STORE_CLIENT_ERROR_MAX 256
/* NULL: reterr says why. */
struct store_client *store_client_open(const char *address, uint64_t timeout_ms,
                                       char reterr[static STORE_CLIENT_ERROR_MAX]);
struct store_client *store_client_open_target(const struct store_target *target, uint64_t timeout_ms,
                                              char reterr[static STORE_CLIENT_ERROR_MAX]);
/* NULL is fine. */
void store_client_close(struct store_client *client);
/* Whether keys may lie in different nodes, so that not everything fits into one MULTI. */
bool store_client_is_cluster(const struct store_client *client);
/* NULL: connection failed, now and in all later calls. The reply is valid until the next call. */
const struct store_reply *store_client_call(struct store_client *client, const struct bytes *arguments, size_t count);
/*
 * Several commands in one write, in the protocol's form (gateway/resp), then their replies one after the other; each is
 * valid until took returns. In a cluster they go to the node of the last call, and no redirect is followed. False:
 * connection failed, as above; of some took was not called.
 */
bool store_client_pipeline(struct store_client *client, struct bytes commands, size_t count,
                           void (*took)(void *ctx, size_t index, const struct store_reply *reply), void *ctx);
