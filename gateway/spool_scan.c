// SPDX-License-Identifier: GPL-3.0-or-later
/* One buffer, refilled from where the next record is expected; grows for a record that is larger, shrinks after it. */
#include "gateway/spool_private.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE_BYTES ((size_t)256 << 10)
#define PAGE_BYTES ((size_t)4096)

ssize_t spool_read(struct disk *disk, int fd, void *buffer, size_t len, uint64_t offset, uint64_t *unreadable)
{
    ssize_t got = disk->read(disk, fd, buffer, len, offset);
    if (got >= 0 || errno != EIO)
        return got;
    int64_t size = disk->size(disk, fd);
    if (size < 0)
        return -1;
    if (offset >= (uint64_t)size)
        return 0;
    len = len < (uint64_t)size - offset ? len : (size_t)((uint64_t)size - offset);
    for (size_t done = 0, step; done < len; done += step) {
        step = PAGE_BYTES - (offset + done) % PAGE_BYTES;
        step = step < len - done ? step : len - done;
        if (disk->read(disk, fd, (uint8_t *)buffer + done, step, offset + done) == (ssize_t)step)
            continue;
        memset((uint8_t *)buffer + done, 0, step);
        *unreadable = offset + done + step > *unreadable ? offset + done + step : *unreadable;
    }
    return (ssize_t)len;
}

void spool_scan_begin(struct spool_scan *scan, struct disk *disk, int fd, const struct spool_segment *segment)
{
    *scan = (struct spool_scan){
        .disk = disk,
        .fd = fd,
        .crc = segment->head.crc,
        .at = SPOOL_RECORDS_AT,
        .end = atomic_load_explicit(&segment->end, memory_order_relaxed),
        .lsn = segment->head.first_lsn,
        .limit_lsn = UINT64_MAX,
        .buffer = scan->buffer,
        .buffer_room = scan->buffer_room,
    };
}

void spool_scan_deinit(struct spool_scan *scan)
{
    free(scan->buffer);
    scan->buffer = NULL;
}

static bool make_room(struct spool_scan *scan, size_t want)
{
    size_t room = want > PIECE_BYTES ? want : PIECE_BYTES;
    if (scan->buffer_room == room)
        return true;
    uint8_t *buffer = realloc(scan->buffer, room);
    if (!buffer)
        return false;
    scan->buffer = buffer;
    scan->buffer_room = room;
    return true;
}

/* Octets from `at` on: at least `want` if there are as many. False: errno. */
static bool look(struct spool_scan *scan, uint64_t at, size_t want, struct bytes *ret)
{
    uint64_t left = at < scan->end ? scan->end - at : 0;
    want = want < left ? want : (size_t)left;
    if (at < scan->buffer_at || at + want > scan->buffer_at + scan->buffer_len) {
        scan->buffer_len = 0;
        if (!make_room(scan, want))
            return false;
        size_t len = scan->buffer_room < left ? scan->buffer_room : (size_t)left;
        ssize_t got = spool_read(scan->disk, scan->fd, scan->buffer, len, at, &scan->unreadable);
        if (got < 0)
            return false;
        scan->buffer_at = at;
        scan->buffer_len = (size_t)got;
    }
    uint64_t skip = at - scan->buffer_at;
    *ret = skip < scan->buffer_len ? bytes_of(scan->buffer + skip, scan->buffer_len - skip) : (struct bytes){0};
    return true;
}

/* False: errno. A record that reaches beyond the end is damaged. */
static bool check_at(struct spool_scan *scan, uint64_t at, struct bytes *ret_view, struct spool_entry *ret,
                     enum spool_check *ret_check)
{
    if (!look(scan, at, SPOOL_RECORD_HEAD, ret_view))
        return false;
    *ret_check = spool_entry_decode(scan->crc, *ret_view, ret);
    if (*ret_check != SPOOL_CUT_SHORT)
        return true;
    if (!look(scan, at, ret->octets, ret_view))
        return false;
    *ret_check = spool_entry_decode(scan->crc, *ret_view, ret);
    return true;
}

enum spool_scanned spool_scan_next(struct spool_scan *scan, struct spool_found *ret)
{
    uint64_t at = scan->at;
    ret->damage_at = at;
    while (at + SPOOL_RECORD_HEAD <= scan->end) {
        enum spool_check check;
        struct bytes view;
        if (!check_at(scan, at, &view, &ret->entry, &check))
            return SPOOL_SCAN_FAILED;
        if (check == SPOOL_COUNTS && ret->entry.lsn >= scan->limit_lsn)
            break;
        if (check == SPOOL_COUNTS && ret->entry.lsn >= scan->lsn) {
            ret->at = at;
            scan->at = at + ret->entry.octets;
            scan->lsn = ret->entry.lsn + 1;
            return SPOOL_SCAN_RECORD;
        }
        if (check == SPOOL_COUNTS) {
            at += ret->entry.octets;
            ret->damage_at = at;
        } else if (view.len <= SPOOL_ALIGN) {
            break; /* the file is shorter than it was */
        } else {
            at += SPOOL_ALIGN + spool_entry_find(bytes_of(view.ptr + SPOOL_ALIGN, view.len - SPOOL_ALIGN));
            at = at / SPOOL_ALIGN * SPOOL_ALIGN;
        }
    }
    return SPOOL_SCAN_END;
}

bool spool_scan_seal(struct spool_scan *scan, uint64_t *ret_lsn)
{
    uint64_t places[] = {scan->end < SPOOL_SEAL_BYTES ? 0 : scan->end - SPOOL_SEAL_BYTES, scan->at};
    *ret_lsn = 0;
    for (unsigned i = 0; i < 2 && *ret_lsn == 0; i++) {
        struct bytes view;
        if (places[i] < scan->at)
            continue;
        if (!look(scan, places[i], SPOOL_SEAL_BYTES, &view))
            return false;
        *ret_lsn = spool_seal_decode(scan->crc, view);
        if (*ret_lsn > 0)
            scan->end = places[i];
    }
    return true;
}

static size_t used_of(struct bytes octets)
{
    size_t len = octets.len;
    if (len > 0 && octets.ptr[0] == 0 && memcmp(octets.ptr, octets.ptr + 1, len - 1) == 0)
        return 0;
    while (len > 0 && octets.ptr[len - 1] == 0)
        len--;
    return len;
}

bool spool_scan_used(struct spool_scan *scan, uint64_t at, uint64_t *ret_end)
{
    uint64_t used = at;
    while (at < scan->end) {
        struct bytes view;
        if (!look(scan, at, 1, &view))
            return false;
        if (view.len == 0)
            break;
        size_t len = used_of(view);
        used = len ? at + len : used;
        at += view.len;
    }
    *ret_end = used;
    return true;
}
