// SPDX-License-Identifier: GPL-3.0-or-later
/* A folder is a spool if it has the file "identity", which the first gateway on it has made. */
#include "cmd/spool_command.h"
#include "gateway/pipeline.h"
#include "gateway/state_lock.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCK_WAIT_MS 500 /* a gateway that is just ending */

static bool is_there(const char *folder, const char *name)
{
    char path[SPOOL_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* The state folder around it, if there is one. */
static void find_state_dir(struct spool_place *place)
{
    char real[SPOOL_PATH_MAX], *resolved = realpath(place->folder, NULL);
    if (!resolved)
        return;
    snprintf(real, sizeof real, "%s", resolved);
    free(resolved);
    const char *parent = dirname(real);
    if (is_there(parent, "gateway.id") || is_there(parent, "lock"))
        snprintf(place->state_dir, sizeof place->state_dir, "%s", parent);
}

int spool_place_find(const struct cli *cli, const char *folder, struct spool_place *ret)
{
    const char *given = folder ? folder : cli_state_dir(cli);
    *ret = (struct spool_place){.lock_fd = -1};
    if (strlen(given) > SPOOL_PATH_MAX - 16)
        return cli_fail(cli, CLI_USAGE, "the path of the folder is too long");
    snprintf(ret->folder, sizeof ret->folder, "%s%s", given, is_there(given, "identity") ? "" : "/spool");
    if (!is_there(ret->folder, "identity"))
        return cli_fail(cli, CLI_REFUSED, "there is no spool in %s%s", given,
                        folder ? "" : "; give its folder, or --state-dir");
    find_state_dir(ret);
    ret->disk = disk_open(ret->folder);
    if (ret->disk)
        return CLI_OK;
    return cli_fail(cli, CLI_REFUSED, "%s: %s", ret->folder, strerror(errno));
}

int spool_place_lock(const struct cli *cli, struct spool_place *place)
{
    char holder[STATE_LOCK_HOLDER_MAX];
    const char *where = place->state_dir[0] ? place->state_dir : place->folder;
    place->lock_fd = state_lock_take(where, LOCK_WAIT_MS, holder);
    if (place->lock_fd >= 0)
        return CLI_OK;
    if (holder[0])
        return cli_fail(cli, CLI_REFUSED, "%s is in use by a running weir (process %s), which pushes by itself; "
                        "stop it first", where, holder);
    return cli_fail(cli, CLI_REFUSED, "%s cannot be locked: %s", where, strerror(errno));
}

static int take_key(const struct cli *cli, struct spool_place *place)
{
    const char *path = cli_value(cli, "--key-file");
    struct settings *settings;
    if (!path)
        path = getenv("WEIR_SPOOL_KEY_FILE");
    if (!path || !path[0])
        return CLI_OK;
    settings = malloc(sizeof *settings);
    if (!settings)
        return cli_fail(cli, CLI_REFUSED, "out of memory");
    settings_default(settings);
    snprintf(settings->spool_key_file, sizeof settings->spool_key_file, "%s", path);
    bool ok = pipeline_key(settings, &place->key);
    free(settings);
    return ok ? CLI_OK : cli_fail(cli, CLI_REFUSED, "--key-file %s: %s", path, errno == EINVAL
                                  ? "not 32 octets or 64 hexadecimal digits" : strerror(errno));
}

int spool_place_open(const struct cli *cli, struct spool_place *place)
{
    struct spool_log_config config = {.disk = place->disk, .max_bytes = UINT64_MAX};
    int status = take_key(cli, place);
    if (status != CLI_OK)
        return status;
    if (secret_is_set(&place->key))
        config.key = &place->key;
    place->log = spool_log_open_readonly(&config, &place->found);
    return place->log ? CLI_OK : cli_fail(cli, CLI_REFUSED, "%s cannot be read: %s", place->folder, strerror(errno));
}

void spool_place_close(struct spool_place *place)
{
    spool_log_close(place->log);
    disk_close(place->disk);
    secret_wipe(&place->key);
    if (place->lock_fd >= 0)
        close(place->lock_fd);
}

uint64_t spool_place_to_push(const struct spool_place *place)
{
    const struct spool_recovery *found = &place->found;
    uint64_t before = found->cursor_lsn + 1;
    return found->next_lsn > before ? found->next_lsn - before : 0;
}
