// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * COSE_Sign1 and COSE_Mac0 from anybody. Property: what is taken lies within its bounds, and written anew with what was
 * read it is read as the same.
 */
#include "codec/cose.h"

#include <stdlib.h>

#define ARENA_BYTES ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool so)
{
    if (!so)
        abort();
}

static void try_again(const struct signed_message *one, struct arena *arena)
{
    struct cose_msg_header header = {.algorithm = one->algorithm, .kid = one->kid,
                                     .content_format = one->content_format, .sequence = one->sequence};
    struct bytes protected_header, covered, bytes;
    struct signed_message two;
    struct refusal refusal;
    require(cose_msg_begin(&header, one->payload, arena, &protected_header, &covered));
    require(cose_msg_end(&header, protected_header, one->payload, one->signature, arena, &bytes));
    require(cose_msg_read(bytes, COSE_MSG_ANY, arena, &two, &refusal));
    require(two.algorithm == one->algorithm && two.content_format == one->content_format);
    require(bytes_equal(two.kid, one->kid) && bytes_equal(two.payload, one->payload));
    require(bytes_equal(two.signature, one->signature) && bytes_equal(two.covered, covered));
    require(two.sequence.given == one->sequence.given && two.sequence.epoch == one->sequence.epoch &&
            two.sequence.seq == one->sequence.seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum cose_msg_kind kinds[] = {COSE_MSG_ANY, COSE_MSG_MAC0, COSE_MSG_SIGN1};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct signed_message message;
        struct refusal refusal = {0};
        if (!arena)
            return 0;
        if (cose_msg_read(bytes_of(data, size), kinds[i], arena, &message, &refusal)) {
            require(message.algorithm < SIGNED_ALGORITHMS && message.kid.len <= SIGNED_KID_MAX);
            require(message.signature.len == signed_signature_len(message.algorithm));
            require(message.covered.len > message.payload.len && message.payload.len < size);
            try_again(&message, arena);
        } else {
            require(refusal.detail && refusal.outcome >= OUTCOME_BAD_REQUEST);
            require(refusal.offset == SIZE_MAX || refusal.offset <= size);
        }
        arena_free(arena);
    }
    return 0;
}
