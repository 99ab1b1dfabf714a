// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A TLS connection shakes hands first; from then on the octets are those inside of it (proxy/http_stream).
 *
 * Bytes come in at socket_ready, wait in `in` until a head is whole, go to libmicrohttpd in push_request; answers
 * come back at pipe_ready and go out in relay, waiting in `out` only when the peer does not read.
 *
 * A connection that ends in the middle of a call is not freed there (callers up the stack still hold it) but in
 * http_gate_sweep: after anything that may end it, look at its state.
 */
#include "proxy/http_gate.h"

#include "codec/problem.h"
#include "proxy/http_backoff.h"
#include "proxy/http_stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IN_BYTES (2 * HTTP_HEAD_BYTES_MAX)
#define RELAY_BYTES 65536
#define DRAIN_MS 30000
#define LINGER_MS 2000
#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_MS 100
#define BUCKETS_MAX 65536
#define REFUSAL_BYTES_MAX 2048

enum state {
    STATE_HANDSHAKE, /* of TLS */
    STATE_HEAD,   /* waiting for a request, or in the middle of its head */
    STATE_BODY,   /* the head is checked; it and the body are going to libmicrohttpd */
    STATE_ANSWER, /* the request is whole; nothing is read until the answer is out */
    STATE_LAST,   /* the rest of a refusal is going out */
    STATE_LINGER, /* all is said; what still comes is thrown away, or a reset could overtake the answer */
    STATE_DEAD,   /* the sockets are closed */
};

struct http_gate_connection {
    struct http_gate *gate;
    struct loop_watch socket, pipe; /* the peer; our end of the pair to libmicrohttpd, -1 if there is none */
    uint32_t socket_events, pipe_events;
    struct http_stream stream; /* over the socket */
    struct timer timer;        /* the deadline of this state */
    struct timer again;        /* TLS has read more from the socket than it was asked for */
    struct address remote;
    enum state state;
    bool is_open;  /* libmicrohttpd holds its end */
    bool served;   /* had a request before */
    bool answered; /* libmicrohttpd has written the whole answer */
    bool begun;    /* some of the answer has gone out */
    struct http_framing framing;
    uint64_t push_left; /* bytes of this request that libmicrohttpd has not yet */
    uint8_t *in;        /* IN_BYTES, while there are bytes */
    size_t in_start, in_end, in_searched;
    uint8_t *out;
    size_t out_start, out_end;
    struct http_gate_connection *next, **link; /* same bucket of addresses; when dead: the graves */
};

struct http_gate {
    struct http_gate_setup setup;
    struct loop_watch listener;
    struct timer accept_again;
    struct arena *arena; /* of refusals */
    size_t connection_count, bucket_mask;
    struct http_gate_connection *graves;
    uint8_t relay[RELAY_BYTES];
    struct http_gate_connection *buckets[];
};

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static void start_request(struct http_gate_connection *connection);
static void progress(struct http_gate_connection *connection);

/* --- ends --- */

static void bury(struct http_gate_connection *connection)
{
    connection->next = connection->gate->graves;
    connection->gate->graves = connection;
}

static void close_watch(struct http_gate_connection *connection, struct loop_watch *watch, uint32_t *watched_events)
{
    if (watch->fd < 0)
        return;
    if (*watched_events || watch == &connection->socket)
        loop_remove(connection->gate->setup.loop, watch);
    *watched_events = 0;
    close(watch->fd);
    watch->fd = -1;
}

static void close_pipe(struct http_gate_connection *connection)
{
    close_watch(connection, &connection->pipe, &connection->pipe_events);
}

static void end(struct http_gate_connection *connection)
{
    struct http_gate *gate = connection->gate;
    if (connection->state == STATE_DEAD)
        return;
    connection->state = STATE_DEAD;
    timers_cancel(loop_timers(gate->setup.loop), &connection->timer);
    timers_cancel(loop_timers(gate->setup.loop), &connection->again);
    http_stream_deinit(&connection->stream);
    close_watch(connection, &connection->socket, &connection->socket_events);
    close_pipe(connection);
    free(connection->in);
    free(connection->out);
    connection->in = connection->out = NULL;
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    gate->connection_count--;
    metrics_add(gate->setup.metrics, METRIC_HTTP_CONNECTIONS, -1);
    if (!connection->is_open)
        bury(connection);
}

void http_gate_sweep(struct http_gate *gate)
{
    while (gate->graves) {
        struct http_gate_connection *connection = gate->graves;
        gate->graves = connection->next;
        free(connection);
    }
}

static void set_deadline(struct http_gate_connection *connection, uint64_t after_ms)
{
    struct loop *loop = connection->gate->setup.loop;
    timers_set(loop_timers(loop), &connection->timer, loop_now_ms(loop) + after_ms);
}

/* What TLS holds for us no epoll tells of. */
static void read_pending_soon(struct http_gate_connection *connection)
{
    struct loop *loop = connection->gate->setup.loop;
    if (http_stream_has_pending(&connection->stream))
        timers_set(loop_timers(loop), &connection->again, loop_now_ms(loop));
}

/* A hang-up is reported even when nothing is asked for: it ends the connection. */
static void watch_socket(struct http_gate_connection *connection, uint32_t epoll_events)
{
    if (epoll_events & EPOLLIN)
        read_pending_soon(connection);
    if (connection->socket_events == epoll_events || connection->socket.fd < 0)
        return;
    connection->socket_events = epoll_events;
    if (!loop_change(connection->gate->setup.loop, &connection->socket, epoll_events))
        end(connection);
}

/* Here a hang-up must wait until the answer before it is out, so 0 takes the watch away altogether. */
static void watch_pipe(struct http_gate_connection *connection, uint32_t epoll_events)
{
    struct loop *loop = connection->gate->setup.loop;
    uint32_t before = connection->pipe_events;
    if (before == epoll_events || connection->pipe.fd < 0)
        return;
    connection->pipe_events = epoll_events;
    if (epoll_events == 0)
        loop_remove(loop, &connection->pipe);
    else if (!(before ? loop_change : loop_add)(loop, &connection->pipe, epoll_events))
        end(connection);
}

/* All has been said: closes in a way that the peer can still read it (RFC 9112 9.6). */
static void linger(struct http_gate_connection *connection)
{
    close_pipe(connection);
    connection->state = STATE_LINGER;
    connection->in_start = connection->in_end = 0;
    if (!http_stream_shutdown(&connection->stream)) {
        end(connection);
        return;
    }
    set_deadline(connection, LINGER_MS);
    watch_socket(connection, EPOLLIN);
}

/* --- towards the peer --- */

/* Keeps what the peer does not take now. */
static bool keep_out(struct http_gate_connection *connection, struct bytes rest)
{
    connection->out = malloc(rest.len);
    if (!connection->out)
        return false;
    memcpy(connection->out, rest.ptr, rest.len);
    connection->out_start = 0;
    connection->out_end = rest.len;
    /* From the first time that the peer does not read to the end of the answer. */
    if (connection->state == STATE_LAST || !timer_is_set(&connection->timer))
        set_deadline(connection, DRAIN_MS);
    watch_socket(connection, EPOLLOUT);
    return connection->state != STATE_DEAD;
}

/* Sends; false: not all of it is out yet, or the connection has ended. */
static bool send_out(struct http_gate_connection *connection, struct bytes bytes)
{
    ssize_t sent = http_stream_write(&connection->stream, bytes);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        end(connection);
        return false;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == bytes.len)
        return true;
    if (!keep_out(connection, bytes_of(bytes.ptr + done, bytes.len - done)))
        end(connection);
    return false;
}

/*
 * The answer is out whole. The next request may begin only where the end of this one is known and reached; anything
 * else would take what is left of a body for a request.
 */
static void finish_request(struct http_gate_connection *connection)
{
    if (connection->push_left > 0) {
        linger(connection);
        return;
    }
    connection->served = true;
    start_request(connection);
    if (connection->in_end > connection->in_start)
        progress(connection);
}

/* From libmicrohttpd to the peer, until there is no more or the peer does not read. */
static void relay(struct http_gate_connection *connection)
{
    struct http_gate *gate = connection->gate;
    while (connection->pipe.fd >= 0 && !connection->out && connection->state <= STATE_ANSWER) {
        ssize_t got = recv(connection->pipe.fd, gate->relay, sizeof gate->relay, MSG_DONTWAIT);
        if (got > 0) {
            connection->begun |= !bytes_starts_with(bytes_of(gate->relay, (size_t)got), BYTES_LITERAL("HTTP/1.1 100 "));
            bool is_out = send_out(connection, bytes_of(gate->relay, (size_t)got));
            /* A short read means that there is no more now; with the answer written, no more at all. */
            if (is_out && connection->answered && (size_t)got < sizeof gate->relay) {
                finish_request(connection);
                return;
            }
        } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (connection->answered)
                finish_request(connection);
            return;
        } else {
            linger(connection);
        }
    }
    /* The peer is slow: libmicrohttpd waits with us. */
    if (connection->out)
        watch_pipe(connection, 0);
}

static void flush_out(struct http_gate_connection *connection)
{
    if (!connection->out)
        return;
    struct bytes rest = bytes_of(connection->out + connection->out_start, connection->out_end - connection->out_start);
    ssize_t sent = http_stream_write(&connection->stream, rest);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        end(connection);
        return;
    }
    connection->out_start += sent > 0 ? (size_t)sent : 0;
    if (connection->out_start < connection->out_end)
        return;
    free(connection->out);
    connection->out = NULL;
    if (connection->state == STATE_LAST) {
        linger(connection);
        return;
    }
    watch_socket(connection, EPOLLIN);
    watch_pipe(connection, EPOLLIN);
    relay(connection);
}

static bool write_refusal(struct http_gate *gate, const struct http_refusal *refusal,
                          char ret[static REFUSAL_BYTES_MAX], size_t *ret_len)
{
    const struct outcome_row *row = outcome_row(refusal->outcome);
    const struct problem problem = {.outcome = refusal->outcome, .detail = refusal->detail, .offset = SIZE_MAX};
    struct bytes body;
    arena_reset(gate->arena);
    if (!problem_json(&problem, gate->arena, &body))
        return false;
    int len = snprintf(ret, REFUSAL_BYTES_MAX,
                       "HTTP/1.1 %u %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                       "Cache-Control: no-store\r\nConnection: close\r\n\r\n%.*s",
                       row->http_status, row->title, body.len, (int)body.len, (const char *)body.ptr);
    *ret_len = (size_t)len;
    return len > 0 && len < REFUSAL_BYTES_MAX;
}

void http_gate_refuse(struct http_gate_connection *connection, const struct http_refusal *refusal)
{
    struct http_gate *gate = connection->gate;
    if (connection->state >= STATE_LAST)
        return;
    metrics_add(gate->setup.metrics, METRIC_HTTP_REFUSED, 1);
    metrics_outcome(gate->setup.metrics, refusal->outcome);
    char text[REFUSAL_BYTES_MAX];
    size_t len;
    /* In the middle of another answer there is nothing to say. */
    if (connection->begun || connection->out || !write_refusal(gate, refusal, text, &len)) {
        end(connection);
        return;
    }
    connection->state = STATE_LAST;
    close_pipe(connection);
    if (send_out(connection, bytes_of(text, len)))
        linger(connection);
}

static void refuse(struct http_gate_connection *connection, enum outcome outcome, const char *detail)
{
    http_gate_refuse(connection, &(struct http_refusal){outcome, detail});
}

/* --- towards libmicrohttpd --- */

/* Opens the pair at the first good head, so that a peer that never sends one costs one descriptor. */
static bool open_pipe(struct http_gate_connection *connection)
{
    struct http_gate *gate = connection->gate;
    int pair[2];
    if (connection->pipe.fd >= 0)
        return true;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    connection->pipe.fd = pair[0];
    watch_pipe(connection, EPOLLIN);
    if (connection->state == STATE_DEAD) {
        close(pair[1]);
        return false;
    }
    connection->is_open = gate->setup.open(gate->setup.ctx, connection, pair[1]);
    return connection->is_open;
}

/* Pushes what there is of the request. */
static void push_request(struct http_gate_connection *connection)
{
    struct http_gate *gate = connection->gate;
    size_t len = connection->in_end - connection->in_start;
    if (len > connection->push_left)
        len = (size_t)connection->push_left;
    if (len > 0) {
        ssize_t sent = send(connection->pipe.fd, connection->in + connection->in_start, len,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            /* libmicrohttpd has answered without waiting for the body and hung up. */
            connection->state = STATE_ANSWER;
            relay(connection);
            return;
        }
        connection->in_start += sent > 0 ? (size_t)sent : 0;
        connection->push_left -= sent > 0 ? (size_t)sent : 0;
        gate->setup.pushed(gate->setup.ctx);
        if (sent < (ssize_t)len) {
            watch_pipe(connection, EPOLLIN | EPOLLOUT);
            return;
        }
    }
    if (connection->in_start == connection->in_end)
        connection->in_start = connection->in_end = 0;
    if (connection->push_left == 0)
        http_gate_received(connection);
    else if (!connection->out)
        watch_socket(connection, EPOLLIN);
}

/* An empty line before a request is left over from sloppy clients (RFC 9112 2.2). */
static void skip_empty_line(struct http_gate_connection *connection)
{
    if (connection->in_end - connection->in_start < 2 || memcmp(connection->in + connection->in_start, "\r\n", 2) != 0)
        return;
    connection->in_start += 2;
    connection->in_searched = 0;
}

static void read_head(struct http_gate_connection *connection)
{
    if (connection->in_searched < 2)
        skip_empty_line(connection);
    struct bytes received = bytes_of(connection->in + connection->in_start, connection->in_end - connection->in_start);
    size_t len = http_head_end(received, connection->in_searched);
    connection->in_searched = received.len;
    if (len > HTTP_HEAD_BYTES_MAX || (len == 0 && received.len > HTTP_HEAD_BYTES_MAX)) {
        refuse(connection, OUTCOME_HEADERS_TOO_LARGE, "The head is longer than 8192 bytes.");
        return;
    }
    struct http_refusal refusal;
    if (len == 0)
        return;
    if (!http_head_check(bytes_of(received.ptr, len), &connection->framing, &refusal)) {
        http_gate_refuse(connection, &refusal);
        return;
    }
    if (!open_pipe(connection)) {
        end(connection);
        return;
    }
    connection->push_left = connection->framing.chunked ? UINT64_MAX : len + connection->framing.content_length;
    connection->state = STATE_BODY;
    set_deadline(connection, connection->gate->setup.settings->http_body_timeout_s * 1000);
}

static void progress(struct http_gate_connection *connection)
{
    if (connection->state == STATE_HEAD)
        read_head(connection);
    if (connection->state == STATE_BODY)
        push_request(connection);
}

static void start_request(struct http_gate_connection *connection)
{
    const struct settings *settings = connection->gate->setup.settings;
    size_t left = connection->in_end - connection->in_start;
    connection->state = STATE_HEAD;
    connection->answered = connection->begun = false;
    connection->in_searched = 0;
    if (left > 0) {
        memmove(connection->in, connection->in + connection->in_start, left);
    } else {
        free(connection->in);
        connection->in = NULL;
    }
    connection->in_start = 0;
    connection->in_end = left;
    bool idle = connection->served && left == 0;
    set_deadline(connection, (idle ? settings->http_idle_timeout_s : settings->http_header_timeout_s) * 1000);
    watch_socket(connection, EPOLLIN);
}

void http_gate_received(struct http_gate_connection *connection)
{
    if (connection->state != STATE_BODY)
        return;
    connection->state = STATE_ANSWER;
    timers_cancel(loop_timers(connection->gate->setup.loop), &connection->timer);
    if (connection->out)
        set_deadline(connection, DRAIN_MS);
}

void http_gate_answered(struct http_gate_connection *connection)
{
    connection->answered = true;
    if (connection->state <= STATE_ANSWER)
        relay(connection);
}

void http_gate_closed(struct http_gate_connection *connection)
{
    connection->is_open = false;
    if (connection->state == STATE_DEAD)
        bury(connection);
}

/* --- events --- */

static void pipe_ready(struct loop_watch *watch, uint32_t epoll_events)
{
    struct http_gate_connection *connection = CONTAINER_OF(watch, struct http_gate_connection, pipe);
    if (epoll_events & EPOLLOUT) {
        watch_pipe(connection, EPOLLIN);
        progress(connection);
    }
    if (connection->pipe.fd >= 0 && epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        relay(connection);
}

/* Reads into `in`. False: nothing came, or the connection has ended. */
static bool receive(struct http_gate_connection *connection)
{
    if (!connection->in) {
        connection->in = malloc(IN_BYTES);
        if (!connection->in) {
            end(connection);
            return false;
        }
    }
    size_t room = IN_BYTES - connection->in_end;
    if (room == 0) {
        /* libmicrohttpd is behind; pipe_ready goes on. */
        watch_socket(connection, 0);
        return false;
    }
    ssize_t got = http_stream_read(&connection->stream, connection->in + connection->in_end, room);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        end(connection);
        return false;
    }
    if (connection->state == STATE_HEAD && connection->served && connection->in_end == 0)
        set_deadline(connection, connection->gate->setup.settings->http_header_timeout_s * 1000);
    connection->in_end += (size_t)got;
    read_pending_soon(connection);
    return true;
}

static void throw_away(struct http_gate_connection *connection)
{
    struct http_gate *gate = connection->gate;
    ssize_t got = recv(connection->socket.fd, gate->relay, sizeof gate->relay, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        end(connection);
}

static void shake_hands(struct http_gate_connection *connection)
{
    switch (http_stream_handshake(&connection->stream)) {
    case HTTP_STREAM_READY:
        start_request(connection);
        return;
    case HTTP_STREAM_WAITS:
        watch_socket(connection, connection->stream.wants_write ? EPOLLOUT : EPOLLIN);
        return;
    case HTTP_STREAM_FAILED:
        metrics_add(connection->gate->setup.metrics, METRIC_HTTP_REFUSED, 1);
        end(connection);
        return;
    }
}

static void socket_readable(struct http_gate_connection *connection)
{
    if (connection->state == STATE_LINGER)
        throw_away(connection);
    else if (connection->state > STATE_BODY)
        watch_socket(connection, connection->socket_events & ~(uint32_t)EPOLLIN);
    else if (receive(connection))
        progress(connection);
}

static void read_again(struct timer *timer)
{
    struct http_gate_connection *connection = CONTAINER_OF(timer, struct http_gate_connection, again);
    if (connection->socket_events & EPOLLIN)
        socket_readable(connection);
}

static void socket_ready(struct loop_watch *watch, uint32_t epoll_events)
{
    struct http_gate_connection *connection = CONTAINER_OF(watch, struct http_gate_connection, socket);
    if (epoll_events & (EPOLLERR | EPOLLHUP)) {
        end(connection);
        return;
    }
    if (connection->state == STATE_HANDSHAKE) {
        shake_hands(connection);
        return;
    }
    if (epoll_events & EPOLLOUT)
        flush_out(connection);
    if (epoll_events & EPOLLIN)
        socket_readable(connection);
}

static void deadline_passed(struct timer *timer)
{
    struct http_gate_connection *connection = CONTAINER_OF(timer, struct http_gate_connection, timer);
    bool is_waited_for = connection->state == STATE_BODY || (connection->state == STATE_HEAD && connection->in_end > 0);
    if (is_waited_for)
        refuse(connection, OUTCOME_INCOMPLETE, "The request did not come whole in time.");
    else
        end(connection);
}

/* --- the listener --- */

/* How many more of its kind there are is counted where they stand: a bucket holds few clients. */
static bool may_enter(const struct http_gate *gate, const struct address *remote, size_t bucket)
{
    const struct settings *settings = gate->setup.settings;
    struct bytes client = http_backoff_client(remote);
    size_t same = 0;
    for (const struct http_gate_connection *one = gate->buckets[bucket]; one; one = one->next)
        same += bytes_equal(http_backoff_client(&one->remote), client);
    return gate->connection_count < settings->http_connections_max && same < settings->http_connections_per_address;
}

static bool enter(struct http_gate *gate, int fd, const struct address *remote)
{
    size_t bucket = hash_bytes(gate->setup.hash_key, http_backoff_client(remote)) & gate->bucket_mask;
    struct http_gate_connection *connection = may_enter(gate, remote, bucket) ? calloc(1, sizeof *connection) : NULL;
    if (!connection)
        return false;
    connection->gate = gate;
    connection->remote = *remote;
    connection->timer.fire = deadline_passed;
    connection->again.fire = read_again;
    connection->socket = (struct loop_watch){fd, socket_ready};
    connection->pipe = (struct loop_watch){-1, pipe_ready};
    connection->socket_events = EPOLLIN;
    if (!http_stream_init(&connection->stream, fd, gate->setup.tls) ||
        !loop_add(gate->setup.loop, &connection->socket, EPOLLIN)) {
        http_stream_deinit(&connection->stream);
        free(connection);
        return false;
    }
    connection->next = gate->buckets[bucket];
    connection->link = &gate->buckets[bucket];
    if (connection->next)
        connection->next->link = &connection->next;
    gate->buckets[bucket] = connection;
    gate->connection_count++;
    metrics_add(gate->setup.metrics, METRIC_HTTP_CONNECTIONS, 1);
    if (gate->setup.tls)
        set_deadline(connection, gate->setup.settings->http_header_timeout_s * 1000);
    else
        start_request(connection);
    return true;
}

static void accept_again(struct timer *timer)
{
    struct http_gate *gate = CONTAINER_OF(timer, struct http_gate, accept_again);
    if (!loop_change(gate->setup.loop, &gate->listener, EPOLLIN))
        timers_set(loop_timers(gate->setup.loop), timer, loop_now_ms(gate->setup.loop) + ACCEPT_PAUSE_MS);
}

static void listener_ready(struct loop_watch *watch, uint32_t epoll_events)
{
    struct http_gate *gate = CONTAINER_OF(watch, struct http_gate, listener);
    (void)epoll_events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct address remote = {0};
        socklen_t len = sizeof remote;
        int fd = accept4(watch->fd, &remote.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            return;
        if (fd < 0) {
            /* Out of descriptors or memory: the listener stays readable, so waiting for it would spin. */
            (void)loop_change(gate->setup.loop, watch, 0);
            timers_set(loop_timers(gate->setup.loop), &gate->accept_again,
                       loop_now_ms(gate->setup.loop) + ACCEPT_PAUSE_MS);
            return;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (!enter(gate, fd, &remote)) {
            metrics_add(gate->setup.metrics, METRIC_HTTP_REFUSED, 1);
            close(fd);
        }
    }
}

/* A shared port would be shared with another weir too, silently. errno says why not. */
static bool port_is_free(const struct address *address)
{
    int one = 1, fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool is_free = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                   (address->any.sa_family != AF_INET6 ||
                    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
                   bind(fd, &address->any, address_len(address)) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return is_free;
}

static bool listen_on(struct http_gate *gate)
{
    const struct address *address = &gate->setup.listen;
    int one = 1;
    if (gate->setup.claim_port && !port_is_free(address))
        return false;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    gate->listener.fd = fd;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        return false;
    if (gate->setup.share_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
        return false;
    if (address->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0)
        return false;
    return bind(fd, &address->any, address_len(address)) == 0 && listen(fd, SOMAXCONN) == 0 &&
           loop_add(gate->setup.loop, &gate->listener, EPOLLIN);
}

struct http_gate *http_gate_new(const struct http_gate_setup *setup, char reterr[static SETTINGS_ERROR_MAX])
{
    size_t buckets = 16;
    while (buckets < setup->settings->http_connections_max && buckets < BUCKETS_MAX)
        buckets *= 2;
    struct http_gate *gate = calloc(1, sizeof *gate + buckets * sizeof gate->buckets[0]);
    if (!gate) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
        return NULL;
    }
    gate->setup = *setup;
    gate->bucket_mask = buckets - 1;
    gate->listener = (struct loop_watch){-1, listener_ready};
    gate->accept_again.fire = accept_again;
    gate->arena = arena_new(4 * REFUSAL_BYTES_MAX);
    if (gate->arena && listen_on(gate))
        return gate;
    char text[ADDRESS_TEXT_MAX];
    const char *name = setup->name;
    snprintf(reterr, SETTINGS_ERROR_MAX, "cannot listen on %s: %s; stop who has it, or change %s_listen or %s_port",
             address_text(&setup->listen, text), gate->arena ? strerror(errno) : "out of memory", name, name);
    http_gate_free(gate);
    return NULL;
}

void http_gate_free(struct http_gate *gate)
{
    if (!gate)
        return;
    for (size_t i = 0; i <= gate->bucket_mask; i++)
        while (gate->buckets[i])
            end(gate->buckets[i]);
    http_gate_sweep(gate);
    timers_cancel(loop_timers(gate->setup.loop), &gate->accept_again);
    if (gate->listener.fd >= 0) {
        loop_remove(gate->setup.loop, &gate->listener);
        close(gate->listener.fd);
    }
    arena_free(gate->arena);
    free(gate);
}

enum wire http_gate_wire(const struct http_gate_connection *connection)
{
    return connection->gate->setup.wire;
}

const struct address *http_gate_remote(const struct http_gate_connection *connection)
{
    return &connection->remote;
}

bool http_gate_is_last(const struct http_gate_connection *connection)
{
    return connection->framing.chunked;
}
