// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Host names to addresses without holding up the loop: getaddrinfo blocks, so each question has a short-lived thread,
 * and the loop hears of the end through an eventfd. Few and rare: one per connection that is made.
 */
#pragma once

#include "gateway/rt/loop.h"

#define RESOLVE_ADDRESSES_MAX 8
#define RESOLVE_ADDRESS_MAX 46 /* an IPv6 address as text */

struct resolve_result {
    const char *error; /* NULL: there is at least one address */
    size_t count;
    char addresses[RESOLVE_ADDRESSES_MAX][RESOLVE_ADDRESS_MAX];
};

struct resolve;

/* Called once, from the loop; what was started is gone then, the result is valid during the call. */
typedef void resolve_done_fn(void *ctx, const struct resolve_result *result);

/* NULL: out of memory or threads. */
struct resolve *resolve_start(struct loop *loop, const char *host, resolve_done_fn *done, void *ctx);
/* done will not be called; the thread ends by itself. NULL is fine. */
void resolve_cancel(struct resolve *resolve);
