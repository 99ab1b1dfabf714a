// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * DTLS of one worker: contexts, cookie secrets, listeners, and the way of a ClientHello.
 *
 * A listener is a session object that answers ClientHellos without remembering them; the one whose cookie comes back
 * right becomes the session, and a new listener takes its place at the next hello. There is one per cookie secret and
 * per face of the server. wolfSSL_dtls_set_peer comes before every stateless accept, or the cookie would be bound to
 * nothing. A hello with a cookie that the current secret did not make is shown to the previous secret's listener; what
 * the first one answered is held back until then.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>

#include "gateway/dtls_private.h"
#include "gateway/rt/random.h"

#include <stdio.h>
#include <stdlib.h>

bool dtls_global_init(void)
{
    return wolfSSL_Init() == WOLFSSL_SUCCESS;
}

static void drop_listeners(struct dtls *dtls, unsigned secret)
{
    for (unsigned face = 0; face < DTLS_FACE_COUNT; face++) {
        dtls_session_free(dtls->listeners[secret][face], NULL);
        dtls->listeners[secret][face] = NULL;
    }
}

void dtls_rotate_cookie(struct dtls *dtls, const uint8_t secret[static 32])
{
    drop_listeners(dtls, DTLS_SECRET_PREVIOUS);
    for (unsigned face = 0; face < DTLS_FACE_COUNT; face++) {
        dtls->listeners[DTLS_SECRET_PREVIOUS][face] = dtls->listeners[DTLS_SECRET_CURRENT][face];
        dtls->listeners[DTLS_SECRET_CURRENT][face] = NULL;
    }
    memcpy(dtls->secrets[DTLS_SECRET_PREVIOUS], dtls->secrets[DTLS_SECRET_CURRENT], DTLS_SECRET_BYTES);
    dtls->has_secret[DTLS_SECRET_PREVIOUS] = dtls->has_secret[DTLS_SECRET_CURRENT];
    memcpy(dtls->secrets[DTLS_SECRET_CURRENT], secret, DTLS_SECRET_BYTES);
    dtls->has_secret[DTLS_SECRET_CURRENT] = true;
}

static void init_limiters(struct dtls *dtls)
{
    const struct settings *settings = dtls->settings;
    limiter_init(&dtls->handshakes, settings->dtls_handshakes_per_s, 1000);
    limiter_init(&dtls->networks, settings->dtls_handshakes_per_network_per_s, 1000);
    limiter_init(&dtls->devices, settings->dtls_handshakes_per_identity_per_minute, 60000);
}

static void drop_choice(struct dtls *dtls)
{
    if (dtls->owns_choice)
        dtls_choice_free(dtls->choice);
}

static bool make_choice(struct dtls *dtls)
{
    struct hash_key key;
    random_bytes(&key, sizeof key);
    dtls->hash_key = key;
    dtls->choice = dtls_choice_new(&key);
    dtls->owns_choice = true;
    return dtls->choice != NULL;
}

void dtls_share_choice(struct dtls *dtls, struct dtls_choice *choice)
{
    drop_choice(dtls);
    dtls->choice = choice;
    dtls->owns_choice = false;
    dtls->hash_key = *dtls_choice_key(choice);
}

void dtls_set_time(struct dtls *dtls, int64_t now_s)
{
    dtls->wall_s = now_s;
}

struct dtls *dtls_new(const struct settings *settings, const struct registry *registry, struct metrics *metrics,
                      unsigned worker_index, unsigned worker_count, char reterr[static SETTINGS_ERROR_MAX])
{
    struct dtls *dtls = calloc(1, sizeof *dtls);
    if (!dtls) {
        snprintf(reterr, SETTINGS_ERROR_MAX, "out of memory");
        return NULL;
    }
    dtls->settings = settings;
    dtls->registry = registry;
    dtls->metrics = metrics;
    dtls->worker_index = worker_index;
    dtls->worker_count = worker_count;
    random_bytes(dtls->dummy_key, sizeof dtls->dummy_key);
    init_limiters(dtls);
    if (!make_choice(dtls) || !(dtls->trust = dtls_trust_new(settings, reterr))) {
        dtls_free(dtls);
        return NULL;
    }
    for (enum dtls_face face = 0; face < DTLS_FACE_COUNT; face++) {
        dtls->contexts[face] = dtls_context_new(settings, face, reterr);
        if (!dtls->contexts[face]) {
            dtls_free(dtls);
            return NULL;
        }
    }
    return dtls;
}

void dtls_free(struct dtls *dtls)
{
    if (!dtls)
        return;
    drop_listeners(dtls, DTLS_SECRET_CURRENT);
    drop_listeners(dtls, DTLS_SECRET_PREVIOUS);
    for (unsigned face = 0; face < DTLS_FACE_COUNT; face++)
        dtls_context_free(dtls->contexts[face]);
    dtls_trust_free(dtls->trust);
    drop_choice(dtls);
    explicit_bzero(dtls, sizeof *dtls);
    free(dtls);
}

/* What a listener wants to send, held back until it is known whether it may. */
struct held {
    uint8_t data[ENDPOINT_DATAGRAM_MAX];
    size_t len;
    unsigned datagrams;
};

static void hold(void *ctx, struct bytes datagram)
{
    struct held *held = ctx;
    held->datagrams++;
    held->len = datagram.len <= sizeof held->data ? datagram.len : 0;
    memcpy(held->data, datagram.ptr, held->len);
}

enum verdict { HELLO_GOOD, HELLO_CHALLENGED, HELLO_REFUSED };

/* Cookies are compared as bytes, so the address must have one form: no flow label, no padding. */
static struct address plain_form(const struct address *remote)
{
    struct address form;
    memset(&form, 0, sizeof form);
    if (remote->any.sa_family == AF_INET6) {
        form.in6.sin6_family = AF_INET6;
        form.in6.sin6_port = remote->in6.sin6_port;
        form.in6.sin6_addr = remote->in6.sin6_addr;
        form.in6.sin6_scope_id = remote->in6.sin6_scope_id;
    } else {
        form.in.sin_family = AF_INET;
        form.in.sin_port = remote->in.sin_port;
        form.in.sin_addr = remote->in.sin_addr;
    }
    return form;
}

static enum verdict show_to(struct dtls_session *session, const struct address *remote, struct bytes datagram,
                            struct held *held)
{
    struct dtls_output output = {.send = hold, .ctx = held};
    struct address peer = plain_form(remote);
    held->len = held->datagrams = 0;
    session->rest = datagram;
    session->output = &output;
    int result = WOLFSSL_FATAL_ERROR;
    if (wolfSSL_dtls_set_peer(session->ssl, &peer, address_len(&peer)) == WOLFSSL_SUCCESS)
        result = wolfDTLS_accept_stateless(session->ssl);
    session->rest = (struct bytes){0};
    session->output = NULL;
    if (result == WOLFSSL_SUCCESS)
        return HELLO_GOOD;
    return result == WOLFSSL_FAILURE ? HELLO_CHALLENGED : HELLO_REFUSED;
}

/* Takes the listener out of its place if the hello was good or broke it. Listeners are made when they are needed: most
 * sites never see a raw-key client. */
static enum verdict try_listener(struct dtls *dtls, unsigned secret, const struct dtls_hello_view *hello,
                                 const struct address *remote, struct bytes datagram, struct held *held,
                                 struct dtls_session **ret)
{
    enum dtls_face face = hello->wants_raw_key ? DTLS_FACE_RPK : DTLS_FACE_X509;
    struct dtls_session **slot = &dtls->listeners[secret][face], *session;
    if (!*slot && dtls->has_secret[secret])
        *slot = dtls_session_new(dtls, face, dtls->secrets[secret]);
    session = *slot;
    if (!session)
        return HELLO_REFUSED;
    session->psk_identity_is_bad = hello->psk_identity_has_nul;
    session->offers_aes_13 = hello->offers_aes_13;
    session->network = address_network_hash(&dtls->hash_key, remote);
    session->turn = (struct dtls_turn){0};
    enum verdict verdict = show_to(session, remote, datagram, held);
    if (verdict == HELLO_CHALLENGED)
        return verdict;
    *slot = NULL;
    if (verdict == HELLO_GOOD)
        *ret = session;
    else
        dtls_session_free(session, NULL);
    return verdict;
}

static bool may_begin(const struct dtls *dtls, uint64_t network)
{
    return limiter_allows(&dtls->handshakes, 0, dtls->now_ms) && limiter_allows(&dtls->networks, network, dtls->now_ms);
}

/* One datagram, no longer than what came in: nobody can be flooded through us. */
static void challenge(struct dtls *dtls, const struct held *held, size_t limit, struct dtls_output output)
{
    if (held->datagrams != 1 || held->len == 0 || held->len > limit) {
        metrics_add(dtls->metrics, METRIC_DROP_BAD_RECORD, 1);
        return;
    }
    output.send(output.ctx, bytes_of(held->data, held->len));
    metrics_add(dtls->metrics, METRIC_HELLO_CHALLENGED, 1);
}

struct dtls_session *dtls_hello(struct dtls *dtls, const struct address *remote, struct bytes datagram,
                                uint64_t now_ms, struct dtls_output output)
{
    struct dtls_hello_view hello;
    struct held answer, ignored;
    struct dtls_session *session = NULL;
    uint64_t network = address_network_hash(&dtls->hash_key, remote);
    dtls->now_ms = now_ms;
    if (!dtls_hello_read(datagram, &hello)) {
        metrics_add(dtls->metrics, METRIC_DROP_BAD_RECORD, 1);
        return NULL;
    }
    /* Only those who show a cookie can have used up a rate; a challenge costs next to nothing. */
    if (hello.has_cookie && !may_begin(dtls, network)) {
        metrics_add(dtls->metrics, METRIC_HANDSHAKE_LIMITED, 1);
        return NULL;
    }
    enum verdict verdict = try_listener(dtls, DTLS_SECRET_CURRENT, &hello, remote, datagram, &answer, &session);
    if (verdict != HELLO_GOOD && hello.has_cookie && dtls->has_secret[DTLS_SECRET_PREVIOUS] &&
        try_listener(dtls, DTLS_SECRET_PREVIOUS, &hello, remote, datagram, &ignored, &session) == HELLO_GOOD)
        verdict = HELLO_GOOD;
    if (verdict != HELLO_GOOD) {
        challenge(dtls, &answer, verdict == HELLO_CHALLENGED ? datagram.len : 0, output);
        return NULL;
    }
    limiter_take(&dtls->handshakes, 0, now_ms);
    limiter_take(&dtls->networks, network, now_ms);
    if (dtls_session_begin(session, now_ms, output))
        return session;
    metrics_add(dtls->metrics, METRIC_HANDSHAKE_FAILED, 1);
    dtls_session_free(session, NULL);
    return NULL;
}
