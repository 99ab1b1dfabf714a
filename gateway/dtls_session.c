// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The life of an association: handshake, records, close.
 *
 * What reaches the library is screened first (is_wanted): an established association takes nothing that is not
 * encrypted with its own keys and marked with its own CID, so that no stranger's plain alert, hello or garbage can
 * change its state (RFC 6347 4.1.2.7, RFC 9146 section 4). What fails authentication is dropped and counted and the
 * association lives on. Nothing here waits and nothing knows a socket or a clock.
 */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>

#include "gateway/dtls_private.h"
#include "gateway/rt/random.h"

#include <stdlib.h>

#define FLIGHT_TIMEOUT_S 1 /* RFC 6347 4.2.4.1 */
#define FLIGHT_TIMEOUT_MAX_S 60
#define HANDSHAKE_HEADER_BYTES 12 /* RFC 6347 4.2.2 */
#define PLAIN_JUMP_MAX 48
#define RECHECK_MAX_MS 60000 /* the wall clock may be set meanwhile */
#define EPOCH_12 1 /* the only encrypted one: there is no renegotiation */

/* What a handshake sends is cut to HANDSHAKE_MTU (IPv6's smallest without its headers and UDP's); what it reads may be
 * as long as an Ethernet frame, because others do not cut so small. RECORD_SLACK: header, CID, nonce, tag, padding; and
 * more than an alert or an acknowledgement needs. */
#define HANDSHAKE_MTU 1232
#define HANDSHAKE_MTU_MAX 1472
#define RECORD_SLACK 256

/* Byte 0 names the worker: index + k * count, so that any number of workers up to 256 can read it off. */
static void make_cid(const struct dtls *dtls, uint8_t cid[static DTLS_CID_BYTES])
{
    random_bytes(cid, DTLS_CID_BYTES);
    unsigned rows = (256 - dtls->worker_index + dtls->worker_count - 1) / dtls->worker_count;
    cid[0] = (uint8_t)(dtls->worker_index + cid[0] % rows * dtls->worker_count);
}

static bool prepare(struct dtls_session *session, const uint8_t *secret)
{
    WOLFSSL *ssl = session->ssl;
    make_cid(session->owner, session->cid);
    wolfSSL_SetIOReadCtx(ssl, session);
    wolfSSL_SetIOWriteCtx(ssl, session);
    wolfSSL_SetCertCbCtx(ssl, session);
    wolfSSL_dtls_set_using_nonblock(ssl, 1);
    if (session->owner->settings->dtls13 &&
        wolfSSL_send_hrr_cookie(ssl, secret, DTLS_SECRET_BYTES) != WOLFSSL_SUCCESS)
        return false;
    return wolfSSL_DTLS_SetCookieSecret(ssl, secret, DTLS_SECRET_BYTES) == 0 &&
           wolfSSL_dtls_set_timeout_init(ssl, FLIGHT_TIMEOUT_S) == WOLFSSL_SUCCESS &&
           wolfSSL_dtls_set_timeout_max(ssl, FLIGHT_TIMEOUT_MAX_S) == WOLFSSL_SUCCESS &&
           wolfSSL_dtls_set_mtu(ssl, HANDSHAKE_MTU) == WOLFSSL_SUCCESS &&
           wolfSSL_dtls_cid_use(ssl) == WOLFSSL_SUCCESS &&
           wolfSSL_dtls_cid_set(ssl, session->cid, DTLS_CID_BYTES) == WOLFSSL_SUCCESS;
}

struct dtls_session *dtls_session_new(struct dtls *dtls, enum dtls_face face, const uint8_t *secret)
{
    struct dtls_session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->owner = dtls;
    session->deadline_ms = session->recheck_ms = UINT64_MAX;
    session->ssl = wolfSSL_new(dtls->contexts[face]);
    if (!session->ssl || !prepare(session, secret)) {
        dtls_session_free(session, NULL);
        return NULL;
    }
    return session;
}

void dtls_session_free(struct dtls_session *session, struct dtls_output *output)
{
    if (!session)
        return;
    session->output = output;
    session->rest = (struct bytes){0};
    if (output && session->established)
        wolfSSL_shutdown(session->ssl);
    session->output = NULL;
    wolfSSL_free(session->ssl);
    explicit_bzero(session, sizeof *session);
    free(session);
}

/* Screening */

/* An encrypted record must have the CID if one was agreed on, and must not have one if not (RFC 9146 section 4). */
static bool has_right_cid(const struct dtls_session *session, const struct dtls_record *record)
{
    return session->uses_cid ? bytes_equal(record->cid, bytes_of(session->cid, sizeof session->cid))
                             : record->cid.len == 0;
}

/* Messages that a client sends in the clear (RFC 5246 7.4), whole or the first part of a fragment. */
static bool is_plain_handshake(struct bytes body)
{
    static const uint8_t types[] = {1, 11, 15, 16}; /* hello, certificate, certificate_verify, client_key_exchange */
    return body.len >= HANDSHAKE_HEADER_BYTES && memchr(types, body.ptr[0], sizeof types);
}

/* A plain record "authenticates" by itself, so one with a far number would close the library's replay window for the
 * client's own records. A handshake has few of them; a jump is nobody's. */
static bool is_near(struct dtls_session *session, const struct dtls_record *record)
{
    uint64_t number = 0;
    for (unsigned i = 5; i < 11; i++)
        number = number << 8 | record->whole.ptr[i];
    if (number > session->plain_newest + PLAIN_JUMP_MAX)
        return false;
    if (number > session->plain_newest)
        session->plain_newest = number;
    return true;
}

/* Anybody can send a plain record in the client's name, and what the library cannot use ends the handshake.
 * So only what a client can have to say gets there; alerts are nobody's, and a handshake that fails expires
 * by itself. */
static bool is_wanted_plain(struct dtls_session *session, const struct dtls_record *record)
{
    bool begun = session->begun_ms != 0; /* before, the library looks at hellos only */
    if (session->established)
        return false;
    switch (record->content) {
    case DTLS_CONTENT_CHANGE_CIPHER_SPEC:
        return record->body.len == 1 && record->body.ptr[0] == 1 && is_near(session, record);
    case DTLS_CONTENT_ACK:
        return session->version13 && is_near(session, record);
    case DTLS_CONTENT_HANDSHAKE:
        return is_plain_handshake(record->body) && (!begun || is_near(session, record));
    default:
        return false;
    }
}

static bool is_wanted(struct dtls_session *session, const struct dtls_record *record)
{
    if (!record->unified && record->epoch == 0)
        return is_wanted_plain(session, record);
    if (session->version13 != record->unified)
        return false;
    return (record->unified || record->epoch == EPOCH_12) && has_right_cid(session, record);
}

int dtls_session_io_read(WOLFSSL *ssl, char *buffer, int size, void *ctx)
{
    (void)ssl;
    struct dtls_session *session = ctx;
    struct dtls_record record;
    while (dtls_record_take(&session->rest, &record)) {
        size_t identity_len;
        if (!is_wanted(session, &record) || record.whole.len > (size_t)size) {
            metrics_add(session->owner->metrics, METRIC_DROP_BAD_RECORD, 1);
            continue;
        }
        if (dtls_record_psk_identity_len(&record, &identity_len))
            session->psk_identity_len = (uint16_t)identity_len;
        memcpy(buffer, record.whole.ptr, record.whole.len);
        session->took = true;
        return (int)record.whole.len;
    }
    return WOLFSSL_CBIO_ERR_WANT_READ;
}

int dtls_session_io_write(WOLFSSL *ssl, char *buffer, int size, void *ctx)
{
    (void)ssl;
    struct dtls_session *session = ctx;
    if (session->output)
        session->output->send(session->output->ctx, bytes_of(buffer, (size_t)size));
    session->sent = true;
    return size;
}

/* Handshake */

/* DTLS 1.3 has a shorter wait too, after which it only tells what it has got (RFC 9147 7.1). */
static void start_timer(struct dtls_session *session, uint64_t now_ms)
{
    uint64_t wait_ms = (uint64_t)wolfSSL_dtls_get_current_timeout(session->ssl) * 1000;
    session->deadline_ms = now_ms + (wolfSSL_dtls13_use_quick_timeout(session->ssl) ? wait_ms / 4 : wait_ms);
}

/* Whoever got through without being named is nobody: a certificate suite without a certificate, or a key that was
 * named and then not used. And the device may have been disabled since it was named. */
static bool is_proved(const struct dtls_session *session)
{
    const struct identity *who = &session->who;
    bool psk = who->evidence == EVIDENCE_PSK;
    return who->kind != IDENTITY_NONE && psk == dtls_library_used_psk(session->ssl) && dtls_identity_holds(session);
}

/* To look again when its credential ends. */
static void set_recheck(struct dtls_session *session, uint64_t now_ms)
{
    int64_t left_s = session->proof.not_after_s - session->owner->wall_s;
    if (session->proof.not_after_s == 0)
        return;
    uint64_t wait_ms = left_s > 0 ? (uint64_t)left_s * 1000 : 0;
    session->recheck_ms = now_ms + (wait_ms < RECHECK_MAX_MS ? wait_ms : RECHECK_MAX_MS);
}

static enum dtls_event finish_handshake(struct dtls_session *session)
{
    struct dtls *dtls = session->owner;
    uint64_t device = dtls_identity_hash(dtls, session->who.tenant, session->who.device);
    session->established = true;
    session->deadline_ms = UINT64_MAX;
    session->suite = (uint16_t)wolfSSL_get_current_cipher_suite(session->ssl);
    if (!is_proved(session) || !limiter_allows(&dtls->devices, device, dtls->now_ms))
        return DTLS_CLOSED;
    limiter_take(&dtls->devices, device, dtls->now_ms);
    dtls_identity_proved(session);
    set_recheck(session, dtls->now_ms);
    return DTLS_ESTABLISHED;
}

static enum dtls_event shake_hands(struct dtls_session *session, uint64_t now_ms)
{
    session->sent = false;
    int result = wolfSSL_accept(session->ssl);
    if (result == WOLFSSL_SUCCESS)
        return finish_handshake(session);
    if (wolfSSL_get_error(session->ssl, result) != WOLFSSL_ERROR_WANT_READ)
        return DTLS_CLOSED;
    if (session->sent)
        start_timer(session, now_ms);
    return DTLS_NOTHING;
}

bool dtls_session_begin(struct dtls_session *session, uint64_t now_ms, struct dtls_output output)
{
    unsigned int cid_len = 0;
    session->begun_ms = now_ms;
    start_timer(session, now_ms);
    session->output = &output;
    enum dtls_event event = shake_hands(session, now_ms);
    session->output = NULL;
    session->version13 = dtls_library_is_13(session->ssl);
    session->uses_cid = wolfSSL_dtls_cid_is_enabled(session->ssl) &&
                        wolfSSL_dtls_cid_get_rx_size(session->ssl, &cid_len) == WOLFSSL_SUCCESS &&
                        cid_len == DTLS_CID_BYTES;
    return event == DTLS_NOTHING;
}

/* Data */

static bool is_newest(struct dtls_session *session)
{
    struct dtls_number number = dtls_library_number(session->ssl), *newest = &session->newest;
    if (number.epoch < newest->epoch || (number.epoch == newest->epoch && number.sequence < newest->sequence))
        return false;
    /* Equal is possible only for the very first, number 0: the library's window lets no number through twice. */
    *newest = number;
    return true;
}

/* Counts what the library has thrown away since the last time; returns how many. */
static uint32_t count_dropped(struct dtls_session *session)
{
    word32 dropped = session->dropped; /* forged ones are among them */
    (void)wolfSSL_dtls_get_drop_stats(session->ssl, NULL, &dropped);
    uint32_t fresh = dropped - session->dropped;
    metrics_add(session->owner->metrics, METRIC_DROP_BAD_RECORD, fresh);
    session->dropped = dropped;
    return fresh;
}

/* An authentic record of DTLS 1.2 without data is the client's Finished again: it has not got ours. The library would
 * repeat it only for the plain messages that come before the Finished, which anybody could send. After the first data
 * it has nothing left to repeat. */
static void repeat_last_flight(struct dtls_session *session)
{
    if (!session->version13)
        (void)wolfSSL_dtls_got_timeout(session->ssl);
}

/* An acknowledgement of DTLS 1.3 that is still missing is the only thing to wait for. */
static void wait_for_ack(struct dtls_session *session, uint64_t now_ms)
{
    if (!dtls_library_awaits_ack(session->ssl))
        session->deadline_ms = UINT64_MAX;
    else if (session->deadline_ms == UINT64_MAX)
        start_timer(session, now_ms);
}

static enum dtls_event read_data(struct dtls_session *session, uint64_t now_ms, struct bytes *ret_message,
                                 bool *ret_newest)
{
    struct dtls *dtls = session->owner;
    session->took = false;
    int len = wolfSSL_read(session->ssl, dtls->plaintext, sizeof dtls->plaintext);
    if (len > 0) {
        *ret_message = bytes_of(dtls->plaintext, (size_t)len);
        *ret_newest = is_newest(session);
        wait_for_ack(session, now_ms);
        return DTLS_DATA;
    }
    uint32_t dropped = count_dropped(session);
    if (wolfSSL_get_error(session->ssl, len) != WOLFSSL_ERROR_WANT_READ)
        return DTLS_CLOSED;
    if (session->took && dropped == 0)
        repeat_last_flight(session);
    wait_for_ack(session, now_ms);
    return DTLS_NOTHING;
}

/* The library's read buffer is as large as the MTU. */
static void fit_mtu(struct dtls_session *session)
{
    size_t most = session->established ? ENDPOINT_DATAGRAM_MAX : HANDSHAKE_MTU_MAX;
    size_t least = session->established ? RECORD_SLACK : HANDSHAKE_MTU, len = session->rest.len;
    wolfSSL_dtls_set_mtu(session->ssl, (uint16_t)(len < least ? least : len > most ? most : len));
}

enum dtls_event dtls_session_receive(struct dtls_session *session, struct bytes datagram, uint64_t now_ms,
                                     struct dtls_output output, struct bytes *ret_message, bool *ret_newest)
{
    if (datagram.len)
        session->rest = datagram;
    if (session->established && session->rest.len == 0)
        return DTLS_NOTHING; /* a record is read whole, so the library holds nothing back */
    session->owner->now_ms = now_ms;
    session->output = &output;
    fit_mtu(session);
    enum dtls_event event = session->established ? read_data(session, now_ms, ret_message, ret_newest)
                                                 : shake_hands(session, now_ms);
    session->output = NULL;
    if (event == DTLS_NOTHING || event == DTLS_CLOSED)
        session->rest = (struct bytes){0};
    return event;
}

bool dtls_session_send(struct dtls_session *session, struct bytes message, struct dtls_output output)
{
    if (!session->established || message.len > ENDPOINT_DATAGRAM_MAX)
        return false;
    const struct dtls_output *before = session->output; /* an answer may be made while a record is being read */
    session->output = &output;
    wolfSSL_dtls_set_mtu(session->ssl, (uint16_t)(message.len + RECORD_SLACK));
    int sent = wolfSSL_write(session->ssl, message.ptr, (int)message.len);
    session->output = before;
    return sent == (int)message.len;
}

/* Time */

static uint64_t expires_ms(const struct dtls_session *session)
{
    return session->established ? UINT64_MAX : session->begun_ms + session->owner->settings->dtls_handshake_timeout_ms;
}

uint64_t dtls_session_deadline(const struct dtls_session *session)
{
    uint64_t first_ms = session->deadline_ms;
    if (expires_ms(session) < first_ms)
        first_ms = expires_ms(session);
    return session->recheck_ms < first_ms ? session->recheck_ms : first_ms;
}

bool dtls_session_timeout(struct dtls_session *session, uint64_t now_ms, struct dtls_output output)
{
    if (now_ms >= expires_ms(session))
        return false;
    if (now_ms >= session->recheck_ms) {
        if (!dtls_identity_holds(session))
            return false;
        set_recheck(session, now_ms);
    }
    if (now_ms < session->deadline_ms)
        return true;
    session->owner->now_ms = now_ms;
    session->output = &output;
    int result = wolfSSL_dtls_got_timeout(session->ssl);
    session->output = NULL;
    start_timer(session, now_ms);
    return result == WOLFSSL_SUCCESS;
}

/* Looking at it */

bool dtls_session_is_established(const struct dtls_session *session)
{
    return session->established;
}

struct bytes dtls_session_cid(const struct dtls_session *session)
{
    return bytes_of(session->cid, sizeof session->cid);
}

bool dtls_session_uses_cid(const struct dtls_session *session)
{
    return session->uses_cid;
}

const struct identity *dtls_session_identity(const struct dtls_session *session)
{
    return &session->who;
}

const char *dtls_session_failure(const struct dtls_session *session, struct identity *ret)
{
    bool is_known = session->who.kind == IDENTITY_DEVICE || session->who.kind == IDENTITY_OPERATOR;
    if (session->established || (!is_known && !session->named.device[0]))
        return NULL;
    *ret = is_known ? session->who : session->named;
    return is_known ? "The handshake was not finished: most likely the device has another key than the registry."
                    : session->failure;
}

bool dtls_session_holds(const struct dtls_session *session)
{
    return dtls_identity_holds(session);
}

/* The allow-list, by the names of the IANA registry. */
static const struct {
    uint16_t suite;
    const char *text;
} suite_texts[] = {
    {0x1301, "DTLS1.3 TLS_AES_128_GCM_SHA256"},
    {0x1303, "DTLS1.3 TLS_CHACHA20_POLY1305_SHA256"},
    {0x00a8, "DTLS1.2 TLS_PSK_WITH_AES_128_GCM_SHA256"},
    {0xc0a4, "DTLS1.2 TLS_PSK_WITH_AES_128_CCM"},
    {0xc0a8, "DTLS1.2 TLS_PSK_WITH_AES_128_CCM_8"},
    {0xd001, "DTLS1.2 TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256"},
    {0xccac, "DTLS1.2 TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"},
    {0xc02b, "DTLS1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {0xc0ae, "DTLS1.2 TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"},
};

const char *dtls_session_suite(const struct dtls_session *session)
{
    for (size_t i = 0; i < sizeof suite_texts / sizeof suite_texts[0]; i++)
        if (suite_texts[i].suite == session->suite)
            return suite_texts[i].text;
    return "unknown";
}
