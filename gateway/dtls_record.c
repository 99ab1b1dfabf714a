// SPDX-License-Identifier: GPL-3.0-or-later
/* See the header. Everything is read through a cursor whose failure sticks, and judged once at the end. */
#include "gateway/dtls_record.h"

#define HEADER_BYTES 13 /* of DTLS 1.2 without a CID, and of plain records of 1.3 */
#define HANDSHAKE_HEADER_BYTES 12
#define VERSION_MAJOR 0xfe

/* DTLS 1.3 unified header: 001CSLEE */
#define UNIFIED_MASK 0xe0
#define UNIFIED 0x20
#define UNIFIED_CID 0x10
#define UNIFIED_LONG_SEQUENCE 0x08
#define UNIFIED_LENGTH 0x04
#define UNIFIED_EPOCH 0x03
#define UNIFIED_EPOCH_HANDSHAKE 2

enum { HANDSHAKE_CLIENT_HELLO = 1, HANDSHAKE_CLIENT_KEY_EXCHANGE = 16 };

enum {
    EXTENSION_SERVER_CERTIFICATE_TYPE = 20, /* RFC 7250 */
    EXTENSION_PRE_SHARED_KEY = 41,
    EXTENSION_COOKIE = 44,
};
enum { CERTIFICATE_TYPE_X509 = 0, CERTIFICATE_TYPE_RAW_KEY = 2 };

#define SUITE_AES_128_GCM_13 0x1301

struct cursor {
    struct bytes rest;
    bool failed;
};

static struct bytes take(struct cursor *cursor, size_t len)
{
    if (cursor->failed || cursor->rest.len < len) {
        cursor->failed = true;
        return (struct bytes){0};
    }
    struct bytes taken = bytes_of(cursor->rest.ptr, len);
    cursor->rest = bytes_of(cursor->rest.ptr + len, cursor->rest.len - len);
    return taken;
}

static uint32_t take_uint(struct cursor *cursor, unsigned octets)
{
    struct bytes taken = take(cursor, octets);
    uint32_t value = 0;
    for (size_t i = 0; i < taken.len; i++)
        value = value << 8 | taken.ptr[i];
    return value;
}

/* A run that begins with its own length; a cursor over it that failed if the outer one did. */
static struct cursor take_vector(struct cursor *cursor, unsigned length_octets)
{
    uint32_t len = take_uint(cursor, length_octets);
    struct bytes run = take(cursor, len);
    return (struct cursor){run, cursor->failed};
}

static void take_unified(struct cursor *cursor, struct dtls_record *record)
{
    uint8_t first = (uint8_t)take_uint(cursor, 1);
    record->unified = true;
    record->epoch = first & UNIFIED_EPOCH;
    if (first & UNIFIED_CID)
        record->cid = take(cursor, DTLS_CID_BYTES);
    take(cursor, first & UNIFIED_LONG_SEQUENCE ? 2 : 1);
    record->body = first & UNIFIED_LENGTH ? take_vector(cursor, 2).rest : take(cursor, cursor->rest.len);
}

static void take_classic(struct cursor *cursor, struct dtls_record *record)
{
    record->content = (uint8_t)take_uint(cursor, 1);
    cursor->failed |= take_uint(cursor, 1) != VERSION_MAJOR;
    take(cursor, 1);
    record->epoch = (uint16_t)take_uint(cursor, 2);
    take(cursor, 6);
    if (record->content == DTLS_CONTENT_CID)
        record->cid = take(cursor, DTLS_CID_BYTES);
    record->body = take_vector(cursor, 2).rest;
}

static bool content_is_known(const struct dtls_record *record)
{
    return record->unified || record->content == DTLS_CONTENT_ACK ||
           (record->content >= DTLS_CONTENT_CHANGE_CIPHER_SPEC && record->content <= DTLS_CONTENT_APPLICATION_DATA) ||
           record->content == DTLS_CONTENT_CID;
}

bool dtls_record_take(struct bytes *datagram, struct dtls_record *ret)
{
    struct cursor cursor = {*datagram, datagram->len == 0};
    struct dtls_record record = {0};
    if (!cursor.failed && (datagram->ptr[0] & UNIFIED_MASK) == UNIFIED)
        take_unified(&cursor, &record);
    else
        take_classic(&cursor, &record);
    record.whole = bytes_of(datagram->ptr, datagram->len - cursor.rest.len);
    *datagram = cursor.failed ? (struct bytes){0} : cursor.rest;
    if (cursor.failed || record.body.len == 0 || !content_is_known(&record)) {
        *datagram = (struct bytes){0};
        return false;
    }
    *ret = record;
    return true;
}

static bool is_plain_handshake(const struct dtls_record *record)
{
    return !record->unified && record->content == DTLS_CONTENT_HANDSHAKE && record->epoch == 0;
}

/* A flight may begin with plain records and end with one that carries the CID: then the CID says whose it is, because
 * the association may be known by nothing else any more. */
static bool find_cid(struct bytes datagram, struct bytes *ret_cid)
{
    struct dtls_record record;
    while (dtls_record_take(&datagram, &record)) {
        if (record.cid.len) {
            *ret_cid = record.cid;
            return true;
        }
    }
    return false;
}

enum dtls_kind dtls_classify(struct bytes datagram, struct bytes *ret_cid)
{
    struct dtls_record record;
    struct bytes rest = datagram;
    if (!dtls_record_take(&rest, &record))
        return DTLS_JUNK;
    if (is_plain_handshake(&record) && record.body.ptr[0] == HANDSHAKE_CLIENT_HELLO)
        return DTLS_CLIENT_HELLO;
    return find_cid(datagram, ret_cid) ? DTLS_CID_RECORD : DTLS_RECORD;
}

bool dtls_record_is_handshake(struct bytes datagram)
{
    struct dtls_record record;
    if (!dtls_record_take(&datagram, &record))
        return false;
    if (record.unified)
        return record.epoch == UNIFIED_EPOCH_HANDSHAKE;
    return record.epoch == 0 || record.content != DTLS_CONTENT_APPLICATION_DATA;
}

bool dtls_record_psk_identity_len(const struct dtls_record *record, size_t *ret_len)
{
    struct cursor messages = {record->body, !is_plain_handshake(record)};
    while (!messages.failed && messages.rest.len > 0) {
        uint32_t type = take_uint(&messages, 1);
        take(&messages, 3 + 2); /* length of the whole message, its number */
        uint32_t offset = take_uint(&messages, 3);
        struct cursor fragment = take_vector(&messages, 3);
        if (type == HANDSHAKE_CLIENT_KEY_EXCHANGE && offset == 0 && fragment.rest.len >= 2) {
            *ret_len = take_uint(&fragment, 2);
            return true;
        }
    }
    return false;
}

static void see_suites(struct cursor suites, struct dtls_hello_view *hello)
{
    while (suites.rest.len >= 2)
        hello->offers_aes_13 |= take_uint(&suites, 2) == SUITE_AES_128_GCM_13;
}

static void see_certificate_types(struct cursor body, struct dtls_hello_view *hello)
{
    struct cursor types = take_vector(&body, 1);
    bool x509 = false, raw_key = false;
    for (size_t i = 0; i < types.rest.len; i++) {
        x509 |= types.rest.ptr[i] == CERTIFICATE_TYPE_X509;
        raw_key |= types.rest.ptr[i] == CERTIFICATE_TYPE_RAW_KEY;
    }
    hello->wants_raw_key = raw_key && !x509;
}

/* RFC 8446 4.2.11: identities, each with an age; the binders after them do not matter here. */
static void see_psk_identities(struct cursor body, struct dtls_hello_view *hello)
{
    struct cursor identities = take_vector(&body, 2);
    while (!identities.failed && identities.rest.len > 0) {
        struct bytes identity = take_vector(&identities, 2).rest;
        take(&identities, 4);
        hello->psk_identity_has_nul |= identity.len > 0 && memchr(identity.ptr, '\0', identity.len) != NULL;
    }
}

static void see_extensions(struct cursor extensions, struct dtls_hello_view *hello)
{
    while (!extensions.failed && extensions.rest.len > 0) {
        uint32_t type = take_uint(&extensions, 2);
        struct cursor body = take_vector(&extensions, 2);
        if (body.failed)
            return;
        if (type == EXTENSION_COOKIE)
            hello->has_cookie = true;
        else if (type == EXTENSION_SERVER_CERTIFICATE_TYPE)
            see_certificate_types(body, hello);
        else if (type == EXTENSION_PRE_SHARED_KEY)
            see_psk_identities(body, hello);
    }
}

bool dtls_hello_read(struct bytes datagram, struct dtls_hello_view *ret)
{
    struct dtls_record record;
    struct dtls_hello_view hello = {0};
    if (!dtls_record_take(&datagram, &record) || !is_plain_handshake(&record))
        return false;
    struct cursor message = {record.body, false};
    uint32_t type = take_uint(&message, 1), len = take_uint(&message, 3);
    take(&message, 2);
    uint32_t offset = take_uint(&message, 3);
    /* In one piece: half a hello can be checked by nobody, and no device has one that does not fit. */
    struct cursor body = take_vector(&message, 3);
    if (type != HANDSHAKE_CLIENT_HELLO || offset != 0 || body.failed || body.rest.len != len || message.rest.len > 0)
        return false;
    take(&body, 2); /* client_version */
    hello.random = take(&body, DTLS_RANDOM_BYTES);
    take_vector(&body, 1); /* session_id */
    hello.has_cookie = take_vector(&body, 1).rest.len > 0;
    see_suites(take_vector(&body, 2), &hello);
    take_vector(&body, 1); /* compression methods */
    if (!body.failed && body.rest.len > 0)
        see_extensions(take_vector(&body, 2), &hello);
    if (body.failed || body.rest.len > 0)
        return false;
    *ret = hello;
    return true;
}
