// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir spool verify`: opening the log has read every record's checksums; here each is read once more as the push
 * would read it, so that what cannot be decrypted or is of an unknown version is found too. An LSN that is not read is
 * a gap.
 */
#include "cmd/spool_command.h"
#include "gateway/parcel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct verification {
    const struct spool_place *place;
    bool json, first;
    uint64_t expected; /* LSN of the next record */
    uint64_t read, damaged, lost; /* lost: damaged and not pushed */
    /* For the name of the file that has, or had, a gap. */
    uint64_t wanted_lsn;
    char name[32];
};

static void remember_name(void *ctx, const struct spool_segment_info *info)
{
    struct verification *verification = ctx;
    if (info->first_lsn <= verification->wanted_lsn)
        memcpy(verification->name, info->name, sizeof verification->name);
}

static void say_damage(struct verification *v, uint64_t from, uint64_t to, bool pushed, const char *what)
{
    v->wanted_lsn = from;
    strcpy(v->name, "-");
    (void)spool_log_list(v->place->log, remember_name, v);
    if (v->json)
        printf("%s{\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"pushed\":%s,\"what\":\"%s\",\"segment\":\"%s\"}",
               v->first ? "" : ",", from, to, pushed ? "true" : "false", what, v->name);
    else
        printf("lsn=%" PRIu64 "-%" PRIu64 " %s %s segment=%s\n", from, to, what, pushed ? "pushed" : "not-pushed",
               v->name);
    v->first = false;
}

/* Was it pushed: the cursor has passed it, and no open before that has found it lost. *to is lowered to the last LSN
 * with the same answer. */
static bool was_pushed(const struct spool_place *place, uint64_t from, uint64_t *to)
{
    bool pushed = from <= place->found.cursor_lsn;
    if (pushed && *to > place->found.cursor_lsn)
        *to = place->found.cursor_lsn;
    for (size_t i = 0; pushed && i < place->lost_count; i++) {
        const struct spool_lost *lost = &place->lost[i];
        if (from >= lost->first_lsn && from <= lost->last_lsn) {
            pushed = false;
            *to = *to < lost->last_lsn ? *to : lost->last_lsn;
        } else if (from < lost->first_lsn && *to >= lost->first_lsn) {
            *to = lost->first_lsn - 1;
        }
    }
    return pushed;
}

/* LSNs from..to cannot be read. */
static void take_damage(struct verification *v, uint64_t from, uint64_t to, const char *what)
{
    while (from <= to) {
        uint64_t until = to;
        bool pushed = was_pushed(v->place, from, &until);
        say_damage(v, from, until, pushed, what);
        v->damaged += until - from + 1;
        v->lost += pushed ? 0 : until - from + 1;
        from = until + 1;
    }
}

static void first_of(void *ctx, const struct spool_segment_info *info)
{
    uint64_t *first_lsn = ctx;
    if (*first_lsn == 0)
        *first_lsn = info->first_lsn;
}

/* All that is above the cursor must be there; without a cursor, all from the first file on. */
static uint64_t first_expected(const struct spool_place *place)
{
    uint64_t first_lsn = 0, unpushed = place->found.cursor_lsn + 1;
    (void)spool_log_list(place->log, first_of, &first_lsn);
    if (first_lsn == 0)
        return unpushed;
    return place->found.cursor_lsn == 0 || first_lsn < unpushed ? first_lsn : unpushed;
}

static bool read_all(struct verification *v)
{
    struct spool_reader *reader = spool_reader_new(v->place->log);
    struct spool_record record;
    struct parcel parcel;
    enum spool_read read = SPOOL_READ_FAILED;
    while (reader && (read = spool_reader_next(reader, &record)) == SPOOL_READ_RECORD) {
        take_damage(v, v->expected, record.lsn - 1, "damaged-or-missing");
        if (!parcel_read(record.body, &parcel))
            take_damage(v, record.lsn, record.lsn, "of-an-unknown-version");
        v->read++;
        v->expected = record.lsn + 1;
    }
    take_damage(v, v->expected, spool_log_durable_lsn(v->place->log), "damaged-or-missing");
    spool_reader_free(reader);
    return read == SPOOL_READ_END;
}

static void put_result(const struct verification *v)
{
    const struct spool_place *place = v->place;
    spool_place_put_unread(place, false);
    spool_place_put_lost(place, false);
    printf("%" PRIu64 " messages read, %s%" PRIu64 " to push, %" PRIu64 " damaged or missing, %" PRIu64
           " of them not pushed\n",
           v->read, spool_place_to_push(place) ? "at most " : "", spool_place_to_push(place), v->damaged, v->lost);
}

static void put_json_result(const struct verification *v)
{
    const struct spool_recovery *found = &v->place->found;
    fputs("],\"not_read\":[", stdout);
    spool_place_put_unread(v->place, true);
    fputs("],\"lost_ranges\":[", stdout);
    spool_place_put_lost(v->place, true);
    printf("],\"read\":%" PRIu64 ",\"to_push\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"lost\":%" PRIu64
           ",\"torn_octets\":%" PRIu64 ",\"foreign_files\":%" PRIu64 "}\n",
           v->read, spool_place_to_push(v->place), v->damaged, v->lost, found->torn_octets, found->foreign);
}

static int verify(const struct cli *cli, struct verification *v)
{
    if (v->json)
        fputs("{\"damage\":[", stdout);
    v->expected = first_expected(v->place);
    bool whole = read_all(v);
    int error = errno;
    (v->json ? put_json_result : put_result)(v);
    if (!whole)
        return cli_fail(cli, CLI_REFUSED, "the spool cannot be read to its end: %s", strerror(error));
    if (v->place->has_lost)
        cli_fail(cli, CLI_REFUSED, "messages were lost; %s/lost says which. Remove it when that is dealt with "
                 "(docs/operations.md)", v->place->folder);
    if (spool_place_judge_unread(cli, v->place) != CLI_OK)
        return CLI_REFUSED;
    return v->lost || v->place->has_lost ? CLI_REFUSED : CLI_OK;
}

int spool_verify(struct cli *cli)
{
    struct spool_place place;
    int status = spool_place_find(cli, cli->operands[0], &place);
    if (status != CLI_OK)
        return status;
    status = spool_place_open(cli, &place);
    if (status == CLI_OK) {
        struct verification verification = {.place = &place, .json = cli_value(cli, "--json") != NULL, .first = true};
        status = verify(cli, &verification);
    }
    spool_place_close(&place);
    return status;
}
