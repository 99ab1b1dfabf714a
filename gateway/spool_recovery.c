// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What an open finds: every file with a segment's name is judged by its header, every record of those that count is
 * read. gateway/spool_format.h has the conditions.
 *
 * An LSN that is not there is damage if octets are there instead, else it is missing. That is known of LSNs below one
 * that is there, in the same segment or as the first of a later one, and below a seal; what is damaged behind all that
 * is there cannot be told from a commit that a crash has cut, and is cut. Of a file that somebody else has cut nobody
 * knows how much is missing: one LSN stands for it.
 */
#include "gateway/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

struct file {
    char name[SPOOL_NAME_BYTES];
    uint64_t first_lsn;
    uint32_t serial;
    bool is_misnamed; /* its header has another serial or LSN */
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
    struct file file = {0};
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

/* first_lsn 0: not known, or of no account. */
static void pass_by(struct recovery *recovery, const struct file *file, enum spool_unread_why why, uint64_t first_lsn,
                    uint64_t last_lsn)
{
    struct spool_unread unread = {.why = why, .first_lsn = first_lsn, .last_lsn = last_lsn};
    memcpy(unread.name, file->name, sizeof unread.name);
    spool_unread_note(recovery->log, &unread);
    recovery->ret->foreign++;
}

/*
 * Not to be read, but its LSNs are taken, for the day when its gateway is adopted or its key is given: records can be
 * told without it. False: errno.
 */
static bool pass_segment(struct recovery *recovery, const struct file *file, int fd,
                         const struct spool_segment *segment, int64_t size, enum spool_unread_why why)
{
    struct spool_found found;
    enum spool_scanned scanned;
    uint64_t first_lsn = segment->head.first_lsn, last_lsn = first_lsn - 1, sealed_lsn;
    spool_scan_begin(&recovery->scan, recovery->log->disk, fd, segment);
    recovery->scan.end = (uint64_t)size;
    while ((scanned = spool_scan_next(&recovery->scan, &found)) == SPOOL_SCAN_RECORD)
        last_lsn = found.entry.lsn;
    if (scanned == SPOOL_SCAN_FAILED || !spool_scan_seal(&recovery->scan, &sealed_lsn))
        return false;
    if (sealed_lsn > last_lsn + 1 && sealed_lsn <= SPOOL_LSN_MAX)
        last_lsn = sealed_lsn - 1;
    pass_by(recovery, file, why, why == SPOOL_UNREAD_COPY ? 0 : first_lsn, last_lsn);
    raise_next(recovery, last_lsn + 1);
    bool is_locked = why == SPOOL_UNREAD_KEY || why == SPOOL_UNREAD_NO_KEY;
    errno = ENOKEY;
    return !is_locked || last_lsn <= recovery->known_lsn || recovery->log->readonly;
}

/* Without a header nothing of it can be checked; what it may have held is not used again. */
static void pass_unreadable(struct recovery *recovery, const struct file *file, int64_t size)
{
    uint64_t octets = (uint64_t)size > SPOOL_RECORDS_AT ? (uint64_t)size - SPOOL_RECORDS_AT : 0;
    pass_by(recovery, file, SPOOL_UNREAD_DAMAGED, 0, 0);
    lower_first(recovery, file->first_lsn);
    if (file->first_lsn <= SPOOL_LSN_MAX)
        raise_next(recovery, file->first_lsn + octets / SPOOL_RECORD_HEAD + (octets < SPOOL_RECORD_HEAD));
}

static bool has_segment(const struct spool_log *log, const struct spool_head *head)
{
    for (size_t i = 0; i < log->count; i++)
        if (log->segments[i]->head.serial == head->serial && log->segments[i]->head.first_lsn == head->first_lsn)
            return true;
    return false;
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

/* False: errno. A file that is misnamed is put off until those are known that are not. */
static bool judge_segment(struct recovery *recovery, struct file *file, int fd, struct spool_segment *segment,
                          int64_t size)
{
    struct spool_log *log = recovery->log;
    const struct spool_head *head = &segment->head;
    if (head->serial > log->serial)
        log->serial = head->serial;
    errno = EOVERFLOW;
    if (head->serial == UINT32_MAX && !log->readonly)
        return false;
    if (!spool_identity_has(recovery->identity, head->gateway))
        return pass_segment(recovery, file, fd, segment, size, SPOOL_UNREAD_GATEWAY);
    if (!file->is_misnamed && (head->serial != file->serial || head->first_lsn != file->first_lsn)) {
        file->is_misnamed = true;
        return true;
    }
    lower_first(recovery, head->first_lsn);
    memcpy(segment->name, file->name, sizeof segment->name);
    if (has_segment(log, head))
        return pass_segment(recovery, file, fd, segment, size, SPOOL_UNREAD_COPY);
    if (head->encrypted && !spool_segment_key(log, segment, false))
        return pass_segment(recovery, file, fd, segment, size,
                            log->encrypted ? SPOOL_UNREAD_KEY : SPOOL_UNREAD_NO_KEY);
    return add_segment(log, segment);
}

/* False: errno. */
static bool judge(struct recovery *recovery, struct file *file, int fd)
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
    return judge_segment(recovery, file, fd, &segment, size);
}

static void set_where(struct recovery *recovery, const char *name)
{
    snprintf(recovery->ret->where, sizeof recovery->ret->where, "%s", name);
}

static bool judge_file(struct recovery *recovery, struct file *file)
{
    struct disk *disk = recovery->log->disk;
    int fd = disk->open(disk, file->name, O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return true; /* released meanwhile by the gateway whose spool is looked at */
    if (fd < 0 && errno == EMEDIUMTYPE) {
        pass_by(recovery, file, SPOOL_UNREAD_NO_FILE, 0, 0);
        return true;
    }
    bool ok = fd >= 0 && judge(recovery, file, fd);
    int error = errno;
    if (fd >= 0)
        disk->close(disk, fd);
    if (!ok)
        set_where(recovery, file->name);
    errno = error;
    return ok;
}

static int by_head(const void *a, const void *b)
{
    const struct spool_head *x = &(*(struct spool_segment *const *)a)->head;
    const struct spool_head *y = &(*(struct spool_segment *const *)b)->head;
    if (x->serial != y->serial)
        return x->serial < y->serial ? -1 : 1;
    return x->first_lsn < y->first_lsn ? -1 : x->first_lsn > y->first_lsn;
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
    for (unsigned misnamed = 0; misnamed < 2; misnamed++)
        for (size_t i = 0; i < recovery->count; i++)
            if (recovery->files[i].is_misnamed == misnamed && !judge_file(recovery, &recovery->files[i]))
                return false;
    if (recovery->log->count > 0)
        qsort(recovery->log->segments, recovery->log->count, sizeof *recovery->log->segments, by_head);
    return true;
}

/* What is found in the place of LSNs that are not there; all 0: nothing. */
struct rubble {
    const struct spool_segment *segment;
    uint64_t at, end;
    bool is_end; /* of the file, which was longer */
};

/* LSNs from..before, above the cursor, are neither read nor in a file that is only locked. */
static void count_lost(struct recovery *recovery, uint64_t from, uint64_t before, const struct rubble *rubble)
{
    struct spool_recovery *ret = recovery->ret;
    struct spool_lost lost = {.first_lsn = from, .last_lsn = before - 1, .segment = "-", .offset = rubble->at};
    if (before <= from)
        return;
    if (rubble->segment)
        memcpy(lost.segment, rubble->segment->name, sizeof lost.segment);
    if (!rubble->segment || rubble->is_end)
        ret->missing += before - from;
    ret->lost += before - from;
    ret->lost_first = ret->lost_first ? ret->lost_first : from;
    ret->lost_last = before - 1;
    spool_lost_note(recovery->log, &lost);
}

/* LSNs from..before that are not there. */
static void count_gap(struct recovery *recovery, uint64_t from, uint64_t before, struct rubble rubble)
{
    const struct spool_log *log = recovery->log;
    if (rubble.segment && !rubble.is_end)
        recovery->ret->quarantined += before > from ? before - from : 1;
    from = from > recovery->known_lsn ? from : recovery->known_lsn + 1;
    for (size_t i = 0; i < log->unread_count; i++) {
        const struct spool_unread *locked = &log->unread[i];
        if (locked->first_lsn == 0 || locked->first_lsn >= before || locked->last_lsn < from)
            continue;
        count_lost(recovery, from, locked->first_lsn, &rubble);
        from = locked->last_lsn + 1;
    }
    count_lost(recovery, from, before, &rubble);
}

static void quarantine(struct recovery *recovery, struct rubble rubble)
{
    if (!recovery->log->readonly)
        spool_quarantine(recovery->log->disk, rubble.segment, recovery->scan.fd, rubble.at, rubble.end - rubble.at);
}

/* Reads all records. False: errno. */
static bool read_records(struct recovery *recovery, struct spool_segment *segment)
{
    struct spool_recovery *ret = recovery->ret;
    struct spool_found found;
    enum spool_scanned scanned;
    while ((scanned = spool_scan_next(&recovery->scan, &found)) == SPOOL_SCAN_RECORD) {
        struct rubble rubble = {0};
        if (found.damage_at != found.at) {
            rubble = (struct rubble){segment, found.damage_at, found.at, false};
            quarantine(recovery, rubble);
        }
        if (rubble.segment || found.entry.lsn != segment->last_lsn + 1)
            count_gap(recovery, segment->last_lsn + 1, found.entry.lsn, rubble);
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
    if (spool_segment_end(disk, fd, segment, end, segment->last_lsn + 1))
        (void)disk->sync(disk, fd);
    disk->close(disk, fd);
}

/* LSNs below it were committed. */
static uint64_t committed_before(struct recovery *recovery, uint64_t limit_lsn, uint64_t sealed_lsn, bool is_short)
{
    if (limit_lsn != UINT64_MAX)
        return limit_lsn;
    raise_next(recovery, sealed_lsn);
    if (is_short)
        raise_next(recovery, recovery->next_lsn + 1);
    return recovery->next_lsn;
}

/*
 * What is behind the last record. limit_lsn: as of read_segment. False: errno; EIO also if records that were confirmed
 * may be where the disk cannot be read, because they would be cut or overtaken.
 */
static bool judge_tail(struct recovery *recovery, struct spool_segment *segment, uint64_t limit_lsn)
{
    struct spool_scan *scan = &recovery->scan;
    uint64_t end = scan->at, size = scan->end, used, sealed_lsn;
    bool last = limit_lsn == UINT64_MAX;
    if (!spool_scan_seal(scan, &sealed_lsn) || !spool_scan_used(scan, end, &used))
        return false;
    bool is_short = sealed_lsn == 0 && size < segment->head.reserved;
    uint64_t before = committed_before(recovery, limit_lsn, sealed_lsn, is_short);
    bool unreadable = scan->unreadable > end;
    if (unreadable && last) {
        errno = EIO;
        return false;
    }
    if (unreadable && scan->unreadable > used)
        used = scan->unreadable;
    if (before > segment->last_lsn + 1) {
        struct rubble rubble = {segment, end, used, is_short};
        if (used > end)
            quarantine(recovery, rubble);
        count_gap(recovery, segment->last_lsn + 1, before, used > end || is_short ? rubble : (struct rubble){0});
    } else {
        recovery->ret->torn_octets += used - end;
        if (size > end + (sealed_lsn ? SPOOL_SEAL_BYTES : 0) && !unreadable)
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
        ok = judge_tail(recovery, segment, limit_lsn);
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
        if (!read_segment(recovery, log->segments[i], limit_lsn)) {
            set_where(recovery, log->segments[i]->name);
            return false;
        }
        log->octets += log->segments[i]->end;
    }
    return true;
}

bool spool_recover(struct spool_log *log, const struct spool_identity *identity, struct spool_recovery *ret)
{
    struct recovery recovery = {.log = log, .identity = identity, .ret = ret, .next_lsn = 1, .lowest_lsn = UINT64_MAX};
    bool ok = spool_cursor_load(log->disk, &ret->cursor_lsn);
    if (!ok)
        set_where(&recovery, "cursor");
    recovery.known_lsn = ret->cursor_lsn;
    raise_next(&recovery, ret->cursor_lsn + 1);
    ok = ok && judge_files(&recovery);
    if (ok && recovery.lowest_lsn != UINT64_MAX) {
        if (log->count > 0)
            raise_next(&recovery, log->segments[log->count - 1]->head.first_lsn);
        if (ret->cursor_lsn == 0) /* none yet, or lost: but what has been unlinked was below it */
            recovery.known_lsn = recovery.lowest_lsn - 1;
        count_gap(&recovery, recovery.known_lsn + 1,
                  log->count > 0 ? log->segments[0]->head.first_lsn : recovery.next_lsn, (struct rubble){0});
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
