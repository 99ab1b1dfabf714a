// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The gate between the wires and the handlers. Every check that does not need the body's meaning is made
 * here, once, from the table, in one order; a handler may rely on all of them.
 */
#include "gateway/route.h"

#include "codec/etch.h"
#include "gateway/audit.h"
#include "gateway/codecs.h"
#include "gateway/devices.h"
#include "gateway/discovery.h"
#include "gateway/enrol.h"
#include "gateway/etch.h"
#include "gateway/habits.h"
#include "gateway/health.h"
#include "gateway/ingest.h"
#include "gateway/journal.h"
#include "gateway/prove.h"
#include "gateway/recall.h"
#include "gateway/rest.h"
#include "gateway/scope.h"
#include "gateway/translate.h"
#include "gateway/worker.h"

#define PRODUCES(...) {__VA_ARGS__}
#define RECEIPT PRODUCES(CONTENT_FORMAT_JSON, CONTENT_FORMAT_CBOR, CONTENT_FORMAT_NONE)
#define ONLY(format) PRODUCES(format, CONTENT_FORMAT_NONE, CONTENT_FORMAT_NONE)
#define SENML PRODUCES(CONTENT_FORMAT_SENML_JSON, CONTENT_FORMAT_SENML_CBOR, CONTENT_FORMAT_NONE)
#define RECORDS PRODUCES(CONTENT_FORMAT_JSON, CONTENT_FORMAT_CBOR, CONTENT_FORMAT_NONE)
#define CLOCK PRODUCES(CONTENT_FORMAT_TEXT, CONTENT_FORMAT_JSON, CONTENT_FORMAT_CBOR)

#define NOTHING ONLY(CONTENT_FORMAT_NONE)
/* What legacy senders know by heart. */
#define HABIT_BODY(method) ((method) == METHOD_GET ? ROUTE_BODY_NONE : ROUTE_BODY_ANY)
#define HABIT(path, method, counted)                                                                         \
    {path, method, ROUTE_HABIT, HABIT_BODY(method), NOTHING, .handle = habits_handle, .metric = counted}
#define HABIT_RECEIPT(path, counted)                                                                         \
    {path, METHOD_POST, ROUTE_HABIT, ROUTE_BODY_ANY, RECEIPT, .terse = true, .handle = habits_handle,        \
     .metric = counted}
#define HABIT_BATCH(path, counted)                                                                           \
    HABIT(path, METHOD_GET, counted),                                                                        \
    {path, METHOD_POST, ROUTE_HABIT, ROUTE_BODY_ANY, NOTHING, .handle = habits_handle, .metric = counted,    \
     .batch = true}
#define HABIT_GET_POST(path, counted) HABIT(path, METHOD_GET, counted), HABIT(path, METHOD_POST, counted)

/* Records that people administer; all: of the tenant as a whole. */
#define REST_GET(path, security, handler, counted, all)                                                      \
    {path, METHOD_GET, security, ROUTE_BODY_NONE, RECORDS, .handle = handler, .metric = counted, .whole = all}
#define REST_BODY(path, method, security, handler, counted, all)                                             \
    {path, method, security, ROUTE_BODY_RECORD, RECORDS, .handle = handler, .metric = counted, .whole = all}
#define REST_CHANGES(path, put, patch, security, handler, counted, all)                                      \
    REST_BODY(path, put, security, handler, counted, all),                                                   \
        REST_BODY(path, patch, security, handler, counted, all)
#define REST_DELETE(path, security, handler, counted, all)                                                   \
    {path, METHOD_DELETE, security, ROUTE_BODY_NONE, NOTHING, .handle = handler, .metric = counted,          \
     .whole = all}

static const struct route routes[] = {
    {"/obs", METHOD_POST, ROUTE_SPEAKER, ROUTE_BODY_OBSERVATIONS, RECEIPT, .terse = true,
     .link = "rt=\"weir.obs\";ct=\"110 112 111 113 50 60 0\";obs", .handle = ingest_handle,
     .metric = METRIC_OBS_POST},
    {"/obs", METHOD_GET, ROUTE_AUTHENTICATED, ROUTE_BODY_NONE, SENML, .observable = true,
     .handle = recall_handle, .metric = METRIC_OBS_GET},
    {"/obs", METHOD_FETCH, ROUTE_AUTHENTICATED, ROUTE_BODY_ETCH, SENML, .handle = etch_handle_fetch,
     .metric = METRIC_OBS_FETCH},
    {"/obs", METHOD_PATCH, ROUTE_SPEAKER, ROUTE_BODY_ETCH, RECEIPT, .terse = true,
     .handle = etch_handle_patch, .metric = METRIC_OBS_PATCH},
    {"/obs", METHOD_IPATCH, ROUTE_SPEAKER, ROUTE_BODY_ETCH, RECEIPT, .terse = true,
     .handle = etch_handle_patch, .metric = METRIC_OBS_IPATCH},
    {"/devices", METHOD_GET, ROUTE_VIEWER, ROUTE_BODY_NONE,
     PRODUCES(CONTENT_FORMAT_JSON, CONTENT_FORMAT_CBOR, CONTENT_FORMAT_NDJSON), .handle = devices_handle_list,
     .metric = METRIC_DEVICES_GET},
    {"/devices/*", METHOD_GET, ROUTE_VIEWER, ROUTE_BODY_NONE, RECORDS, .handle = devices_handle_one,
     .metric = METRIC_DEVICE_GET},
    {"/devices", METHOD_POST, ROUTE_OPERATOR, ROUTE_BODY_RECORDS, RECORDS, .handle = rest_handle_device_post,
     .metric = METRIC_DEVICES_POST},
    REST_CHANGES("/devices/*", METHOD_PUT, METHOD_PATCH, ROUTE_OPERATOR, rest_handle_device_change,
                 METRIC_DEVICE_CHANGE, false),
    REST_DELETE("/devices/*", ROUTE_OPERATOR, rest_handle_device_change, METRIC_DEVICE_CHANGE, false),
    REST_GET("/devices/*/keys", ROUTE_VIEWER, rest_handle_keys, METRIC_KEYS, false),
    REST_BODY("/devices/*/keys", METHOD_POST, ROUTE_OPERATOR, rest_handle_keys, METRIC_KEYS, false),
    REST_GET("/devices/*/keys/*", ROUTE_VIEWER, rest_handle_key, METRIC_KEYS, false),
    REST_BODY("/devices/*/keys/*", METHOD_PATCH, ROUTE_OPERATOR, rest_handle_key, METRIC_KEYS, false),
    REST_DELETE("/devices/*/keys/*", ROUTE_OPERATOR, rest_handle_key, METRIC_KEYS, false),
    REST_GET("/tokens", ROUTE_ADMIN, rest_handle_tokens, METRIC_TOKENS, true),
    REST_BODY("/tokens", METHOD_POST, ROUTE_ADMIN, rest_handle_tokens, METRIC_TOKENS, true),
    REST_GET("/tokens/*", ROUTE_ADMIN, rest_handle_token, METRIC_TOKENS, true),
    REST_DELETE("/tokens/*", ROUTE_ADMIN, rest_handle_token, METRIC_TOKENS, true),
    REST_GET("/groups", ROUTE_VIEWER, rest_handle_groups, METRIC_GROUPS, true),
    REST_BODY("/groups", METHOD_POST, ROUTE_ADMIN, rest_handle_groups, METRIC_GROUPS, true),
    REST_GET("/groups/*", ROUTE_VIEWER, rest_handle_group, METRIC_GROUPS, true),
    REST_BODY("/groups/*", METHOD_PATCH, ROUTE_ADMIN, rest_handle_group, METRIC_GROUPS, true),
    REST_DELETE("/groups/*", ROUTE_ADMIN, rest_handle_group, METRIC_GROUPS, true),
    REST_GET("/tenants", ROUTE_ADMIN, rest_handle_tenants, METRIC_TENANTS, true),
    REST_GET("/tenants/*", ROUTE_ADMIN, rest_handle_tenant, METRIC_TENANTS, true),
    REST_CHANGES("/tenants/*", METHOD_PUT, METHOD_PATCH, ROUTE_ADMIN, rest_handle_tenant, METRIC_TENANTS,
                 true),
    REST_DELETE("/tenants/*", ROUTE_ADMIN, rest_handle_tenant, METRIC_TENANTS, true),
    {"/devices/*/log", METHOD_GET, ROUTE_VIEWER, ROUTE_BODY_NONE, RECORDS, .handle = journal_handle,
     .metric = METRIC_DEVICE_LOG},
    {"/audit", METHOD_GET, ROUTE_ADMIN, ROUTE_BODY_NONE, RECORDS, .handle = audit_handle,
     .metric = METRIC_AUDIT_GET, .whole = true},
    {"/codecs", METHOD_GET, ROUTE_VIEWER, ROUTE_BODY_NONE, RECORDS, .handle = codecs_handle_list,
     .metric = METRIC_CODECS_GET, .whole = true},
    {"/codecs/*", METHOD_GET, ROUTE_VIEWER, ROUTE_BODY_NONE, ONLY(CONTENT_FORMAT_JSON),
     .handle = codecs_handle_one, .metric = METRIC_CODEC_GET, .whole = true},
    {"/codecs/*", METHOD_PUT, ROUTE_OPERATOR, ROUTE_BODY_RECORD, ONLY(CONTENT_FORMAT_NONE),
     .handle = codecs_handle_put, .metric = METRIC_CODEC_PUT, .whole = true},
    {"/codecs/*", METHOD_DELETE, ROUTE_OPERATOR, ROUTE_BODY_NONE, ONLY(CONTENT_FORMAT_NONE),
     .handle = codecs_handle_delete, .metric = METRIC_CODEC_DELETE, .whole = true},
    {"/codecs/*/release", METHOD_POST, ROUTE_OPERATOR, ROUTE_BODY_NONE, ONLY(CONTENT_FORMAT_NONE),
     .handle = codecs_handle_release, .metric = METRIC_CODEC_RELEASE, .whole = true},
    {"/enroll", METHOD_GET, ROUTE_ENROL, ROUTE_BODY_NONE, RECORDS, .handle = enrol_handle_nonce,
     .metric = METRIC_ENROLL_GET},
    {"/enroll", METHOD_POST, ROUTE_ENROL, ROUTE_BODY_ANY, RECORDS, .handle = enrol_handle_ask,
     .metric = METRIC_ENROLL_POST},
    {"/enrollments", METHOD_GET, ROUTE_VIEWER, ROUTE_BODY_NONE, RECORDS, .handle = enrol_handle_list,
     .metric = METRIC_ENROLLMENTS_GET, .whole = true},
    {"/enrollments/*/approve", METHOD_POST, ROUTE_OPERATOR, ROUTE_BODY_NONE, NOTHING,
     .handle = enrol_handle_approve, .metric = METRIC_ENROLLMENT_APPROVE, .whole = true},
    {"/enrollments/*/reject", METHOD_POST, ROUTE_OPERATOR, ROUTE_BODY_NONE, NOTHING,
     .handle = enrol_handle_reject, .metric = METRIC_ENROLLMENT_REJECT, .whole = true},
    REST_DELETE("/enrollments/*", ROUTE_OPERATOR, enrol_handle_forget, METRIC_ENROLLMENT_FORGET, true),
    {"/time", METHOD_GET, ROUTE_AUTHENTICATED, ROUTE_BODY_NONE, CLOCK,
     .link = "rt=\"weir.time\";ct=\"0 50 60\"", .handle = discovery_handle_time, .metric = METRIC_TIME_GET},
    {"/.well-known/core", METHOD_GET, ROUTE_ANYONE, ROUTE_BODY_NONE, ONLY(CONTENT_FORMAT_LINK),
     .link = "ct=40", .handle = discovery_handle_core, .metric = METRIC_CORE_GET},
    HABIT_GET_POST("/input/post", METRIC_HABIT_EMONCMS),
    HABIT_GET_POST("/input/post.json", METRIC_HABIT_EMONCMS),
    HABIT_GET_POST("/input/post/*", METRIC_HABIT_EMONCMS),
    HABIT_BATCH("/input/bulk", METRIC_HABIT_EMONCMS),
    HABIT_BATCH("/input/bulk.json", METRIC_HABIT_EMONCMS),
    HABIT_GET_POST("/emoncms/input/post", METRIC_HABIT_EMONCMS),
    HABIT_GET_POST("/emoncms/input/post.json", METRIC_HABIT_EMONCMS),
    HABIT_GET_POST("/emoncms/input/post/*", METRIC_HABIT_EMONCMS),
    HABIT_BATCH("/emoncms/input/bulk", METRIC_HABIT_EMONCMS),
    HABIT_BATCH("/emoncms/input/bulk.json", METRIC_HABIT_EMONCMS),
    HABIT_GET_POST("/iot/d", METRIC_HABIT_ULTRALIGHT),
    HABIT("/write", METHOD_POST, METRIC_HABIT_INFLUX),
    HABIT("/api/v2/write", METHOD_POST, METRIC_HABIT_INFLUX),
    {"/ping", METHOD_GET, ROUTE_ANYONE, ROUTE_BODY_NONE, NOTHING, .handle = habits_handle_ping,
     .metric = METRIC_HABIT_INFLUX},
    HABIT_RECEIPT("/rkdap", METRIC_HABIT_RKDAP),
    HABIT_RECEIPT("/gismolab_sgmp_read/*/*/*/*/data", METRIC_HABIT_SGMP),
    HABIT_RECEIPT("/gismolab_sgmp_read/*/*/*/*/event", METRIC_HABIT_SGMP),
    {"/health", METHOD_GET, ROUTE_OPS, ROUTE_BODY_NONE, ONLY(CONTENT_FORMAT_TEXT),
     .handle = health_handle_health, .metric = METRIC_HEALTH_GET},
    {"/ready", METHOD_GET, ROUTE_OPS, ROUTE_BODY_NONE, ONLY(CONTENT_FORMAT_TEXT),
     .handle = health_handle_ready, .metric = METRIC_READY_GET},
    {"/metrics", METHOD_GET, ROUTE_OPS, ROUTE_BODY_NONE, ONLY(CONTENT_FORMAT_PROMETHEUS),
     .handle = health_handle_metrics, .metric = METRIC_METRICS_GET},
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

const struct route *route_table(size_t *ret_count)
{
    *ret_count = ROUTE_COUNT;
    return routes;
}

/* An ops route is not there on the public listeners, and nothing else is there on the ops listener. */
static bool is_on_wire(const struct route *route, enum wire wire)
{
    return (route->security == ROUTE_OPS) == (wire == WIRE_OPS);
}

static const struct route *find(struct request *request, bool *ret_path_exists)
{
    *ret_path_exists = false;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!is_on_wire(&routes[i], request->wire) ||
            !route_matches(&routes[i], request->path, request->path_parameters))
            continue;
        *ret_path_exists = true;
        request->path_parameter = request->path_parameters[0];
        if (routes[i].method == request->method)
            return &routes[i];
    }
    return NULL;
}

/* Devices and tokens of a disabled tenant prove nothing from the start; a mapped network is known by its
 * address only. */
static bool is_of_disabled_tenant(const struct request *request)
{
    if (request->who.kind != IDENTITY_NETWORK)
        return false;
    const struct tenant_record *tenant =
        registry_tenant(request->worker->shared->registry, bytes_of_text(request->who.tenant));
    return tenant && tenant->disabled;
}

/* The least of people's roles that may use the row; ROLE_DEVICE: it is not one of theirs. */
static enum role role_of(enum route_security security)
{
    switch ((int)security) {
    case ROUTE_VIEWER:
        return ROLE_VIEWER;
    case ROUTE_OPERATOR:
        return ROLE_OPERATOR;
    case ROUTE_ADMIN:
        return ROLE_ADMIN;
    default:
        return ROLE_DEVICE;
    }
}

/* What is not theirs to see comes before what they may not do with it, so that a refusal tells nothing of
 * others. */
static enum outcome check_person(const struct route *route, const struct request *request)
{
    const struct identity *who = &request->who;
    struct scope scope;
    if (who->kind != IDENTITY_OPERATOR)
        return who->kind == IDENTITY_NONE ? OUTCOME_UNAUTHENTICATED : OUTCOME_FORBIDDEN;
    enum outcome outcome = scope_of(request, &scope);
    if (outcome != OUTCOME_CONTENT)
        return outcome;
    if (route->whole && scope_is_limited(&scope))
        return OUTCOME_NOT_FOUND;
    return who->role >= role_of(route->security) ? OUTCOME_CONTENT : OUTCOME_FORBIDDEN;
}

static enum outcome check_security(const struct route *route, const struct request *request)
{
    const struct identity *who = &request->who;
    if (route->security != ROUTE_ANYONE && is_of_disabled_tenant(request))
        return OUTCOME_FORBIDDEN;
    if (who->kind == IDENTITY_BOOTSTRAP && route->security != ROUTE_ENROL && route->security != ROUTE_ANYONE)
        return OUTCOME_FORBIDDEN;
    switch (route->security) {
    case ROUTE_ANYONE:
    case ROUTE_HABIT: /* who it is may stand in the body: the handler looks */
    case ROUTE_OPS:
        return OUTCOME_CONTENT;
    case ROUTE_AUTHENTICATED:
        return who->kind == IDENTITY_NONE ? OUTCOME_UNAUTHENTICATED : OUTCOME_CONTENT;
    case ROUTE_ENROL:
        if (who->kind == IDENTITY_NONE)
            return OUTCOME_UNAUTHENTICATED;
        return who->kind == IDENTITY_BOOTSTRAP || who->kind == IDENTITY_DEVICE ? OUTCOME_CONTENT
                                                                               : OUTCOME_FORBIDDEN;
    case ROUTE_SPEAKER:
        if (who->kind == IDENTITY_NONE)
            return request->is_signed ? OUTCOME_CONTENT : OUTCOME_UNAUTHENTICATED; /* the handler judges it */
        return who->kind == IDENTITY_OPERATOR ? OUTCOME_FORBIDDEN : OUTCOME_CONTENT;
    case ROUTE_VIEWER:
    case ROUTE_OPERATOR:
    case ROUTE_ADMIN:
        return check_person(route, request);
    }
    return OUTCOME_INTERNAL;
}

/* One name for what may be said by two. */
static struct bytes name_of(const struct query_parameter *parameter)
{
    if (bytes_equal_text(parameter->name, "device"))
        return BYTES_LITERAL("d");
    return bytes_equal_text(parameter->name, "format") ? BYTES_LITERAL("f") : parameter->name;
}

/* Of these all are looked at: gateway/claim, gateway/prove, gateway/devices. */
static bool may_repeat(struct bytes name)
{
    static const char *const names[] = {"n", "level", "t", "tag"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (bytes_equal_text(name, names[i]))
            return true;
    return false;
}

/* Of two values who stands in front of weir may judge one, and a handler take the other. */
static enum outcome check_query(const struct request *request)
{
    if (request->query_count > ROUTE_QUERY_MAX)
        return OUTCOME_BAD_REQUEST;
    for (size_t i = 1; i < request->query_count; i++) {
        struct bytes name = name_of(&request->query[i]);
        for (size_t k = 0; k < i; k++)
            if (bytes_equal(name, name_of(&request->query[k])) && !may_repeat(name))
                return OUTCOME_BAD_REQUEST;
    }
    return OUTCOME_CONTENT;
}

static size_t body_limit(const struct route *route, const struct settings *settings)
{
    if (route->body == ROUTE_BODY_NONE)
        return 0;
    bool is_record = route->body == ROUTE_BODY_RECORD && settings->body_max > ROUTE_RECORD_MAX;
    if (route->batch)
        return ROUTE_BATCH_FACTOR * (size_t)settings->body_max;
    return is_record ? ROUTE_RECORD_MAX : settings->body_max;
}

/* What was signed says itself how it is read, once it is proved. */
static enum outcome choose_translation(struct request *request, const char **ret_detail)
{
    struct translation *translation;
    if (request->is_signed)
        return OUTCOME_CONTENT;
    translation = arena_calloc(request->arena, 1, sizeof *translation);
    request->translation = translation;
    if (!translation)
        return OUTCOME_OUT_OF_MEMORY;
    return outcome_is_success(translate_choose(request, translation, ret_detail)) ? OUTCOME_CONTENT
                                                                                  : OUTCOME_UNSUPPORTED;
}

static enum outcome check_body(const struct route *route, struct request *request, const char **ret_detail)
{
    if (route->body == ROUTE_BODY_NONE)
        return OUTCOME_CONTENT;
    if (request->body.len > body_limit(route, request->worker->shared->settings))
        return OUTCOME_TOO_LARGE;
    switch (route->body) {
    case ROUTE_BODY_RECORD:
        return request->content_format == CONTENT_FORMAT_JSON ||
                       (route->method == METHOD_PATCH &&
                        request->content_format == CONTENT_FORMAT_MERGE_PATCH)
                   ? OUTCOME_CONTENT
                   : OUTCOME_UNSUPPORTED;
    case ROUTE_BODY_RECORDS:
        return request->content_format == CONTENT_FORMAT_JSON ||
                       request->content_format == CONTENT_FORMAT_NDJSON
                   ? OUTCOME_CONTENT
                   : OUTCOME_UNSUPPORTED;
    case ROUTE_BODY_ETCH:
        *ret_detail = "FETCH and PATCH take senml-etch in JSON (320) or CBOR (322).";
        return etch_is_format(request->content_format) ? OUTCOME_CONTENT : OUTCOME_UNSUPPORTED;
    case ROUTE_BODY_OBSERVATIONS:
        return choose_translation(request, ret_detail);
    case ROUTE_BODY_NONE:
    case ROUTE_BODY_ANY:
        break;
    }
    return OUTCOME_CONTENT;
}

/* Settles request->accept on what will be produced. */
static enum outcome check_accept(const struct route *route, struct request *request)
{
    if (route->produces[0] == CONTENT_FORMAT_NONE)
        return OUTCOME_CONTENT;
    if (request->accept == CONTENT_FORMAT_NONE && !route->terse) {
        request->accept = route->produces[0];
        return OUTCOME_CONTENT;
    }
    for (size_t i = 0; i < ROUTE_PRODUCES_MAX; i++)
        if (route->produces[i] != CONTENT_FORMAT_NONE && route->produces[i] == request->accept)
            return OUTCOME_CONTENT;
    /* text/plain and the Prometheus text are one media type over HTTP. */
    if (route->produces[0] == CONTENT_FORMAT_PROMETHEUS && request->accept == CONTENT_FORMAT_TEXT) {
        request->accept = CONTENT_FORMAT_PROMETHEUS;
        return OUTCOME_CONTENT;
    }
    if (route->terse) {
        request->accept = CONTENT_FORMAT_NONE;
        return OUTCOME_CONTENT;
    }
    return OUTCOME_NOT_ACCEPTABLE;
}

/* Most resources of the table exist and have no ETag that a writer could know (RFC 7252 5.10.8). */
static enum outcome check_preconditions(const struct route *route, const struct request *request)
{
    if (route->method == METHOD_PUT || route->method == METHOD_DELETE || route->body == ROUTE_BODY_RECORD ||
        route->body == ROUTE_BODY_RECORDS)
        return OUTCOME_CONTENT; /* of records, which need not be there, and whose ETag the handler knows */
    if (request->if_none_match && route->security == ROUTE_HABIT)
        return OUTCOME_PRECONDITION; /* also where it is a GET, because that writes */
    if (request->if_none_match)
        return route->method == METHOD_GET && request->wire == WIRE_HTTP ? OUTCOME_VALID
                                                                         : OUTCOME_PRECONDITION;
    if (request->if_match_count == 0 || route->method == METHOD_GET)
        return OUTCOME_CONTENT;
    for (unsigned i = 0; i < request->if_match_count; i++)
        if (request->if_match[i].len == 0)
            return OUTCOME_CONTENT;
    return OUTCOME_PRECONDITION;
}

static enum outcome check(const struct route *route, struct request *request, const char **ret_detail)
{
    enum outcome outcome = check_security(route, request);
    if (outcome == OUTCOME_CONTENT)
        outcome = check_query(request);
    if (outcome == OUTCOME_CONTENT)
        outcome = check_body(route, request, ret_detail);
    if (outcome == OUTCOME_CONTENT)
        outcome = check_accept(route, request);
    if (outcome == OUTCOME_CONTENT)
        outcome = check_preconditions(route, request);
    return outcome;
}

static const char *forbidden(const struct route *route)
{
    switch (role_of(route->security)) {
    case ROLE_VIEWER:
        return "This is for people: the role viewer, operator or admin.";
    case ROLE_OPERATOR:
        return "This is for people with the role operator or admin.";
    case ROLE_ADMIN:
        return "This is for people with the role admin.";
    default:
        return route->security == ROUTE_ENROL ? "Enrolment is for devices."
                                              : "Observations come from devices; a person's token reads.";
    }
}

static const char *explain(const struct route *route, enum outcome outcome)
{
    switch ((int)outcome) {
    case OUTCOME_UNAUTHENTICATED:
        return "Nothing here proves who is speaking: use DTLS, a token or a signed message.";
    case OUTCOME_FORBIDDEN:
        return forbidden(route);
    case OUTCOME_BAD_REQUEST:
        return "A query has 64 parameters at most, and each key once (d is device, f is format).";
    case OUTCOME_UNSUPPORTED:
        return "The content format is missing or not one that is read here.";
    default:
        return NULL;
    }
}

void route_dispatch(struct request *request)
{
    bool path_exists;
    const struct route *route = find(request, &path_exists);
    if (!route) {
        request_refuse(request, path_exists ? OUTCOME_BAD_METHOD : OUTCOME_NOT_FOUND, NULL);
        return;
    }
    request->route = route;
    request->is_signed = route->body == ROUTE_BODY_OBSERVATIONS && prove_is_wanted(request, &request->form);
    metrics_add(&request->worker->metrics, route->metric, 1);
    const char *detail = NULL;
    enum outcome outcome = check(route, request, &detail);
    if (outcome == OUTCOME_CONTENT) {
        route->handle(request);
        return;
    }
    struct response response = response_of(outcome);
    response.detail = detail && outcome == OUTCOME_UNSUPPORTED ? detail : explain(route, outcome);
    if (outcome == OUTCOME_TOO_LARGE)
        response.size1 = (uint32_t)body_limit(route, request->worker->shared->settings);
    request_finish(request, &response);
}

bool route_judges_keys(struct bytes path)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (routes[i].security == ROUTE_HABIT && route_matches(&routes[i], path, NULL))
            return true;
    return false;
}

size_t route_body_limit(const struct worker *worker, enum method method, struct bytes path)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (routes[i].method == method && routes[i].body != ROUTE_BODY_NONE &&
            route_matches(&routes[i], path, NULL))
            return body_limit(&routes[i], worker->shared->settings);
    return 0;
}

bool route_takes_gzip(enum method method, struct bytes path)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (routes[i].method == method && routes[i].body == ROUTE_BODY_ANY &&
            route_matches(&routes[i], path, NULL))
            return true;
    return false;
}

size_t route_links(struct link *ret, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < ROUTE_COUNT && count < max; i++)
        if (routes[i].link)
            ret[count++] = (struct link){.target = routes[i].path, .attributes = routes[i].link};
    return count;
}
