// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The secrets of a tenant under the key-encryption key of today: what opens by another key of the vault than the first
 * is wrapped by the first. For the CLI (`weir kek`), beside gateways that run: each record is changed under WATCH, and
 * nothing of it but the texts of its secrets, so it is not told in weir:changes. Done half-way, it is done again.
 */
#pragma once

#include "gateway/accounts.h"
#include "gateway/vault.h"

/* Of all secrets that were read, as they stand afterwards. */
struct rewrap_counts {
    size_t by_key[VAULT_KEYS_MAX]; /* which key of the vault opens them */
    size_t not_opened;             /* none does; they stay as they are */
    size_t rewrapped;
    size_t damaged; /* records that could not be read to their last secret: what opens those is not known */
};

/* Counts, and if writes, wraps. Adds to counts. accounts: client, actor and audit_max are used. */
enum accounts_result rewrap_tenant(struct accounts *accounts, const struct vault *vault, struct bytes tenant,
                                   bool writes, struct rewrap_counts *counts);
