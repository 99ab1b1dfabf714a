// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What wolfSSL knows of an association and has no function to tell. The one file that reads its inner structures; when
 * wolfSSL is updated, this is what to look at (tests/unit/gateway/test_dtls.c covers each answer).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct WOLFSSL;

struct dtls_number {
    uint64_t epoch, sequence;
};

/* Number of the record whose data wolfSSL_read has just returned. */
struct dtls_number dtls_library_number(const struct WOLFSSL *ssl);
bool dtls_library_is_13(const struct WOLFSSL *ssl);
/* Whether the pre-shared key, and not a certificate, is what the finished handshake rests on. */
bool dtls_library_used_psk(const struct WOLFSSL *ssl);
/* DTLS 1.3: something was sent that the peer has to acknowledge and has not. */
bool dtls_library_awaits_ack(const struct WOLFSSL *ssl);
