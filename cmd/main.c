// SPDX-License-Identifier: GPL-3.0-or-later
/* weir: one binary; the first argument says which of its programs to be. To add one: a row here, a file beside it. */
#include "cmd/cli.h"
#include "cmd/commands.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", cmd_serve, "run the gateway"},
    {"audit", cmd_audit, "who changed what"},
    {"tenant", cmd_tenant, "add, list, show, set, disable, enable, remove tenants"},
    {"device", cmd_device,
     "add, list, show, set, disable, enable, remove, import, export devices; approve those that enrol"},
    {"key", cmd_key, "add, list, remove, generate credentials of one device"},
    {"group", cmd_group,
     "add, list, show, disable, enable, remove keys that batches of devices derive theirs from"},
    {"token", cmd_token, "add, list, revoke bearer tokens for HTTP, and keys of legacy senders"},
    {"profile", cmd_profile, "add, list, show, remove profiles: how a batch of devices speaks"},
    {"rule", cmd_rule, "add, list, show, remove rules: which observations go to which stream"},
    {"codec", cmd_codec,
     "add, list, show, remove, release, check declarative codecs; what they could not read"},
    {"decode", cmd_decode, "what a codec or a format makes of bytes, field by field"},
    {"stream", cmd_stream, "set, list, show, remove the retention of streams"},
    {"spool", cmd_spool, "list, verify, show, replay, adopt what is acknowledged and still on disk"},
    {"batch", cmd_batch,
     "add, list, show, disable, enable, remove batches of boxes that enrol; claim, approve serial numbers"},
    {"kek", cmd_kek, "show, add, use, rewrap, drop keys that wrap the secrets in Redis"},
    {"ca", cmd_ca, "make, rotate, list, show, remove authorities that sign certificates for devices"},
    {"sign", cmd_sign, "sign a message as a device does; make a key for it"},
    {"verify", cmd_verify, "check again, without a gateway, what signed messages prove"},
    {"sim", cmd_sim, "a fleet of simulated devices"},
    {"version", cmd_version, "print the version"},
    {"help", cmd_help, "print this"},
};

static void print_help(FILE *out)
{
    fputs("weir: takes observations over CoAP and HTTP, appends them to Redis streams\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  weir %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\nweir COMMAND --help tells more. Start with: weir serve --demo\n", out);
}

static int cmd_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    print_help(stdout);
    return 0;
}

static int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("weir " WEIR_VERSION);
    return 0;
}

/* A standard descriptor that is closed would be the number of the next file or connection, which would then get
 * what is meant for people. Nothing can be written to what stands in its place, so that it is told. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDONLY); /* the lowest number that is free */
}

/* Whoever reads what a command prints is gone: `| head -1`. */
static bool is_reader_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) > 0 && output.revents & (POLLERR | POLLHUP);
}

/* What was not printed was not done, but who has stopped reading knows. */
static int finish(int status)
{
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (failed && !is_reader_gone())
        fputs("weir: standard output cannot be written\n", stderr);
    return failed && status == CLI_OK ? CLI_REFUSED : status;
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
    /* A peer that closes is an error of the write, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *wanted = argv[1];
    if (strcmp(wanted, "--help") == 0 || strcmp(wanted, "-h") == 0)
        wanted = "help";
    if (strcmp(wanted, "--version") == 0)
        wanted = "version";
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(wanted, commands[i].name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    cli_put_line(stderr, "weir: \"%s\" is not a command; see weir help", wanted);
    return CLI_USAGE;
}
