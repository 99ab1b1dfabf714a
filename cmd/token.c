// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir token`: bearer tokens for HTTP, and the keys that legacy senders put into their queries. The text of either is
 * printed once, when it is made, and never again.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/thing.h"
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
    if (days < 1 || days > DAYS_MAX || (*end && strcmp(end, "d") != 0)) {
        cli_fail(cli, CLI_USAGE, "--expires \"%s\": whole days, 1 to %d: 30d", text, DAYS_MAX);
        return false;
    }
    *ret = now_s + days * DAY_S;
    return true;
}

static bool parse_role(const char *text, enum role *ret)
{
    return role_of_name(bytes_of_text(text), ret) && *ret >= ROLE_VIEWER;
}

/* What a person may see, and whose token it is. */
static int parse_person(const struct cli *cli, struct token_record *ret)
{
    const char *sites = cli_value(cli, "--sites"), *label = cli_value(cli, "--label");
    if (sites && ret->role == ROLE_DEVICE)
        return cli_fail(cli, CLI_USAGE, "--sites is for people: --role viewer, operator or admin");
    if (sites && (!sites[0] || strlen(sites) > RECORD_SITES_MAX || !record_sites_are_valid(bytes_of_text(sites))))
        return cli_fail(cli, CLI_USAGE, "--sites \"%s\": names of sites between commas, at most %d characters", sites,
                        RECORD_SITES_MAX);
    if (label && (strlen(label) > RECORD_SITE_MAX || !record_text_is_valid(bytes_of_text(label))))
        return cli_fail(cli, CLI_USAGE, "--label \"%s\": a text of at most %d characters", label, RECORD_SITE_MAX);
    strcpy(ret->sites, sites ? sites : "");
    strcpy(ret->label, label ? label : "");
    return CLI_OK;
}

/* Whose token it is to be. */
static int parse_owner(const struct cli *cli, struct token_record *ret)
{
    const char *tenant = cli->operands[0] ? cli->operands[0] : cli_value(cli, "--tenant");
    const char *device = cli_value(cli, "--device"), *role = cli_value(cli, "--role");
    if (!role && cli_value(cli, "--operator"))
        role = "operator";
    if (!tenant || (device != NULL) == (role != NULL))
        return cli_fail(cli, CLI_USAGE, "needs a TENANT and either --device ID or --role viewer, operator or admin");
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    if (device && !schema_device_is_valid(bytes_of_text(device)))
        return cli_fail(cli, CLI_USAGE, "--device \"%s\" cannot be the id of a device", device);
    if (role && !parse_role(role, &ret->role))
        return cli_fail(cli, CLI_USAGE, "--role \"%s\": viewer, operator or admin", role);
    strcpy(ret->tenant, tenant);
    strcpy(ret->device, device ? device : "");
    return parse_person(cli, ret);
}

/* Keys of legacy senders. */

/* The first line of a file, "-": of standard input. */
static int read_apikey(const struct cli *cli, const char *path, struct secret *ret)
{
    char line[RECORD_APIKEY_MAX + 3] = "";
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    bool ok = file && fgets(line, sizeof line, file);
    if (file && !is_stdin)
        fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    if (!ok)
        return cli_fail(cli, CLI_REFUSED, "--apikey-from %s cannot be read or is empty", path);
    ok = record_apikey_is_valid(bytes_of_text(line)) && secret_set(ret, bytes_of_text(line));
    explicit_bzero(line, sizeof line);
    return ok ? CLI_OK
              : cli_fail(cli, CLI_REFUSED, "--apikey-from %s: a key has %d to %d of A-Z a-z 0-9 _ -", path,
                         RECORD_APIKEY_MIN, RECORD_APIKEY_MAX);
}

/* Whether a token of the tenant that is not revoked has the key. */
static enum accounts_result find_apikey(struct cli *cli, struct bytes tenant, const struct secret *apikey,
                                        struct token_record *ret, bool *ret_found)
{
    struct accounts_ids ids;
    enum accounts_result result = accounts_list_tokens(&cli->accounts, tenant, &ids);
    if (result != ACCOUNTS_DONE)
        return result == ACCOUNTS_NO_TENANT ? ACCOUNTS_DONE : result;
    for (size_t i = 0; i < ids.count && result != ACCOUNTS_AWAY && !*ret_found; i++) {
        result = accounts_get_token_of(&cli->accounts, tenant, bytes_of_text(ids.ids[i]), ret);
        *ret_found = result == ACCOUNTS_DONE && !ret->revoked && secret_equal(&ret->apikey, apikey);
        if (result == ACCOUNTS_DONE)
            secret_wipe(&ret->apikey);
    }
    free(ids.ids);
    return result == ACCOUNTS_AWAY ? result : ACCOUNTS_DONE;
}

/* A key that two have would bring the data of one to the other, so it is looked for in all tenants. */
static int check_apikey_is_free(struct cli *cli, const struct secret *apikey)
{
    struct accounts_ids tenants = {0};
    struct token_record holder;
    bool found = false;
    enum accounts_result result = accounts_list_tenants(&cli->accounts, &tenants);
    for (size_t i = 0; result == ACCOUNTS_DONE && i < tenants.count && !found; i++)
        result = find_apikey(cli, bytes_of_text(tenants.ids[i]), apikey, &holder, &found);
    if (result == ACCOUNTS_DONE && found)
        cli_fail(cli, CLI_REFUSED, "this key is that of token %s (%s/%s); weir token revoke %s first", holder.id,
                 holder.tenant, holder.device, holder.id);
    free(tenants.ids);
    if (result != ACCOUNTS_DONE)
        return cli_judge(cli, result, "the", "tokens");
    return found ? CLI_REFUSED : CLI_OK;
}

static int make_apikey(struct cli *cli, struct token_record *record)
{
    const char *path = cli_value(cli, "--apikey-from");
    struct secret given = {0};
    uint8_t random[TOKENS_APIKEY_RANDOM_BYTES];
    if (record->role != ROLE_DEVICE)
        return cli_fail(cli, CLI_USAGE, "a key of a legacy sender speaks as one device: --device ID");
    int status = path ? read_apikey(cli, path, &given) : CLI_OK;
    if (path && status == CLI_OK)
        status = check_apikey_is_free(cli, &given);
    random_bytes(random, sizeof random);
    tokens_make_apikey(random, record);
    explicit_bzero(random, sizeof random);
    if (path)
        record->apikey = given;
    secret_wipe(&given);
    return status;
}

static int make_bearer(const struct cli *cli, struct token_record *record, char ret_text[static TOKENS_TEXT_LEN + 1])
{
    uint8_t random[TOKENS_RANDOM_BYTES];
    random_bytes(random, sizeof random);
    bool made = tokens_make(random, record, ret_text);
    explicit_bzero(random, sizeof random);
    return made ? CLI_OK : cli_fail(cli, CLI_REFUSED, "cannot make a digest");
}

/* The only time that its text is seen. */
static void print_made(const struct token_record *record, const char *owner, const char *text)
{
    char time_text[32];
    bool is_apikey = secret_is_set(&record->apikey);
    printf("id:      %s\nfor:     %s (%s)\nexpires: %s\n", record->id, owner, role_name(record->role),
           record->expires_s ? cli_time_text(record->expires_s, time_text) : "never");
    if (record->label[0])
        printf("label:   %s\n", record->label);
    if (record->sites[0])
        printf("sites:   %s\n", record->sites);
    if (is_apikey)
        printf("apikey:  %.*s\nKeep the key; it is not shown again. Use it as the sender does: ?apikey=KEY, ?k=KEY\n",
               record->apikey.len, (const char *)record->apikey.octets);
    else
        printf("token:   %s\nKeep the token; it is not shown again. Use it as: Authorization: Bearer TOKEN\n", text);
}

static int token_add(struct cli *cli)
{
    char text[TOKENS_TEXT_LEN + 1] = "", owner[SCHEMA_TENANT_MAX + SCHEMA_DEVICE_MAX + 2];
    struct token_record record = {.created_s = time(NULL)};
    bool is_apikey = cli_value(cli, "--apikey") || cli_value(cli, "--apikey-from");
    int status = parse_owner(cli, &record);
    if (status != CLI_OK)
        return status;
    if (!parse_expiry(cli, record.created_s, &record.expires_s))
        return CLI_USAGE;
    status = is_apikey ? make_apikey(cli, &record) : make_bearer(cli, &record, text);
    snprintf(owner, sizeof owner, "%s%s%s", record.tenant, record.device[0] ? "/" : "", record.device);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_add_token(&cli->accounts, &record), "token for", owner);
    if (status == CLI_OK)
        print_made(&record, owner, text);
    explicit_bzero(text, sizeof text);
    secret_wipe(&record.apikey);
    return status;
}

static const char *state_of(const struct token_record *record, int64_t now_s)
{
    if (record->revoked)
        return "revoked";
    return record->expires_s && record->expires_s <= now_s ? "expired" : "valid";
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    struct token_record record;
    char time_text[32];
    enum accounts_result result = accounts_get_token_of(&cli->accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    printf("%s%s  %-8s  %-6s  %-8s  expires %-20s  %s%s%s%s%s\n", form.before, record.id, role_name(record.role),
           secret_is_set(&record.apikey) ? "apikey" : "bearer", state_of(&record, time(NULL)),
           record.expires_s ? cli_time_text(record.expires_s, time_text) : "never", record.device,
           record.device[0] && record.label[0] ? "  " : "", record.label, record.sites[0] ? "  sites " : "",
           record.sites);
    secret_wipe(&record.apikey);
    return result;
}

static int token_revoke(struct cli *cli)
{
    const char *id = cli->operands[0];
    if (!record_token_id_is_valid(bytes_of_text(id)))
        return cli_fail(cli, CLI_USAGE, "\"%s\" is not the id of a token: 16 hexadecimal digits; see weir token list",
                        id);
    int status = thing_judge(cli, cli->group->things, accounts_revoke_token(&cli->accounts, bytes_of_text(id)), id);
    if (status == CLI_OK)
        printf("token %s revoked\n", id);
    return status;
}

static const struct thing_kind kind = {
    .name = "token",
    .all = "tokens of",
    .list = accounts_list_tokens,
    .print = print_one,
    .if_damaged = ", and none that a gateway takes; make another (weir token add)",
};

static const struct cli_option add_options[] = {
    {"--tenant", "NAME", "the same as TENANT"},
    {"--device", "ID", "speaks as this device"},
    {"--role", "ROLE", "a person: viewer reads, operator changes devices and codecs, admin also people"},
    {"--operator", NULL, "the same as --role operator"},
    {"--sites", "LIST", "a person sees only devices of these sites; commas between them"},
    {"--label", "TEXT", "whose it is; the audit says it"},
    {"--expires", "DAYS", "30d; default: never"},
    {"--apikey", NULL, "make a key for a legacy sender's query (emonCMS, Ultralight) instead; with --device"},
    {"--apikey-from", "FILE", "take the key that it has: the first line of FILE, or of standard input (-)"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "[TENANT]", "make a token and print it, once", add_options, token_add},
    {"list", "TENANT", "the tenant's tokens, without their secrets", NULL, thing_list},
    {"revoke", "ID", "the token stops working within seconds", NULL, token_revoke},
};

int cmd_token(int argc, char **argv)
{
    static const struct cli_group group = {
        "token",  "bearer tokens for HTTP, and keys of legacy senders",
        commands, sizeof commands / sizeof commands[0],
        &kind,
    };
    return cli_main(&group, argc, argv);
}
