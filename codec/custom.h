// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Declarative codecs: formats that are data. A definition is a JSON text (docs/codecs.md) that says how a
 * binary frame, a text, a JSON document or emonHub's lines become observations; it carries examples, input
 * and the SenML that must come out. Compiled once, then used like any decoder of codec/format: no loop beyond
 * the input, no backtracking, no allocation from a length that the input claims.
 *
 * On the path: gateway/translate asks the registry for the compiled codec of a device's profile. A compiled
 * codec is immutable; any number of threads may use it at once. What comes out borrows from the input and the
 * arena only, never from the codec, which may be replaced while a message is under way.
 */
#pragma once

#include "codec/format.h"

enum custom_kind { CUSTOM_BINARY, CUSTOM_TEXT, CUSTOM_JSON, CUSTOM_EMONHUB, CUSTOM_KINDS };

struct custom;

/* Why a definition is not taken, for people: a sentence, where in the definition (a JSON pointer), and which
 * example. */
#define CUSTOM_TEXT_MAX 192
struct custom_error {
    char detail[CUSTOM_TEXT_MAX];
    char pointer[CUSTOM_TEXT_MAX]; /* "/fields/3/scale"; empty: the whole */
};

/* From the text of a definition, which may go afterwards. NULL: reterr says why; out of memory is one reason. The
 * examples are read but not tried. Free with custom_free. */
struct custom *custom_compile(struct bytes definition, struct custom_error *reterr);
void custom_free(struct custom *custom);

/* "acme-th"; the id under which it is kept; as a profile (registry/schema.h). */
struct bytes custom_name(const struct custom *custom);
enum custom_kind custom_kind(const struct custom *custom);
const char *custom_kind_name(enum custom_kind kind); /* "binary" */
/* What may be done for this many payloads that are decoded for one request. */
struct format_work custom_work(const struct format_limits *limits, unsigned payloads);
/* Whether it takes payloads that come declared as this Content-Format; CONTENT_FORMAT_NONE and 42 always, 0
 * for text and emonhub, 50 for json. */
bool custom_takes(const struct custom *custom, int content_format);
/* As struct format: by_line. */
bool custom_by_line(const struct custom *custom);
/* Whether it reads the parameter of the request that has this name. */
bool custom_reads_parameter(const struct custom *custom, struct bytes name);
size_t custom_example_count(const struct custom *custom);

/* Tries all examples, which together may be as much work as one payload; only a codec whose examples hold may
 * be used. False: reterr says which, and what came instead. */
bool custom_check(const struct custom *custom, struct arena *arena, struct custom_error *reterr);
/* Whether the parameters it reads are free for it: what the request says to weir, as `level`, is not. For definitions
 * that come in; one that is kept already is used as it is. False: reterr says which is not. */
bool custom_check_parameters(const struct custom *custom, struct custom_error *reterr);

/* As the decode functions of codec/format. OUTCOME_CODEC_FAULT: the codec, not the payload, is to blame (what came out
 * is no observation). */
enum outcome custom_decode(const struct custom *custom, const struct format_input *input, struct arena *arena,
                           struct observation_list *ret, struct format_error *reterr);

/* What decode did, for `weir decode`: a step for each field that was looked at, also where decoding failed later. */
struct custom_step {
    size_t offset, len;  /* in the payload, octets; bits of a bit field: bit, bits */
    unsigned bit, bits;  /* 0, 0: whole octets */
    struct bytes field;  /* name in the definition; empty: skipped, checksum, separator */
    struct bytes raw;    /* as read, text */
    struct bytes value;  /* as it comes out, text; empty: nothing comes out */
    struct bytes unit;
    const char *note;    /* static: "skipped", "missing value", "checksum", or NULL */
};
struct custom_steps {
    struct custom_step *items; /* in the arena */
    size_t count;
};
enum outcome custom_explain(const struct custom *custom, const struct format_input *input, struct arena *arena,
                            struct custom_steps *ret_steps, struct observation_list *ret, struct format_error *reterr);
