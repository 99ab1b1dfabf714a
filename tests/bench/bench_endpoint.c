// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * CPU time of one datagram through the endpoint: received, filtered, answered with an empty ACK, sent. A
 * client thread keeps a window of datagrams under way; only the CPU time of the endpoint's thread counts.
 * Printed beside a loop of recvmmsg and sendmmsg that does nothing else (the floor), over the same sockets
 * and windows.
 */
#include "gateway/endpoint.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAMS 1000000
#define WINDOW 64

static uint8_t request[] = {0x41, 0x02, 0, 0, 7, 0xb3, 'o', 'b', 's', 0xff, '1', '2', '3', '4', '5', '6', '7', '8'};
static atomic_uint answered;

static void *client(void *ctx)
{
    struct address to = *(const struct address *)ctx;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(fd, &to.any, address_len(&to)) != 0)
        abort();
    static struct mmsghdr out[WINDOW], in[WINDOW];
    static struct iovec out_vector, in_vectors[WINDOW];
    static uint8_t data[WINDOW][64];
    out_vector = (struct iovec){request, sizeof request};
    for (int i = 0; i < WINDOW; i++) {
        in_vectors[i] = (struct iovec){data[i], sizeof data[i]};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_vector, .msg_iovlen = 1};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_vectors[i], .msg_iovlen = 1};
    }
    for (unsigned count = 0; count < DATAGRAMS;) {
        sendmmsg(fd, out, WINDOW, 0);
        for (int back = 0; back < WINDOW;) {
            int got = recvmmsg(fd, in, (unsigned)(WINDOW - back), MSG_WAITFORONE, NULL);
            if (got > 0)
                back += got;
        }
        count += WINDOW;
        atomic_store(&answered, count);
    }
    close(fd);
    return NULL;
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void answer(void *ctx, const struct datagram *datagram)
{
    static const uint8_t changed[] = {0x61, 0x44, 0, 0, 7};
    endpoint_send(*(struct endpoint **)ctx, &datagram->flow, bytes_of(changed, sizeof changed));
}

static double run_endpoint(void)
{
    static struct metrics metrics;
    static struct endpoint *endpoint;
    struct settings settings;
    char error[SETTINGS_ERROR_MAX];
    settings_default(&settings);
    snprintf(settings.listen, sizeof settings.listen, "0.0.0.0");
    settings.coap_port = ENDPOINT_PORT_ANY;
    settings.coaps_port = 0;
    struct loop *loop = loop_new();
    endpoint = endpoint_new(loop, &settings, &metrics, answer, &endpoint, error);
    struct address to;
    if (!endpoint || !address_parse(BYTES_LITERAL("127.0.0.1"), endpoint_port(endpoint, false), &to))
        abort();

    pthread_t thread;
    atomic_store(&answered, 0);
    pthread_create(&thread, NULL, client, &to);
    double begin_us = cpu_us();
    while (atomic_load(&answered) < DATAGRAMS) {
        loop_wait(loop, 100, NULL, NULL);
        endpoint_flush(endpoint);
    }
    double spent_us = cpu_us() - begin_us;
    pthread_join(thread, NULL);
    endpoint_free(endpoint);
    loop_free(loop);
    return spent_us;
}

static void floor_turn(int fd)
{
    static struct mmsghdr headers[WINDOW];
    static struct iovec vectors[WINDOW];
    static struct sockaddr_in peers[WINDOW];
    static uint8_t data[WINDOW][2048];
    for (int i = 0; i < WINDOW; i++) {
        vectors[i] = (struct iovec){data[i], sizeof data[i]};
        headers[i].msg_hdr = (struct msghdr){
            .msg_name = &peers[i], .msg_namelen = sizeof peers[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    struct pollfd ready = {fd, POLLIN, 0};
    poll(&ready, 1, 100);
    int count = recvmmsg(fd, headers, WINDOW, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        vectors[i].iov_len = 5;
    for (int done = 0; done < count;) {
        int sent = sendmmsg(fd, headers + done, (unsigned)(count - done), 0);
        done += sent > 0 ? sent : 1;
    }
}

static double run_floor(void)
{
    struct address to = {0};
    socklen_t len = sizeof to;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (!address_parse(BYTES_LITERAL("127.0.0.1"), 0, &to) || bind(fd, &to.any, address_len(&to)) != 0 ||
        getsockname(fd, &to.any, &len) != 0)
        abort();
    pthread_t thread;
    atomic_store(&answered, 0);
    pthread_create(&thread, NULL, client, &to);
    double begin_us = cpu_us();
    while (atomic_load(&answered) < DATAGRAMS)
        floor_turn(fd);
    double spent_us = cpu_us() - begin_us;
    pthread_join(thread, NULL);
    close(fd);
    return spent_us;
}

int main(void)
{
    double bare_us = run_floor();
    double ours_us = run_endpoint();
    printf("bare recvmmsg/sendmmsg %.3f us, endpoint %.3f us of CPU for a datagram: %.2f times\n",
           bare_us / DATAGRAMS, ours_us / DATAGRAMS, ours_us / bare_us);
    return 0;
}
