// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The normal form: what every format is translated into and what every stream entry is made of.
 * Resolved: no base fields, no relative time. All bytes are borrowed, from the payload or from the request's arena.
 */
#pragma once

#include "codec/bytes.h"

/* Seconds since the Unix epoch, possibly negative, and nanoseconds 0..999,999,999 that count forward from s. */
struct timestamp {
    int64_t s;
    uint32_t ns;
};

/* Where the time came from; the letter is what the stream says (field q). */
enum time_source {
    TIME_DEVICE = 'd',   /* absolute, as the device gave it */
    TIME_RELATIVE = 'r', /* the device gave an offset to now (RFC 8428 4.5.3) */
    TIME_BATCH = 'b',    /* an offset inside a batch */
    TIME_CORRECTED = 'c', /* the device's own, moved by what its clock is estimated to be wrong (gateway/clocks) */
    TIME_RECEIPT = 'x',  /* the device gave none: the time of receipt */
};

/* The letter is what the stream says (field k). */
enum value_kind {
    VALUE_NONE = '-', /* a sum without a value */
    VALUE_NUMBER = 'n',
    VALUE_TEXT = 's',
    VALUE_BOOLEAN = 'b',
    VALUE_BYTES = 'x',
};

/* A number as it was written and as IEEE 754 sees it. text is a JSON number; never NaN, never infinite. */
struct number {
    struct bytes text;
    double approx;
};

struct observation {
    struct bytes name;      /* full SenML name, valid by RFC 8428 4.5.1; beside a node: local, without ':' and '/' */
    /* Whose it is in the sender's own words, where a legacy format has such words (OpenTRV's @, emonCMS's node,
     * Ultralight's i): valid as a name, without ':' and '/'. Empty: none. gateway/rights says which device that is. */
    struct bytes node;
    struct bytes node_raw;  /* as it was said, where node had to be made a name; empty: node is as it was said */
    struct bytes base_name; /* the base name in force, empty if none; names a device on mapped networks */
    struct bytes unit;      /* empty if none */
    struct timestamp time;
    enum time_source time_source;
    enum value_kind kind;
    bool boolean;         /* VALUE_BOOLEAN */
    struct number number; /* VALUE_NUMBER */
    struct bytes data;    /* VALUE_TEXT: UTF-8; VALUE_BYTES: the raw bytes */
    struct bytes content_type; /* VALUE_BYTES: Content-Format number or media type (RFC 9193); empty: not said */
    bool has_sum;
    struct number sum;
    /* The value (where there is a sum: the sum) is a counter that only grows, until it is reset or rolls over. Marked
     * by the format; unit and registry may mark it later (gateway/cumulative). */
    bool cumulative;
    struct number modulus; /* it rolls over from modulus - 1 to 0; text empty: not known */
};

/*
 * Which observation of a device this is (docs/delivery.md): seq counts up by one for each new message and is never
 * used twice within an epoch; the epoch changes when a device cannot go on counting.
 */
#define SEQUENCE_MAX ((UINT64_C(1) << 53) - 1)
struct sequence {
    bool given;
    uint32_t epoch;
    uint64_t seq; /* 0..SEQUENCE_MAX */
};

/* By this a device is found; node is only ever a part of a name. Made a name, two nodes may be one. */
static inline struct bytes observation_said_node(const struct observation *observation)
{
    return observation->node_raw.len ? observation->node_raw : observation->node;
}

/* A piece of a payload that a sender repeats by itself or beside other pieces: it may be a message of its own. */
struct observation_part {
    struct bytes text; /* as it was sent, with a time that means the same in each repetition; not empty */
    size_t count;      /* its observations; not 0 */
};

struct observation_list {
    struct observation *items;
    size_t count;
    const struct observation_part *parts; /* of all items, in their order */
    size_t part_count;                    /* 0: the payload has no parts */
    struct sequence sequence; /* if the payload has one */
    char class;               /* t, a, e, c if the payload says it (docs/streams.md, c); 0: it does not */
    bool proven;              /* the payload itself proves its node by a key of the registry; sequence is that node's */
};
