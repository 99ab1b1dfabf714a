// SPDX-License-Identifier: GPL-3.0-or-later
/* What handlers do with any request, whichever wire it came over. */
#include "gateway/request.h"

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

void request_exchange_key(const struct request *request, uint8_t ret[static REQUEST_KEY_BYTES])
{
    request->exchange_key(request, ret);
}

void request_finish(struct request *request, const struct response *response)
{
    request->finish(request, response);
}

void request_refuse(struct request *request, enum outcome outcome, const char *detail)
{
    struct response response = response_of(outcome);
    response.detail = detail;
    request_finish(request, &response);
}
