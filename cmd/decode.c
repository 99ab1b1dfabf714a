// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * weir decode: what a codec or a format makes of the bytes on stdin. First what was looked at, step by step, also when
 * it fails later; then the SenML, as /obs would answer it. A log of lines is decoded line by line.
 *
 * Works on this machine alone unless the codec is named TENANT/NAME.
 */
#include "cmd/codec_source.h"
#include "cmd/commands.h"
#include "codec/hex.h"
#include "codec/naming.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define INPUT_MAX ((size_t)1 << 20)
#define PARAMETERS_MAX 32

struct decode {
    struct cli *cli;
    struct codec_source source;   /* custom not NULL: decode with it */
    const struct format *format;  /* else with this */
    struct arena *arena;          /* of the parameters */
    struct arena *message;        /* of one message */
    struct format_parameter parameters[PARAMETERS_MAX];
    struct format_input input;
    uint8_t *payload;
    size_t len;
    bool by_line;
};

/* What it decodes with. */

static bool file_exists(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file)
        fclose(file);
    return file != NULL;
}

static bool is_tenant_and_name(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash && schema_tenant_is_valid(bytes_of(text, (size_t)(slash - text))) &&
           schema_profile_is_valid(bytes_of_text(slash + 1));
}

static int take_codec(struct decode *decode, const char *name)
{
    struct cli *cli = decode->cli;
    int status;
    if (file_exists(name)) {
        status = codec_source_from_file(cli, name, &decode->source);
    } else if (!is_tenant_and_name(name)) {
        status = cli_fail(cli, CLI_USAGE, "there is no file %s, and it is not of the form TENANT/NAME", name);
    } else {
        status = cli_connect(cli);
        if (status == CLI_OK)
            status = codec_source_from_redis(cli, name, &decode->source);
    }
    if (status == CLI_OK)
        status = codec_source_compile(cli, name, &decode->source);
    if (status == CLI_OK)
        decode->by_line = custom_by_line(decode->source.custom);
    return status;
}

static int take_format(struct decode *decode, const char *name)
{
    decode->format = format_by_name(bytes_of_text(name));
    if (decode->format && decode->format->decode) {
        decode->by_line = decode->format->by_line;
        return CLI_OK;
    }
    size_t count;
    const struct format *table = format_table(&count);
    fputs("weir decode: there is no format ", stderr);
    cli_put_plain(stderr, bytes_of_text(name));
    fputs("; there are", stderr);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " %s", table[i].name);
    fputs("\n", stderr);
    return CLI_USAGE;
}

/* Parameters, as a query has them. */

/* A copy with %20 made a space. False: a % without two digits, or no memory. */
static bool unescape(struct arena *arena, struct bytes text, struct bytes *ret)
{
    uint8_t *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        if (text.ptr[i] != '%') {
            out[len++] = text.ptr[i];
            continue;
        }
        int octet = i + 2 < text.len ? hex_octet(text.ptr + i + 1) : -1;
        if (octet < 0)
            return false;
        out[len++] = (uint8_t)octet;
        i += 2;
    }
    *ret = bytes_of(out, len);
    return out != NULL;
}

static bool take_parameter(struct decode *decode, struct bytes text)
{
    struct format_parameter *parameter = &decode->parameters[decode->input.parameter_count];
    const uint8_t *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
    if (!equals || decode->input.parameter_count == PARAMETERS_MAX)
        return false;
    size_t name = (size_t)(equals - text.ptr);
    decode->input.parameter_count++;
    return unescape(decode->arena, bytes_of(text.ptr, name), &parameter->name) &&
           unescape(decode->arena, bytes_of(equals + 1, text.len - name - 1), &parameter->value);
}

static int take_query(struct decode *decode, const char *text)
{
    for (const char *at = text; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (!take_parameter(decode, bytes_of(at, strcspn(at, "&"))))
            return cli_fail(decode->cli, CLI_USAGE, "--query \"%s\" is not name=value&name=value", text);
    }
    decode->input.parameters = decode->parameters;
    decode->input.name = format_parameter(&decode->input, "n", NULL);
    decode->input.unit = format_parameter(&decode->input, "u", NULL);
    return CLI_OK;
}

static int take_now(struct decode *decode, const char *text)
{
    char *end = NULL;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    decode->input.now = (struct timestamp){now.tv_sec, (uint32_t)now.tv_nsec};
    if (!text)
        return CLI_OK;
    decode->input.now = (struct timestamp){strtoll(text, &end, 10), 0};
    if (end == text || *end)
        return cli_fail(decode->cli, CLI_USAGE, "--now \"%s\": whole seconds since 1970", text);
    return CLI_OK;
}

/* Input. */

/* Digits in pairs; white space and colons between them do not matter. */
static bool from_hex(uint8_t *text, size_t *len)
{
    size_t digits = 0;
    for (size_t i = 0; i < *len; i++) {
        int digit = hex_value(text[i]);
        if (digit < 0 && (!text[i] || !strchr(" \t\r\n:", text[i])))
            return false;
        if (digit < 0)
            continue;
        text[digits / 2] = (uint8_t)(digits % 2 ? text[digits / 2] << 4 | digit : digit);
        digits++;
    }
    *len = digits / 2;
    return digits % 2 == 0;
}

static int take_payload(struct decode *decode)
{
    decode->payload = cli_read_file(decode->cli, "-", INPUT_MAX, &decode->len);
    if (!decode->payload)
        return CLI_REFUSED;
    if (cli_value(decode->cli, "--hex") && !from_hex(decode->payload, &decode->len))
        return cli_fail(decode->cli, CLI_REFUSED, "stdin is not hexadecimal: an even number of 0-9 a-f");
    return CLI_OK;
}

/* Output. */

static void print_step(const struct custom_step *step)
{
    char place[64];
    if (step->bits)
        snprintf(place, sizeof place, "%zu.%u+%u", step->offset, step->bit, step->bits);
    else if (step->len > 1)
        snprintf(place, sizeof place, "%zu-%zu", step->offset, step->offset + step->len - 1);
    else
        snprintf(place, sizeof place, "%zu", step->offset);
    cli_put_column(bytes_of_text(place), 9);
    cli_put_column(step->field.len ? step->field : BYTES_LITERAL("-"), 20);
    cli_put_column(step->raw, 18);
    cli_put_column(step->value, 16);
    cli_put_column(step->unit, 5);
    puts(step->note ? step->note : "");
}

static void print_steps(const struct custom_steps *steps)
{
    if (steps->count)
        puts("octets    field                raw                value            unit  note");
    for (size_t i = 0; i < steps->count; i++)
        print_step(&steps->items[i]);
}

static int print_list(const struct decode *decode, struct observation_list *list)
{
    struct bytes senml;
    bool named = true;
    for (size_t i = 0; i < list->count; i++)
        /* As the stream tells it where no device has the node's name. */
        named = named && (list->items[i].node.len == 0 || naming_join_node(decode->message, &list->items[i]));
    const struct format *out = format_by_content_format(CONTENT_FORMAT_SENML_JSON);
    if (!named || !outcome_is_success(out->encode(list, decode->message, &senml)))
        return cli_fail(decode->cli, CLI_REFUSED, "out of memory");
    fwrite(senml.ptr, 1, senml.len, stdout);
    putchar('\n');
    return CLI_OK;
}

static int decode_message(const struct decode *decode, struct bytes payload)
{
    struct format_input input = decode->input;
    struct format_error error = {.offset = SIZE_MAX};
    struct observation_list list = {0};
    struct custom_steps steps = {0};
    enum outcome outcome;
    input.payload = payload;
    arena_reset(decode->message);
    if (decode->source.custom)
        outcome = custom_explain(decode->source.custom, &input, decode->message, &steps, &list, &error);
    else
        outcome = decode->format->decode(&input, decode->message, &list, &error);
    print_steps(&steps);
    if (outcome_is_success(outcome))
        return print_list(decode, &list);
    fflush(stdout);
    /* With keys its sender would be known: what is missing is not a device. */
    if (outcome == OUTCOME_FORBIDDEN && !input.crypto)
        error.detail = "the frame is sealed, and weir decode has no keys; a gateway that knows the device opens it";
    const char *slug = outcome_row(outcome)->slug, *detail = error.detail ? error.detail : outcome_row(outcome)->title;
    if (error.offset != SIZE_MAX)
        return cli_fail(decode->cli, CLI_REFUSED, "%s: %s (octet %zu)", slug, detail, error.offset);
    return cli_fail(decode->cli, CLI_REFUSED, "%s: %s", slug, detail);
}

static int decode_lines(const struct decode *decode)
{
    int status = CLI_OK;
    size_t number = 1;
    for (size_t at = 0; at < decode->len; number++) {
        const uint8_t *line = decode->payload + at, *end = memchr(line, '\n', decode->len - at);
        size_t len = end ? (size_t)(end - line) : decode->len - at;
        at += len + 1;
        if (len && line[len - 1] == '\r')
            len--;
        printf("line %zu\n", number);
        int one = decode_message(decode, bytes_of(line, len));
        status = status == CLI_OK ? one : status;
    }
    return status;
}

/* The command. */

static int prepare(struct decode *decode)
{
    struct cli *cli = decode->cli;
    const char *codec = cli_value(cli, "--codec"), *format = cli_value(cli, "--format");
    const char *query = cli_value(cli, "--query");
    if (!codec == !format)
        return cli_fail(cli, CLI_USAGE, "needs either --codec or --format; see --help");
    int status = codec ? take_codec(decode, codec) : take_format(decode, format);
    if (status == CLI_OK)
        status = take_now(decode, cli_value(cli, "--now"));
    if (status == CLI_OK && query)
        status = take_query(decode, query);
    return status == CLI_OK ? take_payload(decode) : status;
}

static int run(struct cli *cli)
{
    struct decode decode = {.cli = cli, .input.limits = FORMAT_LIMITS_DEFAULT, .arena = arena_new(INPUT_MAX),
                            .message = arena_new(CODEC_SOURCE_ARENA_BYTES)};
    int status = CLI_REFUSED;
    if (decode.arena && decode.message)
        status = prepare(&decode);
    else
        cli_fail(cli, CLI_REFUSED, "out of memory");
    if (status == CLI_OK)
        status = decode.by_line ? decode_lines(&decode)
                                : decode_message(&decode, bytes_of(decode.payload, decode.len));
    codec_source_free(&decode.source);
    free(decode.payload);
    arena_free(decode.message);
    arena_free(decode.arena);
    return status;
}

static const struct cli_option options[] = {
    {"--codec", "FILE|T/NAME", "a declarative codec: its definition, or its name in Redis"},
    {"--format", "NAME", "a format of weir (docs/formats.md)"},
    {"--hex", NULL, "stdin is hexadecimal; else the bytes as they are"},
    {"--query", "N=V&...", "what the request would say beside its body, as in a URL"},
    {"--now", "SECONDS", "the time of receipt, since 1970; default: now"},
    {NULL, NULL, NULL},
};

int cmd_decode(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"", "", "what it makes of the bytes on stdin; exit status 1 if it refuses them", options, run},
    };
    static const struct cli_group group = {"decode", "a codec or a format, tried on bytes", commands, 1, NULL};
    return cli_main_offline(&group, argc, argv);
}
