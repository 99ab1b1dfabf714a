// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What an open finds: every file with a segment's name is judged by its header, every record of those that count is
 * read. gateway/spool_format.h has the conditions.
 *
 * An LSN that is not there is damage if octets are there instead, else it is missing. That is known of LSNs below one
 * that is there, in the same segment or as the first of a later one; what is damaged behind all that is there cannot be
 * told from a commit that a crash has cut, and is cut.
 */
#include "gateway/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct file {
    char name[SPOOL_NAME_BYTES];
    uint64_t first_lsn;
    uint32_t serial;
};

struct recovery {
    struct spool_log *log;
    const struct spool_identity *identity;
    struct spool_recovery *ret;
    struct file *files;
    size_t count, room;
    bool no_memory;
    struct spool_scan scan;
    uint64_t known_lsn; /* LSNs up to here are pushed, or were never ours to keep */
    uint64_t lowest_lsn; /* that a file's name says was ours */
    uint64_t next_lsn;
};

static void take_name(void *ctx, const char *name)
{
    struct recovery *recovery = ctx;
    struct file file;
    if (!spool_segment_name_parse(name, &file.serial, &file.first_lsn))
        return;
    memcpy(file.name, name, strlen(name) + 1);
    if (recovery->count == recovery->room) {
        size_t room = recovery->room ? 2 * recovery->room : 16;
        struct file *files = realloc(recovery->files, room * sizeof *files);
        if (!files) {
            recovery->no_memory = true;
            return;
        }
        recovery->files = files;
        recovery->room = room;
    }
    recovery->files[recovery->count++] = file;
}

static int by_serial(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    if (x->serial != y->serial)
        return x->serial < y->serial ? -1 : 1;
    return x->first_lsn < y->first_lsn ? -1 : x->first_lsn > y->first_lsn;
}

static void lower_first(struct recovery *recovery, uint64_t first_lsn)
{
    if (first_lsn < recovery->lowest_lsn && first_lsn > 0)
        recovery->lowest_lsn = first_lsn;
}

static void raise_next(struct recovery *recovery, uint64_t next_lsn)
{
    if (next_lsn > recovery->next_lsn && next_lsn <= SPOOL_LSN_MAX)
        recovery->next_lsn = next_lsn;
}

/* Not to be read, but its LSNs are taken: records can be told without the key. False: errno. */
static bool pass_locked(struct recovery *recovery, int fd, const struct spool_segment *segment, int64_t size)
{
    struct spool_found found;
    enum spool_scanned scanned;
    uint64_t last_lsn = segment->head.first_lsn - 1;
    spool_scan_begin(&recovery->scan, recovery->log->disk, fd, segment);
    recovery->scan.end = (uint64_t)size;
    while ((scanned = spool_scan_next(&recovery->scan, &found)) == SPOOL_SCAN_RECORD)
        last_lsn = found.entry.lsn;
    recovery->ret->foreign++;
    raise_next(recovery, last_lsn + 1);
    if (scanned == SPOOL_SCAN_END && last_lsn > recovery->known_lsn && !recovery->log->readonly) {
        errno = ENOKEY;
        return false;
    }
    return scanned == SPOOL_SCAN_END;
}

/* Without a header nothing of it can be checked; what it may have held is not used again. */
static void pass_unreadable(struct recovery *recovery, const struct file *file, int64_t size)
{
    uint64_t octets = (uint64_t)size > SPOOL_RECORDS_AT ? (uint64_t)size - SPOOL_RECORDS_AT : 0;
    recovery->ret->foreign++;
    lower_first(recovery, file->first_lsn);
    if (file->first_lsn <= SPOOL_LSN_MAX)
        raise_next(recovery, file->first_lsn + octets / SPOOL_RECORD_HEAD);
}

static bool add_segment(struct spool_log *log, const struct spool_segment *segment)
{
    struct spool_segment *copy = malloc(sizeof *copy);
    if (!copy || !spool_segments_reserve(log)) {
        free(copy);
        return false;
    }
    *copy = *segment;
    copy->references = 1;
    log->segments[log->count++] = copy;
    return true;
}

/* False: errno. */
static bool judge(struct recovery *recovery, const struct file *file, int fd)
{
    uint8_t start[SPOOL_HEAD_COPY_AT + SPOOL_HEAD_BYTES];
    struct spool_segment segment = {0};
    struct disk *disk = recovery->log->disk;
    uint64_t unreadable = 0;
    int64_t size = disk->size(disk, fd);
    ssize_t got = size < 0 ? -1 : spool_read(disk, fd, start, sizeof start, 0, &unreadable);
    if (got < 0)
        return false;
    if (!spool_head_decode(bytes_of(start, (size_t)got), &segment.head)) {
        errno = EIO;
        if (unreadable) /* what cannot be read now is not given up */
            return false;
        pass_unreadable(recovery, file, size);
        return true;
    }
    if (segment.head.serial != file->serial || segment.head.first_lsn != file->first_lsn ||
        !spool_identity_has(recovery->identity, segment.head.gateway)) {
        recovery->ret->foreign++;
        return true;
    }
    lower_first(recovery, file->first_lsn);
    memcpy(segment.name, file->name, sizeof segment.name);
    if (segment.head.encrypted && !spool_segment_key(recovery->log, &segment, false))
        return pass_locked(recovery, fd, &segment, size);
    return add_segment(recovery->log, &segment);
}

static bool judge_files(struct recovery *recovery)
{
    struct disk *disk = recovery->log->disk;
    if (!disk->list(disk, take_name, recovery))
        return false;
    if (recovery->no_memory) {
        errno = ENOMEM;
        return false;
    }
    if (recovery->count > 0)
        qsort(recovery->files, recovery->count, sizeof *recovery->files, by_serial);
    for (size_t i = 0; i < recovery->count; i++) {
        int fd = disk->open(disk, recovery->files[i].name, O_RDONLY);
        if (fd < 0 && errno == ENOENT)
            continue; /* released meanwhile by the gateway whose spool is looked at */
        bool ok = fd >= 0 && judge(recovery, &recovery->files[i], fd);
        int error = errno;
        if (fd >= 0)
            disk->close(disk, fd);
        errno = error;
        if (!ok)
            return false;
        recovery->log->serial = recovery->files[i].serial;
    }
    return true;
}

/* LSNs from..before that are not there; octets: at that place something else is. */
static void count_gap(struct recovery *recovery, uint64_t from, uint64_t before, bool octets)
{
    if (octets) {
        recovery->ret->quarantined += before > from ? before - from : 1;
    } else if (before > from && before > recovery->known_lsn + 1) {
        from = from > recovery->known_lsn ? from : recovery->known_lsn + 1;
        recovery->ret->missing += before - from;
    }
}

static void quarantine(struct recovery *recovery, const struct spool_segment *segment, uint64_t at, uint64_t end)
{
    if (!recovery->log->readonly)
        spool_quarantine(recovery->log->disk, segment, recovery->scan.fd, at, end - at);
}

/* Reads all records. False: errno. */
static bool read_records(struct recovery *recovery, struct spool_segment *segment)
{
    struct spool_recovery *ret = recovery->ret;
    struct spool_found found;
    enum spool_scanned scanned;
    while ((scanned = spool_scan_next(&recovery->scan, &found)) == SPOOL_SCAN_RECORD) {
        bool octets = found.damage_at != found.at;
        if (octets)
            quarantine(recovery, segment, found.damage_at, found.at);
        if (octets || found.entry.lsn != segment->last_lsn + 1)
            count_gap(recovery, segment->last_lsn + 1, found.entry.lsn, octets);
        if (ret->records == 0)
            ret->first_lsn = found.entry.lsn;
        segment->last_lsn = found.entry.lsn;
        segment->records++;
        ret->records++;
    }
    return scanned == SPOOL_SCAN_END;
}

static void cut(struct recovery *recovery, const struct spool_segment *segment, uint64_t end)
{
    struct disk *disk = recovery->log->disk;
    int fd = recovery->log->readonly ? -1 : disk->open(disk, segment->name, O_RDWR);
    if (fd < 0)
        return;
    /* Of no consequence if it fails: the octets are void again next time. */
    if (disk->truncate(disk, fd, end))
        (void)disk->sync(disk, fd);
    disk->close(disk, fd);
}

/*
 * What is behind the last record. before: LSNs below it were committed. False: errno; EIO also if records that were
 * confirmed may be where the disk cannot be read, because they would be cut or overtaken.
 */
static bool judge_tail(struct recovery *recovery, struct spool_segment *segment, uint64_t before, bool last)
{
    struct spool_scan *scan = &recovery->scan;
    uint64_t end = scan->at, used;
    if (!spool_scan_used(scan, end, &used))
        return false;
    bool unreadable = scan->unreadable > end;
    if (unreadable && last) {
        errno = EIO;
        return false;
    }
    if (unreadable && scan->unreadable > used)
        used = scan->unreadable;
    if (before > segment->last_lsn + 1) {
        count_gap(recovery, segment->last_lsn + 1, before, used > end);
        if (used > end)
            quarantine(recovery, segment, end, used);
    } else {
        recovery->ret->torn_octets += used - end;
        if (scan->end > end && !unreadable)
            cut(recovery, segment, end);
    }
    atomic_store_explicit(&segment->end, end, memory_order_relaxed);
    return true;
}

/* limit_lsn: the lowest first LSN of a later segment; UINT64_MAX: there is none. False: errno. */
static bool read_segment(struct recovery *recovery, struct spool_segment *segment, uint64_t limit_lsn)
{
    struct disk *disk = recovery->log->disk;
    int fd = disk->open(disk, segment->name, O_RDONLY);
    int64_t size = fd < 0 ? -1 : disk->size(disk, fd);
    segment->last_lsn = segment->head.first_lsn - 1;
    segment->end = SPOOL_RECORDS_AT;
    if (fd < 0 && errno == ENOENT)
        return true;
    bool ok = size >= 0;
    if (ok) {
        spool_scan_begin(&recovery->scan, disk, fd, segment);
        recovery->scan.end = (uint64_t)size;
        recovery->scan.limit_lsn = limit_lsn;
        ok = read_records(recovery, segment);
    }
    if (ok) {
        raise_next(recovery, segment->last_lsn + 1);
        ok = judge_tail(recovery, segment, limit_lsn != UINT64_MAX ? limit_lsn : recovery->next_lsn,
                        limit_lsn == UINT64_MAX);
    }
    int error = errno;
    if (fd >= 0)
        disk->close(disk, fd);
    errno = error;
    return ok;
}

static bool read_segments(struct recovery *recovery)
{
    struct spool_log *log = recovery->log;
    for (size_t i = 0; i < log->count; i++) {
        uint64_t limit_lsn = UINT64_MAX;
        for (size_t later = i + 1; later < log->count; later++)
            if (log->segments[later]->head.first_lsn < limit_lsn)
                limit_lsn = log->segments[later]->head.first_lsn;
        log->segments[i]->suspect = i + 1 < log->count && log->segments[i + 1]->head.after_failure;
        if (!read_segment(recovery, log->segments[i], limit_lsn))
            return false;
        log->octets += log->segments[i]->end;
    }
    return true;
}

bool spool_recover(struct spool_log *log, const struct spool_identity *identity, struct spool_recovery *ret)
{
    struct recovery recovery = {.log = log, .identity = identity, .ret = ret, .next_lsn = 1, .lowest_lsn = UINT64_MAX};
    *ret = (struct spool_recovery){0};
    bool ok = spool_cursor_load(log->disk, &ret->cursor_lsn);
    recovery.known_lsn = ret->cursor_lsn;
    raise_next(&recovery, ret->cursor_lsn + 1);
    ok = ok && judge_files(&recovery);
    if (ok && recovery.lowest_lsn != UINT64_MAX) {
        if (log->count > 0)
            raise_next(&recovery, log->segments[log->count - 1]->head.first_lsn);
        if (ret->cursor_lsn == 0) /* none yet, or lost: but what has been unlinked was below it */
            recovery.known_lsn = recovery.lowest_lsn - 1;
        count_gap(&recovery, recovery.known_lsn + 1,
                  log->count > 0 ? log->segments[0]->head.first_lsn : recovery.next_lsn, false);
        ok = read_segments(&recovery);
    }
    ret->next_lsn = log->next_lsn = recovery.next_lsn;
    if (ret->records == 0)
        ret->first_lsn = ret->next_lsn;
    log->cursor_lsn = ret->cursor_lsn;
    int error = errno;
    spool_scan_deinit(&recovery.scan);
    free(recovery.files);
    errno = error;
    return ok;
}
