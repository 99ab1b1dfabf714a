// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keys from anybody, as JWK and as COSE_Key. Property: what is taken has the length of its kind, and written in either
 * form it is read as the same.
 */
#include "codec/jwk.h"

#include <stdlib.h>

#define ARENA_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool so)
{
    if (!so)
        abort();
}

static void require_same(const struct jwk *one, const struct jwk *two)
{
    require(one->algorithm == two->algorithm && one->is_private == two->is_private);
    require(bytes_equal(bytes_of(one->octets, one->len), bytes_of(two->octets, two->len)));
    require(memcmp(one->private_octets, two->private_octets, sizeof(one->private_octets)) == 0);
}

static void try_again(const struct jwk *one, struct arena *arena)
{
    struct bytes json, cbor, text;
    struct jwk two;
    struct refusal refusal;
    bool is_secret = one->algorithm == SIGNED_HS256 || one->algorithm == SIGNED_HS256_64;
    require(is_secret ? one->len >= 32 && !one->is_private : one->len == (one->algorithm == SIGNED_ES256 ? 64 : 32));
    require(one->len <= JWK_OCTETS_MAX && one->kid.len <= SIGNED_KID_MAX);
    require(jwk_write(one, true, arena, &json) && jwk_read(json, arena, &two, &refusal));
    require_same(one, &two);
    require(jwk_write_cose(one, true, arena, &cbor) && jwk_read_cose(cbor, arena, &two, &refusal));
    require_same(one, &two);
    require(bytes_equal(one->kid, two.kid));
    require(jwk_write(one, false, arena, &json) && jwk_read(json, arena, &two, &refusal) == !is_secret);
    require(jwk_thumbprint_text(one, arena, &text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool (*const readers[])(struct bytes, struct arena *, struct jwk *, struct refusal *) = {jwk_read,
                                                                                                    jwk_read_cose};
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct jwk key;
        struct refusal refusal = {0};
        if (!arena)
            return 0;
        if (readers[i](bytes_of(data, size), arena, &key, &refusal))
            try_again(&key, arena);
        else
            require(refusal.detail && refusal.outcome >= OUTCOME_BAD_REQUEST);
        arena_free(arena);
    }
    return 0;
}
