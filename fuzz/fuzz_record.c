// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records from the fields of a hash that anybody may have written. The input is lines: kind (t, d, k, g, r, s, p or c), tenant,
 * id, then name=value lines. Property: what is taken is valid, and written out and read again it is the same.
 */
#include "registry/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct bytes line = bytes_of(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);
    size_t taken = line.len + (end != NULL);
    *rest = bytes_of(rest->ptr + taken, rest->len - taken);
    return line;
}

static size_t read_fields(struct bytes rest, struct record_field ret[static RECORD_FIELDS_MAX])
{
    size_t count = 0;
    while (rest.len > 0 && count < RECORD_FIELDS_MAX) {
        struct bytes line = next_line(&rest);
        const uint8_t *equals = line.len ? memchr(line.ptr, '=', line.len) : NULL;
        size_t name_len = equals ? (size_t)(equals - line.ptr) : line.len, skip = name_len + (equals != NULL);
        ret[count++] = (struct record_field){bytes_of(line.ptr, name_len), bytes_of(line.ptr + skip, line.len - skip)};
    }
    return count;
}

static void require(bool so)
{
    if (!so)
        abort();
}

static bool text_ends_within(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static void try_tenant(struct bytes id, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct tenant_record one, two;
    if (!record_to_tenant(id, fields, count, &one))
        return;
    require(schema_tenant_is_valid(bytes_of_text(one.id)));
    require(record_to_tenant(id, again, record_of_tenant(&one, again, scratch), &two));
    require(one.disabled == two.disabled && one.level == two.level && one.created_s == two.created_s);
}

static void try_device(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct device_record one, two;
    struct record_room room, other_room;
    if (!record_to_device(tenant, id, fields, count, NULL, &room, &one))
        return;
    require(text_ends_within(one.tags, sizeof one.tags) && text_ends_within(one.site, sizeof one.site));
    require(one.credential_count <= CREDENTIALS_MAX && record_secrets_are_distinct(&one));
    require(record_to_device(tenant, id, again, record_of_device(&one, NULL, again, scratch), NULL, &other_room, &two));
    require(strcmp(one.prefix, two.prefix) == 0 && strcmp(one.profile, two.profile) == 0);
    require(strcmp(one.tags, two.tags) == 0 && strcmp(one.group, two.group) == 0 && one.role == two.role);
    require(strcmp(one.serial, two.serial) == 0 && strcmp(one.model, two.model) == 0);
    require(one.created_s == two.created_s && one.credential_count == two.credential_count);
    for (size_t i = 0; i < one.credential_count; i++) {
        require(credential_is_sound(&one.credentials[i]) && credential_equal(&one.credentials[i], &two.credentials[i]));
        require(i == 0 || strcmp(one.credentials[i - 1].id, one.credentials[i].id) < 0);
    }
}

static void try_token(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct token_record one, two;
    if (!record_to_token(tenant, id, fields, count, NULL, &one))
        return;
    require(one.role != ROLE_DEVICE || one.device[0] != '\0');
    require(one.role < ROLE_VIEWER || one.device[0] == '\0');
    require(record_to_token(tenant, id, again, record_of_token(&one, NULL, again, scratch), NULL, &two));
    require(strcmp(one.device, two.device) == 0 && memcmp(one.digest, two.digest, sizeof one.digest) == 0);
    require(one.expires_s == two.expires_s && one.revoked == two.revoked);
    require(secret_equal(&one.apikey, &two.apikey));
}

static void try_group(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct group_record one, two;
    if (!record_to_group(tenant, id, fields, count, NULL, &one) || !secret_is_set(&one.key))
        return;
    require(one.pattern[0] && record_pattern_is_valid(bytes_of_text(one.pattern)));
    require(record_to_group(tenant, id, again, record_of_group(&one, NULL, again, scratch), NULL, &two));
    require(memcmp(&one, &two, sizeof one) == 0);
}

static void try_rule(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct rule_record one, two;
    if (!record_to_rule(tenant, id, fields, count, &one))
        return;
    require(one.tag_count <= RECORD_RULE_TAGS_MAX && schema_rule_is_valid(bytes_of_text(one.id)));
    require(!one.stream[0] || schema_rule_stream_is_valid(bytes_of_text(one.stream)));
    require(record_to_rule(tenant, id, again, record_of_rule(&one, again, scratch), &two));
    require(memcmp(&one, &two, sizeof one) == 0);
}

static void try_stream(struct bytes tenant, struct bytes name, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct stream_record one, two;
    if (!record_to_stream(tenant, name, fields, count, &one))
        return;
    require(record_groups_are_valid(bytes_of_text(one.groups)));
    require(record_to_stream(tenant, name, again, record_of_stream(&one, again, scratch), &two));
    require(strcmp(one.groups, two.groups) == 0 && one.max_age_s == two.max_age_s);
    require(one.max_entries == two.max_entries && one.created_s == two.created_s);
}

static void try_profile(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct profile_record one, two;
    if (!record_to_profile(tenant, id, fields, count, &one))
        return;
    require(text_ends_within(one.cumulative, sizeof one.cumulative) && one.clock < CLOCK_POLICIES);
    require(record_to_profile(tenant, id, again, record_of_profile(&one, again, scratch), &two));
    require(strcmp(one.format, two.format) == 0 && strcmp(one.cumulative, two.cumulative) == 0);
    require(one.clock == two.clock && one.clock_window_s == two.clock_window_s && one.created_s == two.created_s);
}

static void try_codec(struct bytes tenant, struct bytes id, const struct record_field *fields, size_t count)
{
    struct record_field again[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct codec_record one, two;
    if (!record_to_codec(tenant, id, fields, count, &one))
        return;
    require(one.definition.len > 0 && one.definition.len <= RECORD_DEFINITION_MAX);
    require(record_to_codec(tenant, id, again, record_of_codec(&one, again, scratch), &two));
    require(bytes_equal(one.definition, two.definition) && one.quarantined == two.quarantined);
    require(strcmp(one.reason, two.reason) == 0 && one.created_s == two.created_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    struct bytes rest = bytes_of(data, size);
    struct bytes kind = next_line(&rest), tenant = next_line(&rest), id = next_line(&rest);
    size_t count = read_fields(rest, fields);
    if (bytes_equal_text(kind, "t"))
        try_tenant(tenant, fields, count);
    else if (bytes_equal_text(kind, "d"))
        try_device(tenant, id, fields, count);
    else if (bytes_equal_text(kind, "g"))
        try_group(tenant, id, fields, count);
    else if (bytes_equal_text(kind, "r"))
        try_rule(tenant, id, fields, count);
    else if (bytes_equal_text(kind, "s"))
        try_stream(tenant, id, fields, count);
    else if (bytes_equal_text(kind, "p"))
        try_profile(tenant, id, fields, count);
    else if (bytes_equal_text(kind, "c"))
        try_codec(tenant, id, fields, count);
    else
        try_token(tenant, id, fields, count);
    return 0;
}
