// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Records and ClientHellos read by their plain bytes (RFC 6347 4.1 and 4.2, RFC 9146 4, RFC 9147 4), before and beside
 * wolfSSL: so that strangers cost no state, and so that only what an association can want ever reaches the library.
 * Pure; believes no length. A part of dtls: no other module needs more than dtls.h says.
 */
#pragma once

#include "gateway/dtls.h"

enum dtls_content {
    DTLS_CONTENT_CHANGE_CIPHER_SPEC = 20,
    DTLS_CONTENT_ALERT = 21,
    DTLS_CONTENT_HANDSHAKE = 22,
    DTLS_CONTENT_APPLICATION_DATA = 23,
    DTLS_CONTENT_CID = 25, /* RFC 9146: the real type is encrypted */
    DTLS_CONTENT_ACK = 26,
};

struct dtls_record {
    bool unified;       /* the encrypted header of DTLS 1.3: no type; epoch is its two lowest bits */
    uint8_t content;    /* enum dtls_content; 0 if unified */
    uint16_t epoch;
    struct bytes cid;   /* empty, or DTLS_CID_BYTES: in records to us a CID is always ours */
    struct bytes body;
    struct bytes whole; /* with its header */
};

/* Takes the first record off the datagram. False: there is none that could be read; what is left is then dropped. */
bool dtls_record_take(struct bytes *datagram, struct dtls_record *ret);

/* The length of the PSK identity if a ClientKeyExchange begins in this record of epoch 0; else false. (RFC 4279 2) */
bool dtls_record_psk_identity_len(const struct dtls_record *record, size_t *ret_len);
