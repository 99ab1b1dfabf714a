// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One walk over the options fills the message; a second one, when the path and the query are known to be wanted, copies
 * their texts out.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |Ver| T |  TKL  |      Code     |          Message ID           |
 *   |   Token (TKL bytes) ...   Options ...   0xFF   Payload ...    |
 *
 * An option of a length that the table does not allow, a repetition that it does not allow, and an option without
 * meaning for the method all count as not recognised (RFC 7252 5.4.1, 5.4.3, 5.4.5): elective ones are passed over,
 * critical ones are noted in message->refused.
 */
#include "gateway/message.h"

#include <coap3/coap.h>

static const struct message_option_row option_table[] = {
    {MESSAGE_IF_MATCH, "If-Match", true, 0, 8, MESSAGE_USED},
    {MESSAGE_URI_HOST, "Uri-Host", false, 1, 255, MESSAGE_IGNORED},
    {MESSAGE_ETAG, "ETag", true, 1, 8, MESSAGE_USED},
    {MESSAGE_IF_NONE_MATCH, "If-None-Match", false, 0, 0, MESSAGE_USED},
    {MESSAGE_OBSERVE, "Observe", false, 0, 3, MESSAGE_USED},
    {MESSAGE_URI_PORT, "Uri-Port", false, 0, 2, MESSAGE_IGNORED},
    {MESSAGE_LOCATION_PATH, "Location-Path", true, 0, 255, MESSAGE_IGNORED},
    {MESSAGE_URI_PATH, "Uri-Path", true, 0, 255, MESSAGE_USED},
    {MESSAGE_CONTENT_FORMAT, "Content-Format", false, 0, 2, MESSAGE_USED},
    {MESSAGE_MAX_AGE, "Max-Age", false, 0, 4, MESSAGE_IGNORED},
    {MESSAGE_URI_QUERY, "Uri-Query", true, 0, 255, MESSAGE_USED},
    {MESSAGE_HOP_LIMIT, "Hop-Limit", false, 1, 1, MESSAGE_IGNORED},
    {MESSAGE_ACCEPT, "Accept", false, 0, 2, MESSAGE_USED},
    {MESSAGE_LOCATION_QUERY, "Location-Query", true, 0, 255, MESSAGE_IGNORED},
    {MESSAGE_BLOCK2, "Block2", false, 0, 3, MESSAGE_USED},
    {MESSAGE_BLOCK1, "Block1", false, 0, 3, MESSAGE_USED},
    {MESSAGE_SIZE2, "Size2", false, 0, 4, MESSAGE_USED},
    {MESSAGE_PROXY_URI, "Proxy-Uri", false, 1, 1034, MESSAGE_NOT_PROXIED},
    {MESSAGE_PROXY_SCHEME, "Proxy-Scheme", false, 1, 255, MESSAGE_NOT_PROXIED},
    {MESSAGE_SIZE1, "Size1", false, 0, 4, MESSAGE_USED},
    {MESSAGE_ECHO, "Echo", false, 1, 40, MESSAGE_USED},
    {MESSAGE_NO_RESPONSE, "No-Response", false, 0, 1, MESSAGE_USED},
    {MESSAGE_REQUEST_TAG, "Request-Tag", true, 0, 8, MESSAGE_USED},
    /* Of any length: a malformed one is told, because passing it over would weaken what the sender was promised. */
    {MESSAGE_SEQUENCE, "Sequence", false, 0, UINT16_MAX, MESSAGE_USED},
};

#define OPTION_COUNT (sizeof option_table / sizeof option_table[0])

const struct message_option_row *message_option_table(size_t *ret_count)
{
    *ret_count = OPTION_COUNT;
    return option_table;
}

/* The walk over the options of one message. */
struct cursor {
    const uint8_t *at, *end;
    uint32_t number;
    struct bytes value;
};

enum step { STEP_OPTION, STEP_PAYLOAD, STEP_END, STEP_BROKEN };

#define PAYLOAD_MARKER 0xff

static enum step next_option(struct cursor *cursor)
{
    if (cursor->at == cursor->end)
        return STEP_END;
    if (*cursor->at == PAYLOAD_MARKER)
        return STEP_PAYLOAD;
    coap_option_t option;
    size_t taken = coap_opt_parse(cursor->at, (size_t)(cursor->end - cursor->at), &option);
    if (taken == 0)
        return STEP_BROKEN;
    cursor->number += option.delta;
    if (cursor->number > UINT16_MAX)
        return STEP_BROKEN;
    cursor->at += taken;
    cursor->value = bytes_of(option.value, option.length);
    return STEP_OPTION;
}

static struct cursor cursor_of(const struct message *message)
{
    return (struct cursor){.at = message->options.ptr, .end = message->options.ptr + message->options.len};
}

static uint32_t read_uint(struct bytes value)
{
    uint32_t number = 0;
    for (size_t i = 0; i < value.len; i++)
        number = number << 8 | value.ptr[i];
    return number;
}

static void add_etag(struct etag *etags, unsigned *count, struct bytes value)
{
    /* More than that is not worth keeping: an ETag that is not compared only costs a full answer, an If-Match 4.12. */
    if (*count == REQUEST_ETAGS_MAX)
        return;
    struct etag *etag = &etags[(*count)++];
    etag->len = (uint8_t)value.len;
    memcpy(etag->octets, value.ptr, value.len);
}

static void add_path(struct message *message, struct bytes segment)
{
    message->path_dotted |= bytes_equal_text(segment, ".") || bytes_equal_text(segment, "..");
    message->path_opaque |= segment.len > 0 && memchr(segment.ptr, '/', segment.len) != NULL;
    message->path_segments++;
    message->path_bytes += segment.len;
}

static void refuse_option(struct message *message, uint16_t number)
{
    if (message->refused_count < MESSAGE_REFUSED_MAX)
        message->refused[message->refused_count++] = number;
}

/* An option that is recognised, of a length that is allowed. */
static void take_option(struct message *message, uint16_t number, struct bytes value)
{
    switch (number) {
    case MESSAGE_IF_MATCH:
        add_etag(message->if_match, &message->if_match_count, value);
        break;
    case MESSAGE_ETAG:
        add_etag(message->etags, &message->etag_count, value);
        break;
    case MESSAGE_IF_NONE_MATCH:
        message->if_none_match = true;
        break;
    case MESSAGE_OBSERVE:
        message->observe = (int32_t)read_uint(value);
        break;
    case MESSAGE_URI_PATH:
        add_path(message, value);
        break;
    case MESSAGE_CONTENT_FORMAT:
        message->content_format = (int32_t)read_uint(value);
        break;
    case MESSAGE_URI_QUERY:
        message->query_count++;
        message->query_bytes += value.len;
        break;
    case MESSAGE_ACCEPT:
        message->accept = (int32_t)read_uint(value);
        break;
    case MESSAGE_BLOCK2:
        message->block2 = read_uint(value);
        break;
    case MESSAGE_BLOCK1:
        message->block1 = read_uint(value);
        break;
    case MESSAGE_SIZE2:
        message->size2 = read_uint(value);
        break;
    case MESSAGE_PROXY_URI:
    case MESSAGE_PROXY_SCHEME:
        message->proxied = true;
        break;
    case MESSAGE_SIZE1:
        message->size1 = read_uint(value);
        break;
    case MESSAGE_ECHO:
        message->echo = value;
        break;
    case MESSAGE_NO_RESPONSE:
        message->no_response = (uint8_t)read_uint(value);
        break;
    case MESSAGE_SEQUENCE:
        message->has_sequence = true;
        message->sequence = value;
        break;
    default: /* recognised and without effect here, or read again by whoever needs it (Request-Tag) */
        break;
    }
}

static bool means_something(const struct message *message, uint16_t number)
{
    /* RFC 7959 2.1: Block1 goes with request bodies, which GET and DELETE do not have. */
    return number != MESSAGE_BLOCK1 || (message->code != METHOD_GET && message->code != METHOD_DELETE);
}

static const struct message_option_row *find_row(size_t *from, uint16_t number)
{
    /* Options come in rising order, so the search goes on where the last one ended. */
    while (*from < OPTION_COUNT && option_table[*from].number < number)
        ++*from;
    return *from < OPTION_COUNT && option_table[*from].number == number ? &option_table[*from] : NULL;
}

static bool parse_options(struct message *message, struct bytes rest)
{
    struct cursor cursor = {.at = rest.ptr, .end = rest.ptr + rest.len};
    uint32_t last = UINT32_MAX;
    size_t row_index = 0;
    enum step step;
    while ((step = next_option(&cursor)) == STEP_OPTION) {
        uint16_t number = (uint16_t)cursor.number;
        const struct message_option_row *row = find_row(&row_index, number);
        bool repeated = number == last;
        last = number;
        if (row && cursor.value.len >= row->min_len && cursor.value.len <= row->max_len &&
            (row->repeatable || !repeated) && means_something(message, number))
            take_option(message, number, cursor.value);
        else if (number & 1)
            refuse_option(message, number);
    }
    message->options = bytes_of(rest.ptr, (size_t)(cursor.at - rest.ptr));
    if (step == STEP_PAYLOAD) {
        message->payload = bytes_of(cursor.at + 1, (size_t)(cursor.end - cursor.at) - 1);
        return message->payload.len > 0;
    }
    return step == STEP_END;
}

/* RFC 7252 12.1.2 and 4.2: classes 1, 6 and 7 are reserved or not for UDP, class 3 has no meaning. */
static bool class_exists(uint8_t code)
{
    unsigned class = code >> 5;
    return class == 0 || class == 2 || class == 4 || class == 5;
}

enum message_verdict message_parse(struct bytes datagram, struct message *ret)
{
    if (datagram.len < 4 || datagram.ptr[0] >> 6 != 1)
        return MESSAGE_NOT_COAP;
    *ret = (struct message){
        .type = datagram.ptr[0] >> 4 & 3,
        .code = datagram.ptr[1],
        .id = (uint16_t)(datagram.ptr[2] << 8 | datagram.ptr[3]),
        .observe = -1,
        .content_format = CONTENT_FORMAT_NONE,
        .accept = CONTENT_FORMAT_NONE,
        .block1 = -1,
        .block2 = -1,
        .size1 = -1,
        .size2 = -1,
    };
    size_t token_len = datagram.ptr[0] & 15;
    ret->options = bytes_of(datagram.ptr + 4, 0);
    if (ret->code == MESSAGE_EMPTY)
        return datagram.len == 4 && token_len == 0 ? MESSAGE_FINE : MESSAGE_MALFORMED;
    if (token_len > MESSAGE_TOKEN_MAX || token_len > datagram.len - 4 || !class_exists(ret->code))
        return MESSAGE_MALFORMED;
    ret->token.len = (uint8_t)token_len;
    memcpy(ret->token.octets, datagram.ptr + 4, token_len);
    struct bytes rest = bytes_of(datagram.ptr + 4 + token_len, datagram.len - 4 - token_len);
    if (!parse_options(ret, rest))
        return MESSAGE_MALFORMED;
    /* One empty segment would read "/", which is no segment at all. */
    ret->path_opaque |= ret->path_segments == 1 && ret->path_bytes == 0;
    return MESSAGE_FINE;
}

size_t message_path_len(const struct message *message)
{
    return message->path_segments ? message->path_bytes + message->path_segments : 1;
}

/* The next option of that number whose length is allowed; the message is known to be well-formed. */
static bool next_of(struct cursor *cursor, enum message_option number, size_t max_len)
{
    while (next_option(cursor) == STEP_OPTION && cursor->number <= (uint32_t)number)
        if (cursor->number == (uint32_t)number && cursor->value.len <= max_len)
            return true;
    return false;
}

void message_path(const struct message *message, uint8_t *ret)
{
    struct cursor cursor = cursor_of(message);
    if (message->path_segments == 0)
        *ret = '/';
    while (next_of(&cursor, MESSAGE_URI_PATH, 255)) {
        *ret++ = '/';
        memcpy(ret, cursor.value.ptr, cursor.value.len);
        ret += cursor.value.len;
    }
}

void message_query(const struct message *message, struct query_parameter *ret, uint8_t *text)
{
    struct cursor cursor = cursor_of(message);
    for (unsigned i = 0; i < message->query_count && next_of(&cursor, MESSAGE_URI_QUERY, 255); i++) {
        size_t len = cursor.value.len;
        memcpy(text, cursor.value.ptr, len);
        const uint8_t *equals = len ? memchr(text, '=', len) : NULL;
        size_t name_len = equals ? (size_t)(equals - text) : len;
        ret[i].name = bytes_of(text, name_len);
        ret[i].value = equals ? bytes_of(equals + 1, len - name_len - 1) : bytes_of(text + len, 0);
        text += len;
    }
}

static bool is_part_of_transfer(uint32_t number)
{
    switch (number) {
    case MESSAGE_IF_NONE_MATCH: /* RFC 7959 2.7: only with the first block */
    case MESSAGE_OBSERVE:
    case MESSAGE_BLOCK1:
    case MESSAGE_BLOCK2:
        return false;
    default:
        return (number & 0x1e) != 0x1c; /* RFC 7252 5.4.6: NoCacheKey */
    }
}

uint64_t message_transfer_key(const struct message *message, const struct hash_key *key)
{
    struct cursor cursor = cursor_of(message);
    uint64_t sum = message->code;
    while (next_option(&cursor) == STEP_OPTION) {
        if (!is_part_of_transfer(cursor.number))
            continue;
        uint64_t before[2] = {sum, cursor.number};
        sum = hash_pair(key, bytes_of(before, sizeof before), cursor.value);
    }
    return sum;
}

void message_put(struct message_writer *writer, enum message_option number, struct bytes value)
{
    size_t room = sizeof writer->octets - MESSAGE_HEAD_MAX - writer->len;
    if (writer->failed)
        return;
    size_t taken = coap_opt_encode(writer->octets + MESSAGE_HEAD_MAX + writer->len, room,
                                   (uint16_t)(number - writer->last_option), value.ptr, value.len);
    writer->failed = taken == 0;
    writer->len = (uint16_t)(writer->len + taken);
    writer->last_option = (uint16_t)number;
}

void message_put_uint(struct message_writer *writer, enum message_option number, uint32_t value)
{
    uint8_t octets[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    size_t skip = value ? (size_t)__builtin_clz(value) / 8 : 4;
    message_put(writer, number, bytes_of(octets + skip, 4 - skip));
}

void message_put_payload(struct message_writer *writer, struct bytes payload)
{
    if (payload.len == 0 || writer->failed)
        return;
    uint8_t *at = writer->octets + MESSAGE_HEAD_MAX + writer->len;
    if (payload.len + 1 > sizeof writer->octets - MESSAGE_HEAD_MAX - writer->len) {
        writer->failed = true;
        return;
    }
    *at = PAYLOAD_MARKER;
    memcpy(at + 1, payload.ptr, payload.len);
    writer->len = (uint16_t)(writer->len + 1 + payload.len);
}

size_t message_write_head(uint8_t ret[static MESSAGE_HEAD_MAX], enum message_type type, uint8_t code, uint16_t id,
                          const struct message_token *token)
{
    ret[0] = (uint8_t)(1U << 6 | (unsigned)type << 4 | token->len);
    ret[1] = code;
    ret[2] = (uint8_t)(id >> 8);
    ret[3] = (uint8_t)id;
    memcpy(ret + 4, token->octets, token->len);
    return 4 + (size_t)token->len;
}

struct bytes message_finish(struct message_writer *writer, enum message_type type, uint8_t code, uint16_t id,
                            const struct message_token *token)
{
    uint8_t head[MESSAGE_HEAD_MAX];
    size_t len = message_write_head(head, type, code, id, token);
    uint8_t *start = writer->octets + MESSAGE_HEAD_MAX - len;
    memcpy(start, head, len);
    return bytes_of(start, len + writer->len);
}
