// SPDX-License-Identifier: GPL-3.0-or-later
/* Link format of RFC 6690: what /.well-known/core says, with its filters. */
#pragma once

#include "codec/arena.h"

struct link {
    const char *target;     /* "/obs" */
    const char *attributes; /* "rt=\"...\";ct=\"...\";obs", already in link-format syntax; "" if none */
};

/*
 * Writes the links that match the filter, separated by commas. filter_name empty: all of them. Else RFC 6690 4.1:
 * href matches the target, a trailing * is a prefix, space-separated values are matched one by one, an attribute
 * that a link does not have does not match. No match gives zero bytes. False: arena is full.
 */
bool link_format(const struct link *links, size_t count, struct bytes filter_name, struct bytes filter_value,
                 struct arena *arena, struct bytes *ret);
