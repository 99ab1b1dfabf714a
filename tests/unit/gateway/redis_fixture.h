// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Two servers for tests: a real redis-server on a unix socket in a folder of its own, and a fake one that a test
 * scripts byte by byte. And a loop that runs until something is so, bounded by turns of real time only to end a test
 * that has failed already.
 */
#pragma once

#include "gateway/rt/loop.h"
#include "gateway/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define GIVE_UP_MS 20000

/* A real Redis. */

struct redis_fixture {
    char folder[64];
    char path[96];    /* of the socket */
    char address[104]; /* unix:path */
    pid_t pid;
};

static inline struct bytes *words(struct bytes *ret, size_t *ret_count, const char *text)
{
    static char copy[1024];
    snprintf(copy, sizeof copy, "%s", text);
    *ret_count = 0;
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        ret[(*ret_count)++] = bytes_of_text(word);
    return ret;
}

/* Waits until it answers. */
static inline void redis_wait(struct redis_fixture *redis)
{
    struct bytes ping = BYTES_LITERAL("PING");
    for (unsigned i = 0; i < GIVE_UP_MS / 10; i++) {
        char error[STORE_CLIENT_ERROR_MAX];
        struct store_client *client = store_client_open(redis->address, 1000, error);
        const struct store_reply *reply = client ? store_client_call(client, &ping, 1) : NULL;
        bool up = reply && reply->type == STORE_TEXT;
        store_client_close(client);
        if (up)
            return;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    cr_assert_fail("redis-server did not come up");
}

static inline void redis_launch(struct redis_fixture *redis)
{
    redis->pid = fork();
    cr_assert_neq(redis->pid, -1);
    if (redis->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", redis->path, "--dir", redis->folder,
               "--save", "", "--appendonly", "yes", "--appendfsync", "no", (char *)NULL);
        _exit(127);
    }
    redis_wait(redis);
}

static inline void redis_start(struct redis_fixture *redis)
{
    signal(SIGPIPE, SIG_IGN);
    strcpy(redis->folder, "/tmp/weir-test-XXXXXX");
    cr_assert(mkdtemp(redis->folder));
    snprintf(redis->path, sizeof redis->path, "%s/redis.sock", redis->folder);
    snprintf(redis->address, sizeof redis->address, "unix:%s", redis->path);
    redis_launch(redis);
}

static inline void redis_stop(struct redis_fixture *redis)
{
    kill(redis->pid, SIGTERM);
    waitpid(redis->pid, NULL, 0);
}

static inline void redis_remove(struct redis_fixture *redis)
{
    char command[128];
    redis_stop(redis);
    snprintf(command, sizeof command, "rm -r '%s'", redis->folder);
    cr_assert_eq(system(command), 0);
}

static inline struct store_client *redis_client(struct redis_fixture *redis)
{
    char error[STORE_CLIENT_ERROR_MAX];
    struct store_client *client = store_client_open(redis->address, 20000, error);
    cr_assert(client, "%s", error);
    return client;
}

/* A command of words without spaces. */
static inline const struct store_reply *redis_call(struct store_client *client, const char *text)
{
    struct bytes arguments[64];
    size_t count;
    words(arguments, &count, text);
    return store_client_call(client, arguments, count);
}

/* A fake Redis. */

struct fake {
    char folder[64];
    char address[120];
    int listener, fd;
};

static inline void fake_listen(struct fake *fake)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    signal(SIGPIPE, SIG_IGN);
    strcpy(fake->folder, "/tmp/weir-test-XXXXXX");
    cr_assert(mkdtemp(fake->folder));
    snprintf(name.sun_path, sizeof name.sun_path, "%s/s", fake->folder);
    snprintf(fake->address, sizeof fake->address, "unix:%s", name.sun_path);
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    fake->fd = -1;
    cr_assert_eq(bind(fake->listener, (struct sockaddr *)&name, sizeof name), 0);
    cr_assert_eq(listen(fake->listener, 8), 0);
}

static inline void fake_close(struct fake *fake)
{
    if (fake->fd >= 0)
        close(fake->fd);
    fake->fd = -1;
}

static inline void fake_remove(struct fake *fake)
{
    fake_close(fake);
    close(fake->listener);
    unlink(fake->address + strlen("unix:"));
    rmdir(fake->folder);
}

static inline bool fake_accept(struct fake *fake)
{
    fake->fd = accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK);
    return fake->fd >= 0;
}

static inline void fake_say(struct fake *fake, const char *text)
{
    cr_assert_eq(write(fake->fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* What has come, NUL-terminated; "" if nothing. */
static inline const char *fake_hear(struct fake *fake)
{
    static char heard[65536];
    ssize_t len = read(fake->fd, heard, sizeof heard - 1);
    heard[len > 0 ? len : 0] = '\0';
    return heard;
}

/* The loop. */

static inline uint64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Turns until the condition holds; `what` is for the message. */
#define RUN_UNTIL(loop, condition, what)                                                                               \
    do {                                                                                                               \
        uint64_t give_up_ms = real_ms() + GIVE_UP_MS;                                                                  \
        while (!(condition)) {                                                                                         \
            cr_assert(real_ms() < give_up_ms, "never happened: %s", what);                                             \
            loop_wait(loop, 5, NULL, NULL);                                                                            \
        }                                                                                                              \
    } while (0)
