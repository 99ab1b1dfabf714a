// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The wire: binds message, exchange, block, observe and echo, and stands between them and the route table.
 *
 *   datagram -> message_parse -> exchange (seen before?) -> what is wrong with its options -> block (body whole?)
 *     -> dispatch ... finish -> answer_write -> exchange (ACK, separate, NON)
 *
 * One struct call is one request on its way, in an arena of its own that comes from a pool and goes back at the finish.
 * Everything the answer needs is in it. If the peer goes, or the deadline passes, the call stays until the handler
 * finishes, and the finish goes nowhere. A notification is a call too: its request is the registration's, answered anew
 * with the identity that the peer has at that time.
 *
 * A peer whose address is not proved (plain CoAP) gets at most three times its bytes, no observation and no repetition;
 * what is longer becomes 4.01 with an Echo option (RFC 9175 2.4).
 */
#include "gateway/coap.h"

#include "gateway/answer.h"
#include "gateway/block.h"
#include "gateway/delivery.h"
#include "gateway/echo.h"
#include "gateway/exchange.h"
#include "gateway/message.h"
#include "gateway/observe.h"
#include "gateway/rt/crash.h"
#include "gateway/shed.h"

#include <stdlib.h>

#define AMPLIFICATION_MAX 3
#define OBSERVE_REGISTER 0
#define OBSERVE_DEREGISTER 1
/* Seconds a client is asked to wait when this worker has no room, or when the client has too much under way. */
#define RETRY_AFTER_S 5
/* Arenas kept for the next requests; as many as are under way within one group commit of the store. */
#define ARENAS_KEPT 512
/* A limit that is taken only as it is used: a log of short lines with many values becomes 50 times its size. */
#define ARENA_BODY_FACTOR 64
#define ARENA_EXTRA_BYTES ((size_t)8 << 20) /* a GET of a thousand values, a batch of emoncms-bulk; taken as used */

struct coap {
    struct coap_environment env;
    struct exchange_table *exchanges;
    struct block_table *blocks;
    struct observe_table *observers;
    uint64_t salt, exchange_count; /* tell exchanges over DTLS apart, which end with the process */
    size_t arena_count;
    struct arena *arenas[ARENAS_KEPT];
};

struct call {
    struct request request;
    struct coap *coap;
    struct peer *peer;        /* valid while is_wanted */
    struct exchange exchange; /* of a request */
    struct observe_run run;   /* of a notification */
    bool is_notification, multicast;
    struct message_token token;
    struct bytes texts;    /* path and query, one after the other */
    struct bytes datagram; /* of a request that wants to observe */
    size_t received_bytes;
    uint32_t transfer; /* serial in block */
    int accept;        /* what the client said; the route table settles request.accept */
    uint8_t no_response;
    bool has_block1, has_block2, wants_size2;
    struct block_option block1, block2;
    uint16_t refused[MESSAGE_REFUSED_MAX];
    unsigned refused_count;
};

/* Calls */

static struct arena *take_arena(struct coap *coap)
{
    if (coap->arena_count)
        return coap->arenas[--coap->arena_count];
    return arena_new(coap->env.settings->body_max * ARENA_BODY_FACTOR + ARENA_EXTRA_BYTES);
}

static void give_arena(struct coap *coap, struct arena *arena)
{
    if (coap->arena_count == ARENAS_KEPT) {
        arena_free(arena);
        return;
    }
    arena_reset(arena);
    coap->arenas[coap->arena_count++] = arena;
}

static void call_free(struct call *call)
{
    give_arena(call->coap, call->request.arena);
}

/* Whether there is still somebody to answer. */
static bool is_wanted(const struct call *call)
{
    return call->is_notification ? call->run.observer != NULL : call->exchange.peer != NULL;
}

/* Path and query live as long as the call: the datagram does not. */
static bool copy_texts(struct call *call, const struct message *message)
{
    size_t query_bytes = message->query_count * sizeof(struct query_parameter);
    size_t path_len = message_path_len(message);
    uint8_t *memory = arena_alloc(call->request.arena, query_bytes + path_len + message->query_bytes);
    if (!memory)
        return false;
    struct query_parameter *query = (struct query_parameter *)(void *)memory;
    message_query(message, query, memory + query_bytes + path_len);
    message_path(message, memory + query_bytes);
    call->request.query = query;
    call->request.query_count = message->query_count;
    call->request.path = bytes_of(memory + query_bytes, path_len);
    call->texts = bytes_of(memory + query_bytes, path_len + message->query_bytes);
    return true;
}

/* Fixed: a repetition is known by the same key after a restart. Whoever makes two the same spoils his own messages. */
static const struct hash_key exchange_keys[2] = {
    {0x243f6a8885a308d3, 0x13198a2e03707344},
    {0xa4093822299f31d0, 0x082efa98ec4e6c89},
};

/* Address, message ID, token, what is asked, body. */
static void write_plain_key(const struct call *call, uint8_t ret[static REQUEST_KEY_BYTES])
{
    const struct request *request = &call->request;
    const struct message_token *token = &call->token;
    const uint16_t head[] = {call->exchange.id, (uint16_t)request->content_format, request->method};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t remote = address_hash(&exchange_keys[i], &request->remote);
        const struct bytes parts[] = {bytes_of(&remote, sizeof remote), bytes_of(head, sizeof head),
                                      bytes_of(token->octets, token->len), call->texts, request->body};
        uint64_t hash = hash_parts(&exchange_keys[i], parts, sizeof parts / sizeof parts[0]);
        memcpy(ret + 8 * i, &hash, sizeof hash);
    }
}

/* request.exchange_key. Over DTLS the exchange layer has seen to it that each exchange comes once. */
static void exchange_key(const struct request *request, uint8_t ret[static REQUEST_KEY_BYTES])
{
    const struct call *call = request->wire_state;
    struct coap *coap = call->coap;
    if (!call->peer->secure) {
        write_plain_key(call, ret);
        return;
    }
    coap->exchange_count++;
    memcpy(ret, &coap->salt, sizeof coap->salt);
    memcpy(ret + sizeof coap->salt, &coap->exchange_count, sizeof coap->exchange_count);
}

static void take_sequence(struct request *request, const struct message *message)
{
    if (message->has_sequence && !delivery_parse_option(message->sequence, &request->sequence))
        request->bad_sequence = "Option 65100 is not a length, an epoch and a seq without leading zeros.";
}

static void fill_request(struct call *call, const struct message *message)
{
    struct request *request = &call->request;
    const struct coap_environment *env = &call->coap->env;
    request->wire = WIRE_COAP;
    request->method = (enum method)message->code;
    request->content_format = message->content_format;
    request->accept = message->accept;
    request->etag_count = message->etag_count;
    memcpy(request->etags, message->etags, message->etag_count * sizeof message->etags[0]);
    request->if_match_count = message->if_match_count;
    memcpy(request->if_match, message->if_match, message->if_match_count * sizeof message->if_match[0]);
    request->if_none_match = message->if_none_match;
    request->best_effort = message->type == MESSAGE_NON;
    take_sequence(request, message);
    request->observe = message->observe == OBSERVE_REGISTER && request->method == METHOD_GET &&
                       call->block2.num == 0 && !call->multicast;
    if (request->method != METHOD_GET && request->method != METHOD_DELETE)
        request->body = message->payload; /* RFC 7252 5.5: means nothing there */
    request->who = call->peer->who;
    request->remote = call->peer->flow.remote;
    request->received = env->wall(env->ctx);
    request->worker = env->worker;
}

static void finish(struct request *request, const struct response *response);

/* A call with everything but its texts. NULL: out of memory. */
static struct call *call_new(struct coap *coap, struct peer *peer, const struct message *message)
{
    struct arena *arena = take_arena(coap);
    if (!arena)
        return NULL;
    struct call *call = arena_calloc(arena, 1, sizeof *call);
    if (!call) {
        give_arena(coap, arena);
        return NULL;
    }
    call->coap = coap;
    call->peer = peer;
    call->request.arena = arena;
    call->request.finish = finish;
    call->request.exchange_key = exchange_key;
    call->request.wire_state = call;
    call->token = message->token;
    call->accept = message->accept;
    call->no_response = message->no_response;
    call->wants_size2 = message->size2 >= 0;
    call->has_block1 = message->block1 >= 0 && block_option_read((uint32_t)message->block1, &call->block1);
    call->has_block2 = message->block2 >= 0 && block_option_read((uint32_t)message->block2, &call->block2);
    call->refused_count = message->refused_count;
    memcpy(call->refused, message->refused, sizeof call->refused);
    return call;
}

/* Answers */

static uint64_t subject_of(const struct coap *coap, struct bytes tenant, struct bytes device)
{
    return hash_pair(coap->env.hash_key, tenant, device);
}

/* A device observes itself, others what they name, or the whole tenant. */
static uint64_t subject_of_request(const struct coap *coap, const struct request *request)
{
    bool named, crosses;
    struct bytes device = request_named_device(request, &named);
    struct bytes tenant = request_query(request, "tenant", &crosses);
    if (!named && request->who.kind == IDENTITY_DEVICE)
        device = bytes_of_text(request->who.device);
    return subject_of(coap, crosses ? tenant : bytes_of_text(request->who.tenant), device);
}

/* The Observe value of the answer, or -1. */
static int64_t observe_answer(struct call *call, const struct response *response)
{
    struct observe_table *observers = call->coap->observers;
    if (!call->request.observe)
        return -1;
    struct observe_registration registration = {.peer = call->peer, .token = call->token, .request = call->datagram};
    if (response->observable && outcome_is_success(response->outcome) && call->datagram.len > 0) {
        registration.subject = subject_of_request(call->coap, &call->request);
        if (observe_register(observers, &registration))
            return observe_sequence(observers);
    }
    observe_cancel(observers, call->peer, &call->token);
    return -1;
}

static bool is_safe(unsigned method)
{
    return method == METHOD_GET || method == METHOD_FETCH;
}

static struct answer_terms terms_of(const struct call *call)
{
    return (struct answer_terms){
        .arena = call->request.arena,
        .hash_key = call->coap->env.hash_key,
        .etags = call->request.etags,
        .etag_count = call->request.etag_count,
        .accept = call->accept,
        .has_block1 = call->has_block1,
        .has_block2 = call->has_block2,
        .wants_size2 = call->wants_size2,
        .block1 = call->block1,
        .block2 = call->block2,
        .unprocessed_options = call->refused,
        .unprocessed_option_count = call->refused_count,
        .observe = -1,
        .limit_bytes = call->is_notification || call->peer->verified ? SIZE_MAX
                                                                     : AMPLIFICATION_MAX * call->received_bytes,
        .head_bytes = 4 + (size_t)call->token.len,
    };
}

/* RFC 7967; a 2.31 is not the answer yet. */
static bool is_unwelcome(const struct call *call, uint8_t code)
{
    return code != outcome_row(OUTCOME_CONTINUE)->coap_code && call->no_response & 1U << ((code >> 5) - 1);
}

static void send_answer(struct call *call, uint8_t code, struct message_writer *writer, bool confirm)
{
    if (call->transfer)
        block_answered(call->coap->blocks, call->peer, call->transfer, code, message_written(writer));
    if (is_unwelcome(call, code))
        exchange_stay_silent(&call->exchange);
    else
        exchange_answer(&call->exchange, code, writer, confirm);
}

/* RFC 9175 2.4: prove the address first. Never in a separate CON. */
static void challenge(struct call *call)
{
    struct coap *coap = call->coap;
    uint8_t echo[ECHO_BYTES];
    struct answer_terms terms = terms_of(call);
    struct response response = response_of(OUTCOME_ECHO_REQUIRED);
    struct message_writer writer;
    uint8_t code;
    echo_make(coap->env.echo_key, &call->peer->flow.remote, (uint32_t)call->request.received.s, echo);
    terms.echo = bytes_of(echo, sizeof echo);
    if (answer_write(&terms, &response, &writer, &code))
        send_answer(call, code, &writer, false);
    metrics_outcome(coap->env.metrics, OUTCOME_ECHO_REQUIRED);
}

static bool needs_proof(const struct call *call, const struct response *response)
{
    return !call->peer->verified && call->request.observe && response->observable;
}

static void answer(struct call *call, const struct response *response)
{
    struct answer_terms terms = terms_of(call);
    struct message_writer writer;
    uint8_t code;
    if (call->multicast && (response->outcome != OUTCOME_CONTENT || response->body.len == 0)) {
        exchange_stay_silent(&call->exchange); /* RFC 7252 8.2: only who has something to say */
        return;
    }
    if (needs_proof(call, response)) {
        challenge(call);
        return;
    }
    terms.observe = observe_answer(call, response);
    if (!answer_write(&terms, response, &writer, &code)) {
        if (call->multicast) {
            exchange_stay_silent(&call->exchange);
            return;
        }
        if (is_safe(call->request.method)) {
            challenge(call);
            return;
        }
        /* What was to be done has been done; only the words are left out. */
        struct response bare = response_of(response->outcome);
        if (!answer_write(&terms, &bare, &writer, &code))
            return;
    }
    metrics_outcome(call->coap->env.metrics, response->outcome);
    send_answer(call, code, &writer, call->peer->verified);
}

static void notify(struct call *call, const struct response *response)
{
    struct answer_terms terms = terms_of(call);
    struct message_writer writer;
    uint8_t code;
    bool last = !response->observable || !outcome_is_success(response->outcome);
    if (!last)
        terms.observe = observe_sequence(call->coap->observers);
    if (!answer_write(&terms, response, &writer, &code))
        return;
    observe_notify(&call->run, code, &writer, last);
}

static void finish(struct request *request, const struct response *response)
{
    struct call *call = request->wire_state;
    if (is_wanted(call)) {
        if (call->is_notification)
            notify(call, response);
        else
            answer(call, response);
    }
    call_free(call);
}

static void overdue(struct exchange *exchange)
{
    struct call *call = (struct call *)(void *)((char *)exchange - offsetof(struct call, exchange));
    struct response response = response_of(OUTCOME_OVERLOADED);
    response.max_age_s = RETRY_AFTER_S;
    call->request.observe = false;
    call->transfer = 0; /* the real answer may still come to be */
    answer(call, &response);
}

/* Requests */

/* What is wrong with the message itself; OUTCOME_CONTENT: nothing. */
static enum outcome judge(const struct call *call, const struct message *message, const char **ret_detail)
{
    bool bad_block1 = message->block1 >= 0 && !call->has_block1;
    bool bad_block2 = message->block2 >= 0 && !call->has_block2;
    *ret_detail = NULL;
    if (message->refused_count)
        return OUTCOME_BAD_OPTION;
    if (message->proxied)
        return OUTCOME_NO_PROXY;
    if (message->code > METHOD_IPATCH)
        return OUTCOME_BAD_METHOD;
    if (message->path_opaque)
        return OUTCOME_NOT_FOUND;
    if (message->path_dotted) {
        *ret_detail = "A path has no \".\" and \"..\" segments here.";
        return OUTCOME_BAD_REQUEST;
    }
    if (bad_block1 || bad_block2) {
        *ret_detail = "Block size exponent 7 is reserved.";
        return OUTCOME_BAD_REQUEST;
    }
    if (call->block2.num > 0 && !is_safe(message->code)) {
        /* Its first piece was the whole answer; the request must not run again for another (RFC 7959 3.3). */
        *ret_detail = "There is no more of this answer.";
        return OUTCOME_INCOMPLETE;
    }
    return OUTCOME_CONTENT;
}

static void refuse_block(struct call *call, const struct block_step *step)
{
    struct response response = response_of(step->outcome);
    response.detail = step->detail;
    response.size1 = step->size1;
    if (step->outcome == OUTCOME_OVERLOADED)
        response.max_age_s = RETRY_AFTER_S;
    request_finish(&call->request, &response);
}

static void repeat_answer(struct call *call, const struct block_step *step)
{
    struct message_writer writer;
    message_writer_init(&writer);
    memcpy(writer.octets + MESSAGE_HEAD_MAX, step->rest.ptr, step->rest.len);
    writer.len = (uint16_t)step->rest.len;
    send_answer(call, step->code, &writer, call->peer->verified);
    call_free(call);
}

static void dispatch(struct call *call)
{
    metrics_add(call->coap->env.metrics, METRIC_COAP_REQUESTS, 1);
    call->coap->env.dispatch(&call->request);
}

/* Whether the spool has no room for what a new body would bring. */
static bool sheds_body(const struct call *call)
{
    const struct coap_environment *env = &call->coap->env;
    bool is_new = call->block1.num == 0 && call->block1.more;
    if (!is_new || !env->fill || !shed_refuses(env->fill(env->ctx), SHED_BODY))
        return false;
    shed_count(env->metrics, SHED_BODY);
    return true;
}

/* Nobody on plain CoAP: what it keeps here would be at the cost of those who are known. A signed message of a stranger
 * fits into one datagram. */
static bool is_of_stranger(const struct call *call)
{
    return call->request.who.kind == IDENTITY_NONE && (call->block1.more || call->block1.num > 0);
}

static void shed_body(struct call *call)
{
    struct response response = response_of(OUTCOME_SPOOL_FULL);
    response.max_age_s = RETRY_AFTER_S;
    request_finish(&call->request, &response);
}

/* A request with Block1: runs when its body is whole. */
static void receive_block(struct call *call, const struct message *message)
{
    struct coap *coap = call->coap;
    struct block_step step;
    struct block_request block = {
        .peer = call->peer,
        .key = message_transfer_key(message, coap->env.hash_key),
        .option = call->block1,
        .payload = message->payload,
        .size1 = message->size1,
        .limit_bytes = coap->env.body_limit(coap->env.worker, call->request.method, call->request.path),
        .if_none_match = message->if_none_match,
    };
    if (block.limit_bytes == 0) {
        /* No route takes it, which the route table says best; it sees no part of a body, and one block only. */
        call->request.body = (struct bytes){0};
        if (call->block1.num == 0)
            dispatch(call);
        else
            request_refuse(&call->request, OUTCOME_INCOMPLETE, NULL);
        return;
    }
    if (is_of_stranger(call)) {
        request_refuse(&call->request, OUTCOME_UNAUTHENTICATED, "From nobody known a body has one block.");
        return;
    }
    if (sheds_body(call)) {
        shed_body(call);
        return;
    }
    block_receive(coap->blocks, &block, &step);
    switch (step.verdict) {
    case BLOCK_CONTINUE:
        request_refuse(&call->request, OUTCOME_CONTINUE, NULL);
        return;
    case BLOCK_REFUSED:
        refuse_block(call, &step);
        return;
    case BLOCK_REPEATED:
        repeat_answer(call, &step);
        return;
    case BLOCK_WHOLE:
        break;
    }
    call->request.body = step.body;
    call->request.if_none_match = step.if_none_match;
    call->transfer = step.serial;
    dispatch(call);
    if (step.owned)
        block_body_free(coap->blocks, step.owned, step.owned_bytes);
}

static void prove_address(struct call *call, const struct message *message)
{
    struct peer *peer = call->peer;
    if (peer->verified || message->echo.len == 0)
        return;
    peer->verified = echo_check(call->coap->env.echo_key, &peer->flow.remote, (uint32_t)call->request.received.s,
                                message->echo);
}

static void run_request(struct call *call, const struct message *message, struct bytes datagram)
{
    struct request *request = &call->request;
    const char *detail;
    fill_request(call, message);
    enum outcome outcome = judge(call, message, &detail);
    if (outcome != OUTCOME_CONTENT) {
        request_refuse(request, outcome, detail);
        return;
    }
    prove_address(call, message);
    if (message->observe == OBSERVE_DEREGISTER && request->method == METHOD_GET)
        observe_cancel(call->coap->observers, call->peer, &call->token);
    /* A request that is too long to be kept is answered without Observe. */
    bool keeps = request->observe && datagram.len <= OBSERVE_REQUEST_MAX;
    if (!copy_texts(call, message) || (keeps && !arena_copy(request->arena, datagram, &call->datagram))) {
        request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
        return;
    }
    if (call->has_block1)
        receive_block(call, message);
    else
        dispatch(call);
}

/* For requests that are not begun: the least that says so, in memory of nobody. */
static void turn_away(struct coap *coap, struct peer *peer, const struct message *message, uint64_t fingerprint,
                      enum outcome outcome)
{
    struct message_writer writer;
    metrics_outcome(coap->env.metrics, outcome);
    message_writer_init(&writer);
    message_put_uint(&writer, MESSAGE_MAX_AGE, RETRY_AFTER_S);
    exchange_refuse(coap->exchanges, peer, message, fingerprint, outcome_row(outcome)->coap_code, &writer);
}

static void receive_request(struct coap *coap, struct peer *peer, const struct message *message,
                            struct bytes datagram, bool multicast)
{
    if (multicast && message->type == MESSAGE_CON)
        return; /* RFC 7252 8.1 */
    uint64_t fingerprint = hash_bytes(coap->env.hash_key, datagram);
    if (exchange_is_repetition(coap->exchanges, peer, message, fingerprint))
        return;
    struct call *call = call_new(coap, peer, message);
    enum exchange_verdict verdict = EXCHANGE_NO_ROOM;
    if (call)
        verdict = exchange_begin(coap->exchanges, peer, message, fingerprint, &call->exchange);
    if (verdict == EXCHANGE_BEGUN) {
        CRASH_POINT("S1");
        call->multicast = multicast;
        call->received_bytes = datagram.len;
        run_request(call, message, datagram);
        return;
    }
    if (call)
        call_free(call);
    if (multicast || (verdict == EXCHANGE_NO_ROOM && message->type == MESSAGE_NON))
        return;
    turn_away(coap, peer, message, fingerprint,
              verdict == EXCHANGE_CROWDED ? OUTCOME_TOO_MANY : OUTCOME_OVERLOADED);
}

/* observe_environment.answer */
static bool answer_observer(void *ctx, struct observer *observer, struct peer *peer, struct bytes datagram)
{
    struct coap *coap = ctx;
    struct message message;
    if (message_parse(datagram, &message) != MESSAGE_FINE)
        return false;
    struct call *call = call_new(coap, peer, &message);
    if (!call)
        return false;
    if (!copy_texts(call, &message)) {
        call_free(call);
        return false;
    }
    call->is_notification = true;
    fill_request(call, &message);
    observe_begin(observer, &call->run);
    coap->env.dispatch(&call->request);
    return true;
}

/* Messages without a request */

static void receive_reply(struct coap *coap, struct peer *peer, const struct message *message)
{
    /* Nobody here asks anything of a peer, so a response in an ACK answers nothing; a reset has no code at all. */
    if (message->code != MESSAGE_EMPTY)
        return;
    bool reset = message->type == MESSAGE_RST;
    struct transmission_queue *sent = exchange_transmissions(peer);
    if (sent && transmission_settle(sent, message->id, reset ? TRANSMISSION_RESET : TRANSMISSION_ACKNOWLEDGED))
        return;
    if (reset)
        observe_reset(coap->observers, peer, message->id);
}

static void receive_stray(struct coap *coap, struct peer *peer, const struct message *message)
{
    if (message->type != MESSAGE_CON)
        return;
    if (message->code == MESSAGE_EMPTY)
        exchange_ping(coap->exchanges, peer, message->id);
    else
        exchange_send_reset(coap->exchanges, peer, message->id);
}

void coap_wire_receive(struct coap *coap, struct peer *peer, struct bytes datagram, bool multicast)
{
    struct message message;
    CRASH_POINT("S0");
    enum message_verdict verdict = message_parse(datagram, &message);
    if (verdict != MESSAGE_FINE) {
        metrics_add(coap->env.metrics, METRIC_DROP_FORMAT, 1);
        if (verdict == MESSAGE_MALFORMED && message.type == MESSAGE_CON && !multicast)
            exchange_send_reset(coap->exchanges, peer, message.id);
        return;
    }
    if (message.type == MESSAGE_ACK || message.type == MESSAGE_RST)
        receive_reply(coap, peer, &message);
    else if (message_is_request(&message))
        receive_request(coap, peer, &message, datagram, multicast);
    else if (!multicast)
        receive_stray(coap, peer, &message);
}

void coap_wire_peer_gone(struct coap *coap, struct peer *peer)
{
    observe_peer_gone(coap->observers, peer);
    block_peer_gone(coap->blocks, peer);
    exchange_peer_gone(coap->exchanges, peer);
}

bool coap_wire_peer_is_busy(const struct peer *peer)
{
    return exchange_is_busy(peer);
}

void coap_wire_changed(struct coap *coap, struct bytes tenant, struct bytes device)
{
    if (!coap_wire_has_observers(coap))
        return;
    if (device.len)
        observe_changed(coap->observers, subject_of(coap, tenant, device));
    observe_changed(coap->observers, subject_of(coap, tenant, (struct bytes){0}));
}

bool coap_wire_has_observers(const struct coap *coap)
{
    return observe_count(coap->observers) > 0;
}

/* Beginning and end */

static void idle(void *ctx, struct peer *peer)
{
    struct coap *coap = ctx;
    observe_idle(coap->observers, peer);
}

static bool make_parts(struct coap *coap)
{
    const struct coap_environment *env = &coap->env;
    struct exchange_environment exchange = {.timers = env->timers,
                                            .settings = env->settings,
                                            .metrics = env->metrics,
                                            .overdue = overdue,
                                            .idle = idle,
                                            .ctx = coap};
    memcpy(exchange.random_seed, env->random_seed, sizeof exchange.random_seed);
    coap->exchanges = exchange_table_new(&exchange);
    struct block_environment block = {.timers = env->timers,
                                      .settings = env->settings,
                                      .metrics = env->metrics,
                                      .hash_key = env->hash_key,
                                      .exchanges = coap->exchanges};
    coap->blocks = block_table_new(&block);
    struct observe_environment observe = {.timers = env->timers,
                                          .settings = env->settings,
                                          .metrics = env->metrics,
                                          .exchanges = coap->exchanges,
                                          .answer = answer_observer,
                                          .ctx = coap};
    coap->observers = observe_table_new(&observe);
    return coap->exchanges && coap->blocks && coap->observers;
}

struct coap *coap_wire_new(const struct coap_environment *environment)
{
    struct coap *coap = calloc(1, sizeof *coap);
    if (!coap)
        return NULL;
    coap->env = *environment;
    coap->salt = hash_bytes(coap->env.hash_key, bytes_of(coap->env.random_seed, sizeof coap->env.random_seed));
    if (!make_parts(coap)) {
        coap_wire_free(coap);
        return NULL;
    }
    return coap;
}

void coap_wire_free(struct coap *coap)
{
    if (!coap)
        return;
    struct peer *peer;
    while (coap->exchanges && (peer = exchange_any_peer(coap->exchanges)))
        coap_wire_peer_gone(coap, peer);
    observe_table_free(coap->observers);
    block_table_free(coap->blocks);
    exchange_table_free(coap->exchanges);
    while (coap->arena_count)
        arena_free(coap->arenas[--coap->arena_count]);
    explicit_bzero(coap->env.echo_key, sizeof coap->env.echo_key);
    free(coap);
}
