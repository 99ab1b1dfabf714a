// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A connection goes AWAY -> (RESOLVING) -> CONNECTING -> SECURING (TLS) -> GREETING -> CONNECTED and from each of them
 * back to AWAY, in one function, connection_lost. Towards Sentinels it goes the way twice: first to a Sentinel, whose
 * answer in GREETING says where to go on to. Each attempt takes the next of the configured addresses.
 *
 * One timer serves all phases: retry, time to connect, the oldest command's deadline, the PING of an idle connection.
 * Callbacks run only from `ready`, from the timer and from store_free, never from store_send or store_flush.
 */
#include "gateway/store.h"

#include "gateway/redirect.h"
#include "gateway/resolve.h"
#include "gateway/resp.h"
#include "gateway/rt/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_MS 5000
#define IDLE_MS 2000       /* then a PING */
#define PING_TIMEOUT_MS 2000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define RETRY_MAX_OF_MANY_MS 1000 /* where a failover is worth looking for */
#define UNSENT_MAX_BYTES ((size_t)64 << 20)
#define UNSENT_KEPT_BYTES ((size_t)1 << 20)
#define REASON_MAX 160
#define LOSS_LOG_MS 10000

bool store_address_is_valid(const char *address)
{
    struct store_places ignored;
    return store_target_parse(address, &ignored);
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

enum phase { AWAY, RESOLVING, CONNECTING, SECURING, GREETING, CONNECTED };

struct store {
    struct loop *loop;
    struct store_target *target;
    struct store_places places;
    uint64_t timeout_ms;
    size_t reply_max_bytes;
    store_state_fn *state;
    store_error_fn *error;
    void *ctx;
    struct random random;

    enum phase phase;
    size_t place; /* counts attempts: which of the places is next */
    struct store_endpoint endpoint; /* of this attempt; host as it was given */
    size_t address; /* counts attempts: which of the addresses of a name is next */
    bool asks_sentinel;
    bool must_be_primary;
    bool has_found; /* a Sentinel has said where: endpoint is that */
    struct resolve *resolve;
    struct store_wire *wire; /* NULL: AWAY, RESOLVING */
    struct loop_watch watch;
    struct timer timer;
    uint64_t retry_ms, used_ms;

    struct resp unsent;
    bool write_is_blocked; /* the wire holds octets that the socket did not take */
    struct ring ring;
    bool was_refused; /* the password */
    char broken[REASON_MAX]; /* set where connection_lost must not be called: why it will be */
};

static void connection_open(struct store *store);
static void approach(struct store *store);

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

static void close_wire(struct store *store)
{
    timers_cancel(loop_timers(store->loop), &store->timer);
    resolve_cancel(store->resolve);
    store->resolve = NULL;
    if (store->wire) {
        loop_remove(store->loop, &store->watch);
        store_wire_close(store->wire);
    }
    store->wire = NULL;
    store->phase = AWAY;
    store->write_is_blocked = store->has_found = false;
    store->broken[0] = '\0';
    resp_clear(&store->unsent, UNSENT_KEPT_BYTES);
}

/* All connections of a thread fail together and again and again: the first line says it, and then one now and then. */
static bool may_log_loss(struct store *store, bool was_connected, unsigned *ret_suppressed)
{
    static _Thread_local uint64_t next_ms;
    static _Thread_local unsigned suppressed;
    uint64_t now_ms = loop_now_ms(store->loop);
    if (!was_connected && now_ms < next_ms) {
        suppressed++;
        return false;
    }
    next_ms = now_ms + LOSS_LOG_MS;
    *ret_suppressed = suppressed;
    suppressed = 0;
    return true;
}

static void log_loss(struct store *store, bool was_connected, const char *reason)
{
    unsigned suppressed;
    if (!may_log_loss(store, was_connected, &suppressed))
        return;
    char quoted[LOG_QUOTED_MAX], address[STORE_ADDRESS_MAX + 16];
    const char *what = was_connected        ? "connection to Redis lost"
                       : store->was_refused ? "Redis refused the password"
                                            : "cannot connect to Redis";
    log_write(LOG_WARN, "store", what, "address=%s at=%s reason=%s suppressed=%u", store->target->address,
              store_endpoint_text(&store->endpoint, address), log_quote(quoted, bytes_of_text(reason)), suppressed);
}

static bool has_choice(const struct store *store)
{
    return store->places.form == STORE_FORM_SENTINEL || store->places.count > 1;
}

/* Half of the delay is random, so that many connections do not come back in step. */
static void plan_retry(struct store *store)
{
    uint64_t half = store->retry_ms / 2, most = has_choice(store) ? RETRY_MAX_OF_MANY_MS : RETRY_MAX_MS;
    set_timer(store, half + random_below(&store->random, half + 1));
    store->retry_ms = store->retry_ms < most / 2 ? 2 * store->retry_ms : most;
}

static void connection_lost(struct store *store, const char *reason)
{
    bool was_connected = store->phase == CONNECTED;
    log_loss(store, was_connected, reason);
    close_wire(store);
    /* The one that just was fine is tried first: mostly the network blinked. */
    if (!was_connected)
        store->place++;
    plan_retry(store);
    fail_commands(store);
    if (was_connected && store->state)
        store->state(store->ctx, false);
}

/* The reason lies in what connection_lost clears. */
static void lose_if_broken(struct store *store)
{
    char reason[REASON_MAX];
    if (!store->broken[0])
        return;
    memcpy(reason, store->broken, sizeof reason);
    connection_lost(store, reason);
}

/* Sending. */

static void push_command(struct store *store, store_answer_fn *answer, void *ctx)
{
    if (store->ring.count == 0 && store->timeout_ms && store->phase == CONNECTED)
        set_timer(store, store->timeout_ms < IDLE_MS ? store->timeout_ms : IDLE_MS);
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

/* What the wire holds goes first; only when the socket has taken all of it the next batch is handed over. */
static void write_unsent(struct store *store)
{
    bool done = true, ok = !store->write_is_blocked || store_wire_continue(store->wire, &done);
    if (ok && done && store->unsent.len > 0) {
        ok = store_wire_write(store->wire, bytes_of(store->unsent.ptr, store->unsent.len), &done);
        resp_clear(&store->unsent, UNSENT_KEPT_BYTES);
    }
    if (!ok)
        mark_broken(store, store_wire_error(store->wire));
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

void store_reconnect(struct store *store, const char *reason)
{
    if (!store->wire)
        return;
    mark_broken(store, reason);
    set_timer(store, 0);
}

/* Replies. */

/* What says that this Redis does not take writes any more: it became a replica. */
static bool is_no_primary(struct bytes error)
{
    return bytes_starts_with(error, BYTES_LITERAL("READONLY")) || bytes_starts_with(error, BYTES_LITERAL("UNBLOCKED"));
}

static void notice_error(struct store *store, const struct store_reply *reply)
{
    if (store->phase != CONNECTED)
        return;
    if (store->error)
        store->error(store->ctx, reply);
    if (is_no_primary(reply->text)) {
        store->must_be_primary = true;
        mark_broken(store, "Redis is a replica and takes no writes (READONLY)");
    }
}

static void tell_replies(struct store *store)
{
    const struct store_reply *reply;
    while (!store->broken[0] && !store->has_found) {
        if (!store_wire_next(store->wire, &reply)) {
            mark_broken(store, store_wire_error(store->wire));
            return;
        }
        if (!reply)
            return;
        if (store->ring.count == 0) {
            mark_broken(store, "a reply that nobody asked for");
            return;
        }
        struct command command = ring_shift(&store->ring);
        if (reply->type == STORE_ERROR)
            notice_error(store, reply);
        command.answer(command.ctx, reply);
    }
}

static void read_replies(struct store *store)
{
    store->used_ms = loop_now_ms(store->loop);
    bool ok = store_wire_read(store->wire);
    tell_replies(store); /* also what came before the end */
    if (!ok)
        mark_broken(store, store_wire_error(store->wire));
}

/* Greeting. */

static void mark_answer(struct store *store, const char *question, const struct store_reply *reply)
{
    char reason[REASON_MAX];
    struct bytes text = reply->text;
    snprintf(reason, sizeof reason, "answer to %s: %.*s", question, (int)(text.len < 100 ? text.len : 100),
             text.ptr ? (const char *)text.ptr : "");
    mark_broken(store, reason);
}

static void welcome(struct store *store)
{
    char address[STORE_ADDRESS_MAX + 16];
    if (store->phase == CONNECTED || store->broken[0])
        return;
    store->phase = CONNECTED;
    store->retry_ms = RETRY_MIN_MS;
    store->was_refused = false;
    store->used_ms = loop_now_ms(store->loop);
    set_timer(store, IDLE_MS);
    log_write(LOG_DEBUG, "store", "connected to Redis", "address=%s at=%s", store->target->address,
              store_endpoint_text(&store->endpoint, address));
    if (store->state)
        store->state(store->ctx, true);
}

/* A Sentinel that has no password refuses ours, which does not matter. */
static void authenticated(void *ctx, const struct store_reply *reply)
{
    struct store *store = ctx;
    if (!reply || reply->type != STORE_ERROR || store->asks_sentinel)
        return;
    store->was_refused = true;
    mark_answer(store, "AUTH", reply);
}

/* In the greeting, and of an idle connection. */
static void ponged(void *ctx, const struct store_reply *reply)
{
    struct store *store = ctx;
    if (!reply)
        return;
    if (reply->type != STORE_TEXT || !bytes_equal_text(reply->text, "PONG"))
        mark_answer(store, "PING", reply);
    else if (!store->must_be_primary)
        welcome(store);
}

/* Who has no right to ask must trust the address. */
static void role_told(void *ctx, const struct store_reply *reply)
{
    struct store *store = ctx;
    if (!reply)
        return;
    bool is_told = reply->type == STORE_LIST && reply->count > 0;
    if (is_told && !bytes_equal_text(reply->items[0].text, "master"))
        mark_broken(store, "Redis is a replica here, not the primary");
    else
        welcome(store);
}

static void sentinel_told(void *ctx, const struct store_reply *reply)
{
    struct store *store = ctx;
    struct store_endpoint found;
    if (!reply)
        return;
    if (redirect_parse_pair(reply, &found)) {
        store->endpoint = found;
        store->has_found = true;
    } else if (reply->type == STORE_NIL) {
        mark_broken(store, "the Sentinel does not know this master");
    } else {
        mark_answer(store, "SENTINEL", reply);
    }
}

static bool ask(struct store *store, const struct bytes *arguments, size_t count, store_answer_fn *answer)
{
    if (!ring_reserve(&store->ring, 1) || !resp_command(&store->unsent, arguments, count)) {
        mark_broken(store, "out of memory");
        return false;
    }
    push_command(store, answer, store);
    return true;
}

/* Past the buffers, and wiped: the password is in memory for as long as it takes to write it. */
static bool send_password(struct store *store)
{
    struct store_password password;
    const char *user = store->target->user;
    struct bytes arguments[3] = {BYTES_LITERAL("AUTH")};
    struct resp resp = {0};
    size_t count = 1;
    if (!store_target_read_password(store->target, &password)) {
        char reason[REASON_MAX];
        snprintf(reason, sizeof reason, "redis_password_file cannot be used: %s", strerror(errno));
        mark_broken(store, reason);
        return false;
    }
    if (!user[0] && password.len == 0)
        return true;
    if (user[0])
        arguments[count++] = bytes_of_text(user);
    arguments[count++] = bytes_of(password.text, password.len);
    bool ok = ring_reserve(&store->ring, 1) && resp_command(&resp, arguments, count) &&
              store_wire_write_secret(store->wire, bytes_of(resp.ptr, resp.len));
    explicit_bzero(&password, sizeof password);
    if (resp.ptr)
        explicit_bzero(resp.ptr, resp.room);
    resp_deinit(&resp);
    if (ok)
        push_command(store, authenticated, store);
    else
        mark_broken(store, store_wire_error(store->wire)[0] ? store_wire_error(store->wire) : "out of memory");
    return ok;
}

static void greet(struct store *store)
{
    struct bytes ping = BYTES_LITERAL("PING"), role = BYTES_LITERAL("ROLE");
    struct bytes master[] = {BYTES_LITERAL("SENTINEL"), BYTES_LITERAL("GET-MASTER-ADDR-BY-NAME"),
                             bytes_of_text(store->places.master)};
    store->phase = GREETING;
    if (!loop_change(store->loop, &store->watch, EPOLLIN))
        mark_broken(store, strerror(errno));
    else if (!send_password(store))
        return;
    else if (store->asks_sentinel)
        ask(store, master, 3, sentinel_told);
    else if (ask(store, &ping, 1, ponged) && store->must_be_primary)
        ask(store, &role, 1, role_told);
}

static void secure(struct store *store)
{
    store->phase = SECURING;
    enum store_wire_step step = store_wire_handshake(store->wire);
    if (step == STORE_WIRE_DONE)
        greet(store);
    else if (step == STORE_WIRE_FAILED)
        mark_broken(store, store_wire_error(store->wire));
    else if (!loop_change(store->loop, &store->watch, step == STORE_WIRE_WANTS_READ ? EPOLLIN : EPOLLOUT))
        mark_broken(store, strerror(errno));
}

static void ready(struct loop_watch *watch, uint32_t events)
{
    struct store *store = store_of_watch(watch);
    if (store->phase == CONNECTING) {
        if (store_wire_finish_connecting(store->wire))
            secure(store);
        else
            mark_broken(store, store_wire_error(store->wire));
    } else if (store->phase == SECURING) {
        secure(store);
    } else {
        if (events & EPOLLOUT)
            write_unsent(store);
        if (!store->broken[0] && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_replies(store);
    }
    store_flush(store);
    if (store->has_found && !store->broken[0]) {
        close_wire(store);
        store->asks_sentinel = false;
        approach(store);
    }
    lose_if_broken(store);
}

/* Time. */

static uint64_t deadline_of(const struct store *store, const struct command *command)
{
    bool is_ours = command->answer == ponged || command->answer == role_told;
    uint64_t timeout_ms = is_ours ? PING_TIMEOUT_MS : store->timeout_ms;
    return timeout_ms ? command->sent_ms + timeout_ms : UINT64_MAX;
}

/* A path that is dead shows only to somebody who asks. */
static void ask_for_life(struct store *store)
{
    struct bytes ping = BYTES_LITERAL("PING"), role = BYTES_LITERAL("ROLE");
    if (ask(store, store->must_be_primary ? &role : &ping, 1, store->must_be_primary ? role_told : ponged))
        store_flush(store);
}

/* While connected the timer fires at least every IDLE_MS. */
static void look_at_the_time(struct store *store)
{
    uint64_t now = loop_now_ms(store->loop), next = now + IDLE_MS;
    if (store->ring.count == 0 && now - store->used_ms >= IDLE_MS)
        ask_for_life(store);
    else if (store->ring.count == 0)
        next = store->used_ms + IDLE_MS;
    if (store->ring.count > 0) {
        uint64_t deadline = deadline_of(store, &store->ring.commands[store->ring.first]);
        if (deadline <= now) {
            connection_lost(store, "no answer in time");
            return;
        }
        next = deadline < next ? deadline : next;
    }
    set_timer(store, store->broken[0] ? 0 : next - now);
}

static void timer_fired(struct timer *timer)
{
    struct store *store = store_of_timer(timer);
    if (store->phase == AWAY)
        connection_open(store);
    else if (store->broken[0])
        lose_if_broken(store);
    else if (store->phase == CONNECTED)
        look_at_the_time(store);
    else
        connection_lost(store, "no connection in time");
}

/* Connecting. */

static void open_wire(struct store *store, const struct store_endpoint *endpoint)
{
    char reason[STORE_WIRE_ERROR_MAX];
    struct store_wire_config config = {
        .endpoint = endpoint,
        .target = store->target,
        .host = store->endpoint.host,
        .reply_max_bytes = store->reply_max_bytes,
    };
    store->wire = store_wire_open(&config, reason);
    if (!store->wire) {
        connection_lost(store, reason);
        return;
    }
    store->watch.fd = store_wire_fd(store->wire);
    if (!loop_add(store->loop, &store->watch, EPOLLOUT)) {
        snprintf(reason, sizeof reason, "%s", strerror(errno));
        store_wire_close(store->wire);
        store->wire = NULL;
        connection_lost(store, reason);
        return;
    }
    store->phase = CONNECTING;
    set_timer(store, CONNECT_TIMEOUT_MS);
}

static void resolved(void *ctx, const struct resolve_result *result)
{
    struct store *store = ctx;
    struct store_endpoint endpoint = store->endpoint;
    store->resolve = NULL;
    if (result->error) {
        connection_lost(store, result->error);
        return;
    }
    snprintf(endpoint.host, sizeof endpoint.host, "%s", result->addresses[store->address++ % result->count]);
    open_wire(store, &endpoint);
}

/* Towards store->endpoint. */
static void approach(struct store *store)
{
    if (store_endpoint_is_numeric(&store->endpoint)) {
        open_wire(store, &store->endpoint);
        return;
    }
    store->phase = RESOLVING;
    set_timer(store, CONNECT_TIMEOUT_MS);
    store->resolve = resolve_start(store->loop, store->endpoint.host, resolved, store);
    if (!store->resolve)
        connection_lost(store, "no thread to resolve the name");
}

static void connection_open(struct store *store)
{
    store->asks_sentinel = store->places.form == STORE_FORM_SENTINEL;
    store->endpoint = store->places.endpoints[store->place % store->places.count];
    approach(store);
}

struct store *store_new(struct loop *loop, const struct store_config *config)
{
    struct store_target bare = {.address = config->address};
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->loop = loop;
    store->timeout_ms = config->timeout_ms;
    store->reply_max_bytes = config->reply_max_bytes ? config->reply_max_bytes : STORE_REPLY_MAX_BYTES;
    store->state = config->state;
    store->error = config->error;
    store->ctx = config->ctx;
    store->retry_ms = RETRY_MIN_MS;
    store->watch.ready = ready;
    store->timer.fire = timer_fired;
    random_seed(&store->random, config->random_seed);
    store->target = store_target_copy(config->target ? config->target : &bare);
    if (!store->target || !store_target_parse(store->target->address, &store->places)) {
        store_free(store);
        return NULL;
    }
    store->must_be_primary = has_choice(store);
    connection_open(store);
    return store;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    close_wire(store);
    fail_commands(store);
    resp_deinit(&store->unsent);
    free(store->target);
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

size_t store_unsent(const struct store *store)
{
    return store->unsent.len;
}

const struct store_endpoint *store_endpoint(const struct store *store)
{
    return &store->endpoint;
}
