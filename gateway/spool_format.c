// SPDX-License-Identifier: GPL-3.0-or-later
/* Offsets are written as numbers, to be read beside the tables in the header. */
#include "gateway/spool_format.h"

#include "codec/crc32c.h"

#include <stdio.h>

static const uint8_t head_magic[8] = {'w', 'e', 'i', 'r', 's', 'p', 'o', 'l'};
static const uint8_t record_magic[4] = {'w', 'r', 'e', 'c'};
static const uint8_t seal_magic[4] = {'w', 'e', 'n', 'd'};

enum { VERSION = 1, FLAG_ENCRYPTED = 1, FLAG_AFTER_FAILURE = 2, FLAGS_KNOWN = 3, CRC_AT = 60 };

void spool_put_32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

void spool_put_64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

uint32_t spool_get_32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t spool_get_64(const uint8_t *at)
{
    return spool_get_32(at) | (uint64_t)spool_get_32(at + 4) << 32;
}

void spool_head_encode(struct spool_head *head, uint8_t ret[static SPOOL_RECORDS_AT])
{
    memset(ret, 0, SPOOL_RECORDS_AT);
    memcpy(ret, head_magic, sizeof head_magic);
    spool_put_32(ret + 8, VERSION);
    spool_put_32(ret + 12, (head->encrypted ? FLAG_ENCRYPTED : 0) | (head->after_failure ? FLAG_AFTER_FAILURE : 0));
    spool_put_64(ret + 16, head->gateway);
    spool_put_64(ret + 24, head->incarnation);
    spool_put_64(ret + 32, head->first_lsn);
    spool_put_32(ret + 40, head->serial);
    spool_put_32(ret + 44, (uint32_t)(head->reserved / SPOOL_PAGE));
    if (head->encrypted)
        memcpy(ret + 48, head->key_check, sizeof head->key_check);
    head->crc = crc32c(0, bytes_of(ret, CRC_AT));
    spool_put_32(ret + CRC_AT, head->crc);
    memcpy(ret + SPOOL_HEAD_COPY_AT, ret, SPOOL_HEAD_BYTES);
}

static bool decode_copy(const uint8_t *at, struct spool_head *ret)
{
    uint32_t flags = spool_get_32(at + 12), crc = spool_get_32(at + CRC_AT);
    if (memcmp(at, head_magic, sizeof head_magic) != 0 || spool_get_32(at + 8) != VERSION || flags & ~FLAGS_KNOWN ||
        crc != crc32c(0, bytes_of(at, CRC_AT)))
        return false;
    *ret = (struct spool_head){
        .gateway = spool_get_64(at + 16),
        .incarnation = spool_get_64(at + 24),
        .first_lsn = spool_get_64(at + 32),
        .serial = spool_get_32(at + 40),
        .reserved = (uint64_t)spool_get_32(at + 44) * SPOOL_PAGE,
        .encrypted = flags & FLAG_ENCRYPTED,
        .after_failure = flags & FLAG_AFTER_FAILURE,
        .crc = crc,
    };
    memcpy(ret->key_check, at + 48, sizeof ret->key_check);
    return ret->gateway && ret->incarnation && ret->first_lsn && ret->first_lsn <= SPOOL_LSN_MAX;
}

bool spool_head_decode(struct bytes file, struct spool_head *ret)
{
    return (file.len >= SPOOL_HEAD_BYTES && decode_copy(file.ptr, ret)) ||
           (file.len >= SPOOL_HEAD_COPY_AT + SPOOL_HEAD_BYTES && decode_copy(file.ptr + SPOOL_HEAD_COPY_AT, ret));
}

void spool_key_seed(const struct spool_head *head, uint8_t ret[static SPOOL_KEY_SEED_BYTES])
{
    spool_put_64(ret, head->gateway);
    spool_put_64(ret + 8, head->incarnation);
    spool_put_64(ret + 16, head->first_lsn);
    spool_put_32(ret + 24, head->serial);
}

void spool_segment_name(uint32_t serial, uint64_t first_lsn, char ret[static SPOOL_NAME_BYTES])
{
    snprintf(ret, SPOOL_NAME_BYTES, "%08x-%016llx.seg", (unsigned)serial, (unsigned long long)first_lsn);
}

bool spool_segment_name_parse(const char *name, uint32_t *ret_serial, uint64_t *ret_first_lsn)
{
    char again[SPOOL_NAME_BYTES];
    unsigned serial;
    unsigned long long first_lsn;
    if (strlen(name) >= sizeof again || sscanf(name, "%8x-%16llx.seg", &serial, &first_lsn) != 2)
        return false;
    spool_segment_name(serial, first_lsn, again);
    if (strcmp(name, again) != 0)
        return false;
    *ret_serial = serial;
    *ret_first_lsn = first_lsn;
    return true;
}

size_t spool_entry_octets(size_t body_len)
{
    return (SPOOL_RECORD_HEAD + body_len + SPOOL_ALIGN - 1) / SPOOL_ALIGN * SPOOL_ALIGN;
}

void spool_entry_begin(uint64_t lsn, size_t body_len, uint8_t *at)
{
    memcpy(at, record_magic, sizeof record_magic);
    spool_put_32(at + 4, (uint32_t)body_len);
    spool_put_64(at + 8, lsn);
}

void spool_entry_finish(uint32_t segment_crc, uint8_t *at)
{
    size_t body_len = spool_get_32(at + 4), used = SPOOL_RECORD_HEAD + body_len;
    memset(at + used, 0, spool_entry_octets(body_len) - used);
    spool_put_32(at + 16, crc32c(0, bytes_of(at + SPOOL_RECORD_HEAD, body_len)));
    spool_put_32(at + 20, crc32c(segment_crc, bytes_of(at, 20)));
}

enum spool_check spool_entry_decode(uint32_t segment_crc, struct bytes from, struct spool_entry *ret)
{
    const uint8_t *at = from.ptr;
    if (from.len < SPOOL_RECORD_HEAD || memcmp(at, record_magic, sizeof record_magic) != 0)
        return SPOOL_DAMAGED;
    size_t body_len = spool_get_32(at + 4);
    ret->lsn = spool_get_64(at + 8);
    if (body_len > SPOOL_STORED_MAX || ret->lsn >= SPOOL_LSN_MAX ||
        spool_get_32(at + 20) != crc32c(segment_crc, bytes_of(at, 20)))
        return SPOOL_DAMAGED;
    ret->octets = spool_entry_octets(body_len);
    if (from.len < SPOOL_RECORD_HEAD + body_len)
        return SPOOL_CUT_SHORT;
    ret->body = bytes_of(at + SPOOL_RECORD_HEAD, body_len);
    return spool_get_32(at + 16) == crc32c(0, ret->body) ? SPOOL_COUNTS : SPOOL_DAMAGED;
}

void spool_seal_encode(uint32_t segment_crc, uint64_t next_lsn, uint8_t ret[static SPOOL_SEAL_BYTES])
{
    memset(ret, 0, SPOOL_SEAL_BYTES);
    memcpy(ret, seal_magic, sizeof seal_magic);
    spool_put_64(ret + 8, next_lsn);
    spool_put_32(ret + 20, crc32c(segment_crc, bytes_of(ret, 20)));
}

uint64_t spool_seal_decode(uint32_t segment_crc, struct bytes from)
{
    bool is_seal = from.len >= SPOOL_SEAL_BYTES && memcmp(from.ptr, seal_magic, sizeof seal_magic) == 0 &&
                   spool_get_32(from.ptr + 20) == crc32c(segment_crc, bytes_of(from.ptr, 20));
    return is_seal ? spool_get_64(from.ptr + 8) : 0;
}

size_t spool_entry_find(struct bytes from)
{
    for (size_t at = 0; at + sizeof record_magic <= from.len; at += SPOOL_ALIGN)
        if (memcmp(from.ptr + at, record_magic, sizeof record_magic) == 0)
            return at;
    return from.len;
}
