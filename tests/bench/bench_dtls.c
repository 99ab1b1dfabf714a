// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * DTLS on one core: handshake CPU by suite (both ends, as both run here), heap bytes of a live session at the server,
 * and nanoseconds of a record in and one out (server's side; the client's encryption is done before).
 */
#include "tests/unit/gateway/dtls_lab.h"

#include <malloc.h>
#include <time.h>

static struct lab lab;

struct bench_case {
    const char *suite;
    bool raw_key, version13;
};

static const struct bench_case cases[] = {
    {"PSK-AES128-CCM-8", false, false},
    {"PSK-AES128-CCM", false, false},
    {"PSK-AES128-GCM-SHA256", false, false},
    {"ECDHE-PSK-AES128-GCM-SHA256", false, false},
    {"ECDHE-PSK-CHACHA20-POLY1305", false, false},
    {"ECDHE-ECDSA-AES128-CCM-8", true, false},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", true, false},
    {"TLS13-AES128-GCM-SHA256", false, true},
    {"TLS13-CHACHA20-POLY1305-SHA256", false, true},
};

static struct lab_certificate device_key;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_dtls: %s\n", what);
    exit(1);
}

static struct lab_client_options options_of(const struct bench_case *bench)
{
    struct lab_client_options options = {.suites = bench->suite, .identity = "acme/boiler-7",
                                         .version13 = bench->version13};
    if (bench->raw_key)
        options = (struct lab_client_options){.suites = bench->suite, .raw_key = true, .wants_raw_server = true,
            .certificate_der = device_key.spki, .certificate_len = device_key.spki_len,
            .key_der = device_key.key, .key_len = device_key.key_len};
    return options;
}

static void open_lab(void)
{
    struct credential rpk;
    struct device_record device = {.tenant = "acme", .id = "rpk-1", .credentials = &rpk, .credential_count = 1};
    lab_prepare(&lab);
    lab.settings.dtls_handshakes_per_s = lab.settings.dtls_handshakes_per_network_per_s = 1000000;
    lab.settings.dtls_handshakes_per_identity_per_minute = 1000000;
    if (!lab_open(&lab) || !lab_certificate_make(&device_key, NULL, "unused", 0, false))
        fail("cannot set up");
    rpk = lab_spki(CREDENTIAL_RPK, bytes_of(device_key.spki, device_key.spki_len), NULL);
    if (!registry_put_device(lab.registry, &device))
        fail("cannot set up");
}

static double handshake_us(const struct bench_case *bench)
{
    static struct lab_pair pair;
    struct lab_client_options options = options_of(bench);
    unsigned count = 0;
    double used = 0;
    while (used < 0.2) {
        if (!lab_pair_open(&pair, &lab, &options))
            fail(bench->suite);
        double begin = now_s();
        if (!lab_handshake(&pair))
            fail(bench->suite);
        used += now_s() - begin;
        count++;
        lab_pair_close(&pair);
    }
    return used / count * 1e6;
}

static enum dtls_event take_message(struct lab_pair *pair)
{
    struct bytes datagram, message;
    bool newest;
    if (!lab_pop(&pair->to_server, &datagram))
        fail("nothing to take");
    enum dtls_event event = lab_serve(pair, datagram, &message, &newest);
    lab_serve(pair, (struct bytes){0}, &message, &newest);
    return event;
}

/* Server's heap: the session's share is what freeing it gives back. */
static size_t heap_bytes(const struct bench_case *bench)
{
    static struct lab_pair pair;
    struct lab_client_options options = options_of(bench);
    if (!lab_pair_open(&pair, &lab, &options) || !lab_handshake(&pair) ||
        wolfSSL_write(pair.client.ssl, "hello", 5) != 5 || take_message(&pair) != DTLS_DATA)
        fail(bench->suite);
    size_t with = mallinfo2().uordblks;
    dtls_session_free(pair.session, NULL);
    pair.session = NULL;
    size_t without = mallinfo2().uordblks;
    lab_pair_close(&pair);
    return with - without;
}

static double record_ns(const struct bench_case *bench)
{
    static struct lab_pair pair;
    static const uint8_t message[64];
    struct lab_client_options options = options_of(bench);
    unsigned count = 0;
    double used = 0;
    if (!lab_pair_open(&pair, &lab, &options) || !lab_handshake(&pair))
        fail(bench->suite);
    while (used < 0.1) {
        char buffer[64];
        for (unsigned i = 0; i < LAB_QUEUE_MAX; i++)
            wolfSSL_write(pair.client.ssl, message, sizeof message);
        double begin = now_s();
        for (unsigned i = 0; i < LAB_QUEUE_MAX; i++, count++)
            if (take_message(&pair) != DTLS_DATA ||
                !dtls_session_send(pair.session, bytes_of(message, sizeof message), lab_output(&pair.to_client)))
                fail(bench->suite);
        used += now_s() - begin;
        while (wolfSSL_read(pair.client.ssl, buffer, sizeof buffer) > 0)
            continue;
    }
    lab_pair_close(&pair);
    return used / count * 1e9;
}

static double stateless_us(void)
{
    static struct lab_pair pair;
    static struct lab_queue answers;
    struct lab_client_options options = options_of(&cases[0]);
    struct bytes hello;
    if (!lab_pair_open(&pair, &lab, &options))
        fail("client");
    lab_client_step(&pair.client);
    if (!lab_pop(&pair.to_server, &hello))
        fail("hello");
    double begin = now_s();
    for (unsigned i = 0; i < 100000; i++, answers.count = 0)
        if (dtls_hello(lab.dtls, &pair.remote, hello, lab.now_ms, lab_output(&answers)))
            fail("not stateless");
    double used = now_s() - begin;
    lab_pair_close(&pair);
    return used / 100000 * 1e6;
}

int main(void)
{
    open_lab();
    printf("hello without a cookie: %.2f us\n", stateless_us());
    printf("%-32s %14s %18s %14s\n", "suite", "handshake us", "heap B per session", "in and out ns");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        printf("%-32s %14.1f %18zu %14.0f\n", cases[i].suite, handshake_us(&cases[i]), heap_bytes(&cases[i]),
               record_ns(&cases[i]));
    lab_close(&lab);
    return 0;
}
