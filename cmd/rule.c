// SPDX-License-Identifier: GPL-3.0-or-later
/* `weir rule`: which series of a tenant go to which stream, with which tags. */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/thing.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ORDER_DEFAULT 100

static int take_order(const struct cli *cli, struct rule_record *ret)
{
    const char *text = cli_value(cli, "--order");
    char *end;
    ret->order = ORDER_DEFAULT;
    if (!text)
        return CLI_OK;
    unsigned long long order = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : UINT64_MAX;
    if (order > UINT32_MAX || *end)
        return cli_fail(cli, CLI_USAGE, "--order \"%s\": a whole number from 0 to %u", text, UINT32_MAX);
    ret->order = (uint32_t)order;
    return CLI_OK;
}

static int take_tags(const struct cli *cli, struct rule_record *ret)
{
    const char *text = cli_value(cli, "--tag");
    if (!text || record_parse_rule_tags(bytes_of_text(text), ret))
        return CLI_OK;
    return cli_fail(cli, CLI_USAGE,
                    "--tag \"%s\": up to %d of name=value between commas; a name is a-z, then a-z 0-9 _, at most %d, "
                    "no field of an entry (docs/streams.md); a value at most %d bytes",
                    text, RECORD_RULE_TAGS_MAX, RECORD_TAG_NAME_MAX, RECORD_TAG_VALUE_MAX);
}

static int take_options(const struct cli *cli, struct rule_record *ret)
{
    const struct cli_text texts[] = {
        {"--device", RECORD_PATTERN_MAX, record_pattern_is_valid, ret->device},
        {"--site", RECORD_SITE_MAX, record_text_is_valid, ret->site},
        {"--name", RECORD_PATTERN_MAX, record_pattern_is_valid, ret->name},
        {"--class", sizeof ret->class - 1, record_class_is_valid, ret->class},
        {"--stream", SCHEMA_STREAM_MAX, schema_rule_stream_is_valid, ret->stream},
    };
    int status = take_order(cli, ret);
    if (status == CLI_OK)
        status = cli_take_texts(cli, texts, sizeof texts / sizeof texts[0]);
    return status == CLI_OK ? take_tags(cli, ret) : status;
}

/* The operands TENANT ID. False: said why. */
static bool take_operands(const struct cli *cli)
{
    if (!cli_tenant_is_valid(cli, cli->operands[0]))
        return false;
    if (schema_rule_is_valid(bytes_of_text(cli->operands[1])))
        return true;
    cli_fail(cli, CLI_USAGE, "\"%s\" cannot be the id of a rule: 1 to %d of a-z, 0-9 and -, not beginning with -",
             cli->operands[1], SCHEMA_RULE_MAX);
    return false;
}

static int rule_add(struct cli *cli)
{
    struct rule_record record = {.created_s = time(NULL)};
    if (!take_operands(cli))
        return CLI_USAGE;
    strcpy(record.tenant, cli->operands[0]);
    strcpy(record.id, cli->operands[1]);
    int status = take_options(cli, &record);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_add_rule(&cli->accounts, &record, cli_value(cli, "--replace") != NULL), "rule",
                           record.id);
    if (status == CLI_OK) {
        char key[SCHEMA_KEY_MAX];
        schema_key_of_stream(key, bytes_of_text(record.tenant), bytes_of_text(record.stream));
        printf("rule %s of %s added; what matches goes to %s within seconds\n", record.id, record.tenant, key);
    }
    return status;
}

static const char *stream_of(const struct rule_record *record)
{
    return record->stream[0] ? record->stream : SCHEMA_SUFFIX_OBS;
}

static void print_line(const struct rule_record *record)
{
    char tags[RECORD_RULE_TAGS_TEXT_MAX];
    record_rule_tags_text(record, tags);
    printf("%-10u %-20s device=%s site=%s name=%s class=%s -> %s%s%s\n", record->order, record->id,
           record->device[0] ? record->device : "*", record->site[0] ? record->site : "*",
           record->name[0] ? record->name : "*", record->class[0] ? record->class : "*", stream_of(record),
           tags[0] ? " " : "", tags);
}

static void print_json(const struct rule_record *record)
{
    printf("{\"rule\":");
    cli_put_json(record->id);
    printf(",\"order\":%u", record->order);
    cli_put_member("device", record->device);
    cli_put_member("site", record->site);
    cli_put_member("name", record->name);
    cli_put_member("class", record->class);
    cli_put_member("stream", stream_of(record));
    fputs(",\"tags\":{", stdout);
    for (size_t i = 0; i < record->tag_count; i++) {
        fputs(i ? "," : "", stdout);
        cli_put_json(record->tags[i].name);
        putchar(':');
        cli_put_json(record->tags[i].value);
    }
    printf("},\"created\":%lld}", (long long)record->created_s);
}

static int by_order(const void *a, const void *b)
{
    const struct rule_record *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->id, y->id);
}

/* All rules in the order in which they are asked. The caller frees. */
static int read_rules(struct cli *cli, const char *tenant, struct rule_record **ret, size_t *ret_count)
{
    struct accounts_ids ids = {0};
    *ret_count = 0;
    *ret = NULL;
    int status = cli_judge(cli, accounts_list_rules(&cli->accounts, bytes_of_text(tenant), &ids), "rules of", tenant);
    struct rule_record *rules = status == CLI_OK ? calloc(ids.count + 1, sizeof *rules) : NULL;
    if (status == CLI_OK && !rules)
        status = cli_fail(cli, CLI_REFUSED, "out of memory");
    for (size_t i = 0; rules && i < ids.count && status != CLI_AWAY; i++) {
        enum accounts_result result = accounts_get_rule(&cli->accounts, bytes_of_text(tenant),
                                                        bytes_of_text(ids.ids[i]), &rules[*ret_count]);
        if (result == ACCOUNTS_DONE)
            ++*ret_count;
        else if (result != ACCOUNTS_NOT_FOUND) /* removed in between */
            status = cli_judge(cli, result, "rule", ids.ids[i]);
    }
    if (rules)
        qsort(rules, *ret_count, sizeof *rules, by_order);
    free(ids.ids);
    *ret = rules;
    return status;
}

static int rule_list(struct cli *cli)
{
    const char *tenant = cli->operands[0];
    bool json = cli_value(cli, "--json") != NULL;
    struct rule_record *rules;
    size_t count;
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status = read_rules(cli, tenant, &rules, &count);
    if (json && rules)
        putchar('[');
    for (size_t i = 0; i < count; i++) {
        if (json) {
            fputs(i ? ",\n" : "\n", stdout);
            print_json(&rules[i]);
        } else {
            print_line(&rules[i]);
        }
    }
    if (json && rules)
        puts("\n]");
    free(rules);
    return status;
}

static int rule_show(struct cli *cli)
{
    struct rule_record record;
    char tags[RECORD_RULE_TAGS_TEXT_MAX], time_text[32];
    if (!take_operands(cli))
        return CLI_USAGE;
    int status = cli_judge(cli,
                           accounts_get_rule(&cli->accounts, bytes_of_text(cli->operands[0]),
                                             bytes_of_text(cli->operands[1]), &record),
                           "rule", cli->operands[1]);
    if (status != CLI_OK)
        return status;
    record_rule_tags_text(&record, tags);
    printf("rule:    %s/%s\norder:   %u\ndevice:  %s\nsite:    %s\nname:    %s\nclass:   %s\nstream:  %s\ntags:    %s\n"
           "created: %s\n",
           record.tenant, record.id, record.order, record.device[0] ? record.device : "any",
           record.site[0] ? record.site : "any", record.name[0] ? record.name : "any",
           record.class[0] ? record.class : "any", stream_of(&record), tags,
           cli_time_text(record.created_s, time_text));
    return status;
}

static int rule_remove(struct cli *cli)
{
    if (!take_operands(cli))
        return CLI_USAGE;
    int status = cli_judge(cli,
                           accounts_remove_rule(&cli->accounts, bytes_of_text(cli->operands[0]),
                                                bytes_of_text(cli->operands[1])),
                           "rule", cli->operands[1]);
    if (status == CLI_OK)
        printf("rule %s removed; what its stream holds stays\n", cli->operands[1]);
    return status;
}

static const struct cli_option add_options[] = {
    {"--device", "PATTERN", "devices; * is any run of characters; default: any"},
    {"--site", "S", "only devices whose record says this site"},
    {"--name", "PATTERN", "names; without : and / of the local name, else of DEVICE:NAME"},
    {"--class", "LETTERS", "of t (telemetry) a (alarm) e (event) c (command); default: any"},
    {"--order", "N", "rules are asked by it, then by id; the first that matches decides; default: 100"},
    {"--stream", "NAME", "where the entries go: weir:{TENANT}:stream:NAME, of a-z 0-9 -; default: obs"},
    {"--tag", "K=V,...", "constant fields behind the others of each entry, up to 8"},
    {"--replace", NULL, "if it exists, make it anew with these options only"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"add", "TENANT ID", "send what matches to a stream of its own, with tags", add_options, rule_add},
    {"list", "TENANT", "the tenant's rules in the order in which they are asked", thing_json_options, rule_list},
    {"show", "TENANT ID", "one rule", NULL, rule_show},
    {"remove", "TENANT ID", "forget the rule; what its stream holds stays", NULL, rule_remove},
};

int cmd_rule(int argc, char **argv)
{
    static const struct cli_group group = {
        "rule", "which observations go to which stream", commands, sizeof commands / sizeof commands[0], NULL,
    };
    return cli_main(&group, argc, argv);
}
