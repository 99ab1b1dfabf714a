// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The spool on disk: a log of records in segments, written by one thread, read by another.
 *
 * A record is an opaque body and its LSN (log sequence number: 1, 2, 3, ..., never used twice for what was
 * committed). Commit is append and sync in one: what it has confirmed is found by every later open, whatever
 * died in between. gateway/spool_format.h has the bytes and the conditions under which a record counts.
 *
 * Each open begins a new segment under a new incarnation (a random number), so that what one run wrote can be
 * told from what another wrote, also when a folder is copied back from a backup.
 *
 * The folder belongs to a gateway: the file "identity" has its id in the first line, further lines are ids
 * whose segments were adopted (`weir spool adopt`). Segments of other ids are foreign.
 *
 * A write or sync that fails is never tried again on the same file: the segment is sealed where its last
 * confirmed record ends, the batch is written to a new one, once. If that fails too the batch is refused as a
 * whole.
 */
#pragma once

#include "gateway/disk.h"
#include "registry/secret.h"

#define SPOOL_SEGMENT_BYTES ((uint64_t)64 << 20)
#define SPOOL_BODY_MAX ((size_t)32 << 20)

struct spool_log;

struct spool_log_config {
    struct disk *disk; /* borrowed */
    uint64_t segment_bytes;
    uint64_t gateway;     /* id of this gateway, never 0 */
    uint64_t incarnation; /* random, never 0 */
    uint64_t max_bytes;   /* of all segments; beyond it SPOOL_FULL */
    int64_t now_s;        /* Unix time of the open: when what is lost was found */
    const struct secret *key; /* 32 bytes: records are encrypted (AES-256-GCM); NULL: they are not */
};

/* What an open found. */
struct spool_recovery {
    uint64_t records;      /* that count */
    uint64_t first_lsn;    /* oldest record that counts; next_lsn if none */
    uint64_t next_lsn;     /* of the first record to come */
    uint64_t cursor_lsn;   /* all records up to it are pushed; 0: none */
    uint64_t torn_octets;  /* cut from the ends of segments */
    uint64_t quarantined;  /* damaged records with good ones after them, moved to the file "quarantine" */
    uint64_t missing;      /* LSNs above the cursor that are nowhere */
    uint64_t lost;         /* LSNs above the cursor that are damaged or missing: acknowledged, never pushed */
    uint64_t lost_first, lost_last; /* the lowest and the highest of them; 0: none */
    uint64_t foreign;      /* files that are not ours, or not for this key; left alone, not read */
    char where[64];        /* the file at which the open failed; empty: none in particular */
};

enum spool_result {
    SPOOL_DONE,
    SPOOL_FULL,   /* max_bytes (EDQUOT) or the disk (ENOSPC) */
    SPOOL_FAILED, /* the disk failed twice; errno */
};

/* Reads all of it, cuts torn tails, notes what is lost in the file "lost", opens a new segment. NULL: errno, and
 * ret->where; ESTALE: the folder is another gateway's; ENOKEY: what is to be pushed needs another key; EOVERFLOW: a
 * segment has the highest serial there is; EMEDIUMTYPE: no regular file. */
struct spool_log *spool_log_open(const struct spool_log_config *config, struct spool_recovery *ret);
/* The same without changing anything on the disk and without a segment to write to: for the CLI. config->gateway 0:
 * whoever it belongs to. */
struct spool_log *spool_log_open_readonly(const struct spool_log_config *config, struct spool_recovery *ret);
/* Adds what this open has found lost to the file "lost", durably, unless it is in it: for a log that was opened
 * readonly and is going to be pushed; spool_log_open does it by itself. False: errno. */
bool spool_log_note_lost(const struct spool_log *log);
/* Makes the folder this gateway's: its former owner becomes an adopted one. False: errno. */
bool spool_log_adopt(struct disk *disk, uint64_t gateway);
/* Seals the open segment and truncates it to what is used. NULL is fine. */
void spool_log_close(struct spool_log *log);

/* Writer thread. Records get consecutive LSNs from *ret_first_lsn; all are durable or none counts. */
enum spool_result spool_log_commit(struct spool_log *log, const struct bytes *bodies, size_t count,
                                   uint64_t *ret_first_lsn);

/* Any thread. */
uint64_t spool_log_durable_lsn(const struct spool_log *log); /* of the last record that was committed; 0: none */
uint64_t spool_log_first_lsn(const struct spool_log *log);   /* oldest that can still be read */
uint64_t spool_log_octets(const struct spool_log *log);      /* of all segments on disk, as used */

/* One record as it is read; body is valid until the next read of the same reader. */
struct spool_record {
    uint64_t lsn;
    uint64_t incarnation;
    struct bytes body;
};

/* A reader belongs to one thread. Reads ahead in large pieces. */
struct spool_reader;
struct spool_reader *spool_reader_new(struct spool_log *log);
void spool_reader_free(struct spool_reader *reader);
/* The next read gives the first record with an LSN of at least this. */
void spool_reader_seek(struct spool_reader *reader, uint64_t lsn);
enum spool_read {
    SPOOL_READ_RECORD,
    SPOOL_READ_END,    /* nothing committed beyond it yet */
    SPOOL_READ_FAILED, /* errno; or no memory (ENOMEM) */
};
/* Records that cannot be read any more (damaged since) are skipped and counted. */
enum spool_read spool_reader_next(struct spool_reader *reader, struct spool_record *ret);
uint64_t spool_reader_damaged(const struct spool_reader *reader);

/* Reader's thread. Writes the cursor durably (a new file, synced, renamed, folder synced). */
bool spool_log_save_cursor(struct spool_log *log, uint64_t lsn);
/* Unlinks whole segments whose records are all below lsn, never above the saved cursor, oldest first, until keep_octets
 * remain on disk. Returns the first LSN that is left. Writer and reader may be at work. */
uint64_t spool_log_release(struct spool_log *log, uint64_t below_lsn, uint64_t keep_octets);

/* One segment, for people. */
struct spool_segment_info {
    char name[32];
    uint64_t gateway, incarnation, first_lsn, last_lsn, records, octets;
    bool encrypted, suspect, open;
};
/* Calls told for each segment, oldest first. False: no memory. */
bool spool_log_list(struct spool_log *log, void (*told)(void *ctx, const struct spool_segment_info *info), void *ctx);

/* LSNs that were lost: acknowledged as far as the spool can tell, damaged or missing before they were pushed. */
struct spool_lost {
    uint64_t first_lsn, last_lsn;
    int64_t found_s;  /* Unix time */
    char segment[32]; /* the damaged file; "-" or empty: they are nowhere */
    uint64_t offset;  /* in it, of the first damaged octet */
};
/* Calls told for each line of the file "lost", oldest first. True: there is such a file, readable or not. */
bool spool_lost_list(struct disk *disk, void (*told)(void *ctx, const struct spool_lost *lost), void *ctx);

/* A file with a segment's name that was not read. */
enum spool_unread_why {
    SPOOL_UNREAD_DAMAGED, /* both copies of its header */
    SPOOL_UNREAD_COPY,    /* of a segment that was read, under another name */
    SPOOL_UNREAD_NO_FILE, /* a link, a folder, a FIFO */
    SPOOL_UNREAD_GATEWAY, /* another gateway's, not adopted */
    SPOOL_UNREAD_NO_KEY,  /* encrypted; no key was given */
    SPOOL_UNREAD_KEY,     /* encrypted with another key */
};
struct spool_unread {
    char name[32];
    enum spool_unread_why why;
    uint64_t first_lsn, last_lsn; /* with GATEWAY, NO_KEY and KEY: what is in it; last below first: nothing. Else 0 */
};
/* Calls told for each that the open has passed by, by serial. */
void spool_log_unread(const struct spool_log *log, void (*told)(void *ctx, const struct spool_unread *unread),
                      void *ctx);
