// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Second stage of the path, between endpoint and the CoAP wire. One struct session per plain peer or DTLS
 * association, found by intrusive tables: both addresses, our connection ID, the device, the serial number.
 *
 * States: PLAIN; HALF_OPEN (its cookie was right, the handshake is under way); ESTABLISHED. One address may
 * have a half-open and an established association at once: the old one must live until the new one is proved
 * (RFC 6347 4.2.8), so records go to the one that can want them. An established session with a negotiated CID
 * is found by that alone and not by its address, so devices may swap addresses as they like (RFC 9146 6).
 *
 * Full: the oldest half-open handshake, the longest silent plain peer and stale sessions make room; others
 * are refused. Age is kept lazily (struct ages): a message costs one store, not a walk through neighbours in
 * a list.
 *
 * A session is freed by its timer, by a record of its own, by sessions_end and _review, and by eviction;
 * never from inside its peer's send, which only marks it broken and lets the timer do it.
 */
#include "gateway/session.h"

#include "gateway/index.h"
#include "gateway/shed.h"

#include <stdlib.h>

enum state { PLAIN, HALF_OPEN, ESTABLISHED, STATE_COUNT };
enum lookup { BY_ADDRESS, BY_CID, BY_DEVICE, BY_SERIAL, TABLE_COUNT };

struct session {
    struct peer peer; /* first: the wire hands it back to send */
    struct sessions *owner;
    enum state state;
    bool broken;
    uint64_t serial;
    struct dtls_session *dtls; /* NULL: plain */
    struct index_link links[TABLE_COUNT];
    struct session *older, *newer;
    uint64_t placed_ms;  /* its place in struct ages */
    uint64_t hello_hash; /* half-open: tells a repeated hello from a new one */
    uint64_t hello_ms;   /* half-open: when a hello was last answered */
    uint64_t rate_s;     /* the second that rate_used counts in */
    uint32_t rate_used;
    struct timer timer;  /* DTLS flights */
};

/* Sessions of one state by the last time somebody looked: the first whose heard_ms is still its placed_ms has
 * been silent for longest. */
struct ages {
    struct session *oldest, *newest;
    size_t count;
};

struct sessions {
    struct sessions_environment env;
    struct index tables[TABLE_COUNT];
    struct ages ages[STATE_COUNT];
    uint64_t next_serial;
};

#define HELLO_REPEAT_MS 250
#define EVICTION_TRIES 32 /* bounded work for one datagram */

static uint64_t now_ms(const struct sessions *sessions)
{
    return timers_now(sessions->env.timers);
}

static void count(struct sessions *sessions, enum metric metric, int64_t n)
{
    metrics_add(sessions->env.metrics, metric, n);
}

/* Age */

static void ages_remove(struct session *session)
{
    struct ages *ages = &session->owner->ages[session->state];
    *(session->older ? &session->older->newer : &ages->oldest) = session->newer;
    *(session->newer ? &session->newer->older : &ages->newest) = session->older;
    ages->count--;
}

static void ages_append(struct session *session)
{
    struct ages *ages = &session->owner->ages[session->state];
    session->placed_ms = session->peer.heard_ms;
    session->older = ages->newest;
    session->newer = NULL;
    *(ages->newest ? &ages->newest->newer : &ages->oldest) = session;
    ages->newest = session;
    ages->count++;
}

/* The one that was silent for longest, or nearly: sessions that were heard since they were placed are placed
 * anew. */
static struct session *longest_silent(struct sessions *sessions, enum state state)
{
    struct session *session = sessions->ages[state].oldest;
    unsigned tries = EVICTION_TRIES;
    for (; session && session->peer.heard_ms != session->placed_ms && tries > 0; tries--) {
        ages_remove(session);
        ages_append(session);
        session = sessions->ages[state].oldest;
    }
    return session;
}

/* Tables */

static struct session *session_of(struct index_link *link, enum lookup table)
{
    return (struct session *)((char *)(link - table) - offsetof(struct session, links));
}

static void lookup_add(struct session *session, enum lookup table, uint64_t hash)
{
    index_add(&session->owner->tables[table], &session->links[table], hash);
}

static void lookup_remove(struct session *session, enum lookup table)
{
    index_remove(&session->owner->tables[table], &session->links[table]);
}

static uint64_t flow_hash(const struct sessions *sessions, const struct flow *flow)
{
    return address_hash(sessions->env.hash_key, &flow->remote) * 3 +
           address_hash(sessions->env.hash_key, &flow->local);
}

static uint64_t device_hash(const struct sessions *sessions, struct bytes tenant, struct bytes device)
{
    return hash_pair(sessions->env.hash_key, tenant, device);
}

static uint64_t serial_hash(uint64_t serial)
{
    return serial * 0x9e3779b97f4a7c15u >> 20;
}

static bool flow_equal(const struct flow *a, const struct flow *b)
{
    return address_equal(&a->remote, &b->remote) && address_equal(&a->local, &b->local);
}

static struct session *find_by_flow(const struct sessions *sessions, const struct flow *flow,
                                    enum state state)
{
    struct index_link *link = index_first(&sessions->tables[BY_ADDRESS], flow_hash(sessions, flow));
    for (; link; link = index_next(link)) {
        struct session *session = session_of(link, BY_ADDRESS);
        if (session->state == state && flow_equal(&session->peer.flow, flow))
            return session;
    }
    return NULL;
}

static struct session *find_by_cid(const struct sessions *sessions, struct bytes cid)
{
    struct index_link *link = index_first(&sessions->tables[BY_CID], hash_bytes(sessions->env.hash_key, cid));
    while (link && !bytes_equal(dtls_session_cid(session_of(link, BY_CID)->dtls), cid))
        link = index_next(link);
    return link ? session_of(link, BY_CID) : NULL;
}

/* Birth and death */

static const enum metric gauges[STATE_COUNT] = {METRIC_SESSIONS_PLAIN, METRIC_SESSIONS_HALF_OPEN,
                                                METRIC_SESSIONS_DTLS};

static void enter_state(struct session *session, enum state state)
{
    session->state = state;
    ages_append(session);
    count(session->owner, gauges[state], 1);
}

static void leave_state(struct session *session)
{
    ages_remove(session);
    count(session->owner, gauges[session->state], -1);
}

static void send_out(void *ctx, struct bytes datagram)
{
    struct session *session = ctx;
    session->owner->env.send(session->owner->env.ctx, &session->peer.flow, datagram);
}

static struct dtls_output output_to(struct session *session)
{
    return (struct dtls_output){.send = send_out, .ctx = session};
}

static void tell_failure(const struct session *session)
{
    const struct sessions_environment *env = &session->owner->env;
    struct identity who;
    const char *why = dtls_session_failure(session->dtls, &who);
    if (why && env->failed)
        env->failed(env->ctx, &who, why, &session->peer.flow.remote);
}

static void session_free(struct session *session, bool say_goodbye)
{
    struct sessions *sessions = session->owner;
    if (session->dtls && session->state != ESTABLISHED)
        tell_failure(session);
    struct dtls_output output = output_to(session);
    coap_wire_peer_gone(sessions->env.coap, &session->peer);
    timers_cancel(sessions->env.timers, &session->timer);
    if (session->state == ESTABLISHED)
        presence_remove(sessions->env.presence, &session->peer.who,
                        (struct presence_ref){sessions->env.worker_index, session->serial});
    for (enum lookup table = 0; table < TABLE_COUNT; table++)
        lookup_remove(session, table);
    leave_state(session);
    dtls_session_free(session->dtls, say_goodbye && !session->broken ? &output : NULL);
    free(session);
}

static void set_timer(struct session *session)
{
    struct timers *timers = session->owner->env.timers;
    uint64_t due_ms = dtls_session_deadline(session->dtls);
    if (due_ms == UINT64_MAX)
        timers_cancel(timers, &session->timer);
    else if (!timer_is_set(&session->timer) || session->timer.due_ms != due_ms)
        timers_set(timers, &session->timer, due_ms);
}

static void revoke(struct session *session)
{
    struct sessions *sessions = session->owner;
    session_free(session, true);
    count(sessions, METRIC_SESSION_REVOKED, 1);
}

static void timer_fired(struct timer *timer)
{
    struct session *session = (struct session *)((char *)timer - offsetof(struct session, timer));
    struct sessions *sessions = session->owner;
    if (!session->broken && dtls_session_timeout(session->dtls, now_ms(sessions), output_to(session))) {
        set_timer(session);
        return;
    }
    if (session->state == ESTABLISHED && !session->broken && !dtls_session_holds(session->dtls)) {
        revoke(session);
        return;
    }
    if (session->state == HALF_OPEN)
        count(sessions, METRIC_HANDSHAKE_EXPIRED, 1);
    session_free(session, false);
}

static struct session *session_new(struct sessions *sessions, const struct flow *flow, enum state state)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->owner = sessions;
    session->serial = sessions->next_serial++;
    session->peer.flow = *flow;
    session->peer.heard_ms = now_ms(sessions);
    session->timer.fire = timer_fired;
    enter_state(session, state);
    lookup_add(session, BY_ADDRESS, flow_hash(sessions, flow));
    return session;
}

static void evict(struct session *session)
{
    struct sessions *sessions = session->owner;
    session_free(session, true);
    count(sessions, METRIC_SESSION_EVICTED, 1);
}

/* Plain CoAP */

static void send_plain(struct peer *peer, struct bytes message)
{
    struct sessions *sessions = ((struct session *)peer)->owner;
    sessions->env.send(sessions->env.ctx, &peer->flow, message);
}

/* Room for one more plain peer: one that has nothing under way goes; a busy one gets another round. */
static bool make_room_plain(struct sessions *sessions)
{
    if (sessions->ages[PLAIN].count < sessions->env.settings->plain_peers_max)
        return true;
    for (unsigned tries = EVICTION_TRIES; tries > 0; tries--) {
        struct session *session = longest_silent(sessions, PLAIN);
        if (session && !coap_wire_peer_is_busy(&session->peer)) {
            evict(session);
            return true;
        }
        if (session) {
            ages_remove(session);
            ages_append(session);
        }
    }
    return false;
}

/* Only a request or a ping begins something; an ACK, an RST or an answer of somebody unknown belongs to
 * nothing. */
static bool may_introduce(const struct datagram *datagram)
{
    if (datagram->len < 4)
        return false;
    unsigned version = datagram->data[0] >> 6, type = datagram->data[0] >> 4 & 3,
             token_len = datagram->data[0] & 15;
    return version == 1 && type < 2 && token_len <= 8 && datagram->data[1] < 32;
}

static struct session *plain_new(struct sessions *sessions, const struct datagram *datagram)
{
    if (!may_introduce(datagram)) {
        count(sessions, METRIC_DROP_NO_SESSION, 1);
        return NULL;
    }
    struct session *session =
        make_room_plain(sessions) ? session_new(sessions, &datagram->flow, PLAIN) : NULL;
    if (!session) {
        count(sessions, METRIC_DROP_PEER_LIMIT, 1);
        return NULL;
    }
    session->peer.send = send_plain;
    struct bytes tenant = sessions->env.mapped_tenant(sessions->env.ctx, &datagram->flow.remote);
    if (tenant.len && tenant.len <= SCHEMA_TENANT_MAX) {
        session->peer.who = (struct identity){.kind = IDENTITY_NETWORK, .evidence = EVIDENCE_NETWORK};
        memcpy(session->peer.who.tenant, tenant.ptr, tenant.len);
        session->peer.verified = true; /* a network that is trusted by its addresses needs no Echo */
    }
    return session;
}

/* After a DTLS record has authenticated, or a stranger could use up a device's share. */
static bool is_too_frequent(struct session *session)
{
    uint64_t now_s = now_ms(session->owner) / 1000;
    if (session->rate_s != now_s) {
        session->rate_s = now_s;
        session->rate_used = 0;
    }
    if (session->rate_used++ < session->owner->env.settings->peer_messages_per_s)
        return false;
    count(session->owner, METRIC_DROP_RATE, 1);
    return true;
}

static void receive_plain(struct sessions *sessions, const struct datagram *datagram)
{
    struct session *session = find_by_flow(sessions, &datagram->flow, PLAIN);
    if (!session)
        session = plain_new(sessions, datagram);
    if (!session)
        return;
    session->peer.flow = datagram->flow; /* the same addresses; the socket may be another one */
    session->peer.heard_ms = now_ms(sessions);
    if (!is_too_frequent(session))
        coap_wire_receive(sessions->env.coap, &session->peer, bytes_of(datagram->data, datagram->len),
                          datagram->multicast);
}

/* DTLS: a new association */

static void send_secure(struct peer *peer, struct bytes message)
{
    struct session *session = (struct session *)peer;
    if (session->broken || dtls_session_send(session->dtls, message, output_to(session)))
        return;
    session->broken = true;
    timers_set(session->owner->env.timers, &session->timer, now_ms(session->owner));
}

/* Room for one more session: a stale one goes, a fresh one never. */
static bool make_room_secure(struct sessions *sessions)
{
    const struct settings *settings = sessions->env.settings;
    if (sessions->ages[ESTABLISHED].count + sessions->ages[HALF_OPEN].count < settings->sessions_max)
        return true;
    struct session *session = longest_silent(sessions, ESTABLISHED);
    if (!session || now_ms(sessions) - session->peer.heard_ms < settings->session_stale_s * 1000)
        return false;
    evict(session);
    return true;
}

/* Handshakes that a reachable address never finishes must not keep others out: the oldest goes, so to hold a
 * place somebody would have to fill all of them within the time that a genuine handshake takes. */
static void make_room_half_open(struct sessions *sessions)
{
    if (sessions->ages[HALF_OPEN].count < sessions->env.settings->dtls_half_open_max)
        return;
    count(sessions, METRIC_HANDSHAKE_EXPIRED, 1);
    session_free(sessions->ages[HALF_OPEN].oldest, false);
}

static struct session *half_open_new(struct sessions *sessions, const struct flow *flow,
                                     struct dtls_session *dtls)
{
    struct session *before = find_by_flow(sessions, flow, HALF_OPEN);
    if (before)
        session_free(before, false);
    make_room_half_open(sessions);
    struct session *session = session_new(sessions, flow, HALF_OPEN);
    if (!session) {
        dtls_session_free(dtls, NULL);
        return NULL;
    }
    session->dtls = dtls;
    session->peer.secure = true;
    session->peer.verified = true;
    session->peer.send = send_secure;
    lookup_add(session, BY_CID, hash_bytes(sessions->env.hash_key, dtls_session_cid(dtls)));
    set_timer(session);
    return session;
}

struct reply_to {
    struct sessions *sessions;
    const struct flow *flow;
};

static void send_reply(void *ctx, struct bytes datagram)
{
    const struct reply_to *to = ctx;
    to->sessions->env.send(to->sessions->env.ctx, to->flow, datagram);
}

static void feed(struct session *session, const struct datagram *datagram);

/* Each repetition is answered with a whole flight, which is larger than a hello: no client repeats itself
 * sooner than this (RFC 6347 4.2.4.1), and somebody who does it in a client's name gets little out of us. */
static void repeat_flight(struct session *session, const struct datagram *datagram)
{
    uint64_t now = now_ms(session->owner);
    if (now - session->hello_ms < HELLO_REPEAT_MS) {
        count(session->owner, METRIC_DROP_BAD_RECORD, 1);
        return;
    }
    session->hello_ms = now;
    feed(session, datagram);
}

/* Whether the spool has no room for what another device would bring. */
static bool sheds_handshake(struct sessions *sessions)
{
    const struct sessions_environment *env = &sessions->env;
    if (!env->fill || !shed_refuses(env->fill(env->ctx), SHED_HANDSHAKE))
        return false;
    shed_count(env->metrics, SHED_HANDSHAKE);
    return true;
}

/* A hello that a half-open handshake began with is a repetition for it; any other begins anew, without
 * state. */
static void receive_hello(struct sessions *sessions, const struct datagram *datagram)
{
    struct dtls_hello_view hello;
    struct bytes input = bytes_of(datagram->data, datagram->len);
    if (!dtls_hello_read(input, &hello)) {
        count(sessions, METRIC_DROP_BAD_RECORD, 1);
        return;
    }
    uint64_t hash = hash_bytes(sessions->env.hash_key, hello.random);
    struct session *session = find_by_flow(sessions, &datagram->flow, HALF_OPEN);
    if (session && session->hello_hash == hash) {
        repeat_flight(session, datagram);
        return;
    }
    if (hello.has_cookie && (sheds_handshake(sessions) || !make_room_secure(sessions))) {
        count(sessions, METRIC_HANDSHAKE_LIMITED, 1);
        return;
    }
    struct reply_to to = {sessions, &datagram->flow};
    struct dtls_session *dtls = dtls_hello(sessions->env.dtls, &datagram->flow.remote, input,
                                           now_ms(sessions), (struct dtls_output){send_reply, &to});
    session = dtls ? half_open_new(sessions, &datagram->flow, dtls) : NULL;
    if (session) {
        session->hello_hash = hash;
        session->hello_ms = now_ms(sessions);
    }
}

/* DTLS: an association that is there */

static bool uses_cid(const struct session *session)
{
    return dtls_session_uses_cid(session->dtls);
}

static void announce(struct session *session)
{
    struct sessions *sessions = session->owner;
    struct presence_ref self = {sessions->env.worker_index, session->serial}, oldest;
    bool too_many = false;
    /* Many boxes that enrol share one identity: none of them ends the session of another. */
    if (session->peer.who.kind == IDENTITY_BOOTSTRAP)
        return;
    if (!presence_add(sessions->env.presence, &session->peer.who, self, &too_many, &oldest) || !too_many)
        return;
    if (oldest.worker == self.worker)
        sessions_end(sessions, oldest.serial);
    else
        sessions->env.end_remote(sessions->env.ctx, oldest);
}

/* The new association is proved: the old one of this address goes without a word, because who reads there has
 * the new keys. Those with a CID are not found by address and stay. */
static void established(struct session *session)
{
    struct sessions *sessions = session->owner;
    struct session *old = find_by_flow(sessions, &session->peer.flow, ESTABLISHED);
    if (old)
        session_free(old, false);
    leave_state(session);
    session->peer.who = *dtls_session_identity(session->dtls);
    enter_state(session, ESTABLISHED);
    lookup_remove(session, uses_cid(session) ? BY_ADDRESS : BY_CID);
    lookup_add(session, BY_DEVICE, device_hash(sessions, bytes_of_text(session->peer.who.tenant),
                                               bytes_of_text(session->peer.who.device)));
    lookup_add(session, BY_SERIAL, serial_hash(session->serial));
    set_timer(session);
    count(sessions, METRIC_HANDSHAKE_DONE, 1);
    announce(session);
    if (sessions->env.established)
        sessions->env.established(sessions->env.ctx, &session->peer.who);
}

static void message_received(struct session *session, const struct datagram *datagram, struct bytes message,
                             bool newest)
{
    struct sessions *sessions = session->owner;
    /* RFC 9146 section 6: authentic and newer than all before, or the address stays. Without a CID the record
     * came from its address or would not have been found. */
    if (newest) {
        if (!flow_equal(&session->peer.flow, &datagram->flow))
            count(sessions, METRIC_SESSION_MOVED, 1);
        session->peer.flow = datagram->flow;
    }
    session->peer.heard_ms = now_ms(sessions);
    if (!is_too_frequent(session))
        coap_wire_receive(sessions->env.coap, &session->peer, message, false);
}

/* Everything in one datagram. The session may be gone after. */
static void feed(struct session *session, const struct datagram *datagram)
{
    struct sessions *sessions = session->owner;
    struct bytes input = bytes_of(datagram->data, datagram->len), message;
    while (!session->broken) {
        bool newest = false;
        enum dtls_event event = dtls_session_receive(session->dtls, input, now_ms(sessions),
                                                     output_to(session), &message, &newest);
        input = (struct bytes){0};
        switch (event) {
        case DTLS_NOTHING:
            set_timer(session);
            return;
        case DTLS_ESTABLISHED:
            established(session);
            break;
        case DTLS_DATA:
            message_received(session, datagram, message, newest);
            break;
        case DTLS_CLOSED:
            if (session->state == HALF_OPEN)
                count(sessions, METRIC_HANDSHAKE_FAILED, 1);
            session_free(session, true);
            return;
        }
    }
}

static void receive_cid(struct sessions *sessions, const struct datagram *datagram, struct bytes cid)
{
    unsigned owner = cid.ptr[0] % sessions->env.worker_count;
    if (owner != sessions->env.worker_index) {
        bool ok = sessions->env.hand_over(sessions->env.ctx, owner, datagram);
        count(sessions, ok ? METRIC_HANDED_OVER : METRIC_DROP_HANDOVER, 1);
        return;
    }
    struct session *session = find_by_cid(sessions, cid);
    if (session)
        feed(session, datagram);
    else
        count(sessions, METRIC_DROP_UNKNOWN_CID, 1);
}

static void receive_record(struct sessions *sessions, const struct datagram *datagram)
{
    struct session *half_open = find_by_flow(sessions, &datagram->flow, HALF_OPEN);
    struct session *full = find_by_flow(sessions, &datagram->flow, ESTABLISHED);
    bool is_handshake = dtls_record_is_handshake(bytes_of(datagram->data, datagram->len));
    struct session *session = half_open && (is_handshake || !full) ? half_open : full;
    if (session)
        feed(session, datagram);
    else
        count(sessions, METRIC_DROP_NO_SESSION, 1);
}

static void receive_secure(struct sessions *sessions, const struct datagram *datagram)
{
    struct bytes cid;
    if (!sessions->env.dtls || datagram->multicast) {
        count(sessions, METRIC_DROP_NO_SESSION, 1);
        return;
    }
    switch (dtls_classify(bytes_of(datagram->data, datagram->len), &cid)) {
    case DTLS_JUNK:
        count(sessions, METRIC_DROP_BAD_RECORD, 1);
        break;
    case DTLS_CLIENT_HELLO:
        receive_hello(sessions, datagram);
        break;
    case DTLS_CID_RECORD:
        receive_cid(sessions, datagram, cid);
        break;
    case DTLS_RECORD:
        receive_record(sessions, datagram);
        break;
    }
}

void sessions_receive(void *ctx, const struct datagram *datagram)
{
    struct sessions *sessions = ctx;
    if (datagram->secure)
        receive_secure(sessions, datagram);
    else
        receive_plain(sessions, datagram);
}

/* Ending */

static void revoke_device(struct sessions *sessions, struct bytes tenant, struct bytes device)
{
    struct index_link *link =
        index_first(&sessions->tables[BY_DEVICE], device_hash(sessions, tenant, device));
    while (link) {
        struct session *session = session_of(link, BY_DEVICE);
        link = index_next(link);
        if (bytes_equal_text(tenant, session->peer.who.tenant) &&
            bytes_equal_text(device, session->peer.who.device) && !dtls_session_holds(session->dtls))
            revoke(session);
    }
}

/* Rare enough to walk. */
static void revoke_tenant(struct sessions *sessions, struct bytes tenant)
{
    for (struct session *session = sessions->ages[ESTABLISHED].oldest, *next; session; session = next) {
        next = session->newer;
        if (bytes_equal_text(tenant, session->peer.who.tenant) && !dtls_session_holds(session->dtls))
            revoke(session);
    }
}

void sessions_review(struct sessions *sessions, struct bytes tenant, struct bytes device)
{
    if (device.len)
        revoke_device(sessions, tenant, device);
    else
        revoke_tenant(sessions, tenant);
}

void sessions_end(struct sessions *sessions, uint64_t serial)
{
    struct index_link *link = index_first(&sessions->tables[BY_SERIAL], serial_hash(serial));
    while (link && session_of(link, BY_SERIAL)->serial != serial)
        link = index_next(link);
    if (link) /* else it ended by itself in the meantime */
        evict(session_of(link, BY_SERIAL));
}

/* Lifecycle */

struct sessions *sessions_new(const struct sessions_environment *environment)
{
    struct sessions *sessions = calloc(1, sizeof *sessions);
    if (!sessions)
        return NULL;
    sessions->env = *environment;
    sessions->next_serial = 1;
    for (enum lookup table = 0; table < TABLE_COUNT; table++)
        if (!index_init(&sessions->tables[table])) {
            sessions_free(sessions);
            return NULL;
        }
    return sessions;
}

void sessions_free(struct sessions *sessions)
{
    if (!sessions)
        return;
    for (enum state state = 0; state < STATE_COUNT; state++)
        while (sessions->ages[state].oldest)
            session_free(sessions->ages[state].oldest, true);
    for (enum lookup table = 0; table < TABLE_COUNT; table++)
        index_deinit(&sessions->tables[table]);
    free(sessions);
}
