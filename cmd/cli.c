// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The table is walked three times: to find the subcommand, to take its arguments, to print help. There is no other
 * list of options, so help cannot disagree with what is parsed.
 */
#include "cmd/cli.h"

#include "cmd/place.h"
#include "codec/hex.h"
#include "codec/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CLIENT_TIMEOUT_MS 5000

static const struct cli_option common_options[] = {
    {"--redis", "ADDRESS", "unix:/path, host:port, sentinel:... or cluster:... (docs/settings.md)"},
    {"--redis-user", "USER", "ACL user in Redis"},
    {"--redis-password-file", "FILE", "its first line is the password for Redis"},
    {"--redis-tls", NULL, "TLS towards Redis"},
    {"--redis-tls-ca", "FILE", "authorities that its certificate may come from"},
    {"--redis-tls-certificate", "FILE", "certificate to show to it"},
    {"--redis-tls-key", "FILE", "key of that"},
    {"--redis-tls-name", "NAME", "what its certificate must carry, if not the host"},
    {"--kek", "FILE", "key that wraps the secrets in Redis; without it kek of the state folder"},
    {"--state-dir", "FOLDER", "where weir serve keeps its state; tells where Redis is"},
    {"--help", NULL, "print this"},
    {NULL, NULL, NULL},
};

/* Messages. */

static void print_name(const struct cli *cli, FILE *out)
{
    fprintf(out, "weir %s", cli->group->name);
    if (cli->command && cli->command->name[0])
        fprintf(out, " %s", cli->command->name);
}

static void put_line(FILE *out, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    cli_put_plain(out, bytes_of_text(text ? text : "out of memory"));
    fputc('\n', out);
    free(text);
}

void cli_put_line(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(out, format, arguments);
    va_end(arguments);
}

int cli_fail(const struct cli *cli, enum cli_exit status, const char *format, ...)
{
    va_list arguments;
    print_name(cli, stderr);
    fputs(": ", stderr);
    va_start(arguments, format);
    put_line(stderr, format, arguments);
    va_end(arguments);
    return status;
}

/* Whether some command of the group has --replace. */
static bool can_replace(const struct cli *cli)
{
    for (size_t i = 0; i < cli->group->count; i++)
        for (const struct cli_option *option = cli->group->commands[i].options; option && option->name; option++)
            if (strcmp(option->name, "--replace") == 0)
                return true;
    return false;
}

/* The group whose `list` has what was not found. */
static const char *group_of_list(const struct cli *cli)
{
    if (strcmp(cli->group->name, "decode") == 0)
        return "codec";
    return strcmp(cli->group->name, "key") == 0 ? "device" : cli->group->name;
}

_Static_assert(RECORD_CODECS_MAX == RECORD_RULES_MAX, "one sentence says that there are too many");

int cli_judge(const struct cli *cli, enum accounts_result result, const char *kind, const char *name)
{
    switch (result) {
    case ACCOUNTS_DONE:
        return CLI_OK;
    case ACCOUNTS_EXISTS:
        return cli_fail(cli, CLI_REFUSED, "%s %s exists already%s", kind, name,
                        can_replace(cli) ? "; --replace makes it anew" : "");
    case ACCOUNTS_NOT_FOUND:
        return cli_fail(cli, CLI_REFUSED, "there is no %s %s; see weir %s list%s", kind, name,
                        group_of_list(cli), strcmp(cli->group->name, "tenant") == 0 ? "" : " TENANT");
    case ACCOUNTS_NO_TENANT:
        return cli_fail(cli, CLI_REFUSED, "%s %s: there is no such tenant; see weir tenant list, weir tenant add", kind,
                        name);
    case ACCOUNTS_NO_DEVICE:
        return cli_fail(cli, CLI_REFUSED, "%s %s: there is no such device; see weir device list TENANT", kind, name);
    case ACCOUNTS_DAMAGED:
        return cli_fail(cli, CLI_REFUSED, "what Redis has of %s %s is no valid record; remove it%s", kind, name,
                        can_replace(cli) ? " or add it with --replace" : "");
    case ACCOUNTS_FULL:
        return cli_fail(cli, CLI_REFUSED, "%s %s: the tenant has %d of them, which is the most; remove one", kind, name,
                        RECORD_RULES_MAX);
    case ACCOUNTS_LEFTOVER:
        return cli_fail(cli, CLI_REFUSED, "a %s of the name %s was not removed whole; remove it again", kind, name);
    case ACCOUNTS_BUSY:
    case ACCOUNTS_STALE:
        return cli_fail(cli, CLI_REFUSED, "%s %s is being changed by others all the time; try again", kind, name);
    case ACCOUNTS_REFUSED:
        return cli_fail(cli, CLI_REFUSED, "%s %s: Redis refused: %s", kind, name, cli->accounts.error);
    case ACCOUNTS_NOT_SEALED:
        if (cli->accounts.is_foreign && cli->vault)
            return cli_fail(cli, CLI_REFUSED,
                            "%s %s: it has secrets that do not open with this key-encryption key, which "
                            "is not that of the gateways: --kek or --state-dir name it; what cannot be "
                            "opened any more is to be removed first",
                            kind, name);
        return cli_fail(cli, CLI_REFUSED,
                        "%s %s: its secret cannot be wrapped: %s; --kek or --state-dir name the key of "
                        "the gateways",
                        kind, name, cli->vault ? "encryption failed" : cli->vault_error);
    case ACCOUNTS_SAME_SECRET:
        if (cli->accounts.holder[0])
            return cli_fail(cli, CLI_REFUSED,
                            "%s %s: the device %s shows this key or certificate name; it is of one device only",
                            kind, name, cli->accounts.holder);
        return cli_fail(cli, CLI_REFUSED,
                        "%s %s: another credential of the device has this secret already; a key is for "
                        "one use only",
                        kind, name);
    case ACCOUNTS_AWAY:
        break;
    }
    return cli_fail(cli, CLI_AWAY, "%s %s: Redis at %s did not answer; whether anything changed is not known", kind,
                    name, cli->settings.redis);
}

static void print_options(const struct cli_option *options)
{
    for (; options && options->name; options++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", options->name, options->value ? " " : "",
                 options->value ? options->value : "");
        printf("      %-26s %s\n", left, options->help);
    }
}

static void print_help(const struct cli *cli)
{
    printf("weir %s: %s\n\n", cli->group->name, cli->group->help);
    for (size_t i = 0; i < cli->group->count; i++) {
        const struct cli_command *command = &cli->group->commands[i];
        if (cli->command && command != cli->command)
            continue;
        printf("  weir %s%s%s %s%s%s\n", cli->group->name, command->name[0] ? " " : "", command->name,
               command->operands, command->operands[0] ? "  " : " ", command->help);
        print_options(command->options);
    }
    puts("\n  and with each of them:");
    print_options(common_options);
}

/* Arguments. */

static size_t count_options(const struct cli_option *options)
{
    size_t count = 0;
    while (options && options[count].name)
        count++;
    return count;
}

/* The number of the option in cli->values, and the option; NULL: there is none of this name. */
static const struct cli_option *find_option(const struct cli *cli, const char *name, size_t len, size_t *ret_index)
{
    size_t own = count_options(cli->command->options), all = own + count_options(common_options);
    for (size_t i = 0; i < all && i < CLI_OPTIONS_MAX; i++) {
        const struct cli_option *option = i < own ? &cli->command->options[i] : &common_options[i - own];
        if (strlen(option->name) == len && memcmp(option->name, name, len) == 0) {
            *ret_index = i;
            return option;
        }
    }
    return NULL;
}

const char *cli_value(const struct cli *cli, const char *option)
{
    size_t index;
    return find_option(cli, option, strlen(option), &index) ? cli->values[index] : NULL;
}

/* --name=value, --name value or --flag at argv[*i]. */
static bool take_option(struct cli *cli, int argc, char **argv, int *i)
{
    const char *argument = argv[*i], *equals = strchr(argument, '=');
    size_t index, len = equals ? (size_t)(equals - argument) : strlen(argument);
    const struct cli_option *option = find_option(cli, argument, len, &index);
    if (!option) {
        cli_fail(cli, CLI_USAGE, "%s is not an option; see --help", argument);
        return false;
    }
    if (!option->value && equals) {
        cli_fail(cli, CLI_USAGE, "%s takes no value", option->name);
        return false;
    }
    /* The last of two would undo the first, and who gave both meant both. */
    if (option->value && cli->values[index]) {
        cli_fail(cli, CLI_USAGE, "%s is given twice", option->name);
        return false;
    }
    if (!option->value)
        cli->values[index] = "";
    else if (equals)
        cli->values[index] = equals + 1;
    else if (*i + 1 < argc)
        cli->values[index] = argv[++*i];
    else {
        cli_fail(cli, CLI_USAGE, "%s needs a value: %s", option->name, option->value);
        return false;
    }
    return true;
}

static size_t count_words(const char *text)
{
    size_t count = text[0] != '\0';
    for (; *text; text++)
        count += *text == ' ';
    return count;
}

/* Without those in brackets, which come last. */
static size_t count_needed(const char *operands)
{
    const char *bracket = strchr(operands, '[');
    return !bracket ? count_words(operands) : bracket == operands ? 0 : count_words(operands) - count_words(bracket);
}

static bool take_arguments(struct cli *cli, int argc, char **argv)
{
    static char help[] = "--help";
    size_t wanted = count_words(cli->command->operands), needed = count_needed(cli->command->operands), count = 0;
    for (int i = cli->command->name[0] ? 2 : 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0)
            argv[i] = help;
        if (argv[i][0] == '-' && argv[i][1] == '-') {
            if (!take_option(cli, argc, argv, &i))
                return false;
        } else if (count < wanted) {
            cli->operands[count++] = argv[i];
        } else {
            cli_fail(cli, CLI_USAGE, "\"%s\" is too much; see --help", argv[i]);
            return false;
        }
    }
    if (count < needed && !cli_value(cli, "--help")) {
        cli_fail(cli, CLI_USAGE, "needs %s; see --help", cli->command->operands);
        return false;
    }
    return true;
}

bool cli_tenant_is_valid(const struct cli *cli, const char *tenant)
{
    if (schema_tenant_is_valid(bytes_of_text(tenant)))
        return true;
    cli_fail(cli, CLI_USAGE, "\"%s\" cannot be a tenant: 1 to %d of a-z, 0-9 and -, not beginning with -", tenant,
             SCHEMA_TENANT_MAX);
    return false;
}

_Static_assert(SCHEMA_PROFILE_MAX <= SCHEMA_DEVICE_MAX, "cli_name holds both");

bool cli_split_device(const struct cli *cli, const char *text, struct cli_name *ret)
{
    const char *slash = strchr(text, '/');
    if (!slash) {
        cli_fail(cli, CLI_USAGE, "\"%s\" is not of the form TENANT/ID", text);
        return false;
    }
    struct bytes tenant = bytes_of(text, (size_t)(slash - text)), id = bytes_of_text(slash + 1);
    if (!schema_tenant_is_valid(tenant) || !schema_device_is_valid(id)) {
        cli_fail(cli, CLI_USAGE,
                 "\"%s\" cannot be TENANT/ID: a tenant has 1 to %d of a-z 0-9 -, an id 1 to %d of A-Z a-z 0-9 : . _ -, "
                 "both begin with a letter or digit", text, SCHEMA_TENANT_MAX, SCHEMA_DEVICE_MAX);
        return false;
    }
    *ret = (struct cli_name){0};
    memcpy(ret->tenant, tenant.ptr, tenant.len);
    memcpy(ret->id, id.ptr, id.len);
    return true;
}

bool cli_split_profile(const struct cli *cli, const char *text, struct cli_name *ret)
{
    const char *slash = strchr(text, '/');
    struct bytes tenant = bytes_of(text, slash ? (size_t)(slash - text) : 0),
                 id = bytes_of_text(slash ? slash + 1 : "");
    if (!schema_tenant_is_valid(tenant) || !schema_profile_is_valid(id)) {
        cli_fail(cli, CLI_USAGE,
                 "\"%s\" cannot be TENANT/NAME: both have 1 to %d of a-z 0-9 -, not beginning with -", text,
                 SCHEMA_PROFILE_MAX);
        return false;
    }
    *ret = (struct cli_name){0};
    memcpy(ret->tenant, tenant.ptr, tenant.len);
    memcpy(ret->id, id.ptr, id.len);
    return true;
}

int cli_take_text(const struct cli *cli, const char *option, size_t max, bool (*is_valid)(struct bytes), char *ret)
{
    const char *text = cli_value(cli, option);
    if (!text || !text[0])
        return CLI_OK;
    if (strlen(text) > max || !is_valid(bytes_of_text(text)))
        return cli_fail(cli, CLI_USAGE, "%s \"%s\" does not do: at most %zu bytes, no control characters; see --help",
                        option, text, max);
    strcpy(ret, text);
    return CLI_OK;
}

int cli_take_texts(const struct cli *cli, const struct cli_text *texts, size_t count)
{
    int status = CLI_OK;
    for (size_t i = 0; i < count && status == CLI_OK; i++)
        status = cli_take_text(cli, texts[i].option, texts[i].max, texts[i].is_valid, texts[i].ret);
    return status;
}

int cli_take_number(const struct cli *cli, const char *option, uint32_t max, uint32_t *ret)
{
    const char *text = cli_value(cli, option);
    if (!text)
        return CLI_OK;
    /* What is too long for strtoull is its greatest, and too large. */
    unsigned long long number = text[0] && strspn(text, "0123456789") == strlen(text) ? strtoull(text, NULL, 10) : 0;
    if (number < 1 || number > max)
        return cli_fail(cli, CLI_USAGE, "%s \"%s\": a number from 1 to %u", option, text, max);
    *ret = (uint32_t)number;
    return CLI_OK;
}

/* Connecting. */

/* --redis-user and its like, by the names of the settings. */
static bool take_settings(struct cli *cli, char reterr[static SETTINGS_ERROR_MAX])
{
    for (const struct cli_option *option = common_options; option->name; option++) {
        const char *value = cli_value(cli, option->name);
        bool is_setting = strncmp(option->name, "--redis", 7) == 0 || strcmp(option->name, "--kek") == 0;
        if (value && is_setting &&
            !settings_set(&cli->settings, bytes_of_text(option->name + 2),
                          bytes_of_text(option->value ? value : "true"), reterr))
            return false;
    }
    return true;
}

const char *cli_state_dir(const struct cli *cli)
{
    const char *state_dir = cli_value(cli, "--state-dir");
    if (!state_dir)
        state_dir = getenv("WEIR_STATE_DIR");
    return state_dir && state_dir[0] ? state_dir : "state";
}

int cli_find_redis(struct cli *cli)
{
    bool from_environment = !cli_value(cli, "--state-dir");
    const char *state_dir = cli_state_dir(cli), *address = from_environment ? getenv("WEIR_REDIS") : NULL;
    char error[SETTINGS_ERROR_MAX] = "";
    settings_default(&cli->settings);
    if (address && address[0]) {
        if (!settings_set(&cli->settings, BYTES_LITERAL("redis"), bytes_of_text(address), error))
            return cli_fail(cli, CLI_USAGE, "WEIR_REDIS: %s", error);
    } else if (!cli_value(cli, "--redis") && !place_read(&cli->settings, state_dir, error)) {
        return cli_fail(cli, CLI_AWAY, "where is Redis? There is no %s/redis.address%s%s; start weir serve, or give "
                        "--redis or --state-dir", state_dir, error[0] ? " to be used: " : "", error);
    }
    if ((from_environment && !place_from_environment(&cli->settings, error)) || !take_settings(cli, error))
        return cli_fail(cli, CLI_USAGE, "%s", error);
    return CLI_OK;
}

/* A key that is not there is told only when a secret is to be written: most commands need none. */
static size_t refuse_to_seal(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label,
                             const struct secret *secret, char ret[static RECORD_SEALED_MAX])
{
    (void)ctx, (void)tenant, (void)owner, (void)label, (void)secret, (void)ret;
    return 0;
}

static bool refuse_to_open(void *ctx, struct bytes tenant, struct bytes owner, struct bytes label, struct bytes sealed,
                           struct secret *ret)
{
    (void)ctx, (void)tenant, (void)owner, (void)label, (void)sealed, (void)ret;
    return false;
}

static void open_vault(struct cli *cli)
{
    static const struct record_vault none = {.seal = refuse_to_seal, .open = refuse_to_open};
    char path[VAULT_PATH_MAX];
    /* Only beside the gateway of this folder: anywhere else a fresh key would be one that no gateway has. */
    const char *elsewhere = cli_value(cli, "--state-dir") ? NULL : getenv("WEIR_REDIS");
    bool is_here = !cli_value(cli, "--redis") && !(elsewhere && elsewhere[0]) && !cli->settings.kek[0];
    vault_path(cli->settings.kek, cli_state_dir(cli), path);
    cli->vault = vault_new(path, is_here, cli->vault_error);
    cli->accounts.vault = cli->vault ? vault_of_records(cli->vault) : &none;
}

int cli_connect(struct cli *cli)
{
    char error[STORE_CLIENT_ERROR_MAX];
    int status = cli_find_redis(cli);
    if (status != CLI_OK)
        return status;
    open_vault(cli);
    cli->accounts.must_open = true;
    audit_actor_of_user(&cli->actor);
    cli->accounts.actor = &cli->actor;
    cli->accounts.audit_max = cli->settings.audit_max;
    struct store_target redis = settings_redis(&cli->settings);
    if (!store_target_check(&redis, error))
        return cli_fail(cli, CLI_USAGE, "%s", error);
    cli->accounts.client = store_client_open_target(&redis, CLIENT_TIMEOUT_MS, error);
    if (cli->accounts.client)
        return CLI_OK;
    return cli_fail(cli, CLI_AWAY, "%s; is weir serve running?", error);
}

static bool wants_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0 || strcmp(argument, "help") == 0;
}

static int run_group(const struct cli_group *group, bool offline, int argc, char **argv)
{
    struct cli cli = {.group = group};
    bool single = group->count == 1 && !group->commands[0].name[0];
    if ((argc < 2 && !single) || (argc >= 2 && wants_help(argv[1]))) {
        print_help(&cli);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    for (size_t i = 0; i < group->count; i++)
        if (single || strcmp(argv[1], group->commands[i].name) == 0)
            cli.command = &group->commands[i];
    if (!cli.command)
        return cli_fail(&cli, CLI_USAGE, "\"%s\" is not a command; see weir %s --help", argv[1], group->name);
    if (!take_arguments(&cli, argc, argv))
        return CLI_USAGE;
    if (cli_value(&cli, "--help")) {
        print_help(&cli);
        return CLI_OK;
    }
    int status = offline ? CLI_OK : cli_connect(&cli);
    if (status == CLI_OK)
        status = cli.command->run(&cli);
    store_client_close(cli.accounts.client);
    vault_free(cli.vault);
    return status;
}

int cli_main(const struct cli_group *group, int argc, char **argv)
{
    return run_group(group, false, argc, argv);
}

int cli_main_offline(const struct cli_group *group, int argc, char **argv)
{
    return run_group(group, true, argc, argv);
}

/* Files. */

uint8_t *cli_read_file(const struct cli *cli, const char *path, size_t max_bytes, size_t *ret_len)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");
    uint8_t *content = malloc(max_bytes + 2);
    size_t len = file && content ? fread(content, 1, max_bytes + 1, file) : 0;
    bool read = file && content && !ferror(file);
    int error = errno;
    if (file && !is_stdin)
        fclose(file);
    if (read && len <= max_bytes) {
        content[len] = '\0';
        *ret_len = len;
        return content;
    }
    free(content);
    if (read)
        cli_fail(cli, CLI_REFUSED, "%s is larger than %zu bytes", path, max_bytes);
    else
        cli_fail(cli, CLI_REFUSED, "%s: %s", path[0] ? path : "\"\"", strerror(error));
    return NULL;
}

/* Printing. */

const char *cli_time_text(int64_t seconds, char ret[static 32])
{
    time_t time = (time_t)seconds;
    struct tm parts;
    if (seconds == 0 || !gmtime_r(&time, &parts))
        strcpy(ret, "-");
    else
        strftime(ret, 32, "%Y-%m-%d %H:%M:%SZ", &parts);
    return ret;
}

/* What stands at the beginning of UTF-8, if it is a control character: 0 to 1f, 7f, or c2 80 to c2 9f. Its length, or
 * 0. */
static size_t control_len(const uint8_t *text, size_t len, unsigned *ret)
{
    bool c1 = len > 1 && text[0] == 0xc2 && text[1] < 0xa0;
    *ret = c1 ? text[1] : text[0];
    return c1 ? 2 : text[0] < 0x20 || text[0] == 0x7f;
}

void cli_put_plain(FILE *out, struct bytes text)
{
    bool is_utf8 = utf8_is_valid(text);
    for (size_t i = 0; i < text.len; i++) {
        unsigned control;
        size_t len = control_len(text.ptr + i, is_utf8 ? text.len - i : 1, &control);
        if (len || (text.ptr[i] >= 0x80 && !is_utf8))
            fprintf(out, "\\x%02x", control);
        else
            fputc(text.ptr[i], out);
        i += len > 1;
    }
}

void cli_put_column(struct bytes text, size_t width)
{
    cli_put_plain(stdout, text);
    printf("%*s ", text.len < width ? (int)(width - text.len) : 0, "");
}

void cli_put_json(const char *text)
{
    struct bytes bytes = bytes_of_text(text);
    bool is_utf8 = utf8_is_valid(bytes);
    putchar('"');
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned control;
        size_t len = control_len(bytes.ptr + i, is_utf8 ? bytes.len - i : 1, &control);
        if (len)
            printf("\\u%04x", control);
        else if (bytes.ptr[i] >= 0x80 && !is_utf8)
            fputs("\\ufffd", stdout);
        else
            printf(bytes.ptr[i] == '"' || bytes.ptr[i] == '\\' ? "\\%c" : "%c", bytes.ptr[i]);
        i += len > 1;
    }
    putchar('"');
}

void cli_put_member(const char *name, const char *text)
{
    printf(",\"%s\":", name);
    cli_put_json(text);
}

void cli_put_hex(struct bytes octets)
{
    for (size_t i = 0; i < octets.len; i++) {
        putchar(hex_digit(octets.ptr[i] >> 4));
        putchar(hex_digit(octets.ptr[i]));
    }
}
