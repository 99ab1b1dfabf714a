// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The message layer of RFC 7252 section 4 for all peers of one worker: which requests were seen before and what was
 * answered, and when an answer is late and needs an empty ACK. What of ours must be repeated: gateway/transmission.
 *
 * What must hold: a request is handled once within 247 s (EXCHANGE_LIFETIME), and each repetition gets the same bytes;
 * an unfinished exchange is never forgotten.
 *
 * Finished exchanges are kept per peer in a ring that grows to what the peer needs, 26 bytes each when answer and token
 * together say no more than 8 bytes beside the code, as nearly all do. All live equally long, so what is too old is
 * found at the head of the ring whenever the peer speaks; peers that have fallen silent are found at the head of a list
 * of peers. Full: a peer's own oldest goes first, then the oldest of the peers in turn; when nothing finished is left,
 * new requests are refused. No timer, no allocation and no lock per message.
 *
 * Sending may end the peer (a broken DTLS session), so nothing here touches a peer after having sent to it.
 */
#pragma once

#include "gateway/message.h"
#include "gateway/settings.h"
#include "gateway/transmission.h"

#define EXCHANGE_LIFETIME_S 247
/* Requests under way and separate answers not acknowledged, of one peer: RFC 7252 clients have one (NSTART). */
#define EXCHANGE_UNDER_WAY_MAX 16
/* Stored answers that do not fit their record take at most this many bytes times settings.exchanges_max. */
#define EXCHANGE_STORED_BYTES_EACH 128
#define EXCHANGE_PINGS_PER_S 4

struct exchange_table;
struct exchange_peer;

/* One request under way; embedded in the wire's state of the request. Its fields are exchange.c's. */
struct exchange {
    struct exchange_table *table;
    struct exchange_peer *peer; /* NULL: answered, or the peer has gone: the answer goes nowhere */
    LIST_ENTRY(exchange) of_peer;
    TAILQ_ENTRY(exchange) unacknowledged, unanswered;
    uint64_t arrived_ms, fingerprint;
    struct message_token token;
    uint16_t id;
    bool confirmable, acknowledged;
};

struct exchange_environment {
    struct timers *timers;
    const struct settings *settings;
    struct metrics *metrics;
    /* A request has waited settings.answer_deadline_ms: whoever began it answers now. */
    void (*overdue)(struct exchange *exchange);
    void (*idle)(void *ctx, struct peer *peer); /* transmission_environment */
    void *ctx;
    uint64_t random_seed[4];
};

/* NULL: out of memory. */
struct exchange_table *exchange_table_new(const struct exchange_environment *environment);
/* Forgets all peers; all requests must be done. */
void exchange_table_free(struct exchange_table *table);

/* What the layers above keep of a peer. They empty it before exchange_peer_gone; until then the peer is kept. */
struct exchange_attachments {
    struct block_transfer *transfer; /* gateway/block */
    struct observer *observers;      /* gateway/observe */
    unsigned observer_count;
};

/* Makes the peer known if it is not. NULL: out of memory. */
struct exchange_attachments *exchange_attach(struct exchange_table *table, struct peer *peer);
/* NULL: nothing is known of the peer. */
struct exchange_attachments *exchange_attached(const struct peer *peer);
/* Requests under way, unacknowledged messages or observers. */
bool exchange_is_busy(const struct peer *peer);
void exchange_peer_gone(struct exchange_table *table, struct peer *peer);
/* Any peer that is known; NULL: none. */
struct peer *exchange_any_peer(const struct exchange_table *table);

/*
 * Whether the request was seen before with the same bytes. If so it has been answered again, as far as it has an
 * answer. fingerprint: keyed hash of the whole datagram.
 */
bool exchange_is_repetition(struct exchange_table *table, struct peer *peer, const struct message *request,
                            uint64_t fingerprint);

enum exchange_verdict {
    EXCHANGE_BEGUN,
    EXCHANGE_CROWDED, /* the peer has too many under way */
    EXCHANGE_NO_ROOM, /* nothing is left to forget, or out of memory */
};
/* A new request; exchange must stay until exchange_answer or exchange_stay_silent, or until the peer has gone. */
enum exchange_verdict exchange_begin(struct exchange_table *table, struct peer *peer, const struct message *request,
                                     uint64_t fingerprint, struct exchange *exchange);
/* For a request that exchange_begin would not take: answers at once, and remembers that if there is room. */
void exchange_refuse(struct exchange_table *table, struct peer *peer, const struct message *request,
                     uint64_t fingerprint, uint8_t code, struct message_writer *writer);

/* Whether an answer now would still ride on the ACK (or is a NON). */
bool exchange_is_piggybacked(const struct exchange *exchange);
/*
 * Answers: in the ACK, or separately if an empty one has left, or as a NON if the request was one. confirm: repeat a
 * separate answer until it is acknowledged. Does nothing if exchange->peer is NULL.
 */
void exchange_answer(struct exchange *exchange, uint8_t code, struct message_writer *writer, bool confirm);
/* No answer is wanted (RFC 7967); a CON still gets its ACK. */
void exchange_stay_silent(struct exchange *exchange);

void exchange_send_reset(struct exchange_table *table, struct peer *peer, uint16_t id);
/* An Empty CON (RFC 7252 4.3): RST, at most EXCHANGE_PINGS_PER_S times. */
void exchange_ping(struct exchange_table *table, struct peer *peer, uint16_t id);

/* A message ID for something of ours. The peer is known. */
uint16_t exchange_next_id(const struct peer *peer);

/* Confirmable messages of ours to the peer. NULL: nothing is known of it. */
struct transmission_queue *exchange_transmissions(const struct peer *peer);

/* For tests and gauges. */
size_t exchange_remembered(const struct exchange_table *table);
size_t exchange_memory_bytes(const struct exchange_table *table);
