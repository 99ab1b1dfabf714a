// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The key-encryption key: what makes secrets in Redis unreadable to whoever has only Redis. A record_vault over
 * AES-256-GCM; the additional data are tenant, owner and label, so that a text that was moved to another device does
 * not open. A text is "w1." and base64url of nonce, ciphertext and tag. Any thread.
 *
 * The key is a file of 32 octets, or 64 hexadecimal digits, that only its owner may read (settings.kek; STATE/kek is
 * made at the first start). Gateways over one Redis, and the CLI, must have the same one. What the registry holds in
 * plain text from before is read, and wrapped when it is written again.
 */
#pragma once

#include "registry/record.h"

struct vault;

#define VAULT_ERROR_MAX 200

/* Where the key is: settings.kek, or where that is empty, STATE/kek. */
#define VAULT_PATH_MAX 512
void vault_path(const char *kek, const char *state_dir, char ret[static VAULT_PATH_MAX]);

/* path: the file; may_make: write a fresh one, with mode 0600, if there is none. NULL: reterr says why. */
struct vault *vault_new(const char *path, bool may_make, char reterr[static VAULT_ERROR_MAX]);
void vault_free(struct vault *vault);
const struct record_vault *vault_of_records(const struct vault *vault);
/* 8 octets that tell one key-encryption key from another, not secret: told beside what it wrapped. */
#define VAULT_ID_BYTES 8
void vault_id(const struct vault *vault, uint8_t ret[static VAULT_ID_BYTES]);
/* How many secrets could not be opened so far. */
uint64_t vault_failures(const struct vault *vault);
/* Whether the text has the form of a wrapped secret. */
bool vault_is_sealed(struct bytes text);
