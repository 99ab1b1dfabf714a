// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Tenants, devices, tokens, groups, rules, streams, profiles and codecs as they stand in Redis: made, read,
 * changed, removed, by whoever administers: the CLI, people over the wire (gateway/rest), the gateway itself. Others
 * that write these keys: gateway/bulk (many devices), gateway/rewrap (secrets anew), gateway/kids. Knows neither words
 * on a screen nor the registry in memory: every change is told through weir:changes and comes back by gateway/follow.
 *
 * Each change is one MULTI with its entry in weir:changes, under WATCH of what it was decided on: it happens
 * whole and is told, or not at all. In a cluster it is told after it happened; a command that was cut off in
 * between is repaired by running it again.
 */
#pragma once

#include "gateway/audit.h"
#include "gateway/delivery.h"
#include "gateway/store_client.h"
#include "registry/commission.h"
#include "registry/record.h"

enum accounts_result {
    ACCOUNTS_DONE,
    ACCOUNTS_EXISTS,    /* and replacing was not asked for */
    ACCOUNTS_NOT_FOUND, /* the thing itself */
    ACCOUNTS_NO_TENANT, /* the tenant it belongs to */
    ACCOUNTS_NO_DEVICE, /* the device a token is for */
    ACCOUNTS_DAMAGED,   /* what stands in Redis is no valid record */
    ACCOUNTS_FULL,      /* the tenant has as many of these as it may */
    ACCOUNTS_LEFTOVER,  /* a tenant of this name was not removed whole, and its devices would speak for the new one */
    ACCOUNTS_BUSY,      /* others changed the same thing again and again */
    ACCOUNTS_REFUSED,   /* Redis answered with an error: accounts_error */
    ACCOUNTS_AWAY,      /* no answer; whether a change happened is not known */
    ACCOUNTS_NOT_SEALED,  /* a secret cannot be wrapped; nothing was written */
    ACCOUNTS_SAME_SECRET, /* two credentials of a device with one secret, or two devices that show the same; nothing was
                           * written */
    ACCOUNTS_STALE,       /* accounts.only_if: it is no longer what was read; nothing was written */
};

/* A thing as it stood in Redis when it was read; to be compared only. */
struct accounts_version {
    bool exists;
    uint8_t digest[RECORD_DIGEST_BYTES];
};

/* Borrows client, vault, only_if, allow_about and actor, which must outlive it. */
struct accounts {
    struct store_client *client;
    const struct record_vault *vault; /* wraps and opens secrets; NULL: they are plain text */
    char error[STORE_CLIENT_ERROR_MAX]; /* what Redis said, after ACCOUNTS_REFUSED */
    struct accounts_version last_read;  /* what the last accounts_get_ found, if it was ACCOUNTS_DONE, _DAMAGED or
                                         * _NOT_FOUND */
    /* Changes happen only while their thing is still in this version, else ACCOUNTS_STALE: so what was read,
     * judged and changed is what is written over, whoever else writes. NULL: whatever it is. Of a credential
     * it is the device's. */
    const struct accounts_version *only_if;
    /* Asked once what a change depends on is watched: may watch more, and what it says other than ACCOUNTS_DONE
     * ends the change. NULL: nobody is asked. */
    enum accounts_result (*allow)(struct accounts *accounts, const void *allow_about);
    const void *allow_about;
    /* No credential is put beside secrets that vault does not open (ACCOUNTS_NOT_SEALED, is_foreign): a
     * person's vault may be the wrong one. */
    bool must_open;
    bool is_foreign;                    /* that was why */
    char holder[SCHEMA_DEVICE_MAX + 1]; /* of a credential, after EXISTS and SAME_SECRET: whose it is; or empty */
    const struct audit_actor *actor; /* who changes things; NULL: the gateway itself */
    uint64_t audit_max;              /* entries that the audit keeps; 0: AUDIT_MAX_DEFAULT */
};

/* What an error of Redis is: ACCOUNTS_BUSY while a slot of a cluster moves, which tears a transaction; else
 * ACCOUNTS_REFUSED, with accounts->error. */
enum accounts_result accounts_refused(struct accounts *accounts, struct bytes error);
/* One command for what is no change of a record (gateway/enrolment, gateway/rewrap). ret_reply is set on ACCOUNTS_DONE
 * and borrows from the client, until its next call. */
enum accounts_result accounts_call(struct accounts *accounts, const struct bytes *arguments, size_t count,
                                   const struct store_reply **ret_reply);
/* EXEC. ACCOUNTS_BUSY: a watched key changed and nothing was written. */
enum accounts_result accounts_execute(struct accounts *accounts);

/* Ids must be valid (registry/schema.h), and so must the fields of records. */

enum accounts_result accounts_add_tenant(struct accounts *accounts, const struct tenant_record *record, bool replace);
enum accounts_result accounts_get_tenant(struct accounts *accounts, struct bytes tenant, struct tenant_record *ret);
enum accounts_result accounts_set_tenant_disabled(struct accounts *accounts, struct bytes tenant, bool disabled);
enum accounts_result accounts_set_tenant_level(struct accounts *accounts, struct bytes tenant,
                                               enum delivery_level level);
/* With all its devices, tokens, groups, rules, retention, profiles, codecs and what codecs could not read;
 * its streams stay. */
enum accounts_result accounts_remove_tenant(struct accounts *accounts, struct bytes tenant);

enum accounts_result accounts_add_device(struct accounts *accounts, const struct device_record *record, bool replace);
/* The record borrows from the room, which the caller wipes. */
enum accounts_result accounts_get_device(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                         struct record_room *room, struct device_record *ret);
enum accounts_result accounts_set_device_disabled(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                  bool disabled);
/* Changes single fields, each valid by itself; one with an empty value is taken away. The others stay as they are. */
enum accounts_result accounts_set_device_fields(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                const struct record_field *fields, size_t count);
/*
 * One credential of a device. ACCOUNTS_EXISTS: it has one of this id (and replacing was not asked for), or
 * another device of the tenant has a signature key of this id; ACCOUNTS_FULL: it has CREDENTIALS_MAX;
 * ACCOUNTS_SAME_SECRET: one of its others is the same secret, or another device of the tenant shows the same
 * (gateway/kids). What else an older weir left in plain text of this device is wrapped with it.
 */
enum accounts_result accounts_put_credential(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                             const struct credential *credential, bool replace);
enum accounts_result accounts_remove_credential(struct accounts *accounts, struct bytes tenant, struct bytes device,
                                                struct bytes id);
/* With its enrolment, if it is enrolling; who was rejected stays rejected. Its batch counts it no more, and nothing is
 * remembered of its messages (gateway/forget). */
enum accounts_result accounts_remove_device(struct accounts *accounts, struct bytes tenant, struct bytes id);

enum accounts_result accounts_add_token(struct accounts *accounts, const struct token_record *record);
enum accounts_result accounts_get_token_of(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                           struct token_record *ret);
/* Searches all tenants. */
enum accounts_result accounts_get_token(struct accounts *accounts, struct bytes id, struct token_record *ret);
/* The record stays, so that `token list` can tell that it was revoked. */
enum accounts_result accounts_revoke_token(struct accounts *accounts, struct bytes id);
enum accounts_result accounts_revoke_token_of(struct accounts *accounts, struct bytes tenant, struct bytes id);

/* ACCOUNTS_FULL: RECORD_CODECS_MAX. */
enum accounts_result accounts_add_group(struct accounts *accounts, const struct group_record *record, bool replace);
enum accounts_result accounts_get_group(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                        struct group_record *ret);
enum accounts_result accounts_set_group_disabled(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                 bool disabled);
enum accounts_result accounts_remove_group(struct accounts *accounts, struct bytes tenant, struct bytes id);

/* ACCOUNTS_FULL: BATCHES_MAX. */
enum accounts_result accounts_add_batch(struct accounts *accounts, const struct batch_record *record, bool replace);
enum accounts_result accounts_get_batch(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                        struct batch_record *ret);
enum accounts_result accounts_set_batch_disabled(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                 bool disabled);
/* With its approved serial numbers; the devices that came by it stay. */
enum accounts_result accounts_remove_batch(struct accounts *accounts, struct bytes tenant, struct bytes id);

enum accounts_result accounts_add_ca(struct accounts *accounts, const struct ca_record *record);
enum accounts_result accounts_get_ca(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                     struct ca_record *ret);
enum accounts_result accounts_set_ca_retired(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                             bool retired);
enum accounts_result accounts_remove_ca(struct accounts *accounts, struct bytes tenant, struct bytes id);

/* ACCOUNTS_FULL: RECORD_RULES_MAX. The stream it names joins accounts_list_streams. */
enum accounts_result accounts_add_rule(struct accounts *accounts, const struct rule_record *record, bool replace);
enum accounts_result accounts_get_rule(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                       struct rule_record *ret);
enum accounts_result accounts_remove_rule(struct accounts *accounts, struct bytes tenant, struct bytes id);

/* Retention of a stream: made or replaced. Removing it takes the limits away, never entries; a stream that holds
 * nothing is forgotten. */
enum accounts_result accounts_set_stream(struct accounts *accounts, const struct stream_record *record);
enum accounts_result accounts_get_stream(struct accounts *accounts, struct bytes tenant, struct bytes name,
                                         struct stream_record *ret);
enum accounts_result accounts_remove_stream(struct accounts *accounts, struct bytes tenant, struct bytes name);

enum accounts_result accounts_add_profile(struct accounts *accounts, const struct profile_record *record, bool replace);
enum accounts_result accounts_get_profile(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                          struct profile_record *ret);
enum accounts_result accounts_remove_profile(struct accounts *accounts, struct bytes tenant, struct bytes id);

/* ACCOUNTS_FULL: RECORD_CODECS_MAX. Whether the definition compiles is the caller's to know. */
enum accounts_result accounts_add_codec(struct accounts *accounts, const struct codec_record *record, bool replace);
/* The definition borrows from the client, until its next call. */
enum accounts_result accounts_get_codec(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                        struct codec_record *ret);
/* reason: as record.reason, cut to its length; empty when it is released. */
enum accounts_result accounts_set_codec_quarantined(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                    bool quarantined, struct bytes reason);
/*
 * Somebody who speaks it was read: once more than the record knows, up to RECORD_WITNESSES. definition is that which
 * read him. ACCOUNTS_EXISTS: nothing to add, or it is another definition by now.
 */
enum accounts_result accounts_add_codec_witness(struct accounts *accounts, struct bytes tenant, struct bytes id,
                                                struct bytes definition, struct bytes witness);
enum accounts_result accounts_remove_codec(struct accounts *accounts, struct bytes tenant, struct bytes id);

/* A deed that is no change of one of these records, or more than one, into the audit: at once, or in the MULTI that the
 * caller has begun. */
enum accounts_result accounts_audit(struct accounts *accounts, const struct audit_deed *deed);
/* The newest first, those before the entry `before` (empty: all). */
enum accounts_result accounts_read_audit(struct accounts *accounts, struct bytes tenant, struct bytes before,
                                         struct audit_entry *ret, size_t max, size_t *ret_count);

/* Ids in the order of their characters, in one block that the caller frees. */
struct accounts_ids {
    char (*ids)[SCHEMA_DEVICE_MAX + 1];
    size_t count;
};

/* Those in a list that Redis answered, in its order. ACCOUNTS_AWAY: no memory. */
enum accounts_result accounts_take_ids(const struct store_reply *reply, struct accounts_ids *ret);
enum accounts_result accounts_list_tenants(struct accounts *accounts, struct accounts_ids *ret);
enum accounts_result accounts_list_devices(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
enum accounts_result accounts_list_tokens(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
enum accounts_result accounts_list_rules(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
/* Names that a rule or a retention has ever used; "obs" only if it has retention. */
enum accounts_result accounts_list_streams(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
enum accounts_result accounts_list_profiles(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
enum accounts_result accounts_list_groups(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
enum accounts_result accounts_list_batches(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
enum accounts_result accounts_list_cas(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
enum accounts_result accounts_list_codecs(struct accounts *accounts, struct bytes tenant, struct accounts_ids *ret);
