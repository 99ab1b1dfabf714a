// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called where secrets are written (accounts: CLI, clerk) and read (follow: once per record). Each wrapping has a random
 * nonce of 96 bits: with 2^32 of them under one key the chance of a nonce twice is 2^-32 (SP 800-38D 8.3).
 *
 * The key file must be the owner's alone: a key that others read protects nothing, so it is refused, not warned about.
 */
#include "gateway/vault.h"

#include "codec/base64url.h"
#include "gateway/crypto.h"
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

struct vault {
    struct record_vault functions;
    uint8_t key[CRYPTO_KEY_BYTES];
    uint8_t id[VAULT_ID_BYTES];
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
        !crypto_seal(vault->key, sealed, aad, bytes_of(secret->octets, secret->len), sealed + CRYPTO_NONCE_BYTES))
        return 0;
    struct bytes whole = bytes_of(sealed, OVERHEAD_BYTES + (size_t)secret->len);
    size_t prefix_len = sizeof RECORD_SEALED_PREFIX - 1;
    memcpy(ret, RECORD_SEALED_PREFIX, prefix_len);
    base64url_encode(whole, ret + prefix_len);
    return prefix_len + base64url_length(whole.len);
}

static bool open_text(const struct vault *vault, struct bytes aad, struct bytes sealed, struct secret *ret)
{
    size_t prefix_len = sizeof RECORD_SEALED_PREFIX - 1;
    uint8_t octets[OVERHEAD_BYTES + SECRET_MAX];
    size_t len;
    if (aad.len == 0 || !vault_is_sealed(sealed) ||
        !base64url_decode_into(bytes_of(sealed.ptr + prefix_len, sealed.len - prefix_len), octets, sizeof octets, &len) ||
        len <= OVERHEAD_BYTES)
        return false;
    struct secret secret = {.len = (uint8_t)(len - OVERHEAD_BYTES)};
    bool ok = crypto_open(vault->key, octets, aad, bytes_of(octets + CRYPTO_NONCE_BYTES, len - CRYPTO_NONCE_BYTES),
                          secret.octets);
    if (ok)
        *ret = secret;
    secret_wipe(&secret);
    return ok;
}

static bool open_sealed(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, struct bytes sealed,
                        struct secret *ret)
{
    struct vault *vault = ctx;
    char aad_text[AAD_MAX];
    bool ok = open_text(vault, aad_of(tenant, owner, label, aad_text), sealed, ret);
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
    char fresh[512];
    snprintf(fresh, sizeof fresh, "%s.%ld.new", path, (long)getpid());
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    random_bytes(key, sizeof key);
    bool ok = fd >= 0 && write(fd, key, sizeof key) == (ssize_t)sizeof key && fsync(fd) == 0;
    explicit_bzero(key, sizeof key);
    int error = errno;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    /* link, not rename: another process that starts at the same time must not lose the key that it has begun to use. */
    if (ok && link(fresh, path) != 0 && errno != EEXIST) {
        error = errno;
        ok = false;
    }
    if (fd >= 0)
        unlink(fresh);
    if (!ok)
        snprintf(reterr, VAULT_ERROR_MAX, "the key-encryption key %.90s cannot be made: %.60s", path, strerror(error));
    return ok;
}

/* 32 octets as they are, or 64 hexadecimal digits and perhaps the end of a line. */
static bool parse_key(struct bytes content, uint8_t ret[static CRYPTO_KEY_BYTES])
{
    struct secret digits;
    if (content.len == CRYPTO_KEY_BYTES) {
        memcpy(ret, content.ptr, CRYPTO_KEY_BYTES);
        return true;
    }
    while (content.len > TEXT_BYTES && (content.ptr[content.len - 1] == '\n' || content.ptr[content.len - 1] == '\r'))
        content.len--;
    if (content.len != TEXT_BYTES || !secret_set_hex(&digits, content))
        return false;
    memcpy(ret, digits.octets, CRYPTO_KEY_BYTES);
    secret_wipe(&digits);
    return true;
}

static bool read_key(int fd, const char *path, uint8_t ret[static CRYPTO_KEY_BYTES],
                     char reterr[static VAULT_ERROR_MAX])
{
    uint8_t content[TEXT_BYTES + 3];
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & 0077) != 0) {
        snprintf(reterr, VAULT_ERROR_MAX, "the key-encryption key %.100s may be read by others: chmod 600", path);
        return false;
    }
    ssize_t len = read(fd, content, sizeof content);
    bool ok = len > 0 && parse_key(bytes_of(content, (size_t)len), ret);
    explicit_bzero(content, sizeof content);
    if (!ok)
        snprintf(reterr, VAULT_ERROR_MAX, "the key-encryption key %.80s is neither %d octets nor %d hexadecimal digits",
                 path, CRYPTO_KEY_BYTES, TEXT_BYTES);
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
    bool ok = read_key(fd, path, vault->key, reterr);
    close(fd);
    return ok;
}

/* Lifecycle. */

struct vault *vault_new(const char *path, bool may_make, char reterr[static VAULT_ERROR_MAX])
{
    struct vault *vault = calloc(1, sizeof *vault);
    uint8_t digest[CRYPTO_SHA256_BYTES];
    snprintf(reterr, VAULT_ERROR_MAX, "out of memory");
    if (!vault)
        return NULL;
    vault->functions = (struct record_vault){.ctx = vault, .seal = seal, .open = open_sealed};
    /* Under a name of its own, so that the id says nothing about what else is made from the key. */
    if (!load(vault, path, may_make, reterr) ||
        !crypto_hmac_sha256(bytes_of(vault->key, sizeof vault->key), BYTES_LITERAL("weir kek id"), (struct bytes){0},
                            digest)) {
        vault_free(vault);
        return NULL;
    }
    memcpy(vault->id, digest, sizeof vault->id);
    return vault;
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

void vault_id(const struct vault *vault, uint8_t ret[static VAULT_ID_BYTES])
{
    memcpy(ret, vault->id, VAULT_ID_BYTES);
}

uint64_t vault_failures(const struct vault *vault)
{
    return vault ? atomic_load_explicit(&vault->failures, memory_order_relaxed) : 0;
}
