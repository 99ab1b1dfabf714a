// SPDX-License-Identifier: GPL-3.0-or-later
#include "cmd/thing.h"

#include <stdio.h>
#include <stdlib.h>

int thing_list(struct cli *cli)
{
    const struct thing_kind *kind = cli->group->things;
    const char *tenant = cli->operands[0];
    bool json = cli_value(cli, "--json") != NULL;
    struct thing_form form = {json ? THING_JSON : THING_LINE, json ? "\n" : ""};
    struct accounts_ids ids;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status = cli_judge(cli, kind->list(&cli->accounts, bytes_of_text(tenant), &ids), kind->all, tenant);
    if (status != CLI_OK)
        return status;
    if (json)
        putchar('[');
    for (size_t i = 0; i < ids.count && status != CLI_AWAY; i++) {
        enum accounts_result result = kind->print(cli, bytes_of_text(tenant), bytes_of_text(ids.ids[i]), form);
        if (result == ACCOUNTS_DONE && json)
            form.before = ",\n";
        else if (result != ACCOUNTS_DONE && result != ACCOUNTS_NOT_FOUND) /* removed in between */
            status = cli_judge(cli, result, kind->name, ids.ids[i]);
    }
    if (json)
        puts("\n]");
    free(ids.ids);
    return status;
}

int thing_do(struct cli *cli, enum accounts_result (*act)(struct cli *cli, struct bytes tenant, struct bytes id))
{
    struct cli_name name;
    if (!cli->group->things->split(cli, cli->operands[0], &name))
        return CLI_USAGE;
    return cli_judge(cli, act(cli, bytes_of_text(name.tenant), bytes_of_text(name.id)), cli->group->things->name,
                     cli->operands[0]);
}

/* "group acme/north removed; what follows" */
static void tell(const struct cli *cli, const char *done, const char *consequence)
{
    printf("%s %s %s%s%s\n", cli->group->things->name, cli->operands[0], done, consequence ? "; " : "",
           consequence ? consequence : "");
}

static enum accounts_result show(struct cli *cli, struct bytes tenant, struct bytes id)
{
    bool json = cli_value(cli, "--json") != NULL;
    struct thing_form form = {json ? THING_JSON : THING_WHOLE, ""};
    enum accounts_result result = cli->group->things->print(cli, tenant, id, form);
    if (result == ACCOUNTS_DONE && json)
        putchar('\n');
    return result;
}

static enum accounts_result disable(struct cli *cli, struct bytes tenant, struct bytes id)
{
    return cli->group->things->set_disabled(&cli->accounts, tenant, id, true);
}

static enum accounts_result enable(struct cli *cli, struct bytes tenant, struct bytes id)
{
    return cli->group->things->set_disabled(&cli->accounts, tenant, id, false);
}

static enum accounts_result remove_one(struct cli *cli, struct bytes tenant, struct bytes id)
{
    return cli->group->things->remove(&cli->accounts, tenant, id);
}

int thing_show(struct cli *cli)
{
    return thing_do(cli, show);
}

int thing_disable(struct cli *cli)
{
    int status = thing_do(cli, disable);
    if (status == CLI_OK && cli->group->things->if_disabled)
        tell(cli, "disabled", cli->group->things->if_disabled);
    return status;
}

int thing_enable(struct cli *cli)
{
    int status = thing_do(cli, enable);
    if (status == CLI_OK && cli->group->things->if_disabled)
        tell(cli, "enabled", NULL);
    return status;
}

int thing_remove(struct cli *cli)
{
    int status = thing_do(cli, remove_one);
    if (status == CLI_OK && cli->group->things->if_removed)
        tell(cli, "removed", cli->group->things->if_removed);
    return status;
}
