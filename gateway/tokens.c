// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by the HTTP wire once per request with an Authorization header, or with a key in its query. Looks only at the
 * registry in memory: a revoked token stops working as soon as gateway/follow has seen the change.
 */
#include "gateway/tokens.h"

#include "codec/base64url.h"
#include "codec/hex.h"
#include "gateway/crypto.h"

static const char token_prefix[] = "weir_";
#define PREFIX_LEN (sizeof token_prefix - 1)

static bool is_lower_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_base64url(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static bool all_are(struct bytes text, bool (*is)(uint8_t c))
{
    for (size_t i = 0; i < text.len; i++)
        if (!is(text.ptr[i]))
            return false;
    return true;
}

bool tokens_parse(struct bytes text, struct bytes *ret_id, struct bytes *ret_secret)
{
    if (text.len != TOKENS_TEXT_LEN || !bytes_starts_with(text, bytes_of(token_prefix, PREFIX_LEN)))
        return false;
    struct bytes id = bytes_of(text.ptr + PREFIX_LEN, TOKENS_ID_LEN);
    struct bytes secret = bytes_of(id.ptr + TOKENS_ID_LEN + 1, TOKENS_SECRET_LEN);
    if (id.ptr[TOKENS_ID_LEN] != '_' || !all_are(id, is_lower_hex) || !all_are(secret, is_base64url))
        return false;
    *ret_id = id;
    *ret_secret = secret;
    return true;
}

void tokens_make_apikey(const uint8_t random[static TOKENS_APIKEY_RANDOM_BYTES], struct token_record *record)
{
    char apikey[2 * (TOKENS_APIKEY_RANDOM_BYTES - TOKENS_ID_LEN / 2)];
    hex_write(bytes_of(random, TOKENS_ID_LEN / 2), record->id);
    record->id[TOKENS_ID_LEN] = '\0';
    hex_write(bytes_of(random + TOKENS_ID_LEN / 2, sizeof apikey / 2), apikey);
    secret_set(&record->apikey, bytes_of(apikey, sizeof apikey));
    explicit_bzero(apikey, sizeof apikey);
}

bool tokens_make(const uint8_t random[static TOKENS_RANDOM_BYTES], struct token_record *record,
                 char ret_text[static TOKENS_TEXT_LEN + 1])
{
    char id[TOKENS_ID_LEN + 1] = "", secret[TOKENS_SECRET_LEN];
    hex_write(bytes_of(random, TOKENS_ID_LEN / 2), id);
    const uint8_t *salt = random + 8;
    base64url_encode(bytes_of(random + 24, 32), secret);
    uint8_t digest[CRYPTO_SHA256_BYTES];
    bool made = crypto_sha256(bytes_of(salt, sizeof record->salt), bytes_of(secret, sizeof secret), digest);
    if (made) {
        memcpy(record->id, id, sizeof record->id);
        memcpy(record->salt, salt, sizeof record->salt);
        memcpy(record->digest, digest, sizeof record->digest);
        char *end = mempcpy(ret_text, token_prefix, PREFIX_LEN);
        end = mempcpy(end, id, TOKENS_ID_LEN);
        *end++ = '_';
        end = mempcpy(end, secret, sizeof secret);
        *end = '\0';
    }
    explicit_bzero(secret, sizeof secret);
    return made;
}

bool tokens_match(const struct token_record *record, struct bytes secret)
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!crypto_sha256(bytes_of(record->salt, sizeof record->salt), secret, digest))
        return false;
    return secret_bytes_equal(digest, record->digest, sizeof digest);
}

/* A token of a device that was removed does not come back to life with a new device of the same id. */
static bool device_had_it(const struct registry *registry, const struct token_record *record)
{
    struct bytes tenant = bytes_of_text(record->tenant), id = bytes_of_text(record->device);
    const struct device_record *device = registry_device(registry, tenant, id);
    return device && device->created_s <= record->created_s && registry_device_may_speak(registry, tenant, id);
}

static bool record_is_in_force(const struct registry *registry, const struct token_record *record, int64_t now_s)
{
    if (record->revoked || (record->expires_s != 0 && record->expires_s <= now_s))
        return false;
    if (record->role == ROLE_DEVICE)
        return device_had_it(registry, record);
    const struct tenant_record *tenant = registry_tenant(registry, bytes_of_text(record->tenant));
    return tenant && !tenant->disabled;
}

static struct identity identity_of(const struct token_record *record, enum evidence evidence)
{
    struct identity identity = {
        .kind = record->role == ROLE_DEVICE      ? IDENTITY_DEVICE
                : record->role == ROLE_BOOTSTRAP ? IDENTITY_BOOTSTRAP
                                                 : IDENTITY_OPERATOR,
        .evidence = evidence,
        .role = record->role,
    };
    memcpy(identity.tenant, record->tenant, sizeof identity.tenant);
    memcpy(identity.key, record->id, sizeof record->id);
    if (record->role != ROLE_BOOTSTRAP) {
        memcpy(identity.device, record->device, sizeof identity.device);
    } else {
        identity.device[0] = BATCH_MARK; /* gateway/bootstrap */
        memcpy(identity.device + 1, record->device, SCHEMA_GROUP_MAX + 1);
        identity.device[1 + SCHEMA_GROUP_MAX] = '\0';
    }
    return identity;
}

bool tokens_check_apikey(const struct registry *registry, struct bytes text, int64_t now_s, struct identity *ret)
{
    const struct token_record *record = registry_token_by_apikey(registry, text);
    if (!record || record->role != ROLE_DEVICE || !record_is_in_force(registry, record, now_s))
        return false;
    *ret = identity_of(record, EVIDENCE_APIKEY);
    return true;
}

bool tokens_check(const struct registry *registry, struct bytes text, int64_t now_s, struct identity *ret)
{
    struct bytes id, secret;
    if (!tokens_parse(text, &id, &secret))
        return false;
    static const struct token_record nobody;
    const struct token_record *record = registry_token(registry, id);
    bool matches = tokens_match(record ? record : &nobody, secret);
    bool is_bearer = record && !secret_is_set(&record->apikey);
    if (!is_bearer || !matches || !record_is_in_force(registry, record, now_s))
        return false;
    *ret = identity_of(record, EVIDENCE_TOKEN);
    return true;
}

const char *tokens_why_not(const struct registry *registry, struct bytes text, int64_t now_s,
                           const struct token_record **ret)
{
    struct bytes id, secret;
    const struct token_record *record = tokens_parse(text, &id, &secret) ? registry_token(registry, id) : NULL;
    if (!record || record->role != ROLE_DEVICE)
        return NULL;
    *ret = record;
    if (!tokens_match(record, secret))
        return "The token has the id of a token of this device, but not its secret.";
    if (record->revoked)
        return "The token was revoked.";
    if (record->expires_s != 0 && record->expires_s <= now_s)
        return "The token has expired.";
    return device_had_it(registry, record)
               ? NULL
               : "The device or its tenant is disabled, or the token was an earlier device's.";
}
