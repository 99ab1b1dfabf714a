// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The key-encryption key: what makes secrets in Redis unreadable to whoever has only Redis. A record_vault over
 * AES-256-GCM; the additional data are tenant, owner and label, so that a text that was moved to another device does
 * not open. A text is "w1." and base64url of nonce, ciphertext and tag. Any thread.
 *
 * The key is a file of 32 octets, or 64 hexadecimal digits, that only its owner may read (settings.kek; STATE/kek is
 * made at the first start). Gateways over one Redis, and the CLI, must have the same one. What the registry holds in
 * plain text from before is read, and wrapped when it is written again.
 *
 * A file of several such lines holds several keys: the first wraps, all open. So one takes the place of another while
 * gateways run (gateway/rewrap, `weir kek`).
 */
#pragma once

#include "registry/record.h"

struct vault;

#define VAULT_ERROR_MAX 200
#define VAULT_KEYS_MAX 4

/* Where the key is: settings.kek, or where that is empty, STATE/kek. */
#define VAULT_PATH_MAX 512
void vault_path(const char *kek, const char *state_dir, char ret[static VAULT_PATH_MAX]);

/* path: the file; may_make: write a fresh one, with mode 0600, if there is none. NULL: reterr says why. */
struct vault *vault_new(const char *path, bool may_make, char reterr[static VAULT_ERROR_MAX]);
void vault_free(struct vault *vault);
const struct record_vault *vault_of_records(const struct vault *vault);
/* 8 octets that tell one key-encryption key from another, not secret: told beside what it wrapped. key: below
 * vault_key_count, in the order of the file. */
#define VAULT_ID_BYTES 8
void vault_id(const struct vault *vault, size_t key, uint8_t ret[static VAULT_ID_BYTES]);
size_t vault_key_count(const struct vault *vault);
/* How many secrets could not be opened so far. */
uint64_t vault_failures(const struct vault *vault);
/* Whether the text has the form of a wrapped secret. */
bool vault_is_sealed(struct bytes text);
/* Opens as vault_of_records does, and says by which key: 0 is the one that wraps. VAULT_KEYS_MAX: by none, and it is
 * counted nowhere. */
size_t vault_open(const struct vault *vault, struct bytes tenant, struct bytes owner, struct bytes label,
                  struct bytes sealed, struct secret *ret);

/* Adds a fresh key behind the others, in memory. False: there are VAULT_KEYS_MAX. */
bool vault_make_key(struct vault *vault);
/*
 * Writes a file of these keys of the vault, a line each, over the file at path (gateway/rt/file). False:
 * reterr says why.
 */
bool vault_save(const struct vault *vault, const char *path, const size_t *keys, size_t count,
                char reterr[static VAULT_ERROR_MAX]);
/* The same beside that file: its owner's alone, whatever was there, and never by way of a symbolic link. */
bool vault_save_aside(const struct vault *vault, const char *path, const size_t *keys, size_t count,
                      char reterr[static VAULT_ERROR_MAX]);
