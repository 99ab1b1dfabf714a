// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keys as legacy senders have them: what an Authorization of theirs says, and whom a key speaks for. For gateway/habits
 * only; on all other routes the one scheme is Bearer, and the wire judges it.
 */
#pragma once

#include "gateway/request.h"

/*
 * The key in an Authorization: what follows "Bearer" or "Token", or the password of "Basic" and "Token USER:PASSWORD",
 * which InfluxDB 2 has for clients of version 1. Empty: none can be read from it, which is a wrong key like any other.
 * Borrowed from the field or in the arena.
 */
struct bytes keys_in_authorization(struct bytes authorization, struct arena *arena);

/* Whom a key speaks for: one that `weir token add --apikey` made, or a whole token. False: nobody. */
bool keys_check(const struct request *request, struct bytes key, struct identity *ret);

/* The key of a token by its id, for what is sealed with it. Empty: there is no such token of the tenant, or it has
 * none. */
struct bytes keys_of_token(const struct request *request, struct bytes tenant, struct bytes token_id);
