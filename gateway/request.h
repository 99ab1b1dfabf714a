// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A request without its wire: what CoAP and HTTP both become before the route table sees them.
 *
 * Life: the wire makes it in an arena of its own, route_dispatch hands it to a handler, and the handler calls
 * request_finish exactly once, at once or in a later turn of the same worker. Until then the arena and everything in
 * it stays; after it nothing of the request may be touched. A wire whose peer has gone still gets the finish.
 * The body is valid only until the handler returns; what must live longer is copied to the arena.
 */
#pragma once

#include "codec/format.h"
#include "codec/signed.h"
#include "gateway/address.h"
#include "gateway/etag.h"
#include "gateway/identity.h"

enum method { METHOD_GET = 1, METHOD_POST, METHOD_PUT, METHOD_DELETE, METHOD_FETCH, METHOD_PATCH, METHOD_IPATCH };
enum wire { WIRE_COAP, WIRE_HTTP, WIRE_OPS };

#define REQUEST_ETAGS_MAX 8
#define REQUEST_KEY_BYTES 16
#define REQUEST_PATH_PARAMETERS_MAX 6

struct query_parameter {
    struct bytes name, value; /* decoded; value empty if there is no '=' */
};

struct worker;
struct route;
struct response;
struct translation;

struct request {
    enum wire wire;
    enum method method;
    struct bytes path; /* "/obs"; decoded once; "/" for the root */
    /* What stands where the route has "*", set by route_dispatch; path_parameter is the first. */
    struct bytes path_parameter;
    struct bytes path_parameters[REQUEST_PATH_PARAMETERS_MAX];
    const struct query_parameter *query;
    size_t query_count;
    int content_format; /* CONTENT_FORMAT_NONE: absent; -2: a media type weir does not know */
    int accept;         /* CONTENT_FORMAT_NONE: anything; -2: a type weir cannot make */
    struct etag etags[REQUEST_ETAGS_MAX]; /* ETag in a GET, If-None-Match of HTTP */
    unsigned etag_count;
    struct etag if_match[REQUEST_ETAGS_MAX];
    unsigned if_match_count;
    bool if_none_match; /* CoAP If-None-Match, HTTP If-None-Match: * */
    bool observe;       /* GET that wants to be told of changes */
    struct bytes body;
    struct sequence sequence; /* CoAP option 65100, HTTP Weir-Seq; query and payload may have one too: gateway/claim */
    const char *bad_sequence; /* it is there and none can be read from it: a static sentence; else NULL */
    bool best_effort;         /* a CoAP NON: nobody waits for the answer */
    bool is_gzip;             /* HTTP: the body is compressed; on routes that route_takes_gzip() says only */
    bool is_head;             /* HTTP: a GET that must change nothing */
    struct identity who;
    struct bytes authorization; /* the field of HTTP on a route that judges it itself (gateway/habits); else empty */
    struct address remote;
    struct timestamp received;
    struct arena *arena;
    struct worker *worker;
    const struct route *route; /* set by route_dispatch, as what follows */
    bool is_signed;            /* observations whose body says who it is from (gateway/prove), in this form */
    enum signed_form form;
    const struct translation *translation; /* of observations that are not signed; good until the handler returns */
    void (*finish)(struct request *request, const struct response *response); /* the wire's */
    void *wire_state;                                                        /* the wire's */
    /* The wire's: what tells this exchange from all others, the same for a repetition over plain CoAP also after a
     * restart. Called by request_exchange_key only, before the handler returns. */
    void (*exchange_key)(const struct request *request, uint8_t ret[static REQUEST_KEY_BYTES]);
    /* HTTP's, on a legacy route: a key was wrong. Seconds until the next may be tried; 0: now. NULL: keys
     * mean nothing on this wire. */
    int64_t (*key_failed)(const struct request *request);
};

#define REQUEST_FORMAT_UNKNOWN (-2)

struct response {
    enum outcome outcome;
    int content_format;  /* CONTENT_FORMAT_NONE: no body */
    struct bytes body;   /* in the request's arena or static */
    struct etag etag;
    struct bytes location; /* what a POST made: path and perhaps query, with a NUL behind it; of 2.01 only */
    int64_t max_age_s;   /* -1: not said; 5.03 and 4.29: when to come back */
    const char *detail;  /* for errors: a sentence, static or in the request's arena, or NULL */
    size_t offset;       /* for errors: position in the body, SIZE_MAX if none */
    uint32_t size1;      /* 4.13: our limit; 0: not said */
    bool observable;     /* the GET was answered and may be observed */
    const char *level;   /* POST of observations: a static word, for Weir-Level; else NULL */
    bool duplicate;      /* it was there already, for Weir-Duplicate */
};

/* A response with an outcome and nothing else. */
static inline struct response response_of(enum outcome outcome)
{
    return (struct response){.outcome = outcome, .content_format = CONTENT_FORMAT_NONE, .max_age_s = -1,
                             .offset = SIZE_MAX};
}

/* The value of the first parameter of that name; found says whether there is one (may be NULL). */
struct bytes request_query(const struct request *request, const char *name, bool *ret_found);

/* The device that the query names: d, or device in full. Empty if none. */
struct bytes request_named_device(const struct request *request, bool *ret_found);

/* Whether what the request demands of what is there holds (RFC 9110 13.1, RFC 7252 5.10.8). etag: of what is there, if
 * exists. */
bool request_preconditions_hold(const struct request *request, bool exists, const struct etag *etag);

void request_exchange_key(const struct request *request, uint8_t ret[static REQUEST_KEY_BYTES]);

/* Ends the request. */
void request_finish(struct request *request, const struct response *response);
/* Ends it with an outcome and a static sentence or NULL. */
void request_refuse(struct request *request, enum outcome outcome, const char *detail);
/* The same with a text that need not be ours: it is copied, cut after REQUEST_DETAIL_MAX octets, and what is
 * no UTF-8 or a control character becomes '?'. */
#define REQUEST_DETAIL_MAX 480
void request_refuse_with(struct request *request, enum outcome outcome, struct bytes detail);
