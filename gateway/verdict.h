// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What has become of a request that brought observations: of one message, or of a log whose lines are messages of their
 * own. Pure; ingest notes, whoever answers reads.
 */
#pragma once

#include "gateway/request.h"
#include "gateway/sink.h"

struct verdict_line {
    bool is_refused;
    enum outcome outcome;      /* of a line that was refused */
    const char *detail;        /* static, in the request's arena, or NULL */
};

struct verdict {
    enum outcome outcome;      /* of the whole: the code of the answer */
    struct format_error error; /* why, if it is none of success */
    enum delivery_level level; /* of a success: the lowest that was reached */
    bool duplicate;            /* all of it was there already */
    bool wants_receipt;        /* the query asks for a body */
    size_t records;            /* taken */
    /* Of a log; lines is NULL otherwise. */
    struct verdict_line *lines; /* by number, from 0 */
    size_t line_count, stored, refused, ignored;
};

/* How the whole ended when all lines are noted: as the first line that was refused for what is wrong here, so that the
 * sender repeats it; else as a success if a line was stored or none was refused; else as the first that was refused. */
void verdict_settle(struct verdict *verdict);

/* A line or the whole was stored. */
void verdict_stored(struct verdict *verdict, const struct sink_receipt *receipt, size_t records);
/* Of a log: a line was refused; line from 1. */
void verdict_refused(struct verdict *verdict, size_t line, enum outcome outcome, const char *detail);

/*
 * The body that tells:
 * {"stored":2,"refused":1,"ignored":0,"lines":[{"line":3,"outcome":"malformed","detail":"..."}]}, or the same in CBOR
 * if that is accepted; with "level" if a receipt was asked for. The first VERDICT_LINES_MAX refused lines are told,
 * over CoAP only as many as one message holds, since there is no second piece of the answer to a POST. False: out of
 * memory.
 */
#define VERDICT_LINES_MAX 100
#define VERDICT_LINES_MAX_COAP 6
bool verdict_answer(const struct verdict *verdict, const struct request *request, struct response *response);
