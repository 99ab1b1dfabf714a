// SPDX-License-Identifier: GPL-3.0-or-later
/* A folder is a spool if it has the file "identity", which the first gateway on it has made. What list and verify both
 * say, of messages that are lost and files that are not read, is said here. */
#include "cmd/spool_command.h"
#include "gateway/pipeline.h"
#include "gateway/state_lock.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
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
    const char *path = cli_value(cli, "--key-file"), *option = path ? "--key-file" : "WEIR_SPOOL_KEY_FILE";
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
    errno = 0;
    bool ok = pipeline_key(settings, &place->key);
    int error = errno;
    free(settings);
    if (ok)
        return CLI_OK;
    bool is_content = error == 0 || error == EINVAL;
    return cli_fail(cli, CLI_REFUSED, "%s %s: %s%sit must be a file with 32 octets or 64 hexadecimal digits", option,
                    path, is_content ? "" : strerror(error), is_content ? "" : "; ");
}

static void take_lost(void *ctx, const struct spool_lost *lost)
{
    struct spool_place *place = ctx;
    struct spool_lost *grown = realloc(place->lost, (place->lost_count + 1) * sizeof *grown);
    if (!grown)
        return;
    place->lost = grown;
    place->lost[place->lost_count++] = *lost;
}

int spool_place_open(const struct cli *cli, struct spool_place *place)
{
    struct spool_log_config config = {.disk = place->disk, .max_bytes = UINT64_MAX, .now_s = time(NULL)};
    int status = take_key(cli, place);
    if (status != CLI_OK)
        return status;
    if (secret_is_set(&place->key))
        config.key = &place->key;
    place->log = spool_log_open_readonly(&config, &place->found);
    if (!place->log)
        return cli_fail(cli, CLI_REFUSED, "%s cannot be read: %s", place->folder, strerror(errno));
    place->has_lost = spool_lost_list(place->disk, take_lost, place);
    return CLI_OK;
}

void spool_place_put_lost(const struct spool_place *place, bool json)
{
    char moment[32];
    for (size_t i = 0; i < place->lost_count; i++) {
        const struct spool_lost *lost = &place->lost[i];
        if (json)
            printf("%s{\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"found\":%" PRId64
                   ",\"segment\":\"%s\",\"offset\":%" PRIu64 "}",
                   i ? "," : "", lost->first_lsn, lost->last_lsn, lost->found_s, lost->segment, lost->offset);
        else
            printf("lost: lsn %" PRIu64 "-%" PRIu64 ", found %s, never pushed segment=%s offset=%" PRIu64 "\n",
                   lost->first_lsn, lost->last_lsn, cli_time_text(lost->found_s, moment), lost->segment, lost->offset);
    }
    if (!json && place->has_lost && place->lost_count == 0)
        printf("lost: the file %s/lost is there, and no line of it can be read\n", place->folder);
}

static const char *why_unread(enum spool_unread_why why)
{
    static const char *const texts[] = {
        [SPOOL_UNREAD_DAMAGED] = "damaged at its head",
        [SPOOL_UNREAD_COPY] = "a copy of another one, by its head",
        [SPOOL_UNREAD_NO_FILE] = "not a regular file",
        [SPOOL_UNREAD_GATEWAY] = "another gateway's: weir spool adopt",
        [SPOOL_UNREAD_NO_KEY] = "encrypted: give --key-file",
        [SPOOL_UNREAD_KEY] = "encrypted with another key than that of --key-file",
    };
    return texts[why];
}

struct unread_list {
    bool json, any;
};

static void put_unread(void *ctx, const struct spool_unread *unread)
{
    struct unread_list *list = ctx;
    if (list->json)
        printf("%s{\"name\":\"%s\",\"why\":\"%s\"", list->any ? "," : "", unread->name, why_unread(unread->why));
    else
        printf("not read: %s, %s", unread->name, why_unread(unread->why));
    if (unread->first_lsn && unread->last_lsn >= unread->first_lsn)
        printf(list->json ? ",\"first_lsn\":%" PRIu64 ",\"last_lsn\":%" PRIu64 : " lsn=%" PRIu64 "-%" PRIu64,
               unread->first_lsn, unread->last_lsn);
    puts(list->json ? "}" : "");
    list->any = true;
}

void spool_place_put_unread(const struct spool_place *place, bool json)
{
    struct unread_list list = {json, false};
    spool_log_unread(place->log, put_unread, &list);
}

int spool_place_judge_unread(const struct cli *cli, const struct spool_place *place)
{
    if (place->found.foreign == 0)
        return CLI_OK;
    return cli_fail(cli, CLI_REFUSED, "%" PRIu64 " of the files in %s could not be read; it says which and why. "
                    "Encrypted: --key-file; another gateway's: weir spool adopt", place->found.foreign, place->folder);
}

void spool_place_close(struct spool_place *place)
{
    spool_log_close(place->log);
    free(place->lost);
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
