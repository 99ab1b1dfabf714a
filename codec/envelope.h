// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The {hmac, payload} envelope: a JSON object whose hmac is standard base64 (44 characters) of HMAC-SHA-256 over
 * the canonical text (codec/pyjson) of payload, an object with ts (s) and ts_ns (0 to 999999999), both below 2^31. The
 * reader also takes payloads without them (has_time is false then): whether one may be repeated is the caller's to say.
 * Pure; it names no key: that is the sender's, who is known by the transport or by the query.
 *
 * message.payload is the payload object as it was received; it is read by the format "fields" (CONTENT_FORMAT_FIELDS):
 * each member but ts and ts_ns is a record of that name, ts and ts_ns are its time.
 */
#pragma once

#include "codec/format.h"
#include "codec/refusal.h"
#include "codec/signed.h"

bool envelope_read(struct bytes text, const struct format_limits *limits, struct arena *arena,
                   struct signed_message *ret, struct refusal *reterr);
/* Around a payload whose mac is known. */
bool envelope_write(struct bytes payload, const uint8_t mac[static 32], struct arena *arena, struct bytes *ret);

/* A row of the table of formats. */
enum outcome envelope_decode_fields(const struct format_input *input, struct arena *arena,
                                    struct observation_list *ret, struct format_error *reterr);
