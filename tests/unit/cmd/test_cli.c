// SPDX-License-Identifier: GPL-3.0-or-later
/* Arguments of a table of commands: operands that must be and that may be, options with and without values. */
#include "cmd/cli.h"
#include "cmd/commands.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <unistd.h>

static const char *first, *second, *key;
static int runs;

static int run(struct cli *cli)
{
    runs++;
    first = cli->operands[0];
    second = cli->operands[1];
    key = cli_value(cli, "--key-file");
    return CLI_OK;
}

static const struct cli_option options[] = {{"--key-file", "FILE", "a key"}, {"--json", NULL, "JSON"}, {NULL, NULL, NULL}};
static const struct cli_command commands[] = {
    {"none", "", "takes nothing", options, run},
    {"may", "[FOLDER]", "takes one or none", options, run},
    {"must", "FOLDER LSN", "takes two", options, run},
    {"mixed", "FOLDER [LSN]", "takes one or two", options, run},
};
static const struct cli_group group = {"test", "a group", commands, sizeof commands / sizeof commands[0], NULL};

static int call(int argc, char **argv)
{
    first = second = key = NULL;
    return cli_main_offline(&group, argc, argv);
}
#define CALL(...) call((int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[]){__VA_ARGS__, NULL})

TestSuite(cli, .init = cr_redirect_stderr);

Test(cli, operands_in_brackets_may_be_left_out)
{
    cr_expect_eq(CALL("test", "may"), CLI_OK);
    cr_expect_null(first);
    cr_expect_eq(CALL("test", "may", "x"), CLI_OK);
    cr_expect_str_eq(first, "x");
    cr_expect_eq(CALL("test", "may", "x", "y"), CLI_USAGE);
    cr_expect_eq(CALL("test", "mixed"), CLI_USAGE);
    cr_expect_eq(CALL("test", "mixed", "x"), CLI_OK);
    cr_expect_null(second);
    cr_expect_eq(CALL("test", "mixed", "x", "7"), CLI_OK);
    cr_expect_str_eq(second, "7");
}

Test(cli, other_operands_must_be_there)
{
    cr_expect_eq(CALL("test", "must", "x"), CLI_USAGE);
    cr_expect_eq(CALL("test", "must", "x", "7"), CLI_OK);
    cr_expect_eq(CALL("test", "none"), CLI_OK);
    cr_expect_eq(CALL("test", "none", "x"), CLI_USAGE);
    cr_expect_eq(CALL("test", "other"), CLI_USAGE);
}

Test(cli, options)
{
    cr_expect_eq(CALL("test", "may", "--key-file", "k"), CLI_OK);
    cr_expect_str_eq(key, "k");
    cr_expect_eq(CALL("test", "may", "--key-file=k2", "x"), CLI_OK);
    cr_expect_str_eq(key, "k2");
    cr_expect_eq(CALL("test", "may", "--key-file"), CLI_USAGE);
    cr_expect_eq(CALL("test", "may", "--json=1"), CLI_USAGE);
    cr_expect_eq(CALL("test", "may", "--bogus"), CLI_USAGE);
    cr_expect_eq(CALL("test", "may", "--key-file", "k", "--key-file=k2"), CLI_USAGE);
    cr_expect_eq(CALL("test", "may", "--key-file=", "--key-file="), CLI_USAGE);
    cr_expect_eq(runs, 2);
    cr_expect_eq(CALL("test", "may", "--json", "--json"), CLI_OK);
}

static uint32_t number;

static int run_number(struct cli *cli)
{
    return cli_take_number(cli, "--days", 36500, &number);
}

Test(cli, a_number_is_digits_from_1_to_its_limit)
{
    static const struct cli_option days[] = {{"--days", "DAYS", "how long"}, {NULL, NULL, NULL}};
    static const struct cli_command only[] = {{"", "", "does it", days, run_number}};
    static const struct cli_group single = {"alone", "a command", only, 1, NULL};
    static char *const refused[] = {"--days=", "--days=0", "--days=36501", "--days=10x", "--days=-1", "--days=+1",
                                    "--days= 1", "--days=99999999999999999999"};
    char *bare[] = {"alone", NULL}, *given[] = {"alone", "--days=36500", NULL};
    number = 7;
    cr_expect_eq(cli_main_offline(&single, 1, bare), CLI_OK);
    cr_expect_eq(number, 7);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        cr_expect_eq(cli_main_offline(&single, 2, (char *[]){"alone", refused[i], NULL}), CLI_USAGE, "%s", refused[i]);
    cr_expect_eq(number, 7);
    cr_expect_eq(cli_main_offline(&single, 2, given), CLI_OK);
    cr_expect_eq(number, 36500);
}

Test(cli, a_group_can_be_a_command_itself)
{
    static const struct cli_command only[] = {{"", "[FILE]", "does it", options, run}};
    static const struct cli_group single = {"alone", "a command", only, 1, NULL};
    char *bare[] = {"alone", NULL}, *with[] = {"alone", "x", "--key-file", "k", NULL}, *much[] = {"alone", "x", "y", NULL};
    runs = 0;
    cr_expect_eq(cli_main_offline(&single, 1, bare), CLI_OK);
    cr_expect_null(first);
    cr_expect_eq(cli_main_offline(&single, 4, with), CLI_OK);
    cr_expect_str_eq(first, "x");
    cr_expect_str_eq(key, "k");
    cr_expect_eq(cli_main_offline(&single, 3, much), CLI_USAGE);
    cr_expect_eq(runs, 2);
}

Test(cli, a_file_is_read_whole_or_refused)
{
    char path[] = "/tmp/weir-test-XXXXXX";
    struct cli cli = {.group = &group, .command = &commands[0]};
    size_t len = 0;
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "12345", 5), 5);
    close(fd);
    uint8_t *text = cli_read_file(&cli, path, 5, &len);
    cr_assert_not_null(text);
    cr_expect_eq(len, 5);
    cr_expect_str_eq((char *)text, "12345");
    free(text);
    cr_expect_null(cli_read_file(&cli, path, 4, &len));
    unlink(path);
    cr_expect_null(cli_read_file(&cli, path, 5, &len));
}

/* What put writes, in a block that is there until the next call. */
static const char *written(void (*put)(FILE *out, struct bytes text), struct bytes text)
{
    static char result[256];
    FILE *out = fmemopen(result, sizeof result, "w");
    put(out, text);
    fclose(out);
    return result;
}

Test(cli, what_a_terminal_would_obey_is_told_in_hexadecimal)
{
    static const struct {
        const char *text, *plain;
    } cases[] = {
        {"", ""},
        {"Z\u00fcrich \"x\" \\y", "Z\u00fcrich \"x\" \\y"},
        {"\x1b[31m\n\r\t\x7f", "\\x1b[31m\\x0a\\x0d\\x09\\x7f"},
        {"a\xc2\x9b" "b\xc2\xa0", "a\\x9b" "b\xc2\xa0"},
        {"\xc3\xbc\xff", "\\xc3\\xbc\\xff"},
        {"\xc2", "\\xc2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(written(cli_put_plain, bytes_of_text(cases[i].text)), cases[i].plain);
    cr_expect_str_eq(written(cli_put_plain, BYTES_LITERAL("a\0b")), "a\\x00b");
}

Test(cli, a_message_is_one_line_that_does_not_talk_to_the_terminal)
{
    static const struct cli cli = {.group = &group, .command = &commands[0]};
    cr_expect_eq(cli_fail(&cli, CLI_REFUSED, "%s is no file", "a\x1b\nb"), CLI_REFUSED);
    fflush(stderr);
    cr_assert_stderr_eq_str("weir test none: a\\x1b\\x0ab is no file\n");
}

static void put_json(FILE *out, struct bytes text)
{
    FILE *was = stdout;
    stdout = out;
    cli_put_json((const char *)text.ptr);
    stdout = was;
}

Test(cli, a_json_string_is_one_whatever_is_in_it)
{
    static const char *const cases[][2] = {
        {"", "\"\""},
        {"Z\u00fcrich \"x\" \\y/", "\"Z\u00fcrich \\\"x\\\" \\\\y/\""},
        {"\x1b\n\x7f\xc2\x9b", "\"\\u001b\\u000a\\u007f\\u009b\""},
        {"a\xff\xc3\xbc", "\"a\\ufffd\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(written(put_json, bytes_of_text(cases[i][0])), cases[i][1]);
}

static int spool(int argc, char **argv)
{
    return cmd_spool(argc, argv);
}
#define SPOOL(...) spool((int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[]){__VA_ARGS__, NULL})

Test(cli, a_spool_that_is_not_there_is_refused_and_not_made)
{
    cr_expect_eq(SPOOL("spool", "list", "/nowhere/at/all"), CLI_REFUSED);
    cr_expect_eq(SPOOL("spool", "verify", "/nowhere/at/all"), CLI_REFUSED);
    cr_expect_eq(SPOOL("spool", "adopt", "/nowhere/at/all"), CLI_REFUSED);
    cr_expect_eq(SPOOL("spool", "show", "/nowhere/at/all", "1"), CLI_REFUSED);
    cr_expect_eq(SPOOL("spool", "show", "/nowhere/at/all", "0"), CLI_USAGE);
    cr_expect_eq(SPOOL("spool", "show", "/nowhere/at/all", "-1"), CLI_USAGE);
    cr_expect_eq(SPOOL("spool", "show", "/nowhere/at/all", "1x"), CLI_USAGE);
    cr_expect_eq(SPOOL("spool", "show", "/nowhere/at/all"), CLI_USAGE);
    cr_expect_eq(SPOOL("spool", "replay", "/nowhere/at/all", "--redis", "127.0.0.1:1"), CLI_REFUSED);
}
