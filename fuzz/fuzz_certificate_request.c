// SPDX-License-Identifier: GPL-3.0-or-later
/* PKCS #10 requests. Property: what is accepted has a key of one of the two lengths, and a changed octet is refused. */
#include "gateway/crypto_cert.h"

#include <stdlib.h>

#define COPY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crypto_cert_request request;
    uint8_t copy[COPY_MAX];
    if (!crypto_cert_read_request(bytes_of(data, size), &request))
        return 0;
    require(request.spki_len == 91 || request.spki_len == 44);
    require(size <= sizeof copy);
    memcpy(copy, data, size);
    copy[size / 2] ^= 1;
    require(!crypto_cert_read_request(bytes_of(copy, size), &request));
    return 0;
}
