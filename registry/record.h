// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records of the registry as plain data, and their form in Redis (hash fields). Pure.
 *
 * A device is (tenant, id). prefix says which names it may write (docs/streams.md): names without ':' and '/' are its
 * own by nature; any other name must be the prefix or begin with the prefix and one of : / . _ -.
 */
#pragma once

#include "registry/credential.h"
#include "registry/schema.h"

#define RECORD_SITE_MAX 64
#define RECORD_SITES_MAX 256
#define RECORD_TAGS_MAX 128
#define RECORD_PATTERN_MAX 64
#define RECORD_DIGEST_BYTES 32

#define RECORD_LEVELS 3
#define RECORD_CUMULATIVE_MAX 256
#define RECORD_REASON_MAX 128
#define RECORD_WITNESSES 2 /* of a codec */
#define RECORD_WITNESS_MAX SCHEMA_DEVICE_MAX
#define RECORD_WITNESSES_MAX (RECORD_WITNESSES * (RECORD_WITNESS_MAX + 1))
#define RECORD_DEFINITION_MAX 32768
#define RECORD_CODECS_MAX 256 /* of one tenant; and of profiles */

#define RECORD_APIKEY_MIN 16
#define RECORD_APIKEY_MAX 64

#define RECORD_SERIAL_MAX 48

/* What somebody may do; each of the people's roles may what the ones before it may. */
enum role {
    ROLE_DEVICE,    /* speaks as one device */
    ROLE_BOOTSTRAP, /* may enrol, and nothing else */
    ROLE_VIEWER,    /* reads */
    ROLE_OPERATOR,  /* changes devices, their keys, codecs, rules */
    ROLE_ADMIN,     /* makes tokens, groups and CAs */
    ROLES,
};
/* "device", "bootstrap", "viewer", "operator", "admin". */
const char *role_name(enum role role);
bool role_of_name(struct bytes name, enum role *ret);

struct tenant_record {
    char id[SCHEMA_TENANT_MAX + 1];
    bool disabled;
    uint8_t level; /* enum delivery_level, below RECORD_LEVELS: how safe an observation must be to be acknowledged */
    int64_t created_s;
};

struct device_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_DEVICE_MAX + 1];
    bool disabled;
    bool concentrator; /* may write for other devices of its tenant */
    enum role role;                     /* ROLE_DEVICE, or a person who comes over DTLS */
    char prefix[SCHEMA_DEVICE_MAX + 1]; /* empty: the id itself; "*": any name */
    char site[RECORD_SITE_MAX + 1];     /* building or house; empty: none. Of a person: sites, as of a token */
    char tags[RECORD_TAGS_MAX + 1];     /* comma-separated words */
    char group[SCHEMA_GROUP_MAX + 1];   /* its key is derived from this group's; empty: from none */
    char serial[RECORD_SERIAL_MAX + 1]; /* as it said when it was enrolled */
    char model[RECORD_SERIAL_MAX + 1];
    /* How it speaks: a profile of the tenant, or, where there is none of that name, a codec of the tenant or
     * a format of codec/format. Empty: as each request says. */
    char profile[SCHEMA_PROFILE_MAX + 1];
    int64_t created_s;
    /* Borrowed; of a record that the registry returned they live as long as that. In the order of their ids. */
    const struct credential *credentials;
    uint8_t credential_count;
};

/* Where credentials of a record that was read lie; wiped by its owner (record_wipe_room). */
struct record_room {
    struct credential credentials[CREDENTIALS_MAX];
    char names[CREDENTIALS_MAX][CREDENTIAL_NAME_MAX + 1];
};
void record_wipe_room(struct record_room *room);

/* The first credential of the kind behind `after` (NULL: of all) that is good at now_s; NULL: none. */
const struct credential *record_credential(const struct device_record *device, enum credential_kind kind, int64_t now_s,
                                           const struct credential *after);
/* Whether no two of them have the same secret: a key is for one use and one algorithm. A record of which this does not
 * hold is neither written nor read. */
bool record_secrets_are_distinct(const struct device_record *device);
/* By its id, good or not; NULL: none. */
const struct credential *record_credential_of_id(const struct device_record *device, struct bytes id);

/* A key from which the keys of a batch of devices are derived, so that they need no records before they appear. */
struct group_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_GROUP_MAX + 1];
    bool disabled;
    char pattern[RECORD_PATTERN_MAX + 1]; /* which device ids, * is any run of characters */
    struct secret key;                    /* 32 to 64 octets */
    char site[RECORD_SITE_MAX + 1];       /* what the records of its devices get when they appear */
    char tags[RECORD_TAGS_MAX + 1];
    char profile[SCHEMA_PROFILE_MAX + 1];
    int64_t created_s;
};

/*
 * Wrapping of secrets at rest (gateway/vault), given as functions because this layer is pure. owner: the id of the
 * device, token, group or whatever the secret belongs to; label: the credential's id and kind, or the field. A sealed
 * text opens only for the same tenant, owner and label.
 */
#define RECORD_SEALED_MAX 160 /* text of a wrapped secret */
#define RECORD_SEALED_PREFIX "w1." /* with which it begins, as no plain one does */
struct record_vault {
    void *ctx;
    /* Returns the length of the text; 0: it failed. */
    size_t (*seal)(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, const struct secret *secret,
                   char ret[static RECORD_SEALED_MAX]);
    /* False: not sealed so, or by another key-encryption key. */
    bool (*open)(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, struct bytes sealed,
                 struct secret *ret);
};

#define RECORD_FRAME_KEY_MIN (16 + 6) /* AES-128 key, then the node's whole id of 6 to 8 octets */
#define RECORD_FRAME_KEY_MAX (16 + 8)

enum clock_policy {
    CLOCK_TRUST,   /* as the device says */
    CLOCK_CORRECT, /* moved by the estimated error of the device's clock */
    CLOCK_REPLACE, /* the newest of a message is the time of receipt, the others keep their distance to it */
    CLOCK_REFUSE,  /* outside of the window: refused */
    CLOCK_POLICIES,
};

/* How a batch of devices speaks. */
struct profile_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_PROFILE_MAX + 1];
    char format[SCHEMA_PROFILE_MAX + 1]; /* a codec of the tenant, else a format of codec/format; empty: none */
    enum clock_policy clock;
    uint32_t clock_window_s; /* how far from the time of receipt is right: CLOCK_REFUSE, CLOCK_CORRECT */
    /* Local names of series that are counters, between commas, each with =MODULUS where it rolls over. */
    char cumulative[RECORD_CUMULATIVE_MAX + 1];
    int64_t created_s;
};

/* A declarative codec: its definition is text that codec/custom compiles. */
struct codec_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_PROFILE_MAX + 1];
    bool quarantined;                   /* not used until an operator releases it */
    char reason[RECORD_REASON_MAX + 1]; /* why, a sentence; empty if it is not */
    /* Up to RECORD_WITNESSES who speak it and were read, between commas: devices, or `@` and the hexadecimal address
     * of one that proves nothing. What gateway/quarantine goes by after a start. */
    char witnesses[RECORD_WITNESSES_MAX + 1];
    struct bytes definition;            /* borrowed; at most RECORD_DEFINITION_MAX */
    int64_t created_s;
};

struct token_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[17]; /* 16 hexadecimal digits; the public half of the token */
    enum role role;
    char device[SCHEMA_DEVICE_MAX + 1]; /* ROLE_DEVICE */
    char sites[RECORD_SITES_MAX + 1];   /* a person: only these, between commas; empty: all of the tenant */
    char label[RECORD_SITE_MAX + 1];    /* whose it is, for people; may be empty */
    uint8_t salt[16];
    uint8_t digest[RECORD_DIGEST_BYTES]; /* SHA-256(salt, token secret) */
    int64_t created_s;
    int64_t expires_s; /* 0: never */
    bool revoked;
    /* ROLE_DEVICE: a key that legacy senders put into the query (emonCMS's apikey, Ultralight's k) instead of
     * salt and digest: 16 to 64 of A-Z a-z 0-9 _ -. Kept as it is, because emonCMS encrypts with it. Found by its
     * whole text (registry_token_by_apikey). Not set: a bearer token. */
    struct secret apikey;
};

#define RECORD_RULES_MAX 256 /* of one tenant */
#define RECORD_RULE_TAGS_MAX 8
#define RECORD_TAG_NAME_MAX 16  /* [a-z][a-z0-9_]*, none of the fixed fields of an entry */
#define RECORD_TAG_VALUE_MAX 64 /* text without commas */

/* Which series go to which stream. All conditions must hold; an empty one always does. The first rule of a tenant that
 * matches, by order and then by id, decides. */
struct rule_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_RULE_MAX + 1];
    uint32_t order;
    char device[RECORD_PATTERN_MAX + 1]; /* pattern, * is any run of characters */
    char site[RECORD_SITE_MAX + 1];      /* exactly; of the device's record */
    char name[RECORD_PATTERN_MAX + 1];   /* pattern: registry_route says of what */
    char class[5];                       /* letters of t a e c; empty: any */
    char stream[SCHEMA_STREAM_MAX + 1];  /* empty or "obs": the tenant's default */
    struct rule_tag {
        char name[RECORD_TAG_NAME_MAX + 1];
        char value[RECORD_TAG_VALUE_MAX + 1];
    } tags[RECORD_RULE_TAGS_MAX]; /* written behind the fixed fields of each entry */
    size_t tag_count;
    int64_t created_s;
};

#define RECORD_GROUPS_MAX 256
#define RECORD_GROUPS_ALL "*"

/* How long a stream keeps what it has. Without a record: for ever. */
struct stream_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char name[SCHEMA_STREAM_MAX + 1]; /* "obs": the tenant's default stream */
    uint64_t max_age_s;               /* 0: no limit */
    uint64_t max_entries;             /* 0: no limit */
    /* Consumer groups that must have read before anything goes: words between commas; "*": all that the stream has;
     * empty: nobody is asked. In Redis an absent field is "*" and "-" is nobody: what was forgotten keeps data. */
    char groups[RECORD_GROUPS_MAX + 1];
    int64_t created_s;
};

/* One field of a Redis hash. */
struct record_field {
    struct bytes name, value;
};

#define RECORD_FIELDS_MAX 32
#define RECORD_TEXT_MAX 6144

/* Fields of a record, in text that lives in scratch. Returns how many. */
size_t record_of_tenant(const struct tenant_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                        char scratch[static RECORD_TEXT_MAX]);
/* vault: wraps the secrets; NULL: they are written as they are. 0: it failed. */
size_t record_of_device(const struct device_record *record, const struct record_vault *vault,
                        struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX]);
size_t record_of_token(const struct token_record *record, const struct record_vault *vault,
                       struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX]);
size_t record_of_group(const struct group_record *record, const struct record_vault *vault,
                       struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX]);
size_t record_of_rule(const struct rule_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                      char scratch[static RECORD_TEXT_MAX]);
size_t record_of_stream(const struct stream_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                        char scratch[static RECORD_TEXT_MAX]);
size_t record_of_profile(const struct profile_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                         char scratch[static RECORD_TEXT_MAX]);
/* The definition is not copied. */
size_t record_of_codec(const struct codec_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                       char scratch[static RECORD_TEXT_MAX]);

/* A record from its fields; unknown fields are ignored. False: a field is missing or not valid. */
bool record_to_tenant(struct bytes id, const struct record_field *fields, size_t count, struct tenant_record *ret);
/* Fields psk, x509, rpk and frame_key of an older weir are credentials of these ids. A secret that the vault cannot
 * open is left out, and the record is good without it. */
bool record_to_device(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                      const struct record_vault *vault, struct record_room *room, struct device_record *ret);
/* Those fields, of which an older weir had one each: X(NAME, KIND). */
#define RECORD_OLD_FIELDS(X)                                                                                           \
    X(psk, CREDENTIAL_PSK) X(x509, CREDENTIAL_X509) X(rpk, CREDENTIAL_RPK) X(frame_key, CREDENTIAL_FRAME)
/* Whether a field of this name holds a credential; ret_id is what stands for its id then, valid or not. */
bool record_is_credential_field(struct bytes name, struct bytes *ret_id);
/* What one field of a device's record says of a credential, whatever the others are: id, kind, and what is shown of it
 * (public, name), which is empty if it is damaged. Not its times, nor its secret. False: it is none. */
bool record_peek_credential(const struct record_field *field, char name[static CREDENTIAL_NAME_MAX + 1],
                            struct credential *ret);
bool record_to_token(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     const struct record_vault *vault, struct token_record *ret);
bool record_to_group(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     const struct record_vault *vault, struct group_record *ret);
bool record_to_rule(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                    struct rule_record *ret);
bool record_to_stream(struct bytes tenant, struct bytes name, const struct record_field *fields, size_t count,
                      struct stream_record *ret);
bool record_to_profile(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                       struct profile_record *ret);
/* ret->definition borrows from the fields. Whether it compiles is not looked at. */
bool record_to_codec(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     struct codec_record *ret);
/* Takes the next of codec_record.witnesses off the front; false: there is none. */
bool record_next_witness(struct bytes *witnesses, struct bytes *ret);

/* What one field may hold, for those who take it from a person: text without control characters; words between
 * commas without spaces; "*" or the characters of a SenML name; 16 lower-case hexadecimal digits. */
bool record_text_is_valid(struct bytes text);
bool record_tags_are_valid(struct bytes tags);
bool record_sites_are_valid(struct bytes sites); /* the same, with spaces */
bool record_prefix_is_valid(struct bytes prefix);
bool record_token_id_is_valid(struct bytes id);
/* Characters of SenML names and *; letters of t a e c, none twice; "*" or words between commas, or empty. */
bool record_pattern_is_valid(struct bytes pattern);
bool record_class_is_valid(struct bytes class);
bool record_groups_are_valid(struct bytes groups);
/* Local names between commas, each once, some with =MODULUS, a number above 0. */
bool record_cumulative_is_valid(struct bytes cumulative);
/* 16 to 64 of A-Z a-z 0-9 _ -. */
bool record_apikey_is_valid(struct bytes apikey);
/* "trust", "correct", "replace", "refuse". */
const char *record_clock_name(enum clock_policy clock);
bool record_clock_of_name(struct bytes name, enum clock_policy *ret);
/* "name=value,name=value" into the rule. False: not that, too many, a name twice or one of the fixed fields. */
bool record_parse_rule_tags(struct bytes text, struct rule_record *ret);
/* The same back; a terminated text. Returns its length. */
#define RECORD_RULE_TAGS_TEXT_MAX (RECORD_RULE_TAGS_MAX * (RECORD_TAG_NAME_MAX + RECORD_TAG_VALUE_MAX + 2) + 1)
size_t record_rule_tags_text(const struct rule_record *record, char ret[static RECORD_RULE_TAGS_TEXT_MAX]);
