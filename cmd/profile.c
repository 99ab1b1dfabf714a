// SPDX-License-Identifier: GPL-3.0-or-later
/* `weir profile`: how batches of devices speak: their format, how right their clocks are, which series are counters. */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/speech.h"
#include "cmd/thing.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int take_clock(const struct cli *cli, struct profile_record *ret)
{
    const char *clock = cli_value(cli, "--clock"), *window = cli_value(cli, "--clock-window");
    char *end;
    if (clock && !record_clock_of_name(bytes_of_text(clock), &ret->clock))
        return cli_fail(cli, CLI_USAGE, "--clock \"%s\": trust, correct, replace or refuse", clock);
    if (!window)
        return CLI_OK;
    unsigned long long seconds = window[0] >= '0' && window[0] <= '9' ? strtoull(window, &end, 10) : 0;
    if (seconds < 1 || seconds > UINT32_MAX || *end)
        return cli_fail(cli, CLI_USAGE, "--clock-window \"%s\": whole seconds, from 1 to %u", window, UINT32_MAX);
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

static int profile_add(struct cli *cli)
{
    struct profile_record record = {.created_s = time(NULL)};
    struct cli_name profile;
    if (!cli_split_profile(cli, cli->operands[0], &profile))
        return CLI_USAGE;
    strcpy(record.tenant, profile.tenant);
    strcpy(record.id, profile.id);
    int status = take_clock(cli, &record);
    if (status == CLI_OK)
        status = take_cumulative(cli, &record);
    if (status == CLI_OK)
        status = speech_take_format(cli, record.tenant, record.format);
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

static void print_json(const struct profile_record *record)
{
    printf("{\"profile\":");
    cli_put_json(record->id);
    cli_put_member("format", record->format);
    cli_put_member("clock", record_clock_name(record->clock));
    printf(",\"clock_window_s\":%u", record->clock_window_s);
    cli_put_member("cumulative", record->cumulative);
    printf(",\"created\":%lld}", (long long)record->created_s);
}

static void print_record(const struct profile_record *record)
{
    char window[24], time_text[32];
    window_text(record, window);
    printf("profile:    %s/%s\nformat:     %s\nclock:      %s%s\ncumulative: %s\ncreated:    %s\n", record->tenant,
           record->id, record->format[0] ? record->format : "as each request says", record_clock_name(record->clock),
           window, record->cumulative[0] ? record->cumulative : "as unit and format say",
           cli_time_text(record->created_s, time_text));
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    static void (*const print[])(const struct profile_record *record) = {
        [THING_LINE] = print_line, [THING_WHOLE] = print_record, [THING_JSON] = print_json};
    struct profile_record record;
    enum accounts_result result = accounts_get_profile(&cli->accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    fputs(form.before, stdout);
    print[form.shape](&record);
    return result;
}

static const struct thing_kind kind = {
    .name = "profile",
    .all = "profiles of",
    .split = cli_split_profile,
    .list = accounts_list_profiles,
    .print = print_one,
    .remove = accounts_remove_profile,
    .if_removed = "devices that name it speak as a codec or format of that name, or as they say",
};

static const struct cli_option add_options[] = {
    {"--format", "F", "a codec of the tenant or a format of docs/formats.md; default: as each request says"},
    {"--clock", "POLICY", "trust, correct, replace or refuse the times of the devices; default: trust"},
    {"--clock-window", "S", "refuse: farther from the receipt is refused (3600); correct: nearer is right (5)"},
    {"--cumulative", "A,B=65536", "series that are counters, with =MODULUS where they roll over"},
    {"--replace", NULL, "if it exists, make it anew with these options only"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "TENANT/NAME", "say how a batch of devices speaks", add_options, profile_add},
    {"list", "TENANT", "the tenant's profiles", thing_json_options, thing_list},
    {"show", "TENANT/NAME", "one profile", thing_json_options, thing_show},
    {"remove", "TENANT/NAME", "forget the profile; its devices stay", NULL, thing_remove},
};

int cmd_profile(int argc, char **argv)
{
    static const struct cli_group group = {
        "profile", "how batches of devices speak", commands, sizeof commands / sizeof commands[0], &kind,
    };
    return cli_main(&group, argc, argv);
}
