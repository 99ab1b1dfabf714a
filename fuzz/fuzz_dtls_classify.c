// SPDX-License-Identifier: GPL-3.0-or-later
/* What strangers' datagrams are read for without any state: kind, records, ClientHello. Properties: results lie inside
 * of the input, records follow each other without a gap, and reading ends. */
#include "gateway/dtls_record.h"

#include <stdlib.h>

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool inside(struct bytes inner, struct bytes outer)
{
    return inner.len == 0 || (inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1); /* of the exact size, so that reading past the end is seen */
    must(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    struct bytes datagram = bytes_of(copy, size), cid, rest = datagram;
    struct dtls_record record;
    struct dtls_hello_view hello;
    bool has_cid = false, first = true;
    const uint8_t *end = copy;
    while (dtls_record_take(&rest, &record)) {
        size_t identity_len;
        must(record.whole.ptr == end && inside(record.whole, datagram) && inside(record.body, record.whole));
        must(record.cid.len == 0 || (record.cid.len == DTLS_CID_BYTES && inside(record.cid, record.whole)));
        has_cid |= record.cid.len > 0;
        end = record.whole.ptr + record.whole.len;
        first = false;
        if (dtls_record_psk_identity_len(&record, &identity_len))
            must(identity_len <= 0xffff);
    }
    must(rest.len == 0);
    enum dtls_kind kind = dtls_classify(datagram, &cid);
    must((kind == DTLS_JUNK) == first);
    if (kind == DTLS_CID_RECORD)
        must(has_cid && cid.len == DTLS_CID_BYTES && inside(cid, datagram));
    if (kind == DTLS_RECORD)
        must(!has_cid);
    if (dtls_hello_read(datagram, &hello))
        must(kind == DTLS_CLIENT_HELLO && hello.random.len == DTLS_RANDOM_BYTES && inside(hello.random, datagram));
    (void)dtls_record_is_handshake(datagram);
    free(copy);
    return 0;
}
