// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Error bodies: concise problem details in CBOR (RFC 9290) for CoAP, problem+json (RFC 9457) for HTTP, both from
 * one struct. Nothing secret goes in. detail is ours, or was made harmless (gateway/request): it is said as it is.
 */
#pragma once

#include "codec/arena.h"
#include "codec/outcome.h"

struct problem {
    enum outcome outcome;
    const char *detail;                 /* a sentence, or NULL */
    uint16_t unprocessed_options[4];    /* RFC 9290 -8 */
    unsigned unprocessed_option_count;
    size_t offset;                      /* position in the payload; SIZE_MAX: none */
};

/* False: arena is full. */
bool problem_cbor(const struct problem *problem, struct arena *arena, struct bytes *ret);
bool problem_json(const struct problem *problem, struct arena *arena, struct bytes *ret);
