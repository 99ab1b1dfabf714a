// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by sink for every record, on the hot path: no allocation but for values of bytes, whose room is kept.
 */
#include "gateway/entry.h"

#include "codec/base64url.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME(name) {(const uint8_t *)#name, sizeof #name - 1},
const struct bytes entry_names[ENTRY_FIELDS] = {SCHEMA_OBS_FIELDS(NAME)};
static const struct bytes evidence_names[ENTRY_EVIDENCE_FIELDS] = {SCHEMA_EVIDENCE_FIELDS(NAME)};
#undef NAME

void entry_scratch_deinit(struct entry_scratch *scratch)
{
    free(scratch->base64url);
    *scratch = (struct entry_scratch){0};
}

static bool bytes_text(struct bytes data, struct entry_scratch *scratch, struct bytes *ret)
{
    size_t len = base64url_length(data.len);
    if (len > scratch->base64url_len) {
        char *grown = realloc(scratch->base64url, len);
        if (!grown)
            return false;
        scratch->base64url = grown;
        scratch->base64url_len = len;
    }
    base64url_encode(data, scratch->base64url);
    *ret = bytes_of(scratch->base64url, len);
    return true;
}

static bool value_text(const struct observation *observation, struct entry_scratch *scratch, struct bytes *ret)
{
    switch (observation->kind) {
    case VALUE_NONE:
        *ret = BYTES_LITERAL("");
        return true;
    case VALUE_NUMBER:
        *ret = observation->number.text;
        return true;
    case VALUE_TEXT:
        *ret = observation->data;
        return true;
    case VALUE_BOOLEAN:
        *ret = observation->boolean ? BYTES_LITERAL("true") : BYTES_LITERAL("false");
        return true;
    case VALUE_BYTES:
        return bytes_text(observation->data, scratch, ret);
    }
    return false;
}

/* With the key of a signature, so that a reader knows what to check it with. */
static struct bytes evidence_text(const struct sink_message *message, struct entry_scratch *scratch)
{
    struct bytes slug = bytes_of_text(identity_evidence_slug(message->evidence));
    struct bytes kid = message->proof ? message->proof->kid : (struct bytes){0};
    if (kid.len == 0 || slug.len + 1 + kid.len > sizeof scratch->evidence)
        return slug;
    memcpy(scratch->evidence, slug.ptr, slug.len);
    scratch->evidence[slug.len] = ':';
    memcpy(scratch->evidence + slug.len + 1, kid.ptr, kid.len);
    return bytes_of(scratch->evidence, slug.len + 1 + kid.len);
}

bool entry_values(const struct sink_message *message, const struct sink_record *record, struct bytes message_id,
                  struct entry_scratch *scratch, struct bytes ret[static ENTRY_FIELDS])
{
    const struct observation *observation = record->observation;
    struct bytes value, nothing = BYTES_LITERAL("");
    if (!value_text(observation, scratch, &value))
        return false;
    size_t time_len = timestamp_write(observation->time, scratch->time);
    scratch->letters[0] = (char)observation->time_source;
    scratch->letters[1] = (char)observation->kind;
    scratch->letters[2] = message->class;
    bool brought = message->brought_by.len && !bytes_equal(message->brought_by, record->device);
    const struct bytes values[] = {
        record->device,
        observation->name,
        observation->unit,
        bytes_of(scratch->time, time_len),
        bytes_of(&scratch->letters[0], 1), /* q */
        bytes_of(&scratch->letters[1], 1), /* k */
        value,
        observation->has_sum ? observation->sum.text : nothing,
        bytes_of(&scratch->letters[2], 1), /* c */
        evidence_text(message, scratch),
        brought ? message->brought_by : nothing,
        message_id,
        nothing, /* w */
        observation->kind == VALUE_BYTES ? observation->content_type : nothing,
    };
    _Static_assert(sizeof values / sizeof values[0] == ENTRY_FIELDS, "a value for each field");
    memcpy(ret, values, sizeof values);
    return true;
}

size_t entry_arguments(struct bytes key, const struct sink_message *message, const struct sink_record *record,
                       struct bytes message_id, struct entry_scratch *scratch,
                       struct bytes ret[static ENTRY_ARGUMENTS_MAX])
{
    struct bytes values[ENTRY_FIELDS], *next = ret;
    if (!entry_values(message, record, message_id, scratch, values))
        return 0;
    *next++ = BYTES_LITERAL("XADD");
    *next++ = key;
    *next++ = BYTES_LITERAL("*");
    for (size_t i = 0; i < ENTRY_FIELDS; i++) {
        *next++ = entry_names[i];
        *next++ = values[i];
    }
    for (size_t i = 0; i < record->tag_count && i < RECORD_RULE_TAGS_MAX; i++) {
        *next++ = record->tags[i].name;
        *next++ = record->tags[i].value;
    }
    return (size_t)(next - ret);
}

void entry_evidence_values(const struct sink_message *message, int64_t received_s, struct bytes message_id,
                           struct entry_scratch *scratch, struct bytes ret[static ENTRY_EVIDENCE_FIELDS])
{
    const struct sink_proof *proof = message->proof;
    snprintf(scratch->received, sizeof scratch->received, "%lld", (long long)received_s);
    snprintf(scratch->content_format, sizeof scratch->content_format, "%d", proof->content_format);
    const struct bytes values[] = {
        message_id,
        proof->device,
        bytes_of_text(identity_evidence_slug(message->evidence)), /* f */
        proof->kid,
        bytes_of_text(scratch->content_format),
        bytes_of_text(scratch->received),
        proof->octets,
        BYTES_LITERAL("ok"), /* v */
    };
    _Static_assert(sizeof values / sizeof values[0] == ENTRY_EVIDENCE_FIELDS, "a value for each field");
    memcpy(ret, values, sizeof values);
}

void entry_evidence_arguments(struct bytes key, const struct sink_message *message, int64_t received_s,
                              struct bytes message_id, struct entry_scratch *scratch,
                              struct bytes ret[static ENTRY_EVIDENCE_ARGUMENTS])
{
    struct bytes values[ENTRY_EVIDENCE_FIELDS], *next = ret;
    entry_evidence_values(message, received_s, message_id, scratch, values);
    *next++ = BYTES_LITERAL("XADD");
    *next++ = key;
    *next++ = BYTES_LITERAL("*");
    for (size_t i = 0; i < ENTRY_EVIDENCE_FIELDS; i++) {
        *next++ = evidence_names[i];
        *next++ = values[i];
    }
}
