// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Somebody else comes in between. A tap stands before a real Redis and, as soon as it sees a command that names a key
 * (as WATCH, which comes before a change), lets the other one do his part first. Or it answers the command itself, as a
 * node of a cluster may.
 */
#pragma once

#include "gateway/accounts.h"
#include "tests/unit/gateway/redis_fixture.h"

#include <netinet/in.h>
#include <pthread.h>

struct tap {
    struct fake fake; /* where the one under test connects */
    pthread_t thread;
    const char *path;          /* of the socket of the real Redis */
    const char *command, *key; /* which it waits for */
    unsigned at;               /* which time of those: 1 the first; 0: each */
    unsigned seen;
    void (*meddle)(void);
    const char *says;            /* instead of Redis; NULL: meddle */
    struct store_client *client; /* of the one under test */
};

static struct tap tap;
static struct accounts tapped; /* by way of the tap */
static struct accounts other;  /* who comes in between: by the direct way */

static inline bool tap_pass(int from, int to, bool watches)
{
    uint8_t octets[16384];
    ssize_t len = read(from, octets, sizeof octets);
    if (len <= 0)
        return false;
    /* One command at a time, and none larger than this. */
    if (watches && memmem(octets, (size_t)len, tap.command, strlen(tap.command)) &&
        memmem(octets, (size_t)len, tap.key, strlen(tap.key)) && (++tap.seen == tap.at || tap.at == 0)) {
        if (tap.says)
            return write(from, tap.says, strlen(tap.says)) > 0;
        tap.meddle();
    }
    return write(to, octets, (size_t)len) == len;
}

static inline void *tap_run(void *ctx)
{
    (void)ctx;
    for (int down; (down = accept(tap.fake.listener, NULL, NULL)) >= 0;) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        snprintf(name.sun_path, sizeof name.sun_path, "%s", tap.path);
        int up = socket(AF_UNIX, SOCK_STREAM, 0);
        struct pollfd fds[] = {{.fd = down, .events = POLLIN}, {.fd = up, .events = POLLIN}};
        bool open = connect(up, (struct sockaddr *)&name, sizeof name) == 0;
        while (open && poll(fds, 2, -1) > 0)
            open = (!fds[0].revents || tap_pass(down, up, true)) && (!fds[1].revents || tap_pass(up, down, false));
        close(down);
        close(up);
    }
    return NULL;
}

static inline void tap_start(struct redis_fixture *redis)
{
    char error[STORE_CLIENT_ERROR_MAX];
    cr_assert_eq(fcntl(tap.fake.listener, F_SETFL, 0), 0);
    tap.path = redis->path;
    other = (struct accounts){.client = redis_client(redis)};
    cr_assert_eq(pthread_create(&tap.thread, NULL, tap_run, NULL), 0);
    tap.client = store_client_open(tap.fake.address, 20000, error);
    cr_assert(tap.client, "%s", error);
    tapped = (struct accounts){.client = tap.client};
}

/* At WATCH of this key. */
static inline void tap_open(struct redis_fixture *redis, const char *key, unsigned at, void (*meddle)(void))
{
    tap = (struct tap){.command = "WATCH", .key = key, .at = at, .meddle = meddle};
    fake_listen(&tap.fake);
    tap_start(redis);
}

/* As if Redis were a node of a cluster that says this to the first such command. */
static inline void tap_open_cluster(struct redis_fixture *redis, const char *command, const char *key, const char *says)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    tap = (struct tap){.command = command, .key = key, .at = 1, .says = says};
    fake_listen(&tap.fake);
    fake_remove(&tap.fake);
    tap.fake.listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(tap.fake.listener, (struct sockaddr *)&name, sizeof name), 0);
    cr_assert_eq(listen(tap.fake.listener, 8), 0);
    cr_assert_eq(getsockname(tap.fake.listener, (struct sockaddr *)&name, &len), 0);
    snprintf(tap.fake.address, sizeof tap.fake.address, "cluster:127.0.0.1:%u", ntohs(name.sin_port));
    tap_start(redis);
}

static inline void tap_close(void)
{
    cr_expect(tap.seen > 0, "nobody came in between");
    store_client_close(tap.client);
    shutdown(tap.fake.listener, SHUT_RDWR);
    pthread_join(tap.thread, NULL);
    fake_remove(&tap.fake);
    store_client_close(other.client);
}
