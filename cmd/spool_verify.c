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

/* LSNs from..to cannot be read; what lies above the cursor was not pushed. */
static void take_damage(struct verification *v, uint64_t from, uint64_t to, const char *what)
{
    uint64_t cursor_lsn = v->place->found.cursor_lsn;
    if (from > to)
        return;
    if (from <= cursor_lsn && to > cursor_lsn) {
        take_damage(v, from, cursor_lsn, what);
        from = cursor_lsn + 1;
    }
    say_damage(v, from, to, to <= cursor_lsn, what);
    v->damaged += to - from + 1;
    if (to > cursor_lsn)
        v->lost += to - from + 1;
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

static int verify(const struct cli *cli, struct verification *v)
{
    const struct spool_recovery *found = &v->place->found;
    if (v->json)
        fputs("{\"damage\":[", stdout);
    v->expected = first_expected(v->place);
    bool whole = read_all(v);
    if (v->json)
        printf("],\"read\":%" PRIu64 ",\"to_push\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"lost\":%" PRIu64
               ",\"torn_octets\":%" PRIu64 ",\"foreign_files\":%" PRIu64 "}\n",
               v->read, spool_place_to_push(v->place), v->damaged, v->lost, found->torn_octets, found->foreign);
    else
        printf("%" PRIu64 " messages read, %" PRIu64 " to push, %" PRIu64 " damaged or missing, %" PRIu64
               " of them not pushed\n",
               v->read, spool_place_to_push(v->place), v->damaged, v->lost);
    if (!whole)
        return cli_fail(cli, CLI_REFUSED, "the spool cannot be read to its end: %s", strerror(errno));
    if (found->foreign)
        return cli_fail(cli, CLI_REFUSED, "%" PRIu64 " files could not be read: damaged at their head, of another "
                        "gateway (weir spool adopt) or of another key (--key-file)", found->foreign);
    return v->lost ? CLI_REFUSED : CLI_OK;
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
