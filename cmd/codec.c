// SPDX-License-Identifier: GPL-3.0-or-later
/* weir codec: declarative codecs of a tenant, and the messages that they could not read. */
#include "cmd/codec_source.h"
#include "cmd/commands.h"
#include "cmd/thing.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COUNT_DEFAULT "20"
#define COUNT_MAX 10000

#define EXAMPLES_TEXT_MAX 48

static const char *examples_text(const struct codec_source *source, char ret[static EXAMPLES_TEXT_MAX])
{
    size_t count = custom_example_count(source->custom);
    if (count == 1)
        return "its example holds";
    snprintf(ret, EXAMPLES_TEXT_MAX, "%zu examples hold", count);
    return ret;
}

static int codec_check(struct cli *cli)
{
    struct codec_source source;
    char examples[EXAMPLES_TEXT_MAX];
    int status = codec_source_from_file(cli, cli->operands[0], &source);
    if (status == CLI_OK)
        status = codec_source_compile(cli, cli->operands[0], &source);
    if (status == CLI_OK)
        status = codec_source_check(cli, cli->operands[0], &source);
    if (status == CLI_OK) {
        struct bytes name = custom_name(source.custom);
        printf("codec %.*s is fine: %s, %s\n", (int)name.len, (const char *)name.ptr,
               custom_kind_name(custom_kind(source.custom)), examples_text(&source, examples));
    }
    codec_source_free(&source);
    return status;
}

static int store(struct cli *cli, const struct codec_source *source)
{
    struct codec_record record = {.definition = bytes_of(source->text, source->len), .created_s = time(NULL)};
    struct bytes name = custom_name(source->custom);
    char examples[EXAMPLES_TEXT_MAX];
    strcpy(record.tenant, cli->operands[0]);
    memcpy(record.id, name.ptr, name.len < sizeof record.id ? name.len : sizeof record.id - 1);
    int status = cli_judge(cli, accounts_add_codec(&cli->accounts, &record, cli_value(cli, "--replace") != NULL),
                           "codec", record.id);
    if (status == CLI_OK)
        printf("codec %s of %s added: %s, %s; it is used within a second\n", record.id, record.tenant,
               custom_kind_name(custom_kind(source->custom)), examples_text(source, examples));
    if (status == CLI_OK && format_by_name(name))
        fprintf(stderr,
                "weir codec add: %s is a format of weir's own as well: the devices of %s whose profile or "
                "query names it "
                "are read with this codec from now on\n",
                record.id, record.tenant);
    return status;
}

static int codec_add(struct cli *cli)
{
    struct codec_source source;
    if (!cli_tenant_is_valid(cli, cli->operands[0]))
        return CLI_USAGE;
    int status = codec_source_from_file(cli, cli->operands[1], &source);
    if (status == CLI_OK)
        status = codec_source_compile(cli, cli->operands[1], &source);
    if (status == CLI_OK)
        status = codec_source_check(cli, cli->operands[1], &source);
    if (status == CLI_OK)
        status = store(cli, &source);
    codec_source_free(&source);
    return status;
}

/* What this program makes of the record; the gateways may be another version of it. */
struct view {
    const char *kind, *state;
    size_t examples;
    char reason[CUSTOM_TEXT_MAX + RECORD_REASON_MAX];
};

static struct view look(const struct codec_record *record)
{
    struct view view = {.kind = "-", .state = "broken"};
    struct custom_error error = {0};
    struct arena *arena = arena_new(CODEC_SOURCE_ARENA_BYTES);
    struct custom *custom = custom_compile(record->definition, &error);
    if (custom) {
        view.kind = custom_kind_name(custom_kind(custom));
        view.examples = custom_example_count(custom);
    }
    if (custom && arena && custom_check(custom, arena, &error)) {
        view.state = record->quarantined ? "quarantined" : "active";
        snprintf(view.reason, sizeof view.reason, "%s", record->reason);
    } else {
        snprintf(view.reason, sizeof view.reason, "%s", error.detail);
    }
    custom_free(custom);
    arena_free(arena);
    return view;
}

static void print_json(const struct codec_record *record)
{
    struct view view = look(record);
    fputs("{\"codec\":", stdout);
    cli_put_json(record->id);
    cli_put_member("kind", view.kind);
    cli_put_member("state", view.state);
    printf(",\"examples\":%zu", view.examples);
    cli_put_member("reason", view.reason);
    printf(",\"created\":%lld}", (long long)record->created_s);
}

static void print_line(const struct codec_record *record)
{
    struct view view = look(record);
    printf("%-32s %-8s %-11s examples=%zu%s%s\n", record->id, view.kind, view.state, view.examples,
           view.reason[0] ? " reason: " : "", view.reason);
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    static void (*const print[])(const struct codec_record *record) = {
        [THING_LINE] = print_line, [THING_JSON] = print_json};
    struct codec_record record;
    enum accounts_result result = accounts_get_codec(&cli->accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    fputs(form.before, stdout);
    print[form.shape](&record);
    return result;
}

static int codec_show(struct cli *cli)
{
    struct codec_source source;
    int status = codec_source_from_redis(cli, cli->operands[0], &source);
    if (status == CLI_OK) {
        fwrite(source.text, 1, source.len, stdout);
        if (source.len == 0 || source.text[source.len - 1] != '\n')
            putchar('\n');
    }
    codec_source_free(&source);
    return status;
}

static int codec_release(struct cli *cli)
{
    struct cli_name name;
    struct codec_record record;
    if (!cli_split_profile(cli, cli->operands[0], &name))
        return CLI_USAGE;
    enum accounts_result found =
        accounts_get_codec(&cli->accounts, bytes_of_text(name.tenant), bytes_of_text(name.id), &record);
    if (found == ACCOUNTS_DONE && !record.quarantined) {
        printf("codec %s is not quarantined\n", cli->operands[0]);
        return CLI_OK;
    }
    int status = cli_judge(cli,
                           accounts_set_codec_quarantined(&cli->accounts, bytes_of_text(name.tenant),
                                                          bytes_of_text(name.id), false, (struct bytes){0}),
                           "codec", cli->operands[0]);
    if (status == CLI_OK)
        printf("codec %s released; it is used again within a second\n", cli->operands[0]);
    return status;
}

/* Kept messages. */

static struct bytes field(const struct store_reply *fields, const char *name)
{
    for (size_t i = 0; fields->type == STORE_LIST && i + 1 < fields->count; i += 2)
        if (bytes_equal_text(fields->items[i].text, name))
            return fields->items[i + 1].text;
    return (struct bytes){0};
}

/* What a hand may have put there must not talk to the terminal. */
static void put_named(const char *label, struct bytes text)
{
    if (text.len == 0)
        return;
    fputs(label, stdout);
    cli_put_plain(stdout, text);
}

static void print_message(const struct store_reply *fields)
{
    char time_text[32], seconds[24] = "";
    struct bytes time = field(fields, "t"), payload = field(fields, "p");
    memcpy(seconds, time.ptr, time.len < sizeof seconds ? time.len : sizeof seconds - 1);
    fputs(cli_time_text(strtoll(seconds, NULL, 10), time_text), stdout);
    put_named(" device=", field(fields, "d"));
    put_named(" codec=", field(fields, "f"));
    put_named(" outcome=", field(fields, "o"));
    put_named(" octet=", field(fields, "i"));
    put_named(" ct=", field(fields, "ct"));
    put_named(" from=", field(fields, "r"));
    put_named(" length=", field(fields, "l"));
    put_named("\n  ", field(fields, "e"));
    fputs("\n  ", stdout);
    cli_put_hex(payload);
    putchar('\n');
}

static int codec_quarantined(struct cli *cli)
{
    char key[SCHEMA_KEY_MAX], *end;
    const char *text = cli_value(cli, "--count") ? cli_value(cli, "--count") : COUNT_DEFAULT;
    unsigned long long count = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (!cli_tenant_is_valid(cli, cli->operands[0]))
        return CLI_USAGE;
    if (count == 0 || count > COUNT_MAX || *end)
        return cli_fail(cli, CLI_USAGE, "--count \"%s\": a whole number from 1 to %d", text, COUNT_MAX);
    struct bytes tenant = bytes_of_text(cli->operands[0]);
    size_t key_len = schema_key(key, tenant, SCHEMA_SUFFIX_QUARANTINE);
    struct bytes arguments[] = {BYTES_LITERAL("XREVRANGE"), bytes_of(key, key_len), BYTES_LITERAL("+"),
                                BYTES_LITERAL("-"), BYTES_LITERAL("COUNT"), bytes_of_text(text)};
    const struct store_reply *reply =
        store_client_call(cli->accounts.client, arguments, sizeof arguments / sizeof arguments[0]);
    if (!reply)
        return cli_judge(cli, ACCOUNTS_AWAY, "quarantine of", cli->operands[0]);
    if (reply->type != STORE_LIST)
        return cli_fail(cli, CLI_REFUSED, "Redis refused: %.*s", (int)reply->text.len, (const char *)reply->text.ptr);
    for (size_t i = 0; i < reply->count; i++)
        if (reply->items[i].type == STORE_LIST && reply->items[i].count == 2)
            print_message(&reply->items[i].items[1]);
    return CLI_OK;
}

static const struct cli_option add_options[] = {
    {"--replace", NULL, "if it exists, replace it; a quarantined one is used again"},
    {NULL, NULL, NULL},
};

static const struct cli_option quarantined_options[] = {
    {"--count", "N", "the newest N messages; default: " COUNT_DEFAULT},
    {NULL, NULL, NULL},
};

static const struct thing_kind kind = {
    .name = "codec",
    .all = "codecs of",
    .split = cli_split_profile,
    .list = accounts_list_codecs,
    .print = print_one,
    .remove = accounts_remove_codec,
    .if_removed = "devices whose profile names it are refused",
};

static const struct cli_command commands[] = {
    {"check", "FILE", "compile a definition and try its examples; needs no gateway", NULL, codec_check},
    {"add", "TENANT FILE", "compile a definition, try its examples, then have all gateways use it",
     add_options, codec_add},
    {"list", "TENANT", "the tenant's codecs and their states", thing_json_options, thing_list},
    {"show", "TENANT/NAME", "the definition", NULL, codec_show},
    {"remove", "TENANT/NAME", "forget the codec", NULL, thing_remove},
    {"release", "TENANT/NAME", "use a quarantined codec again", NULL, codec_release},
    {"quarantined", "TENANT", "messages that a codec could not read, the newest first, in hexadecimal",
     quarantined_options, codec_quarantined},
};

int cmd_codec(int argc, char **argv)
{
    static const struct cli_group group = {
        "codec", "formats that are data: declarative codecs", commands, sizeof commands / sizeof commands[0], &kind,
    };
    bool offline = argc >= 2 && strcmp(argv[1], "check") == 0;
    return (offline ? cli_main_offline : cli_main)(&group, argc, argv);
}
