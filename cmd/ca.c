// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir ca`: the authorities of a tenant, which sign certificates for its devices. The newest one that is not retired
 * signs; retired ones are trusted until they end or are removed.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "cmd/thing.h"
#include "gateway/crypto.h"
#include "gateway/enrolment.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY_S 86400
#define DAYS_DEFAULT 3650
#define DAYS_MAX 36500

/* "ca-1", "ca-2", ...: the first that is free behind all that are there. */
static void next_id(const struct accounts_ids *ids, char ret[static SCHEMA_GROUP_MAX + 1])
{
    unsigned long highest = 0;
    for (size_t i = 0; i < ids->count; i++) {
        unsigned long number = strncmp(ids->ids[i], "ca-", 3) == 0 ? strtoul(ids->ids[i] + 3, NULL, 10) : 0;
        highest = number > highest && number < 1000000000 ? number : highest;
    }
    snprintf(ret, SCHEMA_GROUP_MAX + 1, "ca-%lu", highest + 1);
}

static int make_record(const struct cli *cli, const char *tenant, const char *id, uint32_t days, struct ca_record *ret)
{
    struct crypto_cert certificate;
    *ret = (struct ca_record){.created_s = time(NULL)};
    ret->not_after_s = ret->created_s + (int64_t)days * DAY_S;
    snprintf(ret->tenant, sizeof ret->tenant, "%s", tenant);
    snprintf(ret->id, sizeof ret->id, "%s", id);
    if (!crypto_cert_make_authority(tenant, id, days, &certificate, &ret->key) ||
        certificate.len > sizeof ret->certificate ||
        !crypto_spki_digest(bytes_of(certificate.der, certificate.len), ret->spki))
        return cli_fail(cli, CLI_REFUSED, "cannot make a certificate");
    ret->certificate_len = (uint16_t)certificate.len;
    memcpy(ret->certificate, certificate.der, certificate.len);
    return CLI_OK;
}

static int make(struct cli *cli, const struct accounts_ids *ids)
{
    const char *tenant = cli->operands[0];
    char id[SCHEMA_GROUP_MAX + 1], name[SCHEMA_TENANT_MAX + SCHEMA_GROUP_MAX + 2];
    struct ca_record record;
    uint32_t days = DAYS_DEFAULT;
    int status = cli_take_number(cli, "--days", DAYS_MAX, &days);
    if (status != CLI_OK)
        return status;
    next_id(ids, id);
    snprintf(name, sizeof name, "%s/%s", tenant, id);
    status = make_record(cli, tenant, id, days, &record);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_add_ca(&cli->accounts, &record), "authority", name);
    if (status == CLI_OK)
        printf("authority %s signs now\n", name);
    secret_wipe(&record.key);
    return status;
}

static int retire_all(struct cli *cli, const struct accounts_ids *ids)
{
    struct bytes tenant = bytes_of_text(cli->operands[0]);
    int status = CLI_OK;
    for (size_t i = 0; i < ids->count && status == CLI_OK; i++)
        status = cli_judge(cli, accounts_set_ca_retired(&cli->accounts, tenant, bytes_of_text(ids->ids[i]), true),
                           "authority", ids->ids[i]);
    return status;
}

/* rotates: there is one already, which is retired once the new one is there. */
static int make_or_rotate(struct cli *cli, bool rotates)
{
    const char *tenant = cli->operands[0];
    struct accounts_ids ids = {0};
    if (!cli_tenant_is_valid(cli, tenant))
        return CLI_USAGE;
    int status = cli_judge(cli, accounts_list_cas(&cli->accounts, bytes_of_text(tenant), &ids),
                           "authorities of", tenant);
    if (status == CLI_OK && (ids.count > 0) != rotates)
        status =
            cli_fail(cli, CLI_REFUSED,
                     rotates ? "%s has no authority; weir ca make" : "%s has one; weir ca rotate", tenant);
    if (status == CLI_OK)
        status = make(cli, &ids);
    if (status == CLI_OK)
        status = retire_all(cli, &ids);
    free(ids.ids);
    return status;
}

static int ca_make(struct cli *cli)
{
    return make_or_rotate(cli, false);
}

static int ca_rotate(struct cli *cli)
{
    return make_or_rotate(cli, true);
}

static const char *state_of(const struct ca_record *record)
{
    if (record->not_after_s <= time(NULL))
        return "ended";
    return record->retired ? "trusted" : secret_is_set(&record->key) ? "signs" : "no key";
}

static enum accounts_result print_one(struct cli *cli, struct bytes tenant, struct bytes id, struct thing_form form)
{
    struct ca_record record;
    char until[32];
    enum accounts_result result = accounts_get_ca(&cli->accounts, tenant, id, &record);
    if (result != ACCOUNTS_DONE)
        return result;
    printf("%s%-16s %-8s until %s\n", form.before, record.id, state_of(&record),
           cli_time_text(record.not_after_s, until));
    explicit_bzero(&record, sizeof record);
    return result;
}

static enum accounts_result show(struct cli *cli, struct bytes tenant, struct bytes id)
{
    struct ca_record record;
    char pem[CRYPTO_CERT_PEM_MAX];
    enum accounts_result result = accounts_get_ca(&cli->accounts, tenant, id, &record);
    if (result == ACCOUNTS_DONE && crypto_cert_to_pem(bytes_of(record.certificate, record.certificate_len), pem))
        fputs(pem, stdout);
    explicit_bzero(&record, sizeof record);
    return result;
}

static int ca_show(struct cli *cli)
{
    return thing_do(cli, show);
}

static const struct thing_kind kind = {
    .name = "authority",
    .all = "authorities of",
    .split = cli_split_profile,
    .list = accounts_list_cas,
    .print = print_one,
    .remove = accounts_remove_ca,
    .if_removed = "what it signed is good no more",
    .if_damaged = "; weir ca rotate makes another, weir ca remove takes this one away",
};

static const struct cli_option make_options[] = {
    {"--days", "DAYS", "how long it is good; default: 3650"},
    {NULL, NULL, NULL},
};

static const struct cli_command commands[] = {
    {"make", "TENANT", "make the tenant's first authority", make_options, ca_make},
    {"rotate", "TENANT", "a new one signs; the old ones are still trusted", make_options, ca_rotate},
    {"list", "TENANT", "the tenant's authorities", NULL, thing_list},
    {"show", "TENANT/ID", "its certificate, as PEM", NULL, ca_show},
    {"remove", "TENANT/ID", "what it signed is good no more", NULL, thing_remove},
};

int cmd_ca(int argc, char **argv)
{
    static const struct cli_group group = {
        "ca",     "authorities of tenants, which sign certificates for devices",
        commands, sizeof commands / sizeof commands[0],
        &kind,
    };
    return cli_main(&group, argc, argv);
}
