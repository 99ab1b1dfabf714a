// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From a payload in some format to records in the sink: each message whole or not at all.
 *
 *   ingest_handle                POST /obs: translate, submit, answer with a receipt
 *   ingest_translate             the same for routes that answer otherwise (gateway/habits)
 *   ingest_submit                for those that have decoded already (senml-etch)
 *
 * In all of them done is called exactly once, at once or in a later turn of the worker, and has to finish the
 * request. Nothing is a success before the sink has confirmed. A log of lines (struct format, by_line) is one
 * message per line; done is called when all of them are settled. So is a payload in parts (struct
 * observation_list) that has no sequence, but what is wrong with one part refuses all of them before the first
 * is handed over; where the sink refuses one, that is the verdict, though others may have been stored: they are
 * duplicates when they come again.
 *
 * A signed message (gateway/prove) is proved first. What it is recognised by is what was signed and whose it
 * is, never the signature, its header or the way it came, so that it is stored once whoever repeats it in
 * whatever wrapping.
 */
#pragma once

#include "gateway/claim.h"
#include "gateway/translate.h"
#include "gateway/verdict.h"

#define INGEST_LINES_MAX 1024 /* of a log in one request, with those that are empty */

/* Handler of the route table. Query: d the device (concentrators, mapped networks), n and u name and unit of
 * a bare number, f the format. Finishes the request after the sink has confirmed, or at once with why not. */
void ingest_handle(struct request *request);

typedef void ingest_done_fn(struct request *request, void *ctx, const struct verdict *verdict);

struct proof;

/* A payload and what the request says about it; borrowed for the call. */
struct ingest_source {
    const struct translation *translation;
    struct bytes payload;
    struct bytes device;             /* that the sender names in weir's words, empty if none */
    struct bytes name, unit;         /* of a bare number */
    const struct format_parameter *parameters; /* without secrets */
    size_t parameter_count;
    const struct format_parameter *content; /* those that make another message of the same payload */
    size_t content_count;
    const struct proof *proof; /* of a signed message, in the request's arena; request->who is whose it is */
    struct bytes brought_by;   /* the device over whose session that came, in the arena; empty: nobody's */
};
void ingest_translate(struct request *request, const struct ingest_source *source, ingest_done_fn *done,
                      void *ctx);

/* A list whose texts live in the request's arena, as it was decoded; its items may be changed.
 * content.payload: what the message is recognised by. */
void ingest_submit(struct request *request, struct observation_list *list,
                   const struct claim_content *content, ingest_done_fn *done, void *ctx);

/* When a sender that was refused so may come again: Max-Age of the answer; -1: it is not its time that is
 * wrong. */
int64_t ingest_retry_s(enum outcome outcome);
/* An ingest_done_fn: a receipt, problem details, or of a log with refused lines the verdict of each. */
void ingest_answer(struct request *request, void *ctx, const struct verdict *verdict);
