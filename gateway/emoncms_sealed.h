// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * emonCMS' encrypted input: what an emonTx without TLS posts to input/post and input/bulk.
 *
 *     Content-Type: aes128cbc             or aes128cbcgz: the text is zlib
 *     Authorization: USERID:HMAC          USERID is two words with a slash between them here: TENANT/...
 *     body: base64url(IV || AES-128-CBC(text))
 *
 * The key is the device's apikey of 32 hexadecimal digits, read as 16 octets; HMAC is HMAC-SHA-256(text, key) in
 * hexadecimal; the answer is base64url(SHA-256(text)), padded with '='. With aes128cbcgz the text of both is the
 * compressed one. The text is a query: "node=emontx&data=100,200". There is no protection against replay in it;
 * weir's recognition of repeated messages (docs/delivery.md) and the time inside are all there is.
 *
 * On the path: gateway/habits, before translation. Fails closed; unknown sender, wrong key, wrong MAC and
 * wrong padding are one outcome and the same work.
 */
#pragma once

#include "codec/format.h"

/* Whether the media type (without parameters, any case) is that of the form. */
bool emoncms_sealed_is(struct bytes media_type, bool *ret_compressed);

struct emoncms_sealed_claim {
    struct bytes tenant, device; /* borrowed from the header; what the second word names is the caller's matter */
    uint8_t mac[32];
};
/* The value of Authorization. False: not of this form. */
bool emoncms_sealed_parse(struct bytes authorization, struct emoncms_sealed_claim *ret);

#define EMONCMS_SEALED_ANSWER_LEN 44
struct emoncms_sealed_text {
    struct bytes text; /* in the arena */
    size_t key;        /* index of the apikey that fits */
    char answer[EMONCMS_SEALED_ANSWER_LEN + 1];
};

/*
 * Opens the body with the first apikey that fits; those that are not 32 hexadecimal digits are passed over. With
 * none that could fit the same work is done and refused. What is decompressed is at most max_bytes.
 * OUTCOME_CHANGED; OUTCOME_UNAUTHENTICATED; OUTCOME_MALFORMED, where the body is not base64; those of
 * codec/inflate; out of memory.
 */
enum outcome emoncms_sealed_open(const struct emoncms_sealed_claim *claim, struct bytes body, bool compressed,
                                 const struct bytes *apikeys, size_t apikey_count, size_t max_bytes,
                                 struct arena *arena, struct emoncms_sealed_text *ret, struct format_error *reterr);

/* The text as parameters: between '&', split at the first '=', nothing percent-decoded, as emonCMS does. False: the
 * arena is full. */
bool emoncms_sealed_parameters(struct bytes text, struct arena *arena, struct format_parameter **ret,
                               size_t *ret_count);
