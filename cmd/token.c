// SPDX-License-Identifier: GPL-3.0-or-later
/* `weir token`: bearer tokens for HTTP. The text of a token is printed once, when it is made, and is nowhere else. */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "gateway/rt/random.h"
#include "gateway/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY_S 86400
#define DAYS_MAX 36500

/* Days from now, as a moment; 0 if the option is not there. False: said why. */
static bool parse_expiry(const struct cli *cli, int64_t now_s, int64_t *ret)
{
    const char *text = cli_value(cli, "--expires");
    char *end;
    *ret = 0;
    if (!text)
        return true;
    long days = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : 0;
    if (days < 1 || days > DAYS_MAX || *end) {
        cli_fail(cli, CLI_USAGE, "--expires %s: whole days, 1 to %d", text, DAYS_MAX);
        return false;
    }
    *ret = now_s + days * DAY_S;
    return true;
}

/* Whose token it is to be. */
static int parse_owner(const struct cli *cli, struct token_record *ret)
{
    const char *tenant = cli_value(cli, "--tenant"), *device = cli_value(cli, "--device");
    bool is_operator = cli_value(cli, "--operator") != NULL;
    if (!tenant || (device != NULL) == is_operator)
        return cli_fail(cli, CLI_USAGE, "needs --tenant NAME and either --device ID or --operator");
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    if (device && !schema_device_is_valid(bytes_of_text(device)))
        return cli_fail(cli, CLI_USAGE, "--device %s cannot be the id of a device", device);
    strcpy(ret->tenant, tenant);
    strcpy(ret->device, device ? device : "");
    ret->role = is_operator ? TOKEN_OPERATOR : TOKEN_DEVICE;
    return CLI_OK;
}

static int token_add(struct cli *cli)
{
    uint8_t random[TOKENS_RANDOM_BYTES];
    char text[TOKENS_TEXT_LEN + 1], owner[SCHEMA_TENANT_MAX + SCHEMA_DEVICE_MAX + 2];
    struct token_record record = {.created_s = time(NULL)};
    int status = parse_owner(cli, &record);
    if (status != CLI_OK)
        return status;
    if (!parse_expiry(cli, record.created_s, &record.expires_s))
        return CLI_USAGE;
    random_bytes(random, sizeof random);
    bool made = tokens_make(random, &record, text);
    explicit_bzero(random, sizeof random);
    if (!made)
        return cli_fail(cli, CLI_REFUSED, "cannot make a digest");
    snprintf(owner, sizeof owner, "%s%s%s", record.tenant, record.device[0] ? "/" : "", record.device);
    status = cli_judge(cli, accounts_add_token(&cli->accounts, &record), "token for", owner);
    if (status == CLI_OK) {
        char time_text[32];
        printf("id:      %s\nfor:     %s (%s)\nexpires: %s\ntoken:   %s\n", record.id, owner,
               record.role == TOKEN_OPERATOR ? "operator" : "device",
               record.expires_s ? cli_time_text(record.expires_s, time_text) : "never", text);
        puts("Keep the token; it is not shown again. Use it as: Authorization: Bearer TOKEN");
    }
    explicit_bzero(text, sizeof text);
    return status;
}

static const char *state_of(const struct token_record *record, int64_t now_s)
{
    if (record->revoked)
        return "revoked";
    return record->expires_s && record->expires_s <= now_s ? "expired" : "valid";
}

static int token_list(struct cli *cli)
{
    const char *tenant = cli->operands[0];
    struct accounts_ids ids;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status =
        cli_judge(cli, accounts_list_tokens(&cli->accounts, bytes_of_text(tenant), &ids), "tokens of", tenant);
    if (status != CLI_OK)
        return status;
    for (size_t i = 0; i < ids.count && status == CLI_OK; i++) {
        struct token_record record;
        char time_text[32];
        enum accounts_result result =
            accounts_get_token_of(&cli->accounts, bytes_of_text(tenant), bytes_of_text(ids.ids[i]), &record);
        if (result == ACCOUNTS_DONE)
            printf("%s  %-8s  %-8s  expires %-20s  %s\n", record.id,
                   record.role == TOKEN_OPERATOR ? "operator" : "device", state_of(&record, time(NULL)),
                   record.expires_s ? cli_time_text(record.expires_s, time_text) : "never", record.device);
        else if (result != ACCOUNTS_NOT_FOUND)
            status = cli_judge(cli, result, "token", ids.ids[i]);
    }
    free(ids.ids);
    return status;
}

static int token_revoke(struct cli *cli)
{
    const char *id = cli->operands[0];
    if (!record_token_id_is_valid(bytes_of_text(id)))
        return cli_fail(cli, CLI_USAGE, "\"%s\" is not the id of a token: 16 hexadecimal digits; see weir token list",
                        id);
    int status = cli_judge(cli, accounts_revoke_token(&cli->accounts, bytes_of_text(id)), "token", id);
    if (status == CLI_OK)
        printf("token %s revoked\n", id);
    return status;
}

static const struct cli_option add_options[] = {
    {"--tenant", "NAME", "whose token"},
    {"--device", "ID", "speaks as this device"},
    {"--operator", NULL, "reads and writes the tenant"},
    {"--expires", "DAYS", "default: never"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "", "make a token and print it, once", add_options, token_add},
    {"list", "TENANT", "the tenant's tokens, without their secrets", NULL, token_list},
    {"revoke", "ID", "the token stops working within seconds", NULL, token_revoke},
};

int cmd_token(int argc, char **argv)
{
    static const struct cli_group group = {
        "token", "bearer tokens for HTTP", commands, sizeof commands / sizeof commands[0],
    };
    return cli_main(&group, argc, argv);
}
