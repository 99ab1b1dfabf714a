// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Watches its child through a pidfd in the main loop. The lock file's descriptor is inherited by the child, so that
 * the folder is locked exactly as long as a Redis runs on it, even if this process was killed.
 *
 * A Redis that did not end cleanly may leave the first half of a transaction at the end of its file. Redis 7.0 does not
 * execute it, but keeps it there, and at the next start takes what was appended behind it for its other half
 * (valkey-io/valkey#4342). So after any end but a clean one, which the file "clean" tells of, the file is written anew.
 */
#include "gateway/redis_child.h"

#include "gateway/redis_rights.h"
#include "gateway/rt/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_WAIT_MS 20000
#define STOP_WAIT_MS 8000
#define POLL_MS 20
#define BACKOFF_MAX_MS 30000
#define QUICK_DEATH_MS 60000
#define MEND_RETRY_MS 100
#define SAY_WAIT_MS 200

struct redis_child {
    struct loop *loop;
    struct loop_watch watch; /* the pidfd */
    struct timer restart, mend;
    char program[SETTINGS_TEXT_MAX];
    char folder[SETTINGS_TEXT_MAX + 8];
    char socket[SETTINGS_TEXT_MAX + 16];
    char address[SETTINGS_TEXT_MAX + 24];
    char rights[SETTINGS_TEXT_MAX + 24]; /* the file of them */
    int lock_fd;
    pid_t pid;
    uint64_t started_ms, backoff_ms;
};

static void sleep_ms(unsigned ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

/* In the child, between fork and exec: only what is safe there. */
static _Noreturn void become_redis(const struct redis_child *child, pid_t parent)
{
    const char *arguments[] = {child->program, "--port", "0", "--unixsocket", child->socket, "--unixsocketperm", "700",
                               "--dir", child->folder, "--appendonly", "yes", "--appendfsync", "always",
                               "--no-appendfsync-on-rewrite", "no", "--save", "", "--maxmemory-policy", "noeviction",
                               "--daemonize", "no", "--loglevel", "warning", "--logfile", "redis.log", "--aclfile",
                               child->rights, NULL};
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before prctl */
        _exit(1);
    setsid(); /* Ctrl-C in the terminal is for weir, which then stops Redis last */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(child->program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static bool spawn(struct redis_child *child)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return false;
    if (pid == 0)
        become_redis(child, parent);
    child->pid = pid;
    child->started_ms = loop_now_ms(child->loop);
    child->watch.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return child->watch.fd >= 0 && loop_add(child->loop, &child->watch, EPOLLIN);
}

static bool has_ended(const struct redis_child *child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child->pid;
}

static void forget_process(struct redis_child *child, int *ret_status)
{
    loop_remove(child->loop, &child->watch);
    close(child->watch.fd);
    child->watch.fd = -1;
    waitpid(child->pid, ret_status, 0);
    child->pid = 0;
}

static void died(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct redis_child *child = (struct redis_child *)((char *)watch - offsetof(struct redis_child, watch));
    uint64_t now = loop_now_ms(child->loop);
    int status = 0;
    forget_process(child, &status);
    if (now - child->started_ms > QUICK_DEATH_MS)
        child->backoff_ms = 0;
    log_write(LOG_ERROR, "redis_child", "the private Redis ended; it will be started again",
              "signal=%d exit=%d after_ms=%llu", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
              WIFEXITED(status) ? WEXITSTATUS(status) : 0, (unsigned long long)child->backoff_ms);
    timers_set(loop_timers(child->loop), &child->restart, now + child->backoff_ms);
    timers_set(loop_timers(child->loop), &child->mend, now + child->backoff_ms);
    child->backoff_ms = child->backoff_ms ? child->backoff_ms * 2 : 1000;
    if (child->backoff_ms > BACKOFF_MAX_MS)
        child->backoff_ms = BACKOFF_MAX_MS;
}

static void restart(struct timer *timer)
{
    struct redis_child *child = (struct redis_child *)((char *)timer - offsetof(struct redis_child, restart));
    if (!spawn(child))
        log_write(LOG_ERROR, "redis_child", "cannot start the private Redis", "error=\"%s\"", strerror(errno));
}

static bool lock_folder(struct redis_child *child, char reterr[static SETTINGS_ERROR_MAX])
{
    char path[sizeof child->folder + 8];
    snprintf(path, sizeof path, "%s/lock", child->folder);
    /* Not close-on-exec: the child shall hold it. */
    child->lock_fd = open(path, O_RDWR | O_CREAT, 0600);
    for (unsigned waited = 0; child->lock_fd >= 0 && waited < START_WAIT_MS; waited += POLL_MS) {
        if (flock(child->lock_fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        sleep_ms(POLL_MS);
    }
    snprintf(reterr, SETTINGS_ERROR_MAX, "%.200s: %s", path,
             child->lock_fd < 0 ? strerror(errno)
                                : "the Redis of an earlier weir still runs on this folder; stop it (fuser shows it)");
    return false;
}

/* Whether the answer to a command begins so. A Redis that hangs is waited for no longer than a moment. */
static bool answers(const char *path, const char *command, const char *expected)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_usec = SAY_WAIT_MS * 1000};
    memcpy(where.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[32] = "";
    size_t len = strlen(command);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
              setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
              connect(fd, (struct sockaddr *)&where, sizeof where) == 0 &&
              send(fd, command, len, MSG_NOSIGNAL) == (ssize_t)len && recv(fd, answer, sizeof answer - 1, 0) > 0 &&
              strncmp(answer, expected, strlen(expected)) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* As the default user: weir's own may not. While Redis reads its file it refuses. */
static void mend(struct timer *timer)
{
    struct redis_child *child = (struct redis_child *)((char *)timer - offsetof(struct redis_child, mend));
    if (!answers(child->socket, "BGREWRITEAOF\r\n", "+Background"))
        timers_set(loop_timers(child->loop), timer, loop_now_ms(child->loop) + MEND_RETRY_MS);
}

static void clean_mark(const struct redis_child *child, char ret[static SETTINGS_TEXT_MAX + 24])
{
    snprintf(ret, SETTINGS_TEXT_MAX + 24, "%s/clean", child->folder);
}

/* Whether the last Redis on the folder ended cleanly, or there was none. The mark is gone for good before the
 * next begins. */
static bool take_clean_mark(const struct redis_child *child)
{
    char mark[SETTINGS_TEXT_MAX + 24], data[SETTINGS_TEXT_MAX + 24];
    clean_mark(child, mark);
    snprintf(data, sizeof data, "%s/appendonlydir", child->folder);
    bool was_clean = unlink(mark) == 0 || access(data, F_OK) != 0;
    int folder = open(child->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    was_clean = folder >= 0 && fsync(folder) == 0 && was_clean;
    if (folder >= 0)
        close(folder);
    return was_clean;
}

static void put_clean_mark(const struct redis_child *child)
{
    char mark[SETTINGS_TEXT_MAX + 24];
    clean_mark(child, mark);
    int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

static bool wait_until_it_answers(struct redis_child *child, char reterr[static SETTINGS_ERROR_MAX])
{
    for (unsigned waited = 0; waited < START_WAIT_MS; waited += POLL_MS) {
        if (answers(child->socket, "PING\r\n", "+PONG"))
            return true;
        if (has_ended(child))
            break;
        sleep_ms(POLL_MS);
    }
    snprintf(reterr, SETTINGS_ERROR_MAX,
             "the private Redis (%.100s) does not answer; see %.200s/redis.log, or check that the program is installed",
             child->program, child->folder);
    return false;
}

/*
 * weir works with the rights of a user of its own, so that a mistake of ours cannot do more than our work needs. The
 * default user keeps all rights: who can open the socket owns the folder, and with it the data.
 */
static bool write_rights(struct redis_child *child, char reterr[static SETTINGS_ERROR_MAX])
{
    int fd = open(child->rights, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    static const char text[] =
        "user default on nopass ~* &* +@all\nuser " REDIS_RIGHTS_USER " on nopass " REDIS_RIGHTS "\n";
    bool ok = fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1;
    if (!ok)
        snprintf(reterr, SETTINGS_ERROR_MAX, "%.250s: %s", child->rights, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool name_paths(struct redis_child *child, const char *program, const char *state_dir,
                       char reterr[static SETTINGS_ERROR_MAX])
{
    char real[4096];
    if (!realpath(state_dir, real)) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "state_dir %s: %s", state_dir, strerror(errno));
        return false;
    }
    int len = snprintf(child->socket, sizeof child->socket, "%s/redis/redis.sock", real);
    if (len >= (int)sizeof ((struct sockaddr_un *)0)->sun_path) {
        snprintf(reterr, SETTINGS_ERROR_MAX,
                 "state_dir %.200s is too long for a unix socket; choose a shorter one", real);
        return false;
    }
    snprintf(child->program, sizeof child->program, "%s", program);
    snprintf(child->folder, sizeof child->folder, "%.*s", len - (int)sizeof "redis.sock", child->socket);
    snprintf(child->address, sizeof child->address, "unix:%s", child->socket);
    snprintf(child->rights, sizeof child->rights, "%s/users.acl", child->folder);
    if (mkdir(child->folder, 0700) < 0 && errno != EEXIST) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "%.250s: %s", child->folder, strerror(errno));
        return false;
    }
    return true;
}

static bool begin(struct redis_child *child, char reterr[static SETTINGS_ERROR_MAX])
{
    unlink(child->socket); /* a stale one would refuse, ours will be made anew */
    if (spawn(child))
        return wait_until_it_answers(child, reterr);
    snprintf(reterr, SETTINGS_ERROR_MAX, "cannot start %s: %s", child->program, strerror(errno));
    return false;
}

/* If it was killed while it wrote its file anew, Redis cuts the old one's torn end off and ends; then it starts. */
static bool begin_again(struct redis_child *child, char reterr[static SETTINGS_ERROR_MAX])
{
    int status;
    if (child->pid <= 0 || !has_ended(child))
        return false;
    forget_process(child, &status);
    return begin(child, reterr);
}

struct redis_child *redis_child_start(struct loop *loop, const char *program, const char *state_dir,
                                      char reterr[static SETTINGS_ERROR_MAX])
{
    struct redis_child *child = calloc(1, sizeof *child);
    if (!child) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
        return NULL;
    }
    child->loop = loop;
    child->watch = (struct loop_watch){.fd = -1, .ready = died};
    child->restart.fire = restart;
    child->lock_fd = -1;
    child->mend.fire = mend;
    if (name_paths(child, program, state_dir, reterr) && lock_folder(child, reterr) && write_rights(child, reterr)) {
        bool was_clean = take_clean_mark(child);
        if (begin(child, reterr) || begin_again(child, reterr)) {
            if (!was_clean)
                timers_set(loop_timers(loop), &child->mend, loop_now_ms(loop));
            return child;
        }
    }
    redis_child_stop(child);
    return NULL;
}

struct store_target redis_child_target(const struct redis_child *child)
{
    return (struct store_target){.address = child->address, .user = REDIS_RIGHTS_USER};
}

/* A clean stop writes what is left to disk; a Redis that hangs is killed, which loses nothing that it answered. */
static void end_process(struct redis_child *child)
{
    int status = 0;
    kill(child->pid, SIGTERM);
    for (unsigned waited = 0; waited < STOP_WAIT_MS; waited += POLL_MS) {
        if (has_ended(child))
            break;
        sleep_ms(POLL_MS);
    }
    kill(child->pid, SIGKILL);
    forget_process(child, &status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        put_clean_mark(child);
}

void redis_child_stop(struct redis_child *child)
{
    if (!child)
        return;
    timers_cancel(loop_timers(child->loop), &child->restart);
    timers_cancel(loop_timers(child->loop), &child->mend);
    if (child->pid > 0)
        end_process(child);
    if (child->lock_fd >= 0)
        close(child->lock_fd);
    free(child);
}
