// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Values of header fields: Accept, Content-Type, entity tags, bearer tokens. Properties: what is found is known to weir
 * and lies inside the value; an entity tag that is read is written the same.
 */
#include "proxy/http_field.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_number(int number, bool may_be_none)
{
    if (number == CONTENT_FORMAT_NONE)
        must(may_be_none);
    else if (number != REQUEST_FORMAT_UNKNOWN)
        must(format_media_type(number) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes value = bytes_of(data, size), token;
    struct http_field_etags etags, again;
    check_number(http_field_accept(value), true);
    check_number(http_field_media_type(value), false);
    if (http_field_etags(value, true, &etags)) {
        must(etags.count <= REQUEST_ETAGS_MAX && !(etags.any && etags.count));
        for (unsigned i = 0; i < etags.count; i++) {
            char text[HTTP_FIELD_ETAG_TEXT_MAX];
            must(http_field_etags(bytes_of_text(http_field_etag_text(&etags.list[i], text)), false, &again));
            must(again.count == 1 && memcmp(&again.list[0], &etags.list[i], sizeof again.list[0]) == 0);
        }
    }
    if (http_field_bearer(value, &token))
        must(token.len > 0 && token.ptr >= data && token.ptr + token.len <= data + size);
    return 0;
}
