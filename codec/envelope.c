// SPDX-License-Identifier: GPL-3.0-or-later
/* The envelope is proved by its parsed value; the payload inside is then read from the text that came. */
#include "codec/envelope.h"

#include "codec/base64url.h"
#include "codec/builder.h"
#include "codec/json.h"
#include "codec/naming.h"
#include "codec/pyjson.h"
#include "codec/sequence.h"

#define MAC_BYTES 32
#define MAC_CHARACTERS 44
#define TS_MAX ((UINT64_C(1) << 31) - 1)
#define TS_NS_MAX 999999999
/* Octets of a name before it is cleaned, so that long keys above many others cannot take memory for each of them. */
#define RAW_NAME_MAX ((size_t)8 * NAMING_NAME_MAX)

/* --- the time --- */

struct times {
    const struct node *ts, *ts_ns;
};

/* Whether the key is one of the two; then its value is noted. */
static bool note_time(struct times *times, const struct node *key)
{
    if (bytes_equal_text(key->data, "ts"))
        times->ts = key + 1;
    else if (bytes_equal_text(key->data, "ts_ns"))
        times->ts_ns = key + 1;
    else
        return false;
    return true;
}

/* *ret is left alone where there is no ts. */
static bool read_time(const struct times *times, struct timestamp *ret, struct refusal *reterr)
{
    uint64_t s, ns = 0;
    if (times->ts_ns && !times->ts)
        return refuse(reterr, OUTCOME_BAD_VALUE, "ts_ns needs ts.", node_offset(times->ts_ns));
    if (!times->ts)
        return true;
    if (!node_uint(times->ts, TS_MAX, &s))
        return refuse(reterr, OUTCOME_BAD_VALUE, "ts has to be an integer from 0 to 2147483647.",
                      node_offset(times->ts));
    if (times->ts_ns && !node_uint(times->ts_ns, TS_NS_MAX, &ns))
        return refuse(reterr, OUTCOME_BAD_VALUE, "ts_ns has to be an integer from 0 to 999999999.",
                      node_offset(times->ts_ns));
    *ret = (struct timestamp){(int64_t)s, (uint32_t)ns};
    return true;
}

/* --- the envelope --- */

/* Where the two members are: keys. */
struct members {
    const struct node *hmac, *payload;
};

static bool find_members(const struct node *root, struct members *ret, struct refusal *reterr)
{
    struct members members = {NULL, NULL};
    if (root->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_MALFORMED, "An envelope is an object.", node_offset(root));
    const struct node *key = node_first(root);
    for (uint32_t i = 0; i < root->count; i++, key = node_next(key + 1)) {
        if (bytes_equal_text(key->data, "hmac"))
            members.hmac = key;
        else if (bytes_equal_text(key->data, "payload"))
            members.payload = key;
        else
            return refuse(reterr, OUTCOME_BAD_VALUE, "An envelope has nothing but hmac and payload.", node_offset(key));
    }
    *ret = members;
    if (!members.hmac)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The envelope has no hmac.", SIZE_MAX);
    return members.payload || refuse(reterr, OUTCOME_BAD_VALUE, "The envelope has no payload.", SIZE_MAX);
}

static bool read_mac(const struct node *node, struct arena *arena, struct bytes *ret, struct refusal *reterr)
{
    enum base64url result = BASE64URL_BAD;
    if (node->kind == NODE_TEXT && node->data.len == MAC_CHARACTERS)
        result = base64url_decode_standard(node->data, arena, ret);
    if (result == BASE64URL_MEMORY)
        return refuse_memory(reterr);
    return (result == BASE64URL_OK && ret->len == MAC_BYTES) ||
           refuse(reterr, OUTCOME_BAD_VALUE, "hmac has to be 32 octets in standard base64, 44 characters.",
                  node_offset(node));
}

static bool read_payload(const struct node *object, struct arena *arena, struct signed_message *message,
                         struct refusal *reterr)
{
    struct times times = {NULL, NULL};
    if (object->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The payload of an envelope is an object.", node_offset(object));
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1))
        (void)note_time(&times, key);
    message->has_time = times.ts;
    return read_time(&times, &message->time, reterr) &&
           pyjson_write(object, message->payload.len, arena, &message->covered, reterr);
}

bool envelope_read(struct bytes text, const struct format_limits *limits, struct arena *arena,
                   struct signed_message *ret, struct refusal *reterr)
{
    const struct node *root;
    struct members members;
    struct signed_message message = {
        .form = SIGNED_ENVELOPE, .algorithm = SIGNED_HS256, .content_format = CONTENT_FORMAT_FIELDS};
    if (!json_read_with_nul(text, limits, arena, &root, reterr) || !find_members(root, &members, reterr) ||
        !read_mac(members.hmac + 1, arena, &message.signature, reterr))
        return false;
    message.payload = json_value_text(text, members.payload);
    if (!read_payload(members.payload + 1, arena, &message, reterr))
        return false;
    *ret = message;
    return true;
}

bool envelope_write(struct bytes payload, const uint8_t mac[static 32], struct arena *arena, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, payload.len + MAC_CHARACTERS + 32);
    builder_put_text(&out, "{\"hmac\":\"");
    char *at = (char *)builder_reserve(&out, MAC_CHARACTERS);
    if (at)
        base64url_encode_standard(bytes_of(mac, MAC_BYTES), at);
    builder_put_text(&out, "\",\"payload\":");
    builder_put(&out, payload);
    builder_put_byte(&out, '}');
    return builder_finish(&out, ret);
}

/* --- the format "fields" --- */

/* An object whose members are being read. */
struct level {
    struct bytes name; /* of the object, empty at the top */
    const struct node *key;
    uint32_t left;
};

struct walk {
    struct arena *arena;
    struct refusal *reterr;
    struct observation common; /* the time */
    struct sequence_members sequence;
    struct observation *items;
    size_t count, room;
    unsigned depth;
    struct level levels[JSON_DEPTH_MAX];
};

static void enter(struct walk *walk, struct bytes name, const struct node *object)
{
    walk->levels[walk->depth++] = (struct level){name, node_first(object), object->count};
}

/* The names of the objects around it and its own, with dots between them. */
static bool join(struct walk *walk, struct bytes around, const struct node *key, struct bytes *ret)
{
    struct bytes name = key->data;
    if (walk->depth > 1) {
        struct builder out;
        if (around.len + name.len >= RAW_NAME_MAX)
            return refuse(walk->reterr, OUTCOME_BAD_NAME, "A name is too long.", node_offset(key));
        builder_init(&out, walk->arena, around.len + 1 + name.len);
        builder_put(&out, around);
        builder_put_byte(&out, '.');
        builder_put(&out, name);
        if (!builder_finish(&out, &name))
            return refuse_memory(walk->reterr);
    }
    *ret = name;
    return true;
}

static bool set_value(const struct node *value, struct arena *arena, struct observation *item, struct refusal *reterr)
{
    struct decimal decimal;
    switch (value->kind) {
    case NODE_NUMBER:
        item->kind = VALUE_NUMBER;
        return node_number(value, arena, &decimal, &item->number, reterr);
    case NODE_BOOLEAN:
        item->kind = VALUE_BOOLEAN;
        item->boolean = value->boolean;
        return true;
    case NODE_TEXT:
        item->kind = VALUE_TEXT;
        item->data = value->data;
        return true;
    default:
        return refuse(reterr, OUTCOME_BAD_VALUE, "A field is an array.", node_offset(value));
    }
}

static bool add_item(struct walk *walk, struct bytes name, const struct node *key)
{
    if (walk->count == walk->room)
        return refuse(walk->reterr, OUTCOME_TOO_COMPLEX, "The object has too many fields.", node_offset(key));
    struct observation *item = &walk->items[walk->count++];
    *item = walk->common;
    if (!naming_clean(name, NAMING_NAME_MAX, walk->arena, &item->name, walk->reterr)) {
        walk->reterr->offset = node_offset(key);
        return false;
    }
    return set_value(key + 1, walk->arena, item, walk->reterr);
}

/* Whether the key is one of the members at the top that are no field. */
static bool is_about_all(const struct walk *walk, const struct node *key)
{
    struct times times;
    return walk->depth == 1 && (note_time(&times, key) ||
                                (sequence_is_there(&walk->sequence) &&
                                 (key + 1 == walk->sequence.epoch || key + 1 == walk->sequence.seq)));
}

/* The next member of the innermost object, or its end. */
static bool take_member(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth - 1];
    const struct node *key = level->key;
    struct bytes name;
    if (level->left == 0) {
        walk->depth--;
        return true;
    }
    level->left--;
    level->key = node_next(key + 1);
    /* What is null was not measured. */
    if (is_about_all(walk, key) || key[1].kind == NODE_NULL)
        return true;
    if (!join(walk, level->name, key, &name))
        return false;
    if (key[1].kind != NODE_MAP)
        return add_item(walk, name, key);
    enter(walk, name, key + 1);
    return true;
}

/* Time and sequence, which all fields share. */
static bool read_common(struct walk *walk, const struct node *root, struct timestamp now, struct sequence *ret)
{
    struct times times = {NULL, NULL};
    const struct node *key = node_first(root);
    for (uint32_t i = 0; i < root->count; i++, key = node_next(key + 1)) {
        if (!note_time(&times, key))
            (void)sequence_note(&walk->sequence, key);
    }
    walk->common = (struct observation){.time = now, .time_source = times.ts ? TIME_DEVICE : TIME_RECEIPT};
    return read_time(&times, &walk->common.time, walk->reterr) && sequence_read(&walk->sequence, ret, walk->reterr);
}

static bool read_fields(struct walk *walk, const struct node *root, unsigned records)
{
    size_t pairs = root->skip / 2;
    walk->room = pairs < records ? pairs : records;
    walk->items = arena_calloc(walk->arena, walk->room, sizeof(*walk->items));
    if (!walk->items)
        return refuse_memory(walk->reterr);
    enter(walk, (struct bytes){0}, root);
    while (walk->depth) {
        if (!take_member(walk))
            return false;
    }
    if (walk->count == 0)
        return refuse(walk->reterr, OUTCOME_BAD_VALUE, "The object has no field with a value.", node_offset(root));
    return naming_distinct(walk->items, walk->count, walk->arena, walk->reterr);
}

enum outcome envelope_decode_fields(const struct format_input *input, struct arena *arena,
                                    struct observation_list *ret, struct format_error *reterr)
{
    struct refusal refusal;
    struct walk walk = {.arena = arena, .reterr = &refusal};
    struct observation_list list = {.count = 0};
    const struct node *root;
    bool good = json_read(input->payload, &input->limits, arena, &root, &refusal);
    if (good && root->kind != NODE_MAP)
        good = refuse(&refusal, OUTCOME_BAD_VALUE, "The payload has to be an object of fields.", node_offset(root));
    if (!good || !read_common(&walk, root, input->now, &list.sequence) ||
        !read_fields(&walk, root, input->limits.records))
        return refusal_report(&refusal, reterr);
    list.items = walk.items;
    list.count = walk.count;
    *ret = list;
    return OUTCOME_CHANGED;
}
