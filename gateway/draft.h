// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records of the registry as JSON: what people and their programs write in requests and import files, and
 * what they get to read. The members of a device are the fields of its record (registry/schema.h), its keys a
 * list behind them.
 *
 * Reading changes a record: a member that is there sets its field, null takes it away, one that is absent
 * leaves it as it is (RFC 7396). A member that nobody knows is refused, so that a slip of the pen is not
 * silently nothing. No effects; randomness comes in as an argument.
 */
#pragma once

#include "codec/node.h"
#include "gateway/crypto_sign.h"
#include "gateway/report.h"
#include "registry/record.h"

#define DRAFT_POINTER_MAX 48
#define DRAFT_LIMITS ((struct format_limits){.depth = 8, .items = 512, .records = 1})

/* What is wrong: a JSON pointer to the member (RFC 6901), and a static sentence. */
struct draft_error {
    char pointer[DRAFT_POINTER_MAX];
    const char *detail;
};

struct draft_rules {
    struct bytes payload; /* that the map was read from; jwk members are read from it */
    struct arena *arena;
    const struct record_vault *vault; /* opens "sealed"; NULL: that is refused */
    void (*random)(void *ret, size_t len); /* NULL: "generate" is refused */
    int64_t now_s;
    bool restores_times; /* when a key was made may be said; else it is made now */
    bool takes_ended;    /* keys whose not_after is over: of a list that was exported once */
};

/* A credential; the name of the record is in name. */
struct draft_key {
    struct credential credential;
    char name[CREDENTIAL_NAME_MAX + 1];
    bool made;                     /* its secret or private key is new: to be shown once */
    struct crypto_sign_key signer; /* es256, eddsa that were made */
};
void draft_wipe_key(struct draft_key *key);

struct draft_device {
    struct device_record record; /* its credentials borrow from room */
    struct device_record bare;   /* the same without them, for draft_device_fields */
    struct record_room room;
    unsigned given; /* 1 << its place in the table of members */
    bool has_keys, has_created;
};

/* Clears it for a device of the tenant. */
void draft_begin_device(struct draft_device *draft, struct bytes tenant);
/* False: reterr. The id of the record is set by the member, or before. Keys are taken only if takes_keys. */
bool draft_read_device(const struct node *map, const struct draft_rules *rules, bool takes_keys,
                       struct draft_device *draft, struct draft_error *reterr);
/* Fields of the members that were given, empty ones for those that go; whole: all that a text can set. Text
 * lives in the scratch and in the draft. */
size_t draft_device_fields(struct draft_device *draft, bool whole,
                           struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX]);
/* A new credential of the device. */
bool draft_read_key(const struct node *map, const struct draft_rules *rules, struct bytes tenant, struct bytes device,
                    struct draft_key *ret, struct draft_error *reterr);
/* not_before and not_after of one that is there. */
bool draft_change_key(const struct node *map, struct credential *key, struct draft_error *reterr);
/* tenant and id stand already. made: its key shall be or is a new one. */
bool draft_read_group(const struct node *map, const struct draft_rules *rules, struct group_record *ret, bool *ret_made,
                      struct draft_error *reterr);
bool draft_read_tenant(const struct node *map, struct tenant_record *ret, struct draft_error *reterr);
/* apikey: a key of a legacy sender is wanted instead of a bearer token. */
bool draft_read_token(const struct node *map, int64_t now_s, struct token_record *ret, bool *ret_apikey,
                      struct draft_error *reterr);

/* Which keys a device is written with: none; ids and what is public; with secrets as the vault wraps them. */
enum draft_keys { DRAFT_NO_KEYS, DRAFT_PUBLIC_KEYS, DRAFT_SEALED_KEYS };
/* One map. False: a secret could not be wrapped. */
bool draft_write_device(struct report *report, const struct device_record *record, enum draft_keys keys,
                        const struct record_vault *vault);
/* Without its secret. */
void draft_write_key(struct report *report, const struct credential *credential);
/* With it, and a private key as JWK in jwk (may be empty). For the one time that it is shown. */
void draft_write_made_key(struct report *report, const struct draft_key *key, struct bytes jwk);
void draft_write_group(struct report *report, const struct group_record *record, bool with_key);
void draft_write_tenant(struct report *report, const struct tenant_record *record);
/* text: of the token, the only time that it is told; NULL: not told. */
void draft_write_token(struct report *report, const struct token_record *record, const char *text);
