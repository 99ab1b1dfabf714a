// SPDX-License-Identifier: GPL-3.0-or-later
/* What the two halves of the kind "emonhub" share: emonhub.c reads definitions, emonhub_line.c reads lines. */
#pragma once

#include "codec/custom_private.h"

#define EMONHUB_FRAME_MAX 255 /* octets of one frame */

/* One of Python's struct codes, as emonHub knows them. */
struct emonhub_code {
    char code;
    uint8_t octets;
    bool is_signed, is_float;
};
/* NULL: there is no such code. */
const struct emonhub_code *emonhub_code(char code);

struct emonhub_value {
    struct custom_field field;
    const struct emonhub_code *code;
};
/* Octets of the first values of a table. */
size_t emonhub_octets(const struct emonhub_value *values, size_t count);

/* How the frames of one node are read. */
struct emonhub_table {
    uint64_t id;
    struct bytes node; /* what its observations are said to be of */
    bool whitening;
    bool open_ended; /* one datacode for all: a frame may have fewer values */
    struct emonhub_value *values;
    size_t count;
};

struct emonhub {
    struct emonhub_table *tables;
    size_t table_count;
    struct custom_field *named; /* for lines that say their names */
    size_t named_count;
    struct custom_field rssi;
    bool ignores_unknown;
};

/* The decode function of the kind, for one line. */
bool emonhub_decode(const void *compiled, struct custom_run *run);
