// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir key`: the credentials of one device, several at once, so that a new one is there before the old one
 * goes. A secret or a private key that is made here is printed once, and never again: `list` tells ids,
 * kinds, times and digests.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/keyring.h"
#include "cmd/moment.h"
#include "cmd/thing.h"
#include "codec/base64url.h"
#include "codec/hex.h"
#include "codec/jwk.h"
#include "gateway/crypto.h"
#include "gateway/rt/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MADE_PSK_RANDOM 24 /* as weir device add makes them: 32 characters, because many clients take text only */
#define MADE_SECRET_BYTES 32
#define ID_RANDOM_BYTES 4
#define THUMBPRINT_LEN 43 /* SHA-256 in base64url */
#define ARENA_BYTES ((size_t)1 << 16)

/* A credential that is about to be added, and what is to be told of it. */
struct draft {
    struct credential credential;
    char name[CREDENTIAL_NAME_MAX + 1];
    bool made;                     /* its secret is new: shown once */
    struct crypto_sign_key signer; /* es256, eddsa that were made: the private half */
};

/* Adding: each take_ reads its options into the draft and returns an exit status. */

static int take_kind(const struct cli *cli, struct credential *ret)
{
    const char *kind = cli_value(cli, "--kind"), *id = cli_value(cli, "--id");
    uint8_t random[ID_RANDOM_BYTES];
    char digits[2 * ID_RANDOM_BYTES];
    if (!kind)
        return cli_fail(cli, CLI_USAGE, "needs --kind; see --help");
    if (!credential_kind_of_name(bytes_of_text(kind), &ret->kind))
        return cli_fail(cli, CLI_USAGE, "--kind \"%s\" is not one of the kinds of keys; see --help", kind);
    if (id && !credential_id_is_valid(bytes_of_text(id)))
        return cli_fail(cli, CLI_USAGE, "--id \"%s\": 1 to %d of A-Z a-z 0-9 . _ -, the first a letter or digit", id,
                        CREDENTIAL_ID_MAX);
    random_bytes(random, sizeof random);
    if (id)
        strcpy(ret->id, id);
    else
        snprintf(ret->id, sizeof ret->id, "%s-%.*s", kind,
                 (int)hex_write(bytes_of(random, sizeof random), digits), digits);
    return CLI_OK;
}

static int take_times(const struct cli *cli, struct credential *ret)
{
    int status = moment_take(cli, "--not-before", &ret->not_before_s);
    if (status == CLI_OK)
        status = moment_take(cli, "--not-after", &ret->not_after_s);
    if (status == CLI_OK && ret->not_after_s && ret->not_after_s <= ret->not_before_s)
        status = cli_fail(cli, CLI_USAGE, "--not-after must be later than --not-before");
    if (status == CLI_OK && ret->not_after_s && ret->not_after_s <= time(NULL))
        status = cli_fail(cli, CLI_USAGE, "--not-after is in the past: the key would never be good");
    return status;
}

static int take_hex(const struct cli *cli, const char *hex, struct credential *ret)
{
    struct secret octets = {0};
    bool ok = secret_set_hex(&octets, bytes_of_text(hex));
    if (ok && credential_is_secret(ret->kind)) {
        ret->secret = octets;
    } else if (ok) {
        memcpy(ret->public, octets.octets, octets.len);
        ret->public_len = octets.len;
    }
    secret_wipe(&octets);
    return ok ? CLI_OK
              : cli_fail(cli, CLI_USAGE, "--hex needs 2 to %d hexadecimal digits, an even number",
                         2 * SECRET_MAX);
}

static int take_key_file(const struct cli *cli, const char *path, enum signed_algorithm algorithm, struct draft *ret)
{
    struct keyring_key key = {0};
    int status = keyring_read_file(cli, path, algorithm, &key);
    struct credential *credential = &ret->credential;
    if (status == CLI_OK && key.key.algorithm != algorithm)
        status = cli_fail(cli, CLI_REFUSED, "%s holds a key for %s, not for --kind=%s", path,
                          signed_algorithm_name(key.key.algorithm), credential_kind_name(credential->kind));
    if (status == CLI_OK && credential_is_secret(credential->kind)) {
        credential->secret = key.key.secret;
    } else if (status == CLI_OK) {
        memcpy(credential->public, key.key.public, key.key.public_len);
        credential->public_len = (uint8_t)key.key.public_len;
    }
    crypto_sign_wipe(&key.key);
    return status;
}

static bool generate(struct draft *draft)
{
    struct credential *credential = &draft->credential;
    enum signed_algorithm algorithm;
    uint8_t random[MADE_SECRET_BYTES];
    char text[MADE_SECRET_BYTES];
    draft->made = true;
    if (credential->kind == CREDENTIAL_PSK) {
        random_bytes(random, MADE_PSK_RANDOM);
        base64url_encode(bytes_of(random, MADE_PSK_RANDOM), text);
        secret_set(&credential->secret, bytes_of(text, sizeof text));
    } else if (credential_is_secret(credential->kind)) {
        random_bytes(random, sizeof random);
        secret_set(&credential->secret, bytes_of(random, sizeof random));
    } else if (credential_algorithm(credential->kind, &algorithm) && crypto_sign_generate(algorithm, &draft->signer)) {
        memcpy(credential->public, draft->signer.public, draft->signer.public_len);
        credential->public_len = (uint8_t)draft->signer.public_len;
    } else {
        return false;
    }
    explicit_bzero(random, sizeof random);
    explicit_bzero(text, sizeof text);
    return true;
}

static int take_material(const struct cli *cli, struct draft *ret)
{
    const char *file = cli_value(cli, "--file"), *hex = cli_value(cli, "--hex");
    enum credential_kind kind = ret->credential.kind;
    enum signed_algorithm algorithm;
    bool makes = cli_value(cli, "--generate") != NULL;
    if (kind == CREDENTIAL_X509)
        return file || hex || makes ? cli_fail(cli, CLI_USAGE, "--kind=x509 takes --name only") : CLI_OK;
    if ((file != NULL) + (hex != NULL) + makes != 1)
        return cli_fail(cli, CLI_USAGE, "one of --file, --hex and --generate");
    if (hex)
        return take_hex(cli, hex, &ret->credential);
    if (file && (kind == CREDENTIAL_RPK || kind == CREDENTIAL_CA)) {
        ret->credential.public_len = CREDENTIAL_DIGEST_BYTES;
        return keyring_read_digest(cli, file, ret->credential.public);
    }
    if (file && credential_algorithm(kind, &algorithm))
        return take_key_file(cli, file, algorithm, ret);
    if (makes && kind != CREDENTIAL_FRAME && generate(ret))
        return CLI_OK;
    return cli_fail(cli, CLI_USAGE, "%s is not for --kind=%s; see --help", file ? "--file" : "--generate",
                    credential_kind_name(kind));
}

static int take_name(const struct cli *cli, struct draft *ret)
{
    const char *name = cli_value(cli, "--name");
    bool wants = ret->credential.kind == CREDENTIAL_X509 || ret->credential.kind == CREDENTIAL_CA;
    if (!name == !wants && (!name || strlen(name) <= CREDENTIAL_NAME_MAX)) {
        snprintf(ret->name, sizeof ret->name, "%s", name ? name : "");
        ret->credential.name = name ? ret->name : NULL;
        return CLI_OK;
    }
    return cli_fail(cli, CLI_USAGE, "--name, at most %d bytes, is for --kind=x509 and --kind=ca, which need it",
                    CREDENTIAL_NAME_MAX);
}

/* What the kinds can have, in the words of their options. */
static int check(const struct cli *cli, const struct credential *credential)
{
    enum signed_algorithm algorithm;
    bool sound = credential_is_acceptable(credential);
    if (sound && !credential_is_secret(credential->kind) && credential_algorithm(credential->kind, &algorithm))
        sound = crypto_sign_public_is_valid(algorithm, bytes_of(credential->public, credential->public_len));
    return sound ? CLI_OK
                 : cli_fail(cli, CLI_USAGE,
                            "that is no key of --kind=%s: wrong length, no point of the curve, nothing but zeros, or a "
                            "name with control characters",
                            credential_kind_name(credential->kind));
}

static int take_draft(const struct cli *cli, struct draft *ret)
{
    int status = take_kind(cli, &ret->credential);
    if (status == CLI_OK)
        status = take_times(cli, &ret->credential);
    if (status == CLI_OK)
        status = take_name(cli, ret);
    if (status == CLI_OK)
        status = take_material(cli, ret);
    return status == CLI_OK ? check(cli, &ret->credential) : status;
}

/* The only time that it is seen. */
static void print_made(const struct draft *draft)
{
    char pem[CRYPTO_SIGN_PEM_MAX];
    const struct credential *credential = &draft->credential;
    if (!draft->made)
        return;
    if (credential_is_secret(credential->kind)) {
        printf("%s (hex): ", credential_kind_name(credential->kind));
        cli_put_hex(bytes_of(credential->secret.octets, credential->secret.len));
        putchar('\n');
        if (credential->kind == CREDENTIAL_PSK)
            printf("psk (text): %.*s\n", credential->secret.len, (const char *)credential->secret.octets);
    } else {
        if (crypto_sign_write_private_pem(&draft->signer, pem))
            fputs(pem, stdout);
        if (crypto_sign_write_public_pem(&draft->signer, pem))
            fputs(pem, stdout);
        explicit_bzero(pem, sizeof pem);
    }
    puts("Keep the key; it is not shown again.");
}

static void wipe(struct draft *draft)
{
    credential_wipe(&draft->credential);
    crypto_sign_wipe(&draft->signer);
}

/* What is not as with other things: a device has so many, and a kid one device. */
static int judge_add(const struct cli *cli, enum accounts_result result, const char *id)
{
    const char *device = cli->operands[0];
    if (result == ACCOUNTS_FULL)
        return cli_fail(cli, CLI_REFUSED,
                        "device %s has %d keys, which is the most; see weir key list %s, and remove one",
                        device, CREDENTIALS_MAX, device);
    if (result == ACCOUNTS_EXISTS && cli->accounts.holder[0])
        return cli_fail(cli, CLI_REFUSED,
                        "key %s is one of the device %s; a key that signs needs an id of its own in the "
                        "tenant: --id",
                        id, cli->accounts.holder);
    if (result == ACCOUNTS_EXISTS)
        return cli_fail(cli, CLI_REFUSED,
                        "device %s has a key %s already; --replace puts this one in its place", device, id);
    return cli_judge(cli, result == ACCOUNTS_NOT_FOUND ? ACCOUNTS_NO_DEVICE : result, "key of device", device);
}

static int key_add(struct cli *cli)
{
    struct draft draft = {.credential.created_s = time(NULL)};
    struct cli_name device;
    if (!cli_split_device(cli, cli->operands[0], &device))
        return CLI_USAGE;
    int status = take_draft(cli, &draft);
    if (status == CLI_OK)
        status = judge_add(cli,
                           accounts_put_credential(&cli->accounts, bytes_of_text(device.tenant),
                                                   bytes_of_text(device.id), &draft.credential,
                                                   cli_value(cli, "--replace") != NULL),
                           draft.credential.id);
    if (status == CLI_OK) {
        printf("key %s of device %s added\nkind: %s\n", draft.credential.id, cli->operands[0],
               credential_kind_name(draft.credential.kind));
        if (draft.credential.kind == CREDENTIAL_PSK)
            printf("identity: %s, or %s/%s for this key\n", cli->operands[0], cli->operands[0], draft.credential.id);
        print_made(&draft);
    }
    wipe(&draft);
    return status;
}

/* Listing. */

static const char *state_of(const struct credential *credential, int64_t now_s)
{
    if (now_s < credential->not_before_s)
        return "not yet";
    if (!credential_is_good_at(credential, now_s))
        return "expired";
    return credential->offered ? "offered" : "good";
}

/* RFC 7638, as base64url. False: not of this kind. */
static bool thumbprint(const struct credential *credential, char ret[static THUMBPRINT_LEN + 1])
{
    struct jwk jwk = {.len = credential->public_len};
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes text;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    bool ok = arena && !credential_is_secret(credential->kind) &&
              credential_algorithm(credential->kind, &jwk.algorithm);
    if (ok) {
        memcpy(jwk.octets, credential->public, jwk.len);
        ok = jwk_thumbprint_text(&jwk, arena, &text) && crypto_sha256(text, (struct bytes){0}, digest);
    }
    if (ok) {
        base64url_encode(bytes_of(digest, sizeof digest), ret);
        ret[THUMBPRINT_LEN] = '\0';
    }
    arena_free(arena);
    return ok;
}

/* What people compare: a thumbprint, the digest of a public key, a name; of secrets nothing. */
static void print_public(const struct credential *credential)
{
    char text[THUMBPRINT_LEN + 1];
    if (thumbprint(credential, text))
        printf("%s", text);
    else if (credential->kind == CREDENTIAL_RPK || credential->kind == CREDENTIAL_CA)
        cli_put_hex(bytes_of(credential->public, credential->public_len));
    if (credential->name)
        printf("%s%s", credential->kind == CREDENTIAL_CA ? " " : "", credential->name);
}

static void print_line(const struct credential *credential)
{
    char from[32], until[32];
    printf("%-32s %-8s %-8s %-20s %-20s ", credential->id, credential_kind_name(credential->kind),
           state_of(credential, time(NULL)), cli_time_text(credential->not_before_s, from),
           cli_time_text(credential->not_after_s, until));
    print_public(credential);
    putchar('\n');
}

static void print_json(const struct credential *credential)
{
    char text[THUMBPRINT_LEN + 1];
    printf("{\"id\":");
    cli_put_json(credential->id);
    printf(",\"kind\":\"%s\",\"state\":\"%s\",\"created\":%lld,\"not_before\":%lld,\"not_after\":%lld",
           credential_kind_name(credential->kind), state_of(credential, time(NULL)), (long long)credential->created_s,
           (long long)credential->not_before_s, (long long)credential->not_after_s);
    if (thumbprint(credential, text))
        printf(",\"thumbprint\":\"%s\"", text);
    if (credential->kind == CREDENTIAL_RPK || credential->kind == CREDENTIAL_CA) {
        printf(",\"spki\":\"");
        cli_put_hex(bytes_of(credential->public, CREDENTIAL_DIGEST_BYTES));
        putchar('"');
        if (credential->public_len == CREDENTIAL_CA_LEAF) {
            printf(",\"leaf\":\"");
            cli_put_hex(bytes_of(credential->public + CREDENTIAL_DIGEST_BYTES, CREDENTIAL_DIGEST_BYTES));
            putchar('"');
        }
    }
    if (credential->name) {
        printf(",\"name\":");
        cli_put_json(credential->name);
    }
    putchar('}');
}

static void print_all(const struct device_record *record, bool json)
{
    for (size_t i = 0; i < record->credential_count; i++) {
        if (json) {
            fputs(i ? ",\n" : "[\n", stdout);
            print_json(&record->credentials[i]);
        } else {
            print_line(&record->credentials[i]);
        }
    }
    if (json)
        puts(record->credential_count ? "\n]" : "[]");
}

static enum accounts_result print_keys(struct cli *cli, struct bytes tenant, struct bytes id)
{
    struct device_record record;
    struct record_room room;
    enum accounts_result result = accounts_get_device(&cli->accounts, tenant, id, &room, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    print_all(&record, cli_value(cli, "--json") != NULL);
    record_wipe_room(&room);
    return result;
}

static int key_list(struct cli *cli)
{
    return thing_do(cli, print_keys);
}

static int key_remove(struct cli *cli)
{
    struct cli_name device;
    const char *id = cli->operands[1];
    if (!cli_split_device(cli, cli->operands[0], &device))
        return CLI_USAGE;
    if (!credential_id_is_valid(bytes_of_text(id)))
        return cli_fail(cli, CLI_USAGE, "\"%s\" cannot be the id of a key; see weir key list %s", id, cli->operands[0]);
    enum accounts_result result = accounts_remove_credential(&cli->accounts, bytes_of_text(device.tenant),
                                                             bytes_of_text(device.id), bytes_of_text(id));
    if (result == ACCOUNTS_NOT_FOUND)
        return cli_fail(cli, CLI_REFUSED, "there is no device %s with a key %s; see weir key list %s", cli->operands[0],
                        id, cli->operands[0]);
    int status = cli_judge(cli, result, "key of device", cli->operands[0]);
    if (status == CLI_OK)
        printf("key %s of device %s removed; sessions that rest on it end within seconds\n", id, cli->operands[0]);
    return status;
}

/* Without Redis: what a device is given before it is known. */
static int key_generate(struct cli *cli)
{
    struct draft draft = {0};
    int status = take_kind(cli, &draft.credential);
    if (status == CLI_OK && (draft.credential.kind == CREDENTIAL_FRAME || !generate(&draft)))
        status = cli_fail(cli, CLI_USAGE, "--kind=%s cannot be made; psk, es256, eddsa, hs256, hs256-64 and hmac can",
                          credential_kind_name(draft.credential.kind));
    if (status == CLI_OK)
        print_made(&draft);
    wipe(&draft);
    return status;
}

static const struct cli_option add_options[] = {
    {"--kind", "KIND", "psk, x509, ca, rpk, frame, es256, eddsa, hs256, hs256-64 or hmac"},
    {"--id", "ID", "its name, the kid of signatures; default: made from the kind"},
    {"--generate", NULL, "make it, and print the secret or private key, once"},
    {"--file", "FILE", "PEM, DER or JWK: key; rpk and ca: public key or certificate"},
    {"--hex", "HEX", "secret or public octets; rpk and ca: SHA-256 of the public key; frame: key and id"},
    {"--name", "NAME", "x509 and ca: the name in the certificate"},
    {"--not-before", "TIME", "good from then on: 2026-11-21T10:00:00Z, or Unix seconds"},
    {"--not-after", "TIME", "good until then"},
    {"--replace", NULL, "in place of the one that has this id"},
    {NULL, NULL, NULL},
};

static const struct cli_option generate_options[] = {
    {"--kind", "KIND", "psk, es256, eddsa, hs256, hs256-64 or hmac"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "TENANT/DEVICE", "one more credential; the others stay good", add_options, key_add},
    {"list", "TENANT/DEVICE", "the credentials of a device, without secrets", thing_json_options, key_list},
    {"remove", "TENANT/DEVICE ID", "it is good no more; sessions that rest on it end", NULL, key_remove},
    {"generate", "", "make a key and print it; nothing is kept", generate_options, key_generate},
};

int cmd_key(int argc, char **argv)
{
    /* Keys are named by theirs. */
    static const struct thing_kind device = {.name = "device", .split = cli_split_device};
    static const struct cli_group group = {
        "key", "the credentials of one device: several at once, each with its time", commands,
        sizeof commands / sizeof commands[0], &device,
    };
    bool offline = argc >= 2 && strcmp(argv[1], "generate") == 0;
    return offline ? cli_main_offline(&group, argc, argv) : cli_main(&group, argc, argv);
}
