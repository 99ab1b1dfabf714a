// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Redis can be written by other hands than ours, so a record is taken only if every field is what we would have
 * written ourselves; else the caller treats the thing as not there (fail closed). Fields we do not know belong to a
 * newer weir and are passed over. Where a field is absent, its empty value is meant; tokens must have all but flags.
 */
#include "registry/record.h"

#include "codec/hex.h"
#include "codec/utf8.h"
#include "registry/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUPS_NONE "-" /* in Redis: nobody is asked */
#define OFFERED_MARK "?" /* behind the kind of a credential */
#define GROUP_KEY_MIN 32

/* What a vault knows the secrets by that are no credentials. */
#define LABEL_APIKEY "apikey"
#define LABEL_GROUP_KEY "key"

/* The words of gateway/delivery, by its numbers; a test there compares them. */
static const char *const levels[RECORD_LEVELS] = {"spooled", "stored", "replicated"};

static const char *const roles[ROLES] = {"device", "bootstrap", "viewer", "operator", "admin"};

static const char *const clocks[CLOCK_POLICIES] = {"trust", "correct", "replace", "refuse"};

/* Roles and credentials. */

const char *role_name(enum role role)
{
    return roles[role];
}

bool role_of_name(struct bytes name, enum role *ret)
{
    for (unsigned i = 0; i < ROLES; i++)
        if (bytes_equal_text(name, roles[i])) {
            *ret = (enum role)i;
            return true;
        }
    return false;
}

void record_wipe_room(struct record_room *room)
{
    explicit_bzero(room, sizeof *room);
}

const struct credential *record_credential(const struct device_record *device, enum credential_kind kind, int64_t now_s,
                                           const struct credential *after)
{
    const struct credential *end = device->credentials + device->credential_count;
    for (const struct credential *one = after ? after + 1 : device->credentials; one < end; one++)
        if (one->kind == kind && credential_is_good_at(one, now_s))
            return one;
    return NULL;
}

const struct credential *record_credential_of_id(const struct device_record *device, struct bytes id)
{
    for (size_t i = 0; i < device->credential_count; i++)
        if (bytes_equal_text(id, device->credentials[i].id))
            return &device->credentials[i];
    return NULL;
}

bool record_secrets_are_distinct(const struct device_record *device)
{
    for (size_t i = 0; i < device->credential_count; i++)
        for (size_t k = 0; k < i; k++) {
            const struct credential *a = &device->credentials[i], *b = &device->credentials[k];
            if (credential_is_secret(a->kind) && credential_is_secret(b->kind) && secret_equal(&a->secret, &b->secret))
                return false;
        }
    return true;
}

/* Writing: columns of puts. */

static struct bytes label_of(const struct credential *credential, char ret[static 2 * CREDENTIAL_ID_MAX])
{
    int len = snprintf(ret, 2 * CREDENTIAL_ID_MAX, "%s %s", credential->id, credential_kind_name(credential->kind));
    return bytes_of(ret, (size_t)len);
}

/* False: a secret could not be wrapped. */
static bool add_material(struct fields_writer *w, const struct fields_owner *owner,
                         const struct credential *credential)
{
    char label[2 * CREDENTIAL_ID_MAX];
    if (credential_is_secret(credential->kind))
        return fields_add_secret(w, owner, label_of(credential, label), &credential->secret).len > 0;
    fields_add_hex(w, credential->public, credential->public_len);
    if (credential->public_len && credential->name)
        fields_add(w, BYTES_LITERAL(" "));
    fields_add(w, credential_name(credential));
    return true;
}

/* One field: key:ID, "KIND CREATED NOT_BEFORE NOT_AFTER MATERIAL". */
static bool put_credential(struct fields_writer *w, const struct fields_owner *owner,
                           const struct credential *credential)
{
    char text[128];
    int len = snprintf(text, sizeof text, SCHEMA_DEVICE_KEY_PREFIX "%s", credential->id);
    struct bytes name = fields_add(w, bytes_of(text, (size_t)len));
    size_t start = w->used;
    len = snprintf(text, sizeof text, "%s%s %" PRId64 " %" PRId64 " %" PRId64 " ",
                   credential_kind_name(credential->kind), credential->offered ? OFFERED_MARK : "",
                   credential->created_s, credential->not_before_s, credential->not_after_s);
    fields_add(w, bytes_of(text, (size_t)len));
    if (!add_material(w, owner, credential))
        return false;
    w->fields[w->count++] = (struct record_field){name, bytes_of(w->text + start, w->used - start)};
    return true;
}

#define CREDENTIAL_TEXT_MAX                                                                                            \
    (4 + CREDENTIAL_ID_MAX + 10 + 3 * 22 + 2 * CREDENTIAL_PUBLIC_MAX + 1 + CREDENTIAL_NAME_MAX + RECORD_SEALED_MAX)
_Static_assert(RECORD_TEXT_MAX >= CREDENTIALS_MAX * CREDENTIAL_TEXT_MAX + 24, "all credentials and a number");
_Static_assert(RECORD_FIELDS_MAX >= 11 + CREDENTIALS_MAX, "all of them");
_Static_assert(2 * SECRET_MAX <= RECORD_SEALED_MAX, "hexadecimal is no longer than what is wrapped");
_Static_assert(RECORD_APIKEY_MAX <= SECRET_MAX && RECORD_FRAME_KEY_MAX <= SECRET_MAX, "they are kept as secrets");

size_t record_of_tenant(const struct tenant_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                        char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    fields_put_flag(&w, "disabled", record->disabled);
    fields_put_text(&w, "level", levels[record->level]);
    fields_put_number(&w, "created", record->created_s);
    return w.count;
}

size_t record_of_device(const struct device_record *record, const struct record_vault *vault,
                        struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    struct fields_owner owner = {vault, bytes_of_text(record->tenant), bytes_of_text(record->id)};
    if (record->credential_count > CREDENTIALS_MAX || !record_secrets_are_distinct(record))
        return 0;
    fields_put_flag(&w, "disabled", record->disabled);
    fields_put_flag(&w, "concentrator", record->concentrator);
    fields_put_text(&w, "role", record->role == ROLE_DEVICE ? "" : role_name(record->role));
    fields_put_text(&w, "prefix", record->prefix);
    fields_put_text(&w, "site", record->site);
    fields_put_text(&w, "tags", record->tags);
    fields_put_text(&w, "group", record->group);
    fields_put_text(&w, "serial", record->serial);
    fields_put_text(&w, "model", record->model);
    fields_put_text(&w, "profile", record->profile);
    fields_put_number(&w, "created", record->created_s);
    for (size_t i = 0; i < record->credential_count; i++)
        if (!put_credential(&w, &owner, &record->credentials[i]))
            return 0;
    return w.count;
}

size_t record_of_token(const struct token_record *record, const struct record_vault *vault,
                       struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    struct fields_owner owner = {vault, bytes_of_text(record->tenant), bytes_of_text(record->id)};
    struct bytes apikey = bytes_of(record->apikey.octets, record->apikey.len);
    fields_put_text(&w, "role", role_name(record->role));
    fields_put_text(&w, "device", record->device);
    fields_put_text(&w, "sites", record->sites);
    fields_put_text(&w, "label", record->label);
    if (apikey.len) {
        if (vault)
            apikey = fields_add_secret(&w, &owner, BYTES_LITERAL(LABEL_APIKEY), &record->apikey);
        if (apikey.len == 0)
            return 0;
        fields_put(&w, "apikey", apikey);
    } else {
        fields_put_hex(&w, "salt", record->salt, sizeof record->salt);
        fields_put_hex(&w, "digest", record->digest, sizeof record->digest);
    }
    fields_put_number(&w, "created", record->created_s);
    fields_put_number(&w, "expires", record->expires_s);
    fields_put_flag(&w, "revoked", record->revoked);
    return w.count;
}

size_t record_of_group(const struct group_record *record, const struct record_vault *vault,
                       struct record_field ret[static RECORD_FIELDS_MAX], char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    struct fields_owner owner = {vault, bytes_of_text(record->tenant), bytes_of_text(record->id)};
    fields_put_flag(&w, "disabled", record->disabled);
    fields_put_text(&w, "pattern", record->pattern);
    if (!fields_put_secret(&w, &owner, "key", LABEL_GROUP_KEY, &record->key))
        return 0;
    fields_put_text(&w, "site", record->site);
    fields_put_text(&w, "tags", record->tags);
    fields_put_text(&w, "profile", record->profile);
    fields_put_number(&w, "created", record->created_s);
    return w.count;
}

size_t record_rule_tags_text(const struct rule_record *record, char ret[static RECORD_RULE_TAGS_TEXT_MAX])
{
    size_t used = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < record->tag_count; i++)
        used += (size_t)snprintf(ret + used, RECORD_RULE_TAGS_TEXT_MAX - used, "%s%s=%s", i ? "," : "",
                                 record->tags[i].name, record->tags[i].value);
    return used;
}

_Static_assert(RECORD_TEXT_MAX >= RECORD_RULE_TAGS_TEXT_MAX + 2 * 24, "tags and numbers of a rule");

size_t record_of_rule(const struct rule_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                      char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    size_t tags_len = record_rule_tags_text(record, scratch);
    w.used = RECORD_RULE_TAGS_TEXT_MAX;
    fields_put_number(&w, "order", record->order);
    fields_put_text(&w, "device", record->device);
    fields_put_text(&w, "site", record->site);
    fields_put_text(&w, "name", record->name);
    fields_put_text(&w, "class", record->class);
    fields_put_text(&w, "stream", record->stream);
    fields_put(&w, "tags", bytes_of(scratch, tags_len));
    fields_put_number(&w, "created", record->created_s);
    return w.count;
}

size_t record_of_stream(const struct stream_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                        char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    fields_put_number(&w, "max_age_s", (int64_t)record->max_age_s);
    fields_put_number(&w, "max_entries", (int64_t)record->max_entries);
    fields_put_text(&w, "groups", record->groups[0] ? record->groups : GROUPS_NONE);
    fields_put_number(&w, "created", record->created_s);
    return w.count;
}

size_t record_of_profile(const struct profile_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                         char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    fields_put_text(&w, "format", record->format);
    fields_put_text(&w, "clock", record_clock_name(record->clock));
    fields_put_number(&w, "clock_window_s", record->clock_window_s);
    fields_put_text(&w, "cumulative", record->cumulative);
    fields_put_number(&w, "created", record->created_s);
    return w.count;
}

size_t record_of_codec(const struct codec_record *record, struct record_field ret[static RECORD_FIELDS_MAX],
                       char scratch[static RECORD_TEXT_MAX])
{
    struct fields_writer w = {.fields = ret, .text = scratch};
    fields_put(&w, "definition", record->definition);
    fields_put_flag(&w, "quarantined", record->quarantined);
    fields_put_text(&w, "reason", record->reason);
    fields_put_text(&w, "witnesses", record->witnesses);
    fields_put_number(&w, "created", record->created_s);
    return w.count;
}

/* Reading: each read_ returns whether the field is valid or absent; if it must be there, whether it is. */

static void copy_text(char *ret, struct bytes value)
{
    if (value.len > 0)
        memcpy(ret, value.ptr, value.len);
    ret[value.len] = '\0';
}

static bool read_exactly(const struct fields_reader *r, const char *name, size_t len, uint8_t *ret)
{
    size_t found;
    return fields_read_hex(r, name, len, ret, &found) && found == len;
}

bool record_text_is_valid(struct bytes text)
{
    if (!utf8_is_valid(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        /* C1 controls are C2 80 to C2 9F. */
        bool c1 = c == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || c1)
            return false;
    }
    return true;
}

bool record_tags_are_valid(struct bytes tags)
{
    bool word_is_empty = true;
    for (size_t i = 0; i < tags.len; i++) {
        bool comma = tags.ptr[i] == ',';
        if ((comma && word_is_empty) || tags.ptr[i] == ' ')
            return false;
        word_is_empty = comma;
    }
    return (tags.len == 0 || !word_is_empty) && record_text_is_valid(tags);
}

bool record_sites_are_valid(struct bytes sites)
{
    bool word_is_empty = true;
    for (size_t i = 0; i < sites.len; i++) {
        if (sites.ptr[i] == ',' && word_is_empty)
            return false;
        word_is_empty = sites.ptr[i] == ',';
    }
    return (sites.len == 0 || !word_is_empty) && record_text_is_valid(sites);
}

bool record_prefix_is_valid(struct bytes prefix)
{
    if (bytes_equal_text(prefix, "*"))
        return true;
    if (prefix.len == 0 || prefix.len > SCHEMA_DEVICE_MAX)
        return false;
    /* SenML's characters (RFC 8428 4.5.1): those of a device id and the slash. */
    uint8_t without_slashes[SCHEMA_DEVICE_MAX];
    for (size_t i = 0; i < prefix.len; i++)
        without_slashes[i] = i > 0 && prefix.ptr[i] == '/' ? '-' : prefix.ptr[i];
    return schema_device_is_valid(bytes_of(without_slashes, prefix.len));
}

/* Absent: the first. */
static bool read_level(const struct fields_reader *r, uint8_t *ret)
{
    struct bytes value = fields_find(r, "level");
    *ret = 0;
    if (value.len == 0)
        return true;
    for (uint8_t i = 0; i < RECORD_LEVELS; i++)
        if (bytes_equal_text(value, levels[i])) {
            *ret = i;
            return true;
        }
    return false;
}

bool record_to_tenant(struct bytes id, const struct record_field *fields, size_t count, struct tenant_record *ret)
{
    struct fields_reader r = {fields, count};
    struct tenant_record record = {0};
    if (!schema_tenant_is_valid(id))
        return false;
    copy_text(record.id, id);
    if (!fields_read_flag(&r, "disabled", &record.disabled) || !read_level(&r, &record.level) ||
        !fields_read_number(&r, "created", &record.created_s))
        return false;
    *ret = record;
    return true;
}

/* Credentials. */

/* Where a record is read from, and what was found. */
struct reading {
    const struct fields_reader *r;
    struct fields_owner owner;
    struct record_room *room;
    uint8_t count;
};

/* The next word of a text, and the blank behind it. */
static struct bytes take_word(struct bytes *text)
{
    const uint8_t *blank = text->len ? memchr(text->ptr, ' ', text->len) : NULL;
    struct bytes word = bytes_of(text->ptr, blank ? (size_t)(blank - text->ptr) : text->len);
    size_t taken = word.len + (blank != NULL);
    *text = bytes_of(text->ptr + taken, text->len - taken);
    return word;
}

/* Digits, as many as there are. */
static bool read_public(struct bytes digits, struct credential *credential)
{
    size_t len;
    if (!hex_read(digits, credential->public, CREDENTIAL_PUBLIC_MAX, &len) || len == 0)
        return false;
    credential->public_len = (uint8_t)len;
    return true;
}

static bool read_name(struct bytes name, char ret[static CREDENTIAL_NAME_MAX + 1], struct credential *credential)
{
    if (name.len > CREDENTIAL_NAME_MAX || (name.len && memchr(name.ptr, '\0', name.len)))
        return false;
    copy_text(ret, name);
    credential->name = ret;
    return true;
}

/* Of a kind that is not secret. */
static bool read_shown(struct bytes material, char name[static CREDENTIAL_NAME_MAX + 1], struct credential *credential)
{
    bool ok = true;
    if (credential->kind != CREDENTIAL_X509)
        ok = read_public(credential->kind == CREDENTIAL_CA ? take_word(&material) : material, credential);
    if (ok && (credential->kind == CREDENTIAL_CA || credential->kind == CREDENTIAL_X509))
        ok = read_name(material, name, credential);
    return ok;
}

static enum fields_secret read_material(const struct reading *reading, struct bytes material,
                                        struct credential *credential)
{
    char label[2 * CREDENTIAL_ID_MAX];
    if (credential_is_secret(credential->kind))
        return fields_open_secret(&reading->owner, label_of(credential, label), material, &credential->secret);
    return read_shown(material, reading->room->names[reading->count], credential) ? FIELDS_SECRET_OPEN
                                                                                   : FIELDS_SECRET_BAD;
}

static bool read_kind(struct bytes word, struct credential *credential)
{
    credential->offered = word.len && word.ptr[word.len - 1] == OFFERED_MARK[0];
    return credential_kind_of_name(bytes_of(word.ptr, word.len - credential->offered), &credential->kind);
}

/* Enters what was found; false: there is no room, or it is not sound. */
static bool keep(struct reading *reading, enum fields_secret found, struct bytes id)
{
    struct credential *credential = &reading->room->credentials[reading->count];
    if (found == FIELDS_SECRET_CLOSED)
        return true;
    if (found == FIELDS_SECRET_BAD || !credential_is_sound(credential))
        return false;
    for (size_t i = 0; i < reading->count; i++)
        if (bytes_equal_text(id, reading->room->credentials[i].id))
            return true; /* of an older weir, and written anew since */
    reading->count++;
    return true;
}

/* A cleared credential of this id; NULL: too many, or no id. */
static struct credential *begin_credential(struct reading *reading, struct bytes id)
{
    if (reading->count == CREDENTIALS_MAX || !credential_id_is_valid(id))
        return NULL;
    struct credential *credential = &reading->room->credentials[reading->count];
    *credential = (struct credential){0};
    memcpy(credential->id, id.ptr, id.len);
    return credential;
}

static bool read_credential(struct reading *reading, struct bytes id, struct bytes text)
{
    struct credential *credential = begin_credential(reading, id);
    if (!credential || !read_kind(take_word(&text), credential) ||
        !fields_parse_number(take_word(&text), &credential->created_s) ||
        !fields_parse_number(take_word(&text), &credential->not_before_s) ||
        !fields_parse_number(take_word(&text), &credential->not_after_s))
        return false;
    return keep(reading, read_material(reading, text, credential), id);
}

/* Fields of an older weir; also the ids that their credentials have. */
#define OLD_FIELD(name, kind) {#name, kind},
static const struct {
    const char *name;
    enum credential_kind kind;
} old_fields[] = {RECORD_OLD_FIELDS(OLD_FIELD)};
#undef OLD_FIELD

/* Good at all times, and as old as the record. */
static bool read_old_field(struct reading *reading, size_t which, int64_t created_s)
{
    struct bytes id = bytes_of_text(old_fields[which].name), value = fields_find(reading->r, old_fields[which].name);
    if (value.len == 0)
        return true;
    struct credential *credential = begin_credential(reading, id);
    if (!credential)
        return false;
    credential->kind = old_fields[which].kind;
    credential->created_s = created_s;
    return keep(reading, read_material(reading, value, credential), id);
}

static bool old_kind(struct bytes name, enum credential_kind *ret)
{
    for (size_t i = 0; i < sizeof old_fields / sizeof old_fields[0]; i++)
        if (bytes_equal_text(name, old_fields[i].name)) {
            *ret = old_fields[i].kind;
            return true;
        }
    return false;
}

bool record_is_credential_field(struct bytes name, struct bytes *ret_id)
{
    struct bytes prefix = BYTES_LITERAL(SCHEMA_DEVICE_KEY_PREFIX);
    enum credential_kind ignored;
    bool is_new = bytes_starts_with(name, prefix);
    *ret_id = is_new ? bytes_of(name.ptr + prefix.len, name.len - prefix.len) : name;
    return is_new || old_kind(name, &ignored);
}

bool record_peek_credential(const struct record_field *field, char name[static CREDENTIAL_NAME_MAX + 1],
                            struct credential *ret)
{
    struct credential credential = {.name = NULL};
    struct bytes id, text = field->value;
    if (!record_is_credential_field(field->name, &id) || !credential_id_is_valid(id))
        return false;
    bool is_old = old_kind(field->name, &credential.kind);
    if (!is_old && !read_kind(take_word(&text), &credential))
        return false;
    memcpy(credential.id, id.ptr, id.len);
    for (unsigned times = is_old ? 3 : 0; times < 3; times++)
        take_word(&text);
    if (!credential_is_secret(credential.kind) && !read_shown(text, name, &credential)) {
        credential.public_len = 0;
        credential.name = NULL;
    }
    *ret = credential;
    return true;
}

static int compare_credentials(const void *a, const void *b)
{
    return strcmp(((const struct credential *)a)->id, ((const struct credential *)b)->id);
}

static bool read_credentials(struct reading *reading, struct device_record *record)
{
    struct bytes prefix = BYTES_LITERAL(SCHEMA_DEVICE_KEY_PREFIX);
    for (size_t i = 0; i < reading->r->count; i++) {
        const struct record_field *field = &reading->r->fields[i];
        if (bytes_starts_with(field->name, prefix) &&
            !read_credential(reading, bytes_of(field->name.ptr + prefix.len, field->name.len - prefix.len),
                             field->value))
            return false;
    }
    for (size_t i = 0; i < sizeof old_fields / sizeof old_fields[0]; i++)
        if (!read_old_field(reading, i, record->created_s))
            return false;
    struct credential *credentials = reading->room->credentials;
    if (reading->count > 1)
        qsort(credentials, reading->count, sizeof *credentials, compare_credentials);
    record->credentials = credentials;
    record->credential_count = reading->count;
    return record_secrets_are_distinct(record);
}

/* Absent: a device. */
static bool read_device_role(const struct fields_reader *r, enum role *ret)
{
    struct bytes value = fields_find(r, "role");
    *ret = ROLE_DEVICE;
    return value.len == 0 || (role_of_name(value, ret) && *ret != ROLE_BOOTSTRAP);
}

static bool read_device(const struct fields_reader *r, struct device_record *record)
{
    return fields_read_flag(r, "disabled", &record->disabled) &&
           fields_read_flag(r, "concentrator", &record->concentrator) &&
           read_device_role(r, &record->role) &&
           fields_read_text(r, "prefix", SCHEMA_DEVICE_MAX, record_prefix_is_valid, record->prefix) &&
           fields_read_text(r, "site", RECORD_SITE_MAX, record_text_is_valid, record->site) &&
           fields_read_text(r, "tags", RECORD_TAGS_MAX, record_tags_are_valid, record->tags) &&
           fields_read_text(r, "group", SCHEMA_GROUP_MAX, schema_group_is_valid, record->group) &&
           fields_read_text(r, "serial", RECORD_SERIAL_MAX, record_text_is_valid, record->serial) &&
           fields_read_text(r, "model", RECORD_SERIAL_MAX, record_text_is_valid, record->model) &&
           fields_read_text(r, "profile", SCHEMA_PROFILE_MAX, schema_profile_is_valid, record->profile) &&
           fields_read_number(r, "created", &record->created_s);
}

bool record_to_device(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                      const struct record_vault *vault, struct record_room *room, struct device_record *ret)
{
    struct fields_reader r = {fields, count};
    struct reading reading = {.r = &r, .owner = {vault, tenant, id}, .room = room};
    struct device_record record = {0};
    if (!schema_tenant_is_valid(tenant) || !schema_device_is_valid(id))
        return false;
    copy_text(record.tenant, tenant);
    copy_text(record.id, id);
    if (!read_device(&r, &record) || !read_credentials(&reading, &record)) {
        record_wipe_room(room);
        return false;
    }
    *ret = record;
    return true;
}

/* Groups. */

bool record_to_group(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     const struct record_vault *vault, struct group_record *ret)
{
    struct fields_reader r = {fields, count};
    struct fields_owner owner = {vault, tenant, id};
    struct group_record record = {0};
    struct bytes pattern = fields_find(&r, "pattern");
    if (!schema_tenant_is_valid(tenant) || !schema_group_is_valid(id) || pattern.len == 0 ||
        pattern.len > RECORD_PATTERN_MAX || !record_pattern_is_valid(pattern))
        return false;
    copy_text(record.tenant, tenant);
    copy_text(record.id, id);
    copy_text(record.pattern, pattern);
    enum fields_secret found =
        fields_open_secret(&owner, BYTES_LITERAL(LABEL_GROUP_KEY), fields_find(&r, "key"), &record.key);
    bool valid = (found == FIELDS_SECRET_CLOSED || (found == FIELDS_SECRET_OPEN && record.key.len >= GROUP_KEY_MIN)) &&
                 fields_read_flag(&r, "disabled", &record.disabled) &&
                 fields_read_text(&r, "site", RECORD_SITE_MAX, record_text_is_valid, record.site) &&
                 fields_read_text(&r, "tags", RECORD_TAGS_MAX, record_tags_are_valid, record.tags) &&
                 fields_read_text(&r, "profile", SCHEMA_PROFILE_MAX, schema_profile_is_valid, record.profile) &&
                 fields_read_number(&r, "created", &record.created_s);
    if (valid)
        *ret = record;
    secret_wipe(&record.key);
    return valid;
}

/* Tokens. */

bool record_token_id_is_valid(struct bytes id)
{
    if (id.len != sizeof((struct token_record *)0)->id - 1)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!(id.ptr[i] >= '0' && id.ptr[i] <= '9') && !(id.ptr[i] >= 'a' && id.ptr[i] <= 'f'))
            return false;
    return true;
}

/* A token of a device must name it, one of a person must not; only a person's is limited to sites. */
static bool read_role(const struct fields_reader *r, struct token_record *record)
{
    if (!role_of_name(fields_find(r, "role"), &record->role) ||
        !fields_read_text(r, "device", SCHEMA_DEVICE_MAX, schema_device_is_valid, record->device) ||
        !fields_read_text(r, "sites", RECORD_SITES_MAX, record_sites_are_valid, record->sites) ||
        !fields_read_text(r, "label", RECORD_SITE_MAX, record_text_is_valid, record->label))
        return false;
    bool is_person = record->role >= ROLE_VIEWER, names_device = record->device[0] != '\0';
    return (is_person || !record->sites[0]) && !(is_person && names_device) &&
           (record->role != ROLE_DEVICE || names_device);
}

bool record_apikey_is_valid(struct bytes apikey)
{
    if (apikey.len < RECORD_APIKEY_MIN || apikey.len > RECORD_APIKEY_MAX)
        return false;
    for (size_t i = 0; i < apikey.len; i++) {
        uint8_t c = apikey.ptr[i];
        bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter_or_digit && c != '_' && c != '-')
            return false;
    }
    return true;
}

/* An apikey that is wrapped and cannot be opened is left out: nothing is found by it, and the token can be revoked. */
static bool read_apikey(const struct fields_owner *owner, struct bytes text, struct secret *ret)
{
    if (!bytes_starts_with(text, BYTES_LITERAL(RECORD_SEALED_PREFIX)))
        return record_apikey_is_valid(text) && secret_set(ret, text);
    return fields_open_secret(owner, BYTES_LITERAL(LABEL_APIKEY), text, ret) == FIELDS_SECRET_CLOSED ||
           record_apikey_is_valid(bytes_of(ret->octets, ret->len));
}

/* Either the salted digest of a bearer token or the key of a legacy sender, which only a device has. */
static bool read_proof(const struct fields_reader *r, const struct fields_owner *owner, struct token_record *record)
{
    struct bytes apikey = fields_find(r, "apikey");
    if (apikey.len == 0)
        return read_exactly(r, "salt", sizeof record->salt, record->salt) &&
               read_exactly(r, "digest", sizeof record->digest, record->digest);
    return record->role == ROLE_DEVICE && fields_find(r, "salt").len == 0 && fields_find(r, "digest").len == 0 &&
           read_apikey(owner, apikey, &record->apikey);
}

bool record_to_token(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     const struct record_vault *vault, struct token_record *ret)
{
    struct fields_reader r = {fields, count};
    struct fields_owner owner = {vault, tenant, id};
    struct token_record record = {0};
    if (!schema_tenant_is_valid(tenant) || !record_token_id_is_valid(id))
        return false;
    copy_text(record.tenant, tenant);
    copy_text(record.id, id);
    bool valid = read_role(&r, &record) && read_proof(&r, &owner, &record) &&
                 fields_read_number(&r, "created", &record.created_s) &&
                 fields_read_number(&r, "expires", &record.expires_s) &&
                 fields_read_flag(&r, "revoked", &record.revoked);
    if (valid)
        *ret = record;
    secret_wipe(&record.apikey);
    return valid;
}

/* Rules and streams. */

bool record_pattern_is_valid(struct bytes pattern)
{
    if (pattern.len > RECORD_PATTERN_MAX)
        return false;
    for (size_t i = 0; i < pattern.len; i++) {
        uint8_t c = pattern.ptr[i];
        bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter_or_digit && (c == '\0' || !strchr("*:./_-", c)))
            return false;
    }
    return true;
}

bool record_class_is_valid(struct bytes class)
{
    for (size_t i = 0; i < class.len; i++) {
        uint8_t c = class.ptr[i];
        if (c == '\0' || !strchr("taec", c) || memchr(class.ptr, c, i))
            return false;
    }
    return true;
}

bool record_groups_are_valid(struct bytes groups)
{
    if (groups.len == 0 || bytes_equal_text(groups, RECORD_GROUPS_ALL))
        return true;
    /* "-" is how Redis has "nobody", so no group can be called that. */
    return groups.len <= RECORD_GROUPS_MAX && !bytes_equal_text(groups, GROUPS_NONE) && record_tags_are_valid(groups);
}

static bool tag_name_is_valid(struct bytes name)
{
#define NAME(name) #name,
    static const char *const fixed[] = {SCHEMA_OBS_FIELDS(NAME)};
#undef NAME
    if (name.len == 0 || name.len > RECORD_TAG_NAME_MAX || name.ptr[0] < 'a' || name.ptr[0] > 'z')
        return false;
    for (size_t i = 1; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (bytes_equal_text(name, fixed[i]))
            return false;
    return true;
}

static bool add_tag(struct bytes word, struct rule_record *record)
{
    const uint8_t *equals = word.len ? memchr(word.ptr, '=', word.len) : NULL;
    if (!equals || record->tag_count == RECORD_RULE_TAGS_MAX)
        return false;
    struct bytes name = bytes_of(word.ptr, (size_t)(equals - word.ptr));
    struct bytes value = bytes_of(equals + 1, word.len - name.len - 1);
    if (!tag_name_is_valid(name) || value.len > RECORD_TAG_VALUE_MAX || !record_text_is_valid(value))
        return false;
    for (size_t i = 0; i < record->tag_count; i++)
        if (bytes_equal_text(name, record->tags[i].name))
            return false;
    struct rule_tag *tag = &record->tags[record->tag_count++];
    copy_text(tag->name, name);
    copy_text(tag->value, value);
    return true;
}

bool record_parse_rule_tags(struct bytes text, struct rule_record *ret)
{
    ret->tag_count = 0;
    memset(ret->tags, 0, sizeof ret->tags);
    while (text.len > 0) {
        const uint8_t *comma = memchr(text.ptr, ',', text.len);
        struct bytes word = bytes_of(text.ptr, comma ? (size_t)(comma - text.ptr) : text.len);
        size_t taken = word.len + (comma != NULL);
        bool is_last = comma && taken == text.len; /* a comma with nothing behind it */
        if (is_last || !add_tag(word, ret))
            return false;
        text = bytes_of(text.ptr + taken, text.len - taken);
    }
    return true;
}

static bool read_uint32(const struct fields_reader *r, const char *name, uint32_t *ret)
{
    int64_t number;
    if (!fields_read_number(r, name, &number) || number > UINT32_MAX)
        return false;
    *ret = (uint32_t)number;
    return true;
}

bool record_to_rule(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                    struct rule_record *ret)
{
    struct fields_reader r = {fields, count};
    struct rule_record record = {0};
    if (!schema_tenant_is_valid(tenant) || !schema_rule_is_valid(id))
        return false;
    copy_text(record.tenant, tenant);
    copy_text(record.id, id);
    if (!read_uint32(&r, "order", &record.order) ||
        !fields_read_text(&r, "device", RECORD_PATTERN_MAX, record_pattern_is_valid, record.device) ||
        !fields_read_text(&r, "site", RECORD_SITE_MAX, record_text_is_valid, record.site) ||
        !fields_read_text(&r, "name", RECORD_PATTERN_MAX, record_pattern_is_valid, record.name) ||
        !fields_read_text(&r, "class", sizeof record.class - 1, record_class_is_valid, record.class) ||
        !fields_read_text(&r, "stream", SCHEMA_STREAM_MAX, schema_rule_stream_is_valid, record.stream) ||
        !record_parse_rule_tags(fields_find(&r, "tags"), &record) ||
        !fields_read_number(&r, "created", &record.created_s))
        return false;
    *ret = record;
    return true;
}

/* Absent: all groups, so that what was forgotten keeps data. */
static bool read_groups(const struct fields_reader *r, char ret[static RECORD_GROUPS_MAX + 1])
{
    struct bytes value = fields_find(r, "groups");
    if (value.len == 0)
        value = BYTES_LITERAL(RECORD_GROUPS_ALL);
    if (bytes_equal_text(value, GROUPS_NONE))
        value = bytes_of(NULL, 0);
    if (!record_groups_are_valid(value))
        return false;
    copy_text(ret, value);
    return true;
}

bool record_to_stream(struct bytes tenant, struct bytes name, const struct record_field *fields, size_t count,
                      struct stream_record *ret)
{
    struct fields_reader r = {fields, count};
    struct stream_record record = {0};
    int64_t age = 0, entries = 0;
    if (!schema_tenant_is_valid(tenant) || !schema_stream_is_valid(name))
        return false;
    copy_text(record.tenant, tenant);
    copy_text(record.name, name);
    if (!fields_read_number(&r, "max_age_s", &age) || !fields_read_number(&r, "max_entries", &entries) ||
        !read_groups(&r, record.groups) || !fields_read_number(&r, "created", &record.created_s))
        return false;
    record.max_age_s = (uint64_t)age;
    record.max_entries = (uint64_t)entries;
    *ret = record;
    return true;
}

/* Profiles and codecs. */

const char *record_clock_name(enum clock_policy clock)
{
    return clocks[clock];
}

bool record_clock_of_name(struct bytes name, enum clock_policy *ret)
{
    for (unsigned i = 0; i < CLOCK_POLICIES; i++)
        if (bytes_equal_text(name, clocks[i])) {
            *ret = (enum clock_policy)i;
            return true;
        }
    return false;
}

static bool local_name_is_valid(struct bytes name)
{
    return schema_device_is_valid(name) && !memchr(name.ptr, ':', name.len);
}

/* Digits, perhaps a point and more of them; above 0. */
static bool modulus_is_valid(struct bytes modulus)
{
    bool above_zero = false;
    size_t point = SIZE_MAX;
    for (size_t i = 0; i < modulus.len; i++) {
        uint8_t c = modulus.ptr[i];
        bool is_point = c == '.' && i > 0 && i + 1 < modulus.len && point == SIZE_MAX;
        if (!is_point && (c < '0' || c > '9'))
            return false;
        point = is_point ? i : point;
        above_zero |= !is_point && c != '0';
    }
    bool padded = modulus.len > 1 && modulus.ptr[0] == '0' && point != 1; /* no JSON number */
    return above_zero && !padded;
}

/* The next word and what is behind it; false: there is none. */
static bool next_word(struct bytes *text, struct bytes *ret)
{
    if (text->len == 0)
        return false;
    const uint8_t *comma = memchr(text->ptr, ',', text->len);
    *ret = bytes_of(text->ptr, comma ? (size_t)(comma - text->ptr) : text->len);
    size_t taken = ret->len + (comma != NULL);
    *text = bytes_of(text->ptr + taken, text->len - taken);
    return true;
}

static struct bytes name_of_counter(struct bytes word)
{
    const uint8_t *equals = word.len ? memchr(word.ptr, '=', word.len) : NULL;
    return equals ? bytes_of(word.ptr, (size_t)(equals - word.ptr)) : word;
}

bool record_cumulative_is_valid(struct bytes cumulative)
{
    struct bytes rest = cumulative, word, before;
    if (cumulative.len > RECORD_CUMULATIVE_MAX || (cumulative.len && cumulative.ptr[cumulative.len - 1] == ','))
        return false;
    while (next_word(&rest, &word)) {
        struct bytes name = name_of_counter(word);
        bool has_modulus = name.len < word.len;
        if (!local_name_is_valid(name) ||
            (has_modulus && !modulus_is_valid(bytes_of(word.ptr + name.len + 1, word.len - name.len - 1))))
            return false;
        for (struct bytes earlier = bytes_of(cumulative.ptr, (size_t)(word.ptr - cumulative.ptr));
             next_word(&earlier, &before);)
            if (bytes_equal(name_of_counter(before), name))
                return false;
    }
    return true;
}

/* Absent: as the device says. */
static bool read_clock(const struct fields_reader *r, enum clock_policy *ret)
{
    struct bytes value = fields_find(r, "clock");
    *ret = CLOCK_TRUST;
    return value.len == 0 || record_clock_of_name(value, ret);
}

bool record_to_profile(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                       struct profile_record *ret)
{
    struct fields_reader r = {fields, count};
    struct profile_record record = {0};
    if (!schema_tenant_is_valid(tenant) || !schema_profile_is_valid(id))
        return false;
    copy_text(record.tenant, tenant);
    copy_text(record.id, id);
    if (!fields_read_text(&r, "format", SCHEMA_PROFILE_MAX, schema_profile_is_valid, record.format) ||
        !read_clock(&r, &record.clock) || !read_uint32(&r, "clock_window_s", &record.clock_window_s) ||
        !fields_read_text(&r, "cumulative", RECORD_CUMULATIVE_MAX, record_cumulative_is_valid, record.cumulative) ||
        !fields_read_number(&r, "created", &record.created_s))
        return false;
    *ret = record;
    return true;
}

bool record_next_witness(struct bytes *witnesses, struct bytes *ret)
{
    if (witnesses->len == 0)
        return false;
    const uint8_t *comma = memchr(witnesses->ptr, ',', witnesses->len);
    size_t len = comma ? (size_t)(comma - witnesses->ptr) : witnesses->len;
    *ret = bytes_of(witnesses->ptr, len);
    *witnesses = comma ? bytes_of(comma + 1, witnesses->len - len - 1) : (struct bytes){0};
    return true;
}

bool record_to_codec(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count,
                     struct codec_record *ret)
{
    struct fields_reader r = {fields, count};
    struct codec_record record = {.definition = fields_find(&r, "definition")};
    if (!schema_tenant_is_valid(tenant) || !schema_profile_is_valid(id) || record.definition.len == 0 ||
        record.definition.len > RECORD_DEFINITION_MAX)
        return false;
    copy_text(record.tenant, tenant);
    copy_text(record.id, id);
    if (!fields_read_flag(&r, "quarantined", &record.quarantined) ||
        !fields_read_text(&r, "reason", RECORD_REASON_MAX, record_text_is_valid, record.reason) ||
        !fields_read_text(&r, "witnesses", RECORD_WITNESSES_MAX, record_text_is_valid, record.witnesses) ||
        !fields_read_number(&r, "created", &record.created_s))
        return false;
    *ret = record;
    return true;
}
