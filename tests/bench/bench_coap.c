// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Nanoseconds of the CoAP side per CON POST of 190 bytes, without socket, DTLS and handler: parse, look for a
 * repetition, request, answer, remember. Peers take turns, so that more peers mean more cache misses, which is all that
 * may grow. "held" answers a batch later, as the store does; "again" is a repetition. The best of several runs is
 * printed: the others measure the machine's other work.
 */
#include "gateway/coap.h"

#include "gateway/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS 5
#define MESSAGES 400000
#define BATCH 64

static struct fixture {
    struct timers *timers;
    struct settings settings;
    struct metrics metrics;
    struct hash_key hash_key;
    struct coap *coap;
    struct request *held[BATCH];
    size_t held_count;
    bool holds;
    uint64_t sent_bytes;
} fixture;

static struct timestamp wall(void *ctx)
{
    (void)ctx;
    return (struct timestamp){.s = 1763692800};
}

static size_t body_limit(const struct worker *worker, enum method method, struct bytes path)
{
    (void)worker;
    (void)method;
    (void)path;
    return 65536;
}

static void dispatch(struct request *request)
{
    if (fixture.holds)
        fixture.held[fixture.held_count++] = request;
    else
        request_refuse(request, OUTCOME_CHANGED, NULL);
}

static void send_nowhere(struct peer *peer, struct bytes message)
{
    (void)peer;
    fixture.sent_bytes += message.len;
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void open_wire(void)
{
    settings_default(&fixture.settings);
    fixture.timers = timers_new(1);
    struct coap_environment env = {.timers = fixture.timers, .settings = &fixture.settings,
                                   .metrics = &fixture.metrics, .hash_key = &fixture.hash_key, .wall = wall,
                                   .dispatch = dispatch, .body_limit = body_limit, .random_seed = {1, 2, 3, 4}};
    fixture.coap = coap_wire_new(&env);
    if (!fixture.timers || !fixture.coap)
        exit(1);
}

static struct peer *make_peers(size_t count)
{
    struct peer *peers = calloc(count, sizeof *peers);
    if (!peers)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        peers[i].secure = peers[i].verified = true;
        peers[i].who.kind = IDENTITY_DEVICE;
        peers[i].send = send_nowhere;
    }
    return peers;
}

static struct bytes make_post(struct message_writer *writer)
{
    static const uint8_t payload[160] =
        "[{\"bn\":\"urn:dev:ow:10e2073a01080063:\",\"n\":\"temp\",\"u\":\"Cel\",\"v\":21.5}]";
    struct message_token token = {.octets = {1, 2, 3, 4}, .len = 4};
    message_writer_init(writer);
    message_put(writer, MESSAGE_URI_PATH, BYTES_LITERAL("obs"));
    message_put_uint(writer, MESSAGE_CONTENT_FORMAT, CONTENT_FORMAT_SENML_JSON);
    message_put(writer, MESSAGE_URI_QUERY, BYTES_LITERAL("d=boiler-7"));
    message_put_payload(writer, bytes_of(payload, sizeof payload));
    return message_finish(writer, MESSAGE_CON, METHOD_POST, 0, &token);
}

static void let_go(void)
{
    while (fixture.held_count)
        request_refuse(fixture.held[--fixture.held_count], OUTCOME_CHANGED, NULL);
}

/* One run; returns nanoseconds per message. first: the message number that it begins with. */
static double run(struct peer *peers, size_t peer_count, uint8_t *post, size_t len, size_t first, bool again)
{
    uint64_t ms = timers_now(fixture.timers);
    double begin = now_ns();
    for (size_t i = 0; i < MESSAGES; i++) {
        size_t n = first + i, id = (again ? first : n) / peer_count;
        post[2] = (uint8_t)(id >> 8);
        post[3] = (uint8_t)id;
        post[30] = (uint8_t)(again ? 0 : n >> 16); /* IDs come again within this bench: other bytes then */
        coap_wire_receive(fixture.coap, &peers[n % peer_count], bytes_of(post, len), false);
        if (fixture.held_count == BATCH)
            let_go();
        if (i % 64 == 0)
            timers_advance(fixture.timers, ++ms);
    }
    let_go();
    return (now_ns() - begin) / MESSAGES;
}

static double best(struct peer *peers, size_t peer_count, bool holds, bool again)
{
    struct message_writer writer;
    struct bytes post = make_post(&writer);
    double best_ns = 1e12;
    fixture.holds = holds;
    for (size_t i = 0; i < RUNS; i++) {
        double ns = run(peers, peer_count, (uint8_t *)(uintptr_t)post.ptr, post.len, i * MESSAGES, again);
        if (ns < best_ns)
            best_ns = ns;
    }
    return best_ns;
}

int main(void)
{
    static const size_t counts[] = {64, 2000, 10000, 100000};
    printf("%8s %10s %10s %10s   ns per CON POST of %zu bytes\n", "peers", "at once", "held", "again",
           make_post(&(struct message_writer){.len = 0}).len);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        open_wire();
        struct peer *peers = make_peers(counts[i]);
        double at_once = best(peers, counts[i], false, false);
        double held = best(peers, counts[i], true, false);
        double again = best(peers, counts[i], false, true);
        printf("%8zu %10.0f %10.0f %10.0f\n", counts[i], at_once, held, again);
        coap_wire_free(fixture.coap);
        timers_free(fixture.timers);
        free(peers);
    }
    return 0;
}
