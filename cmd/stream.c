// SPDX-License-Identifier: GPL-3.0-or-later
/* `weir stream`: how long streams keep what they have, and how they are doing. */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/thing.h"
#include "gateway/streaminfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NUMBER_DIGITS_MAX 12
#define WORD(literal) BYTES_LITERAL(literal)

/* Setting. */

static const struct unit {
    char letter;
    uint64_t seconds;
} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};

static bool parse_number(const char *text, const char **ret_rest, uint64_t *ret)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > NUMBER_DIGITS_MAX)
        return false;
    *ret = strtoull(text, NULL, 10);
    *ret_rest = text + digits;
    return true;
}

/* "90d", "12h", "30m", "45s" or seconds. */
static int take_age(const struct cli *cli, struct stream_record *ret)
{
    const char *text = cli_value(cli, "--max-age"), *rest = "";
    uint64_t number = 0, factor = 0;
    if (!text)
        return CLI_OK;
    bool is_number = parse_number(text, &rest, &number);
    if (is_number && !rest[0])
        factor = 1;
    for (size_t i = 0; is_number && i < sizeof units / sizeof units[0]; i++)
        if (rest[0] == units[i].letter && !rest[1])
            factor = units[i].seconds;
    if (factor == 0 || number > 999999999999 / factor)
        return cli_fail(cli, CLI_USAGE, "--max-age \"%s\": seconds, or a number with s, m, h or d; 0: no limit", text);
    ret->max_age_s = number * factor;
    return CLI_OK;
}

static int take_entries(const struct cli *cli, struct stream_record *ret)
{
    const char *text = cli_value(cli, "--max-entries"), *rest = "";
    if (!text || (parse_number(text, &rest, &ret->max_entries) && !rest[0]))
        return CLI_OK;
    return cli_fail(cli, CLI_USAGE, "--max-entries \"%s\": a whole number; 0: no limit", text);
}

static int take_groups(const struct cli *cli, struct stream_record *ret)
{
    const char *text = cli_value(cli, "--groups");
    if (!text)
        text = RECORD_GROUPS_ALL;
    if (strlen(text) > RECORD_GROUPS_MAX || !record_groups_are_valid(bytes_of_text(text)))
        return cli_fail(cli, CLI_USAGE, "--groups \"%s\": names between commas, * for all, or nothing", text);
    strcpy(ret->groups, text);
    return CLI_OK;
}

/* The operands TENANT NAME. False: said why. */
static bool take_operands(const struct cli *cli)
{
    if (!cli_tenant_is_valid(cli, cli->operands[0]))
        return false;
    if (schema_stream_is_valid(bytes_of_text(cli->operands[1])))
        return true;
    cli_fail(cli, CLI_USAGE, "\"%s\" cannot be a stream: 1 to %d of a-z, 0-9 and -, not beginning with -; obs is the "
             "default one", cli->operands[1], SCHEMA_STREAM_MAX);
    return false;
}

static int stream_set(struct cli *cli)
{
    struct stream_record record = {.created_s = time(NULL)};
    if (!take_operands(cli))
        return CLI_USAGE;
    strcpy(record.tenant, cli->operands[0]);
    strcpy(record.name, cli->operands[1]);
    int status = take_age(cli, &record);
    if (status == CLI_OK)
        status = take_entries(cli, &record);
    if (status == CLI_OK)
        status = take_groups(cli, &record);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_set_stream(&cli->accounts, &record), "stream", record.name);
    if (status == CLI_OK)
        printf("stream %s of %s: max age %llu s, max entries %llu (0: no limit), groups that are waited for: %s\n",
               record.name, record.tenant, (unsigned long long)record.max_age_s,
               (unsigned long long)record.max_entries, record.groups[0] ? record.groups : "none");
    return status;
}

static int stream_remove(struct cli *cli)
{
    if (!take_operands(cli))
        return CLI_USAGE;
    int status = cli_judge(cli,
                           accounts_remove_stream(&cli->accounts, bytes_of_text(cli->operands[0]),
                                                  bytes_of_text(cli->operands[1])),
                           "retention of stream", cli->operands[1]);
    if (status == CLI_OK)
        printf("retention of %s removed; the stream keeps all it has\n", cli->operands[1]);
    return status;
}

/* Showing. */

struct state {
    struct stream_record record;
    bool has_record;
    struct streaminfo info;
    int64_t memory_bytes;
};

static const struct store_reply *call(struct cli *cli, const struct bytes *arguments, size_t count)
{
    return store_client_call(cli->accounts.client, arguments, count);
}

static int read_state(struct cli *cli, const char *tenant, const char *name, struct state *ret)
{
    char key[SCHEMA_KEY_MAX];
    *ret = (struct state){0};
    enum accounts_result result =
        accounts_get_stream(&cli->accounts, bytes_of_text(tenant), bytes_of_text(name), &ret->record);
    ret->has_record = result == ACCOUNTS_DONE;
    if (result != ACCOUNTS_DONE && result != ACCOUNTS_NOT_FOUND)
        return cli_judge(cli, result, "stream", name);
    size_t len = schema_key_of_stream(key, bytes_of_text(tenant), bytes_of_text(name));
    struct bytes info[] = {WORD("XINFO"), WORD("STREAM"), bytes_of(key, len)};
    struct bytes memory[] = {WORD("MEMORY"), WORD("USAGE"), bytes_of(key, len)};
    const struct store_reply *reply = call(cli, info, 3);
    if (!reply)
        return cli_judge(cli, ACCOUNTS_AWAY, "stream", name);
    if (!streaminfo_parse(reply, &ret->info))
        return CLI_OK; /* nothing was ever written to it */
    reply = call(cli, memory, 3);
    if (!reply)
        return cli_judge(cli, ACCOUNTS_AWAY, "stream", name);
    ret->memory_bytes = reply->type == STORE_INTEGER ? reply->integer : 0;
    return CLI_OK;
}

/* A number, or "-" if Redis does not know it. */
static const char *lag_text(int64_t lag, char ret[static 24])
{
    snprintf(ret, 24, "%lld", (long long)lag);
    return lag < 0 ? "-" : ret;
}

static void print_state(const struct state *state, const char *name)
{
    char oldest[32];
    printf("%-24s entries=%llu oldest=\"%s\" memory=%lld ", name, (unsigned long long)state->info.length,
           cli_time_text((int64_t)(state->info.first.ms / 1000), oldest), (long long)state->memory_bytes);
    if (state->has_record)
        printf("max_age_s=%llu max_entries=%llu groups=%s\n", (unsigned long long)state->record.max_age_s,
               (unsigned long long)state->record.max_entries, state->record.groups[0] ? state->record.groups : "none");
    else
        puts("keeps everything");
}

static void put_json_state(const struct state *state, const char *name)
{
    printf("{\"stream\":");
    cli_put_json(name);
    printf(",\"entries\":%llu,\"oldest\":%llu,\"memory\":%lld,\"retention\":", (unsigned long long)state->info.length,
           (unsigned long long)(state->info.first.ms / 1000), (long long)state->memory_bytes);
    if (state->has_record) {
        printf("{\"max_age_s\":%llu,\"max_entries\":%llu,\"groups\":", (unsigned long long)state->record.max_age_s,
               (unsigned long long)state->record.max_entries);
        cli_put_json(state->record.groups);
        putchar('}');
    } else {
        fputs("null", stdout);
    }
    fputs(",\"groups\":[", stdout);
}

static void put_group(const struct streaminfo_group *group, bool json, bool first)
{
    char lag[24], name[RECORD_GROUPS_MAX + 1];
    snprintf(name, sizeof name, "%.*s", (int)(group->name.len < sizeof name ? group->name.len : sizeof name - 1),
             (const char *)group->name.ptr);
    if (!json) {
        fputs("    group ", stdout);
        cli_put_column(bytes_of_text(name), 16); /* consumers name their groups as they like */
        printf("lag=%s pending=%llu\n", lag_text(group->lag, lag), (unsigned long long)group->pending);
        return;
    }
    fputs(first ? "{\"group\":" : ",{\"group\":", stdout);
    cli_put_json(name);
    snprintf(lag, sizeof lag, "%lld", (long long)group->lag);
    printf(",\"lag\":%s,\"pending\":%llu}", group->lag < 0 ? "null" : lag, (unsigned long long)group->pending);
}

static void print_groups(struct cli *cli, const char *tenant, const char *name, bool json)
{
    char key[SCHEMA_KEY_MAX];
    size_t len = schema_key_of_stream(key, bytes_of_text(tenant), bytes_of_text(name));
    struct bytes arguments[] = {WORD("XINFO"), WORD("GROUPS"), bytes_of(key, len)};
    const struct store_reply *reply = call(cli, arguments, 3);
    bool first = true;
    for (size_t i = 0; reply && reply->type == STORE_LIST && i < reply->count; i++) {
        struct streaminfo_group group;
        if (!streaminfo_parse_group(&reply->items[i], &group))
            continue;
        put_group(&group, json, first);
        first = false;
    }
}

static int print_stream(struct cli *cli, const char *tenant, const char *name, bool json)
{
    struct state state;
    int status = read_state(cli, tenant, name, &state);
    if (status != CLI_OK)
        return status;
    if (json)
        put_json_state(&state, name);
    else
        print_state(&state, name);
    print_groups(cli, tenant, name, json);
    if (json)
        fputs("]}", stdout);
    return status;
}

/* Nobody names the stream of evidence; it is there with the first signed message. */
static bool has_evidence(struct cli *cli, const char *tenant, const struct accounts_ids *named)
{
    char key[SCHEMA_KEY_MAX];
    for (size_t i = 0; i < named->count; i++)
        if (strcmp(named->ids[i], SCHEMA_SUFFIX_EVIDENCE) == 0)
            return false;
    struct bytes arguments[] = {WORD("XLEN"),
                                bytes_of(key, schema_key(key, bytes_of_text(tenant), SCHEMA_SUFFIX_EVIDENCE))};
    const struct store_reply *reply = call(cli, arguments, 2);
    return reply && reply->type == STORE_INTEGER && reply->integer > 0;
}

static int stream_list(struct cli *cli)
{
    const char *tenant = cli->operands[0];
    bool json = cli_value(cli, "--json") != NULL;
    struct accounts_ids names;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status =
        cli_judge(cli, accounts_list_streams(&cli->accounts, bytes_of_text(tenant), &names), "streams of", tenant);
    if (status != CLI_OK)
        return status;
    if (json)
        fputs("[\n", stdout);
    status = print_stream(cli, tenant, SCHEMA_SUFFIX_OBS, json);
    for (size_t i = 0; i < names.count && status != CLI_AWAY; i++) {
        if (strcmp(names.ids[i], SCHEMA_SUFFIX_OBS) == 0)
            continue;
        if (json)
            fputs(",\n", stdout);
        int one = print_stream(cli, tenant, names.ids[i], json);
        status = one != CLI_OK ? one : status;
    }
    if (status != CLI_AWAY && has_evidence(cli, tenant, &names)) {
        if (json)
            fputs(",\n", stdout);
        int one = print_stream(cli, tenant, SCHEMA_SUFFIX_EVIDENCE, json);
        status = one != CLI_OK ? one : status;
    }
    if (json)
        puts("\n]");
    free(names.ids);
    return status;
}

static int stream_show(struct cli *cli)
{
    if (!take_operands(cli))
        return CLI_USAGE;
    struct tenant_record tenant;
    enum accounts_result result = accounts_get_tenant(&cli->accounts, bytes_of_text(cli->operands[0]), &tenant);
    if (result == ACCOUNTS_NOT_FOUND)
        return cli_judge(cli, ACCOUNTS_NO_TENANT, "streams of", cli->operands[0]);
    return print_stream(cli, cli->operands[0], cli->operands[1], false);
}

static const struct cli_option set_options[] = {
    {"--max-age", "TIME", "entries older than this go: 90d, 12h, 30m or seconds; 0: no limit"},
    {"--max-entries", "N", "the oldest beyond this many go; 0: no limit"},
    {"--groups", "G,H", "consumer groups that must have read first; default * (all); empty: nobody is asked"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"set", "TENANT NAME", "limit what a stream keeps, with these options only; obs is the default stream",
     set_options, stream_set},
    {"list", "TENANT", "the tenant's streams: length, oldest entry, memory, groups and their lag", thing_json_options,
     stream_list},
    {"show", "TENANT NAME", "one stream", NULL, stream_show},
    {"remove", "TENANT NAME", "take the limits away; nothing is deleted", NULL, stream_remove},
};

int cmd_stream(int argc, char **argv)
{
    static const struct cli_group group = {
        "stream", "how long streams keep what they have; without a word, for ever", commands,
        sizeof commands / sizeof commands[0], NULL,
    };
    return cli_main(&group, argc, argv);
}
