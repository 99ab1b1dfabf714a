// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Small files of the state folder (keys, ids, certificates) that are whole or not at all, also after a power cut:
 * written beside their place, synced, put there, and the folder synced. At start and for commands, never on the path of
 * an observation.
 *
 * All return false with errno and leave what was there as it was; only where the last sync of the folder failed the new
 * file stands. What a process that died left beside a file goes when the next one writes it.
 */
#pragma once

#include "codec/bytes.h"

#include <stdbool.h>

#define FILE_PATH_MAX 512

/* A new file, mode 0600. errno EEXIST: there is one, and it stays, also when another process makes it just now. */
bool file_make(const char *path, struct bytes content);
/* Also over one that is there, which hands its owner and mode on: whoever writes it may be another than who reads it.
 * Of a symbolic link it is the file that it names. */
bool file_replace(const char *path, struct bytes content);
/* Also over one that is there, which hands nothing on: mode 0600. What is no file, as a symbolic link, stays: errno
 * ELOOP. For a secret beside its place, where nobody else is to say by what he put there who reads it. */
bool file_put(const char *path, struct bytes content);

/* Who reads a file and then replaces it keeps out others that do, until file_unlock. -1: errno. */
int file_lock(const char *path);
void file_unlock(int lock);
