// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called where secrets are written (accounts: CLI, clerk) and read (follow: once per record). Each wrapping
 * has a random nonce of 96 bits: with 2^32 of them under one key the chance of a nonce twice is 2^-32 (SP
 * 800-38D 8.3).
 *
 * The key file must be the owner's alone: a key that others read protects nothing, so it is refused, not
 * warned about.
 */
#include "gateway/vault.h"

#include "codec/base64url.h"
#include "codec/hex.h"
#include "gateway/crypto.h"
#include "gateway/rt/file.h"
#include "gateway/rt/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES (2 * CRYPTO_KEY_BYTES) /* the key as hexadecimal digits */
#define OVERHEAD_BYTES (CRYPTO_NONCE_BYTES + CRYPTO_TAG_BYTES)
#define AAD_MAX 512
#define FILE_MAX (VAULT_KEYS_MAX * (TEXT_BYTES + 2)) /* with the ends of the lines */

struct key {
    uint8_t octets[CRYPTO_KEY_BYTES];
    uint8_t id[VAULT_ID_BYTES];
};

struct vault {
    struct record_vault functions;
    struct key keys[VAULT_KEYS_MAX];
    size_t count;
    atomic_uint_fast64_t failures;
};

_Static_assert(RECORD_SEALED_MAX >= sizeof RECORD_SEALED_PREFIX + (OVERHEAD_BYTES + SECRET_MAX + 2) / 3 * 4, "it fits");

/* Each part with its length before it, so that no two places have the same text. */
static struct bytes aad_of(struct bytes tenant, struct bytes owner, struct bytes label, char ret[static AAD_MAX])
{
    int len = snprintf(ret, AAD_MAX, "weir w1 %zu:%.*s %zu:%.*s %zu:%.*s", tenant.len, (int)tenant.len,
                       (const char *)tenant.ptr, owner.len, (int)owner.len, (const char *)owner.ptr, label.len,
                       (int)label.len, (const char *)label.ptr);
    return bytes_of(ret, len > 0 && len < AAD_MAX ? (size_t)len : 0);
}

static size_t seal(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, const struct secret *secret,
                   char ret[static RECORD_SEALED_MAX])
{
    const struct vault *vault = ctx;
    uint8_t sealed[OVERHEAD_BYTES + SECRET_MAX];
    char aad_text[AAD_MAX];
    struct bytes aad = aad_of(tenant, owner, label, aad_text);
    random_bytes(sealed, CRYPTO_NONCE_BYTES);
    if (aad.len == 0 || !secret_is_set(secret) ||
        !crypto_seal(vault->keys[0].octets, sealed, aad, bytes_of(secret->octets, secret->len),
                     sealed + CRYPTO_NONCE_BYTES))
        return 0;
    struct bytes whole = bytes_of(sealed, OVERHEAD_BYTES + (size_t)secret->len);
    size_t prefix_len = sizeof RECORD_SEALED_PREFIX - 1;
    memcpy(ret, RECORD_SEALED_PREFIX, prefix_len);
    base64url_encode(whole, ret + prefix_len);
    return prefix_len + base64url_length(whole.len);
}

size_t vault_open(const struct vault *vault, struct bytes tenant, struct bytes owner, struct bytes label,
                  struct bytes sealed, struct secret *ret)
{
    size_t prefix_len = sizeof RECORD_SEALED_PREFIX - 1, len;
    uint8_t octets[OVERHEAD_BYTES + SECRET_MAX];
    char aad_text[AAD_MAX];
    struct bytes aad = aad_of(tenant, owner, label, aad_text);
    if (aad.len == 0 || !vault_is_sealed(sealed) ||
        !base64url_decode_into(bytes_of(sealed.ptr + prefix_len, sealed.len - prefix_len), octets,
                               sizeof octets, &len) ||
        len <= OVERHEAD_BYTES)
        return VAULT_KEYS_MAX;
    struct secret secret = {.len = (uint8_t)(len - OVERHEAD_BYTES)};
    struct bytes content = bytes_of(octets + CRYPTO_NONCE_BYTES, len - CRYPTO_NONCE_BYTES);
    size_t key = 0;
    while (key < vault->count && !crypto_open(vault->keys[key].octets, octets, aad, content, secret.octets))
        key++;
    if (key < vault->count)
        *ret = secret;
    secret_wipe(&secret);
    return key < vault->count ? key : VAULT_KEYS_MAX;
}

static bool open_sealed(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, struct bytes sealed,
                        struct secret *ret)
{
    struct vault *vault = ctx;
    bool ok = vault_open(vault, tenant, owner, label, sealed, ret) != VAULT_KEYS_MAX;
    if (!ok)
        atomic_fetch_add_explicit(&vault->failures, 1, memory_order_relaxed);
    return ok;
}

bool vault_is_sealed(struct bytes text)
{
    return bytes_starts_with(text, BYTES_LITERAL(RECORD_SEALED_PREFIX));
}

/* The file. */

void vault_path(const char *kek, const char *state_dir, char ret[static VAULT_PATH_MAX])
{
    if (kek[0])
        snprintf(ret, VAULT_PATH_MAX, "%s", kek);
    else
        snprintf(ret, VAULT_PATH_MAX, "%s/kek", state_dir);
}

static bool make_file(const char *path, char reterr[static VAULT_ERROR_MAX])
{
    uint8_t key[CRYPTO_KEY_BYTES];
    random_bytes(key, sizeof key);
    bool ok = file_make(path, bytes_of(key, sizeof key)) || errno == EEXIST;
    if (!ok)
        snprintf(reterr, VAULT_ERROR_MAX, "the key-encryption key %.90s cannot be made: %.60s", path, strerror(errno));
    explicit_bzero(key, sizeof key);
    return ok;
}

/* Under a name of its own, so that the id says nothing about what else is made from the key. */
static bool take_key(struct vault *vault, const uint8_t octets[static CRYPTO_KEY_BYTES])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct key *key = &vault->keys[vault->count];
    if (vault->count == VAULT_KEYS_MAX ||
        !crypto_hmac_sha256(bytes_of(octets, CRYPTO_KEY_BYTES), BYTES_LITERAL("weir kek id"),
                            (struct bytes){0}, digest))
        return false;
    memcpy(key->octets, octets, sizeof key->octets);
    memcpy(key->id, digest, sizeof key->id);
    vault->count++;
    return true;
}

/* 32 octets as they are, or lines of 64 hexadecimal digits, the last perhaps without its end. */
static bool parse_keys(struct vault *vault, struct bytes content)
{
    struct secret digits;
    if (content.len == CRYPTO_KEY_BYTES)
        return take_key(vault, content.ptr);
    bool ok = true;
    while (ok && content.len) {
        const uint8_t *end = memchr(content.ptr, '\n', content.len);
        struct bytes line = bytes_of(content.ptr, end ? (size_t)(end - content.ptr) : content.len);
        size_t taken = line.len + (end != NULL);
        content = bytes_of(content.ptr + taken, content.len - taken);
        while (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            continue;
        ok = line.len == TEXT_BYTES && secret_set_hex(&digits, line) && take_key(vault, digits.octets);
        secret_wipe(&digits);
    }
    return ok && vault->count > 0;
}

static bool read_keys(struct vault *vault, int fd, const char *path, char reterr[static VAULT_ERROR_MAX])
{
    uint8_t content[FILE_MAX + 1];
    struct stat status = {.st_mode = 0};
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & 0077) != 0) {
        snprintf(reterr, VAULT_ERROR_MAX, "the key-encryption key %.100s %s", path,
                 S_ISREG(status.st_mode) ? "may be read by others: chmod 600" : "is no file");
        return false;
    }
    ssize_t len = read(fd, content, sizeof content);
    bool ok = len > 0 && len <= FILE_MAX && parse_keys(vault, bytes_of(content, (size_t)len));
    explicit_bzero(content, sizeof content);
    if (!ok)
        snprintf(reterr, VAULT_ERROR_MAX,
                 "the key-encryption key %.80s is neither %d octets nor one to %d lines of %d hexadecimal digits", path,
                 CRYPTO_KEY_BYTES, VAULT_KEYS_MAX, TEXT_BYTES);
    return ok;
}

static bool load(struct vault *vault, const char *path, bool may_make, char reterr[static VAULT_ERROR_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && may_make) {
        if (!make_file(path, reterr))
            return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0) {
        snprintf(reterr, VAULT_ERROR_MAX, "the key-encryption key %.90s cannot be read: %.60s", path, strerror(errno));
        return false;
    }
    bool ok = read_keys(vault, fd, path, reterr);
    close(fd);
    return ok;
}

static struct bytes text_of(const struct vault *vault, const size_t *keys, size_t count, char ret[static FILE_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        used += hex_write(bytes_of(vault->keys[keys[i]].octets, CRYPTO_KEY_BYTES), ret + used);
        ret[used++] = '\n';
    }
    return bytes_of(ret, used);
}

static bool save(const struct vault *vault, const char *path, const size_t *keys, size_t count,
                 bool (*write_file)(const char *path, struct bytes content), char reterr[static VAULT_ERROR_MAX])
{
    char text[FILE_MAX];
    bool ok = write_file(path, text_of(vault, keys, count, text));
    if (!ok)
        snprintf(reterr, VAULT_ERROR_MAX, "the key-encryption key %.90s cannot be written: %.60s", path,
                 errno == ELOOP ? "what stands there is a link, or no file" : strerror(errno));
    explicit_bzero(text, sizeof text);
    return ok;
}

bool vault_save(const struct vault *vault, const char *path, const size_t *keys, size_t count,
                char reterr[static VAULT_ERROR_MAX])
{
    return save(vault, path, keys, count, file_replace, reterr);
}

bool vault_save_aside(const struct vault *vault, const char *path, const size_t *keys, size_t count,
                      char reterr[static VAULT_ERROR_MAX])
{
    return save(vault, path, keys, count, file_put, reterr);
}

/* Lifecycle. */

struct vault *vault_new(const char *path, bool may_make, char reterr[static VAULT_ERROR_MAX])
{
    struct vault *vault = calloc(1, sizeof *vault);
    snprintf(reterr, VAULT_ERROR_MAX, "out of memory");
    if (!vault)
        return NULL;
    vault->functions = (struct record_vault){.ctx = vault, .seal = seal, .open = open_sealed};
    if (load(vault, path, may_make, reterr))
        return vault;
    vault_free(vault);
    return NULL;
}

void vault_free(struct vault *vault)
{
    if (vault)
        explicit_bzero(vault, sizeof *vault);
    free(vault);
}

const struct record_vault *vault_of_records(const struct vault *vault)
{
    return vault ? &vault->functions : NULL;
}

void vault_id(const struct vault *vault, size_t key, uint8_t ret[static VAULT_ID_BYTES])
{
    memcpy(ret, vault->keys[key].id, VAULT_ID_BYTES);
}

size_t vault_key_count(const struct vault *vault)
{
    return vault->count;
}

bool vault_make_key(struct vault *vault)
{
    uint8_t octets[CRYPTO_KEY_BYTES];
    random_bytes(octets, sizeof octets);
    bool ok = take_key(vault, octets);
    explicit_bzero(octets, sizeof octets);
    return ok;
}

uint64_t vault_failures(const struct vault *vault)
{
    return vault ? atomic_load_explicit(&vault->failures, memory_order_relaxed) : 0;
}
