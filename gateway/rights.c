// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by ingest for every record of a message, after decoding and before the sink: the last word on who a
 * record belongs to. Looks only at the registry in memory. Fails closed: what names nobody we know is
 * refused.
 */
#include "gateway/rights.h"

#include <ctype.h>
#include <strings.h>

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
    if (device.len == 0 || name.len <= device.len + 1 || !bytes_starts_with(name, device) ||
        name.ptr[device.len] != ':')
        return name;
    struct bytes rest = bytes_of(name.ptr + device.len + 1, name.len - device.len - 1);
    return rights_name_is_global(rest) ? name : rest;
}

/* Its own id as a prefix gives no more than the id does: whoever may make a device may say that. */
static bool has_prefix(const struct device_record *device)
{
    return device->prefix[0] && strcmp(device->prefix, device->id) != 0;
}

/* The known device with the longest id, of more than `above` octets, that the name begins with up to a
 * separator or its end; disabled ones, too, or what they are called would be free for others. From the
 * longest down, so that names below the own id mostly cost one look. */
static const struct device_record *owner_of_name(const struct rights_question *q, struct bytes name,
                                                 size_t above)
{
    const uint8_t *slash = name.len ? memchr(name.ptr, '/', name.len) : NULL; /* not in ids */
    size_t len = slash ? (size_t)(slash - name.ptr) : name.len;
    if (len > SCHEMA_DEVICE_MAX)
        len = SCHEMA_DEVICE_MAX;
    for (; len > above; len--) {
        if (len < name.len && !is_separator(name.ptr[len]))
            continue;
        const struct device_record *device =
            registry_device(q->registry, bytes_of_text(q->who->tenant), bytes_of(name.ptr, len));
        if (device)
            return device;
    }
    return NULL;
}

/* Whether a global name is under the id, and under that of no other device which begins with it. */
static bool is_name_of_id(const struct rights_question *q, struct bytes name, struct bytes id)
{
    return name_is_under(name, id) && !owner_of_name(q, name, id.len);
}

static bool may_write_as(const struct rights_question *q, const struct device_record *device)
{
    struct bytes name = q->observation->name, prefix = bytes_of_text(device->prefix);
    if (!rights_name_is_global(name))
        return true;
    if (!has_prefix(device))
        return is_name_of_id(q, name, bytes_of_text(device->id));
    return bytes_equal_text(prefix, "*") || name_is_under(name, prefix);
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
    return schema_device_is_valid(id) ? registry_device(q->registry, bytes_of_text(q->who->tenant), id)
                                      : NULL;
}

static const struct device_record *speaking_device(const struct rights_question *q, struct bytes id)
{
    const struct device_record *device = known_device(q, id);
    return device && !device->disabled ? device : NULL;
}

/* Who speaks; NULL: it may not. room: the record of a device that has none yet, but whose group has a key. */
static const struct device_record *speaker(const struct rights_question *q, struct device_record *room)
{
    struct bytes tenant = bytes_of_text(q->who->tenant), id = bytes_of_text(q->who->device);
    const struct device_record *device = known_device(q, id);
    if (device)
        return device->disabled ? NULL : device;
    if (!registry_device_may_speak(q->registry, tenant, id))
        return NULL;
    *room = (struct device_record){0};
    memcpy(room->id, q->who->device, sizeof room->id);
    return room;
}

static bool is_hexadecimal(struct bytes text)
{
    size_t len = 0;
    while (len < text.len && isxdigit(text.ptr[len]))
        len++;
    return len > 0 && len == text.len;
}

static const struct device_record *device_in_case(const struct registry *registry, struct bytes tenant,
                                                  struct bytes node, int (*convert)(int))
{
    char id[SCHEMA_DEVICE_MAX];
    for (size_t i = 0; i < node.len; i++)
        id[i] = (char)convert(node.ptr[i]);
    return registry_device(registry, tenant, bytes_of(id, node.len));
}

const struct device_record *rights_device_of_node(const struct registry *registry, struct bytes tenant,
                                                  struct bytes node)
{
    if (!schema_device_is_valid(node))
        return NULL;
    const struct device_record *device = registry_device(registry, tenant, node);
    if (!device && is_hexadecimal(node)) {
        device = device_in_case(registry, tenant, node, tolower);
        if (!device)
            device = device_in_case(registry, tenant, node, toupper);
    }
    return device;
}

static const struct device_record *device_of_node(const struct rights_question *q)
{
    return rights_device_of_node(q->registry, bytes_of_text(q->who->tenant),
                                 observation_said_node(q->observation));
}

static bool is_spelt_as(const struct device_record *device, struct bytes node)
{
    return bytes_equal_text(node, device->id) ||
           (device->prefix[0] && bytes_equal_text(node, device->prefix));
}

/* Whether the node is how this device calls itself. */
static bool is_node_of(const struct device_record *device, struct bytes node)
{
    return is_spelt_as(device, node) || (is_hexadecimal(node) && strlen(device->id) == node.len &&
                                         strncasecmp(device->id, (const char *)node.ptr, node.len) == 0);
}

static enum outcome answer(const struct rights_question *q, const struct device_record *device,
                           struct rights_answer *ret)
{
    struct bytes node = observation_said_node(q->observation);
    if (!device || !may_write_as(q, device))
        return OUTCOME_FOREIGN_NAME;
    *ret = (struct rights_answer){bytes_of_text(device->id), node.len > 0 && !is_node_of(device, node)};
    return OUTCOME_CHANGED;
}

/* Whoever proves itself has a key here, so it is known. self: who brings it; NULL: a mapped network. */
static enum outcome judge_proven(const struct rights_question *q, const struct device_record *self,
                                 struct rights_answer *ret)
{
    const struct device_record *device = device_of_node(q);
    if (!device || (self && !self->concentrator && device != self))
        return OUTCOME_FOREIGN_NAME;
    if (device->disabled)
        return OUTCOME_FORBIDDEN;
    return answer(q, device, ret);
}

static enum outcome judge_mapped(const struct rights_question *q, struct rights_answer *ret)
{
    const struct observation *observation = q->observation;
    struct bytes node = observation_said_node(observation);
    bool by_node = q->named_device.len == 0 && node.len > 0;
    struct bytes id = q->named_device.len ? q->named_device
                      : by_node           ? node
                                          : device_in_base_name(observation->base_name);
    if (!schema_device_is_valid(id))
        return OUTCOME_BAD_NAME;
    const struct device_record *known = by_node ? device_of_node(q) : known_device(q, id);
    if (known && known->disabled)
        return OUTCOME_FORBIDDEN;
    if (known)
        return answer(q, known, ret);
    if (rights_name_is_global(observation->name) && !is_name_of_id(q, observation->name, id))
        return OUTCOME_FOREIGN_NAME;
    *ret = (struct rights_answer){id, node.len > 0 && !bytes_equal(node, id)};
    return OUTCOME_CHANGED;
}

/* Another device's node; NULL: nobody else's. */
static const struct device_record *owner_of_node(const struct rights_question *q,
                                                 const struct device_record *self)
{
    struct bytes node = observation_said_node(q->observation);
    const struct device_record *device = node.len && !is_spelt_as(self, node) ? device_of_node(q) : NULL;
    return device == self ? NULL : device;
}

static enum outcome judge_concentrator(const struct rights_question *q, const struct device_record *self,
                                       struct rights_answer *ret)
{
    if (q->named_device.len)
        return answer(q, speaking_device(q, q->named_device), ret);
    const struct device_record *device = owner_of_node(q, self);
    if (device && device->disabled)
        return OUTCOME_FORBIDDEN;
    if (device)
        return answer(q, device, ret);
    if (may_write_as(q, self))
        return answer(q, self, ret);
    device = owner_of_name(q, q->observation->name, 0);
    return answer(q, device && !device->disabled ? device : NULL, ret);
}

static enum outcome judge_device(const struct rights_question *q, const struct device_record *self,
                                 struct rights_answer *ret)
{
    if (q->proven)
        return judge_proven(q, self, ret);
    if (self->concentrator)
        return judge_concentrator(q, self, ret);
    if (q->named_device.len && !bytes_equal_text(q->named_device, self->id))
        return OUTCOME_FOREIGN_NAME;
    return answer(q, self, ret);
}

enum outcome rights_judge(const struct rights_question *q, struct rights_answer *ret)
{
    struct device_record room;
    if (q->who->kind == IDENTITY_NETWORK)
        return q->proven ? judge_proven(q, NULL, ret) : judge_mapped(q, ret);
    if (q->who->kind != IDENTITY_DEVICE)
        return OUTCOME_FORBIDDEN;
    const struct device_record *self = speaker(q, &room);
    if (!self)
        return OUTCOME_FORBIDDEN;
    enum outcome outcome = judge_device(q, self, ret);
    if (self == &room && outcome_is_success(outcome))
        ret->device = bytes_of_text(q->who->device);
    return outcome;
}
