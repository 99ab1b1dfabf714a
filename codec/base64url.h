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

/* Characters that len bytes take. len is below SIZE_MAX / 2. */
size_t base64url_length(size_t len);
/* Writes base64url_length(from.len) characters, no NUL. */
void base64url_encode(struct bytes from, char *out);
