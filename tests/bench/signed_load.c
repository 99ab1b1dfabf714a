// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The load for "what does a signed observation cost": each datagram with another of 1,000 ES256 keys, signed beforehand.
 *
 *   signed-load                 the devices with their keys, as commands for redis-cli
 *   signed-load PORT MESSAGES   posts them to 127.0.0.1, WINDOW at once, and says what was acknowledged, and what the
 *                               library's bare check costs before and behind that, as JSON
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/wolfcrypt/ecc.h>

#include "codec/jws.h"
#include "gateway/crypto.h"
#include "gateway/crypto_sign.h"
#include "gateway/rt/random.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEYS 1000
#define WINDOW 64
#define PATIENCE_MS 2000
#define DATAGRAM_MAX 512
#define PAYLOAD "[{\"n\":\"temp\",\"u\":\"Cel\",\"v\":21.5}]"

static struct crypto_sign_key keys[KEYS];
static struct bare {
    ecc_key key;
    mp_int r, s;
    uint8_t digest[CRYPTO_SHA256_BYTES];
} bares[KEYS];

struct datagram {
    uint8_t octets[DATAGRAM_MAX];
    size_t len;
};

static void need(bool so, const char *what)
{
    if (so)
        return;
    perror(what);
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The same in every run, so that what was given to Redis holds for the load. */
static void make_keys(void)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t private[CRYPTO_SHA256_BYTES];
        need(crypto_sha256(BYTES_LITERAL("signed-load"), bytes_of(&i, sizeof i), private) &&
                 crypto_sign_set_private(SIGNED_ES256, bytes_of(private, sizeof private), &keys[i]),
             "make a key");
    }
}

static void print_commands(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        printf("SADD weir:{demo}:devices signed-%u\nHSET weir:{demo}:dev:signed-%u created 1 key:signed-%u "
               "\"es256 1 0 0 ",
               i, i, i);
        for (size_t j = 0; j < keys[i].public_len; j++)
            printf("%02x", keys[i].public[j]);
        printf("\"\nXADD weir:changes * o device t demo d signed-%u\n", i);
    }
}

static void sign(const struct crypto_sign_key *key, struct bytes covered, uint8_t ret[static SIGNED_SIGNATURE_MAX])
{
    uint8_t random[32];
    size_t len;
    random_bytes(random, sizeof random);
    need(crypto_sign_make(key, covered, random, ret, &len), "sign");
}

/* A CON POST /obs?t=demo of 65000. */
static void make_datagram(uint32_t number, uint32_t epoch, struct arena *arena, struct datagram *ret)
{
    char kid[32];
    uint8_t signature[SIGNED_SIGNATURE_MAX];
    struct bytes covered, text;
    const uint8_t head[] = {0x42, 0x02, (uint8_t)(number >> 8), (uint8_t)number, (uint8_t)(number >> 16), 0x01, 0xb3,
                            'o', 'b', 's', 0x12, 0xfd, 0xe8, 0x36, 't', '=', 'd', 'e', 'm', 'o', 0xff};
    snprintf(kid, sizeof kid, "signed-%u", number % KEYS);
    const struct jws_header header = {.algorithm = SIGNED_ES256, .kid = bytes_of_text(kid),
                                      .content_type = BYTES_LITERAL("senml+json"),
                                      .sequence = {true, epoch, number / KEYS}};
    arena_reset(arena);
    need(jws_begin(&header, BYTES_LITERAL(PAYLOAD), arena, &covered), "begin");
    sign(&keys[number % KEYS], covered, signature);
    need(jws_end_compact(covered, bytes_of(signature, sizeof signature), arena, &text), "end");
    need(sizeof head + text.len <= sizeof ret->octets, "room");
    memcpy(ret->octets, head, sizeof head);
    memcpy(ret->octets + sizeof head, text.ptr, text.len);
    ret->len = sizeof head + text.len;
}

static void prepare_bare(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t point[65] = {0x04}, signature[SIGNED_SIGNATURE_MAX];
        struct bytes covered = BYTES_LITERAL(PAYLOAD);
        sign(&keys[i], covered, signature);
        memcpy(point + 1, keys[i].public, keys[i].public_len);
        need(wc_ecc_init(&bares[i].key) == 0 && mp_init_multi(&bares[i].r, &bares[i].s, NULL, NULL, NULL, NULL) == 0 &&
                 wc_ecc_import_x963_ex2(point, sizeof point, &bares[i].key, ECC_SECP256R1, 1) == 0 &&
                 mp_read_unsigned_bin(&bares[i].r, signature, 32) == 0 &&
                 mp_read_unsigned_bin(&bares[i].s, signature + 32, 32) == 0 &&
                 crypto_sha256(covered, (struct bytes){0}, bares[i].digest),
             "prepare");
    }
}

/* Microseconds of one check, with all that it needs ready. */
static double bare_us(void)
{
    double before = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 0; i < KEYS; i++) {
        int valid = 0;
        need(wc_ecc_verify_hash_ex(&bares[i].r, &bares[i].s, bares[i].digest, sizeof bares[i].digest, &valid,
                                   &bares[i].key) == 0 && valid == 1,
             "verify");
    }
    return (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - before) * 1e6 / KEYS;
}

struct load {
    struct pollfd sockets[WINDOW];
    const struct datagram *datagrams;
    uint32_t count, sent, answered, acknowledged;
};

static void send_next(struct load *load, int fd)
{
    if (load->sent == load->count)
        return;
    const struct datagram *datagram = &load->datagrams[load->sent++];
    need(send(fd, datagram->octets, datagram->len, 0) == (ssize_t)datagram->len, "send");
}

static void receive(struct load *load, struct pollfd *socket)
{
    uint8_t answer[DATAGRAM_MAX];
    ssize_t len = socket->revents ? recv(socket->fd, answer, sizeof answer, MSG_DONTWAIT) : -1;
    if (len < 4 || answer[1] == 0)
        return; /* an empty acknowledgement is not the answer */
    load->answered++;
    load->acknowledged += answer[1] == 0x44;
    send_next(load, socket->fd);
}

static void run(struct load *load, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (unsigned i = 0; i < WINDOW; i++) {
        load->sockets[i] = (struct pollfd){.fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN};
        need(load->sockets[i].fd >= 0 && connect(load->sockets[i].fd, (struct sockaddr *)&to, sizeof to) == 0, "socket");
        send_next(load, load->sockets[i].fd);
    }
    while (load->answered < load->count && poll(load->sockets, WINDOW, PATIENCE_MS) > 0)
        for (unsigned i = 0; i < WINDOW; i++)
            receive(load, &load->sockets[i]);
    for (unsigned i = 0; i < WINDOW; i++)
        close(load->sockets[i].fd);
}

int main(int argc, char **argv)
{
    make_keys();
    if (argc != 3) {
        print_commands();
        return 0;
    }
    struct load load = {.count = (uint32_t)strtoul(argv[2], NULL, 10)};
    struct arena *arena = arena_new(65536);
    uint32_t epoch = (uint32_t)time(NULL);
    struct datagram *datagrams = calloc(load.count, sizeof *datagrams);
    need(arena && datagrams, "memory");
    for (uint32_t i = 0; i < load.count; i++)
        make_datagram(i, epoch, arena, &datagrams[i]);
    load.datagrams = datagrams;
    prepare_bare();
    double bare = bare_us(), begun = seconds_of(CLOCK_MONOTONIC);
    run(&load, (uint16_t)strtoul(argv[1], NULL, 10));
    double took = seconds_of(CLOCK_MONOTONIC) - begun;
    bare = (bare + bare_us()) / 2;
    printf("{\"sent\":%u,\"acknowledged\":%u,\"per_second\":%.0f,\"bare_us\":%.2f}\n", load.sent, load.acknowledged,
           load.acknowledged / took, bare);
    free(datagrams);
    arena_free(arena);
    return load.acknowledged == load.count ? 0 : 1;
}
