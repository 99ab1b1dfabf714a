// SPDX-License-Identifier: GPL-3.0-or-later
/* `weir audit`: who changed what in a tenant, the newest last. */
#include "cmd/cli.h"
#include "cmd/commands.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT_DEFAULT 100
#define COUNT_MAX 100000

static void print_entry(const struct audit_entry *entry)
{
    char time_text[32];
    cli_put_line(stdout, "%s  %s%s%s%s  %s  %s %s %s%s%s",
                 cli_time_text(strtoll(entry->at, NULL, 10) / 1000, time_text), entry->who,
                 entry->label[0] ? " (" : "", entry->label, entry->label[0] ? ")" : "",
                 entry->from[0] ? entry->from : "-", entry->action, entry->object, entry->id,
                 entry->key[0] ? "/" : "", entry->key);
}

static int audit_show(struct cli *cli)
{
    const char *tenant = cli->operands[0];
    uint32_t max = COUNT_DEFAULT;
    size_t count = 0;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status = cli_take_number(cli, "--count", COUNT_MAX, &max);
    if (status != CLI_OK)
        return status;
    struct audit_entry *entries = calloc(max, sizeof *entries);
    if (!entries)
        return cli_fail(cli, CLI_REFUSED, "out of memory");
    status = cli_judge(cli,
                       accounts_read_audit(&cli->accounts, bytes_of_text(tenant), (struct bytes){0}, entries, max,
                                           &count),
                       "audit of", tenant);
    while (status == CLI_OK && count > 0)
        print_entry(&entries[--count]);
    free(entries);
    return status;
}

static const struct cli_option options[] = {
    {"--count", "N", "how many, the newest ones; default: 100"},
    {NULL, NULL, NULL},
};

int cmd_audit(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"", "TENANT", "who changed what, when, from where", options, audit_show},
    };
    static const struct cli_group group = {"audit", "who changed what in a tenant", commands, 1, NULL};
    return cli_main(&group, argc, argv);
}
