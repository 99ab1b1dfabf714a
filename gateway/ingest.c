// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The middle of the path: request -> translate -> rights -> rules -> sink -> latest -> answer.
 *
 * The body is copied to the request's arena first, because observations borrow from it and must outlive this
 * turn: the answer, the latest values and the observers wait for the sink's confirmation. Nothing is
 * acknowledged before that.
 */
#include "gateway/ingest.h"

#include "codec/naming.h"
#include "gateway/cumulative.h"
#include "gateway/prove.h"
#include "gateway/quarantine.h"
#include "gateway/rights.h"
#include "gateway/rt/crash.h"
#include "gateway/worker.h"

/* What the texts of all records may have beyond the size of a body, by base names and units that are
 * repeated. */
#define REPEATED_TEXT_MAX ((size_t)256 << 10)

#define CLASS_OF_OBS 't' /* telemetry, unless the payload says otherwise */

/* A request on its way, until all its messages are settled. */
struct job {
    struct request *request;
    ingest_done_fn *done;
    void *ctx;
    const struct proof *proof; /* NULL: the transport vouches */
    struct bytes brought_by;
    struct verdict verdict;
    size_t pending; /* messages that the sink has */
};

/* One message of it: all of the payload, one line, or one part. */
struct message {
    struct job *job;
    size_t line; /* from 1; 0: the whole */
    struct sink_record *records;
    size_t count;
};

/* --- the end --- */

static void remember_latest(const struct message *message)
{
    const struct request *request = message->job->request;
    struct worker *worker = request->worker;
    struct bytes tenant = bytes_of_text(request->who.tenant);
    for (size_t i = 0; i < message->count; i++) {
        struct bytes device = message->records[i].device;
        struct observation series = *message->records[i].observation;
        series.name = rights_local_name(device, series.name);
        if (latest_is_plausible(series.time, request->received))
            latest_put(worker->shared->latest, tenant, device, &series, request->received);
        if (i + 1 == message->count || !bytes_equal(device, message->records[i + 1].device))
            worker_changed(worker, tenant, device);
    }
}

static void note_refusal(struct job *job, size_t line, enum outcome outcome, const struct format_error *error)
{
    if (line) {
        verdict_refused(&job->verdict, line, outcome, error->detail);
        return;
    }
    job->verdict.outcome = outcome;
    job->verdict.error = *error;
}

static void end(struct job *job)
{
    if (job->verdict.lines)
        verdict_settle(&job->verdict);
    job->done(job->request, job->ctx, &job->verdict);
}

static void confirmed(void *ctx, enum outcome outcome, const struct sink_receipt *receipt)
{
    struct message *message = ctx;
    struct job *job = message->job;
    job->pending--;
    if (outcome_is_success(outcome)) {
        if (!receipt->duplicate)
            remember_latest(message);
        verdict_stored(&job->verdict, receipt, message->count);
    } else {
        const char *detail = outcome == OUTCOME_LEVEL_MISSED
                                 ? "Redis does not sync before it answers, or too few replicas have it."
                                 : NULL;
        note_refusal(job, message->line, outcome,
                     &(struct format_error){.detail = detail, .offset = SIZE_MAX});
    }
    if (job->pending == 0)
        end(job);
}

int64_t ingest_retry_s(enum outcome outcome)
{
    if (outcome == OUTCOME_TOO_MANY)
        return PROVE_HOLD_S;
    if (outcome_row(outcome)->http_status != 503)
        return -1;
    return outcome == OUTCOME_CODEC_QUARANTINED ? QUARANTINE_RETRY_S : SINK_RETRY_S;
}

static void answer_refusal(struct request *request, const struct verdict *verdict)
{
    struct response response = response_of(verdict->outcome);
    response.detail = verdict->error.detail;
    response.offset = verdict->error.offset;
    response.max_age_s = ingest_retry_s(verdict->outcome);
    if (verdict->lines)
        (void)verdict_answer(verdict, request, &response);
    request_finish(request, &response);
}

/* Without memory for the body the code alone must do. */
void ingest_answer(struct request *request, void *ctx, const struct verdict *verdict)
{
    (void)ctx;
    if (!outcome_is_success(verdict->outcome)) {
        answer_refusal(request, verdict);
        return;
    }
    struct response response = response_of(OUTCOME_CHANGED);
    struct sink_receipt receipt = {.level = verdict->level, .duplicate = verdict->duplicate};
    bool wanted = verdict->wants_receipt || request->accept != CONTENT_FORMAT_NONE;
    response.level = delivery_level_name(receipt.level);
    response.duplicate = receipt.duplicate;
    if (verdict->lines && (wanted || verdict->refused))
        (void)verdict_answer(verdict, request, &response);
    else if (wanted)
        (void)claim_receipt_body(request, &receipt, verdict->records, &response);
    request_finish(request, &response);
}

/* --- one message --- */

/* A base unit of 50 kB costs a payload little and the stream 50 kB for each record. */
static bool repeats_too_much(const struct request *request, const struct observation *items, size_t count)
{
    size_t room = request->worker->shared->settings->body_max + REPEATED_TEXT_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct observation *observation = &items[i];
        bool has_data = observation->kind == VALUE_TEXT || observation->kind == VALUE_BYTES;
        size_t len = observation->name.len + observation->unit.len + observation->content_type.len +
                     (has_data ? observation->data.len : 0);
        if (len > room)
            return true;
        room -= len;
    }
    return false;
}

/* Whose record is each one? The ids are copied: the registry may change before the sink confirms. */
static enum outcome assign_devices(const struct request *request, struct observation_list *list,
                                   struct bytes named_device, struct sink_record *records)
{
    struct rights_question question = {
        .registry = request->worker->shared->registry,
        .who = &request->who,
        .named_device = named_device,
        .proven = list->proven,
    };
    struct bytes last = {0};
    for (size_t i = 0; i < list->count; i++) {
        struct rights_answer answer;
        question.observation = &list->items[i];
        enum outcome outcome = rights_judge(&question, &answer);
        if (!outcome_is_success(outcome))
            return outcome;
        if (list->proven && i > 0 && !bytes_equal(answer.device, last))
            return OUTCOME_FOREIGN_NAME;
        if ((!bytes_equal(answer.device, last) && !arena_copy(request->arena, answer.device, &last)) ||
            (answer.keeps_node && !naming_join_node(request->arena, &list->items[i])))
            return OUTCOME_OUT_OF_MEMORY;
        records[i] = (struct sink_record){.device = last, .observation = &list->items[i]};
    }
    return OUTCOME_CHANGED;
}

/* The level that the tenant demands; mapped networks have tenants that nobody made a record of. */
static enum delivery_level level_of_tenant(const struct request *request)
{
    const struct tenant_record *tenant =
        registry_tenant(request->worker->shared->registry, bytes_of_text(request->who.tenant));
    return tenant ? (enum delivery_level)tenant->level : LEVEL_SPOOLED;
}

/* Copied: the registry may change before the sink has written the record. */
static bool copy_tags(struct arena *arena, const struct rule_record *rule, struct sink_record *record)
{
    struct record_field *tags = arena_calloc(arena, rule->tag_count, sizeof *tags);
    for (size_t i = 0; tags && i < rule->tag_count; i++)
        if (!arena_copy(arena, bytes_of_text(rule->tags[i].name), &tags[i].name) ||
            !arena_copy(arena, bytes_of_text(rule->tags[i].value), &tags[i].value))
            return false;
    record->tags = tags;
    record->tag_count = rule->tag_count;
    return tags != NULL;
}

/* Which stream each record goes to, and what is written behind it. Neighbours mostly share a rule, and its
 * copy. */
static enum outcome assign_streams(const struct request *request, char class, struct sink_record *records,
                                   size_t count)
{
    struct registry_series series = {.tenant = bytes_of_text(request->who.tenant), .class = class};
    const struct rule_record *last = NULL;
    for (size_t i = 0; i < count; i++) {
        struct sink_record *record = &records[i];
        series.device = record->device;
        series.name = rights_local_name(record->device, record->observation->name);
        const struct rule_record *rule = registry_route(request->worker->shared->registry, &series);
        if (rule && rule == last) {
            record->stream = records[i - 1].stream;
            record->tags = records[i - 1].tags;
            record->tag_count = records[i - 1].tag_count;
        } else if (rule && (!arena_copy(request->arena, bytes_of_text(rule->stream), &record->stream) ||
                            (rule->tag_count && !copy_tags(request->arena, rule, record)))) {
            return OUTCOME_OUT_OF_MEMORY;
        }
        last = rule;
    }
    return OUTCOME_CHANGED;
}

static struct clocks_question ask_clocks(const struct request *request)
{
    return (struct clocks_question){
        .registry = request->worker->shared->registry,
        .tenant = bytes_of_text(request->who.tenant),
        .speaker = bytes_of_text(request->who.device),
        .received = request->received,
        .metrics = &request->worker->metrics,
        .pace = &request->worker->clocks_pace,
    };
}

/* What the clocks of the devices are worth; a time that is refused refuses all of the message. */
static enum outcome judge_times(const struct request *request, struct observation_list *list,
                                const struct sink_record *records)
{
    struct clocks_question question = ask_clocks(request);
    return clocks_apply_all(request->worker->shared->clocks, &question, list->items, records, list->count);
}

/*
 * A clock that is replaced may stand where it stood after the last boot. Not so for what is signed: there the
 * times are held against the receipt (claim_judge_replay), so those that are worthless are refused, and the
 * others keep whoever has seen the message from having it stored again.
 */
static bool has_worthless_times(const struct request *request, const struct sink_message *message)
{
    struct clocks_question question = ask_clocks(request);
    return !message->proof && clocks_replace_any(&question, message->records, message->count);
}

static bool mark_counters(const struct request *request, struct observation_list *list,
                          const struct sink_record *records)
{
    const struct shared *shared = request->worker->shared;
    struct cumulative_question question = {
        .registry = shared->registry,
        .tenant = bytes_of_text(request->who.tenant),
        .units = bytes_of_text(shared->settings->cumulative_units),
        .received = request->received,
        .arena = request->arena,
    };
    return cumulative_mark_all(&question, list->items, records, list->count);
}

/* Who a message is counted of: whom the payload proves; else who speaks, else the first device that is
 * named. */
static struct sink_message address(const struct request *request, const struct observation_list *list,
                                   const struct message *message)
{
    const struct job *job = message->job;
    bool is_device = request->who.kind == IDENTITY_DEVICE && !list->proven;
    return (struct sink_message){
        .tenant = bytes_of_text(request->who.tenant),
        .records = message->records,
        .count = message->count,
        .class = list->class ? list->class : CLASS_OF_OBS,
        .evidence = list->proven ? EVIDENCE_FRAME : request->who.evidence,
        .proof = job->proof && message->count ? &job->proof->sink : NULL, /* evidence is of records */
        .brought_by = job->brought_by.len ? job->brought_by : bytes_of_text(request->who.device),
        .speaker = is_device ? bytes_of_text(request->who.device) : message->records[0].device,
    };
}

/* What clocks, counters and rules say of records that are addressed. */
static enum outcome complete(const struct request *request, struct observation_list *list,
                             struct sink_record *records, char class)
{
    enum outcome outcome = judge_times(request, list, records);
    if (!outcome_is_success(outcome))
        return outcome;
    if (!mark_counters(request, list, records))
        return OUTCOME_OUT_OF_MEMORY;
    return assign_streams(request, class, records, list->count);
}

static bool identify(const struct request *request, const struct claim *claim,
                     const struct claim_content *content, struct sink_message *message)
{
    if (!claim_identify(claim, request, content, message))
        return false;
    if (message->identity_class != CLASS_WINDOWED || !has_worthless_times(request, message))
        return true;
    struct claim_content by_exchange = *content;
    by_exchange.by_exchange = true;
    return claim_identify(claim, request, &by_exchange, message);
}

/* The message is recognised by what was sent, so that comes before anything is changed in it. */
static enum outcome hand_over(struct message *message, struct observation_list *list,
                              const struct claim *claim, const struct claim_content *content,
                              struct format_error *reterr)
{
    struct request *request = message->job->request;
    enum outcome outcome = assign_devices(request, list, content->device, message->records);
    if (!outcome_is_success(outcome))
        return outcome;
    struct sink_message sink_message = address(request, list, message);
    if (!identify(request, claim, content, &sink_message))
        return OUTCOME_INTERNAL;
    if (sink_message.proof)
        outcome = claim_judge_replay(&sink_message, request->received,
                                     request->worker->shared->settings->once_window_s, &reterr->detail);
    if (!outcome_is_success(outcome))
        return outcome;
    outcome = complete(request, list, message->records, sink_message.class);
    if (!outcome_is_success(outcome))
        return outcome;
    CRASH_POINT("S2");
    return sink_append(request->worker->sink, &sink_message, confirmed, message);
}

static enum outcome refuse_repetition(struct format_error *reterr)
{
    reterr->detail = "The names and units of all records together are too long.";
    return OUTCOME_TOO_LARGE;
}

/* OUTCOME_CHANGED: the sink has it, and will confirm. */
static enum outcome take(struct job *job, size_t line, struct observation_list *list,
                         const struct claim *claim, const struct claim_content *content,
                         struct format_error *reterr)
{
    struct request *request = job->request;
    if (repeats_too_much(request, list->items, list->count))
        return refuse_repetition(reterr);
    struct message *message = arena_calloc(request->arena, 1, sizeof *message);
    struct sink_record *records = arena_calloc(request->arena, list->count, sizeof *records);
    if (!message || !records)
        return OUTCOME_OUT_OF_MEMORY;
    *message = (struct message){.job = job, .line = line, .records = records, .count = list->count};
    enum outcome outcome = hand_over(message, list, claim, content, reterr);
    if (outcome_is_success(outcome))
        job->pending++;
    return outcome;
}

/* --- a payload of parts --- */

/* All messages of a request are in flight together, and others beside them: with more it would never be taken. */
static bool is_in_parts(const struct job *job, const struct observation_list *list, const struct claim *claim)
{
    size_t in_flight_max = job->request->worker->shared->settings->in_flight_max;
    size_t most = in_flight_max / 2 < INGEST_LINES_MAX ? in_flight_max / 2 : INGEST_LINES_MAX;
    return list->part_count > 0 && list->part_count <= most && !claim->sequence.given && !job->proof;
}

/* Nothing but its text makes another one of it: what the query says besides may differ when it comes again. */
static enum outcome hand_over_part(struct message *message, const struct observation_list *list,
                                   const struct observation_part *part, const struct claim *claim,
                                   const struct claim_content *whole)
{
    struct request *request = message->job->request;
    struct sink_message sink_message = address(request, list, message);
    struct claim_content content = {
        .content_format = whole->content_format,
        .device = whole->device,
        .payload = part->text,
        .has_own_time = true,
    };
    if (!claim_identify(claim, request, &content, &sink_message))
        return OUTCOME_INTERNAL;
    CRASH_POINT("S2");
    return sink_append(request->worker->sink, &sink_message, confirmed, message);
}

/* All of them, up to one that the sink refuses; all that can be wrong with them is found before the first. */
static enum outcome take_parts(struct job *job, struct observation_list *list, const struct claim *claim,
                               const struct claim_content *content, struct format_error *reterr)
{
    struct request *request = job->request;
    struct message *messages = arena_calloc(request->arena, list->part_count, sizeof *messages);
    struct sink_record *records = arena_calloc(request->arena, list->count, sizeof *records);
    size_t first = 0;
    if (!messages || !records)
        return OUTCOME_OUT_OF_MEMORY;
    for (size_t i = 0; i < list->part_count; first += list->parts[i++].count) {
        size_t count = list->parts[i].count;
        if (repeats_too_much(request, &list->items[first], count))
            return refuse_repetition(reterr);
        messages[i] = (struct message){.job = job, .records = &records[first], .count = count};
    }
    enum outcome outcome = assign_devices(request, list, content->device, records);
    if (outcome_is_success(outcome))
        outcome = complete(request, list, records, list->class ? list->class : CLASS_OF_OBS);
    for (size_t i = 0; i < list->part_count && outcome_is_success(outcome); i++) {
        outcome = hand_over_part(&messages[i], list, &list->parts[i], claim, content);
        if (outcome_is_success(outcome))
            job->pending++;
    }
    return outcome;
}

/* --- a request --- */

static struct job *job_new(struct request *request, ingest_done_fn *done, void *ctx)
{
    struct job *job = arena_calloc(request->arena, 1, sizeof *job);
    if (job) {
        *job = (struct job){.request = request, .done = done, .ctx = ctx};
        job->verdict = (struct verdict){.outcome = OUTCOME_CHANGED, .error = {.offset = SIZE_MAX}};
        return job;
    }
    done(request, ctx, &(struct verdict){.outcome = OUTCOME_OUT_OF_MEMORY, .error = {.offset = SIZE_MAX}});
    return NULL;
}

static void give_up(struct job *job, enum outcome outcome, const struct format_error *error)
{
    note_refusal(job, 0, outcome, error);
    job->done(job->request, job->ctx, &job->verdict);
}

/* What the payload proves has the sequence of its node; what the request says would be the speaker's. */
static bool read_claim(const struct request *request, const struct observation_list *list, struct claim *ret,
                       const char **ret_detail)
{
    static const struct sequence none;
    if (!claim_read(request, list->proven ? &none : &list->sequence, level_of_tenant(request), ret,
                    ret_detail))
        return false;
    if (list->proven)
        ret->sequence = list->sequence;
    return true;
}

/* A sequence that is not signed could be given to a message by whoever has seen it. */
static bool read_signed_claim(const struct job *job, const struct observation_list *list, struct claim *ret,
                              const char **ret_detail)
{
    struct sequence sequence = list->sequence;
    if (!claim_merge(&job->proof->message.sequence, &sequence, ret_detail) ||
        !claim_read(job->request, &sequence, level_of_tenant(job->request), ret, ret_detail))
        return false;
    if (ret->sequence.given && !sequence.given)
        *ret_detail = "The sequence of a signed message has to be signed, too.";
    return !ret->sequence.given || sequence.given;
}

/* Whether a message without observations goes to the sink all the same: its number is seen then, so that it
 * is not missed and no other message gets it. Whose number that is, records cannot say. */
static bool takes_number(const struct request *request, const struct observation_list *list,
                         const struct claim *claim)
{
    return claim->sequence.given && request->who.kind == IDENTITY_DEVICE && !list->proven &&
           request->worker->shared->settings->spool;
}

static void submit_whole(struct job *job, struct observation_list *list, const struct claim_content *content)
{
    struct format_error error = {.offset = SIZE_MAX};
    struct claim claim;
    if (!(job->proof ? read_signed_claim(job, list, &claim, &error.detail)
                     : read_claim(job->request, list, &claim, &error.detail))) {
        give_up(job, OUTCOME_BAD_VALUE, &error);
        return;
    }
    job->verdict.wants_receipt = claim.wants_receipt;
    if (list->count == 0 && !takes_number(job->request, list, &claim)) {
        /* A pack of base fields only is legal and says nothing: whatever is demanded of it is so. */
        job->verdict.level = claim.level;
        job->done(job->request, job->ctx, &job->verdict);
        return;
    }
    enum outcome outcome = is_in_parts(job, list, &claim) ? take_parts(job, list, &claim, content, &error)
                                                          : take(job, 0, list, &claim, content, &error);
    if (outcome_is_success(outcome))
        return;
    note_refusal(job, 0, outcome, &error);
    if (job->pending == 0)
        end(job);
}

void ingest_submit(struct request *request, struct observation_list *list,
                   const struct claim_content *content, ingest_done_fn *done, void *ctx)
{
    struct job *job = job_new(request, done, ctx);
    if (job)
        submit_whole(job, list, content);
}

static struct claim_content content_of(const struct ingest_source *source, struct bytes payload, size_t line)
{
    struct claim_content content = {
        .content_format = translate_content_format(source->translation),
        .codec = source->translation->codec,
        .device = source->device,
        .name = source->name,
        .unit = source->unit,
        .payload = payload,
        .line = line,
    };
    content.parameters = source->content;
    content.parameter_count = source->content_count;
    return content;
}

/* work: NULL, or what all lines of a log share. */
static enum outcome decode(const struct request *request, const struct ingest_source *source,
                           struct bytes payload, struct format_work *work, struct observation_list *ret,
                           struct format_error *reterr)
{
    struct format_input input = {
        .payload = payload,
        .name = source->name,
        .unit = source->unit,
        .work = work,
        .parameters = source->parameters,
        .parameter_count = source->parameter_count,
    };
    return translate_decode(request, source->translation, &input, ret, reterr);
}

/* People shall see what a device sends that its profile or codec cannot read. */
static void keep_for_people(struct request *request, const struct translation *translation,
                            struct bytes payload, enum outcome outcome, const struct format_error *error)
{
    struct quarantine_case what = {.codec = translation->codec,
                                   .payload = payload,
                                   .by_query = !translation->by_profile,
                                   .outcome = outcome,
                                   .error = *error};
    if (translation->custom) {
        quarantine_failed(request, &what);
    } else if (translation->by_profile) {
        what.codec = bytes_of_text(translation->format->name);
        quarantine_keep(request, &what);
    }
}

static void translate_whole(struct job *job, const struct ingest_source *source, struct bytes payload)
{
    struct request *request = job->request;
    struct observation_list list = {0};
    struct format_error error = {.offset = SIZE_MAX};
    enum outcome outcome = decode(request, source, payload, NULL, &list, &error);
    if (!outcome_is_success(outcome)) {
        keep_for_people(request, source->translation, payload, outcome, &error);
        give_up(job, outcome, &error);
        return;
    }
    if (source->translation->custom && source->translation->by_profile)
        quarantine_succeeded(request, source->translation->codec, source->translation->custom);
    if (source->proof && list.proven) {
        error.detail = "A frame that proves its own node is not signed by another.";
        give_up(job, OUTCOME_UNSUPPORTED, &error);
        return;
    }
    struct claim_content content =
        content_of(source, source->proof ? signed_content(&source->proof->message) : payload, 0);
    submit_whole(job, &list, &content);
}

/* --- a log --- */

/* Takes a line off the front, without its LF or CRLF; what follows the last of them is one if it is not
 * empty. */
static bool take_line(struct bytes *rest, struct bytes *ret)
{
    if (rest->len == 0)
        return false;
    const uint8_t *lf = memchr(rest->ptr, '\n', rest->len);
    size_t len = lf ? (size_t)(lf - rest->ptr) : rest->len, past = lf ? len + 1 : len;
    *ret = bytes_of(rest->ptr, len);
    if (ret->len && ret->ptr[ret->len - 1] == '\r')
        ret->len--;
    *rest = bytes_of(rest->ptr + past, rest->len - past);
    return true;
}

static size_t count_lines(struct bytes payload)
{
    struct bytes line;
    size_t count = 0;
    while (take_line(&payload, &line))
        count++;
    return count;
}

/* How the codec fared with the lines of a log, and what it may still do for them. */
struct fare {
    struct format_work work;
    bool failed, succeeded;
};

/* A line that is refused says why in the verdict and nothing else. */
static void translate_line(struct job *job, const struct ingest_source *source, struct bytes payload,
                           size_t number, const struct claim *of_request, struct fare *fare)
{
    struct observation_list list = {0};
    struct format_error error = {.offset = SIZE_MAX};
    struct claim claim = *of_request;
    enum outcome outcome =
        payload.len ? decode(job->request, source, payload, &fare->work, &list, &error) : OUTCOME_CHANGED;
    if (!outcome_is_success(outcome)) {
        if (!fare->failed)
            keep_for_people(job->request, source->translation, payload, outcome, &error);
        fare->failed = true;
    } else if (list.count == 0) {
        job->verdict.ignored++;
        return;
    } else {
        struct claim_content content = content_of(source, payload, number);
        fare->succeeded = true;
        claim.sequence = list.sequence;
        outcome = take(job, number, &list, &claim, &content, &error);
    }
    if (!outcome_is_success(outcome))
        verdict_refused(&job->verdict, number, outcome, error.detail);
}

static bool begin_log(struct job *job, size_t line_count, struct claim *ret_claim)
{
    static const struct sequence none;
    struct verdict *verdict = &job->verdict;
    struct format_error error = {.offset = SIZE_MAX};
    if (line_count > INGEST_LINES_MAX) {
        error.detail = "A log has at most 1024 lines.";
        give_up(job, OUTCOME_TOO_LARGE, &error); /* as a body: who can send less at once does */
        return false;
    }
    bool good = claim_read(job->request, &none, level_of_tenant(job->request), ret_claim, &error.detail);
    if (good && ret_claim->sequence.given)
        error.detail = "A log of lines has no sequence of its own: each line is a message.";
    if (!good || ret_claim->sequence.given) {
        give_up(job, OUTCOME_BAD_VALUE, &error);
        return false;
    }
    verdict->lines = arena_calloc(job->request->arena, line_count, sizeof *verdict->lines);
    if (!verdict->lines) {
        give_up(job, OUTCOME_OUT_OF_MEMORY, &error);
        return false;
    }
    verdict->line_count = line_count;
    verdict->level = ret_claim->level;
    verdict->wants_receipt = ret_claim->wants_receipt;
    return true;
}

/* Nothing of it is answered before all lines are settled. */
static void translate_log(struct job *job, const struct ingest_source *source, struct bytes payload)
{
    struct claim claim;
    struct bytes line;
    size_t number = 0, lines = count_lines(payload);
    struct fare fare = {.work = custom_work(&FORMAT_LIMITS_DEFAULT, (unsigned)lines)};
    if (!begin_log(job, lines, &claim))
        return;
    while (take_line(&payload, &line))
        translate_line(job, source, line, ++number, &claim, &fare);
    if (source->translation->custom && source->translation->by_profile && fare.succeeded)
        quarantine_succeeded(job->request, source->translation->codec, source->translation->custom);
    if (job->pending == 0)
        end(job);
}

/* --- from outside --- */

void ingest_translate(struct request *request, const struct ingest_source *source, ingest_done_fn *done,
                      void *ctx)
{
    struct job *job = job_new(request, done, ctx);
    struct format_error nothing = {.offset = SIZE_MAX};
    struct bytes payload = source->payload;
    if (!job)
        return;
    job->proof = source->proof;
    job->brought_by = source->brought_by;
    if (source->translation->is_held)
        give_up(job, quarantine_hold(request, source->translation->codec, source->payload), &nothing);
    else if (!source->proof && !arena_copy(request->arena, source->payload, &payload))
        give_up(job, OUTCOME_OUT_OF_MEMORY, &nothing);
    else if (translate_is_by_line(source->translation))
        translate_log(job, source, payload);
    else
        translate_whole(job, source, payload);
}

/* Whether it says something that is read and not known already, as whose a message is and how it is to be
 * read. Of a format of the table that reads the query, all else; of a codec, the parameters that it names. */
static bool is_content(const struct translation *translation, struct bytes name)
{
    static const char *const known[] = {"d", "device", "f", "format"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (bytes_equal_text(name, known[i]))
            return false;
    if (translation->custom)
        return custom_reads_parameter(translation->custom, name);
    return translation->format && translation->format->reads_parameters;
}

/* The query as formats see it, and behind that what of it makes another message. False: out of memory. */
static bool take_parameters(const struct request *request, struct ingest_source *source)
{
    struct format_parameter *parameters, *content;
    if (request->query_count == 0)
        return true;
    parameters = arena_calloc(request->arena, 2 * request->query_count, sizeof *parameters);
    if (!parameters)
        return false;
    content = parameters + request->query_count;
    for (size_t i = 0; i < request->query_count; i++) {
        parameters[i] = (struct format_parameter){request->query[i].name, request->query[i].value};
        if (is_content(source->translation, parameters[i].name))
            content[source->content_count++] = parameters[i];
    }
    source->parameters = parameters;
    source->parameter_count = request->query_count;
    source->content = content;
    return true;
}

static void refuse_signed(struct request *request, enum outcome outcome, const struct refusal *refusal)
{
    answer_refusal(request,
                   &(struct verdict){.outcome = outcome, .error = {refusal->detail, refusal->offset}});
}

/* From here on who speaks is whose key it is. The query adds nothing: it is not signed. */
static void handle_signed(struct request *request)
{
    struct refusal refusal = {.offset = SIZE_MAX};
    struct translation translation;
    struct proof *proof = arena_calloc(request->arena, 1, sizeof *proof);
    struct ingest_source source = {.translation = &translation, .proof = proof};
    struct bytes session =
        request->who.kind == IDENTITY_DEVICE ? bytes_of_text(request->who.device) : (struct bytes){0};
    if (!proof || !arena_copy(request->arena, session, &source.brought_by)) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    enum outcome outcome = prove_request(request, request->form, proof, &refusal);
    if (outcome_is_success(outcome)) {
        struct appear_place place = worker_appear_place(request->worker);
        request->who = proof->who;
        appear_seen(request->worker->shared->appear, &request->who, &place);
        source.payload = proof->message.payload;
        outcome = translate_choose_signed(request, &proof->message, &translation, &refusal.detail);
        request->content_format =
            proof->message.content_format; /* what codecs and their quarantine are told of */
    }
    if (outcome_is_success(outcome))
        ingest_translate(request, &source, ingest_answer, NULL);
    else
        refuse_signed(request, outcome, &refusal);
}

static void handle_plain(struct request *request)
{
    struct ingest_source source = {
        .translation = request->translation,
        .payload = request->body,
        .device = request_named_device(request, NULL),
        .name = claim_name(request),
        .unit = request_query(request, "u", NULL),
    };
    if (!take_parameters(request, &source))
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
    else
        ingest_translate(request, &source, ingest_answer, NULL);
}

void ingest_handle(struct request *request)
{
    if (request->is_signed)
        handle_signed(request);
    else
        handle_plain(request);
}
