// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the tests of the CoAP side share: a wire whose time, peers and route table are the test's. Time moves only by
 * pass_ms; what is sent is kept; requests are answered at once as the test says, or held until it says.
 */
#pragma once

#include "gateway/coap.h"
#include "gateway/message.h"
#include "gateway/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SENT_MAX 4096
#define HELD_MAX 1024
#define WALL_S 1763692800
#define BODY_LIMIT 65536

struct sent {
    struct peer *peer;
    size_t len;
    uint8_t octets[MESSAGE_WRITE_MAX];
};

static struct wire_fixture {
    struct timers *timers;
    uint64_t now_ms;
    struct settings settings;
    struct metrics metrics;
    struct hash_key hash_key;
    struct coap *coap;
    struct sent *sent; /* SENT_MAX */
    size_t sent_count;

    /* the route table */
    unsigned dispatched;
    bool hold;
    struct request *held[HELD_MAX];
    size_t held_count;
    struct response response; /* how requests are answered */
    size_t answer_bytes;      /* the body of it: so many digits */
    size_t body_limit;
    unsigned fill; /* of the spool */
    size_t last_body_len;
    uint8_t last_body[BODY_LIMIT];
    char last_path[512], last_query[512];
    bool last_observe, last_if_none_match;
    int last_content_format, last_accept;
    struct identity last_who;
    unsigned last_etag_count, last_if_match_count;
    struct sequence last_sequence;
    bool last_bad_sequence, last_best_effort;
    uint8_t last_key[REQUEST_KEY_BYTES];
} wire;

static inline struct timestamp wire_wall(void *ctx)
{
    (void)ctx;
    return (struct timestamp){.s = WALL_S + (int64_t)(wire.now_ms / 1000)};
}

static inline size_t wire_body_limit(const struct worker *worker, enum method method, struct bytes path)
{
    (void)worker;
    (void)method;
    return bytes_equal_text(path, "/none") ? 0 : wire.body_limit;
}

static inline void wire_note_request(const struct request *request)
{
    wire.dispatched++;
    wire.last_body_len = request->body.len;
    cr_assert_leq(request->body.len, sizeof wire.last_body);
    if (request->body.len)
        memcpy(wire.last_body, request->body.ptr, request->body.len);
    snprintf(wire.last_path, sizeof wire.last_path, "%.*s", (int)request->path.len, (const char *)request->path.ptr);
    wire.last_query[0] = '\0';
    for (size_t i = 0, at = 0; i < request->query_count && at < sizeof wire.last_query; i++)
        at += (size_t)snprintf(wire.last_query + at, sizeof wire.last_query - at, "[%.*s|%.*s]",
                               (int)request->query[i].name.len, (const char *)request->query[i].name.ptr,
                               (int)request->query[i].value.len, (const char *)request->query[i].value.ptr);
    wire.last_observe = request->observe;
    wire.last_if_none_match = request->if_none_match;
    wire.last_content_format = request->content_format;
    wire.last_accept = request->accept;
    wire.last_who = request->who;
    wire.last_etag_count = request->etag_count;
    wire.last_if_match_count = request->if_match_count;
    wire.last_sequence = request->sequence;
    wire.last_bad_sequence = request->bad_sequence != NULL;
    wire.last_best_effort = request->best_effort;
    request_exchange_key(request, wire.last_key);
}

static inline void wire_answer(struct request *request)
{
    struct response response = wire.response;
    if (wire.answer_bytes) {
        uint8_t *body = arena_alloc(request->arena, wire.answer_bytes);
        cr_assert_not_null(body);
        for (size_t i = 0; i < wire.answer_bytes; i++)
            body[i] = (uint8_t)('0' + i / 16 % 10);
        response.body = bytes_of(body, wire.answer_bytes);
        response.content_format = CONTENT_FORMAT_TEXT;
    }
    request_finish(request, &response);
}

static inline void wire_dispatch(struct request *request)
{
    wire_note_request(request);
    if (!wire.hold) {
        wire_answer(request);
        return;
    }
    cr_assert_lt(wire.held_count, HELD_MAX);
    wire.held[wire.held_count++] = request;
}

/* Finishes the oldest request that is held. */
static inline void wire_let_go(void)
{
    cr_assert_gt(wire.held_count, 0);
    struct request *request = wire.held[0];
    memmove(wire.held, wire.held + 1, --wire.held_count * sizeof wire.held[0]);
    wire_answer(request);
}

static inline void wire_send(struct peer *peer, struct bytes message)
{
    cr_assert_lt(wire.sent_count, SENT_MAX);
    cr_assert_leq(message.len, MESSAGE_WRITE_MAX);
    struct sent *sent = &wire.sent[wire.sent_count++];
    sent->peer = peer;
    sent->len = message.len;
    memcpy(sent->octets, message.ptr, message.len);
}

/* A peer over DTLS that is device "d" of tenant "t". */
static inline struct peer *wire_peer(uint16_t port)
{
    struct peer *peer = calloc(1, sizeof *peer);
    cr_assert_not_null(peer);
    peer->flow.remote.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
                                                .sin_addr.s_addr = htonl(0x7f000001)};
    peer->secure = peer->verified = true;
    peer->who.kind = IDENTITY_DEVICE;
    strcpy(peer->who.tenant, "t");
    strcpy(peer->who.device, "d");
    peer->send = wire_send;
    return peer;
}

static inline void wire_peer_free(struct peer *peer)
{
    coap_wire_peer_gone(wire.coap, peer);
    free(peer);
}

static inline unsigned wire_fill(void *ctx)
{
    (void)ctx;
    return wire.fill;
}

/* Opens with default settings; a test changes wire.settings at any time after. */
static inline void wire_open(void)
{
    memset(&wire, 0, sizeof wire);
    settings_default(&wire.settings);
    wire.hash_key = (struct hash_key){0x0706050403020100, 0x0f0e0d0c0b0a0908};
    wire.now_ms = 1000000;
    wire.timers = timers_new(wire.now_ms);
    wire.sent = calloc(SENT_MAX, sizeof *wire.sent);
    wire.response = response_of(OUTCOME_CHANGED);
    wire.body_limit = BODY_LIMIT;
    struct coap_environment env = {
        .timers = wire.timers,
        .settings = &wire.settings,
        .metrics = &wire.metrics,
        .hash_key = &wire.hash_key,
        .wall = wire_wall,
        .dispatch = wire_dispatch,
        .body_limit = wire_body_limit,
        .fill = wire_fill,
        .random_seed = {1, 2, 3, 4},
        .echo_key = {5, 6, 7, 8},
    };
    wire.coap = coap_wire_new(&env);
    cr_assert_not_null(wire.coap);
}

static inline void wire_close(void)
{
    while (wire.held_count)
        wire_let_go();
    coap_wire_free(wire.coap);
    timers_free(wire.timers);
    free(wire.sent);
}

static inline void pass_ms(uint64_t ms)
{
    wire.now_ms += ms;
    timers_advance(wire.timers, wire.now_ms);
}

static inline size_t unhex(const char *hex, uint8_t *ret, size_t room)
{
    size_t len = 0;
    for (const char *at = hex; *at; at++) {
        if (*at == ' ')
            continue;
        char pair[3] = {at[0], at[1], '\0'};
        cr_assert_lt(len, room);
        ret[len++] = (uint8_t)strtoul(pair, NULL, 16);
        at++;
    }
    return len;
}

/* An exact copy, so that AddressSanitizer sees reads behind the end. */
static inline void receive_bytes(struct peer *peer, const uint8_t *octets, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, octets, len);
    coap_wire_receive(wire.coap, peer, bytes_of(copy, len), false);
    free(copy);
}

static inline void receive(struct peer *peer, const char *hex)
{
    uint8_t octets[4096];
    receive_bytes(peer, octets, unhex(hex, octets, sizeof octets));
}

/* What was sent since the last call, in hexadecimal, messages separated by a space; "" for nothing. */
static inline const char *sent(void)
{
    static char text[65536];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < wire.sent_count; i++) {
        if (i)
            text[at++] = ' ';
        for (size_t k = 0; k < wire.sent[i].len; k++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%02x", wire.sent[i].octets[k]);
    }
    wire.sent_count = 0;
    return text;
}

/* The only message that was sent since the last call, parsed; its bytes stay until the next message is sent. */
static inline struct message sent_message(void)
{
    struct message message;
    cr_assert_eq(wire.sent_count, 1, "%zu messages were sent", wire.sent_count);
    wire.sent_count = 0;
    cr_assert_eq(message_parse(bytes_of(wire.sent[0].octets, wire.sent[0].len), &message), MESSAGE_FINE);
    return message;
}

#define expect_sent(hex)                                                                                               \
    do {                                                                                                               \
        const char *got_ = sent();                                                                                     \
        cr_expect_str_eq(got_, hex, "sent \"%s\", not \"%s\"", got_, hex);                                             \
    } while (0)

static inline uint64_t metric(enum metric which)
{
    const struct metrics *metrics = &wire.metrics;
    return metrics_sum(&metrics, 1, which);
}

/* A request built option by option, for what hexadecimal would hide. */
struct draft {
    struct message_writer writer;
    enum message_type type;
    uint8_t code;
    uint16_t id;
    struct message_token token;
};

static inline struct draft draft(enum message_type type, enum method method, uint16_t id)
{
    struct draft draft = {.type = type, .code = (uint8_t)method, .id = id};
    draft.token.len = 2;
    draft.token.octets[0] = (uint8_t)(id >> 8);
    draft.token.octets[1] = (uint8_t)id;
    message_writer_init(&draft.writer);
    return draft;
}

static inline void receive_draft(struct peer *peer, struct draft *draft)
{
    cr_assert(!draft->writer.failed);
    struct bytes message = message_finish(&draft->writer, draft->type, draft->code, draft->id, &draft->token);
    receive_bytes(peer, message.ptr, message.len);
}
