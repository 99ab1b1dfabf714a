// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * base64url without padding (RFC 4648 section 5, RFC 7515 section 2). Strict: no padding, no white space,
 * none of the other alphabet, and unused bits must be zero, so that one run of bytes has exactly one text.
 */
#pragma once

#include "codec/arena.h"

/* What became of a text. */
enum base64url {
    BASE64URL_OK,
    BASE64URL_BAD,    /* not the one canonical text of any bytes */
    BASE64URL_MEMORY, /* the arena is full */
};

enum base64url base64url_decode(struct bytes text, struct arena *arena, struct bytes *ret);
/* The same into a place of max bytes. False: BASE64URL_BAD, or it is longer. */
bool base64url_decode_into(struct bytes text, uint8_t *ret, size_t max, size_t *ret_len);

/* Standard base64 (RFC 4648 section 4), as strict: with its padding, and unused bits are zero. */
enum base64url base64url_decode_standard(struct bytes text, struct arena *arena, struct bytes *ret);
/* Either alphabet, with or without padding, for senders that are not asked to be strict. Unused bits are zero. */
enum base64url base64url_decode_any(struct bytes text, struct arena *arena, struct bytes *ret);

/* Characters that len bytes take. len is below SIZE_MAX / 2. */
size_t base64url_length(size_t len);
/* Writes base64url_length(from.len) characters, no NUL. */
void base64url_encode(struct bytes from, char *out);
/* The same in standard base64 with padding: (from.len + 2) / 3 * 4 characters. */
void base64url_encode_standard(struct bytes from, char *out);
