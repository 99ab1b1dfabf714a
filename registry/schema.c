// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Builds keys. Only ids that were checked here become part of a key, so no id can leave its tenant's slot or collide
 * with another kind of key: a tenant has no brace and no colon, and the kind stands before a device id, which may.
 */
#include "registry/schema.h"

_Static_assert(SCHEMA_RULE_MAX == SCHEMA_TENANT_MAX && SCHEMA_STREAM_MAX == SCHEMA_TENANT_MAX &&
                   SCHEMA_PROFILE_MAX == SCHEMA_TENANT_MAX && SCHEMA_GROUP_MAX == SCHEMA_TENANT_MAX,
               "one form of names");
_Static_assert(SCHEMA_KEY_MAX > sizeof "weir:{}:devices:" + SCHEMA_TENANT_MAX + SCHEMA_DEVICE_MAX, "longest key");

static bool is_lower_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_letter_or_digit(uint8_t c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

bool schema_tenant_is_valid(struct bytes tenant)
{
    if (tenant.len == 0 || tenant.len > SCHEMA_TENANT_MAX || !is_lower_or_digit(tenant.ptr[0]))
        return false;
    for (size_t i = 1; i < tenant.len; i++)
        if (!is_lower_or_digit(tenant.ptr[i]) && tenant.ptr[i] != '-')
            return false;
    return true;
}

bool schema_device_is_valid(struct bytes device)
{
    if (device.len == 0 || device.len > SCHEMA_DEVICE_MAX || !is_letter_or_digit(device.ptr[0]))
        return false;
    for (size_t i = 1; i < device.len; i++) {
        uint8_t c = device.ptr[i];
        if (!is_letter_or_digit(c) && c != ':' && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool schema_rule_is_valid(struct bytes rule)
{
    return schema_tenant_is_valid(rule);
}

bool schema_stream_is_valid(struct bytes stream)
{
    return schema_tenant_is_valid(stream);
}

/* Streams of a tenant that have a key of their own and hold no observations. */
static bool is_beside(struct bytes stream)
{
    return bytes_equal_text(stream, SCHEMA_SUFFIX_EVIDENCE) || bytes_equal_text(stream, SCHEMA_SUFFIX_AUDIT);
}

bool schema_rule_stream_is_valid(struct bytes stream)
{
    return schema_stream_is_valid(stream) && !is_beside(stream);
}

bool schema_group_is_valid(struct bytes group)
{
    return schema_tenant_is_valid(group);
}

bool schema_profile_is_valid(struct bytes profile)
{
    return schema_tenant_is_valid(profile);
}

/* Puts the runs one after the other; what does not fit is left out, which a valid id cannot cause. */
static size_t join(char ret[static SCHEMA_KEY_MAX], const struct bytes *runs, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count && len + runs[i].len < SCHEMA_KEY_MAX; i++) {
        if (runs[i].len > 0)
            memcpy(ret + len, runs[i].ptr, runs[i].len);
        len += runs[i].len;
    }
    ret[len] = '\0';
    return len;
}

size_t schema_key(char ret[static SCHEMA_KEY_MAX], struct bytes tenant, const char *suffix)
{
    struct bytes runs[] = {BYTES_LITERAL("weir:{"), tenant, BYTES_LITERAL("}:"), bytes_of_text(suffix)};
    return join(ret, runs, sizeof runs / sizeof runs[0]);
}

size_t schema_key_of(char ret[static SCHEMA_KEY_MAX], struct bytes tenant, const char *kind, struct bytes id)
{
    struct bytes runs[] = {BYTES_LITERAL("weir:{"), tenant, BYTES_LITERAL("}:"),
                           bytes_of_text(kind),     BYTES_LITERAL(":"), id};
    return join(ret, runs, sizeof runs / sizeof runs[0]);
}

size_t schema_key_of_stream(char ret[static SCHEMA_KEY_MAX], struct bytes tenant, struct bytes stream)
{
    if (stream.len == 0 || bytes_equal_text(stream, SCHEMA_SUFFIX_OBS))
        return schema_key(ret, tenant, SCHEMA_SUFFIX_OBS);
    if (is_beside(stream))
        return schema_key(ret, tenant, bytes_equal_text(stream, SCHEMA_SUFFIX_AUDIT) ? SCHEMA_SUFFIX_AUDIT
                                                                                      : SCHEMA_SUFFIX_EVIDENCE);
    return schema_key_of(ret, tenant, SCHEMA_KIND_STREAM, stream);
}

size_t schema_stream_suffix(char ret[static SCHEMA_KEY_MAX], struct bytes stream)
{
    struct bytes own[] = {BYTES_LITERAL(SCHEMA_KIND_STREAM ":"), stream}, obs = BYTES_LITERAL(SCHEMA_SUFFIX_OBS);
    bool is_obs = stream.len == 0 || bytes_equal_text(stream, SCHEMA_SUFFIX_OBS);
    return is_obs ? join(ret, &obs, 1) : join(ret, own, 2);
}
