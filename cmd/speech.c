// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A name that nothing has would be taken by the registry and refuse every message of the device, so it is refused here,
 * with those that would do.
 */
#include "cmd/speech.h"

#include "codec/format.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMES_MAX 4096

struct names {
    char text[NAMES_MAX];
    size_t used;
};

static void add_name(struct names *names, const char *name)
{
    if (names->used + strlen(name) + 3 > sizeof names->text)
        return;
    names->used += (size_t)sprintf(names->text + names->used, "%s%s", names->used ? ", " : "", name);
}

static void add_ids(struct names *names, enum accounts_result result, struct accounts_ids *ids)
{
    if (result != ACCOUNTS_DONE)
        return;
    for (size_t i = 0; i < ids->count; i++)
        add_name(names, ids->ids[i]);
    free(ids->ids);
}

static bool is_format(const char *name)
{
    return format_by_name(bytes_of_text(name)) != NULL;
}

static int refuse(struct cli *cli, const char *tenant, const char *name, bool profiles)
{
    static struct names names;
    struct accounts_ids ids;
    size_t count;
    names.used = 0;
    names.text[0] = '\0';
    if (profiles)
        add_ids(&names, accounts_list_profiles(&cli->accounts, bytes_of_text(tenant), &ids), &ids);
    add_ids(&names, accounts_list_codecs(&cli->accounts, bytes_of_text(tenant), &ids), &ids);
    const struct format *formats = format_table(&count);
    for (size_t i = 0; i < count; i++)
        add_name(&names, formats[i].name);
    return cli_fail(cli, CLI_REFUSED, "there is no %s of the name %s; there are: %s",
                    profiles ? "profile, codec or format" : "codec or format", name, names.text);
}

/* CLI_OK and *ret: one of this name is there or not. */
static int look(struct cli *cli, enum accounts_result result, const char *kind, const char *name, bool *ret)
{
    *ret = result == ACCOUNTS_DONE || result == ACCOUNTS_DAMAGED;
    return *ret || result == ACCOUNTS_NOT_FOUND ? CLI_OK : cli_judge(cli, result, kind, name);
}

static int check(struct cli *cli, const char *tenant, const char *name, bool profiles)
{
    struct bytes owner = bytes_of_text(tenant), id = bytes_of_text(name);
    struct profile_record profile;
    struct codec_record codec;
    bool there = is_format(name);
    int status = CLI_OK;
    if (!schema_profile_is_valid(id))
        return refuse(cli, tenant, name, profiles);
    if (!there && profiles)
        status = look(cli, accounts_get_profile(&cli->accounts, owner, id, &profile), "profile", name, &there);
    if (!there && status == CLI_OK)
        status = look(cli, accounts_get_codec(&cli->accounts, owner, id, &codec), "codec", name, &there);
    return status != CLI_OK || there ? status : refuse(cli, tenant, name, profiles);
}

static int take(struct cli *cli, const char *option, const char *tenant, bool profiles,
                char ret[static SCHEMA_PROFILE_MAX + 1])
{
    const char *name = cli_value(cli, option);
    if (!name || !name[0])
        return CLI_OK;
    int status = check(cli, tenant, name, profiles);
    if (status == CLI_OK)
        strcpy(ret, name);
    return status;
}

int speech_take_format(struct cli *cli, const char *tenant, char ret[static SCHEMA_PROFILE_MAX + 1])
{
    return take(cli, "--format", tenant, false, ret);
}

int speech_take_profile(struct cli *cli, const char *tenant, char ret[static SCHEMA_PROFILE_MAX + 1])
{
    return take(cli, "--profile", tenant, true, ret);
}
