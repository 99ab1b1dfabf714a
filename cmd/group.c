// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir group`: keys from which a batch of devices derives its own, so that none needs a record before it appears. The
 * group's key is printed when it is made, and never again.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/speech.h"
#include "cmd/thing.h"
#include "gateway/rt/random.h"

#include <stdio.h>
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

static int take_options(struct cli *cli, struct group_record *ret)
{
    const struct cli_text texts[] = {
        {"--pattern", RECORD_PATTERN_MAX, record_pattern_is_valid, ret->pattern},
        {"--site", RECORD_SITE_MAX, record_text_is_valid, ret->site},
        {"--tags", RECORD_TAGS_MAX, record_tags_are_valid, ret->tags},
    };
    int status = cli_take_texts(cli, texts, sizeof texts / sizeof texts[0]);
    if (status == CLI_OK && !ret->pattern[0])
        status = cli_fail(cli, CLI_USAGE, "needs --pattern: which device ids belong to it, as meter-*");
    if (status == CLI_OK)
        status = speech_take_profile(cli, ret->tenant, ret->profile);
    return status == CLI_OK ? take_key(cli, ret) : status;
}

/* The only time that it is seen. */
static void print_key(const struct group_record *record)
{
    printf("key (hex): ");
    cli_put_hex(bytes_of(record->key.octets, record->key.len));
    puts("\nKeep the key; it is not shown again. A device's PSK is HMAC-SHA-256(key, device id), of its signatures "
         "HMAC-SHA-256(key, \"mac:\" and device id).");
}

static int group_add(struct cli *cli)
{
    struct group_record record = {.created_s = time(NULL)};
    struct cli_name group;
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

static void print_json(const struct group_record *record)
{
    printf("{\"group\":");
    cli_put_json(record->id);
    printf(",\"disabled\":%s", record->disabled ? "true" : "false");
    cli_put_member("pattern", record->pattern);
    cli_put_member("site", record->site);
    cli_put_member("tags", record->tags);
    cli_put_member("profile", record->profile);
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
    printf("group:   %s/%s\nstate:   %s\npattern: %s\nsite:    %s\ntags:    %s\nprofile: %s\nkey:     "
           "%s\ncreated: %s\n",
           record->tenant, record->id, record->disabled ? "disabled" : "enabled", record->pattern,
           record->site, record->tags, record->profile[0] ? record->profile : "none",
           secret_is_set(&record->key) ? "set" : "cannot be opened with this --kek",
           cli_time_text(record->created_s, time_text));
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    static void (*const print[])(const struct group_record *record) = {
        [THING_LINE] = print_line, [THING_WHOLE] = print_record, [THING_JSON] = print_json};
    struct group_record record;
    enum accounts_result result = accounts_get_group(&cli->accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    fputs(form.before, stdout);
    print[form.shape](&record);
    secret_wipe(&record.key);
    return result;
}

static const struct thing_kind kind = {
    .name = "group",
    .all = "groups of",
    .split = cli_split_profile,
    .list = accounts_list_groups,
    .print = print_one,
    .set_disabled = accounts_set_group_disabled,
    .if_disabled = "sessions with keys of it end within seconds",
    .remove = accounts_remove_group,
    .if_removed = "records of its devices stay, and their derived keys are good no more",
};

static const struct cli_option add_options[] = {
    {"--pattern", "P", "which device ids belong to it; * is any run of characters"},
    {"--key", "HEX", "the key that they were made with, 64 to 128 hexadecimal digits; default: a new one"},
    {"--site", "S", "building or house of its devices, for the records that they get"},
    {"--tags", "A,B", "words without spaces, for the same"},
    {"--profile", "P", "how they speak"},
    {"--replace", NULL, "if it exists, make it anew with these options only"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "TENANT/NAME", "let a batch of devices in by one key; prints it, once", add_options, group_add},
    {"list", "TENANT", "the tenant's groups", thing_json_options, thing_list},
    {"show", "TENANT/NAME", "one group, without its key", thing_json_options, thing_show},
    {"disable", "TENANT/NAME", "derived keys are good no more; sessions with them end", NULL, thing_disable},
    {"enable", "TENANT/NAME", "takes that back", NULL, thing_enable},
    {"remove", "TENANT/NAME", "forget the group; records of its devices stay", NULL, thing_remove},
};

int cmd_group(int argc, char **argv)
{
    static const struct cli_group group = {
        "group", "keys from which a batch of devices derives its own", commands, sizeof commands / sizeof commands[0],
        &kind,
    };
    return cli_main(&group, argc, argv);
}
