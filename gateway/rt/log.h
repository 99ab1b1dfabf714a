// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The log: one line per event on stderr, logfmt: ts=... level=... mod=... msg="..." key=value. Never one line per
 * packet: what peers can cause goes through LOG_RATED (at most 10 lines a second per place, the rest counted).
 * Values that a peer gave are escaped and cut at 256 bytes by log_quote. No secrets: there is no way to format one.
 */
#pragma once

#include "codec/bytes.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
bool log_level_from_text(const char *text, enum log_level *ret);

/* module: the C module; fields: printf format of key=value pairs after the message, may be "". */
void log_write(enum log_level level, const char *module, const char *message, const char *fields, ...)
    __attribute__((format(printf, 4, 5)));

#define LOG_QUOTED_MAX (256 * 4 + 3)
/* The bytes in quotes, escaped, cut; returns ret. */
const char *log_quote(char ret[static LOG_QUOTED_MAX], struct bytes value);

/* A budget of lines for one place; zero-initialised. True: write it; *ret_suppressed lines were left out before. */
struct log_rate {
    uint64_t window_s;
    uint32_t used, suppressed;
};
bool log_rate_allows(struct log_rate *rate, uint64_t now_ms, uint32_t *ret_suppressed);

/*
 * log_write with the budget of this place in the code and of this thread. The last field, suppressed, is how many
 * lines were left out before this one. fields is a string literal, not empty.
 */
#define LOG_RATED(now_ms, level, module, message, fields, ...)                                                         \
    do {                                                                                                               \
        static _Thread_local struct log_rate log_rate_here;                                                            \
        uint32_t log_suppressed;                                                                                       \
        if (log_rate_allows(&log_rate_here, (now_ms), &log_suppressed))                                                \
            log_write((level), (module), (message), fields " suppressed=%u", ##__VA_ARGS__, log_suppressed);           \
    } while (0)
