// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Writes MessagePack, the form in which the Redis Function takes messages, into a growing buffer. Only what is needed:
 * strings (which may hold any octets), whole numbers, arrays. Pure.
 *
 * The error is sticky: after memory was refused once, puts do nothing, so a writer is a column of puts and one check of
 * `failed`.
 */
#pragma once

#include "codec/bytes.h"

struct msgpack {
    uint8_t *ptr;
    size_t len, room;
    bool failed;
};

void msgpack_deinit(struct msgpack *out);
/* Forgets the contents and the error; keeps the memory up to keep_octets. */
void msgpack_clear(struct msgpack *out, size_t keep_octets);

void msgpack_string(struct msgpack *out, struct bytes string);
void msgpack_uint(struct msgpack *out, uint64_t number);
/* The head; count values must follow. */
void msgpack_array(struct msgpack *out, size_t count);
/* What is MessagePack already, or anything else that shall stand there. */
void msgpack_raw(struct msgpack *out, struct bytes octets);
