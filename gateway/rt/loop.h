// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Event loop of one thread: epoll, timers, the time of this turn. Knows nothing of sensors.
 *
 * A turn is loop_wait (waits, advances the timers, calls the ready callbacks); what follows a turn (flush batches)
 * is the worker's. Readiness is level-triggered. A watch may be removed in any callback, its own too.
 */
#pragma once

#include "codec/observation.h"
#include "gateway/rt/timers.h"

#include <sys/epoll.h>

struct loop;

struct loop_watch {
    int fd;
    void (*ready)(struct loop_watch *watch, uint32_t epoll_events);
};

struct loop *loop_new(void);
void loop_free(struct loop *loop);
struct timers *loop_timers(struct loop *loop);

/* The watch lives in its owner. False: errno says why. */
bool loop_add(struct loop *loop, struct loop_watch *watch, uint32_t epoll_events);
bool loop_change(struct loop *loop, struct loop_watch *watch, uint32_t epoll_events);
void loop_remove(struct loop *loop, struct loop_watch *watch);

/* One turn; waits at most max_ms for something to happen. before/after are called around the wait itself (RCU). */
void loop_wait(struct loop *loop, uint64_t max_ms, void (*before)(void), void (*after)(void));

/* Moments of this turn, read once after the wait: monotonic, and wall clock. */
uint64_t loop_now_ms(const struct loop *loop);
struct timestamp loop_wall(const struct loop *loop);
