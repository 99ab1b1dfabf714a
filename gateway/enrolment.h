// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What becomes of a device that asks for a credential, from the question to the credential's first use, as it
 * stands in Redis: decided by one thread with a blocking connection (gateway/clerk, the CLI), with the time
 * as an argument.
 *
 *   asked -> pending -> approved -> offered -> confirmed        (nothing of the enrolment is left)
 *        \__________________________/     \--> expired          (nothing of the device is left)
 *                 rejected
 *
 * weir:{T}:enrol:DEVICE arbitrates: it is made under WATCH and belongs to what was asked first (digest). The
 * same again is answered the same until it is confirmed; anything else for the same device is a conflict. The
 * device's record follows it, never without it, so a step that was cut off is finished when the same is asked
 * again, or undone by the sweep. When the device is removed it ends too, unless it was rejected. Rotation is the
 * same for a device that is there: the new credential stands beside the old one, which ends `overlap_s` after the
 * new one was used.
 */
#pragma once

#include "gateway/accounts.h"
#include "gateway/crypto_cert.h"

#define ENROLMENT_DIGEST_BYTES 32
#define ENROLMENT_FROM_MAX 72
#define ENROLMENT_RANDOM_BYTES 48

enum enrolment_state { ENROLMENT_PENDING, ENROLMENT_APPROVED, ENROLMENT_OFFERED, ENROLMENT_REJECTED, ENROLMENT_STATES };
/* "pending", "approved", "offered", "rejected". */
const char *enrolment_state_name(enum enrolment_state state);

/* One that is not over. */
struct enrolment_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char device[SCHEMA_DEVICE_MAX + 1];
    char serial[RECORD_SERIAL_MAX + 1];
    char model[RECORD_SERIAL_MAX + 1];
    char batch[SCHEMA_GROUP_MAX + 1]; /* empty: a rotation */
    char key[CREDENTIAL_ID_MAX + 1];  /* id of the credential that is offered */
    char old[CREDENTIAL_ID_MAX + 1];  /* rotation: of the one that goes; empty: none */
    char from[ENROLMENT_FROM_MAX];    /* address that asked */
    char issuer[SCHEMA_GROUP_MAX + 1]; /* ca: the authority that signed */
    enum enrolment_state state;
    enum credential_kind kind;
    uint8_t digest[ENROLMENT_DIGEST_BYTES]; /* of what was asked */
    int64_t asked_s, expires_s;
    int64_t good_until_s; /* of the credential once it is confirmed; 0: no bound */
    uint16_t certificate_len;
    uint8_t certificate[CRYPTO_CERT_DER_MAX];
};

struct enrolment_question {
    char tenant[SCHEMA_TENANT_MAX + 1];
    bool rotates;
    struct batch_record batch; /* of one that does not rotate */
    char device[SCHEMA_DEVICE_MAX + 1];
    char serial[RECORD_SERIAL_MAX + 1];
    char model[RECORD_SERIAL_MAX + 1];
    char old[CREDENTIAL_ID_MAX + 1]; /* rotation: with what it proved itself; empty: a token, a derived key */
    char from[ENROLMENT_FROM_MAX];
    enum credential_kind kind; /* psk, es256, eddsa, rpk or ca */
    uint8_t public[CREDENTIAL_PUBLIC_MAX]; /* key or digest; of psk and ca empty */
    uint8_t public_len;
    struct crypto_cert_request request; /* ca */
    uint8_t digest[ENROLMENT_DIGEST_BYTES];
    uint8_t random[ENROLMENT_RANDOM_BYTES]; /* fresh */
};

struct enrolment_policy {
    int64_t confirm_s; /* an offer is good for so long */
    int64_t pending_s; /* a question that nobody decided is forgotten then; so is a rejection */
    int64_t overlap_s; /* the old credential stays good for so long after the new one was used */
    unsigned certificate_days;
};

enum enrolment_verdict {
    ENROLMENT_GIVEN,
    ENROLMENT_WAITS,    /* for an operator */
    ENROLMENT_REFUSED,  /* an operator said no */
    ENROLMENT_TAKEN,    /* by another question, or the device is enrolled */
    ENROLMENT_USED_UP,  /* the batch has as many devices as it may */
    ENROLMENT_NO_CA,    /* the tenant has no authority that signs */
    ENROLMENT_NO_ROOM,  /* the device has as many credentials as it may */
    ENROLMENT_UNKNOWN,  /* rotation: the device has no record */
};

struct enrolment_answer {
    enum enrolment_verdict verdict;
    char key[CREDENTIAL_ID_MAX + 1];
    struct secret secret; /* psk; the caller wipes it */
    int64_t expires_s;    /* use it before */
    char profile[SCHEMA_PROFILE_MAX + 1];
    uint16_t certificate_len;
    uint8_t certificate[CRYPTO_CERT_DER_MAX];
    uint16_t authority_len;
    uint8_t authority[CA_CERTIFICATE_MAX];
};

/* ACCOUNTS_DONE: see ret->verdict. */
enum accounts_result enrolment_ask(struct accounts *accounts, const struct enrolment_question *question,
                                   const struct enrolment_policy *policy, int64_t now_s, struct enrolment_answer *ret);
/* An offered credential was used. ACCOUNTS_NOT_FOUND: there is no such credential, or it is too late. */
enum accounts_result enrolment_confirm(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                       struct bytes key, const struct enrolment_policy *policy, int64_t now_s);
enum enrolment_decision { ENROLMENT_APPROVE, ENROLMENT_REJECT, ENROLMENT_FORGET };

/* Why not. */
enum enrolment_obstacle {
    ENROLMENT_IS_OFFERED,   /* it has its credential, or is a rotation */
    ENROLMENT_SEVERAL,      /* devices enrol with this serial number: see devices */
    ENROLMENT_WAS_REJECTED, /* approving it would give it to whom somebody has said no: forget it first */
};

#define ENROLMENT_CHOICES_MAX 8

struct enrolment_decided {
    char device[SCHEMA_DEVICE_MAX + 1];
    enum enrolment_obstacle obstacle; /* ACCOUNTS_EXISTS */
    size_t count;                     /* ENROLMENT_SEVERAL: may be more than fit into devices */
    char devices[ENROLMENT_CHOICES_MAX][SCHEMA_DEVICE_MAX + 1];
};

/* By device id, else by serial number if no two have it. An approved one is offered when it asks again; a
 * forgotten one may be asked for anew by anybody, and what was offered is taken back. ACCOUNTS_EXISTS: see
 * ret->obstacle. */
enum accounts_result enrolment_decide(struct accounts *accounts, struct bytes tenant, struct bytes name,
                                      enum enrolment_decision decision, const struct enrolment_policy *policy,
                                      int64_t now_s, struct enrolment_decided *ret);
enum accounts_result enrolment_get(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                   struct enrolment_record *ret);
/* Devices that are enrolling, the one that ends first first. */
enum accounts_result enrolment_list(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
#define ENROLMENT_SWEEP_MAX 64
/* Ends what is over, at most max and ENROLMENT_SWEEP_MAX. One that cannot be ended (its device's record is damaged)
 * is logged and tried again a day later. *ret_count: how many were looked at, set in any case; as many as may be: there
 * may be others. */
enum accounts_result enrolment_sweep(struct accounts *accounts, struct bytes tenant,
                                     const struct enrolment_policy *policy, int64_t now_s, size_t max,
                                     size_t *ret_count);

/* Serial numbers that are approved before they ask. */
enum accounts_result enrolment_approve_serials(struct accounts *accounts, struct bytes tenant, struct bytes batch,
                                               const struct bytes *serials, size_t count);
enum accounts_result enrolment_forget_serials(struct accounts *accounts, struct bytes tenant, struct bytes batch,
                                              const struct bytes *serials, size_t count);
/* How many came by the batch, and how many are approved beforehand. */
enum accounts_result enrolment_count(struct accounts *accounts, struct bytes tenant, struct bytes batch,
                                     uint64_t *ret_used, uint64_t *ret_approved);
/* The tenant's authority that signs: the newest that is not retired. ACCOUNTS_NOT_FOUND: none. */
enum accounts_result enrolment_authority(struct accounts *accounts, struct bytes tenant, int64_t now_s,
                                         struct ca_record *ret);
