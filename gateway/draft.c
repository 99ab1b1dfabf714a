// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One table of members for each kind of record. The map's members are looked up in the table, not the other way round,
 * so that one that is not in it is seen.
 */
#include "gateway/draft.h"

#include "codec/base64url.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "codec/jwk.h"
#include "gateway/delivery.h"

#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define SECONDS_MAX 253402300799u /* the end of year 9999 */
#define MADE_PSK_RANDOM 24        /* as `weir device add`: 32 characters, because many clients take text only */
#define MADE_SECRET_BYTES 32
#define GROUP_KEY_MIN 32

static bool wrong(struct draft_error *reterr, struct bytes member, const char *detail)
{
    size_t len = member.len < DRAFT_POINTER_MAX - 2 ? member.len : DRAFT_POINTER_MAX - 2;
    reterr->pointer[0] = '/';
    if (len)
        memcpy(reterr->pointer + 1, member.ptr, len);
    reterr->pointer[len ? len + 1 : 0] = '\0';
    reterr->detail = detail;
    return false;
}

/* Puts "/keys/3" before what stands in the pointer. */
static bool wrong_within(struct draft_error *reterr, const char *where, size_t index)
{
    char text[2 * DRAFT_POINTER_MAX];
    snprintf(text, sizeof text, "/%.20s/%u%s", where, (unsigned)(index % 1000), reterr->pointer);
    text[DRAFT_POINTER_MAX - 1] = '\0';
    memcpy(reterr->pointer, text, DRAFT_POINTER_MAX);
    return false;
}

/* What a member may hold. */

enum form { FORM_TEXT, FORM_FLAG, FORM_SECONDS, FORM_OTHER };

struct member {
    const char *name;
    enum form form;
    size_t offset, max;
    bool (*is_valid)(struct bytes text);
    const char *demand;
};

static bool take_text(const struct member *member, const struct node *value, void *record, struct draft_error *reterr)
{
    char *to = (char *)record + member->offset;
    struct bytes name = bytes_of_text(member->name);
    if (value->kind == NODE_NULL) {
        to[0] = '\0';
        return true;
    }
    if (value->kind != NODE_TEXT || value->data.len > member->max ||
        (value->data.len && !member->is_valid(value->data)))
        return wrong(reterr, name, member->demand);
    if (value->data.len)
        memcpy(to, value->data.ptr, value->data.len);
    to[value->data.len] = '\0';
    return true;
}

static bool take_flag(const struct member *member, const struct node *value, void *record, struct draft_error *reterr)
{
    if (value->kind != NODE_BOOLEAN && value->kind != NODE_NULL)
        return wrong(reterr, bytes_of_text(member->name), "It is true or false.");
    *(bool *)((char *)record + member->offset) = value->kind == NODE_BOOLEAN && value->boolean;
    return true;
}

static bool take_seconds(const struct member *member, const struct node *value, void *record,
                         struct draft_error *reterr)
{
    uint64_t seconds = 0;
    if (value->kind != NODE_NULL && !node_uint(value, SECONDS_MAX, &seconds))
        return wrong(reterr, bytes_of_text(member->name), "It is a time in whole Unix seconds.");
    *(int64_t *)((char *)record + member->offset) = (int64_t)seconds;
    return true;
}

static bool take_plain(const struct member *member, const struct node *value, void *record, struct draft_error *reterr)
{
    switch (member->form) {
    case FORM_TEXT:
        return take_text(member, value, record, reterr);
    case FORM_FLAG:
        return take_flag(member, value, record, reterr);
    case FORM_SECONDS:
        return take_seconds(member, value, record, reterr);
    case FORM_OTHER:
        break;
    }
    return true;
}

/* Walks the members of the map; others gets those of FORM_OTHER. given: places in the table that were there. */
typedef bool other_fn(void *ctx, const struct member *member, const struct node *key, struct draft_error *reterr);

static bool read_members(const struct node *map, const struct member *table, size_t count, void *record,
                         other_fn *others, void *ctx, unsigned *ret_given, struct draft_error *reterr)
{
    if (map->kind != NODE_MAP)
        return wrong(reterr, (struct bytes){0}, "It is a JSON object.");
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        size_t at = 0;
        while (at < count && !bytes_equal_text(key->data, table[at].name))
            at++;
        if (at == count)
            return wrong(reterr, key->data, "There is no such member.");
        if (!(table[at].form == FORM_OTHER ? others(ctx, &table[at], key, reterr)
                                           : take_plain(&table[at], key + 1, record, reterr)))
            return false;
        *ret_given |= 1u << at;
    }
    return true;
}

static bool is_given(const struct member *table, unsigned given, const char *name)
{
    size_t at = 0;
    while (strcmp(table[at].name, name) != 0)
        at++;
    return given & 1u << at;
}

/* Keys. */

void draft_wipe_key(struct draft_key *key)
{
    credential_wipe(&key->credential);
    crypto_sign_wipe(&key->signer);
}

/* Whose it is, and where its material was found. */
struct key_reading {
    const struct draft_rules *rules;
    struct bytes tenant, device;
    struct draft_key *key;
    const struct node *id, *kind, *hex, *sealed, *jwk, *name;
    bool generates;
};

static const struct member key_members[] = {
    {"id", FORM_OTHER, 0, 0, NULL, NULL},
    {"kind", FORM_OTHER, 0, 0, NULL, NULL},
    {"hex", FORM_OTHER, 0, 0, NULL, NULL},
    {"sealed", FORM_OTHER, 0, 0, NULL, NULL},
    {"jwk", FORM_OTHER, 0, 0, NULL, NULL},
    {"name", FORM_OTHER, 0, 0, NULL, NULL},
    {"generate", FORM_OTHER, 0, 0, NULL, NULL},
    {"created", FORM_SECONDS, offsetof(struct credential, created_s), 0, NULL, NULL},
    {"not_before", FORM_SECONDS, offsetof(struct credential, not_before_s), 0, NULL, NULL},
    {"not_after", FORM_SECONDS, offsetof(struct credential, not_after_s), 0, NULL, NULL},
};

static bool note_key_member(void *ctx, const struct member *member, const struct node *key, struct draft_error *reterr)
{
    struct key_reading *reading = ctx;
    const struct {
        const char *name;
        const struct node **to;
    } places[] = {{"id", &reading->id},         {"kind", &reading->kind}, {"hex", &reading->hex},
                  {"sealed", &reading->sealed}, {"jwk", &reading->jwk},   {"name", &reading->name}};
    const struct node *value = key + 1;
    if (strcmp(member->name, "generate") == 0) {
        if (value->kind != NODE_BOOLEAN)
            return wrong(reterr, key->data, "It is true or false.");
        reading->generates = value->boolean;
        return true;
    }
    bool is_jwk = strcmp(member->name, "jwk") == 0;
    if (value->kind != (is_jwk ? NODE_MAP : NODE_TEXT))
        return wrong(reterr, key->data, is_jwk ? "It is a JWK, an object." : "It is a text.");
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (strcmp(member->name, places[i].name) == 0)
            *places[i].to = is_jwk ? key : value;
    return true;
}

static bool take_identity(struct key_reading *reading, struct draft_error *reterr)
{
    struct credential *credential = &reading->key->credential;
    uint8_t random[4];
    if (!reading->kind || !credential_kind_of_name(reading->kind->data, &credential->kind))
        return wrong(reterr, BYTES_LITERAL("kind"),
                     "It is psk, x509, ca, rpk, frame, es256, eddsa, hs256, hs256-64 or hmac.");
    if (reading->id && !credential_id_is_valid(reading->id->data))
        return wrong(reterr, BYTES_LITERAL("id"), "It is 1 to 32 of A-Z a-z 0-9 . _ -, a letter or digit first.");
    if (reading->id) {
        memcpy(credential->id, reading->id->data.ptr, reading->id->data.len);
        return true;
    }
    if (!reading->rules->random)
        return wrong(reterr, BYTES_LITERAL("id"), "It is missing.");
    reading->rules->random(random, sizeof random);
    snprintf(credential->id, sizeof credential->id, "%s-%02x%02x%02x%02x", credential_kind_name(credential->kind),
             random[0], random[1], random[2], random[3]);
    return true;
}

static bool take_name(struct key_reading *reading, struct draft_error *reterr)
{
    struct draft_key *key = reading->key;
    bool wants = key->credential.kind == CREDENTIAL_X509 || key->credential.kind == CREDENTIAL_CA;
    if (wants != (reading->name != NULL))
        return wrong(reterr, BYTES_LITERAL("name"), "It is for the kinds x509 and ca, which need it.");
    if (!wants)
        return true;
    struct bytes name = reading->name->data;
    if (name.len == 0 || name.len > CREDENTIAL_NAME_MAX || !record_text_is_valid(name))
        return wrong(reterr, BYTES_LITERAL("name"), "It is a text of 1 to 128 octets without control characters.");
    memcpy(key->name, name.ptr, name.len);
    key->name[name.len] = '\0';
    key->credential.name = key->name;
    return true;
}

static void set_octets(struct credential *credential, const uint8_t *octets, size_t len)
{
    if (credential_is_secret(credential->kind)) {
        secret_set(&credential->secret, bytes_of(octets, len));
    } else {
        memcpy(credential->public, octets, len);
        credential->public_len = (uint8_t)len;
    }
}

static bool take_hex(struct key_reading *reading, struct draft_error *reterr)
{
    struct secret octets = {0};
    if (!secret_set_hex(&octets, reading->hex->data))
        return wrong(reterr, BYTES_LITERAL("hex"), "It is 2 to 128 hexadecimal digits, an even number.");
    set_octets(&reading->key->credential, octets.octets, octets.len);
    secret_wipe(&octets);
    return true;
}

static bool take_jwk(struct key_reading *reading, struct draft_error *reterr)
{
    struct jwk jwk = {0};
    struct refusal refusal = {0};
    enum signed_algorithm algorithm;
    struct credential *credential = &reading->key->credential;
    if (!jwk_read(json_value_text(reading->rules->payload, reading->jwk), reading->rules->arena, &jwk, &refusal))
        return wrong(reterr, BYTES_LITERAL("jwk"), refusal.detail);
    bool fits = credential_algorithm(credential->kind, &algorithm) && algorithm == jwk.algorithm;
    bool is_private = jwk.is_private;
    if (fits)
        set_octets(credential, jwk.octets, jwk.len);
    jwk_wipe(&jwk);
    if (is_private)
        return wrong(reterr, BYTES_LITERAL("jwk"), "It has a private key, which stays with the device.");
    return fits || wrong(reterr, BYTES_LITERAL("jwk"), "It is a key of another kind.");
}

/* Opened as the record that it came from would be. */
static bool take_sealed(struct key_reading *reading, struct draft_error *reterr)
{
    char name[8 + CREDENTIAL_ID_MAX], text[RECORD_SEALED_MAX + 64];
    struct record_room room;
    struct device_record record;
    struct credential *credential = &reading->key->credential;
    struct bytes sealed = reading->sealed->data;
    if (!reading->rules->vault || sealed.len > RECORD_SEALED_MAX ||
        !bytes_starts_with(sealed, BYTES_LITERAL(RECORD_SEALED_PREFIX)))
        return wrong(reterr, BYTES_LITERAL("sealed"), "It is no wrapped secret that may be given here.");
    snprintf(name, sizeof name, SCHEMA_DEVICE_KEY_PREFIX "%s", credential->id);
    int len = snprintf(text, sizeof text, "%s 0 0 0 %.*s", credential_kind_name(credential->kind), (int)sealed.len,
                       (const char *)sealed.ptr);
    const struct record_field fields[] = {
        {BYTES_LITERAL("created"), BYTES_LITERAL("0")},
        {bytes_of_text(name), bytes_of(text, (size_t)len)},
    };
    bool opened = record_to_device(reading->tenant, reading->device, fields, COUNT_OF(fields), reading->rules->vault,
                                   &room, &record) &&
                  record.credential_count == 1;
    if (opened)
        credential->secret = record.credentials[0].secret;
    record_wipe_room(&room);
    return opened || wrong(reterr, BYTES_LITERAL("sealed"),
                           "It was wrapped for another device, or by another key-encryption key.");
}

static bool generate(struct key_reading *reading, struct draft_error *reterr)
{
    struct draft_key *key = reading->key;
    enum credential_kind kind = key->credential.kind;
    enum signed_algorithm algorithm;
    uint8_t random[MADE_SECRET_BYTES];
    char text[MADE_SECRET_BYTES];
    bool made = reading->rules->random && kind != CREDENTIAL_FRAME;
    if (made && kind == CREDENTIAL_PSK) {
        reading->rules->random(random, MADE_PSK_RANDOM);
        base64url_encode(bytes_of(random, MADE_PSK_RANDOM), text);
        set_octets(&key->credential, (const uint8_t *)text, sizeof text);
    } else if (made && credential_is_secret(kind)) {
        reading->rules->random(random, sizeof random);
        set_octets(&key->credential, random, sizeof random);
    } else {
        made = made && credential_algorithm(kind, &algorithm) && crypto_sign_generate(algorithm, &key->signer);
        if (made)
            set_octets(&key->credential, key->signer.public, key->signer.public_len);
    }
    explicit_bzero(random, sizeof random);
    explicit_bzero(text, sizeof text);
    key->made = made;
    return made || wrong(reterr, BYTES_LITERAL("generate"), "A key of this kind cannot be made here.");
}

static bool take_material(struct key_reading *reading, struct draft_error *reterr)
{
    bool needs = reading->key->credential.kind != CREDENTIAL_X509;
    int ways = (reading->hex != NULL) + (reading->sealed != NULL) + (reading->jwk != NULL) + reading->generates;
    if (ways != (needs ? 1 : 0))
        return wrong(reterr, BYTES_LITERAL("hex"),
                     needs ? "One of hex, jwk, sealed and generate is needed." : "A key of kind x509 has a name only.");
    if (reading->hex)
        return take_hex(reading, reterr);
    if (reading->jwk)
        return take_jwk(reading, reterr);
    if (reading->sealed)
        return take_sealed(reading, reterr);
    return !needs || generate(reading, reterr);
}

static bool check_times(const struct credential *key, struct draft_error *reterr)
{
    return key->not_after_s == 0 || key->not_after_s > key->not_before_s ||
           wrong(reterr, BYTES_LITERAL("not_after"), "It must be later than not_before.");
}

static bool check_key(const struct credential *credential, struct draft_error *reterr)
{
    enum signed_algorithm algorithm;
    bool sound = credential_is_acceptable(credential);
    if (sound && !credential_is_secret(credential->kind) && credential_algorithm(credential->kind, &algorithm))
        sound = crypto_sign_public_is_valid(algorithm, bytes_of(credential->public, credential->public_len));
    return sound ||
           wrong(reterr, BYTES_LITERAL("hex"),
                 "It is no key of this kind: wrong length, no point of the curve, or nothing but zeros.");
}

static bool check_end(const struct draft_rules *rules, const struct credential *key, struct draft_error *reterr)
{
    return rules->takes_ended || key->not_after_s == 0 || key->not_after_s > rules->now_s ||
           wrong(reterr, BYTES_LITERAL("not_after"), "It is over already.");
}

bool draft_read_key(const struct node *map, const struct draft_rules *rules, struct bytes tenant, struct bytes device,
                    struct draft_key *ret, struct draft_error *reterr)
{
    struct key_reading reading = {.rules = rules, .tenant = tenant, .device = device, .key = ret};
    unsigned given = 0;
    *ret = (struct draft_key){.credential.created_s = rules->now_s};
    bool ok = read_members(map, key_members, COUNT_OF(key_members), &ret->credential, note_key_member, &reading, &given,
                           reterr) &&
              take_identity(&reading, reterr) && take_name(&reading, reterr) && take_material(&reading, reterr) &&
              check_key(&ret->credential, reterr) && check_times(&ret->credential, reterr) &&
              check_end(rules, &ret->credential, reterr);
    if (!rules->restores_times)
        ret->credential.created_s = rules->now_s;
    if (!ok)
        draft_wipe_key(ret);
    return ok;
}

bool draft_change_key(const struct node *map, struct credential *key, struct draft_error *reterr)
{
    static const struct member members[] = {
        {"not_before", FORM_SECONDS, offsetof(struct credential, not_before_s), 0, NULL, NULL},
        {"not_after", FORM_SECONDS, offsetof(struct credential, not_after_s), 0, NULL, NULL},
    };
    unsigned given = 0;
    return read_members(map, members, COUNT_OF(members), key, NULL, NULL, &given, reterr) && check_times(key, reterr);
}

/* Devices. */

#define DEVICE_TEXT(member, max, is_valid, demand)                                                                     \
    {#member, FORM_TEXT, offsetof(struct device_record, member), max, is_valid, demand}
#define TEXT_DEMAND "It is a text of few octets without control characters."

static const struct member device_members[] = {
    {"disabled", FORM_FLAG, offsetof(struct device_record, disabled), 0, NULL, NULL},
    {"concentrator", FORM_FLAG, offsetof(struct device_record, concentrator), 0, NULL, NULL},
    {"role", FORM_OTHER, 0, 0, NULL, NULL},
    DEVICE_TEXT(prefix, SCHEMA_DEVICE_MAX, record_prefix_is_valid, "It is * or the beginning of a name."),
    DEVICE_TEXT(site, RECORD_SITE_MAX, record_text_is_valid, TEXT_DEMAND),
    DEVICE_TEXT(tags, RECORD_TAGS_MAX, record_tags_are_valid, "It is words between commas, at most 128 octets."),
    DEVICE_TEXT(group, SCHEMA_GROUP_MAX, schema_group_is_valid, "It is the id of a group."),
    DEVICE_TEXT(serial, RECORD_SERIAL_MAX, record_text_is_valid, TEXT_DEMAND),
    DEVICE_TEXT(model, RECORD_SERIAL_MAX, record_text_is_valid, TEXT_DEMAND),
    DEVICE_TEXT(profile, SCHEMA_PROFILE_MAX, schema_profile_is_valid, "It is the name of a profile, codec or format."),
    {"id", FORM_OTHER, 0, 0, NULL, NULL},
    {"keys", FORM_OTHER, 0, 0, NULL, NULL},
    {"created", FORM_SECONDS, offsetof(struct device_record, created_s), 0, NULL, NULL},
};
#define DEVICE_SETTABLE 10 /* the first ones, which are fields of these names */

struct device_reading {
    struct draft_device *draft;
    const struct node *keys;
};

static bool take_device_member(void *ctx, const struct member *member, const struct node *key,
                               struct draft_error *reterr)
{
    struct device_reading *reading = ctx;
    struct device_record *record = &reading->draft->record;
    const struct node *value = key + 1;
    if (strcmp(member->name, "keys") == 0) {
        reading->keys = value;
        return value->kind == NODE_ARRAY || wrong(reterr, key->data, "It is a list of keys.");
    }
    if (strcmp(member->name, "role") == 0) {
        record->role = ROLE_DEVICE;
        return value->kind == NODE_NULL ||
               (value->kind == NODE_TEXT && role_of_name(value->data, &record->role) &&
                record->role != ROLE_BOOTSTRAP) ||
               wrong(reterr, key->data, "It is device, viewer, operator or admin.");
    }
    if (value->kind != NODE_TEXT || !schema_device_is_valid(value->data))
        return wrong(reterr, key->data, "It is 1 to 64 of A-Z a-z 0-9 : . _ -, a letter or digit first.");
    if (record->id[0])
        return bytes_equal_text(value->data, record->id) ||
               wrong(reterr, key->data, "It is another one than in the path.");
    memcpy(record->id, value->data.ptr, value->data.len);
    record->id[value->data.len] = '\0';
    return true;
}

static bool has_credential(const struct draft_device *draft, const char *id)
{
    for (size_t i = 0; i < draft->record.credential_count; i++)
        if (strcmp(draft->room.credentials[i].id, id) == 0)
            return true;
    return false;
}

static bool add_key(struct draft_device *draft, const struct draft_key *key, struct draft_error *reterr)
{
    uint8_t at = draft->record.credential_count;
    if (has_credential(draft, key->credential.id))
        return wrong(reterr, BYTES_LITERAL("id"), "Another key of the device has this id.");
    draft->room.credentials[at] = key->credential;
    if (key->credential.name) {
        memcpy(draft->room.names[at], key->name, sizeof key->name);
        draft->room.credentials[at].name = draft->room.names[at];
    }
    draft->record.credential_count++;
    return true;
}

static bool read_keys(const struct node *list, const struct draft_rules *rules, struct draft_device *draft,
                      struct draft_error *reterr)
{
    struct device_record *record = &draft->record;
    struct draft_rules without_random = *rules;
    without_random.random = NULL; /* a made secret could not be told */
    record->credential_count = 0;
    record->credentials = draft->room.credentials;
    draft->has_keys = true;
    if (list->count > CREDENTIALS_MAX)
        return wrong(reterr, BYTES_LITERAL("keys"), "A device has at most 8 keys.");
    const struct node *item = list->count ? node_first(list) : NULL;
    for (uint32_t i = 0; i < list->count; i++, item = node_next(item)) {
        struct draft_key key;
        bool ok = draft_read_key(item, &without_random, bytes_of_text(record->tenant), bytes_of_text(record->id), &key,
                                 reterr) &&
                  add_key(draft, &key, reterr);
        draft_wipe_key(&key);
        if (!ok)
            return wrong_within(reterr, "keys", i);
    }
    return record_secrets_are_distinct(record) || wrong(reterr, BYTES_LITERAL("keys"), "Two of them have one secret.");
}

void draft_begin_device(struct draft_device *draft, struct bytes tenant)
{
    draft->record = (struct device_record){.credentials = draft->room.credentials};
    draft->given = 0;
    draft->has_keys = draft->has_created = false;
    memcpy(draft->record.tenant, tenant.ptr, tenant.len);
}

bool draft_read_device(const struct node *map, const struct draft_rules *rules, bool takes_keys,
                       struct draft_device *draft, struct draft_error *reterr)
{
    struct device_reading reading = {.draft = draft};
    if (!read_members(map, device_members, COUNT_OF(device_members), &draft->record, take_device_member, &reading,
                      &draft->given, reterr))
        return false;
    draft->has_created = is_given(device_members, draft->given, "created");
    if (!draft->record.id[0])
        return wrong(reterr, BYTES_LITERAL("id"), "It is missing.");
    if (reading.keys && !takes_keys)
        return wrong(reterr, BYTES_LITERAL("keys"), "Keys are changed at /devices/ID/keys.");
    return !reading.keys || read_keys(reading.keys, rules, draft, reterr);
}

size_t draft_device_fields(struct draft_device *draft, bool whole,
                           struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX])
{
    struct record_field all[RECORD_FIELDS_MAX];
    size_t given = 0;
    draft->bare = draft->record;
    draft->bare.credential_count = 0;
    size_t count = record_of_device(&draft->bare, NULL, all, scratch);
    for (size_t i = 0; i < DEVICE_SETTABLE; i++) {
        if (!whole && !(draft->given & 1u << i))
            continue;
        ret[given] = (struct record_field){bytes_of_text(device_members[i].name), bytes_of(NULL, 0)};
        for (size_t j = 0; j < count; j++)
            if (bytes_equal_text(all[j].name, device_members[i].name))
                ret[given].value = all[j].value;
        given++;
    }
    return given;
}

/* Groups, tenants, tokens. */

#define GROUP_TEXT(member, max, is_valid, demand)                                                                      \
    {#member, FORM_TEXT, offsetof(struct group_record, member), max, is_valid, demand}

struct group_reading {
    const struct draft_rules *rules;
    struct group_record *record;
    bool makes;
};

static bool take_group_member(void *ctx, const struct member *member, const struct node *key,
                              struct draft_error *reterr)
{
    struct group_reading *reading = ctx;
    const struct node *value = key + 1;
    if (strcmp(member->name, "generate") == 0) {
        reading->makes = value->kind == NODE_BOOLEAN && value->boolean;
        return value->kind == NODE_BOOLEAN || wrong(reterr, key->data, "It is true or false.");
    }
    if (strcmp(member->name, "id") == 0) {
        if (value->kind != NODE_TEXT || !schema_group_is_valid(value->data))
            return wrong(reterr, key->data, "It is 1 to 32 of a-z 0-9 -, a letter or digit first.");
        if (reading->record->id[0])
            return bytes_equal_text(value->data, reading->record->id) ||
                   wrong(reterr, key->data, "It is another one than in the path.");
        memcpy(reading->record->id, value->data.ptr, value->data.len);
        return true;
    }
    return (value->kind == NODE_TEXT && secret_set_hex(&reading->record->key, value->data) &&
            reading->record->key.len >= GROUP_KEY_MIN) ||
           wrong(reterr, key->data, "It is 64 to 128 hexadecimal digits.");
}

bool draft_read_group(const struct node *map, const struct draft_rules *rules, struct group_record *ret, bool *ret_made,
                      struct draft_error *reterr)
{
    static const struct member members[] = {
        {"disabled", FORM_FLAG, offsetof(struct group_record, disabled), 0, NULL, NULL},
        GROUP_TEXT(pattern, RECORD_PATTERN_MAX, record_pattern_is_valid,
                   "It is which device ids: meter-*, at most 64 octets."),
        GROUP_TEXT(site, RECORD_SITE_MAX, record_text_is_valid, TEXT_DEMAND),
        GROUP_TEXT(tags, RECORD_TAGS_MAX, record_tags_are_valid, "It is words between commas, at most 128 octets."),
        GROUP_TEXT(profile, SCHEMA_PROFILE_MAX, schema_profile_is_valid,
                   "It is the name of a profile, codec or format."),
        {"id", FORM_OTHER, 0, 0, NULL, NULL},
        {"hex", FORM_OTHER, 0, 0, NULL, NULL},
        {"generate", FORM_OTHER, 0, 0, NULL, NULL},
    };
    struct group_reading reading = {.rules = rules, .record = ret};
    unsigned given = 0;
    uint8_t random[GROUP_KEY_MIN];
    if (!read_members(map, members, COUNT_OF(members), ret, take_group_member, &reading, &given, reterr))
        return false;
    if (!ret->id[0])
        return wrong(reterr, BYTES_LITERAL("id"), "It is missing.");
    if (!ret->pattern[0])
        return wrong(reterr, BYTES_LITERAL("pattern"), "It is missing.");
    *ret_made = reading.makes || !secret_is_set(&ret->key);
    if (*ret_made) {
        rules->random(random, sizeof random);
        secret_set(&ret->key, bytes_of(random, sizeof random));
        explicit_bzero(random, sizeof random);
    }
    return true;
}

static bool take_level(void *ctx, const struct member *member, const struct node *key, struct draft_error *reterr)
{
    struct tenant_record *record = ctx;
    enum delivery_level level;
    (void)member;
    if (key[1].kind != NODE_TEXT || !delivery_level_parse(key[1].data, &level))
        return wrong(reterr, key->data, "It is spooled, stored or replicated.");
    record->level = (uint8_t)level;
    return true;
}

bool draft_read_tenant(const struct node *map, struct tenant_record *ret, struct draft_error *reterr)
{
    static const struct member members[] = {
        {"disabled", FORM_FLAG, offsetof(struct tenant_record, disabled), 0, NULL, NULL},
        {"level", FORM_OTHER, 0, 0, NULL, NULL},
    };
    unsigned given = 0;
    return read_members(map, members, COUNT_OF(members), ret, take_level, ret, &given, reterr);
}

struct token_reading {
    struct token_record *record;
    bool apikey, has_role;
};

static bool take_token_member(void *ctx, const struct member *member, const struct node *key,
                              struct draft_error *reterr)
{
    struct token_reading *reading = ctx;
    const struct node *value = key + 1;
    if (strcmp(member->name, "apikey") == 0) {
        reading->apikey = value->kind == NODE_BOOLEAN && value->boolean;
        return value->kind == NODE_BOOLEAN || wrong(reterr, key->data, "It is true or false.");
    }
    reading->has_role = value->kind == NODE_TEXT && role_of_name(value->data, &reading->record->role) &&
                        reading->record->role != ROLE_BOOTSTRAP;
    return reading->has_role || wrong(reterr, key->data, "It is device, viewer, operator or admin.");
}

static bool check_token(const struct token_reading *reading, int64_t now_s, struct draft_error *reterr)
{
    const struct token_record *record = reading->record;
    bool is_device = record->role == ROLE_DEVICE;
    if (!reading->has_role)
        return wrong(reterr, BYTES_LITERAL("role"), "It is missing.");
    if (is_device != (record->device[0] != '\0'))
        return wrong(reterr, BYTES_LITERAL("device"), "It is for the role device, which needs it.");
    if (is_device && record->sites[0])
        return wrong(reterr, BYTES_LITERAL("sites"), "It is for people.");
    if (reading->apikey && !is_device)
        return wrong(reterr, BYTES_LITERAL("apikey"), "It is for the role device.");
    return record->expires_s == 0 || record->expires_s > now_s ||
           wrong(reterr, BYTES_LITERAL("expires"), "It is over already.");
}

bool draft_read_token(const struct node *map, int64_t now_s, struct token_record *ret, bool *ret_apikey,
                      struct draft_error *reterr)
{
    static const struct member members[] = {
        {"device", FORM_TEXT, offsetof(struct token_record, device), SCHEMA_DEVICE_MAX, schema_device_is_valid,
         "It is the id of a device."},
        {"sites", FORM_TEXT, offsetof(struct token_record, sites), RECORD_SITES_MAX, record_sites_are_valid,
         "It is sites between commas, at most 256 octets."},
        {"label", FORM_TEXT, offsetof(struct token_record, label), RECORD_SITE_MAX, record_text_is_valid, TEXT_DEMAND},
        {"expires", FORM_SECONDS, offsetof(struct token_record, expires_s), 0, NULL, NULL},
        {"role", FORM_OTHER, 0, 0, NULL, NULL},
        {"apikey", FORM_OTHER, 0, 0, NULL, NULL},
    };
    struct token_reading reading = {.record = ret};
    unsigned given = 0;
    if (!read_members(map, members, COUNT_OF(members), ret, take_token_member, &reading, &given, reterr) ||
        !check_token(&reading, now_s, reterr))
        return false;
    *ret_apikey = reading.apikey;
    return true;
}

/* Writing. */

static void put_text(struct report *report, const char *name, const char *text)
{
    report_name(report, name);
    report_text(report, text);
}

static void put_int(struct report *report, const char *name, int64_t number)
{
    report_name(report, name);
    report_int(report, number);
}

static void put_bool(struct report *report, const char *name, bool truth)
{
    report_name(report, name);
    report_bool(report, truth);
}

static void put_hex(struct report *report, const uint8_t *octets, size_t len)
{
    char text[2 * SECRET_MAX];
    report_name(report, "hex");
    report_string(report, bytes_of(text, hex_write(bytes_of(octets, len), text)));
    explicit_bzero(text, sizeof text);
}

/* jwk, sealed: empty if they are not to be there; reveals: the secret. */
static void put_key(struct report *report, const struct credential *key, bool reveals, struct bytes jwk,
                    struct bytes sealed)
{
    bool secret = credential_is_secret(key->kind);
    size_t len = secret ? (reveals ? key->secret.len : 0) : key->public_len;
    report_map(report, 5 + (len > 0) + (jwk.len > 0) + (key->name != NULL) + (sealed.len > 0) + key->offered);
    put_text(report, "id", key->id);
    if (len)
        put_hex(report, secret ? key->secret.octets : key->public, len);
    if (jwk.len) {
        report_name(report, "jwk");
        report_string(report, jwk);
    }
    put_text(report, "kind", credential_kind_name(key->kind));
    if (key->name)
        put_text(report, "name", key->name);
    if (sealed.len) {
        report_name(report, "sealed");
        report_string(report, sealed);
    }
    put_int(report, "created", key->created_s);
    if (key->offered)
        put_bool(report, "offered", true);
    put_int(report, "not_after", key->not_after_s);
    put_int(report, "not_before", key->not_before_s);
    report_map_end(report);
}

void draft_write_key(struct report *report, const struct credential *credential)
{
    put_key(report, credential, false, (struct bytes){0}, (struct bytes){0});
}

void draft_write_made_key(struct report *report, const struct draft_key *key, struct bytes jwk)
{
    put_key(report, &key->credential, key->made, jwk, (struct bytes){0});
}

/* The last word of its field. */
static struct bytes sealed_of(const struct credential *key, const struct record_field *fields, size_t count)
{
    struct bytes prefix = BYTES_LITERAL(SCHEMA_DEVICE_KEY_PREFIX);
    for (size_t i = 0; i < count && credential_is_secret(key->kind); i++) {
        struct bytes name = fields[i].name, value = fields[i].value;
        if (!bytes_starts_with(name, prefix) ||
            !bytes_equal_text(bytes_of(name.ptr + prefix.len, name.len - prefix.len), key->id))
            continue;
        const uint8_t *blank = memrchr(value.ptr, ' ', value.len);
        return bytes_of(blank + 1, (size_t)(value.ptr + value.len - blank - 1));
    }
    return (struct bytes){0};
}

static bool put_keys(struct report *report, const struct device_record *record, enum draft_keys keys,
                     const struct record_vault *vault)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    size_t count = 0;
    if (keys == DRAFT_SEALED_KEYS && record->credential_count) {
        count = vault ? record_of_device(record, vault, fields, scratch) : 0;
        if (count == 0)
            return false;
    }
    size_t written = 0;
    for (size_t i = 0; i < record->credential_count; i++)
        written += !record->credentials[i].offered;
    report_name(report, "keys");
    report_array(report, written);
    for (size_t i = 0; i < record->credential_count; i++)
        if (!record->credentials[i].offered) /* which is no key of the device yet */
            put_key(report, &record->credentials[i], false, (struct bytes){0},
                    sealed_of(&record->credentials[i], fields, count));
    report_array_end(report);
    return true;
}

bool draft_write_device(struct report *report, const struct device_record *record, enum draft_keys keys,
                        const struct record_vault *vault)
{
    const struct {
        const char *name, *text;
    } texts[] = {{"site", record->site},     {"tags", record->tags},     {"group", record->group},
                 {"model", record->model},   {"prefix", record->prefix}, {"serial", record->serial},
                 {"profile", record->profile}};
    size_t count = 4 + (keys != DRAFT_NO_KEYS) + (record->role != ROLE_DEVICE);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        count += texts[i].text[0] != '\0';
    report_map(report, count);
    put_text(report, "id", record->id);
    bool ok = keys == DRAFT_NO_KEYS || put_keys(report, record, keys, vault);
    if (record->role != ROLE_DEVICE)
        put_text(report, "role", role_name(record->role));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (strcmp(texts[i].name, "profile") == 0)
            put_int(report, "created", record->created_s);
        if (texts[i].text[0])
            put_text(report, texts[i].name, texts[i].text);
    }
    put_bool(report, "disabled", record->disabled);
    put_bool(report, "concentrator", record->concentrator);
    report_map_end(report);
    return ok;
}

void draft_write_group(struct report *report, const struct group_record *record, bool with_key)
{
    report_map(report, 7 + with_key);
    put_text(report, "id", record->id);
    if (with_key)
        put_hex(report, record->key.octets, record->key.len);
    put_text(report, "site", record->site);
    put_text(report, "tags", record->tags);
    put_int(report, "created", record->created_s);
    put_text(report, "pattern", record->pattern);
    put_text(report, "profile", record->profile);
    put_bool(report, "disabled", record->disabled);
    report_map_end(report);
}

void draft_write_tenant(struct report *report, const struct tenant_record *record)
{
    report_map(report, 4);
    put_text(report, "id", record->id);
    put_text(report, "level", delivery_level_name((enum delivery_level)record->level));
    put_int(report, "created", record->created_s);
    put_bool(report, "disabled", record->disabled);
    report_map_end(report);
}

void draft_write_token(struct report *report, const struct token_record *record, const char *text)
{
    report_map(report, 8 + (text != NULL));
    put_text(report, "id", record->id);
    put_text(report, "role", role_name(record->role));
    put_text(report, "label", record->label);
    put_text(report, "sites", record->sites);
    if (text)
        put_text(report, "token", text);
    put_text(report, "device", record->device);
    put_int(report, "created", record->created_s);
    put_int(report, "expires", record->expires_s);
    put_bool(report, "revoked", record->revoked);
    report_map_end(report);
}
