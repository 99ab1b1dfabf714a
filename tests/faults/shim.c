// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * libweirfault: makes the n-th call of a function fail, or slow, in a process that knows nothing of it (LD_PRELOAD).
 *
 *   WEIR_FAULT="fdatasync:3:EIO,pwrite:2:ENOSPC:path=spool,malloc:5,fdatasync:*:sleep=5000"
 *
 * A rule is CALL:WHICH[:ACTION][:path=TEXT]. CALL is a name of the table below. WHICH: 3 the third, 3+ the third and
 * all that follow, 3-5 the third to the fifth, * all. ACTION: the name of an errno (left out: ENOMEM for malloc, EIO for
 * the others), sleep=MS (then the call is made), short (half of the octets are written, then success is told), kill (the
 * process dies before the call), killafter (it dies after the call). path=TEXT counts only calls on descriptors or names
 * whose path contains the text. The first rule that strikes decides; each rule counts by itself.
 *
 * WEIR_FAULT_FILE names a file of two pages that the test maps, too, to put a running process into a fault and out of
 * it, and to see what has struck: struct page below. Rules are read again when its generation changes, at the very next
 * call, and count from 0. Children of the process are left alone.
 *
 * The page also says by how much the process finds its clocks moved: CLOCK_REALTIME, time() and gettimeofday() by one,
 * CLOCK_MONOTONIC and CLOCK_BOOTTIME by the other. What waits in the kernel for a moment of such a clock (a condition
 * variable with a deadline) knows nothing of it; waits for a duration are as they were.
 *
 * Nothing here allocates, and the calls go to the kernel directly. Built twice: with -DWITHOUT_MALLOC for programs whose
 * allocator is a sanitizer's.
 */
/* With these open is another name for open64, and read an inline function; all are wanted here as they are. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 16
#define TEXT_MAX 1024
#define PATH_TEXT_MAX 64

/* What tests/integration/faults.py maps. */
struct page {
    _Atomic uint64_t generation; /* the test: 1 more for each new text */
    _Atomic uint64_t taken;      /* the shim: the generation whose rules are in force */
    _Atomic uint64_t pid;        /* the shim: whose process it is */
    _Atomic uint64_t wrong;      /* the shim: 1: the text could not be read */
    struct {
        _Atomic uint64_t passed, struck;
    } rules[RULES_MAX];
    char text[TEXT_MAX];
    _Atomic int64_t wall_moved_ns, monotonic_moved_ns; /* the test; may change at any moment */
};

enum call {
    CALL_MALLOC, /* calloc, realloc and aligned allocation, too */
    CALL_READ,
    CALL_PREAD,
    CALL_WRITE,
    CALL_PWRITE,
    CALL_FSYNC,
    CALL_FDATASYNC,
    CALL_OPENAT,
    CALL_FALLOCATE,
    CALL_FTRUNCATE,
    CALL_RENAMEAT,
    CALL_UNLINKAT,
    CALL_CONNECT,
    CALL_SEND, /* and sendto; on a socket also what others write with write is CALL_WRITE */
    CALL_RECV,
    CALL_SENDMSG,
    CALL_RECVMSG,
    CALL_SENDMMSG,
    CALL_RECVMMSG,
    CALL_COUNT,
};

static const char *const call_names[CALL_COUNT] = {
    "malloc",   "read",   "pread",   "write", "pwrite", "fsync",   "fdatasync", "openat",   "fallocate", "ftruncate",
    "renameat", "unlinkat", "connect", "send",  "recv",   "sendmsg", "recvmsg",   "sendmmsg", "recvmmsg",
};

enum action { ACTION_ERRNO, ACTION_SLEEP, ACTION_SHORT, ACTION_KILL, ACTION_KILL_AFTER };

struct rule {
    enum call call;
    uint64_t first, last;
    enum action action;
    int error;
    unsigned sleep_ms;
    char path[PATH_TEXT_MAX];
};

static const struct {
    const char *name;
    int value;
} errnos[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC},   {"ENOMEM", ENOMEM}, {"EINTR", EINTR},   {"EAGAIN", EAGAIN},
    {"ENOBUFS", ENOBUFS}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},   {"EMFILE", EMFILE}, {"ENFILE", ENFILE},
    {"EACCES", EACCES}, {"EPERM", EPERM},     {"EPIPE", EPIPE},   {"ENOENT", ENOENT}, {"EHOSTUNREACH", EHOSTUNREACH},
    {"ECONNREFUSED", ECONNREFUSED}, {"ECONNRESET", ECONNRESET}, {"ENETUNREACH", ENETUNREACH},
    {"EOPNOTSUPP", EOPNOTSUPP}, {"ETIMEDOUT", ETIMEDOUT}, {"EFBIG", EFBIG},
};

static struct page *page;
static struct page own_page; /* without WEIR_FAULT_FILE */
static struct rule rules[RULES_MAX];
static unsigned rule_count;
static _Atomic uint64_t in_force;  /* generation of rules */
static atomic_flag parsing = ATOMIC_FLAG_INIT;
static atomic_uint calls_wanted; /* bit per call that a rule is about */

/* The text */

static bool parse_call(const char *text, size_t len, enum call *ret)
{
    for (unsigned i = 0; i < CALL_COUNT; i++)
        if (strlen(call_names[i]) == len && memcmp(call_names[i], text, len) == 0) {
            *ret = (enum call)i;
            return true;
        }
    return false;
}

static bool parse_number(const char **at, uint64_t *ret)
{
    const char *begin = *at;
    for (*ret = 0; **at >= '0' && **at <= '9'; ++*at)
        *ret = *ret * 10 + (uint64_t)(**at - '0');
    return *at > begin;
}

static bool parse_which(const char *at, size_t len, struct rule *rule)
{
    const char *end = at + len;
    rule->first = 1;
    rule->last = UINT64_MAX;
    if (len == 1 && *at == '*')
        return true;
    if (!parse_number(&at, &rule->first) || rule->first == 0)
        return false;
    rule->last = rule->first;
    if (at < end && *at == '+') {
        rule->last = UINT64_MAX;
        at++;
    } else if (at < end && *at == '-') {
        at++;
        if (!parse_number(&at, &rule->last))
            return false;
    }
    return at == end;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

static bool parse_part(const char *at, size_t len, struct rule *rule)
{
    if (len > 5 && memcmp(at, "path=", 5) == 0 && len - 5 < sizeof rule->path) {
        memcpy(rule->path, at + 5, len - 5);
        rule->path[len - 5] = '\0';
        return true;
    }
    if (len > 6 && memcmp(at, "sleep=", 6) == 0) {
        uint64_t ms;
        at += 6;
        rule->action = ACTION_SLEEP;
        bool ok = parse_number(&at, &ms);
        rule->sleep_ms = (unsigned)ms;
        return ok;
    }
    static const char *const words[] = {[ACTION_SHORT] = "short", [ACTION_KILL] = "kill", [ACTION_KILL_AFTER] = "killafter"};
    for (unsigned i = ACTION_SHORT; i <= ACTION_KILL_AFTER; i++)
        if (is_word(at, len, words[i])) {
            rule->action = (enum action)i;
            return true;
        }
    for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++)
        if (is_word(at, len, errnos[i].name)) {
            rule->action = ACTION_ERRNO;
            rule->error = errnos[i].value;
            return true;
        }
    return false;
}

/* One rule, its parts between colons. */
static bool parse_rule(const char *at, size_t len, struct rule *rule)
{
    memset(rule, 0, sizeof *rule);
    for (unsigned part = 0;; part++) {
        size_t part_len = 0;
        while (part_len < len && at[part_len] != ':')
            part_len++;
        bool ok = part == 0   ? parse_call(at, part_len, &rule->call)
                  : part == 1 ? parse_which(at, part_len, rule)
                              : parse_part(at, part_len, rule);
        if (!ok)
            return false;
        if (part == 0)
            rule->error = rule->call == CALL_MALLOC ? ENOMEM : EIO;
        if (part_len == len)
            return part > 0;
        at += part_len + 1;
        len -= part_len + 1;
    }
}

static void parse_text(const char *text)
{
    unsigned wanted = 0;
    rule_count = 0;
    while (*text) {
        size_t len = strcspn(text, ",\n");
        if (len > 0 && (rule_count == RULES_MAX || !parse_rule(text, len, &rules[rule_count]))) {
            page->wrong = 1;
            rule_count = 0;
            wanted = 0;
            break;
        }
        if (len > 0)
            wanted |= 1U << rules[rule_count++].call;
        text += len + (text[len] != '\0');
    }
    calls_wanted = wanted;
}

/* Threads that come meanwhile wait, so that a count is never of two generations. */
static void take_rules(void)
{
    char text[TEXT_MAX + 1];
    while (atomic_flag_test_and_set(&parsing))
        ;
    uint64_t generation = page->generation;
    if (generation != in_force) {
        memcpy(text, page->text, TEXT_MAX);
        text[TEXT_MAX] = '\0';
        page->wrong = 0;
        for (unsigned i = 0; i < RULES_MAX; i++)
            page->rules[i].passed = page->rules[i].struck = 0;
        parse_text(text);
        page->pid = (uint64_t)getpid();
        in_force = generation;
        page->taken = generation;
    }
    atomic_flag_clear(&parsing);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WEIR_FAULT_FILE"), *text = getenv("WEIR_FAULT");
    unsetenv("LD_PRELOAD"); /* a Redis it starts has an allocator of its own */
    if (path && *path) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            abort(); /* a test without its fault would pass */
        syscall(SYS_close, fd);
        page = map;
    } else if (text && *text) {
        if (strlen(text) >= TEXT_MAX)
            abort();
        memcpy(own_page.text, text, strlen(text));
        own_page.generation = 1;
        page = &own_page;
    } else {
        return;
    }
    take_rules();
    if (page->wrong)
        abort();
}

/* Deciding */

static const char *path_of(int fd, char ret[static PATH_MAX])
{
    char link[32] = "/proc/self/fd/", digits[12];
    int at = 0;
    unsigned value = (unsigned)fd;
    do
        digits[at++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    char *to = link + strlen(link);
    while (at > 0)
        *to++ = digits[--at];
    *to = '\0';
    long len = syscall(SYS_readlinkat, AT_FDCWD, link, ret, PATH_MAX - 1);
    ret[len > 0 ? len : 0] = '\0';
    return ret;
}

static void sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static bool is_about(const struct rule *rule, enum call call, int fd, const char *name)
{
    char path[PATH_MAX];
    if (rule->call != call)
        return false;
    return !rule->path[0] || (name && strstr(name, rule->path)) || (fd >= 0 && strstr(path_of(fd, path), rule->path));
}

/* What is to be done to this call besides making it. */
struct verdict {
    bool fails, shortens, dies_after;
};

/* fd, name: what it is about; fd may be the folder of the name. Sets errno if it fails. */
static struct verdict judge(enum call call, int fd, const char *name)
{
    struct verdict verdict = {0};
    if (!page)
        return verdict;
    if (page->generation != in_force)
        take_rules();
    if (!(calls_wanted & 1U << call))
        return verdict;
    for (unsigned i = 0; i < rule_count; i++) {
        const struct rule *rule = &rules[i];
        if (!is_about(rule, call, fd, name))
            continue;
        uint64_t passage = atomic_fetch_add(&page->rules[i].passed, 1) + 1;
        if (passage < rule->first || passage > rule->last)
            continue;
        atomic_fetch_add(&page->rules[i].struck, 1);
        if (rule->action == ACTION_SLEEP)
            sleep_ms(rule->sleep_ms);
        else if (rule->action == ACTION_KILL)
            die();
        verdict.fails = rule->action == ACTION_ERRNO;
        verdict.shortens = rule->action == ACTION_SHORT;
        verdict.dies_after = rule->action == ACTION_KILL_AFTER;
        if (verdict.fails)
            errno = rule->error;
        break;
    }
    return verdict;
}

static long finish(struct verdict verdict, long result)
{
    if (verdict.dies_after)
        die();
    return result;
}

/* Descriptors. Each function: what the C library's does, after the judgement. */

#define JUDGED(call, fd, name, real)                                                                                   \
    struct verdict verdict = judge(call, fd, name);                                                                    \
    if (verdict.fails)                                                                                                 \
        return -1;                                                                                                     \
    return finish(verdict, real)

#define HALF(len) (verdict.shortens ? ((len) + 1) / 2 : (len))

ssize_t read(int fd, void *buffer, size_t len)
{
    JUDGED(CALL_READ, fd, NULL, syscall(SYS_read, fd, buffer, HALF(len)));
}

ssize_t pread(int fd, void *buffer, size_t len, off_t offset)
{
    JUDGED(CALL_PREAD, fd, NULL, syscall(SYS_pread64, fd, buffer, HALF(len), offset));
}

ssize_t pread64(int fd, void *buffer, size_t len, off_t offset)
{
    JUDGED(CALL_PREAD, fd, NULL, syscall(SYS_pread64, fd, buffer, HALF(len), offset));
}

ssize_t write(int fd, const void *data, size_t len)
{
    JUDGED(CALL_WRITE, fd, NULL, syscall(SYS_write, fd, data, HALF(len)));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    JUDGED(CALL_WRITE, fd, NULL, syscall(SYS_writev, fd, parts, (long)HALF(count)));
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    JUDGED(CALL_PWRITE, fd, NULL, syscall(SYS_pwrite64, fd, data, HALF(len), offset));
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    JUDGED(CALL_PWRITE, fd, NULL, syscall(SYS_pwrite64, fd, data, HALF(len), offset));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    JUDGED(CALL_PWRITE, fd, NULL, syscall(SYS_pwritev, fd, parts, (long)HALF(count), offset, 0L));
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev(fd, parts, count, offset);
}

int fsync(int fd)
{
    JUDGED(CALL_FSYNC, fd, NULL, (int)syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
    JUDGED(CALL_FDATASYNC, fd, NULL, (int)syscall(SYS_fdatasync, fd));
}

int ftruncate(int fd, off_t len)
{
    JUDGED(CALL_FTRUNCATE, fd, NULL, (int)syscall(SYS_ftruncate, fd, len));
}

int ftruncate64(int fd, off_t len)
{
    return ftruncate(fd, len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    JUDGED(CALL_FALLOCATE, fd, NULL, (int)syscall(SYS_fallocate, fd, mode, offset, len));
}

int fallocate64(int fd, int mode, off_t offset, off_t len)
{
    return fallocate(fd, mode, offset, len);
}

/* This one returns what is wrong. */
int posix_fallocate(int fd, off_t offset, off_t len)
{
    int before = errno;
    int result = fallocate(fd, 0, offset, len) == 0 ? 0 : errno;
    errno = before;
    return result;
}

int posix_fallocate64(int fd, off_t offset, off_t len)
{
    return posix_fallocate(fd, offset, len);
}

/* Names */

static int open_judged(int folder, const char *name, int flags, mode_t mode)
{
    JUDGED(CALL_OPENAT, folder, name, (int)syscall(SYS_openat, folder, name, flags, mode));
}

#define OPEN_MODE(flags, last)                                                                                         \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                                             \
        va_list more;                                                                                                  \
        va_start(more, last);                                                                                          \
        mode = va_arg(more, mode_t);                                                                                   \
        va_end(more);                                                                                                  \
    }

int open(const char *name, int flags, ...)
{
    OPEN_MODE(flags, flags)
    return open_judged(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    OPEN_MODE(flags, flags)
    return open_judged(AT_FDCWD, name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...)
{
    OPEN_MODE(flags, flags)
    return open_judged(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...)
{
    OPEN_MODE(flags, flags)
    return open_judged(folder, name, flags, mode);
}

/* What an optimised build with _FORTIFY_SOURCE calls instead. */
int __open_2(const char *name, int flags);
int __open_2(const char *name, int flags)
{
    return open_judged(AT_FDCWD, name, flags, 0);
}

int __open64_2(const char *name, int flags);
int __open64_2(const char *name, int flags)
{
    return open_judged(AT_FDCWD, name, flags, 0);
}

int __openat_2(int folder, const char *name, int flags);
int __openat_2(int folder, const char *name, int flags)
{
    return open_judged(folder, name, flags, 0);
}

int __openat64_2(int folder, const char *name, int flags);
int __openat64_2(int folder, const char *name, int flags)
{
    return open_judged(folder, name, flags, 0);
}

ssize_t __read_chk(int fd, void *buffer, size_t len, size_t room);
ssize_t __read_chk(int fd, void *buffer, size_t len, size_t room)
{
    return read(fd, buffer, len < room ? len : room);
}

ssize_t __pread_chk(int fd, void *buffer, size_t len, off_t offset, size_t room);
ssize_t __pread_chk(int fd, void *buffer, size_t len, off_t offset, size_t room)
{
    return pread(fd, buffer, len < room ? len : room, offset);
}

ssize_t __pread64_chk(int fd, void *buffer, size_t len, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *buffer, size_t len, off_t offset, size_t room)
{
    return pread(fd, buffer, len < room ? len : room, offset);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    JUDGED(CALL_RENAMEAT, to_folder, to, (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int folder, const char *name, int flags)
{
    JUDGED(CALL_UNLINKAT, folder, name, (int)syscall(SYS_unlinkat, folder, name, flags));
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

/* Sockets */

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    JUDGED(CALL_CONNECT, fd, NULL, (int)syscall(SYS_connect, fd, address, len));
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
    JUDGED(CALL_SEND, fd, NULL, syscall(SYS_sendto, fd, data, HALF(len), flags, to, to_len));
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return sendto(fd, data, len, flags, NULL, 0);
}

ssize_t recvfrom(int fd, void *buffer, size_t len, int flags, struct sockaddr *from, socklen_t *from_len)
{
    JUDGED(CALL_RECV, fd, NULL, syscall(SYS_recvfrom, fd, buffer, HALF(len), flags, from, from_len));
}

ssize_t recv(int fd, void *buffer, size_t len, int flags)
{
    return recvfrom(fd, buffer, len, flags, NULL, NULL);
}

ssize_t __recv_chk(int fd, void *buffer, size_t len, size_t room, int flags);
ssize_t __recv_chk(int fd, void *buffer, size_t len, size_t room, int flags)
{
    return recvfrom(fd, buffer, len < room ? len : room, flags, NULL, NULL);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    JUDGED(CALL_SENDMSG, fd, NULL, syscall(SYS_sendmsg, fd, message, flags));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    JUDGED(CALL_RECVMSG, fd, NULL, syscall(SYS_recvmsg, fd, message, flags));
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    JUDGED(CALL_SENDMMSG, fd, NULL, (int)syscall(SYS_sendmmsg, fd, messages, HALF(count), flags));
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    JUDGED(CALL_RECVMMSG, fd, NULL, (int)syscall(SYS_recvmmsg, fd, messages, HALF(count), flags, timeout));
}

/* Clocks */

static int64_t moved_ns(clockid_t clock)
{
    if (!page)
        return 0;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return page->wall_moved_ns;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return page->monotonic_moved_ns;
    default: /* of processor time */
        return 0;
    }
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (syscall(SYS_clock_gettime, clock, ret) != 0)
        return -1;
    int64_t ns = (int64_t)ret->tv_sec * 1000000000 + ret->tv_nsec + moved_ns(clock);
    *ret = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

/* Memory */

#ifndef WITHOUT_MALLOC

void *__libc_malloc(size_t len);
void *__libc_calloc(size_t count, size_t len);
void *__libc_realloc(void *old, size_t len);
void *__libc_memalign(size_t alignment, size_t len);

static bool no_memory(void)
{
    return judge(CALL_MALLOC, -1, NULL).fails;
}

void *malloc(size_t len)
{
    return no_memory() ? NULL : __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
    return no_memory() ? NULL : __libc_calloc(count, len);
}

void *realloc(void *old, size_t len)
{
    return no_memory() ? NULL : __libc_realloc(old, len);
}

void *aligned_alloc(size_t alignment, size_t len)
{
    return no_memory() ? NULL : __libc_memalign(alignment, len);
}

int posix_memalign(void **ret, size_t alignment, size_t len)
{
    void *made = no_memory() ? NULL : __libc_memalign(alignment, len);
    if (made)
        *ret = made;
    return made ? 0 : ENOMEM;
}

#endif
