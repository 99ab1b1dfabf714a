// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The writer of the spool, its list of segments, open and close. gateway/spool_format.h has the algorithm and what a
 * crash leaves; gateway/spool_private.h says which thread may touch what.
 */
#include "gateway/rt/crash.h"
#include "gateway/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/*
 * Zeros are written this far ahead of the records. On ext4 the sync after a write into space that is only reserved
 * commits the journal, too: 230 us instead of 115 for a commit of 20 KB. A whole segment of zeros at once would stall
 * the writer for 26 ms (tests/bench/bench_spool.c).
 */
#define ZERO_AHEAD_BYTES ((size_t)256 << 10)
#define BUFFER_KEPT_BYTES ((size_t)4 << 20)

static struct bytes key_of(const struct secret *secret)
{
    return bytes_of(secret->octets, secret->len);
}

bool spool_segment_key(const struct spool_log *log, struct spool_segment *segment, bool is_new)
{
    uint8_t seed[SPOOL_KEY_SEED_BYTES], check[CRYPTO_SHA256_BYTES];
    spool_key_seed(&segment->head, seed);
    if (!log->encrypted ||
        !crypto_hmac_sha256(key_of(&log->key), bytes_of(seed, sizeof seed), BYTES_LITERAL("weir spool"),
                            segment->key) ||
        !crypto_hmac_sha256(bytes_of(segment->key, sizeof segment->key), BYTES_LITERAL("check"), (struct bytes){0},
                            check))
        return false;
    if (is_new)
        memcpy(segment->head.key_check, check, SPOOL_KEY_CHECK_BYTES);
    return secret_bytes_equal(segment->head.key_check, check, SPOOL_KEY_CHECK_BYTES);
}

void spool_record_nonce(uint64_t lsn, uint8_t ret[static CRYPTO_NONCE_BYTES])
{
    memset(ret, 0, 4);
    spool_put_64(ret + 4, lsn);
}

void spool_segment_unref(struct spool_segment *segment)
{
    if (--segment->references > 0)
        return;
    explicit_bzero(segment->key, sizeof segment->key);
    free(segment);
}

bool spool_segments_reserve(struct spool_log *log)
{
    if (log->count < log->room)
        return true;
    size_t room = log->room ? 2 * log->room : 16;
    struct spool_segment **segments = realloc(log->segments, room * sizeof *segments);
    if (!segments)
        return false;
    log->segments = segments;
    log->room = room;
    return true;
}

bool spool_segment_end(struct disk *disk, int fd, const struct spool_segment *segment, uint64_t end, uint64_t next_lsn)
{
    uint8_t seal[SPOOL_SEAL_BYTES];
    spool_seal_encode(segment->head.crc, next_lsn, seal);
    return disk->write(disk, fd, bytes_of(seal, sizeof seal), end) && disk->sync(disk, fd) &&
           disk->truncate(disk, fd, end + sizeof seal);
}

static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

/* Takes it from the list and the disk. The mutex is held. False: errno, it stays. */
static bool drop_segment(struct spool_log *log, size_t index)
{
    struct spool_segment *segment = log->segments[index];
    if (!log->disk->unlink(log->disk, segment->name) && errno != ENOENT)
        return false;
    CRASH_POINT("S9a");
    atomic_fetch_sub(&log->octets, segment->end);
    memmove(log->segments + index, log->segments + index + 1, (--log->count - index) * sizeof *log->segments);
    spool_segment_unref(segment);
    return true;
}

/* The open segment gets no more records. failed: its file is not touched again, not even to give space back. */
static void seal(struct spool_log *log, bool failed)
{
    struct spool_segment *segment = log->open;
    int error = errno;
    if (!failed)
        (void)spool_segment_end(log->disk, log->fd, segment, segment->end, log->next_lsn);
    log->disk->close(log->disk, log->fd);
    pthread_mutex_lock(&log->mutex);
    segment->last_lsn = log->next_lsn - 1;
    segment->records = log->next_lsn - segment->head.first_lsn;
    segment->suspect = failed;
    segment->open = false;
    pthread_mutex_unlock(&log->mutex);
    log->open = NULL;
    log->after_failure = failed;
    errno = error;
}

static bool take_spare(struct spool_log *log)
{
    pthread_mutex_lock(&log->mutex);
    bool had = log->spare;
    log->spare = false;
    pthread_mutex_unlock(&log->mutex);
    return had;
}

/* Reserves the next segment's space while there is some left, so that a full disk is known a segment ahead. */
static void make_spare(struct spool_log *log)
{
    struct disk *disk = log->disk;
    int fd = disk->open(disk, SPOOL_SPARE, O_RDWR | O_CREAT | O_TRUNC);
    bool ok = fd >= 0 && disk->allocate(disk, fd, log->segment_bytes);
    if (fd >= 0)
        disk->close(disk, fd);
    if (!ok)
        disk->unlink(disk, SPOOL_SPARE);
    pthread_mutex_lock(&log->mutex);
    log->spare = ok;
    pthread_mutex_unlock(&log->mutex);
}

/* A file with a durable header under the segment's name, with the space that was to be reserved. -1: errno. */
static int make_file(struct spool_log *log, struct spool_segment *segment)
{
    uint8_t head[SPOOL_RECORDS_AT];
    struct disk *disk = log->disk;
    bool spare = take_spare(log), renamed = false;
    int fd = disk->open(disk, SPOOL_SPARE, O_RDWR | O_CREAT | (spare ? 0 : O_TRUNC));
    if (fd < 0)
        return -1;
    CRASH_POINT("C1");
    uint64_t octets = segment->head.reserved;
    spool_head_encode(&segment->head, head);
    if ((spare && octets == log->segment_bytes) || disk->allocate(disk, fd, octets))
        renamed = CRASH_POINT("C2") && disk->write(disk, fd, bytes_of(head, sizeof head), 0) && disk->sync(disk, fd) &&
                  CRASH_POINT("C3") && disk->rename(disk, SPOOL_SPARE, segment->name);
    if (renamed && CRASH_POINT("C4") && disk->sync_folder(disk))
        return fd;
    int error = errno;
    disk->close(disk, fd);
    disk->unlink(disk, renamed ? segment->name : SPOOL_SPARE);
    errno = error;
    return -1;
}

/* Also takes away segments without records that the last one has made superfluous. */
static void list_segment(struct spool_log *log, struct spool_segment *segment)
{
    pthread_mutex_lock(&log->mutex);
    log->segments[log->count++] = segment;
    atomic_fetch_add(&log->octets, segment->end);
    for (size_t i = log->count - 1; i-- > 0;)
        if (log->segments[i]->records == 0 && log->segments[i]->head.first_lsn == segment->head.first_lsn)
            (void)drop_segment(log, i);
    pthread_mutex_unlock(&log->mutex);
}

/* In whole pages, with room for the seal. */
static uint64_t to_reserve(const struct spool_log *log, uint64_t octets)
{
    octets += SPOOL_RECORDS_AT + SPOOL_SEAL_BYTES;
    octets = octets > log->segment_bytes ? octets : log->segment_bytes;
    return (octets + SPOOL_PAGE - 1) / SPOOL_PAGE * SPOOL_PAGE;
}

/* Whatever it is, it would be replaced, or be in the way for ever. */
static bool is_taken(struct disk *disk, const char *name)
{
    int fd = disk->open(disk, name, O_RDONLY);
    if (fd >= 0)
        disk->close(disk, fd);
    return fd >= 0 || errno == EMEDIUMTYPE || errno == EACCES;
}

/* The segment's serial and name: the next that are free. False: errno. */
static bool name_segment(const struct spool_log *log, struct spool_segment *segment)
{
    uint32_t serial = log->serial;
    do {
        if (serial == UINT32_MAX) {
            errno = EOVERFLOW;
            return false;
        }
        spool_segment_name(++serial, segment->head.first_lsn, segment->name);
    } while (is_taken(log->disk, segment->name));
    segment->head.serial = serial;
    return true;
}

/* The segment that the next commit goes to. False: errno. */
static bool open_segment(struct spool_log *log, uint64_t octets)
{
    pthread_mutex_lock(&log->mutex);
    bool reserved = spool_segments_reserve(log);
    pthread_mutex_unlock(&log->mutex);
    struct spool_segment *segment = reserved ? calloc(1, sizeof *segment) : NULL;
    if (!segment)
        return false;
    segment->head = (struct spool_head){
        .gateway = log->gateway,
        .incarnation = log->incarnation,
        .first_lsn = log->next_lsn,
        .reserved = to_reserve(log, octets),
        .encrypted = log->encrypted,
        .after_failure = log->after_failure,
    };
    segment->references = 1;
    segment->end = SPOOL_RECORDS_AT;
    segment->last_lsn = log->next_lsn - 1;
    segment->open = true;
    bool ok = name_segment(log, segment);
    if (ok && log->encrypted && !spool_segment_key(log, segment, true)) {
        errno = EIO;
        ok = false;
    }
    int fd = ok ? make_file(log, segment) : -1;
    if (fd < 0) {
        spool_segment_unref(segment);
        return false;
    }
    log->fd = fd;
    log->serial = segment->head.serial;
    log->allocated = segment->head.reserved;
    log->zeroed = SPOOL_RECORDS_AT;
    log->open = segment;
    list_segment(log, segment);
    make_spare(log);
    return true;
}

static bool reserve_buffer(struct spool_log *log, size_t octets)
{
    if (octets <= log->buffer_room)
        return true;
    size_t room = octets + octets / 2;
    free(log->buffer);
    log->buffer = malloc(room);
    log->buffer_room = log->buffer ? room : 0;
    return log->buffer != NULL;
}

static bool encode_one(const struct spool_log *log, uint64_t lsn, struct bytes body, uint8_t *at)
{
    const struct spool_segment *segment = log->open;
    size_t stored = body.len + (log->encrypted ? CRYPTO_TAG_BYTES : 0);
    spool_entry_begin(lsn, stored, at);
    if (log->encrypted) {
        uint8_t nonce[CRYPTO_NONCE_BYTES];
        spool_record_nonce(lsn, nonce);
        if (!crypto_seal(segment->key, nonce, bytes_of(at, SPOOL_RECORD_AAD), body, at + SPOOL_RECORD_HEAD))
            return false;
    } else if (body.len > 0) {
        memcpy(at + SPOOL_RECORD_HEAD, body.ptr, body.len);
    }
    spool_entry_finish(segment->head.crc, at);
    return true;
}

static size_t octets_of(const struct spool_log *log, struct bytes body)
{
    return spool_entry_octets(body.len + (log->encrypted ? CRYPTO_TAG_BYTES : 0));
}

static bool encode(struct spool_log *log, const struct bytes *bodies, size_t count)
{
    uint8_t *at = log->buffer;
    for (size_t i = 0; i < count; i++) {
        if (!encode_one(log, log->next_lsn + i, bodies[i], at))
            return false;
        at += octets_of(log, bodies[i]);
    }
    return true;
}

static bool write_ahead(struct spool_log *log, uint64_t from)
{
    uint64_t len = log->allocated > from ? log->allocated - from : 0;
    if (from <= log->zeroed || len == 0)
        return true;
    len = len < ZERO_AHEAD_BYTES ? len : ZERO_AHEAD_BYTES;
    if (!log->disk->write(log->disk, log->fd, bytes_of(log->zeros, len), from))
        return false;
    log->zeroed = from + len;
    return true;
}

/* False: errno, and the open segment is sealed. */
static bool write_commit(struct spool_log *log, const struct bytes *bodies, size_t count, size_t octets)
{
    uint64_t at = log->open->end;
    if (encode(log, bodies, count) && write_ahead(log, at + octets) &&
        log->disk->write(log->disk, log->fd, bytes_of(log->buffer, octets), at) && CRASH_POINT("S3b") &&
        log->disk->sync(log->disk, log->fd))
        return true;
    seal(log, true);
    return false;
}

static void confirm(struct spool_log *log, size_t count, size_t octets)
{
    log->next_lsn += count;
    atomic_store_explicit(&log->open->end, log->open->end + octets, memory_order_relaxed);
    atomic_fetch_add_explicit(&log->octets, octets, memory_order_relaxed);
    atomic_store_explicit(&log->durable_lsn, log->next_lsn - 1, memory_order_release);
    if (log->buffer_room > BUFFER_KEPT_BYTES) {
        free(log->buffer);
        log->buffer = NULL;
        log->buffer_room = 0;
    }
}

/* 0: errno. */
static size_t measure(const struct spool_log *log, const struct bytes *bodies, size_t count)
{
    size_t octets = 0;
    errno = log->readonly ? EROFS : EMSGSIZE;
    if (log->readonly || log->next_lsn + count > SPOOL_LSN_MAX)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (bodies[i].len > SPOOL_BODY_MAX)
            return 0;
        octets += octets_of(log, bodies[i]);
    }
    return octets;
}

enum spool_result spool_log_commit(struct spool_log *log, const struct bytes *bodies, size_t count,
                                   uint64_t *ret_first_lsn)
{
    size_t octets = measure(log, bodies, count);
    if (octets == 0 || !reserve_buffer(log, octets))
        return SPOOL_FAILED;
    if (log->octets + octets > log->max_bytes) {
        errno = EDQUOT;
        return SPOOL_FULL;
    }
    for (unsigned tries = 0; tries < 2; tries++) {
        if (log->open && log->open->end + octets + SPOOL_SEAL_BYTES > log->allocated) {
            CRASH_POINT("R1a");
            seal(log, false);
            CRASH_POINT("R1b");
        }
        if (!log->open && !open_segment(log, octets)) {
            if (is_full(errno))
                return SPOOL_FULL;
        } else if (write_commit(log, bodies, count, octets)) {
            *ret_first_lsn = log->next_lsn;
            confirm(log, count, octets);
            return SPOOL_DONE;
        }
    }
    return is_full(errno) ? SPOOL_FULL : SPOOL_FAILED;
}

uint64_t spool_log_durable_lsn(const struct spool_log *log)
{
    return atomic_load_explicit(&log->durable_lsn, memory_order_acquire);
}

uint64_t spool_log_first_lsn(const struct spool_log *log)
{
    return atomic_load_explicit(&log->first_lsn, memory_order_acquire);
}

uint64_t spool_log_octets(const struct spool_log *log)
{
    return atomic_load_explicit(&log->octets, memory_order_relaxed);
}

/* On a full disk the spare is given up, and where there is none the old cursor is overwritten: without a cursor nothing
 * could be released, ever. */
bool spool_log_save_cursor(struct spool_log *log, uint64_t lsn)
{
    bool saved = spool_cursor_save(log->disk, lsn);
    if (!saved && is_full(errno)) {
        pthread_mutex_lock(&log->mutex);
        if (log->spare)
            log->disk->unlink(log->disk, SPOOL_SPARE);
        log->spare = false;
        pthread_mutex_unlock(&log->mutex);
        saved = spool_cursor_save(log->disk, lsn) || (is_full(errno) && spool_cursor_overwrite(log->disk, lsn));
    }
    if (saved)
        atomic_store(&log->cursor_lsn, lsn);
    return saved;
}

/* The folder is synced after each, so that none is gone before an older one. */
uint64_t spool_log_release(struct spool_log *log, uint64_t below_lsn, uint64_t keep_octets)
{
    pthread_mutex_lock(&log->mutex);
    while (log->count > 1 && log->octets > keep_octets) {
        const struct spool_segment *oldest = log->segments[0];
        if (oldest->open || oldest->last_lsn >= below_lsn || oldest->last_lsn > log->cursor_lsn ||
            !drop_segment(log, 0))
            break;
        atomic_store_explicit(&log->first_lsn, log->segments[0]->head.first_lsn, memory_order_release);
        if (!log->disk->sync_folder(log->disk))
            break;
    }
    pthread_mutex_unlock(&log->mutex);
    return spool_log_first_lsn(log);
}

static struct spool_segment_info info_of(const struct spool_log *log, const struct spool_segment *segment)
{
    struct spool_segment_info info = {
        .gateway = segment->head.gateway,
        .incarnation = segment->head.incarnation,
        .first_lsn = segment->head.first_lsn,
        .last_lsn = segment->last_lsn,
        .records = segment->records,
        .octets = segment->end,
        .encrypted = segment->head.encrypted,
        .suspect = segment->suspect,
        .open = segment->open,
    };
    memcpy(info.name, segment->name, sizeof info.name);
    if (segment->open) {
        info.last_lsn = spool_log_durable_lsn(log);
        info.records = info.last_lsn + 1 - info.first_lsn;
    }
    return info;
}

bool spool_log_list(struct spool_log *log, void (*told)(void *ctx, const struct spool_segment_info *info), void *ctx)
{
    pthread_mutex_lock(&log->mutex);
    size_t count = log->count;
    struct spool_segment_info *infos = calloc(count ? count : 1, sizeof *infos);
    for (size_t i = 0; infos && i < count; i++)
        infos[i] = info_of(log, log->segments[i]);
    pthread_mutex_unlock(&log->mutex);
    for (size_t i = 0; infos && i < count; i++)
        told(ctx, &infos[i]);
    free(infos);
    return infos != NULL;
}

/* The folder's ids, made if it has none yet. False: errno. */
static bool identify(const struct spool_log_config *config, bool readonly, struct spool_identity *ret)
{
    bool found = spool_identity_load(config->disk, ret);
    if (!found && (readonly || errno != ENOENT))
        return false;
    if (!found) {
        *ret = (struct spool_identity){.ids = {config->gateway}, .count = 1};
        return spool_identity_save(config->disk, ret);
    }
    errno = ESTALE;
    return config->gateway == ret->ids[0] || (readonly && config->gateway == 0);
}

static struct spool_log *new_log(const struct spool_log_config *config, bool readonly)
{
    struct spool_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->disk = config->disk;
    log->gateway = config->gateway;
    log->incarnation = config->incarnation;
    log->segment_bytes = config->segment_bytes > SPOOL_RECORDS_AT ? config->segment_bytes : SPOOL_SEGMENT_BYTES;
    log->segment_bytes = to_reserve(log, 0);
    log->max_bytes = config->max_bytes;
    log->opened_s = config->now_s;
    log->readonly = readonly;
    log->encrypted = config->key != NULL;
    if (config->key)
        log->key = *config->key;
    pthread_mutex_init(&log->mutex, NULL);
    return log;
}

static struct spool_log *open_log(const struct spool_log_config *config, bool readonly, struct spool_recovery *ret)
{
    struct spool_identity identity;
    struct spool_log *log = new_log(config, readonly);
    *ret = (struct spool_recovery){.where = "identity"};
    if (!log)
        return NULL;
    if (!identify(config, readonly, &identity))
        goto fail;
    ret->where[0] = 0;
    if (!spool_recover(log, &identity, ret))
        goto fail;
    log->durable_lsn = log->next_lsn - 1;
    log->first_lsn = ret->first_lsn;
    if (readonly)
        return log;
    (void)spool_log_note_lost(log);
    log->zeros = calloc(1, ZERO_AHEAD_BYTES);
    if (!log->zeros)
        goto fail;
    log->disk->unlink(log->disk, SPOOL_SPARE);
    if (ret->cursor_lsn == 0)
        (void)spool_cursor_save(log->disk, 0); /* while there is room: a full disk can only overwrite it */
    /* On a full disk there is still something to push, and space after that. */
    if (!open_segment(log, 0) && !is_full(errno)) {
        strcpy(ret->where, SPOOL_SPARE);
        goto fail;
    }
    return log;
fail:;
    int error = errno;
    spool_log_close(log);
    errno = error;
    return NULL;
}

struct spool_log *spool_log_open(const struct spool_log_config *config, struct spool_recovery *ret)
{
    return open_log(config, false, ret);
}

struct spool_log *spool_log_open_readonly(const struct spool_log_config *config, struct spool_recovery *ret)
{
    return open_log(config, true, ret);
}

void spool_log_close(struct spool_log *log)
{
    if (!log)
        return;
    if (log->open)
        seal(log, false);
    if (log->spare)
        log->disk->unlink(log->disk, SPOOL_SPARE);
    while (log->count > 0)
        spool_segment_unref(log->segments[--log->count]);
    pthread_mutex_destroy(&log->mutex);
    secret_wipe(&log->key);
    free(log->segments);
    free(log->lost);
    free(log->unread);
    free(log->buffer);
    free(log->zeros);
    free(log);
}
