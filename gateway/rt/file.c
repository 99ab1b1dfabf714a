// SPDX-License-Identifier: GPL-3.0-or-later
/* The name beside has the process in it: two that start at once must not write into one file. */
#include "gateway/rt/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRESH_MAX (FILE_PATH_MAX + 32)
#define FRESH_SUFFIX ".new"

static bool close_having(int fd, bool ok)
{
    int error = errno;
    bool closed = close(fd) == 0;
    if (!ok)
        errno = error;
    return ok && closed;
}

static void name_folder(const char *path, char ret[static FILE_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(ret, FILE_PATH_MAX, "%.*s", slash > path ? (int)(slash - path) : 1, path);
    else
        strcpy(ret, ".");
}

static int open_folder_of(const char *path)
{
    char folder[FILE_PATH_MAX];
    name_folder(path, folder);
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* NAME.PID.new of a process that is no more. */
static bool is_left(const char *entry, const char *name)
{
    size_t len = strlen(name);
    char *end;
    if (strncmp(entry, name, len) != 0 || entry[len] != '.')
        return false;
    long pid = strtol(entry + len + 1, &end, 10);
    return pid > 0 && strcmp(end, FRESH_SUFFIX) == 0 &&
           (pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH));
}

static void remove_left(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int fd = open_folder_of(path);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (!listing) {
        if (fd >= 0)
            close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(listing)))
        if (is_left(entry->d_name, name))
            unlinkat(fd, entry->d_name, 0);
    closedir(listing);
}

/* False, with errno as it was. */
static bool discard(const char *fresh)
{
    int error = errno;
    unlink(fresh);
    errno = error;
    return false;
}

static bool write_beside(const char *path, struct bytes content, char ret_fresh[static FRESH_MAX])
{
    if (strlen(path) >= FILE_PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    remove_left(path);
    snprintf(ret_fresh, FRESH_MAX, "%s.%ld" FRESH_SUFFIX, path, (long)getpid());
    int fd = open(ret_fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    errno = EIO; /* of a write that was short */
    return close_having(fd, write(fd, content.ptr, content.len) == (ssize_t)content.len && fsync(fd) == 0) ||
           discard(ret_fresh);
}

static bool sync_folder_of(const char *path)
{
    int fd = open_folder_of(path);
    return fd >= 0 && close_having(fd, fsync(fd) == 0);
}

bool file_make(const char *path, struct bytes content)
{
    char fresh[FRESH_MAX];
    if (!write_beside(path, content, fresh))
        return false;
    bool ok = link(fresh, path) == 0;
    int error = errno;
    unlink(fresh);
    errno = error;
    return ok && sync_folder_of(path);
}

/* Nothing to hand on is fine; what cannot be handed on is not, or whoever reads it could no longer. */
static bool take_after(const char *path, const char *fresh)
{
    struct stat old;
    if (stat(path, &old) != 0)
        return errno == ENOENT;
    return chmod(fresh, old.st_mode & 0777) == 0 && chown(fresh, old.st_uid, old.st_gid) == 0;
}

/* The path itself where it is no link, or of nothing yet. */
static const char *resolve(const char *path, char room[static PATH_MAX])
{
    return realpath(path, room) ? room : path;
}

bool file_replace(const char *path, struct bytes content)
{
    char fresh[FRESH_MAX], room[PATH_MAX];
    path = resolve(path, room);
    if (!write_beside(path, content, fresh))
        return false;
    return take_after(path, fresh) && rename(fresh, path) == 0 ? sync_folder_of(path) : discard(fresh);
}

/* Whatever comes to stand there after this look is replaced itself: rename follows nothing. */
static bool may_put(const char *path)
{
    struct stat old;
    if (lstat(path, &old) != 0)
        return errno == ENOENT;
    errno = ELOOP;
    return S_ISREG(old.st_mode);
}

bool file_put(const char *path, struct bytes content)
{
    char fresh[FRESH_MAX];
    if (!may_put(path) || !write_beside(path, content, fresh))
        return false;
    return rename(fresh, path) == 0 ? sync_folder_of(path) : discard(fresh);
}

int file_lock(const char *path)
{
    char room[PATH_MAX];
    int fd = open_folder_of(resolve(path, room));
    if (fd < 0 || flock(fd, LOCK_EX) == 0)
        return fd;
    (void)close_having(fd, false);
    return -1;
}

void file_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
