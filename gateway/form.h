// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Bodies of HTML forms, application/x-www-form-urlencoded (WHATWG URL 5.1), as legacy senders post them: name=value
 * between '&', '+' is a space, %XX an octet. Decoded once. Pure.
 *
 * Unlike in a request target (proxy/http_target) all characters may stand unencoded, because senders rarely encode what
 * they need not; what is refused is a % that encodes nothing, and NUL.
 */
#pragma once

#include "codec/refusal.h"

#define FORM_PARAMETERS_MAX 64

struct form {
    struct format_parameter *items; /* in the arena, as their texts */
    size_t count;
};

/* Empty parts are skipped; a part without '=' is a name without a value. False: malformed, too-complex (more than
 * FORM_PARAMETERS_MAX) or out of memory. */
bool form_read(struct bytes body, struct arena *arena, struct form *ret, struct refusal *reterr);
