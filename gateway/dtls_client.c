// SPDX-License-Identifier: GPL-3.0-or-later
/* See the header. Everything that a client needs only for its handshake is kept apart and goes with it. */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>

#include "gateway/dtls_client.h"
#include "gateway/dtls_record.h"
#include "gateway/endpoint.h"

#include <stdio.h>
#include <stdlib.h>

#define IDENTITY_MAX 128
#define HANDSHAKE_MTU 1232
#define RECORD_SLACK 256 /* header, CID, nonce, tag; and more than an alert needs */
#define SUITES                                                                                               \
    "ECDHE-PSK-AES128-GCM-SHA256:ECDHE-PSK-CHACHA20-POLY1305:"                                               \
    "PSK-AES128-GCM-SHA256:PSK-AES128-CCM:PSK-AES128-CCM-8"

struct dtls_client_context {
    WOLFSSL_CTX *library;
    uint8_t plaintext[ENDPOINT_DATAGRAM_MAX];
};

struct credentials {
    struct secret psk;
    char identity[IDENTITY_MAX + 1];
};

struct dtls_client {
    struct dtls_client_context *context;
    WOLFSSL *ssl;
    struct bytes rest;
    const struct dtls_output *output;
    struct credentials *credentials; /* NULL once established */
    bool established, sent;
    uint64_t deadline_ms;
};

static int read_record(WOLFSSL *ssl, char *buffer, int size, void *ctx)
{
    (void)ssl;
    struct dtls_client *client = ctx;
    struct dtls_record record;
    while (dtls_record_take(&client->rest, &record)) {
        if (record.whole.len > (size_t)size)
            continue;
        memcpy(buffer, record.whole.ptr, record.whole.len);
        return (int)record.whole.len;
    }
    return WOLFSSL_CBIO_ERR_WANT_READ;
}

static int write_datagram(WOLFSSL *ssl, char *buffer, int size, void *ctx)
{
    (void)ssl;
    struct dtls_client *client = ctx;
    if (client->output)
        client->output->send(client->output->ctx, bytes_of(buffer, (size_t)size));
    client->sent = true;
    return size;
}

static unsigned give_key(WOLFSSL *ssl, const char *hint, char *identity, unsigned identity_max, unsigned char *key,
                         unsigned key_max)
{
    (void)hint;
    const struct dtls_client *client = wolfSSL_GetIOReadCtx(ssl);
    const struct credentials *credentials = client->credentials;
    if (!credentials || credentials->psk.len > key_max)
        return 0;
    snprintf(identity, identity_max, "%s", credentials->identity);
    memcpy(key, credentials->psk.octets, credentials->psk.len);
    return credentials->psk.len;
}

struct dtls_client_context *dtls_client_context_new(const char *suites, char reterr[static DTLS_CLIENT_ERROR_MAX])
{
    struct dtls_client_context *context = calloc(1, sizeof *context);
    if (context)
        context->library = wolfSSL_CTX_new(wolfDTLSv1_2_client_method());
    if (!context || !context->library) {
        snprintf(reterr, DTLS_CLIENT_ERROR_MAX, "out of memory");
        dtls_client_context_free(context);
        return NULL;
    }
    wolfSSL_CTX_set_psk_client_callback(context->library, give_key);
    wolfSSL_CTX_set_verify(context->library, WOLFSSL_VERIFY_NONE, NULL);
    wolfSSL_CTX_SetIORecv(context->library, read_record);
    wolfSSL_CTX_SetIOSend(context->library, write_datagram);
    const char *list = suites && suites[0] ? suites : SUITES;
    /* One group: a client's first is often what it gets, and the library would put its dearest first. */
    if (wolfSSL_CTX_set_cipher_list(context->library, list) == WOLFSSL_SUCCESS &&
        wolfSSL_CTX_UseSupportedCurve(context->library, WOLFSSL_ECC_SECP256R1) == WOLFSSL_SUCCESS)
        return context;
    snprintf(reterr, DTLS_CLIENT_ERROR_MAX, "no known cipher suite in \"%.150s\"", list);
    dtls_client_context_free(context);
    return NULL;
}

void dtls_client_context_free(struct dtls_client_context *context)
{
    if (!context)
        return;
    wolfSSL_CTX_free(context->library);
    free(context);
}

static void forget_credentials(struct dtls_client *client)
{
    if (client->credentials)
        explicit_bzero(client->credentials, sizeof *client->credentials);
    free(client->credentials);
    client->credentials = NULL;
}

void dtls_client_free(struct dtls_client *client, struct dtls_output *output)
{
    if (!client)
        return;
    client->output = output;
    if (output && client->established)
        wolfSSL_shutdown(client->ssl);
    client->output = NULL;
    wolfSSL_free(client->ssl);
    forget_credentials(client);
    free(client);
}

static bool prepare(struct dtls_client *client, struct bytes identity, const struct secret *psk)
{
    client->ssl = wolfSSL_new(client->context->library);
    client->credentials = calloc(1, sizeof *client->credentials);
    if (!client->ssl || !client->credentials)
        return false;
    client->credentials->psk = *psk;
    memcpy(client->credentials->identity, identity.ptr, identity.len);
    wolfSSL_SetIOReadCtx(client->ssl, client);
    wolfSSL_SetIOWriteCtx(client->ssl, client);
    wolfSSL_dtls_set_using_nonblock(client->ssl, 1);
    return wolfSSL_dtls_set_mtu(client->ssl, HANDSHAKE_MTU) == WOLFSSL_SUCCESS &&
           wolfSSL_dtls_cid_use(client->ssl) == WOLFSSL_SUCCESS;
}

static void start_timer(struct dtls_client *client, uint64_t now_ms)
{
    client->deadline_ms = now_ms + (uint64_t)wolfSSL_dtls_get_current_timeout(client->ssl) * 1000;
}

static enum dtls_event shake_hands(struct dtls_client *client, uint64_t now_ms)
{
    client->sent = false;
    int result = wolfSSL_connect(client->ssl);
    if (result == WOLFSSL_SUCCESS) {
        client->established = true;
        client->deadline_ms = UINT64_MAX;
        forget_credentials(client);
        return DTLS_ESTABLISHED;
    }
    if (wolfSSL_get_error(client->ssl, result) != WOLFSSL_ERROR_WANT_READ)
        return DTLS_CLOSED;
    if (client->sent)
        start_timer(client, now_ms);
    return DTLS_NOTHING;
}

struct dtls_client *dtls_client_new(struct dtls_client_context *context, struct bytes identity,
                                    const struct secret *psk, uint64_t now_ms, struct dtls_output output)
{
    if (identity.len == 0 || identity.len > IDENTITY_MAX || memchr(identity.ptr, '\0', identity.len))
        return NULL;
    struct dtls_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->context = context;
    client->output = &output;
    if (!prepare(client, identity, psk) || shake_hands(client, now_ms) != DTLS_NOTHING) {
        dtls_client_free(client, NULL);
        return NULL;
    }
    client->output = NULL;
    return client;
}

static enum dtls_event read_data(struct dtls_client *client, struct bytes *ret_message)
{
    int len = wolfSSL_read(client->ssl, client->context->plaintext, sizeof client->context->plaintext);
    if (len > 0) {
        *ret_message = bytes_of(client->context->plaintext, (size_t)len);
        return DTLS_DATA;
    }
    return wolfSSL_get_error(client->ssl, len) == WOLFSSL_ERROR_WANT_READ ? DTLS_NOTHING : DTLS_CLOSED;
}

/* The library's read buffer is as large as the MTU. */
static void fit_mtu(struct dtls_client *client)
{
    size_t least = client->established ? RECORD_SLACK : HANDSHAKE_MTU, len = client->rest.len;
    size_t mtu = len < least ? least : len > ENDPOINT_DATAGRAM_MAX ? ENDPOINT_DATAGRAM_MAX : len;
    wolfSSL_dtls_set_mtu(client->ssl, (uint16_t)mtu);
}

enum dtls_event dtls_client_receive(struct dtls_client *client, struct bytes datagram, uint64_t now_ms,
                                    struct dtls_output output, struct bytes *ret_message)
{
    if (datagram.len)
        client->rest = datagram;
    if (client->rest.len == 0)
        return DTLS_NOTHING;
    fit_mtu(client);
    client->output = &output;
    enum dtls_event event = client->established ? read_data(client, ret_message) : shake_hands(client, now_ms);
    client->output = NULL;
    if (event == DTLS_NOTHING || event == DTLS_CLOSED)
        client->rest = (struct bytes){0};
    return event;
}

bool dtls_client_send(struct dtls_client *client, struct bytes message, struct dtls_output output)
{
    if (!client->established || message.len > ENDPOINT_DATAGRAM_MAX)
        return false;
    const struct dtls_output *before = client->output;
    client->output = &output;
    wolfSSL_dtls_set_mtu(client->ssl, (uint16_t)(message.len + RECORD_SLACK));
    int sent = wolfSSL_write(client->ssl, message.ptr, (int)message.len);
    client->output = before;
    return sent == (int)message.len;
}

uint64_t dtls_client_deadline(const struct dtls_client *client)
{
    return client->deadline_ms;
}

bool dtls_client_timeout(struct dtls_client *client, uint64_t now_ms, struct dtls_output output)
{
    if (now_ms < client->deadline_ms)
        return true;
    client->output = &output;
    int result = wolfSSL_dtls_got_timeout(client->ssl);
    client->output = NULL;
    start_timer(client, now_ms);
    return result == WOLFSSL_SUCCESS;
}

bool dtls_client_is_established(const struct dtls_client *client)
{
    return client->established;
}

struct bytes dtls_client_cid(const struct dtls_client *client)
{
    unsigned int len = 0;
    unsigned char *cid = NULL;
    if (wolfSSL_dtls_cid_get_tx_size(client->ssl, &len) != WOLFSSL_SUCCESS || len == 0 ||
        wolfSSL_dtls_cid_get0_tx(client->ssl, &cid) != WOLFSSL_SUCCESS)
        return (struct bytes){0};
    return bytes_of(cid, len);
}
