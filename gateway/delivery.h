// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The words of the delivery contract (docs/delivery.md): how safe a message is when it is acknowledged, and how it is
 * recognised when it comes again. Pure; the sink keeps the promise, the wires and the CLI only name it.
 */
#pragma once

#include "codec/observation.h"

/* How safe; each level includes the ones before it. */
enum delivery_level {
    LEVEL_SPOOLED,    /* synced to the gateway's disk */
    LEVEL_STORED,     /* appended to the stream, and durable there */
    LEVEL_REPLICATED, /* and on the replicas that the operator demands */
    LEVEL_COUNT,
};

/* How a repetition is recognised; the letter is what the spool and the Function say. */
enum delivery_class {
    CLASS_EXACT = 'e',     /* epoch and seq: for ever */
    CLASS_WINDOWED = 'w',  /* the device's own time, no seq: digest of the body, for settings.once_window_s */
    CLASS_TRANSPORT = 't', /* neither: the CoAP exchange only (247 s) */
};

/* "spooled", "stored", "replicated". */
const char *delivery_level_name(enum delivery_level level);
/* False: no such level. */
bool delivery_level_parse(struct bytes text, enum delivery_level *ret);
/* "exact", "windowed", "transport". */
const char *delivery_class_name(enum delivery_class class);

/* "EPOCH.SEQ" in decimal digits without leading zeros, as ?n= and the header Weir-Seq have it. False: not that. */
bool delivery_parse_sequence(struct bytes text, struct sequence *ret);
/* Whether the text is digits, a point, digits: meant as a sequence, good or not, and never a name. */
bool delivery_resembles_sequence(struct bytes text);
/* The text, with a NUL; returns its length. */
#define DELIVERY_SEQUENCE_TEXT_MAX 32
size_t delivery_write_sequence(const struct sequence *sequence, char ret[static DELIVERY_SEQUENCE_TEXT_MAX]);
/* The value of the CoAP option 65100: one octet, the length of the epoch (0 to 4); the epoch; the seq (0 to 7 octets);
 * both big-endian without leading zero octets. False: not that. */
bool delivery_parse_option(struct bytes value, struct sequence *ret);
#define DELIVERY_OPTION_MAX 12
/* Returns the length of the value. */
size_t delivery_write_option(const struct sequence *sequence, uint8_t ret[static DELIVERY_OPTION_MAX]);
