// SPDX-License-Identifier: GPL-3.0-or-later
/* The name beside has the process in it: two that start at once must not write into one file. */
#include "gateway/rt/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRESH_MAX (FILE_PATH_MAX + 32)

static bool close_having(int fd, bool ok)
{
    int error = errno;
    bool closed = close(fd) == 0;
    if (!ok)
        errno = error;
    return ok && closed;
}

static bool write_beside(const char *path, struct bytes content, char ret_fresh[static FRESH_MAX])
{
    if (strlen(path) >= FILE_PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    snprintf(ret_fresh, FRESH_MAX, "%s.%ld.new", path, (long)getpid());
    unlink(ret_fresh); /* of a process of the same number that died in between */
    int fd = open(ret_fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    errno = EIO; /* of a write that was short */
    bool ok = close_having(fd, write(fd, content.ptr, content.len) == (ssize_t)content.len && fsync(fd) == 0);
    if (!ok) {
        int error = errno;
        unlink(ret_fresh);
        errno = error;
    }
    return ok;
}

static bool sync_folder_of(const char *path)
{
    char folder[FILE_PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

bool file_replace(const char *path, struct bytes content)
{
    char fresh[FRESH_MAX];
    if (!write_beside(path, content, fresh))
        return false;
    if (take_after(path, fresh) && rename(fresh, path) == 0)
        return sync_folder_of(path);
    int error = errno;
    unlink(fresh);
    errno = error;
    return false;
}
