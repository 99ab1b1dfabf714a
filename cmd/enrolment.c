// SPDX-License-Identifier: GPL-3.0-or-later
#include "cmd/enrolment.h"

#include "gateway/enrolment.h"

#include <stdio.h>
#include <stdlib.h>
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

static int decide(struct cli *cli, bool approves)
{
    struct cli_device name;
    struct enrolment_policy policy = default_policy(cli);
    if (!cli_split_device(cli, cli->operands[0], &name))
        return CLI_USAGE;
    enum accounts_result result = enrolment_decide(&cli->accounts, bytes_of_text(name.tenant), bytes_of_text(name.id),
                                                   approves, &policy, time(NULL));
    if (result == ACCOUNTS_EXISTS)
        return cli_fail(cli, CLI_REFUSED, "%s has its credential already; weir device disable or remove it",
                        cli->operands[0]);
    if (result == ACCOUNTS_NOT_FOUND)
        return cli_fail(cli, CLI_REFUSED, "nobody is waiting as %s; see weir device waiting %s", cli->operands[0],
                        name.tenant);
    int status = cli_judge(cli, result, "enrolment of", cli->operands[0]);
    if (status == CLI_OK)
        printf("%s %s\n", cli->operands[0], approves ? "approved; it gets its credential when it asks again" : "rejected");
    return status;
}

int enrolment_approve(struct cli *cli)
{
    return decide(cli, true);
}

int enrolment_reject(struct cli *cli)
{
    return decide(cli, false);
}

int enrolment_waiting(struct cli *cli)
{
    const char *tenant = cli->operands[0];
    struct accounts_ids ids = {0};
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status = cli_judge(cli, enrolment_list(&cli->accounts, bytes_of_text(tenant), &ids), "enrolments of", tenant);
    for (size_t i = 0; i < ids.count && status == CLI_OK; i++) {
        struct enrolment_record record;
        char asked[32], expires[32];
        enum accounts_result result =
            enrolment_get(&cli->accounts, bytes_of_text(tenant), bytes_of_text(ids.ids[i]), &record);
        if (result == ACCOUNTS_DONE)
            printf("%-24s %-9s serial %s  batch %s  %s  asked %s from %s  until %s\n", record.device,
                   enrolment_state_name(record.state), record.serial[0] ? record.serial : "-",
                   record.batch[0] ? record.batch : "-", credential_kind_name(record.kind),
                   cli_time_text(record.asked_s, asked), record.from, cli_time_text(record.expires_s, expires));
        else if (result != ACCOUNTS_NOT_FOUND)
            status = cli_judge(cli, result, "enrolment of", ids.ids[i]);
    }
    free(ids.ids);
    return status;
}
