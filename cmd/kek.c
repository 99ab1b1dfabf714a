// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * `weir kek`: another key-encryption key in the place of one, without a pause. Every gateway must be able to open what
 * any of them and this program wraps, so a key opens everywhere (add) before it wraps (use), and goes (drop) only when
 * nothing in Redis is wrapped by it any more (rewrap). docs/security.md has the steps.
 */
#include "cmd/cli.h"
#include "cmd/commands.h"
#include "codec/hex.h"
#include "gateway/rewrap.h"
#include "gateway/rt/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *id_of(const struct cli *cli, size_t key, char ret[static 2 * VAULT_ID_BYTES + 1])
{
    uint8_t id[VAULT_ID_BYTES];
    vault_id(cli->vault, key, id);
    ret[hex_write(bytes_of(id, sizeof id), ret)] = '\0';
    return ret;
}

static const char *path_of(const struct cli *cli, char ret[static VAULT_PATH_MAX])
{
    vault_path(cli->settings.kek, cli_state_dir(cli), ret);
    return ret;
}

static int need_vault(const struct cli *cli)
{
    return cli->vault ? CLI_OK : cli_fail(cli, CLI_REFUSED, "%s", cli->vault_error);
}

/* The file is read again under a lock that is kept to the end: of two that change it at once the second changes what
 * the first has made of it. */
static int begin(struct cli *cli, int *ret_lock)
{
    char path[VAULT_PATH_MAX];
    *ret_lock = -1;
    int status = need_vault(cli);
    if (status != CLI_OK)
        return status;
    *ret_lock = file_lock(path_of(cli, path));
    if (*ret_lock < 0)
        return cli_fail(cli, CLI_REFUSED, "the folder of %s cannot be locked: %s", path, strerror(errno));
    vault_free(cli->vault);
    cli->vault = vault_new(path, false, cli->vault_error);
    return need_vault(cli);
}

static int save(const struct cli *cli, const char *path, const size_t *keys, size_t count)
{
    char error[VAULT_ERROR_MAX];
    return vault_save(cli->vault, path, keys, count, error) ? CLI_OK : cli_fail(cli, CLI_REFUSED, "%s", error);
}

static int save_aside(const struct cli *cli, const char *path, const size_t *keys, size_t count)
{
    char error[VAULT_ERROR_MAX];
    return vault_save_aside(cli->vault, path, keys, count, error) ? CLI_OK : cli_fail(cli, CLI_REFUSED, "%s", error);
}

static int walk(struct cli *cli, bool writes, struct rewrap_counts *ret)
{
    struct accounts_ids tenants;
    *ret = (struct rewrap_counts){.damaged = 0};
    int status = need_vault(cli);
    if (status == CLI_OK)
        status = cli_judge(cli, accounts_list_tenants(&cli->accounts, &tenants), "tenants", "");
    if (status != CLI_OK)
        return status;
    for (size_t i = 0; i < tenants.count && status == CLI_OK; i++) {
        enum accounts_result result =
            rewrap_tenant(&cli->accounts, cli->vault, bytes_of_text(tenants.ids[i]), writes, ret);
        if (result != ACCOUNTS_NO_TENANT) /* removed since */
            status = cli_judge(cli, result, "tenant", tenants.ids[i]);
    }
    free(tenants.ids);
    return status;
}

/* CLI_OK: nothing is left. */
static int judge_rest(const struct cli *cli, const struct rewrap_counts *counts)
{
    int status = CLI_OK;
    if (counts->not_opened)
        status = cli_fail(cli, CLI_REFUSED, "%zu secrets are wrapped by a key that is not in this file",
                          counts->not_opened);
    if (counts->damaged)
        status = cli_fail(cli, CLI_REFUSED, "%zu records are damaged, and what opens their secrets is not known",
                          counts->damaged);
    return status;
}

static int kek_show(struct cli *cli)
{
    struct rewrap_counts counts;
    char path[VAULT_PATH_MAX], id[2 * VAULT_ID_BYTES + 1];
    int status = walk(cli, false, &counts);
    if (status != CLI_OK)
        return status;
    printf("%s\n", path_of(cli, path));
    for (size_t i = 0; i < vault_key_count(cli->vault); i++)
        printf("%s  %-15s  %zu secrets\n", id_of(cli, i, id), i == 0 ? "wraps and opens" : "opens", counts.by_key[i]);
    return judge_rest(cli, &counts);
}

/* ret: the keys of the file, first the one that is to wrap. */
static size_t order_from(const struct cli *cli, size_t first, size_t ret[static VAULT_KEYS_MAX])
{
    size_t count = 1;
    ret[0] = first;
    for (size_t i = 0; i < vault_key_count(cli->vault); i++)
        if (i != first)
            ret[count++] = i;
    return count;
}

static int add(struct cli *cli)
{
    size_t keys[VAULT_KEYS_MAX];
    char path[VAULT_PATH_MAX], id[2 * VAULT_ID_BYTES + 1];
    if (!vault_make_key(cli->vault))
        return cli_fail(cli, CLI_REFUSED, "there are %d keys already; see weir kek drop", VAULT_KEYS_MAX);
    size_t count = order_from(cli, 0, keys);
    int status = save(cli, path_of(cli, path), keys, count);
    if (status == CLI_OK) {
        id_of(cli, count - 1, id);
        printf("%s added to %s: it opens, and wraps nothing yet\n"
               "Next: copy the file to all that use this Redis, restart the gateways, then weir kek use %s\n",
               id, path, id);
    }
    return status;
}

static int find_key(const struct cli *cli, size_t *ret)
{
    char id[2 * VAULT_ID_BYTES + 1];
    size_t count = vault_key_count(cli->vault);
    for (*ret = 0; *ret < count; ++*ret)
        if (strcmp(id_of(cli, *ret, id), cli->operands[0]) == 0)
            return CLI_OK;
    return cli_fail(cli, CLI_REFUSED, "%s is not in the file; see weir kek show", cli->operands[0]);
}

static int use(struct cli *cli)
{
    size_t key, keys[VAULT_KEYS_MAX];
    char path[VAULT_PATH_MAX], id[2 * VAULT_ID_BYTES + 1];
    int status = find_key(cli, &key);
    if (status != CLI_OK)
        return status;
    if (key == 0) {
        printf("%s wraps already\n", id_of(cli, key, id));
        return CLI_OK;
    }
    status = save(cli, path_of(cli, path), keys, order_from(cli, key, keys));
    if (status == CLI_OK)
        printf("%s wraps from now on\nNext: copy the file, restart the gateways, then weir kek rewrap\n",
               id_of(cli, key, id));
    return status;
}

static int kek_rewrap(struct cli *cli)
{
    struct rewrap_counts counts;
    char id[2 * VAULT_ID_BYTES + 1];
    int status = walk(cli, true, &counts);
    if (status != CLI_OK)
        return status;
    printf("%zu secrets rewrapped; %zu are wrapped by %s\n", counts.rewrapped, counts.by_key[0], id_of(cli, 0, id));
    status = judge_rest(cli, &counts);
    if (status == CLI_OK && vault_key_count(cli->vault) > 1)
        puts("Next: weir kek drop ID, of each other key of weir kek show");
    return status;
}

/* The whole file stays beside it: a gateway that was not restarted may have wrapped by the old key still, and whoever
 * finds that out later needs it. */
static int keep_dropped(const struct cli *cli, const char *path)
{
    size_t keys[VAULT_KEYS_MAX];
    char kept[VAULT_PATH_MAX];
    if (snprintf(kept, sizeof kept, "%s.dropped", path) >= (int)sizeof kept)
        return cli_fail(cli, CLI_REFUSED, "the path %s is too long", path);
    return save_aside(cli, kept, keys, order_from(cli, 0, keys));
}

static int drop(struct cli *cli)
{
    struct rewrap_counts counts;
    size_t key, kept = 0, keys[VAULT_KEYS_MAX];
    char path[VAULT_PATH_MAX];
    int status = find_key(cli, &key);
    if (status == CLI_OK && key == 0)
        status = cli_fail(cli, CLI_REFUSED, "%s wraps; see weir kek use", cli->operands[0]);
    if (status == CLI_OK)
        status = walk(cli, false, &counts);
    if (status == CLI_OK)
        status = judge_rest(cli, &counts);
    if (status == CLI_OK && counts.by_key[key])
        status = cli_fail(cli, CLI_REFUSED, "%zu secrets are wrapped by it: weir kek rewrap", counts.by_key[key]);
    if (status == CLI_OK)
        status = keep_dropped(cli, path_of(cli, path));
    for (size_t i = 0; i < vault_key_count(cli->vault); i++)
        if (i != key)
            keys[kept++] = i;
    if (status == CLI_OK)
        status = save(cli, path, keys, kept);
    if (status == CLI_OK)
        printf("%s dropped; the file as it was is %s.dropped\n"
               "Next: copy the file, restart the gateways; if weir kek show finds all secrets opened then, remove "
               "%s.dropped\n", cli->operands[0], path, path);
    return status;
}

static int change(struct cli *cli, int (*run)(struct cli *cli))
{
    int lock, status = begin(cli, &lock);
    if (status == CLI_OK)
        status = run(cli);
    file_unlock(lock);
    return status;
}

static int kek_add(struct cli *cli)
{
    return change(cli, add);
}

static int kek_use(struct cli *cli)
{
    return change(cli, use);
}

static int kek_drop(struct cli *cli)
{
    return change(cli, drop);
}

static const struct cli_command commands[] = {
    {"show", "", "the keys of the file, and how many secrets in Redis each of them wrapped", NULL, kek_show},
    {"add", "", "a fresh key behind the others: it opens", NULL, kek_add},
    {"use", "ID", "this key wraps from now on", NULL, kek_use},
    {"rewrap", "", "wrap all secrets in Redis by the key that wraps", NULL, kek_rewrap},
    {"drop", "ID", "take a key out of the file that wrapped none of the secrets in Redis", NULL, kek_drop},
};

int cmd_kek(int argc, char **argv)
{
    static const struct cli_group group = {"kek", "the key-encryption key, which wraps the secrets in Redis",
                                           commands, sizeof commands / sizeof commands[0], NULL};
    return cli_main(&group, argc, argv);
}
