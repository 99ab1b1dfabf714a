// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One process on one state folder: the gateway while it runs, and commands that change its spool while it does not.
 * The file "lock" in the folder, locked with flock(2); the number in it is for people. Not the lock in redis/, which
 * the private Redis holds too (gateway/redis_child).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STATE_LOCK_HOLDER_MAX 16

/* Waits up to wait_ms for another one that is just ending. The descriptor to be closed at the end; -1: errno, and
 * ret_holder is the other process, or "" if it is not that. */
int state_lock_take(const char *state_dir, uint64_t wait_ms, char ret_holder[static STATE_LOCK_HOLDER_MAX]);
