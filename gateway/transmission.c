// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One timer per message, because each has a timeout of its own; there are few, an answer usually rides on the ACK.
 * Sending may end the peer and with it the queue, so it is the last thing that every function does.
 */
#include "gateway/transmission.h"

#include <stdlib.h>

struct transmission {
    struct transmission_queue *queue;
    TAILQ_ENTRY(transmission) queued;
    struct timer timer;
    struct transmission_sender sender;
    uint64_t sent_ms;
    uint32_t timeout_ms; /* 0: not sent yet */
    uint32_t len;
    uint16_t id;
    uint8_t repeats;
    uint8_t *octets;
};

static void put_on_air(const struct transmission *transmission)
{
    struct peer *peer = transmission->queue->peer;
    peer->send(peer, bytes_of(transmission->octets, transmission->len));
}

static void wait_for_ack(struct transmission *transmission)
{
    struct timers *timers = transmission->queue->env->timers;
    timers_set(timers, &transmission->timer, timers_now(timers) + transmission->timeout_ms);
}

static void send_first(struct transmission *transmission)
{
    const struct transmission_environment *env = transmission->queue->env;
    /* ACK_TIMEOUT to ACK_TIMEOUT * ACK_RANDOM_FACTOR (RFC 7252 4.8) */
    transmission->timeout_ms =
        TRANSMISSION_TIMEOUT_MS + (uint32_t)random_below(env->random, TRANSMISSION_TIMEOUT_MS / 2);
    transmission->sent_ms = timers_now(env->timers);
    wait_for_ack(transmission);
    put_on_air(transmission);
}

static void release(struct transmission *transmission)
{
    struct transmission_queue *queue = transmission->queue;
    timers_cancel(queue->env->timers, &transmission->timer);
    TAILQ_REMOVE(&queue->list, transmission, queued);
    queue->count--;
    free(transmission->octets);
    free(transmission);
}

static void conclude(struct transmission *transmission, enum transmission_fate fate)
{
    struct transmission_sender sender = transmission->sender;
    uint32_t rtt_ms = TRANSMISSION_RTT_UNKNOWN;
    if (fate == TRANSMISSION_ACKNOWLEDGED && transmission->repeats == 0)
        rtt_ms = (uint32_t)(timers_now(transmission->queue->env->timers) - transmission->sent_ms);
    release(transmission);
    if (sender.done)
        sender.done(sender.owner, fate, rtt_ms);
}

/* The slot is free: for the next in the queue, or for whoever waits for it. */
static void go_on(struct transmission_queue *queue)
{
    struct transmission *next = TAILQ_FIRST(&queue->list);
    if (next)
        send_first(next);
    else
        queue->env->idle(queue->env->ctx, queue->peer);
}

static void give_up(struct transmission_queue *queue)
{
    struct transmission *transmission;
    metrics_add(queue->env->metrics, METRIC_COAP_GIVEN_UP, 1);
    while ((transmission = TAILQ_FIRST(&queue->list)))
        conclude(transmission, TRANSMISSION_GIVEN_UP);
    go_on(queue);
}

static void time_out(struct timer *timer)
{
    struct transmission *transmission =
        (struct transmission *)(void *)((char *)timer - offsetof(struct transmission, timer));
    if (transmission->timeout_ms == 0) {
        send_first(transmission);
        return;
    }
    if (transmission->repeats == TRANSMISSION_REPEATS) {
        give_up(transmission->queue);
        return;
    }
    transmission->repeats++;
    transmission->timeout_ms *= 2;
    wait_for_ack(transmission);
    metrics_add(transmission->queue->env->metrics, METRIC_COAP_RETRANSMITTED, 1);
    if (transmission->sender.refresh)
        transmission->sender.refresh(transmission->sender.owner);
    put_on_air(transmission);
}

static bool copy_message(struct bytes message, uint8_t **ret)
{
    uint8_t *octets = malloc(message.len);
    if (!octets)
        return false;
    memcpy(octets, message.ptr, message.len);
    *ret = octets;
    return true;
}

bool transmission_send(struct transmission_queue *queue, struct bytes message, uint16_t id,
                       const struct transmission_sender *sender, struct transmission **ret)
{
    struct transmission *transmission = calloc(1, sizeof *transmission);
    if (!transmission)
        return false;
    if (!copy_message(message, &transmission->octets)) {
        free(transmission);
        return false;
    }
    transmission->queue = queue;
    transmission->timer.fire = time_out;
    transmission->len = (uint32_t)message.len;
    transmission->id = id;
    if (sender)
        transmission->sender = *sender;
    TAILQ_INSERT_TAIL(&queue->list, transmission, queued);
    if (ret)
        *ret = transmission;
    if (queue->count++ == 0)
        send_first(transmission);
    return true;
}

bool transmission_replace(struct transmission *transmission, struct bytes message, uint16_t id)
{
    uint8_t *octets;
    if (!copy_message(message, &octets))
        return false;
    free(transmission->octets);
    transmission->octets = octets;
    transmission->len = (uint32_t)message.len;
    transmission->id = id;
    return true;
}

void transmission_disown(struct transmission *transmission)
{
    transmission->sender = (struct transmission_sender){.owner = NULL};
}

void transmission_cancel(struct transmission *transmission)
{
    struct transmission_queue *queue = transmission->queue;
    bool was_in_flight = TAILQ_FIRST(&queue->list) == transmission;
    release(transmission);
    struct transmission *next = TAILQ_FIRST(&queue->list);
    /* The next goes from the timer, because who cancels does not expect to send. */
    if (was_in_flight && next)
        timers_set(queue->env->timers, &next->timer, timers_now(queue->env->timers));
}

bool transmission_settle(struct transmission_queue *queue, uint16_t id, enum transmission_fate fate)
{
    struct transmission *first = TAILQ_FIRST(&queue->list);
    if (!first || first->id != id)
        return false;
    conclude(first, fate);
    go_on(queue);
    return true;
}

void transmission_queue_init(struct transmission_queue *queue, const struct transmission_environment *env,
                             struct peer *peer)
{
    *queue = (struct transmission_queue){.env = env, .peer = peer};
    TAILQ_INIT(&queue->list);
}

void transmission_queue_deinit(struct transmission_queue *queue)
{
    struct transmission *transmission;
    while ((transmission = TAILQ_FIRST(&queue->list)))
        release(transmission);
}
