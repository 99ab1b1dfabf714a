// SPDX-License-Identifier: GPL-3.0-or-later
/* Whether a path is that of a row; apart from the table, so that other tables can be asked, too. */
#include "gateway/route.h"

/* Takes "/segment" off the front. False: none is left. */
static bool take_segment(struct bytes *rest, struct bytes *ret)
{
    if (rest->len == 0 || rest->ptr[0] != '/')
        return false;
    const uint8_t *end = memchr(rest->ptr + 1, '/', rest->len - 1);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    *ret = bytes_of(rest->ptr + 1, len - 1);
    *rest = bytes_of(rest->ptr + len, rest->len - len);
    return true;
}

bool route_matches(const struct route *route, struct bytes path, struct bytes *ret_parameters)
{
    struct bytes pattern = bytes_of_text(route->path), wanted, segment;
    size_t count = 0;
    while (take_segment(&pattern, &wanted)) {
        if (!take_segment(&path, &segment))
            return false;
        if (!bytes_equal_text(wanted, "*")) {
            if (!bytes_equal(wanted, segment))
                return false;
            continue;
        }
        if (segment.len == 0 || count == REQUEST_PATH_PARAMETERS_MAX)
            return false;
        if (ret_parameters)
            ret_parameters[count] = segment;
        count++;
    }
    return path.len == 0;
}
