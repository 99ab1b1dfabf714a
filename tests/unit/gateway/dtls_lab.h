// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the tests, the fuzzer and the benchmark of DTLS share: one worker's dtls with a registry, and a client made of
 * wolfSSL directly, so that it can be told to do what a device should not. Datagrams are arrays, time is a number.
 */
#pragma once

#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>

#include "gateway/crypto.h"
#include "gateway/dtls.h"
#include "gateway/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LAB_QUEUE_MAX 32
#define LAB_KEY "0123456789abcdef"

struct lab_datagram {
    size_t len;
    uint8_t data[ENDPOINT_DATAGRAM_MAX];
};

struct lab_queue {
    size_t first, count;
    struct lab_datagram slots[LAB_QUEUE_MAX];
};

static inline void lab_push(void *queue_, struct bytes datagram)
{
    struct lab_queue *queue = queue_;
    if (queue->count == LAB_QUEUE_MAX || datagram.len > ENDPOINT_DATAGRAM_MAX)
        return;
    struct lab_datagram *slot = &queue->slots[(queue->first + queue->count++) % LAB_QUEUE_MAX];
    slot->len = datagram.len;
    memcpy(slot->data, datagram.ptr, datagram.len);
}

/* Valid until LAB_QUEUE_MAX more were pushed. */
static inline bool lab_pop(struct lab_queue *queue, struct bytes *ret)
{
    if (queue->count == 0)
        return false;
    const struct lab_datagram *slot = &queue->slots[queue->first % LAB_QUEUE_MAX];
    *ret = bytes_of(slot->data, slot->len);
    queue->first++;
    queue->count--;
    return true;
}

static inline struct dtls_output lab_output(struct lab_queue *queue)
{
    return (struct dtls_output){.send = lab_push, .ctx = queue};
}

/* The server's side. */
struct lab {
    struct settings settings;
    struct registry *registry;
    struct metrics metrics;
    struct hash_key hash_key;
    struct dtls *dtls;
    uint64_t now_ms;
    unsigned worker_count; /* this is worker 0 of them; 0: 1 */
    char state_dir[64];
};

static inline struct address lab_address(const char *ip, uint16_t port)
{
    struct address address;
    memset(&address, 0, sizeof address);
    address.in.sin_family = AF_INET;
    address.in.sin_port = htons(port);
    inet_pton(AF_INET, ip, &address.in.sin_addr);
    return address;
}

/* Credentials of a device that is about to be put. */
static inline struct credential lab_psk(const char *id, const char *key)
{
    struct credential credential = {.kind = CREDENTIAL_PSK};
    snprintf(credential.id, sizeof credential.id, "%s", id);
    secret_set(&credential.secret, bytes_of_text(key));
    return credential;
}

static inline struct credential lab_x509(const char *name)
{
    return (struct credential){.id = "x509", .kind = CREDENTIAL_X509, .name = name};
}

/* Of the kind rpk, or ca with a name: a digest of the SubjectPublicKeyInfo. */
static inline struct credential lab_spki(enum credential_kind kind, struct bytes spki, const char *name)
{
    struct credential credential = {.id = "spki", .kind = kind, .public_len = CREDENTIAL_DIGEST_BYTES, .name = name};
    crypto_sha256(spki, (struct bytes){0}, credential.public);
    return credential;
}

static inline bool lab_add_device(struct lab *lab, const char *tenant, const char *id, const char *key)
{
    struct tenant_record tenant_record = {0};
    struct device_record device = {0};
    struct credential psk = lab_psk("psk", key ? key : "");
    snprintf(tenant_record.id, sizeof tenant_record.id, "%s", tenant);
    snprintf(device.tenant, sizeof device.tenant, "%s", tenant);
    snprintf(device.id, sizeof device.id, "%s", id);
    device.credentials = &psk;
    device.credential_count = key != NULL;
    return registry_put_tenant(lab->registry, &tenant_record) && registry_put_device(lab->registry, &device);
}

static inline void lab_secret(struct lab *lab, uint8_t fill)
{
    uint8_t secret[32];
    memset(secret, fill, sizeof secret);
    dtls_rotate_cookie(lab->dtls, secret);
}

/* Settings may be changed before; settings_default and a state_dir of its own are set by lab_prepare. */
static inline void lab_prepare(struct lab *lab)
{
    memset(lab, 0, sizeof *lab);
    settings_default(&lab->settings);
    snprintf(lab->state_dir, sizeof lab->state_dir, "/tmp/weir-dtls-XXXXXX");
    if (mkdtemp(lab->state_dir))
        snprintf(lab->settings.state_dir, sizeof lab->settings.state_dir, "%s", lab->state_dir);
    lab->hash_key = (struct hash_key){1, 2};
    lab->now_ms = 1000000;
}

static inline bool lab_open(struct lab *lab)
{
    char error[SETTINGS_ERROR_MAX] = "";
    if (!dtls_global_init() || !(lab->registry = registry_new(&lab->hash_key)))
        return false;
    lab->dtls = dtls_new(&lab->settings, lab->registry, &lab->metrics, 0, lab->worker_count ? lab->worker_count : 1, error);
    if (!lab->dtls) {
        fprintf(stderr, "dtls_new: %s\n", error);
        return false;
    }
    lab_secret(lab, 1);
    return lab_add_device(lab, "acme", "boiler-7", LAB_KEY);
}

static inline void lab_close(struct lab *lab)
{
    char path[128];
    dtls_free(lab->dtls);
    registry_free(lab->registry);
    static const char *const names[] = {"server.pem", "server.key", "ca.pem"};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", lab->state_dir, names[i]);
        unlink(path);
    }
    rmdir(lab->state_dir);
}

static inline uint64_t lab_metric(const struct lab *lab, enum metric metric)
{
    return lab->metrics.values[metric];
}

/* A client. */
struct lab_client_options {
    bool version13;
    const char *suites;            /* NULL: all */
    const char *identity;          /* NULL: no key */
    size_t identity_len;           /* 0: strlen; wolfSSL itself cannot send a NUL: see lab_client_patch */
    const char *key;               /* NULL: LAB_KEY */
    int group;                     /* 0: any */
    const uint8_t *certificate_der, *key_der; /* X.509, or SubjectPublicKeyInfo if raw_key */
    size_t certificate_len, key_len;
    bool raw_key;                  /* offers the raw client certificate type */
    bool wants_raw_server;         /* accepts nothing but the raw key of the server */
    bool no_cid;
};

struct lab_client {
    struct lab_client_options options;
    WOLFSSL_CTX *context;
    WOLFSSL *ssl;
    struct lab_queue *in, *out;
    bool established, failed;
    int error;
};

static inline int lab_client_read(WOLFSSL *ssl, char *buffer, int size, void *ctx)
{
    (void)ssl;
    struct lab_client *client = ctx;
    struct bytes datagram;
    if (!lab_pop(client->in, &datagram))
        return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t len = datagram.len < (size_t)size ? datagram.len : (size_t)size;
    memcpy(buffer, datagram.ptr, len);
    return (int)len;
}

static inline int lab_client_write(WOLFSSL *ssl, char *buffer, int size, void *ctx)
{
    (void)ssl;
    struct lab_client *client = ctx;
    lab_push(client->out, bytes_of(buffer, (size_t)size));
    return size;
}

static inline unsigned lab_client_key(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_max,
                                      unsigned char *key, unsigned key_max)
{
    (void)hint;
    const struct lab_client *client = wolfSSL_GetIOReadCtx(ssl);
    const char *text = client->options.key ? client->options.key : LAB_KEY;
    snprintf(identity, identity_max, "%s", client->options.identity);
    memcpy(key, text, strlen(text) < key_max ? strlen(text) : key_max);
    return (unsigned)strlen(text);
}

static inline unsigned lab_client_key_13(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_max,
                                         unsigned char *key, unsigned key_max, const char **suite)
{
    const struct lab_client *client = wolfSSL_GetIOReadCtx(ssl);
    bool chacha = client->options.suites && strstr(client->options.suites, "CHACHA") &&
                  !strstr(client->options.suites, "AES");
    *suite = chacha ? "TLS13-CHACHA20-POLY1305-SHA256" : "TLS13-AES128-GCM-SHA256";
    return lab_client_key(ssl, hint, identity, identity_max, key, key_max);
}

static inline int lab_accept_any(int good, WOLFSSL_X509_STORE_CTX *store)
{
    (void)good;
    (void)store;
    return 1;
}

static inline bool lab_client_credentials(struct lab_client *client)
{
    const struct lab_client_options *options = &client->options;
    if (options->identity) {
        wolfSSL_CTX_set_psk_client_callback(client->context, lab_client_key);
        if (options->version13)
            wolfSSL_CTX_set_psk_client_tls13_callback(client->context, lab_client_key_13);
    }
    if (options->certificate_der &&
        (wolfSSL_CTX_use_certificate_buffer(client->context, options->certificate_der, (long)options->certificate_len,
                                            WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS ||
         wolfSSL_CTX_use_PrivateKey_buffer(client->context, options->key_der, (long)options->key_len,
                                           WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS))
        return false;
    char raw[] = {WOLFSSL_CERT_TYPE_RPK};
    return (!options->raw_key || wolfSSL_CTX_set_client_cert_type(client->context, raw, 1) == WOLFSSL_SUCCESS) &&
           (!options->wants_raw_server || wolfSSL_CTX_set_server_cert_type(client->context, raw, 1) == WOLFSSL_SUCCESS);
}

static inline void lab_client_close(struct lab_client *client)
{
    wolfSSL_free(client->ssl);
    wolfSSL_CTX_free(client->context);
    client->ssl = NULL;
    client->context = NULL;
}

/* False: the library does not know the suite or has no memory. in: what comes to the client. */
static inline bool lab_client_open(struct lab_client *client, const struct lab_client_options *options,
                                   struct lab_queue *in, struct lab_queue *out)
{
    *client = (struct lab_client){.options = *options, .in = in, .out = out};
    client->context = wolfSSL_CTX_new(options->version13 ? wolfDTLSv1_3_client_method() : wolfDTLSv1_2_client_method());
    wolfSSL_CTX_set_verify(client->context, WOLFSSL_VERIFY_PEER, lab_accept_any);
    wolfSSL_CTX_SetIORecv(client->context, lab_client_read);
    wolfSSL_CTX_SetIOSend(client->context, lab_client_write);
    if (!lab_client_credentials(client) ||
        (options->suites && wolfSSL_CTX_set_cipher_list(client->context, options->suites) != WOLFSSL_SUCCESS)) {
        lab_client_close(client);
        return false;
    }
    client->ssl = wolfSSL_new(client->context);
    wolfSSL_SetIOReadCtx(client->ssl, client);
    wolfSSL_SetIOWriteCtx(client->ssl, client);
    wolfSSL_dtls_set_using_nonblock(client->ssl, 1);
    wolfSSL_dtls_set_mtu(client->ssl, 1400);
    if (options->group && wolfSSL_UseSupportedCurve(client->ssl, (word16)options->group) != WOLFSSL_SUCCESS)
        return false;
    if (options->group && options->version13 && wolfSSL_UseKeyShare(client->ssl, (word16)options->group) != WOLFSSL_SUCCESS)
        return false;
    return options->no_cid || wolfSSL_dtls_cid_use(client->ssl) == WOLFSSL_SUCCESS;
}

/* One step of the handshake with whatever is in the queue. */
static inline void lab_client_step(struct lab_client *client)
{
    if (client->established || client->failed)
        return;
    int result = wolfSSL_connect(client->ssl);
    if (result == WOLFSSL_SUCCESS) {
        client->established = true;
        return;
    }
    client->error = wolfSSL_get_error(client->ssl, result);
    client->failed = client->error != WOLFSSL_ERROR_WANT_READ;
}

/* A client and its association at the server. */
struct lab_pair {
    struct lab *lab;
    struct address remote;
    struct lab_client client;
    struct lab_queue to_client, to_server;
    struct dtls_session *session;
    bool established, closed;
    const char *why; /* it was closed before it was established, if that was told; and of whom */
    struct identity named;
    unsigned flights;
};

/* One datagram at the server; what it answers goes to the client's queue. */
static inline enum dtls_event lab_serve(struct lab_pair *pair, struct bytes datagram, struct bytes *ret_message,
                                        bool *ret_newest)
{
    struct lab *lab = pair->lab;
    if (!pair->session) {
        pair->session = dtls_hello(lab->dtls, &pair->remote, datagram, lab->now_ms, lab_output(&pair->to_client));
        return DTLS_NOTHING;
    }
    enum dtls_event event = dtls_session_receive(pair->session, datagram, lab->now_ms, lab_output(&pair->to_client),
                                                 ret_message, ret_newest);
    if (event == DTLS_ESTABLISHED)
        pair->established = true;
    if (event == DTLS_CLOSED) {
        pair->why = dtls_session_failure(pair->session, &pair->named);
        dtls_session_free(pair->session, NULL);
        pair->session = NULL;
        pair->closed = true;
    }
    return event;
}

/* Everything that waits at the server; data is not expected. */
static inline void lab_serve_all(struct lab_pair *pair)
{
    struct bytes datagram, message;
    bool newest;
    while (!pair->closed && lab_pop(&pair->to_server, &datagram)) {
        pair->flights++;
        enum dtls_event event = lab_serve(pair, datagram, &message, &newest);
        while (event == DTLS_ESTABLISHED || event == DTLS_DATA)
            event = lab_serve(pair, (struct bytes){0}, &message, &newest);
    }
}

static inline bool lab_handshake(struct lab_pair *pair)
{
    for (unsigned i = 0; i < 20 && !pair->closed; i++) {
        lab_client_step(&pair->client);
        lab_serve_all(pair);
        if (pair->client.established && pair->established && pair->to_client.count == 0)
            break;
    }
    return pair->client.established && pair->established && !pair->closed;
}

static inline bool lab_pair_open(struct lab_pair *pair, struct lab *lab, const struct lab_client_options *options)
{
    memset(pair, 0, sizeof *pair);
    pair->lab = lab;
    pair->remote = lab_address("192.0.2.1", 40000);
    return lab_client_open(&pair->client, options, &pair->to_client, &pair->to_server);
}

static inline void lab_pair_close(struct lab_pair *pair)
{
    dtls_session_free(pair->session, NULL);
    lab_client_close(&pair->client);
}

/* Certificates, made here so that no file expires. */
struct lab_certificate {
    uint8_t der[2048], key[512], spki[256];
    size_t len, key_len, spki_len;
};

/* name_type: 0x82 DNS, 0x86 URI, 0: common name only. issuer NULL: self-signed authority. */
static inline bool lab_certificate_make(struct lab_certificate *ret, const struct lab_certificate *issuer,
                                        const char *name, unsigned name_type, bool expired)
{
    static Cert cert;
    WC_RNG rng;
    ecc_key key, issuer_key;
    word32 at = 0;
    if (wc_InitRng(&rng) || wc_ecc_init(&key) || wc_ecc_init(&issuer_key) || wc_ecc_make_key(&rng, 32, &key) ||
        wc_InitCert(&cert))
        return false;
    if (issuer && wc_EccPrivateKeyDecode(issuer->key, &at, &issuer_key, (word32)issuer->key_len))
        return false;
    snprintf(cert.subject.commonName, sizeof cert.subject.commonName, "%s", name_type ? "unused" : name);
    cert.sigType = CTC_SHA256wECDSA;
    cert.daysValid = expired ? -1 : 30;
    cert.isCA = !issuer;
    cert.selfSigned = !issuer;
    if (name_type) {
        size_t len = strlen(name);
        uint8_t head[] = {0x30, (uint8_t)(len + 2), (uint8_t)name_type, (uint8_t)len};
        memcpy(cert.altNames, head, sizeof head);
        memcpy(cert.altNames + sizeof head, name, len);
        cert.altNamesSz = (int)(sizeof head + len);
    }
    if (issuer && wc_SetIssuerBuffer(&cert, issuer->der, (int)issuer->len))
        return false;
    int len = wc_MakeCert(&cert, ret->der, sizeof ret->der, NULL, &key, &rng);
    if (len > 0)
        len = wc_SignCert(cert.bodySz, cert.sigType, ret->der, sizeof ret->der, NULL, issuer ? &issuer_key : &key, &rng);
    int key_len = wc_EccKeyToDer(&key, ret->key, sizeof ret->key);
    int spki_len = wc_EccPublicKeyToDer(&key, ret->spki, sizeof ret->spki, 1);
    ret->len = (size_t)len;
    ret->key_len = (size_t)key_len;
    ret->spki_len = (size_t)spki_len;
    wc_ecc_free(&key);
    wc_ecc_free(&issuer_key);
    wc_FreeRng(&rng);
    return len > 0 && key_len > 0 && spki_len > 0;
}

static inline bool lab_trust(struct lab *lab, const struct lab_certificate *authority)
{
    uint8_t pem[4096];
    int len = wc_DerToPem(authority->der, (word32)authority->len, pem, sizeof pem, CERT_TYPE);
    snprintf(lab->settings.dtls_client_ca, sizeof lab->settings.dtls_client_ca, "%s/ca.pem", lab->state_dir);
    FILE *file = len > 0 ? fopen(lab->settings.dtls_client_ca, "a") : NULL; /* to those before */
    bool ok = file && fwrite(pem, (size_t)len, 1, file) == 1;
    return file && fclose(file) == 0 && ok;
}
