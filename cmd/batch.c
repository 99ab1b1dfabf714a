// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir batch`: boxes that have no credential yet, and the secret with which they ask for one. The secret,
 * and the token that does the same over HTTP, are printed once.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/speech.h"
#include "cmd/thing.h"
#include "gateway/bootstrap.h"
#include "gateway/enrolment.h"
#include "gateway/rt/random.h"
#include "gateway/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY_S 86400
#define DAYS_MAX 36500
#define DEVICES_MAX 100000000
#define SECRET_BYTES 32
#define SERIALS_FILE_MAX ((size_t)64 << 20)

static void print_secret(const char *label, const struct secret *secret)
{
    fputs(label, stdout);
    cli_put_hex(bytes_of(secret->octets, secret->len));
    putchar('\n');
}

static bool take_secrets(const struct cli *cli, struct batch_record *record)
{
    const char *given = cli_value(cli, "--psk"), *claim = cli_value(cli, "--claim");
    uint8_t fresh[SECRET_BYTES];
    if (given && (!secret_set_hex(&record->secret, bytes_of_text(given)) || record->secret.len < BATCH_SECRET_MIN)) {
        cli_fail(cli, CLI_USAGE, "--psk needs 32 to 128 hexadecimal digits, an even number");
        return false;
    }
    if (claim && (strlen(claim) < BATCH_CLAIM_MIN || !secret_set(&record->claim, bytes_of_text(claim)))) {
        cli_fail(cli, CLI_USAGE, "--claim needs %d to %d characters", BATCH_CLAIM_MIN, SECRET_MAX);
        return false;
    }
    if (!given) {
        random_bytes(fresh, sizeof fresh);
        secret_set(&record->secret, bytes_of(fresh, sizeof fresh));
        explicit_bzero(fresh, sizeof fresh);
    }
    return true;
}

static bool take_rules(const struct cli *cli, struct batch_record *record)
{
    const char *approval = cli_value(cli, "--approve");
    uint32_t days = 0, max = 0;
    record->approval = BATCH_MANUAL;
    if (approval && !batch_approval_of_name(bytes_of_text(approval), &record->approval)) {
        cli_fail(cli, CLI_USAGE, "--approve \"%s\": auto, list or manual", approval);
        return false;
    }
    if (cli_take_number(cli, "--expires", DAYS_MAX, &days) != CLI_OK ||
        cli_take_number(cli, "--max", DEVICES_MAX, &max) != CLI_OK)
        return false;
    record->expires_s = days ? record->created_s + (int64_t)days * DAY_S : 0;
    record->max_devices = max;
    record->per_device = cli_value(cli, "--per-device") != NULL;
    return true;
}

static int take_texts(struct cli *cli, struct batch_record *record)
{
    const struct cli_text texts[] = {
        {"--pattern", RECORD_PATTERN_MAX, batch_pattern_is_valid, record->pattern},
        {"--site", RECORD_SITE_MAX, record_text_is_valid, record->site},
        {"--tags", RECORD_TAGS_MAX, record_tags_are_valid, record->tags},
    };
    const char *pattern = cli_value(cli, "--pattern");
    if (pattern && !batch_pattern_is_valid(bytes_of_text(pattern))) /* an empty one is by no slip of the pen "*" */
        return cli_fail(cli, CLI_USAGE, "--pattern \"%s\": ids of devices, with one * where the serial number stands",
                        pattern);
    int status = cli_take_texts(cli, texts, sizeof texts / sizeof texts[0]);
    return status == CLI_OK ? speech_take_profile(cli, record->tenant, record->profile) : status;
}

/* The token with which the batch enrols over HTTP. */
static int make_token(struct cli *cli, const struct batch_record *batch, char ret_text[static TOKENS_TEXT_LEN + 1])
{
    struct token_record record = {.role = ROLE_BOOTSTRAP, .created_s = batch->created_s, .expires_s = batch->expires_s};
    uint8_t random[TOKENS_RANDOM_BYTES];
    memcpy(record.tenant, batch->tenant, sizeof record.tenant);
    memcpy(record.device, batch->id, sizeof batch->id);
    random_bytes(random, sizeof random);
    bool made = tokens_make(random, &record, ret_text);
    explicit_bzero(random, sizeof random);
    return made ? cli_judge(cli, accounts_add_token(&cli->accounts, &record), "token for", batch->id)
                : cli_fail(cli, CLI_REFUSED, "cannot make a digest");
}

/* The only time that they are seen. */
static void print_made(const struct cli *cli, const struct batch_record *record, const char *token)
{
    printf("batch:    %s/%s\nidentity: %s/+%s%s\n", record->tenant, record->id, record->tenant, record->id,
           record->per_device ? "/SERIAL" : "");
    if (!cli_value(cli, "--psk"))
        print_secret(record->per_device ? "secret:   " : "psk:      ", &record->secret);
    if (token[0])
        printf("token:    %s\n", token);
    puts("Keep what is secret here; it is not shown again.");
}

static int batch_add(struct cli *cli)
{
    struct cli_name name;
    struct batch_record record = {.pattern = "*", .created_s = time(NULL)};
    char token[TOKENS_TEXT_LEN + 1] = "";
    if (!cli_split_profile(cli, cli->operands[0], &name))
        return CLI_USAGE;
    memcpy(record.tenant, name.tenant, sizeof record.tenant);
    memcpy(record.id, name.id, sizeof record.id);
    int status = take_texts(cli, &record);
    if (status == CLI_OK && (!take_rules(cli, &record) || !take_secrets(cli, &record)))
        status = CLI_USAGE;
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_add_batch(&cli->accounts, &record, cli_value(cli, "--replace") != NULL),
                           "batch", cli->operands[0]);
    bool is_added = status == CLI_OK;
    if (is_added && cli_value(cli, "--token"))
        status = make_token(cli, &record, token);
    if (is_added) /* also if there is no token: the batch is there */
        print_made(cli, &record, status == CLI_OK ? token : "");
    explicit_bzero(token, sizeof token);
    secret_wipe(&record.secret);
    secret_wipe(&record.claim);
    return status;
}

static int read_batch(struct cli *cli, struct batch_record *ret)
{
    struct cli_name name;
    if (!cli_split_profile(cli, cli->operands[0], &name))
        return CLI_USAGE;
    return thing_judge(cli, cli->group->things,
                       accounts_get_batch(&cli->accounts, bytes_of_text(name.tenant), bytes_of_text(name.id), ret),
                       cli->operands[0]);
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    struct batch_record record;
    enum accounts_result result = accounts_get_batch(&cli->accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    printf("%s%-24s %-7s %-8s %s\n", form.before, record.id, batch_approval_name(record.approval),
           batch_is_open_at(&record, time(NULL)) ? "open" : "closed", record.pattern);
    explicit_bzero(&record, sizeof record);
    return result;
}

static int batch_show(struct cli *cli)
{
    struct batch_record record;
    uint64_t used = 0, approved = 0;
    char expires[32], max[24] = "no limit";
    int status = read_batch(cli, &record);
    if (status == CLI_OK)
        status = cli_judge(cli, enrolment_count(&cli->accounts, bytes_of_text(record.tenant), bytes_of_text(record.id),
                                                &used, &approved), "batch", cli->operands[0]);
    if (status != CLI_OK) {
        explicit_bzero(&record, sizeof record);
        return status;
    }
    if (record.max_devices)
        snprintf(max, sizeof max, "%llu", (unsigned long long)record.max_devices);
    printf(
        "batch:    %s/%s\nstate:    %s\npattern:  %s\napprove:  %s, %llu serial numbers approved beforehand\n"
        "secret:   %s\nclaim:    %s\nsite:     %s\ntags:     %s\nprofile:  %s\ndevices:  %llu of "
        "%s\nexpires:  %s\n",
        record.tenant, record.id,
        record.disabled                         ? "disabled"
        : batch_is_open_at(&record, time(NULL)) ? "open"
                                                : "expired",
        record.pattern, batch_approval_name(record.approval), (unsigned long long)approved,
        record.per_device ? "one per device" : "one for all",
        secret_is_set(&record.claim) ? "wanted" : "none", record.site, record.tags, record.profile,
        (unsigned long long)used, max, cli_time_text(record.expires_s, expires));
    explicit_bzero(&record, sizeof record);
    return CLI_OK;
}

#define SERIAL_RULE "1 to %d of A-Z a-z 0-9 : . _ -, a letter or digit first"

static int fail_serial(const struct cli *cli, const char *text)
{
    return cli_fail(cli, CLI_USAGE, "\"%s\" cannot be a serial number: " SERIAL_RULE, text, RECORD_SERIAL_MAX);
}

static int batch_claim(struct cli *cli)
{
    struct batch_record record;
    struct secret psk = {0};
    char claim[BOOTSTRAP_CLAIM_LEN + 1], device[SCHEMA_DEVICE_MAX + 1];
    struct bytes serial = bytes_of_text(cli->operands[1]);
    int status = read_batch(cli, &record);
    if (status == CLI_OK && !batch_device_id(&record, serial, device))
        status = fail_serial(cli, cli->operands[1]);
    if (status == CLI_OK && !(bootstrap_psk(&record, serial, &psk) && bootstrap_claim(&record, serial, claim)))
        status = cli_fail(cli, CLI_REFUSED, "the secret of \"%s\" cannot be derived", cli->operands[1]);
    if (status == CLI_OK) {
        printf("device:   %s\nidentity: %s/+%s/%s\n", device, record.tenant, record.id, cli->operands[1]);
        print_secret("psk:      ", &psk);
        if (record.per_device)
            printf("claim:    %s\n", claim);
    }
    secret_wipe(&psk);
    explicit_bzero(&record, sizeof record);
    return status;
}

/* Of a file, line by line, or the one of the command. */
struct serials {
    uint8_t *content;
    struct bytes *serials;
    size_t count;
};

static void serials_free(struct serials *serials)
{
    free(serials->serials);
    free(serials->content);
}

/* The lines of text that are not empty. Returns an exit status, having said why. */
static int split_lines(const struct cli *cli, struct bytes text, struct serials *ret)
{
    size_t lines = 1, number = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    ret->serials = calloc(lines, sizeof *ret->serials);
    if (!ret->serials)
        return cli_fail(cli, CLI_REFUSED, "out of memory");
    for (size_t at = 0; at < text.len;) {
        const uint8_t *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t next = end ? (size_t)(end - text.ptr) + 1 : text.len;
        struct bytes line = bytes_of(text.ptr + at, next - at - (end != NULL));
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        at = next;
        number++;
        if (line.len == 0)
            continue;
        if (!batch_serial_is_valid(line))
            return cli_fail(cli, CLI_REFUSED, "line %zu is no serial number: " SERIAL_RULE "; nothing was changed",
                            number, RECORD_SERIAL_MAX);
        ret->serials[ret->count++] = line;
    }
    return CLI_OK;
}

static int take_serials(const struct cli *cli, struct serials *ret)
{
    const char *path = cli_value(cli, "--from"), *serial = cli->operands[1];
    size_t len = 0;
    *ret = (struct serials){0};
    if ((path != NULL) == (serial != NULL))
        return cli_fail(cli, CLI_USAGE, "needs either SERIAL or --from FILE");
    if (serial && !batch_serial_is_valid(bytes_of_text(serial)))
        return fail_serial(cli, serial);
    if (serial)
        return split_lines(cli, bytes_of_text(serial), ret);
    ret->content = cli_read_file(cli, path, SERIALS_FILE_MAX, &len);
    return ret->content ? split_lines(cli, bytes_of(ret->content, len), ret) : CLI_REFUSED;
}

static int batch_approve(struct cli *cli)
{
    struct batch_record record = {0};
    struct serials serials;
    bool forgets = cli_value(cli, "--forget") != NULL;
    int status = take_serials(cli, &serials);
    if (status == CLI_OK)
        status = read_batch(cli, &record);
    if (status == CLI_OK)
        status = cli_judge(cli,
                           (forgets ? enrolment_forget_serials : enrolment_approve_serials)(
                               &cli->accounts, bytes_of_text(record.tenant), bytes_of_text(record.id), serials.serials,
                               serials.count),
                           "batch", cli->operands[0]);
    if (status == CLI_OK)
        printf("%zu serial numbers %s\n", serials.count, forgets ? "forgotten" : "approved");
    serials_free(&serials);
    explicit_bzero(&record, sizeof record);
    return status;
}

static const struct cli_option add_options[] = {
    {"--pattern", "PATTERN", "ids of its devices, with one * where the serial number stands; default: *"},
    {"--approve", "HOW", "auto, list (serial numbers approved beforehand) or manual (default)"},
    {"--per-device", NULL, "each box has a secret of its own (weir batch claim), and the common one opens nothing"},
    {"--claim", "CODE", "a code of 6 to 64 characters that a request must have"},
    {"--max", "NUMBER", "of devices; default: no limit"},
    {"--expires", "DAYS", "default: never"},
    {"--site", "SITE", "of its devices"},
    {"--tags", "TAGS", "of its devices"},
    {"--profile", "NAME", "of its devices"},
    {"--psk", "HEX", "the secret, if there is one already"},
    {"--token", NULL, "make a token too, for HTTP"},
    {"--replace", NULL, "make it anew if it is there"},
    {NULL, NULL, NULL},
};

static const struct cli_option approve_options[] = {
    {"--from", "FILE", "one serial number in each line; - is standard input"},
    {"--forget", NULL, "approve them no longer"},
    {NULL, NULL, NULL},
};

static const struct thing_kind kind = {
    .name = "batch",
    .all = "batches of",
    .split = cli_split_profile,
    .list = accounts_list_batches,
    .print = print_one,
    .set_disabled = accounts_set_batch_disabled,
    .if_disabled = "nobody enrols with it, and its sessions end within seconds",
    .remove = accounts_remove_batch,
    .if_removed = "its devices stay",
    .if_damaged = ", or its secret does not open with this key-encryption key; --kek or --state-dir name that of the "
                  "gateways, and weir batch add --replace makes the batch anew",
};

static const struct cli_command commands[] = {
    {"add", "TENANT/BATCH", "add a batch and print its secret, once", add_options, batch_add},
    {"list", "TENANT", "the tenant's batches", NULL, thing_list},
    {"show", "TENANT/BATCH", "one batch, without its secret, and how many devices came by it", NULL,
     batch_show},
    {"claim", "TENANT/BATCH SERIAL", "what is printed on the box with this serial number", NULL, batch_claim},
    {"approve-serial", "TENANT/BATCH [SERIAL]", "approve serial numbers before they ask", approve_options,
     batch_approve},
    {"disable", "TENANT/BATCH", "nobody may enrol with it; sessions end", NULL, thing_disable},
    {"enable", "TENANT/BATCH", "takes that back", NULL, thing_enable},
    {"remove", "TENANT/BATCH", "forget it; its devices stay", NULL, thing_remove},
};

int cmd_batch(int argc, char **argv)
{
    static const struct cli_group group = {
        "batch", "boxes without a credential, and the secret with which they enrol", commands,
        sizeof commands / sizeof commands[0], &kind,
    };
    return cli_main(&group, argc, argv);
}
