// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir group`: keys from which a batch of devices derives its own, so that none needs a record before it appears. The
 * group's key is printed when it is made, and never again.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/speech.h"
#include "gateway/rt/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEY_MIN 32 /* octets */

static int take_key(const struct cli *cli, struct group_record *ret)
{
    const char *hex = cli_value(cli, "--key");
    uint8_t random[KEY_MIN];
    if (hex && (!secret_set_hex(&ret->key, bytes_of_text(hex)) || ret->key.len < KEY_MIN))
        return cli_fail(cli, CLI_USAGE, "--key needs %d to %d hexadecimal digits", 2 * KEY_MIN, 2 * SECRET_MAX);
    if (hex)
        return CLI_OK;
    random_bytes(random, sizeof random);
    secret_set(&ret->key, bytes_of(random, sizeof random));
    explicit_bzero(random, sizeof random);
    return CLI_OK;
}

static int take_text(const struct cli *cli, const char *option, size_t max, bool (*is_valid)(struct bytes), char *ret)
{
    const char *text = cli_value(cli, option);
    if (!text || !text[0])
        return CLI_OK;
    if (strlen(text) > max || !is_valid(bytes_of_text(text)))
        return cli_fail(cli, CLI_USAGE, "%s \"%s\" does not do: at most %zu bytes; see --help", option, text, max);
    strcpy(ret, text);
    return CLI_OK;
}

static int take_profile(struct cli *cli, struct group_record *ret)
{
    const char *profile = cli_value(cli, "--profile");
    if (!profile || !profile[0])
        return CLI_OK;
    int status = speech_check_profile(cli, ret->tenant, profile);
    if (status == CLI_OK)
        strcpy(ret->profile, profile);
    return status;
}

static int take_options(struct cli *cli, struct group_record *ret)
{
    int status = take_text(cli, "--pattern", RECORD_PATTERN_MAX, record_pattern_is_valid, ret->pattern);
    if (status == CLI_OK && !ret->pattern[0])
        status = cli_fail(cli, CLI_USAGE, "needs --pattern: which device ids belong to it, as meter-*");
    if (status == CLI_OK)
        status = take_text(cli, "--site", RECORD_SITE_MAX, record_text_is_valid, ret->site);
    if (status == CLI_OK)
        status = take_text(cli, "--tags", RECORD_TAGS_MAX, record_tags_are_valid, ret->tags);
    if (status == CLI_OK)
        status = take_profile(cli, ret);
    return status == CLI_OK ? take_key(cli, ret) : status;
}

/* The only time that it is seen. */
static void print_key(const struct group_record *record)
{
    printf("key (hex): ");
    for (size_t i = 0; i < record->key.len; i++)
        printf("%02x", record->key.octets[i]);
    puts("\nKeep the key; it is not shown again. A device's PSK is HMAC-SHA-256(key, device id), of its signatures "
         "HMAC-SHA-256(key, \"mac:\" and device id).");
}

static int group_add(struct cli *cli)
{
    struct group_record record = {.created_s = time(NULL)};
    struct cli_profile group;
    if (!cli_split_profile(cli, cli->operands[0], &group))
        return CLI_USAGE;
    strcpy(record.tenant, group.tenant);
    strcpy(record.id, group.id);
    int status = take_options(cli, &record);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_add_group(&cli->accounts, &record, cli_value(cli, "--replace") != NULL),
                           "group", cli->operands[0]);
    if (status == CLI_OK) {
        printf("group %s added: devices %s\n", cli->operands[0], record.pattern);
        print_key(&record);
    }
    secret_wipe(&record.key);
    return status;
}

static void put_member(const char *name, const char *text)
{
    printf(",\"%s\":", name);
    cli_put_json(text);
}

static void print_json(const struct group_record *record)
{
    printf("{\"group\":");
    cli_put_json(record->id);
    printf(",\"disabled\":%s", record->disabled ? "true" : "false");
    put_member("pattern", record->pattern);
    put_member("site", record->site);
    put_member("tags", record->tags);
    put_member("profile", record->profile);
    printf(",\"created\":%lld}", (long long)record->created_s);
}

static void print_line(const struct group_record *record)
{
    printf("%-32s %-8s %-24s %-16s %s\n", record->id, record->disabled ? "disabled" : "enabled", record->pattern,
           record->site, record->tags);
}

static void print_record(const struct group_record *record)
{
    char time_text[32];
    printf("group:   %s/%s\nstate:   %s\npattern: %s\nsite:    %s\ntags:    %s\nprofile: %s\nkey:     %s\ncreated: %s\n",
           record->tenant, record->id, record->disabled ? "disabled" : "enabled", record->pattern, record->site,
           record->tags, record->profile[0] ? record->profile : "none",
           secret_is_set(&record->key) ? "set" : "cannot be opened with this --kek",
           cli_time_text(record->created_s, time_text));
}

static int group_show(struct cli *cli)
{
    struct group_record record;
    struct cli_profile group;
    if (!cli_split_profile(cli, cli->operands[0], &group))
        return CLI_USAGE;
    int status = cli_judge(
        cli, accounts_get_group(&cli->accounts, bytes_of_text(group.tenant), bytes_of_text(group.id), &record), "group",
        cli->operands[0]);
    if (status != CLI_OK)
        return status;
    if (cli_value(cli, "--json")) {
        print_json(&record);
        putchar('\n');
    } else {
        print_record(&record);
    }
    secret_wipe(&record.key);
    return status;
}

static int list_one(struct cli *cli, const char *tenant, const char *id, bool json, bool *first)
{
    struct group_record record;
    enum accounts_result result =
        accounts_get_group(&cli->accounts, bytes_of_text(tenant), bytes_of_text(id), &record);
    if (result == ACCOUNTS_NOT_FOUND) /* removed in between */
        return CLI_OK;
    if (result != ACCOUNTS_DONE)
        return cli_judge(cli, result, "group", id);
    if (json) {
        fputs(*first ? "\n" : ",\n", stdout);
        print_json(&record);
    } else {
        print_line(&record);
    }
    *first = false;
    secret_wipe(&record.key);
    return CLI_OK;
}

static int group_list(struct cli *cli)
{
    const char *tenant = cli->operands[0];
    bool json = cli_value(cli, "--json") != NULL, first = true;
    struct accounts_ids ids;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status =
        cli_judge(cli, accounts_list_groups(&cli->accounts, bytes_of_text(tenant), &ids), "groups of", tenant);
    if (status != CLI_OK)
        return status;
    if (json)
        putchar('[');
    for (size_t i = 0; i < ids.count && status != CLI_AWAY; i++) {
        int one = list_one(cli, tenant, ids.ids[i], json, &first);
        status = one != CLI_OK ? one : status;
    }
    if (json)
        puts("\n]");
    free(ids.ids);
    return status;
}

static int set_disabled(struct cli *cli, bool disabled)
{
    struct cli_profile group;
    if (!cli_split_profile(cli, cli->operands[0], &group))
        return CLI_USAGE;
    int status = cli_judge(cli,
                           accounts_set_group_disabled(&cli->accounts, bytes_of_text(group.tenant),
                                                       bytes_of_text(group.id), disabled),
                           "group", cli->operands[0]);
    if (status == CLI_OK)
        printf("group %s %s\n", cli->operands[0],
               disabled ? "disabled; sessions with keys of it end within seconds" : "enabled");
    return status;
}

static int group_disable(struct cli *cli)
{
    return set_disabled(cli, true);
}

static int group_enable(struct cli *cli)
{
    return set_disabled(cli, false);
}

static int group_remove(struct cli *cli)
{
    struct cli_profile group;
    if (!cli_split_profile(cli, cli->operands[0], &group))
        return CLI_USAGE;
    int status = cli_judge(
        cli, accounts_remove_group(&cli->accounts, bytes_of_text(group.tenant), bytes_of_text(group.id)), "group",
        cli->operands[0]);
    if (status == CLI_OK)
        printf("group %s removed; records of its devices stay, and their derived keys are good no more\n",
               cli->operands[0]);
    return status;
}

static const struct cli_option add_options[] = {
    {"--pattern", "P", "which device ids belong to it; * is any run of characters"},
    {"--key", "HEX", "the key that they were made with, 64 to 128 hexadecimal digits; default: a new one"},
    {"--site", "S", "building or house of its devices, for the records that they get"},
    {"--tags", "A,B", "words without spaces, for the same"},
    {"--profile", "P", "how they speak"},
    {"--replace", NULL, "if it exists, make it anew with these options only"},
    {NULL, NULL, NULL},
};

static const struct cli_option json_options[] = {
    {"--json", NULL, "as JSON"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "TENANT/NAME", "let a batch of devices in by one key; prints it, once", add_options, group_add},
    {"list", "TENANT", "the tenant's groups", json_options, group_list},
    {"show", "TENANT/NAME", "one group, without its key", json_options, group_show},
    {"disable", "TENANT/NAME", "derived keys are good no more; sessions with them end", NULL, group_disable},
    {"enable", "TENANT/NAME", "takes that back", NULL, group_enable},
    {"remove", "TENANT/NAME", "forget the group; records of its devices stay", NULL, group_remove},
};

int cmd_group(int argc, char **argv)
{
    static const struct cli_group group = {
        "group", "keys from which a batch of devices derives its own", commands, sizeof commands / sizeof commands[0],
    };
    return cli_main(&group, argc, argv);
}
