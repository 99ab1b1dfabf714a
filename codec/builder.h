// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A run of bytes that grows in an arena while an answer is written.
 *
 * The error is sticky: after the arena has refused once, puts do nothing, so a writer is a column of puts and
 * one check at builder_finish. Growing doubles the room, so the arena spends at most four times the final
 * length.
 */
#pragma once

#include "codec/arena.h"

struct builder {
    struct arena *arena;
    uint8_t *ptr;
    size_t len;
    size_t room;
    bool failed;
};

/* expected_len is a first guess; the builder grows beyond it. Nothing needs to be given back. */
void builder_init(struct builder *builder, struct arena *arena, size_t expected_len);
void builder_put(struct builder *builder, struct bytes more);
void builder_put_text(struct builder *builder, const char *text);
void builder_put_byte(struct builder *builder, uint8_t byte);
/* A decimal number without sign. */
void builder_put_uint(struct builder *builder, uint64_t number);
/* Room for len bytes to be written by the caller at once; NULL when failed. */
uint8_t *builder_reserve(struct builder *builder, size_t len);
/* What was put so far. False: the arena was full at some put. */
bool builder_finish(const struct builder *builder, struct bytes *ret);
