// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Values of the header fields that a CoAP request has too: Accept, Content-Type, If-Match, If-None-Match
 * (RFC 9110 8.3, 12.5.1, 13.1), and the bearer token (RFC 6750 2.1). Pure; results borrow from the value.
 */
#pragma once

#include "gateway/request.h"

/* The number of a media type with or without parameters, also of those that weir only writes; REQUEST_FORMAT_UNKNOWN
 * if it has none, or for a charset that is not UTF-8. */
int http_field_media_type(struct bytes value);
/* Accept: the known format with the highest q, the first of equals. CONTENT_FORMAT_NONE: anything will do;
 * REQUEST_FORMAT_UNKNOWN: nothing that weir could make. */
int http_field_accept(struct bytes value);

#define HTTP_FIELD_ETAG_TEXT_MAX (2 * ETAG_BYTES + 3)
/* The entity tag in hexadecimal, quoted, with NUL; returns ret. */
const char *http_field_etag_text(const struct etag *etag, char ret[static HTTP_FIELD_ETAG_TEXT_MAX]);

struct http_field_etags {
    struct etag list[REQUEST_ETAGS_MAX]; /* those that weir could have given out; what does not fit is left out */
    unsigned count;
    bool any; /* "*" */
};
/* If-Match or If-None-Match. take_weak: W/"..." matches as well. False: not a list of entity tags. */
bool http_field_etags(struct bytes value, bool take_weak, struct http_field_etags *ret);

/* The token of "Bearer TOKEN". False: another scheme, or not one token of at most 256 characters. */
bool http_field_bearer(struct bytes value, struct bytes *ret);
