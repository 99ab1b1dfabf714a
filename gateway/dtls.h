// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * DTLS 1.2 and 1.3 records and handshakes by wolfSSL, which no other file knows.
 *
 * One struct dtls per worker holds the contexts, the listeners and the cookie secrets; one struct dtls_session per
 * live association. It has no sockets and no table: session feeds it datagrams and takes away datagrams, and asks
 * for a moment's worth of time. Allow-list: PSK with AES-128-CCM_8, CCM, GCM; ECDHE-PSK with AES-128-GCM and
 * ChaCha20-Poly1305; ECDHE-ECDSA with AES-128-CCM_8, GCM; DTLS 1.3 AES-128-GCM, ChaCha20-Poly1305; P-256, P-384,
 * X25519. No renegotiation. Unknown identity and wrong key look the same. A PSK identity is TENANT/DEVICE, or
 * TENANT/DEVICE/KEY where the device has several keys and says which.
 */
#pragma once

#include "gateway/address.h"
#include "gateway/identity.h"
#include "gateway/rt/metrics.h"
#include "gateway/settings.h"
#include "registry/registry.h"

#define DTLS_CID_BYTES 8 /* ours: byte 0 modulo the number of workers is the owner */
#define DTLS_RANDOM_BYTES 32

struct dtls;
struct dtls_session;

/* What a datagram to a coaps port is, judged without any state. */
enum dtls_kind {
    DTLS_JUNK,
    DTLS_CLIENT_HELLO, /* begins with a plain client_hello */
    DTLS_CID_RECORD,   /* one of its records carries a CID of our length (type 25, or a unified header of 1.3) */
    DTLS_RECORD,       /* any other records */
};
/* ret_cid is set for DTLS_CID_RECORD and points into the datagram. */
enum dtls_kind dtls_classify(struct bytes datagram, struct bytes *ret_cid);

/* Whether its first record belongs to a handshake rather than to the data of an established association. */
bool dtls_record_is_handshake(struct bytes datagram);

/* What a ClientHello tells before anything is believed. */
struct dtls_hello_view {
    struct bytes random; /* DTLS_RANDOM_BYTES, in the datagram: the same in its repetitions */
    bool has_cookie;     /* of either version */
    bool wants_raw_key;  /* can read a raw public key of the server, and no certificate (RFC 7250) */
    bool offers_aes_13;  /* TLS_AES_128_GCM_SHA256 */
    bool psk_identity_has_nul; /* DTLS 1.3 */
};
/* False: not a ClientHello that is there in one piece. */
bool dtls_hello_read(struct bytes datagram, struct dtls_hello_view *ret);

/* Prepares the library once per process; before any thread. */
bool dtls_global_init(void);

/* Contexts from the settings; makes the self-signed certificate in state_dir when none is set and none is there. All
 * arguments are borrowed. Nothing is answered before the first dtls_rotate_cookie. NULL: reterr says why. */
struct dtls *dtls_new(const struct settings *settings, const struct registry *registry, struct metrics *metrics,
                      unsigned worker_index, unsigned worker_count, char reterr[static SETTINGS_ERROR_MAX]);
void dtls_free(struct dtls *dtls);

/* Unix seconds, which the caller tells again and again: credentials have a time in which they are good. */
void dtls_set_time(struct dtls *dtls, int64_t now_s);
/* Which of its keys a device means is remembered there, together with other workers; before the first hello. Borrowed.
 * Without it each remembers by itself. */
struct dtls_choice;
void dtls_share_choice(struct dtls *dtls, struct dtls_choice *choice);

/* The caller gives a new cookie secret every 60 s; the previous one is valid for one more period. It must be the same
 * for all workers at one time, because a hello may reach another worker than its cookie came from. 32 bytes. */
void dtls_rotate_cookie(struct dtls *dtls, const uint8_t secret[static 32]);

/* Where datagrams to a peer go while a call runs. */
struct dtls_output {
    void (*send)(void *ctx, struct bytes datagram);
    void *ctx;
};

/*
 * A ClientHello of somebody unknown. NULL: it was answered with a cookie (at most as many bytes as came in), or was
 * dropped or over the rates of the settings; nothing was kept. Else its cookie was right: a new session that is
 * shaking hands, owned by the caller; the next flight was sent. now_ms: monotonic, as in all calls.
 */
struct dtls_session *dtls_hello(struct dtls *dtls, const struct address *remote, struct bytes datagram,
                                uint64_t now_ms, struct dtls_output output);

enum dtls_event {
    DTLS_NOTHING,     /* nothing for the caller: handshake goes on, retransmission, junk, replay, bad MAC (counted) */
    DTLS_ESTABLISHED, /* the handshake is done, dtls_session_identity is known; there may be data too: call again */
    DTLS_DATA,        /* a message was received: *ret_message, valid until the next receive of this worker */
    DTLS_CLOSED,      /* the peer closed, or the handshake failed: free the session */
};

/*
 * Feeds one datagram, or empty bytes to go on with what is left of the last one: call until DTLS_NOTHING or
 * DTLS_CLOSED. With DTLS_DATA *ret_newest says whether the record is newer than all before; that it is authentic is
 * sure. The datagram must stay until then.
 */
enum dtls_event dtls_session_receive(struct dtls_session *session, struct bytes datagram, uint64_t now_ms,
                                     struct dtls_output output, struct bytes *ret_message, bool *ret_newest);
/* Encrypts one message. False: the session is broken, free it. */
bool dtls_session_send(struct dtls_session *session, struct bytes message, struct dtls_output output);
/* When to call dtls_session_timeout, UINT64_MAX for never. */
uint64_t dtls_session_deadline(const struct dtls_session *session);
/* Retransmits the flight. False: gave up, or what it was proved with is no longer good (dtls_session_holds): free the
 * session. */
bool dtls_session_timeout(struct dtls_session *session, uint64_t now_ms, struct dtls_output output);
/* Sends close_notify if established. Frees. NULL is fine. */
void dtls_session_free(struct dtls_session *session, struct dtls_output *output);

bool dtls_session_is_established(const struct dtls_session *session);
/* The CID that was offered to the peer; it writes it in its records if dtls_session_uses_cid. */
struct bytes dtls_session_cid(const struct dtls_session *session);
/* Whether the peer took it; known once established. */
bool dtls_session_uses_cid(const struct dtls_session *session);
/* Who it is; valid once established. key: the credential's id; empty: a key that is derived from its group's. */
const struct identity *dtls_session_identity(const struct dtls_session *session);
/* Why a handshake that did not get to its end may have failed, for people: a static sentence, and whom it
 * named. NULL: it was established, or named no device that the registry has. */
const char *dtls_session_failure(const struct dtls_session *session, struct identity *ret);
/* Whether it may still speak in its role with what it was proved with, as the registry and the time now stand. */
bool dtls_session_holds(const struct dtls_session *session);
/* "DTLS1.2 TLS_PSK_WITH_AES_128_CCM_8", static or in the session. */
const char *dtls_session_suite(const struct dtls_session *session);
