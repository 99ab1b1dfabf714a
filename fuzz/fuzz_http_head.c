// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Heads of requests. Properties: the end is found however the bytes are cut; in a head that is taken every line ends
 * with CR LF and there is no other CR, LF or NUL; a length and chunks exclude each other.
 */
#include "proxy/http_head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static size_t end_in_pieces(const uint8_t *data, size_t size)
{
    for (size_t len = 1; len <= size; len++) {
        size_t end = http_head_end(bytes_of(data, len), len - 1);
        if (end)
            return end;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_framing framing;
    struct http_refusal refusal;
    size_t end = http_head_end(bytes_of(data, size), 0);
    must(end <= size && end_in_pieces(data, size) == end);
    if (!http_head_check(bytes_of(data, end ? end : size), &framing, &refusal)) {
        must(refusal.detail && refusal.outcome >= OUTCOME_BAD_REQUEST);
        return 0;
    }
    must(end >= 4 && memcmp(data + end - 4, "\r\n\r\n", 4) == 0);
    must(!framing.chunked || framing.content_length == 0);
    for (size_t i = 0; i < end; i++) {
        must(data[i] != 0);
        must((data[i] == '\n') == (i > 0 && data[i - 1] == '\r'));
    }
    return 0;
}
