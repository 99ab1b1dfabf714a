// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Writes commands in the Redis protocol (RESP2: *count, then $length and octets of each argument) into a growing
 * buffer. Binary-safe: an argument may hold anything. Pure.
 */
#pragma once

#include "codec/bytes.h"

struct resp {
    uint8_t *ptr;
    size_t len, room;
};

void resp_deinit(struct resp *resp);
/* Appends one command. False: out of memory, nothing was appended. */
bool resp_command(struct resp *resp, const struct bytes *arguments, size_t count);
/* Appends what is already in the protocol's form. False: out of memory, nothing was appended. */
bool resp_append(struct resp *resp, struct bytes commands);
/* Forgets the contents; keeps the memory up to keep_bytes. */
void resp_clear(struct resp *resp, size_t keep_bytes);
/* Takes the first of commands that resp_command wrote off their beginning. False: there is no whole one. */
bool resp_take(struct bytes *rest, struct bytes *ret_command);
