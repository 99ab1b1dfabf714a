// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Every name that weir uses in Redis, and nothing else: keys, fields, their order. docs/streams.md is checked
 * against this file. Keys carry the hash tag {tenant}, so that what belongs together is in one slot of a cluster.
 *
 *   weir:tenants                 set    names of all tenants
 *   weir:changes                 stream registry changes, followed by every gateway (fields o, t, d)
 *   weir:{T}:meta                hash   the tenant's record
 *   weir:{T}:devices             set    ids of the tenant's devices
 *   weir:{T}:dev:ID              hash   one device
 *   weir:{T}:tokens              set    ids of the tenant's tokens
 *   weir:{T}:tok:ID              hash   one token (salted hash, never the token)
 *   weir:{T}:rules               set    ids of the tenant's rules
 *   weir:{T}:rule:ID             hash   one rule: which series go to which stream, with which tags
 *   weir:{T}:streams             set    names of the streams that rules or retention named
 *   weir:{T}:str:NAME            hash   retention of one stream
 *   weir:{T}:profiles            set    ids of the tenant's profiles
 *   weir:{T}:profile:ID          hash   one profile: how a batch of devices speaks
 *   weir:{T}:codecs              set    ids of the tenant's declarative codecs
 *   weir:{T}:codec:ID            hash   one codec
 *   weir:{T}:groups              set    ids of the tenant's groups
 *   weir:{T}:group:ID            hash   one group: a key from which those of a batch of devices are derived
 *   weir:{T}:batches             set    ids of the tenant's batches
 *   weir:{T}:batch:ID            hash   one batch: the secret with which its devices enrol
 *   weir:{T}:serials:ID          set    serial numbers of the batch that are approved beforehand
 *   weir:{T}:used:ID             set    ids of the devices that came by the batch
 *   weir:{T}:cas                 set    ids of the tenant's authorities
 *   weir:{T}:ca:ID               hash   one authority: certificate and wrapped key
 *   weir:{T}:enrolments          zset   ids of devices that are enrolling, by the time when that ends
 *   weir:{T}:enrol:ID            hash   one enrolment
 *   weir:{T}:kids                hash   whose is what one device only may have: the id of a signature key, or
 *                                       "pub:", "rpk:" or "crt:" and SHA-256 of a public key, a raw key or a
 *                                       certificate name -> the device's; ":entered": whether older records'
 *                                       are in it (gateway/kids)
 *   weir:{T}:evidence            stream signed messages as they were received, with key and verdict
 *   weir:{T}:audit               stream who changed what of the registry, when, from where
 *   weir:{T}:quarantine          stream messages that a codec could not read, the newest ones
 *   weir:{T}:obs                 stream observations
 *   weir:{T}:conflicts           stream messages whose sequence number was used before for other content
 *   weir:{T}:conflicted          zset   which conflicts are in that stream already
 *   weir:{T}:hwm                 hash   how far each gateway has pushed: INCARNATION.LANE -> LSN
 *   weir:{T}:seen                hash   what was seen of each device and epoch (gateway/function.lua)
 *   weir:{T}:holes:ID:EPOCH      zset   sequence numbers that are missing and no longer in seen
 *   weir:{T}:once:ID             zset   digests of messages without a sequence number
 *   weir:{T}:epoch               hash   newest epoch of each device
 *   weir:{T}:epochs:ID           hash   older epochs of one device, until they are forgotten
 *   weir:{T}:superseded          zset   the same of all devices, by the time when they were replaced
 *   weir:{T}:total:ID            hash   the counters of a device and their totals (gateway/function.lua)
 *   weir:{T}:stream:NAME         stream observations that a rule keeps apart
 */
#pragma once

#include "codec/bytes.h"

#define SCHEMA_TENANT_MAX 32  /* [a-z0-9][a-z0-9-]* */
#define SCHEMA_DEVICE_MAX 64  /* [A-Za-z0-9][A-Za-z0-9:._-]* */
#define SCHEMA_RULE_MAX 32    /* as a tenant */
#define SCHEMA_GROUP_MAX 32   /* as a tenant */
#define SCHEMA_STREAM_MAX 32  /* as a tenant */
#define SCHEMA_PROFILE_MAX 32 /* as a tenant; profiles and codecs */
#define SCHEMA_KEY_MAX 160    /* any key, with its NUL */

#define SCHEMA_KEY_TENANTS "weir:tenants"
#define SCHEMA_KEY_CHANGES "weir:changes"
#define SCHEMA_CHANGES_KEPT "100000" /* MAXLEN ~ of weir:changes */

/* Fields of a weir:changes entry: o what (SCHEMA_OBJECT_), t tenant, d id of the thing; empty for a tenant. Of a device
 * or tenant that was removed also r; without it nothing is said about that. */
#define SCHEMA_CHANGE_OBJECT "o"
#define SCHEMA_CHANGE_TENANT "t"
#define SCHEMA_CHANGE_ID "d"
#define SCHEMA_CHANGE_GONE "r"

/* The suffixes of a tenant's keys. */
#define SCHEMA_SUFFIX_META "meta"
#define SCHEMA_SUFFIX_DEVICES "devices"
#define SCHEMA_SUFFIX_TOKENS "tokens"
#define SCHEMA_SUFFIX_OBS "obs"
#define SCHEMA_SUFFIX_HWM "hwm"
#define SCHEMA_SUFFIX_SEEN "seen"
#define SCHEMA_SUFFIX_CONFLICTS "conflicts"
#define SCHEMA_SUFFIX_CONFLICTED "conflicted"
#define SCHEMA_SUFFIX_EPOCH "epoch"
#define SCHEMA_SUFFIX_SUPERSEDED "superseded"
#define SCHEMA_SUFFIX_RULES "rules"
#define SCHEMA_SUFFIX_STREAMS "streams"
#define SCHEMA_SUFFIX_PROFILES "profiles"
#define SCHEMA_SUFFIX_CODECS "codecs"
#define SCHEMA_SUFFIX_QUARANTINE "quarantine"
#define SCHEMA_SUFFIX_GROUPS "groups"
#define SCHEMA_SUFFIX_KIDS "kids"
#define SCHEMA_SUFFIX_BATCHES "batches"
#define SCHEMA_SUFFIX_CAS "cas"
#define SCHEMA_SUFFIX_ENROLMENTS "enrolments"
#define SCHEMA_SUFFIX_EVIDENCE "evidence"
#define SCHEMA_SUFFIX_AUDIT "audit"
#define SCHEMA_KIND_DEVICE "dev"
#define SCHEMA_KIND_TOKEN "tok"
#define SCHEMA_KIND_RULE "rule"
#define SCHEMA_KIND_RETENTION "str"
#define SCHEMA_KIND_PROFILE "profile"
#define SCHEMA_KIND_CODEC "codec"
#define SCHEMA_KIND_GROUP "group"
#define SCHEMA_KIND_BATCH "batch"
#define SCHEMA_KIND_SERIALS "serials"
#define SCHEMA_KIND_USED "used"
#define SCHEMA_KIND_CA "ca"
#define SCHEMA_KIND_ENROLMENT "enrol"
#define SCHEMA_KIND_STREAM "stream"
#define SCHEMA_KIND_HOLES "holes"
#define SCHEMA_KIND_ONCE "once"
#define SCHEMA_KIND_EPOCHS "epochs"
#define SCHEMA_KIND_TOTAL "total"

/* weir:{T}:enrol:D: whether it was said no to. */
#define SCHEMA_ENROLMENT_STATE "state"
#define SCHEMA_ENROLMENT_REJECTED "rejected"

/* What a change is about: the field o. */
#define SCHEMA_OBJECT_TENANT "tenant"
#define SCHEMA_OBJECT_DEVICE "device"
#define SCHEMA_OBJECT_TOKEN "token"
#define SCHEMA_OBJECT_RULE "rule"
#define SCHEMA_OBJECT_STREAM "stream"
#define SCHEMA_OBJECT_PROFILE "profile"
#define SCHEMA_OBJECT_CODEC "codec"
#define SCHEMA_OBJECT_GROUP "group"
#define SCHEMA_OBJECT_BATCH "batch"
#define SCHEMA_OBJECT_CA "ca"

/* Fields of the hashes, in the order in which registry/record writes them. An empty one is not written. */
#define SCHEMA_TENANT_FIELDS(X) X(disabled) X(level) X(created)
#define SCHEMA_DEVICE_FIELDS(X)                                                                                        \
    X(disabled) X(concentrator) X(role) X(prefix) X(site) X(tags) X(group) X(serial) X(model) X(profile) X(created)
/* Behind them, one for each credential: key:ID, "KIND CREATED NOT_BEFORE NOT_AFTER MATERIAL"; KIND has a ? behind
 * it if the credential is offered. MATERIAL is a secret, wrapped or in hexadecimal; a key or digest in
 * hexadecimal; a name; of a ca the digest, a space, the name. */
#define SCHEMA_DEVICE_KEY_PREFIX "key:"
#define SCHEMA_GROUP_FIELDS(X) X(disabled) X(pattern) X(key) X(site) X(tags) X(profile) X(created)
#define SCHEMA_BATCH_FIELDS(X)                                                                                         \
    X(disabled) X(per_device) X(approval) X(pattern) X(site) X(tags) X(profile) X(max) X(created) X(expires)           \
    X(secret) X(claim)
#define SCHEMA_CA_FIELDS(X) X(retired) X(spki) X(certificate) X(created) X(not_after) X(key)
#define SCHEMA_TOKEN_FIELDS(X)                                                                                         \
    X(role) X(device) X(sites) X(label) X(salt) X(digest) X(apikey) X(created) X(expires) X(revoked)
#define SCHEMA_RULE_FIELDS(X) X(order) X(device) X(site) X(name) X(class) X(stream) X(tags) X(created)
#define SCHEMA_STREAM_FIELDS(X) X(max_age_s) X(max_entries) X(groups) X(created)
#define SCHEMA_PROFILE_FIELDS(X) X(format) X(clock) X(clock_window_s) X(cumulative) X(created)
#define SCHEMA_CODEC_FIELDS(X) X(definition) X(quarantined) X(reason) X(witnesses) X(created)
#define SCHEMA_CHANGE_FIELDS(X) X(o) X(t) X(d) X(r)
/* Of an entry of weir:{T}:quarantine. */
#define SCHEMA_QUARANTINE_FIELDS(X) X(d) X(f) X(o) X(e) X(i) X(t) X(ct) X(r) X(l) X(p)

/* Of an entry of weir:{T}:evidence, always all of them in this order. */
#define SCHEMA_EVIDENCE_FIELDS(X) X(m) X(d) X(f) X(k) X(ct) X(r) X(p) X(v)

/* Fields of one observation, always all of them in this order (docs/streams.md). */
#define SCHEMA_OBS_FIELDS(X) X(d) X(n) X(u) X(t) X(q) X(k) X(v) X(s) X(c) X(a) X(b) X(m) X(w) X(y)

/* Whether the text may be a tenant or a device id; nothing else ever becomes part of a key. */
bool schema_tenant_is_valid(struct bytes tenant);
bool schema_device_is_valid(struct bytes device);
bool schema_rule_is_valid(struct bytes rule);
bool schema_stream_is_valid(struct bytes stream);
bool schema_rule_stream_is_valid(struct bytes stream); /* what a rule may name: a stream of observations */
bool schema_group_is_valid(struct bytes group);
bool schema_profile_is_valid(struct bytes profile); /* and of a codec */

/* Keys of a tenant: suffix is one of SCHEMA_SUFFIX_. Returns the length; the tenant must be valid. */
size_t schema_key(char ret[static SCHEMA_KEY_MAX], struct bytes tenant, const char *suffix);
/* Keys of one thing: kind is one of SCHEMA_KIND_. */
size_t schema_key_of(char ret[static SCHEMA_KEY_MAX], struct bytes tenant, const char *kind, struct bytes id);
/* The stream itself: weir:{T}:obs if the name is empty or "obs", weir:{T}:evidence, weir:{T}:audit; else
 * weir:{T}:stream:NAME. */
size_t schema_key_of_stream(char ret[static SCHEMA_KEY_MAX], struct bytes tenant, struct bytes stream);
/* The same without "weir:{T}:": "obs" or "stream:NAME". */
size_t schema_stream_suffix(char ret[static SCHEMA_KEY_MAX], struct bytes stream);
