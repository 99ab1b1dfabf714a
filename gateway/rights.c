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

static const struct device_record *known_device(const struct rights_question *q, struct bytes id)
{
    return schema_device_is_valid(id) ? registry_device(q->registry, bytes_of_text(q->who->tenant), id) : NULL;
}

static const struct device_record *speaking_device(const struct rights_question *q, struct bytes id)
{
    const struct device_record *device = known_device(q, id);
    return device && !device->disabled ? device : NULL;
}

/* Whether the node is how this device calls itself. */
static bool is_node_of(const struct device_record *device, struct bytes node)
{
    return bytes_equal_text(node, device->id) || (device->prefix[0] && bytes_equal_text(node, device->prefix));
}

static enum outcome answer(const struct rights_question *q, const struct device_record *device,
                           struct rights_answer *ret)
{
    struct bytes node = q->observation->node;
    if (!device || !may_write_as(device, q->observation->name))
        return OUTCOME_FOREIGN_NAME;
    *ret = (struct rights_answer){bytes_of_text(device->id), node.len > 0 && !is_node_of(device, node)};
    return OUTCOME_CHANGED;
}

/* Whoever proves itself has a key here, so it is known. */
static enum outcome judge_proven(const struct rights_question *q, bool may_bring, struct rights_answer *ret)
{
    const struct device_record *device = known_device(q, q->observation->node);
    if (!device || !may_bring)
        return OUTCOME_FOREIGN_NAME;
    if (device->disabled)
        return OUTCOME_FORBIDDEN;
    return answer(q, device, ret);
}

static enum outcome judge_mapped(const struct rights_question *q, struct rights_answer *ret)
{
    const struct observation *observation = q->observation;
    struct bytes id = q->named_device.len       ? q->named_device
                      : observation->node.len ? observation->node
                                                : device_in_base_name(observation->base_name);
    if (!schema_device_is_valid(id))
        return OUTCOME_BAD_NAME;
    const struct device_record *known = known_device(q, id);
    if (known && known->disabled)
        return OUTCOME_FORBIDDEN;
    if (known)
        return answer(q, known, ret);
    if (rights_name_is_global(observation->name) && !name_is_under(observation->name, id))
        return OUTCOME_FOREIGN_NAME;
    *ret = (struct rights_answer){id, observation->node.len > 0 && !bytes_equal(observation->node, id)};
    return OUTCOME_CHANGED;
}

/* The known device whose id is the longest beginning of the name that ends at a separator. */
static const struct device_record *owner_of_name(const struct rights_question *q, struct bytes name)
{
    for (size_t len = name.len < SCHEMA_DEVICE_MAX ? name.len : SCHEMA_DEVICE_MAX; len > 0; len--) {
        if (len < name.len && !is_separator(name.ptr[len]))
            continue;
        const struct device_record *device = speaking_device(q, bytes_of(name.ptr, len));
        if (device)
            return device;
    }
    return NULL;
}

/* Another device's node; NULL: nobody else's. */
static const struct device_record *owner_of_node(const struct rights_question *q, const struct device_record *self)
{
    struct bytes node = q->observation->node;
    return node.len && !is_node_of(self, node) ? known_device(q, node) : NULL;
}

static enum outcome judge_concentrator(const struct rights_question *q, const struct device_record *self,
                                       struct rights_answer *ret)
{
    struct bytes name = q->observation->name;
    if (q->named_device.len)
        return answer(q, speaking_device(q, q->named_device), ret);
    const struct device_record *device = owner_of_node(q, self);
    if (device && device->disabled)
        return OUTCOME_FORBIDDEN;
    if (device)
        return answer(q, device, ret);
    return answer(q, rights_name_is_global(name) && !may_write_as(self, name) ? owner_of_name(q, name) : self, ret);
}

enum outcome rights_judge(const struct rights_question *q, struct rights_answer *ret)
{
    if (q->who->kind == IDENTITY_NETWORK)
        return q->proven ? judge_proven(q, true, ret) : judge_mapped(q, ret);
    if (q->who->kind != IDENTITY_DEVICE)
        return OUTCOME_FORBIDDEN;
    const struct device_record *self = speaking_device(q, bytes_of_text(q->who->device));
    if (!self)
        return OUTCOME_FORBIDDEN;
    if (q->proven)
        return judge_proven(q, self->concentrator || bytes_equal_text(q->observation->node, self->id), ret);
    if (self->concentrator)
        return judge_concentrator(q, self, ret);
    if (q->named_device.len && !bytes_equal_text(q->named_device, self->id))
        return OUTCOME_FOREIGN_NAME;
    return answer(q, self, ret);
}
