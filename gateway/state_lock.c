// SPDX-License-Identifier: GPL-3.0-or-later
/* The lock goes with the descriptor, so with the process, however it ends. */
#include "gateway/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define PATH_ROOM 512
#define POLL_MS 20

static bool wait_for(int fd, uint64_t wait_ms)
{
    for (uint64_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += POLL_MS) {
        if (errno != EWOULDBLOCK || waited >= wait_ms)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    return true;
}

int state_lock_take(const char *state_dir, uint64_t wait_ms, char ret_holder[static STATE_LOCK_HOLDER_MAX])
{
    char path[PATH_ROOM];
    ret_holder[0] = '\0';
    snprintf(path, sizeof path, "%s/lock", state_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (wait_for(fd, wait_ms)) {
        if (ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", (int)getpid()) > 0)
            return fd;
    } else if (errno == EWOULDBLOCK) {
        ssize_t len = read(fd, ret_holder, STATE_LOCK_HOLDER_MAX - 1);
        ret_holder[len > 0 ? len : 0] = '\0';
        ret_holder[strcspn(ret_holder, "\n")] = '\0';
        if (!ret_holder[0])
            strcpy(ret_holder, "?");
        errno = EWOULDBLOCK;
    }
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}
