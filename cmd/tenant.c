// SPDX-License-Identifier: GPL-3.0-or-later
/* `weir tenant`: words on the screen around gateway/accounts. */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/thing.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --level, or what it was before. False: said why. */
static bool read_level(struct cli *cli, enum delivery_level *level)
{
    const char *word = cli_value(cli, "--level");
    if (!word || delivery_level_parse(bytes_of_text(word), level))
        return true;
    cli_fail(cli, CLI_USAGE, "--level is spooled, stored or replicated, not \"%s\"", word);
    return false;
}

static int tenant_add(struct cli *cli)
{
    const char *name = cli->operands[0];
    struct tenant_record record = {.created_s = time(NULL)};
    enum delivery_level level = LEVEL_SPOOLED;
    if (!cli_tenant_is_valid(cli, name) || !read_level(cli, &level))
        return CLI_USAGE;
    record.level = (uint8_t)level;
    strcpy(record.id, name);
    int status = cli_judge(cli, accounts_add_tenant(&cli->accounts, &record, cli_value(cli, "--replace") != NULL),
                           "tenant", name);
    if (status == CLI_OK)
        printf("tenant %s added\nnext: weir device add %s/ID\n", name, name);
    return status;
}

static enum accounts_result print_one(struct cli *cli, struct bytes none, struct bytes id, struct thing_form form)
{
    struct tenant_record record;
    enum accounts_result result = accounts_get_tenant(&cli->accounts, id, &record);
    (void)none;
    if (result == ACCOUNTS_DONE)
        printf("%s%-32s %s\n", form.before, record.id, record.disabled ? "disabled" : "enabled");
    return result;
}

static int tenant_list(struct cli *cli)
{
    static const struct thing_kind kind = {.name = "tenant", .print = print_one};
    struct accounts_ids tenants;
    int status = cli_judge(cli, accounts_list_tenants(&cli->accounts, &tenants), "list of", "tenants");
    return status == CLI_OK ? thing_list_ids(cli, &kind, "", &tenants) : status;
}

static int tenant_show(struct cli *cli)
{
    const char *name = cli->operands[0];
    struct tenant_record record;
    struct accounts_ids devices = {0}, tokens = {0};
    struct bytes id = bytes_of_text(name);
    char time_text[32];
    if (!cli_tenant_is_valid(cli, name))
        return CLI_USAGE;
    enum accounts_result result = accounts_get_tenant(&cli->accounts, id, &record);
    if (result == ACCOUNTS_DONE)
        result = accounts_list_devices(&cli->accounts, id, &devices);
    if (result == ACCOUNTS_DONE)
        result = accounts_list_tokens(&cli->accounts, id, &tokens);
    int status = cli_judge(cli, result, "tenant", name);
    if (status == CLI_OK)
        printf("tenant:  %s\nstate:   %s\nlevel:   %s\ncreated: %s\ndevices: %zu\ntokens:  %zu\n", record.id,
               record.disabled ? "disabled" : "enabled", delivery_level_name(record.level),
               cli_time_text(record.created_s, time_text), devices.count, tokens.count);
    free(devices.ids);
    free(tokens.ids);
    return status;
}

static int set_disabled(struct cli *cli, bool disabled)
{
    const char *name = cli->operands[0];
    if (!cli_tenant_is_valid(cli, name))
        return CLI_USAGE;
    int status = cli_judge(cli, accounts_set_tenant_disabled(&cli->accounts, bytes_of_text(name), disabled), "tenant",
                           name);
    if (status == CLI_OK)
        printf("tenant %s %s\n", name, disabled ? "disabled; its sessions end within seconds" : "enabled");
    return status;
}

static int tenant_set(struct cli *cli)
{
    const char *name = cli->operands[0];
    enum delivery_level level;
    if (!cli_tenant_is_valid(cli, name))
        return CLI_USAGE;
    if (!cli_value(cli, "--level"))
        return cli_fail(cli, CLI_USAGE, "nothing to set; give --level=spooled, stored or replicated");
    if (!read_level(cli, &level))
        return CLI_USAGE;
    int status =
        cli_judge(cli, accounts_set_tenant_level(&cli->accounts, bytes_of_text(name), level), "tenant", name);
    if (status == CLI_OK)
        printf("tenant %s has level %s\n", name, delivery_level_name(level));
    return status;
}

static int tenant_disable(struct cli *cli)
{
    return set_disabled(cli, true);
}

static int tenant_enable(struct cli *cli)
{
    return set_disabled(cli, false);
}

static int tenant_remove(struct cli *cli)
{
    const char *name = cli->operands[0];
    if (!cli_tenant_is_valid(cli, name))
        return CLI_USAGE;
    int status = cli_judge(cli, accounts_remove_tenant(&cli->accounts, bytes_of_text(name)), "tenant", name);
    if (status == CLI_OK)
        printf("tenant %s removed with its devices and tokens; its streams stay\n", name);
    return status;
}

#define LEVEL_OPTION                                                                                                   \
    {"--level", "LEVEL", "what an acknowledgement means: spooled (default), stored or replicated"}

static const struct cli_option set_options[] = {
    LEVEL_OPTION,
    {NULL, NULL, NULL},
};

static const struct cli_option add_options[] = {
    LEVEL_OPTION,
    {"--replace", NULL, "if it exists, make its record anew; devices and tokens stay"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "NAME", "add a tenant", add_options, tenant_add},
    {"list", "", "names and states of all tenants", NULL, tenant_list},
    {"show", "NAME", "one tenant", NULL, tenant_show},
    {"set", "NAME", "change the tenant", set_options, tenant_set},
    {"disable", "NAME", "nobody of the tenant may speak any more", NULL, tenant_disable},
    {"enable", "NAME", "takes that back", NULL, tenant_enable},
    {"remove", "NAME", "remove a tenant, its devices and tokens, not its streams", NULL, tenant_remove},
};

int cmd_tenant(int argc, char **argv)
{
    static const struct cli_group group = {
        "tenant", "tenants: owners of devices, each with streams of its own", commands,
        sizeof commands / sizeof commands[0], NULL,
    };
    return cli_main(&group, argc, argv);
}
