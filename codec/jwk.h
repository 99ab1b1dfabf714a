// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Public and symmetric keys as devices and people send them: JWK (RFC 7517, RFC 7518 6, RFC 8037 2) and COSE_Key
 * (RFC 9052 7, RFC 9053 7), to the raw octets that weir keeps, and back. Pure: whether a point is on its curve is
 * gateway/crypto_sign's to say.
 */
#pragma once

#include "codec/refusal.h"
#include "codec/signed.h"

#define JWK_OCTETS_MAX 64

struct jwk {
    enum signed_algorithm algorithm; /* by alg, else by kty and crv; oct without alg: SIGNED_HS256 */
    bool is_private;                 /* it had d (EC, OKP): private_octets is set */
    uint8_t octets[JWK_OCTETS_MAX];  /* ES256: x || y; EDDSA: the public key; oct: the key */
    size_t len;
    uint8_t private_octets[32]; /* the caller wipes it (jwk_wipe) */
    struct bytes kid;           /* borrowed from the text or the arena; may be empty */
};

bool jwk_read(struct bytes json, struct arena *arena, struct jwk *ret, struct refusal *reterr);
bool jwk_read_cose(struct bytes cbor, struct arena *arena, struct jwk *ret, struct refusal *reterr);
/* with_private: d or k too. False: out of memory. */
bool jwk_write(const struct jwk *key, bool with_private, struct arena *arena, struct bytes *ret);
bool jwk_write_cose(const struct jwk *key, bool with_private, struct arena *arena, struct bytes *ret);
/* RFC 7638: SHA-256 over this text is the key's thumbprint. */
bool jwk_thumbprint_text(const struct jwk *key, struct arena *arena, struct bytes *ret);
void jwk_wipe(struct jwk *key);
