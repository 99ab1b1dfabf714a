// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Real sockets on loopback. The endpoint echoes what it receives; the tests look at where the echo came from
 * and at what was counted. Loopback delivers before sendto(2) returns, so one turn after a send always finds
 * it.
 */
#include "gateway/endpoint.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define PLAIN "\x40\x01\x12\x34"
#define RECORD "\x16\xfe\xfd"
#define KEPT_MAX 512

struct kept {
    struct flow flow;
    bool secure, multicast;
    size_t len;
};

static struct loop *loop;
static struct metrics metrics;
static struct endpoint *endpoint;
static struct kept kept[KEPT_MAX];
static size_t kept_count;
static bool echo;

static void on_datagram(void *ctx, const struct datagram *datagram)
{
    cr_assert_eq(ctx, &metrics);
    struct kept *next = &kept[kept_count++ % KEPT_MAX];
    *next = (struct kept){datagram->flow, datagram->secure, datagram->multicast, datagram->len};
    if (echo)
        endpoint_send(endpoint, &datagram->flow, bytes_of(datagram->data, datagram->len));
}

static void make_endpoint(const char *listen, uint64_t receive_buffer_bytes)
{
    struct settings settings;
    char error[SETTINGS_ERROR_MAX];
    settings_default(&settings);
    snprintf(settings.listen, sizeof settings.listen, "%s", listen);
    settings.coap_port = settings.coaps_port = ENDPOINT_PORT_ANY;
    settings.receive_buffer_bytes = receive_buffer_bytes;
    loop = loop_new();
    endpoint = endpoint_new(loop, &settings, &metrics, on_datagram, &metrics, error);
    cr_assert_not_null(endpoint, "%s", error);
    echo = true;
}

static void free_endpoint(void)
{
    endpoint_free(endpoint);
    loop_free(loop);
}

static int client_in(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    return fd;
}

static struct address target(const char *text, bool secure)
{
    struct address address;
    cr_assert(address_parse(bytes_of_text(text), endpoint_port(endpoint, secure), &address));
    return address;
}

static void send_to(int fd, const struct address *to, const void *data, size_t len)
{
    cr_assert_eq(sendto(fd, data, len, 0, &to->any, address_len(to)), (ssize_t)len, "%s", strerror(errno));
}

static void turn(void)
{
    loop_wait(loop, 0, NULL, NULL);
    endpoint_flush(endpoint);
}

static uint64_t counted(enum metric metric)
{
    const struct metrics *block = &metrics;
    return metrics_sum(&block, 1, metric);
}

/* Sends to a text address and checks that the answer comes from exactly there. */
static void ask(int fd, const char *text, bool secure)
{
    struct address to = target(text, secure), from = {0};
    socklen_t from_len = sizeof from;
    uint8_t answer[16];
    send_to(fd, &to, secure ? RECORD : PLAIN, secure ? 3 : 4);
    turn();
    cr_assert_eq(recvfrom(fd, answer, sizeof answer, MSG_DONTWAIT, &from.any, &from_len), secure ? 3 : 4);
    cr_assert(address_equal(&from, &to), "%s", text);
    const struct kept *last = &kept[kept_count - 1];
    cr_assert(address_equal(&last->flow.local, &to));
    cr_assert_eq(last->secure, secure);
    cr_assert(!last->multicast);
    cr_assert_neq(last->flow.interface, 0);
}

Test(endpoint, answers_leave_from_the_address_that_was_asked)
{
    make_endpoint("0.0.0.0", 1 << 20);
    int fd = client_in();
    ask(fd, "127.0.0.1", false);
    ask(fd, "127.0.0.2", false);
    ask(fd, "127.0.0.2", true);
    ask(fd, "127.3.2.1", true);
    cr_assert_eq(counted(METRIC_DATAGRAMS_IN), 4);
    cr_assert_eq(counted(METRIC_DATAGRAMS_OUT), 4);
    close(fd);
    free_endpoint();
}

static bool host_has_in6(void)
{
    struct address address;
    cr_assert(address_parse(BYTES_LITERAL("::1"), 0, &address));
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    bool has = fd >= 0 && bind(fd, &address.any, address_len(&address)) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

Test(endpoint, both_families_share_a_port)
{
    make_endpoint("0.0.0.0, [::]", 1 << 20); /* works without IPv6 too: then the second is left out */
    int fd = client_in();
    ask(fd, "127.0.0.1", false);
    close(fd);
    if (host_has_in6()) {
        fd = socket(AF_INET6, SOCK_DGRAM, 0);
        ask(fd, "::1", false);
        ask(fd, "::1", true);
        close(fd);
    }
    free_endpoint();
}

Test(endpoint, the_first_byte_and_the_length_decide)
{
    make_endpoint("127.0.0.1", 1 << 20);
    int fd = client_in();
    uint64_t refused = 0, taken = 0;
    for (int secure = 0; secure < 2; secure++) {
        struct address to = target("127.0.0.1", secure);
        for (unsigned first = 0; first < 256; first++) {
            uint8_t data[4] = {(uint8_t)first};
            send_to(fd, &to, data, sizeof data);
            bool good = secure ? first >= 20 && first <= 63 : first >= 0x40 && first <= 0x7f;
            *(good ? &taken : &refused) += 1;
            turn();
        }
        send_to(fd, &to, PLAIN RECORD, 0);
        send_to(fd, &to, PLAIN, 3);
        refused += 2;
        turn();
    }
    cr_assert_eq(counted(METRIC_DROP_FIRST_BYTE), refused);
    cr_assert_eq(kept_count, taken);
    close(fd);
    free_endpoint();
}

Test(endpoint, too_long_is_dropped_and_counted)
{
    make_endpoint("127.0.0.1", 1 << 20);
    static uint8_t data[ENDPOINT_DATAGRAM_MAX + 1] = {0x40};
    int fd = client_in();
    struct address to = target("127.0.0.1", false);
    send_to(fd, &to, data, ENDPOINT_DATAGRAM_MAX + 1);
    turn();
    cr_assert_eq(counted(METRIC_DROP_TRUNCATED), 1);
    cr_assert_eq(kept_count, 0);
    send_to(fd, &to, data, ENDPOINT_DATAGRAM_MAX);
    turn();
    cr_assert_eq(kept_count, 1);
    cr_assert_eq(kept[0].len, ENDPOINT_DATAGRAM_MAX);
    static uint8_t answer[ENDPOINT_DATAGRAM_MAX + 1];
    cr_assert_eq(recv(fd, answer, sizeof answer, MSG_DONTWAIT), ENDPOINT_DATAGRAM_MAX);
    close(fd);
    free_endpoint();
}

Test(endpoint, broadcast_is_told_and_answered_from_our_own_address)
{
    make_endpoint("0.0.0.0", 1 << 20);
    int fd = client_in();
    struct address to = target("127.255.255.255", false), from = {0};
    socklen_t from_len = sizeof from;
    send_to(fd, &to, PLAIN, 4);
    turn();
    cr_assert_eq(kept_count, 1);
    cr_assert(kept[0].multicast);
    uint8_t answer[16];
    cr_assert_eq(recvfrom(fd, answer, sizeof answer, MSG_DONTWAIT, &from.any, &from_len), 4);
    cr_assert(!address_equal(&from, &to));
    close(fd);
    free_endpoint();
}

Test(endpoint, a_turn_is_bounded_and_the_rest_comes_next)
{
    make_endpoint("127.0.0.1", 1 << 22);
    int fd = client_in();
    struct address to = target("127.0.0.1", false);
    for (unsigned i = 0; i < 300; i++)
        send_to(fd, &to, PLAIN, 4);
    echo = false;
    turn();
    cr_assert_eq(kept_count, 256);
    turn();
    cr_assert_eq(kept_count, 300);
    close(fd);
    free_endpoint();
}

Test(endpoint, more_answers_than_a_batch_all_leave_in_order)
{
    make_endpoint("127.0.0.1", 1 << 22);
    int fd = client_in(), wanted = 1 << 22;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    struct address to = target("127.0.0.1", false);
    echo = false;
    send_to(fd, &to, PLAIN, 4);
    turn();
    static uint8_t data[ENDPOINT_DATAGRAM_MAX];
    size_t lens[] = {4, ENDPOINT_DATAGRAM_MAX, 0, 100};
    for (unsigned i = 0; i < 200; i++) {
        data[0] = (uint8_t)i;
        endpoint_send(endpoint, &kept[0].flow, bytes_of(data, i < 80 ? lens[i % 4] : 50));
    }
    endpoint_flush(endpoint);
    for (unsigned i = 0; i < 200; i++) {
        size_t len = i < 80 ? lens[i % 4] : 50;
        cr_assert_eq(recv(fd, data, sizeof data, MSG_DONTWAIT), (ssize_t)len, "%u", i);
        if (len > 0)
            cr_assert_eq(data[0], (uint8_t)i);
    }
    cr_assert_eq(counted(METRIC_DATAGRAMS_OUT), 200);
    close(fd);
    free_endpoint();
}

Test(endpoint, one_bad_destination_harms_nobody_else)
{
    make_endpoint("127.0.0.1", 1 << 20);
    int fd = client_in();
    struct address to = target("127.0.0.1", false);
    echo = false;
    send_to(fd, &to, PLAIN, 4);
    turn();
    struct flow good = kept[0].flow, port_zero = good, elsewhere = good;
    port_zero.remote.in.sin_port = 0;
    elsewhere.socket = 99;
    static uint8_t huge[ENDPOINT_DATAGRAM_MAX + 1];
    endpoint_send(endpoint, &good, BYTES_LITERAL("1"));
    endpoint_send(endpoint, &port_zero, BYTES_LITERAL("2"));
    endpoint_send(endpoint, &good, BYTES_LITERAL("3"));
    endpoint_send(endpoint, &elsewhere, BYTES_LITERAL("4"));
    endpoint_send(endpoint, &good, bytes_of(huge, sizeof huge));
    endpoint_flush(endpoint);
    char data[8];
    cr_assert_eq(recv(fd, data, sizeof data, MSG_DONTWAIT), 1);
    cr_assert_eq(data[0], '1');
    cr_assert_eq(recv(fd, data, sizeof data, MSG_DONTWAIT), 1);
    cr_assert_eq(data[0], '3');
    cr_assert_eq(recv(fd, data, sizeof data, MSG_DONTWAIT), -1);
    cr_assert_eq(counted(METRIC_DATAGRAM_SEND_FAILED), 3);
    cr_assert_eq(counted(METRIC_DATAGRAMS_OUT), 2);
    close(fd);
    free_endpoint();
}

Test(endpoint, what_the_kernel_drops_is_counted)
{
    make_endpoint("127.0.0.1", 4096);
    int fd = client_in();
    struct address to = target("127.0.0.1", false);
    unsigned sent = 0;
    for (; sent < 200; sent++)
        send_to(fd, &to, PLAIN, 4);
    echo = false;
    turn();
    /* The number of drops comes with the next datagram that gets in. */
    send_to(fd, &to, PLAIN, 4);
    turn();
    cr_assert_gt(counted(METRIC_DROP_KERNEL), 0);
    cr_assert_eq(counted(METRIC_DROP_KERNEL) + kept_count, sent + 1);
    send_to(fd, &to, PLAIN, 4);
    turn();
    cr_assert_eq(counted(METRIC_DROP_KERNEL) + kept_count, sent + 2, "counted twice");
    close(fd);
    free_endpoint();
}

static void refused(const char *listen, uint64_t port, const char *expected)
{
    struct settings settings;
    char error[SETTINGS_ERROR_MAX] = "";
    settings_default(&settings);
    snprintf(settings.listen, sizeof settings.listen, "%s", listen);
    settings.coap_port = port;
    settings.coaps_port = 0;
    loop = loop_new();
    cr_assert_null(endpoint_new(loop, &settings, &metrics, on_datagram, &metrics, error));
    cr_assert(strstr(error, expected), "%s", error);
    loop_free(loop);
}

Test(endpoint, a_port_that_another_gateway_shares_is_not_free)
{
    struct settings settings;
    char error[SETTINGS_ERROR_MAX] = "";
    settings_default(&settings);
    strcpy(settings.listen, "127.0.0.1,[::1]");
    settings.coap_port = settings.coaps_port = ENDPOINT_PORT_ANY;
    cr_assert(endpoint_ports_are_free(&settings, error), "%s", error);
    loop = loop_new();
    endpoint = endpoint_new(loop, &settings, &metrics, on_datagram, &metrics, error);
    cr_assert(endpoint, "%s", error);

    settings.coaps_port = endpoint_port(endpoint, true);
    cr_assert(!endpoint_ports_are_free(&settings, error));
    cr_assert(strstr(error, "127.0.0.1:") && strstr(error, "in use") && strstr(error, "coaps_port"), "%s", error);
    free_endpoint();
    cr_assert(endpoint_ports_are_free(&settings, error), "nothing is left bound: %s", error);
}

Test(endpoint, errors_name_the_address_and_why)
{
    refused("192.0.2.77", ENDPOINT_PORT_ANY, "192.0.2.77:0: Cannot assign requested address");
    refused("127.0.0.1,nonsense", ENDPOINT_PORT_ANY, "\"nonsense\"");
    refused("127.0.0.1,,127.0.0.2", ENDPOINT_PORT_ANY, "listen has \"\"");

    int fd = client_in();
    struct address address;
    socklen_t len = sizeof address;
    address_parse(BYTES_LITERAL("127.0.0.1"), 0, &address);
    cr_assert_eq(bind(fd, &address.any, address_len(&address)), 0);
    getsockname(fd, &address.any, &len);
    refused("127.0.0.1", address_port(&address), "another program has this port");
    close(fd);
}

Test(endpoint, port_zero_opens_nothing)
{
    struct settings settings;
    char error[SETTINGS_ERROR_MAX];
    settings_default(&settings);
    settings.coap_port = 0;
    settings.coaps_port = ENDPOINT_PORT_ANY;
    loop = loop_new();
    endpoint = endpoint_new(loop, &settings, &metrics, on_datagram, &metrics, error);
    cr_assert_not_null(endpoint);
    cr_assert_eq(endpoint_port(endpoint, false), 0);
    cr_assert_neq(endpoint_port(endpoint, true), 0);
    free_endpoint();
    endpoint_free(NULL);
}
