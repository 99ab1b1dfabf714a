// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keeps the registry in memory equal to Redis: loads all of it at start, then follows weir:changes (XREAD BLOCK).
 *
 * Runs in the loop of the main thread, which is the registry's only writer. A gap (the stream was trimmed past our
 * position, or Redis has a shorter history than we saw) is noticed after each reconnect and every 10 s and leads to
 * a full resync. While Redis is away the registry stays as it is.
 */
#pragma once

#include "gateway/rt/loop.h"
#include "gateway/rt/metrics.h"
#include "gateway/store_target.h"
#include "gateway/vault.h"
#include "registry/registry.h"

struct follow;

/* changed: what the device may do or how it proves itself was changed, or it was disabled or removed (device empty: the
 * tenant's record was changed, or one of its groups); end what is not allowed. */
struct follow_config {
    const struct store_target *redis;
    struct registry *registry;
    const struct vault *vault; /* opens secrets; NULL: only plain ones are read */
    struct metrics *metrics;   /* of the main thread; NULL: nobody counts */
    registry_gone_fn *changed;
    void (*fresh)(void *ctx, bool fresh); /* true: loaded and following */
    /* Devices (or all of a tenant) were removed, if only to be registered anew. Told before those that have their ids
     * are in the registry, again when all is in it, and of what was before the start unless weir:changes shows that
     * there was none: whatever the clocks say, which may be off. May be NULL. */
    void (*gone)(void *ctx);
    void *ctx;
    uint64_t random_seed[4];
};

struct follow *follow_new(struct loop *loop, const struct follow_config *config);
void follow_free(struct follow *follow);
