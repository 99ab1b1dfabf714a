// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the spool asks of a disk: the files of one folder, as a table of functions, so that tests can make any of them
 * fail, record their order and rebuild what a power cut leaves. disk_open gives the real one.
 *
 * Names are plain file names without '/'. Files are the owner's only (0600). A function that fails returns false (or a
 * negative number) and leaves the reason in errno.
 */
#pragma once

#include "codec/bytes.h"

#include <sys/types.h>

struct disk {
    /* A descriptor, or -1. flags as of open(2); always O_CLOEXEC. What has the name and is no regular file (a link, a
     * folder, a FIFO) is not opened: EMEDIUMTYPE. Never waits. */
    int (*open)(struct disk *disk, const char *name, int flags);
    void (*close)(struct disk *disk, int fd);
    /* As pread(2) and pwrite(2), but never short but at the end of the file, never interrupted. */
    ssize_t (*read)(struct disk *disk, int fd, void *buffer, size_t len, uint64_t offset);
    bool (*write)(struct disk *disk, int fd, struct bytes data, uint64_t offset);
    bool (*sync)(struct disk *disk, int fd); /* fdatasync */
    bool (*allocate)(struct disk *disk, int fd, uint64_t len); /* fallocate from 0; ENOSPC now rather than later */
    bool (*truncate)(struct disk *disk, int fd, uint64_t len);
    int64_t (*size)(struct disk *disk, int fd);
    bool (*rename)(struct disk *disk, const char *from, const char *to);
    bool (*unlink)(struct disk *disk, const char *name);
    bool (*sync_folder)(struct disk *disk); /* makes creations, renames and unlinks durable */
    /* Calls told for each file; order is not defined. */
    bool (*list)(struct disk *disk, void (*told)(void *ctx, const char *name), void *ctx);
};

/* Makes the folder (0700) if it is not there. NULL: errno. */
struct disk *disk_open(const char *path);
/* NULL is fine; no descriptor of it may be open. */
void disk_close(struct disk *disk);
