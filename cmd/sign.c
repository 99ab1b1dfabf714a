// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * weir sign: a signed message from a file and a key, as a device would make it, on stdout; or a new key. What was made
 * is read back before it is written, so that what a gateway would refuse is refused here, with its words.
 */
#include "cmd/commands.h"
#include "cmd/keyring.h"
#include "codec/cose.h"
#include "codec/envelope.h"
#include "codec/jwk.h"
#include "codec/jws.h"
#include "codec/pyjson.h"
#include "gateway/delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAYLOAD_MAX ((size_t)16 << 20)
#define ARENA_BYTES ((size_t)256 << 20)
#define DEFAULT_CTY "application/senml+json"

enum shape { SHAPE_JWS, SHAPE_JWS_JSON, SHAPE_COSE, SHAPE_HMAC, SHAPES };

struct signing {
    const struct cli *cli;
    struct arena *arena;
    const struct keyring_key *key;
    enum shape shape;
    struct bytes kid;
    int content_format; /* of the payload; CONTENT_FORMAT_NONE: not said */
    struct sequence sequence;
    struct bytes payload;
};

/* What is wanted. */

static int take_shape(struct signing *signing)
{
    static const char *const names[SHAPES] = {"jws", "jws-json", "cose", "hmac"};
    const char *text = cli_value(signing->cli, "--form");
    signing->shape = SHAPE_JWS;
    for (enum shape shape = 0; text && shape < SHAPES; shape++)
        if (strcmp(text, names[shape]) == 0) {
            signing->shape = shape;
            return CLI_OK;
        }
    return text ? cli_fail(signing->cli, CLI_USAGE, "--form \"%s\": jws, jws-json, cose or hmac", text) : CLI_OK;
}

/* A media type, a number, or nothing. */
static int take_content_type(struct signing *signing)
{
    const char *text = cli_value(signing->cli, "--cty");
    char *end;
    if (!text)
        text = DEFAULT_CTY;
    unsigned long number = strtoul(text, &end, 10);
    if (!text[0])
        signing->content_format = CONTENT_FORMAT_NONE;
    else if (!*end && number <= UINT16_MAX)
        signing->content_format = (int)number;
    else
        signing->content_format = format_by_media_type(bytes_of_text(text));
    if (text[0] && !format_media_type(signing->content_format))
        return cli_fail(signing->cli, CLI_USAGE, "--cty \"%s\" is no media type or Content-Format that weir knows",
                        text);
    return CLI_OK;
}

static int take_sequence(struct signing *signing)
{
    const char *text = cli_value(signing->cli, "--seq");
    if (!text)
        return CLI_OK;
    if (!delivery_parse_sequence(bytes_of_text(text), &signing->sequence))
        return cli_fail(signing->cli, CLI_USAGE, "--seq \"%s\" is not EPOCH.SEQ, two whole numbers", text);
    if (signing->shape == SHAPE_HMAC)
        return cli_fail(signing->cli, CLI_USAGE, "an envelope has no place for --seq; its time tells it from others");
    return CLI_OK;
}

static int take_options(struct signing *signing)
{
    int status = take_shape(signing);
    if (status == CLI_OK)
        status = take_content_type(signing);
    if (status == CLI_OK)
        status = take_sequence(signing);
    const char *kid = cli_value(signing->cli, "--kid");
    signing->kid = bytes_of_text(kid ? kid : signing->key->kid);
    if (status == CLI_OK && signing->kid.len == 0 && signing->shape != SHAPE_HMAC)
        status = cli_fail(signing->cli, CLI_USAGE, "needs --kid: by it a gateway finds the key");
    return status;
}

/* Making it. */

static bool make_jws(const struct signing *signing, struct bytes *ret)
{
    const char *content_type = format_media_type(signing->content_format);
    struct jws_header header = {
        .algorithm = signing->key->key.algorithm,
        .kid = signing->kid,
        .content_type = bytes_of_text(content_type ? content_type : ""),
        .sequence = signing->sequence,
    };
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    size_t len;
    struct bytes covered;
    return header.algorithm != SIGNED_HS256_64 && jws_begin(&header, signing->payload, signing->arena, &covered) &&
           keyring_sign(&signing->key->key, SIGNED_JWS, covered, signature, &len) &&
           (signing->shape == SHAPE_JWS_JSON ? jws_end_json : jws_end_compact)(covered, bytes_of(signature, len),
                                                                               signing->arena, ret);
}

static bool make_cose(const struct signing *signing, struct bytes *ret)
{
    struct cose_msg_header header = {
        .algorithm = signing->key->key.algorithm,
        .kid = signing->kid,
        .content_format = signing->content_format,
        .sequence = signing->sequence,
    };
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    size_t len;
    struct bytes protected_header, covered;
    return cose_msg_begin(&header, signing->payload, signing->arena, &protected_header, &covered) &&
           keyring_sign(&signing->key->key, SIGNED_COSE, covered, signature, &len) &&
           cose_msg_end(&header, protected_header, signing->payload, bytes_of(signature, len), signing->arena, ret);
}

static bool make_envelope(const struct signing *signing, struct bytes *ret, struct refusal *reterr)
{
    uint8_t mac[SIGNED_SIGNATURE_MAX];
    size_t len;
    struct bytes canonical;
    return pyjson_canonical(signing->payload, &FORMAT_LIMITS_DEFAULT, signing->arena, &canonical, reterr) &&
           keyring_sign(&signing->key->key, SIGNED_ENVELOPE, canonical, mac, &len) &&
           envelope_write(signing->payload, mac, signing->arena, ret);
}

static bool make(const struct signing *signing, struct bytes *ret, struct refusal *reterr)
{
    switch (signing->shape) {
    case SHAPE_COSE:
        return make_cose(signing, ret);
    case SHAPE_HMAC:
        return make_envelope(signing, ret, reterr);
    case SHAPE_JWS:
    case SHAPE_JWS_JSON:
    case SHAPES:
        break;
    }
    return make_jws(signing, ret);
}

static bool read_back(const struct signing *signing, struct bytes made, struct signed_message *ret,
                      struct refusal *reterr)
{
    switch (signing->shape) {
    case SHAPE_COSE:
        return cose_msg_read(made, COSE_MSG_ANY, signing->arena, ret, reterr);
    case SHAPE_HMAC:
        return envelope_read(made, &FORMAT_LIMITS_DEFAULT, signing->arena, ret, reterr);
    case SHAPE_JWS_JSON:
        return jws_read_json(made, signing->arena, ret, reterr);
    case SHAPE_JWS:
    case SHAPES:
        break;
    }
    return jws_read_compact(made, signing->arena, ret, reterr);
}

static int sign_payload(const struct signing *signing)
{
    struct refusal refusal = {.detail = NULL};
    struct signed_message message;
    struct bytes made;
    if (!make(signing, &made, &refusal))
        return cli_fail(signing->cli, CLI_REFUSED, "%s",
                        refusal.detail ? refusal.detail
                                       : "this key cannot sign this form: it is public, too short, or of another "
                                         "algorithm");
    if (!read_back(signing, made, &message, &refusal))
        return cli_fail(signing->cli, CLI_REFUSED, "a gateway would refuse it: %s", refusal.detail);
    if (!keyring_verify(&signing->key->key, &message))
        return cli_fail(signing->cli, CLI_REFUSED, "the signature that was made does not hold");
    if (fwrite(made.ptr, 1, made.len, stdout) != made.len || fflush(stdout) != 0)
        return cli_fail(signing->cli, CLI_REFUSED, "it could not be written: %s", strerror(errno));
    return CLI_OK;
}

static int sign_file(const struct cli *cli, const struct keyring *keyring)
{
    struct signing signing = {.cli = cli, .key = &keyring->keys[0]};
    size_t len;
    if (keyring->count != 1)
        return cli_fail(cli, CLI_USAGE, "needs one key: --key=FILE or --hex=DIGITS");
    int status = take_options(&signing);
    if (status != CLI_OK)
        return status;
    uint8_t *payload = cli_read_file(cli, cli->operands[0] ? cli->operands[0] : "-", PAYLOAD_MAX, &len);
    if (!payload)
        return CLI_REFUSED;
    signing.payload = bytes_of(payload, len);
    signing.arena = arena_new(ARENA_BYTES);
    status = signing.arena ? sign_payload(&signing) : cli_fail(cli, CLI_REFUSED, "out of memory");
    arena_free(signing.arena);
    free(payload);
    return status;
}

/* A new key. */

/* Never over a file that is there: it may be the only copy of another key. */
static int write_new(const struct cli *cli, const char *path, mode_t mode, struct bytes text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return cli_fail(cli, CLI_REFUSED, "%s: %s", path, strerror(errno));
    bool ok = write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    ok &= close(fd) == 0;
    return ok ? CLI_OK : cli_fail(cli, CLI_REFUSED, "%s: %s", path, strerror(errno));
}

/* A secret has no PEM; it is a JWK. */
static int write_secret(const struct cli *cli, const char *path, const struct crypto_sign_key *key)
{
    struct jwk jwk = {.algorithm = key->algorithm, .len = key->secret.len};
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes text;
    memcpy(jwk.octets, key->secret.octets, key->secret.len);
    int status = arena && jwk_write(&jwk, true, arena, &text) ? write_new(cli, path, 0600, text)
                                                              : cli_fail(cli, CLI_REFUSED, "out of memory");
    jwk_wipe(&jwk);
    arena_free(arena);
    return status;
}

static int write_pair(const struct cli *cli, const char *path, const char *public_path,
                      const struct crypto_sign_key *key)
{
    char pem[CRYPTO_SIGN_PEM_MAX];
    if (!crypto_sign_write_private_pem(key, pem))
        return cli_fail(cli, CLI_REFUSED, "out of memory");
    int status = write_new(cli, path, 0600, bytes_of_text(pem));
    explicit_bzero(pem, sizeof pem);
    if (status == CLI_OK && crypto_sign_write_public_pem(key, pem))
        status = write_new(cli, public_path, 0644, bytes_of_text(pem));
    return status;
}

static int generate(const struct cli *cli)
{
    static const char *const kinds[SIGNED_ALGORITHMS] = {[SIGNED_HS256] = "hs256", [SIGNED_HS256_64] = "hs256-64",
                                                         [SIGNED_ES256] = "es256", [SIGNED_EDDSA] = "eddsa"};
    struct crypto_sign_key key = {.algorithm = SIGNED_ES256};
    const char *path = cli_value(cli, "--out"), *text = cli_value(cli, "--alg"), *kid = cli_value(cli, "--kid");
    char public_path[4096];
    if (!path || (text && !keyring_parse_algorithm(text, &key.algorithm)))
        return cli_fail(cli, CLI_USAGE, "--generate needs --out=FILE, and --alg=ES256, EdDSA, HS256 or HS256/64");
    bool is_pair = key.algorithm == SIGNED_ES256 || key.algorithm == SIGNED_EDDSA;
    if (snprintf(public_path, sizeof public_path, "%s%s", path, is_pair ? ".pub" : "") >= (int)sizeof public_path)
        return cli_fail(cli, CLI_USAGE, "--out \"%s\" is too long", path);
    if (!crypto_sign_generate(key.algorithm, &key))
        return cli_fail(cli, CLI_REFUSED, "no key could be made");
    int status = is_pair ? write_pair(cli, path, public_path, &key) : write_secret(cli, path, &key);
    if (status == CLI_OK)
        printf("%s: %s key, for the signer alone. To let a device sign with it:\n"
               "weir key add TENANT/DEVICE --kind=%s --id=%s --file=%s\n",
               path, signed_algorithm_name(key.algorithm), kinds[key.algorithm], kid ? kid : "KID", public_path);
    crypto_sign_wipe(&key);
    return status;
}

static int run(struct cli *cli)
{
    struct keyring keyring = {0};
    if (cli_value(cli, "--generate"))
        return generate(cli);
    int status = keyring_take(cli, &keyring);
    if (status == CLI_OK)
        status = sign_file(cli, &keyring);
    keyring_deinit(&keyring);
    return status;
}

static const struct cli_option options[] = {
    {"--key", "[KID=]FILE", "private key (PEM, DER, JWK) or secret (JWK, hexadecimal)"},
    {"--hex", "[KID=]DIGITS", "a secret in hexadecimal; others can see it while this runs"},
    {"--alg", "ALGORITHM", "of --hex: HS256 (or not given) or HS256/64; of --generate also ES256, EdDSA"},
    {"--form", "FORM", "jws (or not given), jws-json, cose, hmac"},
    {"--kid", "KID", "id of the key, or TENANT/KID; without it that of the JWK"},
    {"--cty", "TYPE", "media type or Content-Format of the payload; without it " DEFAULT_CTY "; empty: not said"},
    {"--seq", "EPOCH.SEQ", "sequence number of the message"},
    {"--generate", NULL, "make a new key instead and write it to --out"},
    {"--out", "FILE", "where the new key goes; the public half goes to FILE.pub"},
    {NULL, NULL, NULL},
};

int cmd_sign(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"", "[FILE]", "the signed message on stdout; FILE is what is signed, - or none: stdin", options, run},
    };
    static const struct cli_group group = {"sign", "sign a message as a device does; make a key for it",
                                           commands, 1, NULL};
    return cli_main_offline(&group, argc, argv);
}
