// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * SenML encoders, one per form. Keys are in the order of their CBOR numbers: that is what section 4.2 of RFC
 * 8949 asks of CBOR, and JSON does the same so that both read alike.
 */
#include "codec/senml_write.h"

#include "codec/cborout.h"
#include "codec/jsonout.h"
#include "codec/timestamp.h"

/* First guess at the length of a record; the builder grows where it is wrong. */
#define RECORD_BYTES 64

/* CBOR labels, RFC 8428 table 4. */
enum {
    KEY_N = 0,
    KEY_U = 1,
    KEY_V = 2,
    KEY_VS = 3,
    KEY_VB = 4,
    KEY_S = 5,
    KEY_T = 6,
    KEY_VD = 8,
};

static void put_json_value(struct builder *out, const struct observation *observation)
{
    switch (observation->kind) {
    case VALUE_NONE:
        break;
    case VALUE_NUMBER:
        builder_put_text(out, ",\"v\":");
        builder_put(out, observation->number.text);
        break;
    case VALUE_TEXT:
        builder_put_text(out, ",\"vs\":");
        jsonout_text(out, observation->data);
        break;
    case VALUE_BOOLEAN:
        builder_put_text(out, observation->boolean ? ",\"vb\":true" : ",\"vb\":false");
        break;
    case VALUE_BYTES:
        builder_put_text(out, ",\"vd\":");
        jsonout_base64url(out, observation->data);
        if (observation->content_type.len) {
            builder_put_text(out, ",\"ct\":");
            jsonout_text(out, observation->content_type);
        }
        break;
    }
}

static void put_json_record(struct builder *out, const struct observation *observation)
{
    char time[TIMESTAMP_TEXT_MAX];
    builder_put_text(out, "{\"n\":");
    jsonout_text(out, observation->name);
    if (observation->unit.len) {
        builder_put_text(out, ",\"u\":");
        jsonout_text(out, observation->unit);
    }
    put_json_value(out, observation);
    if (observation->has_sum) {
        builder_put_text(out, ",\"s\":");
        builder_put(out, observation->sum.text);
    }
    builder_put_text(out, ",\"t\":");
    builder_put(out, bytes_of(time, timestamp_write(observation->time, time)));
    builder_put_byte(out, '}');
}

enum outcome senml_write_json(const struct observation_list *list, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, list->count * RECORD_BYTES + 2);
    builder_put_byte(&out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            builder_put_byte(&out, ',');
        put_json_record(&out, &list->items[i]);
    }
    builder_put_byte(&out, ']');
    return builder_finish(&out, ret) ? OUTCOME_CONTENT : OUTCOME_OUT_OF_MEMORY;
}

/* False: the text is no number within the bounds, which is a bug of whoever made the list. */
static bool put_cbor_number(struct builder *out, int key, struct bytes text)
{
    struct decimal decimal;
    if (decimal_parse(text, &decimal) != DECIMAL_OK)
        return false;
    cborout_int(out, key);
    cborout_decimal(out, text, &decimal);
    return true;
}

static bool put_cbor_value(struct builder *out, const struct observation *observation)
{
    switch (observation->kind) {
    case VALUE_NONE:
    case VALUE_BYTES: /* its label comes after the time's */
        return true;
    case VALUE_NUMBER:
        return put_cbor_number(out, KEY_V, observation->number.text);
    case VALUE_TEXT:
        cborout_int(out, KEY_VS);
        cborout_text(out, observation->data);
        return true;
    case VALUE_BOOLEAN:
        cborout_int(out, KEY_VB);
        cborout_bool(out, observation->boolean);
        return true;
    }
    return false;
}

static bool put_cbor_record(struct builder *out, const struct observation *observation)
{
    char time[TIMESTAMP_TEXT_MAX];
    bool has_type = observation->kind == VALUE_BYTES && observation->content_type.len > 0;
    int pairs =
        2 + (observation->unit.len > 0) + (observation->kind != VALUE_NONE) + observation->has_sum + has_type;
    cborout_map(out, (size_t)pairs);
    cborout_int(out, KEY_N);
    cborout_text(out, observation->name);
    if (observation->unit.len) {
        cborout_int(out, KEY_U);
        cborout_text(out, observation->unit);
    }
    if (!put_cbor_value(out, observation))
        return false;
    if (observation->has_sum && !put_cbor_number(out, KEY_S, observation->sum.text))
        return false;
    if (!put_cbor_number(out, KEY_T, bytes_of(time, timestamp_write(observation->time, time))))
        return false;
    if (observation->kind == VALUE_BYTES) {
        cborout_int(out, KEY_VD);
        cborout_bytes(out, observation->data);
    }
    if (has_type) { /* RFC 9193 gave it no number; text keys come after all integers */
        cborout_text(out, BYTES_LITERAL("ct"));
        cborout_text(out, observation->content_type);
    }
    return true;
}

enum outcome senml_write_cbor(const struct observation_list *list, struct arena *arena, struct bytes *ret)
{
    struct builder out;
    builder_init(&out, arena, list->count * RECORD_BYTES + 1);
    cborout_array(&out, list->count);
    for (size_t i = 0; i < list->count; i++) {
        if (!put_cbor_record(&out, &list->items[i]))
            return OUTCOME_INTERNAL;
    }
    return builder_finish(&out, ret) ? OUTCOME_CONTENT : OUTCOME_OUT_OF_MEMORY;
}
