// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * CoAP messages, bytes to struct and back (RFC 7252 section 3 and 5.4). Pure: no state, no memory of its own.
 *
 * The first four bytes and the token are read here; options are split by libcoap's coap_opt_parse and judged by one
 * table (message_option_table), because libcoap refuses whole messages for what RFC 7252 5.4.3 wants ignored. A parsed
 * message borrows from the datagram. Never fails on memory, never logs.
 */
#pragma once

#include "codec/format.h"
#include "codec/hash.h"
#include "gateway/request.h"

#define MESSAGE_TOKEN_MAX 8
#define MESSAGE_EMPTY 0
#define MESSAGE_ECHO_MAX 40
#define MESSAGE_REFUSED_MAX 4
#define MESSAGE_CODE(class, detail) ((class) * 32 + (detail))

enum message_type { MESSAGE_CON, MESSAGE_NON, MESSAGE_ACK, MESSAGE_RST };

/* Option numbers (IANA registry "CoAP Option Numbers"). */
enum message_option {
    MESSAGE_IF_MATCH = 1,
    MESSAGE_URI_HOST = 3,
    MESSAGE_ETAG = 4,
    MESSAGE_IF_NONE_MATCH = 5,
    MESSAGE_OBSERVE = 6,
    MESSAGE_URI_PORT = 7,
    MESSAGE_LOCATION_PATH = 8,
    MESSAGE_URI_PATH = 11,
    MESSAGE_CONTENT_FORMAT = 12,
    MESSAGE_MAX_AGE = 14,
    MESSAGE_URI_QUERY = 15,
    MESSAGE_HOP_LIMIT = 16,
    MESSAGE_ACCEPT = 17,
    MESSAGE_LOCATION_QUERY = 20,
    MESSAGE_BLOCK2 = 23,
    MESSAGE_BLOCK1 = 27,
    MESSAGE_SIZE2 = 28,
    MESSAGE_PROXY_URI = 35,
    MESSAGE_PROXY_SCHEME = 39,
    MESSAGE_SIZE1 = 60,
    MESSAGE_ECHO = 252,
    MESSAGE_NO_RESPONSE = 258,
    MESSAGE_REQUEST_TAG = 292,
    MESSAGE_SEQUENCE = 65100, /* experimental, elective, part of the cache key: gateway/delivery.h */
};

/* What weir does with a recognised option of a request. */
enum message_use { MESSAGE_USED, MESSAGE_IGNORED, MESSAGE_NOT_PROXIED };

/* One recognised option; every other number is unknown: critical (odd) ones are refused, elective ones ignored. */
struct message_option_row {
    uint16_t number;
    const char *name;
    bool repeatable;
    uint16_t min_len, max_len;
    enum message_use use;
};

/* In order of number. */
const struct message_option_row *message_option_table(size_t *ret_count);

struct message_token {
    uint8_t octets[MESSAGE_TOKEN_MAX];
    uint8_t len;
};

/*
 * A received message. The fields from `options` on are for requests, and hold what the table lets pass: numbers are -1
 * where the option is absent.
 */
struct message {
    enum message_type type;
    uint8_t code;
    uint16_t id;
    struct message_token token;
    struct bytes options; /* as received */
    struct bytes payload;

    int32_t observe;
    int32_t content_format, accept;
    int64_t block1, block2, size1, size2;
    uint8_t no_response;
    bool if_none_match;
    bool proxied;     /* Proxy-Uri or Proxy-Scheme: 5.05 */
    bool path_dotted; /* a "." or ".." segment: 4.00 */
    bool path_opaque; /* a segment that a path text cannot say unambiguously: 4.04 */
    unsigned path_segments, query_count;
    size_t path_bytes, query_bytes; /* sums of the values */
    struct etag etags[REQUEST_ETAGS_MAX], if_match[REQUEST_ETAGS_MAX];
    unsigned etag_count, if_match_count;
    struct bytes echo;
    bool has_sequence;
    struct bytes sequence; /* as received, of any length */
    uint16_t refused[MESSAGE_REFUSED_MAX]; /* critical options that were not understood: 4.02 */
    unsigned refused_count;
};

enum message_verdict {
    MESSAGE_FINE,
    MESSAGE_NOT_COAP,  /* shorter than a header or not version 1: silence (RFC 7252 3) */
    MESSAGE_MALFORMED, /* type and id are set; a confirmable one is answered with RST (RFC 7252 4.2) */
};

enum message_verdict message_parse(struct bytes datagram, struct message *ret);

/* 0.01 to 0.31; 2.xx, 4.xx or 5.xx. */
static inline bool message_is_request(const struct message *message)
{
    return message->code > 0 && message->code < MESSAGE_CODE(1, 0);
}

/* Length of the text that message_path writes: "/a/b", "/" for no segment. */
size_t message_path_len(const struct message *message);
void message_path(const struct message *message, uint8_t *ret);
/* The parameters, split at the first '='; values are copied to text, which has room for query_bytes. */
void message_query(const struct message *message, struct query_parameter *ret, uint8_t *text);

/*
 * What the blocks of one body have in common (RFC 7959 2.5, RFC 9175 3.3): method and all options that are part of a
 * cache key, Request-Tags included, but not the block options and what may come with some blocks only. Within one
 * peer; keyed, so that nobody can make two the same.
 */
uint64_t message_transfer_key(const struct message *message, const struct hash_key *key);

/* Largest message that is written here: the default message size of RFC 7252 4.6 and some options more. */
#define MESSAGE_WRITE_MAX 1280
#define MESSAGE_HEAD_MAX (4 + MESSAGE_TOKEN_MAX)

/*
 * Writes one message from the back of its head: first options in rising order, then the payload, at last the head, for
 * which room was left, so that the same options can leave under another type or message ID.
 */
struct message_writer {
    uint16_t len; /* of options and payload */
    uint16_t last_option;
    bool failed; /* it did not fit; sticky */
    uint8_t octets[MESSAGE_WRITE_MAX];
};

static inline void message_writer_init(struct message_writer *writer)
{
    writer->len = 0;
    writer->last_option = 0;
    writer->failed = false;
}

/* Options come in rising order. */
void message_put(struct message_writer *writer, enum message_option number, struct bytes value);
void message_put_uint(struct message_writer *writer, enum message_option number, uint32_t value);
/* Payload, once, at last; empty: nothing. */
void message_put_payload(struct message_writer *writer, struct bytes payload);
/* Options and payload as they are. */
static inline struct bytes message_written(const struct message_writer *writer)
{
    return bytes_of(writer->octets + MESSAGE_HEAD_MAX, writer->len);
}
/* The whole message, within the writer. May be called again with another head. */
struct bytes message_finish(struct message_writer *writer, enum message_type type, uint8_t code, uint16_t id,
                            const struct message_token *token);
/* Only a head into ret, for answers whose rest is stored elsewhere; returns its length. */
size_t message_write_head(uint8_t ret[static MESSAGE_HEAD_MAX], enum message_type type, uint8_t code, uint16_t id,
                          const struct message_token *token);
