// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From a response to the options and the payload of a CoAP message: ETag and 2.03, Block2 pieces (RFC 7959), problem
 * details for errors (RFC 9290), and never more bytes than the request allows. Pure but for the arena.
 */
#pragma once

#include "gateway/block.h"

/* What the request says about its answer. */
struct answer_terms {
    struct arena *arena;
    const struct hash_key *hash_key; /* for ETags of answers that have none and need one */
    const struct etag *etags;        /* of the request */
    unsigned etag_count;
    int accept; /* as the client sent it */
    bool has_block1, has_block2, wants_size2;
    struct block_option block1, block2;
    const uint16_t *unprocessed_options; /* 4.02 */
    unsigned unprocessed_option_count;
    int64_t observe; /* value of the option, -1: none */
    struct bytes echo;
    size_t limit_bytes; /* of the whole message; an unverified peer gets three times its request (RFC 9175 2.4) */
    size_t head_bytes;  /* what of it the head takes */
};

/*
 * Writes the answer. False: it is a success that takes more than limit_bytes; nothing can be used. An error sheds its
 * details instead.
 */
bool answer_write(const struct answer_terms *terms, const struct response *response, struct message_writer *writer,
                  uint8_t *ret_code);
