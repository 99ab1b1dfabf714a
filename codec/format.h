// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The table of payload formats: one row and one file per format.
 *
 * A decoder is pure: bytes, a moment and limits go in; resolved observations in the caller's arena come out, or
 * an outcome and a sentence. All or nothing: on failure nothing of the list may be used. Limits count what is there,
 * never what a header claims. To add a format: one file, one row, vectors in tests/vectors.
 */
#pragma once

#include "codec/arena.h"
#include "codec/observation.h"
#include "codec/outcome.h"

/* CoAP Content-Format numbers (IANA registry "CoAP Content-Formats"). */
enum content_format {
    CONTENT_FORMAT_NONE = -1, /* the option is absent */
    CONTENT_FORMAT_TEXT = 0,
    CONTENT_FORMAT_LINK = 40,
    CONTENT_FORMAT_OCTETS = 42,
    CONTENT_FORMAT_JSON = 50,
    CONTENT_FORMAT_CBOR = 60,
    CONTENT_FORMAT_SENML_JSON = 110,
    CONTENT_FORMAT_SENSML_JSON = 111,
    CONTENT_FORMAT_SENML_CBOR = 112,
    CONTENT_FORMAT_SENSML_CBOR = 113,
    CONTENT_FORMAT_PROBLEM_CBOR = 257,
    CONTENT_FORMAT_PROMETHEUS = 65002, /* experimental range, HTTP only: text/plain; version=0.0.4 */
    CONTENT_FORMAT_PROBLEM_JSON = 65003, /* experimental range, HTTP only: application/problem+json */
};

struct format_limits {
    unsigned depth;   /* nesting, SenML packs need 2 */
    unsigned items;   /* values and keys of all kinds in one payload */
    unsigned records; /* observations that come out */
};

#define FORMAT_LIMITS_DEFAULT ((struct format_limits){.depth = 16, .items = 4096, .records = 1024})

struct format_input {
    struct bytes payload;
    struct timestamp now;   /* one instant for the whole payload; relative times count from it */
    struct bytes name;      /* for formats without names (text/plain): from the query; may be empty */
    struct bytes unit;      /* the same for the unit */
    struct format_limits limits;
};

/* Why a payload was refused, for problem details: a static sentence and a position in the payload where known. */
struct format_error {
    const char *detail;
    size_t offset; /* SIZE_MAX: not known */
};

struct format {
    const char *name; /* in logs, metrics, docs */
    int content_format;
    const char *media_type; /* without parameters, lower case */
    enum outcome (*decode)(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                           struct format_error *reterr);
    /* Writes resolved observations in this format; NULL where weir only reads it. */
    enum outcome (*encode)(const struct observation_list *list, struct arena *arena, struct bytes *ret);
};

/* All rows; *ret_count is set. */
const struct format *format_table(size_t *ret_count);
/* NULL if weir does not read it. */
const struct format *format_by_content_format(int content_format);
/* The media type of any number in enum content_format, or NULL. */
const char *format_media_type(int content_format);
