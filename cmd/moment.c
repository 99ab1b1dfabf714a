// SPDX-License-Identifier: GPL-3.0-or-later
/* See the header. DIGITS_MIN digits and more are seconds; fewer could be a year or a day. */
#include "cmd/moment.h"

#include "codec/datetime.h"

#include <errno.h>
#include <stdlib.h>

#define DIGITS_MIN 9

static bool read_seconds(const char *text, int64_t *ret)
{
    char *end;
    if (strlen(text) < DIGITS_MIN || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return errno == 0;
}

int moment_take(const struct cli *cli, const char *option, int64_t *ret)
{
    const char *text = cli_value(cli, option);
    struct timestamp time = {0};
    *ret = 0;
    if (!text || read_seconds(text, ret))
        return CLI_OK;
    if (!datetime_parse(bytes_of_text(text), &time) || time.s <= 0)
        return cli_fail(cli, CLI_USAGE, "%s \"%s\": as 2026-11-21T10:00:00Z, 2026-11-21, or Unix seconds", option,
                        text);
    *ret = time.s;
    return CLI_OK;
}
