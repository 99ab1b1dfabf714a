// SPDX-License-Identifier: GPL-3.0-or-later
/* The sender turned sixteenths of a degree into degrees and dropped all other units: opentrv_leaf_bare knows them. */
#include "codec/rkdap.h"

#include "codec/datetime.h"
#include "codec/json.h"
#include "codec/naming.h"
#include "codec/opentrv_leaf.h"

/* The value of a member, or NULL. */
static const struct node *member(const struct node *object, const char *name)
{
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1))
        if (bytes_equal_text(key->data, name))
            return key + 1;
    return NULL;
}

static bool is_text(const struct node *node, const char *text)
{
    return node && node->kind == NODE_TEXT && bytes_equal_text(node->data, text);
}

/* Everything around the data. */
static bool open_envelope(const struct node *root, const struct node **ret_data, struct refusal *reterr)
{
    if (root->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The payload has to be an object.", node_offset(root));
    if (!is_text(member(root, "method"), "dad_data"))
        return refuse(reterr, OUTCOME_BAD_VALUE, "method has to be dad_data.", node_offset(root));
    if (!is_text(member(root, "ver"), "1.1"))
        return refuse(reterr, OUTCOME_BAD_VERSION, "ver has to be 1.1.", node_offset(root));
    *ret_data = member(root, "data");
    if (!*ret_data || (*ret_data)->kind != NODE_ARRAY)
        return refuse(reterr, OUTCOME_BAD_VALUE, "data has to be an array.", node_offset(root));
    return true;
}

/* A45_T: hexadecimal digits have no '_', so the first one is where the key begins. */
static bool split_id(const struct node *id, struct bytes *ret_node, struct bytes *ret_key, struct refusal *reterr)
{
    const uint8_t *bar = id->data.len ? memchr(id->data.ptr, '_', id->data.len) : NULL;
    size_t len = bar ? (size_t)(bar - id->data.ptr) : 0;
    if (len == 0 || len + 1 == id->data.len)
        return refuse(reterr, OUTCOME_BAD_NAME, "An id is not a node, _ and a key.", node_offset(id));
    *ret_node = bytes_of(id->data.ptr, len);
    *ret_key = bytes_of(bar + 1, id->data.len - len - 1);
    return true;
}

/* ret_taken false: a member of the leaf that is no value. */
static bool take_item(const struct node *item, struct arena *arena, struct observation *ret, bool *ret_taken,
                      struct refusal *reterr)
{
    struct bytes node, key;
    if (item->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_BAD_VALUE, "An element of data is no object.", node_offset(item));
    const struct node *id = member(item, "id"), *period = member(item, "period"), *value = member(item, "value");
    if (!id || id->kind != NODE_TEXT || !period || !value)
        return refuse(reterr, OUTCOME_BAD_VALUE, "An element of data needs id, period and value.", node_offset(item));
    if (!split_id(id, &node, &key, reterr))
        return false;
    *ret = (struct observation){.time_source = TIME_DEVICE};
    if (period->kind != NODE_TEXT || !datetime_parse(period->data, &ret->time))
        return refuse(reterr, OUTCOME_BAD_VALUE, "period is no date and time.", node_offset(period));
    *ret_taken = !bytes_equal_text(key, "+");
    if (!*ret_taken)
        return true;
    if (!naming_node(node, arena, ret, reterr)) {
        reterr->offset = node_offset(id);
        return false;
    }
    return opentrv_leaf_bare(key, value, arena, ret, reterr);
}

static bool take_data(const struct format_input *input, const struct node *data, struct arena *arena,
                      struct observation_list *ret, struct refusal *reterr)
{
    if (data->count > input->limits.records)
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "data has too many elements.", node_offset(data));
    struct observation_list list = {.items = arena_calloc(arena, data->count, sizeof(*list.items))};
    if (!list.items)
        return refuse_memory(reterr);
    const struct node *item = node_first(data);
    for (uint32_t i = 0; i < data->count; i++, item = node_next(item)) {
        bool taken;
        if (!take_item(item, arena, &list.items[list.count], &taken, reterr))
            return false;
        list.count += taken;
    }
    *ret = list;
    return true;
}

enum outcome rkdap_decode(const struct format_input *input, struct arena *arena, struct observation_list *ret,
                          struct format_error *reterr)
{
    const struct node *root, *data;
    struct refusal refusal;
    if (json_read(input->payload, &input->limits, arena, &root, &refusal) &&
        open_envelope(root, &data, &refusal) && take_data(input, data, arena, ret, &refusal))
        return OUTCOME_CHANGED;
    return refusal_report(&refusal, reterr);
}
