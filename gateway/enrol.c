// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A nonce is the time and a MAC over it and whoever asked, so nothing is kept for it; it is good for NONCE_S
 * on this gateway. A claim code is compared whole and in constant time.
 *
 * Jobs that answer a request live in its arena; those that confirm and sweep on the heap. A use that the
 * clerk could not confirm waits in the worker's list and is given again.
 */
#include "gateway/enrol.h"

#include "codec/base64url.h"
#include "gateway/bootstrap.h"
#include "gateway/clerk.h"
#include "gateway/crypto.h"
#include "gateway/enrol_request.h"
#include "gateway/limiter.h"
#include "gateway/report.h"
#include "gateway/rt/random.h"
#include "gateway/scope.h"
#include "gateway/worker.h"

#include <stdio.h>
#include <stdlib.h>

#define NONCE_S 60
#define NONCE_OCTETS 24 /* 8 of time, 16 of the MAC */
#define NONCE_TEXT 32
#define PENDING_AGAIN_S 60
#define RETRY_MS 2000
#define SWEEP_MIN_MS 1000
#define SWEEP_MAX_MS 60000
#define SWEEP_AT_ONCE 64 /* of all tenants; then other jobs of the clerk have their turn */
#define LIST_MAX 1000
#define USES_MAX 1024
#define WRONG_CLAIMS_MAX 10 /* at once, then one in CLAIM_AGAIN_S; of each worker */
#define CLAIM_AGAIN_S 6

static struct enrolment_policy policy_of(const struct settings *settings)
{
    return (struct enrolment_policy){
        .confirm_s = (int64_t)settings->enroll_confirm_s,
        .pending_s = (int64_t)settings->enroll_pending_s,
        .overlap_s = (int64_t)settings->enroll_overlap_s,
        .certificate_days = (unsigned)settings->enroll_certificate_days,
    };
}

static void refuse_asker(struct request *request, enum outcome outcome, const char *detail)
{
    struct response response = response_of(outcome);
    response.detail = detail;
    if (outcome_row(outcome)->http_status == 503)
        response.max_age_s = SINK_RETRY_S;
    if (outcome == OUTCOME_TOO_MANY)
        response.max_age_s = CLAIM_AGAIN_S;
    request_finish(request, &response);
}

static void put_text(struct report *report, const char *name, const char *text)
{
    report_name(report, name);
    report_text(report, text);
}

static void put_time(struct report *report, const char *name, int64_t seconds)
{
    report_name(report, name);
    report_int(report, seconds);
}

static void answer(struct request *request, struct report *report, enum outcome outcome, int64_t max_age_s)
{
    struct response response = response_of(outcome);
    response.content_format = request->accept;
    response.max_age_s = max_age_s;
    if (report_finish(report, &response.body))
        request_finish(request, &response);
    else
        refuse_asker(request, OUTCOME_OUT_OF_MEMORY, NULL);
}

/* The nonce. */

static bool make_nonce(const struct request *request, int64_t at_s, char ret[static NONCE_TEXT])
{
    const struct shared *shared = request->worker->shared;
    const struct identity *who = &request->who;
    uint8_t nonce[NONCE_OCTETS], mac[CRYPTO_SHA256_BYTES];
    char text[128];
    int len = snprintf(text, sizeof text, "enroll %lld %s %s", (long long)at_s, who->tenant, who->device);
    if (!crypto_hmac_sha256(bytes_of(shared->cookie_root, sizeof shared->cookie_root), bytes_of(text, (size_t)len),
                            bytes_of_text(who->key), mac))
        return false;
    for (unsigned i = 0; i < 8; i++)
        nonce[i] = (uint8_t)((uint64_t)at_s >> (56 - 8 * i));
    memcpy(nonce + 8, mac, sizeof nonce - 8);
    base64url_encode(bytes_of(nonce, sizeof nonce), ret);
    return true;
}

/* at_s is any number: the peer says it, and the MAC is looked at later. */
static bool is_recent(uint64_t at_s, int64_t now_s)
{
    return now_s >= 0 && at_s <= (uint64_t)now_s && (uint64_t)now_s - at_s <= NONCE_S;
}

static bool nonce_is_good(const struct request *request, struct bytes text)
{
    uint8_t nonce[NONCE_OCTETS];
    char expected[NONCE_TEXT];
    size_t len = 0;
    uint64_t at_s = 0;
    if (text.len != NONCE_TEXT || !base64url_decode_into(text, nonce, sizeof nonce, &len) || len != sizeof nonce)
        return false;
    for (unsigned i = 0; i < 8; i++)
        at_s = at_s << 8 | nonce[i];
    return is_recent(at_s, request->received.s) && make_nonce(request, (int64_t)at_s, expected) &&
           secret_bytes_equal((const uint8_t *)expected, text.ptr, sizeof expected);
}

void enrol_handle_nonce(struct request *request)
{
    struct report report;
    char nonce[NONCE_TEXT + 1] = "";
    if (!make_nonce(request, request->received.s, nonce)) {
        refuse_asker(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    report_init(&report, request->arena, request->accept == CONTENT_FORMAT_CBOR);
    report_map(&report, 2);
    put_time(&report, "time", request->received.s);
    put_text(&report, "nonce", nonce);
    report_map_end(&report);
    answer(request, &report, OUTCOME_CONTENT, 0);
}

/* Asking. */

struct asking {
    struct clerk_job job; /* first */
    struct request *request;
    struct enrolment_question question;
    struct enrolment_policy policy;
    int64_t now_s;
    struct enrolment_answer answer;
};

/* What the secret is made of, and the secret. */
static void wipe(struct asking *asking)
{
    explicit_bzero(asking->question.random, sizeof asking->question.random);
    secret_wipe(&asking->answer.secret);
}

static enum accounts_result ask(struct clerk_job *job, struct accounts *accounts)
{
    struct asking *asking = (struct asking *)job;
    return enrolment_ask(accounts, &asking->question, &asking->policy, asking->now_s, &asking->answer);
}

static const char *level_of_tenant(const struct request *request)
{
    const struct tenant_record *tenant =
        registry_tenant(request->worker->shared->registry, bytes_of_text(request->who.tenant));
    return delivery_level_name(tenant ? (enum delivery_level)tenant->level : LEVEL_SPOOLED);
}

/* DER, in JSON the PEM of it. */
static void put_certificate(struct report *report, const char *name, const uint8_t *der, size_t len)
{
    char pem[CRYPTO_CERT_PEM_MAX] = "";
    report_name(report, name);
    if (report->cbor) {
        report_octets(report, bytes_of(der, len));
        return;
    }
    (void)crypto_cert_to_pem(bytes_of(der, len), pem);
    report_text(report, pem);
}

static void put_given(struct report *report, const struct asking *asking, bool leaves_authority)
{
    const struct enrolment_answer *given = &asking->answer;
    const struct enrolment_question *question = &asking->question;
    bool is_psk = secret_is_set(&given->secret), has_certificate = given->certificate_len > 0;
    bool has_authority = has_certificate && !leaves_authority;
    char identity[SCHEMA_TENANT_MAX + SCHEMA_DEVICE_MAX + CREDENTIAL_ID_MAX + 3];
    snprintf(identity, sizeof identity, "%s/%s/%s", question->tenant, question->device, given->key);
    report_map(report, 9 + 2 * is_psk + has_certificate + has_authority);
    put_text(report, "kid", given->key);
    if (is_psk) {
        report_name(report, "psk");
        (report->cbor ? report_octets : report_string)(report, bytes_of(given->secret.octets, given->secret.len));
    }
    put_text(report, "path", "/obs");
    put_time(report, "time", asking->now_s);
    put_text(report, "level", level_of_tenant(asking->request));
    put_text(report, "state", "offered");
    put_text(report, "device", question->device);
    put_text(report, "tenant", question->tenant);
    put_time(report, "expires", given->expires_s);
    put_text(report, "profile", given->profile);
    if (is_psk)
        put_text(report, "identity", identity);
    if (has_authority)
        put_certificate(report, "authority", given->authority, given->authority_len);
    if (has_certificate)
        put_certificate(report, "certificate", given->certificate, given->certificate_len);
    report_map_end(report);
}

static void put_waits(struct report *report, const struct asking *asking)
{
    report_map(report, 4);
    put_time(report, "time", asking->now_s);
    put_text(report, "state", "pending");
    put_text(report, "device", asking->question.device);
    put_text(report, "tenant", asking->question.tenant);
    report_map_end(report);
}

static void refuse_verdict(struct request *request, enum enrolment_verdict verdict)
{
    static const struct {
        enum outcome outcome;
        const char *detail;
    } rows[] = {
        [ENROLMENT_REFUSED] = {OUTCOME_FORBIDDEN, "An operator has rejected this device."},
        [ENROLMENT_TAKEN] = {OUTCOME_CONFLICT, "This device is enrolled, or another question for it came first."},
        [ENROLMENT_USED_UP] = {OUTCOME_FORBIDDEN, "The batch has as many devices as it may have."},
        [ENROLMENT_NO_CA] = {OUTCOME_UNPROCESSABLE, "The tenant has no authority that signs certificates."},
        [ENROLMENT_NO_ROOM] = {OUTCOME_CONFLICT, "The device has as many credentials as it may have."},
        [ENROLMENT_UNKNOWN] = {OUTCOME_CONFLICT, "The device has no record, or another one has this key."},
    };
    refuse_asker(request, rows[verdict].outcome, rows[verdict].detail);
}

static void answer_asking(struct clerk_job *job)
{
    struct asking *asking = (struct asking *)job;
    struct request *request = asking->request;
    struct report report;
    enum enrolment_verdict verdict = asking->answer.verdict;
    report_init(&report, request->arena, request->accept == CONTENT_FORMAT_CBOR);
    if (job->result == ACCOUNTS_DONE && verdict == ENROLMENT_GIVEN)
        put_given(&report, asking, request->wire == WIRE_COAP && !report.cbor);
    wipe(asking);
    if (job->result != ACCOUNTS_DONE) {
        refuse_asker(request, clerk_outcome(job->result), NULL);
    } else if (verdict == ENROLMENT_GIVEN) {
        answer(request, &report, OUTCOME_CHANGED, 0);
    } else if (verdict == ENROLMENT_WAITS) {
        put_waits(&report, asking);
        answer(request, &report, OUTCOME_ACCEPTED, PENDING_AGAIN_S);
    } else {
        refuse_verdict(request, verdict);
    }
}

static bool texts_are_equal(const void *a, size_t a_len, struct bytes b)
{
    return a_len == b.len && secret_bytes_equal(a, b.ptr, a_len);
}

/* Whether who asks may ask for this serial number. A box whose own secret was used has claimed it by that. */
static const char *compare_claim(const struct request *request, const struct batch_record *batch,
                                 const struct enrol_request *asked)
{
    const struct identity *who = &request->who;
    char expected[BOOTSTRAP_CLAIM_LEN + 1];
    if (who->evidence == EVIDENCE_PSK && who->key[0])
        return bootstrap_mark(asked->serial, expected) && strcmp(expected, who->key) == 0
                   ? NULL
                   : "This secret is that of another serial number.";
    if (batch->per_device) {
        bool is_right = bootstrap_claim(batch, asked->serial, expected) &&
                        texts_are_equal(expected, BOOTSTRAP_CLAIM_LEN, asked->claim);
        explicit_bzero(expected, sizeof expected);
        return is_right ? NULL : "The claim code is missing or not that of this serial number.";
    }
    return !secret_is_set(&batch->claim) || texts_are_equal(batch->claim.octets, batch->claim.len, asked->claim)
               ? NULL
               : "The claim code is missing or wrong.";
}

struct claim_brake {
    struct limiter *limiter; /* NULL: out of memory */
    uint64_t batch, address; /* keys */
    uint64_t now_ms;
};

/* A network of 64 bits counts as one address, as its holder has all of them. */
static struct claim_brake claim_brake_of(const struct request *request, const struct batch_record *batch)
{
    struct worker *worker = request->worker;
    const struct hash_key *key = &worker->shared->hash_key;
    const struct address *remote = &request->remote;
    struct claim_brake brake = {.now_ms = loop_now_ms(worker->loop)};
    struct bytes names[] = {BYTES_LITERAL("batch"), bytes_of_text(batch->tenant), bytes_of_text(batch->id)};
    struct bytes places[] = {BYTES_LITERAL("address"),
                             remote->any.sa_family == AF_INET6 ? bytes_of(&remote->in6.sin6_addr, 8)
                                                               : bytes_of(&remote->in.sin_addr, 4)};
    brake.batch = hash_parts(key, names, 3);
    brake.address = hash_parts(key, places, 2);
    if (!worker->enrol.claims && (worker->enrol.claims = malloc(sizeof *worker->enrol.claims)))
        limiter_init(worker->enrol.claims, WRONG_CLAIMS_MAX, WRONG_CLAIMS_MAX * CLAIM_AGAIN_S * 1000);
    brake.limiter = worker->enrol.claims;
    return brake;
}

/* While the brake is on, the right code is refused like any other: else it would tell them apart. */
static const char *check_claim(const struct request *request, const struct batch_record *batch,
                               const struct enrol_request *asked, enum outcome *ret_outcome)
{
    if (!asked->claim.len || !(batch->per_device || secret_is_set(&batch->claim)))
        return compare_claim(request, batch, asked);
    struct claim_brake brake = claim_brake_of(request, batch);
    if (!brake.limiter || !limiter_allows(brake.limiter, brake.batch, brake.now_ms) ||
        !limiter_allows(brake.limiter, brake.address, brake.now_ms)) {
        *ret_outcome = OUTCOME_TOO_MANY;
        return "Too many wrong claim codes; try again later.";
    }
    const char *wrong = compare_claim(request, batch, asked);
    if (wrong) {
        limiter_take(brake.limiter, brake.batch, brake.now_ms);
        limiter_take(brake.limiter, brake.address, brake.now_ms);
    }
    return wrong;
}

/* ret_outcome OUTCOME_CONTENT: the question may be asked. */
static const char *judge_first(const struct request *request, const struct enrol_request *asked,
                               struct enrolment_question *question, enum outcome *ret_outcome)
{
    const struct batch_record *batch =
        bootstrap_batch(request->worker->shared->registry, &request->who, request->received.s);
    *ret_outcome = OUTCOME_FORBIDDEN;
    if (!batch)
        return "The batch is closed.";
    if (!batch_device_id(batch, asked->serial, question->device)) {
        *ret_outcome = OUTCOME_BAD_VALUE;
        return "serial has 1 to 48 of A-Z a-z 0-9 : . _ - and begins with a letter or digit.";
    }
    const char *wrong = check_claim(request, batch, asked, ret_outcome);
    if (wrong)
        return wrong;
    question->batch = *batch;
    secret_wipe(&question->batch.secret);
    secret_wipe(&question->batch.claim);
    memcpy(question->serial, asked->serial.ptr, asked->serial.len);
    *ret_outcome = OUTCOME_CONTENT;
    return NULL;
}

static const char *judge_rotation(const struct request *request, const struct enrol_request *asked,
                                  struct enrolment_question *question, enum outcome *ret_outcome)
{
    const struct identity *who = &request->who;
    const struct device_record *record =
        registry_device(request->worker->shared->registry, bytes_of_text(who->tenant), bytes_of_text(who->device));
    *ret_outcome = OUTCOME_CONFLICT;
    if (!record)
        return "The device has no record yet; ask again in a moment.";
    if (asked->serial.len && !bytes_equal_text(asked->serial, record->serial))
        return "The device has another serial number.";
    question->rotates = true;
    memcpy(question->device, record->id, sizeof question->device);
    memcpy(question->serial, record->serial, sizeof question->serial);
    if (record_credential_of_id(record, bytes_of_text(who->key)))
        memcpy(question->old, who->key, sizeof question->old);
    *ret_outcome = OUTCOME_CONTENT;
    return NULL;
}

/* A raw key is found by itself, so no two devices may have it. */
static bool is_key_of_another(const struct request *request, const struct enrolment_question *question)
{
    const struct credential *credential;
    if (question->kind != CREDENTIAL_RPK)
        return false;
    const struct device_record *holder = registry_device_by_rpk(request->worker->shared->registry, question->public,
                                                                request->received.s, &credential);
    return holder && (strcmp(holder->tenant, question->tenant) != 0 || strcmp(holder->id, question->device) != 0);
}

static const char *judge(struct request *request, const struct enrol_request *asked,
                         struct enrolment_question *question, enum outcome *ret_outcome)
{
    bool rotates = request->who.kind == IDENTITY_DEVICE;
    memcpy(question->tenant, request->who.tenant, sizeof question->tenant);
    const char *wrong = (rotates ? judge_rotation : judge_first)(request, asked, question, ret_outcome);
    if (*ret_outcome != OUTCOME_CONTENT)
        return wrong;
    *ret_outcome = OUTCOME_UNAUTHENTICATED;
    if (asked->has_proof && !nonce_is_good(request, asked->nonce))
        return "The nonce is too old or of another one; GET /enroll gives a new one.";
    if (!enrol_request_is_proved(asked, bytes_of_text(question->tenant),
                                 rotates ? bytes_of_text(question->device) : asked->serial, request->arena))
        return "The proof is not the signature of this key.";
    if (asked->model.len)
        memcpy(question->model, asked->model.ptr, asked->model.len);
    question->kind = asked->kind;
    question->public_len = asked->public_len;
    memcpy(question->public, asked->public, asked->public_len);
    question->request = asked->certificate;
    memcpy(question->digest, asked->digest, sizeof question->digest);
    address_text(&request->remote, question->from);
    *ret_outcome = is_key_of_another(request, question) ? OUTCOME_CONFLICT : OUTCOME_CONTENT;
    return *ret_outcome == OUTCOME_CONTENT ? NULL : "Another device has this key.";
}

_Static_assert(ENROLMENT_FROM_MAX >= ADDRESS_TEXT_MAX, "any address");

void enrol_handle_ask(struct request *request)
{
    struct worker *worker = request->worker;
    struct enrol_request asked;
    struct refusal refusal = {.offset = SIZE_MAX};
    bool is_cbor = request->content_format == CONTENT_FORMAT_CBOR;
    struct asking *asking = arena_calloc(request->arena, 1, sizeof *asking);
    if (!is_cbor && request->content_format != CONTENT_FORMAT_JSON) {
        refuse_asker(request, OUTCOME_UNSUPPORTED, "POST /enroll takes a map in JSON (50) or CBOR (60).");
        return;
    }
    if (!asking || !enrol_request_read(request->body, is_cbor, request->arena, &asked, &refusal)) {
        refuse_asker(request, asking ? refusal.outcome : OUTCOME_OUT_OF_MEMORY, refusal.detail);
        return;
    }
    enum outcome outcome = OUTCOME_FORBIDDEN;
    const char *wrong = judge(request, &asked, &asking->question, &outcome);
    if (outcome != OUTCOME_CONTENT) {
        refuse_asker(request, outcome, wrong);
        return;
    }
    asking->job.run = ask;
    asking->job.done = answer_asking;
    audit_actor_of(request, &asking->job.actor);
    asking->request = request;
    asking->policy = policy_of(worker->shared->settings);
    asking->now_s = request->received.s;
    random_bytes(asking->question.random, sizeof asking->question.random);
    if (clerk_give(worker->shared->clerk, worker->index, &asking->job))
        return;
    wipe(asking);
    refuse_asker(request, OUTCOME_OVERLOADED, NULL);
}

/* People. */

static enum outcome find_tenant(const struct request *request, char ret[static SCHEMA_TENANT_MAX + 1])
{
    struct scope scope;
    enum outcome outcome = scope_of(request, &scope);
    if (outcome == OUTCOME_CONTENT)
        memcpy(ret, scope.tenant, sizeof scope.tenant);
    return outcome;
}

struct listing {
    struct clerk_job job; /* first */
    struct request *request;
    char tenant[SCHEMA_TENANT_MAX + 1];
    struct enrolment_record *records; /* malloc'ed */
    size_t count;
};

static enum accounts_result read_list(struct clerk_job *job, struct accounts *accounts)
{
    struct listing *listing = (struct listing *)job;
    struct bytes tenant = bytes_of_text(listing->tenant);
    struct accounts_ids ids = {0};
    enum accounts_result result = enrolment_list(accounts, tenant, &ids);
    size_t max = ids.count < LIST_MAX ? ids.count : LIST_MAX;
    listing->records = calloc(max + 1, sizeof *listing->records);
    if (!listing->records)
        result = ACCOUNTS_AWAY;
    for (size_t i = 0; i < max && result == ACCOUNTS_DONE; i++) {
        result = enrolment_get(accounts, tenant, bytes_of_text(ids.ids[i]), &listing->records[listing->count]);
        listing->count += result == ACCOUNTS_DONE;
        result = result == ACCOUNTS_NOT_FOUND || result == ACCOUNTS_DAMAGED ? ACCOUNTS_DONE : result;
    }
    free(ids.ids);
    return result;
}

static void put_row(struct report *report, const struct enrolment_record *record)
{
    report_map(report, 9);
    put_text(report, "from", record->from);
    put_text(report, "kind", credential_kind_name(record->kind));
    put_time(report, "asked", record->asked_s);
    put_text(report, "batch", record->batch);
    put_text(report, "model", record->model);
    put_text(report, "state", enrolment_state_name(record->state));
    put_text(report, "device", record->device);
    put_text(report, "serial", record->serial);
    put_time(report, "expires", record->expires_s);
    report_map_end(report);
}

static void answer_list(struct clerk_job *job)
{
    struct listing *listing = (struct listing *)job;
    struct request *request = listing->request;
    struct report report;
    report_init(&report, request->arena, request->accept == CONTENT_FORMAT_CBOR);
    report_map(&report, 1);
    report_name(&report, "enrollments");
    report_array(&report, listing->count);
    for (size_t i = 0; i < listing->count; i++)
        put_row(&report, &listing->records[i]);
    report_array_end(&report);
    report_map_end(&report);
    free(listing->records);
    if (job->result == ACCOUNTS_DONE)
        answer(request, &report, OUTCOME_CONTENT, 0);
    else
        refuse_asker(request, clerk_outcome(job->result), NULL);
}

void enrol_handle_list(struct request *request)
{
    struct worker *worker = request->worker;
    struct listing *listing = arena_calloc(request->arena, 1, sizeof *listing);
    enum outcome outcome = listing ? find_tenant(request, listing->tenant) : OUTCOME_OUT_OF_MEMORY;
    if (outcome != OUTCOME_CONTENT) {
        refuse_asker(request, outcome, NULL);
        return;
    }
    listing->job.run = read_list;
    listing->job.done = answer_list;
    listing->request = request;
    if (!clerk_give(worker->shared->clerk, worker->index, &listing->job))
        refuse_asker(request, OUTCOME_OVERLOADED, NULL);
}

struct deciding {
    struct clerk_job job; /* first */
    struct request *request;
    struct enrolment_policy policy;
    int64_t now_s;
    enum enrolment_decision decision;
    struct enrolment_decided decided;
    char tenant[SCHEMA_TENANT_MAX + 1], name[SCHEMA_DEVICE_MAX + 1];
};

static enum accounts_result decide(struct clerk_job *job, struct accounts *accounts)
{
    struct deciding *deciding = (struct deciding *)job;
    return enrolment_decide(accounts, bytes_of_text(deciding->tenant), bytes_of_text(deciding->name),
                            deciding->decision, &deciding->policy, deciding->now_s, &deciding->decided);
}

static void refuse_several(struct request *request, const struct enrolment_decided *decided)
{
    char text[REQUEST_DETAIL_MAX];
    size_t len = (size_t)snprintf(text, sizeof text, "%zu devices enrol with this serial number; say which:",
                                  decided->count);
    for (size_t i = 0; i < decided->count && i < ENROLMENT_CHOICES_MAX && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, " %s", decided->devices[i]);
    request_refuse_with(request, OUTCOME_CONFLICT, bytes_of(text, len < sizeof text ? len : sizeof text - 1));
}

static void refuse_decision(struct request *request, const struct enrolment_decided *decided)
{
    if (decided->obstacle == ENROLMENT_SEVERAL)
        refuse_several(request, decided);
    else
        refuse_asker(request, OUTCOME_CONFLICT,
                     decided->obstacle == ENROLMENT_WAS_REJECTED
                         ? "It was rejected; DELETE /enrollments/DEVICE lets it be asked for again."
                         : "The device has its credential already.");
}

static void answer_decision(struct clerk_job *job)
{
    struct deciding *deciding = (struct deciding *)job;
    if (job->result == ACCOUNTS_DONE)
        request_finish(deciding->request, &(struct response){.outcome = OUTCOME_CHANGED,
                                                             .content_format = CONTENT_FORMAT_NONE,
                                                             .max_age_s = -1, .offset = SIZE_MAX});
    else if (job->result == ACCOUNTS_EXISTS)
        refuse_decision(deciding->request, &deciding->decided);
    else
        refuse_asker(deciding->request, clerk_outcome(job->result), NULL);
}

static void begin_decision(struct request *request, enum enrolment_decision decision)
{
    struct worker *worker = request->worker;
    struct deciding *deciding = arena_calloc(request->arena, 1, sizeof *deciding);
    struct bytes name = request->path_parameter;
    enum outcome outcome = deciding ? find_tenant(request, deciding->tenant) : OUTCOME_OUT_OF_MEMORY;
    if (outcome != OUTCOME_CONTENT || !schema_device_is_valid(name)) {
        refuse_asker(request, outcome != OUTCOME_CONTENT ? outcome : OUTCOME_NOT_FOUND, NULL);
        return;
    }
    deciding->job.run = decide;
    deciding->job.done = answer_decision;
    audit_actor_of(request, &deciding->job.actor);
    deciding->request = request;
    deciding->policy = policy_of(worker->shared->settings);
    deciding->now_s = request->received.s;
    deciding->decision = decision;
    memcpy(deciding->name, name.ptr, name.len);
    if (!clerk_give(worker->shared->clerk, worker->index, &deciding->job))
        refuse_asker(request, OUTCOME_OVERLOADED, NULL);
}

void enrol_handle_approve(struct request *request)
{
    begin_decision(request, ENROLMENT_APPROVE);
}

void enrol_handle_reject(struct request *request)
{
    begin_decision(request, ENROLMENT_REJECT);
}

void enrol_handle_forget(struct request *request)
{
    begin_decision(request, ENROLMENT_FORGET);
}

/* Uses. */

struct enrol_use {
    struct clerk_job job; /* first */
    struct worker *worker;
    struct enrol_use *next;
    bool is_given;
    struct enrolment_policy policy;
    int64_t now_s;
    struct identity who;
};

static enum accounts_result confirm(struct clerk_job *job, struct accounts *accounts)
{
    const struct enrol_use *use = (const struct enrol_use *)job;
    return enrolment_confirm(accounts, bytes_of_text(use->who.tenant), bytes_of_text(use->who.device),
                             bytes_of_text(use->who.key), &use->policy, use->now_s);
}

static void drop_use(struct enrol_use *use)
{
    struct enrol_use **link = &use->worker->enrol.uses;
    while (*link && *link != use)
        link = &(*link)->next;
    if (*link)
        *link = use->next;
    free(use);
}

static bool may_work_later(enum accounts_result result)
{
    return result == ACCOUNTS_AWAY || result == ACCOUNTS_BUSY || result == ACCOUNTS_REFUSED;
}

static void confirmed(struct clerk_job *job)
{
    struct enrol_use *use = (struct enrol_use *)job;
    use->is_given = false;
    if (may_work_later(job->result))
        use->worker->enrol.retry_ms = loop_now_ms(use->worker->loop) + RETRY_MS;
    else
        drop_use(use);
}

static void give_use(struct enrol_use *use)
{
    use->is_given = clerk_give(use->worker->shared->clerk, use->worker->index, &use->job);
    if (!use->is_given)
        use->worker->enrol.retry_ms = loop_now_ms(use->worker->loop) + RETRY_MS;
}

/* Whether it is in the list already; *ret_count of all. */
static bool is_waiting(const struct worker *worker, const struct identity *who, size_t *ret_count)
{
    bool found = false;
    *ret_count = 0;
    for (const struct enrol_use *use = worker->enrol.uses; use; use = use->next, (*ret_count)++)
        found |= strcmp(use->who.tenant, who->tenant) == 0 && strcmp(use->who.device, who->device) == 0 &&
                 strcmp(use->who.key, who->key) == 0;
    return found;
}

void enrol_used(struct worker *worker, const struct identity *who)
{
    size_t count;
    if (who->kind == IDENTITY_NONE || who->kind == IDENTITY_NETWORK || who->kind == IDENTITY_BOOTSTRAP || !who->key[0])
        return;
    const struct device_record *record =
        registry_device(worker->shared->registry, bytes_of_text(who->tenant), bytes_of_text(who->device));
    const struct credential *credential = record ? record_credential_of_id(record, bytes_of_text(who->key)) : NULL;
    if (!credential || !credential->offered || is_waiting(worker, who, &count) || count >= USES_MAX)
        return;
    struct enrol_use *use = calloc(1, sizeof *use);
    if (!use)
        return; /* it is confirmed when it is used again */
    use->job.run = confirm;
    use->job.done = confirmed;
    use->worker = worker;
    use->policy = policy_of(worker->shared->settings);
    use->now_s = loop_wall(worker->loop).s;
    use->who = *who;
    audit_actor_of_identity(who, &use->job.actor);
    use->next = worker->enrol.uses;
    worker->enrol.uses = use;
    give_use(use);
}

/* The sweep, by one worker for all. It begins with the tenant after the last one, so that none waits for another's
 * many. */

struct sweep {
    struct clerk_job job; /* first */
    struct worker *worker;
    struct enrolment_policy policy;
    int64_t now_s;
    char tenant[SCHEMA_TENANT_MAX + 1]; /* the one before the first, then the last */
    bool more;
};

static enum accounts_result sweep_all(struct clerk_job *job, struct accounts *accounts)
{
    struct sweep *sweep = (struct sweep *)job;
    struct accounts_ids tenants = {0};
    size_t first = 0, left = SWEEP_AT_ONCE, count;
    enum accounts_result result = accounts_list_tenants(accounts, &tenants);
    while (first < tenants.count && strcmp(tenants.ids[first], sweep->tenant) <= 0)
        first++;
    for (size_t i = 0; i < tenants.count && left > 0 && result != ACCOUNTS_AWAY; i++) {
        struct bytes tenant = bytes_of_text(tenants.ids[(first + i) % tenants.count]);
        if (!schema_tenant_is_valid(tenant))
            continue;
        memcpy(sweep->tenant, tenant.ptr, tenant.len + 1);
        result = enrolment_sweep(accounts, tenant, &sweep->policy, sweep->now_s, left, &count);
        left -= count;
    }
    sweep->more = left == 0 && result == ACCOUNTS_DONE;
    free(tenants.ids);
    return result;
}

static void swept(struct clerk_job *job)
{
    struct sweep *sweep = (struct sweep *)job;
    struct enrol_pace *pace = &sweep->worker->enrol;
    pace->sweeps = false;
    memcpy(pace->swept, sweep->tenant, sizeof pace->swept);
    if (sweep->more)
        pace->sweep_ms = 0; /* at once, behind the jobs that wait by now */
    free(sweep);
}

static void begin_sweep(struct worker *worker)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep)
        return;
    sweep->job.run = sweep_all;
    sweep->job.done = swept;
    sweep->worker = worker;
    sweep->policy = policy_of(worker->shared->settings);
    sweep->now_s = loop_wall(worker->loop).s;
    memcpy(sweep->tenant, worker->enrol.swept, sizeof sweep->tenant);
    worker->enrol.sweeps = clerk_give(worker->shared->clerk, worker->index, &sweep->job);
    if (!worker->enrol.sweeps)
        free(sweep);
}

static uint64_t sweep_period_ms(const struct settings *settings)
{
    uint64_t shortest_s = settings->enroll_confirm_s < settings->enroll_pending_s ? settings->enroll_confirm_s
                                                                                  : settings->enroll_pending_s;
    uint64_t period_ms = shortest_s * 250;
    return period_ms < SWEEP_MIN_MS ? SWEEP_MIN_MS : period_ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : period_ms;
}

void enrol_turn(struct worker *worker)
{
    struct enrol_pace *pace = &worker->enrol;
    uint64_t now_ms = loop_now_ms(worker->loop);
    if (pace->uses && now_ms >= pace->retry_ms) {
        pace->retry_ms = now_ms + RETRY_MS;
        for (struct enrol_use *use = pace->uses; use; use = use->next)
            if (!use->is_given)
                give_use(use);
    }
    if (worker->index != 0 || pace->sweeps || now_ms < pace->sweep_ms)
        return;
    pace->sweep_ms = now_ms + sweep_period_ms(worker->shared->settings);
    begin_sweep(worker);
}

void enrol_stop(struct worker *worker)
{
    while (worker->enrol.uses)
        drop_use(worker->enrol.uses);
    free(worker->enrol.claims);
    worker->enrol.claims = NULL;
}
