// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Block-wise transfer (RFC 7959): bodies of requests put together from Block1, bodies of answers cut for Block2.
 *
 * A body is whole or it is nothing: no handler sees a part of one. Each peer has one transfer at a time; a block 0 of
 * another body ends the one before. Memory grows with the bytes received, never with what a peer declares; all bodies
 * together stay within settings.bodies_max_bytes: when that is reached the oldest body goes, those of peers without
 * DTLS first, and never one of a DTLS peer for one without. What is gone is answered 4.08 at its next block.
 *
 * When a body is whole, the transfer stays for 247 s with the final answer, for a client that repeats its last block
 * under a new message ID because it never saw it. Cutting is without state: every Block2 request is answered afresh
 * and the ETag tells the client whether the pieces belong together.
 */
#pragma once

#include "gateway/exchange.h"

struct block_table;
struct block_transfer;

#define BLOCK_SZX_MAX 6

/* RFC 7959 2.2 */
struct block_option {
    uint32_t num;
    bool more;
    uint8_t szx;
};

/* False: SZX 7, which is reserved. */
bool block_option_read(uint32_t value, struct block_option *ret);
uint32_t block_option_value(struct block_option option);
static inline size_t block_size(struct block_option option)
{
    return (size_t)1 << (option.szx + 4);
}

struct block_environment {
    struct timers *timers;
    const struct settings *settings;
    struct metrics *metrics;
    const struct hash_key *hash_key;
    struct exchange_table *exchanges;
};

/* NULL: out of memory. */
struct block_table *block_table_new(const struct block_environment *environment);
/* All peers must have gone. */
void block_table_free(struct block_table *table);

struct block_request {
    struct peer *peer;
    uint64_t key; /* message_transfer_key */
    struct block_option option;
    struct bytes payload;
    int64_t size1;      /* -1: not said */
    size_t limit_bytes; /* of the body */
    bool if_none_match;
};

enum block_verdict {
    BLOCK_CONTINUE, /* 2.31 */
    BLOCK_WHOLE,    /* body is complete */
    BLOCK_REPEATED, /* the last block once more: answer with code and rest */
    BLOCK_REFUSED,  /* answer with outcome, detail, size1 */
};

struct block_step {
    enum block_verdict verdict;
    struct bytes body; /* WHOLE: borrowed from the payload, or from owned */
    uint8_t *owned;    /* to be given to block_body_free; NULL: nothing to free */
    size_t owned_bytes;
    bool if_none_match; /* what block 0 had */
    uint32_t serial;    /* WHOLE: for block_answered; 0: nothing is to be remembered */
    uint8_t code;
    struct bytes rest; /* REPEATED: options and payload; valid until the next call */
    enum outcome outcome;
    const char *detail;
    uint32_t size1;
};

/* Takes one Block1 request. */
void block_receive(struct block_table *table, const struct block_request *request, struct block_step *ret);
void block_body_free(struct block_table *table, uint8_t *owned, size_t owned_bytes);
/* The final answer to the transfer with that serial, if the peer still has it. */
void block_answered(struct block_table *table, const struct peer *peer, uint32_t serial, uint8_t code,
                    struct bytes rest);
/* Before exchange_peer_gone. */
void block_peer_gone(struct block_table *table, struct peer *peer);
/* Bytes charged to settings.bodies_max_bytes. */
size_t block_memory_bytes(const struct block_table *table);

/*
 * The piece of an answer that is asked for; asked NULL: the client did not say. ret_option says what was cut. False:
 * it lies behind the end (4.00).
 */
bool block_slice(struct bytes body, const struct block_option *asked, struct block_option *ret_option,
                 struct bytes *ret_piece);
