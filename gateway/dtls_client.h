// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A device's end of DTLS 1.2 with a pre-shared key, for the simulator and for tests: many thousand sessions in one
 * process, one shared context. The server's connection ID is taken; none is asked of it. Like dtls it has no socket and
 * no clock: the caller feeds datagrams and takes away datagrams. A context and its clients belong to one thread.
 */
#pragma once

#include "gateway/dtls.h"
#include "registry/secret.h"

struct dtls_client_context;
struct dtls_client;

#define DTLS_CLIENT_ERROR_MAX 256

/* suites: wolfSSL's names, separated by colons; NULL or empty: all that weir allows for keys. dtls_global_init comes
 * before. NULL: reterr says why. */
struct dtls_client_context *dtls_client_context_new(const char *suites, char reterr[static DTLS_CLIENT_ERROR_MAX]);
/* No client may be left. NULL is fine. */
void dtls_client_context_free(struct dtls_client_context *context);

/* Begins a handshake: the first ClientHello is sent. Identity and key are copied and wiped when the handshake is done.
 * NULL: out of memory, or the identity is empty, longer than 128 bytes or has a NUL. */
struct dtls_client *dtls_client_new(struct dtls_client_context *context, struct bytes identity,
                                    const struct secret *psk, uint64_t now_ms, struct dtls_output output);
/* Sends close_notify if output is given and the session is up. NULL is fine. */
void dtls_client_free(struct dtls_client *client, struct dtls_output *output);

/* As dtls_session_receive: empty bytes to go on, until DTLS_NOTHING or DTLS_CLOSED. The message is valid until the
 * next receive of this context. */
enum dtls_event dtls_client_receive(struct dtls_client *client, struct bytes datagram, uint64_t now_ms,
                                    struct dtls_output output, struct bytes *ret_message);
/* False: not established, or broken. */
bool dtls_client_send(struct dtls_client *client, struct bytes message, struct dtls_output output);
/* When to call dtls_client_timeout; UINT64_MAX: never. */
uint64_t dtls_client_deadline(const struct dtls_client *client);
/* Repeats the flight. False: gave up, free it. */
bool dtls_client_timeout(struct dtls_client *client, uint64_t now_ms, struct dtls_output output);

bool dtls_client_is_established(const struct dtls_client *client);
/* The CID that the server asked for; empty: none. */
struct bytes dtls_client_cid(const struct dtls_client *client);
