// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by ingest for every record of a message, after decoding and before the sink: the last word on who a record
 * belongs to. Looks only at the registry in memory. Fails closed: what names nobody we know is refused.
 */
#include "gateway/rights.h"

static bool is_separator(uint8_t c)
{
    return c == ':' || c == '/' || c == '.' || c == '_' || c == '-';
}

bool rights_name_is_global(struct bytes name)
{
    return name.len > 0 && (memchr(name.ptr, ':', name.len) || memchr(name.ptr, '/', name.len));
}

static bool name_is_under(struct bytes name, struct bytes prefix)
{
    return bytes_starts_with(name, prefix) && (name.len == prefix.len || is_separator(name.ptr[prefix.len]));
}

struct bytes rights_local_name(struct bytes device, struct bytes name)
{
    if (device.len == 0 || name.len <= device.len + 1 || !bytes_starts_with(name, device) || name.ptr[device.len] != ':')
        return name;
    struct bytes rest = bytes_of(name.ptr + device.len + 1, name.len - device.len - 1);
    return rights_name_is_global(rest) ? name : rest;
}

static bool may_write_as(const struct device_record *device, struct bytes name)
{
    if (!rights_name_is_global(name))
        return true;
    if (bytes_equal_text(bytes_of_text(device->prefix), "*"))
        return true;
    return name_is_under(name, bytes_of_text(device->prefix[0] ? device->prefix : device->id));
}

/* The base name without the separators that join it to the rest. */
static struct bytes device_in_base_name(struct bytes base_name)
{
    while (base_name.len > 0 && is_separator(base_name.ptr[base_name.len - 1]))
        base_name.len--;
    return base_name;
}

static enum outcome judge_mapped(const struct rights_question *q, struct bytes *ret_device)
{
    struct bytes id = q->named_device.len ? q->named_device : device_in_base_name(q->observation->base_name);
    if (!schema_device_is_valid(id))
        return OUTCOME_BAD_NAME;
    const struct device_record *known = registry_device(q->registry, bytes_of_text(q->who->tenant), id);
    if (known && known->disabled)
        return OUTCOME_FORBIDDEN;
    bool own = known ? may_write_as(known, q->observation->name)
                     : !rights_name_is_global(q->observation->name) || name_is_under(q->observation->name, id);
    if (!own)
        return OUTCOME_FOREIGN_NAME;
    *ret_device = id;
    return OUTCOME_CHANGED;
}

static const struct device_record *speaking_device(const struct rights_question *q, struct bytes id)
{
    const struct device_record *device = registry_device(q->registry, bytes_of_text(q->who->tenant), id);
    return device && !device->disabled ? device : NULL;
}

/* The known device whose id is the longest beginning of the name that ends at a separator. */
static const struct device_record *owner_of_name(const struct rights_question *q, struct bytes name)
{
    for (size_t len = name.len < SCHEMA_DEVICE_MAX ? name.len : SCHEMA_DEVICE_MAX; len > 0; len--) {
        if (len < name.len && !is_separator(name.ptr[len]))
            continue;
        struct bytes id = bytes_of(name.ptr, len);
        const struct device_record *device = schema_device_is_valid(id) ? speaking_device(q, id) : NULL;
        if (device)
            return device;
    }
    return NULL;
}

static enum outcome judge_concentrator(const struct rights_question *q, const struct device_record *self,
                                       struct bytes *ret_device)
{
    struct bytes name = q->observation->name;
    const struct device_record *device;
    if (q->named_device.len)
        device = schema_device_is_valid(q->named_device) ? speaking_device(q, q->named_device) : NULL;
    else if (rights_name_is_global(name) && !may_write_as(self, name))
        device = owner_of_name(q, name);
    else
        device = self;
    if (!device || !may_write_as(device, name))
        return OUTCOME_FOREIGN_NAME;
    *ret_device = bytes_of_text(device->id);
    return OUTCOME_CHANGED;
}

enum outcome rights_judge(const struct rights_question *q, struct bytes *ret_device)
{
    if (q->who->kind == IDENTITY_NETWORK)
        return judge_mapped(q, ret_device);
    if (q->who->kind != IDENTITY_DEVICE)
        return OUTCOME_FORBIDDEN;
    const struct device_record *self = speaking_device(q, bytes_of_text(q->who->device));
    if (!self)
        return OUTCOME_FORBIDDEN;
    if (self->concentrator)
        return judge_concentrator(q, self, ret_device);
    if (q->named_device.len && !bytes_equal_text(q->named_device, self->id))
        return OUTCOME_FOREIGN_NAME;
    if (!may_write_as(self, q->observation->name))
        return OUTCOME_FOREIGN_NAME;
    *ret_device = bytes_of_text(self->id);
    return OUTCOME_CHANGED;
}
