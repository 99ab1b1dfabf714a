// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The private Redis: a child process on a unix socket with its data under the state folder, for people who
 * have none.
 *
 * Append-only file with appendfsync always, so that an answer means it is on disk; noeviction; owner-only,
 * and weir has the rights of a user of its own in it (gateway/redis_rights.h). Never two on one folder: the
 * child holds a lock on it. Restarted when it dies (at once, then after 1 s, 2 s, ... 30 s); ended with
 * SIGTERM, which Redis answers with a clean stop. It ends when this process dies.
 */
#pragma once

#include "gateway/rt/loop.h"
#include "gateway/settings.h"

struct redis_child;

/*
 * Starts it and waits until its socket answers (at most 20 s: an old instance may be ending, a large file loading).
 * program is looked up in PATH. NULL: reterr says why.
 */
struct redis_child *redis_child_start(struct loop *loop, const char *program, const char *state_dir,
                                      char reterr[static SETTINGS_ERROR_MAX]);
/* For store: its unix socket and the user weir (gateway/redis_rights.h); lives as long as the child. */
struct store_target redis_child_target(const struct redis_child *child);
/* SIGTERM, waits for the clean end, frees. NULL is fine. */
void redis_child_stop(struct redis_child *child);
