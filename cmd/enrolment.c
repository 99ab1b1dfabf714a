// SPDX-License-Identifier: GPL-3.0-or-later
#include "cmd/enrolment.h"

#include "cmd/thing.h"
#include "gateway/enrolment.h"

#include <stdio.h>
#include <time.h>

/* The gateway's own settings are not known here. */
static struct enrolment_policy default_policy(const struct cli *cli)
{
    return (struct enrolment_policy){
        .confirm_s = (int64_t)cli->settings.enroll_confirm_s,
        .pending_s = (int64_t)cli->settings.enroll_pending_s,
        .overlap_s = (int64_t)cli->settings.enroll_overlap_s,
    };
}

static int fail_several(const struct cli *cli, const char *tenant, const struct enrolment_decided *decided)
{
    char list[ENROLMENT_CHOICES_MAX * (SCHEMA_TENANT_MAX + SCHEMA_DEVICE_MAX + 3) + 8];
    size_t len = 0;
    for (size_t i = 0; i < decided->count && i < ENROLMENT_CHOICES_MAX; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s/%s", i ? ", " : "", tenant, decided->devices[i]);
    if (decided->count > ENROLMENT_CHOICES_MAX)
        snprintf(list + len, sizeof list - len, ", ...");
    return cli_fail(cli, CLI_REFUSED, "%zu devices enrol with this serial number; say which: %s", decided->count, list);
}

static int fail_obstacle(const struct cli *cli, const char *tenant, const struct enrolment_decided *decided)
{
    if (decided->obstacle == ENROLMENT_SEVERAL)
        return fail_several(cli, tenant, decided);
    if (decided->obstacle == ENROLMENT_WAS_REJECTED)
        return cli_fail(cli, CLI_REFUSED, "%s/%s was rejected, and who asked for it would get it; weir device reject "
                        "--forget %s/%s, then it may ask again", tenant, decided->device, tenant, decided->device);
    return cli_fail(cli, CLI_REFUSED, "%s/%s has its credential already; weir device disable or remove it", tenant,
                    decided->device);
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    struct enrolment_record record;
    char asked[32], expires[32];
    enum accounts_result result = enrolment_get(&cli->accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    fputs(form.before, stdout);
    cli_put_line(stdout, "%-24s %-9s serial %s  batch %s  %s  asked %s from %s  until %s", record.device,
                 enrolment_state_name(record.state), record.serial[0] ? record.serial : "-",
                 record.batch[0] ? record.batch : "-", credential_kind_name(record.kind),
                 cli_time_text(record.asked_s, asked), record.from, cli_time_text(record.expires_s, expires));
    return result;
}

static const struct thing_kind kind = {
    .name = "enrolment of",
    .all = "enrolments of",
    .list = enrolment_list,
    .print = print_one,
    .if_damaged = "; DEL weir:{TENANT}:enrol:DEVICE in Redis takes it away, and the device may ask again",
};

static int decide(struct cli *cli, enum enrolment_decision decision)
{
    static const char *const done[] = {
        [ENROLMENT_APPROVE] = "approved; it gets its credential when it asks again",
        [ENROLMENT_REJECT] = "rejected",
        [ENROLMENT_FORGET] = "forgotten; it may be asked for again",
    };
    struct cli_name name;
    struct enrolment_decided decided = {0};
    struct enrolment_policy policy = default_policy(cli);
    if (!cli_split_device(cli, cli->operands[0], &name))
        return CLI_USAGE;
    enum accounts_result result = enrolment_decide(&cli->accounts, bytes_of_text(name.tenant), bytes_of_text(name.id),
                                                   decision, &policy, time(NULL), &decided);
    if (result == ACCOUNTS_EXISTS)
        return fail_obstacle(cli, name.tenant, &decided);
    if (result == ACCOUNTS_NOT_FOUND)
        return cli_fail(cli, CLI_REFUSED, "nobody is waiting as %s; see weir device waiting %s", cli->operands[0],
                        name.tenant);
    int status = thing_judge(cli, &kind, result, cli->operands[0]);
    if (status == CLI_OK)
        printf("%s/%s %s\n", name.tenant, decided.device, done[decision]);
    return status;
}

int enrolment_approve(struct cli *cli)
{
    return decide(cli, ENROLMENT_APPROVE);
}

int enrolment_reject(struct cli *cli)
{
    return decide(cli, cli_value(cli, "--forget") ? ENROLMENT_FORGET : ENROLMENT_REJECT);
}

int enrolment_waiting(struct cli *cli)
{
    return thing_list_kind(cli, &kind);
}
