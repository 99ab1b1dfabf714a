// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * hiredis is used in three parts: it connects (redisConnectWithOptions), it moves octets (redisBufferRead and
 * redisBufferWrite, whose function table is where TLS will go in), and it parses replies (redisReader, with our own
 * object functions, so that a reply is built in an arena and not in a dozen mallocs). Its async layer is not used:
 * a reply that nobody asked for is an assert() there, every command costs a malloc and a second parse, and a failed
 * context frees itself under its user (docs/decisions/0008-hiredis-without-its-async-layer.md).
 *
 * A connection goes AWAY -> CONNECTING -> GREETING (PING sent) -> CONNECTED and from each of them back to AWAY, in
 * one function, connection_lost. One timer serves all phases: retry, time to connect, the oldest command's deadline.
 * Callbacks run only from `ready`, from the timer and from store_free, never from store_send or store_flush.
 */
#include "gateway/store.h"

#include "codec/arena.h"
#include "gateway/resp.h"
#include "gateway/rt/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONNECT_TIMEOUT_MS 5000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define UNSENT_MAX_BYTES ((size_t)64 << 20)
#define UNSENT_KEPT_BYTES ((size_t)1 << 20)
#define REPLY_ITEMS_MAX (1 << 20)
#define REPLY_DEPTH_MAX 16
#define KEEPALIVE_S 15
#define REASON_MAX 160

/* Addresses. */

struct address {
    char host[INET6_ADDRSTRLEN]; /* empty: unix */
    int port;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

static bool parse_port(const char *text, int *ret)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    long port = strtol(text, &end, 10);
    if (*end || port < 1 || port > 65535)
        return false;
    *ret = (int)port;
    return true;
}

/* Numeric only, because asking for a name would block the loop. */
static bool parse_host(const char *text, size_t len, char ret[static INET6_ADDRSTRLEN])
{
    struct in6_addr any;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= INET6_ADDRSTRLEN)
        return false;
    memcpy(ret, text, len);
    ret[len] = '\0';
    if (strcmp(ret, "localhost") == 0)
        strcpy(ret, "127.0.0.1");
    return inet_pton(AF_INET, ret, &any) == 1 || inet_pton(AF_INET6, ret, &any) == 1;
}

static bool parse_address(const char *text, struct address *ret)
{
    static const char scheme[] = "unix:";
    struct address address = {0};
    if (strncmp(text, scheme, sizeof scheme - 1) == 0) {
        const char *path = text + sizeof scheme - 1;
        if (!path[0] || strlen(path) >= sizeof address.path)
            return false;
        strcpy(address.path, path);
    } else {
        const char *colon = strrchr(text, ':');
        if (!colon || !parse_port(colon + 1, &address.port) ||
            !parse_host(text, (size_t)(colon - text), address.host))
            return false;
    }
    *ret = address;
    return true;
}

bool store_address_is_valid(const char *address)
{
    struct address ignored;
    return parse_address(address, &ignored);
}

/* NULL: out of memory; else look at its err. */
static redisContext *open_context(const struct address *address, int options, const struct timeval *timeout)
{
    redisOptions wanted = {.options = options | REDIS_OPT_NO_PUSH_AUTOFREE};
    if (address->host[0])
        REDIS_OPTIONS_SET_TCP(&wanted, address->host, address->port);
    else
        REDIS_OPTIONS_SET_UNIX(&wanted, address->path);
    wanted.connect_timeout = timeout;
    wanted.command_timeout = timeout;
    return redisConnectWithOptions(&wanted);
}

/* Replies: the parser calls these for each item; a list's items are filled in where the list already has room. */

struct replies {
    struct arena *arena;
    const char *refused; /* why an item was not taken */
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

static void take_replies(redisContext *context, struct replies *replies)
{
    replies->refused = NULL;
    arena_reset(replies->arena);
    context->reader->fn = &reply_functions;
    context->reader->privdata = replies;
    context->reader->maxelements = REPLY_ITEMS_MAX;
}

/* Commands under way: a ring in the order of sending. */

struct command {
    store_answer_fn *answer;
    void *ctx;
    uint64_t sent_ms;
};

struct ring {
    struct command *commands;
    size_t mask; /* room - 1; the room is a power of two */
    size_t first, count;
};

static bool ring_reserve(struct ring *ring, size_t more)
{
    size_t room = ring->commands ? ring->mask + 1 : 0, wanted = room ? room : 64;
    while (wanted - ring->count < more)
        wanted *= 2;
    if (wanted == room)
        return true;
    struct command *commands = malloc(wanted * sizeof *commands);
    if (!commands)
        return false;
    for (size_t i = 0; i < ring->count; i++)
        commands[i] = ring->commands[(ring->first + i) & ring->mask];
    free(ring->commands);
    *ring = (struct ring){.commands = commands, .mask = wanted - 1, .count = ring->count};
    return true;
}

static void ring_push(struct ring *ring, struct command command)
{
    ring->commands[(ring->first + ring->count++) & ring->mask] = command;
}

static struct command ring_shift(struct ring *ring)
{
    struct command command = ring->commands[ring->first];
    ring->first = (ring->first + 1) & ring->mask;
    ring->count--;
    return command;
}

/* The connection. */

enum phase { AWAY, CONNECTING, GREETING, CONNECTED };

struct store {
    struct loop *loop;
    char *address_text;
    struct address address;
    uint64_t timeout_ms;
    size_t reply_max_bytes;
    store_state_fn *state;
    void *ctx;
    struct random random;

    enum phase phase;
    redisContext *context; /* NULL when AWAY */
    struct loop_watch watch;
    struct timer timer;
    uint64_t retry_ms;
    struct log_rate losses;

    struct resp unsent;
    bool write_is_blocked; /* hiredis holds octets that the socket did not take */
    struct ring ring;
    struct replies replies;
    char broken[REASON_MAX]; /* set where connection_lost must not be called: why it will be */
};

static void connection_open(struct store *store);
static void greeted(void *ctx, const struct store_reply *reply);

static struct store *store_of_watch(struct loop_watch *watch)
{
    return (struct store *)((char *)watch - offsetof(struct store, watch));
}

static struct store *store_of_timer(struct timer *timer)
{
    return (struct store *)((char *)timer - offsetof(struct store, timer));
}

static void set_timer(struct store *store, uint64_t after_ms)
{
    timers_set(loop_timers(store->loop), &store->timer, loop_now_ms(store->loop) + after_ms);
}

static void mark_broken(struct store *store, const char *reason)
{
    if (!store->broken[0])
        snprintf(store->broken, sizeof store->broken, "%s", reason);
}

/* Answers all that is under way with NULL. A callback that sends is refused, because the phase is AWAY. */
static void fail_commands(struct store *store)
{
    struct ring ring = store->ring;
    store->ring = (struct ring){0};
    while (ring.count > 0) {
        struct command command = ring_shift(&ring);
        command.answer(command.ctx, NULL);
    }
    free(ring.commands);
}

static void close_context(struct store *store)
{
    timers_cancel(loop_timers(store->loop), &store->timer);
    if (store->context) {
        loop_remove(store->loop, &store->watch);
        redisFree(store->context);
    }
    store->context = NULL;
    store->phase = AWAY;
    store->write_is_blocked = false;
    store->broken[0] = '\0';
    resp_clear(&store->unsent, UNSENT_KEPT_BYTES);
    arena_reset(store->replies.arena);
}

static void log_loss(struct store *store, bool was_connected, const char *reason)
{
    uint32_t suppressed;
    if (!log_rate_allows(&store->losses, loop_now_ms(store->loop), &suppressed))
        return;
    char quoted[LOG_QUOTED_MAX];
    log_write(LOG_WARN, "store", was_connected ? "connection to Redis lost" : "cannot connect to Redis",
              "address=%s reason=%s suppressed=%u", store->address_text, log_quote(quoted, bytes_of_text(reason)),
              suppressed);
}

/* Half of the delay is random, so that many connections do not come back in step. */
static void plan_retry(struct store *store)
{
    uint64_t half = store->retry_ms / 2;
    set_timer(store, half + random_below(&store->random, half + 1));
    store->retry_ms = store->retry_ms < RETRY_MAX_MS / 2 ? 2 * store->retry_ms : RETRY_MAX_MS;
}

static void connection_lost(struct store *store, const char *reason)
{
    bool was_connected = store->phase == CONNECTED;
    log_loss(store, was_connected, reason);
    close_context(store);
    plan_retry(store);
    fail_commands(store);
    if (was_connected && store->state)
        store->state(store->ctx, false);
}

static void push_command(struct store *store, store_answer_fn *answer, void *ctx)
{
    if (store->ring.count == 0 && store->timeout_ms && store->phase == CONNECTED)
        set_timer(store, store->timeout_ms);
    ring_push(&store->ring, (struct command){answer, ctx, loop_now_ms(store->loop)});
}

static bool may_send(const struct store *store)
{
    return store->phase == CONNECTED && !store->broken[0] && store->unsent.len < UNSENT_MAX_BYTES;
}

bool store_send(struct store *store, const struct bytes *arguments, size_t count, store_answer_fn *answer, void *ctx)
{
    if (!may_send(store) || !ring_reserve(&store->ring, 1) || !resp_command(&store->unsent, arguments, count))
        return false;
    push_command(store, answer, ctx);
    return true;
}

bool store_send_raw(struct store *store, struct bytes resp, size_t commands, store_answer_fn *answer, void *ctx)
{
    if (!may_send(store) || !ring_reserve(&store->ring, commands) || !resp_append(&store->unsent, resp))
        return false;
    for (size_t i = 0; i < commands; i++)
        push_command(store, answer, ctx);
    return true;
}

struct store_mark store_mark(const struct store *store)
{
    return (struct store_mark){.octets = store->unsent.len, .commands = store->ring.count};
}

void store_take_back(struct store *store, struct store_mark mark)
{
    store->unsent.len = mark.octets;
    store->ring.count = mark.commands;
}

static void watch_writing(struct store *store, bool blocked)
{
    if (blocked == store->write_is_blocked)
        return;
    store->write_is_blocked = blocked;
    if (!loop_change(store->loop, &store->watch, EPOLLIN | (blocked ? EPOLLOUT : 0)))
        mark_broken(store, strerror(errno));
}

/* What hiredis holds goes first; only when the socket has taken all of it the next batch is handed over. */
static void write_unsent(struct store *store)
{
    int done = 1;
    if (store->write_is_blocked && redisBufferWrite(store->context, &done) != REDIS_OK)
        mark_broken(store, store->context->errstr);
    if (done && !store->broken[0] && store->unsent.len > 0) {
        if (redisAppendFormattedCommand(store->context, (char *)store->unsent.ptr, store->unsent.len) != REDIS_OK ||
            redisBufferWrite(store->context, &done) != REDIS_OK)
            mark_broken(store, store->context->errstr);
        resp_clear(&store->unsent, UNSENT_KEPT_BYTES);
    }
    watch_writing(store, !done);
    if (store->broken[0])
        set_timer(store, 0);
}

void store_flush(struct store *store)
{
    bool open = store->phase == GREETING || store->phase == CONNECTED;
    if (open && !store->broken[0] && !store->write_is_blocked && store->unsent.len > 0)
        write_unsent(store);
}

/* Octets that are no whole reply yet. */
static bool reply_is_too_large(const struct store *store)
{
    const redisReader *reader = store->context->reader;
    return reader->len - reader->pos > store->reply_max_bytes;
}

static void tell_replies(struct store *store)
{
    void *reply;
    while (!store->broken[0]) {
        if (redisGetReplyFromReader(store->context, &reply) != REDIS_OK) {
            mark_broken(store, store->replies.refused ? store->replies.refused : store->context->errstr);
            return;
        }
        if (!reply)
            break;
        if (store->ring.count == 0) {
            mark_broken(store, "a reply that nobody asked for");
            return;
        }
        struct command command = ring_shift(&store->ring);
        command.answer(command.ctx, reply);
        arena_reset(store->replies.arena);
    }
    if (!store->broken[0] && reply_is_too_large(store))
        mark_broken(store, "a reply that is too large");
}

static void read_replies(struct store *store)
{
    if (redisBufferRead(store->context) != REDIS_OK)
        mark_broken(store, store->context->errstr);
    else
        tell_replies(store);
}

/* Connecting. */

static void set_socket_options(int fd, bool tcp)
{
    /* The private Redis is a child of ours and must not inherit it. What the kernel refuses here is not needed. */
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!tcp)
        return;
    int on = 1, keepalive_s = KEEPALIVE_S;
    unsigned user_timeout_ms = CONNECT_TIMEOUT_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof keepalive_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_s, sizeof keepalive_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

static void finish_connecting(struct store *store)
{
    static const struct bytes ping = {(const uint8_t *)"PING", 4};
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(store->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error) {
        mark_broken(store, strerror(error));
        return;
    }
    set_socket_options(store->watch.fd, store->address.host[0] != '\0');
    if (!loop_change(store->loop, &store->watch, EPOLLIN) || !ring_reserve(&store->ring, 1) ||
        !resp_command(&store->unsent, &ping, 1)) {
        mark_broken(store, strerror(errno));
        return;
    }
    store->phase = GREETING;
    push_command(store, greeted, store);
    store_flush(store);
}

static void greeted(void *ctx, const struct store_reply *reply)
{
    struct store *store = ctx;
    if (!reply)
        return;
    if (reply->type != STORE_TEXT || !bytes_equal_text(reply->text, "PONG")) {
        char reason[REASON_MAX];
        snprintf(reason, sizeof reason, "answer to PING: %.*s", (int)(reply->text.len < 100 ? reply->text.len : 100),
                 reply->text.ptr ? (const char *)reply->text.ptr : "");
        mark_broken(store, reason);
        return;
    }
    store->phase = CONNECTED;
    store->retry_ms = RETRY_MIN_MS;
    timers_cancel(loop_timers(store->loop), &store->timer);
    log_write(LOG_INFO, "store", "connected to Redis", "address=%s", store->address_text);
    if (store->state)
        store->state(store->ctx, true);
}

static void ready(struct loop_watch *watch, uint32_t events)
{
    struct store *store = store_of_watch(watch);
    if (store->phase == CONNECTING) {
        finish_connecting(store);
    } else {
        if (events & EPOLLOUT)
            write_unsent(store);
        if (!store->broken[0] && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_replies(store);
    }
    store_flush(store);
    if (store->broken[0]) {
        char reason[REASON_MAX];
        memcpy(reason, store->broken, sizeof reason);
        connection_lost(store, reason);
    }
}

/* Sets the timer to the oldest command's deadline, or fails the connection if that has passed. */
static void check_deadline(struct store *store)
{
    if (store->ring.count == 0 || store->timeout_ms == 0)
        return;
    uint64_t waited_ms = loop_now_ms(store->loop) - store->ring.commands[store->ring.first].sent_ms;
    if (waited_ms >= store->timeout_ms)
        connection_lost(store, "no answer in time");
    else
        set_timer(store, store->timeout_ms - waited_ms);
}

static void timer_fired(struct timer *timer)
{
    struct store *store = store_of_timer(timer);
    if (store->phase == AWAY) {
        connection_open(store);
    } else if (store->broken[0]) {
        char reason[REASON_MAX];
        memcpy(reason, store->broken, sizeof reason);
        connection_lost(store, reason);
    } else if (store->phase == CONNECTED) {
        check_deadline(store);
    } else {
        connection_lost(store, "no connection in time");
    }
}

static void connection_open(struct store *store)
{
    store->context = open_context(&store->address, REDIS_OPT_NONBLOCK, NULL);
    if (!store->context || store->context->err) {
        char reason[REASON_MAX];
        snprintf(reason, sizeof reason, "%s", store->context ? store->context->errstr : "out of memory");
        log_loss(store, false, reason);
        redisFree(store->context);
        store->context = NULL;
        plan_retry(store);
        return;
    }
    take_replies(store->context, &store->replies);
    store->watch.fd = store->context->fd;
    if (!loop_add(store->loop, &store->watch, EPOLLOUT)) {
        log_loss(store, false, strerror(errno));
        redisFree(store->context);
        store->context = NULL;
        plan_retry(store);
        return;
    }
    store->phase = CONNECTING;
    set_timer(store, CONNECT_TIMEOUT_MS);
}

struct store *store_new(struct loop *loop, const struct store_config *config)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->loop = loop;
    store->timeout_ms = config->timeout_ms;
    store->reply_max_bytes = config->reply_max_bytes ? config->reply_max_bytes : STORE_REPLY_MAX_BYTES;
    store->state = config->state;
    store->ctx = config->ctx;
    store->retry_ms = RETRY_MIN_MS;
    store->watch.ready = ready;
    store->timer.fire = timer_fired;
    random_seed(&store->random, config->random_seed);
    store->address_text = strdup(config->address);
    store->replies.arena = arena_new(2 * store->reply_max_bytes);
    if (!store->address_text || !store->replies.arena || !parse_address(config->address, &store->address)) {
        store_free(store);
        return NULL;
    }
    connection_open(store);
    return store;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    if (store->replies.arena)
        close_context(store);
    fail_commands(store);
    resp_deinit(&store->unsent);
    arena_free(store->replies.arena);
    free(store->address_text);
    free(store);
}

bool store_is_connected(const struct store *store)
{
    return store->phase == CONNECTED && !store->broken[0];
}

size_t store_pending(const struct store *store)
{
    return store->ring.count;
}

/* The synchronous client. */

struct store_client {
    redisContext *context;
    struct replies replies;
    struct resp command;
};

struct store_client *store_client_open(const char *address, uint64_t timeout_ms,
                                       char reterr[static STORE_CLIENT_ERROR_MAX])
{
    struct timeval timeout = {(time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000 * 1000)};
    struct address parsed;
    if (!parse_address(address, &parsed)) {
        snprintf(reterr, STORE_CLIENT_ERROR_MAX,
                 "\"%s\" is not an address of Redis: unix:/path or host:port with a numeric host", address);
        return NULL;
    }
    struct store_client *client = calloc(1, sizeof *client);
    if (client) {
        client->replies.arena = arena_new(2 * STORE_REPLY_MAX_BYTES);
        client->context = client->replies.arena ? open_context(&parsed, 0, &timeout) : NULL;
    }
    if (!client || !client->context || client->context->err) {
        const char *reason = client && client->context ? client->context->errstr : "out of memory";
        snprintf(reterr, STORE_CLIENT_ERROR_MAX, "cannot connect to Redis at %s: %s", address, reason);
        store_client_close(client);
        return NULL;
    }
    set_socket_options(client->context->fd, parsed.host[0] != '\0');
    take_replies(client->context, &client->replies);
    return client;
}

void store_client_close(struct store_client *client)
{
    if (!client)
        return;
    redisFree(client->context);
    arena_free(client->replies.arena);
    resp_deinit(&client->command);
    free(client);
}

const struct store_reply *store_client_call(struct store_client *client, const struct bytes *arguments, size_t count)
{
    void *reply = NULL;
    arena_reset(client->replies.arena);
    if (!resp_command(&client->command, arguments, count))
        return NULL;
    bool sent = redisAppendFormattedCommand(client->context, (char *)client->command.ptr, client->command.len) ==
                REDIS_OK;
    /* The CLI sends keys of devices. */
    explicit_bzero(client->command.ptr, client->command.len);
    resp_clear(&client->command, UNSENT_KEPT_BYTES);
    return sent && redisGetReply(client->context, &reply) == REDIS_OK ? reply : NULL;
}
