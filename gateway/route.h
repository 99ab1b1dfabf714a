// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The route table: the whole API, the same for CoAP and HTTP. One row: path, method, who may call, formats,
 * limit of the body, handler, metric. Nothing runs that the table does not permit; docs/coap-api.md and
 * docs/http-api.md are checked against it; tests iterate over it.
 */
#pragma once

#include "codec/link.h"
#include "gateway/request.h"
#include "gateway/rt/metrics.h"

enum route_security {
    ROUTE_ANYONE,        /* no identity needed */
    ROUTE_AUTHENTICATED, /* any identity; a mapped network counts */
    ROUTE_SPEAKER,       /* a device, a mapped network, or a message that proves itself (gateway/prove) */
    ROUTE_ENROL,         /* who has a bootstrap credential, which is good for nothing else; a device */
    ROUTE_VIEWER,        /* people: reads */
    ROUTE_OPERATOR,      /* people who change devices, their keys, codecs, rules */
    ROUTE_ADMIN,         /* people who make tokens, groups, CAs, tenants */
    ROUTE_HABIT, /* as a speaker; over HTTP also who has a key as legacy senders have it (gateway/habits) */
    ROUTE_OPS,   /* only on the ops listener */
};

/* Bodies of requests: none that is looked at; observations in a format that gateway/translate finds; a record
 * of the registry as JSON, of a PATCH also named merge patch; the same, or many as lines; senml-etch (RFC
 * 8790); whatever the handler judges. */
enum route_body {
    ROUTE_BODY_NONE,
    ROUTE_BODY_OBSERVATIONS,
    ROUTE_BODY_RECORD,
    ROUTE_BODY_RECORDS,
    ROUTE_BODY_ETCH,
    ROUTE_BODY_ANY,
};
#define ROUTE_RECORD_MAX 32768 /* octets of such a record, if settings.body_max is not less */
/* Bodies of the routes whose senders send all that they have kept at once, and cannot make less of it: so many times as
 * long as settings.body_max. */
#define ROUTE_BATCH_FACTOR 4
#define ROUTE_QUERY_MAX 64      /* parameters of a query, as http_target takes them */

/* Formats of answers, the default first; unused places are CONTENT_FORMAT_NONE. */
#define ROUTE_PRODUCES_MAX 3

struct route {
    const char *path; /* a segment "*" stands for any one that is not empty: request->path_parameters */
    enum method method;
    enum route_security security;
    enum route_body body; /* at most settings.body_max long; of a batch ROUTE_BATCH_FACTOR times */
    int produces[ROUTE_PRODUCES_MAX];
    bool observable;
    bool terse;       /* a success has a body only if Accept names one of its formats */
    const char *link; /* attributes in /.well-known/core; NULL: not listed */
    void (*handle)(struct request *request);
    enum metric metric;
    bool batch; /* see ROUTE_BATCH_FACTOR */
    bool whole; /* of the tenant as a whole: not there for people who are limited to sites (gateway/scope) */
};

const struct route *route_table(size_t *ret_count);
/* Whether the path is one of the row. ret_parameters: what stands for each "*" of it, at most
 * REQUEST_PATH_PARAMETERS_MAX; may be NULL. */
bool route_matches(const struct route *route, struct bytes path, struct bytes *ret_parameters);

/*
 * Finds the row and calls the handler, or finishes the request with what is wrong: path (4.04), method
 * (4.05), security (4.01, 4.03; 4.04 of another tenant), query (4.00), size (4.13), format (4.15), Accept
 * (4.06), preconditions (4.12), in this order. The handler finds in request->accept one of the formats that
 * the row produces; of a terse row CONTENT_FORMAT_NONE unless one was named; and of observations whether they
 * are signed and how they are read.
 */
void route_dispatch(struct request *request);
/* Whether the path is one whose handler judges Authorization and keys in other places itself
 * (ROUTE_HABIT). */
bool route_judges_keys(struct bytes path);
/* Body limit of a request that is about to be received: 0 if no row takes a body. */
size_t route_body_limit(const struct worker *worker, enum method method, struct bytes path);
/* Whether the body may come compressed: from legacy senders that know no other way. */
bool route_takes_gzip(enum method method, struct bytes path);
/* All links for /.well-known/core; returns the number. */
size_t route_links(struct link *ret, size_t max);
