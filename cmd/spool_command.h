// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of `weir spool` share: spool.c (list, adopt, the table), spool_verify.c, spool_show.c,
 * spool_replay.c, spool_place.c (finding, opening, locking a spool). */
#pragma once

#include "cmd/cli.h"
#include "gateway/disk.h"
#include "gateway/spool_log.h"

#define SPOOL_PATH_MAX 512

/* A spool that a command works on. */
struct spool_place {
    char folder[SPOOL_PATH_MAX];    /* with the segments */
    char state_dir[SPOOL_PATH_MAX]; /* that it is in; empty: it stands alone */
    struct disk *disk;
    struct secret key;
    struct spool_log *log; /* NULL until spool_place_open */
    struct spool_recovery found;
    struct spool_lost *lost; /* lines of the file "lost" */
    size_t lost_count;
    bool has_lost; /* there is such a file */
    int lock_fd;
};

/* Finds the spool: the operand FOLDER (a spool or a state folder), or that of the state folder. Returns an exit
 * status; not CLI_OK: said why, nothing to close. */
int spool_place_find(const struct cli *cli, const char *folder, struct spool_place *ret);
/* Takes the lock of the gateway it belongs to, or of the folder itself. */
int spool_place_lock(const struct cli *cli, struct spool_place *place);
/* Opens the log for reading, with the key of --key-file or WEIR_SPOOL_KEY_FILE. */
int spool_place_open(const struct cli *cli, struct spool_place *place);
void spool_place_close(struct spool_place *place);
/* What earlier opens have found lost, a line or an element of a JSON array for each range. */
void spool_place_put_lost(const struct spool_place *place, bool json);
/* Which files were not read and why, in the same way. */
void spool_place_put_unread(const struct spool_place *place, bool json);
/* Not CLI_OK, and said so: there are such files. */
int spool_place_judge_unread(const struct cli *cli, const struct spool_place *place);
/* Messages that are not pushed, as far as the cursor's file knows. */
uint64_t spool_place_to_push(const struct spool_place *place);

int spool_verify(struct cli *cli);
int spool_show(struct cli *cli);
int spool_replay(struct cli *cli);
