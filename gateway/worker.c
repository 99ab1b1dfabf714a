// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Puts the stages of one worker together and turns its loop. Built in the main thread, run in its own, freed
 * in the main thread after the join; in between only its own thread touches it, except for the mailbox and
 * the metrics.
 *
 * A worker that cannot be built says why and the process does not start; a running worker has no way to fail:
 * every stage below answers with an outcome.
 */
#include "gateway/worker.h"

#include "gateway/clerk.h"
#include "gateway/crypto.h"
#include "gateway/journal.h"
#include "gateway/mapped.h"
#include "gateway/prove.h"
#include "gateway/route.h"
#include "gateway/rt/log.h"

#include <stdio.h>
#include <stdlib.h>

#define MAILBOX_MAX_BYTES (4u << 20)
#define TURN_MAX_MS 1000
#define COOKIE_PERIOD_S 60

enum mail { MAIL_RECORD, MAIL_REVIEW, MAIL_CHANGED, MAIL_END, MAIL_WAKE };

/* A datagram on its way to another worker: this head, then the bytes. */
struct mail_record {
    struct flow flow;
    bool secure, multicast;
};

/* (tenant, device) as one message. */
struct mail_device {
    uint8_t tenant_len, device_len;
    char text[SCHEMA_TENANT_MAX + SCHEMA_DEVICE_MAX];
};

static struct bytes mail_device_tenant(const struct mail_device *mail)
{
    return bytes_of(mail->text, mail->tenant_len);
}

static struct bytes mail_device_device(const struct mail_device *mail)
{
    return bytes_of(mail->text + mail->tenant_len, mail->device_len);
}

static bool post_device(struct worker *to, enum mail kind, struct bytes tenant, struct bytes device)
{
    struct mail_device mail = {.tenant_len = (uint8_t)tenant.len, .device_len = (uint8_t)device.len};
    if (tenant.len > SCHEMA_TENANT_MAX || device.len > SCHEMA_DEVICE_MAX)
        return false;
    memcpy(mail.text, tenant.ptr, tenant.len);
    if (device.len)
        memcpy(mail.text + tenant.len, device.ptr, device.len);
    /* A change that is not told is told by the next one; a revocation comes once. */
    return (kind == MAIL_CHANGED ? mailbox_offer : mailbox_post)(to->mailbox, kind,
                                                                 bytes_of(&mail, sizeof mail));
}

static void receive_record(struct worker *worker, struct bytes message)
{
    struct mail_record head;
    uint8_t data[ENDPOINT_DATAGRAM_MAX];
    if (message.len < sizeof head || message.len - sizeof head > sizeof data)
        return;
    memcpy(&head, message.ptr, sizeof head);
    size_t len = message.len - sizeof head;
    memcpy(data, message.ptr + sizeof head, len);
    struct datagram datagram = {
        .flow = head.flow, .secure = head.secure, .multicast = head.multicast, .data = data, .len = len};
    sessions_receive(worker->sessions, &datagram);
}

static void receive_mail(void *ctx, unsigned kind, struct bytes message)
{
    struct worker *worker = ctx;
    struct mail_device device;
    uint64_t serial;
    switch ((enum mail)kind) {
    case MAIL_RECORD:
        receive_record(worker, message);
        break;
    case MAIL_REVIEW:
        memcpy(&device, message.ptr, sizeof device);
        sessions_review(worker->sessions, mail_device_tenant(&device), mail_device_device(&device));
        break;
    case MAIL_CHANGED:
        memcpy(&device, message.ptr, sizeof device);
        coap_wire_changed(worker->coap, mail_device_tenant(&device), mail_device_device(&device));
        break;
    case MAIL_END:
        memcpy(&serial, message.ptr, sizeof serial);
        sessions_end(worker->sessions, serial);
        break;
    case MAIL_WAKE: /* the turn does the rest */
        break;
    }
}

/* The sockets of all workers are bound to the same addresses in the same order, so the index holds there
 * too. */
static bool hand_over(void *ctx, unsigned owner, const struct datagram *datagram)
{
    struct worker *worker = ctx;
    struct mail_record head = {datagram->flow, datagram->secure, datagram->multicast};
    uint8_t message[sizeof head + ENDPOINT_DATAGRAM_MAX];
    if (owner >= worker->shared->worker_count || datagram->len > ENDPOINT_DATAGRAM_MAX)
        return false;
    memcpy(message, &head, sizeof head);
    memcpy(message + sizeof head, datagram->data, datagram->len);
    return mailbox_offer(worker->shared->workers[owner]->mailbox, MAIL_RECORD,
                         bytes_of(message, sizeof head + datagram->len));
}

static void end_remote(void *ctx, struct presence_ref ref)
{
    struct worker *worker = ctx;
    mailbox_post(worker->shared->workers[ref.worker]->mailbox, MAIL_END,
                 bytes_of(&ref.serial, sizeof ref.serial));
}

static void send_datagram(void *ctx, const struct flow *flow, struct bytes datagram)
{
    struct worker *worker = ctx;
    endpoint_send(worker->endpoint, flow, datagram);
}

static struct bytes mapped_tenant(void *ctx, const struct address *remote)
{
    struct worker *worker = ctx;
    return mapped_lookup(&worker->shared->mapped, remote);
}

static struct timestamp wall(void *ctx)
{
    struct worker *worker = ctx;
    return loop_wall(worker->loop);
}

/* Of the spool, for gateway/shed. */
static unsigned fill(void *ctx)
{
    struct worker *worker = ctx;
    return worker->shared->pipeline ? spool_fill(pipeline_spool(worker->shared->pipeline)) : 0;
}

/* All workers derive the same secret from the same minute, so a cookie holds wherever its hello comes
 * back. */
static void rotate_cookie(struct worker *worker)
{
    int64_t period = loop_wall(worker->loop).s / COOKIE_PERIOD_S;
    uint8_t secret[CRYPTO_SHA256_BYTES];
    if (period == worker->cookie_period)
        return;
    if (!crypto_hmac_sha256(bytes_of(worker->shared->cookie_root, sizeof worker->shared->cookie_root),
                            bytes_of(&period, sizeof period), (struct bytes){0}, secret))
        return;
    dtls_rotate_cookie(worker->dtls, secret);
    worker->cookie_period = period;
    explicit_bzero(secret, sizeof secret);
}

static void tell_time(struct worker *worker)
{
    if (!worker->dtls)
        return;
    dtls_set_time(worker->dtls, loop_wall(worker->loop).s);
    rotate_cookie(worker);
}

static void established(void *ctx, const struct identity *who)
{
    struct worker *worker = ctx;
    struct appear_place place = worker_appear_place(worker);
    appear_seen(worker->shared->appear, who, &place);
    enrol_used(worker, who);
}

static bool make_coap(struct worker *worker)
{
    struct coap_environment environment = {
        .timers = loop_timers(worker->loop),
        .settings = worker->shared->settings,
        .metrics = &worker->metrics,
        .hash_key = &worker->shared->hash_key,
        .wall = wall,
        .fill = fill,
        .dispatch = route_dispatch,
        .body_limit = route_body_limit,
        .ctx = worker,
        .worker = worker,
    };
    random_bytes(environment.random_seed, sizeof environment.random_seed);
    memcpy(environment.echo_key, worker->shared->echo_key, sizeof environment.echo_key);
    worker->coap = coap_wire_new(&environment);
    return worker->coap != NULL;
}

static void handshake_failed(void *ctx, const struct identity *who, const char *why,
                             const struct address *remote)
{
    struct worker *worker = ctx;
    struct journal_event event = {
        .at = loop_wall(worker->loop),
        .stage = JOURNAL_HANDSHAKE,
        .outcome = OUTCOME_UNAUTHENTICATED,
        .evidence = who->evidence,
        .remote = *remote,
    };
    memcpy(event.key, who->key, sizeof event.key);
    journal_set_detail(&event, why);
    journal_note(worker->journal, bytes_of_text(who->tenant), bytes_of_text(who->device), &event);
}

static bool make_sessions(struct worker *worker)
{
    struct sessions_environment environment = {
        .timers = loop_timers(worker->loop),
        .settings = worker->shared->settings,
        .metrics = &worker->metrics,
        .hash_key = &worker->shared->hash_key,
        .registry = worker->shared->registry,
        .dtls = worker->dtls,
        .presence = worker->shared->presence,
        .coap = worker->coap,
        .worker_index = worker->index,
        .worker_count = worker->shared->worker_count,
        .send = send_datagram,
        .hand_over = hand_over,
        .end_remote = end_remote,
        .established = established,
        .failed = handshake_failed,
        .mapped_tenant = mapped_tenant,
        .fill = fill,
        .ctx = worker,
    };
    worker->sessions = sessions_new(&environment);
    return worker->sessions != NULL;
}

static bool make_sink(struct worker *worker)
{
    struct shared *shared = worker->shared;
    struct sink_config config = {
        .loop = worker->loop,
        .settings = shared->settings,
        .metrics = &worker->metrics,
        .index = worker->index,
        .redis = &shared->redis,
    };
    random_bytes(config.random_seed, sizeof config.random_seed);
    if (shared->pipeline) {
        config.spool = pipeline_spool(shared->pipeline);
        config.recent = pipeline_recent(shared->pipeline);
        config.push = pipeline_push(shared->pipeline);
    }
    worker->sink = sink_new(&config);
    return worker->sink != NULL;
}

/* Beside the path: what people ask (gateway/devices) must not wait behind what devices send. */
static bool make_lookups(struct worker *worker)
{
    struct redis_config config = {
        .target = &worker->shared->redis,
        .timeout_ms = worker->shared->settings->redis_timeout_ms,
    };
    random_bytes(config.random_seed, sizeof config.random_seed);
    worker->lookups = redis_new(worker->loop, &config);
    return worker->lookups != NULL;
}

/* In the order of the path; each stage only needs what stands before it. */
static bool build(struct worker *worker, char reterr[static SETTINGS_ERROR_MAX])
{
    const struct settings *settings = worker->shared->settings;
    worker->loop = loop_new();
    if (!worker->loop)
        return false;
    worker->mailbox = mailbox_new(worker->loop, MAILBOX_MAX_BYTES, receive_mail, worker);
    worker->guard = prove_guard_new(&worker->shared->hash_key);
    worker->journal = journal_new(&worker->shared->hash_key);
    if (!worker->mailbox || !worker->guard || !worker->journal || !make_lookups(worker) ||
        !make_sink(worker) || !make_coap(worker))
        return false;
    if (settings->coaps_port) {
        worker->dtls = dtls_new(settings, worker->shared->registry, &worker->metrics, worker->index,
                                worker->shared->worker_count, reterr);
        if (!worker->dtls)
            return false;
        worker->cookie_period = -1;
        if (worker->shared->choice)
            dtls_share_choice(worker->dtls, worker->shared->choice);
        tell_time(worker);
    }
    if (!make_sessions(worker))
        return false;
    worker->endpoint =
        endpoint_new(worker->loop, settings, &worker->metrics, sessions_receive, worker->sessions, reterr);
    if (!worker->endpoint)
        return false;
    if (worker->shared->http_start) {
        worker->http = worker->shared->http_start(worker, reterr);
        return worker->http != NULL;
    }
    return true;
}

struct worker *worker_new(struct shared *shared, unsigned index, char reterr[static SETTINGS_ERROR_MAX])
{
    snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->shared = shared;
    worker->index = index;
    shared->workers[index] = worker;
    if (!build(worker, reterr)) {
        worker_free(worker);
        return NULL;
    }
    return worker;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    clerk_collect(worker->shared->clerk, worker->index);
    enrol_stop(worker);
    redis_free(worker->lookups); /* answers all that waits for it */
    if (worker->http)
        worker->shared->http_stop(worker->http);
    /* The sink answers all that is under way, so it goes while the wires still stand. */
    sink_free(worker->sink);
    sessions_free(worker->sessions);
    coap_wire_free(worker->coap);
    dtls_free(worker->dtls);
    if (worker->endpoint)
        endpoint_flush(worker->endpoint);
    endpoint_free(worker->endpoint);
    mailbox_free(worker->mailbox);
    prove_guard_free(worker->guard);
    journal_free(worker->journal);
    loop_free(worker->loop);
    worker->shared->workers[worker->index] = NULL;
    free(worker);
}

static uint64_t turn_wait_ms(struct worker *worker)
{
    uint64_t wish = worker->http ? worker->shared->http_wait_ms(worker->http) : UINT64_MAX;
    return wish < TURN_MAX_MS ? wish : TURN_MAX_MS;
}

static void turn(struct worker *worker)
{
    loop_wait(worker->loop, turn_wait_ms(worker), registry_offline, registry_online);
    clerk_collect(worker->shared->clerk, worker->index);
    if (worker->http)
        worker->shared->http_turn(worker->http);
    enrol_turn(worker);
    sink_flush(worker->sink);
    endpoint_flush(worker->endpoint);
    tell_time(worker);
    atomic_store_explicit(&worker->shared->observing[worker->index], coap_wire_has_observers(worker->coap),
                          memory_order_relaxed);
}

static void *run(void *ctx)
{
    struct worker *worker = ctx;
    registry_thread_start();
    while (!atomic_load_explicit(&worker->stop, memory_order_relaxed))
        turn(worker);
    registry_thread_stop();
    return NULL;
}

struct appear_place worker_appear_place(struct worker *worker)
{
    return (struct appear_place){
        .worker = worker->index,
        .metrics = &worker->metrics,
        .now_ms = loop_now_ms(worker->loop),
        .wall_s = loop_wall(worker->loop).s,
    };
}

bool worker_start(struct worker *worker)
{
    worker->started = pthread_create(&worker->thread, NULL, run, worker) == 0;
    return worker->started;
}

void worker_stop(struct worker *worker)
{
    if (!worker->started)
        return;
    atomic_store(&worker->stop, true);
    /* Any mail wakes the loop; nobody has this name. */
    post_device(worker, MAIL_CHANGED, BYTES_LITERAL("-"), BYTES_LITERAL("-"));
    pthread_join(worker->thread, NULL);
    worker->started = false;
}

void worker_review_all(struct shared *shared, struct bytes tenant, struct bytes device)
{
    for (unsigned i = 0; i < shared->worker_count; i++)
        if (shared->workers[i] && !post_device(shared->workers[i], MAIL_REVIEW, tenant, device))
            log_write(LOG_ERROR, "worker", "mailbox full: sessions of a changed device may live on",
                      "worker=%u", i);
}

void worker_wake(struct worker *worker)
{
    /* A full mailbox is about to be read. */
    (void)mailbox_post(worker->mailbox, MAIL_WAKE, BYTES_LITERAL(""));
}

void worker_changed(struct worker *worker, struct bytes tenant, struct bytes device)
{
    struct shared *shared = worker->shared;
    for (unsigned i = 0; i < shared->worker_count; i++) {
        if (!atomic_load_explicit(&shared->observing[i], memory_order_relaxed))
            continue;
        if (i == worker->index)
            coap_wire_changed(worker->coap, tenant, device);
        else
            post_device(shared->workers[i], MAIL_CHANGED, tenant, device);
    }
}
