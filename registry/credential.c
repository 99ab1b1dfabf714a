// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The table in the header says what a kind is; here is what it may hold. Whoever makes a credential asks
 * credential_is_acceptable before it is kept, whoever reads one from Redis credential_is_sound.
 */
#include "registry/credential.h"

#include "codec/utf8.h"
#include "registry/schema.h"

static const struct {
    const char *slug;
    bool is_secret, is_signature;
} kinds[CREDENTIAL_KINDS] = {
#define X(name, slug, secret, signature) [name] = {slug, secret, signature},
    CREDENTIAL_TABLE(X)
#undef X
};

#define FRAME_KEY_BYTES 16 /* behind them the node's id */

/* Octets of the secret or of public. HS256 keys are no shorter than the digest (RFC 7518 3.2); PSKs may be as short as
 * they always could. */
static const struct {
    uint8_t min, max;
    bool has_name;
} lengths[CREDENTIAL_KINDS] = {
    [CREDENTIAL_PSK] = {1, SECRET_MAX, false},
    [CREDENTIAL_X509] = {0, 0, true},
    [CREDENTIAL_CA] = {CREDENTIAL_CA_ANY, CREDENTIAL_CA_LEAF, true},
    [CREDENTIAL_RPK] = {CREDENTIAL_DIGEST_BYTES, CREDENTIAL_DIGEST_BYTES, false},
    [CREDENTIAL_FRAME] = {FRAME_KEY_BYTES + 6, FRAME_KEY_BYTES + 8, false},
    [CREDENTIAL_ES256] = {64, 64, false},
    [CREDENTIAL_EDDSA] = {32, 32, false},
    [CREDENTIAL_HS256] = {32, SECRET_MAX, false},
    [CREDENTIAL_HS256_64] = {32, SECRET_MAX, false},
    [CREDENTIAL_HMAC] = {16, SECRET_MAX, false},
};

const char *credential_kind_name(enum credential_kind kind)
{
    return kinds[kind].slug;
}

bool credential_kind_of_name(struct bytes name, enum credential_kind *ret)
{
    for (unsigned i = 0; i < CREDENTIAL_KINDS; i++)
        if (bytes_equal_text(name, kinds[i].slug)) {
            *ret = (enum credential_kind)i;
            return true;
        }
    return false;
}

bool credential_is_secret(enum credential_kind kind)
{
    return kinds[kind].is_secret;
}

bool credential_is_signature(enum credential_kind kind)
{
    return kinds[kind].is_signature;
}

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool credential_algorithm(enum credential_kind kind, enum signed_algorithm *ret)
{
    static const struct {
        enum credential_kind kind;
        enum signed_algorithm algorithm;
    } rows[] = {
        {CREDENTIAL_ES256, SIGNED_ES256},       {CREDENTIAL_EDDSA, SIGNED_EDDSA}, {CREDENTIAL_HS256, SIGNED_HS256},
        {CREDENTIAL_HS256_64, SIGNED_HS256_64}, {CREDENTIAL_HMAC, SIGNED_HS256},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].kind == kind) {
            *ret = rows[i].algorithm;
            return true;
        }
    return false;
}

bool credential_id_is_valid(struct bytes id)
{
    if (id.len == 0 || id.len > CREDENTIAL_ID_MAX || !is_letter_or_digit(id.ptr[0]))
        return false;
    for (size_t i = 1; i < id.len; i++)
        if (!is_letter_or_digit(id.ptr[i]) && id.ptr[i] != '.' && id.ptr[i] != '_' && id.ptr[i] != '-')
            return false;
    return true;
}

/* Text without control characters, as record_text_is_valid has it. */
static bool name_is_valid(struct bytes name)
{
    if (name.len == 0 || name.len > CREDENTIAL_NAME_MAX || !utf8_is_valid(name))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        bool c1 = name.ptr[i] == 0xc2 && i + 1 < name.len && name.ptr[i + 1] < 0xa0;
        if (name.ptr[i] < 0x20 || name.ptr[i] == 0x7f || c1)
            return false;
    }
    return true;
}

bool credential_is_sound(const struct credential *credential)
{
    if ((unsigned)credential->kind >= CREDENTIAL_KINDS || !credential_id_is_valid(bytes_of_text(credential->id)))
        return false;
    bool is_secret = credential_is_secret(credential->kind), has_name = lengths[credential->kind].has_name;
    size_t len = is_secret ? credential->secret.len : credential->public_len;
    size_t other = is_secret ? credential->public_len : credential->secret.len;
    return len >= lengths[credential->kind].min && len <= lengths[credential->kind].max && other == 0 &&
           (credential->kind != CREDENTIAL_CA || len == CREDENTIAL_CA_ANY || len == CREDENTIAL_CA_LEAF) &&
           has_name == (credential->name != NULL) && (!has_name || name_is_valid(bytes_of_text(credential->name)));
}

bool credential_is_acceptable(const struct credential *credential)
{
    uint8_t any = 0;
    if (!credential_is_sound(credential))
        return false;
    if (!credential_is_secret(credential->kind))
        return true;
    size_t len = credential->kind == CREDENTIAL_FRAME ? FRAME_KEY_BYTES : credential->secret.len;
    for (size_t i = 0; i < len; i++)
        any |= credential->secret.octets[i];
    return any != 0;
}

bool credential_is_good_at(const struct credential *credential, int64_t now_s)
{
    return now_s >= credential->not_before_s && (credential->not_after_s == 0 || now_s < credential->not_after_s);
}

bool credential_equal(const struct credential *a, const struct credential *b)
{
    bool same = strcmp(a->id, b->id) == 0 && a->kind == b->kind && a->offered == b->offered &&
                a->created_s == b->created_s && a->not_before_s == b->not_before_s &&
                a->not_after_s == b->not_after_s && a->public_len == b->public_len &&
                bytes_equal(credential_name(a), credential_name(b));
    return same && (credential_is_secret(a->kind) ? secret_equal(&a->secret, &b->secret)
                                                  : memcmp(a->public, b->public, a->public_len) == 0);
}

struct bytes credential_name(const struct credential *credential)
{
    return credential->name ? bytes_of_text(credential->name) : (struct bytes){0};
}

bool credential_own_name(struct bytes name, struct bytes *ret_tenant, struct bytes *ret_device)
{
    struct bytes prefix = BYTES_LITERAL(CREDENTIAL_OWN_NAME);
    if (name.len < prefix.len || memcmp(name.ptr, prefix.ptr, prefix.len) != 0)
        return false;
    struct bytes rest = bytes_of(name.ptr + prefix.len, name.len - prefix.len);
    const uint8_t *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    if (!slash)
        return false;
    struct bytes tenant = bytes_of(rest.ptr, (size_t)(slash - rest.ptr));
    struct bytes device = bytes_of(slash + 1, rest.len - tenant.len - 1);
    if (!schema_tenant_is_valid(tenant) || !schema_device_is_valid(device))
        return false;
    *ret_tenant = tenant;
    *ret_device = device;
    return true;
}

void credential_wipe(struct credential *credential)
{
    explicit_bzero(credential, sizeof *credential);
}
