// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The Redis Function library `weir` (gateway/function.lua, compiled in) and seeing to it that a Redis has it.
 *
 * It is asked for its version and loaded if it is not there or older. A library that is newer than ours serves us
 * too. One that is older and may not be replaced is refused: nothing is pushed to that Redis, never by a plain XADD.
 */
#pragma once

#include "gateway/store.h"

#define FUNCTION_VERSION 4
#define FUNCTION_REASON_MAX 160

/* The text of function.lua. */
struct bytes function_code(void);

/* reason: NULL when the library is there; else why not. */
typedef void function_told_fn(void *ctx, const char *reason);

/* Told once, later, from the store's callbacks. False: not connected or no memory; nothing will be told. */
bool function_ensure(struct store *store, function_told_fn *told, void *ctx);
/* Whether an error reply says that the library is not there. */
bool function_is_missing(const struct store_reply *reply);
