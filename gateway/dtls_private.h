// SPDX-License-Identifier: GPL-3.0-or-later
/* What the files of dtls share and nobody else sees. wolfSSL's types are only named here, not included. */
#pragma once

#include "gateway/dtls.h"
#include "gateway/dtls_choice.h"
#include "gateway/dtls_library.h"
#include "gateway/dtls_record.h"
#include "gateway/endpoint.h"
#include "gateway/limiter.h"

struct DecodedCert;
struct WOLFSSL;
struct WOLFSSL_CTX;
struct WOLFSSL_X509_STORE_CTX;
struct dtls_trust;

/* How the server shows itself: decided by what the ClientHello can read (RFC 7250). */
enum dtls_face { DTLS_FACE_X509, DTLS_FACE_RPK, DTLS_FACE_COUNT };

enum { DTLS_SECRET_CURRENT, DTLS_SECRET_PREVIOUS, DTLS_SECRET_COUNT };

#define DTLS_SECRET_BYTES 32

/* What a session rests on. */
struct dtls_proof {
    uint64_t material;   /* hash of the credential's key, or of the group's */
    uint64_t rights;     /* hash of what the device may do */
    int64_t not_after_s; /* of the credential; 0: no bound */
    bool is_derived;     /* from a group's key */
    bool is_of_ca;       /* by a certificate of one of the tenant's own authorities */
    uint8_t issuer[CREDENTIAL_DIGEST_BYTES]; /* is_of_ca: that one's SubjectPublicKeyInfo */
};

/* Which of several keys of its device a handshake has got. */
struct dtls_turn {
    bool is_one_of_several, is_spent;
    struct dtls_choice_who who;
    struct dtls_choice_state state;
    uint64_t candidate;
};

/*
 * One association. A listener is a session that has not met its hello yet.
 *
 * The library pulls: while a call runs it takes record after record from rest through the read callback, which lets
 * through only what this association can want in its state, and puts datagrams to output.
 */
struct dtls_session {
    struct dtls *owner;
    struct WOLFSSL *ssl;
    uint8_t cid[DTLS_CID_BYTES];
    struct bytes rest;                /* records of the datagram that the library has not taken yet */
    const struct dtls_output *output; /* NULL outside of calls: what is sent then is lost, as UDP may */
    bool established;
    bool uses_cid;             /* known once the hello was read */
    bool version13;            /* the same */
    bool sent;                 /* something was sent in this call: the retransmission timer begins anew */
    bool took;                 /* the library took a record in this call */
    bool psk_identity_is_bad;  /* DTLS 1.3: it has a NUL */
    bool offers_aes_13;
    uint16_t psk_identity_len; /* DTLS 1.2: as in the ClientKeyExchange */
    uint16_t suite;
    uint32_t dropped;          /* the library's count of records that were forged, repeated or out of place */
    struct identity who;       /* whom the key or the certificate named; proved once established */
    struct dtls_proof proof;   /* of that */
    struct identity named;     /* a device of the registry that may not speak so; else its device is empty */
    const char *failure;       /* why not, a static sentence */
    struct dtls_turn turn;
    uint64_t network;          /* that the hello came from, hashed */
    struct dtls_number newest;
    uint64_t plain_newest;     /* highest number of a plain record of the handshake */
    uint64_t begun_ms;
    uint64_t deadline_ms;
    uint64_t recheck_ms;       /* when the credential may have become too old */
};

struct dtls {
    const struct settings *settings;
    const struct registry *registry;
    struct metrics *metrics;
    unsigned worker_index, worker_count;
    uint64_t now_ms; /* of the call that runs; the callbacks need it */
    int64_t wall_s;  /* as dtls_set_time said */
    struct hash_key hash_key;        /* of the choice: the same for all workers that share it */
    struct dtls_choice *choice;
    bool owns_choice;
    struct dtls_trust *trust;
    struct WOLFSSL_CTX *contexts[DTLS_FACE_COUNT];
    struct dtls_session *listeners[DTLS_SECRET_COUNT][DTLS_FACE_COUNT];
    uint8_t secrets[DTLS_SECRET_COUNT][DTLS_SECRET_BYTES];
    bool has_secret[DTLS_SECRET_COUNT];
    uint8_t dummy_key[DTLS_SECRET_BYTES]; /* keys of identities that do not exist are derived from it */
    struct limiter handshakes, networks;  /* begun: all (key 0), and by source network */
    struct limiter devices;               /* finished, by device */
    uint8_t plaintext[ENDPOINT_DATAGRAM_MAX];
};

/* dtls_context.c: a context with its allow-lists and callbacks. */
struct WOLFSSL_CTX *dtls_context_new(const struct settings *settings, enum dtls_face face,
                                     char reterr[static SETTINGS_ERROR_MAX]);
void dtls_context_free(struct WOLFSSL_CTX *context);

/* dtls_identity.c: installs the callbacks that say who it is. */
void dtls_identity_install(struct WOLFSSL_CTX *context, bool version13);
/* The device's key in dtls.devices. */
uint64_t dtls_identity_hash(const struct dtls *dtls, const char *tenant, const char *device);
/* The handshake is done. */
void dtls_identity_proved(struct dtls_session *session);
/* Whether who was named may speak now, in the same role, with what it proved itself with. */
bool dtls_identity_holds(const struct dtls_session *session);

/* dtls_trust.c: whose certificates count. */
struct dtls_issuer {
    uint8_t spki[CREDENTIAL_DIGEST_BYTES]; /* of the authority */
    uint8_t leaf[CREDENTIAL_DIGEST_BYTES]; /* of what it signed */
    char tenant[SCHEMA_TENANT_MAX + 1]; /* whose authority it is; empty: one of the settings */
};
struct dtls_trust *dtls_trust_new(const struct settings *settings, char reterr[static SETTINGS_ERROR_MAX]);
void dtls_trust_free(struct dtls_trust *trust);
/* Who signed the leaf of the chain in store, which is certificate. chain_is_good: it leads to
 * settings.dtls_client_ca; else only a tenant's authority can have. False: nobody who is trusted. */
bool dtls_trust_issuer(const struct dtls *dtls, const struct WOLFSSL_X509_STORE_CTX *store, bool chain_is_good,
                       struct DecodedCert *certificate, struct dtls_issuer *ret);

/* dtls_certificate.c: the server's own certificate and key, read or made. Malloc'ed; zero with _deinit. */
struct dtls_certificate {
    uint8_t *chain_pem, *key_pem, *spki_der;
    size_t chain_pem_len, key_pem_len, spki_der_len;
};
bool dtls_certificate_load(const struct settings *settings, struct dtls_certificate *ret,
                           char reterr[static SETTINGS_ERROR_MAX]);
void dtls_certificate_deinit(struct dtls_certificate *certificate);

/* dtls_session.c, for the listeners. A listener with this cookie secret; NULL: out of memory. */
struct dtls_session *dtls_session_new(struct dtls *dtls, enum dtls_face face, const uint8_t *secret);
/* A listener becomes a session that shakes hands and sends the flight that follows the good hello. False: it failed. */
bool dtls_session_begin(struct dtls_session *session, uint64_t now_ms, struct dtls_output output);

/* The library's I/O callbacks; the context is the session. */
int dtls_session_io_read(struct WOLFSSL *ssl, char *buffer, int size, void *ctx);
int dtls_session_io_write(struct WOLFSSL *ssl, char *buffer, int size, void *ctx);
