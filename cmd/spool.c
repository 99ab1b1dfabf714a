// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir spool`: what has been acknowledged and is still on this disk. list, verify and show read only, also while a
 * gateway writes; replay and adopt take the lock that a running gateway holds.
 */
#include "cmd/commands.h"
#include "cmd/spool_command.h"
#include "gateway/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Listing. */

struct listing {
    uint64_t cursor_lsn;
    bool json, first;
};

static uint64_t unpushed_of(const struct spool_segment_info *info, uint64_t cursor_lsn)
{
    uint64_t from = info->first_lsn > cursor_lsn ? info->first_lsn : cursor_lsn + 1;
    return info->last_lsn >= from ? info->last_lsn - from + 1 : 0;
}

static const char *state_of(const struct spool_segment_info *info, uint64_t cursor_lsn)
{
    return info->suspect                         ? " suspect"
           : unpushed_of(info, cursor_lsn) == 0 ? " pushed"
                                                 : " waiting";
}

static void put_json_segment(const struct spool_segment_info *info, const struct listing *listing)
{
    printf("%s{\"name\":", listing->first ? "" : ",");
    cli_put_json(info->name);
    printf(",\"first_lsn\":%" PRIu64 ",\"last_lsn\":%" PRIu64 ",\"records\":%" PRIu64 ",\"octets\":%" PRIu64
           ",\"to_push\":%" PRIu64 ",\"gateway\":\"%016" PRIx64 "\",\"incarnation\":\"%016" PRIx64
           "\",\"encrypted\":%s,\"suspect\":%s}",
           info->first_lsn, info->last_lsn, info->records, info->octets, unpushed_of(info, listing->cursor_lsn),
           info->gateway, info->incarnation, info->encrypted ? "true" : "false", info->suspect ? "true" : "false");
}

static void put_text_segment(const struct spool_segment_info *info, const struct listing *listing)
{
    printf("  %s ", info->name);
    if (info->last_lsn < info->first_lsn)
        printf("empty next_lsn=%" PRIu64, info->first_lsn);
    else
        printf("lsn=%" PRIu64 "-%" PRIu64 " records=%" PRIu64 " octets=%" PRIu64 " to_push=%" PRIu64, info->first_lsn,
               info->last_lsn, info->records, info->octets, unpushed_of(info, listing->cursor_lsn));
    printf(" gateway=%016" PRIx64 " incarnation=%016" PRIx64 "%s", info->gateway, info->incarnation,
           info->encrypted ? " encrypted" : "");
    puts(info->last_lsn < info->first_lsn ? "" : state_of(info, listing->cursor_lsn));
}

static void put_segment(void *ctx, const struct spool_segment_info *info)
{
    struct listing *listing = ctx;
    if (listing->json)
        put_json_segment(info, listing);
    else
        put_text_segment(info, listing);
    listing->first = false;
}

static void put_summary(const struct spool_place *place)
{
    const struct spool_recovery *found = &place->found;
    uint64_t to_push = spool_place_to_push(place);
    printf("folder:      %s\n", place->folder);
    printf("messages:    %" PRIu64 "%s, octets %" PRIu64 "\n", found->records,
           found->foreign ? " in the files that could be read" : "", spool_log_octets(place->log));
    printf("pushed:      up to LSN %" PRIu64 "\n", found->cursor_lsn);
    if (to_push)
        printf("to push:     at most %" PRIu64 " (as of the cursor file; a running gateway may be further: "
               "weir_spool_unpushed_records)\n", to_push);
    else
        printf("to push:     0%s\n", found->foreign ? " in the files that could be read" : "");
    printf("damaged:     %" PRIu64 ", missing: %" PRIu64 ", never pushed of these: %" PRIu64
           ", octets torn at ends: %" PRIu64 "\n", found->quarantined, found->missing, found->lost, found->torn_octets);
    printf("not read:    %" PRIu64 " of the files\n", found->foreign);
    spool_place_put_unread(place, false);
    spool_place_put_lost(place, false);
}

static void put_json_summary(const struct spool_place *place)
{
    const struct spool_recovery *found = &place->found;
    fputs("{\"folder\":", stdout);
    cli_put_json(place->folder);
    printf(",\"records\":%" PRIu64 ",\"octets\":%" PRIu64 ",\"cursor_lsn\":%" PRIu64 ",\"next_lsn\":%" PRIu64
           ",\"to_push\":%" PRIu64 ",\"quarantined\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"torn_octets\":%" PRIu64
           ",\"foreign_files\":%" PRIu64 ",\"not_read\":[",
           found->records, spool_log_octets(place->log), found->cursor_lsn, found->next_lsn, spool_place_to_push(place),
           found->quarantined, found->missing, found->torn_octets, found->foreign);
    spool_place_put_unread(place, true);
    fputs("],\"lost_ranges\":[", stdout);
    spool_place_put_lost(place, true);
    fputs("],\"segments\":[", stdout);
}

static int spool_list(struct cli *cli)
{
    struct spool_place place;
    int status = spool_place_find(cli, cli->operands[0], &place);
    if (status != CLI_OK)
        return status;
    status = spool_place_open(cli, &place);
    if (status == CLI_OK) {
        struct listing listing = {place.found.cursor_lsn, cli_value(cli, "--json") != NULL, true};
        (listing.json ? put_json_summary : put_summary)(&place);
        if (!spool_log_list(place.log, put_segment, &listing))
            status = cli_fail(cli, CLI_REFUSED, "out of memory");
        if (listing.json)
            puts("]}");
        if (status == CLI_OK)
            status = spool_place_judge_unread(cli, &place);
    }
    spool_place_close(&place);
    return status;
}

/* Adopting. */

static int adopt(const struct cli *cli, const struct spool_place *place)
{
    uint64_t gateway = pipeline_gateway_id(cli_state_dir(cli), true);
    if (gateway == 0)
        return cli_fail(cli, CLI_REFUSED, "%s cannot be adopted: %s/gateway.id: %s; give --state-dir of the gateway "
                        "that shall own it", place->folder, cli_state_dir(cli), strerror(errno));
    if (!spool_log_adopt(place->disk, gateway))
        return cli_fail(cli, CLI_REFUSED, "%s cannot be adopted: %s", place->folder,
                        errno == E2BIG ? "it had too many owners" : strerror(errno));
    printf("spool %s belongs to gateway %016" PRIx64 " (%s) now\n", place->folder, gateway, cli_state_dir(cli));
    printf("weir serve pushes what is in it when it is %s/spool; weir spool replay pushes it where it is\n",
           cli_state_dir(cli));
    return CLI_OK;
}

static int spool_adopt(struct cli *cli)
{
    struct spool_place place, own = {.lock_fd = -1};
    int status = spool_place_find(cli, cli->operands[0], &place);
    if (status != CLI_OK)
        return status;
    status = spool_place_lock(cli, &place);
    snprintf(own.state_dir, sizeof own.state_dir, "%s", cli_state_dir(cli));
    char *real = realpath(own.state_dir, NULL);
    if (status == CLI_OK && (!real || strcmp(real, place.state_dir) != 0)) {
        status = spool_place_lock(cli, &own);
        if (status != CLI_OK)
            (void)cli_fail(cli, CLI_REFUSED, "%s would become the spool of the gateway of %s; if that is not meant, "
                           "give --state-dir of the gateway that shall own it", place.folder, own.state_dir);
    }
    free(real);
    if (status == CLI_OK)
        status = adopt(cli, &place);
    spool_place_close(&own);
    spool_place_close(&place);
    return status;
}

/* The table. */

#define KEY_FILE                                                                                                       \
    {                                                                                                                  \
        "--key-file", "FILE", "the key of an encrypted spool: 32 octets or 64 hexadecimal digits"                     \
    }

static const struct cli_option read_options[] = {
    KEY_FILE,
    {"--json", NULL, "as a JSON object"},
    {NULL, NULL, NULL},
};

static const struct cli_option show_options[] = {
    KEY_FILE,
    {NULL, NULL, NULL},
};

static const struct cli_option replay_options[] = {
    KEY_FILE,
    {"--all", NULL, "also what was pushed already: from the first message, not from the first that waits"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"list", "[FOLDER]", "the files of a spool and what is still to be pushed", read_options, spool_list},
    {"verify", "[FOLDER]", "read every message; exit 1 if any that was not pushed is damaged or missing", read_options,
     spool_verify},
    {"show", "FOLDER LSN", "one message as it would be pushed", show_options, spool_show},
    {"replay", "[FOLDER]", "push what stands in a spool to Redis, once each; not while a gateway runs on it",
     replay_options, spool_replay},
    {"adopt", "[FOLDER]", "make a spool that was moved from another box that of the gateway of --state-dir", NULL,
     spool_adopt},
};

int cmd_spool(int argc, char **argv)
{
    static const struct cli_group group = {
        "spool", "what is acknowledged and still on this disk; FOLDER: a spool or state folder, else --state-dir",
        commands, sizeof commands / sizeof commands[0], NULL,
    };
    return cli_main_offline(&group, argc, argv);
}
