// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What an open could not read: messages that are lost, and files that are not read. The push goes on behind a lost
 * message, and once its cursor has passed nothing else in the folder could tell it from one that was pushed: so it is
 * written to the file "lost", which stays until an operator removes it. A disk that cannot take it does not hold up
 * the open.
 */
#include "gateway/spool_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LOST "lost"
#define LOST_MAX ((size_t)64 << 10) /* of the file; what is found beyond it is only counted */
#define LINE_MAX_BYTES 128
#define NOTES_MAX 1024

/* One more element. False: no memory, or too many. */
static bool grow(void **array, size_t count, size_t size)
{
    void *grown = count < NOTES_MAX ? realloc(*array, (count + 1) * size) : NULL;
    if (grown)
        *array = grown;
    return grown != NULL;
}

void spool_lost_note(struct spool_log *log, const struct spool_lost *lost)
{
    struct spool_lost *last = log->lost_count ? &log->lost[log->lost_count - 1] : NULL;
    if (last && lost->first_lsn == last->last_lsn + 1)
        last->last_lsn = lost->last_lsn;
    else if (grow((void **)&log->lost, log->lost_count, sizeof *lost))
        log->lost[log->lost_count++] = *lost;
}

void spool_unread_note(struct spool_log *log, const struct spool_unread *unread)
{
    if (grow((void **)&log->unread, log->unread_count, sizeof *unread))
        log->unread[log->unread_count++] = *unread;
}

void spool_log_unread(const struct spool_log *log, void (*told)(void *ctx, const struct spool_unread *unread),
                      void *ctx)
{
    for (size_t i = 0; i < log->unread_count; i++)
        told(ctx, &log->unread[i]);
}

/* The file. */

static bool parse(const char *line, struct spool_lost *ret)
{
    int end = 0;
    *ret = (struct spool_lost){0};
    return sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNd64 " %31s %" SCNu64 "%n", &ret->first_lsn, &ret->last_lsn,
                  &ret->found_s, ret->segment, &ret->offset, &end) == 5 &&
           !line[end] && ret->first_lsn <= ret->last_lsn;
}

/* -1: errno; ENOENT: there is none. Else its length, and the text with a 0 behind it. */
static ssize_t load(struct disk *disk, char text[static LOST_MAX + 1])
{
    ssize_t len = spool_small_read(disk, LOST, text, LOST_MAX + 1);
    if (len > (ssize_t)LOST_MAX) {
        errno = EFBIG;
        return -1;
    }
    text[len > 0 ? len : 0] = 0;
    return len;
}

static void each_line(const char *text, void (*told)(void *ctx, const struct spool_lost *lost), void *ctx)
{
    char line[LINE_MAX_BYTES];
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        struct spool_lost lost;
        size_t len = (size_t)(end - text);
        if (len >= sizeof line)
            continue;
        memcpy(line, text, len);
        line[len] = 0;
        if (parse(line, &lost))
            told(ctx, &lost);
    }
}

bool spool_lost_list(struct disk *disk, void (*told)(void *ctx, const struct spool_lost *lost), void *ctx)
{
    char *text = malloc(LOST_MAX + 1);
    ssize_t len = text ? load(disk, text) : -1;
    bool is_there = len >= 0 || !text || errno != ENOENT;
    if (len > 0)
        each_line(text, told, ctx);
    free(text);
    return is_there;
}

struct question {
    const struct spool_lost *lost;
    bool known;
};

static void compare(void *ctx, const struct spool_lost *line)
{
    struct question *question = ctx;
    question->known |= line->first_lsn <= question->lost->first_lsn && line->last_lsn >= question->lost->last_lsn;
}

/* Appends what is not in it yet; returns the new length. */
static size_t append(const struct spool_log *log, char *text, size_t len)
{
    for (size_t i = 0; i < log->lost_count; i++) {
        const struct spool_lost *lost = &log->lost[i];
        struct question question = {.lost = lost};
        each_line(text, compare, &question);
        if (question.known || len + LINE_MAX_BYTES > LOST_MAX)
            continue;
        if (len > 0 && text[len - 1] != '\n') /* somebody has edited it */
            text[len++] = '\n';
        len += (size_t)snprintf(text + len, LINE_MAX_BYTES, "%" PRIu64 " %" PRIu64 " %" PRId64 " %s %" PRIu64 "\n",
                                lost->first_lsn, lost->last_lsn, log->opened_s, lost->segment[0] ? lost->segment : "-",
                                lost->offset);
    }
    return len;
}

bool spool_log_note_lost(const struct spool_log *log)
{
    if (log->lost_count == 0)
        return true;
    char *text = malloc(LOST_MAX + 1);
    ssize_t got = text ? load(log->disk, text) : -1;
    bool ok = text && (got >= 0 || errno == ENOENT);
    if (ok) {
        size_t before = got > 0 ? (size_t)got : 0, len = append(log, text, before);
        ok = len == before || spool_small_replace(log->disk, LOST, LOST ".new", bytes_of(text, len));
    }
    int error = errno;
    free(text);
    errno = error;
    return ok;
}
