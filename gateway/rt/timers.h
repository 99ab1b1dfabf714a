// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Timers of one loop: a hierarchical wheel of 1 ms ticks, O(1) to set and cancel, no allocation: the timer lives in
 * its owner. Time comes in from outside: timers_advance is the only thing that moves it, so tests own it.
 * After a jump (suspend) every due timer fires once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timers;

struct timer {
    void (*fire)(struct timer *timer); /* set by the owner; may set or cancel any timer, itself too */
    uint64_t due_ms;
    struct timer *next, **link; /* link NULL: not set */
};

/* NULL: out of memory. */
struct timers *timers_new(uint64_t now_ms);
void timers_free(struct timers *timers);

/* The moment of the last advance; monotonic milliseconds. */
uint64_t timers_now(const struct timers *timers);
/* Sets or moves the timer; a moment that has passed fires at the next advance. */
void timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms);
/* Fine if not set. */
void timers_cancel(struct timers *timers, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->link != NULL;
}
/* Fires what is due. */
void timers_advance(struct timers *timers, uint64_t now_ms);
/* Milliseconds until something may be due, at most limit_ms; 0: now. May be early, never late. */
uint64_t timers_wait_ms(const struct timers *timers, uint64_t limit_ms);
