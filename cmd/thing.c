// SPDX-License-Identifier: GPL-3.0-or-later
#include "cmd/thing.h"

#include <stdio.h>
#include <stdlib.h>

const struct cli_option thing_json_options[] = {
    {"--json", NULL, "as JSON"},
    {NULL, NULL, NULL},
};

int thing_judge(const struct cli *cli, const struct thing_kind *kind, enum accounts_result result, const char *name)
{
    if (result == ACCOUNTS_DAMAGED && kind->if_damaged)
        return cli_fail(cli, CLI_REFUSED, "what Redis has of %s %s is no valid record%s", kind->name, name,
                        kind->if_damaged);
    return cli_judge(cli, result, kind->name, name);
}

int thing_list_ids(struct cli *cli, const struct thing_kind *kind, const char *tenant, struct accounts_ids *ids)
{
    bool json = cli_value(cli, "--json") != NULL;
    struct thing_form form = {json ? THING_JSON : THING_LINE, json ? "\n" : ""};
    int status = CLI_OK;
    if (json)
        putchar('[');
    for (size_t i = 0; i < ids->count && status != CLI_AWAY && !ferror(stdout); i++) {
        enum accounts_result result = kind->print(cli, bytes_of_text(tenant), bytes_of_text(ids->ids[i]), form);
        if (result == ACCOUNTS_DONE && json)
            form.before = ",\n";
        else if (result != ACCOUNTS_DONE && result != ACCOUNTS_NOT_FOUND) /* removed in between */
            status = thing_judge(cli, kind, result, ids->ids[i]);
    }
    if (json)
        puts("\n]");
    free(ids->ids);
    return status;
}

int thing_list_kind(struct cli *cli, const struct thing_kind *kind)
{
    const char *tenant = cli->operands[0];
    struct accounts_ids ids;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status = cli_judge(cli, kind->list(&cli->accounts, bytes_of_text(tenant), &ids), kind->all, tenant);
    return status == CLI_OK ? thing_list_ids(cli, kind, tenant, &ids) : status;
}

int thing_list(struct cli *cli)
{
    return thing_list_kind(cli, cli->group->things);
}

int thing_do(struct cli *cli, enum accounts_result (*act)(struct cli *cli, struct bytes tenant, struct bytes id))
{
    const struct thing_kind *kind = cli->group->things;
    struct cli_name name;
    if (!kind->split(cli, cli->operands[0], &name))
        return CLI_USAGE;
    return thing_judge(cli, kind, act(cli, bytes_of_text(name.tenant), bytes_of_text(name.id)), cli->operands[0]);
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
    if (status == CLI_OK)
        tell(cli, "disabled", cli->group->things->if_disabled);
    return status;
}

int thing_enable(struct cli *cli)
{
    int status = thing_do(cli, enable);
    if (status == CLI_OK)
        tell(cli, "enabled", NULL);
    return status;
}

int thing_remove(struct cli *cli)
{
    int status = thing_do(cli, remove_one);
    if (status == CLI_OK)
        tell(cli, "removed", cli->group->things->if_removed);
    return status;
}
