// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One record as the arguments of its XADD: the fields of docs/streams.md, all of them, in their order. Pure; the one
 * place that turns an observation into text for the stream.
 */
#pragma once

#include "codec/timestamp.h"
#include "gateway/sink.h"

#define ENTRY_FIELDS 12
#define ENTRY_ARGUMENTS (3 + 2 * ENTRY_FIELDS) /* XADD key * field value ... */

/* Text that the arguments point into besides the record itself. */
struct entry_scratch {
    char time[TIMESTAMP_TEXT_MAX];
    char letters[4];
    char *base64url; /* grows to the largest value of bytes; free with entry_scratch_deinit */
    size_t base64url_len;
};

void entry_scratch_deinit(struct entry_scratch *scratch);

/* message_id: 16 hexadecimal digits. The arguments borrow from all that was given. False: out of memory. */
bool entry_arguments(struct bytes key, const struct sink_message *message, const struct sink_record *record,
                     struct bytes message_id, struct entry_scratch *scratch,
                     struct bytes ret[static ENTRY_ARGUMENTS]);
