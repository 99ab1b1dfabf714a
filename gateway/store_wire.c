// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * hiredis is used in three parts: it connects (redisConnectWithOptions), it moves octets (redisBufferRead and
 * redisBufferWrite, under whose function table TLS is put), and it parses replies (redisReader, with our own object
 * functions, so that a reply is built in an arena and not in a dozen mallocs). Its async layer is not used:
 * a reply that nobody asked for is an assert() there, every command costs a malloc and a second parse, and a failed
 * context frees itself under its user (docs/decisions/0008-hiredis-without-its-async-layer.md).
 */
#include "gateway/store_wire.h"

#include "codec/arena.h"
#include "gateway/crypto_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define UNACKNOWLEDGED_MAX_MS 5000
#define REPLY_ITEMS_MAX (1 << 20)
#define REPLY_DEPTH_MAX 16
#define KEEPALIVE_S 15

/* Replies: the parser calls these for each item; a list's items are filled in where the list already has room. */

struct replies {
    struct arena *arena;
    const char *refused; /* why an item was not taken */
    bool is_partial;     /* a reply of which only the beginning has come may lie in the arena */
};

static struct store_reply *place_of(const redisReadTask *task)
{
    struct replies *replies = task->privdata;
    if (!task->parent)
        return arena_alloc(replies->arena, sizeof(struct store_reply));
    const struct store_reply *list = task->parent->obj;
    return (struct store_reply *)&list->items[task->idx];
}

static void *refuse(const redisReadTask *task, const char *why)
{
    struct replies *replies = task->privdata;
    replies->refused = why;
    return NULL;
}

static void *make_text(const redisReadTask *task, char *text, size_t len)
{
    struct replies *replies = task->privdata;
    if (task->type != REDIS_REPLY_STRING && task->type != REDIS_REPLY_STATUS && task->type != REDIS_REPLY_ERROR)
        return refuse(task, "a reply of a type that RESP2 does not have");
    struct store_reply *reply = place_of(task);
    struct bytes copy;
    if (!reply || !arena_copy(replies->arena, bytes_of(text, len), &copy))
        return NULL;
    *reply = (struct store_reply){.type = task->type == REDIS_REPLY_ERROR ? STORE_ERROR : STORE_TEXT, .text = copy};
    return reply;
}

static void *make_list(const redisReadTask *task, size_t count)
{
    struct replies *replies = task->privdata;
    unsigned depth = 1;
    for (const redisReadTask *above = task->parent; above; above = above->parent)
        depth++;
    if (task->type != REDIS_REPLY_ARRAY)
        return refuse(task, "a reply of a type that RESP2 does not have");
    if (depth > REPLY_DEPTH_MAX)
        return refuse(task, "a reply that is nested too deeply");
    struct store_reply *reply = place_of(task);
    struct store_reply *items = arena_calloc(replies->arena, count, sizeof *items);
    if (!reply || !items)
        return NULL;
    *reply = (struct store_reply){.type = STORE_LIST, .items = items, .count = count};
    return reply;
}

static void *make_integer(const redisReadTask *task, long long integer)
{
    struct store_reply *reply = place_of(task);
    if (reply)
        *reply = (struct store_reply){.type = STORE_INTEGER, .integer = integer};
    return reply;
}

static void *make_nil(const redisReadTask *task)
{
    struct store_reply *reply = place_of(task);
    if (reply)
        *reply = (struct store_reply){.type = STORE_NIL};
    return reply;
}

static void *make_double(const redisReadTask *task, double value, char *text, size_t len)
{
    (void)value;
    (void)text;
    (void)len;
    return refuse(task, "a reply of a type that RESP2 does not have");
}

static void *make_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(task, "a reply of a type that RESP2 does not have");
}

/* The arena owns all of it. */
static void free_nothing(void *reply)
{
    (void)reply;
}

static redisReplyObjectFunctions reply_functions = {
    .createString = make_text,
    .createArray = make_list,
    .createInteger = make_integer,
    .createDouble = make_double,
    .createNil = make_nil,
    .createBool = make_bool,
    .freeObject = free_nothing,
};

struct store_wire {
    redisContext *context;
    redisContextFuncs functions; /* hiredis' own, with TLS put under */
    struct crypto_tls *tls;      /* NULL: plain */
    bool blocking, over_tcp;
    bool drained; /* the last read found nothing more */
    size_t reply_max_bytes;
    struct replies replies;
    char error[STORE_WIRE_ERROR_MAX];
};

static bool fail(struct store_wire *wire, const char *reason)
{
    if (!wire->error[0])
        snprintf(wire->error, sizeof wire->error, "%s", reason);
    return false;
}

static bool fail_as_hiredis(struct store_wire *wire)
{
    return fail(wire, wire->replies.refused ? wire->replies.refused : wire->context->errstr);
}

/* TLS under hiredis. */

static ssize_t set_error(redisContext *context, int error, const char *reason)
{
    context->err = error;
    snprintf(context->errstr, sizeof context->errstr, "%s", reason);
    return -1;
}

/* A socket that blocks and yet has nothing has waited for its time-out. */
static ssize_t judge_tls(struct store_wire *wire, enum crypto_tls_result result)
{
    if (result == CRYPTO_TLS_CLOSED)
        return set_error(wire->context, REDIS_ERR_EOF, "Server closed the connection");
    if (result == CRYPTO_TLS_FAILED)
        return set_error(wire->context, REDIS_ERR_IO, crypto_tls_error(wire->tls));
    return wire->blocking ? set_error(wire->context, REDIS_ERR_IO, "no answer in time") : 0;
}

static ssize_t read_tls(redisContext *context, char *buffer, size_t room)
{
    struct store_wire *wire = context->privdata;
    size_t len;
    enum crypto_tls_result result = crypto_tls_read(wire->tls, buffer, room, &len);
    wire->drained = result != CRYPTO_TLS_DONE;
    return result == CRYPTO_TLS_DONE ? (ssize_t)len : judge_tls(wire, result);
}

static ssize_t write_tls(redisContext *context)
{
    struct store_wire *wire = context->privdata;
    size_t len;
    enum crypto_tls_result result = crypto_tls_write(wire->tls, context->obuf, sdslen(context->obuf), &len);
    return result == CRYPTO_TLS_DONE ? (ssize_t)len : judge_tls(wire, result);
}

static bool start_tls(struct store_wire *wire, const struct store_wire_config *config)
{
    const struct store_target *target = config->target;
    const char *name = target->tls_name && target->tls_name[0] ? target->tls_name : config->host;
    struct crypto_tls_config tls = {target->tls_ca, target->tls_certificate, target->tls_key, name};
    char reason[CRYPTO_TLS_ERROR_MAX];
    wire->tls = crypto_tls_new(wire->context->fd, &tls, reason);
    if (!wire->tls)
        return fail(wire, reason);
    wire->functions = *wire->context->funcs;
    wire->functions.read = read_tls;
    wire->functions.write = write_tls;
    wire->context->funcs = &wire->functions;
    wire->context->privdata = wire;
    return true;
}

enum store_wire_step store_wire_handshake(struct store_wire *wire)
{
    if (!wire->tls)
        return STORE_WIRE_DONE;
    switch (crypto_tls_handshake(wire->tls)) {
    case CRYPTO_TLS_DONE:
        return STORE_WIRE_DONE;
    case CRYPTO_TLS_WANTS_READ:
        return STORE_WIRE_WANTS_READ;
    case CRYPTO_TLS_WANTS_WRITE:
        return STORE_WIRE_WANTS_WRITE;
    case CRYPTO_TLS_CLOSED:
        fail(wire, "Redis ended the TLS handshake");
        return STORE_WIRE_FAILED;
    case CRYPTO_TLS_FAILED:
        break;
    }
    fail(wire, crypto_tls_error(wire->tls));
    return STORE_WIRE_FAILED;
}

/* Connecting. */

static void set_socket_options(int fd, bool over_tcp)
{
    /* The private Redis is a child of ours and must not inherit it. What the kernel refuses here is not needed. */
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!over_tcp)
        return;
    int on = 1, keepalive_s = KEEPALIVE_S;
    unsigned user_timeout_ms = UNACKNOWLEDGED_MAX_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof keepalive_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_s, sizeof keepalive_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

static bool open_context(struct store_wire *wire, const struct store_wire_config *config)
{
    const struct store_endpoint *endpoint = config->endpoint;
    struct timeval timeout = {(time_t)(config->timeout_ms / 1000), (suseconds_t)(config->timeout_ms % 1000 * 1000)};
    redisOptions wanted = {.options = REDIS_OPT_NO_PUSH_AUTOFREE | (config->blocking ? 0 : REDIS_OPT_NONBLOCK)};
    if (endpoint->host[0])
        REDIS_OPTIONS_SET_TCP(&wanted, endpoint->host, endpoint->port);
    else
        REDIS_OPTIONS_SET_UNIX(&wanted, endpoint->path);
    if (config->blocking)
        wanted.connect_timeout = wanted.command_timeout = &timeout;
    wire->context = redisConnectWithOptions(&wanted);
    if (!wire->context)
        return fail(wire, "out of memory");
    if (wire->context->err)
        return fail(wire, wire->context->errstr);
    wire->context->reader->fn = &reply_functions;
    wire->context->reader->privdata = &wire->replies;
    wire->context->reader->maxelements = REPLY_ITEMS_MAX;
    return true;
}

struct store_wire *store_wire_open(const struct store_wire_config *config, char reterr[static STORE_WIRE_ERROR_MAX])
{
    snprintf(reterr, STORE_WIRE_ERROR_MAX, "out of memory");
    struct store_wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        return NULL;
    wire->blocking = config->blocking;
    wire->over_tcp = config->endpoint->host[0] != '\0';
    wire->reply_max_bytes = config->reply_max_bytes;
    wire->replies.arena = arena_new(2 * config->reply_max_bytes);
    bool ok = wire->replies.arena && open_context(wire, config) && (!config->target->tls || start_tls(wire, config));
    if (ok && config->blocking) {
        set_socket_options(wire->context->fd, wire->over_tcp);
        enum store_wire_step step = store_wire_handshake(wire);
        ok = step == STORE_WIRE_DONE || (step != STORE_WIRE_FAILED && fail(wire, "no TLS handshake in time"));
    }
    if (ok)
        return wire;
    if (wire->error[0])
        memcpy(reterr, wire->error, STORE_WIRE_ERROR_MAX);
    store_wire_close(wire);
    return NULL;
}

void store_wire_close(struct store_wire *wire)
{
    if (!wire)
        return;
    crypto_tls_free(wire->tls); /* says goodbye, so before the socket goes */
    redisFree(wire->context);
    arena_free(wire->replies.arena);
    free(wire);
}

int store_wire_fd(const struct store_wire *wire)
{
    return wire->context->fd;
}

const char *store_wire_error(const struct store_wire *wire)
{
    return wire->error;
}

bool store_wire_finish_connecting(struct store_wire *wire)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(wire->context->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error)
        return fail(wire, strerror(error));
    set_socket_options(wire->context->fd, wire->over_tcp);
    return true;
}

/* Moving octets. */

bool store_wire_write_secret(struct store_wire *wire, struct bytes resp)
{
    size_t put = 0;
    if (wire->tls) {
        if (crypto_tls_write(wire->tls, resp.ptr, resp.len, &put) == CRYPTO_TLS_FAILED)
            return fail(wire, crypto_tls_error(wire->tls));
    } else {
        ssize_t sent = send(wire->context->fd, resp.ptr, resp.len, MSG_NOSIGNAL);
        if (sent < 0)
            return fail(wire, strerror(errno));
        put = (size_t)sent;
    }
    return put == resp.len || fail(wire, "the socket did not take the greeting");
}

bool store_wire_continue(struct store_wire *wire, bool *ret_done)
{
    int done = 1;
    if (redisBufferWrite(wire->context, &done) != REDIS_OK)
        return fail_as_hiredis(wire);
    *ret_done = done;
    return true;
}

bool store_wire_write(struct store_wire *wire, struct bytes resp, bool *ret_done)
{
    if (redisAppendFormattedCommand(wire->context, (const char *)resp.ptr, resp.len) != REDIS_OK)
        return fail_as_hiredis(wire);
    return store_wire_continue(wire, ret_done);
}

/* Octets that are no whole reply yet. */
static bool has_too_much(const struct store_wire *wire)
{
    const redisReader *reader = wire->context->reader;
    return reader->len - reader->pos > wire->reply_max_bytes;
}

/* All of it, where TLS has more in memory than the socket shows. */
bool store_wire_read(struct store_wire *wire)
{
    do {
        if (redisBufferRead(wire->context) != REDIS_OK)
            return fail_as_hiredis(wire);
    } while (wire->tls && !wire->drained && !has_too_much(wire));
    return true;
}

bool store_wire_next(struct store_wire *wire, const struct store_reply **ret)
{
    void *reply = NULL;
    wire->replies.refused = NULL;
    if (!wire->replies.is_partial)
        arena_reset(wire->replies.arena);
    if (redisGetReplyFromReader(wire->context, &reply) != REDIS_OK)
        return fail_as_hiredis(wire);
    wire->replies.is_partial = !reply;
    if (!reply && has_too_much(wire))
        return fail(wire, "a reply that is too large");
    *ret = reply;
    return true;
}

bool store_wire_call(struct store_wire *wire, struct bytes resp, const struct store_reply **ret)
{
    void *reply = NULL;
    wire->replies.refused = NULL;
    arena_reset(wire->replies.arena);
    if (redisAppendFormattedCommand(wire->context, (const char *)resp.ptr, resp.len) != REDIS_OK ||
        redisGetReply(wire->context, &reply) != REDIS_OK)
        return fail_as_hiredis(wire);
    *ret = reply;
    return true;
}
