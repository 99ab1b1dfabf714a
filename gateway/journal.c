// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A hash of devices, and the order in which they were heard of. Only the owner changes either, so it looks
 * without the lock and takes it to change what a reader walks: chains and events. The count of the newest
 * acceptance is the one thing that changes without it, as an atomic.
 */
#include "gateway/journal.h"

#include "gateway/report.h"
#include "gateway/scope.h"
#include "gateway/worker.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 4096

struct entry {
    struct entry *next;           /* in its bucket */
    struct entry *newer, *older;  /* the owner's */
    uint64_t hash;
    char tenant[SCHEMA_TENANT_MAX + 1], device[SCHEMA_DEVICE_MAX + 1];
    unsigned first, count;        /* first: the newest */
    struct journal_event events[JOURNAL_EVENTS_MAX];
};

struct journal {
    struct hash_key key;
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS];
    struct entry *newest, *oldest;
    size_t count;
};

struct journal *journal_new(const struct hash_key *key)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return NULL;
    journal->key = *key;
    pthread_mutex_init(&journal->lock, NULL);
    return journal;
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    for (struct entry *entry = journal->newest, *older; entry; entry = older) {
        older = entry->older;
        free(entry);
    }
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

void journal_set_detail(struct journal_event *event, const char *detail)
{
    size_t len = detail ? strlen(detail) : 0;
    if (len > JOURNAL_DETAIL_MAX)
        for (len = JOURNAL_DETAIL_MAX; len > 0 && ((uint8_t)detail[len] & 0xc0) == 0x80;)
            len--; /* where a character begins */
    if (len)
        memcpy(event->detail, detail, len);
    event->detail[len] = '\0';
}

/* Devices */

static struct entry *find(const struct journal *journal, uint64_t hash, struct bytes tenant,
                          struct bytes device)
{
    struct entry *entry = journal->buckets[hash % BUCKETS];
    while (entry && (entry->hash != hash || !bytes_equal_text(device, entry->device) ||
                     !bytes_equal_text(tenant, entry->tenant)))
        entry = entry->next;
    return entry;
}

static void leave_order(struct journal *journal, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &journal->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &journal->oldest) = entry->newer;
}

static void join_order(struct journal *journal, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = journal->newest;
    *(journal->newest ? &journal->newest->newer : &journal->oldest) = entry;
    journal->newest = entry;
}

static void heard(struct journal *journal, struct entry *entry)
{
    if (journal->newest == entry)
        return;
    leave_order(journal, entry);
    join_order(journal, entry);
}

static void leave_bucket(struct journal *journal, struct entry *entry)
{
    struct entry **link = &journal->buckets[entry->hash % BUCKETS];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
}

/* A place for a device that has none: a new one, or that of the device that was silent for longest. Under the
 * lock. */
static struct entry *make(struct journal *journal, uint64_t hash, struct bytes tenant, struct bytes device)
{
    struct entry *entry;
    if (journal->count < JOURNAL_DEVICES_MAX) {
        entry = calloc(1, sizeof *entry);
        if (!entry)
            return NULL;
        journal->count++;
    } else {
        entry = journal->oldest;
        leave_bucket(journal, entry);
        leave_order(journal, entry);
        memset(entry, 0, sizeof *entry);
    }
    entry->hash = hash;
    memcpy(entry->tenant, tenant.ptr, tenant.len);
    memcpy(entry->device, device.ptr, device.len);
    entry->next = journal->buckets[hash % BUCKETS];
    journal->buckets[hash % BUCKETS] = entry;
    join_order(journal, entry);
    return entry;
}

/* Events */

static bool is_recent(const struct journal_event *newest, struct timestamp at)
{
    return at.s >= newest->at.s && at.s - newest->at.s < JOURNAL_ACCEPTED_S;
}

/* Whether it is told as one more of the newest. */
static bool is_more_of(const struct journal_event *newest, const struct journal_event *event)
{
    if (!is_recent(newest, event->at))
        return false;
    if (outcome_is_success(event->outcome))
        return outcome_is_success(newest->outcome);
    return newest->stage == event->stage && newest->outcome == event->outcome &&
           newest->evidence == event->evidence && strcmp(newest->key, event->key) == 0 &&
           strcmp(newest->detail, event->detail) == 0 && address_same_host(&newest->remote, &event->remote);
}

static void count_one_more(struct journal_event *newest)
{
    __atomic_store_n(&newest->repeats, newest->repeats + 1, __ATOMIC_RELAXED);
}

static void append(struct entry *entry, const struct journal_event *event)
{
    entry->first = (entry->first + JOURNAL_EVENTS_MAX - 1) % JOURNAL_EVENTS_MAX;
    entry->events[entry->first] = *event;
    if (entry->count < JOURNAL_EVENTS_MAX)
        entry->count++;
}

void journal_note(struct journal *journal, struct bytes tenant, struct bytes device,
                  const struct journal_event *event)
{
    if (!journal || tenant.len == 0 || tenant.len > SCHEMA_TENANT_MAX || device.len == 0 ||
        device.len > SCHEMA_DEVICE_MAX)
        return;
    uint64_t hash = hash_pair(&journal->key, tenant, device);
    struct entry *entry = find(journal, hash, tenant, device);
    if (entry)
        heard(journal, entry);
    if (entry && entry->count && is_more_of(&entry->events[entry->first], event)) {
        count_one_more(&entry->events[entry->first]);
        return;
    }
    /* Of a large fleet those that are well do not drive out those that are not. */
    if (!entry && outcome_is_success(event->outcome) && journal->count == JOURNAL_DEVICES_MAX)
        return;
    pthread_mutex_lock(&journal->lock);
    if (!entry)
        entry = make(journal, hash, tenant, device);
    if (entry)
        append(entry, event);
    pthread_mutex_unlock(&journal->lock);
}

bool journal_count_acceptance(struct journal *journal, struct bytes tenant, struct bytes device,
                              struct timestamp at)
{
    struct entry *entry = find(journal, hash_pair(&journal->key, tenant, device), tenant, device);
    struct journal_event *newest = entry && entry->count ? &entry->events[entry->first] : NULL;
    if (!newest || !outcome_is_success(newest->outcome) || !is_recent(newest, at))
        return false;
    heard(journal, entry);
    count_one_more(newest);
    return true;
}

size_t journal_read(struct journal *journal, struct bytes tenant, struct bytes device,
                    struct journal_event *ret, size_t max)
{
    size_t count = 0;
    if (!journal)
        return 0;
    uint64_t hash = hash_pair(&journal->key, tenant, device);
    pthread_mutex_lock(&journal->lock);
    const struct entry *entry = find(journal, hash, tenant, device);
    for (; entry && count < entry->count && count < max; count++) {
        const struct journal_event *event = &entry->events[(entry->first + count) % JOURNAL_EVENTS_MAX];
        ret[count] = (struct journal_event){
            .at = event->at,
            .stage = event->stage,
            .outcome = event->outcome,
            .evidence = event->evidence,
            .remote = event->remote,
            .octets = event->octets,
            .repeats = __atomic_load_n(&event->repeats, __ATOMIC_RELAXED),
        };
        memcpy(ret[count].key, event->key, sizeof event->key);
        memcpy(ret[count].detail, event->detail, sizeof event->detail);
    }
    pthread_mutex_unlock(&journal->lock);
    return count;
}

/* Requests */

/* Behind a mapped network a device names itself; only what the registry knows is noted, so that nobody fills
 * the journal with names. */
static struct bytes device_of(const struct request *request)
{
    const struct identity *who = &request->who;
    if (who->kind == IDENTITY_DEVICE)
        return bytes_of_text(who->device);
    struct bytes named =
        who->kind == IDENTITY_NETWORK ? request_named_device(request, NULL) : (struct bytes){0};
    if (named.len && registry_device(request->worker->shared->registry, bytes_of_text(who->tenant), named))
        return named;
    return (struct bytes){0};
}

void journal_finished(const struct request *request, const struct response *response)
{
    if (!request->worker || !request->worker->journal || request->who.kind == IDENTITY_NONE)
        return;
    struct bytes tenant = bytes_of_text(request->who.tenant), device = device_of(request);
    bool accepted = outcome_is_success(response->outcome);
    if (device.len == 0 ||
        (accepted && journal_count_acceptance(request->worker->journal, tenant, device, request->received)))
        return;
    struct journal_event event = {
        .at = request->received,
        .stage = JOURNAL_REQUEST,
        .outcome = response->outcome,
        .evidence = request->who.evidence,
        .remote = request->remote,
        .octets = (uint32_t)request->body.len,
    };
    memcpy(event.key, request->who.key, sizeof event.key);
    if (!accepted)
        journal_set_detail(&event, response->detail);
    journal_note(request->worker->journal, tenant, device, &event);
}

/* GET /devices/{id}/log */

static const char *stage_name(enum journal_stage stage)
{
    static const char *const names[JOURNAL_STAGES] = {"handshake", "token", "signature", "request"};
    return names[stage];
}

static int newest_first(const void *a, const void *b)
{
    return -timestamp_compare(((const struct journal_event *)a)->at, ((const struct journal_event *)b)->at);
}

static void put_text(struct report *report, const char *name, const char *text)
{
    report_name(report, name);
    report_text(report, text);
}

static void put_event(struct report *report, const struct journal_event *event)
{
    char remote[ADDRESS_TEXT_MAX];
    report_map(report, 10);
    report_name(report, "at");
    report_thousandths(report, event->at.s * 1000 + event->at.ns / 1000000);
    put_text(report, "by", identity_evidence_slug(event->evidence));
    put_text(report, "key", event->key);
    put_text(report, "from", event->remote.any.sa_family ? address_text(&event->remote, remote) : "");
    put_text(report, "stage", stage_name(event->stage));
    report_name(report, "bytes");
    report_uint(report, event->octets);
    put_text(report, "detail", event->detail);
    report_name(report, "repeats");
    report_uint(report, event->repeats);
    put_text(report, "outcome", outcome_row(event->outcome)->slug);
    report_name(report, "accepted");
    report_bool(report, outcome_is_success(event->outcome));
    report_map_end(report);
}

static bool write_log(struct request *request, const char *id, const struct journal_event *events,
                      size_t count, struct bytes *ret)
{
    struct report report;
    report_init(&report, request->arena, request->accept == CONTENT_FORMAT_CBOR);
    report_map(&report, 2);
    put_text(&report, "id", id);
    report_name(&report, "log");
    report_array(&report, count);
    for (size_t i = 0; i < count; i++)
        put_event(&report, &events[i]);
    report_array_end(&report);
    report_map_end(&report);
    return report_finish(&report, ret);
}

/* A device whose key is derived from its group's may have no record yet. */
static bool is_there(const struct registry *registry, const struct scope *scope, struct bytes device)
{
    struct bytes tenant = bytes_of_text(scope->tenant);
    const struct device_record *record = registry_device(registry, tenant, device);
    if (record)
        return scope_has_device(scope, record);
    return !scope_is_limited(scope) && registry_group_of(registry, tenant, device) != NULL;
}

/* What happened before the record was made may have been another device's, of another site, so who is limited to sites
 * does not see it. Returns how many are left. */
static size_t drop_before_record(const struct registry *registry, const struct scope *scope, struct bytes device,
                                 struct journal_event *events, size_t count)
{
    const struct device_record *record = registry_device(registry, bytes_of_text(scope->tenant), device);
    size_t left = 0;
    if (!scope_is_limited(scope))
        return count;
    for (size_t i = 0; record && i < count; i++)
        if (events[i].at.s > record->created_s)
            events[left++] = events[i];
    return left;
}

void journal_handle(struct request *request)
{
    const struct shared *shared = request->worker->shared;
    struct scope scope;
    struct bytes device = request->path_parameter;
    char id[SCHEMA_DEVICE_MAX + 1] = "";
    if (!schema_device_is_valid(device) || scope_of(request, &scope) != OUTCOME_CONTENT ||
        !is_there(shared->registry, &scope, device)) {
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
        return;
    }
    size_t count = 0, max = (size_t)shared->worker_count * JOURNAL_EVENTS_MAX;
    struct journal_event *events = arena_calloc(request->arena, max, sizeof *events);
    for (unsigned i = 0; events && i < shared->worker_count; i++)
        if (shared->workers[i])
            count += journal_read(shared->workers[i]->journal, bytes_of_text(scope.tenant), device,
                                  events + count, max - count);
    memcpy(id, device.ptr, device.len);
    count = drop_before_record(shared->registry, &scope, device, events, count);
    if (events)
        qsort(events, count, sizeof *events, newest_first);
    struct response response = response_of(OUTCOME_CONTENT);
    response.content_format = request->accept;
    response.max_age_s = 0;
    if (events && write_log(request, id, events, count, &response.body))
        request_finish(request, &response);
    else
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
}
