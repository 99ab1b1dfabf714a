// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One worker: a thread with its own loop, sockets, sessions, HTTP listener and store connections, sharing nothing on
 * the data path but the registry (read without locks) and the latest values (locked in stripes).
 *
 * One turn: receive batches, handle each datagram, send what was collected to the store, take its answers, send the
 * batch of CoAP answers.
 */
#pragma once

#include "gateway/appear.h"
#include "gateway/clocks.h"
#include "gateway/coap.h"
#include "gateway/enrol.h"
#include "gateway/dtls_choice.h"
#include "gateway/latest.h"
#include "gateway/mapped.h"
#include "gateway/pipeline.h"
#include "gateway/presence.h"
#include "gateway/redis.h"
#include "gateway/redis_check.h"
#include "gateway/rt/mailbox.h"
#include "gateway/session.h"
#include "gateway/sink.h"

#include <pthread.h>
#include <stdatomic.h>

#define WORKERS_MAX 64

/* What all workers share; lives in gateway/server. */
struct shared {
    const struct settings *settings;
    struct hash_key hash_key;
    struct registry *registry;
    struct latest *latest;
    struct clocks *clocks;
    struct presence *presence;
    struct clerk *clerk;           /* changes of the registry, for people */
    struct vault *vault;           /* of what is secret in Redis */
    struct quarantine *quarantine; /* how codecs fare */
    struct appear *appear;         /* records of devices whose keys are derived */
    struct dtls_choice *choice;    /* which of several keys devices mean */
    struct store_target redis; /* lives as long as the settings, or the private Redis */
    const char *redis_address; /* of it, for the log */
    struct redis_facts redis_facts; /* what the main thread finds out about it */
    struct mapped mapped;
    uint8_t echo_key[16];
    uint8_t cookie_root[32]; /* cookie secrets are derived from it and the minute */
    unsigned worker_count;
    struct worker *workers[WORKERS_MAX];
    struct metrics metrics; /* of the main thread */
    struct pipeline *pipeline; /* NULL: settings.spool is off */
    _Atomic unsigned observing[WORKERS_MAX]; /* whether a worker has observers */
    _Atomic bool registry_loaded;
    _Atomic bool registry_fresh; /* the change stream is being followed */
    /* The HTTP listener of a worker: proxy/ fills these in, because gateway must not know it. */
    void *(*http_start)(struct worker *worker, char reterr[static SETTINGS_ERROR_MAX]);
    void (*http_stop)(void *http);
    void (*http_turn)(void *http); /* after each turn; returns in any case at once */
    uint64_t (*http_wait_ms)(void *http); /* UINT64_MAX: no wish */
};

struct prove_guard;
struct journal;

struct worker {
    unsigned index;
    struct shared *shared;
    struct loop *loop;
    struct mailbox *mailbox;
    struct endpoint *endpoint;
    struct dtls *dtls;
    struct coap *coap;
    struct sessions *sessions;
    struct sink *sink;
    struct redis *lookups; /* to Redis, for what people ask, and what is kept for them */
    struct clocks_pace clocks_pace;
    struct prove_guard *guard; /* gateway/prove */
    struct journal *journal;   /* what happened with each device; read by others too */
    struct enrol_pace enrol;
    struct {
        uint64_t window_s;
        uint32_t used;
    } kept; /* gateway/quarantine: messages of this second */
    void *http;
    struct random random;
    struct metrics metrics;
    int64_t cookie_period;
    pthread_t thread;
    bool started;
    _Atomic bool stop;
};

/* Builds everything in the calling thread, so that errors are told before any thread starts. NULL: reterr. */
struct worker *worker_new(struct shared *shared, unsigned index, char reterr[static SETTINGS_ERROR_MAX]);
bool worker_start(struct worker *worker);
/* Asks the thread to end and waits for it. All threads are stopped before the first worker is freed. */
void worker_stop(struct worker *worker);
void worker_free(struct worker *worker);

/* From any thread: the registry has changed; end those sessions of a device that may not go on, on all workers (device
 * empty: of the tenant). */
void worker_review_all(struct shared *shared, struct bytes tenant, struct bytes device);
/* For appear_seen. */
struct appear_place worker_appear_place(struct worker *worker);
/* From any thread: a turn shall come, though nothing has been received. */
void worker_wake(struct worker *worker);
/* From a worker: a device's values changed; tells every worker that has observers. */
void worker_changed(struct worker *worker, struct bytes tenant, struct bytes device);
