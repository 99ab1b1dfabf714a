// SPDX-License-Identifier: GPL-3.0-or-later
/* Run once or a few times by a person: files are small, and what is wrong with them is said by name. */
#include "cmd/keyring.h"

#include "codec/jwk.h"
#include "gateway/crypto.h"
#include "gateway/rt/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define FILE_MAX 65536
#define ARENA_BYTES ((size_t)1 << 20)

bool keyring_parse_algorithm(const char *text, enum signed_algorithm *ret)
{
    for (enum signed_algorithm each = 0; each < SIGNED_ALGORITHMS; each++)
        if (strcasecmp(text, signed_algorithm_name(each)) == 0) {
            *ret = each;
            return true;
        }
    return false;
}

static bool is_kid(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] == '/' || text.ptr[i] >= 0x7f)
            return false;
    return text.len > 0 && text.len <= SIGNED_KID_MAX;
}

/* Takes KID= off the front, if it is there. */
static const char *take_kid(const char *text, char ret[static SIGNED_KID_MAX + 1])
{
    const char *equals = strchr(text, '=');
    struct bytes kid = bytes_of(text, equals ? (size_t)(equals - text) : 0);
    if (!is_kid(kid))
        return text;
    memcpy(ret, kid.ptr, kid.len);
    return equals + 1;
}

static bool take_secret(struct bytes hex, enum signed_algorithm algorithm, struct crypto_sign_key *ret)
{
    bool is_mac = algorithm == SIGNED_HS256 || algorithm == SIGNED_HS256_64;
    ret->algorithm = algorithm;
    return is_mac && secret_set_hex(&ret->secret, hex) && ret->secret.len >= KEYRING_SECRET_MIN;
}

/* The private half, where there is one, makes the public one: a JWK could say another. */
static bool take_jwk(struct bytes json, struct keyring_key *ret, const char **ret_why)
{
    struct refusal refusal = {0};
    struct jwk jwk = {0};
    struct arena *arena = arena_new(ARENA_BYTES);
    bool ok = arena && jwk_read(json, arena, &jwk, &refusal);
    *ret_why = refusal.detail;
    if (ok && !ret->kid[0] && is_kid(jwk.kid))
        memcpy(ret->kid, jwk.kid.ptr, jwk.kid.len);
    if (ok && jwk.is_private) {
        struct bytes private_octets = bytes_of(jwk.private_octets, sizeof jwk.private_octets);
        ok = crypto_sign_set_private(jwk.algorithm, private_octets, &ret->key) &&
             ret->key.public_len == jwk.len && memcmp(ret->key.public, jwk.octets, jwk.len) == 0;
    } else if (ok && (jwk.algorithm == SIGNED_HS256 || jwk.algorithm == SIGNED_HS256_64)) {
        ret->key.algorithm = jwk.algorithm;
        ok = secret_set(&ret->key.secret, bytes_of(jwk.octets, jwk.len)) && ret->key.secret.len >= KEYRING_SECRET_MIN;
    } else if (ok) {
        ret->key.algorithm = jwk.algorithm;
        ret->key.public_len = jwk.len;
        memcpy(ret->key.public, jwk.octets, jwk.len);
        ok = crypto_sign_public_is_valid(jwk.algorithm, bytes_of(jwk.octets, jwk.len));
    }
    jwk_wipe(&jwk);
    arena_free(arena);
    return ok;
}

static struct bytes trim(struct bytes text)
{
    while (text.len && strchr(" \t\r\n", text.ptr[0]))
        text = bytes_of(text.ptr + 1, text.len - 1);
    while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static bool take_content(struct bytes content, enum signed_algorithm algorithm, struct keyring_key *ret,
                         const char **ret_why)
{
    struct bytes text = trim(content);
    if (text.len && text.ptr[0] == '{')
        return take_jwk(text, ret, ret_why);
    return crypto_sign_read_pem(content, &ret->key) || take_secret(text, algorithm, &ret->key);
}

int keyring_read_digest(const struct cli *cli, const char *path, uint8_t ret[static CREDENTIAL_DIGEST_BYTES])
{
    size_t len;
    uint8_t *content = cli_read_file(cli, path, FILE_MAX, &len);
    bool ok = content && crypto_spki_digest(bytes_of(content, len), ret);
    free(content);
    if (!content)
        return CLI_REFUSED;
    return ok ? CLI_OK : cli_fail(cli, CLI_REFUSED, "%s holds no public key or certificate (PEM or DER)", path);
}

int keyring_read_file(const struct cli *cli, const char *text, enum signed_algorithm algorithm, struct keyring_key *ret)
{
    size_t len;
    const char *path = take_kid(text, ret->kid), *why = NULL;
    uint8_t *content = cli_read_file(cli, path, FILE_MAX, &len);
    if (!content)
        return CLI_REFUSED;
    bool ok = take_content(bytes_of(content, len), algorithm, ret, &why);
    explicit_bzero(content, len);
    free(content);
    return ok ? CLI_OK
              : cli_fail(cli, CLI_REFUSED, "%s holds no key of P-256 or Ed25519 (PEM, DER, JWK) and no secret of %d to "
                         "%d octets (JWK, hexadecimal)%s%s", path, KEYRING_SECRET_MIN, SECRET_MAX, why ? ": " : "",
                         why ? why : "");
}

static int take_hex(const struct cli *cli, const char *text, enum signed_algorithm algorithm, struct keyring_key *ret)
{
    if (take_secret(bytes_of_text(take_kid(text, ret->kid)), algorithm, &ret->key))
        return CLI_OK;
    return cli_fail(cli, CLI_USAGE, "--hex needs %d to %d hexadecimal digits, and --alg=HS256 or HS256/64",
                    2 * KEYRING_SECRET_MIN, 2 * SECRET_MAX);
}

typedef int take_one_fn(const struct cli *cli, const char *text, enum signed_algorithm algorithm,
                        struct keyring_key *ret);

static int take_several(const struct cli *cli, const char *option, take_one_fn *take_one,
                        enum signed_algorithm algorithm, struct keyring *keyring)
{
    const char *value = cli_value(cli, option);
    char *copy = strdup(value ? value : ""), *rest = copy, *one;
    int status = copy ? CLI_OK : cli_fail(cli, CLI_REFUSED, "out of memory");
    while (status == CLI_OK && (one = strsep(&rest, ",")) != NULL) {
        if (!one[0])
            continue;
        if (keyring->count == KEYRING_MAX)
            status = cli_fail(cli, CLI_USAGE, "at most %d keys", KEYRING_MAX);
        else
            status = take_one(cli, one, algorithm, &keyring->keys[keyring->count++]);
    }
    if (copy)
        explicit_bzero(copy, strlen(copy));
    free(copy);
    return status;
}

int keyring_take(const struct cli *cli, struct keyring *keyring)
{
    enum signed_algorithm algorithm = SIGNED_HS256;
    const char *text = cli_value(cli, "--alg");
    if (text && !keyring_parse_algorithm(text, &algorithm))
        return cli_fail(cli, CLI_USAGE, "--alg %s: ES256, EdDSA, HS256 or HS256/64", text);
    int status = take_several(cli, "--key", keyring_read_file, algorithm, keyring);
    if (status == CLI_OK)
        status = take_several(cli, "--hex", take_hex, algorithm, keyring);
    return status;
}

void keyring_deinit(struct keyring *keyring)
{
    for (size_t i = 0; i < keyring->count; i++)
        crypto_sign_wipe(&keyring->keys[i].key);
    keyring->count = 0;
}

/* The envelope's keys may be shorter than those of HS256. */
static bool make_envelope_mac(const struct crypto_sign_key *key, struct bytes covered,
                              uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    return key->algorithm == SIGNED_HS256 &&
           crypto_hmac_sha256(bytes_of(key->secret.octets, key->secret.len), covered, (struct bytes){0}, ret);
}

bool keyring_verify(const struct crypto_sign_key *key, const struct signed_message *message)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    if (message->form != SIGNED_ENVELOPE)
        return crypto_sign_verify(key, message->covered, message->signature);
    return make_envelope_mac(key, message->covered, mac) && message->signature.len == sizeof mac &&
           secret_bytes_equal(mac, message->signature.ptr, sizeof mac);
}

bool keyring_sign(const struct crypto_sign_key *key, enum signed_form form, struct bytes covered,
                  uint8_t ret[static SIGNED_SIGNATURE_MAX], size_t *ret_len)
{
    uint8_t random[32];
    if (form == SIGNED_ENVELOPE) {
        *ret_len = CRYPTO_SHA256_BYTES;
        return make_envelope_mac(key, covered, ret);
    }
    random_bytes(random, sizeof random);
    return crypto_sign_make(key, covered, random, ret, ret_len);
}
