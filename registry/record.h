// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records of the registry as plain data, and their form in Redis (hash fields). Pure.
 *
 * A device is (tenant, id). prefix says which names it may write (docs/streams.md): names without ':' and '/' are its
 * own by nature; any other name must be the prefix or begin with the prefix and one of : / . _ -.
 */
#pragma once

#include "registry/schema.h"
#include "registry/secret.h"

#define RECORD_SITE_MAX 64
#define RECORD_TAGS_MAX 128
#define RECORD_X509_MAX 128
#define RECORD_DIGEST_BYTES 32

struct tenant_record {
    char id[SCHEMA_TENANT_MAX + 1];
    bool disabled;
    int64_t created_s;
};

struct device_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_DEVICE_MAX + 1];
    bool disabled;
    bool concentrator; /* may write for other devices of its tenant */
    char prefix[SCHEMA_DEVICE_MAX + 1]; /* empty: the id itself; "*": any name */
    char site[RECORD_SITE_MAX + 1];     /* building or house; empty: none */
    char tags[RECORD_TAGS_MAX + 1];     /* comma-separated words */
    struct secret psk;                  /* not set: no PSK */
    char x509[RECORD_X509_MAX + 1];     /* certificate name: SubjectAltName URI or DNS, else CN; empty: none */
    bool has_rpk;
    uint8_t rpk[RECORD_DIGEST_BYTES]; /* SHA-256 of SubjectPublicKeyInfo (RFC 7252 9.1.3.2) */
    int64_t created_s;
};

enum token_role {
    TOKEN_DEVICE,   /* speaks as one device */
    TOKEN_OPERATOR, /* reads and writes its tenant */
};

struct token_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[17]; /* 16 hexadecimal digits; the public half of the token */
    enum token_role role;
    char device[SCHEMA_DEVICE_MAX + 1]; /* TOKEN_DEVICE */
    uint8_t salt[16];
    uint8_t digest[RECORD_DIGEST_BYTES]; /* SHA-256(salt, token secret) */
    int64_t created_s;
    int64_t expires_s; /* 0: never */
    bool revoked;
};

/* One field of a Redis hash. */
struct record_field {
    struct bytes name, value;
};

#define RECORD_FIELDS_MAX 16
#define RECORD_TEXT_MAX 1024

/* Fields of a record, in text that lives in scratch. Returns how many. */
size_t record_of_tenant(const struct tenant_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                        char scratch[static RECORD_TEXT_MAX]);
size_t record_of_device(const struct device_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                        char scratch[static RECORD_TEXT_MAX]);
size_t record_of_token(const struct token_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                       char scratch[static RECORD_TEXT_MAX]);

/* A record from its fields; unknown fields are ignored. False: a field is missing or not valid. */
bool record_to_tenant(struct bytes id, const struct record_field *fields, size_t count, struct tenant_record *ret);
bool record_to_device(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                      struct device_record *ret);
bool record_to_token(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     struct token_record *ret);

/* What one field may hold, for those who take it from a person: text without control characters; words between
 * commas without spaces; "*" or the characters of a SenML name; 16 lower-case hexadecimal digits. */
bool record_text_is_valid(struct bytes text);
bool record_tags_are_valid(struct bytes tags);
bool record_prefix_is_valid(struct bytes prefix);
bool record_token_id_is_valid(struct bytes id);
