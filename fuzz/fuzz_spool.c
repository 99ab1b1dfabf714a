// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Recovery and reader over whatever a disk may give back. The first octet says how the rest becomes files:
 *
 *   1  there are two segments; the next two octets are the length of the first
 *   2  the octets are whole files, with headers; else they are what follows a good header
 *   4  CRCs are put right wherever there is the magic of a record, so that wrong records count as far as they can
 *   8  the key is given
 *  16  the headers say that 12288 octets were reserved
 *  32  the last segment ends with a seal, of the LSN that the second octet is
 *
 * Properties: what recovery counts is what the reader gives, in order of LSN; looking gives the same as opening; a second
 * open finds what the first has left; what is committed after it is there.
 */
#include "gateway/spool_format.h"
#include "gateway/spool_log.h"
#include "tests/unit/gateway/fake_disk.h"

#include <stdlib.h>

#define GATEWAY 1
#define INCARNATION 2

static const struct secret key = {.octets = "01234567890123456789012345678901", .len = 32};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void put_crcs(uint32_t crc, uint8_t *at, size_t len)
{
    for (size_t skip; len >= SPOOL_RECORD_HEAD; at += skip, len -= skip) {
        skip = spool_entry_find(bytes_of(at, len));
        if (skip == 0) {
            size_t body_len = spool_get_32(at + 4);
            if (body_len < len && spool_entry_octets(body_len) <= len)
                spool_entry_finish(crc, at);
            skip = SPOOL_ALIGN;
        }
        skip = skip < len ? skip : len;
    }
}

static void put_segment(struct fake_disk *fake, uint32_t serial, uint64_t first_lsn, const uint8_t *data, size_t len,
                        unsigned flags)
{
    struct spool_head head = {.gateway = GATEWAY, .incarnation = INCARNATION, .serial = serial,
                              .first_lsn = first_lsn, .reserved = flags & 16 ? 3 * SPOOL_PAGE : 0};
    char name[SPOOL_NAME_BYTES];
    size_t before = flags & 2 ? 0 : SPOOL_RECORDS_AT;
    uint8_t *file = malloc(before + len + SPOOL_SEAL_BYTES);
    must(file);
    if (before)
        spool_head_encode(&head, file);
    if (len)
        memcpy(file + before, data, len);
    if (flags & 4 && before + len > SPOOL_RECORDS_AT && spool_head_decode(bytes_of(file, before + len), &head))
        put_crcs(head.crc, file + SPOOL_RECORDS_AT, before + len - SPOOL_RECORDS_AT);
    len += before;
    if (flags & 32 && spool_head_decode(bytes_of(file, len), &head)) {
        spool_seal_encode(head.crc, flags >> 8, file + len);
        len += SPOOL_SEAL_BYTES;
    }
    spool_segment_name(serial, first_lsn, name);
    fake_disk_put(fake, name, bytes_of(file, len));
    free(file);
}

struct outcome_of_open {
    struct spool_recovery recovery;
    uint64_t count, digest;
};

static void read_all(struct spool_log *log, struct outcome_of_open *ret)
{
    struct spool_reader *reader = spool_reader_new(log);
    struct spool_record record;
    uint64_t last_lsn = 0;
    enum spool_read read;
    ret->count = ret->digest = 0;
    while ((read = spool_reader_next(reader, &record)) == SPOOL_READ_RECORD) {
        must(record.lsn > last_lsn);
        last_lsn = record.lsn;
        ret->count++;
        ret->digest = (ret->digest + record.lsn) * 0x9e3779b97f4a7c15 + record.body.len;
    }
    must(read == SPOOL_READ_END);
    spool_reader_free(reader);
}

static struct spool_log *open_log(struct fake_disk *fake, unsigned flags, bool readonly, struct outcome_of_open *ret)
{
    struct spool_log_config config = {
        .disk = &fake->disk,
        .segment_bytes = SPOOL_RECORDS_AT + 4096,
        .gateway = GATEWAY,
        .incarnation = 3,
        .max_bytes = UINT64_MAX,
        .key = flags & 8 ? &key : NULL,
    };
    struct spool_log *log =
        readonly ? spool_log_open_readonly(&config, &ret->recovery) : spool_log_open(&config, &ret->recovery);
    if (log)
        read_all(log, ret);
    return log;
}

static void expect_same(const struct outcome_of_open *a, const struct outcome_of_open *b)
{
    must(a->count == b->count && a->digest == b->digest && a->recovery.records == b->recovery.records);
    must(a->recovery.next_lsn == b->recovery.next_lsn && a->recovery.quarantined == b->recovery.quarantined);
    must(a->recovery.missing == b->recovery.missing && a->recovery.first_lsn == b->recovery.first_lsn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    unsigned flags = data[0] | (unsigned)data[1] << 8;
    size_t first_len = flags & 1 ? (size_t)data[1] << 8 | data[2] : size - 3;
    struct fake_disk *fake = fake_disk_new();
    struct outcome_of_open look, first, second;
    first_len = first_len < size - 3 ? first_len : size - 3;
    fake_disk_put(fake, "identity", BYTES_LITERAL("0000000000000001\n"));
    put_segment(fake, 1, 1, data + 3, first_len, flags & 1 ? flags & ~32u : flags);
    if (flags & 1)
        put_segment(fake, 2, 5, data + 3 + first_len, size - 3 - first_len, flags);
    struct spool_log *log = open_log(fake, flags, true, &look);
    must(log);
    spool_log_close(log);
    log = open_log(fake, flags, false, &first);
    if (log) { /* else the key is missing */
        uint64_t lsn;
        bool encrypted = flags & 8;
        must(encrypted ? first.count <= first.recovery.records : first.count == first.recovery.records);
        expect_same(&look, &first);
        spool_log_close(log);
        log = open_log(fake, flags, false, &second);
        must(log);
        expect_same(&first, &second);
        if (spool_log_commit(log, &BYTES_LITERAL("more"), 1, &lsn) == SPOOL_DONE) {
            must(lsn == second.recovery.next_lsn);
            read_all(log, &second);
            must(second.count == first.count + 1);
        } else {
            must(first.recovery.next_lsn >= SPOOL_LSN_MAX - 1);
        }
        spool_log_close(log);
    }
    must(fake_disk_open_count(fake) == 0);
    fake_disk_free(fake);
    return 0;
}
