// SPDX-License-Identifier: GPL-3.0-or-later
/* docs/http-api.md has exactly the rows of the route table. */
#include "gateway/route.h"
#include "proxy/http_head.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char text[65536];

static void read_docs(void)
{
    char path[4096];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/docs/http-api.md", root ? root : ".");
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
}

static void write_row(const struct route *route, char ret[static 512])
{
    static const char *const security[] = {
        [ROUTE_ANYONE] = "anyone",
        [ROUTE_AUTHENTICATED] = "authenticated",
        [ROUTE_SPEAKER] = "speaker",
        [ROUTE_ENROL] = "enroller",
        [ROUTE_VIEWER] = "viewer",
        [ROUTE_OPERATOR] = "operator",
        [ROUTE_ADMIN] = "admin",
        [ROUTE_HABIT] = "key",
        [ROUTE_OPS] = "ops",
    };
    static const char *const takes[] = {
        [ROUTE_BODY_NONE] = "-",
        [ROUTE_BODY_OBSERVATIONS] = "observations",
        [ROUTE_BODY_RECORD] = "application/json",
        [ROUTE_BODY_RECORDS] = "application/json, application/x-ndjson",
        [ROUTE_BODY_ETCH] = "application/senml-etch+json, application/senml-etch+cbor",
        [ROUTE_BODY_ANY] = "anything",
    };
    int len = snprintf(ret, 512, "| %s | `%s` | %s | %s | ", http_head_method_name(route->method), route->path,
                       security[route->security], takes[route->body]);
    const char *between = "";
    for (size_t i = 0; i < ROUTE_PRODUCES_MAX && route->produces[i] != CONTENT_FORMAT_NONE; i++) {
        len += snprintf(ret + len, 512 - (size_t)len, "%s%s", between, format_media_type(route->produces[i]));
        between = ", ";
    }
    snprintf(ret + len, 512 - (size_t)len, "%s |\n", *between ? "" : "-");
}

Test(http_docs, rows_are_those_of_the_table)
{
    size_t count, found = 0;
    const struct route *routes = route_table(&count);
    read_docs();
    for (size_t i = 0; i < count; i++) {
        char row[512];
        if (!http_head_method_name(routes[i].method))
            continue;
        write_row(&routes[i], row);
        cr_expect(strstr(text, row), "docs/http-api.md lacks: %s", row);
        found++;
    }
    for (const char *at = text; (at = strstr(at, "| `/")); at++)
        found--;
    cr_expect_eq(found, 0, "docs/http-api.md has rows that the table lacks");
}
