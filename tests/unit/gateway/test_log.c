// SPDX-License-Identifier: GPL-3.0-or-later
/* Lines as they leave on stderr, caught in a pipe. */
#include "gateway/rt/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <regex.h>
#include <unistd.h>

#define CAUGHT_MAX 65536

static int pipe_ends[2];

static void catch_stderr(void)
{
    cr_assert_eq(pipe2(pipe_ends, O_NONBLOCK), 0);
    dup2(pipe_ends[1], STDERR_FILENO);
}

/* What was written since the last call. */
static const char *caught(void)
{
    static char text[CAUGHT_MAX];
    ssize_t len = read(pipe_ends[0], text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool result = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return result;
}

Test(log, a_line_is_logfmt, .init = catch_stderr)
{
    log_write(LOG_WARN, "store", "connection lost", "address=%s tries=%d", "unix:/x", 3);
    const char *line = caught();
    cr_assert(matches(line, "^ts=20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z level=warn mod=store "
                            "msg=\"connection lost\" address=unix:/x tries=3\n$"), "%s", line);
}

Test(log, no_fields_no_trailing_space, .init = catch_stderr)
{
    log_write(LOG_INFO, "m", "hello", "%s", "");
    (void)caught();
    const char *none = "";
    log_write(LOG_INFO, "m", "hello", none, 0);
    cr_assert(matches(caught(), "msg=\"hello\"\n$"));
}

Test(log, levels_above_the_set_one_are_silent, .init = catch_stderr)
{
    log_write(LOG_DEBUG, "m", "no", "%d", 1);
    cr_assert_str_empty(caught());
    log_set_level(LOG_DEBUG);
    log_write(LOG_DEBUG, "m", "yes", "%d", 1);
    cr_assert(matches(caught(), "level=debug"));
    log_set_level(LOG_ERROR);
    log_write(LOG_WARN, "m", "no", "%d", 1);
    cr_assert_str_empty(caught());
}

Test(log, nothing_breaks_a_line_in_two, .init = catch_stderr)
{
    log_write(LOG_INFO, "m", "a\nb", "x=%s", "1\nts=forged\x1b[31m");
    const char *line = caught();
    cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
    cr_assert_null(strchr(line, '\x1b'));
}

Test(log, a_long_line_is_cut_and_ends, .init = catch_stderr)
{
    static char huge[10000];
    memset(huge, 'z', sizeof huge - 1);
    log_write(LOG_INFO, "m", "msg", "x=%s", huge);
    const char *line = caught();
    cr_assert_lt(strlen(line), 5000);
    cr_assert_eq(line[strlen(line) - 1], '\n');
}

Test(log, level_names)
{
    enum log_level level = LOG_INFO;
    cr_assert(log_level_from_text("error", &level));
    cr_assert_eq(level, LOG_ERROR);
    cr_assert(log_level_from_text("debug", &level));
    cr_assert_eq(level, LOG_DEBUG);
    cr_assert(!log_level_from_text("Debug", &level));
    cr_assert(!log_level_from_text("", &level));
    cr_assert_eq(level, LOG_DEBUG);
}

Test(log, quoting)
{
    char quoted[LOG_QUOTED_MAX];
    cr_assert_str_eq(log_quote(quoted, BYTES_LITERAL("plain text")), "\"plain text\"");
    cr_assert_str_eq(log_quote(quoted, BYTES_LITERAL("a\"b\\c\n\xff\0")), "\"a\\\"b\\\\c\\x0a\\xff\\x00\"");
    cr_assert_str_eq(log_quote(quoted, (struct bytes){0}), "\"\"");
}

Test(log, quoting_cuts_and_never_overruns)
{
    uint8_t value[1000];
    memset(value, 0x01, sizeof value);
    char *quoted = malloc(LOG_QUOTED_MAX); /* exact, so that the sanitizer sees an overrun */
    log_quote(quoted, bytes_of(value, 256));
    cr_assert_eq(strlen(quoted), 256 * 4 + 2);
    log_quote(quoted, bytes_of(value, 257));
    cr_assert_eq(strlen(quoted), 253 * 4 + 3 + 2);
    cr_assert_str_eq(quoted + strlen(quoted) - 4, "...\"");
    free(quoted);
}

Test(log, the_budget_is_ten_a_second_and_counts_the_rest)
{
    struct log_rate rate = {0};
    uint32_t suppressed = 99;
    for (int i = 0; i < 10; i++) {
        cr_assert(log_rate_allows(&rate, 5000, &suppressed));
        cr_assert_eq(suppressed, 0);
    }
    suppressed = 99;
    for (int i = 0; i < 7; i++)
        cr_assert(!log_rate_allows(&rate, 5999, &suppressed));
    cr_assert_eq(suppressed, 99, "set on success only");
    cr_assert(log_rate_allows(&rate, 6000, &suppressed));
    cr_assert_eq(suppressed, 7);
    cr_assert(log_rate_allows(&rate, 6000, &suppressed));
    cr_assert_eq(suppressed, 0);
}

static void noisy_place(uint64_t now_ms)
{
    LOG_RATED(now_ms, LOG_INFO, "m", "noise", "n=%d", 1);
}

Test(log, rated_lines, .init = catch_stderr)
{
    for (int i = 0; i < 100; i++)
        noisy_place(1000);
    unsigned lines = 0;
    for (const char *at = caught(); (at = strchr(at, '\n')); at++)
        lines++;
    cr_assert_eq(lines, 10);
    noisy_place(2000);
    cr_assert(matches(caught(), "msg=\"noise\" n=1 suppressed=90\n$"));
}
