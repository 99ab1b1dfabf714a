// SPDX-License-Identifier: GPL-3.0-or-later
/* `weir profile`: how batches of devices speak: their format, how right their clocks are, which series are counters. */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/speech.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int take_clock(const struct cli *cli, struct profile_record *ret)
{
    const char *clock = cli_value(cli, "--clock"), *window = cli_value(cli, "--clock-window");
    char *end;
    if (clock && !record_clock_of_name(bytes_of_text(clock), &ret->clock))
        return cli_fail(cli, CLI_USAGE, "--clock %s: trust, correct, replace or refuse", clock);
    if (!window)
        return CLI_OK;
    unsigned long long seconds = window[0] >= '0' && window[0] <= '9' ? strtoull(window, &end, 10) : 0;
    if (seconds < 1 || seconds > UINT32_MAX || *end)
        return cli_fail(cli, CLI_USAGE, "--clock-window %s: whole seconds, from 1 to %u", window, UINT32_MAX);
    if (ret->clock != CLOCK_CORRECT && ret->clock != CLOCK_REFUSE)
        return cli_fail(cli, CLI_USAGE, "--clock-window is for --clock=correct and --clock=refuse");
    ret->clock_window_s = (uint32_t)seconds;
    return CLI_OK;
}

static int take_cumulative(const struct cli *cli, struct profile_record *ret)
{
    const char *text = cli_value(cli, "--cumulative");
    if (!text)
        return CLI_OK;
    if (!record_cumulative_is_valid(bytes_of_text(text)))
        return cli_fail(cli, CLI_USAGE,
                        "--cumulative \"%s\": names without : and / between commas, each once, with =MODULUS (a number "
                        "above 0) where the counter rolls over; at most %d bytes",
                        text, RECORD_CUMULATIVE_MAX);
    strcpy(ret->cumulative, text);
    return CLI_OK;
}

static int take_format(struct cli *cli, struct profile_record *ret)
{
    const char *format = cli_value(cli, "--format");
    if (!format || !format[0])
        return CLI_OK;
    int status = speech_check_format(cli, ret->tenant, format);
    if (status == CLI_OK)
        strcpy(ret->format, format);
    return status;
}

static int profile_add(struct cli *cli)
{
    struct profile_record record = {.created_s = time(NULL)};
    struct cli_profile profile;
    if (!cli_split_profile(cli, cli->operands[0], &profile))
        return CLI_USAGE;
    strcpy(record.tenant, profile.tenant);
    strcpy(record.id, profile.id);
    int status = take_clock(cli, &record);
    if (status == CLI_OK)
        status = take_cumulative(cli, &record);
    if (status == CLI_OK)
        status = take_format(cli, &record);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_add_profile(&cli->accounts, &record, cli_value(cli, "--replace") != NULL),
                           "profile", cli->operands[0]);
    if (status == CLI_OK)
        printf("profile %s added; devices that name it (weir device set %s/ID --profile=%s) speak so within seconds\n",
               cli->operands[0], record.tenant, record.id);
    return status;
}

static void window_text(const struct profile_record *record, char ret[static 24])
{
    if (record->clock_window_s)
        snprintf(ret, 24, " %us", record->clock_window_s);
    else
        ret[0] = '\0';
}

static void print_line(const struct profile_record *record)
{
    char window[24];
    window_text(record, window);
    printf("%-32s %-24s clock=%s%s%s%s\n", record->id, record->format[0] ? record->format : "any format",
           record_clock_name(record->clock), window, record->cumulative[0] ? " cumulative=" : "", record->cumulative);
}

static void put_member(const char *name, const char *text)
{
    printf(",\"%s\":", name);
    cli_put_json(text);
}

static void print_json(const struct profile_record *record)
{
    printf("{\"profile\":");
    cli_put_json(record->id);
    put_member("format", record->format);
    put_member("clock", record_clock_name(record->clock));
    printf(",\"clock_window_s\":%u", record->clock_window_s);
    put_member("cumulative", record->cumulative);
    printf(",\"created\":%lld}", (long long)record->created_s);
}

static int list_profile(struct cli *cli, const char *tenant, const char *id, bool json, bool *first)
{
    struct profile_record record;
    enum accounts_result result =
        accounts_get_profile(&cli->accounts, bytes_of_text(tenant), bytes_of_text(id), &record);
    if (result == ACCOUNTS_NOT_FOUND) /* removed in between */
        return CLI_OK;
    if (result != ACCOUNTS_DONE)
        return cli_judge(cli, result, "profile", id);
    if (json) {
        fputs(*first ? "\n" : ",\n", stdout);
        print_json(&record);
    } else {
        print_line(&record);
    }
    *first = false;
    return CLI_OK;
}

static int profile_list(struct cli *cli)
{
    const char *tenant = cli->operands[0];
    bool json = cli_value(cli, "--json") != NULL, first = true;
    struct accounts_ids ids;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status =
        cli_judge(cli, accounts_list_profiles(&cli->accounts, bytes_of_text(tenant), &ids), "profiles of", tenant);
    if (status != CLI_OK)
        return status;
    if (json)
        putchar('[');
    for (size_t i = 0; i < ids.count && status != CLI_AWAY; i++) {
        int one = list_profile(cli, tenant, ids.ids[i], json, &first);
        status = one != CLI_OK ? one : status;
    }
    if (json)
        puts("\n]");
    free(ids.ids);
    return status;
}

static int profile_show(struct cli *cli)
{
    struct profile_record record;
    struct cli_profile profile;
    char window[24], time_text[32];
    if (!cli_split_profile(cli, cli->operands[0], &profile))
        return CLI_USAGE;
    int status = cli_judge(
        cli, accounts_get_profile(&cli->accounts, bytes_of_text(profile.tenant), bytes_of_text(profile.id), &record),
        "profile", cli->operands[0]);
    if (status != CLI_OK)
        return status;
    if (cli_value(cli, "--json")) {
        print_json(&record);
        putchar('\n');
        return status;
    }
    window_text(&record, window);
    printf("profile:    %s/%s\nformat:     %s\nclock:      %s%s\ncumulative: %s\ncreated:    %s\n", record.tenant,
           record.id, record.format[0] ? record.format : "as each request says", record_clock_name(record.clock), window,
           record.cumulative[0] ? record.cumulative : "as unit and format say",
           cli_time_text(record.created_s, time_text));
    return status;
}

static int profile_remove(struct cli *cli)
{
    struct cli_profile profile;
    if (!cli_split_profile(cli, cli->operands[0], &profile))
        return CLI_USAGE;
    int status = cli_judge(
        cli, accounts_remove_profile(&cli->accounts, bytes_of_text(profile.tenant), bytes_of_text(profile.id)),
        "profile", cli->operands[0]);
    if (status == CLI_OK)
        printf("profile %s removed; devices that name it speak as a codec or format of that name, or as they say\n",
               cli->operands[0]);
    return status;
}

static const struct cli_option add_options[] = {
    {"--format", "F", "a codec of the tenant or a format of docs/formats.md; default: as each request says"},
    {"--clock", "POLICY", "trust, correct, replace or refuse the times of the devices; default: trust"},
    {"--clock-window", "S", "refuse: farther from the receipt is refused (3600); correct: nearer is right (5)"},
    {"--cumulative", "A,B=65536", "series that are counters, with =MODULUS where they roll over"},
    {"--replace", NULL, "if it exists, make it anew with these options only"},
    {NULL, NULL, NULL},
};

static const struct cli_option json_options[] = {
    {"--json", NULL, "as JSON"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "TENANT/NAME", "say how a batch of devices speaks", add_options, profile_add},
    {"list", "TENANT", "the tenant's profiles", json_options, profile_list},
    {"show", "TENANT/NAME", "one profile", json_options, profile_show},
    {"remove", "TENANT/NAME", "forget the profile; its devices stay", NULL, profile_remove},
};

int cmd_profile(int argc, char **argv)
{
    static const struct cli_group group = {
        "profile", "how batches of devices speak", commands, sizeof commands / sizeof commands[0],
    };
    return cli_main(&group, argc, argv);
}
