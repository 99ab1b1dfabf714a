// SPDX-License-Identifier: GPL-3.0-or-later
/* See the header. internal.h agrees with the library only because both are compiled with the same user_settings.h. */
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/internal.h>

#include "gateway/dtls_library.h"

bool dtls_library_is_13(const WOLFSSL *ssl)
{
    return ssl->options.tls1_3;
}

struct dtls_number dtls_library_number(const WOLFSSL *ssl)
{
    if (dtls_library_is_13(ssl))
        return (struct dtls_number){ssl->keys.curEpoch64.n, ssl->keys.curSeq.n};
    return (struct dtls_number){ssl->keys.curEpoch, (uint64_t)ssl->keys.curSeq_hi << 32 | ssl->keys.curSeq_lo};
}

bool dtls_library_used_psk(const WOLFSSL *ssl)
{
    return dtls_library_is_13(ssl) ? ssl->options.pskNegotiated : ssl->options.usingPSK_cipher;
}

bool dtls_library_awaits_ack(const WOLFSSL *ssl)
{
    return dtls_library_is_13(ssl) && ssl->dtls13Rtx.rtxRecords != NULL;
}
