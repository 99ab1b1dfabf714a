// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * First contact and rotation over the wires (docs/commissioning.md): GET /enroll for a nonce, POST /enroll to ask for a
 * credential, /enrollments for people who decide; what was offered and is used is confirmed, what was not is undone.
 *
 * The request is judged in the worker: who asks, by which batch, whether the claim holds and whether the public key or
 * the certificate request proves that its private key is there. What becomes of it, one job of the clerk decides
 * (gateway/enrolment). Nothing here is on the path of observations.
 */
#pragma once

#include "gateway/request.h"

/* Of one worker. */
struct enrol_pace {
    uint64_t sweep_ms; /* monotonic: the next one */
    bool sweeps;       /* one is under way */
    char swept[SCHEMA_TENANT_MAX + 1]; /* the tenant that the last one came to */
    struct enrol_use *uses; /* that could not be confirmed yet */
    uint64_t retry_ms;
    struct limiter *claims; /* wrong ones, by batch and by address; made when the first one comes */
};

void enrol_handle_nonce(struct request *request);
void enrol_handle_ask(struct request *request);
void enrol_handle_list(struct request *request);
void enrol_handle_approve(struct request *request);
void enrol_handle_reject(struct request *request);
void enrol_handle_forget(struct request *request);

/* A device has proved itself with a credential of its own; one lookup. If it was only offered, it is confirmed; while
 * Redis is away it is tried again. */
void enrol_used(struct worker *worker, const struct identity *who);
/* Once in each turn. */
void enrol_turn(struct worker *worker);
/* What waits is forgotten; after the last job of the clerk. */
void enrol_stop(struct worker *worker);
