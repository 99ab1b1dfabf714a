// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The job belongs to two, the loop's side and the thread; whoever lets go of it last frees it. The eventfd goes with
 * the job, so that a thread that ends late never writes to a descriptor that is somebody else's by then.
 */
#include "gateway/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct resolve {
    struct loop *loop;
    struct loop_watch watch; /* the eventfd */
    resolve_done_fn *done;
    void *ctx;
    atomic_int holders;
    struct resolve_result result; /* the thread's until it has written the eventfd */
    char host[256];
};

static void let_go(struct resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->holders, 1) > 1)
        return;
    close(resolve->watch.fd);
    free(resolve);
}

static void *ask(void *argument)
{
    struct resolve *resolve = argument;
    struct resolve_result *result = &resolve->result;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG},
                    *found = NULL;
    int error = getaddrinfo(resolve->host, NULL, &hints, &found);
    for (struct addrinfo *at = found; at && result->count < RESOLVE_ADDRESSES_MAX; at = at->ai_next)
        result->count += getnameinfo(at->ai_addr, at->ai_addrlen, result->addresses[result->count],
                                     RESOLVE_ADDRESS_MAX, NULL, 0, NI_NUMERICHOST) == 0;
    if (found)
        freeaddrinfo(found);
    if (error || result->count == 0)
        result->error = error ? gai_strerror(error) : "the name has no address";
    uint64_t one = 1;
    (void)!write(resolve->watch.fd, &one, sizeof one);
    let_go(resolve);
    return NULL;
}

static void answered(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    struct resolve *resolve = (struct resolve *)((char *)watch - offsetof(struct resolve, watch));
    struct resolve_result result = resolve->result;
    resolve_done_fn *done = resolve->done;
    void *ctx = resolve->ctx;
    resolve_cancel(resolve);
    done(ctx, &result);
}

/* Signals are for the main thread's descriptor; a thread that took one would end the process. */
static bool start_thread(struct resolve *resolve)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool ok = pthread_create(&thread, NULL, ask, resolve) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok)
        pthread_detach(thread);
    return ok;
}

struct resolve *resolve_start(struct loop *loop, const char *host, resolve_done_fn *done, void *ctx)
{
    struct resolve *resolve = calloc(1, sizeof *resolve);
    if (!resolve)
        return NULL;
    *resolve = (struct resolve){.loop = loop, .done = done, .ctx = ctx, .watch = {.ready = answered}};
    snprintf(resolve->host, sizeof resolve->host, "%s", host);
    resolve->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&resolve->holders, 2);
    if (resolve->watch.fd >= 0 && loop_add(loop, &resolve->watch, EPOLLIN)) {
        if (start_thread(resolve))
            return resolve;
        loop_remove(loop, &resolve->watch);
    }
    if (resolve->watch.fd >= 0)
        close(resolve->watch.fd);
    free(resolve);
    return NULL;
}

void resolve_cancel(struct resolve *resolve)
{
    if (!resolve)
        return;
    loop_remove(resolve->loop, &resolve->watch);
    let_go(resolve);
}
