// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One thread, one socket, one timer wheel. A turn: fire timers, begin what is due, flush, wait, take in what came.
 *
 *   IDLE -> begin -> WAITING -> (empty ACK) -> PROMISED -> answer -> IDLE
 *                      `-> retransmit, at last a new exchange -> WAITING, or failed -> IDLE
 *
 * With DTLS a device whose session is gone begins nothing more; the others go on.
 */
#include "cmd/sim_fleet.h"

#include "cmd/sim_message.h"
#include "cmd/sim_secure.h"
#include "cmd/sim_socket.h"
#include "gateway/rt/random.h"
#include "gateway/rt/timers.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COAP_PORT 5683
#define COAPS_PORT 5684
#define MAX_RETRANSMIT 4      /* RFC 7252 4.8 */
#define RESPONSE_WAIT_MS 93000 /* MAX_TRANSMIT_WAIT, after an empty ACK or a NON */
#define NON_WAIT_MS 10000
#define BATCHES_PER_TURN 8
#define WAIT_MAX_MS 200

enum device_state { DEVICE_IDLE, DEVICE_WAITING, DEVICE_PROMISED };

struct device {
    struct timer timer;
    uint64_t due_us;
    uint32_t seq; /* of the request under way, or the last one; 0: none yet */
    uint32_t timeout_ms : 24;
    uint32_t attempts : 4;
    uint32_t state : 4;
    uint32_t index;
    uint32_t begun_s : 20; /* of the observation under way: seconds of the run */
    uint32_t retries : 12; /* new exchanges so far, of all observations */
};

_Static_assert(sizeof(struct device) == 56, "a million of them");

struct sim_fleet {
    const struct sim_options *options;
    struct sim_ledger *ledger;
    struct sim_message_shape shape;
    struct sim_socket *socket;
    struct sim_secure *secure; /* NULL: plain */
    struct timers *timers;
    struct random random;
    struct sim_counts counts;
    struct sim_histogram latency;
    uint16_t mid_salt;
    uint64_t begin_us, end_us, last_answer_us, now_us;
    uint64_t next_due;     /* open loop: number of the fleet's next request */
    uint64_t due_total;    /* open loop: how many there are */
    uint32_t next_device;  /* closed loop: whose turn it is */
    bool sending;
    uint32_t device_count;
    struct device devices[];
};

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The devices stand in the fleet, one after the other. */
static struct sim_fleet *fleet_of(struct device *device)
{
    struct device *first = device - device->index;
    return (struct sim_fleet *)((char *)first - offsetof(struct sim_fleet, devices));
}

/* The message ID of the exchange under way; each exchange has the next one. */
static uint16_t mid_of(const struct sim_fleet *fleet, uint32_t index)
{
    const struct device *device = &fleet->devices[index];
    return (uint16_t)(fleet->mid_salt + index * 7919 + device->seq + device->retries);
}

static void send_bytes(struct sim_fleet *fleet, uint32_t index, struct bytes message)
{
    if (fleet->secure)
        sim_secure_send(fleet->secure, index, message);
    else
        sim_socket_send(fleet->socket, index, message);
}

static void transmit(struct sim_fleet *fleet, uint32_t index)
{
    struct message_writer writer;
    uint32_t seq = fleet->devices[index].seq;
    send_bytes(fleet, index, sim_message_request(&writer, &fleet->shape, index, seq, mid_of(fleet, index)));
}

static void begin_exchange(struct sim_fleet *fleet, uint32_t index)
{
    struct device *device = &fleet->devices[index];
    uint64_t timeout_ms = fleet->options->ack_timeout_ms;
    timeout_ms += random_below(&fleet->random, timeout_ms / 2 + 1); /* ACK_RANDOM_FACTOR 1.5 */
    device->attempts = 0;
    device->timeout_ms = (uint32_t)(fleet->shape.non ? NON_WAIT_MS : timeout_ms);
    device->state = DEVICE_WAITING;
    timers_set(fleet->timers, &device->timer, fleet->now_us / 1000 + device->timeout_ms);
    transmit(fleet, index);
}

static uint32_t run_seconds(const struct sim_fleet *fleet)
{
    return (uint32_t)((fleet->now_us - fleet->begin_us) / 1000000) & ((1U << 20) - 1);
}

static void begin(struct sim_fleet *fleet, uint32_t index, uint64_t due_us)
{
    struct device *device = &fleet->devices[index];
    device->seq++;
    device->due_us = due_us;
    device->begun_s = run_seconds(fleet);
    fleet->counts.sent++;
    fleet->counts.in_flight++;
    begin_exchange(fleet, index);
}

static bool is_up(const struct sim_fleet *fleet, uint32_t index)
{
    return !fleet->secure || sim_secure_is_up(fleet->secure, index);
}

/* Closed loop: the next device that has nothing under way. Few enough are busy that the search is short. */
static void begin_next(struct sim_fleet *fleet)
{
    for (uint32_t tried = 0; tried < fleet->device_count; tried++) {
        uint32_t index = fleet->next_device++;
        if (fleet->next_device == fleet->device_count)
            fleet->next_device = 0;
        if (fleet->devices[index].state == DEVICE_IDLE && is_up(fleet, index)) {
            begin(fleet, index, fleet->now_us);
            return;
        }
    }
}

static uint64_t due_moment(const struct sim_fleet *fleet, uint64_t request)
{
    return fleet->begin_us + (uint64_t)((double)request * 1e6 / fleet->options->rate);
}

/* Open loop: the device's next request, if its moment has come while it was busy. */
static void begin_if_due(struct sim_fleet *fleet, uint32_t index)
{
    uint64_t request = (uint64_t)fleet->devices[index].seq * fleet->device_count + index;
    if (request < fleet->next_due && is_up(fleet, index))
        begin(fleet, index, due_moment(fleet, request));
}

static void begin_due(struct sim_fleet *fleet)
{
    while (fleet->next_due < fleet->due_total && due_moment(fleet, fleet->next_due) <= fleet->now_us) {
        uint32_t index = (uint32_t)(fleet->next_due++ % fleet->device_count);
        if (fleet->devices[index].state == DEVICE_IDLE)
            begin_if_due(fleet, index);
    }
}

static void begin_some(struct sim_fleet *fleet)
{
    if (!fleet->sending)
        return;
    if (fleet->options->rate > 0) {
        begin_due(fleet);
        return;
    }
    uint64_t window = fleet->options->window < fleet->device_count ? fleet->options->window : fleet->device_count;
    for (uint64_t free_slots = window - fleet->counts.in_flight; free_slots > 0; free_slots--)
        begin_next(fleet);
}

/* The request has ended; what comes next begins. */
static void finish(struct sim_fleet *fleet, uint32_t index)
{
    struct device *device = &fleet->devices[index];
    timers_cancel(fleet->timers, &device->timer);
    device->state = DEVICE_IDLE;
    fleet->counts.in_flight--;
    fleet->last_answer_us = fleet->now_us;
    if (!fleet->sending && fleet->options->rate == 0)
        return;
    if (fleet->options->rate > 0)
        begin_if_due(fleet, index);
    else
        begin_next(fleet);
}

static void acknowledged(struct sim_fleet *fleet, uint32_t index, const struct message *answer)
{
    struct device *device = &fleet->devices[index];
    struct sim_receipt receipt;
    const char *level = NULL;
    fleet->counts.acknowledged++;
    sim_histogram_add(&fleet->latency, fleet->now_us - device->due_us);
    if (sim_message_receipt(answer, &receipt)) {
        level = delivery_level_name(receipt.level);
        fleet->counts.levels[receipt.level]++;
        fleet->counts.duplicates += receipt.duplicate;
    }
    if (fleet->ledger)
        sim_ledger_add(fleet->ledger, index, device->seq, level);
}

static void answered(struct sim_fleet *fleet, uint32_t index, const struct message *answer)
{
    fleet->counts.codes[answer->code]++;
    if (answer->code >> 5 == 2)
        acknowledged(fleet, index, answer);
    else
        fleet->counts.refused++;
    finish(fleet, index);
}

/* Without a sequence a repetition would be another observation. */
static bool may_retry(const struct sim_fleet *fleet, const struct device *device)
{
    return fleet->shape.sequence != SIM_SEQUENCE_NONE && !fleet->shape.non && is_up(fleet, device->index) &&
           run_seconds(fleet) - device->begun_s < fleet->options->give_up_s;
}

/* The exchange has come to nothing. */
static void failed(struct sim_fleet *fleet, uint32_t index)
{
    struct device *device = &fleet->devices[index];
    if (may_retry(fleet, device)) {
        device->retries++;
        fleet->counts.retried++;
        begin_exchange(fleet, index);
        return;
    }
    fleet->counts.failed++;
    finish(fleet, index);
}

static void fire(struct timer *timer)
{
    struct device *device = (struct device *)timer; /* its first member */
    struct sim_fleet *fleet = fleet_of(device);
    bool may_repeat = device->state == DEVICE_WAITING && !fleet->shape.non && device->attempts < MAX_RETRANSMIT;
    if (!may_repeat) {
        failed(fleet, device->index);
        return;
    }
    device->attempts++;
    device->timeout_ms *= 2;
    fleet->counts.retransmitted++;
    timers_set(fleet->timers, &device->timer, fleet->now_us / 1000 + device->timeout_ms);
    transmit(fleet, device->index);
}

static void send_empty(struct sim_fleet *fleet, uint32_t index, enum message_type type, uint16_t mid)
{
    uint8_t head[MESSAGE_HEAD_MAX];
    const struct message_token none = {0};
    send_bytes(fleet, index, bytes_of(head, message_write_head(head, type, MESSAGE_EMPTY, mid, &none)));
}

/* ACK or RST without a code: about the message that carried our request. */
static void receive_empty(struct sim_fleet *fleet, uint32_t index, const struct message *message)
{
    struct device *device = &fleet->devices[index];
    if (device->state != DEVICE_WAITING || message->id != mid_of(fleet, index))
        return;
    if (message->type == MESSAGE_RST) {
        device->attempts = MAX_RETRANSMIT; /* fails when its time is over: whoever resets does not want more at once */
    } else if (message->type == MESSAGE_ACK && !fleet->shape.non) {
        device->state = DEVICE_PROMISED;
        timers_set(fleet->timers, &device->timer, fleet->now_us / 1000 + RESPONSE_WAIT_MS);
    }
}

static void receive_message(struct sim_fleet *fleet, uint32_t index, struct bytes datagram)
{
    struct message message;
    if (index >= fleet->device_count || message_parse(datagram, &message) != MESSAGE_FINE)
        return;
    if (message.code == MESSAGE_EMPTY) {
        if (message.type == MESSAGE_CON)
            send_empty(fleet, index, MESSAGE_RST, message.id);
        else
            receive_empty(fleet, index, &message);
        return;
    }
    /* Also an answer that was repeated because our ACK was lost is acknowledged. */
    if (message.type == MESSAGE_CON)
        send_empty(fleet, index, MESSAGE_ACK, message.id);
    struct device *device = &fleet->devices[index];
    bool is_response = message.code >> 5 >= 2;
    if (is_response && device->state != DEVICE_IDLE && sim_message_matches(&message, index, device->seq))
        answered(fleet, index, &message);
}

static void on_secure_message(void *ctx, uint32_t index, struct bytes message)
{
    receive_message(ctx, index, message);
}

static void on_datagram(void *ctx, uint32_t index, struct bytes datagram)
{
    struct sim_fleet *fleet = ctx;
    if (index >= fleet->device_count)
        return;
    if (fleet->secure)
        sim_secure_receive(fleet->secure, index, datagram);
    else
        receive_message(fleet, index, datagram);
}

static uint64_t wait_us(const struct sim_fleet *fleet)
{
    uint64_t now_us = clock_us();
    uint64_t wait = timers_wait_ms(fleet->timers, WAIT_MAX_MS) * 1000;
    if (fleet->secure) {
        uint64_t secure_ms = sim_secure_wait_ms(fleet->secure, now_us / 1000);
        wait = secure_ms * 1000 < wait ? secure_ms * 1000 : wait;
    }
    if (fleet->sending && fleet->options->rate > 0 && fleet->next_due < fleet->due_total) {
        uint64_t due_us = due_moment(fleet, fleet->next_due);
        uint64_t until_due = due_us > now_us ? due_us - now_us : 0;
        wait = until_due < wait ? until_due : wait;
    }
    return wait;
}

static void turn(struct sim_fleet *fleet)
{
    fleet->now_us = clock_us();
    timers_advance(fleet->timers, fleet->now_us / 1000);
    if (fleet->secure)
        sim_secure_advance(fleet->secure, fleet->now_us / 1000);
    begin_some(fleet);
    sim_socket_flush(fleet->socket);
    uint64_t wait = wait_us(fleet);
    struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000), .tv_nsec = (long)(wait % 1000000) * 1000};
    struct pollfd poll_fd = {.fd = sim_socket_fd(fleet->socket), .events = POLLIN};
    if (ppoll(&poll_fd, 1, &timeout, NULL) <= 0)
        return;
    for (int i = 0; i < BATCHES_PER_TURN; i++) {
        fleet->now_us = clock_us();
        if (sim_socket_receive(fleet->socket, on_datagram, fleet) == 0)
            break;
        sim_socket_flush(fleet->socket);
    }
}

static bool open_target(struct sim_fleet *fleet, char reterr[static SIM_ERROR_MAX])
{
    const struct sim_options *options = fleet->options;
    uint16_t port = options->port ? (uint16_t)options->port : options->dtls ? COAPS_PORT : COAP_PORT;
    struct address target;
    if (!address_parse(bytes_of_text(options->target), port, &target)) {
        snprintf(reterr, SIM_ERROR_MAX, "\"%.100s\" is not an address", options->target);
        return false;
    }
    bool one_each = target.any.sa_family == AF_INET && address_is_loopback(&target);
    if (!address_is_loopback(&target) && !options->allow_remote) {
        snprintf(reterr, SIM_ERROR_MAX, "%.100s is not a loopback address; --allow-remote takes it", options->target);
        return false;
    }
    if (!one_each && options->devices > 1) {
        snprintf(reterr, SIM_ERROR_MAX, "only an IPv4 loopback target can tell devices apart: use --devices=1");
        return false;
    }
    fleet->socket = sim_socket_new(&target, reterr);
    return fleet->socket != NULL;
}

static bool open_all(struct sim_fleet *fleet, char reterr[static SIM_ERROR_MAX])
{
    uint64_t seed[4] = {fleet->options->seed, 1, 2, 3};
    if (fleet->options->seed == 0)
        random_bytes(seed, sizeof seed);
    random_seed(&fleet->random, seed);
    fleet->mid_salt = (uint16_t)random_next(&fleet->random);
    fleet->now_us = clock_us();
    fleet->timers = timers_new(fleet->now_us / 1000);
    if (!fleet->timers) {
        snprintf(reterr, SIM_ERROR_MAX, "out of memory");
        return false;
    }
    if (!open_target(fleet, reterr))
        return false;
    if (!fleet->options->dtls)
        return true;
    struct sim_secure_config config = {.options = fleet->options, .socket = fleet->socket, .counts = &fleet->counts,
                                       .receive = on_secure_message, .ctx = fleet};
    fleet->secure = sim_secure_new(&config, reterr);
    return fleet->secure != NULL;
}

struct sim_fleet *sim_fleet_new(const struct sim_options *options, const char *run_name, struct sim_ledger *ledger,
                                char reterr[static SIM_ERROR_MAX])
{
    size_t bytes = sizeof(struct sim_fleet) + (size_t)options->devices * sizeof(struct device);
    struct sim_fleet *fleet = calloc(1, bytes);
    if (!fleet) {
        snprintf(reterr, SIM_ERROR_MAX, "out of memory");
        return NULL;
    }
    fleet->options = options;
    fleet->ledger = ledger;
    fleet->device_count = (uint32_t)options->devices;
    fleet->shape = (struct sim_message_shape){.run_name = run_name, .cbor = strcmp(options->format, "senml-cbor") == 0,
                                              .non = options->non, .names_device = !options->dtls,
                                              .sequence = options->sequence, .epoch = (uint32_t)options->epoch,
                                              .level = options->level};
    if (options->epoch == 0)
        random_bytes(&fleet->shape.epoch, sizeof fleet->shape.epoch);
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        fleet->devices[i].index = i;
        fleet->devices[i].timer.fire = fire;
    }
    if (!open_all(fleet, reterr)) {
        sim_fleet_free(fleet);
        return NULL;
    }
    return fleet;
}

void sim_fleet_free(struct sim_fleet *fleet)
{
    if (!fleet)
        return;
    sim_secure_free(fleet->secure);
    if (fleet->socket)
        sim_socket_flush(fleet->socket);
    sim_socket_free(fleet->socket);
    timers_free(fleet->timers);
    free(fleet);
}

/* Calls progress when it is time since *last_us. */
static void tell(const struct sim_fleet *fleet, sim_progress_fn *progress, void *ctx, uint64_t *last_us)
{
    uint64_t now_us = clock_us();
    if (now_us - *last_us < 1000 * fleet->options->progress_ms)
        return;
    progress(ctx, fleet, (double)(now_us - *last_us) / 1e6);
    *last_us = now_us;
}

void sim_fleet_connect(struct sim_fleet *fleet, sim_progress_fn *progress, void *ctx, const volatile sig_atomic_t *stop)
{
    if (!fleet->secure)
        return;
    uint64_t last_us = clock_us();
    while (!*stop && !sim_secure_begin_some(fleet->secure, clock_us() / 1000)) {
        turn(fleet);
        tell(fleet, progress, ctx, &last_us);
    }
}

void sim_fleet_run(struct sim_fleet *fleet, sim_progress_fn *progress, void *ctx, const volatile sig_atomic_t *stop)
{
    const struct sim_options *options = fleet->options;
    uint64_t last_us = clock_us();
    fleet->begin_us = fleet->last_answer_us = last_us;
    fleet->end_us = fleet->begin_us + (uint64_t)(options->seconds * 1e6);
    fleet->due_total = (uint64_t)(options->rate * options->seconds);
    uint64_t drained_us = fleet->end_us + (uint64_t)(options->drain_s * 1e6);
    fleet->sending = true;
    while (!*stop && (fleet->sending || (fleet->counts.in_flight > 0 && clock_us() < drained_us))) {
        turn(fleet);
        tell(fleet, progress, ctx, &last_us);
        fleet->sending = fleet->sending && clock_us() < fleet->end_us;
    }
    fleet->sending = false;
}

const struct sim_counts *sim_fleet_counts(const struct sim_fleet *fleet)
{
    return &fleet->counts;
}

const struct sim_histogram *sim_fleet_latency(const struct sim_fleet *fleet)
{
    return &fleet->latency;
}

const struct sim_histogram *sim_fleet_handshake_latency(const struct sim_fleet *fleet)
{
    return fleet->secure ? sim_secure_latency(fleet->secure) : NULL;
}

double sim_fleet_seconds(const struct sim_fleet *fleet)
{
    return fleet->last_answer_us > fleet->begin_us ? (double)(fleet->last_answer_us - fleet->begin_us) / 1e6 : 0;
}
