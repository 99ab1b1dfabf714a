// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * weir:{T}:audit: who did what to which thing of a tenant, when (the id of the entry) and from where. Written in the
 * MULTI of the change itself (gateway/accounts), so neither is without the other; trimmed to settings.audit_max
 * entries. docs/streams.md has the fields. Never a secret.
 */
#pragma once

#include "gateway/request.h"
#include "gateway/store_wire.h"
#include "registry/schema.h"

#define AUDIT_MAX_DEFAULT 1000000
#define AUDIT_WHO_MAX (8 + SCHEMA_DEVICE_MAX + CREDENTIAL_ID_MAX)

/* Who. One that is all zero is the gateway itself. */
struct audit_actor {
    char who[AUDIT_WHO_MAX + 1];       /* "token:ID", "person:ID", "device:ID", "batch:ID", "cli:USER"; empty: "weir" */
    char label[RECORD_SITE_MAX + 1];   /* of the token; may be empty */
    char from[ADDRESS_TEXT_MAX];       /* address, or "cli"; may be empty */
};

void audit_actor_of(const struct request *request, struct audit_actor *ret);
/* One who asked for nothing: neither label nor address. */
void audit_actor_of_identity(const struct identity *who, struct audit_actor *ret);
/* The user of this process. */
void audit_actor_of_user(struct audit_actor *ret);

struct audit_deed {
    const char *action; /* a word of docs/streams.md: "add", "change", "disable", "remove", "revoke", ... */
    const char *object; /* SCHEMA_OBJECT_, or "key", "enrolment" */
    struct bytes tenant, id;
    struct bytes key; /* which credential of a device; empty: none */
};

#define AUDIT_ARGUMENTS_MAX 20
/* XADD of a deed. Borrows from deed and actor. */
struct audit_command {
    char stream[SCHEMA_KEY_MAX], max[24];
    struct bytes arguments[AUDIT_ARGUMENTS_MAX];
    size_t count;
};
/* actor NULL: the gateway itself. max 0: AUDIT_MAX_DEFAULT. */
void audit_command(const struct audit_deed *deed, const struct audit_actor *actor, uint64_t max,
                   struct audit_command *ret);

/* An entry as it was read; what is too long for its place is cut. */
struct audit_entry {
    char at[48]; /* the id of the entry: milliseconds, a hyphen, a number */
    char who[AUDIT_WHO_MAX + 1], label[RECORD_SITE_MAX + 1], from[ADDRESS_TEXT_MAX];
    char action[17], object[17], id[SCHEMA_DEVICE_MAX + 1], key[CREDENTIAL_ID_MAX + 1];
};
/* One item of what XREVRANGE answers. False: it is none. */
bool audit_read(const struct store_reply *reply, struct audit_entry *ret);

/* GET /audit: the newest first. ?limit=N (1 to 1000, 100 without it), ?before=AT, ?tenant=T. */
void audit_handle(struct request *request);
