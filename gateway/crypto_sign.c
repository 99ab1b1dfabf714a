// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Thin over wolfCrypt, as gateway/crypto. A public key is imported anew for each signature: that costs less than a
 * hundredth of the check. The public half of a private key is always computed, never believed.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/sp.h>

#include "gateway/crypto_sign.h"

#include "gateway/crypto.h"
#include "gateway/rt/random.h"

enum {
    SCALAR_BYTES = 32, /* private keys, nonces and the halves of signatures, big-endian for P-256 */
    COORDINATE_BYTES = 32,
    POINT_BYTES = 2 * COORDINATE_BYTES,
    HS256_KEY_MIN = 32, /* RFC 7518 3.2: as long as the hash */
    HS256_64_BYTES = 8,
    DER_MAX = 160, /* PKCS #8 of P-256 with its public key is 138 */
};

/* n, the order of P-256 (SP 800-186 3.2.1.3). */
static const uint8_t p256_order[SCALAR_BYTES] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};

/* ret = a - n; 1 if a is less than n, so that the difference wrapped. The same steps for every a. */
static unsigned subtract_order(const uint8_t a[static SCALAR_BYTES], uint8_t ret[static SCALAR_BYTES])
{
    unsigned borrow = 0;
    for (unsigned i = SCALAR_BYTES; i-- > 0;) {
        unsigned difference = 0x100u + a[i] - p256_order[i] - borrow;
        ret[i] = (uint8_t)difference;
        borrow = 1 - (difference >> 8);
    }
    return borrow;
}

/* 0 < a < n. */
static bool is_p256_scalar(const uint8_t a[static SCALAR_BYTES])
{
    uint8_t difference[SCALAR_BYTES], any = 0;
    unsigned below = subtract_order(a, difference);
    for (unsigned i = 0; i < SCALAR_BYTES; i++)
        any |= a[i];
    explicit_bzero(difference, sizeof difference);
    return below && any;
}

/* A point that is not on the curve is refused here too, whoever registered it. The caller frees the key. */
static bool import_p256(struct bytes octets, ecc_key *ret)
{
    uint8_t point[1 + POINT_BYTES] = {0x04}; /* uncompressed (SEC 1 2.3.3) */
    if (octets.len != POINT_BYTES)
        return false;
    memcpy(point + 1, octets.ptr, POINT_BYTES);
    return wc_ecc_import_x963_ex2(point, sizeof point, ret, ECC_SECP256R1, 1) == 0;
}

static bool p256_is_valid(struct bytes octets)
{
    ecc_key key;
    if (wc_ecc_init(&key) != 0)
        return false;
    /* It looks at the ranges of the coordinates too. */
    bool ok = import_p256(octets, &key) && wc_ecc_check_key(&key) == 0;
    wc_ecc_free(&key);
    return ok;
}

static bool ed25519_is_valid(struct bytes octets)
{
    ed25519_key key;
    if (octets.len != ED25519_PUB_KEY_SIZE || wc_ed25519_init(&key) != 0)
        return false;
    bool ok = wc_ed25519_import_public_ex(octets.ptr, ED25519_PUB_KEY_SIZE, &key, 0) == 0;
    wc_ed25519_free(&key);
    return ok;
}

bool crypto_sign_public_is_valid(enum signed_algorithm algorithm, struct bytes public_octets)
{
    if (algorithm == SIGNED_ES256)
        return p256_is_valid(public_octets);
    return algorithm == SIGNED_EDDSA && ed25519_is_valid(public_octets);
}

static bool make_mac(const struct crypto_sign_key *key, struct bytes covered, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    struct bytes secret = bytes_of(key->secret.octets, key->secret.len);
    return secret.len >= HS256_KEY_MIN && crypto_hmac_sha256(secret, covered, (struct bytes){0}, ret);
}

static bool verify_mac(const struct crypto_sign_key *key, struct bytes covered, struct bytes signature)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    bool ok = make_mac(key, covered, mac) && secret_bytes_equal(mac, signature.ptr, signature.len);
    explicit_bzero(mac, sizeof mac);
    return ok;
}

static bool verify_p256(const struct crypto_sign_key *key, struct bytes covered, struct bytes signature)
{
    ecc_key public;
    mp_int r, s;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    int valid = 0;
    const uint8_t *halves[] = {signature.ptr, signature.ptr + SCALAR_BYTES};
    if (!is_p256_scalar(halves[0]) || !is_p256_scalar(halves[1]) || wc_ecc_init(&public) != 0)
        return false;
    bool ok = mp_init_multi(&r, &s, NULL, NULL, NULL, NULL) == 0 &&
              import_p256(bytes_of(key->public, key->public_len), &public) &&
              mp_read_unsigned_bin(&r, halves[0], SCALAR_BYTES) == 0 &&
              mp_read_unsigned_bin(&s, halves[1], SCALAR_BYTES) == 0 &&
              crypto_sha256(covered, (struct bytes){0}, digest) &&
              wc_ecc_verify_hash_ex(&r, &s, digest, sizeof digest, &valid, &public) == 0 && valid == 1;
    wc_ecc_free(&public);
    return ok;
}

/* wolfCrypt refuses s >= L and keys of small order. */
static bool verify_ed25519(const struct crypto_sign_key *key, struct bytes covered, struct bytes signature)
{
    ed25519_key public;
    int valid = 0;
    if (key->public_len != ED25519_PUB_KEY_SIZE || wc_ed25519_init(&public) != 0)
        return false;
    bool ok = wc_ed25519_import_public_ex(key->public, ED25519_PUB_KEY_SIZE, &public, 1) == 0 &&
              wc_ed25519_verify_msg(signature.ptr, ED25519_SIG_SIZE, covered.len ? covered.ptr : (const uint8_t *)"",
                                    (word32)covered.len, &valid, &public) == 0 &&
              valid == 1;
    wc_ed25519_free(&public);
    return ok;
}

bool crypto_sign_verify(const struct crypto_sign_key *key, struct bytes covered, struct bytes signature)
{
    if (covered.len > INT32_MAX)
        return false;
    switch (key->algorithm) {
    case SIGNED_HS256:
        return signature.len == CRYPTO_SHA256_BYTES && verify_mac(key, covered, signature);
    case SIGNED_HS256_64:
        return signature.len == HS256_64_BYTES && verify_mac(key, covered, signature);
    case SIGNED_ES256:
        return signature.len == 2 * SCALAR_BYTES && verify_p256(key, covered, signature);
    case SIGNED_EDDSA:
        return signature.len == ED25519_SIG_SIZE && verify_ed25519(key, covered, signature);
    case SIGNED_ALGORITHMS:
        break;
    }
    return false;
}

/* HMAC_DRBG of RFC 6979 3.2: K and V. */
struct nonce {
    uint8_t k[CRYPTO_SHA256_BYTES], v[CRYPTO_SHA256_BYTES];
};

/* K = HMAC_K(V || round || more), V = HMAC_K(V) */
static bool stir_nonce(struct nonce *nonce, uint8_t round, struct bytes more)
{
    uint8_t message[CRYPTO_SHA256_BYTES + 1], k[CRYPTO_SHA256_BYTES];
    struct bytes key = bytes_of(nonce->k, sizeof nonce->k), v = bytes_of(nonce->v, sizeof nonce->v);
    memcpy(message, nonce->v, sizeof nonce->v);
    message[sizeof nonce->v] = round;
    bool ok = crypto_hmac_sha256(key, bytes_of(message, sizeof message), more, k);
    if (ok)
        memcpy(nonce->k, k, sizeof k);
    explicit_bzero(k, sizeof k);
    explicit_bzero(message, sizeof message);
    return ok && crypto_hmac_sha256(key, v, (struct bytes){0}, nonce->v);
}

/*
 * The secret number of an ECDSA signature: RFC 6979 3.2 with random as additional data (3.6). With plain ECDSA, a
 * random that comes twice, or that somebody knows, gives the private key away; here it does no harm.
 */
static bool derive_nonce(const uint8_t *private_octets, const uint8_t *digest, const uint8_t *random,
                         uint8_t ret[static SCALAR_BYTES])
{
    struct nonce nonce;
    uint8_t seed[3 * SCALAR_BYTES];
    memcpy(seed, private_octets, SCALAR_BYTES);
    if (subtract_order(digest, seed + SCALAR_BYTES)) /* bits2octets: modulo n */
        memcpy(seed + SCALAR_BYTES, digest, SCALAR_BYTES);
    memcpy(seed + 2 * SCALAR_BYTES, random, SCALAR_BYTES);
    memset(nonce.k, 0, sizeof nonce.k);
    memset(nonce.v, 1, sizeof nonce.v);
    bool ok = stir_nonce(&nonce, 0, bytes_of(seed, sizeof seed)) && stir_nonce(&nonce, 1, bytes_of(seed, sizeof seed));
    for (bool found = false; ok && !found;) {
        ok = crypto_hmac_sha256(bytes_of(nonce.k, sizeof nonce.k), bytes_of(nonce.v, sizeof nonce.v),
                                (struct bytes){0}, nonce.v);
        found = ok && is_p256_scalar(nonce.v);
        if (found)
            memcpy(ret, nonce.v, SCALAR_BYTES);
        else
            ok = ok && stir_nonce(&nonce, 0, (struct bytes){0});
    }
    explicit_bzero(seed, sizeof seed);
    explicit_bzero(&nonce, sizeof nonce);
    return ok;
}

static bool sign_p256(const struct secret *secret, struct bytes covered, const uint8_t *random, uint8_t *ret)
{
    mp_int private, k, r, s;
    uint8_t digest[CRYPTO_SHA256_BYTES], nonce[SCALAR_BYTES];
    if (secret->len != SCALAR_BYTES || !is_p256_scalar(secret->octets) ||
        !crypto_sha256(covered, (struct bytes){0}, digest) || !derive_nonce(secret->octets, digest, random, nonce))
        return false;
    /* With a number given (k), the library needs no generator of its own. */
    bool ok = mp_init_multi(&private, &k, &r, &s, NULL, NULL) == 0 &&
              mp_read_unsigned_bin(&private, secret->octets, SCALAR_BYTES) == 0 &&
              mp_read_unsigned_bin(&k, nonce, sizeof nonce) == 0 &&
              sp_ecc_sign_256(digest, sizeof digest, NULL, &private, &r, &s, &k, NULL) == 0 &&
              mp_to_unsigned_bin_len(&r, ret, SCALAR_BYTES) == 0 &&
              mp_to_unsigned_bin_len(&s, ret + SCALAR_BYTES, SCALAR_BYTES) == 0;
    mp_forcezero(&private);
    explicit_bzero(&k, sizeof k);
    explicit_bzero(nonce, sizeof nonce);
    return ok;
}

/* Ready to sign, with the public half computed. The caller frees the key, which wipes it. */
static bool import_ed25519_private(struct bytes seed, ed25519_key *ret)
{
    uint8_t public[ED25519_PUB_KEY_SIZE];
    return seed.len == ED25519_KEY_SIZE && wc_ed25519_import_private_only(seed.ptr, ED25519_KEY_SIZE, ret) == 0 &&
           wc_ed25519_make_public(ret, public, sizeof public) == 0 &&
           wc_ed25519_import_private_key_ex(seed.ptr, ED25519_KEY_SIZE, public, sizeof public, ret, 1) == 0;
}

static bool sign_ed25519(const struct secret *secret, struct bytes covered, uint8_t *ret)
{
    ed25519_key key;
    word32 len = ED25519_SIG_SIZE;
    if (wc_ed25519_init(&key) != 0)
        return false;
    bool ok = import_ed25519_private(bytes_of(secret->octets, secret->len), &key) &&
              wc_ed25519_sign_msg(covered.len ? covered.ptr : (const uint8_t *)"", (word32)covered.len, ret, &len,
                                  &key) == 0;
    wc_ed25519_free(&key);
    return ok;
}

bool crypto_sign_make(const struct crypto_sign_key *key, struct bytes covered, const uint8_t random[static 32],
                      uint8_t ret[static SIGNED_SIGNATURE_MAX], size_t *ret_len)
{
    uint8_t made[SIGNED_SIGNATURE_MAX];
    size_t len = 2 * SCALAR_BYTES;
    bool ok = false;
    if (covered.len > INT32_MAX)
        return false;
    switch (key->algorithm) {
    case SIGNED_HS256:
    case SIGNED_HS256_64:
        len = key->algorithm == SIGNED_HS256 ? CRYPTO_SHA256_BYTES : HS256_64_BYTES;
        ok = make_mac(key, covered, made);
        break;
    case SIGNED_ES256:
        ok = sign_p256(&key->secret, covered, random, made);
        break;
    case SIGNED_EDDSA:
        ok = sign_ed25519(&key->secret, covered, made);
        break;
    case SIGNED_ALGORITHMS:
        break;
    }
    if (!ok)
        return false;
    memcpy(ret, made, len);
    *ret_len = len;
    return true;
}

static bool derive_p256_public(struct bytes private_octets, uint8_t ret[static POINT_BYTES])
{
    ecc_key key;
    word32 x_len = COORDINATE_BYTES, y_len = COORDINATE_BYTES;
    if (private_octets.len != SCALAR_BYTES || !is_p256_scalar(private_octets.ptr) || wc_ecc_init(&key) != 0)
        return false;
    bool ok = wc_ecc_import_private_key_ex(private_octets.ptr, SCALAR_BYTES, NULL, 0, &key, ECC_SECP256R1) == 0 &&
              wc_ecc_make_pub(&key, NULL) == 0 &&
              wc_ecc_export_public_raw(&key, ret, &x_len, ret + COORDINATE_BYTES, &y_len) == 0 &&
              x_len == COORDINATE_BYTES && y_len == COORDINATE_BYTES;
    wc_ecc_free(&key);
    return ok;
}

static bool derive_ed25519_public(struct bytes private_octets, uint8_t ret[static ED25519_PUB_KEY_SIZE])
{
    ed25519_key key;
    if (wc_ed25519_init(&key) != 0)
        return false;
    bool ok = import_ed25519_private(private_octets, &key);
    if (ok)
        memcpy(ret, key.p, ED25519_PUB_KEY_SIZE);
    wc_ed25519_free(&key);
    return ok;
}

bool crypto_sign_set_private(enum signed_algorithm algorithm, struct bytes octets, struct crypto_sign_key *ret)
{
    struct crypto_sign_key key = {.algorithm = algorithm};
    bool ok = secret_set(&key.secret, octets);
    if (algorithm == SIGNED_ES256) {
        key.public_len = POINT_BYTES;
        ok = ok && derive_p256_public(octets, key.public);
    } else if (algorithm == SIGNED_EDDSA) {
        key.public_len = ED25519_PUB_KEY_SIZE;
        ok = ok && derive_ed25519_public(octets, key.public);
    } else {
        ok = ok && octets.len >= HS256_KEY_MIN;
    }
    if (ok)
        *ret = key;
    crypto_sign_wipe(&key);
    return ok;
}

bool crypto_sign_generate(enum signed_algorithm algorithm, struct crypto_sign_key *ret)
{
    uint8_t octets[SCALAR_BYTES];
    do /* one in 2^32 is no scalar of P-256 */
        random_bytes(octets, sizeof octets);
    while (algorithm == SIGNED_ES256 && !is_p256_scalar(octets));
    bool ok = crypto_sign_set_private(algorithm, bytes_of(octets, sizeof octets), ret);
    explicit_bzero(octets, sizeof octets);
    return ok;
}

static bool read_p256_public(struct bytes der, struct crypto_sign_key *ret)
{
    ecc_key key;
    word32 at = 0, x_len = COORDINATE_BYTES, y_len = COORDINATE_BYTES;
    if (wc_ecc_init(&key) != 0)
        return false;
    bool ok = wc_EccPublicKeyDecode(der.ptr, &at, &key, (word32)der.len) == 0 && at == der.len && key.dp &&
              key.dp->id == ECC_SECP256R1 &&
              wc_ecc_export_public_raw(&key, ret->public, &x_len, ret->public + COORDINATE_BYTES, &y_len) == 0 &&
              p256_is_valid(bytes_of(ret->public, POINT_BYTES));
    wc_ecc_free(&key);
    ret->algorithm = SIGNED_ES256;
    ret->public_len = POINT_BYTES;
    return ok;
}

static bool read_p256_private(struct bytes der, struct crypto_sign_key *ret)
{
    ecc_key key;
    uint8_t octets[SCALAR_BYTES];
    word32 at = 0, len = sizeof octets;
    if (wc_ecc_init(&key) != 0)
        return false;
    bool ok = wc_EccPrivateKeyDecode(der.ptr, &at, &key, (word32)der.len) == 0 && at == der.len && key.dp &&
              key.dp->id == ECC_SECP256R1 && wc_ecc_export_private_only(&key, octets, &len) == 0 &&
              crypto_sign_set_private(SIGNED_ES256, bytes_of(octets, len), ret);
    wc_ecc_free(&key);
    explicit_bzero(octets, sizeof octets);
    return ok;
}

static bool read_ed25519_public(struct bytes der, struct crypto_sign_key *ret)
{
    ed25519_key key;
    word32 at = 0;
    if (wc_ed25519_init(&key) != 0)
        return false;
    bool ok = wc_Ed25519PublicKeyDecode(der.ptr, &at, &key, (word32)der.len) == 0 && at == der.len &&
              ed25519_is_valid(bytes_of(key.p, sizeof key.p));
    if (ok) {
        ret->algorithm = SIGNED_EDDSA;
        ret->public_len = sizeof key.p;
        memcpy(ret->public, key.p, sizeof key.p);
    }
    wc_ed25519_free(&key);
    return ok;
}

static bool read_ed25519_private(struct bytes der, struct crypto_sign_key *ret)
{
    ed25519_key key;
    word32 at = 0;
    if (wc_ed25519_init(&key) != 0)
        return false;
    bool ok = wc_Ed25519PrivateKeyDecode(der.ptr, &at, &key, (word32)der.len) == 0 && at == der.len &&
              crypto_sign_set_private(SIGNED_EDDSA, bytes_of(key.k, ED25519_KEY_SIZE), ret);
    wc_ed25519_free(&key);
    return ok;
}

static bool read_der(struct bytes der, struct crypto_sign_key *ret)
{
    /* Private ones first: the library reads a public key out of a private one's file, too. */
    static bool (*const readers[])(struct bytes, struct crypto_sign_key *) = {
        read_p256_private, read_ed25519_private, read_p256_public, read_ed25519_public};
    bool ok = false;
    for (unsigned i = 0; !ok && i < sizeof readers / sizeof readers[0]; i++) {
        struct crypto_sign_key key = {0};
        ok = readers[i](der, &key);
        if (ok)
            *ret = key;
        crypto_sign_wipe(&key);
    }
    return ok;
}

/* Of two keys in one file nobody can say which is meant. */
static bool has_two(struct bytes pem)
{
    static const char begin[] = "-----BEGIN ";
    const uint8_t *first = memmem(pem.ptr, pem.len, begin, sizeof begin - 1);
    if (!first)
        return false;
    size_t past = (size_t)(first - pem.ptr) + 1;
    const uint8_t *second = memmem(pem.ptr + past, pem.len - past, begin, sizeof begin - 1);
    static const char parameters[] = "-----BEGIN EC PARAMETERS-----";
    bool is_head = pem.len - past + 1 >= sizeof parameters && memcmp(first, parameters, sizeof parameters - 1) == 0;
    return second && (!is_head || has_two(bytes_of(second, pem.len - (size_t)(second - pem.ptr))));
}

bool crypto_sign_read_pem(struct bytes pem_or_der, struct crypto_sign_key *ret)
{
    static const int types[] = {PKCS8_PRIVATEKEY_TYPE, ECC_PRIVATEKEY_TYPE, PUBLICKEY_TYPE};
    if (pem_or_der.len == 0 || pem_or_der.len > INT32_MAX || has_two(pem_or_der))
        return false;
    bool ok = read_der(pem_or_der, ret);
    for (unsigned i = 0; !ok && i < sizeof types / sizeof types[0]; i++) {
        DerBuffer *der = NULL;
        ok = wc_PemToDer(pem_or_der.ptr, (long)pem_or_der.len, types[i], &der, NULL, NULL, NULL) == 0 &&
             read_der(bytes_of(der->buffer, der->length), ret);
        if (der)
            explicit_bzero(der->buffer, der->length);
        wc_FreeDer(&der);
    }
    return ok;
}

/*
 * What stands before the key's own octets in DER. Everything in it has one length, so nothing is to be computed
 * (RFC 5480 2, RFC 5915 3, RFC 8410 4 and 7).
 */
static const uint8_t p256_public_head[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
};
static const uint8_t ed25519_public_head[] = {
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
};
static const uint8_t p256_private_head[] = {
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20,
};
static const uint8_t p256_private_middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00, 0x04}; /* [1] publicKey */
static const uint8_t ed25519_private_head[] = {
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
};

/* The parts one after the other, as PEM of this type. */
static bool write_pem(const struct bytes *parts, size_t count, int type, char ret[static CRYPTO_SIGN_PEM_MAX])
{
    uint8_t der[DER_MAX];
    size_t len = 0;
    for (size_t i = 0; i < count && parts[i].len <= sizeof der - len; i++) {
        memcpy(der + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    int written = wc_DerToPem(der, (word32)len, (uint8_t *)ret, CRYPTO_SIGN_PEM_MAX - 1, type);
    explicit_bzero(der, sizeof der);
    if (written <= 0)
        return false;
    ret[written] = '\0';
    return true;
}

bool crypto_sign_write_public_pem(const struct crypto_sign_key *key, char ret[static CRYPTO_SIGN_PEM_MAX])
{
    struct bytes head;
    if (key->algorithm == SIGNED_ES256 && key->public_len == POINT_BYTES)
        head = bytes_of(p256_public_head, sizeof p256_public_head);
    else if (key->algorithm == SIGNED_EDDSA && key->public_len == ED25519_PUB_KEY_SIZE)
        head = bytes_of(ed25519_public_head, sizeof ed25519_public_head);
    else
        return false;
    const struct bytes parts[] = {head, bytes_of(key->public, key->public_len)};
    return write_pem(parts, 2, PUBLICKEY_TYPE, ret);
}

bool crypto_sign_write_private_pem(const struct crypto_sign_key *key, char ret[static CRYPTO_SIGN_PEM_MAX])
{
    struct bytes private_octets = bytes_of(key->secret.octets, key->secret.len);
    if (private_octets.len != SCALAR_BYTES)
        return false;
    if (key->algorithm == SIGNED_ES256 && key->public_len == POINT_BYTES) {
        const struct bytes parts[] = {bytes_of(p256_private_head, sizeof p256_private_head), private_octets,
                                      bytes_of(p256_private_middle, sizeof p256_private_middle),
                                      bytes_of(key->public, POINT_BYTES)};
        return write_pem(parts, 4, PKCS8_PRIVATEKEY_TYPE, ret);
    }
    if (key->algorithm != SIGNED_EDDSA)
        return false;
    const struct bytes parts[] = {bytes_of(ed25519_private_head, sizeof ed25519_private_head), private_octets};
    return write_pem(parts, 2, PKCS8_PRIVATEKEY_TYPE, ret);
}

void crypto_sign_wipe(struct crypto_sign_key *key)
{
    secret_wipe(&key->secret);
    explicit_bzero(key, sizeof *key);
}
