// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One record of a SenML pack: its fields by label, the base fields that it leaves in force, and what it says in
 * resolved form (RFC 8428 section 4.6). For codec/senml.c and codec/etch.c only, whose packs differ in what a
 * record has to have.
 */
#pragma once

#include "codec/node.h"
#include "codec/sequence.h"
#include "codec/timestamp.h"

/* RFC 8428 section 12.2, table 4: the labels' numbers in CBOR. Those of RFC 9193 are text in both forms. */
enum senml_label {
    SENML_BS = -6,
    SENML_BV = -5,
    SENML_BU = -4,
    SENML_BT = -3,
    SENML_BN = -2,
    SENML_BVER = -1,
    SENML_N = 0,
    SENML_U = 1,
    SENML_V = 2,
    SENML_VS = 3,
    SENML_VB = 4,
    SENML_S = 5,
    SENML_T = 6,
    SENML_UT = 7,
    SENML_VD = 8,
    SENML_NUMBERED = 9, /* from here on labels have no numbers */
    SENML_CT = SENML_NUMBERED,
    SENML_BCT,
    SENML_UNKNOWN,
};

#define SENML_FIRST SENML_BS
#define SENML_LABELS (SENML_UNKNOWN - SENML_FIRST)
#define SENML_BIT(label) (1U << ((label) - SENML_FIRST))
#define SENML_BASE_LABELS                                                                                    \
    (SENML_BIT(SENML_BS) | SENML_BIT(SENML_BV) | SENML_BIT(SENML_BU) | SENML_BIT(SENML_BT) |                 \
     SENML_BIT(SENML_BN) | SENML_BIT(SENML_BVER) | SENML_BIT(SENML_BCT))
#define SENML_VALUE_LABELS                                                                                   \
    (SENML_BIT(SENML_V) | SENML_BIT(SENML_VS) | SENML_BIT(SENML_VB) | SENML_BIT(SENML_VD))

enum senml_dialect {
    SENML_JSON,
    SENML_CBOR,
};

enum senml_kind {
    SENML_PACK,
    SENML_FETCH, /* RFC 8790: only what selects records */
    SENML_PATCH, /* RFC 8790: a value may be null, and no label has to be understood */
};

/* One record, by label; label SENML_FIRST is at index 0. */
struct senml_fields {
    const struct node *at[SENML_LABELS];
    unsigned present; /* SENML_BIT() of each */
    const struct node *record;
};

/* The base fields in force. */
struct senml_base {
    struct bytes name;
    struct bytes unit;
    struct bytes content_type;
    bool has_time, has_value, has_sum;
    timestamp_atto time;
    struct decimal value;
    struct number value_number;
    struct decimal sum;
    struct number sum_number;
    uint64_t version; /* 0 before the first record */
};

struct senml_reader {
    /* Set by the caller. */
    enum senml_dialect dialect;
    enum senml_kind kind;
    const struct format_input *input;
    struct arena *arena;
    struct refusal *reterr;
    bool in_first_record;
    /* The reader's. */
    struct senml_base base;
    struct sequence_members sequence; /* of the first record */
};

static inline const struct node *senml_field(const struct senml_fields *fields, enum senml_label label)
{
    return fields->at[label - SENML_FIRST];
}

static inline bool senml_has(const struct senml_fields *fields, enum senml_label label)
{
    return (fields->present & SENML_BIT(label)) != 0;
}

static inline bool senml_refuse_at(const struct senml_reader *reader, const struct node *node,
                                   enum outcome outcome, const char *detail)
{
    return refuse(reader->reterr, outcome, detail, node_offset(node));
}

/* Sorts a record's fields and takes its base fields over. False: refused. */
bool senml_record_read(struct senml_reader *reader, const struct node *record, struct senml_fields *ret);
/* What the record selects: name, unit (of a pack with secondary units: the primary one) and time. */
bool senml_record_select(const struct senml_reader *reader, const struct senml_fields *fields,
                         struct observation *ret);
/* The whole record. In a pack with secondary units a number comes out in the primary one. */
bool senml_record_resolve(const struct senml_reader *reader, const struct senml_fields *fields,
                          struct observation *ret);

/* Reads the tree that a payload is: json_read or cborin_read. */
typedef bool senml_read_tree(struct bytes payload, const struct format_limits *limits, struct arena *arena,
                             const struct node **ret, struct refusal *reterr);
