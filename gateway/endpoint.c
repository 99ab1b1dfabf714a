// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * In: one set of buffers per endpoint, shared by its sockets, because datagrams are handled before the next
 * batch is received. Out: one batch per socket, because sendmmsg(2) takes one socket; the bytes of its
 * answers stand one after the other in one run of memory, so that small answers touch few cache lines.
 * Everything that the kernel reads or writes is prepared when the endpoint is made; a datagram costs no
 * allocation and no system call of its own.
 *
 * A socket gets at most BATCHES_PER_TURN batches before others have their turn; level-triggered readiness
 * brings it back. What cannot be sent is counted and dropped: UDP promises nothing, and both DTLS and CoAP
 * repeat.
 */
#include "gateway/endpoint.h"

#include "gateway/rt/crash.h"
#include "gateway/udp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ADDRESSES_MAX 16
#define RECEIVE_BATCH 64
#define BATCHES_PER_TURN 4
#define SEND_BATCH 64
#define SEND_BYTES (16 * ENDPOINT_DATAGRAM_MAX)

/* Buffers a whole number of pages apart would all fall on the same lines of the first-level cache. */
#define RECEIVE_STRIDE (ENDPOINT_DATAGRAM_MAX + 64)

#define CONTROL_IN_BYTES (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint32_t)))
#define CONTROL_OUT_BYTES CMSG_SPACE(sizeof(struct in6_pktinfo))

union control_in {
    struct cmsghdr align;
    uint8_t bytes[CONTROL_IN_BYTES];
};

union control_out {
    struct cmsghdr header;
    uint8_t bytes[CONTROL_OUT_BYTES];
};

struct receive_batch {
    struct mmsghdr headers[RECEIVE_BATCH];
    struct iovec vectors[RECEIVE_BATCH];
    struct address remotes[RECEIVE_BATCH];
    union control_in controls[RECEIVE_BATCH];
    uint8_t data[RECEIVE_BATCH][RECEIVE_STRIDE];
};

struct send_batch {
    unsigned count;
    size_t used; /* bytes of data */
    struct mmsghdr headers[SEND_BATCH];
    struct iovec vectors[SEND_BATCH];
    struct address remotes[SEND_BATCH];
    union control_out controls[SEND_BATCH];
    uint8_t data[SEND_BYTES];
};

struct endpoint_socket {
    struct loop_watch watch; /* first: the callback gets only this */
    struct endpoint *endpoint;
    struct address bound;
    uint16_t index;
    bool secure;
    uint32_t kernel_drops; /* what SO_RXQ_OVFL said last */
    struct send_batch *batch;
};

struct endpoint {
    struct loop *loop;
    struct metrics *metrics;
    endpoint_receive_fn *receive;
    void *ctx;
    uint16_t socket_count;
    struct endpoint_socket sockets[ADDRESSES_MAX * 2];
    struct receive_batch in;
};

/* ---- in ---- */

/* The first byte and the length that a datagram must have to be CoAP version 1 (RFC 7252 3) or a DTLS record
 * (RFC 9147 4.1, RFC 7983 7). */
static bool looks_right(bool secure, const uint8_t *data, size_t len)
{
    if (secure)
        return len > 0 && data[0] >= 20 && data[0] <= 63;
    return len >= 4 && data[0] >> 6 == 1;
}

static void note_drops(struct endpoint_socket *from, const struct cmsghdr *control)
{
    uint32_t drops; /* since the socket was made, modulo 2^32 */
    memcpy(&drops, CMSG_DATA(control), sizeof drops);
    metrics_add(from->endpoint->metrics, METRIC_DROP_KERNEL, (uint32_t)(drops - from->kernel_drops));
    from->kernel_drops = drops;
}

/* ipi_addr is the address in the header, ipi_spec_dst the one of ours that takes it: they differ for
 * multicast and broadcast, of the subnet too, and then only the second can be answered from. */
static void note_target_in(const struct cmsghdr *control, uint16_t port, struct datagram *datagram)
{
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(control), sizeof info);
    datagram->flow.local.in = (struct sockaddr_in){AF_INET, port, info.ipi_spec_dst, {0}};
    datagram->flow.interface = (uint32_t)info.ipi_ifindex;
    datagram->multicast = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
}

/* Nothing leaves from a multicast address; with the unspecified one the kernel chooses. */
static void note_target_in6(const struct cmsghdr *control, uint16_t port, struct datagram *datagram)
{
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(control), sizeof info);
    datagram->multicast = IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
    if (datagram->multicast)
        info.ipi6_addr = in6addr_any;
    datagram->flow.local.in6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = info.ipi6_addr};
    datagram->flow.interface = info.ipi6_ifindex;
}

static void read_controls(struct endpoint_socket *from, struct msghdr *header, struct datagram *datagram)
{
    uint16_t port = htons(address_port(&from->bound));
    for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at)) {
        if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO)
            note_target_in(at, port, datagram);
        else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO)
            note_target_in6(at, port, datagram);
        else if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_RXQ_OVFL)
            note_drops(from, at);
    }
}

static void handle(struct endpoint_socket *from, unsigned slot)
{
    struct endpoint *endpoint = from->endpoint;
    struct mmsghdr *header = &endpoint->in.headers[slot];
    struct datagram datagram = {
        .flow = {.remote = endpoint->in.remotes[slot], .local = from->bound, .socket = from->index},
        .secure = from->secure,
        .data = endpoint->in.data[slot],
        .len = header->msg_len,
    };
    read_controls(from, &header->msg_hdr, &datagram);
    if (header->msg_hdr.msg_flags & MSG_TRUNC)
        metrics_add(endpoint->metrics, METRIC_DROP_TRUNCATED, 1);
    else if (!looks_right(from->secure, datagram.data, datagram.len))
        metrics_add(endpoint->metrics, METRIC_DROP_FIRST_BYTE, 1);
    else
        endpoint->receive(endpoint->ctx, &datagram);
}

/* What the kernel overwrites of a header. */
static void make_ready(struct receive_batch *in, unsigned slot)
{
    in->headers[slot].msg_hdr.msg_namelen = sizeof in->remotes[slot];
    in->headers[slot].msg_hdr.msg_controllen = sizeof in->controls[slot];
}

static void on_ready(struct loop_watch *watch, uint32_t epoll_events)
{
    (void)epoll_events;
    struct endpoint_socket *from = (struct endpoint_socket *)watch;
    struct receive_batch *in = &from->endpoint->in;
    int count = RECEIVE_BATCH;
    for (int turn = 0; turn < BATCHES_PER_TURN && count == RECEIVE_BATCH; turn++) {
        count = recvmmsg(watch->fd, in->headers, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
        if (count <= 0)
            return;
        metrics_add(from->endpoint->metrics, METRIC_DATAGRAMS_IN, count);
        for (unsigned slot = 0; slot < (unsigned)count; slot++) {
            handle(from, slot);
            make_ready(in, slot);
        }
    }
}

/* ---- out ---- */

static void send_failed(struct endpoint *endpoint, int64_t count)
{
    metrics_add(endpoint->metrics, METRIC_DATAGRAM_SEND_FAILED, count);
}

static void flush_socket(struct endpoint_socket *over)
{
    struct endpoint *endpoint = over->endpoint;
    struct send_batch *batch = over->batch;
    unsigned done = 0;
    while (done < batch->count) {
        int sent = sendmmsg(over->watch.fd, batch->headers + done, batch->count - done, MSG_DONTWAIT);
        if (sent > 0) {
            CRASH_POINT("S5");
            metrics_add(endpoint->metrics, METRIC_DATAGRAMS_OUT, sent);
            done += (unsigned)sent;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
            send_failed(endpoint, batch->count - done);
            break;
        } else if (errno != EINTR) {
            /* The fault of this destination alone: unreachable, forbidden, refused. */
            send_failed(endpoint, 1);
            done++;
        }
    }
    batch->count = 0;
    batch->used = 0;
}

void endpoint_flush(struct endpoint *endpoint)
{
    for (uint16_t i = 0; i < endpoint->socket_count; i++) {
        if (endpoint->sockets[i].batch->count > 0)
            flush_socket(&endpoint->sockets[i]);
    }
}

/* The source of an answer. The interface is named only where the address means nothing without it; elsewhere
 * routing may choose. */
static void write_source(union control_out *control, const struct flow *flow)
{
    if (flow->local.any.sa_family == AF_INET) {
        struct in_addr from = flow->local.in.sin_addr;
        bool link_local = ntohl(from.s_addr) >> 16 == 0xa9fe; /* 169.254/16 */
        struct in_pktinfo info = {.ipi_spec_dst = from, .ipi_ifindex = link_local ? (int)flow->interface : 0};
        memcpy(CMSG_DATA(&control->header), &info, sizeof info);
        return;
    }
    struct in6_pktinfo info = {.ipi6_addr = flow->local.in6.sin6_addr};
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
        info.ipi6_ifindex = flow->interface;
    memcpy(CMSG_DATA(&control->header), &info, sizeof info);
}

void endpoint_send(struct endpoint *endpoint, const struct flow *flow, struct bytes datagram)
{
    if (datagram.len > ENDPOINT_DATAGRAM_MAX || flow->socket >= endpoint->socket_count) {
        send_failed(endpoint, 1);
        return;
    }
    struct endpoint_socket *over = &endpoint->sockets[flow->socket];
    struct send_batch *batch = over->batch;
    if (batch->count == SEND_BATCH || datagram.len > SEND_BYTES - batch->used)
        flush_socket(over);

    unsigned slot = batch->count++;
    uint8_t *copy = batch->data + batch->used;
    batch->used += datagram.len;
    if (datagram.len > 0)
        memcpy(copy, datagram.ptr, datagram.len);
    batch->vectors[slot] = (struct iovec){copy, datagram.len};
    batch->remotes[slot] = flow->remote;
    write_source(&batch->controls[slot], flow);
}

/* ---- making ---- */

static void prepare_in(struct receive_batch *in)
{
    for (unsigned slot = 0; slot < RECEIVE_BATCH; slot++) {
        in->vectors[slot] = (struct iovec){in->data[slot], ENDPOINT_DATAGRAM_MAX};
        in->headers[slot].msg_hdr = (struct msghdr){
            .msg_name = &in->remotes[slot],
            .msg_iov = &in->vectors[slot],
            .msg_iovlen = 1,
            .msg_control = &in->controls[slot],
        };
        make_ready(in, slot);
    }
}

static struct send_batch *send_batch_new(int family)
{
    struct send_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    bool in4 = family == AF_INET;
    size_t info_len = in4 ? sizeof(struct in_pktinfo) : sizeof(struct in6_pktinfo);
    for (unsigned slot = 0; slot < SEND_BATCH; slot++) {
        batch->headers[slot].msg_hdr = (struct msghdr){
            .msg_name = &batch->remotes[slot],
            .msg_namelen = in4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
            .msg_iov = &batch->vectors[slot],
            .msg_iovlen = 1,
            .msg_control = &batch->controls[slot],
            .msg_controllen = CMSG_SPACE(info_len),
        };
        batch->controls[slot].header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(info_len),
            .cmsg_level = in4 ? IPPROTO_IP : IPPROTO_IPV6,
            .cmsg_type = in4 ? IP_PKTINFO : IPV6_PKTINFO,
        };
    }
    return batch;
}

static bool add_socket(struct endpoint *endpoint, int fd, const struct address *bound, bool secure)
{
    struct endpoint_socket *added = &endpoint->sockets[endpoint->socket_count];
    *added = (struct endpoint_socket){
        .watch = {.fd = fd, .ready = on_ready},
        .endpoint = endpoint,
        .bound = *bound,
        .index = endpoint->socket_count,
        .secure = secure,
        .batch = send_batch_new(bound->any.sa_family),
    };
    if (!added->batch || !loop_add(endpoint->loop, &added->watch, EPOLLIN)) {
        free(added->batch);
        return false;
    }
    endpoint->socket_count++;
    return true;
}

/* Binds one address on one of the two ports; without an endpoint it only tries to. */
static bool open_one(struct endpoint *endpoint, struct bytes text, const struct settings *settings,
                     bool secure, char reterr[static SETTINGS_ERROR_MAX])
{
    uint64_t port = secure ? settings->coaps_port : settings->coap_port;
    if (port == 0)
        return true;
    if (port == ENDPOINT_PORT_ANY) /* the first address chooses, the others follow */
        port = endpoint ? endpoint_port(endpoint, secure) : 0;
    struct address address, bound;
    if (!address_parse(text, (uint16_t)port, &address)) {
        snprintf(reterr, SETTINGS_ERROR_MAX,
                 "listen has \"%.*s\"; give IPv4 or IPv6 addresses, separated by commas", (int)text.len,
                 (const char *)text.ptr);
        return false;
    }
    if (!endpoint)
        return udp_probe(&address, reterr) != UDP_FAILED;
    int fd;
    enum udp_open opened = udp_open(&address, settings->receive_buffer_bytes, &fd, &bound, reterr);
    if (opened != UDP_OPENED)
        return opened == UDP_SKIPPED;
    if (add_socket(endpoint, fd, &bound, secure))
        return true;
    snprintf(reterr, SETTINGS_ERROR_MAX, "cannot watch a UDP socket: %s", strerror(errno));
    close(fd);
    return false;
}

static bool open_all(struct endpoint *endpoint, const struct settings *settings,
                     char reterr[static SETTINGS_ERROR_MAX])
{
    struct bytes rest = bytes_of_text(settings->listen);
    for (unsigned count = 0; rest.len > 0; count++) {
        if (count == ADDRESSES_MAX) {
            snprintf(reterr, SETTINGS_ERROR_MAX, "listen has more than %d addresses; give fewer",
                     ADDRESSES_MAX);
            return false;
        }
        const uint8_t *comma = memchr(rest.ptr, ',', rest.len);
        struct bytes text = bytes_of(rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len);
        size_t used = text.len + (comma ? 1 : 0);
        rest = bytes_of(rest.ptr + used, rest.len - used);
        while (text.len > 0 && text.ptr[0] == ' ')
            text = bytes_of(text.ptr + 1, text.len - 1);
        while (text.len > 0 && text.ptr[text.len - 1] == ' ')
            text.len--;
        if (!open_one(endpoint, text, settings, false, reterr) ||
            !open_one(endpoint, text, settings, true, reterr))
            return false;
    }
    return true;
}

bool endpoint_ports_are_free(const struct settings *settings, char reterr[static SETTINGS_ERROR_MAX])
{
    return open_all(NULL, settings, reterr);
}

struct endpoint *endpoint_new(struct loop *loop, const struct settings *settings, struct metrics *metrics,
                              endpoint_receive_fn *receive, void *ctx, char reterr[static SETTINGS_ERROR_MAX])
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (!endpoint) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "no memory for the UDP sockets");
        return NULL;
    }
    endpoint->loop = loop;
    endpoint->metrics = metrics;
    endpoint->receive = receive;
    endpoint->ctx = ctx;
    prepare_in(&endpoint->in);
    if (!open_all(endpoint, settings, reterr)) {
        endpoint_free(endpoint);
        return NULL;
    }
    return endpoint;
}

void endpoint_free(struct endpoint *endpoint)
{
    if (!endpoint)
        return;
    for (uint16_t i = 0; i < endpoint->socket_count; i++) {
        struct endpoint_socket *gone = &endpoint->sockets[i];
        loop_remove(endpoint->loop, &gone->watch);
        close(gone->watch.fd);
        free(gone->batch);
    }
    free(endpoint);
}

uint16_t endpoint_port(const struct endpoint *endpoint, bool secure)
{
    for (uint16_t i = 0; i < endpoint->socket_count; i++) {
        if (endpoint->sockets[i].secure == secure)
            return address_port(&endpoint->sockets[i].bound);
    }
    return 0;
}
