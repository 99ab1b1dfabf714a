// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Deadlines of handshakes are looked at by walking the devices that shake hands, which are few by the limit; a session
 * that is up has none.
 */
#include "cmd/sim_secure.h"

#include "cmd/sim_provision.h"
#include "gateway/dtls_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HANDSHAKE_GIVE_UP_MS 60000

struct shaking {
    uint32_t device;
    uint64_t begin_us, begin_ms;
};

struct sim_secure {
    struct sim_secure_config config;
    struct secret fleet_key;
    struct dtls_client_context *context;
    struct sim_histogram latency;
    uint64_t now_ms;
    uint32_t device_count, next_device;
    uint32_t shaking_count, shaking_max;
    struct shaking *shaking;
    struct dtls_client **clients; /* NULL: down */
};

struct output_to {
    struct sim_secure *secure;
    uint32_t device;
};

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void send_datagram(void *ctx, struct bytes datagram)
{
    const struct output_to *to = ctx;
    sim_socket_send(to->secure->config.socket, to->device, datagram);
}

static struct dtls_output output_of(struct output_to *to)
{
    return (struct dtls_output){.send = send_datagram, .ctx = to};
}

struct sim_secure *sim_secure_new(const struct sim_secure_config *config, char reterr[static SIM_ERROR_MAX])
{
    struct sim_secure *secure = calloc(1, sizeof *secure);
    if (!secure)
        goto no_memory;
    secure->config = *config;
    secure->device_count = (uint32_t)config->options->devices;
    secure->shaking_max = (uint32_t)config->options->handshakes;
    secure->clients = calloc(secure->device_count, sizeof *secure->clients);
    secure->shaking = calloc(secure->shaking_max, sizeof *secure->shaking);
    if (!secure->clients || !secure->shaking)
        goto no_memory;
    if (!sim_provision_key(config->options->key_from, &secure->fleet_key, reterr))
        goto fail;
    if (!dtls_global_init())
        goto no_memory;
    secure->context = dtls_client_context_new(config->options->suites, reterr);
    if (!secure->context)
        goto fail;
    return secure;

no_memory:
    snprintf(reterr, SIM_ERROR_MAX, "out of memory");
fail:
    sim_secure_free(secure);
    return NULL;
}

static void drop(struct sim_secure *secure, uint32_t device, bool say_goodbye)
{
    struct output_to to = {secure, device};
    struct dtls_output output = output_of(&to);
    dtls_client_free(secure->clients[device], say_goodbye ? &output : NULL);
    secure->clients[device] = NULL;
}

void sim_secure_free(struct sim_secure *secure)
{
    if (!secure)
        return;
    for (uint32_t i = 0; secure->clients && i < secure->device_count; i++)
        drop(secure, i, !secure->config.options->no_close);
    dtls_client_context_free(secure->context);
    secret_wipe(&secure->fleet_key);
    free(secure->clients);
    free(secure->shaking);
    free(secure);
}

static bool begin(struct sim_secure *secure, uint32_t device)
{
    char identity[SCHEMA_TENANT_MAX + 1 + SIM_DEVICE_NAME_MAX + 1], name[SIM_DEVICE_NAME_MAX];
    struct secret psk;
    struct output_to to = {secure, device};
    sim_device_name(name, device);
    snprintf(identity, sizeof identity, "%.32s/%s", secure->config.options->tenant, name);
    if (!sim_provision_psk(&secure->fleet_key, device, &psk))
        return false;
    secure->clients[device] = dtls_client_new(secure->context, bytes_of_text(identity), &psk, secure->now_ms,
                                              output_of(&to));
    secret_wipe(&psk);
    return secure->clients[device] != NULL;
}

bool sim_secure_begin_some(struct sim_secure *secure, uint64_t now_ms)
{
    secure->now_ms = now_ms;
    while (secure->next_device < secure->device_count && secure->shaking_count < secure->shaking_max) {
        uint32_t device = secure->next_device++;
        if (begin(secure, device))
            secure->shaking[secure->shaking_count++] = (struct shaking){device, clock_us(), now_ms};
        else
            secure->config.counts->handshakes_failed++;
    }
    return secure->next_device == secure->device_count && secure->shaking_count == 0;
}

/* The device's place among those that shake hands, or shaking_count. */
static uint32_t place_of(const struct sim_secure *secure, uint32_t device)
{
    uint32_t place = 0;
    while (place < secure->shaking_count && secure->shaking[place].device != device)
        place++;
    return place;
}

static void end_handshake(struct sim_secure *secure, uint32_t place, bool done)
{
    if (done) {
        secure->config.counts->handshakes++;
        sim_histogram_add(&secure->latency, clock_us() - secure->shaking[place].begin_us);
    } else {
        secure->config.counts->handshakes_failed++;
        drop(secure, secure->shaking[place].device, false);
    }
    secure->shaking[place] = secure->shaking[--secure->shaking_count];
}

void sim_secure_receive(struct sim_secure *secure, uint32_t device, struct bytes datagram)
{
    struct output_to to = {secure, device};
    while (secure->clients[device]) {
        struct bytes message;
        enum dtls_event event = dtls_client_receive(secure->clients[device], datagram, secure->now_ms, output_of(&to),
                                                    &message);
        datagram = (struct bytes){0};
        uint32_t place = place_of(secure, device);
        if (event == DTLS_NOTHING)
            return;
        if (event == DTLS_DATA)
            secure->config.receive(secure->config.ctx, device, message);
        else if (place < secure->shaking_count)
            end_handshake(secure, place, event == DTLS_ESTABLISHED);
        else if (event == DTLS_CLOSED)
            drop(secure, device, false);
    }
}

void sim_secure_send(struct sim_secure *secure, uint32_t device, struct bytes message)
{
    struct output_to to = {secure, device};
    if (secure->clients[device] && !dtls_client_send(secure->clients[device], message, output_of(&to)))
        drop(secure, device, false);
}

void sim_secure_advance(struct sim_secure *secure, uint64_t now_ms)
{
    secure->now_ms = now_ms;
    for (uint32_t place = 0; place < secure->shaking_count;) {
        const struct shaking *shaking = &secure->shaking[place];
        struct dtls_client *client = secure->clients[shaking->device];
        struct output_to to = {secure, shaking->device};
        bool alive = now_ms - shaking->begin_ms < HANDSHAKE_GIVE_UP_MS;
        if (alive && dtls_client_deadline(client) <= now_ms)
            alive = dtls_client_timeout(client, now_ms, output_of(&to));
        if (alive)
            place++;
        else
            end_handshake(secure, place, false);
    }
}

uint64_t sim_secure_wait_ms(const struct sim_secure *secure, uint64_t now_ms)
{
    uint64_t earliest_ms = UINT64_MAX;
    for (uint32_t place = 0; place < secure->shaking_count; place++) {
        uint64_t deadline_ms = dtls_client_deadline(secure->clients[secure->shaking[place].device]);
        earliest_ms = deadline_ms < earliest_ms ? deadline_ms : earliest_ms;
    }
    return earliest_ms > now_ms ? earliest_ms - now_ms : 0;
}

bool sim_secure_is_up(const struct sim_secure *secure, uint32_t device)
{
    return secure->clients[device] != NULL;
}

const struct sim_histogram *sim_secure_latency(const struct sim_secure *secure)
{
    return &secure->latency;
}
