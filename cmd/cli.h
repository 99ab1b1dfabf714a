// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the commands that administer Redis have in common: a table of subcommands with their operands and
 * options, from which parsing and --help are made; the connection; messages that name the thing and say what
 * to do next.
 *
 * Where Redis is: --redis, else WEIR_REDIS, else the file redis.address in the state folder (--state-dir,
 * else WEIR_STATE_DIR, else ./state), which `weir serve` writes. What goes with the address (--redis-user and
 * so on) is taken from that file, then from WEIR_REDIS_USER and so on unless --state-dir was given, then from
 * the options.
 */
#pragma once

#include "gateway/accounts.h"
#include "gateway/settings.h"
#include "gateway/vault.h"

#include <stdio.h>

#define CLI_OPERANDS_MAX 2
#define CLI_OPTIONS_MAX 40

enum cli_exit {
    CLI_OK = 0,
    CLI_REFUSED = 1, /* not found, exists already, Redis said no */
    CLI_USAGE = 2,
    CLI_AWAY = 3, /* Redis cannot be reached */
};

struct cli_option {
    const char *name;  /* "--psk"; NULL ends a list */
    const char *value; /* what it takes, for --help; NULL: a flag */
    const char *help;
};

struct cli;

struct cli_command {
    const char *name;
    const char *operands; /* what must be given, separated by spaces, then in brackets what may be; may be "" */
    const char *help;
    const struct cli_option *options; /* may be NULL */
    int (*run)(struct cli *cli); /* connected; returns an exit status */
};

struct cli_group {
    const char *name; /* "device" */
    const char *help;
    const struct cli_command *commands; /* one with an empty name: the group itself is a command */
    size_t count;
    const struct thing_kind *things; /* whose commands they are (cmd/thing.h); NULL: they use none of it */
};

struct cli {
    const struct cli_group *group;
    const struct cli_command *command;
    const char *operands[CLI_OPERANDS_MAX]; /* NULL: not given */
    const char *values[CLI_OPTIONS_MAX]; /* by option: the command's, then the common ones */
    struct settings settings; /* where Redis is; all else as by default */
    struct accounts accounts;
    struct audit_actor actor; /* of accounts */
    struct vault *vault;                /* NULL: it could not be opened, and no secret can be written */
    char vault_error[VAULT_ERROR_MAX];
};

/* Parses, connects, runs. argv[0] is the group's name. Returns the exit status. */
int cli_main(const struct cli_group *group, int argc, char **argv);
/* The same without a connection: for commands that work on this disk. */
int cli_main_offline(const struct cli_group *group, int argc, char **argv);

/* Connects, for a command that was run offline and needs Redis after all. Returns an exit status, having said why. */
int cli_connect(struct cli *cli);

/* The state folder: --state-dir, else WEIR_STATE_DIR, else "state". */
const char *cli_state_dir(const struct cli *cli);
/* Sets cli->settings: where Redis is. For those that are run offline. Returns an exit status. */
int cli_find_redis(struct cli *cli);

/* The value of an option of this command, "" for a flag that was given; NULL: not given. */
const char *cli_value(const struct cli *cli, const char *option);

/* Says on stderr what is wrong, after the command's name; returns status. What was typed does not talk to the
 * terminal. */
int cli_fail(const struct cli *cli, enum cli_exit status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what accounts answered about a thing ("device", "acme/boiler-7"); CLI_OK and silence if it was done. */
int cli_judge(const struct cli *cli, enum accounts_result result, const char *kind, const char *name);

/* Checked operands. False: said why. */
bool cli_tenant_is_valid(const struct cli *cli, const char *tenant);
struct cli_name {
    char tenant[SCHEMA_TENANT_MAX + 1];
    char id[SCHEMA_DEVICE_MAX + 1]; /* of all but a device at most SCHEMA_PROFILE_MAX */
};
/* Splits "tenant/device" at the first slash. */
bool cli_split_device(const struct cli *cli, const char *text, struct cli_name *ret);
/* Splits "tenant/profile"; and what else is named so: a group, a batch, a codec, an authority. */
bool cli_split_profile(const struct cli *cli, const char *text, struct cli_name *ret);

/* The text of an option, or ret as it was if it is not there or empty. Returns an exit status, having said
 * why. ret holds max octets and a NUL. */
int cli_take_text(const struct cli *cli, const char *option, size_t max, bool (*is_valid)(struct bytes), char *ret);
struct cli_text {
    const char *option;
    size_t max;
    bool (*is_valid)(struct bytes);
    char *ret;
};
/* The same of several, the first that does not do ends it. */
int cli_take_texts(const struct cli *cli, const struct cli_text *texts, size_t count);
/* A whole number from 1 to max, or ret as it was if the option is not there. Returns an exit status, having
 * said why. */
int cli_take_number(const struct cli *cli, const char *option, uint32_t max, uint32_t *ret);

/* A moment for people, UTC: "2026-11-21 10:00:00Z", or "-" for 0. */
const char *cli_time_text(int64_t seconds, char ret[static 32]);
/* The whole file, "-" for stdin, in one block that the caller frees, with a NUL behind it. NULL: said why. */
uint8_t *cli_read_file(const struct cli *cli, const char *path, size_t max_bytes, size_t *ret_len);
/* For a terminal: control characters, and what is no UTF-8, as \\xHH. Messages of cli_fail are put so. */
void cli_put_plain(FILE *out, struct bytes text);
/* The same on stdout with spaces behind it up to the width, and one more. */
void cli_put_column(struct bytes text, size_t width);
/* A line of it. */
void cli_put_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes on stdout; of what is no UTF-8 each octet above 7f is U+FFFD. */
void cli_put_json(const char *text);
/* The same as a member behind others: ,"name":"text" */
void cli_put_member(const char *name, const char *text);
/* Octets in hexadecimal on stdout. */
void cli_put_hex(struct bytes octets);
