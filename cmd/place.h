// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Where Redis is, for commands that are not `weir serve`: the file redis.address in the state folder, which serve
 * writes, and the environment. The first line of the file is the address; the lines that may follow are settings as in
 * a settings file (redis_user = weir). A password is never in it, only the path of its file.
 */
#pragma once

#include "gateway/settings.h"

/* Replaces the file whole; kek: settings.kek. False: errno. */
bool place_write(const char *state_dir, const struct store_target *redis, const char *kek);
/* Sets redis, redis_* and kek. False: reterr, or "" if there is no such file. */
bool place_read(struct settings *settings, const char *state_dir, char reterr[static SETTINGS_ERROR_MAX]);
/* Sets redis_* and kek, but not redis, from WEIR_REDIS_* and WEIR_KEK. */
bool place_from_environment(struct settings *settings, char reterr[static SETTINGS_ERROR_MAX]);
