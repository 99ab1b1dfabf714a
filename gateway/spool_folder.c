// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The small files of the spool's folder. Each is replaced as a whole: written under another name, synced, renamed, the
 * folder synced. After a failure the other name is unlinked, so that the next try begins with a file that no sync has
 * failed on.
 */
#include "gateway/spool_private.h"

#include "codec/crc32c.h"
#include "gateway/rt/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define QUARANTINE "quarantine"
#define QUARANTINE_MAX ((uint64_t)64 << 20) /* beyond it damage is counted only */
#define IDENTITY_LINE 17                    /* 16 digits and a line feed */
#define CURSOR_LSN_DIGITS 20

static bool write_new(struct disk *disk, const char *new_name, struct bytes content)
{
    int fd = disk->open(disk, new_name, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return false;
    bool ok = disk->write(disk, fd, content, 0) && disk->sync(disk, fd);
    int error = errno;
    disk->close(disk, fd);
    errno = error;
    return ok;
}

bool spool_small_replace(struct disk *disk, const char *name, const char *new_name, struct bytes content)
{
    if (write_new(disk, new_name, content) && CRASH_POINT("S8a") && disk->rename(disk, new_name, name) &&
        CRASH_POINT("S8b"))
        return disk->sync_folder(disk) && CRASH_POINT("S8c");
    int error = errno;
    disk->unlink(disk, new_name);
    errno = error;
    return false;
}

ssize_t spool_small_read(struct disk *disk, const char *name, void *buffer, size_t len)
{
    int fd = disk->open(disk, name, O_RDONLY);
    if (fd < 0)
        return -1;
    ssize_t got = disk->read(disk, fd, buffer, len, 0);
    int error = errno;
    disk->close(disk, fd);
    errno = error;
    return got;
}

bool spool_identity_load(struct disk *disk, struct spool_identity *ret)
{
    char text[(SPOOL_ADOPTED_MAX + 1) * IDENTITY_LINE + 1];
    ssize_t len = spool_small_read(disk, "identity", text, sizeof text);
    if (len < 0)
        return false;
    ret->count = 0;
    errno = EBADMSG;
    if (len == 0 || len % IDENTITY_LINE != 0)
        return false;
    for (ssize_t at = 0; at < len; at += IDENTITY_LINE) {
        char *line = text + at, *end;
        if (line[IDENTITY_LINE - 1] != '\n')
            return false;
        line[IDENTITY_LINE - 1] = 0;
        uint64_t id = strtoull(line, &end, 16);
        if (*end || id == 0 || strspn(line, "0123456789abcdef") != IDENTITY_LINE - 1)
            return false;
        ret->ids[ret->count++] = id;
    }
    return true;
}

bool spool_identity_save(struct disk *disk, const struct spool_identity *identity)
{
    char text[(SPOOL_ADOPTED_MAX + 1) * IDENTITY_LINE + 1];
    for (size_t i = 0; i < identity->count; i++)
        snprintf(text + i * IDENTITY_LINE, IDENTITY_LINE + 1, "%016llx\n", (unsigned long long)identity->ids[i]);
    return spool_small_replace(disk, "identity", "identity.new", bytes_of(text, identity->count * IDENTITY_LINE));
}

bool spool_identity_has(const struct spool_identity *identity, uint64_t gateway)
{
    for (size_t i = 0; i < identity->count; i++)
        if (identity->ids[i] == gateway)
            return true;
    return false;
}

bool spool_log_adopt(struct disk *disk, uint64_t gateway)
{
    struct spool_identity before, after = {.ids = {gateway}, .count = 1};
    if (!spool_identity_load(disk, &before)) {
        if (errno != ENOENT)
            return false;
        before.count = 0;
    }
    for (size_t i = 0; i < before.count; i++) {
        if (before.ids[i] == gateway)
            continue;
        if (after.count > SPOOL_ADOPTED_MAX) {
            errno = E2BIG;
            return false;
        }
        after.ids[after.count++] = before.ids[i];
    }
    return (before.count > 0 && before.ids[0] == gateway) || spool_identity_save(disk, &after);
}

/* The whole file, for comparing. */
static void write_cursor(uint64_t lsn, char ret[static 40])
{
    int len = snprintf(ret, 40, "%0*llu", CURSOR_LSN_DIGITS, (unsigned long long)lsn);
    snprintf(ret + len, 40 - (size_t)len, " %08x\n", (unsigned)crc32c(0, bytes_of(ret, (size_t)len)));
}

bool spool_cursor_load(struct disk *disk, uint64_t *ret_lsn)
{
    char text[40] = "", again[40];
    *ret_lsn = 0;
    if (spool_small_read(disk, "cursor", text, sizeof text - 1) < 0)
        return errno == ENOENT;
    uint64_t lsn = strtoull(text, NULL, 10);
    write_cursor(lsn, again);
    if (strcmp(text, again) == 0 && lsn < SPOOL_LSN_MAX)
        *ret_lsn = lsn;
    return true;
}

bool spool_cursor_save(struct disk *disk, uint64_t lsn)
{
    char text[40];
    write_cursor(lsn, text);
    return spool_small_replace(disk, "cursor", "cursor.new", bytes_of_text(text));
}

bool spool_cursor_overwrite(struct disk *disk, uint64_t lsn)
{
    char text[40];
    write_cursor(lsn, text);
    int fd = disk->open(disk, "cursor", O_WRONLY);
    if (fd < 0)
        return false;
    bool ok = disk->write(disk, fd, bytes_of_text(text), 0) && disk->sync(disk, fd);
    int error = errno;
    disk->close(disk, fd);
    errno = error;
    return ok;
}

/*
 * One entry of the quarantine: 64 octets of header, then what was found.
 *   0 "weirbad\0"   8 octets that follow   16 offset in the segment   24 name of the segment   60 CRC of 0 to 59
 */
enum { ENTRY_HEAD = 64 };

static void write_entry(const struct spool_segment *segment, uint64_t at, uint64_t octets, uint8_t ret[ENTRY_HEAD])
{
    memset(ret, 0, ENTRY_HEAD);
    memcpy(ret, "weirbad", 8);
    spool_put_64(ret + 8, octets);
    spool_put_64(ret + 16, at);
    memcpy(ret + 24, segment->name, SPOOL_NAME_BYTES);
    spool_put_32(ret + 60, crc32c(0, bytes_of(ret, 60)));
}

/* Where the next entry goes, behind the last that is whole. False: this one is there already. */
static bool find_place(struct disk *disk, int fd, const uint8_t entry[ENTRY_HEAD], uint64_t *ret_at)
{
    uint8_t head[ENTRY_HEAD];
    uint64_t at = 0;
    int64_t size = disk->size(disk, fd);
    while (size >= 0 && at + ENTRY_HEAD <= (uint64_t)size && disk->read(disk, fd, head, ENTRY_HEAD, at) == ENTRY_HEAD) {
        uint64_t octets = spool_get_64(head + 8), left = (uint64_t)size - at - ENTRY_HEAD;
        if (spool_get_32(head + 60) != crc32c(0, bytes_of(head, 60)) || octets > left)
            break;
        if (memcmp(head, entry, ENTRY_HEAD) == 0)
            return false;
        at += ENTRY_HEAD + octets;
    }
    *ret_at = at;
    return true;
}

static bool copy(struct disk *disk, int from_fd, uint64_t from, uint64_t octets, int fd, uint64_t at)
{
    uint8_t piece[4096];
    uint64_t unreadable = 0;
    while (octets > 0) {
        size_t len = octets < sizeof piece ? (size_t)octets : sizeof piece;
        memset(piece, 0, sizeof piece);
        if (spool_read(disk, from_fd, piece, len, from, &unreadable) < 0 ||
            !disk->write(disk, fd, bytes_of(piece, len), at))
            return false;
        from += len;
        at += len;
        octets -= len;
    }
    return true;
}

/* The header is written last: an entry whose octets are not all there is none. */
void spool_quarantine(struct disk *disk, const struct spool_segment *segment, int from_fd, uint64_t at, uint64_t octets)
{
    uint8_t entry[ENTRY_HEAD];
    uint64_t place;
    int fd = disk->open(disk, QUARANTINE, O_RDWR | O_CREAT);
    if (fd < 0)
        return;
    write_entry(segment, at, octets, entry);
    if (find_place(disk, fd, entry, &place) && place + ENTRY_HEAD + octets <= QUARANTINE_MAX &&
        disk->truncate(disk, fd, place) && copy(disk, from_fd, at, octets, fd, place + ENTRY_HEAD) &&
        disk->write(disk, fd, bytes_of(entry, ENTRY_HEAD), place))
        (void)disk->sync(disk, fd);
    disk->close(disk, fd);
    (void)disk->sync_folder(disk);
}
