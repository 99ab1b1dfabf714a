// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Answers for people and their programs, in JSON or CBOR from one column of puts. Members are put in the order of their
 * names' length, then of their characters (RFC 8949 4.2.1), so that the CBOR is deterministic. Pure.
 */
#pragma once

#include "codec/builder.h"

struct report {
    struct builder out;
    bool cbor;
    bool comma; /* JSON: something stands before what comes next */
};

void report_init(struct report *report, struct arena *arena, bool cbor);
/* count values or members must follow, then the end. */
void report_array(struct report *report, size_t count);
void report_array_end(struct report *report);
void report_map(struct report *report, size_t count);
void report_map_end(struct report *report);
/* Before each value of a map. */
void report_name(struct report *report, const char *name);
void report_text(struct report *report, const char *text);
void report_string(struct report *report, struct bytes text);
/* A byte string; in CBOR only. */
void report_octets(struct report *report, struct bytes octets);
void report_uint(struct report *report, uint64_t number);
void report_int(struct report *report, int64_t number);
void report_bool(struct report *report, bool truth);
/* Thousandths as a number: -1500 is -1.5. */
void report_thousandths(struct report *report, int64_t thousandths);
/* False: out of memory. */
bool report_finish(struct report *report, struct bytes *ret);
