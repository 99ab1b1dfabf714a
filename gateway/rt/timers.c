// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The wheel. A moment is a number of eleven digits to the base 64. A timer stands on the level of the highest
 * digit in which its moment differs from the wheel's position, in the slot of that digit:
 *
 *   level 0: due within the current 64 ms; a slot is 1 ms, and all its timers are due at once
 *   level 1: due within the current 64 * 64 ms; a slot is 64 ms, and its timers go down to level 0 when the
 *            position reaches it
 *   ... up to level 10
 *
 * What must always hold: a set timer's digits above its level equal the position's, and its digit on its
 * level is greater than the position's. So slots never wrap, everything on a level is due before anything on
 * the next, and the first occupied slot of the lowest occupied level is what comes next: one bit scan per
 * level, however far the jump. Moving the position to any moment before that slot breaks neither rule, which
 * is why empty time costs nothing. A timer moves down at most ten times in its life.
 *
 * Timers that were set to a moment that has passed wait on a list of their own for the next advance; so a
 * callback that sets its timer again cannot keep timers_advance from returning.
 */
#include "gateway/rt/timers.h"

#include <stdlib.h>

#define DIGIT_BITS 6
#define SLOTS (1U << DIGIT_BITS)
#define LEVELS ((64 + DIGIT_BITS - 1) / DIGIT_BITS)

struct timers {
    uint64_t now_ms;      /* moment of the last advance */
    uint64_t position_ms; /* of the wheel; behind now_ms only inside timers_advance */
    struct timer *passed; /* fire at the next advance */
    struct timer *taken;  /* being fired or moved down */
    uint64_t occupied[LEVELS];
    struct timer *slots[LEVELS][SLOTS];
};

struct timers *timers_new(uint64_t now_ms)
{
    struct timers *timers = calloc(1, sizeof *timers);
    if (!timers)
        return NULL;
    timers->now_ms = timers->position_ms = now_ms;
    return timers;
}

void timers_free(struct timers *timers)
{
    free(timers);
}

uint64_t timers_now(const struct timers *timers)
{
    return timers->now_ms;
}

static void push(struct timer **head, struct timer *timer)
{
    timer->next = *head;
    timer->link = head;
    if (timer->next)
        timer->next->link = &timer->next;
    *head = timer;
}

static void unlink_timer(struct timer *timer)
{
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

/* Due after the position. */
static void place(struct timers *timers, struct timer *timer)
{
    unsigned highest_bit = 63 - (unsigned)__builtin_clzll(timer->due_ms ^ timers->position_ms);
    unsigned level = highest_bit / DIGIT_BITS;
    unsigned slot = timer->due_ms >> level * DIGIT_BITS & (SLOTS - 1);
    push(&timers->slots[level][slot], timer);
    timers->occupied[level] |= 1ULL << slot;
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms)
{
    timers_cancel(timers, timer);
    timer->due_ms = due_ms;
    if (due_ms <= timers->now_ms)
        push(&timers->passed, timer);
    else
        place(timers, timer);
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer->link)
        return;
    struct timer **head = timer->link;
    unlink_timer(timer);
    /* The last of its slot: link was the slot itself. */
    uintptr_t offset = (uintptr_t)head - (uintptr_t)timers->slots;
    if (*head || offset >= sizeof timers->slots)
        return;
    size_t index = offset / sizeof *head;
    timers->occupied[index / SLOTS] &= ~(1ULL << index % SLOTS);
}

/* The slot that comes next and the moment it begins. False: nothing is set. */
static bool next_slot(const struct timers *timers, unsigned *ret_level, unsigned *ret_slot,
                      uint64_t *ret_begins_ms)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        if (!timers->occupied[level])
            continue;
        unsigned slot = (unsigned)__builtin_ctzll(timers->occupied[level]);
        unsigned shift = level * DIGIT_BITS;
        unsigned shift_above = shift + DIGIT_BITS;
        uint64_t above = shift_above < 64 ? timers->position_ms >> shift_above << shift_above : 0;
        *ret_level = level;
        *ret_slot = slot;
        *ret_begins_ms = above | (uint64_t)slot << shift;
        return true;
    }
    return false;
}

/* Takes a whole list over, so that callbacks may cancel what is on it and set new ones where it was. */
static void take(struct timers *timers, struct timer **head)
{
    timers->taken = *head;
    *head = NULL;
    if (timers->taken)
        timers->taken->link = &timers->taken;
}

/* Fires what is due of the taken list and places the rest. */
static void settle(struct timers *timers)
{
    while (timers->taken) {
        struct timer *timer = timers->taken;
        unlink_timer(timer);
        if (timer->due_ms <= timers->position_ms)
            timer->fire(timer);
        else
            place(timers, timer);
    }
}

void timers_advance(struct timers *timers, uint64_t now_ms)
{
    if (now_ms > timers->now_ms)
        timers->now_ms = now_ms;
    take(timers, &timers->passed);
    settle(timers);

    unsigned level, slot;
    uint64_t begins_ms;
    while (next_slot(timers, &level, &slot, &begins_ms) && begins_ms <= timers->now_ms) {
        timers->position_ms = begins_ms;
        timers->occupied[level] &= ~(1ULL << slot);
        take(timers, &timers->slots[level][slot]);
        settle(timers);
    }
    timers->position_ms = timers->now_ms;
}

uint64_t timers_wait_ms(const struct timers *timers, uint64_t limit_ms)
{
    if (timers->passed)
        return 0;
    unsigned level, slot;
    uint64_t begins_ms;
    if (!next_slot(timers, &level, &slot, &begins_ms))
        return limit_ms;
    if (begins_ms <= timers->now_ms) /* asked by a callback, in the middle of an advance */
        return 0;
    uint64_t wait_ms = begins_ms - timers->now_ms;
    return wait_ms < limit_ms ? wait_ms : limit_ms;
}
