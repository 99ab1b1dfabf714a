// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Reads what the writer has confirmed, with a descriptor of its own, so that a segment may be unlinked under it. The
 * mutex of the log is taken when a segment is entered or left.
 */
#include "gateway/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct spool_reader {
    struct spool_log *log;
    struct spool_segment *segment; /* being read, with a reference; NULL: none */
    struct spool_scan scan;
    uint64_t next_lsn;
    uint64_t damaged;
    bool contiguous; /* the record before next_lsn was read: what is skipped now is damage */
    uint8_t *plain;  /* the last body, if it was encrypted */
    size_t plain_room;
};

struct spool_reader *spool_reader_new(struct spool_log *log)
{
    struct spool_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->log = log;
    reader->next_lsn = 1;
    return reader;
}

static void leave(struct spool_reader *reader)
{
    if (!reader->segment)
        return;
    reader->log->disk->close(reader->log->disk, reader->scan.fd);
    pthread_mutex_lock(&reader->log->mutex);
    spool_segment_unref(reader->segment);
    pthread_mutex_unlock(&reader->log->mutex);
    reader->segment = NULL;
}

void spool_reader_free(struct spool_reader *reader)
{
    if (!reader)
        return;
    leave(reader);
    spool_scan_deinit(&reader->scan);
    if (reader->plain)
        explicit_bzero(reader->plain, reader->plain_room);
    free(reader->plain);
    free(reader);
}

void spool_reader_seek(struct spool_reader *reader, uint64_t lsn)
{
    if (lsn == reader->next_lsn)
        return;
    leave(reader);
    reader->next_lsn = lsn;
    reader->contiguous = false;
}

uint64_t spool_reader_damaged(const struct spool_reader *reader)
{
    return reader->damaged;
}

static bool is_later(const struct spool_head *a, const struct spool_head *b)
{
    return a->serial != b->serial ? a->serial > b->serial : a->first_lsn > b->first_lsn;
}

/* The last segment that may have next_lsn, but later than this one; with a reference. NULL: none. */
static struct spool_segment *find_segment(struct spool_reader *reader, bool any, const struct spool_head *than)
{
    struct spool_log *log = reader->log;
    struct spool_segment *found = NULL;
    pthread_mutex_lock(&log->mutex);
    for (size_t i = 0; i < log->count; i++) {
        struct spool_segment *segment = log->segments[i];
        if (!any && !is_later(&segment->head, than))
            continue;
        if (!found || segment->head.first_lsn <= reader->next_lsn)
            found = segment;
    }
    if (found)
        found->references++;
    pthread_mutex_unlock(&log->mutex);
    return found;
}

enum entered { ENTERED, NONE_LEFT, ENTER_FAILED };

/* From the segment that is being read, or none, to the one that has next_lsn or what follows it. */
static enum entered enter(struct spool_reader *reader)
{
    struct spool_log *log = reader->log;
    bool any = !reader->segment;
    struct spool_head than = any ? (struct spool_head){0} : reader->segment->head;
    for (;;) {
        struct spool_segment *segment = find_segment(reader, any, &than);
        if (!segment)
            return NONE_LEFT;
        int fd = log->disk->open(log->disk, segment->name, O_RDONLY);
        if (fd >= 0) {
            leave(reader);
            reader->segment = segment;
            spool_scan_begin(&reader->scan, log->disk, fd, segment);
            if (reader->scan.lsn < reader->next_lsn)
                reader->scan.lsn = reader->next_lsn;
            return ENTERED;
        }
        int error = errno;
        any = false;
        than = segment->head;
        pthread_mutex_lock(&log->mutex);
        spool_segment_unref(segment);
        pthread_mutex_unlock(&log->mutex);
        errno = error;
        if (error != ENOENT)
            return ENTER_FAILED;
    }
}

/* Nothing from next_lsn to below this can be read. */
static void skip_to(struct spool_reader *reader, uint64_t lsn)
{
    if (reader->contiguous)
        reader->damaged += lsn - reader->next_lsn;
    reader->next_lsn = lsn;
}

static bool reserve_plain(struct spool_reader *reader, size_t len)
{
    if (len <= reader->plain_room)
        return true;
    uint8_t *plain = realloc(reader->plain, len);
    if (!plain)
        return false;
    reader->plain = plain;
    reader->plain_room = len;
    return true;
}

/* False: no memory. An encrypted body that is not authentic gives ret->body.ptr NULL. */
static bool take_body(struct spool_reader *reader, const struct spool_entry *entry, struct spool_record *ret)
{
    ret->body = entry->body;
    if (!reader->segment->head.encrypted)
        return true;
    uint8_t nonce[CRYPTO_NONCE_BYTES];
    size_t len = entry->body.len < CRYPTO_TAG_BYTES ? 0 : entry->body.len - CRYPTO_TAG_BYTES;
    if (!reserve_plain(reader, len ? len : 1))
        return false;
    spool_record_nonce(entry->lsn, nonce);
    bool authentic = crypto_open(reader->segment->key, nonce,
                                 bytes_of(entry->body.ptr - SPOOL_RECORD_HEAD, SPOOL_RECORD_AAD), entry->body,
                                 reader->plain);
    ret->body = bytes_of(authentic ? reader->plain : NULL, authentic ? len : 0);
    return true;
}

static enum spool_read take_record(struct spool_reader *reader, const struct spool_found *found,
                                   struct spool_record *ret)
{
    *ret = (struct spool_record){.lsn = found->entry.lsn, .incarnation = reader->segment->head.incarnation};
    if (!take_body(reader, &found->entry, ret)) {
        reader->scan.at = found->at;
        reader->scan.lsn = found->entry.lsn;
        errno = ENOMEM;
        return SPOOL_READ_FAILED;
    }
    if (found->entry.lsn > reader->next_lsn)
        skip_to(reader, found->entry.lsn);
    reader->next_lsn = found->entry.lsn + 1;
    reader->contiguous = true;
    return SPOOL_READ_RECORD;
}

enum spool_read spool_reader_next(struct spool_reader *reader, struct spool_record *ret)
{
    for (;;) {
        struct spool_found found;
        uint64_t durable_lsn = spool_log_durable_lsn(reader->log);
        if (reader->next_lsn > durable_lsn)
            return SPOOL_READ_END;
        enum spool_scanned scanned = SPOOL_SCAN_END;
        if (reader->segment) {
            reader->scan.end = atomic_load_explicit(&reader->segment->end, memory_order_relaxed);
            scanned = spool_scan_next(&reader->scan, &found);
        }
        if (scanned == SPOOL_SCAN_FAILED)
            return SPOOL_READ_FAILED;
        if (scanned == SPOOL_SCAN_RECORD) {
            enum spool_read read = take_record(reader, &found, ret);
            if (read == SPOOL_READ_FAILED || ret->body.ptr)
                return read;
            reader->damaged++;
            continue;
        }
        enum entered entered = enter(reader);
        if (entered == ENTER_FAILED)
            return SPOOL_READ_FAILED;
        if (entered == NONE_LEFT) {
            if (reader->segment)
                reader->scan.at = reader->scan.end;
            skip_to(reader, durable_lsn + 1);
        }
    }
}
