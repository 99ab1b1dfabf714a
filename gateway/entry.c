// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Called by sink for every record, on the hot path: no allocation but for values of bytes, whose room is kept.
 */
#include "gateway/entry.h"

#include "codec/base64url.h"

#include <stdlib.h>

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

bool entry_arguments(struct bytes key, const struct sink_message *message, const struct sink_record *record,
                     struct bytes message_id, struct entry_scratch *scratch, struct bytes ret[static ENTRY_ARGUMENTS])
{
    const struct observation *observation = record->observation;
    struct bytes value;
    if (!value_text(observation, scratch, &value))
        return false;
    size_t time_len = timestamp_write(observation->time, scratch->time);
    scratch->letters[0] = (char)observation->time_source;
    scratch->letters[1] = (char)observation->kind;
    scratch->letters[2] = message->class;
    bool brought = message->brought_by.len && !bytes_equal(message->brought_by, record->device);
    struct bytes *next = ret;
    *next++ = BYTES_LITERAL("XADD");
    *next++ = key;
    *next++ = BYTES_LITERAL("*");
#define FIELD(name, text)                                                                                              \
    *next++ = BYTES_LITERAL(name);                                                                                     \
    *next++ = (text)
    FIELD("d", record->device);
    FIELD("n", observation->name);
    FIELD("u", observation->unit);
    FIELD("t", bytes_of(scratch->time, time_len));
    FIELD("q", bytes_of(&scratch->letters[0], 1));
    FIELD("k", bytes_of(&scratch->letters[1], 1));
    FIELD("v", value);
    FIELD("s", observation->has_sum ? observation->sum.text : BYTES_LITERAL(""));
    FIELD("c", bytes_of(&scratch->letters[2], 1));
    FIELD("a", bytes_of_text(identity_evidence_slug(message->evidence)));
    FIELD("b", brought ? message->brought_by : BYTES_LITERAL(""));
    FIELD("m", message_id);
#undef FIELD
    return true;
}
