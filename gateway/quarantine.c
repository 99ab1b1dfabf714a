// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Counts live in a table of fixed size, hashed by tenant and codec: a codec that nobody speaks costs nothing, and when
 * a neighbourhood is full the one with the fewest failures is forgotten, which at worst delays a quarantine. One mutex
 * for all of it, which a codec that is read well by many devices does not take: it is `settled`.
 */
#include "gateway/quarantine.h"

#include "codec/hex.h"
#include "codec/timestamp.h"
#include "gateway/clerk.h"
#include "gateway/rt/log.h"
#include "gateway/worker.h"

#include <stdio.h>
#include <stdlib.h>

#define SLOTS 1024 /* a power of two */
#define PROBES 8
#define PENDING_MAX 1000 /* questions of people on the same connection come first */

struct slot {
    _Atomic uint64_t key;    /* 0: free */
    /* The codec of which there are no failures and nobody else to remember, here and in Redis: a success of it changes
     * nothing. */
    _Atomic(const struct custom *) settled;
    bool telling;            /* a witness is on its way to Redis; guarded by the mutex */
    uint64_t refused;        /* messages, in all; guarded by the mutex, as what follows */
    struct quarantine_count count;
};

struct quarantine {
    struct hash_key key;
    pthread_mutex_t mutex;
    struct slot slots[SLOTS];
};

/* Counting. */

static unsigned sum_of(const struct quarantine_count *count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < QUARANTINE_SPEAKERS; i++)
        sum += count->failures[i];
    return sum;
}

static unsigned speakers_of(const struct quarantine_count *count)
{
    unsigned speakers = 0;
    for (size_t i = 0; i < QUARANTINE_SPEAKERS; i++)
        speakers += count->speakers[i] != 0;
    return speakers;
}

/* Where the speaker stands; else the first free place; QUARANTINE_SPEAKERS: there is none. */
static size_t place_of(const struct quarantine_count *count, uint64_t speaker)
{
    for (size_t i = 0; i < QUARANTINE_SPEAKERS; i++)
        if (count->speakers[i] == speaker)
            return i;
    for (size_t i = 0; i < QUARANTINE_SPEAKERS; i++)
        if (count->speakers[i] == 0)
            return i;
    return QUARANTINE_SPEAKERS;
}

/* Not of a witness: there are fewer of those than places. */
static size_t fewest_failures(const struct quarantine_count *count)
{
    size_t fewest = QUARANTINE_SPEAKERS;
    for (size_t i = 0; i < QUARANTINE_SPEAKERS; i++)
        if (!count->is_witness[i] &&
            (fewest == QUARANTINE_SPEAKERS || count->failures[i] < count->failures[fewest]))
            fewest = i;
    return fewest;
}

void quarantine_count_witnesses(struct quarantine_count *count, const uint64_t *witnesses, size_t witness_count)
{
    memset(count->is_witness, 0, sizeof count->is_witness);
    for (size_t k = 0; k < witness_count; k++) {
        size_t place = place_of(count, witnesses[k]);
        if (place < QUARANTINE_SPEAKERS && count->speakers[place])
            count->is_witness[place] = true;
    }
    for (size_t k = 0; k < witness_count; k++) {
        size_t place = place_of(count, witnesses[k]);
        if (place == QUARANTINE_SPEAKERS)
            place = fewest_failures(count);
        if (count->speakers[place] != witnesses[k])
            count->failures[place] = 0;
        count->speakers[place] = witnesses[k];
        count->is_witness[place] = true;
    }
}

bool quarantine_count_failure(struct quarantine_count *count, uint64_t speaker)
{
    size_t place = place_of(count, speaker);
    if (place < QUARANTINE_SPEAKERS) {
        count->speakers[place] = speaker;
    } else {
        /* Who has not failed makes room; where all have, one more speaker that fails is no accident any more. */
        place = fewest_failures(count);
        if (count->failures[place] == 0)
            count->speakers[place] = speaker;
    }
    if (count->failures[place] < QUARANTINE_FAILURES)
        count->failures[place]++;
    if (sum_of(count) < QUARANTINE_FAILURES * speakers_of(count))
        return false;
    memset(count->failures, 0, sizeof count->failures);
    return true;
}

void quarantine_count_success(struct quarantine_count *count, uint64_t speaker)
{
    size_t place = place_of(count, speaker);
    memset(count->failures, 0, sizeof count->failures);
    if (place < QUARANTINE_SPEAKERS)
        count->speakers[place] = speaker;
}

/* The table. */

struct quarantine *quarantine_new(const struct hash_key *key)
{
    struct quarantine *quarantine = calloc(1, sizeof *quarantine);
    if (!quarantine)
        return NULL;
    quarantine->key = *key;
    pthread_mutex_init(&quarantine->mutex, NULL);
    return quarantine;
}

void quarantine_free(struct quarantine *quarantine)
{
    if (!quarantine)
        return;
    pthread_mutex_destroy(&quarantine->mutex);
    free(quarantine);
}

static uint64_t key_of(const struct quarantine *quarantine, struct bytes tenant, struct bytes codec)
{
    uint64_t key = hash_pair(&quarantine->key, tenant, codec);
    return key ? key : 1;
}

static struct slot *find(struct quarantine *quarantine, uint64_t key)
{
    for (size_t i = 0; i < PROBES; i++) {
        struct slot *slot = &quarantine->slots[(key + i) % SLOTS];
        if (atomic_load_explicit(&slot->key, memory_order_relaxed) == key)
            return slot;
    }
    return NULL;
}

/* Finds it or makes it; the caller holds the mutex. */
static struct slot *obtain(struct quarantine *quarantine, uint64_t key)
{
    struct slot *slot = find(quarantine, key), *least = NULL;
    if (slot)
        return slot;
    for (size_t i = 0; i < PROBES; i++) {
        slot = &quarantine->slots[(key + i) % SLOTS];
        if (slot->key == 0) {
            least = slot;
            break;
        }
        if (!least || sum_of(&slot->count) < sum_of(&least->count))
            least = slot;
    }
    least->settled = NULL;
    least->telling = false;
    least->refused = 0;
    least->count = (struct quarantine_count){0};
    least->key = key;
    return least;
}

uint64_t quarantine_failures(struct quarantine *quarantine, struct bytes tenant, struct bytes codec)
{
    if (!quarantine)
        return 0;
    pthread_mutex_lock(&quarantine->mutex);
    const struct slot *slot = find(quarantine, key_of(quarantine, tenant, codec));
    uint64_t refused = slot ? slot->refused : 0;
    pthread_mutex_unlock(&quarantine->mutex);
    return refused;
}

/* Who it was, for counting: a device, or the address of somebody who proves nothing. An IPv6 host has a whole /64 to
 * call itself. */
static struct bytes speaker_of(const struct request *request, char text[static RECORD_WITNESS_MAX + 1])
{
    const struct address *remote = &request->remote;
    struct bytes device = bytes_of_text(request->who.device);
    if (device.len)
        return device;
    bool wide = remote->any.sa_family == AF_INET6;
    const uint8_t *octets = wide ? remote->in6.sin6_addr.s6_addr : (const uint8_t *)&remote->in.sin_addr;
    text[0] = '@';
    return bytes_of(text, 1 + hex_write(bytes_of(octets, wide ? 8 : sizeof remote->in.sin_addr), text + 1));
}

static uint64_t hash_of(const struct quarantine *quarantine, struct bytes speaker)
{
    uint64_t hash = hash_bytes(&quarantine->key, speaker);
    return hash ? hash : 1;
}

/* What Redis knows of the codec goes into the count. */
static size_t take_witnesses(const struct quarantine *quarantine, const struct codec_record *record,
                             struct quarantine_count *count)
{
    uint64_t witnesses[RECORD_WITNESSES];
    struct bytes rest = bytes_of_text(record->witnesses), witness;
    size_t witness_count = 0;
    while (witness_count < RECORD_WITNESSES && record_next_witness(&rest, &witness))
        witnesses[witness_count++] = hash_of(quarantine, witness);
    quarantine_count_witnesses(count, witnesses, witness_count);
    return witness_count;
}

static bool is_witness(const struct codec_record *record, struct bytes speaker)
{
    struct bytes rest = bytes_of_text(record->witnesses), witness;
    while (record_next_witness(&rest, &witness))
        if (bytes_equal(witness, speaker))
            return true;
    return false;
}

/* Telling Redis of a witness. */

struct testimony {
    struct clerk_job job; /* first */
    struct quarantine *quarantine;
    uint64_t key;
    char tenant[SCHEMA_TENANT_MAX + 1], codec[SCHEMA_PROFILE_MAX + 1], witness[RECORD_WITNESS_MAX + 1];
    size_t definition_len;
    uint8_t definition[];
};

static enum accounts_result testify(struct clerk_job *job, struct accounts *accounts)
{
    struct testimony *testimony = (struct testimony *)job;
    return accounts_add_codec_witness(accounts, bytes_of_text(testimony->tenant), bytes_of_text(testimony->codec),
                                      bytes_of(testimony->definition, testimony->definition_len),
                                      bytes_of_text(testimony->witness));
}

/* What did not reach Redis is told by the next message that is read. */
static void testified(struct clerk_job *job)
{
    struct testimony *testimony = (struct testimony *)job;
    struct quarantine *quarantine = testimony->quarantine;
    pthread_mutex_lock(&quarantine->mutex);
    struct slot *slot = find(quarantine, testimony->key);
    if (slot)
        slot->telling = false;
    pthread_mutex_unlock(&quarantine->mutex);
    free(testimony);
}

/* False: it cannot be told now. */
static bool tell(const struct request *request, const struct codec_record *record, struct bytes speaker, uint64_t key)
{
    struct worker *worker = request->worker;
    struct testimony *testimony = calloc(1, sizeof *testimony + record->definition.len);
    if (!testimony)
        return false;
    testimony->job.run = testify;
    testimony->job.done = testified;
    testimony->quarantine = worker->shared->quarantine;
    testimony->key = key;
    memcpy(testimony->tenant, record->tenant, sizeof testimony->tenant);
    memcpy(testimony->codec, record->id, sizeof testimony->codec);
    memcpy(testimony->witness, speaker.ptr, speaker.len);
    testimony->definition_len = record->definition.len;
    memcpy(testimony->definition, record->definition.ptr, record->definition.len);
    if (clerk_give(worker->shared->clerk, worker->index, &testimony->job))
        return true;
    free(testimony);
    return false;
}

void quarantine_succeeded(const struct request *request, struct bytes codec, const struct custom *custom)
{
    struct quarantine *quarantine = request->worker->shared->quarantine;
    struct bytes tenant = bytes_of_text(request->who.tenant);
    struct registry_codec found;
    char text[RECORD_WITNESS_MAX + 1];
    if (!quarantine)
        return;
    uint64_t key = key_of(quarantine, tenant, codec);
    struct slot *slot = find(quarantine, key);
    if (slot && atomic_load_explicit(&slot->settled, memory_order_relaxed) == custom)
        return;
    struct bytes speaker = speaker_of(request, text);
    bool known = registry_codec(request->worker->shared->registry, tenant, codec, &found) && found.custom == custom;
    pthread_mutex_lock(&quarantine->mutex);
    slot = obtain(quarantine, key);
    size_t witnesses = known ? take_witnesses(quarantine, found.record, &slot->count) : 0;
    quarantine_count_success(&slot->count, hash_of(quarantine, speaker));
    if (known && witnesses < RECORD_WITNESSES && !slot->telling && !is_witness(found.record, speaker))
        slot->telling = tell(request, found.record, speaker, key);
    slot->settled =
        witnesses == RECORD_WITNESSES && speakers_of(&slot->count) == QUARANTINE_SPEAKERS ? custom : NULL;
    pthread_mutex_unlock(&quarantine->mutex);
}

/* True: the codec is to be put aside. */
static bool count_failure(const struct request *request, const struct quarantine_case *what)
{
    struct quarantine *quarantine = request->worker->shared->quarantine;
    if (!quarantine)
        return false;
    struct bytes tenant = bytes_of_text(request->who.tenant);
    struct registry_codec found;
    char text[RECORD_WITNESS_MAX + 1];
    bool known = registry_codec(request->worker->shared->registry, tenant, what->codec, &found), full = false;
    pthread_mutex_lock(&quarantine->mutex);
    struct slot *slot = obtain(quarantine, key_of(quarantine, tenant, what->codec));
    slot->refused++;
    if (!what->by_query) {
        slot->settled = NULL;
        if (known)
            take_witnesses(quarantine, found.record, &slot->count);
        full = quarantine_count_failure(&slot->count, hash_of(quarantine, speaker_of(request, text)));
    }
    pthread_mutex_unlock(&quarantine->mutex);
    return full || (!what->by_query && what->outcome == OUTCOME_CODEC_FAULT);
}

/* Putting aside. */

struct verdict {
    struct clerk_job job; /* first */
    char tenant[SCHEMA_TENANT_MAX + 1], codec[SCHEMA_PROFILE_MAX + 1];
    char reason[RECORD_REASON_MAX + 1];
};

static enum accounts_result execute(struct clerk_job *job, struct accounts *accounts)
{
    struct verdict *verdict = (struct verdict *)job;
    return accounts_set_codec_quarantined(accounts, bytes_of_text(verdict->tenant), bytes_of_text(verdict->codec), true,
                                          bytes_of_text(verdict->reason));
}

static void executed(struct clerk_job *job)
{
    struct verdict *verdict = (struct verdict *)job;
    if (job->result == ACCOUNTS_DONE)
        log_write(LOG_WARN, "quarantine", "a codec is put aside until it is released",
                  "tenant=%s codec=%s reason=\"%s\"", verdict->tenant, verdict->codec, verdict->reason);
    else
        log_write(LOG_WARN, "quarantine", "a codec should be put aside, but Redis does not know it yet",
                  "tenant=%s codec=%s result=%d", verdict->tenant, verdict->codec, (int)job->result);
    free(verdict);
}

/* What cannot be said now is said again after as many failures. */
static void put_aside(const struct request *request, const struct quarantine_case *what)
{
    struct worker *worker = request->worker;
    const char *slug = outcome_row(what->outcome)->slug, *detail = what->error.detail ? what->error.detail : "";
    struct verdict *verdict = calloc(1, sizeof *verdict);
    if (!verdict || what->codec.len > SCHEMA_PROFILE_MAX) {
        free(verdict);
        return;
    }
    verdict->job.run = execute;
    verdict->job.done = executed;
    memcpy(verdict->tenant, request->who.tenant, sizeof verdict->tenant);
    memcpy(verdict->codec, what->codec.ptr, what->codec.len);
    if (what->outcome == OUTCOME_CODEC_FAULT)
        snprintf(verdict->reason, sizeof verdict->reason, "The codec itself failed: %s", detail);
    else
        snprintf(verdict->reason, sizeof verdict->reason,
                 "Failed in a row for all who speak it; the last: %s. %s", slug, detail);
    if (!clerk_give(worker->shared->clerk, worker->index, &verdict->job))
        free(verdict);
}

/* Keeping. */

static void kept(void *ctx, const struct store_reply *reply)
{
    struct worker *worker = ctx;
    bool there = reply && reply->type == STORE_TEXT;
    metrics_add(&worker->metrics, there ? METRIC_QUARANTINE_KEPT : METRIC_QUARANTINE_LOST, 1);
}

static bool has_budget(struct worker *worker)
{
    uint64_t now_s = loop_now_ms(worker->loop) / 1000;
    if (now_s != worker->kept.window_s) {
        worker->kept.window_s = now_s;
        worker->kept.used = 0;
    }
    return worker->kept.used++ < QUARANTINE_PER_S;
}

/* An empty name for a stranger whose query names no device. */
static struct bytes device_of(const struct request *request)
{
    struct bytes device = bytes_of_text(request->who.device);
    if (device.len == 0)
        device = request_named_device(request, NULL);
    return schema_device_is_valid(device) ? device : BYTES_LITERAL("");
}

static bool append(struct request *request, const struct quarantine_case *what)
{
    struct worker *worker = request->worker;
    char key[SCHEMA_KEY_MAX], kept_max[24], at[24] = "", format[16] = "", whole[24], remote[ADDRESS_TEXT_MAX];
    char time[TIMESTAMP_TEXT_MAX];
    struct bytes payload = what->payload;
    snprintf(kept_max, sizeof kept_max, "%llu", (unsigned long long)worker->shared->settings->quarantine_max);
    if (what->error.offset != SIZE_MAX)
        snprintf(at, sizeof at, "%zu", what->error.offset);
    if (request->content_format >= 0)
        snprintf(format, sizeof format, "%d", request->content_format);
    snprintf(whole, sizeof whole, "%zu", payload.len);
    if (payload.len > QUARANTINE_PAYLOAD_MAX)
        payload.len = QUARANTINE_PAYLOAD_MAX;
    size_t key_len = schema_key(key, bytes_of_text(request->who.tenant), SCHEMA_SUFFIX_QUARANTINE);
    const struct bytes values[] = {
        device_of(request),
        what->codec,
        bytes_of_text(outcome_row(what->outcome)->slug),
        bytes_of_text(what->error.detail ? what->error.detail : ""),
        bytes_of_text(at),
        bytes_of(time, timestamp_write(request->received, time)),
        bytes_of_text(format),
        bytes_of_text(address_text(&request->remote, remote)),
        bytes_of_text(whole),
        payload,
    };
#define NAME(name) BYTES_LITERAL(#name),
    static const struct bytes names[] = {SCHEMA_QUARANTINE_FIELDS(NAME)};
#undef NAME
    _Static_assert(sizeof names == sizeof values, "a value for each field");
    struct bytes arguments[6 + 2 * sizeof names / sizeof names[0]] = {
        BYTES_LITERAL("XADD"), bytes_of(key, key_len), BYTES_LITERAL("MAXLEN"), BYTES_LITERAL("~"),
        bytes_of_text(kept_max), BYTES_LITERAL("*")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        arguments[6 + 2 * i] = names[i];
        arguments[7 + 2 * i] = values[i];
    }
    return redis_send(worker->lookups, arguments[1], arguments, sizeof arguments / sizeof arguments[0], kept, worker);
}

static void keep(struct request *request, const struct quarantine_case *what)
{
    struct worker *worker = request->worker;
    if (!worker->lookups || worker->shared->settings->quarantine_max == 0)
        return;
    if (has_budget(worker) && redis_pending(worker->lookups) < PENDING_MAX && append(request, what))
        redis_flush(worker->lookups);
    else
        metrics_add(&worker->metrics, METRIC_QUARANTINE_LOST, 1);
}

/* For the path. */

enum quarantine_verdict quarantine_ask(const struct worker *worker, struct bytes tenant, struct bytes codec,
                                       const struct custom **ret_custom)
{
    struct registry_codec found;
    if (!registry_codec(worker->shared->registry, tenant, codec, &found))
        return QUARANTINE_UNKNOWN;
    if (found.quarantined || !found.custom)
        return QUARANTINE_HELD;
    *ret_custom = found.custom;
    return QUARANTINE_USE;
}

enum outcome quarantine_hold(struct request *request, struct bytes codec, struct bytes payload)
{
    struct registry_codec found;
    struct quarantine_case what = {.codec = codec, .payload = payload, .outcome = OUTCOME_CODEC_QUARANTINED,
                                   .error = {.offset = SIZE_MAX}};
    if (registry_codec(request->worker->shared->registry, bytes_of_text(request->who.tenant), codec, &found))
        what.error.detail = found.reason;
    keep(request, &what);
    return OUTCOME_CODEC_QUARANTINED;
}

void quarantine_failed(struct request *request, const struct quarantine_case *what)
{
    if (outcome_row(what->outcome)->http_status >= 500)
        return;
    metrics_add(&request->worker->metrics, METRIC_CODEC_FAILURES, 1);
    keep(request, what);
    if (count_failure(request, what))
        put_aside(request, what);
}

void quarantine_keep(struct request *request, const struct quarantine_case *what)
{
    if (outcome_row(what->outcome)->http_status >= 500)
        return;
    metrics_add(&request->worker->metrics, METRIC_CODEC_FAILURES, 1);
    keep(request, what);
}
