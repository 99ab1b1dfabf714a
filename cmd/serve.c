// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir serve`: settings from everywhere, then gateway/server. With --demo it makes a tenant, a device and two tokens
 * at the first start and prints lines to paste; their secrets are kept in state_dir/demo.env, readable by the owner
 * only, because nothing else could print them again.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/demo.h"
#include "cmd/place.h"
#include "gateway/rt/log.h"
#include "gateway/server.h"
#include "proxy/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

struct serve {
    struct settings settings;
    bool demo;
    char state_dir[SETTINGS_TEXT_MAX];
    struct demo records;
};

static void help(void)
{
    puts("weir serve [--demo] [--config=FILE] [--SETTING=VALUE ...]\n\n"
         "Starts the gateway. Every setting is also read from the environment (--coap-port as WEIR_COAP_PORT) and\n"
         "from FILE (lines like coap_port = 5683). --demo makes a tenant, a device and tokens to play with.\n");
    settings_help(stdout);
}

static bool prepare(void *ctx, const struct store_target *redis, const struct record_vault *vault,
                    const char *state_dir)
{
    struct serve *serve = ctx;
    char error[DEMO_ERROR_MAX];
    snprintf(serve->state_dir, sizeof serve->state_dir, "%s", state_dir);
    if (!place_write(state_dir, redis, serve->settings.kek)) {
        /* On a full disk what waits in the spool is pushed all the same, and there is space after that. */
        bool is_full = errno == ENOSPC || errno == EDQUOT;
        log_write(is_full ? LOG_WARN : LOG_ERROR, "serve", "cannot write redis.address", "state_dir=%s error=\"%s\"",
                  state_dir, strerror(errno));
        if (!is_full)
            return false;
    }
    if (serve->demo && !demo_prepare(&serve->records, redis, vault, state_dir, error)) {
        log_write(LOG_ERROR, "serve", "cannot make the demo records", "reason=\"%s\"", error);
        return false;
    }
    return true;
}

static void ready(void *ctx)
{
    struct serve *serve = ctx;
    if (serve->demo)
        demo_print(&serve->records, &serve->settings, serve->state_dir, stdout);
    fflush(stdout);
}

static bool take_config(const char *path, const char **ret_config)
{
    bool is_first = *ret_config == NULL;
    if (!is_first)
        cli_put_line(stderr, "weir serve: --config is given twice");
    *ret_config = path;
    return is_first;
}

/* What is no setting; the rest stays in argv in its order. Returns the new argc; 0: help was printed; -1: error, and it
 * was told. */
static int take_own(struct serve *serve, int argc, char **argv, const char **ret_config)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--demo") == 0) {
            serve->demo = true;
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            if (!take_config(argv[i] + 9, ret_config))
                return -1;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            if (!take_config(argv[++i], ret_config))
                return -1;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help();
            return 0;
        } else {
            argv[kept++] = argv[i];
        }
    }
    return kept;
}

/* Returns the exit status, or -1 to go on. */
static int read_settings(struct serve *serve, int argc, char **argv)
{
    char error[SETTINGS_ERROR_MAX];
    const char *config = NULL;
    argc = take_own(serve, argc, argv, &config);
    if (argc <= 0)
        return argc == 0 ? EXIT_SUCCESS : EXIT_USAGE;
    settings_default(&serve->settings);
    if ((config && !settings_from_file(&serve->settings, config, error)) ||
        !settings_from_environment(&serve->settings, error) ||
        (argc = settings_from_arguments(&serve->settings, argc, argv, error)) < 0) {
        cli_put_line(stderr, "weir serve: %s", error);
        return EXIT_USAGE;
    }
    if (argc > 1) {
        cli_put_line(stderr, "weir serve: \"%s\" is not a setting; see weir serve --help", argv[1]);
        return EXIT_USAGE;
    }
    return -1;
}

int cmd_serve(int argc, char **argv)
{
    struct serve *serve = calloc(1, sizeof *serve);
    if (!serve)
        return EXIT_FAILURE;
    int status = read_settings(serve, argc, argv);
    if (status < 0) {
        enum log_level level;
        if (log_level_from_text(serve->settings.log_level, &level))
            log_set_level(level);
        struct server_config config = {
            .settings = &serve->settings,
            .register_http = http_register,
            .prepare = prepare,
            .ready = ready,
            .ctx = serve,
        };
        status = server_run(&config);
    }
    explicit_bzero(serve, sizeof *serve);
    free(serve);
    return status;
}
