// SPDX-License-Identifier: GPL-3.0-or-later
/* POST /obs of one SenML record whose value is the sequence number, which is also said where --seq wants it. */
#include "cmd/sim_message.h"

#include "cmd/sim_ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAYLOAD_MAX 128

static struct message_token token_of(uint32_t device, uint32_t seq)
{
    struct message_token token = {.len = 8};
    for (int i = 0; i < 4; i++) {
        token.octets[i] = (uint8_t)(device >> (24 - 8 * i));
        token.octets[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
    }
    return token;
}

static size_t put_json(uint8_t ret[static PAYLOAD_MAX], const struct sim_message_shape *shape, uint32_t seq)
{
    char sequence[48] = "";
    if (shape->sequence == SIM_SEQUENCE_SENML)
        snprintf(sequence, sizeof sequence, ",\"epoch\":%" PRIu32 ",\"seq\":%" PRIu32, shape->epoch, seq);
    return (size_t)snprintf((char *)ret, PAYLOAD_MAX, "[{\"n\":\"%s\",\"u\":\"count\",\"v\":%" PRIu32 "%s}]",
                            shape->run_name, seq, sequence);
}

static size_t put_number(uint8_t *ret, uint32_t number)
{
    ret[0] = 0x1a;
    for (unsigned i = 0; i < 4; i++)
        ret[1 + i] = (uint8_t)(number >> (24 - 8 * i));
    return 5;
}

/* "epoch": epoch, "seq": seq */
static size_t put_sequence(uint8_t *ret, uint32_t epoch, uint32_t seq)
{
    static const uint8_t epoch_key[] = {0x65, 'e', 'p', 'o', 'c', 'h'}, seq_key[] = {0x63, 's', 'e', 'q'};
    size_t at = sizeof epoch_key;
    memcpy(ret, epoch_key, sizeof epoch_key);
    at += put_number(ret + at, epoch);
    memcpy(ret + at, seq_key, sizeof seq_key);
    at += sizeof seq_key;
    return at + put_number(ret + at, seq);
}

/* [{0: name, 1: "count", 2: seq}]; a name has at most SIM_LEDGER_NAME_MAX characters. */
static size_t put_cbor(uint8_t ret[static PAYLOAD_MAX], const struct sim_message_shape *shape, uint32_t seq)
{
    const char *name = shape->run_name;
    bool has_sequence = shape->sequence == SIM_SEQUENCE_SENML;
    size_t name_len = strlen(name), at = 0;
    const uint8_t head[] = {0x81, has_sequence ? 0xa5 : 0xa3, 0x00, 0x78, (uint8_t)name_len};
    memcpy(ret, head, sizeof head);
    at += sizeof head;
    memcpy(ret + at, name, name_len);
    at += name_len;
    const uint8_t unit[] = {0x01, 0x65, 'c', 'o', 'u', 'n', 't', 0x02};
    memcpy(ret + at, unit, sizeof unit);
    at += sizeof unit;
    at += put_number(ret + at, seq);
    return has_sequence ? at + put_sequence(ret + at, shape->epoch, seq) : at;
}

static void put_query(struct message_writer *writer, const char *name, const char *value, size_t value_len)
{
    char text[64];
    int len = snprintf(text, sizeof text, "%s=%.*s", name, (int)value_len, value);
    message_put(writer, MESSAGE_URI_QUERY, bytes_of(text, (size_t)len));
}

static void put_queries(struct message_writer *writer, const struct sim_message_shape *shape, uint32_t device,
                        const struct sequence *sequence)
{
    if (shape->names_device) {
        char name[SIM_DEVICE_NAME_MAX];
        put_query(writer, "d", name, sim_device_name(name, device));
    }
    if (shape->sequence == SIM_SEQUENCE_QUERY) {
        char text[DELIVERY_SEQUENCE_TEXT_MAX];
        put_query(writer, "n", text, delivery_write_sequence(sequence, text));
    }
    if (shape->level && shape->level[0])
        put_query(writer, "level", shape->level, strlen(shape->level));
}

struct bytes sim_message_request(struct message_writer *writer, const struct sim_message_shape *shape, uint32_t device,
                                 uint32_t seq, uint16_t mid)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t len = shape->cbor ? put_cbor(payload, shape, seq) : put_json(payload, shape, seq);
    const struct sequence sequence = {true, shape->epoch, seq};
    message_writer_init(writer);
    message_put(writer, MESSAGE_URI_PATH, BYTES_LITERAL("obs"));
    message_put_uint(writer, MESSAGE_CONTENT_FORMAT,
                     shape->cbor ? CONTENT_FORMAT_SENML_CBOR : CONTENT_FORMAT_SENML_JSON);
    put_queries(writer, shape, device, &sequence);
    if (shape->sequence == SIM_SEQUENCE_OPTION) {
        uint8_t option[DELIVERY_OPTION_MAX];
        message_put(writer, MESSAGE_SEQUENCE, bytes_of(option, delivery_write_option(&sequence, option)));
    }
    message_put_payload(writer, bytes_of(payload, len));
    struct message_token token = token_of(device, seq);
    return message_finish(writer, shape->non ? MESSAGE_NON : MESSAGE_CON, METHOD_POST, mid, &token);
}

bool sim_message_matches(const struct message *answer, uint32_t device, uint32_t seq)
{
    struct message_token token = token_of(device, seq);
    return answer->token.len == token.len && memcmp(answer->token.octets, token.octets, token.len) == 0;
}

static bool contains(struct bytes text, const char *word)
{
    return text.len > 0 && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

/* weir's own receipt, one form of JSON: searching is reading. */
bool sim_message_receipt(const struct message *answer, struct sim_receipt *ret)
{
    if (answer->content_format != CONTENT_FORMAT_JSON)
        return false;
    for (enum delivery_level level = LEVEL_SPOOLED; level < LEVEL_COUNT; level++) {
        char member[32];
        snprintf(member, sizeof member, "\"level\":\"%s\"", delivery_level_name(level));
        if (contains(answer->payload, member)) {
            *ret = (struct sim_receipt){level, contains(answer->payload, "\"duplicate\":true")};
            return true;
        }
    }
    return false;
}
