// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir spool replay`: the gateway's own push (gateway/push) over a log that nobody writes, until Redis has confirmed
 * the last message that can be read. The same Function judges, so what was pushed before is recognised. Nothing is
 * unlinked; the cursor is saved, so that a second replay finds nothing to do.
 */
#include "cmd/spool_command.h"
#include "gateway/push.h"
#include "gateway/rt/random.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POLL_MS 20
#define AWAY_MAX_MS 10000  /* Redis cannot be reached or cannot take anything */
#define STUCK_MAX_MS 30000 /* it refuses a message again and again */
#define RECENT_ENTRIES 1024
#define KEEPS_ALL ((uint64_t)1 << 60)

struct replay {
    const struct cli *cli;
    struct spool_place *place;
    struct recent *recent;
    struct spool *spool;
    struct push *push;
    uint64_t last_lsn; /* that can be read */
};

/* 0: none. */
static bool find_last(struct replay *replay)
{
    struct spool_reader *reader = spool_reader_new(replay->place->log);
    struct spool_record record;
    enum spool_read read = SPOOL_READ_FAILED;
    while (reader && (read = spool_reader_next(reader, &record)) == SPOOL_READ_RECORD)
        replay->last_lsn = record.lsn;
    spool_reader_free(reader);
    return read == SPOOL_READ_END;
}

static uint64_t metric(const struct replay *replay, enum metric which)
{
    const struct metrics *metrics = push_metrics(replay->push);
    return metrics_sum(&metrics, 1, which);
}

static uint64_t pushed(const struct replay *replay)
{
    return metric(replay, METRIC_PUSH_RECORDS);
}

static uint64_t were_there(const struct replay *replay)
{
    return metric(replay, METRIC_PUSH_DUPLICATES) + metric(replay, METRIC_PUSH_REPEATED);
}

static int wait_for_end(struct replay *replay)
{
    unsigned away_ms = 0, stuck_ms = 0;
    uint64_t before = 0;
    while (push_confirmed_lsn(replay->push) < replay->last_lsn) {
        uint64_t now = pushed(replay) + were_there(replay) + metric(replay, METRIC_PUSH_CONFLICTS);
        const char *why_not = push_why_not(replay->push);
        away_ms = why_not ? away_ms + POLL_MS : 0;
        stuck_ms = now == before ? stuck_ms + POLL_MS : 0;
        before = now;
        if (away_ms > AWAY_MAX_MS)
            return cli_fail(replay->cli, CLI_AWAY, "%s (%s)", why_not, replay->cli->settings.redis);
        if (stuck_ms > STUCK_MAX_MS)
            return cli_fail(replay->cli, CLI_REFUSED, "Redis takes no more of it; see the lines before");
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
    return CLI_OK;
}

static bool start(struct replay *replay, struct settings *settings, const struct store_target *redis)
{
    struct push_config config = {.settings = settings, .redis = redis};
    uint64_t cursor_lsn = cli_value(replay->cli, "--all") ? 0 : replay->place->found.cursor_lsn;
    random_bytes(&config.incarnation, sizeof config.incarnation);
    random_bytes(config.random_seed, sizeof config.random_seed);
    replay->recent = config.recent = recent_new(RECENT_ENTRIES);
    replay->spool = config.spool = spool_new(replay->place->log, settings);
    if (replay->recent && replay->spool)
        replay->push = push_new(&config, cursor_lsn);
    return replay->push && push_start(replay->push);
}

static int run(struct replay *replay, struct settings *settings)
{
    struct store_target redis = settings_redis(settings);
    char error[STORE_CLIENT_ERROR_MAX];
    int status = CLI_OK;
    if (!store_target_check(&redis, error))
        return cli_fail(replay->cli, CLI_USAGE, "%s", error);
    if (!find_last(replay))
        return cli_fail(replay->cli, CLI_REFUSED, "the spool cannot be read");
    if (!start(replay, settings, &redis))
        status = cli_fail(replay->cli, CLI_REFUSED, "out of memory");
    else
        status = wait_for_end(replay);
    if (replay->push) {
        push_stop(replay->push);
        printf("%" PRIu64 " messages pushed, %" PRIu64 " were there already\n", pushed(replay), were_there(replay));
        if (metric(replay, METRIC_PUSH_CONFLICTS))
            printf("%" PRIu64 " with a known sequence number and other content are in conflicts\n",
                   metric(replay, METRIC_PUSH_CONFLICTS));
    }
    push_free(replay->push);
    spool_free(replay->spool);
    recent_free(replay->recent);
    return status;
}

static int judge_damage(const struct cli *cli, const struct spool_recovery *found)
{
    if (found->foreign || found->missing || found->quarantined)
        return cli_fail(cli, CLI_REFUSED, "not all could be read: %" PRIu64 " messages are missing, %" PRIu64
                        " damaged, %" PRIu64 " files of another gateway or key; see weir spool verify",
                        found->missing, found->quarantined, found->foreign);
    return CLI_OK;
}

struct locked {
    uint64_t cursor_lsn;
    bool any;
};

static void take_unread(void *ctx, const struct spool_unread *unread)
{
    struct locked *locked = ctx;
    bool is_locked = unread->why == SPOOL_UNREAD_NO_KEY || unread->why == SPOOL_UNREAD_KEY;
    locked->any |= is_locked && unread->last_lsn > locked->cursor_lsn;
}

/* As a gateway, which does not start then: the cursor would pass what waits and only lacks its key. */
static int judge_locked(const struct cli *cli, const struct spool_place *place)
{
    struct locked locked = {.cursor_lsn = place->found.cursor_lsn};
    spool_log_unread(place->log, take_unread, &locked);
    if (!locked.any)
        return CLI_OK;
    spool_place_put_unread(place, false);
    return cli_fail(cli, CLI_REFUSED, "%s has messages to be pushed that are encrypted with another key; give it with "
                    "--key-file", place->folder);
}

int spool_replay(struct cli *cli)
{
    struct spool_place place;
    int status = cli_find_redis(cli);
    if (status == CLI_OK)
        status = spool_place_find(cli, cli->operands[0], &place);
    if (status != CLI_OK)
        return status;
    status = spool_place_lock(cli, &place);
    if (status == CLI_OK)
        status = spool_place_open(cli, &place);
    if (status == CLI_OK)
        status = judge_locked(cli, &place);
    if (status == CLI_OK) {
        /* The cursor is going to pass what is lost. The rest is to be pushed, though. */
        if (!spool_log_note_lost(place.log))
            (void)cli_fail(cli, CLI_REFUSED, "%s/lost cannot be written: %s", place.folder, strerror(errno));
        struct replay replay = {.cli = cli, .place = &place};
        cli->settings.spool_max_bytes = cli->settings.spool_tail_bytes = cli->settings.spool_tail_s = KEEPS_ALL;
        status = run(&replay, &cli->settings);
    }
    if (status == CLI_OK)
        status = judge_damage(cli, &place.found);
    spool_place_close(&place);
    return status;
}
