// SPDX-License-Identifier: GPL-3.0-or-later
/* First the topic, which all fields share, then the fields. */
#include "codec/sgmp.h"

#include "codec/json.h"
#include "codec/naming.h"

#define TIMESTAMP_DIGITS_MAX 15
#define MS_PER_S 1000
#define NS_PER_MS 1000000

/* Parts of MQTT topics have neither separators nor wildcards. */
static bool check_part(struct bytes part, struct refusal *reterr)
{
    bool good = part.len > 0;
    for (size_t i = 0; i < part.len; i++)
        good &= part.ptr[i] != '/' && part.ptr[i] != '+' && part.ptr[i] != '#';
    return good ||
           refuse(reterr, OUTCOME_BAD_NAME, "A part of the topic is empty or has a character of / + #.", SIZE_MAX);
}

static bool read_timestamp(struct bytes text, struct timestamp *ret, struct refusal *reterr)
{
    int64_t ms = 0;
    bool good = text.len > 0 && text.len <= TIMESTAMP_DIGITS_MAX;
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        ms = ms * 10 + (text.ptr[i] - '0');
    }
    if (!good)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The timestamp is no integer of milliseconds since 1970.", SIZE_MAX);
    *ret = (struct timestamp){ms / MS_PER_S, (uint32_t)(ms % MS_PER_S) * NS_PER_MS};
    return true;
}

static bool read_kind(const struct format_input *input, char *ret_class, struct refusal *reterr)
{
    bool found;
    struct bytes kind = format_parameter(input, "kind", &found);
    *ret_class = bytes_equal_text(kind, "event") ? 'e' : 0;
    return !found || *ret_class || bytes_equal_text(kind, "data") ||
           refuse(reterr, OUTCOME_BAD_VALUE, "The kind is neither data nor event.", SIZE_MAX);
}

/* What the topic says of all fields. */
static bool read_topic(const struct format_input *input, struct arena *arena, struct observation *common,
                       struct refusal *reterr)
{
    bool has_id, has_time;
    struct bytes name = format_parameter(input, "device_name", NULL);
    struct bytes id = format_parameter(input, "device_id", &has_id);
    struct bytes timestamp = format_parameter(input, "timestamp", &has_time);
    *common = (struct observation){.time = input->now, .time_source = has_time ? TIME_DEVICE : TIME_RECEIPT};
    return (!has_id || check_part(id, reterr)) && check_part(name, reterr) &&
           naming_node(name, arena, common, reterr) &&
           (!has_time || read_timestamp(timestamp, &common->time, reterr));
}

static bool read_value(const struct node *value, struct arena *arena, struct observation *observation,
                       struct refusal *reterr)
{
    struct decimal decimal;
    switch (value->kind) {
    case NODE_NUMBER:
        observation->kind = VALUE_NUMBER;
        return node_number(value, arena, &decimal, &observation->number, reterr);
    case NODE_BOOLEAN:
        observation->kind = VALUE_BOOLEAN;
        observation->boolean = value->boolean;
        return true;
    case NODE_TEXT:
        observation->kind = VALUE_TEXT;
        observation->data = value->data;
        return true;
    default:
        return refuse(reterr, OUTCOME_BAD_VALUE, "A field is neither a number nor text nor a boolean.",
                      node_offset(value));
    }
}

/* A field that is null was not measured. */
static bool read_fields(const struct format_input *input, const struct node *object, const struct observation *common,
                        struct arena *arena, struct observation_list *list, struct refusal *reterr)
{
    const struct node *key = node_first(object);
    if (object->count > input->limits.records)
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "The object has too many fields.", node_offset(object));
    list->items = arena_calloc(arena, object->count, sizeof(*list->items));
    if (!list->items)
        return refuse_memory(reterr);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1)) {
        if (key[1].kind == NODE_NULL)
            continue;
        struct observation *item = &list->items[list->count++];
        *item = *common;
        if (!naming_clean(key->data, NAMING_NAME_MAX, arena, &item->name, reterr)) {
            reterr->offset = node_offset(key);
            return false;
        }
        if (!read_value(key + 1, arena, item, reterr))
            return false;
    }
    if (list->count == 0)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The object has no field with a value.", node_offset(object));
    return naming_distinct(list->items, list->count, arena, reterr);
}

enum outcome sgmp_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                         struct format_error *reterr)
{
    struct observation_list list = {.count = 0};
    struct observation common;
    const struct node *root;
    struct refusal refusal;
    bool good = read_kind(input, &list.class, &refusal) && read_topic(input, arena, &common, &refusal) &&
                json_read(input->payload, &input->limits, arena, &root, &refusal);
    if (good && root->kind != NODE_MAP)
        good = refuse(&refusal, OUTCOME_BAD_VALUE, "The payload has to be an object of fields.", node_offset(root));
    if (!good || !read_fields(input, root, &common, arena, &list, &refusal))
        return refusal_report(&refusal, reterr);
    *ret = list;
    return OUTCOME_CHANGED;
}
