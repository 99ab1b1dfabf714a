// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who says it, where the message itself proves it: JWS, COSE, the {hmac, payload} envelope. On the path
 * between the request and gateway/translate: what it returns is the inner payload, its format, and whose.
 *
 * In this order: the form is read; the tenant is settled (the session's or the network's, else ?t=, else what
 * stands before the '/' of kid; two that differ are refused); the key is looked up by kid inside of that
 * tenant, good now, of the algorithm that the message says, of a device that may speak; who brings it is not
 * held back after failures; the signature is checked; then whether who brings it may (over the session of
 * another device only a concentrator), and that the query adds nothing. An unknown key costs and says the
 * same as a wrong signature, also by when it is held back: without a signature that holds nobody learns from
 * answers which keys there are.
 *
 * A kid may also be the id of a device that a group lets in, whose key is derived from the group's
 * (gateway/derive). That stays so if another device has a credential of that id: the message is of the one
 * whose key it holds by. An envelope has no kid: its device is the session's, or the one that ?d= names.
 *
 * After PROVE_FAILURES_MAX signatures within a minute that did not hold, one in PROVE_HOLD_S is looked at,
 * and the others are 4.29 with Max-Age. Over a session failures are counted of the device whose it is, over a
 * concentrator's of each key (or of an envelope device) that messages name, so that nobody on plain CoAP can
 * hold back a device, nor one device another; of strangers and mapped networks the address is held back
 * (IPv6: its /64), after PROVE_STRANGER_FAILURES_MAX within a minute, because there may be many devices
 * behind one. An address over HTTP is counted apart from the same one on plain CoAP, where it can be faked.
 *
 * Keys can be invented, so all failures over a concentrator's session are counted, too. After
 * PROVE_STRANGER_FAILURES_MAX within a minute an unknown key is 4.29 without a check, and so is a signature
 * that does not fit a known one, after it: what holds is taken all the same. The check of such a signature is
 * the only thing that then differs, in time; it is made PROVE_FAILURES_MAX times a minute for each key.
 */
#pragma once

#include "codec/hash.h"
#include "codec/refusal.h"
#include "codec/signed.h"
#include "gateway/request.h"
#include "gateway/sink.h"

#define PROVE_FAILURES_MAX 5
#define PROVE_STRANGER_FAILURES_MAX 60
#define PROVE_HOLD_S (60 / PROVE_FAILURES_MAX)

/* Failures of the last minute; one for each worker, 128 KiB. */
struct prove_guard;
/* NULL: out of memory. */
struct prove_guard *prove_guard_new(const struct hash_key *key);
void prove_guard_free(struct prove_guard *guard);

struct proof {
    struct signed_message message;
    struct identity who;    /* IDENTITY_DEVICE: whose key it is, with evidence and key */
    struct sink_proof sink; /* in the request's arena */
};

/* Whether the body is said to be signed: by its Content-Format, by f=jws, f=cose or f=hmac, or by the profile
 * of the device. */
bool prove_is_wanted(const struct request *request, enum signed_form *ret);

/* OUTCOME_CHANGED, or why not, and a static sentence that says no more than a stranger may know. What is
 * returned lives in the request's arena. */
enum outcome prove_request(struct request *request, enum signed_form form, struct proof *ret,
                           struct refusal *reterr);
