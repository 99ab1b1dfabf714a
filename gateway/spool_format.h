// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The bytes of the spool. Pure: no file is touched here. gateway/spool_log.c writes them, gateway/spool_scan.c finds
 * them again. All numbers are little-endian, all CRCs are CRC-32C.
 *
 * THE FOLDER
 *
 *   SERIAL-LSN.seg  a segment; SERIAL (8 hex digits) rises with each one ever made here, LSN (16) is its first. Both
 *                   are also in its header, and what is there counts: a segment under another such name is still it
 *   spare           the next segment, its space already reserved, not yet one
 *   identity        whose folder it is (gateway/spool_log.h)
 *   cursor          "LSN CRC\n", 20 decimal and 8 hex digits: all records up to LSN are in Redis; the CRC is of the
 *                   LSN's digits
 *   quarantine      damaged octets that recovery has found, with where they were
 *   lost            LSNs that recovery has found damaged or missing above the cursor, a line for each range:
 *                   "FROM TO TIME SEGMENT OFFSET", decimal; TIME: of the open, Unix; SEGMENT: the damaged file, "-"
 *                   if they are nowhere. It is there until an operator removes it
 *   *.new           a file that was about to take the name before the dot
 *
 * A SEGMENT
 *
 *   offset  octets
 *        0      64  header
 *     4096      64  the same header again: neither a torn sector nor a lost page takes both
 *     8192          records, one after the other, each at a multiple of 8
 *     then          the seal, if the segment gets no more records, and the end of the file; or zeros to the end of
 *                   the space that was reserved, which is the end of the file
 *
 *   header           0  8  "weirspol"
 *                    8  4  version, 1
 *                   12  4  flags: 1 records are encrypted, 2 the segment before was sealed because the disk failed
 *                   16  8  id of the gateway, not 0
 *                   24  8  incarnation of the run that wrote it, random, not 0
 *                   32  8  first LSN
 *                   40  4  serial
 *                   44  4  octets reserved for the whole file, in pages of 4096; 0: it does not say
 *                   48  8  key check if encrypted, else 0
 *                   56  4  0
 *                   60  4  CRC of octets 0 to 59
 *
 *   record           0  4  "wrec"
 *                    4  4  length of the body
 *                    8  8  LSN
 *                   16  4  CRC of the body
 *                   20  4  CRC of octets 0 to 19, continued from the CRC of the segment's header
 *                   24     the body, then up to 7 octets that mean nothing
 *
 *   seal             0  4  "wend"
 *                    4  4  0
 *                    8  8  LSN after the last one here
 *                   16  4  0
 *                   20  4  CRC of octets 0 to 19, continued from the CRC of the segment's header
 *
 *   A file that is shorter than what was reserved and does not end with a seal has been cut by somebody else.
 *
 *   Encrypted, a body is AES-256-GCM of what was committed and its tag (16 octets). The key is HMAC-SHA256(configured
 *   key, octets 16 to 43 of the segment's header, "weir spool"), so each segment has its own; the nonce is 4 zeros and
 *   the LSN; octets 0 to 15 of the record's header are authenticated with it. No nonce is used twice: a segment whose
 *   write failed is never written again, and its successor has another serial, so another key.
 *   Key check: the first 8 octets of HMAC-SHA256(the segment's key, "check").
 *
 * A SEGMENT COUNTS WHEN
 *
 *   1. it is a regular file with the name of a segment, and no other such file has the same serial and first LSN in its
 *      header; of several it is the one with the right name,
 *   2. one of the two headers has magic, version, CRC, and a first LSN from 1 to SPOOL_LSN_MAX,
 *   3. its gateway is the folder's owner or one the owner has adopted,
 *   4. if it is encrypted, the key check fits.
 *
 * A RECORD COUNTS WHEN
 *
 *   1. its segment counts,
 *   2. magic and both CRCs are right, the LSN is below SPOOL_LSN_MAX, the body is at most SPOOL_STORED_MAX octets and
 *      within the file,
 *   3. its LSN is at least the segment's first and more than that of each record before it in the segment,
 *   4. its LSN is below the first LSN of every segment with a higher serial,
 *   5. if it is encrypted, its tag is right (looked at when it is read, not at recovery).
 *
 *   Between two records that count there may be octets that are none: damage. The next record is found by trying every
 *   multiple of 8 that has the magic. Bodies come from strangers, and one of them may hold what looks like a record:
 *   it does not count, because a record's CRC depends on the incarnation, which no device knows.
 *
 * THE WRITER
 *
 *   makes a segment: reserves the space of "spare", writes both headers, syncs; renames it to its name; syncs the
 *     folder. So a file with a segment's name always has had a whole header.
 *   commits: one write of all records of the commit behind the last one, one sync, and only then says so. A commit is
 *     never divided between segments. What lies just ahead of it is written with zeros from time to time, because a
 *     sync after a write into space that is only reserved must also write the file system's journal
 *     (tests/bench/bench_spool.c).
 *   ends a segment that is full, or when the log is closed: writes the seal behind the last record, syncs, and only
 *     then truncates the file behind it.
 *   after a write or sync that failed: never touches that file again, makes a segment with the next LSN to be
 *     confirmed as its first, writes the whole commit there. Condition 4 voids what the first attempt may have left.
 *   saves the cursor: writes and syncs "cursor.new", renames it, syncs the folder; on a disk without room for another
 *     file, overwrites "cursor" and syncs it. Only then are segments unlinked, oldest first, the folder synced after
 *     each.
 *
 * THE READER
 *
 *   reads segments by serial, records by offset, up to the last LSN that was confirmed. It skips damage.
 *
 * WHAT A CRASH LEAVES
 *
 *   in making a segment   "spare", or a segment without records. Neither says anything: the first is made anew, the
 *                         second is unlinked when its successor with the same first LSN is there.
 *   in ending a segment   a file of the full size, with a seal or without: no matter; or the truncated one. Recovery
 *                         ends what has none, in the same way.
 *   in a commit           any of its 512-octet sectors, in any order; in those it shares with the commit before, the
 *                         octets of that one are as they were. What is damaged with nothing valid behind is cut; what
 *                         is valid is kept, though not confirmed: its sender will repeat it. LSNs above the last
 *                         that was found are used again, so no LSN has two bodies that count.
 *   after a failed write  as above; the void records are cut, or void again by condition 4.
 *   in saving the cursor  the old cursor or the new one; of one that was overwritten perhaps neither. The old one, or
 *                         none, makes the push repeat itself, which it may.
 *   in unlinking          segments below the cursor, perhaps not all: they are unlinked later.
 */
#pragma once

#include "codec/bytes.h"

#define SPOOL_HEAD_BYTES ((size_t)64)
#define SPOOL_HEAD_COPY_AT ((size_t)4096)
#define SPOOL_RECORDS_AT ((size_t)8192)
#define SPOOL_RECORD_HEAD ((size_t)24)
#define SPOOL_RECORD_AAD ((size_t)16) /* octets of a record's header that encryption authenticates */
#define SPOOL_TAG_BYTES ((size_t)16)
#define SPOOL_STORED_MAX (((size_t)32 << 20) + SPOOL_TAG_BYTES)
#define SPOOL_ALIGN ((size_t)8)
#define SPOOL_LSN_MAX (((uint64_t)1 << 53) - 1) /* exact as a double: Redis' Lua knows no other numbers */
#define SPOOL_NAME_BYTES 32
#define SPOOL_KEY_CHECK_BYTES 8
#define SPOOL_KEY_SEED_BYTES 28
#define SPOOL_SEAL_BYTES ((size_t)24)
#define SPOOL_PAGE ((size_t)4096)

struct spool_head {
    uint64_t gateway, incarnation, first_lsn;
    uint64_t reserved; /* octets of the whole file, a multiple of SPOOL_PAGE; 0: unknown */
    uint32_t serial;
    bool encrypted, after_failure;
    uint8_t key_check[SPOOL_KEY_CHECK_BYTES];
    uint32_t crc; /* set by encoding and decoding */
};

/* All octets before the first record. */
void spool_head_encode(struct spool_head *head, uint8_t ret[static SPOOL_RECORDS_AT]);
/* From the beginning of a file, however short. False: neither copy is whole. */
bool spool_head_decode(struct bytes file, struct spool_head *ret);
/* What a segment's key is derived from: gateway, incarnation, first LSN, serial. */
void spool_key_seed(const struct spool_head *head, uint8_t ret[static SPOOL_KEY_SEED_BYTES]);

void spool_segment_name(uint32_t serial, uint64_t first_lsn, char ret[static SPOOL_NAME_BYTES]);
/* False: not the name of a segment. */
bool spool_segment_name_parse(const char *name, uint32_t *ret_serial, uint64_t *ret_first_lsn);

/* Octets of a record with a body of that length. */
size_t spool_entry_octets(size_t body_len);
/* The octets that encryption authenticates; the body comes at + SPOOL_RECORD_HEAD. */
void spool_entry_begin(uint64_t lsn, size_t body_len, uint8_t *at);
/* The rest, when the body is in its place. */
void spool_entry_finish(uint32_t segment_crc, uint8_t *at);

struct spool_entry {
    uint64_t lsn;
    struct bytes body; /* as stored */
    size_t octets;     /* with header and padding */
};

enum spool_check {
    SPOOL_COUNTS,
    SPOOL_CUT_SHORT, /* by the end of the given octets; ret has LSN and octets */
    SPOOL_DAMAGED,
};
/* What is at the beginning of these octets; conditions 3 to 5 are the caller's. */
enum spool_check spool_entry_decode(uint32_t segment_crc, struct bytes from, struct spool_entry *ret);
/* next_lsn: after the last one in the segment. */
void spool_seal_encode(uint32_t segment_crc, uint64_t next_lsn, uint8_t ret[static SPOOL_SEAL_BYTES]);
/* Its LSN. 0: these octets do not begin with a seal. */
uint64_t spool_seal_decode(uint32_t segment_crc, struct bytes from);
/* Offset of the first multiple of 8 that has a record's magic; from.len: none. */
size_t spool_entry_find(struct bytes from);

void spool_put_32(uint8_t *at, uint32_t value);
void spool_put_64(uint8_t *at, uint64_t value);
uint32_t spool_get_32(const uint8_t *at);
uint64_t spool_get_64(const uint8_t *at);
