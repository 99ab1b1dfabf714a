// SPDX-License-Identifier: GPL-3.0-or-later
/* Written by the sink of a worker, read by the push: maybe an hour later, maybe by another process. */
#include "gateway/parcel.h"

#include "codec/hash.h"
#include "gateway/cumulative.h"
#include "gateway/rights.h"

#include <endian.h>

#define VERSION 2
#define VERSION_WITH_PROOF 3
#define VERSION_WITHOUT_COUNTERS 1

/* Keys are compared across restarts, so these may never change. Nobody gains by making two keys of a device collide. */
static const struct hash_key key_high = {0x7765697220736571, 0x75656e6365206b65};
static const struct hash_key key_low = {0x6b65792066697865, 0x6420666f72657665};
static const struct hash_key lane_key = {0x7765697220706172, 0x63656c206c616e65};

void parcel_key(const struct sink_message *message, uint8_t ret[static SINK_KEY_BYTES])
{
    if (message->identity_class != CLASS_EXACT) {
        memcpy(ret, message->key, SINK_KEY_BYTES);
        return;
    }
    struct bytes parts[] = {message->tenant, message->speaker,
                            bytes_of(&message->sequence.epoch, sizeof message->sequence.epoch),
                            bytes_of(&message->sequence.seq, sizeof message->sequence.seq)};
    uint64_t high = hash_parts(&key_high, parts, 4), low = hash_parts(&key_low, parts, 4);
    memcpy(ret, &high, sizeof high);
    memcpy(ret + sizeof high, &low, sizeof low);
}

static void write_head(struct msgpack *out, const struct sink_message *message, const uint8_t *key, int64_t received_s,
                       uint64_t waiter)
{
    uint8_t head[PARCEL_HEAD] = {message->proof ? VERSION_WITH_PROOF : VERSION};
    uint32_t fingerprint = htole32(message->fingerprint), records = htole32((uint32_t)message->count);
    uint64_t received = htole64((uint64_t)received_s), waits = htole64(waiter);
    head[1] = (uint8_t)(hash_pair(&lane_key, message->tenant, message->speaker) % PARCEL_LANES);
    head[2] = (uint8_t)message->identity_class;
    head[3] = (uint8_t)message->tenant.len;
    memcpy(head + 4, &fingerprint, 4);
    memcpy(head + 8, key, SINK_KEY_BYTES);
    memcpy(head + 24, &received, 8);
    memcpy(head + 32, &records, 4);
    head[36] = (uint8_t)message->level;
    memcpy(head + 40, &waits, 8);
    msgpack_raw(out, bytes_of(head, sizeof head));
    msgpack_raw(out, message->tenant);
}

static void write_record(struct msgpack *out, const struct sink_message *message, const struct sink_record *record,
                         struct bytes message_id, struct entry_scratch *scratch)
{
    struct bytes values[ENTRY_FIELDS];
    char stream[SCHEMA_KEY_MAX];
    if (!entry_values(message, record, message_id, scratch, values)) {
        out->failed = true;
        return;
    }
    msgpack_array(out, 1 + ENTRY_FIELDS + 2 * record->tag_count);
    msgpack_string(out, bytes_of(stream, schema_stream_suffix(stream, record->stream)));
    for (unsigned i = 0; i < ENTRY_FIELDS; i++)
        msgpack_string(out, values[i]);
    for (size_t i = 0; i < record->tag_count; i++) {
        msgpack_string(out, record->tags[i].name);
        msgpack_string(out, record->tags[i].value);
    }
}

static size_t count_counters(const struct sink_message *message)
{
    size_t count = 0;
    for (size_t i = 0; i < message->count; i++)
        count += message->records[i].observation->cumulative;
    return count;
}

/* A number that is too long to calculate with is "", and its record has no total. */
static void write_counter(struct msgpack *out, const struct sink_message *message, size_t at)
{
    const struct observation *observation = message->records[at].observation;
    char reading[CUMULATIVE_TEXT_MAX], modulus[CUMULATIVE_TEXT_MAX];
    size_t reading_len = cumulative_text(cumulative_reading(observation), reading);
    size_t modulus_len = observation->modulus.text.len ? cumulative_text(&observation->modulus, modulus) : 0;
    size_t local = rights_local_name(message->records[at].device, observation->name).len;
    msgpack_uint(out, at + 1);
    msgpack_uint(out, observation->name.len - local);
    msgpack_string(out, bytes_of(reading, reading_len));
    msgpack_string(out, bytes_of(modulus, modulus_len));
}

static void write_counters(struct msgpack *out, const struct sink_message *message)
{
    size_t count = count_counters(message);
    msgpack_array(out, 4 * count);
    for (size_t i = 0; i < message->count && count; i++)
        if (message->records[i].observation->cumulative)
            write_counter(out, message, i);
}

static void write_proof(struct msgpack *out, const struct sink_message *message, int64_t received_s,
                        struct bytes message_id, struct entry_scratch *scratch)
{
    struct bytes values[ENTRY_EVIDENCE_FIELDS];
    entry_evidence_values(message, received_s, message_id, scratch, values);
    msgpack_array(out, ENTRY_EVIDENCE_FIELDS);
    for (unsigned i = 0; i < ENTRY_EVIDENCE_FIELDS; i++)
        msgpack_string(out, values[i]);
}

/* Two octets, never both zero: zero means "not seen". */
static void make_mark(uint32_t fingerprint, uint8_t ret[static 2])
{
    uint16_t mark = (uint16_t)(fingerprint ^ fingerprint >> 16);
    if (mark == 0)
        mark = 1;
    ret[0] = (uint8_t)(mark >> 8);
    ret[1] = (uint8_t)mark;
}

static struct bytes decimal_text(uint64_t number, char text[static 20])
{
    size_t at = 20;
    do
        text[--at] = (char)('0' + number % 10);
    while (number /= 10);
    return bytes_of(text + at, 20 - at);
}

void parcel_write(struct msgpack *out, const struct sink_message *message, const uint8_t key[static SINK_KEY_BYTES],
                  int64_t received_s, uint64_t waiter, struct bytes message_id, struct entry_scratch *scratch)
{
    char class = (char)message->identity_class, epoch[20];
    uint8_t mark[2];
    make_mark(message->fingerprint, mark);
    write_head(out, message, key, received_s, waiter);
    msgpack_array(out, message->proof ? 9 : 8);
    msgpack_string(out, bytes_of(&class, 1));
    msgpack_string(out, message->speaker);
    msgpack_string(out, decimal_text(message->sequence.epoch, epoch));
    msgpack_uint(out, message->sequence.seq);
    msgpack_string(out, bytes_of(mark, sizeof mark));
    msgpack_string(out, bytes_of(key, SINK_KEY_BYTES));
    msgpack_array(out, message->count);
    for (size_t i = 0; i < message->count; i++)
        write_record(out, message, &message->records[i], message_id, scratch);
    write_counters(out, message);
    if (message->proof)
        write_proof(out, message, received_s, message_id, scratch);
}

static bool is_class(uint8_t letter)
{
    return letter == CLASS_EXACT || letter == CLASS_WINDOWED || letter == CLASS_TRANSPORT;
}

static bool is_version(uint8_t version)
{
    return version >= VERSION_WITHOUT_COUNTERS && version <= VERSION_WITH_PROOF;
}

bool parcel_is_newer(struct bytes body)
{
    return body.len >= PARCEL_HEAD && body.ptr[0] > VERSION_WITH_PROOF;
}

bool parcel_read(struct bytes body, struct parcel *ret)
{
    uint32_t fingerprint, records;
    uint64_t received, waiter;
    if (body.len < PARCEL_HEAD || !is_version(body.ptr[0]) || body.ptr[1] >= PARCEL_LANES ||
        !is_class(body.ptr[2]) || body.ptr[36] >= LEVEL_COUNT || body.len - PARCEL_HEAD < body.ptr[3])
        return false;
    struct bytes tenant = bytes_of(body.ptr + PARCEL_HEAD, body.ptr[3]);
    if (!schema_tenant_is_valid(tenant))
        return false;
    memcpy(&fingerprint, body.ptr + 4, 4);
    memcpy(&received, body.ptr + 24, 8);
    memcpy(&records, body.ptr + 32, 4);
    memcpy(&waiter, body.ptr + 40, 8);
    *ret = (struct parcel){
        .lane = body.ptr[1],
        .identity_class = (enum delivery_class)body.ptr[2],
        .level = (enum delivery_level)body.ptr[36],
        .tenant = tenant,
        .fingerprint = le32toh(fingerprint),
        .received_s = (int64_t)le64toh(received),
        .records = le32toh(records),
        .waiter = le64toh(waiter),
        .message = bytes_of(tenant.ptr + tenant.len, body.len - PARCEL_HEAD - tenant.len),
    };
    memcpy(ret->key, body.ptr + 8, SINK_KEY_BYTES);
    return true;
}
