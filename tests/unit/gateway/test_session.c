// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From datagrams to peers: devices with addresses of their own on a network that is an array, real DTLS, and a CoAP wire
 * that answers every message with itself (coap_wire_* are defined here, in place of gateway/coap).
 */
#include "tests/unit/gateway/dtls_lab.h"

#include "gateway/session.h"

#include <criterion/criterion.h>
#include <malloc.h>

#define DEVICES_MAX 24
#define MAPPED "10.0.0.1" /* the closed network of tenant "lan" */

static struct lab lab;
static struct sessions *sessions;
static struct timers *timers;
static struct presence *presence;

struct device {
    bool used;
    struct address address;
    struct lab_client client;
    struct lab_queue in, out;
    struct lab_queue plain; /* what came to it without DTLS */
};

static struct device devices[DEVICES_MAX];

static struct {
    unsigned fill; /* of the spool */
    unsigned received, gone, lost, handed_over, handed_to, ended_remotely;
    char last[64];
    struct identity who;
    struct peer *peer;
    bool busy;
} seen;

/* The CoAP wire */

void coap_wire_receive(struct coap *coap, struct peer *peer, struct bytes message, bool multicast)
{
    (void)coap;
    (void)multicast;
    seen.received++;
    snprintf(seen.last, sizeof seen.last, "%.*s", (int)message.len, (const char *)message.ptr);
    seen.who = peer->who;
    seen.peer = peer;
    peer->send(peer, message);
}

void coap_wire_peer_gone(struct coap *coap, struct peer *peer)
{
    (void)coap;
    seen.gone++;
    if (seen.peer == peer)
        seen.peer = NULL;
}

bool coap_wire_peer_is_busy(const struct peer *peer)
{
    return seen.busy && address_port(&peer->flow.remote) == 1;
}

/* The network */

static void deliver(void *ctx, const struct flow *flow, struct bytes datagram)
{
    (void)ctx;
    for (unsigned i = 0; i < DEVICES_MAX; i++)
        if (devices[i].used && address_equal(&devices[i].address, &flow->remote)) {
            lab_push(address_port(&flow->local) == 5684 ? &devices[i].in : &devices[i].plain, datagram);
            return;
        }
    seen.lost++;
}

static bool hand_over(void *ctx, unsigned owner, const struct datagram *datagram)
{
    (void)ctx;
    (void)datagram;
    seen.handed_over++;
    seen.handed_to = owner;
    return true;
}

static void end_remote(void *ctx, struct presence_ref ref)
{
    (void)ctx;
    (void)ref;
    seen.ended_remotely++;
}

static struct {
    unsigned count;
    struct identity who;
    const char *why;
    struct address remote;
} failure;

static void failed(void *ctx, const struct identity *who, const char *why, const struct address *remote)
{
    (void)ctx;
    failure.count++;
    failure.who = *who;
    failure.why = why;
    failure.remote = *remote;
}

static struct bytes mapped_tenant(void *ctx, const struct address *remote)
{
    (void)ctx;
    struct address mapped = lab_address(MAPPED, address_port(remote));
    return address_equal(&mapped, remote) ? BYTES_LITERAL("lan") : (struct bytes){0};
}

static unsigned fill(void *ctx)
{
    (void)ctx;
    return seen.fill;
}

static void open_sessions(unsigned worker_count)
{
    lab.worker_count = worker_count;
    cr_assert(lab_open(&lab));
    timers = timers_new(lab.now_ms);
    presence = presence_new(&lab.hash_key, (unsigned)lab.settings.sessions_per_device);
    struct sessions_environment environment = {.timers = timers, .settings = &lab.settings, .metrics = &lab.metrics,
        .hash_key = &lab.hash_key, .registry = lab.registry, .dtls = lab.dtls, .presence = presence,
        .worker_count = worker_count, .send = deliver, .hand_over = hand_over, .end_remote = end_remote,
        .failed = failed, .mapped_tenant = mapped_tenant, .fill = fill};
    sessions = sessions_new(&environment);
    cr_assert_not_null(sessions);
}

static void prepare_lab(void)
{
    lab_prepare(&lab);
}

static void close_sessions(void)
{
    sessions_free(sessions);
    for (unsigned i = 0; i < DEVICES_MAX; i++)
        if (devices[i].used)
            lab_client_close(&devices[i].client);
    timers_free(timers);
    presence_free(presence);
    lab_close(&lab);
}

TestSuite(session, .init = prepare_lab, .fini = close_sessions);

static void pass_ms(uint64_t ms)
{
    lab.now_ms += ms;
    timers_advance(timers, lab.now_ms);
}

static void send_from(const struct address *remote, bool secure, struct bytes bytes)
{
    uint8_t copy[ENDPOINT_DATAGRAM_MAX];
    struct datagram datagram = {.secure = secure, .data = copy, .len = bytes.len};
    datagram.flow.remote = *remote;
    datagram.flow.local = lab_address("198.51.100.1", secure ? 5684 : 5683);
    memcpy(copy, bytes.ptr, bytes.len);
    sessions_receive(sessions, &datagram);
}

static struct address device_address(unsigned index)
{
    return lab_address("192.0.2.1", (uint16_t)(1000 + index));
}

/* A device that has not said anything yet; identity NULL: boiler-7. */
static struct device *device_new(unsigned index, const char *identity, bool cid)
{
    struct device *device = &devices[index];
    struct lab_client_options options = {.suites = "PSK-AES128-CCM-8", .no_cid = !cid,
                                         .identity = identity ? identity : "acme/boiler-7"};
    memset(device, 0, sizeof *device);
    device->used = true;
    device->address = device_address(index);
    cr_assert(lab_client_open(&device->client, &options, &device->in, &device->out));
    return device;
}

static void flush_device(struct device *device)
{
    struct bytes datagram;
    while (lab_pop(&device->out, &datagram))
        send_from(&device->address, true, datagram);
}

static bool connect_device(struct device *device)
{
    for (unsigned i = 0; i < 10 && !device->client.established; i++) {
        lab_client_step(&device->client);
        flush_device(device);
    }
    return device->client.established;
}

/* The device's next message as a record that has not left yet. */
static struct lab_datagram record_of(struct device *device, const char *text)
{
    struct lab_datagram copy;
    struct bytes datagram;
    cr_assert_eq(wolfSSL_write(device->client.ssl, text, (int)strlen(text)), (int)strlen(text));
    cr_assert(lab_pop(&device->out, &datagram));
    copy.len = datagram.len;
    memcpy(copy.data, datagram.ptr, datagram.len);
    return copy;
}

static bool talks(struct device *device, const char *text)
{
    char answer[64] = "";
    struct lab_datagram record = record_of(device, text);
    send_from(&device->address, true, bytes_of(record.data, record.len));
    int len = wolfSSL_read(device->client.ssl, answer, sizeof answer - 1);
    return len == (int)strlen(text) && strcmp(answer, text) == 0;
}

static uint64_t gauge(enum metric metric)
{
    return lab_metric(&lab, metric);
}

Test(session, a_device_speaks_over_dtls)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    cr_assert(connect_device(device));
    cr_assert(talks(device, "hello"));
    cr_assert_eq(seen.who.kind, IDENTITY_DEVICE);
    cr_assert_str_eq(seen.who.device, "boiler-7");
    cr_assert(seen.peer->secure && seen.peer->verified);
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 1);
    cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 0);
    cr_assert_eq(gauge(METRIC_HANDSHAKE_DONE), 1);
}

Test(session, a_full_spool_lets_nobody_new_in_and_keeps_who_is_there)
{
    open_sessions(1);
    struct device *known = device_new(0, NULL, true), *late = device_new(1, NULL, true);
    cr_assert(connect_device(known));
    seen.fill = 80;
    cr_expect_not(connect_device(late));
    cr_expect_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 0);
    cr_expect_gt(gauge(METRIC_SHED_HANDSHAKE), 0);
    cr_expect(talks(known, "still here"));
    seen.fill = 79;
    late = device_new(2, NULL, true);
    cr_expect(connect_device(late));
}

/* A device and its hello that somebody else sends from its address: first without, then with the right cookie (an
 * attacker on the path), and never finished. T8, T13. */
static void impersonate(struct device *device)
{
    struct device *attacker = device_new(DEVICES_MAX - 1, "acme/nobody", false);
    struct bytes datagram;
    attacker->address = device->address;
    device->used = false;
    lab_client_step(&attacker->client);
    flush_device(attacker);
    cr_assert(talks(device, "after a hello") || true);
    lab_client_step(&attacker->client);
    flush_device(attacker);
    cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 1);
    lab_client_step(&attacker->client);
    while (lab_pop(&attacker->out, &datagram))
        send_from(&device->address, true, datagram); /* key exchange and a Finished that does not verify */
    attacker->used = false;
    lab_client_close(&attacker->client);
    device->used = true;
}

Test(session, a_handshake_of_somebody_else_does_not_touch_the_device)
{
    open_sessions(1);
    for (unsigned cid = 0; cid < 2; cid++) {
        struct device *device = device_new(cid, NULL, cid);
        cr_assert(connect_device(device));
        cr_assert(talks(device, "before"));
        impersonate(device);
        device->in.count = 0;
        cr_assert(talks(device, "during"));
        cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 1);
        pass_ms(lab.settings.dtls_handshake_timeout_ms);
        cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 0);
        device->in.count = 0;
        cr_assert(talks(device, "after"));
    }
}

/* For people who ask why a device is not heard; of names that the registry does not have nothing is told. */
Test(session, a_handshake_that_fails_is_told_of_devices_that_are_known)
{
    static const struct {
        const char *identity, *key, *why; /* why: in the sentence; NULL: nothing is told */
    } cases[] = {{"acme/boiler-7", "another-secret!!", "another key"},
                 {"acme/boiler-7/other", NULL, "not have"},
                 {"acme/keyless", NULL, "not have"},
                 {"acme/nobody", NULL, NULL}};
    open_sessions(1);
    cr_assert(lab_add_device(&lab, "acme", "keyless", NULL));
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct device *device = device_new(i, cases[i].identity, true);
        device->client.options.key = cases[i].key;
        failure.count = 0;
        cr_expect_not(connect_device(device));
        pass_ms(lab.settings.dtls_handshake_timeout_ms);
        cr_expect_eq(failure.count, cases[i].why != NULL, "%s: %u", cases[i].identity, failure.count);
        if (!cases[i].why || failure.count == 0)
            continue;
        cr_expect(strstr(failure.why, cases[i].why), "%s", failure.why);
        cr_expect_str_eq(failure.who.tenant, "acme");
        cr_expect_eq(failure.who.evidence, EVIDENCE_PSK);
        cr_expect(address_equal(&failure.remote, &device->address));
    }
    failure.count = 0;
    cr_assert(connect_device(device_new(5, NULL, true)));
    pass_ms(lab.settings.dtls_handshake_timeout_ms);
    cr_expect_eq(failure.count, 0);
}

/* T9 */
Test(session, a_rebooted_device_on_its_old_port_gets_in_at_once)
{
    open_sessions(1);
    for (unsigned boot = 0; boot < 4; boot++) {
        struct device *device = device_new(0, NULL, false);
        cr_assert(connect_device(device), "boot %u", boot);
        cr_assert(talks(device, "hello"));
        cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 1, "the old one is gone");
        if (boot < 3)
            lab_client_close(&device->client);
    }
    cr_assert_eq(seen.gone, 3);
}

Test(session, a_rebooted_device_with_a_cid_gets_in_and_its_oldest_goes)
{
    open_sessions(1);
    for (unsigned boot = 0; boot < 5; boot++) {
        struct device *device = device_new(0, NULL, true);
        cr_assert(connect_device(device));
        cr_assert(talks(device, "hello"));
        cr_assert_leq(gauge(METRIC_SESSIONS_DTLS), 2);
        if (boot < 4)
            lab_client_close(&device->client);
    }
}

/* The old association speaks while the new one is being made, and is dropped only when that is proved. */
Test(session, the_old_association_lives_until_the_new_one_is_proved)
{
    open_sessions(1);
    struct device *old = device_new(0, NULL, false), *new = device_new(1, NULL, false);
    cr_assert(connect_device(old));
    old->used = false;
    new->address = old->address;
    for (unsigned i = 0; i < 2; i++) {
        lab_client_step(&new->client);
        flush_device(new);
    }
    cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 1);
    struct lab_datagram record = record_of(old, "still here");
    send_from(&old->address, true, bytes_of(record.data, record.len));
    cr_assert_str_eq(seen.last, "still here");
    new->in.count -= 1; /* the answer to the old one, which the new one cannot read */
    cr_assert(connect_device(new));
    cr_assert(talks(new, "me now"));
    record = record_of(old, "gone");
    send_from(&old->address, true, bytes_of(record.data, record.len));
    cr_assert_str_eq(seen.last, "me now");
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 1);
    old->used = true;
}

/* T10 */
Test(session, a_forged_record_does_not_move_a_device)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    struct address elsewhere = lab_address("203.0.113.66", 6666);
    cr_assert(connect_device(device));
    cr_assert(talks(device, "hello"));
    struct lab_datagram forged = record_of(device, "forged");
    forged.data[forged.len - 1] ^= 1;
    send_from(&elsewhere, true, bytes_of(forged.data, forged.len));
    cr_assert(address_equal(&seen.peer->flow.remote, &device->address));
    cr_assert_eq(gauge(METRIC_SESSION_MOVED), 0);
    cr_assert(talks(device, "still here"));
    cr_assert_eq(seen.lost, 0);
}

/* T11 */
Test(session, a_late_or_repeated_record_does_not_move_a_device)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    struct address elsewhere = lab_address("203.0.113.66", 6666);
    cr_assert(connect_device(device));
    struct lab_datagram late = record_of(device, "late"), sent = record_of(device, "sent");
    send_from(&device->address, true, bytes_of(sent.data, sent.len));
    send_from(&elsewhere, true, bytes_of(late.data, late.len));
    send_from(&elsewhere, true, bytes_of(sent.data, sent.len));
    cr_assert_eq(seen.received, 2, "the late one is a message all the same");
    cr_assert(address_equal(&seen.peer->flow.remote, &device->address));
    cr_assert_eq(gauge(METRIC_SESSION_MOVED), 0);
}

Test(session, a_new_record_moves_a_device)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    cr_assert(connect_device(device));
    for (unsigned i = 1; i < 4; i++) {
        device->address = lab_address("203.0.113.7", (uint16_t)(7000 + i));
        cr_assert(talks(device, "from elsewhere"));
        cr_assert_eq(gauge(METRIC_SESSION_MOVED), i);
    }
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 1);
}

/* T12 */
Test(session, devices_with_a_cid_may_swap_addresses)
{
    open_sessions(1);
    cr_assert(lab_add_device(&lab, "acme", "boiler-8", LAB_KEY));
    struct device *a = device_new(0, "acme/boiler-7", true), *b = device_new(1, "acme/boiler-8", true);
    cr_assert(connect_device(a) && connect_device(b));
    for (unsigned i = 0; i < 4; i++) {
        struct address address = a->address;
        a->address = b->address;
        b->address = address;
        cr_assert(talks(a, "a"));
        cr_assert_str_eq(seen.who.device, "boiler-7");
        cr_assert(talks(b, "b"));
        cr_assert_str_eq(seen.who.device, "boiler-8");
    }
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 2);
}

/* T13: without a CID the address is all there is; what does not decrypt is dropped without a word. */
Test(session, records_of_another_device_at_the_address_are_dropped)
{
    open_sessions(1);
    cr_assert(lab_add_device(&lab, "acme", "boiler-8", LAB_KEY));
    struct device *a = device_new(0, "acme/boiler-7", false), *b = device_new(1, "acme/boiler-8", false);
    cr_assert(connect_device(a) && connect_device(b));
    struct lab_datagram record = record_of(b, "b at the address of a");
    send_from(&a->address, true, bytes_of(record.data, record.len));
    cr_assert_eq(seen.received, 0);
    cr_assert_eq(a->in.count, 0, "no alert");
    cr_assert(talks(a, "a") && talks(b, "b"));
}

/* T6 */
Test(session, a_device_has_at_most_its_sessions_and_others_keep_theirs)
{
    open_sessions(1);
    cr_assert(lab_add_device(&lab, "acme", "boiler-8", LAB_KEY));
    struct device *other = device_new(0, "acme/boiler-8", true);
    cr_assert(connect_device(other));
    for (unsigned i = 1; i < 10; i++)
        cr_assert(connect_device(device_new(i, NULL, true)));
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 3);
    cr_assert_eq(gauge(METRIC_SESSION_EVICTED), 7);
    cr_assert(talks(other, "hello"));
    cr_assert(talks(&devices[9], "the newest") && talks(&devices[8], "the one before"));
}

/* T7 */
Test(session, a_full_table_keeps_who_is_in_it)
{
    lab.settings.sessions_max = 3;
    lab.settings.sessions_per_device = 64;
    open_sessions(1);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(connect_device(device_new(i, NULL, true)));
    cr_assert_not(connect_device(device_new(3, NULL, true)));
    cr_assert_gt(gauge(METRIC_HANDSHAKE_LIMITED), 0);
    pass_ms(lab.settings.session_stale_s * 1000 - 1000);
    for (unsigned i = 0; i < 3; i++)
        if (i != 1)
            cr_assert(talks(&devices[i], "alive"));
    pass_ms(1000);
    lab_client_close(&devices[3].client);
    cr_assert(connect_device(device_new(3, NULL, true)), "the stale one made room");
    cr_assert(talks(&devices[0], "0") && talks(&devices[2], "2") && talks(&devices[3], "3"));
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 3);
    cr_assert_eq(gauge(METRIC_SESSION_EVICTED), 1);
    lab_client_close(&devices[4].client);
    cr_assert_not(connect_device(device_new(4, NULL, true)), "nobody else is stale");
}

/* T25 and handshakes that stop half-way. */
Test(session, unfinished_handshakes_are_bounded_and_expire)
{
    lab.settings.dtls_half_open_max = 16;
    open_sessions(1);
    for (unsigned round = 0; round < 5; round++)
        for (unsigned i = 0; i < DEVICES_MAX - 1; i++) {
            struct device *device = device_new(i, NULL, true);
            device->address = lab_address("192.0.2.9", (uint16_t)(1000 + 100 * round + i));
            for (unsigned step = 0; step < 2; step++) {
                lab_client_step(&device->client);
                flush_device(device);
            }
            lab_client_close(&device->client);
            device->used = false;
            cr_assert_leq(gauge(METRIC_SESSIONS_HALF_OPEN), 16);
        }
    cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 16);
    struct device *genuine = device_new(DEVICES_MAX - 1, NULL, true);
    cr_assert(connect_device(genuine));
    cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 15);
    for (unsigned i = 0; i < 40; i++)
        pass_ms(1000);
    cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 0);
    cr_assert_gt(gauge(METRIC_HANDSHAKE_EXPIRED), 0);
    cr_assert(talks(genuine, "hello"));
}

/* The client's flight again, because the server's last one was lost: found by the CID in its last record. */
Test(session, a_lost_last_flight_is_repeated)
{
    open_sessions(1);
    for (unsigned cid = 0; cid < 2; cid++) {
        struct device *device = device_new(cid, NULL, cid);
        for (unsigned i = 0; i < 3; i++) {
            lab_client_step(&device->client);
            flush_device(device);
        }
        cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 0);
        device->in.count = 0; /* lost */
        lab_client_step(&device->client);
        cr_assert_not(device->client.established);
        cr_assert_eq(wolfSSL_dtls_got_timeout(device->client.ssl), WOLFSSL_SUCCESS);
        flush_device(device);
        cr_assert(connect_device(device));
        cr_assert(talks(device, "hello"));
    }
}

Test(session, a_repeated_hello_goes_on_with_the_handshake_it_began)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    lab_client_step(&device->client);
    flush_device(device);
    lab_client_step(&device->client);
    struct lab_datagram hello = device->out.slots[device->out.first % LAB_QUEUE_MAX];
    flush_device(device);
    for (unsigned i = 0; i < 3; i++)
        send_from(&device->address, true, bytes_of(hello.data, hello.len));
    cr_assert_eq(gauge(METRIC_SESSIONS_HALF_OPEN), 1);
    cr_assert(connect_device(device));
    cr_assert(talks(device, "hello"));
}

/* T2: renumbered copies of a hello whose cookie is good, in the device's name, to have it flooded with flights. */
Test(session, hellos_that_repeat_too_soon_get_nothing)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    lab_client_step(&device->client);
    flush_device(device);
    lab_client_step(&device->client);
    struct lab_datagram hello = device->out.slots[device->out.first % LAB_QUEUE_MAX];
    flush_device(device);
    size_t answered = device->in.count;
    uint64_t dropped = gauge(METRIC_DROP_BAD_RECORD);
    for (unsigned i = 1; i <= 10; i++) {
        hello.data[10] = (uint8_t)(hello.data[10] + 1);
        send_from(&device->address, true, bytes_of(hello.data, hello.len));
    }
    cr_assert_eq(device->in.count, answered);
    cr_assert_eq(gauge(METRIC_DROP_BAD_RECORD) - dropped, 10);
    cr_assert(connect_device(device));
}

Test(session, a_record_of_another_worker_is_handed_over)
{
    open_sessions(2);
    struct device *device = device_new(0, NULL, true);
    cr_assert(connect_device(device));
    cr_assert(talks(device, "mine"));
    struct lab_datagram record = record_of(device, "not mine");
    record.data[11] ^= 1;
    send_from(&device->address, true, bytes_of(record.data, record.len));
    cr_assert_eq(seen.handed_over, 1);
    cr_assert_eq(seen.handed_to, 1);
    cr_assert_eq(gauge(METRIC_HANDED_OVER), 1);
    cr_assert_eq(seen.received, 1);
}

Test(session, a_record_with_an_unknown_cid_is_dropped)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    cr_assert(connect_device(device));
    struct lab_datagram record = record_of(device, "x");
    record.data[18] ^= 1;
    send_from(&device->address, true, bytes_of(record.data, record.len));
    cr_assert_eq(gauge(METRIC_DROP_UNKNOWN_CID), 1);
    cr_assert_eq(device->in.count, 0);
}

/* T23 */
Test(session, revocation_ends_the_sessions_of_the_device)
{
    open_sessions(1);
    cr_assert(lab_add_device(&lab, "acme", "boiler-8", LAB_KEY));
    struct device *a = device_new(0, NULL, true), *again = device_new(1, NULL, false),
                  *b = device_new(2, "acme/boiler-8", true);
    char buffer[8];
    cr_assert(connect_device(a) && connect_device(again) && connect_device(b));
    sessions_review(sessions, BYTES_LITERAL("acme"), BYTES_LITERAL("boiler-7"));
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 3, "nothing has changed");
    registry_remove_device(lab.registry, BYTES_LITERAL("acme"), BYTES_LITERAL("boiler-7"));
    sessions_review(sessions, BYTES_LITERAL("acme"), BYTES_LITERAL("boiler-7"));
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 1);
    cr_assert_eq(gauge(METRIC_SESSION_REVOKED), 2);
    cr_assert_eq(wolfSSL_read(a->client.ssl, buffer, sizeof buffer), 0, "it was told");
    cr_assert(talks(b, "hello"));
    registry_remove_tenant(lab.registry, BYTES_LITERAL("acme"));
    sessions_review(sessions, BYTES_LITERAL("other"), (struct bytes){0});
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 1);
    sessions_review(sessions, BYTES_LITERAL("acme"), (struct bytes){0});
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 0);
    sessions_end(sessions, 12345);
}

Test(session, the_close_of_a_device_ends_its_session)
{
    open_sessions(1);
    struct device *device = device_new(0, NULL, true);
    cr_assert(connect_device(device));
    cr_assert(talks(device, "hello"));
    wolfSSL_shutdown(device->client.ssl);
    flush_device(device);
    cr_assert_eq(gauge(METRIC_SESSIONS_DTLS), 0);
    cr_assert_eq(seen.gone, 1);
}

/* Junk of every kind, from many addresses, to both ports. */
Test(session, junk_costs_no_memory)
{
    open_sessions(1);
    static const char *const junk[] = {"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00", "\x17\xfe\xfd\x00\x01xxxxxx\x00\x02yy",
        "\x19\xfe\xfd\x00\x01xxxxxx\x01\x02\x03\x04\x05\x06\x07\x08\x00\x02yy", "\x2f\x01\x02\x00\x04zzzz", "hello", "\x60\x00\x12\x34",
        "\x70\x00\x12\x34", "\x60\x45\x12\x34", "\x40\x45\x12\x34", "\x4f\x01\x12\x34", "\x80\x01\x12\x34"};
    static const size_t lens[] = {17, 15, 24, 9, 5, 4, 4, 4, 4, 4, 4};
    size_t before = 0;
    for (unsigned i = 0; i < 20000; i++) {
        char ip[16];
        snprintf(ip, sizeof ip, "127.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        struct address remote = lab_address(ip, (uint16_t)(1 + i));
        for (unsigned j = 0; j < sizeof junk / sizeof junk[0]; j++)
            send_from(&remote, j < 5, bytes_of(junk[j], lens[j]));
        if (i == 100)
            before = mallinfo2().uordblks;
    }
    cr_assert_leq(mallinfo2().uordblks, before);
    cr_assert_eq(gauge(METRIC_SESSIONS_PLAIN) + gauge(METRIC_SESSIONS_HALF_OPEN), 0);
    cr_assert_eq(seen.received, 0);
}

/* Plain CoAP */

#define GET "\x40\x01\x12\x34"

static void send_plain_from(const char *ip, uint16_t port, const char *message)
{
    struct address remote = lab_address(ip, port);
    send_from(&remote, false, bytes_of(message, 4));
}

Test(session, plain_peers_are_nobody_unless_their_network_is_mapped)
{
    open_sessions(1);
    send_plain_from("192.0.2.1", 1, GET);
    cr_assert_eq(seen.who.kind, IDENTITY_NONE);
    cr_assert_not(seen.peer->secure || seen.peer->verified);
    send_plain_from(MAPPED, 1, GET);
    cr_assert_eq(seen.who.kind, IDENTITY_NETWORK);
    cr_assert_eq(seen.who.evidence, EVIDENCE_NETWORK);
    cr_assert_str_eq(seen.who.tenant, "lan");
    cr_assert_str_eq(seen.who.device, "");
    cr_assert_eq(gauge(METRIC_SESSIONS_PLAIN), 2);
}

Test(session, the_plain_peer_that_was_silent_for_longest_makes_room)
{
    lab.settings.plain_peers_max = 16;
    open_sessions(1);
    seen.busy = true; /* port 1 */
    for (uint16_t port = 1; port <= 16; port++) {
        pass_ms(10);
        send_plain_from("192.0.2.1", port, GET);
    }
    pass_ms(10);
    send_plain_from("192.0.2.1", 2, GET); /* no longer the longest silent */
    for (uint16_t port = 17; port <= 20; port++) {
        pass_ms(10);
        send_plain_from("192.0.2.1", port, GET);
    }
    cr_assert_eq(gauge(METRIC_SESSIONS_PLAIN), 16);
    cr_assert_eq(gauge(METRIC_SESSION_EVICTED), 4);
    unsigned gone = seen.gone;
    for (uint16_t port = 1; port <= 2; port++)
        send_plain_from("192.0.2.1", port, GET);
    for (uint16_t port = 7; port <= 20; port++)
        send_plain_from("192.0.2.1", port, GET);
    cr_assert_eq(seen.gone, gone, "1, 2 and 7 to 20 were still known");
}

Test(session, when_all_plain_peers_are_busy_a_new_one_is_refused)
{
    lab.settings.plain_peers_max = 1;
    open_sessions(1);
    seen.busy = true;
    send_plain_from("192.0.2.1", 1, GET);
    send_plain_from("192.0.2.1", 2, GET);
    cr_assert_eq(seen.received, 1);
    cr_assert_eq(gauge(METRIC_DROP_PEER_LIMIT), 1);
}

Test(session, many_plain_peers_are_all_found_again)
{
    open_sessions(1);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 20000; i++) {
            char ip[16];
            snprintf(ip, sizeof ip, "127.0.%u.%u", i >> 8, i & 255);
            send_plain_from(ip, 5683, GET);
        }
    cr_assert_eq(gauge(METRIC_SESSIONS_PLAIN), 20000);
    cr_assert_eq(seen.received, 40000);
}

Test(session, a_peer_that_floods_loses_its_own_messages_only)
{
    lab.settings.peer_messages_per_s = 3;
    open_sessions(1);
    pass_ms(1000 - lab.now_ms % 1000);
    for (unsigned i = 0; i < 5; i++)
        send_plain_from("192.0.2.1", 1, GET);
    cr_assert_eq(gauge(METRIC_DROP_RATE), 2);
    send_plain_from("192.0.2.1", 2, GET);
    cr_assert_eq(gauge(METRIC_DROP_RATE), 2);
    pass_ms(1000);
    send_plain_from("192.0.2.1", 1, GET);
    cr_assert_eq(gauge(METRIC_DROP_RATE), 2);
}
