// SPDX-License-Identifier: GPL-3.0-or-later
/* What handlers do with any request, whichever wire it came over. */
#include "gateway/request.h"

#include "codec/arena.h"
#include "codec/utf8.h"
#include "gateway/journal.h"

struct bytes request_query(const struct request *request, const char *name, bool *ret_found)
{
    for (size_t i = 0; i < request->query_count; i++) {
        if (!bytes_equal_text(request->query[i].name, name))
            continue;
        if (ret_found)
            *ret_found = true;
        return request->query[i].value;
    }
    if (ret_found)
        *ret_found = false;
    return (struct bytes){0};
}

struct bytes request_named_device(const struct request *request, bool *ret_found)
{
    bool found;
    struct bytes device = request_query(request, "d", &found);
    if (!found)
        device = request_query(request, "device", &found);
    if (ret_found)
        *ret_found = found;
    return device;
}

/* The ETag option of CoAP says nothing in a request that writes. */
bool request_preconditions_hold(const struct request *request, bool exists, const struct etag *etag)
{
    const struct etag any = {0};
    if (exists && (request->if_none_match ||
                   (request->wire == WIRE_HTTP && etag_is_in(etag, request->etags, request->etag_count))))
        return false;
    return request->if_match_count == 0 ||
           (exists && (etag_is_in(&any, request->if_match, request->if_match_count) ||
                       etag_is_in(etag, request->if_match, request->if_match_count)));
}

void request_exchange_key(const struct request *request, uint8_t ret[static REQUEST_KEY_BYTES])
{
    request->exchange_key(request, ret);
}

void request_finish(struct request *request, const struct response *response)
{
    journal_finished(request, response);
    request->finish(request, response);
}

void request_refuse(struct request *request, enum outcome outcome, const char *detail)
{
    struct response response = response_of(outcome);
    response.detail = detail;
    request_finish(request, &response);
}

/* Octets of the character at the beginning; 0: none that may be said. */
static size_t plain_character(struct bytes text)
{
    uint8_t first = text.ptr[0];
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    bool control = first < 0x20 || first == 0x7f || (first == 0xc2 && text.len > 1 && text.ptr[1] < 0xa0);
    return !control && len <= text.len && utf8_is_valid(bytes_of(text.ptr, len)) ? len : 0;
}

void request_refuse_with(struct request *request, enum outcome outcome, struct bytes detail)
{
    uint8_t *text = arena_alloc(request->arena, REQUEST_DETAIL_MAX + 1);
    size_t used = 0, step;
    for (size_t i = 0; text && i < detail.len; i += step ? step : 1) {
        step = plain_character(bytes_of(detail.ptr + i, detail.len - i));
        if (used + (step ? step : 1) > REQUEST_DETAIL_MAX)
            break;
        if (step)
            memcpy(text + used, detail.ptr + i, step);
        else
            text[used] = '?';
        used += step ? step : 1;
    }
    if (text)
        text[used] = '\0';
    request_refuse(request, outcome, (const char *)text);
}
