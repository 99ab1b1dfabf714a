// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A secret of at most SECRET_MAX bytes. Not a string and not a struct bytes, so that it cannot be printed by accident;
 * compared in constant time; wiped when it goes.
 */
#pragma once

#include "codec/bytes.h"

#define SECRET_MAX 64 /* RFC 7925 4.2: PSKs of up to 64 bytes */

struct secret {
    uint8_t octets[SECRET_MAX];
    uint8_t len;
};

/* False if longer than SECRET_MAX; ret is then untouched. */
bool secret_set(struct secret *ret, struct bytes from);
/* Hexadecimal, 2 to 128 digits. False: not hexadecimal or too long. */
bool secret_set_hex(struct secret *ret, struct bytes hex);
bool secret_is_set(const struct secret *secret);
/* In time that depends on the lengths only. */
bool secret_equal(const struct secret *a, const struct secret *b);
/* Constant-time compare of two digests or tags of the same length. */
bool secret_bytes_equal(const uint8_t *a, const uint8_t *b, size_t len);
void secret_wipe(struct secret *secret);
