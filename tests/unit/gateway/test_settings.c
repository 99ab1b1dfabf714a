// SPDX-License-Identifier: GPL-3.0-or-later
/* The table, its four sources and its documentation. */
#include "gateway/settings.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static struct settings settings;
static char error[SETTINGS_ERROR_MAX];

static void set_defaults(void)
{
    settings_default(&settings);
}

TestSuite(settings, .init = set_defaults);

static bool set(const char *name, const char *value)
{
    return settings_set(&settings, bytes_of_text(name), bytes_of_text(value), error);
}

Test(settings, defaults_are_those_of_the_table)
{
    cr_assert_eq(settings.coap_port, 5683);
    cr_assert_str_eq(settings.listen, "0.0.0.0,[::]");
    cr_assert_str_eq(settings.redis, "");
    cr_assert(settings.dtls13);
    size_t count;
    const struct settings_row *rows = settings_table(&count);
    for (size_t i = 0; i < count; i++)
        cr_assert(set(rows[i].name, rows[i].fallback), "%s", error);
}

Test(settings, numbers_have_a_range)
{
    cr_assert(set("coap_port", "65535"));
    cr_assert_eq(settings.coap_port, 65535);
    cr_assert(set("coap-port", "0"));
    cr_assert_eq(settings.coap_port, 0);
    static const char *const wrong[] = {"65536", "", "-1", "+1", " 1", "1 ", "0x10", "1e3",
                                        "99999999999999999999999", "18446744073709551616"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert(!set("coap_port", wrong[i]), "%s", wrong[i]);
        cr_assert_eq(settings.coap_port, 0);
    }
}

Test(settings, an_error_names_setting_value_and_range)
{
    cr_assert(!set("http_port", "70000"));
    cr_assert(strstr(error, "http_port") && strstr(error, "70000") && strstr(error, "0 to 65535"), "%s", error);
    cr_assert(!set("htp_port", "1"));
    cr_assert(strstr(error, "\"htp_port\"") && strstr(error, "--help"), "%s", error);
    cr_assert(!set("log_level", "loud"));
    cr_assert(strstr(error, "error, warn, info or debug"), "%s", error);
    cr_assert(!set("dtls13", "maybe"));
    cr_assert(strstr(error, "true or false"), "%s", error);
}

Test(settings, an_error_about_a_huge_value_still_says_what_to_do)
{
    char huge[5000];
    memset(huge, '\x01', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    cr_assert(!set("coap_port", huge));
    cr_assert(strstr(error, "0 to 65535"), "%s", error);
}

Test(settings, texts_have_a_length_and_no_control_characters)
{
    char longest[257];
    memset(longest, 'x', sizeof longest);
    longest[255] = '\0';
    cr_assert(set("state_dir", longest));
    cr_assert_str_eq(settings.state_dir, longest);
    longest[255] = 'x';
    longest[256] = '\0';
    cr_assert(!set("state_dir", longest));
    cr_assert(!set("state_dir", "a\nb"));
    cr_assert(!settings_set(&settings, BYTES_LITERAL("state_dir"), BYTES_LITERAL("a\0b"), error));
    cr_assert(!set("http_listen", ""));
    cr_assert(set("state_dir", ""));
    cr_assert_str_empty(settings.state_dir);
}

Test(settings, flags_know_the_usual_words)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < 8; i++) {
        cr_assert(set("dtls13", words[i]));
        cr_assert_eq(settings.dtls13, i % 2 == 1, "%s", words[i]);
    }
}

Test(settings, environment)
{
    setenv("WEIR_COAP_PORT", "1234", 1);
    setenv("WEIR_DTLS13", "off", 1);
    setenv("WEIR_UNKNOWN_THING", "x", 1);
    cr_assert(settings_from_environment(&settings, error), "%s", error);
    cr_assert_eq(settings.coap_port, 1234);
    cr_assert(!settings.dtls13);
    setenv("WEIR_BODY_MAX", "1", 1);
    cr_assert(!settings_from_environment(&settings, error));
    cr_assert(strstr(error, "WEIR_BODY_MAX") && strstr(error, "1024"), "%s", error);
}

static bool read_text(const char *text)
{
    char path[] = "/tmp/weir-settings-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    bool result = settings_from_file(&settings, path, error);
    unlink(path);
    return result;
}

Test(settings, file)
{
    cr_assert(read_text("# a comment\n\n  coap_port = 77 # ours\nstate_dir=/srv/a#b\n\thttp-port\t=\t88\r\n"
                        "redis ="),
              "%s", error);
    cr_assert_eq(settings.coap_port, 77);
    cr_assert_eq(settings.http_port, 88);
    cr_assert_str_eq(settings.state_dir, "/srv/a#b");
    cr_assert_str_empty(settings.redis);
}

Test(settings, file_errors_tell_the_line)
{
    cr_assert(!read_text("coap_port = 1\ncoaps_port = x\n"));
    cr_assert(strstr(error, ":2: coaps_port"), "%s", error);
    cr_assert(!read_text("coap_port 1\n"));
    cr_assert(strstr(error, ":1: ") && strstr(error, "name = value"), "%s", error);
    char longer[2000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cr_assert(!read_text(longer));
    cr_assert(!settings_from_file(&settings, "/nonexistent/weir.conf", error));
    cr_assert(strstr(error, "/nonexistent/weir.conf"), "%s", error);
}

static char *argv[16];

static int take(int argc, const char *const *given)
{
    memcpy(argv, given, (size_t)(argc + 1) * sizeof *argv);
    return settings_from_arguments(&settings, argc, argv, error);
}

Test(settings, arguments_are_taken_out)
{
    static const char *const given[] = {"weir", "--coap-port=1", "serve", "--http_port", "2", "--no-dtls13",
                                        "--other", "--redis=", "--", "--coap-port=9", NULL};
    int argc = take(10, given);
    cr_assert_eq(argc, 5);
    static const char *const kept[] = {"weir", "serve", "--other", "--", "--coap-port=9"};
    for (int i = 0; i < argc; i++)
        cr_assert_str_eq(argv[i], kept[i]);
    cr_assert_null(argv[argc]);
    cr_assert_eq(settings.coap_port, 1);
    cr_assert_eq(settings.http_port, 2);
    cr_assert(!settings.dtls13);
}

Test(settings, flags_on_the_command_line_take_no_next_argument)
{
    cr_assert(set("dtls13", "false"));
    cr_assert_eq(take(3, (const char *const[]){"weir", "--dtls13", "false", NULL}), 2);
    cr_assert_str_eq(argv[1], "false");
    cr_assert(settings.dtls13);
    cr_assert_eq(take(2, (const char *const[]){"weir", "--no-dtls13", NULL}), 1);
    cr_assert(!settings.dtls13);
    cr_assert(set("dtls13", "true"));
    cr_assert_eq(take(2, (const char *const[]){"weir", "--dtls13=off", NULL}), 1);
    cr_assert(!settings.dtls13);
}

Test(settings, argument_errors)
{
    cr_assert_eq(take(2, (const char *const[]){"weir", "--coap-port", NULL}), -1);
    cr_assert(strstr(error, "coap-port"), "%s", error);
    cr_assert_eq(take(2, (const char *const[]){"weir", "--coap-port=x", NULL}), -1);
    cr_assert_eq(take(2, (const char *const[]){"weir", "--no-coap-port", NULL}), 2, "stays, for others to refuse");
}

Test(settings, an_argument_is_given_once_over_all_other_sources)
{
    static const char *const twice[][5] = {{"weir", "--coap-port=1", "--coap_port=1", NULL},
                                           {"weir", "--coap-port", "1", "--coap-port=2", NULL},
                                           {"weir", "--dtls13", "--no-dtls13", NULL},
                                           {"weir", "--no-dtls13", "--dtls13=off", NULL}};
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_eq(take(i == 1 ? 4 : 3, twice[i]), -1, "%u", i);
        cr_expect_str_eq(error, i < 2 ? "--coap-port is given twice" : "--dtls13 is given twice");
    }
    setenv("WEIR_COAP_PORT", "1234", 1);
    cr_assert(read_text("coap_port = 77\ncoap_port = 78\n"), "%s", error);
    cr_assert(settings_from_environment(&settings, error), "%s", error);
    cr_expect_eq(settings.coap_port, 1234);
    cr_assert_eq(take(3, (const char *const[]){"weir", "--coap-port=9", "--coaps-port=9", NULL}), 1);
    cr_expect_eq(settings.coap_port, 9);
}

Test(settings, help_names_every_setting)
{
    char *text = NULL;
    size_t len, count;
    FILE *out = open_memstream(&text, &len);
    settings_help(out);
    fclose(out);
    const struct settings_row *rows = settings_table(&count);
    for (size_t i = 0; i < count; i++)
        cr_assert(strstr(text, rows[i].help), "%s", rows[i].name);
    cr_assert(strstr(text, "  --coap-port=N\n"));
    cr_assert(strstr(text, "  --dtls13, --no-dtls13\n"));
    free(text);
}

Test(settings, the_document_is_that_of_the_table)
{
    const char *root = getenv("WEIR_SOURCE_ROOT");
    cr_assert_not_null(root, "run by meson test");
    char path[4096], *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    settings_markdown(out);
    fclose(out);

    snprintf(path, sizeof path, "%s/docs/settings.md", root);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    char *document = calloc(1, len + 2);
    cr_assert_eq(fread(document, 1, len + 1, file), len, "write docs/settings.md again: ninja docs-settings");
    fclose(file);
    cr_assert_str_eq(document, text, "write docs/settings.md again: ninja docs-settings");
    free(document);
    free(text);
}
