// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One table of routes, one of dialects (how an answer is said). The path of a call: gather what it says -> identify
 * -> hide the key -> ingest -> answer in its dialect. Nothing of a key is ever put into an answer or the log.
 */
#include "gateway/habits.h"

#include "codec/inflate.h"
#include "codec/jsonout.h"
#include "gateway/emoncms_sealed.h"
#include "gateway/form.h"
#include "gateway/ingest.h"
#include "gateway/keys.h"
#include "gateway/route.h"
#include "gateway/worker.h"

#define SITE_PREFIX "gismolab_sgmp_house_"

struct call;

/* How a family of senders wants to be answered. */
struct dialect {
    void (*succeed)(const struct call *call, const struct verdict *verdict, struct response *response);
    /* Puts the words of an error into the response; NULL: problem details. */
    void (*describe)(const struct call *call, struct response *response);
};

struct habit {
    const char *path;   /* of the route */
    const char *format; /* of codec/format */
    const char *key;    /* the parameter that is the sender's key; NULL: only Authorization has one */
    const char *user;   /* one that stands beside the key and means nothing; NULL: none */
    const char *const *path_names; /* what the segments of the path are called as parameters; NULL: not said */
    const struct dialect *dialect;
};

/* One request. */
struct call {
    struct request *request;
    const struct habit *habit;
    struct format_parameter *parameters; /* path, query, form */
    size_t parameter_count;
    struct bytes payload;
    const char *sealed_answer; /* of emonCMS' encrypted form; else NULL */
};

/* --- dialects --- */

static bool has_parameter(const struct call *call, const char *name, struct bytes *ret)
{
    for (size_t i = 0; i < call->parameter_count; i++) {
        if (!bytes_equal_text(call->parameters[i].name, name))
            continue;
        *ret = call->parameters[i].value;
        return true;
    }
    return false;
}

static void put_text(struct response *response, int content_format, const char *text)
{
    response->content_format = content_format;
    response->body = bytes_of_text(text);
}

/* "before" message "after" as JSON; without memory the status alone must do. */
static void put_message(const struct call *call, struct response *response, const char *before, struct bytes message,
                        const char *after)
{
    struct builder out;
    builder_init(&out, call->request->arena, 128);
    builder_put_text(&out, before);
    jsonout_text(&out, message);
    builder_put_text(&out, after);
    if (builder_finish(&out, &response->body))
        response->content_format = CONTENT_FORMAT_JSON;
}

static struct bytes message_of(const struct response *response)
{
    return bytes_of_text(response->detail ? response->detail : outcome_row(response->outcome)->title);
}

/* emonHub repeats a batch for ever unless the body is these two letters. */
static void succeed_emoncms(const struct call *call, const struct verdict *verdict, struct response *response)
{
    struct bytes ignored;
    (void)verdict;
    if (call->sealed_answer)
        put_text(response, CONTENT_FORMAT_TEXT, call->sealed_answer);
    else if (has_parameter(call, "fulljson", &ignored))
        put_text(response, CONTENT_FORMAT_JSON, "{\"success\": true}");
    else
        put_text(response, CONTENT_FORMAT_TEXT, "ok");
}

static void describe_emoncms(const struct call *call, struct response *response)
{
    if (response->outcome == OUTCOME_UNAUTHENTICATED)
        put_text(response, CONTENT_FORMAT_TEXT, "Invalid API key");
    else
        put_message(call, response, "{\"success\": false, \"message\": ", message_of(response), "}");
}

/* A 200 without a body also where CoAP has a 2.04: there are no commands. */
static void succeed_ultralight(const struct call *call, const struct verdict *verdict, struct response *response)
{
    (void)verdict;
    if (call->request->wire == WIRE_HTTP)
        response->outcome = OUTCOME_CONTENT;
}

static void describe_influx_1(const struct call *call, struct response *response)
{
    put_message(call, response, "{\"error\":", message_of(response), "}");
}

static const char *influx_code(const struct response *response)
{
    static const struct {
        unsigned status;
        const char *code;
    } codes[] = {{401, "{\"code\":\"unauthorized\",\"message\":"},
                 {403, "{\"code\":\"forbidden\",\"message\":"},
                 {413, "{\"code\":\"request too large\",\"message\":"},
                 {429, "{\"code\":\"too many requests\",\"message\":"},
                 {503, "{\"code\":\"unavailable\",\"message\":"}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == outcome_row(response->outcome)->http_status)
            return codes[i].code;
    return "{\"code\":\"invalid\",\"message\":";
}

static void describe_influx_2(const struct call *call, struct response *response)
{
    put_message(call, response, influx_code(response), message_of(response), "}");
}

/* As InfluxDB: the good lines are in, and the sender hears of the first that is not. */
static void succeed_influx(const struct call *call, const struct verdict *verdict, struct response *response)
{
    size_t number = 0;
    struct builder out;
    struct bytes text;
    if (!verdict->refused)
        return;
    while (number < verdict->line_count && !verdict->lines[number].is_refused)
        number++;
    if (number == verdict->line_count)
        return;
    const struct verdict_line *line = &verdict->lines[number];
    *response = response_of(line->outcome);
    builder_init(&out, call->request->arena, 128);
    builder_put_text(&out, "partial write: line ");
    builder_put_uint(&out, number + 1);
    builder_put_text(&out, ": ");
    builder_put_text(&out, line->detail ? line->detail : outcome_row(line->outcome)->title);
    builder_put_text(&out, " dropped=");
    builder_put_uint(&out, verdict->refused);
    builder_put_byte(&out, 0);
    if (builder_finish(&out, &text))
        response->detail = (const char *)text.ptr;
    call->habit->dialect->describe(call, response);
}

static const struct dialect emoncms = {succeed_emoncms, describe_emoncms};
static const struct dialect ultralight = {succeed_ultralight, NULL};
static const struct dialect influx_1 = {succeed_influx, describe_influx_1};
static const struct dialect influx_2 = {succeed_influx, describe_influx_2};
static const struct dialect receipts = {NULL, NULL}; /* as POST /obs */

/* --- routes --- */

static const char *const node_in_path[] = {"node", NULL};
static const char *const sgmp_path[] = {"house", "device_id", "device_name", "timestamp", NULL};

static const struct habit habits[] = {
    {"/input/post", "emoncms-post", "apikey", NULL, NULL, &emoncms},
    {"/input/post.json", "emoncms-post", "apikey", NULL, NULL, &emoncms},
    {"/input/post/*", "emoncms-post", "apikey", NULL, node_in_path, &emoncms},
    {"/input/bulk", "emoncms-bulk", "apikey", NULL, NULL, &emoncms},
    {"/input/bulk.json", "emoncms-bulk", "apikey", NULL, NULL, &emoncms},
    {"/emoncms/input/post", "emoncms-post", "apikey", NULL, NULL, &emoncms},
    {"/emoncms/input/post.json", "emoncms-post", "apikey", NULL, NULL, &emoncms},
    {"/emoncms/input/post/*", "emoncms-post", "apikey", NULL, node_in_path, &emoncms},
    {"/emoncms/input/bulk", "emoncms-bulk", "apikey", NULL, NULL, &emoncms},
    {"/emoncms/input/bulk.json", "emoncms-bulk", "apikey", NULL, NULL, &emoncms},
    {"/iot/d", "ultralight", "k", NULL, NULL, &ultralight},
    {"/write", "influx", "p", "u", NULL, &influx_1},
    {"/api/v2/write", "influx", NULL, NULL, NULL, &influx_2},
    {"/rkdap", "rkdap", NULL, NULL, NULL, &receipts},
    {"/gismolab_sgmp_read/*/*/*/*/data", "sgmp", NULL, NULL, sgmp_path, &receipts},
    {"/gismolab_sgmp_read/*/*/*/*/event", "sgmp", NULL, NULL, sgmp_path, &receipts},
};

#define HABIT_COUNT (sizeof habits / sizeof habits[0])

const char *const *habits_paths(size_t *ret_count)
{
    static const char *paths[HABIT_COUNT];
    for (size_t i = 0; i < HABIT_COUNT; i++)
        paths[i] = habits[i].path;
    *ret_count = HABIT_COUNT;
    return paths;
}

static const struct habit *find_habit(const char *path)
{
    for (size_t i = 0; i < HABIT_COUNT; i++)
        if (strcmp(habits[i].path, path) == 0)
            return &habits[i];
    return NULL;
}

/* --- answers --- */

static void refuse_call(const struct call *call, enum outcome outcome, const char *detail, int64_t max_age_s)
{
    struct response response = response_of(outcome);
    response.detail = detail;
    response.max_age_s = max_age_s;
    if (call->habit->dialect->describe)
        call->habit->dialect->describe(call, &response);
    request_finish(call->request, &response);
}

static void settled(struct request *request, void *ctx, const struct verdict *verdict)
{
    const struct call *call = ctx;
    const struct dialect *dialect = call->habit->dialect;
    if (!dialect->succeed) {
        ingest_answer(request, NULL, verdict);
        return;
    }
    if (!outcome_is_success(verdict->outcome)) {
        refuse_call(call, verdict->outcome, verdict->error.detail, ingest_retry_s(verdict->outcome));
        return;
    }
    struct response response = response_of(OUTCOME_CHANGED);
    response.level = delivery_level_name(verdict->level);
    response.duplicate = verdict->duplicate;
    dialect->succeed(call, verdict, &response);
    request_finish(request, &response);
}

/* --- what the request says --- */

static bool add_parameters(struct call *call, const struct format_parameter *items, size_t count)
{
    struct format_parameter *all =
        arena_calloc(call->request->arena, call->parameter_count + count + 1, sizeof *all);
    if (!all)
        return false;
    if (call->parameter_count)
        memcpy(all, call->parameters, call->parameter_count * sizeof *all);
    if (count)
        memcpy(all + call->parameter_count, items, count * sizeof *all);
    call->parameters = all;
    call->parameter_count += count;
    return true;
}

/* "boiler.json" is the node boiler, as emonCMS reads the last segment of a path. */
static struct bytes node_of(struct bytes segment)
{
    struct bytes end = BYTES_LITERAL(".json");
    bool has_end = segment.len > end.len &&
                   bytes_equal(bytes_of(segment.ptr + segment.len - end.len, end.len), end);
    return has_end ? bytes_of(segment.ptr, segment.len - end.len) : segment;
}

static bool add_path_and_query(struct call *call)
{
    const struct request *request = call->request;
    const char *const *names = call->habit->path_names;
    struct format_parameter *items =
        arena_calloc(request->arena, REQUEST_PATH_PARAMETERS_MAX + request->query_count, sizeof *items);
    size_t count = 0;
    if (!items)
        return false;
    for (; names && names[count]; count++)
        items[count] = (struct format_parameter){bytes_of_text(names[count]), request->path_parameters[count]};
    if (names == node_in_path)
        items[0].value = node_of(items[0].value);
    for (size_t i = 0; i < request->query_count; i++)
        items[count++] = (struct format_parameter){request->query[i].name, request->query[i].value};
    call->parameters = items;
    call->parameter_count = count;
    return true;
}

/* Of these gateway/claim looks at all; and what has no name nobody asks for. */
static bool may_repeat(struct bytes name)
{
    return bytes_equal_text(name, "n") || bytes_equal_text(name, "level") || name.len == 0;
}

/* Path, query and form say a thing once: of two values who stands in front of weir may judge one, and the format take
 * the other. */
static bool check_once(const struct call *call, struct refusal *reterr)
{
    const struct format_parameter *all = call->parameters;
    for (size_t i = 1; i < call->parameter_count; i++)
        for (size_t k = 0; k < i; k++)
            if (bytes_equal(all[i].name, all[k].name) && !may_repeat(all[i].name))
                return refuse(reterr, OUTCOME_BAD_REQUEST, "A parameter is there twice, in path, query or form.",
                              SIZE_MAX);
    return true;
}

/* Only emonCMS has forms, and no compressed body is one; others are posted by curl, which says "form" of anything. */
static bool has_form(const struct call *call)
{
    struct bytes ignored;
    return call->habit->dialect == &emoncms && call->request->content_format == CONTENT_FORMAT_FORM &&
           !has_parameter(call, "cb", &ignored);
}

static bool gather(struct call *call, struct refusal *reterr)
{
    struct form form;
    struct request *request = call->request;
    if (!add_path_and_query(call))
        return refuse_memory(reterr);
    if (request->is_gzip && !inflate_whole(request->body, request->worker->shared->settings->body_max, request->arena,
                                           &request->body, reterr))
        return false;
    if (!has_form(call)) {
        call->payload = request->body;
        return check_once(call, reterr);
    }
    if (!form_read(request->body, request->arena, &form, reterr))
        return false;
    if (!add_parameters(call, form.items, form.count))
        return refuse_memory(reterr);
    return check_once(call, reterr);
}

/* Format and identity of a message are made without it. */
static void hide(struct call *call, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; name && i < call->parameter_count; i++)
        if (!bytes_equal_text(call->parameters[i].name, name))
            call->parameters[kept++] = call->parameters[i];
    if (name)
        call->parameter_count = kept;
}

/* --- who it is --- */

/* The first place that has one decides. An empty one is one, and wrong. */
static bool find_key(struct call *call, struct bytes *ret)
{
    struct request *request = call->request;
    if (request->authorization.len) {
        *ret = keys_in_authorization(request->authorization, request->arena);
        return true;
    }
    return call->habit->key && has_parameter(call, call->habit->key, ret);
}

#define REGISTRY_RETRY_S 5

/* Somebody has tried a key that opens nothing. */
static void refuse_key(const struct call *call)
{
    const struct request *request = call->request;
    if (!request->worker->shared->registry_loaded) {
        refuse_call(call, OUTCOME_STORE_AWAY, "Nobody is known yet: the registry has not been read from Redis.",
                    REGISTRY_RETRY_S);
        return;
    }
    int64_t wait_s = request->key_failed(request);
    if (wait_s > 0)
        refuse_call(call, OUTCOME_TOO_MANY, "Too many wrong keys came from this address.", wait_s);
    else
        refuse_call(call, OUTCOME_UNAUTHENTICATED, "The key is not known or not valid any more.", -1);
}

/* What was sealed is a form in which nothing is encoded. */
static bool add_sealed(struct call *call, struct bytes text, struct refusal *reterr)
{
    struct form form;
    if (!emoncms_sealed_parameters(text, call->request->arena, &form.items, &form.count))
        return refuse_memory(reterr);
    if (form.count > FORM_PARAMETERS_MAX)
        return refuse(reterr, OUTCOME_TOO_COMPLEX, "A form has at most 64 fields.", SIZE_MAX);
    if (!add_parameters(call, form.items, form.count))
        return refuse_memory(reterr);
    return check_once(call, reterr);
}

/* emonCMS' encrypted form proves its sender by its content. False: answered. */
static bool open_sealed(struct call *call)
{
    struct request *request = call->request;
    struct emoncms_sealed_claim claim;
    struct emoncms_sealed_text *text = arena_calloc(request->arena, 1, sizeof *text);
    struct format_error error = {.offset = SIZE_MAX};
    struct refusal refusal;
    bool compressed = request->content_format == CONTENT_FORMAT_SEALED_ZLIB;
    if (!text || !emoncms_sealed_parse(request->authorization, &claim)) {
        refuse_key(call);
        return false;
    }
    struct bytes key = keys_of_token(request, claim.tenant, claim.device); /* USERID is TENANT/TOKEN */
    size_t most_bytes = request->worker->shared->settings->body_max;
    enum outcome outcome = emoncms_sealed_open(&claim, request->body, compressed, &key, key.len ? 1 : 0, most_bytes,
                                               request->arena, text, &error);
    if (outcome == OUTCOME_UNAUTHENTICATED ||
        (outcome_is_success(outcome) && !keys_check(request, key, &request->who))) {
        refuse_key(call);
        return false;
    }
    if (outcome_is_success(outcome) && !add_sealed(call, text->text, &refusal))
        outcome = refusal_report(&refusal, &error);
    if (!outcome_is_success(outcome)) {
        refuse_call(call, outcome, error.detail, ingest_retry_s(outcome));
        return false;
    }
    call->payload = (struct bytes){0};
    call->sealed_answer = text->answer;
    return true;
}

static bool is_sealed(const struct call *call)
{
    int content_format = call->request->content_format;
    return call->habit->dialect == &emoncms &&
           (content_format == CONTENT_FORMAT_SEALED || content_format == CONTENT_FORMAT_SEALED_ZLIB);
}

/* False: answered. */
static bool identify(struct call *call)
{
    struct request *request = call->request;
    struct bytes key;
    if (request->key_failed && is_sealed(call))
        return open_sealed(call);
    if (request->key_failed && find_key(call, &key) && !keys_check(request, key, &request->who)) {
        refuse_key(call);
        return false;
    }
    if (request->who.kind == IDENTITY_NONE) {
        refuse_call(call, OUTCOME_UNAUTHENTICATED, "Nothing here proves who speaks: a key or DTLS is missing.", -1);
        return false;
    }
    if (request->who.kind == IDENTITY_OPERATOR) {
        refuse_call(call, OUTCOME_FORBIDDEN, "Observations come from devices; an operator's token reads.", -1);
        return false;
    }
    return true;
}

/* --- SGMP --- */

/* The house in the path is the site of who speaks; on a mapped network, of the device that is named. */
static bool is_own_house(const struct call *call, struct bytes house)
{
    const struct request *request = call->request;
    bool is_device = request->who.kind == IDENTITY_DEVICE;
    struct bytes id = is_device ? bytes_of_text(request->who.device) : request->path_parameters[2];
    const struct device_record *device =
        schema_device_is_valid(id)
            ? registry_device(request->worker->shared->registry, bytes_of_text(request->who.tenant), id)
            : NULL;
    struct bytes prefix = BYTES_LITERAL(SITE_PREFIX);
    if (!device || !device->site[0])
        return false;
    if (bytes_equal_text(house, device->site))
        return true;
    return bytes_starts_with(house, prefix) &&
           bytes_equal_text(bytes_of(house.ptr + prefix.len, house.len - prefix.len), device->site);
}

/* False: answered. */
static bool check_house(struct call *call)
{
    static const char event[] = "/event";
    const char *path = call->habit->path;
    bool is_event = strcmp(path + strlen(path) - (sizeof event - 1), event) == 0;
    struct format_parameter kind = {BYTES_LITERAL("kind"), is_event ? BYTES_LITERAL("event") : BYTES_LITERAL("data")};
    if (call->habit->path_names != sgmp_path)
        return true;
    if (!is_own_house(call, call->request->path_parameters[0])) {
        refuse_call(call, OUTCOME_FORBIDDEN, "The house in the path is not the site of the device that speaks.", -1);
        return false;
    }
    if (!add_parameters(call, &kind, 1)) {
        refuse_call(call, OUTCOME_OUT_OF_MEMORY, NULL, SINK_RETRY_S);
        return false;
    }
    return true;
}

/* --- FIWARE --- */

/* The device has nothing to say: it asks for commands, of which there are none. True: answered. */
static bool answer_poll(const struct call *call)
{
    struct bytes wanted, data;
    if (call->habit->dialect != &ultralight || call->payload.len ||
        !has_parameter(call, "getCmd", &wanted) || !bytes_equal_text(wanted, "1") ||
        (has_parameter(call, "d", &data) && data.len))
        return false;
    struct response response = response_of(OUTCOME_CHANGED);
    succeed_ultralight(call, NULL, &response);
    request_finish(call->request, &response);
    return true;
}

/* --- the call --- */

static void run(struct call *call)
{
    struct translation translation;
    struct request *request = call->request;
    hide(call, call->habit->key);
    hide(call, call->habit->user);
    translate_choose_fixed(request, format_by_name(bytes_of_text(call->habit->format)), &translation);
    struct ingest_source source = {
        .translation = &translation,
        .payload = call->payload,
        .parameters = call->parameters,
        .parameter_count = call->parameter_count,
        .content = call->parameters,
        .content_count = call->parameter_count,
    };
    ingest_translate(request, &source, settled, call);
}

/* What a GET does must not be done by a HEAD, nor where the path between may cache or repeat it. */
static bool may_write(const struct request *request)
{
    return request->method != METHOD_GET || (request->wire == WIRE_HTTP && !request->is_head);
}

void habits_handle(struct request *request)
{
    struct call *call = arena_calloc(request->arena, 1, sizeof *call);
    struct refusal refusal;
    if (!call) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    *call = (struct call){.request = request, .habit = find_habit(request->route->path)};
    if (!may_write(request)) {
        request_refuse(request, OUTCOME_BAD_METHOD, NULL);
        return;
    }
    if (!gather(call, &refusal)) {
        refuse_call(call, refusal.outcome, refusal.detail, ingest_retry_s(refusal.outcome));
        return;
    }
    if (identify(call) && check_house(call) && !answer_poll(call))
        run(call);
}

void habits_handle_ping(struct request *request)
{
    struct response response = response_of(request->wire == WIRE_HTTP ? OUTCOME_CHANGED : OUTCOME_CONTENT);
    request_finish(request, &response);
}
