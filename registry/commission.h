// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What devices need that have no credential of their own yet: batches, whose secret is printed on boxes and opens
 * POST /enroll, and the authorities of tenants that sign certificates. Records, their form in Redis, and the tables in
 * which the registry holds them. Part of registry for its tables; the records are everybody's.
 */
#pragma once

#include "codec/hash.h"
#include "registry/record.h"
#include "registry/table.h"

#define BATCH_SECRET_MIN 16
#define BATCH_CLAIM_MIN 6 /* characters of a claim code */
#define BATCHES_MAX 256   /* of one tenant */
#define BATCH_MARK '+'    /* before the batch in a PSK identity and in identity.device, as no device's id begins */

enum batch_approval {
    BATCH_AUTO,   /* whoever has the secret may have a device */
    BATCH_LIST,   /* whose serial number was approved beforehand; the others wait for an operator */
    BATCH_MANUAL, /* an operator decides about each */
    BATCH_APPROVALS,
};
/* "auto", "list", "manual". */
const char *batch_approval_name(enum batch_approval approval);
bool batch_approval_of_name(struct bytes name, enum batch_approval *ret);

struct batch_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_GROUP_MAX + 1];
    bool disabled;
    /* The secret is each device's own, derived from its serial number; the common one opens nothing. */
    bool per_device;
    enum batch_approval approval;
    char pattern[RECORD_PATTERN_MAX + 1]; /* of device ids: one *, for the serial number */
    char site[RECORD_SITE_MAX + 1];       /* what its devices get */
    char tags[RECORD_TAGS_MAX + 1];
    char profile[SCHEMA_PROFILE_MAX + 1];
    uint64_t max_devices; /* 0: no limit */
    int64_t created_s;
    int64_t expires_s;    /* 0: never */
    struct secret secret; /* 16 to 64 octets */
    struct secret claim;  /* a code that the request must have; not set: none */
};

bool batch_is_open_at(const struct batch_record *batch, int64_t now_s);
/* The id of the device with this serial number. False: it would be none. */
bool batch_device_id(const struct batch_record *batch, struct bytes serial, char ret[static SCHEMA_DEVICE_MAX + 1]);
/* Characters of device ids, one *. */
bool batch_pattern_is_valid(struct bytes pattern);
/* 1 to RECORD_SERIAL_MAX of A-Z a-z 0-9 : . _ -, the first a letter or digit: what can be part of a device's id. */
bool batch_serial_is_valid(struct bytes serial);

#define CA_CERTIFICATE_MAX 640

struct ca_record {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_GROUP_MAX + 1];
    bool retired; /* signs no more; what it signed is good until it ends */
    uint8_t spki[CREDENTIAL_DIGEST_BYTES]; /* SHA-256 of its SubjectPublicKeyInfo */
    uint16_t certificate_len;
    uint8_t certificate[CA_CERTIFICATE_MAX]; /* DER, self-signed */
    struct secret key;                       /* P-256, 32 octets; not set: it cannot be opened here */
    int64_t created_s, not_after_s;
};

size_t record_of_batch(const struct batch_record *record, const struct record_vault *vault,
                       struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX]);
bool record_to_batch(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     const struct record_vault *vault, struct batch_record *ret);
size_t record_of_ca(const struct ca_record *record, const struct record_vault *vault,
                    struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX]);
bool record_to_ca(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                  const struct record_vault *vault, struct ca_record *ret);

/* The tables: as registry.h says of its own. hash: keyed, of tenant and id. */
struct commission {
    struct table batches, cas;
    size_t batch_count, ca_count; /* written by the writer, read by any */
};

bool commission_init(struct commission *commission);
/* No reader may be left, and no grace period under way. */
void commission_deinit(struct commission *commission);
const struct batch_record *commission_batch(const struct commission *commission, uint64_t hash, struct bytes tenant,
                                            struct bytes id);
const struct ca_record *commission_ca(const struct commission *commission, uint64_t hash, struct bytes tenant,
                                      struct bytes id);
/* Calls seen for each authority, of any tenant. */
void commission_walk_cas(const struct commission *commission, void (*seen)(void *ctx, const struct ca_record *ca),
                         void *ctx);
/* tells: the next sweep tells that it is another one than before. False: out of memory. */
bool commission_put_batch(struct commission *commission, uint64_t hash, const struct batch_record *record,
                          uint32_t generation, bool tells);
bool commission_put_ca(struct commission *commission, uint64_t hash, const struct ca_record *record,
                       uint32_t generation);
void commission_remove_batch(struct commission *commission, uint64_t hash, struct bytes tenant, struct bytes id);
void commission_remove_ca(struct commission *commission, uint64_t hash, struct bytes tenant, struct bytes id);
typedef uint64_t commission_hash_fn(const void *ctx, struct bytes tenant, struct bytes id);
void commission_remove_tenant(struct commission *commission, struct bytes tenant, commission_hash_fn *hash,
                              const void *ctx);
/* Takes out those that were put in an older generation; gone is told of batches, as device BATCH_MARK and their id. */
typedef void commission_gone_fn(void *ctx, struct bytes tenant, struct bytes device);
void commission_sweep(struct commission *commission, uint32_t generation, commission_hash_fn *hash,
                      const void *hash_ctx, commission_gone_fn *gone, void *ctx);
