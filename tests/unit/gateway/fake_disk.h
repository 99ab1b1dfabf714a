// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A disk in memory that remembers every change in order, fails when it is told to, and can be rebuilt as any power cut
 * may have left it.
 *
 * What is durable after a cut: of a file, what was written before its last sync that said true; of the folder, names made,
 * changed and removed before its last sync. Of all later changes any subset may be durable, a write in part, by sectors
 * of 512 octets. What was not yet synced when a sync failed is not made durable by a later one.
 */
#pragma once

#include "gateway/disk.h"
#include "gateway/rt/random.h"

enum fake_call { FAKE_OPEN, FAKE_READ, FAKE_WRITE, FAKE_SYNC, FAKE_ALLOCATE, FAKE_TRUNCATE, FAKE_RENAME, FAKE_UNLINK,
                 FAKE_SYNC_FOLDER, FAKE_LIST, FAKE_CALLS };

enum fake_keep {
    FAKE_KEEP_NONE,     /* of what was not synced */
    FAKE_KEEP_ALL,
    FAKE_KEEP_RANDOM,   /* each change and each sector by chance */
    FAKE_KEEP_SECTORS,  /* all but of the last write only the first `sectors` sectors */
    FAKE_DROP_SECTORS,  /* all but of the last write the first `sectors` sectors */
};

struct fake_change;
struct fake_file;
struct fake_open {
    size_t file;
    bool used;
};

struct fake_disk {
    struct disk disk; /* first */
    struct fake_change *changes;
    size_t change_count, change_room;
    struct fake_file *files;
    size_t file_count, file_room;
    struct fake_open opened[64];
    unsigned calls[FAKE_CALLS];    /* so far */
    unsigned fail_at[FAKE_CALLS];  /* the call with this number, from 1, fails; 0: none */
    bool fail_on;                  /* and all after it */
    int error;                     /* with this errno */
    uint64_t space;                /* ENOSPC beyond so many octets in all; 0: endless */
};

struct fake_disk *fake_disk_new(void);
void fake_disk_free(struct fake_disk *fake);
/* As it may be after a cut behind the first `changes` changes. */
struct fake_disk *fake_disk_after_cut(const struct fake_disk *fake, size_t changes, enum fake_keep keep,
                                      size_t sectors, struct random *random);
/* Sectors of the last of the first `changes` changes, if it is a write that is not synced; else 0. */
size_t fake_disk_torn_sectors(const struct fake_disk *fake, size_t changes);
/* A copy as it is. */
struct fake_disk *fake_disk_copy(const struct fake_disk *fake);
/* Content of a file, to be damaged; *ret_len may be set smaller. NULL: no such file. */
uint8_t *fake_disk_content(struct fake_disk *fake, const char *name, uint64_t **ret_len);
/* Makes or replaces a file, durably. */
void fake_disk_put(struct fake_disk *fake, const char *name, struct bytes content);
size_t fake_disk_open_count(const struct fake_disk *fake);
