// SPDX-License-Identifier: GPL-3.0-or-later
/* Whether a path is that of a row; apart from the table, so that other tables can be asked, too. */
#include "gateway/route.h"

bool route_matches(const struct route *route, struct bytes path, struct bytes *ret_parameter)
{
    struct bytes fixed = bytes_of_text(route->path), parameter = {0};
    bool has_parameter = fixed.ptr[fixed.len - 1] == '*';
    if (has_parameter) {
        fixed.len--;
        if (!bytes_starts_with(path, fixed) || path.len == fixed.len)
            return false;
        parameter = bytes_of(path.ptr + fixed.len, path.len - fixed.len);
        if (memchr(parameter.ptr, '/', parameter.len))
            return false;
    } else if (!bytes_equal(path, fixed)) {
        return false;
    }
    if (ret_parameter)
        *ret_parameter = parameter;
    return true;
}
