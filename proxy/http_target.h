// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Request targets (RFC 9112 3.2, RFC 3986): decoded exactly once, into the one spelling that rights and routes see.
 *
 * Pure. Refused: what could name one resource in two ways, or hide from a check: bad percent encoding, NUL, controls,
 * backslash, an encoded slash in the path, empty, "." and ".." segments, what is not UTF-8. ';' is an ordinary
 * character. '+' is a plus sign, not a space: names of sensors hold it, and no HTML form posts here.
 *
 * But for legacy senders, whose servers (PHP, express, Go's net/url) read a query as they read a form: on their routes
 * '+' in the query is a space, and one slash at the end of the path is no segment.
 */
#pragma once

#include "codec/arena.h"
#include "proxy/http_head.h"

struct http_target {
    struct bytes path;
    struct query_parameter *query;
    size_t query_count;
};

/* Whether the path is one of theirs. Asked only where it matters. */
typedef bool http_target_habit_fn(struct bytes path);

/* "/obs?device=x%20y". The authority of "http://host/obs" is skipped: no name leads anywhere else than here. '&'
 * separates the query; empty parts are skipped. ret lives in the arena. */
bool http_target_decode(struct bytes raw, http_target_habit_fn *is_habit, struct arena *arena, struct http_target *ret,
                        struct http_refusal *reterr);
