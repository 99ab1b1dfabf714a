// SPDX-License-Identifier: GPL-3.0-or-later
/* docs/coap-api.md has the rows of the route table that CoAP serves, and no others. */
#include "gateway/route.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char text[65536];

static void read_document(void)
{
    char path[4096];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/docs/coap-api.md", root ? root : ".");
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
}

static const char *security_of(const struct route *route)
{
    static const char *const names[] = {
        [ROUTE_ANYONE] = "anyone", [ROUTE_AUTHENTICATED] = "authenticated", [ROUTE_SPEAKER] = "speaker",
        [ROUTE_ENROL] = "enroller", [ROUTE_VIEWER] = "viewer", [ROUTE_OPERATOR] = "operator", [ROUTE_ADMIN] = "admin", [ROUTE_HABIT] = "speaker"};
    return names[route->security];
}

static const char *takes_of(const struct route *route)
{
    static const char *const names[] = {
        [ROUTE_BODY_NONE] = "-", [ROUTE_BODY_OBSERVATIONS] = "observations", [ROUTE_BODY_RECORD] = "50", [ROUTE_BODY_RECORDS] = "50, 65004",
        [ROUTE_BODY_ETCH] = "320, 322",
        [ROUTE_BODY_ANY] = "anything"};
    return names[route->body];
}

static const char *produces_of(const struct route *route)
{
    static char list[64];
    size_t at = 0;
    for (size_t i = 0; i < ROUTE_PRODUCES_MAX && route->produces[i] != CONTENT_FORMAT_NONE; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%d", i ? ", " : "", route->produces[i]);
    return at ? list : "-";
}

Test(coap_docs, routes_are_those_of_the_table)
{
    static const char *const methods[] = {"", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"};
    size_t count, served = 0, documented = 0;
    const struct route *table = route_table(&count);
    read_document();
    for (size_t i = 0; i < count; i++) {
        char row[256];
        bool is_writing_get = table[i].security == ROUTE_HABIT && table[i].method == METHOD_GET;
        if (table[i].security == ROUTE_OPS || is_writing_get)
            continue;
        served++;
        snprintf(row, sizeof row, "| %s | `%s` | %s | %s | %s |\n", methods[table[i].method], table[i].path,
                 security_of(&table[i]), takes_of(&table[i]), produces_of(&table[i]));
        cr_expect(strstr(text, row), "docs/coap-api.md lacks: %s", row);
    }
    for (const char *at = text; (at = strstr(at, " | `/")); at++)
        documented++;
    cr_expect_eq(documented, served, "docs/coap-api.md has routes that are not served");
}
