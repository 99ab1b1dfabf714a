// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir sim`: a fleet of devices against a gateway, and the proof of what became of what they sent. Three things:
 *
 *   weir sim --provision ...   write the fleet's records and keys
 *   weir sim ...               send; progress on stderr, one line of JSON on stdout; fails if it came to nothing
 *   weir sim --check FILE ...  compare the ledger of a run with the stream
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/place.h"
#include "cmd/sim_fleet.h"
#include "cmd/sim_provision.h"
#include "gateway/rt/log.h"
#include "gateway/rt/random.h"
#include "gateway/vault.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static int complain(const char *error)
{
    cli_put_line(stderr, "weir sim: %s", error);
    return EXIT_FAILURE;
}

/* --redis, and what goes with it from WEIR_REDIS_*. */
static bool find_redis(const struct sim_options *options, struct settings *settings, struct store_target *ret)
{
    char error[SETTINGS_ERROR_MAX];
    settings_default(settings);
    if (!settings_set(settings, BYTES_LITERAL("redis"), bytes_of_text(options->redis), error) ||
        !place_from_environment(settings, error)) {
        complain(error);
        return false;
    }
    *ret = settings_redis(settings);
    return true;
}

/* The key of the gateways: WEIR_KEK, or that of WEIR_STATE_DIR. NULL: there is none here, and the keys of the
 * fleet, which protect nothing, are written as they are. */
static struct vault *open_vault(const struct settings *settings)
{
    char path[VAULT_PATH_MAX], error[VAULT_ERROR_MAX];
    const char *state_dir = getenv("WEIR_STATE_DIR");
    vault_path(settings->kek, state_dir && state_dir[0] ? state_dir : "state", path);
    return vault_new(path, false, error);
}

static int provision(const struct sim_options *options)
{
    struct settings settings;
    struct store_target redis;
    if (!find_redis(options, &settings, &redis))
        return EXIT_USAGE;
    char error[SIM_ERROR_MAX];
    struct secret fleet_key;
    if (!sim_provision_key(options->key_from, &fleet_key, error))
        return complain(error);
    struct vault *vault = open_vault(&settings);
    bool ok = sim_provision_write(&redis, vault_of_records(vault), options->tenant, (uint32_t)options->devices,
                                  &fleet_key, error);
    vault_free(vault);
    secret_wipe(&fleet_key);
    if (!ok)
        return complain(error);
    printf("%" PRIu64 " devices of tenant %s in %s\n", options->devices, options->tenant, options->redis);
    return EXIT_SUCCESS;
}

static int check(const struct sim_options *options)
{
    struct settings settings;
    struct store_target redis;
    if (!find_redis(options, &settings, &redis))
        return EXIT_USAGE;
    char error[SIM_ERROR_MAX];
    struct sim_ledger_result result;
    if (!sim_ledger_check(options->check, &redis, options->tenant, &result, error))
        return complain(error);
    printf("%" PRIu64 " acknowledged, %" PRIu64 " lost, %" PRIu64 " doubled\n", result.acknowledged, result.lost,
           result.doubled);
    return result.lost || result.doubled ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What the last progress line said, for differences. */
struct progress {
    bool wanted;
    struct sim_counts last;
};

static void show_progress(void *ctx, const struct sim_fleet *fleet, double seconds)
{
    struct progress *progress = ctx;
    const struct sim_counts *now = sim_fleet_counts(fleet);
    const struct sim_histogram *latency = sim_fleet_latency(fleet);
    if (!progress->wanted)
        return;
    fprintf(stderr,
            "%9.0f acknowledged/s  %" PRIu64 " in all  %" PRIu64 " under way  %" PRIu64 " repeated  %" PRIu64
            " refused  %" PRIu64 " failed  p50 %" PRIu64 " us  p99 %" PRIu64 " us",
            (double)(now->acknowledged - progress->last.acknowledged) / seconds, now->acknowledged, now->in_flight,
            now->retransmitted, now->refused, now->failed, sim_histogram_percentile(latency, 50),
            sim_histogram_percentile(latency, 99));
    if (now->handshakes + now->handshakes_failed > 0)
        fprintf(stderr, "  %" PRIu64 " handshakes (%" PRIu64 " failed)", now->handshakes, now->handshakes_failed);
    fputc('\n', stderr);
    progress->last = *now;
}

static void print_latency(const char *name, const struct sim_histogram *latency)
{
    printf(", \"%s\": {\"p50\": %" PRIu64 ", \"p90\": %" PRIu64 ", \"p99\": %" PRIu64 ", \"p99_9\": %" PRIu64
           ", \"max\": %" PRIu64 "}",
           name, sim_histogram_percentile(latency, 50), sim_histogram_percentile(latency, 90),
           sim_histogram_percentile(latency, 99), sim_histogram_percentile(latency, 99.9), latency->max_us);
}

static void print_codes(const struct sim_counts *counts)
{
    const char *separator = "";
    printf(", \"codes\": {");
    for (unsigned code = 0; code < 256; code++) {
        if (counts->codes[code] == 0)
            continue;
        printf("%s\"%u.%02u\": %" PRIu64, separator, code >> 5, code & 31, counts->codes[code]);
        separator = ", ";
    }
    printf("}");
}

static void print_levels(const struct sim_counts *counts)
{
    const char *separator = "";
    printf(", \"levels\": {");
    for (enum delivery_level level = LEVEL_SPOOLED; level < LEVEL_COUNT; level++) {
        printf("%s\"%s\": %" PRIu64, separator, delivery_level_name(level), counts->levels[level]);
        separator = ", ";
    }
    printf("}, \"duplicates\": %" PRIu64, counts->duplicates);
}

static void print_summary(const struct sim_options *options, const struct sim_fleet *fleet)
{
    const struct sim_counts *counts = sim_fleet_counts(fleet);
    double seconds = sim_fleet_seconds(fleet);
    printf("{\"devices\": %" PRIu64 ", \"dtls\": %s, \"format\": \"%s\", \"sent\": %" PRIu64
           ", \"acknowledged\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"unanswered\": %" PRIu64 ", \"retransmitted\": %" PRIu64
           ", \"retried\": %" PRIu64 ", \"seconds\": %.3f, \"per_second\": %.1f",
           options->devices, options->dtls ? "true" : "false", options->format, counts->sent, counts->acknowledged,
           counts->refused, counts->failed, counts->in_flight, counts->retransmitted, counts->retried,
           seconds, seconds > 0 ? (double)counts->acknowledged / seconds : 0.0);
    print_codes(counts);
    if (options->level[0])
        print_levels(counts);
    print_latency("latency_us", sim_fleet_latency(fleet));
    if (options->dtls) {
        printf(", \"handshakes\": %" PRIu64 ", \"handshakes_failed\": %" PRIu64, counts->handshakes,
               counts->handshakes_failed);
        print_latency("handshake_us", sim_fleet_handshake_latency(fleet));
    }
    printf("}\n");
}

/* Some of many may be refused, as in a test of limits; all of them is what nobody wanted. Where nothing was due
 * (--rate=1 --seconds=0) all is done with the handshakes. */
static bool came_to_nothing(const struct sim_counts *counts)
{
    return counts->acknowledged == 0 &&
           (counts->sent > 0 || (counts->handshakes_failed > 0 && counts->handshakes == 0));
}

static int send_all(const struct sim_options *options)
{
    bool failed = false;
    char error[SIM_ERROR_MAX], name[SIM_LEDGER_NAME_MAX];
    uint64_t run = options->seed;
    if (run == 0)
        random_bytes(&run, sizeof run);
    snprintf(name, sizeof name, "sim-%016" PRIx64, run);
    struct sim_ledger *ledger = NULL;
    if (options->ledger && !(ledger = sim_ledger_new(options->ledger, options->tenant, name, error)))
        return complain(error);
    struct sim_fleet *fleet = sim_fleet_new(options, name, ledger, error);
    if (fleet) {
        struct progress progress = {.wanted = options->progress || isatty(STDERR_FILENO)};
        sim_fleet_connect(fleet, show_progress, &progress, &interrupted);
        sim_fleet_run(fleet, show_progress, &progress, &interrupted);
        print_summary(options, fleet);
        failed = came_to_nothing(sim_fleet_counts(fleet));
    }
    sim_fleet_free(fleet);
    if (!sim_ledger_free(ledger))
        return complain("the ledger could not be written whole");
    if (!fleet)
        return complain(error);
    return failed ? complain("nothing was acknowledged; is the gateway there, and the fleet known to it?")
                  : EXIT_SUCCESS;
}

int cmd_sim(int argc, char **argv)
{
    struct sim_options options;
    char error[SIM_ERROR_MAX];
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            sim_options_help(stdout);
            return EXIT_SUCCESS;
        }
    if (!sim_options_parse(&options, argc, argv, error)) {
        (void)complain(error);
        return EXIT_USAGE;
    }
    log_set_level(LOG_WARN);
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    if (options.provision)
        return provision(&options);
    return options.check ? check(&options) : send_all(&options);
}
