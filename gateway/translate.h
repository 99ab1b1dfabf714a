// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Which format does this payload have, and what does it say? Between the request and codec/format.
 *
 * The format is, in this order:
 *   1. what the query names (format, or f for short): a codec of the tenant, else a format of the table. A
 *      declared Content-Format that is specific and another one is a contradiction, and refused;
 *   2. the declared Content-Format, if it is specific;
 *   3. what the profile of the device names, if the declared one is absent, 42, not known here, or the
 *      carrier of that format: the device that the query names, else the one that speaks.
 * A format that is declared as its carrier (JSON, CBOR, text) and has no profile is that. Only the format that
 * was found is tried, never a second one.
 *
 * What is chosen is good until the handler returns: it may borrow from the registry.
 */
#pragma once

#include "codec/custom.h"
#include "gateway/request.h"
#include "registry/registry.h"

struct signed_message;

struct translation {
    const struct format *format;   /* of the table, or NULL */
    const struct custom *custom;   /* of the tenant, or NULL */
    struct bytes codec;            /* its name, from request or profile, also when it is held; else empty */
    bool is_held;                  /* the codec is quarantined or broken: nothing may be decoded */
    bool by_profile;               /* the device's profile named it */
    struct profile_record profile; /* of the device; all empty without one */
};

/* OUTCOME_CHANGED, or OUTCOME_UNSUPPORTED with a static sentence or NULL. */
enum outcome translate_choose(const struct request *request, struct translation *ret,
                              const char **ret_detail);
/*
 * Of what was signed (gateway/prove), with request->who as it was proved: the format that the message says;
 * if it says none, that of the device's profile; of an envelope its fields. The query cannot choose, because
 * it is not signed, and a log of lines is not one message. As translate_choose.
 */
enum outcome translate_choose_signed(const struct request *request, const struct signed_message *message,
                                     struct translation *ret, const char **ret_detail);
/* A route that has one format only. The profile is that of the speaker. */
void translate_choose_fixed(const struct request *request, const struct format *format,
                            struct translation *ret);

/* Whether each line of the payload is a message of its own. */
bool translate_is_by_line(const struct translation *translation);
/* The number of the format; CONTENT_FORMAT_NONE: a codec of the tenant. */
int translate_content_format(const struct translation *translation);

/*
 * Decodes a payload, or a line of one. input has payload, parameters, name and unit; the rest is filled in
 * here: now, the limits, and the keys of the tenant's devices. The codec must not be held.
 */
enum outcome translate_decode(const struct request *request, const struct translation *translation,
                              struct format_input *input, struct observation_list *ret,
                              struct format_error *reterr);
