// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Sending blocks, which on loopback means never: the kernel delivers in the sender's context. A remote target gets
 * everything from the one address that the routing chooses, hence one device.
 */
#include "cmd/sim_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 64
#define BUFFER_BYTES (8 << 20)
#define FIRST_ADDRESS 0x7f100001U /* 127.16.0.1 */

struct slot {
    struct iovec iov;
    struct sockaddr_in from;
    uint8_t octets[SIM_SOCKET_DATAGRAM_MAX];
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct sim_socket {
    int fd;
    bool chooses_source;
    struct address target;
    unsigned pending;
    struct mmsghdr out_headers[BATCH], in_headers[BATCH];
    struct slot out[BATCH], in[BATCH];
};

static void prepare(struct sim_socket *socket)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct slot *out = &socket->out[i], *in = &socket->in[i];
        out->iov.iov_base = out->octets;
        in->iov = (struct iovec){in->octets, sizeof in->octets};
        socket->out_headers[i].msg_hdr = (struct msghdr){
            .msg_name = &socket->target, .msg_namelen = address_len(&socket->target), .msg_iov = &out->iov,
            .msg_iovlen = 1, .msg_control = socket->chooses_source ? out->control : NULL,
            .msg_controllen = socket->chooses_source ? sizeof out->control : 0};
        socket->in_headers[i].msg_hdr = (struct msghdr){.msg_name = &in->from, .msg_iov = &in->iov, .msg_iovlen = 1,
                                                        .msg_control = in->control};
    }
}

static bool open_socket(struct sim_socket *sock)
{
    struct address any = {.in = {.sin_family = AF_INET}};
    if (sock->target.any.sa_family == AF_INET6)
        any.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
    int on = 1, bytes = BUFFER_BYTES;
    sock->fd = socket(any.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock->fd < 0)
        return false;
    /* As much as the system allows; less is no error. */
    (void)setsockopt(sock->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)setsockopt(sock->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    (void)setsockopt(sock->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (sock->chooses_source && setsockopt(sock->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0)
        return false;
    return bind(sock->fd, &any.any, address_len(&any)) == 0;
}

struct sim_socket *sim_socket_new(const struct address *target, char reterr[static SIM_SOCKET_ERROR_MAX])
{
    struct sim_socket *socket = calloc(1, sizeof *socket);
    if (!socket) {
        snprintf(reterr, SIM_SOCKET_ERROR_MAX, "out of memory");
        return NULL;
    }
    socket->target = *target;
    socket->chooses_source = target->any.sa_family == AF_INET && address_is_loopback(target);
    if (!open_socket(socket)) {
        snprintf(reterr, SIM_SOCKET_ERROR_MAX, "cannot open a UDP socket: %s", strerror(errno));
        sim_socket_free(socket);
        return NULL;
    }
    prepare(socket);
    return socket;
}

void sim_socket_free(struct sim_socket *socket)
{
    if (!socket)
        return;
    if (socket->fd >= 0)
        close(socket->fd);
    free(socket);
}

int sim_socket_fd(const struct sim_socket *socket)
{
    return socket->fd;
}

static void choose_source(struct slot *slot, uint32_t device)
{
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + device)};
    struct cmsghdr *header = (struct cmsghdr *)slot->control;
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(header), &info, sizeof info);
}

void sim_socket_send(struct sim_socket *socket, uint32_t device, struct bytes datagram)
{
    if (datagram.len > SIM_SOCKET_DATAGRAM_MAX)
        return;
    if (socket->pending == BATCH)
        sim_socket_flush(socket);
    struct slot *slot = &socket->out[socket->pending++];
    memcpy(slot->octets, datagram.ptr, datagram.len);
    slot->iov.iov_len = datagram.len;
    if (socket->chooses_source)
        choose_source(slot, device);
}

void sim_socket_flush(struct sim_socket *socket)
{
    unsigned sent = 0;
    while (sent < socket->pending) {
        int n = sendmmsg(socket->fd, socket->out_headers + sent, socket->pending - sent, 0);
        if (n < 0 && errno == EINTR)
            continue;
        /* What cannot be sent is lost, like on a real line; the first one is passed over. */
        sent += n > 0 ? (unsigned)n : 1;
    }
    socket->pending = 0;
}

/* False: it was not sent to an address of the fleet. */
static bool find_device(const struct sim_socket *socket, struct msghdr *header, uint32_t *ret)
{
    if (!socket->chooses_source) {
        *ret = 0;
        return true;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
            continue;
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        *ret = ntohl(info.ipi_addr.s_addr) - FIRST_ADDRESS;
        return true;
    }
    return false;
}

unsigned sim_socket_receive(struct sim_socket *socket, sim_socket_receive_fn *receive, void *ctx)
{
    for (unsigned i = 0; i < BATCH; i++) {
        socket->in_headers[i].msg_hdr.msg_namelen = sizeof socket->in[i].from;
        socket->in_headers[i].msg_hdr.msg_controllen = sizeof socket->in[i].control;
    }
    int n = recvmmsg(socket->fd, socket->in_headers, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct msghdr *header = &socket->in_headers[i].msg_hdr;
        uint32_t device;
        if (!(header->msg_flags & MSG_TRUNC) && find_device(socket, header, &device))
            receive(ctx, device, bytes_of(socket->in[i].octets, socket->in_headers[i].msg_len));
    }
    return n > 0 ? (unsigned)n : 0;
}
