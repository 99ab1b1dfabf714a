// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One record as text for its stream: the fields of docs/streams.md, all of them, in their order, then the
 * tags that a rule adds; and the evidence of a signed message. Pure; the one place that turns these into text
 * for their streams. The direct way takes whole XADDs (entry_arguments), the spool the values alone
 * (entry_values and the record's own tags).
 */
#pragma once

#include "codec/timestamp.h"
#include "gateway/sink.h"

#define ENTRY_FIELDS 14
#define ENTRY_EVIDENCE_FIELDS 8
#define ENTRY_EVIDENCE_ARGUMENTS (3 + 2 * ENTRY_EVIDENCE_FIELDS)
#define ENTRY_ARGUMENTS_MAX (3 + 2 * (ENTRY_FIELDS + RECORD_RULE_TAGS_MAX)) /* XADD key * field value ... */

/* Text that the arguments point into besides the record itself. */
struct entry_scratch {
    char time[TIMESTAMP_TEXT_MAX];
    char letters[4];
    char evidence[8 + CREDENTIAL_ID_MAX]; /* "jws:KID" */
    char received[24];
    char content_format[12];
    char *base64url; /* grows to the largest value of bytes; free with entry_scratch_deinit */
    size_t base64url_len;
};

void entry_scratch_deinit(struct entry_scratch *scratch);

/* The names of the fixed fields, in their order. */
extern const struct bytes entry_names[ENTRY_FIELDS];

/* The values of the fixed fields, in their order. message_id: 16 hexadecimal digits. They borrow from all that was
 * given. w, the total of a counter, is empty: the Redis Function knows it. False: out of memory. */
bool entry_values(const struct sink_message *message, const struct sink_record *record, struct bytes message_id,
                  struct entry_scratch *scratch, struct bytes ret[static ENTRY_FIELDS]);
/* The whole XADD: names and values, then the record's tags. Returns the number of arguments; 0: out of memory. */
size_t entry_arguments(struct bytes key, const struct sink_message *message, const struct sink_record *record,
                       struct bytes message_id, struct entry_scratch *scratch,
                       struct bytes ret[static ENTRY_ARGUMENTS_MAX]);

/* The same of the evidence of a signed message, whose proof must be there. Cannot fail. */
void entry_evidence_values(const struct sink_message *message, int64_t received_s, struct bytes message_id,
                           struct entry_scratch *scratch, struct bytes ret[static ENTRY_EVIDENCE_FIELDS]);
void entry_evidence_arguments(struct bytes key, const struct sink_message *message, int64_t received_s,
                              struct bytes message_id, struct entry_scratch *scratch,
                              struct bytes ret[static ENTRY_EVIDENCE_ARGUMENTS]);
