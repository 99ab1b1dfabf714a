// SPDX-License-Identifier: GPL-3.0-or-later
/* The simulator's client against the server of the same house; strangers' clients are met in the integration tests. */
#include "gateway/dtls_client.h"

#include "tests/unit/gateway/dtls_lab.h"

#include <criterion/criterion.h>

static struct lab lab;

static void open_lab(void)
{
    lab_prepare(&lab);
    cr_assert(lab_open(&lab));
}

static void close_lab(void)
{
    lab_close(&lab);
}

TestSuite(dtls_client, .init = open_lab, .fini = close_lab);

struct pair {
    struct dtls_client *client;
    struct dtls_session *session;
    struct lab_queue to_client, to_server;
    bool client_closed, server_closed;
};

static struct dtls_client_context *context_new(const char *suites)
{
    char error[DTLS_CLIENT_ERROR_MAX] = "";
    struct dtls_client_context *context = dtls_client_context_new(suites, error);
    cr_assert_not_null(context, "%s", error);
    return context;
}

static void begin(struct pair *pair, struct dtls_client_context *context, const char *key)
{
    struct secret psk;
    *pair = (struct pair){0};
    cr_assert(secret_set(&psk, bytes_of_text(key)));
    pair->client = dtls_client_new(context, BYTES_LITERAL("acme/boiler-7"), &psk, lab.now_ms, lab_output(&pair->to_server));
    cr_assert_not_null(pair->client);
    cr_assert_eq(pair->to_server.count, 1, "the hello has left");
}

static void serve(struct pair *pair)
{
    struct address remote = lab_address("192.0.2.1", 1);
    struct bytes datagram, message;
    bool newest;
    while (lab_pop(&pair->to_server, &datagram)) {
        if (!pair->session)
            pair->session = dtls_hello(lab.dtls, &remote, datagram, lab.now_ms, lab_output(&pair->to_client));
        else if (dtls_session_receive(pair->session, datagram, lab.now_ms, lab_output(&pair->to_client), &message,
                                      &newest) == DTLS_CLOSED)
            pair->server_closed = true;
    }
}

static void answer(struct pair *pair)
{
    struct bytes datagram, message;
    while (lab_pop(&pair->to_client, &datagram))
        if (dtls_client_receive(pair->client, datagram, lab.now_ms, lab_output(&pair->to_server), &message) == DTLS_CLOSED)
            pair->client_closed = true;
}

static void end(struct pair *pair)
{
    dtls_client_free(pair->client, NULL);
    dtls_session_free(pair->session, NULL);
}

static bool connect_pair(struct pair *pair)
{
    for (unsigned i = 0; i < 8; i++) {
        serve(pair);
        answer(pair);
    }
    return dtls_client_is_established(pair->client) && dtls_session_is_established(pair->session);
}

Test(dtls_client, connects_with_a_cid_and_talks)
{
    static struct pair pair;
    static const char *const suites[] = {NULL, "", "PSK-AES128-CCM-8", "ECDHE-PSK-AES128-GCM-SHA256"};
    for (unsigned i = 0; i < 4; i++) {
        struct dtls_client_context *context = context_new(suites[i]);
        struct bytes datagram, message;
        bool newest;
        begin(&pair, context, LAB_KEY);
        cr_assert(connect_pair(&pair));
        cr_assert_eq(dtls_client_deadline(pair.client), UINT64_MAX);
        cr_assert(bytes_equal(dtls_client_cid(pair.client), dtls_session_cid(pair.session)));
        cr_assert(dtls_client_send(pair.client, BYTES_LITERAL("ping"), lab_output(&pair.to_server)));
        cr_assert(lab_pop(&pair.to_server, &datagram));
        cr_assert_eq(dtls_session_receive(pair.session, datagram, lab.now_ms, lab_output(&pair.to_client), &message, &newest),
                     DTLS_DATA);
        cr_assert(bytes_equal_text(message, "ping"));
        cr_assert(dtls_session_send(pair.session, BYTES_LITERAL("pong"), lab_output(&pair.to_client)));
        cr_assert(lab_pop(&pair.to_client, &datagram));
        cr_assert_eq(dtls_client_receive(pair.client, datagram, lab.now_ms, lab_output(&pair.to_server), &message), DTLS_DATA);
        cr_assert(bytes_equal_text(message, "pong"));
        cr_assert_eq(dtls_client_receive(pair.client, (struct bytes){0}, lab.now_ms, lab_output(&pair.to_server), &message),
                     DTLS_NOTHING);
        struct dtls_output output = lab_output(&pair.to_server);
        dtls_client_free(pair.client, &output);
        pair.client = NULL;
        serve(&pair);
        cr_assert(pair.server_closed, "close_notify");
        end(&pair);
        dtls_client_context_free(context);
    }
}

Test(dtls_client, repeats_what_was_lost)
{
    static struct pair pair;
    struct dtls_client_context *context = context_new(NULL);
    begin(&pair, context, LAB_KEY);
    pair.to_server.count = 0;
    cr_assert_eq(dtls_client_deadline(pair.client), lab.now_ms + 1000);
    cr_assert(dtls_client_timeout(pair.client, lab.now_ms + 999, lab_output(&pair.to_server)));
    cr_assert_eq(pair.to_server.count, 0);
    lab.now_ms += 1000;
    cr_assert(dtls_client_timeout(pair.client, lab.now_ms, lab_output(&pair.to_server)));
    cr_assert_eq(pair.to_server.count, 1);
    cr_assert(connect_pair(&pair));
    end(&pair);
    dtls_client_context_free(context);
}

Test(dtls_client, a_wrong_key_does_not_connect)
{
    static struct pair pair;
    struct dtls_client_context *context = context_new(NULL);
    begin(&pair, context, "a wrong key");
    cr_assert_not(connect_pair(&pair));
    cr_assert_not(dtls_client_send(pair.client, BYTES_LITERAL("x"), lab_output(&pair.to_server)));
    end(&pair);
    dtls_client_context_free(context);
}

Test(dtls_client, refuses_what_cannot_be_sent)
{
    static struct lab_queue queue;
    char error[DTLS_CLIENT_ERROR_MAX] = "";
    struct secret psk;
    uint8_t long_identity[129] = {'x'};
    cr_assert_null(dtls_client_context_new("NO-SUCH-SUITE", error));
    cr_assert_not_null(strstr(error, "NO-SUCH-SUITE"));
    struct dtls_client_context *context = context_new(NULL);
    secret_set(&psk, bytes_of_text(LAB_KEY));
    cr_assert_null(dtls_client_new(context, bytes_of(long_identity, 129), &psk, 0, lab_output(&queue)));
    cr_assert_null(dtls_client_new(context, bytes_of("a\0b", 3), &psk, 0, lab_output(&queue)));
    cr_assert_null(dtls_client_new(context, (struct bytes){0}, &psk, 0, lab_output(&queue)));
    cr_assert_eq(queue.count, 0);
    dtls_client_context_free(context);
    dtls_client_context_free(NULL);
    dtls_client_free(NULL, NULL);
}
