// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Plain objects: two passes over the members, one for the time and one for the values, since keys have no
 * order.
 */
#include "codec/plain.h"

#include "codec/cborin.h"
#include "codec/json.h"
#include "codec/senml.h"
#include "codec/sequence.h"
#include "codec/timestamp.h"

#define NS_PER_S 1000000000

/* What the object says about time. */
struct times {
    const struct node *ts, *ts_ns, *t;
};

/* What in the object is no value. */
struct envelope {
    struct times times;
    struct sequence_members sequence;
    size_t members; /* how many that are */
};

/* The place of a key that says a time, or NULL. */
static const struct node **time_place(struct times *times, const struct node *key)
{
    if (key->kind != NODE_TEXT)
        return NULL;
    if (bytes_equal(key->data, BYTES_LITERAL("ts")))
        return &times->ts;
    if (bytes_equal(key->data, BYTES_LITERAL("ts_ns")))
        return &times->ts_ns;
    if (bytes_equal(key->data, BYTES_LITERAL("t")))
        return &times->t;
    return NULL;
}

static struct envelope find_envelope(const struct node *object)
{
    struct envelope envelope = {.members = 0};
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1)) {
        const struct node **place = time_place(&envelope.times, key);
        if (place) {
            *place = key + 1;
            envelope.members++;
        } else {
            (void)sequence_note(&envelope.sequence, key);
        }
    }
    if (sequence_is_there(&envelope.sequence))
        envelope.members += 2;
    return envelope;
}

/* One of epoch and seq without the other is a value like any other. */
static bool is_value(const struct envelope *envelope, const struct node *key)
{
    struct times times;
    if (time_place(&times, key))
        return false;
    return !sequence_is_there(&envelope->sequence) ||
           (key + 1 != envelope->sequence.epoch && key + 1 != envelope->sequence.seq);
}

static bool read_time(const struct node *node, timestamp_atto *ret, struct refusal *reterr)
{
    struct decimal seconds;
    if (!node_decimal(node, &seconds, reterr))
        return false;
    if (!timestamp_from_decimal(&seconds, ret))
        return refuse(reterr, OUTCOME_BAD_VALUE, "A time is too far away.", node_offset(node));
    return true;
}

static bool add_nanoseconds(const struct times *times, struct timestamp *time, struct refusal *reterr)
{
    struct decimal s, ns;
    if (!node_decimal(times->ts, &s, reterr) || !node_decimal(times->ts_ns, &ns, reterr))
        return false;
    if (s.exponent != 0)
        return refuse(reterr, OUTCOME_BAD_VALUE, "ts has to be an integer beside ts_ns.",
                      node_offset(times->ts));
    if (ns.exponent != 0 || ns.negative || ns.count > 9)
        return refuse(reterr, OUTCOME_BAD_VALUE, "ts_ns has to be an integer from 0 to 999999999.",
                      node_offset(times->ts_ns));
    time->ns = (uint32_t)ns.small;
    return true;
}

static bool resolve_time(const struct times *times, struct timestamp now, struct timestamp *ret,
                         enum time_source *ret_source, struct refusal *reterr)
{
    timestamp_atto time;
    if (times->ts && times->t)
        return refuse(reterr, OUTCOME_BAD_VALUE, "ts and t exclude each other.", node_offset(times->t));
    if (times->ts_ns && !times->ts)
        return refuse(reterr, OUTCOME_BAD_VALUE, "ts_ns needs ts.", node_offset(times->ts_ns));
    if (times->ts) {
        *ret_source = TIME_DEVICE;
        return read_time(times->ts, &time, reterr) && timestamp_from_atto(time, ret) &&
               (!times->ts_ns || add_nanoseconds(times, ret, reterr));
    }
    if (times->t) {
        if (!read_time(times->t, &time, reterr))
            return false;
        return timestamp_resolve(time, now, ret, ret_source) ||
               refuse(reterr, OUTCOME_BAD_VALUE, "A time is too far away.", node_offset(times->t));
    }
    *ret = now;
    *ret_source = TIME_RECEIPT;
    return true;
}

static bool read_value(const struct node *node, struct arena *arena, struct observation *observation,
                       struct refusal *reterr)
{
    struct decimal decimal;
    switch (node->kind) {
    case NODE_INTEGER:
    case NODE_FLOAT:
    case NODE_NUMBER:
        observation->kind = VALUE_NUMBER;
        return node_number(node, arena, &decimal, &observation->number, reterr);
    case NODE_BOOLEAN:
        observation->kind = VALUE_BOOLEAN;
        observation->boolean = node->boolean;
        return true;
    case NODE_TEXT:
        observation->kind = VALUE_TEXT;
        observation->data = node->data;
        return true;
    case NODE_BYTES:
        observation->kind = VALUE_BYTES;
        observation->data = node->data;
        return true;
    case NODE_NULL:
    case NODE_ARRAY:
    case NODE_MAP:
    case NODE_TAG:
        break;
    }
    return refuse(reterr, OUTCOME_BAD_VALUE, "A value is neither a number nor text nor a boolean.",
                  node_offset(node));
}

static bool read_member(const struct node *key, struct arena *arena, struct observation *observation,
                        struct refusal *reterr)
{
    if (key->kind != NODE_TEXT || !senml_name_is_valid(key->data))
        return refuse(reterr, OUTCOME_BAD_NAME, "A name is empty or has a character not allowed.",
                      node_offset(key));
    observation->name = key->data;
    return read_value(key + 1, arena, observation, reterr);
}

static bool resolve(const struct format_input *input, const struct node *object, struct arena *arena,
                    struct observation_list *ret, struct refusal *reterr)
{
    if (object->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The payload has to be an object.", node_offset(object));
    struct envelope envelope = find_envelope(object);
    size_t count = object->count - envelope.members;
    if (count == 0)
        return refuse(reterr, OUTCOME_BAD_VALUE, "The object has no value.", node_offset(object));
    if (count > input->limits.records)
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "The object has too many values.", node_offset(object));

    struct observation common = {.kind = VALUE_NONE};
    struct observation_list list = {.count = count};
    if (!resolve_time(&envelope.times, input->now, &common.time, &common.time_source, reterr) ||
        !sequence_read(&envelope.sequence, &list.sequence, reterr))
        return false;
    struct observation *items = arena_calloc(arena, count, sizeof(*items));
    if (!items)
        return refuse_memory(reterr);
    struct observation *item = items;
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1)) {
        if (!is_value(&envelope, key))
            continue;
        *item = common;
        if (!read_member(key, arena, item++, reterr))
            return false;
    }
    list.items = items;
    *ret = list;
    return true;
}

enum outcome plain_decode_json(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr)
{
    const struct node *root;
    struct refusal refusal;
    if (json_read(input->payload, &input->limits, arena, &root, &refusal) &&
        resolve(input, root, arena, ret, &refusal))
        return OUTCOME_CHANGED;
    return refusal_report(&refusal, reterr);
}

enum outcome plain_decode_cbor(const struct format_input *input, struct arena *arena,
                               struct observation_list *ret, struct format_error *reterr)
{
    const struct node *root;
    struct refusal refusal;
    if (cborin_read(input->payload, &input->limits, arena, &root, &refusal) &&
        resolve(input, root, arena, ret, &refusal))
        return OUTCOME_CHANGED;
    return refusal_report(&refusal, reterr);
}
