// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Bearer tokens: weir_<id>_<secret>, where id is 16 hexadecimal digits that find the record and secret is 32 random
 * bytes in base64url (43 characters). At rest there is only a salted SHA-256 of those 43 characters; the secret has
 * 256 random bits, so a slow hash would add nothing.
 */
#pragma once

#include "gateway/identity.h"
#include "registry/registry.h"

#define TOKENS_ID_LEN 16
#define TOKENS_SECRET_LEN 43
#define TOKENS_TEXT_LEN (5 + TOKENS_ID_LEN + 1 + TOKENS_SECRET_LEN)

/* The two halves of a token's text, borrowed from it. False: not the form of a token. */
bool tokens_parse(struct bytes text, struct bytes *ret_id, struct bytes *ret_secret);

/* Fills id, salt and digest of the record from random bytes and writes the token's text, with its NUL. The text is
 * the only copy of the secret: show it once, then wipe it. False: no digest could be made. */
#define TOKENS_RANDOM_BYTES (8 + 16 + 32)
bool tokens_make(const uint8_t random[static TOKENS_RANDOM_BYTES], struct token_record *record,
                 char ret_text[static TOKENS_TEXT_LEN + 1]);

/* Whether the secret belongs to the record; says nothing about revoked or expired. In constant time. */
bool tokens_match(const struct token_record *record, struct bytes secret);

/*
 * Who a bearer token speaks for, at now_s (Unix seconds). False: not a token, unknown, wrong secret, revoked, expired,
 * or its tenant or device is disabled or gone; which of them is not told, and an unknown id costs the same digest.
 */
bool tokens_check(const struct registry *registry, struct bytes text, int64_t now_s, struct identity *ret);

/* Why tokens_check refused, for people who may see the device: if the text names the id of a device's token.
 * NULL: it does not, or it was good. */
const char *tokens_why_not(const struct registry *registry, struct bytes text, int64_t now_s,
                           const struct token_record **ret);

/* The same of the key that a legacy sender has in its query (emonCMS's apikey, Ultralight's k). */
bool tokens_check_apikey(const struct registry *registry, struct bytes text, int64_t now_s, struct identity *ret);

/* A key for such a sender: 32 hexadecimal digits as emonCMS makes them, from random bytes, into record->apikey; and the
 * id of the record. */
#define TOKENS_APIKEY_RANDOM_BYTES (8 + 16)
void tokens_make_apikey(const uint8_t random[static TOKENS_APIKEY_RANDOM_BYTES], struct token_record *record);
