// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the files of the spool share: spool_log.c (the writer), spool_recovery.c (what an open finds), spool_reader.c,
 * spool_scan.c (records out of one segment's file), spool_folder.c (the small files). Nobody else includes it.
 *
 * Who may touch what: the list of segments, their references and flags are under the mutex, which is taken per segment
 * and never per record. Of a segment in the list only `end` changes without it, by the writer. The writer stores `end`,
 * then durable_lsn (release); a reader loads durable_lsn (acquire), then `end`: what it finds there covers that LSN.
 */
#pragma once

#include "gateway/crypto.h"
#include "gateway/spool_format.h"
#include "gateway/spool_log.h"

#include <pthread.h>
#include <stdatomic.h>

#define SPOOL_SPARE "spare"
#define SPOOL_ADOPTED_MAX 64

struct spool_segment {
    char name[SPOOL_NAME_BYTES];
    struct spool_head head;
    uint8_t key[CRYPTO_KEY_BYTES]; /* of this segment */
    uint64_t last_lsn;             /* of what counts; first_lsn - 1: nothing. Of the open one see durable_lsn */
    uint64_t records;
    _Atomic uint64_t end; /* octets up to the end of the last record that counts */
    unsigned references;  /* the list's and the readers' */
    bool suspect, open;
};

struct spool_log {
    struct disk *disk;
    uint64_t gateway, incarnation, segment_bytes, max_bytes;
    struct secret key;
    bool encrypted, readonly;

    pthread_mutex_t mutex;
    struct spool_segment **segments; /* by serial */
    size_t count, room;
    bool spare; /* there is one; its space is a reserve for the cursor, too */

    _Atomic uint64_t durable_lsn, first_lsn, octets, cursor_lsn;

    /* What the open has found; not changed afterwards. */
    struct spool_lost *lost;
    struct spool_unread *unread;
    size_t lost_count, unread_count;
    int64_t opened_s;

    /* The writer's. */
    struct spool_segment *open; /* NULL: the next commit makes one */
    int fd;
    uint64_t allocated, zeroed; /* of the open file: reserved; written at least once */
    uint64_t next_lsn;
    uint32_t serial; /* the highest in a segment's header, ours or not */
    bool after_failure;
    uint8_t *buffer, *zeros;
    size_t buffer_room;
};

/* spool_lost.c */

/* In rising order. Of no consequence if there is no memory. */
void spool_lost_note(struct spool_log *log, const struct spool_lost *lost);
void spool_unread_note(struct spool_log *log, const struct spool_unread *unread);

/* spool_folder.c */

/* The number of octets read, at most len; -1: errno. */
ssize_t spool_small_read(struct disk *disk, const char *name, void *buffer, size_t len);
/* Durable when it says true. False: errno; the file is as it was, or has the new content. */
bool spool_small_replace(struct disk *disk, const char *name, const char *new_name, struct bytes content);

/* Owner and adopted ids. False: errno; ENOENT: nobody's yet; EBADMSG: not readable. */
struct spool_identity {
    uint64_t ids[SPOOL_ADOPTED_MAX + 1]; /* the first is the owner */
    size_t count;
};
bool spool_identity_load(struct disk *disk, struct spool_identity *ret);
bool spool_identity_save(struct disk *disk, const struct spool_identity *identity);
bool spool_identity_has(const struct spool_identity *identity, uint64_t gateway);
/* 0 in *ret_lsn: there is none, or it is damaged. False: errno. */
bool spool_cursor_load(struct disk *disk, uint64_t *ret_lsn);
bool spool_cursor_save(struct disk *disk, uint64_t lsn);
/* In place, where there is no room for another file. Cut off in the middle it is none, and all is pushed again. */
bool spool_cursor_overwrite(struct disk *disk, uint64_t lsn);
/* Appends damaged octets unless the file already has those of that place; of no consequence if it cannot. */
void spool_quarantine(struct disk *disk, const struct spool_segment *segment, int from_fd, uint64_t at,
                      uint64_t octets);

/* spool_scan.c */

/* Walks over the records of a segment's file, reading large pieces. Zeroed, then spool_scan_begin. */
struct spool_scan {
    struct disk *disk;
    int fd;
    uint32_t crc;
    uint64_t at;        /* where the next record is expected */
    uint64_t end;       /* octets from here on are not looked at */
    uint64_t lsn;       /* records below it are passed over */
    uint64_t limit_lsn; /* the segment ends before a record with this LSN or more */
    uint8_t *buffer;
    size_t buffer_room, buffer_len;
    uint64_t buffer_at;
    uint64_t unreadable; /* end of the last page that could not be read; 0: none */
};

struct spool_found {
    struct spool_entry entry; /* body is valid until the next call */
    uint64_t at;
    uint64_t damage_at; /* at: none. Else the octets from here to at are no record */
};

enum spool_scanned { SPOOL_SCAN_RECORD, SPOOL_SCAN_END, SPOOL_SCAN_FAILED };

/* Keeps the buffer of before. */
void spool_scan_begin(struct spool_scan *scan, struct disk *disk, int fd, const struct spool_segment *segment);
void spool_scan_deinit(struct spool_scan *scan);
/* END leaves scan->at behind the last record that counts. FAILED: errno. */
enum spool_scanned spool_scan_next(struct spool_scan *scan, struct spool_found *ret);
/* Where the octets end that are not zero, between at and scan->end; at: all are. False: errno. */
bool spool_scan_used(struct spool_scan *scan, uint64_t at, uint64_t *ret_end);
/* The LSN of the segment's seal, if it ends the file or is where scanning has ended; 0: there is none. From then on
 * octets behind it are not looked at. False: errno. */
bool spool_scan_seal(struct spool_scan *scan, uint64_t *ret_lsn);
/* As disk->read, but a page that cannot be read is as good as one that was zeroed; *unreadable is raised to its end. */
ssize_t spool_read(struct disk *disk, int fd, void *buffer, size_t len, uint64_t offset, uint64_t *unreadable);

/* spool_recovery.c */

/* Fills the list of segments, cursor_lsn, next_lsn, serial. False: errno, ret->where. */
bool spool_recover(struct spool_log *log, const struct spool_identity *identity, struct spool_recovery *ret);

/* spool_log.c */

/* Says durably that the segment ends there, then gives back the space behind it. False: errno; nothing is lost. */
bool spool_segment_end(struct disk *disk, int fd, const struct spool_segment *segment, uint64_t end, uint64_t next_lsn);
/* Sets the segment's key, and the key check of its header if it is to be written. False: it does not fit. */
bool spool_segment_key(const struct spool_log *log, struct spool_segment *segment, bool is_new);
void spool_record_nonce(uint64_t lsn, uint8_t ret[static CRYPTO_NONCE_BYTES]);
/* Mutex held, or one thread. */
void spool_segment_unref(struct spool_segment *segment);
bool spool_segments_reserve(struct spool_log *log);
