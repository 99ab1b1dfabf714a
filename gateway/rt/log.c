// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A line is put together on the stack and leaves with one write(2), so that lines of threads do not mix.
 * Nobody can break a line in two: bytes that are not printable ASCII are replaced wherever they come from. A
 * line that is too long is cut; one that stderr does not take is lost, for there is nobody to tell.
 */
#include "gateway/rt/log.h"

#include "codec/hex.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define QUOTED_BYTES_MAX 256
#define LINES_PER_SECOND 10

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

/* Of the process: the log is where the layers' rule against global state ends. */
static _Atomic int highest_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&highest_level, (int)level, memory_order_relaxed);
}

bool log_level_from_text(const char *text, enum log_level *ret)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* What snprintf says it would have written, cut to what there was room for. */
static size_t written(int result, size_t room)
{
    if (result < 0)
        return 0;
    return (size_t)result < room ? (size_t)result : room - 1;
}

static size_t put_head(char *line, size_t room, enum log_level level, const char *module, const char *message)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);

    char quoted[LOG_QUOTED_MAX];
    int len = snprintf(line, room, "ts=%s.%03ldZ level=%s mod=%s msg=%s", seconds, now.tv_nsec / 1000000,
                       level_names[level], module, log_quote(quoted, bytes_of_text(message)));
    return written(len, room);
}

void log_write(enum log_level level, const char *module, const char *message, const char *fields, ...)
{
    if ((int)level > atomic_load_explicit(&highest_level, memory_order_relaxed))
        return;
    char line[LINE_MAX_BYTES];
    size_t room = sizeof line - 1; /* the newline always fits */
    size_t len = put_head(line, room, level, module, message);

    if (fields[0] != '\0' && len + 1 < room) {
        line[len++] = ' ';
        va_list args;
        va_start(args, fields);
        len += written(vsnprintf(line + len, room - len, fields, args), room - len);
        va_end(args);
    }
    for (size_t i = 0; i < len; i++) {
        if (line[i] < 0x20 || line[i] > 0x7e)
            line[i] = '?';
    }
    line[len++] = '\n';
    ssize_t unheard = write(STDERR_FILENO, line, len);
    (void)unheard;
}

static char *quote_byte(char *at, uint8_t byte)
{
    if (byte == '"' || byte == '\\') {
        *at++ = '\\';
        *at++ = (char)byte;
    } else if (byte >= 0x20 && byte <= 0x7e) {
        *at++ = (char)byte;
    } else {
        *at++ = '\\';
        *at++ = 'x';
        *at++ = hex_digit(byte >> 4);
        *at++ = hex_digit(byte);
    }
    return at;
}

const char *log_quote(char ret[static LOG_QUOTED_MAX], struct bytes value)
{
    bool cut = value.len > QUOTED_BYTES_MAX;
    size_t shown = cut ? QUOTED_BYTES_MAX - 3 : value.len;
    char *at = ret;
    *at++ = '"';
    for (size_t i = 0; i < shown; i++)
        at = quote_byte(at, value.ptr[i]);
    for (int i = 0; cut && i < 3; i++)
        *at++ = '.';
    *at++ = '"';
    *at = '\0';
    return ret;
}

bool log_rate_allows(struct log_rate *rate, uint64_t now_ms, uint32_t *ret_suppressed)
{
    uint64_t window_s = now_ms / 1000;
    if (rate->window_s != window_s) {
        rate->window_s = window_s;
        rate->used = 0;
    }
    if (rate->used >= LINES_PER_SECOND) {
        rate->suppressed++;
        return false;
    }
    rate->used++;
    *ret_suppressed = rate->suppressed;
    rate->suppressed = 0;
    return true;
}
