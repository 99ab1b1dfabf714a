// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * weir:{T}:kids: whose is what only one device of a tenant may have: ids of signature keys, and what devices show
 * (public keys, raw keys, certificate names). For those who change credentials, gateway/accounts and gateway/bulk:
 * it is watched with the device, asked once the record is read, and written in the same MULTI.
 *
 * The version before did not enter raw keys and certificate names, so before the first name is taken those of all the
 * tenant's devices are entered (kids_enter); a field of weir:{T}:kids says that they are
 * (docs/decisions/0018-names-of-older-records.md).
 *
 * What two devices had in common before that stays so until one of them is changed: the first by id has the name, the
 * other one keeps its credential, and may change it. When a name is given up in such a tenant, all are entered anew
 * before the next one is taken, so that the other one has it then. What a change takes away and writes again is not
 * given up.
 */
#pragma once

#include "gateway/accounts.h"

/* What a credential shows, as it is named there: "pub:" (a public key of a signature kind), "rpk:" (a raw key) or
 * "crt:" (a certificate name, whatever else the credential says of the certificate), and SHA-256 of it in hexadecimal.
 * False: it shows nothing that could be another's, as a name that says the device (credential_own_name), which is of no
 * other; or the digest failed. */
#define KIDS_NAME_MAX 68
bool kids_shown_name(const struct credential *credential, char ret[static KIDS_NAME_MAX + 1]);
/* All its names: the id of a signature key, and that above. How many. */
#define KIDS_NAMES 2
size_t kids_names(const struct credential *credential, char ret[static KIDS_NAMES][KIDS_NAME_MAX + 1]);

#define KIDS_LOST_MAX (KIDS_NAMES * RECORD_FIELDS_MAX)
#define KIDS_WANTED_MAX (KIDS_NAMES * CREDENTIALS_MAX)
#define KIDS_ARGUMENTS_MAX (3 + KIDS_LOST_MAX + 2 * KIDS_WANTED_MAX)

/* A change of one device's credentials. */
struct kids_name {
    char text[KIDS_NAME_MAX + 1];
    bool writes; /* it goes from weir:{T}:kids, or is entered there */
};
struct kids_change {
    struct bytes device; /* borrowed */
    char key[SCHEMA_KEY_MAX];
    struct kids_name had[KIDS_LOST_MAX]; /* by the record as it is */
    size_t had_count;
    struct kids_name wanted[KIDS_WANTED_MAX];
    size_t wanted_count;
    bool enters_anew;
    /* Whether the holder gives the name up in the same MULTI, so that it may be taken from it. NULL: nobody does. */
    bool (*is_given_up)(void *ctx, const char *name, struct bytes holder);
    void *ctx;
};

void kids_begin(struct bytes tenant, struct bytes device, struct kids_change *ret);
/* The credentials that it gets. */
void kids_want(struct kids_change *change, const struct credential *fresh, size_t count);
/* The record's fields as they are, whether its secrets open or not. It loses the credential of the id `only`, and keeps
 * the others; empty: it loses all. Whether it has that one. */
bool kids_lose(struct kids_change *change, const struct record_field *fields, size_t count, struct bytes only);
/* Whether it loses this name, whoever has it by weir:{T}:kids. */
bool kids_gives_up(const struct kids_change *change, const char *name);

/* HMGET. Its reply is for kids_judge; all arguments borrow from the change. Returns their count. */
size_t kids_ask(const struct kids_change *change, struct bytes ret[static KIDS_ARGUMENTS_MAX]);
/*
 * ACCOUNTS_EXISTS: another device has a signature key of an id; ACCOUNTS_SAME_SECRET: another one shows the same;
 * holder is that device then, or empty if what stands there is none. ACCOUNTS_NOT_FOUND: kids_enter is to come first.
 * What the record had already is never refused, and stays with whom weir:{T}:kids says. Of a tenant whose devices share
 * names nobody is asked is_given_up: another one that shows it is to have it then.
 */
enum accounts_result kids_judge(struct kids_change *change, const struct store_reply *reply,
                                char holder[static SCHEMA_DEVICE_MAX + 1]);
/* HDEL of what the device had there, then HSET of what it gets, and that all are to be entered anew; 0: not needed. Of
 * several changes in one MULTI all are released first. */
size_t kids_release(const struct kids_change *change, struct bytes ret[static KIDS_ARGUMENTS_MAX]);
size_t kids_claim(const struct kids_change *change, struct bytes ret[static KIDS_ARGUMENTS_MAX]);

/* Enters the names of all devices of the tenant that are nobody's. Nothing may be watched: it watches records
 * itself, some at a time. ACCOUNTS_BUSY: names went meanwhile; all is to be looked at again, as when it is done. */
enum accounts_result kids_enter(struct accounts *accounts, struct bytes tenant);
