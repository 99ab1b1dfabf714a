// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One epoll instance and one batch of its events. A watch that is removed while its event still stands in the
 * batch is struck out of it, so that nobody is called who may be gone.
 */
#include "gateway/rt/loop.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What is ready beyond that is told by the next turn. */
#define EVENTS_PER_TURN 256

struct loop {
    int epoll_fd;
    struct timers *timers;
    uint64_t now_ms;
    struct timestamp wall;
    int next, count; /* of events: those from next on have not been told */
    struct epoll_event events[EVENTS_PER_TURN];
};

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void read_clocks(struct loop *loop)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    loop->wall = (struct timestamp){wall.tv_sec, (uint32_t)wall.tv_nsec};
    loop->now_ms = monotonic_ms();
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    read_clocks(loop);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->timers = timers_new(loop->now_ms);
    if (loop->epoll_fd < 0 || !loop->timers) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    timers_free(loop->timers);
    free(loop);
}

struct timers *loop_timers(struct loop *loop)
{
    return loop->timers;
}

static bool control(struct loop *loop, int operation, struct loop_watch *watch, uint32_t epoll_events)
{
    struct epoll_event event = {.events = epoll_events, .data.ptr = watch};
    return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) == 0;
}

bool loop_add(struct loop *loop, struct loop_watch *watch, uint32_t epoll_events)
{
    return control(loop, EPOLL_CTL_ADD, watch, epoll_events);
}

bool loop_change(struct loop *loop, struct loop_watch *watch, uint32_t epoll_events)
{
    return control(loop, EPOLL_CTL_MOD, watch, epoll_events);
}

void loop_remove(struct loop *loop, struct loop_watch *watch)
{
    /* Fails only if the owner has closed the descriptor, which removes it too. */
    (void)control(loop, EPOLL_CTL_DEL, watch, 0);
    for (int i = loop->next; i < loop->count; i++) {
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
    }
}

static int wait_timeout(struct loop *loop, uint64_t max_ms)
{
    uint64_t wait_ms = timers_wait_ms(loop->timers, max_ms);
    if (wait_ms == 0)
        return 0;
    /* The timers count from the last turn; what the turn itself took must not make them late. */
    uint64_t spent_ms = monotonic_ms() - loop->now_ms;
    wait_ms = wait_ms > spent_ms ? wait_ms - spent_ms : 0;
    return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

void loop_wait(struct loop *loop, uint64_t max_ms, void (*before)(void), void (*after)(void))
{
    int timeout_ms = wait_timeout(loop, max_ms);
    if (before)
        before();
    int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, timeout_ms);
    if (after)
        after();
    read_clocks(loop);

    loop->next = 0;
    loop->count = count > 0 ? count : 0; /* a signal is a turn without events */
    timers_advance(loop->timers, loop->now_ms);
    while (loop->next < loop->count) {
        struct epoll_event *event = &loop->events[loop->next++];
        struct loop_watch *watch = event->data.ptr;
        if (watch)
            watch->ready(watch, event->events);
    }
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

struct timestamp loop_wall(const struct loop *loop)
{
    return loop->wall;
}
