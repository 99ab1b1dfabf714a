// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The real disk: openat(2) and friends on one folder's descriptor. Short transfers and interruptions end here, but not
 * those of a sync: what is not known to be durable after the first try is not known after a second (the kernel marks
 * the pages clean when it reports the error).
 */
#include "gateway/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
    struct disk disk; /* first: what callers hold */
    int fd;
};

static int folder_of(struct disk *disk)
{
    return ((struct folder *)disk)->fd;
}

/* O_NONBLOCK: a FIFO would wait for its other end. To regular files it is nothing. */
static int disk_file_open(struct disk *disk, const char *name, int flags)
{
    struct stat st;
    int fd = openat(folder_of(disk), name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) {
        if (errno == ELOOP || errno == EISDIR || errno == ENXIO)
            errno = EMEDIUMTYPE;
        return -1;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    errno = EMEDIUMTYPE;
    return -1;
}

static void disk_file_close(struct disk *disk, int fd)
{
    (void)disk;
    close(fd);
}

static ssize_t disk_read(struct disk *disk, int fd, void *buffer, size_t len, uint64_t offset)
{
    size_t done = 0;
    (void)disk;
    while (done < len) {
        ssize_t got = pread(fd, (uint8_t *)buffer + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static bool disk_write(struct disk *disk, int fd, struct bytes data, uint64_t offset)
{
    size_t done = 0;
    (void)disk;
    while (done < data.len) {
        ssize_t put = pwrite(fd, data.ptr + done, data.len - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            errno = put < 0 ? errno : EIO;
            return false;
        }
        done += (size_t)put;
    }
    return true;
}

static bool disk_sync(struct disk *disk, int fd)
{
    (void)disk;
    return fdatasync(fd) == 0;
}

/* posix_fallocate, because it also works, slowly, where the file system cannot reserve space. */
static bool disk_allocate(struct disk *disk, int fd, uint64_t len)
{
    int error;
    (void)disk;
    do
        error = posix_fallocate(fd, 0, (off_t)len);
    while (error == EINTR);
    errno = error;
    return error == 0;
}

static bool disk_truncate(struct disk *disk, int fd, uint64_t len)
{
    (void)disk;
    return ftruncate(fd, (off_t)len) == 0;
}

static int64_t disk_size(struct disk *disk, int fd)
{
    struct stat st;
    (void)disk;
    return fstat(fd, &st) == 0 ? (int64_t)st.st_size : -1;
}

static bool disk_rename(struct disk *disk, const char *from, const char *to)
{
    return renameat(folder_of(disk), from, folder_of(disk), to) == 0;
}

static bool disk_unlink(struct disk *disk, const char *name)
{
    return unlinkat(folder_of(disk), name, 0) == 0;
}

static bool disk_sync_folder(struct disk *disk)
{
    return fsync(folder_of(disk)) == 0;
}

static bool disk_list(struct disk *disk, void (*told)(void *ctx, const char *name), void *ctx)
{
    int fd = openat(folder_of(disk), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        errno = error;
        return false;
    }
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(listing)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            told(ctx, entry->d_name);
    int error = errno;
    closedir(listing);
    errno = error;
    return error == 0;
}

/* A folder that was made is there after a power cut only if its parent was synced. */
static bool sync_parent(int folder)
{
    int fd = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

struct disk *disk_open(const char *path)
{
    static const struct disk functions = {
        .open = disk_file_open,
        .close = disk_file_close,
        .read = disk_read,
        .write = disk_write,
        .sync = disk_sync,
        .allocate = disk_allocate,
        .truncate = disk_truncate,
        .size = disk_size,
        .rename = disk_rename,
        .unlink = disk_unlink,
        .sync_folder = disk_sync_folder,
        .list = disk_list,
    };
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return NULL;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    struct folder *folder = made && !sync_parent(fd) ? NULL : malloc(sizeof *folder);
    if (!folder) {
        int error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    *folder = (struct folder){.disk = functions, .fd = fd};
    return &folder->disk;
}

void disk_close(struct disk *disk)
{
    if (!disk)
        return;
    close(folder_of(disk));
    free(disk);
}
