// SPDX-License-Identifier: GPL-3.0-or-later
/* POST /obs of one SenML record whose value is the sequence number. */
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

static size_t put_json(uint8_t ret[static PAYLOAD_MAX], const char *name, uint32_t seq)
{
    return (size_t)snprintf((char *)ret, PAYLOAD_MAX, "[{\"n\":\"%s\",\"u\":\"count\",\"v\":%" PRIu32 "}]", name, seq);
}

/* [{0: name, 1: "count", 2: seq}]; a name has at most SIM_LEDGER_NAME_MAX characters. */
static size_t put_cbor(uint8_t ret[static PAYLOAD_MAX], const char *name, uint32_t seq)
{
    size_t name_len = strlen(name), at = 0;
    const uint8_t head[] = {0x81, 0xa3, 0x00, 0x78, (uint8_t)name_len};
    memcpy(ret, head, sizeof head);
    at += sizeof head;
    memcpy(ret + at, name, name_len);
    at += name_len;
    const uint8_t unit[] = {0x01, 0x65, 'c', 'o', 'u', 'n', 't', 0x02, 0x1a};
    memcpy(ret + at, unit, sizeof unit);
    at += sizeof unit;
    for (int shift = 24; shift >= 0; shift -= 8)
        ret[at++] = (uint8_t)(seq >> shift);
    return at;
}

struct bytes sim_message_request(struct message_writer *writer, const struct sim_message_shape *shape, uint32_t device,
                                 uint32_t seq, uint16_t mid)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t len = shape->cbor ? put_cbor(payload, shape->run_name, seq) : put_json(payload, shape->run_name, seq);
    message_writer_init(writer);
    message_put(writer, MESSAGE_URI_PATH, BYTES_LITERAL("obs"));
    message_put_uint(writer, MESSAGE_CONTENT_FORMAT,
                     shape->cbor ? CONTENT_FORMAT_SENML_CBOR : CONTENT_FORMAT_SENML_JSON);
    if (shape->names_device) {
        char query[2 + SIM_DEVICE_NAME_MAX] = "d=";
        size_t name_len = sim_device_name(query + 2, device);
        message_put(writer, MESSAGE_URI_QUERY, bytes_of(query, 2 + name_len));
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
