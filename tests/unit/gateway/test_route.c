// SPDX-License-Identifier: GPL-3.0-or-later
/* The gate of the route table: every row against every kind of speaker, wire, format and precondition. */
#include "gateway/route.h"

#include "gateway/clocks.h"
#include "gateway/habits.h"
#include "gateway/worker.h"

#include <criterion/criterion.h>

static struct settings settings;
static struct shared shared;
static struct worker worker;
static struct arena *arena;
static struct response answer;
static unsigned answers;

static void setup(void)
{
    settings_default(&settings);
    settings.spool = false; /* nothing is behind the gate: what says nothing is not kept for its number either */
    shared.settings = &settings;
    shared.worker_count = 1;
    shared.workers[0] = &worker;
    shared.registry = registry_new(&shared.hash_key);
    shared.latest = latest_new(&shared.hash_key, 100);
    shared.clocks = clocks_new(&shared.hash_key, 100);
    shared.presence = presence_new(&shared.hash_key, 2);
    worker.shared = &shared;
    arena = arena_new(1 << 20);
}

static void teardown(void)
{
    arena_free(arena);
    presence_free(shared.presence);
    latest_free(shared.latest);
    clocks_free(shared.clocks);
    registry_free(shared.registry);
}

TestSuite(route, .init = setup, .fini = teardown);

static void finish(struct request *request, const struct response *response)
{
    (void)request;
    answer = *response;
    answers++;
}

static struct request make(enum method method, const char *path)
{
    return (struct request){.wire = WIRE_COAP, .method = method, .path = bytes_of_text(path), .arena = arena,
                            .content_format = CONTENT_FORMAT_NONE, .accept = CONTENT_FORMAT_NONE, .worker = &worker,
                            .received = {1763692800, 125000000}, .finish = finish,
                            .who = {.kind = IDENTITY_DEVICE, .tenant = "acme", .device = "boiler-7"}};
}

/* Somebody with a token of this role; sites as in its record. */
static struct identity person_of(const char *tenant, enum role role, const char *sites)
{
    static unsigned number;
    struct token_record token = {.role = role};
    struct identity who = {.kind = IDENTITY_OPERATOR, .evidence = EVIDENCE_TOKEN, .role = role};
    snprintf(token.id, sizeof token.id, "%016x", ++number);
    strcpy(token.tenant, tenant);
    strcpy(token.sites, sites);
    cr_assert(registry_put_token(shared.registry, &token));
    strcpy(who.tenant, tenant);
    strcpy(who.key, token.id);
    return who;
}

static enum outcome dispatch(struct request *request)
{
    unsigned before = answers;
    route_dispatch(request);
    cr_assert_eq(answers, before + 1, "one answer for one request");
    return answer.outcome;
}

static bool is_for_people(const struct route *row)
{
    return row->security == ROUTE_VIEWER || row->security == ROUTE_OPERATOR || row->security == ROUTE_ADMIN;
}

Test(route, every_row_refuses_strangers_unless_it_is_for_anyone)
{
    size_t count;
    const struct route *rows = route_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct request request = make(rows[i].method, rows[i].path);
        request.who = (struct identity){0};
        if (rows[i].security == ROUTE_HABIT)
            request.wire = WIRE_HTTP; /* where a GET may write */
        enum outcome outcome = dispatch(&request);
        switch (rows[i].security) {
        case ROUTE_ANYONE:
            cr_expect_eq(outcome, OUTCOME_CONTENT, "%s", rows[i].path);
            break;
        case ROUTE_OPS:
            cr_expect_eq(outcome, OUTCOME_NOT_FOUND, "%s is not on a public listener", rows[i].path);
            break;
        case ROUTE_AUTHENTICATED:
        case ROUTE_SPEAKER:
        case ROUTE_HABIT:
        case ROUTE_ENROL:
        case ROUTE_VIEWER:
        case ROUTE_OPERATOR:
        case ROUTE_ADMIN:
            cr_expect_eq(outcome, OUTCOME_UNAUTHENTICATED, "%s", rows[i].path);
            break;
        }
    }
}

Test(route, every_row_refuses_formats_it_does_not_make)
{
    size_t count;
    const struct route *rows = route_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct request request = make(rows[i].method, rows[i].path);
        request.wire = rows[i].security == ROUTE_OPS ? WIRE_OPS : WIRE_COAP;
        if (is_for_people(&rows[i]))
            request.who = person_of("acme", ROLE_ADMIN, "");
        request.accept = 41; /* application/xml */
        bool is_record = rows[i].body == ROUTE_BODY_RECORD || rows[i].body == ROUTE_BODY_RECORDS;
        request.content_format = rows[i].body == ROUTE_BODY_ETCH ? CONTENT_FORMAT_ETCH_JSON
                                 : is_record                     ? CONTENT_FORMAT_JSON
                                                                 : CONTENT_FORMAT_SENML_JSON;
        enum outcome outcome = dispatch(&request);
        if (rows[i].produces[0] != CONTENT_FORMAT_NONE)
            cr_expect_eq(outcome == OUTCOME_NOT_ACCEPTABLE, !rows[i].terse, "%s", rows[i].path);
    }
}

Test(route, the_ops_listener_has_nothing_else)
{
    struct request request = make(METHOD_GET, "/time");
    request.wire = WIRE_OPS;
    cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND);
    request = make(METHOD_GET, "/health");
    request.wire = WIRE_OPS;
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
}

Test(route, path_before_method)
{
    struct request request = make(METHOD_DELETE, "/obs");
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_METHOD);
    request = make(METHOD_DELETE, "/obs/");
    cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND);
    request = make(METHOD_GET, "/OBS");
    cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND);
}

Test(route, a_stranger_may_bring_what_proves_itself_and_only_to_obs)
{
    static const int formats[] = {CONTENT_FORMAT_JOSE, CONTENT_FORMAT_JOSE_JSON, CONTENT_FORMAT_COSE_MAC0,
                                  CONTENT_FORMAT_COSE_SIGN1};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct request request = make(METHOD_POST, "/obs");
        request.who = (struct identity){0};
        request.content_format = formats[i];
        request.body = BYTES_LITERAL("?");
        cr_expect_eq(dispatch(&request), OUTCOME_STORE_AWAY, "it is the handler that looks, and knows nobody yet");
        request.path = BYTES_LITERAL("/devices/x/keys");
        cr_expect_neq(dispatch(&request), OUTCOME_STORE_AWAY);
        request.path = BYTES_LITERAL("/obs");
        request.method = METHOD_PATCH;
        cr_expect_eq(dispatch(&request), OUTCOME_UNAUTHENTICATED);
    }
    struct request request = make(METHOD_POST, "/obs");
    request.who = (struct identity){.kind = IDENTITY_OPERATOR, .tenant = "acme", .role = ROLE_ADMIN};
    request.content_format = CONTENT_FORMAT_JOSE;
    cr_expect_eq(dispatch(&request), OUTCOME_FORBIDDEN, "a person brings nothing");
}

Test(route, formats_of_a_post)
{
    static const int refused[] = {CONTENT_FORMAT_NONE, CONTENT_FORMAT_OCTETS, 310, 114, 11050, REQUEST_FORMAT_UNKNOWN};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct request request = make(METHOD_POST, "/obs");
        request.content_format = refused[i];
        request.body = BYTES_LITERAL("[]");
        cr_expect_eq(dispatch(&request), OUTCOME_UNSUPPORTED, "%d", refused[i]);
    }
}

Test(route, a_body_above_the_setting_is_told_the_limit)
{
    settings.body_max = 1024;
    struct request request = make(METHOD_POST, "/obs");
    request.content_format = CONTENT_FORMAT_SENML_JSON;
    request.body = bytes_of(arena_calloc(arena, 1, 1025), 1025);
    cr_expect_eq(dispatch(&request), OUTCOME_TOO_LARGE);
    cr_expect_eq(answer.size1, 1024);
    cr_expect_eq(route_body_limit(&worker, METHOD_POST, BYTES_LITERAL("/obs")), 1024);
    cr_expect_eq(route_body_limit(&worker, METHOD_POST, BYTES_LITERAL("/time")), 0);
    cr_expect_eq(route_body_limit(&worker, METHOD_POST, BYTES_LITERAL("/input/post")), 1024);
    for (const char *const *path = (const char *const[]){"/input/bulk", "/input/bulk.json", NULL}; *path; path++) {
        cr_expect_eq(route_body_limit(&worker, METHOD_POST, bytes_of_text(*path)), 4 * 1024);
        cr_expect_eq(route_body_limit(&worker, METHOD_GET, bytes_of_text(*path)), 0);
    }
}

Test(route, operators_read_and_do_not_post)
{
    struct request request = make(METHOD_POST, "/obs");
    request.who = person_of("acme", ROLE_OPERATOR, "");
    request.content_format = CONTENT_FORMAT_SENML_JSON;
    cr_expect_eq(dispatch(&request), OUTCOME_FORBIDDEN);
    request = make(METHOD_GET, "/obs");
    request.who = person_of("acme", ROLE_OPERATOR, "");
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect(bytes_equal_text(answer.body, "[]"));
}

/* A pack of nothing is acknowledged without a store, which is all that is wanted here. */
static struct request make_empty_post(int accept)
{
    struct request request = make(METHOD_POST, "/obs");
    request.content_format = CONTENT_FORMAT_SENML_JSON;
    request.body = BYTES_LITERAL("[{\"bn\":\"a\"}]");
    request.accept = accept;
    return request;
}

Test(route, a_post_has_an_answer_body_only_if_one_is_named)
{
    static const struct {
        int accept, content_format;
    } cases[] = {{CONTENT_FORMAT_NONE, CONTENT_FORMAT_NONE}, {CONTENT_FORMAT_JSON, CONTENT_FORMAT_JSON},
                 {CONTENT_FORMAT_CBOR, CONTENT_FORMAT_CBOR}, {CONTENT_FORMAT_SENML_JSON, CONTENT_FORMAT_NONE},
                 {CONTENT_FORMAT_TEXT, CONTENT_FORMAT_NONE}, {REQUEST_FORMAT_UNKNOWN, CONTENT_FORMAT_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = make_empty_post(cases[i].accept);
        cr_expect_eq(dispatch(&request), OUTCOME_CHANGED);
        cr_expect_eq(answer.content_format, cases[i].content_format, "Accept %d", cases[i].accept);
        cr_expect_eq(answer.body.len > 0, cases[i].content_format != CONTENT_FORMAT_NONE);
        cr_expect_str_eq(answer.level, "spooled");
    }
}

Test(route, the_level_is_that_of_the_tenant_or_higher)
{
    static const struct query_parameter ask = {BYTES_LITERAL("level"), BYTES_LITERAL("")},
                                        more = {BYTES_LITERAL("level"), BYTES_LITERAL("replicated")},
                                        less = {BYTES_LITERAL("level"), BYTES_LITERAL("spooled")},
                                        bad = {BYTES_LITERAL("level"), BYTES_LITERAL("fine")};
    struct tenant_record tenant = {.id = "acme", .level = LEVEL_STORED};
    cr_assert(registry_put_tenant(shared.registry, &tenant));
    struct request request = make_empty_post(CONTENT_FORMAT_NONE);
    request.query_count = 1;
    request.query = &ask;
    cr_expect_eq(dispatch(&request), OUTCOME_CHANGED);
    cr_expect(bytes_equal_text(answer.body, "{\"level\":\"stored\",\"n\":0}"));
    request.query = &more;
    cr_expect_eq(dispatch(&request), OUTCOME_CHANGED);
    cr_expect(bytes_equal_text(answer.body, "{\"level\":\"replicated\",\"n\":0}"));
    request.query = &less;
    cr_expect_eq(dispatch(&request), OUTCOME_CHANGED);
    cr_expect(bytes_equal_text(answer.body, "{\"level\":\"stored\",\"n\":0}"));
    request.query = &bad;
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_VALUE);
    cr_expect(answer.detail && strstr(answer.detail, "replicated"));
    cr_expect_null(answer.level);
}

Test(route, sequences_that_disagree_are_refused)
{
    static const struct query_parameter query = {BYTES_LITERAL("n"), BYTES_LITERAL("3.17")};
    struct request request = make_empty_post(CONTENT_FORMAT_NONE);
    request.query = &query;
    request.query_count = 1;
    request.sequence = (struct sequence){true, 3, 17};
    cr_expect_eq(dispatch(&request), OUTCOME_CHANGED);
    request.body = BYTES_LITERAL("[{\"bn\":\"a\",\"epoch\":3,\"seq\":18}]");
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_VALUE);
    cr_expect_str_eq(answer.detail, "The sequence is said twice, differently.");
}

/* Else one that stands in front could judge the first and weir take the last. What is merged may repeat. */
Test(route, a_key_of_the_query_comes_once)
{
    static const struct {
        const char *names[2], *values[2];
        enum outcome outcome;
    } cases[] = {
        {{"d", "u"}, {"boiler-7", "Cel"}, OUTCOME_CHANGED},
        {{"d", "d"}, {"boiler-7", "other"}, OUTCOME_BAD_REQUEST},
        {{"d", "d"}, {"boiler-7", "boiler-7"}, OUTCOME_BAD_REQUEST},
        {{"d", "device"}, {"boiler-7", "other"}, OUTCOME_BAD_REQUEST},
        {{"format", "f"}, {"senml-json", "senml-json"}, OUTCOME_BAD_REQUEST},
        {{"f", "format"}, {"jws", "senml-json"}, OUTCOME_BAD_REQUEST},
        {{"u", "u"}, {"Cel", "K"}, OUTCOME_BAD_REQUEST},
        {{"what", "what"}, {"", "1"}, OUTCOME_BAD_REQUEST},
        {{"n", "n"}, {"3.17", "temp"}, OUTCOME_CHANGED},
        {{"n", "n"}, {"3.17", "3.18"}, OUTCOME_BAD_VALUE},
        {{"level", "level"}, {"", "spooled"}, OUTCOME_CHANGED},
        {{"t", "t"}, {"acme", "acme"}, OUTCOME_CHANGED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct query_parameter query[2];
        struct request request = make_empty_post(CONTENT_FORMAT_NONE);
        for (unsigned k = 0; k < 2; k++)
            query[k] = (struct query_parameter){bytes_of_text(cases[i].names[k]), bytes_of_text(cases[i].values[k])};
        request.query = query;
        request.query_count = 2;
        cr_expect_eq(dispatch(&request), cases[i].outcome, "%s and %s", cases[i].names[0], cases[i].names[1]);
        if (cases[i].outcome == OUTCOME_BAD_REQUEST)
            cr_expect(answer.detail && strstr(answer.detail, "once"));
    }
}

Test(route, a_query_has_64_parameters_over_any_wire)
{
    static struct query_parameter query[ROUTE_QUERY_MAX + 1];
    static char names[ROUTE_QUERY_MAX + 1][8];
    for (size_t i = 0; i < ROUTE_QUERY_MAX + 1; i++) {
        snprintf(names[i], sizeof names[i], "x%zu", i);
        query[i].name = bytes_of_text(names[i]);
    }
    struct request request = make_empty_post(CONTENT_FORMAT_NONE);
    request.query = query;
    request.query_count = ROUTE_QUERY_MAX;
    cr_expect_eq(dispatch(&request), OUTCOME_CHANGED);
    request.query_count++;
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_REQUEST);
}

Test(route, preconditions)
{
    struct request request = make(METHOD_POST, "/obs");
    request.content_format = CONTENT_FORMAT_TEXT;
    request.if_none_match = true;
    cr_expect_eq(dispatch(&request), OUTCOME_PRECONDITION);
    request.if_none_match = false;
    request.if_match_count = 1;
    request.if_match[0] = (struct etag){.octets = {1}, .len = 1};
    cr_expect_eq(dispatch(&request), OUTCOME_PRECONDITION);
    request.if_match[0].len = 0; /* "exists": goes on to the payload, which is empty */
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_NAME);
}

Test(route, time_in_three_formats)
{
    struct request request = make(METHOD_GET, "/time");
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect(bytes_equal_text(answer.body, "1763692800.125"));
    request = make(METHOD_GET, "/time");
    request.accept = CONTENT_FORMAT_JSON;
    dispatch(&request);
    cr_expect(bytes_equal_text(answer.body, "{\"t\":1763692800.125,\"ts\":1763692800,\"ts_ns\":125000000}"));
    request = make(METHOD_GET, "/time");
    request.accept = CONTENT_FORMAT_CBOR;
    dispatch(&request);
    cr_expect_eq(answer.content_format, CONTENT_FORMAT_CBOR);
    cr_expect_eq(answer.body.ptr[0], 0xa3);
}

static void store(const char *device, const char *name, const char *value)
{
    struct observation o = {.name = bytes_of_text(name), .time = {5, 0}, .kind = VALUE_NUMBER,
                            .number = {bytes_of_text(value), 1}};
    cr_assert(latest_put(shared.latest, BYTES_LITERAL("acme"), bytes_of_text(device), &o, o.time));
}

Test(route, latest_values_of_oneself_only)
{
    store("boiler-7", "temp", "21.50");
    store("boiler-8", "temp", "22");
    struct request request = make(METHOD_GET, "/obs");
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect(bytes_equal_text(answer.body, "[{\"n\":\"boiler-7:temp\",\"v\":21.50,\"t\":5}]"), "%.*s",
              (int)answer.body.len, answer.body.ptr);
    cr_expect(answer.observable);
    cr_expect_eq(answer.etag.len, 8);

    struct query_parameter other = {BYTES_LITERAL("device"), BYTES_LITERAL("boiler-8")};
    request = make(METHOD_GET, "/obs");
    request.query = &other;
    request.query_count = 1;
    cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND);

    request = make(METHOD_GET, "/obs");
    request.etags[0] = answer.etag;
    request.etag_count = 0;
    dispatch(&request);
    struct etag known = answer.etag;
    request = make(METHOD_GET, "/obs");
    request.etags[0] = known;
    request.etag_count = 1;
    cr_expect_eq(dispatch(&request), OUTCOME_VALID);
    cr_expect_eq(answer.body.len, 0);
}

Test(route, a_local_name_may_be_asked_for_with_or_without_its_device)
{
    static const char *const names[] = {"temp", "boiler-7:temp"};
    store("boiler-7", "temp", "21.50");
    for (size_t i = 0; i < 2; i++) {
        struct query_parameter name = {BYTES_LITERAL("name"), bytes_of_text(names[i])};
        struct request request = make(METHOD_GET, "/obs");
        request.query = &name;
        request.query_count = 1;
        dispatch(&request);
        cr_expect(bytes_equal_text(answer.body, "[{\"n\":\"boiler-7:temp\",\"v\":21.50,\"t\":5}]"), "%s", names[i]);
    }
}

Test(route, history_is_refused_not_ignored)
{
    struct query_parameter since = {BYTES_LITERAL("since"), BYTES_LITERAL("0")};
    struct request request = make(METHOD_GET, "/obs");
    request.query = &since;
    request.query_count = 1;
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_REQUEST);
}

static void put_device(const char *tenant, const char *id)
{
    struct credential psk = {
        .id = "psk", .kind = CREDENTIAL_PSK, .secret = {.octets = "secretsecret", .len = 12}};
    struct device_record record = {.created_s = 5, .credentials = &psk, .credential_count = 1};
    strcpy(record.tenant, tenant);
    strcpy(record.id, id);
    cr_assert(registry_put_device(shared.registry, &record));
}

static struct request make_of_operator(const char *path)
{
    struct request request = make(METHOD_GET, path);
    request.who = person_of("acme", ROLE_OPERATOR, "");
    return request;
}

Test(route, a_last_segment_is_a_parameter)
{
    static const struct {
        const char *path, *parameter; /* NULL: no match */
    } cases[] = {{"/devices/boiler-7", "boiler-7"}, {"/devices/*", "*"},  {"/devices/%2e", "%2e"}, {"/devices/", NULL},
                 {"/devices", NULL},                {"/devices/a/b", NULL}, {"/devicesx/a", NULL},   {"/device/a", NULL}};
    struct route route = {.path = "/devices/*"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes parameter;
        cr_assert_eq(route_matches(&route, bytes_of_text(cases[i].path), &parameter), cases[i].parameter != NULL, "%s",
                     cases[i].path);
        if (cases[i].parameter)
            cr_expect(bytes_equal_text(parameter, cases[i].parameter), "%s", cases[i].path);
    }
}

Test(route, several_segments_are_parameters)
{
    struct bytes parameters[REQUEST_PATH_PARAMETERS_MAX] = {{0}};
    struct route route = {.path = "/a/*/*/c"};
    cr_expect(route_matches(&route, BYTES_LITERAL("/a/x/yy/c"), parameters));
    cr_expect(bytes_equal_text(parameters[0], "x") && bytes_equal_text(parameters[1], "yy") && !parameters[2].ptr);
    static const char *const others[] = {"/a/x/yy/d", "/a/x/c", "/a/x/yy/c/", "/a/x/yy/c/e", "/a//yy/c", "/a/x//c",
                                         "/a/x/yy", "/", "", "a/x/yy/c"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect(!route_matches(&route, bytes_of_text(others[i]), NULL), "%s", others[i]);
}

/* Some of the legacy routes write by GET: over HTTP only, and not where nothing may change. */
Test(route, a_get_that_writes_is_http_only_and_no_head)
{
    struct request request = make(METHOD_GET, "/input/post");
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_METHOD, "CoAP");
    request = make(METHOD_GET, "/input/post");
    request.wire = WIRE_HTTP;
    request.is_head = true;
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_METHOD, "HEAD");
    request = make(METHOD_GET, "/input/post");
    request.wire = WIRE_HTTP;
    request.if_none_match = true;
    cr_expect_eq(dispatch(&request), OUTCOME_PRECONDITION);
    request = make(METHOD_GET, "/input/post");
    request.wire = WIRE_HTTP;
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_VALUE, "there is no data");
    cr_expect(bytes_starts_with(answer.body, BYTES_LITERAL("{\"success\": false, \"message\": ")), "as emonCMS says it");
}

Test(route, every_habit_is_a_route_and_every_such_route_a_habit)
{
    size_t count, habit_count, found = 0;
    const struct route *rows = route_table(&count);
    const char *const *paths = habits_paths(&habit_count);
    for (size_t i = 0; i < habit_count; i++) {
        size_t of_path = 0;
        for (size_t k = 0; k < count; k++)
            of_path += rows[k].security == ROUTE_HABIT && strcmp(rows[k].path, paths[i]) == 0;
        cr_expect_gt(of_path, 0, "%s", paths[i]);
        cr_expect(route_judges_keys(bytes_of_text(paths[i])));
        found += of_path;
    }
    for (size_t k = 0; k < count; k++)
        found -= rows[k].security == ROUTE_HABIT;
    cr_expect_eq(found, 0);
    cr_expect(!route_judges_keys(BYTES_LITERAL("/obs")));
}

Test(route, devices_are_for_operators_of_their_tenant)
{
    put_device("acme", "boiler-7");
    put_device("other", "lamp");
    struct request request = make(METHOD_GET, "/devices");
    cr_expect_eq(dispatch(&request), OUTCOME_FORBIDDEN, "a device");
    request = make(METHOD_POST, "/devices");
    cr_expect_eq(dispatch(&request), OUTCOME_FORBIDDEN, "nor does it make one");
    request = make(METHOD_DELETE, "/devices");
    cr_expect_eq(dispatch(&request), OUTCOME_BAD_METHOD);
    request = make_of_operator("/devices/lamp");
    cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "of another tenant");
    request = make_of_operator("/devices/boiler-8");
    cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "of nobody");
    request = make_of_operator("/devices");
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect(bytes_equal_text(answer.body, "{\"more\":false,\"devices\":[{\"id\":\"boiler-7\",\"site\":\"\",\"tags\":\"\","
                                            "\"profile\":\"\",\"disabled\":false,\"concentrator\":false}]}"),
              "%.*s", (int)answer.body.len, answer.body.ptr);
}

Test(route, a_device_is_shown_without_its_secret_also_when_redis_is_away)
{
    put_device("acme", "boiler-7");
    struct request request = make_of_operator("/devices/boiler-7");
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect(bytes_equal_text(
                  answer.body,
                  "{\"id\":\"boiler-7\",\"psk\":true,\"rpk\":false,\"site\":\"\",\"tags\":\"\",\"x509\":false,"
                  "\"clock\":{\"state\":\"unknown\",\"policy\":\"trust\"},\"prefix\":\"boiler-7\",\"created\":5,"
                  "\"profile\":\"\",\"delivery\":{\"level\":\"spooled\",\"levels\":{\"alarm\":\"spooled\","
                  "\"action\":\"spooled\",\"telemetry\":\"spooled\"}},\"disabled\":false,\"sessions\":0,"
                  "\"frame_key\":false,\"concentrator\":false,\"delivery_state\":\"unknown\"}"),
              "%.*s", (int)answer.body.len, answer.body.ptr);
    request.accept = CONTENT_FORMAT_CBOR;
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect_eq(answer.body.ptr[0], 0xb0);
}

Test(route, devices_come_in_pages)
{
    static const char *const ids[] = {"c", "a", "e", "b", "d"};
    struct query_parameter query[] = {{BYTES_LITERAL("limit"), BYTES_LITERAL("2")}, {BYTES_LITERAL("after"), BYTES_LITERAL("b")}};
    for (size_t i = 0; i < 5; i++)
        put_device("acme", ids[i]);
    struct request request = make_of_operator("/devices");
    request.query = query;
    request.query_count = 2;
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect(bytes_starts_with(answer.body, BYTES_LITERAL("{\"more\":true,\"devices\":[{\"id\":\"c\"")));
    query[1].value = BYTES_LITERAL("d");
    request = make_of_operator("/devices");
    request.query = query;
    request.query_count = 2;
    cr_expect_eq(dispatch(&request), OUTCOME_CONTENT);
    cr_expect(bytes_starts_with(answer.body, BYTES_LITERAL("{\"more\":false,\"devices\":[{\"id\":\"e\"")));
    static const char *const bad[] = {"", "0", "1001", "x", "-1"};
    for (size_t i = 0; i < 5; i++) {
        query[0].value = bytes_of_text(bad[i]);
        request = make_of_operator("/devices");
        request.query = query;
        request.query_count = 1;
        cr_expect_eq(dispatch(&request), OUTCOME_BAD_REQUEST, "%s", bad[i]);
    }
}

/* R4: another tenant is not there, for nobody, whatever they may do at home, and before anything else is told. */
Test(route, every_row_of_people_hides_other_tenants)
{
    static const struct query_parameter other = {BYTES_LITERAL("tenant"), BYTES_LITERAL("other")},
                                        nobody = {BYTES_LITERAL("tenant"), BYTES_LITERAL("nobody")};
    struct tenant_record tenant = {.id = "other"};
    size_t count;
    const struct route *rows = route_table(&count);
    cr_assert(registry_put_tenant(shared.registry, &tenant));
    put_device("other", "*");
    for (size_t i = 0; i < count; i++) {
        for (enum role role = ROLE_VIEWER; is_for_people(&rows[i]) && role <= ROLE_ADMIN; role++) {
            struct request request = make(rows[i].method, rows[i].path);
            request.who = person_of("acme", role, "");
            request.query = &other;
            request.query_count = 1;
            cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "%s as %s", rows[i].path, role_name(role));
        }
        struct request request = make(rows[i].method, rows[i].path);
        if (!is_for_people(&rows[i]))
            continue;
        request.who = person_of("weir", ROLE_ADMIN, "");
        request.query = &nobody;
        request.query_count = 1;
        cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "%s of a tenant that is not there", rows[i].path);
        request.who = person_of("weir", ROLE_ADMIN, "hall");
        request.query = &other;
        cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "%s for one who is limited to sites", rows[i].path);
        request.who = person_of("weir", ROLE_OPERATOR, "");
        cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "%s for one who is no admin", rows[i].path);
    }
}

Test(route, every_row_of_people_asks_for_a_role)
{
    size_t count;
    const struct route *rows = route_table(&count);
    for (size_t i = 0; i < count; i++) {
        enum role least = rows[i].security == ROUTE_VIEWER     ? ROLE_VIEWER
                          : rows[i].security == ROUTE_OPERATOR ? ROLE_OPERATOR
                                                               : ROLE_ADMIN;
        for (enum role role = ROLE_VIEWER; is_for_people(&rows[i]) && role < least; role++) {
            struct request request = make(rows[i].method, rows[i].path);
            request.who = person_of("acme", role, "");
            cr_expect_eq(dispatch(&request), OUTCOME_FORBIDDEN, "%s as %s", rows[i].path, role_name(role));
        }
        struct request request = make(rows[i].method, rows[i].path);
        if (!is_for_people(&rows[i]))
            continue;
        cr_expect_eq(dispatch(&request), OUTCOME_FORBIDDEN, "%s as a device", rows[i].path);
        request.who = person_of("acme", ROLE_ADMIN, "");
        registry_remove_token(shared.registry, bytes_of_text(request.who.key));
        cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "%s with a token that is gone", rows[i].path);
        request.who = person_of("acme", ROLE_ADMIN, "hall");
        if (rows[i].whole)
            cr_expect_eq(dispatch(&request), OUTCOME_NOT_FOUND, "%s for one who is limited to sites", rows[i].path);
    }
}

static void put_device_of_site(const char *id, const char *site)
{
    struct device_record record = {.tenant = "acme", .created_s = 5};
    strcpy(record.id, id);
    strcpy(record.site, site);
    cr_assert(registry_put_device(shared.registry, &record));
}

static enum outcome ask(const struct identity *who, const char *path, const char *name, const char *value)
{
    struct query_parameter query = {bytes_of_text(name), bytes_of_text(value)};
    struct request request = make(METHOD_GET, path);
    request.who = *who;
    request.query = &query;
    request.query_count = name[0] ? 1 : 0;
    return dispatch(&request);
}

static bool says(const char *text)
{
    return memmem(answer.body.ptr, answer.body.len, text, strlen(text)) != NULL;
}

Test(route, sites_limit_what_is_seen)
{
    put_device_of_site("one", "house-1");
    put_device_of_site("two", "house-2");
    put_device_of_site("none", "");
    store("one", "temp", "1");
    store("two", "temp", "2");
    store("none", "temp", "3");
    struct identity anna = person_of("acme", ROLE_VIEWER, "house-1,house-10"), all = person_of("acme", ROLE_VIEWER, "");
    cr_expect_eq(ask(&anna, "/devices", "", ""), OUTCOME_CONTENT);
    cr_expect(says("\"one\"") && !says("two") && !says("none"));
    cr_expect_eq(ask(&anna, "/obs", "", ""), OUTCOME_CONTENT);
    cr_expect(says("one:temp") && !says("two") && !says("none"), "%.*s", (int)answer.body.len, answer.body.ptr);
    cr_expect_eq(ask(&anna, "/obs", "name", "two:temp"), OUTCOME_CONTENT);
    cr_expect(bytes_equal_text(answer.body, "[]"));
    static const char *const hidden[] = {"two", "none", "nobody"};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        cr_expect_eq(ask(&anna, "/obs", "device", hidden[i]), OUTCOME_NOT_FOUND);
        snprintf(path, sizeof path, "/devices/%s", hidden[i]);
        cr_expect_eq(ask(&anna, path, "", ""), OUTCOME_NOT_FOUND);
        snprintf(path, sizeof path, "/devices/%s/log", hidden[i]);
        cr_expect_eq(ask(&anna, path, "", ""), OUTCOME_NOT_FOUND);
    }
    cr_expect_eq(ask(&anna, "/obs", "device", "one"), OUTCOME_CONTENT);
    cr_expect_eq(ask(&anna, "/devices/one/log", "", ""), OUTCOME_CONTENT);
    cr_expect_eq(ask(&all, "/obs", "", ""), OUTCOME_CONTENT);
    cr_expect(says("one:temp") && says("two:temp") && says("none:temp"));
    cr_expect_eq(ask(&all, "/obs", "tenant", "acme"), OUTCOME_CONTENT, "one's own may be named");
}

Test(route, an_admin_of_the_admin_tenant_sees_others)
{
    struct tenant_record tenant = {.id = "acme"};
    struct identity boss = person_of("weir", ROLE_ADMIN, "");
    cr_assert(registry_put_tenant(shared.registry, &tenant));
    put_device_of_site("one", "house-1");
    store("one", "temp", "1");
    cr_expect_eq(ask(&boss, "/devices", "tenant", "acme"), OUTCOME_CONTENT);
    cr_expect(says("\"one\""));
    cr_expect_eq(ask(&boss, "/devices", "", ""), OUTCOME_CONTENT);
    cr_expect(!says("one"));
    cr_expect_eq(ask(&boss, "/obs", "tenant", "acme"), OUTCOME_CONTENT);
    cr_expect(says("one:temp"));
    strcpy(settings.admin_tenant, "else");
    cr_expect_eq(ask(&boss, "/devices", "tenant", "acme"), OUTCOME_NOT_FOUND);
}
