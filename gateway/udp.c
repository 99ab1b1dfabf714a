// SPDX-License-Identifier: GPL-3.0-or-later
/* Options and bind of one socket. An option that a host does not know is an error: the path relies on all of
 * them. */
#include "gateway/udp.h"

#include "gateway/rt/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* A worker sends at most a few batches of small answers between two turns of the network card. */
#define SEND_BUFFER_BYTES (1 << 20)

static bool switch_on(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

/* Beyond rmem_max only with CAP_NET_ADMIN; without it the kernel cuts the wish and the log says so. */
static void ask_for_buffers(int fd, uint64_t receive_buffer_bytes)
{
    int wanted = receive_buffer_bytes < INT32_MAX / 2 ? (int)receive_buffer_bytes : INT32_MAX / 2;
    int got = 0;
    socklen_t len = sizeof got;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    static atomic_flag told = ATOMIC_FLAG_INIT; /* once is enough for all sockets of the process */
    /* The kernel doubles what it grants. */
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) == 0 && got / 2 < wanted &&
        !atomic_flag_test_and_set(&told))
        log_write(LOG_INFO, "udp", "receive buffer is smaller than asked for; raise net.core.rmem_max",
                  "wanted=%d got=%d", wanted, got / 2);
    int send_bytes = SEND_BUFFER_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
}

static bool prepare(int fd, int family)
{
    if (!switch_on(fd, SOL_SOCKET, SO_REUSEPORT) || !switch_on(fd, SOL_SOCKET, SO_RXQ_OVFL))
        return false;
    if (family == AF_INET)
        return switch_on(fd, IPPROTO_IP, IP_PKTINFO);
    return switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) && switch_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

static bool bind_and_ask(int fd, const struct address *address, struct address *ret_bound)
{
    struct address bound = {0};
    socklen_t len = sizeof bound;
    if (bind(fd, &address->any, address_len(address)) != 0 || getsockname(fd, &bound.any, &len) != 0)
        return false;
    *ret_bound = bound;
    return true;
}

static bool is_wildcard_in6(const struct address *address)
{
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "another program has this port, perhaps another weir; stop it or choose another port "
               "(coap_port, coaps_port)";
    case EACCES:
    case EPERM:
        return "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose another port";
    case EADDRNOTAVAIL:
        return "this host does not have the address; correct the setting listen";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files";
    default:
        return "correct the setting listen";
    }
}

static enum udp_open fail(int fd, const struct address *address, char reterr[static SETTINGS_ERROR_MAX])
{
    int error = errno;
    char text[ADDRESS_TEXT_MAX];
    address_text(address, text);
    if (fd >= 0)
        close(fd);
    if (is_wildcard_in6(address) && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)) {
        log_write(LOG_INFO, "udp", "no IPv6 on this host; address left out", "address=%s", text);
        return UDP_SKIPPED;
    }
    snprintf(reterr, SETTINGS_ERROR_MAX, "cannot open UDP socket %s: %s; %s", text, strerror(error),
             advice(error));
    return UDP_FAILED;
}

enum udp_open udp_open(const struct address *address, uint64_t receive_buffer_bytes, int *ret_fd,
                       struct address *ret_bound, char reterr[static SETTINGS_ERROR_MAX])
{
    int family = address->any.sa_family;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0 || !prepare(fd, family) || !bind_and_ask(fd, address, ret_bound))
        return fail(fd, address, reterr);
    ask_for_buffers(fd, receive_buffer_bytes);
    *ret_fd = fd;
    return UDP_OPENED;
}

enum udp_open udp_probe(const struct address *address, char reterr[static SETTINGS_ERROR_MAX])
{
    int family = address->any.sa_family;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0 || (family == AF_INET6 && !switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
        bind(fd, &address->any, address_len(address)) != 0)
        return fail(fd, address, reterr);
    close(fd);
    return UDP_OPENED;
}
