// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Who says it, where the message itself proves it: JWS, COSE, the {hmac, payload} envelope. On the path
 * between the request and gateway/translate: what it returns is the inner payload, its format, and whose.
 *
 * In this order: the form is read; the tenant is settled (the session's or the network's, else ?t=, else what
 * stands before the '/' of kid; two that differ are refused); the key is looked up by kid inside of that
 * tenant, good now, of the algorithm that the message says, of a device that may speak; who brings it is not
 * held back after failures; the signature is checked; and then whether who brings it may (over the session of
 * another device only a concentrator). An unknown key costs and says the same as a wrong signature, also by
 * when it is held back: without a signature that holds nobody learns which keys there are.
 *
 * A kid that is no credential's may be a device's id: its key is then derived from that of its group
 * (gateway/derive). An envelope has no kid: its device is the session's, or the one that ?d= names.
 *
 * After PROVE_FAILURES_MAX signatures within a minute that did not hold, one in PROVE_HOLD_S is looked at,
 * and the others are 4.29 with Max-Age. Over a session failures are counted of the device whose it is, over a
 * concentrator's of each key (or of an envelope device) that messages name, so that nobody on plain CoAP can
 * hold back a device, nor one device another; of strangers and mapped networks the address is held back
 * (IPv6: its /64), after PROVE_STRANGER_FAILURES_MAX within a minute, because there may be many devices
 * behind one.
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
