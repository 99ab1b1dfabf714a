// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What happens when a codec cannot read what a device sends: the message is kept for people
 * (weir:{T}:quarantine), it is counted, and a codec that only fails is put aside until an operator releases
 * it. Nobody else is harmed.
 *
 * On the path: gateway/translate asks before it decodes with a codec of the tenant, and tells how it went.
 * Whoever speaks a format of the table never comes here. A message is kept best-effort, on the worker's
 * connection for lookups, at most QUARANTINE_PER_S of each worker.
 *
 * When a codec is put aside: of each codec up to QUARANTINE_SPEAKERS speakers are remembered, devices or,
 * where nobody proves who he is, addresses. Each counts at most QUARANTINE_FAILURES failures; a success of
 * any of them takes all failures away. When there are QUARANTINE_FAILURES for each of those who are
 * remembered the codec is quarantined, in Redis, for all gateways. So one hostile device among several cannot
 * do that alone. OUTCOME_CODEC_FAULT, which is the codec's own fault, does it at once.
 *
 * So that this is so after a start, and on a gateway where only the hostile one speaks, the first who were
 * read are written to the codec's record as its witnesses (registry/record.h), with its definition and gone
 * with it: they are remembered everywhere, and nobody takes their place.
 *
 * Only those count, for and against, whose profile names the codec: a query is a trial of whoever sends it.
 */
#pragma once

#include "codec/custom.h"
#include "gateway/request.h"

#define QUARANTINE_SPEAKERS 4
#define QUARANTINE_FAILURES 3
#define QUARANTINE_RETRY_S 60         /* Max-Age of OUTCOME_CODEC_QUARANTINED */
#define QUARANTINE_PER_S 100          /* messages kept by a worker; more are only counted */
#define QUARANTINE_PAYLOAD_MAX 8192   /* octets kept of one */

/* The counts of this process; in struct shared. Any thread. */
struct quarantine;
struct quarantine *quarantine_new(const struct hash_key *key); /* NULL: out of memory */
void quarantine_free(struct quarantine *quarantine);

enum quarantine_verdict {
    QUARANTINE_UNKNOWN, /* the tenant has no codec of this name */
    QUARANTINE_USE,     /* decode with it, then tell how it went */
    QUARANTINE_HELD,    /* quarantined, or broken in this program: quarantine_hold, then answer what it returns */
};
/* ret_custom is set with QUARANTINE_USE only; as long-lived as a pointer of the registry. */
enum quarantine_verdict quarantine_ask(const struct worker *worker, struct bytes tenant, struct bytes codec,
                                       const struct custom **ret_custom);

/* A message that was not read. All borrowed for the call. */
struct quarantine_case {
    struct bytes codec;   /* its name, or that of a format which a profile names */
    struct bytes payload; /* what it was given: the body, or one line of it */
    bool by_query;        /* the request named the codec, not the device's profile */
    enum outcome outcome;
    struct format_error error;
};

/* Keeps the message and returns OUTCOME_CODEC_QUARANTINED; max_age_s of the answer is QUARANTINE_RETRY_S. */
enum outcome quarantine_hold(struct request *request, struct bytes codec, struct bytes payload);
/* The codec refused the message: keeps it and counts against the codec. Once per request: of a log of lines the first
 * line that was refused. Outcomes of 5.xx say nothing about a codec and do nothing. */
void quarantine_failed(struct request *request, const struct quarantine_case *what);
/* A format of the table that the device's profile names refused it: keeps it. */
void quarantine_keep(struct request *request, const struct quarantine_case *what);
/* The codec read the message, or a line of it; after quarantine_failed if both happened in one request. Not for those
 * whose query names it. custom: what quarantine_ask gave. */
void quarantine_succeeded(const struct request *request, struct bytes codec, const struct custom *custom);

/* Messages of a codec that were refused since this process started. */
uint64_t quarantine_failures(struct quarantine *quarantine, struct bytes tenant, struct bytes codec);

/* How the counting works, apart from the rest: one of these per codec, in the hands of one thread at a time. Speakers
 * are hashes, never 0. */
struct quarantine_count {
    uint64_t speakers[QUARANTINE_SPEAKERS]; /* 0: free */
    uint8_t failures[QUARANTINE_SPEAKERS];
    bool is_witness[QUARANTINE_SPEAKERS];
};
/* Who the witnesses are; those who were are like others then. */
void quarantine_count_witnesses(struct quarantine_count *count, const uint64_t *witnesses, size_t witness_count);
/* True: to be quarantined, and all failures are taken away. */
bool quarantine_count_failure(struct quarantine_count *count, uint64_t speaker);
void quarantine_count_success(struct quarantine_count *count, uint64_t speaker);
