// SPDX-License-Identifier: GPL-3.0-or-later
/* Parsed once at start; looked up once per plain peer, when it is first heard. */
#include "gateway/mapped.h"

#include <stdio.h>

static struct bytes trim(struct bytes text)
{
    while (text.len && text.ptr[0] == ' ')
        text = bytes_of(text.ptr + 1, text.len - 1);
    while (text.len && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

static bool parse_row(struct bytes part, struct mapped_row *ret)
{
    const uint8_t *equals = part.len ? memchr(part.ptr, '=', part.len) : NULL;
    if (!equals)
        return false;
    struct bytes network = trim(bytes_of(part.ptr, (size_t)(equals - part.ptr)));
    struct bytes tenant = trim(bytes_of(equals + 1, (size_t)(part.ptr + part.len - equals - 1)));
    if (!schema_tenant_is_valid(tenant) || !address_network_parse(network, &ret->network))
        return false;
    memcpy(ret->tenant, tenant.ptr, tenant.len);
    ret->tenant[tenant.len] = '\0';
    return true;
}

bool mapped_parse(struct mapped *ret, const char *text, char reterr[static SETTINGS_ERROR_MAX])
{
    struct mapped mapped = {0};
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, ",");
        struct bytes part = trim(bytes_of(at, len));
        if (part.len && (mapped.count == MAPPED_MAX || !parse_row(part, &mapped.rows[mapped.count++]))) {
            snprintf(reterr, SETTINGS_ERROR_MAX,
                     "map_network: \"%.*s\" is not CIDR=TENANT (for example 192.0.2.0/24=acme), or there are "
                     "more than %d",
                     (int)part.len, (const char *)part.ptr, MAPPED_MAX);
            return false;
        }
        at += len + (at[len] == ',');
    }
    *ret = mapped;
    return true;
}

struct bytes mapped_lookup(const struct mapped *mapped, const struct address *remote)
{
    for (unsigned i = 0; i < mapped->count; i++)
        if (address_network_contains(&mapped->rows[i].network, remote))
            return bytes_of_text(mapped->rows[i].tenant);
    return (struct bytes){0};
}
