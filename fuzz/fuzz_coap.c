// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A sequence of events at one wire: datagrams of three peers (one over DTLS, one plain, one plain to a group), time,
 * answers held and let go, changes, peers that go. The input is a list of events, each a byte and its arguments.
 *
 * What must hold: nothing crashes or leaks; what a peer without a proved address gets stays in proportion to what it
 * sent; after everything has expired nothing is remembered of anybody who does not observe.
 */
#include "gateway/coap.h"

#include "gateway/exchange.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PEERS 3
#define HELD_MAX 64
/* RST, late ACK and challenge of a datagram, beyond three times its length. */
#define SLACK_BYTES 24

enum event { EVENT_TIME, EVENT_LET_GO, EVENT_HOLD, EVENT_CHANGE, EVENT_GONE, EVENT_ANSWER, EVENT_DATAGRAM };

static struct fixture {
    struct timers *timers;
    uint64_t now_ms;
    struct settings settings;
    struct metrics metrics;
    struct hash_key hash_key;
    struct coap *coap;
    struct peer peers[PEERS];
    uint64_t received_bytes, received, sent_bytes; /* of the plain peer while its address is not proved */
    bool holds;
    struct request *held[HELD_MAX];
    size_t held_count;
    uint8_t answer;
} fixture;

static struct timestamp wall(void *ctx)
{
    (void)ctx;
    return (struct timestamp){.s = (int64_t)(fixture.now_ms / 1000)};
}

static size_t body_limit(const struct worker *worker, enum method method, struct bytes path)
{
    (void)worker;
    return method == METHOD_PUT ? 0 : 1000 + path.len;
}

static void answer(struct request *request)
{
    static const enum outcome outcomes[] = {OUTCOME_CONTENT, OUTCOME_CHANGED, OUTCOME_NOT_FOUND, OUTCOME_STORE_AWAY};
    struct response response = response_of(outcomes[fixture.answer & 3]);
    size_t len = (size_t)(fixture.answer >> 2) * 40;
    uint8_t *body = arena_alloc(request->arena, len);
    response.observable = fixture.answer & 4;
    if (body && len && response.outcome == OUTCOME_CONTENT) {
        memset(body, 'x', len);
        response.body = bytes_of(body, len);
        response.content_format = CONTENT_FORMAT_TEXT;
    }
    if (fixture.answer & 8)
        response.etag = (struct etag){{1, 2}, 2};
    request_finish(request, &response);
}

static void dispatch(struct request *request)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < request->body.len; i++)
        sum += request->body.ptr[i];
    for (size_t i = 0; i < request->query_count; i++)
        sum += request->query[i].name.len + request->query[i].value.len;
    if (request->path.len == 0 || request->path.ptr[0] != '/' || sum == UINT64_MAX)
        abort();
    if (fixture.holds && fixture.held_count < HELD_MAX)
        fixture.held[fixture.held_count++] = request;
    else
        answer(request);
}

static void let_go(void)
{
    if (fixture.held_count)
        answer(fixture.held[--fixture.held_count]);
}

static void count_sent(struct peer *peer, struct bytes message)
{
    if (message.len < 4 || message.len > 1280)
        abort();
    if (peer == &fixture.peers[1] && !peer->verified)
        fixture.sent_bytes += message.len;
}

static void open_wire(void)
{
    memset(&fixture, 0, sizeof fixture);
    settings_default(&fixture.settings);
    fixture.settings.exchanges_per_peer = 8;
    fixture.settings.exchanges_max = 16;
    fixture.settings.bodies_max_bytes = 3000;
    fixture.settings.body_max = 1024;
    fixture.settings.observers_per_peer = 3;
    fixture.now_ms = 1000000;
    fixture.timers = timers_new(fixture.now_ms);
    struct coap_environment env = {.timers = fixture.timers, .settings = &fixture.settings,
                                   .metrics = &fixture.metrics, .hash_key = &fixture.hash_key, .wall = wall,
                                   .dispatch = dispatch, .body_limit = body_limit, .random_seed = {1, 2, 3, 4}};
    fixture.coap = coap_wire_new(&env);
    if (!fixture.timers || !fixture.coap)
        abort();
    for (unsigned i = 0; i < PEERS; i++) {
        fixture.peers[i].send = count_sent;
        fixture.peers[i].flow.remote.in.sin_family = AF_INET;
        fixture.peers[i].flow.remote.in.sin_port = (in_port_t)i;
    }
    fixture.peers[0].secure = fixture.peers[0].verified = true;
    fixture.peers[0].who.kind = IDENTITY_DEVICE;
}

static void pass_ms(uint64_t ms)
{
    fixture.now_ms += ms;
    timers_advance(fixture.timers, fixture.now_ms);
}

/* An exact copy, so that reads behind the end are seen. */
static void receive(unsigned index, struct bytes datagram)
{
    struct peer *peer = &fixture.peers[index];
    uint8_t *copy = malloc(datagram.len ? datagram.len : 1);
    if (!copy)
        abort();
    if (datagram.len)
        memcpy(copy, datagram.ptr, datagram.len);
    if (index == 1 && !peer->verified) {
        fixture.received_bytes += datagram.len;
        fixture.received++;
    }
    coap_wire_receive(fixture.coap, peer, bytes_of(copy, datagram.len), index == 2);
    free(copy);
}

/* Handles one event; returns the bytes it took, at most size. */
static size_t handle(const uint8_t *data, size_t size)
{
    uint8_t argument = size > 1 ? data[1] : 0;
    switch (data[0] % 8) {
    case EVENT_TIME:
        pass_ms((uint64_t)argument * argument * 5);
        break;
    case EVENT_LET_GO:
        let_go();
        break;
    case EVENT_HOLD:
        fixture.holds = argument & 1;
        break;
    case EVENT_CHANGE:
        coap_wire_changed(fixture.coap, (struct bytes){0}, bytes_of("d", argument & 1));
        pass_ms(0);
        break;
    case EVENT_GONE:
        coap_wire_peer_gone(fixture.coap, &fixture.peers[argument % PEERS]);
        break;
    case EVENT_ANSWER:
        fixture.answer = argument;
        break;
    default: {
        size_t len = argument < size - (size > 1 ? 2 : 1) ? argument : size - (size > 1 ? 2 : 1);
        receive(data[0] / 8 % PEERS, bytes_of(data + (size > 1 ? 2 : 1), len));
        return (size > 1 ? 2 : 1) + len;
    }
    }
    return size > 1 ? 2 : 1;
}

static void check_end(void)
{
    fixture.holds = false;
    while (fixture.held_count)
        let_go();
    for (unsigned i = 0; i < 800; i++)
        pass_ms(1000);
    if (fixture.sent_bytes > 3 * fixture.received_bytes + SLACK_BYTES * fixture.received)
        abort();
    for (unsigned i = 0; i < PEERS; i++)
        if (fixture.peers[i].messages && !coap_wire_has_observers(fixture.coap))
            abort();
    if (fixture.peers[1].messages && !fixture.peers[1].verified)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_wire();
    while (size) {
        size_t taken = handle(data, size);
        data += taken;
        size -= taken;
    }
    check_end();
    for (unsigned i = 0; i < PEERS; i++)
        coap_wire_peer_gone(fixture.coap, &fixture.peers[i]);
    coap_wire_free(fixture.coap);
    timers_free(fixture.timers);
    return 0;
}
